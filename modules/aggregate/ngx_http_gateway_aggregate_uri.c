
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the URIs of parts: "/users/<session/id>?lang=<$arg_lang>".  What "<...>"
 * stands for is percent-encoded: a value never adds an argument, ends the path
 * or leads out of it.
 */


#include "ngx_http_gateway_aggregate.h"


static ngx_int_t ngx_http_gateway_aggregate_add_text(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, u_char *start, u_char *end);
static ngx_int_t ngx_http_gateway_aggregate_add_reference(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, u_char *start, u_char *end);

static ngx_int_t ngx_http_gateway_aggregate_piece_value(
    ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_json_value(
    ngx_http_gateway_aggregate_run_t *run, ngx_str_t *source,
    ngx_http_gateway_aggregate_piece_t *piece, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_encode(
    ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, ngx_str_t *value,
    ngx_uint_t path);
static ngx_uint_t ngx_http_gateway_aggregate_has_dots(ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_no_value(
    ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, char *what);


ngx_int_t
ngx_http_gateway_aggregate_compile_uri(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *text)
{
    u_char  *p, *last, *end;

    if (text->len == 0 || (text->data[0] != '/' && text->data[0] != '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URI \"%V\" of part \"%V\", it must be one "
                           "of a location and begin with \"/\"",
                           text, &part->name);
        return NGX_ERROR;
    }

    if (ngx_array_init(&part->uri, cf->pool, 4,
                       sizeof(ngx_http_gateway_aggregate_piece_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = text->data;
    last = p + text->len;

    while (p < last) {

        end = ngx_strlchr(p, last, '<');
        if (end == NULL) {
            end = last;
        }

        if (end > p
            && ngx_http_gateway_aggregate_add_text(cf, part, p, end) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (end == last) {
            break;
        }

        p = end + 1;
        end = ngx_strlchr(p, last, '>');

        if (end == NULL || end == p) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid URI \"%V\" of part \"%V\", \"<\" must "
                               "begin \"<part/pointer>\", \"<item/pointer>\" "
                               "or \"<$variable>\"", text, &part->name);
            return NGX_ERROR;
        }

        if (ngx_http_gateway_aggregate_add_reference(cf, part, p, end)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = end + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_add_text(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, u_char *start, u_char *end)
{
    ngx_http_gateway_aggregate_piece_t  *piece;

    piece = ngx_array_push(&part->uri);
    if (piece == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(piece, sizeof(ngx_http_gateway_aggregate_piece_t));

    piece->type = NGX_HTTP_GATEWAY_AGGREGATE_TEXT;
    piece->text.data = start;
    piece->text.len = end - start;

    return ngx_http_gateway_compile_value(cf, &piece->text, &piece->value);
}


static ngx_int_t
ngx_http_gateway_aggregate_add_reference(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, u_char *start, u_char *end)
{
    ngx_http_gateway_aggregate_piece_t  *piece;

    piece = ngx_array_push(&part->uri);
    if (piece == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(piece, sizeof(ngx_http_gateway_aggregate_piece_t));

    piece->text.data = start;
    piece->text.len = end - start;

    if (*start != '$') {
        piece->type = NGX_HTTP_GATEWAY_AGGREGATE_PART;
        return NGX_OK;
    }

    piece->type = NGX_HTTP_GATEWAY_AGGREGATE_VARIABLE;

    return ngx_http_gateway_compile_value(cf, &piece->text, &piece->value);
}


ngx_int_t
ngx_http_gateway_aggregate_resolve_piece(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part,
    ngx_http_gateway_aggregate_piece_t *piece)
{
    ngx_str_t  rest;

    if (part->each == NGX_HTTP_GATEWAY_AGGREGATE_NO_PART
        || piece->text.len < 4
        || ngx_strncmp(piece->text.data, "item", 4) != 0
        || (piece->text.len > 4 && piece->text.data[4] != '/'))
    {
        return ngx_http_gateway_aggregate_resolve(cf, a, part, &piece->text,
                                                  &piece->part,
                                                  &piece->pointer);
    }

    piece->type = NGX_HTTP_GATEWAY_AGGREGATE_ITEM;

    rest.data = piece->text.data + 4;
    rest.len = piece->text.len - 4;

    if (ngx_http_gateway_json_pointer(cf->pool, &piece->pointer, &rest)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" in part \"%V\", \"item\" must be "
                           "followed by a JSON pointer",
                           &piece->text, &part->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_aggregate_resolve(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_t *a, ngx_http_gateway_aggregate_part_t *part,
    ngx_str_t *text, ngx_uint_t *found,
    ngx_http_gateway_json_pointer_t *pointer)
{
    ngx_str_t                          *name, rest;
    ngx_uint_t                          i;
    ngx_http_gateway_aggregate_part_t  *parts;

    parts = a->parts.elts;

    /* no name is the beginning of another one: at most one fits */

    for (i = 0; i < a->parts.nelts; i++) {

        name = &parts[i].name;

        if (text->len < name->len
            || ngx_memcmp(text->data, name->data, name->len) != 0
            || (text->len > name->len && text->data[name->len] != '/'))
        {
            continue;
        }

        rest.data = text->data + name->len;
        rest.len = text->len - name->len;

        if (ngx_http_gateway_json_pointer(cf->pool, pointer, &rest)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" in part \"%V\", the name of a "
                               "part must be followed by a JSON pointer",
                               text, &part->name);
            return NGX_ERROR;
        }

        *found = i;

        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "part \"%V\" needs \"%V\", and no part has such a name",
                       &part->name, text);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_gateway_aggregate_make_uri(ngx_http_gateway_aggregate_run_t *run)
{
    size_t                               len;
    u_char                              *p;
    ngx_int_t                            rc;
    ngx_str_t                           *value;
    ngx_uint_t                           i, n, path;
    ngx_http_request_t                  *r;
    ngx_http_gateway_aggregate_part_t   *part;
    ngx_http_gateway_aggregate_piece_t  *piece;

    r = run->state->ctx->request;
    part = run->state->part;

    piece = part->uri.elts;
    n = part->uri.nelts;

    if (n == 1 && piece[0].type == NGX_HTTP_GATEWAY_AGGREGATE_TEXT) {
        return ngx_http_complex_value(r, &piece[0].value, &run->uri);
    }

    value = ngx_palloc(r->pool, n * sizeof(ngx_str_t));
    if (value == NULL) {
        return NGX_ERROR;
    }

    path = 1;
    len = 0;

    for (i = 0; i < n; i++) {

        rc = ngx_http_gateway_aggregate_piece_value(run, &piece[i], &value[i]);

        if (rc != NGX_OK) {
            return rc;
        }

        if (piece[i].type != NGX_HTTP_GATEWAY_AGGREGATE_TEXT) {
            rc = ngx_http_gateway_aggregate_encode(run, &piece[i], &value[i],
                                                   path);
            if (rc != NGX_OK) {
                return rc;
            }

        } else if (ngx_strlchr(value[i].data, value[i].data + value[i].len,
                               '?'))
        {
            path = 0;
        }

        len += value[i].len;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    run->uri.len = len;
    run->uri.data = p;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, value[i].data, value[i].len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_piece_value(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, ngx_str_t *value)
{
    ngx_http_gateway_aggregate_ctx_t    *ctx;
    ngx_http_gateway_aggregate_state_t  *source;

    ctx = run->state->ctx;

    switch (piece->type) {

    case NGX_HTTP_GATEWAY_AGGREGATE_ITEM:
        return ngx_http_gateway_aggregate_json_value(run, &run->item, piece,
                                                     value);

    case NGX_HTTP_GATEWAY_AGGREGATE_PART:
        source = &ctx->states[piece->part];

        return ngx_http_gateway_aggregate_json_value(run, &source->source,
                                                     piece, value);

    default:
        return ngx_http_complex_value(ctx->request, &piece->value, value);
    }
}


static ngx_int_t
ngx_http_gateway_aggregate_json_value(ngx_http_gateway_aggregate_run_t *run,
    ngx_str_t *source, ngx_http_gateway_aggregate_piece_t *piece,
    ngx_str_t *value)
{
    ngx_int_t    rc;
    ngx_pool_t  *pool;

    pool = run->state->ctx->request->pool;

    rc = ngx_http_gateway_json_find(pool, source, &piece->pointer, value);

    if (rc == NGX_OK && value->data[0] == '"') {
        value->data++;
        value->len -= 2;

        rc = ngx_http_gateway_json_decode(pool, value, value);

    } else if (rc == NGX_OK
               && (value->data[0] == '{'
                   || value->data[0] == '['
                   || value->data[0] == 'n'))
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_gateway_aggregate_no_value(run, piece, "no");
    }

    return rc;
}


static ngx_int_t
ngx_http_gateway_aggregate_encode(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, ngx_str_t *value,
    ngx_uint_t path)
{
    u_char     *p;
    uintptr_t   n;

    if (ngx_strlchr(value->data, value->data + value->len, '\0')
        || (path
            && (value->len == 0
                || ngx_http_gateway_aggregate_has_dots(value))))
    {
        return ngx_http_gateway_aggregate_no_value(run, piece, "an unusable");
    }

    n = ngx_escape_uri(NULL, value->data, value->len,
                       NGX_ESCAPE_URI_COMPONENT);
    if (n == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(run->state->ctx->request->pool, value->len + n * 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_uri(p, value->data, value->len,
                          NGX_ESCAPE_URI_COMPONENT);

    value->data = p;
    value->len += n * 2;

    return NGX_OK;
}


/*
 * "." and "..", which are followed even when they are encoded; backslashes,
 * since there are servers that take them for slashes
 */

static ngx_uint_t
ngx_http_gateway_aggregate_has_dots(ngx_str_t *value)
{
    u_char  *p, *last, *start;

    p = value->data;
    last = p + value->len;

    for ( ;; ) {

        for (start = p; p < last && *p != '/' && *p != '\\'; p++) {
            /* void */
        }

        if ((p - start == 1 && start[0] == '.')
            || (p - start == 2 && start[0] == '.' && start[1] == '.'))
        {
            return 1;
        }

        if (p == last) {
            return 0;
        }

        p++;
    }
}


static ngx_int_t
ngx_http_gateway_aggregate_no_value(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_aggregate_piece_t *piece, char *what)
{
    u_char     *p;
    ngx_str_t   reason;

    p = ngx_pnalloc(run->state->ctx->request->pool,
                    sizeof("there is an unusable value for <>")
                    + piece->text.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    reason.data = p;
    reason.len = ngx_sprintf(p, "there is %s value for <%V>", what,
                             &piece->text)
                 - p;

    run->reason = reason;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_gateway_aggregate_split_uri(ngx_http_gateway_aggregate_run_t *run,
    ngx_http_gateway_subrequest_t *sub)
{
    size_t               len;
    u_char              *p;
    ngx_str_t            path;
    ngx_uint_t           flags;
    ngx_http_request_t  *r;

    r = run->state->ctx->request;

    sub->uri = run->uri;
    ngx_str_null(&sub->args);
    ngx_str_null(&sub->unparsed);

    flags = 0;

    if (sub->uri.len == 0
        || sub->uri.data[0] != '/'
        || ngx_http_parse_unsafe_uri(r, &sub->uri, &sub->args, &flags)
           != NGX_OK)
    {
        ngx_str_set(&run->reason, "its URI is not a safe one");
        return NGX_DECLINED;
    }

    /* where decoding loses nothing, the location encodes it again */

    path.data = run->uri.data;
    path.len = run->uri.len;

    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p) {
        path.len = p - path.data;
    }

    if (ngx_strlchr(path.data, path.data + path.len, '%') == NULL) {
        return NGX_OK;
    }

    len = sub->uri.len + 2 * ngx_escape_uri(NULL, sub->uri.data, sub->uri.len,
                                            NGX_ESCAPE_URI);
    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_uri(p, sub->uri.data, sub->uri.len, NGX_ESCAPE_URI);

    if (len != path.len || ngx_memcmp(p, path.data, len) != 0) {
        sub->unparsed = run->uri;
    }

    return NGX_OK;
}
