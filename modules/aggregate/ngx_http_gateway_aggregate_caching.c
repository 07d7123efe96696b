
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what the header fields Cache-Control, Age and Vary of the parts come to
 * for the whole.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_aggregate_caching.h"


#define NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC    0x01
#define NGX_HTTP_GATEWAY_AGGREGATE_PRIVATE   0x02
#define NGX_HTTP_GATEWAY_AGGREGATE_NO_STORE  0x08


typedef struct {
    ngx_str_t      name;
    ngx_uint_t     flag;
} ngx_http_gateway_aggregate_directive_t;


static void ngx_http_gateway_aggregate_caching_parse(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value);
static void ngx_http_gateway_aggregate_caching_directive(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *name,
    ngx_str_t *argument);
static void ngx_http_gateway_aggregate_caching_seconds(ngx_int_t *seconds,
    ngx_str_t *argument);
static void ngx_http_gateway_aggregate_caching_add_vary(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value);
static ngx_uint_t ngx_http_gateway_aggregate_caching_is(ngx_str_t *text,
    char *name);


/* all but "public" hold when one of the answers says so */

static ngx_http_gateway_aggregate_directive_t
    ngx_http_gateway_aggregate_directives[] =
{
    { ngx_string("public"), NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC },
    { ngx_string("private"), NGX_HTTP_GATEWAY_AGGREGATE_PRIVATE },
    { ngx_string("no-cache"), 0x04 },
    { ngx_string("no-store"), NGX_HTTP_GATEWAY_AGGREGATE_NO_STORE },
    { ngx_string("no-transform"), 0x10 },
    { ngx_string("must-revalidate"), 0x20 },
    { ngx_string("proxy-revalidate"), 0x40 },
    { ngx_null_string, 0 }
};


void
ngx_http_gateway_aggregate_caching_init(
    ngx_http_gateway_aggregate_caching_t *c, ngx_pool_t *pool)
{
    ngx_memzero(c, sizeof(ngx_http_gateway_aggregate_caching_t));

    c->pool = pool;
}


void
ngx_http_gateway_aggregate_caching_begin(
    ngx_http_gateway_aggregate_caching_t *c)
{
    c->one.max_age = -1;
    c->one.s_maxage = -1;
    c->one.age = 0;
    c->one.flags = 0;
}


void
ngx_http_gateway_aggregate_caching_field(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *name, ngx_str_t *value)
{
    switch (name->len) {

    case sizeof("Age") - 1:
        if (ngx_http_gateway_aggregate_caching_is(name, "Age")) {
            c->one.age = ngx_atoi(value->data, value->len);
        }

        break;

    case sizeof("Vary") - 1:
        if (ngx_http_gateway_aggregate_caching_is(name, "Vary")) {
            ngx_http_gateway_aggregate_caching_add_vary(c, value);
        }

        break;

    case sizeof("Cache-Control") - 1:
        if (ngx_http_gateway_aggregate_caching_is(name, "Cache-Control")) {
            ngx_http_gateway_aggregate_caching_parse(c, value);
        }

        break;

    default:
        break;
    }
}


/* a list of "NAME", "NAME=TOKEN" or "NAME=\"STRING\"" */

static void
ngx_http_gateway_aggregate_caching_parse(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t   name, argument;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        name.data = p;

        while (p < last && *p != ',' && *p != '=' && *p != ' ' && *p != '\t') {
            p++;
        }

        name.len = p - name.data;

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        ngx_str_null(&argument);

        if (p < last && *p == '=') {
            p++;

            while (p < last && (*p == ' ' || *p == '\t')) {
                p++;
            }

            if (p < last && *p == '"') {
                argument.data = ++p;

                while (p < last && *p != '"') {
                    p += (*p == '\\' && last - p > 1) ? 2 : 1;
                }

                argument.len = p - argument.data;

            } else {
                argument.data = p;

                while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
                    p++;
                }

                argument.len = p - argument.data;
            }
        }

        while (p < last && *p != ',') {
            p++;
        }

        ngx_http_gateway_aggregate_caching_directive(c, &name, &argument);
    }
}


static void
ngx_http_gateway_aggregate_caching_directive(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *name,
    ngx_str_t *argument)
{
    ngx_http_gateway_aggregate_directive_t  *d;

    if (ngx_http_gateway_aggregate_caching_is(name, "max-age")) {
        ngx_http_gateway_aggregate_caching_seconds(&c->one.max_age, argument);
        return;
    }

    if (ngx_http_gateway_aggregate_caching_is(name, "s-maxage")) {
        ngx_http_gateway_aggregate_caching_seconds(&c->one.s_maxage, argument);
        return;
    }

    for (d = ngx_http_gateway_aggregate_directives; d->name.len; d++) {

        if (ngx_http_gateway_aggregate_caching_is(name, (char *) d->name.data))
        {
            c->one.flags |= d->flag;
            return;
        }
    }
}


/* what is not a number is stale already, RFC 9111, section 4.2.1 */

static void
ngx_http_gateway_aggregate_caching_seconds(ngx_int_t *seconds,
    ngx_str_t *argument)
{
    ngx_int_t  n;

    n = ngx_atoi(argument->data, argument->len);

    if (n == NGX_ERROR) {
        n = 0;
    }

    if (*seconds == -1 || n < *seconds) {
        *seconds = n;
    }
}


