#include "workshop.h"

#include "clock.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

struct mpx_workshop {
    mpx_workshop_options_t options;
    mpx_engine_t *engine;
    mpx_crew_t *crew;
    mpx_bench_t *benches;
    mpx_workshop_counts_t counts;
    uint32_t expected; /* executors that have not reported yet */
    char host[256];
};

/* Work waiting in an executor's lane covers the time in which this process is asleep. */
enum { HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024 };

/* ---- towards the executors ------------------------------------------------------------------ */

static mp_rc_t transport_send(void *self, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    return mpx_crew_send(((mpx_workshop_t *)self)->crew, worker, header, payload);
}

static mp_rc_t transport_submit(void *self, uint64_t worker, const mpx_header_t *header,
                                const mpx_inputs_t *inputs)
{
    mpx_results_to_t to = {inputs->results, inputs->result_bytes};
    return mpx_crew_submit(((mpx_workshop_t *)self)->crew, worker, header, inputs->payload, &to);
}

static mpx_bench_t *find_bench(const mpx_workshop_t *self, uint64_t worker)
{
    mpx_bench_t *bench;
    DL_FOREACH (self->benches, bench)
        if (bench->worker == worker)
            break;
    return bench;
}

static void transport_stop(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)job;
    mpx_workshop_t *self = arg;
    mpx_crew_t *crew = self->crew;
    mpx_bench_t *bench = find_bench(self, worker);
    if (bench && stage != MPX_STOP_ASK)
        bench->stopped = true;
    switch (stage) {
    case MPX_STOP_ASK:
        mpx_crew_ask(crew, worker, chunk, why);
        break;
    case MPX_STOP_TERMINATE:
        mpx_crew_terminate(crew, worker);
        break;
    case MPX_STOP_KILL:
        mpx_crew_kill(crew, worker);
        break;
    }
}

static mp_rc_t dismiss_surplus(mpx_workshop_t *self, int64_t now)
{
    uint64_t worker;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (worker = mpx_crew_surplus(self->crew))) {
        rc = mpx_engine_worker_drain(self->engine, now, worker);
        mpx_crew_dismiss(self->crew, worker);
    }
    return rc;
}

mp_rc_t mpx_workshop_resize(mpx_workshop_t *self, int64_t now, uint32_t size)
{
    mp_rc_t rc = mpx_crew_resize(self->crew, size);
    return rc == MP_OK ? dismiss_surplus(self, now) : rc;
}

/* ---- news from them ---------------------------------------------------------------------------
 */

static mp_rc_t on_up(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mpx_worker_spec_t spec = {
        .slots = 1, .horizon_ns = HORIZON_MS * MPX_MS, .credit_bytes = CREDIT_BYTES};
    mp_rc_t rc = MP_OK;
    mpx_bench_t *bench = calloc(1, sizeof *bench);
    if (!bench)
        return MP_ENOMEM;
    *bench = (mpx_bench_t){.worker = event->worker,
                           .pid = event->pid,
                           .start_ns = event->start_ns,
                           .init_ns = (int64_t)event->header.busy_ns,
                           .up_at = now};
    DL_APPEND(self->benches, bench);
    self->counts.started++;
    self->counts.up++;
    if (self->expected > 0 && --self->expected == 0)
        rc = self->options.ready(self->options.self, event->payload);
    if (rc == MP_OK)
        rc = mpx_engine_worker_join(self->engine, now, event->worker, NULL, &spec);
    return rc == MP_OK ? dismiss_surplus(self, now) : rc;
}

static void clear_bench(mpx_workshop_t *self, const mpx_crew_event_t *event)
{
    mpx_bench_t *bench = find_bench(self, event->worker);
    if (!bench)
        return; /* it died before it was up */
    self->counts.up--;
    self->counts.retired += event->retired;
    self->counts.stopped += bench->stopped && !event->retired;
    self->counts.crashed += !bench->stopped && !event->retired;
    DL_DELETE(self->benches, bench);
    free(bench);
}

