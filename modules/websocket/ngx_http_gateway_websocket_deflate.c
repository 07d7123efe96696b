
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the streams of permessage-deflate, which are zlib's.  Knows nothing of
 * frames: the payload of a message is taken, and given, in pieces of any size.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_deflate.h"


/*
 * A context for compressing takes 2^(bits + 2) + 2^(mem + 9) bytes and some
 * 6 KB: 38 KB here, where zlib's defaults take 262 KB.
 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_BITS   12
#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MEM    5
#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEVEL  1

/* what a sender removes, RFC 7692, section 7.2.1 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_TAIL           4


static ngx_int_t ngx_http_gateway_websocket_inflate_ready(
    ngx_http_gateway_websocket_inflate_t *z);
static ngx_int_t ngx_http_gateway_websocket_deflate_ready(
    ngx_http_gateway_websocket_deflater_t *z);
static ngx_int_t ngx_http_gateway_websocket_deflate_flush(
    ngx_http_gateway_websocket_deflater_t *z, u_char **out, u_char *end);
static void ngx_http_gateway_websocket_deflate_some(
    ngx_http_gateway_websocket_deflater_t *z, u_char **out, u_char *end,
    int flush);


void
ngx_http_gateway_websocket_inflate_init(
    ngx_http_gateway_websocket_inflate_t *z, ngx_uint_t bits,
    ngx_uint_t no_takeover)
{
    ngx_memzero(z, sizeof(ngx_http_gateway_websocket_inflate_t));

    /* a peer with an older zlib takes 9 bits when it was told to take 8 */

    z->bits = (u_char) ngx_max(bits,
                               NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS);
    z->no_takeover = no_takeover ? 1 : 0;
}


ssize_t
ngx_http_gateway_websocket_inflate(ngx_http_gateway_websocket_inflate_t *z,
    u_char **in, u_char *last, u_char *out, size_t size)
{
    int        rc;
    size_t     left;
    ngx_int_t  ready;

    ready = ngx_http_gateway_websocket_inflate_ready(z);

    if (ready != NGX_OK) {
        return ready;
    }

    left = ngx_min(size, NGX_MAX_INT32_VALUE);

    z->stream.next_in = *in;
    z->stream.avail_in = ngx_min(last - *in, NGX_MAX_INT32_VALUE);
    z->stream.next_out = out;
    z->stream.avail_out = left;

    while (z->stream.avail_out) {

        /*
         * At the end of a block, 0x80, nothing is left to come out, and zlib
         * would not tell of that end again.
         */

        if (z->stream.avail_in) {
            z->final = 0;

        } else if (z->final || (z->stream.data_type & 0x80)) {
            break;
        }

        rc = inflate(&z->stream, Z_SYNC_FLUSH);

        if (rc == Z_STREAM_END) {

            /*
             * A final block ends a stream of zlib's, but not a message, section
             * 7.2.3.4.  inflateReset() would also forget the window.
             */

            (void) inflateResetKeep(&z->stream);

            z->final = 1;
            continue;
        }

        /* Z_BUF_ERROR: it needs more to go on */

        if (rc == Z_MEM_ERROR) {
            return NGX_ABORT;
        }

        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return NGX_ERROR;
        }

        break;
    }

    *in = z->stream.next_in;

    return left - z->stream.avail_out;
}


/*
 * The tail that a sender has removed is put back, section 7.2.2.  With it a
 * message has to end where a block does and a byte, too: what would stay would
 * be taken for the beginning of the next message.
 */

ssize_t
ngx_http_gateway_websocket_inflate_end(ngx_http_gateway_websocket_inflate_t *z,
    u_char *out, size_t size)
{
    u_char   *p;
    ssize_t   n;

    static u_char  tail[] = { 0x00, 0x00, 0xff, 0xff };

    n = 0;

    /*
     * A final block should have an empty one after it, section 7.2.3.4; when
     * it has none, nothing was removed.
     */

    if (!z->final || z->tail) {

        p = tail + z->tail;

        n = ngx_http_gateway_websocket_inflate(z, &p, tail + sizeof(tail),
                                               out, size);
        if (n < 0) {
            return n;
        }

        z->tail = (u_char) (p - tail);

        if (n == (ssize_t) size) {
            return n;
        }

        /* 0x1f: bits left of a byte */

        if (!z->final && (z->stream.data_type & 0x9f) != 0x80) {
            return NGX_ERROR;
        }
    }

    z->final = 0;
    z->tail = 0;

    /* a connection without a message has no memory */

    if (z->no_takeover) {
        ngx_http_gateway_websocket_inflate_free(z);
    }

    return n;
}


