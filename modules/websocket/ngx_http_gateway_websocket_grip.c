
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what is read of GRIP in answers of a service: the extension and the
 * messages.  Who is subscribed to what is decided by who called.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../common/ngx_http_gateway_json.h"
#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"
#include "ngx_http_gateway_websocket_grip_json.h"


/* members of a control message */

#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TYPE     0
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_CHANNEL  1
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_FILTERS  2
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_OPCODE   3
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_BIN      4
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TEXT     5
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TIMEOUT  6
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_MODE     7
#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_N        8

/* seconds, so that milliseconds fit into 31 bits */

#define NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MAX_TIMEOUT  2147483


/* an element of a list of extensions, or a parameter of one */

typedef struct {
    ngx_str_t    name;
    ngx_str_t    value;
    ngx_uint_t   escapes;      /* in the value */
} ngx_http_gateway_websocket_grip_param_t;


static u_char *ngx_http_gateway_websocket_grip_element(u_char *p, u_char *last,
    ngx_str_t *name, ngx_http_gateway_websocket_grip_param_t *prefix);
static u_char *ngx_http_gateway_websocket_grip_param(u_char *p, u_char *last,
    ngx_http_gateway_websocket_grip_param_t *param);
static u_char *ngx_http_gateway_websocket_grip_value(u_char *p, u_char *last,
    ngx_http_gateway_websocket_grip_param_t *param);
static u_char *ngx_http_gateway_websocket_grip_token(u_char *p, u_char *last,
    ngx_str_t *token);
static u_char *ngx_http_gateway_websocket_grip_space(u_char *p, u_char *last);

static ngx_int_t ngx_http_gateway_websocket_grip_control(ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_gateway_websocket_grip_t *grip);
static ngx_int_t ngx_http_gateway_websocket_grip_channel(ngx_pool_t *pool,
    ngx_str_t *members, ngx_http_gateway_websocket_grip_t *grip);
static ngx_int_t ngx_http_gateway_websocket_grip_keep_alive(ngx_pool_t *pool,
    ngx_str_t *members, ngx_http_gateway_websocket_grip_t *grip);


static ngx_str_t  ngx_http_gateway_websocket_grip_name = ngx_string("grip");
static ngx_str_t  ngx_http_gateway_websocket_grip_prefix_name =
    ngx_string("message-prefix");
static ngx_str_t  ngx_http_gateway_websocket_grip_prefix = ngx_string("m:");

static ngx_str_t  ngx_http_gateway_websocket_control_names[] = {
    ngx_string("type"),
    ngx_string("channel"),
    ngx_string("filters"),
    ngx_string("message-type"),
    ngx_string("content-bin"),
    ngx_string("content"),
    ngx_string("timeout"),
    ngx_string("mode"),
    ngx_null_string
};

