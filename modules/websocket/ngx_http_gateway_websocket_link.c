
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the life of connections to services, of which the gateway is the
 * WebSocket client, RFC 6455: from the handshake to the closing handshake.
 *
 * A link is freed only by ngx_http_gateway_websocket_link_free(), which waits
 * for whoever is reading from it.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


static u_char *ngx_http_gateway_websocket_link_log(ngx_log_t *log, u_char *buf,
    size_t len);


ngx_http_gateway_websocket_link_t *
ngx_http_gateway_websocket_link_create(
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_pool_t                         *pool;
    ngx_http_gateway_websocket_link_t  *link;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    link = ngx_pcalloc(pool, sizeof(ngx_http_gateway_websocket_link_t));
    if (link == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    link->log = ngx_palloc(pool, sizeof(ngx_log_t));
    if (link->log == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    *link->log = *ngx_cycle->log;

    link->log->handler = ngx_http_gateway_websocket_link_log;
    link->log->data = link;
    link->log->action = "talking to a websocket";

    link->pool = pool;
    link->conf = wlcf;

    ngx_queue_init(&link->waiting);
    ngx_rbtree_init(&link->ids, &link->sentinel, ngx_str_rbtree_insert_value);

    return link;
}


static u_char *
ngx_http_gateway_websocket_link_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                             *p;
    ngx_http_gateway_websocket_link_t  *link;

    link = log->data;
    p = buf;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
    }

    return ngx_snprintf(p, len, ", upstream: \"%V\"", &link->name);
}


ngx_int_t
ngx_http_gateway_websocket_link_start(ngx_http_gateway_websocket_link_t *link,
    ngx_connection_t *c, u_char *data, size_t len,
    ngx_http_gateway_websocket_deflate_t *d)
{
    size_t  size;

    size = ngx_max(link->conf->upstream.buffer_size,
                   NGX_HTTP_GATEWAY_WEBSOCKET_HEAD);
    size = ngx_max(size, len);

    link->start = ngx_palloc(link->pool, size);
    if (link->start == NULL) {
        return NGX_ERROR;
    }

    link->end = link->start + size;
    link->pos = link->start;
    link->last = ngx_cpymem(link->start, data, len);

    link->message.log = link->log;

    ngx_http_gateway_websocket_parser_init(&link->parser, 0);

    link->parser.max_message = link->conf->max_message;
    link->parser.max_frame = ngx_http_gateway_websocket_max_frame(link->conf);

    if (d->server_bits) {
        link->inflate = ngx_pcalloc(link->pool,
                                 sizeof(ngx_http_gateway_websocket_inflate_t));
        link->deflate = ngx_pcalloc(link->pool,
                                sizeof(ngx_http_gateway_websocket_deflater_t));

        if (link->inflate == NULL || link->deflate == NULL) {
            return NGX_ERROR;
        }

        ngx_http_gateway_websocket_inflate_init(link->inflate, d->server_bits,
                                                d->server_no_takeover);

        if (d->client_bits >= NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS) {
            ngx_http_gateway_websocket_deflate_init(link->deflate,
                                                    d->client_bits,
                                                    d->client_no_takeover);

        } else {
            link->deflate = NULL;
        }

        link->parser.deflate = 1;
    }

    link->received = ngx_current_msec;
    link->active = ngx_current_msec;

    if (link->conf->max_age) {
        link->max_age = ngx_current_msec + link->conf->max_age;
    }

    link->timer.handler = ngx_http_gateway_websocket_link_timeout;
    link->timer.data = link;
    link->timer.log = link->log;

    link->flush.handler = ngx_http_gateway_websocket_link_flush_handler;
    link->flush.data = link;
    link->flush.log = link->log;

    link->connection = c;
    link->log->connection = c->number;

#if (NGX_HTTP_SSL)

    /* the upstream's, which takes c->data for a request */

    if (c->ssl) {
        c->ssl->save_session = NULL;
    }

#endif

    ngx_http_gateway_websocket_moving_buffers(c);

    c->data = link;
    c->log = link->log;
    c->pool->log = link->log;
    c->read->log = link->log;
    c->write->log = link->log;
    c->read->handler = ngx_http_gateway_websocket_link_read_handler;
    c->write->handler = ngx_http_gateway_websocket_link_write_handler;

    link->drain.handler = ngx_http_gateway_websocket_link_drain;
    link->drain.data = link;
    link->drain.spread = link->conf->drain;

    ngx_http_gateway_websocket_drain_add(&link->drain);

    ngx_http_gateway_websocket_link_timer(link);

    /* whatever there is to read is read when the handshake's event is over */

    c->read->ready = 1;
    ngx_post_event(c->read, &ngx_posted_events);

    return NGX_OK;
}


