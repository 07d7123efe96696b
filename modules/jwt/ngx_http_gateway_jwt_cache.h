
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Verified tokens, remembered by a worker.
 *
 * A hit is the same token to the last byte, verified for an issuer that the
 * location accepts, with the keys that the issuer has now.  What passes with
 * time is for the caller to check at every hit, and so are the location's own
 * rules.
 */


#ifndef _NGX_HTTP_GATEWAY_JWT_CACHE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JWT_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_jwt_token.h"


typedef struct {
    ngx_http_gateway_jwt_token_t   **buckets;
    ngx_uint_t                       mask;       /* buckets - 1 */
    ngx_uint_t                       size;       /* tokens at most */
    ngx_uint_t                       count;
    ngx_queue_t                      queue;      /* the last used first */
} ngx_http_gateway_jwt_cache_t;


#pragma GCC visibility push(hidden)

/*
 * Makes a cache of at most "size" tokens in "pool", whose cleanup gives up
 * the cache's references to them.
 *
 * Returns NULL when there is no memory.
 */

ngx_http_gateway_jwt_cache_t *ngx_http_gateway_jwt_cache_create(
    ngx_pool_t *pool, ngx_uint_t size);

/*
 * Returns the token of the text "value" that was verified for one of the "n"
 * issuers, or NULL.  The reference stays the cache's: who keeps the token
 * takes one of his own.
 */

ngx_http_gateway_jwt_token_t *ngx_http_gateway_jwt_cache_find(
    ngx_http_gateway_jwt_cache_t *cache, ngx_str_t *value,
    ngx_http_gateway_jwt_issuer_t **issuers, ngx_uint_t n);

/*
 * Remembers a verified token, with a reference of the cache's, unless it takes
 * much more memory than its length lets expect.  Expired ones and, in a full
 * cache, the one unused for longest make room.  "now" is in seconds.
 */

void ngx_http_gateway_jwt_cache_add(ngx_http_gateway_jwt_cache_t *cache,
    ngx_http_gateway_jwt_token_t *token, time_t now);

/* Forgets a token that was found. */

void ngx_http_gateway_jwt_cache_remove(ngx_http_gateway_jwt_cache_t *cache,
    ngx_http_gateway_jwt_token_t *token);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_JWT_CACHE_H_INCLUDED_ */
