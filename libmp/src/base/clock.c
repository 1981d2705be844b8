#include "clock.h"

#include <limits.h>
#include <time.h>

int64_t mpx_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * MPX_S + now.tv_nsec;
}

int64_t mpx_deadline(int64_t now, int timeout_ms)
{
    if (timeout_ms < 0)
        return MPX_NEVER;
    int64_t span = timeout_ms * MPX_MS;
    return now > MPX_NEVER - span ? MPX_NEVER : now + span;
}

int mpx_poll_ms(int64_t now, int64_t deadline)
{
    if (deadline == MPX_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    int64_t left = (deadline - now) / MPX_MS + ((deadline - now) % MPX_MS != 0);
    return left > INT_MAX ? INT_MAX : (int)left;
}
