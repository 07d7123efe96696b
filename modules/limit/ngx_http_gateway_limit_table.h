
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Token buckets in shared memory, without a lock.
 *
 * A bucket is kept as in the generic cell rate algorithm (ITU-T I.371, GCRA):
 * one time, the theoretical arrival time, at which the bucket will be full
 * again.  With T the time in which one token comes back, a bucket of "burst"
 * tokens holds burst - (time - now) / T of them, and a request that takes
 * "cost" tokens is admitted when time + cost * T is no later than
 * now + burst * T.  Rate and burst are not kept: they are arguments of each
 * call, and may be others at the next one.
 *
 * The table is set-associative: a key's hash chooses a set of eight entries,
 * two cache lines, and the entry is found by its tag.  An entry is two words:
 *
 *     tag     64 bits of a keyed hash; 0: never used
 *     time    when its bucket will be full, in microseconds
 *
 * Invariants, at every instruction:
 *
 *   I1  Every pair of a tag and a time is a valid entry.  There is no state
 *       in between, so that a worker which is killed leaves nothing to mend.
 *   I2  An entry whose time has passed says the same as no entry: a full
 *       bucket.  Nothing needs to be expired.
 *   I3  A time is moved forward by a compare-and-swap from the value that the
 *       decision was made on, so that of two requests for the last token one
 *       is refused.  Only a refund moves it back, by no more than what was
 *       charged and has not come back by itself since.
 *   I4  A tag is replaced by a compare-and-swap; the time stays, and the new
 *       key begins with what the old one owed.  It is never given more than
 *       it would get, and the old key comes back to some other's debt at
 *       least: scanning with new keys wins nobody a full bucket.
 *
 * Between the tag and the time there is no atomicity, which costs, each time
 * two workers do the named things within the same few instructions:
 *
 *   R1  Workers enter the same new key at once, each into another entry: until
 *       these times have passed the key has several buckets, of which the
 *       first in the set is found from then on.  One more burst for each
 *       worker after the first.
 *   R2  A worker takes over an entry, expired or nearest to full, while others
 *       charge its key: what they charge between its look and its compare-
 *       and-swap is lost to the key, and owed by the new one.  The key gets
 *       at most what its bucket held once more.
 *   R3  A worker charges an entry that has been taken over since it was found:
 *       the new key pays for one request, which the old one is not charged
 *       for.
 *   R4  A refund reaches an entry that has been taken over since: the new key
 *       is given back what it has inherited of that request.
 *
 * R4 needs a set full of live buckets; R1 to R3 a key that is new or that had
 * been idle for so long that its bucket was full, or a full set.  t/limit
 * checks these bounds: in all interleavings of two and of three workers, and
 * under stress.
 *
 * Time is CLOCK_MONOTONIC, which is one for all workers and survives their
 * restart.  It is not set back or forward with the wall clock, and it stands
 * still while the machine sleeps, when nobody is served either.  63 bits of
 * microseconds are 292,000 years.
 */


#ifndef _NGX_HTTP_GATEWAY_LIMIT_TABLE_H_INCLUDED_
#define _NGX_HTTP_GATEWAY_LIMIT_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#ifndef NGX_HTTP_GATEWAY_LIMIT_WAYS
#define NGX_HTTP_GATEWAY_LIMIT_WAYS      8
#endif

/* the longest time that a bucket may take to fill: 2^61 us, 73,000 years */

#define NGX_HTTP_GATEWAY_LIMIT_MAX_TIME  ((int64_t) 1 << 61)


typedef struct {
    ngx_atomic_t                      tag;
    ngx_atomic_t                      time;
} ngx_http_gateway_limit_entry_t;


/* lies in shared memory; the sets follow, aligned to a cache line */

typedef struct {
    uint64_t                          seed[2];   /* of the hash */
    ngx_uint_t                        nsets;
    ngx_atomic_t                      evictions;
    ngx_http_gateway_limit_entry_t   *entries;
} ngx_http_gateway_limit_table_t;


typedef enum {
    NGX_HTTP_GATEWAY_LIMIT_EVICT = 0,
    NGX_HTTP_GATEWAY_LIMIT_REJECT,
    NGX_HTTP_GATEWAY_LIMIT_PASS
} ngx_http_gateway_limit_full_e;


/* what a request asks of a bucket; all times in microseconds */

typedef struct {
    uint64_t                          hash;      /* of the key */
    int64_t                           now;
    int64_t                           charge;    /* cost * T */
    int64_t                           capacity;  /* burst * T */
    int64_t                           delay;     /* how late it may be served */
    ngx_uint_t                        on_full;   /* ..._limit_full_e */
} ngx_http_gateway_limit_request_t;


typedef struct {
    ngx_http_gateway_limit_entry_t   *entry;     /* charged; NULL: none */
    int64_t                           debt;      /* time - now, afterwards */
    int64_t                           wait;      /* how late to serve it, or
                                                    when to come back */
    unsigned                          full:1;    /* the set was */
} ngx_http_gateway_limit_result_t;


#pragma GCC visibility push(hidden)

/*
 * Makes a table of all of the "size" bytes at "addr", which are aligned to a
 * cache line and zero.  Returns NULL when they are too few.
 */

ngx_http_gateway_limit_table_t *ngx_http_gateway_limit_table_init(void *addr,
    size_t size, uint64_t seed[2]);

/* The keyed hash of "len" bytes: SipHash-2-4.  Never 0. */

uint64_t ngx_http_gateway_limit_hash(ngx_http_gateway_limit_table_t *table,
    u_char *data, size_t len);

/*
 * Takes the charge out of the key's bucket when it holds as much.
 *
 * Returns NGX_OK: charged, to be served now; NGX_AGAIN: charged, to be served
 * after result->wait; NGX_DECLINED: refused and not charged, result->wait says
 * when the request would be admitted if nobody else came.
 */

ngx_int_t ngx_http_gateway_limit_take(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result);

/* Tells what ngx_http_gateway_limit_take() would, and takes nothing. */

ngx_int_t ngx_http_gateway_limit_peek(ngx_http_gateway_limit_table_t *table,
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result);

/*
 * Gives back what ngx_http_gateway_limit_take() has taken, but for what has
 * come back by itself until "now".  Returns the microseconds given back.
 */

int64_t ngx_http_gateway_limit_refund(
    ngx_http_gateway_limit_request_t *request,
    ngx_http_gateway_limit_result_t *result, int64_t now);

#pragma GCC visibility pop


#endif /* _NGX_HTTP_GATEWAY_LIMIT_TABLE_H_INCLUDED_ */
