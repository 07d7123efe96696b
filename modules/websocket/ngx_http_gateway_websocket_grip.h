
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * GRIP, the protocol in which a service tells Pushpin what to do with a
 * WebSocket, as far as it concerns WebSockets: the extension "grip" of a
 * handshake, the messages of a service that are for the gateway itself, and
 * bodies of the publish API.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../common/ngx_http_gateway_json.h"


/* what a message of the service is */

#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MESSAGE      0   /* for the client */
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE    1
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_UNSUBSCRIBE  2
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DETACH       3
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE   4
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER        5   /* known, not done */
#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED      6   /* to be dropped */

/* control messages and published bodies that are nested deeper are malformed */

#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DEPTH        32

#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE_TIMEOUT  55  /* seconds */


typedef struct {
    ngx_uint_t    type;        /* NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_* */

    /* MESSAGE: its content; SUBSCRIBE, UNSUBSCRIBE: the channel, not empty;
     * KEEP_ALIVE: the content, data.data being NULL when it is to be off */

    ngx_str_t     data;

    ngx_uint_t    opcode;      /* MESSAGE, KEEP_ALIVE */
    ngx_uint_t    timeout;     /* KEEP_ALIVE: seconds, not 0 */
    ngx_uint_t    interval;    /* KEEP_ALIVE: also when it is not idle */
    char         *reason;      /* OTHER, IGNORED: why, for a log */
} ngx_http_gateway_websocket_grip_t;


/* an item to publish */

typedef struct {
    ngx_str_t     channel;     /* may be empty */
    ngx_str_t     id;          /* data.data is NULL when there is none */

    /* TEXT, BINARY, PING or PONG with "data", or CLOSE with "code", which may
     * be sent, default 1000, and "reason"; both may be empty, not NULL */

    ngx_uint_t    opcode;
    ngx_str_t     data;
    ngx_uint_t    code;
    ngx_str_t     reason;
} ngx_http_gateway_websocket_item_t;


/* items of a body that have not been seen yet */

typedef struct {
    ngx_http_gateway_json_cursor_t   cursor;
    ngx_pool_t                      *pool;
    char                            *error;   /* why it is malformed */
    ngx_uint_t                       n;       /* items seen */
} ngx_http_gateway_websocket_items_t;


#pragma GCC visibility push(hidden)

/*
 * Looks for the extension "grip" in a value of Sec-WebSocket-Extensions, RFC
 * 6455, section 9.1.  When there are several fields, the first one counts that
 * has it.
 *
 * Returns NGX_OK with "prefix" set to its parameter message-prefix, default
 * "m:", as part of the field or, with escapes undone, in memory of "pool";
 * NGX_DECLINED when it is not there or the field is malformed; NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_extension(ngx_pool_t *pool,
    ngx_str_t *field, ngx_str_t *prefix);

/*
 * Tells what a message "data", TEXT or BINARY as "opcode" says, of a service
 * is where GRIP was agreed on: a TEXT that begins with "c:" is for the gateway,
 * whatever else begins with "prefix" is, without it, for the client, and the
 * rest is to be dropped.  Whether a text is UTF-8 is not looked at.
 *
 * Returns NGX_OK with *grip set, its strings being parts of "data" or memory
 * of "pool"; or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_message(ngx_pool_t *pool,
    ngx_uint_t opcode, ngx_str_t *data, ngx_str_t *prefix,
    ngx_http_gateway_websocket_grip_t *grip);

/*
 * Sets a cursor in front of the first item of a body of the publish API.
 * "body" and "pool" have to stay as long as the items are used.
 *
 * Returns NGX_OK, or NGX_DECLINED when the body is not valid JSON, or is not
 * an object with a list of items: items->error says so.  NGX_ERROR when there
 * is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_items_init(
    ngx_http_gateway_websocket_items_t *items, ngx_pool_t *pool,
    ngx_str_t *body);

/*
 * Finds the next item that is for WebSockets; others are passed over.  A body
 * with a malformed item is to be refused as a whole, so all items are to be
 * found before any is published.
 *
 * Returns NGX_OK with "item" set, its strings being parts of the body or
 * memory of the pool: TEXT is UTF-8, what stands in PING, PONG and CLOSE fits
 * into a control frame.  NGX_DONE when there is none; NGX_DECLINED when an item
 * is malformed, items->error being the reason and items->n its number, from 1;
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_items_next(
    ngx_http_gateway_websocket_items_t *items,
    ngx_http_gateway_websocket_item_t *item);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_H_INCLUDED_ */
