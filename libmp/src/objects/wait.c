/* wait.c: operations that are answered later. */
#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

mpx_wait_t *mpx_wait_new(mpx_act_t *act, mpx_object_t *object, mpx_method_t method, mp_bytes_t key,
                         int *rc)
{
    mpx_space_t *space = act->space;
    mpx_wait_t *self = NULL;
    if (act->wait_ms == 0)
        *rc = mpx_fault(MP_ETIMEDOUT, "not now");
    else if (act->atomic)
        *rc = mpx_fault(MP_EINVAL, "nothing is waited for within an atomic");
    else if (act->tenant->waits_count >= space->options.max_waits)
        *rc = mpx_fault(MP_ELIMIT, "%zu calls of this process wait", act->tenant->waits_count);
    else if (!(self = calloc(1, sizeof *self + key.size)))
        *rc = mpx_fault(MP_ENOMEM, "a call that waits");
    if (!self)
        return NULL;
    self->tenant = act->tenant;
    self->number = act->number;
    self->object = object;
    self->method = method;
    self->guard = act->guard;
    self->timer = (mpx_timer_t){.kind = MPX_TIMER_WAIT, .of = self};
    self->key_size = (uint32_t)key.size;
    if (key.size)
        memcpy(self->key, key.data, key.size);
    if (act->wait_ms > 0 && mpx_heap_set(&space->timers, &self->timer.node,
                                         space->now + act->wait_ms * MPX_MS) != MP_OK) {
        free(self);
        *rc = mpx_fault(MP_ENOMEM, "a call that waits");
        return NULL;
    }
    DL_APPEND(object->waits, self);
    object->waits_count++;
    DL_APPEND2(act->tenant->waits, self, prev_of, next_of);
    act->tenant->waits_count++;
    space->waits++;
    *rc = MPX_WAITING;
    return self;
}

void mpx_wait_park(mpx_space_t *space, mpx_wait_t *self, mpx_thing_t *thing)
{
    self->thing = thing;
    space->parked += MPX_ENTRY_COST + thing->size;
}

mpx_thing_t *mpx_wait_unpark(mpx_space_t *space, mpx_wait_t *self)
{
    mpx_thing_t *thing = self->thing;
    self->thing = NULL;
    if (thing)
        space->parked -= MPX_ENTRY_COST + thing->size;
    return thing;
}

static void free_wait(mpx_space_t *space, mpx_wait_t *self)
{
    mpx_heap_remove(&space->timers, &self->timer.node);
    DL_DELETE(self->object->waits, self);
    self->object->waits_count--;
    DL_DELETE2(self->tenant->waits, self, prev_of, next_of);
    self->tenant->waits_count--;
    space->waits--;
    mpx_thing_free(space, mpx_wait_unpark(space, self));
    free(self);
}

void mpx_wait_end(mpx_space_t *space, mpx_wait_t *self, mp_rc_t rc, const mpx_buf_t *results)
{
    (void)mpx_tenant_reply(space, self->tenant, self->number, self->object->id, rc, results);
    free_wait(space, self);
}

/* Its place was one of a barrier's parties. */
void mpx_wait_forget(mpx_space_t *space, mpx_wait_t *self)
{
    mpx_object_t *object = self->object;
    bool party = self->method == MPX_BARRIER_WAIT;
    free_wait(space, self);
    if (party) {
        object->as.barrier.broken = true;
        mpx_barrier_break(space, object);
    }
}

void mpx_wait_expire(mpx_space_t *space, mpx_wait_t *self)
{
    mpx_object_t *object = self->object;
    switch (self->method) {
    case MPX_CONDITION_WAIT:
        if (!self->notified)
            mpx_condition_wake(space, self, MP_ETIMEDOUT);
        break;
    case MPX_QUEUE_PUT:
        mpx_wait_end(space, self, mpx_fault(MP_EFULL, "the queue is full"), NULL);
        break;
    case MPX_QUEUE_GET:
        mpx_wait_end(space, self, mpx_fault(MP_EEMPTY, "the queue is empty"), NULL);
        break;
    case MPX_LOCK_ACQUIRE:
        mpx_wait_end(space, self,
                     mpx_fault(MP_ETIMEDOUT, "held by %s",
                               object->as.lock.holder ? object->as.lock.holder->name : "nobody"),
                     NULL);
        break;
    case MPX_BARRIER_WAIT:
        mpx_wait_end(space, self, mpx_fault(MP_ETIMEDOUT, "not all parties are there"), NULL);
        object->as.barrier.broken = true;
        mpx_barrier_break(space, object);
        break;
    default:
        mpx_wait_end(space, self, mpx_fault(MP_ETIMEDOUT, "it didn't come in time"), NULL);
        break;
    }
}

/* What is to be stored first is looked at again then. */
void mpx_space_serve(mpx_space_t *space)
{
    mpx_object_t *later = NULL;
    while (space->touched) {
        mpx_object_t *object = space->touched;
        space->touched = object->next_touched;
        bool stored = MPX_T(object->type) & (MPX_T_KEYED | MPX_T_SEQ | MPX_T_QUEUE |
                                             MPX_T(MP_OBJECT_VALUE) | MPX_T(MP_OBJECT_EVENT));
        if (stored && object->waits && space->options.durable && space->journal.count) {
            object->next_touched = later;
            later = object;
            continue;
        }
        object->touched = false;
        mpx_object_serve(space, object);
    }
    space->touched = later;
}
