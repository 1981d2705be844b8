/* away.h: a queue of another process, as this one uses it.
 *
 * As a producer it has a window: what was put and isn't admitted yet is kept, so that it can be
 * handed back if the owner is lost. Where the queue is small there is no window, and each put
 * asks for its place first.
 *
 * As a consumer it has an inbox. When that is empty a TAKE is sent, by whichever thread is first;
 * all that want an item wait for what comes. When the last of them gives up, the TAKE is
 * withdrawn: from that moment what the owner may have given is not accepted any more, and the
 * owner keeps it. So a timeout needs no answer, and no item is lost or doubled by it.
 */
#ifndef MPX_AWAY_H
#define MPX_AWAY_H

#include "channel.h"
#include "wanted.h"

#include <mp/queue.h>

typedef struct mpx_away mpx_away_t;

typedef struct mpx_away_options {
    const char *endpoint; /* these stay where they are */
    const mpx_key_t *key;
    uint64_t id;
    uint64_t secret;
    bool no_lane;
} mpx_away_options_t;

/* Begins to connect. MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_away_new(const mpx_away_options_t *options, mpx_away_t **out);
/* As mp_queue_close, and free it. Nobody else is in a call. */
mp_rc_t mpx_away_close(mpx_away_t **self, int timeout_ms);
/* Free it as it is. */
void mpx_away_free(mpx_away_t **self);

/* As in mp/queue.h. */
mp_rc_t mpx_away_put(mpx_away_t *self, uint32_t kind, mp_bytes_t bytes, int timeout_ms);
mp_rc_t mpx_away_flush(mpx_away_t *self, int timeout_ms);
mp_rc_t mpx_away_unacknowledged(mpx_away_t *self, mp_item_t *out);
mp_rc_t mpx_away_get(mpx_away_t *self, const mpx_wanted_t *wanted, int timeout_ms);
mp_rc_t mpx_away_settle(mpx_away_t *self, size_t count);
mp_rc_t mpx_away_give_back(mpx_away_t *self);
mp_rc_t mpx_away_task_done(mpx_away_t *self);
mp_rc_t mpx_away_join(mpx_away_t *self, int timeout_ms);
mp_rc_t mpx_away_stat(mpx_away_t *self, mp_queue_stat_t *out, int timeout_ms);
mp_rc_t mpx_away_watch(mpx_away_t *self, bool *ready, int *fd);
/* Whether it ended because it was never reached: a new one may do better. */
bool mpx_away_was_never_reached(mpx_away_t *self);

#endif
