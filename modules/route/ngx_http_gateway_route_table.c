
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The table: methods have bits, hosts have trees, and a lookup goes through
 * the trees that the request's host has and through that of all hosts.  Each
 * tree gives its lines in the order of precedence, so that the first one that
 * takes the request is the best one of its tree.
 *
 * Where nothing takes it but for the method, the trees are walked once more to
 * tell the methods that are taken.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_hosts.h"
#include "ngx_http_gateway_route_order.h"
#include "ngx_http_gateway_route_regex.h"
#include "ngx_http_gateway_route_table.h"
#include "ngx_http_gateway_route_tree.h"


#define ngx_http_gateway_route_same(one, two)                                \
    ((one)->len == (two)->len                                                \
     && ngx_memcmp((one)->data, (two)->data, (one)->len) == 0)


struct ngx_http_gateway_route_table_s {
    ngx_http_gateway_route_trees_t       trees;
    ngx_http_gateway_route_hosts_t       hosts;

    ngx_str_t                            methods
                                         [NGX_HTTP_GATEWAY_ROUTE_MAX_METHODS];
    ngx_uint_t                           nmethods;

    ngx_uint_t                           captures;

    ngx_pool_t                          *pool;
    ngx_array_t                          entries;
};


/* what is needed while a table is compiled */

typedef struct {
    ngx_http_gateway_route_table_t      *table;
    ngx_http_gateway_route_entry_t     **entries;
    ngx_uint_t                           nentries;
    ngx_http_gateway_route_regexes_t     regexes;
    ngx_pool_t                          *temp_pool;
    ngx_log_t                           *log;
} ngx_http_gateway_route_compile_t;


typedef struct {
    ngx_http_gateway_route_table_t      *table;
    ngx_http_gateway_route_lookup_t     *lookup;
    ngx_http_gateway_route_result_t     *result;
    ngx_str_t                           *captures;

    uint64_t                             method;
    ngx_uint_t                           missed;   /* by the method */
    ngx_uint_t                           allow;    /* methods are asked for */
} ngx_http_gateway_route_search_t;


static ngx_int_t ngx_http_gateway_route_compile_methods(
    ngx_http_gateway_route_compile_t *c, ngx_http_gateway_route_entry_t *e);
static uint64_t ngx_http_gateway_route_add_method(
    ngx_http_gateway_route_table_t *table, ngx_str_t *method);
static uint64_t ngx_http_gateway_route_method(
    ngx_http_gateway_route_table_t *table, ngx_str_t *method);
static ngx_int_t ngx_http_gateway_route_compile_regexes(
    ngx_http_gateway_route_compile_t *c, ngx_http_gateway_route_entry_t *e);
static ngx_int_t ngx_http_gateway_route_compile_hosts(
    ngx_http_gateway_route_compile_t *c);
static void ngx_http_gateway_route_add_hosts(
    ngx_http_gateway_route_compile_t *c,
    ngx_http_gateway_route_hosts_t *hosts);
static ngx_int_t ngx_http_gateway_route_compile_trees(
    ngx_http_gateway_route_compile_t *c);
static ngx_int_t ngx_http_gateway_route_search(
    ngx_http_gateway_route_search_t *search);
static ngx_int_t ngx_http_gateway_route_search_hosts(
    ngx_http_gateway_route_search_t *search);
static ngx_int_t ngx_http_gateway_route_search_tree(
    ngx_http_gateway_route_search_t *search, uint32_t root);
static ngx_int_t ngx_http_gateway_route_search_leaf(
    ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_leaf_t *leaf);
static ngx_int_t ngx_http_gateway_route_search_allowed(
    ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_leaf_t *leaf);
static ngx_int_t ngx_http_gateway_route_check(
    ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_entry_t *e);
static ngx_uint_t ngx_http_gateway_route_is_common(ngx_str_t *method);
static u_char *ngx_http_gateway_route_put_method(u_char *p, u_char *start,
    ngx_str_t *method);


/* in the order of Allow */

static ngx_str_t  ngx_http_gateway_route_common[] = {
    ngx_string("GET"),
    ngx_string("HEAD"),
    ngx_string("POST"),
    ngx_string("PUT"),
    ngx_string("PATCH"),
    ngx_string("DELETE"),
    ngx_string("OPTIONS"),
    ngx_null_string
};


