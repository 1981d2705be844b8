/* chunk.c: what becomes of calls that a worker has. */
#include "sched_private.h"

#include <stdlib.h>

static uint32_t rest_of(const chunk_t *chunk)
{
    return chunk->count - chunk->done;
}

void mpx_chunk_take_back(mpx_sched_t *self, const chunk_t *chunk, uint32_t count)
{
    chunk->job->given -= count;
    self->given -= count;
}

/* At its limit, or at its deadline if that is sooner. */
static mp_rc_t set_timer(mpx_sched_t *self, chunk_t *chunk)
{
    int64_t at = chunk->orphan ? chunk->limit_at : mpx_earlier(chunk->limit_at, chunk->deadline);
    if (at != MPX_NEVER)
        return mpx_heap_set(&self->deadlines, &chunk->timer, at);
    mpx_heap_remove(&self->deadlines, &chunk->timer);
    return MP_OK;
}

static void take_capacities(chunk_t *chunk, demand_t *demand)
{
    chunk->demand = demand;
    if (!demand)
        return;
    demand->holders++;
    mpx_worker_use(chunk->worker, demand, true);
}

static void leave_capacities(mpx_sched_t *self, chunk_t *chunk)
{
    self->freed = self->freed || (chunk->demand && chunk->worker->shares);
    mpx_worker_use(chunk->worker, chunk->demand, false);
    mpx_demand_drop(chunk->demand);
    chunk->demand = NULL;
}

chunk_t *mpx_chunk_make(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size)
{
    chunk_t *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->id = ++self->last_chunk;
    chunk->limit_at = MPX_NEVER;
    if (mpx_table_add(&self->chunks, chunk->id, chunk) != MP_OK) {
        free(chunk);
        return NULL;
    }
    chunk->worker = worker;
    chunk->job = job;
    chunk->job_id = job->id;
    chunk->grace_ns = job->policy.grace_ns;
    mpx_spans_cut(self, job, chunk, size);
    take_capacities(chunk, job->need->demand);
    DL_APPEND2(worker->chunks, chunk, worker_prev, worker_next);
    DL_APPEND2(job->chunks, chunk, job_prev, job_next);
    worker->chunks_count++;
    worker->waiting++;
    worker->bytes += chunk->bytes;
    job->queued -= size;
    self->queued -= size;
    job->given += size;
    self->given += size;
    if (set_timer(self, chunk) == MP_OK)
        return chunk;
    mpx_chunk_take_back(self, chunk, size); /* its calls are lost; so is the scheduler */
    mpx_chunk_free(self, chunk);
    return NULL;
}

void mpx_chunk_free(mpx_sched_t *self, chunk_t *chunk)
{
    worker_t *worker = chunk->worker;
    mpx_heap_remove(&self->deadlines, &chunk->timer);
    mpx_recall_answered(self, chunk);
    leave_capacities(self, chunk);
    DL_DELETE2(worker->chunks, chunk, worker_prev, worker_next);
    worker->chunks_count--;
    worker->slow_count -= chunk->slow;
    worker->waiting -= !chunk->started;
    worker->bytes -= chunk->bytes;
    if (chunk->job)
        DL_DELETE2(chunk->job->chunks, chunk, job_prev, job_next);
    mpx_table_remove(&self->chunks, chunk->id);
    free(chunk);
}

/* ---- what it costs ------------------------------------------------------------------- */

/* A chunk was charged call_ns for each of its calls when it was given out. What they have really
 * had is charged in its place when it is known, and what never ran costs nothing. */

/* What its running call has had so far, if one runs. Word of its beginning may be late, so it is
 * not thought to have had less than expected. */
static int64_t ran_ns(const chunk_t *chunk, int64_t now)
{
    int64_t ns = now - chunk->began;
    return !chunk->started ? 0 : ns > chunk->call_ns ? ns : chunk->call_ns;
}

/* Of its next calls the first has had so much, if it ran, and the others nothing. */
static void settle(const chunk_t *chunk, uint32_t count, int64_t ns)
{
    uint32_t ran = ns > 0;
    if (ran)
        mpx_share_correct(chunk->job, ns - chunk->call_ns);
    mpx_share_forgive(chunk->job, chunk->call_ns * (count - ran));
}

/* From here on it is charged for its running call only. */
static void settle_orphan(chunk_t *chunk, int64_t now)
{
    int64_t ns = ran_ns(chunk, now);
    settle(chunk, rest_of(chunk), ns);
    chunk->call_ns = ns;
}

/* An orphan's calls have had so much in all. */
static void charge_orphan(chunk_t *chunk, int64_t ns)
{
    if (chunk->job && ns > 0)
        mpx_share_correct(chunk->job, ns - chunk->call_ns);
    chunk->call_ns = 0;
}

/* ---- stopping ----------------------------------------------------------------------- */

