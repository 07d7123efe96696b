
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the life of clients' WebSockets that are served by HTTP services, from
 * the 101 to the closing handshake, and to the last thing that the service is
 * told about them.
 *
 * A session outlives its connection: what the client sent before is given to
 * the service all the same.  It is freed only in the handler of its own event,
 * when nothing refers to it any more.
 */


#include "ngx_http_gateway_websocket_serve.h"


static u_char *ngx_http_gateway_websocket_session_log(ngx_log_t *log,
    u_char *buf, size_t len);
static void ngx_http_gateway_websocket_session_take(
    ngx_http_gateway_websocket_session_t *s);
static void ngx_http_gateway_websocket_session_handler(ngx_event_t *ev);
static void ngx_http_gateway_websocket_session_shut(
    ngx_http_gateway_websocket_session_t *s);
static void ngx_http_gateway_websocket_session_finish(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);


ngx_http_gateway_websocket_session_t *
ngx_http_gateway_websocket_session(
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_pool_t                            *pool;
    ngx_http_gateway_websocket_session_t  *s;

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(pool, sizeof(ngx_http_gateway_websocket_session_t));
    if (s == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    s->log = ngx_palloc(pool, sizeof(ngx_log_t));
    if (s->log == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    *s->log = *ngx_cycle->log;

    s->log->handler = ngx_http_gateway_websocket_session_log;
    s->log->data = s;
    s->log->action = NULL;

    s->pool = pool;
    s->conf = wlcf;
    s->events = wlcf->events;
    s->concurrency = wlcf->events ? 1 : wlcf->concurrency;

    ngx_queue_init(&s->messages);
    ngx_queue_init(&s->exchanges);
    ngx_queue_init(&s->frames);

    s->event.handler = ngx_http_gateway_websocket_session_handler;
    s->event.data = s;
    s->event.log = s->log;

    s->timer.handler = ngx_http_gateway_websocket_session_timeout;
    s->timer.data = s;
    s->timer.log = s->log;

    return s;
}


static u_char *
ngx_http_gateway_websocket_session_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                                *p;
    ngx_http_gateway_websocket_session_t  *s;

    s = log->data;
    p = buf;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
    }

    if (s->profile == NULL) {
        return p;
    }

    return ngx_snprintf(p, len, ", client: %V, request: \"%V\"",
                        &s->profile->addr_text, &s->profile->request_line);
}


void
ngx_http_gateway_websocket_session_open(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_time_t  *tp;

    s->connection = s->request->connection;
    s->phase = NGX_HTTP_GATEWAY_WEBSOCKET_OPEN;
    s->opens = 1;

    s->received = ngx_current_msec;
    s->active = ngx_current_msec;

    tp = ngx_timeofday();
    s->connected = ngx_current_msec;
    s->connected_sec = tp->sec;
    s->connected_msec = tp->msec;

    if (s->conf->max_age) {
        s->max_age = ngx_current_msec + s->conf->max_age;
    }

    s->message.head = offsetof(ngx_http_gateway_websocket_message_t, data);
    s->message.log = s->log;

    ngx_http_gateway_websocket_parser_init(&s->parser, 1);

    s->parser.max_message = s->conf->max_message;
    s->parser.max_frame = ngx_http_gateway_websocket_max_frame(s->conf);
    s->parser.deflate = (s->inflate != NULL);

    ngx_http_gateway_websocket_moving_buffers(s->connection);

    s->drain.handler = ngx_http_gateway_websocket_session_drain;
    s->drain.data = s;
    s->drain.spread = s->conf->drain;

    ngx_http_gateway_websocket_drain_add(&s->drain);
    ngx_http_gateway_websocket_session_timer(s);

    ngx_http_gateway_websocket_session_wake(s);
}


/* what called the handler of the request needs the connection to be its own */