static void
ngx_http_gateway_aggregate_caching_add_vary(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value)
{
    u_char      *p, *last, *start;
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (c->vary == NULL) {
        c->vary = ngx_array_create(c->pool, 2, sizeof(ngx_str_t));
        if (c->vary == NULL) {
            c->failed = 1;
            return;
        }
    }

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        start = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        if (p - start == 1 && *start == '*') {
            c->vary_all = 1;
            continue;
        }

        name = c->vary->elts;

        for (i = 0; i < c->vary->nelts; i++) {

            if (name[i].len == (size_t) (p - start)
                && ngx_strncasecmp(name[i].data, start, name[i].len) == 0)
            {
                break;
            }
        }

        if (i < c->vary->nelts) {
            continue;
        }

        /* the names are compared with one another: there are never many */

        if (c->vary->nelts == 32) {
            c->vary_all = 1;
            return;
        }

        name = ngx_array_push(c->vary);
        if (name == NULL) {
            c->failed = 1;
            return;
        }

        name->data = start;
        name->len = p - start;
    }
}


void
ngx_http_gateway_aggregate_caching_end(
    ngx_http_gateway_aggregate_caching_t *c)
{
    ngx_int_t                                shared;
    ngx_http_gateway_aggregate_freshness_t  *all, *one;

    all = &c->all;
    one = &c->one;

    shared = one->s_maxage != -1 ? one->s_maxage : one->max_age;

    if (one->s_maxage != -1) {
        c->shared = 1;
    }

    /* an unknown age is too old; what others have kept is so much older */

    if (one->age == NGX_ERROR) {
        one->max_age = one->max_age == -1 ? -1 : 0;
        shared = shared == -1 ? -1 : 0;

    } else {
        one->max_age = one->max_age == -1
                       ? -1 : ngx_max(one->max_age - one->age, 0);
        shared = shared == -1 ? -1 : ngx_max(shared - one->age, 0);
    }

    if (c->responses++ == 0) {
        all->max_age = one->max_age;
        all->s_maxage = shared;
        all->flags = one->flags;
        return;
    }

    /* -1, being the smallest, stays */

    all->max_age = ngx_min(all->max_age, one->max_age);
    all->s_maxage = ngx_min(all->s_maxage, shared);

    if (!(one->flags & NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC)) {
        all->flags &= ~NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC;
    }

    all->flags |= one->flags & ~NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC;
}


ngx_int_t
ngx_http_gateway_aggregate_caching_control(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value)
{
    size_t                                   len;
    u_char                                  *p;
    ngx_uint_t                               flags;
    ngx_http_gateway_aggregate_directive_t  *d;

    ngx_str_null(value);

    if (c->failed) {
        return NGX_ERROR;
    }

    if (c->responses == 0) {
        return NGX_OK;
    }

    len = sizeof("max-age=, s-maxage=, ") - 1 + 2 * NGX_INT_T_LEN;

    for (d = ngx_http_gateway_aggregate_directives; d->name.len; d++) {
        len += d->name.len + 2;
    }

    value->data = ngx_pnalloc(c->pool, len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = value->data;
    flags = c->all.flags;

    /* they contradict "public" */

    if (flags & (NGX_HTTP_GATEWAY_AGGREGATE_PRIVATE
                 |NGX_HTTP_GATEWAY_AGGREGATE_NO_STORE))
    {
        flags &= ~NGX_HTTP_GATEWAY_AGGREGATE_PUBLIC;
    }

    for (d = ngx_http_gateway_aggregate_directives; d->name.len; d++) {
        if (flags & d->flag) {
            p = ngx_sprintf(p, "%V, ", &d->name);
        }
    }

    if (c->all.max_age != -1) {
        p = ngx_sprintf(p, "max-age=%i, ", c->all.max_age);
    }

    if (c->shared && c->all.s_maxage != -1) {
        p = ngx_sprintf(p, "s-maxage=%i, ", c->all.s_maxage);
    }

    value->len = p - value->data;

    if (value->len) {
        value->len -= 2;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_aggregate_caching_vary(
    ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *name;
    ngx_uint_t   i;

    ngx_str_null(value);

    if (c->failed) {
        return NGX_ERROR;
    }

    if (c->vary_all) {
        ngx_str_set(value, "*");
        return NGX_OK;
    }

    if (c->vary == NULL || c->vary->nelts == 0) {
        return NGX_OK;
    }

    name = c->vary->elts;
    len = 0;

    for (i = 0; i < c->vary->nelts; i++) {
        len += name[i].len + 2;
    }

    p = ngx_pnalloc(c->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = 0; i < c->vary->nelts; i++) {
        p = ngx_cpymem(p, name[i].data, name[i].len);
        *p++ = ',';
        *p++ = ' ';
    }

    value->len = len - 2;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_aggregate_caching_is(ngx_str_t *text, char *name)
{
    return text->len == ngx_strlen(name)
           && ngx_strncasecmp(text->data, (u_char *) name, text->len) == 0;
}
