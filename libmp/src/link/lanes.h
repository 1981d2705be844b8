/* lanes.h: the peers of a link that are on this host, and go through shared memory.
 *
 * A hub on an ipc endpoint also has a door: a socket in the abstract namespace, whose name is
 * derived from the endpoint's socket file, so that it is found exactly by who can see the file.
 * Who dials knocks there first, with the descriptors of a lane; what comes out of the lane is
 * the same frames that ZeroMQ would bring. Where there is no door (another network namespace,
 * lanes switched off), ZeroMQ goes on as if nothing had been. Both sides look at the other's
 * user id: the abstract namespace belongs to everybody.
 *
 * A record is the head's bytes, the payload's, and the head's length in four bytes.
 */
#ifndef MPX_LANES_H
#define MPX_LANES_H

#include "lane.h"
#include "link.h"

typedef struct mpx_lanes mpx_lanes_t;

typedef struct mpx_lanes_options {
    size_t max_peers; /* 0: of a dial */
    size_t max_message_bytes;
    size_t max_behind; /* messages that wait for room; 0: no bound */
    int64_t linger_ns; /* see link.h */
} mpx_lanes_options_t;

/* Ids of peers are counted up in *last_peer. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lanes_new(const mpx_lanes_options_t *options, uint64_t *last_peer, mpx_lanes_t **out);
/* NULL-safe, idempotent. In a forked child nothing is told to the peers. */
void mpx_lanes_destroy(mpx_lanes_t **self);

/* Open the door of an ipc endpoint that is bound. MP_OK; MP_EEXIST; MP_ESYSTEM. */
mp_rc_t mpx_lanes_open_door(mpx_lanes_t *self, const char *endpoint);
/* Knock at an endpoint's door, and have a lane: NULL, there is none. */
mpx_lane_t *mpx_lanes_knock(const char *endpoint, size_t ring_bytes);

/* Who knocks may also ask for a descriptor: `find` says which (-1: none); it is sent, and
 * closed here. */
typedef int mpx_lanes_find_t(void *arg, uint64_t ticket, uint64_t secret);
void mpx_lanes_lend(mpx_lanes_t *self, mpx_lanes_find_t *find, void *arg);
/* Ask at an endpoint's door. MP_OK; MP_ENOTFOUND; MP_ETIMEDOUT; MP_ESYSTEM. */
mp_rc_t mpx_lanes_fetch(const char *endpoint, uint64_t ticket, uint64_t secret, int64_t deadline,
                        int *fd);

/* Take a lane over as a peer; NULL id: the one of a dial. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lanes_adopt(mpx_lanes_t *self, mpx_lane_t *lane, uint64_t *id);
/* The opposite: a peer's lane; NULL: no such peer. The frames of the last event are invalid. */
mpx_lane_t *mpx_lanes_release(mpx_lanes_t *self, uint64_t id);

/* As in link.h. */
mp_rc_t mpx_lanes_next(mpx_lanes_t *self, mpx_link_event_t *out);
/* Peers of a hub ring only once this was false, and those that were heard within linger_ns make it
 * true: so while the hub is busy with other things neither side makes a system call. */
bool mpx_lanes_ready(mpx_lanes_t *self);
bool mpx_lanes_asleep(const mpx_lanes_t *self);
/* Of a dial: whether the ring had no room yet for some of what was sent. */
bool mpx_lanes_behind(const mpx_lanes_t *self);
/* Of one that is behind: send what there is room for now, and leave all else as it is: what came,
 * and who is told of it. false: there was room for nothing. */
bool mpx_lanes_push(mpx_lanes_t *self);
bool mpx_lanes_linger(mpx_lanes_t *self, int64_t until);
bool mpx_lanes_nap(mpx_lanes_t *self, int64_t until);
void mpx_lanes_disturb(mpx_lanes_t *self);
void mpx_lanes_hush(mpx_lanes_t *self, bool on);
int mpx_lanes_fd(const mpx_lanes_t *self);
bool mpx_lanes_has(const mpx_lanes_t *self, uint64_t id);
mp_rc_t mpx_lanes_send(mpx_lanes_t *self, uint64_t id, mp_bytes_t head, mp_bytes_t payload);
void mpx_lanes_kick(mpx_lanes_t *self, uint64_t id);
size_t mpx_lanes_peers(const mpx_lanes_t *self);

#endif
