
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Workers hammer one table for a while, in threads or in processes.  Counted
 * is what each key was admitted for, against burst + rate x time.
 *
 *     stress threads|processes busy|scan|kill MILLISECONDS
 *
 * busy   a few keys and their refunds, in a table with room: to the token
 * scan   the same keys, and random ones that evict each other and them
 * kill   as busy, while workers are killed and replaced
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ngx_http_gateway_limit_table.h"


#define WORKERS     4
#define KEYS        4
#define SETS        32             /* "scan": of eight entries each */
#define KILL_EVERY  20             /* milliseconds */

/* microseconds; a bucket that fills in a second outlasts everybody's pauses */

#define TOKEN       2
#define BURST       500000

#define SCAN_TOKEN  50
#define SCAN_BURST  20


typedef struct {
    uint64_t                         admitted[KEYS];
    uint64_t                         refunded[KEYS];
    uint64_t                         others;
    uint64_t                         checks;
    int64_t                          last;
} __attribute__((aligned(128))) stress_count_t;


typedef struct {
    ngx_uint_t                       scan;
    int64_t                          token;
    int64_t                          burst;
    int64_t                          first;
    volatile ngx_uint_t              stop;
    stress_count_t                   counts[WORKERS];
    ngx_http_gateway_limit_table_t  *table;
    uint64_t                         hashes[KEYS];
    u_char                           memory[4 * 1024 * 1024]
                                         __attribute__((aligned(128)));
} stress_t;


typedef struct {
    ngx_uint_t                       worker;
    uint64_t                         random;
} stress_worker_t;


static int64_t stress_now(void);
static uint64_t stress_random(uint64_t *state);
static void *stress_worker(void *data);
static void stress_start(ngx_uint_t processes, ngx_uint_t n);
static void stress_stop(ngx_uint_t processes);
static void stress_init(ngx_uint_t scan);
static ngx_int_t stress_take(ngx_uint_t key, int64_t tokens, int64_t now,
    ngx_http_gateway_limit_result_t *result);
static void stress_enter(void);
static double stress_left(ngx_uint_t key, int64_t now);
static ngx_uint_t stress_judge(ngx_uint_t killed);
static ngx_uint_t stress_usable(void);


static stress_t         *stress;
static stress_worker_t   workers[WORKERS];
static pthread_t         ids[WORKERS];
static pid_t             pids[WORKERS];


static int64_t
stress_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static uint64_t
stress_random(uint64_t *state)
{
    uint64_t  z;

    *state += 0x9e3779b97f4a7c15;

    z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;

    return z ^ (z >> 31);
}


static void *
stress_worker(void *data)
{
    stress_worker_t *worker = data;

    uint64_t                          random;
    ngx_int_t                         rc;
    ngx_uint_t                        key;
    stress_count_t                   *count;
    ngx_http_gateway_limit_result_t   result;
    ngx_http_gateway_limit_request_t  request;

    count = &stress->counts[worker->worker];

    ngx_memzero(&request, sizeof(request));

    request.charge = stress->token;
    request.capacity = stress->burst * stress->token;

    while (!stress->stop) {
        random = stress_random(&worker->random);
        key = random % (stress->scan ? 3 * KEYS : KEYS);

        /* random keys that fall into the sets of the busy ones */

        request.hash = (key < KEYS) ? stress->hashes[key]
                                    : stress->hashes[key % KEYS]
                                      ^ (random >> 32 | 1);
        request.now = stress_now();

        count->last = request.now;
        count->checks++;

        rc = ngx_http_gateway_limit_take(stress->table, &request, &result);

        if (rc != NGX_OK) {
            continue;
        }

        if (key >= KEYS) {
            count->others++;
            continue;
        }

        count->admitted[key]++;

        if (!stress->scan && random >> 62 == 0) {
            if (ngx_http_gateway_limit_refund(&request, &result, request.now))
            {
                count->refunded[key]++;
            }
        }
    }

    return NULL;
}


static void
stress_start(ngx_uint_t processes, ngx_uint_t n)
{
    workers[n].worker = n;

    if (!processes) {
        if (pthread_create(&ids[n], NULL, stress_worker, &workers[n]) != 0) {
            perror("pthread_create()");
            exit(2);
        }

        return;
    }

    workers[n].random += 0x1234567;

    pids[n] = fork();

    if (pids[n] == -1) {
        perror("fork()");
        exit(2);
    }

    if (pids[n] == 0) {
        stress_worker(&workers[n]);
        _exit(0);
    }
}


static void
stress_stop(ngx_uint_t processes)
{
    ngx_uint_t  i;

    stress->stop = 1;

    for (i = 0; i < WORKERS; i++) {
        if (processes) {
            (void) waitpid(pids[i], NULL, 0);

        } else {
            (void) pthread_join(ids[i], NULL);
        }
    }
}


