
/*
 * Copyright (C) ngx_gateway authors
 */


#include "content.h"

#include "ngx_http_gateway_json_scan.h"
#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"


static ngx_uint_t content_depth(json_t *value);
static ngx_uint_t content_base64(ngx_pool_t *pool, const char *text,
    size_t len, ngx_str_t *data);
static ngx_uint_t content_is_utf8(ngx_str_t *text);


json_t *
content_tree(ngx_str_t *text, ngx_uint_t *valid)
{
    json_t                        *tree;
    ngx_http_gateway_json_scan_t   s;

    ngx_http_gateway_json_scan_init(&s, NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);

    *valid = 0;

    if (ngx_http_gateway_json_scan(&s, text->data, text->len) != NGX_OK
        || ngx_http_gateway_json_scan_end(&s) != NGX_OK)
    {
        return NULL;
    }

    tree = json_loadb((char *) text->data, text->len,
                      JSON_DECODE_ANY|JSON_ALLOW_NUL, NULL);

    *valid = tree == NULL
             || content_depth(tree) <= NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DEPTH;

    return tree;
}


static ngx_uint_t
content_depth(json_t *value)
{
    void        *at;
    size_t       i;
    ngx_uint_t   depth, inner;

    depth = 0;

    for (at = json_object_iter(value);
         at != NULL;
         at = json_object_iter_next(value, at))
    {
        inner = content_depth(json_object_iter_value(at));
        depth = ngx_max(depth, inner);
    }

    for (i = 0; i < json_array_size(value); i++) {
        inner = content_depth(json_array_get(value, i));
        depth = ngx_max(depth, inner);
    }

    return depth + (json_is_object(value) || json_is_array(value));
}


json_t *
content_member(json_t *object, const char *name)
{
    json_t  *value;

    value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}


ngx_int_t
content_word(json_t *value, const char **words)
{
    ngx_int_t  i;

    for (i = 0; words[i] != NULL; i++) {

        if (json_is_string(value)
            && json_string_length(value) == strlen(words[i])
            && strcmp(json_string_value(value), words[i]) == 0)
        {
            return i;
        }
    }

    return -1;
}


ngx_uint_t
content_opcode(json_t *value)
{
    ngx_int_t  i;

    static const char  *words[] = { "text", "binary", "ping", "pong", NULL };
    static ngx_uint_t   opcodes[] = { 1, 2, 9, 10 };

    i = content_word(value, words);

    return i == -1 ? 0 : opcodes[i];
}


ngx_uint_t
content_is_empty(json_t *value)
{
    return value == NULL
           || (json_is_array(value) && json_array_size(value) == 0)
           || (json_is_object(value) && json_object_size(value) == 0);
}


ngx_uint_t
content_data(ngx_pool_t *pool, json_t *object, ngx_uint_t opcode,
    ngx_str_t *data)
{
    json_t  *bin, *value;

    bin = content_member(object, "content-bin");
    value = bin ? bin : content_member(object, "content");

    ngx_str_null(data);

    if (value == NULL) {
        return 1;
    }

    if (!json_is_string(value)) {
        return 0;
    }

    if (bin == NULL) {
        fuzz_copy(pool, data, json_string_value(value),
                  json_string_length(value));

    } else if (!content_base64(pool, json_string_value(value),
                               json_string_length(value), data))
    {
        return 0;
    }

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT) {
        return content_is_utf8(data);
    }

    return opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY || data->len <= 125;
}


/* bit by bit */

static ngx_uint_t
content_base64(ngx_pool_t *pool, const char *text, size_t len, ngx_str_t *data)
{
    int          bit;
    char        *at;
    size_t       i, digits, bits, padding;

    static const char  *alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    data->data = ngx_pcalloc(pool, len + 1);
    digits = 0;
    bits = 0;
    padding = 0;

    for (i = 0; i < len; i++) {

        if (text[i] != '\0' && strchr(" \t\r\n", text[i])) {
            continue;
        }

        if (text[i] == '=') {
            padding++;
            continue;
        }

        at = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);

        if (at == NULL || padding) {
            return 0;
        }

        digits++;

        for (bit = 5; bit >= 0; bit--, bits++) {
            data->data[bits / 8] |= ((at - alphabet) >> bit & 1)
                                    << (7 - bits % 8);
        }
    }

    data->len = bits / 8;

    return digits % 4 != 1
           && (padding == 0 || (padding < 3 && (digits + padding) % 4 == 0));
}


static ngx_uint_t
content_is_utf8(ngx_str_t *text)
{
    json_t      *string;
    ngx_uint_t   good;

    string = json_stringn((char *) text->data, text->len);
    good = (string != NULL);

    json_decref(string);

    return good;
}