/* What an orphan may run at least before it is more than asked: a worker's life costs more than
 * the end of a short call. */
static const int64_t orphan_ns = 50000000;

/* A worker that was to be ended, but whose call ended first, may die of that so much later. */
static const int64_t excuse_ns = 1000000000;

static mp_rc_t watch(mpx_sched_t *self, int64_t now, chunk_t *chunk, int64_t ns)
{
    chunk->limit_at = mpx_after(now, ns);
    return set_timer(self, chunk);
}

/* Its worker may be killed by that: what follows is mpx_chunk_lose. */
static mp_rc_t kill_worker(mpx_sched_t *self, chunk_t *chunk, mp_rc_t rc)
{
    mpx_heap_remove(&self->deadlines, &chunk->timer);
    chunk->limit_at = MPX_NEVER;
    chunk->killed = true;
    return mpx_effects_stop(&self->effects, chunk, MPX_STOP_KILL, rc);
}

static mp_rc_t ask_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk, int64_t patience_ns)
{
    chunk->stage = MPX_STOP_ASK;
    mp_rc_t rc = mpx_effects_stop(&self->effects, chunk, MPX_STOP_ASK, MP_ECANCELLED);
    return rc == MP_OK ? watch(self, now, chunk, patience_ns) : rc;
}

/* Its turn has come: what was asked before may have been forgotten. */
static mp_rc_t begin_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    return ask_orphan(self, now, chunk, chunk->grace_ns > orphan_ns ? chunk->grace_ns : orphan_ns);
}

static mp_rc_t urge_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    if (!chunk->started)
        return watch(self, now, chunk, orphan_ns);
    if (chunk->stage == MPX_STOP_TERMINATE || chunk->grace_ns == 0)
        return kill_worker(self, chunk, MP_ECANCELLED);
    chunk->stage = MPX_STOP_TERMINATE;
    mp_rc_t rc = mpx_effects_stop(&self->effects, chunk, MPX_STOP_TERMINATE, MP_ECANCELLED);
    return rc == MP_OK ? watch(self, now, chunk, chunk->grace_ns) : rc;
}

mp_rc_t mpx_chunk_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk, end_t how)
{
    uint32_t rest = rest_of(chunk);
    mp_rc_t result = mpx_effects_end(&self->effects, chunk, rest, how);
    mpx_chunk_take_back(self, chunk, rest);
    settle_orphan(chunk, now);
    chunk->orphan = true;
    if (result != MP_OK || chunk->killed)
        return result;
    return ask_orphan(self, now, chunk, chunk->started ? chunk->grace_ns : orphan_ns);
}

/* The running call's soft limit, if it has one that comes first; else 0. */
static int64_t soft_limit(const mpx_policy_t *policy)
{
    bool first = !policy->call_limit_ns || policy->soft_limit_ns < policy->call_limit_ns;
    return first ? policy->soft_limit_ns : 0;
}

mp_rc_t mpx_chunk_expire(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    if (chunk->orphan)
        return urge_orphan(self, now, chunk);
    if (chunk->deadline <= now)
        return mpx_chunk_orphan(self, now, chunk, (end_t){.rc = MP_ETIMEDOUT, .lapsed = true});
    const mpx_policy_t *policy = &chunk->job->policy;
    if (!soft_limit(policy) || chunk->warned)
        return kill_worker(self, chunk, MP_ETIMEDOUT);
    chunk->warned = true;
    mp_rc_t rc = mpx_effects_stop(&self->effects, chunk, MPX_STOP_ASK, MP_ETIMEDOUT);
    if (rc != MP_OK)
        return rc;
    if (policy->call_limit_ns)
        return watch(self, chunk->began, chunk, policy->call_limit_ns);
    chunk->limit_at = MPX_NEVER;
    return set_timer(self, chunk);
}

/* ---- losing ------------------------------------------------------------------------- */

/* The chunk's next calls are no longer its worker's: charged with rc they end or are tried
 * again, with MP_OK they are just queued again. */
static mp_rc_t drop(mpx_sched_t *self, int64_t now, chunk_t *chunk, uint32_t count, mp_rc_t rc)
{
    mpx_verdict_t verdict =
        rc == MP_OK ? (mpx_verdict_t){.again = true} : mpx_retry_judge(chunk, rc);
    mp_rc_t result = verdict.again ? mpx_job_requeue(self, now, chunk, count, rc)
                                   : mpx_effects_end(&self->effects, chunk, count,
                                                     (end_t){.rc = rc, .crashes = verdict.crashes});
    mpx_chunk_take_back(self, chunk, count);
    chunk->done += count;
    return result;
}

