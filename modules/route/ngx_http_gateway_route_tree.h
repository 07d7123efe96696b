
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Radix trees over the segments and bytes of templates, one for each host.  A
 * walk through one gives the lines whose templates match a path, in the order
 * of precedence.  It knows no methods, hosts or conditions.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_TREE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_TREE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_regex.h"
#include "ngx_http_gateway_route_table.h"


/* the lines that have one template */

typedef struct {
    ngx_http_gateway_route_entry_t     **entries;
    ngx_uint_t                           n;
} ngx_http_gateway_route_leaf_t;


/*
 * A node is reached by its first byte, which stands in "bytes" at the node's
 * own number, and then by "text".  Children follow each other.  Numbers
 * of 0 are none: 0 is a root.
 */

typedef struct {
    uint32_t                             text;     /* in texts */
    uint32_t                             len;
    uint32_t                             children; /* the first one's number */
    uint32_t                             nchildren;
    uint32_t                             leaf;     /* what ends here */
    uint32_t                             fork;     /* what else a segment that
                                                      begins here may be */
} ngx_http_gateway_route_node_t;


typedef struct {
    uint32_t                             regexes;  /* in branches */
    uint32_t                             nregexes;
    uint32_t                             param;    /* a node */
    uint32_t                             rest;     /* a leaf */
} ngx_http_gateway_route_fork_t;


typedef struct {
    uint32_t                             regex;
    uint32_t                             node;
} ngx_http_gateway_route_branch_t;


typedef struct {
    ngx_http_gateway_route_node_t       *nodes;
    u_char                              *bytes;
    u_char                              *texts;
    ngx_http_gateway_route_leaf_t       *leaves;
    ngx_http_gateway_route_fork_t       *forks;
    ngx_http_gateway_route_branch_t     *branches;
    ngx_http_gateway_route_regex_t      *regexes;
} ngx_http_gateway_route_trees_t;


/* a fork on the way to where the walk is */

typedef struct {
    u_char                              *pos;      /* of the segment */
    u_char                              *end;      /* of what was taken */
    uint32_t                             fork;
    uint32_t                             tried;    /* 0: only literals */
} ngx_http_gateway_route_choice_t;


typedef struct {
    ngx_http_gateway_route_trees_t      *trees;
    ngx_log_t                           *log;
    u_char                              *pos;
    u_char                              *last;

    uint32_t                             node;     /* to go on from */
    uint32_t                             more;     /* 1: there is one */

    ngx_uint_t                           nchoices;
    ngx_http_gateway_route_choice_t
        choices[NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS];
} ngx_http_gateway_route_walk_t;


/* trees while they are built */

typedef struct ngx_http_gateway_route_build_s  ngx_http_gateway_route_build_t;


#pragma GCC visibility push(hidden)

/* Returns NULL when there is no memory. */

ngx_http_gateway_route_build_t *ngx_http_gateway_route_build_create(
    ngx_pool_t *temp_pool);

/*
 * Adds an empty tree.  Its root has the number of trees added before.  Returns
 * NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_build_root(
    ngx_http_gateway_route_build_t *build);

/*
 * Adds a line to the tree with that root, after all that have precedence over
 * it.  Returns NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_build_add(
    ngx_http_gateway_route_build_t *build, uint32_t root,
    ngx_http_gateway_route_entry_t *e);

/*
 * Makes the trees to be walked, which need nothing of "build".  Returns
 * NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_build_finish(
    ngx_http_gateway_route_build_t *build, ngx_pool_t *pool,
    ngx_http_gateway_route_trees_t *trees);

/* Begins a walk at a root. */

void ngx_http_gateway_route_walk_init(ngx_http_gateway_route_walk_t *walk,
    ngx_http_gateway_route_trees_t *trees, uint32_t root, ngx_str_t *path,
    ngx_log_t *log);

/* Returns the next lines that match, or NULL when there are no more. */

ngx_http_gateway_route_leaf_t *ngx_http_gateway_route_walk_next(
    ngx_http_gateway_route_walk_t *walk);

/* Sets the first "n" captures of the lines that were returned last. */

void ngx_http_gateway_route_walk_captures(ngx_http_gateway_route_walk_t *walk,
    ngx_str_t *captures, ngx_uint_t n);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_TREE_H_INCLUDED_ */
