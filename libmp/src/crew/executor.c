#include "executor.h"

#include "borrow.h"
#include "call.h"
#include "clock.h"
#include "exec.h"
#include "fault.h"
#include "footprint.h"
#include "forkguard.h"
#include "forward.h"
#include "lane.h"
#include "offered.h"
#include "post.h"

#include <poll.h>
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
    int priority;
    bool limited; /* its calls have a time limit: the owner must know their start */
    bool nested;  /* they are a call's */
    uint32_t output_bytes;
    bool unlisted;
    UT_hash_handle hh;
} job_t;

struct work;

typedef struct executor {
    mpx_lane_t *lane;
    mpx_lane_t *nested; /* NULL: calls can't have calls of their own */
    job_t *jobs;
    mp_call_t call;
    bool offer_exec;
    uint64_t left; /* calls until it retires; 0: it doesn't */
    uint64_t max_memory_bytes;
    uint64_t memory_at_start; /* pages of its parent's that it shares until it writes to them */
    int64_t init_ns;          /* what the initializer took */
    bool unrung;              /* something was written that the owner may not have seen */
    int64_t unrung_at;        /* since when, about */
    uint64_t generation;
    const volatile uint64_t *forks; /* the present one */
    const struct work *running;
    int64_t reported_at; /* progress, with a wake-up */
    mpx_call_runner_t runner;
    mpx_words_t *words;
    mpx_forward_t forward;
    mpx_borrowed_t borrowed;
    char host[256];
} executor_t;

/* The SUBMIT that is being run. */
typedef struct work {
    const job_t *job;
    const mpx_header_t *header;
    mp_bytes_t rest; /* items not yet run */
    uint32_t done;
    int64_t yield_at;       /* then what has not begun is for others, too; MPX_NEVER: it isn't */
    unsigned char *results; /* where the values go, if their owner placed them; else NULL */
} work_t;

enum {
    RING_AFTER_NS = 200000, /* a result waits that long for company */
    CLOCK_EVERY_NS = 50000, /* tiny calls run in batches of about that between clock reads */
    GROUP_MAX = 32,         /* of these, as the next ones may not be tiny */
    IDLE_MS = 1000,         /* then what was borrowed is given back */
    PROGRESS_NS = 50000000, /* between wake-ups for a call's progress */
    ALIGN_MAX = 16          /* of items in a lane */
};

/* ---- the lane ------------------------------------------------------------------------------ */

static void sleep_on(executor_t *self, bool for_room)
{
    mpx_lane_ring(self->lane);
    self->unrung = false;
    if (mpx_lane_sleep(self->lane, for_room)) {
        struct pollfd fd = {.fd = mpx_lane_fd(self->lane), .events = POLLIN};
        if (poll(&fd, 1, for_room ? -1 : IDLE_MS) == 0) {
            mpx_borrow_tidy(&self->borrowed);
            (void)poll(&fd, 1, -1);
        }
    }
    if (mpx_lane_awake(self->lane) == MP_EOF)
        _exit(0);
}

static void wrote(executor_t *self, int64_t now, bool urgent)
{
    if (!self->unrung) {
        self->unrung = true;
        self->unrung_at = now;
    }
    if (urgent || now - self->unrung_at >= RING_AFTER_NS) {
        mpx_lane_ring(self->lane);
        self->unrung = false;
    }
}

/* Without a way to report there is nothing left to live for. */
static void send(executor_t *self, const mpx_header_t *header, const mp_bytes_t *parts,
                 size_t parts_count)
{
    mp_rc_t rc = mpx_post_write(self->lane, header, parts, parts_count);
    while (rc == MP_EBUSY) {
        bool cut = mpx_lane_cut(self->lane);
        sleep_on(self, true);
        rc = cut ? mpx_lane_flush(self->lane)
                 : mpx_post_write(self->lane, header, parts, parts_count);
    }
    if (rc != MP_OK)
        _exit(MPX_EXECUTOR_NO_LANE);
}

/* ---- greeting ------------------------------------------------------------------------------- */

