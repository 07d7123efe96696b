
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what the client gets when a part has failed that is required: the error
 * of the part itself, or a problem that tells which parts have failed.
 */


#include "ngx_http_gateway_aggregate.h"


static ngx_int_t ngx_http_gateway_aggregate_pass_headers(
    ngx_http_request_t *r, ngx_http_request_t *sr);
static ngx_int_t ngx_http_gateway_aggregate_list_failed(
    ngx_http_gateway_aggregate_ctx_t *ctx, ngx_str_t *members);


/* errors=pass: the part's answer, as it came */

ngx_int_t
ngx_http_gateway_aggregate_send_passed(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_run_t *run)
{
    off_t                length;
    ngx_int_t            rc;
    ngx_array_t          texts;
    ngx_chain_t         *out;
    ngx_http_request_t  *r, *sr;

    r = ctx->request;
    sr = run->sr;

    if (ngx_array_init(&texts, r->pool, 4, sizeof(ngx_str_t)) != NGX_OK
        || ngx_http_gateway_aggregate_add_run(run, &texts) != NGX_OK
        || ngx_http_gateway_aggregate_pass_headers(r, sr) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out = NULL;
    length = 0;

    if (texts.nelts) {
        out = ngx_http_gateway_aggregate_make_chain(r, &texts, &length);
        if (out == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    r->disable_not_modified = 1;

    r->headers_out.status = run->status;
    r->headers_out.content_length_n = length;
    r->headers_out.content_type = sr->headers_out.content_type;
    r->headers_out.content_type_len = sr->headers_out.content_type_len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (out == NULL) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    return ngx_http_output_filter(r, out);
}


static ngx_int_t
ngx_http_gateway_aggregate_pass_headers(ngx_http_request_t *r,
    ngx_http_request_t *sr)
{
    ngx_str_t        *name;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *ph;

    static ngx_str_t  passed[] = {
        ngx_string("WWW-Authenticate"),
        ngx_string("Retry-After"),
        ngx_string("Allow"),
        ngx_string("Content-Language"),
        ngx_string("Content-Encoding"),
        ngx_null_string
    };

    for (part = &sr->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0) {
                continue;
            }

            for (name = passed; name->len; name++) {
                if (name->len == h[i].key.len
                    && ngx_strncasecmp(name->data, h[i].key.data, name->len)
                       == 0)
                {
                    break;
                }
            }

            if (name->len == 0) {
                continue;
            }

            ph = ngx_http_gateway_aggregate_push_header(r, (char *) name->data,
                                                       &h[i].value);
            if (ph == NULL) {
                return NGX_ERROR;
            }

            if (&h[i] == sr->headers_out.content_encoding) {
                r->headers_out.content_encoding = ph;
            }
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_aggregate_refuse_answer(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_http_gateway_aggregate_state_t *failed)
{
    ngx_http_request_t          *r;
    ngx_http_gateway_problem_t  *p;

    r = ctx->request;

    p = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_problem_t));
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->status = failed->failure == NGX_HTTP_GATEWAY_AGGREGATE_TIMEOUT
                ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY;

    ngx_str_set(&p->detail, "a required part of the answer is missing");

    if (ngx_http_gateway_aggregate_list_failed(ctx, &p->members) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->problem = p;

    return p->status;
}


/* "parts":[{"name":"user","status":500,"reason":"..."}] */

static ngx_int_t
ngx_http_gateway_aggregate_list_failed(ngx_http_gateway_aggregate_ctx_t *ctx,
    ngx_str_t *members)
{
    size_t                               len;
    u_char                              *p;
    ngx_uint_t                           i, n;
    ngx_str_t                            name, reason;
    ngx_http_gateway_aggregate_state_t  *state;

    n = ctx->aggregate->parts.nelts;
    len = sizeof("\"parts\":[]") - 1;

    /* an escaped byte takes six at most */

    for (i = 0; i < n; i++) {
        len += sizeof("{\"name\":\"\",\"status\":,\"reason\":\"\"},") - 1
               + NGX_INT_T_LEN
               + 6 * (ctx->states[i].part->name.len
                      + ctx->states[i].reason.len);
    }

    p = ngx_pnalloc(ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    members->data = p;
    p = ngx_sprintf(p, "\"parts\":[");

    for (i = 0; i < n; i++) {

        state = &ctx->states[i];

        if (state->state != NGX_HTTP_GATEWAY_AGGREGATE_FAILED) {
            continue;
        }

        if (ngx_http_gateway_aggregate_escape(ctx->request->pool,
                                              &state->part->name, &name)
            != NGX_OK
            || ngx_http_gateway_aggregate_escape(ctx->request->pool,
                                                 &state->reason, &reason)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = ngx_sprintf(p, "{\"name\":\"%V\",", &name);

        if (state->status) {
            p = ngx_sprintf(p, "\"status\":%ui,", state->status);
        }

        p = ngx_sprintf(p, "\"reason\":\"%V\"},", &reason);
    }

    /* there is one at least, and its comma */

    p[-1] = ']';

    members->len = p - members->data;

    return NGX_OK;
}
