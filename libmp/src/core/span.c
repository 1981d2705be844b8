/* span.c: the queue of a job's spans.
 *
 * Calls that are tried again after a delay are apart, in job.later, until that is over.
 *
 * Returned spans stand in front, in the order of their numbers; then those that were put,
 * in the order of putting. A worker's chunks come back oldest first, so each one's place
 * is next to the last one's: job.cursor remembers it, and the loss of a worker costs one
 * walk over the returned spans, not one for each chunk.
 */
#include "sched_private.h"

#include <stdlib.h>

/* Calls up to here may be joined with others of any such size. */
enum { ALIKE_BYTES = 16 * 1024 };

static void span_free(mpx_sched_t *self, job_t *job, span_t *span)
{
    mpx_heap_remove(&self->lapses, &span->lapse);
    if (job->cursor == span)
        job->cursor = span == job->spans ? NULL : span->prev;
    DL_DELETE(job->spans, span);
    free(span);
}

/* A chunk counts as if each of its calls had the bytes of its span's largest, since those of each
 * one aren't known: a peer's credit must not be passed. So small calls are not joined with large
 * ones, or too little of it would be used. */
static bool are_alike(uint64_t call_bytes, uint64_t other_bytes)
{
    uint64_t more = call_bytes > other_bytes ? call_bytes : other_bytes;
    uint64_t less = call_bytes > other_bytes ? other_bytes : call_bytes;
    return more <= ALIKE_BYTES || less >= more / 2;
}

/* Whether the one could be part of the other, right behind it. */
static bool follows(const span_t *span, const span_t *next)
{
    return span->job->policy.chunk_calls != MPX_CHUNK_WHOLE && span->attempt == next->attempt &&
           span->losses == next->losses && span->tag == next->tag &&
           span->deadline == next->deadline && span->first + span->count == next->first &&
           next->count <= UINT32_MAX - span->count && are_alike(span->call_bytes, next->call_bytes);
}

/* NULL: no memory. */
static span_t *span_make(mpx_sched_t *self, const span_t *as)
{
    span_t *span = malloc(sizeof *span);
    if (!span)
        return NULL;
    *span = *as;
    span->delay = (mpx_heap_node_t){0};
    span->lapse = (mpx_heap_node_t){.order = span->first};
    if (span->deadline == MPX_NEVER ||
        mpx_heap_set(&self->lapses, &span->lapse, span->deadline) == MP_OK)
        return span;
    free(span);
    return NULL;
}

static void grow(span_t *span, const span_t *next)
{
    span->count += next->count;
    span->bytes += next->bytes;
    span->since = mpx_earlier(span->since, next->since);
    if (span->call_bytes < next->call_bytes)
        span->call_bytes = next->call_bytes;
}

static span_t fresh(const mpx_sched_t *self, job_t *job, uint64_t first, uint32_t count,
                    uint64_t bytes, uint64_t tag, int64_t deadline)
{
    return (span_t){.first = first,
                    .count = count,
                    .attempt = 1,
                    .bytes = bytes,
                    .call_bytes = bytes / count + (bytes % count != 0),
                    .tag = tag,
                    .deadline = deadline,
                    .since = self->now,
                    .job = job};
}

mp_rc_t mpx_spans_put(mpx_sched_t *self, job_t *job, uint64_t first, uint32_t count, uint64_t bytes,
                      uint64_t tag, int64_t deadline)
{
    span_t *last = job->spans ? job->spans->prev : NULL;
    span_t put = fresh(self, job, first, count, bytes, tag, deadline);
    if (last && !last->returned && follows(last, &put)) {
        grow(last, &put);
        return MP_OK;
    }
    span_t *span = span_make(self, &put);
    if (!span)
        return MP_ENOMEM;
    DL_APPEND(job->spans, span);
    return MP_OK;
}

static void place_returned(job_t *job, span_t *span)
{
    span_t *after = job->cursor;
    while (after && after->first > span->first)
        after = after == job->spans ? NULL : after->prev;
    span_t *before = after ? after->next : job->spans;
    while (before && before->returned && before->first < span->first)
        before = before->next;
    DL_PREPEND_ELEM(job->spans, before, span);
    job->cursor = span;
}

/* Calls that merely were in the way of a loss travel together again; a call that is tried
 * again stays alone. */
static void join_next(mpx_sched_t *self, job_t *job, span_t *span)
{
    span_t *next = span->next;
    if (!next || !span->returned || !next->returned || span->attempt > 1 || !follows(span, next))
        return;
    grow(span, next);
    span_free(self, job, next);
}

