#include "calls.h"

#include "clock.h"
#include "fault.h"
#include "listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { IDLE_MAX = 16 };

struct mpx_calls {
    mp_pool_t *pool;
    const mp_task_t *task;
    mp_call_options_t options;
    char *needs; /* of the options */
    uint64_t job;
    uint64_t puts;
    mpx_one_call_t *open; /* by index */
    mpx_buf_t scratch;
    struct mpx_calls *prev, *next; /* the pool's others, last used last */
};

/* ---- hooks ------------------------------------------------------------------------------------
 */

static mpx_one_call_t *find_call(const mpx_calls_t *self, uint64_t index)
{
    mpx_one_call_t *call = NULL;
    HASH_FIND(hh, self->open, &index, sizeof index, call);
    return call;
}

static mp_rc_t hook_inputs(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    (void)tag;
    mpx_calls_t *self = arg;
    mpx_buf_clear(&self->scratch);
    for (uint32_t i = 0; i < count; i++) {
        mp_bytes_t input = find_call(self, first + i)->input;
        mp_rc_t rc = mpx_kept_input(&self->scratch, self->task, input);
        if (rc != MP_OK)
            return rc;
    }
    out->item_bytes = self->task->in.bytes;
    out->payload = mpx_buf_bytes(&self->scratch);
    out->result_bytes = self->task->out.bytes;
    return MP_OK;
}

static void hook_outcome(void *arg, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    (void)tag;
    (void)busy_ns;
    mpx_calls_t *self = arg;
    mpx_one_call_t *call = find_call(self, index);
    HASH_DEL(self->open, call);
    call->stream = NULL;
    mp_rc_t rc = mpx_kept_fill(&call->kept, self->task, 0, record);
    if (rc != MP_OK) {
        call->kept.outcome.rc = rc;
        call->kept.outcome.message = "no memory for the value";
    }
    call->over(call->arg);
}

static void hook_progress(void *arg, uint64_t tag, uint64_t index, mp_bytes_t body)
{
    (void)tag;
    mpx_one_call_t *call = find_call(arg, index);
    mpx_progress_t progress;
    void *arena = NULL;
    if (!call || mpx_progress_unpack(body, &progress, &arena) != MP_OK)
        return;
    if (!call->report)
        call->report = calloc(1, sizeof *call->report);
    if (call->report) {
        call->report->done = progress.done;
        call->report->total = progress.total;
        snprintf(call->report->text, sizeof call->report->text, "%s", progress.text);
    }
    free(arena);
}

static void hook_output(void *arg, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)tag;
    const mpx_calls_t *self = arg;
    mpx_listen_t listen = mpx_listen_to(self->task, &self->options);
    listen.label = NULL;
    mpx_listen_hear(&listen, 0, header, payload);
}

static const mpx_job_hooks_t hooks = {
    .inputs = hook_inputs,
    .outcome = hook_outcome,
    .progress = hook_progress,
    .output = hook_output,
};

/* ---- streams ----------------------------------------------------------------------------------
 */

static bool are_same(const mp_call_options_t *a, const mp_call_options_t *b)
{
    return a->call_timeout_ms == b->call_timeout_ms && a->soft_timeout_ms == b->soft_timeout_ms &&
           a->stop_grace_ms == b->stop_grace_ms && a->retries == b->retries &&
           a->retry_on == b->retry_on && a->retry_delay_ms == b->retry_delay_ms &&
           a->max_crashes == b->max_crashes && a->priority == b->priority &&
           a->worker_wait_ms == b->worker_wait_ms && a->weight == b->weight &&
           a->delay_ms == b->delay_ms && a->deadline_ms == b->deadline_ms &&
           a->output == b->output && a->output_arg == b->output_arg &&
           a->output_bytes == b->output_bytes &&
           strcmp(a->needs ? a->needs : "", b->needs ? b->needs : "") == 0;
}

static void close_stream(mpx_calls_t *self)
{
    DL_DELETE(self->pool->streams, self);
    if (self->pool->backend)
        (void)mpx_engine_job_close(self->pool->backend->engine, mpx_now(), self->job);
    mpx_buf_free(&self->scratch);
    free(self->needs);
    free(self);
}

static void close_idle_ones(mp_pool_t *pool)
{
    size_t count = 0;
    mpx_calls_t *stream, *next;
    DL_COUNT(pool->streams, stream, count);
    DL_FOREACH_SAFE (pool->streams, stream, next)
        if (count > IDLE_MAX && !stream->open) {
            close_stream(stream);
            count--;
        }
}

static mp_rc_t open_stream(mp_pool_t *pool, const mp_task_t *task, const mp_call_options_t *options,
                           mpx_calls_t **out)
{
    mp_call_options_t chosen = *options;
    chosen.chunksize = 1; /* each can be cancelled by itself */
    chosen.label = NULL;  /* they may have different ones */
    close_idle_ones(pool);
    mpx_calls_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "calls of %s", task->name);
    self->pool = pool;
    self->task = task;
    self->options = *options;
    self->needs = strdup(options->needs ? options->needs : "");
    self->options.needs = self->needs;
    mp_rc_t rc = self->needs ? MP_OK : mpx_fault(MP_ENOMEM, "calls of %s", task->name);
    if (rc == MP_OK)
        rc = mpx_pool_job_open(pool, task, &chosen, &hooks, self, &self->job);
    if (rc != MP_OK) {
        free(self->needs);
        free(self);
        return rc;
    }
    DL_APPEND(pool->streams, self);
    *out = self;
    return MP_OK;
}

static mpx_calls_t *find_stream(mp_pool_t *pool, const mp_task_t *task,
                                const mp_call_options_t *options)
{
    mpx_calls_t *stream;
    DL_FOREACH (pool->streams, stream)
        if (stream->task == task && are_same(&stream->options, options))
            break;
    if (stream && stream->next) {
        DL_DELETE(pool->streams, stream);
        DL_APPEND(pool->streams, stream);
    }
    return stream;
}

mp_rc_t mpx_calls_put(mp_pool_t *pool, const mp_task_t *task, const mp_call_options_t *options,
                      mpx_one_call_t *call)
{
    mpx_calls_t *stream = find_stream(pool, task, options);
    mp_rc_t rc = stream ? MP_OK : open_stream(pool, task, options, &stream);
    if (rc != MP_OK)
        return rc;
    call->index = stream->puts;
    call->task_out_bytes = task->out.bytes;
    HASH_ADD(hh, stream->open, index, sizeof call->index, call);
    if (call->unlisted)
        return mpx_fault(MP_ENOMEM, "a call of %s", task->name);
    call->stream = stream;
    stream->puts++;
    rc = mpx_engine_put(pool->backend->engine, mpx_now(), stream->job, call->index, 1,
                        mpx_kept_input_bytes(task, call->input.size), 0);
    if (rc != MP_OK && call->stream) {
        HASH_DEL(stream->open, call);
        call->stream = NULL;
    }
    return rc;
}

mp_rc_t mpx_calls_cancel(mp_pool_t *pool, mpx_one_call_t *call)
{
    if (!call->stream || !pool->backend)
        return MP_OK;
    return mpx_engine_cancel(pool->backend->engine, mpx_now(), call->stream->job, call->index, 1);
}

void mpx_calls_free(mp_pool_t *pool)
{
    while (pool->streams)
        close_stream(pool->streams);
}
