
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * permessage-deflate, RFC 7692: how it is negotiated (_extensions.c), and the
 * streams of both directions (_deflate.c).
 *
 * Needs nginx's core, but not its HTTP, and zlib, which takes its memory from
 * malloc(): who owns a stream frees it, in a cleanup of its pool.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <zlib.h>


/* room for any offer and any response */

#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN                                \
    (sizeof("permessage-deflate"                                              \
            "; server_no_context_takeover; client_no_context_takeover"        \
            "; server_max_window_bits=15; client_max_window_bits=15") - 1)

/* what zlib can compress with, see ngx_http_gateway_websocket_deflate_init() */

#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS  9
#define NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MAX_BITS  15

/* room for a whole message of "len" bytes, compressed */

#define ngx_http_gateway_websocket_deflate_bound(len)                         \
    ((len) + (len) / 8 + 64)


/*
 * The parameters of RFC 7692, section 7.1, of an offer or of a response.
 * Those of the server say how it compresses, those of the client how it does.
 */

typedef struct {
    u_char         server_bits;            /* of windows, 8 to 15; 15 when */
    u_char         client_bits;            /* there is no such parameter */

    unsigned       server_no_takeover:1;
    unsigned       client_no_takeover:1;
    unsigned       server_bits_named:1;    /* the parameter is there */
    unsigned       client_bits_named:1;
} ngx_http_gateway_websocket_deflate_t;


/*
 * A stream has to stay where it is, since zlib points to it.  Only the
 * functions below look inside.
 */

typedef struct {
    z_stream       stream;

    u_char         bits;
    u_char         tail;              /* bytes of the tail that were fed */
    unsigned       no_takeover:1;
    unsigned       ready:1;           /* zlib has memory */
    unsigned       final:1;           /* what was fed ends a final block */
} ngx_http_gateway_websocket_inflate_t;


typedef struct {
    z_stream       stream;

    u_char         bits;
    unsigned       no_takeover:1;
    unsigned       ready:1;
    unsigned       flushed:1;         /* all of it but what is in "buf" */

    u_char        *start;             /* what is to be written of "buf" */
    u_char        *end;
    u_char         buf[16];           /* the last bytes of a message */
} ngx_http_gateway_websocket_deflater_t;


#pragma GCC visibility push(hidden)

/*
 * Negotiation.  "field" is the value of Sec-WebSocket-Extensions; when there
 * are several such fields, their values joined with commas.
 */

/*
 * The server's choice: the first offer of the client that can be accepted.
 *
 * Returns NGX_OK, NGX_DECLINED when there is none, or NGX_ERROR when the field
 * is malformed, with which a handshake fails, RFC 6455, section 9.1.
 *
 * "d" is as little limited as the client allows.  Before it is answered with,
 * server_bits may be made smaller, but not less than 9, client_bits, too, when
 * client_bits_named is set, and each no_takeover may be set.
 */

ngx_int_t ngx_http_gateway_websocket_deflate_choose(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *d);

/*
 * Write the value of the server's response, and that of the client's offer:
 * at most NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN bytes at "p".  An offer names
 * client_max_window_bits when client_bits_named is set, and any of the bits
 * when they are less than 15.  Return the end of what was written.
 */

u_char *ngx_http_gateway_websocket_deflate_response(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d);
u_char *ngx_http_gateway_websocket_deflate_offer(u_char *p,
    ngx_http_gateway_websocket_deflate_t *d);

/*
 * The client's check of the server's response to its one offer.
 *
 * Returns NGX_OK and what is agreed, or NGX_ERROR when the field is malformed
 * or not a response to this offer, with which the connection fails.
 *
 * The client cannot compress when agreed->client_bits are less than
 * NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS, and sends messages as they are.
 */

ngx_int_t ngx_http_gateway_websocket_deflate_accept(ngx_str_t *field,
    ngx_http_gateway_websocket_deflate_t *offered,
    ngx_http_gateway_websocket_deflate_t *agreed);

