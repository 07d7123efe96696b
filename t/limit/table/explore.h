
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Scenarios for the exploration of the table of buckets, and what is claimed
 * of each.
 */


#ifndef _EXPLORE_H_INCLUDED_
#define _EXPLORE_H_INCLUDED_


#define EXPLORE_THREADS  3
#define EXPLORE_KEYS     4

/* nothing is claimed */

#define EXPLORE_ANY      -1


/*
 * What the runs of a scenario may lead to for one key, in tokens: what its
 * requests were admitted for and have not given back, and what can still be
 * taken afterwards.  Without races this sum is what the key had at first.
 */

typedef struct {
    int           least;     /* when nobody was killed */
    int           most;      /* whoever was killed, wherever */
} explore_claim_t;


/*
 * entries   "A3 B- .": a key and the tokens that it owes; "-", "=": it owes
 *           none since long, since not so long; ".": never used.  The set's
 *           other entries are of other keys whose buckets are empty.
 * threads   what each does: "A" takes a token out of the bucket of key A,
 *           "2A" two; "a" gives back what its last "A" has taken; "+": the
 *           time goes on by "later" tokens
 * burst     the capacity of each bucket, in tokens
 */

typedef struct {
    const char       *name;
    const char       *entries;
    const char       *threads[EXPLORE_THREADS];
    int               burst;
    int               later;
    int               on_full;
    explore_claim_t   claims[EXPLORE_KEYS];
    int               entered;     /* at most so many entries of one key */
    int               passed;      /* tokens' worth that was not charged */
} explore_scenario_t;


typedef struct {
    uint64_t          hash[2];
    double            schedules;   /* from it on; 0: not known yet */
} explore_state_t;


extern explore_scenario_t  explore_scenarios[];


explore_state_t *states_find(uint64_t *hash);
size_t states_forget(void);


#endif /* _EXPLORE_H_INCLUDED_ */
