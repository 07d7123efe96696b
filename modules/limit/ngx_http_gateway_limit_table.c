
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


static ngx_inline ngx_http_gateway_limit_entry_t *ngx_http_gateway_limit_set(
    ngx_http_gateway_limit_table_t *table, uint64_t hash);
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
 * Returns the key's entry: the one it has; else one that says as much as none,
 * an unused or an expired one; else, if the zone evicts, the one whose bucket
 * is nearest to full.  NULL: the set is full.
 */

static ngx_http_gateway_limit_entry_t *
ngx_http_gateway_limit_find(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    int64_t                          time, least;
    uint64_t                         tag, victim_tag;
    ngx_uint_t                       i;
    ngx_http_gateway_limit_entry_t  *set, *victim;

    set = ngx_http_gateway_limit_set(table, request->hash);

again:

    victim = NULL;
    victim_tag = 0;
    least = 0;

    for (i = 0; i < NGX_HTTP_GATEWAY_LIMIT_WAYS; i++) {

        tag = ngx_http_gateway_limit_load(&set[i].tag);

        if (tag == request->hash) {
            return &set[i];
        }

        time = (int64_t) ngx_http_gateway_limit_load(&set[i].time);

        if (victim == NULL || time < least) {
            victim = &set[i];
            victim_tag = tag;
            least = time;
        }
    }

    if (least > request->now) {

        result->full = 1;

        if (request->on_full != NGX_HTTP_GATEWAY_LIMIT_EVICT) {
            result->wait = least - request->now;
            return NULL;
        }
    }

    if (!ngx_http_gateway_limit_cas(&victim->tag, victim_tag, request->hash)) {

        /* taken by another key, or by this one in another worker */

        result->full = 0;
        goto again;
    }

    if (result->full) {
        ngx_http_gateway_limit_add(&table->evictions, 1);
    }

    return victim;
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
    int64_t                          time, late;
    ngx_uint_t                       i;
    ngx_http_gateway_limit_entry_t  *set;

    ngx_memzero(result, sizeof(ngx_http_gateway_limit_result_t));

    set = ngx_http_gateway_limit_set(table, request->hash);
    time = request->now;

    for (i = 0; i < NGX_HTTP_GATEWAY_LIMIT_WAYS; i++) {
        if (ngx_http_gateway_limit_load(&set[i].tag) == request->hash) {
            time = (int64_t) ngx_http_gateway_limit_load(&set[i].time);
            break;
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
 * A time before now is a full bucket, however long before: a refund that is
 * late gives nothing away.
 */

void
ngx_http_gateway_limit_refund(ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result)
{
    if (result->entry == NULL
        || ngx_http_gateway_limit_load(&result->entry->tag) != request->hash)
    {
        return;
    }

    ngx_http_gateway_limit_add(&result->entry->time, -request->charge);
    result->entry = NULL;
}
