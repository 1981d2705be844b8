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

/* All zero but `broker` is the default. */
typedef struct mp_worker_options {
    const char *broker;            /* endpoint; required */
    int processes;                 /* executors; 0: mp_cpu_count() */
    const char *const *load;       /* shared objects that each executor loads; ends with NULL */
    int (*initializer)(void *arg); /* called by each executor before its first call; if it returns
                                      something else than 0 the worker ends, with MP_EFAILED */
    void *initializer_arg;
    int max_calls_per_worker;       /* after so many calls an executor is replaced; 0: never */
    size_t worker_memory_bytes;     /* an executor that has taken more than that since it started is
                                       replaced when its chunk is over; 0: no limit */
    size_t worker_memory_cap_bytes; /* what an executor can have at most, as in mp_pool_options_t */
    int allow_exec;                 /* offer mp.exec, which runs any command of any client */
    const char *name;               /* how it is called in errors; NULL: host:pid */
    int stop_fd;                    /* readable once: drain; again: end at once. A signalfd, an
                                       eventfd or a pipe; each read takes 128 bytes at most.
                                       0: none */
    int drain_ms;                   /* when told to stop: how long what runs may go on. Then it is
                                       stopped in steps, and ends with MP_EWORKERLOST. 0: as long as
                                       it likes */
    int give_up_ms;                 /* end with MP_ECONNECT when no broker could be reached for so
                                       long; 0: never */
    const char *accept_modules;     /* a directory for modules that clients may ship, see
                                       mp_pool_ship; it is made if need be, and must be this user's
                                       alone. Only from a broker on ipc. NULL: none are taken */
    uint64_t module_bytes;          /* the largest module; 0: 64 MiB */
    /* Told what happens, one line without newline, at last why it can't go on
     * (MP_LOG_ERROR); NULL: silence. Called in the thread that runs mp_worker_run. */
    void (*log)(void *arg, mp_log_level_t level, const char *line);
    void *log_arg;
} mp_worker_options_t;

/* Offer this process's tasks and those of `load` to a broker, run what it sends,
 * and reconnect with back-off whenever it is lost. Blocks until told to stop, by stop_fd or by
 * mp_broker_dismiss; then gives back the calls that it has not begun and finishes the others.
 * Must be called before the process has other threads: it forks. Executors die
 * with this process.
 * MP_OK drained, or told to end at once; MP_ECONNECT see give_up_ms; MP_EINVAL; MP_EFAILED the
 * initializer; MP_EMODULE, MP_EEXIST from `load`; MP_ENOTASK nothing to offer; MP_EVERSION,
 * MP_EPERM the broker refused for good; MP_ESYSTEM; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_worker_run(const mp_worker_options_t *options);

/* What MP_MAIN does: if the arguments say `--mp-worker ENDPOINT [--mp-procs N]`, be
 * that worker until SIGTERM or SIGINT (blocked and read from a descriptor for as
 * long); if this process was spawned by mp_process_start, run its target; then write
 * the exit status to *status and return 1. Otherwise return 0. */
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
