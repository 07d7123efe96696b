
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the way from PEM to a JWK set, so that there is one way for keys into
 * a set.  Needs nginx's core, not its HTTP.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <jansson.h>

#include "ngx_http_gateway_jwt_keys.h"


/* the largest integer of a key: RSA's modulus of 16384 bits */

#define NGX_HTTP_GATEWAY_JWT_MAX_BN  2048


static ngx_int_t ngx_http_gateway_jwt_pem_block(json_t *keys,
    const char *name, const u_char *data, long len, ngx_uint_t *certificates,
    char **reason);
static ngx_int_t ngx_http_gateway_jwt_pem_pkey(json_t *keys, EVP_PKEY *pkey,
    char **reason);
static ngx_int_t ngx_http_gateway_jwt_pem_pss(json_t *keys, EVP_PKEY *pkey,
    json_t *jwk, char **reason);
static json_t *ngx_http_gateway_jwt_pem_rsa(EVP_PKEY *pkey);
static json_t *ngx_http_gateway_jwt_pem_ec(EVP_PKEY *pkey);
static json_t *ngx_http_gateway_jwt_pem_okp(EVP_PKEY *pkey, const char *crv);
static json_t *ngx_http_gateway_jwt_pem_bn(EVP_PKEY *pkey, const char *name,
    size_t size);
static json_t *ngx_http_gateway_jwt_pem_bytes(u_char *data, size_t len);


static struct {
    const char  *group;              /* OpenSSL's */
    const char  *crv;                /* RFC 7518, RFC 8812 */
    size_t       size;
} ngx_http_gateway_jwt_curves[] = {
    { "prime256v1", "P-256", 32 },
    { "secp384r1", "P-384", 48 },
    { "secp521r1", "P-521", 66 },
    { "secp256k1", "secp256k1", 32 },
    { NULL, NULL, 0 }
};


