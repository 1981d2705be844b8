#include "kept_job.h"

#include "clock.h"
#include "explain.h"
#include "fault.h"

#include <mp/kept.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

_Static_assert((int)MP_JOB_OWNER_MAX == (int)MPX_KEY_NAME_MAX, "an owner is a key's name");

enum { CALLS_ROOM = 64 };
#define CALLS_MAX (UINT64_C(1) << 32) /* of one job */

/* ---- bytes -------------------------------------------------------------------------- */

static void count_bytes(mpx_kept_job_t *self, int64_t bytes)
{
    self->bytes += (uint64_t)bytes;
    self->totals->bytes += (uint64_t)bytes;
}

static void count_inputs(mpx_kept_job_t *self, int64_t bytes)
{
    count_bytes(self, bytes);
    self->totals->inputs += (uint64_t)bytes;
}

static void count_record(mpx_kept_job_t *self, int64_t bytes)
{
    count_bytes(self, bytes);
    self->totals->records += (uint64_t)bytes;
}

/* FNV-1a: to tell inputs of honest programs apart. */
static uint64_t hash_of(mp_bytes_t input)
{
    const unsigned char *at = input.data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < input.size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- batches ------------------------------------------------------------------------ */

/* From `seek_index` on, if it isn't behind that. */
static mp_rc_t item_at(mpx_kept_batch_t *batch, uint64_t index, mp_bytes_t *out)
{
    uint32_t wanted = (uint32_t)(index - batch->first);
    if (wanted < batch->seek_index) {
        batch->seek_index = 0;
        batch->seek_offset = 0;
    }
    mp_bytes_t rest = {batch->payload + batch->seek_offset, batch->size - batch->seek_offset};
    for (;;) {
        size_t offset = batch->size - rest.size;
        mp_rc_t rc = mpx_item_next(&rest, batch->item_bytes, out);
        if (rc != MP_OK)
            return MP_EPROTO;
        if (batch->seek_index == wanted) {
            batch->seek_offset = offset;
            return MP_OK;
        }
        batch->seek_index++;
    }
}

static mp_rc_t hook_inputs(void *arg, uint64_t tag, uint64_t first, uint32_t count,
                           mpx_inputs_t *out)
{
    (void)arg;
    mpx_kept_batch_t *batch = (mpx_kept_batch_t *)(uintptr_t)tag;
    mp_bytes_t item;
    mp_rc_t rc = item_at(batch, first, &item);
    if (rc != MP_OK)
        return rc;
    const unsigned char *from = batch->payload + batch->seek_offset;
    rc = item_at(batch, first + count - 1, &item);
    const unsigned char *to = (const unsigned char *)item.data + item.size;
    out->item_bytes = batch->item_bytes;
    out->payload = (mp_bytes_t){from, (size_t)(to - from)};
    return rc;
}

static void batch_drop(mpx_kept_job_t *self, mpx_kept_batch_t *batch)
{
    DL_DELETE(self->batches, batch);
    count_inputs(self, -(int64_t)(batch->size + MPX_KEPT_BATCH_COST));
    free(batch);
}

static mp_rc_t room_for(mpx_kept_job_t *self, uint64_t count)
{
    if (count <= self->room)
        return MP_OK;
    uint64_t room = self->room ? self->room : CALLS_ROOM;
    while (room < count)
        room *= 2;
    mpx_kept_call_t *calls = realloc(self->calls, room * sizeof *calls);
    if (!calls)
        return mpx_fault(MP_ENOMEM, "calls of a kept job");
    memset(calls + self->room, 0, (room - self->room) * sizeof *calls);
    count_bytes(self, (int64_t)((room - self->room) * sizeof *calls));
    self->calls = calls;
    self->room = room;
    return MP_OK;
}

static mp_rc_t batch_add(mpx_kept_job_t *self, uint64_t put_ms, uint64_t first, uint32_t count,
                         uint32_t item_bytes, mp_bytes_t payload, mpx_kept_batch_t **out)
{
    mp_rc_t rc = room_for(self, first + count);
    if (rc != MP_OK)
        return rc;
    mpx_kept_batch_t *batch = malloc(sizeof *batch + payload.size);
    if (!batch)
        return mpx_fault(MP_ENOMEM, "inputs of a kept job");
    *batch = (mpx_kept_batch_t){.job = self,
                                .first = first,
                                .count = count,
                                .open = count,
                                .item_bytes = item_bytes,
                                .put_ms = put_ms,
                                .size = payload.size};
    if (payload.size)
        memcpy(batch->payload, payload.data, payload.size);
    DL_APPEND(self->batches, batch);
    count_inputs(self, (int64_t)(payload.size + MPX_KEPT_BATCH_COST));
    mp_bytes_t item = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (mpx_item_next(&payload, item_bytes, &item) != MP_OK)
            break;
        self->calls[first + i].hash = hash_of(item);
        self->calls[first + i].size = (uint32_t)item.size;
    }
    if (self->count < first + count)
        self->count = first + count;
    *out = batch;
    return MP_OK;
}

