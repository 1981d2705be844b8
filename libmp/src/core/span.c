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

static void span_free(job_t *job, span_t *span)
{
    if (job->cursor == span)
        job->cursor = span == job->spans ? NULL : span->prev;
    DL_DELETE(job->spans, span);
    free(span);
}

static bool follows(const job_t *job, const span_t *span, uint64_t first, uint32_t count,
                    uint32_t attempt, uint64_t tag)
{
    return job->policy.chunk_calls != MPX_CHUNK_WHOLE && span->attempt == attempt &&
           span->tag == tag && span->first + span->count == first &&
           count <= UINT32_MAX - span->count;
}

mp_rc_t mpx_spans_put(job_t *job, int64_t now, uint64_t first, uint32_t count, uint64_t bytes,
                      uint64_t tag)
{
    span_t *last = job->spans ? job->spans->prev : NULL;
    if (last && !last->returned && follows(job, last, first, count, 1, tag)) {
        last->count += count;
        last->bytes += bytes;
        return MP_OK;
    }
    span_t *span = malloc(sizeof *span);
    if (!span)
        return MP_ENOMEM;
    *span = (span_t){.first = first,
                     .count = count,
                     .attempt = 1,
                     .bytes = bytes,
                     .tag = tag,
                     .since = now,
                     .job = job};
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
static void join_next(job_t *job, span_t *span)
{
    span_t *next = span->next;
    if (!next || !span->returned || !next->returned || span->attempt > 1 ||
        !follows(job, span, next->first, next->count, next->attempt, next->tag))
        return;
    span->count += next->count;
    span->bytes += next->bytes;
    span->since = mpx_earlier(span->since, next->since);
    span_free(job, next);
}

static void put_back(job_t *job, span_t *span)
{
    place_returned(job, span);
    join_next(job, span);
    if (span != job->spans)
        join_next(job, span->prev);
}

static mp_rc_t put_off(mpx_sched_t *self, job_t *job, span_t *span, int64_t at)
{
    mp_rc_t rc = mpx_heap_set(&self->delays, &span->delay, at);
    if (rc != MP_OK)
        return rc;
    DL_APPEND(job->later, span);
    job->delayed += span->count;
    self->delayed += span->count;
    return MP_OK;
}

static void leave_later(mpx_sched_t *self, span_t *span)
{
    job_t *job = span->job;
    mpx_heap_remove(&self->delays, &span->delay);
    DL_DELETE(job->later, span);
    job->delayed -= span->count;
    self->delayed -= span->count;
}

mp_rc_t mpx_spans_return(mpx_sched_t *self, const chunk_t *chunk, uint32_t count, mp_rc_t rc,
                         int64_t at)
{
    span_t *span = malloc(sizeof *span);
    if (!span)
        return MP_ENOMEM;
    *span = (span_t){
        .first = chunk->first + chunk->done,
        .count = count,
        .attempt = chunk->attempt + (rc != MP_OK),
        .crashes = chunk->crashes + (rc == MP_ECRASHED),
        .bytes = chunk->bytes / chunk->count * count,
        .tag = chunk->tag,
        .since = chunk->since,
        .returned = true,
        .job = chunk->job,
    };
    if (!at)
        put_back(chunk->job, span);
    else if (put_off(self, chunk->job, span, at) != MP_OK) {
        free(span);
        return MP_ENOMEM;
    }
    return MP_OK;
}

void mpx_spans_undelay(mpx_sched_t *self, span_t *span)
{
    leave_later(self, span);
    put_back(span->job, span);
}

uint64_t mpx_span_share(const span_t *span, uint32_t count)
{
    return count == span->count ? span->bytes : span->bytes / span->count * count;
}

void mpx_spans_cut(job_t *job, chunk_t *chunk, uint32_t size)
{
    span_t *span = job->spans;
    chunk->first = span->first;
    chunk->count = size;
    chunk->attempt = span->attempt;
    chunk->crashes = span->crashes;
    chunk->tag = span->tag;
    chunk->since = span->since;
    chunk->bytes = mpx_span_share(span, size);
    span->first += size;
    span->count -= size;
    span->bytes -= chunk->bytes;
    if (span->count == 0)
        span_free(job, span);
}

/* What is behind the range becomes a span of its own. */
static mp_rc_t split(job_t *job, span_t *span, uint64_t at)
{
    span_t *behind = malloc(sizeof *behind);
    if (!behind)
        return MP_ENOMEM;
    *behind = *span;
    behind->first = at;
    behind->count = (uint32_t)(span->first + span->count - at);
    behind->bytes = mpx_span_share(span, behind->count);
    span->count -= behind->count;
    span->bytes -= behind->bytes;
    DL_APPEND_ELEM(job->spans, span, behind);
    return MP_OK;
}

static mp_rc_t end_in_span(mpx_sched_t *self, job_t *job, span_t *span, uint64_t first,
                           uint64_t end, mp_rc_t rc, uint64_t *ended)
{
    uint64_t from = first > span->first ? first : span->first;
    uint64_t to = end < span->first + span->count ? end : span->first + span->count;
    if (from >= to)
        return MP_OK;
    uint32_t count = (uint32_t)(to - from);
    mp_rc_t result = MP_OK;
    if (to < span->first + span->count)
        result = split(job, span, to);
    if (result == MP_OK)
        result = mpx_effects_end_queued(&self->effects, span, from, count, rc);
    if (result != MP_OK)
        return result;
    span->bytes -= mpx_span_share(span, count);
    span->count -= count;
    if (span->count == 0)
        span_free(job, span);
    *ended += count;
    return MP_OK;
}

mp_rc_t mpx_spans_end(mpx_sched_t *self, job_t *job, uint64_t first, uint64_t end, mp_rc_t rc,
                      uint64_t *ended)
{
    mp_rc_t result = MP_OK;
    span_t *next;
    for (span_t *span = job->spans; span && result == MP_OK; span = next) {
        next = span->next;
        result = end_in_span(self, job, span, first, end, rc, ended);
    }
    return result;
}

void mpx_spans_free(mpx_sched_t *self, job_t *job)
{
    while (job->spans)
        span_free(job, job->spans);
    while (job->later) {
        span_t *span = job->later;
        leave_later(self, span);
        free(span);
    }
}
