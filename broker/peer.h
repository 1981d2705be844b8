/* peer.h: who is connected, and how far the acquaintance has got.
 *
 *     (first message) -> GREETING --HELLO--> CLIENT | WORKER
 *                            |   \--KNOCK--> TENANT      |
 *                            +------- mistake -----------+---> LEAVING --time or DOWN--> gone
 *
 * A peer in LEAVING was told why it must go; it gets a moment to read that, its further
 * messages are ignored, and then its connection is cut.
 */
#ifndef MPX_PEER_H
#define MPX_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef enum mpx_peer_state {
    MPX_PEER_GREETING,
    MPX_PEER_CLIENT,
    MPX_PEER_WORKER,
    MPX_PEER_TENANT, /* a client of objects */
    MPX_PEER_LEAVING,
    MPX_PEER_STATES
} mpx_peer_state_t;

typedef struct mpx_peer {
    uint64_t id; /* the link's number; on the engine, a worker's id */
    mpx_peer_state_t state;
    struct mpx_broker *broker;
    struct mpx_account *account; /* of a client; NULL: it came back by another connection */
    struct mpx_tenant *tenant;   /* of one of objects; NULL: it is over */
    bool said_bye;
    bool over_network;
    bool joined;        /* a worker that the engine knows */
    uint32_t slots;     /* of a worker */
    bool takes_modules; /* the same */
    int64_t leave_at;   /* when a leaving one is cut off */
    char name[128];     /* for logs and errors; clients: host:pid */
    char host[128];
    uint32_t pid;
    bool unlisted;
    UT_hash_handle hh;
} mpx_peer_t;

/* The peer of that number, made if need be; NULL: out of memory. */
mpx_peer_t *mpx_peer_get(mpx_peer_t **peers, uint64_t id);
mpx_peer_t *mpx_peer_find(mpx_peer_t *peers, uint64_t id);
/* Take it off the list and free it. Its relay must be gone. */
void mpx_peer_free(mpx_peer_t **peers, mpx_peer_t *peer);

#endif
