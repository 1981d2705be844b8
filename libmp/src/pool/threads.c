/* threads.c: a pool's calls in this process: on threads, or in the caller.
 *
 * A call that crashes takes the program along, and one that doesn't listen can't be stopped: when
 * it is cancelled or out of time its thread is left to itself, its outcome is told, and another
 * thread takes its place.
 */
#include "backend.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "hand.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

/* A hand that works for us. */
typedef struct seat {
    uint64_t worker;
    mpx_hand_t *hand;
    bool up;
    bool draining; /* it is one too many, and ends when it has nothing left */
    struct seat *prev, *next;
} seat_t;

typedef struct threads {
    mpx_backend_t base;
    mpx_hand_options_t hand;
    mpx_tray_t *tray;
    seat_t *seats; /* oldest first */
    uint64_t last_worker;
    uint64_t lost; /* a worker that the engine is to be told of; 0: none */
    int draining;
    int expected; /* hands that have not greeted yet */
    bool is_inline;
    mpx_traits_t have;
    uint64_t stopped;
    uint64_t generation;
    char host[256];
} threads_t;

enum { HORIZON_MS = 2, CREDIT_BYTES = 2 * 1024 * 1024, LAST_MS = 2000 };

static seat_t *find_seat(const threads_t *self, uint64_t worker)
{
    seat_t *seat;
    DL_FOREACH (self->seats, seat)
        if (seat->worker == worker)
            break;
    return seat;
}

static mp_rc_t add_seat(threads_t *self)
{
    seat_t *seat = calloc(1, sizeof *seat);
    if (!seat)
        return mpx_fault(MP_ENOMEM, "a worker");
    seat->worker = ++self->last_worker;
    self->hand.worker = seat->worker;
    mp_rc_t rc = mpx_hand_new(self->tray, &self->hand, &seat->hand);
    if (rc != MP_OK) {
        free(seat);
        return rc;
    }
    DL_APPEND(self->seats, seat);
    return MP_OK;
}

static void remove_seat(threads_t *self, seat_t *seat, bool at_once)
{
    DL_DELETE(self->seats, seat);
    mpx_hand_dismiss(&seat->hand, at_once);
    free(seat);
}

/* ---- towards the hands --------------------------------------------------------------------------
 */

static mp_rc_t transport_send(void *arg, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    const seat_t *seat = find_seat(arg, worker);
    return seat ? mpx_hand_give(seat->hand, header, payload) : MP_ECLOSED;
}

static void transport_stop(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)job;
    threads_t *self = arg;
    const seat_t *seat = find_seat(self, worker);
    if (seat && why == MP_ECANCELLED)
        mpx_hand_cancel(seat->hand, chunk);
    if (seat && stage == MPX_STOP_KILL && !self->is_inline)
        self->lost = worker; /* the engine must not be called from here */
}

/* ---- news from them -----------------------------------------------------------------------------
 */

static mp_rc_t on_hello(threads_t *self, int64_t now, seat_t *seat)
{
    mpx_worker_spec_t spec = {.slots = 1,
                              .horizon_ns = HORIZON_MS * MPX_MS,
                              .credit_bytes = CREDIT_BYTES,
                              .have = &self->have,
                              .shares = true};
    seat->up = true;
    if (self->expected > 0 && --self->expected == 0)
        self->base.ready = true;
    return mpx_engine_worker_join(self->base.engine, now, seat->worker, NULL, &spec);
}

static mp_rc_t on_failed(threads_t *self, int64_t now, const mpx_letter_t *letter)
{
    mpx_problem_t problem;
    void *arena = NULL;
    mp_rc_t rc = mpx_problem_unpack((mp_bytes_t){letter->payload, letter->size}, &problem, &arena);
    if (rc == MP_OK)
        rc = mpx_backend_fail(&self->base, now, (mp_rc_t)letter->header.code, MP_EWORKERLOST,
                              problem.message);
    free(arena);
    return rc;
}

/* Leave a hand to itself, and take another one. */
static mp_rc_t replace_lost(threads_t *self, int64_t now)
{
    mpx_loss_t loss = {.rc = MP_ECRASHED, .host = self->host, .name = "a worker thread"};
    seat_t *seat = find_seat(self, self->lost);
    mp_rc_t rc = MP_OK;
    loss.pid = (uint32_t)getpid();
    if (seat) {
        rc =
            mpx_engine_worker_lost(self->base.engine, now, seat->worker, MPX_CHARGE_RUNNING, &loss);
        remove_seat(self, seat, true);
        self->stopped++;
    }
    self->lost = 0;
    return rc == MP_OK ? add_seat(self) : rc;
}

static mp_rc_t on_letter(threads_t *self, int64_t now, const mpx_letter_t *letter)
{
    seat_t *seat = find_seat(self, letter->worker);
    if (!seat)
        return MP_OK; /* from one that was left to itself */
    if (letter->header.op == MPX_OP_HELLO)
        return on_hello(self, now, seat);
    if (letter->header.op == MPX_OP_ERROR && !letter->header.job)
        return on_failed(self, now, letter);
    if (letter->header.op == MPX_OP_BYE) {
        self->lost = letter->worker;
        return replace_lost(self, now);
    }
    return mpx_engine_message(self->base.engine, now, letter->worker, &letter->header,
                              (mp_bytes_t){letter->payload, letter->size});
}

