/* archive_ops.c: what clients ask of kept jobs. */
#include "archive_private.h"

#include "archive_disk.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- JOB_KEEP ----------------------------------------------------------------------- */

static mp_rc_t check_keep(const mpx_keep_t *keep)
{
    if (!mpx_job_id_valid(keep->id))
        return mpx_fault(MP_EINVAL,
                         "a job's id has 1 to %d letters, digits, and any of ._:- (none of these "
                         "first)",
                         MPX_JOB_ID_MAX);
    if (strlen(keep->key) > MPX_JOB_KEY_MAX)
        return mpx_fault(MP_EINVAL, "a key has at most %d bytes", MPX_JOB_KEY_MAX);
    if (strlen(keep->owner) > MPX_KEY_NAME_MAX || (keep->names_owner && !keep->attach))
        return mpx_fault(MP_EINVAL, "no other job than one that is there has an owner to be named");
    return MP_OK;
}

/* Who comes with a key must want the same. */
static mp_rc_t check_same(const mpx_kept_job_t *job, const mpx_keep_t *keep)
{
    mpx_open_t open;
    void *arena = NULL;
    mp_rc_t rc = mpx_open_unpack(keep->open, &open, &arena);
    if (rc != MP_OK)
        return rc;
    if (strcmp(open.task, job->open.task) != 0 || strcmp(open.signature, job->open.signature) != 0)
        rc = mpx_fault(MP_EEXIST, "the key '%s' was used for the task %s (%s), job %s, not for %s",
                       keep->key, job->open.task, job->open.signature, job->keep.id, open.task);
    free(arena);
    return rc;
}

static mp_rc_t check_new(const mpx_archive_t *self, const mpx_peer_t *peer, const mpx_keep_t *keep,
                         size_t body_bytes)
{
    if (keep->attach)
        return mpx_fault(MP_ENOTFOUND, "no job %s is kept here (any more)", keep->id);
    mp_rc_t rc = mpx_peer_require(peer, MPX_MAY_SUBMIT);
    if (rc != MP_OK)
        return rc;
    if (self->draining)
        return mpx_fault(MP_EDRAINING, "the broker is shutting down");
    if (self->stale)
        return mpx_fault(MP_ENOSPACE, "the broker's disk is full");
    return mpx_archive_check_room(self, MPX_KEPT_JOB_COST + body_bytes);
}

/* Of those that aren't its own, for who sees them all, the one with that id. */
static mp_rc_t find_others(const mpx_archive_t *self, const mpx_peer_t *peer,
                           const mpx_keep_t *keep, mpx_kept_job_t **out)
{
    mpx_kept_job_t *job;
    if (!keep->attach || keep->names_owner || !mpx_peer_may(peer, MPX_MAY_ADMIN))
        return MP_OK;
    DL_FOREACH (self->jobs, job) {
        if (strcmp(job->keep.id, keep->id) != 0)
            continue;
        if (*out)
            return mpx_fault(MP_EINVAL, "more than one has a job %s: say which, %s or %s", keep->id,
                             (*out)->owned_id, job->owned_id);
        *out = job;
    }
    return MP_OK;
}

/* It never got a call, and whoever made it is not waited for any more: it is in the way of those
 * who try again. */
static bool is_forsaken(const mpx_kept_job_t *job)
{
    return job->count == 0 && !job->closed && !job->handles && !mpx_archive_is_open(job);
}

/* An existing job, or NULL; or why it can't be had. To make one it is forsaken, or may be put into.
 */
static mp_rc_t find(const mpx_archive_t *self, const mpx_peer_t *peer, const mpx_keep_t *keep,
                    mpx_kept_job_t **out, bool *may_put)
{
    const char *owner = keep->names_owner ? keep->owner : peer->key_name;
    mpx_kept_job_t *job = NULL;
    mp_rc_t rc = MP_OK;
    if (!mpx_archive_shows(peer, owner))
        return MP_OK;
    if (*keep->key)
        job = mpx_archive_find_key(self, owner, keep->key);
    if (job) {
        *may_put = true;
        *out = job;
        return check_same(job, keep);
    }
    if (!*keep->key || !keep->attach)
        job = mpx_archive_find_id(self, owner, keep->id);
    if (!job && !*keep->key)
        rc = find_others(self, peer, keep, &job);
    *may_put = !job || job->keep.token == keep->token;
    *out = job;
    if (job && !keep->attach && !*may_put && !is_forsaken(job))
        return mpx_fault(MP_EEXIST, "there is a job %s already; attach to it, or take another id",
                         keep->id);
    return rc;
}

static mp_rc_t make_new(mpx_archive_t *self, int64_t now, const mpx_peer_t *peer, mp_bytes_t body,
                        mpx_kept_job_t *replaced, mpx_kept_job_t **out)
{
    if (replaced)
        mpx_archive_drop(self, now, replaced);
    return mpx_archive_make(self, now, peer->key_name, body, out);
}

