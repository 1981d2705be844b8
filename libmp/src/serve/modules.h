/* modules.h: modules that clients ship to this worker, in a directory of its own.
 *
 *     SHIP --> known here? --yes--> SHIPPED
 *               | in the directory, and its hash is right? --yes--> load
 *               +--> FETCH, PIECE, FETCH, PIECE ... --> hash --> load --> OFFER, SHIPPED
 *
 * A module is a file named by its SHA-256, of a directory that is this user's alone. It is written
 * under another name until all of it is there and its hash is right, so whoever is killed leaves
 * nothing that could be taken for one. It is never opened in this process: executors do that, at
 * first one that is there for nothing else. One after the other; others wait their turn.
 */
#ifndef MPX_MODULES_H
#define MPX_MODULES_H

#include "wire.h"
#include <mp/error.h>

typedef struct mpx_modules mpx_modules_t;

typedef struct mpx_modules_options {
    const char *dir;    /* made if need be, with mode 0700 */
    uint64_t max_bytes; /* of one module; of all in the directory 16 times that */
    void *self;
    /* To the broker. A loss will be told by mpx_modules_lost. */
    mp_rc_t (*send)(void *self, const mpx_header_t *header, mp_bytes_t payload);
    /* Begin to open it; mpx_modules_loaded says how that went. */
    mp_rc_t (*load)(void *self, const char *path);
    void (*stop_loading)(void *self); /* it takes too long */
} mpx_modules_options_t;

/* MP_OK; MP_EINVAL the directory can't be used; MP_ENOMEM. */
mp_rc_t mpx_modules_new(const mpx_modules_options_t *options, mpx_modules_t **out);
void mpx_modules_destroy(mpx_modules_t **self);

/* SHIP, PIECE or SHIPPED of the broker. MP_OK; MP_EPROTO; MP_ENOMEM. */
mp_rc_t mpx_modules_message(mpx_modules_t *self, int64_t now, const mpx_header_t *header,
                            mp_bytes_t payload);
/* The one that was being loaded is; its tasks have been offered. Or it is not: rc, problem. */
void mpx_modules_loaded(mpx_modules_t *self, int64_t now, mp_rc_t rc, const char *problem);
/* The connection is: nobody waits for an answer, nothing more will come. */
void mpx_modules_lost(mpx_modules_t *self);

void mpx_modules_tick(mpx_modules_t *self, int64_t now);
int64_t mpx_modules_deadline(const mpx_modules_t *self);

#endif
