/* check.c: the invariants of the scheduler's state, for tests. Slow on purpose: it counts
 * everything anew and believes no field. */
#include "sched_private.h"

static starving_t starving_of(const mpx_sched_t *self, const need_t *need)
{
    return need->takers ? FED : self->takers ? NO_CAPABLE_WORKER : NO_WORKER;
}

/* ---- jobs --------------------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
    return a < b + b_count && b < a + a_count;
}

/* Whether a call of the range also is in a chunk after that one. */
static bool in_chunks(const chunk_t *chunk, uint64_t first, uint64_t count)
{
    for (; chunk; chunk = chunk->job_next)
        if (!chunk->orphan &&
            overlap(first, count, chunk->first + chunk->done, chunk->count - chunk->done))
            return true;
    return false;
}

static const char *check_places(const job_t *job)
{
    for (const span_t *span = job->spans; span; span = span->next) {
        if (in_chunks(job->chunks, span->first, span->count))
            return "a call is queued and given";
        for (const span_t *other = span->next; other; other = other->next)
            if (overlap(span->first, span->count, other->first, other->count))
                return "a call is queued twice";
    }
    for (const chunk_t *chunk = job->chunks; chunk; chunk = chunk->job_next)
        if (!chunk->orphan &&
            in_chunks(chunk->job_next, chunk->first + chunk->done, chunk->count - chunk->done))
            return "a call is given twice";
    return NULL;
}

static bool lapses(const span_t *span)
{
    return span->deadline == MPX_NEVER ? !span->lapse.slot
                                       : span->lapse.slot && span->lapse.at == span->deadline;
}

static const char *check_later(const job_t *job)
{
    uint64_t delayed = 0;
    for (const span_t *span = job->later; span; span = span->next) {
        if (span->job != job || !span->delay.slot)
            return "a delayed call would never come back";
        if (!lapses(span))
            return "a delayed call's deadline is astray";
        delayed += span->count;
    }
    return delayed == job->delayed ? NULL : "a job's delayed calls are miscounted";
}

static const char *check_spans(const job_t *job)
{
    uint64_t queued = 0;
    bool cursor = !job->cursor;
    for (const span_t *span = job->spans; span; span = span->next) {
        const span_t *next = span->next;
        if (span->count == 0)
            return "a span is empty";
        if (span->job != job || !lapses(span))
            return "a queued call's deadline is astray";
        if (next && next->returned && (!span->returned || span->first >= next->first))
            return "a returned span is out of order";
        cursor = cursor || (span == job->cursor && span->returned);
        queued += span->count;
    }
    if (!cursor)
        return "a job's cursor is astray";
    return queued == job->queued ? NULL : "a job's queued calls are miscounted";
}

static const char *check_patience(const job_t *job)
{
    starving_t starving = job->queued ? job->need->starving : FED;
    int64_t limit = starving == NO_WORKER           ? job->policy.wait_ns
                    : starving == NO_CAPABLE_WORKER ? job->policy.absent_ns
                                                    : 0;
    if (job->starving != starving)
        return "a job doesn't know whether it starves";
    if ((job->patience.slot != 0) != (limit != 0))
        return "a job waits without end, or for nothing";
    if (limit && job->patience.at != mpx_after(job->since[starving], limit))
        return "a job's patience ends at another time";
    return NULL;
}

static const char *check_job(const job_t *job)
{
    uint64_t given = 0;
    for (const chunk_t *chunk = job->chunks; chunk; chunk = chunk->job_next) {
        if (chunk->job != job || chunk->job_id != job->id)
            return "a job lists another's chunk";
        given += chunk->orphan ? 0 : chunk->count - chunk->done;
    }
    if (given != job->given)
        return "a job's given calls are miscounted";
    if (job->in_ring != (job->queued > 0 && !job->held))
        return "a job is in the ring and should not be, or the other way round";
    if (job->in_ring != (job->ring.slot != 0) || (job->in_ring && job->ring.at > job->pass))
        return "a job's place in the ring is astray";
    const char *wrong = check_spans(job);
    if (!wrong)
        wrong = check_later(job);
    if (!wrong)
        wrong = check_patience(job);
    return wrong ? wrong : check_places(job);
}

