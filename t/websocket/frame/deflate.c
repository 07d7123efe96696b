
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what deflate.t asks for, a line of words each time, MESSAGE being in
 * hex, "-" an empty one:
 *
 *     inflate WINDOW NO_TAKEOVER LIMIT MESSAGE...
 *     deflate WINDOW NO_TAKEOVER MESSAGE...
 *     fragments N
 *
 * What came of the messages is printed: bytes in hex, "bad", or "big" beyond
 * LIMIT bytes; or "differs" and how.  They go through in pieces of all kinds,
 * and with each call of zlib that can lack memory lacking it in turn.  Each
 * piece is in memory of just its size.
 *
 * The last one inflates a message of N bytes with one compressed byte at a
 * time, and tells how many came out of how many, and whether memory grew.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/resource.h>

#include "ngx_http_gateway_websocket_deflate.h"
#include "failing.h"
#include "reference.h"
#include "words.h"


#define MESSAGES  64
#define ROOM      (4 * 1024 * 1024)
#define PIECE     65536

/* what comes of a message, beside its length */

#define BAD       (-1)
#define BIG       (-2)
#define MEMORY    (-3)
#define NOT_SAID  (-4)


typedef ngx_http_gateway_websocket_inflate_t   inflate_t;
typedef ngx_http_gateway_websocket_deflater_t  deflater_t;


/* sizes of pieces; 0: all at once */

typedef struct {
    size_t        in;
    size_t        cut;        /* only the first one is of this size */
    size_t        out;
} way_t;


/* what came of a line's messages, one after the other in "data" */

typedef struct {
    u_char       *data;
    size_t        len;
    ngx_uint_t    n;
    ngx_int_t     lens[MESSAGES];
} result_t;


static void messages(void);
static void messages_free(void);

static void do_inflate(void);
static ngx_uint_t inflate_ways(ngx_uint_t window, ngx_uint_t no_takeover,
    size_t limit, result_t *whole);
static void inflate_all(result_t *r, ngx_uint_t window, ngx_uint_t no_takeover,
    size_t limit, way_t *way);
static ngx_int_t inflate_one(inflate_t *z, result_t *r, ngx_str_t *message,
    size_t limit, way_t *way);
static ngx_int_t inflate_piece(inflate_t *z, result_t *r, u_char **in,
    u_char *last, size_t start, size_t limit, size_t size);
static void inflate_reference(ngx_uint_t no_takeover, result_t *r);

static void do_deflate(void);
static void deflate_all(result_t *r, ngx_uint_t window, ngx_uint_t no_takeover,
    way_t *way);
static ngx_int_t deflate_one(deflater_t *z, result_t *r, ngx_str_t *message,
    way_t *way);
static ngx_int_t deflate_piece(deflater_t *z, result_t *r, u_char **in,
    u_char *last, size_t size, ngx_uint_t flush);
static ngx_uint_t deflate_back(result_t *r, ngx_uint_t window,
    ngx_uint_t no_takeover, way_t *way);

static void do_fragments(void);

static void tell_lost(void);
static ngx_uint_t same(result_t *one, result_t *two);
static void put_result(result_t *r);
static void put_way(const char *what, way_t *way);


static words_call_t  calls[] = {
    { "inflate", do_inflate },
    { "deflate", do_deflate },
    { "fragments", do_fragments },
    { NULL, NULL }
};

static ngx_str_t   message[MESSAGES];
static ngx_uint_t  nmessages;

static u_char      buf_whole[ROOM], buf_other[ROOM], buf_back[ROOM];


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
messages(void)
{
    for (nmessages = 0; nmessages < MESSAGES; nmessages++) {
        message[nmessages] = words_unhex();

        if (message[nmessages].data == NULL) {
            break;
        }
    }
}


static void
messages_free(void)
{
    while (nmessages--) {
        free(message[nmessages].data);
    }
}


