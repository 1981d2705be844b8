/* fresh.h: a nursery in this program executed anew: its executors have nothing of this process's
 * memory. */
#ifndef MPX_FRESH_H
#define MPX_FRESH_H

#include "crew.h"
#include <sys/types.h>

/* Start it, with its end of the control socket.
 * MP_OK; MP_ESTATE the program has no MP_MAIN; MP_EUNPASSABLE an initializer that isn't a function
 * of the program itself, or has an argument, or a descriptor for stdout; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_fresh_start(const mpx_crew_options_t *options, int control, pid_t *pid);

/* In the new process: what it was told. Valid for as long as the item. false: that is damaged. */
bool mpx_fresh_read(const void *item, size_t size, mpx_crew_options_t *out);

#endif
