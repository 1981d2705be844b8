/* life.h: which process somebody is, and whether it still lives.
 *
 * A life is a process id and, against its reuse, the time at which that process began:
 * eight bytes, so that shared memory can hold one in a single atomic store.
 */
#ifndef MPX_LIFE_H
#define MPX_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint64_t mpx_life_t; /* 0: nobody */

/* This process. Read once, and again after a fork. Any thread. */
mpx_life_t mpx_life_self(void);

/* Behind mpx_thread_self; 0: not named yet. */
extern _Thread_local uint64_t mpx_thread_named __attribute__((tls_model("initial-exec")));
uint64_t mpx_thread_name(void);

/* The life of a process that can't be reaped meanwhile; 0 when there is none. */
mpx_life_t mpx_life_of(pid_t pid);

static inline pid_t mpx_life_pid(mpx_life_t life)
{
    return (pid_t)(life >> 32);
}

/* Whether it has ended for certain: also as a zombie, and when another process has its
 * number by now. Of nobody: true. Costs three system calls. */
bool mpx_life_gone(mpx_life_t life);

/* A thread of this host, for as long as it lives: never 0, never another's. Asked with every
 * lock that is taken, so it costs no call but the first time. */
static inline uint64_t mpx_thread_self(void)
{
    return mpx_thread_named ? mpx_thread_named : mpx_thread_name();
}

#endif
