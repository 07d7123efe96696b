
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The words of a line of input, and those of the answer.
 */


#ifndef _WORDS_H_INCLUDED_
#define _WORDS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    const char   *name;
    void        (*call)(void);
} words_call_t;


/*
 * Does what each line of the input asks for: its first word is the name of a
 * call, which prints the answer.  The last call has no name.
 */

void words_main(words_call_t *calls);

/* The line's next word, or NULL. */

char *words_next(void);

/*
 * Likewise, in hex, "-" being an empty one; the caller frees the data, which
 * are NULL when there is no word.
 */

ngx_str_t words_unhex(void);

/* The bytes in memory of just their size. */

u_char *words_copy(u_char *p, size_t len);

void words_put(u_char *p, size_t len);


#endif /* _WORDS_H_INCLUDED_ */
