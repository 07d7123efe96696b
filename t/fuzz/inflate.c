
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a letter, sizes of pieces, a line feed, messages, each with two bytes
 * of length in front of it.  The letter is a bit for no takeover and, from "@"
 * on, three for the window, 8 to 15 bits; sizes are as those of scan.
 *
 * The messages are inflated whole, in these pieces and byte by byte, and to as
 * many bytes, which has to be the same; with a window of 15 bits it has to be
 * what an inflater says that goes by the book.  What came of it is deflated and
 * inflated again.
 */


#include "fuzz.h"

#include "ngx_http_gateway_websocket_deflate.h"
#include "reference.h"


#define FUZZ_ROOM      (96 * 1024)
#define FUZZ_MESSAGES  64

#define FUZZ_BAD       (-1)


typedef ngx_http_gateway_websocket_inflate_t   fuzz_inflate_t;
typedef ngx_http_gateway_websocket_deflater_t  fuzz_deflater_t;


typedef struct {
    u_char      *data;
    size_t       len;
    ngx_int_t    lens[FUZZ_MESSAGES];
    ngx_uint_t   n;
} fuzz_result_t;


static ngx_uint_t fuzz_messages(ngx_str_t *input, ngx_str_t *messages);
static ngx_uint_t fuzz_by_the_book(fuzz_result_t *r, ngx_str_t *messages,
    ngx_uint_t n, ngx_uint_t no_takeover);
static void fuzz_inflate(ngx_pool_t *pool, fuzz_result_t *r,
    ngx_str_t *messages, ngx_uint_t n, ngx_uint_t window,
    ngx_uint_t no_takeover, ngx_str_t *sizes);
static ngx_int_t fuzz_inflate_message(ngx_pool_t *pool, fuzz_inflate_t *z,
    fuzz_result_t *r, ngx_str_t *message, ngx_str_t *sizes);
static ngx_int_t fuzz_inflate_piece(fuzz_inflate_t *z, fuzz_result_t *r,
    u_char **in, u_char *last, size_t size);
static size_t fuzz_size(ngx_str_t *sizes, size_t i, size_t left);
static void fuzz_same(fuzz_result_t *one, fuzz_result_t *two);
static void fuzz_deflate(fuzz_result_t *r, ngx_uint_t window,
    ngx_uint_t no_takeover, ngx_str_t *sizes);


static u_char  fuzz_book[FUZZ_ROOM], fuzz_one[FUZZ_ROOM], fuzz_two[FUZZ_ROOM];


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_str_t      sizes, rest, all, one, messages[FUZZ_MESSAGES];
    ngx_uint_t     n, window, no_takeover;
    fuzz_result_t  book, whole, other;

    fuzz_split(pool, input, &sizes, &rest);

    window = 15;
    no_takeover = 0;

    if (sizes.len) {
        no_takeover = sizes.data[0] & 1;
        window = 15 - (sizes.data[0] >> 1 & 7);
        sizes.data++;
        sizes.len--;
    }

    n = fuzz_messages(&rest, messages);

    book.data = fuzz_book;
    whole.data = fuzz_one;
    other.data = fuzz_two;

    /* what is larger than the room is not looked at: callers count */

    if (!fuzz_by_the_book(&book, messages, n, no_takeover)) {
        return "big";
    }

    ngx_str_null(&all);
    ngx_str_set(&one, "1");

    fuzz_inflate(pool, &whole, messages, n, 15, no_takeover, &all);
    fuzz_same(&whole, &book);

    fuzz_inflate(pool, &other, messages, n, 15, no_takeover, &sizes);
    fuzz_same(&other, &book);

    fuzz_inflate(pool, &other, messages, n, 15, no_takeover, &one);
    fuzz_same(&other, &book);

    fuzz_deflate(&whole, window, no_takeover, &sizes);

    /* a smaller window makes errors only; zlib need not see all of them */

    fuzz_inflate(pool, &other, messages, n, window, no_takeover, &sizes);

    fuzz_check(other.n <= book.n);
    fuzz_check(other.len <= book.len
               && memcmp(other.data, book.data, other.len) == 0);

    return book.n == 0 ? "nothing"
           : book.lens[book.n - 1] == FUZZ_BAD ? "bad" : "good";
}


static ngx_uint_t
fuzz_messages(ngx_str_t *input, ngx_str_t *messages)
{
    size_t       len;
    u_char      *p, *last;
    ngx_uint_t   n;

    p = input->data;
    last = p + input->len;

    for (n = 0; n < FUZZ_MESSAGES && last - p >= 2; n++) {

        len = p[0] << 8 | p[1];
        p += 2;

        messages[n].data = p;
        messages[n].len = ngx_min(len, (size_t) (last - p));

        p += messages[n].len;
    }

    return n;
}


/* tells whether there is room */

static ngx_uint_t
fuzz_by_the_book(fuzz_result_t *r, ngx_str_t *messages, ngx_uint_t n,
    ngx_uint_t no_takeover)
{
    size_t       start;
    ngx_uint_t   rc;
    reference_t  reference;

    reference_init(&reference, r->data, FUZZ_ROOM);

    r->len = 0;

    for (r->n = 0; r->n < n; /* void */ ) {

        start = reference.len;

        rc = reference_message(&reference, messages[r->n].data,
                               messages[r->n].len, no_takeover);

        if (rc == REFERENCE_FULL) {
            return 0;
        }

        r->lens[r->n++] = rc == REFERENCE_OK
                          ? (ngx_int_t) (reference.len - start) : FUZZ_BAD;

        if (rc != REFERENCE_OK) {
            break;
        }

        r->len = reference.len;
    }

    return 1;
}


