
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Base64 as nginx's core has it: padding, and what is behind it, is not looked
 * at; a rest of one character is wrong.
 */


#include <ngx_config.h>
#include <ngx_core.h>


ngx_int_t
ngx_decode_base64(ngx_str_t *dst, ngx_str_t *src)
{
    char        *at;
    size_t       i;
    u_char      *p;
    unsigned     bits, n;

    static char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    p = dst->data;
    bits = 0;
    n = 0;

    for (i = 0; i < src->len && src->data[i] != '='; i++) {

        at = src->data[i] ? strchr(alphabet, src->data[i]) : NULL;

        if (at == NULL) {
            return NGX_ERROR;
        }

        bits = (bits << 6 | (at - alphabet)) & 0xffff;
        n += 6;

        if (n >= 8) {
            n -= 8;
            *p++ = (u_char) (bits >> n);
        }
    }

    dst->len = p - dst->data;

    return i % 4 == 1 ? NGX_ERROR : NGX_OK;
}
