/* link.h: frames over ZeroMQ, or over shared memory where the peer is on this host. The only
 * module that sees zmq.h; it knows no message.
 *
 * A link is either a hub (ROUTER, bound to endpoints, many peers) or a dial (DEALER,
 * connected to one endpoint, one peer, once: after it is down, make a new one). A
 * message is one or two frames of bytes.
 *
 * One thread at a time may use a link. None of its functions blocks. What must be
 * known about libzmq 4.3.4 to change this module is in docs/ZEROMQ.md.
 */
#ifndef MPX_LINK_H
#define MPX_LINK_H

#include "curve.h"
#include "lane.h"
#include "zap.h"

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_link mpx_link_t;

#define MPX_ENDPOINT_MAX 256

typedef struct mpx_link_options {
    size_t max_message_bytes; /* of one frame; a peer that sends more is disconnected; 0: 80 MiB */
    size_t max_peers;         /* of a hub; further ones are kicked; 0: 4096 */
    int handshake_ms;         /* for a connection to speak ZeroMQ's protocol; 0: 2500 */
    int heartbeat_ms;         /* tcp only: a peer is down after six to seven of them in silence
                                 (2.4 to 2.8 s); a hub notices in mpx_link_patrol, a
                                 dial while somebody waits; 0: 400 */
    int patience_ms;          /* of a hub, with a peer that isn't trusted; 0: 5000 */
    size_t max_ahead_bytes;   /* of a hub, on tcp: what a trusted peer may have sent of messages
                                 that aren't whole; 0: twice max_message_bytes, and 1 MiB */
    size_t max_flood_bytes;   /* of a hub, on tcp: the same of many small messages; 0: no bound */
    size_t max_behind;        /* of a hub: messages that a peer hasn't read; 0: no bound */
    int linger_us;   /* of a hub: so long after a peer on a lane was heard mpx_link_ready says true,
                        so   that it is looked at again, and need not ring; 0: not at all */
    bool no_lane;    /* ZeroMQ also on one host; as the environment's MP_LANE=off does */
    bool only_lanes; /* hub: on "ipc://@NAME" alone, and no ZeroMQ at all */
    /* NULL: no keys. Else everything that goes over ZeroMQ is encrypted, and a hub asks `admit`
     * about each key that is shown to it, within mpx_link_next. Copied by libzmq. */
    const mpx_curve_t *curve;
    mpx_zap_admit_t *admit;
    void *admit_arg;
} mpx_link_options_t;

/* Whether lanes are not switched off by the environment. */
bool mpx_link_lanes_allowed(void);

/* Check an endpoint: "tcp://host:port", "ipc:///absolute/path" (at most 100 bytes of
 * path) or "ipc://@name" in the abstract namespace, for this user alone. For a hub the host may be
 * '*' and the port '*' or 0, and the only name of a host that it can be bound to is localhost.
 * MP_OK; MP_EINVAL with what is wrong in mp_errmsg(). */
mp_rc_t mpx_endpoint_check(const char *endpoint, bool for_hub);
/* Whether a valid endpoint can be reached from this host only: ipc, 127.0.0.0/8, [::1]
 * or localhost. */
bool mpx_endpoint_is_local(const char *endpoint);

/* Bind a hub. ipc: the socket file gets mode 0600, a live owner's path is refused, a
 * dead one's taken over, and the file removed with the hub.
 * context  a libzmq context of the caller, which outlives the link; NULL: the
 *          process's own, which is made with its first link and ends with its last.
 * MP_OK; MP_EINVAL; MP_EEXIST the address is in use; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_link_listen(void *context, const char *const *endpoints, size_t endpoints_count,
                        const mpx_link_options_t *options, mpx_link_t **out);
/* The endpoint as bound, with the real port; NULL past the last. */
const char *mpx_link_endpoint(const mpx_link_t *self, size_t i);

/* Start to connect a dial. UP or DOWN tells how it went.
 * MP_OK; MP_EINVAL; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_link_dial(void *context, const char *endpoint, const mpx_link_options_t *options,
                      mpx_link_t **out);

/* A dial over a lane that is there already, which it takes over on success. It is up, without
 * an event that says so.
 * MP_OK; MP_ENOMEM. */
mp_rc_t mpx_link_adopt(mpx_lane_t *lane, const mpx_link_options_t *options, mpx_link_t **out);
/* Give its lane up, to be adopted by another process; the link ends.
 * false: it has none, or not now, with a message on the way. */
bool mpx_link_leave(mpx_link_t **self, int fds[2], unsigned *side);
/* Make a hub's peer a dial of its own, which is up; the frames of the last event are invalid.
 * MP_OK; MP_ESTATE it isn't on a lane, or messages for it wait; MP_ENOMEM. */
mp_rc_t mpx_link_detach(mpx_link_t *self, uint64_t peer, mpx_link_t **out);
/* A hub with lanes also hands out descriptors of its process, to who knows a ticket and its
 * secret: `find` is asked during mpx_link_next, and gives one up (-1: none). */
void mpx_link_lend(mpx_link_t *self, int (*find)(void *arg, uint64_t ticket, uint64_t secret),
                   void *arg);
/* Get one, as a copy of ours. MP_OK; MP_ENOTFOUND; MP_ETIMEDOUT; MP_ESYSTEM. */
mp_rc_t mpx_link_fetch(const char *endpoint, uint64_t ticket, uint64_t secret, int64_t deadline,
                       int *fd);
/* "lane", "ipc" or "tcp"; of a hub's peer. */
const char *mpx_link_carrier(const mpx_link_t *self, uint64_t peer);

