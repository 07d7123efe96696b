
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What zones and pushes are made of.  A push is a question to the worker that
 * has a connection, or to all workers for a group; its answer is a number.
 *
 * Shared memory has workers, which are called slots there, ids, and mail; all
 * of it is guarded by the mutex of the zone's slab pool, the only one that
 * nginx's master unlocks when a worker dies with it.  So that what a killed
 * worker leaves behind is of use:
 *
 * - An id is entered and removed by one write of a pointer.
 * - A queue is linked so that a walk along "next" meets what is in it, and
 *   ends, after each of the writes.  The queues of a slot other than "mail" are
 *   changed by its worker only, and by nobody but who buries the slot after
 *   that has died, which needs "next" only.
 * - A kill in the few instructions in which "mail" of another worker is linked
 *   may lose a question or an answer.  Who waits for it does so for no longer
 *   than NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_TIMEOUT; the memory of that one stays
 *   in use, as with any zone of nginx whose slab pool is cut short.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_H_INCLUDED_


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_zone.h"


/* bytes of an id, and of what names the socket of a worker */

#define NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE       16
#define NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN      32

/* workers of a zone, those of before a reload counted */

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_SLOTS     1024

/* how long a push waits for the answers of other workers, milliseconds */

#define NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_TIMEOUT  2000

/* after which a worker that was woken and has not come is woken again, ms */

#define NGX_HTTP_GATEWAY_WEBSOCKET_WAKE_AGAIN    100

/*
 * Nobody takes the place of a worker that dies after a reload: whether those of
 * before are there is looked after, milliseconds.
 */

#define NGX_HTTP_GATEWAY_WEBSOCKET_WATCH         1000

/* connections pushed to, letters read, orphans told of, until others' turn */

#define NGX_HTTP_GATEWAY_WEBSOCKET_BATCH         512
#define NGX_HTTP_GATEWAY_WEBSOCKET_MAIL_BATCH    64

/* questions */

#define NGX_HTTP_GATEWAY_WEBSOCKET_ASK_SEND      0
#define NGX_HTTP_GATEWAY_WEBSOCKET_ASK_CLOSE     1
#define NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK      2

/* slots */

#define NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_FREE     0
#define NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE     1
#define NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_DEAD     2   /* its ids are left */


typedef struct ngx_http_gateway_websocket_slot_s
    ngx_http_gateway_websocket_slot_t;
typedef struct ngx_http_gateway_websocket_post_s
    ngx_http_gateway_websocket_post_t;
typedef struct ngx_http_gateway_websocket_pending_s
    ngx_http_gateway_websocket_pending_t;
typedef struct ngx_http_gateway_websocket_job_s
    ngx_http_gateway_websocket_job_t;


typedef struct {
    ngx_uint_t                   type;       /* ASK_... */
    ngx_uint_t                   opcode;     /* SEND: TEXT, BINARY, ... */
    ngx_uint_t                   code;       /* CLOSE */
    ngx_str_t                    data;       /* message, or reason */
    ngx_str_t                    group;      /* empty: a connection */
    u_char                       id[NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE];
} ngx_http_gateway_websocket_question_t;


/*
 * Of a connection "rc" is NGX_OK, NGX_BUSY, NGX_DECLINED when there is no such
 * connection any more, or NGX_ERROR; of a group it is NGX_OK.
 */

typedef struct {
    ngx_int_t                    rc;
    ngx_uint_t                   reached;
    ngx_uint_t                   full;
} ngx_http_gateway_websocket_answer_t;


/* in shared memory: */

typedef struct {
    size_t                       len;
    u_char                       data[1];
} ngx_http_gateway_websocket_will_t;


struct ngx_http_gateway_websocket_node_s {
    ngx_http_gateway_websocket_node_t    *next;      /* in its bucket */
    ngx_queue_t                           queue;     /* slot->nodes */
    ngx_http_gateway_websocket_slot_t    *slot;
    ngx_http_gateway_websocket_member_t  *member;    /* memory of its worker,
                                                  NULL: it has retired */
    ngx_http_gateway_websocket_will_t    *will;      /* NULL: empty */
    u_char                       id[NGX_HTTP_GATEWAY_WEBSOCKET_ID_SIZE];
};


/* a question on its way to a worker, and back as an answer */

typedef struct {
    ngx_queue_t                  queue;      /* slot->mail, slot->taken */
    ngx_http_gateway_websocket_post_t    *post;
    ngx_http_gateway_websocket_answer_t   answer;
    u_char                      *text;       /* slab memory of an answer */
    size_t                       len;
    ngx_uint_t                   answered;
} ngx_http_gateway_websocket_mail_t;


/* a question and all letters that it is in; belongs to who asks */

