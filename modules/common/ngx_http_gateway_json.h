
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Values inside a JSON text, found as ranges of its bytes and never rewritten:
 * what is taken out of a text is byte for byte what the text says.
 *
 * Texts are those that ngx_http_gateway_json_scan() found valid; another
 * one gives NGX_DECLINED or NGX_DONE early, never an access outside of it.
 * Where a name stands twice in an object its last member counts, as in
 * ECMA-262's JSON.parse().
 *
 * Needs nginx's core, but not its HTTP.
 */


#ifndef _NGX_HTTP_GATEWAY_JSON_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* a compiled JSON pointer, RFC 6901; without tokens it is the whole value */

typedef struct {
    ngx_str_t      text;       /* as written */
    ngx_array_t    tokens;     /* ngx_str_t */
} ngx_http_gateway_json_pointer_t;


/* members or elements that have not been seen yet */

typedef struct {
    u_char        *pos;
    u_char        *last;
} ngx_http_gateway_json_cursor_t;


typedef struct {
    ngx_str_t      all;        /* with the white space around the member */
    ngx_str_t      name;       /* as it stands in the text, without quotes */
    ngx_str_t      value;
} ngx_http_gateway_json_member_t;


typedef struct {
    ngx_str_t      from;
    ngx_str_t      to;
    ngx_str_t      escaped;    /* "to" as it is written between quotes */
} ngx_http_gateway_json_rename_t;


/* which members of an object stay, and how they are called then */

typedef struct {
    ngx_array_t   *only;       /* ngx_str_t, or NULL */
    ngx_array_t   *except;     /* ngx_str_t, or NULL */
    ngx_array_t   *rename;     /* ngx_http_gateway_json_rename_t or NULL */
} ngx_http_gateway_json_members_t;


#pragma GCC visibility push(hidden)

/*
 * Compiles "text", which has to stay.  Returns NGX_OK, NGX_DECLINED when it is
 * not a JSON pointer, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_json_pointer(ngx_pool_t *pool,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *text);

/*
 * Finds the value that "pointer" names in "text" and sets "value" to its
 * range.  Returns NGX_OK, NGX_DECLINED when there is none, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_json_find(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *value);

/*
 * Sets a cursor in front of the first member of an object, or element of an
 * array.  Returns NGX_OK, or NGX_DECLINED when "text" is neither; there are
 * none then.
 */

ngx_int_t ngx_http_gateway_json_open(
    ngx_http_gateway_json_cursor_t *cursor, ngx_str_t *text);

/* Return NGX_OK and the next one, or NGX_DONE when there is none. */

ngx_int_t ngx_http_gateway_json_next_member(
    ngx_http_gateway_json_cursor_t *cursor,
    ngx_http_gateway_json_member_t *member);
ngx_int_t ngx_http_gateway_json_next_element(
    ngx_http_gateway_json_cursor_t *cursor, ngx_str_t *value);

/*
 * Sets "value" to the characters of a JSON string that stands between quotes
 * in "text", in UTF-8: to "text" itself when it has no escapes, else to
 * memory of "pool".
 *
 * Returns NGX_OK, NGX_DECLINED when the string has no characters, as with half
 * of a surrogate pair, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_json_decode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *value);

/*
 * Tells whether a member's name, as it stands in the text, is "name".  Returns
 * 1 or 0, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_json_is_name(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *name);

/*
 * Writes the object "text" with the members that stay into memory of "pool".
 * A member that another one is renamed to gives way to it.
 *
 * Returns NGX_OK, NGX_DECLINED when "text" is not an object, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_gateway_json_pick(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_gateway_json_members_t *members, ngx_str_t *picked);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_JSON_H_INCLUDED_ */
