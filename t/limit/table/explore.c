
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Runs the table of buckets in every interleaving of two or three threads.
 *
 * The table's atomic operations are steps of a search.  What a thread does
 * next depends on nothing but the results of its steps so far, so that a
 * thread is resumed by calling it again with these results: a state of the
 * search is the memory, and the results that each thread has seen.  A state
 * that was reached before is not looked at again, which leaves nothing out:
 * all that can follow it has been.  The number of interleavings is summed up
 * on the way back.
 *
 * Each state is also the end of a run in which the unfinished threads have
 * been killed there, and is checked as such.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>

static uint64_t explore_load(volatile void *p);
static ngx_uint_t explore_cas(volatile void *p, uint64_t old, uint64_t set);
static void explore_add(volatile void *p, int64_t n);

/* EXPLORE_STORE: as if the table would store where it compares and swaps */

#if (EXPLORE_STORE)
#define explore_is(p, old)                    ((void) (old), 1)
#else
#define explore_is(p, old)                    (*(p) == (old))
#endif

#define ngx_http_gateway_limit_load(p)        explore_load(p)
#define ngx_http_gateway_limit_cas(p, o, s)   explore_cas(p, o, s)
#define ngx_http_gateway_limit_add(p, n)      explore_add(p, (int64_t) (n))

#ifndef EXPLORE_TABLE
#define EXPLORE_TABLE  "ngx_http_gateway_limit_table.c"
#endif

#include EXPLORE_TABLE

#include "explore.h"


#define WAYS        NGX_HTTP_GATEWAY_LIMIT_WAYS
#define TOKEN       ((int64_t) 10)
#define NOW         ((int64_t) 1000 * TOKEN)
#define STEPS       512
#define TAKES       8

#define explore_is_key(c)   ((c) >= 'A' && (c) < 'A' + EXPLORE_KEYS)


typedef struct {
    ngx_http_gateway_limit_entry_t  entries[WAYS];
} explore_memory_t;


/* a step, to be told and to be repeated */

typedef struct {
    u_char                 thread;
    char                   what;      /* L, C, A; "-": to be taken yet */
    volatile uint64_t     *where;
    uint64_t               from;
    uint64_t               to;
    uint64_t               result;
} explore_step_t;


typedef struct {
    uint64_t              *results;
    ngx_uint_t             nsteps;
    ngx_uint_t             finished;

    /* the results before "done" are no longer remembered but by these */

    ngx_uint_t             done;
    const char            *program;
    uint64_t               entries;

    /* told by the thread since it was last called */

    int                    served[EXPLORE_KEYS];
    int                    passed;
} explore_thread_t;


typedef struct {
    int                    least[EXPLORE_KEYS];
    int                    most[EXPLORE_KEYS];
    int                    entered;
    ngx_uint_t             failed;
} explore_seen_t;


static double explore(ngx_uint_t depth);
static void explore_resume(ngx_uint_t thread, ngx_uint_t depth);
static void explore_run(explore_thread_t *t, const char *program);
static uint64_t *explore_next(volatile void *p, char what);
static void explore_hash(uint64_t *hash);
static ngx_inline void explore_mix(uint64_t *hash, uint64_t word);
static void explore_check(ngx_uint_t depth, ngx_uint_t finished);
static int explore_drain(ngx_uint_t depth, int key);
static int64_t explore_end(void);
static void explore_fail(ngx_uint_t depth, const char *reason, int key,
    int value);
static void explore_tell(ngx_uint_t depth);
static void explore_start(const char *entries);
static ngx_uint_t explore_scenario(explore_scenario_t *scenario);


/* what the table works on */

static struct {
    ngx_http_gateway_limit_table_t  table;
    explore_memory_t   memory __attribute__((aligned(128)));
} arena;

static explore_scenario_t  *scenario;
static explore_thread_t     threads[EXPLORE_THREADS];
static uint64_t             results[EXPLORE_THREADS][STEPS];
static ngx_uint_t           nthreads;
static explore_step_t       trace[EXPLORE_THREADS * STEPS];
static explore_seen_t       seen;
static ngx_uint_t           verbose, hasty;

