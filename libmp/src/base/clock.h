/* clock.h: monotonic time and deadlines. Inside the library time is int64 nanoseconds. */
#ifndef MPX_CLOCK_H
#define MPX_CLOCK_H

#include <stdint.h>

#define MPX_NEVER INT64_MAX
#define MPX_MS    INT64_C(1000000)
#define MPX_S     INT64_C(1000000000)

/* CLOCK_MONOTONIC. */
int64_t mpx_now(void);

/* The deadline of a wait that starts at now: timeout_ms < 0 is MPX_NEVER. */
int64_t mpx_deadline(int64_t now, int timeout_ms);

/* Milliseconds from now to a deadline for poll(2): rounded up, so that a wait never
 * ends before it; 0 when it passed, -1 for MPX_NEVER. */
int mpx_poll_ms(int64_t now, int64_t deadline);

static inline int64_t mpx_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
