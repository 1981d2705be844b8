#include "now.h"

#include <time.h>

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int left_ms(int64_t since, int ms)
{
    int64_t left = ms - (now_ms() - since);
    return ms < 0 ? ms : left > 0 ? (int)left : 0;
}