/* the thread that runs; NULL: operations take place at once */

static explore_thread_t    *running;
static explore_step_t      *taking;
static ngx_uint_t           position;
static jmp_buf              stop;


/*
 * Returns the number of schedules from the present state on.
 */

static double
explore(ngx_uint_t depth)
{
    double             schedules;
    uint64_t           hash[2];
    ngx_uint_t         i, finished;
    explore_memory_t   memory;
    explore_thread_t  *t, before;

    explore_hash(hash);

    schedules = states_find(hash)->schedules;

    if (schedules != 0) {
        return schedules;
    }

    finished = 0;

    for (i = 0; i < nthreads; i++) {
        finished += threads[i].finished;
    }

    explore_check(depth, finished);

    schedules = (finished == nthreads);
    memory = arena.memory;

    for (i = 0; i < nthreads; i++) {
        t = &threads[i];

        if (t->finished) {
            continue;
        }

        before = *t;

        explore_resume(i, depth);
        schedules += explore(depth + 1);

        *t = before;

        arena.memory = memory;
    }

    states_find(hash)->schedules = schedules;

    return schedules;
}


/*
 * Lets a thread take one step and come to its next one or to its end.
 */

static void
explore_resume(ngx_uint_t thread, ngx_uint_t depth)
{
    explore_thread_t  *t;

    t = &threads[thread];

    ngx_memzero(t->served, sizeof(t->served));
    t->passed = 0;

    running = t;
    position = 0;
    taking = &trace[depth];
    taking->thread = thread;
    taking->what = '-';

    t->done = 0;
    t->program = NULL;
    t->entries = 0;

    if (_setjmp(stop) == 0) {
        explore_run(t, scenario->threads[thread]);
        t->finished = 1;
    }

    running = NULL;
}


static void
explore_run(explore_thread_t *t, const char *program)
{
    int                                key, cost;
    int64_t                            now;
    ngx_int_t                          rc;
    const char                        *p;
    ngx_http_gateway_limit_result_t    taken[EXPLORE_KEYS], *result;
    ngx_http_gateway_limit_request_t   requests[EXPLORE_KEYS], *request;

    ngx_memzero(taken, sizeof(taken));

    now = NOW;
    cost = 1;

    for (p = program; *p; p++) {

        if (*p == '+') {
            now += scenario->later * TOKEN;
            continue;
        }

        if (*p >= '0' && *p <= '9') {
            cost = *p - '0';
            continue;
        }

        key = (*p | 0x20) - 'a';
        request = &requests[key];
        result = &taken[key];

        if (!explore_is_key(*p)) {

            if (result->entry) {
                (void) ngx_http_gateway_limit_refund(request, result, now);
                t->served[key] -= request->charge / TOKEN;
            }

            result->entry = NULL;

        } else {
            request->hash = *p;
            request->now = now;
            request->charge = cost * TOKEN;
            request->capacity = scenario->burst * TOKEN;
            request->delay = 0;
            request->on_full = scenario->on_full;

            rc = ngx_http_gateway_limit_take(&arena.table, request, result);

            if (result->entry) {
                t->served[key] += cost;

            } else if (rc == NGX_OK) {
                t->passed += cost;
            }

            cost = 1;
        }

        t->done = position;
        t->program = p;
        t->entries = 0;

        for (key = 0; key < EXPLORE_KEYS; key++) {
            t->entries *= WAYS + 1;

            if (taken[key].entry) {
                t->entries += taken[key].entry - arena.memory.entries + 1;
            }
        }
    }
}


/*
 * The result of a step that has been taken; NULL: it is to be taken now.
 */

static uint64_t *
explore_next(volatile void *p, char what)
{
    uint64_t  *result;

    if (position < running->nsteps) {
        return &running->results[position++];
    }

    if (taking->what != '-') {
        _longjmp(stop, 1);
    }

    if (position == STEPS) {
        fprintf(stderr, "explore: a thread does not come to an end\n");
        exit(2);
    }

    taking->what = what;
    taking->where = p;

    result = &running->results[position++];
    running->nsteps++;

    *result = *(volatile uint64_t *) p;
    taking->from = *result;

    return NULL;
}


