
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what is read and checked of opening handshakes, RFC 6455, section 4.
 * Never sends anything.
 */


#include "ngx_http_gateway_websocket.h"

#include <ngx_sha1.h>


static ngx_int_t ngx_http_gateway_websocket_check_version(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_gateway_websocket_is_origin(
    ngx_http_gateway_websocket_origin_t *origin, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_websocket_parse_time(ngx_str_t *value,
    uint64_t *ms);


void
ngx_http_gateway_websocket_accept(ngx_str_t *key, u_char *accept)
{
    u_char      digest[20];
    ngx_str_t   src, dst;
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    ngx_sha1_final(digest, &sha1);

    src.len = sizeof(digest);
    src.data = digest;
    dst.data = accept;

    ngx_encode_base64(&dst, &src);
}


ngx_int_t
ngx_http_gateway_websocket_check_request(ngx_http_request_t *r)
{
    u_char      decoded[NGX_HTTP_GATEWAY_WEBSOCKET_KEY_LEN];
    ngx_int_t   n;
    ngx_str_t   upgrade, value, dst;

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-key", &value);
    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->http_version >= NGX_HTTP_VERSION_20) {

        if (n == 0 && r->headers_in.upgrade == NULL
            && ngx_http_gateway_websocket_fields(r->pool,
                                                 &r->headers_in.headers,
                                                 "sec-websocket-version",
                                                 &value)
               == 0)
        {
            return NGX_DECLINED;
        }

        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                          "A WebSocket needs HTTP/1.1 here: the protocol of "
                          "this connection has no way to upgrade.");
    }

    if (r->headers_in.upgrade == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "upgrade", &upgrade)
        != 1
        || upgrade.len != 9
        || ngx_strncasecmp(upgrade.data, (u_char *) "websocket", 9) != 0)
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                   "Only \"Upgrade: websocket\" is possible.");
    }

    if (r->method != NGX_HTTP_GET || r->http_version < NGX_HTTP_VERSION_11) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                         "A WebSocket is opened with GET and HTTP/1.1.");
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                             "A WebSocket is opened without a request body.");
    }

    dst.data = decoded;

    if (n != 1 || value.len != NGX_HTTP_GATEWAY_WEBSOCKET_KEY_LEN
        || ngx_decode_base64(&dst, &value) != NGX_OK
        || dst.len != 16)
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                        "\"Sec-WebSocket-Key\" has to be there once, 16 bytes "
                        "in base64.");
    }

    if (ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "connection", &value)
        < 1
        || !ngx_http_gateway_websocket_has_token(&value, "upgrade"))
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                  "There is no \"Connection: upgrade\".");
    }

    return ngx_http_gateway_websocket_check_version(r);
}


/* section 4.4 */

static ngx_int_t
ngx_http_gateway_websocket_check_version(ngx_http_request_t *r)
{
    ngx_int_t  n;
    ngx_str_t  value;

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-version", &value);

    if (n == 1 && value.len == 2 && ngx_strncmp(value.data, "13", 2) == 0) {
        return NGX_OK;
    }

    if (n != 1) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                     "\"Sec-WebSocket-Version\" has to be there once.");
    }

    if (r->error_page) {
        return ngx_http_gateway_websocket_refuse(r,
                           NGX_HTTP_GATEWAY_WEBSOCKET_UPGRADE_REQUIRED,
                           "Only version 13 of the protocol is spoken here.");
    }

    if (ngx_http_gateway_websocket_add_field(r, "Sec-WebSocket-Version", "13")
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_gateway_websocket_upgrade_required(r,
                           "Only version 13 of the protocol is spoken here.");
}


