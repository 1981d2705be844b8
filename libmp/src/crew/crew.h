/* crew.h: executor processes of this host, each at the far end of a lane.
 *
 *     this process ---control socket---> nursery ---fork---> executor 1, 2, 3 ...
 *          |                                                    |
 *          +----------------- a lane to each -------------------+
 *
 * The nursery is forked when the crew is made, has one thread, and forks all executors,
 * the first ones and their replacements alike: all see the memory of that moment, and
 * none is forked from a process full of threads. It tells when one dies and how.
 *
 * Lives hang together: the nursery ends when its control socket does; each executor
 * leads a process group of its own, whose every process is killed by the kernel
 * (O_ASYNC with SIGKILL on a pipe that only the nursery holds) when the nursery ends,
 * however that happens. So a SIGKILL of this process takes everything along, commands
 * that tasks started included. A nursery that dies is replaced.
 *
 * A worker here is one executor's life: the replacement of a dead one is a new worker
 * with a new id. One thread at a time. No function blocks but new and destroy.
 */
#ifndef MPX_CREW_H
#define MPX_CREW_H

#include "wire.h"
#include <mp/error.h>
#include <stdbool.h>

typedef struct mpx_crew mpx_crew_t;

typedef struct mpx_crew_options {
    uint32_t size;                 /* executors, at least 1 */
    const char *const *load;       /* modules that each executor opens; ends with NULL; or NULL */
    int worker_stdout;             /* becomes the executors' stdout; 0: as it is */
    bool offer_exec;               /* they run mp.exec */
    bool fresh;                    /* they have nothing of this process's memory: see fresh.h */
    bool nested;                   /* their calls may have calls of their own */
    int (*initializer)(void *arg); /* called by each before it is up; NULL: none */
    void *initializer_arg;
    uint64_t max_calls; /* after so many an executor retires; 0: never. Bytes, 0: no limit: */
    uint64_t max_memory_bytes;   /* of its own; when it has more after a chunk it retires */
    uint64_t memory_limit_bytes; /* of its own; with more it is killed, whatever it is at */
    uint64_t memory_cap_bytes;   /* beyond what it has when it is up, and can't have more */
} mpx_crew_options_t;

/* Fork the nursery and ask it for the executors; each reports with UP or FAILED.
 * MP_OK; MP_ESTATE and MP_EUNPASSABLE with `fresh`; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_crew_new(const mpx_crew_options_t *options, mpx_crew_t **out);

/* Kill all executors and wait (bounded: 2 s, then by force) for the nursery. In a forked
 * child only frees memory. NULL-safe, idempotent. */
void mpx_crew_destroy(mpx_crew_t **self);

typedef enum mpx_crew_event_kind {
    MPX_CREW_UP,      /* the executor can run calls; payload: its Hello */
    MPX_CREW_MESSAGE, /* STARTED, PROGRESS, OUTPUT, RESULT, RETURNED or ERROR */
    MPX_CREW_NESTED,  /* a message of a submitter: a call of the executor has calls of its own */
    MPX_CREW_LOADED, /* the module that was to be loaded is good: executors that come up from now on
                        have it; payload: a Hello with its tasks */
    MPX_CREW_REFUSED, /* it is not: rc, problem */
    MPX_CREW_DOWN,    /* it is dead; everything that it had finished was handed out before */
    MPX_CREW_FAILED   /* the crew can't work: a module doesn't load, the initializer failed,
                         or executors keep dying before they are up, or can't be forked: one of
                         the first, or all that it has. Last event */
} mpx_crew_event_kind_t;

/* Who has ended an executor for want of memory. */
typedef enum mpx_want {
    MPX_WANT_NONE,
    MPX_WANT_LIMIT, /* we did: memory_limit_bytes */
    MPX_WANT_KERNEL /* the kernel, as far as that can be told: see shortage.h */
} mpx_want_t;

