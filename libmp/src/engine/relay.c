#include "relay.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* A chunk of the peer's. Its address is the tag of its calls on the engine. */
typedef struct submit {
    uint64_t chunk;
    struct rjob *job;
    uint64_t first;
    uint32_t count;
    uint32_t answered;
    uint32_t returned; /* behind those answered: given back, which the peer isn't told yet */
    uint32_t attempt;
    uint32_t item_bytes;
    uint32_t deadline_ms; /* as it came */
    bool lost;            /* the call of it that ran was told of as lost */
    size_t size;
    struct submit *next, *prev; /* others of the job */
    bool unlisted;
    UT_hash_handle hh;
    unsigned char payload[]; /* size bytes, aligned as the struct is */
} submit_t;

typedef struct rjob {
    uint64_t id; /* the peer's */
    uint64_t engine_id;
    mpx_relay_t *relay;
    submit_t *submits;
    mpx_later_view_t later; /* as the peer has told */
    bool begun;             /* something was submitted */
    bool waits;             /* nothing was, and calls wait for their time: it is in relay.waiting */
    uint64_t unsaid_bytes;  /* of its calls' output, dropped since the last OUTPUT that was sent */
    bool unlisted;
    UT_hash_handle hh;
} rjob_t;

/* Outcomes of consecutive calls of one chunk, to travel in one RESULT. */
typedef struct gathered {
    uint64_t chunk; /* 0: nothing is gathered */
    uint64_t first;
    uint32_t count;
    int64_t busy_ns;
    mpx_buf_t records;
} gathered_t;

struct mpx_relay {
    mpx_engine_t *engine;
    mpx_relay_options_t options;
    rjob_t *jobs;
    uint32_t waiting; /* of them: nobody need wait for these */
    submit_t *submits;
    gathered_t gathered;
    uint64_t submitted_bytes;
    uint64_t unacked_bytes;
    uint64_t open_calls;
    bool held;
    bool draining;
    bool gives_back;
    bool failing;
    mp_rc_t trouble; /* a hook ran out of memory: told at the next flush */
};

/* Gathering stops here, so that a stream of outcomes gets on its way. */
enum { GATHER_BYTES = 64 * 1024 };

mp_rc_t mpx_relay_new(mpx_engine_t *engine, const mpx_relay_options_t *options, mpx_relay_t **out)
{
    mpx_relay_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->engine = engine;
    self->options = *options;
    *out = self;
    return MP_OK;
}

static void submit_free(mpx_relay_t *self, submit_t *submit)
{
    HASH_DEL(self->submits, submit);
    DL_DELETE(submit->job->submits, submit);
    self->submitted_bytes -= submit->size;
    self->open_calls -= submit->count - submit->answered;
    free(submit);
}

static void job_free(mpx_relay_t *self, rjob_t *job)
{
    submit_t *submit, *next;
    DL_FOREACH_SAFE (job->submits, submit, next)
        submit_free(self, submit);
    self->waiting -= job->waits;
    HASH_DEL(self->jobs, job);
    free(job);
}

static void recount(mpx_relay_t *self, rjob_t *job)
{
    bool waits = job->later.count > 0 && !job->begun;
    self->waiting = self->waiting + waits - job->waits;
    job->waits = waits;
}

void mpx_relay_destroy(mpx_relay_t **self_p, int64_t now)
{
    mpx_relay_t *self = *self_p;
    if (!self)
        return;
    rjob_t *job, *next;
    HASH_ITER (hh, self->jobs, job, next) {
        (void)mpx_engine_job_close(self->engine, now, job->engine_id);
        job_free(self, job);
    }
    mpx_buf_free(&self->gathered.records);
    free(self);
    *self_p = NULL;
}

/* ---- results, towards the peer ------------------------------------------------------- */

static void tell(mpx_relay_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    self->unacked_bytes += payload.size;
    self->options.send(self->options.send_self, header, payload);
}

static void send_gathered(mpx_relay_t *self)
{
    gathered_t *gathered = &self->gathered;
    if (!gathered->chunk)
        return;
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = gathered->chunk,
        .first = gathered->first,
        .count = gathered->count,
        .busy_ns = (uint64_t)gathered->busy_ns,
    };
    tell(self, &header, mpx_buf_bytes(&gathered->records));
    mpx_buf_clear(&gathered->records);
    gathered->chunk = 0;
}

