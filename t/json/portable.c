
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The scanner once more, as it is compiled where there is no SSE2, with names
 * of its own.
 */


#define NGX_HTTP_GATEWAY_JSON_NO_SSE2     1

#define ngx_http_gateway_json_scan_init   portable_scan_init
#define ngx_http_gateway_json_scan        portable_scan
#define ngx_http_gateway_json_scan_end    portable_scan_end
#define ngx_http_gateway_json_scan_value  portable_scan_value


#ifndef SCANNER
#define SCANNER  "ngx_http_gateway_json_scan.c"
#endif

#include SCANNER
