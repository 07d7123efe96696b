
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what json.t asks for, a line of words each time, all but the first one
 * in hex, "-" being an empty one:
 *
 *     pointer POINTER
 *     find POINTER TEXT
 *     members TEXT
 *     elements TEXT
 *     decode STRING
 *     name STRING NAME
 *     pick TEXT ONLY EXCEPT RENAME
 *
 * The last three are lists, with a NUL after each name; a rename is three of
 * them: from, to, and "to" with its escapes.
 *
 * What comes of it is printed: "ok" and texts in hex, or "declined".  Then it
 * is done again with each of its allocations failing in turn, which has to be
 * said by the module.  Each text is in memory of just its size.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_json.h"
#include "core.h"


#define WORDS  5
#define ROOM   65536


typedef ngx_int_t (*range_pt)(ngx_pool_t *pool, ngx_str_t *words);


typedef struct {
    const char   *name;
    range_pt      call;
} range_call_t;


static void range_words(char *line, ngx_str_t *words);
static void range_line(char *name, ngx_str_t *words);
static ngx_int_t range_try(range_pt call, ngx_str_t *words);
static void range_start(void);
static void range_put(ngx_str_t *text);

static ngx_int_t range_pointer(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_find(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_members(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_elements(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_decode(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_name(ngx_pool_t *pool, ngx_str_t *words);
static ngx_int_t range_pick(ngx_pool_t *pool, ngx_str_t *words);
static ngx_array_t *range_list(ngx_pool_t *pool, ngx_str_t *text, size_t size);


static range_call_t  calls[] = {
    { "pointer", range_pointer },
    { "find", range_find },
    { "members", range_members },
    { "elements", range_elements },
    { "decode", range_decode },
    { "name", range_name },
    { "pick", range_pick },
};


/* the allocation that fails, and what is told */

static ngx_int_t  failing;
static char       out[4 * ROOM];
static char      *told;


int
main(int argc, char **argv)
{
    ngx_str_t  words[WORDS];

    static char  line[4 * ROOM];

    while (fgets(line, sizeof(line), stdin) != NULL) {

        range_words(line, words);
        range_line(line, words);

        printf("\n");
        fflush(stdout);
    }

    return 0;
}


/* leaves the first word in "line" */

static void
range_words(char *line, ngx_str_t *words)
{
    char        *hex;
    u_char      *p;
    unsigned     byte;
    ngx_uint_t   n;

    (void) strtok(line, " \n");

    for (n = 0; n < WORDS; n++) {

        hex = strtok(NULL, " \n");

        if (hex == NULL) {
            ngx_str_null(&words[n]);
            continue;
        }

        words[n].len = *hex == '-' ? 0 : strlen(hex) / 2;
        words[n].data = malloc(words[n].len);

        p = words[n].data;

        for ( /* void */ ; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
            *p++ = byte;
        }
    }
}


static void
range_line(char *name, ngx_str_t *words)
{
    ngx_int_t   rc;
    range_pt    call;
    ngx_uint_t  i;

    call = NULL;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (ngx_strcmp(calls[i].name, name) == 0) {
            call = calls[i].call;
        }
    }

    if (call == NULL) {
        printf("no call %s", name);
        return;
    }

    failing = -1;
    rc = range_try(call, words);

    printf("%s%s", rc == NGX_OK ? "ok" : rc == NGX_DECLINED ? "declined"
           : "failed", rc == NGX_OK ? out : "");

    do {
        failing++;
        rc = range_try(call, words);

        if (core_failed() && rc != NGX_ERROR) {
            printf(", and does not say that allocation %d failed",
                   (int) failing);
        }

    } while (core_failed());

    for (i = 0; i < WORDS; i++) {
        free(words[i].data);
    }
}


static ngx_int_t
range_try(range_pt call, ngx_str_t *words)
{
    ngx_int_t    rc;
    ngx_pool_t  *pool;

    told = out;
    *told = '\0';

    core_allocations(-1);
    pool = core_pool();

    rc = call(pool, words);

    core_free(pool);

    return rc;
}


/* from here on allocations are the module's */

static void
range_start(void)
{
    core_allocations(failing);
}


static void
range_put(ngx_str_t *text)
{
    size_t  i;

    told += sprintf(told, text->len ? " " : " -");

    for (i = 0; i < text->len; i++) {
        told += sprintf(told, "%02x", text->data[i]);
    }
}


static ngx_int_t
range_pointer(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t                             rc;
    ngx_str_t                            *token;
    ngx_uint_t                            i;
    ngx_http_gateway_json_pointer_t  pointer;

    range_start();

    rc = ngx_http_gateway_json_pointer(pool, &pointer, &words[0]);

    if (rc == NGX_OK) {
        token = pointer.tokens.elts;

        for (i = 0; i < pointer.tokens.nelts; i++) {
            range_put(&token[i]);
        }
    }

    return rc;
}


static ngx_int_t
range_find(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t                             rc;
    ngx_str_t                             value;
    ngx_http_gateway_json_pointer_t  pointer;

    rc = ngx_http_gateway_json_pointer(pool, &pointer, &words[0]);

    if (rc != NGX_OK) {
        return rc;
    }

    range_start();

    rc = ngx_http_gateway_json_find(pool, &words[1], &pointer, &value);

    if (rc == NGX_OK) {
        range_put(&value);
    }

    return rc;
}


static ngx_int_t
range_members(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t                            rc;
    ngx_http_gateway_json_cursor_t  cursor;
    ngx_http_gateway_json_member_t  member;

    range_start();

    rc = ngx_http_gateway_json_open(&cursor, &words[0]);

    if (rc != NGX_OK) {
        return rc;
    }

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        range_put(&member.all);
        range_put(&member.name);
        range_put(&member.value);
    }

    return NGX_OK;
}


static ngx_int_t
range_elements(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t                            rc;
    ngx_str_t                            value;
    ngx_http_gateway_json_cursor_t  cursor;

    range_start();

    rc = ngx_http_gateway_json_open(&cursor, &words[0]);

    if (rc != NGX_OK) {
        return rc;
    }

    while (ngx_http_gateway_json_next_element(&cursor, &value) == NGX_OK)
    {
        range_put(&value);
    }

    return NGX_OK;
}


static ngx_int_t
range_decode(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t  rc;
    ngx_str_t  text, value;

    text.data = words[0].data + 1;
    text.len = words[0].len - 2;

    range_start();

    rc = ngx_http_gateway_json_decode(pool, &text, &value);

    if (rc == NGX_OK) {
        range_put(&value);
    }

    return rc;
}


static ngx_int_t
range_name(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    text.data = words[0].data + 1;
    text.len = words[0].len - 2;

    range_start();

    rc = ngx_http_gateway_json_is_name(pool, &text, &words[1]);

    return rc == 1 ? NGX_OK : rc == 0 ? NGX_DECLINED : rc;
}


static ngx_int_t
range_pick(ngx_pool_t *pool, ngx_str_t *words)
{
    ngx_int_t                             rc;
    ngx_str_t                             picked;
    ngx_http_gateway_json_members_t  members;

    members.only = range_list(pool, &words[1], sizeof(ngx_str_t));
    members.except = range_list(pool, &words[2], sizeof(ngx_str_t));
    members.rename = range_list(pool, &words[3],
                                sizeof(ngx_http_gateway_json_rename_t));

    range_start();

    rc = ngx_http_gateway_json_pick(pool, &words[0], &members, &picked);

    if (rc == NGX_OK) {
        range_put(&picked);
    }

    return rc;
}


/* a list of strings, or of structures that are made of nothing else */

static ngx_array_t *
range_list(ngx_pool_t *pool, ngx_str_t *text, size_t size)
{
    u_char       *p, *end, *last;
    ngx_str_t    *name;
    ngx_uint_t    n;
    ngx_array_t  *list;

    if (text->len == 0) {
        return NULL;
    }

    list = ngx_palloc(pool, sizeof(ngx_array_t));

    (void) ngx_array_init(list, pool, 2, size);

    last = text->data + text->len;
    name = NULL;
    n = 0;

    for (p = text->data; p < last; p = end + 1) {

        for (end = p; *end; end++) { /* void */ }

        if (n++ % (size / sizeof(ngx_str_t)) == 0) {
            name = ngx_array_push(list);
        }

        name->len = end - p;
        name->data = ngx_palloc(pool, name->len);
        ngx_memcpy(name->data, p, name->len);
        name++;
    }

    return list;
}
