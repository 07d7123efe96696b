
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Inflating as RFC 1951 and RFC 7692 describe it, bit by bit and a message at
 * a time, to compare with.  Its windows have 32 KB.
 */


#ifndef _REFERENCE_H_INCLUDED_
#define _REFERENCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define REFERENCE_OK     0
#define REFERENCE_ERROR  1    /* not deflated data */
#define REFERENCE_FULL   2    /* no more room in "out" */


typedef struct {
    u_char      *out;         /* all that came out so far, in "room" bytes */
    size_t       len;
    size_t       room;
    size_t       window;      /* where in it the window begins */
    size_t       distance;    /* the longest one of the last message */

    /* what is read: payload, then the tail of section 7.2.2 */

    u_char      *in;
    size_t       size;
    size_t       pos;
    ngx_uint_t   bits;        /* those of in[pos] that were read */
} reference_t;


void reference_init(reference_t *r, u_char *out, size_t room);

/*
 * Appends a message to what came out.  Without takeover it cannot refer to
 * those before.
 */

ngx_uint_t reference_message(reference_t *r, u_char *in, size_t size,
    ngx_uint_t no_takeover);


#endif /* _REFERENCE_H_INCLUDED_ */
