#include "deposit.h"

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Inputs that travel together. */
typedef struct parcel {
    uint64_t first;
    uint32_t count;
    bool last; /* no more will come */
    mpx_buf_t items;
} parcel_t;

struct mpx_deposit {
    mpx_errand_t errand;
    mp_pool_t *pool;
    const mpx_listen_t *listen;
    mpx_buf_t open; /* packed */
    mpx_keep_t keep;
    char id[MP_JOB_ID_MAX + 1];
    char owner[MP_JOB_OWNER_MAX + 1]; /* if `owned`: by the address, or as the broker says */
    bool owned;
    char key[MP_JOB_KEY_MAX + 1];
    bool attached;  /* by id: it takes no inputs */
    bool transient; /* nobody will come back for it */
    bool known;     /* we have a handle, on this connection */
    bool had;       /* we have had one */
    mp_rc_t trouble;
    char problem[512];
    mp_task_t task; /* of one that was attached */
    char task_name[MP_TASK_NAME_MAX + 1];
    uint32_t item_bytes;

    uint64_t puts;
    uint64_t agreed; /* inputs that the broker has as we have them: others' outcomes aren't ours */
    parcel_t filling;
    parcel_t under_way; /* no calls and not the last: none is */
    bool sent;          /* it, on this connection */
    bool closed;
    bool close_done;

    uint64_t next; /* of the outcome to be handed out next */
    mpx_buf_t batch;
    mp_bytes_t rest; /* of it */
    bool wants;
    bool asked;
    bool eof;

    /* What was asked, and not answered yet: */
    bool settling;
    bool leaving;
    bool cancelling;
    bool dropping;
    bool awaiting_end;
    mp_job_info_t info;
};

enum { PUT_BYTES = 1 << 20, PUT_ITEMS = 16384, TAKE_BYTES = 1 << 20 };

/* ---- trouble ------------------------------------------------------------------------ */

/* It can't go on. */
static void fail(mpx_deposit_t *self, mp_rc_t rc, const char *words)
{
    if (self->trouble != MP_OK)
        return;
    self->trouble = rc;
    snprintf(self->problem, sizeof self->problem, "%s", words);
}

static mp_rc_t in_trouble(const mpx_deposit_t *self)
{
    return self->trouble == MP_OK ? MP_OK : mpx_fault(self->trouble, "%s", self->problem);
}

/* ---- what is sent ------------------------------------------------------------------- */

static bool send(mpx_deposit_t *self, mpx_header_t header, mp_bytes_t payload)
{
    mpx_backend_t *backend = self->pool->backend;
    header.nonce = self->errand.nonce;
    mp_rc_t rc = backend->ops->errand_send(backend, &header, payload);
    if (rc != MP_OK && rc != MP_ECLOSED) /* which on_link tells */
        fail(self, rc, mp_errmsg());
    return rc == MP_OK;
}

static mp_rc_t pack_keep(mpx_deposit_t *self, uint64_t token, mpx_buf_t *body)
{
    mpx_keep_t keep = self->keep;
    keep.id = self->id;
    keep.key = self->key;
    keep.token = token;
    keep.attach = self->attached || self->had;
    keep.owner = self->owner;
    keep.names_owner = self->owned;
    keep.open = mpx_buf_bytes(&self->open);
    return mpx_keep_pack(&keep, body);
}

static void send_keep(mpx_deposit_t *self)
{
    mpx_buf_t body = {0};
    mp_rc_t rc = pack_keep(self, self->keep.token, &body);
    if (rc == MP_OK)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_KEEP}, mpx_buf_bytes(&body));
    else
        fail(self, rc, mp_errmsg());
    mpx_buf_free(&body);
}

static bool is_idle(const parcel_t *parcel)
{
    return parcel->count == 0 && !parcel->last;
}

static void pump_inputs(mpx_deposit_t *self)
{
    parcel_t *parcel = &self->under_way;
    if (is_idle(parcel) && (self->filling.count > 0 || (self->closed && !self->close_done))) {
        parcel_t empty = *parcel;
        *parcel = self->filling;
        parcel->last = self->closed;
        mpx_buf_clear(&empty.items);
        self->filling = (parcel_t){.first = self->puts, .items = empty.items};
        self->sent = false;
    }
    if (is_idle(parcel) || self->sent)
        return;
    mpx_header_t header = {.op = MPX_OP_JOB_PUT,
                           .first = parcel->first,
                           .count = parcel->count,
                           .item_bytes = self->item_bytes,
                           .kind = parcel->last ? MPX_JOB_LAST : 0};
    self->sent = send(self, header, mpx_buf_bytes(&parcel->items));
}

