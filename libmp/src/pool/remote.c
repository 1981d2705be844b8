/* remote.c: a pool's calls on the workers of a broker. To this engine the broker is one
 * worker with as many slots as it has executors. */
#include "backend.h"

#include "clock.h"
#include "fault.h"
#include "session.h"
#include "shipment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

typedef struct remote {
    mpx_backend_t base;
    mpx_session_t *session;
    char name[MP_TASK_NAME_MAX + 256]; /* "broker tcp://…" */
    uint64_t worker;                   /* the broker in the present session; 0: not connected */
    uint64_t last_worker;              /* ids are never reused */
    uint64_t result_bytes;             /* the broker holds our jobs above it */
    uint64_t unacked_bytes;
    uint32_t unacked;          /* messages */
    mpx_question_t *questions; /* open ones */
    uint64_t last_nonce;
    mpx_errand_t *errands;
    bool online;     /* errands may send */
    bool drains;     /* the broker said so: it gets nothing new that isn't to be run now */
    bool tells_anew; /* of delayed calls it knows nothing */
    uint64_t told;   /* what they are a change of */
    int64_t tell_at; /* then it may be told of the next */
    mpx_shipment_t *shipments;
    mpx_turnover_t turnover; /* of its executors, as far as this pool has been there */
    mpx_turnover_t heard;    /* of that broker's, since it was started: */
    int64_t heard_of;        /* when that was; 0: nothing was heard yet */
} remote_t;

/* The way to a worker and back by two hops, and the broker's own queue between. */
enum { HORIZON_MS = 10, CONNECT_MS = 10000 };

/* It is told of delayed calls not more often than that. */
enum { TELL_MS = 200 };

/* A broker that keeps results until they are acknowledged shouldn't have many small ones. */
enum { UNACKED_MAX = 256 };

#define UPTIME_MAX_MS (UINT64_C(1) << 40)

static mp_rc_t transport_send(void *self, uint64_t worker, const mpx_header_t *header,
                              mp_bytes_t payload)
{
    (void)worker;
    return mpx_session_send(((remote_t *)self)->session, header, payload);
}

/* What follows upon a CANCEL is up to where the call runs. */
static void transport_stop(void *self, uint64_t worker, uint64_t job, uint64_t chunk,
                           mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)worker;
    (void)why;
    if (stage != MPX_STOP_ASK)
        return;
    mpx_header_t header = {.op = MPX_OP_CANCEL, .job = job, .chunk = chunk};
    (void)mpx_session_send(((remote_t *)self)->session, &header, (mp_bytes_t){0});
}

/* ---- what its workers are at ------------------------------------------------------ */

static mp_rc_t ask(mpx_backend_t *base, mpx_question_t *question)
{
    remote_t *self = (remote_t *)base;
    question->nonce = ++self->last_nonce;
    mpx_header_t header = {.op = MPX_OP_SURVEY, .nonce = question->nonce};
    mp_rc_t rc = mpx_session_send(self->session, &header, (mp_bytes_t){0});
    if (rc == MP_ECLOSED)
        rc = mpx_fault(MP_EBROKERLOST, "%s is not connected just now", self->name);
    if (rc == MP_OK)
        DL_APPEND(self->questions, question);
    return rc;
}

static void withdraw(mpx_backend_t *base, mpx_question_t *question)
{
    if (!question->over)
        DL_DELETE(((remote_t *)base)->questions, question);
}

static void end_question(remote_t *self, mpx_question_t *question, mp_rc_t rc)
{
    DL_DELETE(self->questions, question);
    question->over = true;
    question->rc = rc;
}

static void lose_questions(remote_t *self)
{
    while (self->questions)
        end_question(self, self->questions, MP_EBROKERLOST);
}

/* ---- modules for them -------------------------------------------------------------- */

static mp_rc_t ship(mpx_backend_t *base, mpx_shipment_t *shipment)
{
    remote_t *self = (remote_t *)base;
    shipment->nonce = ++self->last_nonce;
    DL_APPEND(self->shipments, shipment);
    mp_rc_t rc = mpx_shipment_announce(shipment, self->session);
    return rc == MP_ECLOSED ? MP_OK : rc; /* it is announced with the next connection */
}

static mp_rc_t announce_all(const remote_t *self)
{
    mp_rc_t rc = MP_OK;
    const mpx_shipment_t *shipment;
    DL_FOREACH (self->shipments, shipment)
        if (rc != MP_ENOMEM)
            rc = mpx_shipment_announce(shipment, self->session);
    return rc == MP_ENOMEM ? rc : MP_OK;
}

