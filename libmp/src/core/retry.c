/* retry.c: whether a call is tried again, and when. */
#include "sched_private.h"

static uint32_t cause_of(mp_rc_t rc)
{
    switch (rc) {
    case MP_EFAILED:
        return MPX_RETRY_FAILED;
    case MP_ECRASHED:
        return MPX_RETRY_CRASHED;
    case MP_ETIMEDOUT:
        return MPX_RETRY_TIMED_OUT;
    case MP_ENOMEM:
        return MPX_RETRY_MEMORY;
    case MP_EDRAINING:
        return MPX_RETRY_DRAINED;
    default:
        return MPX_RETRY_LOST;
    }
}

bool mpx_retry_is_free(mp_rc_t rc, uint32_t losses)
{
    return (cause_of(rc) & (MPX_RETRY_LOST | MPX_RETRY_DRAINED)) && losses < MPX_LOSSES_FREE;
}

bool mpx_retry_is_death(mp_rc_t rc)
{
    return rc == MP_ECRASHED || rc == MP_ENOMEM;
}

mpx_verdict_t mpx_retry_judge(const chunk_t *chunk, mp_rc_t rc)
{
    const mpx_policy_t *policy = &chunk->job->policy;
    uint32_t crashes = chunk->crashes + mpx_retry_is_death(rc);
    mpx_verdict_t verdict = {0};
    if (rc == MP_ECANCELLED || policy->retries == 0 ||
        (policy->retry_on && !(policy->retry_on & cause_of(rc))))
        return verdict;
    if (!mpx_retry_is_free(rc, chunk->losses) && chunk->attempt - chunk->losses > policy->retries)
        return verdict;
    if (mpx_retry_is_death(rc) && policy->crashes_max && crashes >= policy->crashes_max)
        verdict.crashes = crashes;
    else
        verdict.again = true;
    return verdict;
}

void mpx_sched_seed(mpx_sched_t *self, uint64_t seed)
{
    self->seed = seed;
}

/* Of a call's attempt, and nothing else: the order of events has no part in it. */
static uint64_t chance(uint64_t seed, const chunk_t *chunk)
{
    uint64_t x = seed ^ mpx_spread(chunk->job_id) ^ mpx_spread(chunk->first + chunk->done + 1) ^
                 ((uint64_t)chunk->attempt << 32);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

int64_t mpx_retry_at(const mpx_sched_t *self, int64_t now, const chunk_t *chunk)
{
    int64_t delay = chunk->job->policy.retry_delay_ns;
    if (delay == 0)
        return 0;
    for (uint32_t i = 1; i < chunk->attempt && delay < MPX_NEVER / 4; i++)
        delay *= 2;
    if (self->seed)
        delay += (int64_t)(chance(self->seed, chunk) % (uint64_t)(delay / 4 + 1));
    return mpx_after(now, delay);
}
