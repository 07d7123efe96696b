
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Key files: JWK sets, JWKs and PEM.  keys.c takes the bytes as they are,
 * pem.c (which sets FUZZ_PEM) makes PEM of them.
 */


#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "fuzz.h"


static void fuzz_key(ngx_pool_t *pool, ngx_http_gateway_jwt_key_t *key);
static void fuzz_key_secret(ngx_http_gateway_jwt_key_t *key, ngx_uint_t alg,
    ngx_str_t *input);

#if (FUZZ_PEM)
static void fuzz_to_pem(ngx_pool_t *pool, ngx_str_t *input);
#endif


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    char                         *reason;
    ngx_int_t                     rc;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_key_t  **key;
    ngx_http_gateway_jwt_keys_t   keys;

#if (FUZZ_PEM)
    fuzz_to_pem(pool, input);
#endif

    ngx_str_set(&name, "key_file \"fuzz\"");

    fuzz_check(ngx_http_gateway_jwt_keys_init(&keys, pool,
                   ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_NALGS) - 1)
               == NGX_OK);

    reason = NULL;

    rc = ngx_http_gateway_jwt_keys_add(&keys, pool, &fuzz_log, input, &name,
                                       &reason);

    fuzz_check(rc == NGX_OK || rc == NGX_DECLINED);
    fuzz_check((rc == NGX_OK) == (reason == NULL));
    fuzz_check(ERR_peek_error() == 0);

    key = keys.keys.elts;

    for (i = 0; i < keys.keys.nelts; i++) {
        fuzz_key(pool, key[i]);
    }

    return rc == NGX_DECLINED ? "refused" : keys.keys.nelts ? "keys" : "none";
}


/*
 * No signature made of thin air is good, with none of the algorithms.  EdDSA
 * has public keys of small order for which some are.
 */

static void
fuzz_key(ngx_pool_t *pool, ngx_http_gateway_jwt_key_t *key)
{
    ngx_int_t   rc;
    ngx_str_t   input, sig;
    ngx_uint_t  alg, i;

    static const size_t  sizes[] = { 0, 1, 32, 48, 64, 96, 132, 256, 512 };

    fuzz_check(key->algorithms != 0);
    fuzz_check((key->pkey == NULL) == (key->secret.len != 0));

    if (key->pkey != NULL && EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA) {
        fuzz_check(EVP_PKEY_get_bits(key->pkey) >= 2048);
    }

    fuzz_copy(pool, &input, "e30.e30", 7);

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {

        sig.len = sizes[i];
        sig.data = ngx_pnalloc(pool, sig.len);
        memset(sig.data, i & 1 ? 0x5a : 0, sig.len);

        for (alg = 0; alg < NGX_HTTP_GATEWAY_JWT_NALGS; alg++) {

            rc = ngx_http_gateway_jwt_key_verify(key, alg, &input, &sig);

            fuzz_check(rc == NGX_DECLINED
                       || (rc == NGX_OK
                           && alg == NGX_HTTP_GATEWAY_JWT_EDDSA));
            fuzz_check(ERR_peek_error() == 0);

            if ((key->algorithms & ngx_http_gateway_jwt_alg(alg)) == 0) {
                continue;
            }

            fuzz_check((key->pkey == NULL) == (key->ctx[alg] == NULL));
            fuzz_check((key->pkey == NULL)
                       == (alg <= NGX_HTTP_GATEWAY_JWT_HS512));

            if (key->pkey == NULL && i == 0) {
                fuzz_key_secret(key, alg, &input);
            }
        }
    }
}


static void
fuzz_key_secret(ngx_http_gateway_jwt_key_t *key, ngx_uint_t alg,
    ngx_str_t *input)
{
    u_char        mac[EVP_MAX_MD_SIZE];
    ngx_str_t     sig;
    unsigned int  len;

    HMAC(alg == NGX_HTTP_GATEWAY_JWT_HS256 ? EVP_sha256()
         : alg == NGX_HTTP_GATEWAY_JWT_HS384 ? EVP_sha384() : EVP_sha512(),
         key->secret.data, key->secret.len, input->data, input->len, mac,
         &len);

    fuzz_check(key->secret.len >= len);

    sig.data = mac;
    sig.len = len;

    fuzz_check(ngx_http_gateway_jwt_key_verify(key, alg, input, &sig)
               == NGX_OK);
}


#if (FUZZ_PEM)

/* the first byte says what is in the others, which are DER */

static void
fuzz_to_pem(ngx_pool_t *pool, ngx_str_t *input)
{
    BIO         *bio;
    char        *pem;
    long         len;
    const char  *name;

    bio = BIO_new(BIO_s_mem());
    fuzz_check(bio != NULL);

    if (input->len) {

        switch (input->data[0]) {

        case 'c':
            name = PEM_STRING_X509;
            break;

        case 'r':
            name = PEM_STRING_RSA_PUBLIC;
            break;

        case 's':
            name = PEM_STRING_PKCS8INF;
            break;

        default:
            name = PEM_STRING_PUBLIC;
        }

        fuzz_check(PEM_write_bio(bio, name, "", input->data + 1,
                                 input->len - 1)
                   != 0 || input->len == 1);
    }

    len = BIO_get_mem_data(bio, &pem);
    fuzz_copy(pool, input, pem, len);

    BIO_free(bio);
    ERR_clear_error();
}

#endif
