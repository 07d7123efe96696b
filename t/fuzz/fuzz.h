
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the fuzz targets share.  A target is one file with a function
 * fuzz_input(); it links with libFuzzer, or with main.c, which feeds it files.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <jansson.h>

#include "ngx_http_gateway_jwt_cache.h"


/* the time of all tokens */

#define FUZZ_NOW  1700000000


#define fuzz_check(condition)                                                \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fuzz_fail(__FILE__, __LINE__, #condition);                       \
        }                                                                    \
    } while (0)


/* keys whose private halves are made when a target starts */

typedef struct {
    const char                     *kid;
    EVP_PKEY                       *pkey;
} fuzz_key_t;


extern ngx_log_t                       fuzz_log;

/* gets what is logged, if it is set */

extern void                          (*fuzz_logged)(ngx_uint_t level,
                                                    u_char *text);

/* what fuzz_input() has returned last */

extern const char                     *fuzz_outcome;

/* three issuers with the same keys, and different rules */

#define FUZZ_ISSUERS  3

extern ngx_http_gateway_jwt_issuer_t  *fuzz_issuers[FUZZ_ISSUERS];


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/*
 * The target.  "input" is in memory of just its size, so that a byte read
 * after its end is seen; what is allocated in "pool" is freed afterwards.
 *
 * Returns what has become of the input, in a word, for regress.t.
 */

const char *fuzz_input(ngx_pool_t *pool, ngx_str_t *input);

void fuzz_fail(const char *file, int line, const char *condition)
    __attribute__((noreturn));

/* The same text in memory of just its size, which ASan watches. */

void fuzz_copy(ngx_pool_t *pool, ngx_str_t *dst, const void *data, size_t len);

/* The text before the first line feed, and what is after it. */

void fuzz_split(ngx_pool_t *pool, ngx_str_t *input, ngx_str_t *first,
    ngx_str_t *rest);

/*
 * Lets one allocation of nginx or, if asked for, jansson fail, that after "n"
 * more; -1: none.
 */

void fuzz_allocations(ngx_int_t n, ngx_uint_t jansson);

ngx_uint_t fuzz_equal(ngx_str_t *one, const void *data, size_t len);

/* jansson's tree, made with the flags of the module, or NULL */

json_t *fuzz_load(ngx_str_t *text);


/*
 * Checks that an index holds together and that every node of it can be found
 * by its name and by a pointer.  Texts lie within "room" bytes.
 */

void fuzz_check_index(ngx_pool_t *pool, ngx_http_gateway_jwt_json_t *json,
    size_t room);

/* Checks that a node is what jansson makes of the same text. */

void fuzz_check_value(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, json_t *value);


/* Makes fuzz_issuers. */

void fuzz_make_issuers(void);

/* The key that signs with "alg". */

fuzz_key_t *fuzz_signer(ngx_uint_t alg);

/* Signs as RFC 7518 says. */

void fuzz_sign(ngx_pool_t *pool, ngx_uint_t alg, ngx_str_t *input,
    ngx_str_t *signature);

const char *fuzz_status(ngx_int_t status);


#endif /* _FUZZ_H_INCLUDED_ */
