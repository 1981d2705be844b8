#include "engine_private.h"

#include "clock.h"
#include "ending.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mp_rc_t mpx_engine_new(const mpx_transport_t *transport, const char *local_host, mpx_engine_t **out)
{
    mpx_engine_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->transport = *transport;
    self->bound = MPX_NEVER;
    self->local_host = strdup(local_host);
    if (!self->local_host || mpx_sched_new(&self->sched) != MP_OK ||
        mpx_offers_new(&self->offers) != MP_OK) {
        mpx_engine_destroy(&self);
        return MP_ENOMEM;
    }
    *out = self;
    return MP_OK;
}

void mpx_engine_forget_knows(mpx_engine_t *self, knows_t *knows, worker_t *worker, job_t *job)
{
    HASH_DEL(self->knows, knows);
    DL_DELETE2(worker->knows, knows, worker_prev, worker_next);
    DL_DELETE2(job->knows, knows, job_prev, job_next);
    free(knows);
}

worker_t *mpx_engine_find_worker(const mpx_engine_t *self, uint64_t id)
{
    worker_t *worker = NULL;
    HASH_FIND(hh, self->workers, &id, sizeof id, worker);
    return worker;
}

job_t *mpx_engine_find_job(const mpx_engine_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static void worker_forget(mpx_engine_t *self, worker_t *worker)
{
    while (worker->knows)
        mpx_engine_forget_knows(self, worker->knows, worker,
                                mpx_engine_find_job(self, worker->knows->key.job));
    if (!worker->unlisted)
        HASH_DEL(self->workers, worker);
    free(worker);
}

static void job_forget(mpx_engine_t *self, job_t *job)
{
    while (job->knows)
        mpx_engine_forget_knows(self, job->knows,
                                mpx_engine_find_worker(self, job->knows->key.worker), job);
    if (!job->unlisted)
        HASH_DEL(self->jobs, job);
    free((char *)(uintptr_t)job->spec.open.task);
    free((char *)(uintptr_t)job->spec.open.signature);
    free((char *)(uintptr_t)job->spec.open.label);
    free((char *)(uintptr_t)job->spec.open.needs);
    free(job);
}

void mpx_engine_destroy(mpx_engine_t **self_p)
{
    mpx_engine_t *self = *self_p;
    if (!self)
        return;
    job_t *job, *next_job;
    HASH_ITER (hh, self->jobs, job, next_job)
        job_forget(self, job);
    worker_t *worker, *next_worker;
    HASH_ITER (hh, self->workers, worker, next_worker)
        worker_forget(self, worker);
    mpx_tallies_free(&self->tallies);
    mpx_offers_destroy(&self->offers);
    mpx_sched_destroy(&self->sched);
    mpx_buf_free(&self->scratch);
    free(self->local_host);
    free(self);
    *self_p = NULL;
}

/* ---- counting --------------------------------------------------------------------- */

void mpx_engine_count(const mpx_engine_t *self, const job_t *job, uint64_t worker_id, mp_rc_t rc,
                      uint32_t n, int64_t busy_ns)
{
    worker_t *worker = mpx_engine_find_worker(self, worker_id);
    if (job->tally)
        mpx_tally_count(job->tally, rc, n, busy_ns);
    if (worker)
        mpx_tally_count(&worker->tally, rc, n, busy_ns);
    if (self->watcher.self)
        self->watcher.ended(self->watcher.self, job->watched, rc, n, busy_ns);
}

void mpx_engine_watch(mpx_engine_t *self, const mpx_watcher_t *watcher)
{
    self->watcher = *watcher;
}

mpx_engine_view_t mpx_engine_view(const mpx_engine_t *self, uint64_t id)
{
    const job_t *job = mpx_engine_find_job(self, id);
    return (mpx_engine_view_t){self->sched, self->offers, job ? &job->spec.open : NULL};
}

bool mpx_engine_task_tally(const mpx_engine_t *self, size_t number, const char **name,
                           mpx_tally_t *out)
{
    return mpx_tallies_at(self->tallies, number, name, out);
}

bool mpx_engine_worker_tally(const mpx_engine_t *self, uint64_t id, uint32_t *given,
                             mpx_tally_t *out)
{
    const worker_t *worker = mpx_engine_find_worker(self, id);
    if (!worker)
        return false;
    *given = mpx_sched_worker_calls(self->sched, id);
    *out = worker->tally;
    return true;
}

/* ---- effects ---------------------------------------------------------------------- */

static mp_rc_t knows_make(mpx_engine_t *self, worker_t *worker, job_t *job)
{
    knows_t *knows = calloc(1, sizeof *knows);
    if (!knows)
        return MP_ENOMEM;
    knows->key.worker = worker->id;
    knows->key.job = job->id;
    HASH_ADD(hh, self->knows, key, sizeof knows->key, knows);
    if (knows->unlisted) {
        free(knows);
        return MP_ENOMEM;
    }
    DL_APPEND2(worker->knows, knows, worker_prev, worker_next);
    DL_APPEND2(job->knows, knows, job_prev, job_next);
    return MP_OK;
}

bool mpx_engine_knows(const mpx_engine_t *self, const worker_t *worker, const job_t *job)
{
    struct knows_key key = {.worker = worker->id, .job = job->id};
    knows_t *knows = NULL;
    HASH_FIND(hh, self->knows, &key, sizeof key, knows);
    return knows != NULL;
}

mp_rc_t mpx_engine_introduce(mpx_engine_t *self, worker_t *worker, job_t *job)
{
    if (mpx_engine_knows(self, worker, job))
        return MP_OK;
    mp_rc_t rc = knows_make(self, worker, job);
    if (rc != MP_OK)
        return rc;
    mpx_buf_clear(&self->scratch);
    rc = mpx_open_pack(&job->spec.open, &self->scratch);
    if (rc != MP_OK)
        return rc;
    mpx_header_t header = {.op = MPX_OP_OPEN, .job = job->id};
    self->transport.send(self->transport.self, worker->id, &header, mpx_buf_bytes(&self->scratch));
    return MP_OK;
}

/* As the caller counts them, who may be far away. */
static uint32_t attempt_of(const job_t *job, const mpx_effect_t *effect)
{
    uint32_t (*before)(void *, uint64_t) = job->hooks->attempts_before;
    return effect->attempt + (before ? before(job->hooks_self, effect->tag) : 0);
}

/* What is left until a deadline, as it travels: 0 is none, so none left is 1. */
static uint32_t left_ms(int64_t now, int64_t deadline)
{
    if (deadline == MPX_NEVER)
        return 0;
    int64_t left = (deadline - now + MPX_MS - 1) / MPX_MS;
    return left < 1 ? 1 : left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

static mp_rc_t run(mpx_engine_t *self, const mpx_effect_t *effect)
{
    job_t *job = mpx_engine_find_job(self, effect->job);
    worker_t *worker = mpx_engine_find_worker(self, effect->worker);
    mp_rc_t rc = mpx_engine_introduce(self, worker, job);
    if (rc != MP_OK)
        return rc;
    mpx_inputs_t inputs = {0};
    rc = job->hooks->inputs(job->hooks_self, effect->tag, effect->first, effect->count, &inputs);
    if (rc != MP_OK)
        return rc;
    mpx_header_t header = {
        .op = MPX_OP_SUBMIT,
        .job = effect->job,
        .chunk = effect->chunk,
        .first = effect->first,
        .count = effect->count,
        .attempt = attempt_of(job, effect),
        .item_bytes = inputs.item_bytes,
        .deadline_ms = left_ms(self->now, effect->deadline),
        .busy_ns = (uint64_t)effect->time_ns,
    };
    if (self->watcher.self)
        self->watcher.given(self->watcher.self, job->watched, header.count, header.attempt,
                            effect->since);
    const mpx_transport_t *transport = &self->transport;
    if (transport->submit)
        transport->submit(transport->self, effect->worker, &header, &inputs);
    else
        transport->send(transport->self, effect->worker, &header, inputs.payload);
    return MP_OK;
}

static mp_rc_t end(mpx_engine_t *self, const mpx_effect_t *effect)
{
    const job_t *job = mpx_engine_find_job(self, effect->job);
    if (!job)
        return MP_OK; /* it is being closed */
    char text[MPX_ENDING_TEXT];
    mpx_record_t record = {.rc = effect->rc};
    mpx_ending_t ending = {.open = &job->spec.open,
                           .matched = job->spec.match,
                           .offers = self->offers,
                           .loss = self->loss,
                           .message = self->message,
                           .effect = effect};
    record.rc = mpx_ending_explain(&ending, text, sizeof text);

    const mpx_loss_t *loss = self->loss;
    mpx_failure_t failure = {
        .message = text,
        .host = loss && loss->host ? loss->host : self->local_host,
        .attempt = attempt_of(job, effect),
    };
    if (loss) {
        failure.pid = loss->pid;
        failure.signal = record.rc == MP_ECRASHED ? loss->signal : 0;
        failure.exit_status = record.rc == MP_ECRASHED ? loss->exit_status : 0;
        failure.error_output = loss->error_output;
        failure.backtrace = record.rc == MP_ECRASHED ? loss->backtrace : NULL;
    }
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_failure_pack(&failure, &self->scratch);
    if (rc != MP_OK)
        return rc;
    record.detail = mpx_buf_bytes(&self->scratch);
    mpx_engine_count(self, job, 0, record.rc, effect->count, 0);
    for (uint32_t i = 0; i < effect->count; i++)
        job->hooks->outcome(job->hooks_self, effect->tag, effect->first + i, &record, 0);
    return MP_OK;
}

static mp_rc_t recall(mpx_engine_t *self, const mpx_effect_t *effect)
{
    const mpx_transport_t *transport = &self->transport;
    mpx_chunk_info_t chunk;
    if (!mpx_sched_chunk(self->sched, effect->chunk, &chunk))
        return MP_OK; /* an effect before this one has ended it */
    if (transport->recall(transport->self, effect->worker, effect->job, effect->chunk))
        return mpx_sched_returned(self->sched, self->now, effect->chunk);
    return MP_OK;
}

static mp_rc_t carry_out(mpx_engine_t *self)
{
    mpx_effect_t effect;
    while (mpx_sched_effect(self->sched, &effect)) {
        mp_rc_t rc = MP_OK;
        switch (effect.kind) {
        case MPX_RUN:
            rc = run(self, &effect);
            break;
        case MPX_STOP:
            self->transport.stop(self->transport.self, effect.worker, effect.job, effect.chunk,
                                 effect.stage, effect.rc);
            break;
        case MPX_RECALL:
            rc = recall(self, &effect);
            break;
        case MPX_END:
            rc = end(self, &effect);
            break;
        }
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

mp_rc_t mpx_engine_settle(mpx_engine_t *self, mp_rc_t rc)
{
    return rc == MP_OK ? carry_out(self) : rc;
}

void mpx_engine_bound(mpx_engine_t *self, int64_t deadline)
{
    self->bound = deadline;
}

void mpx_engine_seed(mpx_engine_t *self, uint64_t seed)
{
    mpx_sched_seed(self->sched, seed);
}

/* ---- workers ---------------------------------------------------------------------- */

/* spec: NULL: it has joined. */
static mp_rc_t join_with_offers(mpx_engine_t *self, int64_t now, uint64_t id,
                                const mpx_hello_t *hello, const mpx_worker_spec_t *spec)
{
    mpx_worker_spec_t mine = spec ? *spec : (mpx_worker_spec_t){0};
    mpx_traits_t have;
    if (mpx_traits_parse(hello->have, &have) != MP_OK)
        return MP_EINVAL;
    uint64_t *numbers = calloc(hello->tasks_count + 1, sizeof *numbers);
    if (!numbers)
        return MP_ENOMEM;
    mp_rc_t rc = mpx_offers_join(self->offers, id, hello, numbers);
    if (rc == MP_OK) {
        mine.tasks = numbers;
        mine.tasks_count = hello->tasks_count;
        mine.have = &have;
        mine.returns = hello->returns && self->transport.recall;
        rc = spec ? mpx_sched_worker_join(self->sched, now, id, &mine)
                  : mpx_sched_worker_tasks(self->sched, now, id, &mine);
    }
    free(numbers);
    return rc;
}

mp_rc_t mpx_engine_worker_join(mpx_engine_t *self, int64_t now, uint64_t id,
                               const mpx_hello_t *hello, const mpx_worker_spec_t *spec)
{
    worker_t *worker = calloc(1, sizeof *worker);
    if (!worker)
        return MP_ENOMEM;
    worker->id = id;
    self->now = now;
    HASH_ADD(hh, self->workers, id, sizeof worker->id, worker);
    if (worker->unlisted) {
        free(worker);
        return MP_ENOMEM;
    }
    mp_rc_t rc = hello ? join_with_offers(self, now, id, hello, spec)
                       : mpx_sched_worker_join(self->sched, now, id, spec);
    if (rc != MP_OK) {
        mpx_offers_leave(self->offers, id);
        worker_forget(self, worker);
        return rc;
    }
    return carry_out(self);
}

mp_rc_t mpx_engine_worker_offer(mpx_engine_t *self, int64_t now, uint64_t id,
                                const mpx_hello_t *hello)
{
    if (mpx_sched_worker_drains(self->sched, id))
        return MP_OK;
    self->now = now;
    mpx_offers_leave(self->offers, id);
    return mpx_engine_settle(self, join_with_offers(self, now, id, hello, NULL));
}

mp_rc_t mpx_engine_worker_slots(mpx_engine_t *self, int64_t now, uint64_t id, uint32_t slots)
{
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_worker_slots(self->sched, now, id, slots));
}

mp_rc_t mpx_engine_worker_drain(mpx_engine_t *self, int64_t now, uint64_t id)
{
    self->now = now;
    mpx_offers_leave(self->offers, id); /* to new calls it offers nothing */
    return mpx_engine_settle(self, mpx_sched_worker_drain(self->sched, now, id));
}

mp_rc_t mpx_engine_worker_pause(mpx_engine_t *self, int64_t now, uint64_t id, bool paused)
{
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_worker_pause(self->sched, now, id, paused));
}

mp_rc_t mpx_engine_worker_lost(mpx_engine_t *self, int64_t now, uint64_t id, mpx_charge_t charge,
                               const mpx_loss_t *loss)
{
    worker_t *worker = mpx_engine_find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    self->now = now;
    mpx_offers_leave(self->offers, id);
    worker_forget(self, worker);
    self->loss = loss;
    mp_rc_t rc =
        mpx_engine_settle(self, mpx_sched_worker_lost(self->sched, now, id, charge, loss->rc));
    self->loss = NULL;
    return rc;
}

/* ---- jobs ------------------------------------------------------------------------- */

static job_t *job_make(mpx_engine_t *self, const mpx_job_spec_t *spec, const mpx_job_hooks_t *hooks,
                       void *hooks_self)
{
    job_t *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->id = ++self->last_job;
    job->hooks = hooks;
    job->hooks_self = hooks_self;
    job->spec = *spec;
    job->tally = mpx_tallies_of(&self->tallies, spec->open.task);
    if (self->watcher.self)
        job->watched = self->watcher.task(self->watcher.self, spec->open.task);
    job->spec.open.task = strdup(spec->open.task);
    job->spec.open.signature = strdup(spec->open.signature);
    job->spec.open.label = strdup(spec->open.label ? spec->open.label : "");
    job->spec.open.needs = strdup(spec->open.needs ? spec->open.needs : "");
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted || !job->spec.open.task || !job->spec.open.signature ||
        !job->spec.open.label || !job->spec.open.needs) {
        job_forget(self, job);
        return NULL;
    }
    return job;
}

static mpx_policy_t policy_of(const mpx_job_spec_t *spec)
{
    const mpx_open_t *open = &spec->open;
    return (mpx_policy_t){
        .priority = open->priority,
        .client = spec->client,
        .weight = open->weight,
        .chunk_calls = spec->chunk_calls,
        .retries = spec->retries,
        .retry_on = spec->retry_on,
        .retry_delay_ns = spec->retry_delay_ns,
        .crashes_max = spec->crashes_max,
        .call_limit_ns = spec->limit_here ? open->call_limit_ms * MPX_MS : 0,
        .soft_limit_ns = spec->limit_here ? open->soft_limit_ms * MPX_MS : 0,
        .grace_ns = open->grace_ms * MPX_MS,
        .delay_ns = spec->delay_ns,
        .deadline_ns = spec->deadline_ns,
        .wait_ns = spec->wait_ns,
        .absent_ns = spec->absent_ns,
    };
}

mp_rc_t mpx_engine_job_open(mpx_engine_t *self, int64_t now, const mpx_job_spec_t *spec,
                            const mpx_job_hooks_t *hooks, void *hooks_self, uint64_t *out)
{
    mpx_policy_t policy = policy_of(spec);
    mpx_traits_t needs;
    mp_rc_t rc = mpx_traits_parse(spec->open.needs, &needs);
    if (rc == MP_OK && spec->match)
        rc = mpx_offers_number(self->offers, spec->open.task, spec->open.signature, &policy.task);
    if (rc != MP_OK)
        return rc;
    policy.needs = spec->match || spec->meet_here ? &needs : NULL;
    job_t *job = job_make(self, spec, hooks, hooks_self);
    if (!job)
        return MP_ENOMEM;
    if (job->tally)
        policy.guess_ns = job->tally->service_ns;
    rc = mpx_sched_job_open(self->sched, now, job->id, &policy);
    if (rc != MP_OK) {
        job_forget(self, job);
        return rc;
    }
    *out = job->id;
    return MP_OK;
}

mp_rc_t mpx_engine_put(mpx_engine_t *self, int64_t now, uint64_t id, uint64_t first, uint32_t count,
                       uint64_t bytes, uint64_t tag)
{
    const job_t *job = self->bound != MPX_NEVER ? mpx_engine_find_job(self, id) : NULL;
    if (job) {
        mpx_times_t times = {.begin = now + job->spec.delay_ns, .deadline = self->bound};
        return mpx_engine_put_timed(self, now, id, first, count, bytes, tag, times);
    }
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_put(self->sched, now, id, first, count, bytes, tag));
}

