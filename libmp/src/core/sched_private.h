/* sched_private.h: what the scheduler knows. Only for the files of core.
 *
 *     sched --+-- tiers: priorities
 *             |     +-- parties: a client's jobs of that priority; they share
 *             +-- needs: one for each task of an open job, and what is needed with it
 *             |     +-- levels: their priorities
 *             |           +-- shares: of a party, its jobs; those with calls to give out are
 *             |                 in its ring, the one whose turn it is first
 *             |     +-- jobs of that task
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
    uint64_t call_bytes; /* at most, of one of its calls */
    uint64_t tag;
    int64_t since;    /* when the oldest of them was put */
    uint32_t losses;  /* of its attempts, those that were lost or drained */
    mp_rc_t cause;    /* why it is tried again; MP_OK: it isn't */
    int64_t deadline; /* then its calls end; MPX_NEVER: none */
    bool returned;    /* was given out before: stands in front, in the order of first */
    struct job *job;
    mpx_heap_node_t delay; /* in sched.delays while it is in job.later */
    mpx_heap_node_t lapse; /* in sched.lapses if it has a deadline */
    struct span *prev, *next;
} span_t;

/* Why calls for a task can't be given out, as far as there being workers goes. */
typedef enum starving { FED, NO_WORKER, NO_CAPABLE_WORKER, STARVING_END } starving_t;

/* A priority that jobs have. Its clock is the work that its parties have had: who joins them starts
 * from there, so that nobody saves up, or owes for ever. */
typedef struct tier {
    int priority;
    int64_t clock;
    uint32_t members;
    struct party *parties; /* by client */
    struct tier *prev, *next;
} tier_t;

/* A client's jobs of one priority. */
typedef struct party {
    uint64_t client;
    tier_t *tier;
    int64_t pass;   /* work that it has had, ns: the one with the least is next */
    int64_t refund; /* of that, what turned out not to be so much */
    int64_t clock;  /* as the tier's, for its jobs */
    uint64_t turn;  /* when it was served last */
    struct share *shares;
    uint32_t members;
    uint32_t ringed; /* jobs in rings */
    bool unlisted;
    UT_hash_handle hh;
} party_t;

/* A party's jobs of one need. */
typedef struct share {
    uint64_t client;
    struct level *level;
    party_t *party;
    uint32_t members;
    mpx_heap_t ring;           /* of jobs, by pass and turn, which may have risen since */
    mpx_heap_node_t node;      /* in level.ring while there are such jobs */
    struct share *prev, *next; /* in party.shares */
    bool unlisted;
    UT_hash_handle hh;
} share_t;

/* Jobs of one need and one priority. */
typedef struct level {
    int priority;
    uint32_t members;
    share_t *shares; /* by client */
    mpx_heap_t ring; /* of shares, by their party's pass and turn, which may have risen since */
    struct level *prev, *next;
} level_t;

typedef struct job {
    uint64_t id;
    mpx_policy_t policy;
    struct need *need;
    share_t *share;
    struct job *need_prev, *need_next; /* in need.jobs */
    span_t *spans;
    span_t *cursor;       /* the returned span placed last; the next one goes near it */
    span_t *later;        /* in no order */
    uint64_t queued;      /* calls in spans */
    uint64_t delayed;     /* calls in later */
    uint64_t given;       /* calls in chunks that are not orphans */
    struct chunk *chunks; /* orphans too */
    bool held;
    bool in_ring;         /* has queued calls and isn't held */
    mpx_heap_node_t ring; /* in share.ring then */
    int64_t pass;         /* as its party's, for its weight */
    int64_t refund;
    uint64_t turn;
    int64_t service_ns;          /* measured run time of a call; 0: unknown */
    uint32_t largest;            /* the most calls of a chunk that are over */
    starving_t starving;         /* FED also while nothing is queued */
    int64_t since[STARVING_END]; /* first time of each state since it was FED */
    int64_t hopeless_until;      /* until then what is put ends at once, as calls before it did */
    mpx_heap_node_t patience;    /* in sched.patience while starving with a limit */
    bool unlisted;
    UT_hash_handle hh;
} job_t;

/* What the worker must have left for each of the calls. Held by the need and by chunks. */
typedef struct demand {
    mpx_traits_t traits;
    uint32_t holders;
} demand_t;

