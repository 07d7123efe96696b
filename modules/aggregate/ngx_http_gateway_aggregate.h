
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the files of the aggregate module share: the configuration of parts,
 * the state of a request and of its parts.
 *
 * A part is what "part" describes.  Its state in a request has a run for each
 * subrequest: one, or as many as there are elements with "each=".
 */


#ifndef _NGX_HTTP_GATEWAY_AGGREGATE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_AGGREGATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../common/ngx_http_gateway_compat.h"
#include "../common/ngx_http_gateway_problem.h"
#include "../common/ngx_http_gateway_set.h"
#include "../common/ngx_http_gateway_subrequest.h"
#include "../common/ngx_http_gateway_variable.h"
#include "ngx_http_gateway_aggregate_caching.h"
#include "../common/ngx_http_gateway_json.h"
#include "../common/ngx_http_gateway_json_scan.h"


#define NGX_HTTP_GATEWAY_AGGREGATE_MAX_PARTS  256
#define NGX_HTTP_GATEWAY_AGGREGATE_MAX_NESTING  32
#define NGX_HTTP_GATEWAY_AGGREGATE_NO_PART    ((ngx_uint_t) -1)


/* a piece of a URI: text with variables, or "<...>" */

typedef enum {
    NGX_HTTP_GATEWAY_AGGREGATE_TEXT = 0,
    NGX_HTTP_GATEWAY_AGGREGATE_VARIABLE,   /* <$variable> */
    NGX_HTTP_GATEWAY_AGGREGATE_PART,       /* <part/pointer> */
    NGX_HTTP_GATEWAY_AGGREGATE_ITEM        /* <item/pointer> */
} ngx_http_gateway_aggregate_piece_e;


typedef struct {
    ngx_http_gateway_aggregate_piece_e     type;
    ngx_str_t                              text;     /* as written */
    ngx_http_complex_value_t               value;    /* of text, variable */
    ngx_uint_t                             part;     /* its index */
    ngx_http_gateway_json_pointer_t   pointer;
} ngx_http_gateway_aggregate_piece_t;


typedef struct {
    ngx_str_t                              name;
    ngx_str_t                              lowcase;
    ngx_uint_t                             hash;
    ngx_http_complex_value_t               value;
} ngx_http_gateway_aggregate_field_t;


typedef struct {
    ngx_uint_t                             from;
    ngx_uint_t                             to;
} ngx_http_gateway_aggregate_statuses_t;


typedef struct {
    ngx_str_t                              name;     /* as written */
    ngx_str_t                              token;    /* for Server-Timing */
    ngx_http_gateway_json_pointer_t   path;     /* its names */
    ngx_uint_t                             index;

    ngx_array_t                            uri;      /* ..._piece_t */
    ngx_array_t                            depends;  /* ngx_uint_t, indices */

    ngx_uint_t                             each;     /* part, or NO_PART */
    ngx_str_t                              each_text;
    ngx_http_gateway_json_pointer_t   each_pointer;
    ngx_uint_t                             max;
    ngx_uint_t                             concurrency;

    ngx_uint_t                             method;
    ngx_str_t                              method_name;
    ngx_http_complex_value_t              *body;
    ngx_array_t                           *fields;   /* ..._field_t */
    ngx_array_t                           *statuses; /* NULL: 2xx */
    ngx_msec_t                             timeout;  /* 0: the whole's */

    ngx_http_gateway_json_pointer_t  *select;
    ngx_http_gateway_json_members_t   members;
    ngx_str_t                              default_value;

    unsigned                               merge:1;  /* "." */
    unsigned                               optional:1;
    unsigned                               pass:1;   /* errors=pass */
    unsigned                               request_body:1;
    unsigned                               picks:1;  /* only, except, rename */
    unsigned                               referred:1;   /* by other parts */
    unsigned                               whole:1;  /* in one buffer */
} ngx_http_gateway_aggregate_part_t;


/* the answer as a tree: a part, or an object of such nodes */

