
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what a worker has once for all connections: random bytes in advance,
 * and a buffer to read into.  Neither is there before a worker needs it, so
 * that no two processes have the same.
 */


#include "ngx_http_gateway_websocket.h"

#include <openssl/rand.h>


#define NGX_HTTP_GATEWAY_WEBSOCKET_RANDOM  1024


static u_char   ngx_http_gateway_websocket_bytes[
                                             NGX_HTTP_GATEWAY_WEBSOCKET_RANDOM];
static size_t   ngx_http_gateway_websocket_nbytes;

static u_char  *ngx_http_gateway_websocket_buffer;
static size_t   ngx_http_gateway_websocket_buffer_size;


ngx_int_t
ngx_http_gateway_websocket_random(u_char *p, size_t len)
{
    u_char  *bytes;

    if (ngx_http_gateway_websocket_nbytes < len) {

        if (RAND_bytes(ngx_http_gateway_websocket_bytes,
                       NGX_HTTP_GATEWAY_WEBSOCKET_RANDOM)
            != 1)
        {
            return NGX_ERROR;
        }

        ngx_http_gateway_websocket_nbytes = NGX_HTTP_GATEWAY_WEBSOCKET_RANDOM;
    }

    ngx_http_gateway_websocket_nbytes -= len;

    bytes = ngx_http_gateway_websocket_bytes
            + ngx_http_gateway_websocket_nbytes;

    ngx_memcpy(p, bytes, len);
    ngx_explicit_memzero(bytes, len);

    return NGX_OK;
}


void
ngx_http_gateway_websocket_moving_buffers(ngx_connection_t *c)
{
#if (NGX_SSL)

    if (c->ssl) {
        SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }

#endif
}


u_char *
ngx_http_gateway_websocket_scratch(size_t size)
{
    u_char  *p;

    if (size > ngx_http_gateway_websocket_buffer_size) {
        p = ngx_alloc(size, ngx_cycle->log);
        if (p == NULL) {
            return NULL;
        }

        if (ngx_http_gateway_websocket_buffer) {
            ngx_free(ngx_http_gateway_websocket_buffer);
        }

        ngx_http_gateway_websocket_buffer = p;
        ngx_http_gateway_websocket_buffer_size = size;
    }

    return ngx_http_gateway_websocket_buffer;
}
