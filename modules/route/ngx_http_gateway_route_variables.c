
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the variables: of the blocks, of captures, and those that logs want.
 * All but the blocks' own tell of the block that is current, which may become
 * another one, and are therefore not cached by nginx; how long they hold is
 * up to what was found.
 */


#include "ngx_http_gateway_route.h"


static ngx_int_t ngx_http_gateway_route_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_route(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_split(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_state(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_path(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_gateway_route_variable_escaped(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_gateway_route_add_state(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_route_captured(ngx_http_request_t *r,
    ngx_uint_t name, ngx_str_t *value);
static u_char *ngx_http_gateway_route_escape(u_char *dst, ngx_str_t *value);
static ngx_http_variable_t *ngx_http_gateway_route_add_own(ngx_conf_t *cf,
    ngx_str_t *name, ngx_uint_t flags);
static ngx_int_t ngx_http_gateway_route_add_path(ngx_conf_t *cf,
    ngx_str_t *prefix, ngx_str_t *name, ngx_http_get_variable_pt get,
    ngx_uint_t index);


static ngx_http_variable_t  ngx_http_gateway_route_vars[] = {

    { ngx_string("gateway_route"), NULL,
      ngx_http_gateway_route_variable_route, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_route_value"), NULL,
      ngx_http_gateway_route_variable_value, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("gateway_route_split"), NULL,
      ngx_http_gateway_route_variable_split, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* has what was found; with a space in its name, nobody else can read it */

static ngx_str_t  ngx_http_gateway_route_state =
    ngx_string("gateway route");

static ngx_str_t  ngx_http_gateway_route_path_prefix =
    ngx_string("gateway_path_");

static ngx_str_t  ngx_http_gateway_route_escaped_prefix =
    ngx_string("gateway_path_escaped_");


ngx_int_t
ngx_http_gateway_route_add_variables(ngx_conf_t *cf)
{
    return ngx_http_gateway_add_variables(cf, ngx_http_gateway_route_vars);
}


ngx_int_t
ngx_http_gateway_route_add_block(ngx_conf_t *cf,
    ngx_http_gateway_route_block_t *block)
{
    ngx_http_variable_t  *var;

    if (ngx_http_gateway_route_add_state(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    var = ngx_http_add_variable(cf, &block->name, NGX_HTTP_VAR_CHANGEABLE);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_gateway_route_variable;
    var->data = (uintptr_t) block;

    return NGX_OK;
}


ngx_uint_t
ngx_http_gateway_route_is_taken(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_variable_t        *var;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {

        if (key[i].key.len != name->len
            || ngx_strncasecmp(key[i].key.data, name->data, name->len) != 0)
        {
            continue;
        }

        var = key[i].value;

        /* what can not be changed nginx refuses itself */

        return (var->flags & NGX_HTTP_VAR_CHANGEABLE)
               && !(var->flags & NGX_HTTP_VAR_WEAK)
               && var->get_handler != NULL
               && var->get_handler != ngx_http_gateway_route_variable;
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_route_add_state(ngx_conf_t *cf)
{
    ngx_http_variable_t                 *var;
    ngx_http_gateway_route_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_route_module);

    if (rmcf->blocks.nelts != 0) {
        return NGX_OK;
    }

    var = ngx_http_gateway_route_add_own(cf, &ngx_http_gateway_route_state,
                                         NGX_HTTP_VAR_NOHASH);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_gateway_route_variable_state;

    rmcf->index = ngx_http_get_variable_index(cf,
                                              &ngx_http_gateway_route_state);

    return (rmcf->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_gateway_route_add_capture(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t *index)
{
    ngx_str_t                           *known;
    ngx_uint_t                           i;
    ngx_http_gateway_route_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_route_module);

    known = rmcf->names.elts;

    for (i = 0; i < rmcf->names.nelts; i++) {
        if (known[i].len == name->len
            && ngx_strncasecmp(known[i].data, name->data, name->len) == 0)
        {
            *index = i;
            return NGX_OK;
        }
    }

    known = ngx_array_push(&rmcf->names);
    if (known == NULL) {
        return NGX_ERROR;
    }

    *known = *name;
    *index = i;

    if (ngx_http_gateway_route_add_path(cf,
                                        &ngx_http_gateway_route_path_prefix,
                                        name,
                                        ngx_http_gateway_route_variable_path,
                                        i)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_route_add_path(cf,
                                       &ngx_http_gateway_route_escaped_prefix,
                                       name,
                                       ngx_http_gateway_route_variable_escaped,
                                       i);
}


/* A variable that nobody else may define: what is there already may change. */

static ngx_http_variable_t *
ngx_http_gateway_route_add_own(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t flags)
{
    ngx_http_variable_t  *var;

    var = ngx_http_add_variable(cf, name, flags);

    if (var == NULL || !(var->flags & NGX_HTTP_VAR_CHANGEABLE)) {
        return var;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid variable \"$%V\" in \"gateway_routes\", "
                       "another directive defines it, too", name);

    return NULL;
}


static ngx_int_t
ngx_http_gateway_route_add_path(ngx_conf_t *cf, ngx_str_t *prefix,
    ngx_str_t *name, ngx_http_get_variable_pt get, ngx_uint_t index)
{
    ngx_str_t             full;
    ngx_http_variable_t  *var;

    full.len = prefix->len + name->len;

    full.data = ngx_pnalloc(cf->pool, full.len);
    if (full.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(full.data, prefix->data, prefix->len);
    ngx_memcpy(full.data + prefix->len, name->data, name->len);

    /* their long names would not fit into the buckets of nginx's hash */

    var = ngx_http_gateway_route_add_own(cf, &full,
                                NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_NOHASH);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = get;
    var->data = index;

    return NGX_OK;
}


/* reading it is what chooses the value */

static ngx_int_t
ngx_http_gateway_route_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_route_block_t *block =
                                     (ngx_http_gateway_route_block_t *) data;

    ngx_http_gateway_route_found_t  *found;

    found = ngx_http_gateway_route_find(r, block);
    if (found == NULL) {
        return NGX_ERROR;
    }

    if (found->route == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_gateway_route_choose(r, found) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_set_variable(v, &found->value);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_variable_route(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_route_found_t  *found;

    if (ngx_http_gateway_route_current(r, &found) != NGX_OK) {
        return NGX_ERROR;
    }

    if (found == NULL || found->route == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v, &found->route->entry.template.text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_variable_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_route_found_t  *found;

    if (ngx_http_gateway_route_current(r, &found) != NGX_OK) {
        return NGX_ERROR;
    }

    if (found == NULL || !ngx_http_gateway_route_is_chosen(r, found)) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v, &found->value);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_variable_split(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_gateway_route_found_t  *found;

    static ngx_str_t  sticky = ngx_string("sticky");
    static ngx_str_t  random = ngx_string("random");

    if (ngx_http_gateway_route_current(r, &found) != NGX_OK) {
        return NGX_ERROR;
    }

    if (found == NULL
        || !ngx_http_gateway_route_is_chosen(r, found)
        || !found->split)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_gateway_set_variable(v, found->sticky ? &sticky : &random);

    return NGX_OK;
}


/* never called: its value is read and written in the request's array */

static ngx_int_t
ngx_http_gateway_route_variable_state(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;
    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_variable_path(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = ngx_http_gateway_route_captured(r, data, &value);

    if (rc == NGX_OK) {
        ngx_http_gateway_set_variable(v, &value);

    } else if (rc == NGX_DECLINED) {
        v->not_found = 1;
        rc = NGX_OK;
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_route_variable_escaped(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    size_t     n;
    ngx_int_t  rc;
    ngx_str_t  value, escaped;

    rc = ngx_http_gateway_route_captured(r, data, &value);

    if (rc == NGX_DECLINED) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    n = ngx_escape_uri(NULL, value.data, value.len, NGX_ESCAPE_URI_COMPONENT);

    if (n == 0) {
        ngx_http_gateway_set_variable(v, &value);
        return NGX_OK;
    }

    escaped.data = ngx_pnalloc(r->pool, value.len + 2 * n);
    if (escaped.data == NULL) {
        return NGX_ERROR;
    }

    escaped.len = ngx_http_gateway_route_escape(escaped.data, &value)
                  - escaped.data;

    ngx_http_gateway_set_variable(v, &escaped);

    return NGX_OK;
}


/*
 * Percent-encodes all but unreserved characters (RFC 3986, section 2.3) and
 * slashes, which only the capture of several segments has: there they are what
 * they were in the path.
 */

static u_char *
ngx_http_gateway_route_escape(u_char *dst, ngx_str_t *value)
{
    u_char  *p, *last, *slash;

    last = value->data + value->len;

    for (p = value->data; p < last; p = slash + 1) {

        slash = ngx_strlchr(p, last, '/');
        if (slash == NULL) {
            slash = last;
        }

        dst = (u_char *) ngx_escape_uri(dst, p, slash - p,
                                        NGX_ESCAPE_URI_COMPONENT);

        if (slash < last) {
            *dst++ = '/';
        }
    }

    return dst;
}


/* Returns NGX_OK, NGX_DECLINED when there is none, or NGX_ERROR. */

static ngx_int_t
ngx_http_gateway_route_captured(ngx_http_request_t *r, ngx_uint_t name,
    ngx_str_t *value)
{
    ngx_uint_t                       i;
    ngx_http_gateway_route_t        *route;
    ngx_http_gateway_route_found_t  *found;

    if (ngx_http_gateway_route_current(r, &found) != NGX_OK) {
        return NGX_ERROR;
    }

    if (found == NULL || found->route == NULL) {
        return NGX_DECLINED;
    }

    route = found->route;

    for (i = 0; i < route->entry.template.ncaptures; i++) {
        if (route->names[i] == name) {
            *value = found->captures[i];
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
