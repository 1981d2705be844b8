#include "crew.h"

#include "clock.h"
#include "depot.h"
#include "fault.h"
#include "forkguard.h"
#include "lane.h"
#include "logger.h"
#include "nursery.h"
#include "outbox.h"
#include "post.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

/*                +----------------- spawned again ------------------+
 *                v                                                  |
 *     EMPTY -> STARTING --HELLO--> UP --exit--> DEAD --lane is read-+--> EMPTY
 *                 +-------------- exit ----------^
 *
 * ORPHANED: the nursery is gone; the executor is being killed, and DEAD once its lane ends. */
typedef enum slot_state { EMPTY, STARTING, UP, ORPHANED, DEAD } slot_state_t;

typedef struct slot {
    uint32_t number;
    slot_state_t state;
    bool surplus;     /* when its executor has ended there is no other */
    bool dismissed;   /* the executor was told */
    int64_t asked_at; /* for the executor */
    uint64_t worker;
    pid_t pid;
    int status;         /* of a dead one, as from waitpid */
    char *error_output; /* the same; NULL: nothing known */
    char *backtrace;
    mpx_lane_t *lane;
    mpx_outbox_t outbox;
    mpx_stay_t *stays; /* of chunks that it has, in shared memory */
    bool unrung;       /* was sent something since the last wake */
    bool was_up;
    bool retired; /* by its own will */
    bool salvaged;
} slot_t;

struct mpx_crew {
    mpx_crew_options_t options;
    mpx_nursery_t nursery;
    int epoll;
    uint64_t generation;
    uint64_t last_worker;
    slot_t **slots;
    uint32_t slots_count;
    struct epoll_event *events; /* room for one of each slot, and of the nursery */
    uint32_t scan;              /* slot to look at next */
    slot_t *reading;            /* whose record was handed out last */
    mpx_depot_t *depot;
    mpx_stay_t *finished; /* the chunk whose last results were handed out last, of `reading` */
    mpx_buf_t scratch;
    char *words[2];          /* of the DOWN that was handed out last */
    bool asleep;             /* sleep said true: descriptors may have news */
    unsigned quiet_turns;    /* since descriptors were looked at */
    unsigned failed_starts;  /* executors in a row that died before they were up */
    unsigned nursery_deaths; /* without a result in between */
    uint32_t not_started;    /* slots that could not be forked for */
    bool failed;
    bool failure_told;
    mp_rc_t failure;
    char problem[1024];
};

enum {
    RING_BYTES = 1 << 20,
    CONTROL = UINT32_MAX, /* the nursery's socket, among epoll's slots */
    STARTS_MAX = 3,
    NURSERY_DEATHS_MAX = 3,
    QUIET_TURNS_MAX = 64
};

/* ---- life --------------------------------------------------------------------------------- */

static void fail(mpx_crew_t *self, mp_rc_t rc, const char *problem)
{
    if (self->failed)
        return;
    self->failed = true;
    self->failure = rc;
    snprintf(self->problem, sizeof self->problem, "%s", problem);
}

static mp_rc_t watch(const mpx_crew_t *self, int fd, uint32_t slot)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = slot};
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fault_errno("watching a worker");
    return MP_OK;
}

/* Make a lane and ask for an executor at its end. */
static mp_rc_t fill_slot(mpx_crew_t *self, uint32_t i)
{
    slot_t *slot = self->slots[i];
    int fds[2];
    slot->asked_at = mpx_now();
    mp_rc_t rc = mpx_lane_new(RING_BYTES, &slot->lane, fds);
    if (rc != MP_OK)
        return rc;
    rc = mpx_nursery_spawn(&self->nursery, i, fds);
    close(fds[0]);
    close(fds[1]);
    if (rc == MP_OK)
        rc = watch(self, mpx_lane_fd(slot->lane), i);
    if (rc != MP_OK) {
        mpx_lane_destroy(&slot->lane);
        return rc;
    }
    slot->state = STARTING;
    slot->dismissed = false;
    slot->worker = ++self->last_worker;
    slot->pid = 0;
    slot->was_up = false;
    slot->retired = false;
    slot->salvaged = false;
    slot->unrung = false;
    return MP_OK;
}

