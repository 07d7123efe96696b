
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the arithmetic of shares.  Knows neither requests nor what the shares
 * are, and remembers nothing: where a key belongs follows from the key and the
 * weights alone, in all workers and on all machines.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>

#include "ngx_http_gateway_route_split.h"


static uint64_t ngx_http_gateway_route_mix(uint64_t x);


/* FNV-1a of 64 bits, whose last bytes are then spread over all bits */

uint64_t
ngx_http_gateway_route_hash(u_char *data, size_t len)
{
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;

    while (len--) {
        h ^= *data++;
        h *= 0x100000001b3ULL;
    }

    return ngx_http_gateway_route_mix(h);
}


/*
 * Each share draws a time from an exponential distribution whose rate is its
 * weight, with a hash of key and share for chance; the first one gets the key.
 */

ngx_uint_t
ngx_http_gateway_route_stick(ngx_http_gateway_route_share_t *shares,
    ngx_uint_t n, ngx_str_t *key)
{
    double      u, time, first;
    uint64_t    h;
    ngx_uint_t  i, best;

    h = ngx_http_gateway_route_hash(key->data, key->len);

    best = n - 1;
    first = HUGE_VAL;

    for (i = 0; i < n; i++) {

        if (shares[i].weight == 0) {
            continue;
        }

        /* 53 bits, and never 0 or 1 */

        u = ((double) (ngx_http_gateway_route_mix(h ^ shares[i].id) >> 11)
             + 0.5) / 9007199254740992.0;

        time = -log(u) / (double) shares[i].weight;

        if (time < first) {
            first = time;
            best = i;
        }
    }

    return best;
}


ngx_uint_t
ngx_http_gateway_route_draw(ngx_http_gateway_route_share_t *shares,
    ngx_uint_t n)
{
    ngx_uint_t  i, total, point;

    total = 0;

    for (i = 0; i < n; i++) {
        total += shares[i].weight;
    }

    if (total == 0) {
        return n - 1;
    }

    point = ngx_random() % total;

    for (i = 0; i < n - 1; i++) {

        if (point < shares[i].weight) {
            break;
        }

        point -= shares[i].weight;
    }

    return i;
}


/* the finalizer of SplitMix64 (Steele, Lea and Flood, 2014) */

static uint64_t
ngx_http_gateway_route_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return x ^ (x >> 31);
}
