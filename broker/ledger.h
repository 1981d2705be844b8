/* ledger.h: the sessions of all clients, also of those that are gone for a moment.
 *
 * With a store, a session outlives its connection for session_ms, and the process: what was
 * committed is there again after the start. One commit a turn is shared with the objects
 * (keeper.h):
 *
 *     messages ... mpx_ledger_flush, commit, mpx_ledger_settle
 */
#ifndef MPX_LEDGER_H
#define MPX_LEDGER_H

#include "account.h"
#include "log.h"
#include "peer.h"
#include "wire.h"

typedef struct mpx_ledger mpx_ledger_t;

typedef struct mpx_ledger_options {
    mpx_engine_t *engine;
    mpx_store_t *store;        /* NULL: a session ends with its connection */
    mpx_relay_options_t relay; /* but for where it sends to */
    int session_ms;            /* how long one waits for its client */
    uint32_t max_sessions;     /* more only if all have a connection */
    mpx_log_t *log;
    mp_rc_t (*send)(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);
} mpx_ledger_options_t;

/* MP_OK; MP_ECORRUPT what is in the store doesn't fit; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_ledger_new(const mpx_ledger_options_t *options, int64_t now, mpx_ledger_t **out);
/* What is in the store stays there. NULL-safe, idempotent. */
void mpx_ledger_destroy(mpx_ledger_t **self);

/* A client says HELLO: its session is peer->account from here on. Fills in what WELCOME says of it.
 * replaced  who had the session until now, and has lost it; or NULL
 * MP_OK; MP_EPROTO it must go; MP_ENOMEM. */
mp_rc_t mpx_ledger_let_in(mpx_ledger_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_hello_t *hello, mpx_welcome_t *welcome, mpx_peer_t **replaced);
/* Its connection ends; for_good: and so does its session. */
void mpx_ledger_gone(mpx_ledger_t *self, int64_t now, mpx_peer_t *peer, bool for_good);

/* Send or put down what was gathered; end sessions whose time is over. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_ledger_flush(mpx_ledger_t *self, int64_t now);
/* What was put down is committed (MP_OK), or is not: send what may be told. */
void mpx_ledger_settle(mpx_ledger_t *self, int64_t now, mp_rc_t rc);
/* When mpx_ledger_flush has something to do. */
int64_t mpx_ledger_deadline(const mpx_ledger_t *self);

/* From now on refuse OPEN with MP_EDRAINING. */
void mpx_ledger_drain(mpx_ledger_t *self);
/* The first account, of a list by ->next; those whose relay is NULL are over. */
const mpx_account_t *mpx_ledger_accounts(const mpx_ledger_t *self);
/* Of clients that are connected, jobs that are open. */
uint64_t mpx_ledger_open_jobs(const mpx_ledger_t *self);

#endif
