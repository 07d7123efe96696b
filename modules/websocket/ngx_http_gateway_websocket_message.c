
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what becomes of clients' messages: where they go to, in which order,
 * and what the client gets for them; and how services are told that a client
 * has gone.
 */


#include "ngx_http_gateway_websocket_serve.h"


/* of a worker, that are told at once of connections that have ended */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_TELL  64

/* what it takes of worker_connections to tell one, and a reserve */

#define NGX_HTTP_GATEWAY_WEBSOCKET_TELL_CONNECTIONS  4

/* when there are not enough of them, milliseconds */

#define NGX_HTTP_GATEWAY_WEBSOCKET_TELL_LATER  100


static ngx_int_t ngx_http_gateway_websocket_message_give(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_message_t *m);
static ngx_str_t *ngx_http_gateway_websocket_message_uri(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *text);
static ngx_uint_t ngx_http_gateway_websocket_message_is(
    ngx_http_gateway_websocket_route_t *route, ngx_str_t *text);
static void ngx_http_gateway_websocket_message_failed(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t status,
    ngx_str_t *body);
static ngx_int_t ngx_http_gateway_websocket_tell_now(
    ngx_http_gateway_websocket_session_t *s);
static void ngx_http_gateway_websocket_tell_handler(ngx_event_t *ev);


static ngx_queue_t  ngx_http_gateway_websocket_tells;
static ngx_uint_t   ngx_http_gateway_websocket_ntells;
static ngx_event_t  ngx_http_gateway_websocket_tell_event;

static ngx_pool_t  *ngx_http_gateway_websocket_pool;


void
ngx_http_gateway_websocket_messages_run(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_int_t                              rc;
    ngx_queue_t                           *q;
    ngx_http_gateway_websocket_message_t  *m;

    /* who does not read answers is not given more of them */

    while (s->nmessages && s->nexchanges < s->concurrency
           && s->nframes < s->conf->max_queue)
    {

        q = ngx_queue_head(&s->messages);
        ngx_queue_remove(q);
        s->nmessages--;

        m = ngx_queue_data(q, ngx_http_gateway_websocket_message_t, queue);

        rc = ngx_http_gateway_websocket_message_give(s, m);

        if (rc != NGX_OK) {
            ngx_free(m);
            ngx_http_gateway_websocket_message_failed(s,
                        (rc == NGX_BUSY) ? NGX_HTTP_SERVICE_UNAVAILABLE
                                         : NGX_HTTP_INTERNAL_SERVER_ERROR,
                        NULL);
        }
    }

    if (s->paused && s->connection && s->nmessages < s->conf->max_queue) {
        s->paused = 0;

        /* what it answered to pings has not been read */

        s->received = ngx_current_msec;
        s->is_pinged = 0;

        if (!s->reading) {
            ngx_post_event(s->connection->read, &ngx_posted_events);
        }
    }
}


void
ngx_http_gateway_websocket_messages_drop(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_queue_t                           *q, *next;
    ngx_http_gateway_websocket_message_t  *m;

    for (q = ngx_queue_head(&s->messages);
         q != ngx_queue_sentinel(&s->messages);
         q = next)
    {
        next = ngx_queue_next(q);

        m = ngx_queue_data(q, ngx_http_gateway_websocket_message_t, queue);
        ngx_free(m);
    }

    ngx_queue_init(&s->messages);
    s->nmessages = 0;
}


static ngx_int_t
ngx_http_gateway_websocket_message_give(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_message_t *m)
{
    ngx_str_t                 *uri, body, text;
    ngx_array_t                fields;
    ngx_http_gateway_field_t   elts[NGX_HTTP_GATEWAY_WEBSOCKET_FIELDS];

    if (s->events) {
        return ngx_http_gateway_websocket_events_give(s, m);
    }

    uri = &s->uri;

    body.len = m->len;
    body.data = m->data;

    ngx_http_gateway_websocket_fields_init(s, &fields, elts, "message");

    if (m->opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY) {
        (void) ngx_http_gateway_websocket_fields_add(&fields, "Content-Type",
                                  "content-type", "application/octet-stream");

    } else if (ngx_http_gateway_websocket_is_json(m->data, m->len, &text)) {
        uri = ngx_http_gateway_websocket_message_uri(s, &text);

        (void) ngx_http_gateway_websocket_fields_add(&fields, "Content-Type",
                                         "content-type", "application/json");

    } else {
        (void) ngx_http_gateway_websocket_fields_add(&fields, "Content-Type",
                                "content-type", "text/plain; charset=utf-8");
    }

    return ngx_http_gateway_websocket_exchange(s,
                                          NGX_HTTP_GATEWAY_WEBSOCKET_MESSAGE,
                                          uri, &fields, &body, m);
}


