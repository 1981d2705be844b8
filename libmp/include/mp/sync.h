/* sync.h: locks and their kin, shared by the processes and threads of one host.
 *
 * All of them live in shared memory without a name: there is nothing to leak, and nothing to
 * clean up after kill -9. A handle made before a fork works in the child; to other processes
 * it goes as a reference (see ref.h). Every handle may be used by any number of threads, and
 * belongs to the process that made or opened it. Destroying the maker's handle ends the
 * object: do it when the other processes are done, as with free().
 *
 * Deadlines: timeout_ms is 0 to try once, -1 to wait for ever, and covers the whole call on
 * the monotonic clock. MP_ETIMEDOUT says that it passed. A signal handler that runs meanwhile
 * doesn't end a wait.
 *
 * A process that dies takes nothing with it: its locks pass on, its semaphore units return,
 * its waits are forgotten, and a barrier that it waited at breaks.
 */
#ifndef MP_SYNC_H
#define MP_SYNC_H

#include <mp/error.h>
#include <mp/ref.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Lock and RLock ----------------------------------------------------------------------
 *
 * Held by one thread of one process; only that thread may release it (multiprocessing lets
 * anybody). An RLock may be acquired again by its holder, and is free after as many releases.
 */
typedef struct mp_lock mp_lock_t;

/* MP_OK; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_lock_new(mp_lock_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_rlock_new(mp_lock_t **out);
MP_API void mp_lock_destroy(mp_lock_t **self);

/* MP_OK: it is yours. MP_EOWNERDEAD: it is yours too, and its last holder (a process, or only
 * a thread) ended without a release: what the lock guards may be half changed. This is said
 * once; repair, then go on as after MP_OK.
 * MP_ETIMEDOUT; MP_EDEADLOCK the calling thread holds this Lock already, with any timeout. */
MP_API mp_rc_t mp_lock_acquire(mp_lock_t *self, int timeout_ms);

/* MP_OK; MP_ENOTOWNER the calling thread doesn't hold it. */
MP_API mp_rc_t mp_lock_release(mp_lock_t *self);

/* Whether somebody holds it now. A holder that died counts until the next acquire. */
MP_API bool mp_lock_locked(const mp_lock_t *self);

MP_API void mp_lock_ref(const mp_lock_t *self, mp_ref_t *out);
/* The codes of all opens in this file:
 * MP_OK; MP_EINVAL not a reference to one of these; MP_ENOTFOUND it was destroyed, or the
 * process that made the reference has ended; MP_EPERM another user's; MP_ECORRUPT; MP_ENOMEM;
 * MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_lock_open(const mp_ref_t *ref, mp_lock_t **out);

/* ---- Semaphore and BoundedSemaphore ------------------------------------------------------
 *
 * A unit belongs to the process that acquired it. A release gives back one of the caller's
 * units; if it has none, one of another holder; if nobody holds any, it adds one, which a
 * bounded semaphore refuses. Units of a process that died return, within 50 ms if somebody
 * waits for them.
 */
typedef struct mp_semaphore mp_semaphore_t;

/* value  at the start, 0 to 2^30
 * MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_semaphore_new(int value, mp_semaphore_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_bounded_semaphore_new(int value, mp_semaphore_t **out);
MP_API void mp_semaphore_destroy(mp_semaphore_t **self);

/* MP_OK; MP_ETIMEDOUT; MP_ELIMIT 1024 other processes hold units. */
MP_API mp_rc_t mp_semaphore_acquire(mp_semaphore_t *self, int timeout_ms);
/* MP_OK; MP_ERANGE more than a bounded one may have, or 2^30. */
MP_API mp_rc_t mp_semaphore_release(mp_semaphore_t *self);
/* Units that are free now. */
MP_API int mp_semaphore_value(const mp_semaphore_t *self);

MP_API void mp_semaphore_ref(const mp_semaphore_t *self, mp_ref_t *out);
MP_API MP_MUST_CHECK mp_rc_t mp_semaphore_open(const mp_ref_t *ref, mp_semaphore_t **out);

/* ---- Condition ---------------------------------------------------------------------------
 *
 * Waiting for a state that a lock guards. All calls but new and destroy need its lock held by
 * the calling thread, else MP_ENOTOWNER. First come, first notified; a waiter that died is
 * passed over.
 */
typedef struct mp_condition mp_condition_t;

/* lock  an RLock or Lock, which must outlive the condition; NULL: an RLock of its own
 * MP_OK; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_condition_new(mp_lock_t *lock, mp_condition_t **out);
MP_API void mp_condition_destroy(mp_condition_t **self);

/* Its lock, to be acquired and released; not to be destroyed. */
MP_API mp_lock_t *mp_condition_lock(const mp_condition_t *self);

