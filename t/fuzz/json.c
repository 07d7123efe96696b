
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The index of a JSON text against jansson's tree of the same text.
 */


#include "fuzz.h"


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    size_t                        extra;
    json_t                       *root;
    ngx_int_t                     rc;
    ngx_uint_t                    nnodes;
    ngx_http_gateway_jwt_json_t   json;

    root = fuzz_load(input);

    rc = ngx_http_gateway_jwt_json_measure(input, &nnodes, &extra);

    fuzz_check(rc == (json_is_object(root) ? NGX_OK : NGX_DECLINED));

    if (rc == NGX_DECLINED) {
        json_decref(root);
        return "refused";
    }

    json.len = input->len;
    json.text = ngx_pnalloc(pool, input->len + extra);
    json.nodes = ngx_pnalloc(pool,
                             nnodes * sizeof(ngx_http_gateway_jwt_node_t));

    ngx_memcpy(json.text, input->data, input->len);

    fuzz_check(ngx_http_gateway_jwt_json_index(&json, nnodes, extra)
               == NGX_OK);
    fuzz_check(fuzz_equal(input, json.text, json.len));
    fuzz_check(json.nnodes == nnodes);

    fuzz_check_index(pool, &json, input->len + extra);
    fuzz_check_value(&json, json.nodes, root);

    json_decref(root);

    return "object";
}
