#include "scene.h"

#include "clock.h"
#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *mpx_worker_state_name(mpx_worker_state_t state)
{
    static const char *const names[MPX_WORKER_STATES] = {"serving", "paused", "draining"};
    return names[state];
}

mpx_worker_state_t mpx_scene_worker_state(const mpx_scene_t *self, uint64_t worker)
{
    mpx_worker_view_t view = {0};
    (void)mpx_sched_view_worker(mpx_engine_view(self->engine, 0).sched, worker, &view);
    if (view.draining)
        return MPX_WORKER_DRAINING;
    return view.paused ? MPX_WORKER_PAUSED : MPX_WORKER_SERVING;
}

bool mpx_scene_shows(const mpx_scene_t *self, const mpx_account_t *account)
{
    if (!self->viewer || mpx_peer_may(self->viewer, MPX_MAY_ADMIN))
        return true;
    return account->peer && strcmp(account->peer->key, self->viewer->key) == 0;
}

/* ---- jobs --------------------------------------------------------------------------- */

void mpx_scene_job_name(const mpx_scene_job_t *self, char out[MPX_SCENE_NAME_MAX])
{
    if (self->account)
        snprintf(out, MPX_SCENE_NAME_MAX, "%" PRIu64 "/%" PRIu64, self->account->serial, self->job);
    else
        snprintf(out, MPX_SCENE_NAME_MAX, "%s", self->kept.id);
}

bool mpx_scene_job_is_open(const mpx_scene_job_t *self)
{
    return self->account || !mpx_kept_view_is_over(&self->kept);
}

bool mpx_scene_shows_job(const mpx_scene_t *self, const mpx_scene_job_t *job)
{
    return job->account ? mpx_scene_shows(self, job->account)
                        : mpx_kept_view_shows(&job->kept, self->viewer);
}

typedef struct visitor {
    const mpx_account_t *account;
    void (*visit)(void *arg, const mpx_scene_job_t *job);
    void *arg;
} visitor_t;

static void visit_job(void *arg, uint64_t id, uint64_t engine, const mpx_later_view_t *later)
{
    const visitor_t *self = arg;
    mpx_scene_job_t job = {.account = self->account, .job = id, .engine = engine, .later = *later};
    self->visit(self->arg, &job);
}

static void visit_kept(void *arg, const mpx_kept_view_t *kept)
{
    const visitor_t *self = arg;
    mpx_scene_job_t job = {.kept = *kept, .engine = kept->engine};
    self->visit(self->arg, &job);
}

void mpx_scene_each_job(const mpx_scene_t *self,
                        void (*visit)(void *arg, const mpx_scene_job_t *job), void *arg)
{
    visitor_t visitor = {.account = mpx_ledger_accounts(self->ledger), .visit = visit, .arg = arg};
    for (; visitor.account; visitor.account = visitor.account->next)
        if (visitor.account->relay)
            mpx_relay_each_job(visitor.account->relay, visit_job, &visitor);
    mpx_archive_each_job(self->archive, visit_kept, &visitor);
}

/* ---- totals -------------------------------------------------------------------------- */

typedef struct counting {
    const mpx_scene_t *scene;
    mpx_totals_t *out;
} counting_t;

static void count_job(void *arg, const mpx_scene_job_t *job)
{
    const counting_t *self = arg;
    mpx_engine_view_t engine = mpx_engine_view(self->scene->engine, job->engine);
    mpx_job_view_t view;
    if (!mpx_sched_view_job(engine.sched, job->engine, &view))
        return;
    mpx_task_metrics_t *task = mpx_metrics_task(self->scene->metrics, engine.open->task);
    uint64_t delayed = view.delayed + job->later.count;
    task->queued += view.queued + delayed;
    task->delayed += delayed;
    task->given += view.given;
    self->out->jobs += mpx_scene_job_is_open(job);
    self->out->queued += view.queued + delayed;
    self->out->delayed += delayed;
    self->out->given += view.given;
    if (view.oldest < self->scene->now && self->scene->now - view.oldest > self->out->oldest_ns)
        self->out->oldest_ns = self->scene->now - view.oldest;
}

static void count_accounts(const mpx_scene_t *self, mpx_totals_t *out)
{
    const mpx_account_t *account = mpx_ledger_accounts(self->ledger);
    for (; account; account = account->next) {
        if (!account->relay)
            continue;
        mpx_relay_load_t load = mpx_relay_load(account->relay);
        out->submitted_bytes += load.submitted_bytes;
        out->unacked_bytes += load.unacked_bytes;
        out->held_clients += load.held;
        out->sessions++;
        out->sessions_away += !account->peer;
    }
}

static void count_workers(const mpx_scene_t *self, mpx_totals_t *out)
{
    mpx_worker_view_t view;
    const mpx_sched_t *sched = mpx_engine_view(self->engine, 0).sched;
    for (const mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next) {
        if (peer->state != MPX_PEER_WORKER || !mpx_sched_view_worker(sched, peer->id, &view))
            continue;
        out->worker_states[mpx_scene_worker_state(self, peer->id)]++;
        out->worker_bytes += view.bytes;
        out->worker_credit_bytes += view.credit_bytes;
    }
}

