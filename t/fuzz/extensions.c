
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Input: a value of Sec-WebSocket-Extensions that a client sends, a line feed,
 * one that a server answers with.
 *
 * What is chosen, let pass and agreed on is what a second reading of RFC 6455,
 * section 9.1, and RFC 7692, section 7.1, says; what is written can be read,
 * and is agreed on.
 */


#include "fuzz.h"

#include "ngx_http_gateway_websocket_deflate.h"


#define FUZZ_PARAMS  4

#define FUZZ_SERVER_NO_TAKEOVER  0
#define FUZZ_CLIENT_NO_TAKEOVER  1
#define FUZZ_SERVER_BITS         2
#define FUZZ_CLIENT_BITS         3


typedef ngx_http_gateway_websocket_deflate_t  fuzz_params_t;


/* an element; times[] and values[] are those of the four parameters */

typedef struct {
    ngx_str_t    text;
    ngx_uint_t   ours;
    ngx_uint_t   others;
    ngx_uint_t   times[FUZZ_PARAMS];
    ngx_str_t    values[FUZZ_PARAMS];    /* data is NULL: there is none */
} fuzz_element_t;


typedef struct {
    ngx_pool_t  *pool;
    u_char      *p;
    u_char      *last;
} fuzz_reader_t;


static ngx_array_t *fuzz_read(ngx_pool_t *pool, ngx_str_t *field);
static ngx_uint_t fuzz_read_element(fuzz_reader_t *r, fuzz_element_t *e);
static ngx_uint_t fuzz_read_param(fuzz_reader_t *r, fuzz_element_t *e);
static ngx_uint_t fuzz_read_value(fuzz_reader_t *r, ngx_str_t *value);
static ngx_uint_t fuzz_read_token(fuzz_reader_t *r, ngx_str_t *token);
static void fuzz_read_space(fuzz_reader_t *r);
static ngx_uint_t fuzz_valid(fuzz_element_t *e, ngx_uint_t response,
    fuzz_params_t *d);
static ngx_uint_t fuzz_bits(ngx_str_t *value, u_char *bits);
static void fuzz_check_choice(ngx_str_t *field, ngx_array_t *list);
static void fuzz_check_filter(ngx_pool_t *pool, ngx_str_t *field,
    ngx_array_t *list);
static ngx_uint_t fuzz_check_agreed(ngx_pool_t *pool, ngx_str_t *offers,
    ngx_str_t *response, ngx_array_t *list);
static void fuzz_check_written(ngx_pool_t *pool, fuzz_params_t *d,
    ngx_str_t *field);
static void fuzz_same(fuzz_params_t *one, fuzz_params_t *two);


const char *
fuzz_input(ngx_pool_t *pool, ngx_str_t *input)
{
    ngx_str_t     client, server;
    ngx_uint_t    agreed;
    ngx_array_t  *list;

    fuzz_split(pool, input, &client, &server);

    list = fuzz_read(pool, &client);

    fuzz_check_choice(&client, list);
    fuzz_check_filter(pool, &client, list);

    agreed = fuzz_check_agreed(pool, &client, &server, list);

    return list == NULL ? "malformed" : agreed ? "agreed" : "none";
}


static void
fuzz_check_choice(ngx_str_t *field, ngx_array_t *list)
{
    ngx_int_t        rc, expected;
    ngx_uint_t       i;
    fuzz_params_t    chosen, d;
    fuzz_element_t  *e;

    rc = ngx_http_gateway_websocket_deflate_choose(field, &chosen);

    if (list == NULL) {
        fuzz_check(rc == NGX_ERROR);
        return;
    }

    expected = NGX_DECLINED;
    e = list->elts;

    for (i = 0; i < list->nelts; i++) {

        if (!fuzz_valid(&e[i], 0, &d) || d.server_bits == 8) {
            continue;
        }

        if (d.client_bits == 8) {
            d.client_bits = 15;
            d.client_bits_named = 0;
        }

        expected = NGX_OK;
        break;
    }

    fuzz_check(rc == expected);

    if (rc == NGX_OK) {
        fuzz_same(&chosen, &d);
        fuzz_check_written(list->pool, &chosen, field);
    }
}


static void
fuzz_check_filter(ngx_pool_t *pool, ngx_str_t *field, ngx_array_t *list)
{
    ngx_int_t        rc;
    ngx_str_t        out, again;
    ngx_uint_t       i, n;
    ngx_array_t     *left;
    fuzz_params_t    one, two;
    fuzz_element_t  *e, *f;

    rc = ngx_http_gateway_websocket_deflate_filter(pool, field, &out);

    if (list == NULL) {
        fuzz_check(rc == NGX_DECLINED && out.len == 0);
        return;
    }

    fuzz_check(rc == NGX_OK);
    fuzz_check(out.len <= field->len);

    n = 0;
    e = list->elts;

    if (out.len) {
        left = fuzz_read(pool, &out);
        fuzz_check(left != NULL);

        f = left->elts;
        n = left->nelts;

        /* what was let pass is let pass again */

        fuzz_check(ngx_http_gateway_websocket_deflate_filter(pool, &out,
                                                             &again)
                   == NGX_OK);
        fuzz_check(fuzz_equal(&again, out.data, out.len));

    } else {
        f = NULL;
    }

    for (i = 0; i < list->nelts; i++) {

        if (!fuzz_valid(&e[i], 0, &one)) {
            continue;
        }

        fuzz_check(n-- > 0);
        fuzz_check(fuzz_equal(&f->text, e[i].text.data, e[i].text.len));
        fuzz_check(fuzz_valid(f++, 0, &two));
        fuzz_same(&one, &two);
    }

    fuzz_check(n == 0);
}


