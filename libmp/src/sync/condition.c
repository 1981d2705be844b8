/* condition.c: a list of waiters, each with a word of its own to sleep on.
 *
 * pthread's shared condition variable keeps counts of waiters that a killed one never takes
 * back, and then blocks its notifier for ever. Here a waiter is a place that names its process;
 * all that changes is one word of that place, by a single store, under the user's lock. So
 * whoever dies leaves nothing half done, and its place is used again.
 */
#include <mp/sync.h>

#include "arena.h"
#include "clock.h"
#include "fault.h"
#include "futex.h"
#include "life.h"
#include "lock.h"
#include "reference.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PLACES = 256, GLANCES = 100 };

/*     FREE --wait--> WAITING --notify--> NOTIFIED --it wakes up--> SEEN --has the lock--> FREE
 *
 * Each step is one atomic exchange, since a notifier does its waking after it has released the
 * lock: a waiter that woke up before would only go to sleep again, on the lock. */
typedef enum place_is { FREE, WAITING, NOTIFIED, SEEN } place_is_t;

typedef struct place {
    _Atomic uint32_t is; /* place_is_t; slept on */
    _Atomic mpx_life_t life;
    _Atomic uint64_t ticket; /* lower ones came first */
} place_t;

typedef struct condition_state {
    mpx_lock_name_t lock;
    _Atomic uint64_t last_ticket;
    _Atomic uint32_t used; /* places[used] and later are free */
    place_t places[PLACES];
} condition_state_t;

struct mp_condition {
    mpx_block_t *block;
    condition_state_t *state;
    mp_lock_t *lock;
    bool own_lock;
};

static mp_rc_t wrap(mpx_block_t *block, mp_lock_t *lock, bool own_lock, mp_condition_t **out)
{
    mp_condition_t *self = malloc(sizeof *self);
    if (!self) {
        mpx_block_free(block);
        if (own_lock)
            mp_lock_destroy(&lock);
        return mpx_fault(MP_ENOMEM, "a condition");
    }
    *self = (mp_condition_t){block, mpx_block_data(block), lock, own_lock};
    *out = self;
    return MP_OK;
}

mp_rc_t mp_condition_new(mp_lock_t *lock, mp_condition_t **out)
{
    mpx_block_t *block = NULL;
    bool own_lock = !lock;
    mp_rc_t rc = own_lock ? mp_rlock_new(&lock) : MP_OK;
    if (rc != MP_OK)
        return rc;
    rc = mpx_block_new(MPX_KIND_CONDITION, sizeof(condition_state_t), &block);
    if (rc == MP_OK)
        rc = mpx_lock_name_init(&((condition_state_t *)mpx_block_data(block))->lock);
    if (rc == MP_OK)
        return wrap(block, lock, own_lock, out);
    mpx_block_free(block);
    if (own_lock)
        mp_lock_destroy(&lock);
    return rc;
}

