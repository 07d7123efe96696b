
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the variables, and how the times of the parts are written.
 */


#include "ngx_http_gateway_aggregate.h"


static ngx_int_t ngx_http_gateway_aggregate_status_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_aggregate_timings_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_aggregate_timings(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_str_t *value);


static ngx_http_variable_t  ngx_http_gateway_aggregate_vars[] = {

    { ngx_string("gateway_aggregate_status"), NULL,
      ngx_http_gateway_aggregate_status_variable,
      offsetof(ngx_http_gateway_aggregate_ctx_t, status),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_aggregate_missing"), NULL,
      ngx_http_gateway_aggregate_status_variable,
      offsetof(ngx_http_gateway_aggregate_ctx_t, missing),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_aggregate_timings"), NULL,
      ngx_http_gateway_aggregate_timings_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_gateway_aggregate_add_variables(ngx_conf_t *cf)
{
    return ngx_http_gateway_add_variables(cf, ngx_http_gateway_aggregate_vars);
}


static ngx_int_t
ngx_http_gateway_aggregate_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                         *text;
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    ctx = ngx_http_gateway_aggregate_get_ctx(r);

    if (ctx == NULL || ctx->status.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((char *) ctx + data);

    ngx_http_gateway_set_variable(v, text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_timings_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                          text;
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    ctx = ngx_http_gateway_aggregate_get_ctx(r);

    if (ctx == NULL || ctx->states == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_gateway_aggregate_timings(ctx, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_set_variable(v, &text);

    return NGX_OK;
}


/* "user:200:0.012:1234, orders:504:0.300:0" */

static ngx_int_t
ngx_http_gateway_aggregate_timings(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_str_t *value)
{
    size_t                               len;
    u_char                              *p;
    ngx_uint_t                           i, n;
    ngx_http_gateway_aggregate_state_t  *state;

    n = ctx->aggregate->parts.nelts;
    len = 0;

    for (i = 0; i < n; i++) {
        len += ctx->states[i].part->name.len
               + sizeof(":::., ") + NGX_INT_T_LEN + NGX_TIME_T_LEN + 3
               + NGX_OFF_T_LEN;
    }

    p = ngx_pnalloc(ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = 0; i < n; i++) {

        state = &ctx->states[i];

        p = ngx_sprintf(p, "%V:", &state->part->name);

        if (state->status) {
            p = ngx_sprintf(p, "%ui", state->status);

        } else {
            *p++ = '-';
        }

        p = ngx_sprintf(p, ":%T.%03M:%O, ", (time_t) (state->elapsed / 1000),
                        state->elapsed % 1000, state->size);
    }

    value->len = p - value->data - 2;

    return NGX_OK;
}


/* "user;dur=12;desc="200", orders;dur=300;desc="504"" */

ngx_int_t
ngx_http_gateway_aggregate_server_timing(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_str_t *value)
{
    size_t                               len;
    u_char                              *p;
    ngx_uint_t                           i, n;
    ngx_http_gateway_aggregate_state_t  *state;

    n = ctx->aggregate->parts.nelts;
    len = 0;

    for (i = 0; i < n; i++) {
        len += ctx->states[i].part->token.len
               + sizeof(";dur=;desc=\"\", ") + 2 * NGX_INT_T_LEN;
    }

    p = ngx_pnalloc(ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = 0; i < n; i++) {

        state = &ctx->states[i];

        p = ngx_sprintf(p, "%V;dur=%M", &state->part->token, state->elapsed);

        if (state->status) {
            p = ngx_sprintf(p, ";desc=\"%ui\"", state->status);
        }

        *p++ = ',';
        *p++ = ' ';
    }

    value->len = p - value->data - 2;

    return NGX_OK;
}
