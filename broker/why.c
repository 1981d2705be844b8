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
    const char *label; /* or a kept job's id; "": all that wait; NULL: by numbers */
    size_t id_size;    /* of a kept job's id in it, if a call's number follows; else 0 */
    uint64_t client;
    uint64_t job;
    uint64_t call;
    uint64_t asked; /* of the job that is looked at */
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
static void job_name(const question_t *self, uint64_t engine, char out[MPX_SCENE_NAME_MAX])
{
    const mpx_scene_job_t key = {.engine = engine};
    const mpx_scene_job_t *found =
        self->jobs_count ? bsearch(&key, self->jobs, self->jobs_count, sizeof key, compare_jobs)
                         : NULL;
    if (found && (found->account || mpx_scene_shows_job(self->scene, found)))
        mpx_scene_job_name(found, out);
    else
        snprintf(out, MPX_SCENE_NAME_MAX, found ? "(of another owner)" : "?");
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
    char name[MPX_SCENE_NAME_MAX];
    job_name(self, reason->job, name);
    if (reason->kind == MPX_WHY_PRIORITY)
        say(text, "job %s has a higher priority, and %" PRIu64 " calls that wait", name,
            reason->number);
    else
        say(text, "it is the turn of job %s, which has %" PRIu64 " calls that wait", name,
            reason->number);
}

static void say_over(const mpx_scene_job_t *job, uint64_t call, char *text)
{
    if (job->account || call != MPX_ANY_CALL)
        say(text, "it has ended, or was not submitted yet");
    else
        say(text, "all of its calls have ended (%" PRIu64 "); mp job fetch %s gets what is left",
            job->kept.ended, job->kept.id);
}

/* Of other calls that are still with the client only their number is known. */
static void say_delay(const question_t *self, const mpx_scene_job_t *job,
                      const mpx_reason_t *reason, char *text)
{
    const mpx_later_view_t *later = &job->later;
    int64_t left = reason->at > self->scene->now ? reason->at - self->scene->now : 0;
    double seconds = (double)left / (double)MPX_S;
    size_t used = 0;
    *text = '\0';
    if (later->count && self->asked != MPX_ANY_CALL && self->asked != later->first) {
        say(text,
            "it may be one of %" PRIu64 " that wait for their time; the next, call %" PRIu64 ": ",
            later->count, later->first);
        used = strlen(text);
    }
    if (reason->code == MP_OK)
        snprintf(text + used, TEXT_MAX - used, "its delay is over in %.1f s", seconds);
    else
        snprintf(text + used, TEXT_MAX - used,
                 "tried again in %.1f s, after %s: attempt %" PRIu64 " of %" PRIu64, seconds,
                 mp_errname(reason->code), reason->number, reason->of);
}

static void say_hold(const mpx_scene_job_t *job, char *text)
{
    say(text, job->account
                  ? "its client doesn't take its results: its window of unacknowledged bytes is "
                    "full"
                  : "the broker has no room for its outcome (--kept-bytes): fetch or drop jobs "
                    "(mp job list)");
}

/* Of what it needs. */
static void say_lack(const mpx_open_t *open, const mpx_reason_t *reason, char *text)
{
    if (reason->kind == MPX_WHY_UNFIT)
        say(text, "workers that offer '%s', but not what it needs (%s): %" PRIu64, open->task,
            open->needs, reason->number);
    else
        say(text, "workers that have too little left of what it needs (%s): %" PRIu64, open->needs,
            reason->number);
}

static void say_drain(const mpx_open_t *open, const mpx_reason_t *reason, char *text)
{
    bool picky = open->needs && *open->needs;
    say(text, "of the workers that offer '%s'%s%s all drain or are paused (%" PRIu64 ")",
        open->task, picky ? " and have " : "", picky ? open->needs : "", reason->number);
}

