/* workshop.h: the executors of this host, as the workers of an engine.
 *
 *     jobs <-> engine <-> workshop <-> crew <-> executors
 *
 * A local pool is a workshop whose jobs come from the program; mp-worker is one whose jobs come
 * from a broker. One thread at a time. Only new and destroy block.
 *
 * A call may have calls of its own (nested). An executor whose call has open ones lends its place:
 * it gets nothing more, and there is one executor more meanwhile. So some executor is always free
 * to run something, and a chunk never waits behind a call that waits for it: it would have to have
 * been given before that call began to wait, for a call that then was waiting already.
 */
#ifndef MPX_WORKSHOP_H
#define MPX_WORKSHOP_H

#include "crew.h"
#include "relay.h"

typedef struct mpx_workshop mpx_workshop_t;

typedef struct mpx_workshop_options {
    mpx_crew_options_t crew;
    mpx_traits_t have; /* by all of them together, for jobs that are met here */
    void *self;        /* what the functions are given */
    /* All executors are up, for the first time. hello: packed, what each of them offers. */
    mp_rc_t (*ready)(void *self, mp_bytes_t hello);
    /* One is dead. NULL: not wanted. */
    void (*down)(void *self, const mpx_crew_event_t *event);
    /* A module was loaded, and what each of them offers now; or not: rc, problem. NULL: none is. */
    mp_rc_t (*loaded)(void *self, mp_rc_t rc, mp_bytes_t hello, const char *problem);
    /* They can't work, see MPX_CREW_FAILED. */
    mp_rc_t (*failed)(void *self, int64_t now, mp_rc_t rc, const char *problem);
} mpx_workshop_options_t;

/* Fork the executors. MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_workshop_new(const mpx_workshop_options_t *options, mpx_workshop_t **out);
/* End them. In a forked child only frees memory. NULL-safe, idempotent. */
void mpx_workshop_destroy(mpx_workshop_t **self);

/* Have so many executors from now on; those that are too many end what they have. MP_OK;
 * MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_workshop_resize(mpx_workshop_t *self, int64_t now, uint32_t size);

/* Have them open a module: `loaded` is called in time, and those that are up are replaced when they
 * have ended what they have. As mpx_crew_load. */
mp_rc_t mpx_workshop_load(mpx_workshop_t *self, const char *path);
void mpx_workshop_stop_loading(mpx_workshop_t *self);

/* Begin no call any more, but for those of calls: chunks are answered with MP_EDRAINING. */
void mpx_workshop_give_back(mpx_workshop_t *self);
/* Whether any of them has something to do, or to end. */
bool mpx_workshop_is_busy(const mpx_workshop_t *self);

typedef struct mpx_workshop_counts {
    uint32_t up;
    mpx_turnover_t turnover; /* ever; none is lost */
} mpx_workshop_counts_t;
void mpx_workshop_counts(const mpx_workshop_t *self, mpx_workshop_counts_t *out);

/* An executor that is up. */
typedef struct mpx_bench {
    struct mpx_workshop *workshop;
    uint64_t worker; /* its number on the engine */
    int pid;
    int64_t start_ns;
    int64_t init_ns;
    int64_t up_at;
    bool stopped;       /* by us */
    bool spare;         /* paused, until somebody lends its place */
    bool lends;         /* its call has open calls of its own */
    mpx_relay_t *relay; /* for those; NULL: it never had any */
    struct mpx_bench *prev, *next;
} mpx_bench_t;
const mpx_bench_t *mpx_workshop_benches(const mpx_workshop_t *self); /* oldest first; or NULL */

/* What it has done. host and the like are left empty. */
void mpx_workshop_describe(const mpx_workshop_t *self, const mpx_bench_t *bench, int64_t now,
                           mpx_executor_stat_t *out);

mpx_engine_t *mpx_workshop_engine(const mpx_workshop_t *self);
const char *mpx_workshop_host(const mpx_workshop_t *self);

/* Take what executors have sent, and do what is due.
 * MP_OK; MP_ENOMEM; what the functions of the options return. */
mp_rc_t mpx_workshop_turn(mpx_workshop_t *self, int64_t now);
/* Wake the executors that were sent something. To be called after each change to the engine. */
void mpx_workshop_wake(mpx_workshop_t *self);

/* For poll. Before sleeping on it mpx_workshop_sleep must have returned true. */
int mpx_workshop_fd(const mpx_workshop_t *self);
bool mpx_workshop_sleep(mpx_workshop_t *self);

#endif