static uint64_t
explore_load(volatile void *p)
{
    uint64_t  *result;

    if (running == NULL) {
        return *(volatile uint64_t *) p;
    }

    result = explore_next(p, 'L');

    return result ? *result : taking->from;
}


static ngx_uint_t
explore_cas(volatile void *p, uint64_t old, uint64_t set)
{
    uint64_t           *result;
    ngx_uint_t          is;
    volatile uint64_t  *word;

    word = p;

    if (running) {
        result = explore_next(p, 'C');

        if (result) {
            return *result;
        }

        taking->to = set;
    }

    is = explore_is(word, old);

    if (is) {
        *word = set;
    }

    if (running) {
        running->results[position - 1] = is;
        taking->result = is;
    }

    return is;
}


static void
explore_add(volatile void *p, int64_t n)
{
    volatile uint64_t  *word;

    word = p;

    if (running) {
        if (explore_next(p, 'A')) {
            return;
        }

        /* nobody is told what was there */

        running->results[position - 1] = 0;
        taking->to = *word + n;
    }

    *word += n;
}


static void
explore_hash(uint64_t *hash)
{
    size_t             i, n;
    explore_thread_t  *t;

    hash[0] = 0x9e3779b97f4a7c15;
    hash[1] = 0xc2b2ae3d27d4eb4f;

    for (i = 0; i < sizeof(explore_memory_t) / 8; i++) {
        explore_mix(hash, ((uint64_t *) &arena.memory)[i]);
    }

    for (i = 0; i < nthreads; i++) {
        t = &threads[i];

        explore_mix(hash, (uintptr_t) t->program);
        explore_mix(hash, t->entries);
        explore_mix(hash, t->passed);

        for (n = 0; n < EXPLORE_KEYS; n++) {
            explore_mix(hash, (uint64_t) t->served[n]);
        }

        explore_mix(hash, t->nsteps - t->done);

        for (n = t->done; n < t->nsteps; n++) {
            explore_mix(hash, t->results[n]);
        }
    }
}


static ngx_inline void
explore_mix(uint64_t *hash, uint64_t word)
{
    hash[0] = (hash[0] ^ word) * 0xff51afd7ed558ccd;
    hash[0] ^= hash[0] >> 32;

    hash[1] = (hash[1] + word) * 0xc4ceb9fe1a85ec53;
    hash[1] ^= hash[1] >> 29;
}


static void
explore_check(ngx_uint_t depth, ngx_uint_t finished)
{
    int                total, key, entered;
    int64_t            debt;
    uint64_t           tag;
    ngx_uint_t         i;
    explore_memory_t   memory;
    explore_claim_t   *claim;

    for (i = 0; i < WAYS; i++) {
        tag = arena.memory.entries[i].tag;
        debt = (int64_t) arena.memory.entries[i].time - explore_end();

        if (tag != 0 && tag != 'Z' && !explore_is_key(tag)) {
            explore_fail(depth, "an entry of no key", tag, i);
        }

        if (debt > scenario->burst * TOKEN || debt % TOKEN) {
            explore_fail(depth, "an entry with a time that no charge leads to",
                         tag, i);
        }
    }

    if (finished == nthreads) {
        total = 0;

        for (i = 0; i < nthreads; i++) {
            total += threads[i].passed;
        }

        if (total != scenario->passed) {
            explore_fail(depth, "passed without a charge", 0, total);
        }
    }

    memory = arena.memory;

    for (key = 0; key < EXPLORE_KEYS; key++) {
        claim = &scenario->claims[key];

        if (claim->least == EXPLORE_ANY && claim->most == EXPLORE_ANY) {
            continue;
        }

        total = 0;

        for (i = 0; i < nthreads; i++) {
            total += threads[i].served[key];
        }

        total += explore_drain(depth, 'A' + key);
        arena.memory = memory;

        if (total > seen.most[key]) {
            seen.most[key] = total;

            if (total > claim->most && claim->most != EXPLORE_ANY) {
                explore_fail(depth, "more is admitted than claimed",
                             'A' + key, total);

            } else if (verbose && total == claim->most) {
                printf("the most for %c, %d:\n", 'A' + key, total);
                explore_tell(depth);
            }
        }

        if (finished == nthreads && total < seen.least[key]) {
            seen.least[key] = total;

            if (total < claim->least) {
                explore_fail(depth, "less is admitted than claimed",
                             'A' + key, total);

            } else if (verbose && total == claim->least) {
                printf("the least for %c, %d:\n", 'A' + key, total);
                explore_tell(depth);
            }
        }

        entered = 0;

        for (i = 0; i < WAYS; i++) {
            entered += (memory.entries[i].tag == (uint64_t) ('A' + key));
        }

        if (entered > seen.entered) {
            seen.entered = entered;

            if (entered > scenario->entered) {
                explore_fail(depth, "more entries of a key than claimed",
                             'A' + key, entered);
            }
        }
    }
}


