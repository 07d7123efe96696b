
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what links send: frames are masked into one buffer of a link, and sent
 * together at the end of a turn of the event loop.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


static ngx_int_t ngx_http_gateway_websocket_link_send_deflated(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, ngx_str_t *s);
static u_char *ngx_http_gateway_websocket_link_out(
    ngx_http_gateway_websocket_link_t *link, size_t len);
static ngx_int_t ngx_http_gateway_websocket_link_flush(
    ngx_http_gateway_websocket_link_t *link);


ngx_int_t
ngx_http_gateway_websocket_link_send(ngx_http_gateway_websocket_link_t *link,
    ngx_uint_t opcode, ngx_str_t *s)
{
    u_char  *p, key[4];

    link->active = ngx_current_msec;

    if (link->deflate && s->len >= NGX_HTTP_GATEWAY_WEBSOCKET_MIN_DEFLATE) {
        return ngx_http_gateway_websocket_link_send_deflated(link, opcode, s);
    }

    p = ngx_http_gateway_websocket_link_out(link,
                              NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER + s->len);

    if (p == NULL || ngx_http_gateway_websocket_random(key, 4) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_http_gateway_websocket_header(p,
                                    NGX_HTTP_GATEWAY_WEBSOCKET_FIN | opcode,
                                    s->len, key);

    ngx_http_gateway_websocket_mask(p, s->data, s->len, key, 0);

    link->out_last = p + s->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_link_send_deflated(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, ngx_str_t *s)
{
    u_char  *p, *start, *in, *out, *end, key[4];
    size_t   bound, len;

    bound = ngx_http_gateway_websocket_deflate_bound(s->len);

    p = ngx_http_gateway_websocket_link_out(link,
                               NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER + bound);

    if (p == NULL || ngx_http_gateway_websocket_random(key, 4) != NGX_OK) {
        return NGX_ERROR;
    }

    start = p + NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER;

    in = s->data;
    out = start;
    end = start + bound;

    if (ngx_http_gateway_websocket_deflate(link->deflate, &in, in + s->len,
                                           &out, end, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = out - start;

    opcode |= NGX_HTTP_GATEWAY_WEBSOCKET_FIN|NGX_HTTP_GATEWAY_WEBSOCKET_RSV1;

    p = ngx_http_gateway_websocket_header(p, opcode, len, key);

    ngx_http_gateway_websocket_mask(p, start, len, key, 0);

    link->out_last = p + len;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_link_send_control(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    u_char  *p, key[4];

    p = ngx_http_gateway_websocket_link_out(link,
                                            NGX_HTTP_GATEWAY_WEBSOCKET_HEAD);

    if (p == NULL || ngx_http_gateway_websocket_random(key, 4) != NGX_OK) {
        return NGX_ERROR;
    }

    link->out_last = ngx_http_gateway_websocket_control(p, opcode, data, len,
                                                        key);

    return NGX_OK;
}


/* where "len" bytes can be written; they are sent with all that is there */

static u_char *
ngx_http_gateway_websocket_link_out(ngx_http_gateway_websocket_link_t *link,
    size_t len)
{
    size_t   used, room;
    u_char  *p;

    if (!link->flush.posted) {
        ngx_post_event(&link->flush, &ngx_posted_events);
    }

    if ((size_t) (link->out_end - link->out_last) >= len) {
        return link->out_last;
    }

    used = link->out_last - link->out_pos;
    room = link->out_end - link->out_start;

    if (room - used < len) {
        room = ngx_max(2 * room, used + len);
        room = ngx_max(room, 512);

        p = ngx_alloc(room, link->log);
        if (p == NULL) {
            return NULL;
        }

        if (used) {
            ngx_memcpy(p, link->out_pos, used);
        }

        if (link->out_start) {
            ngx_free(link->out_start);
        }

        link->out_start = p;
        link->out_end = p + room;

    } else {
        ngx_memmove(link->out_start, link->out_pos, used);
    }

    link->out_pos = link->out_start;
    link->out_last = link->out_start + used;

    return link->out_last;
}


void
ngx_http_gateway_websocket_link_flush_handler(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_link_t *link = ev->data;

    if (link->has_pong && link->out_pos == link->out_last) {
        link->has_pong = 0;

        if (!link->is_closing
            && ngx_http_gateway_websocket_link_send_control(link,
                                              NGX_HTTP_GATEWAY_WEBSOCKET_PONG,
                                              link->pong, link->npong)
               != NGX_OK)
        {
            ngx_http_gateway_websocket_link_over(link, 0);
            return;
        }
    }

    if (ngx_http_gateway_websocket_link_flush(link) == NGX_ERROR) {
        ngx_http_gateway_websocket_link_over(link, 0);
    }
}


void
ngx_http_gateway_websocket_link_write_handler(ngx_event_t *ev)
{
    ngx_connection_t                   *c;
    ngx_http_gateway_websocket_link_t  *link;

    c = ev->data;
    link = c->data;

    ngx_http_gateway_websocket_link_flush_handler(&link->flush);
}


static ngx_int_t
ngx_http_gateway_websocket_link_flush(ngx_http_gateway_websocket_link_t *link)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->connection;

    while (link->out_pos < link->out_last && c->write->ready) {
        n = c->send(c, link->out_pos, link->out_last - link->out_pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            break;
        }

        link->out_pos += n;
        link->is_blocked = 0;
    }

    if (link->out_pos < link->out_last) {

        if (!link->is_blocked) {
            link->is_blocked = 1;
            link->blocked = ngx_current_msec;
            ngx_http_gateway_websocket_link_timer(link);
        }

        return ngx_handle_write_event(c->write, 0);
    }

    link->is_blocked = 0;
    link->out_pos = link->out_start;
    link->out_last = link->out_start;

    if (link->out_end - link->out_start > 65536) {
        ngx_free(link->out_start);
        link->out_start = NULL;
        link->out_pos = NULL;
        link->out_last = NULL;
        link->out_end = NULL;
    }

    return NGX_OK;
}
