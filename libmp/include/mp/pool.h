/* pool.h: a set of workers, on this host or behind a broker, and the calls that use them.
 *
 * A local pool forks its workers when it is made; no daemon, socket file or
 * configuration is needed. With a broker the same calls run on whatever workers
 * are connected to it:
 *
 *     mp_pool_options_t.broker = NULL      $MP_BROKER if that is set, else local
 *                              = "local"   local, whatever $MP_BROKER says
 *                              = "tcp://host:port" or "ipc:///path"
 *
 * Threads: any thread may use a pool, several at once.
 * Fork: a pool belongs to the process that made it. In a forked child its calls
 * return MP_EFORKED, mp_pool_destroy only frees memory, and its descriptors are
 * already closed. Local workers die with that process, also when it is killed.
 * Memory: inputs and results of more than 64 KiB a chunk go to local workers by
 * shared memory, of which the pool keeps up to 128 MiB for each worker, or an
 * eighth of the machine's, until it is destroyed. See alloc.h for none at all.
 * Signals: none are taken. Workers live in process groups of their own, so a
 * Ctrl-C at the terminal reaches only the caller.
 * Workers: what they write to stderr comes out at the caller's, by way of a pipe, so
 * that a failure can tell the end of it. They take SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGSYS and SIGABRT to tell where they crashed, and then die of them as ever.
 */
#ifndef MP_POOL_H
#define MP_POOL_H

#include <mp/process.h>
#include <mp/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_pool mp_pool_t;

/* What local workers are.
 *
 * Threads share the program's memory, start at once, and move large data without a copy more; but a
 * crash or an exit in one ends the program, and a call that doesn't ask mp_call_stopping can't be
 * stopped: when it is cancelled or out of time it is left to itself, and another thread takes the
 * place of its own. Inline, calls run in the thread that submits them or waits, one at a time, for
 * debuggers; a task must not use its own pool then. */
typedef enum mp_workers { MP_PROCESSES, MP_THREADS, MP_INLINE } mp_workers_t;

/* All zero is the default. */
typedef struct mp_pool_options {
    mp_workers_t workers;          /* local ones are processes, threads, or nobody */
    mp_method_t method;            /* MP_FORK, the default, whatever mp_set_start_method says: local
                                      workers see this process's memory as it is now. MP_SPAWN and
                                      MP_FORKSERVER: they see none of it. They are forked from this
                                      program executed anew, so its main must begin with MP_MAIN, an
                                      initializer must be a function of it and has no argument, and
                                      worker_stdout can't be chosen */
    int processes;                 /* how many; 0: mp_cpu_count() */
    const char *broker;            /* see above */
    const char *key_file;          /* for a broker with keys: the certificate to show, see key.h;
                                      NULL: that of the environment's MP_KEY_FILE, if any */
    const char *const *load;       /* shared objects that local workers load;
                                      ends with NULL */
    int connect_timeout_ms;        /* to find the broker, now and after it was
                                      lost; 0: 10 000 */
    int worker_stdout;             /* descriptor for what local workers write to
                                      stdout; 0: the caller's stdout */
    int (*initializer)(void *arg); /* called by each local worker before its
                                first call; if it returns something else than
                                0 the pool fails, with MP_EFAILED */
    void *initializer_arg;
    int nested;                 /* the calls of local workers may have calls of their own, see
                                   mp_call_pool; each worker costs two descriptors more */
    const char *ship;           /* a shared object with tasks: local workers load it, as those of
                                   `load`; to those of a broker that take modules it is sent, see
                                   mp_pool_ship, within connect_timeout_ms */
    int max_calls_per_worker;   /* after so many calls a local worker is replaced
                                  (Python's maxtasksperchild); 0: never */
    size_t worker_memory_bytes; /* a local worker that has taken more than that since it started
                                   is replaced when its chunk is over; 0: no limit */
    size_t worker_memory_cap_bytes; /* a local worker can't have more than that beyond what it has
                                       when it is up: malloc returns NULL, in the midst of its call,
                                       which fails if it looks at that and crashes if it doesn't.
                                       Counts what is asked for, also if it is never written to, but
                                       neither shared memory nor the stack (RLIMIT_DATA, which what
                                       the call executes inherits); 0: no limit */
    const char *have; /* what calls may need of local workers, such as "gpu=1,memory=8G,zone=a", as
                         mp-worker's --have says it: numbers are capacities, which all workers of
                         the pool share; others are labels. See mp_call_options_t.needs. Copied;
                         NULL: nothing */
    size_t worker_memory_limit_bytes; /* a local worker that has taken more than that since it was
                                         up is killed, in the midst of its call, which ends with
                                         MP_ENOMEM: looked at every 20 ms, so one that takes fast
                                         has somewhat more. Of its own, resident memory; what it
                                         starts isn't counted; 0: no limit */
} mp_pool_options_t;

