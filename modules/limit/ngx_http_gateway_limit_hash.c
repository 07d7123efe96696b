
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012).  Keys of buckets come from clients, who must not be able to choose
 * the set that they fall into, or another key's tag.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_limit_table.h"


#define ngx_http_gateway_limit_rotl(x, n)  ((x) << (n) | (x) >> (64 - (n)))


static ngx_inline void
ngx_http_gateway_limit_sipround(uint64_t *v)
{
    v[0] += v[1];
    v[1] = ngx_http_gateway_limit_rotl(v[1], 13);
    v[1] ^= v[0];
    v[0] = ngx_http_gateway_limit_rotl(v[0], 32);

    v[2] += v[3];
    v[3] = ngx_http_gateway_limit_rotl(v[3], 16);
    v[3] ^= v[2];

    v[0] += v[3];
    v[3] = ngx_http_gateway_limit_rotl(v[3], 21);
    v[3] ^= v[0];

    v[2] += v[1];
    v[1] = ngx_http_gateway_limit_rotl(v[1], 17);
    v[1] ^= v[2];
    v[2] = ngx_http_gateway_limit_rotl(v[2], 32);
}


/* "len" bytes, 8 at most, the first one being the lowest */

static ngx_inline uint64_t
ngx_http_gateway_limit_word(u_char *p, size_t len)
{
    uint64_t  m;

    m = 0;

#if (NGX_HAVE_LITTLE_ENDIAN)
    ngx_memcpy(&m, p, len);
#else
    while (len--) {
        m = m << 8 | p[len];
    }
#endif

    return m;
}


uint64_t
ngx_http_gateway_limit_hash(ngx_http_gateway_limit_table_t *table,
    u_char *data, size_t len)
{
    u_char    *p, *last;
    uint64_t   m, v[4];

    v[0] = table->seed[0] ^ 0x736f6d6570736575;
    v[1] = table->seed[1] ^ 0x646f72616e646f6d;
    v[2] = table->seed[0] ^ 0x6c7967656e657261;
    v[3] = table->seed[1] ^ 0x7465646279746573;

    last = data + (len & ~(size_t) 7);

    for (p = data; p < last; p += 8) {
        m = ngx_http_gateway_limit_word(p, 8);

        v[3] ^= m;
        ngx_http_gateway_limit_sipround(v);
        ngx_http_gateway_limit_sipround(v);
        v[0] ^= m;
    }

    m = ngx_http_gateway_limit_word(p, len & 7) | (uint64_t) len << 56;

    v[3] ^= m;
    ngx_http_gateway_limit_sipround(v);
    ngx_http_gateway_limit_sipround(v);
    v[0] ^= m;

    v[2] ^= 0xff;
    ngx_http_gateway_limit_sipround(v);
    ngx_http_gateway_limit_sipround(v);
    ngx_http_gateway_limit_sipround(v);
    ngx_http_gateway_limit_sipround(v);

    m = v[0] ^ v[1] ^ v[2] ^ v[3];

    /* 0 is the tag of an entry that was never used */

    return m ? m : 1;
}
