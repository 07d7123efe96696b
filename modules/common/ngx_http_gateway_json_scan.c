
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the check of JSON texts.  One function is the grammar: a label for each
 * place in it, at which the bytes may run out and scanning resumes with the
 * next ones.  Strings and white space, most of a text, are passed over in
 * steps of 16 bytes with SSE2, or of 8.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_json_scan.h"

#if (__SSE2__ && !NGX_HTTP_GATEWAY_JSON_NO_SSE2)

#include <emmintrin.h>

#define NGX_HTTP_GATEWAY_JSON_SSE2  1

#endif


/*
 * The places in the grammar.  Those in which a text, or a value in it, may end
 * have their own: a number has no end of its own.
 */

typedef enum {
    scan_value = 0,
    scan_first_element,
    scan_first_name,
    scan_name,
    scan_colon,
    scan_after,
    scan_string,
    scan_escape,
    scan_hex,
    scan_utf8,
    scan_minus,
    scan_zero,
    scan_int,
    scan_point,
    scan_fraction,
    scan_exponent,
    scan_exponent_sign,
    scan_exponent_digits,
    scan_literal,
    scan_trailer
} ngx_http_gateway_json_scan_e;


#define ngx_http_gateway_json_is_digit(c)  ((u_char) ((c) - '0') <= 9)

#define ngx_http_gateway_json_is_space(c)                                \
    ((c) == ' ' || (c) == LF || (c) == CR || (c) == '\t')

#define ngx_http_gateway_json_is_plain(c)                                \
    ((c) >= 0x20 && (c) < 0x80 && (c) != '"' && (c) != '\\')


static ngx_inline u_char *ngx_http_gateway_json_skip_plain(u_char *p,
    u_char *last);
static ngx_inline u_char *ngx_http_gateway_json_skip_space(u_char *p,
    u_char *last);
static ngx_inline u_char *ngx_http_gateway_json_skip_digits(u_char *p,
    u_char *last);
static ngx_inline u_char *ngx_http_gateway_json_skip_utf8(u_char *p,
    u_char *last);
static ngx_inline ngx_int_t ngx_http_gateway_json_utf8_lead(
    ngx_http_gateway_json_scan_t *s, u_char c);


void
ngx_http_gateway_json_scan_init(ngx_http_gateway_json_scan_t *s,
    ngx_uint_t max_depth)
{
    s->literal = NULL;
    s->error = NULL;
    s->start = -1;
    s->end = -1;
    s->offset = 0;
    s->depth = 0;
    s->max_depth = max_depth;
    s->type = 0;
    s->state = scan_value;
    s->object = 0;
    s->name = 0;
    s->left = 0;
    s->low = 0;
    s->high = 0;

    /* s->outer[] is written before it is read */
}


ngx_int_t
ngx_http_gateway_json_scan(ngx_http_gateway_json_scan_t *s,
    u_char *data, size_t len)
{
    char     *error;
    u_char   *p, *q, *last, c;

    if (s->error) {
        return NGX_ERROR;
    }

    p = data;
    last = data + len;

#define scan_more(label)                                                      \
    if (p == last) {                                                          \
        s->state = label;                                                     \
        goto out;                                                             \
    }

#define scan_failed(text)                                                     \
    error = text;                                                             \
    goto failed

    switch (s->state) {
    case scan_value:            goto value;
    case scan_first_element:    goto first_element;
    case scan_first_name:       goto first_name;
    case scan_name:             goto name;
    case scan_colon:            goto colon;
    case scan_after:            goto after;
    case scan_string:           goto string;
    case scan_escape:           goto escape;
    case scan_hex:              goto hex;
    case scan_utf8:             goto utf8;
    case scan_minus:            goto minus;
    case scan_zero:             goto zero;
    case scan_int:              goto integer;
    case scan_point:            goto point;
    case scan_fraction:         goto fraction;
    case scan_exponent:         goto exponent;
    case scan_exponent_sign:    goto exponent_sign;
    case scan_exponent_digits:  goto exponent_digits;
    case scan_literal:          goto literal;
    default:                    goto trailer;
    }

first_element:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_first_element);

    if (*p == ']') {
        goto close;
    }

value:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_value);

    c = *p;

    if (s->depth == 0) {
        s->start = s->offset + (p - data);
        s->type = c;
    }

    if (c == '"') {
        p++;
        goto value_string;
    }

    switch (c) {

    case '{':
    case '[':

        if (s->depth == s->max_depth) {
            scan_failed("is nested too deep");
        }

        if (s->object) {
            s->outer[s->depth / 64] |= (uint64_t) 1 << s->depth % 64;

        } else {
            s->outer[s->depth / 64] &= ~((uint64_t) 1 << s->depth % 64);
        }

        s->depth++;
        p++;

        if (c == '{') {
            s->object = 1;
            goto first_name;
        }

        s->object = 0;
        goto first_element;

    case '-':
        p++;
        goto minus;

    case '0':
        p++;
        goto zero;

    case '1': case '2': case '3': case '4': case '5':
    case '6': case '7': case '8': case '9':
        p++;
        goto integer;

    case 't':
        s->literal = (u_char *) "rue";
        p++;
        goto literal;

    case 'f':
        s->literal = (u_char *) "alse";
        p++;
        goto literal;

    case 'n':
        s->literal = (u_char *) "ull";
        p++;
        goto literal;

    default:

        if (c == 0xef && s->depth == 0 && s->start == 0) {
            scan_failed("starts with a byte order mark");
        }

        scan_failed("has no value where there must be one");
    }

first_name:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_first_name);

    if (*p == '}') {
        goto close;
    }

name:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_name);

    if (*p != '"') {
        scan_failed("has no name where there must be one");
    }

    p++;

    /* most strings are short and plain: their own code is predicted better */

    p = ngx_http_gateway_json_skip_plain(p, last);

    if (p == last || *p != '"') {
        s->name = 1;
        goto string;
    }

    p++;

colon:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_colon);

    if (*p != ':') {
        scan_failed("has no colon where there must be one");
    }

    p++;
    goto value;

value_string:

    p = ngx_http_gateway_json_skip_plain(p, last);

    if (p == last || *p != '"') {
        s->name = 0;
        goto string;
    }

    p++;

after:

    if (s->depth == 0) {
        s->end = s->offset + (p - data);
        goto trailer;
    }

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_after);

    c = *p;

    if (c == ',') {
        p++;

        if (s->object) {
            goto name;
        }

        goto value;
    }

    if (c != (s->object ? '}' : ']')) {
        scan_failed("has neither a comma nor the end of an array or object "
                    "where there must be one");
    }

close:

    p++;
    s->depth--;
    s->object = s->outer[s->depth / 64] >> s->depth % 64 & 1;

    goto after;

string:

    p = ngx_http_gateway_json_skip_plain(p, last);
    scan_more(scan_string);

    c = *p++;

    if (c == '"') {

        if (s->name) {
            goto colon;
        }

        goto after;
    }

    if (c == '\\') {
        goto escape;
    }

    if (c < 0x20) {
        p--;
        scan_failed("has a control character in a string");
    }

    if (last - p >= 3) {
        q = ngx_http_gateway_json_skip_utf8(p - 1, last);

        if (q != p - 1) {
            p = q;
            goto string;
        }
    }

    /* the last characters of the bytes at hand, and those that are not valid */

    if (ngx_http_gateway_json_utf8_lead(s, c) != NGX_OK) {
        p--;
        scan_failed("is not valid UTF-8");
    }

utf8:

    do {
        scan_more(scan_utf8);

        if (*p < s->low || *p > s->high) {
            scan_failed("is not valid UTF-8");
        }

        p++;
        s->low = 0x80;
        s->high = 0xbf;

    } while (--s->left);

    goto string;

escape:

    scan_more(scan_escape);

    switch (*p++) {

    case '"': case '\\': case '/': case 'b':
    case 'f': case 'n': case 'r': case 't':
        goto string;

    case 'u':
        s->left = 4;
        break;

    default:
        p--;
        scan_failed("has an invalid escape in a string");
    }

hex:

    do {
        scan_more(scan_hex);

        c = *p | 0x20;

        if (!ngx_http_gateway_json_is_digit(*p) && (c < 'a' || c > 'f')) {
            scan_failed("has an invalid escape in a string");
        }

        p++;

    } while (--s->left);

    goto string;

