
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The codec's functions that know nothing of frames, compared with the
 * plainest code there is, and one message of very many frames:
 *
 *     mask
 *     utf8
 *     fragments N
 *
 * "ok" is printed for each line, or what is wrong.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/resource.h>

#include "ngx_http_gateway_websocket_frame.h"
#include "words.h"


typedef ngx_http_gateway_websocket_parser_t  parser_t;
typedef ngx_http_gateway_websocket_utf8_t    utf8_t;


static void do_mask(void);
static ngx_uint_t mask_wrong(size_t place, size_t len, uint64_t offset);

static void do_utf8(void);
static ngx_uint_t utf8_sequence(u_char *bytes, size_t len);
static ngx_uint_t utf8_wrong(u_char *text, size_t len, size_t cut,
    ngx_uint_t good);
static ngx_uint_t utf8_good(u_char *p, size_t len);

static void do_fragments(void);
static ngx_uint_t fragment(parser_t *ps, ngx_uint_t opcode, u_char byte);


static words_call_t  calls[] = {
    { "mask", do_mask },
    { "utf8", do_utf8 },
    { "fragments", do_fragments },
    { NULL, NULL }
};


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
do_mask(void)
{
    size_t    place, len;
    uint64_t  offset;

    for (place = 0; place < 16; place++) {
        for (offset = 0; offset < 9; offset++) {
            for (len = 0; len < 80; len++) {

                if (mask_wrong(place, len, offset)) {
                    return;
                }
            }

            if (mask_wrong(place, 4096 + place, offset + 0x7ffffffffffffff0ULL))
            {
                return;
            }
        }
    }

    printf("ok");
}


static ngx_uint_t
mask_wrong(size_t place, size_t len, uint64_t offset)
{
    size_t       i;
    u_char      *src, *dst, mask[4];
    ngx_uint_t   wrong;

    mask[0] = 0x01;
    mask[1] = 0x20;
    mask[2] = 0xf0;
    mask[3] = 0x8c;

    src = malloc(place + len);
    dst = malloc(len);

    for (i = 0; i < len; i++) {
        src[place + i] = (u_char) (i * 7 + 3);
    }

    ngx_http_gateway_websocket_mask(dst, src + place, len, mask, offset);
    ngx_http_gateway_websocket_mask(src + place, src + place, len, mask,
                                    offset);
    wrong = 0;

    for (i = 0; i < len; i++) {

        if (dst[i] != ((u_char) (i * 7 + 3) ^ mask[(offset + i) % 4])
            || src[place + i] != dst[i])
        {
            printf("%d of %d bytes, %d after a boundary, offset %d\n",
                   (int) i, (int) len, (int) place, (int) offset);
            wrong = 1;
            break;
        }
    }

    free(src);
    free(dst);

    return wrong;
}


static void
do_utf8(void)
{
    size_t      i, j;
    u_char      bytes[4];
    ngx_uint_t  a, b;

    static u_char  third[] = {
        0x00, 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xff
    };

    for (a = 0; a < 0x100; a++) {
        bytes[0] = a;

        if (utf8_sequence(bytes, 1)) {
            return;
        }

        for (b = 0; b < 0x100; b++) {
            bytes[1] = b;

            if (utf8_sequence(bytes, 2)) {
                return;
            }

            for (i = 0; a >= 0xc0 && i < sizeof(third); i++) {
                bytes[2] = third[i];

                if (utf8_sequence(bytes, 3)) {
                    return;
                }

                for (j = 0; a >= 0xe0 && j < sizeof(third); j++) {
                    bytes[3] = third[j];

                    if (utf8_sequence(bytes, 4)) {
                        return;
                    }
                }
            }
        }
    }

    printf("ok");
}


/* with ASCII before and after it, whole and cut */

static ngx_uint_t
utf8_sequence(u_char *bytes, size_t len)
{
    size_t       i, j, cut;
    u_char      *text;
    ngx_uint_t   good;

    static size_t  around[] = { 0, 1, 7, 8, 17 };

    good = utf8_good(bytes, len);

    for (i = 0; i < 5; i++) {

        j = around[(i + bytes[0]) % 5];

        text = malloc(around[i] + len + j);

        ngx_memset(text, 'a', around[i] + len + j);
        ngx_memcpy(text + around[i], bytes, len);

        for (cut = 0; cut <= len; cut++) {
            if (utf8_wrong(text, around[i] + len + j, around[i] + cut, good)) {
                printf("%02x %02x %02x %02x, of which %d, after %d\n",
                       bytes[0], bytes[1], bytes[2], bytes[3], (int) len,
                       (int) around[i]);

                free(text);
                return 1;
            }
        }

        free(text);
    }

    return 0;
}


