
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the links that many requests share: the requests that wait on each, and
 * whose answer a message is.
 *
 * Requests share a link when they have the same location, peer and handshake.
 * The first one has nginx's upstream open it, the others wait for that.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


/* what a service has not read, beyond which it gets no more requests, bytes */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_UNREAD  (1024 * 1024)

/* a link with more ids that may still be answered takes no more requests */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_LOST  1024


static ngx_int_t ngx_http_gateway_websocket_correlate_id(
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *id);
static ngx_int_t ngx_http_gateway_websocket_choose(
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_get_chosen(
    ngx_peer_connection_t *pc, void *data);
static ngx_int_t ngx_http_gateway_websocket_new_link(
    ngx_http_gateway_websocket_pass_t *pass, ngx_str_t *key);
static void ngx_http_gateway_websocket_join(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass);
static ngx_int_t ngx_http_gateway_websocket_follow(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass);
static void ngx_http_gateway_websocket_ask(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass);
static void ngx_http_gateway_websocket_next_opener(
    ngx_http_gateway_websocket_link_t *link);
static void ngx_http_gateway_websocket_retry(ngx_event_t *ev);
static void ngx_http_gateway_websocket_keep_id(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass);


ngx_int_t
ngx_http_gateway_websocket_correlate(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t                           rc;
    ngx_str_t                           key, *id;
    ngx_http_request_t                 *r;
    ngx_http_gateway_websocket_link_t  *link;

    r = pass->request;
    id = &pass->id.node.str;

    rc = ngx_http_gateway_websocket_correlate_id(pass->conf, r->pool,
                                                 &pass->message, id);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK || pass->opcode != NGX_HTTP_GATEWAY_WEBSOCKET_TEXT) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                  "The request has to be JSON with an id, a "
                                  "string or a number, to be answered by.");
    }

    pass->id.node.node.key = ngx_murmur_hash2(id->data, id->len);
    pass->id.pass = pass;

    rc = ngx_http_gateway_websocket_choose(pass);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_gateway_websocket_table_key(pass, r->pool, &key) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    link = ngx_http_gateway_websocket_table_find(&key);

    if (link == NULL) {
        return ngx_http_gateway_websocket_new_link(pass, &key);
    }

    if (ngx_str_rbtree_lookup(&link->ids, id,
                              (uint32_t) pass->id.node.node.key))
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_CONFLICT,
                                    "A request with the same id has not been "
                                    "answered yet.");
    }

    if (link->out_last - link->out_pos > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_UNREAD)
    {
        return ngx_http_gateway_websocket_refuse(r,
                                   NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "The service does not read its requests "
                                   "as fast as they come.");
    }

    return ngx_http_gateway_websocket_follow(link, pass);
}


/*
 * Finds the id in a JSON text.  Returns NGX_OK, NGX_DECLINED when there is
 * none, or NGX_ERROR when there is no memory.
 */

static ngx_int_t
ngx_http_gateway_websocket_correlate_id(
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *id)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   json, value, decoded;

    if (text->len == 0
        || !ngx_http_gateway_websocket_is_json(text->data, text->len, &json))
    {
        return NGX_DECLINED;
    }

    rc = ngx_http_gateway_json_find(pool, &json, wlcf->correlate, &value);

    if (rc != NGX_OK) {
        return rc;
    }

    switch (value.data[0]) {

    case '"':
        value.data++;
        value.len -= 2;

        rc = ngx_http_gateway_json_decode(pool, &value, &decoded);

        if (rc != NGX_OK) {
            return rc;
        }

        /* without escapes it stands behind its quote already */

        if (decoded.data == value.data) {
            id->data = value.data - 1;
            id->len = value.len + 1;

            return NGX_OK;
        }

        p = ngx_pnalloc(pool, decoded.len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        id->data = p;
        id->len = decoded.len + 1;

        *p++ = '"';
        ngx_memcpy(p, decoded.data, decoded.len);

        return NGX_OK;

    case '{':
    case '[':
    case 't':
    case 'f':
    case 'n':
        return NGX_DECLINED;

    default:
        *id = value;
        return NGX_OK;
    }
}


/* as nginx's upstream does before it connects */

