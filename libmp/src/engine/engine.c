#include "engine.h"

#include "clock.h"
#include "fault.h"
#include "offers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every key is one id of 64 bits, or two. */
static unsigned hash_ids(const void *key, size_t size)
{
    uint64_t ids[2] = {0};
    memcpy(ids, key, size < sizeof ids ? size : sizeof ids);
    uint64_t mixed =
        (ids[0] * UINT64_C(0x9E3779B97F4A7C15)) ^ (ids[1] * UINT64_C(0xC2B2AE3D27D4EB4F));
    return (unsigned)(mixed >> 32);
}
#define HASH_FUNCTION(key, size, hash) ((hash) = hash_ids(key, size))

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* That a worker knows a job: it was sent the OPEN, and is owed a CLOSE. */
typedef struct knows {
    struct knows_key {
        uint64_t worker;
        uint64_t job;
    } key;
    struct knows *worker_next, *worker_prev; /* others of the worker */
    struct knows *job_next, *job_prev;       /* others of the job */
    bool unlisted;
    UT_hash_handle hh;
} knows_t;

typedef struct worker {
    uint64_t id;
    mpx_tally_t tally;
    knows_t *knows;
    bool unlisted;
    UT_hash_handle hh;
} worker_t;

typedef struct job {
    uint64_t id;
    const mpx_job_hooks_t *hooks;
    void *hooks_self;
    mpx_job_spec_t spec; /* its strings are this struct's */
    mpx_tally_t *tally;  /* of its task; NULL: not counted */
    knows_t *knows;
    bool unlisted;
    UT_hash_handle hh;
} job_t;

struct mpx_engine {
    mpx_transport_t transport;
    char *local_host;
    mpx_sched_t *sched;
    mpx_offers_t *offers;
    worker_t *workers;
    mpx_tallies_t *tallies;
    job_t *jobs;
    knows_t *knows;
    uint64_t last_job;
    const mpx_loss_t *loss; /* while a loss is dealt with */
    const char *message;    /* while a job is failed with words of the caller */
    mpx_buf_t scratch;      /* packed bodies */
};

/* Only the engine's own message strings go into failures: at most this long. */
enum { TEXT_MAX = 512 };

mp_rc_t mpx_engine_new(const mpx_transport_t *transport, const char *local_host, mpx_engine_t **out)
{
    mpx_engine_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->transport = *transport;
    self->local_host = strdup(local_host);
    if (!self->local_host || mpx_sched_new(&self->sched) != MP_OK ||
        mpx_offers_new(&self->offers) != MP_OK) {
        mpx_engine_destroy(&self);
        return MP_ENOMEM;
    }
    *out = self;
    return MP_OK;
}

static void knows_forget(mpx_engine_t *self, knows_t *knows, worker_t *worker, job_t *job)
{
    HASH_DEL(self->knows, knows);
    DL_DELETE2(worker->knows, knows, worker_prev, worker_next);
    DL_DELETE2(job->knows, knows, job_prev, job_next);
    free(knows);
}

static worker_t *find_worker(const mpx_engine_t *self, uint64_t id)
{
    worker_t *worker = NULL;
    HASH_FIND(hh, self->workers, &id, sizeof id, worker);
    return worker;
}

