
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Rates, and the times that stand for tokens.
 */


#ifndef _NGX_HTTP_GATEWAY_RATE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_GATEWAY_RATE_MAX        1000000
#define NGX_HTTP_GATEWAY_RATE_MAX_BURST  ((uint64_t) 1 << 31)


/* "tokens" in "period", and at most "burst" at once; all are positive */

typedef struct {
    uint64_t       tokens;
    uint64_t       period;      /* microseconds */
    uint64_t       burst;

    uint64_t       token_time;  /* of one token, rounded down, */
    uint32_t       fraction;    /* and the rest, in 2^-32 us */
    int64_t        capacity;    /* the time of "burst", rounded up */
} ngx_http_gateway_rate_t;


#pragma GCC visibility push(hidden)

/*
 * Parses "N r/s", "N r/m", "N r/h" or "N r/d", the space being optional, and
 * " burst=M" after it, which leaves rate->burst alone when it is absent.
 *
 * Returns NGX_OK, or NGX_DECLINED for anything else.
 */

ngx_int_t ngx_http_gateway_rate_parse(ngx_str_t *text,
    ngx_http_gateway_rate_t *rate);

/*
 * Computes the times from tokens, period and burst.  Returns NGX_OK, or
 * NGX_DECLINED when a full bucket takes longer than "max" microseconds.
 */

ngx_int_t ngx_http_gateway_rate_times(
    ngx_http_gateway_rate_t *rate, int64_t max);

/*
 * Parses a number of tokens, decimal digits only, from "min" to
 * NGX_HTTP_GATEWAY_RATE_MAX_BURST.
 *
 * Returns NGX_OK, or NGX_DECLINED for anything else.
 */

ngx_int_t ngx_http_gateway_rate_parse_tokens(u_char *data, size_t len,
    uint64_t min, uint64_t *n);

/*
 * The microseconds in which "tokens" come back, rounded up, or INT64_MAX when
 * they do not fit.
 */

int64_t ngx_http_gateway_rate_time(ngx_http_gateway_rate_t *rate,
    uint64_t tokens);

/*
 * The same for a charge: most rates make a token a fraction of a microsecond
 * too long or too short, which would add up.  "fraction", in 2^-32 us, is
 * what has not been charged yet; it is kept from one call to the next.
 */

int64_t ngx_http_gateway_rate_charge_time(
    ngx_http_gateway_rate_t *rate, uint64_t tokens, uint32_t *fraction);

/*
 * Takes a token out of a bucket that nobody else takes from: "tat", which
 * starts with 0, is the time at which it is full again, "fraction" as above.
 *
 * Returns NGX_OK, or NGX_DECLINED when there is none.
 */

ngx_int_t ngx_http_gateway_rate_charge(ngx_http_gateway_rate_t *rate,
    int64_t now, int64_t *tat, uint32_t *fraction);

/* The whole tokens that come back in "time" microseconds. */

uint64_t ngx_http_gateway_rate_tokens(ngx_http_gateway_rate_t *rate,
    int64_t time);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_RATE_H_INCLUDED_ */
