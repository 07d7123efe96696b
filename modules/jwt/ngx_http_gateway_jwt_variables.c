
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the embedded variables.  They tell of the last check of the main
 * request, change when there is another one, and are therefore not cached.
 * What they point to lives as long as the request's reference to the token.
 */


#include "ngx_http_gateway_jwt.h"


static ngx_int_t ngx_http_gateway_jwt_variable_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_jwt_variable_claims(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_jwt_variable_header(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_jwt_variable_issuer(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_jwt_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_jwt_variable_pointer(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_gateway_jwt_token_t *ngx_http_gateway_jwt_variable_token(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_gateway_jwt_variable_node(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node);
static ngx_int_t ngx_http_gateway_jwt_variable_escape(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_gateway_jwt_node_t *node,
    ngx_str_t *text);


static ngx_http_variable_t  ngx_http_gateway_jwt_vars[] = {

    { ngx_string("gateway_jwt_claim_"), NULL,
      ngx_http_gateway_jwt_variable_claim, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("gateway_jwt_claims"), NULL,
      ngx_http_gateway_jwt_variable_claims, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_jwt_header_"), NULL,
      ngx_http_gateway_jwt_variable_header, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("gateway_jwt_issuer"), NULL,
      ngx_http_gateway_jwt_variable_issuer, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_jwt_status"), NULL,
      ngx_http_gateway_jwt_variable_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_gateway_jwt_add_variables(ngx_conf_t *cf)
{
    return ngx_http_gateway_add_variables(cf, ngx_http_gateway_jwt_vars);
}


char *
ngx_http_gateway_jwt_claim_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                        rc;
    ngx_str_t                       *value, name;
    ngx_http_variable_t             *v;
    ngx_http_gateway_jwt_pointer_t  *pointer;

    value = cf->args->elts;
    name = value[1];

    if (name.len < 2 || name.data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable name \"%V\" in "
                           "\"gateway_jwt_claim_set\", it must be \"$name\"",
                           &name);
        return NGX_CONF_ERROR;
    }

    name.len--;
    name.data++;

    pointer = ngx_palloc(cf->pool, sizeof(ngx_http_gateway_jwt_pointer_t));
    if (pointer == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_gateway_jwt_pointer_compile(cf->pool, &value[2], pointer);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid pointer \"%V\" in "
                           "\"gateway_jwt_claim_set\", it must be a claim's "
                           "name or a JSON pointer", &value[2]);
        return NGX_CONF_ERROR;
    }

    v = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (v == NULL) {
        return NGX_CONF_ERROR;
    }

    v->get_handler = ngx_http_gateway_jwt_variable_pointer;
    v->data = (uintptr_t) pointer;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_variable_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *var = (ngx_str_t *) data;

    ngx_str_t                      name;
    ngx_http_gateway_jwt_node_t   *node;
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_variable_token(r, v);
    if (token == NULL) {
        return NGX_OK;
    }

    name.data = var->data + sizeof("gateway_jwt_claim_") - 1;
    name.len = var->len - (sizeof("gateway_jwt_claim_") - 1);

    node = ngx_http_gateway_jwt_json_member(&token->payload,
                                            token->payload.nodes, &name);

    return ngx_http_gateway_jwt_variable_node(r, v, &token->payload, node);
}


static ngx_int_t
ngx_http_gateway_jwt_variable_claims(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_variable_token(r, v);
    if (token == NULL) {
        return NGX_OK;
    }

    return ngx_http_gateway_jwt_variable_node(r, v, &token->payload,
                                              token->payload.nodes);
}


static ngx_int_t
ngx_http_gateway_jwt_variable_header(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *var = (ngx_str_t *) data;

    ngx_str_t                      name;
    ngx_http_gateway_jwt_node_t   *node;
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_variable_token(r, v);
    if (token == NULL) {
        return NGX_OK;
    }

    name.data = var->data + sizeof("gateway_jwt_header_") - 1;
    name.len = var->len - (sizeof("gateway_jwt_header_") - 1);

    node = ngx_http_gateway_jwt_json_member(&token->header,
                                            token->header.nodes, &name);

    return ngx_http_gateway_jwt_variable_node(r, v, &token->header, node);
}


static ngx_int_t
ngx_http_gateway_jwt_variable_issuer(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_variable_token(r, v);
    if (token == NULL) {
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v, &token->issuer->name);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_jwt_ctx_t  *ctx;

    ctx = ngx_http_gateway_jwt_get_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v,
                               ngx_http_gateway_jwt_status_name(ctx->status));

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_variable_pointer(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_jwt_pointer_t *pointer =
                                     (ngx_http_gateway_jwt_pointer_t *) data;

    ngx_http_gateway_jwt_node_t   *node;
    ngx_http_gateway_jwt_token_t  *token;

    token = ngx_http_gateway_jwt_variable_token(r, v);
    if (token == NULL) {
        return NGX_OK;
    }

    node = ngx_http_gateway_jwt_json_find(&token->payload, pointer);

    return ngx_http_gateway_jwt_variable_node(r, v, &token->payload, node);
}


/* the token that has passed the last check, or NULL with "v" not found */

static ngx_http_gateway_jwt_token_t *
ngx_http_gateway_jwt_variable_token(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_gateway_jwt_ctx_t  *ctx;

    ctx = ngx_http_gateway_jwt_get_ctx(r);

    if (ctx == NULL || ctx->token == NULL) {
        v->not_found = 1;
        return NULL;
    }

    return ctx->token;
}


/*
 * Values end up in header fields, where a line break would begin another
 * field.  A string with control characters is therefore given as JSON, which
 * no other value looks like; between JSON's tokens, where control characters
 * are white space, spaces stand for them.
 */

static ngx_int_t
ngx_http_gateway_jwt_variable_node(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node)
{
    u_char     *p, *last;
    ngx_str_t   text;

    if (node == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_jwt_json_text(json, node, &text);

    last = text.data + text.len;

    for (p = text.data; p < last; p++) {
        if (*p < ' ') {
            return ngx_http_gateway_jwt_variable_escape(r, v, node, &text);
        }
    }

    ngx_http_gateway_set_variable(v, &text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_variable_escape(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_gateway_jwt_node_t *node,
    ngx_str_t *text)
{
    u_char     *p, *last;
    size_t      len;
    ngx_str_t   escaped;

    len = text->len;

    if (node->type == NGX_HTTP_GATEWAY_JWT_STRING) {
        len += 2 + ngx_escape_json(NULL, text->data, text->len);
    }

    escaped.len = len;
    escaped.data = ngx_pnalloc(r->pool, len);
    if (escaped.data == NULL) {
        return NGX_ERROR;
    }

    if (node->type == NGX_HTTP_GATEWAY_JWT_STRING) {
        p = escaped.data;
        *p++ = '"';
        p = (u_char *) ngx_escape_json(p, text->data, text->len);
        *p = '"';

    } else {
        last = ngx_cpymem(escaped.data, text->data, text->len);

        for (p = escaped.data; p < last; p++) {
            if (*p < ' ') {
                *p = ' ';
            }
        }
    }

    ngx_http_gateway_set_variable(v, &escaped);

    return NGX_OK;
}
