
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what is read of bodies of GRIP's publish API: items, of which those with
 * the format "ws-message" are for WebSockets.  What is sent to whom is decided
 * by who called.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../common/ngx_http_gateway_json.h"
#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"
#include "ngx_http_gateway_websocket_grip_json.h"


/* members of an item */

#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_CHANNEL     0
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_ID          1
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_FORMATS     2
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_MESSAGE     3
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_RESPONSE    4
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_STREAM      5
#define NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_N           6

/* members of its format "ws-message" */

#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_ACTION    0
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_OPCODE    1
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_BIN       2
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_TEXT      3
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_FILTERS   4
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_CODE      5
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_REASON    6
#define NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_N         7


static ngx_int_t ngx_http_gateway_websocket_item(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *text,
    ngx_http_gateway_websocket_item_t *item);
static ngx_int_t ngx_http_gateway_websocket_item_format(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_str_t *format);
static ngx_int_t ngx_http_gateway_websocket_item_message(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *format,
    ngx_http_gateway_websocket_item_t *item);
static ngx_int_t ngx_http_gateway_websocket_item_send(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_http_gateway_websocket_item_t *item);
static ngx_int_t ngx_http_gateway_websocket_item_close(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_http_gateway_websocket_item_t *item);


static ngx_str_t  ngx_http_gateway_websocket_body_names[] = {
    ngx_string("items"),
    ngx_null_string
};

static ngx_str_t  ngx_http_gateway_websocket_item_names[] = {
    ngx_string("channel"),
    ngx_string("id"),
    ngx_string("formats"),
    ngx_string("ws-message"),
    ngx_string("http-response"),
    ngx_string("http-stream"),
    ngx_null_string
};

static ngx_str_t  ngx_http_gateway_websocket_formats_names[] = {
    ngx_string("ws-message"),
    ngx_null_string
};

static ngx_str_t  ngx_http_gateway_websocket_format_names[] = {
    ngx_string("action"),
    ngx_string("type"),
    ngx_string("content-bin"),
    ngx_string("content"),
    ngx_string("content-filters"),
    ngx_string("code"),
    ngx_string("reason"),
    ngx_null_string
};

/* the opcode of an item, 0 for what says nothing to a client */

static ngx_http_gateway_websocket_grip_word_t
    ngx_http_gateway_websocket_actions[] =
{
    { ngx_string("send"), NGX_HTTP_GATEWAY_WEBSOCKET_TEXT },
    { ngx_string("close"), NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE },
    { ngx_string("hint"), 0 },
    { ngx_string("refresh"), 0 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_gateway_websocket_items_init(
    ngx_http_gateway_websocket_items_t *items, ngx_pool_t *pool,
    ngx_str_t *body)
{
    ngx_int_t  rc;
    ngx_str_t  text, list;

    ngx_memzero(items, sizeof(ngx_http_gateway_websocket_items_t));

    items->pool = pool;
    text = *body;

    if (ngx_http_gateway_websocket_grip_json(&text) != NGX_OK) {
        items->error = "body is not valid JSON";
        return NGX_DECLINED;
    }

    rc = ngx_http_gateway_websocket_grip_members(pool, &text,
                                 ngx_http_gateway_websocket_body_names, &list);

    if (rc != NGX_OK) {
        items->error = "body is not an object";
        return rc;
    }

    if (list.len == 0) {
        items->error = "object does not contain \"items\"";
        return NGX_DECLINED;
    }

    if (list.data[0] != '[') {
        items->error = "object contains \"items\" with wrong type";
        return NGX_DECLINED;
    }

    return ngx_http_gateway_json_open(&items->cursor, &list);
}


ngx_int_t
ngx_http_gateway_websocket_items_next(
    ngx_http_gateway_websocket_items_t *items,
    ngx_http_gateway_websocket_item_t *item)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    do {
        if (ngx_http_gateway_json_next_element(&items->cursor, &text)
            != NGX_OK)
        {
            return NGX_DONE;
        }

        items->n++;

        rc = ngx_http_gateway_websocket_item(items, &text, item);

    } while (rc == NGX_DONE);

    return rc;
}


/* returns NGX_DONE when the item says nothing to WebSockets */

static ngx_int_t
ngx_http_gateway_websocket_item(ngx_http_gateway_websocket_items_t *items,
    ngx_str_t *text, ngx_http_gateway_websocket_item_t *item)
{
    ngx_int_t   rc;
    ngx_str_t  *id, format, members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_N];

    ngx_memzero(item, sizeof(ngx_http_gateway_websocket_item_t));

    ngx_str_set(&item->data, "");
    ngx_str_set(&item->reason, "");

    rc = ngx_http_gateway_websocket_grip_members(items->pool, text,
                              ngx_http_gateway_websocket_item_names, members);

    if (rc != NGX_OK) {
        items->error = "item is not an object";
        return rc;
    }

    rc = ngx_http_gateway_websocket_grip_string(items->pool,
                             &members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_CHANNEL],
                             &item->channel);

    if (rc != NGX_OK) {
        items->error = "item has no \"channel\" that is a string";
        return rc;
    }

    id = &members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_ID];

    if (id->len) {
        rc = ngx_http_gateway_websocket_grip_string(items->pool, id,
                                                    &item->id);
        if (rc != NGX_OK) {
            items->error = "item has an \"id\" that is not a string";
            return rc;
        }
    }

    rc = ngx_http_gateway_websocket_item_format(items, members, &format);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_gateway_websocket_item_message(items, &format, item);
}