static void say_reason(const question_t *self, const mpx_scene_job_t *job, const mpx_open_t *open,
                       const mpx_reason_t *reason, char *text)
{
    switch (reason->kind) {
    case MPX_WHY_OVER:
        say_over(job, self->asked, text);
        break;
    case MPX_WHY_RUNNING:
    case MPX_WHY_GIVEN:
        say_where(self, reason, text);
        break;
    case MPX_WHY_DELAYED:
        say_delay(self, job, reason, text);
        break;
    case MPX_WHY_HELD:
        say_hold(job, text);
        break;
    case MPX_WHY_NO_WORKER:
    case MPX_WHY_NO_TASK:
        say_absence(self, open, reason, text);
        break;
    case MPX_WHY_DRAINING:
        say_drain(open, reason, text);
        break;
    case MPX_WHY_UNFIT:
    case MPX_WHY_NEEDS:
        say_lack(open, reason, text);
        add_patience(self, reason, text);
        break;
    case MPX_WHY_BUSY:
        say(text, "workers that offer '%s' and are busy: %" PRIu64, open->task, reason->number);
        break;
    case MPX_WHY_NO_CREDIT:
        say(text, "workers with an idle slot, but no credit for %" PRIu64 " bytes more: %" PRIu64,
            reason->bytes, reason->number);
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
        [MPX_WHY_OVER] = "over",           [MPX_WHY_RUNNING] = "running",
        [MPX_WHY_GIVEN] = "given",         [MPX_WHY_DELAYED] = "delayed",
        [MPX_WHY_HELD] = "window_full",    [MPX_WHY_NO_WORKER] = "no_worker",
        [MPX_WHY_NO_TASK] = "no_task",     [MPX_WHY_DRAINING] = "draining",
        [MPX_WHY_UNFIT] = "unfit",         [MPX_WHY_BUSY] = "busy",
        [MPX_WHY_NO_CREDIT] = "no_credit", [MPX_WHY_NEEDS] = "needs",
        [MPX_WHY_PRIORITY] = "priority",   [MPX_WHY_TURN] = "turn",
        [MPX_WHY_BEHIND] = "behind",
    };
    return names[kind];
}

/* Nothing of a kept job that is held is for a window. */
static const char *name_of(const mpx_scene_job_t *job, mpx_reason_kind_t kind)
{
    return kind == MPX_WHY_HELD && !job->account ? "no_room" : kind_name(kind);
}

static const char *state_name(const mpx_scene_job_t *job, mpx_reason_kind_t kind)
{
    if (kind == MPX_WHY_OVER && !job->account && mpx_scene_job_is_open(job))
        return "open";
    return kind > MPX_WHY_DELAYED ? "queued" : kind_name(kind);
}

/* ---- facts ------------------------------------------------------------------------------ */

static void tell_call(const question_t *self, const mpx_scene_job_t *job, const mpx_open_t *open,
                      mpx_reason_kind_t kind)
{
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "call"),
        MPX_OWNER(job),
        MPX_JOB("job", job),
        MPX_BOOL("kept", !job->account),
        {.key = "call",
         .type = self->asked == MPX_ANY_CALL ? MPX_PAIR_NULL : MPX_PAIR_INT,
         .integer = (int64_t)self->asked},
        MPX_TEXT_OF("client_name", job->account ? job->account->name : job->kept.owner),
        MPX_TEXT_OF("task", open->task),
        MPX_TEXT_OF("label", open->label),
        MPX_TEXT_OF("state", state_name(job, kind)),
    };
    mpx_facts_add(self->facts, pairs, sizeof pairs / sizeof *pairs, NULL, NULL);
}

static void tell_reason(const question_t *self, const char *kind, const char *text)
{
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "reason"),
        MPX_TEXT_OF("kind", kind),
        MPX_TEXT_OF("text", text),
    };
    mpx_facts_add(self->facts, pairs, sizeof pairs / sizeof *pairs, NULL, NULL);
}

/* Of a kept job that isn't closed: what is known of the inputs that it may still get. */
static void tell_maker(const question_t *self, const mpx_kept_view_t *kept)
{
    char text[TEXT_MAX];
    int64_t left = kept->maker_until > self->scene->now ? kept->maker_until - self->scene->now : 0;
    const char *kind = kept->maker == MPX_MAKER_GONE ? "maker_gone" : "maker_away";
    switch (kept->maker) {
    case MPX_MAKER_DONE:
        return;
    case MPX_MAKER_HERE:
        kind = "open";
        say(text, "its maker is connected, and may give it more than %" PRIu64 " inputs",
            kept->calls);
        break;
    case MPX_MAKER_AWAY:
        say(text,
            "its maker is gone and has not closed it: it is waited for, %.1f s more, with "
            "%" PRIu64 " inputs so far",
            (double)left / (double)MPX_S, kept->calls);
        break;
    case MPX_MAKER_GONE:
        say(text,
            "its maker is gone for good and never closed it: it has %" PRIu64
            " inputs, and gets no more",
            kept->calls);
        break;
    }
    tell_reason(self, kind, text);
}