static void send_problem(executor_t *self, uint64_t job, mp_rc_t code, const char *why)
{
    mpx_buf_t body = {0};
    mpx_problem_t problem = {.message = why};
    mpx_header_t header = {.op = MPX_OP_ERROR, .job = job, .code = code};
    if (mpx_problem_pack(&problem, &body) != MP_OK)
        _exit(MPX_EXECUTOR_NO_LANE);
    mp_bytes_t part = mpx_buf_bytes(&body);
    send(self, &header, &part, 1);
    mpx_lane_ring(self->lane);
    mpx_buf_free(&body);
}

static void say_hello(executor_t *self)
{
    mpx_buf_t body = {0};
    mp_rc_t rc = mpx_offered_hello(self->host, self->offer_exec, &body);
    if (rc != MP_OK) {
        send_problem(self, 0, rc, "this worker's tasks can't be listed");
        _exit(MPX_EXECUTOR_NO_LANE);
    }
    mpx_header_t header = {
        .op = MPX_OP_HELLO, .busy_ns = (uint64_t)self->init_ns, .nonce = (uint64_t)getpid()};
    mp_bytes_t part = mpx_buf_bytes(&body);
    send(self, &header, &part, 1);
    mpx_buf_free(&body);
}

static void open_modules(executor_t *self, const char *const *load)
{
    for (; load && *load; load++) {
        mp_rc_t rc = mp_task_load(*load);
        if (rc != MP_OK) {
            send_problem(self, 0, rc, mp_errmsg());
            _exit(0);
        }
    }
}

/* A task that forks and returns in the child as well must not speak on the parent's lane. */
static void stop_if_copied(const executor_t *self)
{
    if (self->generation != *self->forks)
        _exit(0);
}

static void initialize(executor_t *self, const mpx_crew_options_t *options)
{
    char why[64];
    int64_t began = mpx_now();
    int code = options->initializer ? options->initializer(options->initializer_arg) : 0;
    self->init_ns = mpx_now() - began;
    stop_if_copied(self);
    if (code == 0)
        return;
    snprintf(why, sizeof why, "the initializer returned %d", code);
    send_problem(self, 0, MP_EFAILED, why);
    _exit(0);
}

/* ---- while a call runs ------------------------------------------------------------------------
 */

static bool is_cancelled(const executor_t *self)
{
    return mpx_lane_note(self->lane, MPX_NOTE_CANCELLED) == self->running->header->chunk;
}

/* What has not begun is for other workers. */
static bool gives_back(const executor_t *self, const job_t *job)
{
    return !job->nested && mpx_lane_note(self->lane, MPX_NOTE_GIVE_BACK);
}

/* Between two calls. Each turn at a chunk does one at least. */
static bool is_to_end(const executor_t *self, int64_t now)
{
    const work_t *work = self->running;
    return is_cancelled(self) || gives_back(self, work->job) ||
           (now >= work->yield_at && work->done > 0);
}

static bool is_late(const executor_t *self)
{
    return mpx_lane_note(self->lane, MPX_NOTE_LATE) == self->running->header->chunk;
}

static mp_rc_t stopping(void *arg)
{
    const executor_t *self = arg;
    if (is_cancelled(self))
        return MP_ECANCELLED;
    return is_late(self) ? MP_ETIMEDOUT : MP_OK;
}

static void progress(void *arg, uint64_t done, uint64_t total, const char *text)
{
    executor_t *self = arg;
    if (self->generation != mpx_fork_generation())
        return;
    union {
        mpx_news_t news;
        unsigned char board[MPX_LANE_BOARD];
    } sheet = {.news = {.chunk = self->running->header->chunk,
                        .index = self->call.index,
                        .done = done,
                        .total = total}};
    snprintf(sheet.news.text, sizeof sheet.news.text, "%s", text);
    mpx_lane_write_board(self->lane, sheet.board);
    int64_t now = mpx_now();
    if (now - self->reported_at < PROGRESS_NS)
        return;
    self->reported_at = now;
    mpx_lane_ring(self->lane);
}

