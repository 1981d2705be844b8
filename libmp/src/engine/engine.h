/* engine.h: jobs on one side, messages to workers on the other, the scheduler between.
 *
 *     job hooks  <->  engine (sched)  <->  transport  <->  workers
 *
 * A pool, the broker and mp-worker are each an engine with other ends: inputs come from
 * an array or a peer, workers are executors on lanes, mp-worker sessions, or (for a
 * client) the broker itself. The engine waits for nothing and knows no descriptor: time
 * comes in as `now`, messages go out through the transport.
 *
 * One thread at a time. Hooks and transport are called from inside the engine's
 * functions and must not call it back.
 */
#ifndef MPX_ENGINE_H
#define MPX_ENGINE_H

#include "sched.h"
#include "tally.h"
#include "wire.h"

typedef struct mpx_engine mpx_engine_t;

struct mpx_inputs;

typedef struct mpx_transport {
    void *self;
    /* Send; what can't be sent at once is queued. A failure means that the worker's loss
     * is about to be reported, and is not looked at. */
    mp_rc_t (*send)(void *self, uint64_t worker, const mpx_header_t *header, mp_bytes_t payload);
    /* Send a SUBMIT, where that may be done otherwise; NULL: as anything else. */
    mp_rc_t (*submit)(void *self, uint64_t worker, const mpx_header_t *header,
                      const struct mpx_inputs *inputs);
    /* The worker is to give the chunk up, or with MPX_STOP_ASK and MP_ETIMEDOUT only to know that
     * it should. */
    void (*stop)(void *self, uint64_t worker, uint64_t job, uint64_t chunk, mpx_stop_stage_t stage,
                 mp_rc_t why);
    /* Have the worker give the chunk back, if it hasn't begun it. true: it has, here and now, and
     * will never begin it. false: its answer, a RETURNED, is to come. NULL: workers can't. */
    bool (*recall)(void *self, uint64_t worker, uint64_t job, uint64_t chunk);
} mpx_transport_t;

/* Inputs of a range of calls. */
typedef struct mpx_inputs {
    uint32_t item_bytes;
    mp_bytes_t payload;    /* valid until the next call of the hook */
    uint32_t result_bytes; /* of each of their values; 0: not known */
    void *results;         /* where the values belong; NULL: nowhere yet. If they are there when
                              the values hook is called, payload is this place */
} mpx_inputs_t;

typedef struct mpx_job_hooks {
    mp_rc_t (*inputs)(void *self, uint64_t tag, uint64_t first, uint32_t count, mpx_inputs_t *out);
    /* Attempts made by whoever handed the calls to us. NULL: none. */
    uint32_t (*attempts_before)(void *self, uint64_t tag);
    /* Calls [first, first+count) are ok; payload: count values of item_bytes. NULL: each is an
     * outcome. */
    void (*values)(void *self, uint64_t tag, uint64_t first, uint32_t count, uint32_t item_bytes,
                   mp_bytes_t payload, int64_t busy_ns);
    /* Call `index` ended as the record says. */
    void (*outcome)(void *self, uint64_t tag, uint64_t index, const mpx_record_t *record,
                    int64_t busy_ns);
    /* The worker has begun the chunk that starts at `first`; NULL: not wanted. */
    void (*started)(void *self, uint64_t tag, uint64_t first);
    /* Call `index` says how far it is: a packed mpx_progress_t, not looked at yet. NULL: not
     * wanted. */
    void (*progress)(void *self, uint64_t tag, uint64_t index, mp_bytes_t body);
    /* Call header->first has written something: an OUTPUT, not looked at yet. NULL: not wanted. */
    void (*output)(void *self, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload);
} mpx_job_hooks_t;

typedef struct mpx_job_spec {
    mpx_open_t open;      /* strings are copied */
    bool match;           /* only workers that offer exactly this task get its calls */
    bool meet_here;       /* open's needs are met by these workers; the same goes for `match` */
    bool limit_here;      /* open's limits are enforced here; else only told to workers */
    uint32_t chunk_calls; /* this and what follows: as in mpx_policy_t */
    uint32_t retries;
    uint32_t retry_on;
    int64_t retry_delay_ns;
    uint32_t crashes_max;
    int64_t wait_ns;
    int64_t absent_ns;
    uint64_t client;
    int64_t delay_ns;
    int64_t deadline_ns;
} mpx_job_spec_t;

/* Why a worker was lost, for the outcomes of the calls that it had. */
typedef struct mpx_loss {
    mp_rc_t rc;      /* MP_ECRASHED, MP_ENOMEM, MP_EWORKERLOST, MP_EBROKERLOST */
    const char *why; /* in words; NULL: they follow from the rest */
    const char *host;
    const char *name; /* "executor 123", "worker web-1", "broker tcp://…" */
    uint32_t pid;
    uint32_t signal;
    uint32_t exit_status;
    const char *error_output; /* lines, or NULL */
    const char *backtrace;    /* lines, or NULL */
} mpx_loss_t;

/* local_host  named as the place of outcomes that are made here. */
mp_rc_t mpx_engine_new(const mpx_transport_t *transport, const char *local_host,
                       mpx_engine_t **out);
void mpx_engine_destroy(mpx_engine_t **self);

/* Calls that are put from now on have no later deadline than that; MPX_NEVER: they may. */
void mpx_engine_bound(mpx_engine_t *self, int64_t deadline);
/* From now on retries are put off by chance, as mpx_sched_seed says. */
void mpx_engine_seed(mpx_engine_t *self, uint64_t seed);

