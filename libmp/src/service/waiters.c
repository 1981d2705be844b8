#include "waiters.h"

#include "clock.h"
#include "futex.h"

#include <stddef.h>
#include <utlist.h>

enum { ASLEEP, OVER, LOOK };

void mpx_waiters_add(mpx_waiters_t *self, mpx_waiter_t *waiter)
{
    atomic_store_explicit(&waiter->word, ASLEEP, memory_order_relaxed);
    waiter->place = MPX_WAITER_LISTED;
    DL_APPEND(self->listed, waiter);
}

/* Why is settled here: what becomes of it until it is woken it learns under the lock. */
void mpx_waiters_call(mpx_waiters_t *self, mpx_waiter_t *waiter)
{
    if (waiter->place != MPX_WAITER_LISTED)
        return;
    DL_DELETE(self->listed, waiter);
    DL_APPEND(self->called, waiter);
    waiter->place = MPX_WAITER_CALLED;
    waiter->news = waiter->over ? OVER : LOOK;
}

void mpx_waiters_call_all(mpx_waiters_t *self)
{
    while (self->listed)
        mpx_waiters_call(self, self->listed);
}

mpx_waiter_t *mpx_waiters_last(const mpx_waiters_t *self)
{
    return self->listed ? self->listed->prev : NULL;
}

mpx_waiter_t *mpx_waiters_take(mpx_waiters_t *self)
{
    mpx_waiter_t *called = self->called;
    self->called = NULL;
    return called;
}

/* As soon as the word is set its memory may be something else: to wake who sleeps there does no
 * harm, as all who sleep on words look again. */
void mpx_waiters_wake(mpx_waiter_t *called)
{
    while (called) {
        mpx_waiter_t *next = called->next;
        _Atomic uint32_t *word = &called->word;
        atomic_store_explicit(word, called->news, memory_order_release);
        (void)mpx_futex_wake(word, 1);
        called = next;
    }
}

bool mpx_waiters_sleep(mpx_waiter_t *waiter, int64_t deadline)
{
    uint32_t news;
    mp_rc_t rc = MP_OK;
    while ((news = atomic_load_explicit(&waiter->word, memory_order_acquire)) == ASLEEP &&
           rc == MP_OK)
        rc = mpx_futex_wait(&waiter->word, ASLEEP, deadline);
    return news == OVER;
}

/* Who has called it needs no lock to wake it. */
bool mpx_waiters_remove(mpx_waiters_t *self, mpx_waiter_t *waiter)
{
    bool called = waiter->place == MPX_WAITER_CALLED;
    if (!called)
        DL_DELETE(self->listed, waiter);
    while (called && atomic_load_explicit(&waiter->word, memory_order_acquire) == ASLEEP)
        (void)mpx_futex_wait(&waiter->word, ASLEEP, MPX_NEVER);
    waiter->place = MPX_WAITER_AWAY;
    return called;
}
