/* nested.c: the calls of a call. To this engine, in an executor, the executor's owner is one worker
 * with as many slots as it has executors; the lane between them is beside the one that brings the
 * executor its own calls. */
#include "backend.h"
#include "drive.h"

#include "call.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "lane.h"
#include "outbox.h"

#include <stdlib.h>
#include <string.h>

typedef struct nested {
    mpx_backend_t base;
    mpx_lane_t *lane; /* the executor's */
    mpx_outbox_t outbox;
    bool unrung; /* something was written since the owner was woken */
    bool asleep;
} nested_t;

enum { OWNER = 1, HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024 };

static mp_rc_t transport_send(void *arg, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    (void)worker;
    nested_t *self = arg;
    self->unrung = true;
    return mpx_outbox_send(&self->outbox, self->lane, header, payload);
}

static void transport_stop(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)why;
    mpx_header_t header = {.op = MPX_OP_CANCEL, .job = job, .chunk = chunk};
    if (stage == MPX_STOP_ASK)
        (void)transport_send(arg, worker, &header, (mp_bytes_t){0});
}

static mp_rc_t take_message(nested_t *self, int64_t now)
{
    mp_bytes_t record, payload;
    mpx_header_t header;
    bool apart = false;
    mp_rc_t rc = mpx_lane_read(self->lane, &record);
    if (rc != MP_OK)
        return rc;
    rc = mpx_head_unpack(record, &header, &payload, &apart);
    if (rc == MP_OK)
        rc = mpx_engine_message(self->base.engine, now, OWNER, &header, payload);
    mpx_lane_pop(self->lane);
    return rc;
}

static mp_rc_t turn(mpx_backend_t *base, int64_t now)
{
    nested_t *self = (nested_t *)base;
    bool moved = false;
    mp_rc_t rc = MP_OK;
    if (self->asleep && mpx_lane_awake(self->lane) == MP_EOF)
        return mpx_backend_fail(base, now, MP_EWORKERLOST, MP_EWORKERLOST,
                                "the pool that this call belongs to is gone");
    self->asleep = false;
    while (rc == MP_OK)
        rc = take_message(self, now);
    if (rc == MP_EBUSY)
        rc = MP_OK;
    if (rc == MP_OK && mpx_engine_deadline(base->engine) <= now)
        rc = mpx_engine_tick(base->engine, now);
    if (rc == MP_OK)
        rc = mpx_outbox_catch_up(&self->outbox, self->lane, &moved);
    if (self->unrung || moved)
        mpx_lane_ring(self->lane);
    self->unrung = false;
    return rc;
}

static bool may_sleep(mpx_backend_t *base)
{
    nested_t *self = (nested_t *)base;
    self->asleep = mpx_lane_sleep(self->lane, mpx_outbox_waits(&self->outbox));
    return self->asleep;
}

static int fd(const mpx_backend_t *base)
{
    return mpx_lane_fd(((const nested_t *)base)->lane);
}

static int64_t deadline(const mpx_backend_t *base)
{
    return mpx_engine_deadline(base->engine);
}

static void destroy(mpx_backend_t *base)
{
    nested_t *self = (nested_t *)base;
    mpx_outbox_clear(&self->outbox);
    mpx_engine_destroy(&base->engine);
    free(self);
}

static void stat(const mpx_backend_t *base, mp_pool_stat_t *out)
{
    out->workers = base->processes;
}

static const mpx_backend_ops_t ops = {
    .turn = turn,
    .may_sleep = may_sleep,
    .fd = fd,
    .deadline = deadline,
    .destroy = destroy,
    .stat = stat,
};

static mp_rc_t make_backend(const mpx_call_runner_t *runner, mpx_backend_t **out)
{
    nested_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "the calls of a call");
    self->base.ops = &ops;
    self->base.ready = true;
    self->base.processes = (int)runner->workers;
    self->lane = runner->lane;
    mpx_outbox_init(&self->outbox);
    mpx_transport_t transport = {.self = self, .send = transport_send, .stop = transport_stop};
    mpx_worker_spec_t spec = {
        .slots = runner->workers, .horizon_ns = HORIZON_MS * MPX_MS, .credit_bytes = CREDIT_BYTES};
    mp_rc_t rc = mpx_engine_new(&transport, "", &self->base.engine);
    if (rc == MP_OK)
        rc = mpx_engine_worker_join(self->base.engine, mpx_now(), OWNER, NULL, &spec);
    if (rc != MP_OK) {
        destroy(&self->base);
        return rc;
    }
    *out = &self->base;
    return MP_OK;
}

/* One for the whole life of an executor, which has one thread that runs calls. */
static mp_pool_t *of_this_process;

mp_pool_t *mp_call_pool(const mp_call_t *call)
{
    const mpx_call_runner_t *runner = call->runner;
    mpx_backend_t *backend = NULL;
    if (!runner->lane) {
        (void)mpx_fault(MP_ESTATE,
                        "this call can't have calls of its own: its pool was made without "
                        "mp_pool_options_t.nested, or its worker is no process");
        return NULL;
    }
    if (of_this_process && mpx_pool_check(of_this_process) != MP_OK)
        return NULL; /* in a child that the task has forked */
    if (!of_this_process) {
        if (make_backend(runner, &backend) != MP_OK)
            return NULL;
        of_this_process = mpx_pool_wrap(backend);
        if (!of_this_process)
            destroy(backend);
    }
    if (of_this_process)
        of_this_process->backend->priority = runner->priority + 1;
    if (of_this_process)
        mpx_engine_bound(of_this_process->backend->engine, call->deadline);
    return of_this_process;
}