static void put_back(mpx_sched_t *self, job_t *job, span_t *span)
{
    place_returned(job, span);
    join_next(self, job, span);
    if (span != job->spans)
        join_next(self, job, span->prev);
}

/* Those of one time come back in the order of their numbers. */
static mp_rc_t put_off(mpx_sched_t *self, job_t *job, span_t *span, int64_t at)
{
    span->delay.order = span->first;
    mp_rc_t rc = mpx_heap_set(&self->delays, &span->delay, at);
    if (rc != MP_OK)
        return rc;
    DL_APPEND(job->later, span);
    job->delayed += span->count;
    self->delayed += span->count;
    self->delays_changed++;
    return MP_OK;
}

static void leave_later(mpx_sched_t *self, span_t *span)
{
    job_t *job = span->job;
    mpx_heap_remove(&self->delays, &span->delay);
    DL_DELETE(job->later, span);
    job->delayed -= span->count;
    self->delayed -= span->count;
    self->delays_changed++;
}

/* A span that nobody lists yet; MP_ENOMEM: it is freed. */
static mp_rc_t put_off_or_free(mpx_sched_t *self, job_t *job, span_t *span, int64_t at)
{
    mp_rc_t rc = put_off(self, job, span, at);
    if (rc != MP_OK) {
        mpx_heap_remove(&self->lapses, &span->lapse);
        free(span);
    }
    return rc;
}

mp_rc_t mpx_spans_put_later(mpx_sched_t *self, job_t *job, uint64_t first, uint32_t count,
                            uint64_t bytes, uint64_t tag, int64_t deadline, int64_t at)
{
    span_t *last = job->later ? job->later->prev : NULL;
    span_t put = fresh(self, job, first, count, bytes, tag, deadline);
    if (last && !last->returned && last->delay.at == at && follows(last, &put)) {
        grow(last, &put);
        job->delayed += count;
        self->delayed += count;
        self->delays_changed++;
        return MP_OK;
    }
    span_t *span = span_make(self, &put);
    return span ? put_off_or_free(self, job, span, at) : MP_ENOMEM;
}

mp_rc_t mpx_spans_return(mpx_sched_t *self, const chunk_t *chunk, uint32_t count, mp_rc_t rc,
                         int64_t at)
{
    span_t back = {
        .first = chunk->first + chunk->done,
        .count = count,
        .attempt = chunk->attempt + (rc != MP_OK),
        .crashes = chunk->crashes + mpx_retry_is_death(rc),
        .losses = chunk->losses + (rc != MP_OK && mpx_retry_is_free(rc, chunk->losses)),
        .cause = rc,
        .deadline = chunk->deadline,
        .bytes = chunk->bytes / chunk->count * count,
        .call_bytes = chunk->bytes / chunk->count,
        .tag = chunk->tag,
        .since = chunk->since,
        .returned = true,
        .job = chunk->job,
    };
    span_t *span = span_make(self, &back);
    if (!span)
        return MP_ENOMEM;
    if (at)
        return put_off_or_free(self, chunk->job, span, at);
    put_back(self, chunk->job, span);
    return MP_OK;
}

void mpx_spans_undelay(mpx_sched_t *self, span_t *span)
{
    job_t *job = span->job;
    leave_later(self, span);
    if (span->returned)
        put_back(self, job, span);
    else
        DL_APPEND(job->spans, span);
}

static uint32_t overlap(const span_t *span, uint64_t first, uint64_t end)
{
    uint64_t from = first > span->first ? first : span->first;
    uint64_t to = end < span->first + span->count ? end : span->first + span->count;
    return from < to ? (uint32_t)(to - from) : 0;
}

/* A part at an end of a delayed span becomes one of its own, with the same delay. */
static mp_rc_t keep_later(mpx_sched_t *self, span_t *span, uint64_t first, uint32_t count)
{
    span_t part = *span;
    part.first = first;
    part.count = count;
    part.bytes = mpx_span_share(span, count);
    span_t *apart = span_make(self, &part);
    mp_rc_t rc = apart ? put_off_or_free(self, span->job, apart, span->delay.at) : MP_ENOMEM;
    if (rc != MP_OK)
        return rc;
    span->job->delayed -= count;
    self->delayed -= count;
    self->delays_changed++;
    span->bytes -= part.bytes;
    span->count -= count;
    return MP_OK;
}

