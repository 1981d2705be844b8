/* hall.c: the workshop of the simulation: workshop.h with executors that are structs (crewman.c),
 * for mp-workers and for pools on their own host. */
#include "world.h"

#include "clock.h"
#include "crewman.h"
#include "workshop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct mpx_workshop {
    mpx_workshop_options_t options;
    mpx_engine_t *engine;
    proc_t *proc;
    crewman_t *crew;
    uint64_t last_worker;
    uint32_t expected;
    bool gives_back;
};

/* STOPPED_MS: the way there, twice, and the steps of stopping a call. LATE_MS: some rounds of
 * asking for a chunk that waits, farther and farther apart. */
enum {
    HORIZON_MS = 2,
    CREDIT_BYTES = 2 * 1024 * 1024,
    FEW_BYTES = 64,
    STOPPED_MS = 250,
    LATE_MS = 1500
};

/* ---- what the engine asks for ------------------------------------------------------- */

static crewman_t *find(const mpx_workshop_t *self, uint64_t worker)
{
    crewman_t *crewman = self->crew;
    while (crewman && crewman->worker != worker)
        crewman = crewman->next;
    return crewman;
}

static mp_rc_t transport_send(void *arg, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    crewman_t *crewman = find(arg, worker);
    if (!crewman || header->op != MPX_OP_SUBMIT)
        return MP_OK;
    trace("%s gives chunk %llu to executor %llu: %u calls, %s", name_of(world->current),
          (unsigned long long)header->chunk, (unsigned long long)worker, header->count,
          header->busy_ns ? "for a time" : "whole");
    crewman_submit(crewman, header, payload);
    return MP_OK;
}

static void transport_stop(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)job;
    crewman_t *crewman = find(arg, worker);
    if (!crewman)
        return;
    if (stage == MPX_STOP_ASK) {
        crewman_ask(crewman, chunk, why);
        return;
    }
    bool in_vain = stage == MPX_STOP_TERMINATE && one_in(3);
    if (in_vain)
        world->defied_at = world->now;
    crewman_signal(crewman, stage == MPX_STOP_KILL ? 9 : 15, in_vain);
}

static bool transport_recall(void *arg, uint64_t worker, uint64_t job, uint64_t chunk)
{
    (void)job;
    crewman_t *crewman = find(arg, worker);
    bool back = crewman && crewman_call_back(crewman, chunk);
    trace("%s calls chunk %llu back from executor %llu: %s", name_of(world->current),
          (unsigned long long)chunk, (unsigned long long)worker,
          back ? "it won't begin it" : "it may have begun it");
    return back;
}

/* ---- executors ---------------------------------------------------------------------- */

static void hire(mpx_workshop_t *self, int64_t at)
{
    crewman_t *crewman = crewman_new(self->proc, ++self->last_worker, at);
    DL_APPEND(self->crew, crewman);
}

static void dismiss(mpx_workshop_t *self, crewman_t *crewman)
{
    DL_DELETE(self->crew, crewman);
    crewman_free(crewman);
}

static mp_rc_t read_letters(const mpx_workshop_t *self, crewman_t *crewman, int64_t now)
{
    letter_t *letter;
    while ((letter = crewman_letter(crewman, now))) {
        mp_rc_t rc = mpx_engine_message(self->engine, now, crewman->worker, &letter->header,
                                        mpx_buf_bytes(&letter->payload));
        MUST(rc == MP_OK, "an executor's %s is refused: %s", mpx_op_name(letter->header.op),
             mp_errmsg());
        crewman_drop(crewman, letter);
    }
    return MP_OK;
}

static mp_rc_t die(mpx_workshop_t *self, crewman_t *crewman, int64_t now)
{
    mpx_loss_t loss = {.rc = MP_ECRASHED,
                       .host = "simulated",
                       .name = "a simulated executor",
                       .pid = (uint32_t)crewman->worker,
                       .signal = (uint32_t)crewman->signal};
    mpx_crew_event_t event = {.kind = MPX_CREW_DOWN,
                              .worker = crewman->worker,
                              .signal = crewman->signal,
                              .retired = crewman->retires};
    crewman_end(crewman);
    read_letters(self, crewman, now);
    trace("executor %llu of %s is dead (signal %d)", (unsigned long long)event.worker,
          name_of(self->proc), event.signal);
    dismiss(self, crewman);
    hire(self, now + (int64_t)chance(20) * MPX_MS);
    if (self->options.down)
        self->options.down(self->options.self, &event);
    return mpx_engine_worker_lost(self->engine, now, event.worker,
                                  event.retired ? MPX_CHARGE_NONE : MPX_CHARGE_RUNNING, &loss);
}

/* ---- what must hold ----------------------------------------------------------------- */

