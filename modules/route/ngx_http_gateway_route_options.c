
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what follows the template in a line of "gateway_routes": its values,
 * with their shares of the requests, and its conditions.
 */


#include "ngx_http_gateway_route.h"


typedef char *(*ngx_http_gateway_route_option_pt)(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);


typedef struct {
    ngx_str_t                         name;
    ngx_http_gateway_route_option_pt  set;
} ngx_http_gateway_route_option_t;


static ngx_http_gateway_route_option_t *ngx_http_gateway_route_get_option(
    ngx_str_t *value);
static char *ngx_http_gateway_route_set_if(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_host(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_header(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_query(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_sticky(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static ngx_http_gateway_route_condition_t *ngx_http_gateway_route_condition(
    ngx_conf_t *cf, ngx_http_gateway_route_t *route, ngx_uint_t kind);
static ngx_int_t ngx_http_gateway_route_split_pair(ngx_str_t *value,
    ngx_http_gateway_route_condition_t *condition);
static char *ngx_http_gateway_route_set_conditions(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);
static ngx_int_t ngx_http_gateway_route_condition_text(ngx_conf_t *cf,
    ngx_http_gateway_route_condition_t *condition, ngx_str_t *text);
static int ngx_libc_cdecl ngx_http_gateway_route_compare_texts(const void *one,
    const void *two);

static char *ngx_http_gateway_route_set_side(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_share(ngx_conf_t *cf,
    ngx_http_gateway_route_side_t *side, ngx_str_t *weight);
static char *ngx_http_gateway_route_check_sides(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);
static char *ngx_http_gateway_route_check_only_side(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);
static ngx_http_complex_value_t *ngx_http_gateway_route_create_value(
    ngx_conf_t *cf, ngx_str_t *value);


static ngx_http_gateway_route_option_t  ngx_http_gateway_route_options[] = {
    { ngx_string("if="), ngx_http_gateway_route_set_if },
    { ngx_string("host="), ngx_http_gateway_route_set_host },
    { ngx_string("header="), ngx_http_gateway_route_set_header },
    { ngx_string("query="), ngx_http_gateway_route_set_query },
    { ngx_string("sticky="), ngx_http_gateway_route_set_sticky },
    { ngx_null_string, NULL }
};


/* what is no option is a value */

char *
ngx_http_gateway_route_parameters(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    char                             *rv;
    ngx_str_t                        *value, s;
    ngx_uint_t                        i;
    ngx_http_gateway_route_option_t  *option;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        option = ngx_http_gateway_route_get_option(&value[i]);

        if (option == NULL) {
            if (ngx_http_gateway_route_set_side(cf, route, &value[i])
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        s.len = value[i].len - option->name.len;
        s.data = value[i].data + option->name.len;

        rv = option->set(cf, route, &s);

        if (rv == NGX_CONF_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            return ngx_http_gateway_route_invalid(cf, "parameter", &value[i],
                                                  rv);
        }
    }

    if (ngx_http_gateway_route_check_sides(cf, route) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_gateway_route_set_conditions(cf, route);
}


static ngx_http_gateway_route_option_t *
ngx_http_gateway_route_get_option(ngx_str_t *value)
{
    ngx_http_gateway_route_option_t  *option;

    for (option = ngx_http_gateway_route_options; option->name.len; option++) {

        if (value->len >= option->name.len
            && ngx_strncmp(value->data, option->name.data, option->name.len)
               == 0)
        {
            return option;
        }
    }

    return NULL;
}


static char *
ngx_http_gateway_route_set_if(ngx_conf_t *cf, ngx_http_gateway_route_t *route,
    ngx_str_t *value)
{
    ngx_http_gateway_route_condition_t  *condition;

    if (ngx_http_script_variables_count(value) == 0) {
        return "it must have a variable";
    }

    condition = ngx_http_gateway_route_condition(cf, route,
                                                 NGX_HTTP_GATEWAY_ROUTE_IF);
    if (condition == NULL) {
        return NGX_CONF_ERROR;
    }

    condition->value = *value;

    condition->test = ngx_http_gateway_route_create_value(cf, value);

    return (condition->test == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_gateway_route_set_host(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    size_t  i;
    u_char  c;

    if (route->entry.host.len != 0) {
        return "a line may have one host";
    }

    i = (value->len > 2 && ngx_strncmp(value->data, "*.", 2) == 0) ? 2 : 0;

    if (i == value->len || value->data[i] == '.'
        || value->data[value->len - 1] == '.')
    {
        return "it must be a name, or \"*.\" and a name, without a port";
    }

    for ( /* void */ ; i < value->len; i++) {
        c = value->data[i];

        if ((c < '0' || c > '9')
            && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && c != '-' && c != '_' && c != '.' && c < 0x80)
        {
            return "it must be a name, or \"*.\" and a name, without a port";
        }
    }

    route->entry.host.data = ngx_pnalloc(cf->pool, value->len);
    if (route->entry.host.data == NULL) {
        return NGX_CONF_ERROR;
    }

    route->entry.host.len = value->len;
    ngx_strlow(route->entry.host.data, value->data, value->len);

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_route_set_header(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    ngx_http_gateway_route_condition_t  *condition;

    condition = ngx_http_gateway_route_condition(cf, route,
                                               NGX_HTTP_GATEWAY_ROUTE_HEADER);
    if (condition == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_route_split_pair(value, condition) != NGX_OK
        || !ngx_http_gateway_is_token(condition->name.data,
                                      condition->name.len))
    {
        return "it must be \"header=NAME:VALUE\" without variables";
    }

    ngx_strlow(condition->name.data, condition->name.data,
               condition->name.len);

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_route_set_query(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    ngx_http_gateway_route_condition_t  *condition;

    condition = ngx_http_gateway_route_condition(cf, route,
                                                NGX_HTTP_GATEWAY_ROUTE_QUERY);
    if (condition == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_route_split_pair(value, condition) != NGX_OK) {
        return "it must be \"query=NAME:VALUE\" without variables";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_route_set_sticky(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    if (route->sticky != NULL) {
        return "a line may have one key";
    }

    if (ngx_http_script_variables_count(value) == 0) {
        return "it must have a variable";
    }

    route->sticky = ngx_http_gateway_route_create_value(cf, value);

    return (route->sticky == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static ngx_http_gateway_route_condition_t *
ngx_http_gateway_route_condition(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_uint_t kind)
{
    ngx_http_gateway_route_condition_t  *condition;

    if (route->conditions == NULL) {
        route->conditions = ngx_array_create(cf->pool, 1,
                                   sizeof(ngx_http_gateway_route_condition_t));
        if (route->conditions == NULL) {
            return NULL;
        }
    }

    condition = ngx_array_push(route->conditions);
    if (condition == NULL) {
        return NULL;
    }

    ngx_memzero(condition, sizeof(ngx_http_gateway_route_condition_t));
    condition->kind = kind;

    return condition;
}


/* NAME:VALUE, neither of which is empty; "$" would look like a variable */

static ngx_int_t
ngx_http_gateway_route_split_pair(ngx_str_t *value,
    ngx_http_gateway_route_condition_t *condition)
{
    u_char  *colon, *last;

    last = value->data + value->len;
    colon = ngx_strlchr(value->data, last, ':');

    if (colon == NULL || colon == value->data || colon + 1 == last
        || ngx_http_script_variables_count(value) != 0)
    {
        return NGX_ERROR;
    }

    condition->name.len = colon - value->data;
    condition->name.data = value->data;
    condition->value.len = last - (colon + 1);
    condition->value.data = colon + 1;

    return NGX_OK;
}


/* by sorted texts the table sees which conditions lines have in common */

static char *
ngx_http_gateway_route_set_conditions(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    ngx_str_t                           *text;
    ngx_uint_t                           i, n;
    ngx_http_gateway_route_condition_t  *condition;

    if (route->conditions == NULL) {
        return NGX_CONF_OK;
    }

    condition = route->conditions->elts;
    n = route->conditions->nelts;

    text = ngx_palloc(cf->pool, n * sizeof(ngx_str_t));
    if (text == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_gateway_route_condition_text(cf, &condition[i], &text[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    ngx_qsort(text, n, sizeof(ngx_str_t),
              ngx_http_gateway_route_compare_texts);

    for (i = 1; i < n; i++) {
        if (ngx_http_gateway_route_compare_texts(&text[i - 1], &text[i])
            == 0)
        {
            return ngx_http_gateway_route_invalid(cf, "parameter", &text[i],
                                                  "it is given twice");
        }
    }

    route->entry.conditions = text;
    route->entry.nconditions = n;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_route_condition_text(ngx_conf_t *cf,
    ngx_http_gateway_route_condition_t *condition, ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t  *option;

    /* in the order of ..._condition_e */

    static ngx_str_t  options[] = {
        ngx_string("if="),
        ngx_string("header="),
        ngx_string("query=")
    };

    option = &options[condition->kind];

    text->len = option->len + condition->name.len + 1 + condition->value.len;

    text->data = ngx_pnalloc(cf->pool, text->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text->data, "%V%V", option, &condition->name);

    if (condition->name.len) {
        *p++ = ':';
    }

    text->len = ngx_sprintf(p, "%V", &condition->value) - text->data;

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_gateway_route_compare_texts(const void *one, const void *two)
{
    const ngx_str_t  *first, *second;

    first = one;
    second = two;

    return (int) ngx_memn2cmp(first->data, second->data, first->len,
                              second->len);
}


/* VALUE=WEIGHT, or just VALUE when the line has no other */

static char *
ngx_http_gateway_route_set_side(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    u_char                         *p;
    ngx_str_t                       name, weight;
    ngx_uint_t                      i;
    ngx_http_gateway_route_side_t  *side;

    if (route->nsides == NGX_HTTP_GATEWAY_ROUTE_MAX_SIDES) {
        return ngx_http_gateway_route_invalid(cf, "value", value,
                                              "a line may have 32");
    }

    side = &route->sides[route->nsides++];

    name = *value;
    ngx_str_null(&weight);

    for (p = value->data + value->len; p > value->data; p--) {

        if (p[-1] == '=') {
            name.len = p - 1 - value->data;
            weight.len = value->len - name.len - 1;
            weight.data = p;
            break;
        }
    }

    if (ngx_http_gateway_route_set_share(cf, side, &weight)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (side->weight == NGX_CONF_UNSET_UINT) {
        name = *value;
    }

    if (name.len == 0) {
        return ngx_http_gateway_route_invalid(cf, "value", value,
                                              "it must not be empty");
    }

    side->id = ngx_http_gateway_route_hash(name.data, name.len);

    for (i = 0; i < route->nsides - 1; i++) {
        if (route->sides[i].id == side->id) {
            return ngx_http_gateway_route_invalid(cf, "value", value,
                                                  "it is given twice");
        }
    }

    if (ngx_http_gateway_compile_value(cf, &name, &side->value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* what is no weight is part of a value that stands alone, as in "/?a=b" */

static char *
ngx_http_gateway_route_set_share(ngx_conf_t *cf,
    ngx_http_gateway_route_side_t *side, ngx_str_t *weight)
{
    ngx_int_t  n;

    side->weight = NGX_CONF_UNSET_UINT;

    if (weight->len == 0) {
        return NGX_CONF_OK;
    }

    if (weight->len == 1 && weight->data[0] == '*') {
        side->rest = 1;
        side->weight = 0;
        return NGX_CONF_OK;
    }

    if (ngx_http_script_variables_count(weight) != 0) {
        side->weight = 0;
        side->weight_value = ngx_http_gateway_route_create_value(cf, weight);

        return (side->weight_value == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
    }

    n = ngx_atoi(weight->data, weight->len);

    if (n != NGX_ERROR && n <= NGX_HTTP_GATEWAY_ROUTE_MAX_WEIGHT) {
        side->weight = n;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_route_check_sides(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    ngx_uint_t                      i, rests, weights;
    ngx_http_gateway_route_side_t  *side;

    side = route->sides;

    if (route->nsides == 0) {
        return ngx_http_gateway_route_invalid(cf, "line",
                                              &route->entry.template.text,
                                              "it must have a value");
    }

    if (route->nsides == 1) {
        return ngx_http_gateway_route_check_only_side(cf, route);
    }

    weights = 0;
    rests = 0;

    /* a parameter that is misspelt rather follows a value */

    for (i = route->nsides; i-- > 0; /* void */ ) {

        if (side[i].weight == NGX_CONF_UNSET_UINT) {
            return ngx_http_gateway_route_invalid(cf, "value",
                         &side[i].value.value,
                         "several values must be \"VALUE=WEIGHT\" each, with "
                         "a number from 0 to 1000000, a variable, or \"*\" "
                         "for the rest of 100; what is no value begins with "
                         "\"if=\", \"host=\", \"header=\", \"query=\" or "
                         "\"sticky=\"");
        }

        weights |= side[i].weight || side[i].weight_value != NULL;
        rests += side[i].rest;
    }

    if (rests > 1) {
        return ngx_http_gateway_route_invalid(cf, "line",
                                         &route->entry.template.text,
                                         "one value may have the rest of 100");
    }

    if (!weights && !rests) {
        return ngx_http_gateway_route_invalid(cf, "line",
                                         &route->entry.template.text,
                                         "a weight must be greater than 0");
    }

    return NGX_CONF_OK;
}


/* a variable after "=" is then part of the value, as in "/?a=$b" */

static char *
ngx_http_gateway_route_check_only_side(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    ngx_str_t                       value;
    ngx_http_gateway_route_side_t  *side;

    if (route->sticky != NULL) {
        return ngx_http_gateway_route_invalid(cf, "line",
                                            &route->entry.template.text,
                                            "\"sticky\" is for several values");
    }

    side = route->sides;

    if (side->weight_value == NULL) {
        return NGX_CONF_OK;
    }

    value.data = side->value.value.data;
    value.len = side->weight_value->value.data + side->weight_value->value.len
                - value.data;

    return ngx_http_gateway_compile_value(cf, &value, &side->value)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* Returns NULL, with the reason logged, when it can not be compiled. */

static ngx_http_complex_value_t *
ngx_http_gateway_route_create_value(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_http_complex_value_t  *cv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    if (ngx_http_gateway_compile_value(cf, value, cv) != NGX_OK) {
        return NULL;
    }

    return cv;
}