ngx_pool_t *
ngx_http_gateway_websocket_link_scratch(
    ngx_http_gateway_websocket_link_t *link)
{
    if (link->scratch == NULL) {
        link->scratch = ngx_create_pool(512, link->log);
    }

    return link->scratch;
}


void
ngx_http_gateway_websocket_link_resume(ngx_http_gateway_websocket_link_t *link)
{
    link->paused = 0;
    link->pinged = 0;
    link->received = ngx_current_msec;

    if (!link->reading) {
        ngx_post_event(link->connection->read, &ngx_posted_events);
    }
}


/* the service has closed: with a code, or, 0, without a Close frame */

void
ngx_http_gateway_websocket_link_over(ngx_http_gateway_websocket_link_t *link,
    ngx_uint_t code)
{
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = link->shared ? NULL : link->pass;

    if (pass) {
        ngx_http_gateway_websocket_closed(pass->ctx, code ? code : 1006,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);
    }

    if (code == 0) {
        link->dead = 1;
        link->closed = 1;

    } else if (!link->is_closing) {
        ngx_http_gateway_websocket_link_close(link,
                                (code == NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS)
                                ? NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL : code);

    }

    if (pass && (code == NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL
                 || code == NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY
                 || code == NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS))
    {
        ngx_http_gateway_websocket_reply_end(pass);

    } else {
        ngx_http_gateway_websocket_link_failed(link, NGX_HTTP_BAD_GATEWAY,
                                      "The service closed the connection "
                                      "before it had answered.");
    }

    if (link->dead && !link->reading) {
        ngx_http_gateway_websocket_link_free(link);
    }
}


/* nobody gets an answer from this link any more */

void
ngx_http_gateway_websocket_link_failed(ngx_http_gateway_websocket_link_t *link,
    ngx_uint_t status, char *detail)
{
    if (link->shared) {
        ngx_http_gateway_websocket_correlate_lost(link, status, detail);

    } else if (link->pass) {
        ngx_http_gateway_websocket_pass_fail(link->pass, status, detail);
    }
}


void
ngx_http_gateway_websocket_link_close(ngx_http_gateway_websocket_link_t *link,
    ngx_uint_t code)
{
    u_char  payload[2];

    if (link->dead || link->is_closing) {
        return;
    }

    if (link->connection == NULL) {
        ngx_http_gateway_websocket_link_free(link);
        return;
    }

    if (link->shared) {
        ngx_http_gateway_websocket_table_remove(link);
    }

    ngx_http_gateway_websocket_drain_remove(&link->drain);

    payload[0] = (u_char) (code >> 8);
    payload[1] = (u_char) code;

    /* without the frame it will be closed all the same */

    (void) ngx_http_gateway_websocket_link_send_control(link,
                                             NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE,
                                             payload, 2);

    link->is_closing = 1;
    link->closing = ngx_current_msec
                    + NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE_TIMEOUT;

    ngx_http_gateway_websocket_link_timer(link);

    /* the server closes the connection first, RFC 6455, section 7.1.1 */

    ngx_http_gateway_websocket_link_resume(link);
}


void
ngx_http_gateway_websocket_link_free(ngx_http_gateway_websocket_link_t *link)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    if (link->reading) {
        link->dead = 1;
        return;
    }

    ngx_http_gateway_websocket_drain_remove(&link->drain);
    ngx_http_gateway_websocket_correlate_free(link);

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }

    if (link->inflate) {
        ngx_http_gateway_websocket_inflate_free(link->inflate);
    }

    if (link->deflate) {
        ngx_http_gateway_websocket_deflate_free(link->deflate);
    }

    ngx_http_gateway_websocket_assembly_free(&link->message);

    if (link->out_start) {
        ngx_free(link->out_start);
    }

    if (link->scratch) {
        ngx_destroy_pool(link->scratch);
    }

    c = link->connection;

    if (c) {

#if (NGX_HTTP_SSL)

        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }

#endif

        pool = c->pool;
        ngx_close_connection(c);

        if (pool) {
            ngx_destroy_pool(pool);
        }
    }

    ngx_destroy_pool(link->pool);
}