minus:

    scan_more(scan_minus);

    if (!ngx_http_gateway_json_is_digit(*p)) {
        scan_failed("has an invalid number");
    }

    if (*p++ != '0') {
        goto integer;
    }

zero:

    scan_more(scan_zero);

    if (ngx_http_gateway_json_is_digit(*p)) {
        scan_failed("has an invalid number");
    }

    goto integer_end;

integer:

    p = ngx_http_gateway_json_skip_digits(p, last);
    scan_more(scan_int);

integer_end:

    if (*p == '.') {
        p++;
        goto point;
    }

    if (*p == 'e' || *p == 'E') {
        p++;
        goto exponent;
    }

    goto after;

point:

    scan_more(scan_point);

    if (!ngx_http_gateway_json_is_digit(*p)) {
        scan_failed("has an invalid number");
    }

fraction:

    p = ngx_http_gateway_json_skip_digits(p, last);
    scan_more(scan_fraction);

    if (*p != 'e' && *p != 'E') {
        goto after;
    }

    p++;

exponent:

    scan_more(scan_exponent);

    if (*p == '+' || *p == '-') {
        p++;
    }

exponent_sign:

    scan_more(scan_exponent_sign);

    if (!ngx_http_gateway_json_is_digit(*p)) {
        scan_failed("has an invalid number");
    }

exponent_digits:

    p = ngx_http_gateway_json_skip_digits(p, last);
    scan_more(scan_exponent_digits);

    goto after;

literal:

    do {
        scan_more(scan_literal);

        if (*p != *s->literal) {
            scan_failed("has an invalid literal");
        }

        p++;

    } while (*++s->literal);

    goto after;

trailer:

    p = ngx_http_gateway_json_skip_space(p, last);
    scan_more(scan_trailer);

    error = "has something after its value";

failed:

    s->error = error;
    s->offset += p - data;

    return NGX_ERROR;

out:

    s->offset += len;

    return NGX_OK;

#undef scan_more
#undef scan_failed
}


ngx_int_t
ngx_http_gateway_json_scan_end(ngx_http_gateway_json_scan_t *s)
{
    if (s->error) {
        return NGX_ERROR;
    }

    switch (s->state) {

    case scan_trailer:
        return NGX_OK;

    case scan_zero:
    case scan_int:
    case scan_fraction:
    case scan_exponent_digits:

        if (s->depth == 0) {
            s->end = s->offset;
            s->state = scan_trailer;
            return NGX_OK;
        }

        break;

    default:
        break;
    }

    s->error = s->start == -1 ? "is empty" : "ends too early";

    return NGX_ERROR;
}


u_char *
ngx_http_gateway_json_scan_value(u_char *p, u_char *last)
{
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s,
                                      NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);

    if (ngx_http_gateway_json_scan(&s, p, last - p) == NGX_OK) {
        (void) ngx_http_gateway_json_scan_end(&s);
    }

    return s.end == -1 ? NULL : p + s.end;
}


/* returns the first byte of a string that has to be looked at */

static ngx_inline u_char *
ngx_http_gateway_json_skip_plain(u_char *p, u_char *last)
{
#if (NGX_HTTP_GATEWAY_JSON_SSE2)

    __m128i     x, bad;
    ngx_uint_t  mask;

    const __m128i  quote = _mm_set1_epi8('"');
    const __m128i  backslash = _mm_set1_epi8('\\');
    const __m128i  space = _mm_set1_epi8(0x20);

    while (last - p >= 16) {
        x = _mm_loadu_si128((__m128i *) p);

        /* bytes from 0x80 are less than a space too, being signed */

        bad = _mm_or_si128(_mm_cmplt_epi8(x, space),
                           _mm_or_si128(_mm_cmpeq_epi8(x, quote),
                                        _mm_cmpeq_epi8(x, backslash)));

        mask = _mm_movemask_epi8(bad);

        if (mask) {
            return p + __builtin_ctzl(mask);
        }

        p += 16;
    }

#else

    uint64_t  x, y, z;

    /*
     * a byte's high bit is set in "z" when the byte is not plain; bytes after
     * the first such one may be taken for one without being it
     */

    while (last - p >= 8) {
        ngx_memcpy(&x, p, 8);

#define ngx_http_gateway_json_each  0x0101010101010101ULL

        z = x | (x - ngx_http_gateway_json_each * 0x20);

        y = x ^ ngx_http_gateway_json_each * '"';
        z |= y - ngx_http_gateway_json_each;

        y = x ^ ngx_http_gateway_json_each * '\\';
        z |= y - ngx_http_gateway_json_each;

        if (z & ngx_http_gateway_json_each * 0x80) {
            break;
        }

        p += 8;
    }

#endif

    while (p < last && ngx_http_gateway_json_is_plain(*p)) {
        p++;
    }

    return p;
}


