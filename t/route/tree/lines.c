
/*
 * Copyright (C) ngx_gateway authors
 */


#include "lines.h"


static void lines_methods(ngx_http_gateway_route_entry_t *e);
static int ngx_libc_cdecl lines_cmp(const void *one, const void *two);
static ngx_int_t lines_check(void *data, ngx_http_gateway_route_entry_t *e);
static ngx_uint_t lines_has(ngx_str_t *words, ngx_uint_t n, ngx_str_t *word);
static const char *lines_compare(lines_t *lines, lines_answer_t *answer,
    naive_result_t *expected);


ngx_uint_t
lines_words(ngx_str_t *text, ngx_str_t *words)
{
    u_char      *p, *end, *last;
    ngx_uint_t   n;

    last = text->data + text->len;

    for (p = text->data, n = 0; p < last && n < LINES_WORDS; p = end + 1) {

        for (end = p; end < last && *end != ' '; end++) { /* void */ }

        if (end > p) {
            words[n].data = p;
            words[n].len = end - p;
            n++;
        }
    }

    return n;
}


ngx_int_t
lines_line(ngx_pool_t *pool, ngx_str_t *words, ngx_uint_t n,
    lines_line_t *line, char **why)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *e;

    ngx_memzero(line, sizeof(lines_line_t));

    e = &line->entry;
    line->value = words[2];

    rc = ngx_http_gateway_route_template(pool, &words[1], &e->template, why);
    if (rc != NGX_OK) {
        return rc;
    }

    e->methods_text = words[0];
    ngx_str_set(&e->file, "routes");

    e->methods = ngx_palloc(pool, words[0].len * sizeof(ngx_str_t));
    e->conditions = ngx_palloc(pool, n * sizeof(ngx_str_t));

    if (e->methods == NULL || e->conditions == NULL) {
        return NGX_ERROR;
    }

    lines_methods(e);

    for (i = 3; i < n; i++) {

        if (words[i].len > 5 && ngx_strncmp(words[i].data, "host=", 5) == 0) {
            e->host.data = words[i].data + 5;
            e->host.len = words[i].len - 5;

            ngx_strlow(e->host.data, e->host.data, e->host.len);

            continue;
        }

        if (!lines_has(e->conditions, e->nconditions, &words[i])) {
            e->conditions[e->nconditions++] = words[i];
        }
    }

    ngx_qsort(e->conditions, e->nconditions, sizeof(ngx_str_t), lines_cmp);

    return NGX_OK;
}


static void
lines_methods(ngx_http_gateway_route_entry_t *e)
{
    u_char     *p, *last, *end;
    ngx_str_t  *method;

    p = e->methods_text.data;
    last = p + e->methods_text.len;

    if (e->methods_text.len == 1 && *p == '*') {
        return;
    }

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        method = &e->methods[e->nmethods++];
        method->data = p;
        method->len = end - p;
    }
}


static int ngx_libc_cdecl
lines_cmp(const void *one, const void *two)
{
    const ngx_str_t  *a = one, *b = two;

    return (int) ngx_memn2cmp(a->data, b->data, a->len, b->len);
}


ngx_int_t
lines_add(lines_t *lines, lines_line_t *line)
{
    if (lines->naive.n == NAIVE_LINES) {
        abort();
    }

    lines->naive.lines[lines->naive.n++] = &line->entry;

    line->entry.line = lines->naive.n;

    return ngx_http_gateway_route_table_add(lines->table, &line->entry);
}


ngx_int_t
lines_request(ngx_pool_t *pool, ngx_str_t *words, ngx_uint_t n,
    lines_request_t *request)
{
    ngx_http_gateway_route_lookup_t  *lookup;

    lookup = &request->lookup;

    request->n = n - 3;
    ngx_memcpy(request->words, words + 3, (n - 3) * sizeof(ngx_str_t));

    lookup->method = words[0];
    lookup->host = words[1];
    lookup->path = words[2];
    lookup->check = lines_check;
    lookup->data = request;
    lookup->log = pool->log;

    if (lookup->host.len == 1 && lookup->host.data[0] == '-') {
        lookup->host.len = 0;
    }

    lookup->path.data = ngx_pstrdup(pool, &words[2]);

    return lookup->path.data == NULL ? NGX_ERROR : NGX_OK;
}


/* All conditions have to be among those that hold; "error" is one. */

static ngx_int_t
lines_check(void *data, ngx_http_gateway_route_entry_t *e)
{
    lines_request_t *request = data;

    ngx_uint_t  i;

    static ngx_str_t  error = ngx_string("error");

    ((lines_line_t *) e)->checked++;

    if (lines_has(e->conditions, e->nconditions, &error)) {
        return NGX_ERROR;
    }

    for (i = 0; i < e->nconditions; i++) {
        if (!lines_has(request->words, request->n, &e->conditions[i])) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
lines_has(ngx_str_t *words, ngx_uint_t n, ngx_str_t *word)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (words[i].len == word->len
            && memcmp(words[i].data, word->data, word->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


const char *
lines_lookup(ngx_pool_t *pool, lines_t *lines, lines_request_t *request,
    lines_answer_t *answer)
{
    size_t           size;
    ngx_uint_t       i;
    naive_result_t   expected;
    lines_line_t    *line;

    for (i = 0; i < lines->naive.n; i++) {
        line = (lines_line_t *) lines->naive.lines[i];
        line->checked = 0;
    }

    /* no more room than is asked for */

    size = ngx_http_gateway_route_table_captures(lines->table)
           * sizeof(ngx_str_t);

    answer->captures = ngx_palloc(pool, size);
    if (answer->captures == NULL) {
        return "no memory";
    }

    answer->rc = ngx_http_gateway_route_lookup(lines->table, &request->lookup,
                                               answer->captures,
                                               &answer->result);

    for (i = 0; i < lines->naive.n; i++) {
        line = (lines_line_t *) lines->naive.lines[i];

        if (line->checked > 1) {
            return "conditions were checked twice";
        }

        if (line->checked && line->entry.nconditions == 0) {
            return "conditions were checked where there are none";
        }
    }

    if (answer->rc == NGX_ERROR) {
        return NULL;
    }

    if (ngx_http_gateway_route_allow(lines->table, answer->result.allowed,
                                     pool, &answer->allowed)
        != NGX_OK)
    {
        return "no memory";
    }

    naive_lookup(&lines->naive, &request->lookup, &expected);

    return lines_compare(lines, answer, &expected);
}


static const char *
lines_compare(lines_t *lines, lines_answer_t *answer, naive_result_t *expected)
{
    ngx_uint_t                        i;
    ngx_http_gateway_route_result_t  *result;

    result = &answer->result;

    if (result->entry != expected->entry) {
        return "another line was found";
    }

    if (answer->rc != (result->entry != NULL ? NGX_OK : NGX_DECLINED)) {
        return "the line is not what was returned";
    }

    if (answer->allowed.len != strlen((char *) expected->allowed)
        || memcmp(answer->allowed.data, expected->allowed, answer->allowed.len)
           != 0)
    {
        return "other methods are allowed";
    }

    if (result->entry == NULL) {
        return NULL;
    }

    for (i = 0; i < result->entry->template.ncaptures; i++) {
        if (answer->captures[i].data != expected->captures[i].data
            || answer->captures[i].len != expected->captures[i].len)
        {
            return "something else was captured";
        }
    }

    return NULL;
}
