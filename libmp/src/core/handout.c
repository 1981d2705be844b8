/* handout.c: which job is next, how large its chunk, and which worker gets it.
 *
 * Jobs with queued calls stand in a ring; each chunk is taken from the first one in the
 * ring that the worker can run and has room for, and that job then goes to the ring's end:
 * so jobs share workers chunk by chunk. A worker that had room when nothing was left for it
 * is hungry, and gets its chance when work comes; one without room gets it with its own next
 * result, because it has at least one chunk in flight.
 */
#include "state.h"

#include <stdlib.h>

enum {
    CHUNK_TARGET_NS = 1000000, /* run time that makes the cost of a chunk vanish */
    CHUNK_BYTES = 64 * 1024,
    CHUNK_GROWTH = 4, /* at most, from one chunk to the next: the first calls may mislead */
    DEPTH_MAX = 256
};

static int compare_tasks(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool mpx_worker_can(const worker_t *worker, const job_t *job)
{
    if (job->policy.task == 0 || !worker->tasks)
        return true;
    return bsearch(&job->policy.task, worker->tasks, worker->spec.tasks_count,
                   sizeof *worker->tasks, compare_tasks) != NULL;
}

void mpx_ring_update(mpx_sched_t *self, job_t *job)
{
    bool belongs = job->queued > 0 && !job->held;
    if (belongs && !job->in_ring)
        DL_APPEND2(self->ring, job, ring_prev, ring_next);
    else if (!belongs && job->in_ring)
        DL_DELETE2(self->ring, job, ring_prev, ring_next);
    job->in_ring = belongs;
}

void mpx_hungry_leave(mpx_sched_t *self, worker_t *worker)
{
    if (worker->hungry)
        DL_DELETE2(self->hungry[worker->hungry_idle], worker, hungry_prev, hungry_next);
    worker->hungry = false;
}

static void become_hungry(mpx_sched_t *self, worker_t *worker)
{
    mpx_hungry_leave(self, worker);
    worker->hungry = true;
    worker->hungry_idle = worker->chunks_count == 0;
    DL_APPEND2(self->hungry[worker->hungry_idle], worker, hungry_prev, hungry_next);
}

static uint64_t share_of_bytes(const span_t *span, uint32_t count)
{
    return count == span->count ? span->bytes : span->bytes / span->count * count;
}

/* Calls that take about CHUNK_TARGET_NS, but no straggler near the job's end. */
static uint64_t adapted_size(const mpx_sched_t *self, const job_t *job, const span_t *span)
{
    uint64_t size = 1;
    if (job->service_ns > 0) {
        uint64_t grown = (uint64_t)job->largest * CHUNK_GROWTH;
        size = CHUNK_TARGET_NS / (uint64_t)job->service_ns;
        size = size < grown ? size : grown;
    }
    uint64_t slots = self->slots ? self->slots : 1;
    uint64_t fair = (job->queued + 2 * slots - 1) / (2 * slots);
    size = size < fair ? size : fair;
    uint64_t call_bytes = span->bytes / span->count;
    if (call_bytes && size * call_bytes > CHUNK_BYTES)
        size = CHUNK_BYTES / call_bytes;
    return size ? size : 1;
}

static uint32_t chunk_size(const mpx_sched_t *self, const job_t *job)
{
    const span_t *span = job->spans;
    uint64_t size = job->policy.chunk_calls;
    if (job->policy.call_limit_ns && size != MPX_CHUNK_WHOLE)
        size = 1;
    else if (size == 0)
        size = adapted_size(self, job, span);
    return size < span->count ? (uint32_t)size : span->count;
}

/* Chunks of that run time to have at a worker's slot. */
static uint64_t depth(const worker_t *worker, const job_t *job, uint32_t size)
{
    if (job->service_ns == 0)
        return 1;
    int64_t horizon = worker->spec.horizon_ns;
    int64_t calls = size;
    if (job->service_ns > INT64_MAX / calls || job->service_ns * calls > horizon / 2 * 5)
        return 1;
    int64_t chunks = horizon / (job->service_ns * calls);
    return chunks < 2 ? 2 : chunks > DEPTH_MAX ? DEPTH_MAX : (uint64_t)chunks;
}

static bool has_room(const worker_t *worker, const job_t *job, uint32_t size)
{
    if (worker->chunks_count == 0)
        return true;
    uint64_t bytes = share_of_bytes(job->spans, size);
    if (bytes > worker->spec.credit_bytes || worker->bytes > worker->spec.credit_bytes - bytes)
        return false;
    return worker->chunks_count < depth(worker, job, size) * worker->spec.slots;
}

/* Take `size` calls off the job's first span. */
static void cut(mpx_sched_t *self, job_t *job, chunk_t *chunk, uint32_t size)
{
    span_t *span = job->spans;
    chunk->first = span->first;
    chunk->count = size;
    chunk->attempt = span->attempt;
    chunk->tag = span->tag;
    chunk->bytes = share_of_bytes(span, size);
    span->first += size;
    span->count -= size;
    span->bytes -= chunk->bytes;
    if (span->count == 0) {
        DL_DELETE(job->spans, span);
        free(span);
    }
    job->queued -= size;
    job->given += size;
    self->queued -= size;
    self->given += size;
}

static chunk_t *chunk_make(mpx_sched_t *self, worker_t *worker, job_t *job)
{
    chunk_t *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->id = ++self->last_chunk;
    chunk->worker = worker;
    chunk->job = job;
    chunk->job_id = job->id;
    HASH_ADD(hh, self->chunks, id, sizeof chunk->id, chunk);
    if (chunk->unlisted) {
        free(chunk);
        return NULL;
    }
    return chunk;
}

static mp_rc_t give(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size)
{
    chunk_t *chunk = chunk_make(self, worker, job);
    if (!chunk)
        return MP_ENOMEM;
    cut(self, job, chunk, size);
    DL_APPEND2(worker->chunks, chunk, worker_prev, worker_next);
    DL_APPEND2(job->chunks, chunk, job_prev, job_next);
    worker->chunks_count++;
    worker->bytes += chunk->bytes;
    if (job->in_ring) {
        DL_DELETE2(self->ring, job, ring_prev, ring_next);
        job->in_ring = false;
    }
    mpx_ring_update(self, job);
    mpx_effect_t effect = {
        .kind = MPX_RUN,
        .worker = worker->id,
        .chunk = chunk->id,
        .job = job->id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .attempt = chunk->attempt,
    };
    return mpx_effects_add(&self->effects, &effect);
}

typedef enum verdict { GAVE, NOTHING_FOR_IT, NO_ROOM } verdict_t;

static mp_rc_t give_one(mpx_sched_t *self, worker_t *worker, verdict_t *verdict)
{
    *verdict = NOTHING_FOR_IT;
    if (worker->draining)
        return MP_OK;
    job_t *job;
    DL_FOREACH2(self->ring, job, ring_next)
    {
        if (!mpx_worker_can(worker, job))
            continue;
        uint32_t size = chunk_size(self, job);
        if (has_room(worker, job, size)) {
            *verdict = GAVE;
            return give(self, worker, job, size);
        }
        *verdict = NO_ROOM;
    }
    return MP_OK;
}

mp_rc_t mpx_hand_out_to(mpx_sched_t *self, worker_t *worker)
{
    verdict_t verdict = GAVE;
    mpx_hungry_leave(self, worker);
    while (verdict == GAVE) {
        mp_rc_t rc = give_one(self, worker, &verdict);
        if (rc != MP_OK)
            return rc;
    }
    if (verdict == NOTHING_FOR_IT && !worker->draining)
        become_hungry(self, worker);
    return MP_OK;
}

/* One chunk each, idle ones first, until work or room is at its end. A worker for which
 * there is nothing is set aside, so that the loop ends. */
mp_rc_t mpx_hand_out(mpx_sched_t *self)
{
    worker_t *aside = NULL;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && self->ring && (self->hungry[1] || self->hungry[0])) {
        worker_t *worker = self->hungry[1] ? self->hungry[1] : self->hungry[0];
        verdict_t verdict;
        mpx_hungry_leave(self, worker);
        rc = give_one(self, worker, &verdict);
        if (rc == MP_OK && verdict == GAVE)
            become_hungry(self, worker);
        else if (rc == MP_OK && verdict == NOTHING_FOR_IT)
            DL_APPEND2(aside, worker, hungry_prev, hungry_next);
    }
    while (aside) {
        worker_t *worker = aside;
        DL_DELETE2(aside, worker, hungry_prev, hungry_next);
        become_hungry(self, worker);
    }
    return rc;
}
