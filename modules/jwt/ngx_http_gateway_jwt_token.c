
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the way from bytes that a client sent to a verified token.  Never
 * answers a request and never keeps a token.  Needs nginx's core, not its
 * HTTP.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>

#include "ngx_http_gateway_jwt_token.h"


/* signatures tried for one token: what a token costs at most */

#define NGX_HTTP_GATEWAY_JWT_MAX_TRIES  8


static ngx_int_t ngx_http_gateway_jwt_token_split(ngx_str_t *value,
    ngx_str_t *parts);
static ngx_int_t ngx_http_gateway_jwt_base64url(ngx_pool_t *pool,
    ngx_str_t *src, ngx_str_t *dst);
static ngx_int_t ngx_http_gateway_jwt_token_create(ngx_log_t *log,
    ngx_str_t *value, ngx_str_t *header, ngx_str_t *payload,
    ngx_http_gateway_jwt_token_t **token);
static ngx_int_t ngx_http_gateway_jwt_token_header(
    ngx_http_gateway_jwt_token_t *token, ngx_http_gateway_jwt_parts_t *parts);
static ngx_int_t ngx_http_gateway_jwt_token_signature(
    ngx_http_gateway_jwt_parts_t *parts, ngx_http_gateway_jwt_keys_t *keys);
static ngx_int_t ngx_http_gateway_jwt_token_claims(
    ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_issuer_t *issuer, time_t now);
static ngx_int_t ngx_http_gateway_jwt_token_date(
    ngx_http_gateway_jwt_json_t *payload, ngx_str_t *name, double *date);
static ngx_uint_t ngx_http_gateway_jwt_token_audience(
    ngx_http_gateway_jwt_json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer);
static ngx_uint_t ngx_http_gateway_jwt_token_type(
    ngx_http_gateway_jwt_json_t *header,
    ngx_http_gateway_jwt_issuer_t *issuer);
static ngx_uint_t ngx_http_gateway_jwt_listed(ngx_array_t *list,
    ngx_http_gateway_jwt_json_t *json, ngx_http_gateway_jwt_node_t *node);


static ngx_str_t  ngx_http_gateway_jwt_alg_name = ngx_string("alg");
static ngx_str_t  ngx_http_gateway_jwt_b64_name = ngx_string("b64");
static ngx_str_t  ngx_http_gateway_jwt_crit_name = ngx_string("crit");
static ngx_str_t  ngx_http_gateway_jwt_kid_name = ngx_string("kid");
static ngx_str_t  ngx_http_gateway_jwt_typ_name = ngx_string("typ");

static ngx_str_t  ngx_http_gateway_jwt_aud_name = ngx_string("aud");
static ngx_str_t  ngx_http_gateway_jwt_exp_name = ngx_string("exp");
static ngx_str_t  ngx_http_gateway_jwt_iat_name = ngx_string("iat");
static ngx_str_t  ngx_http_gateway_jwt_iss_name = ngx_string("iss");
static ngx_str_t  ngx_http_gateway_jwt_nbf_name = ngx_string("nbf");


