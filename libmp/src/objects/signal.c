/* signal.c: semaphores, events and barriers. */
#include "space_private.h"

#include "fault.h"

#include <stdlib.h>

/* ---- Semaphore and BoundedSemaphore
 * ------------------------------------------------------------------- */

static mpx_units_t *units_of(const mpx_object_t *self, const mpx_tenant_t *tenant)
{
    mpx_units_t *units;
    DL_FOREACH (self->as.units, units)
        if (units->tenant == tenant)
            return units;
    return NULL;
}

static mp_rc_t take(mpx_space_t *space, mpx_object_t *self, mpx_tenant_t *tenant)
{
    mpx_units_t *units = units_of(self, tenant);
    if (!units) {
        units = calloc(1, sizeof *units);
        if (!units)
            return mpx_fault(MP_ENOMEM, "a unit");
        *units = (mpx_units_t){.semaphore = self, .tenant = tenant, .since = space->now};
        DL_APPEND(self->as.units, units);
        DL_APPEND2(tenant->units, units, prev_had, next_had);
    }
    units->count++;
    self->value--;
    mpx_object_touch(space, self);
    return MP_OK;
}

static void free_units(mpx_units_t *units)
{
    DL_DELETE(units->semaphore->as.units, units);
    DL_DELETE2(units->tenant->units, units, prev_had, next_had);
    free(units);
}

void mpx_units_return(mpx_space_t *space, mpx_units_t *self)
{
    self->semaphore->value += self->count;
    mpx_object_touch(space, self->semaphore);
    free_units(self);
}

static bool somebody_waits(const mpx_object_t *self)
{
    const mpx_wait_t *wait;
    DL_FOREACH (self->waits, wait)
        if (wait->method == MPX_UNIT_ACQUIRE)
            return true;
    return false;
}

int mpx_do_UNIT_ACQUIRE(mpx_act_t *act)
{
    int rc = MP_OK;
    if (act->object->value > 0 && !somebody_waits(act->object))
        return take(act->space, act->object, act->tenant);
    (void)mpx_wait_new(act, act->object, MPX_UNIT_ACQUIRE, (mp_bytes_t){NULL, 0}, &rc);
    return rc;
}

/* One of the caller's units; or of another holder; or, if nobody holds any, one more. */
int mpx_do_UNIT_RELEASE(mpx_act_t *act)
{
    enum { UNITS_MAX = 1 << 30 };
    mpx_object_t *self = act->object;
    int64_t most = self->type == MP_OBJECT_BOUNDED_SEMAPHORE ? self->bound : UNITS_MAX;
    mpx_units_t *units = units_of(self, act->tenant);
    if (!units)
        units = self->as.units;
    if (!units && self->value >= most)
        return mpx_fault(MP_ERANGE, "the semaphore has all its %lld units", (long long)self->value);
    if (units && --units->count == 0)
        free_units(units);
    self->value++;
    mpx_object_touch(act->space, self);
    return MP_OK;
}

static void serve_units(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait, *next;
    for (wait = self->waits; wait && self->value > 0; wait = next) {
        next = wait->next;
        if (wait->method == MPX_UNIT_ACQUIRE)
            mpx_wait_end(space, wait, take(space, self, wait->tenant), NULL);
    }
}

/* ---- Event
 * ------------------------------------------------------------------------------------------------
 */

static void end_all(mpx_space_t *space, mpx_object_t *self, mpx_method_t method, mp_rc_t rc)
{
    mpx_wait_t *wait, *next;
    for (wait = self->waits; wait; wait = next) {
        next = wait->next;
        if (wait->method == method)
            mpx_wait_end(space, wait, rc, NULL);
    }
}

static mp_rc_t set_flag(mpx_act_t *act, int64_t flag)
{
    mp_rc_t rc = mpx_journal_room(act->space);
    if (rc != MP_OK)
        return rc;
    mpx_undo_t undo = {MPX_UNDO_FLAG, .object = act->object, .at = act->object->value};
    act->object->value = flag;
    mpx_object_touch(act->space, act->object);
    mpx_journal_note(act->space, &undo);
    return MP_OK;
}

/* Who waits now has seen it, even if it is cleared before he is served. */
int mpx_do_EVENT_SET(mpx_act_t *act)
{
    act->object->as.event.generation++;
    return set_flag(act, 1);
}

int mpx_do_EVENT_CLEAR(mpx_act_t *act)
{
    return set_flag(act, 0);
}

int mpx_do_EVENT_IS_SET(mpx_act_t *act)
{
    return mpx_act_add_number(act, act->object->value != 0);
}

int mpx_do_EVENT_WAIT(mpx_act_t *act)
{
    int rc = MP_OK;
    if (act->object->value)
        return MP_OK;
    mpx_wait_t *wait = mpx_wait_new(act, act->object, MPX_EVENT_WAIT, (mp_bytes_t){NULL, 0}, &rc);
    if (wait)
        wait->version = act->object->as.event.generation;
    return rc;
}

