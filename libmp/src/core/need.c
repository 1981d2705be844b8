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

static bool is_for(const need_t *need, const mpx_traits_t *traits)
{
    if (!need->demand || !traits || !traits->count)
        return !need->demand && (!traits || !traits->count);
    return mpx_traits_equal(&need->demand->traits, traits);
}

void mpx_demand_drop(demand_t *demand)
{
    if (demand && --demand->holders == 0)
        free(demand);
}

static bool demand_make(need_t *need, const mpx_traits_t *traits)
{
    if (!traits || !traits->count)
        return true;
    need->demand = malloc(sizeof *need->demand);
    if (need->demand)
        *need->demand = (demand_t){.traits = *traits, .holders = 1};
    return need->demand != NULL;
}

/* The needs of one task hang on the first of them. */
static bool list(mpx_sched_t *self, need_t *need)
{
    need_t *first = mpx_need_find(self, need->task);
    if (first) {
        need->sibling = first->sibling;
        first->sibling = need;
        return true;
    }
    HASH_ADD(hh, self->needs, task, sizeof need->task, need);
    return !need->unlisted;
}

static need_t *need_make(mpx_sched_t *self, const mpx_policy_t *policy)
{
    need_t *need = calloc(1, sizeof *need);
    if (!need)
        return NULL;
    need->task = policy->task;
    if (!demand_make(need, policy->needs)) {
        free(need);
        return NULL;
    }
    for (const kind_t *kind = self->kinds; kind; kind = kind->next) {
        if (!mpx_kind_can(kind, need))
            continue;
        need->takers += kind->takers;
        need->slots += kind->slots;
    }
    need->starving = starving_of(self, need);
    if (list(self, need))
        return need;
    mpx_demand_drop(need->demand);
    free(need);
    return NULL;
}

need_t *mpx_need_find(const mpx_sched_t *self, uint64_t task)
{
    need_t *need = NULL;
    HASH_FIND(hh, self->needs, &task, sizeof task, need);
    return need;
}

/* The first of a task's needs stays as long as others hang on it. */
static void need_free(mpx_sched_t *self, need_t *need)
{
    need_t *first = mpx_need_find(self, need->task);
    if (first != need) {
        need_t *before = first;
        while (before->sibling != need)
            before = before->sibling;
        before->sibling = need->sibling;
        mpx_demand_drop(need->demand);
        free(need);
    }
    if (first->jobs || first->sibling)
        return;
    HASH_DEL(self->needs, first);
    mpx_demand_drop(first->demand);
    free(first);
}

static level_t *level_of(need_t *need, int priority)
{
    level_t *level = need->levels;
    while (level && level->priority > priority)
        level = level->next;
    if (level && level->priority == priority)
        return level;
    level_t *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return NULL;
    fresh->priority = priority;
    DL_PREPEND_ELEM(need->levels, level, fresh);
    return fresh;
}

static void level_leave(need_t *need, level_t *level)
{
    if (level->shares)
        return;
    DL_DELETE(need->levels, level);
    mpx_heap_free(&level->ring);
    free(level);
}

need_t *mpx_need_join(mpx_sched_t *self, job_t *job)
{
    need_t *need = mpx_need_find(self, job->policy.task);
    while (need && !is_for(need, job->policy.needs))
        need = need->sibling;
    if (!need)
        need = need_make(self, &job->policy);
    if (!need)
        return NULL;
    level_t *level = level_of(need, job->policy.priority);
    if (!level || !mpx_share_join(self, level, job)) {
        if (level)
            level_leave(need, level);
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
    level_t *level = job->share->level;
    DL_DELETE2(need->jobs, job, need_prev, need_next);
    mpx_share_leave(self, job);
    level_leave(need, level);
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
        need->looked = false;
    }
    mpx_share_ring(self, job);
    job->in_ring = true;
}

static void ring_leave(mpx_sched_t *self, job_t *job)
{
    need_t *need = job->need;
    mpx_share_unring(job);
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

job_t *mpx_need_next(const need_t *need)
{
    level_t *level = need->levels;
    job_t *job = NULL;
    for (; level && !job; level = level->next)
        job = mpx_share_first(level);
    return job;
}

/* ---- capacities ----------------------------------------------------------------------- */

uint32_t mpx_worker_needed(const worker_t *worker, const need_t *need)
{
    uint32_t needed = 0;
    const mpx_traits_t *traits = need->demand ? &need->demand->traits : NULL;
    for (size_t i = 0; traits && i < traits->count; i++) {
        int place = mpx_traits_find(&worker->kind->have, traits->items[i].name);
        if (place >= 0 && traits->items[i].counted)
            needed |= UINT32_C(1) << place;
    }
    return needed;
}

uint32_t mpx_worker_lacks(const worker_t *worker, const need_t *need)
{
    uint32_t lacks = 0;
    const mpx_traits_t *traits = need->demand ? &need->demand->traits : NULL;
    for (size_t i = 0; traits && i < traits->count; i++) {
        const mpx_trait_t *trait = &traits->items[i];
        int place = mpx_traits_find(&worker->kind->have, trait->name);
        if (place >= 0 && trait->counted &&
            trait->amount > worker->kind->have.items[place].amount - worker->used[place])
            lacks |= UINT32_C(1) << place;
    }
    return lacks;
}

void mpx_worker_use(worker_t *worker, const demand_t *demand, bool take)
{
    for (size_t i = 0; demand && i < demand->traits.count; i++) {
        const mpx_trait_t *trait = &demand->traits.items[i];
        int place = mpx_traits_find(&worker->kind->have, trait->name);
        if (place >= 0 && trait->counted)
            worker->used[place] += take ? trait->amount : -trait->amount;
    }
}

/* ---- kinds -------------------------------------------------------------------------- */

static int compare_tasks(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool mpx_kind_can(const kind_t *kind, const need_t *need)
{
    if (need->demand && !mpx_traits_meet(&kind->have, &need->demand->traits))
        return false;
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
    if (spec->have)
        kind->have = *spec->have;
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
           mpx_traits_equal(&a->have, &b->have) &&
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

static mp_rc_t count_for(mpx_sched_t *self, int64_t now, need_t *need, const kind_t *kind,
                         int takers, int64_t slots)
{
    mp_rc_t rc = MP_OK;
    if (mpx_kind_can(kind, need)) {
        need->takers += (uint64_t)takers;
        need->slots += (uint64_t)slots;
    }
    if (need->starving == starving_of(self, need))
        return MP_OK;
    need->starving = starving_of(self, need);
    for (job_t *job = need->jobs; job && rc == MP_OK; job = job->need_next)
        rc = mpx_patience_update(self, now, job);
    return rc;
}

mp_rc_t mpx_kind_count(mpx_sched_t *self, int64_t now, kind_t *kind, int takers, int64_t slots)
{
    /* The counts are unsigned: adding what wrapped around subtracts. */
    self->takers += (uint64_t)takers;
    kind->takers += (uint64_t)takers;
    kind->slots += (uint64_t)slots;
    mp_rc_t rc = MP_OK;
    for (need_t *first = self->needs; first; first = first->hh.next)
        for (need_t *need = first; need && rc == MP_OK; need = need->sibling)
            rc = count_for(self, now, need, kind, takers, slots);
    return rc;
}
