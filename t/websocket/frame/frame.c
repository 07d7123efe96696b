
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what frame.t asks for, a line of words each time:
 *
 *     feed ROLE DEFLATE MAX_FRAME MAX_MESSAGE BYTES
 *
 *         What comes of the bytes, in hex, of a client (ROLE 1) or server (0),
 *         in words:
 *
 *             t:HEX b:HEX        a message, text or binary; "tz", "bz" when
 *                                it is compressed
 *             ping:HEX pong:HEX
 *             close:CODE:HEX     with the reason; "close!CODE": not valid
 *             !CODE@N            an error, known after N bytes
 *             +                  something is not whole
 *
 *         They are fed whole, byte by byte and cut at each place, and payload
 *         is unmasked and left as it is: "differs" when that matters.
 *
 *     close BYTES
 *
 *         The code of a close frame's payload, or "!" and that to close with.
 *
 *     head FIRST LENGTH MASK, control OPCODE MASK PAYLOAD
 *
 *         What is written, MASK and PAYLOAD being in hex, "-" for none.
 *
 * All bytes are in memory of just their size.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_frame.h"
#include "words.h"


#define ROOM  (1024 * 1024)
#define ALL   600           /* longer inputs are cut at some places only */

typedef ngx_http_gateway_websocket_parser_t  parser_t;


typedef struct {
    parser_t      ps;

    u_char        pending[NGX_HTTP_GATEWAY_WEBSOCKET_HEAD];
    size_t        npending;

    u_char        payload[ROOM / 4];
    size_t        len;

    size_t        fed;
    ngx_uint_t    pass;       /* leave it masked */
    ngx_uint_t    in;         /* a frame of data */
    ngx_uint_t    done;

    char          said[ROOM];
    char         *end;
} feed_t;


