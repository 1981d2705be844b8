/* engine_private.h: what the engine knows. Only for engine.c, which decides and acts, and news.c,
 * which reads what workers say. */
#ifndef MPX_ENGINE_PRIVATE_H
#define MPX_ENGINE_PRIVATE_H

#include "engine.h"
#include "explain.h"
#include "offers.h"

#include <string.h>

/* Every key is one id of 64 bits, or two. */
static inline unsigned hash_ids(const void *key, size_t size)
{
    uint64_t ids[2] = {0};
    memcpy(ids, key, size < sizeof ids ? size : sizeof ids);
    uint64_t mixed =
        (ids[0] * UINT64_C(0x9E3779B97F4A7C15)) ^ (ids[1] * UINT64_C(0xC2B2AE3D27D4EB4F));
    return (unsigned)(mixed >> 32);
}
#define HASH_FUNCTION(key, size, hash) ((hash) = hash_ids(key, size))

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* That a worker knows a job: it was sent the OPEN, and is owed a CLOSE. */
typedef struct knows {
    struct knows_key {
        uint64_t worker;
        uint64_t job;
    } key;
    struct knows *worker_next, *worker_prev; /* others of the worker */
    struct knows *job_next, *job_prev;       /* others of the job */
    bool unlisted;
    UT_hash_handle hh;
} knows_t;

typedef struct worker {
    uint64_t id;
    mpx_tally_t tally;
    knows_t *knows;
    bool unlisted;
    UT_hash_handle hh;
} worker_t;

typedef struct job {
    uint64_t id;
    const mpx_job_hooks_t *hooks;
    void *hooks_self;
    mpx_job_spec_t spec; /* its strings are this struct's */
    mpx_tally_t *tally;  /* of its task; NULL: not counted */
    void *watched;       /* what the watcher calls it */
    knows_t *knows;
    mpx_later_view_t told; /* by mpx_engine_tell_later */
    bool unlisted;
    UT_hash_handle hh;
} job_t;

struct mpx_engine {
    mpx_transport_t transport;
    char *local_host;
    mpx_sched_t *sched;
    mpx_offers_t *offers;
    worker_t *workers;
    mpx_tallies_t *tallies;
    mpx_watcher_t watcher; /* self NULL: there is none */
    job_t *jobs;
    knows_t *knows;
    uint64_t last_job;
    int64_t bound;          /* no call that is put has a later deadline */
    int64_t now;            /* of the event that is dealt with */
    const mpx_loss_t *loss; /* while a loss is dealt with */
    const char *message;    /* while a job is failed with words of the caller */
    mpx_buf_t scratch;      /* packed bodies */
};

/* NULL: there is none of that number. */
worker_t *mpx_engine_find_worker(const mpx_engine_t *self, uint64_t id);
job_t *mpx_engine_find_job(const mpx_engine_t *self, uint64_t id);
bool mpx_engine_knows(const mpx_engine_t *self, const worker_t *worker, const job_t *job);
/* Send the OPEN, once for each worker and job. */
mp_rc_t mpx_engine_introduce(mpx_engine_t *self, worker_t *worker, job_t *job);
void mpx_engine_forget_knows(mpx_engine_t *self, knows_t *knows, worker_t *worker, job_t *job);
void mpx_engine_count(const mpx_engine_t *self, const job_t *job, uint64_t worker, mp_rc_t rc,
                      uint32_t n, int64_t busy_ns);
/* Every event: the scheduler's verdict first, then what follows from it. */
mp_rc_t mpx_engine_settle(mpx_engine_t *self, mp_rc_t rc);

#endif