/* The handle is to end: behind that nothing more can be asked of it. */
static bool ends(const mpx_deposit_t *self)
{
    return self->leaving || self->dropping;
}

/* Whatever can be sent now. */
static void pump(mpx_deposit_t *self)
{
    if (!self->known || ends(self) || self->trouble != MP_OK || !self->pool->backend)
        return;
    if (!self->attached)
        pump_inputs(self);
    if (self->wants && !self->asked && !self->eof) {
        mpx_header_t take = {.op = MPX_OP_JOB_TAKE, .first = self->next, .bytes = TAKE_BYTES};
        self->asked = send(self, take, (mp_bytes_t){0});
    }
}

static void send_free(mpx_deposit_t *self, uint64_t first, uint32_t kind)
{
    send(self, (mpx_header_t){.op = MPX_OP_JOB_FREE, .first = first, .kind = kind},
         (mp_bytes_t){0});
}

/* What has no answer yet. */
static void ask_again(mpx_deposit_t *self)
{
    static const mp_bytes_t nothing;
    self->sent = false;
    self->asked = false;
    if (self->cancelling)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_CANCEL}, nothing);
    if (self->dropping)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_CANCEL, .kind = MPX_JOB_FORGET}, nothing);
    if (self->settling || self->leaving)
        send_free(self, self->next, self->leaving ? MPX_JOB_LEAVE : 0);
    if (self->awaiting_end && !ends(self))
        send(self, (mpx_header_t){.op = MPX_OP_JOB_TAKE, .kind = MPX_JOB_END}, nothing);
    pump(self);
}

/* ---- what comes --------------------------------------------------------------------- */

void mpx_job_info_fill(mp_job_info_t *out, const mpx_kept_info_t *info)
{
    *out = (mp_job_info_t){.number = info->number,
                           .calls = info->calls,
                           .ended = info->ended,
                           .failed = info->failed,
                           .taken = info->freed,
                           .closed = info->closed,
                           .complete = info->complete,
                           .open = info->open,
                           .cancelled = info->cancelled,
                           .clients = (int)info->handles,
                           .bytes = info->bytes,
                           .created_ms = info->created_ms,
                           .left_ms = info->left_ms};
    snprintf(out->id, sizeof out->id, "%s", info->id);
    snprintf(out->key, sizeof out->key, "%s", info->key);
    snprintf(out->task, sizeof out->task, "%s", info->task);
    snprintf(out->label, sizeof out->label, "%s", info->label);
    snprintf(out->owner, sizeof out->owner, "%s", info->owner);
}

/* The size of a side of a signature; 0: bytes of any length. */
static uint32_t record_bytes(const char *side)
{
    size_t type = strcspn(side, "[ ");
    return side[type] == '[' ? (uint32_t)strtoul(side + type + 1, NULL, 10) : 0;
}

/* As far as outcomes need it. A type may have a blank in it. */
static void learn_task(mpx_deposit_t *self, const mpx_kept_info_t *info)
{
    const char *result = strstr(info->signature, "-> ");
    const char *bracket = result ? strchr(result, '[') : NULL;
    snprintf(self->task_name, sizeof self->task_name, "%s", info->task);
    self->task.name = self->task_name;
    self->task.out.bytes = bracket ? record_bytes(bracket) : 0;
}

static void on_known(mpx_deposit_t *self, const mpx_kept_info_t *info)
{
    snprintf(self->id, sizeof self->id, "%s", info->id);
    snprintf(self->owner, sizeof self->owner, "%s", info->owner);
    self->owned = true;
    if (!self->had) {
        learn_task(self, info);
        if (!*info->key)
            self->next = info->freed;
    } else if (!*info->key && info->freed > self->next) {
        fail(self, MP_ESTATE, "outcomes of the job were taken by another client meanwhile");
    } else if (info->calls < self->agreed && self->agreed != UINT64_MAX) {
        fail(self, MP_ENOTFOUND, "the broker has forgotten the job: this is another of its key");
    }
    self->known = true;
    self->had = true;
    ask_again(self);
}

