
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns questions and answers between workers: a question is put into the zone
 * once, with a letter for each worker that it is for, and a letter goes back
 * as the answer, so that an answer needs no memory but for a text.  What is
 * asked of this worker itself takes the short way.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"


static ngx_int_t ngx_http_gateway_websocket_ask_member(
    ngx_http_gateway_websocket_pending_t *p);
static ngx_int_t ngx_http_gateway_websocket_ask_group(
    ngx_http_gateway_websocket_pending_t *p);
static ngx_http_gateway_websocket_post_t *ngx_http_gateway_websocket_new_post(
    ngx_http_gateway_websocket_pending_t *p, ngx_uint_t n);
static void ngx_http_gateway_websocket_copy_question(
    ngx_http_gateway_websocket_post_t *post,
    ngx_http_gateway_websocket_question_t *question);
static void ngx_http_gateway_websocket_post_to(
    ngx_http_gateway_websocket_post_t *post,
    ngx_http_gateway_websocket_slot_t *slot);
static void ngx_http_gateway_websocket_free_post(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_post_t *post);
static ngx_int_t ngx_http_gateway_websocket_wait(
    ngx_http_gateway_websocket_pending_t *p);
static void ngx_http_gateway_websocket_timeout(ngx_event_t *ev);
static ngx_uint_t ngx_http_gateway_websocket_is_mine(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_node_t *node);
static ngx_uint_t ngx_http_gateway_websocket_read_mail(
    ngx_http_gateway_websocket_local_t *local);
static void ngx_http_gateway_websocket_read_question(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail);
static void ngx_http_gateway_websocket_question_member(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail);
static void ngx_http_gateway_websocket_reply(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail, ngx_str_t *text);
static void ngx_http_gateway_websocket_read_answer(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail, ngx_uint_t last);
static void ngx_http_gateway_websocket_count(
    ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer);
static void ngx_http_gateway_websocket_come(
    ngx_http_gateway_websocket_pending_t *p);


ngx_int_t
ngx_http_gateway_websocket_ask(ngx_http_gateway_websocket_pending_t *p)
{
    p->answer.rc = NGX_OK;

    if (p->local->slot == NULL
        && ngx_http_gateway_websocket_claim(p->local) != NGX_OK)
    {
        ngx_http_gateway_websocket_log_full(p->local);
        return NGX_DECLINED;
    }

    if (p->question.group.len) {
        return ngx_http_gateway_websocket_ask_group(p);
    }

    return ngx_http_gateway_websocket_ask_member(p);
}


static ngx_int_t
ngx_http_gateway_websocket_ask_member(ngx_http_gateway_websocket_pending_t *p)
{
    ngx_uint_t                            gone;
    ngx_http_gateway_websocket_node_t    *node;
    ngx_http_gateway_websocket_post_t    *post;
    ngx_http_gateway_websocket_local_t   *local;
    ngx_http_gateway_websocket_member_t  *member;

    local = p->local;
    member = NULL;
    post = NULL;

    ngx_http_gateway_websocket_lock(local);

    node = ngx_http_gateway_websocket_find(local->sh, p->question.id);

    gone = (node == NULL
            || node->slot->state != NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE);

    if (!gone && node->slot == local->slot) {
        member = node->member;
        gone = (member == NULL);

    } else if (!gone) {
        post = ngx_http_gateway_websocket_new_post(p, 1);
    }

    ngx_http_gateway_websocket_unlock(local);

    if (gone) {
        p->answer.rc = NGX_DECLINED;
        return NGX_OK;
    }

    if (member) {
        ngx_http_gateway_websocket_push_member(member, &p->question, p->pool,
                                               &p->answer, &p->text);
        return NGX_OK;
    }

    if (post == NULL) {
        ngx_http_gateway_websocket_log_full(local);
        return NGX_DECLINED;
    }

    ngx_http_gateway_websocket_copy_question(post, &p->question);

    ngx_http_gateway_websocket_lock(local);

    /* it may have left while the zone was not locked */

    node = ngx_http_gateway_websocket_find(local->sh, p->question.id);

    if (node && node->slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE) {
        ngx_http_gateway_websocket_post_to(post, node->slot);

    } else {
        ngx_http_gateway_websocket_free_post(local, post);
        post = NULL;
    }

    ngx_http_gateway_websocket_unlock(local);

    if (post == NULL) {
        p->answer.rc = NGX_DECLINED;
        return NGX_OK;
    }

    p->post = post;
    p->waiting = 1;

    return ngx_http_gateway_websocket_wait(p);
}


