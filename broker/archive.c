#include "archive_private.h"

#include "archive_disk.h"
#include "clock.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum {
    RETRY_MS = 500,        /* a full disk is tried again after that */
    ABSENT_MS = 2000,      /* workers of a task may be about to join */
    JOIN_AGAIN_MS = 10000, /* for the workers of what was loaded, until they have found us */
    NUMBER_TEXT = 24,
    OWNED_MAX = MPX_KEY_NAME_MAX + 1 + MPX_JOB_KEY_MAX + 1
};

static uint64_t unix_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

void mpx_archive_say(const mpx_archive_t *self, const char *what, const mpx_kept_job_t *job)
{
    char calls[NUMBER_TEXT];
    const char *owner = *job->owner ? "owner" : NULL; /* which ends the list */
    snprintf(calls, sizeof calls, "%llu", (unsigned long long)job->count);
    mpx_log(self->options.log, MP_LOG_INFO, what, "job", job->keep.id, "task", job->open.task,
            "calls", calls, owner, job->owner, NULL);
}

bool mpx_archive_is_put_down(mpx_archive_t *self)
{
    if (!self->options.store)
        return false;
    self->changed = true;
    return !self->stale;
}

void mpx_archive_note(mpx_archive_t *self, mp_rc_t rc)
{
    if (rc != MP_OK)
        self->trouble = rc;
}

/* ---- jobs --------------------------------------------------------------------------- */

/* Records of one job follow each other. */
static mpx_kept_job_t *find_number(void *arg, uint64_t number)
{
    mpx_archive_t *self = arg;
    if (!self->found || self->found->number != number)
        DL_FOREACH (self->jobs, self->found)
            if (self->found->number == number)
                break;
    return self->found;
}

bool mpx_archive_shows(const mpx_peer_t *peer, const char *owner)
{
    return strcmp(peer->key_name, owner) == 0 || mpx_peer_may(peer, MPX_MAY_ADMIN);
}

mpx_kept_job_t *mpx_archive_find_id(const mpx_archive_t *self, const char *owner, const char *id)
{
    mpx_kept_job_t *job = NULL;
    char name[OWNED_MAX];
    int size = snprintf(name, sizeof name, "%s/%s", owner, id);
    HASH_FIND(by_id, self->ids, name, (size_t)size, job);
    return job;
}

mpx_kept_job_t *mpx_archive_find_key(const mpx_archive_t *self, const char *owner, const char *key)
{
    mpx_kept_job_t *job = NULL;
    char name[OWNED_MAX];
    int size = snprintf(name, sizeof name, "%s/%s", owner, key);
    HASH_FIND(by_key, self->keys, name, (size_t)size, job);
    return job;
}

/* false: no memory. */
static bool enlist(mpx_archive_t *self, mpx_kept_job_t *job)
{
    HASH_ADD_KEYPTR(by_id, self->ids, job->owned_id, strlen(job->owned_id), job);
    if (job->unlisted)
        return false;
    if (mpx_kept_job_shared(job))
        HASH_ADD_KEYPTR(by_key, self->keys, job->owned_key, strlen(job->owned_key), job);
    if (job->unlisted) {
        HASH_DELETE(by_id, self->ids, job);
        return false;
    }
    DL_APPEND(self->jobs, job);
    return true;
}

static void delist(mpx_archive_t *self, mpx_kept_job_t *job)
{
    HASH_DELETE(by_id, self->ids, job);
    if (mpx_kept_job_shared(job))
        HASH_DELETE(by_key, self->keys, job);
    DL_DELETE(self->jobs, job);
}

void mpx_archive_touch(mpx_archive_t *self, mpx_kept_job_t *job)
{
    if (job->touched)
        return;
    job->touched = true;
    DL_APPEND2(self->touched, job, touched_prev, touched_next);
}

static void untouch(mpx_archive_t *self, mpx_kept_job_t *job)
{
    if (!job->touched)
        return;
    job->touched = false;
    DL_DELETE2(self->touched, job, touched_prev, touched_next);
}

static mp_rc_t add_job(mpx_archive_t *self, int64_t now, const char *owner, mp_bytes_t body,
                       int64_t absent_ms, uint64_t number, mpx_kept_job_t **out)
{
    mpx_kept_job_t *job = NULL;
    mpx_kept_patience_t patience = {self->options.wait_ms * MPX_MS, absent_ms * MPX_MS};
    mp_rc_t rc = mpx_kept_job_new(self->options.engine, &self->hooks, &self->totals, owner, body,
                                  now, patience, &job);
    if (rc != MP_OK)
        return rc;
    job->number = number;
    if (number > self->last_number)
        self->last_number = number;
    if (!enlist(self, job)) {
        mpx_kept_job_free(job, now);
        return mpx_fault(MP_ENOMEM, "a kept job");
    }
    mpx_archive_touch(self, job);
    *out = job;
    return self->held ? mpx_engine_job_hold(self->options.engine, now, job->engine_id, true)
                      : MP_OK;
}