static void end_stay(mpx_crew_t *self, slot_t *slot, mpx_stay_t *stay)
{
    DL_DELETE(slot->stays, stay);
    mpx_depot_release(self->depot, stay);
}

static void end_finished(mpx_crew_t *self)
{
    if (self->finished)
        end_stay(self, self->reading, self->finished);
    self->finished = NULL;
}

static void free_words(mpx_crew_t *self)
{
    for (size_t i = 0; i < 2; i++) {
        free(self->words[i]);
        self->words[i] = NULL;
    }
}

static void clear_slot(mpx_crew_t *self, slot_t *slot)
{
    free(slot->error_output);
    free(slot->backtrace);
    slot->error_output = slot->backtrace = NULL;
    mpx_lane_destroy(&slot->lane);
    while (slot->stays)
        end_stay(self, slot, slot->stays);
    mpx_outbox_clear(&slot->outbox);
    slot->state = EMPTY;
}

static mp_rc_t start(mpx_crew_t *self)
{
    mp_rc_t rc = mpx_nursery_start(&self->options, &self->nursery);
    if (rc == MP_OK)
        rc = watch(self, self->nursery.control, CONTROL);
    for (uint32_t i = 0; rc == MP_OK && i < self->slots_count; i++)
        if (!self->slots[i]->surplus)
            rc = fill_slot(self, i);
    return rc;
}

static mp_rc_t add_slot(mpx_crew_t *self)
{
    size_t count = self->slots_count + 1;
    struct epoll_event *events = realloc(self->events, (count + 1) * sizeof *events);
    if (events)
        self->events = events;
    slot_t **slots = realloc(self->slots, count * sizeof(slot_t *));
    if (slots)
        self->slots = slots;
    slot_t *slot = events && slots ? calloc(1, sizeof *slot) : NULL;
    if (!slot)
        return mpx_fault(MP_ENOMEM, "a worker");
    slot->number = self->slots_count;
    mpx_outbox_init(&slot->outbox);
    self->slots[self->slots_count++] = slot;
    return MP_OK;
}

static mp_rc_t add_slots(mpx_crew_t *self)
{
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && self->slots_count < self->options.size)
        rc = add_slot(self);
    return rc;
}

