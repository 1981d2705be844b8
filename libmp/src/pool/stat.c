/* stat.c: what a pool is at. */
#include <mp/stat.h>

#include "clock.h"
#include "drive.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void mpx_pool_stat_turnover(mp_pool_stat_t *out, const mpx_turnover_t *turnover)
{
#define SET(field) out->field = turnover->field;
    MPX_TURNOVER_FIELDS(SET)
#undef SET
}

void mpx_worker_stat_fill(mp_worker_stat_t *out, const mpx_executor_stat_t *stat)
{
    *out = (mp_worker_stat_t){
        .id = stat->session << 32 | (stat->id & UINT32_MAX),
        .pid = (int)stat->pid,
        .given = (int)stat->given,
        .calls = stat->calls,
        .start = (double)stat->start_ns / (double)MPX_S,
        .init = (double)stat->init_ns / (double)MPX_S,
        .working = (double)stat->working_ns / (double)MPX_S,
        .waiting = (double)stat->waiting_ns / (double)MPX_S,
        .memory_bytes = (size_t)stat->memory_bytes,
    };
    snprintf(out->host, sizeof out->host, "%s", stat->host);
    snprintf(out->group, sizeof out->group, "%s", stat->worker);
}

static bool is_over(const void *question)
{
    return ((const mpx_question_t *)question)->over;
}

static mp_rc_t explain(mp_rc_t rc)
{
    switch (rc) {
    case MP_OK:
    case MP_ECLOSED:
        return rc;
    case MP_ETIMEDOUT:
        return mpx_fault(rc, "the broker has not answered in time");
    case MP_ELIMIT:
        return mpx_fault(rc, "the broker can't tell all: too many results, or questions, are open");
    default:
        return mpx_fault(rc, "the broker was lost before it answered");
    }
}

/* With the lock, which is left while it waits. */
static mp_rc_t ask(mp_pool_t *self, mpx_question_t *question, int64_t deadline)
{
    mp_rc_t rc = self->backend->ops->ask(self->backend, question);
    if (rc != MP_OK)
        return rc;
    rc = mpx_pool_wait(self, is_over, question, deadline);
    if (self->backend)
        self->backend->ops->withdraw(self->backend, question);
    return explain(rc == MP_OK ? question->rc : rc);
}

static mp_rc_t ask_elsewhere(mp_pool_t *self, mp_worker_stat_t *out, size_t room, size_t *count,
                             int timeout_ms)
{
    if (!self->backend->ops->ask)
        return mpx_fault(MP_EINVAL, "this pool has no workers of its own");
    mpx_question_t question = {.room = room, .entries = calloc(room + 1, sizeof *out)};
    if (!question.entries)
        return mpx_fault(MP_ENOMEM, "a list of %zu workers", room);
    mp_rc_t rc = ask(self, &question, mpx_deadline(mpx_now(), timeout_ms));
    if (rc == MP_OK) {
        *count = question.count;
        if (room)
            memcpy(out, question.entries, (room < *count ? room : *count) * sizeof *out);
    }
    free(question.entries);
    return rc;
}

mp_rc_t mp_pool_worker_stats(mp_pool_t *self, mp_worker_stat_t *out, size_t room, size_t *count,
                             int timeout_ms)
{
    mp_rc_t rc = enter(self);
    if (rc != MP_OK)
        return rc;
    const mpx_backend_t *backend = self->backend;
    if (backend->ops->worker_stats)
        *count = backend->ops->worker_stats(backend, mpx_now(), out, room);
    else
        rc = ask_elsewhere(self, out, room, count, timeout_ms);
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
