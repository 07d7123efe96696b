
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The table of routes by itself, with 10 and with 10,000 routes of an ordinary
 * REST API: a thousand resources with ten routes each.
 *
 *     route_lookup speed ROUNDS
 *
 *         A line for each kind of requests, with its name and the nanoseconds
 *         of CPU time that a lookup takes, the median of ROUNDS.  Requests
 *         come in random order.  The last line is what a scan through 1,000
 *         regexes takes, as nginx's map does it, for the same requests.
 *
 *     route_lookup load
 *
 *         Milliseconds that reading the templates and compiling the table take
 *         and the bytes that stay allocated, for 10,000 routes: of the REST
 *         API, each with a regex of its own, each for a host of its own, and
 *         all for one template with a condition of its own.
 */


#include "core.h"

#include <malloc.h>

#include "ngx_http_gateway_route_table.h"


#define ROUTES     10000
#define RESOURCES  (ROUTES / 10)
#define REQUESTS   20000
#define REGEXES    1000
#define ROUNDS     101


typedef struct {
    ngx_str_t                         method;
    ngx_str_t                         path;
    ngx_int_t                         rc;
} bench_request_t;


typedef struct {
    const char                       *method;
    const char                       *template;     /* of a resource */
    const char                       *path;
} bench_route_t;


typedef void (*bench_line_pt)(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e);


static void bench_speed(ngx_uint_t rounds);
static ngx_http_gateway_route_table_t *bench_table(ngx_uint_t n,
    bench_line_pt line);
static void bench_rest(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e);
static void bench_regex(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e);
static void bench_host(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e);
static void bench_condition(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e);
static void bench_method(ngx_http_gateway_route_entry_t *e,
    const char *method);
static void bench_resource(ngx_uint_t n, ngx_str_t *name);
static void bench_print(ngx_str_t *text, const char *fmt, ...);
static void bench_ask(const char *name, ngx_http_gateway_route_table_t *table,
    ngx_uint_t routes, ngx_uint_t rounds, bench_route_t *kind);
static void bench_requests(ngx_uint_t routes, bench_route_t *kind);
static double bench_lookups(ngx_http_gateway_route_table_t *table);
static void bench_regexes(ngx_uint_t rounds);
static void bench_loaded(const char *name, bench_line_pt line);
static size_t bench_bytes(void);
static int bench_cmp(const void *one, const void *two);
static ngx_uint_t bench_random(ngx_uint_t n);
static uint64_t bench_time(void);


static bench_route_t  bench_routes[] = {
    { "GET", "/api/v1/%V", "/api/v1/%V" },
    { "POST", "/api/v1/%V", "/api/v1/%V" },
    { "GET", "/api/v1/%V/:id", "/api/v1/%V/%ui" },
    { "PUT", "/api/v1/%V/:id", "/api/v1/%V/%ui" },
    { "DELETE", "/api/v1/%V/:id", "/api/v1/%V/%ui" },
    { "GET", "/api/v1/%V/:id/items", "/api/v1/%V/%ui/items" },
    { "POST", "/api/v1/%V/:id/items", "/api/v1/%V/%ui/items" },
    { "GET", "/api/v1/%V/:id/items/:item", "/api/v1/%V/%ui/items/%ui" },
    { "DELETE", "/api/v1/%V/:id/items/:item", "/api/v1/%V/%ui/items/%ui" },
    { "POST", "/api/v1/%V/:id/archive", "/api/v1/%V/%ui/archive" }
};

static const char  *bench_words[] = {
    "account", "address", "agent", "article", "asset", "audit", "basket",
    "booking", "branch", "campaign", "catalog", "category", "channel",
    "client", "comment", "company", "contact", "contract", "coupon",
    "customer", "delivery", "device", "discount", "document", "event",
    "feature", "folder", "gateway", "invoice", "job", "ledger", "message",
    "order", "payment", "product", "profile", "project", "report", "session",
    "ticket"
};

static const char  *bench_more[] = {
    "s", "-attachments", "-changes", "-drafts", "-entries", "-exports",
    "-groups", "-histories", "-imports", "-labels", "-limits", "-lists",
    "-links", "-notes", "-owners", "-plans", "-policies", "-prices",
    "-requests", "-roles", "-rules", "-tags", "-templates", "-types", "-views"
};


/* requests that nothing takes: for a resource, below it, for the method */

static bench_route_t  bench_unknown = { "GET", NULL, "/api/v1/%Vx/%ui" };
static bench_route_t  bench_below = { "GET", NULL, "/api/v1/%V/%ui/nothing" };
static bench_route_t  bench_other = { "PATCH", NULL, "/api/v1/%V/%ui" };