static mp_rc_t end_drained(threads_t *self, int64_t now)
{
    mpx_loss_t loss = {.rc = MP_EWORKERLOST, .host = self->host, .name = "a worker thread"};
    mp_rc_t rc = MP_OK;
    for (seat_t *seat = self->seats, *next; seat && rc == MP_OK && self->draining; seat = next) {
        uint32_t given = 0;
        mpx_tally_t tally;
        next = seat->next;
        if (!seat->draining ||
            !mpx_engine_worker_tally(self->base.engine, seat->worker, &given, &tally) || given)
            continue;
        rc = mpx_engine_worker_lost(self->base.engine, now, seat->worker, MPX_CHARGE_NONE, &loss);
        remove_seat(self, seat, false);
        self->draining--;
    }
    return rc;
}

static bool work_inline(const threads_t *self)
{
    return self->is_inline && self->seats && mpx_hand_work(self->seats->hand);
}

static mp_rc_t turn(mpx_backend_t *base, int64_t now)
{
    threads_t *self = (threads_t *)base;
    mpx_letter_t *letter;
    mp_rc_t rc = MP_OK;
    do {
        now = self->is_inline ? mpx_now() : now; /* calls take time */
        while (rc == MP_OK && (letter = mpx_tray_take(self->tray))) {
            rc = on_letter(self, now, letter);
            free(letter);
        }
        if (rc == MP_OK && mpx_engine_deadline(base->engine) <= now)
            rc = mpx_engine_tick(base->engine, now);
        if (rc == MP_OK && self->lost)
            rc = replace_lost(self, now);
        if (rc == MP_OK && self->draining)
            rc = end_drained(self, now);
    } while (rc == MP_OK && work_inline(self));
    return rc;
}

static bool may_sleep(mpx_backend_t *base)
{
    return mpx_tray_sleep(((threads_t *)base)->tray);
}

static int fd(const mpx_backend_t *base)
{
    return mpx_tray_fd(((const threads_t *)base)->tray);
}

static int64_t deadline(const mpx_backend_t *base)
{
    return mpx_engine_deadline(base->engine);
}

static mp_rc_t resize(mpx_backend_t *base, int64_t now, uint32_t processes)
{
    threads_t *self = (threads_t *)base;
    mp_rc_t rc = MP_OK;
    if (self->is_inline)
        return mpx_fault(MP_EINVAL, "there is one caller, and it runs the calls");
    for (; rc == MP_OK && base->processes < (int)processes; base->processes++)
        rc = add_seat(self);
    for (seat_t *seat = self->seats, *next; seat && base->processes > (int)processes; seat = next) {
        next = seat->next;
        if (!seat->up || seat->draining)
            continue;
        rc = mpx_engine_worker_drain(base->engine, now, seat->worker);
        seat->draining = true;
        self->draining++;
        base->processes--;
    }
    return rc;
}

static void stat(const mpx_backend_t *base, mp_pool_stat_t *out)
{
    const threads_t *self = (const threads_t *)base;
    const seat_t *seat;
    DL_FOREACH (self->seats, seat)
        out->workers += seat->up && !seat->draining;
    out->started = self->last_worker;
    out->stopped = self->stopped;
}

static void destroy(mpx_backend_t *base)
{
    threads_t *self = (threads_t *)base;
    bool copied = self->generation != mpx_fork_generation();
    while (self->seats &&
           !copied) /* in a forked child there are no threads, and locks may be held */
        remove_seat(self, self->seats, true);
    if (!copied && self->tray) {
        mpx_tray_wait(self->tray, LAST_MS);
        mpx_tray_release(&self->tray);
    }
    mpx_engine_destroy(&base->engine);
    free(self);
}

static const mpx_backend_ops_t ops = {
    .turn = turn,
    .may_sleep = may_sleep,
    .fd = fd,
    .deadline = deadline,
    .destroy = destroy,
    .resize = resize,
    .stat = stat,
};

static mp_rc_t load_modules(const char *const *load)
{
    mp_rc_t rc = MP_OK;
    for (; rc == MP_OK && load && *load; load++)
        rc = mp_task_load(*load);
    return rc;
}

mp_rc_t mpx_threads_new(const mp_pool_options_t *options, mpx_backend_t **out)
{
    threads_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pool");
    self->base.ops = &ops;
    self->base.limits_here = true;
    self->base.matches = true;
    self->base.meets_here = true;
    self->base.own_output = true;
    self->is_inline = options->workers == MP_INLINE;
    self->generation = mpx_fork_generation();
    if (gethostname(self->host, sizeof self->host - 1))
        strcpy(self->host, "localhost");
    self->hand = (mpx_hand_options_t){.thread = !self->is_inline,
                                      .host = self->host,
                                      .initializer = options->initializer,
                                      .initializer_arg = options->initializer_arg};
    self->base.processes = options->processes > 0 ? options->processes : mp_cpu_count();
    if (self->is_inline)
        self->base.processes = 1;
    self->expected = self->base.processes;
    mpx_transport_t transport = {.self = self, .send = transport_send, .stop = transport_stop};
    mp_rc_t rc = mpx_traits_parse(options->have, &self->have);
    if (rc == MP_OK)
        rc = load_modules(options->load);
    if (rc == MP_OK)
        rc = mpx_tray_new(&self->tray);
    if (rc == MP_OK)
        rc = mpx_engine_new(&transport, self->host, &self->base.engine);
    for (int i = 0; rc == MP_OK && i < self->base.processes; i++)
        rc = add_seat(self);
    if (rc != MP_OK) {
        destroy(&self->base);
        return rc;
    }
    *out = &self->base;
    return MP_OK;
}
