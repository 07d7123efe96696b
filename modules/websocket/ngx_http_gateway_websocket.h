
/*
 * Copyright (C) ngx_gateway authors
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../common/ngx_http_gateway_compat.h"
#include "../common/ngx_http_gateway_json.h"
#include "../common/ngx_http_gateway_json_scan.h"
#include "../common/ngx_http_gateway_problem.h"
#include "../common/ngx_http_gateway_rate.h"
#include "../common/ngx_http_gateway_set.h"
#include "../common/ngx_http_gateway_token.h"
#include "../common/ngx_http_gateway_variable.h"

#include "ngx_http_gateway_websocket_deflate.h"
#include "ngx_http_gateway_websocket_frame.h"


/* "Sec-WebSocket-Key" and "Sec-WebSocket-Accept", RFC 6455, section 4 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_KEY_LEN     24
#define NGX_HTTP_GATEWAY_WEBSOCKET_ACCEPT_LEN  28

/* core has no name for it, RFC 9110, section 15.5.22 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_UPGRADE_REQUIRED  426

/* shorter messages do not become shorter */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MIN_DEFLATE  64

/* how long the peers have to answer a Close frame, milliseconds */

#define NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE_TIMEOUT  2000

/* of a Close frame of the gateway, bytes */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_REASON  80


/* when an answer is complete */

#define NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_MESSAGE  0
#define NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_COUNT    1
#define NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_UNTIL    2
#define NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE    3

/* and what it looks like */

#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_WHOLE   0
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE     1
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_NDJSON  2

#define NGX_HTTP_GATEWAY_WEBSOCKET_SEND_BODY      0
#define NGX_HTTP_GATEWAY_WEBSOCKET_SEND_NONE      1
#define NGX_HTTP_GATEWAY_WEBSOCKET_SEND_VALUE     2

/* what a message that was not served does */

#define NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_MESSAGE  0
#define NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_CLOSE    1

/* who closed */

#define NGX_HTTP_GATEWAY_WEBSOCKET_BY_NOBODY      0
#define NGX_HTTP_GATEWAY_WEBSOCKET_BY_CLIENT      1
#define NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM    2
#define NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY     3


typedef struct ngx_http_gateway_websocket_guard_s
    ngx_http_gateway_websocket_guard_t;
typedef struct ngx_http_gateway_websocket_pass_s
    ngx_http_gateway_websocket_pass_t;
typedef struct ngx_http_gateway_websocket_link_s
    ngx_http_gateway_websocket_link_t;
typedef struct ngx_http_gateway_websocket_session_s
    ngx_http_gateway_websocket_session_t;


/* of an origin, "scheme://" and the rest; with "any" a dot precedes the rest */

typedef struct {
    ngx_str_t                    scheme;
    ngx_str_t                    host;
    ngx_uint_t                   any;        /* every subdomain */
} ngx_http_gateway_websocket_origin_t;


typedef struct {
    ngx_uint_t                   end;        /* REPLY_... */
    ngx_uint_t                   format;     /* FORMAT_... */
    ngx_uint_t                   count;
    ngx_http_gateway_json_pointer_t  pointer;
    ngx_str_t                    value;
} ngx_http_gateway_websocket_reply_t;


typedef struct {
    ngx_str_t                    name;
    ngx_http_complex_value_t     value;
} ngx_http_gateway_websocket_field_t;


/* messages whose JSON has "value" at "pointer" go to "uri" */

typedef struct {
    ngx_http_gateway_json_pointer_t  pointer;
    ngx_str_t                    value;
    ngx_http_complex_value_t     uri;
} ngx_http_gateway_websocket_route_t;


typedef struct {
    ngx_uint_t                   used;       /* by some location */
    ngx_array_t                 *variables;  /* ngx_uint_t: whose values of
                                                a handshake are kept */
    ngx_uint_t                   ninherited; /* the first of these are for
                                                messages, too */
} ngx_http_gateway_websocket_main_conf_t;


