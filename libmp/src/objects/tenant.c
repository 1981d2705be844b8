/* tenant.c: clients: their answers, and their leases. */
#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t mpx_tenant_number(const mpx_tenant_t *self)
{
    return self->number;
}

uint64_t mpx_tenant_secret(const mpx_tenant_t *self)
{
    return self->secret;
}

void mpx_tenant_restrict(mpx_tenant_t *self, const char *whose)
{
    snprintf(self->restricted, sizeof self->restricted, "%s", whose ? whose : "");
}

/* ---- answers
 * ------------------------------------------------------------------------------------------- */

static void list_ready(mpx_space_t *space, mpx_tenant_t *self)
{
    if (self->ready || !self->tag)
        return;
    self->ready = true;
    DL_APPEND2(space->ready, self, prev_ready, next_ready);
}

static void unlist_ready(mpx_space_t *space, mpx_tenant_t *self)
{
    if (self->ready)
        DL_DELETE2(space->ready, self, prev_ready, next_ready);
    self->ready = false;
}

/* Either results or, of a failure, the words of the thread's last fault. */
mp_rc_t mpx_tenant_reply(mpx_space_t *space, mpx_tenant_t *self, uint64_t number, uint64_t object,
                         mp_rc_t rc, const mpx_buf_t *results)
{
    const char *words = rc == MP_OK || results ? "" : mp_errmsg();
    size_t length = strlen(words);
    size_t size = results ? results->size : length ? MPX_PARCEL_HEAD + length : 0;
    mpx_reply_t *reply = malloc(sizeof *reply + MPX_ANSWER_HEAD + size);
    if (!reply) {
        /* Without its answer it could not go on. */
        mpx_tenant_over(space, self, MP_ENOMEM);
        return MP_ENOMEM;
    }
    reply->number = number;
    reply->object = object;
    /* What is known before the first change is so whether that is stored or not. */
    reply->batch = space->journal.count ? space->batch : 0;
    reply->position = ++self->last;
    reply->size = (uint32_t)(MPX_ANSWER_HEAD + size);
    mpx_answer_head(reply->bytes, rc, size);
    uint8_t *at = reply->bytes + MPX_ANSWER_HEAD;
    if (results && size) {
        memcpy(at, results->data, size);
    } else if (size) {
        mpx_parcel_head(at, MP_ITEM_BYTES, length);
        memcpy(at + MPX_PARCEL_HEAD, words, length); // NOLINT(bugprone-not-null-terminated-result)
    }
    DL_APPEND(self->replies, reply);
    self->reply_bytes += reply->size;
    if (!self->unsent)
        self->unsent = reply;
    list_ready(space, self);
    return MP_OK;
}

/* It has so many answers. MP_OK; MP_EPROTO more than it was sent. */
static mp_rc_t take_had(mpx_tenant_t *self, uint64_t had)
{
    if (had > self->sent)
        return mpx_fault(MP_EPROTO, "answers are taken that weren't sent");
    while (self->replies && self->replies->position <= had) {
        mpx_reply_t *reply = self->replies;
        if (reply == self->unsent) /* it was to be sent once more */
            self->unsent = reply->next;
        DL_DELETE(self->replies, reply);
        self->reply_bytes -= reply->size;
        free(reply);
    }
    return MP_OK;
}

enum { MESSAGE_BYTES = 256 * 1024 };

/* Answers to operations that follow each other go together. */
static void gather(mpx_space_t *space, mpx_tenant_t *self, mpx_space_effect_t *out)
{
    mpx_reply_t *reply = self->unsent;
    *out =
        (mpx_space_effect_t){.tag = self->tag, .first = reply->number, .position = reply->position};
    mpx_buf_clear(&space->outgoing);
    do {
        if (mpx_buf_add(&space->outgoing, reply->bytes, reply->size) != MP_OK)
            break;
        out->count++;
        if (reply->position > self->sent)
            self->sent = reply->position;
        reply = reply->next;
    } while (reply && reply->number == out->first + out->count &&
             space->outgoing.size + reply->size <= MESSAGE_BYTES);
    self->unsent = reply;
    out->answers = mpx_buf_bytes(&space->outgoing);
}

static void free_tenant(mpx_space_t *space, mpx_tenant_t *self)
{
    unlist_ready(space, self);
    mpx_reply_t *reply, *next;
    DL_FOREACH_SAFE (self->replies, reply, next)
        free(reply);
    mpx_buf_free(&self->lying);
    free(self);
}

