
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The tunnel of a guarded WebSocket: frames of a client and a server, checked
 * where they lie and passed on.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_TUNNEL_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_TUNNEL_H_INCLUDED_


#include "ngx_http_gateway_websocket.h"


/* two frames of the gateway: a ping of 8 bytes and a Close, both masked */

#define NGX_HTTP_GATEWAY_WEBSOCKET_OWN                                        \
    (8 + 6 + NGX_HTTP_GATEWAY_WEBSOCKET_MAX_REASON + 2 + 6)


/*
 * One direction.  Of the bytes in the buffer, those from "pos" up to "checked"
 * may be sent, those from there up to "last" have not been looked at or are
 * not a whole header yet.
 *
 * The buffer is what came with the handshake, the worker's, or, when bytes had
 * to stay, "buffer"; there is none as long as nothing comes.
 */

typedef struct {
    ngx_connection_t            *src;
    ngx_connection_t            *dst;

    u_char                      *start;
    u_char                      *pos;
    u_char                      *checked;
    u_char                      *last;
    u_char                      *end;
    u_char                      *frame;      /* the last one; NULL: sent */
    size_t                       size;       /* of buffers */
    u_char                      *buffer;     /* one of its own, or NULL */

    ngx_msec_t                   received;   /* something from "src" */
    ngx_msec_t                   message;    /* a message */
    ngx_msec_t                   blocked;    /* "dst" takes nothing since */
    ngx_msec_t                   pinged_at;  /* "dst" */

    ngx_http_gateway_websocket_inflate_t  *inflate;
    uint64_t                     inflated;   /* of the message */

    ngx_http_gateway_websocket_parser_t  parser;

    unsigned                     borrowed:1; /* the worker's buffer */
    unsigned                     is_blocked:1;
    unsigned                     stop:1;     /* at the end of this frame */
    unsigned                     drop:1;     /* nothing is passed on */
    unsigned                     cut:1;      /* in the middle of a frame */
    unsigned                     closed:1;   /* by a Close frame of "src" */
    unsigned                     told:1;     /* "dst", by that frame */
    unsigned                     eof:1;
    unsigned                     broken:1;   /* "dst" */
    unsigned                     pinged:1;   /* "src", silent since */
    unsigned                     begun:1;    /* "own" was partly sent */

    u_char                      *own_pos;    /* frames of the gateway */
    u_char                      *own_last;
    u_char                       own[NGX_HTTP_GATEWAY_WEBSOCKET_OWN];
} ngx_http_gateway_websocket_flow_t;


struct ngx_http_gateway_websocket_guard_s {
    ngx_http_request_t          *request;
    ngx_http_gateway_websocket_loc_conf_t  *conf;
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ngx_str_t                    key;
    ngx_str_t                    protocols;  /* offered to the server */
    ngx_str_t                    extensions;

    ngx_http_gateway_websocket_flow_t  in;   /* of the client */
    ngx_http_gateway_websocket_flow_t  out;  /* of the server */

    ngx_event_t                  start;
    ngx_event_t                  timer;
    ngx_http_gateway_websocket_drain_t  drain;

    ngx_msec_t                   expires;    /* 0: never, as those below */
    ngx_msec_t                   max_age;
    ngx_msec_t                   drain_at;
    ngx_msec_t                   closing;    /* when it ends at the latest */

    int64_t                      tat;        /* of the limit, microseconds */
    uint32_t                     fraction;
    ngx_uint_t                   pings;      /* of the server, unanswered */

    u_char                       ping[8];    /* payload of the gateway's */

    unsigned                     rewrite:1;  /* the header's fields */
    unsigned                     ready:1;    /* the handshake is good */
    unsigned                     running:1;
    unsigned                     draining:1;
    unsigned                     has_ping:1;
    unsigned                     client_ready:1;
    unsigned                     upstream_ready:1;
};


#pragma GCC visibility push(hidden)

/*
 * Makes what a tunnel of "r" will need, and frees with r->pool.  Returns NULL
 * when there is no memory.
 */

ngx_http_gateway_websocket_guard_t *ngx_http_gateway_websocket_tunnel_create(
    ngx_http_request_t *r, ngx_http_gateway_websocket_loc_conf_t *wlcf);

/*
 * Says that messages may be compressed.  Returns NGX_OK, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_tunnel_deflate(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_deflate_t *d);

/*
 * Looks at what is new in the buffer of "flow": moves "checked", takes away
 * what is not passed on, and begins to close when a rule is broken.
 */

void ngx_http_gateway_websocket_tunnel_scan(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow);

/*
 * Begins to close: both sides get a Close frame as soon as a frame ends.
 */

void ngx_http_gateway_websocket_tunnel_close(
    ngx_http_gateway_websocket_guard_t *g, ngx_uint_t code, char *reason);

/*
 * Puts a frame of the gateway behind those that wait to be sent to the
 * destination of "flow".
 */

void ngx_http_gateway_websocket_tunnel_frame(
    ngx_http_gateway_websocket_guard_t *g,
    ngx_http_gateway_websocket_flow_t *flow, ngx_uint_t opcode, u_char *data,
    size_t len);

/* Reads, checks and sends what there is; it may end the request. */

void ngx_http_gateway_websocket_tunnel_run(
    ngx_http_gateway_websocket_guard_t *g);

/* Ends the request; neither it nor "g" may be looked at afterwards. */

void ngx_http_gateway_websocket_tunnel_end(
    ngx_http_gateway_websocket_guard_t *g);

/* Sets the timer to what is due next; handlers of it and of draining. */

void ngx_http_gateway_websocket_tunnel_timer(
    ngx_http_gateway_websocket_guard_t *g);
void ngx_http_gateway_websocket_tunnel_timeout(ngx_event_t *ev);
void ngx_http_gateway_websocket_tunnel_drain(void *data, ngx_msec_t delay);

#pragma GCC visibility pop


#define ngx_http_gateway_websocket_has_own(flow)                              \
    ((flow)->own_pos != (flow)->own_last)


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_TUNNEL_H_INCLUDED_ */