/* What of a pool on its own host is not as it would be if nothing broke. */
static bool is_disturbed(const mpx_workshop_t *self)
{
    return suffers(self->proc->role == CLIENT ? PAUSE | JUMP : BREAKS | DISK);
}

/* For how long it goes on that should have been stopped; what it was told before it began it may
 * have forgotten. */
static int64_t overdue_ns(const crewman_t *crewman)
{
    int64_t ran_ns = mpx_now() - crewman->begun_at;
    int64_t ns = calls_overdue(&crewman->order);
    return crewman->parcels->unwanted ? mpx_earlier(ran_ns, ns) : ns;
}

/* What is used up together, and who is still at it though it should have been stopped. */
static void check_running(const mpx_workshop_t *self)
{
    goods_t used = {0};
    const crewman_t *crewman;
    DL_FOREACH (self->crew, crewman) {
        if (!crewman->running)
            continue;
        goods_t needs = goods_of(crewman->order.needs);
        used.gpu += needs.gpu;
        used.memory += needs.memory;
        MUST(is_disturbed(self) || overdue_ns(crewman) < STOPPED_MS * MPX_MS,
             "call %u of job %u still runs %lld ms after its deadline", crewman->order.index,
             crewman->order.job, (long long)(overdue_ns(crewman) / MPX_MS));
    }
    MUST(goods_meet(goods_of(self->proc->goods), used), "calls use %u gpu and %u memory of '%s'",
         used.gpu, used.memory, goods_text(self->proc->goods));
}

static bool is_long_ago(int64_t at, int64_t other, int64_t now)
{
    return now - (at > other ? at : other) > LATE_MS * MPX_MS;
}

/* It has had nothing for so long that it must have been given what waits elsewhere. */
static bool idles(const crewman_t *crewman, int64_t now)
{
    return crewman->up && !crewman_is_busy(crewman) && crewman->dies_at == MPX_NEVER &&
           is_long_ago(crewman->free_at, crewman->up_at, now);
}

/* What needs something may have to wait. */
static bool needs_nothing(const parcel_t *parcel)
{
    mp_bytes_t rest = parcel->rest;
    mp_bytes_t item;
    order_t order;
    return mpx_item_next(&rest, parcel->header.item_bytes, &item) == MP_OK &&
           order_read(item, &order) && order.needs == 0;
}

/* What is wanted doesn't wait for long behind another call while somebody has nothing to do. */
static void check_waiting(const mpx_workshop_t *self)
{
    int64_t now = mpx_now();
    const crewman_t *idler = self->crew;
    const crewman_t *crewman;
    const parcel_t *parcel;
    while (idler && !idles(idler, now))
        idler = idler->next;
    if (!idler || self->gives_back || is_disturbed(self))
        return;
    DL_FOREACH (self->crew, crewman)
        DL_FOREACH (crewman->parcels, parcel)
            MUST(parcel->taken_up || parcel->called_back || parcel->unwanted ||
                     !is_long_ago(parcel->came_at, crewman->free_at, now) || !needs_nothing(parcel),
                 "chunk %llu waits at executor %llu of %s, and %llu has nothing to do",
                 (unsigned long long)parcel->header.chunk, (unsigned long long)crewman->worker,
                 name_of(self->proc), (unsigned long long)idler->worker);
}

void hall_check(const mpx_workshop_t *self)
{
    check_running(self);
    check_waiting(self);
}

/* ---- workshop.h --------------------------------------------------------------------- */

static mp_rc_t tell_ready(mpx_workshop_t *self)
{
    static const char *const names[] = {"t0", "t1", "t2"};
    mpx_offer_t offers[TASKS_MAX];
    mpx_hello_t hello = {.role = MPX_ROLE_EXECUTOR, .version_min = 1, .version_max = 1};
    hello.tasks = offers;
    for (size_t i = 0; i < TASKS_MAX; i++)
        if (self->proc->tasks >> i & 1)
            offers[hello.tasks_count++] = (mpx_offer_t){names[i], "order -> u64"};
    mpx_buf_t packed = {0};
    MUST(mpx_hello_pack(&hello, &packed) == MP_OK, "a HELLO can't be packed");
    mp_rc_t rc = self->options.ready(self->options.self, mpx_buf_bytes(&packed));
    mpx_buf_free(&packed);
    return rc;
}

