/* outbox.h: messages to an executor, in order, also those for which its lane has no room yet. */
#ifndef MPX_OUTBOX_H
#define MPX_OUTBOX_H

#include "lane.h"
#include "wire.h"

typedef struct mpx_outbox {
    struct mpx_waiting *waiting; /* what the lane had no room for, oldest first */
    struct mpx_waiting **waiting_end;
    bool flushing; /* the lane still has a long record to write */
} mpx_outbox_t;

void mpx_outbox_init(mpx_outbox_t *self);
void mpx_outbox_clear(mpx_outbox_t *self);
/* Copied. MP_OK; MP_ETOOLARGE; MP_EPROTO; MP_ENOMEM. */
mp_rc_t mpx_outbox_send(mpx_outbox_t *self, mpx_lane_t *lane, const mpx_header_t *header,
                        mp_bytes_t payload);
/* Go on with what did not fit before. *moved: some of it did. MP_OK; MP_EPROTO; MP_ENOMEM. */
mp_rc_t mpx_outbox_catch_up(mpx_outbox_t *self, mpx_lane_t *lane, bool *moved);
/* Something waits for room in the lane. */
bool mpx_outbox_waits(const mpx_outbox_t *self);

#endif
