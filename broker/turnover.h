/* turnover.h: how executors come and go, as their workers tell it. Pure. */
#ifndef MPX_BROKER_TURNOVER_H
#define MPX_BROKER_TURNOVER_H

#include "peer.h"

/* A worker has come, with so many executors as it has slots. */
void mpx_turnover_joined(mpx_turnover_t *all, mpx_peer_t *worker);
/* What it says of those, and of others that it has started since. MP_OK; MP_EPROTO numbers that
 * can't be, and mp_errmsg() says so. */
mp_rc_t mpx_turnover_told(mpx_turnover_t *all, mpx_peer_t *worker, const mpx_turnover_t *since);
/* It is gone, and the executors that it had are as well: by their own will if it said BYE. */
void mpx_turnover_left(mpx_turnover_t *all, const mpx_peer_t *worker);
/* Those that a call has cost. */
uint64_t mpx_turnover_casualties(const mpx_turnover_t *self);

#endif
