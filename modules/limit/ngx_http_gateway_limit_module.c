
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Rate limiting: the directives and their configuration, and when a request
 * is checked.  Without "after_auth" that is in the preaccess phase, with it in
 * the precontent phase, when keys may be made of verified claims.
 */


#include "ngx_http_gateway_limit.h"


static ngx_int_t ngx_http_gateway_limit_preaccess(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_limit_precontent(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_limit_handler(ngx_http_request_t *r,
    ngx_array_t *limits);
static ngx_http_gateway_limit_ctx_t *ngx_http_gateway_limit_create_ctx(
    ngx_http_request_t *r);
static void ngx_http_gateway_limit_cleanup(void *data);

static ngx_int_t ngx_http_gateway_limit_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_limit_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_int_t ngx_http_gateway_limit_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_limit_hook_preaccess(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_limit_hook_precontent(ngx_conf_t *cf);
static void *ngx_http_gateway_limit_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_gateway_limit_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_gateway_limit_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);

static char *ngx_http_gateway_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_uint_t ngx_http_gateway_limit_listed(ngx_array_t *limits,
    ngx_http_gateway_limit_t *limit);
static char *ngx_http_gateway_limit_parameter(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit, ngx_str_t *value);
static char *ngx_http_gateway_limit_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_gateway_limit_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_conf_enum_t  ngx_http_gateway_limit_header_kinds[] = {
    { ngx_string("off"), NGX_HTTP_GATEWAY_LIMIT_HEADERS_OFF },
    { ngx_string("on"), NGX_HTTP_GATEWAY_LIMIT_HEADERS_ON },
    { ngx_string("legacy"), NGX_HTTP_GATEWAY_LIMIT_HEADERS_LEGACY },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_gateway_limit_log_levels[] = {
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_gateway_limit_commands[] = {

    { ngx_string("gateway_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_gateway_limit_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LMT_CONF
                        |NGX_CONF_1MORE,
      ngx_http_gateway_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_limit_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_limit_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_limit_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_limit_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_limit_loc_conf_t, headers),
      &ngx_http_gateway_limit_header_kinds },

    { ngx_string("gateway_limit_log_level"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_limit_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_limit_loc_conf_t, log_level),
      &ngx_http_gateway_limit_log_levels },

    { ngx_string("gateway_limit_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_gateway_limit_prefix,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_gateway_limit_module_ctx = {
    ngx_http_gateway_limit_add_variables,  /* preconfiguration */
    ngx_http_gateway_limit_init,           /* postconfiguration */

    ngx_http_gateway_limit_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_gateway_limit_create_loc_conf, /* create location configuration */
    ngx_http_gateway_limit_merge_loc_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_gateway_limit_module = {
    NGX_MODULE_V1,
    &ngx_http_gateway_limit_module_ctx,    /* module context */
    ngx_http_gateway_limit_commands,       /* module directives */
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
ngx_http_gateway_limit_preaccess(ngx_http_request_t *r)
{
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);

    return ngx_http_gateway_limit_handler(r, llcf->limits);
}


static ngx_int_t
ngx_http_gateway_limit_precontent(ngx_http_request_t *r)
{
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);

    return ngx_http_gateway_limit_handler(r, llcf->after_auth);
}


/*
 * A zone is charged once for a main request, or for the one that it carries:
 * not for their subrequests, not again after an internal redirect, and not
 * when the handler is run once more after a delay.  Nothing is charged before
 * all keys, rates and costs are known to be good.
 */

static ngx_int_t
ngx_http_gateway_limit_handler(ngx_http_request_t *r, ngx_array_t *limits)
{
    ngx_uint_t                        i;
    ngx_http_gateway_limit_t        **limit;
    ngx_http_gateway_limit_ctx_t     *ctx;
    ngx_http_gateway_limit_check_t  **first;

    if (limits == NULL
        || (r != r->main && !ngx_http_gateway_subrequest_is_carried(r)))
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_gateway_limit_get_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_gateway_limit_create_ctx(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    first = ctx->last;
    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        if (ngx_http_gateway_limit_is_checked(ctx, limit[i])) {
            continue;
        }

        if (ngx_http_gateway_limit_create_check(r, ctx, limit[i])
            == NGX_ERROR)
        {
            *first = NULL;
            ctx->last = first;

            ngx_http_gateway_limit_refund_all(ctx);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (*first == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_gateway_limit_charge_all(r, ctx, *first);
}


static ngx_http_gateway_limit_ctx_t *
ngx_http_gateway_limit_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t                 *cln;
    ngx_http_gateway_limit_ctx_t       *ctx;
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_gateway_limit_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);

    ctx = cln->data;
    ngx_memzero(ctx, offsetof(ngx_http_gateway_limit_ctx_t, check));

    ctx->last = &ctx->checks;
    ctx->headers = llcf->headers;

    cln->handler = ngx_http_gateway_limit_cleanup;

    ngx_http_set_ctx(r->main, ctx, ngx_http_gateway_limit_module);

    return ctx;
}


/* does nothing: by it the context is found after an internal redirect */

static void
ngx_http_gateway_limit_cleanup(void *data)
{
}


ngx_http_gateway_limit_ctx_t *
ngx_http_gateway_limit_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_gateway_limit_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_limit_module);

    if (ctx != NULL || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /*
     * an internal redirect has cleared the contexts; ours must not be set
     * again, since with it an error_page would be taken for a problem
     */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_gateway_limit_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_gateway_limit_header_filter(ngx_http_request_t *r)
{
    ngx_http_gateway_limit_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_limit_module);

    if (ctx != NULL
        && ctx->problem != NULL
        && ngx_http_gateway_problem_header(r, ctx->problem) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx == NULL) {
        ctx = ngx_http_gateway_limit_get_ctx(r);
    }

    if (ctx != NULL
        && ctx->deciding != NULL
        && ctx->headers != NGX_HTTP_GATEWAY_LIMIT_HEADERS_OFF
        && !ctx->sent)
    {
        ctx->sent = 1;

        if (ngx_http_gateway_limit_add_headers(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_gateway_limit_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_gateway_limit_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_limit_module);

    if (ctx != NULL && ctx->problem != NULL) {
        in = ngx_http_gateway_problem_body(r, ctx->problem, in);

        if (in == NGX_CHAIN_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_body_filter(r, in);
}


/* nothing is hooked in where it has nothing to do */

static ngx_int_t
ngx_http_gateway_limit_init(ngx_conf_t *cf)
{
    ngx_uint_t                            i, before, after;
    ngx_http_gateway_limit_t            **limit;
    ngx_http_gateway_limit_main_conf_t   *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_limit_module);

    if (lmcf->limits.nelts == 0) {
        return NGX_OK;
    }

    before = 0;
    after = 0;
    limit = lmcf->limits.elts;

    for (i = 0; i < lmcf->limits.nelts; i++) {

        if (ngx_http_gateway_limit_init_line(cf, limit[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        if (limit[i]->after_auth) {
            after = 1;

        } else {
            before = 1;
        }
    }

    if (before && ngx_http_gateway_limit_hook_preaccess(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (after && ngx_http_gateway_limit_hook_precontent(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_gateway_limit_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_gateway_limit_body_filter;

    return NGX_OK;
}


/*
 * Handlers run from the last one to the first.  In the preaccess phase the
 * real address of the client, which keys are made of, has to be set before,
 * by a module of core's: ours becomes the first.
 */

static ngx_int_t
ngx_http_gateway_limit_hook_preaccess(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    ngx_memmove(&h[1], &h[0],
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_http_gateway_limit_preaccess;

    return NGX_OK;
}


/* in the precontent phase, try_files and mirror come after it */

static ngx_int_t
ngx_http_gateway_limit_hook_precontent(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_gateway_limit_precontent;

    return NGX_OK;
}


static void *
ngx_http_gateway_limit_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_limit_main_conf_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_limit_main_conf_t));
    if (lmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&lmcf->limits, cf->pool, 4,
                       sizeof(ngx_http_gateway_limit_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return lmcf;
}


static void *
ngx_http_gateway_limit_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    llcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_limit_loc_conf_t));
    if (llcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     llcf->limits = NULL;
     *     llcf->after_auth = NULL;
     */

    llcf->status_code = NGX_CONF_UNSET_UINT;
    llcf->headers = NGX_CONF_UNSET_UINT;
    llcf->log_level = NGX_CONF_UNSET_UINT;
    llcf->prefix4 = NGX_CONF_UNSET_UINT;
    llcf->prefix6 = NGX_CONF_UNSET_UINT;

    return llcf;
}


static char *
ngx_http_gateway_limit_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_gateway_limit_loc_conf_t *prev = parent;
    ngx_http_gateway_limit_loc_conf_t *conf = child;

    if (conf->limits == NULL && conf->after_auth == NULL) {
        conf->limits = prev->limits;
        conf->after_auth = prev->after_auth;
    }

    ngx_conf_merge_uint_value(conf->status_code, prev->status_code,
                              NGX_HTTP_TOO_MANY_REQUESTS);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_GATEWAY_LIMIT_HEADERS_ON);
    ngx_conf_merge_uint_value(conf->log_level, prev->log_level, NGX_LOG_INFO);
    ngx_conf_merge_uint_value(conf->prefix4, prev->prefix4, 32);
    ngx_conf_merge_uint_value(conf->prefix6, prev->prefix6, 64);

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_limit_loc_conf_t *llcf = conf;

    char                                 *rv;
    ngx_str_t                            *value;
    ngx_uint_t                            i;
    ngx_array_t                         **limits;
    ngx_http_gateway_limit_t             *limit, **lp;
    ngx_http_gateway_limit_main_conf_t   *lmcf;

    value = cf->args->elts;

    limit = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_limit_t));
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    limit->file = cf->conf_file->file.name;
    limit->line = cf->conf_file->line;

    for (i = 1; i < cf->args->nelts; i++) {

        rv = ngx_http_gateway_limit_parameter(cf, limit, &value[i]);

        if (rv == NGX_CONF_ERROR) {
            return rv;
        }

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"gateway_limit\", %s", &value[i], rv);
            return NGX_CONF_ERROR;
        }
    }

    if (limit->shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone=\" in \"gateway_limit\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_limit_listed(llcf->limits, limit)
        || ngx_http_gateway_limit_listed(llcf->after_auth, limit))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate zone \"%V\" in \"gateway_limit\"",
                           &limit->shm_zone->shm.name);
        return NGX_CONF_ERROR;
    }

    limits = limit->after_auth ? &llcf->after_auth : &llcf->limits;

    if (*limits == NULL) {
        *limits = ngx_array_create(cf->pool, 2,
                                   sizeof(ngx_http_gateway_limit_t *));
        if (*limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    lp = ngx_array_push(*limits);
    if (lp == NULL) {
        return NGX_CONF_ERROR;
    }

    *lp = limit;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_limit_module);

    lp = ngx_array_push(&lmcf->limits);
    if (lp == NULL) {
        return NGX_CONF_ERROR;
    }

    *lp = limit;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_gateway_limit_listed(ngx_array_t *limits,
    ngx_http_gateway_limit_t *limit)
{
    ngx_uint_t                  i;
    ngx_http_gateway_limit_t  **lp;

    if (limits == NULL) {
        return 0;
    }

    lp = limits->elts;

    for (i = 0; i < limits->nelts; i++) {
        if (lp[i]->shm_zone == limit->shm_zone) {
            return 1;
        }
    }

    return 0;
}


/* returns what is allowed when the value is not */

static char *
ngx_http_gateway_limit_parameter(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit, ngx_str_t *value)
{
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "zone=", 5) == 0
        && value->len > 5
        && limit->shm_zone == NULL)
    {
        s.data = value->data + 5;
        s.len = value->len - 5;

        limit->shm_zone = ngx_shared_memory_add(cf, &s, 0,
                                             &ngx_http_gateway_limit_module);

        return limit->shm_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "burst=", 6) == 0 && limit->burst == 0) {

        if (ngx_http_gateway_rate_parse_tokens(value->data + 6,
                                                value->len - 6, 1,
                                                &limit->burst)
            != NGX_OK)
        {
            return "\"burst\" must be a number of tokens from 1 to "
                   "2147483648";
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "delay=", 6) == 0 && !limit->delayed) {

        if (ngx_http_gateway_rate_parse_tokens(value->data + 6,
                                                value->len - 6, 0,
                                                &limit->delay)
            != NGX_OK)
        {
            return "\"delay\" must be a number of tokens from 0 to "
                   "2147483648";
        }

        limit->delayed = 1;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "cost=", 5) == 0 && limit->cost == NULL) {

        limit->cost = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
        if (limit->cost == NULL) {
            return NGX_CONF_ERROR;
        }

        s.data = value->data + 5;
        s.len = value->len - 5;

        if (ngx_http_gateway_compile_value(cf, &s, limit->cost) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "after_auth") == 0 && !limit->after_auth) {
        limit->after_auth = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "dry_run") == 0 && !limit->dry_run) {
        limit->dry_run = 1;
        return NGX_CONF_OK;
    }

    return "allowed are \"zone=NAME\", \"burst=N\", \"cost=N\", \"delay=N\", "
           "\"after_auth\" and \"dry_run\", once each";
}


static char *
ngx_http_gateway_limit_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_limit_loc_conf_t *llcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (llcf->status_code != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 400 || n > 599) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in "
                           "\"gateway_limit_status\", it must be a status "
                           "code from 400 to 599", &value[1]);
        return NGX_CONF_ERROR;
    }

    llcf->status_code = n;

    return NGX_CONF_OK;
}


/* ngx_conf_set_enum_slot() that says what is allowed */

static char *
ngx_http_gateway_limit_enum(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char           *p, allowed[64];
    ngx_str_t        *value;
    ngx_uint_t       *np;
    ngx_conf_enum_t  *e;

    np = (ngx_uint_t *) ((char *) conf + cmd->offset);

    if (*np != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    p = allowed;

    for (e = cmd->post; e->name.len; e++) {

        if (e->name.len == value[1].len
            && ngx_strcasecmp(e->name.data, value[1].data) == 0)
        {
            *np = e->value;
            return NGX_CONF_OK;
        }

        p = ngx_slprintf(p, allowed + sizeof(allowed) - 1, "%s%V",
                         p == allowed ? "" : ", ", &e->name);
    }

    *p = '\0';

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\", allowed are %s",
                       &value[1], &cmd->name, allowed);

    return NGX_CONF_ERROR;
}
