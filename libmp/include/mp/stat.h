/* stat.h: what a pool and its workers are at, and what they have done.
 *
 *     mp_pool_stat_t stat;
 *     if (mp_pool_stat(pool, &stat) == MP_OK)
 *         printf("%llu waiting, %llu at workers\n", stat.queued, stat.given);
 *
 * Times are in seconds. Threads and fork: as the pool's. Only mp_pool_worker_stats
 * may block, with a broker.
 */
#ifndef MP_STAT_H
#define MP_STAT_H

#include <mp/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_pool_stat {
    int processes;              /* workers that there should be; with a broker, that it has */
    int workers;                /* that are up; with a broker the same */
    unsigned long long queued;  /* calls that no worker has */
    unsigned long long given;   /* calls that workers have, running or next */
    unsigned long long started; /* workers, ever; with a broker those that it had when this pool
                                   connected, and what its mp-workers have started since */
    unsigned long long retired; /* of those: ended by their own will, see max_calls_per_worker,
                                   worker_memory_bytes and mp_pool_resize, or drained */
    unsigned long long stopped; /* killed for a call that was cancelled or out of time */
    unsigned long long crashed; /* died otherwise */
    unsigned long long memory;  /* ended for what they had taken of it */
    unsigned long long lost;    /* with a broker: were gone with their mp-worker, or its host */
} mp_pool_stat_t;

/* With a broker the workers' numbers are as it told them last, which it does whenever they change:
 * a worker that a call has cost is counted before the outcome of the call comes. They serve other
 * clients as well, so not all of them need have ended for calls of this pool.
 * MP_OK; MP_ECLOSED it was terminated; MP_EFORKED. */
MP_API mp_rc_t mp_pool_stat(mp_pool_t *self, mp_pool_stat_t *out);

/* What has become of the calls of one task, each attempt that had an outcome for itself. */
typedef struct mp_task_stat {
    char name[MP_TASK_NAME_MAX + 1];
    unsigned long long ok;
    unsigned long long failed;
    unsigned long long crashed;
    unsigned long long timed_out;
    unsigned long long cancelled;
    unsigned long long other; /* lost, refused, and so on */
    double busy;              /* run time of those that were ok or failed */
} mp_task_stat_t;

/* One for each task that this pool was asked to run, oldest first.
 * out    up to `room` of them; may be NULL if that is 0
 * count  how many there are
 * MP_OK; MP_ECLOSED; MP_EFORKED. */
MP_API mp_rc_t mp_pool_task_stats(mp_pool_t *self, mp_task_stat_t *out, size_t room, size_t *count);

#define MP_WORKER_NAME_MAX 127

typedef struct mp_worker_stat {
    unsigned long long id; /* never used again in this pool; with a broker, until that is started
                              again */
    char host[MP_WORKER_NAME_MAX + 1];  /* where it is */
    char group[MP_WORKER_NAME_MAX + 1]; /* the mp-worker that it belongs to; "" for a local one */
    int pid;
    int given;                /* calls that it has, running or next */
    unsigned long long calls; /* that it has ended */
    double start;             /* from the wish for it until it was up */
    double init;              /* of that, in the initializer */
    double working;           /* in calls that have ended */
    double waiting;           /* the rest of its life, the running call included */
    size_t memory_bytes;      /* resident, now */
} mp_worker_stat_t;

/* The workers that are up; as above. Those of a local pool come oldest first, at once. A broker
 * asks its mp-workers: theirs come together, and what they have done they did for all clients;
 * those of an mp-worker that does not answer within two seconds are left out.
 * timeout_ms  for the broker's answer; -1 waits for ever
 * MP_OK; MP_EINVAL the pool of a call, or one of threads; MP_ETIMEDOUT; MP_EBROKERLOST it is not
 * connected, or was lost meanwhile; MP_ELIMIT it has more results waiting for this pool than it
 * may, or 64 such questions; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. */
MP_API mp_rc_t mp_pool_worker_stats(mp_pool_t *self, mp_worker_stat_t *out, size_t room,
                                    size_t *count, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
