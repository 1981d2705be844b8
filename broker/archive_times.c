/* When a job is forgotten, or given up for want of room, and when it is whole without its maker. */
#include "archive_private.h"

#include "clock.h"

#include <utlist.h>

/* One without calls has nothing to be used up: it waits for who looks, as long as any. */
bool mpx_archive_is_used_up(const mpx_kept_job_t *job)
{
    return !mpx_kept_job_shared(job) && job->closed && job->count > 0 && job->freed == job->count;
}

static bool has_maker(const mpx_kept_job_t *job)
{
    const mpx_handle_t *handle;
    DL_FOREACH (job->handles, handle)
        if (handle->may_put)
            return true;
    return false;
}

bool mpx_archive_is_open(const mpx_kept_job_t *job)
{
    return !job->closed && (job->maker_is_away || has_maker(job));
}

/* A maker whose connection was lost, or whose broker was, may come back to put more: for as long
 * as a session waits for its client. */
static void set_return(const mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    bool was_left = job->is_left;
    if (job->closed || has_maker(job))
        job->maker_is_away = false;
    if (!job->maker_is_away)
        job->maker_until = MPX_NEVER;
    else if (job->maker_until == MPX_NEVER)
        job->maker_until = now + self->options.return_ms * MPX_MS;
    job->is_left = !job->closed && !mpx_archive_is_open(job);
    job->head_changed = job->head_changed || job->is_left != was_left;
}

/* ---- room --------------------------------------------------------------------------- */

static mp_rc_t hold_all(mpx_archive_t *self, int64_t now, bool held)
{
    mp_rc_t rc = MP_OK;
    mpx_kept_job_t *job;
    self->held = held;
    mpx_log(self->options.log, held ? MP_LOG_WARNING : MP_LOG_INFO,
            held ? "kept_jobs_wait" : "kept_jobs_go_on", "why",
            held ? "--kept-bytes is reached: outcomes must be fetched, or expire" : "there is room",
            NULL);
    DL_FOREACH (self->jobs, job) {
        bool unsure = self->options.store && job->number > self->sure_number;
        if (rc == MP_OK && !unsure) /* the others are held until their commit */
            rc = mpx_engine_job_hold(self->options.engine, now, job->engine_id, held);
        mpx_archive_set_times(self, now, job);
    }
    return rc;
}

/* Calls wait only for what fetching can give back: were jobs and their inputs alone too much,
 * nothing would ever run, or end. */
static bool is_short_of_room(const mpx_archive_t *self)
{
    uint64_t limit = self->options.kept_bytes;
    uint64_t bytes = self->held ? limit / 4 * 3 : limit;
    uint64_t records = self->held ? limit / 8 : limit / 4;
    return self->totals.bytes > bytes && self->totals.records > records;
}

mp_rc_t mpx_archive_balance(mpx_archive_t *self, int64_t now)
{
    bool held = is_short_of_room(self);
    return held == self->held ? MP_OK : hold_all(self, now, held);
}

/* ---- time --------------------------------------------------------------------------- */

/* What it was made with is for the time when nobody is there. Who is there, and takes its time over
 * what it has been given, has as long as the broker allows. */
static int64_t keep_ns(const mpx_archive_t *self, const mpx_kept_job_t *job)
{
    bool in_vain = job->waits == MPX_WAITS_FOR_ROOM && mpx_kept_job_shared(job);
    bool is_used = job->handles && !in_vain;
    uint64_t most = (uint64_t)self->options.keep_ms;
    uint64_t own = job->keep.keep_ms && !is_used ? job->keep.keep_ms : most;
    return (int64_t)(own < most ? own : most) * MPX_MS;
}

void mpx_archive_taken(mpx_archive_t *self, mpx_kept_job_t *job)
{
    if (job->waits == MPX_WAITS_FOR_CLIENT || !mpx_kept_job_shared(job))
        job->waits = MPX_WAITS_NOT;
    mpx_archive_touch(self, job);
}

/* What has no outcomes takes none of the room that others wait for. */
static mpx_kept_wait_t waits_for(const mpx_archive_t *self, const mpx_kept_job_t *job)
{
    bool is_over = job->ended == job->count && !(job->handles && mpx_archive_is_open(job));
    if (is_over)
        return MPX_WAITS_FOR_CLIENT;
    return self->held && job->ended > job->freed ? MPX_WAITS_FOR_ROOM : MPX_WAITS_NOT;
}

void mpx_archive_set_times(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    mpx_kept_wait_t waits = waits_for(self, job);
    set_return(self, now, job);
    bool anew = waits != job->waits;
    job->waits = waits;
    if (anew)
        job->until = waits ? now + keep_ns(self, job) : MPX_NEVER;
    self->next_expiry = mpx_earlier(self->next_expiry, mpx_earlier(job->until, job->maker_until));
}

/* What would have been its outcomes may be dead letters. */
static mp_rc_t give_up(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    const char *owner = *job->owner ? "owner" : NULL; /* which ends the list */
    mpx_log(self->options.log, MP_LOG_WARNING, "job_given_up", "job", job->keep.id, "why",
            "--kept-bytes is reached, and nobody has come for its outcomes", owner, job->owner,
            NULL);
    job->head_changed = true;
    mpx_archive_touch(self, job);
    mp_rc_t rc =
        mpx_kept_job_fail(job, now, MP_ELIMIT,
                          "not run: the broker has no room for its outcome (--kept-bytes), "
                          "and those of its job were not taken within keep_ms");
    if (job->handles)
        mpx_archive_set_times(self, now, job);
    else
        mpx_archive_drop(self, now, job);
    return rc;
}

/* The one of two whose time is over that takes more. What still runs has another time. */
static mpx_kept_job_t *larger(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job,
                              mpx_kept_job_t *other)
{
    if (mpx_kept_job_runs(job)) {
        job->until = now + keep_ns(self, job);
        return other;
    }
    return other && other->bytes >= job->bytes ? other : job;
}

mp_rc_t mpx_archive_expire(mpx_archive_t *self, int64_t now)
{
    mpx_kept_job_t *job, *next, *largest = NULL;
    if (self->next_expiry > now)
        return MP_OK;
    self->next_expiry = MPX_NEVER;
    DL_FOREACH_SAFE (self->jobs, job, next) {
        if (job->maker_until <= now) {
            job->maker_is_away = false;
            mpx_archive_set_times(self, now, job);
            mpx_archive_put_head(self, job);
            mpx_archive_touch(self, job);
        }
        if (job->until <= now && job->waits == MPX_WAITS_FOR_CLIENT) {
            mpx_archive_say(self, "job_expired", job);
            mpx_archive_drop(self, now, job);
            continue;
        }
        if (job->until <= now)
            largest = larger(self, now, job, largest);
        self->next_expiry =
            mpx_earlier(self->next_expiry, mpx_earlier(job->until, job->maker_until));
    }
    return largest && is_short_of_room(self) ? give_up(self, now, largest) : MP_OK;
}
