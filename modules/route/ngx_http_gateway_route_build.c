
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Builds the radix trees of routes: first of nodes with pointers, which are
 * split as templates come, then once more in arrays without gaps, level by
 * level, so that a walk touches little memory.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_tree.h"


typedef struct ngx_http_gateway_route_build_node_s
    ngx_http_gateway_route_build_node_t;
typedef struct ngx_http_gateway_route_build_line_s
    ngx_http_gateway_route_build_line_t;
typedef struct ngx_http_gateway_route_build_regex_s
    ngx_http_gateway_route_build_regex_t;


struct ngx_http_gateway_route_build_line_s {
    ngx_http_gateway_route_entry_t        *entry;
    ngx_http_gateway_route_build_line_t   *next;
};


/* in order of precedence */

typedef struct {
    ngx_http_gateway_route_build_line_t   *first;
    ngx_http_gateway_route_build_line_t   *last;
    ngx_uint_t                             n;
} ngx_http_gateway_route_build_leaf_t;


struct ngx_http_gateway_route_build_regex_s {
    uint32_t                               regex;
    ngx_http_gateway_route_build_node_t   *node;
    ngx_http_gateway_route_build_regex_t  *next;
};


typedef struct {
    ngx_http_gateway_route_build_regex_t  *first;
    ngx_http_gateway_route_build_regex_t  *last;
    ngx_uint_t                             nregexes;
    ngx_http_gateway_route_build_node_t   *param;
    ngx_http_gateway_route_build_leaf_t    rest;
} ngx_http_gateway_route_build_fork_t;


struct ngx_http_gateway_route_build_node_s {
    ngx_str_t                              text;    /* with the first byte */
    ngx_http_gateway_route_build_node_t   *children;
    ngx_http_gateway_route_build_node_t   *sibling;
    ngx_http_gateway_route_build_fork_t   *fork;
    ngx_http_gateway_route_build_leaf_t    leaf;
};


struct ngx_http_gateway_route_build_s {
    ngx_pool_t                            *pool;
    ngx_array_t                            roots;

    /* what there is of each */

    ngx_uint_t                             nodes;
    ngx_uint_t                             leaves;
    ngx_uint_t                             entries;
    ngx_uint_t                             forks;
    ngx_uint_t                             branches;
    size_t                                 texts;

    /* the nodes in their order in the arrays, and what is filled of these */

    ngx_http_gateway_route_build_node_t  **order;
    ngx_http_gateway_route_entry_t       **entry;
    uint32_t                               node;
    uint32_t                               leaf;
    uint32_t                               fork;
    uint32_t                               branch;
    uint32_t                               text;
};


static u_char *ngx_http_gateway_route_build_begin(
    ngx_http_gateway_route_segment_t *s);
static u_char *ngx_http_gateway_route_build_end(
    ngx_http_gateway_route_segment_t *s);
static ngx_http_gateway_route_build_node_t *ngx_http_gateway_route_build_node(
    ngx_http_gateway_route_build_t *build, u_char *text, size_t len);
static ngx_http_gateway_route_build_node_t *ngx_http_gateway_route_build_text(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node, u_char *p, u_char *last);
static ngx_int_t ngx_http_gateway_route_build_split(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node, size_t len);
static ngx_http_gateway_route_build_fork_t *ngx_http_gateway_route_build_fork(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node);
static ngx_http_gateway_route_build_node_t *ngx_http_gateway_route_build_way(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_fork_t *fork,
    ngx_http_gateway_route_segment_t *s);
static ngx_http_gateway_route_build_node_t *ngx_http_gateway_route_build_regex(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_fork_t *fork, uint32_t regex);
static ngx_int_t ngx_http_gateway_route_build_line(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_leaf_t *leaf,
    ngx_http_gateway_route_entry_t *e);
static void ngx_http_gateway_route_put_node(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees, uint32_t n);
static uint32_t ngx_http_gateway_route_put_fork(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees,
    ngx_http_gateway_route_build_fork_t *from);
static uint32_t ngx_http_gateway_route_put_leaf(
    ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees,
    ngx_http_gateway_route_build_leaf_t *from);


