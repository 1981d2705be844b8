#include "state.h"

#include <stdlib.h>
#include <string.h>

mp_rc_t mpx_sched_new(mpx_sched_t **out)
{
    mpx_sched_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    *out = self;
    return MP_OK;
}

/* ---- finding and forgetting --------------------------------------------------------- */

static job_t *find_job(const mpx_sched_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static worker_t *find_worker(const mpx_sched_t *self, uint64_t id)
{
    worker_t *worker = NULL;
    HASH_FIND(hh, self->workers, &id, sizeof id, worker);
    return worker;
}

static chunk_t *find_chunk(const mpx_sched_t *self, uint64_t id)
{
    chunk_t *chunk = NULL;
    HASH_FIND(hh, self->chunks, &id, sizeof id, chunk);
    return chunk;
}

static uint32_t rest_of(const chunk_t *chunk)
{
    return chunk->count - chunk->done;
}

/* The chunk is over, whatever became of its calls. */
static void chunk_free(mpx_sched_t *self, chunk_t *chunk)
{
    worker_t *worker = chunk->worker;
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    DL_DELETE2(worker->chunks, chunk, worker_prev, worker_next);
    worker->chunks_count--;
    worker->bytes -= chunk->bytes;
    if (chunk->job)
        DL_DELETE2(chunk->job->chunks, chunk, job_prev, job_next);
    HASH_DEL(self->chunks, chunk);
    free(chunk);
}

static void job_free(mpx_sched_t *self, job_t *job)
{
    span_t *span, *next_span;
    DL_FOREACH_SAFE (job->spans, span, next_span)
        free(span);
    chunk_t *chunk, *next;
    DL_FOREACH_SAFE2(job->chunks, chunk, next, job_next)
    {
        DL_DELETE2(job->chunks, chunk, job_prev, job_next);
        chunk->job = NULL;
    }
    job->queued = 0;
    mpx_ring_update(self, job);
    mpx_heap_remove(&self->patience, &job->patience);
    HASH_DEL(self->jobs, job);
    free(job);
}

static void worker_free(mpx_sched_t *self, worker_t *worker)
{
    mpx_hungry_leave(self, worker);
    HASH_DEL(self->workers, worker);
    free(worker->tasks);
    free(worker);
}

void mpx_sched_destroy(mpx_sched_t **self_p)
{
    mpx_sched_t *self = *self_p;
    if (!self)
        return;
    chunk_t *chunk, *next_chunk;
    HASH_ITER (hh, self->chunks, chunk, next_chunk)
        chunk_free(self, chunk);
    job_t *job, *next_job;
    HASH_ITER (hh, self->jobs, job, next_job)
        job_free(self, job);
    worker_t *worker, *next_worker;
    HASH_ITER (hh, self->workers, worker, next_worker)
        worker_free(self, worker);
    mpx_heap_free(&self->deadlines);
    mpx_heap_free(&self->patience);
    free(self->effects.ring);
    free(self);
    *self_p = NULL;
}

/* ---- patience: jobs that no worker can run ------------------------------------------ */

static starving_t starving_of(const mpx_sched_t *self, const job_t *job)
{
    if (job->queued == 0 || job->capable > 0)
        return FED;
    return self->takers == 0 ? NO_WORKER : NO_CAPABLE_WORKER;
}

static mp_rc_t update_patience(mpx_sched_t *self, int64_t now, job_t *job)
{
    starving_t starving = starving_of(self, job);
    if (starving == job->starving)
        return MP_OK;
    job->starving = starving;
    mpx_heap_remove(&self->patience, &job->patience);
    int64_t patience_ns = starving == NO_WORKER           ? job->policy.wait_ns
                          : starving == NO_CAPABLE_WORKER ? job->policy.absent_ns
                                                          : 0;
    return patience_ns ? mpx_heap_set(&self->patience, &job->patience, now + patience_ns) : MP_OK;
}

/* A worker joined (by 1) or is lost to new work (by -1). */
static mp_rc_t count_taker(mpx_sched_t *self, int64_t now, const worker_t *worker, int by)
{
    self->takers += (uint32_t)by;
    mp_rc_t rc = MP_OK;
    for (job_t *job = self->jobs; job && rc == MP_OK; job = job->hh.next) {
        if (mpx_worker_can(worker, job))
            job->capable += (uint32_t)by;
        rc = update_patience(self, now, job);
    }
    return rc;
}

/* ---- queueing ----------------------------------------------------------------------- */

static mp_rc_t end_calls(mpx_sched_t *self, const job_t *job, uint64_t first, uint32_t count,
                         uint32_t attempt, uint64_t tag, uint64_t worker, mp_rc_t rc)
{
    mpx_effect_t effect = {
        .kind = MPX_END,
        .rc = rc,
        .worker = worker,
        .job = job->id,
        .tag = tag,
        .first = first,
        .count = count,
        .attempt = attempt,
    };
    return count ? mpx_effects_add(&self->effects, &effect) : MP_OK;
}

static span_t *span_make(uint64_t first, uint32_t count, uint32_t attempt, uint64_t bytes,
                         uint64_t tag)
{
    span_t *span = malloc(sizeof *span);
    if (span)
        *span = (span_t){
            .first = first, .count = count, .attempt = attempt, .bytes = bytes, .tag = tag};
    return span;
}

static void count_queued(mpx_sched_t *self, job_t *job, uint32_t count)
{
    job->queued += count;
    self->queued += count;
    mpx_ring_update(self, job);
}

/* Calls that a chunk still had go back to the front of the queue. */
static mp_rc_t requeue(mpx_sched_t *self, const chunk_t *chunk, uint64_t first, uint32_t count,
                       uint32_t attempt)
{
    if (count == 0)
        return MP_OK;
    uint64_t bytes = chunk->bytes / chunk->count * count;
    span_t *span = span_make(first, count, attempt, bytes, chunk->tag);
    if (!span)
        return MP_ENOMEM;
    DL_PREPEND(chunk->job->spans, span);
    count_queued(self, chunk->job, count);
    return MP_OK;
}

static void take_back(mpx_sched_t *self, const chunk_t *chunk, uint32_t count)
{
    chunk->job->given -= count;
    self->given -= count;
}

/* Calls that are held against a worker end with rc, or are tried again. */
static mp_rc_t charge(mpx_sched_t *self, const chunk_t *chunk, uint64_t first, uint32_t count,
                      mp_rc_t rc)
{
    if (rc != MP_ECANCELLED && chunk->attempt <= chunk->job->policy.retries)
        return requeue(self, chunk, first, count, chunk->attempt + 1);
    return end_calls(self, chunk->job, first, count, chunk->attempt, chunk->tag, chunk->worker->id,
                     rc);
}

static mp_rc_t lose_chunk(mpx_sched_t *self, chunk_t *chunk, mpx_charge_t how, mp_rc_t rc)
{
    uint32_t rest = rest_of(chunk);
    uint32_t charged = how == MPX_CHARGE_ALL                         ? rest
                       : how == MPX_CHARGE_RUNNING && chunk->started ? 1
                                                                     : 0;
    mp_rc_t result = MP_OK;
    if (!chunk->orphan) {
        uint64_t first = chunk->first + chunk->done;
        if (chunk->stop_rc != MP_OK)
            rc = chunk->stop_rc;
        take_back(self, chunk, rest);
        result = requeue(self, chunk, first + charged, rest - charged, chunk->attempt);
        if (result == MP_OK)
            result = charge(self, chunk, first, charged, rc);
    }
    chunk_free(self, chunk);
    return result;
}

/* ---- workers ------------------------------------------------------------------------ */

static int compare_tasks(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static worker_t *worker_make(mpx_sched_t *self, uint64_t id, const mpx_worker_spec_t *spec)
{
    worker_t *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->id = id;
    worker->spec = *spec;
    if (spec->tasks) {
        worker->tasks = malloc((spec->tasks_count + 1) * sizeof *worker->tasks);
        if (!worker->tasks) {
            free(worker);
            return NULL;
        }
        memcpy(worker->tasks, spec->tasks, spec->tasks_count * sizeof *worker->tasks);
        qsort(worker->tasks, spec->tasks_count, sizeof *worker->tasks, compare_tasks);
        worker->spec.tasks = worker->tasks;
    }
    HASH_ADD(hh, self->workers, id, sizeof worker->id, worker);
    if (worker->unlisted) {
        free(worker->tasks);
        free(worker);
        return NULL;
    }
    return worker;
}

mp_rc_t mpx_sched_worker_join(mpx_sched_t *self, int64_t now, uint64_t id,
                              const mpx_worker_spec_t *spec)
{
    if (id == 0 || spec->slots == 0 || spec->horizon_ns < 0)
        return MP_EINVAL;
    if (find_worker(self, id))
        return MP_EEXIST;
    worker_t *worker = worker_make(self, id, spec);
    if (!worker)
        return MP_ENOMEM;
    self->slots += spec->slots;
    mp_rc_t rc = count_taker(self, now, worker, 1);
    return rc == MP_OK ? mpx_hand_out_to(self, worker) : rc;
}

mp_rc_t mpx_sched_worker_slots(mpx_sched_t *self, int64_t now, uint64_t id, uint32_t slots)
{
    (void)now;
    worker_t *worker = find_worker(self, id);
    if (!worker || slots == 0)
        return MP_EINVAL;
    self->slots += slots;
    self->slots -= worker->spec.slots;
    worker->spec.slots = slots;
    return mpx_hand_out_to(self, worker);
}

mp_rc_t mpx_sched_worker_drain(mpx_sched_t *self, int64_t now, uint64_t id)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    if (worker->draining)
        return MP_OK;
    worker->draining = true;
    mpx_hungry_leave(self, worker);
    return count_taker(self, now, worker, -1);
}

mp_rc_t mpx_sched_worker_lost(mpx_sched_t *self, int64_t now, uint64_t id, mpx_charge_t how,
                              mp_rc_t rc)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    mp_rc_t result = MP_OK;
    while (worker->chunks && result == MP_OK) /* newest first: the oldest ends up in front */
        result = lose_chunk(self, worker->chunks->worker_prev, how, rc);
    self->slots -= worker->spec.slots;
    bool was_taker = !worker->draining;
    worker->draining = true;
    if (result == MP_OK)
        result = count_taker(self, now, worker, was_taker ? -1 : 0);
    if (result != MP_OK)
        return result;
    worker_free(self, worker);
    return mpx_hand_out(self);
}

