
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns requests to the service of a WebSocket client.
 *
 * A request of nginx takes its memory until it ends, and so do subrequests,
 * whose memory is the main request's.  The request that opened the WebSocket
 * lasts as long as the client stays, so each of its messages gets a main
 * request of its own, on a connection of its own, as each stream of HTTP/2
 * does.  This main request only carries the subrequest that goes to a location
 * and is gone when that has been answered.
 *
 * The connection takes one of worker_connections, and has no socket: it is
 * "shared", as those of UDP are, so that core closes none, and no event is ever
 * added for it.
 */


#include "ngx_http_gateway_websocket_serve.h"


static ngx_connection_t *ngx_http_gateway_websocket_exchange_connection(
    ngx_http_gateway_websocket_session_t *s);
static ngx_http_request_t *ngx_http_gateway_websocket_exchange_main(
    ngx_http_gateway_websocket_exchange_t *x, ngx_connection_t *c);
static ngx_int_t ngx_http_gateway_websocket_exchange_start(
    ngx_http_gateway_websocket_exchange_t *x, ngx_str_t *uri,
    ngx_array_t *fields, ngx_str_t *body);
static ngx_int_t ngx_http_gateway_websocket_exchange_done(
    ngx_http_request_t *sr, void *data, ngx_int_t rc);
static void ngx_http_gateway_websocket_exchange_end(
    ngx_http_gateway_websocket_exchange_t *x);
static void ngx_http_gateway_websocket_exchange_terminated(void *data);
static void ngx_http_gateway_websocket_exchange_cleanup(void *data);
static void ngx_http_gateway_websocket_exchange_handler(ngx_event_t *ev);
static void ngx_http_gateway_websocket_exchange_read_handler(ngx_event_t *ev);
static void ngx_http_gateway_websocket_exchange_write_handler(
    ngx_event_t *ev);
static ngx_int_t ngx_http_gateway_websocket_exchange_take(
    ngx_http_gateway_websocket_exchange_t *x, u_char *p, size_t len);
static ssize_t ngx_http_gateway_websocket_no_recv(ngx_connection_t *c,
    u_char *buf, size_t size);
static ssize_t ngx_http_gateway_websocket_no_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ssize_t ngx_http_gateway_websocket_no_send(ngx_connection_t *c,
    u_char *buf, size_t size);
static ngx_chain_t *ngx_http_gateway_websocket_no_send_chain(
    ngx_connection_t *c, ngx_chain_t *in, off_t limit);


/* what core may take for the client's socket; it is never connected */

static ngx_socket_t  ngx_http_gateway_websocket_no_socket;