mp_rc_t mpx_archive_make(mpx_archive_t *self, int64_t now, const char *owner, mp_bytes_t body,
                         mpx_kept_job_t **out)
{
    mp_rc_t rc = add_job(self, now, owner, body, ABSENT_MS, self->last_number + 1, out);
    if (rc != MP_OK)
        return rc;
    (*out)->created_ms = unix_ms();
    (*out)->head_changed = true;
    mpx_archive_say(self, "job_kept", *out);
    return self->options.store
               ? mpx_engine_job_hold(self->options.engine, now, (*out)->engine_id, true)
               : MP_OK;
}

void mpx_archive_drop(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    while (job->handles) {
        mpx_archive_handle_lost(self, job->handles);
        mpx_archive_handle_drop(self, job->handles);
    }
    untouch(self, job);
    delist(self, job);
    if (mpx_archive_is_put_down(self))
        mpx_archive_del_job(self->options.store, job);
    mpx_kept_job_free(job, now);
}

mp_rc_t mpx_archive_check_room(const mpx_archive_t *self, uint64_t bytes)
{
    uint64_t limit = self->options.kept_bytes;
    if (self->totals.bytes + bytes <= limit && self->totals.inputs + bytes <= limit / 2)
        return MP_OK;
    return mpx_fault(MP_ELIMIT,
                     "the broker has no room for %llu bytes more of jobs: it keeps %llu of %llu "
                     "(--kept-bytes), half of it for inputs: fetch or drop some (mp job list), or "
                     "submit fewer at a time",
                     (unsigned long long)bytes, (unsigned long long)self->totals.bytes,
                     (unsigned long long)limit);
}

mp_rc_t mpx_archive_put(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_kept_batch_t *batch;
    mp_rc_t rc = mpx_kept_job_put(job, now, unix_ms(), header, payload, &batch);
    mpx_archive_touch(self, job);
    if (rc != MP_OK || !batch)
        return rc;
    job->head_changed = true;
    return mpx_archive_is_put_down(self) ? mpx_archive_put_batch(self->options.store, batch)
                                         : MP_OK;
}

void mpx_archive_release(mpx_archive_t *self, mpx_kept_job_t *job, uint64_t first)
{
    uint64_t before = job->freed;
    mpx_kept_job_release(job, first);
    if (job->freed == before)
        return;
    job->head_changed = true;
    mpx_archive_touch(self, job);
    if (!mpx_archive_is_put_down(self))
        return;
    for (uint64_t i = before; i < job->freed; i++)
        mpx_archive_del_outcome(self->options.store, job, i);
}

/* ---- what ends on the engine ---------------------------------------------------------- */

static void let_the_oldest_go(mpx_archive_t *self)
{
    mpx_letter_t *letter;
    while ((letter = mpx_morgue_excess(&self->morgue))) {
        if (self->morgue.dropped++ == 0)
            mpx_log(self->options.log, MP_LOG_WARNING, "dead_letters_dropped", "why",
                    "--dead-bytes is reached, so that the oldest go", NULL);
        if (mpx_archive_is_put_down(self))
            mpx_archive_del_letter(self->options.store, letter->number);
        mpx_morgue_drop(&self->morgue, letter);
    }
}

static void bury(mpx_archive_t *self, const mpx_kept_batch_t *batch, uint64_t index,
                 mp_bytes_t input, mp_bytes_t record)
{
    const mpx_kept_job_t *job = batch->job;
    mpx_buf_t keep = {0}, block = {0};
    mpx_letter_t *added = NULL;
    mp_rc_t rc = mpx_keep_pack(&job->keep, &keep);
    mpx_letter_t letter = {.time_ms = unix_ms(),
                           .index = index,
                           .item_bytes = batch->item_bytes,
                           .task = job->open.task,
                           .owner = job->owner,
                           .keep = mpx_buf_bytes(&keep),
                           .input = input,
                           .record = record};
    if (rc == MP_OK)
        rc = mpx_letter_pack(&letter, &block);
    if (rc == MP_OK)
        rc = mpx_morgue_add(&self->morgue, self->morgue.last_number + 1, mpx_buf_bytes(&block),
                            &added);
    if (rc == MP_OK && mpx_archive_is_put_down(self))
        mpx_archive_put_letter(self->options.store, added);
    mpx_archive_note(self, rc);
    let_the_oldest_go(self);
    mpx_buf_free(&keep);
    mpx_buf_free(&block);
}

