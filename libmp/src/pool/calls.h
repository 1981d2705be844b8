/* calls.h: calls that are put one by one. Those of one task, with the same options, are one job
 * of the engine, so that a call costs no more than one of a map.
 *
 * All functions are called with the pool's lock held.
 */
#ifndef MPX_CALLS_H
#define MPX_CALLS_H

#include "drive.h"
#include "kept.h"
#include <mp/result.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct mpx_calls mpx_calls_t;

/* One call; it stays where it is until it is over. */
typedef struct mpx_one_call {
    mpx_calls_t *stream;
    uint64_t index;
    mp_bytes_t input;
    uint32_t task_out_bytes;
    mp_report_t *report; /* how far it said it is; NULL: it has said nothing */
    mpx_kept_t kept;     /* when it is over */
    void (*over)(void *arg);
    void *arg;
    bool unlisted;
    UT_hash_handle hh;
} mpx_one_call_t;

/* MP_OK; the codes of opening a job; MP_ENOMEM. */
mp_rc_t mpx_calls_put(mp_pool_t *pool, const mp_task_t *task, const mp_call_options_t *options,
                      mpx_one_call_t *call);
/* It ends as cancelled, if it is open. */
mp_rc_t mpx_calls_cancel(mp_pool_t *pool, mpx_one_call_t *call);
/* Close all; no call is open any more. */
void mpx_calls_free(mp_pool_t *pool);

#endif