static bench_request_t  requests[REQUESTS];
static ngx_pool_t      *pool;


int
main(int argc, char **argv)
{
    core_init();

    if (argc == 3 && ngx_strcmp(argv[1], "speed") == 0 && atoi(argv[2]) > 0) {
        bench_speed(ngx_min(atoi(argv[2]), ROUNDS));
        return 0;
    }

    if (argc == 2 && ngx_strcmp(argv[1], "load") == 0) {
        bench_loaded("rest", bench_rest);
        bench_loaded("regex", bench_regex);
        bench_loaded("host", bench_host);
        bench_loaded("condition", bench_condition);
        return 0;
    }

    fprintf(stderr, "usage: route_lookup speed ROUNDS | load\n");
    return 2;
}


static void
bench_speed(ngx_uint_t rounds)
{
    ngx_http_gateway_route_table_t  *few, *many;

    pool = ngx_create_pool(16384, &core_log);

    few = bench_table(10, bench_rest);
    many = bench_table(ROUTES, bench_rest);

    bench_ask("few", few, 10, rounds, NULL);
    bench_ask("many", many, ROUTES, rounds, NULL);
    bench_ask("unknown", many, ROUTES, rounds, &bench_unknown);
    bench_ask("below", many, ROUTES, rounds, &bench_below);
    bench_ask("method", many, ROUTES, rounds, &bench_other);

    bench_regexes(rounds);

    ngx_destroy_pool(pool);
}


static ngx_http_gateway_route_table_t *
bench_table(ngx_uint_t n, bench_line_pt line)
{
    char                             *why;
    ngx_str_t                         text;
    ngx_uint_t                        i;
    ngx_pool_t                       *temp;
    ngx_http_gateway_route_entry_t   *e;
    ngx_http_gateway_route_table_t   *table;

    temp = ngx_create_pool(16384, &core_log);
    table = ngx_http_gateway_route_table_create(pool);

    for (i = 0; i < n; i++) {
        e = ngx_pcalloc(pool, sizeof(ngx_http_gateway_route_entry_t));

        line(i, &text, e);

        if (ngx_http_gateway_route_template(pool, &text, &e->template, &why)
            != NGX_OK
            || ngx_http_gateway_route_table_add(table, e) != NGX_OK)
        {
            exit(1);
        }
    }

    if (ngx_http_gateway_route_table_compile(table, temp, &core_log)
        != NGX_OK)
    {
        exit(1);
    }

    ngx_destroy_pool(temp);

    return table;
}


static void
bench_rest(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e)
{
    ngx_str_t       name;
    bench_route_t  *route;

    route = &bench_routes[n % 10];

    bench_resource(n / 10, &name);
    bench_print(template, route->template, &name);
    bench_method(e, route->method);
}


static void
bench_regex(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e)
{
    bench_print(template, "/api/v1/:id(%ui-[0-9]+)/items", n);
    bench_method(e, "GET");
}


static void
bench_host(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e)
{
    bench_print(template, "/**");
    bench_print(&e->host, "customer-%ui.example.com", n);
}


static void
bench_condition(ngx_uint_t n, ngx_str_t *template,
    ngx_http_gateway_route_entry_t *e)
{
    bench_print(template, "/api/v1/orders");

    e->conditions = ngx_palloc(pool, sizeof(ngx_str_t));
    e->nconditions = 1;

    bench_print(e->conditions, "header=x-customer:%ui", n);
}


static void
bench_method(ngx_http_gateway_route_entry_t *e, const char *method)
{
    e->methods = ngx_palloc(pool, sizeof(ngx_str_t));
    e->nmethods = 1;

    e->methods->data = (u_char *) method;
    e->methods->len = ngx_strlen(method);
}


static void
bench_resource(ngx_uint_t n, ngx_str_t *name)
{
    bench_print(name, "%s%s", bench_words[n % 40], bench_more[n / 40 % 25]);
}


static void
bench_print(ngx_str_t *text, const char *fmt, ...)
{
    va_list  args;
    u_char  *last, buf[256];

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    text->len = last - buf;
    text->data = ngx_pnalloc(pool, text->len);

    ngx_memcpy(text->data, buf, text->len);
}


static void
bench_ask(const char *name, ngx_http_gateway_route_table_t *table,
    ngx_uint_t routes, ngx_uint_t rounds, bench_route_t *kind)
{
    double      ns[ROUNDS];
    ngx_uint_t  i;

    bench_requests(routes, kind);

    (void) bench_lookups(table);

    for (i = 0; i < rounds; i++) {
        ns[i] = bench_lookups(table);
    }

    qsort(ns, rounds, sizeof(double), bench_cmp);

    printf("%s %.1f\n", name, ns[rounds / 2]);
}


