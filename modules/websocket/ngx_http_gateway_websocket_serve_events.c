
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns sessions with services that speak WebSocket-over-HTTP, the protocol of
 * Pushpin: requests and answers are lists of events, and a text of the service
 * may be for the gateway (GRIP).  One request is under way at a time.
 *
 * A service that does not answer as the protocol demands gets no more requests,
 * and its client a Close with code 1011.
 */


#include "ngx_http_gateway_websocket_serve.h"
#include "ngx_http_gateway_websocket_events.h"
#include "ngx_http_gateway_websocket_grip.h"


/* what Pushpin makes of smaller ones, seconds */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MIN_KEEP_ALIVE  20


static ngx_int_t ngx_http_gateway_websocket_events_fields(
    ngx_http_gateway_websocket_session_t *s, ngx_array_t *fields);
static char *ngx_http_gateway_websocket_events_check_answer(
    ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *response);
static void ngx_http_gateway_websocket_events_settings(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_response_t *response);
static char *ngx_http_gateway_websocket_events_do(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_event_t *event);
static char *ngx_http_gateway_websocket_events_message(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode,
    ngx_str_t *data);
static char *ngx_http_gateway_websocket_events_group(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *channel,
    ngx_uint_t leave);
static void ngx_http_gateway_websocket_events_fail(
    ngx_http_gateway_websocket_session_t *s, char *error);


static ngx_str_t  ngx_http_gateway_websocket_events_open_body =
    ngx_string("OPEN" CRLF);
static ngx_str_t  ngx_http_gateway_websocket_events_no_body =
    ngx_string("");


