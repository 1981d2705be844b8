/* handout.c: which job is next, how large its chunk, and which worker gets it.
 *
 * A worker with room takes a chunk of the job that it can do and whose turn it is (share.c). When
 * there is no room for that job, the worker doesn't take another's instead: its room would be
 * refilled by small chunks for ever, and the job whose chunk needs more of it would never come in.
 * For the same reason, when the worker has too little left of a capacity that the job needs, it
 * takes the next job, but none that needs that capacity as well.
 *
 * Every worker that isn't draining is in one of these states:
 *   hungry   had room when nothing was left for it: gets its chance when work comes
 *   short    had room, and lacked something for all that was left: gets its chance when a
 *            chunk of it is over, or work comes that needs something else, or another worker
 *            that shares with it has used up less
 *   cramped  has an idle slot, but no credit for the job whose turn it is: looks again
 *            whenever the ring has changed
 *   neither  has work for all its slots: gets its chance when a chunk of it is over
 */
#include "sched_private.h"

enum {
    CHUNK_TARGET_NS = 1000000, /* run time that makes the cost of a chunk vanish */
    CHUNK_LEAST_NS = 50000,    /* two workers need longer to share less than one to do it all */
    CHUNK_TIME_NS = 10000000,  /* what takes longer than was thought is given back then */
    CHUNK_BYTES = 64 * 1024,
    GUESS_CALLS = 32, /* at most in a chunk whose run time is a guess, if its worker doesn't yield:
                         they may be slow after all */
    CHUNK_GROWTH = 4, /* at most, over the largest one so far: the first calls may mislead */
    UNKNOWN_NS = 1000000, /* what a call is charged of which nothing is known */
    AHEAD_PART =
        8, /* of a worker's credit is for what waits there: memory in use is quick memory */
    DEPTH_MIN = 2,
    DEPTH_MAX = 256 /* half of what a lane can call back */
};

/* ---- sizes -------------------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Part of what is queued, so that none is a straggler near the job's end. */
static uint64_t portion(const job_t *job, int64_t service_ns)
{
    uint64_t portions = 2 * (job->need->slots ? job->need->slots : 1);
    uint64_t size = (job->queued + portions - 1) / portions;
    uint64_t least = CHUNK_LEAST_NS / (uint64_t)service_ns;
    return size > least ? size : least;
}

/* Calls that take about CHUNK_TARGET_NS, or less near the job's end. */
static uint64_t adapted_size(const worker_t *worker, const job_t *job)
{
    bool guessed = job->service_ns == 0;
    int64_t service_ns = guessed ? job->policy.guess_ns : job->service_ns;
    if (service_ns == 0)
        return 1;
    uint64_t size = CHUNK_TARGET_NS / (uint64_t)service_ns;
    if (!guessed)
        size = smaller(size, (job->largest ? (uint64_t)job->largest : 1) * CHUNK_GROWTH);
    else if (!worker->yields)
        size = smaller(size, GUESS_CALLS);
    size = smaller(size, portion(job, service_ns));
    uint64_t call_bytes = job->spans->bytes / job->spans->count;
    if (call_bytes > 0)
        size = smaller(size, CHUNK_BYTES / call_bytes);
    return size ? size : 1;
}

static bool adapts(const job_t *job)
{
    return job->policy.chunk_calls == 0;
}

static uint32_t chunk_size(const worker_t *worker, const job_t *job)
{
    const span_t *span = job->spans;
    uint64_t size = job->policy.chunk_calls;
    bool limited =
        (job->policy.call_limit_ns || job->policy.soft_limit_ns) && size != MPX_CHUNK_WHOLE;
    if (limited || span->attempt > 1)
        size = 1; /* a call that failed before must not take others along */
    else if (adapts(job))
        size = adapted_size(worker, job);
    return (uint32_t)smaller(size, span->count);
}

/* Chunks of that many calls to have at each slot of the worker. */
static uint64_t depth(const worker_t *worker, const job_t *job, uint32_t size)
{
    if (job->service_ns == 0 || job->service_ns > INT64_MAX / size)
        return 1;
    int64_t chunk_ns = job->service_ns * size;
    if (chunk_ns / 5 > worker->horizon_ns / 2 || chunk_ns * 2 > worker->horizon_ns * 5)
        return 1; /* it would strand behind the one before */
    uint64_t chunks = smaller((uint64_t)(worker->horizon_ns / chunk_ns), DEPTH_MAX);
    uint64_t chunk_bytes = job->spans->call_bytes * size;
    if (chunk_bytes)
        chunks = smaller(chunks, worker->credit_bytes / AHEAD_PART / chunk_bytes);
    return chunks < DEPTH_MIN ? DEPTH_MIN : chunks;
}

