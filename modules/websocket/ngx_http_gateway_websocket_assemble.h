
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Messages that are put together of the payloads of their frames, inflated
 * where they are compressed.
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_ASSEMBLE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_ASSEMBLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_websocket_deflate.h"
#include "ngx_http_gateway_websocket_frame.h"


/*
 * What there is of a message: "len" bytes, behind "head" bytes that are the
 * owner's.  The memory is of ngx_alloc(), and there is none as long as "head"
 * and "len" are 0.
 */

typedef struct {
    u_char      *start;
    size_t       head;
    size_t       len;
    size_t       room;      /* for "len" */
    size_t       hint;      /* room to make when there is none, 0: as needed */
    ngx_log_t   *log;
} ngx_http_gateway_websocket_assembly_t;


#pragma GCC visibility push(hidden)

/*
 * Adds the next "len" bytes of the payload of a frame that is not a control
 * frame, in place of ngx_http_gateway_websocket_take(): unmasks them where they
 * are.  "z" inflates compressed messages, of which at most "max" bytes come.
 *
 * Returns NGX_OK, or NGX_ERROR with ps->code and ps->error set; the payload has
 * been passed over then, and the rest of the message may be, too, with
 * ngx_http_gateway_websocket_pass_over().
 */

ngx_int_t ngx_http_gateway_websocket_assemble(
    ngx_http_gateway_websocket_assembly_t *a,
    ngx_http_gateway_websocket_parser_t *ps,
    ngx_http_gateway_websocket_inflate_t *z, size_t max, u_char *p,
    size_t len);

/* Passes over the next "len" bytes of such a payload, whatever they are. */

void ngx_http_gateway_websocket_pass_over(
    ngx_http_gateway_websocket_parser_t *ps, size_t len);

/* Takes the memory from the assembly, and starts another message. */

u_char *ngx_http_gateway_websocket_assembled(
    ngx_http_gateway_websocket_assembly_t *a);

/* Frees the memory. */

void ngx_http_gateway_websocket_assembly_free(
    ngx_http_gateway_websocket_assembly_t *a);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_ASSEMBLE_H_INCLUDED_ */