/* How a call may end that is worth another attempt: bits of mp_call_options_t.retry_on. */
enum {
    MP_RETRY_FAILED = 1,    /* MP_EFAILED */
    MP_RETRY_CRASHED = 2,   /* MP_ECRASHED */
    MP_RETRY_TIMED_OUT = 4, /* MP_ETIMEDOUT */
    MP_RETRY_LOST = 8,      /* MP_EWORKERLOST, MP_EBROKERLOST */
    MP_RETRY_MEMORY = 16,   /* MP_ENOMEM, also when it is what the task returned, and when the
                               worker was killed for the memory that it had taken */
    MP_RETRY_DRAINED = 32   /* MP_EDRAINING: its worker was told to stop */
};

/* How far several calls are. */
typedef struct mp_progress {
    size_t done;    /* calls that have their outcome */
    size_t total;   /* 0: not known yet */
    size_t failed;  /* of those done */
    size_t skipped; /* of those done: there was nothing left to do, by an earlier run */
} mp_progress_t;

/* What a call has written while it ran. Strings and bytes are valid during the call of the function
 * that is told. */
typedef enum mp_stream { MP_NO_STREAM, MP_STDOUT, MP_STDERR } mp_stream_t;
typedef struct mp_output {
    uint64_t index; /* position of the call's input, from 0; of single calls 0 */
    mp_stream_t stream;
    mp_bytes_t bytes;    /* as they were written: pieces of up to 4 KiB, not lines */
    uint64_t lost_bytes; /* so much, of both streams, is left out before these bytes; with
                            MP_NO_STREAM that is all */
    const char *task;
    const char *label; /* of the options; "" if there was none, and of single calls */
    const char *host;  /* where it runs */
    int pid;
} mp_output_t;

/* How the calls of one map or job are run. All zero is the default. */
typedef struct mp_call_options {
    int chunksize;       /* calls that travel together; 0: adapts to their measured run time */
    int call_timeout_ms; /* run time of one call; over it, its worker is killed; 0: no limit */
    int soft_timeout_ms; /* run time of one call after which mp_call_stopping says so; 0: none */
    int stop_grace_ms;   /* a cancelled call that runs is told by mp_call_stopping; this time
                            later its process group gets a SIGTERM, and after the same time
                            again it is killed. 0: 100 */
    int retries;         /* further attempts at a call that fails, crashes, runs out of time
                            or is lost with its worker or broker; 0: none, whatever happens. Else
                            the first eight losses and drains come on top: they are nobody's fault */
    int retry_on;        /* MP_RETRY_FAILED | ...: of these only those; 0: all */
    int retry_delay_ms;  /* before the first retry; doubles with each further one, and is up to a
                            quarter longer, by chance; 0: none */
    int max_crashes;     /* a call that crashed so many workers, or was too much for their memory,
                            isn't tried again, however many retries it has left; 0: 3 */
    int priority;        /* -1000 to 1000: calls of a higher one are given out first. Those of
                            one priority share the workers, job by job */
    int unordered;       /* mp_job_next hands out results as they come, not in input order */
    int window;          /* calls put but not yet taken by mp_job_next; 0: 64 for each
                            worker, and never more than 64 MiB of them */
    int worker_wait_ms;  /* broker: how long to wait for a first worker; 0: 30 000 */
    const char *label; /* for people: in outcomes and in messages about maps; copied; NULL: none */
    /* Called now and then while calls of a map end (not more than ten times a second), and when all
     * have; by mp_pool_map_with in its thread, by mp_pool_map_async in that of its callbacks. NULL:
     * not wanted. See progress.h for a bar. */
    void (*progress)(void *arg, const mp_progress_t *progress);
    void *progress_arg;
    /* Called with what calls write to stdout and stderr, while they run and all of it before their
     * outcome; it comes out nowhere else then. Called under the pool's lock, by whichever thread
     * takes it in: it must return soon, and not use the pool. A call's first `output_bytes` are
     * told (0: 1 MiB), and how many more there were; what a broker's client is too slow for is left
     * out as well. Of worker processes; mp.exec has the output of its command as its result.
     * NULL: not wanted. */
    void (*output)(void *arg, const mp_output_t *output);
    void *output_arg;
    int output_bytes;
    int weight;        /* 1 to 1000: of what the workers give to all jobs of this client and
                          priority, the part of this one; 0: 1. Clients of a broker share it evenly
                          before that */
    const char *needs; /* what a worker must have (mp_pool_options_t.have, or with a broker that of
                          mp_worker_options_t), such as "gpu=1,zone=a": numbers are used up while
                          the call runs, others must be equal; copied; NULL: nothing. A call whose
                          needs no worker can meet ends with MP_ENEEDS, with a broker after two
                          seconds. Not for the calls of a call */
    int delay_ms;      /* from the submission of a call until it may be given out */
    int deadline_ms;   /* from the submission of a call: then it ends with MP_ETIMEDOUT, wherever
                          it is, and is stopped as one that is cancelled if it runs. Its task may
                          ask mp_call_deadline_ms; calls of its own have no more time. 0: none */
    /* With any of these a job is kept by its broker, see kept.h: */
    const char *name; /* of the job; NULL: one that nobody else has */
    const char *key;  /* of idempotency: who submits with the same one again gets what there is */
    int keep_ms;      /* how long it waits for somebody; 0: as long as the broker allows */
    int dead_letters; /* 1: calls that end badly are kept as dead letters, see dead.h; 0: if the job
                         has one of the three before; -1: not */
} mp_call_options_t;

