
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A route's template, as "/users/:id([0-9]+)/:file", read into segments.  This
 * knows what a template may look like; what it matches is up to the table and
 * its tree.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_TEMPLATE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_TEMPLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS  64


/* in the order of precedence */

typedef enum {
    NGX_HTTP_GATEWAY_ROUTE_LITERAL = 0,
    NGX_HTTP_GATEWAY_ROUTE_REGEX,
    NGX_HTTP_GATEWAY_ROUTE_PARAM,
    NGX_HTTP_GATEWAY_ROUTE_REST
} ngx_http_gateway_route_kind_e;


typedef struct {
    uint32_t                             kind;
    uint32_t                             regex;    /* number in the table, set
                                                      by its compilation */
    ngx_uint_t                           rank;     /* of a regex among those at
                                                      this place, likewise */
    ngx_str_t                            text;     /* part of the template's:
                                                      the regex without its
                                                      parentheses, the segment
                                                      of other kinds */
    ngx_str_t                            name;     /* of the capture; empty:
                                                      there is none */
} ngx_http_gateway_route_segment_t;


typedef struct {
    ngx_str_t                            text;     /* as written */

    ngx_http_gateway_route_segment_t    *segments;
    ngx_uint_t                           nsegments;

    ngx_uint_t                           ncaptures;

    unsigned                             escaped:1;  /* %HH in a literal */
    unsigned                             starred:1;  /* "*" in a literal */
} ngx_http_gateway_route_template_t;


#pragma GCC visibility push(hidden)

/*
 * Reads "text", which has to stay.  "/" alone has one segment, an empty
 * literal; so has "/users/" as its second one.  Regexes are not compiled.
 *
 * Returns NGX_OK; NGX_DECLINED when it is not a template, and "why" is then a
 * static text that tells what is allowed; or NGX_ERROR when there is no
 * memory.
 */

ngx_int_t ngx_http_gateway_route_template(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_route_template_t *t, char **why);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_TEMPLATE_H_INCLUDED_ */
