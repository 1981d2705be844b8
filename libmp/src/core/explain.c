#include "explain.h"

#include "sched_private.h"

/* ---- views -------------------------------------------------------------------------- */

bool mpx_sched_view_job(const mpx_sched_t *self, uint64_t id, mpx_job_view_t *out)
{
    const job_t *job = mpx_job_find(self, id);
    if (!job)
        return false;
    *out = (mpx_job_view_t){
        .queued = job->queued,
        .delayed = job->delayed,
        .given = job->given,
        .priority = job->policy.priority,
        .held = job->held,
        .oldest = job->spans ? job->spans->since : MPX_NEVER,
        .service_ns = job->service_ns,
    };
    return true;
}

static bool has(uint64_t first, uint32_t count, uint64_t call)
{
    return call == MPX_ANY_CALL || (call >= first && call - first < count);
}

static const span_t *next_later(const job_t *job, uint64_t call)
{
    const span_t *next = NULL;
    for (const span_t *span = job->later; span; span = span->next)
        if (has(span->first, span->count, call) && (!next || span->delay.at < next->delay.at))
            next = span;
    return next;
}

/* As far as it is known: more losses may be free. */
static uint32_t attempts_of(const span_t *span)
{
    return span->job->policy.retries + 1 + span->losses;
}

bool mpx_sched_view_later(const mpx_sched_t *self, uint64_t id, mpx_later_view_t *out)
{
    const job_t *job = mpx_job_find(self, id);
    const span_t *next = job ? next_later(job, MPX_ANY_CALL) : NULL;
    if (!next)
        return false;
    *out = (mpx_later_view_t){
        .count = job->delayed,
        .first = next->first,
        .attempt = next->attempt,
        .of = attempts_of(next),
        .code = next->cause,
        .at = next->delay.at,
    };
    return true;
}

bool mpx_sched_view_worker(const mpx_sched_t *self, uint64_t id, mpx_worker_view_t *out)
{
    const worker_t *worker = NULL;
    HASH_FIND(hh, self->workers, &id, sizeof id, worker);
    if (!worker)
        return false;
    *out = (mpx_worker_view_t){
        .slots = worker->slots,
        .chunks = worker->chunks_count,
        .bytes = worker->bytes,
        .credit_bytes = worker->credit_bytes,
        .draining = worker->draining && !worker->paused,
        .paused = worker->paused,
    };
    return true;
}

/* ---- reasons ------------------------------------------------------------------------ */

typedef struct inquiry {
    const mpx_sched_t *sched;
    const job_t *job;
    const span_t *span; /* where the call is queued */
    uint64_t ahead;     /* calls of its job that come first */
    mpx_reason_t *out;
    size_t room;
    size_t count;
} inquiry_t;

static void add(inquiry_t *self, mpx_reason_t reason)
{
    if (self->count < self->room)
        self->out[self->count++] = reason;
}

static bool find_queued(inquiry_t *self, uint64_t call)
{
    self->ahead = 0;
    for (const span_t *span = self->job->spans; span; span = span->next) {
        if (has(span->first, span->count, call)) {
            self->span = span;
            self->ahead += call == MPX_ANY_CALL ? 0 : call - span->first;
            return true;
        }
        self->ahead += span->count;
    }
    return false;
}

static bool explain_delayed(inquiry_t *self, uint64_t call)
{
    const span_t *next = next_later(self->job, call);
    if (next)
        add(self, (mpx_reason_t){.kind = MPX_WHY_DELAYED,
                                 .number = next->attempt,
                                 .of = attempts_of(next),
                                 .code = next->cause,
                                 .at = next->delay.at});
    return next != NULL;
}

static bool explain_given(inquiry_t *self, uint64_t call)
{
    for (const chunk_t *chunk = self->job->chunks; chunk; chunk = chunk->job_next) {
        uint64_t first = chunk->first + chunk->done;
        if (chunk->orphan || !has(first, chunk->count - chunk->done, call))
            continue;
        uint64_t before = call == MPX_ANY_CALL ? 0 : call - first;
        mpx_reason_kind_t kind = chunk->started && before == 0 ? MPX_WHY_RUNNING : MPX_WHY_GIVEN;
        add(self, (mpx_reason_t){.kind = kind,
                                 .worker = chunk->worker->id,
                                 .number = before,
                                 .at = kind == MPX_WHY_RUNNING ? chunk->began : MPX_NEVER});
        return true;
    }
    return false;
}

/* ---- why a queued call is -------------------------------------------------------------- */

static void explain_hold(inquiry_t *self)
{
    if (self->job->held)
        add(self, (mpx_reason_t){.kind = MPX_WHY_HELD, .at = MPX_NEVER});
}

/* Nobody takes such calls: whether anybody would, and how long that is borne with. Those who would
 * but for what the calls need are told apart: to wait for them is in vain. */
