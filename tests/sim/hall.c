/* hall.c: the workshop of the simulation: workshop.h with executors that are structs. They do what
 * those of crew/executor.c do, in simulated time: results that are there before a crash count. */
#include "world.h"

#include "clock.h"
#include "recalls.h"
#include "workshop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

typedef struct chunk {
    struct chunk *prev, *next;
    mpx_header_t header;
    mp_bytes_t rest;
    uint32_t done;
    bool begun, asked, warned;
    int64_t came_at;
    unsigned char payload[];
} chunk_t;

typedef struct executor {
    struct executor *prev, *next;
    uint64_t worker;
    bool up;
    int64_t up_at;
    chunk_t *chunks; /* the first one is at work */
    bool running;    /* one of its calls */
    order_t order;
    int64_t begun_at, ends_at, free_at, dies_at;
    int signal;
    bool retires;
    uint32_t values; /* gathered, of the calls before `done` */
    int64_t busy_ns;
    mpx_buf_t gathered;
} executor_t;

struct mpx_workshop {
    mpx_workshop_options_t options;
    mpx_engine_t *engine;
    proc_t *proc;
    executor_t *executors;
    uint64_t last_worker;
    uint32_t expected;
    bool gives_back;
};

/* STOPPED_MS: the way there, twice, and the steps of stopping a call. */
enum { HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024, FEW_BYTES = 64, STOPPED_MS = 250 };

/* ---- what the engine asks for ------------------------------------------------------- */

static executor_t *find(const mpx_workshop_t *self, uint64_t worker)
{
    executor_t *executor = self->executors;
    while (executor && executor->worker != worker)
        executor = executor->next;
    return executor;
}

static mp_rc_t transport_send(void *arg, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    executor_t *executor = find(arg, worker);
    if (!executor || header->op != MPX_OP_SUBMIT)
        return MP_OK;
    chunk_t *chunk = malloc(sizeof *chunk + payload.size);
    MUST(chunk, "no memory");
    *chunk = (chunk_t){.header = *header, .came_at = mpx_now()};
    memcpy(chunk->payload, payload.data, payload.size);
    chunk->rest = (mp_bytes_t){chunk->payload, payload.size};
    DL_APPEND(executor->chunks, chunk);
    return MP_OK;
}

static void ask(executor_t *executor, chunk_t *chunk, mp_rc_t why)
{
    int64_t now = mpx_now();
    bool warns = why == MP_ETIMEDOUT;
    if (warns)
        chunk->warned = true;
    else
        chunk->asked = true;
    if (executor->running && chunk == executor->chunks && one_in(2) &&
        (!warns || executor->order.deed == HANGS))
        executor->ends_at = now + (int64_t)chance(1000) * 1000;
}

static void transport_stop(void *arg, uint64_t worker, uint64_t job, uint64_t id,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)job;
    executor_t *executor = find(arg, worker);
    if (!executor)
        return;
    if (stage == MPX_STOP_ASK) {
        chunk_t *chunk;
        DL_FOREACH (executor->chunks, chunk)
            if (chunk->header.chunk == id)
                ask(executor, chunk, why);
        return;
    }
    if (stage == MPX_STOP_TERMINATE && one_in(3)) {
        world->defied_at = world->now; /* it ignores that */
        return;
    }
    int64_t at = mpx_now() + (int64_t)chance(1000) * 1000;
    executor->dies_at = mpx_earlier(executor->dies_at, at);
    executor->signal = stage == MPX_STOP_KILL ? 9 : 15;
}

static bool transport_recall(void *arg, uint64_t worker, uint64_t job, uint64_t id)
{
    (void)job;
    executor_t *executor = find(arg, worker);
    chunk_t *chunk = executor ? executor->chunks : NULL;
    while (chunk && chunk->header.chunk != id)
        chunk = chunk->next;
    if (!chunk || chunk->begun)
        return false;
    DL_DELETE(executor->chunks, chunk);
    free(chunk);
    return true;
}

/* ---- executors ---------------------------------------------------------------------- */

