#include "signals.h"

#include "fault.h"
#include "forkguard.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

static mp_rc_t open_for(const sigset_t *signals, int *fd)
{
    int made = sigprocmask(SIG_BLOCK, signals, NULL) == 0
                   ? signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK)
                   : -1;
    if (made < 0)
        return mpx_fault_errno("a descriptor for signals");
    *fd = made;
    return mpx_forkguard_add(made);
}

mp_rc_t mpx_signals_open(int *fd)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    return open_for(&stops, fd);
}

mp_rc_t mpx_signals_open_reload(int *fd)
{
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    return open_for(&reload, fd);
}
