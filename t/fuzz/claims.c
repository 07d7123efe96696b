
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a header, a line feed, a payload.  They are made into a token with a
 * good signature, and its status is compared with what the rules, written
 * down on jansson's trees, say; then the token is altered, and put into a
 * cache.
 */


#include <math.h>

#include "fuzz.h"


static void fuzz_token(ngx_pool_t *pool, ngx_str_t *header,
    ngx_str_t *payload, ngx_str_t *value);
static void fuzz_append(ngx_str_t *value, ngx_str_t *text);
static ngx_uint_t fuzz_well_formed(json_t *header, json_t *payload);
static ngx_http_gateway_jwt_issuer_t *fuzz_find_issuer(json_t *payload);
static ngx_int_t fuzz_expected(json_t *header, json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer);
static ngx_int_t fuzz_expected_key(json_t *header, ngx_uint_t alg);
static ngx_int_t fuzz_expected_claims(json_t *header, json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer);
static ngx_uint_t fuzz_listed(ngx_array_t *list, json_t *value);
static ngx_uint_t fuzz_type_listed(ngx_array_t *list, json_t *value);
static ngx_uint_t fuzz_long_number(ngx_str_t *text);
static void fuzz_alter(ngx_pool_t *pool, ngx_str_t *value,
    ngx_http_gateway_jwt_issuer_t *issuer);
static void fuzz_cache(ngx_pool_t *pool, ngx_http_gateway_jwt_token_t *token);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    json_t                         *header, *payload;
    ngx_int_t                       rc, expected;
    ngx_str_t                       h, p, value;
    ngx_http_gateway_jwt_parts_t    parts;
    ngx_http_gateway_jwt_token_t   *token;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    fuzz_make_issuers();

    fuzz_split(pool, input, &h, &p);

    header = fuzz_load(&h);
    payload = fuzz_load(&p);

    fuzz_token(pool, &h, &p, &value);

    rc = ngx_http_gateway_jwt_token_parse(pool, &value, &token, &parts);

    if (!fuzz_well_formed(header, payload)) {
        fuzz_check(rc == NGX_DECLINED);

        json_decref(header);
        json_decref(payload);
        return "malformed";
    }

    fuzz_check(rc == NGX_OK);

    fuzz_check_value(&token->header, token->header.nodes, header);
    fuzz_check_value(&token->payload, token->payload.nodes, payload);

    issuer = ngx_http_gateway_jwt_token_issuer(token, fuzz_issuers,
                                               FUZZ_ISSUERS);

    fuzz_check(issuer == fuzz_find_issuer(payload));

    rc = NGX_HTTP_GATEWAY_JWT_UNKNOWN_ISSUER;

    if (issuer != NULL) {
        rc = ngx_http_gateway_jwt_token_verify(token, &parts, issuer,
                                               FUZZ_NOW);

        expected = fuzz_expected(header, payload, issuer);

        if (rc != expected && !fuzz_long_number(&p)) {
            fprintf(stderr, "status %s, expected %s\n", fuzz_status(rc),
                    fuzz_status(expected));
            abort();
        }

        fuzz_alter(pool, &value, issuer);
    }

    json_decref(header);
    json_decref(payload);

    if (rc == NGX_HTTP_GATEWAY_JWT_OK) {
        fuzz_check(token->issuer == issuer);
        fuzz_check(token->refs == 1);
        fuzz_cache(pool, token);
    }

    ngx_http_gateway_jwt_token_release(token);

    return fuzz_status(rc);
}


/* signed with the algorithm of the header, or not at all */

static void
fuzz_token(ngx_pool_t *pool, ngx_str_t *header, ngx_str_t *payload,
    ngx_str_t *value)
{
    json_t     *root, *node;
    ngx_int_t   alg;
    ngx_str_t   sig, name, text;

    text.len = 0;
    text.data = ngx_pnalloc(pool, ngx_base64_encoded_length(header->len)
                            + ngx_base64_encoded_length(payload->len)
                            + ngx_base64_encoded_length(512) + 2);

    fuzz_append(&text, header);
    text.data[text.len++] = '.';
    fuzz_append(&text, payload);

    ngx_str_null(&sig);

    root = fuzz_load(header);
    node = json_object_get(root, "alg");

    if (json_is_string(node)) {
        name.data = (u_char *) json_string_value(node);
        name.len = json_string_length(node);

        alg = ngx_http_gateway_jwt_alg_find(&name);

        if (alg != NGX_ERROR) {
            fuzz_sign(pool, alg, &text, &sig);
        }
    }

    json_decref(root);

    text.data[text.len++] = '.';
    fuzz_append(&text, &sig);

    fuzz_copy(pool, value, text.data, text.len);
}


static void
fuzz_append(ngx_str_t *value, ngx_str_t *text)
{
    ngx_str_t  encoded;

    encoded.data = value->data + value->len;

    ngx_encode_base64url(&encoded, text);

    value->len += encoded.len;
}


