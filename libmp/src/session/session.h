/* session.h: this process's connection to a broker, as client or as worker.
 *
 *              +--------------------- back-off passed ---------------------+
 *              v                                                           |
 *     --> connecting --UP--> greeting --WELCOME--> ready --DOWN--> waiting-+
 *              |                |                    |
 *              +----- DOWN -----+---> waiting        +-- BYE, ERROR --> failed or waiting
 *
 * Each attempt is a new socket: nothing is queued into nowhere, nothing is sent twice.
 *
 * With `keep`, and a broker that is `durable`, a connection that breaks is AWAY instead: what is
 * sent meanwhile is noted, and with BACK both sides have sent again what the other had not, so that
 * the caller's jobs go on as if nothing had been. Where the broker doesn't know the session any
 * more it is LOST after all.
 *
 * Reconnects back off from 50 ms to 2 s with jitter. When give_up_ms pass without
 * `ready`, or the broker refuses for good (MP_EVERSION, MP_EPERM, MP_EAUTH), the session fails and
 * says so; a client's caller then ends its calls. A worker that was `ready` before isn't turned
 * away by MP_EPERM and MP_EAUTH, not even while it is connected: its key may come back.
 * MP_EDRAINING turns a client away that never was `ready`; others wait for the next broker.
 *
 * One thread at a time. No function blocks.
 */
#ifndef MPX_SESSION_H
#define MPX_SESSION_H

#include "wire.h"
#include <mp/error.h>

typedef struct mpx_session mpx_session_t;

typedef struct mpx_session_options {
    const char *endpoint;
    const char *key_file;     /* a certificate to show; NULL: MP_KEY_FILE's, if any; copied */
    const mpx_hello_t *hello; /* copied; versions, software, host and pid are filled in */
    int give_up_ms;           /* to become ready, at first and after each loss; -1: never */
    bool by_hand;             /* MP_ECONNECT at once where the endpoint's host has no address */
    bool keep;                /* a client that would go on after a loss; `hello` has no tasks */
} mpx_session_options_t;

/* MP_OK; MP_EINVAL; MP_ENOTFOUND, MP_EPERM the certificate; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_session_new(const mpx_session_options_t *options, int64_t now, mpx_session_t **out);
/* Say this instead, from the next connection on; of a session without `keep`.
 * MP_OK; MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_session_set_hello(mpx_session_t *self, const mpx_hello_t *hello);
/* Says BYE if it can. NULL-safe, idempotent. */
void mpx_session_destroy(mpx_session_t **self);

typedef enum mpx_session_event_kind {
    MPX_SESSION_UP,      /* ready; `welcome` says what the broker allows */
    MPX_SESSION_MESSAGE, /* any message but those of the greeting */
    MPX_SESSION_LOST,    /* was ready and no longer is; it reconnects by itself */
    MPX_SESSION_AWAY,    /* the same, but jobs and chunks stay what they are; with `keep` only */
    MPX_SESSION_BACK,    /* ready again, as it was before AWAY; `welcome` */
    MPX_SESSION_FAILED   /* the last event: rc and mpx_session_problem say why */
} mpx_session_event_kind_t;

typedef struct mpx_session_event {
    mpx_session_event_kind_t kind;
    mp_rc_t rc;                   /* LOST: MP_EBROKERLOST, MP_EDRAINING, or what the broker said
                                     before it cut the connection; FAILED: MP_ECONNECT,
                                     MP_EVERSION, MP_EPERM, MP_EAUTH, MP_EPROTO, MP_EDRAINING,
                                     MP_ELIMIT */
    const mpx_welcome_t *welcome; /* UP, BACK */
    mpx_header_t header;          /* MESSAGE; bytes valid until the next call */
    mp_bytes_t payload;
} mpx_session_event_t;

/* The next event; MP_EBUSY when there is none now; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_session_next(mpx_session_t *self, int64_t now, mpx_session_event_t *out);

/* For poll; stays the same across reconnects. The edge rule of mpx_link_fd holds, with
 * mpx_session_ready. */
int mpx_session_fd(const mpx_session_t *self);
bool mpx_session_ready(mpx_session_t *self);
/* When mpx_session_next is due even if nothing is readable; MPX_NEVER: not at all. */
int64_t mpx_session_deadline(const mpx_session_t *self);

/* AWAY, an OPEN, SUBMIT, CANCEL or CLOSE is noted. An ACK covers all messages that were had.
 * MP_OK; MP_ECLOSED not ready (nothing was sent); MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_session_send(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload);

/* Why the last attempt failed or the connection was lost, for people: names the endpoint
 * and the cure. Never NULL. */
const char *mpx_session_problem(const mpx_session_t *self);

#endif