static void
ngx_http_gateway_websocket_session_take(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_buf_t                 *b;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    s->opens = 0;

    r = s->request;
    c = s->connection;

    c->log->action = "serving a websocket";

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        s->broken = 1;
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    /* what came with the handshake, or behind it */

    b = r->header_in;

    if (b->pos < b->last) {
        s->nrest = b->last - b->pos;
        s->rest = ngx_alloc(s->nrest, s->log);

        if (s->rest == NULL) {
            s->nrest = 0;
            s->broken = 1;

        } else {
            ngx_memcpy(s->rest, b->pos, s->nrest);
            s->fresh = 1;
        }

        b->pos = b->last;
    }

    c->read->handler = ngx_http_gateway_websocket_session_read_handler;
    c->write->handler = ngx_http_gateway_websocket_session_write_handler;

    ngx_http_gateway_websocket_profile_release(s);

    ngx_post_event(c->read, &ngx_posted_events);
}


ngx_http_gateway_websocket_session_t *
ngx_http_gateway_websocket_session_of(ngx_connection_t *c)
{
    ngx_http_request_t                *r;
    ngx_http_gateway_websocket_ctx_t  *ctx;

    r = c->data;

    if (r->signature != NGX_HTTP_MODULE) {
        return c->data;
    }

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_gateway_websocket_module);

    return ctx->session;
}


void
ngx_http_gateway_websocket_session_end(ngx_http_gateway_websocket_session_t *s,
    ngx_uint_t code, char *reason)
{
    ngx_str_t  text;

    text.len = ngx_strlen(reason);
    text.data = (u_char *) reason;

    ngx_http_gateway_websocket_session_close(s, code, &text,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
}


void
ngx_http_gateway_websocket_session_close(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t code,
    ngx_str_t *reason, ngx_uint_t by)
{
    size_t  len;
    u_char  payload[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL];

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
        return;
    }

    ngx_http_gateway_websocket_session_closed(s, code, by);

    len = 0;

    if (code != NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS) {
        payload[0] = (u_char) (code >> 8);
        payload[1] = (u_char) code;

        len = ngx_min(reason->len,
                      NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL - 2);

        if (len) {
            ngx_memcpy(payload + 2, reason->data, len);

            s->close_reason.data = ngx_pnalloc(s->pool, len);
        }

        if (s->close_reason.data) {
            s->close_reason.len = len;
            ngx_memcpy(s->close_reason.data, reason->data, len);
        }

        len += 2;
    }

    s->phase = NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING;
    s->closing = ngx_current_msec + NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE_TIMEOUT;

    /* nobody is to send to it any more */

    ngx_http_gateway_websocket_retire(&s->member);
    ngx_http_gateway_websocket_drain_remove(&s->drain);

    /* without the frame it will be closed all the same */

    (void) ngx_http_gateway_websocket_session_control(s,
                                             NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE,
                                             payload, len);

    ngx_http_gateway_websocket_assembly_free(&s->message);

    ngx_http_gateway_websocket_session_timer(s);

    /* what it still sends is thrown away */

    if (!s->reading) {
        s->paused = 0;
        ngx_post_event(s->connection->read, &ngx_posted_events);
    }

    ngx_http_gateway_websocket_session_wake(s);
}


void
ngx_http_gateway_websocket_session_closed(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t code, ngx_uint_t by)
{
    if (s->close == 0) {
        s->close = code;
        s->closed_by = by;
    }
}


void
ngx_http_gateway_websocket_session_wake(
    ngx_http_gateway_websocket_session_t *s)
{
    if (!s->event.posted) {
        ngx_post_event(&s->event, &ngx_posted_events);
    }
}


static void
ngx_http_gateway_websocket_session_handler(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_session_t *s = ev->data;

    if (s->opens) {
        ngx_http_gateway_websocket_session_take(s);
    }

    if (s->connection
        && (s->broken
            || (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING && s->closed
                && ngx_queue_empty(&s->frames))))
    {
        ngx_http_gateway_websocket_session_gone(s);
        return;
    }

    if (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_CONNECTING) {
        return;
    }

    if (s->discard && !s->shut && s->connection
        && ngx_queue_empty(&s->frames))
    {
        ngx_http_gateway_websocket_session_shut(s);
    }

    ngx_http_gateway_websocket_messages_run(s);

    if (s->connection || s->nexchanges || s->nmessages) {
        return;
    }

    if (s->accepted && !s->told) {
        ngx_http_gateway_websocket_tell(s);
        return;
    }

    ngx_http_gateway_websocket_session_free(s);
}


