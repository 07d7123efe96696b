
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a body of type application/websocket-events.
 *
 * It has the events that a plain second reading finds, and is malformed where
 * that one stops; events that are written can be read, and have the size that
 * was said; a Close that may be sent is one that a client accepts.
 */


#include "fuzz.h"

#include "ngx_http_gateway_websocket_events.h"
#include "ngx_http_gateway_websocket_frame.h"


typedef ngx_http_gateway_websocket_event_t   fuzz_event_t;
typedef ngx_http_gateway_websocket_events_t  fuzz_events_t;


static u_char *fuzz_read(ngx_pool_t *pool, u_char *p, u_char *last,
    fuzz_event_t *event);
static ngx_uint_t fuzz_type(ngx_str_t *name);
static u_char *fuzz_crlf(u_char *p, u_char *last);
static void fuzz_written(ngx_pool_t *pool, fuzz_event_t *event);
static void fuzz_close(ngx_pool_t *pool, fuzz_event_t *event);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    char           *error;
    u_char         *p, *next, *last;
    ngx_int_t       rc;
    ngx_uint_t      n, type, count, first;
    fuzz_event_t    event, expected;
    fuzz_events_t   events;

    p = input->data;
    last = p + input->len;

    ngx_http_gateway_websocket_events_init(&events, p, last);

    n = 0;
    first = 0;

    for ( ;; ) {
        fuzz_check(events.pos == p);

        rc = ngx_http_gateway_websocket_events_next(&events, &event);

        if (p == last) {
            fuzz_check(rc == NGX_DONE);
            break;
        }

        next = fuzz_read(pool, p, last, &expected);

        if (next == NULL) {
            fuzz_check(rc == NGX_ERROR && events.error != NULL);
            break;
        }

        fuzz_check(rc == NGX_OK && events.error == NULL);
        fuzz_check(events.pos == next);
        fuzz_check(event.type == expected.type);
        fuzz_check(event.name.data == expected.name.data
                   && event.name.len == expected.name.len);
        fuzz_check(event.data.data == expected.data.data
                   && event.data.len == expected.data.len);

        fuzz_written(pool, &event);
        fuzz_close(pool, &event);

        if (n++ == 0) {
            first = event.type;
        }

        p = next;
    }

    error = NULL;

    fuzz_check(ngx_http_gateway_websocket_events_check(input->data, last,
                                                       &count, &type, &error)
               == (rc == NGX_DONE ? NGX_OK : NGX_ERROR));
    fuzz_check(count == n && type == first);
    fuzz_check(rc == NGX_DONE || error == events.error);

    return rc == NGX_ERROR ? "malformed" : n ? "events" : "nothing";
}


/* returns what follows the event, or NULL when it is malformed */

static u_char *
fuzz_read(ngx_pool_t *pool, u_char *p, u_char *last, fuzz_event_t *event)
{
    char                *line, *size, *end;
    u_char              *eol;
    unsigned long long   n;

    static const char  *letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    eol = fuzz_crlf(p, last);

    if (eol == NULL || memchr(p, '\0', eol - p)) {
        return NULL;
    }

    line = ngx_pnalloc(pool, eol - p + 1);
    (void) ngx_cpystrn((u_char *) line, p, eol - p + 1);

    event->name.data = p;
    event->name.len = strspn(line, letters);
    event->type = fuzz_type(&event->name);

    p = eol + 2;

    event->data.data = p;
    event->data.len = 0;

    size = line + event->name.len;

    if (event->name.len == 0) {
        return NULL;
    }

    if (*size == '\0') {
        return p;
    }

    if (*size++ != ' ' || *size == '\0'
        || strspn(size, "0123456789abcdefABCDEF") != strlen(size))
    {
        return NULL;
    }

    errno = 0;
    n = strtoull(size, &end, 16);

    if (errno || n > (unsigned long long) (last - p)) {
        return NULL;
    }

    event->data.len = n;

    p += n;

    if (p == last) {
        return p;
    }

    return fuzz_crlf(p, last) == p ? p + 2 : NULL;
}


