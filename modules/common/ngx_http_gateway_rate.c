
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the arithmetic between tokens and time, and the form in which rates
 * are written.  Needs nginx's core, not its HTTP.
 *
 * A rate is kept as written, tokens in a period: the time of one token is a
 * fraction for most rates.  Products take up to 31 + 37 bits.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_rate.h"


static uint64_t ngx_http_gateway_rate_period(u_char unit);


ngx_int_t
ngx_http_gateway_rate_parse(ngx_str_t *text,
    ngx_http_gateway_rate_t *rate)
{
    u_char    *p, *last, *digits;
    uint64_t   tokens, period, burst;

    p = text->data;
    last = p + text->len;

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    if (ngx_http_gateway_rate_parse_tokens(text->data, p - text->data, 1,
                                            &tokens)
        != NGX_OK
        || tokens > NGX_HTTP_GATEWAY_RATE_MAX)
    {
        return NGX_DECLINED;
    }

    if (p < last && *p == ' ') {
        p++;
    }

    if (last - p < 3 || p[0] != 'r' || p[1] != '/') {
        return NGX_DECLINED;
    }

    period = ngx_http_gateway_rate_period(p[2]);

    if (period == 0) {
        return NGX_DECLINED;
    }

    p += 3;
    burst = rate->burst;

    if (p < last) {

        digits = p + sizeof(" burst=") - 1;

        if (last < digits
            || ngx_strncmp(p, " burst=", sizeof(" burst=") - 1) != 0
            || ngx_http_gateway_rate_parse_tokens(digits, last - digits, 1,
                                                   &burst)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    rate->tokens = tokens;
    rate->period = period;
    rate->burst = burst;

    return NGX_OK;
}


static uint64_t
ngx_http_gateway_rate_period(u_char unit)
{
    switch (unit) {

    case 's':
        return 1000000;

    case 'm':
        return (uint64_t) 60 * 1000000;

    case 'h':
        return (uint64_t) 60 * 60 * 1000000;

    case 'd':
        return (uint64_t) 24 * 60 * 60 * 1000000;

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_gateway_rate_times(ngx_http_gateway_rate_t *rate,
    int64_t max)
{
    rate->token_time = rate->period / rate->tokens;
    rate->fraction = (uint32_t) (((rate->period % rate->tokens) << 32)
                                 / rate->tokens);
    rate->capacity = ngx_http_gateway_rate_time(rate, rate->burst);

    return (rate->capacity > max) ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_gateway_rate_parse_tokens(u_char *data, size_t len, uint64_t min,
    uint64_t *n)
{
    u_char    *p, *last;
    uint64_t   value;

    if (len == 0) {
        return NGX_DECLINED;
    }

    value = 0;
    last = data + len;

    for (p = data; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        value = value * 10 + (*p - '0');

        if (value > NGX_HTTP_GATEWAY_RATE_MAX_BURST) {
            return NGX_DECLINED;
        }
    }

    if (value < min) {
        return NGX_DECLINED;
    }

    *n = value;

    return NGX_OK;
}


int64_t
ngx_http_gateway_rate_time(ngx_http_gateway_rate_t *rate,
    uint64_t tokens)
{
    unsigned __int128  time;

    time = (unsigned __int128) tokens * rate->period + rate->tokens - 1;
    time /= rate->tokens;

    return (time > INT64_MAX) ? INT64_MAX : (int64_t) time;
}


int64_t
ngx_http_gateway_rate_charge_time(ngx_http_gateway_rate_t *rate,
    uint64_t tokens, uint32_t *fraction)
{
    uint64_t           part;
    unsigned __int128  time;

    part = tokens * rate->fraction + *fraction;
    *fraction = (uint32_t) part;

    time = (unsigned __int128) tokens * rate->token_time + (part >> 32);

    return (time > INT64_MAX) ? INT64_MAX : (int64_t) time;
}


ngx_int_t
ngx_http_gateway_rate_charge(ngx_http_gateway_rate_t *rate, int64_t now,
    int64_t *tat, uint32_t *fraction)
{
    int64_t  full;

    full = ngx_max(*tat, now)
           + ngx_http_gateway_rate_charge_time(rate, 1, fraction);

    if (full - now > rate->capacity) {
        return NGX_DECLINED;
    }

    *tat = full;

    return NGX_OK;
}


uint64_t
ngx_http_gateway_rate_tokens(ngx_http_gateway_rate_t *rate,
    int64_t time)
{
    if (time <= 0) {
        return 0;
    }

    /* 43 bits of time, 20 of tokens: a division that the processor has */

    if ((time >> 43) == 0) {
        return (uint64_t) time * rate->tokens / rate->period;
    }

    return (uint64_t) ((unsigned __int128) time * rate->tokens / rate->period);
}
