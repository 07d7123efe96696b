
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The scanner on the texts of scan.t, in every way in which it can get them:
 * by the code with SSE2 and by that without, at each place beside a boundary
 * of 16 bytes, cut into two pieces at each position, short ones also into
 * three, byte by byte, and as a value inside of something.  Each piece is in
 * memory of just its size.
 *
 *     scan
 *
 *         For each line "DEPTH TEXT" of the input, TEXT being in hex, a line:
 *         "valid START END", "error OFFSET REASON", or "differs" and how.
 *
 *     scan utf8
 *
 *         All leading bytes and those after them, against a decoder.  A line
 *         for each sequence that is wrong, and one with their number.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_json_scan.h"


typedef ngx_http_gateway_json_scan_t  scan_t;


typedef struct {
    const char   *name;

    void        (*init)(scan_t *s, ngx_uint_t max_depth);
    ngx_int_t   (*scan)(scan_t *s, u_char *data, size_t len);
    ngx_int_t   (*end)(scan_t *s);
    u_char     *(*value)(u_char *p, u_char *last);
} scanner_t;


/* portable.c */

void portable_scan_init(scan_t *s, ngx_uint_t max_depth);
ngx_int_t portable_scan(scan_t *s, u_char *data, size_t len);
ngx_int_t portable_scan_end(scan_t *s);
u_char *portable_scan_value(u_char *p, u_char *last);

static void scan_text(ngx_uint_t depth, u_char *text, size_t len);
static ngx_uint_t scan_pieces(scanner_t *scanner, scan_t *whole, u_char *text,
    size_t len);
static void scan_feed(scanner_t *scanner, scan_t *s, ngx_uint_t depth,
    u_char *text, size_t first, size_t second, size_t third);
static ngx_uint_t scan_places(scanner_t *scanner, scan_t *whole, u_char *text,
    size_t len);
static ngx_uint_t scan_first_error(scan_t *whole, u_char *text, size_t len);
static ngx_uint_t scan_differs(scanner_t *scanner, const char *how, size_t n,
    scan_t *whole, scan_t *s);
static void scan_tell(scan_t *s);
static size_t scan_unhex(u_char *text, char *hex);

static int scan_utf8(void);
static ngx_uint_t scan_utf8_sequence(u_char *bytes, size_t len);
static ngx_uint_t scan_utf8_good(u_char *p, size_t len);


static scanner_t  scanners[] = {

    { "scanner",
      ngx_http_gateway_json_scan_init, ngx_http_gateway_json_scan,
      ngx_http_gateway_json_scan_end,
      ngx_http_gateway_json_scan_value },

    { "portable scanner",
      portable_scan_init, portable_scan, portable_scan_end,
      portable_scan_value }
};


int
main(int argc, char **argv)
{
    char        *hex;
    size_t       len;
    ngx_uint_t   depth;

    static char    line[65536];
    static u_char  text[32768];

    if (argc == 2 && ngx_strcmp(argv[1], "utf8") == 0) {
        return scan_utf8();
    }

    while (fgets(line, sizeof(line), stdin) != NULL) {

        depth = strtoul(line, &hex, 10);
        len = scan_unhex(text, hex + 1);

        scan_text(depth, text, len);
    }

    return 0;
}


static void
scan_text(ngx_uint_t depth, u_char *text, size_t len)
{
    scan_t      whole;
    ngx_uint_t  i;

    scan_feed(&scanners[0], &whole, depth, text, len, 0, 0);

    for (i = 0; i < 2; i++) {
        if (scan_pieces(&scanners[i], &whole, text, len)
            || scan_places(&scanners[i], &whole, text, len))
        {
            return;
        }
    }

    if (!scan_first_error(&whole, text, len)) {
        scan_tell(&whole);
    }
}


