
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Does what negotiate.t asks for, a line of words each time.  FIELD and OFFERS
 * are in hex, "-" being an empty one; BITS are "SERVER CLIENT FLAGS", the flags
 * 0 or 1 each: server_no_takeover, client_no_takeover, server_bits_named,
 * client_bits_named.
 *
 *     choose FIELD
 *     filter FIELD
 *     agreed OFFERS FIELD
 *     accept BITS FIELD
 *     offer BITS
 *     response BITS
 *
 * What came of it is printed: parameters as BITS, or text in hex.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_deflate.h"
#include "core.h"
#include "words.h"


typedef ngx_http_gateway_websocket_deflate_t  params_t;


static void bits(params_t *d);
static void put_params(ngx_int_t rc, params_t *d);

static void do_choose(void);
static void do_filter(void);
static void do_agreed(void);
static void do_accept(void);
static void do_offer(void);
static void do_response(void);


static words_call_t  calls[] = {
    { "choose", do_choose },
    { "filter", do_filter },
    { "agreed", do_agreed },
    { "accept", do_accept },
    { "offer", do_offer },
    { "response", do_response },
    { NULL, NULL }
};


int
main(int argc, char **argv)
{
    words_main(calls);

    return 0;
}


static void
bits(params_t *d)
{
    char  *flags;

    ngx_memzero(d, sizeof(params_t));

    d->server_bits = atoi(words_next());
    d->client_bits = atoi(words_next());

    flags = words_next();

    d->server_no_takeover = flags[0] == '1';
    d->client_no_takeover = flags[1] == '1';
    d->server_bits_named = flags[2] == '1';
    d->client_bits_named = flags[3] == '1';
}


static void
put_params(ngx_int_t rc, params_t *d)
{
    if (rc != NGX_OK) {
        printf("%s", rc == NGX_DECLINED ? "declined" : "error");
        return;
    }

    printf("ok %d %d %d%d%d%d", d->server_bits, d->client_bits,
           d->server_no_takeover, d->client_no_takeover, d->server_bits_named,
           d->client_bits_named);
}


static void
do_choose(void)
{
    size_t      i;
    params_t    d;
    ngx_str_t   field, part;

    field = words_unhex();

    put_params(ngx_http_gateway_websocket_deflate_choose(&field, &d), &d);

    /* nothing is read beyond the end of anything */

    for (i = 0; i < field.len; i++) {
        part.data = words_copy(field.data, i);
        part.len = i;

        (void) ngx_http_gateway_websocket_deflate_choose(&part, &d);

        free(part.data);
    }

    free(field.data);
}


static void
do_filter(void)
{
    ngx_int_t    rc;
    ngx_str_t    field, out;
    ngx_pool_t  *pool;

    field = words_unhex();
    pool = core_pool();

    rc = ngx_http_gateway_websocket_deflate_filter(pool, &field, &out);

    if (rc == NGX_OK) {
        printf("ok ");
        words_put(out.data, out.len);

    } else {
        printf("%s", rc == NGX_DECLINED ? "declined" : "error");
    }

    core_free(pool);

    if (out.len) {
        pool = core_pool();
        core_allocations(0);

        if (ngx_http_gateway_websocket_deflate_filter(pool, &field, &out)
            != NGX_ERROR)
        {
            printf(" differs: without memory");
        }

        core_allocations(-1);
        core_free(pool);
    }

    free(field.data);
}


static void
do_agreed(void)
{
    params_t   d;
    ngx_str_t  offers, field;

    offers = words_unhex();
    field = words_unhex();

    put_params(ngx_http_gateway_websocket_deflate_agreed(&offers, &field, &d),
               &d);

    free(offers.data);
    free(field.data);
}


static void
do_accept(void)
{
    params_t   offered, d;
    ngx_str_t  field;

    bits(&offered);
    field = words_unhex();

    put_params(ngx_http_gateway_websocket_deflate_accept(&field, &offered, &d),
               &d);

    free(field.data);
}


static void
do_offer(void)
{
    u_char    *p;
    params_t   d;

    bits(&d);

    p = malloc(NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN);

    words_put(p, ngx_http_gateway_websocket_deflate_offer(p, &d) - p);

    free(p);
}


static void
do_response(void)
{
    u_char    *p;
    params_t   d;

    bits(&d);

    p = malloc(NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN);

    words_put(p, ngx_http_gateway_websocket_deflate_response(p, &d) - p);

    free(p);
}
