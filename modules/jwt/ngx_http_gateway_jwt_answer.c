
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a client is told when its request is refused: the status code,
 * the challenge (RFC 6750, section 3) and the problem.
 */


#include "ngx_http_gateway_jwt.h"


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   code;
    ngx_str_t    error;      /* of the challenge; empty: none */
    ngx_str_t    detail;
} ngx_http_gateway_jwt_answer_t;


static ngx_int_t ngx_http_gateway_jwt_challenge(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf,
    ngx_http_gateway_jwt_answer_t *answer, ngx_array_t *scopes);
static void ngx_http_gateway_jwt_drop_challenges(ngx_http_request_t *r);
static size_t ngx_http_gateway_jwt_scopes_len(ngx_array_t *scopes);
static u_char *ngx_http_gateway_jwt_quote(u_char *dst, ngx_str_t *text);


static ngx_http_gateway_jwt_answer_t
    ngx_http_gateway_jwt_answers[NGX_HTTP_GATEWAY_JWT_NSTATUSES] =
{
    { ngx_null_string, 0, ngx_null_string, ngx_null_string },

    { ngx_string("ok"), NGX_HTTP_OK, ngx_null_string, ngx_null_string },

    { ngx_string("missing"), NGX_HTTP_UNAUTHORIZED,
      ngx_null_string,
      ngx_string("no bearer token in the request") },

    { ngx_string("malformed"), NGX_HTTP_BAD_REQUEST,
      ngx_string("invalid_request"),
      ngx_string("the Authorization header is malformed") },

    { ngx_string("malformed"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token is malformed") },

    { ngx_string("unknown_issuer"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token's issuer is not accepted here") },

    { ngx_string("unknown_key"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token's key is not known") },

    { ngx_string("bad_algorithm"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token's algorithm is not accepted") },

    { ngx_string("bad_signature"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token's signature is not valid") },

    { ngx_string("expired"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token has expired") },

    { ngx_string("not_yet_valid"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token is not valid yet") },

    { ngx_string("wrong_audience"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token is not meant for this audience") },

    { ngx_string("wrong_type"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token is not of an accepted type") },

    { ngx_string("too_long_lived"), NGX_HTTP_UNAUTHORIZED,
      ngx_string("invalid_token"),
      ngx_string("the token's lifetime is too long") },

    { ngx_string("claim_rejected"), NGX_HTTP_FORBIDDEN,
      ngx_string("insufficient_scope"),
      ngx_string("a claim of the token does not satisfy this resource") },

    { ngx_string("insufficient_scope"), NGX_HTTP_FORBIDDEN,
      ngx_string("insufficient_scope"),
      ngx_string("the token's scope does not suffice for this resource") }
};


ngx_str_t *
ngx_http_gateway_jwt_status_name(ngx_uint_t status)
{
    return &ngx_http_gateway_jwt_answers[status].name;
}


ngx_int_t
ngx_http_gateway_jwt_refuse(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx)
{
    ngx_array_t                    *scopes;
    ngx_http_gateway_jwt_answer_t  *answer;

    answer = &ngx_http_gateway_jwt_answers[ctx->status];

    /* no part of the token: it may be one that is good elsewhere */

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "gateway_jwt refuses the request: %V", &answer->name);

    scopes = (ctx->status == NGX_HTTP_GATEWAY_JWT_INSUFFICIENT_SCOPE)
             ? jlcf->scopes : NULL;

    if (ngx_http_gateway_jwt_challenge(r, jlcf, answer, scopes) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&ctx->problem, sizeof(ngx_http_gateway_problem_t));

    ctx->problem.status = answer->code;
    ctx->problem.detail = answer->detail;

    return answer->code;
}


static ngx_int_t
ngx_http_gateway_jwt_challenge(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf,
    ngx_http_gateway_jwt_answer_t *answer, ngx_array_t *scopes)
{
    u_char           *p;
    size_t            len;
    ngx_str_t         realm, *scope;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    if (ngx_http_complex_value(r, jlcf->realm, &realm) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_jwt_drop_challenges(r);

    len = sizeof("Bearer realm=\"\"") - 1 + 2 * realm.len
          + sizeof(", error=\"\"") - 1 + answer->error.len
          + sizeof(", error_description=\"\"") - 1 + answer->detail.len
          + sizeof(", scope=\"\"") - 1
          + ngx_http_gateway_jwt_scopes_len(scopes);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->key, "WWW-Authenticate");
    h->value.data = p;

    p = ngx_cpymem(p, "Bearer realm=\"", sizeof("Bearer realm=\"") - 1);
    p = ngx_http_gateway_jwt_quote(p, &realm);
    *p++ = '"';

    /* RFC 6750, section 3.1: no error for a request without a token */

    if (answer->error.len) {
        p = ngx_sprintf(p, ", error=\"%V\"", &answer->error);
    }

    if (scopes != NULL) {
        p = ngx_cpymem(p, ", scope=\"", sizeof(", scope=\"") - 1);

        scope = scopes->elts;

        for (i = 0; i < scopes->nelts; i++) {

            if (i) {
                *p++ = ' ';
            }

            p = ngx_cpymem(p, scope[i].data, scope[i].len);
        }

        *p++ = '"';

    } else if (answer->error.len) {
        p = ngx_sprintf(p, ", error_description=\"%V\"", &answer->detail);
    }

    h->value.len = p - h->value.data;

    ngx_http_gateway_link_www_authenticate(r, h);

    return NGX_OK;
}


/*
 * After an internal redirect the request may be refused once more: only the
 * last challenge of ours is to be sent.
 */

static void
ngx_http_gateway_jwt_drop_challenges(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (!r->internal) {
        return;
    }

    part = &r->headers_out.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("WWW-Authenticate") - 1
            && ngx_strcmp(h[i].key.data, "WWW-Authenticate") == 0
            && h[i].value.len > sizeof("Bearer ") - 1
            && ngx_strncmp(h[i].value.data, "Bearer ", sizeof("Bearer ") - 1)
               == 0)
        {
            h[i].hash = 0;
        }
    }
}


static size_t
ngx_http_gateway_jwt_scopes_len(ngx_array_t *scopes)
{
    size_t       len;
    ngx_str_t   *scope;
    ngx_uint_t   i;

    if (scopes == NULL) {
        return 0;
    }

    len = 0;
    scope = scopes->elts;

    for (i = 0; i < scopes->nelts; i++) {
        len += scope[i].len + 1;
    }

    return len;
}


/* a quoted-string's content, RFC 9110, section 5.6.4 */

static u_char *
ngx_http_gateway_jwt_quote(u_char *dst, ngx_str_t *text)
{
    u_char  *p, *last;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p < ' ' || *p == 0x7f) {
            *dst++ = ' ';
            continue;
        }

        if (*p == '"' || *p == '\\') {
            *dst++ = '\\';
        }

        *dst++ = *p;
    }

    return dst;
}
