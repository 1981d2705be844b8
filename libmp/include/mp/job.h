/* job.h: a stream of calls of one task: put inputs in, take outcomes out.
 *
 * For inputs of any length or number, results one by one, and programs with a
 * poll loop of their own:
 *
 *     mp_job_new(pool, &upper, NULL, &job);
 *     put inputs with mp_job_put, then mp_job_close;
 *     while (mp_job_next(job, &outcome, -1) == MP_OK) use(outcome);    MP_EOF ends it
 *
 * The window bounds how far puts run ahead of next: a full window makes mp_job_put
 * wait, so one thread that both puts and takes should put with timeout 0 and take
 * whenever that returns MP_ETIMEDOUT.
 *
 * Threads: any; mp_job_put and mp_job_next may run in two threads at once. While a
 * thread waits in one of the pool's calls it drives all jobs of the pool; when no
 * thread does, nothing moves. Fork: as the pool's.
 */
#ifndef MP_JOB_H
#define MP_JOB_H

#include <mp/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_job mp_job_t;

/* Open a job. Does not block, unless it is one that a broker keeps: that is waited for, 10 s at
 * most, and when it fails no such job is at the broker; see kept.h.
 * task     what to run; only its name and records count, so it need not be in this
 *          process's registry. It must stay valid for the job's life.
 * options  NULL for the defaults; not kept.
 * MP_OK; MP_EINVAL; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. Of a kept one also MP_EEXIST its name or key
 * is another job's, MP_ETIMEDOUT, MP_ELIMIT, MP_ENOSPACE, MP_EDRAINING, MP_EPERM,
 * MP_EBROKERLOST. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_new(mp_pool_t *pool, const mp_task_t *task,
                                        const mp_call_options_t *options, mp_job_t **out);

/* Give the job one more input, whose bytes are copied. Inputs are numbered from 0
 * in the order in which they are put.
 * MP_OK; MP_ETIMEDOUT the window stayed full; MP_EINVAL wrong size for the task's
 * record; MP_ETOOLARGE over MP_VALUE_BYTES_MAX; MP_ECLOSED after mp_job_close or
 * mp_job_cancel; MP_EFORKED; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_put(mp_job_t *self, mp_bytes_t input, int timeout_ms);

/* No more inputs will come. */
MP_API void mp_job_close(mp_job_t *self);

/* Take the next outcome: in input order, or as they come with `unordered`.
 * out   its strings and bytes stay valid until the next mp_job_next or
 *       mp_job_destroy on this job.
 * MP_OK however the call ended: that is in out->rc; MP_EOF the job is closed and
 * all outcomes were taken; MP_ETIMEDOUT; MP_EFORKED; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_next(mp_job_t *self, mp_outcome_t *out, int timeout_ms);

/* End the calls that have no outcome yet: queued ones at once, running ones with
 * their workers, which are replaced. All become MP_ECANCELLED and can be taken.
 * Also closes the job. Idempotent. */
MP_API void mp_job_cancel(mp_job_t *self);

/* A descriptor that polls readable when mp_job_next(…, 0) or mp_job_put(…, 0) may
 * get further. It belongs to the pool: poll it, nothing else. Before each
 * poll, also after mp_job_put, call mp_job_next(…, 0) until it returns MP_ETIMEDOUT: any
 * call may have taken in what the descriptor would have told. */
MP_API int mp_job_fileno(const mp_job_t *self);

/* Cancel what is open and free the job. NULL-safe, idempotent; sets *self to NULL. */
MP_API void mp_job_destroy(mp_job_t **self);

#ifdef __cplusplus
}
#endif

#endif
