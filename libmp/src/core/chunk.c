/* chunk.c: what becomes of calls that a worker has. */
#include "sched_private.h"

#include <stdlib.h>

static uint32_t rest_of(const chunk_t *chunk)
{
    return chunk->count - chunk->done;
}

static uint64_t next_of(const chunk_t *chunk)
{
    return chunk->first + chunk->done;
}

/* Its next calls are no longer the worker's, as far as the job goes. */
static void take_back(mpx_sched_t *self, const chunk_t *chunk, uint32_t count)
{
    chunk->job->given -= count;
    self->given -= count;
}

chunk_t *mpx_chunk_make(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size)
{
    chunk_t *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->id = ++self->last_chunk;
    if (mpx_table_add(&self->chunks, chunk->id, chunk) != MP_OK) {
        free(chunk);
        return NULL;
    }
    chunk->worker = worker;
    chunk->job = job;
    chunk->job_id = job->id;
    mpx_spans_cut(job, chunk, size);
    DL_APPEND2(worker->chunks, chunk, worker_prev, worker_next);
    DL_APPEND2(job->chunks, chunk, job_prev, job_next);
    worker->chunks_count++;
    worker->bytes += chunk->bytes;
    job->queued -= size;
    self->queued -= size;
    job->given += size;
    self->given += size;
    return chunk;
}

void mpx_chunk_free(mpx_sched_t *self, chunk_t *chunk)
{
    worker_t *worker = chunk->worker;
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    DL_DELETE2(worker->chunks, chunk, worker_prev, worker_next);
    worker->chunks_count--;
    worker->slow_count -= chunk->slow;
    worker->bytes -= chunk->bytes;
    if (chunk->job)
        DL_DELETE2(chunk->job->chunks, chunk, job_prev, job_next);
    mpx_table_remove(&self->chunks, chunk->id);
    free(chunk);
}

static mp_rc_t stop(mpx_sched_t *self, chunk_t *chunk, mp_rc_t rc)
{
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    if (chunk->stopped)
        return MP_OK;
    chunk->stopped = true;
    return mpx_effects_chunk(&self->effects, MPX_STOP, chunk, rc);
}

/* One that isn't known to run is left to its turn: it may stand behind another's call. When its
 * turn has come, and it isn't quick, it is stopped. */
static mp_rc_t watch_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    return mpx_heap_set(&self->deadlines, &chunk->deadline, mpx_after(now, MPX_ORPHAN_NS));
}

static mp_rc_t expire_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    if (!chunk->started)
        return watch_orphan(self, now, chunk);
    mpx_heap_remove(&self->deadlines, &chunk->deadline);
    chunk->condemned = true;
    return mpx_effects_chunk(&self->effects, MPX_STOP, chunk, MP_ECANCELLED);
}

mp_rc_t mpx_chunk_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk, mp_rc_t rc)
{
    uint32_t rest = rest_of(chunk);
    mp_rc_t result = mpx_effects_end(&self->effects, chunk->job, next_of(chunk), rest,
                                     chunk->attempt, chunk->tag, chunk->worker->id, rc);
    take_back(self, chunk, rest);
    chunk->orphan = true;
    chunk->condemned = chunk->started;
    if (result == MP_OK)
        result = stop(self, chunk, rc);
    return result == MP_OK && !chunk->condemned ? watch_orphan(self, now, chunk) : result;
}

/* Its worker may be killed by that: what follows is mpx_chunk_lose. */
mp_rc_t mpx_chunk_expire(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    if (chunk->orphan)
        return expire_orphan(self, now, chunk);
    chunk->overdue = true;
    return stop(self, chunk, MP_ETIMEDOUT);
}

static bool may_retry(const chunk_t *chunk, mp_rc_t rc)
{
    return rc != MP_ECANCELLED && chunk->attempt <= chunk->job->policy.retries;
}

/* The chunk's next calls are no longer its worker's: charged with rc they end or are tried
 * again, with MP_OK they are just queued again. */
static mp_rc_t drop(mpx_sched_t *self, int64_t now, chunk_t *chunk, uint32_t count, mp_rc_t rc)
{
    uint64_t first = next_of(chunk);
    take_back(self, chunk, count);
    chunk->done += count;
    if (rc == MP_OK || may_retry(chunk, rc))
        return mpx_job_requeue(self, now, chunk, first, count, chunk->attempt + (rc != MP_OK));
    return mpx_effects_end(&self->effects, chunk->job, first, count, chunk->attempt, chunk->tag,
                           chunk->worker->id, rc);
}