static void explain_absence(inquiry_t *self)
{
    const need_t *need = self->job->need;
    const mpx_heap_node_t *patience = &self->job->patience;
    const need_t task = {.task = need->task};
    uint64_t draining = 0, unfit = 0;
    for (const worker_t *worker = self->sched->workers; worker; worker = worker->hh.next) {
        bool can = mpx_kind_can(worker->kind, need);
        draining += worker->draining && can;
        unfit += !worker->draining && !can && mpx_kind_can(worker->kind, &task);
    }
    if (need->takers > 0)
        return;
    if (draining > 0)
        add(self, (mpx_reason_t){.kind = MPX_WHY_DRAINING, .number = draining, .at = MPX_NEVER});
    if (unfit > 0)
        add(self, (mpx_reason_t){.kind = MPX_WHY_UNFIT,
                                 .number = unfit,
                                 .at = patience->slot ? patience->at : MPX_NEVER});
    if (!draining && !unfit)
        add(self, (mpx_reason_t){.kind = self->sched->workers ? MPX_WHY_NO_TASK : MPX_WHY_NO_WORKER,
                                 .number = HASH_COUNT(self->sched->workers),
                                 .at = patience->slot ? patience->at : MPX_NEVER});
}

static void explain_workers(inquiry_t *self)
{
    uint64_t busy = 0;
    uint64_t cramped = 0;
    uint64_t lacking = 0;
    for (const worker_t *worker = self->sched->workers; worker; worker = worker->hh.next) {
        if (worker->draining || !mpx_kind_can(worker->kind, self->job->need))
            continue;
        if (mpx_worker_lacks(worker, self->job->need))
            lacking++;
        else if (worker->list == &self->sched->cramped)
            cramped++;
        else if (worker->chunks_count > 0)
            busy++;
    }
    if (cramped)
        add(self, (mpx_reason_t){.kind = MPX_WHY_NO_CREDIT,
                                 .number = cramped,
                                 .bytes = self->span->bytes,
                                 .at = MPX_NEVER});
    if (lacking)
        add(self, (mpx_reason_t){.kind = MPX_WHY_NEEDS, .number = lacking, .at = MPX_NEVER});
    if (busy)
        add(self, (mpx_reason_t){.kind = MPX_WHY_BUSY, .number = busy, .at = MPX_NEVER});
}

/* Whether some worker could run calls of both. */
static bool compete(const mpx_sched_t *self, const need_t *one, const need_t *other)
{
    if (one == other)
        return true;
    for (const kind_t *kind = self->kinds; kind; kind = kind->next)
        if (kind->takers > 0 && mpx_kind_can(kind, one) && mpx_kind_can(kind, other))
            return true;
    return false;
}

static void explain_rival(inquiry_t *self, const job_t *rival)
{
    int difference = rival->policy.priority - self->job->policy.priority;
    if (rival == self->job || difference < 0)
        return;
    if (difference == 0 && (!self->job->in_ring || !mpx_share_precedes(rival, self->job)))
        return;
    add(self, (mpx_reason_t){.kind = difference ? MPX_WHY_PRIORITY : MPX_WHY_TURN,
                             .job = rival->id,
                             .number = rival->queued,
                             .at = MPX_NEVER});
}

static void explain_rivals(inquiry_t *self)
{
    for (const need_t *need = self->sched->ready; need; need = need->ready_next) {
        if (!compete(self->sched, self->job->need, need))
            continue;
        for (const job_t *rival = need->jobs; rival; rival = rival->need_next)
            if (rival->in_ring)
                explain_rival(self, rival);
    }
}

static void explain_own(inquiry_t *self)
{
    if (self->ahead)
        add(self, (mpx_reason_t){.kind = MPX_WHY_BEHIND, .number = self->ahead, .at = MPX_NEVER});
}

/* Whatever else may keep a call from being given out: a function, and its kinds of reasons. */
static void (*const explanations[])(inquiry_t *) = {
    explain_hold, explain_absence, explain_workers, explain_own, explain_rivals,
};

size_t mpx_sched_explain(const mpx_sched_t *self, uint64_t id, uint64_t call, mpx_reason_t *out,
                         size_t room)
{
    inquiry_t inquiry = {.sched = self, .job = mpx_job_find(self, id), .out = out, .room = room};
    if (!inquiry.job)
        return 0;
    if (find_queued(&inquiry, call)) {
        for (size_t i = 0; i < sizeof explanations / sizeof *explanations; i++)
            explanations[i](&inquiry);
    } else if (!explain_delayed(&inquiry, call) && !explain_given(&inquiry, call)) {
        add(&inquiry, (mpx_reason_t){.kind = MPX_WHY_OVER, .at = MPX_NEVER});
    }
    return inquiry.count;
}
