
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a letter for the connection, sizes of pieces, a line feed, bytes of
 * frames.  The letter's bits are, from "@" on: frames of a client, deflate,
 * frames of 64 bytes at most, messages of 100.  Sizes are as those of scan.
 *
 * What comes of the bytes, fed whole, in these pieces and byte by byte,
 * unmasked in place or left as they are, has to be what a decoder says that
 * has all of them at once.  What is written is what was read.
 */


#include "fuzz.h"

#include "ngx_http_gateway_websocket_frame.h"


#define FUZZ_MAX_FRAME    64
#define FUZZ_MAX_MESSAGE  100

#define FUZZ_INVALID      0
#define FUZZ_WHOLE        1
#define FUZZ_PART         2


typedef ngx_http_gateway_websocket_parser_t  fuzz_parser_t;


/* what has come of the bytes, to compare */

typedef struct {
    u_char      *data;
    size_t       len;
    const char  *outcome;
} fuzz_events_t;


typedef struct {
    fuzz_parser_t    ps;
    fuzz_events_t    events;
    ngx_pool_t      *pool;

    u_char          *message;
    size_t           len;

    u_char           pending[NGX_HTTP_GATEWAY_WEBSOCKET_HEAD];
    size_t           npending;

    ngx_uint_t       pass;
    ngx_uint_t       in;
    ngx_uint_t       done;
} fuzz_feed_t;


static void fuzz_event(fuzz_events_t *events, ngx_uint_t type, u_char *data,
    size_t len);
static void fuzz_error(fuzz_events_t *events, ngx_uint_t code);
static void fuzz_close(fuzz_events_t *events, ngx_int_t rc, ngx_uint_t code,
    u_char *p, size_t len);

static void fuzz_feed(ngx_pool_t *pool, ngx_uint_t flags, ngx_str_t *sizes,
    ngx_str_t *bytes, ngx_uint_t pass, fuzz_events_t *expected);
static void fuzz_feed_piece(fuzz_feed_t *f, u_char *p, size_t len);
static u_char *fuzz_feed_frame(fuzz_feed_t *f, u_char *p, u_char *last);
static u_char *fuzz_feed_payload(fuzz_feed_t *f, u_char *p, u_char *last);
static u_char *fuzz_feed_control(fuzz_feed_t *f, u_char *p, u_char *last);
static void fuzz_feed_failed(fuzz_feed_t *f);
static void fuzz_written(fuzz_feed_t *f, u_char *start, u_char *p);

static void fuzz_decode(ngx_pool_t *pool, ngx_uint_t flags, ngx_str_t *bytes,
    fuzz_events_t *events);
static ngx_uint_t fuzz_first_two(ngx_uint_t flags, ngx_uint_t open, u_char *p);
static ngx_int_t fuzz_code(u_char *p, size_t len, ngx_uint_t *code);
static ngx_uint_t fuzz_text(u_char *p, size_t len);
static ngx_uint_t fuzz_character(u_char *p, size_t len, size_t *size);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_str_t      sizes, bytes, all, one;
    ngx_uint_t     flags, pass;
    fuzz_events_t  expected;

    fuzz_split(pool, input, &sizes, &bytes);

    flags = 0;

    if (sizes.len) {
        flags = sizes.data[0] & 0xf;
        sizes.data++;
        sizes.len--;
    }

    ngx_str_null(&all);
    ngx_str_set(&one, "1");

    fuzz_decode(pool, flags, &bytes, &expected);

    for (pass = 0; pass < 2; pass++) {
        fuzz_feed(pool, flags, &all, &bytes, pass, &expected);
        fuzz_feed(pool, flags, &sizes, &bytes, pass, &expected);
        fuzz_feed(pool, flags, &one, &bytes, pass, &expected);
    }

    return expected.outcome;
}


static void
fuzz_event(fuzz_events_t *events, ngx_uint_t type, u_char *data, size_t len)
{
    u_char  *p;

    p = events->data + events->len;

    *p++ = (u_char) type;
    *p++ = (u_char) (len >> 16);
    *p++ = (u_char) (len >> 8);
    *p++ = (u_char) len;

    if (len) {
        p = ngx_cpymem(p, data, len);
    }

    events->len = p - events->data;
}


static void
fuzz_error(fuzz_events_t *events, ngx_uint_t code)
{
    u_char  text[2];

    text[0] = (u_char) (code >> 8);
    text[1] = (u_char) code;

    fuzz_event(events, 'e', text, 2);

    events->outcome = code == 1002 ? "protocol"
                      : code == 1007 ? "characters"
                      : code == 1009 ? "big" : "another";
}


