
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a handshake leaves behind for the requests that are made of its
 * client's messages: header fields, addresses, values of variables.  The
 * request of the handshake may be gone when they are made.
 */


#include "ngx_http_gateway_websocket_serve.h"


static ngx_int_t ngx_http_gateway_websocket_profile_names(ngx_cycle_t *cycle,
    ngx_array_t *indices, ngx_str_t *prefix, ngx_str_t *except);
static ngx_int_t ngx_http_gateway_websocket_profile_fields(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r,
    ngx_http_gateway_subrequests_t *all);
static ngx_uint_t ngx_http_gateway_websocket_profile_drops(
    ngx_http_gateway_websocket_session_t *s, ngx_table_elt_t *h);
static ngx_int_t ngx_http_gateway_websocket_profile_set(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_profile_headers_in(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_profile_values(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r);
static void ngx_http_gateway_websocket_profile_inherit(
    ngx_http_gateway_websocket_profile_t *pr,
    ngx_http_gateway_websocket_main_conf_t *wmcf);
static ngx_int_t ngx_http_gateway_websocket_profile_addresses(
    ngx_http_gateway_websocket_session_t *s, ngx_connection_t *c);


ngx_int_t
ngx_http_gateway_websocket_profile_variables(ngx_cycle_t *cycle,
    ngx_http_gateway_websocket_main_conf_t *wmcf)
{
    static ngx_str_t  scheme = ngx_string("scheme");
    static ngx_str_t  https = ngx_string("https");
    static ngx_str_t  tls = ngx_string("ssl_");
    static ngx_str_t  others = ngx_string("gateway_");
    static ngx_str_t  own = ngx_string("gateway_websocket_");

    wmcf->variables = ngx_http_gateway_subrequest_variables(cycle);

    /* the connection may be gone when its end is told */

    if (wmcf->variables == NULL
        || ngx_http_gateway_websocket_profile_names(cycle, wmcf->variables,
                                                    &scheme, NULL)
           != NGX_OK
        || ngx_http_gateway_websocket_profile_names(cycle, wmcf->variables,
                                                    &https, NULL)
           != NGX_OK
        || ngx_http_gateway_websocket_profile_names(cycle, wmcf->variables,
                                                    &tls, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* requests of messages find out the others by themselves */

    wmcf->ninherited = wmcf->variables->nelts;

    return ngx_http_gateway_websocket_profile_names(cycle, wmcf->variables,
                                                    &others, &own);
}


static ngx_int_t
ngx_http_gateway_websocket_profile_names(ngx_cycle_t *cycle,
    ngx_array_t *indices, ngx_str_t *prefix, ngx_str_t *except)
{
    ngx_uint_t                  i, j, *index;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len < prefix->len
            || ngx_strncmp(v[i].name.data, prefix->data, prefix->len) != 0
            || (except && v[i].name.len > except->len
                && ngx_strncmp(v[i].name.data, except->data, except->len)
                   == 0))
        {
            continue;
        }

        index = indices->elts;

        for (j = 0; j < indices->nelts; j++) {
            if (index[j] == i) {
                break;
            }
        }

        if (j < indices->nelts) {
            continue;
        }

        index = ngx_array_push(indices);
        if (index == NULL) {
            return NGX_ERROR;
        }

        *index = i;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_profile(ngx_http_gateway_websocket_session_t *s,
    ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_pool_t                            *temp;
    ngx_http_core_srv_conf_t              *cscf;
    ngx_http_gateway_subrequests_t         all;
    ngx_http_gateway_websocket_profile_t  *pr;

    pr = ngx_pcalloc(s->pool, sizeof(ngx_http_gateway_websocket_profile_t));
    if (pr == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->profile = pr;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    pr->hc.conf_ctx = cscf->ctx;
    pr->hc.addr_conf = r->http_connection->addr_conf;

    pr->conf.main_conf = r->main_conf;
    pr->conf.srv_conf = r->srv_conf;
    pr->conf.loc_conf = r->loc_conf;

    pr->start_sec = r->start_sec;
    pr->start_msec = r->start_msec;
    pr->request_length = r->request_length;
    pr->limit_conn_status = r->limit_conn_status;
    pr->limit_req_status = r->limit_req_status;

    pr->number = r->connection->number;
    pr->listening = r->connection->listening;
    pr->log_handler = r->connection->log->handler;

    temp = ngx_create_pool(2048, r->connection->log);
    if (temp == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_gateway_subrequests(r, temp, &all, NULL) != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_gateway_websocket_profile_fields(s, r, &all);
    }

    ngx_destroy_pool(temp);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_gateway_websocket_profile_values(s, r) != NGX_OK
        || ngx_http_gateway_websocket_profile_addresses(s, r->connection)
           != NGX_OK
        || ngx_http_gateway_websocket_dup(s->pool, &pr->request_line,
                                                  &r->request_line)
           != NGX_OK
        || ngx_http_gateway_websocket_dup(s->pool, &pr->unparsed_uri,
                                                  &r->unparsed_uri)
           != NGX_OK
        || ngx_http_gateway_websocket_dup(s->pool, &pr->uri, &r->uri)
           != NGX_OK
        || ngx_http_gateway_websocket_dup(s->pool, &pr->args, &r->args)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_profile_fields(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r,
    ngx_http_gateway_subrequests_t *all)
{
    ngx_int_t                        rc;
    ngx_str_t                        name;
    ngx_uint_t                       i, n;
    ngx_table_elt_t                 *h;
    ngx_http_gateway_subrequests_t  *sub;

    sub = &s->profile->subrequests;

    n = all->nplain + (s->conf->fields ? s->conf->fields->nelts : 0);

    sub->headers = ngx_palloc(s->pool, (n + 1) * sizeof(ngx_table_elt_t));
    sub->empty = ngx_pcalloc(s->pool, sizeof(ngx_http_request_body_t));

    if (sub->headers == NULL || sub->empty == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < all->nplain; i++) {

        if (ngx_http_gateway_websocket_profile_drops(s, &all->headers[i])) {
            continue;
        }

        h = &sub->headers[sub->nplain++];

        *h = all->headers[i];
        name = h->key;

        h->lowcase_key = ngx_pnalloc(s->pool, name.len);

        if (h->lowcase_key == NULL
            || ngx_http_gateway_websocket_dup(s->pool, &h->key, &name)
               != NGX_OK
            || ngx_http_gateway_websocket_dup(s->pool, &h->value,
                                                      &all->headers[i].value)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_strlow(h->lowcase_key, h->key.data, h->key.len);
    }

    rc = ngx_http_gateway_websocket_profile_set(s, r);

    if (rc != NGX_OK) {
        return rc;
    }

    sub->nheaders = sub->nplain;

    return (ngx_http_gateway_websocket_profile_headers_in(s, r) == NGX_OK)
           ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* those of the handshake itself, and what only the gateway may say */

static ngx_uint_t
ngx_http_gateway_websocket_profile_drops(
    ngx_http_gateway_websocket_session_t *s, ngx_table_elt_t *h)
{
    ngx_uint_t  i;

    static ngx_str_t  names[] = {
        ngx_string("sec-websocket-key"),
        ngx_string("sec-websocket-version"),
        ngx_string("sec-websocket-extensions"),
        ngx_string("sec-websocket-accept"),
        ngx_null_string
    };

    static ngx_str_t  events[] = {
        ngx_string("accept"),
        ngx_string("connection-id"),
        ngx_string("keep-alive-interval"),
        ngx_null_string
    };

    if (h->key.len > 8
        && ngx_strncmp(h->lowcase_key, "gateway-", 8) == 0)
    {
        return 1;
    }

    for (i = 0; names[i].len; i++) {
        if (names[i].len == h->key.len
            && ngx_strncmp(names[i].data, h->lowcase_key, h->key.len) == 0)
        {
            return 1;
        }
    }

    if (!s->events) {
        return 0;
    }

    if (h->key.len > 5
        && (ngx_strncmp(h->lowcase_key, "meta-", 5) == 0
            || ngx_strncmp(h->lowcase_key, "grip-", 5) == 0))
    {
        return 1;
    }

    for (i = 0; events[i].len; i++) {
        if (events[i].len == h->key.len
            && ngx_strncmp(events[i].data, h->lowcase_key, h->key.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* gateway_websocket_set_header */

static ngx_int_t
ngx_http_gateway_websocket_profile_set(ngx_http_gateway_websocket_session_t *s,
    ngx_http_request_t *r)
{
    ngx_int_t                            rc;
    ngx_str_t                            value;
    ngx_uint_t                           i, j, n;
    ngx_table_elt_t                     *h;
    ngx_http_gateway_subrequests_t      *sub;
    ngx_http_gateway_websocket_field_t  *field;

    if (s->conf->fields == NULL) {
        return NGX_OK;
    }

    sub = &s->profile->subrequests;
    field = s->conf->fields->elts;

    for (i = 0; i < s->conf->fields->nelts; i++) {

        for (j = 0, n = 0; j < sub->nplain; j++) {
            h = &sub->headers[j];

            if (h->key.len != field[i].name.len
                || ngx_strncasecmp(h->key.data, field[i].name.data, h->key.len)
                   != 0)
            {
                sub->headers[n++] = *h;
            }
        }

        sub->nplain = n;

        if (ngx_http_complex_value(r, &field[i].value, &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (value.len == 0) {
            continue;
        }

        rc = ngx_http_gateway_websocket_check_value(r, &value);

        if (rc != NGX_OK) {
            return rc;
        }

        h = &sub->headers[sub->nplain++];

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->key = field[i].name;
        h->lowcase_key = ngx_pnalloc(s->pool, h->key.len);

        if (h->lowcase_key == NULL
            || ngx_http_gateway_websocket_dup(s->pool, &h->value,
                                                      &value)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, h->key.len);
    }

    return NGX_OK;
}


/* what core knows of header fields, of these and in memory of the session */

static ngx_int_t
ngx_http_gateway_websocket_profile_headers_in(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    ngx_uint_t                             i;
    ngx_table_elt_t                       *h;
    ngx_http_header_t                     *hh;
    ngx_http_request_t                    *fake;
    ngx_http_core_main_conf_t             *cmcf;
    ngx_http_gateway_websocket_profile_t  *pr;

    pr = s->profile;

    fake = ngx_calloc(sizeof(ngx_http_request_t), s->log);
    if (fake == NULL) {
        return NGX_ERROR;
    }

    fake->pool = s->pool;
    fake->connection = r->connection;
    fake->main_conf = r->main_conf;
    fake->srv_conf = r->srv_conf;
    fake->loc_conf = r->loc_conf;
    fake->headers_in.content_length_n = -1;
    fake->headers_in.keep_alive_n = -1;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    h = pr->subrequests.headers;

    for (i = 0; i < pr->subrequests.nplain; i++) {

        hh = ngx_hash_find(&cmcf->headers_in_hash, h[i].hash,
                           h[i].lowcase_key, h[i].key.len);

        if (hh == NULL) {
            continue;
        }

        ngx_http_gateway_unlink_header(&h[i]);

        /* that of Host would look for the server once more */

        if (hh->offset == offsetof(ngx_http_headers_in_t, host)) {
            fake->headers_in.host = &h[i];
            continue;
        }

        if (hh->handler && hh->handler(fake, &h[i], hh->offset) != NGX_OK) {
            ngx_free(fake);
            return NGX_ERROR;
        }
    }

    pr->headers_in = fake->headers_in;

    ngx_free(fake);

    if (pr->headers_in.user_agent) {
        s->user_agent = pr->headers_in.user_agent->value;
    }

    return ngx_http_gateway_websocket_dup(s->pool,
                                                  &pr->headers_in.server,
                                                  &r->headers_in.server);
}


static ngx_int_t
ngx_http_gateway_websocket_profile_values(
    ngx_http_gateway_websocket_session_t *s, ngx_http_request_t *r)
{
    ngx_str_t                                src, dst;
    ngx_uint_t                               i, *index;
    ngx_array_t                             *indices;
    ngx_http_variable_t                     *var;
    ngx_http_variable_value_t               *vv, *values;
    ngx_http_core_main_conf_t               *cmcf;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    wmcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_websocket_module);
    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    indices = wmcf->variables;
    index = indices->elts;
    var = cmcf->variables.elts;

    values = ngx_pcalloc(s->pool, (indices->nelts + 1)
                                  * sizeof(ngx_http_variable_value_t));
    if (values == NULL) {
        return NGX_ERROR;
    }

    ngx_http_gateway_websocket_profile_inherit(s->profile, wmcf);

    s->profile->values = values;

    for (i = 0; i < indices->nelts; i++) {

        vv = &r->variables[index[i]];

        if (!vv->valid && !vv->not_found) {

            /* a variable of "set" that is not set has to stay so */

            if (var[index[i]].flags & NGX_HTTP_VAR_WEAK) {
                continue;
            }

            vv = ngx_http_get_indexed_variable(r, index[i]);
            if (vv == NULL) {
                return NGX_ERROR;
            }
        }

        src.len = vv->len;
        src.data = vv->data;

        if (ngx_http_gateway_websocket_dup(s->pool, &dst, &src)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        values[i] = *vv;
        values[i].data = dst.data;
        values[i].no_cacheable = 0;
    }

    return NGX_OK;
}


static void
ngx_http_gateway_websocket_profile_inherit(
    ngx_http_gateway_websocket_profile_t *pr,
    ngx_http_gateway_websocket_main_conf_t *wmcf)
{
    pr->inherited = *wmcf->variables;
    pr->inherited.nelts = wmcf->ninherited;

    pr->subrequests.variables = &pr->inherited;
}


static ngx_int_t
ngx_http_gateway_websocket_profile_addresses(
    ngx_http_gateway_websocket_session_t *s, ngx_connection_t *c)
{
    ngx_http_gateway_websocket_profile_t  *pr;

    pr = s->profile;

    pr->sockaddr = ngx_palloc(s->pool, c->socklen);
    if (pr->sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(pr->sockaddr, c->sockaddr, c->socklen);
    pr->socklen = c->socklen;

    /* for a listening socket of any address it is asked of the client's */

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    pr->local_sockaddr = ngx_palloc(s->pool, c->local_socklen);
    if (pr->local_sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(pr->local_sockaddr, c->local_sockaddr, c->local_socklen);
    pr->local_socklen = c->local_socklen;

    return ngx_http_gateway_websocket_dup(s->pool, &pr->addr_text,
                                                  &c->addr_text);
}


ngx_int_t
ngx_http_gateway_websocket_profile_orphan(
    ngx_http_gateway_websocket_session_t *s, ngx_http_core_srv_conf_t *cscf,
    ngx_str_t *addr, ngx_str_t *host)
{
    size_t                                   len;
    ngx_addr_t                               parsed;
    ngx_listening_t                         *ls;
    ngx_table_elt_t                         *h;
    ngx_http_gateway_websocket_profile_t    *pr;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    static struct sockaddr  unknown = { .sa_family = AF_UNIX };

    pr = ngx_pcalloc(s->pool, sizeof(ngx_http_gateway_websocket_profile_t));
    if (pr == NULL) {
        return NGX_ERROR;
    }

    s->profile = pr;

    wmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                           ngx_http_gateway_websocket_module);

    ngx_http_gateway_websocket_profile_inherit(pr, wmcf);

    h = ngx_pcalloc(s->pool, sizeof(ngx_table_elt_t));

    pr->subrequests.headers = h;
    pr->subrequests.empty = ngx_pcalloc(s->pool,
                                        sizeof(ngx_http_request_body_t));
    pr->values = ngx_pcalloc(s->pool, (wmcf->variables->nelts + 1)
                                      * sizeof(ngx_http_variable_value_t));

    if (h == NULL || pr->subrequests.empty == NULL
        || pr->values == NULL)
    {
        return NGX_ERROR;
    }

    pr->hc.conf_ctx = cscf->ctx;

    ls = ngx_cycle->listening.elts;

    pr->listening = ls;
    pr->local_sockaddr = ls[0].sockaddr;
    pr->local_socklen = ls[0].socklen;

    pr->headers_in.content_length_n = -1;
    pr->headers_in.keep_alive_n = -1;

    if (ngx_http_gateway_websocket_dup(s->pool, &pr->addr_text, addr)
        != NGX_OK
        || ngx_http_gateway_websocket_dup(s->pool, &h->value, host)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    pr->headers_in.server = h->value;

    if (host->len) {
        ngx_str_set(&h->key, "Host");
        h->lowcase_key = (u_char *) "host";
        h->hash = ngx_hash_key(h->lowcase_key, h->key.len);

        pr->headers_in.host = h;
        pr->subrequests.nplain = 1;
        pr->subrequests.nheaders = 1;
    }

    pr->sockaddr = &unknown;
    pr->socklen = sizeof(sa_family_t);

    ngx_str_set(&pr->request_line, "-");
    ngx_str_set(&pr->uri, "/");
    ngx_str_set(&pr->unparsed_uri, "/");

    len = addr->len;

    if (len && ngx_parse_addr(s->pool, &parsed, addr->data, len) == NGX_OK) {
        pr->sockaddr = parsed.sockaddr;
        pr->socklen = parsed.socklen;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_dup(ngx_pool_t *pool, ngx_str_t *dst,
    ngx_str_t *src)
{
    u_char  *p;

    p = ngx_pnalloc(pool, src->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (src->len) {
        ngx_memcpy(p, src->data, src->len);
    }

    p[src->len] = '\0';

    dst->len = src->len;
    dst->data = p;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_profile_release(
    ngx_http_gateway_websocket_session_t *s)
{
    ngx_buf_t              *b;
    ngx_chain_t            *cl, *next;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_connection_t  *hc;

    r = s->request;
    c = r->connection;

    /* others, as limit_conn, count on it to last as long as the client stays */

    if (r->count != 1 || r->blocked || r->buffered || r->posted_requests
        || r->cleanup
        || r->pool->cleanup != s->cleanup || s->cleanup->next)
    {
        return;
    }

    s->profile->header_size = r->header_size;

    s->cleanup->handler = NULL;
    s->cleanup = NULL;
    s->request = NULL;

    hc = r->http_connection;

    /* it is logged when the connection ends */

    r->logged = 1;

    ngx_http_free_request(r, 0);

    c->destroyed = 0;
    c->data = s;

    /* what it was read into, as core does for connections that are kept */

    b = c->buffer;

    if (ngx_pfree(c->pool, b->start) == NGX_OK) {
        b->start = NULL;
        b->end = NULL;
    }

    b->pos = b->start;
    b->last = b->start;

    for (cl = hc->free; cl; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
        ngx_free_chain(c->pool, cl);
    }

    hc->free = NULL;

    for (cl = hc->busy; cl; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
        ngx_free_chain(c->pool, cl);
    }

    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif
}


ngx_http_request_t *
ngx_http_gateway_websocket_profile_revive(
    ngx_http_gateway_websocket_session_t *s, ngx_connection_t *c)
{
    ngx_uint_t                              i, *index;
    ngx_http_request_t                     *r;
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_profile_t   *pr;
    ngx_http_gateway_websocket_main_conf_t *wmcf;

    pr = s->profile;

    c->data = &pr->hc;

    r = ngx_http_create_request(c);
    if (r == NULL) {
        return NULL;
    }

    c->data = r;
    c->requests--;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
#endif

    r->main_conf = pr->conf.main_conf;
    r->srv_conf = pr->conf.srv_conf;
    r->loc_conf = pr->conf.loc_conf;

    r->start_sec = pr->start_sec;
    r->start_msec = pr->start_msec;
    r->request_length = pr->request_length;
    r->header_size = pr->header_size;
    r->limit_conn_status = pr->limit_conn_status;
    r->limit_req_status = pr->limit_req_status;

    r->method = NGX_HTTP_GET;
    r->method_name = ngx_http_core_get_method;
    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->http_protocol, "HTTP/1.1");

    r->request_line = pr->request_line;
    r->unparsed_uri = pr->unparsed_uri;
    r->uri = pr->uri;
    r->args = pr->args;
    r->headers_in = pr->headers_in;

    r->headers_in.headers.part.elts = pr->subrequests.headers;
    r->headers_in.headers.part.nelts = pr->subrequests.nplain;
    r->headers_in.headers.part.next = NULL;

    r->valid_location = 1;
    r->header_sent = 1;
    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;

    wmcf = ngx_http_get_module_main_conf(r, ngx_http_gateway_websocket_module);

    index = wmcf->variables->elts;

    for (i = 0; i < wmcf->variables->nelts; i++) {
        r->variables[index[i]] = pr->values[i];
    }

    ctx = ngx_http_gateway_websocket_get_ctx(r);

    if (ctx) {
        ctx->served = 1;
    }

    return r;
}
