
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what is found in and taken out of JSON texts.  The scanner tells where
 * a value ends.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_json.h"
#include "ngx_http_gateway_json_scan.h"


static ngx_int_t ngx_http_gateway_json_find_member(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_json_find_element(ngx_str_t *text,
    ngx_str_t *token, ngx_str_t *value);
static u_char *ngx_http_gateway_json_pass_space(u_char *p, u_char *last);
static u_char *ngx_http_gateway_json_decode_escape(u_char *p,
    u_char *last, u_char **dst);
static ngx_int_t ngx_http_gateway_json_decode_unit(u_char *p,
    u_char *last);
static u_char *ngx_http_gateway_json_encode_utf8(u_char *dst,
    ngx_int_t c);

static ngx_int_t ngx_http_gateway_json_survey(ngx_pool_t *pool,
    ngx_http_gateway_json_members_t *members, ngx_str_t *text,
    u_char *renamed, size_t *len);
static ngx_int_t ngx_http_gateway_json_stays(ngx_pool_t *pool,
    ngx_http_gateway_json_members_t *members, ngx_str_t *text,
    u_char *renamed, ngx_http_gateway_json_rename_t **rename);
static ngx_int_t ngx_http_gateway_json_is_listed(ngx_pool_t *pool,
    ngx_array_t *names, ngx_str_t *text);
static ngx_int_t ngx_http_gateway_json_renamed(ngx_pool_t *pool,
    ngx_array_t *renames, ngx_str_t *text,
    ngx_http_gateway_json_rename_t **rename);


ngx_int_t
ngx_http_gateway_json_pointer(ngx_pool_t *pool,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *text)
{
    u_char     *p, *last, *dst;
    ngx_str_t  *token;

    pointer->text = *text;

    if (ngx_array_init(&pointer->tokens, pool, 4, sizeof(ngx_str_t)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p++ != '/') {
            return NGX_DECLINED;
        }

        token = ngx_array_push(&pointer->tokens);
        if (token == NULL) {
            return NGX_ERROR;
        }

        token->data = ngx_pnalloc(pool, last - p + 1);
        if (token->data == NULL) {
            return NGX_ERROR;
        }

        for (dst = token->data; p < last && *p != '/'; p++) {

            if (*p != '~') {
                *dst++ = *p;
                continue;
            }

            p++;

            if (p == last || (*p != '0' && *p != '1')) {
                return NGX_DECLINED;
            }

            *dst++ = *p == '0' ? '~' : '/';
        }

        token->len = dst - token->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_json_find(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *value)
{
    ngx_int_t   rc;
    ngx_str_t  *token;
    ngx_uint_t  i;

    *value = *text;
    token = pointer->tokens.elts;

    for (i = 0; i < pointer->tokens.nelts; i++) {

        if (value->len && value->data[0] == '{') {
            rc = ngx_http_gateway_json_find_member(pool, value, &token[i],
                                                        value);

        } else {
            rc = ngx_http_gateway_json_find_element(value, &token[i],
                                                         value);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_json_find_member(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_int_t                            rc;
    ngx_str_t                            found;
    ngx_http_gateway_json_cursor_t  cursor;
    ngx_http_gateway_json_member_t  member;

    if (ngx_http_gateway_json_open(&cursor, text) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_str_null(&found);

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        rc = ngx_http_gateway_json_is_name(pool, &member.name, name);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc) {
            found = member.value;
        }
    }

    if (found.len == 0) {
        return NGX_DECLINED;
    }

    *value = found;

    return NGX_OK;
}


/* an index has no leading zeros, RFC 6901 section 4 */

static ngx_int_t
ngx_http_gateway_json_find_element(ngx_str_t *text, ngx_str_t *token,
    ngx_str_t *value)
{
    ngx_int_t                            n;
    ngx_str_t                            element;
    ngx_http_gateway_json_cursor_t  cursor;

    if (text->len == 0 || text->data[0] != '[') {
        return NGX_DECLINED;
    }

    n = ngx_atoi(token->data, token->len);

    if (n == NGX_ERROR || (token->data[0] == '0' && token->len > 1)) {
        return NGX_DECLINED;
    }

    if (ngx_http_gateway_json_open(&cursor, text) != NGX_OK) {
        return NGX_DECLINED;
    }

    do {
        if (ngx_http_gateway_json_next_element(&cursor, &element)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

    } while (n--);

    *value = element;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_json_open(ngx_http_gateway_json_cursor_t *cursor,
    ngx_str_t *text)
{
    if (text->len < 2 || (text->data[0] != '{' && text->data[0] != '[')) {
        cursor->pos = text->data;
        cursor->last = text->data;

        return NGX_DECLINED;
    }

    cursor->pos = text->data + 1;
    cursor->last = text->data + text->len - 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_json_next_member(
    ngx_http_gateway_json_cursor_t *cursor,
    ngx_http_gateway_json_member_t *member)
{
    u_char  *p, *end, *start;

    start = cursor->pos;
    p = ngx_http_gateway_json_pass_space(start, cursor->last);

    if (p == cursor->last || *p != '"') {
        return NGX_DONE;
    }

    end = ngx_http_gateway_json_scan_value(p, cursor->last);
    if (end == NULL) {
        return NGX_DONE;
    }

    member->name.data = p + 1;
    member->name.len = end - p - 2;

    p = ngx_http_gateway_json_pass_space(end, cursor->last);

    if (p == cursor->last || *p != ':') {
        return NGX_DONE;
    }

    cursor->pos = p + 1;

    if (ngx_http_gateway_json_next_element(cursor, &member->value)
        != NGX_OK)
    {
        return NGX_DONE;
    }

    /* the white space after a value is a part of the member, a comma is not */

    p = member->value.data + member->value.len;
    p = ngx_http_gateway_json_pass_space(p, cursor->last);

    member->all.data = start;
    member->all.len = p - start;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_json_next_element(
    ngx_http_gateway_json_cursor_t *cursor, ngx_str_t *value)
{
    u_char  *p, *end;

    p = ngx_http_gateway_json_pass_space(cursor->pos, cursor->last);

    if (p == cursor->last) {
        return NGX_DONE;
    }

    end = ngx_http_gateway_json_scan_value(p, cursor->last);
    if (end == NULL) {
        return NGX_DONE;
    }

    value->data = p;
    value->len = end - p;

    p = ngx_http_gateway_json_pass_space(end, cursor->last);

    if (p < cursor->last) {

        if (*p != ',') {
            return NGX_DONE;
        }

        p++;
    }

    cursor->pos = p;

    return NGX_OK;
}


static u_char *
ngx_http_gateway_json_pass_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == LF || *p == CR || *p == '\t')) {
        p++;
    }

    return p;
}


ngx_int_t
ngx_http_gateway_json_decode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *value)
{
    u_char  *p, *last, *dst, *escape;

    p = text->data;
    last = p + text->len;

    escape = ngx_strlchr(p, last, '\\');

    if (escape == NULL) {
        *value = *text;
        return NGX_OK;
    }

    /* an escape is never shorter than its character */

    dst = ngx_pnalloc(pool, text->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;

    while (escape) {

        dst = ngx_cpymem(dst, p, escape - p);

        p = ngx_http_gateway_json_decode_escape(escape, last, &dst);
        if (p == NULL) {
            return NGX_DECLINED;
        }

        escape = ngx_strlchr(p, last, '\\');
    }

    dst = ngx_cpymem(dst, p, last - p);

    value->len = dst - value->data;

    return NGX_OK;
}


/* writes the character of the escape at "p"; returns what follows, or NULL */

static u_char *
ngx_http_gateway_json_decode_escape(u_char *p, u_char *last,
    u_char **dst)
{
    ngx_int_t  c, low;

    if (last - p < 2) {
        return NULL;
    }

    c = p[1];

    switch (c) {

    case 'b':
        c = '\b';
        break;

    case 'f':
        c = '\f';
        break;

    case 'n':
        c = LF;
        break;

    case 'r':
        c = CR;
        break;

    case 't':
        c = '\t';
        break;

    case 'u':
        c = ngx_http_gateway_json_decode_unit(p, last);

        if (c == NGX_ERROR || (c >= 0xdc00 && c <= 0xdfff)) {
            return NULL;
        }

        p += 4;

        if (c >= 0xd800 && c <= 0xdbff) {

            /* the second half of a surrogate pair, RFC 8259, section 7 */

            p += 2;
            low = ngx_http_gateway_json_decode_unit(p, last);

            if (low < 0xdc00 || low > 0xdfff) {
                return NULL;
            }

            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            p += 4;
        }

        break;

    default:
        break;
    }

    *dst = ngx_http_gateway_json_encode_utf8(*dst, c);

    return p + 2;
}


/* the four digits of "\uXXXX", or NGX_ERROR */

static ngx_int_t
ngx_http_gateway_json_decode_unit(u_char *p, u_char *last)
{
    u_char      c;
    ngx_int_t   unit;
    ngx_uint_t  i;

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return NGX_ERROR;
    }

    unit = 0;

    for (i = 2; i < 6; i++) {

        c = p[i] | 0x20;

        if (p[i] >= '0' && p[i] <= '9') {
            unit = unit * 16 + (p[i] - '0');

        } else if (c >= 'a' && c <= 'f') {
            unit = unit * 16 + (c - 'a' + 10);

        } else {
            return NGX_ERROR;
        }
    }

    return unit;
}


static u_char *
ngx_http_gateway_json_encode_utf8(u_char *dst, ngx_int_t c)
{
    if (c < 0x80) {
        *dst++ = (u_char) c;
        return dst;
    }

    if (c < 0x800) {
        *dst++ = (u_char) (0xc0 | c >> 6);
        *dst++ = (u_char) (0x80 | (c & 0x3f));
        return dst;
    }

    if (c < 0x10000) {
        *dst++ = (u_char) (0xe0 | c >> 12);
        *dst++ = (u_char) (0x80 | (c >> 6 & 0x3f));
        *dst++ = (u_char) (0x80 | (c & 0x3f));
        return dst;
    }

    *dst++ = (u_char) (0xf0 | c >> 18);
    *dst++ = (u_char) (0x80 | (c >> 12 & 0x3f));
    *dst++ = (u_char) (0x80 | (c >> 6 & 0x3f));
    *dst++ = (u_char) (0x80 | (c & 0x3f));

    return dst;
}


ngx_int_t
ngx_http_gateway_json_is_name(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *name)
{
    ngx_int_t  rc;
    ngx_str_t  decoded;

    /* a string is never shorter than its characters */

    if (text->len < name->len) {
        return 0;
    }

    rc = ngx_http_gateway_json_decode(pool, text, &decoded);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_ERROR : 0;
    }

    return decoded.len == name->len
           && ngx_memcmp(decoded.data, name->data, name->len) == 0;
}


ngx_int_t
ngx_http_gateway_json_pick(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_json_members_t *members, ngx_str_t *picked)
{
    size_t                                len;
    u_char                               *p, *rest, *renamed;
    ngx_int_t                             rc;
    ngx_http_gateway_json_cursor_t   cursor;
    ngx_http_gateway_json_member_t   member;
    ngx_http_gateway_json_rename_t  *rename;

    if (text->len < 2 || text->data[0] != '{') {
        return NGX_DECLINED;
    }

    renamed = NULL;

    if (members->rename) {
        renamed = ngx_pcalloc(pool, members->rename->nelts);
        if (renamed == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_gateway_json_survey(pool, members, text, renamed, &len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    picked->data = ngx_pnalloc(pool, len);
    if (picked->data == NULL) {
        return NGX_ERROR;
    }

    p = picked->data;
    *p++ = '{';

    (void) ngx_http_gateway_json_open(&cursor, text);

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        rc = ngx_http_gateway_json_stays(pool, members, &member.name,
                                              renamed, &rename);
        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (!rc) {
            continue;
        }

        if (p > picked->data + 1) {
            *p++ = ',';
        }

        if (rename == NULL) {
            p = ngx_cpymem(p, member.all.data, member.all.len);
            continue;
        }

        rest = member.name.data + member.name.len;

        p = ngx_cpymem(p, member.all.data, member.name.data - member.all.data);
        p = ngx_cpymem(p, rename->escaped.data, rename->escaped.len);
        p = ngx_cpymem(p, rest, member.all.data + member.all.len - rest);
    }

    *p++ = '}';

    picked->len = p - picked->data;

    return NGX_OK;
}


/* finds which names are there to be renamed, and the room that takes */

static ngx_int_t
ngx_http_gateway_json_survey(ngx_pool_t *pool,
    ngx_http_gateway_json_members_t *members, ngx_str_t *text,
    u_char *renamed, size_t *len)
{
    ngx_int_t                             rc;
    ngx_http_gateway_json_cursor_t   cursor;
    ngx_http_gateway_json_member_t   member;
    ngx_http_gateway_json_rename_t  *rename, *renames;

    *len = text->len;

    if (renamed == NULL) {
        return NGX_OK;
    }

    renames = members->rename->elts;

    (void) ngx_http_gateway_json_open(&cursor, text);

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        rc = ngx_http_gateway_json_stays(pool, members, &member.name,
                                              NULL, &rename);
        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc && rename) {
            renamed[rename - renames] = 1;
            *len += rename->escaped.len;
        }
    }

    return NGX_OK;
}


/*
 * Tells whether the member called "text" stays, and by which line it is
 * renamed.  "renamed" has the lines by which some member is renamed; a member
 * that bears such a new name already does not stay.
 */

static ngx_int_t
ngx_http_gateway_json_stays(ngx_pool_t *pool,
    ngx_http_gateway_json_members_t *members, ngx_str_t *text,
    u_char *renamed, ngx_http_gateway_json_rename_t **rename)
{
    ngx_int_t                             rc;
    ngx_uint_t                            i;
    ngx_http_gateway_json_rename_t  *renames;

    *rename = NULL;

    if (members->only) {
        rc = ngx_http_gateway_json_is_listed(pool, members->only, text);

        if (rc != 1) {
            return rc;
        }
    }

    if (members->except) {
        rc = ngx_http_gateway_json_is_listed(pool, members->except, text);

        if (rc != 0) {
            return rc == NGX_ERROR ? NGX_ERROR : 0;
        }
    }

    if (members->rename == NULL) {
        return 1;
    }

    rc = ngx_http_gateway_json_renamed(pool, members->rename, text,
                                            rename);

    if (rc == NGX_ERROR || *rename || renamed == NULL) {
        return rc == NGX_ERROR ? NGX_ERROR : 1;
    }

    renames = members->rename->elts;

    for (i = 0; i < members->rename->nelts; i++) {

        if (!renamed[i]) {
            continue;
        }

        rc = ngx_http_gateway_json_is_name(pool, text, &renames[i].to);

        if (rc != 0) {
            return rc == NGX_ERROR ? NGX_ERROR : 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_gateway_json_is_listed(ngx_pool_t *pool, ngx_array_t *names,
    ngx_str_t *text)
{
    ngx_int_t    rc;
    ngx_str_t   *name;
    ngx_uint_t   i;

    name = names->elts;

    for (i = 0; i < names->nelts; i++) {

        rc = ngx_http_gateway_json_is_name(pool, text, &name[i]);

        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_gateway_json_renamed(ngx_pool_t *pool, ngx_array_t *renames,
    ngx_str_t *text, ngx_http_gateway_json_rename_t **rename)
{
    ngx_int_t                             rc;
    ngx_uint_t                            i;
    ngx_http_gateway_json_rename_t  *r;

    r = renames->elts;

    for (i = 0; i < renames->nelts; i++) {

        rc = ngx_http_gateway_json_is_name(pool, text, &r[i].from);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc) {
            *rename = &r[i];
            return NGX_OK;
        }
    }

    return NGX_OK;
}
