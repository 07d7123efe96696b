
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * WebSocket: proxied ones guarded, and HTTP requests answered by services that
 * speak nothing else.  The directives, the phase handler, and the filters:
 * those of the handshake that is a guarded tunnel's, and those for a problem in
 * the place of core's error page.
 */


#include "ngx_http_gateway_websocket.h"
#include "ngx_http_gateway_websocket_pass.h"
#include "ngx_http_gateway_websocket_serve.h"


static ngx_int_t ngx_http_gateway_websocket_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_gateway_websocket_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_gateway_websocket_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_gateway_websocket_init_process(ngx_cycle_t *cycle);
static void ngx_http_gateway_websocket_exit_process(ngx_cycle_t *cycle);


static ngx_conf_bitmask_t  ngx_http_gateway_websocket_next_upstream[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("invalid_header"), NGX_HTTP_UPSTREAM_FT_INVALID_HEADER },
    { ngx_string("non_idempotent"), NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT },
    { ngx_string("http_500"), NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { ngx_string("http_502"), NGX_HTTP_UPSTREAM_FT_HTTP_502 },
    { ngx_string("http_503"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("http_504"), NGX_HTTP_UPSTREAM_FT_HTTP_504 },
    { ngx_string("http_403"), NGX_HTTP_UPSTREAM_FT_HTTP_403 },
    { ngx_string("http_404"), NGX_HTTP_UPSTREAM_FT_HTTP_404 },
    { ngx_string("http_429"), NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


#if (NGX_HTTP_SSL)

static ngx_conf_bitmask_t  ngx_http_gateway_websocket_ssl_protocols[] = {
    { ngx_string("TLSv1"), NGX_SSL_TLSv1 },
    { ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1 },
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};

#endif


static ngx_http_gateway_set_bounds_t  ngx_http_gateway_websocket_count_bounds =
    { 1, 1000, "a number from 1 to 1000" };


static ngx_command_t  ngx_http_gateway_websocket_commands[] = {

    { ngx_string("gateway_websocket_guard"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, guard),
      NULL },

    { ngx_string("gateway_websocket_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_reply"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_gateway_websocket_set_reply,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_send"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_send,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_correlate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_correlate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_set_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_gateway_websocket_set_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_serve"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE123,
      ngx_http_gateway_websocket_set_serve,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_route"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE3,
      ngx_http_gateway_websocket_set_route,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_connect"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_told,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, connect),
      NULL },

    { ngx_string("gateway_websocket_disconnect"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_told,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, disconnect),
      NULL },

    { ngx_string("gateway_websocket_concurrency"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_number,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, concurrency),
      &ngx_http_gateway_websocket_count_bounds },

    { ngx_string("gateway_websocket_on_error"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_on_error,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_max_queue"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_number,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, max_queue),
      &ngx_http_gateway_websocket_count_bounds },

    { ngx_string("gateway_websocket_push"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE12,
      ngx_http_gateway_websocket_set_push,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_max_message"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, max_message),
      NULL },

    { ngx_string("gateway_websocket_max_frame"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, max_frame),
      NULL },

    { ngx_string("gateway_websocket_max_reply"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, max_reply),
      NULL },

    { ngx_string("gateway_websocket_ping"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ping),
      "off" },

    { ngx_string("gateway_websocket_idle_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, idle_timeout),
      "off" },

    { ngx_string("gateway_websocket_max_age"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, max_age),
      "off" },

    { ngx_string("gateway_websocket_expires"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, expires),
      NULL },

    { ngx_string("gateway_websocket_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_gateway_websocket_set_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_origins"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_gateway_websocket_set_origins,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_protocols"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_gateway_websocket_set_protocols,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_drain"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, drain),
      "off" },

    { ngx_string("gateway_websocket_deflate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, deflate),
      NULL },

    { ngx_string("gateway_websocket_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.connect_timeout),
      NULL },

    { ngx_string("gateway_websocket_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.send_timeout),
      NULL },

    { ngx_string("gateway_websocket_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.read_timeout),
      NULL },

    { ngx_string("gateway_websocket_next_upstream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_gateway_websocket_set_bitmask,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.next_upstream),
      &ngx_http_gateway_websocket_next_upstream },

    { ngx_string("gateway_websocket_next_upstream_tries"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_number,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t,
               upstream.next_upstream_tries),
      NULL },

    { ngx_string("gateway_websocket_next_upstream_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t,
               upstream.next_upstream_timeout),
      "off" },

    { ngx_string("gateway_websocket_bind"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_upstream_bind_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.local),
      NULL },

    { ngx_string("gateway_websocket_socket_keepalive"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t,
               upstream.socket_keepalive),
      NULL },

    { ngx_string("gateway_websocket_buffer_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.buffer_size),
      NULL },

#if (NGX_HTTP_SSL)

    { ngx_string("gateway_websocket_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_zero_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.ssl_certificate),
      NULL },

    { ngx_string("gateway_websocket_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_zero_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t,
               upstream.ssl_certificate_key),
      NULL },

    { ngx_string("gateway_websocket_ssl_ciphers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_ciphers),
      NULL },

    { ngx_string("gateway_websocket_ssl_conf_command"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_conf_commands),
      NULL },

    { ngx_string("gateway_websocket_ssl_crl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_crl),
      NULL },

    { ngx_string("gateway_websocket_ssl_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.ssl_name),
      NULL },

    { ngx_string("gateway_websocket_ssl_password_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_websocket_set_passwords,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("gateway_websocket_ssl_protocols"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_gateway_websocket_set_bitmask,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_protocols),
      &ngx_http_gateway_websocket_ssl_protocols },

    { ngx_string("gateway_websocket_ssl_server_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.ssl_server_name),
      NULL },

    { ngx_string("gateway_websocket_ssl_session_reuse"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t,
               upstream.ssl_session_reuse),
      NULL },

    { ngx_string("gateway_websocket_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_trusted_certificate),
      NULL },

    { ngx_string("gateway_websocket_ssl_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, upstream.ssl_verify),
      NULL },

    { ngx_string("gateway_websocket_ssl_verify_depth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_gateway_set_number,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_gateway_websocket_loc_conf_t, ssl_verify_depth),
      NULL },

#endif

      ngx_null_command
};


static ngx_http_module_t  ngx_http_gateway_websocket_module_ctx = {
    ngx_http_gateway_websocket_add_variables, /* preconfiguration */
    ngx_http_gateway_websocket_init,       /* postconfiguration */

    ngx_http_gateway_websocket_create_main_conf,
                                           /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_gateway_websocket_create_loc_conf,
                                           /* create location configuration */
    ngx_http_gateway_websocket_merge_loc_conf
                                           /* merge location configuration */
};


ngx_module_t  ngx_http_gateway_websocket_module = {
    NGX_MODULE_V1,
    &ngx_http_gateway_websocket_module_ctx, /* module context */
    ngx_http_gateway_websocket_commands,   /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_gateway_websocket_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_gateway_websocket_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_http_gateway_websocket_ctx_t *
ngx_http_gateway_websocket_get_ctx(ngx_http_request_t *r)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_gateway_websocket_ctx_t));
        if (ctx == NULL) {
            return NULL;
        }

        ngx_http_set_ctx(r, ctx, ngx_http_gateway_websocket_module);
    }

    return ctx;
}


ngx_int_t
ngx_http_gateway_websocket_refuse(ngx_http_request_t *r, ngx_uint_t status,
    char *detail)
{
    ngx_http_gateway_websocket_ctx_t  *ctx;

    ctx = ngx_http_gateway_websocket_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->problem.status = status;
    ctx->problem.detail.len = ngx_strlen(detail);
    ctx->problem.detail.data = (u_char *) detail;

    return status;
}


void
ngx_http_gateway_websocket_closed(ngx_http_gateway_websocket_ctx_t *ctx,
    ngx_uint_t code, ngx_uint_t by)
{
    if (ctx->close == 0) {
        ctx->close = code;
        ctx->closed_by = by;
    }
}


ngx_int_t
ngx_http_gateway_websocket_next_header(ngx_http_request_t *r)
{
    return ngx_http_next_header_filter(r);
}


ngx_int_t
ngx_http_gateway_websocket_next_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    return ngx_http_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_gateway_websocket_header_filter(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_exchange_t  *x;
    ngx_http_gateway_websocket_loc_conf_t  *wlcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx && ctx->pass
        && ngx_http_gateway_websocket_pass_is_opening(r, ctx->pass))
    {
        return ngx_http_gateway_websocket_pass_answer(r, ctx->pass);
    }

    x = ngx_http_gateway_websocket_get_exchange(r);

    if (x) {
        return ngx_http_gateway_websocket_exchange_header(x, r);
    }

    if (r->upstream
        && (ctx == NULL || (ctx->pass == NULL && ctx->problem.status == 0)))
    {
        wlcf = ngx_http_get_module_loc_conf(r,
                                            ngx_http_gateway_websocket_module);

        if (wlcf->guard
            && ngx_http_gateway_websocket_guard_is_concerned(r, ctx))
        {
            rc = ngx_http_gateway_websocket_guard_answer(r);

            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_gateway_problem_header(r, &ctx->problem) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->problem.replace
        && ctx->problem.status == NGX_HTTP_GATEWAY_WEBSOCKET_UPGRADE_REQUIRED)
    {
        ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_gateway_websocket_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_gateway_websocket_ctx_t       *ctx;
    ngx_http_gateway_websocket_exchange_t  *x;

    ctx = ngx_http_get_module_ctx(r, ngx_http_gateway_websocket_module);

    if (ctx && ctx->pass
        && ngx_http_gateway_websocket_pass_is_opening(r, ctx->pass))
    {
        /* the flush of a header that has not been sent */

        return NGX_OK;
    }

    x = ngx_http_gateway_websocket_get_exchange(r);

    if (x) {
        return ngx_http_gateway_websocket_exchange_body(x, r, in);
    }

    if (ctx == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->guard
        && ngx_http_gateway_websocket_tunnel_is_ready(ctx->guard))
    {
        return ngx_http_gateway_websocket_guard_start(r, in);
    }

    in = ngx_http_gateway_problem_body(r, &ctx->problem, in);

    if (in == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_gateway_websocket_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                     *h;
    ngx_http_core_main_conf_t               *cmcf;
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_gateway_websocket_module);

    if (!wmcf->used) {
        return NGX_OK;
    }

    if (ngx_http_gateway_websocket_check_zones(cf) != NGX_OK
        || ngx_http_gateway_subrequest_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_gateway_websocket_guard_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_gateway_websocket_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_gateway_websocket_body_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_websocket_init_process(ngx_cycle_t *cycle)
{
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    wmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                           ngx_http_gateway_websocket_module);

    if (wmcf == NULL || !wmcf->used) {
        return NGX_OK;
    }

    ngx_http_gateway_websocket_table_init();
    ngx_http_gateway_websocket_tell_init();

    if (ngx_http_gateway_websocket_profile_variables(cycle, wmcf) != NGX_OK
        || ngx_http_gateway_websocket_exchange_init_process(cycle) != NGX_OK
        || ngx_http_gateway_websocket_drain_init(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_gateway_websocket_zone_init_process(cycle);
}


static void
ngx_http_gateway_websocket_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_gateway_websocket_main_conf_t  *wmcf;

    wmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                           ngx_http_gateway_websocket_module);

    if (wmcf && wmcf->used) {
        ngx_http_gateway_websocket_zone_exit_process(cycle);
    }
}
