
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what client and server say about permessage-deflate in the field
 * Sec-WebSocket-Extensions, which is a list, RFC 6455, section 9.1:
 *
 *     1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) )
 *
 * with white space between any two of these, a string being a token once its
 * escapes are undone, and elements that are empty, RFC 9110, section 5.6.1.2.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_deflate.h"

#include "../common/ngx_http_gateway_token.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_NO_TAKEOVER  0x01
#define NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_NO_TAKEOVER  0x02
#define NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS         0x04
#define NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS         0x08
#define NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BARE         0x10


typedef struct {
    ngx_str_t                              name;
    ngx_uint_t                             flag;
} ngx_http_gateway_websocket_param_t;


typedef struct {
    u_char                                *pos;
    u_char                                *last;
    ngx_uint_t                             elements;  /* read so far */
} ngx_http_gateway_websocket_extensions_t;


typedef struct {
    ngx_str_t                              text;
    ngx_http_gateway_websocket_deflate_t   deflate;
    ngx_uint_t                             params;    /* those seen */
    unsigned                               offer:1;   /* it may be one */
    unsigned                               response:1;
} ngx_http_gateway_websocket_extension_t;


static u_char *ngx_http_gateway_websocket_deflate_write(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d, ngx_uint_t params);
static ngx_int_t ngx_http_gateway_websocket_deflate_one(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *d);
static ngx_uint_t ngx_http_gateway_websocket_deflate_answers(
    ngx_http_gateway_websocket_deflate_t *response,
    ngx_http_gateway_websocket_deflate_t *offer);

static void ngx_http_gateway_websocket_extensions(
    ngx_http_gateway_websocket_extensions_t *list, ngx_str_t *field);
static ngx_int_t ngx_http_gateway_websocket_extension(
    ngx_http_gateway_websocket_extensions_t *list,
    ngx_http_gateway_websocket_extension_t *e);
static u_char *ngx_http_gateway_websocket_param(u_char *p, u_char *last,
    ngx_http_gateway_websocket_extension_t *e);
static u_char *ngx_http_gateway_websocket_param_value(u_char *p, u_char *last,
    ngx_uint_t *bits);
static ngx_int_t ngx_http_gateway_websocket_param_set(
    ngx_http_gateway_websocket_extension_t *e, ngx_uint_t flag,
    ngx_uint_t valued, ngx_uint_t bits);
static u_char *ngx_http_gateway_websocket_skip_token(u_char *p, u_char *last);
static u_char *ngx_http_gateway_websocket_skip_space(u_char *p, u_char *last);


static ngx_str_t  ngx_http_gateway_websocket_deflate_name =
    ngx_string("permessage-deflate");

