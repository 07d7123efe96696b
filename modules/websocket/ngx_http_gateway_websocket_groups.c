
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the groups of a worker, which know its own connections only, and what is
 * pushed to them: to so many in a row, as a job that goes on later.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_push.h"
#include "ngx_http_gateway_websocket_serve.h"


typedef struct {
    ngx_str_node_t               node;
    ngx_queue_t                  members;    /* places and cursors */
    ngx_uint_t                   n;
    ngx_uint_t                   jobs;       /* that are in it */
    u_char                       name[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUP];
} ngx_http_gateway_websocket_group_t;


typedef struct {
    ngx_queue_t                  queue;      /* group->members */
    ngx_queue_t                  link;       /* member->groups */
    ngx_http_gateway_websocket_group_t   *group;
    ngx_http_gateway_websocket_member_t  *member;    /* NULL: a cursor */
    uint64_t                     number;     /* rises along the queue */
} ngx_http_gateway_websocket_place_t;


struct ngx_http_gateway_websocket_job_s {
    ngx_queue_t                  queue;      /* local->jobs */
    ngx_http_gateway_websocket_group_t       *group;
    ngx_http_gateway_websocket_place_t   cursor;
    uint64_t                     last;       /* who joins later is not meant */

    ngx_http_gateway_websocket_question_t     question;
    ngx_http_gateway_websocket_answer_t       answer;
    ngx_http_gateway_websocket_mail_t        *mail;
    ngx_http_gateway_websocket_pending_t     *pending;
    u_char                      *copy;       /* of the data, or NULL */
};


/* the groups that a connection is to be in */

typedef struct {
    ngx_str_t                    names[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUPS];
    ngx_uint_t                   n;
} ngx_http_gateway_websocket_names_t;


static ngx_int_t ngx_http_gateway_websocket_parse_groups(ngx_str_t *value,
    ngx_http_gateway_websocket_names_t *names);
static ngx_int_t ngx_http_gateway_websocket_apply_group(ngx_str_t *name,
    ngx_http_gateway_websocket_names_t *names);
static ngx_uint_t ngx_http_gateway_websocket_find_name(
    ngx_http_gateway_websocket_names_t *names, ngx_str_t *name);
static ngx_int_t ngx_http_gateway_websocket_join_groups(
    ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_names_t *names, ngx_queue_t *joined);
static ngx_http_gateway_websocket_place_t *ngx_http_gateway_websocket_place(
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *name);
static ngx_http_gateway_websocket_place_t *ngx_http_gateway_websocket_new_place(
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *name);
static void ngx_http_gateway_websocket_free_place(
    ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_place_t *place);
static ngx_http_gateway_websocket_group_t *ngx_http_gateway_websocket_group(
    ngx_http_gateway_websocket_local_t *local, ngx_str_t *name);
static ngx_http_gateway_websocket_group_t *ngx_http_gateway_websocket_new_group(
    ngx_http_gateway_websocket_local_t *local, ngx_str_t *name);
static void ngx_http_gateway_websocket_release_group(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_group_t *group);
static void ngx_http_gateway_websocket_begin_job(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_job_t *job);
static ngx_int_t ngx_http_gateway_websocket_run_job(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_job_t *job);
static void ngx_http_gateway_websocket_look(
    ngx_http_gateway_websocket_member_t *m, ngx_pool_t *pool,
    ngx_http_gateway_websocket_answer_t *answer, ngx_str_t *text);


void
ngx_http_gateway_websocket_groups_init(
    ngx_http_gateway_websocket_local_t *local)
{
    ngx_rbtree_init(&local->groups, &local->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&local->jobs);
}


ngx_uint_t
ngx_http_gateway_websocket_is_group(ngx_str_t *name)
{
    u_char  *p, *last, c;

    if (name->len == 0 || name->len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUP
        || name->data[0] == '-')
    {
        return 0;
    }

    last = name->data + name->len;

    for (p = name->data; p < last; p++) {
        c = *p | 0x20;

        if ((c >= 'a' && c <= 'z') || (*p >= '0' && *p <= '9')) {
            continue;
        }

        if (*p == '_' || *p == '.' || *p == ':' || *p == '@' || *p == '~'
            || *p == '-')
        {
            continue;
        }

        return 0;
    }

    return 1;
}