static void do_feed(void);
static ngx_uint_t feed_cut(parser_t *ps, ngx_str_t *bytes, size_t cut);
static void feed_start(feed_t *f, parser_t *ps);
static void feed(feed_t *f, u_char *p, size_t len);
static void feed_end(feed_t *f);
static u_char *feed_frame(feed_t *f, u_char *p, u_char *last);
static u_char *feed_payload(feed_t *f, u_char *p, u_char *last);
static u_char *feed_control(feed_t *f, u_char *p, u_char *last);
static void feed_failed(feed_t *f);
static void say(feed_t *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say_bytes(feed_t *f, u_char *p, size_t len);

static void do_close(void);
static void do_head(void);
static void do_control(void);


static words_call_t  calls[] = {
    { "feed", do_feed },
    { "close", do_close },
    { "head", do_head },
    { "control", do_control },
    { NULL, NULL }
};

static feed_t  whole, other;


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
do_feed(void)
{
    size_t       i;
    ngx_str_t    bytes;
    parser_t     ps;

    ngx_http_gateway_websocket_parser_init(&ps, atoi(words_next()));

    ps.deflate = atoi(words_next());
    ps.max_frame = strtoull(words_next(), NULL, 10);
    ps.max_message = strtoull(words_next(), NULL, 10);

    bytes = words_unhex();

    feed_start(&whole, &ps);
    feed(&whole, bytes.data, bytes.len);
    feed_end(&whole);

    for (i = 0; i < bytes.len; i++) {

        if (bytes.len > ALL && i > 20 && i < bytes.len - 20
            && i % (bytes.len / 16) != 0)
        {
            continue;
        }

        if (feed_cut(&ps, &bytes, i)) {
            goto done;
        }
    }

    /* byte by byte, which tells where an error is */

    feed_start(&other, &ps);

    for (i = 0; i < bytes.len && !other.done; i++) {
        feed(&other, bytes.data + i, 1);
    }

    feed_end(&other);

    if (strcmp(whole.said, other.said) != 0) {
        printf("differs: byte by byte: %s\n", other.said);
        goto done;
    }

    printf("%s", whole.said + (whole.said[0] == ' '));

    if (strchr(whole.said, '!') && !strstr(whole.said, "close!")) {
        printf("@%d", (int) other.fed);
    }

done:

    free(bytes.data);
}


/* in two pieces, the first one of "cut" bytes, unmasked in place or not */

static ngx_uint_t
feed_cut(parser_t *ps, ngx_str_t *bytes, size_t cut)
{
    ngx_uint_t  pass;

    for (pass = 0; pass < 2; pass++) {
        feed_start(&other, ps);

        other.pass = pass;

        feed(&other, bytes->data, cut);
        feed(&other, bytes->data + cut, bytes->len - cut);
        feed_end(&other);

        if (strcmp(other.said, whole.said) != 0) {
            printf("differs: cut at %d, %s: %s", (int) cut,
                   pass ? "passed" : "taken", other.said);
            return 1;
        }
    }

    return 0;
}


static void
feed_start(feed_t *f, parser_t *ps)
{
    f->ps = *ps;
    f->npending = 0;
    f->len = 0;
    f->fed = 0;
    f->pass = 0;
    f->in = 0;
    f->done = 0;
    f->end = f->said;
    f->said[0] = '\0';
}


/* as a connection does: what is not enough for a header waits for more */

static void
feed(feed_t *f, u_char *p, size_t len)
{
    size_t   size;
    u_char  *buf, *pos, *last;

    f->fed += len;

    if (f->done) {
        return;
    }

    size = f->npending + len;
    buf = malloc(size);

    if (f->npending) {
        ngx_memcpy(buf, f->pending, f->npending);
    }

    if (len) {
        ngx_memcpy(buf + f->npending, p, len);
    }

    f->npending = 0;

    last = buf + size;

    for (pos = buf; pos != NULL && !f->done; /* void */ ) {
        pos = f->in ? feed_payload(f, pos, last) : feed_frame(f, pos, last);
    }

    free(buf);
}


static void
feed_end(feed_t *f)
{
    if (!f->done && (f->npending || f->in || f->ps.open)) {
        say(f, " +");
    }
}


/* returns NULL when there has to be more */

static u_char *
feed_frame(feed_t *f, u_char *p, u_char *last)
{
    u_char     *start;
    ngx_int_t   rc;

    start = p;

    rc = ngx_http_gateway_websocket_parse(&f->ps, &p, last);

    if (rc == NGX_ERROR) {
        feed_failed(f);

        if (f->ps.code == NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG) {

            /* its payload can be passed over */

            if (p == start || f->ps.rest != f->ps.length) {
                say(f, " returned what it does not say");
            }

        } else if (p != start) {
            say(f, " moved");
        }

        return NULL;
    }

    if (rc == NGX_AGAIN) {
        f->npending = last - p;

        if (p != start || f->npending >= sizeof(f->pending)) {
            say(f, " has enough");
            f->done = 1;
            return NULL;
        }

        if (f->npending) {
            ngx_memcpy(f->pending, p, f->npending);
        }

        return NULL;
    }

    if (ngx_http_gateway_websocket_is_control(&f->ps)) {
        return feed_control(f, p, last);
    }

    if (f->ps.rest != f->ps.length || f->ps.first != (f->len == 0
                                                      && f->ps.opcode != 0))
    {
        say(f, " not said");
    }

    f->in = 1;

    return p;
}


static u_char *
feed_payload(feed_t *f, u_char *p, u_char *last)
{
    size_t      n;
    u_char     *copy;
    uint64_t    offset;
    ngx_int_t   rc;

    n = (size_t) ngx_min((uint64_t) (last - p), f->ps.rest);

    if (n == 0 && f->ps.rest) {
        return NULL;
    }

    offset = f->ps.length - f->ps.rest;
    copy = words_copy(p, n);

    rc = f->pass ? ngx_http_gateway_websocket_pass(&f->ps, p, n)
                 : ngx_http_gateway_websocket_take(&f->ps, p, n);

    if (f->pass) {

        if (n && ngx_memcmp(copy, p, n) != 0) {
            say(f, " passed, but not as it was");
        }

        if (f->ps.masked) {
            ngx_http_gateway_websocket_mask(copy, copy, n, f->ps.mask, offset);
        }
    }

    if (rc != NGX_OK) {
        feed_failed(f);
        free(copy);
        return NULL;
    }

    if (f->len + n <= sizeof(f->payload)) {
        ngx_memcpy(f->payload + f->len, f->pass ? copy : p, n);
        f->len += n;
    }

    free(copy);

    p += n;

    if (f->ps.rest) {
        return p == last ? NULL : p;
    }

    f->in = 0;

    if (ngx_http_gateway_websocket_is_whole(&f->ps)) {

        say(f, " %s%s:", f->ps.type == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
                         ? "t" : "b", f->ps.compressed ? "z" : "");
        say_bytes(f, f->payload, f->len);

        f->len = 0;
    }

    return p;
}


static u_char *
feed_control(feed_t *f, u_char *p, u_char *last)
{
    size_t       len;
    u_char      *payload;
    ngx_uint_t   code;

    len = f->ps.length;

    if ((size_t) (last - p) < len) {
        say(f, " control frame that is not whole");
        f->done = 1;
        return NULL;
    }

    payload = words_copy(p, len);

    if (f->ps.masked) {
        ngx_http_gateway_websocket_mask(payload, p, len, f->ps.mask, 0);
    }

    switch (f->ps.opcode) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_PING:
        say(f, " ping:");
        say_bytes(f, payload, len);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_PONG:
        say(f, " pong:");
        say_bytes(f, payload, len);
        break;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE */

        if (ngx_http_gateway_websocket_close_code(payload, len, &code)
            != NGX_OK)
        {
            say(f, " close!%d", (int) code);

        } else {
            say(f, " close:%d:", (int) code);
            say_bytes(f, payload + (len ? 2 : 0), len ? len - 2 : 0);
        }

        f->done = 1;
    }

    free(payload);

    return p + len;
}