static mp_rc_t keep_job(mpx_archive_t *self, int64_t now, mpx_peer_t *peer, uint64_t nonce,
                        const mpx_keep_t *keep, mp_bytes_t body)
{
    mpx_kept_job_t *job = NULL, *made = NULL;
    mpx_handle_t *handle = NULL;
    bool may_put = true;
    mp_rc_t rc = check_keep(keep);
    if (rc == MP_OK)
        rc = find(self, peer, keep, &job, &may_put);
    mpx_kept_job_t *replaced = keep->attach || may_put ? NULL : job;
    bool fresh = !job || replaced;
    if (rc == MP_OK && fresh)
        rc = check_new(self, peer, keep, body.size);
    if (rc == MP_OK && fresh)
        rc = make_new(self, now, peer, body, replaced, &made);
    if (rc == MP_OK)
        rc = mpx_archive_handle_add(self, peer, nonce, fresh ? made : job, &handle);
    if (rc == MP_EPROTO)
        return rc;
    if (rc != MP_OK && made)
        mpx_archive_drop(self, now, made);
    if (rc != MP_OK)
        return mpx_archive_refuse(self, peer, MPX_OP_JOB_KEEP, nonce, rc);
    handle->may_put = may_put || fresh;
    mpx_archive_listen(handle, keep->hears);
    return mpx_archive_inform(self, peer, MPX_OP_JOB_KEEP, nonce, handle->job, fresh);
}

static mp_rc_t on_keep(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                       const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_keep_t keep;
    void *arena = NULL;
    if (!header->nonce || mpx_archive_handle(self, peer, header->nonce))
        return mpx_fault(MP_EPROTO, "a JOB_KEEP needs a nonce that is not in use");
    mp_rc_t rc = mpx_keep_unpack(payload, &keep, &arena);
    if (rc != MP_OK)
        return rc;
    rc = keep.token ? keep_job(self, now, peer, header->nonce, &keep, payload)
                    : mpx_fault(MP_EPROTO, "a JOB_KEEP needs a token");
    free(arena);
    return rc;
}

/* ---- with a handle ------------------------------------------------------------------ */

/* The handle, or NULL: that was answered, with *rc as its outcome. */
static mpx_handle_t *handle_of(mpx_archive_t *self, mpx_peer_t *peer, const mpx_header_t *header,
                               mp_rc_t *rc)
{
    mpx_handle_t *handle = mpx_archive_handle(self, peer, header->nonce);
    if (!handle)
        *rc = mpx_archive_refuse(self, peer, header->op, header->nonce,
                                 mpx_fault(MP_ENOTFOUND, "the job is not kept any more"));
    return handle;
}

static mp_rc_t check_put(const mpx_archive_t *self, const mpx_handle_t *handle,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    const mpx_kept_job_t *job = handle->job;
    if (!handle->may_put)
        return mpx_fault(MP_EPERM, "only who has made job %s gives it inputs", job->keep.id);
    mp_rc_t rc = mpx_peer_require(handle->peer, MPX_MAY_SUBMIT);
    if (rc != MP_OK)
        return rc;
    if (header->first + header->count <= job->count)
        return MP_OK; /* nothing of it is new */
    if (self->draining)
        return mpx_fault(MP_EDRAINING, "the broker is shutting down");
    if (self->stale)
        return mpx_fault(MP_ENOSPACE, "the broker's disk is full");
    return mpx_archive_check_room(self, MPX_KEPT_BATCH_COST + payload.size +
                                            header->count * (uint64_t)sizeof(mpx_kept_call_t));
}

static mp_rc_t on_put(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                      const mpx_header_t *header, mp_bytes_t payload)
{
    mp_rc_t rc = MP_OK;
    mpx_handle_t *handle = handle_of(self, peer, header, &rc);
    if (!handle)
        return rc;
    mpx_kept_job_t *job = handle->job;
    uint64_t end = header->first + header->count;
    rc = check_put(self, handle, header, payload);
    if (rc == MP_OK)
        rc = mpx_archive_put(self, now, job, header, payload);
    if (rc == MP_OK && header->kind == MPX_JOB_LAST) {
        rc = mpx_kept_job_close(job, end);
        job->head_changed = true;
        (void)mpx_archive_is_put_down(self);
    }
    if (rc == MP_EPROTO)
        return rc;
    if (rc != MP_OK)
        return mpx_archive_refuse(self, peer, header->op, header->nonce, rc);
    return mpx_archive_done(self, peer, header->op, header->nonce, end);
}

/* Another client takes the outcomes from now on. */
static void take_over(mpx_archive_t *self, mpx_handle_t *handle)
{
    mpx_kept_job_t *job = handle->job;
    mpx_handle_t *before = job->taker;
    if (mpx_kept_job_shared(job) || before == handle)
        return;
    job->taker = handle;
    if (!before || !before->wants)
        return;
    before->wants = false;
    mpx_header_t header = {.op = MPX_OP_JOB_GIVE,
                           .nonce = before->name.nonce,
                           .first = before->want_first,
                           .code = MP_ESTATE};
    (void)self->options.send(before->peer, &header, (mp_bytes_t){0});
}

