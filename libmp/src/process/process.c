#include "bootstrap.h"
#include "child.h"
#include "children.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "forkserver.h"
#include "lifeline.h"
#include "logger.h"
#include "spawn.h"
#include "start_method.h"
#include "target.h"

#include <mp/shared_memory.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- life of a handle ----------------------------------------------------------------------- */

static mp_rc_t check_target(const mp_process_options_t *options, mp_method_t method)
{
    if (!options->target == !options->registered)
        return mpx_fault(MP_EINVAL, "a process needs a target, or a registered one");
    if (!mp_method_name(method))
        return mpx_fault(MP_EINVAL, "there is no start method %d", (int)method);
    if (method == MP_FORK)
        return MP_OK;
    if (options->target)
        return mpx_fault(MP_EUNPASSABLE, "%s can't pass a function: define it by MP_TARGET",
                         mp_method_name(method));
    if (!mpx_spawn_is_allowed())
        return mpx_fault(MP_ESTATE,
                         "%s would start the whole program again: put "
                         "MP_MAIN(argc, argv) first in main",
                         mp_method_name(method));
    if (!mpx_target_is_everywhere(options->registered))
        return mpx_fault(MP_EUNPASSABLE,
                         "the target '%s' came with a module that was loaded "
                         "later: %s knows only the program's own",
                         options->registered->name, mp_method_name(method));
    return MP_OK;
}

static mp_rc_t set_name(mp_process_t *self, const char *name)
{
    if (strlen(name) > MPX_NAME_MAX)
        return mpx_fault(MP_EINVAL, "a process's name of more than %d bytes", MPX_NAME_MAX);
    snprintf(self->identity.name, sizeof self->identity.name, "%s", name);
    return MP_OK;
}

static mp_rc_t identify(mp_process_t *self, const mp_process_options_t *options)
{
    const mp_process_t *current = mp_process_current();
    mpx_identity_t *identity = &self->identity;
    const char *above = current->identity.path;
    int length = snprintf(identity->path, sizeof identity->path, "%s%s%u", above, *above ? ":" : "",
                          mpx_children_number());
    if (length >= (int)sizeof identity->path)
        return mpx_fault(MP_EINVAL, "processes are nested too deeply");
    snprintf(identity->parent_name, sizeof identity->parent_name, "%s", current->identity.name);
    identity->parent = mpx_life_self();
    identity->daemon = options->daemon ? options->daemon > 0 : current->identity.daemon;
    if (options->name)
        return set_name(self, options->name);
    char name[sizeof identity->path + 16];
    snprintf(name, sizeof name, "Process-%s", identity->path);
    name[MPX_NAME_MAX] = 0;
    return set_name(self, name);
}

/* By fork the child sees the item itself; otherwise it gets a copy, made now. */
static mp_rc_t keep_item(mp_process_t *self, const mp_process_options_t *options)
{
    self->registered = options->registered;
    if (!options->registered)
        return MP_OK;
    size_t bytes = options->registered->item.bytes;
    self->own_item = self->method != MP_FORK || !options->item;
    if (!self->own_item) {
        memcpy(&self->item, &options->item, sizeof self->item);
        return MP_OK;
    }
    self->item = calloc(1, bytes + 1);
    if (!self->item)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", bytes);
    if (options->item)
        memcpy(self->item, options->item, bytes);
    return MP_OK;
}

