
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * HTTP requests that are answered over WebSocket connections to services.
 *
 * A "pass" is a request, a "link" a connection.  nginx's upstream opens the
 * connection for a request; when the handshake is done, the connection leaves
 * it and becomes a link, which may serve one request or, with
 * gateway_websocket_correlate, many, and lives until it has been closed.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_PASS_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_PASS_H_INCLUDED_


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_assemble.h"


/*
 * An id that is awaited on a shared link: a string's characters behind a quote,
 * or the text of a number.  Without a request it is one that was not answered
 * in time, and was allocated by itself.
 */

typedef struct {
    ngx_str_node_t               node;
    ngx_http_gateway_websocket_pass_t  *pass;
} ngx_http_gateway_websocket_id_t;


struct ngx_http_gateway_websocket_pass_s {
    ngx_http_request_t          *request;
    ngx_http_gateway_websocket_loc_conf_t  *conf;
    ngx_http_gateway_websocket_ctx_t  *ctx;
    ngx_http_upstream_t         *upstream;
    ngx_http_gateway_websocket_link_t  *link;    /* NULL: none, or not yet */

    ngx_str_t                    host;       /* of the handshake */
    ngx_str_t                    uri;
    ngx_str_t                    fields;     /* its lines but those with keys */
    ngx_str_t                    protocols;  /* offered */
    ngx_str_t                    key;        /* in the request's buffer */
    ngx_http_gateway_websocket_deflate_t  deflate;  /* agreed on */
    ngx_http_status_t            status;

    ngx_event_t                  start;      /* the handshake is done */
    ngx_http_cleanup_pt          abort;      /* what upstream->cleanup is */
    u_char                      *preread;    /* what came with it */
    size_t                       npreread;

    ngx_str_t                    message;    /* to be sent */
    ngx_uint_t                   opcode;

    ngx_http_gateway_websocket_reply_t  reply;
    ngx_uint_t                   count;      /* of messages received */
    ngx_chain_t                 *out;
    ngx_chain_t                 *last_out;   /* NULL: "out" is empty */
    ngx_chain_t                 *free;
    ngx_chain_t                 *busy;
    size_t                       size;       /* of what was collected */
    ngx_msec_t                   sent;       /* something to the client */

    ngx_http_gateway_websocket_id_t  id;     /* in link->ids */
    ngx_queue_t                  queue;      /* in link->waiting */
    ngx_msec_t                   deadline;   /* of the next message */
    ngx_msec_t                   expires;    /* 0: never */

    ngx_int_t                    chosen;     /* what choosing a peer gave */
    ngx_event_get_peer_pt        get;

    unsigned                     opening:1;  /* nginx's upstream has it */
    unsigned                     has_message:1;
    unsigned                     is_sent:1;  /* the message */
    unsigned                     streams:1;
    unsigned                     header_sent:1;
    unsigned                     header_only:1;  /* before it was opened */
    unsigned                     complete:1; /* the answer */
    unsigned                     queued:1;
    unsigned                     has_peer:1;
    unsigned                     done:1;
};


struct ngx_http_gateway_websocket_link_s {
    ngx_pool_t                  *pool;
    ngx_connection_t            *connection; /* NULL: it is being opened */
    ngx_http_gateway_websocket_loc_conf_t  *conf;
    ngx_log_t                   *log;
    ngx_str_t                    name;       /* of the peer */

    ngx_http_gateway_websocket_pass_t  *pass;  /* the opener, or the one */

    ngx_str_node_t               node;       /* in the worker's table */
    ngx_rbtree_t                 ids;        /* of requests and lost ones */
    ngx_rbtree_node_t            sentinel;
    ngx_queue_t                  waiting;    /* requests, by deadline */
    ngx_queue_t                  idle;       /* of those without any */
    ngx_uint_t                   lost;       /* ids nobody waits for now */

    ngx_http_gateway_websocket_parser_t  parser;
    ngx_http_gateway_websocket_inflate_t  *inflate;
    ngx_http_gateway_websocket_deflater_t  *deflate;

    u_char                      *start;      /* what was read */
    u_char                      *pos;
    u_char                      *last;
    u_char                      *end;

    ngx_http_gateway_websocket_assembly_t  message;  /* in parts, so far */

    u_char                      *out_start;  /* what is to be sent */
    u_char                      *out_pos;
    u_char                      *out_last;
    u_char                      *out_end;

    ngx_pool_t                  *scratch;    /* for one message */

    ngx_event_t                  timer;
    ngx_event_t                  flush;
    ngx_http_gateway_websocket_drain_t  drain;

    ngx_msec_t                   received;
    ngx_msec_t                   active;     /* a message, either way */
    ngx_msec_t                   blocked;
    ngx_msec_t                   max_age;    /* 0: never */
    ngx_msec_t                   drain_at;
    ngx_msec_t                   closing;

    ngx_uint_t                   npong;
    u_char                       pong[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL];

