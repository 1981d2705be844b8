/* forkguard.h: descriptors that must not live on in a forked child.
 *
 * A child that the program forks inherits our descriptors, and as long as it holds
 * a copy nobody at the other end can see that this process has died. Descriptors
 * registered here are closed in every forked child (pthread_atfork), before the
 * child's own code runs. O_CLOEXEC covers exec.
 */
#ifndef MPX_FORKGUARD_H
#define MPX_FORKGUARD_H

#include <mp/error.h>
#include <stdint.h>

/* Register, and forget before closing. Any thread. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_forkguard_add(int fd);
void mpx_forkguard_remove(int fd);

/* Counts the forks between the first process and this one; a handle that remembers
 * another number was made in another process. */
uint64_t mpx_fork_generation(void);

#endif