/* ---- outcomes ----------------------------------------------------------------------- */

static mp_rc_t keep_record(mpx_kept_job_t *self, uint64_t index, mp_bytes_t packed)
{
    mpx_kept_call_t *call = &self->calls[index];
    unsigned char *copy = malloc(packed.size ? packed.size : 1);
    if (!copy)
        return MP_ENOMEM;
    if (packed.size)
        memcpy(copy, packed.data, packed.size);
    call->record = copy;
    call->record_size = (uint32_t)packed.size;
    call->ended = true;
    self->ended++;
    count_record(self, (int64_t)packed.size + MPX_KEPT_RECORD_COST);
    return MP_OK;
}

static void close_one(mpx_kept_job_t *self, mpx_kept_batch_t *batch)
{
    if (--batch->open > 0)
        return;
    self->hooks->emptied(self->hooks->self, batch);
    batch_drop(self, batch);
}

static void hook_outcome(void *arg, uint64_t tag, uint64_t index, const mpx_record_t *record,
                         int64_t busy_ns)
{
    (void)busy_ns;
    mpx_kept_job_t *self = arg;
    mpx_kept_batch_t *batch = (mpx_kept_batch_t *)(uintptr_t)tag;
    mp_bytes_t input = {0};
    mpx_buf_t packed = {0};
    mp_rc_t rc = mpx_record_add(&packed, record);
    if (rc == MP_OK)
        rc = keep_record(self, index, mpx_buf_bytes(&packed));
    mpx_buf_free(&packed);
    if (rc == MP_OK)
        rc = item_at(batch, index, &input);
    if (rc != MP_OK) {
        self->trouble = rc;
        return;
    }
    if (record->rc != MP_OK)
        self->failed++;
    self->hooks->ended(self->hooks->self, batch, index, input, record);
    close_one(self, batch);
}

static void hook_output(void *arg, uint64_t tag, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)tag;
    mpx_kept_job_t *self = arg;
    self->hooks->said(self->hooks->self, self, header, payload);
}

static const mpx_job_hooks_t engine_hooks = {
    .inputs = hook_inputs,
    .outcome = hook_outcome,
    .output = hook_output,
};

mp_rc_t mpx_kept_job_gather(const mpx_kept_job_t *self, uint64_t first, uint64_t max_bytes,
                            mpx_buf_t *out, uint32_t *count)
{
    size_t before = out->size;
    *count = 0;
    for (uint64_t i = first; i < self->count && self->calls[i].record; i++) {
        const mpx_kept_call_t *call = &self->calls[i];
        if (*count > 0 && out->size - before + call->record_size > max_bytes)
            break;
        mp_rc_t rc = mpx_buf_add(out, call->record, call->record_size);
        if (rc != MP_OK)
            return rc;
        ++*count;
    }
    return MP_OK;
}

static void record_drop(mpx_kept_job_t *self, mpx_kept_call_t *call)
{
    if (!call->record)
        return;
    count_record(self, -(int64_t)(call->record_size + MPX_KEPT_RECORD_COST));
    free(call->record);
    call->record = NULL;
}

