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

#include "allow.h"
#include "wire.h"

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
    uint32_t job_handles;        /* on kept jobs */
    uint32_t statuses;           /* a client was told unasked, since it was heard last */
    bool is_behind;              /* and that was enough: it is told when it speaks again */
    bool said_bye;
    bool over_network;
    bool joined;        /* a worker that the engine knows */
    uint32_t slots;     /* of a worker */
    bool takes_modules; /* the same */
    mpx_turnover_t turnover;
    int64_t leave_at; /* when a leaving one is cut off */
    char name[128];   /* for logs and errors; clients: host:pid */
    char host[128];
    uint32_t pid;
    unsigned roles;                      /* bits of MPX_MAY_ */
    char key[MPX_CURVE_TEXT + 1];        /* it came by; "": none */
    char key_name[MPX_KEY_NAME_MAX + 1]; /* on the list; "": it has no key */
    int64_t second;                      /* in which it sent so much: */
    uint64_t in_second;
    bool unlisted;
    UT_hash_handle hh;
} mpx_peer_t;

/* "client", "worker", "tenant"; "" for who is none of these. */
const char *mpx_peer_role(const mpx_peer_t *self);
/* The peer of that number, made if need be; NULL: out of memory. */
mpx_peer_t *mpx_peer_get(mpx_peer_t **peers, uint64_t id);
mpx_peer_t *mpx_peer_find(mpx_peer_t *peers, uint64_t id);
/* Whether it may do one of these (bits of MPX_MAY_): ask with MPX_MAY_ADMIN before anything that
 * shows or changes what is others'. */
bool mpx_peer_may(const mpx_peer_t *self, unsigned roles);
/* The same: MP_OK; MP_EPERM with a text that names its key and the first of the roles. */
mp_rc_t mpx_peer_require(const mpx_peer_t *self, unsigned roles);
/* It does so many operations more. false: that is over `most` in this second. */
bool mpx_peer_spends(mpx_peer_t *self, int64_t now, uint64_t operations, uint64_t most);

/* Take it off the list and free it. Its relay must be gone. */
void mpx_peer_free(mpx_peer_t **peers, mpx_peer_t *peer);

#endif
