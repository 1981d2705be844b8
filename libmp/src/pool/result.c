#include <mp/result.h>

#include "calls.h"
#include "helpers.h"
#include "map.h"
#include "result.h"
#include "results.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

/*     OPEN --last outcome--> ready --[callback]--> called
 *
 * Its memory is shared by the handle, by what is open, and by what is due; who gives up the last
 * share frees it. Only the handle, and the thread that calls, keep the pool's own memory.
 */
struct mp_result {
    mp_pool_t *pool;
    mp_result_t *prev, *next; /* in the pool's told_results, over_results or due_results */
    unsigned shares;
    bool ready;
    bool failed;
    bool handed_out; /* by mp_as_completed */
    bool is_told;    /* it is in told_results */
    int64_t tell_at; /* when its progress is due next */
    int wake;        /* for mpx_result_watch; -1: never asked */
    size_t total;
    uint64_t job;   /* of a map; 0: closed */
    mpx_map_t *map; /* NULL: a single call, of which there may be very many */
    mpx_one_call_t call;
    mp_async_options_t options;
    char *label; /* or NULL */
    unsigned char input[];
};

/* ---- becoming ready ----------------------------------------------------------------------------
 */

static void free_it(mp_result_t *self)
{
    free(self->map);
    free(self->label);
    free(self);
}

static void drop_share(mp_result_t *self)
{
    if (--self->shares)
        return;
    if (self->wake >= 0)
        close(self->wake);
    mpx_kept_free(&self->call.kept);
    free(self->call.report);
    free_it(self);
}

static void stop_telling(mp_result_t *self)
{
    if (self->is_told)
        DL_DELETE(self->pool->told_results, self);
    self->is_told = false;
}

/* Called from within the engine: what is to be done there waits for the sweep. */
static void on_over(void *arg)
{
    mp_result_t *self = arg;
    self->ready = true;
    self->failed = (self->map ? self->map->rc : self->call.kept.outcome.rc) != MP_OK;
    self->call.kept.outcome.label = self->label ? self->label : "";
    self->pool->open_results--;
    stop_telling(self);
    DL_APPEND(self->pool->over_results, self);
    if (self->wake >= 0)
        (void)!write(self->wake, &(uint64_t){1}, sizeof(uint64_t));
}

static bool has_callback(const mp_result_t *self)
{
    if (self->map && self->options.calls.progress)
        return true;
    return self->failed ? self->options.error_callback != NULL : self->options.callback != NULL;
}

static void close_map(mp_result_t *self)
{
    if (self->job && self->pool->backend)
        (void)mpx_engine_job_close(self->pool->backend->engine, mpx_now(), self->job);
    self->job = 0;
}

void mpx_results_sweep(mp_pool_t *pool)
{
    while (pool->over_results) {
        mp_result_t *self = pool->over_results;
        DL_DELETE(pool->over_results, self);
        close_map(self);
        if (has_callback(self))
            DL_APPEND(pool->due_results, self);
        else
            drop_share(self);
    }
}

mp_result_t *mpx_results_due(mp_pool_t *pool)
{
    return pool->due_results;
}

/* Without the lock; what it has kept alive is freed with its share. */
static void tell_progress(mp_result_t *self)
{
    void (*tell)(void *, const mp_progress_t *) = self->options.calls.progress;
    void *arg = self->options.calls.progress_arg;
    if (!self->map || !tell)
        return;
    mp_progress_t progress = {
        .done = self->total - self->map->open, .total = self->total, .failed = self->map->failed};
    self->pool->called = self;
    pthread_mutex_unlock(&self->pool->lock);
    tell(arg, &progress);
    pthread_mutex_lock(&self->pool->lock);
    self->pool->called = NULL;
}

int64_t mpx_results_tell(mp_pool_t *pool, int64_t now)
{
    int64_t next = MPX_NEVER;
    mp_result_t *self = pool->told_results;
    while (self) {
        if (self->tell_at > now) {
            next = mpx_earlier(next, self->tell_at);
            self = self->next;
            continue;
        }
        self->tell_at = now + MPX_PROGRESS_MS * MPX_MS;
        self->shares++;
        tell_progress(self);
        drop_share(self);
        self = pool->told_results; /* it may be another list by now */
        next = MPX_NEVER;
    }
    return next;
}

static void end_due(mp_pool_t *pool, mp_result_t *due)
{
    DL_DELETE(pool->due_results, due);
    drop_share(due);
    if (pool->driver_waits)
        mpx_pool_kick(pool);
    pthread_cond_broadcast(&pool->moved);
}

