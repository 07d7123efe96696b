
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a subrequest answers, from its header to the value of the part.
 * The body is checked and kept as it comes and never leaves the filter.
 *
 * Where it is proxied, it is read straight into memory of the part: core would
 * buffer it for the client instead, and for a client that is not the
 * subrequest's to write to that means to a file as soon as its buffers are
 * full.  So buffering is turned off, and the buffer that core reads into then,
 * u->buffer, is made large enough, and moved on behind what has been kept.
 */


#include "ngx_http_gateway_aggregate.h"


#define NGX_HTTP_GATEWAY_AGGREGATE_BLOCK  4096


static ngx_uint_t ngx_http_gateway_aggregate_fits(
    ngx_http_gateway_aggregate_run_t *run);
static ngx_uint_t ngx_http_gateway_aggregate_succeeds(
    ngx_http_gateway_aggregate_part_t *part, ngx_uint_t status);
static void ngx_http_gateway_aggregate_add_caching(
    ngx_http_gateway_aggregate_run_t *run);
static void ngx_http_gateway_aggregate_unbuffer(
    ngx_http_gateway_aggregate_run_t *run);
static ngx_int_t ngx_http_gateway_aggregate_prepare_buffer(
    ngx_http_gateway_aggregate_run_t *run, ngx_http_upstream_t *u);
static void ngx_http_gateway_aggregate_make_room(
    ngx_http_gateway_aggregate_run_t *run);

static void ngx_http_gateway_aggregate_take(
    ngx_http_gateway_aggregate_run_t *run, ngx_buf_t *b, size_t len);
static void ngx_http_gateway_aggregate_refuse(
    ngx_http_gateway_aggregate_run_t *run, char *reason);
static ngx_int_t ngx_http_gateway_aggregate_invalid_text(
    ngx_http_gateway_aggregate_run_t *run);
static ngx_uint_t ngx_http_gateway_aggregate_is_json(ngx_str_t *type);
static ngx_int_t ngx_http_gateway_aggregate_keep(
    ngx_http_gateway_aggregate_run_t *run, ngx_buf_t *b, size_t len);
static ngx_int_t ngx_http_gateway_aggregate_link(
    ngx_http_gateway_aggregate_run_t *run, u_char *pos, u_char *last,
    u_char *end);
static ngx_int_t ngx_http_gateway_aggregate_copy(
    ngx_http_gateway_aggregate_run_t *run, u_char *p, size_t len);

static void ngx_http_gateway_aggregate_trim(
    ngx_http_gateway_aggregate_run_t *run);
static ngx_int_t ngx_http_gateway_aggregate_join(
    ngx_http_gateway_aggregate_run_t *run, ngx_str_t *text);
static ngx_int_t ngx_http_gateway_aggregate_cut(
    ngx_http_gateway_aggregate_run_t *run, ngx_str_t *text);


void
ngx_http_gateway_aggregate_capture_header(
    ngx_http_gateway_aggregate_run_t *run)
{
    ngx_http_request_t                     *sr;
    ngx_http_gateway_aggregate_part_t      *part;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    if (run->ended) {
        return;
    }

    sr = run->sr;
    part = run->state->part;

    /* what core answered itself is known from the status it ended with */

    if (run->status != sr->headers_out.status
        || sr->err_status != run->status)
    {
        run->status = sr->headers_out.status;
        run->answered = 1;
    }

    if (ngx_http_gateway_aggregate_succeeds(part, run->status)) {

        if (sr->headers_out.content_encoding
            && sr->headers_out.content_encoding->hash
            && sr->headers_out.content_encoding->value.len
            && ngx_strcasecmp(sr->headers_out.content_encoding->value.data,
                              (u_char *) "identity")
               != 0)
        {
            ngx_http_gateway_aggregate_fail(run,
                                            NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                            "the answer is compressed");

        } else if (ngx_http_gateway_aggregate_fits(run)) {
            alcf = ngx_http_get_module_loc_conf(run->state->ctx->request,
                                           ngx_http_gateway_aggregate_module);

            ngx_http_gateway_json_scan_init(&run->scan, alcf->max_depth);
            ngx_http_gateway_aggregate_add_caching(run);

            run->takes = 1;
            run->checks = 1;
        }

    } else if (!run->answered && run->status == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_http_gateway_aggregate_fail(run,
                                        NGX_HTTP_GATEWAY_AGGREGATE_TIMEOUT,
                                        "it timed out");

    } else if ((!run->answered && run->status == NGX_HTTP_BAD_GATEWAY)
               || run->status == 0)
    {
        /* without a status it is not HTTP, or HTTP/0.9 at best */

        ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                        "no server gave a valid answer");

    } else {
        ngx_http_gateway_aggregate_fail(run,
                                        NGX_HTTP_GATEWAY_AGGREGATE_STATUS,
                                        "its status is not one of success");

        if (part->pass && run->status >= 400 && run->status < 500) {
            run->takes = ngx_http_gateway_aggregate_fits(run);
        }
    }

    /* no body may follow, not even an empty one */

    if (sr->header_only
        || run->status == NGX_HTTP_NO_CONTENT
        || run->status == NGX_HTTP_NOT_MODIFIED)
    {
        run->complete = 1;
    }

    ngx_http_gateway_aggregate_unbuffer(run);
}


