
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns issuers, and keys of all kinds to sign with.  The keys are new in each
 * process: no private key lies in the source tree.
 */


#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "fuzz.h"


static void fuzz_make_keys(ngx_pool_t *pool, json_t *set);
static json_t *fuzz_public(ngx_pool_t *pool, EVP_PKEY *pkey);
static ngx_http_gateway_jwt_issuer_t *fuzz_issuer(ngx_pool_t *pool,
    char *name, char *issuer, ngx_uint_t algorithms, ngx_str_t *jwks);
static void fuzz_push(ngx_array_t *array, char *text);
static void fuzz_raw_ecdsa(ngx_pool_t *pool, ngx_str_t *der, size_t size);


ngx_http_gateway_jwt_issuer_t  *fuzz_issuers[FUZZ_ISSUERS];


static const char  fuzz_secret[] =
    "dummy-dummy-dummy-dummy-dummy-dummy-dummy-dummy-dummy-dummy-dummy";


static fuzz_key_t  fuzz_keys[] = {
    { "hs", NULL },
    { "rsa", NULL },
    { "p-256", NULL },
    { "p-384", NULL },
    { "p-521", NULL },
    { "secp256k1", NULL },
    { "ed25519", NULL }
};


fuzz_key_t *
fuzz_signer(ngx_uint_t alg)
{
    switch (alg) {

    case NGX_HTTP_GATEWAY_JWT_HS256:
    case NGX_HTTP_GATEWAY_JWT_HS384:
    case NGX_HTTP_GATEWAY_JWT_HS512:
        return &fuzz_keys[0];

    case NGX_HTTP_GATEWAY_JWT_ES256:
        return &fuzz_keys[2];

    case NGX_HTTP_GATEWAY_JWT_ES384:
        return &fuzz_keys[3];

    case NGX_HTTP_GATEWAY_JWT_ES512:
        return &fuzz_keys[4];

    case NGX_HTTP_GATEWAY_JWT_ES256K:
        return &fuzz_keys[5];

    case NGX_HTTP_GATEWAY_JWT_EDDSA:
        return &fuzz_keys[6];

    default:
        return &fuzz_keys[1];
    }
}


void
fuzz_make_issuers(void)
{
    char                           *dump;
    json_t                         *root, *set;
    ngx_str_t                       jwks;
    ngx_uint_t                      all;
    ngx_pool_t                     *pool;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    if (fuzz_issuers[0] != NULL) {
        return;
    }

    pool = ngx_create_pool(4096, &fuzz_log);
    fuzz_check(pool != NULL);

    fuzz_keys[1].pkey = EVP_RSA_gen(2048);
    fuzz_keys[2].pkey = EVP_EC_gen("P-256");
    fuzz_keys[3].pkey = EVP_EC_gen("P-384");
    fuzz_keys[4].pkey = EVP_EC_gen("P-521");
    fuzz_keys[5].pkey = EVP_EC_gen("secp256k1");
    fuzz_keys[6].pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    set = json_array();
    fuzz_make_keys(pool, set);

    root = json_pack("{s:o}", "keys", set);
    dump = json_dumps(root, 0);
    fuzz_check(dump != NULL);

    fuzz_copy(pool, &jwks, dump, strlen(dump));

    free(dump);
    json_decref(root);

    all = ngx_http_gateway_jwt_alg(NGX_HTTP_GATEWAY_JWT_NALGS) - 1;

    issuer = fuzz_issuer(pool, "any", "https://any.example", all, &jwks);
    issuer->any_audience = 1;
    fuzz_issuers[0] = issuer;

    issuer = fuzz_issuer(pool, "strict", "https://strict.example", all, &jwks);
    issuer->leeway = 60;
    issuer->max_lifetime = 3600;
    issuer->require_exp = 1;
    fuzz_push(&issuer->audiences, "api");
    fuzz_push(&issuer->audiences, "\303\244pi");
    fuzz_push(&issuer->types, "at+jwt");
    fuzz_push(&issuer->types, "application/JWT");
    fuzz_push(&issuer->types, "application/a/b");
    fuzz_issuers[1] = issuer;

    issuer = fuzz_issuer(pool, "default", "\303\274",
                         NGX_HTTP_GATEWAY_JWT_ALGS_DEFAULT, &jwks);
    issuer->require_exp = 1;
    fuzz_push(&issuer->audiences, "api");
    fuzz_issuers[2] = issuer;
}


