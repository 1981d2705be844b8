/* worker.h: serve a broker's calls with processes of this host.
 *
 * mp-worker is a thin program around mp_worker_run. Any program that starts with
 * MP_MAIN can be such a worker as well: `./square --mp-worker tcp://host:5555`.
 */
#ifndef MP_WORKER_H
#define MP_WORKER_H

#include <mp/error.h>
#include <mp/log.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mp_worker_state {
    MP_WORKER_STARTING,   /* executors come up */
    MP_WORKER_CONNECTING, /* no broker has let it in, or not again */
    MP_WORKER_SERVING,
    MP_WORKER_DRAINING
} mp_worker_state_t;

typedef struct mp_worker_status {
    mp_worker_state_t state;
    int processes;              /* executors that there should be */
    int up;                     /* that there are */
    unsigned long long given;   /* calls that it has, running or next */
    unsigned long long started; /* executors, ever */
    unsigned long long retired; /* of those: ended by their own will */
    unsigned long long stopped; /* killed for a call */
    unsigned long long crashed; /* died otherwise */
    unsigned long long calls_ok;
    unsigned long long calls_failed;
    unsigned long long calls_crashed;
    unsigned long long calls_timed_out;
    unsigned long long calls_cancelled;
    unsigned long long calls_other;
    double busy;               /* seconds, of calls that were ok or failed */
    unsigned long long memory; /* executors that were ended for what they had taken of it */
} mp_worker_status_t;

/* All zero but `broker` is the default. */
typedef struct mp_worker_options {
    const char *broker;            /* endpoint; required */
    const char *key_file;          /* for a broker with keys: the certificate to show, see key.h;
                                      NULL: that of the environment's MP_KEY_FILE, if any */
    int processes;                 /* executors; 0: mp_cpu_count() */
    const char *const *load;       /* shared objects that each executor loads; ends with NULL */
    int (*initializer)(void *arg); /* called by each executor before its first call; if it returns
                                      something else than 0 the worker ends, with MP_EFAILED */
    void *initializer_arg;
    int max_calls_per_worker;   /* after so many calls an executor is replaced; 0: never */
    size_t worker_memory_bytes; /* an executor that has taken more than that since it started is
                                   replaced when its chunk is over; 0: no limit */
    size_t worker_memory_limit_bytes; /* an executor that has taken more is killed, as in
                                         mp_pool_options_t */
    size_t worker_memory_cap_bytes; /* what an executor can have at most, as in mp_pool_options_t */
    int allow_exec;                 /* offer mp.exec, which runs any command of any client */
    const char *name;               /* how it is called in errors; NULL: host:pid */
    int stop_fd;                    /* readable once: drain; again: end at once. A signalfd, an
                                       eventfd or a pipe; each read takes 128 bytes at most.
                                       0: none */
    int drain_ms;                   /* when told to stop: how long what runs may go on. Then it is
                                       stopped in steps, and ends with MP_EDRAINING. 0: as long as it
                                       likes */
    int give_up_ms;                 /* end with MP_ECONNECT when no broker could be reached for so
                                       long; 0: never */
    const char *accept_modules;     /* a directory for modules that clients may ship, see
                                       mp_pool_ship; it is made if need be, and must be this user's
                                       alone. Only from a broker on ipc, or with
                                       key_file. NULL: none are taken */
    uint64_t module_bytes;          /* the largest module; 0: 64 MiB */
    /* Told what happens, one line without newline, at last why it can't go on
     * (MP_LOG_ERROR); NULL: silence. Called in the thread that runs mp_worker_run. */
    void (*log)(void *arg, mp_log_level_t level, const char *line);
    void *log_arg;
    const char *have; /* what calls may need of this host, such as "gpu=1,memory=8G,zone=a": numbers
                         are capacities, which the calls that run share; others are labels. See
                         mp_call_options_t.needs. NULL: nothing */
    /* Told how it is when its state changes, and every tick_ms by its loop: if that hangs there is
     * silence. NULL: not. Must not block; called in the same thread. */
    void (*tick)(void *arg, const mp_worker_status_t *status);
    void *tick_arg;
    int tick_ms; /* 0: only changes */
} mp_worker_options_t;

/* Offer this process's tasks and those of `load` to a broker, run what it sends,
 * and reconnect with back-off whenever it is lost. Blocks until told to stop, by stop_fd or by
 * mp_broker_dismiss; then gives back the calls that it has not begun and finishes the others.
 * Must be called before the process has other threads: it forks. Executors die
 * with this process.
 * MP_OK drained, or told to end at once; MP_ECONNECT see give_up_ms; MP_EINVAL; MP_EFAILED the
 * initializer; MP_EMODULE, MP_EEXIST from `load`; MP_ENOTASK nothing to offer; MP_EVERSION,
 * MP_EPERM, MP_EAUTH the broker refused it before it had ever let it in; MP_ESYSTEM; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_worker_run(const mp_worker_options_t *options);

/* What MP_MAIN does: if the arguments say `--mp-worker ENDPOINT [--mp-procs N] [--mp-have LIST]`,
 * be that worker until SIGTERM or SIGINT (blocked and read from a descriptor for as
 * long), which says what happens on stderr and, when a broker has let it in for the first time,
 * "ready ENDPOINT" on stdout; if this process was spawned by mp_process_start, run its target; then
 * write the exit status to *status and return 1. Otherwise return 0. */
MP_API int mp_main(int argc, char **argv, int *status);

/* First statement of main: lets this same binary serve as its own worker, and be spawned.
 * Whatever stands before it runs in those processes as well. */
#define MP_MAIN(argc, argv)                                                                        \
    do {                                                                                           \
        int mp_main_status_ = 0;                                                                   \
        if (mp_main((argc), (argv), &mp_main_status_))                                             \
            return mp_main_status_;                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
