
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A table of routes by itself.  Reads lines, with words between spaces:
 *
 *     + METHODS TEMPLATE VALUE [host=NAME] [CONDITION ...]     a line
 *     !                                         the end of the lines
 *     ? METHOD HOST PATH [CONDITION ...]        a request, and what holds
 *
 * HOST "-" is none.  A CONDITION "error" that a line has ends its lookup.
 *
 * Prints for each request the line's value and captures, or "-", with the
 * methods that are allowed, after "-".  What is logged goes there as well.
 */


#include "core.h"

#include "ngx_http_gateway_route_table.h"


#define WORDS  256


typedef struct {
    ngx_http_gateway_route_entry_t   entry;
    ngx_str_t                        value;
} routes_line_t;


static void routes_add(ngx_str_t *words, ngx_uint_t n, ngx_uint_t line);
static void routes_methods(routes_line_t *line, ngx_str_t *text);
static int ngx_libc_cdecl routes_cmp(const void *one, const void *two);
static void routes_find(ngx_str_t *words, ngx_uint_t n);
static ngx_int_t routes_check(void *data, ngx_http_gateway_route_entry_t *e);
static ngx_uint_t routes_words(u_char *text, ngx_str_t *words);


typedef struct {
    ngx_str_t    *holds;
    ngx_uint_t    n;
} routes_request_t;


static ngx_pool_t                      *pool;
static ngx_http_gateway_route_table_t  *table;


int
main(int argc, char **argv)
{
    char        *text;
    ngx_str_t    words[WORDS];
    ngx_uint_t   n, line;
    ngx_pool_t  *temp;

    static char  buf[1024 * 1024];

    core_init();

    pool = ngx_create_pool(16384, &core_log);
    temp = ngx_create_pool(16384, &core_log);
    table = ngx_http_gateway_route_table_create(pool);

    for (line = 1; fgets(buf, sizeof(buf), stdin); line++) {

        buf[strcspn(buf, "\n")] = '\0';

        /* lines are kept */

        text = (char *) ngx_pnalloc(pool, strlen(buf) + 1);
        strcpy(text, buf);

        n = routes_words((u_char *) text, words);

        switch (n ? words[0].data[0] : '#') {

        case '+':
            routes_add(words, n, line);
            break;

        case '!':
            if (ngx_http_gateway_route_table_compile(table, temp, &core_log)
                != NGX_OK)
            {
                ngx_destroy_pool(temp);
                ngx_destroy_pool(pool);
                return 0;
            }

            printf("captures: %u\n", (unsigned)
                   ngx_http_gateway_route_table_captures(table));

            ngx_destroy_pool(temp);
            break;

        case '?':
            routes_find(words, n);
            break;

        default:
            break;
        }
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
routes_add(ngx_str_t *words, ngx_uint_t n, ngx_uint_t number)
{
    char           *why;
    ngx_int_t       rc;
    ngx_uint_t      i;
    routes_line_t  *line;

    line = ngx_pcalloc(pool, sizeof(routes_line_t));

    rc = ngx_http_gateway_route_template(pool, &words[2],
                                         &line->entry.template, &why);
    if (rc != NGX_OK) {
        printf("%.*s: %s\n", (int) words[2].len, words[2].data, why);
        return;
    }

    if (line->entry.template.escaped) {
        printf("%.*s: escaped\n", (int) words[2].len, words[2].data);
    }

    line->value = words[3];
    line->entry.methods_text = words[1];
    line->entry.line = number;
    ngx_str_set(&line->entry.file, "routes");

    routes_methods(line, &words[1]);

    line->entry.conditions = ngx_palloc(pool, n * sizeof(ngx_str_t));

    for (i = 4; i < n; i++) {

        if (ngx_strncmp(words[i].data, "host=", 5) == 0) {
            line->entry.host.data = words[i].data + 5;
            line->entry.host.len = words[i].len - 5;
            continue;
        }

        line->entry.conditions[line->entry.nconditions++] = words[i];
    }

    ngx_qsort(line->entry.conditions, line->entry.nconditions,
              sizeof(ngx_str_t), routes_cmp);

    ngx_http_gateway_route_table_add(table, &line->entry);
}


static void
routes_methods(routes_line_t *line, ngx_str_t *text)
{
    u_char      *p, *last, *end;
    ngx_str_t   *method;

    line->entry.methods = ngx_palloc(pool, text->len * sizeof(ngx_str_t));

    if (text->data[0] == '*') {
        return;
    }

    last = text->data + text->len;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        method = &line->entry.methods[line->entry.nmethods++];
        method->data = p;
        method->len = end - p;
    }
}


static int ngx_libc_cdecl
routes_cmp(const void *one, const void *two)
{
    const ngx_str_t  *a = one, *b = two;

    return (int) ngx_memn2cmp(a->data, b->data, a->len, b->len);
}


static void
routes_find(ngx_str_t *words, ngx_uint_t n)
{
    u_char                           *path;
    ngx_int_t                         rc;
    ngx_str_t                        *captures, allow;
    ngx_uint_t                        i;
    routes_line_t                    *line;
    routes_request_t                  request;
    ngx_http_gateway_route_lookup_t   lookup;
    ngx_http_gateway_route_result_t   result;

    request.holds = words + 4;
    request.n = n - 4;

    /* just its size, and just the room that is asked for */

    path = malloc(words[3].len);
    ngx_memcpy(path, words[3].data, words[3].len);

    captures = malloc(ngx_http_gateway_route_table_captures(table)
                      * sizeof(ngx_str_t));

    lookup.method = words[1];
    lookup.host = words[2];
    lookup.path.data = path;
    lookup.path.len = words[3].len;
    lookup.check = routes_check;
    lookup.data = &request;
    lookup.log = &core_log;

    if (lookup.host.data[0] == '-') {
        lookup.host.len = 0;
    }

    rc = ngx_http_gateway_route_lookup(table, &lookup, captures, &result);

    if (rc == NGX_ERROR) {
        printf("error\n");

    } else if (rc == NGX_DECLINED) {
        ngx_http_gateway_route_allow(table, result.allowed, pool, &allow);
        printf("-%s%.*s\n", allow.len ? " " : "", (int) allow.len, allow.data);

    } else {
        line = (routes_line_t *) result.entry;
        printf("%.*s", (int) line->value.len, line->value.data);

        for (i = 0; i < line->entry.template.ncaptures; i++) {
            printf(" [%.*s]", (int) captures[i].len, captures[i].data);
        }

        printf("\n");
    }

    fflush(stdout);

    free(captures);
    free(path);
}


/* All conditions have to be among those that hold. */

static ngx_int_t
routes_check(void *data, ngx_http_gateway_route_entry_t *e)
{
    ngx_uint_t         i, k;
    routes_request_t  *request = data;

    for (i = 0; i < e->nconditions; i++) {

        if (ngx_strcmp(e->conditions[i].data, "error") == 0) {
            return NGX_ERROR;
        }

        for (k = 0; k < request->n; k++) {
            if (ngx_strcmp(e->conditions[i].data, request->holds[k].data)
                == 0)
            {
                break;
            }
        }

        if (k == request->n) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
routes_words(u_char *text, ngx_str_t *words)
{
    char        *word;
    ngx_uint_t   n;

    n = 0;

    for (word = strtok((char *) text, " "); word && n < WORDS;
         word = strtok(NULL, " "))
    {
        words[n].data = (u_char *) word;
        words[n].len = strlen(word);
        n++;
    }

    return n;
}