static mp_rc_t drop_all(mpx_sched_t *self, int64_t now, chunk_t *chunk, mpx_charge_t charge,
                        mp_rc_t rc)
{
    bool running = charge == MPX_CHARGE_RUNNING && chunk->started && !chunk->excused;
    mp_rc_t result = MP_OK;
    if (chunk->overdue)
        result = drop(self, now, chunk, 1, MP_ETIMEDOUT);
    else if (running)
        result = drop(self, now, chunk, 1, rc);
    if (result != MP_OK)
        return result;
    return drop(self, now, chunk, rest_of(chunk), charge == MPX_CHARGE_ALL ? rc : MP_OK);
}

mp_rc_t mpx_chunk_lose(mpx_sched_t *self, int64_t now, chunk_t *chunk, mpx_charge_t charge,
                       mp_rc_t rc)
{
    mp_rc_t result = chunk->orphan ? MP_OK : drop_all(self, now, chunk, charge, rc);
    mpx_chunk_free(self, chunk);
    return result;
}

/* ---- news from workers -------------------------------------------------------------- */

/* A call of the chunk begins. */
static mp_rc_t begin(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    chunk->started = true;
    int64_t limit = chunk->job ? chunk->job->policy.call_limit_ns : 0;
    if (chunk->orphan)
        return chunk->condemned ? MP_OK : watch_orphan(self, now, chunk);
    if (limit == 0)
        return MP_OK;
    return mpx_heap_set(&self->deadlines, &chunk->deadline, mpx_after(now, limit));
}

mp_rc_t mpx_sched_started(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk)
        return MP_EINVAL;
    return chunk->started ? MP_OK : begin(self, now, chunk);
}

static void measure(job_t *job, uint32_t n, int64_t busy_ns)
{
    int64_t service_ns = busy_ns / n > 0 ? busy_ns / n : 1;
    if (job->service_ns == 0)
        job->service_ns = service_ns;
    else
        job->service_ns += (service_ns - job->service_ns) / 4;
}

/* The chunk's next n calls are off the worker's hands; the last ones take the chunk along. */
static mp_rc_t advance(mpx_sched_t *self, int64_t now, chunk_t *chunk, uint32_t n)
{
    if (!chunk->orphan)
        take_back(self, chunk, n);
    chunk->done += n;
    if (rest_of(chunk) == 0) {
        if (!chunk->orphan && chunk->count > chunk->job->largest)
            chunk->job->largest = chunk->count;
        mpx_chunk_free(self, chunk);
        return MP_OK;
    }
    if (chunk->stopped && !chunk->orphan) {
        chunk->excused = true;
        chunk->stopped = false;
        chunk->overdue = false;
    }
    return begin(self, now, chunk);
}

mp_rc_t mpx_sched_done(mpx_sched_t *self, int64_t now, uint64_t id, uint32_t n, int64_t busy_ns)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || n == 0 || n > rest_of(chunk) || busy_ns < 0)
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    bool over = n == rest_of(chunk);
    if (!chunk->orphan)
        measure(chunk->job, n, busy_ns);
    mp_rc_t rc = advance(self, now, chunk, n);
    return rc == MP_OK && over ? mpx_handout_worker(self, worker) : rc;
}

mp_rc_t mpx_sched_failed(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc, bool *again)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || rc == MP_OK)
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    const need_t *need = chunk->orphan ? NULL : chunk->job->need;
    bool retry = !chunk->orphan && may_retry(chunk, rc);
    bool over = rest_of(chunk) == 1;
    mp_rc_t result = MP_OK;
    if (retry)
        result = mpx_job_requeue(self, now, chunk, next_of(chunk), 1, chunk->attempt + 1);
    if (result != MP_OK)
        return result;
    *again = retry;
    result = advance(self, now, chunk, 1);
    if (result == MP_OK && retry)
        result = mpx_handout_need(self, need);
    return result == MP_OK && over ? mpx_handout_worker(self, worker) : result;
}

bool mpx_sched_chunk(const mpx_sched_t *self, uint64_t id, mpx_chunk_info_t *out)
{
    const chunk_t *chunk = mpx_table_find(&self->chunks, id);
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
