#include "metrics.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct task {
    mpx_task_metrics_t metrics; /* first: others have a pointer to it */
    bool unlisted;
    UT_hash_handle hh;
    char name[];
} task_t;

enum { TASKS_MAX = 256, CODES = 64, ROLES = 3 };

static const char *const roles[ROLES] = {"client", "worker", "tenant"};

struct mpx_metrics {
    int64_t now;
    task_t *tasks;
    mpx_task_metrics_t others;
    mpx_histogram_t commits;
    uint64_t commits_failed;
    uint64_t dismissed[CODES]; /* by the code's number, negated; [0]: any other */
    uint64_t lost[ROLES];
};

const char *mpx_fate_name(mpx_fate_t fate)
{
    static const char *const names[MPX_FATES] = {"ok",        "failed", "crashed", "timed_out",
                                                 "cancelled", "lost",   "other"};
    return names[fate];
}

static mpx_fate_t fate_of(mp_rc_t rc)
{
    switch (rc) {
    case MP_OK:
        return MPX_FATE_OK;
    case MP_EFAILED:
        return MPX_FATE_FAILED;
    case MP_ECRASHED:
        return MPX_FATE_CRASHED;
    case MP_ETIMEDOUT:
        return MPX_FATE_TIMED_OUT;
    case MP_ECANCELLED:
        return MPX_FATE_CANCELLED;
    case MP_EWORKERLOST:
        return MPX_FATE_LOST;
    default:
        return MPX_FATE_OTHER;
    }
}

mpx_metrics_t *mpx_metrics_new(void)
{
    mpx_metrics_t *self = calloc(1, sizeof *self);
    if (self)
        self->others.name = "(other)";
    return self;
}

void mpx_metrics_free(mpx_metrics_t **self)
{
    task_t *task, *next;
    if (!*self)
        return;
    HASH_ITER (hh, (*self)->tasks, task, next) {
        HASH_DEL((*self)->tasks, task);
        free(task);
    }
    free(*self);
    *self = NULL;
}

void mpx_metrics_at(mpx_metrics_t *self, int64_t now)
{
    self->now = now;
}

/* ---- tasks ---------------------------------------------------------------------------- */

mpx_task_metrics_t *mpx_metrics_task(mpx_metrics_t *self, const char *name)
{
    task_t *task = NULL;
    HASH_FIND_STR(self->tasks, name, task);
    if (task)
        return &task->metrics;
    size_t size = strlen(name) + 1;
    task = HASH_COUNT(self->tasks) < TASKS_MAX ? calloc(1, sizeof *task + size) : NULL;
    if (!task)
        return &self->others;
    memcpy(task->name, name, size);
    task->metrics.name = task->name;
    HASH_ADD_STR(self->tasks, name, task);
    if (!task->unlisted)
        return &task->metrics;
    free(task);
    return &self->others;
}

mpx_task_metrics_t *mpx_metrics_task_at(mpx_metrics_t *self, size_t number)
{
    task_t *task = self->tasks;
    for (; task && number > 0; number--)
        task = task->hh.next;
    if (task)
        return &task->metrics;
    bool has_others = self->others.queued || mpx_task_metrics_ended(&self->others);
    return number == 0 && has_others ? &self->others : NULL;
}

uint64_t mpx_task_metrics_ended(const mpx_task_metrics_t *self)
{
    uint64_t ended = 0;
    for (size_t i = 0; i < MPX_FATES; i++)
        ended += self->ended[i];
    return ended;
}

double mpx_task_metrics_mean_s(const mpx_task_metrics_t *self)
{
    uint64_t count = mpx_histogram_count(&self->run);
    return count ? self->run.sum_s / (double)count : 0;
}

static void *watch_task(void *self, const char *name)
{
    return mpx_metrics_task(self, name);
}

static void watch_given(void *arg, void *task, uint32_t count, uint32_t attempt, int64_t since)
{
    const mpx_metrics_t *self = arg;
    mpx_task_metrics_t *metrics = task;
    mpx_histogram_add(&metrics->wait, self->now > since ? self->now - since : 0, count);
    if (attempt > 1)
        metrics->retried += count;
}

static void watch_ended(void *arg, void *task, mp_rc_t rc, uint32_t count, int64_t busy_ns)
{
    (void)arg;
    mpx_task_metrics_t *metrics = task;
    metrics->ended[fate_of(rc)] += count;
    if ((rc == MP_OK || rc == MP_EFAILED) && count)
        mpx_histogram_add(&metrics->run, busy_ns / count, count);
}

mpx_watcher_t mpx_metrics_watcher(mpx_metrics_t *self)
{
    return (mpx_watcher_t){
        .self = self, .task = watch_task, .given = watch_given, .ended = watch_ended};
}

/* ---- the rest --------------------------------------------------------------------------- */

