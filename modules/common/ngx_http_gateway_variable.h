
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What all modules do with their embedded variables, and with parameters that
 * may have variables.
 */


#ifndef _NGX_HTTP_GATEWAY_VARIABLE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_VARIABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Adds the variables up to the one without a name.  Returns NGX_OK, or
 * NGX_ERROR with the reason logged.
 */

static ngx_inline ngx_int_t
ngx_http_gateway_add_variables(ngx_conf_t *cf, ngx_http_variable_t *vars)
{
    ngx_http_variable_t  *var, *v;

    for (v = vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/* Sets "v" to "text", without a copy: it has to live as long as the request. */

static ngx_inline void
ngx_http_gateway_set_variable(ngx_http_variable_value_t *v, ngx_str_t *text)
{
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = text->data;
}


/*
 * Compiles "value", a text that may have variables and has to live as long as
 * the configuration, into "cv".  Returns NGX_OK, or NGX_ERROR with the reason
 * logged.
 */

static ngx_inline ngx_int_t
ngx_http_gateway_compile_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}


#endif /* _NGX_HTTP_GATEWAY_VARIABLE_H_INCLUDED_ */
