
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns zones: the "gateway_limit_zone" line, their shared memory and its way
 * through reloads, and what a "gateway_limit" line takes from its zone.
 */


#include "ngx_http_gateway_limit.h"

#include <sys/random.h>


static ngx_int_t ngx_http_gateway_limit_key_index(ngx_conf_t *cf,
    ngx_str_t *value);
static char *ngx_http_gateway_limit_zone_parameter(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value, ssize_t *size);
static char *ngx_http_gateway_limit_zone_name(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value, ssize_t *size);
static char *ngx_http_gateway_limit_zone_rate(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value);
static void ngx_http_gateway_limit_zone_resized(ngx_conf_t *cf,
    ngx_str_t *name, size_t size);
static ngx_int_t ngx_http_gateway_limit_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_gateway_limit_init_table(ngx_shm_zone_t *shm_zone,
    ngx_http_gateway_limit_zone_t *zone);
static ngx_int_t ngx_http_gateway_limit_line_error(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit, char *reason);


char *
ngx_http_gateway_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                           *rv;
    ssize_t                         size;
    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_shm_zone_t                 *shm_zone;
    ngx_http_gateway_limit_zone_t  *zone;

    value = cf->args->elts;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_limit_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->on_full = NGX_CONF_UNSET_UINT;
    zone->key_index = ngx_http_gateway_limit_key_index(cf, &value[1]);
    size = 0;

    if (ngx_http_gateway_compile_value(cf, &value[1], &zone->key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_gateway_limit_zone_parameter(cf, zone, &value[i], &size);

        if (rv == NGX_CONF_ERROR) {
            return rv;
        }

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"gateway_limit_zone\", %s", &value[i], rv);
            return NGX_CONF_ERROR;
        }
    }

    if (zone->name.len == 0 || (zone->rate.tokens == 0
                                && zone->rate_value == NULL))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s=\" in \"gateway_limit_zone\"",
                           zone->name.len ? "rate" : "zone");
        return NGX_CONF_ERROR;
    }

    if (zone->rate.burst == 0) {
        zone->rate.burst = 1;
    }

    ngx_conf_init_uint_value(zone->on_full, NGX_HTTP_GATEWAY_LIMIT_EVICT);

    if (zone->rate_value == NULL
        && ngx_http_gateway_rate_times(&zone->rate,
                                           NGX_HTTP_GATEWAY_LIMIT_MAX_TIME)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid burst %uL in gateway_limit_zone \"%V\", "
                           "at this rate it takes more than 73,000 years "
                           "to fill", zone->rate.burst, &zone->name);
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &zone->name, size,
                                     &ngx_http_gateway_limit_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate gateway_limit_zone \"%V\"", &zone->name);
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_gateway_limit_init_zone;
    shm_zone->data = zone;

    ngx_http_gateway_limit_zone_resized(cf, &zone->name, shm_zone->shm.size);

    return NGX_CONF_OK;
}


/*
 * Most keys are one variable, which is had for less by its index than as a
 * complex value.
 */