static ngx_uint_t
fuzz_type(ngx_str_t *name)
{
    ngx_uint_t  i;

    static struct {
        const char  *name;
        ngx_uint_t   type;
    } types[] = {
        { "OPEN", NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OPEN },
        { "TEXT", NGX_HTTP_GATEWAY_WEBSOCKET_TEXT },
        { "BINARY", NGX_HTTP_GATEWAY_WEBSOCKET_BINARY },
        { "PING", NGX_HTTP_GATEWAY_WEBSOCKET_PING },
        { "PONG", NGX_HTTP_GATEWAY_WEBSOCKET_PONG },
        { "CLOSE", NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE },
        { "DISCONNECT", NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_DISCONNECT },
        { NULL, 0 }
    };

    for (i = 0; types[i].name; i++) {
        if (fuzz_equal(name, types[i].name, strlen(types[i].name))) {
            return types[i].type;
        }
    }

    return NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER;
}


static u_char *
fuzz_crlf(u_char *p, u_char *last)
{
    return memmem(p, last - p, "\r\n", 2);
}


static void
fuzz_written(ngx_pool_t *pool, fuzz_event_t *event)
{
    size_t          size;
    u_char         *p, *last, *head;
    ngx_str_t       text;
    fuzz_event_t    again;
    fuzz_events_t   events;

    if (event->type == NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER) {
        return;
    }

    size = ngx_http_gateway_websocket_event_size(event->type, event->data.len);
    p = ngx_pnalloc(pool, size);

    last = ngx_http_gateway_websocket_event_write(p, event->type,
                                                  event->data.data,
                                                  event->data.len);
    fuzz_check((size_t) (last - p) == size);

    head = ngx_http_gateway_websocket_event_head(p, event->type,
                                                 event->data.len);

    fuzz_check(ngx_http_gateway_websocket_event_tail(head + event->data.len,
                                                 event->type, event->data.len)
               == last);

    fuzz_copy(pool, &text, p, size);

    ngx_http_gateway_websocket_events_init(&events, text.data,
                                           text.data + text.len);

    fuzz_check(ngx_http_gateway_websocket_events_next(&events, &again)
               == NGX_OK);
    fuzz_check(events.pos == events.last);
    fuzz_check(again.type == event->type);
    fuzz_check(fuzz_equal(&again.data, event->data.data, event->data.len));
}


static void
fuzz_close(ngx_pool_t *pool, fuzz_event_t *event)
{
    u_char         *p;
    ngx_int_t       rc;
    ngx_str_t       reason, left;
    ngx_uint_t      code, again, good;
    json_t         *string;
    fuzz_event_t    written;
    fuzz_events_t   events;

    rc = ngx_http_gateway_websocket_event_close(event, &code, &reason);

    if (event->data.len == 0
        || (event->data.len > 1 && memcmp(event->data.data, "\0", 2) == 0))
    {
        fuzz_check(rc == NGX_OK && code == 1005 && reason.len == 0);

    } else {
        good = 0;

        if (event->data.len >= 2 && event->data.len <= 125) {

            again = event->data.data[0] * 256 + event->data.data[1];
            string = json_stringn((char *) event->data.data + 2,
                                  event->data.len - 2);

            good = string != NULL
                   && ((again >= 3000 && again <= 4999)
                       || (again >= 1000 && again <= 1014
                           && (again < 1004 || again > 1006)));

            json_decref(string);

            fuzz_check(!good || code == again);
        }

        fuzz_check(rc == (good ? NGX_OK : NGX_DECLINED));
        fuzz_check(good || (code == 1011 && reason.len == 0));
    }

    p = ngx_pnalloc(pool, NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE_LEN);

    ngx_http_gateway_websocket_events_init(&events, p,
            ngx_http_gateway_websocket_event_write_close(p, code, &reason));

    fuzz_check(ngx_http_gateway_websocket_events_next(&events, &written)
               == NGX_OK);
    fuzz_check(ngx_http_gateway_websocket_event_close(&written, &again, &left)
               == NGX_OK);
    fuzz_check(again == code && events.pos == events.last);
    fuzz_check(fuzz_equal(&left, reason.data, reason.len));
}
