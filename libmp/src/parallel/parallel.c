#include <mp/parallel.h>

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <mp/pool.h>
#include <mp/process.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PROCESSES_MAX = 4096, SHARES = 4 };

/* What one process is at. It alone writes here, and its parent when it is dead. */
typedef struct part {
    atomic_size_t at;     /* the next index, or the one that runs */
    atomic_size_t end;    /* of what it has taken */
    atomic_bool runs;     /* `at` was begun */
    atomic_size_t failed; /* the lowest index at which the function failed; SIZE_MAX */
    atomic_int code;      /* what it returned there */
} part_t;

/* In memory that all share. */
typedef struct loop {
    pthread_mutex_t lock; /* held while indices are taken; robust */
    size_t next;          /* to be taken */
    size_t n;
    size_t chunksize;
    size_t parts_count;
    int (*function)(size_t index, void *arg);
    void *arg;
    _Alignas(64) struct {
        _Alignas(64) part_t part; /* cache lines of its own */
    } parts[];
} loop_t;

typedef struct worker {
    loop_t *loop;
    part_t *part;
    mp_process_t *process; /* NULL: it has nothing left to do */
} worker_t;

/* How the lowest index failed. */
typedef struct failure {
    size_t index;
    mp_rc_t rc;
    int code; /* what was returned, or the exit code */
} failure_t;

/* ---- in a process ------------------------------------------------------------------------------
 */

static size_t share(const loop_t *self, size_t next)
{
    size_t left = self->n - next;
    size_t guided = self->chunksize ? self->chunksize : left / (self->parts_count * SHARES);
    return guided > left ? left : guided ? guided : 1;
}

/* Ranges are taken in order. One who died with the lock may have written down his range, and not
 * that it is taken. */
static void repair(loop_t *self)
{
    for (size_t i = 0; i < self->parts_count; i++) {
        size_t end = atomic_load(&self->parts[i].part.end);
        if (self->next < end)
            self->next = end;
    }
    (void)pthread_mutex_consistent(&self->lock);
}

static void lock(loop_t *self)
{
    if (pthread_mutex_lock(&self->lock) == EOWNERDEAD)
        repair(self);
}

static bool take(loop_t *self, part_t *part)
{
    lock(self);
    size_t next = self->next;
    size_t count = next < self->n ? share(self, next) : 0;
    if (count) {
        atomic_store(&part->at, next);
        atomic_store(&part->end, next + count);
        self->next = next + count;
    }
    pthread_mutex_unlock(&self->lock);
    return count > 0;
}

static void note(part_t *part, size_t index, int code)
{
    if (index >= atomic_load(&part->failed))
        return;
    atomic_store(&part->code, code);
    atomic_store(&part->failed, index);
}

static int work(void *arg)
{
    const worker_t *self = arg;
    part_t *part = self->part;
    do
        while (atomic_load(&part->at) < atomic_load(&part->end)) {
            size_t index = atomic_load(&part->at);
            atomic_store(&part->runs, true);
            int code = self->loop->function(index, self->loop->arg);
            if (code)
                note(part, index, code);
            atomic_store(&part->runs, false);
            atomic_store(&part->at, index + 1);
        }
    while (take(self->loop, part));
    return 0;
}

/* ---- in the caller ------------------------------------------------------------------------------
 */

static mp_rc_t start(worker_t *self)
{
    mp_process_options_t options = {
        .target = work, .arg = self, .name = "parallel_for", .daemon = 1, .method = MP_FORK};
    mp_rc_t rc = mp_process_new(&options, &self->process);
    if (rc == MP_OK)
        rc = mp_process_start(self->process);
    if (rc != MP_OK)
        mp_process_destroy(&self->process);
    return rc;
}

static void note_failure(failure_t *self, size_t index, mp_rc_t rc, int code)
{
    if (index < self->index)
        *self = (failure_t){index, rc, code};
}

/* It has ended. What it had begun has failed; what it had taken is still to do. */
static mp_rc_t bury(worker_t *self, failure_t *failure)
{
    part_t *part = self->part;
    int code = 0;
    (void)mp_process_join(self->process, -1);
    (void)mp_process_exitcode(self->process, &code);
    mp_process_destroy(&self->process);
    if (atomic_load(&part->runs)) {
        note_failure(failure, atomic_load(&part->at), MP_ECRASHED, code);
        atomic_fetch_add(&part->at, 1);
        atomic_store(&part->runs, false);
    }
    lock(self->loop);
    bool left = self->loop->next < self->loop->n;
    pthread_mutex_unlock(&self->loop->lock);
    left = left || atomic_load(&part->at) < atomic_load(&part->end);
    return left ? start(self) : MP_OK;
}

