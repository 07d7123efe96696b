
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the answer to an HTTP request: when it is complete, what messages look
 * like in it, and, for streams, not reading faster than the client does.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


static void ngx_http_gateway_websocket_reply_whole(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len);
static void ngx_http_gateway_websocket_reply_collected(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_uint_t ngx_http_gateway_websocket_reply_is_last(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len);
static ngx_uint_t ngx_http_gateway_websocket_reply_matches(
    ngx_http_gateway_websocket_pass_t *pass, u_char *data, size_t len);
static ngx_int_t ngx_http_gateway_websocket_reply_header(
    ngx_http_gateway_websocket_pass_t *pass, char *type, off_t len);
static void ngx_http_gateway_websocket_reply_stream(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_add_event(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len);
static ngx_int_t ngx_http_gateway_websocket_add_json(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len);
static ngx_int_t ngx_http_gateway_websocket_add_string(
    ngx_http_gateway_websocket_pass_t *pass, u_char *data, size_t len);
static ngx_int_t ngx_http_gateway_websocket_add_base64(
    ngx_http_gateway_websocket_pass_t *pass, u_char *data, size_t len);
static ngx_int_t ngx_http_gateway_websocket_add(
    ngx_http_gateway_websocket_pass_t *pass, void *data, size_t len);
static ngx_buf_t *ngx_http_gateway_websocket_add_buf(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_output(
    ngx_http_gateway_websocket_pass_t *pass);
static void ngx_http_gateway_websocket_writer(ngx_http_request_t *r);


void
ngx_http_gateway_websocket_reply_open(ngx_http_gateway_websocket_pass_t *pass)
{
    pass->sent = ngx_current_msec;
    pass->deadline = ngx_current_msec + pass->conf->upstream.read_timeout;

    if (pass->has_message) {

        if (ngx_http_gateway_websocket_link_send(pass->link, pass->opcode,
                                                 &pass->message)
            != NGX_OK)
        {
            ngx_http_gateway_websocket_pass_fail(pass,
                                              NGX_HTTP_INTERNAL_SERVER_ERROR,
                                              "There is no memory.");
            return;
        }

        pass->ctx->messages_out++;
    }

    ngx_http_gateway_websocket_link_timer(pass->link);

    if (pass->streams) {
        ngx_http_gateway_websocket_reply_stream(pass);
    }
}


void
ngx_http_gateway_websocket_reply_message(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    ngx_int_t   rc;
    ngx_uint_t  last;

    pass->count++;
    pass->ctx->messages_in++;
    pass->deadline = ngx_current_msec + pass->conf->upstream.read_timeout;

    if (pass->reply.end == NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_MESSAGE
        && !pass->streams)
    {
        ngx_http_gateway_websocket_reply_whole(pass, opcode, data, len);
        return;
    }

    last = ngx_http_gateway_websocket_reply_is_last(pass, opcode, data, len);

    if (pass->reply.format == NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE) {
        rc = ngx_http_gateway_websocket_add_event(pass, opcode, data, len);

    } else {
        rc = ngx_http_gateway_websocket_add_json(pass, opcode, data, len);
    }

    if (rc != NGX_OK) {
        ngx_http_gateway_websocket_pass_fail(pass,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR,
                                             "There is no memory.");
        return;
    }

    if (pass->streams) {

        if (last) {
            ngx_http_gateway_websocket_reply_end(pass);
        }

        return;
    }

    if (pass->size > pass->conf->max_reply) {
        ngx_log_error(NGX_LOG_ERR, pass->request->connection->log, 0,
                      "upstream's messages are beyond "
                      "\"gateway_websocket_max_reply\": %uz bytes",
                      pass->size);
        ngx_http_gateway_websocket_pass_fail(pass, NGX_HTTP_BAD_GATEWAY,
                                   "The service's answer is too large.");
        return;
    }

    if (last) {
        ngx_http_gateway_websocket_reply_collected(pass);
    }
}


void
ngx_http_gateway_websocket_reply_end(ngx_http_gateway_websocket_pass_t *pass)
{
    if (pass->streams) {

        if (ngx_http_gateway_websocket_output(pass) == NGX_ERROR) {
            ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);
            return;
        }

        ngx_http_gateway_websocket_pass_end(pass,
                         ngx_http_send_special(pass->request, NGX_HTTP_LAST));
        return;
    }

    if (pass->reply.end == NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE) {
        ngx_http_gateway_websocket_reply_collected(pass);
        return;
    }

    ngx_http_gateway_websocket_pass_fail(pass, NGX_HTTP_BAD_GATEWAY,
                                      "The service closed the connection "
                                      "before it had answered.");
}


/* one message is the answer */

static void
ngx_http_gateway_websocket_reply_whole(ngx_http_gateway_websocket_pass_t *pass,
    ngx_uint_t opcode, u_char *data, size_t len)
{
    char                *type;
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_str_t            json;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = pass->request;

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY) {
        type = "application/octet-stream";

    } else if (ngx_http_gateway_websocket_is_json(data, len, &json)) {
        type = "application/json";

    } else {
        type = "text/plain; charset=utf-8";
    }

    b = len ? ngx_create_temp_buf(r->pool, len) : ngx_calloc_buf(r->pool);

    if (b == NULL) {
        ngx_http_gateway_websocket_pass_fail(pass,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR,
                                             "There is no memory.");
        return;
    }

    if (len) {
        b->last = ngx_cpymem(b->last, data, len);
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    pass->complete = 1;

    rc = ngx_http_gateway_websocket_reply_header(pass, type, len);

    if (rc == NGX_OK && !r->header_only) {
        rc = ngx_http_output_filter(r, &out);
    }

    ngx_http_gateway_websocket_pass_end(pass, rc);
}


/* several are */

static void
ngx_http_gateway_websocket_reply_collected(
    ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = pass->request;
    pass->complete = 1;

    rc = ngx_http_gateway_websocket_reply_header(pass, "application/x-ndjson",
                                                 pass->size);

    if (rc == NGX_OK && !r->header_only) {

        if (pass->last_out) {
            pass->last_out->buf->last_buf = (r == r->main) ? 1 : 0;
            pass->last_out->buf->last_in_chain = 1;

            rc = ngx_http_output_filter(r, pass->out);

        } else {
            rc = ngx_http_send_special(r, NGX_HTTP_LAST);
        }
    }

    ngx_http_gateway_websocket_pass_end(pass, rc);
}


static ngx_uint_t
ngx_http_gateway_websocket_reply_is_last(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    switch (pass->reply.end) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_COUNT:
        return pass->count == pass->reply.count;

    case NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_UNTIL:
        return opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
               && ngx_http_gateway_websocket_reply_matches(pass, data, len);

    case NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_MESSAGE:
        return 1;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE */
        return 0;
    }
}


/* a string's characters, or a value's text, is compared */

static ngx_uint_t
ngx_http_gateway_websocket_reply_matches(
    ngx_http_gateway_websocket_pass_t *pass, u_char *data, size_t len)
{
    ngx_str_t    text, value, decoded;
    ngx_pool_t  *pool;

    if (!ngx_http_gateway_websocket_is_json(data, len, &text)) {
        return 0;
    }

    pool = ngx_http_gateway_websocket_link_scratch(pass->link);
    if (pool == NULL) {
        return 0;
    }

    if (ngx_http_gateway_json_find(pool, &text, &pass->reply.pointer, &value)
        != NGX_OK)
    {
        return 0;
    }

    if (value.len >= 2 && value.data[0] == '"') {
        value.data++;
        value.len -= 2;

        if (ngx_http_gateway_json_decode(pool, &value, &decoded) != NGX_OK) {
            return 0;
        }

        value = decoded;
    }

    return value.len == pass->reply.value.len
           && ngx_memcmp(value.data, pass->reply.value.data, value.len) == 0;
}


ngx_uint_t
ngx_http_gateway_websocket_is_json(u_char *data, size_t len, ngx_str_t *value)
{
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s, NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);

    if (ngx_http_gateway_json_scan(&s, data, len) != NGX_OK
        || ngx_http_gateway_json_scan_end(&s) != NGX_OK)
    {
        return 0;
    }

    value->data = data + s.start;
    value->len = (size_t) (s.end - s.start);

    return 1;
}


