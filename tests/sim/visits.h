/* visits.h: what a client does with jobs that the broker keeps: it makes some, comes back to some,
 * takes outcomes, leaves. By pool/deposit.c, whose waits are over at once here. */
#ifndef SIM_VISITS_H
#define SIM_VISITS_H

#include "backend.h"
#include "world.h"

typedef struct visits visits_t;

visits_t *visits_new(proc_t *proc, mpx_backend_t *backend, unsigned keeps);
/* Go on with each. */
void visits_act(visits_t *self);
/* Whether there is nothing to be done, from here on. */
bool visits_are_over(const visits_t *self);
void visits_free(visits_t *self);

#endif
