
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: sizes of pieces, a line feed, a text.  A byte of the first line is
 * the size of a piece, "0" meaning none at all, "1" one byte, "a" 49; after
 * the last one the first one comes again.
 *
 * The text in pieces against the text in one piece, the code with SSE2 against
 * the code without, and all against jansson.  Accepted is what jansson 2.14
 * accepts, but for
 *
 *     - depth: ours is asked for, jansson's is 2048;
 *     - halves of surrogate pairs as escapes, which jansson refuses;
 *     - numbers that neither 64 bits nor a double hold, likewise;
 *     - "\u0000" in a name, likewise;
 *     - a NUL after a number, true, false or null, which jansson passes over:
 *       a text with a NUL is never valid.
 *
 * jansson gets a text in which these are replaced by something that is as
 * valid or invalid as they are.
 */


#include "fuzz.h"

#include "ngx_http_gateway_json_scan.h"


#define FUZZ_DEPTH  NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH

#define fuzz_is_space(c)                                                     \
    ((c) == ' ' || (c) == '\t' || (c) == CR || (c) == LF)


typedef struct {
    void          (*init)(ngx_http_gateway_json_scan_t *s,
                          ngx_uint_t max_depth);
    ngx_int_t     (*scan)(ngx_http_gateway_json_scan_t *s, u_char *data,
                          size_t len);
    ngx_int_t     (*end)(ngx_http_gateway_json_scan_t *s);
    u_char       *(*value)(u_char *p, u_char *last);
} fuzz_scanner_t;


typedef ngx_http_gateway_json_scan_t  fuzz_scan_t;


/* portable.c */

void fuzz_portable_scan_init(fuzz_scan_t *s, ngx_uint_t max_depth);
ngx_int_t fuzz_portable_scan(fuzz_scan_t *s, u_char *data, size_t len);
ngx_int_t fuzz_portable_scan_end(fuzz_scan_t *s);
u_char *fuzz_portable_scan_value(u_char *p, u_char *last);

static ngx_int_t fuzz_whole(fuzz_scanner_t *scanner, fuzz_scan_t *s,
    ngx_uint_t depth, ngx_str_t *text);
static ngx_int_t fuzz_pieces(ngx_pool_t *pool, fuzz_scanner_t *scanner,
    fuzz_scan_t *s, ngx_str_t *sizes, ngx_str_t *text, fuzz_scan_t *whole);
static void fuzz_same(fuzz_scan_t *one, fuzz_scan_t *two);
static void fuzz_check_offsets(fuzz_scan_t *s, ngx_str_t *text);
static void fuzz_check_error(ngx_pool_t *pool, fuzz_scan_t *s,
    ngx_str_t *text);
static void fuzz_check_scan_value(ngx_pool_t *pool, fuzz_scan_t *s,
    ngx_str_t *text);
static ngx_uint_t fuzz_is_number(u_char c);
static ngx_uint_t fuzz_accepted(ngx_pool_t *pool, ngx_str_t *text,
    ngx_uint_t *depth);
static void fuzz_replace(ngx_str_t *text, ngx_uint_t *depth);
static size_t fuzz_replace_escape(u_char *p, u_char *last);


static fuzz_scanner_t  fuzz_scanners[] = {

    { ngx_http_gateway_json_scan_init, ngx_http_gateway_json_scan,
      ngx_http_gateway_json_scan_end,
      ngx_http_gateway_json_scan_value },

    { fuzz_portable_scan_init, fuzz_portable_scan, fuzz_portable_scan_end,
      fuzz_portable_scan_value }
};


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    u_char       *end;
    ngx_int_t     rc;
    ngx_str_t     sizes, text;
    ngx_uint_t    i, n, accepted, depth;
    fuzz_scan_t   whole, s;

    static ngx_uint_t  depths[] = { 1, 3, 64, FUZZ_DEPTH };

    fuzz_split(pool, input, &sizes, &text);

    accepted = fuzz_accepted(pool, &text, &depth);

    for (n = 0; n < sizeof(depths) / sizeof(depths[0]); n++) {

        rc = fuzz_whole(&fuzz_scanners[0], &whole, depths[n], &text);

        fuzz_check((rc == NGX_OK) == (accepted && depth <= depths[n]));

        fuzz_check(fuzz_whole(&fuzz_scanners[1], &s, depths[n], &text) == rc);
        fuzz_same(&s, &whole);

        fuzz_check_offsets(&whole, &text);
    }

    /* "whole" is that with the greatest depth from now on */

    fuzz_check_error(pool, &whole, &text);
    fuzz_check_scan_value(pool, &whole, &text);

    for (i = 0; i < 2; i++) {

        fuzz_check(fuzz_pieces(pool, &fuzz_scanners[i], &s, &sizes, &text,
                               &whole)
                   == rc);
        fuzz_same(&s, &whole);

        end = fuzz_scanners[i].value(text.data, text.data + text.len);

        fuzz_check(end == (whole.end == -1 ? NULL : text.data + whole.end));
    }

    return rc == NGX_OK ? "valid" : "refused";
}


