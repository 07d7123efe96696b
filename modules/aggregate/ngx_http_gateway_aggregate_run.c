
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the subrequests of a part, from what they ask to how they ended.
 */


#include "ngx_http_gateway_aggregate.h"


static ngx_int_t ngx_http_gateway_aggregate_make_fields(
    ngx_http_gateway_aggregate_state_t *state, ngx_array_t **fields);
static ngx_int_t ngx_http_gateway_aggregate_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);


ngx_int_t
ngx_http_gateway_aggregate_make_runs(
    ngx_http_gateway_aggregate_state_t *state)
{
    char                                 *error;
    ngx_int_t                             rc;
    ngx_str_t                             array, item, reason;
    ngx_uint_t                            n;
    ngx_pool_t                           *pool;
    ngx_http_gateway_aggregate_part_t    *part;
    ngx_http_gateway_json_cursor_t   cursor, rest;

    pool = state->ctx->request->pool;
    part = state->part;

    n = 1;

    if (part->each != NGX_HTTP_GATEWAY_AGGREGATE_NO_PART) {

        rc = ngx_http_gateway_json_find(pool,
                                        &state->ctx->states[part->each].source,
                                        &part->each_pointer, &array);
        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED
            || array.data[0] != '['
            || ngx_http_gateway_json_open(&cursor, &array) != NGX_OK)
        {
            error = "there is no array to take its elements from";
            goto failed;
        }

        rest = cursor;
        n = 0;

        while (ngx_http_gateway_json_next_element(&rest, &item) == NGX_OK)
        {
            if (n == part->max) {
                state->truncated = 1;
                break;
            }

            if (item.data[0] == '['
                || item.data[0] == 't'
                || item.data[0] == 'f'
                || item.data[0] == 'n')
            {
                error = "an element is not a string, a number or an object";
                goto failed;
            }

            n++;
        }
    }

    if (n) {
        state->runs = ngx_pcalloc(pool,
                               n * sizeof(ngx_http_gateway_aggregate_run_t));
        if (state->runs == NULL) {
            return NGX_ERROR;
        }
    }

    state->nruns = n;

    for (n = 0; n < state->nruns; n++) {
        state->runs[n].state = state;
        state->runs[n].same = n;

        if (part->each != NGX_HTTP_GATEWAY_AGGREGATE_NO_PART) {
            (void) ngx_http_gateway_json_next_element(&cursor,
                                                     &state->runs[n].item);
        }
    }

    return NGX_OK;

failed:

    reason.data = (u_char *) error;
    reason.len = ngx_strlen(error);

    ngx_http_gateway_aggregate_fail_state(state,
                               NGX_HTTP_GATEWAY_AGGREGATE_OTHER, &reason);
    return NGX_DECLINED;
}