mp_rc_t mpx_crew_new(const mpx_crew_options_t *options, mpx_crew_t **out)
{
    if (options->size == 0)
        return mpx_fault(MP_EINVAL, "a crew needs at least one executor");
    mpx_crew_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a crew");
    self->options = *options;
    self->generation = mpx_fork_generation();
    self->nursery.control = -1;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    mp_rc_t rc = MP_OK;
    if (self->epoll < 0 || mpx_depot_new(options->size, &self->depot) != MP_OK)
        rc = mpx_fault_errno("a crew of %u", options->size);
    if (rc == MP_OK)
        rc = add_slots(self);
    if (rc == MP_OK)
        rc = start(self);
    if (rc != MP_OK) {
        mpx_crew_destroy(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_crew_destroy(mpx_crew_t **self_p)
{
    mpx_crew_t *self = *self_p;
    if (!self)
        return;
    if (self->generation == mpx_fork_generation())
        mpx_nursery_stop(&self->nursery);
    for (uint32_t i = 0; i < self->slots_count; i++) {
        clear_slot(self, self->slots[i]);
        free(self->slots[i]);
    }
    mpx_depot_destroy(&self->depot);
    mpx_buf_free(&self->scratch);
    free_words(self);
    if (self->epoll >= 0)
        close(self->epoll);
    free(self->slots);
    free(self->events);
    free(self);
    *self_p = NULL;
}

/* ---- sending ------------------------------------------------------------------------------- */

static slot_t *find_slot(mpx_crew_t *self, uint64_t worker)
{
    for (uint32_t i = 0; i < self->slots_count; i++)
        if (self->slots[i]->worker == worker)
            return self->slots[i];
    return NULL;
}

static mp_rc_t send_to(slot_t *slot, const mpx_header_t *header, mp_bytes_t payload)
{
    slot->unrung = true;
    return mpx_outbox_send(&slot->outbox, slot->lane, header, payload);
}

mp_rc_t mpx_crew_send(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                      mp_bytes_t payload)
{
    slot_t *slot = find_slot(self, worker);
    return slot && slot->state == UP ? send_to(slot, header, payload) : MP_ECLOSED;
}

static mp_rc_t send_placed(mpx_crew_t *self, slot_t *slot, const mpx_header_t *header,
                           mp_bytes_t payload, const mpx_results_to_t *to)
{
    unsigned char body[sizeof(mpx_placement_t) + MPX_DEPOT_INLINE_MAX];
    mpx_placement_t placement;
    mpx_stay_t *stay = NULL;
    mp_rc_t rc = mpx_depot_place(self->depot, header, payload, to, &stay, &placement);
    if (rc != MP_OK)
        return send_to(slot, header, payload);
    size_t size = sizeof placement;
    memcpy(body, &placement, size);
    if (!placement.in.bytes && payload.size) {
        memcpy(body + size, payload.data, payload.size);
        size += payload.size;
    }
    mpx_header_t placed = *header;
    placed.kind = MPX_POST_PLACED;
    rc = send_to(slot, &placed, (mp_bytes_t){body, size});
    if (rc == MP_OK)
        DL_APPEND(slot->stays, stay);
    else
        mpx_depot_release(self->depot, stay);
    return rc;
}

mp_rc_t mpx_crew_submit(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                        mp_bytes_t payload, const mpx_results_to_t *to)
{
    slot_t *slot = find_slot(self, worker);
    if (!slot || slot->state != UP)
        return MP_ECLOSED;
    end_finished(self);
    return mpx_depot_wants(payload.size, to) ? send_placed(self, slot, header, payload, to)
                                             : send_to(slot, header, payload);
}

void mpx_crew_wake(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        slot_t *slot = self->slots[i];
        if (slot->state == UP && slot->unrung)
            mpx_lane_ring(slot->lane);
        slot->unrung = false;
    }
}

void mpx_crew_ask(mpx_crew_t *self, uint64_t worker, uint64_t chunk, mp_rc_t why)
{
    const slot_t *slot = find_slot(self, worker);
    if (slot && slot->state == UP)
        mpx_lane_set_note(slot->lane, why == MP_ETIMEDOUT ? MPX_NOTE_LATE : MPX_NOTE_CANCELLED,
                          chunk);
}

static void send_signal(mpx_crew_t *self, uint64_t worker, int signal)
{
    const slot_t *slot = find_slot(self, worker);
    if (slot && slot->pid && slot->state == UP)
        mpx_nursery_signal(&self->nursery, slot->number, slot->pid, signal);
}

void mpx_crew_terminate(mpx_crew_t *self, uint64_t worker)
{
    send_signal(self, worker, SIGTERM);
}

void mpx_crew_kill(mpx_crew_t *self, uint64_t worker)
{
    send_signal(self, worker, SIGKILL);
}

/* ---- more of them, or fewer ----------------------------------------------------------------- */

static uint32_t count_wanted(const mpx_crew_t *self)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->slots_count; i++)
        count += !self->slots[i]->surplus;
    return count;
}

/* One more: a place that was given up, or a new one. */
static mp_rc_t want_one(mpx_crew_t *self)
{
    uint32_t i = 0;
    while (i < self->slots_count && !self->slots[i]->surplus)
        i++;
    mp_rc_t rc = i < self->slots_count ? MP_OK : add_slot(self);
    if (rc != MP_OK)
        return rc;
    self->slots[i]->surplus = false;
    return self->slots[i]->state == EMPTY ? fill_slot(self, i) : MP_OK;
}

mp_rc_t mpx_crew_resize(mpx_crew_t *self, uint32_t size)
{
    mp_rc_t rc = MP_OK;
    if (size == 0)
        return mpx_fault(MP_EINVAL, "a crew needs at least one executor");
    uint32_t wanted = count_wanted(self);
    for (; wanted < size && rc == MP_OK; wanted++)
        rc = want_one(self);
    for (uint32_t i = self->slots_count; i > 0 && wanted > size; i--)
        if (!self->slots[i - 1]->surplus) {
            self->slots[i - 1]->surplus = true;
            wanted--;
        }
    return rc;
}