static ngx_int_t
ngx_http_gateway_websocket_reply_header(
    ngx_http_gateway_websocket_pass_t *pass, char *type, off_t len)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = pass->request;

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_null(&r->headers_out.status_line);

    if (len == 0 && pass->count == 0 && !pass->streams) {
        r->headers_out.status = NGX_HTTP_NO_CONTENT;
        r->header_only = 1;

    } else {
        r->headers_out.content_type.len = ngx_strlen(type);
        r->headers_out.content_type.data = (u_char *) type;
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
        r->headers_out.content_length_n = len;
    }

    r->disable_not_modified = 1;

    pass->header_sent = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_OK && r->headers_out.status == NGX_HTTP_NO_CONTENT) {
        rc = ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    return rc;
}


/* an EventSource is open as soon as it has the header */

static void
ngx_http_gateway_websocket_reply_stream(
    ngx_http_gateway_websocket_pass_t *pass)
{
    char                *type;
    ngx_int_t            rc;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = pass->request;

    type = (pass->reply.format == NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE)
           ? "text/event-stream" : "application/x-ndjson";

    /* the second is for another nginx in front of this one */

    h = ngx_http_gateway_websocket_add_field(r, "Cache-Control", "no-store");

    if (h == NULL
        || ngx_http_gateway_link_cache_control(r, h) != NGX_OK
        || ngx_http_gateway_websocket_add_field(r, "X-Accel-Buffering", "no")
           == NULL)
    {
        ngx_http_gateway_websocket_pass_end(pass,
                                            NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->write_event_handler = ngx_http_gateway_websocket_writer;

    rc = ngx_http_gateway_websocket_reply_header(pass, type, -1);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_gateway_websocket_pass_end(pass, rc);
        return;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);
    }
}


