#include "crewman.h"

#include "clock.h"
#include "recalls.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* EXCUSE_MS: the core excuses it for a second, and may hear of it later. */
enum { LANE_US = 300, FEW_CALLS = 60, EXCUSE_MS = 1500 };

crewman_t *crewman_new(const proc_t *proc, uint64_t worker, int64_t up_at)
{
    crewman_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->proc = proc;
    self->worker = worker;
    self->up_at = up_at;
    self->dies_at = MPX_NEVER;
    if (suffers(TASKS) && one_in(8))
        self->left = chance_between(1, FEW_CALLS);
    return self;
}

void crewman_drop(crewman_t *self, letter_t *letter)
{
    DL_DELETE(self->letters, letter);
    mpx_buf_free(&letter->payload);
    free(letter);
}

static void parcel_free(crewman_t *self, parcel_t *parcel)
{
    DL_DELETE(self->parcels, parcel);
    free(parcel);
}

void crewman_free(crewman_t *self)
{
    while (self->parcels)
        parcel_free(self, self->parcels);
    while (self->letters)
        crewman_drop(self, self->letters);
    mpx_buf_free(&self->gathered);
    free(self);
}

/* ---- what its owner does ------------------------------------------------------------ */

void crewman_submit(crewman_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    parcel_t *parcel = malloc(sizeof *parcel + payload.size);
    MUST(parcel, "no memory");
    *parcel = (parcel_t){.header = *header, .most = header->count, .came_at = mpx_now()};
    memcpy(parcel->payload, payload.data, payload.size);
    parcel->rest = (mp_bytes_t){parcel->payload, payload.size};
    DL_APPEND(self->parcels, parcel);
}

static parcel_t *find(const crewman_t *self, uint64_t chunk)
{
    parcel_t *parcel = self->parcels;
    while (parcel && parcel->header.chunk != chunk)
        parcel = parcel->next;
    return parcel;
}

/* A task that asks whether it should end may do so. */
void crewman_ask(crewman_t *self, uint64_t chunk, mp_rc_t why)
{
    parcel_t *parcel = find(self, chunk);
    bool warns = why == MP_ETIMEDOUT;
    if (warns)
        self->late = chunk;
    else
        self->cancelled = chunk;
    if (parcel)
        parcel->unwanted = parcel->unwanted || !warns;
    if (parcel && self->running && parcel == self->parcels && one_in(2) &&
        (!warns || self->order.deed == HANGS))
        self->ends_at = mpx_earlier(self->ends_at, mpx_now() + (int64_t)chance(1000) * 1000);
}

/* It may be about to take it up. */
bool crewman_call_back(crewman_t *self, uint64_t chunk)
{
    parcel_t *parcel = find(self, chunk);
    if (!parcel || parcel->taken_up || (parcel == self->parcels && one_in(2)))
        return false;
    parcel->called_back = true;
    return true;
}

void crewman_signal(crewman_t *self, int signal, bool in_vain)
{
    self->stopped_at = mpx_now();
    if (in_vain)
        return;
    int64_t at = mpx_now() + (int64_t)chance(1000) * 1000;
    self->dies_at = mpx_earlier(self->dies_at, at);
    self->signal = signal;
}

/* ---- what it says ------------------------------------------------------------------- */

/* Takes the payload. */
static void say(crewman_t *self, const mpx_header_t *header, mpx_buf_t *payload)
{
    letter_t *letter = calloc(1, sizeof *letter);
    MUST(letter, "no memory");
    letter->at = self->free_at + (one_in(2) ? 0 : (int64_t)chance(LANE_US) * 1000);
    if (self->letters && self->letters->prev->at > letter->at)
        letter->at = self->letters->prev->at;
    letter->header = *header;
    if (payload)
        letter->payload = *payload;
    DL_APPEND(self->letters, letter);
}

letter_t *crewman_letter(crewman_t *self, int64_t now)
{
    return self->letters && self->letters->at <= now ? self->letters : NULL;
}

static mpx_header_t result_of(const crewman_t *self, uint32_t count, int64_t busy_ns)
{
    const parcel_t *parcel = self->parcels;
    return (mpx_header_t){.op = MPX_OP_RESULT,
                          .chunk = parcel->header.chunk,
                          .first = parcel->header.first + parcel->done - count,
                          .count = count,
                          .busy_ns = (uint64_t)busy_ns};
}

