
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Sorts the lines of a table by precedence.  Lines that have the same
 * template are next to each other then, and only these can be twice, have one
 * HEAD among them, or leave nothing to each other: of two lines with
 * different templates the one that has precedence takes a smaller part of the
 * paths, or one that only a regex knows.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_order.h"


/* lines with one template that each of them is compared with */

#define NGX_HTTP_GATEWAY_ROUTE_MAX_COMPARED  512


/* a regex, with all segments before it */

typedef struct {
    ngx_str_node_t                        sn;
    ngx_uint_t                            rank;
} ngx_http_gateway_route_place_node_t;


typedef struct {
    ngx_rbtree_t                          rbtree;
    ngx_rbtree_node_t                     sentinel;
    ngx_uint_t                            n;
    ngx_pool_t                           *pool;
} ngx_http_gateway_route_places_t;


typedef struct {
    uint64_t                              get;
    uint64_t                              head;
    ngx_log_t                            *log;

    /* the line written first that is a second one, and its first one */

    ngx_http_gateway_route_entry_t       *second;
    ngx_http_gateway_route_entry_t       *first;
} ngx_http_gateway_route_order_t;


static ngx_int_t ngx_http_gateway_route_rank(
    ngx_http_gateway_route_entry_t **entries, ngx_uint_t n,
    ngx_pool_t *temp_pool);
static ngx_int_t ngx_http_gateway_route_rank_segment(
    ngx_http_gateway_route_places_t *places,
    ngx_http_gateway_route_template_t *t, ngx_uint_t n);
static ngx_int_t ngx_http_gateway_route_place(
    ngx_http_gateway_route_template_t *t, ngx_uint_t n, ngx_pool_t *pool,
    ngx_str_t *place);
static int ngx_libc_cdecl ngx_http_gateway_route_cmp_precedence(
    const void *one, const void *two);
static int ngx_libc_cdecl ngx_http_gateway_route_cmp_alike(const void *one,
    const void *two);
static ngx_int_t ngx_http_gateway_route_cmp_templates(
    ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two);
static ngx_int_t ngx_http_gateway_route_cmp_segments(
    ngx_http_gateway_route_segment_t *one,
    ngx_http_gateway_route_segment_t *two);
static ngx_int_t ngx_http_gateway_route_cmp_conditions(
    ngx_http_gateway_route_entry_t *one, ngx_http_gateway_route_entry_t *two);
static ngx_int_t ngx_http_gateway_route_cmp_texts(ngx_str_t *one,
    ngx_str_t *two);
static ngx_uint_t ngx_http_gateway_route_is_conditional(
    ngx_http_gateway_route_entry_t *e);
static ngx_uint_t ngx_http_gateway_route_same_template(
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n);
static void ngx_http_gateway_route_alike(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n);
static void ngx_http_gateway_route_twice(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n);
static void ngx_http_gateway_route_head(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n);
static void ngx_http_gateway_route_never(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n);
static ngx_uint_t ngx_http_gateway_route_covers(
    ngx_http_gateway_route_entry_t *one, ngx_http_gateway_route_entry_t *two);
static ngx_uint_t ngx_http_gateway_route_covers_host(ngx_str_t *one,
    ngx_str_t *two);
static ngx_uint_t ngx_http_gateway_route_covers_conditions(
    ngx_http_gateway_route_entry_t *one, ngx_http_gateway_route_entry_t *two);