typedef struct {
    ngx_http_upstream_conf_t     upstream;

    ngx_http_complex_value_t    *url;        /* of variables, else NULL */
    ngx_str_t                    location;   /* prefix that "uri" replaces */
    ngx_str_t                    host;       /* "Host" of the handshake */
    ngx_str_t                    uri;        /* empty: that of the request */
    ngx_http_upstream_srv_conf_t *srv;       /* with a choice of ours */

    ngx_http_gateway_websocket_reply_t  reply;
    ngx_uint_t                   send;       /* SEND_... */
    ngx_http_complex_value_t    *send_value;
    ngx_http_gateway_json_pointer_t  *correlate;  /* NULL: off */
    ngx_array_t                 *fields;     /* ..._field_t */

    ngx_http_complex_value_t    *serve;      /* NULL: not served */
    ngx_http_complex_value_t    *connect;    /* NULL: nobody is asked, */
    ngx_http_complex_value_t    *disconnect; /* or told */
    ngx_array_t                 *routes;     /* ..._route_t, or NULL */
    ngx_shm_zone_t              *zone;       /* of served ones, or NULL */
    ngx_shm_zone_t              *push_zone;  /* NULL: nothing is pushed */
    ngx_uint_t                   push_opcode;  /* 0: by Content-Type */
    ngx_uint_t                   concurrency;
    ngx_uint_t                   on_error;   /* ERROR_... */
    ngx_uint_t                   max_queue;
    ngx_uint_t                   events;     /* websocket-events */

    ngx_flag_t                   guard;
    size_t                       max_message;
    size_t                       max_frame;
    size_t                       max_reply;
    ngx_msec_t                   ping;       /* 0: off, as those below */
    ngx_msec_t                   idle_timeout;
    ngx_msec_t                   max_age;
    ngx_msec_t                   drain;
    ngx_http_complex_value_t    *expires;
    ngx_http_gateway_rate_t     *limit;      /* NULL: off */
    ngx_array_t                 *origins;    /* ..._origin_t */
    ngx_array_t                 *protocols;  /* ngx_str_t */
    ngx_flag_t                   deflate;

#if (NGX_HTTP_SSL)
    ngx_uint_t                   ssl;
    ngx_uint_t                   ssl_protocols;
    ngx_str_t                    ssl_ciphers;
    ngx_uint_t                   ssl_verify_depth;
    ngx_str_t                    ssl_trusted_certificate;
    ngx_str_t                    ssl_crl;
    ngx_array_t                 *ssl_conf_commands;
#endif

    unsigned                     reply_set:1;
    unsigned                     send_set:1;
    unsigned                     limit_set:1;
    unsigned                     correlate_set:1;
    unsigned                     format_set:1;
} ngx_http_gateway_websocket_loc_conf_t;


/* somebody who is told, once, that this worker is to end */

typedef struct {
    ngx_queue_t                  queue;
    void                       (*handler)(void *data, ngx_msec_t delay);
    void                        *data;
    ngx_msec_t                   spread;
} ngx_http_gateway_websocket_drain_t;


/* what a request or a tunnel was, for variables */

typedef struct {
    ngx_http_gateway_problem_t   problem;

    ngx_http_gateway_websocket_guard_t  *guard;
    ngx_http_gateway_websocket_pass_t   *pass;
    ngx_http_gateway_websocket_session_t  *session;
    ngx_uint_t                   served;

    uint64_t                     messages_in;
    uint64_t                     messages_out;
    ngx_uint_t                   close;      /* status code; 0: none */
    ngx_uint_t                   closed_by;
} ngx_http_gateway_websocket_ctx_t;


#pragma GCC visibility push(hidden)

/* ngx_http_gateway_websocket_module.c */

/*
 * Returns the request's context, which is made when it has none, or NULL when
 * there is no memory.
 */

ngx_http_gateway_websocket_ctx_t *ngx_http_gateway_websocket_get_ctx(
    ngx_http_request_t *r);

/*
 * Sets the problem that takes the place of core's page for "status", and
 * returns "status".  "detail" has to live as long as the request.
 */

ngx_int_t ngx_http_gateway_websocket_refuse(ngx_http_request_t *r,
    ngx_uint_t status, char *detail);

/* The filters that follow the module's own. */

ngx_int_t ngx_http_gateway_websocket_next_header(ngx_http_request_t *r);
ngx_int_t ngx_http_gateway_websocket_next_body(ngx_http_request_t *r,
    ngx_chain_t *in);

/* The first code and closer of a connection stay. */

void ngx_http_gateway_websocket_closed(ngx_http_gateway_websocket_ctx_t *ctx,
    ngx_uint_t code, ngx_uint_t by);


