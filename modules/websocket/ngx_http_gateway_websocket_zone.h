
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Zones: the connections that may be pushed to, those of all workers.  The
 * table in shared memory says which worker has a connection; the connection
 * itself, and the groups that it is in, are known to that worker only.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_ZONE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_ZONE_H_INCLUDED_


#include "ngx_http_gateway_websocket.h"


/* of an id as text; it has 128 random bits */

#define NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN      32

/* of a connection, and bytes of the name of one */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUPS  64
#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUP   64


typedef struct ngx_http_gateway_websocket_node_s
    ngx_http_gateway_websocket_node_t;
typedef struct ngx_http_gateway_websocket_local_s
    ngx_http_gateway_websocket_local_t;


/* embedded in a connection, which sets it to zero before it joins */

typedef struct {
    u_char                       id[NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN];

    ngx_http_gateway_websocket_local_t  *local;  /* the zone in this worker */
    ngx_http_gateway_websocket_node_t   *node;   /* in the zone; NULL: none */

    ngx_queue_t                  groups;     /* memberships */
    ngx_uint_t                   ngroups;
} ngx_http_gateway_websocket_member_t;


#pragma GCC visibility push(hidden)

/* ngx_http_gateway_websocket_zone.c */

/* The directive gateway_websocket_zone. */

char *ngx_http_gateway_websocket_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Returns the zone called "name", which may be defined later, or NULL after it
 * has logged why not.
 */

ngx_shm_zone_t *ngx_http_gateway_websocket_zone(ngx_conf_t *cf,
    ngx_str_t *name);

/*
 * For the end of the configuration: logs a zone that is used and not defined.
 * Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_check_zones(ngx_conf_t *cf);

/*
 * To be called when a worker starts: it can be reached by other workers from
 * then on.  Returns NGX_OK, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_zone_init_process(ngx_cycle_t *cycle);

/*
 * To be called when a worker ends, after all else that uses zones.  What has
 * not left is an orphan of one of the other workers, if there are any.
 */

void ngx_http_gateway_websocket_zone_exit_process(ngx_cycle_t *cycle);

/*
 * Makes an id for "m", m->id, and enters it.  "will" is copied to the zone;
 * it is what an orphan of this worker is known by, and may be empty.  Without
 * a zone, NULL, there is just an id.
 *
 * Returns NGX_OK, NGX_DECLINED when the zone is full, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_join(ngx_shm_zone_t *zone,
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *will);

/*
 * Exchanges the will.  Returns NGX_OK, or NGX_DECLINED when there is no room:
 * the old one stays then.  Without a zone nothing is done.
 */

ngx_int_t ngx_http_gateway_websocket_set_will(
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *will);

/*
 * Nobody is to reach "m" any more, but its will stands until it leaves: for a
 * connection that is closing, until its service is told.
 */

void ngx_http_gateway_websocket_retire(ngx_http_gateway_websocket_member_t *m);

/*
 * Takes "m" out of the table and of all groups.  May be called more than once,
 * and for what has never joined.  m->id stays.
 */

void ngx_http_gateway_websocket_leave(ngx_http_gateway_websocket_member_t *m);


/* ngx_http_gateway_websocket_groups.c */

/*
 * Puts "m" into groups and takes it out, as "value", that of a field
 * Gateway-Groups, says: "a, -b, -*", from left to right.
 *
 * Returns NGX_OK, NGX_DECLINED when the value is malformed, would make them too
 * many, or "m" has no zone, or NGX_ERROR when there is no memory.  Nothing has
 * changed unless NGX_OK is returned.
 */

ngx_int_t ngx_http_gateway_websocket_set_groups(
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *value);

/* Tells whether "name" may be that of a group. */

ngx_uint_t ngx_http_gateway_websocket_is_group(ngx_str_t *name);


/* ngx_http_gateway_websocket_push.c */

/* The directive gateway_websocket_push. */

char *ngx_http_gateway_websocket_set_push(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* For the merging of locations: "if" and "limit_except" push as theirs does. */

void ngx_http_gateway_websocket_merge_push(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf);

/* Its content handler. */

ngx_int_t ngx_http_gateway_websocket_push_handler(ngx_http_request_t *r);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_ZONE_H_INCLUDED_ */
