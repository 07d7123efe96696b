
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Tokens of HTTP, RFC 9110, section 5.6.2: methods, names of fields,
 * subprotocols.
 */


#ifndef _NGX_HTTP_GATEWAY_TOKEN_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Tells whether it is a "tchar", of which tokens are made. */

static ngx_inline ngx_uint_t
ngx_http_gateway_is_tchar(u_char c)
{
    static uint32_t  tchar[] = {
        0x00000000,

                    /* ?>=< ;:98 7654 3210  /.-, +*)( '&%$ #"!  */
        0x03ff6cfa, /* 0000 0011 1111 1111  0110 1100 1111 1010 */

                    /* _^]\ [ZYX WVUT SRQP  ONML KJIH GFED CBA@ */
        0xc7fffffe, /* 1100 0111 1111 1111  1111 1111 1111 1110 */

                    /*  ~}| {zyx wvut srqp  onml kjih gfed cba` */
        0x57ffffff, /* 0101 0111 1111 1111  1111 1111 1111 1111 */

        0x00000000, 0x00000000, 0x00000000, 0x00000000
    };

    return (tchar[c >> 5] & (1U << (c & 0x1f))) != 0;
}


/* Tells whether these "len" bytes are a token: an empty one is none. */

static ngx_inline ngx_uint_t
ngx_http_gateway_is_token(u_char *data, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!ngx_http_gateway_is_tchar(data[i])) {
            return 0;
        }
    }

    return len != 0;
}


#endif /* _NGX_HTTP_GATEWAY_TOKEN_H_INCLUDED_ */