/*
 * Tells whether a text is one whole JSON text; "value" is it without the white
 * space around it.
 */

ngx_uint_t ngx_http_gateway_websocket_is_json(u_char *data, size_t len,
    ngx_str_t *value);


/* ngx_http_gateway_websocket_options.c: directives with syntax of their own */

/*
 * Compiles a JSON pointer, or the name of a member.  Returns NGX_OK,
 * NGX_DECLINED or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_pointer(ngx_conf_t *cf,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *value);

char *ngx_http_gateway_websocket_set_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_send(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_correlate(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_gateway_websocket_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_origins(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_gateway_websocket_set_protocols(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_gateway_websocket_set_bitmask(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
#if (NGX_HTTP_SSL)
char *ngx_http_gateway_websocket_set_passwords(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
#endif


/* ngx_http_gateway_websocket_conf.c */

char *ngx_http_gateway_websocket_set_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void *ngx_http_gateway_websocket_create_main_conf(ngx_conf_t *cf);
void *ngx_http_gateway_websocket_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_gateway_websocket_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* ngx_http_gateway_websocket_variables.c */

ngx_int_t ngx_http_gateway_websocket_add_variables(ngx_conf_t *cf);


/* ngx_http_gateway_websocket_handshake.c */

/*
 * Writes the 28 bytes of Sec-WebSocket-Accept for the key to "accept",
 * RFC 6455, section 4.2.2.
 */

void ngx_http_gateway_websocket_accept(ngx_str_t *key, u_char *accept);

/*
 * Checks a client's handshake, RFC 6455, section 4.2.1.  Returns NGX_OK,
 * NGX_DECLINED when the request asks for no upgrade, or the status to answer
 * with.
 */

ngx_int_t ngx_http_gateway_websocket_check_request(ngx_http_request_t *r);

/*
 * Refuses with 426 and the fields that belong to it, RFC 9110, section
 * 15.5.22.  Returns the status.
 */

ngx_int_t ngx_http_gateway_websocket_upgrade_required(ngx_http_request_t *r,
    char *detail);

/*
 * Checks Origin.  Returns NGX_OK, or the status to answer with.
 */

ngx_int_t ngx_http_gateway_websocket_check_origin(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf);

/*
 * Evaluates gateway_websocket_expires: sets *at to when the connection ends,
 * in ngx_current_msec's time, or to 0.  Returns NGX_OK, or the status to answer
 * with.
 */

ngx_int_t ngx_http_gateway_websocket_check_expires(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_msec_t *at);

/*
 * The fields called "name", which is in lower case, as one: their values
 * joined with commas, in r->pool when they are several.
 *
 * Returns how many there are, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_fields(ngx_pool_t *pool,
    ngx_list_t *list, char *name, ngx_str_t *value);

/*
 * Sets "token" to the next of a comma-separated list and moves "list" behind
 * it.  Returns NGX_OK, NGX_DONE at the end, or NGX_ERROR when it is not a list
 * of tokens.
 */

ngx_int_t ngx_http_gateway_websocket_next_token(ngx_str_t *list,
    ngx_str_t *token);

/* Tells whether a list of tokens has "protocol", which is of its case. */

ngx_uint_t ngx_http_gateway_websocket_has_protocol(ngx_str_t *list,
    ngx_str_t *protocol);

/*
 * Returns the one of gateway_websocket_protocols, which is not NULL, that is
 * "token", or NULL.
 */

ngx_str_t *ngx_http_gateway_websocket_find_protocol(ngx_array_t *protocols,
    ngx_str_t *token);

/*
 * Check a URI for a service, and the value of a header field, that were made
 * of variables: there may be more in them than one request line or field.
 * Return NGX_OK, or the status to answer with.
 */

ngx_int_t ngx_http_gateway_websocket_check_uri(ngx_http_request_t *r,
    ngx_str_t *uri);
ngx_int_t ngx_http_gateway_websocket_check_value(ngx_http_request_t *r,
    ngx_str_t *value);

/*
 * Adds a field, which is not copied, to what the client is answered.  Returns
 * it, or NULL when there is no memory.
 */

ngx_table_elt_t *ngx_http_gateway_websocket_add_field(ngx_http_request_t *r,
    char *name, char *value);

