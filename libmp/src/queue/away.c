#include "away_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <utlist.h>

/* ---- messages
 * ------------------------------------------------------------------------------------- */

static void on_admit(void *arg, const mpx_admit_t *admit)
{
    mpx_away_t *self = arg;
    self->admit = *admit;
    self->admit.software = NULL; /* the message's memory */
}

static void on_withdrawn(mpx_away_t *self, const mpx_header_t *header)
{
    mpx_wish_t *wish = header->kind == MPX_WITHDRAW_PLACE ? &self->place : &self->take;
    if (header->nonce != wish->nonce)
        return;
    wish->deaf = false;
    wish->open = false;
    if (wish == &self->place)
        self->withdrawn_place = header->nonce;
    else
        self->withdrawn_take = header->nonce;
}

static mp_rc_t on_tell(mpx_away_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    void *arena = NULL;
    mp_rc_t rc = mpx_queue_stat_unpack(payload, &self->stat, &arena);
    if (rc == MP_OK)
        self->told = header->nonce;
    return rc;
}

static mp_rc_t on_message(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_away_t *self = arg;
    switch (header->op) {
    case MPX_OP_ADMITTED:
        return mpx_away_on_admitted(self, header);
    case MPX_OP_GIVE:
        return mpx_away_on_give(self, header, payload);
    case MPX_OP_GRANT:
        if (self->place.open && !self->place.deaf) {
            self->granted = true;
            self->place.open = false;
        }
        return MP_OK;
    case MPX_OP_WITHDRAWN:
        on_withdrawn(self, header);
        return MP_OK;
    case MPX_OP_READY:
        self->watching = false;
        self->maybe_ready = true;
        return MP_OK;
    case MPX_OP_TELL:
        return on_tell(self, header, payload);
    case MPX_OP_JOINED:
        self->joined = header->nonce;
        return MP_OK;
    default:
        return mpx_fault(MP_EPROTO, "a %s from a queue", mpx_op_name(header->op));
    }
}

static const mpx_channel_user_t user = {.admitted = on_admit, .message = on_message};

/* ---- life
 * ------------------------------------------------------------------------------------------ */

mp_rc_t mpx_away_new(const mpx_away_options_t *options, mpx_away_t **out)
{
    mpx_away_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    self->inbox.next_number = 1;
    mpx_channel_options_t channel = {
        .endpoint = options->endpoint,
        .door = MPX_DOOR_QUEUE,
        .object = options->id,
        .secret = options->secret,
        .key = options->key,
        .no_lane = options->no_lane,
        .user = &user,
        .arg = self,
    };
    mp_rc_t rc = mpx_channel_open(&channel, &self->channel);
    if (rc != MP_OK)
        free(self);
    else
        *out = self;
    return rc;
}

void mpx_away_free(mpx_away_t **self_p)
{
    enum { LINGER_MS = 1000 };
    mpx_away_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_channel_close(&self->channel, LINGER_MS);
    mpx_inbox_free(&self->inbox);
    mpx_unacked_t *item, *next;
    DL_FOREACH_SAFE (self->window, item, next)
        free(item);
    free(self);
}

/* What was got is done with; what wasn't, the owner has again when it sees the BYE. Items of a
 * joinable queue that aren't finished go back too. */
static void take_leave(mpx_away_t *self)
{
    if (!self->admit.joinable)
        while (mpx_inbox_settle_oldest(&self->inbox))
            ;
    if (mpx_away_tell_settled(self) == MP_OK)
        (void)mpx_away_send(self, &(mpx_header_t){.op = MPX_OP_BYE}, (mp_bytes_t){0});
}

mp_rc_t mpx_away_close(mpx_away_t **self_p, int timeout_ms)
{
    mpx_away_t *self = *self_p;
    mp_rc_t rc = mpx_away_flush(self, timeout_ms);
    mpx_channel_lock(self->channel);
    take_leave(self);
    mpx_channel_unlock(self->channel);
    mpx_away_free(self_p);
    return rc;
}

/* ---- the owner
 * -------------------------------------------------------------------------------------- */

