
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns requests of services that push: which connection or group is meant, what
 * is to be done, and the answer.  Who has the connections is no matter here.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"
#include "ngx_http_gateway_websocket_serve.h"


/* what the path of a request names */

#define NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_NOTHING     0
#define NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_CONNECTION  1
#define NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_GROUP       2
#define NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_PUBLISH     3


typedef struct {
    ngx_http_gateway_websocket_pending_t   pending;
    ngx_http_request_t                    *request;
} ngx_http_gateway_websocket_push_t;


static ngx_uint_t ngx_http_gateway_websocket_push_target(ngx_http_request_t *r,
    u_char *id, ngx_str_t *group);
static ngx_int_t ngx_http_gateway_websocket_push_id(ngx_str_t *text,
    u_char *id);
static ngx_int_t ngx_http_gateway_websocket_push_methods(ngx_http_request_t *r,
    ngx_uint_t target);
static void ngx_http_gateway_websocket_push_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_push_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_push_question(
    ngx_http_request_t *r, ngx_http_gateway_websocket_question_t *question);
static ngx_int_t ngx_http_gateway_websocket_push_message(
    ngx_http_request_t *r, ngx_http_gateway_websocket_question_t *question);
static ngx_int_t ngx_http_gateway_websocket_push_close(ngx_http_request_t *r,
    ngx_http_gateway_websocket_question_t *question);
static void ngx_http_gateway_websocket_push_answered(
    ngx_http_gateway_websocket_pending_t *p);
static ngx_int_t ngx_http_gateway_websocket_push_answer(
    ngx_http_gateway_websocket_push_t *push);
static ngx_int_t ngx_http_gateway_websocket_push_refusal(
    ngx_http_gateway_websocket_push_t *push);
static ngx_int_t ngx_http_gateway_websocket_push_group_answer(
    ngx_http_gateway_websocket_push_t *push);
static ngx_int_t ngx_http_gateway_websocket_push_refuse(ngx_http_request_t *r,
    ngx_uint_t status, char *title, char *detail);
static void ngx_http_gateway_websocket_push_cleanup(void *data);


static ngx_str_t  ngx_http_gateway_websocket_json =
    ngx_string("application/json");


char *
ngx_http_gateway_websocket_set_push(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t                               *value, name;
    ngx_uint_t                               i;
    ngx_http_core_loc_conf_t                *clcf;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    if (wlcf->push_zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0
            && wlcf->push_zone == NULL)
        {
            name.data = value[i].data + 5;
            name.len = value[i].len - 5;

            wlcf->push_zone = ngx_http_gateway_websocket_zone(cf, &name);
            if (wlcf->push_zone == NULL) {
                return NGX_CONF_ERROR;
            }

        } else if (ngx_strcmp(value[i].data, "type=text") == 0
                   && wlcf->push_opcode == 0)
        {
            wlcf->push_opcode = NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;

        } else if (ngx_strcmp(value[i].data, "type=binary") == 0
                   && wlcf->push_opcode == 0)
        {
            wlcf->push_opcode = NGX_HTTP_GATEWAY_WEBSOCKET_BINARY;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", it must "
                               "be \"zone=NAME\", \"type=text\" or "
                               "\"type=binary\", each once",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if (wlcf->push_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone=NAME\" in \"%V\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    wmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_websocket_module);
    wmcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_gateway_websocket_push_handler;

    return NGX_CONF_OK;
}


void
ngx_http_gateway_websocket_merge_push(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->push_zone || prev->push_zone == NULL
        || !(clcf->noname || clcf->lmt_excpt))
    {
        return;
    }

    conf->push_zone = prev->push_zone;
    conf->push_opcode = prev->push_opcode;

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_gateway_websocket_push_handler;
    }
}