static void hook_ended(void *arg, const mpx_kept_batch_t *batch, uint64_t index, mp_bytes_t input,
                       const mpx_record_t *record)
{
    mpx_archive_t *self = arg;
    mpx_kept_job_t *job = batch->job;
    const mpx_kept_call_t *call = &job->calls[index];
    if (mpx_archive_is_put_down(self))
        mpx_archive_note(self, mpx_archive_put_outcome(self->options.store, job, index));
    if (job->keep.dead_letters && record->rc != MP_OK && record->rc != MP_ECANCELLED)
        bury(self, batch, index, input, (mp_bytes_t){call->record, call->record_size});
    mpx_archive_touch(self, job);
}

static void hook_emptied(void *arg, const mpx_kept_batch_t *batch)
{
    mpx_archive_t *self = arg;
    if (mpx_archive_is_put_down(self))
        mpx_archive_del_batch(self->options.store, batch);
}

/* ---- what calls write ----------------------------------------------------------------- */

/* To whoever listens, at the cost of its credit. Nobody waits for it, and it is kept nowhere: what
 * isn't heard is only counted, and the next one who hears something is told how much. */
static void hook_said(void *arg, mpx_kept_job_t *job, const mpx_header_t *header,
                      mp_bytes_t payload)
{
    const mpx_archive_t *self = arg;
    mpx_handle_t *handle;
    char host[MPX_HOST_MAX];
    mp_bytes_t text = {0};
    bool heard = false;
    if (mpx_output_unpack(payload, host, &text) != MP_OK)
        return;
    DL_FOREACH (job->handles, handle) {
        mpx_header_t said = {.op = MPX_OP_JOB_SAID,
                             .nonce = handle->name.nonce,
                             .first = header->first,
                             .kind = header->kind,
                             .count = (uint32_t)header->nonce,
                             .bytes = header->bytes + handle->unsaid_bytes};
        if (!handle->hears)
            continue;
        heard = true;
        bool told = self->options.tell(handle->peer, &said, payload);
        handle->unsaid_bytes = told ? 0 : said.bytes + text.size;
    }
    if (!heard)
        job->unheard_bytes += header->bytes + text.size;
}

void mpx_archive_listen(mpx_handle_t *handle, bool hears)
{
    handle->hears = hears;
    if (!hears)
        return;
    handle->unsaid_bytes = handle->job->unheard_bytes;
    handle->job->unheard_bytes = 0;
}

/* ---- life --------------------------------------------------------------------------- */

static mp_rc_t load_letter(void *arg, uint64_t number, mp_bytes_t block)
{
    mpx_archive_t *self = arg;
    mpx_letter_t *letter;
    return mpx_morgue_add(&self->morgue, number, block, &letter);
}

static mp_rc_t load_job(void *arg, uint64_t number, const char *owner, mp_bytes_t keep,
                        mpx_kept_job_t **out)
{
    mpx_archive_t *self = arg;
    return add_job(self, mpx_now(), owner, keep, JOIN_AGAIN_MS, number, out);
}

static mp_rc_t load(mpx_archive_t *self, int64_t now)
{
    mpx_archive_reader_t reader = {
        .self = self, .letter = load_letter, .job = load_job, .find = find_number};
    mp_rc_t rc = mpx_archive_read(self->options.store, &reader);
    mpx_kept_job_t *job;
    DL_FOREACH (self->jobs, job) {
        if (rc == MP_OK)
            rc = mpx_kept_job_begin(job, now, unix_ms());
        if (rc == MP_OK)
            mpx_archive_say(self, "job_loaded", job);
    }
    let_the_oldest_go(self);
    self->sure_number = self->last_number;
    return rc;
}

mp_rc_t mpx_archive_new(const mpx_archive_options_t *options, int64_t now, mpx_archive_t **out)
{
    mpx_archive_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "an archive");
    self->options = *options;
    self->hooks = (mpx_kept_hooks_t){
        .self = self, .said = hook_said, .ended = hook_ended, .emptied = hook_emptied};
    self->morgue.max_bytes = options->dead_bytes;
    self->next_expiry = MPX_NEVER;
    mp_rc_t rc = options->store ? load(self, now) : MP_OK;
    if (rc != MP_OK)
        mpx_archive_destroy(&self);
    else
        *out = self;
    return rc;
}

