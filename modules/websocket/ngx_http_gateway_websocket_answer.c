
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what the answers of a service say to the gateway: state that it keeps
 * here, groups, a Close, and what kind of message the body is.
 */


#include "ngx_http_gateway_websocket_serve.h"


static ngx_int_t ngx_http_gateway_websocket_answer_state(ngx_pool_t *pool,
    ngx_str_t *state, ngx_str_t *value, u_char separator);
static size_t ngx_http_gateway_websocket_answer_size(ngx_str_t *state);
static ngx_int_t ngx_http_gateway_websocket_answer_meta(ngx_pool_t *pool,
    ngx_str_t *state, ngx_table_elt_t *h);
static ngx_uint_t ngx_http_gateway_websocket_answer_is(ngx_table_elt_t *h,
    char *name);
static char *ngx_http_gateway_websocket_answer_keep(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *state);


char *
ngx_http_gateway_websocket_answer(ngx_http_gateway_websocket_exchange_t *x,
    ngx_http_gateway_websocket_response_t *answer)
{
    ngx_str_t                              state, groups;
    ngx_uint_t                             i, changed;
    ngx_list_part_t                       *part;
    ngx_table_elt_t                       *h;
    ngx_http_request_t                    *r;
    ngx_http_gateway_websocket_session_t  *s;

    ngx_memzero(answer, sizeof(ngx_http_gateway_websocket_response_t));

    s = x->session;
    r = x->request;

    /* a page that core made up says nothing to the gateway */

    if (!x->answered || x->failed) {
        return NULL;
    }

    answer->type = r->headers_out.content_type;

    h = r->headers_out.content_encoding;

    if (h && h->hash && h->value.len
        && ngx_strcasecmp(h->value.data, (u_char *) "identity") != 0)
    {
        answer->encoded = 1;
    }

    state = s->state;
    changed = 0;
    ngx_str_null(&groups);

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0) {
                continue;
            }

            if (ngx_http_gateway_websocket_answer_is(&h[i],
                                                     "gateway-set-state"))
            {
                if (s->events) {
                    continue;
                }

                if (ngx_http_gateway_websocket_answer_state(r->pool, &state,
                                                            &h[i].value, ';')
                    != NGX_OK)
                {
                    return "Gateway-Set-State is not NAME=VALUE";
                }

                changed = 1;

            } else if (ngx_http_gateway_websocket_answer_is(&h[i],
                                                            "gateway-close"))
            {
                answer->close = h[i].value;

            } else if (ngx_http_gateway_websocket_answer_is(&h[i],
                                                   "sec-websocket-protocol"))
            {
                answer->protocol = h[i].value;

            } else if (!s->events) {
                continue;

            } else if (ngx_http_gateway_websocket_answer_is(&h[i],
                                                      "keep-alive-interval"))
            {
                answer->keep_alive = h[i].value;

            } else if (ngx_http_gateway_websocket_answer_is(&h[i],
                                                   "content-bytes-accepted"))
            {
                answer->accepted = h[i].value;

            } else if (h[i].key.len > 9
                       && ngx_strncasecmp(h[i].key.data,
                                          (u_char *) "set-meta-", 9)
                          == 0)
            {
                if (ngx_http_gateway_websocket_answer_meta(r->pool, &state,
                                                           &h[i])
                    != NGX_OK)
                {
                    return "a Set-Meta field is malformed";
                }

                changed = 1;
            }
        }
    }

    if (ngx_http_gateway_websocket_answer_size(&state)
        > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_STATE)
    {
        return "the state is larger than 4096 bytes";
    }

    if (ngx_http_gateway_websocket_fields(r->pool, &r->headers_out.headers,
                                          "gateway-groups", &groups)
        == NGX_ERROR)
    {
        return "there is no memory for it";
    }

    if (s->events
        && ngx_http_gateway_websocket_fields(r->pool, &r->headers_out.headers,
                                             "sec-websocket-extensions",
                                             &answer->extensions)
           == NGX_ERROR)
    {
        return "there is no memory for it";
    }

    /* who has gone is in no group */

    if (groups.len && s->phase <= NGX_HTTP_GATEWAY_WEBSOCKET_OPEN
        && ngx_http_gateway_websocket_set_groups(&s->member, &groups)
           != NGX_OK)
    {
        return "Gateway-Groups is malformed, or too many, or there is no zone";
    }

    return changed ? ngx_http_gateway_websocket_answer_keep(s, &state) : NULL;
}


