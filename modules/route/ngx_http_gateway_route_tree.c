
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Walks a radix tree along a path.  Where a segment begins that may be
 * something else than a literal the walk remembers a choice, goes on with
 * literals, and comes back for the others, in their order, when nothing was
 * found or the caller wants more.
 *
 * There is only one way from the root to a node, and a walk takes each way
 * from a fork once.  So a walk visits a node at most once, whatever the path:
 * its time is bounded by the size of the tree, with PCRE's limit for each
 * regex.  Choices that are open at a time lie on one way, at segments of their
 * own, so that there are never more of them than segments in a template.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_tree.h"


static ngx_http_gateway_route_leaf_t *ngx_http_gateway_route_walk_literals(
    ngx_http_gateway_route_walk_t *walk);
static void ngx_http_gateway_route_walk_fork(
    ngx_http_gateway_route_walk_t *walk, uint32_t fork, u_char *pos);
static ngx_http_gateway_route_leaf_t *ngx_http_gateway_route_walk_choice(
    ngx_http_gateway_route_walk_t *walk);
static ngx_uint_t ngx_http_gateway_route_walk_regexes(
    ngx_http_gateway_route_walk_t *walk,
    ngx_http_gateway_route_choice_t *choice);
static void ngx_http_gateway_route_walk_branch(
    ngx_http_gateway_route_walk_t *walk, uint32_t node, u_char *pos);


void
ngx_http_gateway_route_walk_init(ngx_http_gateway_route_walk_t *walk,
    ngx_http_gateway_route_trees_t *trees, uint32_t root, ngx_str_t *path,
    ngx_log_t *log)
{
    walk->trees = trees;
    walk->log = log;
    walk->last = path->data + path->len;
    walk->nchoices = 0;

    ngx_http_gateway_route_walk_branch(walk, root, path->data);
}


ngx_http_gateway_route_leaf_t *
ngx_http_gateway_route_walk_next(ngx_http_gateway_route_walk_t *walk)
{
    ngx_http_gateway_route_leaf_t  *leaf;

    do {
        if (walk->more) {
            leaf = ngx_http_gateway_route_walk_literals(walk);

        } else if (walk->nchoices) {
            leaf = ngx_http_gateway_route_walk_choice(walk);

        } else {
            return NULL;
        }

    } while (leaf == NULL);

    return leaf;
}


void
ngx_http_gateway_route_walk_captures(ngx_http_gateway_route_walk_t *walk,
    ngx_str_t *captures, ngx_uint_t n)
{
    ngx_uint_t                        i;
    ngx_http_gateway_route_choice_t  *choice;

    for (i = 0; n && i < walk->nchoices; i++) {
        choice = &walk->choices[i];

        if (choice->tried) {
            captures->data = choice->pos;
            captures->len = choice->end - choice->pos;

            captures++;
            n--;
        }
    }
}


/* Follows literals from a node, as far as they go. */

static ngx_http_gateway_route_leaf_t *
ngx_http_gateway_route_walk_literals(ngx_http_gateway_route_walk_t *walk)
{
    u_char                          *p, *byte;
    ngx_http_gateway_route_node_t   *node;
    ngx_http_gateway_route_trees_t  *trees;

    walk->more = 0;

    p = walk->pos;
    trees = walk->trees;
    node = &trees->nodes[walk->node];

    for ( ;; ) {

        if (node->len) {

            if ((size_t) (walk->last - p) < node->len
                || ngx_memcmp(p, trees->texts + node->text, node->len) != 0)
            {
                return NULL;
            }

            p += node->len;
        }

        if (node->fork) {
            ngx_http_gateway_route_walk_fork(walk, node->fork, p);
        }

        if (p == walk->last) {
            return node->leaf ? &trees->leaves[node->leaf] : NULL;
        }

        byte = memchr(trees->bytes + node->children, *p, node->nchildren);
        if (byte == NULL) {
            return NULL;
        }

        node = &trees->nodes[byte - trees->bytes];
        p++;
    }
}


static void
ngx_http_gateway_route_walk_fork(ngx_http_gateway_route_walk_t *walk,
    uint32_t fork, u_char *pos)
{
    ngx_http_gateway_route_choice_t  *choice;

    choice = &walk->choices[walk->nchoices++];

    choice->pos = pos;
    choice->end = NULL;
    choice->fork = fork;
    choice->tried = 0;
}


/*
 * Takes the next of the last fork's ways that can be taken: regexes, then any
 * segment, then all that is left of the path, which is the end of it.
 */

static ngx_http_gateway_route_leaf_t *
ngx_http_gateway_route_walk_choice(ngx_http_gateway_route_walk_t *walk)
{
    ngx_http_gateway_route_fork_t    *fork;
    ngx_http_gateway_route_choice_t  *choice;

    choice = &walk->choices[walk->nchoices - 1];
    fork = &walk->trees->forks[choice->fork];

    if (choice->tried == 0) {
        choice->end = ngx_strlchr(choice->pos, walk->last, '/');

        if (choice->end == NULL) {
            choice->end = walk->last;
        }
    }

    if (choice->tried < fork->nregexes
        && ngx_http_gateway_route_walk_regexes(walk, choice))
    {
        return NULL;
    }

    if (choice->tried == fork->nregexes) {
        choice->tried++;

        if (fork->param && choice->end > choice->pos) {
            ngx_http_gateway_route_walk_branch(walk, fork->param, choice->end);
            return NULL;
        }
    }

    if (choice->tried == fork->nregexes + 1) {
        choice->tried++;

        if (fork->rest) {
            choice->end = walk->last;
            return &walk->trees->leaves[fork->rest];
        }
    }

    walk->nchoices--;

    return NULL;
}


static ngx_uint_t
ngx_http_gateway_route_walk_regexes(ngx_http_gateway_route_walk_t *walk,
    ngx_http_gateway_route_choice_t *choice)
{
    ngx_str_t                         segment;
    ngx_http_gateway_route_fork_t    *fork;
    ngx_http_gateway_route_regex_t   *regex;
    ngx_http_gateway_route_branch_t  *branch;

    segment.data = choice->pos;
    segment.len = choice->end - choice->pos;

    fork = &walk->trees->forks[choice->fork];

    if (segment.len == 0) {
        choice->tried = fork->nregexes;
        return 0;
    }

    while (choice->tried < fork->nregexes) {

        branch = &walk->trees->branches[fork->regexes + choice->tried++];
        regex = &walk->trees->regexes[branch->regex];

        if (ngx_http_gateway_route_regex_match(regex, &segment, walk->log)) {
            ngx_http_gateway_route_walk_branch(walk, branch->node,
                                               choice->end);
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_gateway_route_walk_branch(ngx_http_gateway_route_walk_t *walk,
    uint32_t node, u_char *pos)
{
    walk->node = node;
    walk->pos = pos;
    walk->more = 1;
}
