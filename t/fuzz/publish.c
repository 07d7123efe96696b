
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a body of GRIP's publish API.
 *
 * Its items are those that a second reading finds in jansson's tree, where
 * jansson makes one, and it is malformed where that one stops.
 */


#include "content.h"

#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"


#define FUZZ_MALFORMED  0
#define FUZZ_OTHER      1
#define FUZZ_ITEM       2


typedef ngx_http_gateway_websocket_item_t   fuzz_item_t;
typedef ngx_http_gateway_websocket_items_t  fuzz_items_t;


static const char *fuzz_items(ngx_pool_t *pool, fuzz_items_t *items,
    json_t *list);
static ngx_uint_t fuzz_item(ngx_pool_t *pool, json_t *tree, fuzz_item_t *item);
static ngx_uint_t fuzz_send(ngx_pool_t *pool, json_t *format,
    fuzz_item_t *item);
static ngx_uint_t fuzz_close(ngx_pool_t *pool, json_t *format,
    fuzz_item_t *item);
static void fuzz_text(ngx_pool_t *pool, json_t *value, ngx_str_t *text);
static void fuzz_same(fuzz_item_t *item, fuzz_item_t *expected);
static void fuzz_inside(fuzz_item_t *item);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    json_t        *tree, *list;
    ngx_int_t      rc;
    ngx_uint_t     valid;
    const char    *outcome;
    fuzz_items_t   items;

    rc = ngx_http_gateway_websocket_items_init(&items, pool, input);

    fuzz_check(rc == NGX_OK || (rc == NGX_DECLINED && items.error != NULL));

    tree = content_tree(input, &valid);

    if (tree == NULL && valid) {
        return rc == NGX_OK ? fuzz_items(pool, &items, NULL) : "refused";
    }

    list = valid ? content_member(tree, "items") : NULL;

    fuzz_check(rc == (json_is_array(list) ? NGX_OK : NGX_DECLINED));

    outcome = (rc == NGX_OK) ? fuzz_items(pool, &items, list) : "refused";

    json_decref(tree);

    return outcome;
}


/* the list is NULL when nobody knows what has to come */

static const char *
fuzz_items(ngx_pool_t *pool, fuzz_items_t *items, json_t *list)
{
    size_t        i;
    ngx_int_t     rc;
    ngx_uint_t    n, what;
    fuzz_item_t   item, expected;

    i = 0;
    n = 0;

    for ( ;; ) {
        rc = ngx_http_gateway_websocket_items_next(items, &item);

        fuzz_check(rc == NGX_OK || rc == NGX_DONE || rc == NGX_DECLINED);
        fuzz_check(rc != NGX_DECLINED || items->error != NULL);

        if (rc == NGX_OK) {
            fuzz_inside(&item);
            n++;
        }

        if (list != NULL) {
            what = FUZZ_OTHER;

            while (what == FUZZ_OTHER && i < json_array_size(list)) {
                what = fuzz_item(pool, json_array_get(list, i++), &expected);
            }

            fuzz_check(rc == (what == FUZZ_ITEM ? NGX_OK
                              : what == FUZZ_OTHER ? NGX_DONE : NGX_DECLINED));
            fuzz_check(items->n == i);

            if (what == FUZZ_ITEM) {
                fuzz_same(&item, &expected);
            }
        }

        if (rc != NGX_OK) {
            break;
        }
    }

    return rc == NGX_DECLINED ? "malformed" : n ? "items" : "nothing";
}