/* gateway_websocket_route: the first one that matches */

static ngx_str_t *
ngx_http_gateway_websocket_message_uri(ngx_http_gateway_websocket_session_t *s,
    ngx_str_t *text)
{
    ngx_uint_t                           i;
    ngx_http_gateway_websocket_route_t  *route;

    if (s->conf->routes == NULL) {
        return &s->uri;
    }

    route = s->conf->routes->elts;

    for (i = 0; i < s->conf->routes->nelts; i++) {

        if (ngx_http_gateway_websocket_message_is(&route[i], text)) {
            return &s->routes[i];
        }
    }

    return &s->uri;
}


static ngx_uint_t
ngx_http_gateway_websocket_message_is(
    ngx_http_gateway_websocket_route_t *route, ngx_str_t *text)
{
    ngx_str_t    value;
    ngx_pool_t  *pool;

    pool = ngx_http_gateway_websocket_message_pool();
    if (pool == NULL) {
        return 0;
    }

    if (ngx_http_gateway_json_find(pool, text, &route->pointer, &value)
        != NGX_OK)
    {
        return 0;
    }

    if (value.data[0] == '{' || value.data[0] == '[') {
        return 0;
    }

    if (value.data[0] == '"') {
        value.data++;
        value.len -= 2;

        if (ngx_http_gateway_json_decode(pool, &value, &value) != NGX_OK) {
            return 0;
        }
    }

    return value.len == route->value.len
           && ngx_memcmp(value.data, route->value.data, value.len) == 0;
}


ngx_pool_t *
ngx_http_gateway_websocket_message_pool(void)
{
    if (ngx_http_gateway_websocket_pool == NULL) {
        ngx_http_gateway_websocket_pool = ngx_create_pool(1024,
                                                          ngx_cycle->log);

    } else {
        ngx_reset_pool(ngx_http_gateway_websocket_pool);
    }

    return ngx_http_gateway_websocket_pool;
}


void
ngx_http_gateway_websocket_message_answered(
    ngx_http_gateway_websocket_exchange_t *x)
{
    char                                  *error;
    ngx_str_t                             *body;
    ngx_uint_t                             opcode, status;
    ngx_http_gateway_websocket_response_t    answer;
    ngx_http_gateway_websocket_session_t  *s;

    s = x->session;

    if (s->events) {
        ngx_http_gateway_websocket_events_answered(x);
        return;
    }

    status = x->status;
    opcode = 0;

    error = ngx_http_gateway_websocket_answer(x, &answer);

    if (error == NULL && !x->failed && status >= 200 && status < 300) {

        if (answer.encoded && x->body.len) {
            error = "it is compressed";

        } else if (x->body.len
                   && ngx_http_gateway_websocket_type(&answer.type, &x->body,
                                                      &opcode)
                      != NGX_OK)
        {
            error = "its text is not UTF-8";
        }
    }

    if (error) {
        ngx_log_error(NGX_LOG_ERR, &x->log, 0,
                      "answer of a websocket's service is not valid: %s",
                      error);

        status = NGX_HTTP_BAD_GATEWAY;
        x->answered = 0;
    }

    if (status >= 200 && status < 300) {

        if (x->body.len
            && ngx_http_gateway_websocket_session_send(s, opcode, x->body.data,
                                                       x->body.len)
               != NGX_OK)
        {
            s->broken = 1;
        }

    } else {
        body = NULL;

        if (x->answered && status >= 400 && status < 500 && !answer.encoded) {
            body = &x->body;
        }

        ngx_http_gateway_websocket_message_failed(s,
                                                  status ? status
                                                         : NGX_HTTP_BAD_GATEWAY,
                                                  body);
    }

    if (error == NULL && answer.close.len
        && ngx_http_gateway_websocket_answer_close(s, &answer.close) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, &x->log, 0,
                      "invalid \"Gateway-Close: %V\" in an answer",
                      &answer.close);
    }

    ngx_http_gateway_websocket_exchange_free(x);
    ngx_http_gateway_websocket_session_wake(s);
}