/* A slot that is busy with a slow chunk gets nothing put behind it. */
static bool has_room(const worker_t *worker, const job_t *job, uint32_t size)
{
    if (worker->chunks_count == 0)
        return true;
    uint64_t bytes = job->spans->call_bytes * size;
    if (bytes > worker->credit_bytes || worker->bytes > worker->credit_bytes - bytes)
        return false;
    uint64_t slow = smaller(worker->slow_count, worker->slots);
    uint64_t most = worker->stalled ? 1 : depth(worker, job, size);
    return worker->chunks_count < slow + most * (worker->slots - slow);
}

/* ---- giving ------------------------------------------------------------------------- */

/* Whoever has nothing does, also if it lacks what all that is queued needs: others may hold that
 * for chunks that they don't get on with. */
static void set_idle(mpx_sched_t *self, worker_t *worker, bool idle)
{
    uint32_t change = (uint32_t)idle - worker->idle;
    self->idle += change;
    worker->kind->idle += change;
    worker->idle = idle;
}

void mpx_handout_leave(mpx_sched_t *self, worker_t *worker)
{
    if (worker->list)
        DL_DELETE2(*worker->list, worker, list_prev, list_next);
    set_idle(self, worker, false);
    worker->list = NULL;
}

static void wait_in(mpx_sched_t *self, worker_t **list, worker_t *worker)
{
    mpx_handout_leave(self, worker);
    worker->list = list;
    DL_APPEND2(*list, worker, list_prev, list_next);
    set_idle(self, worker, worker->chunks_count == 0);
}

/* What is looked for on behalf of a worker. */
typedef struct search {
    const worker_t *worker;
    uint32_t blocked; /* capacities that a job before had too little of */
    job_t *best;
} search_t;

/* A need whose turn is before the best one's. */
static void consider(search_t *search, const need_t *need)
{
    job_t *job = mpx_kind_can(search->worker->kind, need) ? mpx_need_next(need) : NULL;
    if (!job || (search->blocked & mpx_worker_needed(search->worker, need)))
        return;
    if (!search->best || mpx_share_precedes(job, search->best))
        search->best = job;
}

static void consider_task(const mpx_sched_t *self, search_t *search, uint64_t task)
{
    for (const need_t *need = mpx_need_find(self, task); need; need = need->sibling)
        consider(search, need);
}

static void consider_all(const mpx_sched_t *self, search_t *search)
{
    const kind_t *kind = search->worker->kind;
    search->best = NULL;
    if (kind->all || self->ready_count <= kind->tasks_count) {
        for (const need_t *need = self->ready; need; need = need->ready_next)
            consider(search, need);
        return;
    }
    for (size_t i = 0; i < kind->tasks_count; i++)
        consider_task(self, search, kind->tasks[i]);
    consider_task(self, search, 0);
}

/* Each round that doesn't find it blocks one capacity more, at least. */
static job_t *next_job(const mpx_sched_t *self, const worker_t *worker, bool *lacks)
{
    search_t search = {.worker = worker};
    uint32_t lacking;
    do {
        consider_all(self, &search);
        lacking = search.best ? mpx_worker_lacks(worker, search.best->need) : 0;
        search.blocked |= lacking;
    } while (lacking);
    *lacks = search.blocked != 0;
    return search.best;
}

/* Bounded: what else a worker says is a mistake. */
static int64_t call_ns(const job_t *job, uint32_t size)
{
    int64_t most_ns = (INT64_C(1) << 50) / size;
    int64_t ns = job->service_ns ? job->service_ns : job->policy.guess_ns;
    return ns == 0 ? UNKNOWN_NS : ns < most_ns ? ns : most_ns;
}

static mp_rc_t give(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size)
{
    bool slow = depth(worker, job, size) == 1;
    chunk_t *chunk = mpx_chunk_make(self, worker, job, size);
    if (!chunk)
        return MP_ENOMEM;
    chunk->slow = slow;
    chunk->time_ns = worker->yields && adapts(job) && size > 1 ? CHUNK_TIME_NS : 0;
    chunk->call_ns = call_ns(job, size);
    worker->slow_count += slow;
    mpx_share_charge(self, job, chunk->call_ns * size);
    mpx_need_update_ring(self, job);
    mp_rc_t rc = mpx_effects_run(&self->effects, chunk);
    return rc == MP_OK ? mpx_recall_watch(self, worker) : rc;
}

/* Give it a chunk, or have it wait in the right list. */
static mp_rc_t give_one(mpx_sched_t *self, worker_t *worker, bool *gave)
{
    *gave = false;
    bool lacks;
    kind_t *kind = worker->kind;
    mpx_handout_leave(self, worker);
    job_t *job = next_job(self, worker, &lacks);
    if (!job) {
        wait_in(self, lacks ? &kind->shorts : &kind->hungry[worker->chunks_count == 0], worker);
        return MP_OK;
    }
    uint32_t size = chunk_size(worker, job);
    if (has_room(worker, job, size)) {
        *gave = true;
        return give(self, worker, job, size);
    }
    if (worker->chunks_count < worker->slots)
        wait_in(self, &self->cramped, worker);
    return MP_OK;
}