/*
 * Sets "body" to the request's body as one string, which is empty when there
 * is none, in the request's memory.  Returns NGX_OK, or the status to answer
 * with: 413 when it is larger than a message may be.
 */

ngx_int_t ngx_http_gateway_websocket_body(ngx_http_request_t *r,
    ngx_str_t *body);

/* Tells whether a list of tokens has "token", ignoring case. */

ngx_uint_t ngx_http_gateway_websocket_has_token(ngx_str_t *list, char *token);

/*
 * Checks the answer of a server to a handshake with "key".  "protocols" is the
 * list that was offered, and may be empty.  Sets "extensions" to the server's
 * field.
 *
 * Returns NULL, or what is wrong.
 */

char *ngx_http_gateway_websocket_check_answer(ngx_http_request_t *r,
    ngx_list_t *headers, ngx_str_t *key, ngx_str_t *protocols,
    ngx_str_t *extensions);


/* ngx_http_gateway_websocket_guard.c */

/* Handler of the PRECONTENT phase: looks at a client's handshake. */

ngx_int_t ngx_http_gateway_websocket_guard_handler(ngx_http_request_t *r);

/*
 * For the header filter: tells whether the server's answer has to be looked at,
 * being a 101, or no HTTP.
 */

ngx_uint_t ngx_http_gateway_websocket_guard_is_concerned(
    ngx_http_request_t *r, ngx_http_gateway_websocket_ctx_t *ctx);

/*
 * For the header filter: looks at the server's answer.  Returns NGX_OK, or the
 * status to answer with.
 */

ngx_int_t ngx_http_gateway_websocket_guard_answer(ngx_http_request_t *r);

/* Tells whether a tunnel is to begin, and has not. */

ngx_uint_t ngx_http_gateway_websocket_tunnel_is_ready(
    ngx_http_gateway_websocket_guard_t *g);

/*
 * For the body filter, when nginx's tunnel is ready: takes its place.  Returns
 * what the next filter does.
 */

ngx_int_t ngx_http_gateway_websocket_guard_start(ngx_http_request_t *r,
    ngx_chain_t *in);


/* ngx_http_gateway_websocket_worker.c */

/*
 * Sets "len" bytes, at most 1024, to random ones that nobody can foresee.
 * Returns NGX_OK, or NGX_ERROR when there are none to be had.
 */

ngx_int_t ngx_http_gateway_websocket_random(u_char *p, size_t len);

/*
 * Returns the worker's buffer, of "size" bytes at least, or NULL.  It is
 * somebody else's as soon as the caller returns.
 */

u_char *ngx_http_gateway_websocket_scratch(size_t size);

/*
 * Has TLS allow that what could not be sent stands elsewhere when it is tried
 * again, which nginx itself never needs.
 */

void ngx_http_gateway_websocket_moving_buffers(ngx_connection_t *c);


/* ngx_http_gateway_websocket_drain.c */

/*
 * Has d->handler called when the worker is to end, with a delay that spreads
 * them over d->spread milliseconds; at once when it ends already.  "d" has to
 * be removed before it goes; it may be removed more than once.
 */

void ngx_http_gateway_websocket_drain_add(
    ngx_http_gateway_websocket_drain_t *d);
void ngx_http_gateway_websocket_drain_remove(
    ngx_http_gateway_websocket_drain_t *d);

/* To be called when a worker starts.  Returns NGX_OK, or NGX_ERROR. */

ngx_int_t ngx_http_gateway_websocket_drain_init(ngx_cycle_t *cycle);

#pragma GCC visibility pop


/* whether a time has come, in ngx_current_msec's time */

#define ngx_http_gateway_websocket_is_due(at)                                 \
    ((ngx_msec_int_t) ((at) - ngx_current_msec) <= 0)


/* sets "next" to "at" when that comes before it */

static ngx_inline void
ngx_http_gateway_websocket_earlier(ngx_msec_t *next, ngx_msec_t at)
{
    if ((ngx_msec_int_t) (at - *next) < 0) {
        *next = at;
    }
}


/* when it is not set it follows max_message, whichever level sets that */

#define ngx_http_gateway_websocket_max_frame(conf)                            \
    (((conf)->max_frame == NGX_CONF_UNSET_SIZE) ? (conf)->max_message         \
                                                : (conf)->max_frame)


extern ngx_module_t  ngx_http_gateway_websocket_module;


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_H_INCLUDED_ */
