/* recall.c: chunks go from a worker that doesn't get on with them to one that has nothing.
 *
 * A worker is given work ahead, by how long calls have taken so far. When one takes much longer,
 * what lies behind it would wait, with idle workers beside it. So while some worker is idle, those
 * that have chunks which they haven't started, and have started and ended nothing for a while, are
 * asked to give them back. Such a chunk is still theirs until they say so: none is run twice. What
 * it holds of capacities that are shared goes along with it: so an idle worker that is short of
 * some can run it, or what waits for them.
 *
 * Nobody is looked at while there is no idle worker: that is what makes it cheap.
 */
#include "sched_private.h"

/* Twice the time that the work ahead should last; then less and less often, unless it gives back.
 */
enum { PATIENCE = 2, PATIENCE_MAX = 32 };

static int64_t first_patience(const worker_t *worker)
{
    return worker->horizon_ns ? PATIENCE * worker->horizon_ns : 1;
}

void mpx_recall_moved(worker_t *worker, int64_t now)
{
    worker->moved_at = now;
    worker->stalled = false;
    worker->patience_ns = first_patience(worker);
}

mp_rc_t mpx_recall_watch(mpx_sched_t *self, worker_t *worker)
{
    if (worker->chunks_count == 1)
        mpx_recall_moved(worker, self->now);
    if (!worker->returns || worker->stall.slot)
        return MP_OK;
    return mpx_heap_set(&self->stalls, &worker->stall,
                        mpx_after(worker->moved_at, worker->patience_ns));
}

static mp_rc_t recall(mpx_sched_t *self, chunk_t *chunk)
{
    chunk->recalled = true;
    chunk->worker->stalled = true;
    self->recalls++;
    return mpx_effects_recall(&self->effects, chunk);
}

void mpx_recall_answered(mpx_sched_t *self, chunk_t *chunk)
{
    self->recalls -= chunk->recalled;
    chunk->recalled = false;
}

static bool can_be_recalled(const chunk_t *chunk)
{
    return !chunk->started && !chunk->recalled && !chunk->orphan;
}

static bool is_wanted(const mpx_sched_t *self, const need_t *need)
{
    for (const kind_t *kind = self->kinds; kind; kind = kind->next)
        if (kind->idle && mpx_kind_can(kind, need))
            return true;
    return false;
}

/* The newest first: the worker would come to them last. No more than there are idle workers. */
static mp_rc_t recall_some(mpx_sched_t *self, const worker_t *worker)
{
    chunk_t *chunk = worker->chunks->worker_prev;
    uint32_t left = worker->chunks_count;
    mp_rc_t rc = MP_OK;
    for (; left > 0 && rc == MP_OK && self->idle > self->recalls; left--) {
        if (can_be_recalled(chunk) && is_wanted(self, chunk->job->need))
            rc = recall(self, chunk);
        chunk = chunk->worker_prev;
    }
    return rc;
}

static mp_rc_t look_at(mpx_sched_t *self, int64_t now, worker_t *worker)
{
    int64_t due = mpx_after(worker->moved_at, worker->patience_ns);
    if (worker->waiting == 0 || !worker->chunks) {
        mpx_heap_remove(&self->stalls, &worker->stall);
        return MP_OK;
    }
    if (due > now)
        return mpx_heap_set(&self->stalls, &worker->stall, due);
    if (worker->patience_ns < first_patience(worker) * PATIENCE_MAX)
        worker->patience_ns *= 2;
    mp_rc_t rc = recall_some(self, worker);
    if (rc != MP_OK)
        return rc;
    return mpx_heap_set(&self->stalls, &worker->stall, mpx_after(now, worker->patience_ns));
}

int64_t mpx_recall_deadline(const mpx_sched_t *self)
{
    const mpx_heap_node_t *first = mpx_heap_first(&self->stalls);
    return first && self->idle > self->recalls ? first->at : MPX_NEVER;
}

mp_rc_t mpx_recall_tick(mpx_sched_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    mpx_heap_node_t *first;
    while (rc == MP_OK && self->idle > self->recalls && (first = mpx_heap_first(&self->stalls)) &&
           first->at <= now)
        rc = look_at(self, now, CONTAINER_OF(first, worker_t, stall));
    return rc;
}

/* ---- answers -------------------------------------------------------------------------- */

/* It is its worker's no more, who has not begun it. */
static void take_away(mpx_sched_t *self, chunk_t *chunk)
{
    if (!chunk->orphan) {
        mpx_share_forgive(chunk->job, chunk->call_ns * chunk->count);
        mpx_chunk_take_back(self, chunk, chunk->count);
    }
    mpx_chunk_free(self, chunk);
}

mp_rc_t mpx_sched_returned(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || (chunk->started && !chunk->time_ns))
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    worker->patience_ns = first_patience(worker); /* it is worth asking */
    mp_rc_t rc = worker->stall.slot ? mpx_heap_set(&self->stalls, &worker->stall,
                                                   mpx_after(worker->moved_at, worker->patience_ns))
                                    : MP_OK;
    return rc == MP_OK ? mpx_sched_give_back(self, now, id) : rc;
}

mp_rc_t mpx_sched_kept(mpx_sched_t *self, int64_t now, uint64_t id)
{
    (void)now;
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk)
        return MP_EINVAL;
    mpx_recall_answered(self, chunk);
    return MP_OK;
}

/* ---- the other side ------------------------------------------------------------------- */

mp_rc_t mpx_sched_withdraw(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first,
                           uint32_t count, uint64_t *out)
{
    job_t *job = mpx_job_find(self, id);
    uint64_t dropped = 0;
    if (!job || count == 0 || first > UINT64_MAX - count)
        return MP_EINVAL;
    self->now = now;
    if (mpx_spans_count(job, first, first + count) == count) {
        mp_rc_t rc = mpx_spans_end(self, job, first, first + count, NULL, &dropped);
        return rc == MP_OK ? mpx_job_queue_changed(self, now, job, -dropped) : rc;
    }
    for (const chunk_t *chunk = job->chunks; chunk; chunk = chunk->job_next) {
        if (chunk->first != first || chunk->count != count || !can_be_recalled(chunk))
            continue;
        *out = chunk->id;
        return MP_EBUSY;
    }
    return MP_EINVAL;
}

mp_rc_t mpx_sched_withdraw_chunk(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || chunk->started || chunk->orphan)
        return MP_EINVAL;
    self->now = now;
    worker_t *worker = chunk->worker;
    take_away(self, chunk);
    return mpx_handout_worker(self, worker);
}
