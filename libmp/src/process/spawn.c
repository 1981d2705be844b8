#include "spawn.h"

#include "bootstrap.h"
#include "fault.h"
#include "lifeline.h"
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FIRST_FREE = 64 };

static char *program; /* argv[0]; NULL: MP_MAIN has not run */

void mpx_spawn_allow(const char *name)
{
    if (program)
        return;
    program = strdup(name ? name : "");
    mpx_targets_seal();
}

bool mpx_spawn_is_allowed(void)
{
    return program != NULL;
}

/* In the child `from` becomes `to`. The copies are far above the targets first, so that none
 * is overwritten before its turn. */
static int pass(posix_spawn_file_actions_t *actions, int copies[3], int from, int to)
{
    int i = to - MPX_SPAWN_REQUEST;
    copies[i] = fcntl(from, F_DUPFD_CLOEXEC, FIRST_FREE);
    return copies[i] < 0 ? errno : posix_spawn_file_actions_adddup2(actions, copies[i], to);
}

static int plan_files(posix_spawn_file_actions_t *actions, int copies[3], const int fds[3])
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    int next = MPX_SPAWN_REQUEST;
    for (int i = 0; !error && i < 3 && fds[i] >= 0; i++)
        error = pass(actions, copies, fds[i], next++);
    return error ? error : posix_spawn_file_actions_addclosefrom_np(actions, next);
}

static int plan_signals(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* An errno. */
static int execute(const int fds[3], pid_t *pid)
{
    static char argument[] = MPX_SPAWN_ARGUMENT;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int copies[3] = {-1, -1, -1};
    char *argv[] = {program, argument, NULL};
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = plan_files(&actions, copies, fds);
        if (!error)
            error = plan_signals(&attributes);
        if (!error)
            error = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 3; i++)
        if (copies[i] >= 0)
            close(copies[i]);
    return error;
}

static mp_rc_t track(const char *name, pid_t pid, mpx_started_t *out)
{
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        mp_rc_t rc = mpx_fault_errno("following '%s'", name);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return rc;
    }
    *out = (mpx_started_t){pid, pidfd, -1};
    return MP_OK;
}

mp_rc_t mpx_spawn(const mpx_request_t *request, const void *item, int control, mpx_started_t *out)
{
    int lifeline = -1;
    int file = -1;
    pid_t pid = -1;
    mp_rc_t rc = mpx_lifeline_reader(&lifeline);
    if (rc == MP_OK)
        rc = mpx_request_write(request, item, &file);
    if (rc != MP_OK)
        return rc;
    mpx_bootstrap_flush();
    int error = execute((int[3]){file, lifeline, control}, &pid);
    close(file);
    if (error) {
        errno = error;
        return mpx_fault_errno("spawning '%s'", request->identity.name);
    }
    return track(request->identity.name, pid, out);
}
