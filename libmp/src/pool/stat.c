/* stat.c: what a pool is at. */
#include <mp/stat.h>

#include "clock.h"
#include "drive.h"
#include "fault.h"

#include <stdio.h>

/* Locks the pool, with what has happened so far taken in. */
static mp_rc_t enter(mp_pool_t *self)
{
    mp_rc_t rc = mpx_pool_check(self);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->lock);
    rc = self->backend ? mpx_pool_settle(self) : mpx_fault(MP_ECLOSED, "the pool is closed");
    if (rc != MP_OK)
        pthread_mutex_unlock(&self->lock);
    return rc;
}

mp_rc_t mp_pool_stat(mp_pool_t *self, mp_pool_stat_t *out)
{
    mpx_sched_counts_t counts;
    mp_rc_t rc = enter(self);
    if (rc != MP_OK)
        return rc;
    const mpx_backend_t *backend = self->backend;
    mpx_engine_counts(backend->engine, &counts);
    *out = (mp_pool_stat_t){
        .processes = backend->processes, .queued = counts.queued, .given = counts.given};
    backend->ops->stat(backend, out);
    pthread_mutex_unlock(&self->lock);
    return MP_OK;
}

static void describe(mp_task_stat_t *out, const char *name, const mpx_tally_t *tally)
{
    *out = (mp_task_stat_t){
        .ok = tally->ok,
        .failed = tally->failed,
        .crashed = tally->crashed,
        .timed_out = tally->timed_out,
        .cancelled = tally->cancelled,
        .other = tally->other,
        .busy = (double)tally->busy_ns / (double)MPX_S,
    };
    snprintf(out->name, sizeof out->name, "%s", name);
}

mp_rc_t mp_pool_task_stats(mp_pool_t *self, mp_task_stat_t *out, size_t room, size_t *count)
{
    const char *name;
    mpx_tally_t tally;
    mp_rc_t rc = enter(self);
    if (rc != MP_OK)
        return rc;
    for (*count = 0; mpx_engine_task_tally(self->backend->engine, *count, &name, &tally); ++*count)
        if (*count < room)
            describe(&out[*count], name, &tally);
    pthread_mutex_unlock(&self->lock);
    return MP_OK;
}

mp_rc_t mp_pool_worker_stats(mp_pool_t *self, mp_worker_stat_t *out, size_t room, size_t *count)
{
    mp_rc_t rc = enter(self);
    if (rc != MP_OK)
        return rc;
    const mpx_backend_t *backend = self->backend;
    if (backend->ops->worker_stats)
        *count = backend->ops->worker_stats(backend, mpx_now(), out, room);
    else
        rc = mpx_fault(MP_EINVAL, "the workers are a broker's: mp ping counts them");
    pthread_mutex_unlock(&self->lock);
    return rc;
}

mp_rc_t mp_pool_resize(mp_pool_t *self, int processes)
{
    if (processes < 1 || processes > MPX_PROCESSES_MAX)
        return mpx_fault(MP_EINVAL, "a pool can have 1 to %d processes, not %d", MPX_PROCESSES_MAX,
                         processes);
    mp_rc_t rc = enter(self);
    if (rc != MP_OK)
        return rc;
    mpx_backend_t *backend = self->backend;
    if (backend->ops->resize)
        rc = backend->ops->resize(backend, mpx_now(), (uint32_t)processes);
    else
        rc = mpx_fault(MP_EINVAL, "the workers are a broker's: start and stop mp-workers instead");
    mp_rc_t settled = mpx_pool_settle(self);
    pthread_mutex_unlock(&self->lock);
    return rc == MP_OK ? settled : rc;
}
