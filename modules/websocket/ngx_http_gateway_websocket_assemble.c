
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns messages that are not whole yet, of whoever receives them.
 */


#include "ngx_http_gateway_websocket_assemble.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_INFLATE_ROOM  4096


static ngx_int_t ngx_http_gateway_websocket_assemble_plain(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, u_char *p, size_t len);
static ngx_int_t ngx_http_gateway_websocket_assemble_inflate(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps,
    ngx_http_gateway_websocket_inflate_t *z, size_t max, u_char *p,
    size_t len);
static ngx_int_t ngx_http_gateway_websocket_assemble_inflated(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, size_t max, ssize_t n);
static ngx_int_t ngx_http_gateway_websocket_assemble_room(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, size_t len);
static ngx_int_t ngx_http_gateway_websocket_assemble_error(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t code, char *error);


ngx_int_t
ngx_http_gateway_websocket_assemble(ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps,
    ngx_http_gateway_websocket_inflate_t *z, size_t max, u_char *p, size_t len)
{
    uint64_t   rest;
    ngx_int_t  rc;

    rest = ps->rest;

    if (ps->compressed) {
        rc = ngx_http_gateway_websocket_assemble_inflate(a, ps, z, max, p,
                                                         len);

    } else {
        rc = ngx_http_gateway_websocket_assemble_plain(a, ps, p, len);
    }

    if (rc != NGX_OK) {
        ps->rest = rest;
        ngx_http_gateway_websocket_pass_over(ps, len);
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_websocket_assemble_plain(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, u_char *p, size_t len)
{
    if (ngx_http_gateway_websocket_take(ps, p, len) != NGX_OK
        || ngx_http_gateway_websocket_assemble_room(a, ps, len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (len) {
        ngx_memcpy(a->start + a->head + a->len, p, len);
        a->len += len;
    }

    return NGX_OK;
}


/*
 * The end of the message is looked at last: whether a text is whole is known
 * only when all of it has been inflated.
 */

static ngx_int_t
ngx_http_gateway_websocket_assemble_inflate(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps,
    ngx_http_gateway_websocket_inflate_t *z, size_t max, u_char *p, size_t len)
{
    u_char      *in, *last;
    size_t       room;
    ssize_t      n;
    ngx_uint_t   end;

    if (ps->masked) {
        ngx_http_gateway_websocket_mask(p, p, len, ps->mask,
                                        ps->length - ps->rest);
    }

    in = p;
    last = p + len;
    end = (ps->rest == len && ps->fin);

    for ( ;; ) {

        if (ngx_http_gateway_websocket_assemble_room(a, ps,
                                    NGX_HTTP_GATEWAY_WEBSOCKET_INFLATE_ROOM)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        room = a->room - a->len;

        if (in == NULL) {
            n = ngx_http_gateway_websocket_inflate_end(z,
                                             a->start + a->head + a->len,
                                             room);

        } else {
            n = ngx_http_gateway_websocket_inflate(z, &in, last,
                                             a->start + a->head + a->len,
                                             room);
        }

        if (ngx_http_gateway_websocket_assemble_inflated(a, ps, max, n)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (n == (ssize_t) room || (in && in < last)) {
            continue;
        }

        if (in == NULL || !end) {
            break;
        }

        /* all of the payload has been taken */

        in = NULL;
    }

    return ngx_http_gateway_websocket_pass(ps, p, len);
}


static ngx_int_t
ngx_http_gateway_websocket_assemble_inflated(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, size_t max, ssize_t n)
{
    if (n == NGX_ABORT) {
        return ngx_http_gateway_websocket_assemble_error(ps,
                                     NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL,
                                     "no memory for a message");
    }

    if (n < 0) {
        return ngx_http_gateway_websocket_assemble_error(ps,
                                     NGX_HTTP_GATEWAY_WEBSOCKET_INVALID,
                                     "message that cannot be inflated");
    }

    if (a->len + n > max) {
        return ngx_http_gateway_websocket_assemble_error(ps,
                              NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG,
                              "message beyond gateway_websocket_max_message");
    }

    if (ps->type == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
        && ngx_http_gateway_websocket_utf8(&ps->utf8,
                                           a->start + a->head + a->len, n)
           != NGX_OK)
    {
        return ngx_http_gateway_websocket_assemble_error(ps,
                                     NGX_HTTP_GATEWAY_WEBSOCKET_INVALID,
                                     "text is not UTF-8");
    }

    a->len += n;

    return NGX_OK;
}


/* room for "len" more bytes of the message; its length has been checked */

static ngx_int_t
ngx_http_gateway_websocket_assemble_room(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps, size_t len)
{
    size_t   room;
    u_char  *p;

    if (a->room - a->len >= len && (a->start || a->head == 0)) {
        return NGX_OK;
    }

    room = ngx_max(2 * a->room, a->len + len);
    room = ngx_max(room, a->hint);

    p = ngx_alloc(a->head + room, a->log);
    if (p == NULL) {
        return ngx_http_gateway_websocket_assemble_error(ps,
                                     NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL,
                                     "no memory for a message");
    }

    if (a->start) {
        ngx_memcpy(p, a->start, a->head + a->len);
        ngx_free(a->start);
    }

    a->start = p;
    a->room = room;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_assemble_error(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t code, char *error)
{
    ps->code = code;
    ps->error = error;

    return NGX_ERROR;
}


void
ngx_http_gateway_websocket_pass_over(ngx_http_gateway_websocket_parser_t *ps,
    size_t len)
{
    ps->rest -= len;
    ps->utf8.left = 0;

    if (ps->rest == 0 && ps->fin) {
        ps->open = 0;
    }
}


u_char *
ngx_http_gateway_websocket_assembled(ngx_http_gateway_websocket_assembly_t *a)
{
    u_char  *p;

    p = a->start;

    a->start = NULL;
    a->len = 0;
    a->room = 0;

    return p;
}


void
ngx_http_gateway_websocket_assembly_free(
    ngx_http_gateway_websocket_assembly_t *a)
{
    u_char  *p;

    p = ngx_http_gateway_websocket_assembled(a);

    if (p) {
        ngx_free(p);
    }
}
