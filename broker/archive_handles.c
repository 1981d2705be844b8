/* archive_handles.c: clients' holds on kept jobs, and what they are answered. */
#include "archive_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

mpx_handle_t *mpx_archive_handle(const mpx_archive_t *self, const mpx_peer_t *peer, uint64_t nonce)
{
    mpx_handle_t *handle = NULL;
    uint64_t name[2] = {peer->id, nonce};
    /* The analyzer loses sight of the second number in uthash's hash. */
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
    HASH_FIND(hh, self->handles, name, sizeof name, handle);
    return handle;
}

mp_rc_t mpx_archive_handle_add(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                               mpx_kept_job_t *job, mpx_handle_t **out)
{
    if (peer->job_handles >= MPX_HANDLES_MAX)
        return mpx_fault(MP_ELIMIT, "too many kept jobs in use by one client");
    mpx_handle_t *handle = calloc(1, sizeof *handle);
    if (!handle)
        return mpx_fault(MP_ENOMEM, "a handle");
    handle->name.peer = peer->id;
    handle->name.nonce = nonce;
    handle->peer = peer;
    handle->job = job;
    HASH_ADD(hh, self->handles, name, sizeof handle->name, handle);
    if (handle->unlisted) {
        free(handle);
        return mpx_fault(MP_ENOMEM, "a handle");
    }
    peer->job_handles++;
    DL_APPEND(job->handles, handle);
    if (job->waits == MPX_WAITS_FOR_CLIENT) { /* here it is; room is another thing */
        job->waits = MPX_WAITS_NOT;
        job->until = MPX_NEVER;
    }
    mpx_archive_touch(self, job);
    *out = handle;
    return MP_OK;
}

void mpx_archive_handle_drop(mpx_archive_t *self, mpx_handle_t *handle)
{
    mpx_kept_job_t *job = handle->job;
    HASH_DEL(self->handles, handle);
    DL_DELETE(job->handles, handle);
    if (job->taker == handle)
        job->taker = NULL;
    handle->peer->job_handles--;
    if (!job->handles)
        job->waits = MPX_WAITS_NOT; /* its time begins anew */
    mpx_archive_touch(self, job);
    free(handle);
}

void mpx_archive_handle_lost(mpx_archive_t *self, const mpx_handle_t *handle)
{
    if (!handle->wants && !handle->wants_end)
        return;
    mpx_fault(MP_ENOTFOUND, "job %s is not kept any more", handle->job->keep.id);
    mpx_archive_note(self, mpx_archive_refuse(self, handle->peer, MPX_NOT_ASKED, handle->name.nonce,
                                              MP_ENOTFOUND));
}

void mpx_archive_gone(mpx_archive_t *self, mpx_peer_t *peer)
{
    mpx_handle_t *handle, *next;
    if (peer->job_handles)
        HASH_ITER (hh, self->handles, handle, next)
            if (handle->peer == peer) {
                handle->job->maker_is_away |= handle->may_put && !peer->said_bye;
                mpx_archive_handle_drop(self, handle);
            }
    mpx_reply_t *reply, *next_reply;
    DL_FOREACH_SAFE (self->replies, reply, next_reply)
        if (reply->peer == peer)
            mpx_archive_reply_drop(self, reply);
}

void mpx_archive_review(mpx_archive_t *self, mpx_peer_t *peer)
{
    mpx_handle_t *handle, *next;
    if (peer->job_handles == 0)
        return;
    HASH_ITER (hh, self->handles, handle, next)
        if (handle->peer == peer && !mpx_archive_shows(peer, handle->job->owner)) {
            mpx_archive_handle_lost(self, handle);
            mpx_archive_handle_drop(self, handle);
        }
}

/* ---- answers ------------------------------------------------------------------------ */

void mpx_archive_reply_drop(mpx_archive_t *self, mpx_reply_t *reply)
{
    DL_DELETE(self->replies, reply);
    free(reply);
}

mp_rc_t mpx_archive_reply(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked,
                          const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_reply_t *reply = calloc(1, sizeof *reply + payload.size);
    if (!reply)
        return mpx_fault(MP_ENOMEM, "an answer");
    reply->peer = peer;
    reply->asked = asked;
    reply->header = *header;
    reply->size = payload.size;
    if (payload.size)
        memcpy(reply->payload, payload.data, payload.size);
    DL_APPEND(self->replies, reply);
    return MP_OK;
}

mp_rc_t mpx_archive_done(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                         uint64_t first)
{
    mpx_header_t header = {
        .op = MPX_OP_JOB_DONE, .nonce = nonce, .kind = (uint32_t)asked, .first = first};
    return mpx_archive_reply(self, peer, asked, &header, (mp_bytes_t){0});
}

mp_rc_t mpx_archive_refuse(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                           mp_rc_t code)
{
    if (code == MP_ENOMEM)
        return code;
    mpx_problem_t problem = {.message = mp_errmsg()};
    mpx_header_t header = {
        .op = MPX_OP_JOB_DONE, .nonce = nonce, .kind = (uint32_t)asked, .code = code};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_problem_pack(&problem, &self->scratch);
    return rc == MP_OK
               ? mpx_archive_reply(self, peer, asked, &header, mpx_buf_bytes(&self->scratch))
               : rc;
}

void mpx_archive_describe(const mpx_kept_job_t *job, int64_t now, mpx_kept_info_t *out)
{
    uint32_t handles = 0;
    const mpx_handle_t *handle;
    DL_FOREACH (job->handles, handle)
        handles++;
    *out = (mpx_kept_info_t){
        .number = job->number,
        .owner = job->owner,
        .id = job->keep.id,
        .key = job->keep.key,
        .task = job->open.task,
        .signature = job->open.signature,
        .label = job->open.label,
        .calls = job->count,
        .ended = job->ended,
        .failed = job->failed,
        .freed = job->freed,
        .closed = job->closed,
        .complete = job->complete,
        .open = mpx_archive_is_open(job),
        .cancelled = job->cancelled,
        .handles = handles,
        .bytes = job->bytes,
        .created_ms = job->created_ms,
        .left_ms = job->until == MPX_NEVER || job->until < now
                       ? 0
                       : (uint64_t)((job->until - now) / MPX_MS) + 1,
    };
}

mp_rc_t mpx_archive_inform(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                           const mpx_kept_job_t *job, bool fresh)
{
    mpx_kept_info_t info;
    mpx_archive_describe(job, mpx_now(), &info);
    info.fresh = fresh;
    mpx_op_t kind = asked == MPX_OP_JOB_DEAD ? MPX_OP_JOB_KEEP : asked; /* it was requeued */
    mpx_header_t header = {.op = MPX_OP_JOB_INFO, .nonce = nonce, .kind = (uint32_t)kind};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_kept_info_pack(&info, &self->scratch);
    return rc == MP_OK
               ? mpx_archive_reply(self, peer, asked, &header, mpx_buf_bytes(&self->scratch))
               : rc;
}
