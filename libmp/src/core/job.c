/* job.c: jobs are opened, filled, held, cancelled and closed. */
#include "sched_private.h"

#include <stdlib.h>

job_t *mpx_job_find(const mpx_sched_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

void mpx_job_free(mpx_sched_t *self, job_t *job)
{
    while (job->chunks) { /* orphans: each is on its own now */
        chunk_t *chunk = job->chunks;
        DL_DELETE2(job->chunks, chunk, job_prev, job_next);
        chunk->job = NULL;
    }
    mpx_spans_free(self, job);
    job->queued = 0;
    mpx_need_update_ring(self, job);
    mpx_need_leave(self, job);
    mpx_heap_remove(&self->patience, &job->patience);
    HASH_DEL(self->jobs, job);
    free(job);
}

mp_rc_t mpx_sched_job_open(mpx_sched_t *self, int64_t now, uint64_t id, const mpx_policy_t *policy)
{
    (void)now;
    if (id == 0 || policy->call_limit_ns < 0 || policy->soft_limit_ns < 0 || policy->grace_ns < 0 ||
        policy->retry_delay_ns < 0 || policy->guess_ns < 0 || policy->wait_ns < 0 ||
        policy->absent_ns < 0 || policy->priority < -MPX_PRIORITY_MAX ||
        policy->priority > MPX_PRIORITY_MAX || policy->delay_ns < 0 || policy->deadline_ns < 0 ||
        policy->weight > MPX_WEIGHT_MAX)
        return MP_EINVAL;
    if (mpx_job_find(self, id))
        return MP_EEXIST;
    job_t *job = calloc(1, sizeof *job);
    if (!job)
        return MP_ENOMEM;
    job->id = id;
    job->policy = *policy;
    if (!mpx_need_join(self, job)) {
        free(job);
        return MP_ENOMEM;
    }
    job->policy.needs = NULL; /* the need has a copy */
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted) {
        mpx_need_leave(self, job);
        free(job);
        return MP_ENOMEM;
    }
    return MP_OK;
}

mp_rc_t mpx_job_queue_changed(mpx_sched_t *self, int64_t now, job_t *job, uint64_t change)
{
    job->queued += change;
    self->queued += change;
    mpx_need_update_ring(self, job);
    return mpx_patience_update(self, now, job);
}

static mp_rc_t put(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint32_t count,
                   uint64_t bytes, uint64_t tag, mpx_times_t times)
{
    if (times.deadline <= now)
        return mpx_effects_end_queued(&self->effects,
                                      &(span_t){.job = job, .tag = tag, .attempt = 1}, first, count,
                                      (end_t){.rc = MP_ETIMEDOUT, .lapsed = true});
    if (times.begin > now)
        return mpx_spans_put_later(self, job, first, count, bytes, tag, times.deadline,
                                   times.begin);
    mp_rc_t rc = mpx_spans_put(self, job, first, count, bytes, tag, times.deadline);
    if (rc == MP_OK)
        rc = mpx_job_queue_changed(self, now, job, count);
    return rc == MP_OK ? mpx_handout_need(self, job->need) : rc;
}

/* To the millisecond, so that neighbours that are put one by one have the same. */
static int64_t rounded_after(int64_t now, int64_t ns)
{
    int64_t at = mpx_after(now, ns);
    return at > MPX_NEVER - MPX_MS ? at : (at + MPX_MS - 1) / MPX_MS * MPX_MS;
}

mp_rc_t mpx_sched_put(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first, uint32_t count,
                      uint64_t bytes, uint64_t tag)
{
    const job_t *job = mpx_job_find(self, id);
    int64_t delay_ns = job ? job->policy.delay_ns : 0;
    mpx_times_t times = {.begin = delay_ns ? rounded_after(now, delay_ns) : now,
                         .deadline = MPX_NEVER};
    return mpx_sched_put_timed(self, now, id, first, count, bytes, tag, times);
}

mp_rc_t mpx_sched_put_timed(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first,
                            uint32_t count, uint64_t bytes, uint64_t tag, mpx_times_t times)
{
    job_t *job = mpx_job_find(self, id);
    if (!job || count == 0 || first > UINT64_MAX - count)
        return MP_EINVAL;
    if (job->policy.deadline_ns)
        times.deadline = mpx_earlier(times.deadline, rounded_after(now, job->policy.deadline_ns));
    self->now = now;
    return put(self, now, job, first, count, bytes, tag, times);
}

mp_rc_t mpx_job_requeue(mpx_sched_t *self, int64_t now, const chunk_t *chunk, uint32_t count,
                        mp_rc_t rc)
{
    if (count == 0)
        return MP_OK;
    int64_t at = rc == MP_OK ? 0 : mpx_retry_at(self, now, chunk);
    mp_rc_t result = mpx_spans_return(self, chunk, count, rc, at);
    if (result != MP_OK || at)
        return result;
    return mpx_job_queue_changed(self, now, chunk->job, count);
}