static void answered(mpx_relay_t *self, submit_t *submit, uint32_t count)
{
    submit->answered += count;
    self->open_calls -= count;
    if (submit->answered == submit->count)
        submit_free(self, submit);
}

static submit_t *submit_of(uint64_t tag)
{
    return (submit_t *)(uintptr_t)tag;
}

static mp_rc_t hook_inputs(void *self, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    (void)self;
    const submit_t *submit = submit_of(tag);
    mp_bytes_t rest = {submit->payload, submit->size};
    mp_bytes_t item;
    for (uint64_t i = submit->first; i < first; i++)
        if (mpx_item_next(&rest, submit->item_bytes, &item) != MP_OK)
            return MP_EPROTO;
    mp_bytes_t after = rest;
    for (uint32_t i = 0; i < count; i++)
        if (mpx_item_next(&after, submit->item_bytes, &item) != MP_OK)
            return MP_EPROTO;
    out->item_bytes = submit->item_bytes;
    out->payload = (mp_bytes_t){rest.data, rest.size - after.size};
    return MP_OK;
}

static uint32_t hook_attempts_before(void *self, uint64_t tag)
{
    (void)self;
    return submit_of(tag)->attempt - 1;
}

static void hook_values(void *self, uint64_t tag, uint64_t first, uint32_t count,
                        uint32_t item_bytes, mp_bytes_t payload, int64_t busy_ns)
{
    submit_t *submit = submit_of(tag);
    mpx_relay_t *relay = ((rjob_t *)self)->relay;
    mpx_header_t header = {
        .op = MPX_OP_RESULT,
        .chunk = submit->chunk,
        .first = first,
        .count = count,
        .item_bytes = item_bytes,
        .busy_ns = (uint64_t)busy_ns,
    };
    send_gathered(relay);
    tell(relay, &header, payload);
    answered(relay, submit, count);
}

/* Every chunk is answered in full, whatever becomes of its job: the peer counts on it for
 * its credit. */
static void answer_with_code(mpx_relay_t *self, uint64_t chunk, uint64_t first, uint32_t count,
                             mp_rc_t code)
{
    mpx_header_t header = {
        .op = MPX_OP_RESULT, .chunk = chunk, .first = first, .count = count, .code = code};
    tell(self, &header, (mp_bytes_t){0});
}

/* One call more; with the chunk's last one the peer is told, at once. */
static void give_back(mpx_relay_t *self, submit_t *submit)
{
    submit->returned++;
    if (submit->answered + submit->returned < submit->count)
        return;
    send_gathered(self);
    answer_with_code(self, submit->chunk, submit->first + submit->answered, submit->returned,
                     MP_EDRAINING);
    answered(self, submit, submit->returned);
}

static void hook_outcome(void *self, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    submit_t *submit = submit_of(tag);
    mpx_relay_t *relay = ((rjob_t *)self)->relay;
    gathered_t *gathered = &relay->gathered;
    bool not_begun = relay->failing ? submit->lost : record->rc == MP_EDRAINING;
    if (relay->gives_back && not_begun) {
        give_back(relay, submit);
        return;
    }
    submit->lost = relay->failing;
    if (gathered->chunk != submit->chunk || gathered->first + gathered->count != index ||
        gathered->records.size > GATHER_BYTES)
        send_gathered(relay);
    if (!gathered->chunk) {
        gathered->chunk = submit->chunk;
        gathered->first = index;
        gathered->count = 0;
        gathered->busy_ns = 0;
    }
    mp_rc_t rc = mpx_record_add(&gathered->records, record);
    if (rc != MP_OK) {
        relay->trouble = rc;
        return;
    }
    gathered->count++;
    gathered->busy_ns += busy_ns;
    answered(relay, submit, 1);
}

static void hook_started(void *self, uint64_t tag, uint64_t first)
{
    mpx_relay_t *relay = ((rjob_t *)self)->relay;
    mpx_header_t header = {.op = MPX_OP_STARTED, .chunk = submit_of(tag)->chunk, .first = first};
    send_gathered(relay);
    tell(relay, &header, (mp_bytes_t){0});
}

