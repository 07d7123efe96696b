
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what clients of served WebSockets send: it is read into the worker's
 * buffer, and frames are put together to messages that wait for the service.
 * A client is not read while too many of them wait.
 */


#include "ngx_http_gateway_websocket_serve.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_READS  16


static ngx_int_t ngx_http_gateway_websocket_intake_recv(
    ngx_http_gateway_websocket_session_t *s, u_char **buf, size_t *len);
static ngx_int_t ngx_http_gateway_websocket_intake_keep(
    ngx_http_gateway_websocket_session_t *s, u_char *p, size_t len);
static u_char *ngx_http_gateway_websocket_intake_parse(
    ngx_http_gateway_websocket_session_t *s, u_char *p, u_char *last);
static ngx_int_t ngx_http_gateway_websocket_intake_frame(
    ngx_http_gateway_websocket_session_t *s, u_char **pos, u_char *last);
static ngx_int_t ngx_http_gateway_websocket_intake_payload(
    ngx_http_gateway_websocket_session_t *s, u_char *p, size_t len);
static ngx_int_t ngx_http_gateway_websocket_intake_charge(
    ngx_http_gateway_websocket_session_t *s);
static void ngx_http_gateway_websocket_intake_message(
    ngx_http_gateway_websocket_session_t *s);
static ngx_int_t ngx_http_gateway_websocket_intake_control(
    ngx_http_gateway_websocket_session_t *s, u_char *data, size_t len);
static ngx_int_t ngx_http_gateway_websocket_intake_close(
    ngx_http_gateway_websocket_session_t *s, u_char *data, size_t len);


void
ngx_http_gateway_websocket_session_read_handler(ngx_event_t *ev)
{
    ngx_connection_t                      *c;
    ngx_http_gateway_websocket_session_t  *s;

    c = ev->data;
    s = ngx_http_gateway_websocket_session_of(c);

    if (c->close) {

        /* worker_shutdown_timeout */

        s->broken = 1;
        ngx_http_gateway_websocket_session_closed(s, 1006,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
        ngx_http_gateway_websocket_session_wake(s);
        return;
    }

    ngx_http_gateway_websocket_session_read(s);
}


void
ngx_http_gateway_websocket_session_read(
    ngx_http_gateway_websocket_session_t *s)
{
    u_char      *buf, *p;
    size_t       len;
    ngx_int_t    rc;
    ngx_uint_t   n;

    if (s->reading || s->paused || s->broken || s->connection == NULL) {
        return;
    }

    s->reading = 1;

    for (n = 0; /* void */ ; n++) {

        if (n == NGX_HTTP_GATEWAY_WEBSOCKET_MAX_READS) {

            /* others of this worker have their turn */

            ngx_post_event(s->connection->read, &ngx_posted_next_events);
            break;
        }

        rc = ngx_http_gateway_websocket_intake_recv(s, &buf, &len);

        if (rc != NGX_OK) {
            break;
        }

        p = ngx_http_gateway_websocket_intake_parse(s, buf, buf + len);

        if (ngx_http_gateway_websocket_intake_keep(s, p, buf + len - p)
            != NGX_OK)
        {
            s->broken = 1;
        }

        ngx_http_gateway_websocket_messages_run(s);

        if (s->broken || s->paused) {
            break;
        }
    }

    s->reading = 0;

    if (ngx_handle_read_event(s->connection->read, 0) != NGX_OK) {
        s->broken = 1;
    }

    if (s->broken || s->closed) {
        ngx_http_gateway_websocket_session_wake(s);
    }
}


/*
 * What was kept and what is there to read, in the worker's buffer.  Returns
 * NGX_OK when there is something new.
 */

static ngx_int_t
ngx_http_gateway_websocket_intake_recv(ngx_http_gateway_websocket_session_t *s,
    u_char **buf, size_t *len)
{
    size_t             size;
    ssize_t            n;
    ngx_connection_t  *c;

    c = s->connection;

    size = s->nrest + NGX_HTTP_GATEWAY_WEBSOCKET_READ;

    *buf = ngx_http_gateway_websocket_scratch(size);
    if (*buf == NULL) {
        s->broken = 1;
        return NGX_ERROR;
    }

    *len = s->nrest;

    if (s->nrest) {
        ngx_memcpy(*buf, s->rest, s->nrest);
    }

    if (s->fresh) {
        s->fresh = 0;
        return NGX_OK;
    }

    if (!c->read->ready) {
        return NGX_AGAIN;
    }

    n = c->recv(c, *buf + *len, size - *len);

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n == 0 || n == NGX_ERROR) {
        s->broken = 1;
        return NGX_ERROR;
    }

    *len += n;
    s->received = ngx_current_msec;

    return NGX_OK;
}


/* what has not been looked at, or is not a whole header yet */

