/* job.c: a stream of calls: a window of entries between put and next. */
#include <mp/kept.h>

#include "deposit.h"
#include "drive.h"
#include "kept.h"
#include "listen.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* One call between its put and its next. */
typedef struct entry {
    uint64_t index;
    bool done;
    bool unlisted;
    mpx_kept_t kept; /* once done */
    size_t input_size;
    UT_hash_handle hh;
    struct entry *prev, *next; /* in `finished`, for an unordered job */
    unsigned char input[];
} entry_t;

struct mp_job {
    mp_pool_t *pool;
    struct mp_job *prev, *next; /* the pool's others */
    const mp_task_t *task;
    char *label;
    mpx_listen_t listen;
    uint64_t id; /* on the engine; 0: not any more */
    bool unordered;
    bool closed;
    bool held; /* by us, on the engine */
    size_t window;
    uint64_t puts;
    uint64_t takes;
    entry_t *entries;  /* by index: all in the window */
    entry_t *finished; /* unordered: those done, oldest first */
    entry_t *taken;    /* what the last next handed out */
    size_t input_bytes;
    size_t value_bytes;
    mp_rc_t trouble; /* a hook ran out of memory */
    mpx_buf_t scratch;
    mpx_deposit_t *deposit; /* the broker keeps it; then of the rest only the pool, task, label,
                               listen, and: */
    mpx_kept_t given;       /* what next handed out */
};

enum { WINDOW_PER_WORKER = 64, WINDOW_BYTES = 64 * 1024 * 1024 };

/* For the broker's word on a job that it is to keep. */
enum { KEPT_OPEN_MS = 10000 };

/* ---- hooks ------------------------------------------------------------------------ */

static entry_t *find_entry(const mp_job_t *self, uint64_t index)
{
    entry_t *entry = NULL;
    HASH_FIND(hh, self->entries, &index, sizeof index, entry);
    return entry;
}

static mp_rc_t hook_inputs(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    (void)tag;
    mp_job_t *self = arg;
    mpx_buf_clear(&self->scratch);
    for (uint32_t i = 0; i < count; i++) {
        const entry_t *entry = find_entry(self, first + i);
        mp_bytes_t input = {entry->input, entry->input_size};
        mp_rc_t rc = mpx_kept_input(&self->scratch, self->task, input);
        if (rc != MP_OK)
            return rc;
    }
    out->item_bytes = self->task->in.bytes;
    out->payload = mpx_buf_bytes(&self->scratch);
    out->result_bytes = self->task->out.bytes;
    return MP_OK;
}

static void finish(mp_job_t *self, entry_t *entry)
{
    entry->done = true;
    if (self->unordered)
        DL_APPEND(self->finished, entry);
}

static void hook_outcome(void *arg, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    (void)tag;
    (void)busy_ns;
    mp_job_t *self = arg;
    entry_t *entry = find_entry(self, index);
    mp_rc_t rc = mpx_kept_fill(&entry->kept, self->task, index, record);
    if (rc != MP_OK)
        self->trouble = rc;
    entry->kept.outcome.label = self->label;
    self->value_bytes += entry->kept.outcome.value.size;
    finish(self, entry);
}

static void hook_output(void *arg, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)tag;
    mpx_listen_hear(&((mp_job_t *)arg)->listen, header->first, header, payload);
}

static const mpx_job_hooks_t hooks = {
    .inputs = hook_inputs,
    .outcome = hook_outcome,
    .output = hook_output,
};

/* ---- window ----------------------------------------------------------------------- */

/* What next would hand out now, or NULL. */
static entry_t *head(const mp_job_t *self)
{
    if (self->unordered)
        return self->finished;
    entry_t *entry = find_entry(self, self->takes);
    return entry && entry->done ? entry : NULL;
}

static bool has_room(const mp_job_t *self, size_t size)
{
    if (self->puts == self->takes)
        return true;
    return self->puts - self->takes < self->window && self->input_bytes + size <= WINDOW_BYTES;
}

