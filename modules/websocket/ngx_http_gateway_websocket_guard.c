
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the handshake of a proxied WebSocket: what of the client's reaches the
 * server, and whether the server's answer is one to it.  The tunnel that
 * follows is that of ngx_http_gateway_websocket_tunnel.c.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_tunnel.h"


static ngx_int_t ngx_http_gateway_websocket_guard_refusal(
    ngx_http_request_t *r, ngx_int_t rc);
static ngx_int_t ngx_http_gateway_websocket_guard_offers(
    ngx_http_request_t *r, ngx_http_gateway_websocket_guard_t *g);
static ngx_int_t ngx_http_gateway_websocket_guard_protocols(
    ngx_http_request_t *r, ngx_http_gateway_websocket_guard_t *g);
static ngx_int_t ngx_http_gateway_websocket_guard_rewrite(
    ngx_http_request_t *r, ngx_http_gateway_websocket_guard_t *g);
static ngx_int_t ngx_http_gateway_websocket_guard_set(ngx_list_t *list,
    char *name, char *lowcase, ngx_str_t *value);
static void ngx_http_gateway_websocket_guard_clear(ngx_http_request_t *r);
static ngx_uint_t ngx_http_gateway_websocket_guard_is_of(
    ngx_list_part_t *part, u_char *key);
static ngx_int_t ngx_http_gateway_websocket_guard_deflate(
    ngx_http_request_t *r, ngx_http_gateway_websocket_guard_t *g,
    ngx_str_t *response);