ngx_int_t
ngx_http_gateway_websocket_reply_flush(ngx_http_gateway_websocket_pass_t *pass)
{
    if (!pass->streams || pass->out == NULL) {
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_output(pass) == NGX_ERROR) {
        ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);
        return NGX_DONE;
    }

    return NGX_OK;
}


void
ngx_http_gateway_websocket_reply_ping(ngx_http_gateway_websocket_pass_t *pass)
{
    pass->sent = ngx_current_msec;

    if (pass->busy
        || pass->reply.format != NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE)
    {
        return;
    }

    if (ngx_http_gateway_websocket_add(pass, ": ping\n\n", 8) != NGX_OK
        || ngx_http_gateway_websocket_output(pass) == NGX_ERROR)
    {
        ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);
    }
}


/*
 * What the client has not taken stays in "busy", and nothing more is read from
 * the service until that is empty.
 */

static ngx_int_t
ngx_http_gateway_websocket_output(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = pass->request;
    wev = r->connection->write;

    if (pass->last_out) {
        pass->last_out->buf->flush = 1;
        pass->sent = ngx_current_msec;
    }

    rc = ngx_http_output_filter(r, pass->out);

    ngx_chain_update_chains(r->pool, &pass->free, &pass->busy, &pass->out,
                            (ngx_buf_tag_t) &ngx_http_gateway_websocket_module);

    pass->last_out = NULL;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (pass->busy == NULL) {

        if (wev->timer_set) {
            ngx_del_timer(wev);
        }

        if (pass->link && pass->link->paused) {
            ngx_http_gateway_websocket_link_resume(pass->link);
        }

        return NGX_OK;
    }

    if (pass->link) {
        pass->link->paused = 1;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_http_gateway_websocket_writer(ngx_http_request_t *r)
{
    ngx_event_t                        *wev;
    ngx_connection_t                   *c;
    ngx_http_gateway_websocket_ctx_t   *ctx;
    ngx_http_gateway_websocket_pass_t  *pass;

    c = r->connection;
    wev = c->write;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);
    pass = ctx->pass;

    if (pass->done) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_gateway_websocket_pass_end(pass, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (ngx_http_gateway_websocket_output(pass) == NGX_ERROR) {
        ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);
    }
}


/* "Server-sent events" of HTML: a line break ends a line of data */

static ngx_int_t
ngx_http_gateway_websocket_add_event(ngx_http_gateway_websocket_pass_t *pass,
    ngx_uint_t opcode, u_char *data, size_t len)
{
    u_char  *p, *last;

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY) {

        if (ngx_http_gateway_websocket_add(pass, "event: binary\ndata: ", 20)
            != NGX_OK
            || ngx_http_gateway_websocket_add_base64(pass, data, len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_gateway_websocket_add(pass, "\n\n", 2);
    }

    last = data + len;

    for ( ;; ) {
        for (p = data; p < last && *p != LF && *p != CR; p++) { /* void */ }

        if (ngx_http_gateway_websocket_add(pass, "data: ", 6) != NGX_OK
            || ngx_http_gateway_websocket_add(pass, data, p - data) != NGX_OK
            || ngx_http_gateway_websocket_add(pass, "\n", 1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (p == last) {
            return ngx_http_gateway_websocket_add(pass, "\n", 1);
        }

        data = (p[0] == CR && p + 1 < last && p[1] == LF) ? p + 2 : p + 1;
    }
}


/* a line for each message: line breaks of JSON are but white space */

static ngx_int_t
ngx_http_gateway_websocket_add_json(ngx_http_gateway_websocket_pass_t *pass,
    ngx_uint_t opcode, u_char *data, size_t len)
{
    u_char     *p, *last;
    ngx_str_t   json;

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY) {

        if (ngx_http_gateway_websocket_add(pass, "\"", 1) != NGX_OK
            || ngx_http_gateway_websocket_add_base64(pass, data, len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_gateway_websocket_add(pass, "\"\n", 2);
    }

    if (!ngx_http_gateway_websocket_is_json(data, len, &json)) {
        return ngx_http_gateway_websocket_add_string(pass, data, len);
    }

    data = json.data;
    last = data + json.len;

    while (data < last) {
        for (p = data; p < last && *p != LF && *p != CR; p++) { /* void */ }

        if (ngx_http_gateway_websocket_add(pass, data, p - data) != NGX_OK) {
            return NGX_ERROR;
        }

        if (p < last && ngx_http_gateway_websocket_add(pass, " ", 1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        data = p + 1;
    }

    return ngx_http_gateway_websocket_add(pass, "\n", 1);
}


static ngx_int_t
ngx_http_gateway_websocket_add_string(ngx_http_gateway_websocket_pass_t *pass,
    u_char *data, size_t len)
{
    size_t   n;
    u_char   piece[6 * 256], *end;

    if (ngx_http_gateway_websocket_add(pass, "\"", 1) != NGX_OK) {
        return NGX_ERROR;
    }

    for ( /* void */ ; len; data += n, len -= n) {
        n = ngx_min(len, 256);
        end = (u_char *) ngx_escape_json(piece, data, n);

        if (ngx_http_gateway_websocket_add(pass, piece, end - piece)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_websocket_add(pass, "\"\n", 2);
}


static ngx_int_t
ngx_http_gateway_websocket_add_base64(ngx_http_gateway_websocket_pass_t *pass,
    u_char *data, size_t len)
{
    u_char     piece[1024];
    ngx_str_t  src, dst;

    for ( /* void */ ; len; len -= src.len) {
        src.data = data;
        src.len = ngx_min(len, 768);
        dst.data = piece;

        ngx_encode_base64(&dst, &src);

        if (ngx_http_gateway_websocket_add(pass, dst.data, dst.len) != NGX_OK)
        {
            return NGX_ERROR;
        }

        data += src.len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_add(ngx_http_gateway_websocket_pass_t *pass,
    void *data, size_t len)
{
    size_t      n;
    u_char     *p;
    ngx_buf_t  *b;

    pass->size += len;

    /* what is too large is not kept any more, and soon refused */

    if (!pass->streams && pass->size > pass->conf->max_reply) {
        return NGX_OK;
    }

    p = data;

    while (len) {
        b = pass->last_out ? pass->last_out->buf : NULL;

        if (b == NULL || b->last == b->end) {
            b = ngx_http_gateway_websocket_add_buf(pass);
            if (b == NULL) {
                return NGX_ERROR;
            }
        }

        n = ngx_min(len, (size_t) (b->end - b->last));

        b->last = ngx_cpymem(b->last, p, n);
        p += n;
        len -= n;
    }

    return NGX_OK;
}


static ngx_buf_t *
ngx_http_gateway_websocket_add_buf(ngx_http_gateway_websocket_pass_t *pass)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(pass->request->pool, &pass->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    if (b->start == NULL) {
        size = pass->conf->upstream.buffer_size;

        b->start = ngx_palloc(pass->request->pool, size);
        if (b->start == NULL) {
            return NULL;
        }

        b->end = b->start + size;
    }

    b->pos = b->start;
    b->last = b->start;
    b->tag = (ngx_buf_tag_t) &ngx_http_gateway_websocket_module;
    b->temporary = 1;
    b->flush = 0;

    cl->next = NULL;

    if (pass->last_out) {
        pass->last_out->next = cl;

    } else {
        pass->out = cl;
    }

    pass->last_out = cl;

    return b;
}
