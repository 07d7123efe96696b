
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Events of the WebSocket-over-HTTP protocol, the content of bodies of type
 * application/websocket-events:
 *
 *     events = *event
 *     event  = name CRLF / name SP size CRLF *OCTET CRLF
 *     name   = 1*( ALPHA / DIGIT / "-" / "_" )
 *     size   = 1*HEXDIG
 *
 * They are read where they lie, one after the other, and never kept.
 *
 * Needs nginx's core, but not its HTTP, and no memory but its own structures.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* an event that stands for a frame has the opcode of that frame for a type */

#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_TEXT        0x1
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_BINARY      0x2
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE       0x8
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PING        0x9
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_PONG        0xa
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OPEN        0x10
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_DISCONNECT  0x11
#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_OTHER       0x12

#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_TYPE                                \
    "application/websocket-events"


/* events of a body that have not been seen yet */

typedef struct {
    u_char      *pos;
    u_char      *last;
    char        *error;        /* why the body is malformed, or NULL */
} ngx_http_gateway_websocket_events_t;


typedef struct {
    ngx_uint_t   type;
    ngx_str_t    name;         /* as it stands in the body */
    ngx_str_t    data;         /* likewise; empty without a size, not NULL */
} ngx_http_gateway_websocket_event_t;


#pragma GCC visibility push(hidden)

/* Sets a cursor in front of the first event of the body from "p" to "last". */

void ngx_http_gateway_websocket_events_init(
    ngx_http_gateway_websocket_events_t *events, u_char *p, u_char *last);

/*
 * Finds the next event.  Names are matched as they are written, in capitals;
 * one that is not known is an event of type OTHER, which is to be passed over.
 * The CRLF after a content may be missing at the end of the body.
 *
 * Returns NGX_OK with "event" set, its strings being parts of the body;
 * NGX_DONE when there is none; NGX_ERROR when the body is malformed there:
 * events->error says how, and the cursor stays.
 */

ngx_int_t ngx_http_gateway_websocket_events_next(
    ngx_http_gateway_websocket_events_t *events,
    ngx_http_gateway_websocket_event_t *event);

/*
 * Looks at the whole of a body, so that nothing is done of one that turns out
 * to be malformed.  Returns NGX_OK with *n set to the number of its events and
 * *type to the type of the first one, 0 when there is none; or NGX_ERROR with
 * *error set.
 */

ngx_int_t ngx_http_gateway_websocket_events_check(u_char *p, u_char *last,
    ngx_uint_t *n, ngx_uint_t *type, char **error);

/*
 * Looks at the content of a CLOSE event: sets *code to its status code, or to
 * NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS (1005) when there is none, and "reason"
 * to what follows it.
 *
 * Returns NGX_OK, or NGX_DECLINED when they must not be sent as a Close frame,
 * RFC 6455, sections 5.5.1 and 7.4: the code is not one to be sent, the reason
 * is too long or not UTF-8; *code is 1011 then.  Code 0, which libraries write
 * for a close without a code, is as no code.
 */

ngx_int_t ngx_http_gateway_websocket_event_close(
    ngx_http_gateway_websocket_event_t *event, ngx_uint_t *code,
    ngx_str_t *reason);

/*
 * The bytes that an event with a content of "len" bytes takes.  Events of type
 * TEXT and BINARY always have a size, others only when "len" is not 0.
 */

size_t ngx_http_gateway_websocket_event_size(ngx_uint_t type, size_t len);

/*
 * Writes an event, not of type OTHER, to "p", which has room for
 * ngx_http_gateway_websocket_event_size() bytes: the whole of it, or what is in
 * front of a content, or what is behind it, for a content that is not copied.
 * "data" may be NULL when "len" is 0.  Return the end of what was written.
 */

u_char *ngx_http_gateway_websocket_event_write(u_char *p, ngx_uint_t type,
    u_char *data, size_t len);
u_char *ngx_http_gateway_websocket_event_head(u_char *p, ngx_uint_t type,
    size_t len);
u_char *ngx_http_gateway_websocket_event_tail(u_char *p, ngx_uint_t type,
    size_t len);

/*
 * Writes a CLOSE event with "code" and "reason" (at most 123 bytes, or NULL) to
 * "p", without a content when the code is 0 or
 * NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS.  There has to be room for
 * NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE_LEN bytes.  Returns its end.
 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_EVENT_CLOSE_LEN                            \
    (sizeof("CLOSE 7d" CRLF CRLF) - 1 + 125)

u_char *ngx_http_gateway_websocket_event_write_close(u_char *p,
    ngx_uint_t code, ngx_str_t *reason);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_EVENTS_H_INCLUDED_ */