uint64_t mpx_crew_surplus(const mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const slot_t *slot = self->slots[i];
        if (slot->surplus && slot->state == UP && !slot->dismissed)
            return slot->worker;
    }
    return 0;
}

void mpx_crew_dismiss(mpx_crew_t *self, uint64_t worker)
{
    slot_t *slot = find_slot(self, worker);
    mpx_header_t header = {.op = MPX_OP_DRAIN};
    if (!slot || slot->state != UP)
        return;
    slot->dismissed = true;
    (void)send_to(slot, &header, (mp_bytes_t){0});
}

/* ---- news from the nursery ------------------------------------------------------------------ */

static void on_report(mpx_crew_t *self, const mpx_report_t *report)
{
    if (report->slot >= self->slots_count)
        return;
    slot_t *slot = self->slots[report->slot];
    switch (report->kind) {
    case MPX_REPORT_STARTED:
        slot->pid = report->pid;
        break;
    case MPX_REPORT_EXITED:
        slot->pid = report->pid;
        slot->status = report->value;
        slot->error_output = *report->error_output ? strdup(report->error_output) : NULL;
        slot->backtrace = *report->backtrace ? strdup(report->backtrace) : NULL;
        slot->state = DEAD;
        mpx_tell(MP_LOG_DEBUG, "worker process %d ended with status %#x", (int)report->pid,
                 (unsigned)report->value);
        break;
    case MPX_REPORT_NOT_STARTED:
        clear_slot(self, slot);
        self->not_started++;
        if (self->not_started == self->slots_count) {
            char problem[256];
            snprintf(problem, sizeof problem, "no worker process can be forked: %s",
                     strerror(report->value));
            fail(self, MP_ESYSTEM, problem);
        }
        break;
    }
}

static void on_nursery_gone(mpx_crew_t *self)
{
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->nursery.control, NULL);
    mpx_nursery_stop(&self->nursery);
    self->nursery_deaths++;
    for (uint32_t i = 0; i < self->slots_count; i++)
        if (self->slots[i]->state == STARTING || self->slots[i]->state == UP)
            self->slots[i]->state = ORPHANED;
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

/* The executor is gone, which the nursery tells as well, or can't be reached any more. */
static void on_lane(mpx_crew_t *self, slot_t *slot)
{
    if (!slot->lane || mpx_lane_awake(slot->lane) != MP_EOF)
        return;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, mpx_lane_fd(slot->lane), NULL);
    if (slot->state == UP)
        send_signal(self, slot->worker, SIGKILL);
    if (slot->state != ORPHANED)
        return;
    slot->status = SIGKILL; /* by the lifeline, if by nothing else */
    slot->state = DEAD;
}

/* See which descriptors have news. All at once: some may go on having the same until others are
 * heard. */
static void look_at_descriptors(mpx_crew_t *self)
{
    self->asleep = false;
    self->quiet_turns = 0;
    int n = epoll_wait(self->epoll, self->events, (int)self->slots_count + 1, 0);
    for (int i = 0; i < n; i++)
        if (self->events[i].data.u32 == CONTROL)
            take_reports(self);
        else
            on_lane(self, self->slots[self->events[i].data.u32]);
}

/* With the last executor of a dead nursery gone, start over. */
static mp_rc_t replace_nursery(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++)
        if (self->slots[i]->state != EMPTY)
            return MP_OK;
    if (self->nursery_deaths > NURSERY_DEATHS_MAX) {
        fail(self, MP_EWORKERLOST, "the nursery of the worker processes keeps being killed");
        return MP_OK;
    }
    self->not_started = 0;
    return start(self);
}

/* ---- news from executors --------------------------------------------------------------------- */

