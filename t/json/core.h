
/*
 * Copyright (C) ngx_gateway authors
 */


#ifndef _CORE_H_INCLUDED_
#define _CORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* A pool without memory of its own; core_free() frees what it gave. */

ngx_pool_t *core_pool(void);
void core_free(ngx_pool_t *pool);

/* Lets one allocation of a pool fail, that after "n" more; -1: none. */

void core_allocations(ngx_int_t n);

/* Tells whether it has. */

ngx_uint_t core_failed(void);


#endif /* _CORE_H_INCLUDED_ */
