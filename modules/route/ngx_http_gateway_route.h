
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the parts of the route module that know nginx's HTTP share.
 */


#ifndef _NGX_HTTP_GATEWAY_ROUTE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../common/ngx_http_gateway_compat.h"
#include "../common/ngx_http_gateway_problem.h"
#include "../common/ngx_http_gateway_token.h"
#include "../common/ngx_http_gateway_variable.h"
#include "ngx_http_gateway_route_query.h"
#include "ngx_http_gateway_route_split.h"
#include "ngx_http_gateway_route_table.h"


typedef enum {
    NGX_HTTP_GATEWAY_ROUTE_IF = 0,
    NGX_HTTP_GATEWAY_ROUTE_HEADER,
    NGX_HTTP_GATEWAY_ROUTE_QUERY
} ngx_http_gateway_route_condition_e;


typedef struct {
    ngx_uint_t                        kind;      /* ..._condition_e */
    ngx_http_complex_value_t         *test;      /* of "if" */
    ngx_str_t                         name;      /* of a header, lower case */
    ngx_str_t                         value;
} ngx_http_gateway_route_condition_t;


/* a value of a line, and its part of the requests */

typedef struct {
    ngx_http_complex_value_t          value;
    uint64_t                          id;
    ngx_uint_t                        weight;
    ngx_http_complex_value_t         *weight_value;  /* NULL: it is fixed */
    ngx_uint_t                        rest;      /* 1: what the others leave
                                                    of 100 */
} ngx_http_gateway_route_side_t;


/* a line of the block */

typedef struct {
    ngx_http_gateway_route_entry_t    entry;     /* the first member */
    ngx_array_t                      *conditions; /* ..._condition_t, or NULL */
    ngx_http_gateway_route_side_t    *sides;
    ngx_uint_t                        nsides;
    ngx_http_complex_value_t         *sticky;    /* NULL: at random */
    ngx_uint_t                       *names;     /* of captures: indices */
} ngx_http_gateway_route_t;


/* a "gateway_routes" block */

typedef struct {
    ngx_str_t                         name;      /* the variable's */
    ngx_http_gateway_route_table_t   *table;
    ngx_http_gateway_route_t         *fallback;  /* "default", or NULL */
    ngx_uint_t                        captures;  /* most of any line */
    ngx_str_t                         file;
    ngx_uint_t                        line;
} ngx_http_gateway_route_block_t;


/* a "gateway_route" line; the block is known after all have been read */

typedef struct {
    ngx_str_t                         name;
    ngx_http_gateway_route_block_t   *block;
    ngx_str_t                         file;
    ngx_uint_t                        line;
} ngx_http_gateway_route_check_t;


typedef struct {
    ngx_array_t                       blocks;    /* ..._route_block_t * */
    ngx_array_t                       checks;    /* ..._route_check_t * */
    ngx_array_t                       names;     /* ngx_str_t, of captures */
    ngx_int_t                         index;     /* of the variable that keeps
                                                    ..._route_state_t */
} ngx_http_gateway_route_main_conf_t;


typedef struct {
    ngx_http_gateway_route_check_t   *check;     /* NULL: "off" */
} ngx_http_gateway_route_loc_conf_t;


/* how far a request is; within a text that is put together it does not move */

typedef struct {
    ngx_http_request_t               *request;
    void                            **loc_conf;
    ngx_int_t                         phase;
    ngx_uint_t                        answered;
} ngx_http_gateway_route_place_t;


/* what a block has for a request */

typedef struct ngx_http_gateway_route_found_s  ngx_http_gateway_route_found_t;

struct ngx_http_gateway_route_found_s {
    ngx_http_gateway_route_block_t   *block;
    ngx_http_gateway_route_t         *route;     /* NULL: nothing */
    ngx_str_t                         value;     /* when chosen */
    uint64_t                          allowed;   /* methods, without a route */
    ngx_http_gateway_route_found_t   *next;      /* of another block */
    ngx_http_gateway_route_place_t    asked;     /* for the value, without one
                                                    being chosen */
    unsigned                          chosen:1;
    unsigned                          split:1;   /* among several */
    unsigned                          sticky:1;
    unsigned                          checked:1; /* by "gateway_route" */

    ngx_str_t                         captures[1]; /* last, block->captures */
};


typedef struct {
    ngx_http_gateway_route_found_t   *last;      /* that was looked up */
    ngx_http_gateway_route_found_t   *told;      /* of by variables, ... */
    ngx_http_gateway_route_place_t    place;     /* ... here */
} ngx_http_gateway_route_state_t;


typedef struct {
    ngx_http_gateway_problem_t        problem;
} ngx_http_gateway_route_ctx_t;


#pragma GCC visibility push(hidden)

/* The "gateway_routes" block. */

char *ngx_http_gateway_routes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* The block of a variable, whose name may have any case, or NULL. */

ngx_http_gateway_route_block_t *ngx_http_gateway_route_get_block(
    ngx_http_gateway_route_main_conf_t *rmcf, ngx_str_t *name);

/*
 * Sets what follows the template in the line that cf->args has: values, shares
 * and conditions.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with the reason
 * logged.
 */

char *ngx_http_gateway_route_parameters(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);

/*
 * Logs that "value", which is a line's "what", is invalid, and what is
 * allowed.  Returns NGX_CONF_ERROR.
 */

char *ngx_http_gateway_route_invalid(ngx_conf_t *cf, char *what,
    ngx_str_t *value, char *allowed);


/*
 * What the block has for the request, looked up when that is asked for the
 * first time.  Subrequests that share the variables of their parent share this
 * as well, and internal redirects keep it.
 *
 * Returns NULL, with the reason logged, when there is no memory or a condition
 * can not be evaluated.
 */

ngx_http_gateway_route_found_t *ngx_http_gateway_route_find(
    ngx_http_request_t *r, ngx_http_gateway_route_block_t *block);

/*
 * What was found that the variables tell of: in the block of the location's
 * "gateway_route", or in the only one, or in the one that had been asked last
 * when this was called first at this place.
 *
 * Returns NGX_OK, with "*found" NULL when there is no such block, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_route_current(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t **found);

/*
 * Chooses the value, once for a request.  There has to be a route.  Returns
 * NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_route_choose(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found);

/*
 * Tells whether a value is chosen, and has not been said not to be at this
 * place.
 */

ngx_uint_t ngx_http_gateway_route_is_chosen(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found);


/* Embedded variables. */

ngx_int_t ngx_http_gateway_route_add_variables(ngx_conf_t *cf);

/*
 * Adds the variables of a capture, if no other one has its name, and sets
 * "*index" to its place in the names.  Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_route_add_capture(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t *index);

/* The variable of a block.  Returns NGX_OK, or NGX_ERROR, reason logged. */

ngx_int_t ngx_http_gateway_route_add_block(ngx_conf_t *cf,
    ngx_http_gateway_route_block_t *block);

/*
 * Tells whether something else, as a map, defines a variable of this name that
 * a block defines or is going to.  "set" only gives it another value.
 */

ngx_uint_t ngx_http_gateway_route_is_taken(ngx_conf_t *cf, ngx_str_t *name);

#pragma GCC visibility pop


extern ngx_module_t  ngx_http_gateway_route_module;


#endif /* _NGX_HTTP_GATEWAY_ROUTE_H_INCLUDED_ */
