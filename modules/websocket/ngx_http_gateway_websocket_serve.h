
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * WebSocket clients that are served by HTTP services: the session of a client,
 * the messages that it sends, and the requests that are made of them.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_SERVE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_SERVE_H_INCLUDED_


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_assemble.h"
#include "ngx_http_gateway_websocket_zone.h"

#include "../common/ngx_http_gateway_subrequest.h"


/* names and values that a service keeps at the gateway, bytes */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_STATE    4096

/* what is read at once, bytes */

#define NGX_HTTP_GATEWAY_WEBSOCKET_READ         16384

/* of a request to the service, beside those of the handshake */

#define NGX_HTTP_GATEWAY_WEBSOCKET_FIELDS       8

/* of a session */

#define NGX_HTTP_GATEWAY_WEBSOCKET_CONNECTING   0   /* before the 101 */
#define NGX_HTTP_GATEWAY_WEBSOCKET_OPEN         1
#define NGX_HTTP_GATEWAY_WEBSOCKET_CLOSING      2   /* a Close was sent */
#define NGX_HTTP_GATEWAY_WEBSOCKET_GONE         3   /* no connection */

#define NGX_HTTP_GATEWAY_WEBSOCKET_CONNECT      0
#define NGX_HTTP_GATEWAY_WEBSOCKET_MESSAGE      1
#define NGX_HTTP_GATEWAY_WEBSOCKET_DISCONNECT   2


typedef struct ngx_http_gateway_websocket_exchange_s
    ngx_http_gateway_websocket_exchange_t;


/* a message of a client, in memory of its own */

typedef struct {
    ngx_queue_t                  queue;
    ngx_uint_t                   opcode;
    size_t                       len;
    u_char                       data[1];
} ngx_http_gateway_websocket_message_t;


/* a frame to a client that could not be sent at once */

typedef struct {
    ngx_queue_t                  queue;
    size_t                       pos;
    size_t                       len;
    unsigned                     message:1;
    u_char                       data[1];
} ngx_http_gateway_websocket_frame_t;


/*
 * What requests to the service have of the handshake.  All of it is memory of
 * the session: it is used after the handshake's request has gone.
 */

typedef struct {
    ngx_http_connection_t        hc;
    ngx_http_headers_in_t        headers_in;
    ngx_http_gateway_subrequests_t  subrequests;

    ngx_array_t                  inherited;  /* of variables, by messages */
    ngx_http_variable_value_t   *values;     /* of these, and of others */

    /* what the request is to be logged with */

    ngx_http_conf_ctx_t          conf;
    time_t                       start_sec;
    ngx_msec_t                   start_msec;
    off_t                        request_length;
    size_t                       header_size;
    ngx_uint_t                   limit_conn_status;
    ngx_uint_t                   limit_req_status;

    ngx_str_t                    request_line;
    ngx_str_t                    unparsed_uri;
    ngx_str_t                    uri;
    ngx_str_t                    args;

    struct sockaddr             *sockaddr;
    socklen_t                    socklen;
    struct sockaddr             *local_sockaddr;
    socklen_t                    local_socklen;
    ngx_str_t                    addr_text;
    ngx_listening_t             *listening;
    ngx_atomic_uint_t            number;
    ngx_log_handler_pt           log_handler;
} ngx_http_gateway_websocket_profile_t;


struct ngx_http_gateway_websocket_session_s {
    uint32_t                     signature;  /* not that of a request */

    ngx_http_gateway_websocket_member_t  member;

    ngx_pool_t                  *pool;
    ngx_log_t                   *log;
    ngx_http_gateway_websocket_loc_conf_t  *conf;
    ngx_http_gateway_websocket_profile_t   *profile;

    ngx_connection_t            *connection; /* NULL: none yet, or gone */
    ngx_http_request_t          *request;    /* NULL: gone */
    ngx_pool_cleanup_t          *cleanup;    /* of the request */

    ngx_str_t                    uri;        /* of messages */
    ngx_str_t                   *routes;     /* of routes; NULL: conf's own */
    ngx_str_t                    disconnect; /* empty: nobody is told */
    ngx_str_t                    protocol;   /* for the 101, in memory of */
    ngx_str_t                    extensions; /* its request */
    ngx_str_t                    state;      /* "a=1; b=2", of ngx_alloc() */
    ngx_str_t                    close_reason;
    ngx_str_t                    user_agent;

