
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what nginx's core needs around it, and the way of an input to the
 * target.
 */


#include <openssl/crypto.h>
#include <openssl/err.h>

#include "fuzz.h"


ngx_log_t              fuzz_log;
const char            *fuzz_outcome;

ngx_uint_t             ngx_pagesize;
ngx_pid_t              ngx_pid;
volatile ngx_cycle_t  *ngx_cycle;

void                 (*fuzz_logged)(ngx_uint_t level, u_char *text);


static void fuzz_init(void);
static void *fuzz_jansson_malloc(size_t size);
static void *fuzz_malloc(size_t size);


static ngx_int_t       fuzz_allocations_left = -1;
static ngx_uint_t      fuzz_jansson_may_fail;
static ngx_cycle_t     fuzz_cycle;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t   input;
    ngx_pool_t  *pool;

    fuzz_init();

    pool = ngx_create_pool(1024, &fuzz_log);
    fuzz_check(pool != NULL);

    fuzz_copy(pool, &input, data, size);

    fuzz_outcome = fuzz_input(pool, &input);

    ngx_destroy_pool(pool);

    /* nginx would log what is left there as an error of some connection */

    fuzz_check(ERR_peek_error() == 0);

    return 0;
}


static void
fuzz_init(void)
{
    if (ngx_pagesize) {
        return;
    }

    ngx_pagesize = getpagesize();
    ngx_pid = ngx_getpid();

    fuzz_log.log_level = NGX_LOG_DEBUG;

    /* where ngx_regex.c logs to */

    fuzz_cycle.log = &fuzz_log;
    ngx_cycle = &fuzz_cycle;

    json_set_alloc_funcs(fuzz_jansson_malloc, free);
}


void
fuzz_allocations(ngx_int_t n, ngx_uint_t jansson)
{
    fuzz_allocations_left = n;
    fuzz_jansson_may_fail = jansson;
}


/* in the place of nginx's src/os/unix/ngx_alloc.c */

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return fuzz_malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = fuzz_malloc(size);

    if (p != NULL) {
        ngx_memzero(p, size);
    }

    return p;
}


void *
ngx_memalign(size_t alignment, size_t size, ngx_log_t *log)
{
    void  *p;

    return posix_memalign(&p, alignment, size) == 0 ? p : NULL;
}


static void *
fuzz_jansson_malloc(size_t size)
{
    return fuzz_jansson_may_fail ? fuzz_malloc(size) : malloc(size);
}


static void *
fuzz_malloc(size_t size)
{
    if (fuzz_allocations_left >= 0 && fuzz_allocations_left-- == 0) {
        return NULL;
    }

    return malloc(size);
}


void
fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}


/* messages are made, to see that they can be, and thrown away */

void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   *last, buf[NGX_MAX_ERROR_STR];
    va_list   args;

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + sizeof(buf) - 1, fmt, args);
    va_end(args);

    *last = '\0';

    /*
     * Bugs are logged as alerts, nothing here runs out of memory, and what a
     * configuration has wrong is an emergency.
     */

    if (level == NGX_LOG_ALERT || level == NGX_LOG_CRIT
        || (level == NGX_LOG_EMERG && fuzz_logged == NULL))
    {
        fprintf(stderr, "%s\n", buf);
        abort();
    }

    if (fuzz_logged != NULL) {
        fuzz_logged(level, buf);
    }
}


/* of nginx's configuration, which ngx_regex.c has a directive for */

char *
ngx_conf_set_flag_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return NGX_CONF_OK;
}


void ngx_cdecl
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
}


/* in the place of OpenSSL's, so that ASan sees what is compared */

int
CRYPTO_memcmp(const void *one, const void *two, size_t len)
{
    size_t         i;
    u_char         diff;
    const u_char  *a, *b;

    a = one;
    b = two;

    for (i = 0, diff = 0; i < len; i++) {
        diff |= a[i] ^ b[i];
    }

    return diff;
}


void
fuzz_copy(ngx_pool_t *pool, ngx_str_t *dst, const void *data, size_t len)
{
    dst->len = len;
    dst->data = ngx_pnalloc(pool, len);
    fuzz_check(dst->data != NULL);

    if (len) {
        ngx_memcpy(dst->data, data, len);
    }
}


void
fuzz_split(ngx_pool_t *pool, ngx_str_t *input, ngx_str_t *first,
    ngx_str_t *rest)
{
    u_char  *p, *last;

    last = input->data + input->len;

    p = ngx_strlchr(input->data, last, LF);
    if (p == NULL) {
        p = last;
    }

    fuzz_copy(pool, first, input->data, p - input->data);

    if (p < last) {
        p++;
    }

    fuzz_copy(pool, rest, p, last - p);
}


ngx_uint_t
fuzz_equal(ngx_str_t *one, const void *data, size_t len)
{
    return one->len == len && (len == 0 || memcmp(one->data, data, len) == 0);
}


json_t *
fuzz_load(ngx_str_t *text)
{
    /* jansson 2.14 passes over a NUL after a number, true, false or null */

    if (memchr(text->data, '\0', text->len) != NULL) {
        return NULL;
    }

    return json_loadb((char *) text->data, text->len, JSON_REJECT_DUPLICATES,
                      NULL);
}