static ngx_int_t
fuzz_whole(fuzz_scanner_t *scanner, fuzz_scan_t *s, ngx_uint_t depth,
    ngx_str_t *text)
{
    ngx_int_t  rc;

    scanner->init(s, depth);

    rc = scanner->scan(s, text->data, text->len);

    fuzz_check(rc == (s->error ? NGX_ERROR : NGX_OK));
    fuzz_check(scanner->end(s) == (s->error ? NGX_ERROR : NGX_OK));

    /* asked again, both say the same */

    fuzz_check(scanner->end(s) == (s->error ? NGX_ERROR : NGX_OK));

    if (s->error) {
        fuzz_check(scanner->scan(s, text->data, text->len) == NGX_ERROR);
    }

    return s->error ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
fuzz_pieces(ngx_pool_t *pool, fuzz_scanner_t *scanner, fuzz_scan_t *s,
    ngx_str_t *sizes, ngx_str_t *text, fuzz_scan_t *whole)
{
    u_char      c;
    size_t      i, pos, size, left;
    ngx_str_t   piece;

    scanner->init(s, FUZZ_DEPTH);

    pos = 0;
    left = 2 * text->len + sizes->len;

    for (i = 0; pos < text->len; i++) {

        /* sizes that are all zero have an end, too */

        if (sizes->len && left-- > 0) {
            c = sizes->data[i % sizes->len];
            size = c < '0' ? c : c - '0';
            size = ngx_min(size, text->len - pos);

        } else {
            size = text->len - pos;
        }

        fuzz_copy(pool, &piece, text->data + pos, size);

        if (scanner->scan(s, piece.data, piece.len) != NGX_OK) {
            break;
        }

        pos += size;

        fuzz_check(s->offset == (off_t) pos);

        /* the end is known as soon as it can be */

        if (s->end != -1) {
            fuzz_check(s->end == whole->end);

        } else if (whole->end != -1) {
            fuzz_check((off_t) pos < whole->end
                       + (off_t) fuzz_is_number(whole->type));
        }

        /* nothing of a piece is kept */

        ngx_memset(piece.data, 'x', piece.len);
    }

    return scanner->end(s);
}


static void
fuzz_same(fuzz_scan_t *one, fuzz_scan_t *two)
{
    fuzz_check((one->error == NULL) == (two->error == NULL));
    fuzz_check(one->error == NULL || strcmp(one->error, two->error) == 0);

    fuzz_check(one->start == two->start);
    fuzz_check(one->end == two->end);
    fuzz_check(one->offset == two->offset);
    fuzz_check(one->depth == two->depth);
    fuzz_check(one->type == two->type);
}


static void
fuzz_check_offsets(fuzz_scan_t *s, ngx_str_t *text)
{
    off_t  i;

    fuzz_check(s->offset >= 0 && s->offset <= (off_t) text->len);

    for (i = 0; i < (s->start == -1 ? s->offset : s->start); i++) {
        fuzz_check(fuzz_is_space(text->data[i]));
    }

    if (s->start == -1) {
        fuzz_check(s->end == -1 && s->error != NULL);
        return;
    }

    fuzz_check(s->start < (off_t) text->len);
    fuzz_check(!fuzz_is_space(text->data[s->start]));
    fuzz_check(text->data[s->start] == s->type);

    if (s->end == -1) {
        fuzz_check(s->error != NULL);
        return;
    }

    fuzz_check(s->end > s->start && s->end <= s->offset);
    fuzz_check(!fuzz_is_space(text->data[s->end - 1]));
    fuzz_check(s->depth == 0);

    for (i = s->end; i < s->offset; i++) {
        fuzz_check(fuzz_is_space(text->data[i]));
    }

    /* after a whole value there is one thing that can be wrong */

    fuzz_check((s->error == NULL) == (s->offset == (off_t) text->len));
}


/* an error is found at the first byte that makes the text invalid */

static void
fuzz_check_error(ngx_pool_t *pool, fuzz_scan_t *s, ngx_str_t *text)
{
    ngx_str_t    part;
    fuzz_scan_t  again;

    if (s->error == NULL) {
        return;
    }

    fuzz_copy(pool, &part, text->data, s->offset);

    ngx_http_gateway_json_scan_init(&again, FUZZ_DEPTH);

    fuzz_check(ngx_http_gateway_json_scan(&again, part.data, part.len)
               == NGX_OK);

    if (s->offset == (off_t) text->len) {
        return;
    }

    fuzz_copy(pool, &part, text->data, s->offset + 1);

    (void) fuzz_whole(&fuzz_scanners[0], &again, FUZZ_DEPTH, &part);
    fuzz_same(&again, s);
}


/* a value by itself is a valid text */

static void
fuzz_check_scan_value(ngx_pool_t *pool, fuzz_scan_t *s, ngx_str_t *text)
{
    ngx_str_t    value;
    fuzz_scan_t  again;

    if (s->end == -1) {
        return;
    }

    fuzz_copy(pool, &value, text->data + s->start, s->end - s->start);

    fuzz_check(fuzz_whole(&fuzz_scanners[0], &again, FUZZ_DEPTH, &value)
               == NGX_OK);
    fuzz_check(again.start == 0 && again.end == (off_t) value.len);

    fuzz_check(ngx_http_gateway_json_scan_value(value.data,
                                                    value.data + value.len)
               == value.data + value.len);
}


static ngx_uint_t
fuzz_is_number(u_char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}


static ngx_uint_t
fuzz_accepted(ngx_pool_t *pool, ngx_str_t *text, ngx_uint_t *depth)
{
    json_t     *json;
    ngx_str_t   copy;

    *depth = 0;

    if (memchr(text->data, '\0', text->len) != NULL) {
        return 0;
    }

    fuzz_copy(pool, &copy, text->data, text->len);
    fuzz_replace(&copy, depth);

    json = json_loadb((char *) copy.data, copy.len, JSON_DECODE_ANY, NULL);
    json_decref(json);

    return json != NULL;
}


/*
 * Replaces what jansson does not take, and counts how deep a valid text is.
 * What is a string is known up to the first error, which is all that matters.
 */

static void
fuzz_replace(ngx_str_t *text, ngx_uint_t *depth)
{
    size_t      n;
    u_char     *p, *last, *dst;
    ngx_uint_t  level, digits, string;

    p = text->data;
    last = p + text->len;
    dst = p;

    level = 0;
    digits = 0;
    string = 0;

    while (p < last) {

        if (string) {
            n = fuzz_replace_escape(p, last);

            string = (*p != '"');

            ngx_memmove(dst, p, n);
            dst += n;
            p += n;

            continue;
        }

        /* two digits are as good as more, and a leading zero is one still */

        if (*p >= '0' && *p <= '9' && ++digits > 2) {
            p++;
            continue;
        }

        if (*p < '0' || *p > '9') {
            digits = 0;
        }

        if (*p == '{' || *p == '[') {
            level++;
            *depth = ngx_max(*depth, level);

        } else if (*p == '}' || *p == ']') {
            level--;
        }

        string = (*p == '"');

        *dst++ = *p++;
    }

    text->len = dst - text->data;
}


/* returns how many bytes of a string are one character or escape */

static size_t
fuzz_replace_escape(u_char *p, u_char *last)
{
    size_t  i;

    if (*p != '\\' || last - p < 2) {
        return 1;
    }

    if (p[1] != 'u' || last - p < 6) {
        return 2;
    }

    for (i = 2; i < 6; i++) {
        if (!isxdigit(p[i])) {
            return 2;
        }
    }

    if ((p[2] == 'd' || p[2] == 'D') && p[3] >= '8') {
        p[2] = '0';
    }

    if (ngx_strncmp(p + 2, "0000", 4) == 0) {
        p[5] = '1';
    }

    return 6;
}