void mpx_kept_job_release(mpx_kept_job_t *self, uint64_t first)
{
    while (self->freed < first && self->freed < self->count && self->calls[self->freed].ended)
        record_drop(self, &self->calls[self->freed++]);
}

/* ---- life --------------------------------------------------------------------------- */

static int64_t wait_of(const mpx_kept_job_t *self, int64_t most_ns)
{
    int64_t own_ns = self->open.wait_ms * MPX_MS;
    return own_ns == 0 || (most_ns && most_ns < own_ns) ? most_ns : own_ns;
}

static mp_rc_t open_on_engine(mpx_kept_job_t *self, int64_t now, mpx_kept_patience_t patience)
{
    mpx_job_spec_t spec = {
        .open = self->open,
        .match = true,
        .chunk_calls = self->keep.chunk_calls,
        .retries = self->keep.retries,
        .retry_on = self->keep.retry_on,
        .retry_delay_ns = self->keep.retry_delay_ms * MPX_MS,
        .crashes_max = self->keep.max_crashes,
        .wait_ns = wait_of(self, patience.wait_ns),
        .absent_ns = patience.absent_ns,
    };
    if (spec.open.priority > MPX_PRIORITY_MAX)
        spec.open.priority = MPX_PRIORITY_MAX;
    if (spec.open.priority < -MPX_PRIORITY_MAX)
        spec.open.priority = -MPX_PRIORITY_MAX;
    if (spec.open.weight > MPX_WEIGHT_MAX)
        spec.open.weight = MPX_WEIGHT_MAX;
    if (spec.open.call_limit_ms || spec.open.soft_limit_ms)
        spec.chunk_calls = 1;
    return mpx_engine_job_open(self->engine, now, &spec, &engine_hooks, self, &self->engine_id);
}

static char *join(const char *owner, const char *text)
{
    size_t size = strlen(owner) + strlen(text) + 2;
    char *out = malloc(size);
    if (out)
        snprintf(out, size, "%s/%s", owner, text);
    return out;
}

static mp_rc_t name_job(mpx_kept_job_t *self, const char *owner)
{
    snprintf(self->owner, sizeof self->owner, "%s", owner);
    self->owned_id = join(owner, self->keep.id);
    self->owned_key = join(owner, self->keep.key);
    return self->owned_id && self->owned_key ? MP_OK : mpx_fault(MP_ENOMEM, "a kept job");
}