static void on_info(mpx_deposit_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_kept_info_t info;
    void *arena = NULL;
    mp_rc_t rc = mpx_kept_info_unpack(payload, &info, &arena);
    if (rc != MP_OK) {
        fail(self, rc, mp_errmsg());
        return;
    }
    bool other = self->had && info.number != self->info.number;
    if (other)
        fail(self, MP_ENOTFOUND, "the broker has forgotten the job: this is another of its name");
    else
        mpx_job_info_fill(&self->info, &info);
    if (header->kind == MPX_OP_JOB_KEEP && !other)
        on_known(self, &info);
    else
        self->awaiting_end = false;
    free(arena);
}

static void on_give(mpx_deposit_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    bool expected = self->asked && header->first == self->next && self->rest.size == 0;
    if (!expected)
        return;
    self->asked = false;
    self->wants = false;
    if (header->code == MP_EOF)
        self->eof = true;
    else if (header->code == MP_ESTATE)
        fail(self, MP_ESTATE, "another client takes the outcomes of the job now");
    else if (header->code || !mpx_records_valid(payload, header->count))
        fail(self, header->code ? (mp_rc_t)header->code : MP_EPROTO, "the outcomes of the job");
    if (self->eof || self->trouble != MP_OK)
        return;
    mpx_buf_clear(&self->batch);
    mp_rc_t rc = mpx_buf_add(&self->batch, payload.data, payload.size);
    if (rc != MP_OK)
        fail(self, rc, "outcomes of the job");
    self->rest = mpx_buf_bytes(&self->batch);
}

static void on_refused(mpx_deposit_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_problem_t problem = {.message = ""};
    void *arena = NULL;
    mp_rc_t code = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
    if (payload.size && mpx_problem_unpack(payload, &problem, &arena) != MP_OK)
        problem.message = "";
    bool over = code == MP_ENOTFOUND && (header->kind == MPX_OP_JOB_FREE || self->dropping);
    if (over) /* all had been taken, or it is dropped: what waits on it is told so, ours too */
        self->settling = self->leaving = self->dropping = self->cancelling = false;
    else
        fail(self, code, *problem.message ? problem.message : mp_strerror(code));
    free(arena);
}

static void on_done(mpx_deposit_t *self, const mpx_header_t *header)
{
    switch (header->kind) {
    case MPX_OP_JOB_PUT:
        if (!self->sent || header->first != self->under_way.first + self->under_way.count)
            return;
        self->close_done = self->under_way.last;
        self->agreed = header->first;
        self->under_way.count = 0;
        self->under_way.last = false;
        pump(self);
        return;
    case MPX_OP_JOB_FREE:
        self->settling = self->leaving = false;
        return;
    case MPX_OP_JOB_CANCEL:
        self->cancelling = self->dropping = false;
        return;
    default:
        return;
    }
}

/* As an OUTPUT, whose nonce is the process. */
static void on_said(const mpx_deposit_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_header_t output = *header;
    mpx_listen_t listen = *self->listen;
    output.nonce = header->count;
    if (self->attached)
        listen.task = self->task_name;
    mpx_listen_hear(&listen, header->first, &output, payload);
}

static void on_message(mpx_errand_t *errand, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_deposit_t *self = (mpx_deposit_t *)errand;
    if (header->op == MPX_OP_JOB_SAID)
        on_said(self, header, payload);
    else if (header->op == MPX_OP_JOB_INFO)
        on_info(self, header, payload);
    else if (header->op == MPX_OP_JOB_GIVE)
        on_give(self, header, payload);
    else if (header->code)
        on_refused(self, header, payload);
    else
        on_done(self, header);
}

static void on_link(mpx_errand_t *errand, mp_rc_t rc)
{
    mpx_deposit_t *self = (mpx_deposit_t *)errand;
    self->known = false;
    if (rc == MP_OK)
        send_keep(self);
    else if (rc != MP_EBROKERLOST)
        fail(self, MP_EBROKERLOST, mp_errmsg());
}

/* ---- waiting ------------------------------------------------------------------------ */

static mp_rc_t wait_for(mpx_deposit_t *self, bool (*ready)(const void *), int64_t deadline,
                        const char *what)
{
    mp_rc_t rc = ready(self) ? MP_OK : mpx_pool_wait(self->pool, ready, self, deadline);
    if (rc == MP_ECLOSED)
        return mpx_fault(rc, "the pool is closed");
    if (rc == MP_ETIMEDOUT && what)
        return mpx_fault(rc, "the broker has not answered in time: %s", what);
    return rc == MP_OK ? in_trouble(self) : rc;
}