void mpx_archive_destroy(mpx_archive_t **self_p)
{
    mpx_archive_t *self = *self_p;
    if (!self)
        return;
    while (self->handles)
        mpx_archive_handle_drop(self, self->handles);
    while (self->jobs) {
        mpx_kept_job_t *job = self->jobs;
        delist(self, job);
        mpx_kept_job_free(job, mpx_now());
    }
    while (self->replies)
        mpx_archive_reply_drop(self, self->replies);
    mpx_morgue_free(&self->morgue);
    mpx_buf_free(&self->scratch);
    free(self);
    *self_p = NULL;
}

/* ---- turns -------------------------------------------------------------------------- */

void mpx_archive_put_head(mpx_archive_t *self, mpx_kept_job_t *job)
{
    if (job->head_changed && mpx_archive_is_put_down(self)) {
        mpx_archive_note(self, mpx_archive_put_job(self->options.store, job));
        job->head_changed = false;
    }
}

mp_rc_t mpx_archive_flush(mpx_archive_t *self, int64_t now)
{
    mpx_kept_job_t *job, *next;
    DL_FOREACH_SAFE2(self->touched, job, next, touched_next)
    {
        mpx_archive_note(self, job->trouble);
        mpx_archive_set_times(self, now, job);
        if (mpx_archive_is_used_up(job) && !job->handles)
            mpx_archive_drop(self, now, job);
        else
            mpx_archive_put_head(self, job);
    }
    mp_rc_t rc = mpx_archive_expire(self, now);
    if (rc == MP_OK)
        rc = mpx_archive_balance(self, now);
    return rc == MP_OK ? self->trouble : rc;
}

/* All of it anew, by a commit of its own. */
static void rewrite(mpx_archive_t *self, int64_t now)
{
    mpx_store_t *store = self->options.store;
    mpx_kept_job_t *job;
    const mpx_kept_batch_t *batch;
    const mpx_letter_t *letter;
    mpx_archive_del_all(store);
    DL_FOREACH (self->jobs, job) {
        mpx_archive_note(self, mpx_archive_put_job(store, job));
        DL_FOREACH (job->batches, batch)
            mpx_archive_note(self, mpx_archive_put_batch(store, batch));
        for (uint64_t i = job->freed; i < job->count; i++)
            if (job->calls[i].record)
                mpx_archive_note(self, mpx_archive_put_outcome(store, job, i));
        mpx_archive_touch(self, job);
    }
    DL_FOREACH (self->morgue.letters, letter)
        if (!letter->leaves)
            mpx_archive_put_letter(store, letter);
    self->stale = mpx_store_commit(store) != MP_OK;
    self->changed = self->stale;
    self->retry_at = now + RETRY_MS * MPX_MS;
}

/* A JOB_KEEP is refused after all. */
static void take_back_handle(mpx_archive_t *self, const mpx_reply_t *reply)
{
    mpx_handle_t *handle = mpx_archive_handle(self, reply->peer, reply->header.nonce);
    if (!handle)
        return;
    handle->job->maker_is_away |= handle->may_put;
    mpx_archive_handle_drop(self, handle);
}

static void send_reply(mpx_archive_t *self, const mpx_reply_t *reply, mp_rc_t rc)
{
    mpx_header_t header = reply->header;
    mp_bytes_t payload = {reply->payload, reply->size};
    if (rc != MP_OK && header.code == 0) {
        if (reply->asked == MPX_OP_JOB_KEEP)
            take_back_handle(self, reply);
        header = (mpx_header_t){.op = MPX_OP_JOB_DONE,
                                .nonce = header.nonce,
                                .kind = (uint32_t)reply->asked,
                                .code = rc};
        payload.size = 0;
    }
    (void)self->options.send(reply->peer, &header, payload);
}

static void give_code(const mpx_archive_t *self, mpx_handle_t *handle, mp_rc_t code)
{
    mpx_header_t header = {.op = MPX_OP_JOB_GIVE,
                           .nonce = handle->name.nonce,
                           .first = handle->want_first,
                           .code = code};
    handle->wants = false;
    (void)self->options.send(handle->peer, &header, (mp_bytes_t){0});
}

static mp_rc_t give(mpx_archive_t *self, mpx_handle_t *handle)
{
    const mpx_kept_job_t *job = handle->job;
    uint32_t count = 0;
    if (handle->want_first < job->freed) {
        give_code(self, handle, MP_ESTATE);
        return MP_OK;
    }
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc =
        mpx_kept_job_gather(job, handle->want_first, handle->want_bytes, &self->scratch, &count);
    if (rc != MP_OK)
        return rc;
    if (count == 0) {
        if (handle->want_first >= job->count && !mpx_archive_is_open(job))
            give_code(self, handle, MP_EOF);
        return MP_OK;
    }
    mpx_header_t header = {.op = MPX_OP_JOB_GIVE,
                           .nonce = handle->name.nonce,
                           .first = handle->want_first,
                           .count = count};
    handle->wants = !self->options.tell(handle->peer, &header, mpx_buf_bytes(&self->scratch));
    self->starved = self->starved || handle->wants;
    return MP_OK;
}