/* Close. What was sent gets linger_ms to leave (in the background for a foreign context,
 * else also here). NULL-safe, idempotent. In a forked child nothing of ZeroMQ is touched. */
void mpx_link_destroy(mpx_link_t **self, int linger_ms);

typedef enum mpx_link_event_kind {
    MPX_LINK_UP,      /* dial: connected, handshake done. A hub's peer is new with its
                         first message: there is no UP for it */
    MPX_LINK_MESSAGE, /* from `peer` (0 for a dial) */
    MPX_LINK_DOWN     /* the peer is gone, or for a dial: it could not be reached. Once for
                         each peer of which a message was handed out; last event of a dial */
} mpx_link_event_kind_t;

/* What went wrong with a dial, mostly between its key and its hub. */
typedef enum mpx_link_trouble {
    MPX_TROUBLE_NONE,
    MPX_TROUBLE_NO_HOST,     /* it hasn't to do with keys: the host's name has no address */
    MPX_TROUBLE_NO_KEY,      /* the hub wants a key */
    MPX_TROUBLE_UNASKED_KEY, /* the hub has no keys */
    MPX_TROUBLE_REFUSED_KEY, /* the hub doesn't admit this one */
    MPX_TROUBLE_HANDSHAKE /* it hung up meanwhile: it may be another one, or no hub at all, or have
                             been the first to see that only one side has keys */
} mpx_link_trouble_t;

typedef struct mpx_link_event {
    mpx_link_event_kind_t kind;
    uint64_t peer;        /* hub: the link's number for it, never 0 nor reused */
    mp_bytes_t frames[2]; /* valid until the next mpx_link_next */
    size_t frames_count;
    const char *address; /* hub, first message: the peer's IP, or "local:PID" for ipc */
    const char *user;    /* hub with keys, first message over ZeroMQ: the peer's; else NULL */
    mp_rc_t rc;          /* DOWN: MP_EOF closed, MP_ECONNECT never reached or no
                            ZeroMQ peer, MP_EPROTO kicked for its framing, MP_EAUTH one of the
                            three troubles with a key */
    mpx_link_trouble_t trouble; /* DOWN of a dial that was never up */
    bool silent;                /* DOWN with MP_EOF: we gave it up, as it said nothing any more */
} mpx_link_event_t;

/* The next event; MP_EBUSY when there is none now; MP_ENOMEM.
 * An encrypted payload may have come in several frames, each of 128 KiB but the last; other
 * messages with more than two cost the peer its connection. */
mp_rc_t mpx_link_next(mpx_link_t *self, mpx_link_event_t *out);

/* A descriptor for poll: readable when mpx_link_next may have something. Edge rule of
 * ZeroMQ: before sleeping on it, mpx_link_ready must have said false after the last
 * mpx_link_next and mpx_link_send. */
int mpx_link_fd(const mpx_link_t *self);
bool mpx_link_ready(mpx_link_t *self);
/* Of a dial on a lane: it has announced that it sleeps, so that the descriptor is readable as soon
 * as there is anything, and mpx_link_next need not be asked before. */
bool mpx_link_asleep(const mpx_link_t *self);
/* Of a dial on a lane: it holds some of what was sent, and goes on with it only in mpx_link_next.
 */
bool mpx_link_behind(const mpx_link_t *self);
/* Of one that is behind: send what there is room for now, and leave all else as it is, so that who
 * sleeps on the descriptor is told of all that comes. false: there was room for nothing. */
bool mpx_link_push(mpx_link_t *self);
/* Of one that is asleep: look for a while whether something comes, before the descriptor is slept
 * on. true: something is there. */
bool mpx_link_linger(mpx_link_t *self, int64_t until);

/* Of one that is asleep and not behind: sleep until something is there (true), or that time
 * (false). It is a cheaper sleep than on the descriptor, if the hub can give it; if not, it is over
 * at once, and if the hub has died, not before its time: so not for long. Another thread may send
 * meanwhile. */
bool mpx_link_nap(mpx_link_t *self, int64_t until);
/* For another thread: end a nap, with false. Seldom too early to be noticed. */
void mpx_link_disturb(mpx_link_t *self);
/* Of a hub: while on, peers on lanes that get something and nap are woken together: when nothing
 * more is there to be read, after some time, and with `off`. */
void mpx_link_hush(mpx_link_t *self, bool on);

/* Send one message: `head`, and `payload` as a second frame unless that is empty (NULL
 * data or no bytes). Both are copied. Never blocks: what the peer doesn't take yet is queued, so
 * the caller must bound what it sends by credit; one that is max_behind is kicked. MP_OK;
 * MP_ECLOSED the peer is gone (its DOWN follows or was there); MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_link_send(mpx_link_t *self, uint64_t peer, mp_bytes_t head, mp_bytes_t payload);

/* End a hub's connection with a peer; its DOWN follows. */
void mpx_link_kick(mpx_link_t *self, uint64_t peer);

/* Who comes to a hub is a stranger, and must be trusted before its patience ends; and may be
 * made a stranger again, who should go by himself. Those on lanes are of this user, and no
 * strangers. */
void mpx_link_trust(mpx_link_t *self, uint64_t peer, bool trusted);
/* Shut down the connections of strangers who have taken too long, of peers whose messages
 * don't end, and of those who are silent. Cheap before its time has come; returns when that is
 * (MPX_NEVER: nobody is there). */
int64_t mpx_link_patrol(mpx_link_t *self, int64_t now);

/* Connections to a hub that ended before their handshake was done, since it listens. */
uint64_t mpx_link_failed_handshakes(const mpx_link_t *self);

/* Peers that are connected to a hub. */
size_t mpx_link_peers(const mpx_link_t *self);

#endif
