
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * How long an answer made of several may be kept by caches: as long as the one
 * that may be kept the shortest, RFC 9111.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_AGGREGATE_CACHING_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_AGGREGATE_CACHING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* what an answer says; -1: nothing */

typedef struct {
    ngx_int_t      max_age;    /* seconds */
    ngx_int_t      s_maxage;
    ngx_int_t      age;
    ngx_uint_t     flags;
} ngx_http_gateway_aggregate_freshness_t;


typedef struct {
    ngx_pool_t                              *pool;
    ngx_array_t                             *vary;      /* ngx_str_t */
    ngx_http_gateway_aggregate_freshness_t   all;
    ngx_http_gateway_aggregate_freshness_t   one;
    ngx_uint_t                               responses;
    unsigned                                 shared:1;  /* some s-maxage */
    unsigned                                 vary_all:1;
    unsigned                                 failed:1;  /* no memory */
} ngx_http_gateway_aggregate_caching_t;


#pragma GCC visibility push(hidden)

/* "pool" is where what the fields say is kept. */

void ngx_http_gateway_aggregate_caching_init(
    ngx_http_gateway_aggregate_caching_t *c, ngx_pool_t *pool);

/*
 * Begins an answer, takes one header field of it after the other, ends it.
 * Fields that say nothing about caching are passed over; values of those that
 * do have to stay.  What is not understood counts as the strictest.
 */

void ngx_http_gateway_aggregate_caching_begin(
    ngx_http_gateway_aggregate_caching_t *c);
void ngx_http_gateway_aggregate_caching_field(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *name,
    ngx_str_t *value);
void ngx_http_gateway_aggregate_caching_end(
    ngx_http_gateway_aggregate_caching_t *c);

/*
 * Make the values of Cache-Control and Vary for the whole, empty when there is
 * nothing to say.  Return NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_caching_control(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value);
ngx_int_t ngx_http_gateway_aggregate_caching_vary(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_AGGREGATE_CACHING_H_INCLUDED_ */
