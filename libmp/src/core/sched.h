/* sched.h: which call runs on which worker. Pure: no clock, socket, thread or file.
 *
 * The same core serves a local pool (workers are forked executors), the broker
 * (workers are mp-worker sessions), mp-worker (its executors) and a client of a
 * broker (its one worker is the broker). Time comes in as `now` (ns, any origin,
 * never falling), what must be done goes out as effects, and mpx_sched_deadline says
 * when to call mpx_sched_tick at the latest.
 *
 * Words: a job is the calls of one map; its calls are numbered. A span is a range of
 * calls put at once. A chunk is a range of calls given to one worker as a whole: cut
 * from spans, and called done in order, call by call. Every call that is put ends
 * exactly once: by mpx_sched_done, by mpx_sched_failed returning false, or by an
 * MPX_END effect.
 *
 * What a chunk goes through:
 *
 *     queued --RUN--> given --started--> running --done/failed for each call--> over
 *      ^   ^             |                  |
 *      |   +-delayed <-+ |                  +- time limit --STOP--> stopping
 *      |    (a retry)  | |                  |
 *      +- worker lost -+-+------------------+   job cancelled --END,STOP--> orphan
 *      |                 |                      deadline passed --END,STOP--> orphan
 *      +-----returned----+
 *
 * Whose turn it is: of the jobs that a worker can do, those of the highest priority; of these, the
 * clients share its time, and the jobs of one client share that by their weights (share.c). What a
 * job needs and the worker hasn't left keeps it waiting, and those behind it that need the
 * same (traits.h, handout.c). When a worker has nothing to do while another doesn't get on with
 * what it has, the other is asked to give chunks back that it hasn't started (recall.c).
 *
 * An orphan's calls have ended; it only still counts against its worker's credit, until its
 * results come or the worker is lost. It is stopped in steps, a grace apart: its task is
 * asked, its process told to terminate, and killed. One that was still to run is only asked,
 * until its turn has come: it may stand behind another's call.
 */
#ifndef MPX_SCHED_H
#define MPX_SCHED_H

#include "traits.h"
#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_sched mpx_sched_t;

#define MPX_CHUNK_WHOLE  UINT32_MAX
#define MPX_PRIORITY_MAX 1000 /* -1000 to 1000 */

/* Why a call may be tried again. */
enum {
    MPX_RETRY_FAILED = 1,    /* MP_EFAILED */
    MPX_RETRY_CRASHED = 2,   /* MP_ECRASHED */
    MPX_RETRY_TIMED_OUT = 4, /* MP_ETIMEDOUT */
    MPX_RETRY_LOST = 8,      /* anything else: MP_EWORKERLOST, MP_EBROKERLOST */
    MPX_RETRY_MEMORY = 16,   /* MP_ENOMEM */
    MPX_RETRY_DRAINED = 32   /* MP_EDRAINING */
};

/* Of a call's losses and drains that many are nobody's fault: tried again they use up no retry. */
#define MPX_LOSSES_FREE 8

#define MPX_WEIGHT_MAX 1000

typedef struct mpx_policy {
    uint64_t task;   /* what a worker must be able to do; 0: any worker will do */
    int priority;    /* of the jobs that a worker can do, one of the highest is next */
    uint64_t client; /* whose it is: clients share the workers first, then their jobs do */
    uint32_t weight; /* its part of what its client gets; 0: 1 */
    const mpx_traits_t *needs; /* what a worker must have for it (copied); NULL: nothing */
    uint32_t chunk_calls;      /* calls in a chunk; 0: adapts; MPX_CHUNK_WHOLE: spans stay whole */
    uint32_t retries;          /* further attempts at a call that failed or was charged */
    uint32_t retry_on;         /* MPX_RETRY_FAILED and so on; 0: all of them */
    int64_t retry_delay_ns;    /* before the first retry; doubles with each further one. Up to a
                                  quarter more, see mpx_sched_seed */
    uint32_t crashes_max;      /* a call that crashed so many workers isn't tried again; 0: it is */
    int64_t call_limit_ns;     /* run time of a call; makes chunks of one call, unless
                                   spans stay whole; 0: none */
    int64_t soft_limit_ns;     /* when the call is told that it should end; 0: never. As above */
    int64_t grace_ns;          /* between the steps of stopping a call; 0: it is killed at once */
    int64_t delay_ns;          /* from the put of a call until it may be given out */
    int64_t deadline_ns;       /* from the put of a call: then it ends, wherever it is; 0: never */
    int64_t wait_ns;           /* end queued calls when there was no worker for so long; 0: never */
    int64_t absent_ns;         /* the same when there are workers, but none with the task */
    int64_t guess_ns; /* run time that a call took in earlier jobs; 0: unknown. Believed only
                         as far as a mistake doesn't hurt, until calls of this job are over:
                         little of it does where workers yield */
} mpx_policy_t;