static void
fuzz_close(fuzz_events_t *events, ngx_int_t rc, ngx_uint_t code, u_char *p,
    size_t len)
{
    u_char  text[3];

    text[0] = (rc == NGX_OK);
    text[1] = (u_char) (code >> 8);
    text[2] = (u_char) code;

    fuzz_event(events, 'c', text, 3);
    fuzz_event(events, 'r', p, len);

    events->outcome = rc == NGX_OK ? "closed" : "badclose";
}


static void
fuzz_feed(ngx_pool_t *pool, ngx_uint_t flags, ngx_str_t *sizes,
    ngx_str_t *bytes, ngx_uint_t pass, fuzz_events_t *expected)
{
    size_t        i, pos, size, zeros;
    fuzz_feed_t  *f;

    f = ngx_pcalloc(pool, sizeof(fuzz_feed_t));

    f->pool = pool;
    f->pass = pass;
    f->message = ngx_pnalloc(pool, bytes->len + 1);
    f->events.data = ngx_pnalloc(pool, 4 * bytes->len + 32);
    f->events.outcome = "whole";

    ngx_http_gateway_websocket_parser_init(&f->ps, flags & 1);

    f->ps.deflate = flags >> 1 & 1;
    f->ps.max_frame = flags & 4 ? FUZZ_MAX_FRAME : 0;
    f->ps.max_message = flags & 8 ? FUZZ_MAX_MESSAGE : 0;

    zeros = 0;
    pos = 0;

    for (i = 0; pos < bytes->len && !f->done; i++) {

        size = bytes->len;

        if (sizes->len && zeros <= sizes->len) {
            size = sizes->data[i % sizes->len];
            size = size < '0' ? size : size - '0';
            zeros = size ? 0 : zeros + 1;
        }

        size = ngx_min(size, bytes->len - pos);

        fuzz_feed_piece(f, bytes->data + pos, size);
        pos += size;
    }

    if (!f->done && (f->npending || f->in || f->ps.open)) {
        fuzz_event(&f->events, '+', NULL, 0);
        f->events.outcome = "part";
    }

    fuzz_check(f->events.len == expected->len);
    fuzz_check(memcmp(f->events.data, expected->data, expected->len) == 0);
    fuzz_check(strcmp(f->events.outcome, expected->outcome) == 0);
}


static void
fuzz_feed_piece(fuzz_feed_t *f, u_char *p, size_t len)
{
    u_char     *pos, *last;
    ngx_str_t   piece;

    piece.len = f->npending + len;
    piece.data = ngx_pnalloc(f->pool, piece.len);

    if (piece.len) {
        ngx_memcpy(ngx_cpymem(piece.data, f->pending, f->npending), p, len);
    }

    f->npending = 0;

    last = piece.data + piece.len;

    for (pos = piece.data; pos != NULL && !f->done; /* void */ ) {
        pos = f->in ? fuzz_feed_payload(f, pos, last)
                    : fuzz_feed_frame(f, pos, last);
    }
}


static u_char *
fuzz_feed_frame(fuzz_feed_t *f, u_char *p, u_char *last)
{
    u_char     *start;
    ngx_int_t   rc;

    start = p;

    rc = ngx_http_gateway_websocket_parse(&f->ps, &p, last);

    if (rc == NGX_AGAIN) {

        fuzz_check(p == start);
        fuzz_check(last - p < NGX_HTTP_GATEWAY_WEBSOCKET_HEAD);

        f->npending = last - p;
        ngx_memcpy(f->pending, p, f->npending);

        return NULL;
    }

    if (rc == NGX_ERROR) {

        if (f->ps.code == 1009) {
            fuzz_check(f->ps.rest == f->ps.length);
            fuzz_written(f, start, p);

        } else {
            fuzz_check(p == start);
        }

        fuzz_feed_failed(f);

        return NULL;
    }

    fuzz_check(rc == NGX_OK);
    fuzz_written(f, start, p);

    if (ngx_http_gateway_websocket_is_control(&f->ps)) {
        return fuzz_feed_control(f, p, last);
    }

    fuzz_check(f->ps.rest == f->ps.length);
    fuzz_check(f->ps.open);

    f->in = 1;

    return p;
}


