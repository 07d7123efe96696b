
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The set of the states that a search has been in, each known by 128 bits of
 * a hash of it.
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "explore.h"


static void states_grow(void);


static explore_state_t  *states;
static size_t            nstates, mask;


/* The state, which is added when it is new; valid until the next call. */

explore_state_t *
states_find(uint64_t *hash)
{
    size_t  at;

    if (2 * nstates >= mask) {
        states_grow();
    }

    for (at = hash[0] & mask; states[at].hash[0]; at = (at + 1) & mask) {
        if (states[at].hash[0] == hash[0] && states[at].hash[1] == hash[1]) {
            return &states[at];
        }
    }

    states[at].hash[0] = hash[0];
    states[at].hash[1] = hash[1];
    nstates++;

    return &states[at];
}


size_t
states_forget(void)
{
    size_t  n;

    n = nstates;

    free(states);

    states = NULL;
    nstates = 0;
    mask = 0;

    return n;
}


static void
states_grow(void)
{
    size_t            i, n;
    explore_state_t  *old;

    old = states;
    n = old ? mask + 1 : 0;

    mask = old ? 2 * mask + 1 : 0xffff;
    states = calloc(mask + 1, sizeof(explore_state_t));

    if (states == NULL) {
        fprintf(stderr, "explore: no memory\n");
        exit(2);
    }

    nstates = 0;

    for (i = 0; i < n; i++) {
        if (old[i].hash[0]) {
            *states_find(old[i].hash) = old[i];
        }
    }

    free(old);
}
