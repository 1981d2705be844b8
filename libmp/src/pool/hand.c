#include "hand.h"

#include "call.h"
#include "clock.h"
#include "fault.h"
#include "thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct job {
    uint64_t id;
    const mp_task_t *task;
    int64_t soft_limit_ns; /* 0: none */
    bool unlisted;
    UT_hash_handle hh;
} job_t;

struct mpx_hand {
    mpx_hand_options_t options;
    char host[256];
    mpx_tray_t *tray;
    mpx_letter_t *bye;    /* made beforehand; NULL: it is sent */
    pthread_mutex_t lock; /* of the next four */
    pthread_cond_t news;
    mpx_letter_t *given; /* oldest first */
    mpx_letter_t **given_end;
    unsigned shares;
    bool leaving;
    atomic_bool at_once;
    _Atomic uint64_t cancelled; /* a chunk */
    /* The rest is of whoever works. */
    job_t *jobs;
    mp_call_t call;
    mpx_call_runner_t runner;
    const job_t *job;           /* of the running call */
    const mpx_header_t *submit; /* the same */
    int64_t began;
    int64_t reported_at;
    mpx_buf_t values; /* of calls that went well, and aren't sent yet */
    uint64_t values_first;
    uint32_t values_count;
    int64_t values_began;
};

enum { SEND_BYTES = 64 * 1024, SEND_NS = 200000, PROGRESS_NS = 50000000 };

/* ---- life --------------------------------------------------------------------------------------
 */

static void release(mpx_hand_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool last = --self->shares == 0;
    pthread_mutex_unlock(&self->lock);
    if (!last)
        return;
    while (self->given) {
        mpx_letter_t *next = self->given->next;
        free(self->given);
        self->given = next;
    }
    job_t *job, *next_job;
    HASH_ITER (hh, self->jobs, job, next_job) {
        HASH_DEL(self->jobs, job);
        free(job);
    }
    free(self->bye);
    mpx_call_free(&self->call);
    mpx_buf_free(&self->values);
    mpx_tray_release(&self->tray);
    pthread_cond_destroy(&self->news);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

/* There is no memory to answer with. */
static void say_bye(mpx_hand_t *self)
{
    self->at_once = true;
    if (self->bye)
        mpx_tray_put(self->tray, self->bye);
    self->bye = NULL;
}

static void answer(mpx_hand_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (self->at_once)
        return;
    mpx_letter_t *letter = mpx_letter_new(self->options.worker, header, payload);
    if (letter)
        mpx_tray_put(self->tray, letter);
    else
        say_bye(self);
}

static void answer_problem(mpx_hand_t *self, uint64_t job, mp_rc_t code, const char *why)
{
    mpx_buf_t body = {0};
    mpx_problem_t problem = {.message = why};
    mpx_header_t header = {.op = MPX_OP_ERROR, .job = job, .code = code};
    if (mpx_problem_pack(&problem, &body) == MP_OK)
        answer(self, &header, mpx_buf_bytes(&body));
    else
        say_bye(self);
    mpx_buf_free(&body);
}

static void send_values(mpx_hand_t *self, int64_t now)
{
    if (!self->values_count)
        return;
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = self->submit->chunk,
        .first = self->values_first,
        .count = self->values_count,
        .item_bytes = self->job->task->out.bytes,
        .busy_ns = (uint64_t)(now - self->values_began),
    };
    answer(self, &header, mpx_buf_bytes(&self->values));
    mpx_buf_clear(&self->values);
    self->values_count = 0;
}

static bool is_late(const mpx_hand_t *self)
{
    int64_t limit = self->job->soft_limit_ns;
    return limit && mpx_now() - self->began >= limit;
}

static mp_rc_t stopping(void *arg)
{
    const mpx_hand_t *self = arg;
    if (self->at_once || self->cancelled == self->submit->chunk)
        return MP_ECANCELLED;
    return is_late(self) ? MP_ETIMEDOUT : MP_OK;
}

