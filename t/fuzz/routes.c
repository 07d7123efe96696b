
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: lines of a table and requests, as t/route/tree/lines.h has them, each
 * after "+ " or "? ".
 *
 * Each request gets the line, the captures and the methods that the naive
 * matcher says, no line's conditions are asked for twice, and a line that is
 * said never to match does not.  The table is refused when lines are twice in
 * it, or when it has too many methods or no regex where there has to be one.
 *
 * Regexes are simple ones, so that no match takes as long as PCRE may.
 */


#include "fuzz.h"

#include <pcre2.h>

#include "lines.h"


#define FUZZ_REQUESTS  64


static ngx_uint_t fuzz_next(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *line);
static void fuzz_add(ngx_pool_t *pool, lines_t *lines, ngx_str_t *words,
    ngx_uint_t n);
static ngx_uint_t fuzz_tokens(ngx_str_t *methods);
static ngx_uint_t fuzz_host(ngx_str_t *host);
static ngx_uint_t fuzz_simple(ngx_str_t *regex);
static ngx_uint_t fuzz_wrong(naive_t *naive);
static ngx_uint_t fuzz_twice(naive_t *naive);
static ngx_uint_t fuzz_no_regex(ngx_http_gateway_route_template_t *t);
static ngx_uint_t fuzz_found(ngx_pool_t *pool, lines_t *lines,
    ngx_str_t *words, ngx_uint_t n);
static void fuzz_never(ngx_uint_t level, u_char *text);


/* lines that never match, by their numbers from 1 on */

static u_char  never[NAIVE_LINES + 1];


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    lines_t      lines;
    ngx_int_t    rc;
    ngx_str_t    rest, line, words[LINES_WORDS];
    ngx_uint_t   n, asked, found;
    ngx_pool_t  *temp_pool;

    ngx_memzero(&lines, sizeof(lines_t));
    ngx_memzero(never, sizeof(never));

    fuzz_logged = fuzz_never;

    if (input->len && memchr(input->data, '\0', input->len)) {
        return "skipped";
    }

    lines.table = ngx_http_gateway_route_table_create(pool);
    rest = *input;

    while (fuzz_next(pool, &rest, &line) && lines.naive.n < NAIVE_LINES) {
        n = lines_words(&line, words);

        if (n > 3 && words[0].len == 1 && words[0].data[0] == '+') {
            fuzz_add(pool, &lines, words + 1, n - 1);
        }
    }

    temp_pool = ngx_create_pool(1024, &fuzz_log);

    rc = ngx_http_gateway_route_table_compile(lines.table, temp_pool,
                                              &fuzz_log);

    ngx_destroy_pool(temp_pool);

    fuzz_check((rc == NGX_ERROR) == fuzz_wrong(&lines.naive));

    if (rc != NGX_OK) {
        return "refused";
    }

    rest = *input;
    asked = 0;
    found = 0;

    while (fuzz_next(pool, &rest, &line) && asked < FUZZ_REQUESTS) {
        n = lines_words(&line, words);

        if (n > 3 && words[0].len == 1 && words[0].data[0] == '?') {
            found += fuzz_found(pool, &lines, words + 1, n - 1);
            asked++;
        }
    }

    return found ? "found" : asked ? "nothing" : "unasked";
}


static ngx_uint_t
fuzz_next(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *line)
{
    if (text->len == 0) {
        return 0;
    }

    fuzz_split(pool, text, line, text);

    return 1;
}


static void
fuzz_add(ngx_pool_t *pool, lines_t *lines, ngx_str_t *words, ngx_uint_t n)
{
    char                              *why;
    ngx_uint_t                         i;
    lines_line_t                      *line;
    ngx_http_gateway_route_segment_t  *s;

    if (!fuzz_tokens(&words[0])) {
        return;
    }

    line = ngx_palloc(pool, sizeof(lines_line_t));

    if (lines_line(pool, words, n, line, &why) != NGX_OK) {
        return;
    }

    if (!fuzz_host(&line->entry.host)) {
        return;
    }

    for (i = 0; i < line->entry.template.nsegments; i++) {
        s = &line->entry.template.segments[i];

        if (s->kind == NGX_HTTP_GATEWAY_ROUTE_REGEX && !fuzz_simple(&s->text))
        {
            return;
        }
    }

    fuzz_check(lines_add(lines, line) == NGX_OK);
}


/* short names of methods, or "*" */

