/* lock.c: locks and conditions. */
#include "space_private.h"

#include "fault.h"

mpx_object_t *mpx_lock_of(mpx_object_t *self)
{
    return self->type == MP_OBJECT_CONDITION ? self->as.condition.lock : self;
}

bool mpx_lock_is_held(const mpx_object_t *self, const mpx_tenant_t *tenant, uint64_t thread)
{
    return self->as.lock.holder == tenant && self->as.lock.thread == thread;
}

void mpx_condition_join(mpx_space_t *space, mpx_object_t *self, mpx_object_t *lock)
{
    mpx_object_t *old = self->as.condition.lock;
    self->as.condition.lock = lock;
    if (old) {
        DL_DELETE2(old->as.lock.conditions, self, as.condition.prev, as.condition.next);
        old->inside--;
        mpx_object_linger(space, old);
    }
    if (lock) {
        DL_APPEND2(lock->as.lock.conditions, self, as.condition.prev, as.condition.next);
        lock->inside++;
        mpx_object_linger(space, lock);
    }
}

/* ---- Lock and RLock
 * ----------------------------------------------------------------------------------- */

/* MP_OK, or MP_EOWNERDEAD: both give it. */
static mp_rc_t grant(mpx_space_t *space, mpx_object_t *self, mpx_tenant_t *tenant, uint64_t thread,
                     uint64_t depth)
{
    mpx_lock_state_t *lock = &self->as.lock;
    bool orphaned = lock->orphaned;
    lock->holder = tenant;
    lock->thread = thread;
    lock->depth = depth;
    lock->token = mpx_space_number(space);
    lock->since = space->now;
    lock->orphaned = false;
    DL_APPEND2(tenant->locks, self, as.lock.prev_had, as.lock.next_had);
    return orphaned ? MP_EOWNERDEAD : MP_OK;
}

void mpx_lock_free(mpx_space_t *space, mpx_object_t *self, bool orphaned)
{
    mpx_lock_state_t *lock = &self->as.lock;
    DL_DELETE2(lock->holder->locks, self, as.lock.prev_had, as.lock.next_had);
    lock->holder = NULL;
    lock->depth = 0;
    lock->orphaned = orphaned;
    mpx_object_touch(space, self);
}

int mpx_do_LOCK_ACQUIRE(mpx_act_t *act)
{
    uint64_t thread;
    mpx_object_t *self = mpx_lock_of(act->object);
    int rc = mpx_act_number(act, &thread);
    if (rc != MP_OK)
        return rc;
    if (mpx_lock_is_held(self, act->tenant, thread)) {
        if (self->type == MP_OBJECT_LOCK)
            return mpx_fault(MP_EDEADLOCK, "this thread holds the lock already");
        self->as.lock.depth++;
    } else if (!self->as.lock.holder) {
        rc = grant(act->space, self, act->tenant, thread, 1);
    } else {
        mpx_wait_t *wait = mpx_wait_new(act, self, MPX_LOCK_ACQUIRE, (mp_bytes_t){NULL, 0}, &rc);
        if (wait)
            wait->thread = thread;
        if (rc == MP_ETIMEDOUT)
            rc = mpx_fault(MP_ETIMEDOUT, "held by %s", self->as.lock.holder->name);
        return rc;
    }
    mp_rc_t added = mpx_act_add_number(act, self->as.lock.token);
    return added == MP_OK ? rc : added;
}

static mp_rc_t check_held(mpx_act_t *act, const mpx_object_t *lock, uint64_t *thread)
{
    mp_rc_t rc = mpx_act_number(act, thread);
    if (rc != MP_OK || mpx_lock_is_held(lock, act->tenant, *thread))
        return rc;
    return mpx_fault(MP_ENOTOWNER, "this thread doesn't hold the lock, or not any more");
}