static mp_rc_t fill(mpx_sched_t *self, worker_t *worker)
{
    bool gave = !worker->draining;
    mp_rc_t rc = MP_OK;
    while (gave && rc == MP_OK)
        rc = give_one(self, worker, &gave);
    return rc;
}

static mp_rc_t fill_cramped(mpx_sched_t *self)
{
    const worker_t *last = self->cramped->list_prev;
    const worker_t *worker = NULL;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && worker != last) {
        worker = self->cramped;
        rc = fill(self, self->cramped); /* it leaves the list or goes to its end */
    }
    return rc;
}

mp_rc_t mpx_handout_cramped(mpx_sched_t *self)
{
    uint64_t chunks;
    mp_rc_t rc = MP_OK;
    do { /* what one of them gets changes the ring for those before it */
        chunks = self->last_chunk;
        if (self->cramped)
            rc = fill_cramped(self);
    } while (rc == MP_OK && self->last_chunk != chunks);
    return rc;
}

/* The first hungry worker of a kind, which can run something that is in the ring. */
static mp_rc_t feed_first(mpx_sched_t *self, kind_t *kind, int idle)
{
    bool gave;
    worker_t *worker = kind->hungry[idle];
    mp_rc_t rc = give_one(self, worker, &gave);
    if (rc == MP_OK && gave)
        wait_in(self, &kind->hungry[0], worker);
    return rc;
}

/* One chunk for a worker of each kind, again and again, until work or room ends: a worker
 * that gets none leaves the list. */
static mp_rc_t feed(mpx_sched_t *self, const need_t *need, int idle)
{
    bool any = true;
    mp_rc_t rc = MP_OK;
    while (any && rc == MP_OK) {
        any = false;
        for (kind_t *kind = self->kinds; kind && need->ringed && rc == MP_OK; kind = kind->next) {
            if (!kind->hungry[idle] || !mpx_kind_can(kind, need))
                continue;
            rc = feed_first(self, kind, idle);
            any = true;
        }
    }
    return rc;
}

/* Those that were short of something for other work. Each is asked once: whatever gives it more
 * asks it again. */
static mp_rc_t feed_shorts(mpx_sched_t *self, const need_t *need, kind_t *kind)
{
    const worker_t *last = kind->shorts ? kind->shorts->list_prev : NULL;
    worker_t *next = kind->shorts;
    mp_rc_t rc = MP_OK;
    while (next && need->ringed && rc == MP_OK) {
        worker_t *worker = next;
        next = worker == last ? NULL : worker->list_next;
        if (!mpx_worker_lacks(worker, need))
            rc = fill(self, worker);
    }
    return rc;
}

static mp_rc_t feed_all_shorts(mpx_sched_t *self, need_t *need)
{
    mp_rc_t rc = MP_OK;
    for (kind_t *kind = self->kinds; kind && need->ringed && rc == MP_OK; kind = kind->next)
        if (kind->shorts && mpx_kind_can(kind, need))
            rc = feed_shorts(self, need, kind);
    need->looked = need->ringed > 0;
    return rc;
}

mp_rc_t mpx_handout_need(mpx_sched_t *self, need_t *need)
{
    mp_rc_t rc = feed(self, need, 1);
    if (rc == MP_OK)
        rc = feed(self, need, 0);
    if (rc == MP_OK && need->ringed && !need->looked)
        rc = feed_all_shorts(self, need);
    return rc == MP_OK ? mpx_handout_cramped(self) : rc;
}

/* Of what workers share there is more than before, for whichever of them was short of it. */
static mp_rc_t feed_freed(mpx_sched_t *self)
{
    mp_rc_t rc = MP_OK;
    self->freed = false;
    for (need_t *first = self->needs; first; first = first->hh.next)
        for (need_t *need = first; need && rc == MP_OK; need = need->sibling)
            if (need->demand && need->ringed)
                rc = feed_all_shorts(self, need);
    return rc;
}

mp_rc_t mpx_handout_worker(mpx_sched_t *self, worker_t *worker)
{
    mp_rc_t rc = fill(self, worker);
    if (rc == MP_OK && self->freed)
        rc = feed_freed(self);
    return rc == MP_OK ? mpx_handout_cramped(self) : rc;
}

mp_rc_t mpx_handout_needs(mpx_sched_t *self)
{
    mp_rc_t rc = self->freed ? feed_freed(self) : MP_OK;
    for (need_t *first = self->needs; first; first = first->hh.next)
        for (need_t *need = first; need && rc == MP_OK; need = need->sibling)
            rc = mpx_handout_need(self, need);
    return rc;
}
