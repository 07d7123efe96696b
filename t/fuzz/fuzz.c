
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what nginx's core needs around it, and the way of an input to the
 * target.
 */


#include <openssl/err.h>

#include "fuzz.h"


ngx_log_t              fuzz_log;
const char            *fuzz_outcome;

ngx_pid_t              ngx_pid;
volatile ngx_cycle_t  *ngx_cycle;


static void fuzz_init(void);


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
    last = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    /* bugs are logged as alerts, and nothing here runs out of memory */

    if (level <= NGX_LOG_CRIT) {
        fprintf(stderr, "%.*s\n", (int) (last - buf), buf);
        abort();
    }
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