static void
stress_init(ngx_uint_t scan)
{
    size_t      size;
    uint64_t    seed[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    u_char      name;
    ngx_uint_t  i;

    stress = mmap(NULL, sizeof(stress_t), PROT_READ|PROT_WRITE,
                  MAP_ANON|MAP_SHARED, -1, 0);

    if (stress == MAP_FAILED) {
        perror("mmap()");
        exit(2);
    }

    stress->scan = scan;
    stress->token = scan ? SCAN_TOKEN : TOKEN;
    stress->burst = scan ? SCAN_BURST : BURST;

    size = scan ? (SETS + 1) * 128 : sizeof(stress->memory);

    stress->table = ngx_http_gateway_limit_table_init(stress->memory, size,
                                                      seed);

    for (i = 0; i < KEYS; i++) {
        name = 'A' + i;
        stress->hashes[i] = ngx_http_gateway_limit_hash(stress->table, &name,
                                                        1);
    }
}


static ngx_int_t
stress_take(ngx_uint_t key, int64_t tokens, int64_t now,
    ngx_http_gateway_limit_result_t *result)
{
    ngx_http_gateway_limit_request_t  request;

    ngx_memzero(&request, sizeof(request));

    request.hash = stress->hashes[key];
    request.now = now;
    request.charge = tokens * stress->token;
    request.capacity = stress->burst * stress->token;

    return ngx_http_gateway_limit_take(stress->table, &request, result);
}


/*
 * Half a bucket of each key is taken first: none is full while workers run,
 * and no token is lost.  R1 is not what is looked for here.
 */

static void
stress_enter(void)
{
    ngx_uint_t                       i;
    ngx_http_gateway_limit_result_t  result;

    stress->first = stress_now();

    for (i = 0; i < KEYS; i++) {
        (void) stress_take(i, stress->burst / 2, stress->first, &result);
        stress->counts[0].admitted[i] = stress->burst / 2;
    }
}


/* tokens in the key's bucket at the end */

static double
stress_left(ngx_uint_t key, int64_t now)
{
    ngx_http_gateway_limit_result_t  result;

    (void) stress_take(key, 0, now, &result);

    return stress->burst - (double) result.debt / stress->token;
}


static ngx_uint_t
stress_judge(ngx_uint_t killed)
{
    double           most, left;
    int64_t          last;
    uint64_t         admitted, refunded, checks, others, excess;
    ngx_uint_t       i, key, failed;
    stress_count_t  *count;

    failed = 0;
    last = 0;
    checks = others = excess = 0;

    for (i = 0; i < WORKERS; i++) {
        count = &stress->counts[i];

        last = ngx_max(last, count->last);
        checks += count->checks;
        others += count->others;
    }

    most = stress->burst + (double) (last - stress->first) / stress->token;

    for (key = 0; key < KEYS; key++) {
        admitted = refunded = 0;

        for (i = 0; i < WORKERS; i++) {
            admitted += stress->counts[i].admitted[key];
            refunded += stress->counts[i].refunded[key];
        }

        others += admitted;
        admitted -= refunded;

        printf("key %c: %" PRIu64 " admitted, %" PRIu64 " given back, "
               "burst + rate x time = %.1f\n",
               (int) ('A' + key), admitted, refunded, most);

        if (stress->scan) {
            excess += (admitted > most) ? admitted - most : 0;
            continue;
        }

        /* a worker that is killed may not have counted its last request */

        left = stress_left(key, last);

        if (admitted + left > most + killed || admitted + left < most - killed)
        {
            printf("with %.1f left that is not the same\n", left);
            failed = 1;
        }
    }

    if (stress->scan) {

        /* entries are what tokens come from, whatever key they are of */

        most *= KEYS * NGX_HTTP_GATEWAY_LIMIT_WAYS;

        printf("all keys: %" PRIu64 " admitted, at most %.1f; %" PRIu64
               " evictions; busy keys: %" PRIu64 " too many\n",
               others, most, (uint64_t) stress->table->evictions, excess);

        if (others > most) {
            printf("more than that\n");
            failed = 1;
        }
    }

    printf("%" PRIu64 " checks in %.2f s by %d workers, %" PRIu64
           " killed\n", checks, (double) (last - stress->first) / 1e6, WORKERS,
           (uint64_t) killed);

    return failed;
}


/*
 * Whatever became of the workers: once the buckets are full again, each of
 * them holds its burst, and no more.
 */

static ngx_uint_t
stress_usable(void)
{
    int64_t                          n, now;
    ngx_uint_t                       i;
    ngx_http_gateway_limit_result_t  result;

    now = stress_now() + stress->burst * stress->token;

    for (i = 0; i < KEYS; i++) {

        for (n = 0; n <= stress->burst; n++) {
            if (stress_take(i, 1, now, &result) != NGX_OK) {
                break;
            }
        }

        if (n != stress->burst) {
            printf("key %c: afterwards, a full bucket of %d\n", (int) ('A' + i),
                   (int) n);
            return 0;
        }
    }

    return 1;
}


int
main(int argc, char **argv)
{
    int64_t     until;
    ngx_uint_t  i, processes, kills, scan, killed;

    if (argc != 4) {
        fprintf(stderr, "usage: stress threads|processes busy|scan|kill "
                        "MILLISECONDS\n");
        return 2;
    }

    processes = (ngx_strcmp(argv[1], "processes") == 0);
    scan = (ngx_strcmp(argv[2], "scan") == 0);
    kills = (ngx_strcmp(argv[2], "kill") == 0);
    killed = 0;

    stress_init(scan);
    stress_enter();

    for (i = 0; i < WORKERS; i++) {
        workers[i].random = i << 32;
        stress_start(processes, i);
    }

    until = stress_now() + 1000 * (int64_t) atoi(argv[3]);

    while (stress_now() < until) {
        usleep(1000 * KILL_EVERY);

        if (processes && kills) {
            i = killed++ % WORKERS;

            (void) kill(pids[i], SIGKILL);
            (void) waitpid(pids[i], NULL, 0);

            stress_start(processes, i);
        }
    }

    stress_stop(processes);

    if (stress_judge(killed)) {
        return 1;
    }

    return stress_usable() ? 0 : 1;
}