/* ---- jobs --------------------------------------------------------------------------- */

mp_rc_t mpx_sched_job_open(mpx_sched_t *self, int64_t now, uint64_t id, const mpx_policy_t *policy)
{
    (void)now;
    if (id == 0 || policy->call_limit_ns < 0 || policy->wait_ns < 0 || policy->absent_ns < 0)
        return MP_EINVAL;
    if (find_job(self, id))
        return MP_EEXIST;
    job_t *job = calloc(1, sizeof *job);
    if (!job)
        return MP_ENOMEM;
    job->id = id;
    job->policy = *policy;
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted) {
        free(job);
        return MP_ENOMEM;
    }
    for (const worker_t *worker = self->workers; worker; worker = worker->hh.next)
        job->capable += !worker->draining && mpx_worker_can(worker, job);
    return MP_OK;
}

/* Whether the calls can simply lengthen the last span. */
static bool extends(const job_t *job, uint64_t first, uint32_t count, uint64_t tag)
{
    if (!job->spans || job->policy.chunk_calls == MPX_CHUNK_WHOLE)
        return false;
    const span_t *last = job->spans->prev;
    return last->attempt == 1 && last->tag == tag && last->first + last->count == first &&
           count <= UINT32_MAX - last->count;
}

mp_rc_t mpx_sched_put(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first, uint32_t count,
                      uint64_t bytes, uint64_t tag)
{
    job_t *job = find_job(self, id);
    if (!job || count == 0 || first > UINT64_MAX - count)
        return MP_EINVAL;
    if (extends(job, first, count, tag)) {
        job->spans->prev->count += count;
        job->spans->prev->bytes += bytes;
    } else {
        span_t *span = span_make(first, count, 1, bytes, tag);
        if (!span)
            return MP_ENOMEM;
        DL_APPEND(job->spans, span);
    }
    count_queued(self, job, count);
    mp_rc_t rc = update_patience(self, now, job);
    return rc == MP_OK ? mpx_hand_out(self) : rc;
}

