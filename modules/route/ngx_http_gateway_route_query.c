
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Compares names and values of a query's arguments while they are decoded, so
 * that nothing has to be kept.  Each byte is read a few times at most.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_query.h"


static ngx_uint_t ngx_http_gateway_route_query_equal(u_char *p, u_char *last,
    ngx_str_t *text);
static u_char *ngx_http_gateway_route_query_decode(u_char *p, u_char *last,
    u_char *c);


ngx_uint_t
ngx_http_gateway_route_query(ngx_str_t *args, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *end, *last, *equals;

    p = args->data;
    last = args->data + args->len;

    while (p < last) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        equals = ngx_strlchr(p, end, '=');
        if (equals == NULL) {
            equals = end;
        }

        /* "&&" has no argument */

        if (p < end
            && ngx_http_gateway_route_query_equal(p, equals, name)
            && ngx_http_gateway_route_query_equal(ngx_min(equals + 1, end),
                                                  end, value))
        {
            return 1;
        }

        p = end + 1;
    }

    return 0;
}


static ngx_uint_t
ngx_http_gateway_route_query_equal(u_char *p, u_char *last, ngx_str_t *text)
{
    u_char  c;
    size_t  n;

    for (n = 0; p < last; n++) {

        p = ngx_http_gateway_route_query_decode(p, last, &c);

        if (n == text->len || c != text->data[n]) {
            return 0;
        }
    }

    return n == text->len;
}


static u_char *
ngx_http_gateway_route_query_decode(u_char *p, u_char *last, u_char *c)
{
    ngx_int_t  n;

    *c = (*p == '+') ? ' ' : *p;

    if (*p != '%' || last - p < 3) {
        return p + 1;
    }

    n = ngx_hextoi(p + 1, 2);

    if (n == NGX_ERROR) {
        return p + 1;
    }

    *c = (u_char) n;

    return p + 3;
}
