
/*
 * Makes the tokens of the JWT benchmarks: COUNT different tokens of one
 * algorithm, one per line, and the JWKS that verifies them.  In C because
 * 20,000 RSA signatures take seconds with OpenSSL and minutes in perl.
 *
 * The private key is made here and is never written anywhere.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>


#define SECRET_LEN  32
#define SIG_MAX     1024
#define TEXT_MAX    2048
#define KID         "bench-1"


typedef struct {
    const char     *alg;
    EVP_PKEY       *pkey;
    unsigned char   secret[SECRET_LEN];
} signer_t;


static int signer_init(signer_t *signer, const char *alg);
static int write_tokens(signer_t *signer, FILE *fp, long count,
    long lifetime);
static int write_jwks(signer_t *signer, FILE *fp);
static int write_member(signer_t *signer, FILE *fp, const char *name,
    const char *param);
static int sign(signer_t *signer, const char *text, size_t len,
    unsigned char *sig, size_t *sig_len);
static int ecdsa_raw(unsigned char *sig, size_t *sig_len);
static size_t base64url(char *dst, const unsigned char *src, size_t len);


int
main(int argc, char **argv)
{
    int       rc;
    FILE     *tokens, *jwks;
    signer_t  signer;

    if (argc != 6) {
        fprintf(stderr, "usage: tokens RS256|ES256|HS256 COUNT LIFETIME "
                        "TOKENS JWKS\n");
        return 2;
    }

    if (signer_init(&signer, argv[1]) != 0) {
        fprintf(stderr, "tokens: no key for \"%s\"\n", argv[1]);
        return 1;
    }

    tokens = fopen(argv[4], "w");
    jwks = fopen(argv[5], "w");

    if (tokens == NULL || jwks == NULL) {
        perror("tokens: fopen()");
        return 1;
    }

    rc = write_tokens(&signer, tokens, atol(argv[2]), atol(argv[3]));

    if (rc == 0) {
        rc = write_jwks(&signer, jwks);
    }

    if (fclose(tokens) != 0 || fclose(jwks) != 0 || rc != 0) {
        fprintf(stderr, "tokens: signing or writing failed\n");
        return 1;
    }

    EVP_PKEY_free(signer.pkey);

    return 0;
}


static int
signer_init(signer_t *signer, const char *alg)
{
    signer->alg = alg;
    signer->pkey = NULL;

    if (strcmp(alg, "HS256") == 0) {
        return RAND_bytes(signer->secret, SECRET_LEN) == 1 ? 0 : -1;
    }

    if (strcmp(alg, "RS256") == 0) {
        signer->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);

    } else if (strcmp(alg, "ES256") == 0) {
        signer->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    }

    return signer->pkey != NULL ? 0 : -1;
}


/* A token as an ordinary issuer makes it: about 600 bytes with RS256. */

static int
write_tokens(signer_t *signer, FILE *fp, long count, long lifetime)
{
    int            n;
    char           json[TEXT_MAX], text[TEXT_MAX], out[TEXT_MAX];
    long           i, now;
    size_t         len, header_len, sig_len;
    unsigned char  sig[SIG_MAX], jti[8];

    now = (long) time(NULL);

    n = snprintf(json, sizeof(json),
                 "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
                 signer->alg);

    header_len = base64url(text, (unsigned char *) json, (size_t) n);
    text[header_len++] = '.';

    for (i = 0; i < count; i++) {

        if (RAND_bytes(jti, sizeof(jti)) != 1) {
            return -1;
        }

        n = snprintf(json, sizeof(json),
                     "{\"iss\":\"https://id.example.com\","
                     "\"sub\":\"user-%06ld\",\"aud\":\"api\","
                     "\"exp\":%ld,\"iat\":%ld,"
                     "\"jti\":\"%02x%02x%02x%02x%02x%02x%02x%02x\","
                     "\"scope\":\"orders:read orders:write\"}",
                     i, now + lifetime, now, jti[0], jti[1], jti[2], jti[3],
                     jti[4], jti[5], jti[6], jti[7]);

        len = header_len;
        len += base64url(text + len, (unsigned char *) json, (size_t) n);

        sig_len = sizeof(sig);

        if (sign(signer, text, len, sig, &sig_len) != 0) {
            return -1;
        }

        (void) base64url(out, sig, sig_len);

        if (fprintf(fp, "%.*s.%s\n", (int) len, text, out) < 0) {
            return -1;
        }
    }

    return 0;
}