static mp_rc_t drop_all(mpx_sched_t *self, int64_t now, chunk_t *chunk, mpx_charge_t charge,
                        mp_rc_t rc)
{
    bool running =
        charge == MPX_CHARGE_RUNNING && chunk->started && now >= chunk->worker->excused_until;
    mp_rc_t result = MP_OK;
    settle(chunk, rest_of(chunk), charge == MPX_CHARGE_NONE ? 0 : ran_ns(chunk, now));
    if (chunk->killed)
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
    mp_rc_t result = MP_OK;
    if (!chunk->orphan)
        result = drop_all(self, now, chunk, charge, rc);
    else if (charge != MPX_CHARGE_NONE)
        charge_orphan(chunk, ran_ns(chunk, now));
    mpx_chunk_free(self, chunk);
    return result;
}

/* ---- news from workers -------------------------------------------------------------- */

/* A call of the chunk begins. */
static mp_rc_t begin(mpx_sched_t *self, int64_t now, chunk_t *chunk)
{
    bool first = !chunk->started;
    chunk->started = true;
    chunk->worker->waiting -= first;
    mpx_recall_answered(self, chunk);
    mpx_recall_moved(chunk->worker, now);
    chunk->began = now;
    if (chunk->orphan)
        return first ? begin_orphan(self, now, chunk) : MP_OK;
    const mpx_policy_t *policy = &chunk->job->policy;
    int64_t limit = soft_limit(policy) ? soft_limit(policy) : policy->call_limit_ns;
    chunk->warned = false;
    if (limit == 0)
        return MP_OK;
    return watch(self, now, chunk, limit);
}

mp_rc_t mpx_sched_started(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk)
        return MP_EINVAL;
    self->now = now;
    return chunk->started ? MP_OK : begin(self, now, chunk);
}

/* Calls that took no time at all never ran, and say nothing of those that will. */
static void measure(job_t *job, const chunk_t *chunk, uint32_t n, int64_t busy_ns)
{
    if (busy_ns == 0) {
        settle(chunk, n, 0);
        return;
    }
    mpx_share_correct(job, busy_ns - chunk->call_ns * n);
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
        mpx_chunk_take_back(self, chunk, n);
    chunk->done += n;
    if (chunk->killed || chunk->stage == MPX_STOP_TERMINATE)
        chunk->worker->excused_until = mpx_after(now, excuse_ns);
    mpx_recall_moved(chunk->worker, now);
    if (!chunk->orphan && chunk->done > chunk->job->largest)
        chunk->job->largest = chunk->done;
    if (rest_of(chunk) == 0) {
        mpx_chunk_free(self, chunk);
        return MP_OK;
    }
    if (!chunk->orphan)
        chunk->killed = false;
    return begin(self, now, chunk);
}

mp_rc_t mpx_sched_done(mpx_sched_t *self, int64_t now, uint64_t id, uint32_t n, int64_t busy_ns)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || n == 0 || n > rest_of(chunk) || busy_ns < 0)
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    bool over = n == rest_of(chunk);
    self->now = now;
    if (!chunk->orphan)
        measure(chunk->job, chunk, n, busy_ns);
    else
        charge_orphan(chunk, busy_ns);
    mp_rc_t rc = advance(self, now, chunk, n);
    return rc == MP_OK && over ? mpx_handout_worker(self, worker) : rc;
}

mp_rc_t mpx_sched_failed(mpx_sched_t *self, int64_t now, uint64_t id, mp_rc_t rc, int64_t busy_ns,
                         mpx_verdict_t *out)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk || rc == MP_OK || busy_ns < 0)
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    need_t *need = chunk->orphan ? NULL : chunk->job->need;
    self->now = now;
    mpx_verdict_t verdict = {0};
    bool over = rest_of(chunk) == 1;
    mp_rc_t result = MP_OK;
    if (!chunk->orphan) {
        settle(chunk, 1, busy_ns);
        verdict = mpx_retry_judge(chunk, rc);
    }
    if (verdict.again)
        result = mpx_job_requeue(self, now, chunk, 1, rc);
    if (result != MP_OK)
        return result;
    *out = verdict;
    result = advance(self, now, chunk, 1);
    if (result == MP_OK && verdict.again)
        result = mpx_handout_need(self, need);
    return result == MP_OK && over ? mpx_handout_worker(self, worker) : result;
}

mp_rc_t mpx_sched_give_back(mpx_sched_t *self, int64_t now, uint64_t id)
{
    chunk_t *chunk = mpx_table_find(&self->chunks, id);
    if (!chunk)
        return MP_EINVAL;
    worker_t *worker = chunk->worker;
    need_t *need = chunk->orphan ? NULL : chunk->job->need;
    self->now = now;
    mp_rc_t rc = mpx_chunk_lose(self, now, chunk, MPX_CHARGE_NONE, MP_OK);
    if (rc == MP_OK && need)
        rc = mpx_handout_need(self, need);
    return rc == MP_OK ? mpx_handout_worker(self, worker) : rc;
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
        .started = chunk->started,
        .timed = chunk->time_ns != 0,
    };
    return true;
}
