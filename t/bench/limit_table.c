
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The limit module's table of buckets by itself.
 *
 *     limit_table speed PROCESSES SECONDS
 *
 *         A line for each process, which is alone on one core, with the
 *         number of checks that it makes in a second of its CPU time: hash of
 *         a key's bytes, and the charge.  All share one table of 4 MiB and
 *         100,000 keys of 4 bytes, each in an order of its own.
 *
 *     limit_table keys
 *
 *         Of a zone of 1 MiB: the keys there is room for; and, with half as
 *         many, three quarters and all of these alive at once, the share of
 *         them that are still there after all have come.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ngx_http_gateway_limit_table.h"


#define KEYS       100000
#define PROCESSES  16
#define PAGE       4096


typedef struct {
    volatile ngx_uint_t              ready;
    volatile ngx_uint_t              stop;
    double                           rates[PROCESSES];
    ngx_http_gateway_limit_table_t  *table;
    u_char                           memory[4 * 1024 * 1024]
                                         __attribute__((aligned(128)));
} bench_t;


static void bench_speed(ngx_uint_t processes, double seconds);
static void bench_process(ngx_uint_t n, ngx_uint_t processes);
static void bench_shuffle(uint32_t *keys, uint64_t seed);
static void bench_keys(void);
static double bench_kept(size_t size, uint32_t n, size_t *room);
static uint64_t bench_time(clockid_t clock);


static bench_t   *bench;
static uint64_t   seed[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };


int
main(int argc, char **argv)
{
    if (argc == 4 && ngx_strcmp(argv[1], "speed") == 0) {
        bench_speed(ngx_min(atoi(argv[2]), PROCESSES), atof(argv[3]));
        return 0;
    }

    if (argc == 2 && ngx_strcmp(argv[1], "keys") == 0) {
        bench_keys();
        return 0;
    }

    fprintf(stderr, "usage: limit_table speed PROCESSES SECONDS | keys\n");
    return 2;
}


static void
bench_speed(ngx_uint_t processes, double seconds)
{
    pid_t       pid;
    ngx_uint_t  i;

    bench = mmap(NULL, sizeof(bench_t), PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_SHARED, -1, 0);

    if (bench == MAP_FAILED) {
        perror("mmap()");
        exit(1);
    }

    bench->table = ngx_http_gateway_limit_table_init(bench->memory,
                                                     sizeof(bench->memory),
                                                     seed);

    for (i = 0; i < processes; i++) {
        pid = fork();

        if (pid == -1) {
            perror("fork()");
            exit(1);
        }

        if (pid == 0) {
            bench_process(i, processes);
            _exit(0);
        }
    }

    while (bench->ready < processes) {
        usleep(1000);
    }

    usleep(seconds * 1e6);
    bench->stop = 1;

    while (wait(NULL) > 0) {
        /* void */
    }

    for (i = 0; i < processes; i++) {
        printf("%.0f\n", bench->rates[i]);
    }
}


static void
bench_process(ngx_uint_t n, ngx_uint_t processes)
{
    uint64_t                          start, checks, declined;
    uint32_t                         *keys;
    cpu_set_t                         all, one;
    ngx_uint_t                        i, cpu;
    ngx_http_gateway_limit_result_t   result;
    ngx_http_gateway_limit_request_t  request;

    /* the n-th processor of those we may have */

    (void) sched_getaffinity(0, sizeof(all), &all);

    for (cpu = 0, i = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)
            && i++ == n % (ngx_uint_t) CPU_COUNT(&all))
        {
            break;
        }
    }

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void) sched_setaffinity(0, sizeof(one), &one);

    keys = malloc(KEYS * sizeof(uint32_t));

    if (keys == NULL) {
        _exit(1);
    }

    bench_shuffle(keys, n);

    ngx_memzero(&request, sizeof(request));

    request.charge = 1;
    request.capacity = NGX_HTTP_GATEWAY_LIMIT_MAX_TIME;

    checks = 0;
    declined = 0;
    start = 0;

    /* twice over all keys before it counts */

    while (!bench->stop) {

        if (checks == 2 * KEYS) {
            (void) __sync_fetch_and_add(&bench->ready, 1);

            while (bench->ready < processes) {
                usleep(100);
            }

            start = bench_time(CLOCK_PROCESS_CPUTIME_ID);
        }

        /* what reading the clock takes is not the table's */

        request.now = bench_time(CLOCK_MONOTONIC) / 1000;

        for (i = 0; i < 1000; i++) {
            request.hash = ngx_http_gateway_limit_hash(bench->table,
                                   (u_char *) &keys[checks % KEYS], 4);

            declined += (ngx_http_gateway_limit_take(bench->table, &request,
                                                     &result)
                         != NGX_OK);
            checks++;
        }
    }

    start = bench_time(CLOCK_PROCESS_CPUTIME_ID) - start;

    if (declined) {
        fprintf(stderr, "%" PRIu64 " were refused\n", declined);
        _exit(1);
    }

    bench->rates[n] = (checks - 2 * KEYS) / (start / 1e9);
}


static void
bench_shuffle(uint32_t *keys, uint64_t random)
{
    uint32_t  i, n, key;

    for (i = 0; i < KEYS; i++) {
        keys[i] = htonl(0x0a000000 + i);
    }

    for (i = KEYS - 1; i > 0; i--) {
        random = random * 6364136223846793005 + 1442695040888963407;
        n = (random >> 33) % (i + 1);

        key = keys[i];
        keys[i] = keys[n];
        keys[n] = key;
    }
}


static void
bench_keys(void)
{
    double    kept[3];
    size_t    size, pages, room;
    uint32_t  i;

    /* ngx_slab_init() */

    size = 1024 * 1024 - sizeof(ngx_slab_pool_t)
           - 9 * (sizeof(ngx_slab_page_t) + sizeof(ngx_slab_stat_t));
    pages = size / (PAGE + sizeof(ngx_slab_page_t));

    (void) bench_kept(pages * PAGE, 1, &room);

    for (i = 0; i < 3; i++) {
        kept[i] = bench_kept(pages * PAGE, room * (i + 2) / 4, &room);
    }

    printf("%zu\n%.4f\n%.4f\n%.4f\n", room, kept[0], kept[1], kept[2]);
}


/* the share of n keys that have an entry when each has come once */

static double
bench_kept(size_t size, uint32_t n, size_t *room)
{
    void                              *addr;
    uint32_t                           i, kept;
    ngx_http_gateway_limit_table_t    *table;
    ngx_http_gateway_limit_result_t    result;
    ngx_http_gateway_limit_request_t   request;

    if (posix_memalign(&addr, PAGE, size) != 0) {
        exit(1);
    }

    ngx_memzero(addr, size);

    table = ngx_http_gateway_limit_table_init(addr, size, seed);
    *room = table->nsets * NGX_HTTP_GATEWAY_LIMIT_WAYS;

    ngx_memzero(&request, sizeof(request));

    request.now = 1000000;
    request.charge = 1000;
    request.capacity = 1000000000;

    for (i = 0; i < n; i++) {
        request.hash = ngx_http_gateway_limit_hash(table, (u_char *) &i, 4);
        (void) ngx_http_gateway_limit_take(table, &request, &result);
    }

    kept = n - table->evictions;
    free(addr);

    return (double) kept / n;
}


static uint64_t
bench_time(clockid_t clock)
{
    struct timespec  ts;

    (void) clock_gettime(clock, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
