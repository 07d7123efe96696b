
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a request knows of routes: which one was found, and which of its
 * values was chosen.  That is kept as the value of a variable that no
 * configuration can name.  So it belongs to those who share the request's
 * variables, and outlives internal redirects, without a pool cleanup, which
 * would keep the memory of a handshake for as long as its WebSocket lives.
 *
 * nginx first counts the bytes of a text with variables and then writes them,
 * and reading one variable may be what changes another one.  So what variables
 * tell is kept for as long as a text may be in the making: see "place".
 */


#include "ngx_http_gateway_route.h"


static ngx_http_gateway_route_state_t *ngx_http_gateway_route_get_state(
    ngx_http_request_t *r);
static ngx_http_request_t *ngx_http_gateway_route_owner(ngx_http_request_t *r);
static ngx_uint_t ngx_http_gateway_route_is_here(ngx_http_request_t *r,
    ngx_http_gateway_route_place_t *place);
static ngx_uint_t ngx_http_gateway_route_is_answered(ngx_http_request_t *r);
static void ngx_http_gateway_route_set_here(ngx_http_request_t *r,
    ngx_http_gateway_route_place_t *place);
static ngx_http_gateway_route_found_t *ngx_http_gateway_route_look_up(
    ngx_http_request_t *r, ngx_http_gateway_route_block_t *block);
static ngx_int_t ngx_http_gateway_route_holds(void *data,
    ngx_http_gateway_route_entry_t *entry);
static ngx_int_t ngx_http_gateway_route_test(ngx_http_request_t *r,
    ngx_http_complex_value_t *test);
static ngx_int_t ngx_http_gateway_route_has_header(ngx_http_request_t *r,
    ngx_http_gateway_route_condition_t *condition);
static ngx_int_t ngx_http_gateway_route_choose_side(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found, ngx_uint_t *side);
static ngx_int_t ngx_http_gateway_route_weigh(ngx_http_request_t *r,
    ngx_http_gateway_route_t *route, ngx_http_gateway_route_share_t *shares);
static ngx_int_t ngx_http_gateway_route_weight(ngx_http_request_t *r,
    ngx_http_gateway_route_side_t *side, ngx_uint_t *weight);


ngx_http_gateway_route_found_t *
ngx_http_gateway_route_find(ngx_http_request_t *r,
    ngx_http_gateway_route_block_t *block)
{
    ngx_http_gateway_route_found_t  *found;
    ngx_http_gateway_route_state_t  *state;

    state = ngx_http_gateway_route_get_state(r);
    if (state == NULL) {
        return NULL;
    }

    for (found = state->last; found; found = found->next) {
        if (found->block == block) {
            return found;
        }
    }

    found = ngx_http_gateway_route_look_up(r, block);
    if (found == NULL) {
        return NULL;
    }

    /* a condition may have made another block look up its own meanwhile */

    found->next = state->last;
    state->last = found;

    return found;
}


static ngx_http_gateway_route_state_t *
ngx_http_gateway_route_get_state(ngx_http_request_t *r)
{
    ngx_http_variable_value_t           *vv;
    ngx_http_gateway_route_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_route_module);

    vv = &r->variables[rmcf->index];

    if (vv->data == NULL) {
        vv->data = ngx_pcalloc(r->pool,
                               sizeof(ngx_http_gateway_route_state_t));
    }

    return (ngx_http_gateway_route_state_t *) vv->data;
}


/*
 * The request whose variables these are: subrequests that share them may be
 * the first to ask.
 */

static ngx_http_request_t *
ngx_http_gateway_route_owner(ngx_http_request_t *r)
{
    while (r->parent != NULL && r->parent->variables == r->variables) {
        r = r->parent;
    }

    return r;
}


static ngx_uint_t
ngx_http_gateway_route_is_here(ngx_http_request_t *r,
    ngx_http_gateway_route_place_t *place)
{
    return place->request == r
           && place->loc_conf == r->loc_conf
           && place->phase == r->phase_handler
           && place->answered == ngx_http_gateway_route_is_answered(r);
}


/* core counts no phase for the log: nobody holds the request then */

