#include "calls.h"
#include "drive.h"
#include "helpers.h"
#include "results.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Time for executors to come up, which takes milliseconds unless a module is slow. */
enum { LOCAL_START_MS = 60000, WAIT_MS = 30000, SHIP_MS = 10000 };
enum { GRACE_MS = 100, CRASHES_MAX = 3 };

_Static_assert((int)MP_RETRY_FAILED == (int)MPX_RETRY_FAILED &&
                   (int)MP_RETRY_CRASHED == (int)MPX_RETRY_CRASHED &&
                   (int)MP_RETRY_TIMED_OUT == (int)MPX_RETRY_TIMED_OUT &&
                   (int)MP_RETRY_LOST == (int)MPX_RETRY_LOST &&
                   (int)MP_RETRY_MEMORY == (int)MPX_RETRY_MEMORY &&
                   (int)MP_RETRY_DRAINED == (int)MPX_RETRY_DRAINED,
               "the public bits are the scheduler's");

/* ---- life ------------------------------------------------------------------------- */

static mp_rc_t check_options(const mp_pool_options_t *options)
{
    if (options->processes < 0 || options->processes > MPX_PROCESSES_MAX)
        return mpx_fault(MP_EINVAL,
                         "a pool needs 1 to %d processes, not %d; 0 takes mp_cpu_count()",
                         MPX_PROCESSES_MAX, options->processes);
    if (options->max_calls_per_worker < 0)
        return mpx_fault(MP_EINVAL, "max_calls_per_worker must not be negative");
    if (options->workers < MP_PROCESSES || options->workers > MP_INLINE)
        return mpx_fault(MP_EINVAL, "workers are MP_PROCESSES, MP_THREADS or MP_INLINE, not %d",
                         (int)options->workers);
    if (options->method < MP_METHOD_DEFAULT || options->method > MP_FORKSERVER)
        return mpx_fault(MP_EINVAL, "there is no start method %d", (int)options->method);
    if (options->workers != MP_PROCESSES &&
        (options->method || options->max_calls_per_worker || options->worker_memory_bytes ||
         options->worker_memory_limit_bytes || options->worker_memory_cap_bytes ||
         options->worker_stdout || options->nested))
        return mpx_fault(MP_EINVAL,
                         "method, max_calls_per_worker, limits to memory, worker_stdout and "
                         "nested are for worker processes");
    if (options->connect_timeout_ms < 0)
        return mpx_fault(MP_EINVAL, "connect_timeout_ms must not be negative");
    return MP_OK;
}

/* NULL: local. */
static const char *choose_broker(const mp_pool_options_t *options)
{
    const char *broker = options->broker;
    if (!broker && options->workers == MP_PROCESSES)
        broker = getenv("MP_BROKER");
    if (!broker || !*broker || strcmp(broker, "local") == 0)
        return NULL;
    return broker;
}

/* No forked child has it, workers among them. As made: -1 if it wasn't. */
static int guarded(int fd)
{
    if (fd < 0 || mpx_forkguard_add(fd) == MP_OK)
        return fd;
    close(fd);
    errno = ENOMEM;
    return -1;
}

static void close_guarded(int fd)
{
    if (fd < 0)
        return;
    mpx_forkguard_remove(fd);
    close(fd);
}

static void free_shell(mp_pool_t *self)
{
    if (self->generation == mpx_fork_generation()) { /* a child has none of them */
        close_guarded(self->timer_fd);
        close_guarded(self->watch_fd);
        close_guarded(self->kick_fd);
    }
    pthread_cond_destroy(&self->due);
    pthread_cond_destroy(&self->seat);
    pthread_cond_destroy(&self->moved);
    pthread_mutex_destroy(&self->lock);
    mpx_buf_free(&self->unsure);
    free(self);
}

