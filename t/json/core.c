
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The little of nginx's core that is needed, with each allocation in memory of
 * just its size.  The headers of an installed nginx come without its sources.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "core.h"


static void *core_new(size_t size);


static ngx_int_t   core_left = -1;
static ngx_uint_t  core_has_failed;


ngx_pool_t *
core_pool(void)
{
    return calloc(1, sizeof(ngx_pool_t));
}


void
core_free(ngx_pool_t *pool)
{
    ngx_pool_large_t  *l, *next;

    for (l = pool->large; l; l = next) {
        next = l->next;
        free(l->alloc);
        free(l);
    }

    free(pool);
}


void
core_allocations(ngx_int_t n)
{
    core_left = n;
    core_has_failed = 0;
}


ngx_uint_t
core_failed(void)
{
    return core_has_failed;
}


static void *
core_new(size_t size)
{
    if (core_left >= 0 && core_left-- == 0) {
        core_has_failed = 1;
        return NULL;
    }

    return malloc(size);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    ngx_pool_large_t  *l;

    l = malloc(sizeof(ngx_pool_large_t));

    l->alloc = core_new(size);
    l->next = pool->large;
    pool->large = l;

    return l->alloc;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    if (p != NULL) {
        ngx_memzero(p, size);
    }

    return p;
}


void *
ngx_array_push(ngx_array_t *a)
{
    void  *p;

    if (a->nelts == a->nalloc) {
        p = ngx_palloc(a->pool, 2 * a->nalloc * a->size);

        if (p == NULL) {
            return NULL;
        }

        ngx_memcpy(p, a->elts, a->nelts * a->size);

        a->elts = p;
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->size * a->nelts++;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    if (n == 0) {
        return NGX_ERROR;
    }

    for (value = 0; n--; line++) {

        if (*line < '0' || *line > '9'
            || value > (NGX_MAX_INT_T_VALUE - (*line - '0')) / 10)
        {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}
