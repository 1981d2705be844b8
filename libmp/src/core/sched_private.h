/* sched_private.h: what the scheduler knows. Only for the files of core.
 *
 *     sched --+-- needs: one for each task of an open job
 *             |     +-- jobs of that task; those with calls to give out stand in the ring of
 *             |           their priority's level
 *             |           +-- spans: queued calls, next one first
 *             |           +-- later: calls that wait to be tried again
 *             |           +-- chunks: calls that a worker has
 *             +-- kinds: one for each set of tasks that a worker offers
 *                   +-- hungry workers of that kind
 *
 * Needs and kinds are few where jobs and workers are many: matching jobs with workers goes
 * over those, so that a chunk costs the same with one worker and with a thousand.
 */
#ifndef MPX_SCHED_PRIVATE_H
#define MPX_SCHED_PRIVATE_H

#include "clock.h"
#include "heap.h"
#include "sched.h"

#include <string.h>

/* Every key is an id of 64 bits, mostly counted up: one multiplication spreads them. */
static inline uint64_t mpx_spread(uint64_t id)
{
    return id * UINT64_C(0x9E3779B97F4A7C15);
}

static inline unsigned mpx_hash_id(const void *key)
{
    uint64_t id;
    memcpy(&id, key, sizeof id);
    return (unsigned)(mpx_spread(id) >> 32);
}
#define HASH_FUNCTION(key, size, hash) ((hash) = mpx_hash_id(key))

/* Memory's end must not end the process: what can't be listed says so. */
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Queued calls that were put, or came back, together. */
typedef struct span {
    uint64_t first;
    uint32_t count;
    uint32_t attempt;
    uint32_t crashes; /* workers that it cost so far */
    uint64_t bytes;
    uint64_t tag;
    int64_t since; /* when the oldest of them was put */
    bool returned; /* was given out before: stands in front, in the order of first */
    struct job *job;
    mpx_heap_node_t delay; /* in sched.delays while it is in job.later */
    struct span *prev, *next;
} span_t;

/* Why calls for a task can't be given out, as far as there being workers goes. */
typedef enum starving { FED, NO_WORKER, NO_CAPABLE_WORKER, STARVING_END } starving_t;

/* Jobs of one task and one priority. */
typedef struct level {
    int priority;
    uint32_t members;
    struct job *ring; /* those with calls to give out, next one first */
    struct level *prev, *next;
} level_t;

typedef struct job {
    uint64_t id;
    mpx_policy_t policy;
    struct need *need;
    level_t *level;
    struct job *need_prev, *need_next; /* in need.jobs */
    span_t *spans;
    span_t *cursor;       /* the returned span placed last; the next one goes near it */
    span_t *later;        /* in no order */
    uint64_t queued;      /* calls in spans */
    uint64_t delayed;     /* calls in later */
    uint64_t given;       /* calls in chunks that are not orphans */
    struct chunk *chunks; /* orphans too */
    bool held;
    bool in_ring;  /* has queued calls and isn't held */
    uint64_t turn; /* when it joined the ring: lower ones go first */
    struct job *ring_prev, *ring_next;
    int64_t service_ns;          /* measured run time of a call; 0: unknown */
    uint32_t largest;            /* calls of the largest chunk finished so far */
    starving_t starving;         /* FED also while nothing is queued */
    int64_t since[STARVING_END]; /* first time of each state since it was FED */
    mpx_heap_node_t patience;    /* in sched.patience while starving with a limit */
    bool unlisted;
    UT_hash_handle hh;
} job_t;

/* The open jobs of one task, and what the workers have for them. */
typedef struct need {
    uint64_t task;
    job_t *jobs;
    level_t *levels;                      /* highest priority first */
    uint32_t ringed;                      /* jobs in their rings */
    struct need *ready_prev, *ready_next; /* in sched.ready while there are such jobs */
    uint64_t takers;                      /* workers that could run it, draining ones apart */
    uint64_t slots;                       /* of the takers */
    starving_t starving;
    bool unlisted;
    UT_hash_handle hh;
} need_t;