static void lose_shipments(remote_t *self)
{
    mpx_shipment_t *shipment;
    DL_FOREACH (self->shipments, shipment)
        if (!shipment->over) {
            shipment->over = true;
            shipment->rc = MP_EBROKERLOST;
            snprintf(shipment->problem, sizeof shipment->problem, "%s: the broker was lost",
                     shipment->ship.name);
        }
}

/* ---- the broker's answers ------------------------------------------------------------ */

static mp_rc_t on_census(remote_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_question_t *question;
    DL_FOREACH (self->questions, question)
        if (question->nonce == header->nonce)
            break;
    if (!question)
        return MP_OK; /* nobody waits for it any more */
    if (!payload.size) {
        end_question(self, question, (mp_rc_t)header->code);
        return MP_OK;
    }
    mpx_executor_stat_t stat;
    void *arena = NULL;
    mp_rc_t rc = mpx_executor_stat_unpack(payload, &stat, &arena);
    if (rc != MP_OK)
        return rc;
    if (question->count++ < question->room)
        mpx_worker_stat_fill(&question->entries[question->count - 1], &stat);
    free(arena);
    return MP_OK;
}

/* ---- errands ---------------------------------------------------------------------- */

static void errand_begin(mpx_backend_t *base, mpx_errand_t *errand)
{
    remote_t *self = (remote_t *)base;
    errand->nonce = ++self->last_nonce;
    DL_APPEND(self->errands, errand);
    if (self->online)
        errand->on_link(errand, MP_OK);
}

static void errand_end(mpx_backend_t *base, mpx_errand_t *errand)
{
    DL_DELETE(((remote_t *)base)->errands, errand);
}

static mp_rc_t errand_send(mpx_backend_t *base, const mpx_header_t *header, mp_bytes_t payload)
{
    remote_t *self = (remote_t *)base;
    return self->online ? mpx_session_send(self->session, header, payload) : MP_ECLOSED;
}

static void tell_errands(remote_t *self, mp_rc_t rc)
{
    mpx_errand_t *errand;
    self->online = rc == MP_OK;
    DL_FOREACH (self->errands, errand)
        errand->on_link(errand, rc);
}

/* Nobody may wait for it any more. */
static void on_errand(const remote_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_errand_t *errand;
    DL_FOREACH (self->errands, errand)
        if (errand->nonce == header->nonce) {
            errand->on_message(errand, header, payload);
            return;
        }
}

/* Those that the broker counts against our credit. */
static bool costs_credit(const mpx_header_t *header)
{
    return header->op == MPX_OP_JOB_GIVE || header->op == MPX_OP_JOB_SAID ||
           (header->op == MPX_OP_JOB_INFO &&
            (header->kind == MPX_OP_JOB_LIST || header->kind == MPX_OP_JOB_DEAD));
}

/* ---- events ----------------------------------------------------------------------- */

static mp_rc_t on_up(remote_t *self, int64_t now, const mpx_welcome_t *welcome)
{
    mpx_worker_spec_t spec = {
        .slots = welcome->executors ? welcome->executors : 1,
        .horizon_ns = HORIZON_MS * MPX_MS,
        .credit_bytes = welcome->submit_bytes,
    };
    self->worker = ++self->last_worker;
    self->drains = false;
    self->tells_anew = true;
    self->result_bytes = welcome->result_bytes;
    self->unacked_bytes = 0;
    self->unacked = 0;
    self->base.ready = true;
    self->base.processes = (int)welcome->executors;
    mp_rc_t rc = announce_all(self);
    return rc != MP_OK ? rc
                       : mpx_engine_worker_join(self->base.engine, now, self->worker, NULL, &spec);
}

/* It goes on, perhaps with fewer executors, or another broker. */
static mp_rc_t on_back(remote_t *self, int64_t now, const mpx_welcome_t *welcome)
{
    self->drains = false;
    self->tells_anew = true;
    self->result_bytes = welcome->result_bytes;
    self->unacked_bytes = 0;
    self->unacked = 0;
    self->base.processes = (int)welcome->executors;
    mp_rc_t rc = announce_all(self);
    if (rc != MP_OK)
        return rc;
    return mpx_engine_worker_slots(self->base.engine, now, self->worker,
                                   welcome->executors ? welcome->executors : 1);
}

static mp_rc_t on_lost(remote_t *self, int64_t now)
{
    mpx_loss_t loss = {.rc = MP_EBROKERLOST, .name = self->name};
    uint64_t worker = self->worker;
    self->worker = 0;
    lose_questions(self);
    return mpx_engine_worker_lost(self->base.engine, now, worker, MPX_CHARGE_ALL, &loss);
}

