
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the parts of the limit module that know nginx's HTTP share.
 */


#ifndef _NGX_HTTP_GATEWAY_LIMIT_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../common/ngx_http_gateway_compat.h"
#include "../common/ngx_http_gateway_problem.h"
#include "../common/ngx_http_gateway_subrequest.h"
#include "../common/ngx_http_gateway_variable.h"
#include "../common/ngx_http_gateway_rate.h"
#include "ngx_http_gateway_limit_table.h"


#define NGX_HTTP_GATEWAY_LIMIT_HEADERS_OFF     0
#define NGX_HTTP_GATEWAY_LIMIT_HEADERS_ON      1
#define NGX_HTTP_GATEWAY_LIMIT_HEADERS_LEGACY  2


/* in the order of severity: the most severe one decides */

typedef enum {
    NGX_HTTP_GATEWAY_LIMIT_NONE = 0,
    NGX_HTTP_GATEWAY_LIMIT_PASSED,
    NGX_HTTP_GATEWAY_LIMIT_DRY_RUN_DELAYED,
    NGX_HTTP_GATEWAY_LIMIT_DRY_RUN_REJECTED,
    NGX_HTTP_GATEWAY_LIMIT_DELAYED,
    NGX_HTTP_GATEWAY_LIMIT_REJECTED
} ngx_http_gateway_limit_status_e;


typedef struct {
    ngx_str_t                         name;
    ngx_http_complex_value_t          key;
    ngx_int_t                         key_index;  /* NGX_ERROR: not just one
                                                     variable */
    ngx_http_complex_value_t         *rate_value; /* NULL: it is fixed */
    ngx_http_gateway_rate_t     rate;
    ngx_uint_t                        on_full;    /* ..._limit_full_e */

    ngx_http_gateway_limit_table_t   *table;
    ngx_slab_pool_t                  *shpool;

    /* a worker's own */

    uint32_t                          fraction;   /* of a microsecond */
    time_t                            warned;
} ngx_http_gateway_limit_zone_t;


/* a "gateway_limit" line */

typedef struct {
    ngx_shm_zone_t                   *shm_zone;
    ngx_http_complex_value_t         *cost;       /* NULL: 1 */
    uint64_t                          burst;      /* 0: the zone's */
    uint64_t                          delay;      /* tokens */
    ngx_http_gateway_rate_t     rate;       /* of a fixed one */
    int64_t                           delay_time; /* likewise */
    ngx_str_t                         policy;     /* likewise, the item */

    unsigned                          delayed:1;  /* "delay" is given */
    unsigned                          after_auth:1;
    unsigned                          dry_run:1;

    ngx_str_t                         file;
    ngx_uint_t                        line;
} ngx_http_gateway_limit_t;


typedef struct {
    ngx_array_t                       limits;     /* ..._limit_t *, all */
} ngx_http_gateway_limit_main_conf_t;


typedef struct {
    ngx_array_t                      *limits;     /* ..._limit_t * */
    ngx_array_t                      *after_auth; /* likewise */
    ngx_uint_t                        status_code;
    ngx_uint_t                        headers;
    ngx_uint_t                        log_level;
    ngx_uint_t                        prefix4;
    ngx_uint_t                        prefix6;
} ngx_http_gateway_limit_loc_conf_t;


/* a zone that this request has been checked against */

typedef struct ngx_http_gateway_limit_check_s  ngx_http_gateway_limit_check_t;

struct ngx_http_gateway_limit_check_s {
    ngx_http_gateway_limit_t         *limit;
    ngx_http_gateway_limit_zone_t    *zone;
    ngx_http_gateway_rate_t    *rate;       /* in force */
    ngx_str_t                        *policy;     /* item of the header */
    ngx_http_gateway_limit_request_t  request;
    ngx_http_gateway_limit_result_t   result;
    ngx_uint_t                        status;     /* ..._limit_status_e */
    ngx_http_gateway_limit_check_t   *next;
    unsigned                          impossible:1; /* costs too much */
};


/* of the main request; internal redirects keep it */

typedef struct {
    ngx_http_gateway_limit_check_t   *checks;     /* in order */
    ngx_http_gateway_limit_check_t  **last;
    ngx_http_gateway_limit_check_t   *deciding;
    ngx_http_gateway_problem_t       *problem;    /* NULL: not refused */
    ngx_uint_t                        headers;
    unsigned                          sent:1;     /* the header fields */

    ngx_http_gateway_limit_check_t    check;      /* room for the first, last
                                                     and not zeroed */
} ngx_http_gateway_limit_ctx_t;


#pragma GCC visibility push(hidden)

/* The request's context, or NULL when there was nothing to limit. */

ngx_http_gateway_limit_ctx_t *ngx_http_gateway_limit_get_ctx(
    ngx_http_request_t *r);


/* The "gateway_limit_zone" line. */

char *ngx_http_gateway_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Checks a "gateway_limit" line against its zone and computes what does not
 * change, once both are known.  Returns NGX_OK, or NGX_ERROR with the reason
 * logged.
 */

ngx_int_t ngx_http_gateway_limit_init_line(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit);


/*
 * The zone's item of RateLimit-Policy, in memory of "pool".  Returns NGX_OK or
 * NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_limit_policy(ngx_pool_t *pool, ngx_str_t *name,
    ngx_http_gateway_rate_t *rate, ngx_str_t *policy);


/* Tells whether the request has been checked against the line's zone. */

ngx_uint_t ngx_http_gateway_limit_is_checked(
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_t *limit);

/*
 * Appends the check of the line's zone to ctx->checks, and charges nothing.
 *
 * Returns NGX_OK, NGX_DECLINED when the key is empty, or NGX_ERROR, with the
 * reason logged, when there is no memory or a rate or a cost is invalid.
 */

ngx_int_t ngx_http_gateway_limit_create_check(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_t *limit);

/*
 * Charges all checks from "first" on, or none of the request's.
 *
 * Returns NGX_DECLINED when the request may go on, NGX_AGAIN when it has to
 * wait, after which its phase handlers are run again, or the status code to
 * answer with.
 */

ngx_int_t ngx_http_gateway_limit_charge_all(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_check_t *first);

/* Gives back all that the request has been charged. */

void ngx_http_gateway_limit_refund_all(ngx_http_gateway_limit_ctx_t *ctx);


/* Whole tokens that the checked zone's bucket holds. */

uint64_t ngx_http_gateway_limit_remaining(
    ngx_http_gateway_limit_check_t *check);

/*
 * Adds RateLimit and RateLimit-Policy to the response.  Returns NGX_OK or
 * NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_limit_add_headers(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx);

/*
 * Adds Retry-After, which is "wait" microseconds away or never if that is
 * negative, and sets the problem.  Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_limit_refusal(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_uint_t status, int64_t wait);


/* Embedded variables, and the "gateway_limit_prefix" line. */

ngx_int_t ngx_http_gateway_limit_add_variables(ngx_conf_t *cf);
char *ngx_http_gateway_limit_prefix(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

#pragma GCC visibility pop


extern ngx_module_t  ngx_http_gateway_limit_module;


#endif /* _NGX_HTTP_GATEWAY_LIMIT_H_INCLUDED_ */
