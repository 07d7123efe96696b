
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what is done when: begins the parts that wait for nothing any more,
 * looks at those that have ended, keeps the deadlines, and answers when all
 * parts are settled.
 *
 * All of that is done in the request's own handlers, never in those of a
 * subrequest: these only wake the request.
 */


#include "ngx_http_gateway_aggregate.h"


static void ngx_http_gateway_aggregate_cleanup(void *data);
static void ngx_http_gateway_aggregate_resume(ngx_http_request_t *r);
static void ngx_http_gateway_aggregate_pass_event(
    ngx_http_gateway_aggregate_ctx_t *ctx);
static void ngx_http_gateway_aggregate_go_on(
    ngx_http_gateway_aggregate_ctx_t *ctx);
static ngx_int_t ngx_http_gateway_aggregate_settle_runs(
    ngx_http_gateway_aggregate_state_t *state);
static ngx_int_t ngx_http_gateway_aggregate_settle(
    ngx_http_gateway_aggregate_state_t *state);
static ngx_int_t ngx_http_gateway_aggregate_set_source(
    ngx_http_gateway_aggregate_state_t *state);

static ngx_int_t ngx_http_gateway_aggregate_begin(
    ngx_http_gateway_aggregate_state_t *state);
static ngx_int_t ngx_http_gateway_aggregate_needs(
    ngx_http_gateway_aggregate_state_t *state);
static ngx_int_t ngx_http_gateway_aggregate_start_runs(
    ngx_http_gateway_aggregate_state_t *state);

static void ngx_http_gateway_aggregate_set_timer(
    ngx_http_gateway_aggregate_ctx_t *ctx);
static void ngx_http_gateway_aggregate_timer_handler(ngx_event_t *ev);
static void ngx_http_gateway_aggregate_expire(
    ngx_http_gateway_aggregate_state_t *state, ngx_uint_t whole);
static void ngx_http_gateway_aggregate_abort_runs(
    ngx_http_gateway_aggregate_state_t *state);


#define ngx_http_gateway_aggregate_is_settled(s)                              \
    ((s)->state == NGX_HTTP_GATEWAY_AGGREGATE_DONE                            \
     || (s)->state == NGX_HTTP_GATEWAY_AGGREGATE_FAILED)


ngx_http_gateway_aggregate_ctx_t *
ngx_http_gateway_aggregate_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_gateway_aggregate_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_gateway_aggregate_ctx_t));

    cln->handler = ngx_http_gateway_aggregate_cleanup;

    ctx->request = r;

    ngx_http_set_ctx(r, ctx, ngx_http_gateway_aggregate_module);

    return ctx;
}


/* by this handler the context is found after an internal redirect, too */

static void
ngx_http_gateway_aggregate_cleanup(void *data)
{
    ngx_http_gateway_aggregate_ctx_t *ctx = data;

    ctx->answered = 1;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }
}


ngx_http_gateway_aggregate_ctx_t *
ngx_http_gateway_aggregate_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);

    if (ctx != NULL || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_gateway_aggregate_cleanup) {
            ctx = cln->data;

            if (ctx->request == r) {
                return ctx;
            }
        }
    }

    return NULL;
}


void
ngx_http_gateway_aggregate_start(ngx_http_request_t *r)
{
    ngx_uint_t                               i;
    ngx_http_cleanup_t                      *cln;
    ngx_http_gateway_aggregate_t            *a;
    ngx_http_gateway_aggregate_ctx_t        *ctx;
    ngx_http_gateway_aggregate_part_t       *part;
    ngx_http_gateway_aggregate_state_t      *state;
    ngx_http_gateway_aggregate_loc_conf_t   *alcf;
    ngx_http_gateway_aggregate_main_conf_t  *amcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_aggregate_module);
    amcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_aggregate_module);

    a = alcf->aggregate;
    part = a->parts.elts;

    state = ngx_pcalloc(r->pool, a->parts.nelts
                                 * sizeof(ngx_http_gateway_aggregate_state_t));

    /* the timer has to go when core terminates the request, not only later */

    cln = ngx_http_cleanup_add(r, 0);

    if (state == NULL
        || cln == NULL
        || ngx_http_gateway_subrequests(r, r->pool, &ctx->subrequests,
                                        amcf->variables)
           != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_gateway_aggregate_cleanup;
    cln->data = ctx;

    for (i = 0; i < a->parts.nelts; i++) {
        state[i].ctx = ctx;
        state[i].part = &part[i];
    }

    ctx->aggregate = a;
    ctx->states = state;
    ctx->left = a->parts.nelts;
    ctx->start = ngx_current_msec;

    ngx_http_gateway_aggregate_caching_init(&ctx->caching, r->pool);

    ctx->timer.handler = ngx_http_gateway_aggregate_timer_handler;
    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;

    r->write_event_handler = ngx_http_gateway_aggregate_resume;

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    ngx_http_gateway_aggregate_go_on(ctx);
}


