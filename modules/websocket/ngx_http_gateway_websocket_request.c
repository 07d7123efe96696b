
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the client's handshake with a service, RFC 6455, section 4.1: what is
 * asked for, and what was answered.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


static ngx_int_t ngx_http_gateway_websocket_request_url(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_resolved(
    ngx_http_gateway_websocket_pass_t *pass, ngx_url_t *url);
static ngx_int_t ngx_http_gateway_websocket_request_uri(
    ngx_http_gateway_websocket_pass_t *pass, ngx_str_t *prefix);
static ngx_int_t ngx_http_gateway_websocket_request_fields(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_add_line(ngx_array_t *text,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_websocket_add_protocols(
    ngx_http_gateway_websocket_pass_t *pass, ngx_array_t *text);
static void ngx_http_gateway_websocket_offer(
    ngx_http_gateway_websocket_deflate_t *d);
static ngx_int_t ngx_http_gateway_websocket_new_key(u_char *p);
static ngx_int_t ngx_http_gateway_websocket_process_header(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_process_answer(
    ngx_http_request_t *r, ngx_http_gateway_websocket_pass_t *pass);
static char *ngx_http_gateway_websocket_process_extensions(
    ngx_http_gateway_websocket_pass_t *pass, ngx_str_t *extensions);


ngx_int_t
ngx_http_gateway_websocket_request(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t  rc;

    pass->host = pass->conf->host;

    if (pass->conf->url) {
        rc = ngx_http_gateway_websocket_request_url(pass);

    } else {
        rc = ngx_http_gateway_websocket_request_uri(pass, &pass->conf->uri);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_websocket_check_uri(pass->request, &pass->uri);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_gateway_websocket_request_fields(pass);
}


ngx_int_t
ngx_http_gateway_websocket_scheme(ngx_str_t *url, size_t *len, ngx_uint_t *tls)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t   name;
        ngx_uint_t  tls;
    } schemes[] = {
        { ngx_string("ws://"), 0 },
        { ngx_string("wss://"), 1 },
        { ngx_string("http://"), 0 },
        { ngx_string("https://"), 1 }
    };

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {

        if (url->len > schemes[i].name.len
            && ngx_strncasecmp(url->data, schemes[i].name.data,
                               schemes[i].name.len)
               == 0)
        {
            *len = schemes[i].name.len;
            *tls = schemes[i].tls;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* a URL of variables */

static ngx_int_t
ngx_http_gateway_websocket_request_url(ngx_http_gateway_websocket_pass_t *pass)
{
    size_t               add;
    ngx_url_t            url;
    ngx_str_t            value;
    ngx_uint_t           port, tls;
    ngx_http_request_t  *r;

    r = pass->request;

    if (ngx_http_complex_value(r, pass->conf->url, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_gateway_websocket_scheme(&value, &add, &tls) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid URL \"%V\" in \"gateway_websocket_pass\"",
                      &value);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

#if (NGX_HTTP_SSL)
    pass->upstream->ssl = tls;
#else
    if (tls) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "TLS to a service needs nginx with its ssl module");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
#endif

    port = tls ? 443 : 80;

    ngx_memzero(&url, sizeof(ngx_url_t));

    url.url.len = value.len - add;
    url.url.data = value.data + add;
    url.default_port = (in_port_t) port;
    url.uri_part = 1;
    url.no_resolve = 1;

    if (ngx_parse_url(r->pool, &url) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "%s in URL \"%V\" of \"gateway_websocket_pass\"",
                      url.err ? url.err : "no memory", &value);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pass->host.data = value.data + add;
    pass->host.len = url.uri.len ? (size_t) (url.uri.data - pass->host.data)
                                 : url.url.len;

    if (url.family == AF_UNIX) {
        ngx_str_set(&pass->host, "localhost");
    }

    if (ngx_http_gateway_websocket_resolved(pass, &url) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (url.uri.len == 0) {
        return ngx_http_gateway_websocket_request_uri(pass, &url.uri);
    }

    pass->uri = url.uri;

    if (url.uri.data[0] != '?') {
        return NGX_OK;
    }

    pass->uri.len++;
    pass->uri.data = ngx_pnalloc(r->pool, pass->uri.len);

    if (pass->uri.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pass->uri.data[0] = '/';
    ngx_memcpy(pass->uri.data + 1, url.uri.data, url.uri.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_resolved(ngx_http_gateway_websocket_pass_t *pass,
    ngx_url_t *url)
{
    ngx_http_upstream_resolved_t  *resolved;

    resolved = ngx_pcalloc(pass->request->pool,
                           sizeof(ngx_http_upstream_resolved_t));
    if (resolved == NULL) {
        return NGX_ERROR;
    }

    if (url->addrs) {
        resolved->sockaddr = url->addrs[0].sockaddr;
        resolved->socklen = url->addrs[0].socklen;
        resolved->name = url->addrs[0].name;
        resolved->naddrs = 1;
    }

    resolved->host = url->host;
    resolved->port = (in_port_t) (url->no_port ? url->default_port
                                               : url->port);
    resolved->no_port = url->no_port;

    pass->upstream->resolved = resolved;

    return NGX_OK;
}


/* as proxy_pass does: "prefix", when not empty, replaces the location's */

static ngx_int_t
ngx_http_gateway_websocket_request_uri(ngx_http_gateway_websocket_pass_t *pass,
    ngx_str_t *prefix)
{
    u_char              *p;
    size_t               skip, add;
    uintptr_t            escape;
    ngx_http_request_t  *r;

    r = pass->request;

    if (prefix->len == 0 && r->valid_unparsed_uri && r == r->main) {
        pass->uri = r->unparsed_uri;
        return NGX_OK;
    }

    /* an URI that "rewrite" has changed is passed as it is now */

    skip = 0;
    add = 0;

    if (r->valid_location) {
        add = prefix->len;
        skip = add ? ngx_min(pass->conf->location.len, r->uri.len) : 0;
    }

    escape = 2 * ngx_escape_uri(NULL, r->uri.data + skip, r->uri.len - skip,
                                NGX_ESCAPE_URI);

    p = ngx_pnalloc(r->pool, add + r->uri.len - skip + escape + 1
                             + r->args.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pass->uri.data = p;

    if (add) {
        p = ngx_cpymem(p, prefix->data, add);
    }

    if (escape) {
        p = (u_char *) ngx_escape_uri(p, r->uri.data + skip,
                                      r->uri.len - skip, NGX_ESCAPE_URI);

    } else {
        p = ngx_copy(p, r->uri.data + skip, r->uri.len - skip);
    }

    if (r->args.len) {
        *p++ = '?';
        p = ngx_copy(p, r->args.data, r->args.len);
    }

    pass->uri.len = p - pass->uri.data;

    return NGX_OK;
}


/* all lines but the key: they tell whether a connection can be shared */

static ngx_int_t
ngx_http_gateway_websocket_request_fields(
    ngx_http_gateway_websocket_pass_t *pass)
{
    u_char                               *p, offer[256];
    ngx_int_t                             rc;
    ngx_str_t                             value, name;
    ngx_uint_t                            i, host;
    ngx_array_t                           text;
    ngx_http_gateway_websocket_field_t   *field;
    ngx_http_gateway_websocket_deflate_t  d;

    if (ngx_array_init(&text, pass->request->pool, 256, 1) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    host = 0;
    field = pass->conf->fields ? pass->conf->fields->elts : NULL;

    for (i = 0; field && i < pass->conf->fields->nelts; i++) {

        if (ngx_http_complex_value(pass->request, &field[i].value, &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_gateway_websocket_check_value(pass->request, &value);

        if (rc != NGX_OK) {
            return rc;
        }

        host |= (field[i].name.len == 4
                 && ngx_strncasecmp(field[i].name.data, (u_char *) "host", 4)
                    == 0);

        if (value.len == 0) {
            continue;
        }

        if (ngx_http_gateway_websocket_add_line(&text, &field[i].name, &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ngx_str_set(&name, "Host");

    if (!host
        && ngx_http_gateway_websocket_add_line(&text, &name, &pass->host)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (pass->conf->protocols
        && ngx_http_gateway_websocket_add_protocols(pass, &text) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (pass->conf->deflate) {
        ngx_http_gateway_websocket_offer(&d);

        p = ngx_http_gateway_websocket_deflate_offer(offer, &d);

        ngx_str_set(&name, "Sec-WebSocket-Extensions");
        value.data = offer;
        value.len = p - offer;

        if (ngx_http_gateway_websocket_add_line(&text, &name, &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    pass->fields.data = text.elts;
    pass->fields.len = text.nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_add_line(ngx_array_t *text, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p;

    p = ngx_array_push_n(text, name->len + value->len + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, name->data, name->len);
    *p++ = ':'; *p++ = ' ';
    p = ngx_cpymem(p, value->data, value->len);
    *p++ = CR; *p++ = LF;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_add_protocols(
    ngx_http_gateway_websocket_pass_t *pass, ngx_array_t *text)
{
    u_char      *p;
    ngx_str_t   *name, field;
    ngx_uint_t   i, n;

    name = pass->conf->protocols->elts;
    n = pass->conf->protocols->nelts;

    for (i = 0; i < n; i++) {
        pass->protocols.len += name[i].len + 2;
    }

    p = ngx_pnalloc(text->pool, pass->protocols.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    pass->protocols.data = p;

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s%V", i ? ", " : "", &name[i]);
    }

    pass->protocols.len = p - pass->protocols.data;

    ngx_str_set(&field, "Sec-WebSocket-Protocol");

    return ngx_http_gateway_websocket_add_line(text, &field,
                                               &pass->protocols);
}


/* nothing is asked of the service but what it likes */

static void
ngx_http_gateway_websocket_offer(ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_memzero(d, sizeof(ngx_http_gateway_websocket_deflate_t));

    d->server_bits = 15;
    d->client_bits = 15;
    d->client_bits_named = 1;
}


ngx_int_t
ngx_http_gateway_websocket_create_request(ngx_http_request_t *r)
{
    size_t                              len;
    ngx_buf_t                          *b;
    ngx_chain_t                        *cl;
    ngx_http_gateway_websocket_ctx_t   *ctx;
    ngx_http_gateway_websocket_pass_t  *pass;

    static ngx_str_t  get = ngx_string("GET ");
    static ngx_str_t  head = ngx_string(" HTTP/1.1" CRLF
        "Upgrade: websocket" CRLF
        "Connection: Upgrade" CRLF
        "Sec-WebSocket-Version: 13" CRLF
        "Sec-WebSocket-Key: ");

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);
    pass = ctx->pass;

    len = get.len + pass->uri.len + head.len
          + NGX_HTTP_GATEWAY_WEBSOCKET_KEY_LEN + 2 + pass->fields.len + 2;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_copy(b->last, get.data, get.len);
    b->last = ngx_copy(b->last, pass->uri.data, pass->uri.len);
    b->last = ngx_copy(b->last, head.data, head.len);

    pass->key.data = b->last;
    pass->key.len = NGX_HTTP_GATEWAY_WEBSOCKET_KEY_LEN;

    if (ngx_http_gateway_websocket_new_key(b->last) != NGX_OK) {
        return NGX_ERROR;
    }

    b->last += pass->key.len;

    *b->last++ = CR; *b->last++ = LF;

    b->last = ngx_copy(b->last, pass->fields.data, pass->fields.len);

    *b->last++ = CR; *b->last++ = LF;

    cl->buf = b;
    cl->next = NULL;

    r->upstream->request_bufs = cl;
    r->state = 0;

    return NGX_OK;
}


/* each connection has a key of its own */

ngx_int_t
ngx_http_gateway_websocket_reinit_request(ngx_http_request_t *r)
{
    ngx_http_gateway_websocket_ctx_t   *ctx;
    ngx_http_gateway_websocket_pass_t  *pass;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    pass = ctx->pass;

    ngx_memzero(&pass->status, sizeof(ngx_http_status_t));

    r->upstream->process_header = ngx_http_gateway_websocket_process_status;
    r->state = 0;

    return ngx_http_gateway_websocket_new_key(pass->key.data);
}


static ngx_int_t
ngx_http_gateway_websocket_new_key(u_char *p)
{
    u_char     bytes[16];
    ngx_str_t  src, dst;

    if (ngx_http_gateway_websocket_random(bytes, sizeof(bytes)) != NGX_OK) {
        return NGX_ERROR;
    }

    src.len = sizeof(bytes);
    src.data = bytes;
    dst.data = p;

    ngx_encode_base64(&dst, &src);

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_process_status(ngx_http_request_t *r)
{
    ngx_int_t                           rc;
    ngx_http_upstream_t                *u;
    ngx_http_gateway_websocket_ctx_t   *ctx;
    ngx_http_gateway_websocket_pass_t  *pass;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    pass = ctx->pass;
    u = r->upstream;

    rc = ngx_http_parse_status_line(r, &u->buffer, &pass->status);

    if (rc == NGX_AGAIN) {
        return rc;
    }

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent no valid HTTP/1.1 answer to a websocket "
                      "handshake");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (u->state && u->state->status == 0) {
        u->state->status = pass->status.code;
    }

    u->headers_in.status_n = pass->status.code;
    u->process_header = ngx_http_gateway_websocket_process_header;

    return ngx_http_gateway_websocket_process_header(r);
}


static ngx_int_t
ngx_http_gateway_websocket_process_header(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_table_elt_t                   *h;
    ngx_http_upstream_t               *u;
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);
    u = r->upstream;

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        rc = ngx_http_parse_header_line(r, &u->buffer, 1);

        if (rc == NGX_AGAIN) {
            return rc;
        }

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            return ngx_http_gateway_websocket_process_answer(r, ctx->pass);
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "upstream sent invalid header");
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        h = ngx_http_gateway_push_header(&u->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->key.len = r->header_name_end - r->header_name_start;
        h->value.len = r->header_end - r->header_start;

        h->key.data = ngx_pnalloc(r->pool, h->key.len + 1 + h->value.len + 1);
        if (h->key.data == NULL) {
            h->hash = 0;
            return NGX_ERROR;
        }

        h->value.data = h->key.data + h->key.len + 1;
        h->lowcase_key = h->key.data;

        ngx_memcpy(h->key.data, r->header_name_start, h->key.len);
        h->key.data[h->key.len] = '\0';
        ngx_memcpy(h->value.data, r->header_start, h->value.len);
        h->value.data[h->value.len] = '\0';
    }
}


/* nothing of the answer's header is for the client */

static ngx_int_t
ngx_http_gateway_websocket_process_answer(ngx_http_request_t *r,
    ngx_http_gateway_websocket_pass_t *pass)
{
    char        *error;
    ngx_str_t    extensions;
    ngx_list_t   headers;

    headers = r->upstream->headers_in.headers;

    if (ngx_list_init(&r->upstream->headers_in.headers, r->pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (pass->status.code != NGX_HTTP_SWITCHING_PROTOCOLS) {

        if (pass->status.code < NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "upstream answered a websocket handshake with %ui",
                          pass->status.code);
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        return NGX_OK;
    }

    error = ngx_http_gateway_websocket_check_answer(r, &headers, &pass->key,
                                                    &pass->protocols,
                                                    &extensions);

    if (error == NULL) {
        error = ngx_http_gateway_websocket_process_extensions(pass,
                                                              &extensions);
    }

    if (error) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream refused as a websocket: %s", error);
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    return NGX_OK;
}


static char *
ngx_http_gateway_websocket_process_extensions(
    ngx_http_gateway_websocket_pass_t *pass, ngx_str_t *extensions)
{
    ngx_http_gateway_websocket_deflate_t  d;

    ngx_memzero(&pass->deflate, sizeof(ngx_http_gateway_websocket_deflate_t));

    if (extensions->len == 0) {
        return NULL;
    }

    ngx_http_gateway_websocket_offer(&d);

    if (!pass->conf->deflate
        || ngx_http_gateway_websocket_deflate_accept(extensions, &d,
                                                     &pass->deflate)
           != NGX_OK)
    {
        return "extension in the answer that was not offered";
    }

    return NULL;
}