static bool is_known(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return self->had || self->trouble != MP_OK;
}

static bool is_settled(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return !self->settling || self->trouble != MP_OK;
}

static bool is_left(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return !self->leaving || self->trouble != MP_OK;
}

static bool has_sent_all(const void *arg)
{
    const mpx_deposit_t *self = arg;
    bool all = is_idle(&self->under_way) && self->filling.count == 0 &&
               (self->close_done || !self->closed);
    return self->attached || all || self->trouble != MP_OK;
}

static bool has_ended(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return !self->awaiting_end || self->trouble != MP_OK;
}

static bool is_dropped(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return !self->dropping || self->trouble != MP_OK;
}

static bool has_outcome(const void *arg)
{
    const mpx_deposit_t *self = arg;
    if (self->trouble != MP_OK)
        return true;
    if (self->rest.size > 0)
        return self->attached || self->next < self->agreed;
    return self->eof && (self->attached || self->close_done);
}

static bool has_room(const void *arg)
{
    const mpx_deposit_t *self = arg;
    return self->closed || self->trouble != MP_OK || self->filling.count == 0 ||
           (self->filling.items.size < PUT_BYTES && self->filling.count < PUT_ITEMS);
}

/* ---- life --------------------------------------------------------------------------- */

mp_rc_t mpx_job_token(uint64_t *out)
{
    do {
        if (getrandom(out, sizeof *out, 0) != sizeof *out)
            return mpx_fault_errno("random bytes");
    } while (*out == 0);
    return MP_OK;
}

mp_rc_t mpx_job_id_random(char id[MP_JOB_ID_MAX + 1])
{
    uint64_t words[2];
    mp_rc_t rc = mpx_job_token(&words[0]);
    if (rc == MP_OK)
        rc = mpx_job_token(&words[1]);
    if (rc == MP_OK)
        snprintf(id, MP_JOB_ID_MAX + 1, "%016llx%016llx", (unsigned long long)words[0],
                 (unsigned long long)words[1]);
    return rc;
}

static mp_rc_t take_options(mpx_deposit_t *self, const mpx_job_spec_t *spec,
                            const mp_call_options_t *options)
{
    if (options->key && (!*options->key || strlen(options->key) > MP_JOB_KEY_MAX))
        return mpx_fault(MP_EINVAL, "a key has 1 to %d bytes", MP_JOB_KEY_MAX);
    snprintf(self->key, sizeof self->key, "%s", options->key ? options->key : "");
    self->transient = !options->name && !options->key && !options->keep_ms;
    self->keep.keep_ms = (uint32_t)options->keep_ms;
    self->keep.retries = spec->retries;
    self->keep.retry_on = spec->retry_on;
    self->keep.retry_delay_ms = (uint32_t)options->retry_delay_ms;
    self->keep.max_crashes = spec->crashes_max;
    self->keep.chunk_calls = spec->chunk_calls;
    self->keep.dead_letters = options->dead_letters >= 0;
    self->keep.delay_ms = (uint32_t)options->delay_ms;
    self->keep.deadline_ms = (uint32_t)options->deadline_ms;
    mpx_open_t open = spec->open;
    if (!options->worker_wait_ms)
        open.wait_ms = 0; /* nobody need be there to be told that there is no worker */
    return mpx_open_pack(&open, &self->open);
}

/* ID, or OWNER/ID of one that is there. */
static mp_rc_t take_address(mpx_deposit_t *self, const char *address)
{
    const char *slash = self->attached ? strchr(address, '/') : NULL;
    const char *id = slash ? slash + 1 : address;
    size_t owner_size = slash ? (size_t)(slash - address) : 0;
    if (!mpx_job_id_valid(id) || owner_size > MP_JOB_OWNER_MAX)
        return mpx_fault(MP_EINVAL, "a job's id has 1 to %d letters, digits, and any of ._:-%s",
                         MP_JOB_ID_MAX,
                         self->attached ? "; before it OWNER/, if it is another key's" : "");
    snprintf(self->id, sizeof self->id, "%s", id);
    memcpy(self->owner, address, owner_size);
    self->owned = slash != NULL;
    return MP_OK;
}

