
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The regexes of a table of routes: each text once, compiled so that it has to
 * match all of a segment.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_REGEX_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_REGEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t                            text;
    void                                *regex;    /* ngx_regex_t */
} ngx_http_gateway_route_regex_t;


typedef struct {
    ngx_array_t                          regexes;
    ngx_pool_t                          *pool;
    ngx_pool_t                          *temp_pool;
    ngx_rbtree_t                         rbtree;
    ngx_rbtree_node_t                    sentinel;
} ngx_http_gateway_route_regexes_t;


#pragma GCC visibility push(hidden)

/*
 * What is only needed to add regexes goes to "temp_pool".  Returns NGX_OK, or
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_regexes_init(
    ngx_http_gateway_route_regexes_t *regexes, ngx_pool_t *pool,
    ngx_pool_t *temp_pool);

/*
 * Sets "n" to the number of the regex "text", which has to stay, and compiles
 * it when it is new.  Returns NGX_OK; NGX_DECLINED when it is not a regex,
 * with PCRE's words in "why"; or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_regexes_add(
    ngx_http_gateway_route_regexes_t *regexes, ngx_str_t *text, uint32_t *n,
    ngx_str_t *why);

/*
 * Copies what is needed for matches, the regexes in the order of their numbers.
 * Returns NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_regexes_finish(
    ngx_http_gateway_route_regexes_t *regexes,
    ngx_http_gateway_route_regex_t **all);

/*
 * Returns 1 when all of "text" matches, else 0.  A match that takes PCRE too
 * long is none, and is logged at level error.
 */

ngx_uint_t ngx_http_gateway_route_regex_match(
    ngx_http_gateway_route_regex_t *regex, ngx_str_t *text, ngx_log_t *log);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_REGEX_H_INCLUDED_ */