static ngx_uint_t
scan_pieces(scanner_t *scanner, scan_t *whole, u_char *text, size_t len)
{
    u_char  *copy;
    size_t   i, n;
    scan_t   s;

    /* two pieces, the first or the second one being empty, too */

    for (i = 0; i <= len; i++) {
        scan_feed(scanner, &s, whole->max_depth, text, i, len - i, 0);

        if (scan_differs(scanner, "cut at", i, whole, &s)) {
            return 1;
        }
    }

    for (i = 0; i <= len && len <= 24; i++) {
        for (n = 0; n <= len - i; n++) {
            scan_feed(scanner, &s, whole->max_depth, text, i, n, len - i - n);

            if (scan_differs(scanner, "in three, cut at", i, whole, &s)) {
                return 1;
            }
        }
    }

    scanner->init(&s, whole->max_depth);

    for (i = 0; i < len; i++) {
        copy = malloc(1);
        *copy = text[i];
        (void) scanner->scan(&s, copy, 1);
        free(copy);
    }

    (void) scanner->end(&s);

    return scan_differs(scanner, "in pieces of", 1, whole, &s);
}


static void
scan_feed(scanner_t *scanner, scan_t *s, ngx_uint_t depth, u_char *text,
    size_t first, size_t second, size_t third)
{
    size_t      i, sizes[3];
    u_char     *copy;
    ngx_int_t   rc;

    sizes[0] = first;
    sizes[1] = second;
    sizes[2] = third;

    scanner->init(s, depth);

    for (i = 0; i < 3; i++) {

        if (i > 0 && sizes[i] == 0) {
            continue;
        }

        copy = malloc(sizes[i]);

        if (sizes[i]) {
            ngx_memcpy(copy, text, sizes[i]);
        }

        rc = scanner->scan(s, copy, sizes[i]);

        free(copy);

        if (rc != (s->error ? NGX_ERROR : NGX_OK)) {
            s->error = "returned what it does not say";
        }

        text += sizes[i];
    }

    if (scanner->end(s) != (s->error ? NGX_ERROR : NGX_OK)) {
        s->error = "returned what it does not say";
    }
}


/*
 * In one piece at each place beside a boundary, and as a value that ends
 * where the memory ends.
 */

static ngx_uint_t
scan_places(scanner_t *scanner, scan_t *whole, u_char *text, size_t len)
{
    off_t    at;
    size_t   i;
    scan_t   s;
    u_char  *memory, *p, *end;

    for (i = 0; i < 16; i++) {

        memory = malloc(i + len);

        if (i + len) {
            ngx_memset(memory, '"', i + len);
        }

        p = memory + i;

        if (len) {
            ngx_memcpy(p, text, len);
        }

        scanner->init(&s, whole->max_depth);
        (void) scanner->scan(&s, p, len);
        (void) scanner->end(&s);

        end = scanner->value(p, p + len);
        at = end ? end - p : -1;

        free(memory);

        if (scan_differs(scanner, "after a boundary, bytes:", i, whole, &s)) {
            return 1;
        }

        if (whole->max_depth == NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH
            && at != whole->end)
        {
            printf("differs: %s: the end of the value\n", scanner->name);
            return 1;
        }
    }

    return 0;
}


/* all before the error can be the beginning of something valid */

static ngx_uint_t
scan_first_error(scan_t *whole, u_char *text, size_t len)
{
    scan_t  s;

    if (whole->error == NULL) {
        return 0;
    }

    ngx_http_gateway_json_scan_init(&s, whole->max_depth);

    if (ngx_http_gateway_json_scan(&s, text, whole->offset) != NGX_OK) {
        printf("differs: an error is before where it is said to be\n");
        return 1;
    }

    if (whole->offset == (off_t) len) {
        return 0;
    }

    scan_feed(&scanners[0], &s, whole->max_depth, text, whole->offset + 1, 0,
              0);

    return scan_differs(&scanners[0], "up to the error at", whole->offset,
                        whole, &s);
}


