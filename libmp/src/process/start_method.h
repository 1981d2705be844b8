/* start_method.h: the settings of a process that its children get from it. */
#ifndef MPX_START_METHOD_H
#define MPX_START_METHOD_H

#include <mp/process.h>

/* The method that the options ask for, never MP_METHOD_DEFAULT. */
mp_method_t mpx_method_of(const mp_process_options_t *options);
/* In a new process: as its parent has it, but it may still choose. */
void mpx_method_inherit(mp_method_t method);
/* The name of the fork server's preload target; "": none. */
const char *mpx_method_preload(void);

#endif