ngx_int_t
ngx_http_gateway_websocket_exchange_init_process(ngx_cycle_t *cycle)
{
    ngx_http_gateway_websocket_no_socket = ngx_socket(AF_UNIX, SOCK_STREAM, 0);

    if (ngx_http_gateway_websocket_no_socket == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_exchange(ngx_http_gateway_websocket_session_t *s,
    ngx_uint_t kind, ngx_str_t *uri, ngx_array_t *fields, ngx_str_t *body,
    ngx_http_gateway_websocket_message_t *message)
{
    ngx_pool_t                             *pool;
    ngx_connection_t                       *c;
    ngx_http_gateway_websocket_exchange_t  *x;

    c = ngx_http_gateway_websocket_exchange_connection(s);
    if (c == NULL) {
        return NGX_BUSY;
    }

    x = ngx_pcalloc(c->pool, sizeof(ngx_http_gateway_websocket_exchange_t));
    if (x == NULL) {
        goto failed;
    }

    x->session = s;
    x->kind = kind;

    x->log = *s->log;
    x->log.handler = s->profile->log_handler;
    x->log.data = &x->log_ctx;
    x->log.connection = s->profile->number;
    x->log.action = "asking the service of a websocket";
    x->log_ctx.connection = c;

    x->event.handler = ngx_http_gateway_websocket_exchange_handler;
    x->event.data = x;
    x->event.log = &x->log;

    c->log = &x->log;
    c->pool->log = &x->log;
    c->read->log = &x->log;
    c->write->log = &x->log;
    c->buffer = &x->buffer;

    x->main = ngx_http_gateway_websocket_exchange_main(x, c);
    if (x->main == NULL) {
        goto failed;
    }

    ngx_queue_insert_tail(&s->exchanges, &x->queue);
    s->nexchanges++;

    if (ngx_http_gateway_websocket_exchange_start(x, uri, fields, body)
        != NGX_OK)
    {
        /* core may have left half a subrequest */

        x->terminated = 1;
        ngx_http_gateway_websocket_exchange_free(x);

        return NGX_ERROR;
    }

    x->message = message;

    ngx_http_run_posted_requests(c);

    return NGX_OK;

failed:

    pool = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


static ngx_connection_t *
ngx_http_gateway_websocket_exchange_connection(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_connection_t                      *c, *client;
    ngx_http_gateway_websocket_profile_t  *pr;

    c = ngx_get_connection(ngx_http_gateway_websocket_no_socket, s->log);
    if (c == NULL) {
        return NULL;
    }

    /* nothing of it is to be closed */

    c->shared = 1;

    c->pool = ngx_create_pool(1024, s->log);
    if (c->pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    pr = s->profile;

    c->type = SOCK_STREAM;
    c->number = pr->number;
    c->start_time = ngx_current_msec;
    c->log_error = NGX_ERROR_INFO;
    c->sndlowat = 1;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    c->listening = pr->listening;
    c->sockaddr = pr->sockaddr;
    c->socklen = pr->socklen;
    c->addr_text = pr->addr_text;
    c->local_sockaddr = pr->local_sockaddr;
    c->local_socklen = pr->local_socklen;

    client = s->request ? s->request->connection : s->connection;

    if (client) {
        c->proxy_protocol = client->proxy_protocol;
#if (NGX_SSL)
        c->ssl = client->ssl;
#endif
    }

    c->recv = ngx_http_gateway_websocket_no_recv;
    c->recv_chain = ngx_http_gateway_websocket_no_recv_chain;
    c->send = ngx_http_gateway_websocket_no_send;
    c->send_chain = ngx_http_gateway_websocket_no_send_chain;

    c->read->handler = ngx_http_gateway_websocket_exchange_read_handler;
    c->write->handler = ngx_http_gateway_websocket_exchange_write_handler;

    /* there is nothing to add, nor to delete, for any kind of events */

    c->read->active = 1;
    c->write->ready = 1;
    c->write->active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;

    /* and nothing to linger for */

    c->read->eof = 1;

    return c;
}


static ngx_http_request_t *
ngx_http_gateway_websocket_exchange_main(
    ngx_http_gateway_websocket_exchange_t *x, ngx_connection_t *c)
{
    ngx_uint_t                             i, *index;
    ngx_array_t                           *indices;
    ngx_http_cleanup_t                    *cln;
    ngx_pool_cleanup_t                    *pcln;
    ngx_http_request_t                    *r;
    ngx_http_gateway_websocket_profile_t  *pr;

    pr = x->session->profile;

    c->data = &pr->hc;

    r = ngx_http_create_request(c);
    if (r == NULL) {
        return NULL;
    }

    c->data = r;

#if (NGX_STAT_STUB)

    /* core counts it down when it closes the connection */

    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);

#endif

    /* that of the exchange, beside the request's own */

    r->count++;

    r->logged = 1;

    r->method = NGX_HTTP_POST;
    ngx_str_set(&r->method_name, "POST");
    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->http_protocol, "HTTP/1.1");

    r->request_line = pr->request_line;
    r->unparsed_uri = pr->unparsed_uri;
    r->uri = pr->uri;
    r->args = pr->args;
    r->headers_in = pr->headers_in;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->valid_location = 1;

    indices = &pr->inherited;
    index = indices->elts;

    for (i = 0; i < indices->nelts; i++) {
        r->variables[index[i]] = pr->values[i];
    }

    /* both are called before anything that they use is gone */

    cln = ngx_http_cleanup_add(r, 0);
    pcln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || pcln == NULL) {
        ngx_http_free_request(r, 0);

#if (NGX_STAT_STUB)
        (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

        return NULL;
    }

    cln->handler = ngx_http_gateway_websocket_exchange_terminated;
    cln->data = x;

    pcln->handler = ngx_http_gateway_websocket_exchange_cleanup;
    pcln->data = x;

    return r;
}


static ngx_int_t
ngx_http_gateway_websocket_exchange_start(
    ngx_http_gateway_websocket_exchange_t *x, ngx_str_t *uri,
    ngx_array_t *fields, ngx_str_t *body)
{
    ngx_str_t                              text;
    ngx_uint_t                             i;
    ngx_pool_t                            *pool;
    ngx_http_request_t                    *sr;
    ngx_http_gateway_field_t              *field;
    ngx_http_gateway_subrequest_t          sub;
    ngx_http_gateway_websocket_profile_t  *pr;

    pr = x->session->profile;
    pool = x->main->pool;

    ngx_memzero(&sub, sizeof(ngx_http_gateway_subrequest_t));

    sub.uri = *uri;
    ngx_http_split_args(x->main, &sub.uri, &sub.args);

    if (body && body->len && x->session->events) {
        if (ngx_http_gateway_websocket_dup(pool, &text, body) != NGX_OK) {
            return NGX_ERROR;
        }

        body = &text;
    }

    sub.method = NGX_HTTP_POST;
    sub.method_name = x->main->method_name;
    sub.body = body;
    sub.fields = fields;
    sub.post = &x->post;

    x->post.handler = ngx_http_gateway_websocket_exchange_done;
    x->post.data = x;

    /* the caller's memory may be gone by then */

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (ngx_http_gateway_websocket_dup(pool, &field[i].value,
                                           &field[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (x->session->events
            && (ngx_http_gateway_websocket_dup(pool, &field[i].name,
                                               &field[i].name)
                != NGX_OK
                || ngx_http_gateway_websocket_dup(pool, &field[i].lowcase,
                                                  &field[i].lowcase)
                   != NGX_OK))
        {
            return NGX_ERROR;
        }
    }

    sr = ngx_http_gateway_subrequest(x->main, &pr->subrequests, &sub);
    if (sr == NULL) {
        return NGX_ERROR;
    }

    if (body == NULL) {
        sr->headers_in.content_length_n = 0;
    }

    x->main->request_length = body ? (off_t) body->len : 0;
    x->request = sr;

    /* the one that is to be answered: core sends to no other at once */

    sr->connection->data = sr;

    return NGX_OK;
}


ngx_http_gateway_websocket_exchange_t *
ngx_http_gateway_websocket_get_exchange(ngx_http_request_t *r)
{
    if (r->post_subrequest == NULL
        || r->post_subrequest->handler
           != ngx_http_gateway_websocket_exchange_done)
    {
        return NULL;
    }

    return r->post_subrequest->data;
}


ngx_int_t
ngx_http_gateway_websocket_exchange_header(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r)
{
    r->header_sent = 1;

    /* what core answers itself is known from the status it ended with */

    if (x->status != r->headers_out.status || r->err_status != x->status) {
        x->status = r->headers_out.status;
        x->answered = 1;
    }

    x->body.len = 0;

    if (r->headers_out.content_length_n
        > (off_t) x->session->conf->max_reply)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "answer to a websocket is larger than "
                      "\"gateway_websocket_max_reply\": %O bytes",
                      r->headers_out.content_length_n);
        x->failed = 1;
        return NGX_ERROR;
    }

    /* no body may follow, not even an empty one */

    if (r->header_only
        || r->headers_out.status == NGX_HTTP_NO_CONTENT
        || r->headers_out.status == NGX_HTTP_NOT_MODIFIED)
    {
        r->header_only = 1;
        x->complete = 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_exchange_body(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    ngx_chain_t *in)
{
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (ngx_buf_in_memory(b) && b->last > b->pos
            && ngx_http_gateway_websocket_exchange_take(x, b->pos,
                                                        b->last - b->pos)
               != NGX_OK)
        {
            x->failed = 1;
            return NGX_ERROR;
        }

        b->pos = b->last;
        b->file_pos = b->file_last;

        if (b->last_buf || b->last_in_chain) {
            x->complete = 1;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_exchange_take(
    ngx_http_gateway_websocket_exchange_t *x, u_char *p, size_t len)
{
    off_t    length;
    size_t   room, max;
    u_char  *data;

    max = x->session->conf->max_reply;

    if (x->body.len + len > max) {
        ngx_log_error(NGX_LOG_ERR, &x->log, 0,
                      "answer to a websocket is larger than "
                      "\"gateway_websocket_max_reply\"");
        return NGX_ERROR;
    }

    if (x->room - x->body.len < len) {
        length = x->request->headers_out.content_length_n;

        room = (length > 0) ? (size_t) length : 2 * x->room;
        room = ngx_min(room, max);
        room = ngx_max(room, x->body.len + len);

        data = ngx_pnalloc(x->main->pool, room);
        if (data == NULL) {
            return NGX_ERROR;
        }

        if (x->body.len) {
            ngx_memcpy(data, x->body.data, x->body.len);
            (void) ngx_pfree(x->main->pool, x->body.data);
        }

        x->body.data = data;
        x->room = room;
    }

    ngx_memcpy(x->body.data + x->body.len, p, len);
    x->body.len += len;

    return NGX_OK;
}


/*
 * Called by core when the subrequest ends, at times more than once: first with
 * the status of an error, then when the page for it has been sent.
 */

static ngx_int_t
ngx_http_gateway_websocket_exchange_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_gateway_websocket_exchange_t *x = data;

    /* see ngx_http_gateway_subrequest() */

    sr->background = 1;

    if (rc == NGX_ERROR
        || rc == NGX_HTTP_CLOSE
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        x->failed = 1;
        rc = NGX_OK;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE
        || rc == NGX_HTTP_CREATED
        || rc == NGX_HTTP_NO_CONTENT)
    {
        if (!sr->header_sent && !x->ended) {

            /* a page is made, or an error_page has its way */

            x->status = rc;

            return rc;
        }

        rc = NGX_OK;
    }

    if (x->ended || sr->buffered || sr->postponed) {
        return rc;
    }

    /* of an empty body there may be no buffer, not even the last one */

    if (sr->header_sent
        && sr->headers_out.content_length_n == (off_t) x->body.len)
    {
        x->complete = 1;
    }

    ngx_http_gateway_websocket_exchange_end(x);

    return rc;
}


static void
ngx_http_gateway_websocket_exchange_end(
    ngx_http_gateway_websocket_exchange_t *x)
{
    if (!x->ended) {
        x->ended = 1;
        ngx_post_event(&x->event, &ngx_posted_events);
    }
}


/* core ends the main request without the subrequest having ended */

static void
ngx_http_gateway_websocket_exchange_terminated(void *data)
{
    ngx_http_gateway_websocket_exchange_t *x = data;

    if (!x->ended) {
        x->failed = 1;
        x->terminated = 1;
        ngx_http_gateway_websocket_exchange_end(x);
    }
}


/*
 * The request's memory goes.  That may be later than its answer has come: core
 * may still update a cache for it.
 */

static void
ngx_http_gateway_websocket_exchange_cleanup(void *data)
{
    ngx_http_gateway_websocket_exchange_t *x = data;

    ngx_queue_remove(&x->queue);

    if (x->message) {
        ngx_free(x->message);
    }

    ngx_http_gateway_websocket_exchange_forget(x);
    ngx_http_gateway_websocket_session_wake(x->session);
}


void
ngx_http_gateway_websocket_exchange_forget(
    ngx_http_gateway_websocket_exchange_t *x)
{
    ngx_connection_t  *c;

    c = x->log_ctx.connection;

    c->proxy_protocol = NULL;

#if (NGX_SSL)
    c->ssl = NULL;
#endif
}


static void
ngx_http_gateway_websocket_exchange_handler(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_exchange_t *x = ev->data;

    if (x->failed || !x->complete) {
        x->failed = 1;

        /* a status that has been seen is that of half an answer */

        if (x->answered || x->status < NGX_HTTP_BAD_REQUEST) {
            x->status = NGX_HTTP_BAD_GATEWAY;
            x->answered = 0;
        }
    }

    switch (x->kind) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_CONNECT:
        ngx_http_gateway_websocket_serve_connected(x);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_MESSAGE:
        ngx_http_gateway_websocket_message_answered(x);
        break;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_DISCONNECT */
        ngx_http_gateway_websocket_told(x);
        break;
    }
}


void
ngx_http_gateway_websocket_exchange_free(
    ngx_http_gateway_websocket_exchange_t *x)
{
    ngx_http_request_t  *r;

    r = x->main;

    x->session->nexchanges--;

    if (x->event.posted) {
        ngx_delete_posted_event(&x->event);
    }

    x->ended = 1;

    /* core must neither shut down the client's TLS nor leave a reference */

    ngx_http_gateway_websocket_exchange_forget(x);

    r->connection->data = r;
    r->count = x->terminated ? 1 : r->count - 1;

    ngx_http_finalize_request(r, NGX_DONE);
}


static void
ngx_http_gateway_websocket_exchange_read_handler(ngx_event_t *ev)
{
    ngx_connection_t                       *c;
    ngx_http_request_t                     *r;
    ngx_http_gateway_websocket_exchange_t  *x;

    c = ev->data;

    if (!c->close) {
        return;
    }

    /* worker_shutdown_timeout */

    r = c->data;
    x = ngx_http_gateway_websocket_get_exchange(r);

    if (x == NULL || x->ended) {
        return;
    }

    x->failed = 1;
    x->status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (ngx_http_gateway_subrequest_abort(r) == NGX_OK) {
        ngx_http_gateway_websocket_exchange_end(x);
    }
}


/* the timer of what delays a request, as limit_req does */

static void
ngx_http_gateway_websocket_exchange_write_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    if (ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;
    }

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


static ssize_t
ngx_http_gateway_websocket_no_recv(ngx_connection_t *c, u_char *buf,
    size_t size)
{
    c->read->ready = 0;

    return NGX_AGAIN;
}


static ssize_t
ngx_http_gateway_websocket_no_recv_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    c->read->ready = 0;

    return NGX_AGAIN;
}


static ssize_t
ngx_http_gateway_websocket_no_send(ngx_connection_t *c, u_char *buf,
    size_t size)
{
    return size;
}


static ngx_chain_t *
ngx_http_gateway_websocket_no_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }

    return NULL;
}
