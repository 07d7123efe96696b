
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The table of routes: which line takes a request.  It owns precedence, hosts,
 * the numbers of methods, and what is said about lines that are written twice
 * or never match.  It keeps pointers to the caller's lines, asks the caller
 * whether their conditions hold, and never looks at a request itself.
 *
 * Lines are added while the configuration is read, then the table is compiled;
 * after that it is only read.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_TABLE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_template.h"


#define NGX_HTTP_GATEWAY_ROUTE_MAX_METHODS  64


/*
 * A line; the caller's own struct begins with it.  All up to "line" is set by
 * the caller before the line is added, and stays as long as the table.
 */

typedef struct {
    ngx_http_gateway_route_template_t    template;

    ngx_str_t                            host;       /* in lower case;
                                                        "*.example.com" is any
                                                        name below; empty: any
                                                        host */

    ngx_str_t                           *conditions; /* sorted; equal texts
                                                        are equal conditions;
                                                        without the host */
    ngx_uint_t                           nconditions;

    ngx_str_t                           *methods;
    ngx_uint_t                           nmethods;   /* 0: "*" */

    ngx_str_t                            methods_text;  /* as written */
    ngx_str_t                            file;
    ngx_uint_t                           line;

    /* set by the compilation */

    uint64_t                             mask;       /* methods, with the HEAD
                                                        that follows GET; of
                                                        "*": all bits */
    ngx_uint_t                           order;      /* of two lines that take
                                                        a request, that with
                                                        the lower one gets it */
} ngx_http_gateway_route_entry_t;


typedef struct ngx_http_gateway_route_table_s
    ngx_http_gateway_route_table_t;


/*
 * Tells whether all conditions of the line hold: NGX_OK, NGX_DECLINED, or
 * NGX_ERROR, which ends the lookup.  Called only for lines that have
 * conditions, and at most once for each in a lookup.
 */

typedef ngx_int_t (*ngx_http_gateway_route_check_pt)(void *data,
    ngx_http_gateway_route_entry_t *e);


typedef struct {
    ngx_str_t                            host;       /* without port; in any
                                                        case of letters */
    ngx_str_t                            method;
    ngx_str_t                            path;       /* decoded and
                                                        normalized */
    ngx_http_gateway_route_check_pt      check;
    void                                *data;       /* for check() */
    ngx_log_t                           *log;
} ngx_http_gateway_route_lookup_t;


typedef struct {
    ngx_http_gateway_route_entry_t      *entry;      /* NULL: nothing found */
    uint64_t                             allowed;    /* what other methods are
                                                        taken for; 0 when an
                                                        entry was found */
} ngx_http_gateway_route_result_t;


#pragma GCC visibility push(hidden)

/* Returns NULL when there is no memory. */

ngx_http_gateway_route_table_t *ngx_http_gateway_route_table_create(
    ngx_pool_t *pool);

/*
 * Adds a line after all that were added before.  Returns NGX_OK, or NGX_ERROR
 * when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_table_add(
    ngx_http_gateway_route_table_t *table, ngx_http_gateway_route_entry_t *e);

/*
 * Makes the table ready for lookups.  "temp_pool" is for what is needed only
 * meanwhile.  Regexes are compiled by the way; pcre_jit then applies to them.
 *
 * Returns NGX_OK, having logged a warning for each line that never matches; or
 * NGX_ERROR, having logged at level emerg: a line twice, a bad regex, too many
 * methods; or not, when there is no memory.
 */

ngx_int_t ngx_http_gateway_route_table_compile(
    ngx_http_gateway_route_table_t *table, ngx_pool_t *temp_pool,
    ngx_log_t *log);

/* The most captures that a line has */

ngx_uint_t ngx_http_gateway_route_table_captures(
    ngx_http_gateway_route_table_t *table);

/*
 * Finds the line that takes a request.  "captures" has room for
 * ngx_http_gateway_route_table_captures(); the first entry->template.ncaptures
 * are set to parts of lookup->path, in the order in which the template names
 * them.  Allocates nothing.
 *
 * Returns NGX_OK and result->entry; NGX_DECLINED when there is none, and
 * result->allowed has the methods of lines that only the method kept from
 * taking it; or NGX_ERROR of check().
 */

ngx_int_t ngx_http_gateway_route_lookup(ngx_http_gateway_route_table_t *table,
    ngx_http_gateway_route_lookup_t *lookup, ngx_str_t *captures,
    ngx_http_gateway_route_result_t *result);

/*
 * Writes the methods of result->allowed as the value of Allow: GET, HEAD, POST,
 * PUT, PATCH, DELETE, OPTIONS in this order, then others in the order of their
 * first use in the table.  Returns NGX_OK, or NGX_ERROR when there is no
 * memory.
 */

ngx_int_t ngx_http_gateway_route_allow(ngx_http_gateway_route_table_t *table,
    uint64_t allowed, ngx_pool_t *pool, ngx_str_t *value);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_TABLE_H_INCLUDED_ */
