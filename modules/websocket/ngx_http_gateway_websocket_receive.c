
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what links read: frames are looked at where they lie, and messages that
 * are not all there at once are put together.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_READS  16


static void ngx_http_gateway_websocket_link_read(
    ngx_http_gateway_websocket_link_t *link);
static ngx_int_t ngx_http_gateway_websocket_link_recv(
    ngx_http_gateway_websocket_link_t *link);
static ngx_int_t ngx_http_gateway_websocket_link_parse(
    ngx_http_gateway_websocket_link_t *link);
static ngx_int_t ngx_http_gateway_websocket_link_frame(
    ngx_http_gateway_websocket_link_t *link);
static ngx_int_t ngx_http_gateway_websocket_link_payload(
    ngx_http_gateway_websocket_link_t *link, u_char *p, size_t len);
static void ngx_http_gateway_websocket_link_message(
    ngx_http_gateway_websocket_link_t *link, u_char *data, size_t len);
static void ngx_http_gateway_websocket_link_control(
    ngx_http_gateway_websocket_link_t *link, u_char *data, size_t len);
static void ngx_http_gateway_websocket_link_violation(
    ngx_http_gateway_websocket_link_t *link);


void
ngx_http_gateway_websocket_link_read_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {

        /* worker_shutdown_timeout */

        ngx_http_gateway_websocket_link_over(c->data, 0);
        return;
    }

    ngx_http_gateway_websocket_link_read(c->data);
}


static void
ngx_http_gateway_websocket_link_read(ngx_http_gateway_websocket_link_t *link)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    if (link->reading) {
        return;
    }

    link->reading = 1;

    for (n = 0; /* void */ ; n++) {
        rc = ngx_http_gateway_websocket_link_parse(link);

        if (!link->shared && link->pass && link->pass->streams) {
            (void) ngx_http_gateway_websocket_reply_flush(link->pass);
        }

        if (rc != NGX_OK || link->dead || link->paused) {
            break;
        }

        if (n == NGX_HTTP_GATEWAY_WEBSOCKET_MAX_READS) {

            /* others of this worker have their turn */

            ngx_post_event(link->connection->read, &ngx_posted_next_events);
            break;
        }

        if (ngx_http_gateway_websocket_link_recv(link) != NGX_OK) {
            break;
        }
    }

    link->reading = 0;

    if (link->dead) {
        ngx_http_gateway_websocket_link_free(link);
        return;
    }

    if (ngx_handle_read_event(link->connection->read, 0) != NGX_OK) {
        ngx_http_gateway_websocket_link_over(link, 0);
    }
}


/* returns NGX_OK when there is something new */

static ngx_int_t
ngx_http_gateway_websocket_link_recv(ngx_http_gateway_websocket_link_t *link)
{
    size_t             rest;
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->connection;

    if (!c->read->ready) {
        return NGX_AGAIN;
    }

    rest = link->last - link->pos;

    if (rest == 0 || link->last == link->end) {
        ngx_memmove(link->start, link->pos, rest);
        link->pos = link->start;
        link->last = link->start + rest;
    }

    n = c->recv(c, link->last, link->end - link->last);

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n == 0 || n == NGX_ERROR) {
        ngx_http_gateway_websocket_link_over(link, 0);
        return NGX_ERROR;
    }

    link->last += n;
    link->received = ngx_current_msec;

    return NGX_OK;
}


/* returns NGX_OK when more bytes are needed, or NGX_DONE to stop */