/* "body" may be what the service said about it */

static void
ngx_http_gateway_websocket_message_failed(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t status,
    ngx_str_t *body)
{
    u_char      *p, *text;
    size_t       len;
    ngx_str_t   *title, json;
    ngx_pool_t  *pool;

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN) {
        return;
    }

    if (s->conf->on_error == NGX_HTTP_GATEWAY_WEBSOCKET_ERROR_CLOSE
        || s->events)
    {
        ngx_http_gateway_websocket_session_end(s,
                                    (status >= 400 && status < 500)
                                    ? NGX_HTTP_GATEWAY_WEBSOCKET_POLICY
                                    : NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL,
                                    "the message was not served");
        return;
    }

    title = ngx_http_gateway_problem_title(status);

    if (body == NULL
        || !ngx_http_gateway_websocket_is_json(body->data, body->len, &json))
    {
        json.len = 0;
    }

    len = sizeof("{\"error\":{\"status\":,\"title\":\"\",\"body\":}}")
          + NGX_INT_T_LEN + title->len + json.len;

    pool = ngx_http_gateway_websocket_message_pool();
    text = pool ? ngx_pnalloc(pool, len) : NULL;

    if (text == NULL) {
        s->broken = 1;
        return;
    }

    p = ngx_sprintf(text, "{\"error\":{\"status\":%ui,\"title\":\"%V\"",
                    status, title);

    if (json.len) {
        p = ngx_sprintf(p, ",\"body\":%V", &json);
    }

    *p++ = '}'; *p++ = '}';

    if (ngx_http_gateway_websocket_session_send(s,
                                              NGX_HTTP_GATEWAY_WEBSOCKET_TEXT,
                                              text, p - text)
        != NGX_OK)
    {
        s->broken = 1;
    }
}


void
ngx_http_gateway_websocket_fields_init(ngx_http_gateway_websocket_session_t *s,
    ngx_array_t *fields, ngx_http_gateway_field_t *elts, char *event)
{
    ngx_str_t  id;

    fields->elts = elts;
    fields->nelts = 0;
    fields->size = sizeof(ngx_http_gateway_field_t);
    fields->nalloc = NGX_HTTP_GATEWAY_WEBSOCKET_FIELDS;
    fields->pool = NULL;

    id.len = NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN;
    id.data = s->member.id;

    /* there is room for all of these */

    (void) ngx_http_gateway_websocket_fields_add_str(fields,
                                              "Gateway-Connection-Id",
                                              "gateway-connection-id", &id);
    (void) ngx_http_gateway_websocket_fields_add(fields, "Gateway-Event",
                                              "gateway-event", event);

    if (s->state.len) {
        (void) ngx_http_gateway_websocket_fields_add_str(fields,
                                              "Gateway-State",
                                              "gateway-state", &s->state);
    }
}


ngx_int_t
ngx_http_gateway_websocket_fields_add(ngx_array_t *fields, char *name,
    char *lowcase, char *value)
{
    ngx_str_t  text;

    text.len = ngx_strlen(value);
    text.data = (u_char *) value;

    return ngx_http_gateway_websocket_fields_add_str(fields, name, lowcase,
                                                     &text);
}


