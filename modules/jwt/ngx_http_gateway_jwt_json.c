
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the index of a token's JSON and the values in it.  Never judges JSON:
 * jansson does, before a byte is indexed.  Needs nginx's core, not its HTTP.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>

#include <jansson.h>

#include "ngx_http_gateway_jwt_json.h"


#define NGX_HTTP_GATEWAY_JWT_NO_NODE     0xffffffff

/* the longest number, in characters, whose value is asked for */
#define NGX_HTTP_GATEWAY_JWT_NUMBER_LEN  511


typedef struct {
    u_char                       *pos;
    u_char                       *last;

    ngx_http_gateway_jwt_json_t  *json;
    ngx_uint_t                    max;        /* nodes there is room for */
    u_char                       *extra;      /* where strings are unescaped */
    u_char                       *extra_last;

    uint32_t                      parent;     /* the innermost open value */
    uint32_t                      name;       /* of the value to come */
    uint32_t                      name_len;
} ngx_http_gateway_jwt_json_scan_t;


typedef struct {
    u_char                       *start;
    u_char                       *end;        /* after the last character */
    unsigned                      escaped:1;
    unsigned                      name:1;
} ngx_http_gateway_jwt_json_string_t;


static void ngx_http_gateway_jwt_json_skip(
    ngx_http_gateway_jwt_json_scan_t *scan);
static ngx_int_t ngx_http_gateway_jwt_json_string(
    ngx_http_gateway_jwt_json_scan_t *scan,
    ngx_http_gateway_jwt_json_string_t *s);
static ngx_uint_t ngx_http_gateway_jwt_json_literal(
    ngx_http_gateway_jwt_json_scan_t *scan);
static ngx_int_t ngx_http_gateway_jwt_json_add(
    ngx_http_gateway_jwt_json_scan_t *scan, ngx_uint_t type, u_char *start,
    u_char *end);
static ngx_int_t ngx_http_gateway_jwt_json_add_string(
    ngx_http_gateway_jwt_json_scan_t *scan);
static ngx_int_t ngx_http_gateway_jwt_json_open(
    ngx_http_gateway_jwt_json_scan_t *scan);
static ngx_int_t ngx_http_gateway_jwt_json_close(
    ngx_http_gateway_jwt_json_scan_t *scan);
static ngx_int_t ngx_http_gateway_jwt_json_unescape(
    ngx_http_gateway_jwt_json_scan_t *scan,
    ngx_http_gateway_jwt_json_string_t *s);
static ngx_int_t ngx_http_gateway_jwt_json_hex(u_char *p, u_char *last,
    uint32_t *code);
static ngx_int_t ngx_http_gateway_jwt_integer(ngx_str_t *text, int64_t *n);


ngx_int_t
ngx_http_gateway_jwt_json_measure(ngx_str_t *text, ngx_uint_t *nnodes,
    size_t *extra)
{
    json_t                              *root;
    ngx_uint_t                           object;
    ngx_http_gateway_jwt_json_scan_t     scan;
    ngx_http_gateway_jwt_json_string_t   s;

    /* no JSON has one; jansson passes over one after a number or a literal */

    if (memchr(text->data, '\0', text->len) != NULL) {
        return NGX_DECLINED;
    }

    root = json_loadb((char *) text->data, text->len, JSON_REJECT_DUPLICATES,
                      NULL);
    if (root == NULL) {
        return NGX_DECLINED;
    }

    object = json_is_object(root);

    json_decref(root);

    if (!object) {
        return NGX_DECLINED;
    }

    *nnodes = 0;
    *extra = 0;

    scan.pos = text->data;
    scan.last = text->data + text->len;

    for ( ;; ) {

        ngx_http_gateway_jwt_json_skip(&scan);

        if (scan.pos == scan.last) {
            return NGX_OK;
        }

        switch (*scan.pos) {

        case '"':
            if (ngx_http_gateway_jwt_json_string(&scan, &s) != NGX_OK) {
                return NGX_DECLINED;
            }

            *nnodes += s.name ? 0 : 1;
            *extra += s.escaped ? s.end - s.start : 0;
            break;

        case '{':
        case '[':
            scan.pos++;
            (*nnodes)++;
            break;

        case '}':
        case ']':
            scan.pos++;
            break;

        default:
            (void) ngx_http_gateway_jwt_json_literal(&scan);
            (*nnodes)++;
        }
    }
}