/* What a broker that was started anew has counted is known: its executors were there before. */
static bool is_another(const remote_t *self, const mpx_turnover_t *now, int64_t started_at)
{
    int64_t moved = started_at - self->heard_of;
    bool fell = false;
#define FELL(field) fell = fell || now->field < self->heard.field;
    MPX_TURNOVER_FIELDS(FELL)
#undef FELL
    return fell || moved > MPX_S || moved < -MPX_S;
}

/* Those that it had when this pool came were started for it. */
static void count_turnover(remote_t *self, int64_t now, const mpx_status_t *status)
{
    int64_t started_at = now - (int64_t)(status->uptime_ms % UPTIME_MAX_MS) * MPX_MS;
    mpx_turnover_t *all = &self->turnover;
    if (self->heard_of == 0)
        all->started = status->executors;
    if (self->heard_of == 0 || is_another(self, &status->turnover, started_at))
        self->heard = status->turnover;
    self->heard_of = started_at ? started_at : 1;
#define ADD(field) all->field += status->turnover.field - self->heard.field;
    MPX_TURNOVER_FIELDS(ADD)
#undef ADD
    self->heard = status->turnover;
}

/* The broker tells how many executors it has whenever that changes. */
static mp_rc_t on_status(remote_t *self, int64_t now, mp_bytes_t payload)
{
    mpx_status_t status;
    void *arena = NULL;
    mp_rc_t rc = mpx_status_unpack(payload, &status, &arena);
    if (rc != MP_OK)
        return rc;
    self->base.processes = (int)status.executors;
    count_turnover(self, now, &status);
    rc = mpx_engine_worker_slots(self->base.engine, now, self->worker,
                                 status.executors ? status.executors : 1);
    free(arena);
    return rc;
}

/* Results are acknowledged once they are in our memory, in a few large steps. */
static void acknowledge(remote_t *self, size_t bytes)
{
    self->unacked_bytes += bytes;
    self->unacked++;
    if (self->unacked < UNACKED_MAX &&
        (self->unacked_bytes == 0 || self->unacked_bytes < self->result_bytes / 8))
        return;
    mpx_header_t header = {.op = MPX_OP_ACK, .bytes = self->unacked_bytes};
    if (mpx_session_send(self->session, &header, (mp_bytes_t){0}) != MP_OK)
        return;
    self->unacked_bytes = 0;
    self->unacked = 0;
}

static mp_rc_t on_message(remote_t *self, int64_t now, const mpx_session_event_t *event)
{
    switch (event->header.op) {
    case MPX_OP_PONG:
        return on_status(self, now, event->payload);
    case MPX_OP_DRAIN:
        self->drains = true; /* what is open will be finished; new jobs are told by an ERROR */
        return MP_OK;
    case MPX_OP_RESULT:
    case MPX_OP_PROGRESS:
    case MPX_OP_OUTPUT:
        acknowledge(self, event->payload.size);
        break;
    case MPX_OP_CENSUS:
        acknowledge(self, event->payload.size);
        return on_census(self, &event->header, event->payload);
    case MPX_OP_JOB_INFO:
    case MPX_OP_JOB_GIVE:
    case MPX_OP_JOB_DONE:
    case MPX_OP_JOB_SAID:
        if (costs_credit(&event->header))
            acknowledge(self, event->payload.size);
        on_errand(self, &event->header, event->payload);
        return MP_OK;
    case MPX_OP_FETCH:
    case MPX_OP_SHIPPED:
        return mpx_shipments_message(self->shipments, self->session, &event->header,
                                     event->payload);
    default:
        break;
    }
    return mpx_engine_message(self->base.engine, now, self->worker, &event->header, event->payload);
}

static mp_rc_t on_event(remote_t *self, int64_t now, const mpx_session_event_t *event)
{
    mp_rc_t rc = MP_OK;
    switch (event->kind) {
    case MPX_SESSION_UP:
        rc = on_up(self, now, event->welcome);
        tell_errands(self, MP_OK);
        return rc;
    case MPX_SESSION_MESSAGE:
        return on_message(self, now, event);
    case MPX_SESSION_LOST:
        tell_errands(self, MP_EBROKERLOST);
        return on_lost(self, now);
    case MPX_SESSION_AWAY: /* for a moment, as far as our jobs are concerned */
        tell_errands(self, MP_EBROKERLOST);
        lose_questions(self);
        return MP_OK;
    case MPX_SESSION_BACK:
        rc = on_back(self, now, event->welcome);
        tell_errands(self, MP_OK);
        return rc;
    case MPX_SESSION_FAILED:
        mpx_fault(event->rc, "%s", mpx_session_problem(self->session));
        tell_errands(self, event->rc);
        lose_questions(self);
        lose_shipments(self);
        break;
    }
    bool turned_away = event->rc == MP_EPERM || event->rc == MP_EAUTH;
    return mpx_backend_fail(&self->base, now, event->rc, turned_away ? event->rc : MP_EBROKERLOST,
                            mpx_session_problem(self->session));
}