typedef struct chunk {
    uint64_t id;
    struct worker *worker;
    job_t *job; /* NULL: an orphan whose job was closed */
    uint64_t job_id;
    uint64_t tag;
    uint64_t first;
    uint32_t count;
    uint32_t done;
    uint32_t attempt;
    uint32_t crashes; /* as of the span */
    uint64_t bytes;
    int64_t since; /* as of the span */
    int64_t grace_ns;
    int64_t began; /* its running call */
    bool slow;     /* of a job whose chunks take long, or nobody knows how long */
    bool started;
    bool warned; /* its running call was, at its soft limit */
    bool orphan;
    bool killed;              /* so is its worker, on its account, and no result has come since */
    mpx_stop_stage_t stage;   /* of an orphan: what was done last */
    mpx_heap_node_t deadline; /* in sched.deadlines while a call with a limit runs, or an orphan */
    struct chunk *worker_prev, *worker_next;
    struct chunk *job_prev, *job_next;
} chunk_t;

/* Workers that can do the same. */
typedef struct kind {
    uint64_t *tasks; /* sorted */
    size_t tasks_count;
    bool all; /* every task, whatever is in tasks */
    uint32_t members;
    uint64_t takers;          /* members that aren't draining */
    uint64_t slots;           /* of the takers */
    struct worker *hungry[2]; /* had room and nothing to fill it; [1]: have nothing at all */
    struct kind *prev, *next;
} kind_t;

typedef struct worker {
    uint64_t id;
    kind_t *kind;
    uint32_t slots;
    int64_t horizon_ns;
    uint64_t credit_bytes;
    bool draining; /* for good or for now: */
    bool paused;
    bool excused;    /* was to be killed for a call that ended after all: its loss is our doing */
    chunk_t *chunks; /* oldest first */
    uint32_t chunks_count;
    uint32_t slow_count; /* of those, the slow ones */
    uint64_t bytes;
    struct worker **list; /* the one that it waits in for work: hungry or cramped; or NULL */
    struct worker *list_prev, *list_next;
    bool unlisted;
    UT_hash_handle hh;
} worker_t;

typedef struct entry {
    uint64_t id;
    chunk_t *chunk; /* NULL: the place is free */
} entry_t;

typedef struct table {
    entry_t *entries;
    size_t count;
    size_t room;    /* a power of two */
    unsigned shift; /* 64 - its logarithm: an id's home is the top bits of its product */
} table_t;

typedef struct effects {
    mpx_effect_t *ring;
    size_t first;
    size_t count;
    size_t room; /* a power of two */
} effects_t;

struct mpx_sched {
    job_t *jobs;
    worker_t *workers;
    table_t chunks;
    need_t *needs;
    need_t *ready; /* needs with calls to give out, in no order */
    size_t ready_count;
    kind_t *kinds;
    worker_t *cramped; /* have an idle slot, but no credit for the job whose turn it is */
    mpx_heap_t deadlines;
    mpx_heap_t delays;
    mpx_heap_t patience;
    effects_t effects;
    uint64_t last_chunk;
    uint64_t last_turn;
    uint64_t queued;
    uint64_t delayed;
    uint64_t given;
    uint64_t takers; /* workers that aren't draining */
    uint64_t slots;  /* of all workers */
};

/* now + ns, or never. */
static inline int64_t mpx_after(int64_t now, int64_t ns)
{
    return now > MPX_NEVER - ns ? MPX_NEVER : now + ns;
}

/* effects.c */
mp_rc_t mpx_effects_add(effects_t *self, const mpx_effect_t *effect);
mp_rc_t mpx_effects_run(effects_t *self, const chunk_t *chunk);
mp_rc_t mpx_effects_stop(effects_t *self, const chunk_t *chunk, mpx_stop_stage_t stage, mp_rc_t rc);
/* END of a chunk's next calls; none for no calls. crashes: as in the effect. */
mp_rc_t mpx_effects_end(effects_t *self, const chunk_t *chunk, uint32_t count, mp_rc_t rc,
                        uint32_t crashes);
/* END of a range of queued calls. */
mp_rc_t mpx_effects_end_queued(effects_t *self, const span_t *span, uint64_t first, uint32_t count,
                               mp_rc_t rc);

/* table.c: chunks by id. */
mp_rc_t mpx_table_add(table_t *self, uint64_t id, chunk_t *chunk);
chunk_t *mpx_table_find(const table_t *self, uint64_t id);
void mpx_table_remove(table_t *self, uint64_t id); /* it must be in */
void mpx_table_free(table_t *self);

/* span.c: the queue of a job's spans. Counts of queued calls are the caller's. */
mp_rc_t mpx_spans_put(job_t *job, int64_t now, uint64_t first, uint32_t count, uint64_t bytes,
                      uint64_t tag);
/* The next calls of a chunk go back, charged with rc if it isn't MP_OK: in front, among others of
 * their sort in the order of their numbers, or into job.later until `at`, if that isn't 0. */
