
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns requests of GRIP's publish API: items for channels, which are groups.
 * Nothing is published of a body that is malformed anywhere.  Items are
 * published one after the other, so that they arrive in their order.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"
#include "ngx_http_gateway_websocket_grip.h"


typedef struct {
    ngx_http_gateway_websocket_pending_t   pending;
    ngx_http_gateway_websocket_local_t    *local;
    ngx_http_request_t                    *request;
    ngx_array_t                            items;
    ngx_uint_t                             next;
    unsigned                               late:1;
} ngx_http_gateway_websocket_publish_t;


static ngx_int_t ngx_http_gateway_websocket_publish_items(
    ngx_http_gateway_websocket_publish_t *publish);
static ngx_int_t ngx_http_gateway_websocket_publish_next(
    ngx_http_gateway_websocket_publish_t *publish);
static void ngx_http_gateway_websocket_publish_question(
    ngx_http_gateway_websocket_question_t *question,
    ngx_http_gateway_websocket_item_t *item);
static void ngx_http_gateway_websocket_published(
    ngx_http_gateway_websocket_pending_t *p);
static ngx_int_t ngx_http_gateway_websocket_publish_answer(
    ngx_http_request_t *r);
static void ngx_http_gateway_websocket_publish_cleanup(void *data);


ngx_int_t
ngx_http_gateway_websocket_publish(ngx_http_request_t *r,
    ngx_http_gateway_websocket_local_t *local)
{
    ngx_int_t                              rc;
    ngx_http_cleanup_t                    *cln;
    ngx_http_gateway_websocket_publish_t  *publish;

    publish = ngx_pcalloc(r->pool,
                          sizeof(ngx_http_gateway_websocket_publish_t));
    if (publish == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    publish->request = r;
    publish->local = local;

    rc = ngx_http_gateway_websocket_publish_items(publish);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_gateway_websocket_publish_cleanup;
    cln->data = publish;

    return ngx_http_gateway_websocket_publish_next(publish);
}


static ngx_int_t
ngx_http_gateway_websocket_publish_items(
    ngx_http_gateway_websocket_publish_t *publish)
{
    ngx_int_t                            rc;
    ngx_str_t                            body;
    ngx_http_request_t                  *r;
    ngx_http_gateway_websocket_item_t   *item;
    ngx_http_gateway_websocket_items_t   items;

    r = publish->request;

    rc = ngx_http_gateway_websocket_body(r, &body);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_array_init(&publish->items, r->pool, 4,
                       sizeof(ngx_http_gateway_websocket_item_t))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_websocket_items_init(&items, r->pool, &body);

    while (rc == NGX_OK) {
        item = ngx_array_push(&publish->items);
        if (item == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_gateway_websocket_items_next(&items, item);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                                                 items.error);
    }

    if (rc != NGX_DONE) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    publish->items.nelts--;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_publish_next(
    ngx_http_gateway_websocket_publish_t *publish)
{
    ngx_int_t                              rc;
    ngx_http_gateway_websocket_item_t     *item;
    ngx_http_gateway_websocket_pending_t  *p;

    p = &publish->pending;
    item = publish->items.elts;

    while (publish->next < publish->items.nelts) {

        ngx_memzero(p, sizeof(ngx_http_gateway_websocket_pending_t));

        p->local = publish->local;
        p->pool = publish->request->pool;
        p->handler = ngx_http_gateway_websocket_published;
        p->data = publish;

        ngx_http_gateway_websocket_publish_question(&p->question,
                                                    &item[publish->next++]);

        /* nobody can subscribe to a channel whose name no group may have */

        if (!ngx_http_gateway_websocket_is_group(&p->question.group)) {
            continue;
        }

        rc = ngx_http_gateway_websocket_ask(p);

        if (rc == NGX_AGAIN) {

            if (!publish->late) {
                return NGX_DONE;
            }

            /* a worker that does not answer is waited for once */

            ngx_http_gateway_websocket_forget(p);

        } else if (rc == NGX_DECLINED) {
            return ngx_http_gateway_websocket_refuse(publish->request,
                             NGX_HTTP_SERVICE_UNAVAILABLE,
                             "The zone has no room for all of it now.");

        } else if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_gateway_websocket_publish_answer(publish->request);
}


static void
ngx_http_gateway_websocket_publish_question(
    ngx_http_gateway_websocket_question_t *question,
    ngx_http_gateway_websocket_item_t *item)
{
    question->group = item->channel;

    if (item->opcode != NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE) {
        question->type = NGX_HTTP_GATEWAY_WEBSOCKET_ASK_SEND;
        question->opcode = item->opcode;
        question->data = item->data;

        return;
    }

    question->type = NGX_HTTP_GATEWAY_WEBSOCKET_ASK_CLOSE;
    question->code = item->code;
    question->data = item->reason;

    if (question->data.len == 0) {
        ngx_str_set(&question->data, "");
    }

    /* GRIP's default is a Close that says what it is */

    if (question->code == NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS) {
        question->code = 1000;
    }
}


static void
ngx_http_gateway_websocket_published(ngx_http_gateway_websocket_pending_t *p)
{
    ngx_int_t                              rc;
    ngx_connection_t                      *c;
    ngx_http_request_t                    *r;
    ngx_http_gateway_websocket_publish_t  *publish;

    publish = p->data;
    r = publish->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (p->timedout) {
        publish->late = 1;
    }

    rc = ngx_http_gateway_websocket_publish_next(publish);

    if (rc == NGX_DONE) {
        return;
    }

    ngx_http_finalize_request(r, rc);

    ngx_http_run_posted_requests(c);
}


/* what Pushpin answers */

static ngx_int_t
ngx_http_gateway_websocket_publish_answer(ngx_http_request_t *r)
{
    ngx_int_t  n;
    ngx_str_t  accept, type, text;

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "accept", &accept);
    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n > 0
        && accept.len >= sizeof("application/json") - 1
        && ngx_strncasecmp(accept.data, (u_char *) "application/json",
                           sizeof("application/json") - 1)
           == 0)
    {
        ngx_str_set(&type, "application/json");
        ngx_str_set(&text, "{\"message\":\"Published\"}\n");

    } else {
        ngx_str_set(&type, "text/plain");
        ngx_str_set(&text, "Published\n");
    }

    return ngx_http_gateway_websocket_push_send(r, NGX_HTTP_OK, &type, &text);
}


static void
ngx_http_gateway_websocket_publish_cleanup(void *data)
{
    ngx_http_gateway_websocket_publish_t *publish = data;

    ngx_http_gateway_websocket_forget(&publish->pending);
}