static void
feed_failed(feed_t *f)
{
    f->done = 1;

    if (f->ps.error == NULL) {
        say(f, " no reason");
    }

    say(f, " !%d", (int) f->ps.code);
}


static void
say(feed_t *f, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    f->end += vsnprintf(f->end, f->said + ROOM - f->end, fmt, args);
    va_end(args);
}


static void
say_bytes(feed_t *f, u_char *p, size_t len)
{
    size_t  i;

    static char  hex[] = "0123456789abcdef";

    for (i = 0; i < len && f->end < f->said + ROOM - 4; i++) {
        *f->end++ = hex[p[i] >> 4];
        *f->end++ = hex[p[i] & 0xf];
    }

    *f->end = '\0';
}


static void
do_close(void)
{
    ngx_int_t   rc;
    ngx_str_t   bytes;
    ngx_uint_t  code;

    bytes = words_unhex();

    rc = ngx_http_gateway_websocket_close_code(bytes.data, bytes.len, &code);

    printf("%s%d", rc == NGX_OK ? "" : "!", (int) code);

    free(bytes.data);
}


static void
do_head(void)
{
    u_char      *p;
    uint64_t     len;
    ngx_str_t    mask;
    ngx_uint_t   first;

    first = atoi(words_next());
    len = strtoull(words_next(), NULL, 10);
    mask = words_unhex();

    p = malloc(NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER);

    words_put(p, ngx_http_gateway_websocket_header(p, first, len,
                                           mask.len ? mask.data : NULL) - p);

    free(p);
    free(mask.data);
}


static void
do_control(void)
{
    u_char      *p;
    ngx_str_t    mask, data;
    ngx_uint_t   opcode;

    opcode = atoi(words_next());
    mask = words_unhex();
    data = words_unhex();

    p = malloc(NGX_HTTP_GATEWAY_WEBSOCKET_HEAD);

    words_put(p, ngx_http_gateway_websocket_control(p, opcode, data.data,
                                 data.len, mask.len ? mask.data : NULL) - p);

    free(p);
    free(mask.data);
    free(data.data);
}