static int
write_jwks(signer_t *signer, FILE *fp)
{
    int   rc;
    char  secret[TEXT_MAX];

    fprintf(fp, "{\"keys\":[{\"kid\":\"" KID "\",\"use\":\"sig\","
                "\"alg\":\"%s\",", signer->alg);

    if (signer->pkey == NULL) {
        (void) base64url(secret, signer->secret, SECRET_LEN);
        fprintf(fp, "\"kty\":\"oct\",\"k\":\"%s\"", secret);
        rc = 0;

    } else if (EVP_PKEY_is_a(signer->pkey, "RSA")) {
        fprintf(fp, "\"kty\":\"RSA\"");
        rc = write_member(signer, fp, "n", OSSL_PKEY_PARAM_RSA_N);
        rc |= write_member(signer, fp, "e", OSSL_PKEY_PARAM_RSA_E);

    } else {
        fprintf(fp, "\"kty\":\"EC\",\"crv\":\"P-256\"");
        rc = write_member(signer, fp, "x", OSSL_PKEY_PARAM_EC_PUB_X);
        rc |= write_member(signer, fp, "y", OSSL_PKEY_PARAM_EC_PUB_Y);
    }

    fprintf(fp, "}]}\n");

    return rc;
}


static int
write_member(signer_t *signer, FILE *fp, const char *name, const char *param)
{
    int             len;
    char            text[TEXT_MAX];
    BIGNUM         *bn;
    unsigned char   bytes[SIG_MAX];

    bn = NULL;

    if (EVP_PKEY_get_bn_param(signer->pkey, param, &bn) != 1) {
        return -1;
    }

    /* a coordinate is always 32 octets (RFC 7518, section 6.2.1.2) */

    if (EVP_PKEY_is_a(signer->pkey, "EC")) {
        len = BN_bn2binpad(bn, bytes, 32);

    } else {
        len = BN_bn2bin(bn, bytes);
    }

    BN_free(bn);

    if (len <= 0) {
        return -1;
    }

    (void) base64url(text, bytes, (size_t) len);
    fprintf(fp, ",\"%s\":\"%s\"", name, text);

    return 0;
}


static int
sign(signer_t *signer, const char *text, size_t len, unsigned char *sig,
    size_t *sig_len)
{
    int           rc;
    EVP_MD_CTX   *ctx;
    unsigned int  n;

    if (signer->pkey == NULL) {

        if (HMAC(EVP_sha256(), signer->secret, SECRET_LEN,
                 (const unsigned char *) text, len, sig, &n)
            == NULL)
        {
            return -1;
        }

        *sig_len = n;
        return 0;
    }

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return -1;
    }

    rc = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, signer->pkey);

    if (rc == 1) {
        rc = EVP_DigestSign(ctx, sig, sig_len, (const unsigned char *) text,
                            len);
    }

    EVP_MD_CTX_free(ctx);

    if (rc != 1) {
        return -1;
    }

    return EVP_PKEY_is_a(signer->pkey, "EC") ? ecdsa_raw(sig, sig_len) : 0;
}


/* DER to the two 32-octet numbers of RFC 7518, section 3.4. */

static int
ecdsa_raw(unsigned char *sig, size_t *sig_len)
{
    int                   rc;
    ECDSA_SIG            *ecdsa;
    const unsigned char  *p;

    p = sig;

    ecdsa = d2i_ECDSA_SIG(NULL, &p, (long) *sig_len);
    if (ecdsa == NULL) {
        return -1;
    }

    rc = BN_bn2binpad(ECDSA_SIG_get0_r(ecdsa), sig, 32) == 32
         && BN_bn2binpad(ECDSA_SIG_get0_s(ecdsa), sig + 32, 32) == 32;

    ECDSA_SIG_free(ecdsa);
    *sig_len = 64;

    return rc ? 0 : -1;
}


static size_t
base64url(char *dst, const unsigned char *src, size_t len)
{
    size_t  i, n;

    n = (size_t) EVP_EncodeBlock((unsigned char *) dst, src, (int) len);

    while (n > 0 && dst[n - 1] == '=') {
        n--;
    }

    for (i = 0; i < n; i++) {
        if (dst[i] == '+') {
            dst[i] = '-';

        } else if (dst[i] == '/') {
            dst[i] = '_';
        }
    }

    dst[n] = '\0';

    return n;
}