mp_rc_t mpx_away_rc(const mpx_away_t *self)
{
    mp_rc_t rc = mpx_channel_rc(self->channel);
    if (rc == MP_OK)
        return MP_OK;
    return mpx_channel_fault(self->channel, rc == MP_EOF ? MP_EPEERLOST : rc, "the queue");
}

bool mpx_away_was_never_reached(mpx_away_t *self)
{
    mpx_channel_lock(self->channel);
    bool never = mpx_channel_rc(self->channel) == MP_ECONNECT;
    mpx_channel_unlock(self->channel);
    return never;
}

mp_rc_t mpx_away_send(mpx_away_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mp_rc_t rc = mpx_channel_send(self->channel, header, payload);
    if (rc != MP_EOF && rc != MP_ECLOSED)
        return rc;
    /* The last words of the owner may be there. */
    mpx_channel_look(self->channel);
    rc = mpx_away_rc(self);
    return rc == MP_OK ? mpx_fault(MP_EPEERLOST, "the queue: its owner is gone") : rc;
}

mp_rc_t mpx_away_wait_admitted(mpx_away_t *self, int64_t deadline)
{
    int64_t first = mpx_now() + MPX_TRIP_NS;
    if (deadline < first)
        deadline = first;
    for (;;) {
        mp_rc_t rc = mpx_away_rc(self);
        if (rc != MP_OK || mpx_channel_is_admitted(self->channel))
            return rc;
        rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT)
            return mpx_fault(MP_ETIMEDOUT, "the queue: its owner doesn't answer");
        if (rc != MP_OK)
            return rc;
    }
}

/* Wait until the owner has answered `nonce` in *answer. */
static mp_rc_t wait_answer(mpx_away_t *self, const uint64_t *answer, uint64_t nonce,
                           int64_t deadline)
{
    while (*answer != nonce) {
        mp_rc_t rc = mpx_away_rc(self);
        if (rc == MP_OK)
            rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT)
            return mpx_fault(MP_ETIMEDOUT, "the queue: its owner didn't answer in time");
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

static mp_rc_t ask(mpx_away_t *self, mpx_op_t op, const uint64_t *answer, int64_t deadline)
{
    mp_rc_t rc = mpx_away_wait_admitted(self, deadline);
    if (rc == MP_OK)
        rc = mpx_away_tell_settled(self);
    if (rc != MP_OK)
        return rc;
    uint64_t nonce = ++self->last_nonce;
    rc = mpx_away_send(self, &(mpx_header_t){.op = op, .nonce = nonce}, (mp_bytes_t){0});
    return rc == MP_OK ? wait_answer(self, answer, nonce, deadline) : rc;
}

mp_rc_t mpx_away_stat(mpx_away_t *self, mp_queue_stat_t *out, int timeout_ms)
{
    int64_t now = mpx_now();
    int64_t deadline = mpx_deadline(now, timeout_ms);
    mpx_channel_lock(self->channel);
    mp_rc_t rc = ask(self, MPX_OP_ASK, &self->told,
                     deadline < now + MPX_TRIP_NS ? now + MPX_TRIP_NS : deadline);
    const mpx_queue_stat_t *stat = &self->stat;
    if (rc == MP_OK)
        *out = (mp_queue_stat_t){
            .size = stat->size,
            .prefetched = stat->prefetched,
            .waiting = stat->waiting,
            .bytes = stat->bytes,
            .unfinished = stat->unfinished,
            .maxsize = stat->maxsize,
            .peers = stat->peers,
            .put = stat->put,
            .got = stat->got,
            .redelivered = stat->redelivered,
            .carrier = mpx_channel_carrier(self->channel),
        };
    mpx_channel_unlock(self->channel);
    return rc;
}

mp_rc_t mpx_away_join(mpx_away_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mpx_channel_lock(self->channel);
    mp_rc_t rc = mpx_away_wait_admitted(self, deadline);
    if (rc == MP_OK && !self->admit.joinable)
        rc = mpx_fault(MP_ESTATE, "the queue isn't joinable");
    if (rc == MP_OK)
        rc = ask(self, MPX_OP_JOIN, &self->joined, deadline);
    if (rc == MP_ETIMEDOUT)
        rc = mpx_fault(MP_ETIMEDOUT, "not all items are finished");
    mpx_channel_unlock(self->channel);
    return rc;
}
