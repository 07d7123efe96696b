
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the answer: decides which one it is, and makes the object of all parts.
 */


#include "ngx_http_gateway_aggregate.h"


/* values that are shorter are copied: one buffer is cheaper than three */

#define NGX_HTTP_GATEWAY_AGGREGATE_COPY  1024


static ngx_int_t ngx_http_gateway_aggregate_send(
    ngx_http_gateway_aggregate_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_aggregate_set_headers(
    ngx_http_gateway_aggregate_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_aggregate_set_status(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_list(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_uint_t truncated,
    ngx_str_t *names);

static ngx_int_t ngx_http_gateway_aggregate_add_nodes(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_array_t *nodes,
    ngx_array_t *texts);
static ngx_uint_t ngx_http_gateway_aggregate_is_shown(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node);
static ngx_int_t ngx_http_gateway_aggregate_add_part(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_part_t *part, ngx_array_t *texts);
static ngx_int_t ngx_http_gateway_aggregate_add_text(ngx_array_t *texts,
    u_char *data, size_t len);


#define ngx_http_gateway_aggregate_add_string(texts, s)                       \
    ngx_http_gateway_aggregate_add_text(texts, (u_char *) s, sizeof(s) - 1)


ngx_int_t
ngx_http_gateway_aggregate_answer(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_uint_t                           i;
    ngx_http_gateway_aggregate_state_t  *state;

    /* the first that has failed, as written, decides */

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        if (state->state != NGX_HTTP_GATEWAY_AGGREGATE_FAILED
            || state->part->optional)
        {
            continue;
        }

        ngx_str_set(&ctx->status, "failed");

        if (ngx_http_gateway_aggregate_list(ctx, 0, &ctx->missing) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (state->passed) {
            return ngx_http_gateway_aggregate_send_passed(ctx, state->passed);
        }

        return ngx_http_gateway_aggregate_refuse_answer(ctx, state);
    }

    return ngx_http_gateway_aggregate_send(ctx);
}


static ngx_int_t
ngx_http_gateway_aggregate_send(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    off_t                length;
    ngx_int_t            rc;
    ngx_array_t          texts;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->aggregate->merges
        && ctx->aggregate->nodes.nelts > 1
        && ngx_http_gateway_aggregate_merge(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_array_init(&texts, r->pool, ctx->aggregate->parts.nelts * 4 + 2,
                       sizeof(ngx_str_t))
        != NGX_OK
        || ngx_http_gateway_aggregate_add_nodes(ctx, &ctx->aggregate->nodes,
                                                &texts)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out = ngx_http_gateway_aggregate_make_chain(r, &texts, &length);

    if (out == NULL || ngx_http_gateway_aggregate_set_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* conditions of the request are about something that has no validators */

    r->disable_not_modified = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = length;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}


static ngx_int_t
ngx_http_gateway_aggregate_set_headers(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_str_t                               value;
    ngx_table_elt_t                        *h;
    ngx_http_request_t                     *r;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    r = ctx->request;

    if (ngx_http_gateway_aggregate_set_status(ctx, &value) != NGX_OK
        || ngx_http_gateway_aggregate_push_header(r, "Gateway-Aggregate",
                                                 &value)
           == NULL)
    {
        return NGX_ERROR;
    }

    if (value.len == sizeof("complete") - 1) {

        if (ngx_http_gateway_aggregate_caching_control(&ctx->caching, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (value.len) {
            h = ngx_http_gateway_aggregate_push_header(r, "Cache-Control",
                                                      &value);
            if (h == NULL
                || ngx_http_gateway_link_cache_control(r, h) != NGX_OK
                || ngx_http_gateway_aggregate_caching_vary(&ctx->caching,
                                                           &value)
                   != NGX_OK
                || (value.len
                    && ngx_http_gateway_aggregate_push_header(r, "Vary", &value)
                       == NULL))
            {
                return NGX_ERROR;
            }
        }
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_aggregate_module);

    if (!alcf->server_timing) {
        return NGX_OK;
    }

    if (ngx_http_gateway_aggregate_server_timing(ctx, &value) != NGX_OK
        || ngx_http_gateway_aggregate_push_header(r, "Server-Timing", &value)
           == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_table_elt_t *
ngx_http_gateway_aggregate_push_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_gateway_push_header(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return h;
}


/* the value of Gateway-Aggregate, and of the variables */

static ngx_int_t
ngx_http_gateway_aggregate_set_status(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t   truncated;

    if (ngx_http_gateway_aggregate_list(ctx, 0, &ctx->missing) != NGX_OK
        || ngx_http_gateway_aggregate_list(ctx, 1, &truncated) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->missing.len == 0 && truncated.len == 0) {
        ngx_str_set(&ctx->status, "complete");
        *value = ctx->status;
        return NGX_OK;
    }

    ngx_str_set(&ctx->status, "partial");

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("partial; missing=\"\"; truncated=\"\"")
                    + ctx->missing.len + truncated.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    p = ngx_cpymem(p, "partial", sizeof("partial") - 1);

    if (ctx->missing.len) {
        p = ngx_sprintf(p, "; missing=\"%V\"", &ctx->missing);
    }

    if (truncated.len) {
        p = ngx_sprintf(p, "; truncated=\"%V\"", &truncated);
    }

    value->len = p - value->data;

    return NGX_OK;
}


/* the names of the parts that have failed, or were truncated */

static ngx_int_t
ngx_http_gateway_aggregate_list(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_uint_t truncated, ngx_str_t *names)
{
    size_t                               len;
    u_char                              *p;
    ngx_uint_t                           i;
    ngx_http_gateway_aggregate_state_t  *state;

    ngx_str_null(names);
    len = 0;

#define ngx_http_gateway_json_is_listed(s)                               \
    (truncated ? (s)->truncated                                               \
                 && (s)->state == NGX_HTTP_GATEWAY_AGGREGATE_DONE             \
               : (s)->state == NGX_HTTP_GATEWAY_AGGREGATE_FAILED)

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        if (ngx_http_gateway_json_is_listed(state)) {
            len += state->part->name.len + 1;
        }
    }

    if (len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    names->data = p;
    names->len = len - 1;

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        if (ngx_http_gateway_json_is_listed(state)) {
            p = ngx_cpymem(p, state->part->name.data, state->part->name.len);
            *p++ = ',';
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_gateway_aggregate_has_value(
    ngx_http_gateway_aggregate_state_t *state)
{
    return !state->dropped
           && (state->state == NGX_HTTP_GATEWAY_AGGREGATE_DONE
               || state->part->default_value.len);
}


/* an object, as the texts that it is made of */

static ngx_int_t
ngx_http_gateway_aggregate_add_nodes(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_array_t *nodes, ngx_array_t *texts)
{
    ngx_int_t                           rc;
    ngx_uint_t                          i, start;
    ngx_http_gateway_aggregate_node_t  *node;

    if (ngx_http_gateway_aggregate_add_string(texts, "{") != NGX_OK) {
        return NGX_ERROR;
    }

    node = nodes->elts;
    start = texts->nelts;

    for (i = 0; i < nodes->nelts; i++) {

        if (!ngx_http_gateway_aggregate_is_shown(ctx, &node[i])) {
            continue;
        }

        if (texts->nelts > start
            && ngx_http_gateway_aggregate_add_string(texts, ",") != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (node[i].key.len
            && ngx_http_gateway_aggregate_add_text(texts, node[i].key.data,
                                                   node[i].key.len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = node[i].part ? ngx_http_gateway_aggregate_add_part(ctx,
                                                        node[i].part, texts)
                          : ngx_http_gateway_aggregate_add_nodes(ctx,
                                                       &node[i].nodes, texts);
        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_aggregate_add_string(texts, "}");
}


static ngx_uint_t
ngx_http_gateway_aggregate_is_shown(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node)
{
    ngx_http_gateway_aggregate_state_t  *state;

    if (node->part == NULL) {

        /* it is dropped with all that is in it */

        while (node->part == NULL) {
            node = node->nodes.elts;
        }

        return !ctx->states[node->part->index].dropped;
    }

    state = &ctx->states[node->part->index];

    if (!ngx_http_gateway_aggregate_has_value(state)) {
        return 0;
    }

    return !node->part->merge
           || ctx->aggregate->nodes.nelts == 1
           || state->members.len;
}


static ngx_int_t
ngx_http_gateway_aggregate_add_part(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_part_t *part, ngx_array_t *texts)
{
    ngx_buf_t                           *b;
    ngx_str_t                           *text;
    ngx_uint_t                           i;
    ngx_http_gateway_aggregate_run_t    *run;
    ngx_http_gateway_aggregate_state_t  *state;

    state = &ctx->states[part->index];

    if (part->merge && ctx->aggregate->nodes.nelts > 1) {
        return ngx_http_gateway_aggregate_add_text(texts, state->members.data,
                                                   state->members.len);
    }

    if (state->state != NGX_HTTP_GATEWAY_AGGREGATE_DONE) {
        text = &part->default_value;

        return part->merge
               ? ngx_http_gateway_aggregate_add_text(texts, text->data + 1,
                                                     text->len - 2)
               : ngx_http_gateway_aggregate_add_text(texts, text->data,
                                                     text->len);
    }

    if (part->merge) {
        b = state->runs->out->buf;

        return ngx_http_gateway_aggregate_add_text(texts, b->pos + 1,
                                                   b->last - b->pos - 2);
    }

    if (part->each == NGX_HTTP_GATEWAY_AGGREGATE_NO_PART) {
        return ngx_http_gateway_aggregate_add_run(state->runs, texts);
    }

    if (ngx_http_gateway_aggregate_add_string(texts, "[") != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < state->nruns; i++) {

        if (i
            && ngx_http_gateway_aggregate_add_string(texts, ",") != NGX_OK)
        {
            return NGX_ERROR;
        }

        run = &state->runs[state->runs[i].same];

        if (ngx_http_gateway_aggregate_add_run(run, texts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_aggregate_add_string(texts, "]");
}


ngx_int_t
ngx_http_gateway_aggregate_add_run(ngx_http_gateway_aggregate_run_t *run,
    ngx_array_t *texts)
{
    ngx_chain_t  *cl;

    for (cl = run->out; cl; cl = cl->next) {

        if (ngx_http_gateway_aggregate_add_text(texts, cl->buf->pos,
                                               cl->buf->last - cl->buf->pos)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_add_text(ngx_array_t *texts, u_char *data,
    size_t len)
{
    ngx_str_t  *text;

    if (len == 0) {
        return NGX_OK;
    }

    text = ngx_array_push(texts);
    if (text == NULL) {
        return NGX_ERROR;
    }

    text->data = data;
    text->len = len;

    return NGX_OK;
}


/* short texts in a row become one buffer, long ones stay where they are */

ngx_chain_t *
ngx_http_gateway_aggregate_make_chain(ngx_http_request_t *r,
    ngx_array_t *texts, off_t *length)
{
    size_t        copied;
    u_char       *p;
    ngx_buf_t    *b;
    ngx_str_t    *text;
    ngx_uint_t    i;
    ngx_chain_t  *out, **ll;

    text = texts->elts;
    copied = 0;
    *length = 0;

    for (i = 0; i < texts->nelts; i++) {

        *length += text[i].len;

        if (text[i].len < NGX_HTTP_GATEWAY_AGGREGATE_COPY) {
            copied += text[i].len;
        }
    }

    p = ngx_pnalloc(r->pool, copied);
    if (p == NULL) {
        return NULL;
    }

    out = NULL;
    ll = &out;
    b = NULL;

    for (i = 0; i < texts->nelts; i++) {

        if (b == NULL
            || b->last != p
            || text[i].len >= NGX_HTTP_GATEWAY_AGGREGATE_COPY)
        {
            b = ngx_calloc_buf(r->pool);
            if (b == NULL) {
                return NULL;
            }

            *ll = ngx_alloc_chain_link(r->pool);
            if (*ll == NULL) {
                return NULL;
            }

            (*ll)->buf = b;
            (*ll)->next = NULL;
            ll = &(*ll)->next;

            b->memory = 1;
            b->tag = (ngx_buf_tag_t) &ngx_http_gateway_aggregate_module;
            b->pos = p;
            b->last = p;
        }

        if (text[i].len >= NGX_HTTP_GATEWAY_AGGREGATE_COPY) {
            b->pos = text[i].data;
            b->last = text[i].data + text[i].len;
            continue;
        }

        p = ngx_cpymem(p, text[i].data, text[i].len);
        b->last = p;
    }

    if (b == NULL) {
        return NULL;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    return out;
}
