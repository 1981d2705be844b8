/* explain.h: looking into a scheduler, and why a call of it isn't running.
 *
 * Pure, as the scheduler is, and changes nothing of it. Costs a walk over the workers and over the
 * jobs that have calls to give out: for people who ask, not for each call.
 */
#ifndef MPX_EXPLAIN_H
#define MPX_EXPLAIN_H

#include "sched.h"

typedef struct mpx_job_view {
    uint64_t queued; /* delayed ones apart */
    uint64_t delayed;
    uint64_t given;
    int priority;
    bool held;
    int64_t oldest; /* when the next call to be given out was put; MPX_NEVER: none is queued */
    int64_t service_ns;
} mpx_job_view_t;
/* false: there is no such job. */
bool mpx_sched_view_job(const mpx_sched_t *self, uint64_t job, mpx_job_view_t *out);

/* Calls of a job that wait for their time. */
typedef struct mpx_later_view {
    uint64_t count;
    uint64_t first;   /* this and what follows: of the next one */
    uint32_t attempt; /* that begins then, */
    uint32_t of;      /* of so many */
    mp_rc_t code;     /* what the last attempt ended with; MP_OK: there was none */
    int64_t at;
} mpx_later_view_t;
/* false: there are none, or no such job. */
bool mpx_sched_view_later(const mpx_sched_t *self, uint64_t job, mpx_later_view_t *out);

typedef struct mpx_worker_view {
    uint32_t slots;
    uint32_t chunks; /* that it has, orphans too */
    uint64_t bytes;
    uint64_t credit_bytes;
    bool draining; /* for good */
    bool paused;
} mpx_worker_view_t;
bool mpx_sched_view_worker(const mpx_sched_t *self, uint64_t worker, mpx_worker_view_t *out);

/* Of a call that waits all reasons hold at once; else there is one. */
typedef enum mpx_reason_kind {
    MPX_WHY_OVER,    /* it has ended, or was never put */
    MPX_WHY_RUNNING, /* on `worker`, since `at` */
    MPX_WHY_GIVEN,   /* `worker` has it; `number` calls of its chunk come first */
    MPX_WHY_DELAYED, /* its attempt `number` of `of` begins at `at`; the last one ended with `code`,
                        MP_OK: there was none */
    MPX_WHY_HELD,    /* its results would not be taken: nothing of the job is given out */
    MPX_WHY_NO_WORKER, /* there is none; the wait ends at `at` */
    MPX_WHY_NO_TASK,   /* none of `number` workers can do it; the wait ends at `at` */
    MPX_WHY_DRAINING,  /* `number` workers could, but drain or are paused */
    MPX_WHY_UNFIT,     /* `number` others do its task, but never have what it needs */
    MPX_WHY_BUSY,      /* the `number` workers that could have work for all their slots */
    MPX_WHY_NO_CREDIT, /* `number` workers have an idle slot, but not room for `bytes` more */
    MPX_WHY_NEEDS,     /* `number` workers have too little left of what it needs of them */
    MPX_WHY_PRIORITY,  /* `job` has a higher priority, and `number` calls queued */
    MPX_WHY_TURN,      /* it is `job`'s turn, which has `number` calls queued */
    MPX_WHY_BEHIND     /* `number` calls of its own job come first */
} mpx_reason_kind_t;

typedef struct mpx_reason {
    mpx_reason_kind_t kind;
    mp_rc_t code;
    uint64_t worker;
    uint64_t job;
    uint64_t number;
    uint64_t bytes;
    uint64_t of;
    int64_t at; /* MPX_NEVER: not known, or never */
} mpx_reason_t;

#define MPX_ANY_CALL UINT64_MAX /* the job's next one; if none waits, the oldest at a worker */

/* Up to `room` reasons; how many there are. 0: there is no such job. */
size_t mpx_sched_explain(const mpx_sched_t *self, uint64_t job, uint64_t call, mpx_reason_t *out,
                         size_t room);

#endif