static ngx_uint_t
fuzz_well_formed(json_t *header, json_t *payload)
{
    json_t  *kid, *b64;

    kid = json_object_get(header, "kid");
    b64 = json_object_get(header, "b64");

    return json_is_object(header) && json_is_object(payload)
           && json_object_get(header, "crit") == NULL
           && (b64 == NULL || json_is_true(b64))
           && (kid == NULL || json_is_string(kid))
           && json_is_string(json_object_get(header, "alg"));
}


static ngx_http_gateway_jwt_issuer_t *
fuzz_find_issuer(json_t *payload)
{
    json_t      *iss;
    ngx_uint_t   i;

    iss = json_object_get(payload, "iss");

    for (i = 0; json_is_string(iss) && i < FUZZ_ISSUERS; i++) {
        if (fuzz_equal(&fuzz_issuers[i]->issuer, json_string_value(iss),
                       json_string_length(iss)))
        {
            return fuzz_issuers[i];
        }
    }

    return NULL;
}


static ngx_int_t
fuzz_expected(json_t *header, json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer)
{
    json_t     *node;
    ngx_int_t   alg, rc;
    ngx_str_t   name;

    node = json_object_get(header, "alg");
    name.data = (u_char *) json_string_value(node);
    name.len = json_string_length(node);

    alg = ngx_http_gateway_jwt_alg_find(&name);

    if (alg == NGX_ERROR
        || (issuer->keys.algorithms & ngx_http_gateway_jwt_alg(alg)) == 0)
    {
        return NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM;
    }

    rc = fuzz_expected_key(header, alg);
    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    return fuzz_expected_claims(header, payload, issuer);
}


/* each key but the one without "kid" is for algorithms of its own */

static ngx_int_t
fuzz_expected_key(json_t *header, ngx_uint_t alg)
{
    ngx_uint_t   i;
    const char  *kid;

    kid = json_string_value(json_object_get(header, "kid"));

    if (kid == NULL || kid[0] == '\0'
        || strcmp(kid, fuzz_signer(alg)->kid) == 0)
    {
        return NGX_HTTP_GATEWAY_JWT_OK;
    }

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {
        if (strcmp(kid, fuzz_signer(i)->kid) == 0) {
            return NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM;
        }
    }

    return (alg <= NGX_HTTP_GATEWAY_JWT_HS512)
           ? NGX_HTTP_GATEWAY_JWT_BAD_SIGNATURE
           : NGX_HTTP_GATEWAY_JWT_UNKNOWN_KEY;
}


static ngx_int_t
fuzz_expected_claims(json_t *header, json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer)
{
    json_t  *exp, *nbf, *iat, *aud, *typ, *element;
    double   now, leeway;
    size_t   i;

    exp = json_object_get(payload, "exp");
    nbf = json_object_get(payload, "nbf");
    iat = json_object_get(payload, "iat");
    aud = json_object_get(payload, "aud");
    typ = json_object_get(header, "typ");

    now = FUZZ_NOW;
    leeway = issuer->leeway;

    if ((exp != NULL && !json_is_number(exp))
        || (nbf != NULL && !json_is_number(nbf))
        || (iat != NULL && !json_is_number(iat))
        || (exp == NULL && issuer->require_exp))
    {
        return NGX_HTTP_GATEWAY_JWT_MALFORMED;
    }

    if (exp != NULL && !(now < json_number_value(exp) + leeway)) {
        return NGX_HTTP_GATEWAY_JWT_EXPIRED;
    }

    if ((nbf != NULL && json_number_value(nbf) - leeway > now)
        || (iat != NULL && json_number_value(iat) - leeway > now))
    {
        return NGX_HTTP_GATEWAY_JWT_NOT_YET_VALID;
    }

    if (!issuer->any_audience && !fuzz_listed(&issuer->audiences, aud)) {

        json_array_foreach(aud, i, element) {
            if (fuzz_listed(&issuer->audiences, element)) {
                break;
            }
        }

        if (i == json_array_size(aud)) {
            return NGX_HTTP_GATEWAY_JWT_WRONG_AUDIENCE;
        }
    }

    if (issuer->types.nelts && !fuzz_type_listed(&issuer->types, typ)) {
        return NGX_HTTP_GATEWAY_JWT_WRONG_TYPE;
    }

    if (issuer->max_lifetime
        && (exp == NULL || iat == NULL
            || json_number_value(exp) - json_number_value(iat)
               > (double) issuer->max_lifetime))
    {
        return NGX_HTTP_GATEWAY_JWT_TOO_LONG_LIVED;
    }

    return NGX_HTTP_GATEWAY_JWT_OK;
}


static ngx_uint_t
fuzz_listed(ngx_array_t *list, json_t *value)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    s = list->elts;

    for (i = 0; json_is_string(value) && i < list->nelts; i++) {
        if (fuzz_equal(&s[i], json_string_value(value),
                       json_string_length(value)))
        {
            return 1;
        }
    }

    return 0;
}