ngx_int_t
ngx_http_gateway_websocket_push_handler(ngx_http_request_t *r)
{
    u_char                                  id[
                                         NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE];
    ngx_int_t                               rc;
    ngx_str_t                               group;
    ngx_uint_t                              target;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    target = ngx_http_gateway_websocket_push_target(r, id, &group);

    rc = ngx_http_gateway_websocket_push_methods(r, target);

    if (rc != NGX_OK) {
        return rc;
    }

    if (target == NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_NOTHING) {
        return ngx_http_gateway_websocket_push_refuse(r, NGX_HTTP_NOT_FOUND,
                             "Not Found",
                             "The path names neither a connection nor a "
                             "group.");
    }

    if (r->method == NGX_HTTP_POST) {
        wlcf = ngx_http_get_module_loc_conf(r,
                                           ngx_http_gateway_websocket_module);

        if (r->headers_in.content_length_n > (off_t) wlcf->max_message) {
            return ngx_http_gateway_websocket_refuse(r,
                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                             "The request body is larger than a message may "
                             "be.");
        }

        rc = ngx_http_read_client_request_body(r,
                                         ngx_http_gateway_websocket_push_body);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return rc;
        }

        return NGX_DONE;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++;

    ngx_http_gateway_websocket_push_body(r);

    return NGX_DONE;
}


/* ".../groups/NAME", ".../publish/", or else the last segment decides */

static ngx_uint_t
ngx_http_gateway_websocket_push_target(ngx_http_request_t *r, u_char *id,
    ngx_str_t *group)
{
    u_char     *p, *last;
    ngx_str_t   name;

    last = r->uri.data + r->uri.len;

    for (p = last; p > r->uri.data && p[-1] != '/'; p--) { /* void */ }

    name.data = p;
    name.len = last - p;

    *group = name;

    if (p - r->uri.data >= 8 && ngx_strncmp(p - 8, "/groups/", 8) == 0) {
        return ngx_http_gateway_websocket_is_group(&name)
               ? NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_GROUP
               : NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_NOTHING;
    }

    if ((name.len == 7 && ngx_strncmp(name.data, "publish", 7) == 0)
        || (name.len == 0 && p - r->uri.data >= 9
            && ngx_strncmp(p - 9, "/publish/", 9) == 0))
    {
        return NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_PUBLISH;
    }

    if (ngx_http_gateway_websocket_push_id(&name, id) == NGX_OK) {
        group->len = 0;
        return NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_CONNECTION;
    }

    return ngx_http_gateway_websocket_is_group(&name)
           ? NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_GROUP
           : NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_NOTHING;
}


static ngx_int_t
ngx_http_gateway_websocket_push_id(ngx_str_t *text, u_char *id)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (text->len != NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE; i++) {
        n = ngx_hextoi(text->data + 2 * i, 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        id[i] = (u_char) n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_push_methods(ngx_http_request_t *r,
    ngx_uint_t target)
{
    ngx_uint_t        methods;
    ngx_table_elt_t  *h;

    methods = NGX_HTTP_POST;

    if (target != NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_PUBLISH) {
        methods |= NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_DELETE;
    }

    if (r->method & methods) {
        return NGX_OK;
    }

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->key, "Allow");

    if (target == NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_PUBLISH) {
        ngx_str_set(&h->value, "POST");

    } else {
        ngx_str_set(&h->value, "GET, HEAD, POST, DELETE");
    }

    return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_NOT_ALLOWED,
                             "A push has another method.");
}