static void say_values(crewman_t *self)
{
    if (!self->values)
        return;
    mpx_header_t header = result_of(self, self->values, self->busy_ns);
    header.item_bytes = sizeof(uint64_t);
    say(self, &header, &self->gathered);
    self->gathered = (mpx_buf_t){0};
    self->values = 0;
    self->busy_ns = 0;
}

static void gather(crewman_t *self, int64_t busy_ns)
{
    uint64_t value = order_value(&self->order);
    MUST(mpx_buf_add(&self->gathered, &value, sizeof value) == MP_OK, "no memory");
    self->values++;
    self->busy_ns += busy_ns;
    if (one_in(4) || self->parcels->done == self->parcels->header.count)
        say_values(self);
}

static void say_record(crewman_t *self, mp_rc_t rc, int64_t busy_ns)
{
    uint64_t value = order_value(&self->order);
    mpx_failure_t failure = {
        .message = "as asked for", .host = "simulated", .attempt = self->parcels->header.attempt};
    mpx_buf_t detail = {0}, records = {0};
    mpx_record_t record = {.rc = rc};
    if (rc != MP_OK)
        MUST(mpx_failure_pack(&failure, &detail) == MP_OK, "a failure can't be packed");
    else
        record.value = (mp_bytes_t){&value, sizeof value};
    record.detail = mpx_buf_bytes(&detail);
    MUST(mpx_record_add(&records, &record) == MP_OK, "a record can't be packed");
    mpx_header_t header = result_of(self, 1, busy_ns);
    say(self, &header, &records);
    mpx_buf_free(&detail);
}

static void say_progress(crewman_t *self)
{
    const parcel_t *parcel = self->parcels;
    mpx_progress_t progress = {.done = 1, .total = 2, .text = "half"};
    mpx_buf_t body = {0};
    MUST(mpx_progress_pack(&progress, &body) == MP_OK, "a PROGRESS can't be packed");
    mpx_header_t header = {.op = MPX_OP_PROGRESS,
                           .chunk = parcel->header.chunk,
                           .first = parcel->header.first + parcel->done};
    say(self, &header, &body);
}

/* ---- chunks ------------------------------------------------------------------------- */

static void retire(crewman_t *self)
{
    self->retires = true;
    self->dies_at = mpx_earlier(self->dies_at, self->free_at);
}

/* Sometimes it has grown too large. */
static void end_parcel(crewman_t *self)
{
    parcel_t *parcel = self->parcels;
    bool spent = self->left && !(self->left -= parcel->done);
    parcel_free(self, parcel);
    if (spent || (suffers(TASKS) && one_in(200)))
        retire(self);
}

/* It is its owner's again. */
static void hand_back(crewman_t *self)
{
    const parcel_t *parcel = self->parcels;
    mpx_header_t header = {.op = MPX_OP_RETURNED,
                           .chunk = parcel->header.chunk,
                           .first = parcel->header.first + parcel->done,
                           .count = parcel->header.count - parcel->done};
    say(self, &header, NULL);
}

/* All that isn't done, also what it would have been too old for. */
static void answer_with_code(crewman_t *self, mp_rc_t why)
{
    const parcel_t *parcel = self->parcels;
    mpx_header_t header = result_of(self, 0, 0);
    header.count = parcel->header.count - parcel->done;
    header.code = why;
    say(self, &header, NULL);
}

static bool is_cancelled(const crewman_t *self)
{
    return self->cancelled == self->parcels->header.chunk;
}

static bool is_to_end(const crewman_t *self)
{
    const parcel_t *parcel = self->parcels;
    return is_cancelled(self) || self->gives_back ||
           (parcel->done > 0 && self->free_at >= parcel->yield_at);
}

static void give_up(crewman_t *self)
{
    say_values(self);
    if (is_cancelled(self))
        answer_with_code(self, MP_ECANCELLED);
    else if (self->gives_back)
        answer_with_code(self, MP_EDRAINING);
    else
        hand_back(self);
    end_parcel(self);
}