/* RFC 7515, section 4.1.9 */

static ngx_uint_t
fuzz_type_listed(ngx_array_t *list, json_t *value)
{
    ngx_str_t   *s;
    ngx_uint_t   i;
    const char  *typ;

    typ = json_string_value(value);

    if (typ == NULL) {
        return 0;
    }

    if (strncasecmp(typ, "application/", 12) == 0 && typ[12] != '\0'
        && strchr(typ + 12, '/') == NULL)
    {
        typ += 12;
    }

    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (s[i].len == strlen(typ)
            && strncasecmp((char *) s[i].data, typ, s[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* one whose value is not asked for: a date like that is malformed */

static ngx_uint_t
fuzz_long_number(ngx_str_t *text)
{
    size_t      i;
    ngx_uint_t  n;

    for (i = 0, n = 0; i < text->len && n < 512; i++) {
        n = strchr("+-.eE0123456789", text->data[i]) ? n + 1 : 0;
    }

    return n == 512;
}


/* another last byte of the payload or of the signature */

static void
fuzz_alter(ngx_pool_t *pool, ngx_str_t *value,
    ngx_http_gateway_jwt_issuer_t *issuer)
{
    u_char                        *p;
    ngx_int_t                      rc;
    ngx_str_t                      altered;
    ngx_http_gateway_jwt_parts_t   parts;
    ngx_http_gateway_jwt_token_t  *token;

    fuzz_copy(pool, &altered, value->data, value->len);

    p = altered.data + altered.len - 4;

    if (p[0] == '.' || p[1] == '.' || p[2] == '.' || p[3] == '.') {

        /* no signature */

        return;
    }

    *p = (*p == 'A') ? 'B' : 'A';

    rc = ngx_http_gateway_jwt_token_parse(pool, &altered, &token, &parts);

    fuzz_check(rc == NGX_OK);

    rc = ngx_http_gateway_jwt_token_verify(token, &parts, issuer, FUZZ_NOW);

    ngx_http_gateway_jwt_token_release(token);

    fuzz_check(rc == NGX_HTTP_GATEWAY_JWT_BAD_SIGNATURE
               || rc == NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM
               || rc == NGX_HTTP_GATEWAY_JWT_UNKNOWN_KEY);
}


static void
fuzz_cache(ngx_pool_t *pool, ngx_http_gateway_jwt_token_t *token)
{
    u_char                         *p;
    ngx_str_t                       value;
    ngx_uint_t                      i, found;
    ngx_http_gateway_jwt_cache_t   *cache;
    ngx_http_gateway_jwt_token_t   *t;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    issuer = token->issuer;

    fuzz_copy(pool, &value, token->value.data, token->value.len);

    cache = ngx_http_gateway_jwt_cache_create(pool, 1);
    fuzz_check(cache != NULL);

    fuzz_check(ngx_http_gateway_jwt_cache_find(cache, &value, &issuer, 1)
               == NULL);

    ngx_http_gateway_jwt_cache_add(cache, token, FUZZ_NOW);

    fuzz_check(token->refs == 2);
    fuzz_check(ngx_http_gateway_jwt_token_times(token, FUZZ_NOW)
               == NGX_HTTP_GATEWAY_JWT_OK);

    for (i = 0; i < FUZZ_ISSUERS; i++) {
        t = ngx_http_gateway_jwt_cache_find(cache, &value, &fuzz_issuers[i],
                                            1);
        fuzz_check(t == (fuzz_issuers[i] == issuer ? token : NULL));
    }

    fuzz_check(ngx_http_gateway_jwt_cache_find(cache, &value, fuzz_issuers,
                                               FUZZ_ISSUERS)
               == token);

    /* no other token is the same */

    for (i = 0; i < value.len; i += 1 + value.len / 16) {
        p = &value.data[i];
        *p ^= 1;
        fuzz_check(ngx_http_gateway_jwt_cache_find(cache, &value, fuzz_issuers,
                                                   FUZZ_ISSUERS)
                   == NULL);
        *p ^= 1;
    }

    /* the same one again is a second entry, for which the first makes room */

    ngx_http_gateway_jwt_cache_add(cache, token, FUZZ_NOW);

    fuzz_check(cache->count == 1 && token->refs == 2);

    /* the issuer's keys have changed */

    issuer->generation++;
    found = ngx_http_gateway_jwt_cache_find(cache, &value, &issuer, 1) != NULL;
    issuer->generation--;

    fuzz_check(!found);
    fuzz_check(cache->count == 0 && token->refs == 1);

    /* the cleanup of the pool gives up what is in there */

    ngx_http_gateway_jwt_cache_add(cache, token, FUZZ_NOW);
    fuzz_check(token->refs == 2);
}
