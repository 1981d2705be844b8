#include <mp/sync.h>

#include "arena.h"
#include "clock.h"
#include "fault.h"
#include "futex.h"
#include "life.h"
#include "mutex.h"
#include "reference.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { UNITS_MAX = 1 << 30, HOLDERS_MAX = 1024 };

typedef struct holder {
    _Atomic mpx_life_t life;
    _Atomic uint32_t units;
} holder_t;

/* In shared memory. `total` and the holders' units are the truth, each changed by a single
 * store; `free` follows from them and is counted anew when somebody died in between. */
typedef struct semaphore_state {
    mpx_mutex_t mutex;
    _Atomic uint32_t total; /* units, free or held */
    _Atomic uint32_t free;
    _Atomic uint32_t signals; /* counts releases: what waiters sleep on */
    _Atomic uint32_t waiters; /* too high when one died: then a wake-up is wasted */
    uint32_t limit;
    uint32_t used; /* holders[used] and later were never used */
    holder_t holders[HOLDERS_MAX];
} semaphore_state_t;

struct mp_semaphore {
    mpx_block_t *block;
    semaphore_state_t *state;
};

static mp_rc_t wrap(mpx_block_t *block, mp_semaphore_t **out)
{
    mp_semaphore_t *self = malloc(sizeof *self);
    if (!self) {
        mpx_block_free(block);
        return mpx_fault(MP_ENOMEM, "a semaphore");
    }
    *self = (mp_semaphore_t){block, mpx_block_data(block)};
    *out = self;
    return MP_OK;
}

static mp_rc_t make(int value, uint32_t limit, mp_semaphore_t **out)
{
    mpx_block_t *block = NULL;
    if (value < 0 || value > UNITS_MAX)
        return mpx_fault(MP_EINVAL, "a semaphore of %d units", value);
    mp_rc_t rc = mpx_block_new(MPX_KIND_SEMAPHORE, sizeof(semaphore_state_t), &block);
    if (rc != MP_OK)
        return rc;
    semaphore_state_t *state = mpx_block_data(block);
    atomic_init(&state->total, (uint32_t)value);
    atomic_init(&state->free, (uint32_t)value);
    state->limit = limit;
    rc = mpx_mutex_init(&state->mutex);
    if (rc != MP_OK) {
        mpx_block_free(block);
        return rc;
    }
    return wrap(block, out);
}

mp_rc_t mp_semaphore_new(int value, mp_semaphore_t **out)
{
    return make(value, UNITS_MAX, out);
}

mp_rc_t mp_bounded_semaphore_new(int value, mp_semaphore_t **out)
{
    return make(value, (uint32_t)value, out);
}

void mp_semaphore_destroy(mp_semaphore_t **self)
{
    if (!*self)
        return;
    mpx_block_free((*self)->block);
    free(*self);
    *self = NULL;
}

/* ---- with the mutex held -------------------------------------------------------------------- */

static uint32_t units_of(const holder_t *holder)
{
    return atomic_load_explicit(&holder->units, memory_order_relaxed);
}

static void count_free(semaphore_state_t *state)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < state->used; i++)
        held += units_of(&state->holders[i]);
    uint32_t total = atomic_load(&state->total);
    atomic_store(&state->free, held < total ? total - held : 0);
}

/* Take their units from the dead. */
static void bury(semaphore_state_t *state)
{
    for (uint32_t i = 0; i < state->used; i++) {
        holder_t *holder = &state->holders[i];
        if (units_of(holder) && mpx_life_gone(atomic_load(&holder->life)))
            atomic_store(&holder->units, 0);
    }
    count_free(state);
}

static holder_t *find_holder(semaphore_state_t *state, mpx_life_t life)
{
    for (uint32_t i = 0; i < state->used; i++)
        if (units_of(&state->holders[i]) && atomic_load(&state->holders[i].life) == life)
            return &state->holders[i];
    return NULL;
}

/* The caller's place among the holders; NULL: all are taken. */
static holder_t *claim_holder(semaphore_state_t *state, mpx_life_t life)
{
    holder_t *holder = find_holder(state, life);
    if (holder)
        return holder;
    for (uint32_t i = 0; i < state->used; i++)
        if (!units_of(&state->holders[i])) {
            atomic_store(&state->holders[i].life, life);
            return &state->holders[i];
        }
    if (state->used == HOLDERS_MAX)
        return NULL;
    atomic_store(&state->holders[state->used].life, life);
    return &state->holders[state->used++];
}