/* The open jobs of one task and demand, and what the workers have for them. */
typedef struct need {
    uint64_t task;
    demand_t *demand;     /* NULL: nothing */
    struct need *sibling; /* another one of the task */
    job_t *jobs;
    level_t *levels; /* highest priority first */
    uint32_t ringed; /* jobs in their rings */
    bool looked;     /* since there are some, all workers that were short of something were asked */
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
    uint32_t losses;
    int64_t deadline; /* as of the span */
    uint64_t bytes;
    int64_t call_ns;  /* what each of its calls was thought to take */
    demand_t *demand; /* what it has taken of its worker's capacities; NULL: nothing */
    int64_t since;    /* as of the span */
    int64_t grace_ns;
    int64_t began;    /* its running call */
    int64_t limit_at; /* of that call, or of an orphan's next step; MPX_NEVER: none */
    int64_t time_ns;  /* then its worker gives the rest of it back; 0: it doesn't */
    bool slow;        /* of a job whose chunks take long, or nobody knows how long */
    bool started;
    bool recalled; /* its worker was asked for it, and hasn't answered */
    bool warned;   /* its running call was, at its soft limit */
    bool orphan;
    bool killed;            /* so is its worker, on its account, and no result has come since */
    mpx_stop_stage_t stage; /* of an orphan: what was done last */
    mpx_heap_node_t
        timer; /* in sched.deadlines while it has a limit, a deadline, or is an orphan */
    struct chunk *worker_prev, *worker_next;
    struct chunk *job_prev, *job_next;
} chunk_t;

/* Workers that can do the same. */
typedef struct kind {
    uint64_t *tasks; /* sorted */
    size_t tasks_count;
    bool all; /* every task, whatever is in tasks */
    mpx_traits_t have;
    uint32_t members;
    uint64_t takers;          /* members that aren't draining */
    uint64_t slots;           /* of the takers */
    struct worker *hungry[2]; /* had room and nothing to fill it; [1]: have nothing at all */
    struct worker *shorts;    /* had room, but too little left of what all that there was needs */
    uint32_t idle;            /* of both, those that have nothing at all */
    struct kind *prev, *next;
} kind_t;

typedef struct worker {
    uint64_t id;
    kind_t *kind;
    int64_t horizon_ns;
    uint64_t credit_bytes;
    uint32_t slots;
    bool returns;
    bool yields;
    bool shares;
    bool draining; /* for good or for now: */
    bool paused;
    bool idle;    /* has nothing, and waits for something */
    bool stalled; /* since it was asked for chunks: nothing is put behind others */
    bool unlisted;
    int64_t excused_until; /* it was to be ended for a call that ended first: that may come yet */
    chunk_t *chunks;       /* oldest first */
    uint32_t chunks_count;
    uint32_t slow_count;   /* of those, the slow ones */
    uint32_t waiting;      /* of those, the ones that it hasn't started */
    int64_t moved_at;      /* when it last started or ended something, or had nothing */
    int64_t patience_ns;   /* how long it may do neither before it is asked for chunks */
    mpx_heap_node_t stall; /* in sched.stalls, with an earlier time, if it may have waiting ones */
    uint64_t *used;        /* of its kind's capacities: sched.used if it shares them, or */
    uint64_t own[MPX_TRAITS_MAX]; /* these */
    uint64_t bytes;
    struct worker **list; /* the one that it waits in for work: hungry, short or cramped; or NULL */
    struct worker *list_prev, *list_next;
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
    tier_t *tiers;     /* highest priority first */
    worker_t *cramped; /* have an idle slot, but no credit for the job whose turn it is */
    mpx_heap_t deadlines;
    mpx_heap_t delays;
    mpx_heap_t patience;
    mpx_heap_t lapses;             /* of queued calls */
    mpx_heap_t stalls;             /* of workers */
    uint32_t idle;                 /* of all kinds */
    uint32_t recalls;              /* chunks that were asked for */
    uint64_t used[MPX_TRAITS_MAX]; /* of the capacities that workers share */
    bool freed;                    /* some of that was, and nobody looked at who was short of it */
    uint64_t seed;
    effects_t effects;
    int64_t now; /* of the event that is dealt with */
    uint64_t last_chunk;
    uint64_t last_turn;
    uint64_t queued;
    uint64_t delayed;
    uint64_t delays_changed; /* so often */
    uint64_t given;
    uint64_t takers; /* workers that aren't draining */
    uint64_t slots;  /* of all workers */
};