static void hire(mpx_workshop_t *self, int64_t at)
{
    executor_t *executor = calloc(1, sizeof *executor);
    MUST(executor, "no memory");
    executor->worker = ++self->last_worker;
    executor->up_at = at;
    executor->dies_at = MPX_NEVER;
    DL_APPEND(self->executors, executor);
}

static void executor_free(mpx_workshop_t *self, executor_t *executor)
{
    chunk_t *chunk, *next;
    DL_DELETE(self->executors, executor);
    DL_FOREACH_SAFE (executor->chunks, chunk, next)
        free(chunk);
    mpx_buf_free(&executor->gathered);
    free(executor);
}

static void say(const mpx_workshop_t *self, const executor_t *executor, const mpx_header_t *header,
                mp_bytes_t payload)
{
    mp_rc_t rc = mpx_engine_message(self->engine, mpx_now(), executor->worker, header, payload);
    MUST(rc == MP_OK, "an executor's %s is refused: %s", mpx_op_name(header->op), mp_errmsg());
}

static mpx_header_t result_of(const executor_t *executor, uint32_t count, int64_t busy_ns)
{
    const chunk_t *chunk = executor->chunks;
    return (mpx_header_t){.op = MPX_OP_RESULT,
                          .chunk = chunk->header.chunk,
                          .first = chunk->header.first + chunk->done - count,
                          .count = count,
                          .busy_ns = (uint64_t)busy_ns};
}

static void hand_out_values(const mpx_workshop_t *self, executor_t *executor)
{
    if (!executor->values)
        return;
    mpx_header_t header = result_of(executor, executor->values, executor->busy_ns);
    header.item_bytes = sizeof(uint64_t);
    mpx_buf_t values = executor->gathered;
    executor->gathered = (mpx_buf_t){0};
    executor->values = 0;
    executor->busy_ns = 0;
    say(self, executor, &header, mpx_buf_bytes(&values));
    mpx_buf_free(&values);
}

static void gather(const mpx_workshop_t *self, executor_t *executor, int64_t busy_ns)
{
    uint64_t value = order_value(&executor->order);
    MUST(mpx_buf_add(&executor->gathered, &value, sizeof value) == MP_OK, "no memory");
    executor->values++;
    executor->busy_ns += busy_ns;
    if (one_in(4) || executor->chunks->done == executor->chunks->header.count)
        hand_out_values(self, executor);
}

static void hand_out_record(const mpx_workshop_t *self, executor_t *executor, mp_rc_t rc,
                            int64_t busy_ns)
{
    uint64_t value = order_value(&executor->order);
    mpx_failure_t failure = {.message = "as asked for",
                             .host = "simulated",
                             .attempt = executor->chunks->header.attempt};
    mpx_buf_t detail = {0}, records = {0};
    mpx_record_t record = {.rc = rc};
    if (rc != MP_OK)
        MUST(mpx_failure_pack(&failure, &detail) == MP_OK, "a failure can't be packed");
    else
        record.value = (mp_bytes_t){&value, sizeof value};
    record.detail = mpx_buf_bytes(&detail);
    MUST(mpx_record_add(&records, &record) == MP_OK, "a record can't be packed");
    mpx_header_t header = result_of(executor, 1, busy_ns);
    say(self, executor, &header, mpx_buf_bytes(&records));
    mpx_buf_free(&detail);
    mpx_buf_free(&records);
}

static void end_chunk(executor_t *executor)
{
    chunk_t *chunk = executor->chunks;
    DL_DELETE(executor->chunks, chunk);
    free(chunk);
    if ((world->faults & TASKS) && one_in(200)) {
        executor->retires = true;
        executor->dies_at = executor->free_at;
    }
}

/* Nobody wants the rest of it, or somebody else is to have it. */
static void give_up(const mpx_workshop_t *self, executor_t *executor, mp_rc_t why)
{
    chunk_t *chunk = executor->chunks;
    hand_out_values(self, executor);
    uint32_t left = chunk->header.count - chunk->done;
    chunk->done = chunk->header.count;
    mpx_header_t header = result_of(executor, left, 0);
    header.code = why;
    if (left)
        say(self, executor, &header, (mp_bytes_t){0});
    end_chunk(executor);
}