    ngx_queue_t                  messages;   /* that wait */
    ngx_uint_t                   nmessages;
    ngx_queue_t                  exchanges;
    ngx_uint_t                   nexchanges; /* that wait for answers */
    ngx_uint_t                   concurrency;
    ngx_queue_t                  frames;     /* to the client */
    ngx_uint_t                   nframes;    /* of messages */

    ngx_http_gateway_websocket_parser_t    parser;
    ngx_http_gateway_websocket_assembly_t  message;  /* not whole yet */
    u_char                      *rest;       /* read, not looked at */
    size_t                       nrest;

    ngx_http_gateway_websocket_inflate_t   *inflate;
    ngx_http_gateway_websocket_deflater_t  *deflate;

    ngx_event_t                  timer;
    ngx_event_t                  event;      /* there is something to do */
    ngx_http_gateway_websocket_drain_t  drain;

    ngx_msec_t                   received;   /* something of the client */
    ngx_msec_t                   active;     /* a message, either way */
    ngx_msec_t                   blocked;    /* the client does not read */
    ngx_msec_t                   pinged;
    ngx_msec_t                   closing;    /* until when */
    ngx_msec_t                   drain_at;
    ngx_msec_t                   expires;    /* 0: never */
    ngx_msec_t                   max_age;    /* likewise */
    ngx_msec_t                   connected;  /* in ngx_current_msec's time */
    time_t                       connected_sec;
    ngx_msec_t                   connected_msec;

    int64_t                      tat;        /* of the limit, microseconds */
    uint32_t                     fraction;

    uint64_t                     messages_in;
    uint64_t                     messages_out;
    ngx_uint_t                   close;      /* status code, 0: not closed */
    ngx_uint_t                   closed_by;

    /* of websocket-events */

    ngx_str_t                    prefix;     /* of messages with GRIP */
    ngx_msec_t                   keep_alive; /* interval, 0: none */
    ngx_msec_t                   answered;

    unsigned                     phase:2;
    unsigned                     opens:1;    /* it takes the connection */
    unsigned                     accepted:1; /* the service knows of it */
    unsigned                     told:1;     /* and of its end */
    unsigned                     waits:1;    /* to tell it */
    unsigned                     is_blocked:1;
    unsigned                     is_pinged:1;
    unsigned                     draining:1;
    unsigned                     closed:1;   /* a Close of the client came */
    unsigned                     discard:1;  /* what it sends is no frames */
    unsigned                     shut:1;     /* nothing is sent any more */
    unsigned                     broken:1;   /* nothing can be sent */
    unsigned                     reading:1;
    unsigned                     paused:1;   /* until messages have gone */
    unsigned                     events:1;   /* websocket-events */
    unsigned                     opened:1;   /* its OPEN was answered */
    unsigned                     grip:1;     /* it was agreed on */
    unsigned                     fresh:1;    /* "rest" is to be looked at */
};


/* a request to the service, on a connection that has no socket */

struct ngx_http_gateway_websocket_exchange_s {
    ngx_queue_t                  queue;      /* session->exchanges */
    ngx_http_gateway_websocket_session_t  *session;

    ngx_http_request_t          *main;
    ngx_http_request_t          *request;    /* the subrequest */
    ngx_http_post_subrequest_t   post;
    ngx_event_t                  event;      /* it has ended */

    ngx_log_t                    log;
    ngx_http_log_ctx_t           log_ctx;
    ngx_buf_t                    buffer;     /* an empty one */

    ngx_uint_t                   kind;       /* CONNECT, ... */
    ngx_http_gateway_websocket_message_t  *message;

    ngx_uint_t                   status;
    ngx_str_t                    body;
    size_t                       room;

    unsigned                     ended:1;
    unsigned                     complete:1;
    unsigned                     failed:1;
    unsigned                     answered:1; /* not by an error of nginx */
    unsigned                     terminated:1;
};


/* the fields of an answer that are for the gateway */

typedef struct {
    ngx_str_t                    type;       /* Content-Type */
    ngx_str_t                    close;      /* Gateway-Close */
    ngx_str_t                    protocol;   /* Sec-WebSocket-Protocol */
    ngx_str_t                    extensions; /* Sec-WebSocket-Extensions */
    ngx_str_t                    keep_alive; /* Keep-Alive-Interval */
    ngx_str_t                    accepted;   /* Content-Bytes-Accepted */
    unsigned                     encoded:1;  /* Content-Encoding */
} ngx_http_gateway_websocket_response_t;


