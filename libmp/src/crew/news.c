/* news.c: what executors and their nursery say. */
#include "crew_private.h"

#include "clock.h"
#include "fault.h"
#include "logger.h"
#include "post.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

/* ---- news from the nursery ------------------------------------------------------------------ */

static void on_said(mpx_crew_t *self, const slot_t *slot, const mpx_report_t *report)
{
    said_t *said = malloc(sizeof *said + report->size);
    if (!said)
        return; /* it was only words */
    *said = (said_t){.worker = slot->worker,
                     .header = {.op = MPX_OP_OUTPUT,
                                .chunk = report->chunk,
                                .first = report->index,
                                .kind = (uint32_t)report->value,
                                .nonce = (uint64_t)report->pid,
                                .bytes = report->unsaid},
                     .size = report->size};
    memcpy(said->bytes, report->error_output, report->size);
    DL_APPEND(self->said, said);
}

static void on_report(mpx_crew_t *self, const mpx_report_t *report)
{
    if (report->slot >= self->slots_count)
        return;
    slot_t *slot = self->slots[report->slot];
    char problem[256];
    switch (report->kind) {
    case MPX_REPORT_STARTED:
        slot->pid = report->pid;
        break;
    case MPX_REPORT_EXITED:
        slot->pid = report->pid;
        slot->status = report->value;
        slot->want = report->want;
        slot->taken_bytes = report->taken_bytes;
        slot->error_output = *report->error_output ? strdup(report->error_output) : NULL;
        slot->backtrace = *report->backtrace ? strdup(report->backtrace) : NULL;
        slot->state = DEAD;
        mpx_tell(MP_LOG_DEBUG, "worker process %d ended with status %#x", (int)report->pid,
                 (unsigned)report->value);
        break;
    case MPX_REPORT_SAID:
        on_said(self, slot, report);
        break;
    case MPX_REPORT_NOT_STARTED:
        if (slot->probe) {
            slot->state = DEAD;
            slot->status = SIGKILL;
            break;
        }
        mpx_slot_clear(self, slot);
        snprintf(problem, sizeof problem, "a worker process can't be forked: %s",
                 strerror(report->value));
        mpx_crew_fail(self, MP_ESYSTEM, problem);
        break;
    case MPX_REPORT_DELAYED:
        mpx_tell(MP_LOG_WARNING, "a worker process can't be forked now: %s",
                 strerror(report->value));
        break;
    }
}

/* Nobody will say how it ended: by the lifeline, if by nothing else. */
static void bury_orphan(slot_t *slot)
{
    slot->status = SIGKILL;
    slot->state = DEAD;
}

static void orphan(slot_t *slot)
{
    if (slot->state != STARTING && slot->state != UP)
        return;
    slot->state = ORPHANED;
    if (slot->hung_up)
        bury_orphan(slot);
}

static void on_nursery_gone(mpx_crew_t *self)
{
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->nursery.control, NULL);
    mpx_nursery_stop(&self->nursery);
    self->nursery_deaths++;
    for (uint32_t i = 0; i < self->slots_count; i++)
        orphan(self->slots[i]);
}

static void take_reports(mpx_crew_t *self)
{
    mpx_report_t report;
    mp_rc_t rc;
    while ((rc = mpx_nursery_report(&self->nursery, &report)) == MP_OK)
        on_report(self, &report);
    if (rc == MP_EOF)
        on_nursery_gone(self);
}

static void on_nested_lane(const mpx_crew_t *self, const slot_t *slot)
{
    if (slot->nested && mpx_lane_awake(slot->nested) == MP_EOF)
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, mpx_lane_fd(slot->nested), NULL);
}

/* The executor is gone, which the nursery tells as well, or can't be reached any more. */
static void on_lane(mpx_crew_t *self, slot_t *slot)
{
    if (!slot->lane || mpx_lane_awake(slot->lane) != MP_EOF)
        return;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, mpx_lane_fd(slot->lane), NULL);
    slot->hung_up = true;
    mpx_slot_signal(self, slot, SIGKILL);
    if (slot->state == ORPHANED)
        bury_orphan(slot);
}

/* See which descriptors have news. All at once: some may go on having the same until others are
 * heard. */
static void look_at_descriptors(mpx_crew_t *self)
{
    self->asleep = false;
    self->quiet_turns = 0;
    int n = epoll_wait(self->epoll, self->events, (int)EVENTS_OF(self->slots_count), 0);
    for (int i = 0; i < n; i++) {
        uint32_t about = self->events[i].data.u32;
        if (about == CONTROL)
            take_reports(self);
        else if (about & NESTED)
            on_nested_lane(self, self->slots[about & ~(uint32_t)NESTED]);
        else
            on_lane(self, self->slots[about]);
    }
}