static ngx_int_t
ngx_http_gateway_websocket_choose(ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_int_t                      rc;
    ngx_http_request_t            *r;
    ngx_http_upstream_t           *u;
    ngx_http_upstream_srv_conf_t  *srv;

    r = pass->request;
    u = pass->upstream;
    srv = pass->conf->srv;

    u->upstream = srv;

    if (srv->peer.init(r, srv) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u->start_time = ngx_current_msec;

    rc = u->peer.get(&u->peer, u->peer.data);

    if (rc == NGX_OK || rc == NGX_DONE) {
        pass->chosen = rc;
        pass->has_peer = 1;

        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "no live upstreams");

    return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_GATEWAY,
                                      "No WebSocket to the service could be "
                                      "opened.");
}


/* what has been chosen is connected to, and only other tries choose anew */

ngx_int_t
ngx_http_gateway_websocket_init_chosen(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t                *u;
    ngx_http_gateway_websocket_pass_t  *pass;

    u = r->upstream;
    pass = u->input_filter_ctx;

    pass->get = u->peer.get;
    u->peer.get = ngx_http_gateway_websocket_get_chosen;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_get_chosen(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_upstream_t                *u;
    ngx_http_gateway_websocket_pass_t  *pass;

    u = (ngx_http_upstream_t *) ((u_char *) pc
                                 - offsetof(ngx_http_upstream_t, peer));
    pass = u->input_filter_ctx;

    pc->get = pass->get;

    return pass->chosen;
}


static ngx_int_t
ngx_http_gateway_websocket_new_link(ngx_http_gateway_websocket_pass_t *pass,
    ngx_str_t *key)
{
    ngx_str_t                           copy;
    ngx_http_gateway_websocket_link_t  *link;

    link = ngx_http_gateway_websocket_link_create(pass->conf);
    if (link == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    copy.len = key->len;
    copy.data = ngx_pstrdup(link->pool, key);

    if (copy.data == NULL) {
        ngx_destroy_pool(link->pool);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    link->shared = 1;
    link->pass = pass;

    ngx_http_gateway_websocket_table_insert(link, &copy);
    ngx_http_gateway_websocket_join(link, pass);

    /* the peer is the upstream's until there is a WebSocket */

    pass->has_peer = 0;

    ngx_http_gateway_websocket_pass_open(pass);

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_join(ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass)
{
    pass->link = link;
    pass->queued = 1;

    ngx_queue_insert_tail(&link->waiting, &pass->queue);
    ngx_rbtree_insert(&link->ids, &pass->id.node.node);

    ngx_http_gateway_websocket_table_busy(link);
}


/* the connection is there, or will be */

static ngx_int_t
ngx_http_gateway_websocket_follow(ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_http_request_t         *r;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *state;

    r = pass->request;
    u = pass->upstream;

    if (pass->chosen == NGX_DONE) {
        ngx_http_gateway_websocket_give_back(u);
    }

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(r->pool, 1,
                                           sizeof(ngx_http_upstream_state_t));
        if (r->upstream_states == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    state = ngx_array_push(r->upstream_states);
    if (state == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(state, sizeof(ngx_http_upstream_state_t));

    state->response_time = (ngx_msec_t) -1;
    state->connect_time = (ngx_msec_t) -1;
    state->header_time = (ngx_msec_t) -1;
    state->peer = u->peer.name;

    u->state = state;

    ngx_http_gateway_websocket_pass_take(pass);

    if (r == r->main) {

        if (r->connection->read->ready) {
            ngx_post_event(r->connection->read, &ngx_posted_events);

        } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ngx_http_gateway_websocket_join(link, pass);

    if (link->connection) {
        ngx_http_gateway_websocket_ask(link, pass);
    }

    return NGX_OK;
}


void
ngx_http_gateway_websocket_give_back(ngx_http_upstream_t *u)
{
    ngx_pool_t  *pool;

    if (u->peer.connection) {

        /* one of "keepalive", which has not been used */

        u->keepalive = 1;
        u->request_body_sent = 1;
    }

    if (u->peer.free && u->peer.sockaddr) {
        u->peer.free(&u->peer, u->peer.data, 0);
        u->peer.sockaddr = NULL;
    }

    if (u->peer.connection) {
        pool = u->peer.connection->pool;

        ngx_close_connection(u->peer.connection);
        u->peer.connection = NULL;

        if (pool) {
            ngx_destroy_pool(pool);
        }
    }
}


static void
ngx_http_gateway_websocket_ask(ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass)
{
    if (ngx_http_gateway_websocket_link_send(link, pass->opcode,
                                             &pass->message)
        != NGX_OK)
    {
        ngx_http_gateway_websocket_pass_fail(pass,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR,
                                             "There is no memory.");
        return;
    }

    pass->is_sent = 1;
    pass->ctx->messages_out++;
    pass->deadline = ngx_current_msec + pass->conf->upstream.read_timeout;

    /* deadlines of those that came before are earlier */

    link->timer.cancelable = 0;

    if ((ngx_msec_int_t) (pass->deadline - link->timer.timer.key) < 0) {
        ngx_http_gateway_websocket_link_timer(link);
    }
}


void
ngx_http_gateway_websocket_correlate_open(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_str_t                           key;
    ngx_queue_t                        *q, *next;
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = link->pass;
    link->pass = NULL;

    /* another peer than the one that was tried first may have answered */

    if (ngx_http_gateway_websocket_table_key(pass, link->pool, &key) == NGX_OK
        && (key.len != link->node.str.len
            || ngx_memcmp(key.data, link->node.str.data, key.len) != 0))
    {
        ngx_http_gateway_websocket_table_remove(link);

        if (ngx_http_gateway_websocket_table_find(&key) == NULL) {
            ngx_http_gateway_websocket_table_insert(link, &key);
        }
    }

    for (q = ngx_queue_head(&link->waiting);
         q != ngx_queue_sentinel(&link->waiting);
         q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_gateway_websocket_ask(link,
               ngx_queue_data(q, ngx_http_gateway_websocket_pass_t, queue));
    }

    ngx_http_gateway_websocket_link_timer(link);
}


void
ngx_http_gateway_websocket_correlate_failed(
    ngx_http_gateway_websocket_link_t *link, ngx_int_t status)
{
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = link->pass;

    ngx_queue_remove(&pass->queue);
    ngx_rbtree_delete(&link->ids, &pass->id.node.node);
    pass->queued = 0;

    if (status == NGX_HTTP_BAD_GATEWAY || status == NGX_HTTP_GATEWAY_TIME_OUT
        || status == NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        link->dead = 1;
        ngx_http_gateway_websocket_correlate_lost(link, NGX_HTTP_BAD_GATEWAY,
                              "No WebSocket to the service could be opened.");
        ngx_http_gateway_websocket_link_free(link);

        return;
    }

    ngx_http_gateway_websocket_next_opener(link);
}


/* the client of the one that was to open the link has left */

static void
ngx_http_gateway_websocket_next_opener(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_pass_t  *pass;

    if (ngx_queue_empty(&link->waiting)) {
        ngx_http_gateway_websocket_link_free(link);
        return;
    }

    q = ngx_queue_head(&link->waiting);
    pass = ngx_queue_data(q, ngx_http_gateway_websocket_pass_t, queue);

    link->pass = pass;

    pass->start.handler = ngx_http_gateway_websocket_retry;
    pass->start.data = pass;
    pass->start.log = pass->request->connection->log;

    ngx_post_event(&pass->start, &ngx_posted_events);
}


static void
ngx_http_gateway_websocket_retry(ngx_event_t *ev)
{
    ngx_int_t                           rc;
    ngx_connection_t                   *c;
    ngx_http_gateway_websocket_pass_t  *pass;

    pass = ev->data;
    c = pass->request->connection;

    if (pass->upstream->peer.sockaddr == NULL) {
        rc = ngx_http_gateway_websocket_choose(pass);

        if (rc != NGX_OK) {
            ngx_http_gateway_websocket_pass_end(pass, rc);
            return;
        }
    }

    pass->upstream->cleanup = NULL;
    pass->has_peer = 0;

    ngx_http_gateway_websocket_pass_open(pass);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_gateway_websocket_correlate_lost(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t status, char *detail)
{
    ngx_queue_t  *q;

    ngx_http_gateway_websocket_table_remove(link);

    while (!ngx_queue_empty(&link->waiting)) {
        q = ngx_queue_head(&link->waiting);

        ngx_http_gateway_websocket_pass_fail(
                 ngx_queue_data(q, ngx_http_gateway_websocket_pass_t, queue),
                 status, detail);
    }
}


void
ngx_http_gateway_websocket_correlate_expire(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_pass_t  *pass;

    while (!ngx_queue_empty(&link->waiting)) {
        q = ngx_queue_head(&link->waiting);
        pass = ngx_queue_data(q, ngx_http_gateway_websocket_pass_t, queue);

        if ((ngx_msec_int_t) (pass->deadline - ngx_current_msec) > 0) {
            break;
        }

        ngx_http_gateway_websocket_pass_fail(pass, NGX_HTTP_GATEWAY_TIME_OUT,
                                        "The service did not answer in time.");
    }
}


void
ngx_http_gateway_websocket_correlate_message(
    ngx_http_gateway_websocket_link_t *link, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    ngx_str_t                           text, id;
    ngx_pool_t                         *pool;
    ngx_str_node_t                     *node;
    ngx_http_gateway_websocket_id_t    *found;
    ngx_http_gateway_websocket_pass_t  *pass;

    if (opcode != NGX_HTTP_GATEWAY_WEBSOCKET_TEXT) {
        return;
    }

    pool = ngx_http_gateway_websocket_link_scratch(link);
    if (pool == NULL) {
        return;
    }

    text.data = data;
    text.len = len;

    if (ngx_http_gateway_websocket_correlate_id(link->conf, pool, &text, &id)
        != NGX_OK)
    {
        return;
    }

    node = ngx_str_rbtree_lookup(&link->ids, &id,
                                 ngx_murmur_hash2(id.data, id.len));
    if (node == NULL) {
        return;
    }

    found = (ngx_http_gateway_websocket_id_t *) node;
    pass = found->pass;

    if (pass == NULL) {

        /* the answer that nobody waits for any more */

        ngx_rbtree_delete(&link->ids, &node->node);
        ngx_free(found);
        link->lost--;

        return;
    }

    if (!pass->is_sent) {
        return;
    }

    /* its next message, if there is to be one, may come last of all */

    ngx_queue_remove(&pass->queue);
    ngx_queue_insert_tail(&link->waiting, &pass->queue);

    ngx_http_gateway_websocket_reply_message(pass, opcode, data, len);
}


void
ngx_http_gateway_websocket_correlate_leave(
    ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass)
{
    if (!pass->queued) {
        return;
    }

    pass->queued = 0;

    ngx_queue_remove(&pass->queue);
    ngx_rbtree_delete(&link->ids, &pass->id.node.node);

    link->active = ngx_current_msec;

    if (link->dead || link->is_closing) {
        return;
    }

    if (link->connection == NULL) {

        if (link->pass == pass) {
            ngx_http_gateway_websocket_next_opener(link);
        }

        return;
    }

    if (pass->is_sent && !pass->complete) {
        ngx_http_gateway_websocket_keep_id(link, pass);
    }

    if (!ngx_queue_empty(&link->waiting)) {
        return;
    }

    if (!link->in_table) {
        ngx_http_gateway_websocket_link_close(link,
                                       NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY);
        return;
    }

    link->timer.cancelable = !link->draining;

    if (link->conf->idle_timeout
        && (ngx_msec_int_t) (link->active + link->conf->idle_timeout
                             - link->timer.timer.key)
           < 0)
    {
        ngx_http_gateway_websocket_link_timer(link);
    }

    ngx_http_gateway_websocket_table_idle(link);
}


/* its answer may come yet, and must not be another request's */

static void
ngx_http_gateway_websocket_keep_id(ngx_http_gateway_websocket_link_t *link,
    ngx_http_gateway_websocket_pass_t *pass)
{
    ngx_str_t                        *id;
    ngx_http_gateway_websocket_id_t  *lost;

    id = &pass->id.node.str;

    lost = ngx_alloc(sizeof(ngx_http_gateway_websocket_id_t) + id->len,
                     link->log);

    if (lost == NULL) {
        ngx_http_gateway_websocket_table_remove(link);
        return;
    }

    /* the key of a node that was deleted is gone */

    lost->pass = NULL;
    lost->node.node.key = ngx_murmur_hash2(id->data, id->len);
    lost->node.str.len = id->len;
    lost->node.str.data = (u_char *) (lost + 1);

    ngx_memcpy(lost->node.str.data, id->data, id->len);

    ngx_rbtree_insert(&link->ids, &lost->node.node);

    if (++link->lost > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_LOST) {
        ngx_http_gateway_websocket_table_remove(link);
    }
}


void
ngx_http_gateway_websocket_correlate_free(
    ngx_http_gateway_websocket_link_t *link)
{
    ngx_rbtree_node_t  *node;

    ngx_http_gateway_websocket_table_remove(link);

    /* requests have left; what remains was kept of them */

    while (link->ids.root != &link->sentinel) {
        node = ngx_rbtree_min(link->ids.root, &link->sentinel);

        ngx_rbtree_delete(&link->ids, node);
        ngx_free(node);
    }
}
