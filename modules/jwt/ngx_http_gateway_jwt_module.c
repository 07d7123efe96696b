
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * JWT authentication: the directives, their configuration, and the check of a
 * request in the access phase.  What a token is and when it is good, this file
 * leaves to ngx_http_gateway_jwt_token.c.
 */


#include "ngx_http_gateway_jwt.h"


#define NGX_HTTP_GATEWAY_JWT_CACHE_SIZE  4096
#define NGX_HTTP_GATEWAY_JWT_CACHE_MAX   1000000
#define NGX_HTTP_GATEWAY_JWT_SIZE        8192
#define NGX_HTTP_GATEWAY_JWT_SIZE_MAX    (1024 * 1024)


static ngx_int_t ngx_http_gateway_jwt_handler(ngx_http_request_t *r);
static ngx_http_gateway_jwt_ctx_t *ngx_http_gateway_jwt_create_ctx(
    ngx_http_request_t *r);
static void ngx_http_gateway_jwt_cleanup(void *data);
static ngx_int_t ngx_http_gateway_jwt_check(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_jwt_get_token(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_jwt_check_token(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_http_gateway_jwt_verify(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx,
    ngx_str_t *value, time_t now);

static ngx_int_t ngx_http_gateway_jwt_precontent(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_jwt_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_jwt_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_int_t ngx_http_gateway_jwt_init(ngx_conf_t *cf);
static void *ngx_http_gateway_jwt_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_gateway_jwt_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_gateway_jwt_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_gateway_jwt_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

static char *ngx_http_gateway_jwt(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_gateway_jwt_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_gateway_jwt_max_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_gateway_jwt_commands[] = {

    { ngx_string("gateway_jwt_issuer"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_gateway_jwt_issuer_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LMT_CONF
                        |NGX_CONF_TAKE123,
      ngx_http_gateway_jwt,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt_require_claim"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LMT_CONF
                        |NGX_CONF_2MORE,
      ngx_http_gateway_jwt_require_claim,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt_require_scope"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LMT_CONF
                        |NGX_CONF_1MORE,
      ngx_http_gateway_jwt_require_scope,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt_claim_set"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_gateway_jwt_claim_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_jwt_cache,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_jwt_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_jwt_max_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_gateway_jwt_module_ctx = {
    ngx_http_gateway_jwt_add_variables,    /* preconfiguration */
    ngx_http_gateway_jwt_init,             /* postconfiguration */

    ngx_http_gateway_jwt_create_main_conf, /* create main configuration */
    ngx_http_gateway_jwt_init_main_conf,   /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_gateway_jwt_create_loc_conf,  /* create location configuration */
    ngx_http_gateway_jwt_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_gateway_jwt_module = {
    NGX_MODULE_V1,
    &ngx_http_gateway_jwt_module_ctx,      /* module context */
    ngx_http_gateway_jwt_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_gateway_jwt_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_gateway_jwt_ctx_t       *ctx;
    ngx_http_gateway_jwt_loc_conf_t  *jlcf;

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_jwt_module);

    if (!jlcf->enable) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_gateway_jwt_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_jwt_check(r, jlcf, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->status = rc;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "gateway jwt: %V", ngx_http_gateway_jwt_status_name(rc));

    if (rc == NGX_HTTP_GATEWAY_JWT_OK) {
        return NGX_OK;
    }

    rc = ngx_http_gateway_jwt_refuse(r, jlcf, ctx);

    return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


/*
 * A context of its own for each check, since an internal redirect may lead to
 * another one: what variables have given out before still points into the
 * token of the former context, whose reference lasts as long as the pool.
 */

static ngx_http_gateway_jwt_ctx_t *
ngx_http_gateway_jwt_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_gateway_jwt_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_gateway_jwt_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_gateway_jwt_ctx_t));

    cln->handler = ngx_http_gateway_jwt_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_gateway_jwt_module);

    return ctx;
}


static void
ngx_http_gateway_jwt_cleanup(void *data)
{
    ngx_http_gateway_jwt_ctx_t  *ctx = data;

    if (ctx->token != NULL) {
        ngx_http_gateway_jwt_token_release(ctx->token);
    }
}


ngx_http_gateway_jwt_ctx_t *
ngx_http_gateway_jwt_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_gateway_jwt_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_jwt_module);

    if (ctx != NULL || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /*
     * an internal redirect has cleared the contexts; ours must not be set
     * again, since with it an error_page would be taken for a problem
     */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_gateway_jwt_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* returns a status, or NGX_ERROR */

static ngx_int_t
ngx_http_gateway_jwt_check(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = ngx_http_gateway_jwt_get_token(r, jlcf, &value);
    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    if (value.len > jlcf->max_size) {
        return NGX_HTTP_GATEWAY_JWT_MALFORMED;
    }

    rc = ngx_http_gateway_jwt_check_token(r, jlcf, ctx, &value);

    if (rc == NGX_HTTP_GATEWAY_JWT_MALFORMED
        && jlcf->variable == NGX_ERROR
        && !ngx_http_gateway_jwt_is_b64token(&value))
    {
        return NGX_HTTP_GATEWAY_JWT_BAD_REQUEST;
    }

    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        return rc;
    }

    return ngx_http_gateway_jwt_check_rules(r, jlcf, ctx->token);
}


static ngx_int_t
ngx_http_gateway_jwt_get_token(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_str_t *value)
{
    ngx_table_elt_t            *h;
    ngx_http_variable_value_t  *vv;

    if (jlcf->variable != NGX_ERROR) {

        vv = ngx_http_get_flushed_variable(r, jlcf->variable);

        if (vv == NULL) {
            return NGX_ERROR;
        }

        if (vv->not_found || vv->len == 0) {
            return NGX_HTTP_GATEWAY_JWT_MISSING;
        }

        value->len = vv->len;
        value->data = vv->data;

        return NGX_HTTP_GATEWAY_JWT_OK;
    }

    h = r->headers_in.authorization;

    if (h == NULL) {
        return NGX_HTTP_GATEWAY_JWT_MISSING;
    }

    /* core has refused the request if there is another one */

    switch (ngx_http_gateway_jwt_bearer(&h->value, value)) {

    case NGX_OK:
        return NGX_HTTP_GATEWAY_JWT_OK;

    case NGX_DECLINED:
        return NGX_HTTP_GATEWAY_JWT_MISSING;

    default: /* NGX_ERROR */
        return NGX_HTTP_GATEWAY_JWT_BAD_REQUEST;
    }
}


static ngx_int_t
ngx_http_gateway_jwt_check_token(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx,
    ngx_str_t *value)
{
    time_t                             now;
    ngx_int_t                          rc;
    ngx_http_gateway_jwt_token_t      *token;
    ngx_http_gateway_jwt_cache_t      *cache;
    ngx_http_gateway_jwt_main_conf_t  *jmcf;

    now = ngx_time();

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_jwt_module);
    cache = jmcf->cache;

    if (cache == NULL) {
        return ngx_http_gateway_jwt_verify(r, jlcf, ctx, value, now);
    }

    token = ngx_http_gateway_jwt_cache_find(cache, value,
                                            jlcf->issuers->elts,
                                            jlcf->issuers->nelts);
    if (token != NULL) {

        rc = ngx_http_gateway_jwt_token_times(token, now);

        if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
            ngx_http_gateway_jwt_cache_remove(cache, token);
            return rc;
        }

        token->refs++;
        ctx->token = token;

        return NGX_HTTP_GATEWAY_JWT_OK;
    }

    rc = ngx_http_gateway_jwt_verify(r, jlcf, ctx, value, now);

    if (rc == NGX_HTTP_GATEWAY_JWT_OK) {
        ngx_http_gateway_jwt_cache_add(cache, ctx->token, now);
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_jwt_verify(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx,
    ngx_str_t *value, time_t now)
{
    ngx_int_t                       rc;
    ngx_http_gateway_jwt_parts_t    parts;
    ngx_http_gateway_jwt_token_t   *token;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    rc = ngx_http_gateway_jwt_token_parse(r->pool, value, &token, &parts);

    if (rc != NGX_OK) {
        return (rc == NGX_ERROR) ? NGX_ERROR : NGX_HTTP_GATEWAY_JWT_MALFORMED;
    }

    issuer = ngx_http_gateway_jwt_token_issuer(token, jlcf->issuers->elts,
                                               jlcf->issuers->nelts);

    if (issuer == NULL) {
        rc = NGX_HTTP_GATEWAY_JWT_UNKNOWN_ISSUER;

    } else {
        rc = ngx_http_gateway_jwt_token_verify(token, &parts, issuer, now);
    }

    if (rc != NGX_HTTP_GATEWAY_JWT_OK) {
        ngx_http_gateway_jwt_token_release(token);
        return rc;
    }

    ctx->token = token;

    return NGX_HTTP_GATEWAY_JWT_OK;
}


/*
 * A request that comes here has been let in, if not by its token then by
 * another module ("satisfy any"): an error from now on is somebody else's.
 */

static ngx_int_t
ngx_http_gateway_jwt_precontent(ngx_http_request_t *r)
{
    ngx_http_gateway_jwt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_jwt_module);

    if (ctx != NULL) {
        ctx->problem.status = 0;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_gateway_jwt_header_filter(ngx_http_request_t *r)
{
    ngx_http_gateway_jwt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_jwt_module);

    if (ctx != NULL
        && ngx_http_gateway_problem_header(r, &ctx->problem) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_gateway_jwt_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_gateway_jwt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_jwt_module);

    if (ctx != NULL) {
        in = ngx_http_gateway_problem_body(r, &ctx->problem, in);

        if (in == NGX_CHAIN_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_body_filter(r, in);
}


/* nothing is hooked in where no "gateway_jwt" is */

static ngx_int_t
ngx_http_gateway_jwt_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt               *h;
    ngx_http_core_main_conf_t         *cmcf;
    ngx_http_gateway_jwt_main_conf_t  *jmcf;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_gateway_jwt_module);

    if (jmcf->uses.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_gateway_jwt_find_issuers(cf, jmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (jmcf->cache_size) {
        jmcf->cache = ngx_http_gateway_jwt_cache_create(cf->pool,
                                                        jmcf->cache_size);
        if (jmcf->cache == NULL) {
            return NGX_ERROR;
        }
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_gateway_jwt_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_gateway_jwt_precontent;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_gateway_jwt_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_gateway_jwt_body_filter;

    return NGX_OK;
}


static void *
ngx_http_gateway_jwt_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_jwt_main_conf_t  *jmcf;

    jmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_jwt_main_conf_t));
    if (jmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     jmcf->cache = NULL;
     */

    jmcf->cache_size = NGX_CONF_UNSET_UINT;

    if (ngx_array_init(&jmcf->issuers, cf->pool, 2,
                       sizeof(ngx_http_gateway_jwt_issuer_t *))
        != NGX_OK
        || ngx_array_init(&jmcf->uses, cf->pool, 4,
                          sizeof(ngx_http_gateway_jwt_use_t))
           != NGX_OK)
    {
        return NULL;
    }

    return jmcf;
}


static char *
ngx_http_gateway_jwt_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_gateway_jwt_main_conf_t *jmcf = conf;

    ngx_conf_init_uint_value(jmcf->cache_size,
                             NGX_HTTP_GATEWAY_JWT_CACHE_SIZE);

    return NGX_CONF_OK;
}


static void *
ngx_http_gateway_jwt_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_jwt_loc_conf_t  *jlcf;

    jlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_jwt_loc_conf_t));
    if (jlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     jlcf->realm = NULL;
     *     jlcf->issuers = NULL;
     *     jlcf->said = 0;
     */

    jlcf->enable = NGX_CONF_UNSET;
    jlcf->variable = NGX_ERROR;
    jlcf->claims = NGX_CONF_UNSET_PTR;
    jlcf->scopes = NGX_CONF_UNSET_PTR;
    jlcf->max_size = NGX_CONF_UNSET_SIZE;

    return jlcf;
}


static char *
ngx_http_gateway_jwt_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_gateway_jwt_loc_conf_t *prev = parent;
    ngx_http_gateway_jwt_loc_conf_t *conf = child;

    ngx_uint_t                 rules;
    ngx_http_core_loc_conf_t  *clcf;

    rules = conf->claims != NGX_CONF_UNSET_PTR
            || conf->scopes != NGX_CONF_UNSET_PTR;

    if (conf->enable == NGX_CONF_UNSET) {
        conf->realm = prev->realm;
        conf->issuers = prev->issuers;
        conf->variable = prev->variable;
        conf->said = prev->said;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_ptr_value(conf->claims, prev->claims, NULL);
    ngx_conf_merge_ptr_value(conf->scopes, prev->scopes, NULL);
    ngx_conf_merge_size_value(conf->max_size, prev->max_size,
                              NGX_HTTP_GATEWAY_JWT_SIZE);

    /*
     * A server may have rules for those of its locations that check tokens;
     * a location that does not has to say so, lest it is taken for safe.
     */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    rules = rules || (!conf->said && (conf->claims || conf->scopes));

    if (rules && !conf->enable && (clcf->name.len || clcf->noname)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"gateway_jwt_require_claim\" or "
                      "\"gateway_jwt_require_scope\" without \"gateway_jwt\" "
                      "in location \"%V\", it must be \"gateway_jwt\" with "
                      "an issuer, or \"off\" where outer rules are not meant",
                      &clcf->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_jwt_loc_conf_t *jlcf = conf;

    ngx_str_t                         *value, name;
    ngx_uint_t                         i;
    ngx_http_gateway_jwt_use_t        *use;
    ngx_http_gateway_jwt_main_conf_t  *jmcf;

    if (jlcf->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    jlcf->said = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") == 0) {
            jlcf->enable = 0;
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"issuer=\" in \"gateway_jwt %V\", it must be "
                           "\"off\" or a realm and \"issuer=NAME\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    jlcf->enable = 1;

    jlcf->realm = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (jlcf->realm == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_compile_value(cf, &value[1], jlcf->realm) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "issuer=", 7) == 0
            && value[i].len > 7
            && jlcf->issuers == NULL)
        {
            jlcf->issuers = ngx_array_create(cf->pool, 1, sizeof(void *));
            if (jlcf->issuers == NULL) {
                return NGX_CONF_ERROR;
            }

            jmcf = ngx_http_conf_get_module_main_conf(cf,
                                                 ngx_http_gateway_jwt_module);

            use = ngx_array_push(&jmcf->uses);
            if (use == NULL) {
                return NGX_CONF_ERROR;
            }

            use->issuers = jlcf->issuers;
            use->names.len = value[i].len - 7;
            use->names.data = value[i].data + 7;
            use->file = cf->conf_file->file.name;
            use->line = cf->conf_file->line;

            continue;
        }

        if (ngx_strncmp(value[i].data, "token=$", 7) == 0
            && value[i].len > 7
            && jlcf->variable == NGX_ERROR)
        {
            name.len = value[i].len - 7;
            name.data = value[i].data + 7;

            jlcf->variable = ngx_http_get_variable_index(cf, &name);
            if (jlcf->variable == NGX_ERROR) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"gateway_jwt\", "
                           "allowed are \"issuer=NAME[,NAME...]\" and "
                           "\"token=$variable\", once each",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    if (jlcf->issuers == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"issuer=\" in \"gateway_jwt %V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_jwt_main_conf_t *jmcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (jmcf->cache_size != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        jmcf->cache_size = 0;
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;

    if (ngx_strncmp(value[1].data, "size=", 5) == 0) {
        n = ngx_atoi(value[1].data + 5, value[1].len - 5);
    }

    if (n < 1 || n > NGX_HTTP_GATEWAY_JWT_CACHE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"gateway_jwt_cache\", "
                           "it must be \"off\" or \"size=N\" with N from 1 "
                           "to 1000000", &value[1]);
        return NGX_CONF_ERROR;
    }

    jmcf->cache_size = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_max_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_jwt_loc_conf_t *jlcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (jlcf->max_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size < 1 || size > NGX_HTTP_GATEWAY_JWT_SIZE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in "
                           "\"gateway_jwt_max_size\", it must be a size from "
                           "1 to 1m", &value[1]);
        return NGX_CONF_ERROR;
    }

    jlcf->max_size = size;

    return NGX_CONF_OK;
}
