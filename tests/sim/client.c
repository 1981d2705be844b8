/* client.c: a program with a pool over the broker, as pool/remote.c has it, or on its own host, as
 * pool/local.c has it: jobs are opened, filled little by little, held, cancelled and closed, and
 * each outcome is written down. */
#include "world.h"

#include "backend.h"
#include "clock.h"
#include "visits.h"

#include <stdlib.h>
#include <string.h>

enum {
    JOBS_OPEN = 3,
    JOBS_MAX = 64,
    CALL_LIMIT_MS = 60,
    GRACE_MS = 20,
    CONNECT_MS = 10000,
    SLOW_US = 5000000,
    PADDING_MAX = 41,
    STATS_MAX = 8,
    KEEPS = 3
};

typedef struct job {
    struct client *client;
    uint64_t id; /* on the engine */
    uint16_t number;
    uint8_t task;
    bool fixed; /* items of one size */
    bool limited;
    bool held;
    uint8_t needs;
    terms_t terms;
    uint32_t calls, put, ended;
    order_t *orders;
    mpx_buf_t scratch;
} job_t;

typedef struct client {
    proc_t *proc;
    mpx_backend_t *backend;
    mp_pool_options_t options;
    visits_t *visits; /* NULL: no broker keeps anything for it */
    job_t *jobs[JOBS_OPEN];
    unsigned jobs_left;
    uint16_t last_job;
    int64_t acts_at;
    bool asked;
    mpx_question_t question;
    mp_worker_stat_t stats[STATS_MAX];
} client_t;

/* ---- hooks -------------------------------------------------------------------------- */

/* Of what length an input is: those without a fixed one have all lengths. */
static size_t input_bytes(const job_t *job, uint64_t index)
{
    return sizeof *job->orders + (job->fixed ? 0 : index * 7 % PADDING_MAX);
}

static mp_rc_t hook_inputs(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    job_t *job = arg;
    (void)tag;
    MUST(first + count <= job->put, "the engine wants inputs of calls that were never put");
    mpx_buf_clear(&job->scratch);
    for (uint64_t i = first; i < first + count; i++) {
        unsigned char input[sizeof *job->orders + PADDING_MAX] = {0};
        mp_bytes_t item = {input, input_bytes(job, i)};
        memcpy(input, &job->orders[i], sizeof *job->orders);
        mp_rc_t rc = job->fixed ? mpx_buf_add(&job->scratch, item.data, item.size)
                                : mpx_item_add(&job->scratch, item);
        MUST(rc == MP_OK, "no memory");
    }
    out->item_bytes = job->fixed ? sizeof *job->orders : 0;
    out->payload = mpx_buf_bytes(&job->scratch);
    return MP_OK;
}

static void hook_outcome(void *arg, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    job_t *job = arg;
    (void)tag, (void)busy_ns;
    MUST(index < job->put, "a call has ended that was never put");
    job->ended++;
    calls_ended(&job->orders[index], record->rc, record->value);
}

static void hook_progress(void *arg, uint64_t tag, uint64_t index, mp_bytes_t body)
{
    const job_t *job = arg;
    (void)tag, (void)body;
    MUST(index < job->put, "a call says how far it is that was never put");
}

static const mpx_job_hooks_t hooks = {
    .inputs = hook_inputs, .outcome = hook_outcome, .progress = hook_progress};

/* ---- jobs --------------------------------------------------------------------------- */

static deed_t some_deed(const job_t *job)
{
    if (!(world->faults & TASKS) || !one_in(6))
        return WELL;
    deed_t deed = (deed_t)chance(DEEDS);
    return deed == HANGS && !job->limited && !job->terms.deadline_ns ? FAILS : deed;
}

/* A few take so long that what waits behind them goes elsewhere. */
static uint32_t some_time_us(uint32_t most_us, bool slow)
{
    return (uint32_t)(slow && one_in(12) ? chance_between(100000, SLOW_US) : chance(most_us) + 1);
}

