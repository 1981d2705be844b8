/* archive.h: jobs that the broker keeps for clients that come back, and dead letters.
 *
 *     client --JOB_KEEP JOB_PUT--> archive --> kept jobs --> engine
 *            <--JOB_GIVE---------- outcomes, in the order of calls, until they are freed
 *
 * A client has *handles* on jobs, named by its nonces, as long as its connection; a job outlives
 * them. What was asked is answered after the commit, and outcomes are given after theirs:
 *
 *     messages ... mpx_archive_flush, commit, mpx_archive_settle
 *
 * A job is its maker's: of the name of the key by which that came. Ids and keys are an owner's own,
 * and so are dead letters. For others there is no such thing, but for those with the role admin.
 *
 * Kept bytes are bounded: at the limit new jobs and inputs are refused, and the calls that were
 * accepted wait until outcomes have been fetched or have expired. Nothing is dropped but by time.
 */
#ifndef MPX_ARCHIVE_H
#define MPX_ARCHIVE_H

#include "engine.h"
#include "log.h"
#include "peer.h"
#include "store.h"

typedef struct mpx_archive mpx_archive_t;

typedef struct mpx_archive_options {
    mpx_engine_t *engine;
    mpx_store_t *store;  /* NULL: in memory */
    uint64_t kept_bytes; /* of all kept jobs */
    int keep_ms;         /* the most, and what a job has that doesn't ask */
    int wait_ms;         /* the most that calls wait for a first worker; 0: as long as they say */
    uint64_t dead_bytes; /* of dead letters; above it the oldest go */
    int return_ms;       /* how long a maker that was lost is waited for */
    mpx_log_t *log;
    mp_rc_t (*send)(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);
    /* The same at the cost of its credit for results; false: it has none left. */
    bool (*tell)(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);
} mpx_archive_options_t;

/* MP_OK; MP_ECORRUPT what is in the store doesn't fit; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_archive_new(const mpx_archive_options_t *options, int64_t now, mpx_archive_t **out);
/* What is in the store stays there. NULL-safe, idempotent. */
void mpx_archive_destroy(mpx_archive_t **self);

/* Whether a message of a client's is for the archive. */
bool mpx_archive_wants(mpx_op_t op);
/* MP_OK; a mistake that costs it the connection; MP_ENOMEM. */
mp_rc_t mpx_archive_message(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                            const mpx_header_t *header, mp_bytes_t payload);
/* Its roles have changed: handles on jobs that it may not see any more end. */
void mpx_archive_review(mpx_archive_t *self, mpx_peer_t *peer);
/* Its connection has ended, and so do its handles. */
void mpx_archive_gone(mpx_archive_t *self, mpx_peer_t *peer);

/* Put down what has changed, forget what has expired. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_archive_flush(mpx_archive_t *self, int64_t now);
/* What was put down is committed (MP_OK), or is not: answer. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_archive_settle(mpx_archive_t *self, int64_t now, mp_rc_t rc);
/* When mpx_archive_flush has something to do. */
int64_t mpx_archive_deadline(const mpx_archive_t *self);

/* From now on refuse new jobs and inputs with MP_EDRAINING. */
void mpx_archive_drain(mpx_archive_t *self);
/* Jobs on which a client that is connected has a handle, and whose calls have not all ended. */
uint64_t mpx_archive_open_jobs(const mpx_archive_t *self);

/* What is kept now. Ages by the clock of the day, which may jump. */
typedef struct mpx_archive_counts {
    uint64_t jobs;
    uint64_t bytes;
    int64_t oldest_ms; /* age of the oldest job; 0: there is none */
    bool held;         /* calls wait for room for their outcomes */
    uint64_t letters;
    uint64_t letters_bytes;
    int64_t letters_oldest_ms;
} mpx_archive_counts_t;
void mpx_archive_count(const mpx_archive_t *self, mpx_archive_counts_t *out);

/* Whether more inputs may come, from whoever can put them. */
typedef enum mpx_maker {
    MPX_MAKER_DONE, /* no: it has closed the job */
    MPX_MAKER_HERE,
    MPX_MAKER_AWAY, /* it is waited for */
    MPX_MAKER_GONE  /* no: it never closed the job */
} mpx_maker_t;

/* A job, for those who look. Valid during the visit. */
typedef struct mpx_kept_view {
    const char *id;
    const char *owner; /* "": its maker came without a key */
    uint64_t engine;   /* its number there */
    uint64_t calls;
    uint64_t ended;
    mpx_maker_t maker;
    int64_t maker_until; /* of one that is AWAY */
    bool is_used;        /* a client that is connected has a handle on it */
} mpx_kept_view_t;
/* Whether nothing of it runs, or will. */
bool mpx_kept_view_is_over(const mpx_kept_view_t *self);
/* NULL: somebody who is shown all. */
bool mpx_kept_view_shows(const mpx_kept_view_t *self, const mpx_peer_t *viewer);
void mpx_archive_each_job(const mpx_archive_t *self,
                          void (*visit)(void *arg, const mpx_kept_view_t *job), void *arg);

#endif