/* What waits here for its time the broker's people would look for in vain. MPX_NEVER: it knows. */
static int64_t tell_deadline(const remote_t *self)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->base.engine, &counts);
    bool wants = self->tells_anew || counts.delays_changed != self->told;
    return wants && self->worker && !self->drains ? self->tell_at : MPX_NEVER;
}

static mp_rc_t tell_later(remote_t *self, int64_t now)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->base.engine, &counts);
    bool anew = self->tells_anew;
    self->tells_anew = false;
    self->told = counts.delays_changed;
    if (self->told == 0)
        return MP_OK; /* there never were any */
    self->tell_at = now + TELL_MS * MPX_MS;
    return mpx_engine_tell_later(self->base.engine, now, self->worker, anew);
}

static mp_rc_t turn(mpx_backend_t *base, int64_t now)
{
    remote_t *self = (remote_t *)base;
    mpx_session_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (rc = mpx_session_next(self->session, now, &event)) == MP_OK)
        rc = on_event(self, now, &event);
    if (rc == MP_EBUSY)
        rc = MP_OK;
    if (rc == MP_EPROTO)
        rc = mpx_backend_fail(base, now, MP_EPROTO, MP_EPROTO, mp_errmsg());
    if (rc == MP_OK && mpx_engine_deadline(base->engine) <= now)
        rc = mpx_engine_tick(base->engine, now);
    if (rc == MP_OK && tell_deadline(self) <= now)
        rc = tell_later(self, now);
    return rc;
}

static bool may_sleep(mpx_backend_t *base)
{
    return !mpx_session_ready(((remote_t *)base)->session);
}

static int fd(const mpx_backend_t *base)
{
    return mpx_session_fd(((const remote_t *)base)->session);
}

static int64_t deadline(const mpx_backend_t *base)
{
    const remote_t *self = (const remote_t *)base;
    int64_t until = mpx_earlier(mpx_engine_deadline(base->engine), tell_deadline(self));
    return mpx_earlier(until, mpx_session_deadline(self->session));
}

static void destroy(mpx_backend_t *base)
{
    remote_t *self = (remote_t *)base;
    mpx_shipment_t *shipment, *next;
    DL_FOREACH_SAFE (self->shipments, shipment, next)
        mpx_shipment_free(shipment);
    mpx_session_destroy(&self->session);
    mpx_engine_destroy(&base->engine);
    free(self);
}

static void stat(const mpx_backend_t *base, mp_pool_stat_t *out)
{
    const remote_t *self = (const remote_t *)base;
    out->workers = base->processes;
    mpx_pool_stat_turnover(out, &self->turnover);
    if (!self->heard_of)
        out->started = (unsigned long long)base->processes;
}

static const mpx_backend_ops_t ops = {
    .turn = turn,
    .may_sleep = may_sleep,
    .fd = fd,
    .deadline = deadline,
    .destroy = destroy,
    .stat = stat,
    .ask = ask,
    .ship = ship,
    .withdraw = withdraw,
    .errand_begin = errand_begin,
    .errand_end = errand_end,
    .errand_send = errand_send,
};

mp_rc_t mpx_remote_new(const char *endpoint, const mp_pool_options_t *options, mpx_backend_t **out)
{
    remote_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pool");
    self->base.ops = &ops;
    self->base.matches = true;
    snprintf(self->name, sizeof self->name, "broker %s", endpoint);

    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT};
    mpx_session_options_t session = {
        .endpoint = endpoint,
        .key_file = options->key_file,
        .hello = &hello,
        .give_up_ms = options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_MS,
        .keep = true,
    };
    mpx_transport_t transport = {.self = self, .send = transport_send, .stop = transport_stop};
    mp_rc_t rc = mpx_engine_new(&transport, "", &self->base.engine);
    if (rc == MP_OK)
        rc = mpx_session_new(&session, mpx_now(), &self->session);
    if (rc != MP_OK) {
        destroy(&self->base);
        return rc;
    }
    *out = &self->base;
    return MP_OK;
}