int mpx_do_LOCK_RELEASE(mpx_act_t *act)
{
    uint64_t thread;
    mpx_object_t *self = mpx_lock_of(act->object);
    mp_rc_t rc = check_held(act, self, &thread);
    if (rc == MP_OK && --self->as.lock.depth == 0)
        mpx_lock_free(act->space, self, false);
    return rc;
}

int mpx_do_LOCK_TOKEN(mpx_act_t *act)
{
    const mpx_lock_state_t *lock = &mpx_lock_of(act->object)->as.lock;
    if (lock->holder != act->tenant)
        return mpx_fault(MP_ENOTOWNER, "this process doesn't hold the lock, or not any more");
    return mpx_act_add_number(act, lock->token);
}

int mpx_do_LOCK_LOCKED(mpx_act_t *act)
{
    return mpx_act_add_number(act, mpx_lock_of(act->object)->as.lock.holder != NULL);
}

/* The first in line: who wants it, or who was notified. */
void mpx_lock_serve(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait;
    if (self->as.lock.holder)
        return;
    DL_FOREACH (self->waits, wait)
        if (wait->method == MPX_LOCK_ACQUIRE || wait->method == MPX_CONDITION_WAIT)
            break;
    if (!wait)
        return;
    bool notified = wait->method == MPX_CONDITION_WAIT;
    mpx_buf_t results = {0};
    mp_rc_t rc = grant(space, self, wait->tenant, wait->thread, notified ? wait->depth : 1);
    mp_rc_t added = mpx_parcel_add_number(&results, self->as.lock.token);
    if (added == MP_OK && notified)
        added = mpx_parcel_add_number(&results, wait->code == MP_ETIMEDOUT);
    if (added != MP_OK) {
        mpx_lock_free(space, self, false); /* it would not know that it has it */
        mpx_wait_end(space, wait, added, NULL);
        mpx_buf_free(&results);
        return;
    }
    mpx_wait_end(space, wait, rc, &results);
    mpx_buf_free(&results);
}

/* ---- Condition
 * ------------------------------------------------------------------------------------------ */

int mpx_do_CONDITION_WAIT(mpx_act_t *act)
{
    uint64_t thread;
    mpx_object_t *lock = mpx_lock_of(act->object);
    int rc = check_held(act, lock, &thread);
    if (rc != MP_OK)
        return rc;
    /* One that doesn't wait gives others their turn, as any other does. */
    bool at_once = act->wait_ms == 0;
    act->wait_ms = at_once ? -1 : act->wait_ms;
    mpx_wait_t *wait =
        mpx_wait_new(act, act->object, MPX_CONDITION_WAIT, (mp_bytes_t){NULL, 0}, &rc);
    if (!wait)
        return rc;
    wait->thread = thread;
    wait->depth = lock->as.lock.depth;
    mpx_lock_free(act->space, lock, false);
    if (at_once)
        mpx_condition_wake(act->space, wait, MP_ETIMEDOUT);
    return rc;
}

void mpx_condition_wake(mpx_space_t *space, mpx_wait_t *wait, mp_rc_t code)
{
    mpx_object_t *lock = wait->object->as.condition.lock;
    DL_DELETE(wait->object->waits, wait);
    wait->object->waits_count--;
    mpx_heap_remove(&space->timers, &wait->timer.node);
    wait->notified = true;
    wait->code = code;
    wait->object = lock;
    DL_APPEND(lock->waits, wait);
    lock->waits_count++;
    mpx_object_touch(space, lock);
}

int mpx_do_CONDITION_NOTIFY(mpx_act_t *act)
{
    uint64_t thread, most;
    mp_rc_t rc = check_held(act, mpx_lock_of(act->object), &thread);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &most);
    mpx_wait_t *wait, *next;
    for (wait = act->object->waits; rc == MP_OK && wait && most; wait = next) {
        next = wait->next;
        if (wait->method != MPX_CONDITION_WAIT)
            continue;
        mpx_condition_wake(act->space, wait, MP_OK);
        most--;
    }
    return rc;
}