/*
 * No Close of the client is waited for.  It is shown the end; if it were closed
 * at once, what it still sends might cost it the Close that it was sent.
 */

static void
ngx_http_gateway_websocket_session_shut(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_connection_t  *c;

    s->shut = 1;
    c = s->connection;

#if (NGX_SSL)
    if (c->ssl) {
        return;
    }
#endif

    if (ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) == -1) {
        ngx_connection_error(c, ngx_socket_errno,
                             ngx_shutdown_socket_n " failed");
        s->broken = 1;
        ngx_http_gateway_websocket_session_wake(s);
    }
}


void
ngx_http_gateway_websocket_session_gone(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_queue_t                            *q;
    ngx_connection_t                       *c;
    ngx_http_request_t                     *r;
    ngx_http_gateway_websocket_exchange_t  *x;

    s->phase = NGX_HTTP_GATEWAY_WEBSOCKET_GONE;
    s->opens = 0;

    ngx_http_gateway_websocket_session_closed(s, 1006,
                                        NGX_HTTP_GATEWAY_WEBSOCKET_BY_CLIENT);

    ngx_http_gateway_websocket_retire(&s->member);
    ngx_http_gateway_websocket_drain_remove(&s->drain);
    ngx_http_gateway_websocket_session_drop(s);

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    if (s->inflate) {
        ngx_http_gateway_websocket_inflate_free(s->inflate);
    }

    if (s->deflate) {
        ngx_http_gateway_websocket_deflate_free(s->deflate);
    }

    ngx_http_gateway_websocket_assembly_free(&s->message);

    if (s->rest) {
        ngx_free(s->rest);
        s->rest = NULL;
        s->nrest = 0;
    }

    for (q = ngx_queue_head(&s->exchanges);
         q != ngx_queue_sentinel(&s->exchanges);
         q = ngx_queue_next(q))
    {
        x = ngx_queue_data(q, ngx_http_gateway_websocket_exchange_t, queue);
        ngx_http_gateway_websocket_exchange_forget(x);
    }

    c = s->connection;
    r = s->request;

    s->connection = NULL;
    s->request = NULL;

    if (s->cleanup) {
        s->cleanup->handler = NULL;
        s->cleanup = NULL;
    }

    ngx_http_gateway_websocket_session_wake(s);

    if (c == NULL) {
        return;
    }

    c->read->handler = ngx_http_empty_handler;
    c->write->handler = ngx_http_empty_handler;

    if (r == NULL) {
        r = ngx_http_gateway_websocket_profile_revive(s, c);

        if (r == NULL) {
            ngx_http_close_connection(c);
            return;
        }
    }

    /* nothing is to be read any more, not even to linger */

    c->read->ready = 0;
    c->read->eof = 1;

    ngx_http_gateway_websocket_session_finish(s, r);
    ngx_http_run_posted_requests(c);
}


/* the request of the handshake ends, and is logged */

static void
ngx_http_gateway_websocket_session_finish(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx) {
        ctx->session = NULL;
        ctx->messages_in = s->messages_in;
        ctx->messages_out = s->messages_out;
        ctx->close = s->close;
        ctx->closed_by = s->closed_by;
    }

    r->keepalive = 0;

    ngx_http_finalize_request(r, r->buffered ? NGX_ERROR : NGX_OK);
}


void
ngx_http_gateway_websocket_session_free(
    ngx_http_gateway_websocket_session_t *s)
{
    /* core has not let go of all requests */

    if (!ngx_queue_empty(&s->exchanges)) {
        return;
    }

    ngx_http_gateway_websocket_leave(&s->member);

    ngx_http_gateway_websocket_messages_drop(s);

    if (s->event.posted) {
        ngx_delete_posted_event(&s->event);
    }

    if (s->state.data) {
        ngx_free(s->state.data);
    }

    ngx_destroy_pool(s->pool);
}