static u_char *
fuzz_feed_payload(fuzz_feed_t *f, u_char *p, u_char *last)
{
    size_t      n;
    uint64_t    offset, rest;
    ngx_int_t   rc;
    ngx_str_t   copy;

    n = (size_t) ngx_min((uint64_t) (last - p), f->ps.rest);

    if (n == 0 && f->ps.rest) {
        return NULL;
    }

    rest = f->ps.rest;
    offset = f->ps.length - rest;

    fuzz_copy(f->pool, &copy, p, n);

    rc = f->pass ? ngx_http_gateway_websocket_pass(&f->ps, p, n)
                 : ngx_http_gateway_websocket_take(&f->ps, p, n);

    if (f->pass) {
        fuzz_check(fuzz_equal(&copy, p, n));
    }

    if (rc != NGX_OK) {
        fuzz_feed_failed(f);
        return NULL;
    }

    fuzz_check(f->ps.rest == rest - n);

    if (f->ps.masked) {
        ngx_http_gateway_websocket_mask(copy.data, copy.data, n, f->ps.mask,
                                        offset);
    }

    if (!f->pass) {
        fuzz_check(fuzz_equal(&copy, p, n));
    }

    if (n) {
        ngx_memcpy(f->message + f->len, copy.data, n);
        f->len += n;
    }

    p += n;

    if (f->ps.rest) {
        return NULL;
    }

    f->in = 0;

    if (ngx_http_gateway_websocket_is_whole(&f->ps)) {
        fuzz_check(f->ps.size == f->len);

        fuzz_event(&f->events, f->ps.type + (f->ps.compressed ? 'A' : 'a'),
                   f->message, f->len);
        f->len = 0;
    }

    return p;
}


static u_char *
fuzz_feed_control(fuzz_feed_t *f, u_char *p, u_char *last)
{
    size_t       len;
    u_char      *end, frame[NGX_HTTP_GATEWAY_WEBSOCKET_HEAD];
    ngx_int_t    rc;
    ngx_str_t    payload;
    ngx_uint_t   code;

    len = f->ps.length;

    fuzz_check((size_t) (last - p) >= len);
    fuzz_copy(f->pool, &payload, p, len);

    if (f->ps.masked) {
        ngx_http_gateway_websocket_mask(payload.data, p, len, f->ps.mask, 0);
    }

    end = ngx_http_gateway_websocket_control(frame, f->ps.opcode, payload.data,
                                             len, f->ps.masked ? f->ps.mask
                                                               : NULL);

    fuzz_check(memcmp(end - len, p, len) == 0);
    fuzz_check(memcmp(frame, p - (end - len - frame), end - len - frame) == 0);

    if (f->ps.opcode == NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE) {

        rc = ngx_http_gateway_websocket_close_code(payload.data, len, &code);

        fuzz_close(&f->events, rc, code, payload.data, len);
        f->done = 1;

        return NULL;
    }

    fuzz_event(&f->events, f->ps.opcode + 'a', payload.data, len);

    return p + len;
}


static void
fuzz_feed_failed(fuzz_feed_t *f)
{
    fuzz_check(f->ps.error != NULL);

    fuzz_error(&f->events, f->ps.code);
    f->done = 1;
}


/* a header has one form */

static void
fuzz_written(fuzz_feed_t *f, u_char *start, u_char *p)
{
    u_char  *end, header[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER];

    end = ngx_http_gateway_websocket_header(header, start[0], f->ps.length,
                                            f->ps.masked ? f->ps.mask : NULL);

    fuzz_check(end - header == p - start);
    fuzz_check(memcmp(header, start, p - start) == 0);
}


/* all of it at once, RFC 6455, sections 5 and 7.4 */

static void
fuzz_decode(ngx_pool_t *pool, ngx_uint_t flags, ngx_str_t *bytes,
    fuzz_events_t *events)
{
    size_t       i, n, head, size, len;
    u_char      *p, *key, *message, *payload;
    uint64_t     length, total, max;
    ngx_int_t    rc;
    ngx_uint_t   open, type, compressed, text, code;

    events->data = ngx_pnalloc(pool, 4 * bytes->len + 32);
    events->len = 0;
    events->outcome = "whole";

    message = ngx_pnalloc(pool, bytes->len + 1);

    p = bytes->data;
    n = bytes->len;

    open = 0;
    type = 0;
    compressed = 0;
    total = 0;
    len = 0;

    while (n || open) {

        if (n < 2) {
            break;
        }

        if (!fuzz_first_two(flags, open, p)) {
            fuzz_error(events, 1002);
            return;
        }

        size = (p[1] & 0x7f) == 127 ? 8 : (p[1] & 0x7f) == 126 ? 2 : 0;
        head = 2 + size + (flags & 1 ? 4 : 0);

        if (n < head) {
            break;
        }

        length = p[1] & 0x7f;

        if (size) {
            length = 0;

            for (i = 0; i < size; i++) {
                length = length * 256 + p[2 + i];
            }

            if (length > INT64_MAX || length < (size == 2 ? 126 : 65536)) {
                fuzz_error(events, 1002);
                return;
            }
        }

        key = p + 2 + size;

        if ((p[0] & 0x8) && n - head < length) {
            break;
        }

        if (!(p[0] & 0x8)) {

            if (p[0] & 0xf) {
                type = p[0] & 0xf;
                compressed = p[0] >> 6 & 1;
                total = 0;
                len = 0;
            }

            total += length;
            max = compressed ? FUZZ_MAX_FRAME + 16 : FUZZ_MAX_FRAME;

            if (((flags & 4) && length > max)
                || ((flags & 8) && !compressed && total > FUZZ_MAX_MESSAGE))
            {
                fuzz_error(events, 1009);
                return;
            }
        }

        /* as much of the payload as there is */

        size = (size_t) ngx_min(length, (uint64_t) (n - head));

        payload = p[0] & 0x8 ? ngx_pnalloc(pool, size) : message + len;

        for (i = 0; i < size; i++) {
            payload[i] = p[head + i] ^ (flags & 1 ? key[i % 4] : 0);
        }

        if ((p[0] & 0xf) == 0x8) {
            rc = fuzz_code(payload, size, &code);
            fuzz_close(events, rc, code, payload, size);
            return;
        }

        if (p[0] & 0x8) {
            fuzz_event(events, (p[0] & 0xf) + 'a', payload, size);

        } else {
            len += size;
            open = 1;

            text = type == 1 && !compressed ? fuzz_text(message, len)
                                            : FUZZ_WHOLE;

            if (text == FUZZ_INVALID
                || (text == FUZZ_PART && (p[0] & 0x80) && size == length))
            {
                fuzz_error(events, 1007);
                return;
            }

            if (size < length) {
                break;
            }

            if (p[0] & 0x80) {
                fuzz_event(events, type + (compressed ? 'A' : 'a'), message,
                           len);
                open = 0;
            }
        }

        p += head + size;
        n -= head + size;
    }

    if (n || open) {
        fuzz_event(events, '+', NULL, 0);
        events->outcome = "part";
    }
}