static void take_up(crewman_t *self)
{
    parcel_t *parcel = self->parcels;
    int64_t time_ns = (int64_t)parcel->header.busy_ns;
    if (parcel->called_back || self->gives_back) {
        if (parcel->called_back)
            hand_back(self);
        else
            answer_with_code(self, MP_EDRAINING);
        parcel_free(self, parcel);
        return;
    }
    mpx_header_t header = {
        .op = MPX_OP_STARTED, .chunk = parcel->header.chunk, .first = parcel->header.first};
    MUST(time_ns == 0 || self->proc->role == CLIENT, "a peer's chunk has a time");
    parcel->taken_up = true;
    parcel->yield_at = time_ns ? self->free_at + time_ns : MPX_NEVER;
    if (self->left && self->left < parcel->most)
        parcel->most = (uint32_t)self->left;
    say(self, &header, NULL);
}

/* ---- calls -------------------------------------------------------------------------- */

static void begin_call(crewman_t *self)
{
    parcel_t *parcel = self->parcels;
    mp_bytes_t item;
    MUST(mpx_item_next(&parcel->rest, parcel->header.item_bytes, &item) == MP_OK &&
             order_read(item, &self->order),
         "an executor was given garbage");
    MUST(self->proc->tasks >> self->order.task & 1, "a call of a task that isn't offered here");
    MUST(goods_meet(goods_of(self->proc->goods), goods_of(self->order.needs)),
         "a call that needs '%s' begins where there is '%s'", goods_text(self->order.needs),
         goods_text(self->proc->goods));
    calls_begun(&self->order, parcel->header.attempt, parcel->unwanted);
    recalls_begun(self->proc, &self->order);
    if (one_in(16))
        say_progress(self);
    self->running = true;
    self->begun_at = self->free_at;
    self->ends_at =
        self->order.deed == HANGS ? MPX_NEVER : self->begun_at + self->order.run_us * INT64_C(1000);
}

static bool crashes(const crewman_t *self)
{
    return self->order.deed == CRASHES ||
           (self->order.deed == CRASHES_ONCE && self->parcels->header.attempt == 1);
}

static void end_call(crewman_t *self)
{
    parcel_t *parcel = self->parcels;
    int64_t busy_ns = self->ends_at - self->begun_at;
    self->free_at = self->ends_at;
    if (crashes(self)) {
        self->dies_at = self->ends_at;
        self->signal = 11;
        self->ends_at = MPX_NEVER;
        return;
    }
    self->running = false;
    deed_t deed = (deed_t)self->order.deed;
    bool well = deed != FAILS && deed != HANGS;
    if (!well || !parcel->header.item_bytes)
        say_values(self);
    parcel->done++;
    if (well && parcel->header.item_bytes)
        gather(self, busy_ns);
    else
        say_record(self, well ? MP_OK : MP_EFAILED, busy_ns);
    if (parcel->done == parcel->most) {
        say_values(self);
        end_parcel(self);
    }
}

/* false: there is nothing to do just now. */
static bool step(crewman_t *self, int64_t now)
{
    parcel_t *parcel = self->parcels;
    if (self->running) {
        if (self->ends_at > now || self->ends_at > self->dies_at)
            return false;
        end_call(self);
        return true;
    }
    if (!parcel || self->retires || self->free_at >= self->dies_at)
        return false;
    if (self->free_at < parcel->came_at)
        self->free_at = parcel->came_at;
    if (!parcel->taken_up)
        take_up(self);
    else if (is_to_end(self))
        give_up(self);
    else
        begin_call(self);
    return true;
}

void crewman_work(crewman_t *self, int64_t now)
{
    while (step(self, now))
        ;
}

void crewman_end(crewman_t *self)
{
    if (self->running && self->stopped_at && mpx_now() - self->stopped_at < EXCUSE_MS * MPX_MS)
        calls_excused(&self->order);
    if (self->parcels)
        say_values(self);
    for (letter_t *letter = self->letters; letter; letter = letter->next)
        letter->at = 0;
}

int64_t crewman_next(const crewman_t *self)
{
    if (!self->up)
        return self->up_at;
    int64_t next = self->letters ? self->letters->at : MPX_NEVER;
    if (self->running)
        next = mpx_earlier(next, self->ends_at);
    else if (self->parcels && !self->retires && self->free_at < self->dies_at)
        return 0;
    return mpx_earlier(next, self->dies_at);
}

bool crewman_is_busy(const crewman_t *self)
{
    return self->parcels || self->letters;
}
