#include <mp/sync.h>

#include "arena.h"
#include "clock.h"
#include "fault.h"
#include "futex.h"
#include "life.h"
#include "mutex.h"
#include "reference.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PARTIES_MAX = 1024, OUTCOMES = 64 };

typedef enum outcome { OPEN, PASSED, BROKE } outcome_t;

/* In shared memory. A round goes from the first arrival to an outcome. Its number is what
 * parties sleep on; outcomes of the last rounds are kept for those who wake up late.
 *
 *     filling --last arrives--> action --0--> PASSED, next round
 *        |                        |
 *        +---- limit, abort, a death, reset, failed action ----> BROKE, next round
 */
typedef struct barrier_state {
    mpx_mutex_t mutex;
    _Atomic uint32_t round;
    _Atomic uint32_t waiting; /* arrived in this round */
    _Atomic uint32_t broken;
    uint32_t parties;
    uint32_t has_action;
    int32_t timeout_ms;
    _Atomic uint32_t outcomes[OUTCOMES]; /* of round % OUTCOMES */
    _Atomic mpx_life_t arrived[];        /* parties */
} barrier_state_t;

struct mp_barrier {
    mpx_block_t *block;
    barrier_state_t *state;
    int (*action)(void *arg);
    void *arg;
};

static mp_rc_t wrap(mpx_block_t *block, const mp_barrier_options_t *options, mp_barrier_t **out)
{
    mp_barrier_t *self = malloc(sizeof *self);
    if (!self) {
        mpx_block_free(block);
        return mpx_fault(MP_ENOMEM, "a barrier");
    }
    *self = (mp_barrier_t){.block = block, .state = mpx_block_data(block)};
    if (options) {
        self->action = options->action;
        self->arg = options->arg;
    }
    *out = self;
    return MP_OK;
}

mp_rc_t mp_barrier_new(const mp_barrier_options_t *options, mp_barrier_t **out)
{
    mpx_block_t *block = NULL;
    if (!options || options->parties < 1 || options->parties > PARTIES_MAX ||
        options->timeout_ms < 0)
        return mpx_fault(MP_EINVAL, "a barrier has 1 to %d parties, and no negative limit",
                         PARTIES_MAX);
    size_t parties = (size_t)options->parties;
    mp_rc_t rc = mpx_block_new(MPX_KIND_BARRIER,
                               sizeof(barrier_state_t) + parties * sizeof(mpx_life_t), &block);
    if (rc != MP_OK)
        return rc;
    barrier_state_t *state = mpx_block_data(block);
    state->parties = (uint32_t)options->parties;
    state->has_action = options->action != NULL;
    state->timeout_ms = options->timeout_ms;
    rc = mpx_mutex_init(&state->mutex);
    if (rc != MP_OK) {
        mpx_block_free(block);
        return rc;
    }
    return wrap(block, options, out);
}

void mp_barrier_destroy(mp_barrier_t **self)
{
    if (!*self)
        return;
    mpx_block_free((*self)->block);
    free(*self);
    *self = NULL;
}

/* ---- with the mutex held -------------------------------------------------------------------- */

/* Everybody who waits in this round leaves with the outcome. */
static void end_round(barrier_state_t *state, outcome_t outcome)
{
    uint32_t round = atomic_load(&state->round);
    atomic_store(&state->outcomes[round % OUTCOMES], outcome);
    atomic_store(&state->outcomes[(round + 1) % OUTCOMES], OPEN);
    atomic_store(&state->waiting, 0);
    atomic_store(&state->round, round + 1);
    mpx_futex_wake(&state->round, INT_MAX);
}

static void break_it(barrier_state_t *state)
{
    atomic_store(&state->broken, 1);
    end_round(state, BROKE);
}

/* Whoever died in the middle of a change was a party, or would have been. */
static mp_rc_t enter(barrier_state_t *state, int64_t deadline)
{
    mp_rc_t rc = mpx_mutex_lock(&state->mutex, deadline);
    if (rc == MP_EOWNERDEAD)
        break_it(state);
    return rc == MP_ETIMEDOUT ? rc : MP_OK;
}

static bool somebody_died(const barrier_state_t *state)
{
    uint32_t waiting = atomic_load(&state->waiting);
    mpx_life_t self = mpx_life_self();
    for (uint32_t i = 0; i < waiting; i++) {
        mpx_life_t life = atomic_load(&state->arrived[i]);
        if (life != self && mpx_life_gone(life))
            return true;
    }
    return false;
}

/* ---- a wait --------------------------------------------------------------------------------- */

static mp_rc_t broken(void)
{
    return mpx_fault(MP_EBROKEN, "the barrier is broken");
}

/* The last one: all are there, unless one has died since. `round` is still this one's when the
 * action is over, or it was broken. */