ngx_int_t
ngx_http_gateway_aggregate_wake(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    if (ctx->posted || ctx->answered) {
        return NGX_OK;
    }

    ctx->posted = 1;

    return ngx_http_post_request(ctx->request, NULL);
}


static void
ngx_http_gateway_aggregate_resume(ngx_http_request_t *r)
{
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_aggregate_module);

    if (!ctx->posted) {
        ngx_http_gateway_aggregate_pass_event(ctx);
        return;
    }

    ctx->posted = 0;

    ngx_http_gateway_aggregate_go_on(ctx);
}


/*
 * An event of the client's connection goes to this request.  A subrequest that
 * has set the connection's timer, as limit_req does, waits for it.
 */

static void
ngx_http_gateway_aggregate_pass_event(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_uint_t                           i, n;
    ngx_http_request_t                  *sr;
    ngx_http_gateway_aggregate_state_t  *state;

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        for (n = 0; n < state->started; n++) {

            sr = state->runs[n].sr;

            if (sr
                && !state->runs[n].ended
                && sr->upstream == NULL
                && sr->write_event_handler != ngx_http_handler)
            {
                (void) ngx_http_post_request(sr, NULL);
            }
        }
    }
}


static void
ngx_http_gateway_aggregate_go_on(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_int_t                            rc;
    ngx_uint_t                           i, left;
    ngx_http_request_t                  *r;
    ngx_http_gateway_aggregate_state_t  *state;

    if (ctx->answered) {
        return;
    }

    r = ctx->request;
    r->connection->log->action = "aggregating";

    /* a part that is settled may be what others have waited for */

    do {
        left = ctx->left;

        for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

            state = &ctx->states[i];

            switch (state->state) {

            case NGX_HTTP_GATEWAY_AGGREGATE_WAITING:
                rc = ngx_http_gateway_aggregate_begin(state);
                break;

            case NGX_HTTP_GATEWAY_AGGREGATE_RUNNING:
                rc = ngx_http_gateway_aggregate_settle_runs(state);
                break;

            default:
                continue;
            }

            if (rc != NGX_OK) {
                ngx_http_gateway_aggregate_abort(ctx);
                ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
                return;
            }
        }

    } while (ctx->left && ctx->left < left);

    if (ctx->left) {
        ngx_http_gateway_aggregate_set_timer(ctx);
        return;
    }

    ngx_http_gateway_aggregate_cleanup(ctx);

    ngx_http_finalize_request(r, ngx_http_gateway_aggregate_answer(ctx));
}