typedef struct {
    ngx_str_t                              name;     /* decoded */
    ngx_str_t                              key;      /* "\"name\":" */
    ngx_http_gateway_aggregate_part_t     *part;     /* NULL: an object */
    ngx_array_t                            nodes;    /* ..._node_t */
} ngx_http_gateway_aggregate_node_t;


typedef struct {
    ngx_array_t                            parts;    /* ..._part_t */
    ngx_array_t                            nodes;    /* ..._node_t */
    ngx_uint_t                             merges;   /* parts that merge */
    unsigned                               reads_body:1;
} ngx_http_gateway_aggregate_t;


typedef struct {
    ngx_array_t                           *variables;  /* that are inherited */
    unsigned                               used:1;
} ngx_http_gateway_aggregate_main_conf_t;


typedef struct {
    ngx_http_gateway_aggregate_t          *aggregate;
    ngx_uint_t                             methods;
    ngx_str_t                              allow;
    ngx_msec_t                             timeout;
    size_t                                 max_part_size;
    size_t                                 max_size;
    ngx_uint_t                             max_depth;
    ngx_flag_t                             server_timing;
} ngx_http_gateway_aggregate_loc_conf_t;


typedef struct ngx_http_gateway_aggregate_ctx_s
    ngx_http_gateway_aggregate_ctx_t;
typedef struct ngx_http_gateway_aggregate_state_s
    ngx_http_gateway_aggregate_state_t;


typedef enum {
    NGX_HTTP_GATEWAY_AGGREGATE_OK = 0,
    NGX_HTTP_GATEWAY_AGGREGATE_STATUS,
    NGX_HTTP_GATEWAY_AGGREGATE_TIMEOUT,
    NGX_HTTP_GATEWAY_AGGREGATE_OTHER
} ngx_http_gateway_aggregate_failure_e;


/* a subrequest */

typedef struct {
    ngx_http_request_t                    *sr;
    ngx_http_gateway_aggregate_state_t    *state;
    ngx_http_post_subrequest_t             post;

    ngx_str_t                              item;     /* with each= */
    ngx_str_t                              uri;      /* to tell equal ones */
    ngx_uint_t                             same;     /* run that asks it */

    ngx_chain_t                           *out;      /* what came, then the */
    ngx_chain_t                           *last;     /* value */
    off_t                                  size;
    off_t                                  reserved; /* counted in ctx->size */
    ngx_uint_t                             status;
    ngx_http_gateway_json_scan_t      scan;

    ngx_http_gateway_aggregate_failure_e   failure;
    ngx_str_t                              reason;

    unsigned                               failed:1;
    unsigned                               aborts:1;   /* is not awaited */
    unsigned                               answered:1; /* not by core itself */
    unsigned                               takes:1;    /* keeps the body */
    unsigned                               checks:1;   /* it has to be JSON */
    unsigned                               direct:1;   /* see capture.c */
    unsigned                               complete:1; /* all has come */
    unsigned                               ended:1;    /* so has "sr" */
    unsigned                               settled:1;  /* and was looked at */
} ngx_http_gateway_aggregate_run_t;


typedef enum {
    NGX_HTTP_GATEWAY_AGGREGATE_WAITING = 0,
    NGX_HTTP_GATEWAY_AGGREGATE_RUNNING,
    NGX_HTTP_GATEWAY_AGGREGATE_DONE,
    NGX_HTTP_GATEWAY_AGGREGATE_FAILED
} ngx_http_gateway_aggregate_state_e;


/* a part in a request */

struct ngx_http_gateway_aggregate_state_s {
    ngx_http_gateway_aggregate_ctx_t      *ctx;
    ngx_http_gateway_aggregate_part_t     *part;
    ngx_http_gateway_aggregate_state_e     state;

    ngx_http_gateway_aggregate_run_t      *runs;
    ngx_uint_t                             nruns;
    ngx_uint_t                             started;
    ngx_uint_t                             running;

    ngx_msec_t                             start;
    ngx_msec_t                             elapsed;
    off_t                                  size;
    ngx_uint_t                             status;

    ngx_http_gateway_aggregate_failure_e   failure;
    ngx_str_t                              reason;
    ngx_http_gateway_aggregate_run_t      *passed;   /* errors=pass */