static ngx_uint_t
fuzz_check_agreed(ngx_pool_t *pool, ngx_str_t *offers, ngx_str_t *response,
    ngx_array_t *list)
{
    ngx_int_t        rc, accepted;
    ngx_uint_t       i, good;
    ngx_array_t     *answer;
    fuzz_params_t    offer, d, agreed;
    fuzz_element_t  *e;

    answer = fuzz_read(pool, response);

    good = 0;
    accepted = NGX_ERROR;

    if (answer && answer->nelts == 1 && fuzz_valid(answer->elts, 1, &d)) {

        e = list ? list->elts : NULL;

        for (i = 0; list && i < list->nelts; i++) {

            if (!fuzz_valid(&e[i], 0, &offer)) {
                continue;
            }

            rc = ngx_http_gateway_websocket_deflate_accept(response, &offer,
                                                           &agreed);

            if ((d.client_bits_named
                 && (!offer.client_bits_named
                     || d.client_bits > offer.client_bits))
                || (d.server_bits_named && d.server_bits > offer.server_bits))
            {
                fuzz_check(rc == NGX_ERROR);
                continue;
            }

            fuzz_check(rc == NGX_OK);
            fuzz_same(&agreed, &d);

            accepted = NGX_OK;
            good = 1;
        }
    }

    /* malformed offers are not asked about: they do not pass the filter */

    if (list == NULL) {
        return 0;
    }

    rc = ngx_http_gateway_websocket_deflate_agreed(offers, response, &agreed);

    fuzz_check(rc == accepted);

    if (rc == NGX_OK) {
        fuzz_same(&agreed, &d);
    }

    return good;
}


/* the response to what was chosen answers the offers; an offer is read back */

static void
fuzz_check_written(ngx_pool_t *pool, fuzz_params_t *d, ngx_str_t *field)
{
    u_char         text[NGX_HTTP_GATEWAY_WEBSOCKET_DEFLATE_LEN];
    ngx_str_t      value;
    fuzz_params_t  agreed;

    value.data = text;
    value.len = ngx_http_gateway_websocket_deflate_response(text, d) - text;

    fuzz_check(value.len <= sizeof(text));
    fuzz_check(ngx_http_gateway_websocket_deflate_agreed(field, &value,
                                                         &agreed)
               == NGX_OK);
    fuzz_check(agreed.server_bits == d->server_bits
               && agreed.client_bits == d->client_bits
               && agreed.server_no_takeover == d->server_no_takeover
               && agreed.client_no_takeover == d->client_no_takeover);

    value.len = ngx_http_gateway_websocket_deflate_offer(text, d) - text;

    fuzz_check(value.len <= sizeof(text));
    fuzz_check(ngx_http_gateway_websocket_deflate_choose(&value, &agreed)
               == NGX_OK);

    /* 15 bits are not named */

    agreed.server_bits_named = d->server_bits_named;
    fuzz_same(&agreed, d);
}


static void
fuzz_same(fuzz_params_t *one, fuzz_params_t *two)
{
    fuzz_check(one->server_bits == two->server_bits);
    fuzz_check(one->client_bits == two->client_bits);
    fuzz_check(one->server_no_takeover == two->server_no_takeover);
    fuzz_check(one->client_no_takeover == two->client_no_takeover);
    fuzz_check(one->server_bits_named == two->server_bits_named);
    fuzz_check(one->client_bits_named == two->client_bits_named);
}


/* returns the elements, or NULL when the field is malformed */

static ngx_array_t *
fuzz_read(ngx_pool_t *pool, ngx_str_t *field)
{
    ngx_array_t    *list;
    fuzz_reader_t   r;

    r.pool = pool;
    r.p = field->data;
    r.last = field->data + field->len;

    list = ngx_array_create(pool, 4, sizeof(fuzz_element_t));

    for ( ;; ) {
        fuzz_read_space(&r);

        if (r.p < r.last && *r.p != ','
            && !fuzz_read_element(&r, ngx_array_push(list)))
        {
            return NULL;
        }

        fuzz_read_space(&r);

        if (r.p == r.last) {
            return list->nelts ? list : NULL;
        }

        if (*r.p++ != ',') {
            return NULL;
        }
    }
}