struct ngx_http_gateway_websocket_post_s {
    ngx_queue_t                  queue;      /* slot->posts */
    ngx_http_gateway_websocket_slot_t    *slot;      /* NULL: it is dead */
    ngx_http_gateway_websocket_pending_t *pending;   /* memory of its worker */
    ngx_uint_t                   out;        /* letters that are not back */
    ngx_uint_t                   n;
    ngx_http_gateway_websocket_question_t question;
    ngx_http_gateway_websocket_mail_t     mail[1];
};


struct ngx_http_gateway_websocket_slot_s {
    ngx_http_gateway_websocket_slot_t    *next;
    ngx_uint_t                   state;      /* SLOT_... */
    ngx_uint_t                   generation; /* of the zone, a new one each */
    ngx_uint_t                   cycle;      /* rises with reloads */
    ngx_pid_t                    pid;
    u_char                       name[NGX_HTTP_GATEWAY_WEBSOCKET_NAME_LEN];
    ngx_msec_t                   notified;   /* since when; 0: it is not */
    ngx_uint_t                   reaper;     /* of DEAD: its generation */
    ngx_queue_t                  nodes;      /* ids that the worker has */
    ngx_queue_t                  mail;       /* what it has to read */
    ngx_queue_t                  taken;      /* what it has to answer */
    ngx_queue_t                  posts;      /* what it has asked */
};


typedef struct {
    ngx_http_gateway_websocket_slot_t    *slots;     /* never shorter */
    ngx_uint_t                   nslots;
    ngx_uint_t                   generation;
    ngx_uint_t                   cycle;      /* is the master's */
    ngx_uint_t                   reserve;    /* pages that ids leave to mail */
    volatile ngx_uint_t          ndead;
    ngx_uint_t                   mask;
    ngx_http_gateway_websocket_node_t   **buckets;
} ngx_http_gateway_websocket_sh_t;


/* in memory of the process: */

typedef struct {
    ngx_slab_pool_t                      *shpool;
    ngx_http_gateway_websocket_sh_t      *sh;
    ngx_http_gateway_websocket_local_t   *local;     /* NULL in the master */
    ngx_core_conf_t             *core;
    ngx_uint_t                   cycle;
} ngx_http_gateway_websocket_zone_t;


struct ngx_http_gateway_websocket_local_s {
    ngx_queue_t                  queue;      /* of all zones of the worker */
    ngx_str_t                    name;
    ngx_slab_pool_t                      *shpool;
    ngx_http_gateway_websocket_sh_t      *sh;
    ngx_http_gateway_websocket_slot_t    *slot;      /* NULL: there is none */
    ngx_uint_t                   generation;
    ngx_uint_t                   cycle;
    ngx_event_t                  event;      /* all that is to be done */
    ngx_event_t                  timer;      /* while there are older ones */
    time_t                       logged;     /* when it was full last */

    ngx_rbtree_t                 groups;
    ngx_rbtree_node_t            sentinel;
    ngx_queue_t                  jobs;
    uint64_t                     joined;     /* memberships until now */
    ngx_uint_t                   turn;       /* connections pushed to in it */

    unsigned                     probe:1;    /* somebody seems to be dead */
};


/* who has asked, and waits */

struct ngx_http_gateway_websocket_pending_s {
    ngx_http_gateway_websocket_question_t  question;
    ngx_http_gateway_websocket_local_t    *local;
    void                       (*handler)(
                                 ngx_http_gateway_websocket_pending_t *p);
    void                        *data;
    ngx_pool_t                  *pool;       /* of "text" */

    ngx_http_gateway_websocket_answer_t    answer;
    ngx_str_t                    text;       /* LOOK at a connection */

    ngx_http_gateway_websocket_post_t     *post;     /* NULL: none is out */
    ngx_http_gateway_websocket_job_t      *job;      /* NULL: it is done */
    ngx_uint_t                   waiting;    /* letters */
    ngx_event_t                  timer;

    unsigned                     timedout:1;
};


#pragma GCC visibility push(hidden)

/* ngx_http_gateway_websocket_zone.c */

/* Returns the zone in this worker, or NULL when there is no memory. */

ngx_http_gateway_websocket_local_t *ngx_http_gateway_websocket_get_local(
    ngx_shm_zone_t *shm_zone);

/*
 * Returns the id's node, or NULL.  The zone has to be locked, as it has to be
 * for the next function, which takes a node out of its bucket.
 */

ngx_http_gateway_websocket_node_t *ngx_http_gateway_websocket_find(
    ngx_http_gateway_websocket_sh_t *sh, u_char *id);
void ngx_http_gateway_websocket_remove(ngx_http_gateway_websocket_sh_t *sh,
    ngx_http_gateway_websocket_node_t *node);

/*
 * Takes the first node of a slot whose worker is dead, or ends, out of the
 * table; NULL when there is none.  The zone has to be locked, also to free it.
 */

ngx_http_gateway_websocket_node_t *ngx_http_gateway_websocket_pop_node(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_slot_t *slot);
void ngx_http_gateway_websocket_free_node(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_node_t *node);

/* Tells of orphans.  Returns 1 when there are more, else 0. */

