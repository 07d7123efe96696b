
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a POINTER, a line feed, a JSON object.  What the pointer finds is
 * compared with what it finds in jansson's tree, in another way.
 */


#include "fuzz.h"


static ngx_uint_t fuzz_pointer_invalid(ngx_str_t *text);
static json_t *fuzz_pointer_find(json_t *value, ngx_pool_t *pool,
    ngx_str_t *text);
static json_t *fuzz_pointer_step(json_t *value, ngx_str_t *name);
static void fuzz_pointer_unescape(ngx_str_t *name, u_char c, u_char to);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    size_t                           extra;
    json_t                          *root, *value;
    ngx_int_t                        rc;
    ngx_str_t                        text, doc;
    ngx_uint_t                       nnodes;
    ngx_http_gateway_jwt_json_t      json;
    ngx_http_gateway_jwt_node_t     *node;
    ngx_http_gateway_jwt_pointer_t   pointer;

    fuzz_split(pool, input, &text, &doc);

    rc = ngx_http_gateway_jwt_pointer_compile(pool, &text, &pointer);

    if (fuzz_pointer_invalid(&text)) {
        fuzz_check(rc == NGX_DECLINED);
        return "invalid";
    }

    fuzz_check(rc == NGX_OK);
    fuzz_check(fuzz_equal(&pointer.text, text.data, text.len));

    if (ngx_http_gateway_jwt_json_measure(&doc, &nnodes, &extra) != NGX_OK) {
        return "refused";
    }

    json.len = doc.len;
    json.text = ngx_pnalloc(pool, doc.len + extra);
    json.nodes = ngx_pnalloc(pool,
                             nnodes * sizeof(ngx_http_gateway_jwt_node_t));

    ngx_memcpy(json.text, doc.data, doc.len);

    fuzz_check(ngx_http_gateway_jwt_json_index(&json, nnodes, extra)
               == NGX_OK);

    node = ngx_http_gateway_jwt_json_find(&json, &pointer);

    root = fuzz_load(&doc);
    value = fuzz_pointer_find(root, pool, &text);

    fuzz_check((node == NULL) == (value == NULL));

    if (node != NULL) {
        fuzz_check_value(&json, node, value);
    }

    json_decref(root);

    return node ? "found" : "absent";
}


static ngx_uint_t
fuzz_pointer_invalid(ngx_str_t *text)
{
    size_t  i;

    if (text->len == 0) {
        return 1;
    }

    for (i = 0; text->data[0] == '/' && i < text->len; i++) {

        if (text->data[i] == '~'
            && (i + 1 == text->len
                || (text->data[i + 1] != '0' && text->data[i + 1] != '1')))
        {
            return 1;
        }
    }

    return 0;
}


static json_t *
fuzz_pointer_find(json_t *value, ngx_pool_t *pool, ngx_str_t *text)
{
    u_char     *p, *end, *last;
    ngx_str_t   name;

    if (text->data[0] != '/') {
        return fuzz_pointer_step(value, text);
    }

    last = text->data + text->len;

    for (p = text->data; p < last && value != NULL; p = end) {

        p++;

        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        fuzz_copy(pool, &name, p, end - p);

        fuzz_pointer_unescape(&name, '1', '/');
        fuzz_pointer_unescape(&name, '0', '~');

        value = fuzz_pointer_step(value, &name);
    }

    return value;
}


static json_t *
fuzz_pointer_step(json_t *value, ngx_str_t *name)
{
    char    index[24];
    size_t  i;

    if (!json_is_array(value)) {
        return json_object_getn(value, (char *) name->data, name->len);
    }

    for (i = 0; i < json_array_size(value); i++) {

        snprintf(index, sizeof(index), "%zu", i);

        if (fuzz_equal(name, index, strlen(index))) {
            return json_array_get(value, i);
        }
    }

    return NULL;
}


/* RFC 6901, section 4: first all "~1", then all "~0" */

static void
fuzz_pointer_unescape(ngx_str_t *name, u_char c, u_char to)
{
    size_t  i, len;

    for (i = 0, len = 0; i < name->len; i++) {

        name->data[len] = name->data[i];

        if (name->data[i] == '~' && i + 1 < name->len
            && name->data[i + 1] == c)
        {
            name->data[len] = to;
            i++;
        }

        len++;
    }

    name->len = len;
}
