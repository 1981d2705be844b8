/* check.c: the invariants of the scheduler's state, for tests. */
#include "state.h"

static const char *check_job(const mpx_sched_t *self, const job_t *job)
{
    uint64_t queued = 0;
    uint64_t given = 0;
    uint32_t capable = 0;
    const span_t *span;
    DL_FOREACH (job->spans, span) {
        if (span->count == 0)
            return "a span is empty";
        queued += span->count;
    }
    const chunk_t *chunk;
    DL_FOREACH2(job->chunks, chunk, job_next)
    {
        if (chunk->job != job)
            return "a job lists another's chunk";
        given += chunk->orphan ? 0 : chunk->count - chunk->done;
    }
    for (const worker_t *worker = self->workers; worker; worker = worker->hh.next)
        capable += !worker->draining && mpx_worker_can(worker, job);
    if (queued != job->queued)
        return "a job's queued calls are miscounted";
    if (given != job->given)
        return "a job's given calls are miscounted";
    if (capable != job->capable)
        return "a job's capable workers are miscounted";
    if (job->in_ring != (job->queued > 0 && !job->held))
        return "a job is in the ring and should not be, or the other way round";
    return NULL;
}

static const char *check_worker(const mpx_sched_t *self, const worker_t *worker)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    const chunk_t *chunk;
    DL_FOREACH2(worker->chunks, chunk, worker_next)
    {
        if (chunk->worker != worker)
            return "a worker lists another's chunk";
        if (chunk->done >= chunk->count)
            return "a chunk that is over is still listed";
        bytes += chunk->bytes;
        count++;
    }
    if (bytes != worker->bytes || count != worker->chunks_count)
        return "a worker's chunks are miscounted";
    if (count > 1 && bytes > worker->spec.credit_bytes)
        return "a worker was given more than its credit";
    if (worker->hungry && worker->draining)
        return "a draining worker is hungry";
    if (worker->draining || count > 0)
        return NULL;
    const job_t *job;
    DL_FOREACH2(self->ring, job, ring_next)
    if (mpx_worker_can(worker, job))
        return "a worker idles while there is a call that it could run";
    return NULL;
}

const char *mpx_sched_check(const mpx_sched_t *self)
{
    const char *wrong = NULL;
    uint64_t queued = 0;
    uint64_t given = 0;
    uint64_t slots = 0;
    for (const job_t *job = self->jobs; job && !wrong; job = job->hh.next) {
        wrong = check_job(self, job);
        queued += job->queued;
        given += job->given;
    }
    for (const worker_t *worker = self->workers; worker && !wrong; worker = worker->hh.next) {
        wrong = check_worker(self, worker);
        slots += worker->spec.slots;
    }
    if (wrong)
        return wrong;
    if (queued != self->queued || given != self->given || slots != self->slots)
        return "the totals are wrong";
    return NULL;
}
