
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Compiles and runs the regexes of routes.  A match takes PCRE no more than
 * 10,000 steps, so that no path keeps a worker busy.  Captures inside a regex
 * are nobody's: those of the request stay as they are.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_regex.h"


/* closed by ")\z" */

#define NGX_HTTP_GATEWAY_ROUTE_REGEX_START  "(*LIMIT_MATCH=10000)\\A(?:"


typedef struct {
    ngx_str_node_t                       sn;
    uint32_t                             n;
} ngx_http_gateway_route_regex_node_t;


static ngx_int_t ngx_http_gateway_route_regex_compile(ngx_pool_t *pool,
    ngx_http_gateway_route_regex_t *regex, ngx_str_t *why);
#if (NGX_PCRE)
static ngx_int_t ngx_http_gateway_route_regex_pattern(ngx_pool_t *pool,
    ngx_http_gateway_route_regex_t *regex, const char *format, ngx_str_t *why);
#endif


ngx_int_t
ngx_http_gateway_route_regexes_init(ngx_http_gateway_route_regexes_t *regexes,
    ngx_pool_t *pool, ngx_pool_t *temp_pool)
{
    regexes->pool = pool;
    regexes->temp_pool = temp_pool;

    ngx_rbtree_init(&regexes->rbtree, &regexes->sentinel,
                    ngx_str_rbtree_insert_value);

    return ngx_array_init(&regexes->regexes, temp_pool, 8,
                          sizeof(ngx_http_gateway_route_regex_t));
}


ngx_int_t
ngx_http_gateway_route_regexes_add(ngx_http_gateway_route_regexes_t *regexes,
    ngx_str_t *text, uint32_t *n, ngx_str_t *why)
{
    uint32_t                              hash;
    ngx_http_gateway_route_regex_t       *regex;
    ngx_http_gateway_route_regex_node_t  *node;

    hash = ngx_murmur_hash2(text->data, text->len);

    node = (ngx_http_gateway_route_regex_node_t *)
               ngx_str_rbtree_lookup(&regexes->rbtree, text, hash);

    if (node != NULL) {
        *n = node->n;
        return NGX_OK;
    }

    node = ngx_palloc(regexes->temp_pool,
                      sizeof(ngx_http_gateway_route_regex_node_t));
    if (node == NULL) {
        return NGX_ERROR;
    }

    node->sn.node.key = hash;
    node->sn.str = *text;
    node->n = regexes->regexes.nelts;

    ngx_rbtree_insert(&regexes->rbtree, &node->sn.node);

    regex = ngx_array_push(&regexes->regexes);
    if (regex == NULL) {
        return NGX_ERROR;
    }

    regex->text = *text;
    *n = node->n;

    return ngx_http_gateway_route_regex_compile(regexes->pool, regex, why);
}


ngx_int_t
ngx_http_gateway_route_regexes_finish(
    ngx_http_gateway_route_regexes_t *regexes,
    ngx_http_gateway_route_regex_t **all)
{
    size_t  size;

    size = regexes->regexes.nelts * sizeof(ngx_http_gateway_route_regex_t);

    *all = ngx_palloc(regexes->pool, size);
    if (*all == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(*all, regexes->regexes.elts, size);

    return NGX_OK;
}


#if (NGX_PCRE)

/*
 * What PCRE says is about the regex as it was written, where that by itself is
 * wrong, too.
 */

static ngx_int_t
ngx_http_gateway_route_regex_compile(ngx_pool_t *pool,
    ngx_http_gateway_route_regex_t *regex, ngx_str_t *why)
{
    ngx_int_t  rc;

    rc = ngx_http_gateway_route_regex_pattern(pool, regex,
                                   NGX_HTTP_GATEWAY_ROUTE_REGEX_START "%V)\\z",
                                   why);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_gateway_route_regex_pattern(pool, regex, "%V", why);

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


static ngx_int_t
ngx_http_gateway_route_regex_pattern(ngx_pool_t *pool,
    ngx_http_gateway_route_regex_t *regex, const char *format, ngx_str_t *why)
{
    size_t               len;
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    len = sizeof(NGX_HTTP_GATEWAY_ROUTE_REGEX_START ")\\z") + regex->text.len;

    /* what reads it further on stops at a NUL */

    rc.pattern.data = ngx_pcalloc(pool, len);
    if (rc.pattern.data == NULL) {
        return NGX_ERROR;
    }

    rc.pattern.len = ngx_snprintf(rc.pattern.data, len - 1, format,
                                  &regex->text)
                     - rc.pattern.data;
    rc.pool = pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) == NGX_OK) {
        regex->regex = rc.regex;
        return NGX_OK;
    }

    *why = rc.err;
    why->data = ngx_pstrdup(pool, &rc.err);

    return why->data == NULL ? NGX_ERROR : NGX_DECLINED;
}


ngx_uint_t
ngx_http_gateway_route_regex_match(ngx_http_gateway_route_regex_t *regex,
    ngx_str_t *text, ngx_log_t *log)
{
    int        captures[3];
    ngx_int_t  rc;

    rc = ngx_regex_exec(regex->regex, text, captures, 3);

    /* (*ACCEPT) in a regex passes over what anchors it */

    if (rc >= 0) {
        return captures[0] == 0 && (size_t) captures[1] == text->len;
    }

    if (rc != NGX_REGEX_NO_MATCHED) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      ngx_regex_exec_n " failed: %i on \"%V\" using the route "
                      "regex \"%V\"", rc, text, &regex->text);
    }

    return 0;
}

#else

static ngx_int_t
ngx_http_gateway_route_regex_compile(ngx_pool_t *pool,
    ngx_http_gateway_route_regex_t *regex, ngx_str_t *why)
{
    ngx_str_set(why, "this nginx was built without the PCRE library");

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_gateway_route_regex_match(ngx_http_gateway_route_regex_t *regex,
    ngx_str_t *text, ngx_log_t *log)
{
    return 0;
}

#endif
