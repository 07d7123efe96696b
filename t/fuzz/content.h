
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What the targets of GRIP expect of JSON, by jansson's tree.
 */


#ifndef _CONTENT_H_INCLUDED_
#define _CONTENT_H_INCLUDED_


#include "fuzz.h"


/*
 * jansson's tree, or NULL: *valid tells whether GRIP's JSON is valid then, as
 * jansson refuses more than the grammar does.  A tree that is nested too deep
 * is not valid.
 */

json_t *content_tree(ngx_str_t *text, ngx_uint_t *valid);

/* The member of an object, or NULL when there is none or it is null. */

json_t *content_member(json_t *object, const char *name);

/* The place in a list of words, the last one being NULL, or -1. */

ngx_int_t content_word(json_t *value, const char **words);

/* The opcode of a word, or 0. */

ngx_uint_t content_opcode(json_t *value);

/* Tells whether there is nothing, or nothing in it. */

ngx_uint_t content_is_empty(json_t *value);

/*
 * Sets "data" to the content of a message, NULL when there is none.  Tells
 * whether it is well formed.
 */

ngx_uint_t content_data(ngx_pool_t *pool, json_t *object, ngx_uint_t opcode,
    ngx_str_t *data);


#endif /* _CONTENT_H_INCLUDED_ */