ngx_int_t
ngx_http_gateway_websocket_upgrade_required(ngx_http_request_t *r,
    char *detail)
{
    /* "upgrade" beside core's own Connection, RFC 9110, section 7.8 */

    if (ngx_http_gateway_websocket_add_field(r, "Upgrade", "websocket")
        == NULL
        || ngx_http_gateway_websocket_add_field(r, "Connection", "upgrade")
           == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_gateway_websocket_refuse(r,
                           NGX_HTTP_GATEWAY_WEBSOCKET_UPGRADE_REQUIRED,
                           detail);
}


ngx_table_elt_t *
ngx_http_gateway_websocket_add_field(ngx_http_request_t *r, char *name,
    char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value.len = ngx_strlen(value);
    h->value.data = (u_char *) value;

    return h;
}


ngx_int_t
ngx_http_gateway_websocket_check_uri(ngx_http_request_t *r, ngx_str_t *uri)
{
    size_t  i;

    for (i = 0; i < uri->len; i++) {

        if (uri->data[i] <= 0x20 || uri->data[i] == 0x7f) {
            return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                               "The URI for the service would have a space or "
                               "a control character.");
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_check_value(ngx_http_request_t *r, ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] == CR || value->data[i] == LF
            || value->data[i] == '\0')
        {
            return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                               "A header field for the service would have a "
                               "line break.");
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_check_origin(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_int_t                             n;
    ngx_str_t                             value;
    ngx_uint_t                            i;
    ngx_http_gateway_websocket_origin_t  *origin;

    if (wlcf->origins == NULL) {
        return NGX_OK;
    }

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "origin", &value);

    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* only browsers send it, and it is to be believed of them only */

    if (n == 0) {
        return NGX_OK;
    }

    origin = wlcf->origins->elts;

    for (i = 0; n == 1 && i < wlcf->origins->nelts; i++) {

        if (ngx_http_gateway_websocket_is_origin(&origin[i], &value)) {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "origin \"%V\" is not in \"gateway_websocket_origins\"",
                  &value);

    return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_FORBIDDEN,
                                       "The origin is not allowed here.");
}


static ngx_uint_t
ngx_http_gateway_websocket_is_origin(
    ngx_http_gateway_websocket_origin_t *origin, ngx_str_t *value)
{
    u_char  *p;
    size_t   len;

    if (origin->scheme.len == 0 && origin->any) {
        return 1;
    }

    if (value->len < origin->scheme.len + origin->host.len
        || ngx_strncasecmp(value->data, origin->scheme.data,
                           origin->scheme.len)
           != 0)
    {
        return 0;
    }

    p = value->data + origin->scheme.len;
    len = value->len - origin->scheme.len;

    if (!origin->any) {
        return len == origin->host.len
               && ngx_strncasecmp(p, origin->host.data, len) == 0;
    }

    /* a dot and, in front of it, at least one byte of a name */

    if (len <= origin->host.len
        || ngx_strlchr(p, p + len, '/') || ngx_strlchr(p, p + len, '@'))
    {
        return 0;
    }

    p += len - origin->host.len;

    return ngx_strncasecmp(p, origin->host.data, origin->host.len) == 0;
}


ngx_int_t
ngx_http_gateway_websocket_check_expires(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_msec_t *at)
{
    uint64_t     ms, now;
    ngx_str_t    value;
    ngx_time_t  *tp;

    *at = 0;

    if (wlcf->expires == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, wlcf->expires, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_parse_time(&value, &ms) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"gateway_websocket_expires\" is not a unix time: "
                      "\"%V\"", &value);

        return ngx_http_gateway_websocket_refuse(r,
                        NGX_HTTP_INTERNAL_SERVER_ERROR,
                        "The end of the connection could not be found out.");
    }

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    if (ms <= now) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_FORBIDDEN,
                               "The time of this connection has run out.");
    }

    /* beyond a hundred years nobody waits */

    ms = ngx_min(ms - now, (uint64_t) 100 * 366 * 86400 * 1000);

    *at = ngx_current_msec + (ngx_msec_t) ms;

    if (*at == 0) {
        *at = 1;
    }

    return NGX_OK;
}


/* seconds, with a fraction that may be of any length: a JSON number's form */

static ngx_int_t
ngx_http_gateway_websocket_parse_time(ngx_str_t *value, uint64_t *ms)
{
    u_char     *p, *last;
    ngx_uint_t  scale;

    p = value->data;
    last = p + value->len;

    *ms = 0;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {

        if (*ms > 1000000000000000ULL) {
            return NGX_ERROR;
        }

        *ms = *ms * 10 + (*p - '0');
    }

    if (p == value->data) {
        return NGX_ERROR;
    }

    *ms *= 1000;

    if (p == last) {
        return NGX_OK;
    }

    if (*p++ != '.' || p == last) {
        return NGX_ERROR;
    }

    for (scale = 100; p < last; p++, scale /= 10) {

        if (*p < '0' || *p > '9') {
            return NGX_ERROR;
        }

        *ms += scale * (*p - '0');
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_fields(ngx_pool_t *pool, ngx_list_t *list,
    char *name, ngx_str_t *value)
{
    u_char           *p;
    size_t            len;
    ngx_int_t         n;
    ngx_uint_t        i;
    ngx_str_t         joined;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    len = ngx_strlen(name);

    ngx_str_null(value);

    part = &list->part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].hash == 0 || h[i].key.len != len
            || ngx_strncasecmp(h[i].key.data, (u_char *) name, len) != 0)
        {
            continue;
        }

        if (n++ == 0) {
            *value = h[i].value;
            continue;
        }

        joined.len = value->len + 2 + h[i].value.len;

        joined.data = ngx_pnalloc(pool, joined.len);
        if (joined.data == NULL) {
            return NGX_ERROR;
        }

        p = ngx_cpymem(joined.data, value->data, value->len);
        *p++ = ','; *p++ = ' ';
        ngx_memcpy(p, h[i].value.data, h[i].value.len);

        *value = joined;
    }

    return n;
}