static mp_rc_t fill(mpx_deposit_t *self, const mpx_job_spec_t *spec,
                    const mp_call_options_t *options, const char *id)
{
    self->attached = !spec;
    mp_rc_t rc = mpx_job_token(&self->keep.token);
    if (rc == MP_OK)
        rc = id ? take_address(self, id) : mpx_job_id_random(self->id);
    self->errand.on_message = on_message;
    self->errand.on_link = on_link;
    return rc == MP_OK && spec ? take_options(self, spec, options) : rc;
}

/* Also of a handle that isn't granted yet: the broker reads what is sent in order. */
static void let_go(mpx_deposit_t *self, bool forget)
{
    static const mpx_header_t cancel = {.op = MPX_OP_JOB_CANCEL, .kind = MPX_JOB_FORGET};
    if (forget)
        send(self, cancel, (mp_bytes_t){0});
    else
        send_free(self, 0, MPX_JOB_LEAVE);
}

/* Nobody will ask for it. A job that has no key is ours alone if we have a handle on it, and has no
 * calls; of one with a key we don't know whose it is, and who repeats the submit finds it. */
static void give_up(mpx_deposit_t *self)
{
    mpx_backend_t *backend = self->pool->backend;
    bool is_refused = self->trouble != MP_OK && !self->had;
    if (backend && !is_refused)
        let_go(self, !self->attached && !*self->key);
    if (backend)
        backend->ops->errand_end(backend, &self->errand);
}

/* Who is not told whether a job was made tries again: with the same token it is the same job, so
 * that one which the broker has made, and whose connection was lost, isn't in the way. */
static mp_rc_t recall_token(mpx_deposit_t *self)
{
    mp_pool_t *pool = self->pool;
    mpx_buf_t body = {0};
    mp_rc_t rc = pool->unsure.size ? pack_keep(self, pool->unsure_token, &body) : MP_OK;
    bool same = rc == MP_OK && body.size && body.size == pool->unsure.size &&
                memcmp(body.data, pool->unsure.data, body.size) == 0;
    if (same) { /* for one only: it is noted again if this one isn't answered either */
        self->keep.token = pool->unsure_token;
        mpx_buf_clear(&pool->unsure);
    }
    mpx_buf_free(&body);
    return rc;
}

/* The last one whose outcome isn't known; another one with the token has been answered. */
static void note_token(mpx_deposit_t *self)
{
    mp_pool_t *pool = self->pool;
    bool answered = self->had || (self->trouble != MP_OK && self->trouble != MP_EBROKERLOST);
    if (self->attached || (answered && self->keep.token != pool->unsure_token))
        return;
    mpx_buf_clear(&pool->unsure);
    pool->unsure_token = self->keep.token;
    if (!answered && pack_keep(self, self->keep.token, &pool->unsure) != MP_OK)
        mpx_buf_clear(&pool->unsure);
}

static void free_memory(mpx_deposit_t *self)
{
    mpx_buf_free(&self->open);
    mpx_buf_free(&self->filling.items);
    mpx_buf_free(&self->under_way.items);
    mpx_buf_free(&self->batch);
    free(self);
}