ngx_int_t
ngx_http_gateway_websocket_set_groups(ngx_http_gateway_websocket_member_t *m,
    ngx_str_t *value)
{
    ngx_queue_t                         *q, joined;
    ngx_http_gateway_websocket_names_t   names;
    ngx_http_gateway_websocket_place_t  *place;

    names.n = 0;

    if (m->ngroups) {

        for (q = ngx_queue_head(&m->groups);
             q != ngx_queue_sentinel(&m->groups);
             q = ngx_queue_next(q))
        {
            place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t,
                                link);
            names.names[names.n++] = place->group->node.str;
        }
    }

    if (ngx_http_gateway_websocket_parse_groups(value, &names) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (m->node == NULL || m->local->slot == NULL || m->node->member == NULL) {
        return names.n ? NGX_DECLINED : NGX_OK;
    }

    ngx_queue_init(&joined);

    if (ngx_http_gateway_websocket_join_groups(m, &names, &joined) != NGX_OK) {
        return NGX_ERROR;
    }

    for (q = ngx_queue_head(&m->groups);
         q != ngx_queue_sentinel(&m->groups);
         /* void */ )
    {
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, link);
        q = ngx_queue_next(q);

        if (ngx_http_gateway_websocket_find_name(&names,
                                                 &place->group->node.str)
            == names.n)
        {
            ngx_http_gateway_websocket_free_place(m, place);
        }
    }

    if (!ngx_queue_empty(&joined)) {
        ngx_queue_add(&m->groups, &joined);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_parse_groups(ngx_str_t *value,
    ngx_http_gateway_websocket_names_t *names)
{
    u_char     *p, *last;
    ngx_str_t   name;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ',' || *p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        name.data = p;

        while (p < last && *p != ',') {
            p++;
        }

        name.len = p - name.data;

        while (name.data[name.len - 1] == ' '
               || name.data[name.len - 1] == '\t')
        {
            name.len--;
        }

        if (ngx_http_gateway_websocket_apply_group(&name, names) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_apply_group(ngx_str_t *name,
    ngx_http_gateway_websocket_names_t *names)
{
    ngx_str_t   rest;
    ngx_uint_t  i;

    if (name->len == 2 && name->data[0] == '-' && name->data[1] == '*') {
        names->n = 0;
        return NGX_OK;
    }

    if (name->data[0] == '-') {
        rest.data = name->data + 1;
        rest.len = name->len - 1;

        if (!ngx_http_gateway_websocket_is_group(&rest)) {
            return NGX_DECLINED;
        }

        i = ngx_http_gateway_websocket_find_name(names, &rest);

        if (i < names->n) {
            names->names[i] = names->names[--names->n];
        }

        return NGX_OK;
    }

    if (!ngx_http_gateway_websocket_is_group(name)) {
        return NGX_DECLINED;
    }

    if (ngx_http_gateway_websocket_find_name(names, name) < names->n) {
        return NGX_OK;
    }

    if (names->n == NGX_HTTP_GATEWAY_WEBSOCKET_MAX_GROUPS) {
        return NGX_DECLINED;
    }

    names->names[names->n++] = *name;

    return NGX_OK;
}


/* returns names->n when it is not there */

static ngx_uint_t
ngx_http_gateway_websocket_find_name(
    ngx_http_gateway_websocket_names_t *names, ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < names->n; i++) {
        if (names->names[i].len == name->len
            && ngx_memcmp(names->names[i].data, name->data, name->len) == 0)
        {
            break;
        }
    }

    return i;
}


/* puts new places into "joined": those of "m" may still have to go */

static ngx_int_t
ngx_http_gateway_websocket_join_groups(ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_names_t *names, ngx_queue_t *joined)
{
    ngx_uint_t                           i;
    ngx_queue_t                         *q;
    ngx_http_gateway_websocket_place_t  *place;

    for (i = 0; i < names->n; i++) {

        if (ngx_http_gateway_websocket_place(m, &names->names[i])) {
            continue;
        }

        place = ngx_http_gateway_websocket_new_place(m, &names->names[i]);

        if (place == NULL) {

            while (!ngx_queue_empty(joined)) {
                q = ngx_queue_head(joined);
                place = ngx_queue_data(q,
                                    ngx_http_gateway_websocket_place_t,
                                    link);

                ngx_http_gateway_websocket_free_place(m, place);
            }

            return NGX_ERROR;
        }

        ngx_queue_insert_tail(joined, &place->link);
    }

    return NGX_OK;
}


static ngx_http_gateway_websocket_place_t *
ngx_http_gateway_websocket_place(ngx_http_gateway_websocket_member_t *m,
    ngx_str_t *name)
{
    ngx_queue_t                         *q;
    ngx_http_gateway_websocket_place_t  *place;

    for (q = ngx_queue_head(&m->groups);
         q != ngx_queue_sentinel(&m->groups);
         q = ngx_queue_next(q))
    {
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, link);

        if (place->group->node.str.len == name->len
            && ngx_memcmp(place->group->node.str.data, name->data, name->len)
               == 0)
        {
            return place;
        }
    }

    return NULL;
}


static ngx_http_gateway_websocket_place_t *
ngx_http_gateway_websocket_new_place(
    ngx_http_gateway_websocket_member_t *m, ngx_str_t *name)
{
    ngx_http_gateway_websocket_group_t  *group;
    ngx_http_gateway_websocket_place_t  *place;

    place = ngx_alloc(sizeof(ngx_http_gateway_websocket_place_t),
                   ngx_cycle->log);
    if (place == NULL) {
        return NULL;
    }

    group = ngx_http_gateway_websocket_group(m->local, name);

    if (group == NULL) {
        group = ngx_http_gateway_websocket_new_group(m->local, name);
    }

    if (group == NULL) {
        ngx_free(place);
        return NULL;
    }

    place->group = group;
    place->member = m;
    place->number = ++m->local->joined;

    ngx_queue_insert_tail(&group->members, &place->queue);

    group->n++;
    m->ngroups++;

    return place;
}


static void
ngx_http_gateway_websocket_free_place(
    ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_place_t *place)
{
    ngx_http_gateway_websocket_group_t  *group;

    group = place->group;

    ngx_queue_remove(&place->queue);
    ngx_queue_remove(&place->link);

    ngx_free(place);

    m->ngroups--;
    group->n--;

    ngx_http_gateway_websocket_release_group(m->local, group);
}


void
ngx_http_gateway_websocket_leave_groups(
    ngx_http_gateway_websocket_member_t *m)
{
    ngx_queue_t                         *q, *next;
    ngx_http_gateway_websocket_place_t  *place;

    if (m->ngroups == 0) {
        return;
    }

    for (q = ngx_queue_head(&m->groups);
         q != ngx_queue_sentinel(&m->groups);
         q = next)
    {
        next = ngx_queue_next(q);
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, link);

        ngx_http_gateway_websocket_free_place(m, place);
    }
}


