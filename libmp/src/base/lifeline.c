#include "lifeline.h"

#include "fault.h"
#include "forkguard.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2] = {-1, -1};
static uint64_t generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

static mp_rc_t make(void)
{
    int made[2];
    if (pipe2(made, O_CLOEXEC) != 0)
        return mpx_fault_errno("the pipe that ties children to this process");
    if (mpx_forkguard_add(made[1]) != MP_OK) {
        close(made[0]);
        close(made[1]);
        return mpx_fault(MP_ENOMEM, "the pipe that ties children to this process");
    }
    if (ends[0] >= 0)
        close(ends[0]); /* the parent's, of which this child needs no further copy */
    ends[0] = made[0];
    ends[1] = made[1];
    generation = mpx_fork_generation();
    return MP_OK;
}

mp_rc_t mpx_lifeline_reader(int *out)
{
    mp_rc_t rc = MP_OK;
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (ends[0] < 0 || generation != mpx_fork_generation())
        rc = make();
    if (rc == MP_OK)
        *out = ends[0];
    pthread_mutex_unlock(&lock);
    return rc;
}

bool mpx_lifeline_arm(int fd, pid_t owner)
{
    struct pollfd gone = {.fd = fd};
    return fcntl(fd, F_SETOWN, owner) == 0 && fcntl(fd, F_SETSIG, SIGKILL) == 0 &&
           fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0 &&
           poll(&gone, 1, 0) == 0; /* it may have ended before the arming */
}

/* Our own children must not have it: they are tied to us, not to who holds the other end. */
bool mpx_lifeline_join(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (ends[0] == fd)
        ends[0] = -1;
    close(fd);
    return own >= 0 && mpx_forkguard_add(own) == MP_OK && mpx_lifeline_arm(own, getpid());
}
