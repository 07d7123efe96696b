
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Lines of a table and requests as texts, with words between spaces:
 *
 *     METHODS TEMPLATE VALUE [host=NAME] [CONDITION ...]
 *     METHOD HOST PATH [CONDITION ...]
 *
 * A CONDITION of a line is a word, which holds when the request has it.  HOST
 * "-" is none.
 */


#ifndef _LINES_H_INCLUDED_
#define _LINES_H_INCLUDED_


#include "naive.h"


#define LINES_WORDS  64


typedef struct {
    ngx_http_gateway_route_entry_t    entry;
    ngx_str_t                         value;
    ngx_uint_t                        checked;
} lines_line_t;


typedef struct {
    ngx_http_gateway_route_table_t   *table;
    naive_t                           naive;
} lines_t;


typedef struct {
    ngx_str_t                         words[LINES_WORDS];
    ngx_uint_t                        n;

    ngx_http_gateway_route_lookup_t   lookup;
} lines_request_t;


/* what a lookup gave */

typedef struct {
    ngx_int_t                         rc;
    ngx_http_gateway_route_result_t   result;
    ngx_str_t                        *captures;
    ngx_str_t                         allowed;
} lines_answer_t;


/* Returns the number of words, of which no more than LINES_WORDS count. */

ngx_uint_t lines_words(ngx_str_t *text, ngx_str_t *words);

/*
 * Makes a line of words.  Returns NGX_OK, or what the template's function
 * returned, with its "why".
 */

ngx_int_t lines_line(ngx_pool_t *pool, ngx_str_t *words, ngx_uint_t n,
    lines_line_t *line, char **why);

ngx_int_t lines_add(lines_t *lines, lines_line_t *line);

/* Makes a request of words, whose path is copied to memory of its size. */

ngx_int_t lines_request(ngx_pool_t *pool, ngx_str_t *words, ngx_uint_t n,
    lines_request_t *request);

/*
 * Looks a request up.  Returns NULL, or what is wrong with the answer, which
 * naive_lookup() knows.
 */

const char *lines_lookup(ngx_pool_t *pool, lines_t *lines,
    lines_request_t *request, lines_answer_t *answer);


#endif /* _LINES_H_INCLUDED_ */
