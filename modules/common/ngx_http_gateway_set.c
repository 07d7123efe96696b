
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the directives of one value that several modules have.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_gateway_set.h"


char *
ngx_http_gateway_set_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    ngx_msec_t  *time;

    time = (ngx_msec_t *) ((char *) conf + cmd->offset);

    if (*time != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cmd->post && ngx_strcmp(value[1].data, "off") == 0) {
        *time = 0;
        return NGX_CONF_OK;
    }

    *time = ngx_parse_time(&value[1], 0);

    if (*time == (ngx_msec_t) NGX_ERROR || (*time == 0 && !cmd->post)) {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                                            cmd->post ? "a time, or \"off\""
                                            : "a time greater than 0");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_set_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    size_t     *size;
    ngx_str_t  *value;

    size = (size_t *) ((char *) conf + cmd->offset);

    if (*size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *size = ngx_parse_size(&value[1]);

    if (*size == (size_t) NGX_ERROR || *size == 0) {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                                            "a size greater than 0");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_set_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_set_bounds_t *bounds = cmd->post;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *number;

    static ngx_http_gateway_set_bounds_t  any = {
        0, NGX_MAX_INT_T_VALUE, "a number, 0 or greater"
    };

    if (bounds == NULL) {
        bounds = &any;
    }

    number = (ngx_uint_t *) ((char *) conf + cmd->offset);

    if (*number != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n < bounds->low || n > bounds->high) {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                                            bounds->allowed);
    }

    *number = n;

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, char *allowed)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\", it must be %s",
                       value, &cmd->name, allowed);

    return NGX_CONF_ERROR;
}
