/* owner_calls.c: the calls of the owner's own threads. */
#include "owner_private.h"

#include "clock.h"
#include "fault.h"
#include "life.h"
#include "service.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

static void enter(mpx_owner_t *self)
{
    mpx_service_enter();
    self->users++;
}

static mp_rc_t leave(mpx_owner_t *self, mp_rc_t rc)
{
    if (--self->users == 0 && self->closed)
        pthread_cond_broadcast(&self->changed);
    mpx_service_leave();
    return rc;
}

static mp_rc_t is_closed(void)
{
    return mpx_fault(MP_ECLOSED, "the queue is closed");
}

/* ---- putting
 * ---------------------------------------------------------------------------------------- */

mp_rc_t mpx_owner_put(mpx_owner_t *self, uint32_t kind, mp_bytes_t bytes, int timeout_ms)
{
    if (bytes.size > self->options.queue.max_item_bytes)
        return mpx_fault(MP_ETOOLARGE, "an item of %zu bytes in a queue that takes %zu", bytes.size,
                         self->options.queue.max_item_bytes);
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    enter(self);
    mp_rc_t rc;
    for (;;) {
        rc = self->closed ? is_closed() : mpx_fifo_offer(self->fifo, kind, bytes);
        if (rc != MP_EBUSY)
            break;
        if (!timeout_ms || mpx_service_wait(&self->changed, deadline) == MP_ETIMEDOUT) {
            rc = mpx_fault(MP_EFULL, "the queue is full");
            break;
        }
    }
    if (rc == MP_OK)
        mpx_owner_act(self);
    return leave(self, rc);
}

/* ---- getting
 * ---------------------------------------------------------------------------------------- */

static void drop(mpx_owner_t *self, mpx_held_t *held)
{
    DL_DELETE(self->held, held);
    mpx_fifo_drop(self->fifo, held->item);
    free(held);
}

/* The item stays the first if it can't be handed over. */
static mp_rc_t hand_over(mpx_owner_t *self, mpx_fifo_item_t *item, const mpx_wanted_t *wanted)
{
    mpx_held_t *held = self->keeps ? malloc(sizeof *held) : NULL;
    mp_rc_t rc = self->keeps && !held ? mpx_fault(MP_ENOMEM, "an item") : MP_OK;
    if (rc == MP_OK)
        rc =
            mpx_wanted_fill(wanted, item->kind, (mp_bytes_t){item->bytes, item->size}, item->again);
    if (rc != MP_OK) {
        free(held);
        mpx_fifo_unpop(self->fifo, item);
        return rc;
    }
    if (held) {
        held->item = item;
        held->thread = mpx_thread_self();
        DL_APPEND(self->held, held);
    } else {
        mpx_fifo_drop(self->fifo, item);
    }
    mpx_owner_act(self);
    return MP_OK;
}

mp_rc_t mpx_owner_get(mpx_owner_t *self, const mpx_wanted_t *wanted, int timeout_ms)
{
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    enter(self);
    mp_rc_t rc;
    for (;;) {
        if (self->closed) {
            rc = is_closed();
            break;
        }
        mpx_fifo_item_t *item = mpx_fifo_pop(self->fifo);
        if (item) {
            rc = hand_over(self, item, wanted);
            break;
        }
        if (!timeout_ms || mpx_service_wait(&self->changed, deadline) == MP_ETIMEDOUT) {
            rc = mpx_fault(MP_EEMPTY, "the queue is empty");
            break;
        }
    }
    return leave(self, rc);
}

static mpx_held_t *oldest_of_mine(mpx_owner_t *self)
{
    uint64_t thread = mpx_thread_self();
    mpx_held_t *held;
    DL_FOREACH (self->held, held)
        if (held->thread == thread)
            return held;
    return self->held;
}

mp_rc_t mpx_owner_task_done(mpx_owner_t *self)
{
    enter(self);
    mpx_held_t *held = oldest_of_mine(self);
    if (!held)
        return leave(self, mpx_fault(MP_ESTATE, "this process got no item that isn't finished"));
    drop(self, held);
    mpx_owner_act(self);
    return leave(self, MP_OK);
}

mp_rc_t mpx_owner_settle(mpx_owner_t *self, size_t count)
{
    enter(self);
    size_t in_hand = 0;
    mpx_held_t *held;
    DL_COUNT(self->held, held, in_hand);
    if (count > in_hand)
        return leave(self,
                     mpx_fault(MP_ESTATE, "%zu items to settle, and %zu in hand", count, in_hand));
    for (size_t i = count ? count : in_hand; i > 0; i--)
        drop(self, self->held);
    mpx_owner_act(self);
    return leave(self, MP_OK);
}

/* From the newest to the oldest, so that they are in their order again. */
static void put_back(mpx_owner_t *self)
{
    while (self->held) {
        mpx_held_t *held = self->held->prev;
        held->item->again = true;
        mpx_fifo_unpop(self->fifo, held->item);
        DL_DELETE(self->held, held);
        free(held);
    }
    mpx_owner_act(self);
}

mp_rc_t mpx_owner_give_back(mpx_owner_t *self)
{
    enter(self);
    put_back(self);
    return leave(self, MP_OK);
}

/* ---- looking
 * ---------------------------------------------------------------------------------------- */

mp_rc_t mpx_owner_join(mpx_owner_t *self, int timeout_ms)
{
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    mpx_fifo_counts_t counts;
    mp_rc_t rc = MP_OK;
    enter(self);
    for (;;) {
        mpx_fifo_count(self->fifo, &counts);
        if (!counts.unfinished)
            break;
        if (self->closed) {
            rc = is_closed();
            break;
        }
        if (!timeout_ms || mpx_service_wait(&self->changed, deadline) == MP_ETIMEDOUT) {
            rc = mpx_fault(MP_ETIMEDOUT, "%zu items aren't finished", counts.unfinished);
            break;
        }
    }
    return leave(self, rc);
}

void mpx_owner_stat(mpx_owner_t *self, mp_queue_stat_t *out)
{
    mpx_fifo_counts_t counts;
    enter(self);
    mpx_fifo_count(self->fifo, &counts);
    *out = (mp_queue_stat_t){
        .size = counts.queued,
        .prefetched = counts.given,
        .waiting = counts.parked,
        .bytes = counts.bytes,
        .unfinished = counts.unfinished,
        .maxsize = self->options.queue.maxsize,
        .peers = counts.visitors,
        .put = counts.put,
        .got = counts.got,
        .redelivered = counts.again,
        .carrier = "owner",
    };
    (void)leave(self, MP_OK);
}

mp_rc_t mpx_owner_watch(mpx_owner_t *self, bool *ready, int *fd)
{
    uint64_t count;
    mpx_fifo_counts_t counts;
    mp_rc_t rc = MP_OK;
    enter(self);
    if (self->wake < 0)
        self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0) {
        rc = mpx_fault_errno("waiting for a queue");
    } else {
        mpx_fifo_count(self->fifo, &counts);
        *ready = counts.queued > 0 || self->closed;
        *fd = self->wake;
        if (!self->watched)
            (void)!read(self->wake, &count, sizeof count);
        self->watched = true;
    }
    return leave(self, rc);
}

/* What its threads have in hand counts as settled, as for any consumer that leaves. */
void mpx_owner_leave(mpx_owner_t *self)
{
    enter(self);
    if (self->options.queue.joinable)
        put_back(self);
    while (self->held)
        drop(self, self->held);
    (void)leave(self, MP_OK);
}
