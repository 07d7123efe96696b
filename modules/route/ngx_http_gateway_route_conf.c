
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the "gateway_routes" block: its lines up to the template.  How lines are
 * compared with each other and with requests is the table's.
 */


#include "ngx_http_gateway_route.h"


/* while a block is read */

typedef struct {
    ngx_http_gateway_route_block_t  *block;
    ngx_http_gateway_route_t        *all;    /* the first line for all */
    ngx_uint_t                       lines;
} ngx_http_gateway_route_reader_t;


static ngx_http_gateway_route_block_t *ngx_http_gateway_route_create_block(
    ngx_conf_t *cf);
static char *ngx_http_gateway_route_check_name(ngx_str_t *name);
static char *ngx_http_gateway_route_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_http_gateway_route_default(ngx_conf_t *cf,
    ngx_http_gateway_route_reader_t *reader);
static ngx_uint_t ngx_http_gateway_route_takes_all(
    ngx_http_gateway_route_entry_t *e);
static ngx_http_gateway_route_t *ngx_http_gateway_route_create(ngx_conf_t *cf,
    ngx_uint_t nsides);

static char *ngx_http_gateway_route_methods(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static ngx_int_t ngx_http_gateway_route_add_method(ngx_conf_t *cf,
    ngx_array_t *methods, u_char *data, size_t len);
static void ngx_http_gateway_route_check_methods(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);
static char *ngx_http_gateway_route_set_template(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value);
static char *ngx_http_gateway_route_set_names(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route);


char *
ngx_http_gateway_routes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                             *rv;
    ngx_int_t                         rc;
    ngx_pool_t                       *pool;
    ngx_conf_t                        save;
    ngx_http_gateway_route_entry_t   *all, *fallback;
    ngx_http_gateway_route_block_t   *block;
    ngx_http_gateway_route_reader_t   reader;

    block = ngx_http_gateway_route_create_block(cf);
    if (block == NULL) {
        return NGX_CONF_ERROR;
    }

    reader.block = block;
    reader.all = NULL;
    reader.lines = 0;

    save = *cf;
    cf->handler = ngx_http_gateway_route_line;
    cf->handler_conf = (void *) &reader;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (reader.lines == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"gateway_routes\" of \"$%V\" has no lines, it "
                           "must have at least one", &block->name);
        return NGX_CONF_ERROR;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, cf->log);
    if (pool == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_gateway_route_table_compile(block->table, pool, cf->log);

    ngx_destroy_pool(pool);

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (block->fallback != NULL && reader.all != NULL) {
        all = &reader.all->entry;
        fallback = &block->fallback->entry;

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"default\" in %V:%ui never matches, \"%V %V\" in "
                      "%V:%ui takes all of its requests",
                      &fallback->file, fallback->line, &all->methods_text,
                      &all->template.text, &all->file, all->line);
    }

    block->captures = ngx_http_gateway_route_table_captures(block->table);

    return NGX_CONF_OK;
}


static ngx_http_gateway_route_block_t *
ngx_http_gateway_route_create_block(ngx_conf_t *cf)
{
    char                                 *why;
    ngx_str_t                            *value;
    ngx_http_gateway_route_block_t       *block, **known;
    ngx_http_gateway_route_main_conf_t   *rmcf;

    value = cf->args->elts;

    why = ngx_http_gateway_route_check_name(&value[1]);

    if (why != NULL) {
        (void) ngx_http_gateway_route_invalid(cf, "variable", &value[1], why);
        return NULL;
    }

    block = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_route_block_t));
    if (block == NULL) {
        return NULL;
    }

    block->name.len = value[1].len - 1;
    block->name.data = value[1].data + 1;
    block->file = cf->conf_file->file.name;
    block->line = cf->conf_file->line;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_gateway_route_module);
    if (ngx_http_gateway_route_get_block(rmcf, &block->name) != NULL) {
        (void) ngx_http_gateway_route_invalid(cf, "variable", &value[1],
                                 "another \"gateway_routes\" defines it, too");
        return NULL;
    }

    if (ngx_http_gateway_route_is_taken(cf, &block->name)) {
        (void) ngx_http_gateway_route_invalid(cf, "variable", &value[1],
                                      "another directive defines it, too");
        return NULL;
    }

    block->table = ngx_http_gateway_route_table_create(cf->pool);
    if (block->table == NULL) {
        return NULL;
    }

    if (ngx_http_gateway_route_add_block(cf, block) != NGX_OK) {
        return NULL;
    }

    known = ngx_array_push(&rmcf->blocks);
    if (known == NULL) {
        return NULL;
    }

    *known = block;

    return block;
}


/* Returns NULL, or what is allowed. */