static void fill_in(job_t *job, uint32_t most_us)
{
    bool slow = !job->limited && one_in(6);
    for (uint32_t i = 0; i < job->calls; i++)
        job->orders[i] = (order_t){.client = (uint32_t)job->client->proc->pid,
                                   .job = job->number,
                                   .index = (uint16_t)i,
                                   .run_us = some_time_us(most_us, slow),
                                   .deed = (uint8_t)some_deed(job),
                                   .task = job->task,
                                   .needs = job->needs};
}

/* On its own host it isn't told that there is too little: it must not ask for that. */
static uint8_t some_needs(const proc_t *proc)
{
    uint8_t needs = (uint8_t)(one_in(3) ? chance(GOODS) : 0);
    return !proc->local || goods_meet(goods_of(proc->goods), goods_of(needs)) ? needs : 0;
}

static mpx_job_spec_t some_spec(const job_t *job)
{
    const proc_t *proc = job->client->proc;
    static const char *const names[] = {"t0", "t1", "t2"};
    mpx_job_spec_t spec = {.open = {.task = names[job->task],
                                    .signature = "order -> u64",
                                    .label = "",
                                    .grace_ms = GRACE_MS,
                                    .wait_ms = (uint32_t)chance_between(2000, 20000),
                                    .weight = (uint32_t)chance(4),
                                    .needs = goods_text(job->needs)},
                           .meet_here = proc->local,
                           .limit_here = proc->local,
                           .chunk_calls = one_in(2) ? (uint32_t)chance(5) : 0,
                           .retries = job->terms.retries,
                           .retry_on = job->terms.retry_on,
                           .retry_delay_ns = job->terms.retry_delay_ns,
                           .crashes_max = job->terms.crashes_max,
                           .delay_ns = job->terms.delay_ns,
                           .deadline_ns = job->terms.deadline_ns};
    if (one_in(4))
        spec.open.priority = (int32_t)chance(5) - 2;
    if (job->limited) {
        spec.open.call_limit_ms = CALL_LIMIT_MS;
        spec.open.soft_limit_ms = one_in(2) ? CALL_LIMIT_MS / 2 : 0;
        spec.chunk_calls = 1;
    }
    return spec;
}

static terms_t some_terms(void)
{
    terms_t terms = {.crashes_max = (uint32_t)chance_between(1, 4)};
    if (one_in(4))
        terms.delay_ns = (int64_t)chance(one_in(2) ? 20 : 1500) * MPX_MS;
    if (one_in(4))
        terms.deadline_ns = (int64_t)chance_between(1, one_in(2) ? 100 : 3000) * MPX_MS;
    if (one_in(2)) {
        terms.retries = (uint32_t)chance(4);
        terms.retry_on = one_in(2) ? 0 : (uint32_t)chance(64);
        terms.retry_delay_ns = one_in(2) ? (int64_t)chance(200) * MPX_MS : 0;
    }
    return terms;
}

static job_t *open_job(client_t *self)
{
    job_t *job = calloc(1, sizeof *job);
    MUST(job, "no memory");
    job->client = self;
    job->number = ++self->last_job;
    job->task = (uint8_t)chance(TASKS_MAX);
    job->fixed = one_in(2);
    job->limited = (world->faults & TASKS) && one_in(3);
    job->needs = some_needs(self->proc);
    job->terms = some_terms();
    job->calls = (uint32_t)chance(world->scope.calls) + 1;
    job->orders = calloc(job->calls, sizeof *job->orders);
    MUST(job->orders, "no memory");
    fill_in(job, one_in(4) ? 30000 : one_in(2) ? 3000 : 100);
    mpx_job_spec_t spec = some_spec(job);
    mp_rc_t rc =
        mpx_engine_job_open(self->backend->engine, mpx_now(), &spec, &hooks, job, &job->id);
    MUST(rc == MP_OK, "a job can't be opened: %s", mp_errname(rc));
    trace("%s opens job %u (%llu there) of %s, %u calls", name_of(self->proc), job->number,
          (unsigned long long)job->id, spec.open.task, job->calls);
    return job;
}

