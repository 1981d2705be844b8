#include "workshop.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

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
    uint32_t size;     /* executors that should work */
    uint32_t lending;  /* of those, that wait for calls of their own */
    uint32_t spare;    /* executors that are paused, because nobody lends */
    uint32_t crew_size;
    uint32_t relays; /* executors whose calls have had calls of their own */
    bool gives_back;
    uint64_t generation;
    char host[256];
};

/* Work waiting in an executor's lane covers the time in which this process is asleep. */
enum { HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024 };

/* Executors that may wait for calls of their own at the same time. */
enum { LENDING_MAX = 256 };

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
    mpx_header_t submit = *header;
    if (header->deadline_ms) /* it may lie in the lane for a while; the clock is the same */
        submit.nonce = (uint64_t)(mpx_now() + header->deadline_ms * MPX_MS);
    return mpx_crew_submit(((mpx_workshop_t *)self)->crew, worker, &submit, inputs->payload, &to);
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

static bool transport_recall(void *arg, uint64_t worker, uint64_t job, uint64_t chunk)
{
    (void)job;
    return mpx_crew_call_back(((mpx_workshop_t *)arg)->crew, worker, chunk);
}

static mp_rc_t dismiss_surplus(mpx_workshop_t *self, int64_t now)
{
    uint64_t worker;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (worker = mpx_crew_surplus(self->crew))) {
        rc = mpx_engine_worker_drain(self->engine, now, worker);
        if (rc == MP_OK)
            rc = mpx_crew_dismiss(self->crew, worker);
    }
    return rc;
}

/* As many as should work, those who lend their place, and the spare ones. */
static mp_rc_t resize_crew(mpx_workshop_t *self, int64_t now)
{
    uint32_t size = self->size + self->lending + self->spare;
    if (size == self->crew_size)
        return MP_OK;
    mp_rc_t rc = mpx_crew_resize(self->crew, size);
    self->crew_size = size;
    return rc == MP_OK ? dismiss_surplus(self, now) : rc;
}

mp_rc_t mpx_workshop_resize(mpx_workshop_t *self, int64_t now, uint32_t size)
{
    if (size == 0)
        return mpx_fault(MP_EINVAL, "a workshop needs at least one executor");
    self->size = size;
    return resize_crew(self, now);
}

/* ---- calls of calls ---------------------------------------------------------------------------
 */

static mp_rc_t to_call(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    const mpx_bench_t *bench = arg;
    return mpx_crew_send_nested(bench->workshop->crew, bench->worker, header, payload);
}

static mpx_bench_t *find_spare(const mpx_workshop_t *self)
{
    mpx_bench_t *bench;
    DL_FOREACH (self->benches, bench)
        if (bench->spare)
            break;
    return bench;
}

static mp_rc_t set_spare(mpx_workshop_t *self, int64_t now, mpx_bench_t *bench, bool spare)
{
    bench->spare = spare;
    self->spare += spare ? 1 : -1u;
    return mpx_engine_worker_pause(self->engine, now, bench->worker, spare);
}

/* Its call begins to wait: somebody else works in its place. */
static mp_rc_t lend(mpx_workshop_t *self, int64_t now, mpx_bench_t *bench)
{
    bench->lends = true;
    self->lending++;
    if (bench->spare) { /* it was to end what it had: its place is another's already */
        bench->spare = false;
        self->spare--;
        return MP_OK;
    }
    mpx_bench_t *spare = find_spare(self);
    mp_rc_t rc = mpx_engine_worker_pause(self->engine, now, bench->worker, true);
    if (rc == MP_OK && spare)
        rc = set_spare(self, now, spare, false);
    return rc == MP_OK ? resize_crew(self, now) : rc;
}

/* Its calls are over. One of the others becomes spare: one that has nothing to do, if there is. */
static mp_rc_t take_back(mpx_workshop_t *self, int64_t now, mpx_bench_t *bench)
{
    mpx_bench_t *other, *spare = NULL;
    uint32_t given;
    mpx_tally_t tally;
    bench->lends = false;
    self->lending--;
    DL_FOREACH (self->benches, other) {
        bool idle = mpx_engine_worker_tally(self->engine, other->worker, &given, &tally) && !given;
        if (other != bench && !other->lends && !other->spare && (idle || !spare))
            spare = other;
        if (spare == other && idle)
            break;
    }
    mp_rc_t rc = mpx_engine_worker_pause(self->engine, now, bench->worker, false);
    if (rc == MP_OK && spare && self->spare < self->size)
        rc = set_spare(self, now, spare, true);
    return rc == MP_OK ? resize_crew(self, now) : rc;
}

static mp_rc_t take_back_all(mpx_workshop_t *self, int64_t now)
{
    mpx_bench_t *bench;
    mp_rc_t rc = MP_OK;
    DL_FOREACH (self->benches, bench) {
        if (rc == MP_OK && bench->relay)
            rc = mpx_relay_flush(bench->relay, now);
        if (rc == MP_OK && bench->lends && mpx_relay_open_calls(bench->relay) == 0)
            rc = take_back(self, now, bench);
    }
    return rc;
}

