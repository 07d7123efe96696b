
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a location asks of a verified token: claims and scopes.  A rule
 * that can not be evaluated does not hold.
 */


#include "ngx_http_gateway_jwt.h"


/*
 * What a regex may cost for one claim: matching gives up, and the rule does
 * not hold, after so many steps.
 */

#define NGX_HTTP_GATEWAY_JWT_MATCH_LIMIT  "(*LIMIT_MATCH=10000)"


typedef enum {
    NGX_HTTP_GATEWAY_JWT_EQ = 0,
    NGX_HTTP_GATEWAY_JWT_NE,
    NGX_HTTP_GATEWAY_JWT_IN,
    NGX_HTTP_GATEWAY_JWT_CONTAINS,
    NGX_HTTP_GATEWAY_JWT_MATCHES,
    NGX_HTTP_GATEWAY_JWT_GT,
    NGX_HTTP_GATEWAY_JWT_GE,
    NGX_HTTP_GATEWAY_JWT_LT,
    NGX_HTTP_GATEWAY_JWT_LE,
    NGX_HTTP_GATEWAY_JWT_EXISTS
} ngx_http_gateway_jwt_op_e;


typedef struct {
    ngx_str_t                        name;
    ngx_uint_t                       op;
    ngx_uint_t                       min;        /* values */
    ngx_uint_t                       max;
} ngx_http_gateway_jwt_op_t;


typedef struct {
    ngx_http_gateway_jwt_pointer_t   pointer;
    ngx_http_gateway_jwt_op_t       *op;
    ngx_array_t                      values;     /* ..._complex_value_t */
#if (NGX_PCRE)
    ngx_regex_t                     *regex;
#endif
} ngx_http_gateway_jwt_rule_t;


static char *ngx_http_gateway_jwt_rule_numbers(ngx_conf_t *cf,
    ngx_http_gateway_jwt_rule_t *rule);
static char *ngx_http_gateway_jwt_rule_regex(ngx_conf_t *cf,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *pattern);
static ngx_int_t ngx_http_gateway_jwt_check_rule(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_rule_t *rule);
static ngx_int_t ngx_http_gateway_jwt_check_value(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *value);
static ngx_uint_t ngx_http_gateway_jwt_equal(
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_str_t *value);
static ngx_uint_t ngx_http_gateway_jwt_comparable(
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node);
static ngx_uint_t ngx_http_gateway_jwt_contains(
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_str_t *value);
static ngx_uint_t ngx_http_gateway_jwt_has_word(ngx_str_t *text,
    ngx_str_t *word);