static ngx_int_t
ngx_http_gateway_limit_key_index(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char     *p, *last, c;
    ngx_str_t   name;

    name.data = value->data + 1;
    name.len = value->len - 1;

    if (value->len < 2 || value->data[0] != '$') {
        return NGX_ERROR;
    }

    last = name.data + name.len;

    for (p = name.data; p < last; p++) {
        c = *p | 0x20;

        if ((c < 'a' || c > 'z') && *p != '_'
            && (*p < '0' || *p > '9' || p == name.data))
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_get_variable_index(cf, &name);
}


/* returns what is allowed when the value is not */

static char *
ngx_http_gateway_limit_zone_parameter(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value, ssize_t *size)
{
    if (ngx_strncmp(value->data, "zone=", 5) == 0 && zone->name.len == 0) {
        return ngx_http_gateway_limit_zone_name(cf, zone, value, size);
    }

    if (ngx_strncmp(value->data, "rate=", 5) == 0
        && zone->rate.tokens == 0
        && zone->rate_value == NULL)
    {
        return ngx_http_gateway_limit_zone_rate(cf, zone, value);
    }

    if (ngx_strncmp(value->data, "burst=", 6) == 0 && zone->rate.burst == 0) {

        if (ngx_http_gateway_rate_parse_tokens(value->data + 6,
                                                value->len - 6, 1,
                                                &zone->rate.burst)
            != NGX_OK)
        {
            return "\"burst\" must be a number of tokens from 1 to "
                   "2147483648";
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "on_full=", 8) == 0
        && zone->on_full == NGX_CONF_UNSET_UINT)
    {
        if (ngx_strcmp(value->data + 8, "evict") == 0) {
            zone->on_full = NGX_HTTP_GATEWAY_LIMIT_EVICT;

        } else if (ngx_strcmp(value->data + 8, "reject") == 0) {
            zone->on_full = NGX_HTTP_GATEWAY_LIMIT_REJECT;

        } else if (ngx_strcmp(value->data + 8, "pass") == 0) {
            zone->on_full = NGX_HTTP_GATEWAY_LIMIT_PASS;

        } else {
            return "\"on_full\" must be \"evict\", \"reject\" or \"pass\"";
        }

        return NGX_CONF_OK;
    }

    return "allowed are \"zone=NAME:SIZE\", \"rate=\", \"burst=\" and "
           "\"on_full=\", once each";
}


static char *
ngx_http_gateway_limit_zone_name(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value, ssize_t *size)
{
    u_char     *p, *colon;
    ngx_str_t   s;

    p = value->data + 5;
    colon = (u_char *) ngx_strchr(p, ':');

    if (colon == NULL || colon == p) {
        return "it must be \"zone=NAME:SIZE\"";
    }

    zone->name.data = p;
    zone->name.len = colon - p;

    /* the name is sent as a string of structured fields, RFC 9651 */

    for ( /* void */ ; p < colon; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\\') {
            return "the name must be visible ASCII characters without "
                   "quotes and backslashes";
        }
    }

    s.data = colon + 1;
    s.len = value->data + value->len - s.data;

    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR || *size < (ssize_t) (8 * ngx_pagesize)) {
        return "the size must be at least 8 pages of memory (32k)";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_limit_zone_rate(ngx_conf_t *cf,
    ngx_http_gateway_limit_zone_t *zone, ngx_str_t *value)
{
    ngx_str_t  s;

    s.data = value->data + 5;
    s.len = value->len - 5;

    if (ngx_strchr(s.data, '$') == NULL) {

        if (ngx_http_gateway_rate_parse(&s, &zone->rate) != NGX_OK
            || ngx_strchr(s.data, ' ') != NULL)
        {
            zone->rate.tokens = 0;
            return "\"rate\" must be a number from 1 to 1000000 with "
                   "\"r/s\", \"r/m\", \"r/h\" or \"r/d\", or a variable "
                   "that has one";
        }

        return NGX_CONF_OK;
    }

    zone->rate_value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (zone->rate_value == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_compile_value(cf, &s, zone->rate_value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* core makes new memory for a zone of another size, and says nothing */

static void
ngx_http_gateway_limit_zone_resized(ngx_conf_t *cf, ngx_str_t *name,
    size_t size)
{
    ngx_uint_t        i;
    ngx_cycle_t      *old;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *shm_zone;

    old = cf->cycle->old_cycle;

    if (old == NULL || ngx_is_init_cycle(old)) {
        return;
    }

    part = &old->shared_memory.part;
    shm_zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                return;
            }

            part = part->next;
            shm_zone = part->elts;
            i = 0;
        }

        if (shm_zone[i].tag == &ngx_http_gateway_limit_module
            && shm_zone[i].shm.name.len == name->len
            && ngx_strncmp(shm_zone[i].shm.name.data, name->data, name->len)
               == 0
            && shm_zone[i].shm.size != size)
        {
            ngx_conf_log_error(NGX_LOG_NOTICE, cf, 0,
                               "gateway_limit_zone \"%V\": the size has "
                               "changed from %uz to %uz, its buckets start "
                               "anew", name, shm_zone[i].shm.size, size);
            return;
        }
    }
}


static ngx_int_t
ngx_http_gateway_limit_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_gateway_limit_zone_t *old = data;

    ngx_http_gateway_limit_zone_t  *zone;

    zone = shm_zone->data;

    if (old != NULL) {

        if (zone->key.value.len != old->key.value.len
            || ngx_strncmp(zone->key.value.data, old->key.value.data,
                           zone->key.value.len)
               != 0)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "gateway_limit_zone \"%V\" uses the \"%V\" key "
                          "while previously it used the \"%V\" key",
                          &shm_zone->shm.name, &zone->key.value,
                          &old->key.value);
            return NGX_ERROR;
        }

        zone->table = old->table;
        zone->shpool = old->shpool;

        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->table = zone->shpool->data;

        return NGX_OK;
    }

    return ngx_http_gateway_limit_init_table(shm_zone, zone);
}