bool mpx_relay_tell(mpx_relay_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    uint64_t limit = self->options.result_bytes;
    if (self->held || (limit && self->unacked_bytes > limit))
        return false;
    tell(self, header, payload);
    return true;
}

/* News of a peer that doesn't listen is dropped: the next one says the same, and more. */
static void hook_progress(void *self, uint64_t tag, uint64_t index, mp_bytes_t body)
{
    mpx_relay_t *relay = ((rjob_t *)self)->relay;
    mpx_header_t header = {.op = MPX_OP_PROGRESS, .chunk = submit_of(tag)->chunk, .first = index};
    (void)mpx_relay_tell(relay, &header, body);
}

/* What was dropped is told in bytes, by the next one that is sent. */
static void hook_output(void *self, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload)
{
    rjob_t *job = self;
    mpx_header_t mine = *header;
    mine.chunk = submit_of(tag)->chunk;
    mine.bytes += job->unsaid_bytes;
    bool told = mpx_relay_tell(job->relay, &mine, payload);
    job->unsaid_bytes = told ? 0 : mine.bytes + payload.size;
}

static const mpx_job_hooks_t silent_hooks = {
    .inputs = hook_inputs,
    .attempts_before = hook_attempts_before,
    .values = hook_values,
    .outcome = hook_outcome,
    .progress = hook_progress,
    .output = hook_output,
};
static const mpx_job_hooks_t telling_hooks = {
    .inputs = hook_inputs,
    .attempts_before = hook_attempts_before,
    .values = hook_values,
    .outcome = hook_outcome,
    .started = hook_started,
    .progress = hook_progress,
    .output = hook_output,
};

/* ---- messages of the peer ------------------------------------------------------------ */