static mp_rc_t on_take(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                       const mpx_header_t *header, mp_bytes_t payload)
{
    (void)now;
    (void)payload;
    mp_rc_t rc = MP_OK;
    mpx_handle_t *handle = handle_of(self, peer, header, &rc);
    if (!handle)
        return rc;
    mpx_archive_touch(self, handle->job);
    if (header->kind == MPX_JOB_END) {
        handle->wants_end = true;
        return MP_OK;
    }
    take_over(self, handle);
    mpx_archive_taken(self, handle->job);
    if (!mpx_kept_job_shared(handle->job))
        mpx_archive_release(self, handle->job, header->first);
    handle->wants = true;
    handle->want_first = header->first;
    handle->want_bytes = header->bytes < MPX_GIVE_BYTES ? header->bytes : MPX_GIVE_BYTES;
    return MP_OK;
}

static mp_rc_t on_free(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                       const mpx_header_t *header, mp_bytes_t payload)
{
    (void)now;
    (void)payload;
    mp_rc_t rc = MP_OK;
    mpx_handle_t *handle = handle_of(self, peer, header, &rc);
    if (!handle)
        return rc;
    const mpx_handle_t *taker = handle->job->taker;
    if (!mpx_kept_job_shared(handle->job) && (!taker || taker == handle)) {
        mpx_archive_release(self, handle->job, header->first);
        mpx_archive_taken(self, handle->job);
    }
    if (header->kind == MPX_JOB_LEAVE)
        mpx_archive_handle_drop(self, handle);
    return mpx_archive_done(self, peer, header->op, header->nonce, header->first);
}

static mp_rc_t on_cancel(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    (void)payload;
    mp_rc_t rc = MP_OK;
    mpx_handle_t *handle = handle_of(self, peer, header, &rc);
    if (!handle)
        return rc;
    mpx_kept_job_t *job = handle->job;
    rc = mpx_kept_job_cancel(job, now);
    job->head_changed = true;
    (void)mpx_archive_is_put_down(self);
    mpx_archive_touch(self, job);
    if (rc == MP_OK && header->kind == MPX_JOB_FORGET)
        mpx_archive_drop(self, now, job);
    if (rc != MP_OK)
        return mpx_archive_refuse(self, peer, header->op, header->nonce, rc);
    return mpx_archive_done(self, peer, header->op, header->nonce, 0);
}

/* ---- lists -------------------------------------------------------------------------- */

/* At once: only what is asked and given in one go is bounded by the client's credit. */
static mp_rc_t list_one(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                        const mpx_kept_job_t *job, int64_t now, bool *cut)
{
    mpx_kept_info_t info;
    mpx_header_t header = {
        .op = MPX_OP_JOB_INFO, .nonce = nonce, .kind = MPX_OP_JOB_LIST, .first = job->number};
    mpx_archive_describe(job, now, &info);
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_kept_info_pack(&info, &self->scratch);
    if (rc == MP_OK)
        *cut = !self->options.tell(peer, &header, mpx_buf_bytes(&self->scratch));
    return rc;
}

/* It, or the first one behind it that the client sees. */
static const mpx_kept_job_t *next_shown(const mpx_kept_job_t *job, const mpx_peer_t *peer,
                                        uint64_t after)
{
    while (job && (job->number <= after || !mpx_archive_shows(peer, job->owner)))
        job = job->next;
    return job;
}

static mp_rc_t on_list(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                       const mpx_header_t *header, mp_bytes_t payload)
{
    (void)payload;
    uint32_t most = header->count && header->count < MPX_LIST_MAX ? header->count : MPX_LIST_MAX;
    uint32_t count = 0;
    mpx_header_t end = {.op = MPX_OP_JOB_INFO, .nonce = header->nonce, .kind = MPX_OP_JOB_LIST};
    const mpx_kept_job_t *job = next_shown(self->jobs, peer, header->first);
    mp_rc_t rc = MP_OK;
    bool cut = false;
    while (job && rc == MP_OK && !cut && count < most) {
        rc = list_one(self, peer, header->nonce, job, now, &cut);
        end.first = job->number;
        count++;
        job = next_shown(job->next, peer, header->first);
    }
    end.count = job != NULL; /* there are more */
    end.code = cut ? MP_ELIMIT : MP_OK;
    if (rc == MP_OK)
        (void)self->options.send(peer, &end, (mp_bytes_t){0});
    return rc;
}

/* ---- all of them -------------------------------------------------------------------- */

typedef mp_rc_t handler_t(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_header_t *header, mp_bytes_t payload);

static handler_t *const handlers[MPX_OP_END] = {
    [MPX_OP_JOB_KEEP] = on_keep,          [MPX_OP_JOB_PUT] = on_put,
    [MPX_OP_JOB_TAKE] = on_take,          [MPX_OP_JOB_FREE] = on_free,
    [MPX_OP_JOB_CANCEL] = on_cancel,      [MPX_OP_JOB_LIST] = on_list,
    [MPX_OP_JOB_DEAD] = mpx_archive_dead,
};

bool mpx_archive_wants(mpx_op_t op)
{
    return handlers[op];
}

mp_rc_t mpx_archive_message(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                            const mpx_header_t *header, mp_bytes_t payload)
{
    return handlers[header->op](self, now, peer, header, payload);
}