static ngx_int_t ngx_http_gateway_jwt_compare(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_jwt_match(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule);
static ngx_uint_t ngx_http_gateway_jwt_check_scopes(
    ngx_http_gateway_jwt_json_t *payload, ngx_array_t *scopes);


static ngx_http_gateway_jwt_op_t  ngx_http_gateway_jwt_ops[] = {
    { ngx_string("eq"), NGX_HTTP_GATEWAY_JWT_EQ, 1, 1 },
    { ngx_string("ne"), NGX_HTTP_GATEWAY_JWT_NE, 1, 1 },
    { ngx_string("in"), NGX_HTTP_GATEWAY_JWT_IN, 1, NGX_CONF_MAX_ARGS },
    { ngx_string("contains"), NGX_HTTP_GATEWAY_JWT_CONTAINS, 1,
      NGX_CONF_MAX_ARGS },
    { ngx_string("matches"), NGX_HTTP_GATEWAY_JWT_MATCHES, 1, 1 },
    { ngx_string("gt"), NGX_HTTP_GATEWAY_JWT_GT, 1, 1 },
    { ngx_string("ge"), NGX_HTTP_GATEWAY_JWT_GE, 1, 1 },
    { ngx_string("lt"), NGX_HTTP_GATEWAY_JWT_LT, 1, 1 },
    { ngx_string("le"), NGX_HTTP_GATEWAY_JWT_LE, 1, 1 },
    { ngx_string("exists"), NGX_HTTP_GATEWAY_JWT_EXISTS, 0, 0 },
    { ngx_null_string, 0, 0, 0 }
};


static ngx_str_t  ngx_http_gateway_jwt_scope_name = ngx_string("scope");
static ngx_str_t  ngx_http_gateway_jwt_scp_name = ngx_string("scp");


char *
ngx_http_gateway_jwt_require_claim(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_jwt_loc_conf_t *jlcf = conf;

    ngx_int_t                     rc;
    ngx_str_t                    *value;
    ngx_uint_t                    i, n;
    ngx_http_complex_value_t     *cv;
    ngx_http_gateway_jwt_op_t    *op;
    ngx_http_gateway_jwt_rule_t  *rule;

    value = cf->args->elts;
    n = cf->args->nelts - 3;

    for (op = ngx_http_gateway_jwt_ops; op->name.len; op++) {
        if (op->name.len == value[2].len
            && ngx_strcmp(op->name.data, value[2].data) == 0)
        {
            break;
        }
    }

    if (op->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid operator \"%V\" in "
                           "\"gateway_jwt_require_claim\", allowed are eq, "
                           "ne, in, contains, matches, gt, ge, lt, le and "
                           "exists", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (n < op->min || n > op->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of values for \"%V\" in "
                           "\"gateway_jwt_require_claim\", it takes %s",
                           &value[2],
                           op->max > 1 ? "one or more"
                                       : op->max ? "one" : "none");
        return NGX_CONF_ERROR;
    }

    if (jlcf->claims == NGX_CONF_UNSET_PTR) {
        jlcf->claims = ngx_array_create(cf->pool, 2,
                                        sizeof(ngx_http_gateway_jwt_rule_t));
        if (jlcf->claims == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(jlcf->claims);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_gateway_jwt_rule_t));

    rule->op = op;

    rc = ngx_http_gateway_jwt_pointer_compile(cf->pool, &value[1],
                                              &rule->pointer);
    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid pointer \"%V\" in "
                           "\"gateway_jwt_require_claim\", it must be a "
                           "claim's name or a JSON pointer", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (op->op == NGX_HTTP_GATEWAY_JWT_MATCHES) {
        return ngx_http_gateway_jwt_rule_regex(cf, rule, &value[3]);
    }

    if (ngx_array_init(&rule->values, cf->pool, n ? n : 1,
                       sizeof(ngx_http_complex_value_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 3; i < cf->args->nelts; i++) {

        cv = ngx_array_push(&rule->values);
        if (cv == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_gateway_compile_value(cf, &value[i], cv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_gateway_jwt_rule_numbers(cf, rule);
}


/* a limit that is written down has to be a number then */

static char *
ngx_http_gateway_jwt_rule_numbers(ngx_conf_t *cf,
    ngx_http_gateway_jwt_rule_t *rule)
{
    double                     number;
    ngx_http_complex_value_t  *cv;

    switch (rule->op->op) {

    case NGX_HTTP_GATEWAY_JWT_GT:
    case NGX_HTTP_GATEWAY_JWT_GE:
    case NGX_HTTP_GATEWAY_JWT_LT:
    case NGX_HTTP_GATEWAY_JWT_LE:
        break;

    default:
        return NGX_CONF_OK;
    }

    cv = rule->values.elts;

    if (cv->lengths == NULL
        && ngx_http_gateway_jwt_number(&cv->value, &number) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" for \"%V\" in "
                           "\"gateway_jwt_require_claim\", it must be a "
                           "number", &cv->value, &rule->op->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_rule_regex(ngx_conf_t *cf,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *pattern)
{
#if (NGX_PCRE)
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern.len = sizeof(NGX_HTTP_GATEWAY_JWT_MATCH_LIMIT) - 1
                     + pattern->len;

    rc.pattern.data = ngx_pnalloc(cf->pool, rc.pattern.len + 1);
    if (rc.pattern.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_sprintf(rc.pattern.data, NGX_HTTP_GATEWAY_JWT_MATCH_LIMIT "%V%Z",
                pattern);

    rc.pool = cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid regex \"%V\" in "
                           "\"gateway_jwt_require_claim\": %V",
                           pattern, &rc.err);
        return NGX_CONF_ERROR;
    }

    rule->regex = rc.regex;

    return NGX_CONF_OK;
#else
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"matches\" in \"gateway_jwt_require_claim\" needs "
                       "nginx built with PCRE: \"%V\"", pattern);

    return NGX_CONF_ERROR;
#endif
}


char *
ngx_http_gateway_jwt_require_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_jwt_loc_conf_t *jlcf = conf;

    u_char      *p;
    ngx_str_t   *value, *scope;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (jlcf->scopes == NGX_CONF_UNSET_PTR) {
        jlcf->scopes = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (jlcf->scopes == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        /* scope-token, RFC 6749, section 3.3 */

        for (p = value[i].data; *p > ' ' && *p < 0x7f; p++) {
            if (*p == '"' || *p == '\\') {
                break;
            }
        }

        if (value[i].len == 0 || p != value[i].data + value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid scope \"%V\" in "
                               "\"gateway_jwt_require_scope\", it must be "
                               "visible ASCII characters without spaces, "
                               "quotes and backslashes", &value[i]);
            return NGX_CONF_ERROR;
        }

        scope = ngx_array_push(jlcf->scopes);
        if (scope == NULL) {
            return NGX_CONF_ERROR;
        }

        *scope = value[i];
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_gateway_jwt_check_rules(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf,
    ngx_http_gateway_jwt_token_t *token)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_rule_t  *rule;

    if (jlcf->claims != NULL) {

        rule = jlcf->claims->elts;

        for (i = 0; i < jlcf->claims->nelts; i++) {

            rc = ngx_http_gateway_jwt_check_rule(r, &token->payload, &rule[i]);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_DECLINED) {
                ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                              "claim \"%V\" does not hold \"%V\"",
                              &rule[i].pointer.text, &rule[i].op->name);
                return NGX_HTTP_GATEWAY_JWT_CLAIM_REJECTED;
            }
        }
    }

    if (jlcf->scopes != NULL
        && !ngx_http_gateway_jwt_check_scopes(&token->payload, jlcf->scopes))
    {
        return NGX_HTTP_GATEWAY_JWT_INSUFFICIENT_SCOPE;
    }

    return NGX_HTTP_GATEWAY_JWT_OK;
}


/*
 * The claim has to be there, for "ne" too.  "in" holds when it does for one of
 * the values, any other operator when it does for all.
 */

static ngx_int_t
ngx_http_gateway_jwt_check_rule(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_rule_t *rule)
{
    ngx_int_t                     rc;
    ngx_str_t                     value;
    ngx_uint_t                    i;
    ngx_http_complex_value_t     *cv;
    ngx_http_gateway_jwt_node_t  *node;

    node = ngx_http_gateway_jwt_json_find(payload, &rule->pointer);

    if (node == NULL) {
        return NGX_DECLINED;
    }

    switch (rule->op->op) {

    case NGX_HTTP_GATEWAY_JWT_EXISTS:
        return NGX_OK;

    case NGX_HTTP_GATEWAY_JWT_MATCHES:
        return ngx_http_gateway_jwt_match(r, payload, node, rule);
    }

    rc = NGX_DECLINED;
    cv = rule->values.elts;

    for (i = 0; i < rule->values.nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_gateway_jwt_check_value(r, payload, node, rule, &value);

        if ((rc == NGX_OK) == (rule->op->op == NGX_HTTP_GATEWAY_JWT_IN)) {
            return rc;
        }
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_jwt_check_value(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *value)
{
    ngx_uint_t  holds;

    switch (rule->op->op) {

    case NGX_HTTP_GATEWAY_JWT_EQ:
    case NGX_HTTP_GATEWAY_JWT_IN:
        holds = ngx_http_gateway_jwt_equal(payload, node, value);
        break;

    case NGX_HTTP_GATEWAY_JWT_NE:
        holds = ngx_http_gateway_jwt_comparable(payload, node)
                && !ngx_http_gateway_jwt_equal(payload, node, value);
        break;

    case NGX_HTTP_GATEWAY_JWT_CONTAINS:
        holds = ngx_http_gateway_jwt_contains(payload, node, value);
        break;

    default: /* gt, ge, lt, le */
        return ngx_http_gateway_jwt_compare(r, payload, node, rule, value);
    }

    return holds ? NGX_OK : NGX_DECLINED;
}


/* arrays, objects and null equal nothing */

static ngx_uint_t
ngx_http_gateway_jwt_equal(ngx_http_gateway_jwt_json_t *payload,
    ngx_http_gateway_jwt_node_t *node, ngx_str_t *value)
{
    ngx_int_t  sign;
    ngx_str_t  text;

    ngx_http_gateway_jwt_json_text(payload, node, &text);

    switch (node->type) {

    case NGX_HTTP_GATEWAY_JWT_INTEGER:
    case NGX_HTTP_GATEWAY_JWT_REAL:
        return ngx_http_gateway_jwt_number_cmp(&text, value, &sign) == NGX_OK
               && sign == 0;

    case NGX_HTTP_GATEWAY_JWT_STRING:
    case NGX_HTTP_GATEWAY_JWT_TRUE:
    case NGX_HTTP_GATEWAY_JWT_FALSE:
        return text.len == value->len
               && ngx_memcmp(text.data, value->data, text.len) == 0;

    default:
        return 0;
    }
}


/* where this does not hold, being unequal would say nothing */

static ngx_uint_t
ngx_http_gateway_jwt_comparable(ngx_http_gateway_jwt_json_t *payload,
    ngx_http_gateway_jwt_node_t *node)
{
    double  number;

    switch (node->type) {

    case NGX_HTTP_GATEWAY_JWT_STRING:
    case NGX_HTTP_GATEWAY_JWT_TRUE:
    case NGX_HTTP_GATEWAY_JWT_FALSE:
        return 1;

    case NGX_HTTP_GATEWAY_JWT_INTEGER:
    case NGX_HTTP_GATEWAY_JWT_REAL:
        return ngx_http_gateway_jwt_json_number(payload, node, &number)
               == NGX_OK;

    default:
        return 0;
    }
}


static ngx_uint_t
ngx_http_gateway_jwt_contains(ngx_http_gateway_jwt_json_t *payload,
    ngx_http_gateway_jwt_node_t *node, ngx_str_t *value)
{
    ngx_str_t                     text;
    ngx_http_gateway_jwt_node_t  *element, *end;

    if (node->type == NGX_HTTP_GATEWAY_JWT_STRING) {
        ngx_http_gateway_jwt_json_text(payload, node, &text);
        return ngx_http_gateway_jwt_has_word(&text, value);
    }

    if (node->type != NGX_HTTP_GATEWAY_JWT_ARRAY) {
        return 0;
    }

    end = ngx_http_gateway_jwt_json_end(payload, node);

    for (element = ngx_http_gateway_jwt_json_first(node);
         element < end;
         element = ngx_http_gateway_jwt_json_next(payload, element))
    {
        if (ngx_http_gateway_jwt_equal(payload, element, value)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_gateway_jwt_has_word(ngx_str_t *text, ngx_str_t *word)
{
    u_char  *p, *start, *last;

    if (word->len == 0) {
        return 0;
    }

    last = text->data + text->len;

    for (start = text->data; start < last; start = p + 1) {

        p = ngx_strlchr(start, last, ' ');
        if (p == NULL) {
            p = last;
        }

        if ((size_t) (p - start) == word->len
            && ngx_memcmp(start, word->data, word->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_jwt_compare(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule, ngx_str_t *value)
{
    double      number;
    ngx_int_t   sign;
    ngx_str_t   text;
    ngx_uint_t  holds;

    if (ngx_http_gateway_jwt_number(value, &number) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid value \"%V\" for \"%V\" in "
                      "\"gateway_jwt_require_claim\", it must be a number",
                      value, &rule->op->name);
        return NGX_DECLINED;
    }

    if (node->type != NGX_HTTP_GATEWAY_JWT_INTEGER
        && node->type != NGX_HTTP_GATEWAY_JWT_REAL)
    {
        return NGX_DECLINED;
    }

    ngx_http_gateway_jwt_json_text(payload, node, &text);

    if (ngx_http_gateway_jwt_number_cmp(&text, value, &sign) != NGX_OK) {
        return NGX_DECLINED;
    }

    switch (rule->op->op) {

    case NGX_HTTP_GATEWAY_JWT_GT:
        holds = sign > 0;
        break;

    case NGX_HTTP_GATEWAY_JWT_GE:
        holds = sign >= 0;
        break;

    case NGX_HTTP_GATEWAY_JWT_LT:
        holds = sign < 0;
        break;

    default: /* NGX_HTTP_GATEWAY_JWT_LE */
        holds = sign <= 0;
    }

    return holds ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_gateway_jwt_match(ngx_http_request_t *r,
    ngx_http_gateway_jwt_json_t *payload, ngx_http_gateway_jwt_node_t *node,
    ngx_http_gateway_jwt_rule_t *rule)
{
#if (NGX_PCRE)
    ngx_int_t  n;
    ngx_str_t  text;

    if (node->type != NGX_HTTP_GATEWAY_JWT_STRING) {
        return NGX_DECLINED;
    }

    ngx_http_gateway_jwt_json_text(payload, node, &text);

    n = ngx_regex_exec(rule->regex, &text, NULL, 0);

    if (n >= 0) {
        return NGX_OK;
    }

    if (n != NGX_REGEX_NO_MATCHED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      ngx_regex_exec_n " failed: %i on claim \"%V\"",
                      n, &rule->pointer.text);
    }
#endif

    return NGX_DECLINED;
}


/*
 * RFC 8693, section 4.2, has a string of scopes in "scope"; others have an
 * array, or either in "scp".
 */

static ngx_uint_t
ngx_http_gateway_jwt_check_scopes(ngx_http_gateway_jwt_json_t *payload,
    ngx_array_t *scopes)
{
    ngx_str_t                    *scope;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_node_t  *node;

    node = ngx_http_gateway_jwt_json_member(payload, payload->nodes,
                                            &ngx_http_gateway_jwt_scope_name);
    if (node == NULL) {
        node = ngx_http_gateway_jwt_json_member(payload, payload->nodes,
                                              &ngx_http_gateway_jwt_scp_name);
    }

    if (node == NULL) {
        return 0;
    }

    scope = scopes->elts;

    for (i = 0; i < scopes->nelts; i++) {
        if (!ngx_http_gateway_jwt_contains(payload, node, &scope[i])) {
            return 0;
        }
    }

    return 1;
}
