
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Rates of limits, which may come from variables, against the grammar written
 * down another way; and the arithmetic of what was parsed, in 128 bits:
 *
 *     rate = 1*DIGIT [SP] "r/" ( "s" / "m" / "h" / "d" ) [SP "burst=" 1*DIGIT]
 *
 * The tokens that a charge is asked for are the first digits of the input.
 */


#include "fuzz.h"

#include "ngx_http_gateway_rate.h"


static ngx_int_t fuzz_rate(char *text, size_t len, uint64_t *tokens,
    uint64_t *period, uint64_t *burst);
static void fuzz_times(ngx_http_gateway_rate_t *rate);
static void fuzz_charges(ngx_http_gateway_rate_t *rate, uint64_t cost);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    char                           *text;
    uint64_t                        tokens, period, burst, cost;
    ngx_int_t                       rc;
    ngx_http_gateway_rate_t   rate;

    text = ngx_pcalloc(pool, input->len + 1);

    if (input->len) {
        ngx_memcpy(text, input->data, input->len);
    }

    ngx_memzero(&rate, sizeof(rate));
    rate.burst = 7;
    burst = 7;

    rc = ngx_http_gateway_rate_parse(input, &rate);

    fuzz_check(rc == fuzz_rate(text, input->len, &tokens, &period, &burst));

    if (rc != NGX_OK) {
        fuzz_check(rate.tokens == 0 && rate.burst == 7);
        return "refused";
    }

    fuzz_check(rate.tokens == tokens);
    fuzz_check(rate.period == period);
    fuzz_check(rate.burst == burst);

    fuzz_times(&rate);

    if (ngx_http_gateway_rate_parse_tokens(input->data,
                                            strspn(text, "0123456789"), 1,
                                            &cost)
        == NGX_OK)
    {
        fuzz_charges(&rate, cost);
    }

    return "ok";
}


static ngx_int_t
fuzz_rate(char *text, size_t len, uint64_t *tokens, uint64_t *period,
    uint64_t *burst)
{
    int   n;
    char  unit, *p;

    /* what sscanf() would pass over, and what it would read too much of */

    if (strlen(text) != len || strspn(text, "0123456789") == 0) {
        return NGX_DECLINED;
    }

    p = text + strspn(text, "0123456789");
    *tokens = (p - text > 18 && *text != '0') ? 0 : strtoull(text, NULL, 10);

    if (*tokens < 1 || *tokens > 1000000) {
        return NGX_DECLINED;
    }

    p += (*p == ' ');
    n = 0;

    if (sscanf(p, "r/%c%n", &unit, &n) != 1 || n == 0) {
        return NGX_DECLINED;
    }

    p += n;

    *period = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600
              : unit == 'd' ? 86400 : 0;
    *period *= 1000000;

    if (*period == 0) {
        return NGX_DECLINED;
    }

    if (*p == '\0') {
        return NGX_OK;
    }

    if (strncmp(p, " burst=", 7) != 0) {
        return NGX_DECLINED;
    }

    p += 7;
    n = strspn(p, "0123456789");

    if (n == 0 || p[n] != '\0') {
        return NGX_DECLINED;
    }

    p += strspn(p, "0");

    if (strlen(p) > 10) {
        return NGX_DECLINED;
    }

    *burst = strtoull(p, NULL, 10);

    return (*burst >= 1 && *burst <= (uint64_t) 1 << 31) ? NGX_OK
                                                         : NGX_DECLINED;
}


static void
fuzz_times(ngx_http_gateway_rate_t *rate)
{
    ngx_int_t          rc;
    unsigned __int128  capacity;

    rc = ngx_http_gateway_rate_times(rate, (int64_t) 1 << 61);

    capacity = (unsigned __int128) rate->burst * rate->period;
    capacity = capacity / rate->tokens + (capacity % rate->tokens != 0);

    if (capacity > (unsigned __int128) 1 << 61) {
        fuzz_check(rc == NGX_DECLINED);
        return;
    }

    fuzz_check(rc == NGX_OK);
    fuzz_check((unsigned __int128) rate->capacity == capacity);

    /* a full bucket holds what it should, to the token */

    fuzz_check(ngx_http_gateway_rate_tokens(rate, rate->capacity)
               >= rate->burst);
    fuzz_check(ngx_http_gateway_rate_tokens(rate, rate->capacity - 1)
               < rate->burst);
    fuzz_check(ngx_http_gateway_rate_tokens(rate, 0) == 0);
    fuzz_check(ngx_http_gateway_rate_tokens(rate, -1) == 0);
}


/* a thousand charges are as long as their tokens, but for a microsecond */

static void
fuzz_charges(ngx_http_gateway_rate_t *rate, uint64_t cost)
{
    int64_t            time;
    uint32_t           fraction;
    ngx_uint_t         i;
    unsigned __int128  sum, exact;

    sum = 0;
    fraction = 0;

    for (i = 0; i < 1000; i++) {
        time = ngx_http_gateway_rate_charge_time(rate, cost, &fraction);
        sum += time;

        /* what a bucket of this size can always be charged */

        fuzz_check(time <= ngx_http_gateway_rate_time(rate, cost));
    }

    exact = (unsigned __int128) cost * 1000 * rate->period / rate->tokens;

    fuzz_check(sum <= exact + 1);

    /* 2^-32 us a token are not charged */

    fuzz_check(sum + ((unsigned __int128) cost * 1000 >> 32) + 2 >= exact);
}
