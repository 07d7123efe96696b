
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the check of a request against zones: what it asks of each, charging
 * all of them or none, and what follows.  Never knows in which phase it is.
 */


#include "ngx_http_gateway_limit.h"

#include <time.h>


static ngx_int_t ngx_http_gateway_limit_get_key(ngx_http_request_t *r,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *key);
static ngx_int_t ngx_http_gateway_limit_set_rate(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check);
static ngx_int_t ngx_http_gateway_limit_set_charge(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check);
static int64_t ngx_http_gateway_limit_now(void);
static ngx_int_t ngx_http_gateway_limit_charge(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check);
static void ngx_http_gateway_limit_warn_full(ngx_http_request_t *r,
    ngx_http_gateway_limit_zone_t *zone);
static ngx_int_t ngx_http_gateway_limit_refuse(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_check_t *check);
static void ngx_http_gateway_limit_decide(ngx_http_gateway_limit_ctx_t *ctx);
static void ngx_http_gateway_limit_log(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check);
static ngx_int_t ngx_http_gateway_limit_delay(ngx_http_request_t *r,
    int64_t wait);
static void ngx_http_gateway_limit_delayed(ngx_http_request_t *r);


ngx_uint_t
ngx_http_gateway_limit_is_checked(ngx_http_gateway_limit_ctx_t *ctx,
    ngx_http_gateway_limit_t *limit)
{
    ngx_http_gateway_limit_check_t  *check;

    for (check = ctx->checks; check; check = check->next) {
        if (check->zone == limit->shm_zone->data) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_gateway_limit_create_check(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_t *limit)
{
    ngx_str_t                        key;
    ngx_http_gateway_limit_zone_t   *zone;
    ngx_http_gateway_limit_check_t  *check;

    zone = limit->shm_zone->data;

    if (ngx_http_gateway_limit_get_key(r, zone, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_DECLINED;
    }

    if (ctx->checks == NULL) {
        check = &ctx->check;

    } else {
        check = ngx_palloc(r->pool, sizeof(ngx_http_gateway_limit_check_t));
        if (check == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(check, sizeof(ngx_http_gateway_limit_check_t));

    check->limit = limit;
    check->zone = zone;
    check->request.hash = ngx_http_gateway_limit_hash(zone->table, key.data,
                                                      key.len);
    check->request.on_full = zone->on_full;

    if (ngx_http_gateway_limit_set_rate(r, check) != NGX_OK
        || ngx_http_gateway_limit_set_charge(r, check) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *ctx->last = check;
    ctx->last = &check->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_get_key(ngx_http_request_t *r,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *key)
{
    ngx_http_variable_value_t  *vv;

    if (zone->key_index == NGX_ERROR) {
        return ngx_http_complex_value(r, &zone->key, key);
    }

    vv = ngx_http_get_flushed_variable(r, zone->key_index);

    if (vv == NULL) {
        return NGX_ERROR;
    }

    key->len = vv->not_found ? 0 : vv->len;
    key->data = vv->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_limit_set_rate(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check)
{
    ngx_str_t                       value;
    ngx_http_gateway_limit_t       *limit;
    ngx_http_gateway_limit_zone_t  *zone;
    ngx_http_gateway_rate_t  *rate;

    zone = check->zone;
    limit = check->limit;

    if (zone->rate_value == NULL) {
        check->rate = &limit->rate;
        check->policy = &limit->policy;
        check->request.capacity = limit->rate.capacity;
        check->request.delay = limit->delay_time;

        return NGX_OK;
    }

    if (ngx_http_complex_value(r, zone->rate_value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    rate = ngx_palloc(r->pool, sizeof(ngx_http_gateway_rate_t));
    if (rate == NULL) {
        return NGX_ERROR;
    }

    *rate = zone->rate;

    if (ngx_http_gateway_rate_parse(&value, rate) != NGX_OK) {
        goto invalid;
    }

    if (limit->burst) {
        rate->burst = limit->burst;
    }

    if (ngx_http_gateway_rate_times(rate,
                                        NGX_HTTP_GATEWAY_LIMIT_MAX_TIME)
        != NGX_OK)
    {
        goto invalid;
    }

    check->rate = rate;
    check->request.capacity = rate->capacity;
    check->request.delay = ngx_min(ngx_http_gateway_rate_time(rate,
                                                               limit->delay),
                                   NGX_HTTP_GATEWAY_LIMIT_MAX_TIME);

    check->policy = ngx_palloc(r->pool, sizeof(ngx_str_t));
    if (check->policy == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_limit_policy(r->pool, &zone->name, rate,
                                         check->policy);

invalid:

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "invalid rate \"%V\" in gateway_limit_zone \"%V\", it must "
                  "be \"N r/s\", \"N r/m\", \"N r/h\" or \"N r/d\" and may "
                  "have \" burst=M\"", &value, &zone->name);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_gateway_limit_set_charge(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check)
{
    uint64_t                   cost;
    ngx_str_t                  value;
    ngx_http_complex_value_t  *cv;

    cost = 1;
    cv = check->limit->cost;

    if (cv != NULL) {

        if (ngx_http_complex_value(r, cv, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_gateway_rate_parse_tokens(value.data, value.len, 0,
                                                &cost)
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "invalid cost \"%V\" in \"gateway_limit\" with zone "
                          "\"%V\", it must be a number of tokens up to "
                          "2147483648", &value, &check->zone->name);
            return NGX_ERROR;
        }

        if (cost > check->rate->burst) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "cost %uL in \"gateway_limit\" with zone \"%V\" is "
                          "more than the bucket holds: %uL",
                          cost, &check->zone->name, check->rate->burst);
            check->impossible = 1;
        }
    }

    check->request.charge = ngx_http_gateway_rate_charge_time(check->rate,
                                                    cost,
                                                    &check->zone->fraction);

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_limit_charge_all(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_check_t *first)
{
    int64_t                          now, wait;
    ngx_http_gateway_limit_check_t  *check;

    now = ngx_http_gateway_limit_now();
    wait = 0;

    for (check = first; check; check = check->next) {
        check->request.now = now;
    }

    for (check = first; check; check = check->next) {

        switch (ngx_http_gateway_limit_charge(r, check)) {

        case NGX_DECLINED:

            if (check->limit->dry_run) {
                check->status = NGX_HTTP_GATEWAY_LIMIT_DRY_RUN_REJECTED;
                break;
            }

            return ngx_http_gateway_limit_refuse(r, ctx, check);

        case NGX_AGAIN:

            if (check->limit->dry_run) {
                check->status = NGX_HTTP_GATEWAY_LIMIT_DRY_RUN_DELAYED;
                break;
            }

            check->status = NGX_HTTP_GATEWAY_LIMIT_DELAYED;
            wait = ngx_max(wait, check->result.wait);
            break;

        default: /* NGX_OK */
            check->status = NGX_HTTP_GATEWAY_LIMIT_PASSED;
        }
    }

    ngx_http_gateway_limit_decide(ctx);

    if (ctx->deciding->status != NGX_HTTP_GATEWAY_LIMIT_PASSED) {
        ngx_http_gateway_limit_log(r, ctx->deciding);
    }

    return wait ? ngx_http_gateway_limit_delay(r, wait) : NGX_DECLINED;
}


/* nginx's own time is too coarse for a bucket that refills in less */

static int64_t
ngx_http_gateway_limit_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static ngx_int_t
ngx_http_gateway_limit_charge(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check)
{
    ngx_int_t  rc;

    if (check->request.charge == 0) {

        /* free, whatever the bucket holds */

        (void) ngx_http_gateway_limit_peek(check->zone->table,
                                           &check->request, &check->result);
        return NGX_OK;
    }

    if (check->impossible) {
        (void) ngx_http_gateway_limit_peek(check->zone->table,
                                           &check->request, &check->result);
        return NGX_DECLINED;
    }

    rc = ngx_http_gateway_limit_take(check->zone->table, &check->request,
                                     &check->result);

    if (check->result.full) {
        ngx_http_gateway_limit_warn_full(r, check->zone);
    }

    return rc;
}


static void
ngx_http_gateway_limit_warn_full(ngx_http_request_t *r,
    ngx_http_gateway_limit_zone_t *zone)
{
    static char  *what[] = {
        "buckets are evicted", "new keys are refused", "new keys pass"
    };

    if (zone->warned && ngx_time() - zone->warned < 60) {
        return;
    }

    zone->warned = ngx_time();

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "gateway_limit_zone \"%V\" is full, %s (%uA evictions so "
                  "far)", &zone->name, what[zone->on_full],
                  zone->table->evictions);
}


/*
 * What the zones before have charged is given back, and those after are only
 * looked at: Retry-After has to hold for all of them.
 */

static ngx_int_t
ngx_http_gateway_limit_refuse(ngx_http_request_t *r,
    ngx_http_gateway_limit_ctx_t *ctx, ngx_http_gateway_limit_check_t *check)
{
    int64_t                             wait;
    ngx_int_t                           rc;
    ngx_uint_t                          impossible;
    ngx_http_gateway_limit_check_t     *next;
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    check->status = NGX_HTTP_GATEWAY_LIMIT_REJECTED;
    ctx->deciding = check;

    wait = check->result.wait;
    impossible = check->impossible;

    for (next = check->next; next; next = next->next) {

        rc = ngx_http_gateway_limit_peek(next->zone->table, &next->request,
                                         &next->result);

        if (next->limit->dry_run || next->request.charge == 0) {
            continue;
        }

        impossible |= next->impossible;

        if (rc == NGX_DECLINED) {
            wait = ngx_max(wait, next->result.wait);
        }
    }

    ngx_http_gateway_limit_refund_all(ctx);

    ngx_http_gateway_limit_log(r, check);

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);

    /* the fraction of a microsecond may fall due in the meantime */

    if (ngx_http_gateway_limit_refusal(r, ctx, llcf->status_code,
                                       impossible ? -1 : wait + 1)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* after an internal redirect, the problem has to be found again */

    ngx_http_set_ctx(r, ctx, ngx_http_gateway_limit_module);

    return llcf->status_code;
}


void
ngx_http_gateway_limit_refund_all(ngx_http_gateway_limit_ctx_t *ctx)
{
    int64_t                          now, back;
    ngx_http_gateway_limit_check_t  *check;

    now = ngx_http_gateway_limit_now();

    for (check = ctx->checks; check; check = check->next) {

        back = ngx_http_gateway_limit_refund(&check->request, &check->result,
                                             now);

        /* what is told of the bucket is how it is now */

        check->result.debt += check->request.now - now - back;
        check->result.debt = ngx_max(check->result.debt, 0);
        check->request.now = now;
    }
}


static void
ngx_http_gateway_limit_decide(ngx_http_gateway_limit_ctx_t *ctx)
{
    ngx_http_gateway_limit_check_t  *check, *best;

    best = ctx->checks;

    for (check = best->next; check; check = check->next) {

        if (check->status > best->status
            || (check->status == best->status
                && ngx_http_gateway_limit_remaining(check)
                   < ngx_http_gateway_limit_remaining(best)))
        {
            best = check;
        }
    }

    ctx->deciding = best;
}


static void
ngx_http_gateway_limit_log(ngx_http_request_t *r,
    ngx_http_gateway_limit_check_t *check)
{
    ngx_uint_t                          level;
    ngx_http_gateway_limit_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_limit_module);
    level = llcf->log_level;

    switch (check->status) {

    case NGX_HTTP_GATEWAY_LIMIT_REJECTED:
    case NGX_HTTP_GATEWAY_LIMIT_DRY_RUN_REJECTED:
        ngx_log_error(level, r->connection->log, 0,
                      "gateway_limit refuses the request%s: zone \"%V\"",
                      check->limit->dry_run ? ", dry run" : "",
                      &check->zone->name);
        return;
    }

    /* a delay is one level milder, as in limit_req */

    level = (level == NGX_LOG_INFO) ? NGX_LOG_INFO : level + 1;

    ngx_log_error(level, r->connection->log, 0,
                  "gateway_limit delays the request%s: zone \"%V\", %L ms",
                  check->limit->dry_run ? ", dry run" : "",
                  &check->zone->name, check->result.wait / 1000);
}


/* the request holds nothing but its memory while it waits */

static ngx_int_t
ngx_http_gateway_limit_delay(ngx_http_request_t *r, int64_t wait)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else {
        if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_gateway_limit_delayed;

    r->connection->write->delayed = 1;
    ngx_add_timer(r->connection->write, (ngx_msec_t) ((wait + 999) / 1000));

    return NGX_AGAIN;
}


static void
ngx_http_gateway_limit_delayed(ngx_http_request_t *r)
{
    ngx_event_t  *wev;

    wev = r->connection->write;

    if (wev->delayed) {

        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        }

        return;
    }

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}
