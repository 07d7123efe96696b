
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the workers of a zone: the slot and the socket that a worker can be
 * reached by, how it is woken, how it is found out that one is dead, and what
 * becomes of the connections that it had.
 *
 * A worker that has something for another puts it into the zone and sends an
 * empty datagram.  A datagram that is refused says that the other is dead: the
 * name of a socket is random, so that nobody else can have it.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"


#define NGX_HTTP_GATEWAY_WEBSOCKET_SOCKET  "ngx_gateway_websocket/"

/* datagrams that are read in a row: anyone on this machine can send some */

#define NGX_HTTP_GATEWAY_WEBSOCKET_DATAGRAMS  64


typedef struct {
    ngx_http_gateway_websocket_slot_t  *slot;
    ngx_uint_t                          generation;
} ngx_http_gateway_websocket_target_t;


static ngx_int_t ngx_http_gateway_websocket_open_socket(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_gateway_websocket_bind_socket(ngx_socket_t s,
    ngx_log_t *log);
static socklen_t ngx_http_gateway_websocket_address(
    struct sockaddr_un *address, u_char *name);
static void ngx_http_gateway_websocket_read_socket(ngx_event_t *ev);
static ngx_int_t ngx_http_gateway_websocket_send_datagram(
    ngx_http_gateway_websocket_slot_t *slot);
static ngx_http_gateway_websocket_slot_t *ngx_http_gateway_websocket_new_slot(
    ngx_slab_pool_t *shpool, ngx_http_gateway_websocket_sh_t *sh);
static void ngx_http_gateway_websocket_schedule(
    ngx_http_gateway_websocket_local_t *local);
static ngx_uint_t ngx_http_gateway_websocket_watch(
    ngx_http_gateway_websocket_local_t *local);
static void ngx_http_gateway_websocket_watch_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_gateway_websocket_wake_others(
    ngx_http_gateway_websocket_local_t *local);
static void ngx_http_gateway_websocket_give_back(
    ngx_http_gateway_websocket_local_t *local);


static ngx_connection_t  *ngx_http_gateway_websocket_socket;
static u_char             ngx_http_gateway_websocket_name[
                                         NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN];
static ngx_queue_t        ngx_http_gateway_websocket_locals;

/* whom to wake when the zone is unlocked */

static ngx_http_gateway_websocket_slot_t  *ngx_http_gateway_websocket_wakes[
                                         NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS];
static ngx_uint_t         ngx_http_gateway_websocket_nwakes;

static ngx_http_gateway_websocket_target_t  ngx_http_gateway_websocket_probes[
                                         NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS];


ngx_int_t
ngx_http_gateway_websocket_zone_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                           i;
    ngx_shm_zone_t                      *shm_zone;
    ngx_list_part_t                     *part;
    ngx_http_gateway_websocket_local_t  *local;

    part = &cycle->shared_memory.part;
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

        if (shm_zone[i].tag != &ngx_http_gateway_websocket_module) {
            continue;
        }

        if (ngx_http_gateway_websocket_socket == NULL
            && ngx_http_gateway_websocket_open_socket(cycle) != NGX_OK)
        {
            return NGX_ERROR;
        }

        local = ngx_http_gateway_websocket_get_local(&shm_zone[i]);
        if (local == NULL) {
            return NGX_ERROR;
        }

        /* that of which this worker takes the place */

        local->probe = 1;
        ngx_http_gateway_websocket_schedule(local);

        (void) ngx_http_gateway_websocket_watch(local);
    }
}