static void
do_inflate(void)
{
    size_t      i, limit;
    way_t       way;
    result_t    whole, other;
    ngx_uint_t  window, no_takeover;

    window = atoi(words_next());
    no_takeover = atoi(words_next());
    limit = atol(words_next());

    messages();

    whole.data = buf_whole;
    other.data = buf_other;

    ngx_memzero(&way, sizeof(way_t));

    inflate_all(&whole, window, no_takeover, limit, &way);

    if (inflate_ways(window, no_takeover, limit, &whole)) {
        goto done;
    }

    /* what a second implementation makes of it */

    inflate_reference(no_takeover, &other);

    for (i = 0; window == 15 && i < whole.n; i++) {
        if (whole.lens[i] != other.lens[i] && whole.lens[i] != BIG) {
            printf("differs: %d, by the book %d; ", (int) whole.lens[i],
                   (int) other.lens[i]);
        }
    }

    /* without memory: no end in sight means that it was not said */

    for (i = 0; i < 100; i++) {
        failing_after(i);
        inflate_all(&other, window, no_takeover, limit, &way);

        if (other.lens[other.n - 1] != MEMORY) {
            break;
        }
    }

    if (!same(&whole, &other) || (i == 0 && message[0].len)) {
        printf("differs: without memory; ");
    }

    failing_after(-1);

    put_result(&whole);

done:

    tell_lost();
    messages_free();
}


static ngx_uint_t
inflate_ways(ngx_uint_t window, ngx_uint_t no_takeover, size_t limit,
    result_t *whole)
{
    way_t     *way, cut;
    size_t     longest, i;
    result_t   other;

    static way_t  ways[] = {
        { 1, 0, 0 }, { 0, 0, 1 }, { 1, 0, 1 }, { 2, 0, 3 }, { 7, 0, 5 },
        { 0, 0, 258 }, { 100, 0, 1000 }, { 0, 0, 32768 }, { 0, 0, 0 }
    };

    other.data = buf_other;

    for (way = ways; way->in || way->out; way++) {

        inflate_all(&other, window, no_takeover, limit, way);

        if (!same(whole, &other)) {
            put_way("inflated", way);
            return 1;
        }
    }

    longest = 0;

    for (i = 0; i < nmessages; i++) {
        longest = ngx_max(longest, message[i].len);
    }

    ngx_memzero(&cut, sizeof(way_t));

    for (cut.cut = 1; longest <= 256 && cut.cut < longest; cut.cut++) {

        inflate_all(&other, window, no_takeover, limit, &cut);

        if (!same(whole, &other)) {
            put_way("inflated", &cut);
            return 1;
        }
    }

    return 0;
}


static void
inflate_all(result_t *r, ngx_uint_t window, ngx_uint_t no_takeover,
    size_t limit, way_t *way)
{
    size_t      len;
    inflate_t  *z;

    z = malloc(sizeof(inflate_t));

    ngx_http_gateway_websocket_inflate_init(z, window, no_takeover);

    if (failing_contexts() != 0) {
        printf("memory before the first message; ");
    }

    r->len = 0;

    for (r->n = 0; r->n < nmessages; /* void */ ) {

        len = r->len;

        r->lens[r->n] = inflate_one(z, r, &message[r->n], limit, way);

        if (r->lens[r->n++] < 0) {
            r->len = len;
            break;
        }

        if (no_takeover && failing_contexts() != 0) {
            printf("memory after a message; ");
        }
    }

    ngx_http_gateway_websocket_inflate_free(z);
    ngx_http_gateway_websocket_inflate_free(z);

    free(z);
}


static ngx_int_t
inflate_one(inflate_t *z, result_t *r, ngx_str_t *message, size_t limit,
    way_t *way)
{
    size_t      pos, size, room, start;
    u_char     *piece, *p;
    ngx_int_t   n;

    start = r->len;
    room = way->out ? way->out : ngx_min(limit + 1, PIECE);

    for (pos = 0; pos < message->len; pos += size) {
        size = message->len - pos;

        if (way->in && size > way->in) {
            size = way->in;

        } else if (way->cut && pos == 0 && size > way->cut) {
            size = way->cut;
        }

        piece = words_copy(message->data + pos, size);
        p = piece;

        n = inflate_piece(z, r, &p, piece + size, start, limit, room);

        if (n >= 0 && p != piece + size) {
            n = NOT_SAID;
        }

        free(piece);

        if (n < 0) {
            return n;
        }
    }

    n = inflate_piece(z, r, NULL, NULL, start, limit, room);

    return n < 0 ? n : (ngx_int_t) (r->len - start);
}


/* a piece of payload, or the end of the message when "in" is NULL */

