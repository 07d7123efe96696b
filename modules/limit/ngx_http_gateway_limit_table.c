
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the table of buckets; its invariants are in the header.  Knows nothing
 * of requests, configuration or logs, and needs no part of nginx but its
 * atomic operations.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_limit_table.h"


#if (NGX_PTR_SIZE != 8 || !NGX_HAVE_ATOMIC_OPS)
#error "the limit module needs 64-bit atomic operations"
#endif


/*
 * An exploration of all interleavings takes the place of these, one step
 * each.
 */

#ifndef ngx_http_gateway_limit_load

#define ngx_http_gateway_limit_load(p)                                       \
    __atomic_load_n(p, __ATOMIC_RELAXED)
#define ngx_http_gateway_limit_cas(p, old, set)                              \
    ngx_atomic_cmp_set(p, old, set)
#define ngx_http_gateway_limit_add(p, n)                                     \
    (void) ngx_atomic_fetch_add(p, n)

#endif


typedef struct {
    ngx_http_gateway_limit_entry_t  *entry;  /* the key's, or to take over */
    uint64_t                         tag;    /* to take over: what it had */
    int64_t                          time;
} ngx_http_gateway_limit_look_t;


static ngx_inline ngx_http_gateway_limit_entry_t *ngx_http_gateway_limit_set(
    ngx_http_gateway_limit_table_t *table, uint64_t hash);
static ngx_inline ngx_uint_t ngx_http_gateway_limit_look(
    ngx_http_gateway_limit_entry_t *set, uint64_t hash,
    ngx_http_gateway_limit_look_t *look);
static ngx_http_gateway_limit_entry_t *ngx_http_gateway_limit_find(
    ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result);
static ngx_int_t ngx_http_gateway_limit_charge(
    ngx_http_gateway_limit_entry_t *entry,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result);


ngx_http_gateway_limit_table_t *
ngx_http_gateway_limit_table_init(void *addr, size_t size, uint64_t seed[2])
{
    u_char                          *p;
    size_t                           set;
    ngx_http_gateway_limit_table_t  *table;

    set = NGX_HTTP_GATEWAY_LIMIT_WAYS * sizeof(ngx_http_gateway_limit_entry_t);

    table = addr;

    p = (u_char *) addr + sizeof(ngx_http_gateway_limit_table_t);
    p = ngx_align_ptr(p, set);

    if (p + set > (u_char *) addr + size) {
        return NULL;
    }

    table->seed[0] = seed[0];
    table->seed[1] = seed[1];
    table->entries = (ngx_http_gateway_limit_entry_t *) p;
    table->nsets = ((u_char *) addr + size - p) / set;
    table->evictions = 0;

    return table;
}


ngx_int_t
ngx_http_gateway_limit_take(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    ngx_http_gateway_limit_entry_t  *entry;

    ngx_memzero(result, sizeof(ngx_http_gateway_limit_result_t));

    entry = ngx_http_gateway_limit_find(table, request, result);

    if (entry == NULL) {

        if (request->on_full == NGX_HTTP_GATEWAY_LIMIT_PASS) {
            return NGX_OK;
        }

        /* result->wait: until the first bucket of the set is full */

        return NGX_DECLINED;
    }

    return ngx_http_gateway_limit_charge(entry, request, result);
}


/* the upper half of the product: any number of sets, without a division */

static ngx_inline ngx_http_gateway_limit_entry_t *
ngx_http_gateway_limit_set(ngx_http_gateway_limit_table_t *table,
    uint64_t hash)
{
    size_t  n;

    n = ((unsigned __int128) hash * table->nsets) >> 64;

    return table->entries + n * NGX_HTTP_GATEWAY_LIMIT_WAYS;
}


/*
 * Looks for the key's entry in "set".  When it has none, the one to take over
 * is that whose time is the least: an entry that says as much as none, unused
 * or expired, if there is one; else that whose bucket is nearest to full.
 */

