
/*
 * Copyright (C) ngx_gateway authors
 */


#include "naive.h"

#include <pcre2.h>


#define NAIVE_SEGMENTS  4096


static ngx_uint_t naive_split(ngx_str_t *path, ngx_str_t *segments);
static ngx_uint_t naive_segment(ngx_http_gateway_route_segment_t *s,
    ngx_str_t *segment);
static ngx_uint_t naive_regex(ngx_str_t *regex, ngx_str_t *text);
static ngx_uint_t naive_host(ngx_str_t *host, ngx_str_t *request);
static ngx_uint_t naive_method(naive_t *naive, ngx_uint_t n, ngx_str_t *method);
static ngx_uint_t naive_names(ngx_http_gateway_route_entry_t *e,
    const char *method, size_t len);
static ngx_uint_t naive_alike(naive_t *naive, ngx_uint_t one, ngx_uint_t two);
static ngx_int_t naive_template(naive_t *naive,
    ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two);
static ngx_uint_t naive_first(naive_t *naive,
    ngx_http_gateway_route_template_t *t, ngx_uint_t n);
static ngx_uint_t naive_begins(ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two, ngx_uint_t n);
static ngx_uint_t naive_better(naive_t *naive, ngx_uint_t one,
    ngx_uint_t two);
static void naive_allow(naive_t *naive, ngx_uint_t *missed, u_char *allowed);
static void naive_allow_one(naive_t *naive, ngx_uint_t *missed,
    ngx_str_t *method, u_char *allowed);
static ngx_uint_t naive_is_common(ngx_str_t *method);
static ngx_uint_t naive_same(ngx_str_t *one, ngx_str_t *two);


static ngx_str_t  naive_common[] = {
    ngx_string("GET"), ngx_string("HEAD"), ngx_string("POST"),
    ngx_string("PUT"), ngx_string("PATCH"), ngx_string("DELETE"),
    ngx_string("OPTIONS")
};


void
naive_lookup(naive_t *naive, ngx_http_gateway_route_lookup_t *lookup,
    naive_result_t *result)
{
    ngx_uint_t                       i, best, missed[NAIVE_LINES];
    ngx_http_gateway_route_entry_t  *e;

    best = naive->n;
    result->entry = NULL;
    result->allowed[0] = '\0';

    for (i = 0; i < naive->n; i++) {
        e = naive->lines[i];
        missed[i] = 0;

        if (!naive_host(&e->host, &lookup->host)
            || !naive_matches(&e->template, &lookup->path, NULL)
            || (e->nconditions && lookup->check(lookup->data, e) != NGX_OK))
        {
            continue;
        }

        if (!naive_method(naive, i, &lookup->method)) {
            missed[i] = 1;
            continue;
        }

        if (best == naive->n || naive_better(naive, i, best)) {
            best = i;
        }
    }

    if (best == naive->n) {
        naive_allow(naive, missed, result->allowed);
        return;
    }

    result->entry = naive->lines[best];

    naive_matches(&result->entry->template, &lookup->path, result->captures);
}


