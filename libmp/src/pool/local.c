/* local.c: a pool's calls on executors of this host. */
#include "backend.h"

#include "clock.h"
#include "crew.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct local {
    mpx_backend_t base;
    mpx_crew_t *crew;
    uint32_t expected; /* executors that have not reported yet */
    char host[256];
} local_t;

/* Work waiting in an executor's lane covers the time in which this process is asleep. */
enum { HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024 };

static mp_rc_t transport_send(void *self, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    return mpx_crew_send(((local_t *)self)->crew, worker, header, payload);
}

static mp_rc_t transport_submit(void *self, uint64_t worker, const mpx_header_t *header,
                                const mpx_inputs_t *inputs)
{
    mpx_results_to_t to = {inputs->results, inputs->result_bytes};
    return mpx_crew_submit(((local_t *)self)->crew, worker, header, inputs->payload, &to);
}

/* A chunk that has not begun is left to run: its results are dropped, and a kill would
 * cost the call that runs before it. */
static void transport_stop(void *self, uint64_t worker, uint64_t job, uint64_t chunk, bool started)
{
    (void)job;
    (void)chunk;
    if (started)
        mpx_crew_kill(((local_t *)self)->crew, worker);
}

static mp_rc_t on_up(local_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mpx_worker_spec_t spec = {
        .slots = 1,
        .horizon_ns = HORIZON_MS * MPX_MS,
        .credit_bytes = CREDIT_BYTES,
    };
    if (self->expected > 0)
        self->expected--;
    self->base.ready = self->expected == 0;
    return mpx_engine_worker_join(self->base.engine, now, event->worker, NULL, &spec);
}

static mp_rc_t on_down(local_t *self, int64_t now, const mpx_crew_event_t *event)
{
    char name[64];
    mpx_loss_t loss = {
        .rc = MP_ECRASHED,
        .host = self->host,
        .name = name,
        .pid = (uint32_t)event->pid,
        .signal = (uint32_t)event->signal,
        .exit_status = (uint32_t)event->exit_status,
    };
    snprintf(name, sizeof name, "worker process %d", event->pid);
    mp_rc_t rc =
        mpx_engine_worker_lost(self->base.engine, now, event->worker,
                               event->retired ? MPX_CHARGE_NONE : MPX_CHARGE_RUNNING, &loss);
    return rc == MP_EINVAL ? MP_OK : rc; /* it died before it was up */
}

static mp_rc_t on_event(local_t *self, int64_t now, const mpx_crew_event_t *event)
{
    switch (event->kind) {
    case MPX_CREW_UP:
        return on_up(self, now, event);
    case MPX_CREW_DOWN:
        return on_down(self, now, event);
    case MPX_CREW_FAILED:
        return mpx_backend_fail(&self->base, now, event->rc, MP_EWORKERLOST, event->problem);
    case MPX_CREW_MESSAGE:
        break;
    }
    mp_rc_t rc =
        mpx_engine_message(self->base.engine, now, event->worker, &event->header, event->payload);
    if (rc != MP_EPROTO)
        return rc;
    mpx_crew_kill(self->crew, event->worker);
    return MP_OK;
}

static mp_rc_t turn(mpx_backend_t *base, int64_t now)
{
    local_t *self = (local_t *)base;
    mpx_crew_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (rc = mpx_crew_next(self->crew, &event)) == MP_OK)
        rc = on_event(self, now, &event);
    if (rc == MP_EBUSY)
        rc = MP_OK;
    if (rc == MP_OK && mpx_engine_deadline(base->engine) <= now)
        rc = mpx_engine_tick(base->engine, now);
    mpx_crew_wake(self->crew);
    return rc;
}

static bool may_sleep(mpx_backend_t *base)
{
    return mpx_crew_sleep(((local_t *)base)->crew);
}

static int fd(const mpx_backend_t *base)
{
    return mpx_crew_fd(((const local_t *)base)->crew);
}

static int64_t deadline(const mpx_backend_t *base)
{
    return mpx_engine_deadline(base->engine);
}

static void destroy(mpx_backend_t *base)
{
    local_t *self = (local_t *)base;
    mpx_crew_destroy(&self->crew);
    mpx_engine_destroy(&base->engine);
    free(self);
}

static const mpx_backend_ops_t ops = {
    .turn = turn,
    .may_sleep = may_sleep,
    .fd = fd,
    .deadline = deadline,
    .destroy = destroy,
};

mp_rc_t mpx_local_new(const mp_pool_options_t *options, mpx_backend_t **out)
{
    local_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pool");
    self->base.ops = &ops;
    self->base.limits_here = true;
    self->base.processes = options->processes > 0 ? options->processes : mp_cpu_count();
    self->expected = (uint32_t)self->base.processes;
    if (gethostname(self->host, sizeof self->host - 1))
        strcpy(self->host, "localhost");

    mpx_crew_options_t crew = {
        .size = self->expected,
        .load = options->load,
        .worker_stdout = options->worker_stdout,
        .offer_exec = true,
        .initializer = options->initializer,
        .initializer_arg = options->initializer_arg,
        .max_calls = (uint64_t)options->max_calls_per_worker,
    };
    mpx_transport_t transport = {
        .self = self, .send = transport_send, .submit = transport_submit, .stop = transport_stop};
    mp_rc_t rc = mpx_engine_new(&transport, self->host, &self->base.engine);
    if (rc == MP_OK)
        rc = mpx_crew_new(&crew, &self->crew);
    if (rc != MP_OK) {
        destroy(&self->base);
        return rc;
    }
    *out = &self->base;
    return MP_OK;
}