typedef struct mpx_worker_spec {
    uint32_t slots;        /* calls that it runs at once, at least 1 */
    int64_t horizon_ns;    /* work to keep waiting there for each slot, so that it
                              never idles while results and chunks are on their way */
    uint64_t credit_bytes; /* most bytes given to it at once; one chunk always may */
    const uint64_t *tasks; /* what it can do (copied); NULL: everything */
    size_t tasks_count;
    const mpx_traits_t *have; /* what it has (copied); NULL: nothing */
    bool shares;  /* it has that together with all other workers that share, which say the same */
    bool returns; /* it can be asked to give chunks back, by MPX_RECALL */
    bool yields; /* it gives back by itself what it hasn't begun of a chunk when time_ns is over. An
                    executor does. Only chunks of jobs that adapt have a time: in effect those of a
                    pool on its own host. A peer's stay whole (MPX_CHUNK_WHOLE) on the way through a
                    broker and an mp-worker, and neither of these yields */
} mpx_worker_spec_t;

typedef enum mpx_effect_kind {
    MPX_RUN,    /* give the chunk to the worker */
    MPX_STOP,   /* the worker is to give the chunk up: rc says why, stage how */
    MPX_RECALL, /* ask the worker to give the chunk back, if it hasn't started it:
                   mpx_sched_returned or mpx_sched_kept is the answer */
    MPX_END     /* the calls of the range have ended with rc, without a result */
} mpx_effect_kind_t;

typedef enum mpx_stop_stage {
    MPX_STOP_ASK, /* with MP_ETIMEDOUT: the running call's soft limit has passed, it may go on */
    MPX_STOP_TERMINATE,
    MPX_STOP_KILL
} mpx_stop_stage_t;

typedef struct mpx_effect {
    mpx_effect_kind_t kind;
    mp_rc_t rc;
    uint64_t worker; /* END: the one that is to blame, or 0 */
    uint64_t chunk;  /* RUN, STOP: never reused */
    uint64_t job;
    uint64_t tag; /* that of the span */
    uint64_t first;
    uint32_t count;
    uint32_t attempt;       /* from 1 */
    mpx_stop_stage_t stage; /* STOP */
    uint32_t crashes;       /* END: by so many it is not tried again; else 0 */
    bool lapsed;            /* END: with MP_ETIMEDOUT, since its deadline has passed */
    int64_t deadline;       /* RUN: of its calls; MPX_NEVER: none */
    int64_t since;          /* RUN: when the oldest of its calls was put */
    int64_t time_ns;        /* RUN: see yields; 0: the chunk is to be run to its end */
} mpx_effect_t;

/* When a worker is lost, which of its unfinished calls are held against it: they end
 * with the loss's rc or use up a retry. The rest are queued again, in front. */
typedef enum mpx_charge {
    MPX_CHARGE_RUNNING, /* the next call of each chunk that was started */
    MPX_CHARGE_ALL,     /* every call that was given to it */
    MPX_CHARGE_NONE     /* none: it is known that nothing had begun */
} mpx_charge_t;

/* MP_OK; MP_ENOMEM. */
mp_rc_t mpx_sched_new(mpx_sched_t **out);
void mpx_sched_destroy(mpx_sched_t **self);

/* From now on retries are put off by chance, so that those of many calls don't come all at once:
 * by up to a quarter of their delay, which depends on the seed and the call alone. 0, as it is at
 * first: not at all. */
