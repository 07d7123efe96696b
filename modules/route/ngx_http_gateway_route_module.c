
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Routes: the directives, and what is answered when there is no route for a
 * request.  Lookups are made where variables are read; "gateway_route" makes
 * one in the preaccess phase, so that nothing else is asked of a request that
 * goes nowhere, and preflights need no token.
 */


#include "ngx_http_gateway_route.h"


static ngx_int_t ngx_http_gateway_route_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_route_refuse(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found);
static ngx_int_t ngx_http_gateway_route_add_allow(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found);

static ngx_int_t ngx_http_gateway_route_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_route_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_int_t ngx_http_gateway_route_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_route_init_block(ngx_conf_t *cf,
    ngx_http_gateway_route_block_t *block);
static ngx_int_t ngx_http_gateway_route_init_check(ngx_conf_t *cf,
    ngx_http_gateway_route_main_conf_t *rmcf,
    ngx_http_gateway_route_check_t *check);
static void *ngx_http_gateway_route_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_gateway_route_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_gateway_route_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_gateway_route(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_gateway_route_commands[] = {

    { ngx_string("gateway_routes"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_gateway_routes,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_route"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_route,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_gateway_route_module_ctx = {
    ngx_http_gateway_route_add_variables,  /* preconfiguration */
    ngx_http_gateway_route_init,           /* postconfiguration */

    ngx_http_gateway_route_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_gateway_route_create_loc_conf, /* create location configuration */
    ngx_http_gateway_route_merge_loc_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_gateway_route_module = {
    NGX_MODULE_V1,
    &ngx_http_gateway_route_module_ctx,    /* module context */
    ngx_http_gateway_route_commands,       /* module directives */
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


/*
 * A request is checked once, as its client sent it: not its subrequests, not
 * its error page, and not again after an internal redirect.
 */

static ngx_int_t
ngx_http_gateway_route_handler(ngx_http_request_t *r)
{
    ngx_http_gateway_route_found_t     *found;
    ngx_http_gateway_route_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_route_module);

    if (rlcf->check == NULL || r != r->main || r->err_status != 0) {
        return NGX_DECLINED;
    }

    found = ngx_http_gateway_route_find(r, rlcf->check->block);
    if (found == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (found->checked) {
        return NGX_DECLINED;
    }

    found->checked = 1;

    if (found->route != NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_gateway_route_refuse(r, found);
}


/* RFC 9110: 404 in section 15.5.5, 405 in 15.5.6, OPTIONS in 9.3.7 */

static ngx_int_t
ngx_http_gateway_route_refuse(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found)
{
    ngx_http_gateway_route_ctx_t  *ctx;

    if (found->allowed != 0
        && ngx_http_gateway_route_add_allow(r, found) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (found->allowed != 0 && r->method == NGX_HTTP_OPTIONS) {
        return NGX_HTTP_NO_CONTENT;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_route_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_gateway_route_module);

    if (found->allowed != 0) {
        ctx->problem.status = NGX_HTTP_NOT_ALLOWED;
        ngx_str_set(&ctx->problem.detail,
                    "The path has a route, but not for this method.");

    } else {
        ctx->problem.status = NGX_HTTP_NOT_FOUND;
        ngx_str_set(&ctx->problem.detail, "No route takes this request.");
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "gateway_route $%V: no route takes \"%V\"%s",
                  &found->block->name, &r->uri,
                  found->allowed ? " with this method" : "");

    return ctx->problem.status;
}


static ngx_int_t
ngx_http_gateway_route_add_allow(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found)
{
    ngx_str_t         value;
    ngx_table_elt_t  *h;

    if (ngx_http_gateway_route_allow(found->block->table, found->allowed,
                                     r->pool, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->key, "Allow");
    h->value = value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_header_filter(ngx_http_request_t *r)
{
    ngx_http_gateway_route_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_route_module);

    if (ctx != NULL
        && ngx_http_gateway_problem_header(r, &ctx->problem) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_gateway_route_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_gateway_route_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_route_module);

    if (ctx != NULL) {
        in = ngx_http_gateway_problem_body(r, &ctx->problem, in);

        if (in == NGX_CHAIN_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_body_filter(r, in);
}


/* nothing is hooked in where it has nothing to do */

static ngx_int_t
ngx_http_gateway_route_init(ngx_conf_t *cf)
{
    ngx_uint_t                            i;
    ngx_http_handler_pt                  *h;
    ngx_http_core_main_conf_t            *cmcf;
    ngx_http_gateway_route_check_t      **check;
    ngx_http_gateway_route_block_t      **block;
    ngx_http_gateway_route_main_conf_t   *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_route_module);

    block = rmcf->blocks.elts;

    for (i = 0; i < rmcf->blocks.nelts; i++) {
        if (ngx_http_gateway_route_init_block(cf, block[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (rmcf->checks.nelts == 0) {
        return NGX_OK;
    }

    check = rmcf->checks.elts;

    for (i = 0; i < rmcf->checks.nelts; i++) {
        if (ngx_http_gateway_route_init_check(cf, rmcf, check[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_gateway_route_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_gateway_route_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_gateway_route_body_filter;

    return NGX_OK;
}


/* a map that follows would take the variable over without a word */

static ngx_int_t
ngx_http_gateway_route_init_block(ngx_conf_t *cf,
    ngx_http_gateway_route_block_t *block)
{
    if (!ngx_http_gateway_route_is_taken(cf, &block->name)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid variable \"$%V\" in \"gateway_routes\", another "
                  "directive defines it, too in %V:%ui",
                  &block->name, &block->file, block->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_gateway_route_init_check(ngx_conf_t *cf,
    ngx_http_gateway_route_main_conf_t *rmcf,
    ngx_http_gateway_route_check_t *check)
{
    check->block = ngx_http_gateway_route_get_block(rmcf, &check->name);

    if (check->block != NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid value \"$%V\" in \"gateway_route\", it must be "
                  "\"off\" or the variable of a \"gateway_routes\" in %V:%ui",
                  &check->name, &check->file, check->line);

    return NGX_ERROR;
}


static void *
ngx_http_gateway_route_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_route_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_route_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rmcf->blocks, cf->pool, 1,
                       sizeof(ngx_http_gateway_route_block_t *))
        != NGX_OK
        || ngx_array_init(&rmcf->checks, cf->pool, 1,
                          sizeof(ngx_http_gateway_route_check_t *))
           != NGX_OK
        || ngx_array_init(&rmcf->names, cf->pool, 4, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


static void *
ngx_http_gateway_route_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_route_loc_conf_t  *rlcf;

    rlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_route_loc_conf_t));
    if (rlcf == NULL) {
        return NULL;
    }

    rlcf->check = NGX_CONF_UNSET_PTR;

    return rlcf;
}


static char *
ngx_http_gateway_route_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_gateway_route_loc_conf_t *prev = parent;
    ngx_http_gateway_route_loc_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->check, prev->check, NULL);

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_route_loc_conf_t *rlcf = conf;

    ngx_str_t                            *value;
    ngx_http_gateway_route_check_t       *check, **known;
    ngx_http_gateway_route_main_conf_t   *rmcf;

    if (rlcf->check != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->check = NULL;
        return NGX_CONF_OK;
    }

    if (value[1].len < 2 || value[1].data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"gateway_route\", it "
                           "must be \"off\" or the variable of a "
                           "\"gateway_routes\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    check = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_route_check_t));
    if (check == NULL) {
        return NGX_CONF_ERROR;
    }

    check->name.len = value[1].len - 1;
    check->name.data = value[1].data + 1;
    check->file = cf->conf_file->file.name;
    check->line = cf->conf_file->line;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_route_module);

    known = ngx_array_push(&rmcf->checks);
    if (known == NULL) {
        return NGX_CONF_ERROR;
    }

    *known = check;
    rlcf->check = check;

    return NGX_CONF_OK;
}
