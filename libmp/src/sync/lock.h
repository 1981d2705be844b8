/* lock.h: what Condition needs of a lock beyond its public calls. */
#ifndef MPX_LOCK_H
#define MPX_LOCK_H

#include <mp/sync.h>
#include <stdint.h>

bool mpx_lock_is_mine(const mp_lock_t *self);
/* Release wholly, and how often it was held; only by its holder. */
uint32_t mpx_lock_release_all(mp_lock_t *self);
/* Get it back as often. MP_OK; MP_EOWNERDEAD. */
mp_rc_t mpx_lock_restore(mp_lock_t *self, uint32_t depth);

#endif
