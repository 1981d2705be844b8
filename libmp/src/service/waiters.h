/* waiters.h: threads that sleep beside a lock, each until it is called itself.
 *
 * Who is called under the lock is woken when the lock is free again, so that the woken don't pile
 * up on it, and those who aren't meant sleep on. One whose time is over meanwhile finds that it
 * was called, and stays until it is woken: whoever is about to do that still has it.
 *
 *     who waits          mpx_waiters_add | unlock, mpx_waiters_sleep, lock | mpx_waiters_remove
 *     who has news       mpx_waiters_call, any number | unlock, mpx_waiters_wake
 *
 * Whoever has called takes them before the lock is released, in whatever way.
 */
#ifndef MPX_WAITERS_H
#define MPX_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* In the memory of who waits. */
typedef struct mpx_waiter {
    bool over;   /* what it waits for: tell it, then call */
    bool drives; /* for who calls it */
    enum { MPX_WAITER_AWAY, MPX_WAITER_LISTED, MPX_WAITER_CALLED } place;
    uint32_t news; /* what `word` will be */
    _Atomic uint32_t word;
    struct mpx_waiter *prev, *next;
} mpx_waiter_t;

typedef struct mpx_waiters {
    mpx_waiter_t *listed;
    mpx_waiter_t *called;
} mpx_waiters_t;

/* Under the lock. */
void mpx_waiters_add(mpx_waiters_t *self, mpx_waiter_t *waiter);
/* Nothing if it isn't listed, or is called already. */
void mpx_waiters_call(mpx_waiters_t *self, mpx_waiter_t *waiter);
void mpx_waiters_call_all(mpx_waiters_t *self);
/* The one that came last and isn't called; NULL: there is none. */
mpx_waiter_t *mpx_waiters_last(const mpx_waiters_t *self);
/* Those that were called since, to be woken. */
mpx_waiter_t *mpx_waiters_take(mpx_waiters_t *self);
/* When it has slept, and it wasn't over. false: it wasn't called. */
bool mpx_waiters_remove(mpx_waiters_t *self, mpx_waiter_t *waiter);

/* Without the lock. From then on their memory is theirs. */
void mpx_waiters_wake(mpx_waiter_t *called);
/* Without the lock, until it is woken, or the deadline (CLOCK_MONOTONIC, ns). true: it was called
 * as it is over, and that was all; false: it must be removed. */
bool mpx_waiters_sleep(mpx_waiter_t *waiter, int64_t deadline);

#endif