static ngx_int_t
ngx_http_gateway_websocket_open_socket(ngx_cycle_t *cycle)
{
    ngx_socket_t       s;
    ngx_connection_t  *c;

    s = ngx_socket(AF_UNIX, SOCK_DGRAM, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NGX_ERROR;
    }

    c = NULL;

    if (ngx_http_gateway_websocket_bind_socket(s, cycle->log) == NGX_OK) {
        c = ngx_get_connection(s, cycle->log);
    }

    if (c == NULL) {
        if (ngx_close_socket(s) == -1) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_socket_errno,
                          ngx_close_socket_n " failed");
        }

        return NGX_ERROR;
    }

    c->log = cycle->log;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = ngx_http_gateway_websocket_read_socket;

    /* it has no timer and is not idle: a worker ends in spite of it */

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_ERROR) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    ngx_http_gateway_websocket_socket = c;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_bind_socket(ngx_socket_t s, ngx_log_t *log)
{
    u_char              bytes[NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN / 2];
    socklen_t           len;
    struct sockaddr_un  address;

    if (ngx_nonblocking(s) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_nonblocking_n " failed");
        return NGX_ERROR;
    }

    if (fcntl(s, F_SETFD, FD_CLOEXEC) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "fcntl(FD_CLOEXEC) failed");
        return NGX_ERROR;
    }

    if (ngx_http_gateway_websocket_random(bytes, sizeof(bytes)) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "there are no random bytes");
        return NGX_ERROR;
    }

    ngx_hex_dump(ngx_http_gateway_websocket_name, bytes, sizeof(bytes));

    len = ngx_http_gateway_websocket_address(&address,
                                             ngx_http_gateway_websocket_name);

    if (bind(s, (struct sockaddr *) &address, len) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "bind() to an abstract address failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Linux: a path that begins with '\0' is not one of the file system */

static socklen_t
ngx_http_gateway_websocket_address(struct sockaddr_un *address, u_char *name)
{
    u_char  *p;

    ngx_memzero(address, sizeof(struct sockaddr_un));

    address->sun_family = AF_UNIX;

    p = (u_char *) address->sun_path + 1;

    p = ngx_cpymem(p, NGX_HTTP_GATEWAY_WEBSOCKET_SOCKET,
                   sizeof(NGX_HTTP_GATEWAY_WEBSOCKET_SOCKET) - 1);
    p = ngx_cpymem(p, name, NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN);

    return (socklen_t) (p - (u_char *) address);
}


static void
ngx_http_gateway_websocket_read_socket(ngx_event_t *ev)
{
    u_char                               buf[1];
    ngx_uint_t                           i;
    ngx_queue_t                         *q;
    ngx_connection_t                    *c;
    ngx_http_gateway_websocket_local_t  *local;

    c = ev->data;

    for (i = 0; i < NGX_HTTP_GATEWAY_WEBSOCKET_DATAGRAMS; i++) {
        if (recv(c->fd, buf, sizeof(buf), 0) == -1) {
            break;
        }
    }

    for (q = ngx_queue_head(&ngx_http_gateway_websocket_locals);
         q != ngx_queue_sentinel(&ngx_http_gateway_websocket_locals);
         q = ngx_queue_next(q))
    {
        local = ngx_queue_data(q, ngx_http_gateway_websocket_local_t, queue);

        ngx_http_gateway_websocket_zone_event(&local->event);
    }
}


/* returns NGX_OK unless there is nobody at the address */

static ngx_int_t
ngx_http_gateway_websocket_send_datagram(
    ngx_http_gateway_websocket_slot_t *slot)
{
    ngx_err_t           err;
    socklen_t           len;
    struct sockaddr_un  address;

    len = ngx_http_gateway_websocket_address(&address, slot->name);

    if (sendto(ngx_http_gateway_websocket_socket->fd, "", 1, 0,
               (struct sockaddr *) &address, len)
        != -1)
    {
        return NGX_OK;
    }

    err = ngx_socket_errno;

    /* NGX_EAGAIN: it has not read yet what will wake it */

    if (err == NGX_ECONNREFUSED || err == NGX_ENOENT) {
        return NGX_DECLINED;
    }

    if (err != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "sendto() to worker process %P failed", slot->pid);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_reserve(ngx_slab_pool_t *shpool,
    ngx_http_gateway_websocket_sh_t *sh, ngx_uint_t n)
{
    while (sh->nslots < ngx_min(n, NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS)) {
        if (ngx_http_gateway_websocket_new_slot(shpool, sh) == NULL) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_http_gateway_websocket_slot_t *
ngx_http_gateway_websocket_new_slot(ngx_slab_pool_t *shpool,
    ngx_http_gateway_websocket_sh_t *sh)
{
    ngx_http_gateway_websocket_slot_t  *slot;

    if (sh->nslots >= NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS) {
        return NULL;
    }

    slot = ngx_slab_calloc_locked(shpool,
                                  sizeof(ngx_http_gateway_websocket_slot_t));
    if (slot == NULL) {
        return NULL;
    }

    slot->next = sh->slots;

    ngx_memory_barrier();

    sh->slots = slot;
    sh->nslots++;

    return slot;
}


ngx_int_t
ngx_http_gateway_websocket_claim(ngx_http_gateway_websocket_local_t *local)
{
    ngx_http_gateway_websocket_sh_t    *sh;
    ngx_http_gateway_websocket_slot_t  *slot;

    if (ngx_http_gateway_websocket_socket == NULL) {
        return NGX_DECLINED;
    }

    sh = local->sh;

    ngx_http_gateway_websocket_lock(local);

    for (slot = sh->slots; slot; slot = slot->next) {
        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_FREE) {
            break;
        }
    }

    if (slot == NULL) {
        slot = ngx_http_gateway_websocket_new_slot(local->shpool, sh);
    }

    if (slot) {
        ngx_queue_init(&slot->nodes);
        ngx_queue_init(&slot->mail);
        ngx_queue_init(&slot->taken);
        ngx_queue_init(&slot->posts);

        slot->generation = ++sh->generation;
        slot->cycle = local->cycle;
        slot->pid = ngx_pid;
        slot->notified = 0;
        slot->reaper = 0;

        ngx_memcpy(slot->name, ngx_http_gateway_websocket_name,
                   NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN);

        ngx_memory_barrier();

        slot->state = NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE;
    }

    ngx_http_gateway_websocket_unlock(local);

    if (slot == NULL) {
        return NGX_DECLINED;
    }

    local->slot = slot;
    local->generation = slot->generation;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_add_local(ngx_http_gateway_websocket_local_t *local)
{
    if (ngx_http_gateway_websocket_locals.next == NULL) {
        ngx_queue_init(&ngx_http_gateway_websocket_locals);
    }

    ngx_queue_insert_tail(&ngx_http_gateway_websocket_locals, &local->queue);
}


void
ngx_http_gateway_websocket_lock(ngx_http_gateway_websocket_local_t *local)
{
    ngx_http_gateway_websocket_nwakes = 0;

    ngx_shmtx_lock(&local->shpool->mutex);
}


void
ngx_http_gateway_websocket_unlock(ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          i;
    ngx_http_gateway_websocket_slot_t  *slot;

    ngx_shmtx_unlock(&local->shpool->mutex);

    for (i = 0; i < ngx_http_gateway_websocket_nwakes; i++) {
        slot = ngx_http_gateway_websocket_wakes[i];

        if (slot == local->slot) {
            ngx_http_gateway_websocket_schedule(local);
            continue;
        }

        if (ngx_http_gateway_websocket_send_datagram(slot) != NGX_OK) {

            /* not now: whoever has unlocked is in the middle of something */

            local->probe = 1;
            ngx_http_gateway_websocket_schedule(local);
        }
    }

    ngx_http_gateway_websocket_nwakes = 0;
}


/*
 * Who is killed between this and the datagram leaves a slot that is notified
 * and has not been, thus the time.
 */

void
ngx_http_gateway_websocket_wake(ngx_http_gateway_websocket_slot_t *slot)
{
    ngx_uint_t  n;

    if (slot->notified
        && ngx_current_msec - slot->notified
           < NGX_HTTP_GATEWAY_WEBSOCKET_WAKE_AGAIN)
    {
        return;
    }

    n = ngx_http_gateway_websocket_nwakes;

    if (n == NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS) {
        return;
    }

    slot->notified = ngx_current_msec ? ngx_current_msec : 1;

    ngx_http_gateway_websocket_wakes[n] = slot;
    ngx_http_gateway_websocket_nwakes++;
}


static void
ngx_http_gateway_websocket_schedule(ngx_http_gateway_websocket_local_t *local)
{
    local->event.log = ngx_cycle->log;

    ngx_post_event(&local->event, &ngx_posted_next_events);
}


void
ngx_http_gateway_websocket_probe(ngx_http_gateway_websocket_local_t *local)
{
    ngx_pid_t                             pid;
    ngx_uint_t                            i, n;
    ngx_http_gateway_websocket_sh_t      *sh;
    ngx_http_gateway_websocket_slot_t    *slot;
    ngx_http_gateway_websocket_target_t  *probe;

    n = 0;
    sh = local->sh;
    probe = ngx_http_gateway_websocket_probes;

    ngx_http_gateway_websocket_lock(local);

    for (slot = sh->slots; slot; slot = slot->next) {

        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
            && slot != local->slot
            && n < NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS)
        {
            probe[n].slot = slot;
            probe[n].generation = slot->generation;
            n++;
        }
    }

    ngx_http_gateway_websocket_unlock(local);

    for (i = 0; i < n; i++) {
        slot = probe[i].slot;

        if (ngx_http_gateway_websocket_send_datagram(slot) == NGX_OK) {
            continue;
        }

        pid = 0;

        ngx_http_gateway_websocket_lock(local);

        /* somebody else may have seen it, too, and another may have it now */

        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
            && slot->generation == probe[i].generation)
        {
            pid = slot->pid;

            slot->reaper = 0;
            sh->ndead++;

            ngx_memory_barrier();

            slot->state = NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_DEAD;

            ngx_http_gateway_websocket_resign(local, slot);

            (void) ngx_http_gateway_websocket_wake_others(local);
        }

        ngx_http_gateway_websocket_unlock(local);

        if (pid) {
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "worker process %P of gateway_websocket_zone \"%V\" "
                          "is gone", pid, &local->name);
        }
    }
}


/*
 * As long as there are workers of before a reload, the one that has been there
 * for the longest after it looks after them.  Returns 1 when that is this one.
 */

static ngx_uint_t
ngx_http_gateway_websocket_watch(ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          older, first;
    ngx_http_gateway_websocket_slot_t  *slot;

    older = 0;
    first = 1;

    ngx_http_gateway_websocket_lock(local);

    for (slot = local->sh->slots; slot; slot = slot->next) {

        if (slot->state != NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE) {
            continue;
        }

        if (slot->cycle < local->cycle) {
            older = 1;

        } else if (slot->cycle == local->cycle
                   && slot->generation < local->generation)
        {
            first = 0;
        }
    }

    ngx_http_gateway_websocket_unlock(local);

    if (!older) {
        return 0;
    }

    local->timer.handler = ngx_http_gateway_websocket_watch_handler;
    local->timer.data = local;
    local->timer.log = ngx_cycle->log;
    local->timer.cancelable = 1;

    ngx_add_timer(&local->timer, NGX_HTTP_GATEWAY_WEBSOCKET_WATCH);

    return first;
}


static void
ngx_http_gateway_websocket_watch_handler(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_local_t  *local;

    local = ev->data;

    if (local->slot == NULL || ngx_exiting) {
        return;
    }

    if (ngx_http_gateway_websocket_watch(local)) {
        local->probe = 1;
        ngx_http_gateway_websocket_schedule(local);
    }
}


/* returns how many there are */

static ngx_uint_t
ngx_http_gateway_websocket_wake_others(
    ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          n;
    ngx_http_gateway_websocket_slot_t  *slot;

    n = 0;

    for (slot = local->sh->slots; slot; slot = slot->next) {

        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
            && slot != local->slot)
        {
            ngx_http_gateway_websocket_wake(slot);
            n++;
        }
    }

    return n;
}