/* Results pile up while the caller takes none of those that it could: give no more work
 * out. Never while the next result in order is still to come, or it might never. */
void mpx_job_balance(mp_job_t *self, int64_t now)
{
    bool hold = self->value_bytes > WINDOW_BYTES && head(self);
    if (!self->id || hold == self->held)
        return;
    self->held = hold;
    mp_rc_t rc = mpx_engine_job_hold(self->pool->backend->engine, now, self->id, hold);
    if (rc != MP_OK)
        self->trouble = rc;
}

mp_job_t *mpx_job_next(const mp_job_t *self)
{
    return self->next;
}

bool mpx_job_open_calls(const mp_job_t *self)
{
    return self->id && mpx_engine_job_open_calls(self->pool->backend->engine, self->id) > 0;
}

static void entry_free(mp_job_t *self, entry_t *entry)
{
    self->input_bytes -= entry->input_size;
    self->value_bytes -= entry->kept.outcome.value.size;
    mpx_kept_free(&entry->kept);
    free(entry);
}

static void free_job(mp_job_t *self)
{
    if (self->taken)
        entry_free(self, self->taken);
    entry_t *entry, *next;
    HASH_ITER (hh, self->entries, entry, next) {
        HASH_DEL(self->entries, entry);
        entry_free(self, entry);
    }
    mpx_buf_free(&self->scratch);
    mpx_kept_free(&self->given);
    free(self->label);
    free(self);
}

/* ---- the public calls ------------------------------------------------------------- */

static size_t window_of(const mp_pool_t *pool, const mp_call_options_t *options)
{
    if (options->window > 0)
        return (size_t)options->window;
    int processes = pool->backend ? pool->backend->processes : 0;
    return (size_t)(processes > 0 ? processes : 1) * WINDOW_PER_WORKER;
}

static mp_rc_t open_here(mp_job_t *self, const mp_call_options_t *options)
{
    self->window = window_of(self->pool, options);
    return mpx_pool_job_open(self->pool, self->task, options, &hooks, self, &self->id);
}

static mp_rc_t open_kept(mp_job_t *self, const mp_call_options_t *options)
{
    char signature[MPX_SIGNATURE_MAX];
    mpx_job_spec_t spec;
    mp_rc_t rc = mpx_pool_job_spec(self->pool, self->task, options, signature, &spec);
    if (rc != MP_OK)
        return rc;
    return mpx_deposit_new(self->pool, &spec, options, options->name, &self->listen,
                           mpx_deadline(mpx_now(), KEPT_OPEN_MS), &self->deposit);
}

