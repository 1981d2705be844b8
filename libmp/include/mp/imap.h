/* imap.h: a map whose inputs are asked for when there is room, and whose outcomes are taken one by
 * one.
 *
 *     static mp_rc_t next_line(void *file, mp_bytes_t *input)
 *     {
 *         static char line[1000];
 *         if (!fgets(line, sizeof line, file)) return MP_EOF;
 *         *input = (mp_bytes_t){line, strlen(line)};
 *         return MP_OK;
 *     }
 *
 *     mp_pool_imap(pool, &parse, next_line, stdin, NULL, &imap);
 *     while (mp_imap_next(imap, &outcome, -1) == MP_OK) use(outcome);
 *     mp_imap_destroy(&imap);
 *
 * No more inputs are asked for than the window holds (mp_call_options_t) beyond the outcomes that
 * were taken: an endless input costs nothing but its time. It is a job (job.h) with its puts done.
 *
 * Threads: one at a time uses an imap; the input function is called by the thread that is in
 * mp_imap_next, which holds no lock. Fork: as the pool's.
 */
#ifndef MP_IMAP_H
#define MP_IMAP_H

#include <mp/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_imap mp_imap_t;

/* Give the next input, which is copied before the next call: MP_OK; MP_EOF there is none; anything
 * else ends the input too, and is the outcome in its place, with the text of mp_errmsg() if a call
 * of this library has failed in here. */
typedef mp_rc_t mp_input_fn(void *arg, mp_bytes_t *input);

/* Outcomes in the order of the inputs, or as they come. Doesn't ask for inputs yet.
 * MP_OK; MP_EINVAL; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. */
MP_API mp_rc_t mp_pool_imap(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next, void *arg,
                            const mp_call_options_t *options, mp_imap_t **out);
MP_API mp_rc_t mp_pool_imap_unordered(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next,
                                      void *arg, const mp_call_options_t *options, mp_imap_t **out);

/* The next outcome; its strings and bytes stay valid until the next call. An input of a wrong size
 * is MP_EINVAL, one that is too large MP_ETOOLARGE, and ends the input.
 * MP_OK however the call ended: that is in out->rc; MP_EOF no more; MP_ETIMEDOUT; MP_EFORKED;
 * MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_imap_next(mp_imap_t *self, mp_outcome_t *out, int timeout_ms);

/* Cancel what is open and free it. NULL-safe, idempotent. */
MP_API void mp_imap_destroy(mp_imap_t **self);

#ifdef __cplusplus
}
#endif

#endif
