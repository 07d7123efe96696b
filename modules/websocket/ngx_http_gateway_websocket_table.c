
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the table of a worker's shared links, and how many of them may be idle.
 *
 * The URI is the client's, and with it how many handshakes differ: without a
 * bound one client could fill the worker with connections that stay.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_IDLE  64


static ngx_rbtree_t       ngx_http_gateway_websocket_links;
static ngx_rbtree_node_t  ngx_http_gateway_websocket_links_sentinel;

static ngx_queue_t        ngx_http_gateway_websocket_idle;
static ngx_uint_t         ngx_http_gateway_websocket_nidle;


void
ngx_http_gateway_websocket_table_init(void)
{
    ngx_rbtree_init(&ngx_http_gateway_websocket_links,
                    &ngx_http_gateway_websocket_links_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&ngx_http_gateway_websocket_idle);
    ngx_http_gateway_websocket_nidle = 0;
}


ngx_http_gateway_websocket_link_t *
ngx_http_gateway_websocket_table_find(ngx_str_t *key)
{
    ngx_str_node_t  *node;

    node = ngx_str_rbtree_lookup(&ngx_http_gateway_websocket_links, key,
                                 ngx_murmur_hash2(key->data, key->len));
    if (node == NULL) {
        return NULL;
    }

    return (ngx_http_gateway_websocket_link_t *)
               ((u_char *) node
                - offsetof(ngx_http_gateway_websocket_link_t, node));
}


ngx_int_t
ngx_http_gateway_websocket_table_key(ngx_http_gateway_websocket_pass_t *pass,
    ngx_pool_t *pool, ngx_str_t *key)
{
    u_char                 *p;
    ngx_peer_connection_t  *pc;

    pc = &pass->upstream->peer;

    key->len = sizeof(void *) + sizeof(uint32_t) + pc->socklen
               + pass->uri.len + 1 + pass->fields.len;

    p = ngx_pnalloc(pool, key->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, &pass->conf, sizeof(void *));
    p = ngx_cpymem(p, &pc->socklen, sizeof(uint32_t));
    p = ngx_cpymem(p, pc->sockaddr, pc->socklen);
    p = ngx_cpymem(p, pass->uri.data, pass->uri.len);
    *p++ = LF;
    ngx_memcpy(p, pass->fields.data, pass->fields.len);

    return NGX_OK;
}


void
ngx_http_gateway_websocket_table_insert(
    ngx_http_gateway_websocket_link_t *link, ngx_str_t *key)
{
    link->node.str = *key;
    link->node.node.key = ngx_murmur_hash2(key->data, key->len);

    ngx_rbtree_insert(&ngx_http_gateway_websocket_links, &link->node.node);

    link->in_table = 1;
}


void
ngx_http_gateway_websocket_table_remove(
    ngx_http_gateway_websocket_link_t *link)
{
    if (link->in_table) {
        ngx_rbtree_delete(&ngx_http_gateway_websocket_links,
                          &link->node.node);
        link->in_table = 0;
    }

    ngx_http_gateway_websocket_table_busy(link);
}


void
ngx_http_gateway_websocket_table_idle(ngx_http_gateway_websocket_link_t *link)
{
    ngx_queue_t  *q;

    ngx_queue_insert_tail(&ngx_http_gateway_websocket_idle, &link->idle);
    link->is_idle = 1;

    if (++ngx_http_gateway_websocket_nidle
        <= NGX_HTTP_GATEWAY_WEBSOCKET_MAX_IDLE)
    {
        return;
    }

    /* the one that has been idle for the longest time */

    q = ngx_queue_head(&ngx_http_gateway_websocket_idle);

    ngx_http_gateway_websocket_link_close(
                   ngx_queue_data(q, ngx_http_gateway_websocket_link_t, idle),
                   NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL);
}


void
ngx_http_gateway_websocket_table_busy(ngx_http_gateway_websocket_link_t *link)
{
    if (link->is_idle) {
        ngx_queue_remove(&link->idle);
        link->is_idle = 0;
        ngx_http_gateway_websocket_nidle--;
    }
}
