#include <mp/broker.h>

#include "clock.h"
#include "fault.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* A question to a broker: connect, PING, PONG. */
typedef struct ping {
    mpx_session_t *session;
    int64_t sent_at;
    bool answered;
    mp_broker_info_t info;
} ping_t;

static mp_rc_t on_pong(ping_t *self, mp_bytes_t payload, int64_t now)
{
    mpx_status_t status;
    void *arena = NULL;
    mp_rc_t rc = mpx_status_unpack(payload, &status, &arena);
    if (rc != MP_OK)
        return rc;
    self->answered = true;
    self->info = (mp_broker_info_t){
        .uptime_ms = status.uptime_ms,
        .workers = status.workers,
        .executors = status.executors,
        .clients = status.clients,
        .calls_queued = status.calls_queued,
        .calls_running = status.calls_running,
        .round_trip_us = (uint64_t)(now - self->sent_at) / 1000,
    };
    snprintf(self->info.version, sizeof self->info.version, "%s", status.software);
    free(arena);
    return MP_OK;
}

static mp_rc_t on_event(ping_t *self, const mpx_session_event_t *event)
{
    mpx_header_t header = {.op = MPX_OP_PING, .nonce = 1};
    switch (event->kind) {
    case MPX_SESSION_UP:
        self->sent_at = mpx_now();
        return mpx_session_send(self->session, &header, (mp_bytes_t){0});
    case MPX_SESSION_MESSAGE:
        if (event->header.op == MPX_OP_PONG && event->header.nonce == header.nonce)
            return on_pong(self, event->payload, mpx_now());
        return MP_OK;
    case MPX_SESSION_AWAY:
    case MPX_SESSION_BACK:
    case MPX_SESSION_LOST:
        return MP_OK; /* it tries again until the time is up */
    case MPX_SESSION_FAILED:
        break;
    }
    return mpx_fault(event->rc, "%s", mpx_session_problem(self->session));
}

static mp_rc_t take_events(ping_t *self)
{
    mpx_session_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && !self->answered) {
        rc = mpx_session_next(self->session, mpx_now(), &event);
        if (rc == MP_OK)
            rc = on_event(self, &event);
    }
    return rc == MP_EBUSY ? MP_OK : rc;
}

static mp_rc_t converse(ping_t *self, const char *endpoint, int64_t deadline)
{
    for (;;) {
        mp_rc_t rc = take_events(self);
        if (rc != MP_OK || self->answered)
            return rc;
        int64_t now = mpx_now();
        if (now >= deadline) {
            const char *problem = mpx_session_problem(self->session);
            return *problem ? mpx_fault(MP_ECONNECT, "%s", problem)
                            : mpx_fault(MP_ECONNECT, "%s: no answer in time", endpoint);
        }
        int64_t until = mpx_earlier(deadline, mpx_session_deadline(self->session));
        struct pollfd fd = {.fd = mpx_session_fd(self->session), .events = POLLIN};
        int wait_ms = mpx_session_ready(self->session) ? 0 : mpx_poll_ms(now, until);
        if (poll(&fd, 1, wait_ms) < 0 && errno != EINTR)
            return mpx_fault_errno("waiting for %s", endpoint);
    }
}

mp_rc_t mp_broker_ping(const char *endpoint, int timeout_ms, mp_broker_info_t *out)
{
    if (!endpoint)
        return mpx_fault(MP_EINVAL, "no endpoint");
    ping_t self = {0};
    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT};
    mpx_session_options_t options = {.endpoint = endpoint, .hello = &hello, .give_up_ms = -1};
    int64_t now = mpx_now();
    mp_rc_t rc = mpx_session_new(&options, now, &self.session);
    if (rc == MP_OK)
        rc = converse(&self, endpoint, mpx_deadline(now, timeout_ms));
    mpx_session_destroy(&self.session);
    if (rc == MP_OK && out)
        *out = self.info;
    return rc;
}