void mpx_sched_seed(mpx_sched_t *self, uint64_t seed);

/* Every event below may add effects. All return MP_OK, MP_ENOMEM (then the scheduler
 * must be destroyed), MP_EEXIST for an id that is in use, or MP_EINVAL for one that is
 * unknown or an argument out of range, and then change nothing. Ids are the caller's,
 * never 0. */

mp_rc_t mpx_sched_worker_join(mpx_sched_t *self, int64_t now, uint64_t worker,
                              const mpx_worker_spec_t *spec);
/* It now runs that many calls at once. */
mp_rc_t mpx_sched_worker_slots(mpx_sched_t *self, int64_t now, uint64_t worker, uint32_t slots);
/* It gets no more chunks, is asked for those that it hasn't started, and may finish the others. */
mp_rc_t mpx_sched_worker_drain(mpx_sched_t *self, int64_t now, uint64_t worker);
/* It gets no more chunks until it is resumed. */
mp_rc_t mpx_sched_worker_pause(mpx_sched_t *self, int64_t now, uint64_t worker, bool paused);
mp_rc_t mpx_sched_worker_lost(mpx_sched_t *self, int64_t now, uint64_t worker, mpx_charge_t charge,
                              mp_rc_t rc);
/* From now on it can do these tasks; of the spec nothing else counts. */
mp_rc_t mpx_sched_worker_tasks(mpx_sched_t *self, int64_t now, uint64_t worker,
                               const mpx_worker_spec_t *spec);
/* Whether it was told to get no more, for good. */
bool mpx_sched_worker_drains(const mpx_sched_t *self, uint64_t worker);

mp_rc_t mpx_sched_job_open(mpx_sched_t *self, int64_t now, uint64_t job,
                           const mpx_policy_t *policy);
/* Add calls [first, first+count), of `bytes` together, each of about the same. Neighbours with the
 * same tag and of like sizes grow into one span, unless the policy keeps spans whole. */
mp_rc_t mpx_sched_put(mpx_sched_t *self, int64_t now, uint64_t job, uint64_t first, uint32_t count,
                      uint64_t bytes, uint64_t tag);
/* When calls may be given out at the earliest, and when they end. */
typedef struct mpx_times {
    int64_t begin;    /* not later than now: at once */
    int64_t deadline; /* MPX_NEVER: there is none */
} mpx_times_t;
/* The same for calls with times of their own, whatever the job's delay; of two deadlines the sooner
 * one counts. */
mp_rc_t mpx_sched_put_timed(mpx_sched_t *self, int64_t now, uint64_t job, uint64_t first,
                            uint32_t count, uint64_t bytes, uint64_t tag, mpx_times_t times);
/* While held, no chunk of the job is given out: its results are not being taken. */
mp_rc_t mpx_sched_job_hold(mpx_sched_t *self, int64_t now, uint64_t job, bool held);
/* End all its open calls with rc; those with a worker become orphans and are stopped. */
mp_rc_t mpx_sched_job_cancel(mpx_sched_t *self, int64_t now, uint64_t job, mp_rc_t rc);
/* The same for its calls in [first, first+count); a chunk that holds others as well is left
 * to run. */
mp_rc_t mpx_sched_cancel(mpx_sched_t *self, int64_t now, uint64_t job, uint64_t first,
                         uint32_t count, mp_rc_t rc);
/* End its calls that no worker has. */
mp_rc_t mpx_sched_end_queued(mpx_sched_t *self, int64_t now, uint64_t job, mp_rc_t rc);
/* Forget the job; MP_EBUSY while it has open calls. Its orphans are kept track of. */
mp_rc_t mpx_sched_job_close(mpx_sched_t *self, int64_t now, uint64_t job);

/* The worker has begun the chunk's first call. MP_EINVAL: no such chunk (it is stale). */
mp_rc_t mpx_sched_started(mpx_sched_t *self, int64_t now, uint64_t chunk);
/* The chunk's next n calls are over and were handed on; they took busy_ns together; 0: they never
 * ran. Also counts as started. */
