
/*
 * Copyright (C) ngx_gateway authors
 */


#include "reference.h"


#define REFERENCE_BITS     15
#define REFERENCE_SYMBOLS  320
#define REFERENCE_NONE     (-1)
#define REFERENCE_END      256
#define REFERENCE_WINDOW   32768


/* a canonical code, RFC 1951, section 3.2.2: symbols ordered by their codes */

typedef struct {
    ngx_int_t    count[REFERENCE_BITS + 1];
    ngx_int_t    symbol[REFERENCE_SYMBOLS];
} reference_code_t;


static ngx_uint_t reference_block(reference_t *r, ngx_uint_t *final);
static ngx_uint_t reference_stored(reference_t *r);
static ngx_uint_t reference_codes(reference_t *r, reference_code_t *literals,
    reference_code_t *distances);
static ngx_uint_t reference_read_codes(reference_t *r,
    reference_code_t *literals, reference_code_t *distances);
static ngx_uint_t reference_match(reference_t *r, ngx_int_t symbol,
    reference_code_t *distances);
static ngx_uint_t reference_copy(reference_t *r, size_t distance, size_t len);
static ngx_int_t reference_make(reference_code_t *code, ngx_int_t *lengths,
    ngx_int_t n);
static ngx_int_t reference_symbol(reference_t *r, reference_code_t *code);
static ngx_int_t reference_bits(reference_t *r, ngx_uint_t n);
static ngx_int_t reference_bit(reference_t *r);


static u_char  reference_tail[] = { 0x00, 0x00, 0xff, 0xff };


void
reference_init(reference_t *r, u_char *out, size_t room)
{
    ngx_memzero(r, sizeof(reference_t));

    r->out = out;
    r->room = room;
}


ngx_uint_t
reference_message(reference_t *r, u_char *in, size_t size,
    ngx_uint_t no_takeover)
{
    ngx_uint_t  rc, final;

    if (size == 0) {
        return REFERENCE_ERROR;
    }

    if (no_takeover) {
        r->window = r->len;
    }

    r->in = in;
    r->size = size;
    r->pos = 0;
    r->bits = 0;
    r->distance = 0;

    do {
        final = 0;

        rc = reference_block(r, &final);

        if (rc != REFERENCE_OK) {
            return rc;
        }

        if (final) {

            if (r->bits) {
                r->bits = 0;
                r->pos++;
            }

            /* the empty block after it is not insisted on */

            if (r->pos == size) {
                break;
            }
        }

    } while (r->pos < size + sizeof(reference_tail));

    return REFERENCE_OK;
}


static ngx_uint_t
reference_block(reference_t *r, ngx_uint_t *final)
{
    ngx_int_t         i, type, last, lengths[REFERENCE_SYMBOLS];
    ngx_uint_t        rc;
    reference_code_t  literals, distances;

    last = reference_bit(r);
    type = reference_bits(r, 2);

    if (last == REFERENCE_NONE || type == REFERENCE_NONE) {
        return REFERENCE_ERROR;
    }

    switch (type) {

    case 0:
        rc = reference_stored(r);
        break;

    case 1:
        for (i = 0; i < 288; i++) {
            lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
        }

        (void) reference_make(&literals, lengths, 288);

        for (i = 0; i < 30; i++) {
            lengths[i] = 5;
        }

        (void) reference_make(&distances, lengths, 30);

        rc = reference_codes(r, &literals, &distances);
        break;

    case 2:
        rc = reference_read_codes(r, &literals, &distances);

        if (rc == REFERENCE_OK) {
            rc = reference_codes(r, &literals, &distances);
        }

        break;

    default:
        rc = REFERENCE_ERROR;
    }

    *final = last;

    return rc;
}