/* With the last executor of a dead nursery gone, start over. */
static mp_rc_t replace_nursery(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++)
        if (self->slots[i]->state != EMPTY)
            return MP_OK;
    if (self->nursery_deaths > NURSERY_DEATHS_MAX) {
        mpx_crew_fail(self, MP_EWORKERLOST,
                      "the nursery of the worker processes keeps being killed");
        return MP_OK;
    }
    return mpx_crew_start(self);
}

/* ---- news from executors --------------------------------------------------------------------- */

static mp_rc_t on_error_at_start(mpx_crew_t *self, const slot_t *slot, mp_bytes_t payload,
                                 mp_rc_t code)
{
    mpx_problem_t problem;
    void *arena = NULL;
    if (mpx_problem_unpack(payload, &problem, &arena) != MP_OK)
        return MP_EPROTO;
    if (slot->probe) {
        self->refusal = code;
        snprintf(self->refusal_problem, sizeof self->refusal_problem, "%s", problem.message);
    } else {
        mpx_crew_fail(self, code, problem.message);
    }
    free(arena);
    return MP_EBUSY;
}

/* A RESULT whose values lie in shared memory is handed out as any other. */
static mp_rc_t on_result(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mpx_header_t *header = &out->header;
    mpx_stay_t *stay;
    self->nursery_deaths = 0;
    DL_FOREACH (slot->stays, stay)
        if (stay->chunk == header->chunk)
            break;
    if (header->kind == MPX_POST_PLACED) {
        const unsigned char *values =
            stay ? mpx_stay_values(stay, header->first, header->count) : NULL;
        if (!values)
            return MP_EPROTO;
        header->kind = 0;
        header->item_bytes = stay->result_bytes;
        out->payload = (mp_bytes_t){values, (size_t)header->count * stay->result_bytes};
    }
    if (stay && header->first + header->count == stay->first + stay->count)
        self->finished = stay;
    return MP_OK;
}

/* It has done what it was for. */
static mp_rc_t on_probe_up(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mpx_header_t drain = {.op = MPX_OP_DRAIN};
    out->kind = MPX_CREW_LOADED;
    slot->pid = (pid_t)out->header.nonce;
    slot->was_up = true;
    if (slot->state == STARTING)
        slot->state = UP;
    slot->dismissed = true;
    slot->probe = false;
    self->loading = false;
    self->modules_count++;
    if (mpx_outbox_send(&slot->outbox, slot->lane, &drain, (mp_bytes_t){0}) == MP_OK)
        mpx_lane_ring(slot->lane);
    return MP_OK;
}

/* MP_OK: *out is to be handed out; MP_EBUSY: it is dealt with; MP_EPROTO. */
static mp_rc_t on_message(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    out->kind = MPX_CREW_MESSAGE;
    if (slot->was_up && out->header.op == MPX_OP_DRAIN) {
        slot->retired = true;
        return MP_EBUSY;
    }
    if (slot->was_up && out->header.op == MPX_OP_RETURNED) {
        mpx_lane_forget(slot->lane, out->header.chunk);
        mpx_slot_end_stay(self, slot, out->header.chunk);
        return MP_OK;
    }
    if (slot->was_up)
        return out->header.op == MPX_OP_RESULT ? on_result(self, slot, out) : MP_OK;
    if (out->header.op == MPX_OP_ERROR)
        return on_error_at_start(self, slot, out->payload, (mp_rc_t)out->header.code);
    if (out->header.op != MPX_OP_HELLO)
        return MP_EPROTO;
    if (slot->probe)
        return on_probe_up(self, slot, out);
    out->kind = MPX_CREW_UP;
    out->start_ns = mpx_now() - slot->asked_at;
    out->pid = slot->pid = (pid_t)out->header.nonce; /* the nursery's word may come later */
    slot->was_up = true;
    self->unproven -= !slot->proven && slot->number < self->options.size;
    slot->proven = true;
    self->failed_starts = 0;
    if (slot->state == STARTING)
        slot->state = UP;
    return MP_OK;
}