/* ---- results -------------------------------------------------------------------------------- */

static mp_rc_t pack_failure(executor_t *self, const work_t *work, int code, mp_bytes_t value,
                            mpx_buf_t *out)
{
    char fallback[MPX_CALL_CODE_TEXT];
    char said[MPX_WORDS_MAX + 1];
    mpx_call_print_code(code, fallback);
    mpx_words_said(self->words, said);
    if (work->job->task == &mpx_exec_task) /* it isn't we whom the command speaks for */
        mpx_exec_said(value, said, sizeof said);
    mpx_failure_t failure = {
        .message = self->call.message[0] ? self->call.message : fallback,
        .host = self->host,
        .pid = (uint32_t)getpid(),
        .attempt = (uint32_t)self->call.attempt,
        .code = code,
        .error_output = said,
    };
    if (code == MP_ETIMEDOUT && is_late(self) && !self->call.message[0])
        failure.message = "ended early, because its soft time limit had passed";
    return mpx_failure_pack(&failure, out);
}

/* The outcome of the work's next call as a RESULT of its own. */
static void send_record(executor_t *self, const work_t *work, int code, mp_bytes_t value,
                        int64_t busy_ns)
{
    unsigned char head[12];
    mpx_buf_t detail = {0};
    if (code != MP_OK && pack_failure(self, work, code, value, &detail) != MP_OK)
        _exit(MPX_EXECUTOR_NO_LANE);
    mp_rc_t rc = code == MP_OK                           ? MP_OK
                 : code == MP_ETIMEDOUT && is_late(self) ? MP_ETIMEDOUT
                                                         : MP_EFAILED;
    mpx_store_u32(head, (uint32_t)rc);
    mpx_store_u32(head + 4, (uint32_t)detail.size);
    mpx_store_u32(head + 8, (uint32_t)value.size);
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = work->header->chunk,
        .first = work->header->first + work->done,
        .count = 1,
        .busy_ns = (uint64_t)busy_ns,
        .bytes = work->job->output_bytes != 0,
    };
    mp_bytes_t parts[3] = {{head, sizeof head}, mpx_buf_bytes(&detail), value};
    send(self, &header, parts, 3);
    mpx_buf_free(&detail);
}

static void begin_call(executor_t *self, const work_t *work, bool writes)
{
    if (work->job->limited && is_late(self))
        mpx_lane_set_note(self->lane, MPX_NOTE_LATE, 0); /* the call before was */
    mpx_words_call_begins(self->words);
    mpx_call_begin(&self->call, work->header->first + work->done, (int)work->header->attempt,
                   writes);
    if (work->job->output_bytes)
        mpx_forward_begin(&self->forward, work->header->chunk, self->call.index,
                          work->job->output_bytes);
}

/* All that it wrote is on its way; how much wasn't is said last. */
static void end_output(executor_t *self, const work_t *work)
{
    uint64_t unsaid = mpx_forward_end(&self->forward);
    mpx_header_t header = {.op = MPX_OP_OUTPUT,
                           .chunk = work->header->chunk,
                           .first = self->call.index,
                           .nonce = (uint64_t)getpid(),
                           .bytes = unsaid};
    mp_bytes_t host = {self->host, strlen(self->host) + 1};
    if (unsaid)
        send(self, &header, &host, 1);
}

static int run_task(executor_t *self, const work_t *work, mp_bytes_t in, void *out)
{
    int code = work->job->task->run(&self->call, in, out);
    stop_if_copied(self);
    if (work->job->output_bytes)
        end_output(self, work);
    return code;
}

/* ---- tasks over bytes ------------------------------------------------------------------------ */

static void run_bytes(executor_t *self, work_t *work)
{
    int64_t before = mpx_now();
    for (; work->done < work->header->count && !is_to_end(self, before); work->done++) {
        mp_bytes_t item;
        if (mpx_item_next(&work->rest, work->header->item_bytes, &item) != MP_OK)
            _exit(MPX_EXECUTOR_NO_LANE);
        begin_call(self, work, true);
        int code = run_task(self, work, item, NULL);
        int64_t now = mpx_now();
        send_record(self, work, code, mpx_buf_bytes(&self->call.value), now - before);
        wrote(self, now, work->job->limited);
        before = now;
    }
}

