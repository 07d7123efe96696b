
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Frames of the WebSocket protocol, RFC 6455, section 5: read where they lie,
 * in pieces as they arrive, and written.
 *
 * A frame's header, and the whole of a control frame, is looked at when all of
 * it is there, so that a caller has to keep at most
 * NGX_HTTP_GATEWAY_WEBSOCKET_HEAD bytes together.  The payload of other frames
 * is taken in pieces of any size and never kept.
 *
 * Needs nginx's core, but not its HTTP, and no memory but its own structure.
 */


#ifndef _NGX_HTTP_GATEWAY_WEBSOCKET_FRAME_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_WEBSOCKET_FRAME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_GATEWAY_WEBSOCKET_CONTINUATION  0x0
#define NGX_HTTP_GATEWAY_WEBSOCKET_TEXT          0x1
#define NGX_HTTP_GATEWAY_WEBSOCKET_BINARY        0x2
#define NGX_HTTP_GATEWAY_WEBSOCKET_CLOSE         0x8
#define NGX_HTTP_GATEWAY_WEBSOCKET_PING          0x9
#define NGX_HTTP_GATEWAY_WEBSOCKET_PONG          0xa

#define NGX_HTTP_GATEWAY_WEBSOCKET_FIN           0x80
#define NGX_HTTP_GATEWAY_WEBSOCKET_RSV1          0x40

/* status codes of section 7.4.1 and of the registry it made */

#define NGX_HTTP_GATEWAY_WEBSOCKET_NORMAL        1000
#define NGX_HTTP_GATEWAY_WEBSOCKET_GOING_AWAY    1001
#define NGX_HTTP_GATEWAY_WEBSOCKET_PROTOCOL      1002
#define NGX_HTTP_GATEWAY_WEBSOCKET_UNSUPPORTED   1003
#define NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS     1005
#define NGX_HTTP_GATEWAY_WEBSOCKET_INVALID       1007
#define NGX_HTTP_GATEWAY_WEBSOCKET_POLICY        1008
#define NGX_HTTP_GATEWAY_WEBSOCKET_TOO_BIG       1009
#define NGX_HTTP_GATEWAY_WEBSOCKET_INTERNAL      1011

#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER    14
#define NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL   125

/* the longest control frame: payload, header and mask */

#define NGX_HTTP_GATEWAY_WEBSOCKET_HEAD                                       \
    (NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL + 6)


/* a character that is not whole yet */

typedef struct {
    u_char       left;          /* bytes to come */
    u_char       low;           /* bounds of the next one */
    u_char       high;
} ngx_http_gateway_websocket_utf8_t;


typedef struct {
    uint64_t     max_frame;     /* bytes of payload; 0: any */
    uint64_t     max_message;   /* likewise, of what is not compressed */

    uint64_t     length;        /* of the frame's payload */
    uint64_t     rest;          /* of it to come, but for a control frame */
    uint64_t     size;          /* of the message, with this frame */

    char        *error;         /* why the connection has to be closed */
    ngx_uint_t   code;          /* with this status code */

    ngx_http_gateway_websocket_utf8_t  utf8;

    u_char       mask[4];
    u_char       opcode;        /* of the frame */
    u_char       type;          /* opcode of the message */

    unsigned     masked:1;      /* the peer is a client */
    unsigned     deflate:1;     /* permessage-deflate was agreed on */
    unsigned     fin:1;
    unsigned     open:1;        /* the message has more to come */
    unsigned     first:1;       /* the frame starts a message */
    unsigned     compressed:1;  /* the message is */
} ngx_http_gateway_websocket_parser_t;


#pragma GCC visibility push(hidden)

/*
 * Starts a connection's frames of one direction: "masked" says that they come
 * from a client.  The limits are set by the caller.
 */

void ngx_http_gateway_websocket_parser_init(
    ngx_http_gateway_websocket_parser_t *ps, ngx_uint_t masked);

/*
 * Looks at the frame that starts at *pos.  To be called when the one before has
 * no "rest".
 *
 * Returns NGX_OK with *pos at the payload; the whole of it is there when
 * ngx_http_gateway_websocket_is_control(), which the caller then passes over.
 * NGX_AGAIN when more bytes are needed: *pos stays.  NGX_ERROR when the frame
 * breaks the protocol or a limit: ps->code and ps->error say how.  With a
 * broken limit, code 1009, *pos and ps->rest are as with NGX_OK, so that the
 * payload can be passed over.
 */

ngx_int_t ngx_http_gateway_websocket_parse(
    ngx_http_gateway_websocket_parser_t *ps, u_char **pos, u_char *last);

/*
 * Take the next "len" bytes, ps->rest at most, of the payload of a frame that
 * is not a control frame: the first unmasks them in place, the second leaves
 * them as they are.  Both check the text of a message that is not compressed.
 * To be called at least once for each frame, also when it has no payload.
 *
 * Return NGX_OK, or NGX_ERROR with ps->code and ps->error set.  The message
 * has ended when ngx_http_gateway_websocket_is_whole().
 */

ngx_int_t ngx_http_gateway_websocket_take(
    ngx_http_gateway_websocket_parser_t *ps, u_char *p, size_t len);
ngx_int_t ngx_http_gateway_websocket_pass(
    ngx_http_gateway_websocket_parser_t *ps, u_char *p, size_t len);

/*
 * Checks the next "len" bytes of a text.  Returns NGX_OK, or NGX_ERROR when
 * they are not UTF-8, RFC 3629.  The text is whole when utf8->left is 0.
 */

ngx_int_t ngx_http_gateway_websocket_utf8(
    ngx_http_gateway_websocket_utf8_t *utf8, u_char *p, size_t len);

/*
 * Masks or unmasks "len" bytes at "src" to "dst", which may be "src" itself
 * (section 5.3).  "offset" is that of the first byte in the payload.
 */

void ngx_http_gateway_websocket_mask(u_char *dst, u_char *src, size_t len,
    u_char *mask, uint64_t offset);

/*
 * Looks at the payload of a Close frame, unmasked: sets *code to its status
 * code, or to NGX_HTTP_GATEWAY_WEBSOCKET_NO_STATUS.  Returns NGX_OK, or
 * NGX_ERROR with *code the one to close with.
 */

ngx_int_t ngx_http_gateway_websocket_close_code(u_char *p, size_t len,
    ngx_uint_t *code);

/*
 * Writes a frame's header to "p", which has room for
 * NGX_HTTP_GATEWAY_WEBSOCKET_MAX_HEADER bytes: "first" is its first byte, flags
 * and opcode, "mask" NULL or four bytes.  Returns the header's end.
 */

u_char *ngx_http_gateway_websocket_header(u_char *p, ngx_uint_t first,
    uint64_t len, u_char *mask);

/*
 * Writes a whole control frame to "p", which has room for
 * NGX_HTTP_GATEWAY_WEBSOCKET_HEAD bytes.  Returns its end.
 */

u_char *ngx_http_gateway_websocket_control(u_char *p, ngx_uint_t opcode,
    u_char *data, size_t len, u_char *mask);

#pragma GCC visibility pop


#define ngx_http_gateway_websocket_is_control(ps)  ((ps)->opcode & 0x8)

#define ngx_http_gateway_websocket_is_whole(ps)                               \
    ((ps)->rest == 0 && !(ps)->open)


#endif /* _NGX_HTTP_GATEWAY_WEBSOCKET_FRAME_H_INCLUDED_ */
