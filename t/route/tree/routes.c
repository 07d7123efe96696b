
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Tables of routes by themselves.  Reads lines:
 *
 *     + LINE       a line of a table, as lines.h has it
 *     ? REQUEST    a request
 *     & NAME VALUE QUERY       an argument, and a query; "-" is empty
 *     =            the end of the table
 *
 * Prints what is logged when the table is compiled, for each request the
 * line's value and captures, or "-" with the methods that are allowed, and
 * what is wrong with that; for an argument 1 or 0; after a table a line "=".
 *
 * With the argument "memory" each table of few lines is compiled once more
 * with each allocation failing.
 */


#include "core.h"
#include "lines.h"

#include "ngx_http_gateway_route_query.h"


#define LINES  1024
#define FEW    40


static void routes_table(ngx_str_t *texts, ngx_uint_t n);
static ngx_int_t routes_compile(ngx_pool_t *pool, ngx_pool_t *temp,
    lines_t *lines, ngx_str_t *texts, ngx_uint_t n);
static ngx_uint_t routes_line(ngx_pool_t *pool, lines_t *lines,
    ngx_str_t *text);
static void routes_without_memory(ngx_str_t *texts, ngx_uint_t n);
static void routes_ask(ngx_pool_t *pool, lines_t *lines, ngx_str_t *text);
static void routes_query(ngx_str_t *text);
static void routes_print(ngx_str_t *text);


static ngx_uint_t  memory;


int
main(int argc, char **argv)
{
    ngx_uint_t  n;
    ngx_str_t   texts[LINES];

    static char  buf[65536];

    core_init();

    memory = (argc == 2 && strcmp(argv[1], "memory") == 0);

    for (n = 0; fgets(buf, sizeof(buf), stdin); /* void */ ) {

        buf[strcspn(buf, "\n")] = '\0';

        if (buf[0] == '=') {
            routes_table(texts, n);

            while (n) {
                free(texts[--n].data);
            }

            continue;
        }

        if (n == LINES) {
            abort();
        }

        texts[n].data = (u_char *) strdup(buf);
        texts[n].len = strlen(buf);
        n++;
    }

    return 0;
}


static void
routes_table(ngx_str_t *texts, ngx_uint_t n)
{
    lines_t      lines;
    ngx_uint_t   i;
    ngx_pool_t  *pool, *temp;

    if (memory && n < FEW) {
        routes_without_memory(texts, n);
    }

    pool = ngx_create_pool(1024, &core_log);
    temp = ngx_create_pool(1024, &core_log);

    core_quiet = 0;

    if (routes_compile(pool, temp, &lines, texts, n) == NGX_OK) {

        ngx_destroy_pool(temp);

        for (i = 0; i < n; i++) {
            switch (texts[i].data[0]) {

            case '?':
                routes_ask(pool, &lines, &texts[i]);
                break;

            case '&':
                routes_query(&texts[i]);
                break;

            default:
                break;
            }
        }

    } else {
        ngx_destroy_pool(temp);
    }

    printf("=\n");

    ngx_destroy_pool(pool);
}


static ngx_int_t
routes_compile(ngx_pool_t *pool, ngx_pool_t *temp, lines_t *lines,
    ngx_str_t *texts, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_memzero(lines, sizeof(lines_t));

    lines->table = ngx_http_gateway_route_table_create(pool);
    if (lines->table == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (texts[i].data[0] == '+'
            && routes_line(pool, lines, &texts[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_route_table_compile(lines->table, temp,
                                                &core_log);
}


static ngx_uint_t
routes_line(ngx_pool_t *pool, lines_t *lines, ngx_str_t *text)
{
    char          *why;
    ngx_int_t      rc;
    ngx_str_t      words[LINES_WORDS];
    ngx_uint_t     n;
    lines_line_t  *line;

    n = lines_words(text, words);

    if (n < 4) {
        abort();
    }

    line = ngx_palloc(pool, sizeof(lines_line_t));
    if (line == NULL) {
        return NGX_ERROR;
    }

    rc = lines_line(pool, words + 1, n - 1, line, &why);

    if (rc == NGX_DECLINED) {
        if (!core_quiet) {
            printf("refused: %s\n", why);
        }

        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (line->entry.template.escaped && !core_quiet) {
        printf("escaped: ");
        routes_print(&line->entry.template.text);
        printf("\n");
    }

    return lines_add(lines, line);
}


static void
routes_without_memory(ngx_str_t *texts, ngx_uint_t n)
{
    lines_t      lines;
    ngx_int_t    rc;
    ngx_uint_t   i;
    ngx_pool_t  *pool, *temp;

    core_quiet = 1;

    for (i = 0; /* void */ ; i++) {
        pool = ngx_create_pool(1024, &core_log);
        temp = ngx_create_pool(1024, &core_log);

        core_allocations = i;

        rc = routes_compile(pool, temp, &lines, texts, n);

        ngx_destroy_pool(temp);
        ngx_destroy_pool(pool);

        if (core_allocations >= 0) {
            core_allocations = -1;
            return;
        }

        if (rc == NGX_OK) {
            printf("compiled without the allocation %d\n", (int) i);
        }
    }
}


static void
routes_ask(ngx_pool_t *pool, lines_t *lines, ngx_str_t *text)
{
    const char       *wrong;
    ngx_str_t         words[LINES_WORDS];
    ngx_uint_t        i, n;
    lines_line_t     *line;
    lines_answer_t    answer;
    lines_request_t   request;

    n = lines_words(text, words);

    if (n < 4
        || lines_request(pool, words + 1, n - 1, &request) != NGX_OK)
    {
        abort();
    }

    wrong = lines_lookup(pool, lines, &request, &answer);

    line = (lines_line_t *) answer.result.entry;

    if (answer.rc == NGX_ERROR) {
        printf("error");

    } else if (line == NULL) {
        printf("-%s", answer.allowed.len ? " " : "");
        routes_print(&answer.allowed);

    } else {
        routes_print(&line->value);

        for (i = 0; i < line->entry.template.ncaptures; i++) {
            printf(" [");
            routes_print(&answer.captures[i]);
            printf("]");
        }
    }

    printf("%s%s\n", wrong ? " WRONG: " : "", wrong ? wrong : "");
}


static void
routes_query(ngx_str_t *text)
{
    ngx_str_t   words[LINES_WORDS];
    ngx_uint_t  i;

    if (lines_words(text, words) != 4) {
        abort();
    }

    for (i = 1; i < 4; i++) {
        if (words[i].len == 1 && words[i].data[0] == '-') {
            words[i].len = 0;
        }
    }

    printf("%d\n", (int) ngx_http_gateway_route_query(&words[3], &words[1],
                                                      &words[2]));
}


static void
routes_print(ngx_str_t *text)
{
    printf("%.*s", (int) text->len, (char *) text->data);
}
