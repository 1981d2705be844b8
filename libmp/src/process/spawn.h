/* spawn.h: this program, executed anew, up to its MP_MAIN. */
#ifndef MPX_SPAWN_H
#define MPX_SPAWN_H

#include "child.h"

/* MP_MAIN has run, in a program of that name: from here on it can be. */
void mpx_spawn_allow(const char *program);
bool mpx_spawn_is_allowed(void);

/* control  a descriptor for the child, at MPX_SPAWN_CONTROL; -1: none
 * MP_OK; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_spawn(const mpx_request_t *request, const void *item, int control, mpx_started_t *out);

/* The argument that says that this was done, and where the child finds what. */
#define MPX_SPAWN_ARGUMENT "--mp-spawned"
enum { MPX_SPAWN_REQUEST = 3, MPX_SPAWN_LIFELINE = 4, MPX_SPAWN_CONTROL = 5 };

#endif