static ngx_int_t
ngx_http_gateway_websocket_intake_keep(ngx_http_gateway_websocket_session_t *s,
    u_char *p, size_t len)
{
    u_char  *rest;

    rest = NULL;

    if (len) {
        rest = ngx_alloc(len, s->log);
        if (rest == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(rest, p, len);
    }

    if (s->rest) {
        ngx_free(s->rest);
    }

    s->rest = rest;
    s->nrest = len;
    s->fresh = (len && s->paused);

    return NGX_OK;
}


/* returns where it stopped */

static u_char *
ngx_http_gateway_websocket_intake_parse(
    ngx_http_gateway_websocket_session_t *s, u_char *p, u_char *last)
{
    size_t     n;
    ngx_int_t  rc;

    while (p < last) {

        if (s->closed || s->discard) {
            return last;
        }

        if (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_OPEN
            && s->nmessages >= s->conf->max_queue
                               + s->concurrency - s->nexchanges)
        {
            s->paused = 1;
            return p;
        }

        if (s->parser.rest == 0) {
            rc = ngx_http_gateway_websocket_intake_frame(s, &p, last);

        } else {
            n = (size_t) ngx_min((uint64_t) (last - p), s->parser.rest);
            rc = ngx_http_gateway_websocket_intake_payload(s, p, n);
            p += n;
        }

        if (rc == NGX_AGAIN) {
            return p;
        }

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_INFO, s->log, 0,
                          "client broke the rules of the websocket: %s, "
                          "closed with %ui", s->parser.error, s->parser.code);

            ngx_http_gateway_websocket_session_end(s, s->parser.code,
                                                   s->parser.error);

            /* else the client's Close is waited for, behind all this */

            if (s->parser.code == NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL
                || s->parser.rest > (uint64_t) (last - p))
            {
                s->discard = 1;
            }
        }
    }

    return p;
}


static ngx_int_t
ngx_http_gateway_websocket_intake_frame(
    ngx_http_gateway_websocket_session_t *s, u_char **pos, u_char *last)
{
    size_t                                len;
    u_char                               *p;
    ngx_int_t                             rc;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &s->parser;
    p = *pos;

    rc = ngx_http_gateway_websocket_parse(ps, &p, last);

    if (rc == NGX_ERROR) {
        *pos = p;

        /* what is too big is passed over afterwards */

        return (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_OPEN
                || ps->code == NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL)
               ? NGX_ERROR : NGX_OK;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_gateway_websocket_is_control(ps)) {
        *pos = p + ps->length;

        return ngx_http_gateway_websocket_intake_control(s, p,
                                                         (size_t) ps->length);
    }

    len = (size_t) ngx_min((uint64_t) (last - p), ps->rest);

    *pos = p + len;

    /* an empty frame has no payload that could follow */

    if (len || ps->rest == 0) {
        return ngx_http_gateway_websocket_intake_payload(s, p, len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_intake_payload(
    ngx_http_gateway_websocket_session_t *s, u_char *p, size_t len)
{
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &s->parser;

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
        ngx_http_gateway_websocket_pass_over(ps, len);
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_assemble(&s->message, ps, s->inflate,
                                            s->conf->max_message, p, len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ngx_http_gateway_websocket_is_whole(ps)) {
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_intake_charge(s) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_websocket_intake_message(s);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_intake_charge(
    ngx_http_gateway_websocket_session_t *s)
{
    if (s->conf->limit == NULL
        || ngx_http_gateway_rate_charge(s->conf->limit,
                                        (int64_t) ngx_current_msec * 1000,
                                        &s->tat, &s->fraction)
           == NGX_OK)
    {
        return NGX_OK;
    }

    s->parser.code = NGX_HTTP_GATEWAY_WEBSOCKET_POLICY;
    s->parser.error = "more messages than are allowed";

    return NGX_ERROR;
}


static void
ngx_http_gateway_websocket_intake_message(
    ngx_http_gateway_websocket_session_t *s)
{
    size_t                                 len;
    ngx_http_gateway_websocket_message_t  *m;

    s->active = ngx_current_msec;
    s->messages_in++;

    len = s->message.len;

    m = (ngx_http_gateway_websocket_message_t *)
                             ngx_http_gateway_websocket_assembled(&s->message);

    m->opcode = s->parser.type;
    m->len = len;

    ngx_queue_insert_tail(&s->messages, &m->queue);
    s->nmessages++;
}


static ngx_int_t
ngx_http_gateway_websocket_intake_control(
    ngx_http_gateway_websocket_session_t *s, u_char *data, size_t len)
{
    u_char                               *p, payload[125];
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &s->parser;
    p = payload;

    ngx_http_gateway_websocket_mask(p, data, len, ps->mask, 0);

    if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE) {
        return ngx_http_gateway_websocket_intake_close(s, p, len);
    }

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
        return NGX_OK;
    }

    if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PONG && s->is_pinged) {
        s->is_pinged = 0;
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_intake_charge(s) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PING
        && !s->is_blocked
        && ngx_http_gateway_websocket_session_control(s,
                                              NGX_HTTP_GATEWAY_WEBSOCKET_PONG,
                                              p, len)
           != NGX_OK)
    {
        s->broken = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_intake_close(
    ngx_http_gateway_websocket_session_t *s, u_char *data, size_t len)
{
    ngx_str_t   reason;
    ngx_uint_t  code;

    s->closed = 1;

    if (ngx_http_gateway_websocket_close_code(data, len, &code) != NGX_OK) {
        s->parser.code = code;
        s->parser.error = "invalid Close frame";
        return NGX_ERROR;
    }

    reason.len = (len > 2) ? len - 2 : 0;
    reason.data = data + 2;

    ngx_http_gateway_websocket_session_close(s, code, &reason,
                                        NGX_HTTP_GATEWAY_WEBSOCKET_BY_CLIENT);

    return NGX_OK;
}