static void progress(void *arg, uint64_t done, uint64_t total, const char *text)
{
    mpx_hand_t *self = arg;
    int64_t now = mpx_now();
    mpx_buf_t body = {0};
    mpx_progress_t news = {.done = done, .total = total, .text = text};
    mpx_header_t header = {
        .op = MPX_OP_PROGRESS, .chunk = self->submit->chunk, .first = self->call.index};
    if (now - self->reported_at < PROGRESS_NS)
        return;
    self->reported_at = now;
    if (mpx_progress_pack(&news, &body) == MP_OK)
        answer(self, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static mp_rc_t pack_failure(const mpx_hand_t *self, int code, mpx_buf_t *out)
{
    char fallback[MPX_CALL_CODE_TEXT];
    mpx_call_print_code(code, fallback);
    mpx_failure_t failure = {
        .message = self->call.message[0] ? self->call.message : fallback,
        .host = self->host,
        .pid = (uint32_t)getpid(),
        .attempt = (uint32_t)self->call.attempt,
        .code = code,
    };
    return mpx_failure_pack(&failure, out);
}

/* The outcome of one call as a record of its own. */
static void send_record(mpx_hand_t *self, int code, mp_bytes_t value, int64_t busy_ns)
{
    mpx_buf_t detail = {0}, body = {0};
    mpx_record_t record = {.rc = MP_OK, .value = value};
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = self->submit->chunk,
        .first = self->call.index,
        .count = 1,
        .busy_ns = (uint64_t)busy_ns,
    };
    if (code != MP_OK)
        record.rc = code == MP_ETIMEDOUT && is_late(self) ? MP_ETIMEDOUT : MP_EFAILED;
    if (code != MP_OK && pack_failure(self, code, &detail) == MP_OK)
        record.detail = mpx_buf_bytes(&detail);
    if (mpx_record_add(&body, &record) == MP_OK)
        answer(self, &header, mpx_buf_bytes(&body));
    else
        say_bye(self);
    mpx_buf_free(&detail);
    mpx_buf_free(&body);
}

/* ---- calls --------------------------------------------------------------------------------------
 */

static void run_bytes(mpx_hand_t *self, mp_bytes_t item)
{
    int code = self->job->task->run(&self->call, item, NULL);
    send_record(self, code, mpx_buf_bytes(&self->call.value), mpx_now() - self->began);
}

/* Values are gathered; a failure is not one. */
static void run_record(mpx_hand_t *self, const void *in, void *out)
{
    const mp_task_t *task = self->job->task;
    memset(out, 0, task->out.bytes);
    int code = task->run(&self->call, (mp_bytes_t){in, task->in.bytes}, out);
    int64_t now = mpx_now();
    if (code == MP_OK && mpx_buf_add(&self->values, out, task->out.bytes) != MP_OK)
        code = MP_ENOMEM;
    if (code == MP_OK && self->values_count++ == 0) {
        self->values_first = self->call.index;
        self->values_began = self->began;
    }
    if (code != MP_OK || self->values.size >= SEND_BYTES || now - self->values_began >= SEND_NS)
        send_values(self, now);
    if (code != MP_OK)
        send_record(self, code, (mp_bytes_t){0}, now - self->began);
}

static void *aligned(uint32_t bytes, uint32_t align)
{
    size_t step = align < sizeof(void *) ? sizeof(void *) : align;
    return aligned_alloc(step, (bytes + step - 1) / step * step);
}

static void end_rest(mpx_hand_t *self, uint32_t done, mp_rc_t code)
{
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = self->submit->chunk,
        .first = self->submit->first + done,
        .count = self->submit->count - done,
        .code = code,
    };
    send_values(self, mpx_now());
    if (header.count)
        answer(self, &header, (mp_bytes_t){0});
}

static void run_calls(mpx_hand_t *self, mp_bytes_t items)
{
    const mp_task_t *task = self->job->task;
    void *in = task->in.bytes ? aligned(task->in.bytes, task->in.align) : NULL;
    void *out = task->out.bytes ? aligned(task->out.bytes, task->out.align) : NULL;
    uint32_t done = 0;
    mp_bytes_t item;
    bool memory = (in || !task->in.bytes) && (out || !task->out.bytes);
    for (; memory && done < self->submit->count && stopping(self) != MP_ECANCELLED; done++) {
        (void)mpx_item_next(&items, task->in.bytes, &item);
        mpx_call_begin(&self->call, self->submit->first + done, (int)self->submit->attempt,
                       !task->out.bytes);
        self->call.deadline = self->submit->nonce ? (int64_t)self->submit->nonce : MPX_NEVER;
        self->began = mpx_now();
        if (in)
            memcpy(in, item.data, task->in.bytes);
        if (task->out.bytes)
            run_record(self, in ? in : item.data, out);
        else
            run_bytes(self, in ? (mp_bytes_t){in, item.size} : item);
    }
    end_rest(self, done, memory ? MP_ECANCELLED : MP_ENOMEM);
    free(in);
    free(out);
}

/* ---- what it is given ---------------------------------------------------------------------------
 */