/* MP_OK one at least has ended, or none is left; MP_ETIMEDOUT. */
static mp_rc_t wait_for_some(const worker_t *workers, size_t count, struct pollfd *fds,
                             int64_t deadline)
{
    for (size_t i = 0; i < count; i++)
        fds[i] =
            (struct pollfd){.fd = workers[i].process ? mp_process_sentinel(workers[i].process) : -1,
                            .events = POLLIN};
    for (;;) {
        int n = poll(fds, count, mpx_poll_ms(mpx_now(), deadline));
        if (n > 0)
            return MP_OK;
        if (n < 0 && errno != EINTR)
            return mpx_fault_errno("parallel_for");
        if (mpx_now() >= deadline)
            return mpx_fault(MP_ETIMEDOUT, "parallel_for: it took too long");
    }
}

static bool is_over(const worker_t *workers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (workers[i].process)
            return false;
    return true;
}

static void kill_all(worker_t *workers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (workers[i].process)
            (void)mp_process_kill(workers[i].process);
    for (size_t i = 0; i < count; i++)
        if (workers[i].process) {
            (void)mp_process_join(workers[i].process, -1);
            mp_process_destroy(&workers[i].process);
        }
}

static mp_rc_t run(worker_t *workers, size_t count, struct pollfd *fds, int64_t deadline,
                   failure_t *failure)
{
    mp_rc_t rc = start(&workers[0]);
    for (size_t i = 1; rc == MP_OK && i < count && start(&workers[i]) == MP_OK; i++)
        ; /* with as many as there can be */
    while (rc == MP_OK && !is_over(workers, count)) {
        rc = wait_for_some(workers, count, fds, deadline);
        for (size_t i = 0; rc == MP_OK && i < count; i++)
            if (workers[i].process && fds[i].revents)
                rc = bury(&workers[i], failure);
    }
    if (rc != MP_OK)
        kill_all(workers, count);
    return rc;
}

static mp_rc_t tell(const failure_t *failure)
{
    if (failure->rc == MP_EFAILED)
        return mpx_fault(MP_EFAILED, "parallel_for: index %zu returned %d", failure->index,
                         failure->code);
    if (failure->rc == MP_ECRASHED && failure->code < 0)
        return mpx_fault(MP_ECRASHED, "parallel_for: index %zu: killed by signal %d",
                         failure->index, -failure->code);
    if (failure->rc == MP_ECRASHED)
        return mpx_fault(MP_ECRASHED, "parallel_for: index %zu: its process exited with %d",
                         failure->index, failure->code);
    return MP_OK;
}

static void make_lock(pthread_mutex_t *self)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(self, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static mp_rc_t run_loop(loop_t *loop, int64_t deadline)
{
    size_t count = loop->parts_count;
    worker_t *workers = calloc(count, sizeof *workers);
    struct pollfd *fds = calloc(count, sizeof *fds);
    failure_t failure = {.index = SIZE_MAX, .rc = MP_OK};
    mp_rc_t rc = workers && fds ? MP_OK : mpx_fault(MP_ENOMEM, "parallel_for");
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        workers[i] = (worker_t){.loop = loop, .part = &loop->parts[i].part};
        atomic_store(&workers[i].part->failed, SIZE_MAX);
    }
    if (rc == MP_OK)
        rc = run(workers, count, fds, deadline, &failure);
    for (size_t i = 0; rc == MP_OK && i < count; i++)
        note_failure(&failure, atomic_load(&workers[i].part->failed), MP_EFAILED,
                     atomic_load(&workers[i].part->code));
    free(workers);
    free(fds);
    return rc == MP_OK ? tell(&failure) : rc;
}

static size_t count_of(const mp_parallel_options_t *options, size_t n)
{
    size_t processes = (size_t)(options->processes ? options->processes : mp_cpu_count());
    return processes < n ? processes : n;
}

mp_rc_t mp_parallel_for_with(size_t n, int (*function)(size_t index, void *arg), void *arg,
                             const mp_parallel_options_t *options)
{
    static const mp_parallel_options_t defaults = {0};
    if (!options)
        options = &defaults;
    if (!function || options->processes < 0 || options->processes > PROCESSES_MAX ||
        options->timeout_ms < 0 || n == SIZE_MAX)
        return mpx_fault(MP_EINVAL, "parallel_for: no function, or a number out of range");
    if (n == 0)
        return MP_OK;
    size_t count = count_of(options, n);
    size_t bytes = sizeof(loop_t) + count * sizeof(((loop_t *)0)->parts[0]);
    loop_t *loop = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (loop == MAP_FAILED)
        return mpx_fault_errno("parallel_for");
    make_lock(&loop->lock);
    loop->n = n;
    loop->chunksize = options->chunksize;
    loop->parts_count = count;
    loop->function = function;
    loop->arg = arg;
    int timeout_ms = options->timeout_ms ? options->timeout_ms : -1;
    mp_rc_t rc = run_loop(loop, mpx_deadline(mpx_now(), timeout_ms));
    munmap(loop, bytes);
    return rc;
}

mp_rc_t mp_parallel_for(size_t n, int (*function)(size_t index, void *arg), void *arg)
{
    return mp_parallel_for_with(n, function, arg, NULL);
}
