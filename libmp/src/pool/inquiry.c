#include "inquiry.h"

#include "clock.h"
#include "deposit.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>

static void end(mpx_inquiry_t *self, mp_rc_t rc, const char *words)
{
    if (self->over)
        return;
    self->over = true;
    self->rc = rc;
    snprintf(self->problem, sizeof self->problem, "%s", words);
}

static void on_link(mpx_errand_t *errand, mp_rc_t rc)
{
    mpx_inquiry_t *self = (mpx_inquiry_t *)errand;
    mpx_backend_t *backend = self->pool->backend;
    if (rc == MP_OK) {
        self->header.nonce = errand->nonce;
        rc = backend->ops->errand_send(backend, &self->header, self->body);
    }
    if (rc != MP_OK && rc != MP_EBROKERLOST && rc != MP_ECLOSED)
        end(self, rc, mp_errmsg());
}

/* Rows of a list are followed by one message without a body; anything else is one message. */
static void on_message(mpx_errand_t *errand, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_inquiry_t *self = (mpx_inquiry_t *)errand;
    bool is_row = header->op == MPX_OP_JOB_INFO && header->kind != MPX_OP_JOB_KEEP && payload.size;
    mp_rc_t rc = MP_OK;
    if (self->over)
        return;
    self->first = header->first;
    if (header->op == MPX_OP_JOB_DONE && header->code) {
        mpx_problem_t problem = {.message = ""};
        void *arena = NULL;
        if (payload.size && mpx_problem_unpack(payload, &problem, &arena) != MP_OK)
            problem.message = "";
        rc = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
        end(self, rc, *problem.message ? problem.message : mp_strerror(rc));
        free(arena);
        return;
    }
    if (header->op != MPX_OP_JOB_DONE && payload.size)
        rc = self->on_row ? self->on_row(self, header, payload)
                          : mpx_fault(MP_EPROTO, "the broker answers something else");
    if (rc != MP_OK)
        end(self, rc, mp_errmsg());
    else if (header->code == MP_ELIMIT)
        end(self, MP_ELIMIT, "the broker can't tell all: too many results are not acknowledged");
    else if (!is_row)
        end(self, (mp_rc_t)header->code, "");
}

static bool is_over(const void *arg)
{
    return ((const mpx_inquiry_t *)arg)->over;
}

mp_rc_t mpx_inquiry_run(mpx_inquiry_t *self, mp_pool_t *pool, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_pool_check(pool);
    if (rc != MP_OK)
        return rc;
    self->pool = pool;
    self->errand.on_link = on_link;
    self->errand.on_message = on_message;
    pthread_mutex_lock(&pool->lock);
    mpx_backend_t *backend = pool->backend;
    if (!backend)
        rc = mpx_fault(MP_ECLOSED, "the pool is closed");
    else if (!backend->ops->errand_begin)
        rc = mpx_fault(MP_EINVAL, "only a broker keeps jobs: the pool needs one (MP_BROKER)");
    else {
        backend->ops->errand_begin(backend, &self->errand);
        rc = mpx_pool_wait(pool, is_over, self, deadline);
        if (pool->backend)
            backend->ops->errand_end(backend, &self->errand);
    }
    pthread_mutex_unlock(&pool->lock);
    if (rc == MP_ETIMEDOUT)
        return mpx_fault(rc, "the broker has not answered in time");
    if (rc == MP_OK && self->rc != MP_OK)
        rc = mpx_fault(self->rc, "%s", self->problem);
    return rc;
}

/* ---- lists ---------------------------------------------------------------------------- */

/* The broker gives no more than so many at once. */
enum { PAGE = 256 };

bool mpx_listing_takes(mpx_listing_t *self, uint64_t number)
{
    if (number <= self->after || self->count == self->room)
        return false;
    self->after = number;
    self->count++;
    return true;
}

mp_rc_t mpx_listing_run(mpx_listing_t *self, size_t *count)
{
    size_t got = PAGE;
    while (got == PAGE && self->count < self->room) {
        size_t before = self->count, left = self->room - before;
        mp_rc_t rc = self->ask(self, (uint32_t)(left < PAGE ? left : PAGE));
        if (rc != MP_OK)
            return rc;
        got = self->count - before;
    }
    *count = self->count;
    return MP_OK;
}

/* ---- jobs ----------------------------------------------------------------------------- */

static mp_rc_t on_job(mpx_inquiry_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)header;
    mpx_listing_t *listing = self->arg;
    mp_job_info_t *out = listing->out;
    mpx_kept_info_t info;
    void *arena = NULL;
    mp_rc_t rc = mpx_kept_info_unpack(payload, &info, &arena);
    if (rc == MP_OK && mpx_listing_takes(listing, info.number))
        mpx_job_info_fill(&out[listing->count - 1], &info);
    free(arena);
    return rc;
}

static mp_rc_t ask_for_jobs(mpx_listing_t *self, uint32_t most)
{
    mpx_inquiry_t inquiry = {.header = {.op = MPX_OP_JOB_LIST, .first = self->after, .count = most},
                             .on_row = on_job,
                             .arg = self};
    return mpx_inquiry_run(&inquiry, self->pool, self->timeout_ms);
}

mp_rc_t mp_pool_kept_jobs(mp_pool_t *self, unsigned long long after, mp_job_info_t *out,
                          size_t room, size_t *count, int timeout_ms)
{
    mpx_listing_t listing = {.pool = self,
                             .timeout_ms = timeout_ms,
                             .ask = ask_for_jobs,
                             .out = out,
                             .room = room,
                             .after = after};
    return mpx_listing_run(&listing, count);
}