static void say_progress(const mpx_workshop_t *self, const executor_t *executor)
{
    const chunk_t *chunk = executor->chunks;
    mpx_progress_t progress = {.done = 1, .total = 2, .text = "half"};
    mpx_buf_t body = {0};
    MUST(mpx_progress_pack(&progress, &body) == MP_OK, "a PROGRESS can't be packed");
    mpx_header_t header = {.op = MPX_OP_PROGRESS,
                           .chunk = chunk->header.chunk,
                           .first = chunk->header.first + chunk->done};
    say(self, executor, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void begin_call(const mpx_workshop_t *self, executor_t *executor)
{
    chunk_t *chunk = executor->chunks;
    mp_bytes_t item;
    if (executor->free_at < chunk->came_at)
        executor->free_at = chunk->came_at;
    if (!chunk->begun) {
        mpx_header_t header = {
            .op = MPX_OP_STARTED, .chunk = chunk->header.chunk, .first = chunk->header.first};
        chunk->begun = true;
        say(self, executor, &header, (mp_bytes_t){0});
    }
    MUST(mpx_item_next(&chunk->rest, chunk->header.item_bytes, &item) == MP_OK &&
             order_read(item, &executor->order),
         "an executor was given garbage");
    MUST(self->proc->tasks >> executor->order.task & 1, "a call of a task that isn't offered here");
    MUST(goods_meet(goods_of(self->proc->goods), goods_of(executor->order.needs)),
         "a call that needs '%s' begins where there is '%s'", goods_text(executor->order.needs),
         goods_text(self->proc->goods));
    calls_begun(&executor->order, chunk->header.attempt);
    recalls_begun(self->proc, &executor->order);
    if (one_in(16))
        say_progress(self, executor);
    executor->running = true;
    executor->begun_at = executor->free_at;
    executor->ends_at = executor->order.deed == HANGS
                            ? MPX_NEVER
                            : executor->begun_at + executor->order.run_us * INT64_C(1000);
}

static bool crashes(const executor_t *executor)
{
    return executor->order.deed == CRASHES ||
           (executor->order.deed == CRASHES_ONCE && executor->chunks->header.attempt == 1);
}

static void end_call(const mpx_workshop_t *self, executor_t *executor)
{
    chunk_t *chunk = executor->chunks;
    int64_t busy_ns = executor->ends_at - executor->begun_at;
    executor->free_at = executor->ends_at;
    if (crashes(executor)) {
        executor->dies_at = executor->ends_at;
        executor->signal = 11;
        executor->ends_at = MPX_NEVER;
        return;
    }
    executor->running = false;
    deed_t deed = (deed_t)executor->order.deed;
    bool well = deed != FAILS && deed != HANGS;
    if (!well || !chunk->header.item_bytes)
        hand_out_values(self, executor);
    chunk->done++;
    if (well && chunk->header.item_bytes)
        gather(self, executor, busy_ns);
    else
        hand_out_record(self, executor, well ? MP_OK : MP_EFAILED, busy_ns);
    if (chunk->done == chunk->header.count)
        end_chunk(executor);
}

/* false: there is nothing to do just now. */
static bool work(const mpx_workshop_t *self, executor_t *executor, int64_t now)
{
    if (executor->running) {
        if (executor->ends_at > now || executor->ends_at > executor->dies_at)
            return false;
        end_call(self, executor);
        return true;
    }
    if (!executor->chunks || executor->retires || executor->free_at >= executor->dies_at)
        return false;
    if (executor->chunks->asked)
        give_up(self, executor, MP_ECANCELLED);
    else if (self->gives_back)
        give_up(self, executor, MP_EDRAINING);
    else
        begin_call(self, executor);
    return true;
}

static mp_rc_t die(mpx_workshop_t *self, executor_t *executor, int64_t now)
{
    mpx_loss_t loss = {.rc = MP_ECRASHED,
                       .host = "simulated",
                       .name = "a simulated executor",
                       .pid = (uint32_t)executor->worker,
                       .signal = (uint32_t)executor->signal};
    mpx_crew_event_t event = {.kind = MPX_CREW_DOWN,
                              .worker = executor->worker,
                              .signal = executor->signal,
                              .retired = executor->retires};
    uint64_t worker = executor->worker;
    bool retires = executor->retires;
    if (executor->chunks && executor->values)
        hand_out_values(self, executor);
    trace("executor %llu of %s is dead (signal %d)", (unsigned long long)worker,
          name_of(self->proc), executor->signal);
    executor_free(self, executor);
    hire(self, now + (int64_t)chance(20) * MPX_MS);
    if (self->options.down)
        self->options.down(self->options.self, &event);
    return mpx_engine_worker_lost(self->engine, now, worker,
                                  retires ? MPX_CHARGE_NONE : MPX_CHARGE_RUNNING, &loss);
}

/* What is used up together, and who is still at it though it should have been stopped. */
void hall_check(const mpx_workshop_t *self)
{
    goods_t used = {0};
    const executor_t *executor;
    DL_FOREACH (self->executors, executor) {
        if (!executor->running)
            continue;
        goods_t needs = goods_of(executor->order.needs);
        used.gpu += needs.gpu;
        used.memory += needs.memory;
        MUST(suffers(BREAKS | DISK) || calls_overdue(&executor->order) < STOPPED_MS * MPX_MS,
             "call %u of job %u still runs %lld ms after its deadline", executor->order.index,
             executor->order.job, (long long)(calls_overdue(&executor->order) / MPX_MS));
    }
    MUST(goods_meet(goods_of(self->proc->goods), used), "calls use %u gpu and %u memory of '%s'",
         used.gpu, used.memory, goods_text(self->proc->goods));
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

static mp_rc_t come_up(mpx_workshop_t *self, executor_t *executor, int64_t now)
{
    mpx_worker_spec_t spec = {.slots = 1,
                              .horizon_ns = HORIZON_MS * MPX_MS,
                              .credit_bytes = world->faults & LIMITS ? FEW_BYTES : CREDIT_BYTES,
                              .have = &self->options.have,
                              .shares = true};
    mp_rc_t rc = MP_OK;
    executor->up = true;
    executor->free_at = now;
    if (self->expected > 0 && --self->expected == 0)
        rc = tell_ready(self);
    return rc == MP_OK ? mpx_engine_worker_join(self->engine, now, executor->worker, NULL, &spec)
                       : rc;
}

mp_rc_t mpx_workshop_turn(mpx_workshop_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    executor_t *executor, *next;
    DL_FOREACH_SAFE (self->executors, executor, next) {
        if (rc == MP_OK && !executor->up && executor->up_at <= now)
            rc = come_up(self, executor, now);
        while (rc == MP_OK && executor->up && work(self, executor, now))
            ;
        if (rc == MP_OK && executor->up && executor->dies_at <= now)
            rc = die(self, executor, now);
    }
    if (rc == MP_OK && mpx_engine_deadline(self->engine) <= now)
        rc = mpx_engine_tick(self->engine, now);
    return rc;
}

int64_t hall_next(const mpx_workshop_t *self)
{
    int64_t next = MPX_NEVER;
    const executor_t *executor;
    DL_FOREACH (self->executors, executor) {
        if (!executor->up)
            next = mpx_earlier(next, executor->up_at);
        else if (executor->running)
            next = mpx_earlier(next, mpx_earlier(executor->ends_at, executor->dies_at));
        else if (executor->chunks && executor->free_at < executor->dies_at)
            next = 0;
        else
            next = mpx_earlier(next, executor->dies_at);
    }
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
    while (self->executors)
        executor_free(self, self->executors);
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
    self->gives_back = true;
}

bool mpx_workshop_is_busy(const mpx_workshop_t *self)
{
    const executor_t *executor = self->executors;
    while (executor && !executor->chunks)
        executor = executor->next;
    return executor;
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

/* Only local pools, which there are none of, ask for these. */
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