static mp_rc_t on_down(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    char name[64];
    mpx_loss_t loss = {
        .rc = MP_ECRASHED,
        .host = self->host,
        .name = name,
        .pid = (uint32_t)event->pid,
        .signal = (uint32_t)event->signal,
        .exit_status = (uint32_t)event->exit_status,
        .error_output = event->error_output,
        .backtrace = event->backtrace,
    };
    snprintf(name, sizeof name, "worker process %d", event->pid);
    clear_bench(self, event);
    if (self->options.down)
        self->options.down(self->options.self, event);
    mp_rc_t rc =
        mpx_engine_worker_lost(self->engine, now, event->worker,
                               event->retired ? MPX_CHARGE_NONE : MPX_CHARGE_RUNNING, &loss);
    return rc == MP_EINVAL ? MP_OK : rc; /* it died before it was up */
}

static mp_rc_t on_message(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mp_rc_t rc =
        mpx_engine_message(self->engine, now, event->worker, &event->header, event->payload);
    if (rc != MP_EPROTO)
        return rc;
    mpx_crew_kill(self->crew, event->worker);
    return MP_OK;
}

static mp_rc_t on_event(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    switch (event->kind) {
    case MPX_CREW_UP:
        return on_up(self, now, event);
    case MPX_CREW_MESSAGE:
        return on_message(self, now, event);
    case MPX_CREW_DOWN:
        return on_down(self, now, event);
    case MPX_CREW_FAILED:
        break;
    }
    return self->options.failed(self->options.self, now, event->rc, event->problem);
}

mp_rc_t mpx_workshop_turn(mpx_workshop_t *self, int64_t now)
{
    mpx_crew_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (rc = mpx_crew_next(self->crew, &event)) == MP_OK)
        rc = on_event(self, now, &event);
    if (rc == MP_EBUSY)
        rc = MP_OK;
    if (rc == MP_OK && mpx_engine_deadline(self->engine) <= now)
        rc = mpx_engine_tick(self->engine, now);
    return rc;
}

void mpx_workshop_wake(mpx_workshop_t *self)
{
    mpx_crew_wake(self->crew);
}

bool mpx_workshop_sleep(mpx_workshop_t *self)
{
    return mpx_crew_sleep(self->crew);
}

int mpx_workshop_fd(const mpx_workshop_t *self)
{
    return mpx_crew_fd(self->crew);
}

void mpx_workshop_counts(const mpx_workshop_t *self, mpx_workshop_counts_t *out)
{
    *out = self->counts;
}

const mpx_bench_t *mpx_workshop_benches(const mpx_workshop_t *self)
{
    return self->benches;
}

mpx_engine_t *mpx_workshop_engine(const mpx_workshop_t *self)
{
    return self->engine;
}

const char *mpx_workshop_host(const mpx_workshop_t *self)
{
    return self->host;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

mp_rc_t mpx_workshop_new(const mpx_workshop_options_t *options, mpx_workshop_t **out)
{
    mpx_workshop_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "worker processes");
    self->options = *options;
    self->expected = options->crew.size;
    if (gethostname(self->host, sizeof self->host - 1))
        strcpy(self->host, "localhost");
    mpx_transport_t transport = {
        .self = self, .send = transport_send, .submit = transport_submit, .stop = transport_stop};
    mp_rc_t rc = mpx_engine_new(&transport, self->host, &self->engine);
    if (rc == MP_OK)
        rc = mpx_crew_new(&options->crew, &self->crew);
    if (rc != MP_OK) {
        mpx_workshop_destroy(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_workshop_destroy(mpx_workshop_t **self_p)
{
    mpx_workshop_t *self = *self_p;
    if (!self)
        return;
    mpx_crew_destroy(&self->crew);
    mpx_engine_destroy(&self->engine);
    mpx_bench_t *bench, *next;
    DL_FOREACH_SAFE (self->benches, bench, next)
        free(bench);
    free(self);
    *self_p = NULL;
}