/* a body that is known to be too large is not begun with */

static ngx_uint_t
ngx_http_gateway_aggregate_fits(ngx_http_gateway_aggregate_run_t *run)
{
    off_t                                   length;
    ngx_http_gateway_aggregate_ctx_t       *ctx;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    ctx = run->state->ctx;
    length = run->sr->headers_out.content_length_n;

    alcf = ngx_http_get_module_loc_conf(ctx->request,
                                        ngx_http_gateway_aggregate_module);

    if (length > (off_t) alcf->max_part_size) {
        ngx_http_gateway_aggregate_refuse(run, "the answer is too large");
        return 0;
    }

    if (length <= 0) {
        return 1;
    }

    run->reserved = length;
    ctx->size += length;

    if (ctx->size > (off_t) alcf->max_size) {
        ngx_http_gateway_aggregate_refuse(run,
                                          "the whole answer is too large");
        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_http_gateway_aggregate_succeeds(ngx_http_gateway_aggregate_part_t *part,
    ngx_uint_t status)
{
    ngx_uint_t                              i;
    ngx_http_gateway_aggregate_statuses_t  *s;

    if (part->statuses == NULL) {
        return status >= 200 && status < 300;
    }

    s = part->statuses->elts;

    for (i = 0; i < part->statuses->nelts; i++) {
        if (status >= s[i].from && status <= s[i].to) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_gateway_aggregate_add_caching(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_uint_t                             i;
    ngx_list_part_t                       *part;
    ngx_table_elt_t                       *h;
    ngx_http_gateway_aggregate_caching_t  *caching;

    caching = &run->state->ctx->caching;

    ngx_http_gateway_aggregate_caching_begin(caching);

    for (part = &run->sr->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash) {
                ngx_http_gateway_aggregate_caching_field(caching, &h[i].key,
                                                         &h[i].value);
            }
        }
    }

    ngx_http_gateway_aggregate_caching_end(caching);
}


/*
 * What goes to a cache or a file stays buffered; so does what core's upstream
 * filters cannot read unbuffered.
 */

static void
ngx_http_gateway_aggregate_unbuffer(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_http_request_t   *sr;
    ngx_http_upstream_t  *u;

    sr = run->sr;
    u = sr->upstream;

    if (u == NULL
        || u->pipe == NULL
        || u->input_filter == NULL
        || u->peer.connection == NULL
        || u->store
        || sr->cached
#if (NGX_HTTP_CACHE)
        || u->cacheable
#endif
        )
    {
        return;
    }

    u->buffering = 0;

    if (!run->takes) {
        return;
    }

    if (ngx_http_gateway_aggregate_prepare_buffer(run, u) != NGX_OK) {
        ngx_http_gateway_aggregate_refuse(run, "there is no memory for it");
        return;
    }

    run->direct = 1;
}


/* of a known length, it gets its memory at once */

static ngx_int_t
ngx_http_gateway_aggregate_prepare_buffer(
    ngx_http_gateway_aggregate_run_t *run, ngx_http_upstream_t *u)
{
    off_t       length;
    size_t      preread;
    u_char     *p, *start;
    ngx_buf_t  *b;

    length = run->sr->headers_out.content_length_n;

    b = &u->buffer;
    preread = b->last - b->pos;

    if (length <= (off_t) preread) {
        return NGX_OK;
    }

    p = ngx_pnalloc(run->sr->pool, length);
    if (p == NULL) {
        return NGX_ERROR;
    }

    start = b->start;

    b->start = p;
    b->last = ngx_cpymem(p, b->pos, preread);
    b->pos = p;
    b->end = p + length;

    /* header fields have been copied out of it */

    (void) ngx_pfree(run->sr->pool, start);

    return NGX_OK;
}


void
ngx_http_gateway_aggregate_capture_body(ngx_http_gateway_aggregate_run_t *run,
    ngx_chain_t *in)
{
    size_t                                  len;
    ngx_buf_t                              *b;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(run->state->ctx->request,
                                        ngx_http_gateway_aggregate_module);

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;

        len = ngx_buf_in_memory(b) ? (size_t) (b->last - b->pos) : 0;

        if (len) {
            run->size += len;

            if (run->takes) {
                ngx_http_gateway_aggregate_take(run, b, len);

            } else if (run->size > (off_t) alcf->max_part_size) {

                /* it has failed already; there is no end to wait for */

                ngx_http_gateway_aggregate_refuse(run,
                                                  "the answer is too large");
            }
        }

        b->pos = b->last;
        b->file_pos = b->file_last;

        if (b->last_buf || b->last_in_chain) {
            run->complete = 1;
        }
    }

    if (run->direct && run->takes) {
        ngx_http_gateway_aggregate_make_room(run);
    }
}


static void
ngx_http_gateway_aggregate_take(ngx_http_gateway_aggregate_run_t *run,
    ngx_buf_t *b, size_t len)
{
    ngx_http_gateway_aggregate_ctx_t       *ctx;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    ctx = run->state->ctx;

    alcf = ngx_http_get_module_loc_conf(ctx->request,
                                        ngx_http_gateway_aggregate_module);

    if (run->size > run->reserved) {
        ctx->size += run->size - run->reserved;
        run->reserved = run->size;
    }

    if (run->size > (off_t) alcf->max_part_size) {
        ngx_http_gateway_aggregate_refuse(run, "the answer is too large");
        return;
    }

    if (ctx->size > (off_t) alcf->max_size) {
        ngx_http_gateway_aggregate_refuse(run,
                                          "the whole answer is too large");
        return;
    }

    if (run->checks
        && ngx_http_gateway_json_scan(&run->scan, b->pos, len) != NGX_OK)
    {
        if (ngx_http_gateway_aggregate_invalid_text(run) != NGX_OK) {
            ngx_http_gateway_aggregate_refuse(run,
                                              "there is no memory for it");
        }

        /* the rest is read to its end, so that the connection can be kept */

        run->takes = 0;
        return;
    }

    if (ngx_http_gateway_aggregate_keep(run, b, len) != NGX_OK) {
        ngx_http_gateway_aggregate_refuse(run, "there is no memory for it");
    }
}


/* fails the run and does not wait for its end */

static void
ngx_http_gateway_aggregate_refuse(ngx_http_gateway_aggregate_run_t *run,
    char *reason)
{
    ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                    reason);
    run->takes = 0;

    if (!run->aborts && !run->ended) {
        run->aborts = 1;
        (void) ngx_http_gateway_aggregate_wake(run->state->ctx);
    }
}