/* ---- tasks over fixed-size records ----------------------------------------------------------- */

/* A run of calls whose values are written in place. */
typedef struct batch {
    unsigned char *values; /* NULL: none is open */
    uint64_t first;
    uint32_t room;
    uint32_t count;
    int64_t began; /* the batch */
} batch_t;

static void batch_open(executor_t *self, const work_t *work, batch_t *batch, int64_t now)
{
    uint32_t out_bytes = work->job->task->out.bytes;
    uint32_t left = work->header->count - work->done;
    uint32_t capacity = mpx_post_capacity(out_bytes);
    batch->first = work->header->first + work->done;
    batch->room = left < capacity ? left : capacity;
    batch->count = 0;
    batch->began = now;
    while (!(batch->values = mpx_post_open(self->lane, work->header->chunk, batch->first, out_bytes,
                                           batch->room)))
        sleep_on(self, true);
}

static void batch_close(executor_t *self, const work_t *work, batch_t *batch, int64_t now)
{
    if (!batch->values)
        return;
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = work->header->chunk,
        .first = batch->first,
        .count = batch->count,
        .item_bytes = work->job->task->out.bytes,
        .busy_ns = (uint64_t)(now - batch->began),
    };
    mpx_post_commit(self->lane, batch->values, &header);
    batch->values = NULL;
    if (batch->count)
        wrote(self, now, work->job->limited);
}

/* The next input where it lies, or a copy where the task's alignment asks for one. */
static const void *next_input(work_t *work, void *copy)
{
    uint32_t bytes = work->header->item_bytes;
    const unsigned char *at = work->rest.data;
    work->rest.data = at + bytes;
    work->rest.size -= bytes;
    if (!copy)
        return at;
    memcpy(copy, at, bytes);
    return copy;
}

/* Run up to `most` calls into the open batch. Returns the code of the one that failed, whose
 * value is not in the batch, or MP_OK. */
static int run_some(executor_t *self, work_t *work, batch_t *batch, uint32_t most, void *in_copy,
                    void *out_copy)
{
    const mp_task_t *task = work->job->task;
    begin_call(self, work, false); /* once: a batch of several is short */
    for (uint32_t i = 0; i < most; i++) {
        mp_bytes_t in = {next_input(work, in_copy), task->in.bytes};
        unsigned char *value = batch->values + (size_t)batch->count * task->out.bytes;
        self->call.index = work->header->first + work->done;
        self->call.message[0] = '\0';
        int code = run_task(self, work, in, out_copy ? out_copy : value);
        if (code != MP_OK)
            return code;
        if (out_copy)
            memcpy(value, out_copy, task->out.bytes);
        mpx_lane_cursor(self->lane, ++batch->count);
        work->done++;
    }
    return MP_OK;
}

static void run_small(executor_t *self, work_t *work, void *in_copy, void *out_copy)
{
    batch_t batch = {0};
    uint32_t most = 1;
    int64_t now = mpx_now();
    while (work->done < work->header->count && !is_to_end(self, now)) {
        if (!batch.values)
            batch_open(self, work, &batch, now);
        uint32_t left = batch.room - batch.count;
        int code = run_some(self, work, &batch, most < left ? most : left, in_copy, out_copy);
        int64_t after = mpx_now();
        most = after - now >= CLOCK_EVERY_NS ? 1 : most < GROUP_MAX ? most * 2 : GROUP_MAX;
        now = after;
        int64_t alone_ns = batch.count == 0 ? now - batch.began : 0; /* else the batch has it */
        if (code != MP_OK || batch.count == batch.room || now - batch.began > RING_AFTER_NS ||
            work->job->limited)
            batch_close(self, work, &batch, now);
        if (code != MP_OK) {
            send_record(self, work, code, (mp_bytes_t){0}, alone_ns);
            wrote(self, now, work->job->limited);
            work->done++;
        }
    }
    batch_close(self, work, &batch, now);
}