static ngx_uint_t
fuzz_tokens(ngx_str_t *methods)
{
    size_t  i, len;

    if (fuzz_equal(methods, "*", 1)) {
        return 1;
    }

    for (i = 0, len = 0; i < methods->len; i++) {

        if (methods->data[i] == ',' && len > 0) {
            len = 0;
            continue;
        }

        if (!isalpha(methods->data[i]) || ++len > 16) {
            return 0;
        }
    }

    return len > 0;
}


/* NAME, "*.NAME" or nothing */

static ngx_uint_t
fuzz_host(ngx_str_t *host)
{
    if (host->len == 0 || host->data[0] != '*') {
        return host->len == 0 || host->data[0] != '.';
    }

    return host->len > 2 && host->data[1] == '.' && host->data[2] != '.';
}


/* a few steps for each byte, and nothing that looks around */

static ngx_uint_t
fuzz_simple(ngx_str_t *regex)
{
    size_t      i;
    ngx_uint_t  repeats;

    for (i = 0, repeats = 0; i < regex->len; i++) {

        if (!isalnum(regex->data[i])
            && strchr("|.+*?()[]-_", regex->data[i]) == NULL)
        {
            return 0;
        }

        repeats += (strchr("+*?", regex->data[i]) != NULL);

        if (i && regex->data[i - 1] == '(' && strchr("?*", regex->data[i])) {
            return 0;
        }
    }

    return repeats < 3 && regex->len < 16;
}


static ngx_uint_t
fuzz_wrong(naive_t *naive)
{
    ngx_uint_t                       i, k, n;
    ngx_str_t                       *methods[65];
    ngx_uint_t                       m;
    ngx_http_gateway_route_entry_t  *e;

    static ngx_str_t  head = ngx_string("HEAD");

    n = 0;

    for (i = 0; i < naive->n; i++) {
        e = naive->lines[i];

        if (fuzz_no_regex(&e->template)) {
            return 1;
        }

        /* GET is counted with HEAD */

        for (k = 0; k < 2 * e->nmethods; k++) {
            methods[n] = &e->methods[k / 2];

            if (k % 2) {
                if (!fuzz_equal(methods[n], "GET", 3)) {
                    continue;
                }

                methods[n] = &head;
            }

            for (m = 0; m < n; m++) {
                if (fuzz_equal(methods[m], methods[n]->data, methods[n]->len))
                {
                    break;
                }
            }

            if (m == n && ++n == 65) {
                return 1;
            }
        }
    }

    return fuzz_twice(naive);
}


static ngx_uint_t
fuzz_twice(naive_t *naive)
{
    ngx_uint_t  i, k;

    for (i = 0; i < naive->n; i++) {
        for (k = 0; k < i; k++) {
            if (naive_twice(naive, i, k)) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
fuzz_no_regex(ngx_http_gateway_route_template_t *t)
{
    int          error;
    ngx_uint_t   i;
    PCRE2_SIZE   offset;
    pcre2_code  *code;

    for (i = 0; i < t->nsegments; i++) {

        if (t->segments[i].kind != NGX_HTTP_GATEWAY_ROUTE_REGEX) {
            continue;
        }

        code = pcre2_compile(t->segments[i].text.data,
                             t->segments[i].text.len, 0, &error, &offset,
                             NULL);
        if (code == NULL) {
            return 1;
        }

        pcre2_code_free(code);
    }

    return 0;
}


static ngx_uint_t
fuzz_found(ngx_pool_t *pool, lines_t *lines, ngx_str_t *words, ngx_uint_t n)
{
    const char       *wrong;
    lines_answer_t    answer;
    lines_request_t   request;

    /* what a regex may look at */

    if (words[2].len > 256) {
        return 0;
    }

    fuzz_check(lines_request(pool, words, n, &request) == NGX_OK);

    wrong = lines_lookup(pool, lines, &request, &answer);

    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
    }

    fuzz_check(wrong == NULL);

    if (answer.rc != NGX_OK) {
        return 0;
    }

    fuzz_check(!never[answer.result.entry->line]);

    return 1;
}


/* route "..." in routes:LINE never matches, ... */

static void
fuzz_never(ngx_uint_t level, u_char *text)
{
    char  *p;

    /* a match that takes too long */

    fuzz_check(level != NGX_LOG_ERR);

    p = strstr((char *) text, " never matches, ");

    if (level != NGX_LOG_WARN || p == NULL) {
        return;
    }

    while (isdigit((u_char) p[-1])) {
        p--;
    }

    fuzz_check(atoi(p) > 0 && atoi(p) <= NAIVE_LINES);

    never[atoi(p)] = 1;
}