ngx_http_gateway_route_build_t *
ngx_http_gateway_route_build_create(ngx_pool_t *temp_pool)
{
    ngx_http_gateway_route_build_t  *build;

    build = ngx_pcalloc(temp_pool, sizeof(ngx_http_gateway_route_build_t));
    if (build == NULL) {
        return NULL;
    }

    build->pool = temp_pool;

    /* the first leaf and the first fork are none */

    build->leaves = 1;
    build->leaf = 1;
    build->forks = 1;
    build->fork = 1;

    if (ngx_array_init(&build->roots, temp_pool, 4,
                       sizeof(ngx_http_gateway_route_build_node_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return build;
}


ngx_int_t
ngx_http_gateway_route_build_root(ngx_http_gateway_route_build_t *build)
{
    ngx_http_gateway_route_build_node_t  **root;

    root = ngx_array_push(&build->roots);
    if (root == NULL) {
        return NGX_ERROR;
    }

    *root = ngx_http_gateway_route_build_node(build, NULL, 0);

    return *root == NULL ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_gateway_route_build_add(ngx_http_gateway_route_build_t *build,
    uint32_t root, ngx_http_gateway_route_entry_t *e)
{
    u_char                                *p;
    ngx_uint_t                             i;
    ngx_http_gateway_route_segment_t      *s;
    ngx_http_gateway_route_template_t     *t;
    ngx_http_gateway_route_build_fork_t   *fork;
    ngx_http_gateway_route_build_node_t   *node, **roots;

    t = &e->template;
    roots = build->roots.elts;
    node = roots[root];

    /* literals that follow each other are put in together */

    p = t->text.data;

    for (i = 0; i < t->nsegments; i++) {
        s = &t->segments[i];

        if (s->kind == NGX_HTTP_GATEWAY_ROUTE_LITERAL) {
            continue;
        }

        node = ngx_http_gateway_route_build_text(build, node, p,
                                        ngx_http_gateway_route_build_begin(s));
        if (node == NULL) {
            return NGX_ERROR;
        }

        fork = ngx_http_gateway_route_build_fork(build, node);
        if (fork == NULL) {
            return NGX_ERROR;
        }

        if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REST) {
            return ngx_http_gateway_route_build_line(build, &fork->rest, e);
        }

        node = ngx_http_gateway_route_build_way(build, fork, s);
        if (node == NULL) {
            return NGX_ERROR;
        }

        p = ngx_http_gateway_route_build_end(s);
    }

    node = ngx_http_gateway_route_build_text(build, node, p,
                                                t->text.data + t->text.len);
    if (node == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_route_build_line(build, &node->leaf, e);
}


/* where a segment that is not literal begins and ends in the template */

static u_char *
ngx_http_gateway_route_build_begin(ngx_http_gateway_route_segment_t *s)
{
    if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REGEX) {
        return s->name.data - 1;
    }

    return s->text.data;
}


static u_char *
ngx_http_gateway_route_build_end(ngx_http_gateway_route_segment_t *s)
{
    if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REGEX) {
        return s->text.data + s->text.len + 1;
    }

    return s->text.data + s->text.len;
}


static ngx_http_gateway_route_build_node_t *
ngx_http_gateway_route_build_node(ngx_http_gateway_route_build_t *build,
    u_char *text, size_t len)
{
    ngx_http_gateway_route_build_node_t  *node;

    node = ngx_pcalloc(build->pool,
                       sizeof(ngx_http_gateway_route_build_node_t));
    if (node == NULL) {
        return NULL;
    }

    node->text.data = text;
    node->text.len = len;

    build->nodes++;
    build->texts += len;

    return node;
}


/* Returns the node at which the text from "p" on ends, below "node". */

static ngx_http_gateway_route_build_node_t *
ngx_http_gateway_route_build_text(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node, u_char *p, u_char *last)
{
    size_t                                n;
    ngx_http_gateway_route_build_node_t  *child;

    while (p < last) {

        for (child = node->children; child; child = child->sibling) {
            if (child->text.data[0] == *p) {
                break;
            }
        }

        if (child == NULL) {
            child = ngx_http_gateway_route_build_node(build, p, last - p);
            if (child == NULL) {
                return NULL;
            }

            child->sibling = node->children;
            node->children = child;

            return child;
        }

        for (n = 1; n < child->text.len; n++) {
            if (p + n == last || p[n] != child->text.data[n]) {
                break;
            }
        }

        if (n < child->text.len
            && ngx_http_gateway_route_build_split(build, child, n) != NGX_OK)
        {
            return NULL;
        }

        node = child;
        p += n;
    }

    return node;
}


/* Leaves the first "len" bytes to the node and the rest to a child. */

static ngx_int_t
ngx_http_gateway_route_build_split(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node, size_t len)
{
    ngx_http_gateway_route_build_node_t  *child;

    child = ngx_http_gateway_route_build_node(build, node->text.data + len,
                                              node->text.len - len);
    if (child == NULL) {
        return NGX_ERROR;
    }

    build->texts -= child->text.len;

    child->children = node->children;
    child->fork = node->fork;
    child->leaf = node->leaf;

    node->text.len = len;
    node->children = child;
    node->fork = NULL;

    ngx_memzero(&node->leaf, sizeof(ngx_http_gateway_route_build_leaf_t));

    return NGX_OK;
}


static ngx_http_gateway_route_build_fork_t *
ngx_http_gateway_route_build_fork(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_node_t *node)
{
    if (node->fork == NULL) {
        node->fork = ngx_pcalloc(build->pool,
                                 sizeof(ngx_http_gateway_route_build_fork_t));
        build->forks++;
    }

    return node->fork;
}


static ngx_http_gateway_route_build_node_t *
ngx_http_gateway_route_build_way(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_fork_t *fork,
    ngx_http_gateway_route_segment_t *s)
{
    if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REGEX) {
        return ngx_http_gateway_route_build_regex(build, fork, s->regex);
    }

    if (fork->param == NULL) {
        fork->param = ngx_http_gateway_route_build_node(build, NULL, 0);
    }

    return fork->param;
}


/*
 * Lines come in order of precedence, which is that of the regexes' ranks at one
 * place: the regex is the last one there, or a new one.
 */

static ngx_http_gateway_route_build_node_t *
ngx_http_gateway_route_build_regex(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_fork_t *fork, uint32_t regex)
{
    ngx_http_gateway_route_build_regex_t  *branch;

    if (fork->last != NULL && fork->last->regex == regex) {
        return fork->last->node;
    }

    branch = ngx_palloc(build->pool,
                        sizeof(ngx_http_gateway_route_build_regex_t));
    if (branch == NULL) {
        return NULL;
    }

    branch->node = ngx_http_gateway_route_build_node(build, NULL, 0);
    if (branch->node == NULL) {
        return NULL;
    }

    branch->regex = regex;
    branch->next = NULL;

    if (fork->last == NULL) {
        fork->first = branch;

    } else {
        fork->last->next = branch;
    }

    fork->last = branch;
    fork->nregexes++;

    build->branches++;

    return branch->node;
}


static ngx_int_t
ngx_http_gateway_route_build_line(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_build_leaf_t *leaf,
    ngx_http_gateway_route_entry_t *e)
{
    ngx_http_gateway_route_build_line_t  *line;

    line = ngx_palloc(build->pool,
                      sizeof(ngx_http_gateway_route_build_line_t));
    if (line == NULL) {
        return NGX_ERROR;
    }

    line->entry = e;
    line->next = NULL;

    if (leaf->n++ == 0) {
        leaf->first = line;
        build->leaves++;

    } else {
        leaf->last->next = line;
    }

    leaf->last = line;
    build->entries++;

    return NGX_OK;
}


/*
 * Nodes are numbered as they are met: the roots, then what follows each node
 * in turn, so that "order" is the queue of what is still to be put.
 */

ngx_int_t
ngx_http_gateway_route_build_finish(ngx_http_gateway_route_build_t *build,
    ngx_pool_t *pool, ngx_http_gateway_route_trees_t *trees)
{
    uint32_t                               n;
    ngx_http_gateway_route_build_node_t  **roots;

    build->order = ngx_palloc(build->pool, build->nodes
                              * sizeof(ngx_http_gateway_route_build_node_t *));

    build->entry = ngx_palloc(pool, build->entries
                              * sizeof(ngx_http_gateway_route_entry_t *));

    trees->nodes = ngx_pcalloc(pool, build->nodes
                               * sizeof(ngx_http_gateway_route_node_t));
    trees->leaves = ngx_pcalloc(pool, build->leaves
                                * sizeof(ngx_http_gateway_route_leaf_t));
    trees->forks = ngx_pcalloc(pool, build->forks
                               * sizeof(ngx_http_gateway_route_fork_t));
    trees->branches = ngx_pcalloc(pool, build->branches
                                  * sizeof(ngx_http_gateway_route_branch_t));
    trees->bytes = ngx_pcalloc(pool, build->nodes);
    trees->texts = ngx_pnalloc(pool, build->texts);

    if (build->order == NULL || build->entry == NULL
        || trees->nodes == NULL || trees->leaves == NULL
        || trees->forks == NULL || trees->branches == NULL
        || trees->bytes == NULL || trees->texts == NULL)
    {
        return NGX_ERROR;
    }

    roots = build->roots.elts;

    for (n = 0; n < build->roots.nelts; n++) {
        build->order[n] = roots[n];
    }

    build->node = n;

    for (n = 0; n < build->node; n++) {
        ngx_http_gateway_route_put_node(build, trees, n);
    }

    return NGX_OK;
}


static void
ngx_http_gateway_route_put_node(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees, uint32_t n)
{
    ngx_http_gateway_route_node_t        *node;
    ngx_http_gateway_route_build_node_t  *from, *child;

    from = build->order[n];
    node = &trees->nodes[n];

    node->text = build->text;
    node->children = build->node;
    node->leaf = ngx_http_gateway_route_put_leaf(build, trees, &from->leaf);

    if (from->text.len) {
        node->len = from->text.len - 1;
        ngx_memcpy(trees->texts + node->text, from->text.data + 1, node->len);
        build->text += node->len;
    }

    for (child = from->children; child; child = child->sibling) {
        trees->bytes[build->node] = child->text.data[0];
        build->order[build->node++] = child;
        node->nchildren++;
    }

    if (from->fork) {
        node->fork = ngx_http_gateway_route_put_fork(build, trees, from->fork);
    }
}


static uint32_t
ngx_http_gateway_route_put_fork(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees,
    ngx_http_gateway_route_build_fork_t *from)
{
    ngx_http_gateway_route_fork_t         *fork;
    ngx_http_gateway_route_branch_t       *branch;
    ngx_http_gateway_route_build_regex_t  *regex;

    fork = &trees->forks[build->fork];

    fork->regexes = build->branch;
    fork->nregexes = from->nregexes;
    fork->rest = ngx_http_gateway_route_put_leaf(build, trees, &from->rest);

    for (regex = from->first; regex; regex = regex->next) {
        branch = &trees->branches[build->branch++];

        branch->regex = regex->regex;
        branch->node = build->node;

        build->order[build->node++] = regex->node;
    }

    if (from->param) {
        fork->param = build->node;
        build->order[build->node++] = from->param;
    }

    return build->fork++;
}


static uint32_t
ngx_http_gateway_route_put_leaf(ngx_http_gateway_route_build_t *build,
    ngx_http_gateway_route_trees_t *trees,
    ngx_http_gateway_route_build_leaf_t *from)
{
    ngx_http_gateway_route_leaf_t        *leaf;
    ngx_http_gateway_route_build_line_t  *line;

    if (from->n == 0) {
        return 0;
    }

    leaf = &trees->leaves[build->leaf];

    leaf->n = from->n;
    leaf->entries = build->entry;

    for (line = from->first; line; line = line->next) {
        *build->entry++ = line->entry;
    }

    return build->leaf++;
}
