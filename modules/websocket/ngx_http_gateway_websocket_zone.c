
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns zones: the line gateway_websocket_zone, their shared memory and its way
 * through reloads, the table of ids in it, and the orphans of dead workers.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"
#include "ngx_http_gateway_websocket_serve.h"

#include <openssl/crypto.h>


static ngx_int_t ngx_http_gateway_websocket_zone_size(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *name, ssize_t *size);
static ngx_int_t ngx_http_gateway_websocket_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_gateway_websocket_init_slots(
    ngx_http_gateway_websocket_zone_t *zone);
static ngx_int_t ngx_http_gateway_websocket_init_sh(ngx_shm_zone_t *shm_zone,
    ngx_http_gateway_websocket_zone_t *zone);
static ngx_int_t ngx_http_gateway_websocket_enter(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_member_t *m, u_char *id, ngx_str_t *text);
static ngx_int_t ngx_http_gateway_websocket_new_will(
    ngx_http_gateway_websocket_local_t *local, ngx_str_t *text,
    ngx_http_gateway_websocket_will_t **will);
static ngx_http_gateway_websocket_node_t **ngx_http_gateway_websocket_bucket(
    ngx_http_gateway_websocket_sh_t *sh, u_char *id);
static ngx_http_gateway_websocket_slot_t *ngx_http_gateway_websocket_dead_slot(
    ngx_http_gateway_websocket_local_t *local);
static ngx_uint_t ngx_http_gateway_websocket_lives(
    ngx_http_gateway_websocket_sh_t *sh, ngx_uint_t generation);
static void ngx_http_gateway_websocket_orphaned(
    ngx_http_gateway_websocket_node_t *node);


char *
ngx_http_gateway_websocket_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ssize_t                             size;
    ngx_str_t                          *value, name;
    ngx_shm_zone_t                     *shm_zone;
    ngx_http_gateway_websocket_zone_t  *zone;

#if !(NGX_LINUX)
    return "needs Linux";
#endif

    value = cf->args->elts;

    if (ngx_http_gateway_websocket_zone_size(cf, &value[1], &name, &size)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_gateway_websocket_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\" \"%V\"",
                           &cmd->name, &name);
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_websocket_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->core = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                  ngx_core_module);

    shm_zone->init = ngx_http_gateway_websocket_init_zone;
    shm_zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_zone_size(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *name, ssize_t *size)
{
    u_char     *colon;
    ngx_str_t   s;

    colon = (u_char *) ngx_strchr(value->data, ':');

    if (colon == NULL || colon == value->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in "
                           "\"gateway_websocket_zone\", it must be "
                           "\"NAME:SIZE\"", value);
        return NGX_ERROR;
    }

    name->data = value->data;
    name->len = colon - value->data;

    s.data = colon + 1;
    s.len = value->data + value->len - s.data;

    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR || *size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in "
                           "\"gateway_websocket_zone\", the size must be at "
                           "least 8 pages of memory (32k)", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_shm_zone_t *
ngx_http_gateway_websocket_zone(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t  *value;

    if (name->len == 0) {
        value = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty name of a zone in \"%V\"", &value[0]);
        return NULL;
    }

    return ngx_shared_memory_add(cf, name, 0,
                                 &ngx_http_gateway_websocket_module);
}


