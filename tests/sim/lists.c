#include "lists.h"

#include "clock.h"
#include "job_body.h"
#include "keeps.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* One after another. CLASH: run letters again as a job whose id is taken; REQUEUE: as a new one;
 * REPEAT: the same again, as after a loss. */
typedef enum question { NOTHING, JOBS, LETTERS, CLASH, REQUEUE, REPEAT, DROP } question_t;

/* SETTLE_MS: who was cut off hears of it, and is back. */
enum { PAGE = 256, LAST_REQUEUES = 2, SETTLE_MS = 6000 };

struct lists {
    proc_t *proc;
    mpx_backend_t *backend;
    mpx_errand_t errand;
    question_t asks;
    int64_t asked_at;
    uint64_t after; /* the number of the last row */
    bool chooses;   /* letters that are to run again: */
    letter_t chosen[KEEP_CALLS_MAX];
    unsigned chosen_count;
    keep_t *again; /* what becomes of them */
    char taken[KEEP_TEXT];
    bool last; /* there will be no others: nothing breaks, and all jobs are over */
    unsigned last_requeues;
    bool looked; /* at the dead letters, at the end */
};

/* ---- asking --------------------------------------------------------------------------- */

static void ask(lists_t *self, question_t what)
{
    self->asks = what;
    self->after = 0;
    self->asked_at = world->now;
    if (what == JOBS)
        keeps_list(self->proc->number);
    if (what == LETTERS) {
        self->chooses = !keeps_asked() && (self->last || one_in(2));
        self->chosen_count = 0;
    }
    self->backend->ops->errand_begin(self->backend, &self->errand);
}

static void is_answered(lists_t *self)
{
    self->asks = NOTHING;
    self->backend->ops->errand_end(self->backend, &self->errand);
}

/* Some orders name the letters that they mean. */
static mpx_dead_order_t order_of(const lists_t *self, uint64_t numbers[KEEP_CALLS_MAX])
{
    switch (self->asks) {
    case CLASH:
    case REQUEUE:
    case REPEAT:
        for (unsigned i = 0; i < self->chosen_count; i++)
            numbers[i] = self->chosen[i].number;
        return (mpx_dead_order_t){.what = MPX_DEAD_REQUEUE,
                                  .numbers = numbers,
                                  .numbers_count = self->chosen_count,
                                  .id = self->asks == CLASH ? self->taken : self->again->id,
                                  .token = self->asks == CLASH ? 1 : self->again->token};
    case DROP:
        return (mpx_dead_order_t){.what = MPX_DEAD_DROP};
    case NOTHING:
    case JOBS:
    case LETTERS:
        break;
    }
    return (mpx_dead_order_t){.what = MPX_DEAD_LIST, .after = self->after, .count = PAGE};
}

