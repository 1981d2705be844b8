/* result.h: calls that go on while the program does something else.
 *
 *     mp_result_t *result = NULL;
 *     int in = 10, out;
 *     if (mp_pool_apply_async(pool, &square, &in, NULL, &result)) …
 *     …
 *     if (mp_result_get(result, &out, 1000) == MP_OK) printf("%d\n", out);
 *     mp_result_destroy(&result);
 *
 * A result stands for one call, or for all calls of a map. It is ready when each of its calls
 * has its outcome; each gets exactly one, whoever dies and however the pool ends. Several
 * arguments are a task whose input is a struct.
 *
 * A pool that has open results has a thread of the library's that moves things while no thread
 * of the program waits; it is started with the first result. Callbacks run in another one, which
 * is started with the first callback: one at a time, in the order in which results became ready,
 * so a slow one delays the others and nothing else.
 *
 * Threads: any, several at once for the same result; but destroy only when no other thread is in
 * a call with it. Fork: as the pool's.
 */
#ifndef MP_RESULT_H
#define MP_RESULT_H

#include <mp/pool.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_result mp_result_t;

/* All zero is the default. */
typedef struct mp_async_options {
    mp_call_options_t calls; /* `unordered` and `window` don't apply; of apply_async and submit
                                neither does `chunksize` */
    /* Called when the result is ready: the first if all of its calls are ok, else the second. The
     * result is valid until it returns. May be NULL. */
    void (*callback)(void *arg, mp_result_t *result);
    void (*error_callback)(void *arg, mp_result_t *result);
    void *arg;
    mp_rc_t *rcs; /* of map_async: the rc of each call, in rcs[0..n); NULL: not wanted */
} mp_async_options_t;

/* ---- beginning ------------------------------------------------------------------------------- */

/* Run task(in) on a worker. Doesn't block.
 * in   one record of the task's type; copied
 * out  the caller destroys it; NULL: only the callback will see it
 * MP_OK; MP_EINVAL, also for a task over bytes; MP_ECLOSED; MP_EFORKED; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_pool_apply_async(mp_pool_t *pool, const mp_task_t *task, const void *in,
                                   const mp_async_options_t *options, mp_result_t **out);
/* The same for any task, with an input of any length. Also MP_ETOOLARGE. */
MP_API mp_rc_t mp_pool_submit(mp_pool_t *pool, const mp_task_t *task, mp_bytes_t input,
                              const mp_async_options_t *options, mp_result_t **out);
/* Run out[i] = task(in[i]) for i below n. Both arrays, and rcs, are used until the result is ready.
 * Records of failed calls are zero. */
MP_API mp_rc_t mp_pool_map_async(mp_pool_t *pool, const mp_task_t *task, const void *in, size_t n,
                                 void *out, const mp_async_options_t *options,
                                 mp_result_t **result);

/* ---- using ------------------------------------------------------------------------------------
 */

MP_API bool mp_result_ready(const mp_result_t *self);
/* Whether all of its calls are ok. MP_OK; MP_ESTATE it isn't ready (Python's ValueError). */
MP_API mp_rc_t mp_result_successful(const mp_result_t *self, bool *out);

/* Wait, and copy the value of one call over records to `out`; of a map the values are in its
 * array, and `out` is NULL. As often as you like.
 * MP_OK; MP_ETIMEDOUT it isn't ready, and goes on (mp_result_ready tells that from a call that
 * ran out of its time); MP_EINVAL a task over bytes: see mp_result_outcome; or how the call
 * ended, of a map the first failed one in input order, with its words in mp_errmsg(). */
MP_API mp_rc_t mp_result_get(mp_result_t *self, void *out, int timeout_ms);
/* Wait, and say how one call ended. Its strings and bytes are the result's.
 * MP_OK however it ended: that is in out->rc; MP_ETIMEDOUT; MP_EINVAL it is a map. */
MP_API mp_rc_t mp_result_outcome(mp_result_t *self, mp_outcome_t *out, int timeout_ms);
/* How many of its calls have their outcome, of how many. */
MP_API void mp_result_progress(const mp_result_t *self, size_t *done, size_t *total);

/* What a call has said with mp_call_progress. */
typedef struct mp_report {
    uint64_t done;
    uint64_t total; /* 0: not known */
    char text[480]; /* cut there */
} mp_report_t;
/* The newest report of a single call. MP_OK; MP_ESTATE it has said nothing yet; MP_EINVAL it is a
 * map; MP_EFORKED. */
MP_API mp_rc_t mp_result_reported(const mp_result_t *self, mp_report_t *out);

/* End the calls that have no outcome yet. A running one is asked to stop, and then made to,
 * see mp_call_options_t.stop_grace_ms. They become MP_ECANCELLED, and the result is ready, at once.
 * MP_OK; MP_ESTATE it was ready before. */
MP_API mp_rc_t mp_result_cancel(mp_result_t *self);
/* Cancel what is open and free it; a callback that hasn't begun isn't called. NULL-safe,
 * idempotent. */
MP_API void mp_result_destroy(mp_result_t **self);

/* ---- several -----------------------------------------------------------------------------------
 */

typedef enum mp_result_when {
    MP_ALL_COMPLETED,
    MP_FIRST_COMPLETED,
    MP_FIRST_FAILED /* the first that isn't successful; if none is, all */
} mp_result_when_t;

/* Wait for one result, or for several of one pool; which of them are ready, mp_result_ready tells.
 * MP_OK; MP_ETIMEDOUT; MP_EINVAL they are of different pools. */
MP_API mp_rc_t mp_result_wait(mp_result_t *const *results, size_t count, mp_result_when_t when,
                              int timeout_ms);
/* Hand out results one by one as they become ready, each once: *index is which.
 * MP_OK; MP_EOF all were handed out; MP_ETIMEDOUT; MP_EINVAL as above. */
MP_API mp_rc_t mp_as_completed(mp_result_t *const *results, size_t count, size_t *index,
                               int timeout_ms);

/* ---- the end of a pool --------------------------------------------------------------------------
 */

/* No further calls, maps and jobs: they get MP_ECLOSED. What was begun goes on. */
MP_API void mp_pool_close(mp_pool_t *pool);
/* Wait until all results and the inputs of all jobs have their outcomes.
 * MP_OK; MP_ETIMEDOUT; MP_ESTATE the pool isn't closed. */
MP_API mp_rc_t mp_pool_join(mp_pool_t *pool, int timeout_ms);
/* Close, and end what was begun: every open call becomes MP_ECANCELLED, and the workers end.
 * The pool is still to be destroyed. */
MP_API void mp_pool_terminate(mp_pool_t *pool);

#ifdef __cplusplus
}
#endif

#endif
