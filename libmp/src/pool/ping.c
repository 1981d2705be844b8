/* ping.c: a question to a broker, and an order: PING, PONG; DISMISS, DISMISSED. */
#include <mp/broker.h>

#include "ask.h"
#include "clock.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE = 1 };

/* ---- how it is ------------------------------------------------------------------------ */

typedef struct ping {
    int64_t sent_at;
    mp_broker_info_t info;
} ping_t;

static mp_rc_t ping_up(void *arg, mpx_session_t *session)
{
    ping_t *self = arg;
    mpx_header_t header = {.op = MPX_OP_PING, .nonce = NONCE};
    self->sent_at = mpx_now();
    return mpx_session_send(session, &header, (mp_bytes_t){0});
}

static mp_rc_t ping_message(void *arg, mpx_session_t *session, const mpx_header_t *header,
                            mp_bytes_t payload, bool *done)
{
    (void)session;
    ping_t *self = arg;
    mpx_status_t status;
    void *arena = NULL;
    if (header->op != MPX_OP_PONG || header->nonce != NONCE)
        return MP_OK;
    mp_rc_t rc = mpx_status_unpack(payload, &status, &arena);
    if (rc != MP_OK)
        return rc;
    *done = true;
    self->info = (mp_broker_info_t){
        .uptime_ms = status.uptime_ms,
        .workers = status.workers,
        .executors = status.executors,
        .clients = status.clients,
        .calls_queued = status.calls_queued,
        .calls_running = status.calls_running,
        .draining = status.draining,
        .open_jobs = status.open_jobs,
        .drain_ms = status.drain_ms,
        .round_trip_us = (uint64_t)(mpx_now() - self->sent_at) / 1000,
    };
    snprintf(self->info.version, sizeof self->info.version, "%s", status.software);
    free(arena);
    return MP_OK;
}

mp_rc_t mp_broker_ping(const char *endpoint, int timeout_ms, mp_broker_info_t *out)
{
    ping_t self = {0};
    mpx_ask_t ask = {.self = &self, .up = ping_up, .message = ping_message};
    mp_rc_t rc = mpx_ask(&ask, endpoint, timeout_ms);
    if (rc == MP_OK && out)
        *out = self.info;
    return rc;
}

/* ---- workers sent home ---------------------------------------------------------------- */

typedef struct order {
    const char *endpoint;
    const char *worker;
    uint32_t told;
} order_t;

static mp_rc_t dismiss_up(void *arg, mpx_session_t *session)
{
    const order_t *self = arg;
    mpx_header_t header = {.op = MPX_OP_DISMISS, .nonce = NONCE};
    return mpx_session_send(session, &header, (mp_bytes_t){self->worker, strlen(self->worker)});
}

static mp_rc_t dismiss_message(void *arg, mpx_session_t *session, const mpx_header_t *header,
                               mp_bytes_t payload, bool *done)
{
    (void)session;
    order_t *self = arg;
    mpx_problem_t problem;
    void *arena = NULL;
    if (header->op != MPX_OP_DISMISSED || header->nonce != NONCE)
        return MP_OK;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    *done = true;
    self->told = header->count;
    if (header->code)
        rc = mpx_fault(header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO, "%s: %s",
                       self->endpoint, problem.message);
    free(arena);
    return rc;
}

mp_rc_t mp_broker_dismiss(const char *endpoint, const char *worker, int timeout_ms, int *count)
{
    if (!worker || !*worker)
        return mpx_fault(MP_EINVAL, "no worker's name");
    order_t self = {.endpoint = endpoint, .worker = worker};
    mpx_ask_t ask = {.self = &self, .up = dismiss_up, .message = dismiss_message};
    mp_rc_t rc = mpx_ask(&ask, endpoint, timeout_ms);
    if (rc == MP_OK && count)
        *count = (int)self.told;
    return rc;
}