    unsigned                     shared:1;
    unsigned                     in_table:1;
    unsigned                     is_idle:1;
    unsigned                     has_pong:1;
    unsigned                     is_blocked:1;
    unsigned                     is_closing:1;  /* our Close frame is sent */
    unsigned                     closed:1;   /* theirs has come */
    unsigned                     paused:1;
    unsigned                     pinged:1;
    unsigned                     draining:1;
    unsigned                     reading:1;
    unsigned                     dead:1;
};


#pragma GCC visibility push(hidden)

/* ngx_http_gateway_websocket_pass.c */

ngx_int_t ngx_http_gateway_websocket_pass_handler(ngx_http_request_t *r);

/*
 * For the filters: tells whether what they see is the header and the flush of
 * the handshake; and what is to be done about it: returns NGX_OK, or the
 * status to answer with.
 */

ngx_uint_t ngx_http_gateway_websocket_pass_is_opening(ngx_http_request_t *r,
    ngx_http_gateway_websocket_pass_t *pass);
ngx_int_t ngx_http_gateway_websocket_pass_answer(ngx_http_request_t *r,
    ngx_http_gateway_websocket_pass_t *pass);

/*
 * The request is no longer the upstream's, or never was: whoever aborts what
 * the upstream does aborts "pass".
 */

void ngx_http_gateway_websocket_pass_take(
    ngx_http_gateway_websocket_pass_t *pass);

/* Has nginx's upstream open a connection for "pass". */

void ngx_http_gateway_websocket_pass_open(
    ngx_http_gateway_websocket_pass_t *pass);

/*
 * Ends a request whose connection is no longer, or never was, the upstream's:
 * "rc" is what ngx_http_finalize_request() gets.  It leaves its link.
 */

void ngx_http_gateway_websocket_pass_end(
    ngx_http_gateway_websocket_pass_t *pass, ngx_int_t rc);

/* Likewise, with a problem, or in the middle of an answer that has begun. */

void ngx_http_gateway_websocket_pass_fail(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t status, char *detail);


/* ngx_http_gateway_websocket_request.c */

/*
 * Finds host, URI and header lines of the handshake.  Returns NGX_OK, or the
 * status to answer with.
 */

ngx_int_t ngx_http_gateway_websocket_request(
    ngx_http_gateway_websocket_pass_t *pass);

/*
 * Finds the scheme of a URL: ws, wss, http or https.  Sets *len to its length
 * with "://", and *tls.  Returns NGX_OK, or NGX_DECLINED.
 */

ngx_int_t ngx_http_gateway_websocket_scheme(ngx_str_t *url, size_t *len,
    ngx_uint_t *tls);

/* Handlers of nginx's upstream. */

ngx_int_t ngx_http_gateway_websocket_create_request(ngx_http_request_t *r);
ngx_int_t ngx_http_gateway_websocket_reinit_request(ngx_http_request_t *r);
ngx_int_t ngx_http_gateway_websocket_process_status(ngx_http_request_t *r);


/* ngx_http_gateway_websocket_reply.c: the answer to the client */

/* The link is open: begins a stream. */

void ngx_http_gateway_websocket_reply_open(
    ngx_http_gateway_websocket_pass_t *pass);

/* A message; it may end the request. */

void ngx_http_gateway_websocket_reply_message(
    ngx_http_gateway_websocket_pass_t *pass, ngx_uint_t opcode, u_char *data,
    size_t len);

/*
 * All messages that were read have been given: sends those of a stream.
 * Returns NGX_OK, or NGX_DONE when the request has ended by that.
 */

ngx_int_t ngx_http_gateway_websocket_reply_flush(
    ngx_http_gateway_websocket_pass_t *pass);

/* A comment that keeps a stream alive. */

void ngx_http_gateway_websocket_reply_ping(
    ngx_http_gateway_websocket_pass_t *pass);

/* There are no more messages, and the service, or time, has ended them. */

void ngx_http_gateway_websocket_reply_end(
    ngx_http_gateway_websocket_pass_t *pass);


/* ngx_http_gateway_websocket_link.c */

/* Makes a link without a connection.  Returns NULL when there is no memory. */

ngx_http_gateway_websocket_link_t *ngx_http_gateway_websocket_link_create(
    ngx_http_gateway_websocket_loc_conf_t *wlcf);

/*
 * Gives it the connection "c", of which "len" bytes at "data" have been read
 * already.  Returns NGX_OK, or NGX_ERROR when there is no memory: "c" is the
 * caller's still.
 */

ngx_int_t ngx_http_gateway_websocket_link_start(
    ngx_http_gateway_websocket_link_t *link, ngx_connection_t *c,
    u_char *data, size_t len, ngx_http_gateway_websocket_deflate_t *deflate);

/*
 * Sends a message, at the end of this turn of the event loop.  Returns NGX_OK,
 * or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_link_send(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, ngx_str_t *s);

/* Reads on after link->paused. */