static ngx_int_t
ngx_http_gateway_websocket_ask_group(ngx_http_gateway_websocket_pending_t *p)
{
    ngx_int_t                            rc;
    ngx_uint_t                           n;
    ngx_http_gateway_websocket_post_t   *post;
    ngx_http_gateway_websocket_slot_t   *slot;
    ngx_http_gateway_websocket_local_t  *local;

    local = p->local;
    post = NULL;
    n = 0;

    ngx_http_gateway_websocket_lock(local);

    for (slot = local->sh->slots; slot; slot = slot->next) {
        if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
            && slot != local->slot)
        {
            n++;
        }
    }

    if (n) {
        post = ngx_http_gateway_websocket_new_post(p, n);
    }

    ngx_http_gateway_websocket_unlock(local);

    if (n) {
        if (post == NULL) {
            ngx_http_gateway_websocket_log_full(local);
            return NGX_DECLINED;
        }

        ngx_http_gateway_websocket_copy_question(post, &p->question);

        ngx_http_gateway_websocket_lock(local);

        for (slot = local->sh->slots; slot; slot = slot->next) {
            if (slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE
                && slot != local->slot && post->out < n)
            {
                ngx_http_gateway_websocket_post_to(post, slot);
            }
        }

        p->waiting = post->out;

        if (p->waiting) {
            p->post = post;

        } else {
            ngx_http_gateway_websocket_free_post(local, post);
        }

        ngx_http_gateway_websocket_unlock(local);
    }

    /* the others are at it already */

    rc = ngx_http_gateway_websocket_push_group(local, &p->question, NULL, p,
                                               &p->answer, &p->job);
    if (rc == NGX_ERROR) {
        p->answer.rc = NGX_ERROR;
    }

    if (p->waiting == 0 && p->job == NULL) {
        return NGX_OK;
    }

    return ngx_http_gateway_websocket_wait(p);
}


/*
 * The zone has to be locked.  A post is among those of its slot from the
 * beginning: whoever buries that frees it.
 */

static ngx_http_gateway_websocket_post_t *
ngx_http_gateway_websocket_new_post(ngx_http_gateway_websocket_pending_t *p,
    ngx_uint_t n)
{
    size_t                              size;
    ngx_http_gateway_websocket_post_t  *post;

    size = sizeof(ngx_http_gateway_websocket_post_t)
           + (n - 1) * sizeof(ngx_http_gateway_websocket_mail_t);

    post = ngx_slab_alloc_locked(p->local->shpool,
                                 size + p->question.group.len
                                 + p->question.data.len);
    if (post == NULL) {
        return NULL;
    }

    ngx_memzero(post, size);

    post->slot = p->local->slot;
    post->pending = p;
    post->n = n;

    post->question.group.data = (u_char *) post + size;
    post->question.data.data = post->question.group.data
                               + p->question.group.len;

    ngx_http_gateway_websocket_link(&post->slot->posts, &post->queue);

    return post;
}


static void
ngx_http_gateway_websocket_copy_question(
    ngx_http_gateway_websocket_post_t *post,
    ngx_http_gateway_websocket_question_t *question)
{
    u_char                                 *group, *data;
    ngx_http_gateway_websocket_question_t  *copy;

    copy = &post->question;

    group = copy->group.data;
    data = copy->data.data;

    *copy = *question;

    copy->group.data = group;
    copy->data.data = data;

    if (question->group.len) {
        ngx_memcpy(group, question->group.data, question->group.len);
    }

    if (question->data.len) {
        ngx_memcpy(data, question->data.data, question->data.len);
    }
}


static void
ngx_http_gateway_websocket_post_to(ngx_http_gateway_websocket_post_t *post,
    ngx_http_gateway_websocket_slot_t *slot)
{
    ngx_http_gateway_websocket_mail_t  *mail;

    mail = &post->mail[post->out++];

    mail->post = post;

    ngx_http_gateway_websocket_link(&slot->mail, &mail->queue);
    ngx_http_gateway_websocket_wake(slot);
}


static void
ngx_http_gateway_websocket_free_post(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_post_t *post)
{
    ngx_uint_t  i;

    if (post->slot) {
        ngx_http_gateway_websocket_unlink(&post->queue);
    }

    for (i = 0; i < post->n; i++) {
        if (post->mail[i].text) {
            ngx_slab_free_locked(local->shpool, post->mail[i].text);
        }
    }

    ngx_slab_free_locked(local->shpool, post);
}


static ngx_int_t
ngx_http_gateway_websocket_wait(ngx_http_gateway_websocket_pending_t *p)
{
    p->timer.handler = ngx_http_gateway_websocket_timeout;
    p->timer.data = p;
    p->timer.log = ngx_cycle->log;

    ngx_add_timer(&p->timer, NGX_HTTP_GATEWAY_WEBSOCKET_PUSH_TIMEOUT);

    return NGX_AGAIN;
}


static void
ngx_http_gateway_websocket_timeout(ngx_event_t *ev)
{
    ngx_http_gateway_websocket_pending_t  *p;

    p = ev->data;

    p->timedout = 1;

    ngx_http_gateway_websocket_forget(p);

    p->handler(p);
}


