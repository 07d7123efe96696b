
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Directives of one value, whose messages say what the value is and what is
 * allowed.  The fields that they set are at cmd->offset.
 */


#ifndef _NGX_HTTP_GATEWAY_SET_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_SET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_int_t   low;
    ngx_int_t   high;
    char       *allowed;       /* what the message says is allowed */
} ngx_http_gateway_set_bounds_t;


#pragma GCC visibility push(hidden)

/*
 * Sets an ngx_msec_t, which is NGX_CONF_UNSET_MSEC, to a time greater than 0;
 * when cmd->post is not NULL, also to 0, which may be written "off".
 */

char *ngx_http_gateway_set_time(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Sets a size_t, which is NGX_CONF_UNSET_SIZE, to a size greater than 0. */

char *ngx_http_gateway_set_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Sets an ngx_uint_t, which is NGX_CONF_UNSET_UINT, to a number; when cmd->post
 * is not NULL, to one within these ngx_http_gateway_set_bounds_t.
 */

char *ngx_http_gateway_set_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Logs that "value" is invalid in cmd->name and must be what "allowed" says.
 * Returns NGX_CONF_ERROR.
 */

char *ngx_http_gateway_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, char *allowed);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_SET_H_INCLUDED_ */