ngx_http_gateway_route_table_t *
ngx_http_gateway_route_table_create(ngx_pool_t *pool)
{
    ngx_http_gateway_route_table_t  *table;

    table = ngx_pcalloc(pool, sizeof(ngx_http_gateway_route_table_t));
    if (table == NULL) {
        return NULL;
    }

    table->pool = pool;

    if (ngx_array_init(&table->entries, pool, 16,
                       sizeof(ngx_http_gateway_route_entry_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return table;
}


ngx_int_t
ngx_http_gateway_route_table_add(ngx_http_gateway_route_table_t *table,
    ngx_http_gateway_route_entry_t *e)
{
    ngx_http_gateway_route_entry_t  **entry;

    entry = ngx_array_push(&table->entries);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    *entry = e;

    e->order = table->entries.nelts;
    table->captures = ngx_max(table->captures, e->template.ncaptures);

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_route_table_compile(ngx_http_gateway_route_table_t *table,
    ngx_pool_t *temp_pool, ngx_log_t *log)
{
    uint64_t                          get, head;
    ngx_str_t                        *common;
    ngx_uint_t                        i;
    ngx_http_gateway_route_compile_t  c;

    c.table = table;
    c.entries = table->entries.elts;
    c.nentries = table->entries.nelts;
    c.temp_pool = temp_pool;
    c.log = log;

    if (ngx_http_gateway_route_regexes_init(&c.regexes, table->pool, temp_pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < c.nentries; i++) {
        if (ngx_http_gateway_route_compile_methods(&c, c.entries[i]) != NGX_OK
            || ngx_http_gateway_route_compile_regexes(&c, c.entries[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    common = ngx_http_gateway_route_common;
    get = ngx_http_gateway_route_method(table, &common[0]);
    head = ngx_http_gateway_route_method(table, &common[1]);

    if (ngx_http_gateway_route_order(c.entries, c.nentries, get, head,
                                     temp_pool, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_gateway_route_compile_hosts(&c) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_route_compile_trees(&c);
}


/* GET brings HEAD. */

static ngx_int_t
ngx_http_gateway_route_compile_methods(ngx_http_gateway_route_compile_t *c,
    ngx_http_gateway_route_entry_t *e)
{
    uint64_t    bit;
    ngx_str_t  *common;
    ngx_uint_t  i;

    if (e->nmethods == 0) {
        e->mask = (uint64_t) -1;
        return NGX_OK;
    }

    e->mask = 0;
    common = ngx_http_gateway_route_common;

    for (i = 0; i < e->nmethods; i++) {

        bit = ngx_http_gateway_route_add_method(c->table, &e->methods[i]);

        if (bit && ngx_http_gateway_route_same(&e->methods[i], &common[0])
            && ngx_http_gateway_route_add_method(c->table, &common[1]) == 0)
        {
            bit = 0;
        }

        if (bit == 0) {
            ngx_log_error(NGX_LOG_EMERG, c->log, 0,
                          "too many methods with route \"%V %V\" in %V:%ui, "
                          "routes of one block may have %d, and HEAD is one "
                          "where GET is", &e->methods_text,
                          &e->template.text, &e->file, e->line,
                          NGX_HTTP_GATEWAY_ROUTE_MAX_METHODS);
            return NGX_ERROR;
        }

        e->mask |= bit;
    }

    return NGX_OK;
}


/* Returns the method's bit, or 0 when there is none left. */

static uint64_t
ngx_http_gateway_route_add_method(ngx_http_gateway_route_table_t *table,
    ngx_str_t *method)
{
    uint64_t  bit;

    bit = ngx_http_gateway_route_method(table, method);

    if (bit || table->nmethods == NGX_HTTP_GATEWAY_ROUTE_MAX_METHODS) {
        return bit;
    }

    table->methods[table->nmethods++] = *method;

    return ngx_http_gateway_route_method(table, method);
}


/* Returns the method's bit, or 0 when no line names it. */

static uint64_t
ngx_http_gateway_route_method(ngx_http_gateway_route_table_t *table,
    ngx_str_t *method)
{
    ngx_uint_t  i;

    for (i = 0; i < table->nmethods; i++) {
        if (ngx_http_gateway_route_same(&table->methods[i], method)) {
            return (uint64_t) 1 << i;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_route_compile_regexes(ngx_http_gateway_route_compile_t *c,
    ngx_http_gateway_route_entry_t *e)
{
    ngx_int_t                          rc;
    ngx_str_t                          why;
    ngx_uint_t                         i;
    ngx_http_gateway_route_segment_t  *s;

    for (i = 0; i < e->template.nsegments; i++) {
        s = &e->template.segments[i];

        if (s->kind != NGX_HTTP_GATEWAY_ROUTE_REGEX) {
            continue;
        }

        rc = ngx_http_gateway_route_regexes_add(&c->regexes, &s->text,
                                                &s->regex, &why);
        if (rc == NGX_OK) {
            continue;
        }

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_EMERG, c->log, 0,
                          "invalid regex in route \"%V %V\" in %V:%ui: %V",
                          &e->methods_text, &e->template.text, &e->file,
                          e->line, &why);
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Gives each host a number, which is that of its tree.  They are counted in a
 * hash that has room for all lines first.
 */

static ngx_int_t
ngx_http_gateway_route_compile_hosts(ngx_http_gateway_route_compile_t *c)
{
    ngx_uint_t                      i, n;
    ngx_http_gateway_route_hosts_t  all;

    for (i = 0, n = 0; i < c->nentries; i++) {
        n += (c->entries[i]->host.len != 0);
    }

    if (n == 0) {
        return NGX_OK;
    }

    if (ngx_http_gateway_route_hosts_init(&all, c->temp_pool, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_gateway_route_add_hosts(c, &all);

    if (ngx_http_gateway_route_hosts_init(&c->table->hosts, c->table->pool,
                                          all.n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_gateway_route_add_hosts(c, &c->table->hosts);

    return NGX_OK;
}


static void
ngx_http_gateway_route_add_hosts(ngx_http_gateway_route_compile_t *c,
    ngx_http_gateway_route_hosts_t *hosts)
{
    ngx_uint_t  i;

    for (i = 0; i < c->nentries; i++) {
        if (c->entries[i]->host.len) {
            ngx_http_gateway_route_hosts_add(hosts, &c->entries[i]->host);
        }
    }
}


static ngx_int_t
ngx_http_gateway_route_compile_trees(ngx_http_gateway_route_compile_t *c)
{
    uint32_t                         root;
    ngx_uint_t                       i;
    ngx_http_gateway_route_table_t  *table;
    ngx_http_gateway_route_build_t  *build;

    table = c->table;

    build = ngx_http_gateway_route_build_create(c->temp_pool);
    if (build == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i <= table->hosts.n; i++) {
        if (ngx_http_gateway_route_build_root(build) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < c->nentries; i++) {

        root = ngx_http_gateway_route_hosts_root(&table->hosts,
                                                 &c->entries[i]->host);

        if (ngx_http_gateway_route_build_add(build, root, c->entries[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_gateway_route_build_finish(build, table->pool, &table->trees)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_route_regexes_finish(&c->regexes,
                                                 &table->trees.regexes);
}


ngx_uint_t
ngx_http_gateway_route_table_captures(ngx_http_gateway_route_table_t *table)
{
    return table->captures;
}


ngx_int_t
ngx_http_gateway_route_lookup(ngx_http_gateway_route_table_t *table,
    ngx_http_gateway_route_lookup_t *lookup, ngx_str_t *captures,
    ngx_http_gateway_route_result_t *result)
{
    ngx_int_t                        rc;
    ngx_http_gateway_route_search_t  search;

    search.table = table;
    search.lookup = lookup;
    search.result = result;
    search.captures = captures;
    search.method = ngx_http_gateway_route_method(table, &lookup->method);
    search.missed = 0;
    search.allow = 0;

    result->entry = NULL;
    result->allowed = 0;

    rc = ngx_http_gateway_route_search(&search);

    if (rc != NGX_OK || result->entry != NULL) {
        return rc;
    }

    if (search.missed) {
        search.allow = 1;

        rc = ngx_http_gateway_route_search(&search);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_gateway_route_search(ngx_http_gateway_route_search_t *search)
{
    ngx_int_t  rc;

    if (search->table->hosts.n && search->lookup->host.len) {
        rc = ngx_http_gateway_route_search_hosts(search);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_http_gateway_route_search_tree(search,
                                             NGX_HTTP_GATEWAY_ROUTE_ANY_HOST);
}


/* whatever the order of these: the best line counts */

static ngx_int_t
ngx_http_gateway_route_search_hosts(ngx_http_gateway_route_search_t *search)
{
    uint32_t                         root;
    ngx_int_t                        rc;
    ngx_http_gateway_route_names_t   names;
    ngx_http_gateway_route_hosts_t  *hosts;

    hosts = &search->table->hosts;

    ngx_http_gateway_route_hosts_open(&names, &search->lookup->host);

    for ( ;; ) {
        root = ngx_http_gateway_route_hosts_next(hosts, &names);

        if (root == NGX_HTTP_GATEWAY_ROUTE_ANY_HOST) {
            return NGX_OK;
        }

        rc = ngx_http_gateway_route_search_tree(search, root);
        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/* Returns NGX_OK, or NGX_ERROR of check(). */

static ngx_int_t
ngx_http_gateway_route_search_tree(ngx_http_gateway_route_search_t *search,
    uint32_t root)
{
    ngx_int_t                       rc;
    ngx_http_gateway_route_leaf_t  *leaf;
    ngx_http_gateway_route_walk_t   walk;

    ngx_http_gateway_route_walk_init(&walk, &search->table->trees, root,
                                     &search->lookup->path,
                                     search->lookup->log);

    for ( ;; ) {
        leaf = ngx_http_gateway_route_walk_next(&walk);

        if (leaf == NULL) {
            return NGX_OK;
        }

        if (search->allow) {
            rc = ngx_http_gateway_route_search_allowed(search, leaf);
            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        rc = ngx_http_gateway_route_search_leaf(search, leaf);

        if (rc == NGX_OK) {
            ngx_http_gateway_route_walk_captures(&walk, search->captures,
                                    search->result->entry->template.ncaptures);
            return NGX_OK;
        }

        if (rc != NGX_DECLINED) {
            return rc == NGX_DONE ? NGX_OK : rc;
        }
    }
}


/*
 * Returns NGX_OK when a line is the best one up to now, NGX_DONE when one of
 * another tree is, NGX_DECLINED when none takes the request, or NGX_ERROR.
 */

static ngx_int_t
ngx_http_gateway_route_search_leaf(ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_leaf_t *leaf)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *e, *best;

    best = search->result->entry;

    for (i = 0; i < leaf->n; i++) {
        e = leaf->entries[i];

        if (best != NULL && best->order < e->order) {
            return NGX_DONE;
        }

        if (e->nmethods && (e->mask & search->method) == 0) {
            search->missed = 1;
            continue;
        }

        rc = ngx_http_gateway_route_check(search, e);

        if (rc == NGX_OK) {
            search->result->entry = e;
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return NGX_DECLINED;
}


/* Lines that were not kept back by the method were so by a condition. */

static ngx_int_t
ngx_http_gateway_route_search_allowed(ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_leaf_t *leaf)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *e;

    for (i = 0; i < leaf->n; i++) {
        e = leaf->entries[i];

        if (e->nmethods == 0 || (e->mask & search->method)) {
            continue;
        }

        rc = ngx_http_gateway_route_check(search, e);

        if (rc == NGX_OK) {
            search->result->allowed |= e->mask;

        } else if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_check(ngx_http_gateway_route_search_t *search,
    ngx_http_gateway_route_entry_t *e)
{
    ngx_http_gateway_route_lookup_t  *lookup;

    if (e->nconditions == 0) {
        return NGX_OK;
    }

    lookup = search->lookup;

    return lookup->check(lookup->data, e);
}


ngx_int_t
ngx_http_gateway_route_allow(ngx_http_gateway_route_table_t *table,
    uint64_t allowed, ngx_pool_t *pool, ngx_str_t *value)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *common;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < table->nmethods; i++) {
        if (allowed & (uint64_t) 1 << i) {
            len += table->methods[i].len + sizeof(", ") - 1;
        }
    }

    value->data = ngx_pnalloc(pool, len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = value->data;

    for (common = ngx_http_gateway_route_common; common->len; common++) {
        if (allowed & ngx_http_gateway_route_method(table, common)) {
            p = ngx_http_gateway_route_put_method(p, value->data, common);
        }
    }

    for (i = 0; i < table->nmethods; i++) {
        if ((allowed & (uint64_t) 1 << i)
            && !ngx_http_gateway_route_is_common(&table->methods[i]))
        {
            p = ngx_http_gateway_route_put_method(p, value->data,
                                                  &table->methods[i]);
        }
    }

    value->len = p - value->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_route_is_common(ngx_str_t *method)
{
    ngx_str_t  *common;

    for (common = ngx_http_gateway_route_common; common->len; common++) {
        if (ngx_http_gateway_route_same(common, method)) {
            return 1;
        }
    }

    return 0;
}


static u_char *
ngx_http_gateway_route_put_method(u_char *p, u_char *start, ngx_str_t *method)
{
    if (p != start) {
        *p++ = ',';
        *p++ = ' ';
    }

    return ngx_cpymem(p, method->data, method->len);
}