/* How one call ended. Strings and value belong to the giver: see mp_job_next. */
typedef struct mp_outcome {
    mp_rc_t rc;               /* MP_OK, or why there is no value: MP_EFAILED, MP_ECRASHED,
                                 MP_ETIMEDOUT, MP_ECANCELLED, MP_EWORKERLOST, MP_EBROKERLOST,
                                 MP_ENOTASK, MP_ESIGNATURE, MP_ENOWORKER, MP_ENEEDS, MP_EPERM,
                                 MP_EAUTH, MP_ETOOLARGE, MP_EDRAINING, MP_EPROTO, MP_ENOMEM */
    uint64_t index;           /* position of the input, from 0 */
    mp_bytes_t value;         /* the result; for MP_EFAILED what the task wrote before */
    const char *task;         /* its name */
    const char *label;        /* of the options; "" if there was none */
    const char *message;      /* never NULL; "" for MP_OK */
    const char *host;         /* of a failed call: where it ran; "" if it didn't, or was ended, by
                                 mp_job_cancel or its deadline, before its worker had answered */
    int pid;                  /* of the same: the worker process; 0 where the host is "" */
    int attempt;              /* of a failed call: from 1; else 1 */
    int code;                 /* MP_EFAILED: what the task returned */
    int signal;               /* MP_ECRASHED: the signal that ended the worker, else 0 */
    int exit_status;          /* MP_ECRASHED: its exit status when no signal did */
    const char *error_output; /* of a failed call: the last lines, at most 4 KiB, that its worker
                                 process has written to stderr, in this call or before; else "" */
    const char *backtrace;    /* MP_ECRASHED: the calls that were active, innermost first, a line
                                 each, if the process could still tell; else "" */
} mp_outcome_t;

/* Make a pool. Blocks until the workers are up, or until the broker has answered. Later a local
 * worker that is to be replaced, and can't be forked, is tried again for as long as others live;
 * when none has lived for three seconds the pool has failed, and its calls end.
 * options  NULL for the defaults; not kept.
 * out      the caller destroys it.
 * MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM out of processes or descriptors;
 * MP_ESTATE and MP_EUNPASSABLE from `method`; MP_EMODULE and MP_EEXIST from `load`; MP_EFAILED the
 * initializer; with a broker MP_ECONNECT, MP_EVERSION, MP_EPROTO, MP_EDRAINING, MP_ELIMIT, MP_EAUTH
 * it wants a key, or another one than this, MP_EPERM the key lacks the role submit or others can
 * read its file, MP_ENOTFOUND there is no such file. */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_new(const mp_pool_options_t *options, mp_pool_t **out);

