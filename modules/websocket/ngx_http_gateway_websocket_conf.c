
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the configuration of locations: where requests are passed to, how it is
 * inherited, and the TLS of connections to services.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"
#include "ngx_http_gateway_websocket_serve.h"


static char *ngx_http_gateway_websocket_set_static(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_str_t *url, size_t add,
    ngx_uint_t tls);
static char *ngx_http_gateway_websocket_set_variable(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_str_t *url);
static ngx_int_t ngx_http_gateway_websocket_merge_pass(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf);
static char *ngx_http_gateway_websocket_check_conf(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf);
static void ngx_http_gateway_websocket_merge_upstream(
    ngx_http_upstream_conf_t *prev, ngx_http_upstream_conf_t *conf);
#if (NGX_HTTP_SSL)
static void ngx_http_gateway_websocket_merge_ssl(
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf);
static ngx_int_t ngx_http_gateway_websocket_set_ssl(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf);
static ngx_int_t ngx_http_gateway_websocket_set_certificate(ngx_conf_t *cf,
    ngx_http_upstream_conf_t *conf);
static ngx_int_t ngx_http_gateway_websocket_set_trusted(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf);
#endif


char *
ngx_http_gateway_websocket_set_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_websocket_loc_conf_t *wlcf = conf;

    char                                    *rv;
    size_t                                   add;
    ngx_str_t                               *value;
    ngx_uint_t                               tls;
    ngx_http_core_loc_conf_t                *clcf;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    if (wlcf->srv || wlcf->url) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_script_variables_count(&value[1])) {
        rv = ngx_http_gateway_websocket_set_variable(cf, wlcf, &value[1]);

    } else {

        if (ngx_http_gateway_websocket_scheme(&value[1], &add, &tls) != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid URL \"%V\" in \"%V\", it must begin "
                               "with ws://, wss://, http:// or https://",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_gateway_websocket_set_static(cf, wlcf, &value[1], add,
                                                   tls);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    wmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_websocket_module);
    wmcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_gateway_websocket_pass_handler;

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_websocket_set_static(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_str_t *url, size_t add,
    ngx_uint_t tls)
{
    ngx_url_t                  u;
    ngx_http_core_loc_conf_t  *clcf;

#if !(NGX_HTTP_SSL)
    if (tls) {
        return "needs nginx with its ssl module for wss:// and https://";
    }
#else
    wlcf->ssl = tls;
#endif

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = url->len - add;
    u.url.data = url->data + add;
    u.default_port = tls ? 443 : 80;
    u.uri_part = 1;
    u.no_resolve = 1;

    wlcf->srv = ngx_http_upstream_add(cf, &u, 0);
    if (wlcf->srv == NULL) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (u.uri.len
        && (clcf->named || clcf->noname || clcf->lmt_excpt
#if (NGX_PCRE)
            || clcf->regex
#endif
           ))
    {
        return "cannot have URI part in location given by regular expression, "
               "or inside named location, or inside \"if\" statement, or "
               "inside \"limit_except\" block";
    }

    wlcf->location = clcf->name;
    wlcf->uri = u.uri;
    wlcf->host.data = u.url.data;
    wlcf->host.len = u.uri.len ? (size_t) (u.uri.data - u.url.data)
                               : u.url.len;

    if (u.family == AF_UNIX) {
        ngx_str_set(&wlcf->host, "localhost");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_websocket_set_variable(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *wlcf, ngx_str_t *url)
{
    wlcf->url = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (wlcf->url == NULL) {
        return NGX_CONF_ERROR;
    }

#if (NGX_HTTP_SSL)
    wlcf->ssl = 1;
#endif

    if (ngx_http_gateway_compile_value(cf, url, wlcf->url) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_gateway_websocket_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_gateway_websocket_main_conf_t));
}


void *
ngx_http_gateway_websocket_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_gateway_websocket_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_gateway_websocket_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream.buffering = 0;
     *     conf->upstream.next_upstream = 0;
     *     conf->upstream.send_lowat = 0;
     *     conf->upstream.intercept_errors = 0;
     *     conf->url = NULL;
     *     conf->location, host, uri = { 0, NULL };
     *     conf->reply, send, correlate, fields, limit: not set
     *     conf->ssl_protocols = 0;
     *     conf->ssl_ciphers, trusted_certificate, crl = { 0, NULL };
     */

    conf->upstream.local = NGX_CONF_UNSET_PTR;
    conf->upstream.socket_keepalive = NGX_CONF_UNSET;
    conf->upstream.next_upstream_tries = NGX_CONF_UNSET_UINT;
    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.read_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.next_upstream_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.buffer_size = NGX_CONF_UNSET_SIZE;

    /* the request's body is sent after the handshake */

    conf->upstream.preserve_output = 1;

    ngx_http_gateway_websocket_create_serve(conf);

    conf->guard = NGX_CONF_UNSET;
    conf->max_message = NGX_CONF_UNSET_SIZE;
    conf->max_frame = NGX_CONF_UNSET_SIZE;
    conf->max_reply = NGX_CONF_UNSET_SIZE;
    conf->ping = NGX_CONF_UNSET_MSEC;
    conf->idle_timeout = NGX_CONF_UNSET_MSEC;
    conf->max_age = NGX_CONF_UNSET_MSEC;
    conf->drain = NGX_CONF_UNSET_MSEC;
    conf->expires = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->protocols = NGX_CONF_UNSET_PTR;
    conf->deflate = NGX_CONF_UNSET;

#if (NGX_HTTP_SSL)
    conf->upstream.ssl_session_reuse = NGX_CONF_UNSET;
    conf->upstream.ssl_name = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_server_name = NGX_CONF_UNSET;
    conf->upstream.ssl_verify = NGX_CONF_UNSET;
    conf->upstream.ssl_certificate = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_certificate_key = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_passwords = NGX_CONF_UNSET_PTR;
    conf->ssl_verify_depth = NGX_CONF_UNSET_UINT;
    conf->ssl_conf_commands = NGX_CONF_UNSET_PTR;
#endif

    return conf;
}


char *
ngx_http_gateway_websocket_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_gateway_websocket_loc_conf_t *prev = parent;
    ngx_http_gateway_websocket_loc_conf_t *conf = child;

    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    if (!conf->reply_set) {
        conf->reply = prev->reply;
        conf->reply_set = prev->reply_set;
    }

    if (!conf->send_set) {
        conf->send = prev->send;
        conf->send_value = prev->send_value;
        conf->send_set = prev->send_set;
    }

    if (!conf->correlate_set) {
        conf->correlate = prev->correlate;
        conf->correlate_set = prev->correlate_set;
    }

    if (!conf->limit_set) {
        conf->limit = prev->limit;
        conf->limit_set = prev->limit_set;
    }

    if (conf->fields == NULL) {
        conf->fields = prev->fields;
    }

    if (ngx_http_gateway_websocket_merge_serve(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_value(conf->guard, prev->guard, 0);
    ngx_conf_merge_size_value(conf->max_message, prev->max_message, 65536);

    if (conf->max_frame == NGX_CONF_UNSET_SIZE) {
        conf->max_frame = prev->max_frame;
    }

    ngx_conf_merge_size_value(conf->max_reply, prev->max_reply, 1024 * 1024);
    ngx_conf_merge_msec_value(conf->ping, prev->ping, 30000);
    ngx_conf_merge_msec_value(conf->idle_timeout, prev->idle_timeout, 600000);
    ngx_conf_merge_msec_value(conf->max_age, prev->max_age, 0);
    ngx_conf_merge_msec_value(conf->drain, prev->drain, 5000);
    ngx_conf_merge_ptr_value(conf->expires, prev->expires, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_ptr_value(conf->protocols, prev->protocols, NULL);
    ngx_conf_merge_value(conf->deflate, prev->deflate, 0);

    ngx_http_gateway_websocket_merge_upstream(&prev->upstream,
                                              &conf->upstream);

#if (NGX_HTTP_SSL)
    ngx_http_gateway_websocket_merge_ssl(prev, conf);
#endif

    if (conf->guard) {
        wmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_websocket_module);
        wmcf->used = 1;
    }

    ngx_http_gateway_websocket_merge_push(cf, prev, conf);

    if (ngx_http_gateway_websocket_merge_pass(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_gateway_websocket_check_conf(cf, conf);
}


static ngx_int_t
ngx_http_gateway_websocket_merge_pass(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and "limit_except" are locations without a handler of their own */

    if (conf->srv == NULL && conf->url == NULL
        && (clcf->noname || clcf->lmt_excpt))
    {
        conf->srv = prev->srv;
        conf->url = prev->url;
        conf->location = prev->location;
        conf->host = prev->host;
        conf->uri = prev->uri;
#if (NGX_HTTP_SSL)
        conf->ssl = prev->ssl;
#endif

        if (clcf->lmt_excpt && clcf->handler == NULL
            && (conf->srv || conf->url))
        {
            clcf->handler = ngx_http_gateway_websocket_pass_handler;
        }
    }

    if (conf->srv == NULL && conf->url == NULL) {
        return NGX_OK;
    }

#if (NGX_HTTP_SSL)
    if (conf->ssl && ngx_http_gateway_websocket_set_ssl(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }
#endif

    conf->upstream.upstream = conf->srv;

    if (conf->correlate == NULL || conf->srv == NULL) {
        return NGX_OK;
    }

    /* a peer is chosen before it is known whether to connect to it */

    conf->upstream.upstream = ngx_palloc(cf->pool,
                                        sizeof(ngx_http_upstream_srv_conf_t));
    if (conf->upstream.upstream == NULL) {
        return NGX_ERROR;
    }

    *conf->upstream.upstream = *conf->srv;
    conf->upstream.upstream->peer.init =
                                       ngx_http_gateway_websocket_init_chosen;

    return NGX_OK;
}


static char *
ngx_http_gateway_websocket_check_conf(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    if (conf->srv == NULL && conf->url == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->correlate == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->url) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_websocket_correlate\" needs a "
                           "\"gateway_websocket_pass\" without variables");
        return NGX_CONF_ERROR;
    }

    if (conf->reply.format != NGX_HTTP_GATEWAY_WEBSOCKET_FORMAT_WHOLE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_websocket_correlate\" and "
                           "\"gateway_websocket_reply\" with sse or ndjson "
                           "cannot be together: a slow client would hold up "
                           "the others of its connection");
        return NGX_CONF_ERROR;
    }

    if (conf->reply.end == NGX_HTTP_GATEWAY_WEBSOCKET_REPLY_CLOSE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_websocket_correlate\" and "
                           "\"gateway_websocket_reply close\" cannot be "
                           "together");
        return NGX_CONF_ERROR;
    }

    if (conf->send == NGX_HTTP_GATEWAY_WEBSOCKET_SEND_NONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_websocket_correlate\" and "
                           "\"gateway_websocket_send none\" cannot be "
                           "together");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void
ngx_http_gateway_websocket_merge_upstream(ngx_http_upstream_conf_t *prev,
    ngx_http_upstream_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->local, prev->local, NULL);
    ngx_conf_merge_value(conf->socket_keepalive, prev->socket_keepalive, 0);
    ngx_conf_merge_uint_value(conf->next_upstream_tries,
                              prev->next_upstream_tries, 0);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              60000);
    ngx_conf_merge_msec_value(conf->send_timeout, prev->send_timeout, 60000);
    ngx_conf_merge_msec_value(conf->read_timeout, prev->read_timeout, 60000);
    ngx_conf_merge_msec_value(conf->next_upstream_timeout,
                              prev->next_upstream_timeout, 0);
    ngx_conf_merge_size_value(conf->buffer_size, prev->buffer_size,
                              (size_t) ngx_pagesize);

    ngx_conf_merge_bitmask_value(conf->next_upstream, prev->next_upstream,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_HTTP_UPSTREAM_FT_ERROR
                                  |NGX_HTTP_UPSTREAM_FT_TIMEOUT));

    if (conf->next_upstream & NGX_HTTP_UPSTREAM_FT_OFF) {
        conf->next_upstream = NGX_CONF_BITMASK_SET
                              |NGX_HTTP_UPSTREAM_FT_OFF;
    }
}


