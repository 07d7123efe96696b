
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the "gateway_jwt_issuer" block and its names in "gateway_jwt".  Never
 * used once nginx is configured.
 */


#include "ngx_http_gateway_jwt.h"


#define NGX_HTTP_GATEWAY_JWT_MAX_LEEWAY    300       /* seconds */
#define NGX_HTTP_GATEWAY_JWT_MAX_KEY_FILE  (1024 * 1024)


/* a block while it is being read */

typedef struct {
    ngx_http_gateway_jwt_issuer_t  *issuer;
    ngx_array_t                     files;           /* ngx_str_t */
    ngx_uint_t                      algorithms;      /* 0: not set */
    time_t                          leeway;
    time_t                          max_lifetime;
    ngx_flag_t                      require_exp;
} ngx_http_gateway_jwt_block_t;


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    many;                              /* values */
    char       *(*set)(ngx_conf_t *cf, ngx_http_gateway_jwt_block_t *block);
} ngx_http_gateway_jwt_line_t;


static char *ngx_http_gateway_jwt_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_http_gateway_jwt_block_issuer(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_audience(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_algorithms(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_key_file(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_leeway(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_type(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_max_lifetime(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_require_exp(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_block_end(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block);
static char *ngx_http_gateway_jwt_load(ngx_conf_t *cf,
    ngx_http_gateway_jwt_issuer_t *issuer, ngx_str_t *file);
static ngx_int_t ngx_http_gateway_jwt_read(ngx_conf_t *cf, ngx_str_t *file,
    ngx_str_t *text);
static ngx_int_t ngx_http_gateway_jwt_find_issuer(ngx_conf_t *cf,
    ngx_http_gateway_jwt_main_conf_t *jmcf, ngx_http_gateway_jwt_use_t *use,
    ngx_str_t *name);


static ngx_http_gateway_jwt_line_t  ngx_http_gateway_jwt_lines[] = {
    { ngx_string("issuer"), 0, ngx_http_gateway_jwt_block_issuer },
    { ngx_string("audience"), 1, ngx_http_gateway_jwt_block_audience },
    { ngx_string("algorithms"), 1, ngx_http_gateway_jwt_block_algorithms },
    { ngx_string("key_file"), 0, ngx_http_gateway_jwt_block_key_file },
    { ngx_string("leeway"), 0, ngx_http_gateway_jwt_block_leeway },
    { ngx_string("type"), 1, ngx_http_gateway_jwt_block_type },
    { ngx_string("max_lifetime"), 0, ngx_http_gateway_jwt_block_max_lifetime },
    { ngx_string("require_exp"), 0, ngx_http_gateway_jwt_block_require_exp },
    { ngx_null_string, 0, NULL }
};


char *
ngx_http_gateway_jwt_issuer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_gateway_jwt_main_conf_t *jmcf = conf;

    char                            *rv;
    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_conf_t                       save;
    ngx_http_gateway_jwt_block_t     block;
    ngx_http_gateway_jwt_issuer_t   *issuer, **ip;

    value = cf->args->elts;
    ip = jmcf->issuers.elts;

    for (i = 0; i < jmcf->issuers.nelts; i++) {
        if (ip[i]->name.len == value[1].len
            && ngx_strcmp(ip[i]->name.data, value[1].data) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate gateway_jwt_issuer \"%V\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if (value[1].len == 0 || ngx_strchr(value[1].data, ',') != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"gateway_jwt_issuer\", "
                           "it must not be empty or have a comma",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    issuer = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_jwt_issuer_t));
    if (issuer == NULL) {
        return NGX_CONF_ERROR;
    }

    issuer->name = value[1];

    ngx_memzero(&block, sizeof(ngx_http_gateway_jwt_block_t));

    block.issuer = issuer;
    block.leeway = NGX_CONF_UNSET;
    block.max_lifetime = NGX_CONF_UNSET;
    block.require_exp = NGX_CONF_UNSET;

    if (ngx_array_init(&block.files, cf->temp_pool, 2, sizeof(ngx_str_t))
        != NGX_OK
        || ngx_array_init(&issuer->audiences, cf->pool, 2, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&issuer->types, cf->pool, 1, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    save = *cf;
    cf->ctx = &block;
    cf->handler = ngx_http_gateway_jwt_line;
    cf->handler_conf = conf;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ip = ngx_array_push(&jmcf->issuers);
    if (ip == NULL) {
        return NGX_CONF_ERROR;
    }

    *ip = issuer;

    return ngx_http_gateway_jwt_block_end(cf, &block);
}


static char *
ngx_http_gateway_jwt_line(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    char                          *rv;
    ngx_str_t                     *value;
    ngx_http_gateway_jwt_line_t   *line;
    ngx_http_gateway_jwt_block_t  *block;

    block = cf->ctx;
    value = cf->args->elts;

    for (line = ngx_http_gateway_jwt_lines; line->name.len; line++) {

        if (value[0].len != line->name.len
            || ngx_strcmp(value[0].data, line->name.data) != 0)
        {
            continue;
        }

        if (cf->args->nelts < 2 || (cf->args->nelts > 2 && !line->many)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of values of \"%V\" in "
                               "gateway_jwt_issuer \"%V\", it takes %s",
                               &value[0], &block->issuer->name,
                               line->many ? "one or more" : "one");
            return NGX_CONF_ERROR;
        }

        rv = line->set(cf, block);

        if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
            return rv;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in gateway_jwt_issuer \"%V\" %s",
                           &value[0], &block->issuer->name, rv);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown \"%V\" in gateway_jwt_issuer \"%V\", "
                       "allowed are issuer, audience, algorithms, key_file, "
                       "leeway, type, max_lifetime and require_exp",
                       &value[0], &block->issuer->name);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_gateway_jwt_block_issuer(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (block->issuer->issuer.data) {
        return "is duplicate";
    }

    if (value[1].len == 0) {
        return "must not be empty";
    }

    block->issuer->issuer = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_audience(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t   *value, *audience;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (block->issuer->any_audience || block->issuer->audiences.nelts) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "any") == 0) {
        block->issuer->any_audience = 1;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not be empty";
        }

        if (ngx_strcmp(value[i].data, "any") == 0) {
            return "has \"any\" beside other values";
        }

        audience = ngx_array_push(&block->issuer->audiences);
        if (audience == NULL) {
            return NGX_CONF_ERROR;
        }

        *audience = value[i];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_algorithms(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_int_t    alg;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (block->algorithms) {
        return "is duplicate";
    }

    for (i = 1; i < cf->args->nelts; i++) {

        alg = ngx_http_gateway_jwt_alg_find(&value[i]);

        if (alg == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid algorithm \"%V\" in "
                               "gateway_jwt_issuer \"%V\", allowed are "
                               "RS256, RS384, RS512, PS256, PS384, PS512, "
                               "ES256, ES384, ES512, ES256K, EdDSA, "
                               "HS256, HS384 and HS512",
                               &value[i], &block->issuer->name);
            return NGX_CONF_ERROR;
        }

        block->algorithms |= ngx_http_gateway_jwt_alg(alg);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_key_file(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t  *value, *file;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    file = ngx_array_push(&block->files);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    *file = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_leeway(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (block->leeway != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    block->leeway = ngx_parse_time(&value[1], 1);

    if (block->leeway == (time_t) NGX_ERROR
        || block->leeway > NGX_HTTP_GATEWAY_JWT_MAX_LEEWAY)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid leeway \"%V\" in gateway_jwt_issuer "
                           "\"%V\", it must be a time of at most 5m",
                           &value[1], &block->issuer->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_type(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t   *value, *type;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (block->issuer->types.nelts) {
        return "is duplicate";
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not be empty";
        }

        type = ngx_array_push(&block->issuer->types);
        if (type == NULL) {
            return NGX_CONF_ERROR;
        }

        *type = value[i];
        ngx_http_gateway_jwt_type_trim(type);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_max_lifetime(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (block->max_lifetime != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    block->max_lifetime = ngx_parse_time(&value[1], 1);

    if (block->max_lifetime == (time_t) NGX_ERROR
        || block->max_lifetime == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid max_lifetime \"%V\" in "
                           "gateway_jwt_issuer \"%V\", it must be a time "
                           "of at least 1s",
                           &value[1], &block->issuer->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_require_exp(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (block->require_exp != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        block->require_exp = 1;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        block->require_exp = 0;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid require_exp \"%V\" in "
                           "gateway_jwt_issuer \"%V\", it must be \"on\" "
                           "or \"off\"",
                           &value[1], &block->issuer->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_block_end(ngx_conf_t *cf,
    ngx_http_gateway_jwt_block_t *block)
{
    char                           *missing;
    ngx_str_t                      *file;
    ngx_uint_t                      i;
    ngx_http_gateway_jwt_issuer_t  *issuer;

    issuer = block->issuer;

    missing = issuer->issuer.len == 0 ? "issuer"
              : !issuer->any_audience && issuer->audiences.nelts == 0
                ? "audience"
              : block->files.nelts == 0 ? "key_file" : NULL;

    if (missing != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s\" in gateway_jwt_issuer \"%V\"",
                           missing, &issuer->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_value(block->leeway, 0);
    ngx_conf_init_value(block->max_lifetime, 0);
    ngx_conf_init_value(block->require_exp, 1);

    issuer->leeway = block->leeway;
    issuer->max_lifetime = block->max_lifetime;
    issuer->require_exp = block->require_exp;

    if (block->algorithms == 0) {
        block->algorithms = NGX_HTTP_GATEWAY_JWT_ALGS_DEFAULT;
    }

    if (ngx_http_gateway_jwt_keys_init(&issuer->keys, cf->pool,
                                       block->algorithms)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    file = block->files.elts;

    for (i = 0; i < block->files.nelts; i++) {
        if (ngx_http_gateway_jwt_load(cf, issuer, &file[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (issuer->keys.keys.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no usable key in the key files of "
                           "gateway_jwt_issuer \"%V\"",
                           &issuer->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_jwt_load(ngx_conf_t *cf,
    ngx_http_gateway_jwt_issuer_t *issuer, ngx_str_t *file)
{
    char       *reason;
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   text, name;

    if (ngx_http_gateway_jwt_read(cf, file, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    name.len = sizeof("key_file \"\"") - 1 + file->len;

    name.data = ngx_pnalloc(cf->temp_pool, name.len);
    if (name.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_sprintf(name.data, "key_file \"%V\"", file);
    name.len = p - name.data;

    reason = NULL;

    rc = ngx_http_gateway_jwt_keys_add(&issuer->keys, cf->pool, cf->log,
                                       &text, &name, &reason);

    /* the file may hold secrets */

    OPENSSL_cleanse(text.data, text.len);

    if (rc == NGX_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "%V in gateway_jwt_issuer \"%V\" can not be used: %s",
                       &name, &issuer->name,
                       rc == NGX_DECLINED ? reason : "no memory");

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_gateway_jwt_read(ngx_conf_t *cf, ngx_str_t *file, ngx_str_t *text)
{
    size_t           size;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    rc = NGX_ERROR;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", file);
        return NGX_ERROR;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", file);
        goto done;
    }

    if (!ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_HTTP_GATEWAY_JWT_MAX_KEY_FILE)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "key_file \"%V\" must be a regular file of at "
                           "most 1m", file);
        goto done;
    }

    size = (size_t) ngx_file_size(&fi);

    text->data = ngx_pnalloc(cf->temp_pool, size + 1);
    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_fd(fd, text->data, size);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", file);
        goto done;
    }

    text->len = n;
    rc = NGX_OK;

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", file);
    }

    return rc;
}


ngx_int_t
ngx_http_gateway_jwt_find_issuers(ngx_conf_t *cf,
    ngx_http_gateway_jwt_main_conf_t *jmcf)
{
    u_char                      *p, *last;
    ngx_str_t                    name;
    ngx_uint_t                   i;
    ngx_http_gateway_jwt_use_t  *use;

    use = jmcf->uses.elts;

    for (i = 0; i < jmcf->uses.nelts; i++) {

        last = use[i].names.data + use[i].names.len;

        for (p = use[i].names.data; p <= last; p = name.data + name.len + 1) {

            name.data = p;

            p = ngx_strlchr(p, last, ',');
            name.len = (p ? p : last) - name.data;

            if (ngx_http_gateway_jwt_find_issuer(cf, jmcf, &use[i], &name)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_gateway_jwt_find_issuer(ngx_conf_t *cf,
    ngx_http_gateway_jwt_main_conf_t *jmcf, ngx_http_gateway_jwt_use_t *use,
    ngx_str_t *name)
{
    ngx_uint_t                       i;
    ngx_http_gateway_jwt_issuer_t   *issuer, **ip, **used;

    issuer = NULL;
    ip = jmcf->issuers.elts;

    for (i = 0; i < jmcf->issuers.nelts; i++) {
        if (ip[i]->name.len == name->len
            && ngx_strncmp(ip[i]->name.data, name->data, name->len) == 0)
        {
            issuer = ip[i];
            break;
        }
    }

    if (issuer == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown issuer \"%V\" in \"gateway_jwt\" in %V:%ui, "
                      "there is no gateway_jwt_issuer block of that name",
                      name, &use->file, use->line);
        return NGX_ERROR;
    }

    used = use->issuers->elts;

    for (i = 0; i < use->issuers->nelts; i++) {

        if (used[i]->issuer.len == issuer->issuer.len
            && ngx_strncmp(used[i]->issuer.data, issuer->issuer.data,
                           issuer->issuer.len)
               == 0)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "issuers \"%V\" and \"%V\" in \"gateway_jwt\" in "
                          "%V:%ui are both for \"%V\"",
                          &used[i]->name, name, &use->file, use->line,
                          &issuer->issuer);
            return NGX_ERROR;
        }
    }

    ip = ngx_array_push(use->issuers);
    if (ip == NULL) {
        return NGX_ERROR;
    }

    *ip = issuer;

    return NGX_OK;
}