/* Release the lock (an RLock wholly), sleep until notified, acquire it again. It is held
 * again whatever is returned but MP_ENOTOWNER and MP_ELIMIT; getting it back has no time
 * limit, but a holder that died doesn't keep it.
 * MP_OK notified; MP_ETIMEDOUT; MP_EOWNERDEAD notified or not, the lock's last holder died;
 * MP_ENOTOWNER; MP_ELIMIT 256 wait already. */
MP_API mp_rc_t mp_condition_wait(mp_condition_t *self, int timeout_ms);

/* Wait until predicate(arg), called with the lock held, is true: MP_OK also when it is at the
 * start. The rest as mp_condition_wait. */
MP_API mp_rc_t mp_condition_wait_for(mp_condition_t *self, bool (*predicate)(void *arg), void *arg,
                                     int timeout_ms);

/* Wake up to n waiters that live. MP_OK, also when nobody waits; MP_ENOTOWNER; MP_EINVAL. */
MP_API mp_rc_t mp_condition_notify(mp_condition_t *self, int n);
MP_API mp_rc_t mp_condition_notify_all(mp_condition_t *self);

/* The lock goes along. */
MP_API void mp_condition_ref(const mp_condition_t *self, mp_ref_t *out);
MP_API MP_MUST_CHECK mp_rc_t mp_condition_open(const mp_ref_t *ref, mp_condition_t **out);

/* ---- Event ------------------------------------------------------------------------------- */

typedef struct mp_event mp_event_t;

/* MP_OK; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_event_new(mp_event_t **out);
MP_API void mp_event_destroy(mp_event_t **self);

/* May be called in a signal handler. */
MP_API void mp_event_set(mp_event_t *self);
MP_API void mp_event_clear(mp_event_t *self);
MP_API bool mp_event_is_set(const mp_event_t *self);
/* Until it is set; one that was set during the wait counts, even if it was cleared at once.
 * MP_OK; MP_ETIMEDOUT. */
MP_API mp_rc_t mp_event_wait(mp_event_t *self, int timeout_ms);

MP_API void mp_event_ref(const mp_event_t *self, mp_ref_t *out);
MP_API MP_MUST_CHECK mp_rc_t mp_event_open(const mp_ref_t *ref, mp_event_t **out);

/* ---- Barrier -----------------------------------------------------------------------------
 *
 * A number of parties wait for each other, again and again. Broken: every wait fails until it
 * is reset. It breaks when a wait's time limit passes, its action fails, it is aborted, or a
 * party dies in its wait (found within 50 ms); one that died before is found by the others'
 * time limit.
 */
typedef struct mp_barrier mp_barrier_t;

typedef struct mp_barrier_options {
    int parties;              /* 1 to 1024; required */
    int (*action)(void *arg); /* called by one party when all are there, before any goes on;
                                 not 0 breaks the barrier */
    void *arg;
    int timeout_ms; /* of a wait that gives none; 0: none */
} mp_barrier_options_t;

/* MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_barrier_new(const mp_barrier_options_t *options,
                                            mp_barrier_t **out);
MP_API void mp_barrier_destroy(mp_barrier_t **self);

/* timeout_ms  -1: the barrier's own limit
 * index       if not NULL: which of 0 to parties-1 this one is, each once
 * MP_OK all were there; MP_ETIMEDOUT this wait's limit passed, which broke it; MP_EBROKEN;
 * MP_EFAILED this party ran the action, and it failed. */
MP_API mp_rc_t mp_barrier_wait(mp_barrier_t *self, int timeout_ms, int *index);
/* Make those who wait leave with MP_EBROKEN; it is not broken then. */
MP_API void mp_barrier_reset(mp_barrier_t *self);
MP_API void mp_barrier_abort(mp_barrier_t *self);
MP_API bool mp_barrier_broken(const mp_barrier_t *self);
MP_API int mp_barrier_n_waiting(const mp_barrier_t *self);
MP_API int mp_barrier_parties(const mp_barrier_t *self);

MP_API void mp_barrier_ref(const mp_barrier_t *self, mp_ref_t *out);
/* options  action and arg in this process, else NULL; the rest is the barrier's own.
 *          MP_EUNPASSABLE: it has an action, and none is given here. */
MP_API MP_MUST_CHECK mp_rc_t mp_barrier_open(const mp_ref_t *ref,
                                             const mp_barrier_options_t *options,
                                             mp_barrier_t **out);

#ifdef __cplusplus
}
#endif

#endif
