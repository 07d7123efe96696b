
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the bytes of frames, and no connection: what a violation leads to is
 * decided by who called.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_frame.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_SCRATCH  1024


static ngx_int_t ngx_http_gateway_websocket_error(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t code, char *error);
static char *ngx_http_gateway_websocket_check(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t first,
    ngx_uint_t second);
static ngx_int_t ngx_http_gateway_websocket_start(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t first);
static ngx_int_t ngx_http_gateway_websocket_advance(
    ngx_http_gateway_websocket_parser_t *ps, size_t len);


void
ngx_http_gateway_websocket_parser_init(ngx_http_gateway_websocket_parser_t *ps,
    ngx_uint_t masked)
{
    ngx_memzero(ps, sizeof(ngx_http_gateway_websocket_parser_t));

    ps->masked = masked ? 1 : 0;
}


ngx_int_t
ngx_http_gateway_websocket_parse(ngx_http_gateway_websocket_parser_t *ps,
    u_char **pos, u_char *last)
{
    char        *error;
    size_t       size;
    u_char      *p;
    uint64_t     length;
    ngx_uint_t   first, second, i;

    p = *pos;

    if (last - p < 2) {
        return NGX_AGAIN;
    }

    first = p[0];
    second = p[1];

    error = ngx_http_gateway_websocket_check(ps, first, second);

    if (error) {
        return ngx_http_gateway_websocket_error(ps,
                                   NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL, error);
    }

    length = second & 0x7f;

    size = (length == 127) ? 8 : (length == 126) ? 2 : 0;

    if ((size_t) (last - p) < 2 + size + (ps->masked ? 4 : 0)) {
        return NGX_AGAIN;
    }

    p += 2;

    if (size) {
        length = 0;

        for (i = 0; i < size; i++) {
            length = length << 8 | *p++;
        }

        /* section 5.2: the minimal number of bytes, the first bit 0 */

        if (length < (uint64_t) ((size == 2) ? 126 : 65536)
            || length >> 63)
        {
            return ngx_http_gateway_websocket_error(ps,
                              NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL,
                              "frame length that is not in its shortest form");
        }
    }

    if (ps->masked) {
        ngx_memcpy(ps->mask, p, 4);
        p += 4;
    }

    ps->opcode = first & 0x0f;

    if (ngx_http_gateway_websocket_is_control(ps)) {

        if ((uint64_t) (last - p) < length) {
            return NGX_AGAIN;
        }

        ps->length = length;
        *pos = p;

        return NGX_OK;
    }

    ps->length = length;
    ps->rest = length;
    *pos = p;

    return ngx_http_gateway_websocket_start(ps, first);
}


static ngx_int_t
ngx_http_gateway_websocket_error(ngx_http_gateway_websocket_parser_t *ps,
    ngx_uint_t code, char *error)
{
    ps->code = code;
    ps->error = error;

    return NGX_ERROR;
}


/*
 * What the first two bytes tell, sections 5.2, 5.4 and 5.5 and RFC 7692,
 * section 6.
 */

static char *
ngx_http_gateway_websocket_check(ngx_http_gateway_websocket_parser_t *ps,
    ngx_uint_t first, ngx_uint_t second)
{
    ngx_uint_t  opcode, reserved;

    opcode = first & 0x0f;
    reserved = first & 0x70;

    if (ps->masked && !(second & 0x80)) {
        return "unmasked frame of a client";
    }

    if (!ps->masked && (second & 0x80)) {
        return "masked frame of a server";
    }

    switch (opcode) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_CONTINUATION:

        if (!ps->open) {
            return "continuation of no message";
        }

        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_TEXT:
    case NGX_HTTP_GATEWAY_WEBSOCKET_BINARY:

        if (ps->open) {
            return "new message before the end of a fragmented one";
        }

        if (ps->deflate) {
            reserved &= ~NGX_HTTP_GATEWAY_WEBSOCKET_RSV1;
        }

        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE:
    case NGX_HTTP_GATEWAY_WEBSOCKET_PING:
    case NGX_HTTP_GATEWAY_WEBSOCKET_PONG:

        if (!(first & NGX_HTTP_GATEWAY_WEBSOCKET_FIN)) {
            return "fragmented control frame";
        }

        if ((second & 0x7f) > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL) {
            return "control frame of more than 125 bytes";
        }

        break;

    default:
        return "reserved opcode";
    }

    if (reserved) {
        return "reserved bit set";
    }

    return NULL;
}


