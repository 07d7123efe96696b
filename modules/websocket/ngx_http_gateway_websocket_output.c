
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what clients of served WebSockets are sent.  A frame is sent as soon as
 * it is made, from the worker's buffer; only what a client does not take is
 * kept, frame by frame.
 */


#include "ngx_http_gateway_websocket_serve.h"


static ngx_int_t ngx_http_gateway_websocket_output_deflate(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len);
static ngx_int_t ngx_http_gateway_websocket_output(
    ngx_http_gateway_websocket_session_t *s, u_char *p, size_t len,
    ngx_uint_t message);
static ngx_int_t ngx_http_gateway_websocket_output_handshake(
    ngx_http_gateway_websocket_session_t *s);
static ssize_t ngx_http_gateway_websocket_output_some(
    ngx_http_gateway_websocket_session_t *s, u_char *p, size_t len);
static ngx_int_t ngx_http_gateway_websocket_output_flush(
    ngx_http_gateway_websocket_session_t *s);


ngx_int_t
ngx_http_gateway_websocket_session_send(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    u_char  *p, *frame;

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
        return NGX_OK;
    }

    s->messages_out++;
    s->active = ngx_current_msec;

    if (s->deflate && len >= NGX_HTTP_GATEWAY_WEBSOCKET_MIN_DEFLATE) {
        return ngx_http_gateway_websocket_output_deflate(s, opcode, data, len);
    }

    frame = ngx_http_gateway_websocket_scratch(
                               NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER + len);
    if (frame == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_gateway_websocket_header(frame,
                                   opcode|NGX_HTTP_GATEWAY_WEBSOCKET_FIN, len,
                                   NULL);
    if (len) {
        p = ngx_cpymem(p, data, len);
    }

    return ngx_http_gateway_websocket_output(s, frame, p - frame, 1);
}


static ngx_int_t
ngx_http_gateway_websocket_output_deflate(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    u_char  *p, *frame, *start, *in, *out;
    size_t   bound;

    bound = ngx_http_gateway_websocket_deflate_bound(len);

    frame = ngx_http_gateway_websocket_scratch(
                              NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER + bound);
    if (frame == NULL) {
        return NGX_ERROR;
    }

    start = frame + NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER;

    in = data;
    out = start;

    if (ngx_http_gateway_websocket_deflate(s->deflate, &in, in + len, &out,
                                           start + bound, 1)
        != NGX_OK)
    {
        /* what would follow could not be inflated */

        s->broken = 1;
        ngx_http_gateway_websocket_session_wake(s);

        return NGX_ERROR;
    }

    opcode |= NGX_HTTP_GATEWAY_WEBSOCKET_FIN|NGX_HTTP_GATEWAY_WEBSOCKET_RSV1;

    p = ngx_http_gateway_websocket_header(frame, opcode, out - start, NULL);
    p = ngx_movemem(p, start, out - start);

    return ngx_http_gateway_websocket_output(s, frame, p - frame, 1);
}


ngx_int_t
ngx_http_gateway_websocket_session_control(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    u_char  *p, frame[NGX_HTTP_GATEWAY_WEBSOCKET_HEAD];

    p = ngx_http_gateway_websocket_control(frame, opcode, data, len, NULL);

    return ngx_http_gateway_websocket_output(s, frame, p - frame, 0);
}


