/* broker.h: what a client can ask of a broker without a pool. */
#ifndef MP_BROKER_H
#define MP_BROKER_H

#include <mp/error.h>
#include <mp/tree.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_broker_info {
    char version[32]; /* of its software */
    uint64_t uptime_ms;
    uint32_t workers;       /* connected mp-worker processes */
    uint32_t executors;     /* processes under them */
    uint32_t clients;       /* this one included */
    uint64_t calls_queued;  /* waiting for a worker */
    uint64_t calls_running; /* given to one */
    uint64_t round_trip_us; /* of this question */
    bool draining;          /* it shuts down: */
    uint64_t open_jobs;     /* when these are over, the jobs of clients that are connected, */
    uint64_t drain_ms;      /* or then. Both 0 while it doesn't */
} mp_broker_info_t;

/* Ask a broker how it is.
 * out  may be NULL when only the answer counts.
 * MP_OK; MP_EINVAL bad endpoint; MP_ECONNECT nobody, or no broker of ours, answered
 * within timeout_ms (-1 waits for ever), or at once: its host's name has no address; MP_EVERSION;
 * MP_EPROTO; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_broker_ping(const char *endpoint, int timeout_ms,
                                            mp_broker_info_t *out);

/* All that a broker knows of itself, its workers, tasks, clients and jobs: a dict, whose keys are
 * in mp-stat(1), to be destroyed by the caller. Its workers are asked for their memory; those that
 * don't answer within two seconds have none.
 * As mp_broker_ping; MP_ELIMIT it may not send so much at once (--result-bytes). */
MP_API MP_MUST_CHECK mp_rc_t mp_broker_stat(const char *endpoint, int timeout_ms, mp_tree_t **out);

/* Why calls don't run: a list of dicts, one for each job, whose keys are in mp-why(1).
 * what  "CLIENT/JOB" or "CLIENT/JOB/CALL", by the numbers that mp_broker_stat gives; "ID" or
 *       "ID/CALL" of a kept job; the label of jobs; NULL or "": all jobs that have calls waiting,
 * up to 100 As mp_broker_stat; MP_ENOTFOUND there is no such open job. */
MP_API MP_MUST_CHECK mp_rc_t mp_broker_why(const char *endpoint, const char *what, int timeout_ms,
                                           mp_tree_t **out);

/* Have the workers of that name drain and end, as SIGTERM does: they finish what they run, and give
 * back what they have not begun.
 * worker  the name given by mp-worker --name, or HOST:PID
 * count   how many there are; NULL: not wanted
 * MP_OK they were told; MP_ENOTFOUND there is none, with those that there are in mp_errmsg();
 * MP_EPERM; and as mp_broker_ping. */
MP_API mp_rc_t mp_broker_dismiss(const char *endpoint, const char *worker, int timeout_ms,
                                 int *count);

#ifdef __cplusplus
}
#endif

#endif
