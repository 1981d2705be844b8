/* state.h: what the scheduler knows. Private to core. */
#ifndef MPX_STATE_H
#define MPX_STATE_H

#include "clock.h"
#include "heap.h"
#include "sched.h"

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* Queued calls that were put, or came back, together. */
typedef struct span {
    uint64_t first;
    uint32_t count;
    uint32_t attempt;
    uint64_t bytes;
    uint64_t tag;
    struct span *prev, *next;
} span_t;

/* Why a job's queued calls can't be given out, as far as waiting for workers goes. */
typedef enum starving { FED, NO_WORKER, NO_CAPABLE_WORKER } starving_t;

typedef struct job {
    uint64_t id;
    mpx_policy_t policy;
    span_t *spans;
    uint64_t queued;      /* calls in spans */
    uint64_t given;       /* calls in chunks that are not orphans */
    struct chunk *chunks; /* orphans too */
    bool held;
    bool in_ring; /* has queued calls and isn't held */
    struct job *ring_prev, *ring_next;
    int64_t service_ns; /* measured run time of a call; 0: unknown */
    uint32_t largest;   /* calls of the largest chunk finished so far */
    uint32_t capable;   /* workers that could run it, draining ones apart */
    starving_t starving;
    mpx_heap_node_t patience; /* in sched.patience while starving with a limit */
    bool unlisted;
    UT_hash_handle hh;
} job_t;

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
    uint64_t bytes;
    bool started;
    bool orphan;
    mp_rc_t stop_rc;          /* its running call is being stopped for that; MP_OK: it isn't */
    mpx_heap_node_t deadline; /* in sched.deadlines while a call with a limit runs */
    struct chunk *worker_prev, *worker_next;
    struct chunk *job_prev, *job_next;
    bool unlisted;
    UT_hash_handle hh;
} chunk_t;

typedef struct worker {
    uint64_t id;
    mpx_worker_spec_t spec; /* tasks: sorted, ours */
    uint64_t *tasks;        /* what spec.tasks points to */
    bool draining;
    chunk_t *chunks; /* oldest first */
    uint32_t chunks_count;
    uint64_t bytes;
    bool hungry; /* had room when there was nothing for it: in sched.hungry[] */
    bool hungry_idle;
    struct worker *hungry_prev, *hungry_next;
    bool unlisted;
    UT_hash_handle hh;
} worker_t;

typedef struct effects {
    mpx_effect_t *ring;
    size_t first;
    size_t count;
    size_t room;
} effects_t;

struct mpx_sched {
    job_t *jobs;
    worker_t *workers;
    chunk_t *chunks;
    job_t *ring;         /* jobs with calls to give out, next one first */
    worker_t *hungry[2]; /* [1]: with nothing in flight, served first */
    mpx_heap_t deadlines;
    mpx_heap_t patience;
    effects_t effects;
    uint64_t last_chunk;
    uint64_t queued;
    uint64_t given;
    uint32_t takers; /* workers that aren't draining */
    uint64_t slots;  /* of all workers */
};

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* effects.c */
mp_rc_t mpx_effects_add(effects_t *self, const mpx_effect_t *effect);

/* handout.c: who gets what. */
bool mpx_worker_can(const worker_t *worker, const job_t *job);
void mpx_ring_update(mpx_sched_t *self, job_t *job);
void mpx_hungry_leave(mpx_sched_t *self, worker_t *worker);
/* Give chunks to this worker while it has room. */
mp_rc_t mpx_hand_out_to(mpx_sched_t *self, worker_t *worker);
/* There is new work: give chunks to all that had room. */
mp_rc_t mpx_hand_out(mpx_sched_t *self);

#endif
