/* managed.h: values, arrays, queues, locks and their kin that a manager keeps (manager.h).
 *
 * They are to any number of hosts what value.h, queue.h and sync.h are to one host. All calls have
 * the codes of object.h.
 *
 * Holds are leases. A lock, a semaphore's units, an item of a queue that isn't finished, a place
 * in a condition or barrier: a process that dies, or is silent for a lease (manager.h), loses
 * them. The next holder of its lock is told (MP_EOWNERDEAD), and every hold of a lock has a token,
 * a number higher than that of any hold before it. A process that was only asleep finds
 * out: the next call by each of its handles says MP_ELEASE once, and what it guards by the lock
 * (mp_object_guard) can't be written any more.
 */
#ifndef MP_MANAGED_H
#define MP_MANAGED_H

#include <mp/object.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Value: one item ------------------------------------------------------------------------- */

MP_API mp_rc_t mp_managed_value_set(mp_object_t *self, mp_tree_t *value, int timeout_ms);
/* version  of its last change; may be NULL */
MP_API mp_rc_t mp_managed_value_get(mp_object_t *self, mp_tree_t **out, uint64_t *version,
                                    int timeout_ms);
/* In one step; MP_EINVAL: it is no number; MP_ERANGE. result  may be NULL */
MP_API mp_rc_t mp_managed_value_add(mp_object_t *self, int64_t delta, int64_t *result,
                                    int timeout_ms);
MP_API mp_rc_t mp_managed_value_add_float(mp_object_t *self, double delta, double *result,
                                          int timeout_ms);
/* MP_ECHANGED: its version isn't that any more. now  the new version; may be NULL */
MP_API mp_rc_t mp_managed_value_compare_and_set(mp_object_t *self, uint64_t version,
                                                mp_tree_t *value, uint64_t *now, int timeout_ms);

/* ---- Array: numbers of one C type, of fixed length ------------------------------------------- */

/* MP_ERANGE no such index; MP_EINVAL a value that its type can't hold. */
MP_API mp_rc_t mp_managed_array_set(mp_object_t *self, int64_t index, mp_tree_t *value,
                                    int timeout_ms);
MP_API mp_rc_t mp_managed_array_get(mp_object_t *self, int64_t index, mp_tree_t **out,
                                    int timeout_ms);
MP_API mp_rc_t mp_managed_array_add(mp_object_t *self, int64_t index, int64_t delta,
                                    int64_t *result, int timeout_ms);