static job_t *find_job(const mpx_engine_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static void worker_forget(mpx_engine_t *self, worker_t *worker)
{
    while (worker->knows)
        knows_forget(self, worker->knows, worker, find_job(self, worker->knows->key.job));
    if (!worker->unlisted)
        HASH_DEL(self->workers, worker);
    free(worker);
}

static void job_forget(mpx_engine_t *self, job_t *job)
{
    while (job->knows)
        knows_forget(self, job->knows, find_worker(self, job->knows->key.worker), job);
    if (!job->unlisted)
        HASH_DEL(self->jobs, job);
    free((char *)(uintptr_t)job->spec.open.task);
    free((char *)(uintptr_t)job->spec.open.signature);
    free((char *)(uintptr_t)job->spec.open.label);
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

static void count_outcomes(const mpx_engine_t *self, const job_t *job, uint64_t worker_id,
                           mp_rc_t rc, uint32_t n, int64_t busy_ns)
{
    worker_t *worker = find_worker(self, worker_id);
    if (job->tally)
        mpx_tally_count(job->tally, rc, n, busy_ns);
    if (worker)
        mpx_tally_count(&worker->tally, rc, n, busy_ns);
}

bool mpx_engine_task_tally(const mpx_engine_t *self, size_t number, const char **name,
                           mpx_tally_t *out)
{
    return mpx_tallies_at(self->tallies, number, name, out);
}

bool mpx_engine_worker_tally(const mpx_engine_t *self, uint64_t id, uint32_t *given,
                             mpx_tally_t *out)
{
    const worker_t *worker = find_worker(self, id);
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

/* Send the OPEN, once for each worker and job. */
static mp_rc_t introduce(mpx_engine_t *self, worker_t *worker, job_t *job)
{
    struct knows_key key = {.worker = worker->id, .job = job->id};
    knows_t *knows = NULL;
    HASH_FIND(hh, self->knows, &key, sizeof key, knows);
    if (knows)
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

static mp_rc_t run(mpx_engine_t *self, const mpx_effect_t *effect)
{
    job_t *job = find_job(self, effect->job);
    worker_t *worker = find_worker(self, effect->worker);
    mp_rc_t rc = introduce(self, worker, job);
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
    };
    const mpx_transport_t *transport = &self->transport;
    if (transport->submit)
        transport->submit(transport->self, effect->worker, &header, &inputs);
    else
        transport->send(transport->self, effect->worker, &header, inputs.payload);
    return MP_OK;
}

static void crash_text(const mpx_loss_t *loss, char *text, size_t size)
{
    if (loss->signal)
        snprintf(text, size, "%s was killed by signal %u (%s)", loss->name, loss->signal,
                 strsignal((int)loss->signal));
    else
        snprintf(text, size, "%s exited with status %u in the middle of the call", loss->name,
                 loss->exit_status);
}

/* The words for a call that ended without a result. May put a better code in rc. */
static void end_text(const mpx_engine_t *self, const job_t *job, mp_rc_t *rc, char *text,
                     size_t size)
{
    const mpx_loss_t *loss = self->loss;
    if (self->message)
        snprintf(text, size, "%s", self->message);
    else if (*rc == MP_ENOTASK || *rc == MP_ENOWORKER)
        *rc = mpx_offers_explain(self->offers, job->spec.open.task, job->spec.open.signature, text,
                                 size);
    else if (*rc == MP_ETIMEDOUT)
        snprintf(text, size, "ran longer than %u ms, so it was ended with its worker",
                 job->spec.open.call_limit_ms);
    else if (*rc == MP_ECRASHED && loss)
        crash_text(loss, text, size);
    else if (loss && *rc == loss->rc)
        snprintf(text, size, "%s was lost before the call's result came", loss->name);
    else
        snprintf(text, size, "%s", mp_strerror(*rc));
}

static void add_quarantine(uint32_t crashes, char *text, size_t size)
{
    size_t used = strlen(text);
    if (crashes)
        snprintf(text + used, size - used,
                 "; this call has cost %u workers, so it is not tried again", crashes);
}

static mp_rc_t end(mpx_engine_t *self, const mpx_effect_t *effect)
{
    const job_t *job = find_job(self, effect->job);
    if (!job)
        return MP_OK; /* it is being closed */
    char text[TEXT_MAX];
    mpx_record_t record = {.rc = effect->rc};
    end_text(self, job, &record.rc, text, sizeof text);
    add_quarantine(effect->crashes, text, sizeof text);

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
    count_outcomes(self, job, 0, record.rc, effect->count, 0);
    for (uint32_t i = 0; i < effect->count; i++)
        job->hooks->outcome(job->hooks_self, effect->tag, effect->first + i, &record, 0);
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
        case MPX_END:
            rc = end(self, &effect);
            break;
        }
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

/* Every event: the scheduler's verdict first, then what follows from it. */
static mp_rc_t settle(mpx_engine_t *self, mp_rc_t rc)
{
    return rc == MP_OK ? carry_out(self) : rc;
}

/* ---- workers ---------------------------------------------------------------------- */

/* spec: NULL: it has joined. */
static mp_rc_t join_with_offers(mpx_engine_t *self, int64_t now, uint64_t id,
                                const mpx_hello_t *hello, const mpx_worker_spec_t *spec)
{
    mpx_worker_spec_t mine = spec ? *spec : (mpx_worker_spec_t){0};
    uint64_t *numbers = calloc(hello->tasks_count + 1, sizeof *numbers);
    if (!numbers)
        return MP_ENOMEM;
    mp_rc_t rc = mpx_offers_join(self->offers, id, hello, numbers);
    if (rc == MP_OK) {
        mine.tasks = numbers;
        mine.tasks_count = hello->tasks_count;
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
    mpx_offers_leave(self->offers, id);
    return settle(self, join_with_offers(self, now, id, hello, NULL));
}

mp_rc_t mpx_engine_worker_slots(mpx_engine_t *self, int64_t now, uint64_t id, uint32_t slots)
{
    return settle(self, mpx_sched_worker_slots(self->sched, now, id, slots));
}

mp_rc_t mpx_engine_worker_drain(mpx_engine_t *self, int64_t now, uint64_t id)
{
    return settle(self, mpx_sched_worker_drain(self->sched, now, id));
}

mp_rc_t mpx_engine_worker_pause(mpx_engine_t *self, int64_t now, uint64_t id, bool paused)
{
    return settle(self, mpx_sched_worker_pause(self->sched, now, id, paused));
}

mp_rc_t mpx_engine_worker_lost(mpx_engine_t *self, int64_t now, uint64_t id, mpx_charge_t charge,
                               const mpx_loss_t *loss)
{
    worker_t *worker = find_worker(self, id);
    if (!worker)
        return MP_EINVAL;
    mpx_offers_leave(self->offers, id);
    worker_forget(self, worker);
    self->loss = loss;
    mp_rc_t rc = settle(self, mpx_sched_worker_lost(self->sched, now, id, charge, loss->rc));
    self->loss = NULL;
    return rc;
}

/* ---- messages --------------------------------------------------------------------- */

/* Whether another attempt could end otherwise. */
static bool is_worth_retrying(mp_rc_t rc)
{
    switch (rc) {
    case MP_EFAILED:
    case MP_ECRASHED:
    case MP_ETIMEDOUT:
    case MP_EWORKERLOST:
    case MP_EBROKERLOST:
        return true;
    default:
        return false;
    }
}

static void tell_each_value(const job_t *job, const mpx_chunk_info_t *chunk,
                            const mpx_header_t *header, mp_bytes_t payload, int64_t busy_ns)
{
    const unsigned char *at = payload.data;
    for (uint32_t i = 0; i < header->count; i++, at += header->item_bytes) {
        mpx_record_t record = {.rc = MP_OK, .value = {at, header->item_bytes}};
        job->hooks->outcome(job->hooks_self, chunk->tag, header->first + i, &record,
                            busy_ns / header->count);
    }
}

static mp_rc_t take_values(mpx_engine_t *self, int64_t now, const job_t *job,
                           const mpx_chunk_info_t *chunk, const mpx_header_t *header,
                           mp_bytes_t payload)
{
    int64_t busy_ns = (int64_t)(header->busy_ns & INT64_MAX);
    count_outcomes(self, job, chunk->worker, MP_OK, header->count, busy_ns);
    if (job->hooks->values)
        job->hooks->values(job->hooks_self, chunk->tag, header->first, header->count,
                           header->item_bytes, payload, busy_ns);
    else
        tell_each_value(job, chunk, header, payload, busy_ns);
    return settle(self, mpx_sched_done(self->sched, now, header->chunk, header->count, busy_ns));
}

/* The failure was written elsewhere, where the other crashes aren't known. */
static void write_quarantine(mpx_engine_t *self, mpx_record_t *record, uint32_t crashes)
{
    char text[TEXT_MAX];
    mpx_failure_t failure;
    void *arena = NULL;
    if (mpx_failure_unpack(record->detail, &failure, &arena) != MP_OK)
        return;
    snprintf(text, sizeof text, "%s", failure.message);
    add_quarantine(crashes, text, sizeof text);
    failure.message = text;
    mpx_buf_clear(&self->scratch);
    if (mpx_failure_pack(&failure, &self->scratch) == MP_OK)
        record->detail = mpx_buf_bytes(&self->scratch);
    free(arena);
}

static mp_rc_t take_record(mpx_engine_t *self, int64_t now, const job_t *job,
                           const mpx_chunk_info_t *chunk, uint64_t chunk_id, uint64_t index,
                           mpx_record_t *record, int64_t busy_ns)
{
    mpx_verdict_t verdict = {0};
    count_outcomes(self, job, chunk->worker, record->rc, 1, busy_ns);
    mp_rc_t rc = is_worth_retrying(record->rc)
                     ? mpx_sched_failed(self->sched, now, chunk_id, record->rc, &verdict)
                     : mpx_sched_done(self->sched, now, chunk_id, 1, busy_ns);
    if (rc == MP_OK && verdict.crashes)
        write_quarantine(self, record, verdict.crashes);
    if (rc == MP_OK && !verdict.again)
        job->hooks->outcome(job->hooks_self, chunk->tag, index, record, busy_ns);
    return settle(self, rc);
}

static mp_rc_t take_records(mpx_engine_t *self, int64_t now, const job_t *job,
                            const mpx_chunk_info_t *chunk, const mpx_header_t *header,
                            mp_bytes_t payload)
{
    int64_t busy_ns = (int64_t)(header->busy_ns & INT64_MAX) / header->count;
    for (uint32_t i = 0; i < header->count; i++) {
        mpx_record_t record;
        mp_rc_t rc = mpx_record_next(&payload, &record);
        if (rc != MP_OK)
            return rc;
        rc = take_record(self, now, job, chunk, header->chunk, header->first + i, &record, busy_ns);
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

/* A RESULT with a code: all its calls ended so, and the payload, if any, says why. */
static mp_rc_t take_code(mpx_engine_t *self, int64_t now, const job_t *job,
                         const mpx_chunk_info_t *chunk, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    mpx_record_t record = {.rc = (mp_rc_t)header->code, .detail = payload};
    mp_rc_t rc = MP_OK;
    for (uint32_t i = 0; i < header->count && rc == MP_OK; i++)
        rc = take_record(self, now, job, chunk, header->chunk, header->first + i, &record, 0);
    return rc;
}

static bool result_fits(const mpx_chunk_info_t *chunk, uint64_t worker, const mpx_header_t *header,
                        mp_bytes_t payload)
{
    if (chunk->worker != worker || header->count == 0)
        return false;
    if (header->first != chunk->first + chunk->done || header->count > chunk->count - chunk->done)
        return false;
    if (header->code)
        return header->code < 0;
    return header->item_bytes ? mpx_items_valid(payload, header->item_bytes, header->count)
                              : mpx_records_valid(payload, header->count);
}

static mp_rc_t on_result(mpx_engine_t *self, int64_t now, uint64_t worker,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_chunk_info_t chunk;
    if (!mpx_sched_chunk(self->sched, header->chunk, &chunk))
        return MP_OK;
    if (!result_fits(&chunk, worker, header, payload))
        return mpx_fault(MP_EPROTO, "a RESULT doesn't fit the chunk that it names");
    const job_t *job = find_job(self, chunk.job);
    if (chunk.orphan || !job)
        return settle(self, mpx_sched_done(self->sched, now, header->chunk, header->count,
                                           (int64_t)(header->busy_ns & INT64_MAX)));
    if (header->code == MP_EDRAINING && mpx_sched_worker_drains(self->sched, worker))
        return settle(self, mpx_sched_give_back(self->sched, now, header->chunk));
    if (header->code)
        return take_code(self, now, job, &chunk, header, payload);
    return header->item_bytes ? take_values(self, now, job, &chunk, header, payload)
                              : take_records(self, now, job, &chunk, header, payload);
}

static mp_rc_t on_started(mpx_engine_t *self, int64_t now, uint64_t worker,
                          const mpx_header_t *header, mp_bytes_t payload)
{
    (void)payload;
    mpx_chunk_info_t chunk;
    if (!mpx_sched_chunk(self->sched, header->chunk, &chunk))
        return MP_OK;
    if (chunk.worker != worker)
        return mpx_fault(MP_EPROTO, "a STARTED names another worker's chunk");
    const job_t *job = find_job(self, chunk.job);
    if (job && !chunk.orphan && job->hooks->started)
        job->hooks->started(job->hooks_self, chunk.tag, chunk.first);
    return settle(self, mpx_sched_started(self->sched, now, header->chunk));
}

/* PROGRESS and OUTPUT. */
static mp_rc_t on_news(mpx_engine_t *self, int64_t now, uint64_t worker, const mpx_header_t *header,
                       mp_bytes_t payload)
{
    (void)now;
    mpx_chunk_info_t chunk;
    if (!mpx_sched_chunk(self->sched, header->chunk, &chunk))
        return MP_OK;
    if (chunk.worker != worker || header->first - chunk.first >= chunk.count)
        return mpx_fault(MP_EPROTO, "a %s doesn't fit the chunk that it names",
                         mpx_op_name(header->op));
    const job_t *job = find_job(self, chunk.job);
    const mpx_job_hooks_t *hooks = job && !chunk.orphan ? job->hooks : NULL;
    if (hooks && header->op == MPX_OP_OUTPUT && hooks->output)
        hooks->output(job->hooks_self, chunk.tag, header, payload);
    else if (hooks && header->op == MPX_OP_PROGRESS && hooks->progress)
        hooks->progress(job->hooks_self, chunk.tag, header->first, payload);
    return MP_OK;
}

/* A worker can't run the job at all. */
static mp_rc_t on_error(mpx_engine_t *self, int64_t now, uint64_t worker,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    (void)worker;
    if (!find_job(self, header->job))
        return MP_OK;
    mpx_problem_t problem;
    void *arena = NULL;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    mp_rc_t code = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
    rc = mpx_engine_job_fail(self, now, header->job, code, problem.message);
    free(arena);
    return rc;
}

mp_rc_t mpx_engine_message(mpx_engine_t *self, int64_t now, uint64_t worker,
                           const mpx_header_t *header, mp_bytes_t payload)
{
    typedef mp_rc_t handler_t(mpx_engine_t *, int64_t, uint64_t, const mpx_header_t *, mp_bytes_t);
    static handler_t *const handlers[MPX_OP_END] = {
        [MPX_OP_STARTED] = on_started, [MPX_OP_PROGRESS] = on_news, [MPX_OP_OUTPUT] = on_news,
        [MPX_OP_RESULT] = on_result,   [MPX_OP_ERROR] = on_error,
    };
    handler_t *handler = handlers[header->op];
    if (!handler)
        return mpx_fault(MP_EPROTO, "%s is not for a worker to send", mpx_op_name(header->op));
    return handler(self, now, worker, header, payload);
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
    job->spec.open.task = strdup(spec->open.task);
    job->spec.open.signature = strdup(spec->open.signature);
    job->spec.open.label = strdup(spec->open.label ? spec->open.label : "");
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted || !job->spec.open.task || !job->spec.open.signature ||
        !job->spec.open.label) {
        job_forget(self, job);
        return NULL;
    }
    return job;
}

mp_rc_t mpx_engine_job_open(mpx_engine_t *self, int64_t now, const mpx_job_spec_t *spec,
                            const mpx_job_hooks_t *hooks, void *hooks_self, uint64_t *out)
{
    mpx_policy_t policy = {
        .priority = spec->open.priority,
        .chunk_calls = spec->chunk_calls,
        .retries = spec->retries,
        .retry_on = spec->retry_on,
        .retry_delay_ns = spec->retry_delay_ns,
        .crashes_max = spec->crashes_max,
        .call_limit_ns = spec->limit_here ? spec->open.call_limit_ms * MPX_MS : 0,
        .soft_limit_ns = spec->limit_here ? spec->open.soft_limit_ms * MPX_MS : 0,
        .grace_ns = spec->open.grace_ms * MPX_MS,
        .wait_ns = spec->wait_ns,
        .absent_ns = spec->absent_ns,
    };
    mp_rc_t rc = MP_OK;
    if (spec->match)
        rc = mpx_offers_number(self->offers, spec->open.task, spec->open.signature, &policy.task);
    if (rc != MP_OK)
        return rc;
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

mp_rc_t mpx_engine_put(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                       uint32_t count, uint64_t bytes, uint64_t tag)
{
    return settle(self, mpx_sched_put(self->sched, now, job, first, count, bytes, tag));
}

mp_rc_t mpx_engine_job_hold(mpx_engine_t *self, int64_t now, uint64_t job, bool held)
{
    return settle(self, mpx_sched_job_hold(self->sched, now, job, held));
}

mp_rc_t mpx_engine_cancel(mpx_engine_t *self, int64_t now, uint64_t job, uint64_t first,
                          uint32_t count)
{
    return settle(self, mpx_sched_cancel(self->sched, now, job, first, count, MP_ECANCELLED));
}

mp_rc_t mpx_engine_job_end_queued(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc)
{
    return settle(self, mpx_sched_end_queued(self->sched, now, job, rc));
}

mp_rc_t mpx_engine_job_fail(mpx_engine_t *self, int64_t now, uint64_t job, mp_rc_t rc,
                            const char *message)
{
    self->message = message;
    rc = settle(self, mpx_sched_job_cancel(self->sched, now, job, rc));
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
    job_t *job = find_job(self, id);
    if (!job)
        return MP_EINVAL;
    mpx_header_t header = {.op = MPX_OP_CLOSE, .job = id};
    int64_t service_ns = mpx_sched_job_service_ns(self->sched, id);
    if (job->tally && service_ns)
        job->tally->service_ns = service_ns;
    mp_rc_t rc = mpx_sched_job_cancel(self->sched, now, id, MP_ECANCELLED);
    if (rc == MP_OK)
        rc = mpx_sched_job_close(self->sched, now, id);
    const knows_t *knows;
    DL_FOREACH2(job->knows, knows, job_next)
    self->transport.send(self->transport.self, knows->key.worker, &header, (mp_bytes_t){0});
    job_forget(self, job);
    return settle(self, rc);
}

uint64_t mpx_engine_job_open_calls(const mpx_engine_t *self, uint64_t job)
{
    return mpx_sched_job_open_calls(self->sched, job);
}

mp_rc_t mpx_engine_tick(mpx_engine_t *self, int64_t now)
{
    return settle(self, mpx_sched_tick(self->sched, now));
}

int64_t mpx_engine_deadline(const mpx_engine_t *self)
{
    return mpx_sched_deadline(self->sched);
}

void mpx_engine_counts(const mpx_engine_t *self, mpx_sched_counts_t *out)
{
    mpx_sched_counts(self->sched, out);
}