static mp_rc_t refuse(const mpx_workshop_t *self, const mpx_crew_event_t *event)
{
    mpx_header_t header = event->header;
    header = (mpx_header_t){.op = MPX_OP_RESULT,
                            .chunk = header.chunk,
                            .first = header.first,
                            .count = header.count,
                            .code = MP_ELIMIT};
    return mpx_crew_send_nested(self->crew, event->worker, &header, (mp_bytes_t){0});
}

static mp_rc_t on_nested(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mpx_bench_t *bench = find_bench(self, event->worker);
    mpx_relay_options_t options = {
        .send_self = bench, .send = to_call, .limit_here = true, .nested = true};
    bool submits = event->header.op == MPX_OP_SUBMIT;
    mp_rc_t rc = MP_OK;
    if (!bench)
        return MP_OK;
    if (!bench->relay) {
        rc = mpx_relay_new(self->engine, &options, &bench->relay);
        self->relays += rc == MP_OK;
    }
    if (rc == MP_OK && submits && !bench->lends && self->lending >= LENDING_MAX)
        return refuse(self, event);
    if (rc == MP_OK && submits && !bench->lends)
        rc = lend(self, now, bench);
    if (rc == MP_OK)
        rc = mpx_relay_message(bench->relay, now, &event->header, event->payload);
    if (rc == MP_OK || rc == MP_ENOMEM)
        return rc;
    mpx_crew_kill(self->crew, event->worker); /* it is not to be trusted any more */
    return MP_OK;
}

/* ---- news from them ---------------------------------------------------------------------------
 */

static mp_rc_t on_up(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mpx_worker_spec_t spec = {.slots = 1,
                              .horizon_ns = HORIZON_MS * MPX_MS,
                              .credit_bytes = CREDIT_BYTES,
                              .have = &self->options.have,
                              .shares = true,
                              .returns = true,
                              .yields = true};
    mp_rc_t rc = MP_OK;
    mpx_bench_t *bench = calloc(1, sizeof *bench);
    if (!bench)
        return MP_ENOMEM;
    *bench = (mpx_bench_t){.workshop = self,
                           .worker = event->worker,
                           .pid = event->pid,
                           .start_ns = event->start_ns,
                           .init_ns = (int64_t)event->header.busy_ns,
                           .up_at = now};
    DL_APPEND(self->benches, bench);
    if (self->gives_back)
        mpx_crew_ask(self->crew, event->worker, 1, MP_EDRAINING);
    self->counts.turnover.started++;
    self->counts.up++;
    if (self->expected > 0 && --self->expected == 0)
        rc = self->options.ready(self->options.self, event->payload);
    if (rc == MP_OK)
        rc = mpx_engine_worker_join(self->engine, now, event->worker, NULL, &spec);
    return rc == MP_OK ? dismiss_surplus(self, now) : rc;
}

/* Those that ended as this one has. */
static uint64_t *exits_of(mpx_workshop_t *self, const mpx_bench_t *bench,
                          const mpx_crew_event_t *event)
{
    mpx_turnover_t *turnover = &self->counts.turnover;
    if (event->retired)
        return &turnover->retired;
    if (event->want != MPX_WANT_NONE)
        return &turnover->memory;
    return bench->stopped ? &turnover->stopped : &turnover->crashed;
}

static void clear_bench(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mpx_bench_t *bench = find_bench(self, event->worker);
    if (!bench)
        return; /* it died before it was up */
    self->relays -= bench->relay != NULL;
    mpx_relay_destroy(&bench->relay, now);
    self->lending -= bench->lends;
    self->spare -= bench->spare;
    self->counts.up--;
    *exits_of(self, bench, event) += 1;
    DL_DELETE(self->benches, bench);
    free(bench);
}

static void tell_want(const mpx_workshop_t *self, const mpx_crew_event_t *event, char *text,
                      size_t size)
{
    enum { MIB = 1 << 20 };
    if (event->want == MPX_WANT_KERNEL)
        snprintf(text, size,
                 "worker process %d was killed by the kernel, which had no more memory for it",
                 event->pid);
    else
        snprintf(text, size,
                 "worker process %d had taken %.1f MiB of memory, over its limit of %.1f MiB, and "
                 "was killed",
                 event->pid, (double)event->taken_bytes / MIB,
                 (double)self->options.crew.memory_limit_bytes / MIB);
}

