#include "mutex.h"

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <time.h>

mp_rc_t mpx_mutex_init(mpx_mutex_t *self)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0)
        return mpx_fault(MP_ENOMEM, "a lock");
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int error = pthread_mutex_init(self, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return error ? mpx_fault(MP_ESYSTEM, "a lock") : MP_OK;
}

#if defined(__SANITIZE_THREAD__)
#define WITHOUT_CLOCKLOCK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_CLOCKLOCK
#endif
#endif

#ifdef WITHOUT_CLOCKLOCK
/* clang 14's ThreadSanitizer doesn't know pthread_mutex_clocklock and would miss the lock. */
static int lock_timed(mpx_mutex_t *self, int64_t deadline)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t end = until.tv_sec * MPX_S + until.tv_nsec + (deadline - mpx_now());
    until = (struct timespec){.tv_sec = end / MPX_S, .tv_nsec = end % MPX_S};
    return pthread_mutex_timedlock(self, &until);
}
#else
static int lock_timed(mpx_mutex_t *self, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / MPX_S, .tv_nsec = deadline % MPX_S};
    return pthread_mutex_clocklock(self, CLOCK_MONOTONIC, &until);
}
#endif

/* Straight to sleep: tries in a loop were measured, and made four processes on two processors
 * half as fast. */
static int lock_until(mpx_mutex_t *self, int error, int64_t deadline)
{
    if (error != EBUSY)
        return error;
    return deadline == MPX_NEVER ? pthread_mutex_lock(self) : lock_timed(self, deadline);
}

mp_rc_t mpx_mutex_lock_after(mpx_mutex_t *self, int error, int64_t deadline)
{
    switch (lock_until(self, error, deadline)) {
    case 0:
        return MP_OK;
    case EOWNERDEAD:
        pthread_mutex_consistent(self);
        return MP_EOWNERDEAD;
    default:
        return MP_ETIMEDOUT;
    }
}