mp_rc_t mpx_kept_job_new(mpx_engine_t *engine, const mpx_kept_hooks_t *hooks,
                         mpx_kept_totals_t *totals, const char *owner, mp_bytes_t body, int64_t now,
                         mpx_kept_patience_t patience, mpx_kept_job_t **out)
{
    mpx_kept_job_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a kept job");
    self->engine = engine;
    self->hooks = hooks;
    self->totals = totals;
    self->until = self->maker_until = MPX_NEVER;
    count_bytes(self, MPX_KEPT_JOB_COST + (int64_t)body.size);
    mp_rc_t rc = mpx_keep_unpack(body, &self->keep, &self->keep_arena);
    if (rc == MP_OK)
        rc = mpx_open_unpack(self->keep.open, &self->open, &self->open_arena);
    if (rc == MP_OK)
        rc = name_job(self, owner);
    if (rc == MP_OK)
        rc = open_on_engine(self, now, patience);
    if (rc != MP_OK) {
        mpx_kept_job_free(self, now);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_kept_job_free(mpx_kept_job_t *self, int64_t now)
{
    if (self->engine_id)
        (void)mpx_engine_job_close(self->engine, now, self->engine_id);
    while (self->batches)
        batch_drop(self, self->batches);
    for (uint64_t i = 0; i < self->count; i++)
        record_drop(self, &self->calls[i]);
    count_bytes(self, -(int64_t)self->bytes);
    free(self->calls);
    free(self->keep_arena);
    free(self->open_arena);
    free(self->owned_id);
    free(self->owned_key);
    free(self);
}

bool mpx_kept_job_shared(const mpx_kept_job_t *self)
{
    return *self->keep.key != '\0';
}

/* ---- inputs ------------------------------------------------------------------------- */

static mp_rc_t differs(const mpx_kept_job_t *self, uint64_t index)
{
    return mpx_fault(MP_EEXIST, "input %llu of job %s is another one already: %s",
                     (unsigned long long)index, self->keep.id,
                     mpx_kept_job_shared(self) ? "its key was used for another submit"
                                               : "the id is in use");
}

/* Those that are there already must be the same. */
static mp_rc_t compare(const mpx_kept_job_t *self, uint64_t first, uint32_t count,
                       uint32_t item_bytes, mp_bytes_t *rest)
{
    mp_bytes_t item;
    for (uint64_t i = first; i < first + count && i < self->count; i++) {
        mp_rc_t rc = mpx_item_next(rest, item_bytes, &item);
        if (rc != MP_OK)
            return rc;
        if (i < self->freed)
            continue;
        if (item.size != self->calls[i].size || hash_of(item) != self->calls[i].hash)
            return differs(self, i);
    }
    return MP_OK;
}

/* Of what was put so long ago. */
static mpx_times_t times_of(const mpx_kept_job_t *self, int64_t now, uint64_t age_ms)
{
    int64_t delay_ms = self->keep.delay_ms, deadline_ms = self->keep.deadline_ms;
    int64_t age = age_ms < UINT32_MAX ? (int64_t)age_ms : UINT32_MAX;
    return (mpx_times_t){.begin = now + (delay_ms - age) * MPX_MS,
                         .deadline = deadline_ms ? now + (deadline_ms - age) * MPX_MS : MPX_NEVER};
}

static mp_rc_t engine_put(const mpx_kept_job_t *self, int64_t now, uint64_t age_ms,
                          mpx_kept_batch_t *batch, uint64_t first, uint32_t count)
{
    return mpx_engine_put_timed(self->engine, now, self->engine_id, first, count, batch->size,
                                (uint64_t)(uintptr_t)batch, times_of(self, now, age_ms));
}

mp_rc_t mpx_kept_job_put(mpx_kept_job_t *self, int64_t now, uint64_t unix_ms,
                         const mpx_header_t *header, mp_bytes_t payload, mpx_kept_batch_t **added)
{
    uint64_t first = header->first;
    uint32_t count = header->count, item_bytes = header->item_bytes;
    *added = NULL;
    if (first > self->count || first + count > CALLS_MAX ||
        !mpx_items_valid(payload, item_bytes, count))
        return mpx_fault(MP_EPROTO, "a JOB_PUT's inputs are not those that are due");
    uint64_t there = self->count - first;
    mp_rc_t rc = compare(self, first, count, item_bytes, &payload);
    if (rc != MP_OK || there >= count)
        return rc;
    if (self->closed)
        return mpx_fault(MP_EEXIST, "job %s has %llu inputs already, and no more can come",
                         self->keep.id, (unsigned long long)self->count);
    uint32_t fresh = count - (uint32_t)there;
    rc = batch_add(self, unix_ms, self->count, fresh, item_bytes, payload, added);
    return rc == MP_OK ? engine_put(self, now, 0, *added, (*added)->first, fresh) : rc;
}

mp_rc_t mpx_kept_job_close(mpx_kept_job_t *self, uint64_t count)
{
    if (count != self->count)
        return mpx_fault(MP_EEXIST, "job %s has %llu inputs, not %llu", self->keep.id,
                         (unsigned long long)self->count, (unsigned long long)count);
    self->closed = self->complete = true;
    return MP_OK;
}

mp_rc_t mpx_kept_job_fail(mpx_kept_job_t *self, int64_t now, mp_rc_t rc, const char *words)
{
    self->closed = true;
    return mpx_engine_job_fail(self->engine, now, self->engine_id, rc, words);
}

mp_rc_t mpx_kept_job_cancel(mpx_kept_job_t *self, int64_t now)
{
    self->cancelled = self->cancelled || self->ended < self->count;
    return mpx_kept_job_fail(self, now, MP_ECANCELLED, "cancelled");
}

bool mpx_kept_job_runs(const mpx_kept_job_t *self)
{
    mpx_job_view_t view;
    const mpx_sched_t *sched = mpx_engine_view(self->engine, self->engine_id).sched;
    return mpx_sched_view_job(sched, self->engine_id, &view) && view.given > 0;
}

/* ---- from a disk -------------------------------------------------------------------- */

static mp_rc_t corrupt(const mpx_kept_job_t *self)
{
    return mpx_fault(MP_ECORRUPT, "the data directory has records of job %s that don't fit",
                     self->keep.id);
}

mp_rc_t mpx_kept_job_load_counts(mpx_kept_job_t *self, uint64_t count, uint64_t freed)
{
    if (freed > count || count > CALLS_MAX)
        return corrupt(self);
    mp_rc_t rc = room_for(self, count);
    if (rc != MP_OK)
        return rc;
    self->count = count;
    self->freed = self->ended = freed;
    for (uint64_t i = 0; i < freed; i++)
        self->calls[i].ended = true;
    return MP_OK;
}

mp_rc_t mpx_kept_job_load_batch(mpx_kept_job_t *self, uint64_t put_ms, const mpx_header_t *header,
                                mp_bytes_t payload)
{
    mpx_kept_batch_t *batch;
    uint64_t first = header->first;
    uint32_t count = header->count, item_bytes = header->item_bytes;
    if (count == 0 || first + count < first || first + count > self->count ||
        !mpx_items_valid(payload, item_bytes, count))
        return corrupt(self);
    return batch_add(self, put_ms, first, count, item_bytes, payload, &batch);
}

mp_rc_t mpx_kept_job_load_outcome(mpx_kept_job_t *self, uint64_t index, uint64_t hash,
                                  uint32_t size, mp_bytes_t record)
{
    mpx_record_t parts;
    mp_bytes_t rest = record;
    if (index < self->freed || index >= self->count || self->calls[index].ended ||
        mpx_record_next(&rest, &parts) != MP_OK || rest.size)
        return corrupt(self);
    self->calls[index].hash = hash;
    self->calls[index].size = size;
    if (parts.rc != MP_OK)
        self->failed++;
    return keep_record(self, index, record);
}

/* Calls whose deadline has passed end here and now: the batch must outlast the last of them. */
static mp_rc_t begin_batch(mpx_kept_job_t *self, int64_t now, uint64_t unix_ms,
                           mpx_kept_batch_t *batch)
{
    mp_rc_t rc = MP_OK;
    uint64_t end = batch->first + batch->count;
    uint64_t age_ms = unix_ms > batch->put_ms ? unix_ms - batch->put_ms : 0;
    batch->open = 1;
    for (uint64_t i = batch->first; i < end && rc == MP_OK;) {
        uint64_t from = i;
        while (i < end && !self->calls[i].ended)
            i++;
        batch->open += (uint32_t)(i - from);
        if (i > from)
            rc = engine_put(self, now, age_ms, batch, from, (uint32_t)(i - from));
        while (i < end && self->calls[i].ended)
            i++;
    }
    if (rc == MP_OK)
        close_one(self, batch);
    return rc;
}

mp_rc_t mpx_kept_job_begin(mpx_kept_job_t *self, int64_t now, uint64_t unix_ms)
{
    mpx_kept_batch_t *batch, *next;
    mp_rc_t rc = MP_OK;
    DL_FOREACH_SAFE (self->batches, batch, next)
        if (rc == MP_OK)
            rc = begin_batch(self, now, unix_ms, batch);
    if (rc != MP_OK)
        return rc;
    uint64_t open = mpx_engine_job_open_calls(self->engine, self->engine_id);
    return self->ended + open == self->count ? MP_OK : corrupt(self);
}