void mpx_results_call(mp_pool_t *pool, mp_result_t *due)
{
    tell_progress(due);
    const mp_async_options_t *options = &due->options;
    void (*callback)(void *, mp_result_t *) =
        due->failed ? options->error_callback : options->callback;
    void *arg = options->arg;
    if (callback) { /* else its handle was destroyed meanwhile */
        pool->called = due;
        pthread_mutex_unlock(&pool->lock);
        callback(arg, due);
        pthread_mutex_lock(&pool->lock);
        pool->called = NULL;
    }
    end_due(pool, due);
}

void mpx_results_abandon(mp_pool_t *pool)
{
    mp_result_t *called = pool->called;
    pool->called = NULL;
    if (called && called == pool->due_results)
        end_due(pool, called);
    else if (called) /* it was told how far it is */
        drop_share(called);
}

/* ---- beginning ---------------------------------------------------------------------------------
 */

static mp_result_t *make(mp_pool_t *pool, const mp_async_options_t *options, size_t input_bytes)
{
    mp_result_t *self = calloc(1, sizeof *self + input_bytes);
    if (!self)
        return NULL;
    self->pool = pool;
    self->wake = -1;
    if (options)
        self->options = *options;
    if (self->options.calls.label) {
        self->label = strdup(self->options.calls.label);
        self->options.calls.label = self->label;
    }
    return self;
}

/* With the lock held: what is begun has a share, also if it ends at once. */
static void open_it(mp_result_t *self)
{
    self->shares = 1;
    self->pool->open_results++;
}

static mp_rc_t close_it(mp_result_t *self, mp_rc_t rc)
{
    stop_telling(self);
    self->pool->open_results--;
    free_it(self);
    return rc;
}

/* The call is in: what goes wrong from here on is its outcome's to tell. */
static mp_rc_t hand_over(mp_result_t *self, mp_result_t **out)
{
    mp_pool_t *pool = self->pool;
    if (out) {
        self->shares++;
        pool->users++;
        *out = self;
    }
    (void)mpx_pool_settle_soon(pool);
    return MP_OK;
}

static mp_rc_t begin(mp_pool_t *pool, const mp_async_options_t *options)
{
    if (pool->closed || !pool->backend)
        return mpx_fault(MP_ECLOSED, "the pool is closed");
    return mpx_helpers_start(pool, options->callback || options->error_callback ||
                                       options->calls.progress);
}