ngx_int_t
ngx_http_gateway_websocket_check_zones(ngx_conf_t *cf)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *shm_zone;
    ngx_list_part_t  *part;

    part = &cf->cycle->shared_memory.part;
    shm_zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            shm_zone = part->elts;
            i = 0;
        }

        if (shm_zone[i].tag == &ngx_http_gateway_websocket_module
            && shm_zone[i].data == NULL)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "there is no gateway_websocket_zone \"%V\"",
                          &shm_zone[i].shm.name);
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_http_gateway_websocket_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_gateway_websocket_zone_t *old = data;

    ngx_http_gateway_websocket_zone_t  *zone;

    zone = shm_zone->data;

    if (old) {
        zone->shpool = old->shpool;
        zone->sh = old->sh;
        zone->local = old->local;

    } else {
        zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

        if (shm_zone->shm.exists) {
            zone->sh = zone->shpool->data;

        } else if (ngx_http_gateway_websocket_init_sh(shm_zone, zone)
                   != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    zone->cycle = ++zone->sh->cycle;

    if (ngx_http_gateway_websocket_init_slots(zone) != NGX_OK && old == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "gateway_websocket_zone \"%V\" is too small for %i "
                      "workers", &shm_zone->shm.name,
                      zone->core->worker_processes);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Until the workers of before a reload have ended there are both.  The master,
 * which unlocks what a dead worker has locked, must not wait for that itself;
 * a worker that finds no slot tries to make one.
 */

static ngx_int_t
ngx_http_gateway_websocket_init_slots(ngx_http_gateway_websocket_zone_t *zone)
{
    ngx_int_t   rc;
    ngx_uint_t  i, n;

    n = 2 * zone->core->worker_processes;

    if (zone->sh->nslots >= n) {
        return NGX_OK;
    }

    for (i = 0; i < 100; i++) {

        if (ngx_shmtx_trylock(&zone->shpool->mutex)) {
            rc = ngx_http_gateway_websocket_reserve(zone->shpool, zone->sh, n);

            ngx_shmtx_unlock(&zone->shpool->mutex);

            return rc;
        }

        ngx_msleep(1);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_gateway_websocket_init_sh(ngx_shm_zone_t *shm_zone,
    ngx_http_gateway_websocket_zone_t *zone)
{
    size_t                            len;
    ngx_uint_t                        n;
    ngx_http_gateway_websocket_sh_t  *sh;

    sh = ngx_slab_calloc(zone->shpool,
                         sizeof(ngx_http_gateway_websocket_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* so many ids are not in the zone before it is full, nor much fewer */

    for (n = 16; n < shm_zone->shm.size / 1024; n *= 2) { /* void */ }

    sh->buckets = ngx_slab_calloc(zone->shpool,
                            n * sizeof(ngx_http_gateway_websocket_node_t *));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    sh->mask = n - 1;
    sh->reserve = ngx_max(zone->shpool->pfree / 16, 1);

    len = sizeof(" in gateway_websocket_zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in gateway_websocket_zone \"%V\"%Z",
                &shm_zone->shm.name);

    zone->shpool->log_nomem = 0;

    zone->sh = sh;
    zone->shpool->data = sh;

    return NGX_OK;
}


ngx_http_gateway_websocket_local_t *
ngx_http_gateway_websocket_get_local(ngx_shm_zone_t *shm_zone)
{
    ngx_http_gateway_websocket_zone_t   *zone;
    ngx_http_gateway_websocket_local_t  *local;

    zone = shm_zone->data;

    if (zone->local) {
        return zone->local;
    }

    /* it outlives the cycle when there is no master */

    local = ngx_calloc(sizeof(ngx_http_gateway_websocket_local_t)
                       + shm_zone->shm.name.len, ngx_cycle->log);
    if (local == NULL) {
        return NULL;
    }

    local->shpool = zone->shpool;
    local->sh = zone->sh;
    local->cycle = zone->cycle;

    local->name.len = shm_zone->shm.name.len;
    local->name.data = (u_char *) local
                       + sizeof(ngx_http_gateway_websocket_local_t);
    ngx_memcpy(local->name.data, shm_zone->shm.name.data, local->name.len);

    local->event.handler = ngx_http_gateway_websocket_zone_event;
    local->event.data = local;
    local->event.log = ngx_cycle->log;

    ngx_http_gateway_websocket_groups_init(local);

    ngx_http_gateway_websocket_add_local(local);

    zone->local = local;

    if (ngx_http_gateway_websocket_claim(local) != NGX_OK) {
        ngx_http_gateway_websocket_log_full(local);
    }

    return local;
}


ngx_int_t
ngx_http_gateway_websocket_join(ngx_shm_zone_t *zone,
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *will)
{
    u_char                               id[
                                         NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE];
    ngx_int_t                            rc;
    ngx_http_gateway_websocket_local_t  *local;

    if (ngx_http_gateway_websocket_random(id, sizeof(id)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_hex_dump(m->id, id, sizeof(id));

    m->node = NULL;
    m->local = NULL;
    m->ngroups = 0;
    ngx_queue_init(&m->groups);

    if (zone == NULL) {
        return NGX_OK;
    }

    local = ngx_http_gateway_websocket_get_local(zone);

    if (local == NULL) {
        return NGX_ERROR;
    }

    if (local->slot == NULL
        && ngx_http_gateway_websocket_claim(local) != NGX_OK)
    {
        ngx_http_gateway_websocket_log_full(local);
        return NGX_DECLINED;
    }

    m->local = local;

    ngx_http_gateway_websocket_lock(local);

    rc = ngx_http_gateway_websocket_enter(local, m, id, will);

    ngx_http_gateway_websocket_unlock(local);

    if (rc != NGX_OK) {
        m->local = NULL;
        ngx_http_gateway_websocket_log_full(local);
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_websocket_enter(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_member_t *m, u_char *id, ngx_str_t *text)
{
    ngx_http_gateway_websocket_will_t  *will;
    ngx_http_gateway_websocket_node_t  *node, **bucket;

    if (ngx_http_gateway_websocket_new_will(local, text, &will) != NGX_OK) {
        return NGX_DECLINED;
    }

    node = ngx_slab_alloc_locked(local->shpool,
                                 sizeof(ngx_http_gateway_websocket_node_t));

    if (node == NULL || local->shpool->pfree < local->sh->reserve) {

        if (node) {
            ngx_slab_free_locked(local->shpool, node);
        }

        if (will) {
            ngx_slab_free_locked(local->shpool, will);
        }

        return NGX_DECLINED;
    }

    bucket = ngx_http_gateway_websocket_bucket(local->sh, id);

    node->next = *bucket;
    node->slot = local->slot;
    node->member = m;
    node->will = will;
    ngx_memcpy(node->id, id, NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE);

    ngx_http_gateway_websocket_link(&local->slot->nodes, &node->queue);

    ngx_memory_barrier();

    *bucket = node;

    m->node = node;

    return NGX_OK;
}


/* ids leave some pages to the mail, without which they would be of no use */

static ngx_int_t
ngx_http_gateway_websocket_new_will(ngx_http_gateway_websocket_local_t *local,
    ngx_str_t *text, ngx_http_gateway_websocket_will_t **will)
{
    *will = NULL;

    if (text->len == 0) {
        return NGX_OK;
    }

    *will = ngx_slab_alloc_locked(local->shpool,
                           offsetof(ngx_http_gateway_websocket_will_t, data)
                           + text->len);
    if (*will == NULL) {
        return NGX_DECLINED;
    }

    if (local->shpool->pfree < local->sh->reserve) {
        ngx_slab_free_locked(local->shpool, *will);
        return NGX_DECLINED;
    }

    (*will)->len = text->len;
    ngx_memcpy((*will)->data, text->data, text->len);

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_set_will(ngx_http_gateway_websocket_member_t *m,
    ngx_str_t *text)
{
    ngx_int_t                            rc;
    ngx_http_gateway_websocket_will_t   *will, *old;
    ngx_http_gateway_websocket_local_t  *local;

    local = m->local;

    if (m->node == NULL || local->slot == NULL) {
        return NGX_OK;
    }

    ngx_http_gateway_websocket_lock(local);

    rc = ngx_http_gateway_websocket_new_will(local, text, &will);

    if (rc == NGX_OK) {
        old = m->node->will;

        ngx_memory_barrier();

        m->node->will = will;

        ngx_memory_barrier();

        if (old) {
            ngx_slab_free_locked(local->shpool, old);
        }
    }

    ngx_http_gateway_websocket_unlock(local);

    if (rc != NGX_OK) {
        ngx_http_gateway_websocket_log_full(local);
    }

    return rc;
}


void
ngx_http_gateway_websocket_leave(ngx_http_gateway_websocket_member_t *m)
{
    ngx_http_gateway_websocket_node_t   *node;
    ngx_http_gateway_websocket_local_t  *local;

    node = m->node;
    local = m->local;

    if (local == NULL) {
        return;
    }

    m->node = NULL;

    ngx_http_gateway_websocket_leave_groups(m);

    /* a worker that has given back its slot has no nodes any more */

    if (node == NULL || local->slot == NULL) {
        return;
    }

    ngx_http_gateway_websocket_lock(local);

    ngx_http_gateway_websocket_remove(local->sh, node);
    ngx_http_gateway_websocket_unlink(&node->queue);

    ngx_memory_barrier();

    ngx_http_gateway_websocket_free_node(local, node);

    ngx_http_gateway_websocket_unlock(local);
}


void
ngx_http_gateway_websocket_retire(ngx_http_gateway_websocket_member_t *m)
{
    if (m->node == NULL || m->local->slot == NULL || m->node->will == NULL) {
        ngx_http_gateway_websocket_leave(m);
        return;
    }

    ngx_http_gateway_websocket_leave_groups(m);

    /* this worker alone looks at it */

    m->node->member = NULL;
}


static ngx_http_gateway_websocket_node_t **
ngx_http_gateway_websocket_bucket(ngx_http_gateway_websocket_sh_t *sh,
    u_char *id)
{
    uint32_t  hash;

    /* the bits of an id are random */

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    return &sh->buckets[hash & sh->mask];
}


ngx_http_gateway_websocket_node_t *
ngx_http_gateway_websocket_find(ngx_http_gateway_websocket_sh_t *sh,
    u_char *id)
{
    ngx_http_gateway_websocket_node_t  *node;

    node = *ngx_http_gateway_websocket_bucket(sh, id);

    for ( /* void */ ; node; node = node->next) {

        /* an id may be guessed, so that time must not help */

        if (CRYPTO_memcmp(node->id, id, NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE)
            == 0)
        {
            return node;
        }
    }

    return NULL;
}


void
ngx_http_gateway_websocket_remove(ngx_http_gateway_websocket_sh_t *sh,
    ngx_http_gateway_websocket_node_t *node)
{
    ngx_http_gateway_websocket_node_t **p;

    p = ngx_http_gateway_websocket_bucket(sh, node->id);

    for ( /* void */ ; *p; p = &(*p)->next) {
        if (*p == node) {
            *p = node->next;
            return;
        }
    }
}


/*
 * A node is out of the table before its orphan is told of: should that kill
 * this worker, too, the next one will not try again.
 */

ngx_uint_t
ngx_http_gateway_websocket_reap(ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          n;
    ngx_http_gateway_websocket_node_t  *node;
    ngx_http_gateway_websocket_slot_t  *slot;

    if (local->sh->ndead == 0 || local->slot == NULL) {
        return 0;
    }

    node = NULL;

    for (n = 0; /* void */ ; n++) {

        ngx_http_gateway_websocket_lock(local);

        if (node) {
            ngx_http_gateway_websocket_free_node(local, node);
            node = NULL;
        }

        slot = NULL;

        if (n < NGX_HTTP_GATEWAY_WEBSOCKET_BATCH) {
            slot = ngx_http_gateway_websocket_dead_slot(local);
        }

        if (slot) {
            node = ngx_http_gateway_websocket_pop_node(local, slot);

            if (node == NULL) {
                slot->state = NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_FREE;

                ngx_memory_barrier();

                local->sh->ndead--;
            }
        }

        ngx_http_gateway_websocket_unlock(local);

        if (slot == NULL) {
            return n == NGX_HTTP_GATEWAY_WEBSOCKET_BATCH;
        }

        if (node) {
            ngx_http_gateway_websocket_orphaned(node);
        }
    }
}


/* one that is this worker's business now */

static ngx_http_gateway_websocket_slot_t *
ngx_http_gateway_websocket_dead_slot(ngx_http_gateway_websocket_local_t *local)
{
    ngx_http_gateway_websocket_slot_t  *slot;

    for (slot = local->sh->slots; slot; slot = slot->next) {

        if (slot->state != NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_DEAD) {
            continue;
        }

        if (slot->reaper == local->generation) {
            return slot;
        }

        if (ngx_exiting
            || (slot->reaper
                && ngx_http_gateway_websocket_lives(local->sh, slot->reaper)))
        {
            continue;
        }

        slot->reaper = local->generation;

        return slot;
    }

    return NULL;
}


static ngx_uint_t
ngx_http_gateway_websocket_lives(ngx_http_gateway_websocket_sh_t *sh,
    ngx_uint_t generation)
{
    ngx_http_gateway_websocket_slot_t  *slot;

    for (slot = sh->slots; slot; slot = slot->next) {

        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
            && slot->generation == generation)
        {
            return 1;
        }
    }

    return 0;
}


/* along "next" only: see the top of ngx_http_gateway_websocket_push.h */

ngx_http_gateway_websocket_node_t *
ngx_http_gateway_websocket_pop_node(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_slot_t *slot)
{
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_node_t  *node;

    q = ngx_queue_head(&slot->nodes);

    if (q == ngx_queue_sentinel(&slot->nodes)) {
        return NULL;
    }

    node = ngx_queue_data(q, ngx_http_gateway_websocket_node_t, queue);

    slot->nodes.next = q->next;

    ngx_http_gateway_websocket_remove(local->sh, node);

    return node;
}


void
ngx_http_gateway_websocket_free_node(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_node_t *node)
{
    if (node->will) {
        ngx_slab_free_locked(local->shpool, node->will);
    }

    ngx_slab_free_locked(local->shpool, node);
}


static void
ngx_http_gateway_websocket_orphaned(ngx_http_gateway_websocket_node_t *node)
{
    u_char     hex[NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN];
    ngx_str_t  id, will;

    ngx_hex_dump(hex, node->id, NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE);

    id.len = sizeof(hex);
    id.data = hex;

    ngx_str_null(&will);

    if (node->will) {
        will.len = node->will->len;
        will.data = node->will->data;
    }

    ngx_http_gateway_websocket_orphan(&id, &will);
}


void
ngx_http_gateway_websocket_log_full(ngx_http_gateway_websocket_local_t *local)
{
    if (ngx_time() == local->logged) {
        return;
    }

    local->logged = ngx_time();

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "gateway_websocket_zone \"%V\" is full", &local->name);
}