static mp_pool_t *make_shell(void)
{
    mp_pool_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self->moved, &attr);
    pthread_cond_init(&self->due, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&self->seat, NULL);
    pthread_mutex_init(&self->lock, NULL);
    self->users = 1;
    self->watch_fd = -1;
    self->timer_fd = -1;
    self->timer_at = MPX_NEVER;
    self->generation = mpx_fork_generation();
    self->kick_fd = guarded(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (self->kick_fd < 0) {
        free_shell(self);
        return NULL;
    }
    return self;
}

static bool is_up(const void *arg)
{
    const mp_pool_t *self = arg;
    return self->backend->ready || self->backend->failed != MP_OK;
}

static mp_rc_t wait_until_up(mp_pool_t *self)
{
    pthread_mutex_lock(&self->lock);
    mp_rc_t rc = mpx_pool_wait(self, is_up, self, mpx_deadline(mpx_now(), LOCAL_START_MS));
    if (rc == MP_OK && self->backend->failed != MP_OK)
        rc = mpx_fault(self->backend->failed, "%s", self->backend->problem);
    else if (rc == MP_ETIMEDOUT)
        rc =
            mpx_fault(MP_ESYSTEM, "the workers did not come up within %d s", LOCAL_START_MS / 1000);
    pthread_mutex_unlock(&self->lock);
    return rc;
}

/* Local workers load what a broker's are sent. */
static mp_rc_t make_local(const mp_pool_options_t *options, mpx_backend_t **out)
{
    mp_pool_options_t mine = *options;
    size_t count = 0;
    while (options->load && options->load[count])
        count++;
    const char **load = calloc(count + 2, sizeof *load);
    if (!load)
        return mpx_fault(MP_ENOMEM, "a pool");
    for (size_t i = 0; i < count; i++)
        load[i] = options->load[i];
    load[count] = options->ship;
    mine.load = load;
    mp_rc_t rc =
        options->workers == MP_PROCESSES ? mpx_local_new(&mine, out) : mpx_threads_new(&mine, out);
    free(load);
    return rc;
}

static mp_rc_t make_backend(const char *broker, const mp_pool_options_t *options,
                            mpx_backend_t **out)
{
    return broker ? mpx_remote_new(broker, options, out) : make_local(options, out);
}

static mp_rc_t ship(mp_pool_t *self, const mp_pool_options_t *options)
{
    if (!options->ship || !self->backend->ops->ship)
        return MP_OK;
    return mp_pool_ship(self, options->ship,
                        options->connect_timeout_ms ? options->connect_timeout_ms : SHIP_MS);
}