mp_rc_t mpx_job_undelay(mpx_sched_t *self, int64_t now, span_t *span)
{
    job_t *job = span->job;
    uint32_t count = span->count;
    self->now = now;
    mpx_spans_undelay(self, span);
    mp_rc_t rc = mpx_job_queue_changed(self, now, job, count);
    return rc == MP_OK ? mpx_handout_need(self, job->need) : rc;
}

mp_rc_t mpx_sched_job_hold(mpx_sched_t *self, int64_t now, uint64_t id, bool held)
{
    job_t *job = mpx_job_find(self, id);
    if (!job)
        return MP_EINVAL;
    self->now = now;
    job->held = held;
    mpx_need_update_ring(self, job);
    return held ? mpx_handout_cramped(self) : mpx_handout_need(self, job->need);
}

mp_rc_t mpx_job_end_queued(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint64_t end,
                           mp_rc_t rc)
{
    uint64_t ended = 0;
    mp_rc_t result = mpx_spans_end(self, job, first, end, &(end_t){.rc = rc}, &ended);
    return result == MP_OK ? mpx_job_queue_changed(self, now, job, -ended) : result;
}

mp_rc_t mpx_job_lapse(mpx_sched_t *self, int64_t now, span_t *span)
{
    job_t *job = span->job;
    uint64_t queued = span->delay.slot ? 0 : span->count; /* delayed ones are counted apart */
    mp_rc_t rc = mpx_spans_lapse(self, span);
    if (rc != MP_OK || !queued)
        return rc;
    rc = mpx_job_queue_changed(self, now, job, -queued);
    return rc == MP_OK ? mpx_handout_cramped(self) : rc;
}

static bool lies_within(const chunk_t *chunk, uint64_t first, uint64_t end)
{
    return chunk->first + chunk->done >= first && chunk->first + chunk->count <= end;
}

/* What is to end, delayed calls too, must not be given out on the way. */
static mp_rc_t end_waiting(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint64_t end,
                           mp_rc_t rc)
{
    span_t *span, *next;
    DL_FOREACH_SAFE (job->later, span, next) {
        uint32_t undelayed = 0;
        mp_rc_t result = mpx_spans_undelay_part(self, span, first, end, &undelayed);
        job->queued += undelayed;
        self->queued += undelayed;
        if (result != MP_OK)
            return result;
    }
    return mpx_job_end_queued(self, now, job, first, end, rc);
}

static mp_rc_t cancel(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint64_t end,
                      mp_rc_t rc)
{
    self->now = now;
    mp_rc_t result = end_waiting(self, now, job, first, end, rc);
    for (chunk_t *chunk = job->chunks; chunk && result == MP_OK; chunk = chunk->job_next)
        if (!chunk->orphan && lies_within(chunk, first, end))
            result = mpx_chunk_orphan(self, now, chunk, (end_t){.rc = rc});
    return result == MP_OK ? mpx_handout_need(self, job->need) : result;
}

mp_rc_t mpx_sched_job_cancel(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc)
{
    job_t *job = mpx_job_find(self, id);
    if (!job || rc == MP_OK)
        return MP_EINVAL;
    return cancel(self, now, job, 0, UINT64_MAX, rc);
}

mp_rc_t mpx_sched_cancel(mpx_sched_t *self, int64_t now, uint64_t id, uint64_t first,
                         uint32_t count, mp_rc_t rc)
{
    job_t *job = mpx_job_find(self, id);
    if (!job || first > UINT64_MAX - count || rc == MP_OK)
        return MP_EINVAL;
    return cancel(self, now, job, first, first + count, rc);
}

mp_rc_t mpx_sched_end_queued(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc)
{
    job_t *job = mpx_job_find(self, id);
    if (!job || rc == MP_OK)
        return MP_EINVAL;
    return end_waiting(self, now, job, 0, UINT64_MAX, rc);
}

mp_rc_t mpx_sched_job_close(mpx_sched_t *self, int64_t now, uint64_t id)
{
    (void)now;
    job_t *job = mpx_job_find(self, id);
    if (!job)
        return MP_EINVAL;
    if (job->queued + job->delayed + job->given > 0)
        return MP_EBUSY;
    mpx_job_free(self, job);
    return MP_OK;
}

uint64_t mpx_sched_job_open_calls(const mpx_sched_t *self, uint64_t id)
{
    const job_t *job = mpx_job_find(self, id);
    return job ? job->queued + job->delayed + job->given : 0;
}

int64_t mpx_sched_job_service_ns(const mpx_sched_t *self, uint64_t id)
{
    const job_t *job = mpx_job_find(self, id);
    return job ? job->service_ns : 0;
}
