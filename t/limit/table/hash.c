
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The keyed hash: the test vectors of SipHash-2-4's authors, and how evenly
 * keys as clients have them, which differ in few bits, fall into the sets.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>

#include "ngx_http_gateway_limit_table.h"


#define SETS  1024
#define KEYS  (64 * SETS)


static ngx_uint_t hash_vectors(ngx_http_gateway_limit_table_t *table);
static size_t hash_key(u_char *key, ngx_uint_t form, uint32_t i);
static ngx_uint_t hash_sets(ngx_http_gateway_limit_table_t *table,
    ngx_uint_t form);


/* the hash of the bytes 00, 01, ... 3e, cut to 0 ... 63 of them; key 00..0f */

static uint64_t  vectors[] = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
    0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
    0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462,
    0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
    0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794,
    0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd, 0xbed65cf21aa2ee98,
    0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
    0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3,
    0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
    0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce,
    0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
    0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d,
    0x9abfd8766a33735c, 0x0e3ea96b5304a7d0, 0xad0c42d6fc585992,
    0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
    0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
    0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72,
    0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f,
    0x7fa8220ba3b2ecea, 0x245731c13ca42499, 0xb78dbfaf3a8d83bd,
    0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
    0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57,
    0x958a324ceb064572
};


static ngx_uint_t
hash_vectors(ngx_http_gateway_limit_table_t *table)
{
    u_char      data[72], *p;
    uint64_t    hash;
    ngx_uint_t  i, n, shift, failed;

    n = sizeof(vectors) / sizeof(vectors[0]);
    failed = 0;

    /* at any alignment */

    for (shift = 0; shift < 8; shift++) {
        p = data + shift;

        for (i = 0; i < n; i++) {
            p[i] = i;
        }

        for (i = 0; i < n; i++) {
            hash = ngx_http_gateway_limit_hash(table, p, i);

            if (hash != vectors[i]) {
                printf("%d bytes: %016" PRIx64 " instead of %016" PRIx64 "\n",
                       (int) i, hash, vectors[i]);
                failed = 1;
            }
        }
    }

    printf("%d vectors\n", (int) n);

    return failed;
}


/* binary addresses in a row, and in text */

static size_t
hash_key(u_char *key, ngx_uint_t form, uint32_t i)
{
    uint32_t  address;

    address = 0x0a000000 + i;

    if (form == 0) {
        key[0] = address >> 24;
        key[1] = address >> 16;
        key[2] = address >> 8;
        key[3] = address;

        return 4;
    }

    return sprintf((char *) key, "%u.%u.%u.%u", address >> 24,
                   address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}


/*
 * Chi-square over the sets: SETS - 1 expected, with a standard deviation of
 * sqrt(2 * SETS).
 */

static ngx_uint_t
hash_sets(ngx_http_gateway_limit_table_t *table, ngx_uint_t form)
{
    double                    chi, mean, deviations;
    u_char                    key[64];
    size_t                    len, set;
    uint64_t                  hash;
    uint32_t                  i;
    static ngx_uint_t         counts[SETS];

    ngx_memzero(counts, sizeof(counts));

    for (i = 0; i < KEYS; i++) {
        len = hash_key(key, form, i);
        hash = ngx_http_gateway_limit_hash(table, key, len);

        set = ((unsigned __int128) hash * SETS) >> 64;
        counts[set]++;
    }

    mean = (double) KEYS / SETS;
    chi = 0;

    for (i = 0; i < SETS; i++) {
        chi += (counts[i] - mean) * (counts[i] - mean) / mean;
    }

    deviations = (chi - (SETS - 1)) / sqrt(2 * (SETS - 1));

    printf("%s: chi-square over %d sets %.0f, %.1f standard deviations from "
           "what is expected\n", form ? "text" : "binary", SETS, chi,
           deviations);

    return fabs(deviations) > 4;
}


int
main(void)
{
    ngx_uint_t                      i, failed;
    ngx_http_gateway_limit_table_t  table;

    ngx_memzero(&table, sizeof(table));

    table.seed[0] = 0x0706050403020100;
    table.seed[1] = 0x0f0e0d0c0b0a0908;

    failed = hash_vectors(&table);

    for (i = 0; i < 2; i++) {
        failed |= hash_sets(&table, i);
    }

    return failed;
}
