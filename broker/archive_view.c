/* archive_view.c: kept jobs, as those see them who look at a broker. */
#include "archive_private.h"

#include <utlist.h>

bool mpx_kept_view_is_over(const mpx_kept_view_t *self)
{
    return self->ended == self->calls &&
           (self->maker == MPX_MAKER_DONE || self->maker == MPX_MAKER_GONE);
}

bool mpx_kept_view_shows(const mpx_kept_view_t *self, const mpx_peer_t *viewer)
{
    return !viewer || mpx_archive_shows(viewer, self->owner);
}

static mpx_maker_t maker_of(const mpx_kept_job_t *job)
{
    if (job->closed)
        return MPX_MAKER_DONE;
    if (!mpx_archive_is_open(job))
        return MPX_MAKER_GONE;
    return job->maker_is_away ? MPX_MAKER_AWAY : MPX_MAKER_HERE;
}

static mpx_kept_view_t view_of(const mpx_kept_job_t *job)
{
    return (mpx_kept_view_t){
        .id = job->keep.id,
        .owner = job->owner,
        .engine = job->engine_id,
        .calls = job->count,
        .ended = job->ended,
        .maker = maker_of(job),
        .maker_until = job->maker_until,
        .is_used = job->handles != NULL,
    };
}

void mpx_archive_each_job(const mpx_archive_t *self,
                          void (*visit)(void *arg, const mpx_kept_view_t *job), void *arg)
{
    const mpx_kept_job_t *job;
    DL_FOREACH (self->jobs, job) {
        mpx_kept_view_t view = view_of(job);
        visit(arg, &view);
    }
}