MP_API mp_rc_t mp_managed_array_len(mp_object_t *self, size_t *out, int timeout_ms);
/* As lists; a slice that is set must have as many items: MP_EINVAL. */
MP_API mp_rc_t mp_managed_array_get_slice(mp_object_t *self, int64_t start, int64_t stop,
                                          int64_t step, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_managed_array_set_slice(mp_object_t *self, int64_t start, int64_t stop,
                                          int64_t step, mp_tree_t *list, int timeout_ms);

/* ---- Queue and JoinableQueue ----------------------------------------------------------------- */

/* MP_OK: it is in the queue, and will be got. MP_EFULL: the timeout passed. */
MP_API mp_rc_t mp_managed_queue_put(mp_object_t *self, mp_tree_t *item, int timeout_ms);
MP_API mp_rc_t mp_managed_queue_put_bytes(mp_object_t *self, const void *data, size_t size,
                                          int timeout_ms);
/* MP_EEMPTY: the timeout passed. The item is finished with the same thread's next get from the
 * queue, or when the process ends normally; of a joinable queue with mp_managed_queue_task_done.
 * What a process that died had not finished goes back to the head (`redelivered` in mp_item_t). */
MP_API mp_rc_t mp_managed_queue_get(mp_object_t *self, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_managed_queue_get_item(mp_object_t *self, mp_item_t *out, int timeout_ms);
/* MP_ESTATE: this process has no item of it that isn't finished; the queue isn't joinable. */
MP_API mp_rc_t mp_managed_queue_task_done(mp_object_t *self, int timeout_ms);
/* Until all that was put is finished. */
MP_API mp_rc_t mp_managed_queue_join(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_queue_qsize(mp_object_t *self, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_managed_queue_empty(mp_object_t *self, bool *out, int timeout_ms);
MP_API mp_rc_t mp_managed_queue_full(mp_object_t *self, bool *out, int timeout_ms);

/* ---- Lock and RLock: held by one thread of one process ----------------------------------------
 */

/* token  of this hold; may be NULL
 * MP_OK; MP_EOWNERDEAD it is yours, and its last holder lost it; MP_ETIMEDOUT; MP_EDEADLOCK the
 * calling thread holds this Lock. Those who wait get it in the order in which they came. */
MP_API mp_rc_t mp_managed_lock_acquire(mp_object_t *self, uint64_t *token, int timeout_ms);
/* MP_ENOTOWNER: the calling thread doesn't hold it, or not any more. */
MP_API mp_rc_t mp_managed_lock_release(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_lock_locked(mp_object_t *self, bool *out, int timeout_ms);

/* ---- Semaphore and BoundedSemaphore -----------------------------------------------------------
 */

/* MP_OK; MP_ETIMEDOUT. */
MP_API mp_rc_t mp_managed_semaphore_acquire(mp_object_t *self, int timeout_ms);
/* Gives back one of this process's units; if it has none, one of another holder; if nobody holds
 * any, it adds one. MP_ERANGE: more than a bounded one may have, or 2^30. */
MP_API mp_rc_t mp_managed_semaphore_release(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_semaphore_value(mp_object_t *self, int64_t *out, int timeout_ms);

/* ---- Event ------------------------------------------------------------------------------------
 */

MP_API mp_rc_t mp_managed_event_set(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_event_clear(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_event_is_set(mp_object_t *self, bool *out, int timeout_ms);
/* Until it is set; if it is cleared at once, that counts all the same. */
MP_API mp_rc_t mp_managed_event_wait(mp_object_t *self, int timeout_ms);

/* ---- Condition: all calls but acquire need its lock, else MP_ENOTOWNER --------------------------
 */

/* Of its lock, as those of a lock. */
MP_API mp_rc_t mp_managed_condition_acquire(mp_object_t *self, uint64_t *token, int timeout_ms);
MP_API mp_rc_t mp_managed_condition_release(mp_object_t *self, int timeout_ms);
/* Release the lock, sleep until notified or the timeout, have the lock again.
 * MP_OK notified; MP_ETIMEDOUT; MP_EOWNERDEAD the lock's last holder lost it. The lock is held
 * with each of these, in a hold with a new token. */
MP_API mp_rc_t mp_managed_condition_wait(mp_object_t *self, int timeout_ms);
/* Wait until predicate(arg), called with the lock held, is true: MP_OK also at the start. */
MP_API mp_rc_t mp_managed_condition_wait_for(mp_object_t *self, bool (*predicate)(void *arg),
                                             void *arg, int timeout_ms);
MP_API mp_rc_t mp_managed_condition_notify(mp_object_t *self, int n, int timeout_ms);
MP_API mp_rc_t mp_managed_condition_notify_all(mp_object_t *self, int timeout_ms);

/* ---- Barrier ------------------------------------------------------------------------------------
 */

/* index  which of 0 to parties-1 this one is, each once; may be NULL
 * MP_OK all were there; MP_ETIMEDOUT this wait's limit passed, which broke it; MP_EBROKEN it is
 * broken, or was while waiting: by another's limit, its death, abort or reset. */
MP_API mp_rc_t mp_managed_barrier_wait(mp_object_t *self, int *index, int timeout_ms);
MP_API mp_rc_t mp_managed_barrier_abort(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_managed_barrier_reset(mp_object_t *self, int timeout_ms);
typedef struct mp_managed_barrier_stat {
    int parties;
    int n_waiting;
    bool broken;
} mp_managed_barrier_stat_t;
MP_API mp_rc_t mp_managed_barrier_stat(mp_object_t *self, mp_managed_barrier_stat_t *out,
                                       int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