/* Values that aren't written in place: one message each, by way of memory of our own. */
static void run_large(executor_t *self, work_t *work, void *in_copy, void *out_copy)
{
    const mp_task_t *task = work->job->task;
    int64_t now = mpx_now();
    for (; work->done < work->header->count && !is_to_end(self, now); work->done++) {
        mp_bytes_t in = {next_input(work, in_copy), task->in.bytes};
        int64_t before = now;
        begin_call(self, work, false);
        if (!task->fills)
            memset(out_copy, 0, task->out.bytes);
        int code = run_task(self, work, in, out_copy);
        now = mpx_now();
        mp_bytes_t value = {out_copy, code == MP_OK ? task->out.bytes : 0};
        send_record(self, work, code, value, now - before);
        wrote(self, now, work->job->limited);
    }
}

/* Values whose place was chosen by the owner: only that they are there is sent. */
static void run_placed(executor_t *self, work_t *work, void *in_copy, void *out_copy)
{
    const mp_task_t *task = work->job->task;
    unsigned char *place = work->results;
    int64_t now = mpx_now();
    for (; work->done < work->header->count && !is_to_end(self, now);
         work->done++, place += task->out.bytes) {
        mp_bytes_t in = {next_input(work, in_copy), task->in.bytes};
        void *out = out_copy ? out_copy : place;
        int64_t before = now;
        begin_call(self, work, false);
        if (!task->fills)
            memset(out, 0, task->out.bytes);
        int code = run_task(self, work, in, out);
        if (out_copy)
            memcpy(place, out_copy, task->out.bytes);
        now = mpx_now();
        mpx_header_t header = {
            .op = MPX_OP_RESULT,
            .kind = MPX_POST_PLACED,
            .chunk = work->header->chunk,
            .first = work->header->first + work->done,
            .count = 1,
            .busy_ns = (uint64_t)(now - before),
            .bytes = work->job->output_bytes != 0,
        };
        if (code == MP_OK)
            send(self, &header, NULL, 0);
        else
            send_record(self, work, code, (mp_bytes_t){0}, now - before);
        wrote(self, now, work->job->limited);
    }
}

static void *aligned(uint32_t bytes, uint32_t align)
{
    size_t step = align < sizeof(void *) ? sizeof(void *) : align;
    void *copy = aligned_alloc(step, (bytes + step - 1) / step * step);
    if (!copy)
        _exit(MPX_EXECUTOR_NO_LANE);
    return copy;
}

static bool is_aligned(const void *at, uint32_t align)
{
    return align == 0 || (uintptr_t)at % align == 0;
}