/* As the workshop does it, for a pool as for an mp-worker. */
static mp_rc_t come_up(mpx_workshop_t *self, crewman_t *crewman, int64_t now)
{
    mpx_worker_spec_t spec = {.slots = 1,
                              .horizon_ns = HORIZON_MS * MPX_MS,
                              .credit_bytes = world->faults & LIMITS ? FEW_BYTES : CREDIT_BYTES,
                              .have = &self->options.have,
                              .shares = true,
                              .returns = true,
                              .yields = true};
    mp_rc_t rc = MP_OK;
    crewman->up = true;
    crewman->free_at = now;
    crewman->gives_back = self->gives_back;
    if (self->expected > 0 && --self->expected == 0)
        rc = tell_ready(self);
    return rc == MP_OK ? mpx_engine_worker_join(self->engine, now, crewman->worker, NULL, &spec)
                       : rc;
}

mp_rc_t mpx_workshop_turn(mpx_workshop_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    crewman_t *crewman, *next;
    DL_FOREACH_SAFE (self->crew, crewman, next) {
        if (rc == MP_OK && !crewman->up && crewman->up_at <= now)
            rc = come_up(self, crewman, now);
        if (rc != MP_OK || !crewman->up)
            continue;
        crewman_work(crewman, now);
        rc = read_letters(self, crewman, now);
        if (rc == MP_OK && crewman->dies_at <= now)
            rc = die(self, crewman, now);
    }
    if (rc == MP_OK && mpx_engine_deadline(self->engine) <= now)
        rc = mpx_engine_tick(self->engine, now);
    return rc;
}

int64_t hall_next(const mpx_workshop_t *self)
{
    int64_t next = MPX_NEVER;
    const crewman_t *crewman;
    DL_FOREACH (self->crew, crewman)
        next = mpx_earlier(next, crewman_next(crewman));
    return next;
}

mp_rc_t mpx_workshop_new(const mpx_workshop_options_t *options, mpx_workshop_t **out)
{
    mpx_workshop_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    mpx_transport_t transport = {
        .self = self, .send = transport_send, .stop = transport_stop, .recall = transport_recall};
    self->options = *options;
    self->proc = world->current;
    self->proc->hall = self;
    self->expected = options->crew.size;
    self->last_worker = (uint64_t)self->proc->pid << 16;
    mp_rc_t rc = mpx_engine_new(&transport, "simulated", &self->engine);
    for (uint32_t i = 0; i < options->crew.size; i++)
        hire(self, mpx_now() + (int64_t)chance(30) * MPX_MS);
    *out = self;
    return rc;
}

void mpx_workshop_destroy(mpx_workshop_t **self_p)
{
    mpx_workshop_t *self = *self_p;
    if (!self)
        return;
    mpx_engine_destroy(&self->engine);
    while (self->crew)
        dismiss(self, self->crew);
    self->proc->hall = NULL;
    free(self);
    *self_p = NULL;
}

mpx_engine_t *mpx_workshop_engine(const mpx_workshop_t *self)
{
    return self->engine;
}

const char *mpx_workshop_host(const mpx_workshop_t *self)
{
    (void)self;
    return "simulated";
}

void mpx_workshop_wake(mpx_workshop_t *self)
{
    (void)self;
}

bool mpx_workshop_sleep(mpx_workshop_t *self)
{
    (void)self;
    return true;
}

int mpx_workshop_fd(const mpx_workshop_t *self)
{
    (void)self;
    return -1;
}

const mpx_bench_t *mpx_workshop_benches(const mpx_workshop_t *self)
{
    static const mpx_bench_t bench = {.worker = 1};
    (void)self;
    return &bench;
}

void mpx_workshop_describe(const mpx_workshop_t *self, const mpx_bench_t *bench, int64_t now,
                           mpx_executor_stat_t *out)
{
    (void)self, (void)bench, (void)now;
    *out = (mpx_executor_stat_t){.host = "", .worker = ""};
}

void mpx_workshop_give_back(mpx_workshop_t *self)
{
    crewman_t *crewman;
    self->gives_back = true;
    DL_FOREACH (self->crew, crewman)
        crewman->gives_back = crewman->up;
}

bool mpx_workshop_is_busy(const mpx_workshop_t *self)
{
    const crewman_t *crewman = self->crew;
    while (crewman && !crewman_is_busy(crewman))
        crewman = crewman->next;
    return crewman;
}

/* Modules are not simulated. */
mp_rc_t mpx_workshop_load(mpx_workshop_t *self, const char *path)
{
    (void)self, (void)path;
    return MP_EINVAL;
}

void mpx_workshop_stop_loading(mpx_workshop_t *self)
{
    (void)self;
}

/* Nobody here asks a local pool for these. */
void mpx_workshop_counts(const mpx_workshop_t *self, mpx_workshop_counts_t *out)
{
    (void)self;
    *out = (mpx_workshop_counts_t){0};
}

mp_rc_t mpx_workshop_resize(mpx_workshop_t *self, int64_t now, uint32_t size)
{
    (void)self, (void)now, (void)size;
    return MP_EINVAL;
}
