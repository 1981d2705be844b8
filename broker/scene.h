/* scene.h: all of a broker, as those see it who describe it to people: facts.h, why.h and the
 * numbers for Prometheus. Looking costs a walk over all jobs and workers, and changes nothing. */
#ifndef MPX_SCENE_H
#define MPX_SCENE_H

#include "archive.h"
#include "keeper.h"
#include "ledger.h"
#include "metrics.h"
#include "peer.h"

typedef struct mpx_scene {
    int64_t now;
    int64_t started_at;
    const char *software;
    bool draining;
    uint64_t drain_jobs;   /* that this waits for, */
    int64_t drain_left_ms; /* so long at most */
    bool durable;          /* there is a data directory */
    uint32_t clients;
    uint32_t workers;
    uint32_t executors;
    mpx_turnover_t turnover; /* of executors */
    const mpx_engine_t *engine;
    const mpx_ledger_t *ledger;
    const mpx_keeper_t *keeper;
    const mpx_archive_t *archive;
    const mpx_peer_t *peers;
    mpx_metrics_t *metrics;
    const mpx_peer_t *viewer; /* who looks; NULL: somebody who is shown all */
} mpx_scene_t;

/* Whether who looks may see more of a client than that it counts: one of the same key, or an
 * admin. */
bool mpx_scene_shows(const mpx_scene_t *self, const mpx_account_t *account);

typedef enum mpx_worker_state {
    MPX_WORKER_SERVING,
    MPX_WORKER_PAUSED,
    MPX_WORKER_DRAINING,
    MPX_WORKER_STATES
} mpx_worker_state_t;
const char *mpx_worker_state_name(mpx_worker_state_t state);
mpx_worker_state_t mpx_scene_worker_state(const mpx_scene_t *self, uint64_t worker);

typedef struct mpx_totals {
    uint64_t jobs;
    uint64_t queued; /* delayed ones too */
    uint64_t delayed;
    uint64_t given;
    int64_t oldest_ns;        /* age of the oldest queued call; 0: none is */
    uint64_t submitted_bytes; /* of calls that aren't answered */
    uint64_t unacked_bytes;   /* of results that clients haven't taken */
    uint64_t held_clients;    /* that get no more for now, for that reason */
    uint64_t sessions;        /* of clients, kept or connected */
    uint64_t sessions_away;   /* of those: whose client is gone, for now */
    uint64_t worker_states[MPX_WORKER_STATES];
    uint64_t worker_bytes; /* at workers */
    uint64_t worker_credit_bytes;
    mpx_space_counts_t objects;
    mpx_archive_counts_t kept;
    uint64_t memory_bytes; /* resident; 0: unknown */
} mpx_totals_t;
/* Also fills in what of tasks is there now. */
void mpx_scene_total(const mpx_scene_t *self, mpx_totals_t *out);

/* A job, by what people know it by: a client's, or a kept one. */
typedef struct mpx_scene_job {
    const mpx_account_t *account; /* NULL: it is kept */
    uint64_t job;                 /* the client's number */
    mpx_kept_view_t kept;
    uint64_t engine;        /* ours */
    mpx_later_view_t later; /* calls that its client has, until their time comes */
} mpx_scene_job_t;
enum { MPX_SCENE_NAME_MAX = 96 };
/* CLIENT/JOB, or the id of a kept one, as mpx_why_tell takes it. */
void mpx_scene_job_name(const mpx_scene_job_t *self, char out[MPX_SCENE_NAME_MAX]);
/* Whether calls of it run, or may come to be. */
bool mpx_scene_job_is_open(const mpx_scene_job_t *self);
/* As mpx_scene_shows; a kept one is its owner's. */
bool mpx_scene_shows_job(const mpx_scene_t *self, const mpx_scene_job_t *job);
/* Valid during the visit, but for the id's sake until the archive is called. */
void mpx_scene_each_job(const mpx_scene_t *self,
                        void (*visit)(void *arg, const mpx_scene_job_t *job), void *arg);

/* Everything, for Prometheus. */
void mpx_scene_expose(const mpx_scene_t *self, mpx_exposition_t *out);

#endif