static ngx_inline ngx_uint_t
ngx_http_gateway_limit_look(ngx_http_gateway_limit_entry_t *set,
    uint64_t hash, ngx_http_gateway_limit_look_t *look)
{
    int64_t     time;
    uint64_t    tag;
    ngx_uint_t  i;

    look->entry = NULL;

    for (i = 0; i < NGX_HTTP_GATEWAY_LIMIT_WAYS; i++) {

        tag = ngx_http_gateway_limit_load(&set[i].tag);

        if (tag == hash) {
            look->entry = &set[i];
            return 1;
        }

        time = (int64_t) ngx_http_gateway_limit_load(&set[i].time);

        if (look->entry == NULL || time < look->time) {
            look->entry = &set[i];
            look->tag = tag;
            look->time = time;
        }
    }

    return 0;
}


/* Returns the key's entry, its old or its new one; NULL: the set is full. */

static ngx_http_gateway_limit_entry_t *
ngx_http_gateway_limit_find(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    ngx_http_gateway_limit_look_t    look;
    ngx_http_gateway_limit_entry_t  *set;

    set = ngx_http_gateway_limit_set(table, request->hash);

    do {

        if (ngx_http_gateway_limit_look(set, request->hash, &look)) {
            result->full = 0;
            return look.entry;
        }

        result->full = look.time > request->now;

        if (result->full
            && request->on_full != NGX_HTTP_GATEWAY_LIMIT_EVICT)
        {
            result->wait = look.time - request->now;
            return NULL;
        }

        /* fails when another key, or this one elsewhere, was faster */

    } while (!ngx_http_gateway_limit_cas(&look.entry->tag, look.tag,
                                         request->hash));

    if (result->full) {
        ngx_http_gateway_limit_add(&table->evictions, 1);
    }

    return look.entry;
}


static ngx_int_t
ngx_http_gateway_limit_charge(ngx_http_gateway_limit_entry_t *entry,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    int64_t  time, base, late;

    for ( ;; ) {

        time = (int64_t) ngx_http_gateway_limit_load(&entry->time);

        base = ngx_max(time, request->now);
        late = base - request->now + request->charge - request->capacity;

        if (late > request->delay) {
            result->debt = base - request->now;
            result->wait = late - request->delay;
            return NGX_DECLINED;
        }

        if (request->charge == 0
            || ngx_http_gateway_limit_cas(&entry->time, (uint64_t) time,
                                      (uint64_t) (base + request->charge)))
        {
            break;
        }
    }

    result->entry = entry;
    result->debt = base - request->now + request->charge;

    if (late > 0) {
        result->wait = late;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_limit_peek(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    int64_t                         time, late;
    ngx_http_gateway_limit_look_t   look;

    ngx_memzero(result, sizeof(ngx_http_gateway_limit_result_t));

    /* a key that is not there would begin with what the entry owes */

    if (ngx_http_gateway_limit_look(ngx_http_gateway_limit_set(table,
                                                               request->hash),
                                    request->hash, &look))
    {
        time = (int64_t) ngx_http_gateway_limit_load(&look.entry->time);

    } else {
        time = look.time;

        if (time > request->now) {

            switch (request->on_full) {

            case NGX_HTTP_GATEWAY_LIMIT_REJECT:
                result->wait = time - request->now;
                return NGX_DECLINED;

            case NGX_HTTP_GATEWAY_LIMIT_PASS:
                return NGX_OK;
            }
        }
    }

    result->debt = ngx_max(time - request->now, 0);

    late = result->debt + request->charge - request->capacity;

    if (late > request->delay) {
        result->wait = late - request->delay;
        return NGX_DECLINED;
    }

    if (late > 0) {
        result->wait = late;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


/*
 * What was charged is owed until the time that the charge led to.  What has
 * passed of it since has come back by itself: to give that again would make
 * a bucket that others have emptied meanwhile hold more than its capacity.
 */

int64_t
ngx_http_gateway_limit_refund(ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result, int64_t now)
{
    int64_t                          back;
    ngx_http_gateway_limit_entry_t  *entry;

    entry = result->entry;

    if (entry == NULL) {
        return 0;
    }

    result->entry = NULL;

    back = ngx_min(request->charge, request->now + result->debt - now);

    if (back <= 0
        || ngx_http_gateway_limit_load(&entry->tag) != request->hash)
    {
        return 0;
    }

    ngx_http_gateway_limit_add(&entry->time, -back);

    return back;
}
