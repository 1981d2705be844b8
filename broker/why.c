#include "why.h"

#include "clock.h"
#include "explain.h"
#include "offers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REASONS_MAX = 16, /* of one call */
    JOBS_MAX = 100,   /* that one question is about */
    TEXT_MAX = 1024
};

typedef struct question {
    mpx_facts_t *facts;
    const mpx_scene_t *scene;
    const char *label; /* "": all that wait; NULL: by numbers */
    uint64_t client;
    uint64_t job;
    uint64_t call;
    size_t found;
    mpx_scene_job_t *jobs; /* all there are, by their number on the engine */
    size_t jobs_count;
    size_t jobs_room;
} question_t;

static void say(char *text, const char *format, ...) MP_PRINTF(2, 3);

static void say(char *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text, TEXT_MAX, format, args);
    va_end(args);
}

/* ---- names ------------------------------------------------------------------------------ */

static const char *worker_name(const question_t *self, uint64_t worker)
{
    for (const mpx_peer_t *peer = self->scene->peers; peer; peer = peer->hh.next)
        if (peer->id == worker)
            return peer->name;
    return "?";
}

static void list_job(void *arg, const mpx_scene_job_t *job)
{
    question_t *self = arg;
    if (self->jobs_count < self->jobs_room)
        self->jobs[self->jobs_count++] = *job;
}

static int compare_jobs(const void *a, const void *b)
{
    const mpx_scene_job_t *x = a, *y = b;
    return (x->engine > y->engine) - (x->engine < y->engine);
}

/* All jobs by our numbers, once for the question: it may be about many, and each has rivals. */
static void list_jobs(question_t *self)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->scene->engine, &counts);
    self->jobs = calloc((size_t)counts.jobs + 1, sizeof *self->jobs);
    self->jobs_room = self->jobs ? counts.jobs : 0;
    mpx_scene_each_job(self->scene, list_job, self);
    if (self->jobs)
        qsort(self->jobs, self->jobs_count, sizeof *self->jobs, compare_jobs);
}

/* How people call another job. */
static void job_name(const question_t *self, uint64_t engine, char out[64])
{
    const mpx_scene_job_t key = {.engine = engine};
    const mpx_scene_job_t *found =
        self->jobs_count ? bsearch(&key, self->jobs, self->jobs_count, sizeof key, compare_jobs)
                         : NULL;
    if (found)
        snprintf(out, 64, "%" PRIu64 "/%" PRIu64, found->account->serial, found->job);
    else
        snprintf(out, 64, "?");
}

/* ---- words ------------------------------------------------------------------------------ */

/* What becomes of calls that nobody takes, and when. */
static void add_patience(const question_t *self, const mpx_reason_t *reason, char *text)
{
    size_t used = strlen(text);
    if (reason->at != MPX_NEVER)
        snprintf(text + used, TEXT_MAX - used, "; the call fails in %lld ms",
                 (long long)((reason->at - self->scene->now) / MPX_MS));
}

static void say_absence(const question_t *self, const mpx_open_t *open, const mpx_reason_t *reason,
                        char *text)
{
    mpx_engine_view_t engine = mpx_engine_view(self->scene->engine, 0);
    mp_rc_t rc = mpx_offers_explain(engine.offers, open->task, open->signature, text, TEXT_MAX);
    const char *nearest = rc == MP_ENOTASK ? mpx_offers_nearest(engine.offers, open->task) : NULL;
    size_t used = strlen(text);
    if (nearest)
        snprintf(text + used, TEXT_MAX - used, "; did you mean '%s'?", nearest);
    add_patience(self, reason, text);
}

static void say_where(const question_t *self, const mpx_reason_t *reason, char *text)
{
    const char *worker = worker_name(self, reason->worker);
    long long ms = (long long)((self->scene->now - reason->at) / MPX_MS);
    if (reason->kind == MPX_WHY_RUNNING)
        say(text, "it runs on worker %s, since %lld ms", worker, ms);
    else if (reason->number)
        say(text, "worker %s has it, behind %" PRIu64 " other calls of its chunk", worker,
            reason->number);
    else
        say(text, "worker %s has it: it is next, or runs already", worker);
}

static void say_rival(const question_t *self, const mpx_reason_t *reason, char *text)
{
    char name[64];
    job_name(self, reason->job, name);
    if (reason->kind == MPX_WHY_PRIORITY)
        say(text, "job %s has a higher priority, and %" PRIu64 " calls that wait", name,
            reason->number);
    else
        say(text, "it is the turn of job %s, which has %" PRIu64 " calls that wait", name,
            reason->number);
}