static uint64_t resident_bytes(void)
{
    unsigned long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void mpx_scene_total(const mpx_scene_t *self, mpx_totals_t *out)
{
    *out = (mpx_totals_t){0};
    mpx_task_metrics_t *task;
    for (size_t i = 0; (task = mpx_metrics_task_at(self->metrics, i)); i++)
        task->queued = task->delayed = task->given = 0;
    counting_t counting = {self, out};
    mpx_scene_each_job(self, count_job, &counting);
    count_accounts(self, out);
    count_workers(self, out);
    mpx_keeper_count(self->keeper, &out->objects);
    mpx_archive_count(self->archive, &out->kept);
    out->memory_bytes = resident_bytes();
}

/* ---- exposition ------------------------------------------------------------------------ */

static void expose_workers(const mpx_totals_t *totals, mpx_exposition_t *out)
{
    mpx_expose_family(out, "mp_workers", "gauge", "Connected workers.");
    for (int i = 0; i < MPX_WORKER_STATES; i++)
        mpx_expose(out, "mp_workers", "state", mpx_worker_state_name((mpx_worker_state_t)i),
                   (double)totals->worker_states[i]);
}

static void expose_turnover(const mpx_turnover_t *self, mpx_exposition_t *out)
{
    const struct {
        const char *cause;
        uint64_t number;
    } ends[] = {{"retired", self->retired},
                {"stopped", self->stopped},
                {"crashed", self->crashed},
                {"memory", self->memory},
                {"lost", self->lost}};
    mpx_expose_one(out, "mp_executors_started_total", "counter",
                   "Executors that workers came with, or have started.", (double)self->started);
    mpx_expose_family(out, "mp_executors_ended_total", "counter", "Of those, by why they ended.");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        mpx_expose(out, "mp_executors_ended_total", "cause", ends[i].cause, (double)ends[i].number);
}

void mpx_scene_expose(const mpx_scene_t *self, mpx_exposition_t *out)
{
    mpx_totals_t totals;
    mpx_scene_total(self, &totals);
    const struct {
        const char *name;
        const char *help;
        double number;
    } gauges[] = {
        {"mp_uptime_seconds", "Since the broker's start.",
         (double)(self->now - self->started_at) / (double)MPX_S},
        {"mp_draining", "1 while the broker shuts down.", self->draining},
        {"mp_draining_jobs", "Open jobs that it waits for then.", (double)self->drain_jobs},
        {"mp_clients", "Connected clients of calls.", self->clients},
        {"mp_executors", "Processes that run calls.", self->executors},
        {"mp_jobs", "Open jobs.", (double)totals.jobs},
        {"mp_oldest_call_age_seconds", "How long the oldest queued call waits; 0: none does.",
         (double)totals.oldest_ns / (double)MPX_S},
        {"mp_calls_bytes", "Input of calls that aren't answered.", (double)totals.submitted_bytes},
        {"mp_results_bytes", "Results that clients haven't taken.", (double)totals.unacked_bytes},
        {"mp_clients_held", "Clients that get no calls run until they take their results.",
         (double)totals.held_clients},
        {"mp_sessions", "Sessions of clients, kept ones too.", (double)totals.sessions},
        {"mp_sessions_away", "Of those, whose client is gone for now.",
         (double)totals.sessions_away},
        {"mp_worker_bytes", "Input that workers have.", (double)totals.worker_bytes},
        {"mp_worker_credit_bytes", "Input that workers may have.",
         (double)totals.worker_credit_bytes},
        {"mp_objects", "Shared objects.", (double)totals.objects.objects},
        {"mp_objects_bytes", "What they hold.", (double)totals.objects.bytes},
        {"mp_object_clients", "Clients of objects.", (double)totals.objects.tenants},
        {"mp_object_waits", "Operations on objects that wait.", (double)totals.objects.waits},
        {"mp_lock_waits", "Of those, for locks and semaphores.", (double)totals.objects.lock_waits},
        {"mp_locks_held", "Locks that somebody holds.", (double)totals.objects.locks_held},
        {"mp_kept_jobs", "Jobs that are kept for clients that come back.",
         (double)totals.kept.jobs},
        {"mp_kept_bytes", "Their inputs and results.", (double)totals.kept.bytes},
        {"mp_kept_held", "1 while their calls wait for room for outcomes.", totals.kept.held},
        {"mp_kept_oldest_age_seconds", "How old the oldest one is; 0: there is none.",
         (double)totals.kept.oldest_ms / 1000},
        {"mp_dead_letters", "Calls that ended badly, kept to be looked at or run again.",
         (double)totals.kept.letters},
        {"mp_dead_bytes", "What they hold.", (double)totals.kept.letters_bytes},
        {"mp_dead_oldest_age_seconds", "How old the oldest one is; 0: there is none.",
         (double)totals.kept.letters_oldest_ms / 1000},
        {"mp_memory_bytes", "Resident memory of the broker.", (double)totals.memory_bytes},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        mpx_expose_one(out, gauges[i].name, "gauge", gauges[i].help, gauges[i].number);
    mpx_expose_one(out, "mp_object_operations_total", "counter",
                   "Operations on objects that were carried out.",
                   (double)totals.objects.operations);
    expose_workers(&totals, out);
    expose_turnover(&self->turnover, out);
    mpx_metrics_expose(self->metrics, out);
}
