/* kept_job.h: one job that the broker keeps: its inputs, its calls on the engine, its outcomes.
 *
 *     put -> batches -> engine -> outcomes -> gather ... freed
 *
 * Calls are numbered from 0. A batch is the inputs of one message; it goes when all of its calls
 * have ended. What is put again is compared, and passed over. Nothing here knows who asks, or the
 * disk.
 */
#ifndef MPX_KEPT_JOB_H
#define MPX_KEPT_JOB_H

#include "cert.h"
#include "engine.h"
#include "job_body.h"

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct mpx_kept_job mpx_kept_job_t;

/* Bytes of all kept jobs together. */
typedef struct mpx_kept_totals {
    uint64_t bytes;   /* all */
    uint64_t inputs;  /* of these: inputs whose calls have not all ended */
    uint64_t records; /* of these: outcomes, which can be fetched */
} mpx_kept_totals_t;

typedef struct mpx_kept_batch {
    struct mpx_kept_batch *prev, *next;
    mpx_kept_job_t *job;
    uint64_t first;
    uint32_t count;
    uint32_t open; /* calls that have not ended */
    uint32_t item_bytes;
    uint64_t put_ms;     /* when it came; of the Unix epoch */
    uint32_t seek_index; /* where the last item that was looked for is: items have no places */
    size_t seek_offset;
    size_t size;
    unsigned char payload[]; /* as it came */
} mpx_kept_batch_t;

typedef struct mpx_kept_call {
    uint64_t hash; /* of its input */
    uint32_t size; /* of its input */
    uint32_t record_size;
    unsigned char *record; /* packed, once it has ended and until it is freed */
    bool ended;
} mpx_kept_call_t;

/* All are called from inside the engine, which must not be called back. */
typedef struct mpx_kept_hooks {
    void *self;
    /* A call has written something: an OUTPUT, not looked at yet. */
    void (*said)(void *self, mpx_kept_job_t *job, const mpx_header_t *header, mp_bytes_t payload);
    /* A call has ended. */
    void (*ended)(void *self, const mpx_kept_batch_t *batch, uint64_t index, mp_bytes_t input,
                  const mpx_record_t *record);
    /* All calls of a batch have; it is about to go. */
    void (*emptied)(void *self, const mpx_kept_batch_t *batch);
} mpx_kept_hooks_t;

/* What for, while its time runs. */
typedef enum mpx_kept_wait {
    MPX_WAITS_NOT,
    MPX_WAITS_FOR_CLIENT, /* all calls have ended, and outcomes may be fetched */
    MPX_WAITS_FOR_ROOM    /* calls are held, and nobody makes room of its outcomes */
} mpx_kept_wait_t;

struct mpx_kept_job {
    uint64_t number;
    uint64_t created_ms;              /* of the Unix epoch */
    char owner[MPX_KEY_NAME_MAX + 1]; /* the name of the key that made it; "": it had none */
    char *owned_id;                   /* its owner's: OWNER/ID, as others may have one of that id */
    char *owned_key;
    mpx_keep_t keep; /* how it was asked for; strings and bytes are its own */
    void *keep_arena;
    mpx_open_t open;
    void *open_arena;
    mpx_engine_t *engine;
    uint64_t engine_id;
    const mpx_kept_hooks_t *hooks;
    mpx_kept_totals_t *totals;
    mpx_kept_batch_t *batches;
    mpx_kept_call_t *calls;
    uint64_t count; /* of calls */
    uint64_t room;
    uint64_t ended;
    uint64_t failed;
    uint64_t freed; /* outcomes before this one are gone */
    uint64_t bytes;
    bool closed;   /* it takes no more calls */
    bool complete; /* its maker has closed it: it has all that were meant */
    bool cancelled;
    mp_rc_t trouble; /* an outcome could not be kept */

