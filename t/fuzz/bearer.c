
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The value of an Authorization header against the grammar, written down
 * another way: RFC 9110, section 11.4; RFC 6750, section 2.1.
 */


#include "fuzz.h"


static ngx_int_t fuzz_bearer(char *value, size_t len, char **token);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    char       *expected;
    ngx_int_t   rc;
    ngx_str_t   token, text;

    /* the same with a NUL after it, for the functions used below */

    text.len = input->len + 1;
    text.data = ngx_pcalloc(pool, text.len);

    if (input->len) {
        ngx_memcpy(text.data, input->data, input->len);
    }

    rc = ngx_http_gateway_jwt_bearer(input, &token);

    if (rc == NGX_OK && !ngx_http_gateway_jwt_is_b64token(&token)) {
        rc = NGX_ERROR;
    }

    fuzz_check(rc == fuzz_bearer((char *) text.data, input->len, &expected));

    if (rc == NGX_DECLINED) {
        return "missing";
    }

    if (rc == NGX_ERROR) {
        return "malformed";
    }

    /* the rest of the value, where it is */

    fuzz_check(token.data - input->data == expected - (char *) text.data);
    fuzz_check(token.data + token.len == input->data + input->len);

    return "ok";
}


static ngx_int_t
fuzz_bearer(char *value, size_t len, char **token)
{
    char    *p;
    size_t   scheme;

    static const char  chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789-._~+/";

    scheme = strcspn(value, " \t");

    if (value[scheme] == '\0' && scheme < len) {

        /* a NUL, which is no part of any scheme's name */

        return NGX_DECLINED;
    }

    if (scheme != 6 || strncasecmp(value, "Bearer", 6) != 0) {
        return NGX_DECLINED;
    }

    p = value + scheme;
    p += strspn(p, " ");

    if (p == value + scheme) {
        return NGX_ERROR;
    }

    *token = p;

    p += strspn(p, chars);

    if (p == *token) {
        return NGX_ERROR;
    }

    p += strspn(p, "=");

    return (p == value + len) ? NGX_OK : NGX_ERROR;
}
