
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the lookups in an index of JSON: by a member's name and by a JSON
 * pointer, RFC 6901.  Needs nginx's core, not its HTTP.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_jwt_json.h"


static ngx_http_gateway_jwt_node_t *ngx_http_gateway_jwt_json_element(
    ngx_http_gateway_jwt_json_t *json, ngx_http_gateway_jwt_node_t *array,
    ngx_str_t *index);


ngx_int_t
ngx_http_gateway_jwt_pointer_compile(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_jwt_pointer_t *pointer)
{
    u_char     *p, *last, *dst;
    ngx_str_t  *name;

    if (text->len == 0) {
        return NGX_DECLINED;
    }

    pointer->text = *text;

    if (ngx_array_init(&pointer->names, pool, 2, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (text->data[0] != '/') {
        name = ngx_array_push(&pointer->names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = *text;

        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, text->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    name = NULL;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p == '/') {
            name = ngx_array_push(&pointer->names);
            if (name == NULL) {
                return NGX_ERROR;
            }

            name->data = dst;
            name->len = 0;
            continue;
        }

        if (*p == '~') {

            if (++p == last || (*p != '0' && *p != '1')) {
                return NGX_DECLINED;
            }

            *dst++ = (*p == '0') ? '~' : '/';

        } else {
            *dst++ = *p;
        }

        name->len++;
    }

    return NGX_OK;
}


ngx_http_gateway_jwt_node_t *
ngx_http_gateway_jwt_json_member(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *object, ngx_str_t *name)
{
    ngx_http_gateway_jwt_node_t  *node, *end;

    if (object->type != NGX_HTTP_GATEWAY_JWT_OBJECT) {
        return NULL;
    }

    end = ngx_http_gateway_jwt_json_end(json, object);

    for (node = ngx_http_gateway_jwt_json_first(object);
         node < end;
         node = ngx_http_gateway_jwt_json_next(json, node))
    {
        if (node->name_len == name->len
            && ngx_memcmp(json->text + node->name, name->data, name->len) == 0)
        {
            return node;
        }
    }

    return NULL;
}


ngx_http_gateway_jwt_node_t *
ngx_http_gateway_jwt_json_find(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_pointer_t *pointer)
{
    ngx_str_t                    *name;
    ngx_uint_t                    i;
    ngx_http_gateway_jwt_node_t  *node;

    node = json->nodes;
    name = pointer->names.elts;

    for (i = 0; i < pointer->names.nelts && node != NULL; i++) {

        if (node->type == NGX_HTTP_GATEWAY_JWT_ARRAY) {
            node = ngx_http_gateway_jwt_json_element(json, node, &name[i]);

        } else {
            node = ngx_http_gateway_jwt_json_member(json, node, &name[i]);
        }
    }

    return node;
}


static ngx_http_gateway_jwt_node_t *
ngx_http_gateway_jwt_json_element(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *array, ngx_str_t *index)
{
    ngx_int_t                     n;
    ngx_http_gateway_jwt_node_t  *node, *end;

    /* RFC 6901, section 4: no leading zeros */

    if (index->len > 1 && index->data[0] == '0') {
        return NULL;
    }

    n = ngx_atoi(index->data, index->len);
    if (n == NGX_ERROR) {
        return NULL;
    }

    end = ngx_http_gateway_jwt_json_end(json, array);

    for (node = ngx_http_gateway_jwt_json_first(array);
         node < end;
         node = ngx_http_gateway_jwt_json_next(json, node))
    {
        if (n-- == 0) {
            return node;
        }
    }

    return NULL;
}