static ngx_uint_t
fuzz_read_element(fuzz_reader_t *r, fuzz_element_t *e)
{
    ngx_str_t  name;

    ngx_memzero(e, sizeof(fuzz_element_t));

    e->text.data = r->p;

    if (!fuzz_read_token(r, &name)) {
        return 0;
    }

    e->ours = fuzz_equal(&name, "permessage-deflate", 18);

    for ( ;; ) {
        e->text.len = r->p - e->text.data;

        fuzz_read_space(r);

        if (r->p == r->last || *r->p != ';') {
            return 1;
        }

        r->p++;

        if (!fuzz_read_param(r, e)) {
            return 0;
        }
    }
}


static ngx_uint_t
fuzz_read_param(fuzz_reader_t *r, fuzz_element_t *e)
{
    u_char      *end;
    ngx_str_t    name, value;
    ngx_uint_t   i;

    static const char  *names[] = {
        "server_no_context_takeover", "client_no_context_takeover",
        "server_max_window_bits", "client_max_window_bits"
    };

    fuzz_read_space(r);

    if (!fuzz_read_token(r, &name)) {
        return 0;
    }

    end = r->p;
    ngx_str_null(&value);

    fuzz_read_space(r);

    if (r->p < r->last && *r->p == '=') {
        r->p++;

        fuzz_read_space(r);

        if (!fuzz_read_value(r, &value)) {
            return 0;
        }

    } else {
        r->p = end;
    }

    for (i = 0; i < FUZZ_PARAMS; i++) {
        if (fuzz_equal(&name, names[i], strlen(names[i]))) {
            e->times[i]++;
            e->values[i] = value;
            return 1;
        }
    }

    e->others++;

    return 1;
}


/* a string has to be a token when its escapes are undone */

static ngx_uint_t
fuzz_read_value(fuzz_reader_t *r, ngx_str_t *value)
{
    u_char         *dst;
    ngx_str_t       all, token;
    fuzz_reader_t   inner;

    if (r->p == r->last || *r->p != '"') {
        return fuzz_read_token(r, value);
    }

    all.data = ngx_pnalloc(r->pool, r->last - r->p);
    dst = all.data;

    for (r->p++; r->p < r->last && *r->p != '"'; r->p++) {

        if (*r->p == '\\' && ++r->p == r->last) {
            return 0;
        }

        *dst++ = *r->p;
    }

    if (r->p == r->last) {
        return 0;
    }

    r->p++;

    all.len = dst - all.data;

    inner.pool = r->pool;
    inner.p = all.data;
    inner.last = dst;

    *value = all;

    return fuzz_read_token(&inner, &token) && token.len == all.len;
}


static ngx_uint_t
fuzz_read_token(fuzz_reader_t *r, ngx_str_t *token)
{
    token->data = r->p;

    while (r->p < r->last
           && (isalnum(*r->p)
               || (*r->p && strchr("!#$%&'*+-.^_`|~", *r->p) != NULL)))
    {
        r->p++;
    }

    token->len = r->p - token->data;

    return token->len != 0;
}


static void
fuzz_read_space(fuzz_reader_t *r)
{
    while (r->p < r->last && (*r->p == ' ' || *r->p == '\t')) {
        r->p++;
    }
}


static ngx_uint_t
fuzz_valid(fuzz_element_t *e, ngx_uint_t response, fuzz_params_t *d)
{
    ngx_uint_t  i;

    ngx_memzero(d, sizeof(fuzz_params_t));

    d->server_bits = 15;
    d->client_bits = 15;

    d->server_no_takeover = (e->times[FUZZ_SERVER_NO_TAKEOVER] != 0);
    d->client_no_takeover = (e->times[FUZZ_CLIENT_NO_TAKEOVER] != 0);
    d->server_bits_named = (e->times[FUZZ_SERVER_BITS] != 0);
    d->client_bits_named = (e->times[FUZZ_CLIENT_BITS] != 0);

    for (i = 0; i < FUZZ_PARAMS; i++) {
        if (e->times[i] > 1) {
            return 0;
        }
    }

    if (!e->ours || e->others
        || e->values[FUZZ_SERVER_NO_TAKEOVER].data != NULL
        || e->values[FUZZ_CLIENT_NO_TAKEOVER].data != NULL)
    {
        return 0;
    }

    if (d->server_bits_named
        && !fuzz_bits(&e->values[FUZZ_SERVER_BITS], &d->server_bits))
    {
        return 0;
    }

    if (!d->client_bits_named
        || (e->values[FUZZ_CLIENT_BITS].data == NULL && !response))
    {
        return 1;
    }

    return fuzz_bits(&e->values[FUZZ_CLIENT_BITS], &d->client_bits);
}


static ngx_uint_t
fuzz_bits(ngx_str_t *value, u_char *bits)
{
    char    text[4];
    u_char  n;

    for (n = 8; n <= 15; n++) {
        (void) sprintf(text, "%d", n);

        if (fuzz_equal(value, text, strlen(text))) {
            *bits = n;
            return 1;
        }
    }

    return 0;
}