mp_rc_t mpx_engine_put_timed(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                             uint32_t count, uint64_t bytes, uint64_t tag, mpx_times_t times)
{
    self->now = now;
    return mpx_engine_settle(
        self, mpx_sched_put_timed(self->sched, now, job, first, count, bytes, tag, times));
}

bool mpx_engine_withdraw(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                         uint32_t count)
{
    uint64_t id;
    mpx_chunk_info_t chunk;
    const mpx_transport_t *transport = &self->transport;
    mp_rc_t rc = mpx_sched_withdraw(self->sched, now, job, first, count, &id);
    if (rc != MP_EBUSY)
        return rc == MP_OK;
    if (!transport->recall || !mpx_sched_chunk(self->sched, id, &chunk) ||
        !transport->recall(transport->self, chunk.worker, job, id))
        return false;
    return mpx_engine_settle(self, mpx_sched_withdraw_chunk(self->sched, now, id)) == MP_OK;
}

mp_rc_t mpx_engine_job_hold(mpx_engine_t *self, int64_t now, uint64_t job, bool held)
{
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_job_hold(self->sched, now, job, held));
}

mp_rc_t mpx_engine_cancel(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                          uint32_t count)
{
    self->now = now;
    return mpx_engine_settle(self,
                             mpx_sched_cancel(self->sched, now, job, first, count, MP_ECANCELLED));
}