void mp_condition_destroy(mp_condition_t **self_p)
{
    mp_condition_t *self = *self_p;
    if (!self)
        return;
    mpx_lock_run_deferred(self->lock, self->state);
    mpx_block_free(self->block);
    if (self->own_lock)
        mp_lock_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

mp_lock_t *mp_condition_lock(const mp_condition_t *self)
{
    return self->lock;
}

/* ---- places --------------------------------------------------------------------------------- */

static place_is_t is(const place_t *place)
{
    return (place_is_t)atomic_load(&place->is);
}

static bool is_dead(const place_t *place)
{
    return mpx_life_gone(atomic_load(&place->life));
}

static place_t *free_place(condition_state_t *state)
{
    uint32_t used = atomic_load(&state->used);
    for (uint32_t i = 0; i < used; i++)
        if (is(&state->places[i]) == FREE)
            return &state->places[i];
    if (used < PLACES) {
        atomic_store(&state->used, used + 1);
        return &state->places[used];
    }
    for (uint32_t i = 0; i < used; i++)
        if (is_dead(&state->places[i]))
            return &state->places[i];
    return NULL;
}

static place_t *take_place(condition_state_t *state)
{
    place_t *place = free_place(state);
    if (!place)
        return NULL;
    atomic_store(&place->life, mpx_life_self());
    atomic_store(&place->ticket, atomic_fetch_add(&state->last_ticket, 1) + 1);
    atomic_store(&place->is, WAITING);
    return place;
}

static place_t *first_waiting(condition_state_t *state)
{
    place_t *first = NULL;
    uint32_t used = atomic_load(&state->used);
    for (uint32_t i = 0; i < used; i++) {
        place_t *place = &state->places[i];
        if (is(place) == WAITING &&
            (!first || atomic_load(&place->ticket) < atomic_load(&first->ticket)))
            first = place;
    }
    return first;
}

static bool step(place_t *place, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(&place->is, &from, to);
}

/* The first one that waits is notified, but still sleeps. NULL: nobody waits. */
static place_t *notify_first(condition_state_t *state)
{
    place_t *place = first_waiting(state);
    while (place && !step(place, WAITING, NOTIFIED))
        place = first_waiting(state);
    return place;
}

/* That a thread woke up, or has seen the news before it slept, proves that one lives; only
 * otherwise its process is asked, which costs more than all the rest. */
static bool is_received(place_t *place)
{
    if (mpx_futex_wake(&place->is, 1) > 0)
        return true;
    for (int i = 0; i < GLANCES; i++) {
        if (is(place) != NOTIFIED)
            return true;
        mpx_mutex_pause();
    }
    return !is_dead(place);
}

/* Wake whoever is at that place; what a dead one leaves goes to the next. */
static void wake_place(void *arg, uint32_t which)
{
    condition_state_t *state = arg;
    place_t *place = &state->places[which];
    while (place && !is_received(place))
        place = step(place, NOTIFIED, FREE) ? notify_first(state) : NULL;
}

/* ---- public --------------------------------------------------------------------------------- */

static mp_rc_t not_held(void)
{
    return mpx_fault(MP_ENOTOWNER, "this thread doesn't hold the condition's lock");
}

/* A notifier that died before it came to waking is made up for by looking now and then. */
static void sleep_until_notified(place_t *place, int64_t deadline)
{
    int64_t now = mpx_now();
    while (is(place) == WAITING && now < deadline) {
        (void)mpx_futex_wait(&place->is, WAITING, mpx_earlier(now + MPX_LOOK_NS, deadline));
        now = mpx_now();
    }
}

mp_rc_t mp_condition_wait(mp_condition_t *self, int timeout_ms)
{
    if (!mpx_lock_is_mine(self->lock))
        return not_held();
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    place_t *place = take_place(self->state);
    if (!place)
        return mpx_fault(MP_ELIMIT, "%d wait for the condition already", PLACES);
    uint32_t depth = mpx_lock_release_all(self->lock);

    sleep_until_notified(place, deadline);
    (void)step(place, NOTIFIED, SEEN);
    mp_rc_t rc = mpx_lock_restore(self->lock, depth);
    bool notified = atomic_exchange(&place->is, FREE) != WAITING; /* even at the last moment */
    if (rc != MP_OK)
        return rc;
    return notified ? MP_OK : mpx_fault(MP_ETIMEDOUT, "the condition was not notified");
}

mp_rc_t mp_condition_wait_for(mp_condition_t *self, bool (*predicate)(void *arg), void *arg,
                              int timeout_ms)
{
    if (!mpx_lock_is_mine(self->lock))
        return not_held();
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    while (!predicate(arg)) {
        mp_rc_t rc = mp_condition_wait(self, mpx_poll_ms(mpx_now(), deadline));
        if (rc == MP_ETIMEDOUT && predicate(arg))
            return MP_OK;
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

mp_rc_t mp_condition_notify(mp_condition_t *self, int n)
{
    if (n < 0)
        return mpx_fault(MP_EINVAL, "notifying %d waiters", n);
    if (!mpx_lock_is_mine(self->lock))
        return not_held();
    for (; n > 0; n--) {
        const place_t *place = notify_first(self->state);
        if (!place)
            break;
        uint32_t which = (uint32_t)(place - self->state->places);
        if (!mpx_lock_defer(self->lock, wake_place, self->state, which))
            wake_place(self->state, which);
    }
    return MP_OK;
}

mp_rc_t mp_condition_notify_all(mp_condition_t *self)
{
    return mp_condition_notify(self, INT_MAX);
}

void mp_condition_ref(const mp_condition_t *self, mp_ref_t *out)
{
    mpx_lock_name_write(&self->state->lock, self->lock);
    mpx_block_ref(self->block, out);
}

mp_rc_t mp_condition_open(const mp_ref_t *ref, mp_condition_t **out)
{
    mpx_block_t *block = NULL;
    mp_lock_t *lock = NULL;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_CONDITION, &block);
    if (rc != MP_OK)
        return rc;
    condition_state_t *state = mpx_block_data(block);
    rc = mpx_lock_name_open(&state->lock, &lock);
    if (rc != MP_OK) {
        mpx_block_free(block);
        return rc;
    }
    return wrap(block, lock, true, out);
}