void
ngx_http_gateway_websocket_inflate_free(
    ngx_http_gateway_websocket_inflate_t *z)
{
    if (z->ready) {
        (void) inflateEnd(&z->stream);
    }

    z->ready = 0;
    z->final = 0;
    z->tail = 0;
}


static ngx_int_t
ngx_http_gateway_websocket_inflate_ready(
    ngx_http_gateway_websocket_inflate_t *z)
{
    if (z->ready) {
        return NGX_OK;
    }

    ngx_memzero(&z->stream, sizeof(z_stream));

    if (inflateInit2(&z->stream, -(int) z->bits) != Z_OK) {
        return NGX_ABORT;
    }

    z->ready = 1;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_deflate_init(
    ngx_http_gateway_websocket_deflater_t *z, ngx_uint_t bits,
    ngx_uint_t no_takeover)
{
    ngx_memzero(z, sizeof(ngx_http_gateway_websocket_deflater_t));

    z->bits = (u_char) ngx_min(bits, NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_BITS);
    z->no_takeover = no_takeover ? 1 : 0;
}


ngx_int_t
ngx_http_gateway_websocket_deflate(ngx_http_gateway_websocket_deflater_t *z,
    u_char **in, u_char *last, u_char **out, u_char *end, ngx_uint_t flush)
{
    if (ngx_http_gateway_websocket_deflate_ready(z) != NGX_OK) {
        return NGX_ERROR;
    }

    while (*in < last) {

        if (*out == end) {
            return NGX_AGAIN;
        }

        z->stream.next_in = *in;
        z->stream.avail_in = ngx_min(last - *in, NGX_MAX_INT32_VALUE);

        ngx_http_gateway_websocket_deflate_some(z, out, end, Z_NO_FLUSH);

        *in = z->stream.next_in;
    }

    if (!flush) {
        return NGX_OK;
    }

    return ngx_http_gateway_websocket_deflate_flush(z, out, end);
}


/*
 * Z_SYNC_FLUSH makes another empty block whenever it is asked again, as it has
 * to be when there was no room.  So the last block is finished first, which
 * can be asked for at will; what is left then is the empty one, of which there
 * are no more than 6 bytes, and its last ones are the tail.
 */

static ngx_int_t
ngx_http_gateway_websocket_deflate_flush(
    ngx_http_gateway_websocket_deflater_t *z, u_char **out, u_char *end)
{
    size_t  size;

    if (!z->flushed) {

        do {
            if (*out == end) {
                return NGX_AGAIN;
            }

            ngx_http_gateway_websocket_deflate_some(z, out, end, Z_BLOCK);

        } while (z->stream.avail_out == 0);

        z->start = z->buf;
        z->end = z->buf;

        ngx_http_gateway_websocket_deflate_some(z, &z->end,
                                                z->buf + sizeof(z->buf),
                                                Z_SYNC_FLUSH);

        z->end -= NGX_HTTP_GATEWAY_WEBSOCKET_TAIL;
        z->flushed = 1;
    }

    size = ngx_min(end - *out, z->end - z->start);

    *out = ngx_cpymem(*out, z->start, size);
    z->start += size;

    if (z->start < z->end) {
        return NGX_AGAIN;
    }

    z->flushed = 0;

    if (z->no_takeover) {
        ngx_http_gateway_websocket_deflate_free(z);
    }

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_deflate_some(
    ngx_http_gateway_websocket_deflater_t *z, u_char **out, u_char *end,
    int flush)
{
    z->stream.next_out = *out;
    z->stream.avail_out = ngx_min(end - *out, NGX_MAX_INT32_VALUE);

    /* all that can be wrong is that there was nothing to do */

    (void) deflate(&z->stream, flush);

    *out = z->stream.next_out;
}


void
ngx_http_gateway_websocket_deflate_free(
    ngx_http_gateway_websocket_deflater_t *z)
{
    if (z->ready) {
        (void) deflateEnd(&z->stream);
    }

    z->ready = 0;
    z->flushed = 0;
}


static ngx_int_t
ngx_http_gateway_websocket_deflate_ready(
    ngx_http_gateway_websocket_deflater_t *z)
{
    if (z->ready) {
        return NGX_OK;
    }

    ngx_memzero(&z->stream, sizeof(z_stream));

    if (deflateInit2(&z->stream, NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEVEL,
                     Z_DEFLATED, -(int) z->bits,
                     NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MEM,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return NGX_ERROR;
    }

    z->ready = 1;

    return NGX_OK;
}