ngx_int_t
ngx_http_gateway_websocket_events_open(ngx_http_gateway_websocket_session_t *s)
{
    ngx_array_t  fields;

    if (ngx_http_gateway_websocket_events_fields(s, &fields) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_exchange(s,
                                 NGX_HTTP_GATEWAY_WEBSOCKET_CONNECT, &s->uri,
                                 &fields,
                                 &ngx_http_gateway_websocket_events_open_body,
                                 NULL);
}


static ngx_int_t
ngx_http_gateway_websocket_events_fields(
    ngx_http_gateway_websocket_session_t *s, ngx_array_t *fields)
{
    u_char                    *p, *last, *end, *eq;
    size_t                     len;
    ngx_str_t                  id;
    ngx_pool_t                *pool;
    ngx_http_gateway_field_t  *field;

    pool = ngx_http_gateway_websocket_message_pool();

    if (pool == NULL
        || ngx_array_init(fields, pool, 8, sizeof(ngx_http_gateway_field_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    id.len = NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN;
    id.data = s->member.id;

    if (ngx_http_gateway_websocket_fields_add_str(fields, "Connection-Id",
                                                  "connection-id", &id)
        != NGX_OK
        || ngx_http_gateway_websocket_fields_add(fields, "Content-Type",
                            "content-type",
                            NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE)
           != NGX_OK
        || ngx_http_gateway_websocket_fields_add(fields, "Accept", "accept",
                            NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE)
           != NGX_OK
        || ngx_http_gateway_websocket_fields_add(fields,
                            "Sec-WebSocket-Extensions",
                            "sec-websocket-extensions", "grip")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* see ngx_http_gateway_websocket_answer(): "name=value\n " */

    last = s->state.data + s->state.len;

    for (p = s->state.data; p < last; p = end + 2) {

        end = ngx_strlchr(p, last, '\n');

        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL) {
            continue;
        }

        len = eq - p;

        field = ngx_array_push(fields);
        if (field == NULL) {
            return NGX_ERROR;
        }

        field->name.len = len + 5;
        field->name.data = ngx_pnalloc(pool, len + 5);

        if (field->name.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ngx_cpymem(field->name.data, "meta-", 5), p, len);

        field->lowcase = field->name;
        field->hash = ngx_hash_key(field->lowcase.data, field->lowcase.len);

        field->value.len = end - eq - 1;
        field->value.data = eq + 1;
    }

    return NGX_OK;
}


char *
ngx_http_gateway_websocket_events_connected(
    ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *response)
{
    char                                  *error;
    ngx_uint_t                             n, type;
    ngx_http_gateway_websocket_session_t  *s;

    s = x->session;

    error = ngx_http_gateway_websocket_events_check_answer(x, response);

    if (error) {
        return error;
    }

    if (ngx_http_gateway_websocket_events_check(x->body.data,
                                                x->body.data + x->body.len,
                                                &n, &type, &error)
        != NGX_OK)
    {
        return error;
    }

    if (type != NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OPEN) {
        return "its first event is not OPEN";
    }

    s->grip = (response->extensions.len
               && ngx_http_gateway_websocket_grip_extension(s->pool,
                                                       &response->extensions,
                                                       &s->prefix)
                  == NGX_OK);

    if (s->grip) {

        /* a part of the answer, which goes */

        s->prefix.data = ngx_pstrdup(s->pool, &s->prefix);
        if (s->prefix.data == NULL) {
            return "there is no memory for it";
        }
    }

    ngx_http_gateway_websocket_events_settings(s, response);

    return NULL;
}


/* of what a service answers with success */

static char *
ngx_http_gateway_websocket_events_check_answer(
    ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *response)
{
    size_t     len, offered;
    u_char    *p, *last;
    ngx_int_t  n;

    if (response->encoded) {
        return "it is compressed";
    }

    p = response->type.data;
    last = ngx_strlchr(p, p + response->type.len, ';');

    if (last == NULL) {
        last = p + response->type.len;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    len = sizeof(NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE) - 1;

    if (x->body.len
        && ((size_t) (last - p) != len
            || ngx_strncasecmp(p,
                           (u_char *) NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE,
                           len)
               != 0))
    {
        return "it is not " NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE;
    }

    if (response->accepted.len == 0) {
        return NULL;
    }

    n = ngx_atoi(response->accepted.data, response->accepted.len);
    offered = x->message ? x->message->len : 0;

    if (n != NGX_ERROR && (size_t) n != offered) {
        return "a part of a message in Content-Bytes-Accepted is not possible";
    }

    return NULL;
}


static void
ngx_http_gateway_websocket_events_settings(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_response_t *response)
{
    ngx_int_t  n;

    if (response->keep_alive.len == 0) {
        return;
    }

    n = ngx_atoi(response->keep_alive.data, response->keep_alive.len);

    if (n <= 0 || n > 86400) {
        s->keep_alive = 0;
        return;
    }

    n = ngx_max(n, NGX_HTTP_GATEWAY_WEBSOCKET_MIN_KEEP_ALIVE);

    s->keep_alive = (ngx_msec_t) n * 1000;
}


void
ngx_http_gateway_websocket_events_run(ngx_http_gateway_websocket_session_t *s,
    ngx_str_t *body)
{
    char                                 *error;
    ngx_int_t                             rc;
    ngx_http_gateway_websocket_event_t    event;
    ngx_http_gateway_websocket_events_t   events;

    s->answered = ngx_current_msec;

    ngx_http_gateway_websocket_events_init(&events, body->data,
                                           body->data + body->len);
    error = NULL;

    for ( ;; ) {
        rc = ngx_http_gateway_websocket_events_next(&events, &event);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            error = events.error;
            break;
        }

        error = ngx_http_gateway_websocket_events_do(s, &event);

        if (error || s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
            break;
        }
    }

    if (error) {
        ngx_http_gateway_websocket_events_fail(s, error);
    }
}


/* returns NULL, or what is wrong with it */

static char *
ngx_http_gateway_websocket_events_do(ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_event_t *event)
{
    ngx_str_t   reason;
    ngx_uint_t  code;

    switch (event->type) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_TEXT:
    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_BINARY:

        return ngx_http_gateway_websocket_events_message(s, event->type,
                                                         &event->data);

    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PING:
    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PONG:

        if (event->data.len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL) {
            return "a PING or PONG is longer than 125 bytes";
        }

        (void) ngx_http_gateway_websocket_session_control(s, event->type,
                                                          event->data.data,
                                                          event->data.len);
        return NULL;

    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE:

        if (ngx_http_gateway_websocket_event_close(event, &code, &reason)
            != NGX_OK)
        {
            return "its CLOSE cannot be sent";
        }

        if (code == NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS) {
            code = NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL;
        }

        ngx_http_gateway_websocket_session_close(s, code, &reason,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);
        return NULL;

    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_DISCONNECT:
        return "it has DISCONNECT";

    case NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OPEN:

        if (s->opened) {
            return "it has another OPEN";
        }

        s->opened = 1;

        return NULL;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER */
        return NULL;
    }
}


static char *
ngx_http_gateway_websocket_events_message(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode,
    ngx_str_t *data)
{
    ngx_str_t                           text;
    ngx_pool_t                         *pool;
    ngx_http_gateway_websocket_grip_t   grip;
    ngx_http_gateway_websocket_utf8_t   utf8;

    text = *data;

    if (s->grip) {
        pool = ngx_http_gateway_websocket_message_pool();

        if (pool == NULL
            || ngx_http_gateway_websocket_grip_message(pool, opcode, data,
                                                       &s->prefix, &grip)
               != NGX_OK)
        {
            return "there is no memory for it";
        }

        switch (grip.type) {

        case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MESSAGE:
            text = grip.data;
            break;

        case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE:
            return ngx_http_gateway_websocket_events_group(s, &grip.data, 0);

        case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_UNSUBSCRIBE:
            return ngx_http_gateway_websocket_events_group(s, &grip.data, 1);

        default:
            ngx_log_error(NGX_LOG_INFO, s->log, 0,
                          "a message of the service is passed over: %s",
                          grip.reason ? grip.reason
                                      : "the gateway does not do it");
            return NULL;
        }
    }

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT) {
        ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

        if (ngx_http_gateway_websocket_utf8(&utf8, text.data, text.len)
            != NGX_OK
            || utf8.left)
        {
            return "its TEXT is not UTF-8";
        }
    }

    if (ngx_http_gateway_websocket_session_send(s, opcode, text.data, text.len)
        != NGX_OK)
    {
        s->broken = 1;
    }

    return NULL;
}


/* a channel is a group; of names that no group can have there are none */

static char *
ngx_http_gateway_websocket_events_group(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *channel,
    ngx_uint_t leave)
{
    u_char     name[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUP + 1];
    ngx_str_t  value;

    if (!ngx_http_gateway_websocket_is_group(channel)) {
        ngx_log_error(NGX_LOG_ERR, s->log, 0,
                      "a channel of %uz bytes cannot be the name of a group",
                      channel->len);
        return NULL;
    }

    value.data = name;
    value.len = channel->len + leave;

    name[0] = '-';
    ngx_memcpy(name + leave, channel->data, channel->len);

    if (ngx_http_gateway_websocket_set_groups(&s->member, &value) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, s->log, 0,
                      "a channel was not subscribed: there are too many, "
                      "or there is no zone");
    }

    return NULL;
}


ngx_int_t
ngx_http_gateway_websocket_events_give(ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_message_t *m)
{
    u_char       *p;
    ngx_str_t     body;
    ngx_array_t   fields;

    if (ngx_http_gateway_websocket_events_fields(s, &fields) != NGX_OK) {
        return NGX_ERROR;
    }

    body.len = ngx_http_gateway_websocket_event_size(m->opcode, m->len);
    body.data = ngx_pnalloc(fields.pool, body.len);

    if (body.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_gateway_websocket_event_write(body.data, m->opcode, m->data,
                                               m->len);
    body.len = p - body.data;

    return ngx_http_gateway_websocket_exchange(s,
                                          NGX_HTTP_GATEWAY_WEBSOCKET_MESSAGE,
                                          &s->uri, &fields, &body, m);
}


ngx_int_t
ngx_http_gateway_websocket_events_keep_alive(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_array_t  fields;

    s->answered = ngx_current_msec;

    if (ngx_http_gateway_websocket_events_fields(s, &fields) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_exchange(s,
                                   NGX_HTTP_GATEWAY_WEBSOCKET_MESSAGE, &s->uri,
                                   &fields,
                                   &ngx_http_gateway_websocket_events_no_body,
                                   NULL);
}


ngx_int_t
ngx_http_gateway_websocket_events_tell(ngx_http_gateway_websocket_session_t *s)
{
    u_char       buf[NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE_LEN], *p;
    ngx_str_t    body;
    ngx_array_t  fields;

    if (ngx_http_gateway_websocket_events_fields(s, &fields) != NGX_OK) {
        return NGX_ERROR;
    }

    if (s->closed && s->close != 1006) {
        p = ngx_http_gateway_websocket_event_write_close(buf, s->close,
                                                         &s->close_reason);

    } else {
        p = ngx_http_gateway_websocket_event_write(buf,
                               NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_DISCONNECT,
                               NULL, 0);
    }

    body.len = p - buf;
    body.data = ngx_pnalloc(fields.pool, body.len);

    if (body.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(body.data, buf, body.len);

    return ngx_http_gateway_websocket_exchange(s,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_DISCONNECT,
                                       &s->uri, &fields, &body, NULL);
}


void
ngx_http_gateway_websocket_events_answered(
    ngx_http_gateway_websocket_exchange_t *x)
{
    char                                   *error;
    ngx_uint_t                              n, type;
    ngx_http_gateway_websocket_session_t   *s;
    ngx_http_gateway_websocket_response_t   response;

    s = x->session;

    error = ngx_http_gateway_websocket_answer(x, &response);

    if (error == NULL) {

        if (x->failed || !x->answered || x->status < 200 || x->status >= 300) {
            error = "its status is not one of success";

        } else {
            error = ngx_http_gateway_websocket_events_check_answer(x,
                                                                   &response);
        }
    }

    if (error == NULL
        && ngx_http_gateway_websocket_events_check(x->body.data,
                                                   x->body.data + x->body.len,
                                                   &n, &type, &error)
           == NGX_OK)
    {
        error = NULL;

        ngx_http_gateway_websocket_events_settings(s, &response);
        ngx_http_gateway_websocket_events_run(s, &x->body);
    }

    if (error) {
        ngx_http_gateway_websocket_events_fail(s, error);
    }

    ngx_http_gateway_websocket_exchange_free(x);

    if (s->keep_alive) {
        ngx_http_gateway_websocket_session_timer(s);
    }

    ngx_http_gateway_websocket_session_wake(s);
}


static void
ngx_http_gateway_websocket_events_fail(ngx_http_gateway_websocket_session_t *s,
    char *error)
{
    ngx_log_error(NGX_LOG_ERR, s->log, 0,
                  "answer of a websocket's service is not valid: %s", error);

    /* it is asked nothing more, not even what waits */

    s->told = 1;

    ngx_http_gateway_websocket_messages_drop(s);
    ngx_http_gateway_websocket_session_end(s,
                                         NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL,
                                         "the service failed");
}
