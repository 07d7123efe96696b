
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what must be true of the index of any JSON.
 */


#include "fuzz.h"


/* nodes that are looked up by a pointer, which costs their number's square */

#define FUZZ_POINTERS  64
#define FUZZ_PATH      4096


typedef struct {
    ngx_pool_t                   *pool;
    ngx_http_gateway_jwt_json_t  *json;
    size_t                        room;
    ngx_uint_t                    pointers;
    size_t                        len;        /* of the path */
    u_char                        path[FUZZ_PATH];
} fuzz_walk_t;


static void fuzz_walk(fuzz_walk_t *w, ngx_http_gateway_jwt_node_t *node);
static void fuzz_walk_children(fuzz_walk_t *w,
    ngx_http_gateway_jwt_node_t *parent);
static void fuzz_walk_name(fuzz_walk_t *w, ngx_str_t *name);
static void fuzz_walk_pointer(fuzz_walk_t *w,
    ngx_http_gateway_jwt_node_t *node);
static void fuzz_check_integer(ngx_str_t *text, json_int_t integer);


void
fuzz_check_index(ngx_pool_t *pool, ngx_http_gateway_jwt_json_t *json,
    size_t room)
{
    fuzz_walk_t  w;

    w.pool = pool;
    w.json = json;
    w.room = room;
    w.pointers = 0;
    w.len = 0;

    fuzz_check(json->nnodes > 0);
    fuzz_check(json->len <= room);
    fuzz_check(json->nodes[0].type == NGX_HTTP_GATEWAY_JWT_OBJECT);
    fuzz_check(json->nodes[0].name_len == 0);
    fuzz_check(json->nodes[0].next == json->nnodes);

    fuzz_walk(&w, json->nodes);
}


static void
fuzz_walk(fuzz_walk_t *w, ngx_http_gateway_jwt_node_t *node)
{
    double      number;
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  i;

    i = node - w->json->nodes;

    fuzz_check(node->next > i && node->next <= w->json->nnodes);
    fuzz_check(node->value <= w->room && node->len <= w->room - node->value);
    fuzz_check(node->name <= w->room && node->name_len <= w->room - node->name);

    ngx_http_gateway_jwt_json_text(w->json, node, &text);
    rc = ngx_http_gateway_jwt_json_number(w->json, node, &number);

    switch (node->type) {

    case NGX_HTTP_GATEWAY_JWT_NULL:
        fuzz_check(fuzz_equal(&text, "null", 4));
        break;

    case NGX_HTTP_GATEWAY_JWT_FALSE:
        fuzz_check(fuzz_equal(&text, "false", 5));
        break;

    case NGX_HTTP_GATEWAY_JWT_TRUE:
        fuzz_check(fuzz_equal(&text, "true", 4));
        break;

    case NGX_HTTP_GATEWAY_JWT_INTEGER:
    case NGX_HTTP_GATEWAY_JWT_REAL:
        fuzz_check(rc == (text.len < 512 ? NGX_OK : NGX_DECLINED));
        break;

    case NGX_HTTP_GATEWAY_JWT_STRING:
        break;

    case NGX_HTTP_GATEWAY_JWT_ARRAY:
        fuzz_check(text.data[0] == '[' && text.data[text.len - 1] == ']');
        break;

    case NGX_HTTP_GATEWAY_JWT_OBJECT:
        fuzz_check(text.data[0] == '{' && text.data[text.len - 1] == '}');
        break;

    default:
        fuzz_check(0);
    }

    if (node->type != NGX_HTTP_GATEWAY_JWT_INTEGER
        && node->type != NGX_HTTP_GATEWAY_JWT_REAL)
    {
        fuzz_check(rc == NGX_DECLINED);
    }

    if (w->len && w->pointers++ < FUZZ_POINTERS) {
        fuzz_walk_pointer(w, node);
    }

    if (node->type == NGX_HTTP_GATEWAY_JWT_ARRAY
        || node->type == NGX_HTTP_GATEWAY_JWT_OBJECT)
    {
        fuzz_walk_children(w, node);

    } else {
        fuzz_check(node->next == i + 1);
    }
}


static void
fuzz_walk_children(fuzz_walk_t *w, ngx_http_gateway_jwt_node_t *parent)
{
    size_t                        len;
    u_char                        index[NGX_INT_T_LEN];
    ngx_str_t                     name;
    ngx_uint_t                    n;
    ngx_http_gateway_jwt_node_t  *node, *end;

    n = 0;
    len = w->len;
    end = ngx_http_gateway_jwt_json_end(w->json, parent);

    for (node = ngx_http_gateway_jwt_json_first(parent);
         node < end;
         node = ngx_http_gateway_jwt_json_next(w->json, node))
    {
        if (parent->type == NGX_HTTP_GATEWAY_JWT_ARRAY) {
            fuzz_check(node->name_len == 0);

            name.data = index;
            name.len = ngx_sprintf(index, "%ui", n++) - index;

        } else {
            name.data = w->json->text + node->name;
            name.len = node->name_len;

            fuzz_check(ngx_http_gateway_jwt_json_member(w->json, parent,
                                                        &name)
                       == node);
        }

        fuzz_walk_name(w, &name);
        fuzz_walk(w, node);

        fuzz_check(node->next <= parent->next);

        w->len = len;
    }

    fuzz_check(node == end);
}


