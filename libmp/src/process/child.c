#include "child.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "logger.h"

#include <mp/shared_memory.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_MS = 2000 };

/* ---- life of a handle ----------------------------------------------------------------------- */

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void mpx_child_unref(mp_process_t *self)
{
    if (atomic_fetch_sub(&self->users, 1) > 1)
        return;
    if (self->generation == mpx_fork_generation()) {
        close_fd(self->pidfd);
        close_fd(self->status_fd);
    }
    pthread_mutex_destroy(&self->reaping);
    if (self->own_item)
        free(self->item);
    free(self);
}

mp_rc_t mpx_child_check_owner(const mp_process_t *self)
{
    if (self->role == MPX_CHILD && self->generation != mpx_fork_generation())
        return mpx_fault(MP_EFORKED, "'%s' is the child of another process", self->identity.name);
    return MP_OK;
}

/* ---- the end -------------------------------------------------------------------------------- */

static int code_of(int status)
{
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool mpx_child_wait(int fd, int64_t deadline)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&ready, 1, mpx_poll_ms(mpx_now(), deadline));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* Of one that has ended. The fork server tells what it reaped, unless it is dead. */
static int exitcode_of(const mp_process_t *self)
{
    int status = 0;
    if (self->status_fd >= 0) {
        int64_t deadline = mpx_deadline(mpx_now(), STATUS_MS);
        if (!mpx_child_wait(self->status_fd, deadline) ||
            read(self->status_fd, &status, sizeof status) != sizeof status)
            return MPX_EXITCODE_UNKNOWN;
        return code_of(status);
    }
    pid_t pid;
    do
        pid = waitpid(self->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    return pid == self->pid ? code_of(status) : MPX_EXITCODE_UNKNOWN;
}

static void take_note(mp_process_t *self)
{
    self->exitcode = exitcode_of(self);
    atomic_store(&self->phase, MPX_ENDED);
    if (self->exitcode < 0) /* it may have left named blocks behind */
        (void)mp_shared_memory_reap(NULL, NULL);
    mpx_tell(self->exitcode < 0 ? MP_LOG_WARNING : MP_LOG_INFO, "'%s' ended with %d",
             self->identity.name, self->exitcode);
}

bool mpx_child_reap(mp_process_t *self)
{
    if (atomic_load(&self->phase) == MPX_RUNNING && mpx_child_wait(self->pidfd, 0)) {
        pthread_mutex_lock(&self->reaping);
        if (atomic_load(&self->phase) == MPX_RUNNING)
            take_note(self);
        pthread_mutex_unlock(&self->reaping);
    }
    return atomic_load(&self->phase) == MPX_ENDED;
}

/* ---- signals -------------------------------------------------------------------------------- */

mp_rc_t mpx_child_signal(const mp_process_t *self, int signal)
{
    mp_rc_t rc = mpx_child_check_owner(self);
    if (rc != MP_OK)
        return rc;
    mpx_phase_t phase = atomic_load(&self->phase);
    if (self->role != MPX_CHILD || phase == MPX_NEW || phase == MPX_STARTING)
        return mpx_fault(MP_ESTATE, "'%s' was not started here", self->identity.name);
    if (phase == MPX_ENDED || pidfd_send_signal(self->pidfd, signal, NULL, 0) == 0 ||
        errno == ESRCH)
        return MP_OK;
    return mpx_fault_errno("signal %d to '%s'", signal, self->identity.name);
}