/* What a call has written. false: there is nothing. */
static bool hand_out_said(mpx_crew_t *self, mpx_crew_event_t *out)
{
    said_t *said = self->said;
    if (!said)
        return false;
    DL_DELETE(self->said, said);
    mpx_buf_clear(&self->scratch);
    bool ok =
        mpx_output_pack(&self->scratch, self->host, (mp_bytes_t){said->bytes, said->size}) == MP_OK;
    *out = (mpx_crew_event_t){.kind = MPX_CREW_MESSAGE,
                              .worker = said->worker,
                              .header = said->header,
                              .payload = mpx_buf_bytes(&self->scratch)};
    free(said);
    return ok;
}

/* The RESULT of a call whose output is wanted comes behind that: the executor has sent it when the
 * nursery had passed all on. */
static bool is_preceded(mpx_crew_t *self, mpx_crew_event_t *out)
{
    if (out->header.op != MPX_OP_RESULT || !out->header.bytes)
        return false;
    out->header.bytes = 0;
    if (self->nursery.control >= 0)
        take_reports(self);
    return hand_out_said(self, out);
}

static mp_rc_t read_record(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mp_bytes_t record;
    mp_rc_t rc = mpx_lane_read(slot->lane, &record);
    if (rc != MP_OK)
        return rc;
    self->reading = slot;
    rc = mpx_post_read(record, &out->header, &out->payload);
    if (rc == MP_OK && is_preceded(self, out)) {
        self->reading = NULL; /* the record stays where it is */
        return MP_OK;
    }
    if (rc == MP_OK)
        rc = on_message(self, slot, out);
    return rc == MP_EBUSY ? MP_EOF : rc; /* there may be more behind it */
}

/* What a call says that has calls of its own. */
static mp_rc_t read_nested(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mp_bytes_t record;
    bool apart = false;
    mp_rc_t rc = slot->nested && slot->was_up ? mpx_lane_read(slot->nested, &record) : MP_EBUSY;
    if (rc != MP_OK)
        return rc;
    self->reading = slot;
    self->reading_nested = true;
    out->kind = MPX_CREW_NESTED;
    rc = mpx_head_unpack(record, &out->header, &out->payload, &apart);
    return rc == MP_OK && apart ? MP_EPROTO : rc;
}

static void catch_up(slot_t *slot)
{
    bool moved = false;
    (void)mpx_outbox_catch_up(&slot->outbox, slot->lane, &moved);
    slot->unrung = slot->unrung || moved;
    if (!slot->nested)
        return;
    (void)mpx_outbox_catch_up(&slot->nested_outbox, slot->nested, &moved);
    slot->nested_unrung = slot->nested_unrung || moved;
}