/* End the workers (a local pool kills what still runs), cancel open jobs and free
 * the pool. Jobs made from it may still be asked for what they hold and must be
 * destroyed on their own. NULL-safe, idempotent; sets *self to NULL. No other
 * thread may be using the pool. Takes at most some seconds. */
MP_API void mp_pool_destroy(mp_pool_t **self);

/* The number of worker processes: those of a local pool, or those that the broker
 * counted when it last answered. */
MP_API int mp_pool_processes(const mp_pool_t *self);

/* Have so many local workers from now on. Further ones come up while the pool goes on; those that
 * are too many end what they have begun, and take nothing more. MP_OK; MP_EINVAL less than 1, or a
 * broker's; MP_ECLOSED; MP_EFORKED; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_pool_resize(mp_pool_t *self, int processes);

/* Send a shared object to the broker's workers that take modules (mp-worker --accept-modules),
 * which then offer its tasks, also those that join later while this pool lives. It is known by the
 * SHA-256 of its content, and sent only to those that don't have it yet. Code runs there: a broker
 * allows it only to clients that come by ipc, and so are its own user, or whose key has the roles
 * submit and admin.
 * timeout_ms  for all workers that are connected now; 0 tries once, -1 waits for ever
 * MP_OK they have it, at least one; or the
 * first of what went wrong, and others may have it all the same: MP_EMODULE it can't be read here
 * or opened there; MP_EEXIST one of its tasks has a name that is taken there; MP_ETOOLARGE;
 * MP_ELIMIT, MP_ENOSPACE that worker takes no more; MP_EPERM; MP_ENOWORKER no worker takes modules;
 * MP_EWORKERLOST; MP_EBROKERLOST; MP_ETIMEDOUT. Also MP_EINVAL, of a local pool too; MP_ECLOSED;
 * MP_EFORKED; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_ship(mp_pool_t *self, const char *path, int timeout_ms);

/* Inside a task: the pool that runs it, for calls of its own, which run on the same workers, before
 * others of the same priority. While they are open the call's worker lends its place to another
 * one, so all of them may wait for calls of theirs at once, and the pool goes on. It is not the
 * task's to destroy, close or terminate; jobs and results are to be destroyed before the call ends.
 * Of a pool that was made with `nested`, or of a broker: then those of the call's own mp-worker run
 * its calls. 256 calls may wait like this at a time in one process that has workers; calls of
 * further ones end with MP_ELIMIT. When the call is lost, so are its calls. NULL: it can't have
 * any, and mp_errmsg() says why. */
MP_API mp_pool_t *mp_call_pool(const mp_call_t *call);

/* Run task(in) once on a worker and wait for it.
 * in, out     one record each, of the task's types.
 * timeout_ms  for the whole call, 0 tries once, -1 waits for ever. When it passes,
 *             the call is cancelled and MP_ETIMEDOUT returned.
 * Only for tasks over fixed-size records: others return MP_EINVAL (see job.h).
 * MP_OK; MP_EINVAL; MP_EFORKED; MP_ENOMEM; MP_ETIMEDOUT; or how the call ended,
 * see mp_outcome_t.rc, with the task's own words in mp_errmsg(). */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_apply(mp_pool_t *self, const mp_task_t *task, const void *in,
                                           void *out, int timeout_ms);

/* Run out[i] = task(in[i]) for i below n and wait for all of them.
 * in, out  arrays of n records of the task's types; they must not overlap.
 * When calls fail, the others are run all the same and their results are in
 * place; the records of failed ones are zero; and what is returned is the rc of
 * the first failed one in input order, with its index and message in mp_errmsg().
 * Else as mp_pool_apply. n = 0 is MP_OK. */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_map(mp_pool_t *self, const mp_task_t *task, const void *in,
                                         size_t n, void *out, int timeout_ms);

/* mp_pool_map with options (NULL for the defaults; `unordered` and `window` don't
 * apply) and, when rcs isn't NULL, the rc of each call in rcs[0..n). */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_map_with(mp_pool_t *self, const mp_task_t *task,
                                              const void *in, size_t n, void *out, mp_rc_t *rcs,
                                              const mp_call_options_t *options, int timeout_ms);

/* The processors that this process may use: its affinity and its cgroup's quota,
 * at least 1. */
MP_API int mp_cpu_count(void);

#ifdef __cplusplus
}
#endif

#endif
