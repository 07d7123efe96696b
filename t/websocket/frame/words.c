
/*
 * Copyright (C) ngx_gateway authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "words.h"


void
words_main(words_call_t *calls)
{
    char          *line, *name;
    size_t         size;
    words_call_t  *call;

    line = NULL;
    size = 0;

    while (getline(&line, &size, stdin) != -1) {

        name = strtok(line, " \n");

        for (call = calls; call->name; call++) {
            if (strcmp(call->name, name) == 0) {
                call->call();
            }
        }

        printf("\n");
        fflush(stdout);
    }

    free(line);
}


char *
words_next(void)
{
    return strtok(NULL, " \n");
}


ngx_str_t
words_unhex(void)
{
    char      *hex;
    size_t     i;
    unsigned   byte;
    ngx_str_t  text;

    hex = words_next();

    ngx_str_null(&text);

    if (hex == NULL) {
        return text;
    }

    text.len = *hex == '-' ? 0 : strlen(hex) / 2;
    text.data = malloc(text.len);

    for (i = 0; i < text.len; i++) {
        byte = (hex[2 * i] & 0x40 ? hex[2 * i] + 9 : hex[2 * i]) & 0x0f;
        byte <<= 4;
        byte |= (hex[2 * i + 1] & 0x40 ? hex[2 * i + 1] + 9 : hex[2 * i + 1])
                & 0x0f;

        text.data[i] = byte;
    }

    return text;
}


u_char *
words_copy(u_char *p, size_t len)
{
    u_char  *new;

    new = malloc(len);

    if (len) {
        ngx_memcpy(new, p, len);
    }

    return new;
}


void
words_put(u_char *p, size_t len)
{
    size_t  i;

    if (len == 0) {
        printf("-");
    }

    for (i = 0; i < len; i++) {
        printf("%02x", p[i]);
    }
}
