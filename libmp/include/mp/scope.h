/* scope.h: handles that end with their scope, as Python's `with` does it.
 *
 *     MP_SCOPED(mp_pool) pool = NULL;      an mp_pool_t *, destroyed when the block is left
 *     MP_WITH_LOCK(lock)                   held in what follows, also for break and return
 *         balance++;
 *
 * For gcc and clang.
 */
#ifndef MP_SCOPE_H
#define MP_SCOPE_H

#include <mp/sync.h>
#include <stddef.h>

/* Any noun of the library that has a destroy. Destroying it earlier by hand is allowed. */
#define MP_SCOPED(noun) __attribute__((cleanup(noun##_destroy))) noun##_t *

/* A lock that the scope holds. */
typedef struct mp_held {
    mp_lock_t *lock; /* NULL: not held */
    mp_rc_t rc;      /* of the acquire */
} mp_held_t;

MP_UNUSED static inline mp_held_t mp_lock_hold(mp_lock_t *lock)
{
    mp_rc_t rc = mp_lock_acquire(lock, -1);
    mp_held_t held = {rc == MP_OK || rc == MP_EOWNERDEAD ? lock : NULL, rc};
    return held;
}

MP_UNUSED static inline void mp_held_release(mp_held_t *self)
{
    if (self->lock)
        (void)mp_lock_release(self->lock);
    self->lock = NULL;
}

#define MP_HELD_2_(line) mp_held_##line##_
#define MP_HELD_1_(line) MP_HELD_2_(line)
#define MP_HELD_         MP_HELD_1_(__LINE__)

/* Acquire, without a limit, run the statement or block, release. The block is skipped in one
 * case only: the thread holds this Lock already. Whether the last holder died isn't told: where
 * that matters, call mp_lock_acquire, or look at the rc of a scope's own
 * `__attribute__((cleanup(mp_held_release))) mp_held_t held = mp_lock_hold(lock);` */
#define MP_WITH_LOCK(held_lock)                                                                    \
    for (__attribute__((cleanup(mp_held_release))) mp_held_t MP_HELD_ = mp_lock_hold(held_lock);   \
         MP_HELD_.lock; mp_held_release(&MP_HELD_))

#endif
