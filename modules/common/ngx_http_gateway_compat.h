
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The one place that knows about differences between nginx versions.  Code
 * elsewhere has no version guard of its own.
 */


#ifndef _NGX_HTTP_GATEWAY_COMPAT_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (nginx_version < 1022001)
#error "ngx_gateway needs nginx 1.22.1 or newer"
#endif


/*
 * Pushes a header to "list", ready but for key and value.  Since 1.23.0
 * headers of one name are linked by "next", which has to be set even when
 * there is just one: core follows it.
 *
 * Returns NULL when there is no memory.
 */

static ngx_inline ngx_table_elt_t *
ngx_http_gateway_push_header(ngx_list_t *list)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


/* Takes a copy of a header out of the list of those of its name. */

static ngx_inline void
ngx_http_gateway_unlink_header(ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
}


/*
 * Makes the pushed header "h" known to core as a challenge, so that core takes
 * it back when another module satisfies the request ("satisfy any").  Before
 * 1.23.0 core remembers the last challenge only.
 */

static ngx_inline void
ngx_http_gateway_link_www_authenticate(ngx_http_request_t *r,
    ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)
    ngx_table_elt_t  **ph;

    ph = &r->headers_out.www_authenticate;

    while (*ph) {
        ph = &(*ph)->next;
    }

    *ph = h;
#else
    r->headers_out.www_authenticate = h;
#endif
}


/*
 * Makes the pushed header "h" known to core as Cache-Control, so that
 * "expires" takes its place instead of adding one.
 */

static ngx_inline ngx_int_t
ngx_http_gateway_link_cache_control(ngx_http_request_t *r, ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)

    r->headers_out.cache_control = h;

#else

    ngx_table_elt_t  **ph;

    if (r->headers_out.cache_control.elts == NULL
        && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.cache_control);
    if (ph == NULL) {
        return NGX_ERROR;
    }

    *ph = h;

#endif

    return NGX_OK;
}


/*
 * Makes core forget the request header whose place in ngx_http_headers_in_t is
 * "offset".  Before 1.23.0 headers that may repeat are kept in arrays.
 */

static ngx_inline void
ngx_http_gateway_clear_header_in(ngx_http_request_t *r, ngx_uint_t offset)
{
    char  *p;

    p = (char *) &r->headers_in + offset;

#if (nginx_version < 1023000)

    if (offset == offsetof(ngx_http_headers_in_t, cookies)
#if (NGX_HTTP_X_FORWARDED_FOR)
        || offset == offsetof(ngx_http_headers_in_t, x_forwarded_for)
#endif
       )
    {
        ngx_memzero(p, sizeof(ngx_array_t));
        return;
    }

#endif

    *(ngx_table_elt_t **) p = NULL;
}


#endif /* _NGX_HTTP_GATEWAY_COMPAT_H_INCLUDED_ */
