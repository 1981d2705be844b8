#include "inbox.h"

#include "fault.h"
#include "life.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- one item -----------------------------------------------------------------------------------
 */

static mp_rc_t new_item(mp_item_t *out, uint32_t kind, mp_bytes_t bytes, bool again)
{
    void *data = malloc(bytes.size ? bytes.size : 1);
    if (!data)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", bytes.size);
    if (bytes.size)
        memcpy(data, bytes.data, bytes.size);
    *out = (mp_item_t){(mp_item_kind_t)kind, data, bytes.size, again};
    return MP_OK;
}

mp_rc_t mpx_wanted_fill(const mpx_wanted_t *self, uint32_t kind, mp_bytes_t bytes, bool again)
{
    if (self->only_tree && kind != MP_ITEM_TREE)
        return mpx_fault(MP_EINVAL, "the next item is a %s, no value tree",
                         mp_item_kind_name((mp_item_kind_t)kind));
    if (self->item)
        return new_item(self->item, kind, bytes, again);
    if (self->size)
        *self->size = bytes.size;
    if (bytes.size > self->room)
        return mpx_fault(MP_ETOOLARGE, "the next item has %zu bytes, and the buffer %zu",
                         bytes.size, self->room);
    if (bytes.size)
        memcpy(self->buffer, bytes.data, bytes.size);
    return MP_OK;
}

/* ---- batches
 * ------------------------------------------------------------------------------------- */

void mpx_inbox_free(mpx_inbox_t *self)
{
    (void)mpx_inbox_drop(self);
    mpx_in_hand_t *hand, *next;
    DL_FOREACH_SAFE (self->in_hand, hand, next)
        free(hand);
    DL_FOREACH_SAFE (self->spare, hand, next)
        free(hand);
    free(self->settled);
    *self = (mpx_inbox_t){0};
}

static bool is_batch(mp_bytes_t parcels, uint32_t count)
{
    mp_bytes_t item;
    uint32_t kind;
    for (uint32_t i = 0; i < count; i++)
        if (mpx_parcel_next(&parcels, &kind, &item) != MP_OK)
            return false;
    return parcels.size == 0 && count > 0;
}

mp_rc_t mpx_inbox_add(mpx_inbox_t *self, const mpx_header_t *header, mp_bytes_t parcels)
{
    if (header->first != self->next_number || !is_batch(parcels, header->count))
        return mpx_fault(MP_EPROTO, "a GIVE of %u items isn't what was expected", header->count);
    mpx_batch_t *batch = malloc(sizeof *batch + parcels.size);
    if (!batch)
        return mpx_fault(MP_ENOMEM, "%u items", header->count);
    memcpy(batch->bytes, parcels.data, parcels.size);
    batch->number = header->first;
    batch->again = header->attempt > 1;
    batch->rest = (mp_bytes_t){batch->bytes, parcels.size};
    DL_APPEND(self->batches, batch);
    self->next_number += header->count;
    return MP_OK;
}

static mpx_in_hand_t *new_in_hand(mpx_inbox_t *self)
{
    mpx_in_hand_t *hand = self->spare;
    if (!hand)
        return malloc(sizeof *hand);
    DL_DELETE(self->spare, hand);
    return hand;
}

mp_rc_t mpx_inbox_take(mpx_inbox_t *self, const mpx_wanted_t *wanted)
{
    mpx_batch_t *batch = self->batches;
    if (!batch)
        return MP_EEMPTY;
    mpx_in_hand_t *hand = new_in_hand(self);
    if (!hand)
        return mpx_fault(MP_ENOMEM, "an item");
    mp_bytes_t rest = batch->rest;
    mp_bytes_t item;
    uint32_t kind = 0;
    mp_rc_t rc = mpx_parcel_next(&rest, &kind, &item);
    if (rc == MP_OK)
        rc = mpx_wanted_fill(wanted, kind, item, batch->again);
    if (rc != MP_OK) {
        DL_APPEND(self->spare, hand);
        return rc;
    }
    hand->number = batch->number++;
    hand->thread = mpx_thread_self();
    DL_APPEND(self->in_hand, hand);
    batch->rest = rest;
    if (rest.size == 0) {
        DL_DELETE(self->batches, batch);
        free(batch);
    }
    return MP_OK;
}

uint64_t mpx_inbox_drop(mpx_inbox_t *self)
{
    uint64_t first = self->batches ? self->batches->number : self->next_number;
    mpx_batch_t *batch, *next;
    DL_FOREACH_SAFE (self->batches, batch, next)
        free(batch);
    self->batches = NULL;
    return first;
}

/* ---- settling
 * ------------------------------------------------------------------------------------- */

static bool extend_last(mpx_inbox_t *self, uint64_t number)
{
    if (!self->settled_count)
        return false;
    mpx_range_t *last = &self->settled[self->settled_count - 1];
    if (last->first + last->count != number)
        return false;
    last->count++;
    return true;
}

/* Without memory for a range it stays in hand: settled later, or given again. */
static bool settle(mpx_inbox_t *self, mpx_in_hand_t *hand)
{
    if (!extend_last(self, hand->number)) {
        if (self->settled_count == self->settled_room) {
            size_t room = self->settled_room ? 2 * self->settled_room : 16;
            mpx_range_t *grown = realloc(self->settled, room * sizeof *grown);
            if (!grown)
                return false;
            self->settled = grown;
            self->settled_room = room;
        }
        self->settled[self->settled_count++] = (mpx_range_t){hand->number, 1};
    }
    DL_DELETE(self->in_hand, hand);
    DL_APPEND(self->spare, hand);
    return true;
}

bool mpx_inbox_settle_mine(mpx_inbox_t *self)
{
    uint64_t thread = mpx_thread_self();
    mpx_in_hand_t *hand;
    DL_FOREACH (self->in_hand, hand)
        if (hand->thread == thread)
            return settle(self, hand);
    return false;
}

bool mpx_inbox_settle_oldest(mpx_inbox_t *self)
{
    return self->in_hand && settle(self, self->in_hand);
}

size_t mpx_inbox_in_hand(const mpx_inbox_t *self)
{
    size_t count = 0;
    const mpx_in_hand_t *hand;
    DL_COUNT(self->in_hand, hand, count);
    return count;
}