static ngx_int_t
ngx_http_gateway_limit_init_table(ngx_shm_zone_t *shm_zone,
    ngx_http_gateway_limit_zone_t *zone)
{
    void       *addr;
    size_t      size;
    uint64_t    seed[2];
    ngx_uint_t  pages;

    if (getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, ngx_errno,
                      "getrandom() for gateway_limit_zone \"%V\" failed",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    /* one piece of all pages that are left: nothing else is in the zone */

    addr = NULL;
    size = 0;

    for (pages = zone->shpool->pfree; pages > 0 && addr == NULL; pages--) {
        size = pages << ngx_pagesize_shift;
        addr = ngx_slab_calloc(zone->shpool, size);
    }

    if (addr != NULL) {
        zone->table = ngx_http_gateway_limit_table_init(addr, size, seed);
    }

    if (zone->table == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "gateway_limit_zone \"%V\" is too small",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    zone->shpool->data = zone->table;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_limit_init_line(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit)
{
    uint64_t                        cost;
    ngx_str_t                      *value;
    ngx_http_gateway_limit_zone_t  *zone;

    zone = limit->shm_zone->data;

    if (zone == NULL) {
        return ngx_http_gateway_limit_line_error(cf, limit,
                              "there is no gateway_limit_zone of that name");
    }

    cost = 1;

    if (limit->cost != NULL && limit->cost->lengths == NULL) {
        value = &limit->cost->value;

        if (ngx_http_gateway_rate_parse_tokens(value->data, value->len, 1,
                                                &cost)
            != NGX_OK)
        {
            return ngx_http_gateway_limit_line_error(cf, limit,
                              "\"cost\" must be a number of tokens from 1 to "
                              "2147483648, or have variables");
        }
    }

    if (zone->rate_value != NULL) {
        return NGX_OK;
    }

    limit->rate = zone->rate;

    if (limit->burst) {
        limit->rate.burst = limit->burst;
    }

    if (ngx_http_gateway_rate_times(&limit->rate,
                                        NGX_HTTP_GATEWAY_LIMIT_MAX_TIME)
        != NGX_OK)
    {
        return ngx_http_gateway_limit_line_error(cf, limit,
                              "\"burst\" takes more than 73,000 years to fill "
                              "at the zone's rate");
    }

    limit->delay_time = ngx_http_gateway_rate_time(&limit->rate,
                                                    limit->delay);

    if (limit->delay_time > NGX_HTTP_GATEWAY_LIMIT_MAX_TIME) {
        return ngx_http_gateway_limit_line_error(cf, limit,
                              "\"delay\" takes more than 73,000 years at the "
                              "zone's rate");
    }

    if ((limit->cost == NULL || limit->cost->lengths == NULL)
        && cost > limit->rate.burst)
    {
        return ngx_http_gateway_limit_line_error(cf, limit,
                              "\"cost\" is more than the bucket holds, "
                              "nothing would be admitted");
    }

    return ngx_http_gateway_limit_policy(cf->pool, &zone->name, &limit->rate,
                                         &limit->policy);
}


static ngx_int_t
ngx_http_gateway_limit_line_error(ngx_conf_t *cf,
    ngx_http_gateway_limit_t *limit, char *reason)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid \"gateway_limit\" with zone \"%V\" in %V:%ui, %s",
                  &limit->shm_zone->shm.name, &limit->file, limit->line,
                  reason);

    return NGX_ERROR;
}