static void
ngx_http_gateway_websocket_push_body(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_gateway_websocket_push_begin(r);

    /* NGX_DONE: there is an answer to be waited for */

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_http_gateway_websocket_push_begin(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_uint_t                              target;
    ngx_http_cleanup_t                     *cln;
    ngx_http_gateway_websocket_push_t      *push;
    ngx_http_gateway_websocket_local_t     *local;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;
    ngx_http_gateway_websocket_question_t  *question;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    local = ngx_http_gateway_websocket_get_local(wlcf->push_zone);
    if (local == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    push = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_websocket_push_t));
    if (push == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    push->request = r;
    push->pending.local = local;
    push->pending.pool = r->pool;
    push->pending.data = push;
    push->pending.handler = ngx_http_gateway_websocket_push_answered;

    question = &push->pending.question;

    target = ngx_http_gateway_websocket_push_target(r, question->id,
                                                    &question->group);

    if (target == NGX_HTTP_GATEWAY_WEBSOCKET_TARGET_PUBLISH) {
        return ngx_http_gateway_websocket_publish(r, local);
    }

    rc = ngx_http_gateway_websocket_push_question(r, question);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_gateway_websocket_ask(&push->pending);

    if (rc == NGX_AGAIN) {
        cln->handler = ngx_http_gateway_websocket_push_cleanup;
        cln->data = push;

        return NGX_DONE;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_gateway_websocket_refuse(r,
                             NGX_HTTP_SERVICE_UNAVAILABLE,
                             "The zone has no room for it now.");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_gateway_websocket_push_answer(push);
}


static ngx_int_t
ngx_http_gateway_websocket_push_question(ngx_http_request_t *r,
    ngx_http_gateway_websocket_question_t *question)
{
    switch (r->method) {

    case NGX_HTTP_POST:
        question->type = NGX_HTTP_GATEWAY_WEBSOCKET_ASK_SEND;
        return ngx_http_gateway_websocket_push_message(r, question);

    case NGX_HTTP_DELETE:
        question->type = NGX_HTTP_GATEWAY_WEBSOCKET_ASK_CLOSE;
        return ngx_http_gateway_websocket_push_close(r, question);

    default: /* NGX_HTTP_GET, NGX_HTTP_HEAD */
        question->type = NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK;
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_gateway_websocket_push_message(ngx_http_request_t *r,
    ngx_http_gateway_websocket_question_t *question)
{
    ngx_int_t                               rc;
    ngx_str_t                               type;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    rc = ngx_http_gateway_websocket_body(r, &question->data);

    if (rc != NGX_OK) {
        return rc;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_websocket_module);

    if (wlcf->push_opcode == NGX_HTTP_GATEWAY_WEBSOCKET_BINARY) {
        question->opcode = wlcf->push_opcode;
        return NGX_OK;
    }

    ngx_str_null(&type);

    if (wlcf->push_opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT) {
        ngx_str_set(&type, "text/plain");

    } else if (r->headers_in.content_type) {
        type = r->headers_in.content_type->value;
    }

    if (ngx_http_gateway_websocket_type(&type, &question->data,
                                        &question->opcode)
        != NGX_OK)
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                             "A text is UTF-8, which the request body is "
                             "not.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_push_close(ngx_http_request_t *r,
    ngx_http_gateway_websocket_question_t *question)
{
    ngx_int_t  n;
    ngx_str_t  value;

    n = ngx_http_gateway_websocket_fields(r->pool, &r->headers_in.headers,
                                          "gateway-close", &value);
    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n == 0) {
        question->code = 1000;
        ngx_str_set(&question->data, "");

        return NGX_OK;
    }

    if (n > 1
        || ngx_http_gateway_websocket_close_value(&value, &question->code,
                                                  &question->data)
           != NGX_OK)
    {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_BAD_REQUEST,
                             "Gateway-Close has to be a code that may be "
                             "sent, and a reason of 123 bytes at most.");
    }

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_push_answered(
    ngx_http_gateway_websocket_pending_t *p)
{
    ngx_connection_t                   *c;
    ngx_http_request_t                 *r;
    ngx_http_gateway_websocket_push_t  *push;

    push = p->data;
    r = push->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, ngx_http_gateway_websocket_push_answer(push));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_gateway_websocket_push_answer(ngx_http_gateway_websocket_push_t *push)
{
    u_char               buf[sizeof("{\"reached\":}\n") + NGX_INT_T_LEN];
    ngx_str_t            text;
    ngx_http_request_t  *r;

    r = push->request;

    if (push->pending.question.group.len) {
        return ngx_http_gateway_websocket_push_group_answer(push);
    }

    if (push->pending.timedout || push->pending.answer.rc != NGX_OK) {
        return ngx_http_gateway_websocket_push_refusal(push);
    }

    switch (push->pending.question.type) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_ASK_CLOSE:
        return NGX_HTTP_NO_CONTENT;

    case NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK:
        return ngx_http_gateway_websocket_push_send(r, NGX_HTTP_OK,
                                              &ngx_http_gateway_websocket_json,
                                              &push->pending.text);

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_ASK_SEND */
        text.data = buf;
        text.len = ngx_sprintf(buf, "{\"reached\":%ui}\n",
                               push->pending.answer.reached)
                   - buf;

        return ngx_http_gateway_websocket_push_send(r, NGX_HTTP_OK,
                                              &ngx_http_gateway_websocket_json,
                                              &text);
    }
}


static ngx_int_t
ngx_http_gateway_websocket_push_refusal(
    ngx_http_gateway_websocket_push_t *push)
{
    ngx_http_request_t  *r;

    r = push->request;

    if (push->pending.timedout) {
        return ngx_http_gateway_websocket_refuse(r, NGX_HTTP_GATEWAY_TIME_OUT,
                             "The worker that has the connection has not "
                             "answered.");
    }

    switch (push->pending.answer.rc) {

    case NGX_BUSY:
        return ngx_http_gateway_websocket_push_refuse(r,
                             NGX_HTTP_TOO_MANY_REQUESTS, "Too Many Requests",
                             "Too many messages wait for the client.");

    case NGX_DECLINED:
        return ngx_http_gateway_websocket_push_refuse(r, 410, "Gone",
                             "There is no such connection, or none any more.");

    default: /* NGX_ERROR */
        return ngx_http_gateway_websocket_refuse(r,
                             NGX_HTTP_SERVICE_UNAVAILABLE,
                             "There is no memory for it now.");
    }
}


static ngx_int_t
ngx_http_gateway_websocket_push_group_answer(
    ngx_http_gateway_websocket_push_t *push)
{
    u_char                                *p;
    ngx_str_t                              text;
    ngx_http_request_t                    *r;
    ngx_http_gateway_websocket_pending_t  *pending;

    r = push->request;
    pending = &push->pending;

    p = ngx_pnalloc(r->pool,
                    sizeof("{\"group\":\"\",\"connections\":,\"full\":}\n")
                    + pending->question.group.len + 2 * NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;

    if (pending->question.type == NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK) {
        p = ngx_sprintf(p, "{\"group\":\"%V\",\"connections\":%ui",
                        &pending->question.group, pending->answer.reached);

    } else {
        p = ngx_sprintf(p, "{\"reached\":%ui", pending->answer.reached);
    }

    if (pending->answer.full) {
        p = ngx_sprintf(p, ",\"full\":%ui", pending->answer.full);
    }

    p = ngx_cpymem(p, "}\n", sizeof("}\n") - 1);

    text.len = p - text.data;

    return ngx_http_gateway_websocket_push_send(r, NGX_HTTP_OK,
                                              &ngx_http_gateway_websocket_json,
                                              &text);
}


ngx_int_t
ngx_http_gateway_websocket_push_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = text->len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    r->disable_not_modified = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, text->len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, text->data, text->len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_gateway_websocket_push_refuse(ngx_http_request_t *r,
    ngx_uint_t status, char *title, char *detail)
{
    ngx_int_t                          rc;
    ngx_http_gateway_websocket_ctx_t  *ctx;

    rc = ngx_http_gateway_websocket_refuse(r, status, detail);

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx) {
        ctx->problem.title.len = ngx_strlen(title);
        ctx->problem.title.data = (u_char *) title;
    }

    return rc;
}


static void
ngx_http_gateway_websocket_push_cleanup(void *data)
{
    ngx_http_gateway_websocket_push_t *push = data;

    ngx_http_gateway_websocket_forget(&push->pending);
}
