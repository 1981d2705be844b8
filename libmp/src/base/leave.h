/* leave.h: what is left to do when this process ends by its own will.
 *
 * Run once, by exit(3) or by the end of a process of ours, in the order of the stages; not when
 * the process is killed, nor by _exit(2) of a program's own. A forked child inherits the list:
 * each function looks whether what it cares for is this process's.
 */
#ifndef MPX_LEAVE_H
#define MPX_LEAVE_H

#include <mp/error.h>

typedef enum mpx_stage {
    MPX_STAGE_CHILDREN, /* they may still need what we serve */
    MPX_STAGE_FLUSH,    /* what we put into queues elsewhere */
    MPX_STAGE_CLOSE,    /* what we sent on connections */
    MPX_STAGE_SERVICE,  /* what we serve */
    MPX_STAGES
} mpx_stage_t;

/* Again with the same stage: does nothing. Any thread. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_leave_add(mpx_stage_t stage, void (*function)(void));

/* What exit(3) does by itself. */
void mpx_leave(void);

#endif