mp_rc_t mpx_spans_undelay_part(mpx_sched_t *self, span_t *span, uint64_t first, uint64_t end,
                               uint32_t *count)
{
    uint64_t begins = span->first, ends = span->first + span->count;
    mp_rc_t rc = MP_OK;
    *count = overlap(span, first, end);
    if (*count == 0)
        return MP_OK;
    if (end < ends)
        rc = keep_later(self, span, end, (uint32_t)(ends - end));
    if (rc == MP_OK && begins < first) {
        rc = keep_later(self, span, begins, (uint32_t)(first - begins));
        span->first = first;
    }
    if (rc == MP_OK)
        mpx_spans_undelay(self, span);
    return rc;
}

uint64_t mpx_span_share(const span_t *span, uint32_t count)
{
    return count == span->count ? span->bytes : span->bytes / span->count * count;
}

void mpx_spans_cut(mpx_sched_t *self, job_t *job, chunk_t *chunk, uint32_t size)
{
    span_t *span = job->spans;
    uint64_t share = mpx_span_share(span, size);
    chunk->first = span->first;
    chunk->count = size;
    chunk->attempt = span->attempt;
    chunk->crashes = span->crashes;
    chunk->losses = span->losses;
    chunk->deadline = span->deadline;
    chunk->tag = span->tag;
    chunk->since = span->since;
    chunk->bytes = span->call_bytes * size;
    span->first += size;
    span->count -= size;
    span->bytes -= share;
    if (span->count == 0)
        span_free(self, job, span);
}

/* What is behind the range becomes a span of its own. */
static mp_rc_t split(mpx_sched_t *self, job_t *job, span_t *span, uint64_t at)
{
    span_t rest = *span;
    rest.first = at;
    rest.count = (uint32_t)(span->first + span->count - at);
    rest.bytes = mpx_span_share(span, rest.count);
    span_t *behind = span_make(self, &rest);
    if (!behind)
        return MP_ENOMEM;
    span->count -= behind->count;
    span->bytes -= behind->bytes;
    DL_APPEND_ELEM(job->spans, span, behind);
    return MP_OK;
}

static mp_rc_t end_in_span(mpx_sched_t *self, job_t *job, span_t *span, uint64_t first,
                           uint64_t end, const end_t *how, uint64_t *ended)
{
    uint64_t from = first > span->first ? first : span->first;
    uint32_t count = overlap(span, first, end);
    mp_rc_t result = MP_OK;
    if (count == 0)
        return MP_OK;
    if (from + count < span->first + span->count)
        result = split(self, job, span, from + count);
    if (result == MP_OK && how)
        result = mpx_effects_end_queued(&self->effects, span, from, count, *how);
    if (result != MP_OK)
        return result;
    span->bytes -= mpx_span_share(span, count);
    span->count -= count;
    if (span->count == 0)
        span_free(self, job, span);
    *ended += count;
    return MP_OK;
}

mp_rc_t mpx_spans_end(mpx_sched_t *self, job_t *job, uint64_t first, uint64_t end, const end_t *how,
                      uint64_t *ended)
{
    mp_rc_t result = MP_OK;
    span_t *next;
    for (span_t *span = job->spans; span && result == MP_OK; span = next) {
        next = span->next;
        result = end_in_span(self, job, span, first, end, how, ended);
    }
    return result;
}

uint64_t mpx_spans_count(const job_t *job, uint64_t first, uint64_t end)
{
    uint64_t count = 0;
    for (const span_t *span = job->spans; span; span = span->next)
        count += overlap(span, first, end);
    return count;
}

mp_rc_t mpx_spans_lapse(mpx_sched_t *self, span_t *span)
{
    job_t *job = span->job;
    end_t how = {.rc = MP_ETIMEDOUT, .lapsed = true};
    mp_rc_t rc = mpx_effects_end_queued(&self->effects, span, span->first, span->count, how);
    if (rc != MP_OK)
        return rc;
    if (!span->delay.slot) {
        span_free(self, job, span);
        return MP_OK;
    }
    leave_later(self, span);
    mpx_heap_remove(&self->lapses, &span->lapse);
    free(span);
    return MP_OK;
}

void mpx_spans_free(mpx_sched_t *self, job_t *job)
{
    while (job->spans)
        span_free(self, job, job->spans);
    while (job->later) {
        span_t *span = job->later;
        leave_later(self, span);
        mpx_heap_remove(&self->lapses, &span->lapse);
        free(span);
    }
}
