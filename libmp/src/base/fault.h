/* fault.h: sets the text behind mp_errmsg() and returns the code that goes with it. */
#ifndef MPX_FAULT_H
#define MPX_FAULT_H

#include <mp/error.h>

/* Say what failed, on which object, and the cure: `return mpx_fault(MP_ECONNECT, "%s: …", url);` */
mp_rc_t mpx_fault(mp_rc_t rc, const char *format, ...) MP_PRINTF(2, 3);

/* MP_ESYSTEM (MP_ENOMEM for ENOMEM) with the words for errno appended to the text. */
mp_rc_t mpx_fault_errno(const char *format, ...) MP_PRINTF(1, 2);

#endif
