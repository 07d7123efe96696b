
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a name, a line feed, a value, a line feed, a query.
 *
 * The query has such an argument just when one of the pieces between "&" is
 * one that is cut in two and then decoded into memory of its own.
 */


#include "fuzz.h"

#include "ngx_http_gateway_route_query.h"


static ngx_uint_t fuzz_has(ngx_pool_t *pool, ngx_str_t *piece,
    ngx_str_t *name, ngx_str_t *value);
static void fuzz_decode(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *decoded);
static int fuzz_byte(u_char *p, size_t len);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    size_t      i, start;
    ngx_str_t   name, value, rest, args, piece;
    ngx_uint_t  has;

    fuzz_split(pool, input, &name, &rest);
    fuzz_split(pool, &rest, &value, &args);

    has = 0;
    start = 0;

    for (i = 0; i <= args.len; i++) {

        if (i < args.len && args.data[i] != '&') {
            continue;
        }

        piece.data = args.data + start;
        piece.len = i - start;
        start = i + 1;

        has |= fuzz_has(pool, &piece, &name, &value);
    }

    fuzz_check(ngx_http_gateway_route_query(&args, &name, &value) == has);

    return has ? "has" : "lacks";
}


static ngx_uint_t
fuzz_has(ngx_pool_t *pool, ngx_str_t *piece, ngx_str_t *name, ngx_str_t *value)
{
    size_t     len;
    ngx_str_t  left, right, text;

    if (piece->len == 0) {
        return 0;
    }

    for (len = 0; len < piece->len && piece->data[len] != '='; len++) {
        /* void */
    }

    left.data = piece->data;
    left.len = len;

    right.data = piece->data + len;
    right.len = piece->len - len;

    if (right.len) {
        right.data++;
        right.len--;
    }

    fuzz_decode(pool, &left, &text);

    if (!fuzz_equal(&text, name->data, name->len)) {
        return 0;
    }

    fuzz_decode(pool, &right, &text);

    return fuzz_equal(&text, value->data, value->len);
}


static void
fuzz_decode(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *decoded)
{
    int     c;
    size_t  i;

    decoded->len = 0;
    decoded->data = ngx_pnalloc(pool, text->len);

    for (i = 0; i < text->len; i++) {
        c = fuzz_byte(text->data + i, text->len - i);

        if (c >= 0) {
            i += 2;

        } else {
            c = text->data[i] == '+' ? ' ' : text->data[i];
        }

        decoded->data[decoded->len++] = c;
    }
}


/* what "%HH" is, or -1 */

static int
fuzz_byte(u_char *p, size_t len)
{
    int   c;
    char  digits[3];

    if (len < 3 || p[0] != '%' || !isxdigit(p[1]) || !isxdigit(p[2])) {
        return -1;
    }

    digits[0] = p[1];
    digits[1] = p[2];
    digits[2] = '\0';

    c = strtol(digits, NULL, 16);

    return c;
}
