
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The streams of the module with a zlib that can be out of memory, and whose
 * contexts are counted.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <zlib.h>

#include "failing.h"


static int failing_inflate_init(z_streamp strm, int bits, const char *version,
    int size);
static int failing_inflate(z_streamp strm, int flush);
static int failing_inflate_end(z_streamp strm);
static int failing_deflate_init(z_streamp strm, int level, int method,
    int bits, int mem, int strategy, const char *version, int size);
static int failing_deflate_end(z_streamp strm);


static ngx_int_t  failing_left = -1;
static ngx_int_t  failing_count;


void
failing_after(ngx_int_t n)
{
    failing_left = n;
}


ngx_int_t
failing_contexts(void)
{
    return failing_count;
}


static int
failing_inflate_init(z_streamp strm, int bits, const char *version, int size)
{
    int  rc;

    if (failing_left >= 0 && failing_left-- == 0) {
        return Z_MEM_ERROR;
    }

    rc = inflateInit2_(strm, bits, version, size);

    failing_count += (rc == Z_OK);

    return rc;
}


/* zlib takes memory for a window when it has something to keep in it */

static int
failing_inflate(z_streamp strm, int flush)
{
    if (failing_left >= 0 && failing_left-- == 0) {
        return Z_MEM_ERROR;
    }

    return inflate(strm, flush);
}


static int
failing_inflate_end(z_streamp strm)
{
    failing_count--;

    return inflateEnd(strm);
}


static int
failing_deflate_init(z_streamp strm, int level, int method, int bits, int mem,
    int strategy, const char *version, int size)
{
    int  rc;

    if (failing_left >= 0 && failing_left-- == 0) {
        return Z_MEM_ERROR;
    }

    rc = deflateInit2_(strm, level, method, bits, mem, strategy, version,
                       size);

    failing_count += (rc == Z_OK);

    return rc;
}


static int
failing_deflate_end(z_streamp strm)
{
    failing_count--;

    return deflateEnd(strm);
}


#define inflateInit2_  failing_inflate_init
#define inflate        failing_inflate
#define inflateEnd     failing_inflate_end
#define deflateInit2_  failing_deflate_init
#define deflateEnd     failing_deflate_end


#ifndef STREAMS
#define STREAMS  "ngx_http_gateway_websocket_deflate.c"
#endif

#include STREAMS
