
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the names of the answer's root when parts called "." bring their own:
 * of two members with one name, that of the part written first stays.
 */


#include "ngx_http_gateway_aggregate.h"


typedef struct {
    ngx_pool_t         *pool;
    ngx_rbtree_t        tree;      /* ngx_str_node_t */
    ngx_rbtree_node_t   sentinel;
} ngx_http_gateway_aggregate_names_t;


static ngx_uint_t ngx_http_gateway_aggregate_stands(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node);
static void ngx_http_gateway_aggregate_drop(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node);
static ngx_int_t ngx_http_gateway_aggregate_merge_part(
    ngx_http_gateway_aggregate_names_t *names,
    ngx_http_gateway_aggregate_state_t *state);
static ngx_int_t ngx_http_gateway_aggregate_take_names(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *text,
    ngx_str_t *left);
static ngx_int_t ngx_http_gateway_aggregate_take_name(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *name);
static ngx_uint_t ngx_http_gateway_aggregate_is_taken(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *name);


ngx_int_t
ngx_http_gateway_aggregate_merge(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_uint_t                           i;
    ngx_http_gateway_aggregate_node_t   *node;
    ngx_http_gateway_aggregate_names_t   names;
    ngx_http_gateway_aggregate_state_t  *state;

    names.pool = ctx->request->pool;

    ngx_rbtree_init(&names.tree, &names.sentinel, ngx_str_rbtree_insert_value);

    node = ctx->aggregate->nodes.elts;

    for (i = 0; i < ctx->aggregate->nodes.nelts; i++) {

        if (node[i].part && node[i].part->merge) {

            state = &ctx->states[node[i].part->index];

            if (ngx_http_gateway_aggregate_has_value(state)
                && ngx_http_gateway_aggregate_merge_part(&names, state)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        if (!ngx_http_gateway_aggregate_stands(ctx, &node[i])) {
            continue;
        }

        if (ngx_http_gateway_aggregate_is_taken(&names, &node[i].name)) {
            ngx_http_gateway_aggregate_drop(ctx, &node[i]);
            continue;
        }

        if (ngx_http_gateway_aggregate_take_name(&names, &node[i].name)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* objects that parts lie in stand even when they are empty */

static ngx_uint_t
ngx_http_gateway_aggregate_stands(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node)
{
    return node->part == NULL
           || ngx_http_gateway_aggregate_has_value(
                                              &ctx->states[node->part->index]);
}


static void
ngx_http_gateway_aggregate_drop(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_node_t *node)
{
    ngx_uint_t                          i;
    ngx_http_gateway_aggregate_node_t  *child;

    if (node->part) {
        ctx->states[node->part->index].dropped = 1;
        return;
    }

    child = node->nodes.elts;

    for (i = 0; i < node->nodes.nelts; i++) {
        ngx_http_gateway_aggregate_drop(ctx, &child[i]);
    }
}


static ngx_int_t
ngx_http_gateway_aggregate_merge_part(
    ngx_http_gateway_aggregate_names_t *names,
    ngx_http_gateway_aggregate_state_t *state)
{
    ngx_buf_t  *b;
    ngx_str_t   text, left;

    if (state->state == NGX_HTTP_GATEWAY_AGGREGATE_DONE) {
        b = state->runs->out->buf;
        text.data = b->pos;
        text.len = b->last - b->pos;

    } else {
        text = state->part->default_value;
    }

    if (ngx_http_gateway_aggregate_take_names(names, &text, &left) != NGX_OK) {
        return NGX_ERROR;
    }

    state->members = left;

    return NGX_OK;
}


/*
 * Sets "left" to the members, without braces, whose names are not taken.  The
 * part's own names are taken when all have been looked at: one that stands
 * twice in it stays so.
 */

static ngx_int_t
ngx_http_gateway_aggregate_take_names(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *text,
    ngx_str_t *left)
{
    u_char                               *p;
    ngx_int_t                             rc;
    ngx_str_t                             name;
    ngx_http_gateway_json_cursor_t   cursor;
    ngx_http_gateway_json_member_t   member;

    if (ngx_http_gateway_json_open(&cursor, text) != NGX_OK) {
        return NGX_ERROR;
    }

    left->data = ngx_pnalloc(names->pool, text->len);
    if (left->data == NULL) {
        return NGX_ERROR;
    }

    p = left->data;

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        rc = ngx_http_gateway_json_decode(names->pool, &member.name,
                                               &name);
        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (ngx_http_gateway_aggregate_is_taken(names,
                                         rc == NGX_OK ? &name : &member.name))
        {
            continue;
        }

        if (p != left->data) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, member.all.data, member.all.len);
    }

    left->len = p - left->data;

    (void) ngx_http_gateway_json_open(&cursor, text);

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        rc = ngx_http_gateway_json_decode(names->pool, &member.name,
                                               &name);

        if (rc == NGX_ERROR
            || ngx_http_gateway_aggregate_take_name(names,
                                          rc == NGX_OK ? &name : &member.name)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_take_name(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *name)
{
    ngx_str_node_t  *sn;

    if (ngx_http_gateway_aggregate_is_taken(names, name)) {
        return NGX_OK;
    }

    sn = ngx_palloc(names->pool, sizeof(ngx_str_node_t));
    if (sn == NULL) {
        return NGX_ERROR;
    }

    sn->node.key = ngx_crc32_long(name->data, name->len);
    sn->str = *name;

    ngx_rbtree_insert(&names->tree, &sn->node);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_aggregate_is_taken(
    ngx_http_gateway_aggregate_names_t *names, ngx_str_t *name)
{
    uint32_t  hash;

    hash = ngx_crc32_long(name->data, name->len);

    return ngx_str_rbtree_lookup(&names->tree, name, hash) != NULL;
}
