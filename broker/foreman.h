/* foreman.h: what clients have done to workers: to be sent home, to be given modules.
 *
 *     client --DISMISS--> broker --DISMISS--> the worker of that name
 *            <--DISMISSED--
 *
 *     client --SHIP--> broker --SHIP--> each worker that takes modules
 *            <--FETCH--       <--FETCH--
 *            --PIECE-->       --PIECE-->          as often as it takes
 *            <--SHIPPED--     <--SHIPPED--
 *
 * Nothing of a module is kept here: a worker fetches one piece at a time, which is passed on. What
 * a client has shipped is offered to workers that join later as well, as long as the client is
 * there.
 */
#ifndef MPX_FOREMAN_H
#define MPX_FOREMAN_H

#include "log.h"
#include "peer.h"
#include "wire.h"

typedef struct mpx_foreman mpx_foreman_t;

typedef enum mpx_wish { MPX_WISH_SHIP, MPX_WISH_DISMISS } mpx_wish_t;

typedef struct mpx_foreman_options {
    mpx_peer_t *const *peers;
    mpx_log_t *log;
    void (*send)(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);
    /* Whether this client may; if not, mp_errmsg() says why. */
    bool (*may)(const mpx_peer_t *client, mpx_wish_t wish);
} mpx_foreman_options_t;

/* MP_OK; MP_ENOMEM. */
mp_rc_t mpx_foreman_new(const mpx_foreman_options_t *options, mpx_foreman_t **out);
void mpx_foreman_destroy(mpx_foreman_t **self);

/* Whether such a message is for the foreman. */
bool mpx_foreman_takes(mpx_op_t op);
/* DISMISS, SHIP or PIECE of a client. MP_OK; MP_EPROTO with mp_errmsg(); MP_ENOMEM. */
mp_rc_t mpx_foreman_client(mpx_foreman_t *self, mpx_peer_t *client, const mpx_header_t *header,
                           mp_bytes_t payload);
/* FETCH or SHIPPED of a worker. The same. */
mp_rc_t mpx_foreman_worker(mpx_foreman_t *self, mpx_peer_t *worker, const mpx_header_t *header,
                           mp_bytes_t payload);
/* It is ready to be told what there is. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_foreman_joined(mpx_foreman_t *self, mpx_peer_t *worker);
/* A client or worker is gone. */
void mpx_foreman_gone(mpx_foreman_t *self, const mpx_peer_t *peer);

#endif