static ngx_http_gateway_websocket_param_t
    ngx_http_gateway_websocket_params[] =
{
    { ngx_string("server_no_context_takeover"),
      NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_NO_TAKEOVER },
    { ngx_string("client_no_context_takeover"),
      NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_NO_TAKEOVER },
    { ngx_string("server_max_window_bits"),
      NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS },
    { ngx_string("client_max_window_bits"),
      NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_gateway_websocket_deflate_choose(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_int_t                                rc;
    ngx_uint_t                               found;
    ngx_http_gateway_websocket_extension_t   e;
    ngx_http_gateway_websocket_extensions_t  list;

    found = 0;

    ngx_http_gateway_websocket_extensions(&list, field);

    while ((rc = ngx_http_gateway_websocket_extension(&list, &e)) == NGX_OK) {

        /*
         * A window of 8 bits is not for zlib to compress with: without a
         * header, which would tell of it, it does not make 9 of them.
         */

        if (found || !e.offer
            || e.deflate.server_bits
               < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS)
        {
            continue;
        }

        *d = e.deflate;
        found = 1;

        /*
         * Here they are a hint that needs no answer, section 7.1.2.2, and one
         * that a client with zlib could not keep to
         */

        if (d->client_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS) {
            d->client_bits = NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS;
            d->client_bits_named = 0;
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return found ? NGX_OK : NGX_DECLINED;
}


u_char *
ngx_http_gateway_websocket_deflate_response(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_uint_t  params;

    params = 0;

    if (d->server_bits_named
        || d->server_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS)
    {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS;
    }

    /* must not be there when the client has not named it */

    if (d->client_bits_named
        && d->client_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS)
    {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS;
    }

    return ngx_http_gateway_websocket_deflate_write(p, d, params);
}


u_char *
ngx_http_gateway_websocket_deflate_offer(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_uint_t  params;

    params = 0;

    if (d->server_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS) {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS;
    }

    if (d->client_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS) {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS;

    } else if (d->client_bits_named) {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS
                  |NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BARE;
    }

    return ngx_http_gateway_websocket_deflate_write(p, d, params);
}


/* "params" are those with bits; the others are known from "d" */

static u_char *
ngx_http_gateway_websocket_deflate_write(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d, ngx_uint_t params)
{
    ngx_uint_t                           bits;
    ngx_http_gateway_websocket_param_t  *param;

    if (d->server_no_takeover) {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_NO_TAKEOVER;
    }

    if (d->client_no_takeover) {
        params |= NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_NO_TAKEOVER;
    }

    p = ngx_cpymem(p, ngx_http_gateway_websocket_deflate_name.data,
                   ngx_http_gateway_websocket_deflate_name.len);

    for (param = ngx_http_gateway_websocket_params; param->name.len; param++) {

        if (!(params & param->flag)) {
            continue;
        }

        *p++ = ';';
        *p++ = ' ';
        p = ngx_cpymem(p, param->name.data, param->name.len);

        bits = 0;

        if (param->flag == NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS) {
            bits = d->server_bits;

        } else if (param->flag == NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS
                   && !(params & NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BARE))
        {
            bits = d->client_bits;
        }

        if (bits) {
            *p++ = '=';

            if (bits >= 10) {
                *p++ = '1';
            }

            *p++ = (u_char) ('0' + bits % 10);
        }
    }

    return p;
}


ngx_int_t
ngx_http_gateway_websocket_deflate_accept(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *offered,
    ngx_http_gateway_websocket_deflate_t *agreed)
{
    ngx_http_gateway_websocket_deflate_t  offer;

    if (ngx_http_gateway_websocket_deflate_one(field, agreed) != NGX_OK) {
        return NGX_ERROR;
    }

    offer = *offered;

    if (offer.client_bits < NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS) {
        offer.client_bits_named = 1;
    }

    return ngx_http_gateway_websocket_deflate_answers(agreed, &offer)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_gateway_websocket_deflate_filter(ngx_pool_t *pool, ngx_str_t *field,
    ngx_str_t *out)
{
    u_char                                  *p;
    ngx_int_t                                rc;
    ngx_http_gateway_websocket_extension_t   e;
    ngx_http_gateway_websocket_extensions_t  list;

    ngx_str_null(out);
    p = NULL;

    ngx_http_gateway_websocket_extensions(&list, field);

    while ((rc = ngx_http_gateway_websocket_extension(&list, &e)) == NGX_OK) {

        if (!e.offer) {
            continue;
        }

        /* what stays is not longer: there were commas, too */

        if (p == NULL) {
            p = ngx_pnalloc(pool, field->len);
            if (p == NULL) {
                return NGX_ERROR;
            }

            out->data = p;

        } else {
            *p++ = ',';
        }

        p = ngx_cpymem(p, e.text.data, e.text.len);
    }

    if (rc == NGX_ERROR) {
        ngx_str_null(out);
        return NGX_DECLINED;
    }

    if (p != NULL) {
        out->len = p - out->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_deflate_agreed(ngx_str_t *offers,
    ngx_str_t *response, ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_http_gateway_websocket_extension_t   e;
    ngx_http_gateway_websocket_extensions_t  list;

    if (ngx_http_gateway_websocket_deflate_one(response, d) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_websocket_extensions(&list, offers);

    while (ngx_http_gateway_websocket_extension(&list, &e) == NGX_OK) {

        if (e.offer
            && ngx_http_gateway_websocket_deflate_answers(d, &e.deflate))
        {
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* a response names one extension */

static ngx_int_t
ngx_http_gateway_websocket_deflate_one(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_http_gateway_websocket_extension_t   e, more;
    ngx_http_gateway_websocket_extensions_t  list;

    ngx_http_gateway_websocket_extensions(&list, field);

    if (ngx_http_gateway_websocket_extension(&list, &e) != NGX_OK
        || ngx_http_gateway_websocket_extension(&list, &more) != NGX_DONE
        || !e.response)
    {
        return NGX_ERROR;
    }

    *d = e.deflate;

    return NGX_OK;
}


/*
 * A server may limit itself, and end the client's contexts, unasked.  It
 * should not leave out what the client has asked of it, sections 7.1.1.1 and
 * 7.1.2.1; but well known servers do, and clients live with that.  Who
 * inflates goes by the response, which asks for no less memory.
 */

static ngx_uint_t
ngx_http_gateway_websocket_deflate_answers(
    ngx_http_gateway_websocket_deflate_t *response,
    ngx_http_gateway_websocket_deflate_t *offer)
{
    if (response->server_bits_named
        && response->server_bits > offer->server_bits)
    {
        return 0;
    }

    return !response->client_bits_named
           || (offer->client_bits_named
               && response->client_bits <= offer->client_bits);
}


static void
ngx_http_gateway_websocket_extensions(
    ngx_http_gateway_websocket_extensions_t *list, ngx_str_t *field)
{
    list->pos = field->data;
    list->last = field->data + field->len;
    list->elements = 0;
}


/*
 * Reads the next element.  Returns NGX_OK, NGX_DONE when there is no other
 * one, or NGX_ERROR when the list is malformed, which one without elements is.
 */

static ngx_int_t
ngx_http_gateway_websocket_extension(
    ngx_http_gateway_websocket_extensions_t *list,
    ngx_http_gateway_websocket_extension_t *e)
{
    u_char  *p, *last;

    p = list->pos;
    last = list->last;

    /* the comma after the element before, and empty elements */

    while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) {
        p++;
    }

    if (p == last) {
        return list->elements ? NGX_DONE : NGX_ERROR;
    }

    list->elements++;

    ngx_memzero(e, sizeof(ngx_http_gateway_websocket_extension_t));

    e->deflate.server_bits = NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS;
    e->deflate.client_bits = NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS;

    e->text.data = p;

    p = ngx_http_gateway_websocket_skip_token(p, last);

    if (p == e->text.data) {
        return NGX_ERROR;
    }

    if ((size_t) (p - e->text.data)
        == ngx_http_gateway_websocket_deflate_name.len
        && ngx_memcmp(e->text.data,
                      ngx_http_gateway_websocket_deflate_name.data,
                      ngx_http_gateway_websocket_deflate_name.len) == 0)
    {
        e->offer = 1;
        e->response = 1;
    }

    for ( ;; ) {
        e->text.len = p - e->text.data;

        p = ngx_http_gateway_websocket_skip_space(p, last);

        if (p == last || *p == ',') {
            list->pos = p;
            return NGX_OK;
        }

        if (*p != ';') {
            return NGX_ERROR;
        }

        p = ngx_http_gateway_websocket_param(p + 1, last, e);

        if (p == NULL) {
            return NGX_ERROR;
        }
    }
}


/* returns the end of the parameter, or NULL when it is malformed */

static u_char *
ngx_http_gateway_websocket_param(u_char *p, u_char *last,
    ngx_http_gateway_websocket_extension_t *e)
{
    u_char                              *value;
    ngx_str_t                            name;
    ngx_uint_t                           valued, bits;
    ngx_http_gateway_websocket_param_t  *param;

    name.data = ngx_http_gateway_websocket_skip_space(p, last);

    p = ngx_http_gateway_websocket_skip_token(name.data, last);

    name.len = p - name.data;

    if (name.len == 0) {
        return NULL;
    }

    valued = 0;
    bits = 0;

    value = ngx_http_gateway_websocket_skip_space(p, last);

    if (value < last && *value == '=') {

        value = ngx_http_gateway_websocket_skip_space(value + 1, last);

        p = ngx_http_gateway_websocket_param_value(value, last, &bits);

        if (p == NULL) {
            return NULL;
        }

        valued = 1;
    }

    for (param = ngx_http_gateway_websocket_params; param->name.len; param++) {

        if (name.len == param->name.len
            && ngx_memcmp(name.data, param->name.data, name.len) == 0)
        {
            break;
        }
    }

    if (ngx_http_gateway_websocket_param_set(e, param->flag, valued, bits)
        != NGX_OK)
    {
        e->offer = 0;
        e->response = 0;
    }

    return p;
}


/*
 * Sets "*bits" to the value when it is one of window bits, 8 to 15 without a
 * zero in front, and to 0 when it is not.
 *
 * Returns the end of the value, or NULL when it is malformed.
 */

static u_char *
ngx_http_gateway_websocket_param_value(u_char *p, u_char *last,
    ngx_uint_t *bits)
{
    u_char      c, text[2];
    size_t      len;
    ngx_uint_t  quoted;

    quoted = (p < last && *p == '"');
    p += quoted;

    for (len = 0; p < last; p++, len++) {
        c = *p;

        if (quoted && c == '"') {
            break;
        }

        if (quoted && c == '\\') {

            if (++p == last) {
                return NULL;
            }

            c = *p;
        }

        if (!ngx_http_gateway_is_tchar(c)) {

            if (quoted) {
                return NULL;
            }

            break;
        }

        if (len < 2) {
            text[len] = c;
        }
    }

    if (len == 0 || (quoted && p == last)) {
        return NULL;
    }

    *bits = 0;

    if (len == 1 && (text[0] == '8' || text[0] == '9')) {
        *bits = text[0] - '0';

    } else if (len == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5')
    {
        *bits = 10 + text[1] - '0';
    }

    return p + quoted;
}


static ngx_int_t
ngx_http_gateway_websocket_param_set(
    ngx_http_gateway_websocket_extension_t *e, ngx_uint_t flag,
    ngx_uint_t valued, ngx_uint_t bits)
{
    if (flag == 0 || (e->params & flag)) {
        return NGX_DECLINED;
    }

    e->params |= flag;

    switch (flag) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_NO_TAKEOVER:
        e->deflate.server_no_takeover = 1;
        return valued ? NGX_DECLINED : NGX_OK;

    case NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_NO_TAKEOVER:
        e->deflate.client_no_takeover = 1;
        return valued ? NGX_DECLINED : NGX_OK;

    case NGX_HTTP_GATEWAY_WEBSOCKET_SERVER_BITS:
        e->deflate.server_bits_named = 1;
        e->deflate.server_bits = (u_char) bits;
        return bits ? NGX_OK : NGX_DECLINED;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_CLIENT_BITS */
        e->deflate.client_bits_named = 1;

        /* in an offer it may say just that responses may have it */

        if (!valued) {
            e->response = 0;
            return NGX_OK;
        }

        e->deflate.client_bits = (u_char) bits;
        return bits ? NGX_OK : NGX_DECLINED;
    }
}


static u_char *
ngx_http_gateway_websocket_skip_token(u_char *p, u_char *last)
{
    while (p < last && ngx_http_gateway_is_tchar(*p)) {
        p++;
    }

    return p;
}


static u_char *
ngx_http_gateway_websocket_skip_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}