static ngx_uint_t
scan_differs(scanner_t *scanner, const char *how, size_t n, scan_t *whole,
    scan_t *s)
{
    if ((s->error == NULL) == (whole->error == NULL)
        && (s->error == NULL || ngx_strcmp(s->error, whole->error) == 0)
        && s->start == whole->start
        && s->end == whole->end
        && s->offset == whole->offset
        && s->type == whole->type)
    {
        return 0;
    }

    printf("differs: %s, %s %zu: ", scanner->name, how, n);
    scan_tell(s);

    return 1;
}


static void
scan_tell(scan_t *s)
{
    if (s->error) {
        printf("error %lld %s\n", (long long) s->offset, s->error);
        return;
    }

    printf("valid %lld %lld\n", (long long) s->start, (long long) s->end);
}


static size_t
scan_unhex(u_char *text, char *hex)
{
    int     n;
    size_t  len;

    for (len = 0; sscanf(hex, "%2x", (unsigned *) &n) == 1; hex += 2) {
        text[len++] = n;
    }

    return len;
}


static int
scan_utf8(void)
{
    size_t      i, j;
    u_char      bytes[4];
    ngx_uint_t  a, b, wrong, n;

    static u_char  third[] = { 0x00, '"', '\\', 0x7f, 0x80, 0xbf, 0xc0, 0xff };

    wrong = 0;
    n = 0;

    for (a = 0x80; a < 0x100; a++) {
        bytes[0] = a;

        wrong += scan_utf8_sequence(bytes, 1);
        n++;

        for (b = 0; b < 0x100; b++) {
            bytes[1] = b;

            wrong += scan_utf8_sequence(bytes, 2);
            n++;

            for (i = 0; a >= 0xe0 && i < sizeof(third); i++) {
                bytes[2] = third[i];

                wrong += scan_utf8_sequence(bytes, 3);
                n++;

                for (j = 0; a >= 0xf0 && j < sizeof(third); j++) {
                    bytes[3] = third[j];

                    wrong += scan_utf8_sequence(bytes, 4);
                    n++;
                }
            }
        }
    }

    printf("%d sequences\n", (int) n);

    return wrong != 0;
}


/* the end of the string right after it, soon, and after more than 16 bytes */

static ngx_uint_t
scan_utf8_sequence(u_char *bytes, size_t len)
{
    size_t      i, n;
    scan_t      s;
    u_char     *p, text[64];
    ngx_uint_t  wrong;

    static size_t  after[] = { 0, 2, 20 };

    wrong = 0;

    for (n = 0; n < 3; n++) {

        p = text;
        *p++ = '"';
        p = ngx_cpymem(p, bytes, len);
        ngx_memset(p, 'a', after[n]);
        p += after[n];
        *p++ = '"';

        for (i = 0; i < 2; i++) {
            scanners[i].init(&s, 1);

            (void) scanners[i].scan(&s, text, p - text);

            if ((scanners[i].end(&s) == NGX_OK) != scan_utf8_good(bytes, len))
            {
                printf("wrong: %s, %zu bytes %02x %02x %02x %02x, %zu after "
                       "them\n", scanners[i].name, len, bytes[0], bytes[1],
                       bytes[2], bytes[3], after[n]);
                wrong = 1;
            }
        }
    }

    return wrong;
}


/* tells whether the bytes are one character, or that and ASCII */

static ngx_uint_t
scan_utf8_good(u_char *p, size_t len)
{
    size_t    i, more;
    uint32_t  c;

    static uint32_t  least[] = { 0, 0x80, 0x800, 0x10000 };

    more = (p[0] & 0xe0) == 0xc0 ? 1
           : (p[0] & 0xf0) == 0xe0 ? 2
           : (p[0] & 0xf8) == 0xf0 ? 3 : 0;

    if (more == 0 || len < more + 1) {
        return 0;
    }

    c = p[0] & (0x3f >> more);

    for (i = 1; i <= more; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = c << 6 | (p[i] & 0x3f);
    }

    for ( /* void */ ; i < len; i++) {
        if (p[i] < 0x20 || p[i] >= 0x80 || p[i] == '"' || p[i] == '\\') {
            return 0;
        }
    }

    return c >= least[more] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}