/* all but one have a "kid" */

static void
fuzz_make_keys(ngx_pool_t *pool, json_t *set)
{
    u_char      buf[128];
    json_t     *jwk;
    ngx_str_t   src, dst;
    ngx_uint_t  i;

    src.data = (u_char *) fuzz_secret;
    src.len = sizeof(fuzz_secret) - 1;
    dst.data = buf;
    ngx_encode_base64url(&dst, &src);

    jwk = json_pack("{s:s, s:s, s:s%}", "kty", "oct", "kid", "hs",
                    "k", dst.data, dst.len);

    fuzz_check(json_array_append_new(set, jwk) == 0);

    /* the other secret: nothing here is signed with it */

    jwk = json_pack("{s:s, s:s%}", "kty", "oct", "k", dst.data, dst.len - 1);

    fuzz_check(json_array_append_new(set, jwk) == 0);

    for (i = 1; i < sizeof(fuzz_keys) / sizeof(fuzz_keys[0]); i++) {

        jwk = fuzz_public(pool, fuzz_keys[i].pkey);

        fuzz_check(json_object_set_new(jwk, "kid",
                                       json_string(fuzz_keys[i].kid))
                   == 0);
        fuzz_check(json_array_append_new(set, jwk) == 0);
    }
}


static json_t *
fuzz_public(ngx_pool_t *pool, EVP_PKEY *pkey)
{
    BIO        *bio;
    char       *reason, *data;
    json_t     *root, *jwk;
    ngx_str_t   pem, jwks;

    bio = BIO_new(BIO_s_mem());
    fuzz_check(bio != NULL && PEM_write_bio_PUBKEY(bio, pkey) == 1);

    pem.len = BIO_get_mem_data(bio, &data);
    pem.data = (u_char *) data;

    fuzz_check(ngx_http_gateway_jwt_pem_to_jwks(pool, &pem, &jwks, &reason)
               == NGX_OK);
    BIO_free(bio);

    root = fuzz_load(&jwks);
    jwk = json_incref(json_array_get(json_object_get(root, "keys"), 0));
    json_decref(root);

    fuzz_check(jwk != NULL);

    return jwk;
}


static ngx_http_gateway_jwt_issuer_t *
fuzz_issuer(ngx_pool_t *pool, char *name, char *issuer, ngx_uint_t algorithms,
    ngx_str_t *jwks)
{
    char                           *reason;
    ngx_http_gateway_jwt_issuer_t  *iss;

    iss = ngx_pcalloc(pool, sizeof(ngx_http_gateway_jwt_issuer_t));
    fuzz_check(iss != NULL);

    fuzz_copy(pool, &iss->name, name, strlen(name));
    fuzz_copy(pool, &iss->issuer, issuer, strlen(issuer));

    fuzz_check(ngx_array_init(&iss->audiences, pool, 2, sizeof(ngx_str_t))
               == NGX_OK);
    fuzz_check(ngx_array_init(&iss->types, pool, 2, sizeof(ngx_str_t))
               == NGX_OK);
    fuzz_check(ngx_http_gateway_jwt_keys_init(&iss->keys, pool, algorithms)
               == NGX_OK);
    fuzz_check(ngx_http_gateway_jwt_keys_add(&iss->keys, pool, &fuzz_log, jwks,
                                             &iss->name, &reason)
               == NGX_OK);

    return iss;
}


