/* relay.h: one peer's jobs, run on an engine.
 *
 * The peer opens jobs, submits chunks and gets results by messages: a client of the
 * broker, or the broker as mp-worker sees it. Chunks stay whole: the peer has cut them.
 *
 * Memory is bounded by the peer's credit: payload submitted and not yet answered
 * (submit_bytes; more is refused), and results sent and not yet acknowledged
 * (result_bytes; above it none of its chunks is given out until ACKs come).
 */
#ifndef MPX_RELAY_H
#define MPX_RELAY_H

#include "engine.h"
#include "explain.h"

typedef struct mpx_relay mpx_relay_t;

typedef struct mpx_relay_options {
    void *send_self;
    /* As mpx_transport_t.send, to the peer. */
    mp_rc_t (*send)(void *self, const mpx_header_t *header, mp_bytes_t payload);
    bool match;        /* as in mpx_job_spec_t */
    bool meet_here;    /* the same */
    uint64_t client;   /* the same */
    bool tell_started; /* forward STARTED */
    bool limit_here;   /* enforce the calls' run time limit on this engine */
    bool nested;       /* it is a call, and its jobs are calls of its own */
    int64_t wait_ns;   /* when the peer's OPEN doesn't say; 0: for ever */
    int64_t absent_ns;
    uint64_t submit_bytes; /* 0: no limit */
    uint64_t result_bytes; /* 0: no limit */
    uint32_t max_jobs;     /* open at once */
} mpx_relay_options_t;

mp_rc_t mpx_relay_new(mpx_engine_t *engine, const mpx_relay_options_t *options, mpx_relay_t **out);
/* Cancels the peer's jobs without telling it. NULL-safe, idempotent. */
void mpx_relay_destroy(mpx_relay_t **self, int64_t now);

/* OPEN, SUBMIT, LATER, RECALL, CANCEL, CLOSE or ACK from the peer. Mistakes about one job are
 * answered with an ERROR for it. MP_OK; MP_EPROTO or MP_ELIMIT with mp_errmsg(): the connection
 * must end; MP_ENOMEM. */
mp_rc_t mpx_relay_message(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                          mp_bytes_t payload);

/* A SUBMIT that was stored: its first calls were answered already. As mpx_relay_message. */
mp_rc_t mpx_relay_restore(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                          mp_bytes_t payload, uint32_t answered);
/* What a chunk's SUBMIT was, while it isn't answered in full; false: it is. */
bool mpx_relay_chunk(const mpx_relay_t *self, uint64_t chunk, mpx_header_t *header,
                     mp_bytes_t *payload);
/* The peer has a new connection, and so many bytes of results are to come by it. */
void mpx_relay_resume(mpx_relay_t *self, uint64_t unacked_bytes);

/* Send what was gathered since the last flush. Call it before sleeping. */
mp_rc_t mpx_relay_flush(mpx_relay_t *self, int64_t now);

/* Send the peer what is about none of its jobs, at the cost of its credit for results. false: it
 * has none left, and nothing was sent. */
bool mpx_relay_tell(mpx_relay_t *self, const mpx_header_t *header, mp_bytes_t payload);

/* Answer what no worker has begun with MP_EDRAINING, now and later: the peer gives it to others. */
mp_rc_t mpx_relay_give_back(mpx_relay_t *self, int64_t now);
/* End what is open: of each chunk the next call with rc and that message, which the peer is told,
 * the others are given back. */
mp_rc_t mpx_relay_fail(mpx_relay_t *self, int64_t now, mp_rc_t rc, const char *message);

/* From now on refuse OPEN with MP_EDRAINING. */
void mpx_relay_drain(mpx_relay_t *self);
/* Jobs opened and not yet closed. */
uint32_t mpx_relay_open_jobs(const mpx_relay_t *self);
/* Of these, those of which nothing was submitted yet: what there is waits for its time. */
uint32_t mpx_relay_waiting_jobs(const mpx_relay_t *self);
/* Each open job: the peer's number for it, the engine's, and its calls that the peer has yet to
 * submit when their time comes. */
void mpx_relay_each_job(const mpx_relay_t *self,
                        void (*visit)(void *arg, uint64_t job, uint64_t engine_job,
                                      const mpx_later_view_t *later),
                        void *arg);
typedef struct mpx_relay_load {
    uint64_t submitted_bytes; /* not answered yet */
    uint64_t unacked_bytes;
    uint64_t result_limit; /* of unacked_bytes; 0: none */
    bool held;             /* they are over it, and not below half of it again */
} mpx_relay_load_t;
mpx_relay_load_t mpx_relay_load(const mpx_relay_t *self);
/* Calls submitted and not yet answered. */
uint64_t mpx_relay_open_calls(const mpx_relay_t *self);
/* For tests: NULL when every invariant holds, else the one that doesn't. */
const char *mpx_relay_check(const mpx_relay_t *self);

#endif