static ngx_http_gateway_websocket_group_t *
ngx_http_gateway_websocket_group(ngx_http_gateway_websocket_local_t *local,
    ngx_str_t *name)
{
    return (ngx_http_gateway_websocket_group_t *)
                   ngx_str_rbtree_lookup(&local->groups, name,
                                         ngx_crc32_short(name->data,
                                                         name->len));
}


static ngx_http_gateway_websocket_group_t *
ngx_http_gateway_websocket_new_group(ngx_http_gateway_websocket_local_t *local,
    ngx_str_t *name)
{
    ngx_http_gateway_websocket_group_t  *group;

    group = ngx_calloc(sizeof(ngx_http_gateway_websocket_group_t),
                       ngx_cycle->log);
    if (group == NULL) {
        return NULL;
    }

    ngx_memcpy(group->name, name->data, name->len);

    group->node.str.data = group->name;
    group->node.str.len = name->len;
    group->node.node.key = ngx_crc32_short(name->data, name->len);

    ngx_queue_init(&group->members);

    ngx_rbtree_insert(&local->groups, &group->node.node);

    return group;
}


static void
ngx_http_gateway_websocket_release_group(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_group_t *group)
{
    if (group->n || group->jobs) {
        return;
    }

    ngx_rbtree_delete(&local->groups, &group->node.node);

    ngx_free(group);
}