ngx_int_t
ngx_http_gateway_websocket_fields_add_str(ngx_array_t *fields, char *name,
    char *lowcase, ngx_str_t *value)
{
    ngx_http_gateway_field_t  *field;

    field = ngx_array_push(fields);
    if (field == NULL) {
        return NGX_ERROR;
    }

    field->name.len = ngx_strlen(name);
    field->name.data = (u_char *) name;
    field->lowcase.len = field->name.len;
    field->lowcase.data = (u_char *) lowcase;
    field->hash = ngx_hash_key(field->lowcase.data, field->lowcase.len);
    field->value = *value;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_tell_init(void)
{
    ngx_queue_init(&ngx_http_gateway_websocket_tells);

    ngx_http_gateway_websocket_tell_event.handler =
                                      ngx_http_gateway_websocket_tell_handler;
    ngx_http_gateway_websocket_tell_event.data =
                                       &ngx_http_gateway_websocket_tell_event;
    ngx_http_gateway_websocket_tell_event.log = ngx_cycle->log;
}


void
ngx_http_gateway_websocket_tell(ngx_http_gateway_websocket_session_t *s)
{
    if (s->waits) {
        return;
    }

    s->waits = 1;

    ngx_queue_insert_tail(&ngx_http_gateway_websocket_tells, &s->messages);
    ngx_http_gateway_websocket_tell_handler(
                                      &ngx_http_gateway_websocket_tell_event);
}


static void
ngx_http_gateway_websocket_tell_handler(ngx_event_t *ev)
{
    ngx_int_t                              rc;
    ngx_queue_t                           *q;
    ngx_http_gateway_websocket_session_t  *s;

    while (!ngx_queue_empty(&ngx_http_gateway_websocket_tells)
           && ngx_http_gateway_websocket_ntells
              < NGX_HTTP_GATEWAY_WEBSOCKET_MAX_TELL)
    {
        q = ngx_queue_head(&ngx_http_gateway_websocket_tells);

        s = ngx_queue_data(q, ngx_http_gateway_websocket_session_t, messages);

        rc = ngx_http_gateway_websocket_tell_now(s);

        if (rc == NGX_BUSY) {

            if (!ev->timer_set) {
                ngx_add_timer(ev, NGX_HTTP_GATEWAY_WEBSOCKET_TELL_LATER);
            }

            return;
        }

        ngx_queue_remove(q);
        ngx_queue_init(q);

        s->told = 1;

        if (rc == NGX_OK) {
            ngx_http_gateway_websocket_ntells++;

        } else {
            ngx_http_gateway_websocket_session_wake(s);
        }
    }
}


static ngx_int_t
ngx_http_gateway_websocket_tell_now(ngx_http_gateway_websocket_session_t *s)
{
    u_char                    buf[NGX_INT_T_LEN + 1
                                  + NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL];
    ngx_str_t                 value;
    ngx_uint_t                i;
    ngx_array_t               fields;
    ngx_http_gateway_field_t  elts[NGX_HTTP_GATEWAY_WEBSOCKET_FIELDS];

    if (s->disconnect.len
        && ngx_cycle->free_connection_n
           < NGX_HTTP_GATEWAY_WEBSOCKET_TELL_CONNECTIONS)
    {
        return NGX_BUSY;
    }

    /* what is told now is not told for it by another worker */

    ngx_http_gateway_websocket_leave(&s->member);

    if (s->disconnect.len == 0) {
        return NGX_DECLINED;
    }

    if (s->events) {
        return ngx_http_gateway_websocket_events_tell(s);
    }

    value.data = buf;
    value.len = ngx_sprintf(buf, "%ui", s->close) - buf;

    if (s->close_reason.len) {
        buf[value.len++] = ' ';

        for (i = 0; i < s->close_reason.len; i++) {
            buf[value.len++] = (s->close_reason.data[i] < 0x20
                                || s->close_reason.data[i] == 0x7f)
                               ? ' ' : s->close_reason.data[i];
        }
    }

    ngx_http_gateway_websocket_fields_init(s, &fields, elts, "disconnect");
    (void) ngx_http_gateway_websocket_fields_add_str(&fields, "Gateway-Close",
                                              "gateway-close", &value);

    return ngx_http_gateway_websocket_exchange(s,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_DISCONNECT,
                                       &s->disconnect, &fields, NULL, NULL);
}


void
ngx_http_gateway_websocket_told(ngx_http_gateway_websocket_exchange_t *x)
{
    ngx_http_gateway_websocket_session_t  *s;

    s = x->session;

    if (x->failed || x->status < 200 || x->status >= 300) {
        ngx_log_error(NGX_LOG_ERR, &x->log, 0,
                      "service was told of the end of a websocket, "
                      "and answered with %ui", x->status);
    }

    ngx_http_gateway_websocket_exchange_free(x);
    ngx_http_gateway_websocket_session_wake(s);

    ngx_http_gateway_websocket_ntells--;
    ngx_http_gateway_websocket_tell_handler(
                                      &ngx_http_gateway_websocket_tell_event);
}