/*
 * What is between a client and a server lets only offers pass whose messages
 * it can inflate: "out" is the field with these alone, empty when there are
 * none, and in memory of "pool".
 *
 * Returns NGX_OK, NGX_DECLINED when the field is malformed, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_deflate_filter(ngx_pool_t *pool,
    ngx_str_t *field, ngx_str_t *out);

/*
 * And checks that the server's response is one to an offer of the client,
 * "offers" being what came of the filter.  Returns NGX_OK and what the two
 * have agreed on, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_deflate_agreed(ngx_str_t *offers,
    ngx_str_t *response, ngx_http_gateway_websocket_deflate_t *d);


/*
 * Inflating the messages of a direction.  "bits" and "no_takeover" are those
 * agreed on for who compresses.  There is no memory of zlib's until something
 * is inflated: about 7 KB and 2^bits bytes, which go at the end of a message
 * with no_takeover, and in ngx_http_gateway_websocket_inflate_free() without.
 */

void ngx_http_gateway_websocket_inflate_init(
    ngx_http_gateway_websocket_inflate_t *z, ngx_uint_t bits,
    ngx_uint_t no_takeover);

/*
 * Inflates payload of a message, which is from "*in" up to "last", moving
 * "*in", into "size" bytes at "out", less than 2 GB.
 *
 * Returns how many bytes were written.  When these are "size", or "*in" is not
 * "last", there may be more, and the function has to be called again before
 * other payload is given: how much comes out is for the caller to count, no
 * call gives more than "size".  Returns NGX_ERROR for what is not deflated
 * data, and NGX_ABORT when there is no memory; the stream is of no more use
 * then.
 */

ssize_t ngx_http_gateway_websocket_inflate(
    ngx_http_gateway_websocket_inflate_t *z, u_char **in, u_char *last,
    u_char *out, size_t size);

/*
 * Ends a message.  Returns how many bytes were still written at "out"; when
 * these are "size", which is at least 1, it has to be called again, else the
 * message is over.  Returns NGX_ERROR also when the message ends in the midst
 * of something, and NGX_ABORT as above.
 */

ssize_t ngx_http_gateway_websocket_inflate_end(
    ngx_http_gateway_websocket_inflate_t *z, u_char *out, size_t size);

/* Frees what zlib has.  It may be done at any time, and more than once. */

void ngx_http_gateway_websocket_inflate_free(
    ngx_http_gateway_websocket_inflate_t *z);


/*
 * Deflating the messages of a direction.  "bits" are those agreed on, of which
 * not more than 12 are made use of: a context is about 40 KB, which come and
 * go as those of the inflater do.  They are at least
 * NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS.
 */

void ngx_http_gateway_websocket_deflate_init(
    ngx_http_gateway_websocket_deflater_t *z, ngx_uint_t bits,
    ngx_uint_t no_takeover);

/*
 * Deflates the next bytes of a message, which are from "*in" up to "last", to
 * "*out", and moves both, "*out" up to "end".  With "flush" they end the
 * message.
 *
 * Returns NGX_OK when all is taken and, with "flush", written: the message is
 * over.  Returns NGX_AGAIN when there is no more room: the function has to be
 * called again with some, what is left of "*in", and the same "flush".
 * Returns NGX_ERROR when there is no memory.
 *
 * A whole message fits into ngx_http_gateway_websocket_deflate_bound() bytes,
 * in one call.
 */

ngx_int_t ngx_http_gateway_websocket_deflate(
    ngx_http_gateway_websocket_deflater_t *z, u_char **in, u_char *last,
    u_char **out, u_char *end, ngx_uint_t flush);

/* Frees what zlib has, and drops a message that is not over. */

void ngx_http_gateway_websocket_deflate_free(
    ngx_http_gateway_websocket_deflater_t *z);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_H_INCLUDED_ */
