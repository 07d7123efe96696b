
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Which of the lines that take a request gets it, as far as their texts tell:
 * the order of precedence, and lines that this leaves nothing to.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_ORDER_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_ORDER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_table.h"


#pragma GCC visibility push(hidden)

/*
 * Sorts "n" lines, which come in the order of writing, and have their masks and
 * that order in "order", by precedence, and sets "order" to that.  The bit
 * "head" is added to masks with the bit "get" where HEAD follows GET.
 *
 * Returns NGX_OK, having logged a warning for each line that never matches; or
 * NGX_ERROR when a line is there twice, which is logged, or when there is no
 * memory.
 */

ngx_int_t ngx_http_gateway_route_order(
    ngx_http_gateway_route_entry_t **entries, ngx_uint_t n, uint64_t get,
    uint64_t head, ngx_pool_t *temp_pool, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_ORDER_H_INCLUDED_ */
