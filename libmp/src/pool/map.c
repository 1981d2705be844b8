#include "map.h"

#include "clock.h"
#include "fault.h"
#include "kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call's number has 64 bits, a put's count 32. */
#define PUT_MAX ((size_t)1 << 30)

static mp_rc_t hook_inputs(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    (void)tag;
    const mpx_map_t *self = arg;
    size_t size = self->task->in.bytes;
    out->item_bytes = (uint32_t)size;
    out->payload = (mp_bytes_t){self->in + first * size, count * size};
    out->result_bytes = self->task->out.bytes;
    out->results = self->out + first * self->task->out.bytes;
    return MP_OK;
}

static void note_failure(mpx_map_t *self, uint64_t index, mp_rc_t rc, const char *message,
                         const char *where)
{
    self->failed++;
    if (index >= self->first_failed)
        return;
    self->first_failed = index;
    self->rc = rc;
    const char *label = self->label ? self->label : "";
    snprintf(self->problem, sizeof self->problem, "%s%s%s: call %llu: %s%s%s", label,
             *label ? ": " : "", self->task->name, (unsigned long long)index, message,
             *where ? ", on " : "", where);
}

static void end_calls(mpx_map_t *self, uint64_t count)
{
    self->open -= count;
    if (!self->open && self->over)
        self->over(self->arg);
}

static void fail_call(mpx_map_t *self, uint64_t index, mp_rc_t rc, const char *message,
                      const char *where)
{
    size_t size = self->task->out.bytes;
    memset(self->out + index * size, 0, size);
    if (self->rcs)
        self->rcs[index] = rc;
    note_failure(self, index, rc, message, where);
    end_calls(self, 1);
}

static void hook_values(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                        uint32_t item_bytes, mp_bytes_t payload, int64_t busy_ns)
{
    (void)tag;
    (void)busy_ns;
    mpx_map_t *self = arg;
    size_t size = self->task->out.bytes;
    if (item_bytes != size) {
        for (uint32_t i = 0; i < count; i++)
            fail_call(self, first + i, MP_EPROTO, "the result has another size than the task's",
                      "");
        return;
    }
    if (payload.data != self->out + first * size) /* else they were written in place */
        memcpy(self->out + first * size, payload.data, count * size);
    if (self->rcs)
        memset(self->rcs + first, 0, count * sizeof *self->rcs);
    end_calls(self, count);
}

static void hook_outcome(void *arg, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    if (record->rc == MP_OK) {
        hook_values(arg, tag, index, 1, (uint32_t)record->value.size, record->value, busy_ns);
        return;
    }
    mpx_failure_t failure;
    void *arena = NULL;
    if (mpx_failure_unpack(record->detail, &failure, &arena) != MP_OK) {
        fail_call(arg, index, record->rc, mp_strerror(record->rc), "");
        return;
    }
    fail_call(arg, index, record->rc, failure.message, mpx_kept_where(&failure));
    free(arena);
}

static void hook_output(void *arg, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)tag;
    mpx_listen_hear(&((mpx_map_t *)arg)->listen, header->first, header, payload);
}

static const mpx_job_hooks_t hooks = {
    .inputs = hook_inputs,
    .values = hook_values,
    .outcome = hook_outcome,
    .output = hook_output,
};

static bool is_over(const void *arg)
{
    return ((const mpx_map_t *)arg)->open == 0;
}

static mp_rc_t put_all(mp_pool_t *pool, uint64_t job, size_t n, size_t item_bytes)
{
    mp_rc_t rc = MP_OK;
    for (size_t first = 0; rc == MP_OK && first < n; first += PUT_MAX) {
        size_t count = n - first < PUT_MAX ? n - first : PUT_MAX;
        rc = mpx_engine_put(pool->backend->engine, mpx_now(), job, first, (uint32_t)count,
                            count * item_bytes, 0);
    }
    return rc;
}

/* Of a call. Chunks are cut small where many bytes travel, so that copying them goes on beside the
 * work; what stays where it is may go in few large ones. */
static size_t travelling_bytes(const mpx_map_t *self, const mp_pool_t *pool)
{
    const mpx_backend_ops_t *ops = pool->backend->ops;
    size_t in = self->task->in.bytes;
    size_t out = self->task->out.bytes;
    return ops->in_place && ops->in_place(self->in, in, self->out, out, self->total) ? 0 : in;
}

mp_rc_t mpx_map_begin(mpx_map_t *self, mp_pool_t *pool, const mp_call_options_t *options,
                      uint64_t *job)
{
    self->label = options->label;
    self->listen = mpx_listen_to(self->task, options);
    mp_rc_t rc = mpx_pool_job_open(pool, self->task, options, &hooks, self, job);
    if (rc != MP_OK)
        return rc;
    rc = put_all(pool, *job, self->open, travelling_bytes(self, pool));
    if (rc != MP_OK)
        (void)mpx_engine_job_close(pool->backend->engine, mpx_now(), *job);
    return rc;
}

