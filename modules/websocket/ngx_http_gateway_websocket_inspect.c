
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a guarded tunnel lets through: looks at frames where they lie in a
 * buffer and never reads or writes a connection.
 *
 * A header is let through when it is whole and allowed, so that what is
 * refused for its size never reaches the other side; payload is let through as
 * it comes.  Only when payload itself is wrong, a frame is cut, and that side
 * gets no Close frame: it could only stand inside of the frame.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_tunnel.h"


static u_char *ngx_http_gateway_websocket_inspect_frame(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p);
static ngx_int_t ngx_http_gateway_websocket_inspect_payload(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, size_t len);
static void ngx_http_gateway_websocket_inspect_control(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p);
static ngx_uint_t ngx_http_gateway_websocket_is_answer(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);
static void ngx_http_gateway_websocket_inspect_close(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *payload);
static void ngx_http_gateway_websocket_take_away(
    ngx_http_gateway_websocket_flow_t *flow, u_char *p);
static void ngx_http_gateway_websocket_discard(
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_charge(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_int_t ngx_http_gateway_websocket_inflate_check(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, size_t len);
static ngx_int_t ngx_http_gateway_websocket_inflated(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, ssize_t n);
static void ngx_http_gateway_websocket_violation(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, ngx_uint_t code, char *reason);


void
ngx_http_gateway_websocket_tunnel_scan(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    size_t   n;
    u_char  *p;

    while (flow->checked < flow->last && !flow->drop) {

        if (flow->parser.rest) {
            n = flow->last - flow->checked;
            n = (size_t) ngx_min((uint64_t) n, flow->parser.rest);

            if (ngx_http_gateway_websocket_inspect_payload(g, flow,
                                                           flow->checked, n)
                != NGX_OK)
            {
                break;
            }

            flow->checked += n;
            continue;
        }

        /* between two frames */

        if (flow->stop || flow->closed) {
            flow->drop = 1;
            break;
        }

        if (ngx_http_gateway_websocket_has_own(flow)) {
            return;
        }

        p = ngx_http_gateway_websocket_inspect_frame(g, flow, flow->checked);

        if (p == NULL) {
            break;
        }

        flow->checked = p;
    }

    if (flow->stop && flow->parser.rest == 0) {
        flow->drop = 1;
    }

    if (flow->drop) {
        ngx_http_gateway_websocket_discard(flow);
    }
}


/* returns where the bytes end that are let through, or NULL */

static u_char *
ngx_http_gateway_websocket_inspect_frame(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p)
{
    u_char                               *payload;
    ngx_int_t                             rc;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;
    payload = p;
    flow->frame = p;

    rc = ngx_http_gateway_websocket_parse(ps, &payload, flow->last);

    if (rc == NGX_AGAIN) {
        return NULL;
    }

    if (rc == NGX_ERROR) {

        if (payload == p) {

            /* nothing after this can be told apart */

            flow->closed = 1;
        }

        ngx_http_gateway_websocket_take_away(flow, payload);
        ngx_http_gateway_websocket_violation(g, flow, ps->code, ps->error);

        return NULL;
    }

    if (ngx_http_gateway_websocket_is_control(ps)) {
        ngx_http_gateway_websocket_inspect_control(g, flow, payload);

        /* "checked" has moved, and tells whether there is more to do */

        return flow->drop ? NULL : flow->checked;
    }

    flow->message = ngx_current_msec;

    if (ps->first) {
        flow->inflated = 0;

        if (ngx_http_gateway_websocket_charge(g, flow) != NGX_OK) {
            ngx_http_gateway_websocket_take_away(flow, payload);
            ngx_http_gateway_websocket_violation(g, flow,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_POLICY,
                                       "more messages than are allowed");
            return NULL;
        }

        if (flow == &g->in) {
            g->ctx->messages_in++;

        } else {
            g->ctx->messages_out++;
        }
    }

    if (ps->rest == 0
        && ngx_http_gateway_websocket_inspect_payload(g, flow, payload, 0)
           != NGX_OK)
    {
        return NULL;
    }

    return payload;
}


static ngx_int_t
ngx_http_gateway_websocket_inspect_payload(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, size_t len)
{
    ngx_uint_t                            code;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;

    if (ps->compressed
        && ngx_http_gateway_websocket_inflate_check(g, flow, p, len) != NGX_OK)
    {
        goto failed;
    }

    if (ngx_http_gateway_websocket_pass(ps, p, len) == NGX_OK) {
        return NGX_OK;
    }

failed:

    code = ps->code;

    if (ps->rest) {
        ps->rest -= len;
    }

    if (flow->frame && flow->frame >= flow->pos) {

        /* nothing of the frame has been sent yet */

        flow->checked = flow->frame;

    } else {
        flow->cut = 1;
    }

    ngx_http_gateway_websocket_take_away(flow, p + len);
    ngx_http_gateway_websocket_violation(g, flow, code, ps->error);

    return NGX_ERROR;
}


static void
ngx_http_gateway_websocket_inspect_control(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p)
{
    size_t                                len;
    u_char                                payload[125];
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;
    len = (size_t) ps->length;

    if (ps->masked) {
        ngx_http_gateway_websocket_mask(payload, p, len, ps->mask, 0);

    } else {
        ngx_memcpy(payload, p, len);
    }

    if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PONG && g->has_ping
        && len == sizeof(g->ping)
        && ngx_memcmp(payload, g->ping, len) == 0)
    {
        ngx_http_gateway_websocket_take_away(flow, p + len);

        return;
    }

    if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE) {
        ngx_http_gateway_websocket_inspect_close(g, flow, payload);

        if (flow->drop) {
            return;
        }

    } else if (!ngx_http_gateway_websocket_is_answer(g, flow)
               && ngx_http_gateway_websocket_charge(g, flow) != NGX_OK)
    {
        ngx_http_gateway_websocket_take_away(flow, p + len);
        ngx_http_gateway_websocket_violation(g, flow,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_POLICY,
                                       "more messages than are allowed");
        return;
    }

    flow->checked = p + len;
}


