
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Tells whether a query has an argument of some name and value.  It reads the
 * query where it is, and keeps nothing.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_QUERY_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#pragma GCC visibility push(hidden)

/*
 * Returns 1 when one of the arguments of "args", which are separated by "&",
 * has the decoded name "name" and the decoded value "value", else 0.  "+" is a
 * space; a "%" without two hexadecimal digits is itself; an argument without
 * "=" has an empty value.
 */

ngx_uint_t ngx_http_gateway_route_query(ngx_str_t *args, ngx_str_t *name,
    ngx_str_t *value);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_QUERY_H_INCLUDED_ */