ngx_int_t
ngx_http_gateway_jwt_pem_to_jwks(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *jwks, char **reason)
{
    BIO         *bio;
    char        *name, *header, *dump;
    long         len;
    json_t      *root, *keys;
    ngx_int_t    rc;
    ngx_str_t    s;
    ngx_uint_t   certificates;
    u_char      *data;

    bio = BIO_new_mem_buf(text->data, text->len);
    if (bio == NULL) {
        return NGX_ERROR;
    }

    keys = json_array();
    certificates = 0;
    rc = NGX_OK;

    while (rc == NGX_OK && PEM_read_bio(bio, &name, &header, &data, &len)) {

        rc = ngx_http_gateway_jwt_pem_block(keys, name, data, len,
                                            &certificates, reason);

        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, len);
    }

    /* at the end of the text, too, OpenSSL leaves an error */

    if (rc == NGX_OK
        && (json_array_size(keys) == 0
            || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
    {
        *reason = "its PEM is broken";
        rc = NGX_DECLINED;
    }

    ERR_clear_error();
    BIO_free(bio);

    if (rc != NGX_OK) {
        json_decref(keys);
        return rc;
    }

    root = json_pack("{s:o}", "keys", keys);
    dump = root ? json_dumps(root, JSON_COMPACT) : NULL;

    json_decref(root);

    if (dump == NULL) {
        return NGX_ERROR;
    }

    s.data = (u_char *) dump;
    s.len = ngx_strlen(dump);

    jwks->len = s.len;
    jwks->data = ngx_pstrdup(pool, &s);

    free(dump);

    return jwks->data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_gateway_jwt_pem_block(json_t *keys, const char *name,
    const u_char *data, long len, ngx_uint_t *certificates, char **reason)
{
    X509          *cert;
    EVP_PKEY      *pkey;
    ngx_int_t      rc;
    const u_char  *p;

    p = data;

    if (ngx_strstr(name, "PRIVATE KEY") != NULL) {
        *reason = "it holds a private key, where only public ones belong";
        return NGX_DECLINED;
    }

    if (ngx_strcmp(name, PEM_STRING_PUBLIC) == 0) {
        pkey = d2i_PUBKEY(NULL, &p, len);

    } else if (ngx_strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);

    } else if (ngx_strcmp(name, PEM_STRING_X509) == 0) {

        /* the others would be the issuer's authorities, not the issuer */

        if ((*certificates)++) {
            *reason = "it holds more than one certificate";
            return NGX_DECLINED;
        }

        cert = d2i_X509(NULL, &p, len);
        pkey = cert ? X509_get_pubkey(cert) : NULL;

        X509_free(cert);

    } else {
        *reason = "it holds PEM that is neither a public key nor a certificate";
        return NGX_DECLINED;
    }

    if (pkey == NULL) {
        *reason = "its PEM is broken";
        return NGX_DECLINED;
    }

    rc = ngx_http_gateway_jwt_pem_pkey(keys, pkey, reason);

    EVP_PKEY_free(pkey);

    return rc;
}


static ngx_int_t
ngx_http_gateway_jwt_pem_pkey(json_t *keys, EVP_PKEY *pkey, char **reason)
{
    json_t  *jwk;

    switch (EVP_PKEY_get_base_id(pkey)) {

    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        jwk = ngx_http_gateway_jwt_pem_rsa(pkey);
        break;

    case EVP_PKEY_EC:
        jwk = ngx_http_gateway_jwt_pem_ec(pkey);
        break;

    case EVP_PKEY_ED25519:
        jwk = ngx_http_gateway_jwt_pem_okp(pkey, "Ed25519");
        break;

    case EVP_PKEY_ED448:
        jwk = ngx_http_gateway_jwt_pem_okp(pkey, "Ed448");
        break;

    default:
        jwk = NULL;
    }

    if (jwk == NULL) {
        *reason = "it holds a key of a type that is not supported";
        return NGX_DECLINED;
    }

    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA_PSS) {
        return ngx_http_gateway_jwt_pem_pss(keys, pkey, jwk, reason);
    }

    return json_array_append_new(keys, jwk) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * Such a key verifies RSASSA-PSS only, with the hash that it is restricted to
 * if it is (RFC 4055, section 3.1).  One "alg" can not say that: the key is
 * put into the set once for each of its algorithms.
 */

static ngx_int_t
ngx_http_gateway_jwt_pem_pss(json_t *keys, EVP_PKEY *pkey, json_t *jwk,
    char **reason)
{
    char         hash[32];
    EVP_MD      *md;
    json_t      *copy;
    ngx_int_t    rc;
    ngx_uint_t   i, restricted;

    static struct {
        const char  *alg;
        const char  *hash;
    } pss[] = {
        { "PS256", "SHA256" },
        { "PS384", "SHA384" },
        { "PS512", "SHA512" }
    };

    restricted = EVP_PKEY_get_utf8_string_param(pkey,
                                                OSSL_PKEY_PARAM_RSA_DIGEST,
                                                hash, sizeof(hash), NULL)
                 == 1;

    md = restricted ? EVP_MD_fetch(NULL, hash, NULL) : NULL;

    /* unless one of the hashes is found */

    *reason = "it holds an RSASSA-PSS key whose hash is not one of PS256, "
              "PS384 and PS512";

    rc = NGX_DECLINED;

    for (i = 0; i < 3 && rc != NGX_ERROR; i++) {

        if (restricted && (md == NULL || !EVP_MD_is_a(md, pss[i].hash))) {
            continue;
        }

        copy = json_copy(jwk);

        if (json_object_set_new(copy, "alg", json_string(pss[i].alg)) != 0) {
            json_decref(copy);
            rc = NGX_ERROR;
            break;
        }

        rc = (json_array_append_new(keys, copy) == 0) ? NGX_OK : NGX_ERROR;
    }

    json_decref(jwk);
    EVP_MD_free(md);

    return rc;
}


static json_t *
ngx_http_gateway_jwt_pem_rsa(EVP_PKEY *pkey)
{
    return json_pack("{s:s, s:o, s:o}", "kty", "RSA",
                     "n", ngx_http_gateway_jwt_pem_bn(pkey,
                                                OSSL_PKEY_PARAM_RSA_N, 0),
                     "e", ngx_http_gateway_jwt_pem_bn(pkey,
                                                OSSL_PKEY_PARAM_RSA_E, 0));
}


static json_t *
ngx_http_gateway_jwt_pem_ec(EVP_PKEY *pkey)
{
    char        group[64];
    size_t      size;
    ngx_uint_t  i;

    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &size) != 1) {
        return NULL;
    }

    for (i = 0; ngx_http_gateway_jwt_curves[i].group; i++) {

        if (ngx_strcmp(group, ngx_http_gateway_jwt_curves[i].group) != 0) {
            continue;
        }

        size = ngx_http_gateway_jwt_curves[i].size;

        return json_pack("{s:s, s:s, s:o, s:o}", "kty", "EC",
                         "crv", ngx_http_gateway_jwt_curves[i].crv,
                         "x", ngx_http_gateway_jwt_pem_bn(pkey,
                                            OSSL_PKEY_PARAM_EC_PUB_X, size),
                         "y", ngx_http_gateway_jwt_pem_bn(pkey,
                                            OSSL_PKEY_PARAM_EC_PUB_Y, size));
    }

    return NULL;
}


static json_t *
ngx_http_gateway_jwt_pem_okp(EVP_PKEY *pkey, const char *crv)
{
    u_char  buf[64];
    size_t  len;

    len = sizeof(buf);

    if (EVP_PKEY_get_raw_public_key(pkey, buf, &len) != 1) {
        return NULL;
    }

    return json_pack("{s:s, s:s, s:o}", "kty", "OKP", "crv", crv,
                     "x", ngx_http_gateway_jwt_pem_bytes(buf, len));
}


/* "size" is the least number of bytes, or 0 */

static json_t *
ngx_http_gateway_jwt_pem_bn(EVP_PKEY *pkey, const char *name, size_t size)
{
    int      len;
    BIGNUM  *bn;
    u_char   buf[NGX_HTTP_GATEWAY_JWT_MAX_BN];

    bn = NULL;

    if (EVP_PKEY_get_bn_param(pkey, name, &bn) != 1) {
        return NULL;
    }

    len = ngx_max((size_t) BN_num_bytes(bn), size);

    if (len > NGX_HTTP_GATEWAY_JWT_MAX_BN || BN_bn2binpad(bn, buf, len) < 0) {
        BN_free(bn);
        return NULL;
    }

    BN_free(bn);

    return ngx_http_gateway_jwt_pem_bytes(buf, len);
}


static json_t *
ngx_http_gateway_jwt_pem_bytes(u_char *data, size_t len)
{
    u_char     buf[ngx_base64_encoded_length(NGX_HTTP_GATEWAY_JWT_MAX_BN)];
    ngx_str_t  src, dst;

    src.data = data;
    src.len = len;
    dst.data = buf;

    ngx_encode_base64url(&dst, &src);

    return json_stringn((char *) dst.data, dst.len);
}