static ngx_uint_t
ngx_http_gateway_websocket_answer_is(ngx_table_elt_t *h, char *name)
{
    return h->key.len == ngx_strlen(name)
           && ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len) == 0;
}


/* of names and values alone */

static size_t
ngx_http_gateway_websocket_answer_size(ngx_str_t *state)
{
    size_t  i, n;

    if (state->len == 0) {
        return 0;
    }

    n = 1;

    for (i = 0; i < state->len; i++) {
        n += (state->data[i] == ';' || state->data[i] == '\n');
    }

    /* each has a "=", and all but one a separator of two bytes */

    return state->len - 3 * n + 2;
}


/* of websocket-events: names ignore case */

static ngx_int_t
ngx_http_gateway_websocket_answer_meta(ngx_pool_t *pool, ngx_str_t *state,
    ngx_table_elt_t *h)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   value;

    len = h->key.len - 9;

    value.len = len + 1 + h->value.len;
    value.data = ngx_pnalloc(pool, value.len);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(value.data, h->key.data + 9, len);

    p = value.data + len;
    *p++ = '=';
    ngx_memcpy(p, h->value.data, h->value.len);

    return ngx_http_gateway_websocket_answer_state(pool, state, &value, '\n');
}


/* sets "state" to a new one with NAME=VALUE in it, in memory of "pool" */

static ngx_int_t
ngx_http_gateway_websocket_answer_state(ngx_pool_t *pool, ngx_str_t *state,
    ngx_str_t *value, u_char separator)
{
    u_char     *p, *last, *next, *end, *start;
    size_t      len;
    ngx_uint_t  i;

    p = ngx_strlchr(value->data, value->data + value->len, '=');

    if (p == NULL || p == value->data) {
        return NGX_DECLINED;
    }

    len = p - value->data;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < 0x20 || value->data[i] == 0x7f
            || value->data[i] == separator
            || (i < len
                && (value->data[i] == ' ' || value->data[i] >= 0x80
                    || ngx_strchr("()<>@,:\\\"/[]?={}", value->data[i])
                       != NULL)))
        {
            return NGX_DECLINED;
        }
    }

    start = ngx_pnalloc(pool, state->len + value->len + 2);
    if (start == NULL) {
        return NGX_ERROR;
    }

    end = start;
    last = state->data + state->len;

    for (p = state->data; p < last; p = next + 2) {

        next = ngx_strlchr(p, last, separator);

        if (next == NULL) {
            next = last;
        }

        if ((size_t) (next - p) > len
            && ngx_memcmp(p, value->data, len + 1) == 0)
        {
            continue;
        }

        if (end != start) {
            *end++ = separator; *end++ = ' ';
        }

        end = ngx_cpymem(end, p, next - p);
    }

    if (value->len > len + 1) {

        if (end != start) {
            *end++ = separator; *end++ = ' ';
        }

        end = ngx_cpymem(end, value->data, value->len);
    }

    state->data = start;
    state->len = end - start;

    return NGX_OK;
}


static char *
ngx_http_gateway_websocket_answer_keep(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *state)
{
    u_char  *p;

    p = NULL;

    if (state->len) {
        p = ngx_alloc(state->len, s->log);
        if (p == NULL) {
            return "there is no memory for it";
        }

        ngx_memcpy(p, state->data, state->len);
    }

    if (s->state.data) {
        ngx_free(s->state.data);
    }

    s->state.len = state->len;
    s->state.data = p;

    ngx_http_gateway_websocket_renew_will(s);

    return NULL;
}