mp_rc_t mp_job_new(mp_pool_t *pool, const mp_task_t *task, const mp_call_options_t *options,
                   mp_job_t **out)
{
    static const mp_call_options_t defaults = {0};
    if (!options)
        options = &defaults;
    if (!task || !task->name)
        return mpx_fault(MP_EINVAL, "no task");
    mp_rc_t rc = mpx_pool_check(pool);
    if (rc != MP_OK)
        return rc;
    mp_job_t *self = calloc(1, sizeof *self);
    char *label = strdup(options->label ? options->label : "");
    if (!self || !label) {
        free(self);
        free(label);
        return mpx_fault(MP_ENOMEM, "a job of %s", task->name);
    }
    self->label = label;
    self->pool = pool;
    self->task = task;
    self->listen = mpx_listen_to(task, options);
    self->listen.label = label;
    self->unordered = options->unordered;

    pthread_mutex_lock(&pool->lock);
    rc = mpx_call_options_keep(options) ? open_kept(self, options) : open_here(self, options);
    if (rc == MP_OK) {
        DL_APPEND(pool->jobs, self);
        pool->users++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (rc != MP_OK) {
        free_job(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

static mp_rc_t check_input(const mp_job_t *self, mp_bytes_t input)
{
    if (self->task->in.bytes && input.size != self->task->in.bytes)
        return mpx_fault(MP_EINVAL, "%s takes records of %u bytes, not %zu", self->task->name,
                         self->task->in.bytes, input.size);
    if (input.size > MP_VALUE_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "%s: an input of %zu bytes; at most %u are possible",
                         self->task->name, input.size, MP_VALUE_BYTES_MAX);
    return mpx_pool_check(self->pool);
}

static mp_rc_t put_locked(mp_job_t *self, mp_bytes_t input)
{
    entry_t *entry = calloc(1, sizeof *entry + input.size);
    if (!entry)
        return mpx_fault(MP_ENOMEM, "an input of %zu bytes", input.size);
    entry->index = self->puts;
    entry->input_size = input.size;
    if (input.size)
        memcpy(entry->input, input.data, input.size);
    HASH_ADD(hh, self->entries, index, sizeof entry->index, entry);
    if (entry->unlisted) {
        free(entry);
        return mpx_fault(MP_ENOMEM, "an input of %zu bytes", input.size);
    }
    self->puts++;
    self->input_bytes += input.size;
    mp_rc_t rc = mpx_engine_put(self->pool->backend->engine, mpx_now(), self->id, entry->index, 1,
                                mpx_kept_input_bytes(self->task, input.size), 0);
    return rc == MP_OK ? mpx_pool_settle(self->pool) : rc;
}

typedef struct put_wait {
    const mp_job_t *job;
    size_t size;
} put_wait_t;

static bool can_put(const void *arg)
{
    const put_wait_t *wait = arg;
    return wait->job->closed || has_room(wait->job, wait->size);
}

static mp_rc_t stayed_full(const mp_job_t *self)
{
    if (self->deposit)
        return mpx_fault(MP_ETIMEDOUT, "the broker has not taken the inputs before this one yet");
    return mpx_fault(MP_ETIMEDOUT,
                     "%s: the window is full, with %llu calls and %zu KiB of inputs: take outcomes",
                     self->task->name, (unsigned long long)(self->puts - self->takes),
                     (self->input_bytes + 1023) >> 10);
}

mp_rc_t mp_job_put(mp_job_t *self, mp_bytes_t input, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = check_input(self, input);
    if (rc != MP_OK)
        return rc;
    put_wait_t wait = {self, input.size};
    pthread_mutex_lock(&self->pool->lock);
    if (self->deposit) {
        rc = mpx_deposit_put(self->deposit, self->task, input, deadline);
        if (rc == MP_ETIMEDOUT)
            rc = stayed_full(self);
        pthread_mutex_unlock(&self->pool->lock);
        return rc;
    }
    if (!can_put(&wait))
        rc = mpx_pool_wait(self->pool, can_put, &wait, deadline);
    if (rc == MP_ETIMEDOUT)
        rc = stayed_full(self);
    if (rc == MP_OK && (self->closed || !self->pool->backend))
        rc = mpx_fault(MP_ECLOSED, "the job is closed");
    if (rc == MP_OK)
        rc = put_locked(self, input);
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

void mp_job_close(mp_job_t *self)
{
    if (mpx_pool_check(self->pool) != MP_OK)
        return;
    pthread_mutex_lock(&self->pool->lock);
    self->closed = true;
    if (self->deposit)
        mpx_deposit_close(self->deposit);
    pthread_cond_broadcast(&self->pool->moved);
    pthread_mutex_unlock(&self->pool->lock);
}

static bool can_take(const void *arg)
{
    const mp_job_t *self = arg;
    return head(self) || self->trouble != MP_OK || (self->closed && self->takes == self->puts);
}

static mp_rc_t take_locked(mp_job_t *self, mp_outcome_t *out)
{
    if (self->trouble != MP_OK)
        return mpx_fault(self->trouble, "a job of %s", self->task->name);
    entry_t *entry = head(self);
    if (!entry)
        return MP_EOF;
    HASH_DEL(self->entries, entry);
    if (self->unordered)
        DL_DELETE(self->finished, entry);
    self->taken = entry;
    self->takes++;
    *out = entry->kept.outcome;
    if (self->pool->backend && self->held)
        mpx_job_balance(self, mpx_now());
    return MP_OK;
}

static mp_rc_t next_kept(mp_job_t *self, mp_outcome_t *out, int64_t deadline)
{
    mpx_record_t record;
    uint64_t index;
    mpx_kept_free(&self->given);
    mp_rc_t rc = mpx_deposit_next(self->deposit, &record, &index, deadline);
    if (rc == MP_OK)
        rc = mpx_kept_fill(&self->given, self->task, index, &record);
    if (rc != MP_OK)
        return rc;
    self->given.outcome.label = self->label;
    *out = self->given.outcome;
    return MP_OK;
}

mp_rc_t mp_job_next(mp_job_t *self, mp_outcome_t *out, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = mpx_pool_check(self->pool);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->pool->lock);
    if (self->deposit) {
        rc = next_kept(self, out, deadline);
        pthread_mutex_unlock(&self->pool->lock);
        return rc;
    }
    if (self->taken)
        entry_free(self, self->taken);
    self->taken = NULL;
    if (!can_take(self))
        rc = mpx_pool_wait(self->pool, can_take, self, deadline);
    if (rc == MP_OK || rc == MP_ECLOSED)
        rc = take_locked(self, out);
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

void mp_job_cancel(mp_job_t *self)
{
    if (mpx_pool_check(self->pool) != MP_OK)
        return;
    pthread_mutex_lock(&self->pool->lock);
    self->closed = true;
    mp_rc_t rc = MP_OK;
    if (self->pool->backend && self->deposit)
        mpx_deposit_cancel(self->deposit);
    else if (self->pool->backend)
        rc = mpx_engine_job_fail(self->pool->backend->engine, mpx_now(), self->id, MP_ECANCELLED,
                                 "cancelled");
    if (rc == MP_OK && self->pool->backend)
        rc = mpx_pool_settle(self->pool);
    if (rc != MP_OK)
        self->trouble = rc;
    pthread_mutex_unlock(&self->pool->lock);
}

int mp_job_fileno(const mp_job_t *self)
{
    mp_pool_t *pool = self->pool;
    if (mpx_pool_check(pool) != MP_OK)
        return -1;
    pthread_mutex_lock(&pool->lock);
    int fd = pool->backend && mpx_pool_watch(pool) == MP_OK ? pool->watch_fd : -1;
    pthread_mutex_unlock(&pool->lock);
    return fd;
}

void mp_job_destroy(mp_job_t **self_p)
{
    mp_job_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mp_pool_t *pool = self->pool;
    if (mpx_pool_check(pool) != MP_OK) {
        free_job(self); /* in a forked child; what a deposit has is left to its end */
        return;
    }
    pthread_mutex_lock(&pool->lock);
    DL_DELETE(pool->jobs, self);
    if (self->deposit) {
        mpx_deposit_free(self->deposit);
    } else if (pool->backend) {
        (void)mpx_engine_job_close(pool->backend->engine, mpx_now(), self->id);
        (void)mpx_pool_settle(pool);
    }
    free_job(self);
    mpx_pool_leave(pool);
}

/* ---- of jobs that a broker keeps ----------------------------------------------------- */

const char *mp_job_id(const mp_job_t *self)
{
    return self->deposit ? mpx_deposit_id(self->deposit) : "";
}

mp_rc_t mp_job_attach(mp_pool_t *pool, const char *id, int timeout_ms, mp_job_t **out)
{
    static const mp_call_options_t defaults = {0};
    return mp_job_attach_with(pool, id, &defaults, timeout_ms, out);
}

mp_rc_t mp_job_attach_with(mp_pool_t *pool, const char *id, const mp_call_options_t *options,
                           int timeout_ms, mp_job_t **out)
{
    if (!id)
        return mpx_fault(MP_EINVAL, "no id");
    mp_rc_t rc = mpx_pool_check(pool);
    if (rc != MP_OK)
        return rc;
    mp_job_t *self = calloc(1, sizeof *self);
    char *label = strdup(options->label ? options->label : "");
    if (!self || !label) {
        free(self);
        free(label);
        return mpx_fault(MP_ENOMEM, "a job");
    }
    self->pool = pool;
    self->label = label;
    self->listen =
        (mpx_listen_t){.tell = options->output, .arg = options->output_arg, .label = label};
    self->closed = true;
    pthread_mutex_lock(&pool->lock);
    rc = mpx_deposit_new(pool, NULL, NULL, id, &self->listen, mpx_deadline(mpx_now(), timeout_ms),
                         &self->deposit);
    if (rc == MP_OK) {
        self->task = mpx_deposit_task(self->deposit);
        DL_APPEND(pool->jobs, self);
        pool->users++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (rc != MP_OK) {
        free_job(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

/* With the pool's lock, if it is kept. */
static mp_rc_t enter_kept(const mp_job_t *self)
{
    mp_rc_t rc = mpx_pool_check(self->pool);
    if (rc == MP_OK && !self->deposit)
        rc = mpx_fault(MP_ESTATE, "no broker keeps this job: it has no name, key or keep_ms");
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->pool->lock);
    if (self->pool->backend)
        return MP_OK;
    pthread_mutex_unlock(&self->pool->lock);
    return mpx_fault(MP_ECLOSED, "the pool is closed");
}

mp_rc_t mp_job_settle(mp_job_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = enter_kept(self);
    if (rc != MP_OK)
        return rc;
    rc = mpx_deposit_settle(self->deposit, deadline);
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

mp_rc_t mp_job_wait(mp_job_t *self, mp_job_info_t *out, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = enter_kept(self);
    if (rc != MP_OK)
        return rc;
    rc = mpx_deposit_wait(self->deposit, out, deadline);
    pthread_mutex_unlock(&self->pool->lock);
    return rc;
}

mp_rc_t mp_job_look(mp_job_t *self, mp_job_info_t *out, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_job_info_t info;
    size_t count = 0;
    mp_rc_t rc = enter_kept(self);
    if (rc != MP_OK)
        return rc;
    rc = mpx_deposit_flush(self->deposit, deadline);
    uint64_t number = mpx_deposit_number(self->deposit);
    pthread_mutex_unlock(&self->pool->lock);
    if (rc == MP_OK)
        rc = mp_pool_kept_jobs(self->pool, number - 1, &info, 1, &count,
                               mpx_poll_ms(mpx_now(), deadline));
    if (rc == MP_OK && (count == 0 || info.number != number))
        rc = mpx_fault(MP_ENOTFOUND, "job %s is not kept any more", mp_job_id(self));
    if (rc == MP_OK)
        *out = info;
    return rc;
}

/* End a kept job's handle in one of two ways; on failure it is still the caller's. */
static mp_rc_t let_go(mp_job_t **self, mp_rc_t (*how)(mpx_deposit_t *deposit, int64_t deadline),
                      int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = enter_kept(*self);
    if (rc != MP_OK)
        return rc;
    rc = how((*self)->deposit, deadline);
    pthread_mutex_unlock(&(*self)->pool->lock);
    if (rc == MP_OK)
        mp_job_destroy(self);
    return rc;
}

mp_rc_t mp_job_detach(mp_job_t **self, int timeout_ms)
{
    return let_go(self, mpx_deposit_leave, timeout_ms);
}

mp_rc_t mp_job_drop(mp_job_t **self, int timeout_ms)
{
    return let_go(self, mpx_deposit_drop, timeout_ms);
}