ngx_int_t
ngx_http_gateway_websocket_next_token(ngx_str_t *list, ngx_str_t *token)
{
    u_char  *p, *last, *end;

    p = list->data;
    last = p + list->len;

    /* empty elements are passed over, RFC 9110, section 5.6.1 */

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    if (p == last) {
        return NGX_DONE;
    }

    token->data = p;

    while (p < last && *p != ',') {
        p++;
    }

    list->len = last - p;
    list->data = p;

    end = p;

    while (end[-1] == ' ' || end[-1] == '\t') {
        end--;
    }

    token->len = end - token->data;

    return ngx_http_gateway_is_token(token->data, token->len) ? NGX_OK
                                                              : NGX_ERROR;
}


ngx_uint_t
ngx_http_gateway_websocket_has_token(ngx_str_t *list, char *token)
{
    size_t     len;
    ngx_str_t  rest, one;

    rest = *list;
    len = ngx_strlen(token);

    while (ngx_http_gateway_websocket_next_token(&rest, &one) != NGX_DONE) {

        if (one.len == len
            && ngx_strncasecmp(one.data, (u_char *) token, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_gateway_websocket_has_protocol(ngx_str_t *list, ngx_str_t *protocol)
{
    ngx_str_t  rest, token;

    rest = *list;

    while (ngx_http_gateway_websocket_next_token(&rest, &token) == NGX_OK) {

        if (token.len == protocol->len
            && ngx_strncmp(token.data, protocol->data, token.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_str_t *
ngx_http_gateway_websocket_find_protocol(ngx_array_t *protocols,
    ngx_str_t *token)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    name = protocols->elts;

    for (i = 0; i < protocols->nelts; i++) {

        if (name[i].len == token->len
            && ngx_strncmp(name[i].data, token->data, token->len) == 0)
        {
            return &name[i];
        }
    }

    return NULL;
}


char *
ngx_http_gateway_websocket_check_answer(ngx_http_request_t *r,
    ngx_list_t *headers, ngx_str_t *key, ngx_str_t *protocols,
    ngx_str_t *extensions)
{
    u_char     accept[NGX_HTTP_GATEWAY_WEBSOCKET_ACCEPT_LEN];
    ngx_int_t  n;
    ngx_str_t  value;

    /* section 4.1, what the client checks: from 2 to 6 */

    if (ngx_http_gateway_websocket_fields(r->pool, headers, "upgrade", &value)
        != 1
        || value.len != 9
        || ngx_strncasecmp(value.data, (u_char *) "websocket", 9) != 0)
    {
        return "no \"Upgrade: websocket\" in the answer";
    }

    if (ngx_http_gateway_websocket_fields(r->pool, headers, "connection",
                                          &value)
        < 1
        || !ngx_http_gateway_websocket_has_token(&value, "upgrade"))
    {
        return "no \"Connection: upgrade\" in the answer";
    }

    ngx_http_gateway_websocket_accept(key, accept);

    if (ngx_http_gateway_websocket_fields(r->pool, headers,
                                          "sec-websocket-accept", &value)
        != 1
        || value.len != NGX_HTTP_GATEWAY_WEBSOCKET_ACCEPT_LEN
        || ngx_strncmp(value.data, accept, value.len) != 0)
    {
        return "wrong \"Sec-WebSocket-Accept\" in the answer";
    }

    if (ngx_http_gateway_websocket_fields(r->pool, headers,
                                          "sec-websocket-extensions",
                                          extensions)
        == NGX_ERROR)
    {
        return "no memory";
    }

    n = ngx_http_gateway_websocket_fields(r->pool, headers,
                                          "sec-websocket-protocol", &value);

    if (n == 0) {
        return NULL;
    }

    if (n == 1
        && ngx_http_gateway_websocket_has_protocol(protocols, &value))
    {
        return NULL;
    }

    return "subprotocol in the answer that was not offered";
}