/* a client does not pay for the pongs that its service asks for */

static ngx_uint_t
ngx_http_gateway_websocket_is_answer(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    if (flow == &g->out) {
        g->pings += (flow->parser.opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PING);
        return 1;
    }

    if (flow->parser.opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PONG && g->pings) {
        g->pings--;
        return 1;
    }

    return 0;
}


static void
ngx_http_gateway_websocket_inspect_close(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *payload)
{
    ngx_uint_t  code;

    flow->closed = 1;

    if (ngx_http_gateway_websocket_close_code(payload,
                                              (size_t) flow->parser.length,
                                              &code)
        != NGX_OK)
    {
        ngx_http_gateway_websocket_take_away(flow, flow->last);
        ngx_http_gateway_websocket_violation(g, flow, code,
                                             "invalid Close frame");
        return;
    }

    flow->told = 1;

    ngx_http_gateway_websocket_closed(g->ctx, code,
                             (flow == &g->in)
                             ? NGX_HTTP_GATEWAY_WEBSOCKET_BY_CLIENT
                             : NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);
}


/* the bytes from "checked" up to "p" are not passed on */

static void
ngx_http_gateway_websocket_take_away(ngx_http_gateway_websocket_flow_t *flow,
    u_char *p)
{
    if (p == flow->checked) {
        return;
    }

    ngx_memmove(flow->checked, p, flow->last - p);

    flow->last -= p - flow->checked;
}


/*
 * Nothing is passed on any more, but a Close frame of the peer is waited for:
 * a connection that is closed with unread bytes loses what was sent last.
 */

