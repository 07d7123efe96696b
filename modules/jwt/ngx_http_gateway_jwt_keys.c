
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns sets of verification keys and the check of a signature.  Never looks
 * into a token.  Needs nginx's core, not its HTTP.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <jansson.h>
#include <jwt.h>

#include "ngx_http_gateway_jwt_keys.h"


#define NGX_HTTP_GATEWAY_JWT_MIN_RSA_BITS  2048

/* an ECDSA signature in DER, of two integers of 66 bytes, and to spare */

#define NGX_HTTP_GATEWAY_JWT_MAX_DER       160


typedef struct {
    ngx_str_t      name;
    const char    *kty;
    const char    *crv;                /* NULL: any of the kty */
    const EVP_MD  *(*md)(void);        /* NULL: the key's own */
    size_t         size;               /* HS: the least secret; ES: of r and s */
    unsigned       pss:1;
} ngx_http_gateway_jwt_alg_t;


static ngx_uint_t ngx_http_gateway_jwt_keys_is_pem(ngx_str_t *text);
static json_t *ngx_http_gateway_jwt_keys_public(json_t *jwk, const char *kty);
static ngx_uint_t ngx_http_gateway_jwt_key_algorithms(json_t *jwk,
    const char *kty, char **reason);
static ngx_int_t ngx_http_gateway_jwt_keys_add_jwk(
    ngx_http_gateway_jwt_keys_t *keys, ngx_pool_t *pool, ngx_log_t *log,
    ngx_str_t *label, json_t *jwk, char **reason);
static ngx_int_t ngx_http_gateway_jwt_key_usable(json_t *jwk, char **reason);
static ngx_uint_t ngx_http_gateway_jwt_key_private(json_t *jwk,
    const char *kty);
static ngx_int_t ngx_http_gateway_jwt_key_import(
    ngx_http_gateway_jwt_key_t *key, ngx_pool_t *pool, json_t *jwk,
    char **reason);
static ngx_int_t ngx_http_gateway_jwt_key_secret(
    ngx_http_gateway_jwt_key_t *key, ngx_pool_t *pool, const jwk_item_t *item,
    char **reason);
static ngx_int_t ngx_http_gateway_jwt_key_pkey(
    ngx_http_gateway_jwt_key_t *key, const jwk_item_t *item, char **reason);
static ngx_uint_t ngx_http_gateway_jwt_key_weak_rsa(EVP_PKEY *pkey);
static ngx_int_t ngx_http_gateway_jwt_key_prepare(
    ngx_http_gateway_jwt_key_t *key);
static void ngx_http_gateway_jwt_key_cleanup(void *data);
static ngx_int_t ngx_http_gateway_jwt_key_hmac(
    ngx_http_gateway_jwt_key_t *key, ngx_http_gateway_jwt_alg_t *alg,
    ngx_str_t *input, ngx_str_t *sig);
static ngx_int_t ngx_http_gateway_jwt_ecdsa_der(ngx_str_t *sig, size_t size,
    u_char *der, size_t *len);


static ngx_http_gateway_jwt_alg_t
    ngx_http_gateway_jwt_algs[NGX_HTTP_GATEWAY_JWT_NALGS] =
{
    { ngx_string("HS256"), "oct", NULL, EVP_sha256, 32, 0 },
    { ngx_string("HS384"), "oct", NULL, EVP_sha384, 48, 0 },
    { ngx_string("HS512"), "oct", NULL, EVP_sha512, 64, 0 },
    { ngx_string("RS256"), "RSA", NULL, EVP_sha256, 0, 0 },
    { ngx_string("RS384"), "RSA", NULL, EVP_sha384, 0, 0 },
    { ngx_string("RS512"), "RSA", NULL, EVP_sha512, 0, 0 },
    { ngx_string("PS256"), "RSA", NULL, EVP_sha256, 0, 1 },
    { ngx_string("PS384"), "RSA", NULL, EVP_sha384, 0, 1 },
    { ngx_string("PS512"), "RSA", NULL, EVP_sha512, 0, 1 },
    { ngx_string("ES256"), "EC", "P-256", EVP_sha256, 32, 0 },
    { ngx_string("ES384"), "EC", "P-384", EVP_sha384, 48, 0 },
    { ngx_string("ES512"), "EC", "P-521", EVP_sha512, 66, 0 },
    { ngx_string("ES256K"), "EC", "secp256k1", EVP_sha256, 32, 0 },
    { ngx_string("EdDSA"), "OKP", NULL, NULL, 0, 0 }
};


