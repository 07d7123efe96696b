
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What a table of routes has to find, by the plainest means: each line is
 * compared with the request, and each that matches with the best one so far.
 */


#ifndef _NAIVE_H_INCLUDED_
#define _NAIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_table.h"


#define NAIVE_LINES  128


/* lines in the order of writing */

typedef struct {
    ngx_http_gateway_route_entry_t   *lines[NAIVE_LINES];
    ngx_uint_t                        n;
} naive_t;


typedef struct {
    ngx_http_gateway_route_entry_t   *entry;     /* NULL: none */
    ngx_str_t                         captures
                                      [NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS];
    u_char                            allowed[4096];
} naive_result_t;


/*
 * Finds the line for a request.  "allowed" is the value of Allow then, with a
 * NUL at its end.  lookup->check() must not return NGX_ERROR.
 */

void naive_lookup(naive_t *naive, ngx_http_gateway_route_lookup_t *lookup,
    naive_result_t *result);

/* Tells whether two lines differ in no more than methods, and have one. */

ngx_uint_t naive_twice(naive_t *naive, ngx_uint_t one, ngx_uint_t two);

/* Tells whether the line takes a path for which it is made. */

ngx_uint_t naive_matches(ngx_http_gateway_route_template_t *t,
    ngx_str_t *path, ngx_str_t *captures);


#endif /* _NAIVE_H_INCLUDED_ */
