/* link_private.h: a link, as link.c (its life) and traffic.c (its messages) see it. */
#ifndef MPX_LINK_PRIVATE_H
#define MPX_LINK_PRIVATE_H

#include "buf.h"
#include "ipc.h"
#include "lanes.h"
#include "link.h"
#include "pulse.h"
#include "sentry.h"

#include <string.h>
#include <sys/types.h>
#include <zmq.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* libzmq makes identities of five bytes; nobody else can set one that we would accept. */
enum {
    IDENTITY_MAX = 32,
    ENDPOINTS_MAX = 16,
    SPARE_DESCRIPTORS = 32,
    STRAYS = 16,
    STRANGERS_MAX = 512,
    PIECE_BYTES = 128 << 10, /* of a payload, in a frame */
    BURST = 32,              /* messages, until the other side of a hub is asked, and the news */
    LANE_RING_BYTES = 1 << 20
};

/* One connection of a hub, since its first message. */
typedef struct peer {
    uint64_t id;
    unsigned char identity[IDENTITY_MAX];
    size_t identity_size;
    int fd;
    ino_t inode; /* of the socket that had this number then */
    bool kicked;
    bool local; /* over ipc */
    bool silent;
    bool gone; /* in `down`; what it had sent before is handed out first */
    bool unlisted;
    struct peer *prev, *next; /* in `down`: to be told */
    UT_hash_handle hh;        /* by identity */
    UT_hash_handle by_id;
} peer_t;

typedef enum dial_state { DIALLING, GREETED, UP, LOST, TOLD } dial_state_t;

struct mpx_link {
    void *context;
    uint64_t generation;
    void *socket; /* NULL: lanes alone */
    void *monitor;
    void *zap; /* of a hub with keys; else NULL */
    int monitor_fd;
    int zap_fd;
    uint64_t failed_handshakes;
    mpx_lanes_t *lanes;   /* NULL: ZeroMQ alone */
    mpx_sentry_t *sentry; /* of a hub with a socket */
    int epoll;
    bool own_context;
    bool is_hub;
    bool has_curve;
    bool listening;
    bool connected; /* a dial: there was somebody, whatever he speaks */
    bool quiet;     /* ZeroMQ had nothing, and nothing was sent over it since */
    bool on_lanes;  /* of a hub with both: whose turn it is */
    int burst;      /* messages in this turn */
    mpx_link_options_t options;
    char endpoints[ENDPOINTS_MAX][MPX_ENDPOINT_MAX];
    mpx_ipc_t ipc[ENDPOINTS_MAX];
    size_t endpoints_count;
    peer_t *peers; /* hub, by identity */
    peer_t *peers_by_id;
    peer_t *down; /* hub: gone, to be told */
    uint64_t last_peer;
    int strays[STRAYS]; /* connections that went before a message of theirs was read */
    unsigned last_stray;
    dial_state_t dial;
    mp_rc_t down_rc;
    mpx_link_trouble_t trouble;
    int dial_fd; /* on the fork guard's list; -1: none */
    ino_t dial_inode;
    int beat_fd;         /* a dial's timer, on tcp; else -1 */
    mpx_pulse_t pulse;   /* of a dial's hub */
    bool silent;         /* a dial's hub, and it was given up for that */
    zmq_msg_t frames[2]; /* handed out last */
    size_t frames_count;
    mpx_buf_t joined; /* the second one, if it came in pieces */
    size_t frames_wire_bytes;
    char address[128];
    char user[MPX_CURVE_TEXT + 1];
};

static inline bool mpx_link_is_ipc(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0;
}

/* What a hub binds: libzmq takes no names of hosts there, and localhost is 127.0.0.1. */
void mpx_endpoint_address(const char *endpoint, char out[MPX_ENDPOINT_MAX]);

void mpx_link_forget_frames(mpx_link_t *self);
void mpx_link_forget_dial_fd(mpx_link_t *self);
void mpx_link_free_peers(mpx_link_t *self);

#endif
