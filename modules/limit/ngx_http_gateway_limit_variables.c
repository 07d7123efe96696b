
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the embedded variables and the "gateway_limit_prefix" line.  They tell
 * of the main request and change with each zone that it is checked against,
 * and are therefore not cached.
 */


#include "ngx_http_gateway_limit.h"


static ngx_int_t ngx_http_gateway_limit_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_limit_variable_zone(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_limit_variable_remaining(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_limit_variable_prefix(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_limit_cut(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, u_char *addr, size_t len, ngx_uint_t bits);
static ngx_http_gateway_limit_check_t *ngx_http_gateway_limit_deciding(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);


static ngx_http_variable_t  ngx_http_gateway_limit_vars[] = {

    { ngx_string("gateway_limit_status"), NULL,
      ngx_http_gateway_limit_variable_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_limit_zone"), NULL,
      ngx_http_gateway_limit_variable_zone, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_limit_remaining"), NULL,
      ngx_http_gateway_limit_variable_remaining, 0, NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("gateway_limit_prefix"), NULL,
      ngx_http_gateway_limit_variable_prefix, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_gateway_limit_statuses[] = {
    ngx_null_string,
    ngx_string("passed"),
    ngx_string("dry_run_delayed"),
    ngx_string("dry_run_rejected"),
    ngx_string("delayed"),
    ngx_string("rejected")
};


ngx_int_t
ngx_http_gateway_limit_add_variables(ngx_conf_t *cf)
{
    return ngx_http_gateway_add_variables(cf, ngx_http_gateway_limit_vars);
}


char *
ngx_http_gateway_limit_prefix(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_limit_loc_conf_t *llcf = conf;

    ngx_int_t   n, m;
    ngx_str_t  *value;

    if (llcf->prefix4 != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);
    m = ngx_atoi(value[2].data, value[2].len);

    if (n < 1 || n > 32 || m < 1 || m > 128) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V %V\" in "
                           "\"gateway_limit_prefix\", it must be a number of "
                           "bits from 1 to 32 for IPv4 and one from 1 to 128 "
                           "for IPv6", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    llcf->prefix4 = n;
    llcf->prefix6 = m;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_limit_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_limit_check_t  *check;

    check = ngx_http_gateway_limit_deciding(r, v);

    if (check != NULL) {
        ngx_http_gateway_set_variable(v,
                            &ngx_http_gateway_limit_statuses[check->status]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_variable_zone(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_limit_check_t  *check;

    check = ngx_http_gateway_limit_deciding(r, v);

    if (check != NULL) {
        ngx_http_gateway_set_variable(v, &check->zone->name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_variable_remaining(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                          *p;
    ngx_str_t                        text;
    ngx_http_gateway_limit_check_t  *check;

    check = ngx_http_gateway_limit_deciding(r, v);

    if (check == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p;
    text.len = ngx_sprintf(p, "%uL", ngx_http_gateway_limit_remaining(check))
               - p;

    ngx_http_gateway_set_variable(v, &text);

    return NGX_OK;
}


/*
 * The address as $binary_remote_addr has it, with the bits after the prefix
 * cleared.  One client has a whole network of IPv6 addresses; one that comes
 * as an IPv4-mapped address is the IPv4 client.
 */

static ngx_int_t
ngx_http_gateway_limit_variable_prefix(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    struct sockaddr_in                 *sin;
#if (NGX_HAVE_INET6)
    u_char                             *p;
    struct sockaddr_in6                *sin6;
#endif
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);

    switch (r->connection->sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) r->connection->sockaddr;
        p = sin6->sin6_addr.s6_addr;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            return ngx_http_gateway_limit_cut(r, v, p + 12, 4, llcf->prefix4);
        }

        return ngx_http_gateway_limit_cut(r, v, p, 16, llcf->prefix6);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) r->connection->sockaddr;

        return ngx_http_gateway_limit_cut(r, v, (u_char *) &sin->sin_addr, 4,
                                          llcf->prefix4);

    default: /* AF_UNIX */
        v->not_found = 1;
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_gateway_limit_cut(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, u_char *addr, size_t len, ngx_uint_t bits)
{
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   i;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < len; i++) {

        if (bits >= 8 * (i + 1)) {
            p[i] = addr[i];

        } else if (bits > 8 * i) {
            p[i] = addr[i] & (u_char) (0xff << (8 * (i + 1) - bits));

        } else {
            p[i] = 0;
        }
    }

    text.len = len;
    text.data = p;

    ngx_http_gateway_set_variable(v, &text);

    return NGX_OK;
}


/* the check that decided, or NULL with "v" not found */

static ngx_http_gateway_limit_check_t *
ngx_http_gateway_limit_deciding(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_gateway_limit_ctx_t  *ctx;

    ctx = ngx_http_gateway_limit_get_ctx(r);

    if (ctx == NULL || ctx->deciding == NULL) {
        v->not_found = 1;
        return NULL;
    }

    return ctx->deciding;
}