/* RFC 6901, section 3 */

static void
fuzz_walk_name(fuzz_walk_t *w, ngx_str_t *name)
{
    size_t  i;

    if (w->len == FUZZ_PATH || 2 * name->len + 1 > FUZZ_PATH - w->len) {

        /* too long for this: the nodes below are not looked up */

        w->len = FUZZ_PATH;
        return;
    }

    w->path[w->len++] = '/';

    for (i = 0; i < name->len; i++) {

        switch (name->data[i]) {

        case '~':
            w->path[w->len++] = '~';
            w->path[w->len++] = '0';
            break;

        case '/':
            w->path[w->len++] = '~';
            w->path[w->len++] = '1';
            break;

        default:
            w->path[w->len++] = name->data[i];
        }
    }
}


static void
fuzz_walk_pointer(fuzz_walk_t *w, ngx_http_gateway_jwt_node_t *node)
{
    ngx_str_t                       text;
    ngx_http_gateway_jwt_pointer_t  pointer;

    if (w->len == FUZZ_PATH) {
        return;
    }

    fuzz_copy(w->pool, &text, w->path, w->len);

    fuzz_check(ngx_http_gateway_jwt_pointer_compile(w->pool, &text, &pointer)
               == NGX_OK);
    fuzz_check(ngx_http_gateway_jwt_json_find(w->json, &pointer) == node);
}


void
fuzz_check_value(ngx_http_gateway_jwt_json_t *json,
    ngx_http_gateway_jwt_node_t *node, json_t *value)
{
    size_t                        n;
    double                        number;
    json_t                       *same;
    ngx_str_t                     text, name;
    ngx_http_gateway_jwt_node_t  *child, *end;

    ngx_http_gateway_jwt_json_text(json, node, &text);

    switch (json_typeof(value)) {

    case JSON_NULL:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_NULL);
        return;

    case JSON_FALSE:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_FALSE);
        return;

    case JSON_TRUE:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_TRUE);
        return;

    case JSON_STRING:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_STRING);
        fuzz_check(fuzz_equal(&text, json_string_value(value),
                              json_string_length(value)));
        return;

    case JSON_INTEGER:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_INTEGER);

        if (text.len < 512) {
            fuzz_check_integer(&text, json_integer_value(value));
        }

        return;

    case JSON_REAL:
        fuzz_check(node->type == NGX_HTTP_GATEWAY_JWT_REAL);

        if (text.len < 512) {
            fuzz_check(ngx_http_gateway_jwt_number(&text, &number) == NGX_OK);
            fuzz_check(number == json_real_value(value));
        }

        return;

    default: /* JSON_ARRAY, JSON_OBJECT */
        break;
    }

    fuzz_check(node->type == (json_is_array(value)
                              ? NGX_HTTP_GATEWAY_JWT_ARRAY
                              : NGX_HTTP_GATEWAY_JWT_OBJECT));

    same = fuzz_load(&text);
    fuzz_check(same != NULL && json_equal(same, value));
    json_decref(same);

    n = 0;
    end = ngx_http_gateway_jwt_json_end(json, node);

    for (child = ngx_http_gateway_jwt_json_first(node);
         child < end;
         child = ngx_http_gateway_jwt_json_next(json, child))
    {
        name.data = json->text + child->name;
        name.len = child->name_len;

        same = json_is_array(value)
               ? json_array_get(value, n)
               : json_object_getn(value, (char *) name.data, name.len);

        fuzz_check(same != NULL);
        fuzz_check_value(json, child, same);
        n++;
    }

    fuzz_check(n == (json_is_array(value) ? json_array_size(value)
                                          : json_object_size(value)));
}


static void
fuzz_check_integer(ngx_str_t *text, json_int_t integer)
{
    double     number;
    u_char     buf[NGX_INT64_LEN + 1];
    ngx_int_t  sign;
    ngx_str_t  other;

    fuzz_check(ngx_http_gateway_jwt_number(text, &number) == NGX_OK);
    fuzz_check(number == (double) integer);

    other.data = buf;
    other.len = ngx_sprintf(buf, "%L", (int64_t) integer) - buf;

    fuzz_check(ngx_http_gateway_jwt_number_cmp(text, &other, &sign) == NGX_OK);
    fuzz_check(sign == 0);

    if (integer < INT64_MAX) {
        other.len = ngx_sprintf(buf, "%L", (int64_t) integer + 1) - buf;

        fuzz_check(ngx_http_gateway_jwt_number_cmp(text, &other, &sign)
                   == NGX_OK);
        fuzz_check(sign == -1);
    }
}
