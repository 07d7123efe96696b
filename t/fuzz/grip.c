
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a value of Sec-WebSocket-Extensions, a line feed, a message.
 *
 * GRIP is there, and its prefix is, what a second reading says that cuts the
 * field into pieces first.  What the message is, with this prefix or the
 * default one, is what jansson's tree says, where jansson makes one.
 */


#include "content.h"

#include "ngx_http_gateway_websocket_frame.h"
#include "ngx_http_gateway_websocket_grip.h"


typedef ngx_http_gateway_websocket_grip_t  fuzz_grip_t;


static ngx_uint_t fuzz_extension(ngx_pool_t *pool, ngx_str_t field,
    ngx_str_t *prefix);
static ngx_uint_t fuzz_element(ngx_pool_t *pool, ngx_str_t element,
    ngx_str_t *name, ngx_str_t *prefix);
static ngx_uint_t fuzz_param(ngx_pool_t *pool, ngx_str_t param,
    ngx_str_t *prefix);
static ngx_uint_t fuzz_value(ngx_pool_t *pool, ngx_str_t text,
    ngx_str_t *value);
static ngx_uint_t fuzz_cut(ngx_str_t *text, u_char c, ngx_str_t *first);
static void fuzz_trim(ngx_str_t *text);
static ngx_uint_t fuzz_is_token(ngx_str_t *text);

static const char *fuzz_message(ngx_pool_t *pool, ngx_uint_t opcode,
    ngx_str_t *data, ngx_str_t *prefix);
static const char *fuzz_control(ngx_pool_t *pool, ngx_str_t *text,
    fuzz_grip_t *grip);
static ngx_uint_t fuzz_expected(ngx_pool_t *pool, json_t *tree,
    fuzz_grip_t *grip);
static ngx_uint_t fuzz_channel(ngx_pool_t *pool, json_t *tree,
    ngx_str_t *channel);
static ngx_uint_t fuzz_keep_alive(ngx_pool_t *pool, json_t *tree,
    fuzz_grip_t *grip);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_int_t    rc;
    ngx_str_t    field, message, prefix, expected;
    const char  *outcome;

    fuzz_split(pool, input, &field, &message);

    rc = ngx_http_gateway_websocket_grip_extension(pool, &field, &prefix);

    if (fuzz_extension(pool, field, &expected)) {
        fuzz_check(rc == NGX_OK);
        fuzz_check(fuzz_equal(&prefix, expected.data, expected.len));

    } else {
        fuzz_check(rc == NGX_DECLINED);
        ngx_str_set(&prefix, "m:");
    }

    (void) fuzz_message(pool, NGX_HTTP_GATEWAY_WEBSOCKET_BINARY, &message,
                        &prefix);
    outcome = fuzz_message(pool, NGX_HTTP_GATEWAY_WEBSOCKET_TEXT, &message,
                           &prefix);

    return rc == NGX_OK ? outcome : "off";
}


static ngx_uint_t
fuzz_extension(ngx_pool_t *pool, ngx_str_t field, ngx_str_t *prefix)
{
    ngx_str_t   element, name;
    ngx_uint_t  more;

    do {
        more = fuzz_cut(&field, ',', &element);

        fuzz_trim(&element);

        if (element.len == 0) {
            continue;
        }

        if (!fuzz_element(pool, element, &name, prefix)) {
            return 0;
        }

        if (fuzz_equal(&name, "grip", 4)) {
            return 1;
        }

    } while (more);

    return 0;
}


static ngx_uint_t
fuzz_element(ngx_pool_t *pool, ngx_str_t element, ngx_str_t *name,
    ngx_str_t *prefix)
{
    ngx_str_t   param;
    ngx_uint_t  more;

    ngx_str_set(prefix, "m:");

    more = fuzz_cut(&element, ';', name);

    fuzz_trim(name);

    if (!fuzz_is_token(name)) {
        return 0;
    }

    while (more) {
        more = fuzz_cut(&element, ';', &param);

        if (!fuzz_param(pool, param, prefix)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
fuzz_param(ngx_pool_t *pool, ngx_str_t param, ngx_str_t *prefix)
{
    ngx_str_t   name, value;
    ngx_uint_t  valued;

    valued = fuzz_cut(&param, '=', &name);

    fuzz_trim(&name);
    fuzz_trim(&param);

    ngx_str_set(&value, "");

    if (!fuzz_is_token(&name)
        || (valued && !fuzz_value(pool, param, &value)))
    {
        return 0;
    }

    if (fuzz_equal(&name, "message-prefix", 14)) {
        *prefix = value;
    }

    return 1;
}


static ngx_uint_t
fuzz_value(ngx_pool_t *pool, ngx_str_t text, ngx_str_t *value)
{
    size_t   i;
    u_char  *p;

    if (fuzz_is_token(&text)) {
        *value = text;
        return 1;
    }

    if (text.len < 2 || text.data[0] != '"') {
        return 0;
    }

    p = ngx_pnalloc(pool, text.len);
    value->data = p;

    for (i = 1; i < text.len && text.data[i] != '"'; i++) {

        if (text.data[i] == '\\' && ++i == text.len) {
            return 0;
        }

        if (text.data[i] != '\t' && (text.data[i] < ' ' || text.data[i] == 127))
        {
            return 0;
        }

        *p++ = text.data[i];
    }

    value->len = p - value->data;

    return i == text.len - 1;
}


/*
 * Sets "first" to what is in front of the character, which does not count
 * inside of a string, and leaves what is behind it.  Tells whether it is there.
 */

static ngx_uint_t
fuzz_cut(ngx_str_t *text, u_char c, ngx_str_t *first)
{
    size_t      i;
    ngx_uint_t  inside;

    *first = *text;
    inside = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == c && !inside) {
            first->len = i;
            text->data += i + 1;
            text->len -= i + 1;

            return 1;
        }

        if (text->data[i] == '"') {
            inside = !inside;
        }

        if (text->data[i] == '\\' && inside) {
            i++;
        }
    }

    text->data += text->len;
    text->len = 0;

    return 0;
}


static void
fuzz_trim(ngx_str_t *text)
{
    while (text->len && (*text->data == ' ' || *text->data == '\t')) {
        text->data++;
        text->len--;
    }

    while (text->len && (text->data[text->len - 1] == ' '
                         || text->data[text->len - 1] == '\t'))
    {
        text->len--;
    }
}


static ngx_uint_t
fuzz_is_token(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] <= ' ' || text->data[i] > '~'
            || strchr(",;=\"", text->data[i]))
        {
            return 0;
        }
    }

    return text->len != 0;
}