ngx_uint_t
naive_twice(naive_t *naive, ngx_uint_t one, ngx_uint_t two)
{
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *first, *second;

    first = naive->lines[one];
    second = naive->lines[two];

    if (!naive_alike(naive, one, two)) {
        return 0;
    }

    if (first->nmethods == 0 && second->nmethods == 0) {
        return 1;
    }

    for (i = 0; i < first->nmethods; i++) {
        if (naive_names(second, (char *) first->methods[i].data,
                        first->methods[i].len))
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
naive_matches(ngx_http_gateway_route_template_t *t, ngx_str_t *path,
    ngx_str_t *captures)
{
    ngx_str_t                         rest;
    ngx_uint_t                        i, n;
    ngx_http_gateway_route_segment_t  *s;

    static ngx_str_t  segments[NAIVE_SEGMENTS];

    n = naive_split(path, segments);

    for (i = 0; i < t->nsegments; i++) {
        s = &t->segments[i];

        if (i >= n) {
            return 0;
        }

        if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REST) {
            rest.data = segments[i].data;
            rest.len = path->data + path->len - rest.data;

            if (captures && s->name.len) {
                *captures = rest;
            }

            return 1;
        }

        if (!naive_segment(s, &segments[i])) {
            return 0;
        }

        if (captures && s->kind != NGX_HTTP_GATEWAY_ROUTE_LITERAL) {
            *captures++ = segments[i];
        }
    }

    return i == n;
}


/* what each "/" of a path has after it, up to the next one */

static ngx_uint_t
naive_split(ngx_str_t *path, ngx_str_t *segments)
{
    size_t      i;
    ngx_uint_t  n;

    if (path->len == 0 || path->data[0] != '/') {
        return 0;
    }

    for (i = 0, n = 0; i < path->len; i++) {

        if (path->data[i] != '/') {
            segments[n - 1].len++;
            continue;
        }

        if (n == NAIVE_SEGMENTS) {
            abort();
        }

        segments[n].data = path->data + i + 1;
        segments[n].len = 0;
        n++;
    }

    return n;
}


static ngx_uint_t
naive_segment(ngx_http_gateway_route_segment_t *s, ngx_str_t *segment)
{
    if (s->kind == NGX_HTTP_GATEWAY_ROUTE_LITERAL) {
        return naive_same(&s->text, segment);
    }

    if (segment->len == 0) {
        return 0;
    }

    return s->kind == NGX_HTTP_GATEWAY_ROUTE_PARAM
           || naive_regex(&s->text, segment);
}


static ngx_uint_t
naive_regex(ngx_str_t *regex, ngx_str_t *text)
{
    int                   error, rc;
    PCRE2_SIZE            offset;
    pcre2_code           *code;
    pcre2_match_data     *data;
    pcre2_match_context  *context;

    code = pcre2_compile(regex->data, regex->len,
                         PCRE2_ANCHORED|PCRE2_ENDANCHORED, &error, &offset,
                         NULL);
    if (code == NULL) {
        abort();
    }

    data = pcre2_match_data_create(1, NULL);
    context = pcre2_match_context_create(NULL);

    pcre2_set_match_limit(context, 10000);

    rc = pcre2_match(code, text->data, text->len, 0, 0, data, context);

    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);

    return rc >= 0;
}


static ngx_uint_t
naive_host(ngx_str_t *host, ngx_str_t *request)
{
    size_t  len;

    if (host->len == 0) {
        return 1;
    }

    if (host->data[0] != '*') {
        return host->len == request->len
               && ngx_strncasecmp(host->data, request->data, host->len) == 0;
    }

    len = host->len - 1;

    return request->len > len
           && ngx_strncasecmp(host->data + 1,
                              request->data + request->len - len, len) == 0;
}


/* Tells whether the line takes the method, of GET or its own. */

