#include "bootstrap.h"

#include "child.h"
#include "children.h"
#include "forkguard.h"
#include "leave.h"
#include "lifeline.h"
#include "logger.h"
#include "start_method.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* Written before the process has other threads, never later. */
static mp_process_t self = {.role = MPX_SELF,
                            .identity = {.name = "MainProcess"},
                            .phase = MPX_RUNNING,
                            .pidfd = -1,
                            .status_fd = -1};
static mp_process_t parent = {.role = MPX_PARENT, .pidfd = -1, .status_fd = -1};

static void flush(FILE *file)
{
    if (ftrylockfile(file) != 0)
        return;
    (void)fflush_unlocked(file);
    funlockfile(file);
}

void mpx_bootstrap_flush(void)
{
    flush(stdout);
    flush(stderr);
}

void mpx_bootstrap_forked(int lifeline)
{
    sigset_t none;
    for (int n = 1; n < NSIG; n++)
        (void)signal(n, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!mpx_lifeline_join(lifeline))
        _exit(MPX_CHILD_UNTIED);
    __fpurge(stdout);
    __fpurge(stderr);
    __fpurge(stdin);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
}

void mpx_bootstrap_become(const mpx_identity_t *identity)
{
    self.identity = *identity;
    parent.identity = (mpx_identity_t){.parent = identity->parent};
    snprintf(parent.identity.name, sizeof parent.identity.name, "%s", identity->parent_name);
    parent.pid = mpx_life_pid(identity->parent);
    if (parent.pidfd >= 0)
        close(parent.pidfd);
    parent.pidfd = -1;
    mpx_logger_name(identity->name);
    mpx_tell(MP_LOG_INFO, "begins, process %d", (int)getpid());
}

void mpx_bootstrap_inherit(const mpx_request_t *request)
{
    mpx_method_inherit(request->method);
    mp_set_exit_join_ms(request->exit_join_ms);
    if (request->log_level >= 0)
        mp_log_to_stderr((mp_log_level_t)request->log_level);
}

void mpx_bootstrap_exit(int code)
{
    mpx_children_finish();
    mpx_leave();
    (void)fflush(NULL);
    mpx_tell(MP_LOG_INFO, "ends with %d", code & 0xff);
    _exit(code & 0xff);
}

mp_process_t *mp_process_current(void)
{
    return &self;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the parent's descriptor */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void install(void)
{
    mpx_forkguard_renew(&lock);
}

/* Its descriptor is opened when somebody asks: most never do. */
mp_process_t *mp_process_parent(void)
{
    if (!parent.pid)
        return NULL;
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (parent.pidfd < 0 && !mpx_life_gone(self.identity.parent))
        parent.pidfd = pidfd_open(parent.pid, 0);
    atomic_store(&parent.phase, parent.pidfd >= 0 ? MPX_RUNNING : MPX_ENDED);
    pthread_mutex_unlock(&lock);
    return &parent;
}
