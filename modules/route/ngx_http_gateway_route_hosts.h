
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The hosts that lines of a table name, with a number for each, and those
 * that a request's host has lines of: its own name, and wildcards above it.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_HOSTS_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_HOSTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the number of lines without a host */

#define NGX_HTTP_GATEWAY_ROUTE_ANY_HOST  0


typedef struct {
    ngx_str_t                            name;     /* ".example.com" is
                                                      "*.example.com" */
    uint32_t                             hash;
    uint32_t                             root;     /* 0: not used */
} ngx_http_gateway_route_host_t;


/* open addressing, never full */

typedef struct {
    ngx_http_gateway_route_host_t       *hosts;
    uint32_t                             mask;
    uint32_t                             n;
    size_t                               longest;
} ngx_http_gateway_route_hosts_t;


/* what has been seen of a request's host, from its end */

typedef struct {
    u_char                              *start;
    u_char                              *pos;
    u_char                              *last;
    uint32_t                             hash;
} ngx_http_gateway_route_names_t;


#pragma GCC visibility push(hidden)

/* Makes room for "n" hosts.  Returns NGX_OK, or NGX_ERROR without memory. */

ngx_int_t ngx_http_gateway_route_hosts_init(
    ngx_http_gateway_route_hosts_t *hosts, ngx_pool_t *pool, ngx_uint_t n);

/* Gives a host the next number, from 1 on, unless it has one. */

void ngx_http_gateway_route_hosts_add(ngx_http_gateway_route_hosts_t *hosts,
    ngx_str_t *host);

/* Returns the number of a host as it stands in a line; without one: 0. */

uint32_t ngx_http_gateway_route_hosts_root(
    ngx_http_gateway_route_hosts_t *hosts, ngx_str_t *host);

/*
 * Begins with a request's host, in any case of letters; next() returns the
 * number of another host or wildcard that it is or is below, or 0 when there
 * are no more.  All together read each byte of the host once, and no more
 * than the table's longest name has.
 */

void ngx_http_gateway_route_hosts_open(ngx_http_gateway_route_names_t *names,
    ngx_str_t *host);
uint32_t ngx_http_gateway_route_hosts_next(
    ngx_http_gateway_route_hosts_t *hosts,
    ngx_http_gateway_route_names_t *names);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_ROUTE_HOSTS_H_INCLUDED_ */
