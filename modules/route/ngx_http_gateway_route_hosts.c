
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A hash of hosts.  Names are hashed from their ends, so that the hashes of
 * ".com", ".example.com" and "www.example.com" come one out of the other.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_hosts.h"


static void ngx_http_gateway_route_hosts_name(ngx_str_t *host,
    ngx_str_t *name);
static ngx_http_gateway_route_host_t *ngx_http_gateway_route_hosts_find(
    ngx_http_gateway_route_hosts_t *hosts, ngx_str_t *name, uint32_t hash);
static uint32_t ngx_http_gateway_route_hosts_hash(ngx_str_t *name);
static uint32_t ngx_http_gateway_route_hosts_step(uint32_t hash, u_char c);


ngx_int_t
ngx_http_gateway_route_hosts_init(ngx_http_gateway_route_hosts_t *hosts,
    ngx_pool_t *pool, ngx_uint_t n)
{
    ngx_uint_t  size;

    for (size = 4; size < 2 * n; size *= 2) { /* void */ }

    hosts->mask = size - 1;
    hosts->n = 0;
    hosts->longest = 0;

    hosts->hosts = ngx_pcalloc(pool,
                               size * sizeof(ngx_http_gateway_route_host_t));

    return hosts->hosts == NULL ? NGX_ERROR : NGX_OK;
}


void
ngx_http_gateway_route_hosts_add(ngx_http_gateway_route_hosts_t *hosts,
    ngx_str_t *host)
{
    uint32_t                        hash;
    ngx_str_t                       name;
    ngx_http_gateway_route_host_t  *found;

    ngx_http_gateway_route_hosts_name(host, &name);

    hash = ngx_http_gateway_route_hosts_hash(&name);
    found = ngx_http_gateway_route_hosts_find(hosts, &name, hash);

    if (found->root != NGX_HTTP_GATEWAY_ROUTE_ANY_HOST) {
        return;
    }

    found->name = name;
    found->hash = hash;
    found->root = ++hosts->n;

    hosts->longest = ngx_max(hosts->longest, name.len);
}


uint32_t
ngx_http_gateway_route_hosts_root(ngx_http_gateway_route_hosts_t *hosts,
    ngx_str_t *host)
{
    uint32_t   hash;
    ngx_str_t  name;

    if (host->len == 0) {
        return NGX_HTTP_GATEWAY_ROUTE_ANY_HOST;
    }

    ngx_http_gateway_route_hosts_name(host, &name);

    hash = ngx_http_gateway_route_hosts_hash(&name);

    return ngx_http_gateway_route_hosts_find(hosts, &name, hash)->root;
}


static void
ngx_http_gateway_route_hosts_name(ngx_str_t *host, ngx_str_t *name)
{
    *name = *host;

    if (name->len && name->data[0] == '*') {
        name->data++;
        name->len--;
    }
}


/* Returns the host, or the place for it, whose root is 0. */

static ngx_http_gateway_route_host_t *
ngx_http_gateway_route_hosts_find(ngx_http_gateway_route_hosts_t *hosts,
    ngx_str_t *name, uint32_t hash)
{
    uint32_t                        i;
    ngx_http_gateway_route_host_t  *host;

    for (i = hash ^ hash >> 16; /* void */ ; i++) {
        host = &hosts->hosts[i & hosts->mask];

        if (host->root == 0
            || (host->hash == hash
                && host->name.len == name->len
                && ngx_strncasecmp(host->name.data, name->data, name->len)
                   == 0))
        {
            return host;
        }
    }
}


static uint32_t
ngx_http_gateway_route_hosts_hash(ngx_str_t *name)
{
    size_t    i;
    uint32_t  hash;

    hash = 0;

    for (i = name->len; i > 0; i--) {
        hash = ngx_http_gateway_route_hosts_step(hash, name->data[i - 1]);
    }

    return hash;
}


static uint32_t
ngx_http_gateway_route_hosts_step(uint32_t hash, u_char c)
{
    return hash * 31 + ngx_tolower(c);
}


void
ngx_http_gateway_route_hosts_open(ngx_http_gateway_route_names_t *names,
    ngx_str_t *host)
{
    names->start = host->data;
    names->last = host->data + host->len;
    names->pos = names->last;
    names->hash = 0;
}


uint32_t
ngx_http_gateway_route_hosts_next(ngx_http_gateway_route_hosts_t *hosts,
    ngx_http_gateway_route_names_t *names)
{
    ngx_str_t                       name;
    ngx_http_gateway_route_host_t  *found;

    while (names->pos > names->start) {

        names->pos--;
        names->hash = ngx_http_gateway_route_hosts_step(names->hash,
                                                        *names->pos);

        name.data = names->pos;
        name.len = names->last - names->pos;

        if (name.len > hosts->longest) {
            break;
        }

        /* ".example.com" itself is not a name below it */

        if ((names->pos == names->start) == (*names->pos == '.')) {
            continue;
        }

        found = ngx_http_gateway_route_hosts_find(hosts, &name, names->hash);

        if (found->root != NGX_HTTP_GATEWAY_ROUTE_ANY_HOST) {
            return found->root;
        }
    }

    return NGX_HTTP_GATEWAY_ROUTE_ANY_HOST;
}