void
ngx_http_gateway_websocket_link(ngx_queue_t *head, ngx_queue_t *q)
{
    q->next = head;
    q->prev = head->prev;

    ngx_memory_barrier();

    head->prev->next = q;

    ngx_memory_barrier();

    head->prev = q;
}


void
ngx_http_gateway_websocket_unlink(ngx_queue_t *q)
{
    q->prev->next = q->next;

    ngx_memory_barrier();

    q->next->prev = q->prev;
}


void
ngx_http_gateway_websocket_zone_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t                         *q;
    ngx_http_gateway_websocket_local_t  *local;

    if (ngx_http_gateway_websocket_socket == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_gateway_websocket_locals);
         q != ngx_queue_sentinel(&ngx_http_gateway_websocket_locals);
         q = ngx_queue_next(q))
    {
        local = ngx_queue_data(q, ngx_http_gateway_websocket_local_t, queue);

        if (local->slot) {
            ngx_http_gateway_websocket_give_back(local);
        }
    }

    ngx_close_connection(ngx_http_gateway_websocket_socket);
    ngx_http_gateway_websocket_socket = NULL;
}


static void
ngx_http_gateway_websocket_give_back(ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          others;
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_node_t  *node;
    ngx_http_gateway_websocket_post_t  *post;
    ngx_http_gateway_websocket_slot_t  *slot;

    slot = local->slot;

    ngx_http_gateway_websocket_lock(local);

    for (q = ngx_queue_head(&slot->posts);
         q != ngx_queue_sentinel(&slot->posts);
         q = ngx_queue_next(q))
    {
        post = ngx_queue_data(q, ngx_http_gateway_websocket_post_t, queue);

        /* it is not this worker's any more, and may go at any time */

        if (post->pending) {
            post->pending->post = NULL;
            post->pending = NULL;
        }
    }

    ngx_http_gateway_websocket_resign(local, slot);

    others = ngx_http_gateway_websocket_wake_others(local);

    if (others && !ngx_queue_empty(&slot->nodes)) {
        slot->reaper = 0;
        local->sh->ndead++;

        ngx_memory_barrier();

        slot->state = NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_DEAD;

    } else {

        for ( ;; ) {
            node = ngx_http_gateway_websocket_pop_node(local, slot);
            if (node == NULL) {
                break;
            }

            ngx_http_gateway_websocket_free_node(local, node);
        }

        slot->state = NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_FREE;
    }

    ngx_http_gateway_websocket_unlock(local);

    if (local->event.posted) {
        ngx_delete_posted_event(&local->event);
    }

    if (local->timer.timer_set) {
        ngx_del_timer(&local->timer);
    }

    local->slot = NULL;
}