static ngx_http_gateway_websocket_grip_word_t
    ngx_http_gateway_websocket_control_types[] =
{
    { ngx_string("subscribe"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE },
    { ngx_string("unsubscribe"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_UNSUBSCRIBE },
    { ngx_string("detach"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DETACH },
    { ngx_string("keep-alive"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE },
    { ngx_string("session"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER },
    { ngx_string("set-meta"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER },
    { ngx_string("send-delayed"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER },
    { ngx_string("flush-delayed"), NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_gateway_websocket_grip_extension(ngx_pool_t *pool, ngx_str_t *field,
    ngx_str_t *prefix)
{
    u_char                                   *p, *last, *dst;
    size_t                                    i;
    ngx_str_t                                 name;
    ngx_http_gateway_websocket_grip_param_t   param;

    p = field->data;
    last = p + field->len;

    do {
        p = ngx_http_gateway_websocket_grip_element(p, last, &name, &param);

        if (p == NULL) {
            return NGX_DECLINED;
        }

    } while (name.len != ngx_http_gateway_websocket_grip_name.len
             || ngx_memcmp(name.data, ngx_http_gateway_websocket_grip_name.data,
                           name.len) != 0);

    if (!param.escapes) {
        *prefix = param.value;
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, param.value.len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    prefix->data = dst;

    for (i = 0; i < param.value.len; i++) {

        if (param.value.data[i] == '\\') {
            i++;
        }

        *dst++ = param.value.data[i];
    }

    prefix->len = dst - prefix->data;

    return NGX_OK;
}


/*
 * Reads the next element, its name and the parameter message-prefix, the last
 * one if there are several.  Returns what follows it, or NULL when there is
 * none or it is malformed.
 */

static u_char *
ngx_http_gateway_websocket_grip_element(u_char *p, u_char *last,
    ngx_str_t *name, ngx_http_gateway_websocket_grip_param_t *prefix)
{
    ngx_str_t                                *expected;
    ngx_http_gateway_websocket_grip_param_t   param;

    /* the comma after the element before, and empty elements */

    while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) {
        p++;
    }

    p = ngx_http_gateway_websocket_grip_token(p, last, name);

    prefix->value = ngx_http_gateway_websocket_grip_prefix;
    prefix->escapes = 0;

    while (p && p < last && *p == ';') {

        p = ngx_http_gateway_websocket_grip_param(p + 1, last, &param);

        expected = &ngx_http_gateway_websocket_grip_prefix_name;

        if (p && param.name.len == expected->len
            && ngx_memcmp(param.name.data, expected->data, expected->len) == 0)
        {
            *prefix = param;
        }
    }

    if (p && p < last && *p != ',') {
        return NULL;
    }

    return p;
}


/* without a value it is as with an empty one */

static u_char *
ngx_http_gateway_websocket_grip_param(u_char *p, u_char *last,
    ngx_http_gateway_websocket_grip_param_t *param)
{
    ngx_str_set(&param->value, "");
    param->escapes = 0;

    p = ngx_http_gateway_websocket_grip_space(p, last);
    p = ngx_http_gateway_websocket_grip_token(p, last, &param->name);

    if (p == NULL || p == last || *p != '=') {
        return p;
    }

    p = ngx_http_gateway_websocket_grip_space(p + 1, last);

    if (p == last || *p != '"') {

        /* also what is not a token, such as "m:" */

        return ngx_http_gateway_websocket_grip_token(p, last, &param->value);
    }

    p = ngx_http_gateway_websocket_grip_value(p + 1, last, param);

    if (p == NULL) {
        return NULL;
    }

    return ngx_http_gateway_websocket_grip_space(p, last);
}


/* the rest of a quoted string, RFC 9110, section 5.6.4; escapes stay */

static u_char *
ngx_http_gateway_websocket_grip_value(u_char *p, u_char *last,
    ngx_http_gateway_websocket_grip_param_t *param)
{
    param->value.data = p;

    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            param->value.len = p - param->value.data;
            return p + 1;
        }

        if (*p == '\\') {
            param->escapes = 1;
            p++;
        }

        if (p == last || (*p < 0x20 && *p != '\t') || *p == 0x7f) {
            break;
        }
    }

    return NULL;
}


/* returns what follows the token and white space, or NULL without a token */

static u_char *
ngx_http_gateway_websocket_grip_token(u_char *p, u_char *last,
    ngx_str_t *token)
{
    token->data = p;

    while (p < last && *p > 0x20 && *p < 0x7f
           && *p != ',' && *p != ';' && *p != '=' && *p != '"')
    {
        p++;
    }

    token->len = p - token->data;

    if (token->len == 0) {
        return NULL;
    }

    return ngx_http_gateway_websocket_grip_space(p, last);
}


static u_char *
ngx_http_gateway_websocket_grip_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


ngx_int_t
ngx_http_gateway_websocket_grip_message(ngx_pool_t *pool, ngx_uint_t opcode,
    ngx_str_t *data, ngx_str_t *prefix,
    ngx_http_gateway_websocket_grip_t *grip)
{
    ngx_str_t  text;

    ngx_memzero(grip, sizeof(ngx_http_gateway_websocket_grip_t));

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
        && data->len >= 2 && data->data[0] == 'c' && data->data[1] == ':')
    {
        text.data = data->data + 2;
        text.len = data->len - 2;

        return ngx_http_gateway_websocket_grip_control(pool, &text, grip);
    }

    if (data->len < prefix->len
        || (prefix->len
            && ngx_memcmp(data->data, prefix->data, prefix->len) != 0))
    {
        grip->type = NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED;
        grip->reason = "message without the prefix";

        return NGX_OK;
    }

    grip->type = NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MESSAGE;
    grip->opcode = opcode;
    grip->data = *data;

    if (prefix->len) {
        grip->data.data += prefix->len;
        grip->data.len -= prefix->len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_grip_control(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_websocket_grip_t *grip)
{
    ngx_int_t   rc;
    ngx_str_t   members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_N];
    ngx_uint_t  type;

    type = NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED;

    if (ngx_http_gateway_websocket_grip_json(text) != NGX_OK) {
        grip->reason = "control message that is not JSON";
        rc = NGX_DECLINED;
        goto done;
    }

    rc = ngx_http_gateway_websocket_grip_members(pool, text,
                           ngx_http_gateway_websocket_control_names, members);

    if (rc != NGX_OK) {
        grip->reason = "control message that is not an object";
        goto done;
    }

    rc = ngx_http_gateway_websocket_grip_word(pool,
                             &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TYPE],
                             ngx_http_gateway_websocket_control_types, &type);

    if (rc != NGX_OK) {
        grip->reason = "control message of no known type";
        goto done;
    }

    switch (type) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE:
    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_UNSUBSCRIBE:
        rc = ngx_http_gateway_websocket_grip_channel(pool, members, grip);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE:
        rc = ngx_http_gateway_websocket_grip_keep_alive(pool, members, grip);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER:
        grip->reason = "control message of a type that is not supported";
        break;
    }

    if (rc == NGX_OK
        && type == NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE
        && !ngx_http_gateway_websocket_grip_is_empty(
                        &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_FILTERS]))
    {
        /* without them the client would get what is not for it */

        grip->reason = "subscription with filters, which are not supported";
        rc = NGX_DECLINED;
    }

done:

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    grip->type = (rc == NGX_OK) ? type
                                : NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_grip_channel(ngx_pool_t *pool, ngx_str_t *members,
    ngx_http_gateway_websocket_grip_t *grip)
{
    ngx_int_t  rc;

    rc = ngx_http_gateway_websocket_grip_string(pool,
                          &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_CHANNEL],
                          &grip->data);

    if (rc == NGX_OK && grip->data.len == 0) {
        rc = NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        grip->reason = "control message without a channel";
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_websocket_grip_keep_alive(ngx_pool_t *pool,
    ngx_str_t *members, ngx_http_gateway_websocket_grip_t *grip)
{
    ngx_int_t   rc, n;
    ngx_str_t  *bin, *text, *timeout, *type, mode;

    bin = &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_BIN];
    text = &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TEXT];
    timeout = &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_TIMEOUT];
    type = &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_OPCODE];

    grip->opcode = NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;
    grip->timeout = NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE_TIMEOUT;

    if (type->len) {
        rc = ngx_http_gateway_websocket_grip_word(pool, type,
                     ngx_http_gateway_websocket_message_types, &grip->opcode);

        if (rc != NGX_OK) {
            grip->reason = "control message with an unknown message type";
            return rc;
        }
    }

    if (members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_MODE].len) {

        rc = ngx_http_gateway_websocket_grip_string(pool,
                     &members[NGX_HTTP_GATEWAY_WEBSOCKET_CONTROL_MODE], &mode);

        if (rc != NGX_OK) {
            grip->reason = "control message with a mode that is not a string";
            return rc;
        }

        grip->interval = (mode.len == sizeof("interval") - 1
                          && ngx_memcmp(mode.data, "interval", mode.len) == 0);
    }

    if (bin->len == 0 && text->len == 0) {
        return NGX_OK;
    }

    if (timeout->len) {
        n = ngx_atoi(timeout->data, timeout->len);

        if (n == NGX_ERROR || n > NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MAX_TIMEOUT)
        {
            grip->reason = "control message with an invalid timeout";
            return NGX_DECLINED;
        }

        if (n) {
            grip->timeout = n;
        }
    }

    return ngx_http_gateway_websocket_grip_content(pool, bin, text,
                                    grip->opcode, &grip->data, &grip->reason);
}