ngx_int_t
ngx_http_gateway_websocket_push_group(
    ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_question_t *question,
    ngx_http_gateway_websocket_mail_t *mail,
    ngx_http_gateway_websocket_pending_t *p,
    ngx_http_gateway_websocket_answer_t *answer,
    ngx_http_gateway_websocket_job_t **jobp)
{
    ngx_http_gateway_websocket_job_t     one, *job;
    ngx_http_gateway_websocket_group_t  *group;

    *jobp = NULL;

    answer->rc = NGX_OK;
    answer->reached = 0;
    answer->full = 0;

    group = ngx_http_gateway_websocket_group(local, &question->group);

    if (group == NULL || group->n == 0) {
        return NGX_OK;
    }

    if (question->type == NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK) {
        answer->reached = group->n;
        return NGX_OK;
    }

    /* what was pushed before comes first */

    if (ngx_queue_empty(&local->jobs)
        && group->n <= NGX_HTTP_GATEWAY_WEBSOCKET_BATCH)
    {
        ngx_memzero(&one, sizeof(ngx_http_gateway_websocket_job_t));

        one.group = group;
        one.question = *question;

        ngx_http_gateway_websocket_begin_job(local, &one);

        while (ngx_http_gateway_websocket_run_job(local, &one) == NGX_AGAIN) {
            /* void */
        }

        *answer = one.answer;

        return NGX_OK;
    }

    job = ngx_calloc(sizeof(ngx_http_gateway_websocket_job_t), ngx_cycle->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    job->group = group;
    job->question = *question;
    job->mail = mail;
    job->pending = p;

    ngx_http_gateway_websocket_begin_job(local, job);

    ngx_queue_insert_tail(&local->jobs, &job->queue);

    local->event.log = ngx_cycle->log;
    ngx_post_event(&local->event, &ngx_posted_next_events);

    *jobp = job;

    return NGX_AGAIN;
}


static void
ngx_http_gateway_websocket_begin_job(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_job_t *job)
{
    job->last = local->joined;
    job->answer.rc = NGX_OK;
    job->group->jobs++;

    ngx_queue_insert_head(&job->group->members, &job->cursor.queue);
}


/*
 * Goes one step: the cursor stands behind a connection before anything is done
 * to that, which may leave then, and take others along.  Returns NGX_AGAIN, or
 * NGX_OK at the end.
 */

static ngx_int_t
ngx_http_gateway_websocket_run_job(ngx_http_gateway_websocket_local_t *local,
    ngx_http_gateway_websocket_job_t *job)
{
    ngx_str_t                             text;
    ngx_queue_t                          *q;
    ngx_http_gateway_websocket_place_t   *place;
    ngx_http_gateway_websocket_answer_t   answer;

    q = ngx_queue_next(&job->cursor.queue);

    ngx_queue_remove(&job->cursor.queue);

    place = NULL;

    if (q != ngx_queue_sentinel(&job->group->members)) {
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, queue);
    }

    if (place == NULL || (place->member && place->number > job->last)) {
        job->group->jobs--;
        ngx_http_gateway_websocket_release_group(local, job->group);

        return NGX_OK;
    }

    ngx_queue_insert_after(q, &job->cursor.queue);

    if (place->member == NULL) {
        return NGX_AGAIN;
    }

    local->turn++;

    ngx_http_gateway_websocket_push_member(place->member, &job->question, NULL,
                                           &answer, &text);

    job->answer.reached += answer.reached;
    job->answer.full += answer.full;

    return NGX_AGAIN;
}