static void
fuzz_push(ngx_array_t *array, char *text)
{
    ngx_str_t  *s;

    s = ngx_array_push(array);
    fuzz_check(s != NULL);

    fuzz_copy(array->pool, s, text, strlen(text));
    ngx_http_gateway_jwt_type_trim(s);
}


void
fuzz_sign(ngx_pool_t *pool, ngx_uint_t alg, ngx_str_t *input,
    ngx_str_t *signature)
{
    size_t         len;
    EVP_PKEY      *pkey;
    EVP_MD_CTX    *ctx;
    unsigned int   mac_len;
    EVP_PKEY_CTX  *pctx;
    const EVP_MD  *md;

    static const struct {
        const EVP_MD  *(*md)(void);
        size_t         size;             /* of ECDSA's r and s */
        ngx_uint_t     pss;
    } algs[NGX_HTTP_GATEWAY_JWT_NALGS] = {
        { EVP_sha256, 0, 0 }, { EVP_sha384, 0, 0 }, { EVP_sha512, 0, 0 },
        { EVP_sha256, 0, 0 }, { EVP_sha384, 0, 0 }, { EVP_sha512, 0, 0 },
        { EVP_sha256, 0, 1 }, { EVP_sha384, 0, 1 }, { EVP_sha512, 0, 1 },
        { EVP_sha256, 32, 0 }, { EVP_sha384, 48, 0 }, { EVP_sha512, 66, 0 },
        { EVP_sha256, 32, 0 }, { NULL, 0, 0 }
    };

    signature->data = ngx_pnalloc(pool, 512);
    pkey = fuzz_signer(alg)->pkey;
    md = algs[alg].md ? algs[alg].md() : NULL;

    if (pkey == NULL) {
        HMAC(md, fuzz_secret, sizeof(fuzz_secret) - 1, input->data, input->len,
             signature->data, &mac_len);
        signature->len = mac_len;
        return;
    }

    ctx = EVP_MD_CTX_new();
    fuzz_check(ctx != NULL);
    fuzz_check(EVP_DigestSignInit(ctx, &pctx, md, NULL, pkey) == 1);

    if (algs[alg].pss) {
        fuzz_check(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING)
                   == 1);
        fuzz_check(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
                                                    RSA_PSS_SALTLEN_DIGEST)
                   == 1);
    }

    len = 512;
    fuzz_check(EVP_DigestSign(ctx, signature->data, &len, input->data,
                              input->len)
               == 1);
    signature->len = len;

    EVP_MD_CTX_free(ctx);

    if (algs[alg].size) {
        fuzz_raw_ecdsa(pool, signature, algs[alg].size);
    }
}


/* RFC 7518, section 3.4 */

static void
fuzz_raw_ecdsa(ngx_pool_t *pool, ngx_str_t *sig, size_t size)
{
    u_char        *raw;
    ECDSA_SIG     *es;
    const u_char  *p;

    p = sig->data;

    es = d2i_ECDSA_SIG(NULL, &p, sig->len);
    raw = ngx_pnalloc(pool, 2 * size);
    fuzz_check(es != NULL && raw != NULL);

    fuzz_check(BN_bn2binpad(ECDSA_SIG_get0_r(es), raw, size) == (int) size);
    fuzz_check(BN_bn2binpad(ECDSA_SIG_get0_s(es), raw + size, size)
               == (int) size);

    ECDSA_SIG_free(es);

    sig->data = raw;
    sig->len = 2 * size;
}


const char *
fuzz_status(ngx_int_t status)
{
    static const char  *names[] = {
        "none", "ok", "missing", "bad_request", "malformed",
        "unknown_issuer", "unknown_key", "bad_algorithm", "bad_signature",
        "expired", "not_yet_valid", "wrong_audience", "wrong_type",
        "too_long_lived"
    };

    fuzz_check(status > 0
               && status < (ngx_int_t) (sizeof(names) / sizeof(names[0])));

    return names[status];
}
