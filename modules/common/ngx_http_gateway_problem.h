
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Error responses of the gateway as "problem details", RFC 9457.
 *
 * A module that refuses a request fills in a problem, keeps it in its request
 * context and returns the status from its handler, as any nginx module would.
 * Core then goes its usual way: satisfy, auth_delay, error_page, discarding of
 * the request body.  Only when the page that core made up itself reaches the
 * filters, it is exchanged for the problem.  An error_page leaves through an
 * internal redirect, which clears the context, or with another status; either
 * way the problem is forgotten and the error_page has its way.
 *
 * A module that refuses in the access phase takes the problem back in a later
 * phase: under "satisfy any" another module may have let the request pass.
 */


#ifndef _NGX_HTTP_GATEWAY_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_PROBLEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_uint_t     status;     /* 0: there is no problem */
    ngx_str_t      type;       /* URI reference; empty: "about:blank" */
    ngx_str_t      title;      /* empty: the reason phrase of the status */
    ngx_str_t      detail;     /* UTF-8, not escaped; empty: no such member */
    ngx_str_t      members;    /* further members, JSON text: "\"a\":1" */

    ngx_str_t      body;       /* set by the header filter */
    unsigned       replace:1;
} ngx_http_gateway_problem_t;


#pragma GCC visibility push(hidden)

/*
 * To be called first in the module's header filter.  When the response is the
 * one "p" was meant for, makes its body in r->pool and sets the response's
 * type and length; else does nothing.
 *
 * Returns NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_problem_header(ngx_http_request_t *r,
    ngx_http_gateway_problem_t *p);

/*
 * To be called in the module's body filter.  Returns the chain to pass on
 * instead of "in", which is "in" itself when the response is not a problem,
 * or NGX_CHAIN_ERROR.
 */

ngx_chain_t *ngx_http_gateway_problem_body(ngx_http_request_t *r,
    ngx_http_gateway_problem_t *p, ngx_chain_t *in);

/* The reason phrase of a status, or "Error". */

ngx_str_t *ngx_http_gateway_problem_title(ngx_uint_t status);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_PROBLEM_H_INCLUDED_ */