mp_rc_t mpx_sched_job_hold(mpx_sched_t *self, int64_t now, uint64_t id, bool held)
{
    (void)now;
    job_t *job = find_job(self, id);
    if (!job)
        return MP_EINVAL;
    job->held = held;
    mpx_ring_update(self, job);
    return held ? MP_OK : mpx_hand_out(self);
}

/* ---- cancelling --------------------------------------------------------------------- */

/* End the part of a span that lies in [first, end). */
static mp_rc_t cancel_in_span(mpx_sched_t *self, job_t *job, span_t *span, uint64_t first,
                              uint64_t end, mp_rc_t rc)
{
    uint64_t span_end = span->first + span->count;
    uint64_t from = first > span->first ? first : span->first;
    uint64_t to = end < span_end ? end : span_end;
    if (from >= to)
        return MP_OK;
    uint32_t count = (uint32_t)(to - from);
    uint64_t call_bytes = span->bytes / span->count;
    mp_rc_t result = end_calls(self, job, from, count, span->attempt, span->tag, 0, rc);
    if (result != MP_OK)
        return result;
    if (to < span_end) { /* what is behind the range becomes a span of its own */
        uint32_t rest = (uint32_t)(span_end - to);
        span_t *behind = span_make(to, rest, span->attempt, call_bytes * rest, span->tag);
        if (!behind)
            return MP_ENOMEM;
        DL_APPEND_ELEM(job->spans, span, behind);
    }
    span->count = (uint32_t)(from - span->first);
    span->bytes = call_bytes * span->count;
    if (span->count == 0) {
        DL_DELETE(job->spans, span);
        free(span);
    }
    job->queued -= count;
    self->queued -= count;
    return MP_OK;
}