static mp_rc_t on_error_at_start(mpx_crew_t *self, mp_bytes_t payload, mp_rc_t code)
{
    mpx_problem_t problem;
    void *arena = NULL;
    if (mpx_problem_unpack(payload, &problem, &arena) != MP_OK)
        return MP_EPROTO;
    fail(self, code, problem.message);
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

/* MP_OK: *out is to be handed out; MP_EBUSY: it is dealt with; MP_EPROTO. */
static mp_rc_t on_message(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    out->kind = MPX_CREW_MESSAGE;
    if (slot->was_up && out->header.op == MPX_OP_DRAIN) {
        slot->retired = true;
        return MP_EBUSY;
    }
    if (slot->was_up)
        return out->header.op == MPX_OP_RESULT ? on_result(self, slot, out) : MP_OK;
    if (out->header.op == MPX_OP_ERROR)
        return on_error_at_start(self, out->payload, (mp_rc_t)out->header.code);
    if (out->header.op != MPX_OP_HELLO)
        return MP_EPROTO;
    out->kind = MPX_CREW_UP;
    out->start_ns = mpx_now() - slot->asked_at;
    out->pid = slot->pid = (pid_t)out->header.nonce; /* the nursery's word may come later */
    slot->was_up = true;
    self->failed_starts = 0;
    if (slot->state == STARTING)
        slot->state = UP;
    return MP_OK;
}

static mp_rc_t read_record(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    mp_bytes_t record;
    mp_rc_t rc = mpx_lane_read(slot->lane, &record);
    if (rc != MP_OK)
        return rc;
    self->reading = slot;
    rc = mpx_post_read(record, &out->header, &out->payload);
    if (rc == MP_OK)
        rc = on_message(self, slot, out);
    return rc == MP_EBUSY ? MP_EOF : rc; /* there may be more behind it */
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
    fail(self, MP_EWORKERLOST, problem);
}

static void hand_out_words(mpx_crew_t *self, slot_t *slot, mpx_crew_event_t *out)
{
    free_words(self);
    self->words[0] = slot->error_output;
    self->words[1] = slot->backtrace;
    slot->error_output = slot->backtrace = NULL;
    out->error_output = self->words[0] ? self->words[0] : "";
    out->backtrace = self->words[1] ? self->words[1] : "";
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
    bool was_up = slot->was_up;
    out->kind = MPX_CREW_DOWN;
    out->signal = WIFSIGNALED(slot->status) ? WTERMSIG(slot->status) : 0;
    out->exit_status = WIFEXITED(slot->status) ? WEXITSTATUS(slot->status) : 0;
    out->retired = slot->retired;
    hand_out_words(self, slot, out);
    if (!was_up && ++self->failed_starts >= STARTS_MAX)
        explain_start_failure(self, slot);
    clear_slot(self, slot);
    mp_rc_t rc = MP_OK;
    if (self->nursery.control < 0)
        rc = replace_nursery(self);
    else if (!self->failed && !slot->surplus)
        rc = fill_slot(self, slot->number);
    if (rc != MP_OK)
        fail(self, rc, mp_errmsg());
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
    if (rc == MP_OK || rc == MP_EOF || rc == MP_ENOMEM)
        return rc;
    if (rc == MP_EPROTO && slot->state == UP)
        mpx_crew_kill(self, slot->worker); /* its memory can't be trusted any more */
    if (slot->state == DEAD)
        return finish_dead(self, slot, out);
    if (rc == MP_EBUSY && slot->state == UP) {
        bool moved = false;
        (void)mpx_outbox_catch_up(&slot->outbox, slot->lane, &moved);
        slot->unrung = slot->unrung || moved;
    }
    return MP_EBUSY;
}

/* What was handed out last is used up. */
static void end_reading(mpx_crew_t *self)
{
    end_finished(self);
    if (self->reading && self->reading->lane)
        mpx_lane_pop(self->reading->lane);
    self->reading = NULL;
}

static mp_rc_t scan(mpx_crew_t *self, mpx_crew_event_t *out)
{
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

/* ---- sleeping -------------------------------------------------------------------------------- */

int mpx_crew_fd(const mpx_crew_t *self)
{
    return self->epoll;
}

bool mpx_crew_sleep(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        slot_t *slot = self->slots[i];
        if (slot->state == DEAD)
            return false;
        if (slot->lane && !mpx_lane_sleep(slot->lane, mpx_outbox_waits(&slot->outbox)))
            return false;
    }
    self->asleep = true;
    return true;
}
