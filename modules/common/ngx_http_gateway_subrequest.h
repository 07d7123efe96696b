
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Subrequests that ask another location for something of their own: with a
 * method, a body, a list of header fields and values of variables that are not
 * those of the request they serve.  The one place that starts and aborts them.
 *
 * They run in the background: nothing of what they send reaches the client,
 * and they may end in any order.  A module takes their answer in its filters,
 * knowing them by r->post_subrequest.
 */


#ifndef _NGX_HTTP_GATEWAY_SUBREQUEST_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_SUBREQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* a header field that is set; an empty value removes the request's */

typedef struct {
    ngx_str_t                    name;
    ngx_str_t                    value;
    ngx_str_t                    lowcase;
    ngx_uint_t                   hash;       /* of "lowcase" */
} ngx_http_gateway_field_t;


/*
 * What the subrequests of one request share.  Header fields that describe the
 * request's body come after the others.
 */

typedef struct {
    ngx_table_elt_t             *headers;
    ngx_uint_t                   nheaders;
    ngx_uint_t                   nplain;     /* without those of the body */
    ngx_http_request_body_t     *empty;
    ngx_array_t                 *variables;  /* ngx_uint_t, see below */
} ngx_http_gateway_subrequests_t;


typedef struct {
    ngx_str_t                    uri;        /* decoded */
    ngx_str_t                    args;
    ngx_str_t                    unparsed;   /* empty, or as it is sent to a
                                                "proxy_pass" without URI */
    ngx_str_t                    method_name;
    ngx_uint_t                   method;     /* NGX_HTTP_GET, ... */
    ngx_str_t                   *body;       /* NULL: none of its own */
    ngx_array_t                 *fields;     /* ngx_http_gateway_field_t */
    ngx_http_post_subrequest_t  *post;
    unsigned                     request_body:1;  /* the request's, read */
} ngx_http_gateway_subrequest_t;


/*
 * Tells whether "r" is all that its main request is for, which runs no phases
 * of its own, as those of messages of a WebSocket.
 */

#define ngx_http_gateway_subrequest_is_carried(r)                             \
    ((r)->parent == (r)->main && (r)->main->write_event_handler == NULL)


#pragma GCC visibility push(hidden)

/*
 * To be called in postconfiguration.  Returns NGX_OK, or NGX_ERROR when there
 * is no memory.
 */

ngx_int_t ngx_http_gateway_subrequest_init(ngx_conf_t *cf);

/*
 * Finds the variables whose values subrequests inherit, when they have one:
 * those of "set", named captures, $request_id, and those of a token.  All
 * others they find out by themselves, since values may depend on the URI.  To
 * be called when the configuration has been read.
 *
 * Returns an array of indices made in cycle->pool, or NULL when there is no
 * memory.
 */

ngx_array_t *ngx_http_gateway_subrequest_variables(ngx_cycle_t *cycle);

/*
 * Tells whether the header field "lowcase" is never passed on: hop-by-hop
 * fields (RFC 9110, section 7.6.1), those of ranges and conditions,
 * Accept-Encoding, Expect and Content-Length.
 */

ngx_uint_t ngx_http_gateway_subrequest_drops(ngx_str_t *lowcase);

/*
 * Prepares "s" for the subrequests of "r", in "pool": picks the header fields
 * that are passed on.  Returns NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_subrequests(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_http_gateway_subrequests_t *s,
    ngx_array_t *variables);

/*
 * Starts a subrequest; it runs as soon as posted requests do.  The handler of
 * sub->post has to set its "background" whenever it is called.
 *
 * Returns it, or NULL on an error after which "r" has to be finalized: before
 * 1.27.5 nginx may leave the subrequest half made.
 */

ngx_http_request_t *ngx_http_gateway_subrequest(ngx_http_request_t *r,
    ngx_http_gateway_subrequests_t *s, ngx_http_gateway_subrequest_t *sub);

/*
 * Ends a subrequest that has not ended yet: closes what it has to a server,
 * and its reference to the main request.  Its post_subrequest handler is not
 * called.  Not to be called from a filter or handler of "sr" itself.
 *
 * Returns NGX_OK, or NGX_DECLINED when "sr" waits for something that cannot be
 * taken back, as a disk or another module; it ends in its own time then.
 */

ngx_int_t ngx_http_gateway_subrequest_abort(ngx_http_request_t *sr);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_SUBREQUEST_H_INCLUDED_ */
