/* bag.c: queues: items that are put, given to who asks, and finished or given again.
 *
 *     PUT --> waits --room--> in the row --GET--> given --taken, or DONE--> finished
 *                                ^                  |
 *                                +--- in its place -+   its consumer is gone, or returned it
 *
 * Only what is in the row, or given, is stored; that it was given isn't, so that after a restart
 * all items that weren't finished are in the row again.
 */
#include "space_private.h"

#include "fault.h"

#include <stdlib.h>

static bool is_joinable(const mpx_object_t *self)
{
    return self->type == MP_OBJECT_JOINABLE_QUEUE;
}

static size_t cost_of(const mpx_thing_t *thing)
{
    return MPX_ENTRY_COST + thing->size;
}

/* An item always fits an empty queue: its own size has a limit. */
static bool has_room(const mpx_object_t *self, const mpx_thing_t *thing)
{
    if (self->max_items && self->as.row.row.count >= self->max_items)
        return false;
    return !self->max_bytes || self->bytes == 0 || self->bytes + cost_of(thing) <= self->max_bytes;
}

static mpx_wait_t *first_wait(const mpx_object_t *self, mpx_method_t method)
{
    mpx_wait_t *wait;
    DL_FOREACH (self->waits, wait)
        if (wait->method == method)
            return wait;
    return NULL;
}

/* ---- putting
 * --------------------------------------------------------------------------------------- */

/* The thing is taken over, also on failure. */
static mp_rc_t admit(mpx_space_t *space, mpx_object_t *self, mpx_thing_t *thing)
{
    size_t max_bytes = self->max_bytes;
    self->max_bytes = 0; /* has_room has looked at it */
    mp_rc_t rc = mpx_row_splice(space, self, self->as.row.row.count, 0, &thing, 1);
    self->max_bytes = max_bytes;
    if (rc == MP_OK)
        self->as.row.unfinished++;
    return rc;
}

int mpx_do_QUEUE_PUT(mpx_act_t *act)
{
    mpx_object_t *self = act->object;
    mpx_thing_t *thing = NULL;
    int rc = mpx_act_thing(act, &thing);
    if (rc != MP_OK)
        return rc;
    if (!first_wait(self, MPX_QUEUE_PUT) && has_room(self, thing))
        return admit(act->space, self, thing);
    mpx_wait_t *wait = NULL;
    rc = mpx_space_room(act->space, cost_of(thing));
    if (rc == MP_OK)
        wait = mpx_wait_new(act, self, MPX_QUEUE_PUT, (mp_bytes_t){NULL, 0}, &rc);
    if (wait)
        mpx_wait_park(act->space, wait, thing);
    else
        mpx_thing_free(act->space, thing);
    return rc == MP_ETIMEDOUT ? mpx_fault(MP_EFULL, "the queue is full") : rc;
}

static void settle(mpx_space_t *space, mpx_tenant_t *tenant, const mpx_object_t *queue,
                   uint64_t thread);

/* ---- getting
 * --------------------------------------------------------------------------------------- */

static mp_rc_t give(mpx_object_t *self, mpx_tenant_t *tenant, uint64_t thread, uint64_t number,
                    mpx_buf_t *out)
{
    mpx_place_t place = *mpx_row_at(&self->as.row.row, 0);
    mpx_given_t *given = calloc(1, sizeof *given);
    if (!given)
        return mpx_fault(MP_ENOMEM, "an item that is given");
    mp_rc_t rc = mpx_thing_add_to(place.thing, out);
    if (rc == MP_OK)
        rc = mpx_parcel_add_number(out, place.thing->again);
    if (rc != MP_OK) {
        free(given);
        return rc;
    }
    *given = (mpx_given_t){.thing = place.thing,
                           .rank = place.rank,
                           .queue = self,
                           .tenant = tenant,
                           .owner = tenant->number,
                           .thread = thread,
                           .number = number};
    (void)mpx_row_exchange(&self->as.row.row, 0, 1, NULL, 0);
    DL_APPEND(self->as.row.given, given);
    DL_APPEND2(tenant->given, given, prev_had, next_had);
    return MP_OK;
}

int mpx_do_QUEUE_GET(mpx_act_t *act)
{
    mpx_object_t *self = act->object;
    uint64_t thread;
    int rc = mpx_act_number(act, &thread);
    if (rc != MP_OK)
        return rc;
    settle(act->space, act->tenant, self, thread);
    if (self->as.row.row.count && !first_wait(self, MPX_QUEUE_GET)) {
        rc = give(self, act->tenant, thread, act->number, act->out);
        if (rc == MP_OK)
            mpx_object_touch(act->space, self);
        return rc;
    }
    mpx_wait_t *wait = mpx_wait_new(act, self, MPX_QUEUE_GET, (mp_bytes_t){NULL, 0}, &rc);
    if (wait)
        wait->thread = thread;
    return rc == MP_ETIMEDOUT ? mpx_fault(MP_EEMPTY, "the queue is empty") : rc;
}

/* ---- finishing, or not
 * ------------------------------------------------------------------------------- */