#if (NGX_HTTP_SSL)

static void
ngx_http_gateway_websocket_merge_ssl(
    ngx_http_gateway_websocket_loc_conf_t *prev,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    ngx_conf_merge_value(conf->upstream.ssl_session_reuse,
                         prev->upstream.ssl_session_reuse, 1);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_name,
                             prev->upstream.ssl_name, NULL);
    ngx_conf_merge_value(conf->upstream.ssl_server_name,
                         prev->upstream.ssl_server_name, 1);
    ngx_conf_merge_value(conf->upstream.ssl_verify,
                         prev->upstream.ssl_verify, 1);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_certificate,
                             prev->upstream.ssl_certificate, NULL);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_certificate_key,
                             prev->upstream.ssl_certificate_key, NULL);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_passwords,
                             prev->upstream.ssl_passwords, NULL);

    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3));
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers, "DEFAULT");
    ngx_conf_merge_uint_value(conf->ssl_verify_depth,
                              prev->ssl_verify_depth, 4);
    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                             prev->ssl_trusted_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_crl, prev->ssl_crl, "");
    ngx_conf_merge_ptr_value(conf->ssl_conf_commands,
                             prev->ssl_conf_commands, NULL);
}


static ngx_int_t
ngx_http_gateway_websocket_set_ssl(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;
    conf->upstream.ssl = ssl;

    if (ngx_ssl_create(ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, &conf->ssl_ciphers, 0) != NGX_OK
        || ngx_http_gateway_websocket_set_certificate(cf, &conf->upstream)
           != NGX_OK
        || ngx_http_gateway_websocket_set_trusted(cf, conf) != NGX_OK
        || ngx_ssl_client_session_cache(cf, ssl,
                                        conf->upstream.ssl_session_reuse)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_conf_commands(cf, ssl, conf->ssl_conf_commands);
}


static ngx_int_t
ngx_http_gateway_websocket_set_certificate(ngx_conf_t *cf,
    ngx_http_upstream_conf_t *conf)
{
    ngx_http_complex_value_t  *cert, *key;

    cert = conf->ssl_certificate;
    key = conf->ssl_certificate_key;

    if (cert == NULL || cert->value.len == 0) {
        return NGX_OK;
    }

    if (key == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"gateway_websocket_ssl_certificate_key\" is "
                      "defined for certificate \"%V\"", &cert->value);
        return NGX_ERROR;
    }

    if (cert->lengths || key->lengths) {
        conf->ssl_passwords = ngx_ssl_preserve_passwords(cf,
                                                         conf->ssl_passwords);

        return conf->ssl_passwords ? NGX_OK : NGX_ERROR;
    }

    return ngx_ssl_certificate(cf, conf->ssl, &cert->value, &key->value,
                               conf->ssl_passwords);
}


/* verification is on by default, and so it has to work by default */

static ngx_int_t
ngx_http_gateway_websocket_set_trusted(ngx_conf_t *cf,
    ngx_http_gateway_websocket_loc_conf_t *conf)
{
    SSL_CTX  *ctx;

    if (!conf->upstream.ssl_verify) {
        return NGX_OK;
    }

    if (conf->ssl_trusted_certificate.len) {

        if (ngx_ssl_trusted_certificate(cf, conf->upstream.ssl,
                                        &conf->ssl_trusted_certificate,
                                        conf->ssl_verify_depth)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {
        ctx = conf->upstream.ssl->ctx;

        SSL_CTX_set_verify_depth(ctx, conf->ssl_verify_depth);

        if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                          "SSL_CTX_set_default_verify_paths() failed");
            return NGX_ERROR;
        }
    }

    return ngx_ssl_crl(cf, conf->upstream.ssl, &conf->ssl_crl);
}

#endif