ngx_int_t
ngx_http_gateway_websocket_answer_copy(
    ngx_http_gateway_websocket_exchange_t *x, ngx_http_request_t *r,
    ngx_str_t *names)
{
    ngx_str_t        *name;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    if (!x->answered || x->failed) {
        return NGX_OK;
    }

    part = &x->request->headers_out.headers.part;

    for ( /* void */ ; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            for (name = names; name->len; name++) {

                if (h[i].hash && h[i].key.len == name->len
                    && ngx_strncasecmp(h[i].key.data, name->data, name->len)
                       == 0)
                {
                    break;
                }
            }

            if (name->len == 0) {
                continue;
            }

            copy = ngx_http_gateway_push_header(&r->headers_out.headers);
            if (copy == NULL) {
                return NGX_ERROR;
            }

            copy->key.len = h[i].key.len;
            copy->key.data = ngx_pstrdup(r->pool, &h[i].key);
            copy->value.len = h[i].value.len;
            copy->value.data = ngx_pstrdup(r->pool, &h[i].value);

            if (copy->key.data == NULL || copy->value.data == NULL) {
                copy->hash = 0;
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_type(ngx_str_t *type, ngx_str_t *data,
    ngx_uint_t *opcode)
{
    size_t                             len;
    u_char                            *p, *last;
    ngx_uint_t                         i, text, either;
    ngx_http_gateway_websocket_utf8_t  utf8;

    static ngx_str_t  suffixes[] = {
        ngx_string("/json"),
        ngx_string("+json"),
        ngx_string("/xml"),
        ngx_string("+xml"),
        ngx_string("/javascript"),
        ngx_null_string
    };

    p = type->data;
    last = ngx_strlchr(p, p + type->len, ';');

    if (last == NULL) {
        last = p + type->len;
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    len = last - p;

    /* what tells nothing, and what curl says of anything */

    either = (len == 0
              || (len == sizeof("application/x-www-form-urlencoded") - 1
                  && ngx_strncasecmp(p,
                             (u_char *) "application/x-www-form-urlencoded",
                             len)
                     == 0));

    text = either || (len > 5
                      && ngx_strncasecmp(p, (u_char *) "text/", 5) == 0);

    for (i = 0; suffixes[i].len && !text; i++) {
        text = (len > suffixes[i].len
                && ngx_strncasecmp(last - suffixes[i].len, suffixes[i].data,
                                   suffixes[i].len)
                   == 0);
    }

    *opcode = NGX_HTTP_GATEWAY_WEBSOCKET_BINARY;

    if (!text) {
        return NGX_OK;
    }

    ngx_memzero(&utf8, sizeof(ngx_http_gateway_websocket_utf8_t));

    if (ngx_http_gateway_websocket_utf8(&utf8, data->data, data->len) != NGX_OK
        || utf8.left)
    {
        return either ? NGX_OK : NGX_DECLINED;
    }

    *opcode = NGX_HTTP_GATEWAY_WEBSOCKET_TEXT;

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_close_value(ngx_str_t *value, ngx_uint_t *code,
    ngx_str_t *reason)
{
    u_char     *p, *last, payload[NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL];
    ngx_int_t   n;

    p = value->data;
    last = p + value->len;

    if (value->len < 4 || (value->len > 4 && p[4] != ' ')) {
        return NGX_DECLINED;
    }

    n = ngx_atoi(p, 4);

    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    for (p += 4; p < last && *p == ' '; p++) { /* void */ }

    reason->data = p;
    reason->len = last - p;

    if (reason->len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL - 2) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    payload[0] = (u_char) (n >> 8);
    payload[1] = (u_char) n;

    ngx_memcpy(payload + 2, reason->data, reason->len);

    return (ngx_http_gateway_websocket_close_code(payload, reason->len + 2,
                                                  code)
            == NGX_OK)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_gateway_websocket_answer_close(
    ngx_http_gateway_websocket_session_t *s, ngx_str_t *value)
{
    ngx_str_t   reason;
    ngx_uint_t  code;

    if (ngx_http_gateway_websocket_close_value(value, &code, &reason)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_gateway_websocket_session_close(s, code, &reason,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);

    return NGX_OK;
}
