
/*
 * Copyright (C) ngx_gateway authors
 */


#ifndef _FAILING_H_INCLUDED_
#define _FAILING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Lets one call of zlib have no memory, that after "n" more; -1: none. */

void failing_after(ngx_int_t n);

/* How many contexts of zlib there are. */

ngx_int_t failing_contexts(void);


#endif /* _FAILING_H_INCLUDED_ */
