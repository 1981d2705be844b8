#include "away_private.h"

#include "clock.h"
#include "fault.h"

/* ---- messages
 * ------------------------------------------------------------------------------------------ */

/* What comes for a TAKE that was withdrawn the owner has again. */
mp_rc_t mpx_away_on_give(mpx_away_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (self->take.deaf)
        return MP_OK;
    mp_rc_t rc = mpx_inbox_add(&self->inbox, header, payload);
    if (rc == MP_OK && header->nonce == self->take.nonce)
        self->take.open = false;
    return rc;
}

mp_rc_t mpx_away_tell_settled(mpx_away_t *self)
{
    mpx_inbox_t *inbox = &self->inbox;
    for (size_t i = 0; i < inbox->settled_count; i++) {
        mpx_range_t range = inbox->settled[i];
        mpx_header_t header = {
            .op = MPX_OP_SETTLE, .first = range.first, .count = (uint32_t)range.count};
        mp_rc_t rc = mpx_away_send(self, &header, (mp_bytes_t){0});
        if (rc != MP_OK)
            return rc;
    }
    inbox->settled_count = 0;
    return MP_OK;
}

/* ---- wishing
 * ------------------------------------------------------------------------------------------- */

/* `given`: also what was given for it meanwhile isn't taken any more. */
static mp_rc_t withdraw(mpx_away_t *self, bool given)
{
    mpx_header_t header = {
        .op = MPX_OP_WITHDRAW,
        .kind = MPX_WITHDRAW_TAKE,
        .nonce = self->take.nonce,
        .first = given ? self->inbox.next_number : UINT64_MAX,
    };
    self->take.deaf = given;
    return mpx_away_send(self, &header, (mp_bytes_t){0});
}

static mp_rc_t send_take(mpx_away_t *self)
{
    mp_rc_t rc = mpx_away_tell_settled(self);
    if (rc != MP_OK)
        return rc;
    self->take.open = true;
    self->take.nonce = ++self->last_nonce;
    mpx_header_t header = {.op = MPX_OP_TAKE, .nonce = self->take.nonce, .count = UINT32_MAX};
    return mpx_away_send(self, &header, (mp_bytes_t){0});
}

static mp_rc_t nothing(void)
{
    return mpx_fault(MP_EEMPTY, "the queue is empty");
}

/* One that gives up leaves the TAKE to the others that wait for it. */
static mp_rc_t give_up(mpx_away_t *self)
{
    if (self->take.waiters == 1 && self->take.open && !self->take.deaf)
        (void)withdraw(self, true);
    return nothing();
}

/* The TAKE is out. At the deadline it is taken back softly, if the owner had little time: its
 * answer says whether an item came first; later, for good. */
typedef struct patience {
    int64_t deadline;
    int64_t trip_end;
    bool late;
    bool asked; /* softly, under this nonce */
    uint64_t nonce;
} patience_t;

static mp_rc_t ask_softly(mpx_away_t *self, patience_t *patience)
{
    patience->asked = true;
    patience->nonce = self->take.nonce;
    patience->late = false;
    patience->deadline = patience->trip_end;
    return withdraw(self, false);
}

/* MP_OK: look again. */
static mp_rc_t wish_on(mpx_away_t *self, patience_t *patience)
{
    mp_rc_t rc = mpx_away_rc(self);
    if (rc != MP_OK)
        return rc;
    if (patience->asked && self->withdrawn_take >= patience->nonce)
        return nothing();
    if (!self->take.open && !self->take.deaf && !patience->late) {
        rc = send_take(self);
        if (rc != MP_OK)
            return rc;
    }
    bool early = mpx_now() < patience->trip_end;
    if (patience->late && early && !patience->asked && self->take.open && !self->take.deaf)
        rc = ask_softly(self, patience);
    else if (patience->late)
        return give_up(self);
    if (rc != MP_OK)
        return rc;
    rc = mpx_channel_wait(self->channel, patience->deadline);
    patience->late = rc == MP_ETIMEDOUT;
    return patience->late ? MP_OK : rc;
}

