
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Aggregation: one request, several services, one JSON answer.  The directives
 * and their configuration, the content handler, and the filters: those of the
 * parts, whose answers never reach a client, and those of the request itself,
 * for a problem in the place of core's error page.
 */


#include "ngx_http_gateway_aggregate.h"


static ngx_uint_t ngx_http_gateway_aggregate_is_inside(ngx_http_request_t *r,
    ngx_http_gateway_aggregate_t *a);
static ngx_int_t ngx_http_gateway_aggregate_not_allowed(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_aggregate_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_aggregate_body_filter(
    ngx_http_request_t *r, ngx_chain_t *in);

static ngx_int_t ngx_http_gateway_aggregate_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_aggregate_init_module(ngx_cycle_t *cycle);
static void *ngx_http_gateway_aggregate_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_gateway_aggregate_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_gateway_aggregate_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_gateway_aggregate_make_allow(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_loc_conf_t *alcf);
static char *ngx_http_gateway_aggregate_set_methods(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_gateway_aggregate_set_depth(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);


static ngx_conf_enum_t  ngx_http_gateway_aggregate_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET|NGX_HTTP_HEAD },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_gateway_aggregate_commands[] = {

    { ngx_string("gateway_aggregate"),
      NGX_HTTP_LOC_CONF|NGX_CONF_BLOCK|NGX_CONF_NOARGS,
      ngx_http_gateway_aggregate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_aggregate_methods"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_gateway_aggregate_set_methods,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_aggregate_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_aggregate_loc_conf_t, timeout),
      NULL },

    { ngx_string("gateway_aggregate_max_part_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_aggregate_loc_conf_t, max_part_size),
      NULL },

    { ngx_string("gateway_aggregate_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_aggregate_loc_conf_t, max_size),
      NULL },

    { ngx_string("gateway_aggregate_max_depth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_aggregate_set_depth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_aggregate_server_timing"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_aggregate_loc_conf_t, server_timing),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_gateway_aggregate_module_ctx = {
    ngx_http_gateway_aggregate_add_variables, /* preconfiguration */
    ngx_http_gateway_aggregate_init,       /* postconfiguration */

    ngx_http_gateway_aggregate_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_gateway_aggregate_create_loc_conf, /* create location config */
    ngx_http_gateway_aggregate_merge_loc_conf /* merge location config */
};


ngx_module_t  ngx_http_gateway_aggregate_module = {
    NGX_MODULE_V1,
    &ngx_http_gateway_aggregate_module_ctx, /* module context */
    ngx_http_gateway_aggregate_commands,   /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_gateway_aggregate_init_module, /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_gateway_aggregate_handler(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_aggregate_module);

    if (ngx_http_gateway_aggregate_is_inside(r, alcf->aggregate)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the aggregate \"%V\" is a part of itself", &r->uri);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_gateway_aggregate_create_ctx(r) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!(r->method & alcf->methods)) {
        return ngx_http_gateway_aggregate_not_allowed(r);
    }

    if (alcf->aggregate->reads_body) {

        /* parts may read it one after the other */

        r->preserve_body = 1;

        rc = ngx_http_read_client_request_body(r,
                                            ngx_http_gateway_aggregate_start);

        return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++;

    ngx_http_gateway_aggregate_start(r);

    return NGX_DONE;
}


/* core's limit of nesting alone would let subrequests multiply up to it */

static ngx_uint_t
ngx_http_gateway_aggregate_is_inside(ngx_http_request_t *r,
    ngx_http_gateway_aggregate_t *a)
{
    ngx_http_gateway_aggregate_run_t  *run;

    while (r != r->main) {

        run = ngx_http_gateway_aggregate_get_run(r);

        if (run && run->state->ctx->aggregate == a) {
            return 1;
        }

        r = r->parent;
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_aggregate_not_allowed(ngx_http_request_t *r)
{
    ngx_table_elt_t                        *h;
    ngx_http_gateway_problem_t             *p;
    ngx_http_gateway_aggregate_ctx_t       *ctx;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_aggregate_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);

    p = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_problem_t));
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->key, "Allow");
    h->value = alcf->allow;

    p->status = NGX_HTTP_NOT_ALLOWED;
    ngx_str_set(&p->detail, "the method is not one of those allowed here");

    ctx->problem = p;

    return NGX_HTTP_NOT_ALLOWED;
}


static ngx_int_t
ngx_http_gateway_aggregate_header_filter(ngx_http_request_t *r)
{
    ngx_http_gateway_aggregate_ctx_t  *ctx;
    ngx_http_gateway_aggregate_run_t  *run;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);

    if (ctx
        && ctx->problem
        && ngx_http_gateway_problem_header(r, ctx->problem) != NGX_OK)
    {
        return NGX_ERROR;
    }

    run = ngx_http_gateway_aggregate_get_run(r);

    if (run == NULL) {
        return ngx_http_next_header_filter(r);
    }

    /* other filters have nothing to do with what no client sees */

    r->header_sent = 1;
    r->filter_need_in_memory = 1;

    ngx_http_gateway_aggregate_capture_header(run);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_gateway_aggregate_ctx_t  *ctx;
    ngx_http_gateway_aggregate_run_t  *run;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);

    if (ctx && ctx->problem) {
        in = ngx_http_gateway_problem_body(r, ctx->problem, in);

        if (in == NGX_CHAIN_ERROR) {
            return NGX_ERROR;
        }
    }

    run = ngx_http_gateway_aggregate_get_run(r);

    if (run == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    ngx_http_gateway_aggregate_capture_body(run, in);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_init(ngx_conf_t *cf)
{
    ngx_http_gateway_aggregate_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_aggregate_module);

    if (!amcf->used) {
        return NGX_OK;
    }

    if (ngx_http_gateway_subrequest_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_gateway_aggregate_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_gateway_aggregate_body_filter;

    return NGX_OK;
}


/* all variables are known only now */

static ngx_int_t
ngx_http_gateway_aggregate_init_module(ngx_cycle_t *cycle)
{
    ngx_http_gateway_aggregate_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                           ngx_http_gateway_aggregate_module);

    if (amcf == NULL || !amcf->used) {
        return NGX_OK;
    }

    amcf->variables = ngx_http_gateway_subrequest_variables(cycle);

    return amcf->variables ? NGX_OK : NGX_ERROR;
}


static void *
ngx_http_gateway_aggregate_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_gateway_aggregate_main_conf_t));
}