static ngx_uint_t
utf8_wrong(u_char *text, size_t len, size_t cut, ngx_uint_t good)
{
    utf8_t     utf8;
    ngx_int_t  rc;

    ngx_memzero(&utf8, sizeof(utf8_t));

    rc = ngx_http_gateway_websocket_utf8(&utf8, text, cut);

    if (rc == NGX_OK) {
        rc = ngx_http_gateway_websocket_utf8(&utf8, text + cut, len - cut);
    }

    return good != (rc == NGX_OK && utf8.left == 0);
}


/* tells whether they are characters */

static ngx_uint_t
utf8_good(u_char *p, size_t len)
{
    size_t    i, more;
    uint32_t  c;

    static uint32_t  least[] = { 0, 0x80, 0x800, 0x10000 };

    for ( /* void */ ; len; p += more + 1, len -= more + 1) {

        more = p[0] < 0x80 ? 0
               : (p[0] & 0xe0) == 0xc0 ? 1
               : (p[0] & 0xf0) == 0xe0 ? 2
               : (p[0] & 0xf8) == 0xf0 ? 3 : 4;

        if (len < more + 1 || more == 4) {
            return 0;
        }

        c = more ? p[0] & (0x3f >> more) : p[0];

        for (i = 1; i <= more; i++) {

            if ((p[i] & 0xc0) != 0x80) {
                return 0;
            }

            c = c << 6 | (p[i] & 0x3f);
        }

        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return 0;
        }
    }

    return 1;
}


/* a text, a byte in each fragment, with a ping after every tenth one */

static void
do_fragments(void)
{
    parser_t        ps;
    ngx_uint_t      i, n, opcode;
    struct rusage   before, after;

    n = atoi(words_next());

    ngx_http_gateway_websocket_parser_init(&ps, 1);

    ps.max_message = n;

    (void) getrusage(RUSAGE_SELF, &before);

    for (i = 0; i < n; i++) {

        opcode = i ? NGX_HTTP_GATEWAY_WEBSOCKET_CONTINUATION
                   : NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;

        if (i == n - 1) {
            opcode |= NGX_HTTP_GATEWAY_WEBSOCKET_FIN;
        }

        /* a character of two bytes */

        if (fragment(&ps, opcode, i % 2 ? 0xa9 : 0xc3)
            || ngx_http_gateway_websocket_is_whole(&ps) != (i == n - 1))
        {
            printf("fragment %d", (int) i);
            return;
        }

        if (i % 10 == 9
            && fragment(&ps, NGX_HTTP_GATEWAY_WEBSOCKET_FIN
                             |NGX_HTTP_GATEWAY_WEBSOCKET_PING, 'x'))
        {
            printf("ping after %d fragments", (int) i);
            return;
        }
    }

    (void) getrusage(RUSAGE_SELF, &after);

    if (after.ru_maxrss > before.ru_maxrss + 64) {
        printf("%d KB", (int) (after.ru_maxrss - before.ru_maxrss));
        return;
    }

    printf("ok");
}


/* tells whether it is not taken for what it is */

static ngx_uint_t
fragment(parser_t *ps, ngx_uint_t opcode, u_char byte)
{
    u_char  *p, *end, frame[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER + 1];

    static u_char  mask[] = { 0x12, 0x34, 0x56, 0x78 };

    end = ngx_http_gateway_websocket_header(frame, opcode, 1, mask);
    *end++ = byte ^ mask[0];

    p = frame;

    if (ngx_http_gateway_websocket_parse(ps, &p, end) != NGX_OK
        || p != end - 1 || ps->length != 1)
    {
        return 1;
    }

    if (ngx_http_gateway_websocket_is_control(ps)) {
        return 0;
    }

    return ngx_http_gateway_websocket_take(ps, p, 1) != NGX_OK || *p != byte;
}
