#include "away_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- the window
 * -------------------------------------------------------------------------------------- */

static void forget(mpx_away_t *self, mpx_unacked_t *item)
{
    DL_DELETE(self->window, item);
    self->window_items--;
    self->window_bytes -= item->size;
    free(item);
}

mp_rc_t mpx_away_on_admitted(mpx_away_t *self, const mpx_header_t *header)
{
    if (header->count > self->window_items)
        return mpx_fault(MP_EPROTO, "%u items admitted, and %zu were put", header->count,
                         self->window_items);
    for (uint32_t i = 0; i < header->count; i++)
        forget(self, self->window);
    return MP_OK;
}

static mpx_unacked_t *keep(mpx_away_t *self, uint32_t kind, mp_bytes_t bytes)
{
    mpx_unacked_t *item = malloc(sizeof *item + MPX_PARCEL_HEAD + bytes.size);
    if (!item)
        return NULL;
    item->size = MPX_PARCEL_HEAD + bytes.size;
    mpx_parcel_head(item->parcel, kind, bytes.size);
    if (bytes.size)
        memcpy(item->parcel + MPX_PARCEL_HEAD, bytes.data, bytes.size);
    DL_APPEND(self->window, item);
    self->window_items++;
    self->window_bytes += item->size;
    return item;
}

static bool has_room(const mpx_away_t *self, size_t bytes)
{
    if (self->window_items == 0)
        return true;
    return self->window_items < self->admit.window_items &&
           self->window_bytes + bytes + MPX_PARCEL_HEAD <= self->admit.window_bytes;
}

/* ---- places
 * ------------------------------------------------------------------------------------------- */

static mp_rc_t withdraw(mpx_away_t *self, bool granted)
{
    mpx_header_t header = {
        .op = MPX_OP_WITHDRAW,
        .kind = MPX_WITHDRAW_PLACE,
        .nonce = self->place.nonce,
        .first = granted ? 0 : UINT64_MAX,
    };
    self->place.deaf = granted;
    return mpx_away_send(self, &header, (mp_bytes_t){0});
}

static mp_rc_t reserve(mpx_away_t *self, size_t bytes)
{
    self->place.open = true;
    self->place.nonce = ++self->last_nonce;
    mpx_header_t header = {.op = MPX_OP_RESERVE, .nonce = self->place.nonce, .bytes = bytes};
    return mpx_away_send(self, &header, (mp_bytes_t){0});
}

static mp_rc_t full(void)
{
    return mpx_fault(MP_EFULL, "the queue is full");
}

typedef struct patience {
    int64_t deadline;
    int64_t trip_end;
    bool late;
    bool mine;  /* the RESERVE that is open is this thread's, under this nonce */
    bool asked; /* it was taken back softly: the answer says whether a place came first */
    uint64_t nonce;
} patience_t;

/* MP_OK: look again. */
static mp_rc_t wish_on(mpx_away_t *self, size_t bytes, patience_t *patience)
{
    mp_rc_t rc = mpx_away_rc(self);
    if (rc != MP_OK)
        return rc;
    if (patience->mine && self->withdrawn_place == patience->nonce)
        return full();
    bool is_free = !self->place.open && !self->place.deaf && !self->granted;
    if (!patience->mine && is_free && !patience->late) {
        rc = reserve(self, bytes);
        patience->mine = true;
        patience->nonce = self->place.nonce;
    } else if (patience->late && patience->mine && !patience->asked &&
               mpx_now() < patience->trip_end) {
        patience->asked = true;
        patience->late = false;
        patience->deadline = patience->trip_end;
        rc = withdraw(self, false);
    } else if (patience->late) {
        if (patience->mine)
            (void)withdraw(self, true);
        return full();
    }
    if (rc == MP_OK)
        rc = mpx_channel_wait(self->channel, patience->deadline);
    patience->late = rc == MP_ETIMEDOUT;
    return patience->late ? MP_OK : rc;
}

/* A place at the owner, for one put after the other. */
static mp_rc_t wait_place(mpx_away_t *self, size_t bytes, int timeout_ms)
{
    int64_t now = mpx_now();
    patience_t patience = {.deadline = mpx_deadline(now, timeout_ms),
                           .trip_end = now + MPX_TRIP_NS};
    for (;;) {
        if (patience.mine && self->granted) {
            self->granted = false;
            return MP_OK;
        }
        mp_rc_t rc = wish_on(self, bytes, &patience);
        if (rc != MP_OK)
            return rc;
    }
}

