
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A streaming check of one JSON text: grammar of RFC 8259, UTF-8 of RFC 3629,
 * depth.  The text comes in pieces of any size, is looked at once and never
 * kept.  What RFC 8259 leaves open is left as it is: names may repeat, numbers
 * may be of any length, an escaped surrogate may stand alone.  A byte order
 * mark is refused.
 *
 * Needs nginx's core, but not its HTTP, and no memory but its own structure.
 */


#ifndef _NGX_HTTP_GATEWAY_JSON_SCAN_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JSON_SCAN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH   1024


typedef struct {
    u_char        *literal;    /* what has to come of a literal */
    char          *error;      /* why the text is not valid, or NULL */
    off_t          start;      /* where the value starts, -1: not yet */
    off_t          end;        /* where it ends, -1: not yet */
    off_t          offset;     /* bytes scanned */
    ngx_uint_t     depth;
    ngx_uint_t     max_depth;
    u_char         type;       /* first byte of the value */
    u_char         state;
    u_char         object;     /* the innermost container is an object */
    u_char         name;       /* the string is a member's name */
    u_char         left;       /* bytes of a character or an escape to come */
    u_char         low;        /* bounds of the next byte of a character */
    u_char         high;

    /* a bit for each container around the innermost one: is it an object */

    uint64_t       outer[NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH / 64];
} ngx_http_gateway_json_scan_t;


#pragma GCC visibility push(hidden)

/*
 * Starts a text whose containers may be nested "max_depth" levels deep, from 1
 * to NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH.
 */

void ngx_http_gateway_json_scan_init(
    ngx_http_gateway_json_scan_t *s, ngx_uint_t max_depth);

/*
 * Scans the next "len" bytes of the text.
 *
 * Returns NGX_OK, or NGX_ERROR when the text is not valid: s->error says why
 * and s->offset where, from the start of the text.  As soon as the value has
 * ended, s->end is set; only white space may follow.
 */

ngx_int_t ngx_http_gateway_json_scan(
    ngx_http_gateway_json_scan_t *s, u_char *data, size_t len);

/*
 * Ends the text.  Returns NGX_OK when it was one whole value, its bytes being
 * those from s->start up to s->end; or NGX_ERROR.
 */

ngx_int_t ngx_http_gateway_json_scan_end(
    ngx_http_gateway_json_scan_t *s);

/*
 * Returns the end of the value that starts at "p", or NULL when there is no
 * whole valid value in front of "last".  What follows the value is not looked
 * at.
 */

u_char *ngx_http_gateway_json_scan_value(u_char *p, u_char *last);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_JSON_SCAN_H_INCLUDED_ */
