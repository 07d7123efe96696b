
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the list of a worker's WebSocket connections and learns when the worker
 * is to end.  What a connection does then is its own matter.
 *
 * A worker that is to end calls the read handlers of idle connections.  A
 * socket that nobody ever writes to is one, and is how the module is told.
 */


#include "ngx_http_gateway_websocket.h"


static void ngx_http_gateway_websocket_drain(ngx_event_t *ev);
static ngx_msec_t ngx_http_gateway_websocket_drain_delay(
    ngx_http_gateway_websocket_drain_t *d, ngx_uint_t i, ngx_uint_t n);


static ngx_queue_t  ngx_http_gateway_websocket_drains;


ngx_int_t
ngx_http_gateway_websocket_drain_init(ngx_cycle_t *cycle)
{
    ngx_socket_t       s;
    ngx_connection_t  *c;

    ngx_queue_init(&ngx_http_gateway_websocket_drains);

    s = ngx_socket(AF_UNIX, SOCK_STREAM, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(s, cycle->log);

    if (c == NULL) {
        if (ngx_close_socket(s) == -1) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_socket_errno,
                          ngx_close_socket_n " failed");
        }

        return NGX_ERROR;
    }

    c->log = cycle->log;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = ngx_http_gateway_websocket_drain;
    c->idle = 1;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_drain_add(ngx_http_gateway_websocket_drain_t *d)
{
    if (ngx_exiting) {
        ngx_queue_init(&d->queue);
        d->handler(d->data, 0);
        return;
    }

    ngx_queue_insert_tail(&ngx_http_gateway_websocket_drains, &d->queue);
}


void
ngx_http_gateway_websocket_drain_remove(ngx_http_gateway_websocket_drain_t *d)
{
    if (d->queue.next) {
        ngx_queue_remove(&d->queue);
        ngx_queue_init(&d->queue);
    }
}


static void
ngx_http_gateway_websocket_drain(ngx_event_t *ev)
{
    ngx_uint_t                           i, n;
    ngx_queue_t                         *q, drains;
    ngx_connection_t                    *c;
    ngx_http_gateway_websocket_drain_t  *d;

    c = ev->data;

    if (!c->close) {
        return;
    }

    ngx_close_connection(c);

    /* handlers may remove themselves and others */

    ngx_queue_init(&drains);

    if (!ngx_queue_empty(&ngx_http_gateway_websocket_drains)) {
        ngx_queue_add(&drains, &ngx_http_gateway_websocket_drains);
        ngx_queue_init(&ngx_http_gateway_websocket_drains);
    }

    n = 0;

    for (q = ngx_queue_head(&drains);
         q != ngx_queue_sentinel(&drains);
         q = ngx_queue_next(q))
    {
        n++;
    }

    for (i = 0; !ngx_queue_empty(&drains); i++) {
        q = ngx_queue_head(&drains);
        d = ngx_queue_data(q, ngx_http_gateway_websocket_drain_t, queue);

        ngx_http_gateway_websocket_drain_remove(d);

        d->handler(d->data, ngx_http_gateway_websocket_drain_delay(d, i, n));
    }
}


/* half of worker_shutdown_timeout is left for what closes last */

static ngx_msec_t
ngx_http_gateway_websocket_drain_delay(ngx_http_gateway_websocket_drain_t *d,
    ngx_uint_t i, ngx_uint_t n)
{
    ngx_msec_t        spread;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    spread = d->spread;

    if (ccf->shutdown_timeout) {
        spread = ngx_min(spread, ccf->shutdown_timeout / 2);
    }

    return (ngx_msec_t) ((uint64_t) spread * i / n);
}
