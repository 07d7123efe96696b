
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the configuration of served WebSockets: its directives, and how they
 * are inherited.
 */


#include "ngx_http_gateway_websocket_serve.h"


static char *ngx_http_gateway_websocket_not_alone(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf);
static char *ngx_http_gateway_websocket_set_uri(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_http_complex_value_t *cv);
static char *ngx_http_gateway_websocket_set_option(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_gateway_websocket_loc_conf_t *wlcf,
    ngx_str_t *value);


char *
ngx_http_gateway_websocket_set_serve(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    char                                    *rv;
    ngx_str_t                               *value;
    ngx_uint_t                               i;
    ngx_http_core_loc_conf_t                *clcf;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    if (wlcf->serve) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return ngx_http_gateway_websocket_not_alone(cf, clcf);
    }

    value = cf->args->elts;

    wlcf->serve = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (wlcf->serve == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_gateway_websocket_set_uri(cf, cmd, &value[1], wlcf->serve);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_gateway_websocket_set_option(cf, cmd, wlcf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    wmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_websocket_module);
    wmcf->used = 1;

    clcf->handler = ngx_http_gateway_websocket_serve_handler;

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_websocket_set_option(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_str_t *value)
{
    ngx_str_t  name;

    if (value->len > 5 && ngx_strncmp(value->data, "zone=", 5) == 0) {

        if (wlcf->zone) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"zone\" in \"%V\"", &cmd->name);
            return NGX_CONF_ERROR;
        }

        name.len = value->len - 5;
        name.data = value->data + 5;

        wlcf->zone = ngx_http_gateway_websocket_zone(cf, &name);

        return wlcf->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value->data, "format=plain") == 0
        || ngx_strcmp(value->data, "format=websocket-events") == 0)
    {
        if (wlcf->format_set) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"format\" in \"%V\"", &cmd->name);
            return NGX_CONF_ERROR;
        }

        wlcf->format_set = 1;
        wlcf->events = (value->data[7] == 'w');

        return NGX_CONF_OK;
    }

    return ngx_http_gateway_set_invalid(cf, cmd, value,
                       "zone=NAME, format=plain or format=websocket-events");
}


static char *
ngx_http_gateway_websocket_set_uri(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_complex_value_t *cv)
{
    if (value->len == 0 || (value->data[0] != '/' && value->data[0] != '$')) {
        return ngx_http_gateway_set_invalid(cf, cmd, value,
                      "a URI of this server, which begins with \"/\"");
    }

    if (ngx_http_gateway_compile_value(cf, value, cv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_route(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t                           *value;
    ngx_http_gateway_websocket_route_t  *route;

    value = cf->args->elts;

    if (wlcf->routes == NULL) {
        wlcf->routes = ngx_array_create(cf->pool, 4,
                                  sizeof(ngx_http_gateway_websocket_route_t));
        if (wlcf->routes == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    route = ngx_array_push(wlcf->routes);
    if (route == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(route, sizeof(ngx_http_gateway_websocket_route_t));

    if (value[1].len == 0
        || ngx_http_gateway_websocket_pointer(cf, &route->pointer, &value[1])
           != NGX_OK)
    {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                                  "a JSON pointer, or the name of a member");
    }

    route->value = value[2];

    return ngx_http_gateway_websocket_set_uri(cf, cmd, &value[3], &route->uri);
}


/* gateway_websocket_connect and gateway_websocket_disconnect */

char *
ngx_http_gateway_websocket_set_told(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                  *value;
    ngx_http_complex_value_t  **cv;

    cv = (ngx_http_complex_value_t **) ((char *) conf + cmd->offset);

    if (*cv != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *cv = NULL;
        return NGX_CONF_OK;
    }

    if (value[1].len == 0
        || (value[1].data[0] != '/' && value[1].data[0] != '$'))
    {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
             "a URI of this server, which begins with \"/\", or \"off\"");
    }

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_compile_value(cf, &value[1], *cv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_on_error(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->on_error != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "message") == 0) {
        wlcf->on_error = NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_MESSAGE;

    } else if (ngx_strcmp(value[1].data, "close") == 0) {
        wlcf->on_error = NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_CLOSE;

    } else {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                                            "\"message\" or \"close\"");
    }

    return NGX_CONF_OK;
}


void
ngx_http_gateway_websocket_create_serve(
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->serve = NULL;
     *     conf->routes = NULL;
     *     conf->zone = NULL;
     *     conf->events = 0;
     */

    conf->connect = NGX_CONF_UNSET_PTR;
    conf->disconnect = NGX_CONF_UNSET_PTR;
    conf->concurrency = NGX_CONF_UNSET_UINT;
    conf->on_error = NGX_CONF_UNSET_UINT;
    conf->max_queue = NGX_CONF_UNSET_UINT;
}


ngx_int_t
ngx_http_gateway_websocket_merge_serve(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->connect, prev->connect, NULL);
    ngx_conf_merge_ptr_value(conf->disconnect, prev->disconnect, NULL);
    ngx_conf_merge_uint_value(conf->concurrency, prev->concurrency, 1);
    ngx_conf_merge_uint_value(conf->on_error, prev->on_error,
                              NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_MESSAGE);
    ngx_conf_merge_uint_value(conf->max_queue, prev->max_queue, 16);

    if (conf->routes == NULL) {
        conf->routes = prev->routes;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and "limit_except" are locations without a handler of their own */

    if (conf->serve == NULL && prev->serve
        && (clcf->noname || clcf->lmt_excpt))
    {
        conf->serve = prev->serve;
        conf->zone = prev->zone;
        conf->events = prev->events;

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = ngx_http_gateway_websocket_serve_handler;
        }

        return NGX_OK;
    }

    if (conf->serve
        && clcf->handler != ngx_http_gateway_websocket_serve_handler)
    {
        (void) ngx_http_gateway_websocket_not_alone(cf, clcf);
        return NGX_ERROR;
    }

    if (conf->serve && conf->guard == 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_websocket_serve\" and "
                           "\"gateway_websocket_guard\" cannot be together "
                           "in location \"%V\": there is no tunnel to guard",
                           &clcf->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_http_gateway_websocket_not_alone(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"gateway_websocket_serve\" cannot be together with "
                       "another directive that answers the requests of "
                       "location \"%V\"", &clcf->name);

    return NGX_CONF_ERROR;
}