static void
ngx_http_gateway_websocket_discard(ngx_http_gateway_websocket_flow_t *flow)
{
    size_t                                n;
    u_char                               *p;
    ngx_int_t                             rc;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;
    ps->max_frame = 0;
    ps->max_message = 0;

    p = flow->checked;

    while (p < flow->last) {

        if (flow->closed) {
            p = flow->last;
            break;
        }

        if (ps->rest) {
            n = flow->last - p;
            n = (size_t) ngx_min((uint64_t) n, ps->rest);

            ps->rest -= n;
            p += n;

            if (ps->rest == 0 && ps->fin) {
                ps->open = 0;
            }

            continue;
        }

        rc = ngx_http_gateway_websocket_parse(ps, &p, flow->last);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc != NGX_OK) {
            flow->closed = 1;
            continue;
        }

        if (!ngx_http_gateway_websocket_is_control(ps)) {

            if (ps->rest == 0 && ps->fin) {
                ps->open = 0;
            }

            continue;
        }

        p += ps->length;

        if (ps->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE) {
            flow->closed = 1;
        }
    }

    ngx_http_gateway_websocket_take_away(flow, p);
}


/* a message or a control frame of the client, by the limit's bucket */

static ngx_int_t
ngx_http_gateway_websocket_charge(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow)
{
    if (g->conf->limit == NULL || flow != &g->in) {
        return NGX_OK;
    }

    return ngx_http_gateway_rate_charge(g->conf->limit,
                                        (int64_t) ngx_current_msec * 1000,
                                        &g->tat, &g->fraction);
}


/* how large a compressed message is, and whether it is text, RFC 7692 */

static ngx_int_t
ngx_http_gateway_websocket_inflate_check(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, size_t len)
{
    size_t                                n, done;
    u_char                               *in, *last;
    u_char                                piece[1024], out[4096];
    ssize_t                               size;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;

    for (done = 0; done < len; done += n) {
        n = ngx_min(len - done, sizeof(piece));
        in = p + done;

        if (ps->masked) {
            ngx_http_gateway_websocket_mask(piece, in, n, ps->mask,
                                            ps->length - ps->rest + done);
            in = piece;
        }

        last = in + n;

        do {
            size = ngx_http_gateway_websocket_inflate(flow->inflate, &in, last,
                                                      out, sizeof(out));

            if (ngx_http_gateway_websocket_inflated(g, flow, out, size)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

        } while (in < last || size == sizeof(out));
    }

    if (ps->rest > len || !ps->fin) {
        return NGX_OK;
    }

    do {
        size = ngx_http_gateway_websocket_inflate_end(flow->inflate, out,
                                                      sizeof(out));

        if (ngx_http_gateway_websocket_inflated(g, flow, out, size) != NGX_OK)
        {
            return NGX_ERROR;
        }

    } while (size == sizeof(out));

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_inflated(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, u_char *p, ssize_t n)
{
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &flow->parser;

    if (n < 0) {
        ps->code = (n == NGX_ABORT) ? NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL
                                    : NGX_HTTP_GATEWAY_WEBSOCKET_INVALID;
        ps->error = (n == NGX_ABORT) ? "no memory to inflate a message"
                                     : "message that cannot be inflated";
        return NGX_ERROR;
    }

    flow->inflated += n;

    if (flow->inflated > g->conf->max_message) {
        ps->code = NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG;
        ps->error = "message beyond gateway_websocket_max_message";
        return NGX_ERROR;
    }

    if (ps->type == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
        && ngx_http_gateway_websocket_utf8(&ps->utf8, p, n) != NGX_OK)
    {
        ps->code = NGX_HTTP_GATEWAY_WEBSOCKET_INVALID;
        ps->error = "text is not UTF-8";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_violation(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, ngx_uint_t code, char *reason)
{
    if (flow == &g->in) {
        ngx_log_error(NGX_LOG_INFO, g->request->connection->log, 0,
                      "client broke the rules of the websocket: %s, "
                      "closed with %ui", reason, code);

    } else {
        ngx_log_error(NGX_LOG_ERR, g->request->connection->log, 0,
                      "upstream broke the rules of the websocket: %s, "
                      "closed with %ui", reason, code);
    }

    flow->drop = 1;

    ngx_http_gateway_websocket_tunnel_close(g, code, reason);
}