ngx_int_t
ngx_http_gateway_jwt_json_index(ngx_http_gateway_jwt_json_t *json,
    ngx_uint_t nnodes, size_t extra)
{
    u_char                            *start;
    ngx_int_t                          rc;
    ngx_uint_t                         type;
    ngx_http_gateway_jwt_json_scan_t   scan;

    ngx_memzero(&scan, sizeof(ngx_http_gateway_jwt_json_scan_t));

    scan.json = json;
    scan.max = nnodes;
    scan.pos = json->text;
    scan.last = json->text + json->len;
    scan.extra = scan.last;
    scan.extra_last = scan.last + extra;
    scan.parent = NGX_HTTP_GATEWAY_JWT_NO_NODE;

    json->nnodes = 0;

    for ( ;; ) {

        ngx_http_gateway_jwt_json_skip(&scan);

        if (scan.pos == scan.last) {
            break;
        }

        switch (*scan.pos) {

        case '"':
            rc = ngx_http_gateway_jwt_json_add_string(&scan);
            break;

        case '{':
        case '[':
            rc = ngx_http_gateway_jwt_json_open(&scan);
            break;

        case '}':
        case ']':
            rc = ngx_http_gateway_jwt_json_close(&scan);
            break;

        default:
            start = scan.pos;
            type = ngx_http_gateway_jwt_json_literal(&scan);
            rc = ngx_http_gateway_jwt_json_add(&scan, type, start, scan.pos);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (json->nnodes != nnodes || json->nnodes == 0
        || scan.parent != NGX_HTTP_GATEWAY_JWT_NO_NODE)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* what stands between values carries nothing that jansson has not checked */

static void
ngx_http_gateway_jwt_json_skip(ngx_http_gateway_jwt_json_scan_t *scan)
{
    while (scan->pos < scan->last) {

        switch (*scan->pos) {

        case ' ':
        case '\t':
        case CR:
        case LF:
        case ',':
        case ':':
            scan->pos++;
            continue;
        }

        return;
    }
}


static ngx_int_t
ngx_http_gateway_jwt_json_string(ngx_http_gateway_jwt_json_scan_t *scan,
    ngx_http_gateway_jwt_json_string_t *s)
{
    u_char  *p;

    s->start = scan->pos + 1;
    s->escaped = 0;

    for (p = s->start; p < scan->last && *p != '"'; p++) {

        if (*p == '\\') {
            s->escaped = 1;
            p++;
        }
    }

    if (p >= scan->last) {
        return NGX_ERROR;
    }

    s->end = p++;

    while (p < scan->last
           && (*p == ' ' || *p == '\t' || *p == CR || *p == LF))
    {
        p++;
    }

    s->name = (p < scan->last && *p == ':');

    scan->pos = p;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_jwt_json_literal(ngx_http_gateway_jwt_json_scan_t *scan)
{
    u_char      *p;
    ngx_uint_t   type;

    switch (*scan->pos) {

    case 'n':
        type = NGX_HTTP_GATEWAY_JWT_NULL;
        break;

    case 'f':
        type = NGX_HTTP_GATEWAY_JWT_FALSE;
        break;

    case 't':
        type = NGX_HTTP_GATEWAY_JWT_TRUE;
        break;

    default:
        type = NGX_HTTP_GATEWAY_JWT_INTEGER;
    }

    for (p = scan->pos + 1; p < scan->last; p++) {

        switch (*p) {

        case ' ':
        case '\t':
        case CR:
        case LF:
        case ',':
        case ']':
        case '}':
            scan->pos = p;
            return type;

        case '.':
        case 'e':
        case 'E':
            if (type == NGX_HTTP_GATEWAY_JWT_INTEGER) {
                type = NGX_HTTP_GATEWAY_JWT_REAL;
            }
        }
    }

    scan->pos = p;

    return type;
}


static ngx_int_t
ngx_http_gateway_jwt_json_add(ngx_http_gateway_jwt_json_scan_t *scan,
    ngx_uint_t type, u_char *start, u_char *end)
{
    ngx_http_gateway_jwt_json_t  *json;
    ngx_http_gateway_jwt_node_t  *node;

    json = scan->json;

    if (json->nnodes == scan->max) {
        return NGX_ERROR;
    }

    node = &json->nodes[json->nnodes++];

    node->name = scan->name;
    node->name_len = scan->name_len;
    node->value = start - json->text;
    node->len = end - start;
    node->next = json->nnodes;
    node->type = type;

    scan->name = 0;
    scan->name_len = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_json_add_string(ngx_http_gateway_jwt_json_scan_t *scan)
{
    ngx_http_gateway_jwt_json_string_t  s;

    if (ngx_http_gateway_jwt_json_string(scan, &s) != NGX_OK
        || ngx_http_gateway_jwt_json_unescape(scan, &s) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (s.name) {
        scan->name = s.start - scan->json->text;
        scan->name_len = s.end - s.start;
        return NGX_OK;
    }

    return ngx_http_gateway_jwt_json_add(scan, NGX_HTTP_GATEWAY_JWT_STRING,
                                         s.start, s.end);
}


/* while a value is open, its "next" is the value it stands in */

static ngx_int_t
ngx_http_gateway_jwt_json_open(ngx_http_gateway_jwt_json_scan_t *scan)
{
    ngx_uint_t                    type;
    ngx_http_gateway_jwt_json_t  *json;

    json = scan->json;

    type = (*scan->pos == '{') ? NGX_HTTP_GATEWAY_JWT_OBJECT
                               : NGX_HTTP_GATEWAY_JWT_ARRAY;

    if (ngx_http_gateway_jwt_json_add(scan, type, scan->pos, scan->pos)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json->nodes[json->nnodes - 1].next = scan->parent;
    scan->parent = json->nnodes - 1;
    scan->pos++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_json_close(ngx_http_gateway_jwt_json_scan_t *scan)
{
    ngx_http_gateway_jwt_json_t  *json;
    ngx_http_gateway_jwt_node_t  *node;

    json = scan->json;

    if (scan->parent == NGX_HTTP_GATEWAY_JWT_NO_NODE) {
        return NGX_ERROR;
    }

    scan->pos++;

    node = &json->nodes[scan->parent];
    scan->parent = node->next;

    node->len = scan->pos - json->text - node->value;
    node->next = json->nnodes;

    return NGX_OK;
}


/*
 * Points "s" at its characters.  Unescaped ones go after the text, which has
 * to stay as it is for the values that this string is a part of; they never
 * take more bytes than the escaped ones.
 */

static ngx_int_t
ngx_http_gateway_jwt_json_unescape(ngx_http_gateway_jwt_json_scan_t *scan,
    ngx_http_gateway_jwt_json_string_t *s)
{
    u_char    *p, *dst, *start;
    uint32_t   code, low;

    if (!s->escaped) {
        return NGX_OK;
    }

    if (scan->extra_last - scan->extra < s->end - s->start) {
        return NGX_ERROR;
    }

    dst = scan->extra;
    start = dst;

    for (p = s->start; p < s->end; /* void */) {

        if (*p != '\\') {
            *dst++ = *p++;
            continue;
        }

        p++;

        switch (*p) {

        case 'b':
            *dst++ = '\b';
            break;

        case 'f':
            *dst++ = '\f';
            break;

        case 'n':
            *dst++ = LF;
            break;

        case 'r':
            *dst++ = CR;
            break;

        case 't':
            *dst++ = '\t';
            break;

        case 'u':
            if (ngx_http_gateway_jwt_json_hex(p + 1, s->end, &code)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            p += 4;

            if (code >= 0xd800 && code < 0xdc00) {

                /* the other half of a surrogate pair, "\uXXXX" */

                if (ngx_http_gateway_jwt_json_hex(p + 3, s->end, &low)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }

                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }

            if (code < 0x80) {
                *dst++ = (u_char) code;

            } else if (code < 0x800) {
                *dst++ = (u_char) (0xc0 | (code >> 6));
                *dst++ = (u_char) (0x80 | (code & 0x3f));

            } else if (code < 0x10000) {
                *dst++ = (u_char) (0xe0 | (code >> 12));
                *dst++ = (u_char) (0x80 | ((code >> 6) & 0x3f));
                *dst++ = (u_char) (0x80 | (code & 0x3f));

            } else {
                *dst++ = (u_char) (0xf0 | (code >> 18));
                *dst++ = (u_char) (0x80 | ((code >> 12) & 0x3f));
                *dst++ = (u_char) (0x80 | ((code >> 6) & 0x3f));
                *dst++ = (u_char) (0x80 | (code & 0x3f));
            }

            break;

        default: /* '"', '\\', '/' */
            *dst++ = *p;
        }

        p++;
    }

    scan->extra = dst;

    s->start = start;
    s->end = dst;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_json_hex(u_char *p, u_char *last, uint32_t *code)
{
    ngx_int_t  n;

    if (last - p < 4) {
        return NGX_ERROR;
    }

    n = ngx_hextoi(p, 4);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    *code = (uint32_t) n;

    return NGX_OK;
}


void
ngx_http_gateway_jwt_json_text(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, ngx_str_t *text)
{
    text->len = node->len;
    text->data = json->text + node->value;
}


ngx_int_t
ngx_http_gateway_jwt_json_number(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, double *number)
{
    ngx_str_t  text;

    if (node->type != NGX_HTTP_GATEWAY_JWT_INTEGER
        && node->type != NGX_HTTP_GATEWAY_JWT_REAL)
    {
        return NGX_DECLINED;
    }

    ngx_http_gateway_jwt_json_text(json, node, &text);

    return ngx_http_gateway_jwt_number(&text, number);
}


ngx_int_t
ngx_http_gateway_jwt_number(ngx_str_t *text, double *number)
{
    char     *end, buf[NGX_HTTP_GATEWAY_JWT_NUMBER_LEN + 1];
    u_char   *p, *last;
    int64_t   n;

    if (ngx_http_gateway_jwt_integer(text, &n) == NGX_OK) {
        *number = (double) n;
        return NGX_OK;
    }

    if (text->len == 0 || text->len > NGX_HTTP_GATEWAY_JWT_NUMBER_LEN) {
        return NGX_DECLINED;
    }

    p = text->data;
    last = p + text->len;

    /* strtod() knows more forms of a number than JSON does */

    if (*p == '-') {
        p++;
    }

    if (p == last || *p < '0' || *p > '9') {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        if ((*p < '0' || *p > '9') && *p != '.' && *p != 'e' && *p != 'E'
            && *p != '+' && *p != '-')
        {
            return NGX_DECLINED;
        }
    }

    ngx_cpystrn((u_char *) buf, text->data, text->len + 1);

    *number = strtod(buf, &end);

    return (*end == '\0' && isfinite(*number)) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_gateway_jwt_number_cmp(ngx_str_t *one, ngx_str_t *two,
    ngx_int_t *sign)
{
    double   a, b;
    int64_t  m, n;

    if (ngx_http_gateway_jwt_integer(one, &m) == NGX_OK
        && ngx_http_gateway_jwt_integer(two, &n) == NGX_OK)
    {
        *sign = (m > n) - (m < n);
        return NGX_OK;
    }

    if (ngx_http_gateway_jwt_number(one, &a) != NGX_OK
        || ngx_http_gateway_jwt_number(two, &b) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *sign = (a > b) - (a < b);

    return NGX_OK;
}


/* an integer of 64 bits: ngx_atoi() knows no sign */

static ngx_int_t
ngx_http_gateway_jwt_integer(ngx_str_t *text, int64_t *n)
{
    u_char      *p, *last;
    uint64_t     value;
    ngx_uint_t   minus;

    p = text->data;
    last = p + text->len;

    minus = (p < last && *p == '-');

    if (minus) {
        p++;
    }

    /* 19 digits can not overflow the unsigned value */

    if (p == last || last - p > 19) {
        return NGX_DECLINED;
    }

    for (value = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        value = value * 10 + (*p - '0');
    }

    if (value > (uint64_t) INT64_MAX + minus) {
        return NGX_DECLINED;
    }

    *n = (int64_t) (minus ? 0 - value : value);

    return NGX_OK;
}
