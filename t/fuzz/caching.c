
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Header fields about caching, as backends send them.  A line of the input is
 * a field: "c" is Cache-Control, "a" Age, "v" Vary, and the rest of the line
 * its value; an empty line ends an answer.
 *
 * What comes of them has to be well formed, and to mean itself; and an answer
 * more never lets the whole be kept longer, or by more caches.
 */


#include "fuzz.h"

#include "ngx_http_gateway_aggregate_caching.h"


static void fuzz_field(ngx_http_gateway_aggregate_caching_t *c, u_char *p,
    u_char *end);
static void fuzz_control(ngx_http_gateway_aggregate_caching_t *c,
    ngx_str_t *value);
static void fuzz_stricter(ngx_str_t *before, ngx_str_t *after);
static ngx_uint_t fuzz_says(ngx_str_t *value, const char *directive);
static ngx_int_t fuzz_seconds(ngx_str_t *value, const char *directive);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    u_char                                *p, *end, *last;
    ngx_str_t                              before, value, vary;
    ngx_uint_t                             open;
    ngx_http_gateway_aggregate_caching_t   c;

    ngx_http_gateway_aggregate_caching_init(&c, pool);

    ngx_http_gateway_aggregate_caching_begin(&c);
    ngx_str_null(&before);

    p = input->data;
    last = p + input->len;
    open = 1;

    while (p < last) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        if (end > p) {
            fuzz_field(&c, p, end);
            open = 1;

        } else {
            ngx_http_gateway_aggregate_caching_end(&c);
            fuzz_control(&c, &value);

            if (c.responses > 1) {
                fuzz_stricter(&before, &value);
            }

            before = value;

            ngx_http_gateway_aggregate_caching_begin(&c);
            open = 0;
        }

        p = end + 1;
    }

    if (open) {
        ngx_http_gateway_aggregate_caching_end(&c);
    }

    fuzz_control(&c, &value);

    fuzz_check(ngx_http_gateway_aggregate_caching_vary(&c, &vary) == NGX_OK);
    fuzz_check(vary.len == 0 || (vary.data[0] != ',' && vary.data[0] != ' '));

    return value.len ? "kept" : "nothing";
}


static void
fuzz_field(ngx_http_gateway_aggregate_caching_t *c, u_char *p, u_char *end)
{
    ngx_str_t  name, value;

    switch (*p) {

    case 'c':
        ngx_str_set(&name, "cache-control");
        break;

    case 'a':
        ngx_str_set(&name, "AGE");
        break;

    case 'v':
        ngx_str_set(&name, "Vary");
        break;

    default:
        ngx_str_set(&name, "Date");
        break;
    }

    value.data = p + 1;
    value.len = end - p - 1;

    ngx_http_gateway_aggregate_caching_field(c, &name, &value);
}


/* what is said is what it would be read as */

static void
fuzz_control(ngx_http_gateway_aggregate_caching_t *c, ngx_str_t *value)
{
    ngx_str_t                             name, again;
    ngx_uint_t                            i;
    ngx_http_gateway_aggregate_caching_t  other;

    fuzz_check(ngx_http_gateway_aggregate_caching_control(c, value) == NGX_OK);

    for (i = 0; i < value->len; i++) {
        fuzz_check((value->data[i] >= 'a' && value->data[i] <= 'z')
                   || (value->data[i] >= '0' && value->data[i] <= '9')
                   || strchr("=-, ", value->data[i]) != NULL);
    }

    ngx_http_gateway_aggregate_caching_init(&other, c->pool);
    ngx_http_gateway_aggregate_caching_begin(&other);

    ngx_str_set(&name, "Cache-Control");
    ngx_http_gateway_aggregate_caching_field(&other, &name, value);

    ngx_http_gateway_aggregate_caching_end(&other);

    fuzz_check(ngx_http_gateway_aggregate_caching_control(&other, &again)
               == NGX_OK);
    fuzz_check(again.len == value->len
               && memcmp(again.data, value->data, again.len) == 0);
}


static void
fuzz_stricter(ngx_str_t *before, ngx_str_t *after)
{
    ngx_uint_t   i;

    static const char  *strict[] = {
        "private", "no-cache", "no-store", "no-transform", "must-revalidate",
        "proxy-revalidate", NULL
    };

    for (i = 0; strict[i]; i++) {
        fuzz_check(!fuzz_says(before, strict[i])
                   || fuzz_says(after, strict[i]));
    }

    fuzz_check(!fuzz_says(after, "public") || fuzz_says(before, "public"));

    fuzz_check(fuzz_seconds(after, "max-age=")
               <= fuzz_seconds(before, "max-age="));

    fuzz_check(!fuzz_says(before, "s-maxage=") || !fuzz_says(after, "s-maxage=")
               || fuzz_seconds(after, "s-maxage=")
                  <= fuzz_seconds(before, "s-maxage="));
}


static ngx_uint_t
fuzz_says(ngx_str_t *value, const char *directive)
{
    return value->len != 0
           && memmem(value->data, value->len, directive, strlen(directive))
              != NULL;
}


static ngx_int_t
fuzz_seconds(ngx_str_t *value, const char *directive)
{
    char    text[256];
    char   *p;

    fuzz_check(value->len < sizeof(text));

    if (value->len) {
        memcpy(text, value->data, value->len);
    }

    text[value->len] = '\0';

    p = strstr(text, directive);

    return p ? (ngx_int_t) strtoll(p + strlen(directive), NULL, 10) : -1;
}