ngx_uint_t ngx_http_gateway_websocket_reap(
    ngx_http_gateway_websocket_local_t *local);

/* Writes that the zone is full to the log, once in a while. */

void ngx_http_gateway_websocket_log_full(
    ngx_http_gateway_websocket_local_t *local);


/* ngx_http_gateway_websocket_zone_slots.c */

/* Makes slots until there are "n".  Returns NGX_OK or NGX_DECLINED. */

ngx_int_t ngx_http_gateway_websocket_reserve(ngx_slab_pool_t *shpool,
    ngx_http_gateway_websocket_sh_t *sh, ngx_uint_t n);

/* Has the zone's mail read when there is some. */

void ngx_http_gateway_websocket_add_local(
    ngx_http_gateway_websocket_local_t *local);

/* Takes a slot for this worker.  Returns NGX_OK or NGX_DECLINED. */

ngx_int_t ngx_http_gateway_websocket_claim(
    ngx_http_gateway_websocket_local_t *local);

/*
 * What is put between them wakes those whom it is for, after the zone is
 * unlocked.
 */

void ngx_http_gateway_websocket_lock(
    ngx_http_gateway_websocket_local_t *local);
void ngx_http_gateway_websocket_unlock(
    ngx_http_gateway_websocket_local_t *local);
void ngx_http_gateway_websocket_wake(ngx_http_gateway_websocket_slot_t *slot);

/* Looks which workers are dead.  Their mail is answered for them. */

void ngx_http_gateway_websocket_probe(
    ngx_http_gateway_websocket_local_t *local);

/* Queues in shared memory; see the top. */

void ngx_http_gateway_websocket_link(ngx_queue_t *head, ngx_queue_t *q);
void ngx_http_gateway_websocket_unlink(ngx_queue_t *q);


/* ngx_http_gateway_websocket_mail.c */

/*
 * Asks.  "p" has the question, local, handler, data and pool, and else zeroes;
 * what the question points to has to stay until it is answered.
 *
 * Returns NGX_OK with p->answer and p->text set; NGX_AGAIN when p->handler will
 * be called; NGX_DECLINED when the zone has no room for the question, or
 * NGX_ERROR: nothing has been asked then.
 */

ngx_int_t ngx_http_gateway_websocket_ask(
    ngx_http_gateway_websocket_pending_t *p);

/* The answer is not waited for any more.  May be called at any time. */

void ngx_http_gateway_websocket_forget(
    ngx_http_gateway_websocket_pending_t *p);

/* A group's answer of this worker, when its job is done. */

void ngx_http_gateway_websocket_job_done(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail,
    ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer);

/* Handler of local->event. */

void ngx_http_gateway_websocket_zone_event(ngx_event_t *ev);

/* Sends a letter back.  The zone has to be locked. */

void ngx_http_gateway_websocket_return(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail);

/*
 * Answers all that the slot's worker, which is dead or ends, should have, and
 * drops what it has asked.  The zone has to be locked.
 */

void ngx_http_gateway_websocket_resign(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_slot_t *slot);


/* ngx_http_gateway_websocket_groups.c */

void ngx_http_gateway_websocket_groups_init(
    ngx_http_gateway_websocket_local_t *local);

/* Takes "m" out of all groups. */

void ngx_http_gateway_websocket_leave_groups(
    ngx_http_gateway_websocket_member_t *m);

/*
 * Answers a question about a group for the connections of this worker.  "mail"
 * or "p" is who has asked; both may be NULL.
 *
 * Returns NGX_OK with "answer" set, NGX_AGAIN with *job set when job_done()
 * will be called, or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_websocket_push_group(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_question_t *question,
    ngx_http_gateway_websocket_mail_t *mail,
    ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer,
    ngx_http_gateway_websocket_job_t **job);

/* Who has asked has gone, and so does what the question points to. */

void ngx_http_gateway_websocket_job_abandon(
    ngx_http_gateway_websocket_job_t *job);

/* Goes on with jobs.  Returns 1 when there is more to do, else 0. */

ngx_uint_t ngx_http_gateway_websocket_run_jobs(
    ngx_http_gateway_websocket_local_t *local);

/*
 * Answers a question about a connection, "text" being memory of "pool".
 */

void ngx_http_gateway_websocket_push_member(
    ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_question_t *question, ngx_pool_t *pool,
    ngx_http_gateway_websocket_answer_t *answer, ngx_str_t *text);


/* ngx_http_gateway_websocket_push.c */

/* Sends an answer.  Returns what the request is to be finalized with. */

ngx_int_t ngx_http_gateway_websocket_push_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, ngx_str_t *text);


/* ngx_http_gateway_websocket_push_publish.c */

/*
 * Publishes what the body of a request of GRIP says.  Returns NGX_DONE when
 * the request will be finalized, or what it is to be finalized with.
 */

ngx_int_t ngx_http_gateway_websocket_publish(ngx_http_request_t *r,
    ngx_http_gateway_websocket_local_t *local);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_H_INCLUDED_ */