static void serve_event(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait, *next;
    for (wait = self->waits; wait; wait = next) {
        next = wait->next;
        if (wait->method == MPX_EVENT_WAIT && wait->version < self->as.event.generation)
            mpx_wait_end(space, wait, MP_OK, NULL);
    }
}

/* ---- Barrier
 * ------------------------------------------------------------------------------------------------
 */

static int64_t waiting_at(const mpx_object_t *self)
{
    int64_t count = 0;
    const mpx_wait_t *wait;
    DL_FOREACH (self->waits, wait)
        count += wait->method == MPX_BARRIER_WAIT;
    return count;
}

static void open_barrier(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait, *next;
    uint64_t index = 0;
    for (wait = self->waits; wait; wait = next) {
        mpx_buf_t results = {0};
        next = wait->next;
        if (wait->method != MPX_BARRIER_WAIT)
            continue;
        mp_rc_t rc = mpx_parcel_add_number(&results, index++);
        mpx_wait_end(space, wait, rc, rc == MP_OK ? &results : NULL);
        mpx_buf_free(&results);
    }
}

static mp_rc_t is_broken(void)
{
    return mpx_fault(MP_EBROKEN, "the barrier is broken");
}

void mpx_barrier_break(mpx_space_t *space, mpx_object_t *self)
{
    end_all(space, self, MPX_BARRIER_WAIT, is_broken());
    mpx_object_touch(space, self);
}

int mpx_do_BARRIER_WAIT(mpx_act_t *act)
{
    mpx_object_t *self = act->object;
    int rc = MP_OK;
    if (self->as.barrier.broken)
        return is_broken();
    int64_t index = waiting_at(self);
    if (index + 1 < self->value) {
        (void)mpx_wait_new(act, self, MPX_BARRIER_WAIT, (mp_bytes_t){NULL, 0}, &rc);
        if (rc == MP_ETIMEDOUT) { /* as if it had waited */
            self->as.barrier.broken = true;
            mpx_barrier_break(act->space, self);
            rc = mpx_fault(MP_ETIMEDOUT, "not all parties are there");
        }
        return rc;
    }
    rc = mpx_act_add_number(act, (uint64_t)index);
    open_barrier(act->space, self);
    mpx_object_touch(act->space, self);
    return rc;
}

int mpx_do_BARRIER_ABORT(mpx_act_t *act)
{
    act->object->as.barrier.broken = true;
    mpx_barrier_break(act->space, act->object);
    return MP_OK;
}

int mpx_do_BARRIER_RESET(mpx_act_t *act)
{
    act->object->as.barrier.broken = false;
    mpx_barrier_break(act->space, act->object);
    return MP_OK;
}

int mpx_do_BARRIER_STAT(mpx_act_t *act)
{
    const mpx_object_t *self = act->object;
    mp_rc_t rc = mpx_act_add_number(act, (uint64_t)self->value);
    if (rc == MP_OK)
        rc = mpx_act_add_number(act, (uint64_t)waiting_at(self));
    return rc == MP_OK ? mpx_act_add_number(act, self->as.barrier.broken) : rc;
}

/* ---- those who wait for any of them
 * --------------------------------------------------------------------------- */

static void serve_keys(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait, *next;
    for (wait = self->waits; wait; wait = next) {
        next = wait->next;
        if (wait->method != MPX_MAP_WAIT && wait->method != MPX_MAP_WATCH)
            continue;
        const mpx_pair_t *pair = mpx_map_find(self, (mp_bytes_t){wait->key, wait->key_size});
        uint64_t now = pair ? pair->version : 0;
        if (wait->method == MPX_MAP_WAIT ? !pair : now == wait->version)
            continue;
        mpx_buf_t results = {0};
        mp_rc_t rc = wait->method == MPX_MAP_WAIT ? mpx_thing_add_to(pair->value, &results) : MP_OK;
        if (rc == MP_OK)
            rc = mpx_parcel_add_number(&results, now);
        mpx_wait_end(space, wait, rc, rc == MP_OK ? &results : NULL);
        mpx_buf_free(&results);
    }
}

static void serve_watchers(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait, *next;
    for (wait = self->waits; wait; wait = next) {
        next = wait->next;
        if (wait->method != MPX_WATCH || self->version <= wait->version)
            continue;
        mpx_buf_t results = {0};
        mp_rc_t rc = mpx_parcel_add_number(&results, self->version);
        mpx_wait_end(space, wait, rc, rc == MP_OK ? &results : NULL);
        mpx_buf_free(&results);
    }
}

void mpx_object_serve(mpx_space_t *space, mpx_object_t *self)
{
    unsigned type = MPX_T(self->type);
    if (!self->waits)
        return;
    if (type & MPX_T_KEYED)
        serve_keys(space, self);
    else if (type & MPX_T_QUEUE)
        mpx_queue_serve(space, self);
    else if (type & MPX_T_LOCK)
        mpx_lock_serve(space, self);
    else if (type & MPX_T_UNITS)
        serve_units(space, self);
    else if (self->type == MP_OBJECT_EVENT)
        serve_event(space, self);
    serve_watchers(space, self);
}