static mp_rc_t begin_call(mp_pool_t *pool, const mp_task_t *task, mp_bytes_t input,
                          const mp_async_options_t *options, mp_result_t **out)
{
    mp_result_t *self = make(pool, options, input.size);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a call of %s", task->name);
    if (input.size)
        memcpy(self->input, input.data, input.size);
    self->total = 1;
    self->call = (mpx_one_call_t){.input = {self->input, input.size}, .over = on_over, .arg = self};
    pthread_mutex_lock(&pool->lock);
    open_it(self);
    mp_rc_t rc = begin(pool, &self->options);
    if (rc == MP_OK)
        rc = mpx_calls_put(pool, task, &self->options.calls, &self->call);
    rc = rc == MP_OK ? hand_over(self, out) : close_it(self, rc);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

mp_rc_t mp_pool_submit(mp_pool_t *pool, const mp_task_t *task, mp_bytes_t input,
                       const mp_async_options_t *options, mp_result_t **out)
{
    if (!task || !task->name || (!input.data && input.size))
        return mpx_fault(MP_EINVAL, "no task, or %zu bytes at NULL", input.size);
    if (task->in.bytes && input.size != task->in.bytes)
        return mpx_fault(MP_EINVAL, "%s takes records of %u bytes, not %zu", task->name,
                         task->in.bytes, input.size);
    if (input.size > MP_VALUE_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "%s: an input of %zu bytes; at most %u are possible",
                         task->name, input.size, MP_VALUE_BYTES_MAX);
    mp_rc_t rc = mpx_pool_check(pool);
    return rc == MP_OK ? begin_call(pool, task, input, options, out) : rc;
}

mp_rc_t mp_pool_apply_async(mp_pool_t *pool, const mp_task_t *task, const void *in,
                            const mp_async_options_t *options, mp_result_t **out)
{
    if (!task || !in || !task->in.bytes || !task->out.bytes)
        return mpx_fault(MP_EINVAL, "apply_async takes a task over records, and one of them");
    return mp_pool_submit(pool, task, (mp_bytes_t){in, task->in.bytes}, options, out);
}

mp_rc_t mp_pool_map_async(mp_pool_t *pool, const mp_task_t *task, const void *in, size_t n,
                          void *out, const mp_async_options_t *options, mp_result_t **result)
{
    mp_rc_t rc = mpx_pool_check(pool);
    mp_result_t *self = rc == MP_OK ? make(pool, options, 0) : NULL;
    if (!self)
        return rc == MP_OK ? mpx_fault(MP_ENOMEM, "a map") : rc;
    self->map = malloc(sizeof *self->map);
    rc = self->map ? mpx_map_init(self->map, task, in, n, out, self->options.rcs)
                   : mpx_fault(MP_ENOMEM, "a map");
    if (rc != MP_OK) {
        free_it(self);
        return rc;
    }
    self->total = n;
    self->map->over = on_over;
    self->map->arg = self;
    pthread_mutex_lock(&pool->lock);
    open_it(self);
    rc = begin(pool, &self->options);
    if (rc == MP_OK && n && self->options.calls.progress) {
        DL_APPEND(pool->told_results, self);
        self->is_told = true;
    }
    if (rc == MP_OK && n)
        rc = mpx_map_begin(self->map, pool, &self->options.calls, &self->job);
    else if (rc == MP_OK)
        on_over(self);
    rc = rc == MP_OK ? hand_over(self, result) : close_it(self, rc);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* ---- waiting -----------------------------------------------------------------------------------
 */

typedef struct some {
    mp_result_t *const *results;
    size_t count;
    mp_result_when_t when;
} some_t;

static bool is_enough(const void *arg)
{
    const some_t *some = arg;
    size_t ready = 0;
    for (size_t i = 0; i < some->count; i++) {
        const mp_result_t *one = some->results[i];
        if (!one->ready)
            continue;
        ready++;
        if (some->when == MP_FIRST_COMPLETED || (some->when == MP_FIRST_FAILED && one->failed))
            return true;
    }
    return ready == some->count;
}

static mp_rc_t check_some(const some_t *some)
{
    for (size_t i = 0; i < some->count; i++)
        if (some->results[i]->pool != some->results[0]->pool)
            return mpx_fault(MP_EINVAL, "results of different pools can't be waited for together");
    return some->count ? mpx_pool_check(some->results[0]->pool) : MP_OK;
}

mp_rc_t mp_result_wait(mp_result_t *const *results, size_t count, mp_result_when_t when,
                       int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    some_t some = {results, count, when};
    mp_rc_t rc = check_some(&some);
    if (rc != MP_OK || !count)
        return rc;
    mp_pool_t *pool = results[0]->pool;
    pthread_mutex_lock(&pool->lock);
    if (!is_enough(&some))
        rc = mpx_pool_wait(pool, is_enough, &some, deadline);
    pthread_mutex_unlock(&pool->lock);
    if (rc == MP_ETIMEDOUT)
        return mpx_fault(rc, count == 1 ? "the result isn't ready" : "not enough are ready");
    return rc == MP_ECLOSED ? MP_OK : rc;
}

static bool has_new_one(const void *arg)
{
    const some_t *some = arg;
    for (size_t i = 0; i < some->count; i++)
        if (some->results[i]->ready && !some->results[i]->handed_out)
            return true;
    return false;
}

static mp_rc_t hand_out(const some_t *some, size_t *index)
{
    bool all = true;
    for (size_t i = 0; i < some->count; i++) {
        mp_result_t *one = some->results[i];
        all = all && one->handed_out;
        if (!one->ready || one->handed_out)
            continue;
        one->handed_out = true;
        *index = i;
        return MP_OK;
    }
    return all ? MP_EOF : MP_ETIMEDOUT;
}

mp_rc_t mp_as_completed(mp_result_t *const *results, size_t count, size_t *index, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    some_t some = {results, count, MP_FIRST_COMPLETED};
    mp_rc_t rc = check_some(&some);
    if (rc != MP_OK || !count)
        return rc == MP_OK ? MP_EOF : rc;
    mp_pool_t *pool = results[0]->pool;
    pthread_mutex_lock(&pool->lock);
    rc = hand_out(&some, index);
    if (rc == MP_ETIMEDOUT && mpx_pool_wait(pool, has_new_one, &some, deadline) == MP_OK)
        rc = hand_out(&some, index);
    pthread_mutex_unlock(&pool->lock);
    return rc == MP_ETIMEDOUT ? mpx_fault(rc, "no further result is ready") : rc;
}

mp_rc_t mpx_result_watch(mp_result_t *self, bool *ready, int *fd)
{
    mp_rc_t rc = mpx_pool_check(self->pool);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->pool->lock);
    if (!self->ready && self->wake < 0)
        self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!self->ready && self->wake < 0)
        rc = mpx_fault_errno("waiting for a result");
    *ready = self->ready;
    *fd = self->wake;
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

/* ---- using -------------------------------------------------------------------------------------
 */

bool mp_result_ready(const mp_result_t *self)
{
    if (mpx_pool_check(self->pool) != MP_OK)
        return false;
    pthread_mutex_lock(&self->pool->lock);
    bool ready = self->ready;
    pthread_mutex_unlock(&self->pool->lock);
    return ready;
}

mp_rc_t mp_result_successful(const mp_result_t *self, bool *out)
{
    if (!mp_result_ready(self))
        return mpx_fault(MP_ESTATE, "the result isn't ready");
    *out = !self->failed;
    return MP_OK;
}

void mp_result_progress(const mp_result_t *self, size_t *done, size_t *total)
{
    pthread_mutex_lock(&self->pool->lock);
    *done = self->map ? self->total - self->map->open : self->ready;
    *total = self->total;
    pthread_mutex_unlock(&self->pool->lock);
}

mp_rc_t mp_result_reported(const mp_result_t *self, mp_report_t *out)
{
    mp_rc_t rc = mpx_pool_check(self->pool);
    if (rc == MP_OK && self->map)
        rc = mpx_fault(MP_EINVAL, "the calls of a map don't report one by one");
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->pool->lock);
    if (self->call.report)
        *out = *self->call.report;
    else
        rc = mpx_fault(MP_ESTATE, "the call has not said how far it is");
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

mp_rc_t mp_result_outcome(mp_result_t *self, mp_outcome_t *out, int timeout_ms)
{
    if (self->map)
        return mpx_fault(MP_EINVAL, "a map has many outcomes: its rcs tell them");
    mp_rc_t rc = mp_result_wait(&self, 1, MP_ALL_COMPLETED, timeout_ms);
    if (rc == MP_OK)
        *out = self->call.kept.outcome;
    return rc;
}

static mp_rc_t get_value(const mp_result_t *self, void *out)
{
    const mp_outcome_t *outcome = &self->call.kept.outcome;
    if (outcome->rc != MP_OK)
        return mpx_fault(outcome->rc, "%s", outcome->message);
    if (out && outcome->value.size)
        memcpy(out, outcome->value.data, outcome->value.size);
    return MP_OK;
}

mp_rc_t mp_result_get(mp_result_t *self, void *out, int timeout_ms)
{
    bool of_bytes = !self->map && !self->call.task_out_bytes;
    if (of_bytes || (self->map && out))
        return mpx_fault(MP_EINVAL, of_bytes ? "a task over bytes: see mp_result_outcome"
                                             : "a map's values are in its own array");
    mp_rc_t rc = mp_result_wait(&self, 1, MP_ALL_COMPLETED, timeout_ms);
    if (rc != MP_OK || !self->map)
        return rc == MP_OK ? get_value(self, out) : rc;
    return self->map->rc == MP_OK ? MP_OK : mpx_fault(self->map->rc, "%s", self->map->problem);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static mp_rc_t cancel_locked(mp_result_t *self)
{
    mp_pool_t *pool = self->pool;
    mp_rc_t rc = MP_OK;
    if (self->ready)
        return mpx_fault(MP_ESTATE, "the result was ready before");
    if (self->map)
        rc = mpx_engine_job_fail(pool->backend->engine, mpx_now(), self->job, MP_ECANCELLED,
                                 "cancelled");
    else
        rc = mpx_calls_cancel(pool, &self->call);
    return rc == MP_OK ? mpx_pool_settle(pool) : rc;
}

mp_rc_t mp_result_cancel(mp_result_t *self)
{
    mp_rc_t rc = mpx_pool_check(self->pool);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->pool->lock);
    rc = cancel_locked(self);
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

/* A callback that runs now keeps its share. */
static void forget_callback(mp_result_t *self)
{
    mp_result_t *first = self->pool->due_results;
    self->options.callback = NULL;
    self->options.error_callback = NULL;
    self->options.calls.progress = NULL;
    stop_telling(self);
    if (!self->ready || !first || self == first)
        return;
    mp_result_t *due;
    DL_FOREACH (first, due)
        if (due == self)
            break;
    if (!due)
        return;
    DL_DELETE(self->pool->due_results, self);
    drop_share(self);
}

void mp_result_destroy(mp_result_t **self_p)
{
    mp_result_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mp_pool_t *pool = self->pool;
    if (mpx_pool_check(pool) != MP_OK) {
        self->shares = 1;
        drop_share(self);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    forget_callback(self);
    if (!self->ready)
        (void)cancel_locked(self);
    drop_share(self);
    mpx_pool_leave(pool);
}
