#include "peer.h"

#include "clock.h"
#include "fault.h"

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
    HASH_ADD(hh, *peers, id, sizeof peer->id, peer);
    if (peer->unlisted) {
        free(peer);
        return NULL;
    }
    return peer;
}

bool mpx_peer_may(const mpx_peer_t *self, unsigned roles)
{
    return (self->roles & roles) != 0;
}

mp_rc_t mpx_peer_require(const mpx_peer_t *self, unsigned roles)
{
    char wanted[MPX_ROLES_TEXT], has[MPX_ROLES_TEXT];
    if (mpx_peer_may(self, roles))
        return MP_OK;
    mpx_roles_print(roles & -roles, wanted);
    mpx_roles_print(self->roles, has);
    return mpx_fault(
        MP_EPERM, "the key '%s' lacks the role %s (it has: %s); the broker's list of keys gives it",
        self->key_name, wanted, has);
}

bool mpx_peer_spends(mpx_peer_t *self, int64_t now, uint64_t operations, uint64_t most)
{
    if (now - self->second >= MPX_S) {
        self->second = now;
        self->in_second = 0;
    }
    self->in_second += operations;
    return !most || self->in_second <= most;
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