static ngx_uint_t
reference_stored(reference_t *r)
{
    ngx_int_t  len, complement, byte;

    if (r->bits) {
        r->bits = 0;
        r->pos++;
    }

    len = reference_bits(r, 16);
    complement = reference_bits(r, 16);

    if (len == REFERENCE_NONE || complement == REFERENCE_NONE
        || len != (complement ^ 0xffff))
    {
        return REFERENCE_ERROR;
    }

    while (len--) {
        byte = reference_bits(r, 8);

        if (byte == REFERENCE_NONE) {
            return REFERENCE_ERROR;
        }

        if (r->len == r->room) {
            return REFERENCE_FULL;
        }

        r->out[r->len++] = byte;
    }

    return REFERENCE_OK;
}


static ngx_uint_t
reference_codes(reference_t *r, reference_code_t *literals,
    reference_code_t *distances)
{
    ngx_int_t   symbol;
    ngx_uint_t  rc;

    for ( ;; ) {
        symbol = reference_symbol(r, literals);

        if (symbol == REFERENCE_NONE) {
            return REFERENCE_ERROR;
        }

        if (symbol == REFERENCE_END) {
            return REFERENCE_OK;
        }

        if (symbol > REFERENCE_END) {
            rc = reference_match(r, symbol - 257, distances);

            if (rc != REFERENCE_OK) {
                return rc;
            }

            continue;
        }

        if (r->len == r->room) {
            return REFERENCE_FULL;
        }

        r->out[r->len++] = symbol;
    }
}


/* section 3.2.7 */

static ngx_uint_t
reference_read_codes(reference_t *r, reference_code_t *literals,
    reference_code_t *distances)
{
    ngx_int_t         i, n, left, nlen, ndist, ncode, symbol, previous;
    ngx_int_t         lengths[REFERENCE_SYMBOLS];
    reference_code_t  code;

    static ngx_int_t  order[] = {
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
    };

    nlen = reference_bits(r, 5) + 257;
    ndist = reference_bits(r, 5) + 1;
    ncode = reference_bits(r, 4) + 4;

    if (nlen < 257 || ndist < 1 || ncode < 4 || nlen > 286 || ndist > 30) {
        return REFERENCE_ERROR;
    }

    for (i = 0; i < 19; i++) {
        lengths[order[i]] = i < ncode ? reference_bits(r, 3) : 0;

        if (lengths[order[i]] == REFERENCE_NONE) {
            return REFERENCE_ERROR;
        }
    }

    if (reference_make(&code, lengths, 19) != 0) {
        return REFERENCE_ERROR;
    }

    for (i = 0; i < nlen + ndist; /* void */ ) {
        symbol = reference_symbol(r, &code);

        if (symbol == REFERENCE_NONE) {
            return REFERENCE_ERROR;
        }

        if (symbol < 16) {
            lengths[i++] = symbol;
            continue;
        }

        if (symbol == 16 && i == 0) {
            return REFERENCE_ERROR;
        }

        previous = symbol == 16 ? lengths[i - 1] : 0;

        n = symbol == 16 ? reference_bits(r, 2)
            : symbol == 17 ? reference_bits(r, 3) : reference_bits(r, 7);

        if (n == REFERENCE_NONE) {
            return REFERENCE_ERROR;
        }

        n += symbol == 18 ? 11 : 3;

        if (i + n > nlen + ndist) {
            return REFERENCE_ERROR;
        }

        while (n--) {
            lengths[i++] = previous;
        }
    }

    if (lengths[REFERENCE_END] == 0) {
        return REFERENCE_ERROR;
    }

    /* codes that are not complete are of one symbol, or of none */

    left = reference_make(literals, lengths, nlen);

    if (left < 0
        || (left > 0 && literals->count[0] + literals->count[1] != nlen))
    {
        return REFERENCE_ERROR;
    }

    left = reference_make(distances, lengths + nlen, ndist);

    if (left < 0
        || (left > 0 && distances->count[0] + distances->count[1] != ndist))
    {
        return REFERENCE_ERROR;
    }

    return REFERENCE_OK;
}


/* section 3.2.5 */

