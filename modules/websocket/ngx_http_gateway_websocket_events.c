
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the bytes of events, and no connection: what an event leads to is
 * decided by who called.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_events.h"
#include "ngx_http_gateway_websocket_frame.h"


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   type;
} ngx_http_gateway_websocket_event_name_t;


static ngx_int_t ngx_http_gateway_websocket_event_error(
    ngx_http_gateway_websocket_events_t *events, char *error);
static ngx_uint_t ngx_http_gateway_websocket_event_type(ngx_str_t *name);
static ngx_uint_t ngx_http_gateway_websocket_event_has_size(ngx_uint_t type,
    size_t len);
static ngx_str_t *ngx_http_gateway_websocket_event_name(ngx_uint_t type);
static u_char *ngx_http_gateway_websocket_event_crlf(u_char *p, u_char *last);


static ngx_http_gateway_websocket_event_name_t
    ngx_http_gateway_websocket_event_names[] =
{
    { ngx_string("TEXT"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_TEXT },
    { ngx_string("BINARY"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_BINARY },
    { ngx_string("CLOSE"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE },
    { ngx_string("PING"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PING },
    { ngx_string("PONG"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PONG },
    { ngx_string("OPEN"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OPEN },
    { ngx_string("DISCONNECT"), NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_DISCONNECT },
    { ngx_null_string, NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER }
};


void
ngx_http_gateway_websocket_events_init(
    ngx_http_gateway_websocket_events_t *events, u_char *p, u_char *last)
{
    events->pos = p;
    events->last = last;
    events->error = NULL;
}


ngx_int_t
ngx_http_gateway_websocket_events_next(
    ngx_http_gateway_websocket_events_t *events,
    ngx_http_gateway_websocket_event_t *event)
{
    size_t       size;
    u_char      *p, *last;
    ngx_int_t    digit;
    ngx_uint_t   digits, sized;

    p = events->pos;
    last = events->last;

    events->error = NULL;

    if (p == last) {
        return NGX_DONE;
    }

    event->name.data = p;

    while (p < last
           && ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')
               || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_'))
    {
        p++;
    }

    event->name.len = p - event->name.data;

    if (event->name.len == 0) {
        return ngx_http_gateway_websocket_event_error(events,
                                                      "event without a name");
    }

    size = 0;
    sized = 0;

    if (p < last && *p == ' ') {

        sized = 1;
        digits = 0;

        for (p++; p < last; p++) {

            digit = (*p >= '0' && *p <= '9') ? *p - '0'
                    : (*p >= 'A' && *p <= 'F') ? *p - 'A' + 10
                    : (*p >= 'a' && *p <= 'f') ? *p - 'a' + 10 : -1;

            if (digit == -1) {
                break;
            }

            size = size * 16 + digit;
            digits++;

            /* so that the next digit does not overflow, either */

            if (size > (size_t) (last - p)) {
                return ngx_http_gateway_websocket_event_error(events,
                             "event with a content that goes beyond the body");
            }
        }

        if (digits == 0) {
            return ngx_http_gateway_websocket_event_error(events,
                                    "event with a size that is not a number");
        }
    }

    p = ngx_http_gateway_websocket_event_crlf(p, last);

    if (p == NULL) {
        return ngx_http_gateway_websocket_event_error(events,
                                        "event with a line without its CRLF");
    }

    if (size > (size_t) (last - p)) {
        return ngx_http_gateway_websocket_event_error(events,
                             "event with a content that goes beyond the body");
    }

    event->data.data = p;
    event->data.len = size;

    p += size;

    /* some that write bodies by hand leave out the very last one */

    if (sized && p < last) {
        p = ngx_http_gateway_websocket_event_crlf(p, last);
    }

    if (p == NULL) {
        return ngx_http_gateway_websocket_event_error(events,
                             "event with a content that no CRLF comes after");
    }

    event->type = ngx_http_gateway_websocket_event_type(&event->name);
    events->pos = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_event_error(
    ngx_http_gateway_websocket_events_t *events, char *error)
{
    events->error = error;

    return NGX_ERROR;
}


/* returns what follows a CRLF at "p", or NULL */

static u_char *
ngx_http_gateway_websocket_event_crlf(u_char *p, u_char *last)
{
    if (last - p < 2 || p[0] != CR || p[1] != LF) {
        return NULL;
    }

    return p + 2;
}


static ngx_uint_t
ngx_http_gateway_websocket_event_type(ngx_str_t *name)
{
    ngx_http_gateway_websocket_event_name_t  *n;

    for (n = ngx_http_gateway_websocket_event_names; n->name.len; n++) {

        if (n->name.len == name->len
            && ngx_memcmp(n->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    return n->type;
}


ngx_int_t
ngx_http_gateway_websocket_events_check(u_char *p, u_char *last,
    ngx_uint_t *n, ngx_uint_t *type, char **error)
{
    ngx_int_t                            rc;
    ngx_http_gateway_websocket_event_t   event;
    ngx_http_gateway_websocket_events_t  events;

    *n = 0;
    *type = 0;

    ngx_http_gateway_websocket_events_init(&events, p, last);

    while ((rc = ngx_http_gateway_websocket_events_next(&events, &event))
           == NGX_OK)
    {
        if ((*n)++ == 0) {
            *type = event.type;
        }
    }

    if (rc == NGX_ERROR) {
        *error = events.error;
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_event_close(
    ngx_http_gateway_websocket_event_t *event, ngx_uint_t *code,
    ngx_str_t *reason)
{
    size_t   len;
    u_char  *p;

    p = event->data.data;
    len = event->data.len;

    ngx_str_null(reason);

    if (len == 0 || (len >= 2 && p[0] == 0 && p[1] == 0)) {
        *code = NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS;
        return NGX_OK;
    }

    if (len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL
        || ngx_http_gateway_websocket_close_code(p, len, code) != NGX_OK)
    {
        *code = NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL;
        return NGX_DECLINED;
    }

    reason->data = p + 2;
    reason->len = len - 2;

    return NGX_OK;
}


size_t
ngx_http_gateway_websocket_event_size(ngx_uint_t type, size_t len)
{
    size_t  size, n;

    size = ngx_http_gateway_websocket_event_name(type)->len + sizeof(CRLF) - 1;

    if (ngx_http_gateway_websocket_event_has_size(type, len)) {

        size += sizeof(" 0") - 1 + len + sizeof(CRLF) - 1;

        for (n = len; n > 0xf; n >>= 4) {
            size++;
        }
    }

    return size;
}


/* libraries look for a content in these only */

static ngx_uint_t
ngx_http_gateway_websocket_event_has_size(ngx_uint_t type, size_t len)
{
    return len
           || type == NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_TEXT
           || type == NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_BINARY;
}


static ngx_str_t *
ngx_http_gateway_websocket_event_name(ngx_uint_t type)
{
    ngx_http_gateway_websocket_event_name_t  *n;

    n = ngx_http_gateway_websocket_event_names;

    while (n->name.len && n->type != type) {
        n++;
    }

    return &n->name;
}


u_char *
ngx_http_gateway_websocket_event_write(u_char *p, ngx_uint_t type,
    u_char *data, size_t len)
{
    p = ngx_http_gateway_websocket_event_head(p, type, len);

    if (len) {
        p = ngx_cpymem(p, data, len);
    }

    return ngx_http_gateway_websocket_event_tail(p, type, len);
}


u_char *
ngx_http_gateway_websocket_event_head(u_char *p, ngx_uint_t type, size_t len)
{
    ngx_str_t   *name;
    ngx_uint_t   shift;

    static u_char  hex[] = "0123456789abcdef";

    name = ngx_http_gateway_websocket_event_name(type);

    p = ngx_cpymem(p, name->data, name->len);

    if (ngx_http_gateway_websocket_event_has_size(type, len)) {

        *p++ = ' ';

        shift = 0;

        while (shift + 4 < sizeof(size_t) * 8 && len >> (shift + 4)) {
            shift += 4;
        }

        for ( ;; ) {
            *p++ = hex[len >> shift & 0xf];

            if (shift == 0) {
                break;
            }

            shift -= 4;
        }
    }

    *p++ = CR;
    *p++ = LF;

    return p;
}


u_char *
ngx_http_gateway_websocket_event_tail(u_char *p, ngx_uint_t type, size_t len)
{
    if (ngx_http_gateway_websocket_event_has_size(type, len)) {
        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


u_char *
ngx_http_gateway_websocket_event_write_close(u_char *p, ngx_uint_t code,
    ngx_str_t *reason)
{
    size_t  len;

    if (code == 0 || code == NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS) {
        return ngx_http_gateway_websocket_event_write(p,
                            NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE, NULL, 0);
    }

    len = 2 + (reason ? reason->len : 0);

    p = ngx_http_gateway_websocket_event_head(p,
                                 NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE, len);

    *p++ = (u_char) (code >> 8);
    *p++ = (u_char) code;

    if (len > 2) {
        p = ngx_cpymem(p, reason->data, reason->len);
    }

    return ngx_http_gateway_websocket_event_tail(p,
                                 NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE, len);
}
