/* owner.h: a queue in the process that made it: its core, its entries, and the calls of the
 * process's own threads, which work on the core directly, under the service's lock.
 */
#ifndef MPX_OWNER_H
#define MPX_OWNER_H

#include "fifo.h"
#include "hub.h"
#include "wanted.h"

#include <mp/queue.h>
#include <pthread.h>

enum {
    MPX_WINDOW_ITEMS = 1024,
    MPX_WINDOW_BYTES = 1 << 20,
    MPX_MESSAGE_SLACK = 64 * 1024 + 4096, /* greetings, heads */
    MPX_AHEAD_SLACK = 4 << 20,
    MPX_SMALL_MAXSIZE = 1024 /* up to that each put waits for its place */
};

typedef struct mpx_owner mpx_owner_t;

/* What the owner needs to know; bytes and counts with their defaults filled in. */
typedef struct mpx_owner_options {
    mp_queue_options_t queue;
    uint64_t id;
    uint64_t secret;
    const mpx_key_t *key; /* of the queue's own endpoint; stays where it is */
    mpx_hub_t *reception;
} mpx_owner_options_t;

/* All with the service's lock held, but for new and destroy, which take it. */
mp_rc_t mpx_owner_new(const mpx_owner_options_t *options, mpx_owner_t **out);
void mpx_owner_destroy(mpx_owner_t **self);
/* As bound; NULL: it has no endpoint of its own. */
const char *mpx_owner_endpoint(const mpx_owner_t *self);

/* These take the lock. As in mp/queue.h. */
mp_rc_t mpx_owner_put(mpx_owner_t *self, uint32_t kind, mp_bytes_t bytes, int timeout_ms);
mp_rc_t mpx_owner_get(mpx_owner_t *self, const mpx_wanted_t *wanted, int timeout_ms);
mp_rc_t mpx_owner_settle(mpx_owner_t *self, size_t count);
mp_rc_t mpx_owner_give_back(mpx_owner_t *self);
mp_rc_t mpx_owner_task_done(mpx_owner_t *self);
mp_rc_t mpx_owner_join(mpx_owner_t *self, int timeout_ms);
void mpx_owner_stat(mpx_owner_t *self, mp_queue_stat_t *out);
/* Whether a get would return at once; if not, `fd` becomes readable when it may. */
mp_rc_t mpx_owner_watch(mpx_owner_t *self, bool *ready, int *fd);
/* The program's own part in it ends; it goes on to serve the others. */
void mpx_owner_leave(mpx_owner_t *self);

#endif
