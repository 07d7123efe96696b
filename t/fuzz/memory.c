
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: how many allocations succeed before one fails (255: none does), a
 * letter for what is parsed, and that.  Without memory anything may be
 * refused, and nothing may be lost or touched that is not there.
 */


#include "fuzz.h"


static const char *fuzz_key_file(ngx_pool_t *pool, ngx_str_t *text);
static const char *fuzz_token_text(ngx_pool_t *pool, ngx_str_t *text);
static const char *fuzz_pointer(ngx_pool_t *pool, ngx_str_t *text);
static const char *fuzz_outcome_of(ngx_int_t rc);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_int_t    n;
    ngx_str_t    text;
    const char  *outcome;

    if (input->len < 2) {
        return "nothing";
    }

    text.data = input->data + 2;
    text.len = input->len - 2;

    n = input->data[0] == 0xff ? -1 : input->data[0];

    switch (input->data[1]) {

    case 'k':

        /* libjwt and json_pack() leak when jansson has no memory */

        fuzz_allocations(n, 0);
        outcome = fuzz_key_file(pool, &text);
        break;

    case 't':
        fuzz_allocations(n, 1);
        outcome = fuzz_token_text(pool, &text);
        break;

    default:
        fuzz_allocations(n, 0);
        outcome = fuzz_pointer(pool, &text);
    }

    fuzz_allocations(-1, 0);

    return outcome;
}


static const char *
fuzz_key_file(ngx_pool_t *pool, ngx_str_t *text)
{
    char                         *reason;
    ngx_int_t                     rc;
    ngx_str_t                     name;
    ngx_http_gateway_jwt_keys_t   keys;

    ngx_str_set(&name, "key_file \"fuzz\"");

    rc = ngx_http_gateway_jwt_keys_init(&keys, pool,
                   ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_NALGS) - 1);

    if (rc == NGX_OK) {
        reason = NULL;

        rc = ngx_http_gateway_jwt_keys_add(&keys, pool, &fuzz_log, text,
                                           &name, &reason);

        fuzz_check(rc != NGX_DECLINED || reason != NULL);
    }

    return fuzz_outcome_of(rc);
}


static const char *
fuzz_token_text(ngx_pool_t *pool, ngx_str_t *text)
{
    ngx_int_t                      rc;
    ngx_http_gateway_jwt_parts_t   parts;
    ngx_http_gateway_jwt_token_t  *token;

    rc = ngx_http_gateway_jwt_token_parse(pool, text, &token, &parts);

    if (rc == NGX_OK) {
        fuzz_check(token->refs == 1);
        ngx_http_gateway_jwt_token_release(token);
    }

    return fuzz_outcome_of(rc);
}


static const char *
fuzz_pointer(ngx_pool_t *pool, ngx_str_t *text)
{
    ngx_http_gateway_jwt_pointer_t  pointer;

    return fuzz_outcome_of(ngx_http_gateway_jwt_pointer_compile(pool, text,
                                                                &pointer));
}


static const char *
fuzz_outcome_of(ngx_int_t rc)
{
    fuzz_check(rc == NGX_OK || rc == NGX_ERROR || rc == NGX_DECLINED);

    return rc == NGX_OK ? "ok" : rc == NGX_ERROR ? "error" : "refused";
}
