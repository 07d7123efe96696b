
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the timer of served WebSockets: pings, and all that ends a connection
 * at some time.
 */


#include "ngx_http_gateway_websocket_serve.h"


static void ngx_http_gateway_websocket_session_due(
    ngx_http_gateway_websocket_session_t *s);
static void ngx_http_gateway_websocket_session_ping(
    ngx_http_gateway_websocket_session_t *s);
static ngx_msec_t ngx_http_gateway_websocket_session_next(
    ngx_http_gateway_websocket_session_t *s);


void
ngx_http_gateway_websocket_session_timeout(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_session_t *s = ev->data;

    ngx_http_gateway_websocket_session_due(s);

    if (s->broken) {
        ngx_http_gateway_websocket_session_wake(s);
        return;
    }

    ngx_http_gateway_websocket_session_timer(s);
}


static void
ngx_http_gateway_websocket_session_due(ngx_http_gateway_websocket_session_t *s)
{
    if (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING) {

        if (ngx_http_gateway_websocket_is_due(s->closing)) {
            s->broken = 1;
        }

        return;
    }

    if (s->is_blocked
        && ngx_http_gateway_websocket_is_due(s->blocked
                                         + s->conf->upstream.send_timeout))
    {
        ngx_log_error(NGX_LOG_INFO, s->log, NGX_ETIMEDOUT,
                      "client does not read its websocket");

        ngx_http_gateway_websocket_session_closed(s, 1006,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
        s->broken = 1;

        return;
    }

    if (s->expires && ngx_http_gateway_websocket_is_due(s->expires)) {
        ngx_http_gateway_websocket_session_end(s,
                                          NGX_HTTP_GATEWAY_WEBSOCKET_POLICY,
                                          "time has run out");

    } else if (s->draining && ngx_http_gateway_websocket_is_due(s->drain_at)) {
        ngx_http_gateway_websocket_session_end(s,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "server shutdown");

    } else if (s->max_age && ngx_http_gateway_websocket_is_due(s->max_age)) {
        ngx_http_gateway_websocket_session_end(s,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "open for too long");

    } else if (s->conf->idle_timeout && s->nexchanges == 0
               && ngx_http_gateway_websocket_is_due(s->active
                                                    + s->conf->idle_timeout))
    {
        ngx_http_gateway_websocket_session_end(s,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "no messages");

    } else {

        if (s->conf->ping) {
            ngx_http_gateway_websocket_session_ping(s);
        }

        if (s->keep_alive && s->nexchanges == 0 && s->nmessages == 0
            && ngx_http_gateway_websocket_is_due(s->answered + s->keep_alive))
        {
            (void) ngx_http_gateway_websocket_events_keep_alive(s);
        }
    }
}


static void
ngx_http_gateway_websocket_session_ping(
    ngx_http_gateway_websocket_session_t *s)
{
    /* a client that is not read may well have answered */

    if (s->paused || s->is_blocked
        || !ngx_http_gateway_websocket_is_due(s->received + s->conf->ping))
    {
        return;
    }

    if (!s->is_pinged
        || (ngx_msec_int_t) (s->received - s->pinged) >= 0)
    {
        s->is_pinged = 1;
        s->pinged = ngx_current_msec;

        (void) ngx_http_gateway_websocket_session_control(s,
                                              NGX_HTTP_GATEWAY_WEBSOCKET_PING,
                                              NULL, 0);
        return;
    }

    if (ngx_http_gateway_websocket_is_due(s->pinged + s->conf->ping)) {
        ngx_log_error(NGX_LOG_INFO, s->log, 0,
                      "client of a websocket is lost: it answers no ping");

        ngx_http_gateway_websocket_session_end(s,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY,
                                      "no answer to a ping");
    }
}


void
ngx_http_gateway_websocket_session_timer(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_msec_int_t  delay;

    if (s->connection == NULL) {
        return;
    }

    delay = (ngx_msec_int_t) (ngx_http_gateway_websocket_session_next(s)
                              - ngx_current_msec);

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    ngx_add_timer(&s->timer, (ngx_msec_t) ngx_max(delay, 1));
}


static ngx_msec_t
ngx_http_gateway_websocket_session_next(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_msec_t  next, at;

    if (s->phase == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING) {
        return s->closing;
    }

    /* a day, where nothing else is due */

    next = ngx_current_msec + 86400000;

    if (s->conf->ping) {
        at = (s->is_pinged ? s->pinged : s->received) + s->conf->ping;

        if (ngx_http_gateway_websocket_is_due(at)) {
            at = ngx_current_msec + s->conf->ping;
        }

        ngx_http_gateway_websocket_earlier(&next, at);
    }

    if (s->conf->idle_timeout) {
        at = s->active + s->conf->idle_timeout;

        if (ngx_http_gateway_websocket_is_due(at)) {
            at = ngx_current_msec + s->conf->idle_timeout;
        }

        ngx_http_gateway_websocket_earlier(&next, at);
    }

    if (s->keep_alive && s->nexchanges == 0 && s->nmessages == 0) {
        ngx_http_gateway_websocket_earlier(&next, s->answered
                                                          + s->keep_alive);
    }

    if (s->max_age) {
        ngx_http_gateway_websocket_earlier(&next, s->max_age);
    }

    if (s->expires) {
        ngx_http_gateway_websocket_earlier(&next, s->expires);
    }

    if (s->draining) {
        ngx_http_gateway_websocket_earlier(&next, s->drain_at);
    }

    if (s->is_blocked) {
        ngx_http_gateway_websocket_earlier(&next, s->blocked
                                         + s->conf->upstream.send_timeout);
    }

    return next;
}


void
ngx_http_gateway_websocket_session_drain(void *data, ngx_msec_t delay)
{
    ngx_http_gateway_websocket_session_t *s = data;

    s->draining = 1;
    s->drain_at = ngx_current_msec + delay;

    ngx_http_gateway_websocket_session_timer(s);
}
