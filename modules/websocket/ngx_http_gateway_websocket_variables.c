
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the variables: what became of a request or a tunnel, for logs.
 */


#include "ngx_http_gateway_websocket.h"


static ngx_int_t ngx_http_gateway_websocket_close_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_websocket_closed_by_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_websocket_messages_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_websocket_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t n);


static ngx_http_variable_t  ngx_http_gateway_websocket_vars[] = {

    { ngx_string("gateway_websocket_close"), NULL,
      ngx_http_gateway_websocket_close_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_websocket_closed_by"), NULL,
      ngx_http_gateway_websocket_closed_by_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_websocket_messages_in"), NULL,
      ngx_http_gateway_websocket_messages_variable,
      offsetof(ngx_http_gateway_websocket_ctx_t, messages_in),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_websocket_messages_out"), NULL,
      ngx_http_gateway_websocket_messages_variable,
      offsetof(ngx_http_gateway_websocket_ctx_t, messages_out),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_gateway_websocket_add_variables(ngx_conf_t *cf)
{
    return ngx_http_gateway_add_variables(cf, ngx_http_gateway_websocket_vars);
}


static ngx_int_t
ngx_http_gateway_websocket_close_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL || ctx->close == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_gateway_websocket_number(r, v, ctx->close);
}


static ngx_int_t
ngx_http_gateway_websocket_closed_by_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    static ngx_str_t  names[] = {
        ngx_null_string,
        ngx_string("client"),
        ngx_string("upstream"),
        ngx_string("gateway")
    };

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL || ctx->close == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v, &names[ctx->closed_by]);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_messages_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL
        || (ctx->guard == NULL && ctx->pass == NULL && !ctx->served))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_gateway_websocket_number(r, v,
                                    *(uint64_t *) ((u_char *) ctx + data));
}


static ngx_int_t
ngx_http_gateway_websocket_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t n)
{
    ngx_str_t  text;

    text.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_sprintf(text.data, "%uL", n) - text.data;

    ngx_http_gateway_set_variable(v, &text);

    return NGX_OK;
}
