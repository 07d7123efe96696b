
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what grip.t asks for, a line of words each time.  Words but OPCODE are
 * in hex, "-" being an empty one.
 *
 *     extension FIELD
 *     message OPCODE PREFIX DATA
 *     items BODY
 *
 * What came of it is printed, strings in hex; and once more with each
 * allocation failing.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_grip.h"
#include "core.h"
#include "words.h"


typedef ngx_int_t (*grip_pt)(ngx_pool_t *pool, ngx_str_t *words, FILE *out);

typedef ngx_http_gateway_websocket_grip_t   message_t;
typedef ngx_http_gateway_websocket_item_t   item_t;
typedef ngx_http_gateway_websocket_items_t  items_t;


static void do_extension(void);
static void do_message(void);
static void do_items(void);

static ngx_int_t extension(ngx_pool_t *pool, ngx_str_t *words, FILE *out);
static ngx_int_t message(ngx_pool_t *pool, ngx_str_t *words, FILE *out);
static ngx_int_t items(ngx_pool_t *pool, ngx_str_t *words, FILE *out);

static void all(grip_pt call, ngx_uint_t n);
static ngx_int_t once(grip_pt call, ngx_str_t *words, ngx_int_t failing,
    FILE *out);
static void put(FILE *out, const char *before, ngx_str_t *text);


static ngx_uint_t  opcode;

static words_call_t  calls[] = {
    { "extension", do_extension },
    { "message", do_message },
    { "items", do_items },
    { NULL, NULL }
};


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
do_extension(void)
{
    all(extension, 1);
}


static void
do_message(void)
{
    opcode = atoi(words_next());

    all(message, 2);
}


static void
do_items(void)
{
    all(items, 1);
}


static void
all(grip_pt call, ngx_uint_t n)
{
    char        *text, *again;
    FILE        *out;
    size_t       size, i;
    ngx_int_t    rc, failing;
    ngx_str_t    words[2], part[2];
    ngx_uint_t   w, failed;

    for (w = 0; w < n; w++) {
        words[w] = words_unhex();
    }

    out = open_memstream(&text, &size);
    rc = once(call, words, -1, out);
    fclose(out);

    printf("%s%s", rc == NGX_OK ? "ok" : rc == NGX_DECLINED ? "declined"
                   : rc == NGX_DONE ? "done" : "error", text);

    failing = 0;

    do {
        out = open_memstream(&again, &size);
        rc = once(call, words, failing++, out);
        fclose(out);

        failed = core_failed();

        if (failed && rc != NGX_ERROR) {
            printf(" differs: without memory");
        }

        free(again);

    } while (failed);

    /* nothing is read beyond the end of anything */

    w = n - 1;
    part[0] = words[0];

    for (i = 0; i < words[w].len; i++) {
        part[w].data = words_copy(words[w].data, i);
        part[w].len = i;

        out = open_memstream(&again, &size);
        (void) once(call, part, -1, out);
        fclose(out);

        free(again);
        free(part[w].data);
    }

    free(text);

    for (w = 0; w < n; w++) {
        free(words[w].data);
    }
}


static ngx_int_t
once(grip_pt call, ngx_str_t *words, ngx_int_t failing, FILE *out)
{
    ngx_int_t    rc;
    ngx_pool_t  *pool;

    pool = core_pool();
    core_allocations(failing);

    rc = call(pool, words, out);

    core_free(pool);

    return rc;
}


static void
put(FILE *out, const char *before, ngx_str_t *text)
{
    size_t  i;

    fprintf(out, "%s", before);

    if (text->len == 0) {
        fprintf(out, "%s", text->data == NULL ? "none" : "-");
    }

    for (i = 0; i < text->len; i++) {
        fprintf(out, "%02x", text->data[i]);
    }
}


static ngx_int_t
extension(ngx_pool_t *pool, ngx_str_t *words, FILE *out)
{
    ngx_int_t  rc;
    ngx_str_t  prefix;

    rc = ngx_http_gateway_websocket_grip_extension(pool, &words[0], &prefix);

    if (rc == NGX_OK) {
        prefix.data = prefix.len ? prefix.data : (u_char *) "";
        put(out, " ", &prefix);
    }

    return rc;
}


static ngx_int_t
message(ngx_pool_t *pool, ngx_str_t *words, FILE *out)
{
    ngx_int_t   rc;
    message_t   m;

    static const char  *names[] = {
        "message", "subscribe", "unsubscribe", "detach", "keep-alive", "other",
        "ignored"
    };

    rc = ngx_http_gateway_websocket_grip_message(pool, opcode, &words[1],
                                                 &words[0], &m);

    if (rc != NGX_OK) {
        return rc;
    }

    fprintf(out, " %s", names[m.type]);

    switch (m.type) {

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_KEEP_ALIVE:
        fprintf(out, " %d %d%s", (int) m.opcode, (int) m.timeout,
                m.interval ? " interval" : "");

        put(out, " ", &m.data);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_MESSAGE:
        fprintf(out, " %d", (int) m.opcode);

        /* fall through */

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_SUBSCRIBE:
    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_UNSUBSCRIBE:
        put(out, " ", &m.data);
        break;

    case NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DETACH:
        break;

    default:
        fprintf(out, "%s", m.reason ? "" : " differs: without a reason");
    }

    return rc;
}


static ngx_int_t
items(ngx_pool_t *pool, ngx_str_t *words, FILE *out)
{
    item_t     item;
    items_t    list;
    ngx_int_t  rc;

    rc = ngx_http_gateway_websocket_items_init(&list, pool, &words[0]);

    if (rc == NGX_DECLINED) {
        fprintf(out, " %s", list.error);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    while ((rc = ngx_http_gateway_websocket_items_next(&list, &item))
           == NGX_OK)
    {
        fprintf(out, " (%d", (int) list.n);
        put(out, " ", &item.channel);
        put(out, " ", &item.id);

        if (item.opcode == 8) {
            fprintf(out, " close %d", (int) item.code);
            put(out, " ", &item.reason);

        } else {
            fprintf(out, " %d", (int) item.opcode);
            put(out, " ", &item.data);
        }

        fprintf(out, ")");
    }

    if (rc == NGX_DECLINED) {
        fprintf(out, " %d %s", (int) list.n, list.error);
    }

    return rc;
}
