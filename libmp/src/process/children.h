/* children.h: the processes that this one has started and not yet seen the end of. */
#ifndef MPX_CHILDREN_H
#define MPX_CHILDREN_H

#include <mp/process.h>

/* From its start on a child is on the list, which holds it too; and the exit of this process
 * looks after it. MP_OK; MP_ENOMEM atexit has no room. */
mp_rc_t mpx_children_add(mp_process_t *child);
/* NULL-safe in any phase: it has ended, or never began. */
void mpx_children_remove(mp_process_t *child);

/* Whether a child has ended; it is on the list no more then. */
bool mpx_children_reap(mp_process_t *child);

/* The number of the next child, from 1. */
unsigned mpx_children_number(void);

/* At the end of this process: end the daemons, wait for the others. */
void mpx_children_finish(void);
int mpx_children_exit_join_ms(void);

#endif