#pragma GCC visibility push(hidden)

/* ngx_http_gateway_websocket_serve_conf.c */

char *ngx_http_gateway_websocket_set_serve(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_route(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_told(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_websocket_set_on_error(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* Parts of creating and merging a location's configuration. */

void ngx_http_gateway_websocket_create_serve(
    ngx_http_gateway_websocket_loc_conf_t *conf);
ngx_int_t ngx_http_gateway_websocket_merge_serve(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf);


/* ngx_http_gateway_websocket_serve.c: the handshake */

ngx_int_t ngx_http_gateway_websocket_serve_handler(ngx_http_request_t *r);

/*
 * The service was asked whether the client is welcome: accepts the handshake
 * or refuses it.
 */

void ngx_http_gateway_websocket_serve_connected(
    ngx_http_gateway_websocket_exchange_t *x);


/* ngx_http_gateway_websocket_profile.c */

/*
 * Makes s->profile of the handshake, in memory of s->pool.  Returns NGX_OK, or
 * the status to answer with.
 */

ngx_int_t ngx_http_gateway_websocket_profile(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);

/*
 * Makes one for a client of which only the address and the host that it asked
 * for are known, both may be empty; "cscf" is its server's.  Returns NGX_OK, or
 * NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_profile_orphan(
    ngx_http_gateway_websocket_session_t *s, ngx_http_core_srv_conf_t *cscf,
    ngx_str_t *addr, ngx_str_t *host);

/*
 * Copies "src", which may be "dst", to memory of "pool", with the NUL byte that
 * core has behind values of header fields.  Returns NGX_OK, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_dup(ngx_pool_t *pool, ngx_str_t *dst,
    ngx_str_t *src);

/*
 * Finds the variables whose values are kept.  Returns NGX_OK, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_profile_variables(ngx_cycle_t *cycle,
    ngx_http_gateway_websocket_main_conf_t *wmcf);

/*
 * Frees the request of the handshake while the connection lasts, if nobody else
 * needs it: c->data is the session then.
 */

void ngx_http_gateway_websocket_profile_release(
    ngx_http_gateway_websocket_session_t *s);

/*
 * Makes the request of the handshake once more, for "c", to be logged and to
 * end with it.  Returns NULL when there is no memory.
 */

ngx_http_request_t *ngx_http_gateway_websocket_profile_revive(
    ngx_http_gateway_websocket_session_t *s, ngx_connection_t *c);


/* ngx_http_gateway_websocket_session.c */

/* Makes a session without a connection.  Returns NULL without memory. */

ngx_http_gateway_websocket_session_t *ngx_http_gateway_websocket_session(
    ngx_http_gateway_websocket_loc_conf_t *wlcf);

/* The 101 has been sent: frames are read and sent from now on. */

void ngx_http_gateway_websocket_session_open(
    ngx_http_gateway_websocket_session_t *s);

/* The session of a client's connection, which has one. */

ngx_http_gateway_websocket_session_t *ngx_http_gateway_websocket_session_of(
    ngx_connection_t *c);

/*
 * Sends a Close and waits for the client's; what is read until then is thrown
 * away.  Does nothing when a Close was sent.  "reason" is UTF-8 of at most 123
 * bytes, and is copied.
 */

void ngx_http_gateway_websocket_session_close(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t code,
    ngx_str_t *reason, ngx_uint_t by);

/* Likewise, by the gateway, with a constant reason. */

void ngx_http_gateway_websocket_session_end(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t code, char *reason);

/*
 * Ends the connection at once and, when nothing of it is left to do, the
 * session.
 */

void ngx_http_gateway_websocket_session_gone(
    ngx_http_gateway_websocket_session_t *s);

/* Has the session look what there is to do, when this event is over. */

void ngx_http_gateway_websocket_session_wake(
    ngx_http_gateway_websocket_session_t *s);

/* The first code and who closed stay. */

void ngx_http_gateway_websocket_session_closed(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t code, ngx_uint_t by);

/* Frees a session that has no connection and no exchanges. */

void ngx_http_gateway_websocket_session_free(
    ngx_http_gateway_websocket_session_t *s);


/* ngx_http_gateway_websocket_member.c: what others do with a session */

/*
 * Sends a message, or a PING or PONG of at most 125 bytes; "data" is copied
 * when it has to be kept.  Returns NGX_OK,
 * NGX_BUSY when too many wait to be sent, NGX_DECLINED when it is closing, or
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_deliver(
    ngx_http_gateway_websocket_member_t *m, ngx_uint_t opcode,
    ngx_str_t *data);

/* Closes a connection.  Returns NGX_OK, or NGX_DECLINED when it is closing. */

ngx_int_t ngx_http_gateway_websocket_dismiss(
    ngx_http_gateway_websocket_member_t *m, ngx_uint_t code,
    ngx_str_t *reason);

/*
 * Describes a connection: JSON members without braces, in memory of "pool".
 * Returns NGX_OK, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_describe(
    ngx_http_gateway_websocket_member_t *m, ngx_pool_t *pool,
    ngx_str_t *text);

/*
 * A connection of a worker that died: its service is told.  "id" and "will"
 * are the caller's.
 */

void ngx_http_gateway_websocket_orphan(ngx_str_t *id, ngx_str_t *will);

/*
 * Writes what orphan() has to know of a session to memory that the caller has
 * to free.  Returns NGX_OK, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_will(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *will);

/* The state has changed, or the service has accepted the connection. */

void ngx_http_gateway_websocket_renew_will(
    ngx_http_gateway_websocket_session_t *s);


/* ngx_http_gateway_websocket_intake.c: what clients send */

void ngx_http_gateway_websocket_session_read_handler(ngx_event_t *ev);
void ngx_http_gateway_websocket_session_read(
    ngx_http_gateway_websocket_session_t *s);


/* ngx_http_gateway_websocket_output.c: what they are sent */

void ngx_http_gateway_websocket_session_write_handler(ngx_event_t *ev);

/*
 * Sends a message, or keeps what the client cannot take yet.  Returns NGX_OK,
 * or NGX_ERROR when there is no memory, or the connection is broken.
 */

ngx_int_t ngx_http_gateway_websocket_session_send(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len);

/* Likewise, a control frame. */

ngx_int_t ngx_http_gateway_websocket_session_control(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t opcode, u_char *data,
    size_t len);

/* Frees what has not been sent. */

void ngx_http_gateway_websocket_session_drop(
    ngx_http_gateway_websocket_session_t *s);


/* ngx_http_gateway_websocket_timing.c: the timer, and draining */

void ngx_http_gateway_websocket_session_timer(
    ngx_http_gateway_websocket_session_t *s);
void ngx_http_gateway_websocket_session_timeout(ngx_event_t *ev);
void ngx_http_gateway_websocket_session_drain(void *data, ngx_msec_t delay);


/* ngx_http_gateway_websocket_message.c */

/*
 * Begins the fields of a request, for which there is room at "elts".
 */

void ngx_http_gateway_websocket_fields_init(
    ngx_http_gateway_websocket_session_t *s, ngx_array_t *fields,
    ngx_http_gateway_field_t *elts, char *event);

/* Add one; nothing is copied.  Return NGX_OK, or NGX_ERROR without memory. */

ngx_int_t ngx_http_gateway_websocket_fields_add(ngx_array_t *fields,
    char *name, char *lowcase, char *value);
ngx_int_t ngx_http_gateway_websocket_fields_add_str(ngx_array_t *fields,
    char *name, char *lowcase, ngx_str_t *value);

/* Memory that lasts until it is asked for again, or NULL. */

ngx_pool_t *ngx_http_gateway_websocket_message_pool(void);

/*
 * Gives the service as many of the messages that wait as it may have.  Of
 * those that cannot be given the client is told.
 */

void ngx_http_gateway_websocket_messages_run(
    ngx_http_gateway_websocket_session_t *s);

/* Forgets those that wait. */

void ngx_http_gateway_websocket_messages_drop(
    ngx_http_gateway_websocket_session_t *s);

/* A message was answered. */

void ngx_http_gateway_websocket_message_answered(
    ngx_http_gateway_websocket_exchange_t *x);

/*
 * Tells a service that a connection has ended, as soon as not too many are
 * told at once, and frees the session then.
 */

void ngx_http_gateway_websocket_tell(ngx_http_gateway_websocket_session_t *s);

/* The service has been told. */

void ngx_http_gateway_websocket_told(
    ngx_http_gateway_websocket_exchange_t *x);

void ngx_http_gateway_websocket_tell_init(void);


/* ngx_http_gateway_websocket_exchange.c */

/*
 * Asks the service: "uri" with arguments, "fields" beside those of the
 * handshake, and the body, which may be NULL.  "message" belongs to the
 * exchange then.
 *
 * Returns NGX_OK; the exchange ends when its event is handled, never earlier.
 * Returns NGX_ERROR when there is no memory, NGX_BUSY when there are not
 * enough worker_connections.
 */

ngx_int_t ngx_http_gateway_websocket_exchange(
    ngx_http_gateway_websocket_session_t *s, ngx_uint_t kind, ngx_str_t *uri,
    ngx_array_t *fields, ngx_str_t *body,
    ngx_http_gateway_websocket_message_t *message);

/* Returns the exchange that "r" is the subrequest of, or NULL. */

ngx_http_gateway_websocket_exchange_t *ngx_http_gateway_websocket_get_exchange(
    ngx_http_request_t *r);

/* For the filters: the answer, which goes no further. */

ngx_int_t ngx_http_gateway_websocket_exchange_header(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r);
ngx_int_t ngx_http_gateway_websocket_exchange_body(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    ngx_chain_t *in);

/*
 * The client's connection goes: what is asked for it goes on without its TLS.
 */

void ngx_http_gateway_websocket_exchange_forget(
    ngx_http_gateway_websocket_exchange_t *x);

/* To be called when a worker starts.  Returns NGX_OK, or NGX_ERROR. */

ngx_int_t ngx_http_gateway_websocket_exchange_init_process(
    ngx_cycle_t *cycle);

/*
 * Frees an exchange that has ended, and its message.  It stays in
 * s->exchanges until core has let go of it.
 */

void ngx_http_gateway_websocket_exchange_free(
    ngx_http_gateway_websocket_exchange_t *x);


/*
 * ngx_http_gateway_websocket_serve_events.c: requests to a service that speaks
 * websocket-events.  Return what ngx_http_gateway_websocket_exchange() does.
 */

ngx_int_t ngx_http_gateway_websocket_events_open(
    ngx_http_gateway_websocket_session_t *s);
ngx_int_t ngx_http_gateway_websocket_events_give(
    ngx_http_gateway_websocket_session_t *s,
    ngx_http_gateway_websocket_message_t *m);
ngx_int_t ngx_http_gateway_websocket_events_keep_alive(
    ngx_http_gateway_websocket_session_t *s);
ngx_int_t ngx_http_gateway_websocket_events_tell(
    ngx_http_gateway_websocket_session_t *s);

/*
 * The answer to the first one, which has a status of success.  Returns NULL, or
 * what is wrong with it.
 */

char *ngx_http_gateway_websocket_events_connected(
    ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *response);

/* Does what is in a list of events that has been checked; passes OPEN. */

void ngx_http_gateway_websocket_events_run(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *body);

/* The answer to a message. */

void ngx_http_gateway_websocket_events_answered(
    ngx_http_gateway_websocket_exchange_t *x);


/* ngx_http_gateway_websocket_answer.c */

/*
 * Reads the fields of an answer, and does what they say about state and
 * groups.  Returns NULL, or what is wrong with them, when none of it was done.
 */

char *ngx_http_gateway_websocket_answer(
    ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *answer);

/*
 * Copies the fields of an answer that have one of "names", in lower case and
 * ended by an empty one, to what the client of "r" is answered.  Returns
 * NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_websocket_answer_copy(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    ngx_str_t *names);

/*
 * The opcode of a message with this Content-Type, which may be empty.  Returns
 * NGX_OK, or NGX_DECLINED when it should be text and is not UTF-8.
 */

ngx_int_t ngx_http_gateway_websocket_type(ngx_str_t *type, ngx_str_t *data,
    ngx_uint_t *opcode);

/*
 * Parses "CODE [reason]".  "reason" points into "value" and is at most 123
 * bytes of UTF-8 without control characters.  Returns NGX_OK, or NGX_DECLINED.
 */

ngx_int_t ngx_http_gateway_websocket_close_value(ngx_str_t *value,
    ngx_uint_t *code, ngx_str_t *reason);

/*
 * Closes a session as an answer's Gateway-Close says.  Returns NGX_OK, or
 * NGX_DECLINED when there is none that is valid.
 */

ngx_int_t ngx_http_gateway_websocket_answer_close(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *value);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_SERVE_H_INCLUDED_ */