static void unlist(mpx_given_t *self)
{
    DL_DELETE(self->queue->as.row.given, self);
    if (self->tenant)
        DL_DELETE2(self->tenant->given, self, prev_had, next_had);
    self->tenant = NULL;
}

static void finish(mpx_space_t *space, mpx_given_t *self)
{
    mpx_object_t *queue = self->queue;
    if (mpx_journal_room(space) != MP_OK)
        return; /* it stays given: at worst it is given again */
    unlist(self);
    mpx_object_count_bytes(space, queue, cost_of(self->thing), 0);
    queue->as.row.unfinished--;
    mpx_journal_note(space, &(mpx_undo_t){MPX_UNDO_FINISHED, .object = queue, .given = self});
    mpx_object_touch(space, queue);
}

/* Of a queue that isn't joinable, what the thread got before. NULL: of any, and of any thread. */
static void settle(mpx_space_t *space, mpx_tenant_t *tenant, const mpx_object_t *queue,
                   uint64_t thread)
{
    mpx_given_t *given, *next;
    for (given = tenant->given; given; given = next) {
        next = given->next_had;
        if (!is_joinable(given->queue) &&
            (!queue || (given->queue == queue && given->thread == thread)))
            finish(space, given);
    }
}

void mpx_given_settle(mpx_space_t *space, mpx_tenant_t *tenant)
{
    settle(space, tenant, NULL, 0);
}

/* To its place: before all that are behind it. */
void mpx_given_return(mpx_space_t *space, mpx_given_t *self)
{
    mpx_object_t *queue = self->queue;
    mpx_row_t *row = &queue->as.row.row;
    mpx_place_t place = {self->thing, self->rank};
    size_t at = 0;
    while (at < row->count && mpx_row_at(row, at)->rank < self->rank)
        at++;
    unlist(self);
    self->thing->again = true;
    if (mpx_row_exchange(row, at, 0, &place, 1) != MP_OK) {
        /* Without memory it stays nobody's, but counted, until the queue ends. */
        DL_APPEND(queue->as.row.given, self);
        return;
    }
    free(self);
    mpx_object_touch(space, queue);
}

int mpx_do_QUEUE_DONE(mpx_act_t *act)
{
    mpx_given_t *given;
    DL_FOREACH2(act->tenant->given, given, next_had)
    if (given->queue == act->object) {
        finish(act->space, given);
        return MP_OK;
    }
    return mpx_fault(MP_ESTATE, "this process has no item of the queue that isn't finished");
}

int mpx_do_QUEUE_RETURN(mpx_act_t *act)
{
    uint64_t number;
    mp_rc_t rc = mpx_act_number(act, &number);
    mpx_given_t *given, *next;
    for (given = act->tenant->given; rc == MP_OK && given; given = next) {
        next = given->next_had;
        if (given->number != number || given->queue != act->object)
            continue;
        mpx_thing_t *thing = given->thing;
        bool again = thing->again;
        mpx_given_return(act->space, given);
        thing->again = again; /* nobody has seen it this time */
    }
    return rc;
}

int mpx_do_QUEUE_FULL(mpx_act_t *act)
{
    const mpx_object_t *self = act->object;
    bool full = (self->max_items && self->as.row.row.count >= self->max_items) ||
                (self->max_bytes && self->bytes >= self->max_bytes);
    return mpx_act_add_number(act, full);
}

int mpx_do_QUEUE_JOIN(mpx_act_t *act)
{
    int rc = MP_OK;
    if (act->object->as.row.unfinished)
        (void)mpx_wait_new(act, act->object, MPX_QUEUE_JOIN, (mp_bytes_t){NULL, 0}, &rc);
    return rc;
}

/* ---- those who wait
 * ------------------------------------------------------------------------------------ */

static bool admit_first(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait = first_wait(self, MPX_QUEUE_PUT);
    if (!wait || !has_room(self, wait->thing))
        return false;
    mp_rc_t rc = mpx_guard_check(space, &wait->guard);
    mpx_thing_t *thing = rc == MP_OK ? mpx_wait_unpark(space, wait) : NULL;
    mpx_wait_end(space, wait, thing ? admit(space, self, thing) : rc, NULL);
    return true;
}

static bool give_first(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait = self->as.row.row.count ? first_wait(self, MPX_QUEUE_GET) : NULL;
    if (!wait)
        return false;
    mpx_buf_t results = {0};
    mp_rc_t rc = mpx_guard_check(space, &wait->guard);
    bool stale = rc != MP_OK;
    if (!stale)
        rc = give(self, wait->tenant, wait->thread, wait->number, &results);
    mpx_wait_end(space, wait, rc, rc == MP_OK ? &results : NULL);
    mpx_buf_free(&results);
    return rc == MP_OK || stale; /* the item is still there for the next one */
}

void mpx_queue_serve(mpx_space_t *space, mpx_object_t *self)
{
    mpx_wait_t *wait;
    bool durable = space->options.durable;
    while (admit_first(space, self) ||
           (!(durable && space->journal.count) && give_first(space, self)))
        ;
    while (!self->as.row.unfinished && (wait = first_wait(self, MPX_QUEUE_JOIN)))
        mpx_wait_end(space, wait, MP_OK, NULL);
}
