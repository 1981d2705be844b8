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

/* Of a loop that looks again and again: let the processor's other half work. */
static inline void mpx_mutex_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* What is left to do when a first try gave that errno. */
mp_rc_t mpx_mutex_lock_after(mpx_mutex_t *self, int error, int64_t deadline);

/* MP_OK; MP_EOWNERDEAD: locked as well; MP_ETIMEDOUT. */
static inline mp_rc_t mpx_mutex_lock(mpx_mutex_t *self, int64_t deadline)
{
    int error = pthread_mutex_trylock(self);
    return error ? mpx_mutex_lock_after(self, error, deadline) : MP_OK;
}

static inline void mpx_mutex_unlock(mpx_mutex_t *self)
{
    pthread_mutex_unlock(self);
}

#endif
