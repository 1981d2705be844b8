#include "lock.h"

#include "arena.h"
#include "clock.h"
#include "fault.h"
#include "life.h"
#include "logger.h"
#include "reference.h"

#include <stdatomic.h>
#include <stdlib.h>

/* In shared memory. The holder's name is written by it alone, while it has the mutex: to find
 * its own name there, a thread must have put it there itself. */
typedef struct lock_state {
    mpx_mutex_t mutex;
    _Atomic uint64_t holder; /* mpx_thread_self(); 0: nobody, or not yet written */
    uint32_t depth;          /* of an RLock: acquires without release, beyond the first */
    uint32_t recursive;
} lock_state_t;

struct mp_lock {
    mpx_block_t *block;
    lock_state_t *state;
};

/* Kept by thread, as a lock is held by one; it may have several handles on it. */
enum { DEFERRED_MAX = 16 };

static _Thread_local struct deferred {
    const lock_state_t *lock;
    void (*run)(void *arg, uint32_t which);
    void *arg;
    uint32_t which;
} deferred[DEFERRED_MAX];
static _Thread_local unsigned deferred_count __attribute__((tls_model("initial-exec")));

static mp_rc_t wrap(mpx_block_t *block, mp_lock_t **out)
{
    mp_lock_t *self = malloc(sizeof *self);
    if (!self) {
        mpx_block_free(block);
        return mpx_fault(MP_ENOMEM, "a lock");
    }
    *self = (mp_lock_t){block, mpx_block_data(block)};
    *out = self;
    return MP_OK;
}

static mp_rc_t make(bool recursive, mp_lock_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_new(MPX_KIND_LOCK, sizeof(lock_state_t), &block);
    if (rc != MP_OK)
        return rc;
    lock_state_t *state = mpx_block_data(block);
    state->recursive = recursive;
    rc = mpx_mutex_init(&state->mutex);
    if (rc != MP_OK) {
        mpx_block_free(block);
        return rc;
    }
    return wrap(block, out);
}

mp_rc_t mp_lock_new(mp_lock_t **out)
{
    return make(false, out);
}

mp_rc_t mp_rlock_new(mp_lock_t **out)
{
    return make(true, out);
}

void mp_lock_destroy(mp_lock_t **self)
{
    if (!*self)
        return;
    mpx_block_free((*self)->block);
    free(*self);
    *self = NULL;
}

bool mpx_lock_is_mine(const mp_lock_t *self)
{
    return atomic_load_explicit(&self->state->holder, memory_order_relaxed) == mpx_thread_self();
}

/* ---- acquire -------------------------------------------------------------------------------- */

__attribute__((noinline)) static mp_rc_t acquire_again(lock_state_t *state)
{
    if (!state->recursive)
        return mpx_fault(MP_EDEADLOCK, "this thread holds the lock already");
    state->depth++;
    return MP_OK;
}

/* What else there is to do than to write down who has it. The depth is 0 whenever the lock is
 * free, unless its last holder died. */
__attribute__((noinline)) static mp_rc_t acquire_after(lock_state_t *state, uint64_t me, int error,
                                                       int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? MPX_NEVER : mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_mutex_lock_after(&state->mutex, error, deadline);
    if (rc == MP_ETIMEDOUT)
        return mpx_fault(rc, "the lock is held by another");
    atomic_store_explicit(&state->holder, me, memory_order_relaxed);
    if (rc == MP_OK)
        return MP_OK;
    state->depth = 0;
    mpx_tell(MP_LOG_WARNING, "a lock's last holder died with it");
    return mpx_fault(rc, "the lock's last holder died");
}

mp_rc_t mp_lock_acquire(mp_lock_t *self, int timeout_ms)
{
    lock_state_t *state = self->state;
    uint64_t me = mpx_thread_self();
    if (atomic_load_explicit(&state->holder, memory_order_relaxed) == me)
        return acquire_again(state);
    int error =
        timeout_ms < 0 ? pthread_mutex_lock(&state->mutex) : pthread_mutex_trylock(&state->mutex);
    if (error)
        return acquire_after(state, me, error, timeout_ms);
    atomic_store_explicit(&state->holder, me, memory_order_relaxed);
    return MP_OK;
}

/* ---- release -------------------------------------------------------------------------------- */

bool mpx_lock_defer(const mp_lock_t *self, void (*run)(void *arg, uint32_t which), void *arg,
                    uint32_t which)
{
    if (deferred_count == DEFERRED_MAX)
        return false;
    deferred[deferred_count++] = (struct deferred){self->state, run, arg, which};
    return true;
}

/* Those of a lock, or of an arg. Each is taken off the list before it runs. */
__attribute__((noinline)) static void run_deferred(const lock_state_t *state, const void *arg)
{
    for (unsigned i = 0; i < deferred_count;) {
        struct deferred next = deferred[i];
        if (next.lock != state || (arg && next.arg != arg)) {
            i++;
            continue;
        }
        deferred_count--;
        for (unsigned j = i; j < deferred_count; j++)
            deferred[j] = deferred[j + 1];
        next.run(next.arg, next.which);
    }
}

void mpx_lock_run_deferred(const mp_lock_t *self, const void *arg)
{
    run_deferred(self->state, arg);
}

static void let_go(lock_state_t *state)
{
    atomic_store_explicit(&state->holder, 0, memory_order_relaxed);
    mpx_mutex_unlock(&state->mutex);
    if (deferred_count)
        run_deferred(state, NULL);
}

__attribute__((noinline)) static mp_rc_t not_mine(void)
{
    return mpx_fault(MP_ENOTOWNER, "this thread doesn't hold the lock");
}

mp_rc_t mp_lock_release(mp_lock_t *self)
{
    lock_state_t *state = self->state;
    if (!mpx_lock_is_mine(self))
        return not_mine();
    if (state->depth > 0)
        state->depth--;
    else
        let_go(state);
    return MP_OK;
}

uint32_t mpx_lock_release_all(mp_lock_t *self)
{
    uint32_t depth = self->state->depth;
    self->state->depth = 0;
    let_go(self->state);
    return depth;
}

mp_rc_t mpx_lock_restore(mp_lock_t *self, uint32_t depth)
{
    mp_rc_t rc = mp_lock_acquire(self, -1);
    self->state->depth = depth;
    return rc;
}

bool mp_lock_locked(const mp_lock_t *self)
{
    return atomic_load_explicit(&self->state->holder, memory_order_relaxed) != 0;
}

void mp_lock_ref(const mp_lock_t *self, mp_ref_t *out)
{
    mpx_block_ref(self->block, out);
}

mp_rc_t mp_lock_open(const mp_ref_t *ref, mp_lock_t **out)
{
    mpx_block_t *block = NULL;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_LOCK, &block);
    return rc == MP_OK ? wrap(block, out) : rc;
}

mp_rc_t mpx_lock_name_init(mpx_lock_name_t *self)
{
    return mpx_mutex_init(&self->mutex);
}

void mpx_lock_name_write(mpx_lock_name_t *self, const mp_lock_t *lock)
{
    (void)mpx_mutex_lock(&self->mutex, MPX_NEVER);
    mp_lock_ref(lock, &self->ref);
    mpx_mutex_unlock(&self->mutex);
}

mp_rc_t mpx_lock_name_open(mpx_lock_name_t *self, mp_lock_t **out)
{
    (void)mpx_mutex_lock(&self->mutex, MPX_NEVER);
    mp_ref_t ref = self->ref;
    mpx_mutex_unlock(&self->mutex);
    return mp_lock_open(&ref, out);
}
