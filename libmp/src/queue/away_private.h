/* away_private.h: as away.c and its two halves, putting and getting, see it. */
#ifndef MPX_AWAY_PRIVATE_H
#define MPX_AWAY_PRIVATE_H

#include "away.h"
#include "inbox.h"

/* How long a call with a shorter timeout waits for the owner's first answer all the same: else
 * one that tries once would never get anything from elsewhere. */
#define MPX_TRIP_NS INT64_C(100000000)

/* Kinds of WITHDRAW. */
enum { MPX_WITHDRAW_TAKE = 0, MPX_WITHDRAW_PLACE = 1 };

/* Put, and not admitted yet. */
typedef struct mpx_unacked {
    struct mpx_unacked *prev, *next;
    size_t size; /* of the parcel */
    unsigned char parcel[];
} mpx_unacked_t;

/* A wish that is open at the owner: it is granted, or withdrawn. What comes for it between
 * `deaf` and the owner's WITHDRAWN is not for us any more. */
typedef struct mpx_wish {
    bool open;
    bool deaf;
    uint64_t nonce;
    size_t waiters; /* threads */
} mpx_wish_t;

struct mpx_away {
    mpx_channel_t *channel;
    mpx_admit_t admit;
    uint64_t last_nonce;
    /* putting */
    mpx_unacked_t *window;
    size_t window_items;
    size_t window_bytes;
    mpx_wish_t place;
    bool granted;
    uint64_t withdrawn_place; /* nonce of the last answer */
    /* getting */
    mpx_inbox_t inbox;
    mpx_wish_t take;
    uint64_t withdrawn_take;
    bool watching;
    bool maybe_ready; /* READY came, and nobody has looked since */
    /* asking */
    uint64_t told;
    mpx_queue_stat_t stat;
    uint64_t joined;
};

/* The channel's code as a queue's, with its words. */
mp_rc_t mpx_away_rc(const mpx_away_t *self);
/* Under the lock: until the owner has let us in. MP_OK; MP_ETIMEDOUT; and why it never will. */
mp_rc_t mpx_away_wait_admitted(mpx_away_t *self, int64_t deadline);
mp_rc_t mpx_away_send(mpx_away_t *self, const mpx_header_t *header, mp_bytes_t payload);
/* Send what was settled. */
mp_rc_t mpx_away_tell_settled(mpx_away_t *self);
/* Messages for the two halves. */
mp_rc_t mpx_away_on_admitted(mpx_away_t *self, const mpx_header_t *header);
mp_rc_t mpx_away_on_give(mpx_away_t *self, const mpx_header_t *header, mp_bytes_t payload);

#endif