static ngx_int_t
ngx_http_gateway_websocket_output(ngx_http_gateway_websocket_session_t *s,
    u_char *p, size_t len, ngx_uint_t message)
{
    ssize_t                              n;
    ngx_http_gateway_websocket_frame_t  *frame;

    if (s->broken || s->shut || s->connection == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    if (ngx_queue_empty(&s->frames)) {
        n = ngx_http_gateway_websocket_output_some(s, p, len);

        if (n == NGX_ERROR) {
            s->broken = 1;
            ngx_http_gateway_websocket_session_wake(s);

            return NGX_ERROR;
        }

        if ((size_t) n == len) {
            return NGX_OK;
        }
    }

    len -= n;

    frame = ngx_alloc(sizeof(ngx_http_gateway_websocket_frame_t) + len,
                      s->log);
    if (frame == NULL) {

        /* half a frame has been sent, or one would be missing */

        s->broken = 1;
        ngx_http_gateway_websocket_session_wake(s);

        return NGX_ERROR;
    }

    frame->pos = 0;
    frame->len = len;
    frame->message = (message != 0);

    ngx_memcpy(frame->data, p + n, len);

    ngx_queue_insert_tail(&s->frames, &frame->queue);
    s->nframes += (message != 0);

    if (!s->is_blocked) {
        s->is_blocked = 1;
        s->blocked = ngx_current_msec;
        ngx_http_gateway_websocket_session_timer(s);
    }

    if (ngx_handle_write_event(s->connection->write, 0) != NGX_OK) {
        s->broken = 1;
        ngx_http_gateway_websocket_session_wake(s);

        return NGX_ERROR;
    }

    return NGX_OK;
}


/* returns how much was sent, or NGX_ERROR */

static ssize_t
ngx_http_gateway_websocket_output_some(ngx_http_gateway_websocket_session_t *s,
    u_char *p, size_t len)
{
    size_t             sent;
    ssize_t            n;
    ngx_connection_t  *c;

    c = s->connection;

    if (s->request && s->request->buffered
        && ngx_http_gateway_websocket_output_handshake(s) != NGX_OK)
    {
        return s->broken ? NGX_ERROR : 0;
    }

    for (sent = 0; sent < len && c->write->ready; sent += n) {
        n = c->send(c, p + sent, len - sent);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            break;
        }
    }

    return sent;
}


/* the 101 has not been taken by the client */

static ngx_int_t
ngx_http_gateway_websocket_output_handshake(
    ngx_http_gateway_websocket_session_t *s)
{
    if (ngx_http_output_filter(s->request, NULL) == NGX_ERROR) {
        s->broken = 1;
        return NGX_ERROR;
    }

    return s->request->buffered ? NGX_AGAIN : NGX_OK;
}


void
ngx_http_gateway_websocket_session_write_handler(ngx_event_t *ev)
{
    ngx_connection_t                      *c;
    ngx_http_gateway_websocket_session_t  *s;

    c = ev->data;
    s = ngx_http_gateway_websocket_session_of(c);

    if (ngx_http_gateway_websocket_output_flush(s) != NGX_OK) {
        s->broken = 1;
    }

    /* messages may have waited for it, or the end of the connection */

    if (s->broken || s->nmessages
        || s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING)
    {
        ngx_http_gateway_websocket_session_wake(s);
    }
}


static ngx_int_t
ngx_http_gateway_websocket_output_flush(
    ngx_http_gateway_websocket_session_t *s)
{
    ssize_t                              n;
    ngx_queue_t                         *q, *next;
    ngx_http_gateway_websocket_frame_t  *frame;

    if (s->request && s->request->buffered
        && ngx_http_gateway_websocket_output_handshake(s) != NGX_OK)
    {
        return s->broken ? NGX_ERROR
                         : ngx_handle_write_event(s->connection->write, 0);
    }

    for (q = ngx_queue_head(&s->frames);
         q != ngx_queue_sentinel(&s->frames);
         q = next)
    {
        next = ngx_queue_next(q);
        frame = ngx_queue_data(q, ngx_http_gateway_websocket_frame_t, queue);

        n = ngx_http_gateway_websocket_output_some(s, frame->data + frame->pos,
                                                   frame->len - frame->pos);
        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n) {
            frame->pos += n;
            s->blocked = ngx_current_msec;
        }

        if (frame->pos < frame->len) {
            return ngx_handle_write_event(s->connection->write, 0);
        }

        ngx_queue_remove(q);
        s->nframes -= frame->message;

        ngx_free(frame);
    }

    s->is_blocked = 0;

    return ngx_handle_write_event(s->connection->write, 0);
}


void
ngx_http_gateway_websocket_session_drop(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_queue_t                         *q, *next;
    ngx_http_gateway_websocket_frame_t  *frame;

    for (q = ngx_queue_head(&s->frames);
         q != ngx_queue_sentinel(&s->frames);
         q = next)
    {
        next = ngx_queue_next(q);

        frame = ngx_queue_data(q, ngx_http_gateway_websocket_frame_t, queue);
        ngx_free(frame);
    }

    ngx_queue_init(&s->frames);
    s->nframes = 0;
}