static void say_reason(const question_t *self, const mpx_open_t *open, const mpx_reason_t *reason,
                       char *text)
{
    switch (reason->kind) {
    case MPX_WHY_OVER:
        say(text, "it has ended, or was not submitted yet");
        break;
    case MPX_WHY_RUNNING:
    case MPX_WHY_GIVEN:
        say_where(self, reason, text);
        break;
    case MPX_WHY_DELAYED:
        say(text, "attempt %" PRIu64 " begins in %lld ms", reason->number,
            (long long)((reason->at - self->scene->now) / MPX_MS));
        break;
    case MPX_WHY_HELD:
        say(text, "its client doesn't take its results: its window of unacknowledged bytes is "
                  "full");
        break;
    case MPX_WHY_NO_WORKER:
    case MPX_WHY_NO_TASK:
        say_absence(self, open, reason, text);
        break;
    case MPX_WHY_DRAINING:
        say(text, "of the workers that offer '%s' all drain or are paused (%" PRIu64 ")",
            open->task, reason->number);
        break;
    case MPX_WHY_BUSY:
        say(text, "workers that offer '%s' and are busy: %" PRIu64, open->task, reason->number);
        break;
    case MPX_WHY_NO_CREDIT:
        say(text, "workers with an idle slot, but no credit for %" PRIu64 " bytes more: %" PRIu64,
            reason->bytes, reason->number);
        break;
    case MPX_WHY_NEEDS:
        say(text, "workers that have too little left of what it needs: %" PRIu64, reason->number);
        break;
    case MPX_WHY_PRIORITY:
    case MPX_WHY_TURN:
        say_rival(self, reason, text);
        break;
    case MPX_WHY_BEHIND:
        say(text, "calls of its own job that come first: %" PRIu64, reason->number);
        break;
    }
}

static const char *kind_name(mpx_reason_kind_t kind)
{
    static const char *const names[] = {
        [MPX_WHY_OVER] = "over",        [MPX_WHY_RUNNING] = "running",
        [MPX_WHY_GIVEN] = "given",      [MPX_WHY_DELAYED] = "delayed",
        [MPX_WHY_HELD] = "window_full", [MPX_WHY_NO_WORKER] = "no_worker",
        [MPX_WHY_NO_TASK] = "no_task",  [MPX_WHY_DRAINING] = "draining",
        [MPX_WHY_BUSY] = "busy",        [MPX_WHY_NO_CREDIT] = "no_credit",
        [MPX_WHY_NEEDS] = "needs",      [MPX_WHY_PRIORITY] = "priority",
        [MPX_WHY_TURN] = "turn",        [MPX_WHY_BEHIND] = "behind",
    };
    return names[kind];
}

/* ---- facts ------------------------------------------------------------------------------ */

static void tell_call(const question_t *self, const mpx_scene_job_t *job, const mpx_open_t *open,
                      mpx_reason_kind_t kind)
{
    const char *state = kind > MPX_WHY_DELAYED ? "queued" : kind_name(kind);
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "call"),
        MPX_INT("client", job->account->serial),
        MPX_INT("job", job->job),
        {.key = "call",
         .type = self->call == MPX_ANY_CALL ? MPX_PAIR_NULL : MPX_PAIR_INT,
         .integer = (int64_t)self->call},
        MPX_TEXT_OF("client_name", job->account->name),
        MPX_TEXT_OF("task", open->task),
        MPX_TEXT_OF("label", open->label),
        MPX_TEXT_OF("state", state),
    };
    mpx_facts_add(self->facts, pairs, sizeof pairs / sizeof *pairs, NULL, NULL);
}

static void tell_reason(const question_t *self, const mpx_open_t *open, const mpx_reason_t *reason)
{
    char text[TEXT_MAX] = "";
    say_reason(self, open, reason, text);
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "reason"),
        MPX_TEXT_OF("kind", kind_name(reason->kind)),
        MPX_TEXT_OF("text", text),
    };
    mpx_facts_add(self->facts, pairs, sizeof pairs / sizeof *pairs, NULL, NULL);
}

static bool is_meant(const question_t *self, const mpx_scene_job_t *job, const mpx_open_t *open)
{
    if (!self->label)
        return job->account->serial == self->client && job->job == self->job;
    return !*self->label || strcmp(open->label, self->label) == 0;
}

static void explain_job(void *arg, const mpx_scene_job_t *job)
{
    question_t *self = arg;
    mpx_engine_view_t engine = mpx_engine_view(self->scene->engine, job->engine);
    mpx_job_view_t view;
    if (self->found >= JOBS_MAX || !mpx_scene_shows(self->scene, job->account) ||
        !is_meant(self, job, engine.open) || !mpx_sched_view_job(engine.sched, job->engine, &view))
        return;
    if (self->label && !*self->label && view.queued + view.delayed == 0)
        return;
    mpx_reason_t reasons[REASONS_MAX];
    size_t count = mpx_sched_explain(engine.sched, job->engine, self->call, reasons, REASONS_MAX);
    self->found++;
    if (count)
        tell_call(self, job, engine.open, reasons[0].kind);
    for (size_t i = 0; i < count; i++)
        tell_reason(self, engine.open, &reasons[i]);
}

/* Numbers with slashes between them; anything else is a label. */
static void parse(question_t *self, const char *what)
{
    uint64_t *const parts[] = {&self->client, &self->job, &self->call};
    const char *at = what;
    size_t count = 0;
    while (count < 3 && *at >= '0' && *at <= '9') {
        char *end = NULL;
        *parts[count++] = strtoull(at, &end, 10);
        at = end + (*end == '/' && count < 3);
        if (*end != '/')
            break;
    }
    self->label = count >= 2 && !*at && at[-1] != '/' ? NULL : what;
    if (self->label)
        self->call = MPX_ANY_CALL;
}

mp_rc_t mpx_why_tell(mpx_facts_t *facts, const mpx_scene_t *scene, const char *what)
{
    question_t self = {.facts = facts, .scene = scene, .call = MPX_ANY_CALL};
    parse(&self, what);
    list_jobs(&self);
    mpx_scene_each_job(scene, explain_job, &self);
    free(self.jobs);
    return self.found || !*what ? MP_OK : MP_ENOTFOUND;
}
