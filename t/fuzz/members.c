
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a JSON pointer, a line feed, the members that are picked, a line
 * feed, a text.  The members are three lists, "only;except;rename", the last
 * one with pairs: "id,name;;id:user_id".  An empty list is none.
 *
 * What is found in the text and taken out of it is compared with jansson's
 * tree where jansson makes one: not of texts with numbers that are too large
 * for it, halves of surrogate pairs or "\u0000" in names.  The text may be
 * anything; then what is found has to lie inside of it.
 */


#include "fuzz.h"

#include "ngx_http_gateway_json.h"
#include "ngx_http_gateway_json_scan.h"


#define fuzz_is_space(c)                                                     \
    ((c) == ' ' || (c) == '\t' || (c) == CR || (c) == LF)


typedef ngx_http_gateway_json_cursor_t   fuzz_cursor_t;
typedef ngx_http_gateway_json_member_t   fuzz_member_t;
typedef ngx_http_gateway_json_members_t  fuzz_members_t;
typedef ngx_http_gateway_json_pointer_t  fuzz_pointer_t;
typedef ngx_http_gateway_json_rename_t   fuzz_rename_t;


static ngx_uint_t fuzz_valid(ngx_str_t *text);
static json_t *fuzz_tree(ngx_str_t *text, size_t flags);
static ngx_uint_t fuzz_inside(ngx_str_t *part, ngx_str_t *text);

static const char *fuzz_find(ngx_pool_t *pool, ngx_str_t *text, json_t *tree,
    ngx_str_t *line);
static ngx_uint_t fuzz_pointer_bad(ngx_str_t *text);
static json_t *fuzz_pointer_find(ngx_pool_t *pool, json_t *value,
    ngx_str_t *text);
static json_t *fuzz_pointer_step(json_t *value, ngx_str_t *name);

static void fuzz_walk(ngx_pool_t *pool, ngx_str_t *text, json_t *value);
static ngx_int_t fuzz_decode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *value);
static void fuzz_walk_name(ngx_pool_t *pool, fuzz_member_t *member,
    ngx_str_t *name);

static ngx_uint_t fuzz_members(ngx_pool_t *pool, ngx_str_t *line,
    fuzz_members_t *members);
static ngx_uint_t fuzz_list(ngx_pool_t *pool, ngx_str_t *text,
    ngx_array_t **list);
static ngx_uint_t fuzz_renames(ngx_pool_t *pool, ngx_str_t *text,
    ngx_array_t **list);
static ngx_str_t fuzz_cut(ngx_str_t *text, u_char c);
static void fuzz_pick(ngx_pool_t *pool, ngx_str_t *text, json_t *tree,
    fuzz_members_t *members);
static void fuzz_pick_check(ngx_pool_t *pool, ngx_str_t *text, json_t *tree,
    fuzz_members_t *members, ngx_str_t *picked);
static fuzz_rename_t *fuzz_renamed(fuzz_members_t *members, const char *name,
    size_t len);
static ngx_uint_t fuzz_stays(fuzz_members_t *members, json_t *tree,
    const char *name, size_t len);
static ngx_uint_t fuzz_listed(ngx_array_t *list, const char *name, size_t len);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    json_t          *tree, *single;
    ngx_str_t        pointer, line, rest, text;
    const char      *outcome;
    ngx_uint_t       good;
    fuzz_members_t   members;

    fuzz_split(pool, input, &pointer, &rest);
    fuzz_split(pool, &rest, &line, &text);

    good = fuzz_valid(&text);

    /* the module works on a value without the white space around it */

    fuzz_copy(pool, &text, text.data, text.len);

    /* of members with one name the last one counts, with jansson, too */

    tree = good ? fuzz_tree(&text, 0) : NULL;
    single = good ? fuzz_tree(&text, JSON_REJECT_DUPLICATES) : NULL;

    outcome = fuzz_find(pool, &text, tree, &pointer);

    fuzz_walk(pool, &text, single);

    if (fuzz_members(pool, &line, &members)) {
        fuzz_pick(pool, &text, single, &members);

    } else {
        outcome = "invalid";
    }

    json_decref(tree);
    json_decref(single);

    return good || outcome[0] == 'i' ? outcome : "refused";
}