static const char *
fuzz_message(ngx_pool_t *pool, ngx_uint_t opcode, ngx_str_t *data,
    ngx_str_t *prefix)
{
    ngx_str_t    exact;
    fuzz_grip_t  grip;

    fuzz_copy(pool, &exact, data->data, data->len);

    fuzz_check(ngx_http_gateway_websocket_grip_message(pool, opcode, &exact,
                                                       prefix, &grip)
               == NGX_OK);

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
        && exact.len >= 2 && memcmp(exact.data, "c:", 2) == 0)
    {
        exact.data += 2;
        exact.len -= 2;

        return fuzz_control(pool, &exact, &grip);
    }

    if (exact.len >= prefix->len
        && (prefix->len == 0
            || memcmp(exact.data, prefix->data, prefix->len) == 0))
    {
        fuzz_check(grip.type == NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MESSAGE);
        fuzz_check(grip.opcode == opcode);
        fuzz_check(grip.data.data == exact.data + prefix->len);
        fuzz_check(grip.data.len == exact.len - prefix->len);

        return "message";
    }

    fuzz_check(grip.type == NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED);
    fuzz_check(grip.reason != NULL);

    return "dropped";
}


static const char *
fuzz_control(ngx_pool_t *pool, ngx_str_t *text, fuzz_grip_t *grip)
{
    json_t       *tree;
    ngx_uint_t    valid;
    fuzz_grip_t   expected;

    static const char  *outcomes[] = {
        "message", "subscribe", "unsubscribe", "detach", "keepalive", "other",
        "ignored"
    };

    fuzz_check(grip->type >= NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE
               && grip->type <= NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED);
    fuzz_check(grip->type < NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER
               || grip->reason != NULL);

    tree = content_tree(text, &valid);

    if (tree == NULL && valid) {
        return outcomes[grip->type];
    }

    ngx_memzero(&expected, sizeof(fuzz_grip_t));

    if (!valid || !fuzz_expected(pool, tree, &expected)) {
        expected.type = NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_IGNORED;
    }

    fuzz_check(grip->type == expected.type);

    if (grip->type < NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER) {
        fuzz_check(grip->opcode == expected.opcode);
        fuzz_check(grip->timeout == expected.timeout);
        fuzz_check(grip->interval == expected.interval);
        fuzz_check((grip->data.data == NULL) == (expected.data.data == NULL));
        fuzz_check(fuzz_equal(&grip->data, expected.data.data,
                              expected.data.len));
    }

    json_decref(tree);

    return outcomes[grip->type];
}


/* tells whether it is well formed */

static ngx_uint_t
fuzz_expected(ngx_pool_t *pool, json_t *tree, fuzz_grip_t *grip)
{
    ngx_int_t  i;

    static const char  *types[] = {
        "subscribe", "unsubscribe", "detach", "keep-alive", "session",
        "set-meta", "send-delayed", "flush-delayed", NULL
    };

    i = content_word(content_member(tree, "type"), types);

    grip->type = ngx_min(i + 1, NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_OTHER);

    switch (i) {

    case -1:
        return 0;

    case 0:
        return fuzz_channel(pool, tree, &grip->data)
               && content_is_empty(content_member(tree, "filters"));

    case 1:
        return fuzz_channel(pool, tree, &grip->data);

    case 3:
        return fuzz_keep_alive(pool, tree, grip);

    default:
        return 1;
    }
}


static ngx_uint_t
fuzz_channel(ngx_pool_t *pool, json_t *tree, ngx_str_t *channel)
{
    json_t  *value;

    value = content_member(tree, "channel");

    fuzz_copy(pool, channel, json_string_value(value),
              json_string_length(value));

    return channel->len != 0;
}


static ngx_uint_t
fuzz_keep_alive(ngx_pool_t *pool, json_t *tree, fuzz_grip_t *grip)
{
    json_t  *type, *mode, *timeout;

    type = content_member(tree, "message-type");
    mode = content_member(tree, "mode");
    timeout = content_member(tree, "timeout");

    grip->opcode = type ? content_opcode(type)
                        : NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;
    grip->timeout = 55;

    if (grip->opcode == 0 || (mode && !json_is_string(mode))) {
        return 0;
    }

    grip->interval = json_string_length(mode) == 8
                     && strcmp(json_string_value(mode), "interval") == 0;

    if (!content_data(pool, tree, grip->opcode, &grip->data)) {
        return 0;
    }

    if (grip->data.data == NULL || timeout == NULL) {
        return 1;
    }

    if (!json_is_integer(timeout) || json_integer_value(timeout) < 0
        || json_integer_value(timeout) > 2147483)
    {
        return 0;
    }

    if (json_integer_value(timeout)) {
        grip->timeout = json_integer_value(timeout);
    }

    return 1;
}