/* formats may also stand in the item itself */

static ngx_int_t
ngx_http_gateway_websocket_item_format(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_str_t *format)
{
    ngx_int_t   rc;
    ngx_str_t  *formats;

    formats = &members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_FORMATS];

    if (formats->len == 0) {

        *format = members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_MESSAGE];

        if (format->len == 0
            && members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_RESPONSE].len == 0
            && members[NGX_HTTP_GATEWAY_WEBSOCKET_ITEM_STREAM].len == 0)
        {
            items->error = "item has no \"formats\"";
            return NGX_DECLINED;
        }

        return format->len ? NGX_OK : NGX_DONE;
    }

    rc = ngx_http_gateway_websocket_grip_members(items->pool, formats,
                            ngx_http_gateway_websocket_formats_names, format);

    if (rc != NGX_OK) {
        items->error = "item has \"formats\" that are not an object";
        return rc;
    }

    if (ngx_http_gateway_websocket_grip_is_empty(formats)) {
        items->error = "item has \"formats\" without any";
        return NGX_DECLINED;
    }

    return format->len ? NGX_OK : NGX_DONE;
}


static ngx_int_t
ngx_http_gateway_websocket_item_message(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *format,
    ngx_http_gateway_websocket_item_t *item)
{
    ngx_int_t   rc;
    ngx_str_t  *action, members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_N];

    rc = ngx_http_gateway_websocket_grip_members(items->pool, format,
                            ngx_http_gateway_websocket_format_names, members);

    if (rc != NGX_OK) {
        items->error = "\"ws-message\" is not an object";
        return rc;
    }

    action = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_ACTION];

    item->opcode = NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;

    if (action->len) {
        rc = ngx_http_gateway_websocket_grip_word(items->pool, action,
                           ngx_http_gateway_websocket_actions, &item->opcode);

        if (rc != NGX_OK) {
            items->error = "\"ws-message\" has an unknown \"action\"";
            return rc;
        }
    }

    switch (item->opcode) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_TEXT:
        return ngx_http_gateway_websocket_item_send(items, members, item);

    case NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE:
        return ngx_http_gateway_websocket_item_close(items, members, item);

    default:
        return NGX_DONE;
    }
}


static ngx_int_t
ngx_http_gateway_websocket_item_send(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_http_gateway_websocket_item_t *item)
{
    ngx_int_t   rc;
    ngx_str_t  *type, *bin, *text;

    type = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_OPCODE];
    bin = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_BIN];
    text = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_TEXT];

    if (type->len) {
        rc = ngx_http_gateway_websocket_grip_word(items->pool, type,
                     ngx_http_gateway_websocket_message_types, &item->opcode);

        if (rc != NGX_OK) {
            items->error = "\"ws-message\" has an unknown \"type\"";
            return rc;
        }

    } else if (bin->len) {
        item->opcode = NGX_HTTP_GATEWAY_WEBSOCKET_BINARY;
    }

    if (!ngx_http_gateway_websocket_grip_is_empty(
                         &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_FILTERS]))
    {
        items->error = "\"ws-message\" has \"content-filters\","
                       " which are not supported";
        return NGX_DECLINED;
    }

    if (bin->len == 0 && text->len == 0) {

        if (item->opcode >= NGX_HTTP_GATEWAY_WEBSOCKET_PING) {
            return NGX_OK;
        }

        items->error = "\"ws-message\" has no \"content\" or \"content-bin\"";
        return NGX_DECLINED;
    }

    return ngx_http_gateway_websocket_grip_content(items->pool, bin, text,
                                     item->opcode, &item->data, &items->error);
}


static ngx_int_t
ngx_http_gateway_websocket_item_close(
    ngx_http_gateway_websocket_items_t *items, ngx_str_t *members,
    ngx_http_gateway_websocket_item_t *item)
{
    u_char      payload[2];
    ngx_int_t   rc, n;
    ngx_str_t  *code, *reason;

    code = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_CODE];
    reason = &members[NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_REASON];

    item->code = NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL;

    if (code->len) {
        n = ngx_atoi(code->data, code->len);

        payload[0] = (u_char) (n >> 8);
        payload[1] = (u_char) n;

        if (n == NGX_ERROR || n > 0xffff
            || ngx_http_gateway_websocket_close_code(payload, 2, &item->code)
               != NGX_OK)
        {
            items->error = "\"ws-message\" has an invalid \"code\"";
            return NGX_DECLINED;
        }
    }

    if (reason->len == 0) {
        return NGX_OK;
    }

    rc = ngx_http_gateway_websocket_grip_string(items->pool, reason,
                                                &item->reason);

    if (rc == NGX_OK
        && item->reason.len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL - 2)
    {
        rc = NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        items->error = "\"ws-message\" has an invalid \"reason\"";
    }

    return rc;
}