static const char *check_need(const mpx_sched_t *self, const need_t *need)
{
    uint64_t takers = 0;
    uint64_t slots = 0;
    uint64_t ready = 0;
    for (const worker_t *worker = self->workers; worker; worker = worker->hh.next) {
        if (worker->draining || !mpx_kind_can(worker->kind, need))
            continue;
        takers++;
        slots += worker->slots;
    }
    if (takers != need->takers || slots != need->slots || need->starving != starving_of(self, need))
        return "a need's workers are miscounted";
    for (const job_t *job = need->jobs; job; job = job->need_next) {
        if (job->need != need || job->policy.task != need->task || !job->share)
            return "a need lists another's job";
        ready += job->in_ring;
    }
    if (ready != need->ringed)
        return "a need's jobs are miscounted";
    for (const level_t *level = need->levels; level; level = level->next) {
        if (level->next && level->next->priority >= level->priority)
            return "priorities are out of order";
        for (const share_t *share = level->shares; share; share = share->hh.next) {
            ready -= share->ring.count;
            if (share->level != level || share->party->tier->priority != level->priority)
                return "a share is another priority's";
            if ((share->ring.count > 0) != (share->node.slot != 0) ||
                (share->node.slot && share->node.at > share->party->pass))
                return "a share's place in the ring is astray";
        }
    }
    return ready ? "a ring lacks a job" : NULL;
}

/* ---- workers ------------------------------------------------------------------------ */

static const char *check_chunk(const mpx_sched_t *self, const chunk_t *chunk)
{
    if (mpx_table_find(&self->chunks, chunk->id) != chunk)
        return "a chunk can't be found";
    if (chunk->done >= chunk->count)
        return "a chunk that is over is still listed";
    if (!chunk->job && !chunk->orphan)
        return "a chunk lost its job";
    const mpx_policy_t *policy = chunk->job ? &chunk->job->policy : NULL;
    bool limited = policy && (policy->call_limit_ns || (policy->soft_limit_ns && !chunk->warned));
    bool watched = !chunk->killed &&
                   (chunk->orphan || (limited && chunk->started) || chunk->deadline != MPX_NEVER);
    return watched == (chunk->timer.slot != 0) ? NULL : "a chunk's deadline is astray";
}

static bool listed(const worker_t *worker)
{
    const worker_t *other = *worker->list;
    while (other && other != worker)
        other = other->list_next;
    return other != NULL;
}

/* Whether a job of another need comes first, and waits for a capacity that this one needs, too. */
static bool is_kept_back(const mpx_sched_t *self, const worker_t *worker, const need_t *need)
{
    uint32_t needed = mpx_worker_needed(worker, need);
    for (const need_t *other = self->ready; other; other = other->ready_next)
        if (other != need && mpx_kind_can(worker->kind, other) &&
            (mpx_worker_lacks(worker, other) & needed) &&
            mpx_share_precedes(mpx_need_next(other), mpx_need_next(need)))
            return true;
    return false;
}

/* Whether there is a call that the worker could be given now, as far as capacities go. */
static bool could_run(const mpx_sched_t *self, const worker_t *worker, const need_t *need)
{
    return mpx_kind_can(worker->kind, need) && !mpx_worker_lacks(worker, need) &&
           !is_kept_back(self, worker, need);
}

/* false: it has a chunk that needs what it hasn't. */
static bool count_used(const worker_t *worker, uint64_t used[MPX_TRAITS_MAX])
{
    for (const chunk_t *chunk = worker->chunks; chunk; chunk = chunk->worker_next)
        for (size_t i = 0; chunk->demand && i < chunk->demand->traits.count; i++) {
            const mpx_trait_t *trait = &chunk->demand->traits.items[i];
            int place = mpx_traits_find(&worker->kind->have, trait->name);
            if (place < 0)
                return false;
            used[place] += trait->amount;
        }
    return true;
}

static const char *check_capacities(const mpx_sched_t *self, const worker_t *worker)
{
    uint64_t used[MPX_TRAITS_MAX] = {0};
    bool has = true;
    for (const worker_t *one = self->workers; one; one = one->hh.next)
        if (one == worker || (one->shares && worker->shares))
            has = has && count_used(one, used);
    if (!has)
        return "a worker has a chunk that needs what it hasn't";
    for (size_t i = 0; i < MPX_TRAITS_MAX; i++)
        if (used[i] != worker->used[i] || used[i] > worker->kind->have.items[i].amount)
            return "a worker's capacities are miscounted, or overdrawn";
    return NULL;
}

