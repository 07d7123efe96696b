
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns how subrequests are started and aborted.  What they answer, and what
 * comes of it, is for the module that starts them.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_gateway_compat.h"
#include "ngx_http_gateway_subrequest.h"


static ngx_uint_t ngx_http_gateway_subrequest_is_prefixed(ngx_str_t *name,
    char *prefix);
static ngx_uint_t ngx_http_gateway_subrequest_is_connection(
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_gateway_subrequest_is_option(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_gateway_subrequest_is_named(ngx_str_t *value,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_gateway_subrequest_of_body(ngx_table_elt_t *h);
static ngx_int_t ngx_http_gateway_subrequest_set_headers(
    ngx_http_request_t *sr, ngx_http_gateway_subrequests_t *s,
    ngx_http_gateway_subrequest_t *sub);
static ngx_int_t ngx_http_gateway_subrequest_set_fields(ngx_http_request_t *sr,
    ngx_array_t *fields);
static ngx_uint_t ngx_http_gateway_subrequest_is_set(ngx_array_t *fields,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_gateway_subrequest_set_body(ngx_http_request_t *sr,
    ngx_http_gateway_subrequests_t *s, ngx_http_gateway_subrequest_t *sub);
static ngx_int_t ngx_http_gateway_subrequest_set_variables(
    ngx_http_request_t *sr, ngx_http_gateway_subrequests_t *s);
static void ngx_http_gateway_subrequest_hurry(ngx_http_request_t *sr);
static ngx_int_t ngx_http_gateway_subrequest_no_content(
    ngx_http_request_t *sr);
static void ngx_http_gateway_subrequest_leave_cache(ngx_http_request_t *sr);


static ngx_str_t  ngx_http_gateway_subrequest_dropped[] = {
    ngx_string("accept-encoding"),
    ngx_string("connection"),
    ngx_string("content-length"),
    ngx_string("content-range"),
    ngx_string("expect"),
    ngx_string("http2-settings"),
    ngx_string("if-match"),
    ngx_string("if-modified-since"),
    ngx_string("if-none-match"),
    ngx_string("if-range"),
    ngx_string("if-unmodified-since"),
    ngx_string("keep-alive"),
    ngx_string("proxy-authorization"),
    ngx_string("proxy-connection"),
    ngx_string("range"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_null_string
};


/* the places at which core keeps some of them */

static ngx_uint_t  ngx_http_gateway_subrequest_cleared[] = {
    offsetof(ngx_http_headers_in_t, connection),
    offsetof(ngx_http_headers_in_t, if_modified_since),
    offsetof(ngx_http_headers_in_t, if_unmodified_since),
    offsetof(ngx_http_headers_in_t, if_match),
    offsetof(ngx_http_headers_in_t, if_none_match),
    offsetof(ngx_http_headers_in_t, content_length),
    offsetof(ngx_http_headers_in_t, content_range),
    offsetof(ngx_http_headers_in_t, range),
    offsetof(ngx_http_headers_in_t, if_range),
    offsetof(ngx_http_headers_in_t, transfer_encoding),
    offsetof(ngx_http_headers_in_t, te),
    offsetof(ngx_http_headers_in_t, expect),
    offsetof(ngx_http_headers_in_t, upgrade),
    offsetof(ngx_http_headers_in_t, keep_alive),
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    offsetof(ngx_http_headers_in_t, accept_encoding),
#endif
};


/*
 * Core has a handler for variables that only regular expressions set, and no
 * name for it: one that is never executed shows which it is.
 */

static ngx_http_get_variable_pt  ngx_http_gateway_subrequest_capture;


ngx_int_t
ngx_http_gateway_subrequest_init(ngx_conf_t *cf)
{
#if (NGX_PCRE)

    u_char                errstr[NGX_MAX_CONF_ERRSTR];
    ngx_http_variable_t  *v;
    ngx_regex_compile_t   rc;

    static ngx_str_t  name = ngx_string("gateway_subrequest_capture");
    static ngx_str_t  pattern = ngx_string("(?<gateway_subrequest_capture>.)");

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = pattern;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_http_regex_compile(cf, &rc) == NULL) {
        return NGX_ERROR;
    }

    v = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_CHANGEABLE);
    if (v == NULL) {
        return NGX_ERROR;
    }

    ngx_http_gateway_subrequest_capture = v->get_handler;

#endif

    return NGX_OK;
}


ngx_array_t *
ngx_http_gateway_subrequest_variables(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i, *index;
    ngx_array_t                *indices;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    indices = ngx_array_create(cycle->pool, 4, sizeof(ngx_uint_t));
    if (indices == NULL) {
        return NULL;
    }

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        /* variables that only "set" defines are weak */

        if (!(v[i].flags & NGX_HTTP_VAR_WEAK)
            && (v[i].get_handler != ngx_http_gateway_subrequest_capture
                || v[i].get_handler == NULL)
            && !ngx_http_gateway_subrequest_is_prefixed(&v[i].name,
                                                        "gateway_jwt_")
            && (v[i].name.len != sizeof("request_id") - 1
                || ngx_strncmp(v[i].name.data, "request_id", v[i].name.len)
                   != 0))
        {
            continue;
        }

        index = ngx_array_push(indices);
        if (index == NULL) {
            return NULL;
        }

        *index = i;
    }

    return indices;
}


static ngx_uint_t
ngx_http_gateway_subrequest_is_prefixed(ngx_str_t *name, char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    return name->len > len
           && ngx_strncmp(name->data, (u_char *) prefix, len) == 0;
}


ngx_uint_t
ngx_http_gateway_subrequest_drops(ngx_str_t *lowcase)
{
    ngx_str_t  *name;

    for (name = ngx_http_gateway_subrequest_dropped; name->len; name++) {

        if (name->len == lowcase->len
            && ngx_memcmp(name->data, lowcase->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_gateway_subrequests(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_gateway_subrequests_t *s, ngx_array_t *variables)
{
    ngx_str_t         lowcase;
    ngx_uint_t        i, n, pass, options;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    s->variables = variables;

    s->empty = ngx_pcalloc(pool, sizeof(ngx_http_request_body_t));
    if (s->empty == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    options = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            options |= ngx_http_gateway_subrequest_is_connection(&h[i]);
        }

        n += part->nelts;
    }

    s->headers = ngx_palloc(pool, (n + 1) * sizeof(ngx_table_elt_t));
    if (s->headers == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (pass = 0; pass < 2; pass++) {

        for (part = &r->headers_in.headers.part; part; part = part->next) {

            h = part->elts;

            for (i = 0; i < part->nelts; i++) {

                if (ngx_http_gateway_subrequest_of_body(&h[i]) != pass) {
                    continue;
                }

                lowcase.len = h[i].key.len;
                lowcase.data = h[i].lowcase_key;

                if (ngx_http_gateway_subrequest_drops(&lowcase)
                    || (options
                        && ngx_http_gateway_subrequest_is_option(r, &h[i])))
                {
                    continue;
                }

                s->headers[n++] = h[i];
            }
        }

        if (pass == 0) {
            s->nplain = n;
        }
    }

    s->nheaders = n;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_subrequest_is_connection(ngx_table_elt_t *h)
{
    return h->key.len == sizeof("connection") - 1
           && ngx_strncmp(h->lowcase_key, "connection",
                          sizeof("connection") - 1)
              == 0;
}


/* does a field Connection name it, RFC 9110, section 7.6.1 */

static ngx_uint_t
ngx_http_gateway_subrequest_is_option(ngx_http_request_t *r,
    ngx_table_elt_t *h)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *c;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        c = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_gateway_subrequest_is_connection(&c[i])
                && ngx_http_gateway_subrequest_is_named(&c[i].value, h))
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_gateway_subrequest_is_named(ngx_str_t *value, ngx_table_elt_t *h)
{
    u_char  *p, *last, *start;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        if ((size_t) (p - start) == h->key.len
            && ngx_strncasecmp(start, h->lowcase_key, h->key.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_gateway_subrequest_of_body(ngx_table_elt_t *h)
{
    /* Content-Type, -Encoding, -Language, -Disposition, -MD5, ... */

    return h->key.len > sizeof("content-") - 1
           && ngx_strncmp(h->lowcase_key, "content-", sizeof("content-") - 1)
              == 0;
}


ngx_http_request_t *
ngx_http_gateway_subrequest(ngx_http_request_t *r,
    ngx_http_gateway_subrequests_t *s, ngx_http_gateway_subrequest_t *sub)
{
    ngx_http_request_t  *sr;

    if (ngx_http_subrequest(r, &sub->uri, &sub->args, &sr, sub->post,
                            NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NULL;
    }

    sr->method = sub->method;
    sr->method_name = sub->method_name;

    if (sub->unparsed.len) {
        sr->unparsed_uri = sub->unparsed;
        sr->valid_unparsed_uri = 1;
    }

    /*
     * An upstream does not use a stale answer while it updates the cache when
     * the request is in the background already.  Nothing else looks at it until
     * the request ends, when the post_subrequest handler says what it is.
     */

    sr->background = 0;

    /* what is taken in filters is looked at */

    sr->filter_need_in_memory = 1;

    sr->discard_body = 0;

    if (ngx_http_gateway_subrequest_set_headers(sr, s, sub) != NGX_OK
        || ngx_http_gateway_subrequest_set_body(sr, s, sub) != NGX_OK
        || ngx_http_gateway_subrequest_set_variables(sr, s) != NGX_OK)
    {
        return NULL;
    }

    return sr;
}


/*
 * The list gets memory of its own: the end of the one that was copied with the
 * request's headers lies in the request.
 */

static ngx_int_t
ngx_http_gateway_subrequest_set_headers(ngx_http_request_t *sr,
    ngx_http_gateway_subrequests_t *s, ngx_http_gateway_subrequest_t *sub)
{
    ngx_uint_t        i, n;
    ngx_list_t       *list;
    ngx_table_elt_t  *h;

    n = sub->request_body ? s->nheaders : s->nplain;
    i = n + (sub->fields ? sub->fields->nelts : 0) + 2;

    list = &sr->headers_in.headers;

    if (ngx_list_init(list, sr->pool, i, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    h = list->part.elts;

    if (sub->fields == NULL) {
        ngx_memcpy(h, s->headers, n * sizeof(ngx_table_elt_t));
        list->part.nelts = n;

    } else {
        for (i = 0; i < n; i++) {
            if (!ngx_http_gateway_subrequest_is_set(sub->fields,
                                                    &s->headers[i]))
            {
                h[list->part.nelts++] = s->headers[i];
            }
        }
    }

    n = sizeof(ngx_http_gateway_subrequest_cleared) / sizeof(ngx_uint_t);

    for (i = 0; i < n; i++) {
        ngx_http_gateway_clear_header_in(sr,
                                    ngx_http_gateway_subrequest_cleared[i]);
    }

    if (!sub->request_body) {
        sr->headers_in.content_type = NULL;
        sr->headers_in.content_length_n = -1;
        sr->headers_in.chunked = 0;
    }

    if (sub->fields) {
        return ngx_http_gateway_subrequest_set_fields(sr, sub->fields);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_subrequest_set_fields(ngx_http_request_t *sr,
    ngx_array_t *fields)
{
    ngx_uint_t                  i;
    ngx_table_elt_t            *h;
    ngx_http_header_t          *hh;
    ngx_http_gateway_field_t   *field;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        hh = ngx_hash_find(&cmcf->headers_in_hash, field[i].hash,
                           field[i].lowcase.data, field[i].lowcase.len);

        if (hh) {
            ngx_http_gateway_clear_header_in(sr, hh->offset);
        }

        if (field[i].value.len == 0) {
            continue;
        }

        h = ngx_http_gateway_push_header(&sr->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->hash = field[i].hash;
        h->key = field[i].name;
        h->value = field[i].value;
        h->lowcase_key = field[i].lowcase.data;

        if (hh == NULL) {
            continue;
        }

        /* core's handler of Host would look at the request line too */

        if (hh->offset == offsetof(ngx_http_headers_in_t, host)) {
            sr->headers_in.host = h;
            continue;
        }

        if (hh->handler(sr, h, hh->offset) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_subrequest_is_set(ngx_array_t *fields, ngx_table_elt_t *h)
{
    ngx_uint_t                 i;
    ngx_http_gateway_field_t  *field;

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (field[i].lowcase.len == h->key.len
            && ngx_memcmp(field[i].lowcase.data, h->lowcase_key, h->key.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_subrequest_set_body(ngx_http_request_t *sr,
    ngx_http_gateway_subrequests_t *s, ngx_http_gateway_subrequest_t *sub)
{
    ngx_buf_t                *b;
    ngx_table_elt_t          *h;
    ngx_http_request_body_t  *rb;

    if (sub->request_body) {
        /* the parent's body, which proxies copy the buffers of */
        return NGX_OK;
    }

    sr->request_body = s->empty;

    if (sub->body == NULL) {
        return NGX_OK;
    }

    sr->headers_in.content_length_n = sub->body->len;

    if (sr->headers_in.content_type == NULL) {
        h = ngx_http_gateway_push_header(&sr->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_str_set(&h->key, "Content-Type");
        ngx_str_set(&h->value, "application/json");
        h->lowcase_key = (u_char *) "content-type";
        h->hash = ngx_hash_key(h->lowcase_key, h->key.len);

        sr->headers_in.content_type = h;
    }

    if (sub->body->len == 0) {
        return NGX_OK;
    }

    rb = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(sr->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->memory = 1;
    b->start = sub->body->data;
    b->pos = b->start;
    b->last = b->start + sub->body->len;
    b->end = b->last;
    b->last_buf = 1;

    rb->bufs = ngx_alloc_chain_link(sr->pool);
    if (rb->bufs == NULL) {
        return NGX_ERROR;
    }

    rb->bufs->buf = b;
    rb->bufs->next = NULL;
    rb->buf = b;

    sr->request_body = rb;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_subrequest_set_variables(ngx_http_request_t *sr,
    ngx_http_gateway_subrequests_t *s)
{
    ngx_uint_t                  i, *index;
    ngx_http_variable_value_t  *vv, *variables;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

    variables = ngx_pcalloc(sr->pool, cmcf->variables.nelts
                                      * sizeof(ngx_http_variable_value_t));
    if (variables == NULL) {
        return NGX_ERROR;
    }

    index = s->variables->elts;

    for (i = 0; i < s->variables->nelts; i++) {

        vv = &sr->variables[index[i]];

        if (!vv->valid && !vv->not_found) {

            /* a variable of "set" that is not set has to stay so */

            if (((ngx_http_variable_t *) cmcf->variables.elts)[index[i]].flags
                & NGX_HTTP_VAR_WEAK)
            {
                continue;
            }

            vv = ngx_http_get_indexed_variable(sr->parent, index[i]);
            if (vv == NULL) {
                return NGX_ERROR;
            }
        }

        variables[index[i]] = *vv;
    }

    sr->variables = variables;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_subrequest_abort(ngx_http_request_t *sr)
{
    ngx_http_upstream_t        *u;
    ngx_http_cleanup_pt         handler;
    ngx_http_event_handler_pt   write_handler;

    u = sr->upstream;
    write_handler = sr->write_event_handler;

    if (u && u->cleanup) {

        /*
         * what core does when the client leaves, for this one upstream: it
         * ends with NGX_DONE, which gives the reference back and no more
         */

        handler = *u->cleanup;
        sr->write_event_handler = ngx_http_request_empty_handler;
        handler(sr);

        return NGX_OK;
    }

#if (NGX_HTTP_CACHE)

    if (sr->cache && sr->cache->waiting) {
        ngx_http_gateway_subrequest_leave_cache(sr);
        write_handler = ngx_http_handler;
    }

#endif

    if (write_handler != ngx_http_handler) {
        ngx_http_gateway_subrequest_hurry(sr);
        return NGX_DECLINED;
    }

    /* it has not begun, or waited for the cache only */

    sr->write_event_handler = ngx_http_request_empty_handler;
    ngx_http_finalize_request(sr, NGX_DONE);

    return NGX_OK;
}


/*
 * What waits before its content is made does not make it any more.  What waits
 * for the timer of the client's connection, as limit_req does, goes on now:
 * the timer does not outlive the request.
 */

static void
ngx_http_gateway_subrequest_hurry(ngx_http_request_t *sr)
{
    ngx_event_t  *wev;

    sr->content_handler = ngx_http_gateway_subrequest_no_content;

    wev = sr->connection->write;

    if (!wev->delayed || sr->upstream) {
        return;
    }

    wev->delayed = 0;

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    (void) ngx_http_post_request(sr, NULL);
}


static ngx_int_t
ngx_http_gateway_subrequest_no_content(ngx_http_request_t *sr)
{
    return NGX_OK;
}


static void
ngx_http_gateway_subrequest_leave_cache(ngx_http_request_t *sr)
{
#if (NGX_HTTP_CACHE)

    /* see ngx_http_file_cache_lock_wait_handler() */

    sr->cache->waiting = 0;
    sr->main->blocked--;

    if (sr->cache->wait_event.timer_set) {
        ngx_del_timer(&sr->cache->wait_event);
    }

#endif
}