    /* the archive's */
    struct mpx_handle *handles;
    struct mpx_handle *taker; /* who takes outcomes, of a job without a key */
    uint64_t unheard_bytes;   /* of its calls' output, since somebody heard of it */
    mpx_kept_wait_t waits;
    int64_t until;       /* then it is forgotten, or given up for want of room */
    bool maker_is_away;  /* it isn't closed, and who can put more may come back */
    int64_t maker_until; /* until then */
    bool is_left;        /* it isn't closed, and who can put more has gone for good */
    bool head_changed;   /* since it was put down */
    bool touched;
    bool unlisted;
    UT_hash_handle by_id;
    UT_hash_handle by_key;
    struct mpx_kept_job *prev, *next;                 /* all of them */
    struct mpx_kept_job *touched_prev, *touched_next; /* those to be looked at */
};

/* How many bytes a job, a batch and a call cost beyond what is in them. */
enum { MPX_KEPT_JOB_COST = 2048, MPX_KEPT_BATCH_COST = 128, MPX_KEPT_RECORD_COST = 16 };

/* How long its calls wait for a worker. */
typedef struct mpx_kept_patience {
    int64_t wait_ns;   /* at the most, while there is none at all; 0: as long as it says */
    int64_t absent_ns; /* while there are some, of other tasks */
} mpx_kept_patience_t;

/* owner  the name of the key by which its maker came; "": it had none
 * body   a Keep
 * MP_OK; MP_EPROTO; MP_ENOMEM; MP_EINVAL the engine's. */
mp_rc_t mpx_kept_job_new(mpx_engine_t *engine, const mpx_kept_hooks_t *hooks,
                         mpx_kept_totals_t *totals, const char *owner, mp_bytes_t body, int64_t now,
                         mpx_kept_patience_t patience, mpx_kept_job_t **out);
/* Its calls on the engine are dropped. */
void mpx_kept_job_free(mpx_kept_job_t *self, int64_t now);

/* Whether it is shared: every one with its key gets all of its outcomes. */
bool mpx_kept_job_shared(const mpx_kept_job_t *self);

/* Inputs from call `first` on. Of those that are there already only the others count.
 * unix_ms  the time of day: their delay and deadline count from it if they are loaded again
 * added    the batch of new ones, or NULL
 * MP_OK; MP_EPROTO a gap, or a payload that isn't what is said; MP_EEXIST they differ from those
 * that are there, or it is closed; MP_ENOMEM. */
mp_rc_t mpx_kept_job_put(mpx_kept_job_t *self, int64_t now, uint64_t unix_ms,
                         const mpx_header_t *header, mp_bytes_t payload, mpx_kept_batch_t **added);
/* It has so many calls, and is complete. MP_OK; MP_EEXIST it has others. */
mp_rc_t mpx_kept_job_close(mpx_kept_job_t *self, uint64_t count);
mp_rc_t mpx_kept_job_cancel(mpx_kept_job_t *self, int64_t now);
/* Its open calls end with that, and no more can come. */
mp_rc_t mpx_kept_job_fail(mpx_kept_job_t *self, int64_t now, mp_rc_t rc, const char *words);
/* Whether a worker has calls of it. */
bool mpx_kept_job_runs(const mpx_kept_job_t *self);

/* Append records of outcomes from `first` on that are there, one after another, at least one and up
 * to so many bytes; *count may be 0. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_kept_job_gather(const mpx_kept_job_t *self, uint64_t first, uint64_t max_bytes,
                            mpx_buf_t *out, uint32_t *count);
/* Outcomes before `first` are not wanted any more; those that aren't there stay. */
void mpx_kept_job_release(mpx_kept_job_t *self, uint64_t first);

/* From a disk, before it is begun: the counts, all inputs, then all outcomes. MP_OK; MP_ECORRUPT;
 * MP_ENOMEM. */
mp_rc_t mpx_kept_job_load_counts(mpx_kept_job_t *self, uint64_t count, uint64_t freed);
mp_rc_t mpx_kept_job_load_batch(mpx_kept_job_t *self, uint64_t put_ms, const mpx_header_t *header,
                                mp_bytes_t payload);
mp_rc_t mpx_kept_job_load_outcome(mpx_kept_job_t *self, uint64_t index, uint64_t hash,
                                  uint32_t size, mp_bytes_t record);
/* Give the engine what has no outcome. What has passed of a delay or deadline meanwhile the time of
 * day says; if that lies before the put they begin anew. */
mp_rc_t mpx_kept_job_begin(mpx_kept_job_t *self, int64_t now, uint64_t unix_ms);

#endif
