/* news.c: what workers say, and what it does to calls. */
#include "engine_private.h"

#include "ending.h"
#include "fault.h"

#include <stdlib.h>

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
    mpx_engine_count(self, job, chunk->worker, MP_OK, header->count, busy_ns);
    if (job->hooks->values)
        job->hooks->values(job->hooks_self, chunk->tag, header->first, header->count,
                           header->item_bytes, payload, busy_ns);
    else
        tell_each_value(job, chunk, header, payload, busy_ns);
    return mpx_engine_settle(
        self, mpx_sched_done(self->sched, now, header->chunk, header->count, busy_ns));
}

static mp_rc_t take_record(mpx_engine_t *self, int64_t now, const job_t *job,
                           const mpx_chunk_info_t *chunk, uint64_t chunk_id, uint64_t index,
                           mpx_record_t *record, int64_t busy_ns)
{
    mpx_verdict_t verdict = {0};
    mpx_engine_count(self, job, chunk->worker, record->rc, 1, busy_ns);
    mp_rc_t cause = mpx_ending_cause(record, job->spec.retries > 0);
    mp_rc_t rc = cause != MP_OK
                     ? mpx_sched_failed(self->sched, now, chunk_id, cause, busy_ns, &verdict)
                     : mpx_sched_done(self->sched, now, chunk_id, 1, busy_ns);
    if (rc == MP_OK && verdict.crashes)
        mpx_ending_add_crashes(record, verdict.crashes, &self->scratch);
    if (rc == MP_OK && !verdict.again)
        job->hooks->outcome(job->hooks_self, chunk->tag, index, record, busy_ns);
    return mpx_engine_settle(self, rc);
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
    const job_t *job = mpx_engine_find_job(self, chunk.job);
    if (chunk.orphan || !job)
        return mpx_engine_settle(self,
                                 mpx_sched_done(self->sched, now, header->chunk, header->count,
                                                (int64_t)(header->busy_ns & INT64_MAX)));
    if (header->code == MP_EDRAINING && mpx_sched_worker_drains(self->sched, worker))
        return mpx_engine_settle(self, mpx_sched_give_back(self->sched, now, header->chunk));
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
    const job_t *job = mpx_engine_find_job(self, chunk.job);
    if (job && !chunk.orphan && job->hooks->started)
        job->hooks->started(job->hooks_self, chunk.tag, chunk.first);
    return mpx_engine_settle(self, mpx_sched_started(self->sched, now, header->chunk));
}

static mp_rc_t on_returned(mpx_engine_t *self, int64_t now, uint64_t worker,
                           const mpx_header_t *header, mp_bytes_t payload)
{
    (void)payload;
    mpx_chunk_info_t chunk;
    if (!mpx_sched_chunk(self->sched, header->chunk, &chunk))
        return MP_OK;
    if (chunk.worker != worker || (header->count && chunk.started && !chunk.timed))
        return mpx_fault(MP_EPROTO, "a RETURNED of a chunk that was begun, or is another's");
    if (header->count == 0)
        return mpx_engine_settle(self, mpx_sched_kept(self->sched, now, header->chunk));
    return mpx_engine_settle(self, mpx_sched_returned(self->sched, now, header->chunk));
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
    const job_t *job = mpx_engine_find_job(self, chunk.job);
    const mpx_job_hooks_t *hooks = job && !chunk.orphan ? job->hooks : NULL;
    if (hooks && header->op == MPX_OP_OUTPUT && hooks->output)
        hooks->output(job->hooks_self, chunk.tag, header, payload);
    else if (hooks && header->op == MPX_OP_PROGRESS && hooks->progress)
        hooks->progress(job->hooks_self, chunk.tag, header->first, payload);
    return MP_OK;
}

/* Calls that are put from now on need another OPEN: its answer says what they end with. */
static void forget_introduction(mpx_engine_t *self, uint64_t worker, job_t *job)
{
    struct knows_key key = {.worker = worker, .job = job->id};
    knows_t *knows = NULL;
    HASH_FIND(hh, self->knows, &key, sizeof key, knows);
    if (knows)
        mpx_engine_forget_knows(self, knows, mpx_engine_find_worker(self, worker), job);
}

/* It was opened there only to be told of: what it has to run it will submit, in its time. */
static bool is_only_told(const mpx_engine_t *self, const job_t *job, mp_rc_t code)
{
    mpx_job_view_t view;
    return (code == MP_EDRAINING || code == MP_ELIMIT) &&
           mpx_sched_view_job(self->sched, job->id, &view) && view.delayed && !view.queued &&
           !view.given;
}

/* A worker can't run the job at all. */
static mp_rc_t on_error(mpx_engine_t *self, int64_t now, uint64_t worker,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    job_t *job = mpx_engine_find_job(self, header->job);
    if (!job)
        return MP_OK;
    forget_introduction(self, worker, job);
    mpx_problem_t problem;
    void *arena = NULL;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    mp_rc_t code = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
    if (!is_only_told(self, job, code))
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
        [MPX_OP_RESULT] = on_result,   [MPX_OP_ERROR] = on_error,   [MPX_OP_RETURNED] = on_returned,
    };
    handler_t *handler = handlers[header->op];
    self->now = now;
    if (!handler)
        return mpx_fault(MP_EPROTO, "%s is not for a worker to send", mpx_op_name(header->op));
    return handler(self, now, worker, header, payload);
}
