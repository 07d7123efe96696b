
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Reads a template into segments, each from its "/" to the next one; a regex
 * ends at its own parenthesis, and may have "/" inside.  It compiles nothing
 * and knows no other template.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_route_template.h"


typedef struct {
    u_char                             *pos;
    u_char                             *last;
    char                               *why;

    ngx_uint_t                          n;
    ngx_uint_t                          ncaptures;
    ngx_uint_t                          escaped;
    ngx_uint_t                          starred;

    ngx_http_gateway_route_segment_t
        segments[NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS];
} ngx_http_gateway_route_reader_t;


static ngx_int_t ngx_http_gateway_route_read_segment(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static ngx_int_t ngx_http_gateway_route_read_literal(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static ngx_uint_t ngx_http_gateway_route_is_escape(u_char *p, u_char *last);
static ngx_uint_t ngx_http_gateway_route_is_hex(u_char c);
static ngx_int_t ngx_http_gateway_route_read_param(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static ngx_int_t ngx_http_gateway_route_read_regex(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static u_char *ngx_http_gateway_route_skip_class(u_char *p, u_char *last);
static u_char *ngx_http_gateway_route_skip_posix(u_char *start, u_char *last);
static ngx_int_t ngx_http_gateway_route_read_rest(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static void ngx_http_gateway_route_read_name(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static ngx_int_t ngx_http_gateway_route_check_name(
    ngx_http_gateway_route_reader_t *in, ngx_http_gateway_route_segment_t *s);
static ngx_int_t ngx_http_gateway_route_refuse(
    ngx_http_gateway_route_reader_t *in, char *why);


ngx_int_t
ngx_http_gateway_route_template(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_route_template_t *t, char **why)
{
    size_t                            size;
    ngx_http_gateway_route_reader_t   in;
    ngx_http_gateway_route_segment_t  *s;

    in.pos = text->data;
    in.last = text->data + text->len;
    in.why = "it must begin with \"/\"";
    in.n = 0;
    in.ncaptures = 0;
    in.escaped = 0;
    in.starred = 0;

    if (text->len == 0 || text->data[0] != '/') {
        *why = in.why;
        return NGX_DECLINED;
    }

    while (in.pos < in.last) {

        if (in.n == NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS) {
            *why = "it may have no more than 64 segments";
            return NGX_DECLINED;
        }

        s = &in.segments[in.n];

        if (ngx_http_gateway_route_read_segment(&in, s) != NGX_OK) {
            *why = in.why;
            return NGX_DECLINED;
        }

        in.n++;
    }

    size = in.n * sizeof(ngx_http_gateway_route_segment_t);

    t->segments = ngx_palloc(pool, size);
    if (t->segments == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(t->segments, in.segments, size);

    t->text = *text;
    t->nsegments = in.n;
    t->ncaptures = in.ncaptures;
    t->escaped = in.escaped;
    t->starred = in.starred;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_read_segment(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    ngx_int_t  rc;

    ngx_memzero(s, sizeof(ngx_http_gateway_route_segment_t));

    /* the "/" */

    in->pos++;

    if (in->pos == in->last) {
        s->text.data = in->pos;
        return NGX_OK;
    }

    switch (*in->pos) {

    case ':':
        rc = ngx_http_gateway_route_read_param(in, s);
        break;

    case '*':
        rc = ngx_http_gateway_route_read_rest(in, s);
        break;

    default:
        return ngx_http_gateway_route_read_literal(in, s);
    }

    if (rc != NGX_OK || s->name.len == 0) {
        return rc;
    }

    return ngx_http_gateway_route_check_name(in, s);
}


static ngx_int_t
ngx_http_gateway_route_read_literal(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    u_char  *p;

    for (p = in->pos; p < in->last && *p != '/'; p++) {

        if (*p == '?' || *p == '#') {
            return ngx_http_gateway_route_refuse(in,
                       "\"?\" and \"#\" are not part of a path");
        }

        if (ngx_http_gateway_route_is_escape(p, in->last)) {
            in->escaped = 1;
        }

        if (*p == '*') {
            in->starred = 1;
        }
    }

    s->kind = NGX_HTTP_GATEWAY_ROUTE_LITERAL;
    s->text.data = in->pos;
    s->text.len = p - in->pos;

    in->pos = p;

    if (s->text.len == 0) {
        return ngx_http_gateway_route_refuse(in,
                   "only its last segment may be empty");
    }

    if ((s->text.len == 1 && s->text.data[0] == '.')
        || (s->text.len == 2 && ngx_strncmp(s->text.data, "..", 2) == 0))
    {
        return ngx_http_gateway_route_refuse(in,
                   "\".\" and \"..\" are resolved before paths are compared");
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_gateway_route_is_escape(u_char *p, u_char *last)
{
    return last - p >= 3
           && p[0] == '%'
           && ngx_http_gateway_route_is_hex(p[1])
           && ngx_http_gateway_route_is_hex(p[2]);
}


static ngx_uint_t
ngx_http_gateway_route_is_hex(u_char c)
{
    u_char  lower;

    lower = c | 0x20;

    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
}


static ngx_int_t
ngx_http_gateway_route_read_param(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    in->pos++;

    ngx_http_gateway_route_read_name(in, s);

    if (s->name.len == 0) {
        return ngx_http_gateway_route_refuse(in,
                   "a name of letters, digits and \"_\" must follow \":\"");
    }

    if (in->pos < in->last && *in->pos == '(') {
        return ngx_http_gateway_route_read_regex(in, s);
    }

    s->kind = NGX_HTTP_GATEWAY_ROUTE_PARAM;
    s->text.data = s->name.data - 1;
    s->text.len = s->name.len + 1;

    if (in->pos < in->last && *in->pos != '/') {
        return ngx_http_gateway_route_refuse(in,
                   "only \"(regex)\" or the segment's end may follow "
                   "\":name\"");
    }

    return NGX_OK;
}


/*
 * The regex ends at the parenthesis that closes the first one.  Those after a
 * backslash and those in a class do not count, as in PCRE.  Where PCRE has it
 * otherwise, as in comments, the regex is cut or is not at all; it is compiled
 * by itself then, which tells.
 */

static ngx_int_t
ngx_http_gateway_route_read_regex(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    u_char      *p;
    ngx_uint_t   depth;

    s->kind = NGX_HTTP_GATEWAY_ROUTE_REGEX;
    s->text.data = in->pos + 1;

    for (p = in->pos, depth = 0; p < in->last; p++) {

        switch (*p) {

        case '\\':
            p++;
            continue;

        case '[':
            p = ngx_http_gateway_route_skip_class(p, in->last);
            continue;

        case '(':
            depth++;
            continue;

        case ')':
            if (--depth != 0) {
                continue;
            }

            break;

        default:
            continue;
        }

        break;
    }

    if (p >= in->last) {
        return ngx_http_gateway_route_refuse(in,
                   "\"(\" must have its \")\"");
    }

    s->text.len = p - s->text.data;
    in->pos = p + 1;

    if (s->text.len == 0) {
        return ngx_http_gateway_route_refuse(in,
                   "the regex must not be empty");
    }

    if (in->pos < in->last && *in->pos != '/') {
        return ngx_http_gateway_route_refuse(in,
                   "only the segment's end may follow \":name(regex)\"");
    }

    return NGX_OK;
}


/*
 * From "[" to its "]", or to the end.  "]" is a member when it comes first;
 * "[:alpha:]" is one that has brackets.
 */

static u_char *
ngx_http_gateway_route_skip_class(u_char *p, u_char *last)
{
    p++;

    if (p < last && *p == '^') {
        p++;
    }

    if (p < last && *p == ']') {
        p++;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p == ']') {
            return p;
        }

        if (*p == '\\') {
            p++;
            continue;
        }

        if (*p == '[') {
            p = ngx_http_gateway_route_skip_posix(p, last);
        }
    }

    return last;
}


/* Returns the last byte of "[:alpha:]" or "[:^alpha:]", else the "[". */

static u_char *
ngx_http_gateway_route_skip_posix(u_char *start, u_char *last)
{
    u_char  *p;

    p = start + 1;

    if (p == last || *p++ != ':') {
        return start;
    }

    if (p < last && *p == '^') {
        p++;
    }

    while (p < last && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') {
        p++;
    }

    return (last - p > 1 && p[0] == ':' && p[1] == ']') ? p + 1 : start;
}


static ngx_int_t
ngx_http_gateway_route_read_rest(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    s->kind = NGX_HTTP_GATEWAY_ROUTE_REST;
    s->text.data = in->pos;
    s->text.len = in->last - in->pos;

    in->pos++;

    if (in->pos < in->last && *in->pos == '*') {
        in->pos++;

    } else {
        ngx_http_gateway_route_read_name(in, s);

        if (s->name.len == 0) {
            return ngx_http_gateway_route_refuse(in,
                       "\"*\" or a name of letters, digits and \"_\" "
                       "must follow \"*\"");
        }
    }

    if (in->pos < in->last) {
        return ngx_http_gateway_route_refuse(in,
                   "nothing may follow \"**\" or \"*name\"");
    }

    return NGX_OK;
}


static void
ngx_http_gateway_route_read_name(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    u_char  c, *p;

    for (p = in->pos; p < in->last; p++) {
        c = *p | 0x20;

        if ((c < 'a' || c > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            break;
        }
    }

    s->name.data = in->pos;
    s->name.len = p - in->pos;

    in->pos = p;
}


/*
 * $gateway_path_NAME and $gateway_path_escaped_NAME are to differ; names of
 * variables are compared without case.
 */

static ngx_int_t
ngx_http_gateway_route_check_name(ngx_http_gateway_route_reader_t *in,
    ngx_http_gateway_route_segment_t *s)
{
    ngx_uint_t                         i;
    ngx_http_gateway_route_segment_t  *other;

    if (s->name.len >= sizeof("escaped_") - 1
        && ngx_strncasecmp(s->name.data, (u_char *) "escaped_",
                           sizeof("escaped_") - 1)
           == 0)
    {
        return ngx_http_gateway_route_refuse(in,
                   "a name must not begin with \"escaped_\"");
    }

    for (i = 0; i < in->n; i++) {
        other = &in->segments[i];

        if (other->name.len == s->name.len
            && ngx_strncasecmp(other->name.data, s->name.data, s->name.len)
               == 0)
        {
            return ngx_http_gateway_route_refuse(in,
                       "a name must not be used twice");
        }
    }

    in->ncaptures++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_route_refuse(ngx_http_gateway_route_reader_t *in, char *why)
{
    in->why = why;

    return NGX_DECLINED;
}
