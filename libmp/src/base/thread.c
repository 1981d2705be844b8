#include "thread.h"

#include "fault.h"

#include <errno.h>
#include <signal.h>

/* errno, or 0. */
static int start(void *(*run)(void *arg), void *arg, pthread_t *out)
{
    pthread_attr_t attributes;
    sigset_t every, before;
    sigfillset(&every);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int failed = pthread_create(out, &attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

mp_rc_t mpx_thread_start(void *(*run)(void *arg), void *arg, const char *what, pthread_t *out)
{
    errno = start(run, arg, out);
    return errno ? mpx_fault_errno("%s", what) : MP_OK;
}

bool mpx_thread_try(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    return start(run, arg, &thread) == 0;
}