ngx_int_t
ngx_http_gateway_aggregate_start_run(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_int_t                            rc;
    ngx_str_t                            body;
    ngx_uint_t                           i;
    ngx_http_gateway_subrequest_t        sub;
    ngx_http_gateway_aggregate_ctx_t    *ctx;
    ngx_http_gateway_aggregate_run_t    *other;
    ngx_http_gateway_aggregate_part_t   *part;
    ngx_http_gateway_aggregate_state_t  *state;

    state = run->state;
    ctx = state->ctx;
    part = state->part;

    rc = ngx_http_gateway_aggregate_make_uri(run);

    if (rc == NGX_OK) {
        rc = ngx_http_gateway_aggregate_split_uri(run, &sub);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        run->settled = 1;
        state->failure = NGX_HTTP_GATEWAY_AGGREGATE_OTHER;
        state->reason = run->reason;

        return NGX_OK;
    }

    for (i = 0; state->runs + i < run; i++) {

        other = &state->runs[i];

        if (other->uri.len == run->uri.len
            && ngx_memcmp(other->uri.data, run->uri.data, run->uri.len) == 0)
        {
            run->same = other->same;
            run->settled = 1;

            return NGX_OK;
        }
    }

    sub.method = part->method;
    sub.method_name = part->method_name;
    sub.request_body = part->request_body;
    sub.body = NULL;
    sub.fields = NULL;

    if (part->body) {

        if (ngx_http_complex_value(ctx->request, part->body, &body) != NGX_OK)
        {
            return NGX_ERROR;
        }

        sub.body = &body;
    }

    if (part->fields
        && ngx_http_gateway_aggregate_make_fields(state, &sub.fields)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    run->post.handler = ngx_http_gateway_aggregate_done;
    run->post.data = run;
    sub.post = &run->post;

    run->sr = ngx_http_gateway_subrequest(ctx->request, &ctx->subrequests,
                                          &sub);
    if (run->sr == NULL) {
        return NGX_ERROR;
    }

    state->running++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_make_fields(
    ngx_http_gateway_aggregate_state_t *state, ngx_array_t **fields)
{
    ngx_uint_t                           i;
    ngx_http_request_t                  *r;
    ngx_http_gateway_field_t            *field;
    ngx_http_gateway_aggregate_field_t  *conf;

    r = state->ctx->request;

    *fields = ngx_array_create(r->pool, state->part->fields->nelts,
                               sizeof(ngx_http_gateway_field_t));
    if (*fields == NULL) {
        return NGX_ERROR;
    }

    conf = state->part->fields->elts;

    for (i = 0; i < state->part->fields->nelts; i++) {

        field = ngx_array_push(*fields);

        field->name = conf[i].name;
        field->lowcase = conf[i].lowcase;
        field->hash = conf[i].hash;

        if (ngx_http_complex_value(r, &conf[i].value, &field->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_http_gateway_aggregate_run_t *
ngx_http_gateway_aggregate_get_run(ngx_http_request_t *r)
{
    if (r->post_subrequest == NULL
        || r->post_subrequest->handler != ngx_http_gateway_aggregate_done)
    {
        return NULL;
    }

    return r->post_subrequest->data;
}


/*
 * Called by core when the subrequest ends, at times more than once: first with
 * the status of an error, then when the page for it has been sent.
 */

static ngx_int_t
ngx_http_gateway_aggregate_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_gateway_aggregate_run_t *run = data;

    if (sr->connection->error) {
        return rc;
    }

    /* see ngx_http_gateway_subrequest() */

    sr->background = 1;

    if (rc == NGX_ERROR
        || rc == NGX_HTTP_CLOSE
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        /* core would close the client's connection */

        ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                        "the answer was cut off");
        rc = NGX_OK;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE
        || rc == NGX_HTTP_CREATED
        || rc == NGX_HTTP_NO_CONTENT)
    {
        if (!sr->header_sent && !run->ended) {

            /* a page is made, or an error_page has its way */

            run->status = rc;

            return rc;
        }

        rc = NGX_OK;
    }

    if (run->ended || sr->buffered || sr->postponed) {
        return rc;
    }

    run->ended = 1;

    /* of an empty body there may be no buffer, not even the last one */

    if (sr->header_sent && sr->headers_out.content_length_n == run->size) {
        run->complete = 1;
    }

    if (ngx_http_gateway_aggregate_wake(run->state->ctx) != NGX_OK) {

        /* the deadline wakes it */

        ngx_log_error(NGX_LOG_CRIT, sr->connection->log, 0,
                      "no memory to wake the request of part \"%V\"",
                      &run->state->part->name);
    }

    return rc;
}


void
ngx_http_gateway_aggregate_fail(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_failure_e failure, char *reason)
{
    if (run->failed) {
        return;
    }

    run->failed = 1;
    run->failure = failure;

    run->reason.data = (u_char *) reason;
    run->reason.len = ngx_strlen(reason);
}


ngx_int_t
ngx_http_gateway_aggregate_settle_run(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_http_gateway_aggregate_state_t  *state;

    state = run->state;

    run->settled = 1;
    state->running--;
    state->size += run->size;

    if (ngx_http_gateway_aggregate_take_value(run) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!run->failed) {

        if (state->failure == NGX_HTTP_GATEWAY_AGGREGATE_OK) {
            state->status = run->status;
        }

        return NGX_OK;
    }

    if (state->failure == NGX_HTTP_GATEWAY_AGGREGATE_OK) {
        state->failure = run->failure;
        state->reason = run->reason;
        state->status = run->status;

        if (state->part->pass
            && run->failure == NGX_HTTP_GATEWAY_AGGREGATE_STATUS
            && run->status >= 400 && run->status < 500
            && run->complete)
        {
            state->passed = run;
        }
    }

    return NGX_OK;
}


void
ngx_http_gateway_aggregate_abort_run(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_http_request_t                *sr;
    ngx_http_gateway_aggregate_ctx_t  *ctx;

    sr = run->sr;

    if (sr == NULL || run->ended) {
        return;
    }

    run->ended = 1;
    run->takes = 0;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_gateway_aggregate_module);

    if (ctx && ctx->states && !ctx->answered) {

        /* an aggregate itself */

        ngx_http_gateway_aggregate_abort(ctx);

        sr->write_event_handler = ngx_http_request_empty_handler;
        ngx_http_finalize_request(sr, NGX_DONE);

        return;
    }

    /* at worst it goes on without being listened to */

    (void) ngx_http_gateway_subrequest_abort(sr);
}