mp_rc_t mpx_deposit_new(mp_pool_t *pool, const mpx_job_spec_t *spec,
                        const mp_call_options_t *options, const char *id,
                        const mpx_listen_t *listen, int64_t deadline, mpx_deposit_t **out)
{
    if (pool->closed || !pool->backend)
        return mpx_fault(MP_ECLOSED, "the pool is closed");
    if (!pool->backend->ops->errand_begin)
        return mpx_fault(MP_EINVAL, "only a broker keeps jobs: the pool needs one (MP_BROKER)");
    mpx_deposit_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a job");
    self->pool = pool;
    self->listen = listen;
    self->keep.hears = listen->tell != NULL;
    mp_rc_t rc = fill(self, spec, options, id);
    if (rc == MP_OK && spec && id)
        rc = recall_token(self);
    if (rc != MP_OK) {
        free_memory(self);
        return rc;
    }
    pool->backend->ops->errand_begin(pool->backend, &self->errand);
    rc = wait_for(self, is_known, deadline, self->id);
    if (id)
        note_token(self);
    if (rc != MP_OK) {
        give_up(self);
        free_memory(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_deposit_free(mpx_deposit_t *self)
{
    mpx_backend_t *backend = self->pool->backend;
    if (backend) {
        if (self->known)
            let_go(self, self->transient);
        backend->ops->errand_end(backend, &self->errand);
    }
    free_memory(self);
}

const char *mpx_deposit_id(const mpx_deposit_t *self)
{
    return self->id;
}

const mp_task_t *mpx_deposit_task(const mpx_deposit_t *self)
{
    return &self->task;
}

/* ---- the calls ---------------------------------------------------------------------- */

mp_rc_t mpx_deposit_put(mpx_deposit_t *self, const mp_task_t *task, mp_bytes_t input,
                        int64_t deadline)
{
    if (self->attached)
        return mpx_fault(MP_ECLOSED, "only who has made a kept job gives it inputs");
    mp_rc_t rc = wait_for(self, has_room, deadline, NULL);
    if (rc == MP_OK && self->closed)
        rc = mpx_fault(MP_ECLOSED, "the job is closed");
    if (rc != MP_OK)
        return rc;
    self->item_bytes = task->in.bytes;
    rc = self->item_bytes ? mpx_buf_add(&self->filling.items, input.data, input.size)
                          : mpx_item_add(&self->filling.items, input);
    if (rc != MP_OK)
        return rc;
    self->filling.count++;
    self->puts++;
    pump(self);
    return mpx_pool_settle(self->pool);
}

void mpx_deposit_close(mpx_deposit_t *self)
{
    self->closed = true;
    pump(self);
}

void mpx_deposit_cancel(mpx_deposit_t *self)
{
    self->closed = true;
    self->close_done = true;
    self->agreed = UINT64_MAX;
    self->filling.count = 0;
    mpx_buf_clear(&self->filling.items);
    self->cancelling = true;
    if (self->known)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_CANCEL}, (mp_bytes_t){0});
}

mp_rc_t mpx_deposit_next(mpx_deposit_t *self, mpx_record_t *out, uint64_t *index, int64_t deadline)
{
    self->wants = self->rest.size == 0 && !self->eof;
    pump(self);
    mp_rc_t rc = wait_for(self, has_outcome, deadline, NULL);
    if (rc != MP_OK)
        return rc;
    rc = mpx_record_next(&self->rest, out);
    if (rc == MP_OK)
        *index = self->next++;
    return rc;
}

mp_rc_t mpx_deposit_settle(mpx_deposit_t *self, int64_t deadline)
{
    mp_rc_t rc = in_trouble(self);
    if (rc != MP_OK)
        return rc;
    self->settling = true;
    if (self->known)
        send_free(self, self->next, 0);
    return wait_for(self, is_settled, deadline, "to acknowledge outcomes");
}

mp_rc_t mpx_deposit_leave(mpx_deposit_t *self, int64_t deadline)
{
    mpx_deposit_close(self);
    mp_rc_t rc = wait_for(self, has_sent_all, deadline, "to have all inputs");
    if (rc != MP_OK)
        return rc;
    self->leaving = true;
    if (self->known)
        send_free(self, self->next, MPX_JOB_LEAVE);
    rc = wait_for(self, is_left, deadline, "to let go of the job");
    if (rc == MP_OK)
        self->known = false;
    return rc;
}

mp_rc_t mpx_deposit_wait(mpx_deposit_t *self, mp_job_info_t *out, int64_t deadline)
{
    mp_rc_t rc = in_trouble(self);
    if (rc != MP_OK)
        return rc;
    self->awaiting_end = true;
    if (self->known)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_TAKE, .kind = MPX_JOB_END}, (mp_bytes_t){0});
    rc = wait_for(self, has_ended, deadline, "calls have not ended");
    if (rc == MP_OK && out)
        *out = self->info;
    return rc;
}

mp_rc_t mpx_deposit_flush(mpx_deposit_t *self, int64_t deadline)
{
    mp_rc_t rc =
        has_sent_all(self) ? MP_OK : mpx_pool_wait(self->pool, has_sent_all, self, deadline);
    return rc == MP_ETIMEDOUT ? mpx_fault(rc, "the broker has not had all inputs in time") : rc;
}

uint64_t mpx_deposit_number(const mpx_deposit_t *self)
{
    return self->info.number;
}

mp_rc_t mpx_deposit_drop(mpx_deposit_t *self, int64_t deadline)
{
    self->closed = true;
    self->close_done = true;
    self->dropping = true;
    if (self->known)
        send(self, (mpx_header_t){.op = MPX_OP_JOB_CANCEL, .kind = MPX_JOB_FORGET},
             (mp_bytes_t){0});
    mp_rc_t rc = wait_for(self, is_dropped, deadline, "to drop the job");
    if (rc == MP_OK)
        self->known = false;
    return rc;
}