static ngx_int_t
inflate_piece(inflate_t *z, result_t *r, u_char **in, u_char *last,
    size_t start, size_t limit, size_t size)
{
    u_char   *out;
    ssize_t   n;

    do {
        out = malloc(size);

        n = in ? ngx_http_gateway_websocket_inflate(z, in, last, out, size)
               : ngx_http_gateway_websocket_inflate_end(z, out, size);

        if (n > 0 && r->len + n <= ROOM) {
            ngx_memcpy(r->data + r->len, out, n);
            r->len += n;
        }

        free(out);

        if (n < 0) {
            return n == NGX_ERROR ? BAD : n == NGX_ABORT ? MEMORY : NOT_SAID;
        }

        if (n > (ssize_t) size) {
            return NOT_SAID;
        }

        if (r->len - start > limit) {
            return BIG;
        }

    } while (n == (ssize_t) size || (in && *in != last));

    return 0;
}


static void
inflate_reference(ngx_uint_t no_takeover, result_t *r)
{
    size_t       start;
    reference_t  reference;

    reference_init(&reference, r->data, ROOM);

    for (r->n = 0; r->n < nmessages; r->n++) {

        start = reference.len;

        r->lens[r->n] = reference_message(&reference, message[r->n].data,
                                          message[r->n].len, no_takeover)
                        == REFERENCE_OK
                        ? (ngx_int_t) (reference.len - start) : BAD;
    }
}


static void
do_deflate(void)
{
    way_t       *way;
    ngx_uint_t   window, no_takeover;
    result_t     whole, other;

    static way_t  ways[] = {
        { 0, 0, 1 }, { 1, 0, 1 }, { 1, 0, 0 }, { 0, 0, 2 }, { 0, 0, 3 },
        { 0, 0, 4 }, { 0, 0, 5 }, { 0, 0, 6 }, { 3, 0, 7 }, { 100, 0, 64 },
        { 0, 0, 256 }, { 0, 0, 257 }, { 1000, 0, 4096 }, { 0, 0, 0 }
    };

    window = atoi(words_next());
    no_takeover = atoi(words_next());

    messages();

    whole.data = buf_whole;
    other.data = buf_other;

    for (way = ways; way->in || way->out; way++) {
        deflate_all(&other, window, no_takeover, way);

        if (deflate_back(&other, window, no_takeover, way)) {
            goto done;
        }
    }

    deflate_all(&whole, window, no_takeover, way);

    if (deflate_back(&whole, window, no_takeover, way)) {
        goto done;
    }

    failing_after(0);
    deflate_all(&other, window, no_takeover, way);
    failing_after(-1);

    if (other.lens[other.n - 1] != MEMORY && whole.len > nmessages) {
        printf("differs: without memory; ");
    }

    put_result(&whole);

done:

    tell_lost();
    messages_free();
}


static void
deflate_all(result_t *r, ngx_uint_t window, ngx_uint_t no_takeover, way_t *way)
{
    deflater_t  *z;

    z = malloc(sizeof(deflater_t));

    ngx_http_gateway_websocket_deflate_init(z, window, no_takeover);

    r->len = 0;

    for (r->n = 0; r->n < nmessages; /* void */ ) {

        r->lens[r->n] = deflate_one(z, r, &message[r->n], way);

        if (r->lens[r->n++] < 0) {
            break;
        }

        if (no_takeover && failing_contexts() != 0) {
            printf("memory after a message; ");
        }
    }

    ngx_http_gateway_websocket_deflate_free(z);
    ngx_http_gateway_websocket_deflate_free(z);

    free(z);
}


static ngx_int_t
deflate_one(deflater_t *z, result_t *r, ngx_str_t *message, way_t *way)
{
    size_t      pos, size, room, start;
    u_char     *piece, *p;
    ngx_int_t   rc;

    start = r->len;
    room = way->out ? way->out
           : way->in ? PIECE
           : ngx_http_gateway_websocket_deflate_bound(message->len);
    pos = 0;

    do {
        size = message->len - pos;

        if (way->in && size > way->in) {
            size = way->in;
        }

        piece = words_copy(message->data + pos, size);
        p = piece;
        pos += size;

        rc = deflate_piece(z, r, &p, piece + size, room,
                           pos == message->len);

        if (rc == NGX_OK && p != piece + size) {
            rc = NOT_SAID;
        }

        free(piece);

        if (rc != NGX_OK) {
            return rc;
        }

    } while (pos < message->len);

    if (way->out == 0 && way->in == 0 && r->len - start > room) {
        return NOT_SAID;
    }

    return r->len - start;
}