/* hello: what the worker offers (its tasks are copied), or NULL: everything. */
mp_rc_t mpx_engine_worker_join(mpx_engine_t *self, int64_t now, uint64_t worker,
                               const mpx_hello_t *hello, const mpx_worker_spec_t *spec);
mp_rc_t mpx_engine_worker_slots(mpx_engine_t *self, int64_t now, uint64_t worker, uint32_t slots);
mp_rc_t mpx_engine_worker_drain(mpx_engine_t *self, int64_t now, uint64_t worker);
/* From now on it offers that, a worker that joined with a hello. */
mp_rc_t mpx_engine_worker_offer(mpx_engine_t *self, int64_t now, uint64_t worker,
                                const mpx_hello_t *hello);
mp_rc_t mpx_engine_worker_pause(mpx_engine_t *self, int64_t now, uint64_t worker, bool paused);
mp_rc_t mpx_engine_worker_lost(mpx_engine_t *self, int64_t now, uint64_t worker,
                               mpx_charge_t charge, const mpx_loss_t *loss);

/* STARTED, PROGRESS, OUTPUT, RESULT, RETURNED or ERROR from a worker. MP_OK, also for a stale one;
 * MP_EPROTO: the worker is not to be trusted any more; MP_ENOMEM. */
mp_rc_t mpx_engine_message(mpx_engine_t *self, int64_t now, uint64_t worker,
                           const mpx_header_t *header, mp_bytes_t payload);

/* hooks must stay valid until the job is closed. MP_OK; MP_ENOMEM; MP_EINVAL what open.needs says
 * is no list of traits, see mp_errmsg(). */
mp_rc_t mpx_engine_job_open(mpx_engine_t *self, int64_t now, const mpx_job_spec_t *spec,
                            const mpx_job_hooks_t *hooks, void *hooks_self, uint64_t *job);
mp_rc_t mpx_engine_put(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                       uint32_t count, uint64_t bytes, uint64_t tag);
/* The same for calls with times of their own. */
mp_rc_t mpx_engine_put_timed(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                             uint32_t count, uint64_t bytes, uint64_t tag, mpx_times_t times);
/* Take calls out of the job that were put together and that nobody has begun, as if they had not
 * been put. No hook is called for them any more. false: somebody has. */
bool mpx_engine_withdraw(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                         uint32_t count);
mp_rc_t mpx_engine_job_hold(mpx_engine_t *self, int64_t now, uint64_t job, bool held);
/* End calls [first, first+count) that are still open as cancelled. */
mp_rc_t mpx_engine_cancel(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                          uint32_t count);
/* End those that no worker has. */
mp_rc_t mpx_engine_job_end_queued(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc);
/* End all open calls of a job, or of all jobs, with rc and that message. */
mp_rc_t mpx_engine_job_fail(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc,
                            const char *message);
mp_rc_t mpx_engine_fail_all(mpx_engine_t *self, int64_t now, mp_rc_t rc, const char *message);
/* Forget a job. Its open calls are dropped: no hook is called any more. */
mp_rc_t mpx_engine_job_close(mpx_engine_t *self, int64_t now, uint64_t job);
uint64_t mpx_engine_job_open_calls(const mpx_engine_t *self, uint64_t job);

/* What has become of calls: of the number'th task that jobs were opened of; false: there are fewer.
 */
bool mpx_engine_task_tally(const mpx_engine_t *self, size_t number, const char **name,
                           mpx_tally_t *out);
/* Of a worker, and how many calls it has; false: there is no such worker. */
bool mpx_engine_worker_tally(const mpx_engine_t *self, uint64_t worker, uint32_t *given,
                             mpx_tally_t *out);

/* Who counts what becomes of calls; its functions must not call the engine. */
typedef struct mpx_watcher {
    void *self;
    /* What is to be handed on of jobs of that task; may be NULL. */
    void *(*task)(void *self, const char *name);
    /* So many calls are given to a worker, the oldest of which was put at `since`. */
    void (*given)(void *self, void *task, uint32_t count, uint32_t attempt, int64_t since);
    /* As mpx_tally_count. */
    void (*ended)(void *self, void *task, mp_rc_t rc, uint32_t count, int64_t busy_ns);
} mpx_watcher_t;
/* For jobs that are opened from now on. */
void mpx_engine_watch(mpx_engine_t *self, const mpx_watcher_t *watcher);

/* The inside of an engine, for those who explain it to people (explain.h, offers.h), and what the
 * job's OPEN said; NULL: there is no such job. Valid until the engine is called. */
typedef struct mpx_engine_view {
    const mpx_sched_t *sched;
    const struct mpx_offers *offers;
    const mpx_open_t *open;
} mpx_engine_view_t;
mpx_engine_view_t mpx_engine_view(const mpx_engine_t *self, uint64_t job);

/* Tell a worker by LATERs, for people who ask it, of the calls that wait for their time: where that
 * is something else than what it was told last; anew: all of it. */
mp_rc_t mpx_engine_tell_later(mpx_engine_t *self, int64_t now, uint64_t worker, bool anew);

mp_rc_t mpx_engine_tick(mpx_engine_t *self, int64_t now);
int64_t mpx_engine_deadline(const mpx_engine_t *self);
void mpx_engine_counts(const mpx_engine_t *self, mpx_sched_counts_t *out);
/* For tests: NULL when every invariant holds, else the one that doesn't. */
const char *mpx_engine_check(const mpx_engine_t *self);

#endif
