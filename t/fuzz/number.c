
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a number, a line feed, another one.  They are what a rule compares:
 * text of a configuration, of a variable or of a token.
 */


#include <math.h>

#include "fuzz.h"


static ngx_uint_t fuzz_number(ngx_pool_t *pool, ngx_str_t *text,
    double *number);
static ngx_uint_t fuzz_grammar(const char *p);
static ngx_uint_t fuzz_integer(ngx_str_t *text, __int128 *n);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    double      a, b;
    __int128    m, n;
    ngx_int_t   rc, sign, expected;
    ngx_str_t   one, two;
    ngx_uint_t  first, second;

    fuzz_split(pool, input, &one, &two);

    first = fuzz_number(pool, &one, &a);
    second = fuzz_number(pool, &two, &b);

    rc = ngx_http_gateway_jwt_number_cmp(&one, &two, &sign);

    if (!first || !second) {
        fuzz_check(rc == NGX_DECLINED);
        return "none";
    }

    fuzz_check(rc == NGX_OK);

    if (fuzz_integer(&one, &m) && fuzz_integer(&two, &n)) {
        expected = (m > n) - (m < n);

    } else {
        expected = (a > b) - (a < b);
    }

    fuzz_check(sign == expected);

    return sign < 0 ? "less" : sign > 0 ? "greater" : "equal";
}


static ngx_uint_t
fuzz_number(ngx_pool_t *pool, ngx_str_t *text, double *number)
{
    char       *copy;
    double      value;
    ngx_int_t   rc;
    ngx_uint_t  good;

    copy = ngx_pcalloc(pool, text->len + 1);
    ngx_memcpy(copy, text->data, text->len);

    good = text->len <= 511 && strlen(copy) == text->len && fuzz_grammar(copy)
           && isfinite(strtod(copy, NULL));

    value = good ? strtod(copy, NULL) : 0;

    rc = ngx_http_gateway_jwt_number(text, number);

    fuzz_check(rc == (good ? NGX_OK : NGX_DECLINED));
    fuzz_check(!good || *number == value);

    return good;
}


/* JSON's, but that zeros may be in front and no digits after the point */

static ngx_uint_t
fuzz_grammar(const char *p)
{
    static const char  digits[] = "0123456789";

    p += (*p == '-');

    if (strspn(p, digits) == 0) {
        return 0;
    }

    p += strspn(p, digits);

    if (*p == '.') {
        p++;
        p += strspn(p, digits);
    }

    if (*p == 'e' || *p == 'E') {
        p++;
        p += (*p == '+' || *p == '-');

        if (strspn(p, digits) == 0) {
            return 0;
        }

        p += strspn(p, digits);
    }

    return *p == '\0';
}


/* what is compared exactly */

static ngx_uint_t
fuzz_integer(ngx_str_t *text, __int128 *n)
{
    size_t      i;
    ngx_uint_t  minus;

    minus = (text->data[0] == '-');

    if (text->len - minus > 19) {
        return 0;
    }

    *n = 0;

    for (i = minus; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return 0;
        }

        *n = *n * 10 + (text->data[i] - '0');
    }

    *n = minus ? -*n : *n;

    return *n >= INT64_MIN && *n <= INT64_MAX;
}