mp_rc_t mpx_engine_job_end_queued(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc)
{
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_end_queued(self->sched, now, job, rc));
}

mp_rc_t mpx_engine_job_fail(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc,
                            const char *message)
{
    self->now = now;
    self->message = message;
    rc = mpx_engine_settle(self, mpx_sched_job_cancel(self->sched, now, job, rc));
    self->message = NULL;
    return rc;
}

mp_rc_t mpx_engine_fail_all(mpx_engine_t *self, int64_t now, mp_rc_t rc, const char *message)
{
    mp_rc_t result = MP_OK;
    for (const job_t *job = self->jobs; job && result == MP_OK; job = job->hh.next)
        result = mpx_engine_job_fail(self, now, job->id, rc, message);
    return result;
}

mp_rc_t mpx_engine_job_close(mpx_engine_t *self, int64_t now, uint64_t id)
{
    job_t *job = mpx_engine_find_job(self, id);
    if (!job)
        return MP_EINVAL;
    mpx_header_t header = {.op = MPX_OP_CLOSE, .job = id};
    if (job->tally)
        mpx_tally_learn(job->tally, mpx_sched_job_service_ns(self->sched, id));
    mp_rc_t rc = mpx_sched_job_cancel(self->sched, now, id, MP_ECANCELLED);
    if (rc == MP_OK)
        rc = mpx_sched_job_close(self->sched, now, id);
    const knows_t *knows;
    DL_FOREACH2(job->knows, knows, job_next)
    self->transport.send(self->transport.self, knows->key.worker, &header, (mp_bytes_t){0});
    job_forget(self, job);
    return mpx_engine_settle(self, rc);
}

uint64_t mpx_engine_job_open_calls(const mpx_engine_t *self, uint64_t job)
{
    return mpx_sched_job_open_calls(self->sched, job);
}

mp_rc_t mpx_engine_tick(mpx_engine_t *self, int64_t now)
{
    self->now = now;
    return mpx_engine_settle(self, mpx_sched_tick(self->sched, now));
}

int64_t mpx_engine_deadline(const mpx_engine_t *self)
{
    return mpx_sched_deadline(self->sched);
}

void mpx_engine_counts(const mpx_engine_t *self, mpx_sched_counts_t *out)
{
    mpx_sched_counts(self->sched, out);
}

const char *mpx_engine_check(const mpx_engine_t *self)
{
    return mpx_sched_check(self->sched);
}