/* A task whose alignment asks for more than its records have gets copies. */
static void run_records(executor_t *self, work_t *work)
{
    const mp_task_t *task = work->job->task;
    /* While a record is open nothing else can be sent, and what a call wrote comes before it. */
    bool large = mpx_post_capacity(task->out.bytes) == 0 || work->job->output_bytes;
    bool fits = work->results ? is_aligned(work->results, task->out.align)
                              : !large && task->out.align <= ALIGN_MAX;
    void *in_copy = NULL;
    void *out_copy = NULL;
    if (!is_aligned(work->rest.data, task->in.align))
        in_copy = aligned(task->in.bytes, task->in.align);
    if (!fits)
        out_copy = aligned(task->out.bytes, task->out.align);
    if (work->results)
        run_placed(self, work, in_copy, out_copy);
    else if (large)
        run_large(self, work, in_copy, out_copy);
    else
        run_small(self, work, in_copy, out_copy);
    free(in_copy);
    free(out_copy);
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static job_t *find_job(const executor_t *self, uint64_t id)
{
    job_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static void on_open(executor_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_open_t open;
    void *arena = NULL;
    char why[1536];
    mp_rc_t rc = mpx_open_unpack(payload, &open, &arena);
    if (rc != MP_OK)
        _exit(MPX_EXECUTOR_NO_LANE);
    const mp_task_t *task = mpx_offered_find(&open, self->offer_exec, &rc, why, sizeof why);
    job_t *job = task ? calloc(1, sizeof *job) : NULL;
    if (job) {
        job->id = header->job;
        job->task = task;
        job->priority = open.priority;
        job->limited = open.call_limit_ms > 0 || open.soft_limit_ms > 0;
        job->nested = open.nested;
        job->output_bytes = open.output_bytes;
        HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
        if (job->unlisted)
            _exit(MPX_EXECUTOR_NO_LANE);
    } else {
        send_problem(self, header->job, rc != MP_OK ? rc : MP_ENOMEM, task ? "out of memory" : why);
    }
    free(arena);
}

/* What it has done is in the lane; what it was given beyond that is for others. */
static void retire(executor_t *self)
{
    send(self, &(mpx_header_t){.op = MPX_OP_DRAIN}, NULL, 0);
    mpx_lane_ring(self->lane);
    fflush(NULL);
    _exit(0);
}

static bool has_grown_too_large(const executor_t *self)
{
    return self->max_memory_bytes &&
           mpx_footprint() > self->memory_at_start + self->max_memory_bytes;
}

static void answer_with_code(executor_t *self, const mpx_header_t *header, mp_rc_t code)
{
    mpx_header_t answer = {
        .op = MPX_OP_RESULT,
        .chunk = header->chunk,
        .first = header->first,
        .count = header->count,
        .code = code,
    };
    send(self, &answer, NULL, 0);
}

/* Find the inputs and the place of the results of a chunk that lies in shared memory. */
static mp_rc_t find_placed(executor_t *self, mp_bytes_t payload, work_t *work)
{
    mpx_placement_t placement;
    if (payload.size < sizeof placement)
        return MP_EPROTO;
    memcpy(&placement, payload.data, sizeof placement);
    work->rest = (mp_bytes_t){(const unsigned char *)payload.data + sizeof placement,
                              payload.size - sizeof placement};
    mp_rc_t rc = MP_OK;
    if (placement.in.bytes) {
        unsigned char *in = NULL;
        rc = mpx_borrow(&self->borrowed, &placement.in, &in);
        work->rest = (mp_bytes_t){in, placement.in.bytes};
    }
    if (rc == MP_OK && placement.out.bytes)
        rc = mpx_borrow(&self->borrowed, &placement.out, &work->results);
    return rc;
}

/* It is no longer ours: not to be looked at any further. */
static void hand_back(executor_t *self, const mpx_header_t *header)
{
    mpx_header_t answer = {.op = MPX_OP_RETURNED,
                           .chunk = header->chunk,
                           .first = header->first,
                           .count = header->count};
    send(self, &answer, NULL, 0);
    wrote(self, mpx_now(), true);
}

/* Nobody wants the rest of a cancelled chunk; that of another one is for other workers. */
static void give_up(executor_t *self, const work_t *work)
{
    mpx_header_t rest = *work->header;
    rest.first += work->done;
    rest.count -= work->done;
    /* A chunk that never yields got here because it was cancelled, and so was another one since:
     * the lane remembers only the last. */
    bool drains = gives_back(self, work->job);
    if (is_cancelled(self) || (!drains && work->yield_at == MPX_NEVER))
        answer_with_code(self, &rest, MP_ECANCELLED);
    else if (drains)
        answer_with_code(self, &rest, MP_EDRAINING);
    else
        hand_back(self, &rest);
}

static void on_submit(executor_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (!mpx_lane_take_up(self->lane, header->chunk)) {
        hand_back(self, header);
        return;
    }
    work_t work = {.job = find_job(self, header->job),
                   .header = header,
                   .rest = payload,
                   .yield_at = header->busy_ns ? mpx_now() + (int64_t)header->busy_ns : MPX_NEVER};
    if (!work.job) { /* it was refused: the ERROR is on its way and says why */
        answer_with_code(self, header, MP_ECANCELLED);
        return;
    }
    if (gives_back(self, work.job)) {
        answer_with_code(self, header, MP_EDRAINING);
        return;
    }
    const mp_task_t *task = work.job->task;
    if (task->in.bytes != header->item_bytes)
        _exit(MPX_EXECUTOR_NO_LANE);
    mp_rc_t rc = header->kind == MPX_POST_PLACED ? find_placed(self, payload, &work) : MP_OK;
    if (rc != MP_OK) {
        answer_with_code(self, header, rc);
        return;
    }
    mpx_header_t begun = *header;
    if (self->left && self->left < begun.count)
        begun.count = (uint32_t)self->left;
    work.header = &begun;
    mpx_header_t started = {.op = MPX_OP_STARTED, .chunk = header->chunk, .first = header->first};
    send(self, &started, NULL, 0);
    if (work.job->limited)
        mpx_lane_ring(self->lane);
    self->running = &work;
    self->runner.priority = work.job->priority;
    self->call.deadline = header->nonce ? (int64_t)header->nonce : MPX_NEVER;
    if (task->out.bytes)
        run_records(self, &work);
    else
        run_bytes(self, &work);
    fflush(stdout); /* a task's printf: in time, and once */
    if (work.done < begun.count) {
        work.header = header; /* also what it would have been too old for */
        give_up(self, &work);
    }
    self->running = NULL;
    bool spent = self->left && !(self->left -= work.done);
    if (spent || has_grown_too_large(self))
        retire(self);
}

static void on_close(executor_t *self, const mpx_header_t *header)
{
    job_t *job = find_job(self, header->job);
    if (job)
        HASH_DEL(self->jobs, job);
    free(job);
}

static void on_record(executor_t *self, mp_bytes_t record)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    if (mpx_head_unpack(record, &header, &payload, &apart) != MP_OK || apart)
        _exit(MPX_EXECUTOR_NO_LANE);
    switch (header.op) {
    case MPX_OP_OPEN:
        on_open(self, &header, payload);
        break;
    case MPX_OP_SUBMIT:
        on_submit(self, &header, payload);
        break;
    case MPX_OP_CLOSE:
        on_close(self, &header);
        break;
    case MPX_OP_DRAIN:
        retire(self);
        break;
    default:
        _exit(MPX_EXECUTOR_NO_LANE);
    }
}

void mpx_executor_run(const int fds[4], const mpx_crew_options_t *options, mpx_words_t *words,
                      int output)
{
    executor_t self = {.words = words,
                       .forward = {.words = words, .pipe = output, .saved = -1},
                       .offer_exec = options->offer_exec,
                       .left = options->max_calls,
                       .max_memory_bytes = options->max_memory_bytes,
                       .generation = mpx_fork_generation(),
                       .forks = mpx_fork_counter()};
    if (gethostname(self.host, sizeof self.host - 1))
        strcpy(self.host, "localhost");
    if (mpx_lane_attach(fds, &self.lane) != MP_OK ||
        (fds[2] >= 0 && mpx_lane_attach(fds + 2, &self.nested) != MP_OK))
        _exit(MPX_EXECUTOR_NO_LANE);
    self.runner = (mpx_call_runner_t){.self = &self,
                                      .stopping = stopping,
                                      .progress = progress,
                                      .lane = self.nested,
                                      .workers = options->size};
    self.call.runner = &self.runner;
    open_modules(&self, options->load);
    initialize(&self, options);
    self.memory_at_start = mpx_footprint();
    mpx_words_up(words, self.memory_at_start);
    say_hello(&self);
    mpx_footprint_cap(options->memory_cap_bytes);
    for (;;) {
        mp_bytes_t record;
        mp_rc_t rc = mpx_lane_read(self.lane, &record);
        if (rc == MP_EBUSY) {
            sleep_on(&self, false);
            continue;
        }
        if (rc != MP_OK)
            _exit(MPX_EXECUTOR_NO_LANE);
        on_record(&self, record);
        mpx_lane_pop(self.lane);
    }
}