bool mpx_space_next(mpx_space_t *space, mpx_space_effect_t *out)
{
    while (space->ready) {
        mpx_tenant_t *tenant = space->ready;
        unlist_ready(space, tenant);
        if (tenant->over != MP_OK) {
            *out = (mpx_space_effect_t){.tag = tenant->tag, .over = tenant->over};
            free_tenant(space, tenant);
            return true;
        }
        if (!tenant->unsent)
            continue;
        gather(space, tenant, out);
        if (out->count == 0) { /* no memory: it can't be told */
            mpx_tenant_over(space, tenant, MP_ENOMEM);
            continue;
        }
        if (tenant->unsent)
            list_ready(space, tenant);
        return true;
    }
    return false;
}

/* ---- coming and going
 * ------------------------------------------------------------------------------------ */

mp_rc_t mpx_space_come(mpx_space_t *space, int64_t now, const char *name, uint64_t secret,
                       void *tag, mpx_tenant_t **out)
{
    space->now = now;
    if (HASH_COUNT(space->tenants) >= space->options.max_tenants)
        return mpx_fault(MP_ELIMIT, "the manager has %zu clients", space->options.max_tenants);
    mpx_tenant_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a client");
    self->number = mpx_space_number(space);
    self->secret = secret;
    self->tag = tag;
    self->heard_at = now;
    self->next = 1;
    self->lease = (mpx_timer_t){.kind = MPX_TIMER_LEASE, .of = self};
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    HASH_ADD(hh, space->tenants, number, sizeof self->number, self);
    if (self->unlisted) {
        free(self);
        return mpx_fault(MP_ENOMEM, "a client");
    }
    *out = self;
    return MP_OK;
}

mpx_tenant_t *mpx_space_find(mpx_space_t *space, uint64_t number, uint64_t secret)
{
    mpx_tenant_t *self = NULL;
    HASH_FIND(hh, space->tenants, &number, sizeof number, self);
    return self && self->secret == secret ? self : NULL;
}

void mpx_space_attach(mpx_space_t *space, int64_t now, mpx_tenant_t *self, void *tag)
{
    space->now = now;
    self->tag = tag;
    self->heard_at = now;
    self->unsent = self->replies;
    mpx_heap_remove(&space->timers, &self->lease.node);
    mpx_tenant_watch_lease(space, self);
    if (self->unsent)
        list_ready(space, self);
}

bool mpx_tenant_has_stake(const mpx_tenant_t *self)
{
    return self->locks || self->units || self->given || self->waits;
}

void mpx_space_detach(mpx_space_t *space, int64_t now, mpx_tenant_t *self)
{
    space->now = now;
    unlist_ready(space, self);
    self->tag = NULL;
    if (self->over != MP_OK) { /* it can't be told any more */
        free_tenant(space, self);
        return;
    }
    /* That a connection is lost may be found out late: what it holds is no longer its own for that.
     */
    int64_t since = mpx_tenant_has_stake(self) ? self->heard_at : now;
    (void)mpx_heap_set(&space->timers, &self->lease.node, since + space->options.lease_ns);
}

void mpx_tenant_watch_lease(mpx_space_t *space, mpx_tenant_t *self)
{
    if (!self->lease.node.slot && mpx_tenant_has_stake(self))
        (void)mpx_heap_set(&space->timers, &self->lease.node,
                           self->heard_at + space->options.lease_ns);
}

/* What it held is free, and whoever waited for that is served. */
static void give_up(mpx_space_t *space, mpx_tenant_t *self)
{
    while (self->waits)
        mpx_wait_forget(space, self->waits);
    while (self->given) /* the newest first, so that the oldest is at the head at last */
        mpx_given_return(space, self->given->prev_had);
    while (self->units)
        mpx_units_return(space, self->units);
    while (self->locks)
        mpx_lock_free(space, self->locks, true);
    mpx_handle_t *handle, *next;
    HASH_ITER (hh, self->handles, handle, next) {
        handle->count = 1;
        mpx_tenant_drop(space, self, handle->object);
    }
    mpx_heap_remove(&space->timers, &self->lease.node);
    HASH_DEL(space->tenants, self);
    mpx_space_serve(space);
}

void mpx_space_go(mpx_space_t *space, int64_t now, mpx_tenant_t *self, bool settled)
{
    space->now = now;
    if (self->over == MP_OK && settled)
        mpx_given_settle(space, self);
    if (self->over == MP_OK)
        give_up(space, self);
    free_tenant(space, self);
}

/* Whoever is attached is told; it is freed then. */
void mpx_tenant_over(mpx_space_t *space, mpx_tenant_t *self, mp_rc_t why)
{
    if (self->over != MP_OK)
        return;
    self->over = why;
    give_up(space, self);
    if (self->tag)
        list_ready(space, self);
    else
        free_tenant(space, self);
}