static void *
ngx_http_gateway_aggregate_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    alcf = ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_gateway_aggregate_loc_conf_t));
    if (alcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     alcf->aggregate = NULL;
     *     alcf->methods = 0;
     *     alcf->allow = { 0, NULL };
     */

    alcf->timeout = NGX_CONF_UNSET_MSEC;
    alcf->max_part_size = NGX_CONF_UNSET_SIZE;
    alcf->max_size = NGX_CONF_UNSET_SIZE;
    alcf->max_depth = NGX_CONF_UNSET_UINT;
    alcf->server_timing = NGX_CONF_UNSET;

    return alcf;
}


static char *
ngx_http_gateway_aggregate_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_gateway_aggregate_loc_conf_t *prev = parent;
    ngx_http_gateway_aggregate_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and "limit_except" are locations without a handler of their own */

    if (conf->aggregate == NULL && (clcf->noname || clcf->lmt_excpt)) {
        conf->aggregate = prev->aggregate;

        if (clcf->lmt_excpt && clcf->handler == NULL && conf->aggregate) {
            clcf->handler = ngx_http_gateway_aggregate_handler;
        }
    }

    if (conf->methods == 0) {
        conf->methods = prev->methods;
        conf->allow = prev->allow;
    }

    if (conf->methods == 0) {
        conf->methods = NGX_HTTP_GET|NGX_HTTP_HEAD;
        ngx_str_set(&conf->allow, "GET, HEAD");
    }

    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 10000);
    ngx_conf_merge_size_value(conf->max_part_size, prev->max_part_size,
                              1024 * 1024);
    ngx_conf_merge_size_value(conf->max_size, prev->max_size,
                              8 * 1024 * 1024);
    ngx_conf_merge_uint_value(conf->max_depth, prev->max_depth, 64);
    ngx_conf_merge_value(conf->server_timing, prev->server_timing, 0);

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_methods(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_aggregate_loc_conf_t *alcf = conf;

    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_conf_enum_t  *e;

    if (alcf->methods) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (e = ngx_http_gateway_aggregate_methods; e->name.len; e++) {

            if (e->name.len == value[i].len
                && ngx_strcmp(e->name.data, value[i].data) == 0)
            {
                break;
            }
        }

        if (e->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in "
                               "\"gateway_aggregate_methods\", allowed are "
                               "GET, HEAD, POST, PUT, DELETE, PATCH and "
                               "OPTIONS", &value[i]);
            return NGX_CONF_ERROR;
        }

        alcf->methods |= e->value;
    }

    if (ngx_http_gateway_aggregate_make_allow(cf, alcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_make_allow(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_loc_conf_t *alcf)
{
    u_char           *p;
    ngx_conf_enum_t  *e;

    p = ngx_pnalloc(cf->pool,
                    sizeof("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, "));
    if (p == NULL) {
        return NGX_ERROR;
    }

    alcf->allow.data = p;

    for (e = ngx_http_gateway_aggregate_methods; e->name.len; e++) {

        if ((alcf->methods & e->value) == e->value) {
            p = ngx_sprintf(p, "%V, ", &e->name);
        }
    }

    alcf->allow.len = p - alcf->allow.data - 2;

    return NGX_OK;
}


static char *
ngx_http_gateway_aggregate_set_depth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_aggregate_loc_conf_t *alcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (alcf->max_depth != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in "
                           "\"gateway_aggregate_max_depth\", it must be a "
                           "number from 1 to %d", &value[1],
                           NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);
        return NGX_CONF_ERROR;
    }

    alcf->max_depth = n;

    return NGX_CONF_OK;
}