static ngx_inline u_char *
ngx_http_gateway_json_skip_space(u_char *p, u_char *last)
{
    /* compact texts have none, others often one */

    if (p == last || *p > ' ') {
        return p;
    }

    if (ngx_http_gateway_json_is_space(*p)) {
        p++;

        if (p == last || *p > ' ') {
            return p;
        }
    }

#if (NGX_HTTP_GATEWAY_JSON_SSE2)
    {
    __m128i     x, space;
    ngx_uint_t  mask;

    while (last - p >= 16) {
        x = _mm_loadu_si128((__m128i *) p);

        space = _mm_or_si128(
                    _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(' ')),
                                 _mm_cmpeq_epi8(x, _mm_set1_epi8(LF))),
                    _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(CR)),
                                 _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'))));

        mask = _mm_movemask_epi8(space) ^ 0xffff;

        if (mask) {
            return p + __builtin_ctzl(mask);
        }

        p += 16;
    }
    }
#else
    {
    uint64_t  x;

    /* an indentation is a run of spaces */

    while (last - p >= 8) {
        ngx_memcpy(&x, p, 8);

        if (x != 0x2020202020202020ULL) {
            break;
        }

        p += 8;
    }
    }
#endif

    while (p < last && ngx_http_gateway_json_is_space(*p)) {
        p++;
    }

    return p;
}


static ngx_inline u_char *
ngx_http_gateway_json_skip_digits(u_char *p, u_char *last)
{
    while (p < last && ngx_http_gateway_json_is_digit(*p)) {
        p++;
    }

    return p;
}


/*
 * passes over valid characters outside of ASCII, as long as there are four
 * bytes to look at
 */

static ngx_inline u_char *
ngx_http_gateway_json_skip_utf8(u_char *p, u_char *last)
{
#define ngx_http_gateway_json_is_tail(c)  (((c) & 0xc0) == 0x80)

    while (last - p >= 4 && p[0] >= 0xc2
           && ngx_http_gateway_json_is_tail(p[1]))
    {
        if (p[0] <= 0xdf) {
            p += 2;
            continue;
        }

        if (!ngx_http_gateway_json_is_tail(p[2])) {
            break;
        }

        if (p[0] <= 0xef) {

            if ((p[0] == 0xe0 && p[1] < 0xa0)
                || (p[0] == 0xed && p[1] > 0x9f))
            {
                break;
            }

            p += 3;
            continue;
        }

        if (!ngx_http_gateway_json_is_tail(p[3])
            || p[0] > 0xf4
            || (p[0] == 0xf0 && p[1] < 0x90)
            || (p[0] == 0xf4 && p[1] > 0x8f))
        {
            break;
        }

        p += 4;
    }

    return p;
}


/* sets what may follow the first byte of a character, RFC 3629 section 4 */

static ngx_inline ngx_int_t
ngx_http_gateway_json_utf8_lead(ngx_http_gateway_json_scan_t *s,
    u_char c)
{
    s->low = 0x80;
    s->high = 0xbf;

    if (c >= 0xc2 && c <= 0xdf) {
        s->left = 1;
        return NGX_OK;
    }

    if (c >= 0xe0 && c <= 0xef) {
        s->left = 2;

        if (c == 0xe0) {
            s->low = 0xa0;

        } else if (c == 0xed) {
            s->high = 0x9f;
        }

        return NGX_OK;
    }

    if (c >= 0xf0 && c <= 0xf4) {
        s->left = 3;

        if (c == 0xf0) {
            s->low = 0x90;

        } else if (c == 0xf4) {
            s->high = 0x8f;
        }

        return NGX_OK;
    }

    return NGX_ERROR;
}
