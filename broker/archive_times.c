/* When a job is forgotten, and when it is whole without its maker. */
#include "archive_private.h"

#include "clock.h"

#include <utlist.h>

bool mpx_archive_is_used_up(const mpx_kept_job_t *job)
{
    return !mpx_kept_job_shared(job) && job->closed && job->freed == job->count;
}

static bool has_maker(const mpx_kept_job_t *job)
{
    const mpx_handle_t *handle;
    DL_FOREACH (job->handles, handle)
        if (handle->may_put)
            return true;
    return false;
}

bool mpx_archive_is_complete(const mpx_kept_job_t *job)
{
    return job->closed || !(job->maker_is_away || has_maker(job));
}

/* A maker whose connection was lost, or whose broker was, may come back to put more: for as long
 * as a session waits for its client. */
static void set_return(const mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    if (job->closed || has_maker(job))
        job->maker_is_away = false;
    if (!job->maker_is_away)
        job->maker_until = MPX_NEVER;
    else if (job->maker_until == MPX_NEVER)
        job->maker_until = now + self->options.return_ms * MPX_MS;
}

void mpx_archive_set_times(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job)
{
    bool waits = !job->handles && job->ended == job->count;
    uint64_t most = (uint64_t)self->options.keep_ms;
    uint64_t keep_ms = job->keep.keep_ms && job->keep.keep_ms < most ? job->keep.keep_ms : most;
    set_return(self, now, job);
    if (!waits)
        job->until = MPX_NEVER;
    else if (job->until == MPX_NEVER)
        job->until = now + (int64_t)keep_ms * MPX_MS;
    self->next_expiry = mpx_earlier(self->next_expiry, mpx_earlier(job->until, job->maker_until));
}

void mpx_archive_expire(mpx_archive_t *self, int64_t now)
{
    mpx_kept_job_t *job, *next;
    if (self->next_expiry > now)
        return;
    self->next_expiry = MPX_NEVER;
    DL_FOREACH_SAFE (self->jobs, job, next) {
        if (job->maker_until <= now) {
            job->maker_is_away = false;
            job->maker_until = MPX_NEVER;
            mpx_archive_touch(self, job);
        }
        if (job->until <= now) {
            mpx_archive_say(self, "job_expired", job);
            mpx_archive_drop(self, now, job);
        } else {
            self->next_expiry =
                mpx_earlier(self->next_expiry, mpx_earlier(job->until, job->maker_until));
        }
    }
}