static ngx_int_t
deflate_piece(deflater_t *z, result_t *r, u_char **in, u_char *last,
    size_t size, ngx_uint_t flush)
{
    u_char     *out, *p;
    ngx_int_t   rc;

    do {
        out = malloc(size);
        p = out;

        rc = ngx_http_gateway_websocket_deflate(z, in, last, &p, out + size,
                                                flush);

        if (rc == NGX_AGAIN && p != out + size) {
            rc = NOT_SAID;
        }

        ngx_memcpy(r->data + r->len, out, p - out);
        r->len += p - out;

        free(out);

    } while (rc == NGX_AGAIN);

    return rc == NGX_OK ? NGX_OK : rc == NGX_ERROR ? MEMORY : NOT_SAID;
}


/*
 * Tells whether it is not what it was, inflated by the book, or looks further
 * back than it may.
 */

static ngx_uint_t
deflate_back(result_t *r, ngx_uint_t window, ngx_uint_t no_takeover,
    way_t *way)
{
    size_t       pos, start;
    ngx_uint_t   i, rc;
    reference_t  reference;

    reference_init(&reference, buf_back, ROOM);
    pos = 0;

    for (i = 0; i < r->n; i++) {

        if (r->lens[i] < 0) {
            put_way("deflated", way);
            return 1;
        }

        start = reference.len;

        rc = reference_message(&reference, r->data + pos, r->lens[i],
                               no_takeover);
        pos += r->lens[i];

        if (rc != REFERENCE_OK
            || reference.len - start != message[i].len
            || ngx_memcmp(buf_back + start, message[i].data, message[i].len)
               != 0
            || reference.distance > (size_t) 1 << window)
        {
            put_way("inflated again", way);
            return 1;
        }
    }

    return 0;
}


static void
do_fragments(void)
{
    size_t          n, i, pos;
    u_char         *in, *out, buf[16];
    ssize_t         got;
    inflate_t       inflater;
    deflater_t      deflater;
    struct rusage   before, after;

    n = atoi(words_next());

    for (i = 0; i < n; i++) {
        buf_whole[i] = (u_char) (i ^ i >> 5 ^ i >> 11 ^ i >> 14);
    }

    ngx_http_gateway_websocket_deflate_init(&deflater, 15, 0);
    ngx_http_gateway_websocket_inflate_init(&inflater, 15, 0);

    in = buf_whole;
    out = buf_other;

    (void) ngx_http_gateway_websocket_deflate(&deflater, &in, in + n, &out,
                                              out + ROOM, 1);

    n = out - buf_other;
    pos = 0;

    for (i = 0; i <= n; i++) {

        /* all that it ever needs */

        if (i == n / 10) {
            (void) getrusage(RUSAGE_SELF, &before);
        }

        in = buf_other + i;

        do {
            got = i < n ? ngx_http_gateway_websocket_inflate(&inflater, &in,
                                          buf_other + i + 1, buf, sizeof(buf))
                        : ngx_http_gateway_websocket_inflate_end(&inflater,
                                                            buf, sizeof(buf));

            if (got < 0 || ngx_memcmp(buf, buf_whole + pos, got) != 0) {
                printf("differs: fragment %d; ", (int) i);
                n = 0;
                break;
            }

            pos += got;

        } while (got == sizeof(buf));
    }

    (void) getrusage(RUSAGE_SELF, &after);

    printf("%d bytes, %d fragments", (int) pos, (int) n);

    if (after.ru_maxrss > before.ru_maxrss + 64) {
        printf(", %d KB more", (int) (after.ru_maxrss - before.ru_maxrss));
    }

    ngx_http_gateway_websocket_deflate_free(&deflater);
    ngx_http_gateway_websocket_inflate_free(&inflater);
}


static void
tell_lost(void)
{
    if (failing_contexts() != 0) {
        printf("differs: lost contexts; ");
    }
}


static ngx_uint_t
same(result_t *one, result_t *two)
{
    return one->n == two->n && one->len == two->len
           && ngx_memcmp(one->lens, two->lens, one->n * sizeof(ngx_int_t)) == 0
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}


static void
put_result(result_t *r)
{
    size_t      pos;
    ngx_uint_t  i;

    pos = 0;

    for (i = 0; i < r->n; i++) {

        printf("%s", i ? " " : "");

        switch (r->lens[i]) {

        case BAD:
            printf("bad");
            break;

        case BIG:
            printf("big");
            break;

        case MEMORY:
            printf("memory");
            break;

        case NOT_SAID:
            printf("returned what it does not say");
            break;

        default:
            words_put(r->data + pos, r->lens[i]);
            pos += r->lens[i];
        }
    }
}


static void
put_way(const char *what, way_t *way)
{
    printf("differs: %s in pieces of %d, cut at %d, to %d", what,
           (int) way->in, (int) way->cut, (int) way->out);
}