/*
 * How many tokens the key can still take, by one worker that is alone.  To
 * this one, a look into the bucket tells what taking a token does.
 */

static int
explore_drain(ngx_uint_t depth, int key)
{
    int                               n;
    ngx_int_t                         rc, peek;
    ngx_http_gateway_limit_result_t   result, peeked;
    ngx_http_gateway_limit_request_t  request;

    request.hash = key;
    request.now = explore_end();
    request.charge = TOKEN;
    request.capacity = scenario->burst * TOKEN;
    request.delay = 0;
    request.on_full = scenario->on_full;

    for (n = 0; n < 4 * scenario->burst; n++) {
        peek = ngx_http_gateway_limit_peek(&arena.table, &request, &peeked);
        rc = ngx_http_gateway_limit_take(&arena.table, &request, &result);

        if (peek != rc || (rc != NGX_OK && peeked.wait != result.wait)) {
            explore_fail(depth, "a look tells something else", key, n);
        }

        if (result.entry == NULL) {
            break;
        }

        if (result.debt != peeked.debt + TOKEN) {
            explore_fail(depth, "a look tells another debt", key, n);
        }
    }

    return n;
}


/* the latest time of any thread */

static int64_t
explore_end(void)
{
    int         later, n;
    ngx_uint_t  i;
    const char  *p;

    later = 0;

    for (i = 0; i < nthreads; i++) {
        n = 0;

        for (p = scenario->threads[i]; *p; p++) {
            n += (*p == '+') ? scenario->later : 0;
        }

        later = ngx_max(later, n);
    }

    return NOW + later * TOKEN;
}


static void
explore_fail(ngx_uint_t depth, const char *reason, int key, int value)
{
    if (seen.failed++ > 0) {
        return;
    }

    printf("%s: %s: key %c, %d\n", scenario->name, reason, key ? key : '.',
           value);
    explore_tell(depth);

    if (hasty) {
        printf("not ok %s\n", scenario->name);
        exit(1);
    }
}


static void
explore_tell(ngx_uint_t depth)
{
    size_t           at;
    uint64_t         word;
    ngx_uint_t       i, n;
    explore_step_t  *step;

    for (i = 0; i < depth; i++) {
        step = &trace[i];

        if (step->where == &arena.table.evictions) {
            printf("    %u: counts an eviction\n", step->thread + 1);
            continue;
        }

        at = step->where - (uint64_t *) &arena.memory;

        printf("    %u: %s %s[%zu]", step->thread + 1,
               step->what == 'L' ? "load" : step->what == 'C' ? "cas" : "add",
               at % 2 ? "time" : "tag", at / 2);

        for (n = 0; n < 2; n++) {
            word = n ? step->to : step->from;

            if (n && step->what == 'L') {
                break;
            }

            if (at % 2) {
                printf("%s%+.1f", n ? " -> " : " ",
                       (double) ((int64_t) word - NOW) / TOKEN);

            } else {
                printf("%s%c", n ? " -> " : " ", word ? (int) word : '.');
            }
        }

        printf("%s\n", step->what == 'C' && !step->result ? ": fails" : "");
    }

    printf("    then:");

    for (i = 0; i < WAYS; i++) {
        word = arena.memory.entries[i].tag;
        printf(" %c %+.1f", word ? (int) word : '.',
               (double) ((int64_t) arena.memory.entries[i].time - NOW) / TOKEN);
    }

    printf("\n");
}


