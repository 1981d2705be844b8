/* archive_dead.c: what clients ask of dead letters. */
#include "archive_private.h"

#include "archive_disk.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { BATCH_ITEMS = 4096, BATCH_BYTES = 4 << 20 };

/* The letters that an order is about, one after another. */
typedef struct choice {
    const mpx_dead_order_t *order;
    const mpx_morgue_t *morgue;
    const mpx_peer_t *peer; /* who gives the order */
    uint64_t last;
    size_t at;
} choice_t;

static bool is_meant(const choice_t *self, const mpx_letter_t *letter)
{
    const mpx_dead_order_t *order = self->order;
    bool of_task = order->numbers_count || !*order->task || strcmp(letter->task, order->task) == 0;
    return of_task && mpx_archive_shows(self->peer, letter->owner);
}

static mpx_letter_t *choose(choice_t *self)
{
    const mpx_dead_order_t *order = self->order;
    mpx_letter_t *letter;
    if (order->numbers_count == 0) {
        do {
            letter = mpx_morgue_next(self->morgue, self->last);
            self->last = letter ? letter->number : self->last;
        } while (letter && !is_meant(self, letter));
        return letter;
    }
    while (self->at < order->numbers_count) {
        letter = mpx_morgue_find(self->morgue, order->numbers[self->at++]);
        if (letter && is_meant(self, letter))
            return letter;
    }
    return NULL;
}

/* ---- to be looked at ------------------------------------------------------------------ */

static mp_rc_t list_one(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                        const mpx_letter_t *letter, bool *cut)
{
    mpx_dead_letter_t row;
    mpx_letter_arenas_t arenas;
    mpx_header_t header = {
        .op = MPX_OP_JOB_INFO, .nonce = nonce, .kind = MPX_OP_JOB_DEAD, .first = letter->number};
    mp_rc_t rc = mpx_letter_describe(letter, &row, &arenas);
    mpx_buf_clear(&self->scratch);
    if (rc == MP_OK)
        rc = mpx_dead_letter_pack(&row, &self->scratch);
    if (rc == MP_OK)
        *cut = !self->options.tell(peer, &header, mpx_buf_bytes(&self->scratch));
    mpx_letter_arenas_free(&arenas);
    return rc == MP_ENOMEM ? rc : MP_OK;
}

static mp_rc_t list(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                    const mpx_dead_order_t *order)
{
    uint32_t most = order->count && order->count < MPX_LIST_MAX ? order->count : MPX_LIST_MAX;
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer, .last = order->after};
    const mpx_letter_t *letter = choose(&choice);
    mpx_header_t end = {.op = MPX_OP_JOB_INFO, .nonce = nonce, .kind = MPX_OP_JOB_DEAD};
    mp_rc_t rc = MP_OK;
    bool cut = false;
    for (uint32_t i = 0; letter && rc == MP_OK && !cut && i < most; i++) {
        rc = list_one(self, peer, nonce, letter, &cut);
        end.first = letter->number;
        letter = choose(&choice);
    }
    end.count = letter != NULL;
    end.code = cut ? MP_ELIMIT : MP_OK;
    if (rc == MP_OK)
        (void)self->options.send(peer, &end, (mp_bytes_t){0});
    return rc;
}

/* Its record, with the input as the value. */
static mp_rc_t show(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                    const mpx_dead_order_t *order)
{
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer};
    const mpx_letter_t *letter = choose(&choice);
    mpx_record_t record;
    mp_bytes_t rest = letter ? letter->record : (mp_bytes_t){0};
    if (!letter || mpx_record_next(&rest, &record) != MP_OK)
        return mpx_archive_refuse(self, peer, MPX_OP_JOB_DEAD, nonce,
                                  mpx_fault(MP_ENOTFOUND, "there is no such dead letter"));
    mpx_header_t header = {
        .op = MPX_OP_JOB_GIVE, .nonce = nonce, .first = letter->number, .count = 1};
    record.value = letter->input;
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_record_add(&self->scratch, &record);
    if (rc == MP_OK && !self->options.tell(peer, &header, mpx_buf_bytes(&self->scratch)))
        rc = mpx_archive_refuse(self, peer, MPX_OP_JOB_DEAD, nonce,
                                mpx_fault(MP_ELIMIT, "too many results are not acknowledged"));
    return rc;
}

/* ---- to be run again, or dropped -------------------------------------------------------- */

static void letter_drop(mpx_archive_t *self, mpx_letter_t *letter)
{
    if (mpx_archive_is_put_down(self))
        mpx_archive_del_letter(self->options.store, letter->number);
    mpx_morgue_leave(&self->morgue, letter);
}

