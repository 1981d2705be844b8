/* sched.c: the scheduler as a whole, and its time. */
#include "sched_private.h"

#include <stdlib.h>

mp_rc_t mpx_sched_new(mpx_sched_t **out)
{
    mpx_sched_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    *out = self;
    return MP_OK;
}

void mpx_sched_destroy(mpx_sched_t **self_p)
{
    mpx_sched_t *self = *self_p;
    if (!self)
        return;
    for (const worker_t *worker = self->workers; worker; worker = worker->hh.next)
        while (worker->chunks)
            mpx_chunk_free(self, worker->chunks);
    while (self->jobs)
        mpx_job_free(self, self->jobs);
    while (self->workers)
        mpx_worker_free(self, self->workers);
    mpx_table_free(&self->chunks);
    mpx_heap_free(&self->deadlines);
    mpx_heap_free(&self->delays);
    mpx_heap_free(&self->patience);
    mpx_heap_free(&self->lapses);
    mpx_heap_free(&self->stalls);
    free(self->effects.ring);
    free(self);
    *self_p = NULL;
}

mp_rc_t mpx_sched_tick(mpx_sched_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    mpx_heap_node_t *node;
    self->now = now;
    while (rc == MP_OK && (node = mpx_heap_first(&self->lapses)) && node->at <= now)
        rc = mpx_job_lapse(self, now, CONTAINER_OF(node, span_t, lapse));
    while (rc == MP_OK && (node = mpx_heap_first(&self->deadlines)) && node->at <= now)
        rc = mpx_chunk_expire(self, now, CONTAINER_OF(node, chunk_t, timer));
    while (rc == MP_OK && (node = mpx_heap_first(&self->delays)) && node->at <= now)
        rc = mpx_job_undelay(self, now, CONTAINER_OF(node, span_t, delay));
    while (rc == MP_OK && (node = mpx_heap_first(&self->patience)) && node->at <= now)
        rc = mpx_patience_expire(self, now, CONTAINER_OF(node, job_t, patience));
    return rc == MP_OK ? mpx_recall_tick(self, now) : rc;
}

int64_t mpx_sched_deadline(const mpx_sched_t *self)
{
    const mpx_heap_t *heaps[] = {&self->deadlines, &self->delays, &self->patience, &self->lapses};
    int64_t deadline = mpx_recall_deadline(self);
    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++) {
        const mpx_heap_node_t *first = mpx_heap_first(heaps[i]);
        deadline = first ? mpx_earlier(deadline, first->at) : deadline;
    }
    return deadline;
}

void mpx_sched_counts(const mpx_sched_t *self, mpx_sched_counts_t *out)
{
    *out = (mpx_sched_counts_t){
        .queued = self->queued + self->delayed,
        .given = self->given,
        .delays_changed = self->delays_changed,
        .workers = HASH_COUNT(self->workers),
        .slots = (uint32_t)self->slots,
        .jobs = HASH_COUNT(self->jobs),
    };
}
