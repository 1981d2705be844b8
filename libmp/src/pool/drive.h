/* drive.h: the inside of a pool: one lock, and one thread at a time that waits for news.
 *
 * Whoever waits for something takes the driver's seat if it is free: it leaves the lock,
 * sleeps on the backend's descriptor, comes back and handles what there is, for all jobs.
 * Others wait on a condition until something has moved, and one of them takes over when
 * the driver has what it wanted. So a lone thread pays no hop through another one. Only
 * a pool with results has a thread that drives when nobody waits.
 */
#ifndef MPX_DRIVE_H
#define MPX_DRIVE_H

#include "backend.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct mp_pool {
    pthread_mutex_t lock;
    pthread_cond_t moved;   /* monotonic clock */
    mpx_backend_t *backend; /* NULL once the pool is destroyed */
    struct mp_job *jobs;    /* those made by mp_job_new */
    unsigned users;         /* the caller's handle and those jobs */
    bool driven;            /* a thread sleeps on the backend's descriptor */
    bool driver_waits;      /* for something of its own, as the mover doesn't */
    bool rung;              /* the mover was woken, and has not come yet */
    bool unsettled;         /* the mover is to settle what a burst of calls has left, in a moment */
    int64_t woken_at;       /* when workers were last woken for a burst of calls */
    _Atomic int64_t burst_at; /* when its last call was begun */
    int64_t driven_until;
    int kick_fd;         /* eventfd that wakes it; forked children have none of these three */
    int watch_fd;        /* epoll for mp_job_fileno, made when first asked for; -1 */
    int timer_fd;        /* the backend's deadline, for watch_fd; -1 */
    int64_t timer_at;    /* what it is set to */
    uint64_t generation; /* of the process that made it, see forkguard.h */
    mpx_buf_t unsure;    /* the JOB_KEEP of a named job that got no answer, see deposit.c */
    uint64_t unsure_token;
    bool closed;
    bool nested; /* a call's: nobody ends it */
    /* results, and their threads: see helpers.h */
    struct mpx_calls *streams;
    struct mp_result *over_results; /* ready, to be tidied up after */
    struct mp_result *due_results;  /* their callbacks are due */
    struct mp_result *told_results; /* open maps whose progress somebody wants to know */
    struct mp_result *called;       /* whose function runs right now */
    size_t open_results;
    pthread_cond_t seat; /* the mover waits here */
    pthread_cond_t due;  /* the caller waits here */
    pthread_t caller_thread;
    bool mover, caller; /* the threads are there */
    bool stopping;
};

/* In a burst of calls workers are woken that often at most: to wake one costs more than a tiny
 * call, and a worker lets its results wait as long for company. */
enum { MPX_BURST_NS = 100000 };

/* Who wants to know how far a map is is told so often at most. */
enum { MPX_PROGRESS_MS = 100 };

enum { MPX_PROCESSES_MAX = 100000 };

/* MP_EFORKED unless this process made the pool. Needs no lock. */
mp_rc_t mpx_pool_check(const mp_pool_t *self);

/* A pool that nobody ends, around a backend that is ready. NULL: no memory, or descriptor. */
mp_pool_t *mpx_pool_wrap(mpx_backend_t *backend);

/* The functions below are called with the lock held. */

/* Handle everything that is there now, and leave the backend ready to wake a sleeper. To be
 * called after each change to the engine, before the lock is released. */
mp_rc_t mpx_pool_settle(mp_pool_t *self);

/* The same for one of many changes in a row, when there is a mover: nobody may be woken by the
 * backend until the mover has settled, a moment after the first of them. */
mp_rc_t mpx_pool_settle_soon(mp_pool_t *self);

/* Drive, or wait for the driver, until ready(arg). MP_OK; MP_ETIMEDOUT; MP_ENOMEM;
 * MP_ESYSTEM; MP_ECLOSED the pool was destroyed. */
mp_rc_t mpx_pool_wait(mp_pool_t *self, bool (*ready)(const void *), const void *arg,
                      int64_t deadline);

/* Sleep once on the backend's descriptor, for nothing of one's own, and settle what there is. */
mp_rc_t mpx_pool_drive(mp_pool_t *self);
/* Wake the driver. */
void mpx_pool_kick(const mp_pool_t *self);

/* A descriptor that wakes a poll loop of the caller's. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_pool_watch(mp_pool_t *self);

enum { MPX_SIGNATURE_MAX = 512 };

/* Whether the job is to be kept by the broker. */
bool mpx_call_options_keep(const mp_call_options_t *options);
/* What the options say of a job; its strings are the task's, the options' and `signature`. MP_OK;
 * MP_EINVAL; MP_ECLOSED. */
mp_rc_t mpx_pool_job_spec(const mp_pool_t *self, const mp_task_t *task,
                          const mp_call_options_t *options, char signature[MPX_SIGNATURE_MAX],
                          mpx_job_spec_t *out);
/* Open a job on the backend's engine as the options say. */
mp_rc_t mpx_pool_job_open(mp_pool_t *self, const mp_task_t *task, const mp_call_options_t *options,
                          const mpx_job_hooks_t *hooks, void *hooks_self, uint64_t *out);

/* One user less; frees the pool with its last. Releases the lock. */
void mpx_pool_leave(mp_pool_t *self);

/* The engine's job for mp_job_new's jobs: hold or release it as its window says. */
void mpx_job_balance(struct mp_job *self, int64_t now);
struct mp_job *mpx_job_next(const struct mp_job *self);
/* Whether inputs have no outcome. */
bool mpx_job_open_calls(const struct mp_job *self);

#endif
