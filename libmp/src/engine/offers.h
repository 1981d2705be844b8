/* offers.h: which tasks the workers offer, and why nobody offers one.
 *
 * A task is known here by a number for its name and signature together. */
#ifndef MPX_OFFERS_H
#define MPX_OFFERS_H

#include "wire.h"
#include <mp/error.h>

typedef struct mpx_offers mpx_offers_t;

mp_rc_t mpx_offers_new(mpx_offers_t **out);
void mpx_offers_destroy(mpx_offers_t **self);

/* The number of a task, made if need be; never 0. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_offers_number(mpx_offers_t *self, const char *name, const char *signature,
                          uint64_t *out);

/* Enter what a worker offers and refuses; numbers, hello->tasks_count of them, is filled.
 * MP_OK; MP_ENOMEM. */
mp_rc_t mpx_offers_join(mpx_offers_t *self, uint64_t worker, const mpx_hello_t *hello,
                        uint64_t *numbers);
void mpx_offers_leave(mpx_offers_t *self, uint64_t worker);

/* Whether a worker offers that very task now. */
bool mpx_offers_has(const mpx_offers_t *self, const char *name, const char *signature);

/* Nobody offers the task: why? Returns MP_ENOWORKER, MP_ESIGNATURE (another signature is
 * offered), MP_EPERM (it is built in, and refused) or MP_ENOTASK, and writes a sentence. */
mp_rc_t mpx_offers_explain(const mpx_offers_t *self, const char *name, const char *signature,
                           char *text, size_t text_size);

/* The names of what a worker offers, up to a NULL, to be freed with free(); they are valid until it
 * leaves. NULL: there is no such worker, or no memory. */
const char **mpx_offers_of(const mpx_offers_t *self, uint64_t worker);
/* The name that is offered now and is most like this one, which is not; NULL: none is much like
 * it. */
const char *mpx_offers_nearest(const mpx_offers_t *self, const char *name);

#endif