mp_rc_t mpx_spans_return(mpx_sched_t *self, const chunk_t *chunk, uint32_t count, mp_rc_t rc,
                         int64_t at);
/* Delayed calls go in front. */
void mpx_spans_undelay(mpx_sched_t *self, span_t *span);
/* Fill the chunk with `size` calls of the first span. */
void mpx_spans_cut(job_t *job, chunk_t *chunk, uint32_t size);
uint64_t mpx_span_share(const span_t *span, uint32_t count); /* bytes of its next calls */
/* Add END effects for the calls in [first, end) and drop them; their number is added to *ended.
 * None of them is delayed. */
mp_rc_t mpx_spans_end(mpx_sched_t *self, job_t *job, uint64_t first, uint64_t end, mp_rc_t rc,
                      uint64_t *ended);
void mpx_spans_free(mpx_sched_t *self, job_t *job);

/* need.c: which workers can do what. */
need_t *mpx_need_find(const mpx_sched_t *self, uint64_t task);
need_t *mpx_need_join(mpx_sched_t *self, job_t *job); /* NULL: no memory */
void mpx_need_leave(mpx_sched_t *self, job_t *job);
/* The job's queue or hold has changed: put it into the ring or take it out. */
void mpx_need_update_ring(mpx_sched_t *self, job_t *job);
void mpx_need_to_back(mpx_sched_t *self, job_t *job); /* it had its turn */
job_t *mpx_need_next(const need_t *need);             /* whose turn it is; NULL: nobody's */
bool mpx_kind_can(const kind_t *kind, const need_t *need);
kind_t *mpx_kind_join(mpx_sched_t *self, const mpx_worker_spec_t *spec); /* NULL: no memory */
void mpx_kind_leave(mpx_sched_t *self, kind_t *kind);
/* A kind has that many more takers (-1: fewer) and slots of takers. */
mp_rc_t mpx_kind_count(mpx_sched_t *self, int64_t now, kind_t *kind, int takers, int64_t slots);

/* patience.c: how long queued calls wait for a worker to come.
 * To be called when the job's queue became empty or filled, and when its need starves or is fed. */
mp_rc_t mpx_patience_update(mpx_sched_t *self, int64_t now, job_t *job);
mp_rc_t mpx_patience_expire(mpx_sched_t *self, int64_t now, job_t *job);

/* job.c */
job_t *mpx_job_find(const mpx_sched_t *self, uint64_t id);
void mpx_job_free(mpx_sched_t *self, job_t *job);
/* The next calls of a chunk, which are counted as given no more, are queued again: to be tried
 * again after rc, or as if nothing had been (MP_OK). */
mp_rc_t mpx_job_requeue(mpx_sched_t *self, int64_t now, const chunk_t *chunk, uint32_t count,
                        mp_rc_t rc);
/* The delay of these calls is over. */
mp_rc_t mpx_job_undelay(mpx_sched_t *self, int64_t now, span_t *span);
/* End queued calls. */
mp_rc_t mpx_job_end_queued(mpx_sched_t *self, int64_t now, job_t *job, uint64_t first, uint64_t end,
                           mp_rc_t rc);

/* worker.c */
void mpx_worker_free(mpx_sched_t *self, worker_t *worker);

/* chunk.c */
chunk_t *mpx_chunk_make(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size);
void mpx_chunk_free(mpx_sched_t *self, chunk_t *chunk);
mp_rc_t mpx_chunk_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk, mp_rc_t rc);
/* Its worker is lost. Frees it. */
mp_rc_t mpx_chunk_lose(mpx_sched_t *self, int64_t now, chunk_t *chunk, mpx_charge_t charge,
                       mp_rc_t rc);
mp_rc_t mpx_chunk_expire(mpx_sched_t *self, int64_t now, chunk_t *chunk);

/* handout.c: who gets what. */
void mpx_handout_leave(worker_t *worker); /* it waits for work no more */
/* A worker may have got room: fill it. */
mp_rc_t mpx_handout_worker(mpx_sched_t *self, worker_t *worker);
/* A need may have got calls to give out: give them to the workers that had room. */
mp_rc_t mpx_handout_need(mpx_sched_t *self, const need_t *need);
mp_rc_t mpx_handout_needs(mpx_sched_t *self); /* the same for all of them */
/* The ring has changed otherwise: give cramped workers another look at it. */
mp_rc_t mpx_handout_cramped(mpx_sched_t *self);

#endif