static mp_rc_t wait_item(mpx_away_t *self, const mpx_wanted_t *wanted, int timeout_ms)
{
    int64_t now = mpx_now();
    patience_t patience = {.deadline = mpx_deadline(now, timeout_ms),
                           .trip_end = now + MPX_TRIP_NS};
    for (;;) {
        mp_rc_t rc = mpx_inbox_take(&self->inbox, wanted);
        if (rc != MP_EEMPTY)
            return rc;
        rc = wish_on(self, &patience);
        if (rc != MP_OK)
            return rc;
    }
}

static mp_rc_t get_locked(mpx_away_t *self, const mpx_wanted_t *wanted, int timeout_ms)
{
    if (!self->admit.joinable && !self->admit.explicitly)
        (void)mpx_inbox_settle_mine(&self->inbox);
    mp_rc_t rc = mpx_inbox_take(&self->inbox, wanted);
    if (rc != MP_EEMPTY)
        return rc;
    rc = mpx_away_wait_admitted(self, mpx_deadline(mpx_now(), timeout_ms));
    if (rc == MP_ETIMEDOUT)
        return nothing();
    if (rc != MP_OK)
        return rc;
    self->maybe_ready = false;
    self->take.waiters++;
    rc = wait_item(self, wanted, timeout_ms);
    self->take.waiters--;
    return rc;
}

mp_rc_t mpx_away_get(mpx_away_t *self, const mpx_wanted_t *wanted, int timeout_ms)
{
    mpx_channel_lock(self->channel);
    mp_rc_t rc = get_locked(self, wanted, timeout_ms);
    mpx_channel_unlock(self->channel);
    return rc;
}

/* ---- settling
 * ------------------------------------------------------------------------------------------- */

mp_rc_t mpx_away_settle(mpx_away_t *self, size_t count)
{
    mp_rc_t rc = MP_OK;
    mpx_channel_lock(self->channel);
    size_t in_hand = mpx_inbox_in_hand(&self->inbox);
    if (count > in_hand)
        rc = mpx_fault(MP_ESTATE, "%zu items to settle, and %zu in hand", count, in_hand);
    for (size_t i = count ? count : in_hand; rc == MP_OK && i > 0; i--)
        (void)mpx_inbox_settle_oldest(&self->inbox);
    if (rc == MP_OK)
        rc = mpx_away_tell_settled(self);
    mpx_channel_unlock(self->channel);
    return rc;
}

mp_rc_t mpx_away_task_done(mpx_away_t *self)
{
    mpx_channel_lock(self->channel);
    bool had = mpx_inbox_settle_mine(&self->inbox) || mpx_inbox_settle_oldest(&self->inbox);
    mp_rc_t rc = had ? mpx_away_tell_settled(self)
                     : mpx_fault(MP_ESTATE, "this process got no item that isn't finished");
    mpx_channel_unlock(self->channel);
    return rc;
}

/* Also what it was given and nobody has taken. */
mp_rc_t mpx_away_give_back(mpx_away_t *self)
{
    mpx_channel_lock(self->channel);
    mpx_channel_look(self->channel);
    mp_rc_t rc = mpx_away_tell_settled(self);
    uint64_t end = self->inbox.next_number;
    (void)mpx_inbox_drop(&self->inbox);
    while (mpx_inbox_settle_oldest(&self->inbox))
        ;
    self->inbox.settled_count = 0;
    /* Not what may be on its way to us: that we shall have. */
    uint64_t first = end > UINT32_MAX ? end - UINT32_MAX : 1;
    mpx_header_t header = {.op = MPX_OP_RETURN, .first = first, .count = (uint32_t)(end - first)};
    if (rc == MP_OK && header.count)
        rc = mpx_away_send(self, &header, (mp_bytes_t){0});
    mpx_channel_unlock(self->channel);
    return rc;
}

mp_rc_t mpx_away_watch(mpx_away_t *self, bool *ready, int *fd)
{
    mpx_channel_lock(self->channel);
    mpx_channel_look(self->channel);
    mp_rc_t rc = mpx_channel_rc(self->channel);
    *fd = mpx_channel_watch(self->channel);
    *ready = rc != MP_OK || self->inbox.batches || self->maybe_ready;
    self->maybe_ready = false;
    rc = MP_OK;
    if (!*ready && !self->watching && mpx_channel_is_admitted(self->channel)) {
        self->watching = true;
        rc = mpx_away_send(self, &(mpx_header_t){.op = MPX_OP_WATCH}, (mp_bytes_t){0});
    }
    mpx_channel_unlock(self->channel);
    return rc;
}