mp_rc_t mpx_sched_done(mpx_sched_t *self, int64_t now, uint64_t chunk, uint32_t n, int64_t busy_ns);
/* Whether the outcome of a call that didn't end well is its last. */
typedef struct mpx_verdict {
    bool again;       /* it will be tried again: the outcome must not be handed on */
    uint32_t crashes; /* it would be, but for so many crashes; else 0 */
} mpx_verdict_t;
/* The chunk's next call ended with rc, not MP_OK, having run for busy_ns; 0: it never did. Also
 * counts as started. */
mp_rc_t mpx_sched_failed(mpx_sched_t *self, int64_t now, uint64_t chunk, mp_rc_t rc,
                         int64_t busy_ns, mpx_verdict_t *out);

/* Its worker gives back the chunk's calls that it has not begun, of its own accord: they are queued
 * again, in front, and not charged. MP_EINVAL: no such chunk. */
mp_rc_t mpx_sched_give_back(mpx_sched_t *self, int64_t now, uint64_t chunk);
/* The same, as it was asked to, or as its time was over. MP_EINVAL: no such chunk, or it was
 * started and had no time. */
mp_rc_t mpx_sched_returned(mpx_sched_t *self, int64_t now, uint64_t chunk);
/* It hasn't, since it was too late or for reasons of its own. MP_EINVAL: no such chunk. */
mp_rc_t mpx_sched_kept(mpx_sched_t *self, int64_t now, uint64_t chunk);

/* Take calls that nobody has begun out of the job, as if they had not been put: the caller gives
 * them back to whom they came from. MP_OK: they are gone; MP_EBUSY: they are all in *chunk, which a
 * worker has; when it has given it back, mpx_sched_withdraw_chunk ends it. MP_EINVAL: neither. */
mp_rc_t mpx_sched_withdraw(mpx_sched_t *self, int64_t now, uint64_t job, uint64_t first,
                           uint32_t count, uint64_t *chunk);
mp_rc_t mpx_sched_withdraw_chunk(mpx_sched_t *self, int64_t now, uint64_t chunk);

/* What is known of a chunk that was given out. */
typedef struct mpx_chunk_info {
    uint64_t worker;
    uint64_t job;
    uint64_t tag;
    uint64_t first; /* of the chunk as given */
    uint32_t count;
    uint32_t done;
    uint32_t attempt;
    bool orphan; /* its results are to be counted (done) but not handed on */
    bool started;
    bool timed; /* its worker may give back what it hasn't begun of it */
} mpx_chunk_info_t;
/* false: no such chunk, its message is stale. */
bool mpx_sched_chunk(const mpx_sched_t *self, uint64_t chunk, mpx_chunk_info_t *out);

/* Do what is due at now. */
mp_rc_t mpx_sched_tick(mpx_sched_t *self, int64_t now);
/* When the next tick is due; MPX_NEVER (INT64_MAX): none is. */
int64_t mpx_sched_deadline(const mpx_sched_t *self);

/* Take the oldest effect; false when there is none. Effects of one event come in the
 * order in which they must be carried out. */
bool mpx_sched_effect(mpx_sched_t *self, mpx_effect_t *out);

typedef struct mpx_sched_counts {
    uint64_t queued;         /* calls in spans, delayed ones too */
    uint64_t given;          /* calls in chunks, orphans apart */
    uint64_t delays_changed; /* another number whenever the delayed ones are others */
    uint32_t workers;
    uint32_t slots;
    uint32_t jobs;
} mpx_sched_counts_t;
void mpx_sched_counts(const mpx_sched_t *self, mpx_sched_counts_t *out);
/* The run time of a call of the job, as measured; 0: unknown. */
int64_t mpx_sched_job_service_ns(const mpx_sched_t *self, uint64_t job);
/* Open calls of one job: queued and given; 0 for an unknown one. */
uint64_t mpx_sched_job_open_calls(const mpx_sched_t *self, uint64_t job);

/* Calls that a worker has, orphans too; 0 for an unknown one. */
uint32_t mpx_sched_worker_calls(const mpx_sched_t *self, uint64_t worker);

/* For tests: NULL when every invariant holds, else the one that doesn't. */
const char *mpx_sched_check(const mpx_sched_t *self);

#endif
