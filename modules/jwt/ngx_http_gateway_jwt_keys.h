
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Verification keys: algorithms, key sets and signatures.
 *
 * Key sets are read by libjwt, signatures are verified by OpenSSL, each with
 * a context that is prepared for its key and algorithm once, when the key is
 * loaded.  A key is only ever used with the algorithms in its "algorithms",
 * which follow from its type, its curve and its "alg" (RFC 8725, sections 3.1
 * and 3.2), never from the token.
 */


#ifndef _NGX_HTTP_GATEWAY_JWT_KEYS_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JWT_KEYS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>


typedef enum {
    NGX_HTTP_GATEWAY_JWT_HS256 = 0,
    NGX_HTTP_GATEWAY_JWT_HS384,
    NGX_HTTP_GATEWAY_JWT_HS512,
    NGX_HTTP_GATEWAY_JWT_RS256,
    NGX_HTTP_GATEWAY_JWT_RS384,
    NGX_HTTP_GATEWAY_JWT_RS512,
    NGX_HTTP_GATEWAY_JWT_PS256,
    NGX_HTTP_GATEWAY_JWT_PS384,
    NGX_HTTP_GATEWAY_JWT_PS512,
    NGX_HTTP_GATEWAY_JWT_ES256,
    NGX_HTTP_GATEWAY_JWT_ES384,
    NGX_HTTP_GATEWAY_JWT_ES512,
    NGX_HTTP_GATEWAY_JWT_ES256K,
    NGX_HTTP_GATEWAY_JWT_EDDSA,
    NGX_HTTP_GATEWAY_JWT_NALGS
} ngx_http_gateway_jwt_alg_e;


/* sets of algorithms */

#define ngx_http_gateway_jwt_alg(alg)  ((ngx_uint_t) 1 << (alg))

#define NGX_HTTP_GATEWAY_JWT_ALGS_HS                                         \
    (ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_HS256)                    \
     |ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_HS384)                   \
     |ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_HS512))

#define NGX_HTTP_GATEWAY_JWT_ALGS_DEFAULT                                    \
    ((ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_NALGS) - 1)              \
     & ~NGX_HTTP_GATEWAY_JWT_ALGS_HS                                         \
     & ~ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_ES256K))


typedef struct {
    ngx_str_t                    kid;         /* empty: the key has none */
    ngx_uint_t                   algorithms;  /* a set */
    EVP_PKEY                    *pkey;        /* NULL: a symmetric key */
    ngx_str_t                    secret;
    EVP_MD_CTX                  *ctx[NGX_HTTP_GATEWAY_JWT_NALGS];
} ngx_http_gateway_jwt_key_t;


typedef struct {
    ngx_array_t                  keys;        /* ngx_http_gateway_jwt_key_t * */
    ngx_uint_t                   algorithms;  /* the issuer's allow-list */
} ngx_http_gateway_jwt_keys_t;


#pragma GCC visibility push(hidden)

/*
 * Returns the algorithm of that name (RFC 7518, RFC 8037, RFC 8812), compared
 * exactly, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_jwt_alg_find(ngx_str_t *name);

/* Initializes an empty set; returns NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_gateway_jwt_keys_init(ngx_http_gateway_jwt_keys_t *keys,
    ngx_pool_t *pool, ngx_uint_t algorithms);

/*
 * Adds the keys in "text": a JWK set or a JWK (RFC 7517), or public keys and
 * certificates in PEM.  "name" says in messages where the text came from.
 * What belongs to the keys is allocated in "pool" or freed by its cleanup.
 * A key that can not be used with any of the set's algorithms is passed over
 * with a warning in "log".
 *
 * Returns NGX_OK, whatever number of keys was usable, NGX_DECLINED when the
 * text is none of these or holds a private key in PEM, with the reason in
 * "reason", or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_jwt_keys_add(ngx_http_gateway_jwt_keys_t *keys,
    ngx_pool_t *pool, ngx_log_t *log, ngx_str_t *text, ngx_str_t *name,
    char **reason);

/*
 * Reads PEM into a JWK set that ngx_http_gateway_jwt_keys_add() knows, in
 * memory of "pool".
 *
 * Returns NGX_OK, NGX_DECLINED with "reason", or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_jwt_pem_to_jwks(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *jwks, char **reason);

/*
 * Verifies the signature "sig" of "input", the token's first two parts with
 * the dot between them.  ECDSA's is the concatenation of r and s (RFC 7518,
 * section 3.4).
 *
 * Returns NGX_OK when it is the signature, NGX_DECLINED when it is not or
 * when "alg" is not one of the key's, NGX_ERROR when that could not be found
 * out.
 */

ngx_int_t ngx_http_gateway_jwt_key_verify(ngx_http_gateway_jwt_key_t *key,
    ngx_uint_t alg, ngx_str_t *input, ngx_str_t *sig);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_JWT_KEYS_H_INCLUDED_ */
