
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the directives whose values have a syntax of their own.
 */


#include "ngx_http_gateway_websocket.h"


static char *ngx_http_gateway_websocket_reply_end(ngx_conf_t *cf,
    ngx_http_gateway_websocket_reply_t *reply, ngx_str_t *value);
static char *ngx_http_gateway_websocket_parse_origin(ngx_conf_t *cf,
    ngx_http_gateway_websocket_origin_t *origin, ngx_str_t *value);


char *
ngx_http_gateway_websocket_set_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, ends, formats;

    if (wlcf->reply_set) {
        return "is duplicate";
    }

    wlcf->reply_set = 1;

    value = cf->args->elts;
    ends = 0;
    formats = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "sse") == 0) {
            wlcf->reply.format = NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_SSE;
            formats++;
            continue;
        }

        if (ngx_strcmp(value[i].data, "ndjson") == 0) {
            wlcf->reply.format = NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_NDJSON;
            formats++;
            continue;
        }

        if (ngx_http_gateway_websocket_reply_end(cf, &wlcf->reply, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        ends++;
    }

    if (ends > 1 || formats > 1) {
        return "has two parameters of which only one can be";
    }

    /* a stream goes on until the service closes it */

    if (formats && !ends) {
        wlcf->reply.end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_websocket_reply_end(ngx_conf_t *cf,
    ngx_http_gateway_websocket_reply_t *reply, ngx_str_t *value)
{
    u_char     *p;
    ngx_int_t   n;
    ngx_str_t   pointer;

    if (ngx_strcmp(value->data, "message") == 0) {
        reply->end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_MESSAGE;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "close") == 0) {
        reply->end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "count=", 6) == 0) {
        n = ngx_atoi(value->data + 6, value->len - 6);

        if (n < 1) {
            goto invalid;
        }

        reply->end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_COUNT;
        reply->count = n;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "until=", 6) == 0) {
        p = ngx_strlchr(value->data + 6, value->data + value->len, '=');

        if (p == NULL || p == value->data + 6) {
            goto invalid;
        }

        pointer.data = value->data + 6;
        pointer.len = p - pointer.data;

        reply->value.data = p + 1;
        reply->value.len = value->data + value->len - p - 1;

        if (ngx_http_gateway_websocket_pointer(cf, &reply->pointer, &pointer)
            != NGX_OK)
        {
            goto invalid;
        }

        reply->end = NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_UNTIL;

        return NGX_CONF_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"gateway_websocket_reply\", "
                       "allowed are message, count=NUMBER, "
                       "until=POINTER=VALUE and close, and sse or ndjson",
                       value);
    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_gateway_websocket_pointer(ngx_conf_t *cf,
    ngx_http_gateway_json_pointer_t *pointer, ngx_str_t *value)
{
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   i;

    if (value->len == 0 || value->data[0] == '/') {
        return ngx_http_gateway_json_pointer(cf->pool, pointer, value);
    }

    p = ngx_pnalloc(cf->pool, 2 * value->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p;
    *p++ = '/';

    for (i = 0; i < value->len; i++) {

        if (value->data[i] == '~' || value->data[i] == '/') {
            *p++ = '~';
            *p++ = (value->data[i] == '~') ? '0' : '1';
            continue;
        }

        *p++ = value->data[i];
    }

    text.len = p - text.data;

    return ngx_http_gateway_json_pointer(cf->pool, pointer, &text);
}


char *
ngx_http_gateway_websocket_set_send(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->send_set) {
        return "is duplicate";
    }

    wlcf->send_set = 1;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "body") == 0) {
        wlcf->send = NGX_HTTP_GATEWAY_WEBSOCKET_SEND_BODY;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "none") == 0) {
        wlcf->send = NGX_HTTP_GATEWAY_WEBSOCKET_SEND_NONE;
        return NGX_CONF_OK;
    }

    wlcf->send = NGX_HTTP_GATEWAY_WEBSOCKET_SEND_VALUE;

    wlcf->send_value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (wlcf->send_value == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_compile_value(cf, &value[1], wlcf->send_value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_correlate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->correlate_set) {
        return "is duplicate";
    }

    wlcf->correlate_set = 1;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    wlcf->correlate = ngx_pcalloc(cf->pool,
                                  sizeof(ngx_http_gateway_json_pointer_t));
    if (wlcf->correlate == NULL) {
        return NGX_CONF_ERROR;
    }

    if (value[1].len == 0
        || ngx_http_gateway_websocket_pointer(cf, wlcf->correlate, &value[1])
           != NGX_OK)
    {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                      "a JSON pointer, the name of a member, or \"off\"");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t                           *value;
    ngx_uint_t                           i;
    ngx_http_gateway_websocket_field_t  *field;

    /* those that make the handshake are the gateway's */

    static char  *own[] = {
        "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
        "Content-Length", "Transfer-Encoding", NULL
    };

    value = cf->args->elts;

    for (i = 0; own[i]; i++) {

        if (ngx_strcasecmp(value[1].data, (u_char *) own[i]) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid field \"%V\" in "
                               "\"gateway_websocket_set_header\", the gateway "
                               "sets it", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if (wlcf->fields == NULL) {
        wlcf->fields = ngx_array_create(cf->pool, 4,
                                  sizeof(ngx_http_gateway_websocket_field_t));
        if (wlcf->fields == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    field = ngx_array_push(wlcf->fields);
    if (field == NULL) {
        return NGX_CONF_ERROR;
    }

    field->name = value[1];

    if (ngx_http_gateway_compile_value(cf, &value[2], &field->value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->limit_set) {
        return "is duplicate";
    }

    wlcf->limit_set = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    wlcf->limit = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_rate_t));
    if (wlcf->limit == NULL) {
        return NGX_CONF_ERROR;
    }

    wlcf->limit->burst = 1;

    if (ngx_http_gateway_rate_parse(&value[1], wlcf->limit) != NGX_OK) {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                     "a rate as 10r/s, 10r/m, 10r/h or 10r/d, or \"off\"");
    }

    if (cf->args->nelts == 3
        && (ngx_strncmp(value[2].data, "burst=", 6) != 0
            || ngx_http_gateway_rate_parse_tokens(value[2].data + 6,
                                                  value[2].len - 6, 1,
                                                  &wlcf->limit->burst)
               != NGX_OK))
    {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[2],
                                      "burst= and a number greater than 0");
    }

    if (ngx_http_gateway_rate_times(wlcf->limit, (int64_t) 1 << 53) != NGX_OK)
    {
        return ngx_http_gateway_set_invalid(cf, cmd, &value[1],
                          "a rate by which the burst comes back in a lifetime");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_websocket_set_origins(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t                            *value;
    ngx_uint_t                            i;
    ngx_http_gateway_websocket_origin_t  *origin;

    if (wlcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    wlcf->origins = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                 sizeof(ngx_http_gateway_websocket_origin_t));
    if (wlcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        origin = ngx_array_push(wlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_gateway_websocket_parse_origin(cf, origin, &value[i])
            != NGX_CONF_OK)
        {
            return ngx_http_gateway_set_invalid(cf, cmd, &value[i],
                    "an origin as https://example.com, https://*.example.com, "
                    "null, or \"*\"");
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_websocket_parse_origin(ngx_conf_t *cf,
    ngx_http_gateway_websocket_origin_t *origin, ngx_str_t *value)
{
    u_char  *p, *last;

    ngx_memzero(origin, sizeof(ngx_http_gateway_websocket_origin_t));

    if (value->len == 1 && value->data[0] == '*') {
        origin->any = 1;
        return NGX_CONF_OK;
    }

    if (value->len == 4 && ngx_strncmp(value->data, "null", 4) == 0) {
        origin->host = *value;
        return NGX_CONF_OK;
    }

    p = (u_char *) ngx_strstr(value->data, "://");

    if (p == NULL || p == value->data) {
        return NGX_CONF_ERROR;
    }

    p += 3;
    last = value->data + value->len;

    origin->scheme.data = value->data;
    origin->scheme.len = p - value->data;

    if (last - p > 2 && p[0] == '*' && p[1] == '.') {
        origin->any = 1;
        p++;
    }

    origin->host.data = p;
    origin->host.len = last - p;

    for ( /* void */ ; p < last; p++) {

        if (*p == '/' || *p == '*' || *p == '?' || *p == '#' || *p == '@') {
            return NGX_CONF_ERROR;
        }
    }

    return origin->host.len ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_gateway_websocket_set_protocols(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t   *value, *name, list, token;
    ngx_uint_t   i;

    if (wlcf->protocols != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    wlcf->protocols = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                       sizeof(ngx_str_t));
    if (wlcf->protocols == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        list = value[i];

        if (ngx_http_gateway_websocket_next_token(&list, &token) != NGX_OK
            || token.len != value[i].len)
        {
            return ngx_http_gateway_set_invalid(cf, cmd, &value[i],
                    "a name of letters, digits and \"!#$%&'*+-.^_`|~\"");
        }

        name = ngx_array_push(wlcf->protocols);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}


/* as ngx_conf_set_bitmask_slot(), with a message that says what is allowed */

char *
ngx_http_gateway_websocket_set_bitmask(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    u_char              *p, list[256];
    ngx_str_t           *value;
    ngx_uint_t           i, *np;
    ngx_conf_bitmask_t  *mask, *m;

    np = (ngx_uint_t *) ((char *) conf + cmd->offset);

    if (*np) {
        return "is duplicate";
    }

    mask = cmd->post;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (m = mask; m->name.len; m++) {

            if (m->name.len == value[i].len
                && ngx_strcmp(m->name.data, value[i].data) == 0)
            {
                *np |= m->mask;
                break;
            }
        }

        if (m->name.len) {
            continue;
        }

        p = ngx_cpymem(list, "one of", 6);

        for (m = mask; m->name.len; m++) {
            p = ngx_slprintf(p, list + sizeof(list) - 1, " %V", &m->name);
        }

        *p = '\0';

        return ngx_http_gateway_set_invalid(cf, cmd, &value[i],
                                                  (char *) list);
    }

    *np |= NGX_CONF_BITMASK_SET;

    return NGX_CONF_OK;
}


#if (NGX_HTTP_SSL)

char *
ngx_http_gateway_websocket_set_passwords(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->upstream.ssl_passwords != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    wlcf->upstream.ssl_passwords = ngx_ssl_read_password_file(cf, &value[1]);

    if (wlcf->upstream.ssl_passwords == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

#endif
