#include "futex.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

mp_rc_t mpx_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / MPX_S, .tv_nsec = deadline % MPX_S};
    long failed = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value,
                          deadline == MPX_NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    return failed && errno == ETIMEDOUT ? MP_ETIMEDOUT : MP_OK;
}

int mpx_futex_wake(_Atomic uint32_t *word, int n)
{
    int before = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
    errno = before;
    return woken > 0 ? (int)woken : 0;
}
