
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what events.t asks for, a line of words each time.  BODY, CONTENT and
 * REASON are in hex, "-" being an empty one.
 *
 *     parse BODY
 *     close CONTENT
 *     write TYPE CONTENT
 *     write_close CODE REASON
 *
 * What came of it is printed: "ok" and TYPE:NAME:CONTENT for each event, and
 * "error" where the body is malformed; a status, a code and a reason; or what
 * was written.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_events.h"
#include "words.h"


typedef ngx_http_gateway_websocket_event_t   event_t;
typedef ngx_http_gateway_websocket_events_t  events_t;


static void do_parse(void);
static void parse_written(ngx_str_t *body);
static void parse_parts(ngx_str_t *body);
static void do_close(void);
static void do_write(void);
static void do_write_close(void);


static words_call_t  calls[] = {
    { "parse", do_parse },
    { "close", do_close },
    { "write", do_write },
    { "write_close", do_write_close },
    { NULL, NULL }
};


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
do_parse(void)
{
    char        *error;
    event_t      event;
    u_char      *pos;
    events_t     events;
    ngx_int_t    rc;
    ngx_str_t    body;
    ngx_uint_t   n, type, first, count;

    body = words_unhex();

    printf("ok");

    ngx_http_gateway_websocket_events_init(&events, body.data,
                                           body.data + body.len);

    for (n = 0, first = 0; /* void */ ; n++) {

        pos = events.pos;
        rc = ngx_http_gateway_websocket_events_next(&events, &event);

        if (rc != NGX_OK) {
            break;
        }

        first = n ? first : event.type;

        printf(" %x:%.*s:", (int) event.type, (int) event.name.len,
               event.name.data);

        words_put(event.data.data, event.data.len);

        if (event.data.data == NULL) {
            printf(" differs: NULL");
        }
    }

    if (rc == NGX_ERROR) {
        printf(" error%s", events.error ? "" : " differs: without a reason");
    }

    if (events.pos != pos
        || ngx_http_gateway_websocket_events_next(&events, &event) != rc)
    {
        printf(" differs: the second time");
    }

    error = NULL;

    if (ngx_http_gateway_websocket_events_check(body.data,
                                                body.data + body.len, &count,
                                                &type, &error)
        != (rc == NGX_DONE ? NGX_OK : NGX_ERROR)
        || (rc == NGX_ERROR && error == NULL)
        || count != n || type != first)
    {
        printf(" differs: when checked");
    }

    if (rc == NGX_DONE) {
        parse_written(&body);
    }

    parse_parts(&body);

    free(body.data);
}


/* what was read, written and read again */

static void
parse_written(ngx_str_t *body)
{
    u_char    *p, *start, *last;
    event_t    one, two;
    events_t   events, written;

    ngx_http_gateway_websocket_events_init(&events, body->data,
                                           body->data + body->len);

    while (ngx_http_gateway_websocket_events_next(&events, &one) == NGX_OK) {

        if (one.type == NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER) {
            continue;
        }

        start = malloc(ngx_http_gateway_websocket_event_size(one.type,
                                                             one.data.len));
        last = start + ngx_http_gateway_websocket_event_size(one.type,
                                                             one.data.len);

        p = ngx_http_gateway_websocket_event_write(start, one.type,
                                                   one.data.data,
                                                   one.data.len);

        ngx_http_gateway_websocket_events_init(&written, start, last);

        if (p != last
            || ngx_http_gateway_websocket_events_next(&written, &two) != NGX_OK
            || written.pos != last
            || two.type != one.type || two.data.len != one.data.len
            || (one.data.len
                && ngx_memcmp(one.data.data, two.data.data, one.data.len) != 0))
        {
            printf(" differs: when written");
        }

        free(start);
    }
}


/* nothing is read beyond the end of anything */

static void
parse_parts(ngx_str_t *body)
{
    size_t       i;
    char        *error;
    u_char      *part;
    ngx_uint_t   n, type;

    for (i = 0; i < body->len; i++) {
        part = words_copy(body->data, i);

        (void) ngx_http_gateway_websocket_events_check(part, part + i, &n,
                                                       &type, &error);
        free(part);
    }
}


static void
do_close(void)
{
    event_t     event;
    ngx_int_t   rc;
    ngx_str_t   reason;
    ngx_uint_t  code;

    ngx_memzero(&event, sizeof(event_t));

    event.type = NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE;
    event.data = words_unhex();

    code = 0;

    rc = ngx_http_gateway_websocket_event_close(&event, &code, &reason);

    printf("%s %d ", rc == NGX_OK ? "ok" : rc == NGX_DECLINED ? "declined"
                                                              : "error",
           (int) code);
    words_put(reason.data, reason.len);

    free(event.data.data);
}


static void
do_write(void)
{
    size_t       size;
    u_char      *p, *last;
    ngx_str_t    data;
    ngx_uint_t   type;

    type = strtol(words_next(), NULL, 16);
    data = words_unhex();

    size = ngx_http_gateway_websocket_event_size(type, data.len);
    p = malloc(size);

    last = ngx_http_gateway_websocket_event_write(p, type,
                                                  data.len ? data.data : NULL,
                                                  data.len);
    words_put(p, last - p);

    if ((size_t) (last - p) != size) {
        printf(" differs: in size");
    }

    free(p);
    free(data.data);
}


static void
do_write_close(void)
{
    u_char      *p;
    ngx_str_t    reason;
    ngx_uint_t   code;

    code = atoi(words_next());
    reason = words_unhex();

    p = malloc(NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE_LEN);

    words_put(p, ngx_http_gateway_websocket_event_write_close(p, code,
                                          reason.len ? &reason : NULL) - p);

    free(p);
    free(reason.data);
}