ngx_int_t
ngx_http_gateway_route_order(ngx_http_gateway_route_entry_t **entries,
    ngx_uint_t n, uint64_t get, uint64_t head, ngx_pool_t *temp_pool,
    ngx_log_t *log)
{
    ngx_uint_t                       i, same;
    ngx_http_gateway_route_order_t   order;
    ngx_http_gateway_route_entry_t  *e, **alike;

    ngx_memzero(&order, sizeof(ngx_http_gateway_route_order_t));

    order.get = get;
    order.head = head;
    order.log = log;

    if (ngx_http_gateway_route_rank(entries, n, temp_pool) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_qsort(entries, n, sizeof(ngx_http_gateway_route_entry_t *),
              ngx_http_gateway_route_cmp_precedence);

    alike = ngx_palloc(temp_pool,
                       n * sizeof(ngx_http_gateway_route_entry_t *));
    if (alike == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(alike, entries, n * sizeof(ngx_http_gateway_route_entry_t *));

    for (i = 0; i < n; i += same) {
        same = ngx_http_gateway_route_same_template(entries + i, n - i);

        ngx_http_gateway_route_alike(&order, alike + i, same);
    }

    if (order.second != NULL) {
        e = order.second;

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "duplicate route \"%V %V\" in %V:%ui, "
                      "the first one is in %V:%ui",
                      &e->methods_text, &e->template.text, &e->file, e->line,
                      &order.first->file, order.first->line);
        return NGX_ERROR;
    }

    for (i = 0; i < n; i += same) {
        same = ngx_http_gateway_route_same_template(entries + i, n - i);

        ngx_http_gateway_route_never(&order, entries + i, same);
    }

    for (i = 0; i < n; i++) {
        entries[i]->order = i;
    }

    return NGX_OK;
}


/*
 * Of two regexes that follow the same segments, that one comes first which was
 * written first there; what else a table has makes no difference.
 */

static ngx_int_t
ngx_http_gateway_route_rank(ngx_http_gateway_route_entry_t **entries,
    ngx_uint_t n, ngx_pool_t *temp_pool)
{
    ngx_uint_t                          i, k;
    ngx_http_gateway_route_places_t     places;
    ngx_http_gateway_route_template_t  *t;

    places.n = 0;
    places.pool = temp_pool;

    ngx_rbtree_init(&places.rbtree, &places.sentinel,
                    ngx_str_rbtree_insert_value);

    for (i = 0; i < n; i++) {
        t = &entries[i]->template;

        for (k = 0; k < t->nsegments; k++) {

            if (t->segments[k].kind == NGX_HTTP_GATEWAY_ROUTE_REGEX
                && ngx_http_gateway_route_rank_segment(&places, t, k)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_rank_segment(ngx_http_gateway_route_places_t *places,
    ngx_http_gateway_route_template_t *t, ngx_uint_t n)
{
    uint32_t                              hash;
    ngx_str_t                             text;
    ngx_http_gateway_route_place_node_t  *node;

    if (ngx_http_gateway_route_place(t, n, places->pool, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    hash = ngx_murmur_hash2(text.data, text.len);

    node = (ngx_http_gateway_route_place_node_t *)
               ngx_str_rbtree_lookup(&places->rbtree, &text, hash);

    if (node == NULL) {
        node = ngx_palloc(places->pool,
                          sizeof(ngx_http_gateway_route_place_node_t));
        if (node == NULL) {
            return NGX_ERROR;
        }

        node->sn.node.key = hash;
        node->sn.str = text;
        node->rank = places->n++;

        ngx_rbtree_insert(&places->rbtree, &node->sn.node);
    }

    t->segments[n].rank = node->rank;

    return NGX_OK;
}


/* What two templates have in common up to segment "n", without the names */

static ngx_int_t
ngx_http_gateway_route_place(ngx_http_gateway_route_template_t *t,
    ngx_uint_t n, ngx_pool_t *pool, ngx_str_t *place)
{
    size_t                             len;
    u_char                            *p;
    ngx_uint_t                         i;
    ngx_http_gateway_route_segment_t  *s;

    s = t->segments;
    len = 0;

    for (i = 0; i <= n; i++) {
        len += sizeof("/:()") + NGX_INT32_LEN + s[i].text.len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    place->data = p;

    for (i = 0; i <= n; i++) {

        switch (s[i].kind) {

        case NGX_HTTP_GATEWAY_ROUTE_LITERAL:
            p = ngx_sprintf(p, "/%V", &s[i].text);
            break;

        case NGX_HTTP_GATEWAY_ROUTE_REGEX:
            p = ngx_sprintf(p, "/:(%uD)", s[i].regex);
            break;

        default: /* NGX_HTTP_GATEWAY_ROUTE_PARAM */
            p = ngx_cpymem(p, "/:", 2);
            break;
        }
    }

    place->len = p - place->data;

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_gateway_route_cmp_precedence(const void *one, const void *two)
{
    ngx_int_t                        rc;
    ngx_http_gateway_route_entry_t  *first, *second;

    first = *(ngx_http_gateway_route_entry_t **) one;
    second = *(ngx_http_gateway_route_entry_t **) two;

    rc = ngx_http_gateway_route_cmp_templates(&first->template,
                                              &second->template);
    if (rc != 0) {
        return (int) rc;
    }

    rc = ngx_http_gateway_route_is_conditional(second)
         - ngx_http_gateway_route_is_conditional(first);

    if (rc != 0) {
        return (int) rc;
    }

    return first->order < second->order ? -1 : 1;
}


/* lines with one template: same host and conditions together */

static int ngx_libc_cdecl
ngx_http_gateway_route_cmp_alike(const void *one, const void *two)
{
    ngx_int_t                        rc;
    ngx_http_gateway_route_entry_t  *first, *second;

    first = *(ngx_http_gateway_route_entry_t **) one;
    second = *(ngx_http_gateway_route_entry_t **) two;

    rc = ngx_http_gateway_route_cmp_conditions(first, second);
    if (rc != 0) {
        return (int) rc;
    }

    return first->order < second->order ? -1 : 1;
}


static ngx_int_t
ngx_http_gateway_route_cmp_templates(ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < one->nsegments && i < two->nsegments; i++) {

        rc = ngx_http_gateway_route_cmp_segments(&one->segments[i],
                                                 &two->segments[i]);
        if (rc != 0) {
            return rc;
        }
    }

    return (ngx_int_t) one->nsegments - (ngx_int_t) two->nsegments;
}


static ngx_int_t
ngx_http_gateway_route_cmp_segments(ngx_http_gateway_route_segment_t *one,
    ngx_http_gateway_route_segment_t *two)
{
    if (one->kind != two->kind) {
        return (ngx_int_t) one->kind - (ngx_int_t) two->kind;
    }

    switch (one->kind) {

    case NGX_HTTP_GATEWAY_ROUTE_LITERAL:
        return ngx_http_gateway_route_cmp_texts(&one->text, &two->text);

    case NGX_HTTP_GATEWAY_ROUTE_REGEX:
        return (ngx_int_t) one->rank - (ngx_int_t) two->rank;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_http_gateway_route_cmp_conditions(ngx_http_gateway_route_entry_t *one,
    ngx_http_gateway_route_entry_t *two)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = ngx_http_gateway_route_cmp_texts(&one->host, &two->host);
    if (rc != 0) {
        return rc;
    }

    for (i = 0; i < one->nconditions && i < two->nconditions; i++) {

        rc = ngx_http_gateway_route_cmp_texts(&one->conditions[i],
                                              &two->conditions[i]);
        if (rc != 0) {
            return rc;
        }
    }

    return (ngx_int_t) one->nconditions - (ngx_int_t) two->nconditions;
}


static ngx_int_t
ngx_http_gateway_route_cmp_texts(ngx_str_t *one, ngx_str_t *two)
{
    if (one->len == 0 || two->len == 0) {
        return (ngx_int_t) one->len - (ngx_int_t) two->len;
    }

    return ngx_memn2cmp(one->data, two->data, one->len, two->len);
}


static ngx_uint_t
ngx_http_gateway_route_is_conditional(ngx_http_gateway_route_entry_t *e)
{
    return e->host.len != 0 || e->nconditions != 0;
}


/* The number of lines from the first on that have its template */

static ngx_uint_t
ngx_http_gateway_route_same_template(ngx_http_gateway_route_entry_t **e,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 1; i < n; i++) {
        if (ngx_http_gateway_route_cmp_templates(&e[0]->template,
                                                 &e[i]->template)
            != 0)
        {
            break;
        }
    }

    return i;
}


/* Lines that differ in nothing but methods, among those of one template */

static void
ngx_http_gateway_route_alike(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n)
{
    ngx_uint_t  i, first;

    if (n > 1) {
        ngx_qsort(e, n, sizeof(ngx_http_gateway_route_entry_t *),
                  ngx_http_gateway_route_cmp_alike);
    }

    for (first = 0; first < n; first = i) {

        for (i = first + 1; i < n; i++) {
            if (ngx_http_gateway_route_cmp_conditions(e[first], e[i]) != 0) {
                break;
            }
        }

        ngx_http_gateway_route_twice(order, e + first, i - first);
        ngx_http_gateway_route_head(order, e + first, i - first);
    }
}


/*
 * Of all lines of the table that are second ones the first one is told.  There
 * is one among any 66 lines, so that this takes little time.
 */

static void
ngx_http_gateway_route_twice(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n)
{
    ngx_uint_t  i, k;

    for (i = 1; i < n; i++) {

        for (k = 0; k < i; k++) {

            /* "*" is a method of its own */

            if ((e[i]->nmethods == 0) == (e[k]->nmethods == 0)
                && (e[i]->mask & e[k]->mask))
            {
                break;
            }
        }

        if (k == i) {
            continue;
        }

        if (order->second == NULL || e[i]->order < order->second->order) {
            order->second = e[i];
            order->first = e[k];
        }

        return;
    }
}


static void
ngx_http_gateway_route_head(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (e[i]->nmethods && (e[i]->mask & order->head)) {
            return;
        }
    }

    for (i = 0; i < n; i++) {
        if (e[i]->mask & order->get) {
            e[i]->mask |= order->head;
        }
    }
}


/*
 * Warns of lines whose methods are all taken by lines that have precedence and
 * whose conditions hold whenever theirs do.
 */

static void
ngx_http_gateway_route_never(ngx_http_gateway_route_order_t *order,
    ngx_http_gateway_route_entry_t **e, ngx_uint_t n)
{
    uint64_t    left;
    ngx_uint_t  i, k, others;

    for (i = 1; i < n; i++) {

        left = e[i]->mask;
        others = 0;

        for (k = 0; k < i && k < NGX_HTTP_GATEWAY_ROUTE_MAX_COMPARED; k++) {

            if ((e[i]->nmethods == 0 && e[k]->nmethods != 0)
                || (left & e[k]->mask) == 0
                || !ngx_http_gateway_route_covers(e[k], e[i]))
            {
                continue;
            }

            left &= ~e[k]->mask;

            if (left == 0) {
                break;
            }

            others = 1;
        }

        if (left) {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, order->log, 0,
                      "route \"%V %V\" in %V:%ui never matches, "
                      "\"%V %V\" in %V:%ui%s all of its requests",
                      &e[i]->methods_text, &e[i]->template.text,
                      &e[i]->file, e[i]->line,
                      &e[k]->methods_text, &e[k]->template.text,
                      &e[k]->file, e[k]->line,
                      others ? " and others take" : " takes");
    }
}


/* Tells whether the first line's conditions hold when the second one's do. */

static ngx_uint_t
ngx_http_gateway_route_covers(ngx_http_gateway_route_entry_t *one,
    ngx_http_gateway_route_entry_t *two)
{
    return ngx_http_gateway_route_covers_host(&one->host, &two->host)
           && ngx_http_gateway_route_covers_conditions(one, two);
}


static ngx_uint_t
ngx_http_gateway_route_covers_host(ngx_str_t *one, ngx_str_t *two)
{
    size_t  len;

    if (one->len == 0
        || ngx_http_gateway_route_cmp_texts(one, two) == 0)
    {
        return 1;
    }

    /* "*.example.com" has "a.example.com" and "*.a.example.com" */

    if (one->data[0] != '*' || two->len <= one->len - 1) {
        return 0;
    }

    len = one->len - 1;

    return ngx_memcmp(one->data + 1, two->data + two->len - len, len) == 0;
}


/* both are sorted */

static ngx_uint_t
ngx_http_gateway_route_covers_conditions(ngx_http_gateway_route_entry_t *one,
    ngx_http_gateway_route_entry_t *two)
{
    ngx_uint_t  i, k;

    for (i = 0, k = 0; i < one->nconditions && k < two->nconditions; k++) {
        if (ngx_http_gateway_route_cmp_texts(&one->conditions[i],
                                             &two->conditions[k])
            == 0)
        {
            i++;
        }
    }

    return i == one->nconditions;
}