static ngx_uint_t
ngx_http_gateway_route_is_answered(ngx_http_request_t *r)
{
    return r->header_sent || r->main->count == 0;
}


static void
ngx_http_gateway_route_set_here(ngx_http_request_t *r,
    ngx_http_gateway_route_place_t *place)
{
    place->request = r;
    place->loc_conf = r->loc_conf;
    place->phase = r->phase_handler;
    place->answered = ngx_http_gateway_route_is_answered(r);
}


ngx_int_t
ngx_http_gateway_route_current(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t **found)
{
    ngx_http_gateway_route_block_t      **block;
    ngx_http_gateway_route_state_t       *state;
    ngx_http_gateway_route_loc_conf_t    *rlcf;
    ngx_http_gateway_route_main_conf_t   *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_route_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_gateway_route_module);

    if (rmcf->blocks.nelts == 0) {
        *found = NULL;
        return NGX_OK;
    }

    if (rlcf->check != NULL) {
        *found = ngx_http_gateway_route_find(r, rlcf->check->block);
        return (*found == NULL) ? NGX_ERROR : NGX_OK;
    }

    if (rmcf->blocks.nelts == 1) {
        block = rmcf->blocks.elts;

        *found = ngx_http_gateway_route_find(r, block[0]);
        return (*found == NULL) ? NGX_ERROR : NGX_OK;
    }

    state = ngx_http_gateway_route_get_state(r);
    if (state == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_http_gateway_route_is_here(r, &state->place)) {
        ngx_http_gateway_route_set_here(r, &state->place);
        state->told = state->last;
    }

    *found = state->told;

    return NGX_OK;
}


static ngx_http_gateway_route_found_t *
ngx_http_gateway_route_look_up(ngx_http_request_t *r,
    ngx_http_gateway_route_block_t *block)
{
    size_t                            size;
    ngx_int_t                         rc;
    ngx_http_gateway_route_found_t   *found;
    ngx_http_gateway_route_lookup_t   lookup;
    ngx_http_gateway_route_result_t   result;

    r = ngx_http_gateway_route_owner(r);

    size = offsetof(ngx_http_gateway_route_found_t, captures)
           + block->captures * sizeof(ngx_str_t);

    found = ngx_palloc(r->pool, size);
    if (found == NULL) {
        return NULL;
    }

    ngx_memzero(found, offsetof(ngx_http_gateway_route_found_t, captures));

    found->block = block;

    /* CONNECT is for a tunnel (RFC 9110, section 9.3.6), not for a path */

    if (r->method == NGX_HTTP_CONNECT) {
        return found;
    }

    lookup.host = r->headers_in.server;
    lookup.method = r->method_name;
    lookup.path = r->uri;
    lookup.check = ngx_http_gateway_route_holds;
    lookup.data = r;
    lookup.log = r->connection->log;

    rc = ngx_http_gateway_route_lookup(block->table, &lookup, found->captures,
                                       &result);

    if (rc == NGX_ERROR) {
        return NULL;
    }

    if (rc == NGX_OK) {
        found->route = (ngx_http_gateway_route_t *) result.entry;

    } else {
        found->route = block->fallback;
        found->allowed = result.allowed;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "gateway route $%V: \"%V\" is %s", &block->name, &r->uri,
                   found->route ? "found" : "not found");

    return found;
}


