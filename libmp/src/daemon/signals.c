#include "signals.h"

#include "fault.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

mp_rc_t mpx_signals_open(int *fd)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    int made = sigprocmask(SIG_BLOCK, &stops, NULL) == 0
                   ? signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK)
                   : -1;
    if (made < 0)
        return mpx_fault_errno("a descriptor for signals");
    *fd = made;
    return MP_OK;
}