/* a frame of a message: limits are checked before anything of it is taken */

static ngx_int_t
ngx_http_gateway_websocket_start(ngx_http_gateway_websocket_parser_t *ps,
    ngx_uint_t first)
{
    uint64_t  max;

    ps->first = 0;
    ps->fin = first >> 7;

    if (!ps->open) {
        ps->first = 1;
        ps->open = 1;
        ps->size = 0;
        ps->type = ps->opcode;
        ps->compressed = first >> 6;

        ngx_memzero(&ps->utf8, sizeof(ngx_http_gateway_websocket_utf8_t));
    }

    /* neither is above 2^63 */

    ps->size += ps->length;

    if (ps->max_message && !ps->compressed && ps->size > ps->max_message) {
        return ngx_http_gateway_websocket_error(ps,
                               NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG,
                               "message beyond gateway_websocket_max_message");
    }

    max = ps->max_frame;

    /* what cannot be compressed grows, by less than a thousandth */

    if (max && ps->compressed) {
        max += (max >> 10) + 16;
    }

    if (max && ps->length > max) {
        return ngx_http_gateway_websocket_error(ps,
                                   NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG,
                                   "frame beyond gateway_websocket_max_frame");
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_take(ngx_http_gateway_websocket_parser_t *ps,
    u_char *p, size_t len)
{
    if (ps->masked) {
        ngx_http_gateway_websocket_mask(p, p, len, ps->mask,
                                        ps->length - ps->rest);
    }

    if (ps->type == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT && !ps->compressed
        && ngx_http_gateway_websocket_utf8(&ps->utf8, p, len) != NGX_OK)
    {
        return ngx_http_gateway_websocket_error(ps,
                    NGX_HTTP_GATEWAY_WEBSOCKET_INVALID, "text is not UTF-8");
    }

    return ngx_http_gateway_websocket_advance(ps, len);
}


ngx_int_t
ngx_http_gateway_websocket_pass(ngx_http_gateway_websocket_parser_t *ps,
    u_char *p, size_t len)
{
    size_t     n, done;
    u_char     scratch[NGX_HTTP_GATEWAY_WEBSOCKET_SCRATCH];
    ngx_int_t  rc;

    if (ps->type != NGX_HTTP_GATEWAY_WEBSOCKET_TEXT || ps->compressed) {
        return ngx_http_gateway_websocket_advance(ps, len);
    }

    if (!ps->masked) {
        return ngx_http_gateway_websocket_take(ps, p, len);
    }

    for (done = 0; done < len; done += n) {
        n = ngx_min(len - done, NGX_HTTP_GATEWAY_WEBSOCKET_SCRATCH);

        ngx_http_gateway_websocket_mask(scratch, p + done, n, ps->mask,
                                        ps->length - ps->rest + done);

        rc = ngx_http_gateway_websocket_utf8(&ps->utf8, scratch, n);

        if (rc != NGX_OK) {
            return ngx_http_gateway_websocket_error(ps,
                    NGX_HTTP_GATEWAY_WEBSOCKET_INVALID, "text is not UTF-8");
        }
    }

    return ngx_http_gateway_websocket_advance(ps, len);
}


static ngx_int_t
ngx_http_gateway_websocket_advance(ngx_http_gateway_websocket_parser_t *ps,
    size_t len)
{
    ps->rest -= len;

    if (ps->rest || !ps->fin) {
        return NGX_OK;
    }

    ps->open = 0;

    if (ps->utf8.left) {
        return ngx_http_gateway_websocket_error(ps,
                                  NGX_HTTP_GATEWAY_WEBSOCKET_INVALID,
                                  "text ends in the middle of a character");
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_utf8(ngx_http_gateway_websocket_utf8_t *utf8,
    u_char *p, size_t len)
{
    u_char    ch, *last;
    uint64_t  word;

    last = p + len;

    while (p < last) {

        if (utf8->left) {
            ch = *p++;

            if (ch < utf8->low || ch > utf8->high) {
                return NGX_ERROR;
            }

            utf8->left--;
            utf8->low = 0x80;
            utf8->high = 0xbf;

            continue;
        }

        while (last - p >= 8) {
            ngx_memcpy(&word, p, 8);

            if (word & 0x8080808080808080ULL) {
                break;
            }

            p += 8;
        }

        while (p < last && *p < 0x80) {
            p++;
        }

        if (p == last) {
            break;
        }

        ch = *p++;

        if (ch < 0xc2 || ch > 0xf4) {
            return NGX_ERROR;
        }

        /* shortest forms, no surrogates, nothing above U+10FFFF */

        utf8->left = (ch < 0xe0) ? 1 : (ch < 0xf0) ? 2 : 3;
        utf8->low = (ch == 0xe0) ? 0xa0 : (ch == 0xf0) ? 0x90 : 0x80;
        utf8->high = (ch == 0xed) ? 0x9f : (ch == 0xf4) ? 0x8f : 0xbf;
    }

    return NGX_OK;
}


void
ngx_http_gateway_websocket_mask(u_char *dst, u_char *src, size_t len,
    u_char *mask, uint64_t offset)
{
    size_t    i;
    u_char    key[8];
    uint64_t  word, k;

    for (i = 0; i < 8; i++) {
        key[i] = mask[(offset + i) & 3];
    }

    ngx_memcpy(&k, key, 8);

    for (i = 0; i + 8 <= len; i += 8) {
        ngx_memcpy(&word, src + i, 8);
        word ^= k;
        ngx_memcpy(dst + i, &word, 8);
    }

    for ( /* void */ ; i < len; i++) {
        dst[i] = src[i] ^ key[i & 7];
    }
}


ngx_int_t
ngx_http_gateway_websocket_close_code(u_char *p, size_t len, ngx_uint_t *code)
{
    ngx_uint_t                         n;
    ngx_http_gateway_websocket_utf8_t  utf8;

    if (len == 0) {
        *code = NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS;
        return NGX_OK;
    }

    *code = NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL;

    if (len == 1) {
        return NGX_ERROR;
    }

    n = p[0] << 8 | p[1];

    /*
     * section 7.4: 1004 is reserved, 1005, 1006 and 1015 are never sent; 1012
     * to 1014 were registered later
     */

    if (n < 1000 || n > 4999 || (n > 1014 && n < 3000)
        || (n > 1003 && n < 1007))
    {
        return NGX_ERROR;
    }

    ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

    if (ngx_http_gateway_websocket_utf8(&utf8, p + 2, len - 2) != NGX_OK
        || utf8.left)
    {
        *code = NGX_HTTP_GATEWAY_WEBSOCKET_INVALID;
        return NGX_ERROR;
    }

    *code = n;

    return NGX_OK;
}


u_char *
ngx_http_gateway_websocket_header(u_char *p, ngx_uint_t first, uint64_t len,
    u_char *mask)
{
    ngx_int_t   shift;
    ngx_uint_t  masked;

    masked = mask ? 0x80 : 0;

    *p++ = (u_char) first;

    if (len < 126) {
        *p++ = (u_char) (masked | len);

    } else {
        shift = (len < 65536) ? 8 : 56;

        *p++ = (u_char) (masked | ((len < 65536) ? 126 : 127));

        for ( /* void */ ; shift >= 0; shift -= 8) {
            *p++ = (u_char) (len >> shift);
        }
    }

    if (mask) {
        p = ngx_cpymem(p, mask, 4);
    }

    return p;
}


u_char *
ngx_http_gateway_websocket_control(u_char *p, ngx_uint_t opcode, u_char *data,
    size_t len, u_char *mask)
{
    opcode |= NGX_HTTP_GATEWAY_WEBSOCKET_FIN;

    p = ngx_http_gateway_websocket_header(p, opcode, len, mask);

    if (mask) {
        ngx_http_gateway_websocket_mask(p, data, len, mask, 0);

    } else if (len) {
        ngx_memcpy(p, data, len);
    }

    return p + len;
}