static ngx_uint_t
fuzz_valid(ngx_str_t *text)
{
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s,
                                      NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);

    if (ngx_http_gateway_json_scan(&s, text->data, text->len) != NGX_OK
        || ngx_http_gateway_json_scan_end(&s) != NGX_OK)
    {
        return 0;
    }

    text->data += s.start;
    text->len = s.end - s.start;

    return 1;
}


static json_t *
fuzz_tree(ngx_str_t *text, size_t flags)
{
    return json_loadb((char *) text->data, text->len,
                      JSON_DECODE_ANY|JSON_ALLOW_NUL|flags, NULL);
}


static ngx_uint_t
fuzz_inside(ngx_str_t *part, ngx_str_t *text)
{
    return part->data >= text->data
           && part->data + part->len <= text->data + text->len;
}


static const char *
fuzz_find(ngx_pool_t *pool, ngx_str_t *text, json_t *tree, ngx_str_t *line)
{
    json_t          *expected, *found;
    ngx_int_t        rc;
    ngx_str_t        value;
    fuzz_pointer_t   pointer;

    rc = ngx_http_gateway_json_pointer(pool, &pointer, line);

    if (fuzz_pointer_bad(line)) {
        fuzz_check(rc == NGX_DECLINED);
        return "invalid";
    }

    fuzz_check(rc == NGX_OK);
    fuzz_check(fuzz_equal(&pointer.text, line->data, line->len));

    rc = ngx_http_gateway_json_find(pool, text, &pointer, &value);

    fuzz_check(rc == NGX_OK || rc == NGX_DECLINED);

    if (rc == NGX_OK) {
        fuzz_check(fuzz_inside(&value, text));
        fuzz_check(value.len > 0 || line->len == 0);
    }

    if (tree == NULL) {
        return rc == NGX_OK ? "found" : "absent";
    }

    expected = fuzz_pointer_find(pool, tree, line);

    fuzz_check((rc == NGX_OK) == (expected != NULL));

    if (rc != NGX_OK) {
        return "absent";
    }

    found = fuzz_tree(&value, 0);

    fuzz_check(found != NULL && json_equal(found, expected));

    json_decref(found);

    return "found";
}


static ngx_uint_t
fuzz_pointer_bad(ngx_str_t *text)
{
    size_t  i;

    if (text->len == 0) {
        return 0;
    }

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '~'
            && (i + 1 == text->len
                || (text->data[i + 1] != '0' && text->data[i + 1] != '1')))
        {
            return 1;
        }
    }

    return text->data[0] != '/';
}


static json_t *
fuzz_pointer_find(ngx_pool_t *pool, json_t *value, ngx_str_t *text)
{
    size_t      i;
    u_char     *p, *end, *last;
    ngx_str_t   name;

    last = text->data + text->len;

    for (p = text->data; p < last && value != NULL; p = end) {

        p++;

        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        name.data = ngx_pnalloc(pool, end - p + 1);
        name.len = 0;

        for ( /* void */ ; p < end; p++) {
            i = name.len++;
            name.data[i] = *p;

            if (*p == '~') {
                p++;
                name.data[i] = (*p == '1') ? '/' : '~';
            }
        }

        value = fuzz_pointer_step(value, &name);
    }

    return value;
}


static json_t *
fuzz_pointer_step(json_t *value, ngx_str_t *name)
{
    char    index[24];
    size_t  i;

    if (!json_is_array(value)) {
        return json_object_getn(value, (char *) name->data, name->len);
    }

    for (i = 0; i < json_array_size(value); i++) {

        snprintf(index, sizeof(index), "%zu", i);

        if (fuzz_equal(name, index, strlen(index))) {
            return json_array_get(value, i);
        }
    }

    return NULL;
}


/*
 * Goes through all values.  "value" is what jansson makes of the text, or
 * NULL.
 */