typedef struct mpx_crew_event {
    mpx_crew_event_kind_t kind;
    uint64_t worker; /* never 0 nor reused */
    int pid;
    mpx_header_t header; /* MESSAGE, NESTED */
    mp_bytes_t
        payload; /* UP, MESSAGE, NESTED: valid until the next mpx_crew_next or mpx_crew_submit */
    int64_t start_ns;         /* UP: since it was asked for; of that its initializer took
                                 header.busy_ns */
    int signal;               /* DOWN: that killed it, else 0 */
    int exit_status;          /* DOWN: when no signal did */
    bool retired;             /* DOWN: by its own will, with no call begun: after max_calls, over
                                 max_memory_bytes, or dismissed */
    mpx_want_t want;          /* DOWN: for want of memory, */
    uint64_t taken_bytes;     /* LIMIT: of which it had taken so much */
    const char *error_output; /* DOWN: what its last call has said on stderr, in lines; and where */
    const char *backtrace; /* it crashed. Valid until the next mpx_crew_next; "": nothing known */
    mp_rc_t rc;            /* FAILED: MP_EFAILED the initializer, MP_EMODULE, MP_EEXIST, MP_ESYSTEM,
                              MP_EWORKERLOST */
    const char *problem;   /* FAILED, REFUSED: for people; valid until destroy, or the next load */
} mpx_crew_event_t;

/* The next event; MP_EBUSY when there is none now. Takes the system calls that it needs
 * only after mpx_crew_fd was readable or nothing is left in memory. MP_ENOMEM. */
mp_rc_t mpx_crew_next(mpx_crew_t *self, mpx_crew_event_t *out);

/* Send a message to an executor. Copied; what the lane doesn't take yet is queued, so the
 * caller bounds it by credit. The executor is woken by mpx_crew_wake.
 * MP_OK; MP_ECLOSED no such worker (any more); MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_crew_send(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                      mp_bytes_t payload);
/* The same, to the call that has calls of its own. */
mp_rc_t mpx_crew_send_nested(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                             mp_bytes_t payload);
/* Where a chunk's results are to go. */
typedef struct mpx_results_to {
    void *at;       /* their place in the caller's memory, or NULL: anywhere */
    uint32_t bytes; /* of each; 0: not known */
} mpx_results_to_t;

/* Send a SUBMIT. As mpx_crew_send, but what is large goes by shared memory: see depot.h. The
 * results of such a chunk are where `to` says when their RESULT is handed out, if that is memory
 * of mp_alloc. */
mp_rc_t mpx_crew_submit(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                        mp_bytes_t payload, const mpx_results_to_t *to);
/* Wake every executor that was sent something since the last time and sleeps. */
void mpx_crew_wake(mpx_crew_t *self);

/* Have an executor know that it should begin no call any more and give back what it has
 * (MP_EDRAINING; of whatever chunk), that it should give a chunk up (MP_ECANCELLED), or that the
 * chunk's running call is past its soft limit (MP_ETIMEDOUT). It sees that between calls, and the
 * task if it asks; of several such chunks only the last one is remembered. */
void mpx_crew_ask(mpx_crew_t *self, uint64_t worker, uint64_t chunk, mp_rc_t why);
/* Have an executor not begin a chunk. true: it never will, and of its memory and its results' place
 * nothing is in use any more. false: it has begun, or about so; then its STARTED or RETURNED comes.
 * Chunks of one executor have numbers that rise. */
bool mpx_crew_call_back(mpx_crew_t *self, uint64_t worker, uint64_t chunk);
/* Send an executor and its process group a SIGTERM, or SIGKILL; its DOWN follows, then a
 * replacement's UP. */
void mpx_crew_terminate(mpx_crew_t *self, uint64_t worker);
void mpx_crew_kill(mpx_crew_t *self, uint64_t worker);

/* Open a module beside those of the options, first in an executor of its own that runs no call:
 * LOADED or REFUSED follows. Those that are up don't have it: dismiss them. One at a time.
 * MP_OK; MP_EBUSY; MP_ELIMIT; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_crew_load(mpx_crew_t *self, const char *path);
/* It takes too long: REFUSED follows. */
void mpx_crew_stop_loading(mpx_crew_t *self);

/* Have so many executors, at least 1, from now on. Further ones report with UP. Those that are too
 * many are handed out by mpx_crew_surplus, one after the other (0: no more); also later, when one
 * comes up that isn't needed any more. Give such a one nothing more to do, and dismiss it: it ends
 * when it has run what it has, and isn't replaced.
 * MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_crew_resize(mpx_crew_t *self, uint32_t size);
uint64_t mpx_crew_surplus(const mpx_crew_t *self);
mp_rc_t mpx_crew_dismiss(mpx_crew_t *self, uint64_t worker); /* as mpx_crew_send */

/* For poll. Before sleeping on it mpx_crew_sleep must have returned true. */
int mpx_crew_fd(const mpx_crew_t *self);
bool mpx_crew_sleep(mpx_crew_t *self);

#endif
