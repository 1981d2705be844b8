/* spawned.h: the process that mpx_spawn made: a target, a fork server, or a pool's nursery. */
#ifndef MPX_SPAWNED_H
#define MPX_SPAWNED_H

#include <mp/error.h>
#include <stddef.h>

/* Be the process that was spawned. nursery: what one of a pool's workers does; its control socket
 * is at the descriptor that it is given. MP_OK, with the exit status of the program; MP_ECORRUPT it
 * was not; MP_ENOTFOUND; MP_ENOMEM. */
mp_rc_t mpx_spawned_main(int *status, int (*nursery)(const void *item, size_t size, int control));

#endif