static ngx_uint_t
fuzz_item(ngx_pool_t *pool, json_t *tree, fuzz_item_t *item)
{
    json_t  *id, *formats, *format;

    static const char  *actions[] = { "send", "close", "hint", "refresh",
                                      NULL };

    ngx_memzero(item, sizeof(fuzz_item_t));

    id = content_member(tree, "id");
    formats = content_member(tree, "formats");

    if (!json_is_string(content_member(tree, "channel"))
        || (id && !json_is_string(id))
        || (formats && content_is_empty(formats))
        || (formats && !json_is_object(formats)))
    {
        return FUZZ_MALFORMED;
    }

    fuzz_text(pool, content_member(tree, "channel"), &item->channel);
    fuzz_text(pool, id, &item->id);

    format = content_member(formats ? formats : tree, "ws-message");

    if (format == NULL) {
        return formats || content_member(tree, "http-response")
               || content_member(tree, "http-stream")
               ? FUZZ_OTHER : FUZZ_MALFORMED;
    }

    if (!json_is_object(format)) {
        return FUZZ_MALFORMED;
    }

    if (content_member(format, "action") == NULL) {
        return fuzz_send(pool, format, item);
    }

    switch (content_word(content_member(format, "action"), actions)) {

    case -1:
        return FUZZ_MALFORMED;

    case 0:
        return fuzz_send(pool, format, item);

    case 1:
        return fuzz_close(pool, format, item);

    default:
        return FUZZ_OTHER;
    }
}


static ngx_uint_t
fuzz_send(ngx_pool_t *pool, json_t *format, fuzz_item_t *item)
{
    json_t  *type;

    type = content_member(format, "type");

    item->opcode = type ? content_opcode(type)
                   : content_member(format, "content-bin") ? 2 : 1;

    if (item->opcode == 0
        || !content_is_empty(content_member(format, "content-filters"))
        || !content_data(pool, format, item->opcode, &item->data))
    {
        return FUZZ_MALFORMED;
    }

    return item->data.data || item->opcode > 8 ? FUZZ_ITEM : FUZZ_MALFORMED;
}


static ngx_uint_t
fuzz_close(ngx_pool_t *pool, json_t *format, fuzz_item_t *item)
{
    json_t        *code, *reason;
    json_int_t     n;

    code = content_member(format, "code");
    reason = content_member(format, "reason");

    n = code ? json_integer_value(code) : 1000;

    if (n < 1000 || n > 4999 || (n > 1014 && n < 3000)
        || (n > 1003 && n < 1007)
        || (reason && !json_is_string(reason))
        || json_string_length(reason) > 123)
    {
        return FUZZ_MALFORMED;
    }

    item->opcode = NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE;
    item->code = n;

    fuzz_text(pool, reason, &item->reason);

    return FUZZ_ITEM;
}


static void
fuzz_text(ngx_pool_t *pool, json_t *value, ngx_str_t *text)
{
    if (value == NULL) {
        ngx_str_null(text);
        return;
    }

    fuzz_copy(pool, text, json_string_value(value), json_string_length(value));
}


static void
fuzz_same(fuzz_item_t *item, fuzz_item_t *expected)
{
    fuzz_check(fuzz_equal(&item->channel, expected->channel.data,
                          expected->channel.len));
    fuzz_check(fuzz_equal(&item->id, expected->id.data, expected->id.len));
    fuzz_check((item->id.data == NULL) == (expected->id.data == NULL));
    fuzz_check(item->opcode == expected->opcode);
    fuzz_check(fuzz_equal(&item->data, expected->data.data,
                          expected->data.len));
    fuzz_check(item->code == expected->code);
    fuzz_check(fuzz_equal(&item->reason, expected->reason.data,
                          expected->reason.len));
}


/* what holds for each of them, whatever jansson says */

static void
fuzz_inside(fuzz_item_t *item)
{
    size_t                             i, sum;
    ngx_http_gateway_websocket_utf8_t  utf8;

    ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

    switch (item->opcode) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_TEXT:
        fuzz_check(ngx_http_gateway_websocket_utf8(&utf8, item->data.data,
                                                   item->data.len)
                   == NGX_OK && utf8.left == 0);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_BINARY:
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE:
        fuzz_check(item->reason.len <= 123);
        fuzz_check(item->code >= 1000 && item->code < 5000);
        break;

    default:
        fuzz_check(item->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PING
                   || item->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PONG);
        fuzz_check(item->data.len <= 125);
    }

    /* all of it can be read */

    sum = item->channel.len + item->id.len;

    for (i = 0; i < item->data.len; i++) {
        sum += item->data.data[i];
    }

    fuzz_check(sum + 1 > 0);
}
