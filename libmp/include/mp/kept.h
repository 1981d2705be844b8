/* kept.h: jobs that a broker keeps: their clients may go, and others come for the outcomes.
 *
 *     mp_call_options_t options = {.name = "night", .keep_ms = 8 * 3600 * 1000};
 *     mp_job_new(pool, &upper, &options, &job);      put inputs as ever, then
 *     mp_job_detach(&job, 10000);                    the program may end
 *
 *     mp_job_attach(pool, "night", 10000, &job);     any time later, anywhere
 *     while (mp_job_next(job, &outcome, -1) == MP_OK) use(outcome);
 *
 * The broker runs the calls, with their retries and limits, whether anybody is there or not. What
 * it has acknowledged survives its own death if it has a data directory. A job is kept until all of
 * its outcomes have been taken, or until nobody has come for keep_ms since its last call ended and
 * its last client left. A client that has it open, and takes nothing of it for the broker's
 * --keep-ms, doesn't keep it. Calls wait for a first worker for worker_wait_ms, by default and at
 * most for the broker's --kept-wait-ms, a week: then they end with MP_ENOWORKER. All jobs together
 * are bounded by the broker's --kept-bytes: at the limit inputs are refused with MP_ELIMIT, and
 * calls wait until outcomes are taken or expire. A job that has outcomes then, and for which nobody
 * comes for keep_ms, is given up: the rest of its calls end with MP_ELIMIT, not run, and leave dead
 * letters if its calls do, and it is forgotten. So does the rest of a job with a key, which frees
 * nothing when it is fetched; who has it open is told.
 *
 * mp_job_new of such a job waits for the broker, 10 s at most: MP_ETIMEDOUT, MP_ELIMIT,
 * MP_ENOSPACE, MP_EEXIST, MP_EDRAINING, MP_EPERM, MP_EBROKERLOST. Then there is no such job at the
 * broker; but if the connection was lost in these 10 s, an empty one may be there until it expires.
 * It is in nobody's way: mp_job_new with the same options on the same pool, as its next, is that
 * job, and another one takes its place once its maker isn't waited for any more (the broker's
 * --session-ms).
 *
 * Outcomes come in the order of inputs, whatever `unordered` says, and `window` is not looked at.
 * They count as taken when mp_job_next has said MP_EOF, by mp_job_settle and mp_job_detach, and
 * some when it is called again; what doesn't when a client ends, or is killed, is given again, to
 * the next one. One client at a time takes: when another one begins to, the first gets MP_ESTATE.
 *
 * mp_job_cancel ends the calls that the broker has; inputs that were not sent yet are no calls.
 * mp_job_destroy leaves a job that has a name, a key or a keep_ms as it is at the broker.
 *
 * delay_ms and deadline_ms of a call count from when the broker has its input, by the broker's
 * clock. While it is down they go on by the time of day; if that was set back, they may begin anew.
 *
 * What calls write is told, if the job was made with `output`, to the clients that have it open
 * with `output`, while they are connected. It is not kept: of what nobody has heard only the number
 * of bytes is, which the next one is told in lost_bytes. The last words of a call that failed are
 * in its outcome.
 *
 * Calls that end badly leave dead letters, unless dead_letters is -1: see dead.h.
 *
 * Keys: a job that is made with a key that is in use is that job. Its inputs must be the same, as
 * far as both go, or it is MP_EEXIST; calls run once, and each client gets all outcomes, which are
 * kept until keep_ms have passed. So a submit may be repeated when it isn't known whether it was
 * had.
 *
 * A job is its owner's: of the name of the key (MP_KEY_FILE) by which its maker came. Who comes by
 * another key finds no such job, and may have one of the same id or key; but one with the role
 * admin finds all: by ID, if there is one of that id, or by OWNER/ID. Those who came without a key,
 * as a broker without keys has them all, and the broker's own user with a lane, share their jobs
 * (/ID).
 *
 * Only over a broker; else MP_EINVAL. Threads and fork: as job.h.
 */
#ifndef MP_KEPT_H
#define MP_KEPT_H

#include <mp/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An id has 1 to 64 letters, digits, and any of ._:- (no dash first). */
#define MP_JOB_ID_MAX    64
#define MP_JOB_KEY_MAX   255
/* The name of a key, as the broker's list has it. */
#define MP_JOB_OWNER_MAX 63

