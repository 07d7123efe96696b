
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a template of a route.
 *
 * It is one just when PCRE finds segments in it one after the other, and they
 * are the same.
 */


#include "fuzz.h"

#include <pcre2.h>

#include "ngx_http_gateway_route_template.h"


#define FUZZ_NAME      "[A-Za-z0-9_]+"
#define FUZZ_GROUPS    8

/* what a segment may be after its "/", and where it has to end */

static const char  fuzz_pattern[] =
    "(?(DEFINE)"
        "(?<class> \\[ \\^?+ \\]?+"
            "(?: \\[:\\^?[A-Za-z]*:\\] | \\\\[\\s\\S] | [^\\]\\\\] )*+ \\] )"
        "(?<regex>"
            "(?: \\\\[\\s\\S] | (?&class) | \\( (?&regex) \\)"
            "  | [^\\\\\\[()] )*+ )"
    ")"
    "/ (?: (\\z)"
        "| (?! \\.\\.? (?: / | \\z )) ([^/?\\#:*] [^/?\\#]*+)"
        "| : (" FUZZ_NAME ") (?: \\( ((?! \\) ) (?&regex)) \\) )?"
        "| \\* (?: \\* | (" FUZZ_NAME ") ) (?= \\z )"
    ") (?= / | \\z )";


static pcre2_code        *fuzz_code;
static pcre2_match_data  *fuzz_data;


static ngx_int_t fuzz_segment(ngx_str_t *text, size_t start,
    ngx_http_gateway_route_segment_t *s, size_t *end);
static ngx_uint_t fuzz_group(ngx_str_t *text, ngx_uint_t n, ngx_str_t *group);
static ngx_uint_t fuzz_escaped(ngx_str_t *text);
static ngx_uint_t fuzz_bad_name(ngx_http_gateway_route_segment_t *segments,
    ngx_uint_t n);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    char                               *why;
    size_t                              pos;
    ngx_int_t                           rc, expected;
    ngx_uint_t                          i, n, names, escaped;
    ngx_http_gateway_route_segment_t   *s;
    ngx_http_gateway_route_template_t   t;

    static ngx_http_gateway_route_segment_t  segments[4096];

    why = NULL;
    rc = ngx_http_gateway_route_template(pool, input, &t, &why);

    fuzz_check(rc == NGX_OK || (rc == NGX_DECLINED && why != NULL));

    expected = input->len ? NGX_OK : NGX_DECLINED;
    names = 0;
    escaped = 0;

    for (n = 0, pos = 0; pos < input->len && n < 4096; n++) {
        s = &segments[n];

        if (fuzz_segment(input, pos, s, &pos) != NGX_OK
            || fuzz_bad_name(segments, n))
        {
            expected = NGX_DECLINED;
            break;
        }

        names += (s->name.len != 0);
        escaped |= (s->kind == NGX_HTTP_GATEWAY_ROUTE_LITERAL
                    && fuzz_escaped(&s->text));
    }

    if (n > NGX_HTTP_GATEWAY_ROUTE_MAX_SEGMENTS) {
        expected = NGX_DECLINED;
    }

    fuzz_check(rc == expected);

    if (rc != NGX_OK) {
        return "refused";
    }

    fuzz_check(t.text.data == input->data && t.text.len == input->len);
    fuzz_check(t.nsegments == n);
    fuzz_check(t.ncaptures == names);
    fuzz_check(t.escaped == escaped);

    for (i = 0; i < n; i++) {
        s = &t.segments[i];

        fuzz_check(s->kind == segments[i].kind);
        fuzz_check(fuzz_equal(&s->text, segments[i].text.data,
                              segments[i].text.len));
        fuzz_check(fuzz_equal(&s->name, segments[i].name.data,
                              segments[i].name.len));
    }

    return escaped ? "escaped" : names ? "captures" : "ok";
}


static ngx_int_t
fuzz_segment(ngx_str_t *text, size_t start,
    ngx_http_gateway_route_segment_t *s, size_t *end)
{
    int         error, rc;
    PCRE2_SIZE  offset, *vector;

    if (fuzz_code == NULL) {
        fuzz_code = pcre2_compile((PCRE2_SPTR) fuzz_pattern,
                                  PCRE2_ZERO_TERMINATED,
                                  PCRE2_EXTENDED|PCRE2_ANCHORED, &error,
                                  &offset, NULL);
        fuzz_check(fuzz_code != NULL);

        fuzz_data = pcre2_match_data_create(FUZZ_GROUPS, NULL);
    }

    rc = pcre2_match(fuzz_code, text->data, text->len, start, 0, fuzz_data,
                     NULL);

    if (rc == PCRE2_ERROR_NOMATCH) {
        return NGX_DECLINED;
    }

    fuzz_check(rc > 0);

    vector = pcre2_get_ovector_pointer(fuzz_data);
    *end = vector[1];

    ngx_memzero(s, sizeof(ngx_http_gateway_route_segment_t));

    s->text.data = text->data + start + 1;
    s->text.len = vector[1] - start - 1;

    /* 1 and 2 are those that are defined */

    if (fuzz_group(text, 3, &s->name) || fuzz_group(text, 4, &s->name)) {
        ngx_str_null(&s->name);
        s->kind = NGX_HTTP_GATEWAY_ROUTE_LITERAL;

    } else if (fuzz_group(text, 6, &s->text)) {
        fuzz_check(fuzz_group(text, 5, &s->name));
        s->kind = NGX_HTTP_GATEWAY_ROUTE_REGEX;

    } else if (fuzz_group(text, 5, &s->name)) {
        s->kind = NGX_HTTP_GATEWAY_ROUTE_PARAM;

    } else {
        (void) fuzz_group(text, 7, &s->name);
        s->kind = NGX_HTTP_GATEWAY_ROUTE_REST;
    }

    return NGX_OK;
}


static ngx_uint_t
fuzz_group(ngx_str_t *text, ngx_uint_t n, ngx_str_t *group)
{
    PCRE2_SIZE  *vector;

    vector = pcre2_get_ovector_pointer(fuzz_data);

    if (vector[2 * n] == PCRE2_UNSET) {
        return 0;
    }

    group->data = text->data + vector[2 * n];
    group->len = vector[2 * n + 1] - vector[2 * n];

    return 1;
}


static ngx_uint_t
fuzz_escaped(ngx_str_t *text)
{
    size_t  i;

    for (i = 2; i < text->len; i++) {
        if (text->data[i - 2] == '%' && isxdigit(text->data[i - 1])
            && isxdigit(text->data[i]))
        {
            return 1;
        }
    }

    return 0;
}


/* The last name must not be that of an earlier one, in any case. */

static ngx_uint_t
fuzz_bad_name(ngx_http_gateway_route_segment_t *segments, ngx_uint_t n)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    name = &segments[n].name;

    if (name->len == 0) {
        return 0;
    }

    if (name->len >= 8 && strncasecmp((char *) name->data, "escaped_", 8) == 0)
    {
        return 1;
    }

    for (i = 0; i < n; i++) {
        if (segments[i].name.len == name->len
            && strncasecmp((char *) segments[i].name.data,
                           (char *) name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
