#include "peer.h"

#include <stdio.h>
#include <stdlib.h>

mpx_peer_t *mpx_peer_find(mpx_peer_t *peers, uint64_t id)
{
    mpx_peer_t *peer = NULL;
    HASH_FIND(hh, peers, &id, sizeof id, peer);
    return peer;
}

mpx_peer_t *mpx_peer_get(mpx_peer_t **peers, uint64_t id)
{
    mpx_peer_t *peer = mpx_peer_find(*peers, id);
    if (peer)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->id = id;
    snprintf(peer->name, sizeof peer->name, "peer %llu", (unsigned long long)id);
    HASH_ADD(hh, *peers, id, sizeof peer->id, peer);
    if (peer->unlisted) {
        free(peer);
        return NULL;
    }
    return peer;
}

void mpx_peer_free(mpx_peer_t **peers, mpx_peer_t *peer)
{
    HASH_DEL(*peers, peer);
    free(peer);
}

const char *mpx_peer_role(const mpx_peer_t *self)
{
    static const char *const roles[MPX_PEER_STATES] = {[MPX_PEER_GREETING] = "",
                                                       [MPX_PEER_CLIENT] = "client",
                                                       [MPX_PEER_WORKER] = "worker",
                                                       [MPX_PEER_TENANT] = "tenant",
                                                       [MPX_PEER_LEAVING] = ""};
    return roles[self->state];
}
