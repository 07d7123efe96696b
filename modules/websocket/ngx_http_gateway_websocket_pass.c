
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns a request that is answered over a WebSocket, from the content handler
 * to its end: its body, nginx's upstream as long as that opens a connection,
 * and the moment at which the connection is taken from it.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


static ngx_int_t ngx_http_gateway_websocket_pass_check(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf);
static ngx_http_gateway_websocket_pass_t *ngx_http_gateway_websocket_new_pass(
    ngx_http_request_t *r, ngx_http_gateway_websocket_loc_conf_t *wlcf);
static ngx_uint_t ngx_http_gateway_websocket_accepts_sse(
    ngx_http_request_t *r);
static void ngx_http_gateway_websocket_pass_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_pass_begin(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_pass_message(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_uint_t ngx_http_gateway_websocket_pass_is_text(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_filter_init(void *data);
static ngx_int_t ngx_http_gateway_websocket_filter(void *data, ssize_t bytes);
static void ngx_http_gateway_websocket_pass_opened(ngx_event_t *ev);
static void ngx_http_gateway_websocket_pass_abort(void *data);
static ngx_int_t ngx_http_gateway_websocket_pass_link(
    ngx_http_gateway_websocket_pass_t *pass, ngx_connection_t *c);
static void ngx_http_gateway_websocket_abort_request(ngx_http_request_t *r);
static void ngx_http_gateway_websocket_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_gateway_websocket_pass_leave(
    ngx_http_gateway_websocket_pass_t *pass);
static void ngx_http_gateway_websocket_pass_cleanup(void *data);


ngx_int_t
ngx_http_gateway_websocket_pass_handler(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_pass_t      *pass;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    rc = ngx_http_gateway_websocket_pass_check(r, wlcf);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_gateway_websocket_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pass = ngx_http_gateway_websocket_new_pass(r, wlcf);
    if (pass == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_websocket_check_expires(r, wlcf, &pass->expires);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->pass = pass;
    pass->ctx = ctx;

    if (wlcf->send != NGX_HTTP_GATEWAY_WEBSOCKET_SEND_BODY) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        r->main->count++;

        ngx_http_gateway_websocket_pass_body(r);

        return NGX_DONE;
    }

    rc = ngx_http_read_client_request_body(r,
                                         ngx_http_gateway_websocket_pass_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_gateway_websocket_pass_check(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_table_elt_t  *h;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST|NGX_HTTP_PUT
                       |NGX_HTTP_PATCH|NGX_HTTP_DELETE|NGX_HTTP_OPTIONS)))
    {
        h = ngx_http_gateway_push_header(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_str_set(&h->key, "Allow");
        ngx_str_set(&h->value,
                    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_NOT_ALLOWED,
                             "There is no message for a request of this "
                             "method.");
    }

    if (wlcf->send == NGX_HTTP_GATEWAY_WEBSOCKET_SEND_BODY
        && r->headers_in.content_length_n > (off_t) wlcf->max_message)
    {
        return ngx_http_gateway_websocket_refuse(r,
                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                             "The request body is larger than a message may "
                             "be.");
    }

    return ngx_http_gateway_websocket_check_origin(r, wlcf);
}


static ngx_http_gateway_websocket_pass_t *
ngx_http_gateway_websocket_new_pass(ngx_http_request_t *r,
    ngx_http_gateway_websocket_loc_conf_t *wlcf)
{
    ngx_http_cleanup_t                 *cln;
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_websocket_pass_t));
    if (pass == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_gateway_websocket_pass_cleanup;
    cln->data = pass;

    pass->request = r;
    pass->conf = wlcf;
    pass->reply = wlcf->reply;

    if (wlcf->correlate == NULL
        && pass->reply.format != NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE
        && ngx_http_gateway_websocket_accepts_sse(r))
    {
        pass->reply.format = NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE;

        /* an EventSource takes one message for a stream that broke */

        if (pass->reply.end == NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_MESSAGE) {
            pass->reply.end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE;
        }
    }

    pass->streams = (pass->reply.format
                     != NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_WHOLE);

    return pass;
}


static ngx_uint_t
ngx_http_gateway_websocket_accepts_sse(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_int_t   n;
    ngx_str_t   value;

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "accept", &value);
    if (n < 1) {
        return 0;
    }

    p = value.data;
    last = p + value.len;

    p = ngx_strlcasestrn(p, last, (u_char *) "text/event-stream",
                         sizeof("text/event-stream") - 2);
    if (p == NULL) {
        return 0;
    }

    p += sizeof("text/event-stream") - 1;

    return p == last || *p == ',' || *p == ';' || *p == ' ' || *p == '\t';
}


static void
ngx_http_gateway_websocket_pass_body(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    rc = ngx_http_gateway_websocket_pass_begin(ctx->pass);

    if (rc != NGX_OK) {
        ctx->pass->done = 1;
        ngx_http_finalize_request(r, rc);
    }
}


/* returns NGX_OK when the request goes on by itself, or a status */

static ngx_int_t
ngx_http_gateway_websocket_pass_begin(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t             rc;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = pass->request;

    rc = ngx_http_gateway_websocket_pass_message(pass);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u = r->upstream;
    pass->upstream = u;

    u->conf = &pass->conf->upstream;
    u->output.tag = (ngx_buf_tag_t) &ngx_http_gateway_websocket_module;

    ngx_str_set(&u->schema, "ws://");

#if (NGX_HTTP_SSL)
    if (pass->conf->url == NULL && pass->conf->ssl) {
        u->ssl = 1;
        ngx_str_set(&u->schema, "wss://");
    }
#endif

    u->create_request = ngx_http_gateway_websocket_create_request;
    u->reinit_request = ngx_http_gateway_websocket_reinit_request;
    u->process_header = ngx_http_gateway_websocket_process_status;
    u->abort_request = ngx_http_gateway_websocket_abort_request;
    u->finalize_request = ngx_http_gateway_websocket_finalize_request;

    u->input_filter_init = ngx_http_gateway_websocket_filter_init;
    u->input_filter = ngx_http_gateway_websocket_filter;
    u->input_filter_ctx = pass;

    rc = ngx_http_gateway_websocket_request(pass);

    if (rc != NGX_OK) {
        return rc;
    }

    if (pass->conf->correlate) {
        return ngx_http_gateway_websocket_correlate(pass);
    }

    ngx_http_gateway_websocket_pass_open(pass);

    return NGX_OK;
}


/* what is sent after the handshake, as one string */

static ngx_int_t
ngx_http_gateway_websocket_pass_message(
    ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t  rc;

    if (pass->conf->send == NGX_HTTP_GATEWAY_WEBSOCKET_SEND_NONE) {
        return NGX_OK;
    }

    if (pass->conf->send == NGX_HTTP_GATEWAY_WEBSOCKET_SEND_VALUE) {

        if (ngx_http_complex_value(pass->request, pass->conf->send_value,
                                   &pass->message)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        pass->has_message = 1;

    } else {
        rc = ngx_http_gateway_websocket_body(pass->request, &pass->message);

        if (rc != NGX_OK) {
            return rc;
        }

        pass->has_message = (pass->message.len != 0);
    }

    if (pass->message.len > pass->conf->max_message) {
        return ngx_http_gateway_websocket_refuse(pass->request,
                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                             "The request body is larger than a message may "
                             "be.");
    }

    pass->opcode = ngx_http_gateway_websocket_pass_is_text(pass)
                   ? NGX_HTTP_GATEWAY_WEBSOCKET_TEXT
                   : NGX_HTTP_GATEWAY_WEBSOCKET_BINARY;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_body(ngx_http_request_t *r, ngx_str_t *body)
{
    off_t                                   size;
    u_char                                 *p;
    ssize_t                                 n;
    ngx_buf_t                              *b;
    ngx_chain_t                            *cl;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    ngx_str_null(body);

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    if (size > (off_t) wlcf->max_message) {
        return ngx_http_gateway_websocket_refuse(r,
                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                             "The request body is larger than a message may "
                             "be.");
    }

    if (size == 0) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    b = cl->buf;

    if (cl->next == NULL && !b->in_file) {
        body->data = b->pos;
        body->len = b->last - b->pos;

        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, (size_t) size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->data = p;
    body->len = (size_t) size;

    for ( /* void */ ; cl; cl = cl->next) {
        b = cl->buf;

        if (!b->in_file) {

            if (b->last != b->pos) {
                p = ngx_cpymem(p, b->pos, b->last - b->pos);
            }

            continue;
        }

        size = b->file_last - b->file_pos;
        n = ngx_read_file(b->file, p, (size_t) size, b->file_pos);

        if (n != (ssize_t) size) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_websocket_pass_is_text(
    ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_str_t                          *type;
    ngx_table_elt_t                    *h;
    ngx_http_gateway_websocket_utf8_t   utf8;

    h = pass->request->headers_in.content_type;

    if (pass->conf->send == NGX_HTTP_GATEWAY_WEBSOCKET_SEND_BODY && h) {
        type = &h->value;

        if (type->len >= 24
            && ngx_strncasecmp(type->data,
                               (u_char *) "application/octet-stream", 24)
               == 0)
        {
            return 0;
        }
    }

    ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

    return ngx_http_gateway_websocket_utf8(&utf8, pass->message.data,
                                           pass->message.len)
           == NGX_OK
           && utf8.left == 0;
}


void
ngx_http_gateway_websocket_pass_open(ngx_http_gateway_websocket_pass_t *pass)
{
    pass->opening = 1;

    /* of auth_request and mirror: the upstream would stop at the 101 */

    pass->header_only = pass->request->header_only;
    pass->request->header_only = 0;

    ngx_http_upstream_init(pass->request);
}


ngx_uint_t
ngx_http_gateway_websocket_pass_is_opening(ngx_http_request_t *r,
    ngx_http_gateway_websocket_pass_t *pass)
{
    return pass->opening && r->upstream == pass->upstream;
}


ngx_int_t
ngx_http_gateway_websocket_pass_answer(ngx_http_request_t *r,
    ngx_http_gateway_websocket_pass_t *pass)
{
    if (pass->status.code == NGX_HTTP_SWITCHING_PROTOCOLS) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream answered a websocket handshake with %ui",
                  pass->status.code);

    return NGX_HTTP_BAD_GATEWAY;
}


/* the upstream has come to the body of its answer: there are frames now */

static ngx_int_t
ngx_http_gateway_websocket_filter_init(void *data)
{
    ngx_http_gateway_websocket_pass_t *pass = data;

    ngx_http_upstream_t  *u;

    u = pass->upstream;

    /* until the header is sent, an error is one with a status */

    u->header_sent = 0;

    pass->preread = u->buffer.pos;
    pass->npreread = u->buffer.last - u->buffer.pos;

    u->buffer.pos = u->buffer.last;

    /* the upstream looks once for what it might read, and finds nothing */

    u->peer.connection->read->ready = 0;

    pass->start.handler = ngx_http_gateway_websocket_pass_opened;
    pass->start.data = pass;
    pass->start.log = pass->request->connection->log;

    ngx_post_event(&pass->start, &ngx_posted_events);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_filter(void *data, ssize_t bytes)
{
    return NGX_ERROR;
}


/* the connection leaves the upstream, whose part is done */

static void
ngx_http_gateway_websocket_pass_opened(ngx_event_t *ev)
{
    ngx_connection_t                   *c, *pc;
    ngx_http_request_t                 *r;
    ngx_http_upstream_t                *u;
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = ev->data;

    r = pass->request;
    c = r->connection;
    u = pass->upstream;
    pc = u->peer.connection;

    if (pc->read->timer_set) {
        ngx_del_timer(pc->read);
    }

    if (pc->write->timer_set) {
        ngx_del_timer(pc->write);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (ngx_http_gateway_websocket_pass_link(pass, pc) != NGX_OK) {
        (*u->cleanup)(r);
        ngx_http_run_posted_requests(c);
        return;
    }

    u->peer.connection = NULL;

    *u->cleanup = NULL;

    pass->opening = 0;

    r->header_only = pass->header_only;
    r->headers_out.status = 0;

    ngx_http_gateway_websocket_pass_take(pass);

    if (pass->link->shared) {
        ngx_http_gateway_websocket_correlate_open(pass->link);

    } else {
        ngx_http_gateway_websocket_reply_open(pass);
    }

    ngx_http_run_posted_requests(c);
}


void
ngx_http_gateway_websocket_pass_take(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_http_request_t  *r;

    r = pass->request;

    pass->has_peer = 1;

    pass->abort = ngx_http_gateway_websocket_pass_abort;
    pass->upstream->cleanup = &pass->abort;

    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
}


/* as ngx_http_upstream_cleanup(), which this takes the place of */

static void
ngx_http_gateway_websocket_pass_abort(void *data)
{
    ngx_http_request_t *r = data;

    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx && ctx->pass) {
        ngx_http_gateway_websocket_pass_leave(ctx->pass);
    }

    ngx_http_finalize_request(r, NGX_DONE);
}


static ngx_int_t
ngx_http_gateway_websocket_pass_link(ngx_http_gateway_websocket_pass_t *pass,
    ngx_connection_t *c)
{
    ngx_http_gateway_websocket_link_t  *link;

    link = pass->link;

    if (link == NULL) {
        link = ngx_http_gateway_websocket_link_create(pass->conf);
        if (link == NULL) {
            return NGX_ERROR;
        }

        link->pass = pass;
        pass->link = link;
    }

    link->name.data = ngx_pstrdup(link->pool, pass->upstream->peer.name);
    if (link->name.data == NULL) {
        return NGX_ERROR;
    }

    link->name.len = pass->upstream->peer.name->len;

    return ngx_http_gateway_websocket_link_start(link, c, pass->preread,
                                                 pass->npreread,
                                                 &pass->deflate);
}


static void
ngx_http_gateway_websocket_abort_request(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "abort http gateway websocket request");
}


/* the upstream gives up before there is a WebSocket */

static void
ngx_http_gateway_websocket_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc)
{
    ngx_http_gateway_websocket_link_t  *link;
    ngx_http_gateway_websocket_ctx_t   *ctx;
    ngx_http_gateway_websocket_pass_t  *pass;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL || ctx->pass == NULL) {
        return;
    }

    pass = ctx->pass;

    pass->opening = 0;
    pass->done = 1;

    r->header_only = pass->header_only;

    if (pass->start.posted) {
        ngx_delete_posted_event(&pass->start);
    }

    if (rc == NGX_HTTP_BAD_GATEWAY) {
        ngx_http_gateway_websocket_refuse(r, rc,
                         "No WebSocket to the service could be opened.");

    } else if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_http_gateway_websocket_refuse(r, rc,
                         "No WebSocket to the service could be opened in "
                         "time.");
    }

    link = pass->link;
    pass->link = NULL;

    if (link && link->shared) {
        ngx_http_gateway_websocket_correlate_failed(link, rc);

    } else if (link) {
        ngx_http_gateway_websocket_link_close(link,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY);
    }
}


void
ngx_http_gateway_websocket_pass_end(ngx_http_gateway_websocket_pass_t *pass,
    ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = pass->request->connection;

    ngx_http_gateway_websocket_pass_leave(pass);

    ngx_http_finalize_request(pass->request, rc);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_gateway_websocket_pass_fail(ngx_http_gateway_websocket_pass_t *pass,
    ngx_uint_t status, char *detail)
{
    if (pass->header_sent) {

        /* the answer is cut off, so that it is not taken for a whole one */

        if (ngx_http_gateway_websocket_reply_flush(pass) != NGX_OK) {
            return;
        }

        pass->request->keepalive = 0;
        ngx_http_gateway_websocket_pass_end(pass, NGX_ERROR);

        return;
    }

    ngx_http_gateway_websocket_pass_end(pass,
               ngx_http_gateway_websocket_refuse(pass->request, status,
                                                 detail));
}


/* neither link nor peer is the request's any more */

static void
ngx_http_gateway_websocket_pass_leave(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_uint_t                          code;
    ngx_http_upstream_t                *u;
    ngx_http_gateway_websocket_link_t  *link;

    pass->done = 1;

    link = pass->link;
    pass->link = NULL;

    if (link && link->shared) {
        ngx_http_gateway_websocket_correlate_leave(link, pass);

    } else if (link) {
        link->pass = NULL;

        code = (pass->request->connection->error
                || pass->request->connection->timedout)
               ? NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY
               : NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL;

        ngx_http_gateway_websocket_closed(pass->ctx, code,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY);
        ngx_http_gateway_websocket_link_close(link, code);
    }

    u = pass->upstream;

    if (!pass->has_peer || u == NULL) {
        return;
    }

    pass->has_peer = 0;
    u->cleanup = NULL;

    if (u->state && u->state->response_time == (ngx_msec_t) -1) {
        u->state->response_time = ngx_current_msec - u->start_time;
    }

    ngx_http_gateway_websocket_give_back(u);
}


static void
ngx_http_gateway_websocket_pass_cleanup(void *data)
{
    ngx_http_gateway_websocket_pass_t *pass = data;

    if (pass->start.posted) {
        ngx_delete_posted_event(&pass->start);
    }

    if (!pass->opening) {
        ngx_http_gateway_websocket_pass_leave(pass);
    }
}