static ngx_int_t
ngx_http_gateway_route_holds(void *data, ngx_http_gateway_route_entry_t *entry)
{
    ngx_http_request_t *r = data;

    ngx_int_t                            rc;
    ngx_uint_t                           i;
    ngx_http_gateway_route_t            *route;
    ngx_http_gateway_route_condition_t  *condition;

    route = (ngx_http_gateway_route_t *) entry;

    if (route->conditions == NULL) {
        return NGX_OK;
    }

    condition = route->conditions->elts;

    for (i = 0; i < route->conditions->nelts; i++) {

        switch (condition[i].kind) {

        case NGX_HTTP_GATEWAY_ROUTE_IF:
            rc = ngx_http_gateway_route_test(r, condition[i].test);
            break;

        case NGX_HTTP_GATEWAY_ROUTE_HEADER:
            rc = ngx_http_gateway_route_has_header(r, &condition[i]);
            break;

        default: /* NGX_HTTP_GATEWAY_ROUTE_QUERY */
            rc = ngx_http_gateway_route_query(&r->args, &condition[i].name,
                                              &condition[i].value)
                 ? NGX_OK : NGX_DECLINED;
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_test(ngx_http_request_t *r,
    ngx_http_complex_value_t *test)
{
    ngx_str_t  value;

    if (ngx_http_complex_value(r, test, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0 || (value.len == 1 && value.data[0] == '0')) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_has_header(ngx_http_request_t *r,
    ngx_http_gateway_route_condition_t *condition)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == condition->name.len
            && h[i].value.len == condition->value.len
            && ngx_strncasecmp(h[i].key.data, condition->name.data,
                               condition->name.len)
               == 0
            && ngx_memcmp(h[i].value.data, condition->value.data,
                          condition->value.len)
               == 0)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_gateway_route_choose(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found)
{
    ngx_uint_t                 side;
    ngx_http_gateway_route_t  *route;

    if (found->chosen) {
        return NGX_OK;
    }

    r = ngx_http_gateway_route_owner(r);

    route = found->route;
    side = 0;

    if (route->nsides > 1
        && ngx_http_gateway_route_choose_side(r, found, &side) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_complex_value(r, &route->sides[side].value, &found->value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    found->chosen = 1;

    return NGX_OK;
}


ngx_uint_t
ngx_http_gateway_route_is_chosen(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found)
{
    if (found->chosen) {
        return !ngx_http_gateway_route_is_here(r, &found->asked);
    }

    ngx_http_gateway_route_set_here(r, &found->asked);

    return 0;
}


static ngx_int_t
ngx_http_gateway_route_choose_side(ngx_http_request_t *r,
    ngx_http_gateway_route_found_t *found, ngx_uint_t *side)
{
    ngx_str_t                       key;
    ngx_http_gateway_route_t       *route;
    ngx_http_gateway_route_share_t  shares[NGX_HTTP_GATEWAY_ROUTE_MAX_SIDES];

    route = found->route;

    if (ngx_http_gateway_route_weigh(r, route, shares) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_null(&key);

    if (route->sticky != NULL
        && ngx_http_complex_value(r, route->sticky, &key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    found->split = 1;
    found->sticky = (key.len != 0);

    *side = found->sticky
            ? ngx_http_gateway_route_stick(shares, route->nsides, &key)
            : ngx_http_gateway_route_draw(shares, route->nsides);

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_weigh(ngx_http_request_t *r,
    ngx_http_gateway_route_t *route, ngx_http_gateway_route_share_t *shares)
{
    ngx_uint_t                       i, sum;
    ngx_http_gateway_route_side_t   *side;
    ngx_http_gateway_route_share_t  *rest;

    sum = 0;
    rest = NULL;
    side = route->sides;

    for (i = 0; i < route->nsides; i++) {
        shares[i].id = side[i].id;

        if (ngx_http_gateway_route_weight(r, &side[i], &shares[i].weight)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        sum += shares[i].weight;

        if (side[i].rest) {
            rest = &shares[i];
        }
    }

    if (rest != NULL && sum < 100) {
        rest->weight = 100 - sum;
    }

    return NGX_OK;
}


/* what is no weight counts as 0: the others go on */

static ngx_int_t
ngx_http_gateway_route_weight(ngx_http_request_t *r,
    ngx_http_gateway_route_side_t *side, ngx_uint_t *weight)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (side->weight_value == NULL) {
        *weight = side->weight;
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, side->weight_value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    n = ngx_atoi(value.data, value.len);

    if (n == NGX_ERROR || n > NGX_HTTP_GATEWAY_ROUTE_MAX_WEIGHT) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid weight \"%V\" of \"%V\" in "
                      "\"gateway_routes\", it must be a number from 0 to %d",
                      &value, &side->value.value,
                      NGX_HTTP_GATEWAY_ROUTE_MAX_WEIGHT);
        n = 0;
    }

    *weight = n;

    return NGX_OK;
}
