
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


/* RFC 9110, section 15, and RFC 6585 */

static ngx_http_gateway_problem_title_t  ngx_http_gateway_problem_titles[] = {
    { 300, ngx_string("Multiple Choices") },
    { 301, ngx_string("Moved Permanently") },
    { 302, ngx_string("Found") },
    { 303, ngx_string("See Other") },
    { 304, ngx_string("Not Modified") },
    { 305, ngx_string("Use Proxy") },
    { 307, ngx_string("Temporary Redirect") },
    { 308, ngx_string("Permanent Redirect") },
    { 400, ngx_string("Bad Request") },
    { 401, ngx_string("Unauthorized") },
    { 402, ngx_string("Payment Required") },
    { 403, ngx_string("Forbidden") },
    { 404, ngx_string("Not Found") },
    { 405, ngx_string("Method Not Allowed") },
    { 406, ngx_string("Not Acceptable") },
    { 407, ngx_string("Proxy Authentication Required") },
    { 408, ngx_string("Request Timeout") },
    { 409, ngx_string("Conflict") },
    { 410, ngx_string("Gone") },
    { 411, ngx_string("Length Required") },
    { 412, ngx_string("Precondition Failed") },
    { 413, ngx_string("Content Too Large") },
    { 414, ngx_string("URI Too Long") },
    { 415, ngx_string("Unsupported Media Type") },
    { 416, ngx_string("Range Not Satisfiable") },
    { 417, ngx_string("Expectation Failed") },
    { 421, ngx_string("Misdirected Request") },
    { 422, ngx_string("Unprocessable Content") },
    { 426, ngx_string("Upgrade Required") },
    { 429, ngx_string("Too Many Requests") },
    { 500, ngx_string("Internal Server Error") },
    { 501, ngx_string("Not Implemented") },
    { 502, ngx_string("Bad Gateway") },
    { 503, ngx_string("Service Unavailable") },
    { 504, ngx_string("Gateway Timeout") },
    { 505, ngx_string("HTTP Version Not Supported") },
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
