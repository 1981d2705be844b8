/* dead.h: dead letters: calls of kept jobs that have ended badly, kept by the broker with what they
 * were to do, so that they can be looked at, and run again when the cause is gone.
 *
 * A kept job leaves one for each call whose last attempt failed, crashed, ran out of time or could
 * not be run; not for cancelled ones. Nobody need be there to be told, and its outcome goes when it
 * has been taken or has expired: so these do by default, and don't with
 * mp_call_options_t.dead_letters = -1. A job that isn't kept has its client, which is given each
 * outcome and has the inputs: it leaves none, unless it asks for that by dead_letters = 1. The
 * broker keeps up to --dead-bytes of them; above that the oldest go. With a data directory they
 * survive its death. They are the job's owner's (kept.h): who comes by another key has none of
 * them, unless it has the role admin.
 *
 * Only over a broker; else MP_EINVAL. Threads and fork: as job.h.
 */
#ifndef MP_DEAD_H
#define MP_DEAD_H

#include <mp/kept.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_dead_letter {
    unsigned long long number;  /* rises */
    unsigned long long index;   /* of the call in its job */
    unsigned long long time_ms; /* when it ended, since 1970 */
    size_t input_bytes;
    mp_rc_t rc; /* how */
    int pid;
    int attempt;
    char job[MP_JOB_ID_MAX + 1]; /* id of the job, which may be gone */
    char label[128];
    char task[MP_TASK_NAME_MAX + 1];
    char message[256];                /* the beginning of it */
    char host[128];                   /* where the last attempt was; "" if there was none */
    char owner[MP_JOB_OWNER_MAX + 1]; /* of the job, see kept.h */
} mp_dead_letter_t;

/* Dead letters with numbers above `after`, the oldest first. task: only those; NULL: all.
 * out    up to `room` of them
 * count  how many were filled in; less than room: there are no more
 * MP_OK; MP_EINVAL; MP_ETIMEDOUT; MP_ELIMIT; MP_EPERM; MP_EBROKERLOST; MP_ECLOSED; MP_EFORKED;
 * MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_dead_list(mp_pool_t *pool, const char *task,
                                          unsigned long long after, mp_dead_letter_t *out,
                                          size_t room, size_t *count, int timeout_ms);

/* One of them, in full. */
typedef struct mp_dead_detail {
    mp_bytes_t input;
    mp_outcome_t outcome; /* how it ended; index, task and label are not filled in */
    void *memory;         /* of both */
} mp_dead_detail_t;

/* MP_OK, and mp_dead_detail_clear frees what is in out; MP_ENOTFOUND; the rest as mp_dead_list. */
MP_API MP_MUST_CHECK mp_rc_t mp_dead_show(mp_pool_t *pool, unsigned long long number,
                                          mp_dead_detail_t *out, int timeout_ms);
/* NULL-safe, idempotent. */
MP_API void mp_dead_detail_clear(mp_dead_detail_t *self);

/* Run dead letters again, as a new kept job, with limits and retries as the first one's job had
 * them; its id is written to `id`. The letters are gone then; who fails again comes back. numbers
 * which, in rising order, at most 4096; count 0: all task     only those of it; NULL: any, but all
 * must be of one task and owner, whose the job is, with the same needs and time limits, else
 * MP_EINVAL. MP_OK; MP_ENOTFOUND there are none; MP_EINVAL; MP_ELIMIT; MP_ENOSPACE; MP_EDRAINING;
 * the rest as mp_dead_list. */
MP_API MP_MUST_CHECK mp_rc_t mp_dead_requeue(mp_pool_t *pool, const char *task,
                                             const unsigned long long *numbers, size_t count,
                                             char id[MP_JOB_ID_MAX + 1], int timeout_ms);

/* Forget them. dropped: how many there were; NULL: not wanted. As mp_dead_requeue; there may be
 * none. */
MP_API MP_MUST_CHECK mp_rc_t mp_dead_drop(mp_pool_t *pool, const char *task,
                                          const unsigned long long *numbers, size_t count,
                                          size_t *dropped, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