/* ---- operations
 * -------------------------------------------------------------------------------------------- */

static bool has_window(const mpx_space_t *space, const mpx_tenant_t *self)
{
    return self->reply_bytes < space->options.answer_bytes;
}

static mp_rc_t carry_out(mpx_space_t *space, mpx_tenant_t *self, const mpx_operation_t *operation)
{
    uint64_t number = self->next++;
    mpx_buf_clear(&space->results);
    int rc = mpx_space_carry_out(space, self, number, operation, false, &space->results);
    if (rc != MPX_WAITING) {
        bool has_results = rc == MP_OK || rc == MP_EOWNERDEAD;
        (void)mpx_tenant_reply(space, self, number, operation->object, (mp_rc_t)rc,
                               has_results ? &space->results : NULL);
    }
    mpx_space_serve(space);
    return self->over;
}

/* Carry out `count` operations; what the window has no room for stays in `rest`. */
static mp_rc_t carry_out_all(mpx_space_t *space, mpx_tenant_t *self, uint64_t *count,
                             mp_bytes_t *rest)
{
    mpx_operation_t operation;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && *count > 0 && has_window(space, self)) {
        rc = mpx_operation_next(rest, &operation);
        if (rc == MP_EOF)
            rc = mpx_fault(MP_EPROTO, "a CALL has fewer operations than it says");
        if (rc == MP_OK)
            rc = carry_out(space, self, &operation);
        --*count;
    }
    if (rc == MP_OK && *count == 0 && rest->size)
        rc = mpx_fault(MP_EPROTO, "a CALL has more operations than it says");
    return rc;
}

static mp_rc_t go_on(mpx_space_t *space, mpx_tenant_t *self)
{
    if (self->lying_count == 0)
        return MP_OK;
    mp_bytes_t rest = {self->lying.data + self->lying_from, self->lying.size - self->lying_from};
    mp_rc_t rc = carry_out_all(space, self, &self->lying_count, &rest);
    if (rc != MP_OK)
        self->lying_count = 0; /* those that weren't carried out may come again */
    self->lying_from = self->lying.size - rest.size;
    if (self->lying_count == 0) {
        mpx_buf_free(&self->lying);
        self->lying_from = 0;
    }
    return rc;
}

static mp_rc_t lay_by(mpx_space_t *space, mpx_tenant_t *self, uint64_t count, mp_bytes_t rest)
{
    size_t lying = self->lying.size - self->lying_from;
    if (lying && lying + rest.size > space->options.operation_bytes)
        return mpx_fault(MP_ELIMIT, "more operations than answers are read for");
    if (self->lying_from > lying) {
        memmove(self->lying.data, self->lying.data + self->lying_from, lying);
        self->lying.size = lying;
        self->lying_from = 0;
    }
    mp_rc_t rc = mpx_buf_add(&self->lying, rest.data, rest.size);
    if (rc == MP_OK)
        self->lying_count += count;
    return rc;
}

/* Those that came before are passed over. */
static mp_rc_t skip_known(const mpx_tenant_t *self, uint64_t first, uint64_t *count,
                          mp_bytes_t *rest)
{
    uint64_t next = self->next + self->lying_count;
    mpx_operation_t operation;
    if (*count && first > next)
        return mpx_fault(MP_EPROTO, "operation %llu instead of %llu", (unsigned long long)first,
                         (unsigned long long)next);
    for (; *count && first < next; first++, --*count)
        if (mpx_operation_next(rest, &operation) != MP_OK)
            return mpx_fault(MP_EPROTO, "a CALL has fewer operations than it says");
    return MP_OK;
}

mp_rc_t mpx_space_call(mpx_space_t *space, int64_t now, mpx_tenant_t *self, uint64_t first,
                       uint32_t count, uint64_t had, mp_bytes_t operations)
{
    uint64_t left = count;
    space->now = now;
    self->heard_at = now;
    if (self->over != MP_OK)
        return MP_OK; /* it will be told */
    mp_rc_t rc = take_had(self, had);
    if (rc == MP_OK)
        rc = go_on(space, self);
    if (rc == MP_OK)
        rc = skip_known(self, first, &left, &operations);
    if (rc == MP_OK && self->lying_count == 0)
        rc = carry_out_all(space, self, &left, &operations);
    if (rc == MP_OK && left)
        rc = lay_by(space, self, left, operations);
    if (self->over != MP_OK)
        return MP_OK;
    if (rc == MP_OK)
        mpx_tenant_watch_lease(space, self);
    return rc;
}