static void
explore_start(const char *entries)
{
    int                              owed;
    const char                      *p;
    ngx_uint_t                       i;
    ngx_http_gateway_limit_entry_t  *entry;

    ngx_memzero(&arena, sizeof(arena));

    arena.table.nsets = 1;
    arena.table.entries = arena.memory.entries;

    p = entries;

    for (i = 0; i < WAYS; i++) {
        entry = &arena.memory.entries[i];

        if (*p == '\0') {
            entry->tag = 'Z';
            entry->time = NOW + scenario->burst * TOKEN;
            continue;
        }

        if (*p == '.') {
            p++;

        } else {
            owed = p[1] == '-' ? -20 : p[1] == '=' ? -10 : p[1] - '0';

            entry->tag = *p;
            entry->time = NOW + owed * TOKEN;

            p += 2;
        }

        p += (*p == ' ');
    }
}


static ngx_uint_t
explore_scenario(explore_scenario_t *s)
{
    int         key;
    double      schedules;
    ngx_uint_t  i;

    scenario = s;

    ngx_memzero(threads, sizeof(threads));

    for (i = 0; i < EXPLORE_THREADS; i++) {
        threads[i].results = results[i];
    }

    ngx_memzero(&seen, sizeof(seen));

    for (key = 0; key < EXPLORE_KEYS; key++) {
        seen.least[key] = 1000;
        seen.most[key] = EXPLORE_ANY;
    }

    for (nthreads = 0; nthreads < EXPLORE_THREADS; nthreads++) {
        if (s->threads[nthreads] == NULL) {
            break;
        }
    }

    explore_start(s->entries);

    schedules = explore(0);

    /* a claim that nothing comes near to says too little */

    for (key = 0; key < EXPLORE_KEYS; key++) {
        if (seen.most[key] < s->claims[key].most) {
            printf("%s: never as much as claimed: key %c, %d\n", s->name,
                   'A' + key, seen.most[key]);
            seen.failed++;
        }

        if (s->claims[key].least != EXPLORE_ANY
            && seen.least[key] > s->claims[key].least)
        {
            printf("%s: never as little as claimed: key %c, %d\n", s->name,
                   'A' + key, seen.least[key]);
            seen.failed++;
        }
    }

    if (seen.entered < s->entered) {
        printf("%s: never %d entries of a key\n", s->name, s->entered);
        seen.failed++;
    }

    printf("%s %s: %" PRIu64 " states, %.4g schedules of %u threads:",
           seen.failed ? "not ok" : "ok", s->name, (uint64_t) states_forget(),
           schedules, (unsigned) nthreads);

    for (i = 0; i < nthreads; i++) {
        printf(" %s", s->threads[i]);
    }

    for (key = 0; key < EXPLORE_KEYS; key++) {
        if (seen.most[key] >= 0) {
            printf(", %c %d..%d", 'A' + key, seen.least[key], seen.most[key]);
        }
    }

    printf("\n");
    fflush(stdout);

    return seen.failed;
}


/*
 * explore [-v | -f] [SCENARIO]
 *
 * -v tells how what is claimed is reached; -f ends at the first failure.
 */

int
main(int argc, char **argv)
{
    int                  i;
    ngx_uint_t           failed;
    explore_scenario_t  *s;

    i = 1;

    if (i < argc && ngx_strcmp(argv[i], "-v") == 0) {
        verbose = 1;
        i++;

    } else if (i < argc && ngx_strcmp(argv[i], "-f") == 0) {
        hasty = 1;
        i++;
    }

    failed = 0;

    for (s = explore_scenarios; s->name; s++) {
        if (i < argc && ngx_strcmp(argv[i], s->name) != 0) {
            continue;
        }

        if (strlen(s->entries) > 3 * WAYS) {
            continue;
        }

        failed += explore_scenario(s);
    }

    return failed ? 1 : 0;
}
