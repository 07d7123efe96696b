
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the connections of a guarded tunnel after nginx has made it: reads and
 * sends, and frames of the gateway itself.  What frames mean is
 * ngx_http_gateway_websocket_inspect.c's, what is due when _clock.c's.
 *
 * nginx makes its tunnel, sends the 101 and flushes it.  There its handlers are
 * exchanged for ours; its own run once more, and are shown nothing to do.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_tunnel.h"


static void ngx_http_gateway_websocket_tunnel_begin(ngx_event_t *ev);
static void ngx_http_gateway_websocket_tunnel_flow(
    ngx_http_gateway_websocket_flow_t *flow, ngx_connection_t *src,
    ngx_connection_t *dst);
static void ngx_http_gateway_websocket_tunnel_client(ngx_http_request_t *r);
static void ngx_http_gateway_websocket_tunnel_upstream(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ngx_int_t ngx_http_gateway_websocket_tunnel_pump(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_send(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_read(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_room(
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_settle(
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_move(
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_uint_t ngx_http_gateway_websocket_tunnel_is_over(
    ngx_http_gateway_websocket_guard_t *g);
static ngx_uint_t ngx_http_gateway_websocket_tunnel_is_sent(
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_tunnel_events(
    ngx_http_gateway_websocket_guard_t *g);
static void ngx_http_gateway_websocket_tunnel_cleanup(void *data);


ngx_http_gateway_websocket_guard_t *
ngx_http_gateway_websocket_tunnel_create(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_pool_cleanup_t                  *cln;
    ngx_http_gateway_websocket_guard_t  *g;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    /* in the pool there is seldom room for it without one more block */

    g = ngx_calloc(sizeof(ngx_http_gateway_websocket_guard_t),
                   r->connection->log);
    if (g == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_gateway_websocket_tunnel_cleanup;
    cln->data = g;

    g->request = r;
    g->conf = wlcf;

    return g;
}


ngx_int_t
ngx_http_gateway_websocket_tunnel_deflate(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_deflate_t *d)
{
    ngx_http_gateway_websocket_inflate_t  *z;

    z = ngx_pcalloc(g->request->pool,
                    2 * sizeof(ngx_http_gateway_websocket_inflate_t));
    if (z == NULL) {
        return NGX_ERROR;
    }

    ngx_http_gateway_websocket_inflate_init(&z[0], d->client_bits,
                                            d->client_no_takeover);
    ngx_http_gateway_websocket_inflate_init(&z[1], d->server_bits,
                                            d->server_no_takeover);

    g->in.inflate = &z[0];
    g->out.inflate = &z[1];

    return NGX_OK;
}


ngx_uint_t
ngx_http_gateway_websocket_tunnel_is_ready(
    ngx_http_gateway_websocket_guard_t *g)
{
    return g->ready && !g->running;
}


ngx_int_t
ngx_http_gateway_websocket_guard_start(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                            rc;
    ngx_connection_t                    *c, *pc;
    ngx_http_upstream_t                 *u;
    ngx_http_gateway_websocket_ctx_t    *ctx;
    ngx_http_gateway_websocket_guard_t  *g;

    rc = ngx_http_gateway_websocket_next_body(r, in);

    if (rc == NGX_ERROR) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    g = ctx->guard;
    g->ctx = ctx;
    g->running = 1;

    u = r->upstream;
    c = r->connection;
    pc = u->peer.connection;

    ngx_http_gateway_websocket_tunnel_flow(&g->in, c, pc);
    ngx_http_gateway_websocket_tunnel_flow(&g->out, pc, c);

    ngx_http_gateway_websocket_parser_init(&g->in.parser, 1);
    ngx_http_gateway_websocket_parser_init(&g->out.parser, 0);

    g->in.parser.deflate = g->in.inflate ? 1 : 0;
    g->in.parser.max_frame = ngx_http_gateway_websocket_max_frame(g->conf);
    g->in.parser.max_message = g->conf->max_message;
    g->out.parser.deflate = g->in.parser.deflate;
    g->out.parser.max_frame = g->in.parser.max_frame;
    g->out.parser.max_message = g->conf->max_message;

    /* what came with the handshake, of either side */

    g->in.start = r->header_in->pos;
    g->in.last = r->header_in->last;
    g->in.end = r->header_in->last;

    g->out.start = u->buffer.pos;
    g->out.last = u->buffer.last;
    g->out.end = u->buffer.last;

    g->in.size = ngx_max(u->conf->buffer_size, NGX_HTTP_GATEWAY_WEBSOCKET_HEAD);
    g->out.size = g->in.size;

    g->in.pos = g->in.checked = g->in.start;
    g->out.pos = g->out.checked = g->out.start;

    r->header_in->pos = r->header_in->last;
    u->buffer.pos = u->buffer.last;

    g->client_ready = c->read->ready;
    g->upstream_ready = pc->read->ready;

    c->read->ready = 0;
    pc->read->ready = 0;

    g->start.handler = ngx_http_gateway_websocket_tunnel_begin;
    g->start.data = g;
    g->start.log = c->log;

    ngx_post_event(&g->start, &ngx_posted_events);

    return rc;
}


static void
ngx_http_gateway_websocket_tunnel_flow(ngx_http_gateway_websocket_flow_t *flow,
    ngx_connection_t *src, ngx_connection_t *dst)
{
    flow->src = src;
    flow->dst = dst;
    flow->received = ngx_current_msec;
    flow->message = ngx_current_msec;
    flow->own_pos = flow->own;
    flow->own_last = flow->own;
}


/* nginx has done its part */

static void
ngx_http_gateway_websocket_tunnel_begin(ngx_event_t *ev)
{
    ngx_connection_t                    *c, *pc;
    ngx_http_request_t                  *r;
    ngx_http_gateway_websocket_guard_t  *g;

    g = ev->data;

    r = g->request;
    c = r->connection;
    pc = r->upstream->peer.connection;

    if (pc->read->timer_set) {
        ngx_del_timer(pc->read);
    }

    c->log->action = "guarding a websocket";

    r->read_event_handler = ngx_http_gateway_websocket_tunnel_client;
    r->write_event_handler = ngx_http_gateway_websocket_tunnel_client;
    r->upstream->read_event_handler =
                                   ngx_http_gateway_websocket_tunnel_upstream;
    r->upstream->write_event_handler =
                                   ngx_http_gateway_websocket_tunnel_upstream;

    c->read->ready |= g->client_ready;
    pc->read->ready |= g->upstream_ready;

    if (g->conf->max_age) {
        g->max_age = ngx_current_msec + g->conf->max_age;
    }

    g->timer.handler = ngx_http_gateway_websocket_tunnel_timeout;
    g->timer.data = g;
    g->timer.log = c->log;

    g->drain.handler = ngx_http_gateway_websocket_tunnel_drain;
    g->drain.data = g;
    g->drain.spread = g->conf->drain;

    ngx_http_gateway_websocket_moving_buffers(c);
    ngx_http_gateway_websocket_moving_buffers(pc);

    /* nginx's buffers are given back: most of the time nothing is in them */

    if (g->out.pos != g->out.last
        && ngx_http_gateway_websocket_tunnel_move(&g->out) != NGX_OK)
    {
        ngx_http_gateway_websocket_tunnel_end(g);
        ngx_http_run_posted_requests(c);
        return;
    }

    ngx_pfree(r->pool, r->upstream->from_client.start);
    ngx_pfree(r->pool, r->upstream->buffer.start);

    ngx_http_gateway_websocket_tunnel_timer(g);
    ngx_http_gateway_websocket_drain_add(&g->drain);

    ngx_http_gateway_websocket_tunnel_run(g);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_gateway_websocket_tunnel_client(ngx_http_request_t *r)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    ngx_http_gateway_websocket_tunnel_run(ctx->guard);
}


static void
ngx_http_gateway_websocket_tunnel_upstream(ngx_http_request_t *r,
    ngx_http_upstream_t *u)
{
    ngx_http_gateway_websocket_tunnel_client(r);
}


void
ngx_http_gateway_websocket_tunnel_run(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_http_gateway_websocket_flow_t  *in, *out;

    in = &g->in;
    out = &g->out;

    if (ngx_http_gateway_websocket_tunnel_pump(g, in) != NGX_OK) {
        in->broken = 1;

    } else if (ngx_http_gateway_websocket_tunnel_pump(g, out) != NGX_OK) {
        out->broken = 1;

    /* what one direction found may have given the other one frames to send */

    } else if (ngx_http_gateway_websocket_has_own(in)
               && ngx_http_gateway_websocket_tunnel_pump(g, in) != NGX_OK)
    {
        in->broken = 1;
    }

    if (in->broken || out->broken) {
        ngx_http_gateway_websocket_tunnel_end(g);
        return;
    }

    if (ngx_http_gateway_websocket_tunnel_is_over(g)
        || ngx_http_gateway_websocket_tunnel_events(g) != NGX_OK)
    {
        ngx_http_gateway_websocket_tunnel_end(g);
    }
}


/* returns NGX_OK, or NGX_ERROR when the destination takes nothing any more */

static ngx_int_t
ngx_http_gateway_websocket_tunnel_pump(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    ngx_int_t   rc;
    ngx_uint_t  own;

    for ( ;; ) {

        ngx_http_gateway_websocket_tunnel_scan(g, flow);

        own = ngx_http_gateway_websocket_has_own(flow);

        rc = ngx_http_gateway_websocket_tunnel_send(g, flow);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            break;
        }

        if (own && flow->checked < flow->last) {
            continue;
        }

        rc = ngx_http_gateway_websocket_tunnel_read(g, flow);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            break;
        }
    }

    return ngx_http_gateway_websocket_tunnel_settle(flow);
}


/* returns NGX_OK when there is nothing left that may be sent */

static ngx_int_t
ngx_http_gateway_websocket_tunnel_send(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    u_char   **pos, *last;
    ssize_t    n;

    for ( ;; ) {

        if (flow->pos < flow->checked && !flow->begun) {
            pos = &flow->pos;
            last = flow->checked;

        } else if (ngx_http_gateway_websocket_has_own(flow)
                   && !flow->cut
                   && (flow->drop || flow->parser.rest == 0))
        {
            pos = &flow->own_pos;
            last = flow->own_last;

        } else {
            return NGX_OK;
        }

        if (!flow->dst->write->ready) {
            break;
        }

        n = flow->dst->send(flow->dst, *pos, last - *pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            break;
        }

        *pos += n;

        if (flow->is_blocked) {

            /* of the source nothing has been read meanwhile */

            flow->is_blocked = 0;
            flow->received = ngx_current_msec;
        }

        if (pos == &flow->own_pos) {
            flow->begun = 1;

            if (flow->own_pos == flow->own_last) {
                flow->begun = 0;
                flow->pinged_at = ngx_current_msec;
                flow->own_pos = flow->own;
                flow->own_last = flow->own;
            }
        }
    }

    if (!flow->is_blocked) {
        flow->is_blocked = 1;
        flow->blocked = ngx_current_msec;

        ngx_http_gateway_websocket_tunnel_timer(g);
    }

    return NGX_AGAIN;
}


/* returns NGX_OK when there is something new, NGX_ERROR without memory */

static ngx_int_t
ngx_http_gateway_websocket_tunnel_read(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    ssize_t  n;

    if (flow->eof || !flow->src->read->ready) {
        return NGX_AGAIN;
    }

    if (ngx_http_gateway_websocket_tunnel_room(flow) != NGX_OK) {
        return NGX_ERROR;
    }

    n = flow->src->recv(flow->src, flow->last, flow->end - flow->last);

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n == 0 || n == NGX_ERROR) {
        flow->eof = 1;
        return NGX_DONE;
    }

    flow->last += n;
    flow->received = ngx_current_msec;
    flow->pinged = 0;

    if (flow == &g->out) {
        g->request->upstream->state->bytes_received += n;
    }

    return NGX_OK;
}


/*
 * Makes room to read.  All that may be sent is; what is left is at most a
 * control frame that is not whole.
 */

static ngx_int_t
ngx_http_gateway_websocket_tunnel_room(ngx_http_gateway_websocket_flow_t *flow)
{
    size_t   rest;
    u_char  *start;

    rest = flow->last - flow->checked;

    start = flow->buffer;

    if (start == NULL) {
        start = ngx_http_gateway_websocket_scratch(flow->size);
        if (start == NULL) {
            return NGX_ERROR;
        }

        flow->borrowed = 1;
    }

    if (flow->start == start && rest && flow->last != flow->end) {
        return NGX_OK;
    }

    if (rest) {
        ngx_memmove(start, flow->checked, rest);
    }

    flow->start = start;
    flow->pos = start;
    flow->checked = start;
    flow->last = start + rest;
    flow->end = start + flow->size;
    flow->frame = NULL;

    return NGX_OK;
}


/* the worker's buffer is left: what has to stay goes to one of its own */

static ngx_int_t
ngx_http_gateway_websocket_tunnel_settle(
    ngx_http_gateway_websocket_flow_t *flow)
{
    if (flow->pos == flow->last) {

        if (flow->buffer) {
            ngx_free(flow->buffer);
            flow->buffer = NULL;
        }

        flow->start = NULL;
        flow->pos = NULL;
        flow->checked = NULL;
        flow->last = NULL;
        flow->end = NULL;
        flow->frame = NULL;
        flow->borrowed = 0;

        return NGX_OK;
    }

    if (!flow->borrowed) {
        return NGX_OK;
    }

    flow->borrowed = 0;

    return ngx_http_gateway_websocket_tunnel_move(flow);
}


static ngx_int_t
ngx_http_gateway_websocket_tunnel_move(ngx_http_gateway_websocket_flow_t *flow)
{
    u_char  *p;
    size_t   checked;

    p = ngx_alloc(flow->size, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    checked = flow->checked - flow->pos;

    flow->last = ngx_cpymem(p, flow->pos, flow->last - flow->pos);
    flow->buffer = p;
    flow->start = p;
    flow->pos = p;
    flow->checked = p + checked;
    flow->end = p + flow->size;
    flow->frame = NULL;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_websocket_tunnel_is_over(
    ngx_http_gateway_websocket_guard_t *g)
{
    ngx_uint_t                          sent;
    ngx_http_gateway_websocket_flow_t  *in, *out;

    in = &g->in;
    out = &g->out;

    sent = ngx_http_gateway_websocket_tunnel_is_sent(in)
           && ngx_http_gateway_websocket_tunnel_is_sent(out);

    if (in->eof && out->eof) {
        return 1;
    }

    if (in->eof || out->eof) {

        /* bytes of the one that is left have nowhere to go */

        return in->eof ? ngx_http_gateway_websocket_tunnel_is_sent(in)
                       : ngx_http_gateway_websocket_tunnel_is_sent(out);
    }

    /* who cannot be told that it is over cannot answer */

    return sent && (in->closed || out->cut) && (out->closed || in->cut);
}


static ngx_uint_t
ngx_http_gateway_websocket_tunnel_is_sent(
    ngx_http_gateway_websocket_flow_t *flow)
{
    if (flow->pos != flow->checked) {
        return 0;
    }

    /* a frame that will never end leaves no place for others */

    return flow->cut || !ngx_http_gateway_websocket_has_own(flow)
           || (flow->eof && flow->parser.rest && !flow->drop);
}


/*
 * Ends the request as when the client leaves, by the cleanup handler of core's
 * upstream.  The client's connection is closed when it has read all.
 */

void
ngx_http_gateway_websocket_tunnel_end(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_http_request_t  *r;

    r = g->request;

    ngx_http_gateway_websocket_drain_remove(&g->drain);

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    if (g->in.eof || g->out.broken) {
        ngx_http_gateway_websocket_closed(g->ctx, 1006,
                                        NGX_HTTP_GATEWAY_WEBSOCKET_BY_CLIENT);

    } else {
        ngx_http_gateway_websocket_closed(g->ctx, 1006,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);
    }

    if (!g->in.eof) {
        r->lingering_close = 1;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (r->upstream->cleanup) {
        (*r->upstream->cleanup)(r);
    }
}


static ngx_int_t
ngx_http_gateway_websocket_tunnel_events(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_uint_t                 flags;
    ngx_connection_t          *c, *pc;
    ngx_http_core_loc_conf_t  *clcf;

    c = g->in.src;
    pc = g->out.src;

    clcf = ngx_http_get_module_loc_conf(g->request, ngx_http_core_module);

    if (ngx_handle_write_event(pc->write,
                               g->request->upstream->conf->send_lowat)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_handle_write_event(c->write, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    flags = g->out.eof ? NGX_CLOSE_EVENT : 0;

    if (ngx_handle_read_event(pc->read, flags) != NGX_OK) {
        return NGX_ERROR;
    }

    flags = g->in.eof ? NGX_CLOSE_EVENT : 0;

    return ngx_handle_read_event(c->read, flags);
}


void
ngx_http_gateway_websocket_tunnel_frame(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    u_char  key[4], *mask;

    mask = NULL;

    if (flow == &g->in) {
        mask = key;

        if (ngx_http_gateway_websocket_random(key, 4) != NGX_OK) {
            return;
        }
    }

    flow->own_last = ngx_http_gateway_websocket_control(flow->own_last, opcode,
                                                        data, len, mask);
}


void
ngx_http_gateway_websocket_tunnel_close(ngx_http_gateway_websocket_guard_t *g,
    ngx_uint_t code, char *reason)
{
    size_t                              len;
    u_char                              payload[2
                                      + NGX_HTTP_GATEWAY_WEBSOCKET_MAX_REASON];
    ngx_uint_t                          i;
    ngx_http_gateway_websocket_flow_t  *flow;

    if (g->closing) {
        return;
    }

    g->closing = ngx_current_msec + NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE_TIMEOUT;

    ngx_http_gateway_websocket_closed(g->ctx, code,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);

    len = ngx_min(ngx_strlen(reason), NGX_HTTP_GATEWAY_WEBSOCKET_MAX_REASON);

    payload[0] = (u_char) (code >> 8);
    payload[1] = (u_char) code;
    ngx_memcpy(payload + 2, reason, len);

    for (i = 0; i < 2; i++) {
        flow = i ? &g->out : &g->in;

        /* one that has passed on a Close frame has nothing to add to it */

        if (!flow->told) {
            ngx_http_gateway_websocket_tunnel_frame(g, flow,
                                         NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE,
                                         payload, len + 2);
        }

        flow->stop = 1;
    }

    ngx_http_gateway_websocket_tunnel_timer(g);
}


static void
ngx_http_gateway_websocket_tunnel_cleanup(void *data)
{
    ngx_http_gateway_websocket_guard_t *g = data;

    ngx_http_gateway_websocket_drain_remove(&g->drain);

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    if (g->start.posted) {
        ngx_delete_posted_event(&g->start);
    }

    if (g->in.inflate) {
        ngx_http_gateway_websocket_inflate_free(g->in.inflate);
        ngx_http_gateway_websocket_inflate_free(g->out.inflate);
    }

    if (g->in.buffer) {
        ngx_free(g->in.buffer);
    }

    if (g->out.buffer) {
        ngx_free(g->out.buffer);
    }

    ngx_free(g);
}
