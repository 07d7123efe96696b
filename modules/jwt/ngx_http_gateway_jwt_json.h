
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A flat, read-only index of a JSON text, for looking members up in a token
 * that may stay in the cache for long.
 *
 * jansson judges the text: grammar, UTF-8, duplicate members, depth, range of
 * numbers.  Its tree is not kept: it takes several times the memory of the
 * text and has lost how numbers were written.  What is kept is the text and
 * one node of 24 bytes a value, in the order of the text.
 */


#ifndef _NGX_HTTP_GATEWAY_JWT_JSON_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_JWT_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_GATEWAY_JWT_NULL = 0,
    NGX_HTTP_GATEWAY_JWT_FALSE,
    NGX_HTTP_GATEWAY_JWT_TRUE,
    NGX_HTTP_GATEWAY_JWT_INTEGER,
    NGX_HTTP_GATEWAY_JWT_REAL,
    NGX_HTTP_GATEWAY_JWT_STRING,
    NGX_HTTP_GATEWAY_JWT_ARRAY,
    NGX_HTTP_GATEWAY_JWT_OBJECT
} ngx_http_gateway_jwt_json_type_e;


typedef struct {
    uint32_t       name;       /* offset of the member's name, unescaped */
    uint32_t       name_len;
    uint32_t       value;      /* offset: unescaped string or JSON text */
    uint32_t       len;
    uint32_t       next;       /* index of the node after this value's last */
    uint32_t       type;       /* ngx_http_gateway_jwt_json_type_e */
} ngx_http_gateway_jwt_node_t;


typedef struct {
    u_char                       *text;   /* from which offsets count */
    size_t                        len;    /* of the JSON text in "text" */
    ngx_http_gateway_jwt_node_t  *nodes;  /* nodes[0] is the whole value */
    ngx_uint_t                    nnodes;
} ngx_http_gateway_jwt_json_t;


/* a compiled POINTER: a member's name, or a JSON pointer, RFC 6901 */

typedef struct {
    ngx_str_t                     text;   /* as written */
    ngx_array_t                   names;  /* ngx_str_t, reference tokens */
} ngx_http_gateway_jwt_pointer_t;


#pragma GCC visibility push(hidden)

/*
 * Judges "text" as jansson does and, when it is a JSON object, tells in
 * "nnodes" and "extra" how many nodes and how many bytes after the text its
 * index takes.
 *
 * Returns NGX_OK, or NGX_DECLINED when it is no valid JSON object.
 */

ngx_int_t ngx_http_gateway_jwt_json_measure(ngx_str_t *text,
    ngx_uint_t *nnodes, size_t *extra);

/*
 * Fills in the index.  json->text holds the measured text followed by room
 * for "extra" bytes, json->nodes has room for "nnodes" nodes; both stay the
 * caller's.
 *
 * Returns NGX_OK, or NGX_ERROR when they are not what was measured.
 */

ngx_int_t ngx_http_gateway_jwt_json_index(ngx_http_gateway_jwt_json_t *json,
    ngx_uint_t nnodes, size_t extra);

/* Returns the member "name" of "object", or NULL. */

ngx_http_gateway_jwt_node_t *ngx_http_gateway_jwt_json_member(
    ngx_http_gateway_jwt_json_t *json, ngx_http_gateway_jwt_node_t *object,
    ngx_str_t *name);

/* Returns the value that "pointer" points to from the whole, or NULL. */

ngx_http_gateway_jwt_node_t *ngx_http_gateway_jwt_json_find(
    ngx_http_gateway_jwt_json_t *json, ngx_http_gateway_jwt_pointer_t *pointer);

/* The value's text: a string's characters, or JSON.  No copy is made. */

void ngx_http_gateway_jwt_json_text(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, ngx_str_t *text);

/*
 * The value of a number.  "text" of ngx_http_gateway_jwt_number() is a JSON
 * number from elsewhere.
 *
 * Both return NGX_OK, or NGX_DECLINED for what is no number.
 */

ngx_int_t ngx_http_gateway_jwt_json_number(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, double *number);
ngx_int_t ngx_http_gateway_jwt_number(ngx_str_t *text, double *number);

/*
 * Compares the JSON numbers "one" and "two": exactly when both are integers
 * of 64 bits, else as doubles.
 *
 * Returns NGX_OK with the sign of the difference in "sign", or NGX_DECLINED
 * when one of them is no number.
 */

ngx_int_t ngx_http_gateway_jwt_number_cmp(ngx_str_t *one, ngx_str_t *two,
    ngx_int_t *sign);

/*
 * Compiles POINTER; names are allocated in "pool".
 *
 * Returns NGX_OK, NGX_DECLINED for an empty one or a "~" that is not "~0" or
 * "~1", or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_gateway_jwt_pointer_compile(ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_gateway_jwt_pointer_t *pointer);

#pragma GCC visibility pop


#define ngx_http_gateway_jwt_json_first(node)  ((node) + 1)
#define ngx_http_gateway_jwt_json_end(json, node)                            \
    ((json)->nodes + (node)->next)
#define ngx_http_gateway_jwt_json_next(json, node)                           \
    ((json)->nodes + (node)->next)


#endif /* _NGX_HTTP_GATEWAY_JWT_JSON_H_INCLUDED_ */
