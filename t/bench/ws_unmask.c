
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The WebSocket module's frames without nginx.
 *
 *     ws_unmask mask|utf8|pass SIZE SECONDS
 *
 *         Bytes of payload in a second of this process's CPU time, for frames
 *         of SIZE bytes of ASCII: unmasked in place; checked to be UTF-8; or,
 *         as a guarded socket's are, with their headers read and the text
 *         checked, but left masked.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_frame.h"


#define LARGEST  65536
#define TURNS    64             /* between two looks at the clock, even */


typedef void (*bench_run_pt)(u_char *payload, size_t size);


static void bench_mask(u_char *payload, size_t size);
static void bench_utf8(u_char *payload, size_t size);
static void bench_pass(u_char *payload, size_t size);
static uint64_t bench_time(void);
static void bench_fail(const char *what);


static u_char   bench_key[4] = { 0x37, 0xfa, 0x21, 0x3d };
static u_char   bench_head[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER];
static u_char  *bench_head_end;
static u_char   bench_plain[LARGEST];
static u_char   bench_buffer[LARGEST + 64];


int
main(int argc, char **argv)
{
    size_t         i, size;
    u_char        *payload;
    double         seconds;
    uint64_t       begun, time, bytes;
    ngx_uint_t     turn;
    bench_run_pt   run;

    if (argc != 4) {
        fprintf(stderr, "usage: ws_unmask mask|utf8|pass SIZE SECONDS\n");
        return 2;
    }

    run = ngx_strcmp(argv[1], "mask") == 0 ? bench_mask
          : ngx_strcmp(argv[1], "utf8") == 0 ? bench_utf8 : bench_pass;
    size = strtoul(argv[2], NULL, 10);
    seconds = strtod(argv[3], NULL);

    if (size < 1 || size > LARGEST) {
        bench_fail("size");
    }

    for (i = 0; i < size; i++) {
        bench_plain[i] = (u_char) ('a' + i % 26);
    }

    bench_head_end = ngx_http_gateway_websocket_header(bench_head,
                                         NGX_HTTP_GATEWAY_WEBSOCKET_FIN
                                         |NGX_HTTP_GATEWAY_WEBSOCKET_TEXT,
                                         size, bench_key);

    /* where it lies behind a header: rarely at a word's boundary */

    payload = bench_buffer + (bench_head_end - bench_head);
    ngx_memcpy(payload, bench_plain, size);

    if (run == bench_pass) {
        bench_mask(payload, size);
    }

    bytes = 0;
    begun = bench_time();

    do {
        for (turn = 0; turn < TURNS; turn++) {
            run(payload, size);
        }

        bytes += TURNS * size;
        time = bench_time() - begun;

    } while ((double) time < seconds * 1e9);

    if (run == bench_pass) {
        bench_mask(payload, size);
    }

    if (ngx_memcmp(payload, bench_plain, size) != 0) {
        bench_fail("payload");
    }

    printf("%.0f\n", (double) bytes / ((double) time / 1e9));

    return 0;
}


static void
bench_mask(u_char *payload, size_t size)
{
    ngx_http_gateway_websocket_mask(payload, payload, size, bench_key, 0);
}


static void
bench_utf8(u_char *payload, size_t size)
{
    ngx_http_gateway_websocket_utf8_t  utf8;

    ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

    if (ngx_http_gateway_websocket_utf8(&utf8, payload, size) != NGX_OK) {
        bench_fail("utf8");
    }
}


static void
bench_pass(u_char *payload, size_t size)
{
    u_char                               *p;
    ngx_http_gateway_websocket_parser_t   ps;

    ngx_http_gateway_websocket_parser_init(&ps, 1);

    p = bench_head;

    if (ngx_http_gateway_websocket_parse(&ps, &p, bench_head_end) != NGX_OK
        || p != bench_head_end
        || ngx_http_gateway_websocket_pass(&ps, payload, size) != NGX_OK
        || !ngx_http_gateway_websocket_is_whole(&ps))
    {
        bench_fail("frame");
    }
}


static uint64_t
bench_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


static void
bench_fail(const char *what)
{
    fprintf(stderr, "ws_unmask: wrong %s\n", what);
    exit(1);
}