    ngx_str_t                              source;   /* for "<part/...>" */
    ngx_str_t                              members;  /* that it merges */
    unsigned                               has_source:1;
    unsigned                               truncated:1;
    unsigned                               dropped:1; /* name was taken */
};


struct ngx_http_gateway_aggregate_ctx_s {
    ngx_http_request_t                    *request;
    ngx_http_gateway_aggregate_t          *aggregate;
    ngx_http_gateway_aggregate_state_t    *states;
    ngx_uint_t                             left;     /* parts not settled */

    ngx_http_gateway_subrequests_t         subrequests;
    ngx_http_gateway_aggregate_caching_t   caching;

    ngx_event_t                            timer;
    ngx_msec_t                             start;
    off_t                                  size;     /* kept or to be kept */

    ngx_str_t                              status;
    ngx_str_t                              missing;
    ngx_http_gateway_problem_t            *problem;

    unsigned                               posted:1;
    unsigned                               answered:1;
};


extern ngx_module_t  ngx_http_gateway_aggregate_module;


#pragma GCC visibility push(hidden)

/* module: the content handler */

ngx_int_t ngx_http_gateway_aggregate_handler(ngx_http_request_t *r);

/* parts: the block "gateway_aggregate" */

char *ngx_http_gateway_aggregate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * options: reads the options of the line "part" that is read.  Returns
 * NGX_CONF_OK, or NGX_CONF_ERROR with the reason logged.
 */

char *ngx_http_gateway_aggregate_set_options(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part);

/* Tells whether "text" is valid UTF-8. */

ngx_uint_t ngx_http_gateway_aggregate_is_utf8(ngx_str_t *text);

/* Escapes "text" for a JSON string, in memory of "pool". */

ngx_int_t ngx_http_gateway_aggregate_escape(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *escaped);

/*
 * Logs what is wrong with "value", in the line of the configuration that is
 * read, and what is allowed.  Returns NGX_CONF_ERROR.
 */

char *ngx_http_gateway_aggregate_invalid(ngx_conf_t *cf, ngx_str_t *value,
    char *allowed);

/*
 * uri: compiles the URI of a part, in which "<...>" is not resolved yet; finds
 * the part that "text", a NAME with a JSON pointer, begins with; resolves one
 * "<...>".  Return NGX_OK, or NGX_ERROR with the reason logged.
 */

ngx_int_t ngx_http_gateway_aggregate_compile_uri(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *text);
ngx_int_t ngx_http_gateway_aggregate_resolve(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part,
    ngx_str_t *text, ngx_uint_t *found,
    ngx_http_gateway_json_pointer_t *pointer);
ngx_int_t ngx_http_gateway_aggregate_resolve_piece(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part,
    ngx_http_gateway_aggregate_piece_t *piece);

/*
 * Makes the URI of a run, run->uri, and what the subrequest gets of it.
 * Returns NGX_OK, NGX_DECLINED with run->reason set when it cannot be made, or
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_make_uri(
    ngx_http_gateway_aggregate_run_t *run);
ngx_int_t ngx_http_gateway_aggregate_split_uri(
    ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_subrequest_t *sub);

/*
 * schedule: starts all parts that can be started; called when the request's
 * body has been read.  Finalizes the request when all is done.
 */

void ngx_http_gateway_aggregate_start(ngx_http_request_t *r);

/* ends what still runs for "ctx"; the request is not finalized */

void ngx_http_gateway_aggregate_abort(ngx_http_gateway_aggregate_ctx_t *ctx);

/* a part has failed; "reason" has to live as long as the request */

void ngx_http_gateway_aggregate_fail_state(
    ngx_http_gateway_aggregate_state_t *state,
    ngx_http_gateway_aggregate_failure_e failure, ngx_str_t *reason);

/*
 * run: makes the runs of a part, without starting them.  Returns NGX_OK,
 * NGX_DECLINED when that fails the part, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_make_runs(
    ngx_http_gateway_aggregate_state_t *state);

/*
 * Starts a run, unless another one asks the same or its URI cannot be made;
 * looks at one that has ended.  Return NGX_OK, or NGX_ERROR after which the
 * request has to be finalized.
 */

