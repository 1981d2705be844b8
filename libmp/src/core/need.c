/* need.c: which workers can do what: the needs of jobs and the kinds of workers. */
#include "sched_private.h"

#include <stdlib.h>

/* ---- needs -------------------------------------------------------------------------- */

static starving_t starving_of(const mpx_sched_t *self, const need_t *need)
{
    if (need->takers > 0)
        return FED;
    return self->takers == 0 ? NO_WORKER : NO_CAPABLE_WORKER;
}

static need_t *need_make(mpx_sched_t *self, uint64_t task)
{
    need_t *need = calloc(1, sizeof *need);
    if (!need)
        return NULL;
    need->task = task;
    for (const kind_t *kind = self->kinds; kind; kind = kind->next) {
        if (!mpx_kind_can(kind, need))
            continue;
        need->takers += kind->takers;
        need->slots += kind->slots;
    }
    need->starving = starving_of(self, need);
    HASH_ADD(hh, self->needs, task, sizeof need->task, need);
    if (!need->unlisted)
        return need;
    free(need);
    return NULL;
}

need_t *mpx_need_find(const mpx_sched_t *self, uint64_t task)
{
    need_t *need = NULL;
    HASH_FIND(hh, self->needs, &task, sizeof task, need);
    return need;
}

static void need_free(mpx_sched_t *self, need_t *need)
{
    HASH_DEL(self->needs, need);
    free(need);
}

static level_t *level_join(need_t *need, int priority)
{
    level_t *level = need->levels;
    while (level && level->priority > priority)
        level = level->next;
    if (!level || level->priority != priority) {
        level_t *fresh = calloc(1, sizeof *fresh);
        if (!fresh)
            return NULL;
        fresh->priority = priority;
        DL_PREPEND_ELEM(need->levels, level, fresh);
        level = fresh;
    }
    level->members++;
    return level;
}

need_t *mpx_need_join(mpx_sched_t *self, job_t *job)
{
    need_t *need = mpx_need_find(self, job->policy.task);
    if (!need)
        need = need_make(self, job->policy.task);
    if (!need)
        return NULL;
    job->level = level_join(need, job->policy.priority);
    if (!job->level) {
        if (!need->jobs)
            need_free(self, need);
        return NULL;
    }
    DL_APPEND2(need->jobs, job, need_prev, need_next);
    job->need = need;
    return need;
}

void mpx_need_leave(mpx_sched_t *self, job_t *job)
{
    need_t *need = job->need;
    DL_DELETE2(need->jobs, job, need_prev, need_next);
    if (--job->level->members == 0) {
        DL_DELETE(need->levels, job->level);
        free(job->level);
    }
    job->need = NULL;
    if (!need->jobs)
        need_free(self, need);
}

static void ring_join(mpx_sched_t *self, job_t *job)
{
    need_t *need = job->need;
    if (need->ringed++ == 0) {
        DL_APPEND2(self->ready, need, ready_prev, ready_next);
        self->ready_count++;
    }
    DL_APPEND2(job->level->ring, job, ring_prev, ring_next);
    job->turn = ++self->last_turn;
    job->in_ring = true;
}

static void ring_leave(mpx_sched_t *self, job_t *job)
{
    need_t *need = job->need;
    DL_DELETE2(job->level->ring, job, ring_prev, ring_next);
    if (--need->ringed == 0) {
        DL_DELETE2(self->ready, need, ready_prev, ready_next);
        self->ready_count--;
    }
    job->in_ring = false;
}

void mpx_need_update_ring(mpx_sched_t *self, job_t *job)
{
    bool belongs = job->queued > 0 && !job->held;
    if (belongs && !job->in_ring)
        ring_join(self, job);
    else if (!belongs && job->in_ring)
        ring_leave(self, job);
}

void mpx_need_to_back(mpx_sched_t *self, job_t *job)
{
    ring_leave(self, job);
    mpx_need_update_ring(self, job);
}

job_t *mpx_need_next(const need_t *need)
{
    const level_t *level = need->levels;
    while (level && !level->ring)
        level = level->next;
    return level ? level->ring : NULL;
}

/* ---- kinds -------------------------------------------------------------------------- */

static int compare_tasks(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool mpx_kind_can(const kind_t *kind, const need_t *need)
{
    if (kind->all || need->task == 0)
        return true;
    return bsearch(&need->task, kind->tasks, kind->tasks_count, sizeof *kind->tasks,
                   compare_tasks) != NULL;
}

static kind_t *kind_make(const mpx_worker_spec_t *spec)
{
    size_t count = spec->tasks ? spec->tasks_count : 0;
    kind_t *kind = calloc(1, sizeof *kind);
    if (!kind)
        return NULL;
    kind->tasks = calloc(count + 1, sizeof *kind->tasks);
    if (!kind->tasks) {
        free(kind);
        return NULL;
    }
    kind->all = !spec->tasks;
    kind->tasks_count = count;
    if (count > 0)
        memcpy(kind->tasks, spec->tasks, count * sizeof *kind->tasks);
    qsort(kind->tasks, count, sizeof *kind->tasks, compare_tasks);
    return kind;
}

static void kind_free(kind_t *kind)
{
    free(kind->tasks);
    free(kind);
}

static bool same(const kind_t *a, const kind_t *b)
{
    return a->all == b->all && a->tasks_count == b->tasks_count &&
           memcmp(a->tasks, b->tasks, a->tasks_count * sizeof *a->tasks) == 0;
}

kind_t *mpx_kind_join(mpx_sched_t *self, const mpx_worker_spec_t *spec)
{
    kind_t *fresh = kind_make(spec);
    if (!fresh)
        return NULL;
    kind_t *kind = self->kinds;
    while (kind && !same(kind, fresh))
        kind = kind->next;
    if (kind) {
        kind_free(fresh);
    } else {
        kind = fresh;
        DL_APPEND(self->kinds, kind);
    }
    kind->members++;
    return kind;
}

void mpx_kind_leave(mpx_sched_t *self, kind_t *kind)
{
    if (--kind->members > 0)
        return;
    DL_DELETE(self->kinds, kind);
    kind_free(kind);
}

mp_rc_t mpx_kind_count(mpx_sched_t *self, int64_t now, kind_t *kind, int takers, int64_t slots)
{
    /* The counts are unsigned: adding what wrapped around subtracts. */
    self->takers += (uint64_t)takers;
    kind->takers += (uint64_t)takers;
    kind->slots += (uint64_t)slots;
    mp_rc_t rc = MP_OK;
    for (need_t *need = self->needs; need; need = need->hh.next) {
        if (mpx_kind_can(kind, need)) {
            need->takers += (uint64_t)takers;
            need->slots += (uint64_t)slots;
        }
        if (need->starving == starving_of(self, need))
            continue;
        need->starving = starving_of(self, need);
        for (job_t *job = need->jobs; job && rc == MP_OK; job = job->need_next)
            rc = mpx_patience_update(self, now, job);
    }
    return rc;
}