static ngx_int_t
ngx_http_gateway_websocket_link_parse(ngx_http_gateway_websocket_link_t *link)
{
    size_t     n;
    u_char    *p;
    ngx_int_t  rc;

    while (link->pos < link->last) {

        if (link->dead || link->paused) {
            return NGX_DONE;
        }

        if (link->closed) {
            link->pos = link->last;
            return NGX_OK;
        }

        if (link->parser.rest == 0) {
            rc = ngx_http_gateway_websocket_link_frame(link);

        } else {
            n = link->last - link->pos;
            n = (size_t) ngx_min((uint64_t) n, link->parser.rest);

            p = link->pos;
            link->pos += n;

            rc = ngx_http_gateway_websocket_link_payload(link, p, n);
        }

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc == NGX_ERROR) {
            ngx_http_gateway_websocket_link_violation(link);
            return NGX_DONE;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_link_frame(ngx_http_gateway_websocket_link_t *link)
{
    u_char                               *p;
    size_t                                len;
    ngx_int_t                             rc;
    ngx_http_gateway_websocket_parser_t  *ps;

    ps = &link->parser;
    p = link->pos;

    rc = ngx_http_gateway_websocket_parse(ps, &p, link->last);

    if (rc != NGX_OK) {
        return rc;
    }

    len = link->last - p;

    if (ngx_http_gateway_websocket_is_control(ps)) {
        link->pos = p + ps->length;
        ngx_http_gateway_websocket_link_control(link, p, (size_t) ps->length);

        return NGX_OK;
    }

    if (ps->first) {
        link->message.len = 0;
    }

    /* a message that is all there needs no copy */

    if (ps->first && ps->fin && !ps->compressed && len >= ps->rest) {
        len = (size_t) ps->rest;
        link->pos = p + len;

        if (ngx_http_gateway_websocket_take(ps, p, len) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_gateway_websocket_link_message(link, p, len);

        return NGX_OK;
    }

    link->pos = p;

    if (ps->rest == 0) {
        return ngx_http_gateway_websocket_link_payload(link, p, 0);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_link_payload(
    ngx_http_gateway_websocket_link_t *link, u_char *p, size_t len)
{
    ngx_http_gateway_websocket_parser_t    *ps;
    ngx_http_gateway_websocket_assembly_t  *a;

    ps = &link->parser;
    a = &link->message;

    if (link->is_closing) {
        ngx_http_gateway_websocket_pass_over(ps, len);
        return NGX_OK;
    }

    a->hint = (size_t) ngx_min(ps->size, link->conf->max_message);

    if (ngx_http_gateway_websocket_assemble(a, ps, link->inflate,
                                            link->conf->max_message, p, len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_gateway_websocket_is_whole(ps)) {
        ngx_http_gateway_websocket_link_message(link, a->start, a->len);
    }

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_link_message(
    ngx_http_gateway_websocket_link_t *link, u_char *data, size_t len)
{
    ngx_uint_t  opcode;

    if (link->is_closing) {
        return;
    }

    opcode = link->parser.type;
    link->active = ngx_current_msec;

    if (link->shared) {
        ngx_http_gateway_websocket_correlate_message(link, opcode, data, len);

    } else if (link->pass) {
        ngx_http_gateway_websocket_reply_message(link->pass, opcode, data,
                                                 len);
    }

    if (link->scratch) {
        ngx_reset_pool(link->scratch);
    }

    if (link->message.room > 65536) {
        ngx_http_gateway_websocket_assembly_free(&link->message);
    }
}


static void
ngx_http_gateway_websocket_link_control(
    ngx_http_gateway_websocket_link_t *link, u_char *data, size_t len)
{
    ngx_uint_t  code;

    switch (link->parser.opcode) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_PING:

        /* of several that have not been answered the last one is enough */

        ngx_memcpy(link->pong, data, len);
        link->npong = len;
        link->has_pong = 1;

        if (!link->flush.posted) {
            ngx_post_event(&link->flush, &ngx_posted_events);
        }

        return;

    case NGX_HTTP_GATEWAY_WEBSOCKET_PONG:
        link->pinged = 0;
        return;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE */
        break;
    }

    if (ngx_http_gateway_websocket_close_code(data, len, &code) != NGX_OK) {
        link->parser.code = code;
        link->parser.error = "invalid Close frame";
        ngx_http_gateway_websocket_link_violation(link);
        return;
    }

    link->closed = 1;

    ngx_http_gateway_websocket_link_over(link, code);
}


static void
ngx_http_gateway_websocket_link_violation(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_uint_t                          code;
    ngx_http_gateway_websocket_pass_t  *pass;

    code = link->parser.code;
    link->closed = 1;

    if (link->is_closing) {
        link->dead = 1;
        return;
    }

    ngx_log_error(NGX_LOG_ERR, link->log, 0,
                  "upstream broke the rules of the websocket: %s, closed "
                  "with %ui", link->parser.error, code);

    pass = link->pass;

    if (pass && !link->shared) {
        ngx_http_gateway_websocket_closed(pass->ctx, code,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
    }

    ngx_http_gateway_websocket_link_close(link, code);
    ngx_http_gateway_websocket_link_failed(link, NGX_HTTP_BAD_GATEWAY,
                             "The service broke the rules of the WebSocket.");
}