static void send_question(lists_t *self)
{
    mpx_header_t header = {
        .op = MPX_OP_JOB_LIST, .nonce = self->errand.nonce, .first = self->after, .count = PAGE};
    uint64_t numbers[KEEP_CALLS_MAX];
    mpx_buf_t body = {0};
    if (self->asks != JOBS) {
        mpx_dead_order_t order = order_of(self, numbers);
        header = (mpx_header_t){.op = MPX_OP_JOB_DEAD, .nonce = self->errand.nonce};
        MUST(mpx_dead_order_pack(&order, &body) == MP_OK, "an order can't be packed");
    }
    (void)self->backend->ops->errand_send(self->backend, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

/* ---- answers -------------------------------------------------------------------------- */

static bool is_chosen(const lists_t *self, const letter_t *letter)
{
    for (unsigned i = 0; i < self->chosen_count; i++)
        if (self->chosen[i].keep == letter->keep && self->chosen[i].index == letter->index)
            return true;
    return false;
}

static void choose(lists_t *self, const letter_t *letter)
{
    if (!self->chooses || self->chosen_count == KEEP_CALLS_MAX || !one_in(2) ||
        is_chosen(self, letter) ||
        !letter_goes_with(letter, self->chosen_count ? &self->chosen[0] : letter))
        return;
    self->chosen[self->chosen_count++] = *letter;
}

static void take_row(lists_t *self, mp_bytes_t payload)
{
    void *arena = NULL;
    mpx_kept_info_t info;
    mpx_dead_letter_t letter;
    if (self->asks == JOBS) {
        MUST(mpx_kept_info_unpack(payload, &info, &arena) == MP_OK, "a row can't be read");
        keeps_listed(self->proc->number, info.id);
        self->after = info.number;
    } else {
        MUST(mpx_dead_letter_unpack(payload, &letter, &arena) == MP_OK, "a letter can't be read");
        if (letter.number > self->after) { /* else it comes again */
            letter_t seen = {.number = letter.number, .index = (uint32_t)letter.index};
            seen.keep = keeps_letter(letter.job, letter.index, letter.number, (mp_rc_t)letter.code,
                                     self->asked_at);
            choose(self, &seen);
        }
        self->after = letter.number;
    }
    free(arena);
}

/* The letters are a job now, all of them or none. */
static void take_job(lists_t *self, mp_bytes_t payload)
{
    void *arena = NULL;
    mpx_kept_info_t info;
    question_t asked = self->asks;
    MUST(asked != CLASH, "dead letters have become job %s, which there was", self->taken);
    MUST(asked == REQUEUE || asked == REPEAT, "a list is answered with a job");
    MUST(mpx_kept_info_unpack(payload, &info, &arena) == MP_OK, "a job can't be read");
    keep_t *again = self->again;
    MUST(strcmp(info.id, again->id) == 0 && !*info.key && info.closed,
         "dead letters were to become job %s, and have become %s (key '%s', %s)", again->id,
         info.id, info.key, info.closed ? "closed" : "open");
    MUST(info.calls == again->calls || keeps_forgets() || suffers(DISK),
         "%u dead letters have become a job of %llu calls", again->calls,
         (unsigned long long)info.calls);
    is_answered(self);
    if (asked == REQUEUE) {
        keep_rose(again, (uint32_t)info.calls);
        if (one_in(3))
            ask(self, REPEAT);
    }
    free(arena);
}

static void is_refused(lists_t *self, mp_rc_t rc)
{
    question_t asked = self->asks;
    bool gone = rc == MP_ENOTFOUND && (keeps_forgets() || suffers(DISK) ||
                                       (asked == REPEAT && keep_may_be_gone(self->again)));
    MUST(gone || (rc == MP_EEXIST && asked == CLASH) || (rc == MP_ELIMIT && suffers(LIMITS)) ||
             (rc == MP_EDRAINING && suffers(DRAIN)) || (rc == MP_ENOSPACE && suffers(DISK)),
         "dead letters can't run again: %s", mp_errname(rc));
    trace("%s hears %s of dead letters that were to run again", name_of(self->proc),
          mp_errname(rc));
    is_answered(self);
    if (asked == REQUEUE && rc == MP_ENOSPACE)
        keep_is_unknown(self->again); /* its commit has failed: it may be there all the same */
    else if (asked == REQUEUE)
        keep_fell(self->again);
    if (asked == CLASH)
        ask(self, REQUEUE);
}

/* Others may have asked for them, while the list was on its way. */
static void choose_again(lists_t *self)
{
    unsigned count = keeps_asked() ? 0 : self->chosen_count;
    self->chosen_count = 0;
    for (unsigned i = 0; i < count; i++)
        if (letter_goes_with(&self->chosen[i], &self->chosen[0]))
            self->chosen[self->chosen_count++] = self->chosen[i];
}

/* Run those that were chosen again; false: there are none. */
static bool requeue(lists_t *self)
{
    choose_again(self);
    if (!self->chosen_count || (self->last && self->last_requeues == LAST_REQUEUES))
        return false;
    self->again = keep_again(self->chosen, self->chosen_count, self->last);
    if (!self->again)
        return false;
    self->last_requeues += self->last;
    trace("%s has %u dead letters run again as %s", name_of(self->proc), self->chosen_count,
          self->again->id);
    bool clashes = keeps_taken_id(self->taken) && one_in(3);
    ask(self, clashes ? CLASH : REQUEUE);
    return true;
}

static void is_listed(lists_t *self, const mpx_header_t *header)
{
    question_t asked = self->asks;
    if (header->code == MP_ELIMIT || header->count) { /* there was no credit for all, or no room */
        send_question(self);
        return;
    }
    is_answered(self);
    if (header->code == MP_ENOSPACE)
        return;
    if (asked == JOBS)
        keeps_list_end(self->proc->number);
    if (asked != LETTERS || requeue(self) || !self->last)
        return;
    keeps_letters_end();
    ask(self, DROP);
}

static lists_t *owner_of(mpx_errand_t *errand)
{
    return (lists_t *)((char *)errand - offsetof(lists_t, errand));
}

static bool is_list(question_t asks)
{
    return asks == JOBS || asks == LETTERS;
}

static void on_message(mpx_errand_t *errand, const mpx_header_t *header, mp_bytes_t payload)
{
    lists_t *self = owner_of(errand);
    if (header->op == MPX_OP_JOB_INFO && payload.size) {
        if (is_list(self->asks))
            take_row(self, payload);
        else
            take_job(self, payload);
        return;
    }
    mp_rc_t rc = (mp_rc_t)header->code;
    if (!is_list(self->asks) && self->asks != DROP) {
        is_refused(self, rc);
        return;
    }
    MUST(rc == MP_OK || rc == MP_ELIMIT || rc == MP_ENOSPACE ||
             (rc == MP_ENOTFOUND && self->asks == DROP),
         "a list is answered with %s", mp_errname(rc));
    if (self->asks == DROP) {
        is_answered(self);
        self->looked |= rc != MP_ENOSPACE;
        return;
    }
    is_listed(self, header);
}

static void on_link(mpx_errand_t *errand, mp_rc_t rc)
{
    if (rc == MP_OK)
        send_question(owner_of(errand));
}

/* ---- the client ----------------------------------------------------------------------- */

lists_t *lists_new(proc_t *proc, mpx_backend_t *backend)
{
    lists_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->proc = proc;
    self->backend = backend;
    self->errand.on_message = on_message;
    self->errand.on_link = on_link;
    return self;
}

static bool must_look(const lists_t *self)
{
    return self->proc->number == 1 && !self->looked && keep_at(0);
}

void lists_act(lists_t *self, bool jobs_are_over)
{
    if (self->asks != NOTHING)
        return;
    bool settled = world->calm && world->now - world->calm_at > SETTLE_MS * MPX_MS;
    self->last = settled && must_look(self) && jobs_are_over;
    if (self->last)
        ask(self, LETTERS);
    else if (!world->calm && one_in(40))
        ask(self, one_in(3) ? JOBS : LETTERS);
}

bool lists_are_over(const lists_t *self)
{
    return self->asks == NOTHING && !must_look(self);
}

void lists_free(lists_t *self)
{
    if (self->asks == CLASH || self->asks == REQUEUE)
        keep_is_unknown(self->again);
    if (self->asks != NOTHING)
        is_answered(self);
    free(self);
}
