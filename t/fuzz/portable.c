
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The scanner of the aggregate module once more, as it is compiled where there
 * is no SSE2, with names of its own.
 */


#define NGX_HTTP_GATEWAY_JSON_NO_SSE2     1

#define ngx_http_gateway_json_scan_init   fuzz_portable_scan_init
#define ngx_http_gateway_json_scan        fuzz_portable_scan
#define ngx_http_gateway_json_scan_end    fuzz_portable_scan_end
#define ngx_http_gateway_json_scan_value  fuzz_portable_scan_value


#include "ngx_http_gateway_json_scan.c"
