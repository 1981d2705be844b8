/* serve.h: what mp_worker_run is made of, for a loop of another's.
 *
 * Take all that is there and do what is due with `turn`, and call it again when something has come,
 * and at the deadline at the latest. One thread at a time. Only new and destroy block.
 */
#ifndef MPX_SERVE_H
#define MPX_SERVE_H

#include "workshop.h"

#include <mp/worker.h>

typedef struct mpx_serve mpx_serve_t;

/* options must stay valid. As mp_worker_run. */
mp_rc_t mpx_serve_new(const mp_worker_options_t *options, mpx_serve_t **out);
/* MP_OK; MP_EOF it is over, in order; why it can't go on, as mp_worker_run. */
mp_rc_t mpx_serve_turn(mpx_serve_t *self);
/* Of the engine and the session; MPX_NEVER: none. */
int64_t mpx_serve_deadline(const mpx_serve_t *self);
const mpx_workshop_t *mpx_serve_workshop(const mpx_serve_t *self);
/* As stop_fd readable once: drain, and the second time end at once. */
void mpx_serve_stop(mpx_serve_t *self);
/* NULL-safe, idempotent. */
void mpx_serve_destroy(mpx_serve_t **self);

#endif
