
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Tokens: JWTs (RFC 7519) in the JWS compact serialization (RFC 7515), their
 * form and their verification against an issuer.
 */


#ifndef _NGX_HTTP_GATEWAY_JWT_TOKEN_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JWT_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_jwt_json.h"
#include "ngx_http_gateway_jwt_keys.h"


typedef enum {
    NGX_HTTP_GATEWAY_JWT_NONE = 0,       /* not checked */
    NGX_HTTP_GATEWAY_JWT_OK,
    NGX_HTTP_GATEWAY_JWT_MISSING,
    NGX_HTTP_GATEWAY_JWT_BAD_REQUEST,    /* "malformed" too, but 400 */
    NGX_HTTP_GATEWAY_JWT_MALFORMED,
    NGX_HTTP_GATEWAY_JWT_UNKNOWN_ISSUER,
    NGX_HTTP_GATEWAY_JWT_UNKNOWN_KEY,
    NGX_HTTP_GATEWAY_JWT_BAD_ALGORITHM,
    NGX_HTTP_GATEWAY_JWT_BAD_SIGNATURE,
    NGX_HTTP_GATEWAY_JWT_EXPIRED,
    NGX_HTTP_GATEWAY_JWT_NOT_YET_VALID,
    NGX_HTTP_GATEWAY_JWT_WRONG_AUDIENCE,
    NGX_HTTP_GATEWAY_JWT_WRONG_TYPE,
    NGX_HTTP_GATEWAY_JWT_TOO_LONG_LIVED,
    NGX_HTTP_GATEWAY_JWT_CLAIM_REJECTED,
    NGX_HTTP_GATEWAY_JWT_INSUFFICIENT_SCOPE,
    NGX_HTTP_GATEWAY_JWT_NSTATUSES
} ngx_http_gateway_jwt_status_e;


/* whose tokens are accepted, and how; read-only once configured */

typedef struct {
    ngx_str_t                        name;       /* of the block */
    ngx_str_t                        issuer;     /* "iss" */
    ngx_array_t                      audiences;  /* ngx_str_t */
    ngx_array_t                      types;      /* ngx_str_t */
    ngx_http_gateway_jwt_keys_t      keys;
    time_t                           leeway;
    time_t                           max_lifetime;   /* 0: any */
    ngx_flag_t                       require_exp;
    ngx_uint_t                       generation; /* of the keys */
    unsigned                         any_audience:1;
} ngx_http_gateway_jwt_issuer_t;


typedef struct ngx_http_gateway_jwt_token_s  ngx_http_gateway_jwt_token_t;

/*
 * A token that has the form of one.  One block of memory outside of pools,
 * shared by the cache and the requests that use it; it is freed with its last
 * reference.  Not changed once it is verified, but for what the cache links.
 */

struct ngx_http_gateway_jwt_token_s {
    ngx_uint_t                       refs;
    size_t                           size;       /* of the block */
    ngx_str_t                        value;      /* as it was sent */
    ngx_http_gateway_jwt_json_t      header;
    ngx_http_gateway_jwt_json_t      payload;

    double                           exp;        /* infinity: no "exp" */
    double                           nbf;        /* -infinity: no "nbf" */

    ngx_http_gateway_jwt_issuer_t   *issuer;     /* NULL until verified */
    ngx_uint_t                       generation; /* the issuer's then */

    ngx_http_gateway_jwt_token_t    *next;       /* the cache's */
    ngx_queue_t                      queue;
    uint32_t                         hash;
};


/* what only verification needs, in the memory of a request */

typedef struct {
    ngx_str_t                        input;      /* what is signed */
    ngx_str_t                        signature;
    ngx_uint_t                       alg;        /* ..._e, or NALGS */
    ngx_str_t                        kid;        /* data NULL: none */
} ngx_http_gateway_jwt_parts_t;


#pragma GCC visibility push(hidden)

/*
 * Takes the token out of "value", the value of an Authorization header (RFC
 * 9110, section 11.4; RFC 6750, section 2.1), without a copy and without a
 * look at its characters.
 *
 * Returns NGX_OK, NGX_DECLINED for another scheme than Bearer, or NGX_ERROR
 * when there is nothing after the scheme.
 */

ngx_int_t ngx_http_gateway_jwt_bearer(ngx_str_t *value, ngx_str_t *token);

/*
 * Tells whether "token" is a b64token, RFC 6750, section 2.1.  What is none
 * is no token either: asking is only needed to tell a malformed header from a
 * malformed token.
 */

ngx_uint_t ngx_http_gateway_jwt_is_b64token(ngx_str_t *token);

/*
 * Parses "value".  On success "*token" has one reference, which is the
 * caller's; "parts" points into "value" and into memory of "pool".
 *
 * Returns NGX_OK, NGX_DECLINED when it is malformed, or NGX_ERROR when there
 * is no memory.
 */

ngx_int_t ngx_http_gateway_jwt_token_parse(ngx_pool_t *pool, ngx_str_t *value,
    ngx_http_gateway_jwt_token_t **token, ngx_http_gateway_jwt_parts_t *parts);

/*
 * Finds the one of the "n" issuers that the token's "iss" names, or NULL.
 * The token is not verified by that.
 */

ngx_http_gateway_jwt_issuer_t *ngx_http_gateway_jwt_token_issuer(
    ngx_http_gateway_jwt_token_t *token,
    ngx_http_gateway_jwt_issuer_t **issuers, ngx_uint_t n);

/*
 * Verifies the token: algorithm, key, signature, claims; in this order, so
 * that nothing is told about claims that nobody signed.  "now" is in seconds.
 * Sets the token's issuer, generation, exp and nbf when it is good.
 *
 * Returns NGX_HTTP_GATEWAY_JWT_OK, another status, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_jwt_token_verify(
    ngx_http_gateway_jwt_token_t *token, ngx_http_gateway_jwt_parts_t *parts,
    ngx_http_gateway_jwt_issuer_t *issuer, time_t now);

/* Checks what passes with time; to be done at each use of a token. */

ngx_int_t ngx_http_gateway_jwt_token_times(
    ngx_http_gateway_jwt_token_t *token, time_t now);

/* Cuts "application/" off a type that is known without it. */

void ngx_http_gateway_jwt_type_trim(ngx_str_t *type);

/* Gives a reference up. */

void ngx_http_gateway_jwt_token_release(ngx_http_gateway_jwt_token_t *token);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_JWT_TOKEN_H_INCLUDED_ */