mp_rc_t mp_pool_new(const mp_pool_options_t *options, mp_pool_t **out)
{
    static const mp_pool_options_t defaults = {0};
    if (!options)
        options = &defaults;
    mp_rc_t rc = check_options(options);
    if (rc != MP_OK)
        return rc;
    mp_pool_t *self = make_shell();
    if (!self)
        return mpx_fault_errno("a pool");
    const char *broker = choose_broker(options);
    if (broker && options->workers != MP_PROCESSES)
        rc = mpx_fault(MP_EINVAL, "the workers of %s are processes", broker);
    else if (broker && (options->initializer || options->max_calls_per_worker ||
                        options->worker_memory_bytes || options->worker_memory_cap_bytes ||
                        options->worker_memory_limit_bytes))
        rc = mpx_fault(MP_EINVAL,
                       "initializer, max_calls_per_worker and limits to memory are for local "
                       "workers; those of %s have what they are started with: mp-worker "
                       "--max-calls and so on, or mp_worker_options_t",
                       broker);
    if (rc != MP_OK) {
        free_shell(self);
        return rc;
    }
    rc = make_backend(broker, options, &self->backend);
    if (rc == MP_OK) {
        mpx_engine_seed(self->backend->engine, (uint64_t)mpx_now());
        rc = wait_until_up(self);
    }
    if (rc == MP_OK)
        rc = ship(self, options);
    if (rc != MP_OK) {
        if (self->backend)
            self->backend->ops->destroy(self->backend);
        free_shell(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

mp_pool_t *mpx_pool_wrap(mpx_backend_t *backend)
{
    mp_pool_t *self = make_shell();
    if (!self) {
        (void)mpx_fault_errno("a pool");
        return NULL;
    }
    self->backend = backend;
    self->nested = true;
    return self;
}

mp_rc_t mpx_pool_check(const mp_pool_t *self)
{
    if (self->generation == mpx_fork_generation())
        return MP_OK;
    return mpx_fault(MP_EFORKED, "a pool belongs to the process that made it; make another one "
                                 "in this child");
}

void mpx_pool_leave(mp_pool_t *self)
{
    bool last = --self->users == 0;
    pthread_mutex_unlock(&self->lock);
    if (last)
        free_shell(self);
}

/* Every open call ends, and nothing can be begun any more. */
static void end_backend(mp_pool_t *self, const char *why)
{
    self->closed = true;
    if (!self->backend)
        return;
    (void)mpx_backend_fail(self->backend, mpx_now(), MP_ECLOSED, MP_ECANCELLED, why);
    mpx_results_sweep(self);
    mpx_calls_free(self);
    self->backend->ops->destroy(self->backend);
    self->backend = NULL;
    mpx_pool_kick(self);
    mpx_helpers_wake(self);
    pthread_cond_broadcast(&self->moved);
}

void mp_pool_destroy(mp_pool_t **self_p)
{
    mp_pool_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    if (self->nested)
        return;
    if (self->generation != mpx_fork_generation()) {
        /* A copy: the lock may be held by a thread that doesn't exist here, and the
         * original's jobs may hold this memory. Give the copies of the workers' ends back. */
        if (self->backend)
            self->backend->ops->destroy(self->backend);
        free_shell(self);
        return;
    }
    pthread_mutex_lock(&self->lock);
    end_backend(self, "the pool was destroyed");
    mpx_helpers_stop(self);
    mpx_pool_leave(self);
}

void mp_pool_close(mp_pool_t *self)
{
    if (self->nested || mpx_pool_check(self) != MP_OK)
        return;
    pthread_mutex_lock(&self->lock);
    self->closed = true;
    pthread_mutex_unlock(&self->lock);
}

void mp_pool_terminate(mp_pool_t *self)
{
    if (self->nested || mpx_pool_check(self) != MP_OK)
        return;
    pthread_mutex_lock(&self->lock);
    end_backend(self, "the pool was terminated");
    pthread_mutex_unlock(&self->lock);
}

static bool has_nothing_open(const void *arg)
{
    const mp_pool_t *self = arg;
    if (!self->backend)
        return true;
    if (self->open_results || self->due_results)
        return false;
    for (const struct mp_job *job = self->jobs; job; job = mpx_job_next(job))
        if (mpx_job_open_calls(job))
            return false;
    return true;
}

mp_rc_t mp_pool_join(mp_pool_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_pool_check(self);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->lock);
    if (!self->closed)
        rc = mpx_fault(MP_ESTATE, "close the pool before you join it");
    if (rc == MP_OK)
        rc = mpx_pool_wait(self, has_nothing_open, self, deadline);
    pthread_mutex_unlock(&self->lock);
    return rc == MP_ETIMEDOUT ? mpx_fault(rc, "the pool has calls that aren't over") : rc;
}

int mp_pool_processes(const mp_pool_t *self)
{
    mp_pool_t *pool = (mp_pool_t *)(uintptr_t)self; /* the lock is not part of its value */
    if (mpx_pool_check(self) != MP_OK)
        return 0;
    pthread_mutex_lock(&pool->lock);
    int processes = pool->backend ? pool->backend->processes : 0;
    pthread_mutex_unlock(&pool->lock);
    return processes;
}

mp_rc_t mpx_backend_fail(mpx_backend_t *self, int64_t now, mp_rc_t why, mp_rc_t rc,
                         const char *problem)
{
    self->failed = why;
    snprintf(self->problem, sizeof self->problem, "%s", problem);
    return mpx_engine_fail_all(self->engine, now, rc, self->problem);
}

/* ---- driving ---------------------------------------------------------------------- */

static void set_timer(mp_pool_t *self)
{
    int64_t at = self->backend->ops->deadline(self->backend);
    if (self->timer_fd < 0 || at == self->timer_at)
        return;
    struct itimerspec spec = {0};
    if (at != MPX_NEVER) {
        spec.it_value.tv_sec = at / MPX_S;
        spec.it_value.tv_nsec = at % MPX_S + (at <= 0);
    }
    timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    self->timer_at = at;
}

static mp_rc_t turn(mp_pool_t *self)
{
    mpx_backend_t *backend = self->backend;
    int64_t now = mpx_now();
    mp_rc_t rc = backend->ops->turn(backend, now);
    if (rc == MP_OK && backend->failed != MP_OK)
        rc = mpx_engine_fail_all(backend->engine, now, MP_EWORKERLOST, backend->problem);
    for (struct mp_job *job = self->jobs; job && rc == MP_OK; job = mpx_job_next(job))
        mpx_job_balance(job, now);
    return rc;
}

static void wake_workers(mp_pool_t *self)
{
    mpx_backend_t *backend = self->backend;
    if (backend->ops->wake)
        backend->ops->wake(backend);
}

mp_rc_t mpx_pool_settle_soon(mp_pool_t *self)
{
    if (!self->mover || self->stopping || self->driver_waits || self->watch_fd >= 0)
        return mpx_pool_settle(self);
    mp_rc_t rc = turn(self);
    if (rc != MP_OK)
        return rc;
    int64_t now = mpx_now();
    if (now - self->woken_at >= MPX_BURST_NS) { /* else the next one does, or the mover */
        self->woken_at = now;
        wake_workers(self);
    }
    atomic_store_explicit(&self->burst_at, now, memory_order_relaxed);
    mpx_results_sweep(self);
    if (!self->unsettled) {
        self->unsettled = true;
        mpx_pool_kick(self);
    }
    mpx_helpers_wake(self);
    pthread_cond_broadcast(&self->moved);
    return MP_OK;
}

mp_rc_t mpx_pool_settle(mp_pool_t *self)
{
    mpx_backend_t *backend = self->backend;
    do {
        mp_rc_t rc = turn(self);
        if (rc != MP_OK)
            return rc;
        wake_workers(self);
    } while (!backend->ops->may_sleep(backend));
    set_timer(self);
    mpx_results_sweep(self);
    /* The mover only wants to know of an earlier deadline. */
    if (self->driver_waits || backend->ops->deadline(backend) < self->driven_until)
        mpx_pool_kick(self);
    mpx_helpers_wake(self);
    pthread_cond_broadcast(&self->moved);
    return MP_OK;
}

void mpx_pool_kick(const mp_pool_t *self)
{
    uint64_t one = 1;
    if (self->driven)
        (void)!write(self->kick_fd, &one, sizeof one);
}

/* Sleep without the lock until something happens or the time has come. */
static mp_rc_t sleep_as_driver(mp_pool_t *self, int64_t deadline, bool waits)
{
    const mpx_backend_t *backend = self->backend;
    int64_t until = mpx_earlier(deadline, backend->ops->deadline(backend));
    struct pollfd fds[2] = {{.fd = backend->ops->fd(backend), .events = POLLIN},
                            {.fd = self->kick_fd, .events = POLLIN}};
    int64_t left = until == MPX_NEVER ? 0 : until - mpx_now();
    if (left < 0)
        left = 0;
    struct timespec span = {.tv_sec = left / MPX_S, .tv_nsec = left % MPX_S};

    self->driven = true;
    self->driver_waits = waits;
    self->driven_until = until;
    pthread_mutex_unlock(&self->lock);
    int n = ppoll(fds, 2, until == MPX_NEVER ? NULL : &span, NULL);
    int error = errno;
    pthread_mutex_lock(&self->lock);
    self->driven = false;
    if (n < 0 && error != EINTR) {
        errno = error;
        return mpx_fault_errno("waiting for workers");
    }
    uint64_t kicks;
    if (n > 0 && fds[1].revents)
        (void)!read(self->kick_fd, &kicks, sizeof kicks);
    return MP_OK;
}

static void sleep_as_passenger(mp_pool_t *self, int64_t deadline)
{
    if (deadline == MPX_NEVER) {
        pthread_cond_wait(&self->moved, &self->lock);
        return;
    }
    struct timespec at = {.tv_sec = deadline / MPX_S, .tv_nsec = deadline % MPX_S};
    pthread_cond_timedwait(&self->moved, &self->lock, &at);
}

mp_rc_t mpx_pool_wait(mp_pool_t *self, bool (*ready)(const void *), const void *arg,
                      int64_t deadline)
{
    mp_rc_t rc = self->backend ? mpx_pool_settle(self) : MP_OK;
    while (rc == MP_OK && !ready(arg)) {
        if (!self->backend)
            return MP_ECLOSED;
        if (mpx_now() >= deadline)
            return MP_ETIMEDOUT;
        if (self->driven) {
            sleep_as_passenger(self, deadline);
            continue;
        }
        rc = sleep_as_driver(self, deadline, true);
        if (rc == MP_OK && self->backend)
            rc = mpx_pool_settle(self);
    }
    /* The seat is free: a passenger must take it, or the mover. */
    pthread_cond_broadcast(&self->moved);
    mpx_helpers_wake(self);
    return rc;
}

mp_rc_t mpx_pool_drive(mp_pool_t *self)
{
    mp_rc_t rc = sleep_as_driver(self, MPX_NEVER, false);
    return rc == MP_OK && self->backend ? mpx_pool_settle(self) : rc;
}

static bool watch_add(int watch_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(watch_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

mp_rc_t mpx_pool_watch(mp_pool_t *self)
{
    if (self->watch_fd >= 0)
        return MP_OK;
    int watch_fd = guarded(epoll_create1(EPOLL_CLOEXEC));
    int timer_fd = guarded(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (watch_fd < 0 || timer_fd < 0 || !watch_add(watch_fd, timer_fd) ||
        !watch_add(watch_fd, self->backend->ops->fd(self->backend))) {
        mp_rc_t rc = mpx_fault_errno("a descriptor for a job");
        close_guarded(watch_fd);
        close_guarded(timer_fd);
        return rc;
    }
    self->watch_fd = watch_fd;
    self->timer_fd = timer_fd;
    set_timer(self);
    return MP_OK;
}

/* ---- jobs ------------------------------------------------------------------------- */

static mp_rc_t check_call_options(const mp_call_options_t *options)
{
    const struct {
        const char *name;
        int value;
    } at_least_0[] = {{"chunksize", options->chunksize},
                      {"call_timeout_ms", options->call_timeout_ms},
                      {"soft_timeout_ms", options->soft_timeout_ms},
                      {"stop_grace_ms", options->stop_grace_ms},
                      {"retries", options->retries},
                      {"retry_on", options->retry_on},
                      {"retry_delay_ms", options->retry_delay_ms},
                      {"max_crashes", options->max_crashes},
                      {"window", options->window},
                      {"worker_wait_ms", options->worker_wait_ms},
                      {"weight", options->weight},
                      {"delay_ms", options->delay_ms},
                      {"deadline_ms", options->deadline_ms},
                      {"keep_ms", options->keep_ms},
                      {"output_bytes", options->output_bytes}};
    for (size_t i = 0; i < sizeof at_least_0 / sizeof *at_least_0; i++)
        if (at_least_0[i].value < 0)
            return mpx_fault(MP_EINVAL, "%s must not be negative", at_least_0[i].name);
    if (options->priority < -MPX_PRIORITY_MAX || options->priority > MPX_PRIORITY_MAX)
        return mpx_fault(MP_EINVAL, "a priority is between %d and %d, not %d", -MPX_PRIORITY_MAX,
                         MPX_PRIORITY_MAX, options->priority);
    if (options->weight > MPX_WEIGHT_MAX)
        return mpx_fault(MP_EINVAL, "a weight is between 1 and %d, not %d", MPX_WEIGHT_MAX,
                         options->weight);
    if (options->retry_on >= MP_RETRY_DRAINED * 2)
        return mpx_fault(MP_EINVAL, "retry_on has bits that mean nothing");
    return MP_OK;
}

static int bounded_priority(int priority)
{
    return priority < -MPX_PRIORITY_MAX  ? -MPX_PRIORITY_MAX
           : priority > MPX_PRIORITY_MAX ? MPX_PRIORITY_MAX
                                         : priority;
}

bool mpx_call_options_keep(const mp_call_options_t *options)
{
    return options->name || options->key || options->keep_ms || options->dead_letters > 0;
}

mp_rc_t mpx_pool_job_spec(const mp_pool_t *self, const mp_task_t *task,
                          const mp_call_options_t *options, char signature[MPX_SIGNATURE_MAX],
                          mpx_job_spec_t *out)
{
    mp_rc_t rc = check_call_options(options);
    if (rc == MP_OK && (self->closed || !self->backend))
        rc = mpx_fault(MP_ECLOSED, "the pool is closed");
    if (rc == MP_OK && options->needs && *options->needs && !self->backend->matches)
        rc = mpx_fault(MP_EINVAL,
                       "needs ('%.200s') are met by a pool's workers, not by those that run the "
                       "calls of a call",
                       options->needs);
    if (rc != MP_OK)
        return rc;
    mpx_backend_t *backend = self->backend;
    if (options->output && backend->own_output)
        return mpx_fault(MP_EINVAL, "`output` is what worker processes write; the workers of this "
                                    "pool are threads");
    int output_bytes = options->output_bytes ? options->output_bytes : (int)MPX_OUTPUT_DEFAULT;
    mp_task_signature(task, signature, MPX_SIGNATURE_MAX);
    mpx_job_spec_t spec = {
        .open = {.task = task->name,
                 .signature = signature,
                 .label = options->label,
                 .output_bytes = options->output ? (uint32_t)output_bytes : 0,
                 .call_limit_ms = (uint32_t)options->call_timeout_ms,
                 .soft_limit_ms = (uint32_t)options->soft_timeout_ms,
                 .grace_ms = (uint32_t)(options->stop_grace_ms ? options->stop_grace_ms : GRACE_MS),
                 .priority = bounded_priority(options->priority + backend->priority),
                 .weight = (uint32_t)options->weight,
                 .needs = options->needs,
                 .wait_ms =
                     (uint32_t)(options->worker_wait_ms ? options->worker_wait_ms : WAIT_MS)},
        .meet_here = backend->meets_here,
        .absent_ns = backend->meets_here, /* none that could come has more than those */
        .limit_here = backend->limits_here,
        .chunk_calls = (uint32_t)options->chunksize,
        .retries = (uint32_t)options->retries,
        .retry_on = (uint32_t)options->retry_on,
        .retry_delay_ns = options->retry_delay_ms * MPX_MS,
        .delay_ns = options->delay_ms * MPX_MS,
        .deadline_ns = options->deadline_ms * MPX_MS,
        .crashes_max = (uint32_t)(options->max_crashes ? options->max_crashes : CRASHES_MAX),
    };
    if (options->call_timeout_ms || options->soft_timeout_ms)
        spec.chunk_calls = 1;
    *out = spec;
    return MP_OK;
}

mp_rc_t mpx_pool_job_open(mp_pool_t *self, const mp_task_t *task, const mp_call_options_t *options,
                          const mpx_job_hooks_t *hooks, void *hooks_self, uint64_t *out)
{
    char signature[MPX_SIGNATURE_MAX];
    mpx_job_spec_t spec;
    if (mpx_call_options_keep(options))
        return mpx_fault(MP_EINVAL, "only jobs (mp_job_new, mp_imap) can be kept: `name`, `key`, "
                                    "`keep_ms` and `dead_letters` are for those");
    mp_rc_t rc = mpx_pool_job_spec(self, task, options, signature, &spec);
    if (rc != MP_OK)
        return rc;
    return mpx_engine_job_open(self->backend->engine, mpx_now(), &spec, hooks, hooks_self, out);
}