/* of any of the routes, or of one kind for any of the resources */

static void
bench_requests(ngx_uint_t routes, bench_route_t *kind)
{
    ngx_str_t         name;
    ngx_uint_t        i;
    bench_route_t    *route;
    bench_request_t  *request;

    for (i = 0; i < REQUESTS; i++) {
        request = &requests[i];

        route = (kind == NULL) ? &bench_routes[bench_random(10)] : kind;

        bench_resource(bench_random(routes / 10), &name);

        request->rc = (kind == NULL) ? NGX_OK : NGX_DECLINED;
        request->method.data = (u_char *) route->method;
        request->method.len = ngx_strlen(route->method);

        bench_print(&request->path, route->path, &name,
                    bench_random(1000000), bench_random(1000000));
    }
}


static double
bench_lookups(ngx_http_gateway_route_table_t *table)
{
    uint64_t                          start;
    ngx_str_t                         captures[4];
    ngx_uint_t                        i;
    ngx_http_gateway_route_lookup_t   lookup;
    ngx_http_gateway_route_result_t   result;

    ngx_memzero(&lookup, sizeof(ngx_http_gateway_route_lookup_t));

    ngx_str_set(&lookup.host, "api.example.com");
    lookup.log = &core_log;

    start = bench_time();

    for (i = 0; i < REQUESTS; i++) {
        lookup.method = requests[i].method;
        lookup.path = requests[i].path;

        if (ngx_http_gateway_route_lookup(table, &lookup, captures, &result)
            != requests[i].rc)
        {
            fprintf(stderr, "wrong: \"%.*s\"\n", (int) lookup.path.len,
                    lookup.path.data);
            exit(1);
        }
    }

    return (double) (bench_time() - start) / REQUESTS;
}


/* "~^/api/v1/RESOURCE(/|$)" for each resource, in a list */

static void
bench_regexes(ngx_uint_t rounds)
{
    u_char                err[NGX_MAX_CONF_ERRSTR];
    double                ns[ROUNDS];
    uint64_t              start;
    ngx_str_t             name;
    ngx_uint_t            i, n, round;
    ngx_regex_t          *regexes[REGEXES];
    ngx_regex_compile_t   rc;

    for (n = 0; n < REGEXES; n++) {
        bench_resource(n, &name);

        ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

        bench_print(&rc.pattern, "^/api/v1/%V(/|$)%Z", &name);
        rc.pattern.len--;
        rc.pool = pool;
        rc.err.data = err;
        rc.err.len = NGX_MAX_CONF_ERRSTR;

        if (ngx_regex_compile(&rc) != NGX_OK) {
            exit(1);
        }

        regexes[n] = rc.regex;
    }

    bench_requests(ROUTES, NULL);

    rounds = ngx_min(rounds, 3);

    for (round = 0; round < rounds; round++) {
        start = bench_time();

        for (i = 0; i < REQUESTS / 100; i++) {
            for (n = 0; n < REGEXES; n++) {
                if (ngx_regex_exec(regexes[n], &requests[i].path, NULL, 0)
                    >= 0)
                {
                    break;
                }
            }
        }

        ns[round] = (double) (bench_time() - start) / (REQUESTS / 100);
    }

    qsort(ns, rounds, sizeof(double), bench_cmp);

    printf("map %.1f\n", ns[rounds / 2]);
}


static void
bench_loaded(const char *name, bench_line_pt line)
{
    size_t    bytes;
    uint64_t  start;

    bytes = bench_bytes();
    pool = ngx_create_pool(16384, &core_log);

    start = bench_time();

    (void) bench_table(ROUTES, line);

    printf("%s %.2f %zu\n", name, (bench_time() - start) / 1e6,
           bench_bytes() - bytes);

    ngx_destroy_pool(pool);
}


static size_t
bench_bytes(void)
{
    struct mallinfo2  info;

    info = mallinfo2();

    return info.uordblks + info.hblkhd;
}


static int
bench_cmp(const void *one, const void *two)
{
    double  a, b;

    a = *(const double *) one;
    b = *(const double *) two;

    return (a > b) - (a < b);
}


static ngx_uint_t
bench_random(ngx_uint_t n)
{
    static uint64_t  random = 1;

    random = random * 6364136223846793005 + 1442695040888963407;

    return (random >> 33) % n;
}


static uint64_t
bench_time(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