mp_rc_t mp_process_new(const mp_process_options_t *options, mp_process_t **out)
{
    if (!options)
        return mpx_fault(MP_EINVAL, "a process needs a target");
    mp_method_t method = mpx_method_of(options);
    mp_rc_t rc = check_target(options, method);
    if (rc != MP_OK)
        return rc;
    mp_process_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a process");
    atomic_init(&self->users, 1);
    pthread_mutex_init(&self->reaping, NULL);
    self->generation = mpx_fork_generation();
    self->method = method;
    self->target = options->target;
    self->arg = options->arg;
    self->pidfd = self->status_fd = -1;
    rc = identify(self, options);
    if (rc == MP_OK)
        rc = keep_item(self, options);
    if (rc != MP_OK) {
        mpx_child_unref(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mp_process_destroy(mp_process_t **self)
{
    if (*self && (*self)->role == MPX_CHILD)
        mpx_child_unref(*self);
    *self = NULL;
}

/* ---- start ---------------------------------------------------------------------------------- */

static void run_forked(mp_process_t *self, int lifeline)
{
    mpx_bootstrap_forked(lifeline);
    mpx_bootstrap_become(&self->identity);
    mpx_bootstrap_exit(self->target
                           ? self->target(self->arg)
                           : self->registered->run(self->item, self->registered->item.bytes));
}

/* A descriptor is set aside first: a child that runs but can't be followed would be worse than
 * none. */
static mp_rc_t start_by_fork(mp_process_t *self, mpx_started_t *out)
{
    int lifeline = -1;
    mp_rc_t rc = mpx_lifeline_reader(&lifeline);
    if (rc != MP_OK)
        return rc;
    int spare = fcntl(lifeline, F_DUPFD_CLOEXEC, 0);
    if (spare < 0)
        return mpx_fault_errno("starting '%s'", self->identity.name);
    mpx_bootstrap_flush();
    pid_t pid = fork();
    if (pid == 0) {
        close(spare);
        run_forked(self, lifeline);
    }
    rc = pid < 0 ? mpx_fault_errno("forking '%s'", self->identity.name) : MP_OK;
    close(spare);
    if (rc != MP_OK)
        return rc;
    *out = (mpx_started_t){pid, pidfd_open(pid, 0), -1};
    if (out->pidfd >= 0)
        return MP_OK;
    rc = mpx_fault_errno("following '%s'", self->identity.name);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rc;
}

static void describe(const mp_process_t *self, mpx_request_t *out)
{
    mp_log_level_t level;
    *out = (mpx_request_t){.purpose = MPX_RUN_TARGET,
                           .identity = self->identity,
                           .method = mp_get_start_method(),
                           .exit_join_ms = mpx_children_exit_join_ms(),
                           .item_bytes = self->registered->item.bytes};
    out->log_level = mpx_logger_on_stderr(&level) ? (int)level : -1;
    snprintf(out->target, sizeof out->target, "%s", self->registered->name);
}

static mp_rc_t start_by_method(mp_process_t *self, mpx_started_t *out)
{
    mpx_request_t request;
    if (self->method == MP_FORK)
        return start_by_fork(self, out);
    describe(self, &request);
    if (self->method == MP_SPAWN)
        return mpx_spawn(&request, self->item, -1, out);
    return mpx_forkserver_start(&request, self->item, out);
}

mp_rc_t mp_process_start(mp_process_t *self)
{
    mpx_started_t started = {0};
    mpx_phase_t phase = MPX_NEW;
    mp_rc_t rc = mpx_child_check_owner(self);
    if (rc != MP_OK)
        return rc;
    if (self->role != MPX_CHILD ||
        !atomic_compare_exchange_strong(&self->phase, &phase, MPX_STARTING))
        return mpx_fault(MP_ESTATE, "'%s' was started before", self->identity.name);
    rc = mpx_children_add(self);
    if (rc == MP_OK) {
        rc = start_by_method(self, &started);
        if (rc != MP_OK)
            mpx_children_remove(self);
    }
    if (rc != MP_OK) {
        atomic_store(&self->phase, MPX_NEW);
        return rc;
    }
    self->pid = started.pid;
    self->pidfd = started.pidfd;
    self->status_fd = started.status_fd;
    atomic_store(&self->phase, MPX_RUNNING);
    mpx_tell(MP_LOG_INFO, "started '%s' by %s: process %d", self->identity.name,
             mp_method_name(self->method), (int)self->pid);
    return MP_OK;
}

/* ---- the end -------------------------------------------------------------------------------- */

static mp_rc_t join_parent(mp_process_t *self, int64_t deadline)
{
    if (self->pidfd < 0 || mpx_child_wait(self->pidfd, deadline))
        return MP_OK;
    return mpx_fault(MP_ETIMEDOUT, "the parent, '%s', still runs", self->identity.name);
}

mp_rc_t mp_process_join(mp_process_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_child_check_owner(self);
    if (rc != MP_OK)
        return rc;
    if (self->role == MPX_SELF)
        return mpx_fault(MP_EDEADLOCK, "'%s' would wait for itself", self->identity.name);
    if (self->role == MPX_PARENT)
        return join_parent(self, deadline);
    mpx_phase_t phase = atomic_load(&self->phase);
    if (phase == MPX_NEW || phase == MPX_STARTING)
        return mpx_fault(MP_ESTATE, "'%s' was not started", self->identity.name);
    if (phase == MPX_RUNNING && !mpx_child_wait(self->pidfd, deadline))
        return mpx_fault(MP_ETIMEDOUT, "'%s' still runs", self->identity.name);
    (void)mpx_children_reap(self);
    return MP_OK;
}

bool mp_process_is_alive(mp_process_t *self)
{
    if (self->role == MPX_SELF)
        return true;
    if (self->role == MPX_PARENT)
        return self->pidfd >= 0 && !mpx_child_wait(self->pidfd, 0);
    return mpx_child_check_owner(self) == MP_OK && atomic_load(&self->phase) == MPX_RUNNING &&
           !mpx_children_reap(self);
}

mp_rc_t mp_process_exitcode(mp_process_t *self, int *code)
{
    mp_rc_t rc = mpx_child_check_owner(self);
    if (rc != MP_OK)
        return rc;
    if (self->role != MPX_CHILD || !mpx_children_reap(self))
        return mpx_fault(MP_EBUSY, "'%s' has not ended", self->identity.name);
    *code = self->exitcode;
    return MP_OK;
}

/* ---- signals -------------------------------------------------------------------------------- */

mp_rc_t mp_process_terminate(mp_process_t *self)
{
    return mpx_child_signal(self, SIGTERM);
}

mp_rc_t mp_process_kill(mp_process_t *self)
{
    return mpx_child_signal(self, SIGKILL);
}

mp_rc_t mp_process_interrupt(mp_process_t *self)
{
    return mpx_child_signal(self, SIGINT);
}

/* ---- what it is ----------------------------------------------------------------------------- */

pid_t mp_process_pid(const mp_process_t *self)
{
    return self->role == MPX_SELF ? getpid() : self->pid;
}

const char *mp_process_name(const mp_process_t *self)
{
    return self->identity.name;
}

bool mp_process_daemon(const mp_process_t *self)
{
    return self->identity.daemon;
}

int mp_process_sentinel(const mp_process_t *self)
{
    return self->pidfd;
}

static mp_rc_t check_new(const mp_process_t *self)
{
    if (self->role == MPX_CHILD && atomic_load(&self->phase) != MPX_NEW)
        return mpx_fault(MP_ESTATE, "'%s' was started before", self->identity.name);
    return mpx_child_check_owner(self);
}

mp_rc_t mp_process_set_name(mp_process_t *self, const char *name)
{
    mp_rc_t rc = check_new(self);
    return rc == MP_OK ? set_name(self, name) : rc;
}

mp_rc_t mp_process_set_daemon(mp_process_t *self, bool daemon)
{
    mp_rc_t rc = check_new(self);
    if (rc == MP_OK)
        self->identity.daemon = daemon;
    return rc;
}
