
/*
 * Copyright (C) ngx_gateway authors
 */


#include "core.h"


ngx_log_t              core_log;
ngx_uint_t             core_quiet;
ngx_int_t              core_allocations = -1;

ngx_uint_t             ngx_pagesize;
ngx_pid_t              ngx_pid;
volatile ngx_cycle_t  *ngx_cycle;


static ngx_uint_t core_fails(void);


static ngx_cycle_t     core_cycle;


void
core_init(void)
{
    ngx_pagesize = getpagesize();
    core_log.log_level = NGX_LOG_INFO;
    core_cycle.log = &core_log;
    ngx_cycle = &core_cycle;

    setvbuf(stdout, NULL, _IOLBF, 0);
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return core_fails() ? NULL : malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return core_fails() ? NULL : calloc(1, size);
}


void *
ngx_memalign(size_t alignment, size_t size, ngx_log_t *log)
{
    void  *p;

    return posix_memalign(&p, alignment, size) == 0 ? p : NULL;
}


static ngx_uint_t
core_fails(void)
{
    return core_allocations >= 0 && core_allocations-- == 0;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   *last, buf[NGX_MAX_ERROR_STR];
    va_list   args;

    static const char  *levels[] = {
        "", "emerg", "alert", "crit", "error", "warn", "notice", "info"
    };

    if (core_quiet) {
        return;
    }

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    printf("%s: %.*s\n", levels[level], (int) (last - buf), buf);
}


/* of nginx's configuration, which there is none of */

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