void
ngx_http_gateway_websocket_forget(ngx_http_gateway_websocket_pending_t *p)
{
    if (p->timer.timer_set) {
        ngx_del_timer(&p->timer);
    }

    /* the post goes when its last letter has come back */

    if (p->post) {
        p->post->pending = NULL;
        p->post = NULL;
    }

    if (p->job) {
        ngx_http_gateway_websocket_job_abandon(p->job);
        p->job = NULL;
    }

    p->waiting = 0;
}


void
ngx_http_gateway_websocket_zone_event(ngx_event_t *ev)
{
    ngx_uint_t                           again;
    ngx_http_gateway_websocket_local_t  *local;

    local = ev->data;

    if (local->slot == NULL) {
        return;
    }

    if (local->probe) {
        local->probe = 0;
        ngx_http_gateway_websocket_probe(local);
    }

    local->turn = 0;

    again = ngx_http_gateway_websocket_run_jobs(local);
    again |= ngx_http_gateway_websocket_read_mail(local);
    again |= ngx_http_gateway_websocket_reap(local);

    local->turn = 0;

    if (again) {
        ev->log = ngx_cycle->log;
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/* returns 1 when there may be more */

static ngx_uint_t
ngx_http_gateway_websocket_read_mail(ngx_http_gateway_websocket_local_t *local)
{
    ngx_uint_t                          i, last, answered;
    ngx_queue_t                        *q;
    ngx_http_gateway_websocket_mail_t  *mail;
    ngx_http_gateway_websocket_slot_t  *slot;

    slot = local->slot;

    for (i = 0; i < NGX_HTTP_GATEWAY_WEBSOCKET_MAIL_BATCH; i++) {

        if (local->turn >= NGX_HTTP_GATEWAY_WEBSOCKET_BATCH) {
            return 1;
        }

        last = 0;
        answered = 0;
        mail = NULL;

        ngx_http_gateway_websocket_lock(local);

        slot->notified = 0;

        q = ngx_queue_head(&slot->mail);

        if (q != ngx_queue_sentinel(&slot->mail)) {
            mail = ngx_queue_data(q, ngx_http_gateway_websocket_mail_t, queue);

            ngx_http_gateway_websocket_unlink(q);

            answered = mail->answered;

            if (answered) {
                last = (--mail->post->out == 0);

            } else {
                ngx_http_gateway_websocket_link(&slot->taken, q);
            }
        }

        ngx_http_gateway_websocket_unlock(local);

        if (mail == NULL) {
            return 0;
        }

        if (answered) {
            ngx_http_gateway_websocket_read_answer(local, mail, last);

        } else {
            ngx_http_gateway_websocket_read_question(local, mail);
        }
    }

    return 1;
}


static void
ngx_http_gateway_websocket_read_question(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail)
{
    ngx_int_t                               rc;
    ngx_http_gateway_websocket_job_t       *job;
    ngx_http_gateway_websocket_question_t  *question;

    question = &mail->post->question;

    if (question->group.len == 0) {
        ngx_http_gateway_websocket_question_member(local, mail);
        return;
    }

    rc = ngx_http_gateway_websocket_push_group(local, question, mail, NULL,
                                               &mail->answer, &job);
    if (rc == NGX_AGAIN) {
        return;
    }

    mail->answer.rc = rc;

    ngx_http_gateway_websocket_reply(local, mail, NULL);
}


static void
ngx_http_gateway_websocket_question_member(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail)
{
    ngx_str_t                               text;
    ngx_pool_t                             *pool;
    ngx_http_gateway_websocket_node_t      *node;
    ngx_http_gateway_websocket_member_t    *member;
    ngx_http_gateway_websocket_question_t  *question;

    question = &mail->post->question;
    member = NULL;
    pool = NULL;

    ngx_str_null(&text);

    ngx_http_gateway_websocket_lock(local);

    node = ngx_http_gateway_websocket_find(local->sh, question->id);

    if (node && ngx_http_gateway_websocket_is_mine(local, node)) {
        member = node->member;
    }

    ngx_http_gateway_websocket_unlock(local);

    mail->answer.rc = NGX_DECLINED;

    if (member && question->type == NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK) {
        pool = ngx_create_pool(1024, ngx_cycle->log);

        if (pool == NULL) {
            mail->answer.rc = NGX_ERROR;
            member = NULL;
        }
    }

    if (member) {
        local->turn++;

        ngx_http_gateway_websocket_push_member(member, question, pool,
                                               &mail->answer, &text);
    }

    ngx_http_gateway_websocket_reply(local, mail, &text);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


static ngx_uint_t
ngx_http_gateway_websocket_is_mine(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_node_t *node)
{
    return node->slot == local->slot
           && node->slot->state == NGX_HTTP_GATEWAY_WEBSOCKET_SLOT_LIVE;
}


static void
ngx_http_gateway_websocket_reply(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail, ngx_str_t *text)
{
    ngx_http_gateway_websocket_lock(local);

    if (text && text->len && mail->post->slot) {
        mail->text = ngx_slab_alloc_locked(local->shpool, text->len);

        if (mail->text) {
            ngx_memcpy(mail->text, text->data, text->len);
            mail->len = text->len;

        } else {
            mail->answer.rc = NGX_ERROR;
        }
    }

    ngx_http_gateway_websocket_unlink(&mail->queue);
    ngx_http_gateway_websocket_return(local, mail);

    ngx_http_gateway_websocket_unlock(local);
}


void
ngx_http_gateway_websocket_return(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail)
{
    ngx_http_gateway_websocket_post_t  *post;

    post = mail->post;

    if (post->slot) {
        mail->answered = 1;

        ngx_http_gateway_websocket_link(&post->slot->mail, &mail->queue);
        ngx_http_gateway_websocket_wake(post->slot);

        return;
    }

    if (--post->out == 0) {
        ngx_http_gateway_websocket_free_post(local, post);
    }
}


void
ngx_http_gateway_websocket_resign(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_slot_t *slot)
{
    ngx_queue_t                        *q, *next;
    ngx_http_gateway_websocket_mail_t  *mail;
    ngx_http_gateway_websocket_post_t  *post;

    for (q = ngx_queue_head(&slot->mail);
         q != ngx_queue_sentinel(&slot->mail);
         q = next)
    {
        next = ngx_queue_next(q);
        mail = ngx_queue_data(q, ngx_http_gateway_websocket_mail_t, queue);

        if (mail->answered) {
            mail->post->out--;
            continue;
        }

        mail->answer.rc = NGX_DECLINED;

        ngx_http_gateway_websocket_return(local, mail);
    }

    ngx_queue_init(&slot->mail);

    for (q = ngx_queue_head(&slot->taken);
         q != ngx_queue_sentinel(&slot->taken);
         q = next)
    {
        next = ngx_queue_next(q);
        mail = ngx_queue_data(q, ngx_http_gateway_websocket_mail_t, queue);

        mail->answer.rc = NGX_DECLINED;

        ngx_http_gateway_websocket_return(local, mail);
    }

    ngx_queue_init(&slot->taken);

    for (q = ngx_queue_head(&slot->posts);
         q != ngx_queue_sentinel(&slot->posts);
         q = next)
    {
        next = ngx_queue_next(q);
        post = ngx_queue_data(q, ngx_http_gateway_websocket_post_t, queue);

        post->slot = NULL;

        if (post->out == 0) {
            ngx_http_gateway_websocket_free_post(local, post);
        }
    }

    ngx_queue_init(&slot->posts);
}


static void
ngx_http_gateway_websocket_read_answer(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail, ngx_uint_t last)
{
    ngx_http_gateway_websocket_post_t     *post;
    ngx_http_gateway_websocket_pending_t  *p;

    post = mail->post;
    p = post->pending;

    if (p) {
        ngx_http_gateway_websocket_count(p, &mail->answer);

        if (mail->len) {
            p->text.data = ngx_pnalloc(p->pool, mail->len);

            if (p->text.data) {
                ngx_memcpy(p->text.data, mail->text, mail->len);
                p->text.len = mail->len;

            } else {
                p->answer.rc = NGX_ERROR;
            }
        }

        p->waiting--;

        if (last) {
            p->post = NULL;
        }
    }

    if (last) {
        ngx_http_gateway_websocket_lock(local);
        ngx_http_gateway_websocket_free_post(local, post);
        ngx_http_gateway_websocket_unlock(local);
    }

    if (p) {
        ngx_http_gateway_websocket_come(p);
    }
}


static void
ngx_http_gateway_websocket_count(ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer)
{
    /* a worker that has died has no connections of the group */

    if (p->question.group.len == 0 || answer->rc == NGX_ERROR) {
        p->answer.rc = answer->rc;
    }

    p->answer.reached += answer->reached;
    p->answer.full += answer->full;
}


static void
ngx_http_gateway_websocket_come(ngx_http_gateway_websocket_pending_t *p)
{
    if (p->waiting || p->job) {
        return;
    }

    ngx_http_gateway_websocket_forget(p);

    p->handler(p);
}


void
ngx_http_gateway_websocket_job_done(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_mail_t *mail,
    ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer)
{
    if (mail) {
        mail->answer = *answer;

        ngx_http_gateway_websocket_reply(local, mail, NULL);

        return;
    }

    if (p) {
        p->job = NULL;

        ngx_http_gateway_websocket_count(p, answer);
        ngx_http_gateway_websocket_come(p);
    }
}
