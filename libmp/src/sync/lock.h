/* lock.h: what objects that have a lock need of it beyond its public calls. */
#ifndef MPX_LOCK_H
#define MPX_LOCK_H

#include "mutex.h"

#include <mp/sync.h>
#include <stdint.h>

bool mpx_lock_is_mine(const mp_lock_t *self);
/* Release wholly, and how often it was held; only by its holder. */
uint32_t mpx_lock_release_all(mp_lock_t *self);
/* Get it back as often. MP_OK; MP_EOWNERDEAD. */
mp_rc_t mpx_lock_restore(mp_lock_t *self, uint32_t depth);

/* Have run(arg, which) called once the calling thread, which holds the lock, has released it:
 * whoever is woken up then finds it free. False: too many wait for that. */
bool mpx_lock_defer(const mp_lock_t *self, void (*run)(void *arg, uint32_t which), void *arg,
                    uint32_t which);
/* Call those of `arg` now: it is about to go. */
void mpx_lock_run_deferred(const mp_lock_t *self, const void *arg);

/* In shared memory: which lock goes with an object, for who opens that by reference. Written
 * anew with each reference to the object, so that it names a process that lives. */
typedef struct mpx_lock_name {
    mpx_mutex_t mutex;
    mp_ref_t ref;
} mpx_lock_name_t;

/* MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_lock_name_init(mpx_lock_name_t *self);
void mpx_lock_name_write(mpx_lock_name_t *self, const mp_lock_t *lock);
/* As mp_lock_open. */
mp_rc_t mpx_lock_name_open(mpx_lock_name_t *self, mp_lock_t **out);

#endif