static mp_rc_t orphan_chunk(mpx_sched_t *self, chunk_t *chunk, mp_rc_t rc)
{
    uint32_t rest = rest_of(chunk);
    take_back(self, chunk, rest);
    mp_rc_t result = end_calls(self, chunk->job, chunk->first + chunk->done, rest, chunk->attempt,
                               chunk->tag, chunk->worker->id, rc);
    bool stopping = chunk->stop_rc != MP_OK;
    chunk->orphan = true;
    chunk->stop_rc = rc;
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    mpx_effect_t stop = {
        .kind = MPX_STOP,
        .rc = rc,
        .worker = chunk->worker->id,
        .chunk = chunk->id,
        .job = chunk->job_id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .attempt = chunk->attempt,
        .started = chunk->started,
    };
    return result == MP_OK && !stopping ? mpx_effects_add(&self->effects, &stop) : result;
}

static mp_rc_t cancel(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint64_t end,
                      mp_rc_t rc)
{
    mp_rc_t result = MP_OK;
    span_t *span, *next_span;
    DL_FOREACH_SAFE (job->spans, span, next_span)
        if (result == MP_OK)
            result = cancel_in_span(self, job, span, first, end, rc);
    chunk_t *chunk;
    DL_FOREACH2(job->chunks, chunk, job_next)
    if (result == MP_OK && !chunk->orphan && chunk->first >= first &&
        chunk->first + chunk->count <= end)
        result = orphan_chunk(self, chunk, rc);
    mpx_ring_update(self, job);
    return result == MP_OK ? update_patience(self, now, job) : result;
}

mp_rc_t mpx_sched_job_cancel(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc)
{
    job_t *job = find_job(self, id);
    return job ? cancel(self, now, job, 0, UINT64_MAX, rc) : MP_EINVAL;
}

mp_rc_t mpx_sched_cancel(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first,
                         uint32_t count, mp_rc_t rc)
{
    job_t *job = find_job(self, id);
    if (!job || first > UINT64_MAX - count)
        return MP_EINVAL;
    return cancel(self, now, job, first, first + count, rc);
}

mp_rc_t mpx_sched_job_close(mpx_sched_t *self, int64_t now, uint64_t id)
{
    (void)now;
    job_t *job = find_job(self, id);
    if (!job)
        return MP_EINVAL;
    if (job->queued + job->given > 0)
        return MP_EBUSY;
    job_free(self, job);
    return MP_OK;
}

/* ---- news from workers -------------------------------------------------------------- */

static mp_rc_t begin_call(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    chunk->started = true;
    int64_t limit = chunk->job ? chunk->job->policy.call_limit_ns : 0;
    if (!limit || chunk->orphan || chunk->stop_rc != MP_OK || rest_of(chunk) == 0)
        return MP_OK;
    return mpx_heap_set(&self->deadlines, &chunk->deadline, now + limit);
}

mp_rc_t mpx_sched_started(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = find_chunk(self, id);
    if (!chunk)
        return MP_EINVAL;
    return chunk->started ? MP_OK : begin_call(self, now, chunk);
}

static void measure(job_t *job, uint32_t n, int64_t busy_ns)
{
    int64_t service_ns = busy_ns / n > 0 ? busy_ns / n : 1;
    job->service_ns = job->service_ns ? (3 * job->service_ns + service_ns) / 4 : service_ns;
    if (job->service_ns == 0)
        job->service_ns = 1;
}

/* The chunk's next n calls are off the worker's hands. */
static mp_rc_t advance(mpx_sched_t *self, int64_t now, chunk_t *chunk, uint32_t n)
{
    worker_t *worker = chunk->worker;
    if (!chunk->orphan)
        take_back(self, chunk, n);
    chunk->done += n;
    if (rest_of(chunk) > 0)
        return begin_call(self, now, chunk);
    if (chunk->job && chunk->count > chunk->job->largest)
        chunk->job->largest = chunk->count;
    chunk_free(self, chunk);
    return mpx_hand_out_to(self, worker);
}