ngx_int_t
ngx_http_gateway_websocket_guard_handler(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_guard_t     *g;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    if (!wlcf->guard || wlcf->srv || wlcf->url || wlcf->serve
        || r != r->main)
    {
        return NGX_DECLINED;
    }

    rc = ngx_http_gateway_websocket_check_request(r);

    if (rc == NGX_OK) {
        rc = ngx_http_gateway_websocket_check_origin(r, wlcf);
    }

    if (rc != NGX_OK) {
        return ngx_http_gateway_websocket_guard_refusal(r, rc);
    }

    ctx = ngx_http_gateway_websocket_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    g = ngx_http_gateway_websocket_tunnel_create(r, wlcf);
    if (g == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_websocket_check_expires(r, wlcf, &g->expires);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_websocket_guard_offers(r, g);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_gateway_websocket_guard_rewrite(r, g) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->guard = g;

    return NGX_DECLINED;
}


/* the page of an error has its way, but for a WebSocket */

static ngx_int_t
ngx_http_gateway_websocket_guard_refusal(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (!r->error_page || ctx == NULL) {
        return rc;
    }

    ctx->problem.status = 0;

    return NGX_DECLINED;
}


/* what the server is to see of the extensions and subprotocols */

static ngx_int_t
ngx_http_gateway_websocket_guard_offers(ngx_http_request_t *r,
    ngx_http_gateway_websocket_guard_t *g)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                           "sec-websocket-key", &g->key);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_gateway_websocket_guard_protocols(r, g) != NGX_OK) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                              "\"Sec-WebSocket-Protocol\" is not a list of "
                              "names.");
    }

    rc = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-extensions", &value);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == 0) {
        return NGX_OK;
    }

    g->rewrite = 1;

    if (!g->conf->deflate) {
        return NGX_OK;
    }

    rc = ngx_http_gateway_websocket_deflate_filter(r->pool, &value,
                                                   &g->extensions);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                 "\"Sec-WebSocket-Extensions\" is malformed.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_guard_protocols(ngx_http_request_t *r,
    ngx_http_gateway_websocket_guard_t *g)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   value, rest, token;

    if (ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-protocol", &value)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    g->rewrite = 1;

    p = ngx_pnalloc(r->pool, 2 * value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    g->protocols.data = p;
    rest = value;

    for ( ;; ) {
        rc = ngx_http_gateway_websocket_next_token(&rest, &token);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        if (g->conf->protocols
            && ngx_http_gateway_websocket_find_protocol(g->conf->protocols,
                                                        &token)
               == NULL)
        {
            continue;
        }

        if (p != g->protocols.data) {
            *p++ = ','; *p++ = ' ';
        }

        p = ngx_cpymem(p, token.data, token.len);
    }

    g->protocols.len = p - g->protocols.data;

    return NGX_OK;
}


/*
 * The list of fields is made anew: core points to elements of the old one,
 * which stays where it is.
 */

static ngx_int_t
ngx_http_gateway_websocket_guard_rewrite(ngx_http_request_t *r,
    ngx_http_gateway_websocket_guard_t *g)
{
    ngx_uint_t        i, n;
    ngx_list_t       *list;
    ngx_list_part_t   old, *part;
    ngx_table_elt_t  *h, *copy;

    if (!g->rewrite) {
        return NGX_OK;
    }

    list = &r->headers_in.headers;
    old = list->part;

    for (n = 0, part = &old; part; part = part->next) {
        n += part->nelts;
    }

    if (ngx_list_init(list, r->pool, n, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    for (part = &old; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if ((h[i].key.len == 24
                 && ngx_strncasecmp(h[i].key.data,
                                    (u_char *) "sec-websocket-extensions", 24)
                    == 0)
                || (h[i].key.len == 22
                    && ngx_strncasecmp(h[i].key.data,
                                       (u_char *) "sec-websocket-protocol", 22)
                       == 0))
            {
                continue;
            }

            copy = ngx_list_push(list);
            if (copy == NULL) {
                return NGX_ERROR;
            }

            *copy = h[i];
        }
    }

    if (ngx_http_gateway_websocket_guard_set(list, "Sec-WebSocket-Extensions",
                                   "sec-websocket-extensions", &g->extensions)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_guard_set(list, "Sec-WebSocket-Protocol",
                                    "sec-websocket-protocol", &g->protocols);
}


static ngx_int_t
ngx_http_gateway_websocket_guard_set(ngx_list_t *list, char *name,
    char *lowcase, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (value->len == 0) {
        return NGX_OK;
    }

    h = ngx_http_gateway_push_header(list);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value = *value;

    return NGX_OK;
}


ngx_uint_t
ngx_http_gateway_websocket_guard_is_concerned(ngx_http_request_t *r,
    ngx_http_gateway_websocket_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    /* the page of an error is not the upstream's */

    if (u->cleanup == NULL) {
        return 0;
    }

    if (u->upgrade || u->headers_in.status_n == NGX_HTTP_SWITCHING_PROTOCOLS) {
        return 1;
    }

    /* what is no HTTP at all core takes for HTTP/0.9, and passes it on */

    if (ctx && ctx->guard && r->http_version < NGX_HTTP_VERSION_10) {
        r->http_version = NGX_HTTP_VERSION_11;
        return 1;
    }

    return 0;
}


ngx_int_t
ngx_http_gateway_websocket_guard_answer(ngx_http_request_t *r)
{
    char                                *error;
    ngx_str_t                            extensions;
    ngx_http_gateway_websocket_ctx_t    *ctx;
    ngx_http_gateway_websocket_guard_t  *g;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    g = ctx ? ctx->guard : NULL;

    if (g == NULL || r != r->main || !r->upstream->upgrade) {
        error = "no answer to a handshake, or a 101 without one";
        goto failed;
    }

    error = ngx_http_gateway_websocket_check_answer(r,
                                          &r->upstream->headers_in.headers,
                                          &g->key, &g->protocols, &extensions);
    if (error) {
        goto failed;
    }

    if (ngx_http_gateway_websocket_guard_deflate(r, g, &extensions)
        != NGX_OK)
    {
        error = "extension in the answer that was not offered";
        goto failed;
    }

    g->ready = 1;

    /* error_page may have led here, from a service that is away */

    if (r->headers_out.status != NGX_HTTP_SWITCHING_PROTOCOLS) {
        r->err_status = 0;
        r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
        ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    }

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream refused as a websocket: %s", error);

    ngx_http_gateway_websocket_guard_clear(r);

    if (ngx_http_gateway_websocket_get_ctx(r) == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_GATEWAY,
                                "The service's answer to the WebSocket "
                                "handshake is not valid.");
}


/* the fields of an answer that is refused: core copied them, keys and all */

static void
ngx_http_gateway_websocket_guard_clear(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_gateway_websocket_guard_is_of(
                                         &r->upstream->headers_in.headers.part,
                                         h[i].key.data))
            {
                h[i].hash = 0;
            }
        }
    }
}


static ngx_uint_t
ngx_http_gateway_websocket_guard_is_of(ngx_list_part_t *part, u_char *key)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    for ( /* void */ ; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.data == key) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_websocket_guard_deflate(ngx_http_request_t *r,
    ngx_http_gateway_websocket_guard_t *g, ngx_str_t *response)
{
    ngx_http_gateway_websocket_deflate_t  d;

    if (response->len == 0) {
        return NGX_OK;
    }

    if (g->extensions.len == 0
        || ngx_http_gateway_websocket_deflate_agreed(&g->extensions, response,
                                                     &d)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_tunnel_deflate(g, &d);
}
