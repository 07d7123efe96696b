
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What nginx's core files need that are linked with the router's: a log that
 * goes to standard output, memory, and what ngx_regex.c has for nginx itself.
 */


#ifndef _CORE_H_INCLUDED_
#define _CORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_log_t   core_log;

/* nothing is printed of what is logged */

extern ngx_uint_t  core_quiet;

/* how many allocations succeed before one fails; -1: all do */

extern ngx_int_t   core_allocations;


void core_init(void);


#endif /* _CORE_H_INCLUDED_ */