/* now + ns, or never. */
static inline int64_t mpx_after(int64_t now, int64_t ns)
{
    return now > MPX_NEVER - ns ? MPX_NEVER : now + ns;
}

/* How calls end without a result: as in the effect. */
typedef struct end {
    mp_rc_t rc;
    uint32_t crashes;
    bool lapsed;
} end_t;

/* effects.c */
mp_rc_t mpx_effects_add(effects_t *self, const mpx_effect_t *effect);
mp_rc_t mpx_effects_run(effects_t *self, const chunk_t *chunk);
mp_rc_t mpx_effects_stop(effects_t *self, const chunk_t *chunk, mpx_stop_stage_t stage, mp_rc_t rc);
mp_rc_t mpx_effects_recall(effects_t *self, const chunk_t *chunk);
/* END of a chunk's next calls; none for no calls. */
mp_rc_t mpx_effects_end(effects_t *self, const chunk_t *chunk, uint32_t count, end_t how);
/* END of a range of queued calls. */
mp_rc_t mpx_effects_end_queued(effects_t *self, const span_t *span, uint64_t first, uint32_t count,
                               end_t how);

/* table.c: chunks by id. */
mp_rc_t mpx_table_add(table_t *self, uint64_t id, chunk_t *chunk);
chunk_t *mpx_table_find(const table_t *self, uint64_t id);
void mpx_table_remove(table_t *self, uint64_t id); /* it must be in */
void mpx_table_free(table_t *self);

/* span.c: the queue of a job's spans. Counts of queued calls are the caller's. */
mp_rc_t mpx_spans_put(mpx_sched_t *self, job_t *job, uint64_t first, uint32_t count, uint64_t bytes,
                      uint64_t tag, int64_t deadline);
/* The same, into job.later. */
mp_rc_t mpx_spans_put_later(mpx_sched_t *self, job_t *job, uint64_t first, uint32_t count,
                            uint64_t bytes, uint64_t tag, int64_t deadline, int64_t at);
/* The next calls of a chunk go back, charged with rc if it isn't MP_OK: in front, among others of
 * their sort in the order of their numbers, or into job.later until `at`, if that isn't 0. */
mp_rc_t mpx_spans_return(mpx_sched_t *self, const chunk_t *chunk, uint32_t count, mp_rc_t rc,
                         int64_t at);
/* Delayed calls go in front if they were given out before, else to the end. */
void mpx_spans_undelay(mpx_sched_t *self, span_t *span);
/* The same for those in [first, end), so many; the others' delay goes on. */
mp_rc_t mpx_spans_undelay_part(mpx_sched_t *self, span_t *span, uint64_t first, uint64_t end,
                               uint32_t *count);
/* Fill the chunk with `size` calls of the first span. */
void mpx_spans_cut(mpx_sched_t *self, job_t *job, chunk_t *chunk, uint32_t size);
uint64_t mpx_span_share(const span_t *span, uint32_t count); /* bytes of its next calls */
/* Add END effects for the calls in [first, end) and drop them; their number is added to *ended.
 * None of them is delayed. how: NULL: no effects, they are just dropped. */
mp_rc_t mpx_spans_end(mpx_sched_t *self, job_t *job, uint64_t first, uint64_t end, const end_t *how,
                      uint64_t *ended);
/* How many of [first, end) are in spans, not delayed. */
uint64_t mpx_spans_count(const job_t *job, uint64_t first, uint64_t end);
/* End all of a span, whose deadline has passed; it may be delayed. */
mp_rc_t mpx_spans_lapse(mpx_sched_t *self, span_t *span);
void mpx_spans_free(mpx_sched_t *self, job_t *job);

/* share.c: whose turn it is. */
share_t *mpx_share_join(mpx_sched_t *self, level_t *level, job_t *job); /* NULL: no memory */
void mpx_share_leave(mpx_sched_t *self, job_t *job);
void mpx_share_ring(mpx_sched_t *self, job_t *job);
void mpx_share_unring(job_t *job);
/* It has been given calls that should take so long. */
void mpx_share_charge(mpx_sched_t *self, job_t *job, int64_t ns);
/* They have taken longer than that, or less. */
void mpx_share_correct(job_t *job, int64_t more_ns);
/* So much of that was for calls that never ran. */
void mpx_share_forgive(job_t *job, int64_t ns);
job_t *mpx_share_first(level_t *level);                  /* NULL: nobody's */
bool mpx_share_precedes(const job_t *a, const job_t *b); /* a's turn is before b's */
void mpx_share_free_level(level_t *level);