static void
fuzz_inflate(ngx_pool_t *pool, fuzz_result_t *r, ngx_str_t *messages,
    ngx_uint_t n, ngx_uint_t window, ngx_uint_t no_takeover, ngx_str_t *sizes)
{
    size_t          start;
    fuzz_inflate_t  z;

    ngx_http_gateway_websocket_inflate_init(&z, window, no_takeover);

    r->len = 0;

    for (r->n = 0; r->n < n; /* void */ ) {

        start = r->len;

        r->lens[r->n] = fuzz_inflate_message(pool, &z, r, &messages[r->n],
                                             sizes);

        if (r->lens[r->n++] == FUZZ_BAD) {
            r->len = start;
            break;
        }

        fuzz_check(!no_takeover || !z.ready);
    }

    ngx_http_gateway_websocket_inflate_free(&z);
}


static ngx_int_t
fuzz_inflate_message(ngx_pool_t *pool, fuzz_inflate_t *z, fuzz_result_t *r,
    ngx_str_t *message, ngx_str_t *sizes)
{
    size_t       i, pos, size, room, start;
    u_char      *p;
    ngx_str_t    piece;

    start = r->len;

    for (i = 0, pos = 0; pos < message->len; i++, pos += size) {

        size = fuzz_size(sizes, i, message->len - pos);
        room = fuzz_size(sizes, i + 1, FUZZ_ROOM);

        fuzz_copy(pool, &piece, message->data + pos, size);
        p = piece.data;

        if (fuzz_inflate_piece(z, r, &p, p + size, room) != NGX_OK) {
            return FUZZ_BAD;
        }

        fuzz_check(p == piece.data + size);
    }

    room = fuzz_size(sizes, i + 1, FUZZ_ROOM);

    if (fuzz_inflate_piece(z, r, NULL, NULL, room) != NGX_OK) {
        return FUZZ_BAD;
    }

    return r->len - start;
}


static ngx_int_t
fuzz_inflate_piece(fuzz_inflate_t *z, fuzz_result_t *r, u_char **in,
    u_char *last, size_t size)
{
    ssize_t  n;

    static u_char  out[FUZZ_ROOM];

    do {
        n = in ? ngx_http_gateway_websocket_inflate(z, in, last, out, size)
               : ngx_http_gateway_websocket_inflate_end(z, out, size);

        if (n < 0) {
            fuzz_check(n == NGX_ERROR);
            return NGX_ERROR;
        }

        fuzz_check(n <= (ssize_t) size);

        /* what is bad may come after more than a good message has */

        if (n > (ssize_t) (FUZZ_ROOM - r->len)) {
            return NGX_ERROR;
        }

        ngx_memcpy(r->data + r->len, out, n);
        r->len += n;

    } while (n == (ssize_t) size || (in && *in != last));

    return NGX_OK;
}


static size_t
fuzz_size(ngx_str_t *sizes, size_t i, size_t left)
{
    size_t  size;

    if (sizes->len == 0) {
        return left;
    }

    size = sizes->data[i % sizes->len];
    size = size < '0' ? size : size - '0';

    return ngx_min(ngx_max(size, 1), left);
}


static void
fuzz_same(fuzz_result_t *one, fuzz_result_t *two)
{
    fuzz_check(one->n == two->n && one->len == two->len);
    fuzz_check(memcmp(one->lens, two->lens, one->n * sizeof(ngx_int_t)) == 0);
    fuzz_check(memcmp(one->data, two->data, one->len) == 0);
}


static void
fuzz_deflate(fuzz_result_t *r, ngx_uint_t window, ngx_uint_t no_takeover,
    ngx_str_t *sizes)
{
    size_t            i, start, step;
    u_char           *in, *last, *out, *end;
    ngx_int_t         rc;
    ngx_uint_t        n;
    reference_t       reference;
    fuzz_deflater_t   z;

    static u_char  deflated[2 * FUZZ_ROOM], back[FUZZ_ROOM];

    window = ngx_max(window, NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_MIN_BITS);

    ngx_http_gateway_websocket_deflate_init(&z, window, no_takeover);

    reference_init(&reference, back, FUZZ_ROOM);

    in = r->data;
    i = 0;

    for (n = 0; n < r->n && r->lens[n] != FUZZ_BAD; n++) {

        last = in + r->lens[n];
        out = deflated;
        start = reference.len;

        do {
            step = fuzz_size(sizes, i++, last - in);
            end = out + fuzz_size(sizes, i, deflated + sizeof(deflated) - out);

            rc = ngx_http_gateway_websocket_deflate(&z, &in, in + step, &out,
                                                    end, in + step == last);

            fuzz_check(rc == NGX_OK || (rc == NGX_AGAIN && out == end));

        } while (in < last || rc == NGX_AGAIN);

        fuzz_check(reference_message(&reference, deflated, out - deflated,
                                     no_takeover)
                   == REFERENCE_OK);
        fuzz_check(reference.len - start == (size_t) r->lens[n]);
        fuzz_check(reference.distance <= (size_t) 1 << window);
    }

    fuzz_check(memcmp(back, r->data, reference.len) == 0);

    ngx_http_gateway_websocket_deflate_free(&z);
}