mp_rc_t mpx_sched_done(mpx_sched_t *self, int64_t now, uint64_t id, uint32_t n, int64_t busy_ns)
{
    chunk_t *chunk = find_chunk(self, id);
    if (!chunk || n == 0 || n > rest_of(chunk) || busy_ns < 0)
        return MP_EINVAL;
    if (chunk->job)
        measure(chunk->job, n, busy_ns);
    return advance(self, now, chunk, n);
}

mp_rc_t mpx_sched_failed(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc, bool *again)
{
    chunk_t *chunk = find_chunk(self, id);
    if (!chunk || rc == MP_OK)
        return MP_EINVAL;
    *again = !chunk->orphan && rc != MP_ECANCELLED && chunk->attempt <= chunk->job->policy.retries;
    if (*again) {
        job_t *job = chunk->job;
        mp_rc_t result = requeue(self, chunk, chunk->first + chunk->done, 1, chunk->attempt + 1);
        if (result == MP_OK)
            result = update_patience(self, now, job);
        if (result != MP_OK)
            return result;
    }
    mp_rc_t result = advance(self, now, chunk, 1);
    return result == MP_OK && *again ? mpx_hand_out(self) : result;
}

bool mpx_sched_chunk(const mpx_sched_t *self, uint64_t id, mpx_chunk_info_t *out)
{
    const chunk_t *chunk = find_chunk(self, id);
    if (!chunk)
        return false;
    *out = (mpx_chunk_info_t){
        .worker = chunk->worker->id,
        .job = chunk->job_id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .done = chunk->done,
        .attempt = chunk->attempt,
        .orphan = chunk->orphan,
    };
    return true;
}

/* ---- time --------------------------------------------------------------------------- */

static mp_rc_t stop_overdue(mpx_sched_t *self, chunk_t *chunk)
{
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    chunk->stop_rc = MP_ETIMEDOUT;
    mpx_effect_t effect = {
        .kind = MPX_STOP,
        .rc = MP_ETIMEDOUT,
        .worker = chunk->worker->id,
        .chunk = chunk->id,
        .job = chunk->job_id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .attempt = chunk->attempt,
        .started = true,
    };
    return mpx_effects_add(&self->effects, &effect);
}

static mp_rc_t give_up_queued(mpx_sched_t *self, job_t *job)
{
    mp_rc_t rc = job->starving == NO_WORKER ? MP_ENOWORKER : MP_ENOTASK;
    mp_rc_t result = MP_OK;
    mpx_heap_remove(&self->patience, &job->patience);
    span_t *span, *next;
    DL_FOREACH_SAFE (job->spans, span, next)
        if (result == MP_OK)
            result = cancel_in_span(self, job, span, 0, UINT64_MAX, rc);
    job->starving = FED;
    mpx_ring_update(self, job);
    return result;
}

mp_rc_t mpx_sched_tick(mpx_sched_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    mpx_heap_node_t *node;
    while (rc == MP_OK && (node = mpx_heap_first(&self->deadlines)) && node->at <= now)
        rc = stop_overdue(self, CONTAINER_OF(node, chunk_t, deadline));
    while (rc == MP_OK && (node = mpx_heap_first(&self->patience)) && node->at <= now)
        rc = give_up_queued(self, CONTAINER_OF(node, job_t, patience));
    return rc;
}

int64_t mpx_sched_deadline(const mpx_sched_t *self)
{
    const mpx_heap_node_t *call = mpx_heap_first(&self->deadlines);
    const mpx_heap_node_t *job = mpx_heap_first(&self->patience);
    return mpx_earlier(call ? call->at : MPX_NEVER, job ? job->at : MPX_NEVER);
}

void mpx_sched_counts(const mpx_sched_t *self, mpx_sched_counts_t *out)
{
    *out = (mpx_sched_counts_t){
        .queued = self->queued,
        .given = self->given,
        .workers = HASH_COUNT(self->workers),
        .slots = (uint32_t)self->slots,
        .jobs = HASH_COUNT(self->jobs),
    };
}

uint64_t mpx_sched_job_open_calls(const mpx_sched_t *self, uint64_t id)
{
    const job_t *job = find_job(self, id);
    return job ? job->queued + job->given : 0;
}
