#include <mp/sync.h>

#include "arena.h"
#include "clock.h"
#include "fault.h"
#include "futex.h"
#include "reference.h"

#include <limits.h>
#include <stdlib.h>

/* Bit 0: set. The rest counts how often it was: a wait that began before ends with the next
 * count, also when the bit is gone again by the time it looks. */
typedef _Atomic uint32_t event_state_t;

enum { SET = 1, ONCE = 2 };

struct mp_event {
    mpx_block_t *block;
    event_state_t *state;
};

static mp_rc_t wrap(mpx_block_t *block, mp_event_t **out)
{
    mp_event_t *self = malloc(sizeof *self);
    if (!self) {
        mpx_block_free(block);
        return mpx_fault(MP_ENOMEM, "an event");
    }
    *self = (mp_event_t){block, mpx_block_data(block)};
    *out = self;
    return MP_OK;
}

mp_rc_t mp_event_new(mp_event_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_new(MPX_KIND_EVENT, sizeof(event_state_t), &block);
    return rc == MP_OK ? wrap(block, out) : rc;
}

void mp_event_destroy(mp_event_t **self)
{
    if (!*self)
        return;
    mpx_block_free((*self)->block);
    free(*self);
    *self = NULL;
}

void mp_event_set(mp_event_t *self)
{
    uint32_t state = atomic_load(self->state);
    do
        if (state & SET)
            return;
    while (!atomic_compare_exchange_weak(self->state, &state, (state + ONCE) | SET));
    mpx_futex_wake(self->state, INT_MAX);
}

void mp_event_clear(mp_event_t *self)
{
    atomic_fetch_and(self->state, ~(uint32_t)SET);
}

bool mp_event_is_set(const mp_event_t *self)
{
    return atomic_load(self->state) & SET;
}

mp_rc_t mp_event_wait(mp_event_t *self, int timeout_ms)
{
    uint32_t state = atomic_load(self->state);
    if (state & SET)
        return MP_OK;
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    uint32_t before = state;
    while (state == before) {
        if (mpx_futex_wait(self->state, before, deadline) == MP_ETIMEDOUT)
            return mpx_fault(MP_ETIMEDOUT, "the event was not set");
        state = atomic_load(self->state);
    }
    return MP_OK;
}

void mp_event_ref(const mp_event_t *self, mp_ref_t *out)
{
    mpx_block_ref(self->block, out);
}

mp_rc_t mp_event_open(const mp_ref_t *ref, mp_event_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_EVENT, &block);
    return rc == MP_OK ? wrap(block, out) : rc;
}