/* need.c: which workers can do what. */
need_t *mpx_need_find(const mpx_sched_t *self, uint64_t task); /* and its siblings */
need_t *mpx_need_join(mpx_sched_t *self, job_t *job);          /* NULL: no memory */
void mpx_need_leave(mpx_sched_t *self, job_t *job);
/* The job's queue or hold has changed: put it into the ring or take it out. */
void mpx_need_update_ring(mpx_sched_t *self, job_t *job);
job_t *mpx_need_next(const need_t *need); /* whose turn it is; NULL: nobody's */
void mpx_demand_drop(demand_t *demand);
/* Which of its capacities the worker has too little left of for the need; those that it needs. */
uint32_t mpx_worker_lacks(const worker_t *worker, const need_t *need);
uint32_t mpx_worker_needed(const worker_t *worker, const need_t *need);
void mpx_worker_use(worker_t *worker, const demand_t *demand, bool take);
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
/* The deadline of these has passed. */
mp_rc_t mpx_job_lapse(mpx_sched_t *self, int64_t now, span_t *span);
/* Whether there are so many more or fewer queued calls has been seen to elsewhere. */
mp_rc_t mpx_job_queue_changed(mpx_sched_t *self, int64_t now, job_t *job, uint64_t change);

/* retry.c */
mpx_verdict_t mpx_retry_judge(const chunk_t *chunk, mp_rc_t rc);
/* What a worker is lost by, crash or memory, counts towards crashes_max. */
bool mpx_retry_is_death(mp_rc_t rc);
bool mpx_retry_is_free(mp_rc_t rc, uint32_t losses);
/* When the next attempt may begin; 0: at once. */
int64_t mpx_retry_at(const mpx_sched_t *self, int64_t now, const chunk_t *chunk);

/* recall.c */
void mpx_recall_moved(worker_t *worker, int64_t now);          /* it gets on */
mp_rc_t mpx_recall_watch(mpx_sched_t *self, worker_t *worker); /* it has been given a chunk */
void mpx_recall_answered(mpx_sched_t *self, chunk_t *chunk);
mp_rc_t mpx_recall_tick(mpx_sched_t *self, int64_t now);
int64_t mpx_recall_deadline(const mpx_sched_t *self);

/* worker.c */
void mpx_worker_free(mpx_sched_t *self, worker_t *worker);

/* chunk.c */
/* NULL: no memory. */
chunk_t *mpx_chunk_make(mpx_sched_t *self, worker_t *worker, job_t *job, uint32_t size);
void mpx_chunk_free(mpx_sched_t *self, chunk_t *chunk);
mp_rc_t mpx_chunk_orphan(mpx_sched_t *self, int64_t now, chunk_t *chunk, end_t how);
/* Its next calls are no longer the worker's, as far as the job goes. */
void mpx_chunk_take_back(mpx_sched_t *self, const chunk_t *chunk, uint32_t count);
/* Its worker is lost. Frees it. */
mp_rc_t mpx_chunk_lose(mpx_sched_t *self, int64_t now, chunk_t *chunk, mpx_charge_t charge,
                       mp_rc_t rc);
mp_rc_t mpx_chunk_expire(mpx_sched_t *self, int64_t now, chunk_t *chunk);

/* handout.c: who gets what. */
void mpx_handout_leave(mpx_sched_t *self, worker_t *worker); /* it waits for work no more */
/* A worker may have got room: fill it. */
mp_rc_t mpx_handout_worker(mpx_sched_t *self, worker_t *worker);
/* A need may have got calls to give out: give them to the workers that had room. */
mp_rc_t mpx_handout_need(mpx_sched_t *self, need_t *need);
mp_rc_t mpx_handout_needs(mpx_sched_t *self); /* the same for all of them */
/* The ring has changed otherwise: give cramped workers another look at it. */
mp_rc_t mpx_handout_cramped(mpx_sched_t *self);

#endif
