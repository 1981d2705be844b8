#include "leave.h"

#include "fault.h"

#include <stdatomic.h>
#include <stdlib.h>

static void (*_Atomic functions[MPX_STAGES])(void);
static atomic_flag installed = ATOMIC_FLAG_INIT;

void mpx_leave(void)
{
    for (int stage = 0; stage < MPX_STAGES; stage++) {
        void (*function)(void) = atomic_exchange(&functions[stage], NULL);
        if (function)
            function();
    }
}

mp_rc_t mpx_leave_add(mpx_stage_t stage, void (*function)(void))
{
    atomic_store(&functions[stage], function);
    if (!atomic_flag_test_and_set(&installed) && atexit(mpx_leave) != 0) {
        atomic_flag_clear(&installed);
        return mpx_fault(MP_ENOMEM, "a handler for this process's exit");
    }
    return MP_OK;
}
