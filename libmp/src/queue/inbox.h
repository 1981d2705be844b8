/* inbox.h: what a process was given and hasn't used, and what its threads have in hand.
 *
 * Batches arrive, items leave in their order. Each has the number under which the owner keeps it
 * until it is settled. Who has which is kept by thread, since a thread's next get settles its
 * last item. Settled numbers are gathered into ranges, to be told to the owner together.
 */
#ifndef MPX_INBOX_H
#define MPX_INBOX_H

#include "wanted.h"
#include "wire.h"

typedef struct mpx_range {
    uint64_t first;
    uint64_t count;
} mpx_range_t;

typedef struct mpx_batch {
    struct mpx_batch *prev, *next;
    uint64_t number; /* of the first item of `rest` */
    bool again;
    mp_bytes_t rest; /* parcels */
    unsigned char bytes[];
} mpx_batch_t;

typedef struct mpx_in_hand {
    struct mpx_in_hand *prev, *next;
    uint64_t number;
    uint64_t thread;
} mpx_in_hand_t;

typedef struct mpx_inbox {
    mpx_batch_t *batches;
    mpx_in_hand_t *in_hand; /* in the order of their numbers */
    mpx_in_hand_t *spare;
    mpx_range_t *settled; /* not told yet */
    size_t settled_count;
    size_t settled_room;
    uint64_t next_number; /* that is expected of the owner; from 1 */
} mpx_inbox_t;

void mpx_inbox_free(mpx_inbox_t *self);

/* A batch of `count` parcels. MP_OK; MP_EPROTO it isn't that, or not what is expected next;
 * MP_ENOMEM. */
mp_rc_t mpx_inbox_add(mpx_inbox_t *self, const mpx_header_t *header, mp_bytes_t parcels);
/* The first item goes to this thread. MP_OK; MP_EEMPTY; as mpx_wanted_fill. */
mp_rc_t mpx_inbox_take(mpx_inbox_t *self, const mpx_wanted_t *wanted);
/* Drop what wasn't taken: the owner has it again. The number from which on. */
uint64_t mpx_inbox_drop(mpx_inbox_t *self);

/* The oldest in hand of this thread, or of any: settled. false: there is none. */
bool mpx_inbox_settle_mine(mpx_inbox_t *self);
bool mpx_inbox_settle_oldest(mpx_inbox_t *self);
size_t mpx_inbox_in_hand(const mpx_inbox_t *self);

#endif
