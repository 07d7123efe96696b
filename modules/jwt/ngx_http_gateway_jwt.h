
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the parts of the JWT module that know nginx's HTTP share.
 */


#ifndef _NGX_HTTP_GATEWAY_JWT_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../common/ngx_http_gateway_compat.h"
#include "../common/ngx_http_gateway_problem.h"
#include "../common/ngx_http_gateway_variable.h"
#include "ngx_http_gateway_jwt_cache.h"


typedef struct {
    ngx_array_t                       issuers;   /* ..._jwt_issuer_t * */
    ngx_array_t                       uses;      /* ..._jwt_use_t */
    ngx_uint_t                        cache_size;
    ngx_http_gateway_jwt_cache_t     *cache;     /* NULL: off */
} ngx_http_gateway_jwt_main_conf_t;


/* a gateway_jwt directive, whose issuers may be configured after it */

typedef struct {
    ngx_array_t                      *issuers;   /* to be filled in */
    ngx_str_t                         names;
    ngx_str_t                         file;
    ngx_uint_t                        line;
} ngx_http_gateway_jwt_use_t;


typedef struct {
    ngx_flag_t                        enable;
    ngx_http_complex_value_t         *realm;
    ngx_array_t                      *issuers;   /* ..._jwt_issuer_t * */
    ngx_int_t                         variable;  /* NGX_ERROR: Authorization */
    ngx_array_t                      *claims;    /* ..._jwt_rule_t */
    ngx_array_t                      *scopes;    /* ngx_str_t */
    size_t                            max_size;
    unsigned                          said:1;    /* "gateway_jwt", or outside */
} ngx_http_gateway_jwt_loc_conf_t;


/* of the main request; internal redirects keep it */

typedef struct {
    ngx_http_gateway_jwt_token_t     *token;     /* verified; NULL: none */
    ngx_uint_t                        status;    /* ..._jwt_status_e */
    ngx_http_gateway_problem_t        problem;
} ngx_http_gateway_jwt_ctx_t;


#pragma GCC visibility push(hidden)

/* The request's context, or NULL when no check has run. */

ngx_http_gateway_jwt_ctx_t *ngx_http_gateway_jwt_get_ctx(
    ngx_http_request_t *r);


/* The "gateway_jwt_issuer" block. */

char *ngx_http_gateway_jwt_issuer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Finds the issuers that "gateway_jwt" directives name, once all blocks are
 * known.  Returns NGX_OK, or NGX_ERROR with the reason logged.
 */

ngx_int_t ngx_http_gateway_jwt_find_issuers(ngx_conf_t *cf,
    ngx_http_gateway_jwt_main_conf_t *jmcf);


/* The "gateway_jwt_require_claim" and "gateway_jwt_require_scope" lines. */

char *ngx_http_gateway_jwt_require_claim(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_gateway_jwt_require_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Checks the location's rules against the verified "token".
 *
 * Returns NGX_HTTP_GATEWAY_JWT_OK, ..._CLAIM_REJECTED, ..._INSUFFICIENT_SCOPE,
 * or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_jwt_check_rules(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf,
    ngx_http_gateway_jwt_token_t *token);


/* Embedded variables, and the "gateway_jwt_claim_set" line. */

ngx_int_t ngx_http_gateway_jwt_add_variables(ngx_conf_t *cf);
char *ngx_http_gateway_jwt_claim_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* The name of a status, as $gateway_jwt_status has it. */

ngx_str_t *ngx_http_gateway_jwt_status_name(ngx_uint_t status);

/*
 * Refuses the request: sets the challenge and the problem that ctx->status
 * asks for.
 *
 * Returns the status code for the phase handler to return, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_jwt_refuse(ngx_http_request_t *r,
    ngx_http_gateway_jwt_loc_conf_t *jlcf, ngx_http_gateway_jwt_ctx_t *ctx);

#pragma GCC visibility pop


extern ngx_module_t  ngx_http_gateway_jwt_module;


#endif /* _NGX_HTTP_GATEWAY_JWT_H_INCLUDED_ */
