/* spawned.h: the process that mpx_spawn made: a target, or a fork server. */
#ifndef MPX_SPAWNED_H
#define MPX_SPAWNED_H

#include <mp/error.h>

/* Be the process that was spawned.
 * MP_OK, with the exit status of the program; MP_ECORRUPT it was not; MP_ENOTFOUND; MP_ENOMEM. */
mp_rc_t mpx_spawned_main(int *status);

#endif