ngx_uint_t
ngx_http_gateway_websocket_run_jobs(ngx_http_gateway_websocket_local_t *local)
{
    ngx_queue_t                           *q;
    ngx_http_gateway_websocket_job_t      *job;
    ngx_http_gateway_websocket_mail_t     *mail;
    ngx_http_gateway_websocket_answer_t    answer;
    ngx_http_gateway_websocket_pending_t  *p;

    while (!ngx_queue_empty(&local->jobs)) {

        if (local->turn >= NGX_HTTP_GATEWAY_WEBSOCKET_BATCH) {
            return 1;
        }

        q = ngx_queue_head(&local->jobs);
        job = ngx_queue_data(q, ngx_http_gateway_websocket_job_t, queue);

        if (ngx_http_gateway_websocket_run_job(local, job) == NGX_AGAIN) {
            continue;
        }

        answer = job->answer;
        mail = job->mail;
        p = job->pending;

        ngx_queue_remove(q);

        if (job->copy) {
            ngx_free(job->copy);
        }

        ngx_free(job);

        ngx_http_gateway_websocket_job_done(local, mail, p, &answer);
    }

    return 0;
}


void
ngx_http_gateway_websocket_job_abandon(ngx_http_gateway_websocket_job_t *job)
{
    ngx_http_gateway_websocket_question_t  *question;

    question = &job->question;

    job->pending = NULL;

    ngx_str_null(&question->group);

    if (question->data.len == 0) {
        return;
    }

    job->copy = ngx_alloc(question->data.len, ngx_cycle->log);

    if (job->copy == NULL) {

        /* those who have not been reached will not be */

        job->last = 0;
        return;
    }

    ngx_memcpy(job->copy, question->data.data, question->data.len);
    question->data.data = job->copy;
}


void
ngx_http_gateway_websocket_push_member(ngx_http_gateway_websocket_member_t *m,
    ngx_http_gateway_websocket_question_t *question, ngx_pool_t *pool,
    ngx_http_gateway_websocket_answer_t *answer, ngx_str_t *text)
{
    answer->rc = NGX_OK;
    answer->reached = 0;
    answer->full = 0;

    switch (question->type) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_ASK_SEND:
        answer->rc = ngx_http_gateway_websocket_deliver(m, question->opcode,
                                                        &question->data);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_ASK_CLOSE:
        answer->rc = ngx_http_gateway_websocket_dismiss(m, question->code,
                                                        &question->data);
        break;

    default: /* NGX_HTTP_GATEWAY_WEBSOCKET_ASK_LOOK */
        ngx_http_gateway_websocket_look(m, pool, answer, text);
        break;
    }

    if (answer->rc == NGX_OK) {
        answer->reached = 1;

    } else if (answer->rc == NGX_BUSY) {
        answer->full = 1;
    }
}


static void
ngx_http_gateway_websocket_look(ngx_http_gateway_websocket_member_t *m,
    ngx_pool_t *pool, ngx_http_gateway_websocket_answer_t *answer,
    ngx_str_t *text)
{
    u_char                              *p;
    size_t                               len;
    ngx_str_t                            members, id;
    ngx_queue_t                         *q;
    ngx_http_gateway_websocket_place_t  *place;

    if (ngx_http_gateway_websocket_describe(m, pool, &members) != NGX_OK) {
        answer->rc = NGX_ERROR;
        return;
    }

    len = sizeof("{\"connectionId\":\"\",,\"groups\":[]}\n") - 1
          + NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN + members.len;

    for (q = ngx_queue_head(&m->groups);
         q != ngx_queue_sentinel(&m->groups);
         q = ngx_queue_next(q))
    {
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, link);
        len += sizeof("\"\",") - 1 + place->group->node.str.len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        answer->rc = NGX_ERROR;
        return;
    }

    id.len = NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN;
    id.data = m->id;

    text->data = p;

    p = ngx_sprintf(p, "{\"connectionId\":\"%V\",%V,\"groups\":[", &id,
                    &members);

    for (q = ngx_queue_head(&m->groups);
         q != ngx_queue_sentinel(&m->groups);
         q = ngx_queue_next(q))
    {
        place = ngx_queue_data(q, ngx_http_gateway_websocket_place_t, link);
        p = ngx_sprintf(p, "\"%V\",", &place->group->node.str);
    }

    if (p[-1] == ',') {
        p--;
    }

    p = ngx_cpymem(p, "]}\n", sizeof("]}\n") - 1);

    text->len = p - text->data;
}
