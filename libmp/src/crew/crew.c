#include "crew.h"

#include "clock.h"
#include "crew_private.h"
#include "fault.h"
#include "forkguard.h"
#include "post.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

/* ---- life --------------------------------------------------------------------------------- */

void mpx_crew_fail(mpx_crew_t *self, mp_rc_t rc, const char *problem)
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

static mp_rc_t make_lanes(const mpx_crew_t *self, slot_t *slot, int fds[MPX_NURSERY_FDS])
{
    mp_rc_t rc = mpx_lane_new(RING_BYTES, &slot->lane, fds);
    if (rc == MP_OK && self->options.nested)
        rc = mpx_lane_new(NESTED_RING_BYTES, &slot->nested, fds + 2);
    return rc;
}

mp_rc_t mpx_slot_fill(mpx_crew_t *self, uint32_t i)
{
    slot_t *slot = self->slots[i];
    int fds[MPX_NURSERY_FDS] = {-1, -1, -1, -1};
    slot->asked_at = mpx_now();
    mp_rc_t rc = make_lanes(self, slot, fds);
    if (rc == MP_OK)
        rc = mpx_nursery_spawn(&self->nursery, i, fds, self->modules_count + slot->probe,
                               self->unproven == 0 && !slot->probe);
    for (size_t k = 0; k < MPX_NURSERY_FDS; k++)
        if (fds[k] >= 0)
            close(fds[k]);
    if (rc == MP_OK)
        rc = watch(self, mpx_lane_fd(slot->lane), i);
    if (rc == MP_OK && slot->nested)
        rc = watch(self, mpx_lane_fd(slot->nested), i | NESTED);
    if (rc != MP_OK) {
        mpx_lane_destroy(&slot->lane);
        mpx_lane_destroy(&slot->nested);
        return rc;
    }
    slot->state = STARTING;
    slot->dismissed = false;
    slot->hung_up = false;
    slot->worker = ++self->last_worker;
    slot->pid = 0;
    slot->was_up = false;
    slot->want = MPX_WANT_NONE;
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

void mpx_crew_end_finished(mpx_crew_t *self)
{
    if (self->finished)
        end_stay(self, self->reading, self->finished);
    self->finished = NULL;
}

void mpx_crew_free_words(mpx_crew_t *self)
{
    for (size_t i = 0; i < 2; i++) {
        free(self->words[i]);
        self->words[i] = NULL;
    }
}

void mpx_slot_clear(mpx_crew_t *self, slot_t *slot)
{
    free(slot->error_output);
    free(slot->backtrace);
    slot->error_output = slot->backtrace = NULL;
    mpx_lane_destroy(&slot->lane);
    while (slot->stays)
        end_stay(self, slot, slot->stays);
    mpx_outbox_clear(&slot->outbox);
    mpx_lane_destroy(&slot->nested);
    mpx_outbox_clear(&slot->nested_outbox);
    slot->state = EMPTY;
}

mp_rc_t mpx_crew_start(mpx_crew_t *self)
{
    mp_rc_t rc = mpx_nursery_start(&self->options, &self->nursery);
    if (rc == MP_OK)
        rc = watch(self, self->nursery.control, CONTROL);
    for (uint32_t i = 0; rc == MP_OK && i < self->modules_count; i++)
        rc = mpx_nursery_load(&self->nursery, i, self->modules[i]);
    for (uint32_t i = 0; rc == MP_OK && i < self->slots_count; i++)
        if (!self->slots[i]->surplus)
            rc = mpx_slot_fill(self, i);
    return rc;
}

static mp_rc_t add_slot(mpx_crew_t *self)
{
    size_t count = self->slots_count + 1;
    struct epoll_event *events = realloc(self->events, EVENTS_OF(count) * sizeof *events);
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
    mpx_outbox_init(&slot->nested_outbox);
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

static void free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

/* A nursery that replaces a dead one needs them when the caller's may be gone. */
static mp_rc_t copy_names(mpx_crew_t *self)
{
    const char *const *load = self->options.load;
    size_t count = 0;
    while (load && load[count])
        count++;
    self->load = calloc(count + 1, sizeof *self->load);
    for (size_t i = 0; self->load && i < count; i++)
        if (!(self->load[i] = strdup(load[i])))
            return MP_ENOMEM;
    self->options.load = (const char *const *)self->load;
    return self->load ? MP_OK : MP_ENOMEM;
}

mp_rc_t mpx_crew_new(const mpx_crew_options_t *options, mpx_crew_t **out)
{
    if (options->size == 0)
        return mpx_fault(MP_EINVAL, "a crew needs at least one executor");
    mpx_crew_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a crew");
    self->options = *options;
    self->unproven = options->size;
    self->generation = mpx_fork_generation();
    self->nursery.control = -1;
    if (gethostname(self->host, sizeof self->host - 1))
        strcpy(self->host, "localhost");
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    mp_rc_t rc = copy_names(self);
    if (rc != MP_OK || self->epoll < 0 || mpx_depot_new(options->size, &self->depot) != MP_OK)
        rc = mpx_fault_errno("a crew of %u", options->size);
    if (rc == MP_OK)
        rc = mpx_forkguard_add(self->epoll);
    if (rc == MP_OK)
        rc = add_slots(self);
    if (rc == MP_OK)
        rc = mpx_crew_start(self);
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
    bool own = self->generation == mpx_fork_generation();
    if (own)
        mpx_nursery_stop(&self->nursery);
    for (uint32_t i = 0; i < self->slots_count; i++) {
        mpx_slot_clear(self, self->slots[i]);
        free(self->slots[i]);
    }
    said_t *said, *next;
    DL_FOREACH_SAFE (self->said, said, next)
        free(said);
    for (uint32_t i = 0; i < MPX_MODULES_MAX; i++)
        free(self->modules[i]);
    mpx_depot_destroy(&self->depot);
    mpx_buf_free(&self->scratch);
    mpx_crew_free_words(self);
    free_names(self->load);
    if (own && self->epoll >= 0) { /* a child has none of it */
        mpx_forkguard_remove(self->epoll);
        close(self->epoll);
    }
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

mp_rc_t mpx_crew_send_nested(mpx_crew_t *self, uint64_t worker, const mpx_header_t *header,
                             mp_bytes_t payload)
{
    slot_t *slot = find_slot(self, worker);
    if (!slot || slot->state != UP || !slot->nested)
        return MP_ECLOSED;
    slot->nested_unrung = true;
    return mpx_outbox_send(&slot->nested_outbox, slot->nested, header, payload);
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
    mpx_crew_end_finished(self);
    return mpx_depot_wants(payload.size, to) ? send_placed(self, slot, header, payload, to)
                                             : send_to(slot, header, payload);
}

void mpx_crew_wake(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        slot_t *slot = self->slots[i];
        if (slot->state == UP && slot->unrung)
            mpx_lane_ring(slot->lane);
        if (slot->state == UP && slot->nested_unrung)
            mpx_lane_ring(slot->nested);
        slot->unrung = false;
        slot->nested_unrung = false;
    }
}

void mpx_crew_ask(mpx_crew_t *self, uint64_t worker, uint64_t chunk, mp_rc_t why)
{
    const slot_t *slot = find_slot(self, worker);
    unsigned note = why == MP_ETIMEDOUT   ? MPX_NOTE_LATE
                    : why == MP_EDRAINING ? MPX_NOTE_GIVE_BACK
                                          : MPX_NOTE_CANCELLED;
    if (slot && slot->state == UP)
        mpx_lane_set_note(slot->lane, note, chunk);
}

void mpx_slot_end_stay(mpx_crew_t *self, slot_t *slot, uint64_t chunk)
{
    mpx_stay_t *stay;
    DL_FOREACH (slot->stays, stay)
        if (stay->chunk == chunk)
            break;
    if (stay)
        end_stay(self, slot, stay);
}

bool mpx_crew_call_back(mpx_crew_t *self, uint64_t worker, uint64_t chunk)
{
    slot_t *slot = find_slot(self, worker);
    if (!slot || slot->state != UP || !mpx_lane_call_back(slot->lane, chunk))
        return false;
    mpx_crew_end_finished(self);
    mpx_slot_end_stay(self, slot, chunk);
    return true;
}

void mpx_slot_signal(mpx_crew_t *self, const slot_t *slot, int signal)
{
    if (slot && slot->pid && slot->state == UP)
        mpx_nursery_signal(&self->nursery, slot->number, slot->pid, signal);
}

void mpx_crew_terminate(mpx_crew_t *self, uint64_t worker)
{
    mpx_slot_signal(self, find_slot(self, worker), SIGTERM);
}

void mpx_crew_kill(mpx_crew_t *self, uint64_t worker)
{
    mpx_slot_signal(self, find_slot(self, worker), SIGKILL);
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
    return self->slots[i]->state == EMPTY ? mpx_slot_fill(self, i) : MP_OK;
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

mp_rc_t mpx_crew_dismiss(mpx_crew_t *self, uint64_t worker)
{
    slot_t *slot = find_slot(self, worker);
    mpx_header_t header = {.op = MPX_OP_DRAIN};
    if (!slot || slot->state != UP)
        return MP_ECLOSED;
    mp_rc_t rc = send_to(slot, &header, (mp_bytes_t){0});
    slot->dismissed = rc == MP_OK;
    return rc;
}

/* ---- modules that come later ---------------------------------------------------------------- */

mp_rc_t mpx_crew_load(mpx_crew_t *self, const char *path)
{
    uint32_t i = 0;
    if (self->loading)
        return mpx_fault(MP_EBUSY, "another module is just being loaded");
    if (self->modules_count == MPX_MODULES_MAX)
        return mpx_fault(MP_ELIMIT, "%d modules have been taken, and more are not",
                         MPX_MODULES_MAX);
    char *copy = strdup(path);
    mp_rc_t rc = copy ? mpx_nursery_load(&self->nursery, self->modules_count, path)
                      : mpx_fault(MP_ENOMEM, "a module");
    while (i < self->slots_count && !(self->slots[i]->state == EMPTY && self->slots[i]->surplus))
        i++;
    if (rc == MP_OK && i == self->slots_count)
        rc = add_slot(self);
    if (rc == MP_OK) {
        self->slots[i]->surplus = true;
        self->slots[i]->probe = true;
        rc = mpx_slot_fill(self, i);
    }
    if (rc != MP_OK) {
        free(copy);
        return rc;
    }
    free(self->modules[self->modules_count]);
    self->modules[self->modules_count] = copy;
    self->loading = true;
    self->refusal = MP_OK;
    return MP_OK;
}

void mpx_crew_stop_loading(mpx_crew_t *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const slot_t *slot = self->slots[i];
        if (!slot->probe || slot->state != STARTING || !slot->pid)
            continue;
        self->refusal = MP_EMODULE;
        snprintf(self->refusal_problem, sizeof self->refusal_problem,
                 "its constructors do not come to an end");
        mpx_nursery_signal(&self->nursery, slot->number, slot->pid, SIGKILL);
    }
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
        if (slot->nested && slot->state == UP &&
            !mpx_lane_sleep(slot->nested, mpx_outbox_waits(&slot->nested_outbox)))
            return false;
    }
    self->asleep = true;
    return true;
}
