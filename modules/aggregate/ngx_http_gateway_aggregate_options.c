
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Owns the options of a part: what each of them may be, and which of them go
 * together.
 */


#include "ngx_http_gateway_aggregate.h"


/* an option returns what is allowed when its value is not */

typedef char *(*ngx_http_gateway_aggregate_option_pt)(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);


typedef struct {
    ngx_str_t                             name;
    ngx_http_gateway_aggregate_option_pt  set;
} ngx_http_gateway_aggregate_option_t;


static char *ngx_http_gateway_aggregate_set_optional(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_default(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_timeout(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_method(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_body(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_select(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_only(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_except(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_rename(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_header(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_status(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_errors(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_each(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_max(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);
static char *ngx_http_gateway_aggregate_set_concurrency(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value);

static ngx_array_t *ngx_http_gateway_aggregate_split(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_gateway_aggregate_check_options(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part);


#define ngx_http_gateway_aggregate_names                                      \
    "it must be a list \"NAME,NAME,...\" of different members"


static ngx_http_gateway_aggregate_option_t
    ngx_http_gateway_aggregate_options[] =
{
    { ngx_string("optional"), ngx_http_gateway_aggregate_set_optional },
    { ngx_string("default="), ngx_http_gateway_aggregate_set_default },
    { ngx_string("timeout="), ngx_http_gateway_aggregate_set_timeout },
    { ngx_string("method="), ngx_http_gateway_aggregate_set_method },
    { ngx_string("body="), ngx_http_gateway_aggregate_set_body },
    { ngx_string("select="), ngx_http_gateway_aggregate_set_select },
    { ngx_string("only="), ngx_http_gateway_aggregate_set_only },
    { ngx_string("except="), ngx_http_gateway_aggregate_set_except },
    { ngx_string("rename="), ngx_http_gateway_aggregate_set_rename },
    { ngx_string("header="), ngx_http_gateway_aggregate_set_header },
    { ngx_string("status="), ngx_http_gateway_aggregate_set_status },
    { ngx_string("errors="), ngx_http_gateway_aggregate_set_errors },
    { ngx_string("each="), ngx_http_gateway_aggregate_set_each },
    { ngx_string("max="), ngx_http_gateway_aggregate_set_max },
    { ngx_string("concurrency="),
      ngx_http_gateway_aggregate_set_concurrency },
    { ngx_null_string, NULL }
};


/* HEAD is not among them: its answers have no body */

static ngx_conf_enum_t  ngx_http_gateway_aggregate_part_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_null_string, 0 }
};


char *
ngx_http_gateway_aggregate_invalid(ngx_conf_t *cf, ngx_str_t *value,
    char *allowed)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"part\", %s",
                       value, allowed);

    return NGX_CONF_ERROR;
}


char *
ngx_http_gateway_aggregate_set_options(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part)
{
    char                                 *rv;
    ngx_str_t                            *value, s;
    ngx_uint_t                            i, n, seen;
    ngx_http_gateway_aggregate_option_t  *option;

    value = cf->args->elts;
    seen = 0;

    for (i = 3; i < cf->args->nelts; i++) {

        option = ngx_http_gateway_aggregate_options;

        for (n = 0; option[n].name.len; n++) {

            s = option[n].name;

            if (value[i].len < s.len
                || ngx_strncmp(value[i].data, s.data, s.len) != 0)
            {
                continue;
            }

            if (s.data[s.len - 1] == '=' || value[i].len == s.len) {
                break;
            }
        }

        if (option[n].name.len == 0) {
            return ngx_http_gateway_aggregate_invalid(cf, &value[i],
                       "allowed are \"optional\", \"default=\", "
                       "\"timeout=\", \"method=\", \"body=\", \"select=\", "
                       "\"only=\", \"except=\", \"rename=\", \"header=\", "
                       "\"status=\", \"errors=\", \"each=\", \"max=\" and "
                       "\"concurrency=\"");
        }

        if ((seen & ((ngx_uint_t) 1 << n))
            && option[n].set != ngx_http_gateway_aggregate_set_header)
        {
            return ngx_http_gateway_aggregate_invalid(cf, &value[i],
                                            "it may be there only once");
        }

        seen |= (ngx_uint_t) 1 << n;

        s.data = value[i].data + option[n].name.len;
        s.len = value[i].len - option[n].name.len;

        rv = option[n].set(cf, part, &s);

        if (rv == NGX_CONF_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            return ngx_http_gateway_aggregate_invalid(cf, &value[i], rv);
        }
    }

    if (ngx_http_gateway_aggregate_check_options(cf, part) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_optional(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    part->optional = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_default(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s,
                                      NGX_HTTP_GATEWAY_JSON_SCAN_DEPTH);

    if (ngx_http_gateway_json_scan(&s, value->data, value->len) != NGX_OK
        || ngx_http_gateway_json_scan_end(&s) != NGX_OK)
    {
        return "it must be a JSON text; one with braces, spaces or quotes is "
               "quoted whole: 'default={\"a\":1}'";
    }

    part->default_value.data = value->data + s.start;
    part->default_value.len = s.end - s.start;
    part->optional = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_timeout(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    part->timeout = ngx_parse_time(value, 0);

    if (part->timeout == (ngx_msec_t) NGX_ERROR || part->timeout == 0) {
        return "it must be a time greater than 0";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_method(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_conf_enum_t  *e;

    for (e = ngx_http_gateway_aggregate_part_methods; e->name.len; e++) {

        if (e->name.len == value->len
            && ngx_strcmp(e->name.data, value->data) == 0)
        {
            part->method = e->value;
            part->method_name = e->name;

            return NGX_CONF_OK;
        }
    }

    return "it must be GET, POST, PUT, DELETE, PATCH or OPTIONS";
}


static char *
ngx_http_gateway_aggregate_set_body(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "request") == 0) {
        part->request_body = 1;
        return NGX_CONF_OK;
    }

    part->body = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (part->body == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_gateway_compile_value(cf, value, part->body) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_select(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_int_t  rc;

    part->select = ngx_palloc(cf->pool,
                              sizeof(ngx_http_gateway_json_pointer_t));
    if (part->select == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_gateway_json_pointer(cf->pool, part->select, value);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED || value->len == 0) {
        return "it must be a JSON pointer, as \"/data/0\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_only(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    part->members.only = ngx_http_gateway_aggregate_split(cf, value);

    return part->members.only ? NGX_CONF_OK : ngx_http_gateway_aggregate_names;
}


static char *
ngx_http_gateway_aggregate_set_except(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    part->members.except = ngx_http_gateway_aggregate_split(cf, value);

    return part->members.except ? NGX_CONF_OK
                                : ngx_http_gateway_aggregate_names;
}


static char *
ngx_http_gateway_aggregate_set_rename(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    u_char                               *p;
    ngx_str_t                            *pair;
    ngx_uint_t                            i, n;
    ngx_array_t                          *pairs;
    ngx_http_gateway_json_rename_t  *rename;

    static char  allowed[] = "it must be a list \"FROM:TO,FROM:TO,...\" in "
                             "which no name stands twice on one side";

    pairs = ngx_http_gateway_aggregate_split(cf, value);
    if (pairs == NULL) {
        return allowed;
    }

    part->members.rename = ngx_array_create(cf->pool, pairs->nelts,
                                 sizeof(ngx_http_gateway_json_rename_t));
    if (part->members.rename == NULL) {
        return NGX_CONF_ERROR;
    }

    pair = pairs->elts;

    for (i = 0; i < pairs->nelts; i++) {

        p = ngx_strlchr(pair[i].data, pair[i].data + pair[i].len, ':');

        if (p == NULL
            || p == pair[i].data
            || p == pair[i].data + pair[i].len - 1)
        {
            return allowed;
        }

        rename = ngx_array_push(part->members.rename);
        if (rename == NULL) {
            return NGX_CONF_ERROR;
        }

        rename->from.data = pair[i].data;
        rename->from.len = p - pair[i].data;
        rename->to.data = p + 1;
        rename->to.len = pair[i].len - rename->from.len - 1;

        if (!ngx_http_gateway_aggregate_is_utf8(&rename->to)) {
            return "it must be in UTF-8";
        }

        if (ngx_http_gateway_aggregate_escape(cf->pool, &rename->to,
                                              &rename->escaped)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        rename = part->members.rename->elts;

        for (n = 0; n < i; n++) {

            if ((rename[n].from.len == rename[i].from.len
                 && ngx_memcmp(rename[n].from.data, rename[i].from.data,
                               rename[i].from.len) == 0)
                || (rename[n].to.len == rename[i].to.len
                    && ngx_memcmp(rename[n].to.data, rename[i].to.data,
                                  rename[i].to.len) == 0))
            {
                return allowed;
            }
        }
    }

    return NGX_CONF_OK;
}


/* returns NULL when the list is not one; memory is core's to complain about */

static ngx_array_t *
ngx_http_gateway_aggregate_split(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char       *p, *last, *comma;
    ngx_str_t    *name;
    ngx_uint_t    i;
    ngx_array_t  *names;

    names = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
    if (names == NULL) {
        return NULL;
    }

    p = value->data;
    last = p + value->len;

    for ( ;; ) {

        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        if (comma == p) {
            return NULL;
        }

        name = ngx_array_push(names);
        if (name == NULL) {
            return NULL;
        }

        name->data = p;
        name->len = comma - p;

        name = names->elts;

        for (i = 0; i < names->nelts - 1; i++) {

            if (name[i].len == (size_t) (comma - p)
                && ngx_memcmp(name[i].data, p, name[i].len) == 0)
            {
                return NULL;
            }
        }

        if (comma == last) {
            return names;
        }

        p = comma + 1;
    }
}


ngx_uint_t
ngx_http_gateway_aggregate_is_utf8(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        if (ngx_utf8_decode(&p, last - p) > 0x10ffff) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_gateway_aggregate_escape(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *escaped)
{
    u_char  *p;

    escaped->len = text->len
                   + ngx_escape_json(NULL, text->data, text->len);

    p = ngx_pnalloc(pool, escaped->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    escaped->data = p;
    (void) ngx_escape_json(p, text->data, text->len);

    return NGX_OK;
}


static char *
ngx_http_gateway_aggregate_set_header(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    u_char                               *p, *colon;
    ngx_str_t                             s;
    ngx_uint_t                            i;
    ngx_http_gateway_aggregate_field_t   *field, *fields;

    colon = ngx_strlchr(value->data, value->data + value->len, ':');

    if (colon == NULL || colon == value->data) {
        return "it must be \"header=NAME:VALUE\"";
    }

    /* a token, RFC 9110, section 5.6.2 */

    for (p = value->data; p < colon; p++) {

        if ((*p < '0' || *p > '9')
            && ((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && (*p == '\0' || ngx_strchr("!#$%&'*+-.^_`|~", *p) == NULL))
        {
            return "its name must be one of a header field";
        }
    }

    if (part->fields == NULL) {
        part->fields = ngx_array_create(cf->pool, 2,
                                  sizeof(ngx_http_gateway_aggregate_field_t));
        if (part->fields == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    field = ngx_array_push(part->fields);
    if (field == NULL) {
        return NGX_CONF_ERROR;
    }

    field->name.data = value->data;
    field->name.len = colon - value->data;

    field->lowcase.len = field->name.len;
    field->lowcase.data = ngx_pnalloc(cf->pool, field->name.len + 1);
    if (field->lowcase.data == NULL) {
        return NGX_CONF_ERROR;
    }

    field->hash = ngx_hash_strlow(field->lowcase.data, field->name.data,
                                  field->name.len);
    field->lowcase.data[field->lowcase.len] = '\0';

    if (ngx_http_gateway_subrequest_drops(&field->lowcase)) {
        return "fields of the connection, of ranges and conditions, "
               "Accept-Encoding and Content-Length cannot be set";
    }

    fields = part->fields->elts;

    for (i = 0; i < part->fields->nelts - 1; i++) {

        if (fields[i].lowcase.len == field->lowcase.len
            && ngx_strcmp(fields[i].lowcase.data, field->lowcase.data) == 0)
        {
            return "the same field is set before";
        }
    }

    s.data = colon + 1;
    s.len = value->data + value->len - s.data;

    if (ngx_http_gateway_compile_value(cf, &s, &field->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_status(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_int_t                               n;
    ngx_str_t                              *code;
    ngx_uint_t                              i;
    ngx_array_t                            *codes;
    ngx_http_gateway_aggregate_statuses_t  *status;

    static char  allowed[] = "it must be a list of status codes from 200 to "
                             "599 or classes of them, as \"2xx,404\"";

    codes = ngx_http_gateway_aggregate_split(cf, value);
    if (codes == NULL) {
        return allowed;
    }

    part->statuses = ngx_array_create(cf->pool, codes->nelts,
                               sizeof(ngx_http_gateway_aggregate_statuses_t));
    if (part->statuses == NULL) {
        return NGX_CONF_ERROR;
    }

    code = codes->elts;

    for (i = 0; i < codes->nelts; i++) {

        status = ngx_array_push(part->statuses);
        if (status == NULL) {
            return NGX_CONF_ERROR;
        }

        if (code[i].len != 3) {
            return allowed;
        }

        if (ngx_strncasecmp(code[i].data + 1, (u_char *) "xx", 2) == 0) {
            n = ngx_atoi(code[i].data, 1);
            status->from = n * 100;
            status->to = n * 100 + 99;

        } else {
            n = ngx_atoi(code[i].data, 3);
            status->from = n;
            status->to = n;
        }

        if (n == NGX_ERROR || status->from < 200 || status->to > 599) {
            return allowed;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_errors(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "pass") != 0) {
        return "it must be \"errors=pass\"";
    }

    part->pass = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_each(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    if (value->len == 0) {
        return "it must be \"each=PART/POINTER\"";
    }

    /* parts are known when all of them have been read */

    part->each_text = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_max(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > 1000) {
        return "it must be a number from 1 to 1000";
    }

    part->max = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_gateway_aggregate_set_concurrency(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part, ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > 1000) {
        return "it must be a number from 1 to 1000";
    }

    part->concurrency = n;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_gateway_aggregate_check_options(ngx_conf_t *cf,
    ngx_http_gateway_aggregate_part_t *part)
{
    char  *wrong;

    wrong = NULL;

    if (part->pass && part->optional) {
        wrong = "has \"errors=pass\", which a part that is optional or has a "
                "default cannot have";

    } else if (part->members.only && part->members.except) {
        wrong = "has both \"only=\" and \"except=\", of which it can have one";

    } else if (part->each_text.len == 0 && part->max) {
        wrong = "has \"max=\" without \"each=\"";

    } else if (part->each_text.len == 0 && part->concurrency) {
        wrong = "has \"concurrency=\" without \"each=\"";

    } else if (part->merge && part->each_text.len) {
        wrong = "has \"each=\", which makes an array and no members";

    } else if (part->merge
               && part->default_value.len
               && part->default_value.data[0] != '{')
    {
        wrong = "needs a default that is an object";
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "part \"%V\" %s",
                           &part->name, wrong);
        return NGX_ERROR;
    }

    part->picks = part->members.only
                  || part->members.except
                  || part->members.rename;

    part->whole = part->picks || part->select || part->merge;

    if (part->max == 0) {
        part->max = 20;
    }

    if (part->concurrency == 0) {
        part->concurrency = part->max;
    }

    if (part->method == 0) {
        part->method = NGX_HTTP_GET;
        ngx_str_set(&part->method_name, "GET");
    }

    return NGX_OK;
}
