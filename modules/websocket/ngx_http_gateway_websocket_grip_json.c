
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what control messages and published items have in common.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../common/ngx_http_gateway_json.h"
#include "../common/ngx_http_gateway_json_scan.h"
#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"
#include "ngx_http_gateway_websocket_grip_json.h"


/* "content-filters", each character of which may be an escape of six */

#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MAX_NAME  (15 * 6)


static ngx_int_t ngx_http_gateway_websocket_grip_base64(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *data);


ngx_http_gateway_websocket_grip_word_t
    ngx_http_gateway_websocket_message_types[] =
{
    { ngx_string("text"), NGX_HTTP_GATEWAY_WEBSOCKET_TEXT },
    { ngx_string("binary"), NGX_HTTP_GATEWAY_WEBSOCKET_BINARY },
    { ngx_string("ping"), NGX_HTTP_GATEWAY_WEBSOCKET_PING },
    { ngx_string("pong"), NGX_HTTP_GATEWAY_WEBSOCKET_PONG },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_gateway_websocket_grip_json(ngx_str_t *text)
{
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s, NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DEPTH);

    if (ngx_http_gateway_json_scan(&s, text->data, text->len) != NGX_OK
        || ngx_http_gateway_json_scan_end(&s) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    text->data += s.start;
    text->len = (size_t) (s.end - s.start);

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_grip_members(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *names, ngx_str_t *values)
{
    ngx_int_t                       rc;
    ngx_str_t                       name;
    ngx_uint_t                      i;
    ngx_http_gateway_json_cursor_t  cursor;
    ngx_http_gateway_json_member_t  member;

    for (i = 0; names[i].len; i++) {
        ngx_str_null(&values[i]);
    }

    if (text->data[0] != '{') {
        return NGX_DECLINED;
    }

    (void) ngx_http_gateway_json_open(&cursor, text);

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK) {

        /* a longer one has more characters than any that is looked for */

        if (member.name.len > NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MAX_NAME) {
            continue;
        }

        rc = ngx_http_gateway_json_decode(pool, &member.name, &name);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        for (i = 0; names[i].len; i++) {

            if (names[i].len == name.len
                && ngx_memcmp(names[i].data, name.data, name.len) == 0)
            {
                values[i] = member.value;

                if (member.value.data[0] == 'n') {
                    ngx_str_null(&values[i]);
                }

                break;
            }
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_grip_string(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *value)
{
    ngx_str_t  inside;

    if (text->len == 0 || text->data[0] != '"') {
        return NGX_DECLINED;
    }

    inside.data = text->data + 1;
    inside.len = text->len - 2;

    return ngx_http_gateway_json_decode(pool, &inside, value);
}


ngx_int_t
ngx_http_gateway_websocket_grip_word(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_websocket_grip_word_t *words, ngx_uint_t *value)
{
    ngx_int_t  rc;
    ngx_str_t  word;

    rc = ngx_http_gateway_websocket_grip_string(pool, text, &word);

    if (rc != NGX_OK) {
        return rc;
    }

    for ( /* void */ ; words->name.len; words++) {

        if (words->name.len == word.len
            && ngx_memcmp(words->name.data, word.data, word.len) == 0)
        {
            *value = words->value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_gateway_websocket_grip_is_empty(ngx_str_t *text)
{
    u_char  *p, *last;

    if (text->len == 0) {
        return 1;
    }

    if (text->data[0] != '[' && text->data[0] != '{') {
        return 0;
    }

    p = text->data + 1;
    last = text->data + text->len - 1;

    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    return p == last;
}


ngx_int_t
ngx_http_gateway_websocket_grip_content(ngx_pool_t *pool, ngx_str_t *bin,
    ngx_str_t *text, ngx_uint_t opcode, ngx_str_t *data, char **error)
{
    ngx_int_t                          rc;
    ngx_str_t                          encoded;
    ngx_http_gateway_websocket_utf8_t  utf8;

    if (bin->len) {
        rc = ngx_http_gateway_websocket_grip_string(pool, bin, &encoded);

        if (rc == NGX_OK) {
            rc = ngx_http_gateway_websocket_grip_base64(pool, &encoded, data);
        }

    } else {
        rc = ngx_http_gateway_websocket_grip_string(pool, text, data);
    }

    if (rc != NGX_OK) {
        *error = bin->len ? "\"content-bin\" is not a string in base64"
                          : "\"content\" is not a string";
        return rc;
    }

    if (opcode >= NGX_HTTP_GATEWAY_WEBSOCKET_PING
        && data->len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL)
    {
        *error = "the content of a ping or pong is too long";
        return NGX_DECLINED;
    }

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT && bin->len) {

        ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

        if (ngx_http_gateway_websocket_utf8(&utf8, data->data, data->len)
            != NGX_OK
            || utf8.left)
        {
            *error = "\"content-bin\" of a text is not UTF-8";
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* as RFC 4648, section 4, but with line ends, and with padding left out */

static ngx_int_t
ngx_http_gateway_websocket_grip_base64(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *data)
{
    size_t     i;
    u_char    *p, c;
    ngx_str_t  src;

    src.data = ngx_pnalloc(pool, text->len + 1);
    if (src.data == NULL) {
        return NGX_ERROR;
    }

    p = src.data;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (c != CR && c != LF && c != ' ' && c != '\t') {
            *p++ = c;
        }
    }

    for (i = 0; i < 2 && p > src.data && p[-1] == '='; i++) {
        p--;
    }

    src.len = p - src.data;

    /* nginx does not look at it, nor at what is behind it */

    if ((i && (src.len + i) % 4) || ngx_strlchr(src.data, p, '=') != NULL) {
        return NGX_DECLINED;
    }

    data->data = ngx_pnalloc(pool, ngx_base64_decoded_length(src.len) + 1);
    if (data->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_decode_base64(data, &src) != NGX_OK) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
