/* forkguard.h: what must not live on in a forked child, and what must.
 *
 * A child that the program forks inherits our descriptors, and as long as it holds
 * a copy nobody at the other end can see that this process has died. Descriptors
 * registered here are closed in every forked child (pthread_atfork), before the
 * child's own code runs. O_CLOEXEC covers exec.
 */
#ifndef MPX_FORKGUARD_H
#define MPX_FORKGUARD_H

#include <mp/error.h>
#include <pthread.h>
#include <stdint.h>

/* Register, and forget before closing. Any thread. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_forkguard_add(int fd);
void mpx_forkguard_remove(int fd);

/* A lock of a module that may be in use when another thread forks: it is taken before every
 * fork and released after it on both sides, so that the child finds it free and what it guards
 * whole. Whoever holds one must not take another, nor fork. Once for each lock, before its
 * first use; at most 16. */
void mpx_forkguard_hold(pthread_mutex_t *lock);

/* A lock that guards nothing a child goes on with, and may be held for long: in the child it
 * is made anew. The same rules, but its holder may take others, and fork. */
void mpx_forkguard_renew(pthread_mutex_t *lock);

/* Counts the forks between the first process and this one; a handle that remembers
 * another number was made in another process. */
uint64_t mpx_fork_generation(void);
/* Where that number is, for who looks very often. */
const volatile uint64_t *mpx_fork_counter(void);

#endif