static rjob_t *find_job(const mpx_relay_t *self, uint64_t id)
{
    rjob_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static submit_t *find_submit(const mpx_relay_t *self, uint64_t chunk)
{
    submit_t *submit = NULL;
    HASH_FIND(hh, self->submits, &chunk, sizeof chunk, submit);
    return submit;
}

static mp_rc_t refuse_job(mpx_relay_t *self, uint64_t job, mp_rc_t rc, const char *why)
{
    mpx_buf_t body = {0};
    mpx_problem_t problem = {.message = why};
    mpx_header_t header = {.op = MPX_OP_ERROR, .job = job, .code = rc};
    mp_rc_t result = mpx_problem_pack(&problem, &body);
    if (result == MP_OK)
        result = self->options.send(self->options.send_self, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
    return result == MP_ENOMEM ? MP_ENOMEM : MP_OK;
}

static mp_rc_t job_open(mpx_relay_t *self, int64_t now, rjob_t *job, const mpx_open_t *open)
{
    mpx_job_spec_t spec = {
        .open = *open,
        .match = self->options.match,
        .meet_here = self->options.meet_here,
        .limit_here = self->options.limit_here,
        .chunk_calls = MPX_CHUNK_WHOLE,
        .client = self->options.client,
        .wait_ns = open->wait_ms ? open->wait_ms * MPX_MS : self->options.wait_ns,
        .absent_ns = self->options.absent_ns,
    };
    spec.open.nested = self->options.nested;
    if (spec.open.priority > MPX_PRIORITY_MAX)
        spec.open.priority = MPX_PRIORITY_MAX;
    if (spec.open.priority < -MPX_PRIORITY_MAX)
        spec.open.priority = -MPX_PRIORITY_MAX;
    if (spec.open.weight > MPX_WEIGHT_MAX)
        spec.open.weight = MPX_WEIGHT_MAX;
    return mpx_engine_job_open(self->engine, now, &spec,
                               self->options.tell_started ? &telling_hooks : &silent_hooks, job,
                               &job->engine_id);
}

static mp_rc_t job_make(mpx_relay_t *self, int64_t now, uint64_t id, const mpx_open_t *open)
{
    rjob_t *job = calloc(1, sizeof *job);
    if (!job)
        return MP_ENOMEM;
    job->id = id;
    job->relay = self;
    mp_rc_t rc = job_open(self, now, job, open);
    if (rc != MP_OK) {
        free(job);
        return rc;
    }
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted) {
        (void)mpx_engine_job_close(self->engine, now, job->engine_id);
        free(job);
        return MP_ENOMEM;
    }
    return self->held ? mpx_engine_job_hold(self->engine, now, job->engine_id, true) : MP_OK;
}

static mp_rc_t on_open(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                       mp_bytes_t payload)
{
    if (header->job == 0 || find_job(self, header->job))
        return mpx_fault(MP_EPROTO, "an OPEN needs a job number that is not in use");
    if (self->draining)
        return refuse_job(self, header->job, MP_EDRAINING, "it is shutting down");
    if (self->options.max_jobs && HASH_COUNT(self->jobs) >= self->options.max_jobs)
        return refuse_job(self, header->job, MP_ELIMIT, "too many open jobs on one connection");
    mpx_open_t open;
    void *arena = NULL;
    mp_rc_t rc = mpx_open_unpack(payload, &open, &arena);
    if (rc != MP_OK)
        return rc;
    rc = job_make(self, now, header->job, &open);
    free(arena);
    return rc == MP_EINVAL ? refuse_job(self, header->job, rc, mp_errmsg()) : rc;
}

static submit_t *submit_make(mpx_relay_t *self, rjob_t *job, const mpx_header_t *header,
                             mp_bytes_t payload, uint32_t answered)
{
    submit_t *submit = malloc(sizeof *submit + payload.size);
    if (!submit)
        return NULL;
    *submit = (submit_t){
        .chunk = header->chunk,
        .job = job,
        .first = header->first,
        .count = header->count,
        .answered = answered,
        .attempt = header->attempt ? header->attempt : 1,
        .item_bytes = header->item_bytes,
        .deadline_ms = header->deadline_ms,
        .size = payload.size,
    };
    if (payload.size)
        memcpy(submit->payload, payload.data, payload.size);
    HASH_ADD(hh, self->submits, chunk, sizeof submit->chunk, submit);
    if (submit->unlisted) {
        free(submit);
        return NULL;
    }
    DL_APPEND(job->submits, submit);
    job->begun = true;
    recount(self, job);
    self->submitted_bytes += submit->size;
    self->open_calls += submit->count - answered;
    return submit;
}

mp_rc_t mpx_relay_restore(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                          mp_bytes_t payload, uint32_t answered)
{
    if (header->chunk == 0 || header->count == 0 || find_submit(self, header->chunk))
        return mpx_fault(MP_EPROTO, "a SUBMIT needs calls and a chunk number that is not in use");
    if (answered >= header->count || !mpx_items_valid(payload, header->item_bytes, header->count))
        return mpx_fault(MP_EPROTO, "a SUBMIT's payload is not what its header says");
    if (self->options.submit_bytes && self->submitted_bytes > 0 &&
        self->submitted_bytes + payload.size > self->options.submit_bytes)
        return mpx_fault(MP_ELIMIT, "more bytes submitted than the WELCOME allowed");
    rjob_t *job = find_job(self, header->job);
    if (!job) { /* its OPEN was refused, which the peer has been told or will be */
        answer_with_code(self, header->chunk, header->first, header->count, MP_ECANCELLED);
        return MP_OK;
    }
    submit_t *submit = submit_make(self, job, header, payload, answered);
    if (!submit)
        return MP_ENOMEM;
    mpx_times_t times = {.deadline =
                             header->deadline_ms ? now + header->deadline_ms * MPX_MS : MPX_NEVER};
    mp_rc_t rc = mpx_engine_put_timed(self->engine, now, job->engine_id, submit->first + answered,
                                      submit->count - answered, submit->size,
                                      (uint64_t)(uintptr_t)submit, times);
    if (rc == MP_EINVAL)
        return mpx_fault(MP_EPROTO, "a SUBMIT's range of calls is not valid");
    return rc;
}

static mp_rc_t on_submit(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    if (!self->gives_back)
        return mpx_relay_restore(self, now, header, payload, 0);
    answer_with_code(self, header->chunk, header->first, header->count, MP_EDRAINING);
    return MP_OK;
}

bool mpx_relay_chunk(const mpx_relay_t *self, uint64_t chunk, mpx_header_t *header,
                     mp_bytes_t *payload)
{
    const submit_t *submit = find_submit(self, chunk);
    if (!submit)
        return false;
    *header = (mpx_header_t){
        .op = MPX_OP_SUBMIT,
        .job = submit->job->id,
        .chunk = chunk,
        .first = submit->first,
        .count = submit->count,
        .attempt = submit->attempt,
        .item_bytes = submit->item_bytes,
        .deadline_ms = submit->deadline_ms,
    };
    *payload = (mp_bytes_t){submit->payload, submit->size};
    return true;
}

void mpx_relay_resume(mpx_relay_t *self, uint64_t unacked_bytes)
{
    self->unacked_bytes = unacked_bytes;
}

/* One that was answered needs no answer. */
static mp_rc_t on_recall(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    (void)payload;
    submit_t *submit = find_submit(self, header->chunk);
    if (!submit)
        return MP_OK;
    mpx_header_t answer = {.op = MPX_OP_RETURNED, .chunk = submit->chunk, .first = submit->first};
    if (submit->answered == 0 && mpx_engine_withdraw(self->engine, now, submit->job->engine_id,
                                                     submit->first, submit->count)) {
        answer.count = submit->count;
        submit_free(self, submit);
    }
    send_gathered(self);
    tell(self, &answer, (mp_bytes_t){0});
    return MP_OK;
}

static mp_rc_t on_cancel(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    (void)payload;
    const rjob_t *job = find_job(self, header->job);
    if (!job)
        return MP_OK; /* it ended while this was on its way */
    if (!header->chunk)
        return mpx_engine_job_fail(self->engine, now, job->engine_id, MP_ECANCELLED, "cancelled");
    const submit_t *submit = find_submit(self, header->chunk);
    if (!submit || submit->job != job)
        return MP_OK;
    /* Those that are answered may be in another chunk by now: tried again. */
    return mpx_engine_cancel(self->engine, now, job->engine_id, submit->first + submit->answered,
                             submit->count - submit->answered);
}

static mp_rc_t on_close(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                        mp_bytes_t payload)
{
    (void)payload;
    rjob_t *job = find_job(self, header->job);
    if (!job)
        return MP_OK;
    send_gathered(self);
    mp_rc_t rc = mpx_engine_job_close(self->engine, now, job->engine_id);
    const submit_t *submit;
    DL_FOREACH (job->submits, submit)
        answer_with_code(self, submit->chunk, submit->first + submit->answered,
                         submit->count - submit->answered, MP_ECANCELLED);
    job_free(self, job);
    return rc;
}

static mp_rc_t on_ack(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                      mp_bytes_t payload)
{
    (void)now;
    (void)payload;
    if (header->bytes > self->unacked_bytes)
        return mpx_fault(MP_EPROTO, "an ACK for more bytes than were sent");
    self->unacked_bytes -= header->bytes;
    return MP_OK;
}

/* Of a job that was refused it doesn't matter. */
static mp_rc_t on_later(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                        mp_bytes_t payload)
{
    (void)payload;
    rjob_t *job = find_job(self, header->job);
    if (header->bytes > UINT32_MAX)
        return mpx_fault(MP_EPROTO, "a LATER of more calls than a job can have");
    if (!job)
        return MP_OK;
    job->later = (mpx_later_view_t){.count = header->bytes,
                                    .first = header->first,
                                    .attempt = header->attempt,
                                    .of = header->kind,
                                    .code = (mp_rc_t)header->code,
                                    .at = now + header->deadline_ms * MPX_MS};
    recount(self, job);
    return MP_OK;
}

mp_rc_t mpx_relay_message(mpx_relay_t *self, int64_t now, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    typedef mp_rc_t handler_t(mpx_relay_t *, int64_t, const mpx_header_t *, mp_bytes_t);
    static handler_t *const handlers[MPX_OP_END] = {
        [MPX_OP_OPEN] = on_open,   [MPX_OP_SUBMIT] = on_submit, [MPX_OP_CANCEL] = on_cancel,
        [MPX_OP_CLOSE] = on_close, [MPX_OP_ACK] = on_ack,       [MPX_OP_RECALL] = on_recall,
        [MPX_OP_LATER] = on_later,
    };
    handler_t *handler = handlers[header->op];
    if (!handler)
        return mpx_fault(MP_EPROTO, "%s is not expected here", mpx_op_name(header->op));
    return handler(self, now, header, payload);
}

static mp_rc_t hold_all(mpx_relay_t *self, int64_t now, bool held)
{
    self->held = held;
    mp_rc_t rc = MP_OK;
    for (const rjob_t *job = self->jobs; job && rc == MP_OK; job = job->hh.next)
        rc = mpx_engine_job_hold(self->engine, now, job->engine_id, held);
    return rc;
}

mp_rc_t mpx_relay_flush(mpx_relay_t *self, int64_t now)
{
    send_gathered(self);
    if (self->trouble != MP_OK)
        return self->trouble;
    uint64_t limit = self->options.result_bytes;
    if (limit && !self->held && self->unacked_bytes > limit)
        return hold_all(self, now, true);
    if (self->held && self->unacked_bytes <= limit / 2)
        return hold_all(self, now, false);
    return MP_OK;
}

mp_rc_t mpx_relay_give_back(mpx_relay_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    self->gives_back = true;
    for (const rjob_t *job = self->jobs; job && rc == MP_OK; job = job->hh.next)
        rc = mpx_engine_job_end_queued(self->engine, now, job->engine_id, MP_EDRAINING);
    return rc;
}

mp_rc_t mpx_relay_fail(mpx_relay_t *self, int64_t now, mp_rc_t why, const char *message)
{
    mp_rc_t rc = MP_OK;
    self->failing = true;
    for (const rjob_t *job = self->jobs; job && rc == MP_OK; job = job->hh.next)
        rc = mpx_engine_job_fail(self->engine, now, job->engine_id, why, message);
    self->failing = false;
    return rc;
}

void mpx_relay_drain(mpx_relay_t *self)
{
    self->draining = true;
}

uint32_t mpx_relay_open_jobs(const mpx_relay_t *self)
{
    return HASH_COUNT(self->jobs);
}

uint64_t mpx_relay_open_calls(const mpx_relay_t *self)
{
    return self->open_calls;
}

uint32_t mpx_relay_waiting_jobs(const mpx_relay_t *self)
{
    return self->waiting;
}

void mpx_relay_each_job(const mpx_relay_t *self,
                        void (*visit)(void *arg, uint64_t job, uint64_t engine_job,
                                      const mpx_later_view_t *later),
                        void *arg)
{
    for (const rjob_t *job = self->jobs; job; job = job->hh.next)
        visit(arg, job->id, job->engine_id, &job->later);
}

mpx_relay_load_t mpx_relay_load(const mpx_relay_t *self)
{
    return (mpx_relay_load_t){
        .submitted_bytes = self->submitted_bytes,
        .unacked_bytes = self->unacked_bytes,
        .result_limit = self->options.result_bytes,
        .held = self->held,
    };
}

/* Counts anew, and believes no field. Only one chunk, or what one of them ends with, may be over
 * a limit. */
const char *mpx_relay_check(const mpx_relay_t *self)
{
    uint64_t bytes = 0, calls = 0, jobs_calls = 0, largest = 0;
    for (const submit_t *submit = self->submits; submit; submit = submit->hh.next) {
        if (submit->answered >= submit->count)
            return "a chunk that is answered in full is still there";
        bytes += submit->size;
        calls += submit->count - submit->answered;
        largest = submit->size > largest ? submit->size : largest;
    }
    for (const rjob_t *job = self->jobs; job; job = job->hh.next)
        jobs_calls += mpx_engine_job_open_calls(self->engine, job->engine_id);
    if (bytes != self->submitted_bytes)
        return "a client's submitted bytes are miscounted";
    if (calls != self->open_calls || calls != jobs_calls)
        return "a client's open calls are miscounted";
    if (self->options.submit_bytes && bytes > self->options.submit_bytes && bytes != largest)
        return "a client has submitted more than its credit";
    return self->unacked_bytes > UINT64_MAX / 2 ? "credit for results is negative" : NULL;
}