/* A worker waits where it belongs, and none with nothing to do misses a call. */
static const char *check_waiting(const mpx_sched_t *self, const worker_t *worker)
{
    bool idle = worker->chunks_count == 0;
    bool work = false;
    for (const need_t *need = self->ready; need; need = need->ready_next)
        work = work || could_run(self, worker, need);
    if (worker->list && (worker->draining || !listed(worker)))
        return "a worker waits in a list and should not";
    if (worker->draining)
        return NULL;
    bool short_of = worker->list == &worker->kind->shorts;
    if (idle && (work || (worker->list != &worker->kind->hungry[1] && !short_of)))
        return "a worker idles while there is a call that it could run";
    if (worker->idle != idle)
        return "a busy worker counts as idle, or an idle one doesn't";
    if (short_of)
        return idle && !worker->shares ? "an idle worker counts as short of something" : NULL;
    if (worker->list == &self->cramped ? !work : worker->list && work)
        return "a worker waits in the wrong list";
    if (!worker->list && worker->chunks_count < worker->slots)
        return "a worker with an idle slot waits in no list";
    return NULL;
}

static const char *check_worker(const mpx_sched_t *self, const worker_t *worker)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint32_t slow = 0;
    uint32_t waiting = 0;
    for (const chunk_t *chunk = worker->chunks; chunk; chunk = chunk->worker_next) {
        const char *wrong = check_chunk(self, chunk);
        if (wrong)
            return wrong;
        if (chunk->worker != worker)
            return "a worker lists another's chunk";
        bytes += chunk->bytes;
        slow += chunk->slow;
        waiting += !chunk->started;
        count++;
    }
    if (bytes != worker->bytes || count != worker->chunks_count || slow != worker->slow_count ||
        waiting != worker->waiting)
        return "a worker's chunks are miscounted";
    if (count > 1 && bytes > worker->credit_bytes)
        return "a worker was given more than its credit";
    if (worker->returns && waiting && !worker->stall.slot)
        return "nobody would look at a worker that doesn't get on";
    const char *wrong = check_capacities(self, worker);
    return wrong ? wrong : check_waiting(self, worker);
}

/* ---- all ---------------------------------------------------------------------------- */

static const char *check_idle(const mpx_sched_t *self)
{
    for (const kind_t *kind = self->kinds; kind; kind = kind->next) {
        uint32_t idle = 0;
        for (const worker_t *worker = self->workers; worker; worker = worker->hh.next)
            idle += worker->kind == kind && worker->idle;
        if (idle != kind->idle)
            return "the idle workers of a kind are miscounted";
    }
    return NULL;
}

static const char *check_totals(const mpx_sched_t *self)
{
    uint64_t queued = 0;
    uint64_t delayed = 0;
    uint64_t given = 0;
    uint64_t slots = 0;
    uint64_t takers = 0;
    uint64_t chunks = 0;
    uint32_t idle = 0;
    uint32_t recalls = 0;
    for (const job_t *job = self->jobs; job; job = job->hh.next) {
        queued += job->queued;
        delayed += job->delayed;
        given += job->given;
    }
    for (const worker_t *worker = self->workers; worker; worker = worker->hh.next) {
        slots += worker->slots;
        takers += !worker->draining;
        chunks += worker->chunks_count;
        idle += worker->idle;
        for (const chunk_t *chunk = worker->chunks; chunk; chunk = chunk->worker_next)
            recalls += chunk->recalled;
    }
    if (queued != self->queued || delayed != self->delayed || given != self->given ||
        slots != self->slots || takers != self->takers || chunks != self->chunks.count ||
        idle != self->idle || recalls != self->recalls)
        return "the totals are wrong";
    return NULL;
}

const char *mpx_sched_check(const mpx_sched_t *self)
{
    const char *wrong = check_totals(self);
    if (!wrong)
        wrong = check_idle(self);
    for (const need_t *first = self->needs; first && !wrong; first = first->hh.next)
        for (const need_t *need = first; need && !wrong; need = need->sibling)
            wrong = check_need(self, need);
    for (const job_t *job = self->jobs; job && !wrong; job = job->hh.next)
        wrong = check_job(job);
    for (const worker_t *worker = self->workers; worker && !wrong; worker = worker->hh.next)
        wrong = check_worker(self, worker);
    return wrong;
}
