/* keeper.h: the broker as Manager: it keeps the objects of all who come, and, with a data
 * directory, makes last what it acknowledges.
 *
 * Operations are carried out as they come; what they have changed is committed when all that was
 * there has been read, and only then answered: so many writers share a commit.
 */
#ifndef MPX_KEEPER_H
#define MPX_KEEPER_H

#include "log.h"
#include "peer.h"
#include "space.h"
#include "store.h"
#include "wire.h"

typedef struct mpx_keeper mpx_keeper_t;

typedef struct mpx_keeper_options {
    const char *data;  /* directory; NULL: in memory only */
    const char *types; /* a module with custom types; NULL: none */
    int lease_ms;
    uint64_t max_bytes; /* of all objects */
    mpx_log_t *log;
    void (*committed)(void *arg, mp_rc_t rc, int64_t ns); /* what a commit took */
    void *committed_arg;
} mpx_keeper_options_t;

/* MP_OK; MP_EBUSY another process has the directory; MP_EVERSION, MP_ECORRUPT it can't be read;
 * MP_EMODULE; MP_ENOSPACE; MP_EPERM; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_keeper_new(const mpx_keeper_options_t *options, mpx_keeper_t **out);
void mpx_keeper_destroy(mpx_keeper_t **self);

/* Somebody knocks: MP_OK, and what it is to be told; why it is refused. */
mp_rc_t mpx_keeper_let_in(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_knock_t *knock, mpx_admit_t *out);
/* MP_OK; a mistake that costs it the connection. */
mp_rc_t mpx_keeper_message(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer,
                           const mpx_header_t *header, mp_bytes_t payload);
/* What its key lets it do with objects has changed. */
void mpx_keeper_restrict(mpx_keeper_t *self, mpx_peer_t *peer);
/* Its connection has ended.
 * said_so    it said goodbye
 * may_return it came over a network: it may come back */
void mpx_keeper_gone(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer, bool said_so,
                     bool may_return);

/* Whether there is something to commit, but more should be read before. */
bool mpx_keeper_wants_more(const mpx_keeper_t *self);
int64_t mpx_keeper_deadline(const mpx_keeper_t *self);
/* The store that it has, to be used by others too: what they put there is committed by
 * mpx_keeper_settle. NULL: in memory only. */
mpx_store_t *mpx_keeper_store(const mpx_keeper_t *self);
/* Do what is due, commit, and hand out what is to be sent. over: it must go, with this code. What
 * became of what was put into the store before. */
mp_rc_t mpx_keeper_settle(mpx_keeper_t *self, int64_t now,
                          void (*send)(mpx_peer_t *peer, const mpx_header_t *header,
                                       mp_bytes_t payload),
                          void (*over)(mpx_peer_t *peer, mp_rc_t why));

void mpx_keeper_count(const mpx_keeper_t *self, mpx_space_counts_t *out);

#endif