void mpx_metrics_committed(void *metrics, mp_rc_t rc, int64_t ns)
{
    mpx_metrics_t *self = metrics;
    mpx_histogram_add(&self->commits, ns, 1);
    self->commits_failed += rc != MP_OK;
}

void mpx_metrics_dismissed(mpx_metrics_t *self, mp_rc_t code)
{
    self->dismissed[code < 0 && -code < CODES ? -code : 0]++;
}

void mpx_metrics_lost(mpx_metrics_t *self, const char *role)
{
    for (size_t i = 0; i < ROLES; i++)
        self->lost[i] += strcmp(role, roles[i]) == 0;
}

/* ---- exposition -------------------------------------------------------------------------- */

/* All families of tasks have one sample or histogram for each. */
static const mpx_task_metrics_t *task_at(const mpx_metrics_t *self, size_t i)
{
    return mpx_metrics_task_at((mpx_metrics_t *)(uintptr_t)self, i);
}

static void expose_fate(const mpx_metrics_t *self, mpx_fate_t fate, const char *name,
                        const char *help, mpx_exposition_t *out)
{
    const mpx_task_metrics_t *task;
    mpx_expose_family(out, name, "counter", help);
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose(out, name, "task", task->name, (double)task->ended[fate]);
}

static void expose_fates(const mpx_metrics_t *self, mpx_exposition_t *out)
{
    static const struct {
        mpx_fate_t fate;
        const char *name;
        const char *help;
    } fates[] = {
        {MPX_FATE_OK, "mp_calls_done_total", "Calls that ended well."},
        {MPX_FATE_FAILED, "mp_calls_failed_total", "Calls whose task said that it failed."},
        {MPX_FATE_CRASHED, "mp_calls_crashed_total", "Calls whose process crashed or exited."},
        {MPX_FATE_TIMED_OUT, "mp_calls_timed_out_total", "Calls that ran over their limit."},
        {MPX_FATE_CANCELLED, "mp_calls_cancelled_total", "Calls that were cancelled."},
        {MPX_FATE_LOST, "mp_calls_lost_total", "Calls that were lost with their worker."},
        {MPX_FATE_OTHER, "mp_calls_refused_total", "Calls that no worker would or could run."},
    };
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++)
        expose_fate(self, fates[i].fate, fates[i].name, fates[i].help, out);
}

static void expose_tasks(const mpx_metrics_t *self, mpx_exposition_t *out)
{
    const mpx_task_metrics_t *task;
    expose_fates(self, out);
    mpx_expose_family(out, "mp_calls_retried_total", "counter",
                      "Calls that were given to a worker once more.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose(out, "mp_calls_retried_total", "task", task->name, (double)task->retried);
    mpx_expose_family(out, "mp_calls_queued", "gauge", "Calls that wait for a worker.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose(out, "mp_calls_queued", "task", task->name,
                   (double)(task->queued - task->delayed));
    mpx_expose_family(out, "mp_calls_delayed", "gauge",
                      "Calls that wait for their time: delayed, or to be tried again.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose(out, "mp_calls_delayed", "task", task->name, (double)task->delayed);
    mpx_expose_family(out, "mp_calls_given", "gauge", "Calls that workers have, running or next.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose(out, "mp_calls_given", "task", task->name, (double)task->given);
    mpx_expose_family(out, "mp_call_wait_seconds", "histogram",
                      "From the submission of calls until a worker has them.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose_histogram(out, "mp_call_wait_seconds", "task", task->name, &task->wait);
    mpx_expose_family(out, "mp_call_run_seconds", "histogram", "Run times of calls.");
    for (size_t i = 0; (task = task_at(self, i)); i++)
        mpx_expose_histogram(out, "mp_call_run_seconds", "task", task->name, &task->run);
}

void mpx_metrics_expose(const mpx_metrics_t *self, mpx_exposition_t *out)
{
    expose_tasks(self, out);
    mpx_expose_family(out, "mp_commit_seconds", "histogram",
                      "What commits to the data directory took.");
    mpx_expose_histogram(out, "mp_commit_seconds", NULL, NULL, &self->commits);
    mpx_expose_one(out, "mp_commits_failed_total", "counter",
                   "Commits that failed, as when the disk is full.", (double)self->commits_failed);
    mpx_expose_family(out, "mp_peers_dismissed_total", "counter",
                      "Peers that were told to go, or not let in, by reason.");
    for (int i = 0; i < CODES; i++)
        if (self->dismissed[i])
            mpx_expose(out, "mp_peers_dismissed_total", "code",
                       i ? mp_errname((mp_rc_t)-i) : "other", (double)self->dismissed[i]);
    mpx_expose_family(out, "mp_peers_lost_total", "counter",
                      "Connections that ended without a goodbye: they broke, or their heartbeat "
                      "was missed.");
    for (int i = 0; i < ROLES; i++)
        mpx_expose(out, "mp_peers_lost_total", "role", roles[i], (double)self->lost[i]);
}
