
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the times of guarded tunnels and of links: each has one timer for all
 * that may end it.  Times of what happens are noted as it happens, and looked
 * at only here.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"
#include "ngx_http_gateway_websocket_tunnel.h"


static void ngx_http_gateway_websocket_tunnel_due(
    ngx_http_gateway_websocket_guard_t *g);
static void ngx_http_gateway_websocket_tunnel_ping(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *peer,
    ngx_http_gateway_websocket_flow_t *flow);
static ngx_msec_t ngx_http_gateway_websocket_tunnel_next(
    ngx_http_gateway_websocket_guard_t *g);
static void ngx_http_gateway_websocket_link_due(
    ngx_http_gateway_websocket_link_t *link);
static ngx_uint_t ngx_http_gateway_websocket_link_due_pass(
    ngx_http_gateway_websocket_link_t *link);
static void ngx_http_gateway_websocket_link_end_stream(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t code);
static void ngx_http_gateway_websocket_link_due_shared(
    ngx_http_gateway_websocket_link_t *link);
static void ngx_http_gateway_websocket_link_ping(
    ngx_http_gateway_websocket_link_t *link);
static ngx_msec_t ngx_http_gateway_websocket_link_next(
    ngx_http_gateway_websocket_link_t *link);


void
ngx_http_gateway_websocket_tunnel_timeout(ngx_event_t *ev)
{
    ngx_connection_t                    *c;
    ngx_http_gateway_websocket_guard_t  *g;

    g = ev->data;
    c = g->request->connection;

    ngx_http_gateway_websocket_tunnel_due(g);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_gateway_websocket_tunnel_due(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_log_t                 *log;
    ngx_uint_t                 level;
    ngx_http_upstream_t       *u;
    ngx_http_core_loc_conf_t  *clcf;

    u = g->request->upstream;
    log = g->request->connection->log;
    clcf = ngx_http_get_module_loc_conf(g->request, ngx_http_core_module);

    if (g->closing) {

        if (ngx_http_gateway_websocket_is_due(g->closing)) {
            ngx_http_gateway_websocket_tunnel_end(g);
            return;
        }

        ngx_http_gateway_websocket_tunnel_timer(g);
        return;
    }

    if ((g->in.is_blocked
         && ngx_http_gateway_websocket_is_due(g->in.blocked
                                              + u->conf->send_timeout))
        || (g->out.is_blocked
            && ngx_http_gateway_websocket_is_due(g->out.blocked
                                                 + clcf->send_timeout)))
    {
        level = g->in.is_blocked ? NGX_LOG_ERR : NGX_LOG_INFO;

        ngx_log_error(level, log, NGX_ETIMEDOUT,
                      "%s does not read its websocket",
                      g->in.is_blocked ? "upstream" : "client");

        ngx_http_gateway_websocket_closed(g->ctx, 1006,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
        ngx_http_gateway_websocket_tunnel_end(g);
        return;
    }

    if (g->expires && ngx_http_gateway_websocket_is_due(g->expires)) {
        ngx_http_gateway_websocket_tunnel_close(g,
                                          NGX_HTTP_GATEWAY_WEBSOCKET_POLICY,
                                          "time has run out");

    } else if (g->draining && ngx_http_gateway_websocket_is_due(g->drain_at)) {
        ngx_http_gateway_websocket_tunnel_close(g,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "server shutdown");

    } else if (g->max_age && ngx_http_gateway_websocket_is_due(g->max_age)) {
        ngx_http_gateway_websocket_tunnel_close(g,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "open for too long");

    } else if (!g->out.is_blocked
               && ngx_http_gateway_websocket_is_due(g->out.received
                                                    + u->conf->read_timeout))
    {
        ngx_log_error(NGX_LOG_ERR, log, NGX_ETIMEDOUT,
                      "upstream timed out");
        ngx_http_gateway_websocket_tunnel_close(g,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "service is silent");

    } else if (g->conf->idle_timeout
               && ngx_http_gateway_websocket_is_due(g->in.message
                                                    + g->conf->idle_timeout)
               && ngx_http_gateway_websocket_is_due(g->out.message
                                                    + g->conf->idle_timeout))
    {
        ngx_http_gateway_websocket_tunnel_close(g,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "no messages");

    } else if (g->conf->ping) {
        ngx_http_gateway_websocket_tunnel_ping(g, &g->in, &g->out);
        ngx_http_gateway_websocket_tunnel_ping(g, &g->out, &g->in);
    }

    ngx_http_gateway_websocket_tunnel_timer(g);
    ngx_http_gateway_websocket_tunnel_run(g);
}


/* "peer" is the flow of who is pinged, "flow" the one to it */

static void
ngx_http_gateway_websocket_tunnel_ping(ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *peer,
    ngx_http_gateway_websocket_flow_t *flow)
{
    ngx_msec_t  ping;

    ping = g->conf->ping;

    if (g->closing || peer->is_blocked
        || !ngx_http_gateway_websocket_is_due(peer->received + ping))
    {
        return;
    }

    if (peer->pinged && !ngx_http_gateway_websocket_has_own(flow)
        && ngx_http_gateway_websocket_is_due(flow->pinged_at + ping))
    {
        ngx_log_error(NGX_LOG_INFO, g->request->connection->log, 0,
                      "%s of a websocket is lost: it answers no ping",
                      (peer == &g->in) ? "client" : "upstream");

        ngx_http_gateway_websocket_tunnel_close(g,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "no answer to a ping");
        return;
    }

    /* after a Close frame of its own the other side sends nothing more */

    if (peer->pinged || flow->closed || flow->cut
        || ngx_http_gateway_websocket_has_own(flow))
    {
        return;
    }

    if (!g->has_ping) {

        if (ngx_http_gateway_websocket_random(g->ping, sizeof(g->ping))
            != NGX_OK)
        {
            return;
        }

        g->has_ping = 1;
    }

    peer->pinged = 1;

    ngx_http_gateway_websocket_tunnel_frame(g, flow,
                                            NGX_HTTP_GATEWAY_WEBSOCKET_PING,
                                            g->ping, sizeof(g->ping));
}


void
ngx_http_gateway_websocket_tunnel_timer(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_msec_int_t  delay;

    delay = (ngx_msec_int_t) (ngx_http_gateway_websocket_tunnel_next(g)
                              - ngx_current_msec);

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    ngx_add_timer(&g->timer, (ngx_msec_t) ngx_max(delay, 1));
}


static ngx_msec_t
ngx_http_gateway_websocket_tunnel_next(ngx_http_gateway_websocket_guard_t *g)
{
    ngx_uint_t                          i;
    ngx_msec_t                          next, at, message;
    ngx_http_upstream_t                *u;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_gateway_websocket_flow_t  *peer, *flow;

    if (g->closing) {
        return g->closing;
    }

    u = g->request->upstream;

    next = g->out.received + u->conf->read_timeout;

    if (g->out.is_blocked) {
        next = ngx_current_msec + u->conf->read_timeout;
    }

    for (i = 0; i < 2 && g->conf->ping; i++) {
        peer = i ? &g->out : &g->in;
        flow = i ? &g->in : &g->out;

        at = (peer->pinged ? flow->pinged_at : peer->received) + g->conf->ping;

        /* a ping that could not be sent is tried again */

        if (ngx_http_gateway_websocket_is_due(at)) {
            at = ngx_current_msec + g->conf->ping;
        }

        ngx_http_gateway_websocket_earlier(&next, at);
    }

    if (g->conf->idle_timeout) {
        message = g->in.message;

        if ((ngx_msec_int_t) (g->out.message - message) > 0) {
            message = g->out.message;
        }

        ngx_http_gateway_websocket_earlier(&next,
                                          message + g->conf->idle_timeout);
    }

    if (g->max_age) {
        ngx_http_gateway_websocket_earlier(&next, g->max_age);
    }

    if (g->expires) {
        ngx_http_gateway_websocket_earlier(&next, g->expires);
    }

    if (g->draining) {
        ngx_http_gateway_websocket_earlier(&next, g->drain_at);
    }

    if (g->in.is_blocked) {
        ngx_http_gateway_websocket_earlier(&next, g->in.blocked
                                                  + u->conf->send_timeout);
    }

    if (g->out.is_blocked) {
        clcf = ngx_http_get_module_loc_conf(g->request, ngx_http_core_module);

        ngx_http_gateway_websocket_earlier(&next, g->out.blocked
                                                  + clcf->send_timeout);
    }

    return next;
}


void
ngx_http_gateway_websocket_tunnel_drain(void *data, ngx_msec_t delay)
{
    ngx_http_gateway_websocket_guard_t *g = data;

    g->draining = 1;
    g->drain_at = ngx_current_msec + delay;

    ngx_http_gateway_websocket_tunnel_timer(g);
}


void
ngx_http_gateway_websocket_link_timeout(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_link_due(ev->data);
}


static void
ngx_http_gateway_websocket_link_due(ngx_http_gateway_websocket_link_t *link)
{
    if (link->is_closing) {

        if (ngx_http_gateway_websocket_is_due(link->closing)) {
            ngx_http_gateway_websocket_link_free(link);
            return;
        }

        ngx_http_gateway_websocket_link_timer(link);
        return;
    }

    if (link->is_blocked
        && ngx_http_gateway_websocket_is_due(link->blocked
                                         + link->conf->upstream.send_timeout))
    {
        ngx_log_error(NGX_LOG_ERR, link->log, NGX_ETIMEDOUT,
                      "upstream does not read its websocket");

        link->dead = 1;
        ngx_http_gateway_websocket_link_failed(link,
                                      NGX_HTTP_GATEWAY_TIME_OUT,
                                      "The service does not read what it is "
                                      "sent.");
        ngx_http_gateway_websocket_link_free(link);
        return;
    }

    if (link->shared) {
        ngx_http_gateway_websocket_link_due_shared(link);

    } else if (ngx_http_gateway_websocket_link_due_pass(link)) {
        return;
    }

    if (!link->is_closing && link->conf->ping) {
        ngx_http_gateway_websocket_link_ping(link);
    }

    ngx_http_gateway_websocket_link_timer(link);
}


/* tells whether the request has ended */

static ngx_uint_t
ngx_http_gateway_websocket_link_due_pass(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = link->pass;

    if (pass == NULL) {
        return 1;
    }

    if (!pass->streams) {

        if (ngx_http_gateway_websocket_is_due(pass->deadline)) {
            ngx_http_gateway_websocket_closed(pass->ctx,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
            ngx_http_gateway_websocket_pass_fail(pass,
                                        NGX_HTTP_GATEWAY_TIME_OUT,
                                        "The service did not answer in time.");
            return 1;
        }

        return 0;
    }

    if (pass->expires && ngx_http_gateway_websocket_is_due(pass->expires)) {
        ngx_http_gateway_websocket_link_end_stream(link,
                                           NGX_HTTP_GATEWAY_WEBSOCKET_POLICY);
        return 1;
    }

    if ((link->draining && ngx_http_gateway_websocket_is_due(link->drain_at))
        || (link->max_age && ngx_http_gateway_websocket_is_due(link->max_age))
        || (link->conf->idle_timeout
            && ngx_http_gateway_websocket_is_due(link->active
                                                 + link->conf->idle_timeout)))
    {
        ngx_http_gateway_websocket_link_end_stream(link,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY);
        return 1;
    }

    return 0;
}


static void
ngx_http_gateway_websocket_link_end_stream(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t code)
{
    ngx_http_gateway_websocket_closed(link->pass->ctx, code,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
    ngx_http_gateway_websocket_link_close(link, code);
    ngx_http_gateway_websocket_reply_end(link->pass);
}


static void
ngx_http_gateway_websocket_link_due_shared(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_http_gateway_websocket_correlate_expire(link);

    if ((link->draining && ngx_http_gateway_websocket_is_due(link->drain_at))
        || (link->max_age && ngx_http_gateway_websocket_is_due(link->max_age)))
    {
        ngx_http_gateway_websocket_table_remove(link);

        link->draining = 0;
        link->max_age = 0;

        /* else the last one to leave closes it */

        if (ngx_queue_empty(&link->waiting)) {
            ngx_http_gateway_websocket_link_close(link,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY);
        }

        return;
    }

    if (link->conf->idle_timeout && ngx_queue_empty(&link->waiting)
        && ngx_http_gateway_websocket_is_due(link->active
                                             + link->conf->idle_timeout))
    {
        ngx_http_gateway_websocket_link_close(link,
                                           NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL);
    }
}


static void
ngx_http_gateway_websocket_link_ping(ngx_http_gateway_websocket_link_t *link)
{
    ngx_msec_t  ping;

    ping = link->conf->ping;

    if (link->pass && link->pass->streams
        && ngx_http_gateway_websocket_is_due(link->pass->sent + ping))
    {
        ngx_http_gateway_websocket_reply_ping(link->pass);
    }

    if (link->is_closing
        || !ngx_http_gateway_websocket_is_due(link->received + ping))
    {
        return;
    }

    if (!link->pinged) {
        link->pinged = 1;

        (void) ngx_http_gateway_websocket_link_send_control(link,
                                              NGX_HTTP_GATEWAY_WEBSOCKET_PING,
                                              NULL, 0);
        return;
    }

    if (link->paused
        || !ngx_http_gateway_websocket_is_due(link->received + 2 * ping))
    {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, link->log, NGX_ETIMEDOUT,
                  "upstream answers no ping of its websocket");

    if (link->pass) {
        ngx_http_gateway_websocket_closed(link->pass->ctx,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
    }

    ngx_http_gateway_websocket_link_close(link,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY);
    ngx_http_gateway_websocket_link_failed(link, NGX_HTTP_BAD_GATEWAY,
                                "The connection to the service was lost.");
}


void
ngx_http_gateway_websocket_link_timer(ngx_http_gateway_websocket_link_t *link)
{
    ngx_msec_int_t  delay;

    delay = (ngx_msec_int_t) (ngx_http_gateway_websocket_link_next(link)
                              - ngx_current_msec);

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    link->timer.cancelable = (link->shared && ngx_queue_empty(&link->waiting)
                              && !link->is_closing && !link->draining);

    ngx_add_timer(&link->timer, (ngx_msec_t) ngx_max(delay, 1));
}


static ngx_msec_t
ngx_http_gateway_websocket_link_next(ngx_http_gateway_websocket_link_t *link)
{
    ngx_msec_t                          next, at;
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_pass_t  *pass;

    if (link->is_closing) {
        return link->closing;
    }

    /* a day, where nothing else is due */

    next = ngx_current_msec + 86400000;

    pass = link->pass;

    if (link->is_blocked) {
        ngx_http_gateway_websocket_earlier(&next, link->blocked
                                         + link->conf->upstream.send_timeout);
    }

    if (link->draining) {
        ngx_http_gateway_websocket_earlier(&next, link->drain_at);
    }

    if (link->max_age && (link->shared || (pass && pass->streams))) {
        ngx_http_gateway_websocket_earlier(&next, link->max_age);
    }

    if (link->shared && !ngx_queue_empty(&link->waiting)) {
        q = ngx_queue_head(&link->waiting);
        pass = ngx_queue_data(q, ngx_http_gateway_websocket_pass_t, queue);

        ngx_http_gateway_websocket_earlier(&next, pass->deadline);

    } else if (!link->shared && pass && !pass->streams) {
        ngx_http_gateway_websocket_earlier(&next, pass->deadline);

    } else if (link->conf->idle_timeout) {
        ngx_http_gateway_websocket_earlier(&next, link->active
                                                  + link->conf->idle_timeout);
    }

    if (!link->shared && pass && pass->streams && pass->expires) {
        ngx_http_gateway_websocket_earlier(&next, pass->expires);
    }

    if (link->conf->ping == 0) {
        return next;
    }

    at = link->received + link->conf->ping;

    if (link->pinged) {
        at += link->conf->ping;
    }

    if (ngx_http_gateway_websocket_is_due(at)) {
        at = ngx_current_msec + link->conf->ping;
    }

    ngx_http_gateway_websocket_earlier(&next, at);

    if (!link->shared && pass && pass->streams) {
        ngx_http_gateway_websocket_earlier(&next,
                                           pass->sent + link->conf->ping);
    }

    return next;
}


void
ngx_http_gateway_websocket_link_drain(void *data, ngx_msec_t delay)
{
    ngx_http_gateway_websocket_link_t *link = data;

    /* a single answer is waited for, as nginx waits for requests */

    if (!link->shared && (link->pass == NULL || !link->pass->streams)) {
        return;
    }

    link->draining = 1;
    link->drain_at = ngx_current_msec + delay;

    ngx_http_gateway_websocket_link_timer(link);
}