static void put_some(job_t *job, uint32_t most)
{
    mpx_engine_t *engine = job->client->backend->engine;
    uint32_t count = (uint32_t)chance(most) + 1;
    if (count > job->calls - job->put)
        count = job->calls - job->put;
    uint32_t first = job->put;
    job->put += count;
    for (uint32_t i = first; i < first + count; i++)
        calls_asked(&job->orders[i], &job->terms);
    mp_rc_t rc = MP_OK;
    if (job->fixed)
        rc = mpx_engine_put(engine, mpx_now(), job->id, first, count, count * sizeof *job->orders,
                            0);
    else
        for (uint32_t i = first; i < first + count && rc == MP_OK; i++)
            rc = mpx_engine_put(engine, mpx_now(), job->id, i, 1,
                                sizeof(uint32_t) + input_bytes(job, i), 0);
    MUST(rc == MP_OK, "calls can't be put: %s", mp_errname(rc));
}

static void cancel_some(job_t *job)
{
    mpx_engine_t *engine = job->client->backend->engine;
    uint32_t first = (uint32_t)chance(job->put + 1);
    uint32_t count = one_in(2) ? job->put - first : (uint32_t)chance(4);
    if (one_in(3)) {
        first = 0;
        count = job->put;
    }
    if (first + count > job->put)
        count = job->put - first;
    trace("%s cancels %u calls from %u of job %u", name_of(job->client->proc), count, first,
          job->number);
    for (uint32_t i = first; i < first + count; i++)
        calls_cancelled(&job->orders[i]);
    mp_rc_t rc = count == job->put && one_in(2)
                     ? mpx_engine_job_fail(engine, mpx_now(), job->id, MP_ECANCELLED, "cancelled")
                     : mpx_engine_cancel(engine, mpx_now(), job->id, first, count);
    MUST(rc == MP_OK || rc == MP_EINVAL, "calls can't be cancelled: %s", mp_errname(rc));
}

static void hold(job_t *job, bool held)
{
    job->held = held;
    mp_rc_t rc = mpx_engine_job_hold(job->client->backend->engine, mpx_now(), job->id, held);
    MUST(rc == MP_OK, "a job can't be held: %s", mp_errname(rc));
}

static void job_free(job_t *job)
{
    mpx_buf_free(&job->scratch);
    free(job->orders);
    free(job);
}

static void close_job(job_t *job)
{
    mp_rc_t rc = mpx_engine_job_close(job->client->backend->engine, mpx_now(), job->id);
    MUST(rc == MP_OK, "a job can't be closed: %s", mp_errname(rc));
    trace("%s closes job %u", name_of(job->client->proc), job->number);
    job_free(job);
}

/* As a program that destroys a job with calls in it. */
static void drop_calls(const job_t *job)
{
    trace("%s drops job %u", name_of(job->client->proc), job->number);
    for (uint32_t i = 0; i < job->put; i++)
        calls_dropped(&job->orders[i]);
}

/* One thing that a program might do next. false: the job is over. */
static bool go_on(job_t *job)
{
    uint64_t what = chance(16);
    bool may = (world->faults & CANCEL) && !world->calm;
    if (job->held && (world->calm || what < 8))
        hold(job, false);
    else if (may && what == 0)
        hold(job, true);
    else if (may && what == 1 && job->put)
        cancel_some(job);
    else if (job->put < job->calls && (world->calm || what < 12))
        put_some(job, world->scope.calls);
    if (may && what == 2 && one_in(8)) {
        drop_calls(job);
        return false;
    }
    return job->put < job->calls || job->ended < job->put;
}

/* What are the workers at? The answer may be lost, but not for ever. */
static void ask(client_t *self)
{
    mpx_question_t *question = &self->question;
    if (self->asked && question->over)
        self->asked = false;
    if (self->proc->local || self->asked || world->calm || !one_in(4))
        return;
    *question = (mpx_question_t){.entries = self->stats, .room = STATS_MAX};
    self->asked = self->backend->ops->ask(self->backend, question) == MP_OK;
}