static ngx_int_t
ngx_http_gateway_aggregate_settle_runs(
    ngx_http_gateway_aggregate_state_t *state)
{
    ngx_uint_t                         i;
    ngx_http_gateway_aggregate_run_t  *run;

    for (i = 0; i < state->started; i++) {

        run = &state->runs[i];

        if (run->settled) {
            continue;
        }

        if (!run->ended && run->aborts) {
            ngx_http_gateway_aggregate_abort_run(run);
        }

        if (!run->ended) {
            continue;
        }

        if (ngx_http_gateway_aggregate_settle_run(run) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_aggregate_start_runs(state);
}


/* all runs of a part have ended */

static ngx_int_t
ngx_http_gateway_aggregate_settle(ngx_http_gateway_aggregate_state_t *state)
{
    if (state->failure != NGX_HTTP_GATEWAY_AGGREGATE_OK) {
        ngx_http_gateway_aggregate_fail_state(state, state->failure,
                                              &state->reason);
        return NGX_OK;
    }

    state->state = NGX_HTTP_GATEWAY_AGGREGATE_DONE;
    state->elapsed = ngx_current_msec - state->start;
    state->ctx->left--;

    if (state->part->referred && !state->has_source) {
        return ngx_http_gateway_aggregate_set_source(state);
    }

    return NGX_OK;
}


/* the results of "each=" as one array, for parts that refer to it */

static ngx_int_t
ngx_http_gateway_aggregate_set_source(
    ngx_http_gateway_aggregate_state_t *state)
{
    size_t                             len;
    u_char                            *p;
    ngx_buf_t                         *b;
    ngx_uint_t                         i;
    ngx_http_gateway_aggregate_run_t  *run;

    len = sizeof("[]") - 1;

    for (i = 0; i < state->nruns; i++) {
        run = &state->runs[state->runs[i].same];
        len += run->out->buf->last - run->out->buf->pos + 1;
    }

    p = ngx_pnalloc(state->ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    state->source.data = p;
    *p++ = '[';

    for (i = 0; i < state->nruns; i++) {

        if (i) {
            *p++ = ',';
        }

        b = state->runs[state->runs[i].same].out->buf;
        p = ngx_cpymem(p, b->pos, b->last - b->pos);
    }

    *p++ = ']';

    state->source.len = p - state->source.data;
    state->has_source = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_begin(ngx_http_gateway_aggregate_state_t *state)
{
    ngx_int_t  rc;

    rc = ngx_http_gateway_aggregate_needs(state);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    state->state = NGX_HTTP_GATEWAY_AGGREGATE_RUNNING;
    state->start = ngx_current_msec;

    rc = ngx_http_gateway_aggregate_make_runs(state);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    return ngx_http_gateway_aggregate_start_runs(state);
}


/*
 * Returns NGX_OK when all parts are there that this one needs, NGX_AGAIN when
 * it has to wait, NGX_DECLINED when one has failed and so has this one.
 */

static ngx_int_t
ngx_http_gateway_aggregate_needs(ngx_http_gateway_aggregate_state_t *state)
{
    ngx_str_t                            reason;
    ngx_uint_t                           i, *depends;
    ngx_http_gateway_aggregate_state_t  *source;

    depends = state->part->depends.elts;

    for (i = 0; i < state->part->depends.nelts; i++) {

        source = &state->ctx->states[depends[i]];

        if (!ngx_http_gateway_aggregate_is_settled(source)) {
            return NGX_AGAIN;
        }

        if (source->has_source) {
            continue;
        }

        reason.data = ngx_pnalloc(state->ctx->request->pool,
                                  sizeof("the part  that it needs has failed")
                                  + source->part->name.len);
        if (reason.data == NULL) {
            return NGX_ERROR;
        }

        reason.len = ngx_sprintf(reason.data,
                                 "the part %V that it needs has failed",
                                 &source->part->name)
                     - reason.data;

        ngx_http_gateway_aggregate_fail_state(state,
                               NGX_HTTP_GATEWAY_AGGREGATE_OTHER, &reason);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* starts runs as far as it may; settles the part when none is left */

static ngx_int_t
ngx_http_gateway_aggregate_start_runs(
    ngx_http_gateway_aggregate_state_t *state)
{
    ngx_http_gateway_aggregate_run_t  *run;

    while (state->failure == NGX_HTTP_GATEWAY_AGGREGATE_OK
           && state->started < state->nruns
           && state->running < state->part->concurrency)
    {
        run = &state->runs[state->started++];

        if (ngx_http_gateway_aggregate_start_run(run) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (state->running) {
        return NGX_OK;
    }

    return ngx_http_gateway_aggregate_settle(state);
}


void
ngx_http_gateway_aggregate_fail_state(
    ngx_http_gateway_aggregate_state_t *state,
    ngx_http_gateway_aggregate_failure_e failure, ngx_str_t *reason)
{
    ngx_uint_t                          level;
    ngx_http_request_t                 *r;
    ngx_http_gateway_aggregate_part_t  *part;

    r = state->ctx->request;
    part = state->part;

    if (state->state == NGX_HTTP_GATEWAY_AGGREGATE_RUNNING) {
        state->elapsed = ngx_current_msec - state->start;
    }

    state->state = NGX_HTTP_GATEWAY_AGGREGATE_FAILED;
    state->failure = failure;
    state->reason = *reason;
    state->ctx->left--;

    if (part->default_value.len) {
        state->source = part->default_value;
        state->has_source = 1;

    } else {
        state->has_source = 0;
    }

    level = part->optional ? NGX_LOG_WARN : NGX_LOG_ERR;

    ngx_log_error(level, r->connection->log, 0, "part \"%V\" has failed: %V",
                  &part->name, reason);
}


/* one timer, for the deadline that comes first */

static void
ngx_http_gateway_aggregate_set_timer(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_uint_t                              i;
    ngx_msec_t                              elapsed;
    ngx_msec_int_t                          left, rest;
    ngx_http_gateway_aggregate_state_t     *state;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(ctx->request,
                                        ngx_http_gateway_aggregate_module);

    elapsed = ngx_current_msec - ctx->start;
    left = alcf->timeout - elapsed;

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        if (state->part->timeout
            && state->state == NGX_HTTP_GATEWAY_AGGREGATE_RUNNING)
        {
            elapsed = ngx_current_msec - state->start;
            rest = state->part->timeout - elapsed;

            left = ngx_min(left, rest);
        }
    }

    left = ngx_max(left, 1);

    /* core leaves a timer as it is when the new time is near to it */

    if (ctx->timer.timer_set
        && (ngx_msec_int_t) (ngx_current_msec + left - ctx->timer.timer.key)
           < 0)
    {
        ngx_del_timer(&ctx->timer);
    }

    ngx_add_timer(&ctx->timer, (ngx_msec_t) left);
}


static void
ngx_http_gateway_aggregate_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                              i, whole;
    ngx_connection_t                       *c;
    ngx_http_request_t                     *r;
    ngx_http_gateway_aggregate_ctx_t       *ctx;
    ngx_http_gateway_aggregate_state_t     *state;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_aggregate_module);

    whole = ngx_current_msec - ctx->start >= alcf->timeout;

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {

        state = &ctx->states[i];

        if (state->state == NGX_HTTP_GATEWAY_AGGREGATE_RUNNING
            && (whole
                || (state->part->timeout
                    && ngx_current_msec - state->start
                       >= state->part->timeout)))
        {
            ngx_http_gateway_aggregate_expire(state, whole);

        } else if (state->state == NGX_HTTP_GATEWAY_AGGREGATE_WAITING
                   && whole)
        {
            ngx_http_gateway_aggregate_expire(state, whole);
        }
    }

    ngx_http_gateway_aggregate_go_on(ctx);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_gateway_aggregate_expire(ngx_http_gateway_aggregate_state_t *state,
    ngx_uint_t whole)
{
    ngx_uint_t  i;
    ngx_str_t   reason;

    static ngx_str_t  part = ngx_string("it timed out");
    static ngx_str_t  all = ngx_string("the whole answer timed out");

    /* what has come in full, just not been looked at, is not late */

    for (i = 0; i < state->started; i++) {
        if (!state->runs[i].ended && !state->runs[i].settled) {
            break;
        }
    }

    if (state->started && i == state->started && i == state->nruns) {
        return;
    }

    ngx_http_gateway_aggregate_abort_runs(state);

    for (i = 0; i < state->started; i++) {
        state->size += state->runs[i].settled ? 0 : state->runs[i].size;
        state->runs[i].settled = 1;
    }

    reason = whole ? all : part;
    state->running = 0;

    if (state->state == NGX_HTTP_GATEWAY_AGGREGATE_RUNNING) {
        state->status = NGX_HTTP_GATEWAY_TIME_OUT;
    }

    ngx_http_gateway_aggregate_fail_state(state,
                                NGX_HTTP_GATEWAY_AGGREGATE_TIMEOUT, &reason);
}


void
ngx_http_gateway_aggregate_abort(ngx_http_gateway_aggregate_ctx_t *ctx)
{
    ngx_uint_t  i;

    ngx_http_gateway_aggregate_cleanup(ctx);

    for (i = 0; i < ctx->aggregate->parts.nelts; i++) {
        ngx_http_gateway_aggregate_abort_runs(&ctx->states[i]);
    }
}


static void
ngx_http_gateway_aggregate_abort_runs(
    ngx_http_gateway_aggregate_state_t *state)
{
    ngx_uint_t  i;

    for (i = 0; i < state->started; i++) {
        ngx_http_gateway_aggregate_abort_run(&state->runs[i]);
    }
}