static ngx_uint_t
reference_match(reference_t *r, ngx_int_t symbol, reference_code_t *distances)
{
    ngx_int_t  extra, len, distance;

    static ngx_int_t  lens[] = {
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51,
        59, 67, 83, 99, 115, 131, 163, 195, 227, 258
    };

    static ngx_int_t  len_bits[] = {
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4,
        5, 5, 5, 5, 0
    };

    static ngx_int_t  dists[] = {
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385,
        513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577
    };

    static ngx_int_t  dist_bits[] = {
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10,
        10, 11, 11, 12, 12, 13, 13
    };

    if (symbol > 28) {
        return REFERENCE_ERROR;
    }

    extra = reference_bits(r, len_bits[symbol]);
    len = lens[symbol] + extra;

    symbol = extra == REFERENCE_NONE ? REFERENCE_NONE
                                     : reference_symbol(r, distances);

    if (symbol == REFERENCE_NONE || symbol > 29) {
        return REFERENCE_ERROR;
    }

    extra = reference_bits(r, dist_bits[symbol]);
    distance = dists[symbol] + extra;

    if (extra == REFERENCE_NONE) {
        return REFERENCE_ERROR;
    }

    return reference_copy(r, distance, len);
}


static ngx_uint_t
reference_copy(reference_t *r, size_t distance, size_t len)
{
    if (distance > r->len - r->window || distance > REFERENCE_WINDOW) {
        return REFERENCE_ERROR;
    }

    r->distance = ngx_max(r->distance, distance);

    while (len--) {

        if (r->len == r->room) {
            return REFERENCE_FULL;
        }

        r->out[r->len] = r->out[r->len - distance];
        r->len++;
    }

    return REFERENCE_OK;
}


/* returns how many codes are left, less than 0 when there are too many */

static ngx_int_t
reference_make(reference_code_t *code, ngx_int_t *lengths, ngx_int_t n)
{
    ngx_int_t  i, len, left, offsets[REFERENCE_BITS + 1];

    ngx_memzero(code, sizeof(reference_code_t));

    for (i = 0; i < n; i++) {
        code->count[lengths[i]]++;
    }

    left = 1;
    offsets[1] = 0;

    for (len = 1; len <= REFERENCE_BITS; len++) {
        left = 2 * left - code->count[len];

        if (left < 0) {
            return left;
        }

        if (len < REFERENCE_BITS) {
            offsets[len + 1] = offsets[len] + code->count[len];
        }
    }

    for (i = 0; i < n; i++) {
        if (lengths[i]) {
            code->symbol[offsets[lengths[i]]++] = i;
        }
    }

    return left;
}


static ngx_int_t
reference_symbol(reference_t *r, reference_code_t *code)
{
    ngx_int_t  len, bit, value, first, index;

    value = 0;
    first = 0;
    index = 0;

    for (len = 1; len <= REFERENCE_BITS; len++) {
        bit = reference_bit(r);

        if (bit == REFERENCE_NONE) {
            return REFERENCE_NONE;
        }

        value |= bit;

        if (value - first < code->count[len]) {
            return code->symbol[index + value - first];
        }

        index += code->count[len];
        first = (first + code->count[len]) << 1;
        value <<= 1;
    }

    return REFERENCE_NONE;
}


static ngx_int_t
reference_bits(reference_t *r, ngx_uint_t n)
{
    ngx_int_t   bit, value;
    ngx_uint_t  i;

    value = 0;

    for (i = 0; i < n; i++) {
        bit = reference_bit(r);

        if (bit == REFERENCE_NONE) {
            return REFERENCE_NONE;
        }

        value |= bit << i;
    }

    return value;
}


static ngx_int_t
reference_bit(reference_t *r)
{
    u_char     byte;
    ngx_int_t  bit;

    if (r->pos >= r->size + sizeof(reference_tail)) {
        return REFERENCE_NONE;
    }

    byte = r->pos < r->size ? r->in[r->pos]
                            : reference_tail[r->pos - r->size];

    bit = byte >> r->bits & 1;

    if (++r->bits == 8) {
        r->bits = 0;
        r->pos++;
    }

    return bit;
}
