
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: the size of a cache, and what is done with it, two bytes each.  The
 * cache is compared with a list that is searched from end to end.
 */


#include <math.h>

#include "fuzz.h"


#define FUZZ_VALUES   8
#define FUZZ_OWNERS   2
#define FUZZ_ENTRIES  8


typedef struct {
    ngx_http_gateway_jwt_token_t   *token;
    ngx_uint_t                      value;
    ngx_uint_t                      owner;
    ngx_uint_t                      generation;
    time_t                          exp;
    ngx_uint_t                      added;      /* the order of adding */
} fuzz_entry_t;


/* entries[0] is the one that was used last */

typedef struct {
    ngx_http_gateway_jwt_cache_t   *cache;
    ngx_http_gateway_jwt_issuer_t   owners[FUZZ_OWNERS];
    ngx_http_gateway_jwt_issuer_t  *both[FUZZ_OWNERS];
    ngx_str_t                       values[FUZZ_VALUES];
    fuzz_entry_t                    entries[FUZZ_ENTRIES];
    ngx_uint_t                      n;
    ngx_uint_t                      added;
    ngx_uint_t                      evicted;
    time_t                          now;
} fuzz_model_t;


static void fuzz_do(fuzz_model_t *m, u_char op, u_char arg);
static ngx_http_gateway_jwt_token_t *fuzz_find(fuzz_model_t *m,
    ngx_uint_t value, ngx_uint_t owner, ngx_uint_t n);
static ngx_http_gateway_jwt_token_t *fuzz_model_find(fuzz_model_t *m,
    ngx_uint_t value, ngx_uint_t owner, ngx_uint_t n);
static void fuzz_add(fuzz_model_t *m, ngx_uint_t value, ngx_uint_t owner,
    time_t exp);
static void fuzz_model_remove(fuzz_model_t *m, ngx_uint_t i);
static void fuzz_model_insert(fuzz_model_t *m, fuzz_entry_t *entry);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    size_t        i;
    fuzz_model_t  m;

    if (input->len == 0) {
        return "nothing";
    }

    ngx_memzero(&m, sizeof(fuzz_model_t));

    m.now = FUZZ_NOW;
    m.cache = ngx_http_gateway_jwt_cache_create(pool,
                                     1 + input->data[0] % FUZZ_ENTRIES);
    fuzz_check(m.cache != NULL);

    for (i = 0; i < FUZZ_OWNERS; i++) {
        m.both[i] = &m.owners[i];
    }

    /* some with the same end, and all shorter or longer than what is hashed */

    for (i = 0; i < FUZZ_VALUES; i++) {
        m.values[i].data = ngx_pnalloc(pool, 64);
        m.values[i].len = ngx_sprintf(m.values[i].data, "%uz.%s", i / 2,
                                      i & 1 ? "dummy"
                                      : "0123456789abcdef0123456789abcdef")
                          - m.values[i].data;
    }

    for (i = 1; i + 1 < input->len; i += 2) {
        fuzz_do(&m, input->data[i], input->data[i + 1]);

        fuzz_check(m.cache->count == m.n);
        fuzz_check(m.n <= m.cache->size);
    }

    return m.evicted ? "evicted" : m.added ? "added" : "nothing";
}


static void
fuzz_do(fuzz_model_t *m, u_char op, u_char arg)
{
    ngx_uint_t                     value, owner;
    ngx_http_gateway_jwt_token_t  *token;

    value = arg % FUZZ_VALUES;
    owner = arg / FUZZ_VALUES % FUZZ_OWNERS;

    switch (op) {

    case '+':
        if (fuzz_find(m, value, owner, 1) == NULL) {
            fuzz_add(m, value, owner, m->now + arg / 16);
        }

        break;

    case '?':
        (void) fuzz_find(m, value, owner, 1);
        break;

    case '*':
        (void) fuzz_find(m, value, 0, FUZZ_OWNERS);
        break;

    case '-':
        token = fuzz_find(m, value, owner, 1);

        if (token != NULL) {
            ngx_http_gateway_jwt_cache_remove(m->cache, token);
            fuzz_model_remove(m, 0);
        }

        break;

    case 't':
        m->now += arg % 8;
        break;

    case 'g':
        m->owners[owner].generation++;
        break;
    }
}


static ngx_http_gateway_jwt_token_t *
fuzz_find(fuzz_model_t *m, ngx_uint_t value, ngx_uint_t owner, ngx_uint_t n)
{
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_cache_find(m->cache, &m->values[value],
                                            &m->both[owner], n);

    fuzz_check(token == fuzz_model_find(m, value, owner, n));

    if (token != NULL) {
        fuzz_check(token->refs == 1);
        fuzz_check(fuzz_equal(&token->value, m->values[value].data,
                              m->values[value].len));
    }

    return token;
}


/* of several that fit, the one that was added last is looked at */

static ngx_http_gateway_jwt_token_t *
fuzz_model_find(fuzz_model_t *m, ngx_uint_t value, ngx_uint_t owner,
    ngx_uint_t n)
{
    ngx_uint_t     i, best;
    fuzz_entry_t   found, *e;

    best = m->n;

    for (i = 0; i < m->n; i++) {
        e = &m->entries[i];

        if (e->value == value && e->owner >= owner && e->owner < owner + n
            && (best == m->n || e->added > m->entries[best].added))
        {
            best = i;
        }
    }

    if (best == m->n) {
        return NULL;
    }

    found = m->entries[best];
    fuzz_model_remove(m, best);

    if (found.generation != m->owners[found.owner].generation) {
        return NULL;
    }

    fuzz_model_insert(m, &found);

    return found.token;
}


static void
fuzz_add(fuzz_model_t *m, ngx_uint_t value, ngx_uint_t owner, time_t exp)
{
    ngx_uint_t                     n;
    fuzz_entry_t                   entry;
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_calloc(sizeof(ngx_http_gateway_jwt_token_t)
                       + m->values[value].len, &fuzz_log);
    fuzz_check(token != NULL);

    token->refs = 1;
    token->value.data = (u_char *) (token + 1);
    token->value.len = m->values[value].len;
    ngx_memcpy(token->value.data, m->values[value].data, token->value.len);
    token->exp = exp;
    token->nbf = -INFINITY;
    token->issuer = &m->owners[owner];
    token->generation = token->issuer->generation;

    /* room for one; and of two that were not used for long, the expired */

    for (n = 0; n < 2 && m->n; n++) {

        if (m->n < m->cache->size && m->now < m->entries[m->n - 1].exp) {
            break;
        }

        fuzz_model_remove(m, m->n - 1);
        m->evicted = 1;
    }

    ngx_http_gateway_jwt_cache_add(m->cache, token, m->now);

    fuzz_check(token->refs == 2);
    ngx_http_gateway_jwt_token_release(token);

    entry.token = token;
    entry.value = value;
    entry.owner = owner;
    entry.generation = token->generation;
    entry.exp = exp;
    entry.added = ++m->added;

    fuzz_model_insert(m, &entry);
}


static void
fuzz_model_remove(fuzz_model_t *m, ngx_uint_t i)
{
    m->n--;
    memmove(&m->entries[i], &m->entries[i + 1],
            (m->n - i) * sizeof(fuzz_entry_t));
}


static void
fuzz_model_insert(fuzz_model_t *m, fuzz_entry_t *entry)
{
    fuzz_check(m->n < FUZZ_ENTRIES);

    memmove(&m->entries[1], &m->entries[0], m->n * sizeof(fuzz_entry_t));
    m->entries[0] = *entry;
    m->n++;
}
