
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * JSON of GRIP: texts are checked first, then their values are found as they
 * stand there.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_JSON_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   value;
} ngx_http_gateway_websocket_grip_word_t;


#pragma GCC visibility push(hidden)

/*
 * Tells whether "text" is one JSON text, nested at most
 * NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DEPTH levels deep, and narrows it to its
 * value.  Returns NGX_OK or NGX_DECLINED.
 */

ngx_int_t ngx_http_gateway_websocket_grip_json(ngx_str_t *text);

/*
 * Sets values[i] to the value of the member names[i] of the value "text", as it
 * stands there; it is empty when there is none or it is null.  The last name is
 * empty; none is longer than "content-filters".
 *
 * Returns NGX_OK, NGX_DECLINED when "text" is not an object, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_members(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *names, ngx_str_t *values);

/*
 * Sets "value" to the characters of the value "text", which may be empty: to a
 * part of it or to memory of "pool".
 *
 * Returns NGX_OK, NGX_DECLINED when it is not a string, or one that has no
 * characters, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_string(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *value);

/*
 * Sets *value to that of the word which the value "text" is.  The last word is
 * empty.  Returns NGX_OK, NGX_DECLINED when it is none of them, or NGX_ERROR
 * when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_word(ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_gateway_websocket_grip_word_t *words,
    ngx_uint_t *value);

/*
 * Tells whether the value "text" is empty, or a list or an object that has
 * nothing in it.
 */

ngx_uint_t ngx_http_gateway_websocket_grip_is_empty(ngx_str_t *text);

/*
 * Sets "data" to the content of a message of type "opcode": that of the value
 * "bin", a string in base64, or when this is empty of the value "text", a
 * string.
 *
 * Returns NGX_OK, NGX_DECLINED with *error set when it is no such content, or
 * not one for a frame of this type; or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_grip_content(ngx_pool_t *pool,
    ngx_str_t *bin, ngx_str_t *text, ngx_uint_t opcode, ngx_str_t *data,
    char **error);


/* opcodes by their names: text, binary, ping, pong */

extern ngx_http_gateway_websocket_grip_word_t
    ngx_http_gateway_websocket_message_types[];

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_JSON_H_INCLUDED_ */
