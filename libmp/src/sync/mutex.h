/* mutex.h: a robust lock in shared memory: who dies with it, loses it.
 *
 * pthread's robust mutex, with deadlines on the monotonic clock: the kernel itself marks it
 * when its holder's thread ends (set_robust_list(2)), so there is nothing to look for.
 */
#ifndef MPX_MUTEX_H
#define MPX_MUTEX_H

#include <mp/error.h>
#include <pthread.h>
#include <stdint.h>

typedef pthread_mutex_t mpx_mutex_t;

/* MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_mutex_init(mpx_mutex_t *self);
/* MP_OK; MP_EOWNERDEAD: locked as well; MP_ETIMEDOUT. */
mp_rc_t mpx_mutex_lock(mpx_mutex_t *self, int64_t deadline);
void mpx_mutex_unlock(mpx_mutex_t *self);

#endif