ngx_int_t ngx_http_gateway_aggregate_start_run(
    ngx_http_gateway_aggregate_run_t *run);
ngx_int_t ngx_http_gateway_aggregate_settle_run(
    ngx_http_gateway_aggregate_run_t *run);

/* ends the subrequest of a run, or stops listening to it */

void ngx_http_gateway_aggregate_abort_run(
    ngx_http_gateway_aggregate_run_t *run);

/* returns the run that a request is the subrequest of, or NULL */

ngx_http_gateway_aggregate_run_t *ngx_http_gateway_aggregate_get_run(
    ngx_http_request_t *r);

/* lets the request of "ctx" go on as soon as posted requests run */

ngx_int_t ngx_http_gateway_aggregate_wake(
    ngx_http_gateway_aggregate_ctx_t *ctx);

/* a run has failed: the first reason counts.  "reason" has to stay */

void ngx_http_gateway_aggregate_fail(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_failure_e failure, char *reason);

/*
 * capture: the filters for what a subrequest answers.  Neither returns
 * NGX_ERROR, with which core would close the client's connection.
 */

void ngx_http_gateway_aggregate_capture_header(
    ngx_http_gateway_aggregate_run_t *run);
void ngx_http_gateway_aggregate_capture_body(
    ngx_http_gateway_aggregate_run_t *run, ngx_chain_t *in);

/*
 * Makes of the bytes that came the value of a run: checks that it is whole,
 * takes the white space around it away, selects and picks.  On a failure the
 * run has failed.  Returns NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_take_value(
    ngx_http_gateway_aggregate_run_t *run);

/* answer: returns a status to finalize the request with */

ngx_int_t ngx_http_gateway_aggregate_answer(
    ngx_http_gateway_aggregate_ctx_t *ctx);

/*
 * Adds the bytes that a run keeps to "texts", an array of ngx_str_t; makes a
 * chain of them, of which there has to be one, and sets its length.  Return
 * NGX_OK and the chain, or NGX_ERROR and NULL when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_add_run(
    ngx_http_gateway_aggregate_run_t *run, ngx_array_t *texts);
ngx_chain_t *ngx_http_gateway_aggregate_make_chain(ngx_http_request_t *r,
    ngx_array_t *texts, off_t *length);

/*
 * "name" is static, "value" has to live as long as the request.  Returns NULL
 * when there is no memory.
 */

ngx_table_elt_t *ngx_http_gateway_aggregate_push_header(ngx_http_request_t *r,
    char *name, ngx_str_t *value);

/*
 * error: answers with the error of a run, errors=pass; or that "failed" has
 * failed.  Return a status to finalize the request with.
 */

ngx_int_t ngx_http_gateway_aggregate_send_passed(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_run_t *run);
ngx_int_t ngx_http_gateway_aggregate_refuse_answer(
    ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_state_t *failed);

/*
 * merge: finds out which names of the answer's root are taken: drops named
 * parts, and cuts members out of parts called ".".  Returns NGX_OK, or
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_merge(
    ngx_http_gateway_aggregate_ctx_t *ctx);

/* has the part something to stand in the answer: its value or a default */

ngx_uint_t ngx_http_gateway_aggregate_has_value(
    ngx_http_gateway_aggregate_state_t *state);

/* variables */

ngx_int_t ngx_http_gateway_aggregate_add_variables(ngx_conf_t *cf);

/*
 * Makes the value of the field Server-Timing in the request's pool.  Returns
 * NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_aggregate_server_timing(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_str_t *value);

/*
 * Returns the context of a request; also after an internal redirect, which
 * clears contexts.
 */

ngx_http_gateway_aggregate_ctx_t *ngx_http_gateway_aggregate_get_ctx(
    ngx_http_request_t *r);
ngx_http_gateway_aggregate_ctx_t *ngx_http_gateway_aggregate_create_ctx(
    ngx_http_request_t *r);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_AGGREGATE_H_INCLUDED_ */
