/* worker.c: workers come, change and go. */
#include "sched_private.h"

#include <stdlib.h>

/* Above it, the time that makes a chunk a slow one would not fit its type. */
static const int64_t horizon_max = INT64_MAX / 5;

static worker_t *find_worker(const mpx_sched_t *self, uint64_t id)
{
    worker_t *worker = NULL;
    HASH_FIND(hh, self->workers, &id, sizeof id, worker);
    return worker;
}

static worker_t *worker_make(mpx_sched_t *self, uint64_t id, const mpx_worker_spec_t *spec)
{
    worker_t *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->id = id;
    worker->slots = spec->slots;
    worker->horizon_ns = spec->horizon_ns;
    worker->credit_bytes = spec->credit_bytes;
    worker->returns = spec->returns;
    worker->yields = spec->yields;
    worker->shares = spec->shares;
    worker->used = spec->shares ? self->used : worker->own;
    worker->kind = mpx_kind_join(self, spec);
    if (!worker->kind) {
        free(worker);
        return NULL;
    }
    HASH_ADD(hh, self->workers, id, sizeof worker->id, worker);
    if (worker->unlisted) {
        mpx_kind_leave(self, worker->kind);
        free(worker);
        return NULL;
    }
    return worker;
}

void mpx_worker_free(mpx_sched_t *self, worker_t *worker)
{
    mpx_handout_leave(self, worker);
    mpx_heap_remove(&self->stalls, &worker->stall);
    HASH_DEL(self->workers, worker);
    mpx_kind_leave(self, worker->kind);
    free(worker);
}

mp_rc_t mpx_sched_worker_join(mpx_sched_t *self, int64_t now, uint64_t id,
                              const mpx_worker_spec_t *spec)
{
    if (id == 0 || spec->slots == 0 || spec->horizon_ns < 0 || spec->horizon_ns > horizon_max)
        return MP_EINVAL;
    if (find_worker(self, id))
        return MP_EEXIST;
    worker_t *worker = worker_make(self, id, spec);
    if (!worker)
        return MP_ENOMEM;
    self->slots += spec->slots;
    self->now = now;
    mp_rc_t rc = mpx_kind_count(self, now, worker->kind, 1, spec->slots);
    return rc == MP_OK ? mpx_handout_worker(self, worker) : rc;
}

mp_rc_t mpx_sched_worker_slots(mpx_sched_t *self, int64_t now, uint64_t id, uint32_t slots)
{
    worker_t *worker = find_worker(self, id);
    if (!worker || slots == 0)
        return MP_EINVAL;
    int64_t more = (int64_t)slots - worker->slots;
    self->slots += (uint64_t)more;
    self->now = now;
    worker->slots = slots;
    if (worker->draining)
        return MP_OK;
    mp_rc_t rc = mpx_kind_count(self, now, worker->kind, 0, more);
    return rc == MP_OK ? mpx_handout_worker(self, worker) : rc;
}

static mp_rc_t retire(mpx_sched_t *self, int64_t now, worker_t *worker)
{
    if (worker->draining)
        return MP_OK;
    worker->draining = true;
    mpx_handout_leave(self, worker);
    return mpx_kind_count(self, now, worker->kind, -1, -(int64_t)worker->slots);
}

mp_rc_t mpx_sched_worker_drain(mpx_sched_t *self, int64_t now, uint64_t id)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    worker->paused = false;
    self->now = now;
    return retire(self, now, worker);
}

mp_rc_t mpx_sched_worker_pause(mpx_sched_t *self, int64_t now, uint64_t id, bool paused)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    if (worker->draining == paused || (worker->draining && !worker->paused))
        return MP_OK;
    worker->paused = paused;
    self->now = now;
    if (paused)
        return retire(self, now, worker);
    worker->draining = false;
    mp_rc_t rc = mpx_kind_count(self, now, worker->kind, 1, worker->slots);
    return rc == MP_OK ? mpx_handout_worker(self, worker) : rc;
}

mp_rc_t mpx_sched_worker_lost(mpx_sched_t *self, int64_t now, uint64_t id, mpx_charge_t charge,
                              mp_rc_t rc)
{
    worker_t *worker = find_worker(self, id);
    if (!worker || rc == MP_OK)
        return MP_EINVAL;
    self->now = now;
    mp_rc_t result = retire(self, now, worker);
    while (worker->chunks && result == MP_OK)
        result = mpx_chunk_lose(self, now, worker->chunks, charge, rc);
    if (result != MP_OK)
        return result;
    self->slots -= worker->slots;
    mpx_worker_free(self, worker);
    return mpx_handout_needs(self);
}

mp_rc_t mpx_sched_worker_tasks(mpx_sched_t *self, int64_t now, uint64_t id,
                               const mpx_worker_spec_t *spec)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    mpx_worker_spec_t mine = *spec;
    mine.have = &worker->kind->have; /* what is in use of it is counted by place */
    kind_t *kind = mpx_kind_join(self, &mine);
    if (!kind)
        return MP_ENOMEM;
    self->now = now;
    bool counts = !worker->draining;
    mp_rc_t rc = MP_OK;
    mpx_handout_leave(self, worker);
    if (counts)
        rc = mpx_kind_count(self, now, worker->kind, -1, -(int64_t)worker->slots);
    mpx_kind_leave(self, worker->kind);
    worker->kind = kind;
    if (rc == MP_OK && counts)
        rc = mpx_kind_count(self, now, kind, 1, worker->slots);
    return rc == MP_OK ? mpx_handout_worker(self, worker) : rc;
}

bool mpx_sched_worker_drains(const mpx_sched_t *self, uint64_t id)
{
    const worker_t *worker = find_worker(self, id);
    return worker && worker->draining && !worker->paused;
}

uint32_t mpx_sched_worker_calls(const mpx_sched_t *self, uint64_t id)
{
    const worker_t *worker = find_worker(self, id);
    uint32_t calls = 0;
    for (const chunk_t *chunk = worker ? worker->chunks : NULL; chunk; chunk = chunk->worker_next)
        calls += chunk->count - chunk->done;
    return calls;
}