static mp_rc_t run_action(mp_barrier_t *self, uint32_t round)
{
    barrier_state_t *state = self->state;
    if (somebody_died(state)) {
        break_it(state);
        mpx_mutex_unlock(&state->mutex);
        return broken();
    }
    mpx_mutex_unlock(&state->mutex);
    int failed = self->action ? self->action(self->arg) : 0;
    (void)enter(state, MPX_NEVER);
    mp_rc_t rc = MP_OK;
    if (atomic_load(&state->round) != round) { /* it took too long for somebody */
        rc = broken();
    } else if (failed) {
        break_it(state);
        rc = mpx_fault(MP_EFAILED, "the barrier's action returned %d", failed);
    } else {
        end_round(state, PASSED);
    }
    mpx_mutex_unlock(&state->mutex);
    return rc;
}

/* Called when it is time to look: at the deadline, or for the dead. */
static mp_rc_t look(barrier_state_t *state, uint32_t round, int64_t deadline)
{
    mp_rc_t rc = MP_OK;
    (void)enter(state, MPX_NEVER);
    if (atomic_load(&state->round) == round) {
        bool late = mpx_now() >= deadline;
        if (late)
            rc = mpx_fault(MP_ETIMEDOUT, "not all parties came to the barrier");
        if (late || somebody_died(state))
            break_it(state);
    }
    mpx_mutex_unlock(&state->mutex);
    return rc;
}

static mp_rc_t wait_for_others(barrier_state_t *state, uint32_t round, int64_t deadline)
{
    while (atomic_load(&state->round) == round) {
        int64_t until = mpx_earlier(mpx_now() + MPX_LOOK_NS, deadline);
        if (mpx_futex_wait(&state->round, round, until) == MP_ETIMEDOUT) {
            mp_rc_t rc = look(state, round, deadline);
            if (rc != MP_OK)
                return rc;
        }
    }
    return atomic_load(&state->outcomes[round % OUTCOMES]) == PASSED ? MP_OK : broken();
}

static int64_t limit_of(const barrier_state_t *state, int timeout_ms)
{
    if (timeout_ms < 0 && state->timeout_ms > 0)
        timeout_ms = state->timeout_ms;
    return mpx_deadline(mpx_now(), timeout_ms);
}

/* Take a place in this round, with the mutex held. While the action of a full round runs, its
 * end is waited for: whoever comes now belongs to the next. */
static mp_rc_t arrive(barrier_state_t *state, int64_t deadline, uint32_t *round, uint32_t *place)
{
    for (;;) {
        *round = atomic_load(&state->round);
        *place = atomic_load(&state->waiting);
        if (atomic_load(&state->broken))
            return broken();
        if (*place < state->parties)
            break;
        mpx_mutex_unlock(&state->mutex);
        mp_rc_t rc = wait_for_others(state, *round, deadline);
        (void)enter(state, MPX_NEVER);
        if (rc == MP_ETIMEDOUT)
            return rc;
    }
    atomic_store(&state->arrived[*place], mpx_life_self());
    atomic_store(&state->waiting, *place + 1);
    return MP_OK;
}

mp_rc_t mp_barrier_wait(mp_barrier_t *self, int timeout_ms, int *index)
{
    barrier_state_t *state = self->state;
    int64_t deadline = limit_of(state, timeout_ms);
    uint32_t round = 0;
    uint32_t place = 0;
    (void)enter(state, MPX_NEVER);
    mp_rc_t rc = arrive(state, deadline, &round, &place);
    if (rc == MP_OK && place + 1 == state->parties) {
        rc = run_action(self, round);
    } else {
        mpx_mutex_unlock(&state->mutex);
        if (rc == MP_OK)
            rc = wait_for_others(state, round, deadline);
    }
    if (rc == MP_OK && index)
        *index = (int)place;
    return rc;
}

/* ---- the rest ------------------------------------------------------------------------------- */

void mp_barrier_reset(mp_barrier_t *self)
{
    (void)enter(self->state, MPX_NEVER);
    if (atomic_load(&self->state->waiting))
        end_round(self->state, BROKE);
    atomic_store(&self->state->broken, 0);
    mpx_mutex_unlock(&self->state->mutex);
}

void mp_barrier_abort(mp_barrier_t *self)
{
    (void)enter(self->state, MPX_NEVER);
    break_it(self->state);
    mpx_mutex_unlock(&self->state->mutex);
}

bool mp_barrier_broken(const mp_barrier_t *self)
{
    return atomic_load(&self->state->broken);
}

int mp_barrier_n_waiting(const mp_barrier_t *self)
{
    return (int)atomic_load(&self->state->waiting);
}

int mp_barrier_parties(const mp_barrier_t *self)
{
    return (int)self->state->parties;
}

void mp_barrier_ref(const mp_barrier_t *self, mp_ref_t *out)
{
    mpx_block_ref(self->block, out);
}

mp_rc_t mp_barrier_open(const mp_ref_t *ref, const mp_barrier_options_t *options,
                        mp_barrier_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_BARRIER, &block);
    if (rc != MP_OK)
        return rc;
    const barrier_state_t *state = mpx_block_data(block);
    if (state->has_action && (!options || !options->action)) {
        mpx_block_free(block);
        return mpx_fault(MP_EUNPASSABLE, "the barrier has an action, which only this program can "
                                         "name: open it with one");
    }
    return wrap(block, options, out);
}