static char *
ngx_http_gateway_route_check_name(ngx_str_t *name)
{
    u_char  c;
    size_t  i;

    if (name->len < 2 || name->data[0] != '$') {
        return "it must be \"$NAME\"";
    }

    for (i = 1; i < name->len; i++) {
        c = name->data[i];

        if (((c | 0x20) < 'a' || (c | 0x20) > 'z') && c != '_'
            && (c < '0' || c > '9' || i == 1))
        {
            return "its name must have letters, digits and \"_\", and must "
                   "not begin with a digit";
        }
    }

    if (ngx_strncasecmp(name->data, (u_char *) "$gateway_",
                        sizeof("$gateway_") - 1)
        == 0)
    {
        return "its name must not begin with \"gateway_\"";
    }

    return NULL;
}


ngx_http_gateway_route_block_t *
ngx_http_gateway_route_get_block(ngx_http_gateway_route_main_conf_t *rmcf,
    ngx_str_t *name)
{
    ngx_uint_t                        i;
    ngx_http_gateway_route_block_t  **block;

    block = rmcf->blocks.elts;

    for (i = 0; i < rmcf->blocks.nelts; i++) {
        if (block[i]->name.len == name->len
            && ngx_strncasecmp(block[i]->name.data, name->data, name->len)
               == 0)
        {
            return block[i];
        }
    }

    return NULL;
}


static char *
ngx_http_gateway_route_line(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_http_gateway_route_reader_t *reader = conf;

    ngx_str_t                 *value;
    ngx_http_gateway_route_t  *route;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[0].data, "include") == 0) {
        return ngx_conf_include(cf, dummy, conf);
    }

    reader->lines++;

    if (ngx_strcmp(value[0].data, "default") == 0) {

        if (cf->args->nelts != 2) {
            return ngx_http_gateway_route_invalid(cf, "line", &value[0],
                                              "it must be \"default VALUE\"");
        }

        return ngx_http_gateway_route_default(cf, reader);
    }

    if (cf->args->nelts < 3) {
        return ngx_http_gateway_route_invalid(cf, "line", &value[0],
                                   "it must be \"METHODS TEMPLATE VALUE ...\" "
                                   "or \"default VALUE\"");
    }

    route = ngx_http_gateway_route_create(cf, cf->args->nelts - 2);
    if (route == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_route_methods(cf, route, &value[0]) != NGX_CONF_OK
        || ngx_http_gateway_route_set_template(cf, route, &value[1])
           != NGX_CONF_OK
        || ngx_http_gateway_route_parameters(cf, route) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_route_table_add(reader->block->table, &route->entry)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (reader->all == NULL
        && ngx_http_gateway_route_takes_all(&route->entry))
    {
        reader->all = route;
    }

    return NGX_CONF_OK;
}


/* Tells whether nothing is left to "default". */

static ngx_uint_t
ngx_http_gateway_route_takes_all(ngx_http_gateway_route_entry_t *e)
{
    return e->nmethods == 0
           && e->host.len == 0
           && e->nconditions == 0
           && e->template.segments[0].kind == NGX_HTTP_GATEWAY_ROUTE_REST;
}


