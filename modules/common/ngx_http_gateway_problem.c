
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the text of error responses, RFC 9457.  Keeps no state: the problem
 * lives in the context of the module that uses these functions, and so do the
 * pointers to the next filters.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_gateway_problem.h"


static ngx_int_t ngx_http_gateway_problem_instance(ngx_http_request_t *r,
    ngx_str_t *instance);


typedef struct {
    ngx_uint_t     status;
    ngx_str_t      title;
} ngx_http_gateway_problem_title_t;


static ngx_http_gateway_problem_title_t  ngx_http_gateway_problem_titles[] = {
    { NGX_HTTP_BAD_REQUEST, ngx_string("Bad Request") },
    { NGX_HTTP_UNAUTHORIZED, ngx_string("Unauthorized") },
    { NGX_HTTP_FORBIDDEN, ngx_string("Forbidden") },
    { NGX_HTTP_NOT_FOUND, ngx_string("Not Found") },
    { NGX_HTTP_NOT_ALLOWED, ngx_string("Method Not Allowed") },
    { NGX_HTTP_CONFLICT, ngx_string("Conflict") },
    { 410, ngx_string("Gone") },
    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, ngx_string("Content Too Large") },
    { NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, ngx_string("Unsupported Media Type") },
    { 422, ngx_string("Unprocessable Content") },
    { 426, ngx_string("Upgrade Required") },
    { NGX_HTTP_TOO_MANY_REQUESTS, ngx_string("Too Many Requests") },
    { NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_string("Internal Server Error") },
    { NGX_HTTP_BAD_GATEWAY, ngx_string("Bad Gateway") },
    { NGX_HTTP_SERVICE_UNAVAILABLE, ngx_string("Service Unavailable") },
    { NGX_HTTP_GATEWAY_TIME_OUT, ngx_string("Gateway Timeout") },
    { 0, ngx_string("Error") }
};


ngx_int_t
ngx_http_gateway_problem_header(ngx_http_request_t *r,
    ngx_http_gateway_problem_t *p)
{
    u_char     *last;
    size_t      len;
    ngx_str_t   type, title, instance;

    /* "err_status" tells a page of core's from an answer of the backend's */

    if (p->status == 0 || p->replace
        || r->err_status != p->status
        || r->headers_out.status != p->status)
    {
        return NGX_OK;
    }

    type = p->type;

    if (type.len == 0) {
        ngx_str_set(&type, "about:blank");
    }

    title = p->title;

    if (title.len == 0) {
        title = *ngx_http_gateway_problem_title(p->status);
    }

    if (ngx_http_gateway_problem_instance(r, &instance) != NGX_OK) {
        return NGX_ERROR;
    }

    len = sizeof("{\"type\":\"\",\"title\":\"\",\"status\":,\"detail\":\"\","
                 "\"instance\":\"\",}\n") - 1
          + type.len + title.len + NGX_INT_T_LEN
          + p->detail.len
          + ngx_escape_json(NULL, p->detail.data, p->detail.len)
          + instance.len + p->members.len;

    p->body.data = ngx_pnalloc(r->pool, len);
    if (p->body.data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p->body.data,
                       "{\"type\":\"%V\",\"title\":\"%V\",\"status\":%ui",
                       &type, &title, p->status);

    if (p->detail.len) {
        last = ngx_cpymem(last, ",\"detail\":\"",
                          sizeof(",\"detail\":\"") - 1);
        last = (u_char *) ngx_escape_json(last, p->detail.data, p->detail.len);
        *last++ = '"';
    }

    if (instance.len) {
        last = ngx_sprintf(last, ",\"instance\":\"%V\"", &instance);
    }

    if (p->members.len) {
        last = ngx_sprintf(last, ",%V", &p->members);
    }

    *last++ = '}';
    *last++ = LF;

    p->body.len = last - p->body.data;
    p->replace = 1;

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    r->headers_out.content_length_n = p->body.len;

    if (r->headers_out.content_length) {
        r->headers_out.content_length->hash = 0;
        r->headers_out.content_length = NULL;
    }

    return NGX_OK;
}


ngx_chain_t *
ngx_http_gateway_problem_body(ngx_http_request_t *r,
    ngx_http_gateway_problem_t *p, ngx_chain_t *in)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (!p->replace || in == NULL || p->body.data == NULL) {
        return in;
    }

    /* the error pages of core are static memory: dropping them loses nothing */

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_CHAIN_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_CHAIN_ERROR;
    }

    b->memory = 1;
    b->pos = p->body.data;
    b->last = p->body.data + p->body.len;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    p->body.data = NULL;

    return cl;
}


ngx_str_t *
ngx_http_gateway_problem_title(ngx_uint_t status)
{
    ngx_http_gateway_problem_title_t  *t;

    for (t = ngx_http_gateway_problem_titles; t->status; t++) {
        if (t->status == status) {
            break;
        }
    }

    return &t->title;
}


/* the instance is $request_id, so that a report finds its line in the log */

static ngx_int_t
ngx_http_gateway_problem_instance(ngx_http_request_t *r, ngx_str_t *instance)
{
    ngx_uint_t                  key;
    ngx_http_variable_value_t  *vv;

    static ngx_str_t  name = ngx_string("request_id");

    key = ngx_hash_key(name.data, name.len);

    vv = ngx_http_get_variable(r, &name, key);
    if (vv == NULL) {
        return NGX_ERROR;
    }

    instance->len = vv->not_found ? 0 : vv->len;
    instance->data = vv->data;

    return NGX_OK;
}
