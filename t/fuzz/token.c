
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A token as a client sends it, any bytes.  One that is accepted is the only
 * encoding of its parts, and its parts hold together.
 */


#include "fuzz.h"


static void fuzz_check_encoding(ngx_pool_t *pool,
    ngx_http_gateway_jwt_token_t *token, ngx_http_gateway_jwt_parts_t *parts);
static u_char *fuzz_encode(u_char *p, u_char *data, size_t len);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_int_t                       rc;
    ngx_http_gateway_jwt_json_t    *header, *payload;
    ngx_http_gateway_jwt_parts_t    parts;
    ngx_http_gateway_jwt_token_t   *token;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    fuzz_make_issuers();

    rc = ngx_http_gateway_jwt_token_parse(pool, input, &token, &parts);

    fuzz_check(rc == NGX_OK || rc == NGX_DECLINED);

    if (rc == NGX_DECLINED) {
        return "malformed";
    }

    header = &token->header;
    payload = &token->payload;

    fuzz_check(token->refs == 1);
    fuzz_check(token->issuer == NULL);
    fuzz_check(fuzz_equal(&token->value, input->data, input->len));
    fuzz_check_encoding(pool, token, &parts);

    /* the token is one block of memory: ASan sees its end only */

    fuzz_check_index(pool, header, payload->text - header->text);
    fuzz_check_index(pool, payload, token->value.data - payload->text);

    issuer = ngx_http_gateway_jwt_token_issuer(token, fuzz_issuers,
                                               FUZZ_ISSUERS);

    rc = NGX_HTTP_GATEWAY_JWT_UNKNOWN_ISSUER;

    if (issuer != NULL) {
        rc = ngx_http_gateway_jwt_token_verify(token, &parts, issuer,
                                               FUZZ_NOW);
    }

    ngx_http_gateway_jwt_token_release(token);

    return fuzz_status(rc);
}


static void
fuzz_check_encoding(ngx_pool_t *pool, ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_parts_t *parts)
{
    u_char  *p, *encoded;

    encoded = ngx_pnalloc(pool, ngx_base64_encoded_length(token->header.len)
                          + ngx_base64_encoded_length(token->payload.len)
                          + ngx_base64_encoded_length(parts->signature.len)
                          + 2);

    p = fuzz_encode(encoded, token->header.text, token->header.len);
    *p++ = '.';

    p = fuzz_encode(p, token->payload.text, token->payload.len);

    fuzz_check(fuzz_equal(&parts->input, encoded, p - encoded));
    *p++ = '.';

    p = fuzz_encode(p, parts->signature.data, parts->signature.len);

    fuzz_check(fuzz_equal(&token->value, encoded, p - encoded));
}


/* not nginx's */

static u_char *
fuzz_encode(u_char *p, u_char *data, size_t len)
{
    size_t      i;
    uint32_t    bits;
    ngx_uint_t  n;

    static const char  chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789-_";

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {

        bits = (bits << 8 | data[i]) & 0xffff;
        n += 8;

        while (n >= 6) {
            n -= 6;
            *p++ = chars[bits >> n & 0x3f];
        }
    }

    if (n) {
        *p++ = chars[bits << (6 - n) & 0x3f];
    }

    return p;
}