void ngx_http_gateway_websocket_link_resume(
    ngx_http_gateway_websocket_link_t *link);

/*
 * Begins to close with "code": nobody gets messages any more, and the link
 * goes when the service has closed, too, or two seconds later.
 */

void ngx_http_gateway_websocket_link_close(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t code);

/* ngx_http_gateway_websocket_receive.c: the handler of reading */

void ngx_http_gateway_websocket_link_read_handler(ngx_event_t *ev);

/* ngx_http_gateway_websocket_send.c: handlers of sending */

void ngx_http_gateway_websocket_link_write_handler(ngx_event_t *ev);
void ngx_http_gateway_websocket_link_flush_handler(ngx_event_t *ev);

/* Sends a control frame. */

ngx_int_t ngx_http_gateway_websocket_link_send_control(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, u_char *data,
    size_t len);

/*
 * The service has closed: with a code, or, 0, without a Close frame.  The link
 * may be gone afterwards.
 */

void ngx_http_gateway_websocket_link_over(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t code);

/* All that wait for an answer get a problem with "detail". */

void ngx_http_gateway_websocket_link_failed(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t status, char *detail);

/* Closes the connection at once, or as soon as nobody reads from it. */

void ngx_http_gateway_websocket_link_free(
    ngx_http_gateway_websocket_link_t *link);

/*
 * ngx_http_gateway_websocket_clock.c: sets the timer to what is due next;
 * handlers of it and of draining.
 */

void ngx_http_gateway_websocket_link_timer(
    ngx_http_gateway_websocket_link_t *link);
void ngx_http_gateway_websocket_link_timeout(ngx_event_t *ev);
void ngx_http_gateway_websocket_link_drain(void *data, ngx_msec_t delay);

/* A pool for what one message needs, or NULL. */

ngx_pool_t *ngx_http_gateway_websocket_link_scratch(
    ngx_http_gateway_websocket_link_t *link);


/* ngx_http_gateway_websocket_correlate.c */

/*
 * Finds or makes the link for "pass", and sends its message.  Returns NGX_OK
 * when the request goes on by itself, or a status.
 */

ngx_int_t ngx_http_gateway_websocket_correlate(
    ngx_http_gateway_websocket_pass_t *pass);

/* Gives a peer back, and the connection that may have been chosen with it. */

void ngx_http_gateway_websocket_give_back(ngx_http_upstream_t *u);

/* "pass", which opened the link, has it or has failed with "status". */

void ngx_http_gateway_websocket_correlate_open(
    ngx_http_gateway_websocket_link_t *link);
void ngx_http_gateway_websocket_correlate_failed(
    ngx_http_gateway_websocket_link_t *link, ngx_int_t status);

/* A request leaves a shared link; its id stays until it is answered. */

void ngx_http_gateway_websocket_correlate_leave(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass);

/* A message of a shared link. */

void ngx_http_gateway_websocket_correlate_message(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, u_char *data,
    size_t len);

/* Nobody is to be answered by this link: all fail. */

void ngx_http_gateway_websocket_correlate_lost(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t status, char *detail);

/* Requests whose time has run out. */

void ngx_http_gateway_websocket_correlate_expire(
    ngx_http_gateway_websocket_link_t *link);

/* Frees what is kept of ids. */

void ngx_http_gateway_websocket_correlate_free(
    ngx_http_gateway_websocket_link_t *link);

/* For the upstream: has nginx take the peer that was chosen already. */

ngx_int_t ngx_http_gateway_websocket_init_chosen(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);


/* ngx_http_gateway_websocket_table.c: a worker's shared links */

void ngx_http_gateway_websocket_table_init(void);

/*
 * What requests have in common that can share a link: location, peer and
 * handshake.  Returns NGX_OK and the key, in memory of "pool", or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_table_key(
    ngx_http_gateway_websocket_pass_t *pass, ngx_pool_t *pool,
    ngx_str_t *key);

/* Returns the link that has "key", or NULL. */

ngx_http_gateway_websocket_link_t *ngx_http_gateway_websocket_table_find(
    ngx_str_t *key);

/* Puts a link into the table; "key" has to live as long as it. */

void ngx_http_gateway_websocket_table_insert(
    ngx_http_gateway_websocket_link_t *link, ngx_str_t *key);

/* The link takes no more requests; it may have been removed before. */

void ngx_http_gateway_websocket_table_remove(
    ngx_http_gateway_websocket_link_t *link);

/*
 * Nobody waits on the link, or somebody does again.  Of too many idle links the
 * oldest is closed.
 */

void ngx_http_gateway_websocket_table_idle(
    ngx_http_gateway_websocket_link_t *link);
void ngx_http_gateway_websocket_table_busy(
    ngx_http_gateway_websocket_link_t *link);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_PASS_H_INCLUDED_ */
