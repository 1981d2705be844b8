/* patience.c: how long queued calls wait for a worker to come.
 *
 * Each way of starving has its own clock. It starts when the job first starves in that way
 * and goes on, whatever comes and goes meanwhile, until there is a capable worker: so
 * workers that come and go without being able to help can't put the end off for ever, and
 * the first worker of another task doesn't end what waited for its own.
 *
 * A job whose calls ended so has nothing to hope for, for as long again: calls that are put
 * meanwhile end at once, or a map of many windows would wait through the limit for each.
 */
#include "sched_private.h"

static int64_t limit_of(const job_t *job)
{
    switch (job->starving) {
    case NO_WORKER:
        return job->policy.wait_ns;
    case NO_CAPABLE_WORKER:
        return job->policy.absent_ns;
    default:
        return 0;
    }
}

static void start_clocks(job_t *job)
{
    for (int i = 0; i < STARVING_END; i++)
        job->since[i] = MPX_NEVER;
}

mp_rc_t mpx_patience_update(mpx_sched_t *self, int64_t now, job_t *job)
{
    starving_t starving = job->queued ? job->need->starving : FED;
    if (job->need->starving == FED)
        job->hopeless_until = 0;
    if (starving == job->starving)
        return MP_OK;
    if (job->starving == FED && now >= job->hopeless_until)
        start_clocks(job);
    job->starving = starving;
    mpx_heap_remove(&self->patience, &job->patience);
    if (starving == FED)
        return MP_OK;
    job->since[starving] = mpx_earlier(job->since[starving], now);
    int64_t limit = limit_of(job);
    if (limit == 0)
        return MP_OK;
    return mpx_heap_set(&self->patience, &job->patience, mpx_after(job->since[starving], limit));
}

mp_rc_t mpx_patience_expire(mpx_sched_t *self, int64_t now, job_t *job)
{
    mp_rc_t rc = job->starving == NO_WORKER ? MP_ENOWORKER : MP_ENOTASK;
    job->hopeless_until = mpx_after(now, limit_of(job));
    return mpx_job_end_queued(self, now, job, 0, UINT64_MAX, rc);
}
