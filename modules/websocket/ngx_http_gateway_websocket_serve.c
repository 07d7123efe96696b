
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the handshake of WebSockets that are served by HTTP services,
 * RFC 6455, section 4.2: the service may be asked first.
 */


#include "ngx_http_gateway_websocket_serve.h"


static ngx_int_t ngx_http_gateway_websocket_serve_check(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_no_upgrade(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_session(
    ngx_http_request_t *r, ngx_http_gateway_websocket_session_t **sp);
static ngx_int_t ngx_http_gateway_websocket_serve_uris(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_uri(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *uri);
static ngx_int_t ngx_http_gateway_websocket_serve_protocol(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_uint_t ngx_http_gateway_websocket_serve_is_offered(
    ngx_http_request_t *r, ngx_str_t *protocol);
static ngx_int_t ngx_http_gateway_websocket_serve_deflate(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_join(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_ask(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *uri);
static ngx_int_t ngx_http_gateway_websocket_serve_accept(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_serve_refusal(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    char *error);
static void ngx_http_gateway_websocket_serve_cleanup(void *data);


ngx_int_t
ngx_http_gateway_websocket_serve_handler(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_str_t                               uri;
    ngx_http_complex_value_t               *connect;
    ngx_http_gateway_websocket_session_t   *s;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    rc = ngx_http_gateway_websocket_serve_check(r);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_websocket_serve_session(r, &s);

    if (rc != NGX_OK) {
        return rc;
    }

    wlcf = s->conf;
    connect = wlcf->connect;

    ngx_str_null(&uri);

    if (connect && !s->events) {
        rc = ngx_http_gateway_websocket_serve_uri(s, r, connect, &uri);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    r->keepalive = 0;
    r->main->count++;

    if (uri.len == 0 && !s->events) {
        rc = ngx_http_gateway_websocket_serve_accept(s, r);

    } else {
        rc = ngx_http_gateway_websocket_serve_ask(s, &uri);
    }

    if (rc != NGX_OK) {
        r->main->count--;
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_gateway_websocket_serve_check(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    if (r->method != NGX_HTTP_GET || r != r->main) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_http_gateway_websocket_add_field(r, "Allow", "GET")
            == NULL)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_NOT_ALLOWED,
                                   "A WebSocket is opened with GET.");
    }

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                          "A WebSocket needs HTTP/1.1 here: the protocol of "
                          "this connection has no way to upgrade.");
    }

    rc = ngx_http_gateway_websocket_check_request(r);

    if (rc == NGX_DECLINED) {
        return ngx_http_gateway_websocket_serve_no_upgrade(r);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    return ngx_http_gateway_websocket_check_origin(r, wlcf);
}


static ngx_int_t
ngx_http_gateway_websocket_serve_no_upgrade(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_gateway_websocket_upgrade_required(r,
                                         "Only WebSockets are served here.");
}


static ngx_int_t
ngx_http_gateway_websocket_serve_session(ngx_http_request_t *r,
    ngx_http_gateway_websocket_session_t **sp)
{
    ngx_int_t                               rc;
    ngx_pool_cleanup_t                     *cln;
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_session_t   *s;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    ctx = ngx_http_gateway_websocket_get_ctx(r);
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (ctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s = ngx_http_gateway_websocket_session(wlcf);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->request = r;
    s->cleanup = cln;

    cln->handler = ngx_http_gateway_websocket_serve_cleanup;
    cln->data = s;

    s->log->file = r->connection->log->file;
    s->log->log_level = r->connection->log->log_level;
    s->log->next = r->connection->log->next;
    s->log->writer = r->connection->log->writer;
    s->log->wdata = r->connection->log->wdata;
    s->log->connection = r->connection->number;

    *sp = s;

    ctx->session = s;
    ctx->served = 1;

    rc = ngx_http_gateway_websocket_check_expires(r, wlcf, &s->expires);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_websocket_serve_protocol(s, r);

    if (rc == NGX_OK) {
        rc = ngx_http_gateway_websocket_serve_deflate(s, r);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_websocket_profile(s, r);

    if (rc == NGX_OK) {
        rc = ngx_http_gateway_websocket_serve_uris(s, r);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_gateway_websocket_serve_join(s, r);
}


/* all of them are evaluated now: later there is no request to do it with */

static ngx_int_t
ngx_http_gateway_websocket_serve_uris(ngx_http_gateway_websocket_session_t *s,
    ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_uint_t                              i;
    ngx_http_gateway_websocket_route_t     *route;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    wlcf = s->conf;

    rc = ngx_http_gateway_websocket_serve_uri(s, r, wlcf->serve, &s->uri);

    if (s->events) {
        s->disconnect = s->uri;
        return rc;
    }

    if (rc == NGX_OK && wlcf->disconnect) {
        rc = ngx_http_gateway_websocket_serve_uri(s, r, wlcf->disconnect,
                                                  &s->disconnect);
    }

    if (rc != NGX_OK || wlcf->routes == NULL) {
        return rc;
    }

    s->routes = ngx_palloc(s->pool, wlcf->routes->nelts * sizeof(ngx_str_t));
    if (s->routes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    route = wlcf->routes->elts;

    for (i = 0; rc == NGX_OK && i < wlcf->routes->nelts; i++) {
        rc = ngx_http_gateway_websocket_serve_uri(s, r, &route[i].uri,
                                                  &s->routes[i]);
    }

    return rc;
}


/* an empty one asks nobody; returns NGX_OK, or the status to answer with */

static ngx_int_t
ngx_http_gateway_websocket_serve_uri(ngx_http_gateway_websocket_session_t *s,
    ngx_http_request_t *r, ngx_http_complex_value_t *cv, ngx_str_t *uri)
{
    ngx_str_t   value, path, args;
    ngx_uint_t  flags;

    if (cv->lengths == NULL) {
        *uri = cv->value;
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, cv, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    uri->len = value.len;
    uri->data = ngx_pstrdup(s->pool, &value);

    if (uri->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (value.len == 0 && cv != s->conf->serve) {
        return NGX_OK;
    }

    path = value;
    ngx_http_split_args(r, &path, &args);

    flags = NGX_HTTP_LOG_UNSAFE;

    if (path.len == 0 || path.data[0] != '/'
        || ngx_http_parse_unsafe_uri(r, &path, &args, &flags) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid URI \"%V\" of a served websocket", &value);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_gateway_websocket_check_uri(r, uri);
}


/* the first one of the client's that is known */

static ngx_int_t
ngx_http_gateway_websocket_serve_protocol(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  value, token, *name;

    if (ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-protocol", &value)
        == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for ( ;; ) {
        rc = ngx_http_gateway_websocket_next_token(&value, &token);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                              "\"Sec-WebSocket-Protocol\" is not a list of "
                              "names.");
        }

        if (s->conf->protocols == NULL || s->protocol.len) {
            continue;
        }

        name = ngx_http_gateway_websocket_find_protocol(s->conf->protocols,
                                                        &token);
        if (name) {
            s->protocol = *name;
        }
    }
}


static ngx_uint_t
ngx_http_gateway_websocket_serve_is_offered(ngx_http_request_t *r,
    ngx_str_t *protocol)
{
    ngx_str_t  value;

    return ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                             "sec-websocket-protocol", &value)
           > 0
           && ngx_http_gateway_websocket_has_protocol(&value, protocol);
}


static ngx_int_t
ngx_http_gateway_websocket_serve_deflate(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_str_t                              value;
    ngx_http_gateway_websocket_deflate_t   d;

    rc = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "sec-websocket-extensions", &value);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == 0) {
        return NGX_OK;
    }

    rc = ngx_http_gateway_websocket_deflate_choose(&value, &d);

    if (rc == NGX_ERROR) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                 "\"Sec-WebSocket-Extensions\" is malformed.");
    }

    if (rc != NGX_OK || !s->conf->deflate) {
        return NGX_OK;
    }

    s->inflate = ngx_pcalloc(s->pool,
                             sizeof(ngx_http_gateway_websocket_inflate_t));
    s->deflate = ngx_pcalloc(s->pool,
                             sizeof(ngx_http_gateway_websocket_deflater_t));
    s->extensions.data = ngx_pnalloc(r->pool,
                                     NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN);

    if (s->inflate == NULL || s->deflate == NULL || s->extensions.data == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_gateway_websocket_inflate_init(s->inflate, d.client_bits,
                                            d.client_no_takeover);
    ngx_http_gateway_websocket_deflate_init(s->deflate, d.server_bits,
                                            d.server_no_takeover);

    s->extensions.len =
        ngx_http_gateway_websocket_deflate_response(s->extensions.data, &d)
        - s->extensions.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_serve_join(ngx_http_gateway_websocket_session_t *s,
    ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  will;

    ngx_str_null(&will);

    if (s->disconnect.len && s->conf->zone
        && ngx_http_gateway_websocket_will(s, &will) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_websocket_join(s->conf->zone, &s->member, &will);

    if (will.data) {
        ngx_free(will.data);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no room for a connection in zone \"%V\"",
                      &s->conf->zone->shm.name);

        return ngx_http_gateway_websocket_refuse(r,
                           NGX_HTTP_SERVICE_UNAVAILABLE,
                           "There is no room for one more connection.");
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_gateway_websocket_serve_ask(ngx_http_gateway_websocket_session_t *s,
    ngx_str_t *uri)
{
    ngx_int_t                  rc;
    ngx_array_t                fields;
    ngx_http_request_t        *r;
    ngx_http_gateway_field_t   elts[NGX_HTTP_GATEWAY_WEBSOCKET_FIELDS];

    r = s->request;

    if (s->events) {
        rc = ngx_http_gateway_websocket_events_open(s);

    } else {
        ngx_http_gateway_websocket_fields_init(s, &fields, elts, "connect");

        rc = ngx_http_gateway_websocket_exchange(s,
                                          NGX_HTTP_GATEWAY_WEBSOCKET_CONNECT,
                                          uri, &fields, NULL, NULL);
    }

    if (rc == NGX_BUSY) {
        return ngx_http_gateway_websocket_refuse(r,
                           NGX_HTTP_SERVICE_UNAVAILABLE,
                           "There is no room for one more connection.");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the client may leave while the service is asked */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_gateway_websocket_serve_connected(
    ngx_http_gateway_websocket_exchange_t *x)
{
    char                                  *error;
    ngx_int_t                              rc;
    ngx_str_t                              close;
    ngx_connection_t                      *c;
    ngx_http_request_t                    *r;
    ngx_http_gateway_websocket_response_t    answer;
    ngx_http_gateway_websocket_session_t  *s;

    static ngx_str_t  cookies[] = {
        ngx_string("set-cookie"),
        ngx_null_string
    };

    s = x->session;
    r = s->request;

    ngx_str_null(&close);

    error = ngx_http_gateway_websocket_answer(x, &answer);

    if (error == NULL && s->events && !x->failed
        && x->status >= 200 && x->status < 300)
    {
        error = ngx_http_gateway_websocket_events_connected(x, &answer);
    }

    if (error == NULL && r && answer.protocol.len
        && x->status >= 200 && x->status < 300)
    {
        if (!ngx_http_gateway_websocket_serve_is_offered(r, &answer.protocol))
        {
            error = "Sec-WebSocket-Protocol was not offered by the client";

        } else {
            s->protocol.len = answer.protocol.len;
            s->protocol.data = ngx_pstrdup(r->pool, &answer.protocol);

            if (s->protocol.data == NULL) {
                error = "there is no memory for it";
            }
        }
    }

    if (error) {
        ngx_log_error(NGX_LOG_ERR, &x->log, 0,
                      "answer of a websocket's service is not valid: %s",
                      error);
    }

    s->accepted = (error == NULL && !x->failed
                   && x->status >= 200 && x->status < 300);

    if (s->accepted) {
        ngx_http_gateway_websocket_renew_will(s);
    }

    if (r == NULL) {

        /* the client has left */

        ngx_http_gateway_websocket_exchange_free(x);
        ngx_http_gateway_websocket_session_wake(s);
        return;
    }

    c = r->connection;

    if (s->accepted) {

        if (answer.close.len && !s->events) {
            close.len = answer.close.len;
            close.data = ngx_pstrdup(r->pool, &answer.close);
        }

        rc = ngx_http_gateway_websocket_answer_copy(x, r, cookies);

        if (rc == NGX_OK) {
            rc = ngx_http_gateway_websocket_serve_accept(s, r);
        }

        if (rc == NGX_OK && s->events) {
            ngx_http_gateway_websocket_events_run(s, &x->body);
        }

    } else {
        rc = ngx_http_gateway_websocket_serve_refusal(x, r, error);
    }

    ngx_http_gateway_websocket_exchange_free(x);

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, rc);
        ngx_http_run_posted_requests(c);
        return;
    }

    if (s->keep_alive) {
        ngx_http_gateway_websocket_session_timer(s);
    }

    if (close.data
        && ngx_http_gateway_websocket_answer_close(s, &close) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, s->log, 0,
                      "invalid \"Gateway-Close: %V\" in an answer", &close);
    }
}


/* returns the status to answer with */

static ngx_int_t
ngx_http_gateway_websocket_serve_refusal(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    char *error)
{
    ngx_uint_t  status;

    static ngx_str_t  names[] = {
        ngx_string("location"),
        ngx_string("www-authenticate"),
        ngx_string("retry-after"),
        ngx_string("set-cookie"),
        ngx_null_string
    };

    status = x->status;

    if (error || status < NGX_HTTP_SPECIAL_RESPONSE
        || status == NGX_HTTP_NOT_MODIFIED || status > 599)
    {
        status = NGX_HTTP_BAD_GATEWAY;

    } else if (ngx_http_gateway_websocket_answer_copy(x, r, names) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_gateway_websocket_refuse(r, status,
                             (status < NGX_HTTP_INTERNAL_SERVER_ERROR)
                             ? "The service did not accept the connection."
                             : "The service could not be asked.");
}


static ngx_int_t
ngx_http_gateway_websocket_serve_accept(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    u_char            *accept;
    ngx_int_t          rc;
    ngx_str_t          key;
    ngx_table_elt_t   *h;

    accept = ngx_pnalloc(r->pool, NGX_HTTP_GATEWAY_WEBSOCKET_ACCEPT_LEN + 1);

    if (accept == NULL
        || ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                             "sec-websocket-key", &key)
           != 1
        || ngx_http_gateway_websocket_add_field(r, "Upgrade", "websocket")
           == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_gateway_websocket_accept(&key, accept);
    accept[NGX_HTTP_GATEWAY_WEBSOCKET_ACCEPT_LEN] = '\0';

    if (ngx_http_gateway_websocket_add_field(r, "Sec-WebSocket-Accept",
                                              (char *) accept)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (s->protocol.len) {
        h = ngx_http_gateway_push_header(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_str_set(&h->key, "Sec-WebSocket-Protocol");
        h->value = s->protocol;
    }

    if (s->extensions.len) {
        h = ngx_http_gateway_push_header(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_str_set(&h->key, "Sec-WebSocket-Extensions");
        h->value = s->extensions;
    }

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK
        || ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    s->accepted = 1;

    ngx_http_gateway_websocket_session_open(s);

    return NGX_OK;
}


/* the request of the handshake goes, by what the session did not ask for */

static void
ngx_http_gateway_websocket_serve_cleanup(void *data)
{
    ngx_http_gateway_websocket_session_t *s = data;

    s->cleanup = NULL;
    s->request = NULL;
    s->connection = NULL;

    ngx_http_gateway_websocket_session_gone(s);
}
