
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns what others may do with a session by its id: send to it, close it, ask
 * about it; and what is left of it when its worker died.
 */


#include "ngx_http_gateway_websocket_serve.h"


#define ngx_http_gateway_websocket_of_member(m)                               \
    (ngx_http_gateway_websocket_session_t *)                                  \
        ((u_char *) (m)                                                       \
         - offsetof(ngx_http_gateway_websocket_session_t, member))


static u_char *ngx_http_gateway_websocket_member_time(u_char *p,
    ngx_http_gateway_websocket_session_t *s, ngx_msec_t at);
static u_char *ngx_http_gateway_websocket_will_put(u_char *p, ngx_str_t *s);
static ngx_int_t ngx_http_gateway_websocket_will_get(ngx_str_t *will,
    ngx_str_t *s);
static ngx_http_core_srv_conf_t *ngx_http_gateway_websocket_will_server(
    ngx_str_t *name, ngx_uint_t n);


ngx_int_t
ngx_http_gateway_websocket_deliver(ngx_http_gateway_websocket_member_t *m,
    ngx_uint_t opcode, ngx_str_t *data)
{
    ngx_int_t                              rc;
    ngx_http_gateway_websocket_session_t  *s;

    s = ngx_http_gateway_websocket_of_member(m);

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN || s->broken) {
        return NGX_DECLINED;
    }

    if (s->nframes >= s->conf->max_queue) {
        return NGX_BUSY;
    }

    if (opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PING
        || opcode == NGX_HTTP_GATEWAY_WEBSOCKET_PONG)
    {
        rc = ngx_http_gateway_websocket_session_control(s, opcode, data->data,
                                                        data->len);

    } else {
        rc = ngx_http_gateway_websocket_session_send(s, opcode, data->data,
                                                     data->len);
    }

    if (rc != NGX_OK) {
        return s->broken ? NGX_DECLINED : NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_dismiss(ngx_http_gateway_websocket_member_t *m,
    ngx_uint_t code, ngx_str_t *reason)
{
    ngx_http_gateway_websocket_session_t *s;

    s = ngx_http_gateway_websocket_of_member(m);

    if (s->phase != NGX_HTTP_GATEWAY_WEBSOCKET_OPEN || s->broken) {
        return NGX_DECLINED;
    }

    ngx_http_gateway_websocket_session_close(s, code, reason,
                                      NGX_HTTP_GATEWAY_WEBSOCKET_BY_UPSTREAM);
    return NGX_OK;
}


ngx_int_t
ngx_http_gateway_websocket_describe(ngx_http_gateway_websocket_member_t *m,
    ngx_pool_t *pool, ngx_str_t *text)
{
    u_char                                *p;
    size_t                                 len, escape;
    ngx_http_gateway_websocket_session_t  *s;

    s = ngx_http_gateway_websocket_of_member(m);

    escape = ngx_escape_json(NULL, s->user_agent.data, s->user_agent.len);

    len = sizeof("\"connectedAt\":\"0000-00-00T00:00:00.000Z\","
                 "\"lastActiveAt\":\"0000-00-00T00:00:00.000Z\","
                 "\"identity\":{\"sourceIp\":\"\",\"userAgent\":\"\"},"
                 "\"queued\":")
          + s->profile->addr_text.len + s->user_agent.len + escape
          + NGX_INT_T_LEN;

    text->data = ngx_pnalloc(pool, len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text->data, "\"connectedAt\":\"");
    p = ngx_http_gateway_websocket_member_time(p, s, s->connected);
    p = ngx_sprintf(p, "\",\"lastActiveAt\":\"");
    p = ngx_http_gateway_websocket_member_time(p, s, s->active);
    p = ngx_sprintf(p, "\",\"identity\":{\"sourceIp\":\"%V\","
                    "\"userAgent\":\"", &s->profile->addr_text);

    if (escape) {
        p = (u_char *) ngx_escape_json(p, s->user_agent.data,
                                       s->user_agent.len);

    } else if (s->user_agent.len) {
        p = ngx_cpymem(p, s->user_agent.data, s->user_agent.len);
    }

    p = ngx_sprintf(p, "\"},\"queued\":%ui", s->nframes);

    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_http_gateway_websocket_member_time(u_char *p,
    ngx_http_gateway_websocket_session_t *s, ngx_msec_t at)
{
    ngx_tm_t    tm;
    ngx_msec_t  ms;

    ms = s->connected_msec + (at - s->connected);

    ngx_gmtime(s->connected_sec + (time_t) (ms / 1000), &tm);

    return ngx_sprintf(p, "%4d-%02d-%02dT%02d:%02d:%02d.%03MZ",
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                       ms % 1000);
}


/* the server's name and number, whom to tell and how, the client, its state */

ngx_int_t
ngx_http_gateway_websocket_will(ngx_http_gateway_websocket_session_t *s,
    ngx_str_t *will)
{
    u_char                      buf[NGX_INT_T_LEN], *p;
    size_t                      len;
    ngx_str_t                   number, format, host;
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t   *cscf, **cscfp;
    ngx_http_core_main_conf_t  *cmcf;

    cscf = s->profile->hc.conf_ctx->srv_conf[ngx_http_core_module.ctx_index];

    cmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        if (cscfp[i] == cscf) {
            break;
        }
    }

    number.data = buf;
    number.len = ngx_sprintf(buf, "%ui", i) - buf;

    /* of a connection that the service has not accepted it is not told */

    if (!s->accepted && (s->conf->connect || s->events)) {
        ngx_str_set(&format, "-");

    } else if (s->events) {
        ngx_str_set(&format, "e");

    } else {
        ngx_str_set(&format, "p");
    }

    host = s->profile->headers_in.server;

    len = 7 * sizeof(uint32_t) + format.len + host.len
          + cscf->server_name.len + number.len
          + s->disconnect.len + s->profile->addr_text.len + s->state.len;

    will->data = ngx_alloc(len, s->log);
    if (will->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_gateway_websocket_will_put(will->data, &cscf->server_name);
    p = ngx_http_gateway_websocket_will_put(p, &number);
    p = ngx_http_gateway_websocket_will_put(p, &s->disconnect);
    p = ngx_http_gateway_websocket_will_put(p, &format);
    p = ngx_http_gateway_websocket_will_put(p, &s->profile->addr_text);
    p = ngx_http_gateway_websocket_will_put(p, &host);
    p = ngx_http_gateway_websocket_will_put(p, &s->state);

    will->len = p - will->data;

    return NGX_OK;
}


void
ngx_http_gateway_websocket_renew_will(ngx_http_gateway_websocket_session_t *s)
{
    ngx_str_t  will;

    if (s->conf->zone == NULL || s->disconnect.len == 0
        || s->phase > NGX_HTTP_GATEWAY_WEBSOCKET_OPEN)
    {
        return;
    }

    /* the zone may have no room: the one before stays then */

    if (ngx_http_gateway_websocket_will(s, &will) == NGX_OK) {
        (void) ngx_http_gateway_websocket_set_will(&s->member, &will);
        ngx_free(will.data);
    }
}


static u_char *
ngx_http_gateway_websocket_will_put(u_char *p, ngx_str_t *s)
{
    uint32_t  len;

    len = (uint32_t) s->len;
    p = ngx_cpymem(p, &len, sizeof(uint32_t));

    return len ? ngx_cpymem(p, s->data, len) : p;
}


void
ngx_http_gateway_websocket_orphan(ngx_str_t *id, ngx_str_t *will)
{
    ngx_int_t                              n;
    ngx_str_t                              name, number, uri, format, addr;
    ngx_str_t                              host, state;
    ngx_http_core_srv_conf_t              *cscf;
    ngx_http_gateway_websocket_session_t  *s;

    if (will->len == 0) {
        return;
    }

    if (ngx_http_gateway_websocket_will_get(will, &name) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &number) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &uri) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &format) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &addr) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &host) != NGX_OK
        || ngx_http_gateway_websocket_will_get(will, &state) != NGX_OK)
    {
        return;
    }

    if (format.len != 1 || format.data[0] == '-') {
        return;
    }

    n = ngx_atoi(number.data, number.len);

    cscf = ngx_http_gateway_websocket_will_server(&name,
                                              (n == NGX_ERROR) ? 0 : n);
    if (cscf == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "no server \"%V\" to tell of the end of a websocket",
                      &name);
        return;
    }

    s = ngx_http_gateway_websocket_session(
             cscf->ctx->loc_conf[ngx_http_gateway_websocket_module.ctx_index]);

    if (s == NULL) {
        return;
    }

    s->phase = NGX_HTTP_GATEWAY_WEBSOCKET_GONE;
    s->accepted = 1;
    s->close = 1006;
    s->closed_by = NGX_HTTP_GATEWAY_WEBSOCKET_BY_GATEWAY;

    ngx_memcpy(s->member.id, id->data, NGX_HTTP_GATEWAY_WEBSOCKET_ID_LEN);

    s->disconnect.data = ngx_pstrdup(s->pool, &uri);
    s->state.data = state.len ? ngx_alloc(state.len, s->log) : NULL;

    if (s->disconnect.data == NULL
        || (state.len && s->state.data == NULL)
        || ngx_http_gateway_websocket_profile_orphan(s, cscf, &addr, &host)
           != NGX_OK)
    {
        ngx_http_gateway_websocket_session_free(s);
        return;
    }

    s->disconnect.len = uri.len;
    s->uri = s->disconnect;
    s->events = (format.data[0] == 'e');

    if (state.len) {
        s->state.len = state.len;
        ngx_memcpy(s->state.data, state.data, state.len);
    }

    ngx_http_gateway_websocket_session_wake(s);
}


static ngx_int_t
ngx_http_gateway_websocket_will_get(ngx_str_t *will, ngx_str_t *s)
{
    uint32_t  len;

    if (will->len < sizeof(uint32_t)) {
        return NGX_DECLINED;
    }

    ngx_memcpy(&len, will->data, sizeof(uint32_t));

    will->data += sizeof(uint32_t);
    will->len -= sizeof(uint32_t);

    if (len > will->len) {
        return NGX_DECLINED;
    }

    s->len = len;
    s->data = will->data;

    will->data += len;
    will->len -= len;

    return NGX_OK;
}


/* the one of this name, and of this number if there are several */

static ngx_http_core_srv_conf_t *
ngx_http_gateway_websocket_will_server(ngx_str_t *name, ngx_uint_t n)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t  **cscfp, *cscf;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_core_module);
    cscfp = cmcf->servers.elts;
    cscf = NULL;

    for (i = 0; i < cmcf->servers.nelts; i++) {

        if (cscfp[i]->server_name.len != name->len
            || ngx_strncmp(cscfp[i]->server_name.data, name->data, name->len)
               != 0)
        {
            continue;
        }

        if (cscf == NULL || i == n) {
            cscf = cscfp[i];
        }
    }

    return cscf;
}