/* How many there were. */
static uint64_t drop_all(mpx_archive_t *self, const mpx_peer_t *peer, const mpx_dead_order_t *order)
{
    uint64_t count = 0;
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer};
    mpx_letter_t *letter = choose(&choice);
    for (; letter; count++) {
        mpx_letter_t *next = choose(&choice);
        letter_drop(self, letter);
        letter = next;
    }
    return count;
}

/* How the calls of a letter's job were run. */
typedef struct terms {
    mpx_keep_t keep;
    mpx_open_t open;
    void *keep_arena;
    void *open_arena;
} terms_t;

static mp_rc_t terms_of(const mpx_letter_t *letter, terms_t *out)
{
    mp_rc_t rc = mpx_keep_unpack(letter->keep, &out->keep, &out->keep_arena);
    return rc == MP_OK ? mpx_open_unpack(out->keep.open, &out->open, &out->open_arena) : rc;
}

static void terms_free(terms_t *self)
{
    free(self->open_arena);
    free(self->keep_arena);
}

/* What of them, if it were another's, could make a call fail or run where it must not. */
static const char *difference(const terms_t *a, const terms_t *b)
{
    if (strcmp(a->open.signature, b->open.signature) != 0)
        return "signatures";
    if (strcmp(a->open.needs, b->open.needs) != 0)
        return "needs";
    bool limits = a->open.call_limit_ms == b->open.call_limit_ms &&
                  a->open.soft_limit_ms == b->open.soft_limit_ms &&
                  a->open.grace_ms == b->open.grace_ms &&
                  a->keep.deadline_ms == b->keep.deadline_ms;
    return limits ? NULL : "time limits";
}

/* Those of a job's letters are the same bytes. */
static mp_rc_t check_terms(const mpx_letter_t *first, const mpx_letter_t *letter)
{
    if (first->keep.size == letter->keep.size &&
        memcmp(first->keep.data, letter->keep.data, letter->keep.size) == 0)
        return MP_OK;
    terms_t a = {0}, b = {0};
    const char *differs = NULL;
    mp_rc_t rc = terms_of(first, &a);
    if (rc == MP_OK)
        rc = terms_of(letter, &b);
    if (rc == MP_OK && (differs = difference(&a, &b)))
        rc = mpx_fault(
            MP_EINVAL, "the calls of the dead letters %llu and %llu have different %s: choose",
            (unsigned long long)first->number, (unsigned long long)letter->number, differs);
    terms_free(&a);
    terms_free(&b);
    return rc;
}

/* All of one task, owner, and way to be run, and room for them. */
static mp_rc_t check_requeue(mpx_archive_t *self, const mpx_peer_t *peer,
                             const mpx_dead_order_t *order)
{
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer};
    const mpx_letter_t *letter, *first = NULL;
    uint64_t bytes = MPX_KEPT_JOB_COST;
    while ((letter = choose(&choice))) {
        if (!first)
            first = letter;
        if (strcmp(first->owner, letter->owner) != 0)
            return mpx_fault(MP_EINVAL, "these dead letters are of several keys (%s, %s): choose",
                             first->owner, letter->owner);
        if (strcmp(first->task, letter->task) != 0 || first->item_bytes != letter->item_bytes)
            return mpx_fault(MP_EINVAL,
                             "these dead letters are of several tasks (%s, %s): choose one",
                             first->task, letter->task);
        mp_rc_t rc = check_terms(first, letter);
        if (rc != MP_OK)
            return rc;
        bytes += letter->input.size + sizeof(mpx_kept_call_t) + MPX_KEPT_BATCH_COST;
    }
    if (!first)
        return mpx_fault(MP_ENOTFOUND, "there are no such dead letters");
    mp_rc_t rc = mpx_peer_require(peer, MPX_MAY_SUBMIT);
    if (rc != MP_OK)
        return rc;
    if (!mpx_job_id_valid(order->id) || mpx_archive_find_id(self, first->owner, order->id))
        return mpx_fault(MP_EEXIST, "'%s' can't be a new job's id", order->id);
    if (self->draining)
        return mpx_fault(MP_EDRAINING, "the broker is shutting down");
    if (self->stale)
        return mpx_fault(MP_ENOSPACE, "the broker's disk is full");
    return mpx_archive_check_room(self, bytes);
}