/* the members of a JWK that make its public key, RFC 7518, section 6 */

static struct {
    const char    *kty;
    const char    *names[4];
} ngx_http_gateway_jwt_public[] = {
    { "oct", { "k", NULL } },
    { "RSA", { "n", "e", NULL } },
    { "EC", { "crv", "x", "y", NULL } },
    { "OKP", { "crv", "x", NULL } },
    { NULL, { NULL } }
};


ngx_int_t
ngx_http_gateway_jwt_alg_find(ngx_str_t *name)
{
    ngx_uint_t   i;
    ngx_str_t   *s;

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {
        s = &ngx_http_gateway_jwt_algs[i].name;

        if (s->len == name->len
            && ngx_strncmp(s->data, name->data, s->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_http_gateway_jwt_keys_init(ngx_http_gateway_jwt_keys_t *keys,
    ngx_pool_t *pool, ngx_uint_t algorithms)
{
    keys->algorithms = algorithms;

    return ngx_array_init(&keys->keys, pool, 4,
                          sizeof(ngx_http_gateway_jwt_key_t *));
}


ngx_int_t
ngx_http_gateway_jwt_keys_add(ngx_http_gateway_jwt_keys_t *keys,
    ngx_pool_t *pool, ngx_log_t *log, ngx_str_t *text, ngx_str_t *name,
    char **reason)
{
    char        *why;
    u_char      *last, buf[NGX_MAX_ERROR_STR];
    json_t      *root, *set, *jwk, *kid;
    size_t       i, n;
    ngx_int_t    rc;
    ngx_str_t    jwks, label;

    jwks = *text;

    if (ngx_http_gateway_jwt_keys_is_pem(text)) {
        rc = ngx_http_gateway_jwt_pem_to_jwks(pool, text, &jwks, reason);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    root = json_loadb((char *) jwks.data, jwks.len, JSON_REJECT_DUPLICATES,
                      NULL);
    if (root == NULL) {
        *reason = "it is neither JSON nor PEM";
        return NGX_DECLINED;
    }

    set = json_object_get(root, "keys");
    n = json_is_array(set) ? json_array_size(set) : 1;

    if (!json_is_object(root)
        || (set != NULL && !json_is_array(set))
        || (set == NULL && json_object_get(root, "kty") == NULL))
    {
        json_decref(root);
        *reason = "it is neither a JWK set nor a JWK";
        return NGX_DECLINED;
    }

    rc = NGX_OK;

    for (i = 0; i < n; i++) {
        jwk = set ? json_array_get(set, i) : root;
        kid = json_object_get(jwk, "kid");

        last = ngx_slprintf(buf, buf + sizeof(buf), "%V: key %uz (kid \"%s\")",
                            name, i + 1,
                            json_is_string(kid) ? json_string_value(kid) : "");
        label.data = buf;
        label.len = last - buf;

        rc = ngx_http_gateway_jwt_keys_add_jwk(keys, pool, log, &label, jwk,
                                               &why);
        if (rc == NGX_ERROR) {
            break;
        }

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_WARN, log, 0, "%V is not used: %s",
                          &label, why);
            rc = NGX_OK;
        }
    }

    json_decref(root);

    return rc;
}


/*
 * PEM may have any text around it, RFC 7468, section 2; JSON may have PEM in
 * members that are not ours to look at.
 */

static ngx_uint_t
ngx_http_gateway_jwt_keys_is_pem(ngx_str_t *text)
{
    u_char  *p, *last;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {
        if (*p != ' ' && *p != '\t' && *p != CR && *p != LF) {
            break;
        }
    }

    if (p == last || *p == '{' || *p == '[') {
        return 0;
    }

    return ngx_strlcasestrn(p, last, (u_char *) "-----BEGIN ",
                            sizeof("-----BEGIN ") - 2)
           != NULL;
}


static ngx_int_t
ngx_http_gateway_jwt_keys_add_jwk(ngx_http_gateway_jwt_keys_t *keys,
    ngx_pool_t *pool, ngx_log_t *log, ngx_str_t *label, json_t *jwk,
    char **reason)
{
    json_t                       *public;
    ngx_int_t                     rc;
    ngx_str_t                     kid;
    const char                   *kty;
    ngx_uint_t                    algorithms;
    ngx_pool_cleanup_t           *cln;
    ngx_http_gateway_jwt_key_t   *key, **kp;

    kty = json_string_value(json_object_get(jwk, "kty"));
    if (kty == NULL) {
        *reason = "it has no \"kty\"";
        return NGX_DECLINED;
    }

    if (ngx_http_gateway_jwt_key_usable(jwk, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    algorithms = ngx_http_gateway_jwt_key_algorithms(jwk, kty, reason);

    if (algorithms == 0) {
        return NGX_DECLINED;
    }

    if ((algorithms & keys->algorithms) == 0) {
        *reason = "its algorithms are not among \"algorithms\"";
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_gateway_jwt_key_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    key = cln->data;
    ngx_memzero(key, sizeof(ngx_http_gateway_jwt_key_t));
    key->algorithms = algorithms & keys->algorithms;
    cln->handler = ngx_http_gateway_jwt_key_cleanup;

    public = ngx_http_gateway_jwt_keys_public(jwk, kty);
    if (public == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_gateway_jwt_key_import(key, pool, public, reason);

    json_decref(public);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_gateway_jwt_key_prepare(key);
    if (rc != NGX_OK) {
        *reason = "OpenSSL does not accept it";
        return rc;
    }

    if (ngx_http_gateway_jwt_key_private(jwk, kty)) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "%V is a private key, only its public members are used",
                      label);
    }

    kid.data = (u_char *) json_string_value(json_object_get(jwk, "kid"));

    if (kid.data != NULL) {
        kid.len = ngx_strlen(kid.data);

        key->kid.data = ngx_pstrdup(pool, &kid);
        if (key->kid.data == NULL) {
            return NGX_ERROR;
        }

        key->kid.len = kid.len;
    }

    kp = ngx_array_push(&keys->keys);
    if (kp == NULL) {
        return NGX_ERROR;
    }

    *kp = key;

    return NGX_OK;
}


/* RFC 7517, sections 4.2 and 4.3: what the key's owner means it for */

static ngx_int_t
ngx_http_gateway_jwt_key_usable(json_t *jwk, char **reason)
{
    json_t  *use, *ops, *op;
    size_t   i;

    use = json_object_get(jwk, "use");

    if (use != NULL
        && (!json_is_string(use)
            || ngx_strcmp(json_string_value(use), "sig") != 0))
    {
        *reason = "its \"use\" is not \"sig\"";
        return NGX_DECLINED;
    }

    ops = json_object_get(jwk, "key_ops");

    if (ops == NULL) {
        return NGX_OK;
    }

    json_array_foreach(ops, i, op) {
        if (json_is_string(op)
            && ngx_strcmp(json_string_value(op), "verify") == 0)
        {
            return NGX_OK;
        }
    }

    *reason = "its \"key_ops\" does not have \"verify\"";

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_gateway_jwt_key_algorithms(json_t *jwk, const char *kty,
    char **reason)
{
    json_t                      *alg;
    ngx_str_t                    name;
    ngx_int_t                    n;
    ngx_uint_t                   i, algorithms;
    const char                  *crv;
    ngx_http_gateway_jwt_alg_t  *a;

    crv = json_string_value(json_object_get(jwk, "crv"));
    algorithms = 0;

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {
        a = &ngx_http_gateway_jwt_algs[i];

        if (ngx_strcmp(a->kty, kty) == 0
            && (a->crv == NULL
                || (crv != NULL && ngx_strcmp(a->crv, crv) == 0)))
        {
            algorithms |= ngx_http_gateway_jwt_alg(i);
        }
    }

    if (algorithms == 0) {
        *reason = "its \"kty\" or \"crv\" is not supported";
        return 0;
    }

    alg = json_object_get(jwk, "alg");

    if (alg == NULL) {
        return algorithms;
    }

    n = NGX_ERROR;

    if (json_is_string(alg)) {
        name.data = (u_char *) json_string_value(alg);
        name.len = ngx_strlen(name.data);

        n = ngx_http_gateway_jwt_alg_find(&name);
    }

    if (n == NGX_ERROR || (algorithms & ngx_http_gateway_jwt_alg(n)) == 0) {
        *reason = "its \"alg\" is not supported or not one of its \"kty\"";
        return 0;
    }

    return ngx_http_gateway_jwt_alg(n);
}


static ngx_uint_t
ngx_http_gateway_jwt_key_private(json_t *jwk, const char *kty)
{
    return ngx_strcmp(kty, "oct") != 0 && json_object_get(jwk, "d") != NULL;
}


/*
 * A copy of the JWK with what makes the public key: libjwt never sees a
 * private one, and "alg" does not decide the type of an RSA key.
 */

static json_t *
ngx_http_gateway_jwt_keys_public(json_t *jwk, const char *kty)
{
    json_t      *public, *value;
    ngx_uint_t   i, k;

    public = json_object();
    if (public == NULL) {
        return NULL;
    }

    if (json_object_set(public, "kty", json_object_get(jwk, "kty")) != 0) {
        goto failed;
    }

    for (i = 0; ngx_http_gateway_jwt_public[i].kty; i++) {

        if (ngx_strcmp(ngx_http_gateway_jwt_public[i].kty, kty) != 0) {
            continue;
        }

        for (k = 0; ngx_http_gateway_jwt_public[i].names[k]; k++) {
            value = json_object_get(jwk,
                                    ngx_http_gateway_jwt_public[i].names[k]);

            if (value != NULL
                && json_object_set(public,
                                   ngx_http_gateway_jwt_public[i].names[k],
                                   value)
                   != 0)
            {
                goto failed;
            }
        }
    }

    return public;

failed:

    json_decref(public);

    return NULL;
}


static ngx_int_t
ngx_http_gateway_jwt_key_import(ngx_http_gateway_jwt_key_t *key,
    ngx_pool_t *pool, json_t *jwk, char **reason)
{
    char              *text;
    ngx_int_t          rc;
    jwk_set_t         *set;
    const jwk_item_t  *item;

    text = json_dumps(jwk, JSON_COMPACT);
    if (text == NULL) {
        return NGX_ERROR;
    }

    set = jwks_create(text);

    OPENSSL_cleanse(text, ngx_strlen(text));
    free(text);

    item = jwks_item_get(set, 0);

    if (set == NULL || item == NULL) {
        rc = NGX_ERROR;

    } else if (jwks_error(set) || jwks_item_error(item)) {
        *reason = "its members do not make a key";
        rc = NGX_DECLINED;

    } else if (jwks_item_kty(item) == JWK_KEY_TYPE_OCT) {
        rc = ngx_http_gateway_jwt_key_secret(key, pool, item, reason);

    } else {
        rc = ngx_http_gateway_jwt_key_pkey(key, item, reason);
    }

    jwks_free(set);
    ERR_clear_error();

    return rc;
}


/* RFC 7518, section 3.2: no secret shorter than the hash */

static ngx_int_t
ngx_http_gateway_jwt_key_secret(ngx_http_gateway_jwt_key_t *key,
    ngx_pool_t *pool, const jwk_item_t *item, char **reason)
{
    size_t                len;
    ngx_uint_t            i;
    const unsigned char  *data;

    if (jwks_item_key_oct(item, &data, &len) != 0) {
        *reason = "its members do not make a key";
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {
        if (len < ngx_http_gateway_jwt_algs[i].size) {
            key->algorithms &= ~ngx_http_gateway_jwt_alg(i);
        }
    }

    if (key->algorithms == 0) {
        *reason = "its secret is shorter than the hash of its algorithms";
        return NGX_DECLINED;
    }

    key->secret.data = ngx_pnalloc(pool, len);
    if (key->secret.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(key->secret.data, data, len);
    key->secret.len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_key_pkey(ngx_http_gateway_jwt_key_t *key,
    const jwk_item_t *item, char **reason)
{
    BIO         *bio;
    const char  *pem;

    if (jwks_item_kty(item) == JWK_KEY_TYPE_RSA
        && jwks_item_key_bits(item) < NGX_HTTP_GATEWAY_JWT_MIN_RSA_BITS)
    {
        *reason = "RSA keys of less than 2048 bits are not accepted";
        return NGX_DECLINED;
    }

    pem = jwks_item_pem(item);

    bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
    if (bio == NULL) {
        return NGX_ERROR;
    }

    key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    BIO_free(bio);

    if (key->pkey == NULL) {
        *reason = "its members do not make a key";
        return NGX_DECLINED;
    }

    if (jwks_item_kty(item) == JWK_KEY_TYPE_RSA
        && ngx_http_gateway_jwt_key_weak_rsa(key->pkey))
    {
        *reason = "its RSA exponent is not an odd number of at least 3";
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* with an exponent of 1, everyone could sign */

static ngx_uint_t
ngx_http_gateway_jwt_key_weak_rsa(EVP_PKEY *pkey)
{
    BIGNUM      *e;
    ngx_uint_t   weak;

    e = NULL;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1) {
        return 1;
    }

    weak = BN_is_one(e) || !BN_is_odd(e);

    BN_free(e);

    return weak;
}


/*
 * Initializing a verification takes OpenSSL 3 several microseconds, mostly
 * looking for algorithms by name; copying an initialized one does not.
 */

static ngx_int_t
ngx_http_gateway_jwt_key_prepare(ngx_http_gateway_jwt_key_t *key)
{
    ngx_uint_t                   i;
    EVP_MD_CTX                  *ctx;
    EVP_PKEY_CTX                *pctx;
    const EVP_MD                *md;
    ngx_http_gateway_jwt_alg_t  *alg;

    if (key->pkey == NULL) {
        return NGX_OK;
    }

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {

        if ((key->algorithms & ngx_http_gateway_jwt_alg(i)) == 0) {
            continue;
        }

        alg = &ngx_http_gateway_jwt_algs[i];
        md = alg->md ? alg->md() : NULL;

        ctx = EVP_MD_CTX_new();
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        key->ctx[i] = ctx;

        if (EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key->pkey) != 1) {
            ERR_clear_error();
            return NGX_DECLINED;
        }

        if (alg->pss
            && (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1
                || EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
                                                    RSA_PSS_SALTLEN_DIGEST)
                   != 1))
        {
            ERR_clear_error();
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void
ngx_http_gateway_jwt_key_cleanup(void *data)
{
    ngx_http_gateway_jwt_key_t  *key = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_GATEWAY_JWT_NALGS; i++) {
        EVP_MD_CTX_free(key->ctx[i]);
    }

    EVP_PKEY_free(key->pkey);

    if (key->secret.len) {
        OPENSSL_cleanse(key->secret.data, key->secret.len);
    }
}


ngx_int_t
ngx_http_gateway_jwt_key_verify(ngx_http_gateway_jwt_key_t *key,
    ngx_uint_t alg, ngx_str_t *input, ngx_str_t *sig)
{
    int                          rc;
    u_char                      *p, der[NGX_HTTP_GATEWAY_JWT_MAX_DER];
    size_t                       len;
    EVP_MD_CTX                  *ctx;
    ngx_http_gateway_jwt_alg_t  *a;

    if ((key->algorithms & ngx_http_gateway_jwt_alg(alg)) == 0) {
        return NGX_DECLINED;
    }

    a = &ngx_http_gateway_jwt_algs[alg];

    if (key->pkey == NULL) {
        return ngx_http_gateway_jwt_key_hmac(key, a, input, sig);
    }

    p = sig->data;
    len = sig->len;

    if (a->size) {
        if (ngx_http_gateway_jwt_ecdsa_der(sig, a->size, der, &len) != NGX_OK) {
            return NGX_DECLINED;
        }

        p = der;
    }

    ctx = EVP_MD_CTX_new();

    if (ctx == NULL || EVP_MD_CTX_copy_ex(ctx, key->ctx[alg]) != 1) {
        EVP_MD_CTX_free(ctx);
        ERR_clear_error();
        return NGX_ERROR;
    }

    rc = EVP_DigestVerify(ctx, p, len, input->data, input->len);

    EVP_MD_CTX_free(ctx);

    if (rc != 1) {

        /* what is left in OpenSSL's queue would be logged as TLS's error */

        ERR_clear_error();
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_key_hmac(ngx_http_gateway_jwt_key_t *key,
    ngx_http_gateway_jwt_alg_t *alg, ngx_str_t *input, ngx_str_t *sig)
{
    u_char        mac[EVP_MAX_MD_SIZE];
    unsigned int  len;

    if (HMAC(alg->md(), key->secret.data, key->secret.len, input->data,
             input->len, mac, &len)
        == NULL)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    if (sig->len != len || CRYPTO_memcmp(sig->data, mac, len) != 0) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* from r and s one after the other to what OpenSSL knows, RFC 3279 */

static ngx_int_t
ngx_http_gateway_jwt_ecdsa_der(ngx_str_t *sig, size_t size, u_char *der,
    size_t *len)
{
    int         n;
    BIGNUM     *r, *s;
    ECDSA_SIG  *es;

    if (sig->len != 2 * size) {
        return NGX_DECLINED;
    }

    r = BN_bin2bn(sig->data, size, NULL);
    s = BN_bin2bn(sig->data + size, size, NULL);
    es = ECDSA_SIG_new();

    if (r == NULL || s == NULL || es == NULL || !ECDSA_SIG_set0(es, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(es);
        ERR_clear_error();
        return NGX_DECLINED;
    }

    n = i2d_ECDSA_SIG(es, NULL);

    if (n > 0 && n <= NGX_HTTP_GATEWAY_JWT_MAX_DER) {
        n = i2d_ECDSA_SIG(es, &der);

    } else {
        n = 0;
    }

    ECDSA_SIG_free(es);

    *len = n;

    return n > 0 ? NGX_OK : NGX_DECLINED;
}