static void act(client_t *self)
{
    for (size_t i = 0; i < JOBS_OPEN; i++) {
        job_t **job = &self->jobs[i];
        if (*job && !go_on(*job)) {
            close_job(*job);
            *job = NULL;
        } else if (!*job && self->jobs_left && !world->calm && one_in(3)) {
            self->jobs_left--;
            *job = open_job(self);
        }
    }
    ask(self);
    if (self->visits)
        visits_act(self->visits);
    int64_t now = mpx_now();
    self->acts_at = now + (int64_t)chance_between(100, 40000) * 1000;
}

/* ---- the process -------------------------------------------------------------------- */

void *client_new(proc_t *proc)
{
    client_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->proc = proc;
    self->jobs_left = world->scope.jobs;
    self->options = (mp_pool_options_t){.processes = (int)proc->slots,
                                        .connect_timeout_ms = CONNECT_MS,
                                        .have = goods_text(proc->goods)};
    mp_rc_t rc = proc->local
                     ? mpx_local_new(&self->options, &self->backend)
                     : mpx_remote_new("tcp://127.0.0.1:5555", &self->options, &self->backend);
    MUST(rc == MP_OK, "a client can't start: %s", mp_errmsg());
    if (!proc->local)
        self->visits = visits_new(proc, self->backend, KEEPS);
    self->acts_at = mpx_now() + (int64_t)chance(20) * MPX_MS;
    if (one_in(2))
        mpx_engine_seed(self->backend->engine, chance(UINT64_MAX));
    return self;
}

bool client_is_idle(const void *arg)
{
    const client_t *self = arg;
    for (size_t i = 0; i < JOBS_OPEN; i++)
        if (self->jobs[i])
            return false;
    return !self->visits || visits_are_over(self->visits);
}

static void check_ended(const client_t *self)
{
    for (size_t i = 0; i < JOBS_OPEN; i++)
        MUST(!self->jobs[i] || self->jobs[i]->ended == self->jobs[i]->put,
             "a client has given up, and calls of it haven't ended");
}

bool client_turn(void *arg)
{
    client_t *self = arg;
    mpx_backend_t *backend = self->backend;
    mp_rc_t rc = backend->ops->turn(backend, mpx_now());
    if (backend->failed != MP_OK) {
        trace("%s gives up: %s", name_of(self->proc), backend->problem);
        MUST(world->faults & ~(TASKS | CANCEL | LIMITS), "a client has failed: %s",
             backend->problem);
        MUST(backend->failed == MP_ECONNECT || backend->failed == MP_EDRAINING,
             "a client has failed: %s (%s)", backend->problem, mp_errname(backend->failed));
        check_ended(self);
        return false;
    }
    MUST(rc == MP_OK, "a client has failed: %s (%s)", mp_errname(rc), mp_errmsg());
    if (mpx_now() >= self->acts_at)
        act(self);
    bool waits = self->asked && !self->question.over;
    return !self->proc->leaves || !client_is_idle(self) || waits;
}

int64_t client_deadline(const void *arg)
{
    const client_t *self = arg;
    return mpx_earlier(self->acts_at, self->backend->ops->deadline(self->backend));
}

void client_check(const void *arg)
{
    const client_t *self = arg;
    const char *wrong = mpx_engine_check(self->backend->engine);
    MUST(!wrong, "%s: %s", name_of(self->proc), wrong);
    calls_check((uint32_t)self->proc->pid);
}

void client_free(void *arg)
{
    client_t *self = arg;
    for (size_t i = 0; i < JOBS_OPEN; i++)
        if (self->jobs[i])
            (void)mpx_engine_job_close(self->backend->engine, mpx_now(), self->jobs[i]->id);
    if (self->visits)
        visits_free(self->visits);
    self->backend->ops->destroy(self->backend);
    for (size_t i = 0; i < JOBS_OPEN; i++)
        if (self->jobs[i])
            job_free(self->jobs[i]);
    free(self);
}