static holder_t *any_holder(semaphore_state_t *state)
{
    for (uint32_t i = 0; i < state->used; i++)
        if (units_of(&state->holders[i]))
            return &state->holders[i];
    return NULL;
}

static mp_rc_t enter(semaphore_state_t *state, int64_t deadline)
{
    mp_rc_t rc = mpx_mutex_lock(&state->mutex, deadline);
    if (rc == MP_EOWNERDEAD)
        bury(state);
    return rc == MP_ETIMEDOUT ? rc : MP_OK;
}

/* MP_OK: one taken; MP_EBUSY: none is free; MP_ELIMIT. */
static mp_rc_t take(semaphore_state_t *state)
{
    if (!atomic_load(&state->free))
        return MP_EBUSY;
    holder_t *holder = claim_holder(state, mpx_life_self());
    if (!holder)
        return mpx_fault(MP_ELIMIT, "%d processes hold units of the semaphore", HOLDERS_MAX);
    atomic_fetch_add(&holder->units, 1);
    atomic_fetch_sub(&state->free, 1);
    return MP_OK;
}

static mp_rc_t give(semaphore_state_t *state)
{
    holder_t *holder = find_holder(state, mpx_life_self());
    if (!holder)
        holder = any_holder(state);
    if (holder)
        atomic_fetch_sub(&holder->units, 1);
    else if (atomic_load(&state->total) >= state->limit)
        return mpx_fault(MP_ERANGE, "the semaphore has all its %u units", state->limit);
    else
        atomic_fetch_add(&state->total, 1);
    atomic_fetch_add(&state->free, 1);
    return MP_OK;
}

/* ---- public --------------------------------------------------------------------------------- */

/* Sleep until a release, or until it is time to look for the dead. */
static void sleep_until_signal(semaphore_state_t *state, uint32_t seen, int64_t deadline)
{
    int64_t look = mpx_now() + MPX_LOOK_NS;
    atomic_fetch_add(&state->waiters, 1);
    mp_rc_t rc = mpx_futex_wait(&state->signals, seen, mpx_earlier(look, deadline));
    atomic_fetch_sub(&state->waiters, 1);
    if (rc != MP_ETIMEDOUT || enter(state, deadline) != MP_OK)
        return;
    bury(state);
    mpx_mutex_unlock(&state->mutex);
}

mp_rc_t mp_semaphore_acquire(mp_semaphore_t *self, int timeout_ms)
{
    semaphore_state_t *state = self->state;
    int64_t deadline = timeout_ms < 0 ? MPX_NEVER : mpx_deadline(mpx_now(), timeout_ms);
    bool looked = false;
    for (;;) {
        uint32_t seen = atomic_load(&state->signals);
        /* A try still gets its turn at the mutex, which is held for moments only. */
        if (enter(state, timeout_ms == 0 ? mpx_now() + MPX_LOOK_NS : deadline) != MP_OK)
            break;
        mp_rc_t rc = take(state);
        if (rc != MP_OK && !looked) {
            bury(state);
            looked = true;
            rc = take(state);
        }
        mpx_mutex_unlock(&state->mutex);
        if (rc != MP_EBUSY)
            return rc;
        if (timeout_ms >= 0 && mpx_now() >= deadline)
            break;
        sleep_until_signal(state, seen, deadline);
    }
    return mpx_fault(MP_ETIMEDOUT, "no unit of the semaphore is free");
}

mp_rc_t mp_semaphore_release(mp_semaphore_t *self)
{
    semaphore_state_t *state = self->state;
    (void)enter(state, MPX_NEVER);
    mp_rc_t rc = give(state);
    mpx_mutex_unlock(&state->mutex);
    if (rc != MP_OK)
        return rc;
    atomic_fetch_add(&state->signals, 1);
    if (atomic_load(&state->waiters))
        mpx_futex_wake(&state->signals, 1);
    return MP_OK;
}

int mp_semaphore_value(const mp_semaphore_t *self)
{
    return (int)atomic_load(&self->state->free);
}

void mp_semaphore_ref(const mp_semaphore_t *self, mp_ref_t *out)
{
    mpx_block_ref(self->block, out);
}

mp_rc_t mp_semaphore_open(const mp_ref_t *ref, mp_semaphore_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_SEMAPHORE, &block);
    return rc == MP_OK ? wrap(block, out) : rc;
}
