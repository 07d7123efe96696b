
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * What is explored, and what the comment of the table's header says of it:
 * the most that a key is admitted for has to be reached and not exceeded.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_gateway_limit_table.h"
#include "explore.h"


#define EVICT       NGX_HTTP_GATEWAY_LIMIT_EVICT
#define REJECT      NGX_HTTP_GATEWAY_LIMIT_REJECT
#define PASS        NGX_HTTP_GATEWAY_LIMIT_PASS

#define ANY         EXPLORE_ANY
#define NONE        { ANY, ANY }


explore_scenario_t  explore_scenarios[] = {

    /* I3: of two or three requests for the last token one gets it */

    { "last-token", "A2 .", { "A", "A" }, 3, 0, EVICT,
      { { 1, 1 }, NONE, NONE, NONE }, 1, 0 },

    { "last-token-of-three", "A2 .", { "A", "A", "A" }, 3, 0, EVICT,
      { { 1, 1 }, NONE, NONE, NONE }, 1, 0 },

    { "last-two-tokens", "A1 .", { "AA", "A", "2A" }, 3, 0, EVICT,
      { { 2, 2 }, NONE, NONE, NONE }, 1, 0 },

    /* a refund against charges invents no token and loses none */

    { "refund", "A1 .", { "Aa", "AA" }, 3, 0, EVICT,
      { { 2, 2 }, NONE, NONE, NONE }, 1, 0 },

    { "refund-two", "A1 .", { "Aa", "AaA", "A" }, 3, 0, EVICT,
      { { 2, 2 }, NONE, NONE, NONE }, 1, 0 },

    { "refund-cost", "A1 .", { "2Aa", "2A", "A" }, 4, 0, EVICT,
      { { 3, 3 }, NONE, NONE, NONE }, 1, 0 },

    /*
     * nor when what was charged has come back by itself, wholly or partly (the
     * 4: killed before it gives back, and one has come back)
     */

    { "refund-late", "A- C=", { "A+a", "+AAA" }, 3, 5, EVICT,
      { { 3, 3 }, NONE, NONE, NONE }, 1, 0 },

    { "refund-late-part", "A- C=", { "3A+a", "+2A", "+A" }, 3, 1, EVICT,
      { { 3, 4 }, NONE, NONE, NONE }, 1, 0 },

    /* R1: one more bucket for each worker after the first */

    { "r1-new", ". .", { "A", "A" }, 1, 0, EVICT,
      { { 1, 2 }, NONE, NONE, NONE }, 2, 0 },

    { "r1-burst", "B- C=", { "A", "BbAAA" }, 3, 0, EVICT,
      { { ANY, 6 }, NONE, NONE, NONE }, 2, 0 },

    { "r1-three", "B- C= D=", { "A", "A", "BbCcA" }, 1, 0, EVICT,
      { { ANY, 3 }, NONE, NONE, NONE }, 3, 0 },

    { "r1-evict", "B1 C1", { "A", "BA" }, 3, 0, EVICT,
      { { ANY, 3 }, NONE, NONE, NONE }, 2, 0 },

    /* R2: what is charged to an entry that is being taken over */

    { "r2-one", "A- C=", { "B", "A" }, 3, 0, EVICT,
      { { ANY, 4 }, NONE, NONE, NONE }, 1, 0 },

    { "r2-burst", "A- C=", { "B", "AAA" }, 3, 0, EVICT,
      { { ANY, 6 }, { 0, ANY }, NONE, NONE }, 1, 0 },

    { "r2-two", "A- C=", { "B", "A", "AA" }, 3, 0, EVICT,
      { { ANY, 6 }, { 0, ANY }, NONE, NONE }, 2, 0 },

    { "r2-evict", "A1 C1", { "B", "AA" }, 3, 0, EVICT,
      { { ANY, 4 }, NONE, NONE, NONE }, 1, 0 },

    /* R3: one request for each worker that had found the entry */

    { "r3-new", ". .", { "A", "B" }, 3, 0, EVICT,
      { { 2, 4 }, { 2, 4 }, NONE, NONE }, 1, 0 },

    { "r3-three", ". .", { "A", "B", "C" }, 3, 0, EVICT,
      { { 1, 4 }, { 1, 4 }, { 1, 4 }, NONE }, 1, 0 },

    { "r3-evict", "A1 C2", { "B", "A" }, 3, 0, EVICT,
      { { 1, 2 }, { 1, 2 }, NONE, NONE }, 1, 0 },

    /* R4: B begins with what A owes, at best without the request of A */

    { "r4", "A1 C3", { "Aa", "B" }, 4, 0, EVICT,
      { { 1, 3 }, { 2, 3 }, NONE, NONE }, 1, 0 },

    /* I4: keys that evict each other win no more than the least debt leaves */

    { "scan-empty", "A3 C3", { "B", "DB", "AA" }, 3, 0, EVICT,
      { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 1, 0 },

    { "scan", "A2 C3", { "B", "D", "A" }, 3, 0, EVICT,
      { { 0, 1 }, { 0, 1 }, { 0, 0 }, { 0, 1 } }, 1, 0 },

    { "scan-again", "A2 C3", { "BD", "AA" }, 3, 0, EVICT,
      { { 0, 1 }, { 0, 1 }, { 0, 0 }, { 0, 1 } }, 1, 0 },

    /* a full set that is not evicted from */

    { "reject", "A1 C2", { "B", "BA", "DAa" }, 3, 0, REJECT,
      { { 2, 2 }, { 0, 0 }, { 1, 1 }, { 0, 0 } }, 1, 0 },

    { "pass", "A1 C2", { "B", "BA", "DAa" }, 3, 0, PASS,
      { { 2, 2 }, { 0, 0 }, { 1, 1 }, { 0, 0 } }, 1, 3 },

    { "reject-expired", "A- C2", { "B", "AA" }, 3, 0, REJECT,
      { { 0, 3 }, { 0, 3 }, { 1, 1 }, NONE }, 1, 0 },

    { NULL, NULL, { NULL }, 0, 0, 0, { NONE }, 0, 0 }
};
