
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what clients are told: the RateLimit and RateLimit-Policy fields
 * (draft-ietf-httpapi-ratelimit-headers-11; lists of structured fields, RFC
 * 9651), their X-RateLimit forerunners, and refusals.
 */


#include "ngx_http_gateway_limit.h"


#define NGX_HTTP_GATEWAY_LIMIT_TYPE                                          \
    "https://iana.org/assignments/http-problem-types#quota-exceeded"

#define NGX_HTTP_GATEWAY_LIMIT_TITLE                                         \
    "Request cannot be satisfied as assigned quota has been exceeded"


static ngx_int_t ngx_http_gateway_limit_add_policies(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_limit_add_limits(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_limit_add_legacy(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check);
static ngx_int_t ngx_http_gateway_limit_add_number(ngx_http_request_t *r,
    ngx_str_t *name, uint64_t n);
static ngx_uint_t ngx_http_gateway_limit_shown(
    ngx_http_gateway_limit_check_t *check);
static u_char *ngx_http_gateway_limit_digits(u_char *p, uint64_t n);
static int64_t ngx_http_gateway_limit_seconds(int64_t time);


uint64_t
ngx_http_gateway_limit_remaining(ngx_http_gateway_limit_check_t *check)
{
    return ngx_http_gateway_rate_tokens(check->rate,
                                         check->request.capacity
                                         - check->result.debt);
}


ngx_int_t
ngx_http_gateway_limit_policy(ngx_pool_t *pool, ngx_str_t *name,
    ngx_http_gateway_rate_t *rate, ngx_str_t *policy)
{
    u_char  *p;

    p = ngx_pnalloc(pool, name->len + sizeof("\"\";q=;w=") - 1
                          + 2 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    policy->data = p;

    p = ngx_sprintf(p, "\"%V\";q=%uL;w=%L", name, rate->burst,
                    ngx_max(ngx_http_gateway_limit_seconds(rate->capacity),
                            1));

    policy->len = p - policy->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_limit_add_headers(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx)
{
    ngx_http_gateway_limit_check_t  *check;

    for (check = ctx->checks; check; check = check->next) {
        if (ngx_http_gateway_limit_shown(check)) {
            break;
        }
    }

    if (check == NULL) {
        return NGX_OK;
    }

    if (ngx_http_gateway_limit_add_policies(r, ctx) != NGX_OK
        || ngx_http_gateway_limit_add_limits(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->headers == NGX_HTTP_GATEWAY_LIMIT_HEADERS_LEGACY) {

        if (ctx->deciding != NULL
            && ngx_http_gateway_limit_shown(ctx->deciding))
        {
            check = ctx->deciding;
        }

        return ngx_http_gateway_limit_add_legacy(r, check);
    }

    return NGX_OK;
}


/* a dry run is not to be noticed */

static ngx_uint_t
ngx_http_gateway_limit_shown(ngx_http_gateway_limit_check_t *check)
{
    return !check->limit->dry_run;
}


static ngx_int_t
ngx_http_gateway_limit_add_policies(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx)
{
    u_char                          *p;
    size_t                           len;
    ngx_uint_t                       n;
    ngx_table_elt_t                 *h;
    ngx_http_gateway_limit_check_t  *check, *only;

    n = 0;
    len = 0;
    only = NULL;

    for (check = ctx->checks; check; check = check->next) {

        if (!ngx_http_gateway_limit_shown(check)) {
            continue;
        }

        n++;
        len += check->policy->len + sizeof(", ") - 1;
        only = check;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->key, "RateLimit-Policy");

    if (n == 1) {
        h->value = *only->policy;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    h->value.data = p;

    for (check = ctx->checks; check; check = check->next) {

        if (!ngx_http_gateway_limit_shown(check)) {
            continue;
        }

        if (p != h->value.data) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, check->policy->data, check->policy->len);
    }

    h->value.len = p - h->value.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_add_limits(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx)
{
    u_char                          *p;
    size_t                           len;
    ngx_table_elt_t                 *h;
    ngx_http_gateway_limit_check_t  *check;

    len = 0;

    for (check = ctx->checks; check; check = check->next) {
        len += check->zone->name.len + sizeof("\"\";r=;t=, ") - 1
               + 2 * NGX_INT64_LEN;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->key, "RateLimit");
    h->value.data = p;

    for (check = ctx->checks; check; check = check->next) {

        if (!ngx_http_gateway_limit_shown(check)) {
            continue;
        }

        if (p != h->value.data) {
            *p++ = ',';
            *p++ = ' ';
        }

        *p++ = '"';
        p = ngx_cpymem(p, check->zone->name.data, check->zone->name.len);
        p = ngx_cpymem(p, "\";r=", 4);
        p = ngx_http_gateway_limit_digits(p,
                         ngx_http_gateway_limit_remaining(check));
        p = ngx_cpymem(p, ";t=", 3);
        p = ngx_http_gateway_limit_digits(p,
                         ngx_http_gateway_limit_seconds(check->result.debt));
    }

    h->value.len = p - h->value.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_add_legacy(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check)
{
    static ngx_str_t  limit = ngx_string("X-RateLimit-Limit");
    static ngx_str_t  remaining = ngx_string("X-RateLimit-Remaining");
    static ngx_str_t  reset = ngx_string("X-RateLimit-Reset");

    if (ngx_http_gateway_limit_add_number(r, &limit, check->rate->burst)
        != NGX_OK
        || ngx_http_gateway_limit_add_number(r, &remaining,
                                     ngx_http_gateway_limit_remaining(check))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_limit_add_number(r, &reset,
                         ngx_http_gateway_limit_seconds(check->result.debt));
}


static ngx_int_t
ngx_http_gateway_limit_add_number(ngx_http_request_t *r, ngx_str_t *name,
    uint64_t n)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->key = *name;
    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%uL", n) - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_limit_refusal(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_uint_t status, int64_t wait)
{
    u_char                      *p;
    size_t                       len;
    ngx_str_t                   *name;
    ngx_http_gateway_problem_t  *problem;

    static ngx_str_t  retry_after = ngx_string("Retry-After");

    if (wait >= 0
        && ngx_http_gateway_limit_add_number(r, &retry_after,
                              ngx_max(ngx_http_gateway_limit_seconds(wait), 1))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    name = &ctx->deciding->zone->name;
    len = sizeof("\"violated-policies\":[\"\"]") - 1 + name->len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    problem = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_problem_t));
    if (problem == NULL) {
        return NGX_ERROR;
    }

    ctx->problem = problem;

    problem->status = status;
    ngx_str_set(&problem->type, NGX_HTTP_GATEWAY_LIMIT_TYPE);
    ngx_str_set(&problem->title, NGX_HTTP_GATEWAY_LIMIT_TITLE);
    ngx_str_set(&problem->detail, "too many requests");

    problem->members.len = len;
    problem->members.data = p;

    ngx_sprintf(p, "\"violated-policies\":[\"%V\"]", name);

    return NGX_OK;
}


/* ngx_sprintf() would take most of the time of the header fields */

static u_char *
ngx_http_gateway_limit_digits(u_char *p, uint64_t n)
{
    u_char  *d, digits[NGX_INT64_LEN];

    d = digits + NGX_INT64_LEN;

    do {
        *--d = (u_char) (n % 10 + '0');
        n /= 10;
    } while (n);

    return ngx_cpymem(p, d, digits + NGX_INT64_LEN - d);
}


/* rounded up: a client that believes it must not come too early */

static int64_t
ngx_http_gateway_limit_seconds(int64_t time)
{
    return time / 1000000 + (time % 1000000 != 0);
}
