
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the table of verified tokens of one worker.  Never verifies.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_jwt_cache.h"


/* the bytes at a token's end that are hashed */

#define NGX_HTTP_GATEWAY_JWT_HASHED  32

/*
 * An ordinary token takes less than twice its length and 512 bytes.  One of
 * very many, very small values takes more, and is verified each time.
 */

#define NGX_HTTP_GATEWAY_JWT_CACHED_SIZE(len)  (4 * (len) + 1024)


static void ngx_http_gateway_jwt_cache_cleanup(void *data);
static uint32_t ngx_http_gateway_jwt_cache_hash(ngx_str_t *value);
static void ngx_http_gateway_jwt_cache_expire(
    ngx_http_gateway_jwt_cache_t *cache, time_t now);


ngx_http_gateway_jwt_cache_t *
ngx_http_gateway_jwt_cache_create(ngx_pool_t *pool, ngx_uint_t size)
{
    ngx_uint_t                     n;
    ngx_pool_cleanup_t            *cln;
    ngx_http_gateway_jwt_cache_t  *cache;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_gateway_jwt_cache_t));
    if (cln == NULL) {
        return NULL;
    }

    cache = cln->data;

    for (n = 1; n < size; n <<= 1) { /* void */ }

    cache->buckets = ngx_pcalloc(pool, n * sizeof(void *));
    if (cache->buckets == NULL) {
        return NULL;
    }

    cache->mask = n - 1;
    cache->size = size;
    cache->count = 0;
    ngx_queue_init(&cache->queue);

    cln->handler = ngx_http_gateway_jwt_cache_cleanup;

    return cache;
}


static void
ngx_http_gateway_jwt_cache_cleanup(void *data)
{
    ngx_http_gateway_jwt_cache_t  *cache = data;

    ngx_queue_t  *q;

    while (!ngx_queue_empty(&cache->queue)) {
        q = ngx_queue_last(&cache->queue);

        ngx_http_gateway_jwt_cache_remove(cache,
            ngx_queue_data(q, ngx_http_gateway_jwt_token_t, queue));
    }
}


/*
 * The end of a token is its signature, which is as good as random, and only
 * tokens with a valid one get into the table: nobody chooses where they go.
 * Someone who sends others only learns how long comparing them takes, which
 * needs a signature that is right but for its last bytes to tell anything.
 */

static uint32_t
ngx_http_gateway_jwt_cache_hash(ngx_str_t *value)
{
    size_t  len;

    len = ngx_min(value->len, NGX_HTTP_GATEWAY_JWT_HASHED);

    return ngx_murmur_hash2(value->data + value->len - len, len);
}


ngx_http_gateway_jwt_token_t *
ngx_http_gateway_jwt_cache_find(ngx_http_gateway_jwt_cache_t *cache,
    ngx_str_t *value, ngx_http_gateway_jwt_issuer_t **issuers, ngx_uint_t n)
{
    uint32_t                       hash;
    ngx_uint_t                     i;
    ngx_http_gateway_jwt_token_t  *token;

    hash = ngx_http_gateway_jwt_cache_hash(value);

    for (token = cache->buckets[hash & cache->mask];
         token;
         token = token->next)
    {
        if (token->hash != hash
            || token->value.len != value->len
            || ngx_memcmp(token->value.data, value->data, value->len) != 0)
        {
            continue;
        }

        for (i = 0; i < n; i++) {

            if (token->issuer != issuers[i]) {
                continue;
            }

            if (token->generation != issuers[i]->generation) {
                ngx_http_gateway_jwt_cache_remove(cache, token);
                return NULL;
            }

            ngx_queue_remove(&token->queue);
            ngx_queue_insert_head(&cache->queue, &token->queue);

            return token;
        }
    }

    return NULL;
}


void
ngx_http_gateway_jwt_cache_add(ngx_http_gateway_jwt_cache_t *cache,
    ngx_http_gateway_jwt_token_t *token, time_t now)
{
    ngx_http_gateway_jwt_token_t  **bucket;

    if (token->size > NGX_HTTP_GATEWAY_JWT_CACHED_SIZE(token->value.len)) {
        return;
    }

    ngx_http_gateway_jwt_cache_expire(cache, now);

    token->hash = ngx_http_gateway_jwt_cache_hash(&token->value);

    bucket = &cache->buckets[token->hash & cache->mask];

    token->next = *bucket;
    *bucket = token;

    ngx_queue_insert_head(&cache->queue, &token->queue);

    cache->count++;
    token->refs++;
}


/*
 * Makes room for one token and takes up to two that have expired out of those
 * unused for longest, so that the table also shrinks.
 */

static void
ngx_http_gateway_jwt_cache_expire(ngx_http_gateway_jwt_cache_t *cache,
    time_t now)
{
    ngx_uint_t                     n;
    ngx_queue_t                   *q;
    ngx_http_gateway_jwt_token_t  *token;

    for (n = 0; n < 2 && !ngx_queue_empty(&cache->queue); n++) {

        q = ngx_queue_last(&cache->queue);
        token = ngx_queue_data(q, ngx_http_gateway_jwt_token_t, queue);

        if (cache->count < cache->size
            && ngx_http_gateway_jwt_token_times(token, now)
               != NGX_HTTP_GATEWAY_JWT_EXPIRED)
        {
            return;
        }

        ngx_http_gateway_jwt_cache_remove(cache, token);
    }
}


void
ngx_http_gateway_jwt_cache_remove(ngx_http_gateway_jwt_cache_t *cache,
    ngx_http_gateway_jwt_token_t *token)
{
    ngx_http_gateway_jwt_token_t  **t;

    for (t = &cache->buckets[token->hash & cache->mask];
         *t != token;
         t = &(*t)->next)
    {
        /* void */
    }

    *t = token->next;

    ngx_queue_remove(&token->queue);

    cache->count--;

    ngx_http_gateway_jwt_token_release(token);
}