static void
fuzz_walk(ngx_pool_t *pool, ngx_str_t *text, json_t *value)
{
    size_t          n;
    u_char         *end;
    json_t         *inner;
    ngx_str_t       one, name;
    fuzz_cursor_t   cursor;
    fuzz_member_t   member;

    if (ngx_http_gateway_json_open(&cursor, text) != NGX_OK) {
        fuzz_check(!json_is_object(value) && !json_is_array(value));

        end = text->data + text->len;

        if (text->len && text->data[0] == '"'
            && ngx_http_gateway_json_scan_value(text->data, end) == end)
        {
            one.data = text->data + 1;
            one.len = text->len - 2;

            (void) fuzz_decode(pool, &one, &name);
        }

        return;
    }

    n = 0;

    if (text->data[0] == '[') {
        fuzz_check(value == NULL || json_is_array(value));

        while (ngx_http_gateway_json_next_element(&cursor, &one)
               == NGX_OK)
        {
            fuzz_check(fuzz_inside(&one, text) && one.len > 0);

            inner = json_array_get(value, n++);

            fuzz_check(value == NULL || inner != NULL);
            fuzz_walk(pool, &one, inner);
        }

        fuzz_check(value == NULL || json_array_size(value) == n);
        return;
    }

    fuzz_check(value == NULL || json_is_object(value));

    while (ngx_http_gateway_json_next_member(&cursor, &member) == NGX_OK)
    {
        n++;

        fuzz_check(fuzz_inside(&member.all, text));

        fuzz_walk_name(pool, &member, &name);

        inner = value ? json_object_getn(value, (char *) name.data, name.len)
                      : NULL;

        fuzz_check(value == NULL || inner != NULL);
        fuzz_walk(pool, &member.value, inner);
    }

    fuzz_check(value == NULL || json_object_size(value) == n);
}


/* the characters of a string that has its quotes around it, and jansson's */

static ngx_int_t
fuzz_decode(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *value)
{
    json_t     *json;
    ngx_int_t   rc;
    ngx_str_t   quoted, exact;

    quoted.data = text->data - 1;
    quoted.len = text->len + 2;

    fuzz_copy(pool, &exact, text->data, text->len);

    rc = ngx_http_gateway_json_decode(pool, &exact, value);

    json = fuzz_tree(&quoted, 0);

    fuzz_check(rc == (json ? NGX_OK : NGX_DECLINED));
    fuzz_check(rc == NGX_DECLINED
               || fuzz_equal(value, json_string_value(json),
                             json_string_length(json)));

    json_decref(json);

    return rc;
}


/* a member is its name, a colon, its value and white space around them */

static void
fuzz_walk_name(ngx_pool_t *pool, fuzz_member_t *member, ngx_str_t *name)
{
    u_char     *p, *last;
    ngx_uint_t  colons;

    fuzz_check(fuzz_inside(&member->name, &member->all));
    fuzz_check(fuzz_inside(&member->value, &member->all));
    fuzz_check(member->value.len > 0);

    p = member->all.data;

    while (p < member->name.data - 1) {
        fuzz_check(fuzz_is_space(*p));
        p++;
    }

    p += member->name.len + 1;

    fuzz_check(member->name.data[-1] == '"' && *p++ == '"');

    for (colons = 0; p < member->value.data; p++) {
        fuzz_check(fuzz_is_space(*p) || (*p == ':' && colons++ == 0));
    }

    fuzz_check(colons == 1);

    p += member->value.len;
    last = member->all.data + member->all.len;

    while (p < last) {
        fuzz_check(fuzz_is_space(*p));
        p++;
    }

    if (fuzz_decode(pool, &member->name, name) != NGX_OK) {
        ngx_str_null(name);
        return;
    }

    fuzz_check(ngx_http_gateway_json_is_name(pool, &member->name, name)
               == 1);

    fuzz_copy(pool, name, name->data, name->len);

    if (name->len) {
        name->data[name->len - 1] ^= 1;
        fuzz_check(ngx_http_gateway_json_is_name(pool, &member->name,
                                                      name)
                   == 0);
        name->data[name->len - 1] ^= 1;

        name->len--;
        fuzz_check(ngx_http_gateway_json_is_name(pool, &member->name,
                                                      name)
                   == 0);
        name->len++;
    }
}