typedef struct mp_job_info {
    unsigned long long number;     /* rises with each job of a broker */
    unsigned long long calls;      /* put so far */
    unsigned long long ended;      /* of these: that have an outcome */
    unsigned long long failed;     /* of these: that aren't MP_OK */
    unsigned long long taken;      /* outcomes that are gone */
    unsigned long long bytes;      /* that it takes at the broker */
    unsigned long long created_ms; /* since 1970 */
    unsigned long long left_ms;    /* until it is forgotten; 0: not yet known */
    int closed;                    /* no more calls are taken */
    int complete;                  /* its maker has closed it: it has all that were to come */
    int open;                      /* its maker, or who has its key, may put more: it is there, or
                                      is waited for. Neither of the two: it is unfinished */
    int cancelled;
    int clients; /* that have it open */
    char id[MP_JOB_ID_MAX + 1];
    char key[MP_JOB_KEY_MAX + 1]; /* "": none */
    char task[MP_TASK_NAME_MAX + 1];
    char label[128];
    char owner[MP_JOB_OWNER_MAX + 1]; /* the name of the key that made it; "": it came without */
} mp_job_info_t;

/* The id of a kept job; "" of any other. Valid as long as the job. */
MP_API const char *mp_job_id(const mp_job_t *self);

/* Close the job, wait until the broker has all of it (on its disk, if it has a data directory), and
 * free it; the calls go on. On failure it is still the caller's. MP_OK, and *self is NULL;
 * MP_ESTATE it isn't kept; MP_ETIMEDOUT; MP_ELIMIT, MP_ENOSPACE, MP_EEXIST, MP_EDRAINING from the
 * broker; MP_EBROKERLOST; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_detach(mp_job_t **self, int timeout_ms);

/* Come back to a job by its id, or OWNER/ID. It takes no inputs; mp_job_next hands out what was not
 * taken yet, or waits for it; mp_job_cancel ends it. MP_OK; MP_ENOTFOUND; MP_EINVAL no broker's, or
 * not an id, or for an admin more than one owner's; MP_ETIMEDOUT; MP_EPERM; MP_ELIMIT;
 * MP_EBROKERLOST; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_attach(mp_pool_t *pool, const char *id, int timeout_ms,
                                           mp_job_t **out);
/* The same with options, of which `output`, `output_arg` and `label` count; the others are as the
 * job was made. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_attach_with(mp_pool_t *pool, const char *id,
                                                const mp_call_options_t *options, int timeout_ms,
                                                mp_job_t **out);

/* All outcomes that mp_job_next has handed out are not to be given again; waits until the broker
 * says so. MP_OK; MP_ESTATE it isn't kept; MP_ETIMEDOUT; MP_EBROKERLOST; MP_ECLOSED; MP_EFORKED. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_settle(mp_job_t *self, int timeout_ms);

/* Wait until all calls of a kept job have ended, without taking anything.
 * MP_OK, and out, unless it is NULL; MP_ENOTFOUND it is not kept any more; the rest as
 * mp_job_settle. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_wait(mp_job_t *self, mp_job_info_t *out, int timeout_ms);

/* What the broker has of a kept job just now, when it has taken all that was put here. MP_OK, and
 * out; MP_ENOTFOUND it is not kept any more; the rest as mp_job_settle. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_look(mp_job_t *self, mp_job_info_t *out, int timeout_ms);

/* End a kept job's calls, and forget it and its outcomes, for everybody. Frees it on success. As
 * mp_job_settle. */
MP_API MP_MUST_CHECK mp_rc_t mp_job_drop(mp_job_t **self, int timeout_ms);

/* The jobs that the pool's broker keeps for its key (all, if that has the role admin), with numbers
 * above `after`, the oldest first. out    up to `room` of them count  how many were filled in; less
 * than room: there are no more MP_OK; MP_EINVAL no broker's; MP_ETIMEDOUT; MP_ELIMIT;
 * MP_EBROKERLOST; MP_ECLOSED; MP_EFORKED; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_pool_kept_jobs(mp_pool_t *self, unsigned long long after,
                                               mp_job_info_t *out, size_t room, size_t *count,
                                               int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