static ngx_uint_t
fuzz_first_two(ngx_uint_t flags, ngx_uint_t open, u_char *p)
{
    ngx_uint_t  opcode, bits;

    opcode = p[0] & 0xf;
    bits = p[0] >> 4 & 7;

    if (p[1] >> 7 != (flags & 1)) {
        return 0;
    }

    if (bits && !(bits == 4 && (flags & 2) && (opcode == 1 || opcode == 2))) {
        return 0;
    }

    if (opcode == 0) {
        return open;
    }

    if (opcode <= 2) {
        return !open;
    }

    return opcode >= 8 && opcode <= 10 && (p[0] & 0x80)
           && (p[1] & 0x7f) <= 125;
}


static ngx_int_t
fuzz_code(u_char *p, size_t len, ngx_uint_t *code)
{
    static const char  *valid[] = {
        "1000", "1001", "1002", "1003", "1007", "1008", "1009", "1010", "1011",
        "1012", "1013", "1014"
    };

    char        text[8];
    ngx_uint_t  i, good;

    if (len == 0) {
        *code = 1005;
        return NGX_OK;
    }

    *code = len == 1 ? 0 : p[0] * 256 + p[1];

    (void) snprintf(text, sizeof(text), "%d", (int) *code);

    good = strlen(text) == 4 && (text[0] == '3' || text[0] == '4');

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        good |= (strcmp(text, valid[i]) == 0);
    }

    if (!good) {
        *code = 1002;
        return NGX_ERROR;
    }

    if (fuzz_text(p + 2, len - 2) != FUZZ_WHOLE) {
        *code = 1007;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
fuzz_text(u_char *p, size_t len)
{
    size_t      size;
    ngx_uint_t  rc;

    for ( /* void */ ; len; p += size, len -= size) {

        rc = fuzz_character(p, len, &size);

        if (rc != FUZZ_WHOLE) {
            return rc;
        }
    }

    return FUZZ_WHOLE;
}


/* RFC 3629, section 3: whether any of the characters it can become is one */

static ngx_uint_t
fuzz_character(u_char *p, size_t len, size_t *size)
{
    size_t    i, more;
    uint32_t  low, high, least;

    more = p[0] < 0x80 ? 0
           : p[0] < 0xc0 ? 4
           : p[0] < 0xe0 ? 1
           : p[0] < 0xf0 ? 2
           : p[0] < 0xf8 ? 3 : 4;

    if (more == 4) {
        return FUZZ_INVALID;
    }

    *size = more + 1;

    low = more ? p[0] & (0x3f >> more) : p[0];
    high = low;

    for (i = 1; i <= more; i++) {

        if (i < len && p[i] >> 6 != 2) {
            return FUZZ_INVALID;
        }

        low = low * 64 + (i < len ? p[i] % 64 : 0);
        high = high * 64 + (i < len ? p[i] % 64 : 63);
    }

    least = more == 3 ? 0x10000 : more == 2 ? 0x800 : more == 1 ? 0x80 : 0;

    if (high < least || low > 0x10ffff || (low >= 0xd800 && high <= 0xdfff)) {
        return FUZZ_INVALID;
    }

    return len > more ? FUZZ_WHOLE : FUZZ_PART;
}
