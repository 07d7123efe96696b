
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Shares of requests: which of several values a request gets.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_SPLIT_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_SPLIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_GATEWAY_ROUTE_MAX_SIDES   32
#define NGX_HTTP_GATEWAY_ROUTE_MAX_WEIGHT  1000000


typedef struct {
    uint64_t     id;        /* ngx_http_gateway_route_hash() of its name */
    ngx_uint_t   weight;    /* NGX_HTTP_GATEWAY_ROUTE_MAX_WEIGHT at most */
} ngx_http_gateway_route_share_t;


#pragma GCC visibility push(hidden)

/* Hash of "len" bytes, the same on all machines. */

uint64_t ngx_http_gateway_route_hash(u_char *data, size_t len);

/*
 * Chooses one of "n" shares with a probability that is its weight's part of
 * all weights, by weighted rendezvous hashing (Thaler and Ravishankar, 1998;
 * with weights: Schindelhauer and Schomaker, 2005).  The same key always gets
 * the same share, whatever the order of the shares.  When one weight changes,
 * keys move only to that share, or only away from it, and no more than have
 * to; when several of more than two change at once, less than twice as many
 * may move as would have to.
 *
 * Returns its index; the last one when all weights are 0.
 */

ngx_uint_t ngx_http_gateway_route_stick(ngx_http_gateway_route_share_t *shares,
    ngx_uint_t n, ngx_str_t *key);

/* The same at random, for each call anew. */

ngx_uint_t ngx_http_gateway_route_draw(ngx_http_gateway_route_share_t *shares,
    ngx_uint_t n);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_SPLIT_H_INCLUDED_ */