static ngx_uint_t
naive_method(naive_t *naive, ngx_uint_t n, ngx_str_t *method)
{
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *e;

    e = naive->lines[n];

    if (e->nmethods == 0
        || naive_names(e, (char *) method->data, method->len))
    {
        return 1;
    }

    if (!naive_same(method, &naive_common[1]) || !naive_names(e, "GET", 3)) {
        return 0;
    }

    for (i = 0; i < naive->n; i++) {
        if (naive_alike(naive, i, n)
            && naive_names(naive->lines[i], "HEAD", 4))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
naive_names(ngx_http_gateway_route_entry_t *e, const char *method, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; i < e->nmethods; i++) {
        if (e->methods[i].len == len
            && memcmp(e->methods[i].data, method, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* same template, host and conditions */

static ngx_uint_t
naive_alike(naive_t *naive, ngx_uint_t one, ngx_uint_t two)
{
    ngx_uint_t                       i;
    ngx_http_gateway_route_entry_t  *first, *second;

    first = naive->lines[one];
    second = naive->lines[two];

    if (first->template.nsegments != second->template.nsegments
        || naive_template(naive, &first->template, &second->template) != 0
        || !naive_same(&first->host, &second->host)
        || first->nconditions != second->nconditions)
    {
        return 0;
    }

    for (i = 0; i < first->nconditions; i++) {
        if (!naive_same(&first->conditions[i], &second->conditions[i])) {
            return 0;
        }
    }

    return 1;
}


/* Of two that match one path: below 0 when the first one has precedence. */

static ngx_int_t
naive_template(naive_t *naive, ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two)
{
    ngx_int_t                          a, b;
    ngx_uint_t                         i;
    ngx_http_gateway_route_segment_t  *s, *t;

    for (i = 0; i < one->nsegments && i < two->nsegments; i++) {
        s = &one->segments[i];
        t = &two->segments[i];

        a = s->kind;
        b = t->kind;

        if (a == b && a == NGX_HTTP_GATEWAY_ROUTE_REGEX) {
            a = naive_first(naive, one, i);
            b = naive_first(naive, two, i);
        }

        if (a == b && s->kind == NGX_HTTP_GATEWAY_ROUTE_LITERAL
            && !naive_same(&s->text, &t->text))
        {
            return 1;
        }

        if (a != b) {
            return a - b;
        }
    }

    return 0;
}


/* the first line that begins as the template does, up to its segment "n" */

static ngx_uint_t
naive_first(naive_t *naive, ngx_http_gateway_route_template_t *t, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < naive->n; i++) {
        if (naive_begins(&naive->lines[i]->template, t, n)) {
            return i;
        }
    }

    abort();
}


static ngx_uint_t
naive_begins(ngx_http_gateway_route_template_t *one,
    ngx_http_gateway_route_template_t *two, ngx_uint_t n)
{
    ngx_uint_t                         i;
    ngx_http_gateway_route_segment_t  *s, *t;

    for (i = 0; i <= n; i++) {
        s = &one->segments[i];
        t = &two->segments[i];

        if (i == one->nsegments || s->kind != t->kind
            || (s->kind != NGX_HTTP_GATEWAY_ROUTE_PARAM
                && !naive_same(&s->text, &t->text)))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
naive_better(naive_t *naive, ngx_uint_t one, ngx_uint_t two)
{
    ngx_int_t                        rc;
    ngx_uint_t                       a, b;
    ngx_http_gateway_route_entry_t  *first, *second;

    first = naive->lines[one];
    second = naive->lines[two];

    rc = naive_template(naive, &first->template, &second->template);

    if (rc != 0) {
        return rc < 0;
    }

    a = first->host.len || first->nconditions;
    b = second->host.len || second->nconditions;

    return a != b ? a : one < two;
}


/* in the order of Allow: common ones, then as they are written first */

static void
naive_allow(naive_t *naive, ngx_uint_t *missed, u_char *allowed)
{
    ngx_uint_t                       i, k;
    ngx_http_gateway_route_entry_t  *e;

    for (i = 0; i < 7; i++) {
        naive_allow_one(naive, missed, &naive_common[i], allowed);
    }

    for (i = 0; i < naive->n; i++) {
        e = naive->lines[i];

        for (k = 0; k < e->nmethods; k++) {
            if (!naive_is_common(&e->methods[k])) {
                naive_allow_one(naive, missed, &e->methods[k], allowed);
            }
        }
    }
}


static void
naive_allow_one(naive_t *naive, ngx_uint_t *missed, ngx_str_t *method,
    u_char *allowed)
{
    char        seen[8192], word[8192];
    ngx_uint_t  i;

    for (i = 0; i < naive->n; i++) {
        if (missed[i] && naive_method(naive, i, method)) {
            break;
        }
    }

    if (i == naive->n) {
        return;
    }

    /* a method stands there once */

    snprintf(seen, sizeof(seen), ", %s, ", (char *) allowed);
    snprintf(word, sizeof(word), ", %.*s, ", (int) method->len,
             (char *) method->data);

    if (strstr(seen, word)) {
        return;
    }

    if (strlen(seen) + method->len >= sizeof(((naive_result_t *) 0)->allowed)) {
        abort();
    }

    word[2 + method->len] = '\0';

    strcat((char *) allowed, allowed[0] ? word : word + 2);
}


static ngx_uint_t
naive_is_common(ngx_str_t *method)
{
    ngx_uint_t  i;

    for (i = 0; i < 7; i++) {
        if (naive_same(&naive_common[i], method)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
naive_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && (one->len == 0 || memcmp(one->data, two->data, one->len) == 0);
}