ngx_int_t
ngx_http_gateway_jwt_bearer(ngx_str_t *value, ngx_str_t *token)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    if (value->len < sizeof("Bearer") - 1
        || ngx_strncasecmp(p, (u_char *) "Bearer", sizeof("Bearer") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p += sizeof("Bearer") - 1;

    if (p < last && *p != ' ' && *p != '\t') {

        /* a scheme whose name only begins like this one */

        return NGX_DECLINED;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    token->data = p;
    token->len = last - p;

    return token->len ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_http_gateway_jwt_is_b64token(ngx_str_t *token)
{
    u_char  *p, *last, c;

    p = token->data;
    last = p + token->len;

    /* "=" at the end only, and not alone */

    while (last > p + 1 && last[-1] == '=') {
        last--;
    }

    for ( /* void */ ; p < last; p++) {
        c = *p | 0x20;

        if ((c >= 'a' && c <= 'z') || (*p >= '0' && *p <= '9')) {
            continue;
        }

        switch (*p) {
        case '-':
        case '.':
        case '_':
        case '~':
        case '+':
        case '/':
            continue;
        }

        return 0;
    }

    return 1;
}


ngx_int_t
ngx_http_gateway_jwt_token_parse(ngx_pool_t *pool, ngx_str_t *value,
    ngx_http_gateway_jwt_token_t **token, ngx_http_gateway_jwt_parts_t *parts)
{
    ngx_int_t   rc;
    ngx_str_t   part[3], header, payload;

    if (ngx_http_gateway_jwt_token_split(value, part) != NGX_OK) {
        return NGX_DECLINED;
    }

    parts->input.data = value->data;
    parts->input.len = part[2].data - 1 - value->data;

    rc = ngx_http_gateway_jwt_base64url(pool, &part[0], &header);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_base64url(pool, &part[1], &payload);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_base64url(pool, &part[2], &parts->signature);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_token_create(pool->log, value, &header, &payload,
                                           token);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_token_header(*token, parts);
    if (rc != NGX_OK) {
        ngx_http_gateway_jwt_token_release(*token);
    }

    return rc;
}


/* three parts, of which only the last one, the signature, may be empty */

static ngx_int_t
ngx_http_gateway_jwt_token_split(ngx_str_t *value, ngx_str_t *parts)
{
    u_char  *first, *second, *last;

    last = value->data + value->len;

    first = memchr(value->data, '.', value->len);

    if (first == NULL || first == value->data) {
        return NGX_DECLINED;
    }

    second = memchr(first + 1, '.', last - first - 1);

    if (second == NULL || second == first + 1
        || memchr(second + 1, '.', last - second - 1) != NULL)
    {
        return NGX_DECLINED;
    }

    parts[0].data = value->data;
    parts[0].len = first - value->data;

    parts[1].data = first + 1;
    parts[1].len = second - first - 1;

    parts[2].data = second + 1;
    parts[2].len = last - second - 1;

    return NGX_OK;
}


/*
 * RFC 7515, section 2: base64url without padding.  Of the encodings of the
 * same bytes only the canonical one is taken (RFC 4648, section 3.5): with
 * another one, a token could be altered without its signature noticing.
 */

static ngx_int_t
ngx_http_gateway_jwt_base64url(ngx_pool_t *pool, ngx_str_t *src,
    ngx_str_t *dst)
{
    u_char  last, *canonical;

    dst->data = ngx_pnalloc(pool, ngx_base64_decoded_length(src->len) + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_decode_base64url(dst, src) != NGX_OK
        || dst->len != src->len * 3 / 4)
    {
        return NGX_DECLINED;
    }

    if (src->len % 4 == 0) {
        return NGX_OK;
    }

    /* the last character's bits that are in no byte have to be zero */

    last = src->data[src->len - 1];
    canonical = (u_char *) ((src->len % 4 == 2) ? "AQgw" : "AEIMQUYcgkosw048");

    return ngx_strchr(canonical, last) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_gateway_jwt_token_create(ngx_log_t *log, ngx_str_t *value,
    ngx_str_t *header, ngx_str_t *payload,
    ngx_http_gateway_jwt_token_t **token)
{
    u_char                        *p;
    size_t                         size, header_extra, payload_extra;
    ngx_uint_t                     header_nodes, payload_nodes;
    ngx_http_gateway_jwt_token_t  *t;

    if (ngx_http_gateway_jwt_json_measure(header, &header_nodes,
                                          &header_extra)
        != NGX_OK
        || ngx_http_gateway_jwt_json_measure(payload, &payload_nodes,
                                             &payload_extra)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    size = sizeof(ngx_http_gateway_jwt_token_t)
           + (header_nodes + payload_nodes)
             * sizeof(ngx_http_gateway_jwt_node_t)
           + header->len + header_extra
           + payload->len + payload_extra
           + value->len;

    t = ngx_alloc(size, log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(t, sizeof(ngx_http_gateway_jwt_token_t));

    t->refs = 1;
    t->size = size;

    t->header.nodes = (ngx_http_gateway_jwt_node_t *) (t + 1);
    t->payload.nodes = t->header.nodes + header_nodes;

    p = (u_char *) (t->payload.nodes + payload_nodes);

    t->header.text = p;
    t->header.len = header->len;
    p = ngx_cpymem(p, header->data, header->len) + header_extra;

    t->payload.text = p;
    t->payload.len = payload->len;
    p = ngx_cpymem(p, payload->data, payload->len) + payload_extra;

    t->value.data = p;
    t->value.len = value->len;
    ngx_memcpy(p, value->data, value->len);

    if (ngx_http_gateway_jwt_json_index(&t->header, header_nodes,
                                        header_extra)
        != NGX_OK
        || ngx_http_gateway_jwt_json_index(&t->payload, payload_nodes,
                                           payload_extra)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "index of a token's JSON does not fit");
        ngx_free(t);
        return NGX_ERROR;
    }

    *token = t;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_token_header(ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_parts_t *parts)
{
    ngx_int_t                     alg;
    ngx_str_t                     name;
    ngx_http_gateway_jwt_json_t  *header;
    ngx_http_gateway_jwt_node_t  *node;

    header = &token->header;

    /* extensions that have to be understood, of which we know none */

    if (ngx_http_gateway_jwt_json_member(header, header->nodes,
                                         &ngx_http_gateway_jwt_crit_name))
    {
        return NGX_DECLINED;
    }

    /* RFC 7797: without "crit" it must not be there, but may say nothing */

    node = ngx_http_gateway_jwt_json_member(header, header->nodes,
                                            &ngx_http_gateway_jwt_b64_name);

    if (node != NULL && node->type != NGX_HTTP_GATEWAY_JWT_TRUE) {
        return NGX_DECLINED;
    }

    node = ngx_http_gateway_jwt_json_member(header, header->nodes,
                                            &ngx_http_gateway_jwt_alg_name);

    if (node == NULL || node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return NGX_DECLINED;
    }

    ngx_http_gateway_jwt_json_text(header, node, &name);

    alg = ngx_http_gateway_jwt_alg_find(&name);

    parts->alg = (alg == NGX_ERROR) ? NGX_HTTP_GATEWAY_JWT_NALGS
                                    : (ngx_uint_t) alg;

    ngx_str_null(&parts->kid);

    node = ngx_http_gateway_jwt_json_member(header, header->nodes,
                                            &ngx_http_gateway_jwt_kid_name);

    if (node == NULL) {
        return NGX_OK;
    }

    if (node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return NGX_DECLINED;
    }

    ngx_http_gateway_jwt_json_text(header, node, &parts->kid);

    if (parts->kid.len == 0) {
        ngx_str_null(&parts->kid);
    }

    return NGX_OK;
}


ngx_http_gateway_jwt_issuer_t *
ngx_http_gateway_jwt_token_issuer(ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_issuer_t **issuers, ngx_uint_t n)
{
    ngx_str_t                     iss;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_json_t  *payload;
    ngx_http_gateway_jwt_node_t  *node;

    payload = &token->payload;

    node = ngx_http_gateway_jwt_json_member(payload, payload->nodes,
                                            &ngx_http_gateway_jwt_iss_name);

    if (node == NULL || node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return NULL;
    }

    ngx_http_gateway_jwt_json_text(payload, node, &iss);

    for (i = 0; i < n; i++) {
        if (issuers[i]->issuer.len == iss.len
            && ngx_memcmp(issuers[i]->issuer.data, iss.data, iss.len) == 0)
        {
            return issuers[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_gateway_jwt_token_verify(ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_parts_t *parts,
    ngx_http_gateway_jwt_issuer_t *issuer, time_t now)
{
    ngx_int_t  rc;

    if (parts->alg == NGX_HTTP_GATEWAY_JWT_NALGS
        || (issuer->keys.algorithms & ngx_http_gateway_jwt_alg(parts->alg))
           == 0)
    {
        return NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM;
    }

    rc = ngx_http_gateway_jwt_token_signature(parts, &issuer->keys);
    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_token_claims(token, issuer, now);
    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    token->issuer = issuer;
    token->generation = issuer->generation;

    return NGX_HTTP_GATEWAY_JWT_OK;
}


/*
 * The keys with the token's "kid" are tried; when there is none, those that
 * have no "kid", as keys from PEM have not.  A token without "kid" is tried
 * with all of the issuer's keys.
 */

static ngx_int_t
ngx_http_gateway_jwt_token_signature(ngx_http_gateway_jwt_parts_t *parts,
    ngx_http_gateway_jwt_keys_t *keys)
{
    ngx_int_t                     rc;
    ngx_str_t                    *kid;
    ngx_uint_t                    i, found, tries;
    ngx_http_gateway_jwt_key_t  **key;

    key = keys->keys.elts;
    kid = &parts->kid;
    found = 0;

    for (i = 0; kid->data != NULL && i < keys->keys.nelts; i++) {
        if (key[i]->kid.len == kid->len
            && ngx_memcmp(key[i]->kid.data, kid->data, kid->len) == 0)
        {
            found = 1;
            break;
        }
    }

    tries = 0;

    for (i = 0; i < keys->keys.nelts; i++) {

        if (kid->data != NULL) {

            if (key[i]->kid.len != (found ? kid->len : 0)
                || (found
                    && ngx_memcmp(key[i]->kid.data, kid->data, kid->len) != 0))
            {
                continue;
            }
        }

        if ((key[i]->algorithms & ngx_http_gateway_jwt_alg(parts->alg)) == 0) {
            continue;
        }

        if (tries++ == NGX_HTTP_GATEWAY_JWT_MAX_TRIES) {
            break;
        }

        rc = ngx_http_gateway_jwt_key_verify(key[i], parts->alg,
                                             &parts->input,
                                             &parts->signature);
        if (rc == NGX_OK) {
            return NGX_HTTP_GATEWAY_JWT_OK;
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (tries) {
        return NGX_HTTP_GATEWAY_JWT_BAD_SIGNATURE;
    }

    return found ? NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM
                 : NGX_HTTP_GATEWAY_JWT_UNKNOWN_KEY;
}


static ngx_int_t
ngx_http_gateway_jwt_token_claims(ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_issuer_t *issuer, time_t now)
{
    double                        iat;
    ngx_int_t                     rc;
    ngx_http_gateway_jwt_json_t  *payload;

    payload = &token->payload;

    token->exp = INFINITY;
    token->nbf = -INFINITY;
    token->issuer = issuer;
    iat = -INFINITY;

    if (ngx_http_gateway_jwt_token_date(payload,
                                        &ngx_http_gateway_jwt_exp_name,
                                        &token->exp)
        != NGX_OK
        || ngx_http_gateway_jwt_token_date(payload,
                                           &ngx_http_gateway_jwt_nbf_name,
                                           &token->nbf)
           != NGX_OK
        || ngx_http_gateway_jwt_token_date(payload,
                                           &ngx_http_gateway_jwt_iat_name,
                                           &iat)
           != NGX_OK
        || (issuer->require_exp && isinf(token->exp)))
    {
        return NGX_HTTP_GATEWAY_JWT_MALFORMED;
    }

    rc = ngx_http_gateway_jwt_token_times(token, now);
    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    if (iat > (double) now + issuer->leeway) {
        return NGX_HTTP_GATEWAY_JWT_NOT_YET_VALID;
    }

    if (!issuer->any_audience
        && !ngx_http_gateway_jwt_token_audience(payload, issuer))
    {
        return NGX_HTTP_GATEWAY_JWT_WRONG_AUDIENCE;
    }

    if (issuer->types.nelts
        && !ngx_http_gateway_jwt_token_type(&token->header, issuer))
    {
        return NGX_HTTP_GATEWAY_JWT_WRONG_TYPE;
    }

    /* an absent date makes the lifetime infinite */

    if (issuer->max_lifetime
        && token->exp - iat > (double) issuer->max_lifetime)
    {
        return NGX_HTTP_GATEWAY_JWT_TOO_LONG_LIVED;
    }

    return NGX_HTTP_GATEWAY_JWT_OK;
}


/* a NumericDate, which may be a fraction; an absent one leaves "date" alone */

static ngx_int_t
ngx_http_gateway_jwt_token_date(ngx_http_gateway_jwt_json_t *payload,
    ngx_str_t *name, double *date)
{
    ngx_http_gateway_jwt_node_t  *node;

    node = ngx_http_gateway_jwt_json_member(payload, payload->nodes, name);

    if (node == NULL) {
        return NGX_OK;
    }

    return ngx_http_gateway_jwt_json_number(payload, node, date);
}


ngx_int_t
ngx_http_gateway_jwt_token_times(ngx_http_gateway_jwt_token_t *token,
    time_t now)
{
    double  leeway;

    leeway = (double) token->issuer->leeway;

    /* RFC 7519, section 4.1.4: the time must be before "exp" */

    if ((double) now - leeway >= token->exp) {
        return NGX_HTTP_GATEWAY_JWT_EXPIRED;
    }

    if ((double) now + leeway < token->nbf) {
        return NGX_HTTP_GATEWAY_JWT_NOT_YET_VALID;
    }

    return NGX_HTTP_GATEWAY_JWT_OK;
}


static ngx_uint_t
ngx_http_gateway_jwt_token_audience(ngx_http_gateway_jwt_json_t *payload,
    ngx_http_gateway_jwt_issuer_t *issuer)
{
    ngx_http_gateway_jwt_node_t  *aud, *node, *end;

    aud = ngx_http_gateway_jwt_json_member(payload, payload->nodes,
                                           &ngx_http_gateway_jwt_aud_name);

    if (aud == NULL) {
        return 0;
    }

    if (aud->type != NGX_HTTP_GATEWAY_JWT_ARRAY) {
        return ngx_http_gateway_jwt_listed(&issuer->audiences, payload, aud);
    }

    end = ngx_http_gateway_jwt_json_end(payload, aud);

    for (node = ngx_http_gateway_jwt_json_first(aud);
         node < end;
         node = ngx_http_gateway_jwt_json_next(payload, node))
    {
        if (ngx_http_gateway_jwt_listed(&issuer->audiences, payload, node)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_gateway_jwt_listed(ngx_array_t *list,
    ngx_http_gateway_jwt_json_t *json, ngx_http_gateway_jwt_node_t *node)
{
    ngx_str_t   text, *s;
    ngx_uint_t  i;

    if (node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return 0;
    }

    ngx_http_gateway_jwt_json_text(json, node, &text);

    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (s[i].len == text.len
            && ngx_memcmp(s[i].data, text.data, text.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * RFC 7515, section 4.1.9: a media type, of which "application/" may be left
 * out when no other "/" appears.
 */

static ngx_uint_t
ngx_http_gateway_jwt_token_type(ngx_http_gateway_jwt_json_t *header,
    ngx_http_gateway_jwt_issuer_t *issuer)
{
    ngx_str_t                     typ, *s;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_node_t  *node;

    node = ngx_http_gateway_jwt_json_member(header, header->nodes,
                                            &ngx_http_gateway_jwt_typ_name);

    if (node == NULL || node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return 0;
    }

    ngx_http_gateway_jwt_json_text(header, node, &typ);
    ngx_http_gateway_jwt_type_trim(&typ);

    s = issuer->types.elts;

    for (i = 0; i < issuer->types.nelts; i++) {
        if (s[i].len == typ.len
            && ngx_strncasecmp(s[i].data, typ.data, typ.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_gateway_jwt_type_trim(ngx_str_t *type)
{
    size_t  len;

    len = sizeof("application/") - 1;

    if (type->len > len
        && ngx_strncasecmp(type->data, (u_char *) "application/", len) == 0
        && ngx_strlchr(type->data + len, type->data + type->len, '/') == NULL)
    {
        type->data += len;
        type->len -= len;
    }
}


void
ngx_http_gateway_jwt_token_release(ngx_http_gateway_jwt_token_t *token)
{
    if (--token->refs == 0) {
        ngx_free(token);
    }
}