static ngx_uint_t
fuzz_members(ngx_pool_t *pool, ngx_str_t *line, fuzz_members_t *members)
{
    ngx_str_t  only, except;

    only = fuzz_cut(line, ';');
    except = fuzz_cut(line, ';');

    return fuzz_list(pool, &only, &members->only)
           && fuzz_list(pool, &except, &members->except)
           && fuzz_renames(pool, line, &members->rename);
}


/* names are in UTF-8 and have no NUL, which a configuration cannot have */

static ngx_uint_t
fuzz_list(ngx_pool_t *pool, ngx_str_t *text, ngx_array_t **list)
{
    json_t     *string;
    ngx_str_t  *name, one;

    *list = NULL;

    while (text->len) {

        if (*list == NULL) {
            *list = ngx_array_create(pool, 2, sizeof(ngx_str_t));
        }

        one = fuzz_cut(text, ',');
        name = ngx_array_push(*list);
        fuzz_copy(pool, name, one.data, one.len);

        string = json_stringn((char *) one.data, one.len);
        json_decref(string);

        if (string == NULL || memchr(one.data, '\0', one.len) != NULL) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
fuzz_renames(ngx_pool_t *pool, ngx_str_t *text, ngx_array_t **list)
{
    char           *escaped;
    json_t         *string;
    ngx_str_t       to, from;
    fuzz_rename_t  *rename;

    *list = NULL;

    while (text->len) {

        if (*list == NULL) {
            *list = ngx_array_create(pool, 2, sizeof(fuzz_rename_t));
        }

        to = fuzz_cut(text, ',');
        from = fuzz_cut(&to, ':');

        string = json_stringn((char *) to.data, to.len);

        if (string == NULL
            || memchr(from.data, '\0', from.len) != NULL
            || memchr(to.data, '\0', to.len) != NULL)
        {
            json_decref(string);
            return 0;
        }

        escaped = json_dumps(string, JSON_ENCODE_ANY);
        rename = ngx_array_push(*list);

        fuzz_copy(pool, &rename->from, from.data, from.len);
        fuzz_copy(pool, &rename->to, to.data, to.len);
        fuzz_copy(pool, &rename->escaped, escaped + 1, strlen(escaped) - 2);

        free(escaped);
        json_decref(string);
    }

    return 1;
}


/* returns what is before the character and leaves what is after it */

static ngx_str_t
fuzz_cut(ngx_str_t *text, u_char c)
{
    u_char     *p, *last;
    ngx_str_t   first;

    last = text->data + text->len;

    for (p = text->data; p < last && *p != c; p++) { /* void */ }

    first.data = text->data;
    first.len = p - text->data;

    text->data = ngx_min(p + 1, last);
    text->len = last - text->data;

    return first;
}


static void
fuzz_pick(ngx_pool_t *pool, ngx_str_t *text, json_t *tree,
    fuzz_members_t *members)
{
    u_char     *copy;
    ngx_int_t   rc;
    ngx_str_t   picked, exact;

    copy = ngx_pnalloc(pool, text->len);
    ngx_memcpy(copy, text->data, text->len);

    rc = ngx_http_gateway_json_pick(pool, text, members, &picked);

    fuzz_check(rc == NGX_OK || rc == NGX_DECLINED);
    fuzz_check(memcmp(copy, text->data, text->len) == 0);

    if (rc == NGX_DECLINED) {
        fuzz_check(text->len < 2 || text->data[0] != '{');
        return;
    }

    if (!fuzz_valid(text)) {
        return;
    }

    fuzz_copy(pool, &exact, picked.data, picked.len);

    fuzz_check(fuzz_valid(&exact) && exact.len == picked.len);

    if (tree != NULL) {
        fuzz_pick_check(pool, text, tree, members, &picked);
    }
}


/*
 * The same once more, with the names that jansson has: the members of the text
 * are in the order of those in the tree.
 */

static void
fuzz_pick_check(ngx_pool_t *pool, ngx_str_t *text, json_t *tree,
    fuzz_members_t *members, ngx_str_t *picked)
{
    void           *at;
    size_t          len;
    u_char         *p, *last;
    json_t         *expected, *got;
    ngx_str_t       before, after, all;
    ngx_uint_t      n, twice;
    const char     *key;
    fuzz_member_t   member;
    fuzz_cursor_t   cursor;
    fuzz_rename_t  *rename;

    expected = json_object();
    twice = 0;
    n = 0;

    p = picked->data;
    last = p + picked->len;

    fuzz_check(*p++ == '{');

    (void) ngx_http_gateway_json_open(&cursor, text);

    for (at = json_object_iter(tree);
         at != NULL;
         at = json_object_iter_next(tree, at))
    {
        fuzz_check(ngx_http_gateway_json_next_member(&cursor, &member)
                   == NGX_OK);

        key = json_object_iter_key(at);
        len = json_object_iter_key_len(at);

        if (!fuzz_stays(members, tree, key, len)) {
            continue;
        }

        rename = fuzz_renamed(members, key, len);

        if (rename) {
            key = (char *) rename->to.data;
            len = rename->to.len;
        }

        twice |= (json_object_getn(expected, key, len) != NULL);
        json_object_setn(expected, key, len, json_object_iter_value(at));

        /* byte for byte what the text says, but for the name */

        fuzz_check(n++ == 0 || *p++ == ',');

        before.data = member.all.data;
        before.len = member.name.data - before.data;

        all = rename ? rename->escaped : member.name;

        after.data = member.name.data + member.name.len;
        after.len = member.all.data + member.all.len - after.data;

        fuzz_check((size_t) (last - p) > before.len + all.len + after.len);
        fuzz_check(memcmp(p, before.data, before.len) == 0);
        p += before.len;
        fuzz_check(memcmp(p, all.data, all.len) == 0);
        p += all.len;
        fuzz_check(memcmp(p, after.data, after.len) == 0);
        p += after.len;
    }

    fuzz_check(*p++ == '}' && p == last);

    /* two that are called the same now are two members */

    got = fuzz_tree(picked, twice ? 0 : JSON_REJECT_DUPLICATES);

    fuzz_check(got != NULL && json_equal(got, expected));

    json_decref(got);
    json_decref(expected);
}


static fuzz_rename_t *
fuzz_renamed(fuzz_members_t *members, const char *name, size_t len)
{
    ngx_uint_t      i;
    fuzz_rename_t  *rename;

    if (members->rename == NULL) {
        return NULL;
    }

    rename = members->rename->elts;

    for (i = 0; i < members->rename->nelts; i++) {
        if (fuzz_equal(&rename[i].from, name, len)) {
            return &rename[i];
        }
    }

    return NULL;
}


/* a member gives way to one that gets its name */

static ngx_uint_t
fuzz_stays(fuzz_members_t *members, json_t *tree, const char *name, size_t len)
{
    ngx_uint_t      i;
    const char     *from;
    fuzz_rename_t  *rename;

    if ((members->only && !fuzz_listed(members->only, name, len))
        || (members->except && fuzz_listed(members->except, name, len)))
    {
        return 0;
    }

    if (members->rename == NULL || fuzz_renamed(members, name, len)) {
        return 1;
    }

    rename = members->rename->elts;

    for (i = 0; i < members->rename->nelts; i++) {

        from = (char *) rename[i].from.data;

        if (fuzz_equal(&rename[i].to, name, len)
            && fuzz_renamed(members, from, rename[i].from.len) == &rename[i]
            && json_object_getn(tree, from, rename[i].from.len)
            && fuzz_stays(members, tree, from, rename[i].from.len))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
fuzz_listed(ngx_array_t *list, const char *name, size_t len)
{
    ngx_str_t   *names;
    ngx_uint_t   i;

    names = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (fuzz_equal(&names[i], name, len)) {
            return 1;
        }
    }

    return 0;
}