/* ID, or OWNER/ID where more than one owner has it. */
static bool is_named(const mpx_scene_job_t *job, const char *text, size_t size)
{
    const mpx_kept_view_t *kept = &job->kept;
    if (job->account)
        return false;
    size_t owner = strlen(kept->owner);
    if (owner && size > owner && text[owner] == '/' && memcmp(text, kept->owner, owner) == 0) {
        text += owner + 1;
        size -= owner + 1;
    }
    return strlen(kept->id) == size && memcmp(text, kept->id, size) == 0;
}

/* Also which call of it. */
static bool is_meant(question_t *self, const mpx_scene_job_t *job, const mpx_open_t *open)
{
    const char *label = self->label;
    self->asked = label ? MPX_ANY_CALL : self->call;
    if (!label)
        return job->account && job->account->serial == self->client && job->job == self->job;
    if (!*label || strcmp(open->label, label) == 0 || is_named(job, label, strlen(label)))
        return true;
    self->asked = self->call;
    return self->id_size && is_named(job, label, self->id_size);
}

/* Or might, if who can put more came back. */
static bool waits(const mpx_scene_job_t *job, const mpx_job_view_t *view)
{
    return view->queued + view->delayed + job->later.count > 0 ||
           (!job->account && job->kept.maker == MPX_MAKER_AWAY);
}

/* What the scheduler here doesn't have its client may. */
static size_t add_later(const question_t *self, const mpx_scene_job_t *job, mpx_reason_t *reasons,
                        size_t count)
{
    const mpx_later_view_t *later = &job->later;
    mpx_reason_t reason = {.kind = MPX_WHY_DELAYED,
                           .number = later->attempt,
                           .of = later->of,
                           .code = later->code,
                           .at = later->at};
    bool is_elsewhere = count == 1 && reasons[0].kind == MPX_WHY_OVER;
    if (!later->count || (!is_elsewhere && self->asked != MPX_ANY_CALL))
        return count;
    size_t place = is_elsewhere ? 0 : count < REASONS_MAX ? count : REASONS_MAX - 1;
    reasons[place] = reason;
    return place + 1;
}

static void explain_job(void *arg, const mpx_scene_job_t *job)
{
    question_t *self = arg;
    mpx_engine_view_t engine = mpx_engine_view(self->scene->engine, job->engine);
    mpx_job_view_t view;
    char text[TEXT_MAX];
    if (self->found >= JOBS_MAX || !mpx_scene_shows_job(self->scene, job) ||
        !is_meant(self, job, engine.open) || !mpx_sched_view_job(engine.sched, job->engine, &view))
        return;
    if (self->label && !*self->label && !waits(job, &view))
        return;
    mpx_reason_t reasons[REASONS_MAX];
    size_t count = mpx_sched_explain(engine.sched, job->engine, self->asked, reasons, REASONS_MAX);
    count = add_later(self, job, reasons, count);
    self->found++;
    if (count)
        tell_call(self, job, engine.open, reasons[0].kind);
    for (size_t i = 0; i < count; i++) {
        say_reason(self, job, engine.open, &reasons[i], text);
        tell_reason(self, name_of(job, reasons[i].kind), text);
    }
    if (!job->account && self->asked == MPX_ANY_CALL)
        tell_maker(self, &job->kept);
}

/* ID/CALL, of a kept job; a label may look like it. */
static void parse_id(question_t *self, const char *what)
{
    const char *slash = strrchr(what, '/');
    char *end = NULL;
    self->label = what;
    self->call = MPX_ANY_CALL;
    if (!slash || slash[1] < '0' || slash[1] > '9')
        return;
    uint64_t call = strtoull(slash + 1, &end, 10);
    if (*end)
        return;
    self->id_size = (size_t)(slash - what);
    self->call = call;
}

/* Numbers with slashes between them; anything else is a label, or a kept job's id. */
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
    if (count < 2 || *at || at[-1] == '/')
        parse_id(self, what);
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