/* The owner tells what it has admitted by the quarter of a window, or when it is asked. */
static mp_rc_t hurry(mpx_away_t *self)
{
    mpx_header_t header = {.op = MPX_OP_ASK, .nonce = ++self->last_nonce};
    return mpx_away_send(self, &header, (mp_bytes_t){0});
}

static mp_rc_t wait_window(mpx_away_t *self, size_t bytes, int64_t deadline)
{
    if (!has_room(self, bytes))
        mpx_channel_look(self->channel);
    mp_rc_t rc = has_room(self, bytes) ? mpx_away_rc(self) : hurry(self);
    if (rc != MP_OK)
        return rc;
    for (;;) {
        rc = mpx_away_rc(self);
        if (rc != MP_OK || has_room(self, bytes))
            return rc;
        rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT)
            return full();
        if (rc != MP_OK)
            return rc;
    }
}

static mp_rc_t put_locked(mpx_away_t *self, uint32_t kind, mp_bytes_t bytes, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_away_wait_admitted(self, deadline);
    if (rc == MP_ETIMEDOUT)
        return full();
    if (rc != MP_OK)
        return rc;
    if (bytes.size > self->admit.max_item_bytes)
        return mpx_fault(MP_ETOOLARGE, "an item of %zu bytes in a queue that takes %llu",
                         bytes.size, (unsigned long long)self->admit.max_item_bytes);
    bool small = self->admit.window_items == 0;
    rc = small ? wait_place(self, bytes.size, timeout_ms) : wait_window(self, bytes.size, deadline);
    if (rc != MP_OK)
        return rc;
    mpx_unacked_t *item = keep(self, kind, bytes);
    if (!item)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", bytes.size);
    rc = mpx_away_send(self, &(mpx_header_t){.op = MPX_OP_PUT, .count = 1},
                       (mp_bytes_t){item->parcel, item->size});
    if (rc != MP_OK)
        forget(self, item);
    if (small)
        mpx_channel_changed(self->channel); /* the next thread may ask for its place */
    return rc;
}

mp_rc_t mpx_away_put(mpx_away_t *self, uint32_t kind, mp_bytes_t bytes, int timeout_ms)
{
    mpx_channel_lock(self->channel);
    mp_rc_t rc = put_locked(self, kind, bytes, timeout_ms);
    mpx_channel_unlock(self->channel);
    return rc;
}

/* ---- what isn't acknowledged
 * --------------------------------------------------------------------------- */

mp_rc_t mpx_away_flush(mpx_away_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mpx_channel_lock(self->channel);
    mpx_channel_look(self->channel);
    mp_rc_t rc = self->window_items ? hurry(self) : MP_OK;
    while (rc == MP_OK && self->window_items) {
        rc = mpx_away_rc(self);
        if (rc == MP_OK)
            rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT)
            rc = mpx_fault(MP_ETIMEDOUT, "the owner hasn't acknowledged %zu items",
                           self->window_items);
    }
    mpx_channel_unlock(self->channel);
    return rc;
}

static mp_rc_t hand_back(mpx_away_t *self, mp_item_t *out)
{
    mpx_unacked_t *item = self->window;
    mp_bytes_t rest = {item->parcel, item->size};
    mp_bytes_t bytes;
    uint32_t kind = 0;
    mp_rc_t rc = mpx_parcel_next(&rest, &kind, &bytes);
    if (rc == MP_OK)
        rc = mpx_wanted_fill(&(mpx_wanted_t){.item = out}, kind, bytes, false);
    if (rc == MP_OK)
        forget(self, item);
    return rc;
}

mp_rc_t mpx_away_unacknowledged(mpx_away_t *self, mp_item_t *out)
{
    mpx_channel_lock(self->channel);
    mpx_channel_look(self->channel);
    mp_rc_t rc = MP_OK;
    if (mpx_channel_rc(self->channel) == MP_OK)
        rc = mpx_fault(MP_ESTATE, "the queue's owner isn't lost");
    else
        rc = self->window ? hand_back(self, out) : MP_EEMPTY;
    mpx_channel_unlock(self->channel);
    return rc;
}