static ngx_int_t
ngx_http_gateway_aggregate_invalid_text(ngx_http_gateway_aggregate_run_t *run)
{
    u_char     *p;
    ngx_str_t  *type;

    type = &run->sr->headers_out.content_type;

    if (run->size
        && run->scan.start == run->scan.offset
        && type->len
        && !ngx_http_gateway_aggregate_is_json(type))
    {
        ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                        "the answer is not JSON, nor is its "
                                        "type");
        return NGX_OK;
    }

    p = ngx_pnalloc(run->sr->pool, sizeof("the answer  at byte ")
                                   + NGX_OFF_T_LEN
                                   + ngx_strlen(run->scan.error));
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (run->size == 0) {
        *ngx_sprintf(p, "the answer %s", run->scan.error) = '\0';

    } else {
        *ngx_sprintf(p, "the answer %s at byte %O", run->scan.error,
                     run->scan.offset) = '\0';
    }

    ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                    (char *) p);
    return NGX_OK;
}


/* "application/json", "text/json", and all types with the suffix "+json" */

static ngx_uint_t
ngx_http_gateway_aggregate_is_json(ngx_str_t *type)
{
    u_char  *p, *last;

    p = type->data;
    last = ngx_strlchr(p, p + type->len, ';');

    if (last == NULL) {
        last = p + type->len;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    return last - p > 5
           && (last[-5] == '/' || last[-5] == '+')
           && ngx_strncasecmp(last - 4, (u_char *) "json", 4) == 0;
}


/*
 * Keeps the memory itself where nothing will be written to it any more: what
 * is read directly; the buffers of an aggregate; and a buffer that is the
 * whole answer.  All others are used again.
 */

static ngx_int_t
ngx_http_gateway_aggregate_keep(ngx_http_gateway_aggregate_run_t *run,
    ngx_buf_t *b, size_t len)
{
    ngx_http_upstream_t  *u;

    u = run->sr->upstream;

    if (run->direct
        && b->pos >= u->buffer.start
        && b->last <= u->buffer.end)
    {
        u->buffer.start = b->last;

        return ngx_http_gateway_aggregate_link(run, b->pos, b->last, b->last);
    }

    if (b->tag == (ngx_buf_tag_t) &ngx_http_gateway_aggregate_module
        || (run->out == NULL && (b->last_buf || b->last_in_chain)))
    {
        return ngx_http_gateway_aggregate_link(run, b->pos, b->last, b->last);
    }

    return ngx_http_gateway_aggregate_copy(run, b->pos, len);
}


static ngx_int_t
ngx_http_gateway_aggregate_link(ngx_http_gateway_aggregate_run_t *run,
    u_char *pos, u_char *last, u_char *end)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (run->last && run->last->buf->last == pos) {
        run->last->buf->last = last;
        run->last->buf->end = end;

        return NGX_OK;
    }

    b = ngx_calloc_buf(run->sr->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(run->sr->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->memory = 1;
    b->start = pos;
    b->pos = pos;
    b->last = last;
    b->end = end;

    cl->buf = b;
    cl->next = NULL;

    if (run->last) {
        run->last->next = cl;

    } else {
        run->out = cl;
    }

    run->last = cl;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_copy(ngx_http_gateway_aggregate_run_t *run,
    u_char *p, size_t len)
{
    off_t       length;
    size_t      size;
    u_char     *block;
    ngx_buf_t  *b;

    if (run->last) {
        b = run->last->buf;
        size = ngx_min((size_t) (b->end - b->last), len);

        b->last = ngx_cpymem(b->last, p, size);
        p += size;
        len -= size;
    }

    if (len == 0) {
        return NGX_OK;
    }

    length = run->sr->headers_out.content_length_n;

    /* either all that comes, or a part of what has come already */

    if (length >= run->size) {
        size = length - run->size + len;

    } else {
        size = ngx_max((size_t) run->size / 4,
                       NGX_HTTP_GATEWAY_AGGREGATE_BLOCK / 16);
        size = ngx_max(size, len);
    }

    block = ngx_pnalloc(run->sr->pool, size);
    if (block == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(block, p, len);

    return ngx_http_gateway_aggregate_link(run, block, block + len,
                                           block + size);
}


/*
 * Core is about to read on at u->buffer.start.  Without room there it would
 * never read again.
 */

static void
ngx_http_gateway_aggregate_make_room(ngx_http_gateway_aggregate_run_t *run)
{
    size_t                                  room, size, rest;
    u_char                                 *p;
    ngx_http_upstream_t                    *u;
    ngx_http_gateway_aggregate_loc_conf_t  *alcf;

    u = run->sr->upstream;

    room = u->buffer.end - u->buffer.start;

    if (u->length == 0
        || (u->length > 0 && (off_t) room >= u->length)
        || room >= NGX_HTTP_GATEWAY_AGGREGATE_BLOCK / 4)
    {
        return;
    }

    alcf = ngx_http_get_module_loc_conf(run->state->ctx->request,
                                        ngx_http_gateway_aggregate_module);

    rest = ngx_min(alcf->max_part_size - run->size,
                   alcf->max_size - run->state->ctx->size)
           + NGX_HTTP_GATEWAY_AGGREGATE_BLOCK;

    if (u->length > 0 && u->length <= (off_t) rest) {
        size = ngx_max((size_t) u->length, (size_t) run->size / 4);

    } else {
        size = run->size / 4;
    }

    size = ngx_max(size, NGX_HTTP_GATEWAY_AGGREGATE_BLOCK);
    size = ngx_min(size, rest);

    p = ngx_pnalloc(run->sr->pool, size);
    if (p == NULL) {

        /* what is left there serves for the rest, which is not kept */

        u->buffer.start = run->last->buf->start;
        ngx_http_gateway_aggregate_refuse(run, "there is no memory for it");
        return;
    }

    u->buffer.start = p;
    u->buffer.end = p + size;
}


ngx_int_t
ngx_http_gateway_aggregate_take_value(ngx_http_gateway_aggregate_run_t *run)
{
    ngx_str_t                            text;
    ngx_http_gateway_aggregate_part_t   *part;

    part = run->state->part;

    if (!run->complete) {
        ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                        "the answer was cut off");
    }

    if (run->failed) {
        return NGX_OK;
    }

    if (ngx_http_gateway_json_scan_end(&run->scan) != NGX_OK) {
        return ngx_http_gateway_aggregate_invalid_text(run);
    }

    ngx_http_gateway_aggregate_trim(run);

    if (!part->whole) {
        return NGX_OK;
    }

    if (ngx_http_gateway_aggregate_join(run, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_gateway_aggregate_cut(run, &text);
}


/* takes the bytes before and after the value off the chain */

static void
ngx_http_gateway_aggregate_trim(ngx_http_gateway_aggregate_run_t *run)
{
    off_t         n, rest;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    n = run->scan.start;
    rest = run->scan.end - run->scan.start;

    while (run->out->buf->last - run->out->buf->pos <= n) {
        n -= run->out->buf->last - run->out->buf->pos;
        run->out = run->out->next;
    }

    run->out->buf->pos += n;

    for (cl = run->out; cl; cl = cl->next) {

        b = cl->buf;

        if (b->last - b->pos >= rest) {
            b->last = b->pos + rest;
            cl->next = NULL;
            run->last = cl;
            return;
        }

        rest -= b->last - b->pos;
    }
}


static ngx_int_t
ngx_http_gateway_aggregate_join(ngx_http_gateway_aggregate_run_t *run,
    ngx_str_t *text)
{
    u_char       *p;
    ngx_chain_t  *cl;

    text->len = run->scan.end - run->scan.start;
    text->data = run->out->buf->pos;

    if (run->out->next == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(run->sr->pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (cl = run->out; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_cut(ngx_http_gateway_aggregate_run_t *run,
    ngx_str_t *text)
{
    ngx_int_t                            rc;
    ngx_str_t                            picked;
    ngx_pool_t                          *pool;
    ngx_http_gateway_aggregate_part_t   *part;
    ngx_http_gateway_aggregate_state_t  *state;

    pool = run->sr->pool;
    state = run->state;
    part = state->part;

    if (part->select) {

        rc = ngx_http_gateway_json_find(pool, text, part->select, text);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_http_gateway_aggregate_fail(run,
                                            NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                            "there is no value to select");
            return NGX_OK;
        }
    }

    if (part->each == NGX_HTTP_GATEWAY_AGGREGATE_NO_PART && part->referred) {
        state->source = *text;
        state->has_source = 1;
    }

    if ((part->merge || part->picks) && text->data[0] != '{') {
        ngx_http_gateway_aggregate_fail(run, NGX_HTTP_GATEWAY_AGGREGATE_OTHER,
                                        "the value is not an object");
        return NGX_OK;
    }

    if (part->picks) {

        if (ngx_http_gateway_json_pick(pool, text, &part->members,
                                            &picked)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        *text = picked;
    }

    run->out = NULL;
    run->last = NULL;

    return ngx_http_gateway_aggregate_link(run, text->data,
                                           text->data + text->len,
                                           text->data + text->len);
}
