
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the block "gateway_aggregate": reads the parts, and makes of them the
 * answer's tree and the order in which parts may run.
 */


#include "ngx_http_gateway_aggregate.h"


static char *ngx_http_gateway_aggregate_line(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static ngx_int_t ngx_http_gateway_aggregate_set_name(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_finish(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a);
static ngx_int_t ngx_http_gateway_aggregate_add_nodes(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part);
static ngx_http_gateway_aggregate_node_t *ngx_http_gateway_aggregate_find_node(
    ngx_array_t *nodes, ngx_str_t *name);
static ngx_http_gateway_aggregate_node_t *ngx_http_gateway_aggregate_add_node(
    ngx_conf_t *cf, ngx_array_t *nodes, ngx_str_t *name);
static ngx_int_t ngx_http_gateway_aggregate_add_dependencies(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part);
static ngx_int_t ngx_http_gateway_aggregate_add_dependency(
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part,
    ngx_uint_t index);
static ngx_int_t ngx_http_gateway_aggregate_check_cycles(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a);


char *
ngx_http_gateway_aggregate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_gateway_aggregate_loc_conf_t *alcf = conf;

    char                                    *rv;
    ngx_conf_t                               save;
    ngx_http_core_loc_conf_t                *clcf;
    ngx_http_gateway_aggregate_t            *a;
    ngx_http_gateway_aggregate_main_conf_t  *amcf;

    if (alcf->aggregate) {
        return "is duplicate";
    }

    a = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_aggregate_t));
    if (a == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_array_init(&a->parts, cf->pool, 4,
                       sizeof(ngx_http_gateway_aggregate_part_t))
        != NGX_OK
        || ngx_array_init(&a->nodes, cf->pool, 4,
                          sizeof(ngx_http_gateway_aggregate_node_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    alcf->aggregate = a;

    save = *cf;
    cf->handler = ngx_http_gateway_aggregate_line;
    cf->handler_conf = (void *) a;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (a->parts.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"part\" in \"gateway_aggregate\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_aggregate_finish(cf, a) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_aggregate_module);
    amcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_gateway_aggregate_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    ngx_http_gateway_aggregate_t *a = conf;

    ngx_str_t                          *value;
    ngx_http_gateway_aggregate_part_t  *part;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "part") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown line \"%V\" in \"gateway_aggregate\", "
                           "allowed is \"part NAME URI [options]\"",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts < 3) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"part\", it must "
                           "be \"part NAME URI [options]\"");
        return NGX_CONF_ERROR;
    }

    if (a->parts.nelts == NGX_HTTP_GATEWAY_AGGREGATE_MAX_PARTS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many parts in \"gateway_aggregate\", there "
                           "may be %d", NGX_HTTP_GATEWAY_AGGREGATE_MAX_PARTS);
        return NGX_CONF_ERROR;
    }

    part = ngx_array_push(&a->parts);
    if (part == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(part, sizeof(ngx_http_gateway_aggregate_part_t));

    part->index = a->parts.nelts - 1;
    part->each = NGX_HTTP_GATEWAY_AGGREGATE_NO_PART;

    if (ngx_http_gateway_aggregate_set_name(cf, part, &value[1]) != NGX_OK
        || ngx_http_gateway_aggregate_compile_uri(cf, part, &value[2])
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_gateway_aggregate_set_options(cf, part);
}


static ngx_int_t
ngx_http_gateway_aggregate_set_name(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_str_t    path, *token;
    ngx_uint_t   i;

    part->name = *value;

    if (ngx_strcmp(value->data, ".") == 0) {
        part->merge = 1;
        ngx_str_set(&part->token, ".");

        return ngx_array_init(&part->path.tokens, cf->pool, 1,
                              sizeof(ngx_str_t));
    }

    /* it stands in header fields, and in "<...>" */

    for (i = 0; i < value->len; i++) {

        if (value->data[i] <= ' '
            || value->data[i] == 0x7f
            || ngx_strchr("\"\\,;<>", value->data[i]) != NULL)
        {
            goto invalid;
        }
    }

    if (!ngx_http_gateway_aggregate_is_utf8(value)) {
        goto invalid;
    }

    path.len = value->len + 1;
    path.data = ngx_pnalloc(cf->pool, path.len);
    if (path.data == NULL) {
        return NGX_ERROR;
    }

    path.data[0] = '/';
    ngx_memcpy(path.data + 1, value->data, value->len);

    rc = ngx_http_gateway_json_pointer(cf->pool, &part->path, &path);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED
        || part->path.tokens.nelts > NGX_HTTP_GATEWAY_AGGREGATE_MAX_NESTING)
    {
        goto invalid;
    }

    token = part->path.tokens.elts;

    for (i = 0; i < part->path.tokens.nelts; i++) {
        if (token[i].len == 0) {
            goto invalid;
        }
    }

    /* as the name of a metric it has to be a token */

    part->token.len = value->len;
    part->token.data = ngx_pstrdup(cf->pool, value);
    if (part->token.data == NULL) {
        return NGX_ERROR;
    }

    for (p = part->token.data; p < part->token.data + value->len; p++) {

        if (*p == '/') {
            *p = '.';

        } else if (*p >= 0x80 || ngx_strchr("(),:;=?@[]{}", *p) != NULL) {
            *p = '_';
        }
    }

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid name \"%V\" of a part, it must be \".\", or "
                       "the name of a member, as \"user\" or \"user/orders\", "
                       "without spaces, quotes, backslashes and any of "
                       "\",;<>\", in UTF-8", value);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_gateway_aggregate_finish(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a)
{
    ngx_uint_t                          i;
    ngx_http_gateway_aggregate_part_t  *part;

    part = a->parts.elts;

    for (i = 0; i < a->parts.nelts; i++) {

        if (part[i].request_body || part[i].body) {
            a->reads_body = 1;
        }

        if (ngx_http_gateway_aggregate_add_nodes(cf, a, &part[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < a->parts.nelts; i++) {

        if (ngx_http_gateway_aggregate_add_dependencies(cf, a, &part[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_aggregate_check_cycles(cf, a);
}


static ngx_int_t
ngx_http_gateway_aggregate_add_nodes(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part)
{
    ngx_str_t                          *token;
    ngx_uint_t                          i, n;
    ngx_array_t                        *nodes;
    ngx_http_gateway_aggregate_node_t  *node;

    if (part->merge) {
        a->merges++;

        node = ngx_http_gateway_aggregate_add_node(cf, &a->nodes, NULL);
        if (node == NULL) {
            return NGX_ERROR;
        }

        node->part = part;

        return NGX_OK;
    }

    token = part->path.tokens.elts;
    n = part->path.tokens.nelts;
    nodes = &a->nodes;

    for (i = 0; i < n; i++) {

        node = ngx_http_gateway_aggregate_find_node(nodes, &token[i]);

        if (node && (node->part || i == n - 1)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the name of part \"%V\" is used by another "
                               "part, or one of the two lies inside of the "
                               "other", &part->name);
            return NGX_ERROR;
        }

        if (node == NULL) {
            node = ngx_http_gateway_aggregate_add_node(cf, nodes, &token[i]);
            if (node == NULL) {
                return NGX_ERROR;
            }

            if (i == n - 1) {
                node->part = part;
            }
        }

        nodes = &node->nodes;
    }

    return NGX_OK;
}


static ngx_http_gateway_aggregate_node_t *
ngx_http_gateway_aggregate_find_node(ngx_array_t *nodes, ngx_str_t *name)
{
    ngx_uint_t                          i;
    ngx_http_gateway_aggregate_node_t  *node;

    node = nodes->elts;

    for (i = 0; i < nodes->nelts; i++) {

        if ((node[i].part == NULL || !node[i].part->merge)
            && node[i].name.len == name->len
            && ngx_memcmp(node[i].name.data, name->data, name->len) == 0)
        {
            return &node[i];
        }
    }

    return NULL;
}


/* without a name it is the node of a part that merges */

static ngx_http_gateway_aggregate_node_t *
ngx_http_gateway_aggregate_add_node(ngx_conf_t *cf, ngx_array_t *nodes,
    ngx_str_t *name)
{
    ngx_str_t                           escaped;
    ngx_http_gateway_aggregate_node_t  *node;

    node = ngx_array_push(nodes);
    if (node == NULL) {
        return NULL;
    }

    ngx_memzero(node, sizeof(ngx_http_gateway_aggregate_node_t));

    if (ngx_array_init(&node->nodes, cf->pool, 2,
                       sizeof(ngx_http_gateway_aggregate_node_t))
        != NGX_OK)
    {
        return NULL;
    }

    if (name == NULL) {
        return node;
    }

    node->name = *name;

    if (ngx_http_gateway_aggregate_escape(cf->pool, name, &escaped) != NGX_OK)
    {
        return NULL;
    }

    node->key.data = ngx_pnalloc(cf->pool, escaped.len + 3);
    if (node->key.data == NULL) {
        return NULL;
    }

    node->key.len = ngx_sprintf(node->key.data, "\"%V\":", &escaped)
                    - node->key.data;

    return node;
}


static ngx_int_t
ngx_http_gateway_aggregate_add_dependencies(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part)
{
    ngx_uint_t                           i;
    ngx_http_gateway_aggregate_piece_t  *piece;

    if (ngx_array_init(&part->depends, cf->pool, 2, sizeof(ngx_uint_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (part->each_text.len) {

        if (ngx_http_gateway_aggregate_resolve(cf, a, part, &part->each_text,
                                               &part->each,
                                               &part->each_pointer)
            != NGX_OK
            || ngx_http_gateway_aggregate_add_dependency(a, part, part->each)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    piece = part->uri.elts;

    for (i = 0; i < part->uri.nelts; i++) {

        if (piece[i].type != NGX_HTTP_GATEWAY_AGGREGATE_PART) {
            continue;
        }

        if (ngx_http_gateway_aggregate_resolve_piece(cf, a, part, &piece[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (piece[i].type == NGX_HTTP_GATEWAY_AGGREGATE_PART
            && ngx_http_gateway_aggregate_add_dependency(a, part,
                                                         piece[i].part)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_add_dependency(ngx_http_gateway_aggregate_t *a,
    ngx_http_gateway_aggregate_part_t *part, ngx_uint_t index)
{
    ngx_uint_t                          i, *depends;
    ngx_http_gateway_aggregate_part_t  *parts;

    parts = a->parts.elts;
    parts[index].referred = 1;
    parts[index].whole = 1;

    depends = part->depends.elts;

    for (i = 0; i < part->depends.nelts; i++) {
        if (depends[i] == index) {
            return NGX_OK;
        }
    }

    depends = ngx_array_push(&part->depends);
    if (depends == NULL) {
        return NGX_ERROR;
    }

    *depends = index;

    return NGX_OK;
}


/* takes away parts that need none of those left, until none can be taken */

static ngx_int_t
ngx_http_gateway_aggregate_check_cycles(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a)
{
    u_char                              ready[
                                         NGX_HTTP_GATEWAY_AGGREGATE_MAX_PARTS];
    ngx_uint_t                          i, n, left, before, *depends;
    ngx_http_gateway_aggregate_part_t  *part;

    ngx_memzero(ready, sizeof(ready));

    part = a->parts.elts;
    left = a->parts.nelts;

    do {
        before = left;

        for (i = 0; i < a->parts.nelts; i++) {

            if (ready[i]) {
                continue;
            }

            depends = part[i].depends.elts;

            for (n = 0; n < part[i].depends.nelts; n++) {
                if (!ready[depends[n]]) {
                    break;
                }
            }

            if (n == part[i].depends.nelts) {
                ready[i] = 1;
                left--;
            }
        }

    } while (left && left < before);

    for (i = 0; i < a->parts.nelts; i++) {

        if (!ready[i]) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "part \"%V\" waits for itself, directly or "
                               "through the parts that it needs",
                               &part[i].name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