static mp_rc_t wait_and_tell(mp_pool_t *pool, const mpx_map_t *map,
                             const mp_call_options_t *options, int64_t deadline)
{
    mp_rc_t rc;
    int64_t until;
    do {
        until = mpx_earlier(deadline, mpx_now() + MPX_PROGRESS_MS * MPX_MS);
        rc = mpx_pool_wait(pool, is_over, map, until);
        mp_progress_t progress = {
            .done = map->total - map->open, .total = map->total, .failed = map->failed};
        pthread_mutex_unlock(&pool->lock);
        options->progress(options->progress_arg, &progress);
        pthread_mutex_lock(&pool->lock);
    } while (rc == MP_ETIMEDOUT && until < deadline);
    return rc;
}

static mp_rc_t run_locked(mp_pool_t *pool, mpx_map_t *map, const mp_call_options_t *options,
                          int64_t deadline)
{
    uint64_t job = 0;
    mp_rc_t rc = mpx_map_begin(map, pool, options, &job);
    if (rc != MP_OK)
        return rc;
    rc = options->progress ? wait_and_tell(pool, map, options, deadline)
                           : mpx_pool_wait(pool, is_over, map, deadline);
    if (!pool->backend)
        return mpx_fault(MP_ECANCELLED, "the pool was destroyed");
    mp_rc_t closed = mpx_engine_job_close(pool->backend->engine, mpx_now(), job);
    if (rc == MP_OK)
        rc = closed;
    mp_rc_t settled = mpx_pool_settle(pool);
    return rc == MP_OK ? settled : rc;
}

static mp_rc_t check(const mp_task_t *task, const void *in, size_t n, const void *out)
{
    if (!task || !task->name)
        return mpx_fault(MP_EINVAL, "no task");
    if (task->in.bytes == 0 || task->out.bytes == 0)
        return mpx_fault(MP_EINVAL, "%s is a task over bytes; use a job (mp_job_new)", task->name);
    if (n > 0 && (!in || !out))
        return mpx_fault(MP_EINVAL, "%s: no array of inputs or results", task->name);
    if (n > SIZE_MAX / (task->in.bytes > task->out.bytes ? task->in.bytes : task->out.bytes))
        return mpx_fault(MP_EINVAL, "%s: the arrays can't be that long", task->name);
    return MP_OK;
}

mp_rc_t mpx_map_init(mpx_map_t *self, const mp_task_t *task, const void *in, size_t n, void *out,
                     mp_rc_t *rcs)
{
    mp_rc_t rc = check(task, in, n, out);
    if (rc == MP_OK)
        *self = (mpx_map_t){.task = task,
                            .in = in,
                            .out = out,
                            .rcs = rcs,
                            .total = n,
                            .open = n,
                            .first_failed = UINT64_MAX};
    return rc;
}

mp_rc_t mp_pool_map_with(mp_pool_t *self, const mp_task_t *task, const void *in, size_t n,
                         void *out, mp_rc_t *rcs, const mp_call_options_t *options, int timeout_ms)
{
    static const mp_call_options_t defaults = {0};
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mpx_map_t map;
    mp_rc_t rc = mpx_map_init(&map, task, in, n, out, rcs);
    if (rc == MP_OK)
        rc = mpx_pool_check(self);
    if (rc != MP_OK || n == 0)
        return rc;
    pthread_mutex_lock(&self->lock);
    rc = run_locked(self, &map, options ? options : &defaults, deadline);
    pthread_mutex_unlock(&self->lock);
    if (rc == MP_ETIMEDOUT)
        return mpx_fault(rc, "%s: %llu of %zu calls had no outcome after %d ms; they are cancelled",
                         task->name, (unsigned long long)map.open, n, timeout_ms);
    if (rc == MP_OK && map.rc != MP_OK)
        return mpx_fault(map.rc, "%s", map.problem);
    return rc;
}

mp_rc_t mp_pool_map(mp_pool_t *self, const mp_task_t *task, const void *in, size_t n, void *out,
                    int timeout_ms)
{
    return mp_pool_map_with(self, task, in, n, out, NULL, NULL, timeout_ms);
}

mp_rc_t mp_pool_apply(mp_pool_t *self, const mp_task_t *task, const void *in, void *out,
                      int timeout_ms)
{
    return mp_pool_map_with(self, task, in, 1, out, NULL, NULL, timeout_ms);
}
