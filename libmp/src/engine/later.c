/* later.c: which calls wait for their time, told to a worker that wants to know: a broker, which
 * could not say what has become of them. */
#include "engine_private.h"

#include "clock.h"
#include "explain.h"

enum { JOBS_MAX = 1024 }; /* that are opened there for nothing else */

static bool is_told(const mpx_later_view_t *told, const mpx_later_view_t *later)
{
    return told->count == later->count && told->first == later->first &&
           told->attempt == later->attempt && told->at == later->at;
}

static uint32_t left_ms(int64_t now, int64_t at)
{
    int64_t left = at > now ? (at - now) / MPX_MS : 0;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

/* anew: the worker may have missed what it was told of the jobs that it knows. */
static mp_rc_t tell(mpx_engine_t *self, int64_t now, worker_t *worker, job_t *job, bool anew)
{
    mpx_later_view_t later = {0};
    (void)mpx_sched_view_later(self->sched, job->id, &later);
    bool knows = mpx_engine_knows(self, worker, job);
    if (is_told(&job->told, &later) && !(anew && knows))
        return MP_OK;
    if (!knows && HASH_COUNT(self->knows) >= JOBS_MAX)
        return MP_OK;
    mp_rc_t rc = mpx_engine_introduce(self, worker, job);
    if (rc != MP_OK)
        return rc;
    mpx_header_t header = {.op = MPX_OP_LATER,
                           .job = job->id,
                           .first = later.first,
                           .attempt = later.attempt,
                           .kind = later.of,
                           .bytes = later.count,
                           .code = later.code,
                           .deadline_ms = later.count ? left_ms(now, later.at) : 0};
    self->transport.send(self->transport.self, worker->id, &header, (mp_bytes_t){0});
    job->told = later;
    return MP_OK;
}

mp_rc_t mpx_engine_tell_later(mpx_engine_t *self, int64_t now, uint64_t id, bool anew)
{
    worker_t *worker = mpx_engine_find_worker(self, id);
    mp_rc_t rc = MP_OK;
    for (job_t *job = self->jobs; job && worker && rc == MP_OK; job = job->hh.next) {
        if (anew)
            job->told = (mpx_later_view_t){0};
        rc = tell(self, now, worker, job, anew);
    }
    return rc;
}