static mp_rc_t serve(mpx_archive_t *self, mpx_kept_job_t *job)
{
    mpx_handle_t *handle;
    mp_rc_t rc = MP_OK;
    bool over = job->ended == job->count && !mpx_archive_is_open(job);
    DL_FOREACH (job->handles, handle) {
        if (rc == MP_OK && handle->wants)
            rc = give(self, handle);
        if (rc == MP_OK && handle->wants_end && over) {
            handle->wants_end = false;
            rc = mpx_archive_inform(self, handle->peer, MPX_OP_JOB_TAKE, handle->name.nonce, job,
                                    false);
        }
    }
    return rc;
}

static void answer(mpx_archive_t *self, mp_rc_t rc)
{
    while (self->replies) {
        send_reply(self, self->replies, rc);
        mpx_archive_reply_drop(self, self->replies);
    }
}

/* What was asked since the last commit is done, and new jobs may run; or it is as if these, and
 * letters that leave, had not been asked for: what is refused can be asked again. */
static mp_rc_t conclude(mpx_archive_t *self, int64_t now, bool done)
{
    mp_rc_t rc = MP_OK;
    mpx_kept_job_t *job = self->jobs ? self->jobs->prev : NULL;
    while (job && job->number > self->sure_number && rc == MP_OK) {
        mpx_kept_job_t *before = job == self->jobs ? NULL : job->prev;
        if (done)
            rc = mpx_engine_job_hold(self->options.engine, now, job->engine_id, self->held);
        else
            mpx_archive_drop(self, now, job);
        job = before;
    }
    self->sure_number = self->last_number;
    mpx_morgue_settle(&self->morgue, done);
    return rc;
}

/* Those without credit stay to be looked at. */
static mp_rc_t serve_touched(mpx_archive_t *self)
{
    mp_rc_t rc = MP_OK;
    mpx_kept_job_t *job, *next;
    DL_FOREACH_SAFE2(self->touched, job, next, touched_next)
    {
        self->starved = false;
        if (rc == MP_OK)
            rc = serve(self, job);
        bool again =
            self->starved || (mpx_archive_is_used_up(job) && !job->handles) || job->head_changed;
        if (!again)
            untouch(self, job);
    }
    return rc;
}

mp_rc_t mpx_archive_settle(mpx_archive_t *self, int64_t now, mp_rc_t rc)
{
    if (rc != MP_OK && self->changed)
        self->stale = true;
    if (self->stale && self->retry_at <= now)
        rewrite(self, now);
    if (!self->stale)
        self->changed = false;
    mp_rc_t ours = conclude(self, now, !self->stale);
    answer(self, self->stale ? (rc != MP_OK ? rc : MP_ENOSPACE) : MP_OK);
    if (self->stale || ours != MP_OK)
        return ours; /* what isn't on the disk isn't given */
    rc = serve_touched(self);
    answer(self, MP_OK);
    return rc;
}

int64_t mpx_archive_deadline(const mpx_archive_t *self)
{
    return self->stale ? mpx_earlier(self->retry_at, self->next_expiry) : self->next_expiry;
}

void mpx_archive_drain(mpx_archive_t *self)
{
    self->draining = true;
}

uint64_t mpx_archive_open_jobs(const mpx_archive_t *self)
{
    uint64_t jobs = 0;
    const mpx_kept_job_t *job;
    DL_FOREACH (self->jobs, job)
        if (job->handles && job->ended < job->count)
            jobs++;
    return jobs;
}

static int64_t age_ms(uint64_t since)
{
    uint64_t now = unix_ms();
    return now > since ? (int64_t)(now - since) : 0;
}

void mpx_archive_count(const mpx_archive_t *self, mpx_archive_counts_t *out)
{
    const mpx_letter_t *letter = self->morgue.letters;
    *out = (mpx_archive_counts_t){.jobs = HASH_CNT(by_id, self->ids),
                                  .bytes = self->totals.bytes,
                                  .oldest_ms = self->jobs ? age_ms(self->jobs->created_ms) : 0,
                                  .held = self->held,
                                  .letters = HASH_COUNT(self->morgue.by_number),
                                  .letters_bytes = self->morgue.bytes,
                                  .letters_oldest_ms = letter ? age_ms(letter->time_ms) : 0};
}