/* As the job of the first one, but nobody's idempotent submit. */
static mp_rc_t make_job(mpx_archive_t *self, int64_t now, const mpx_letter_t *letter,
                        const mpx_dead_order_t *order, mpx_kept_job_t **out)
{
    mpx_keep_t keep;
    void *arena = NULL;
    mpx_buf_t body = {0};
    mp_rc_t rc = mpx_keep_unpack(letter->keep, &keep, &arena);
    if (rc != MP_OK)
        return rc;
    keep.id = order->id;
    keep.key = "";
    keep.token = order->token;
    keep.attach = keep.names_owner = false;
    keep.delay_ms = 0; /* whoever asks for it wants it now */
    rc = mpx_keep_pack(&keep, &body);
    if (rc == MP_OK)
        rc = mpx_archive_make(self, now, letter->owner, mpx_buf_bytes(&body), out);
    mpx_buf_free(&body);
    free(arena);
    return rc;
}

static mp_rc_t put_batch(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job, uint32_t count,
                         uint32_t item_bytes, mpx_buf_t *items)
{
    mpx_header_t header = {.first = job->count, .count = count, .item_bytes = item_bytes};
    mp_rc_t rc = count ? mpx_archive_put(self, now, job, &header, mpx_buf_bytes(items)) : MP_OK;
    mpx_buf_clear(items);
    return rc;
}

static mp_rc_t put_letters(mpx_archive_t *self, int64_t now, const mpx_peer_t *peer,
                           mpx_kept_job_t *job, const mpx_dead_order_t *order)
{
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer};
    const mpx_letter_t *letter;
    mpx_buf_t items = {0};
    uint32_t count = 0, item_bytes = 0;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (letter = choose(&choice))) {
        item_bytes = letter->item_bytes;
        rc = item_bytes ? mpx_buf_add(&items, letter->input.data, letter->input.size)
                        : mpx_item_add(&items, letter->input);
        if (rc == MP_OK && (++count == BATCH_ITEMS || items.size > BATCH_BYTES)) {
            rc = put_batch(self, now, job, count, item_bytes, &items);
            count = 0;
        }
    }
    if (rc == MP_OK)
        rc = put_batch(self, now, job, count, item_bytes, &items);
    mpx_buf_free(&items);
    return rc;
}

/* It was asked before, and the answer was lost; the letters are gone. */
static const mpx_kept_job_t *find_made(const mpx_archive_t *self, const mpx_peer_t *peer,
                                       const mpx_dead_order_t *order)
{
    const mpx_kept_job_t *job;
    DL_FOREACH (self->jobs, job)
        if (job->keep.token == order->token && strcmp(job->keep.id, order->id) == 0 &&
            mpx_archive_shows(peer, job->owner))
            return job;
    return NULL;
}

static mp_rc_t requeue(mpx_archive_t *self, int64_t now, mpx_peer_t *peer, uint64_t nonce,
                       const mpx_dead_order_t *order)
{
    mpx_kept_job_t *job = NULL;
    choice_t choice = {.order = order, .morgue = &self->morgue, .peer = peer};
    const mpx_kept_job_t *made = find_made(self, peer, order);
    if (made)
        return mpx_archive_inform(self, peer, MPX_OP_JOB_DEAD, nonce, made, false);
    mp_rc_t rc = check_requeue(self, peer, order);
    if (rc == MP_OK)
        rc = make_job(self, now, choose(&choice), order, &job);
    if (rc == MP_OK)
        rc = put_letters(self, now, peer, job, order);
    if (rc == MP_OK)
        rc = mpx_kept_job_close(job, job->count);
    if (rc != MP_OK) {
        if (job)
            mpx_archive_drop(self, now, job);
        return mpx_archive_refuse(self, peer, MPX_OP_JOB_DEAD, nonce, rc);
    }
    (void)drop_all(self, peer, order);
    return mpx_archive_inform(self, peer, MPX_OP_JOB_DEAD, nonce, job, true);
}

mp_rc_t mpx_archive_dead(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_dead_order_t order;
    void *arena = NULL;
    mp_rc_t rc = mpx_dead_order_unpack(payload, &order, &arena);
    if (rc != MP_OK)
        return rc;
    if (order.what == MPX_DEAD_LIST)
        rc = list(self, peer, header->nonce, &order);
    else if (order.what == MPX_DEAD_SHOW)
        rc = show(self, peer, header->nonce, &order);
    else if (order.what == MPX_DEAD_REQUEUE)
        rc = requeue(self, now, peer, header->nonce, &order);
    else
        rc = mpx_archive_done(self, peer, header->op, header->nonce, drop_all(self, peer, &order));
    free(arena);
    return rc;
}