static mp_rc_t on_down(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    char name[64], why[160];
    bool wanted = event->want != MPX_WANT_NONE;
    mpx_loss_t loss = {
        .rc = wanted ? MP_ENOMEM : MP_ECRASHED,
        .why = wanted ? why : NULL,
        .host = self->host,
        .name = name,
        .pid = (uint32_t)event->pid,
        .signal = (uint32_t)event->signal,
        .exit_status = (uint32_t)event->exit_status,
        .error_output = event->error_output,
        .backtrace = event->backtrace,
    };
    snprintf(name, sizeof name, "worker process %d", event->pid);
    tell_want(self, event, why, sizeof why);
    clear_bench(self, now, event);
    if (self->options.down)
        self->options.down(self->options.self, event);
    mp_rc_t rc =
        mpx_engine_worker_lost(self->engine, now, event->worker,
                               event->retired ? MPX_CHARGE_NONE : MPX_CHARGE_RUNNING, &loss);
    if (rc == MP_EINVAL) /* it died before it was up */
        rc = MP_OK;
    return rc == MP_OK ? resize_crew(self, now) : rc;
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

/* Those that are up don't have the new module. */
static mp_rc_t on_loaded(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    mp_rc_t rc = self->options.loaded(self->options.self, MP_OK, event->payload, "");
    const mpx_bench_t *bench;
    DL_FOREACH (self->benches, bench) {
        if (rc == MP_OK)
            rc = mpx_engine_worker_drain(self->engine, now, bench->worker);
        if (rc == MP_OK && mpx_crew_dismiss(self->crew, bench->worker) == MP_ENOMEM)
            rc = MP_ENOMEM;
    }
    return rc;
}

mp_rc_t mpx_workshop_load(mpx_workshop_t *self, const char *path)
{
    return mpx_crew_load(self->crew, path);
}

void mpx_workshop_stop_loading(mpx_workshop_t *self)
{
    mpx_crew_stop_loading(self->crew);
}

void mpx_workshop_give_back(mpx_workshop_t *self)
{
    const mpx_bench_t *bench;
    self->gives_back = true;
    DL_FOREACH (self->benches, bench)
        mpx_crew_ask(self->crew, bench->worker, 1, MP_EDRAINING);
}

bool mpx_workshop_is_busy(const mpx_workshop_t *self)
{
    const mpx_bench_t *bench;
    uint32_t given = 0;
    mpx_tally_t tally;
    DL_FOREACH (self->benches, bench)
        if (mpx_engine_worker_tally(self->engine, bench->worker, &given, &tally) && given)
            return true;
    return false;
}

static mp_rc_t on_event(mpx_workshop_t *self, int64_t now, const mpx_crew_event_t *event)
{
    switch (event->kind) {
    case MPX_CREW_UP:
        return on_up(self, now, event);
    case MPX_CREW_MESSAGE:
        return on_message(self, now, event);
    case MPX_CREW_NESTED:
        return on_nested(self, now, event);
    case MPX_CREW_DOWN:
        return on_down(self, now, event);
    case MPX_CREW_LOADED:
        return on_loaded(self, now, event);
    case MPX_CREW_REFUSED:
        return self->options.loaded(self->options.self, event->rc, (mp_bytes_t){0}, event->problem);
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
    if (rc == MP_OK && self->relays)
        rc = take_back_all(self, now);
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

static size_t resident_bytes(int pid)
{
    char path[64];
    unsigned long long size = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

void mpx_workshop_describe(const mpx_workshop_t *self, const mpx_bench_t *bench, int64_t now,
                           mpx_executor_stat_t *out)
{
    uint32_t given = 0;
    mpx_tally_t tally = {0};
    (void)mpx_engine_worker_tally(self->engine, bench->worker, &given, &tally);
    *out = (mpx_executor_stat_t){
        .id = bench->worker,
        .pid = (uint32_t)bench->pid,
        .given = given,
        .calls = tally.ok + tally.failed + tally.timed_out + tally.other,
        .start_ns = (uint64_t)bench->start_ns,
        .init_ns = (uint64_t)bench->init_ns,
        .working_ns = (uint64_t)tally.busy_ns,
        .memory_bytes = resident_bytes(bench->pid),
        .host = "",
        .worker = "",
    };
    /* A call's time is taken where it ran, so rounding could make it longer than the life. */
    int64_t life_ns = now - bench->up_at;
    out->waiting_ns = life_ns > tally.busy_ns ? (uint64_t)(life_ns - tally.busy_ns) : 0;
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
    self->size = options->crew.size;
    self->crew_size = options->crew.size;
    self->generation = mpx_fork_generation();
    if (gethostname(self->host, sizeof self->host - 1))
        strcpy(self->host, "localhost");
    mpx_transport_t transport = {.self = self,
                                 .send = transport_send,
                                 .submit = transport_submit,
                                 .stop = transport_stop,
                                 .recall = transport_recall};
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
    mpx_bench_t *bench, *next;
    DL_FOREACH_SAFE (self->benches, bench, next) {
        if (self->generation == mpx_fork_generation()) /* else the lanes are another's */
            mpx_relay_destroy(&bench->relay, mpx_now());
        free(bench);
    }
    mpx_crew_destroy(&self->crew);
    mpx_engine_destroy(&self->engine);
    free(self);
    *self_p = NULL;
}