static job_t *find_job(const mpx_hand_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static void on_open(mpx_hand_t *self, const mpx_letter_t *letter)
{
    mpx_open_t open;
    void *arena = NULL;
    char why[MP_TASK_NAME_MAX + 64];
    if (mpx_open_unpack((mp_bytes_t){letter->payload, letter->size}, &open, &arena) != MP_OK)
        return;
    const mp_task_t *task = mp_task_find(open.task);
    job_t *job = task && task->run ? calloc(1, sizeof *job) : NULL;
    if (job) {
        job->id = letter->header.job;
        job->task = task;
        job->soft_limit_ns = open.soft_limit_ms * MPX_MS;
        HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    }
    if (job && job->unlisted) {
        free(job);
        job = NULL;
    }
    snprintf(why, sizeof why, "this program has no task '%s'", open.task);
    if (!job)
        answer_problem(self, letter->header.job, task ? MP_ENOMEM : MP_ENOTASK,
                       task ? "no memory for a job" : why);
    free(arena);
}

static void on_submit(mpx_hand_t *self, const mpx_letter_t *letter)
{
    mpx_header_t started = {
        .op = MPX_OP_STARTED, .chunk = letter->header.chunk, .first = letter->header.first};
    self->submit = &letter->header;
    self->job = find_job(self, letter->header.job);
    answer(self, &started, (mp_bytes_t){0});
    if (self->job)
        run_calls(self, (mp_bytes_t){letter->payload, letter->size});
    else /* it was refused, and the ERROR says why */
        end_rest(self, 0, MP_ECANCELLED);
}

static void on_letter(mpx_hand_t *self, const mpx_letter_t *letter)
{
    job_t *job;
    switch (letter->header.op) {
    case MPX_OP_OPEN:
        on_open(self, letter);
        break;
    case MPX_OP_SUBMIT:
        on_submit(self, letter);
        break;
    case MPX_OP_CLOSE:
        job = find_job(self, letter->header.job);
        if (job)
            HASH_DEL(self->jobs, job);
        free(job);
        break;
    default:
        break;
    }
}

static mpx_letter_t *next_letter(mpx_hand_t *self, bool wait)
{
    pthread_mutex_lock(&self->lock);
    while (wait && !self->given && !self->leaving && !self->at_once)
        pthread_cond_wait(&self->news, &self->lock);
    mpx_letter_t *letter = self->at_once ? NULL : self->given;
    if (letter)
        self->given = letter->next;
    if (!self->given)
        self->given_end = &self->given;
    pthread_mutex_unlock(&self->lock);
    return letter;
}

static bool work(mpx_hand_t *self, bool wait)
{
    mpx_letter_t *letter = next_letter(self, wait);
    if (letter)
        on_letter(self, letter);
    free(letter);
    return letter != NULL;
}

bool mpx_hand_work(mpx_hand_t *self)
{
    return work(self, false);
}

static bool initialize(mpx_hand_t *self)
{
    const mpx_hand_options_t *options = &self->options;
    int code = options->initializer ? options->initializer(options->initializer_arg) : 0;
    mpx_header_t hello = {.op = MPX_OP_HELLO};
    char why[64];
    if (code == 0) {
        answer(self, &hello, (mp_bytes_t){0});
        return true;
    }
    snprintf(why, sizeof why, "the initializer returned %d", code);
    answer_problem(self, 0, MP_EFAILED, why);
    return false;
}

static void *run(void *arg)
{
    mpx_hand_t *self = arg;
    if (initialize(self))
        while (work(self, true))
            ;
    release(self);
    return NULL;
}

/* ---- the owner's side ---------------------------------------------------------------------------
 */

mp_rc_t mpx_hand_new(mpx_tray_t *tray, const mpx_hand_options_t *options, mpx_hand_t **out)
{
    mpx_hand_t *self = calloc(1, sizeof *self);
    pthread_t thread;
    if (!self)
        return mpx_fault(MP_ENOMEM, "a worker");
    self->options = *options;
    snprintf(self->host, sizeof self->host, "%s", options->host);
    self->bye = mpx_letter_new(options->worker, &(mpx_header_t){.op = MPX_OP_BYE}, (mp_bytes_t){0});
    if (!self->bye) {
        free(self);
        return mpx_fault(MP_ENOMEM, "a worker");
    }
    self->tray = mpx_tray_share(tray);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->news, NULL);
    self->given_end = &self->given;
    self->runner = (mpx_call_runner_t){.self = self, .stopping = stopping, .progress = progress};
    self->call.runner = &self->runner;
    self->shares = options->thread ? 2 : 1;
    mp_rc_t rc = MP_OK;
    if (options->thread)
        rc = mpx_thread_start(run, self, "a worker", &thread);
    else
        (void)initialize(self);
    if (rc != MP_OK) {
        self->shares = 1;
        release(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_hand_give(mpx_hand_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_header_t given = *header;
    if (header->deadline_ms) /* it may lie here for a while */
        given.nonce = (uint64_t)(mpx_now() + header->deadline_ms * MPX_MS);
    mpx_letter_t *letter = mpx_letter_new(self->options.worker, &given, payload);
    if (!letter)
        return MP_ENOMEM;
    pthread_mutex_lock(&self->lock);
    *self->given_end = letter;
    self->given_end = &letter->next;
    pthread_cond_signal(&self->news);
    pthread_mutex_unlock(&self->lock);
    return MP_OK;
}

void mpx_hand_cancel(mpx_hand_t *self, uint64_t chunk)
{
    self->cancelled = chunk;
}

void mpx_hand_dismiss(mpx_hand_t **self_p, bool at_once)
{
    mpx_hand_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    pthread_mutex_lock(&self->lock);
    self->leaving = true;
    if (at_once)
        self->at_once = true;
    pthread_cond_signal(&self->news);
    pthread_mutex_unlock(&self->lock);
    release(self);
}