static char *
ngx_http_gateway_route_default(ngx_conf_t *cf,
    ngx_http_gateway_route_reader_t *reader)
{
    ngx_str_t                 *value;
    ngx_http_gateway_route_t  *route;

    if (reader->block->fallback != NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "duplicate \"default\" in %V:%ui, the first one is in "
                      "%V:%ui", &cf->conf_file->file.name,
                      cf->conf_file->line,
                      &reader->block->fallback->entry.file,
                      reader->block->fallback->entry.line);
        return NGX_CONF_ERROR;
    }

    route = ngx_http_gateway_route_create(cf, 1);
    if (route == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_gateway_route_invalid(cf, "value", &value[1],
                                              "it must not be empty");
    }

    route->entry.template.text = value[0];
    route->nsides = 1;

    if (ngx_http_gateway_compile_value(cf, &value[1], &route->sides[0].value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    reader->block->fallback = route;

    return NGX_CONF_OK;
}


/* a line of the file that is read, with room for so many values */

static ngx_http_gateway_route_t *
ngx_http_gateway_route_create(ngx_conf_t *cf, ngx_uint_t nsides)
{
    ngx_http_gateway_route_t  *route;

    route = ngx_pcalloc(cf->pool, sizeof(ngx_http_gateway_route_t));
    if (route == NULL) {
        return NULL;
    }

    route->sides = ngx_pcalloc(cf->pool,
                               nsides * sizeof(ngx_http_gateway_route_side_t));
    if (route->sides == NULL) {
        return NULL;
    }

    route->entry.file = cf->conf_file->file.name;
    route->entry.line = cf->conf_file->line;

    return route;
}


/* a list of tokens, RFC 9110, section 9.1 */

static char *
ngx_http_gateway_route_methods(ngx_conf_t *cf, ngx_http_gateway_route_t *route,
    ngx_str_t *value)
{
    u_char       *p, *last, *comma;
    ngx_array_t   methods;

    route->entry.methods_text = *value;

    if (value->len == 1 && value->data[0] == '*') {
        return NGX_CONF_OK;
    }

    if (ngx_array_init(&methods, cf->pool, 2, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    last = value->data + value->len;

    for (p = value->data; p <= last; p = comma + 1) {

        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        switch (ngx_http_gateway_route_add_method(cf, &methods, p,
                                                  comma - p))
        {
        case NGX_OK:
            break;

        case NGX_DECLINED:
            return ngx_http_gateway_route_invalid(cf, "methods", value,
                       "it must be \"*\" or a list \"METHOD,METHOD,...\" of "
                       "different methods other than CONNECT");

        default:
            return NGX_CONF_ERROR;
        }
    }

    route->entry.methods = methods.elts;
    route->entry.nmethods = methods.nelts;

    ngx_http_gateway_route_check_methods(cf, route);

    return NGX_CONF_OK;
}


/* as ngx_http_parse_request_line() and ngx_http_v2_parse_method() */

static void
ngx_http_gateway_route_check_methods(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    u_char      *p, *last;
    ngx_str_t   *method;
    ngx_uint_t   i;

    method = route->entry.methods;

    for (i = 0; i < route->entry.nmethods; i++) {

        last = method[i].data + method[i].len;

        for (p = method[i].data; p < last; p++) {

            if ((*p >= 'A' && *p <= 'Z') || *p == '_' || *p == '-') {
                continue;
            }

            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "method \"%V\" in \"gateway_routes\" never "
                               "matches: nginx takes methods of capital "
                               "letters, \"_\" and \"-\" only", &method[i]);
            break;
        }
    }
}


/* Returns NGX_OK, NGX_DECLINED when it is not allowed, or NGX_ERROR. */

static ngx_int_t
ngx_http_gateway_route_add_method(ngx_conf_t *cf, ngx_array_t *methods,
    u_char *data, size_t len)
{
    ngx_str_t   *method;
    ngx_uint_t   i;

    if (!ngx_http_gateway_is_token(data, len)
        || (len == 1 && data[0] == '*')
        || (len == sizeof("CONNECT") - 1
            && ngx_strncmp(data, "CONNECT", len) == 0))
    {
        return NGX_DECLINED;
    }

    method = methods->elts;

    for (i = 0; i < methods->nelts; i++) {
        if (method[i].len == len
            && ngx_strncmp(method[i].data, data, len) == 0)
        {
            return NGX_DECLINED;
        }
    }

    method = ngx_array_push(methods);
    if (method == NULL) {
        return NGX_ERROR;
    }

    method->len = len;
    method->data = data;

    return NGX_OK;
}


static char *
ngx_http_gateway_route_set_template(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route, ngx_str_t *value)
{
    char                               *why;
    ngx_http_gateway_route_template_t  *template;

    template = &route->entry.template;

    switch (ngx_http_gateway_route_template(cf->pool, value, template, &why)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_gateway_route_invalid(cf, "template", value, why);

    default:
        return NGX_CONF_ERROR;
    }

    if (template->escaped) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "template \"%V\" in \"gateway_routes\" has an "
                           "escape, which never matches: paths are compared "
                           "when they are decoded", value);
    }

    if (template->starred) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "template \"%V\" in \"gateway_routes\" has a "
                           "\"*\" that only matches itself: it is more where "
                           "a segment begins with it, as in \"/**\"", value);
    }

    return ngx_http_gateway_route_set_names(cf, route);
}


static char *
ngx_http_gateway_route_set_names(ngx_conf_t *cf,
    ngx_http_gateway_route_t *route)
{
    ngx_uint_t                          i, n;
    ngx_http_gateway_route_segment_t   *segment;
    ngx_http_gateway_route_template_t  *template;

    template = &route->entry.template;

    if (template->ncaptures == 0) {
        return NGX_CONF_OK;
    }

    route->names = ngx_palloc(cf->pool,
                              template->ncaptures * sizeof(ngx_uint_t));
    if (route->names == NULL) {
        return NGX_CONF_ERROR;
    }

    segment = template->segments;
    n = 0;

    for (i = 0; i < template->nsegments; i++) {

        if (segment[i].name.len == 0) {
            continue;
        }

        if (ngx_http_gateway_route_add_capture(cf, &segment[i].name,
                                               &route->names[n++])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_gateway_route_invalid(ngx_conf_t *cf, char *what, ngx_str_t *value,
    char *allowed)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s \"%V\" in \"gateway_routes\", %s",
                       what, value, allowed);

    return NGX_CONF_ERROR;
}