static void explain_start_failure(mpx_crew_t *self, const slot_t *slot)
{
    char problem[256];
    int status = slot->status;
    if (WIFSIGNALED(status))
        snprintf(problem, sizeof problem,
                 "worker processes are killed by signal %d (%s) before they can take calls",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(problem, sizeof problem,
                 "worker processes exit with status %d before they can take calls",
                 WEXITSTATUS(status));
    mpx_crew_fail(self, MP_EWORKERLOST, problem);
}

static void hand_out_words(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mpx_crew_free_words(self);
    self->words[0] = slot->error_output;
    self->words[1] = slot->backtrace;
    slot->error_output = slot->backtrace = NULL;
    out->error_output = self->words[0] ? self->words[0] : "";
    out->backtrace = self->words[1] ? self->words[1] : "";
}

/* The executor that was to try a module is dead before it was up. */
static mp_rc_t refuse_module(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    int status = slot->status;
    if (self->refusal == MP_OK) {
        self->refusal = MP_EMODULE;
        snprintf(self->refusal_problem, sizeof self->refusal_problem,
                 WIFSIGNALED(status) ? "a process that loads it is killed by signal %d"
                                     : "a process that loads it exits with status %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    slot->probe = false;
    self->loading = false;
    mpx_slot_clear(self, slot);
    *out = (mpx_crew_event_t){
        .kind = MPX_CREW_REFUSED, .rc = self->refusal, .problem = self->refusal_problem};
    return self->nursery.control < 0 ? replace_nursery(self) : MP_OK;
}

/* The lane of a dead executor is read: hand out what it left open, then its death. */
static mp_rc_t finish_dead(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    if (!slot->salvaged && slot->was_up) {
        slot->salvaged = true;
        if (mpx_post_salvage(slot->lane, &out->header, &out->payload)) {
            out->kind = MPX_CREW_MESSAGE;
            return MP_OK;
        }
    }
    if (slot->probe)
        return refuse_module(self, slot, out);
    bool was_up = slot->was_up;
    out->kind = MPX_CREW_DOWN;
    out->signal = WIFSIGNALED(slot->status) ? WTERMSIG(slot->status) : 0;
    out->exit_status = WIFEXITED(slot->status) ? WEXITSTATUS(slot->status) : 0;
    out->retired = slot->retired;
    out->want = slot->want;
    out->taken_bytes = slot->taken_bytes;
    hand_out_words(self, slot, out);
    if (!was_up && ++self->failed_starts >= STARTS_MAX)
        explain_start_failure(self, slot);
    mpx_slot_clear(self, slot);
    mp_rc_t rc = MP_OK;
    if (self->nursery.control < 0)
        rc = replace_nursery(self);
    else if (!self->failed && !slot->surplus)
        rc = mpx_slot_fill(self, slot->number);
    if (rc != MP_OK)
        mpx_crew_fail(self, rc, mp_errmsg());
    return was_up ? MP_OK : MP_EOF;
}

/* How far its call is comes before the call's result. false: nothing new. */
static bool read_news(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    union {
        mpx_news_t news;
        unsigned char board[MPX_LANE_BOARD];
    } sheet;
    if (!slot->was_up || !mpx_lane_read_board(slot->lane, sheet.board))
        return false;
    sheet.news.text[sizeof sheet.news.text - 1] = '\0';
    mpx_progress_t progress = {
        .done = sheet.news.done, .total = sheet.news.total, .text = sheet.news.text};
    mpx_buf_clear(&self->scratch);
    if (mpx_progress_pack(&progress, &self->scratch) != MP_OK)
        return false;
    out->kind = MPX_CREW_MESSAGE;
    out->header =
        (mpx_header_t){.op = MPX_OP_PROGRESS, .chunk = sheet.news.chunk, .first = sheet.news.index};
    out->payload = mpx_buf_bytes(&self->scratch);
    return true;
}

/* MP_OK: an event; MP_EBUSY: nothing here; MP_EOF: look again. */
static mp_rc_t look_at_slot(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    if (slot->state == EMPTY)
        return MP_EBUSY;
    *out = (mpx_crew_event_t){.worker = slot->worker, .pid = slot->pid};
    if (read_news(self, slot, out))
        return MP_OK;
    mp_rc_t rc = read_record(self, slot, out);
    if (rc == MP_EBUSY && slot->state == UP)
        rc = read_nested(self, slot, out);
    if (rc == MP_OK || rc == MP_EOF || rc == MP_ENOMEM)
        return rc;
    if (rc == MP_EPROTO && slot->state == UP)
        mpx_crew_kill(self, slot->worker); /* its memory can't be trusted any more */
    if (slot->state == DEAD)
        return finish_dead(self, slot, out);
    if (rc == MP_EBUSY && slot->state == UP)
        catch_up(slot);
    return MP_EBUSY;
}

/* What was handed out last is used up. */
static void end_reading(mpx_crew_t *self)
{
    mpx_crew_end_finished(self);
    mpx_lane_t *lane = NULL;
    if (self->reading)
        lane = self->reading_nested ? self->reading->nested : self->reading->lane;
    if (lane)
        mpx_lane_pop(lane);
    self->reading = NULL;
    self->reading_nested = false;
}

static mp_rc_t scan(mpx_crew_t *self, mpx_crew_event_t *out)
{
    if (hand_out_said(self, out))
        return MP_OK;
    for (uint32_t looked = 0; looked < self->slots_count;) {
        slot_t *slot = self->slots[self->scan];
        mp_rc_t rc = look_at_slot(self, slot, out);
        if (rc == MP_OK || rc == MP_ENOMEM)
            return rc;
        end_reading(self);
        if (rc == MP_EOF) {
            looked = 0;
            continue;
        }
        self->scan = (self->scan + 1) % self->slots_count;
        looked++;
    }
    return MP_EBUSY;
}

mp_rc_t mpx_crew_next(mpx_crew_t *self, mpx_crew_event_t *out)
{
    end_reading(self);
    if (self->asleep || self->quiet_turns > QUIET_TURNS_MAX)
        look_at_descriptors(self);
    mp_rc_t rc = scan(self, out);
    if (rc != MP_EBUSY)
        return rc;
    self->quiet_turns++;
    if (self->failed && !self->failure_told) {
        self->failure_told = true;
        *out = (mpx_crew_event_t){
            .kind = MPX_CREW_FAILED, .rc = self->failure, .problem = self->problem};
        return MP_OK;
    }
    return MP_EBUSY;
}
