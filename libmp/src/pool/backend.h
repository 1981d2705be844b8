/* backend.h: where a pool's calls run: an engine with something to drive it.
 *
 * Four kinds: local.c (executors of this host), remote.c (a broker), nested.c (the executors that
 * this one is among) and threads.c (this process, whose calls may run in `turn` itself). The pool
 * calls them under its lock; else none of the functions blocks.
 */
#ifndef MPX_BACKEND_H
#define MPX_BACKEND_H

#include "engine.h"
#include <mp/pool.h>
#include <mp/stat.h>
#include <stdbool.h>

struct mpx_shipment;

typedef struct mpx_backend mpx_backend_t;

/* To workers elsewhere: what they are at. Its owner waits until it is over. */
typedef struct mpx_question {
    uint64_t nonce;
    bool over;
    mp_rc_t rc; /* once it is over */
    mp_worker_stat_t *entries;
    size_t room;  /* for entries */
    size_t count; /* how many there are */
    struct mpx_question *prev, *next;
} mpx_question_t;

/* What somebody has to do with jobs that a broker keeps: whoever it is gets the answers with its
 * nonce, and is told when the broker has come or is gone, which forgets what was asked. */
typedef struct mpx_errand {
    uint64_t nonce; /* given by errand_begin */
    void (*on_message)(struct mpx_errand *self, const mpx_header_t *header, mp_bytes_t payload);
    /* rc: MP_OK it has come; MP_EBROKERLOST it is gone for now; else why it is for good. */
    void (*on_link)(struct mpx_errand *self, mp_rc_t rc);
    struct mpx_errand *prev, *next;
} mpx_errand_t;

typedef struct mpx_backend_ops {
    /* Take all events that there are and do what is due. */
    mp_rc_t (*turn)(mpx_backend_t *self, int64_t now);
    /* Wake the workers that were sent something; to be called before sleeping. NULL: they are
     * awake. */
    void (*wake)(mpx_backend_t *self);
    /* Arrange to be woken through fd; false: there is something to do first. */
    bool (*may_sleep)(mpx_backend_t *self);
    int (*fd)(const mpx_backend_t *self);
    int64_t (*deadline)(const mpx_backend_t *self);
    void (*destroy)(mpx_backend_t *self);
    /* NULL: its workers are elsewhere. */
    mp_rc_t (*resize)(mpx_backend_t *self, int64_t now, uint32_t processes);
    /* Whether inputs and results of such calls are used where they are, see depot.h; NULL: never.
     */
    bool (*in_place)(const void *in, size_t in_bytes, const void *out, size_t out_bytes,
                     size_t calls);
    /* Fill in what is known of workers. */
    void (*stat)(const mpx_backend_t *self, mp_pool_stat_t *out);
    /* NULL: they are elsewhere, and have to be asked. */
    size_t (*worker_stats)(const mpx_backend_t *self, int64_t now, mp_worker_stat_t *out,
                           size_t room);
    /* Ask for them, and forget that; `question` must stay until one of them. NULL: can't be. */
    mp_rc_t (*ask)(mpx_backend_t *self, mpx_question_t *question);
    void (*withdraw)(mpx_backend_t *self, mpx_question_t *question);
    /* Begin an errand, which must stay until it is ended; if the broker is there on_link says so at
     * once. NULL: there is no broker. */
    void (*errand_begin)(mpx_backend_t *self, mpx_errand_t *errand);
    void (*errand_end)(mpx_backend_t *self, mpx_errand_t *errand);
    /* Of an errand: MP_OK; MP_ECLOSED the broker isn't there; MP_ETOOLARGE; MP_ENOMEM. */
    mp_rc_t (*errand_send)(mpx_backend_t *self, const mpx_header_t *header, mp_bytes_t payload);
    /* Ship a module, which is the backend's from now on, to workers elsewhere. NULL: they are here.
     */
    mp_rc_t (*ship)(mpx_backend_t *self, struct mpx_shipment *shipment);
} mpx_backend_ops_t;

struct mpx_backend {
    const mpx_backend_ops_t *ops;
    mpx_engine_t *engine;
    bool limits_here; /* run time limits are enforced by this engine */
    bool matches;     /* its workers are looked at for what calls need */
    bool meets_here;  /* by this engine */
    bool own_output;  /* calls write to this process's stdout and stderr: nobody can be told */
    int priority;     /* added to that of each job */
    bool ready;       /* workers are up, or the broker has answered */
    int processes;    /* workers, as far as is known */
    mp_rc_t failed;   /* it can't work any more, and why */
    char problem[512];
};

mp_rc_t mpx_local_new(const mp_pool_options_t *options, mpx_backend_t **out);
mp_rc_t mpx_threads_new(const mp_pool_options_t *options, mpx_backend_t **out);
mp_rc_t mpx_remote_new(const char *endpoint, const mp_pool_options_t *options, mpx_backend_t **out);

void mpx_pool_stat_turnover(mp_pool_stat_t *out, const mpx_turnover_t *turnover);
void mpx_worker_stat_fill(mp_worker_stat_t *out, const mpx_executor_stat_t *stat);

/* Give up: every open call ends with rc. */
mp_rc_t mpx_backend_fail(mpx_backend_t *self, int64_t now, mp_rc_t why, mp_rc_t rc,
                         const char *problem);

#endif
