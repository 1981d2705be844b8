#include "errand.h"

#include "clock.h"
#include "fault.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

typedef struct run {
    const mpx_errand_t *errand;
    mpx_session_t *session;
    int64_t sent_at;
    bool answered;
} run_t;

static mp_rc_t on_message(run_t *self, const mpx_session_event_t *event)
{
    const mpx_errand_t *errand = self->errand;
    if (event->header.op != errand->answer || event->header.nonce != errand->question.nonce)
        return MP_OK;
    self->answered = true;
    return errand->answered(errand->self, &event->header, event->payload,
                            mpx_now() - self->sent_at);
}

static mp_rc_t on_event(run_t *self, const mpx_session_event_t *event)
{
    switch (event->kind) {
    case MPX_SESSION_UP:
        self->sent_at = mpx_now();
        return mpx_session_send(self->session, &self->errand->question, self->errand->payload);
    case MPX_SESSION_MESSAGE:
        return on_message(self, event);
    case MPX_SESSION_AWAY:
    case MPX_SESSION_BACK:
    case MPX_SESSION_LOST:
        return MP_OK; /* it tries again until the time is up */
    case MPX_SESSION_FAILED:
        break;
    }
    return mpx_fault(event->rc, "%s", mpx_session_problem(self->session));
}

static mp_rc_t take_events(run_t *self)
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

static mp_rc_t converse(run_t *self, int64_t deadline)
{
    const char *endpoint = self->errand->endpoint;
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

mp_rc_t mpx_errand_run(const mpx_errand_t *errand, int timeout_ms)
{
    if (!errand->endpoint)
        return mpx_fault(MP_EINVAL, "no endpoint");
    run_t self = {.errand = errand};
    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT};
    mpx_session_options_t options = {
        .endpoint = errand->endpoint, .hello = &hello, .give_up_ms = -1};
    int64_t now = mpx_now();
    mp_rc_t rc = mpx_session_new(&options, now, &self.session);
    if (rc == MP_OK)
        rc = converse(&self, mpx_deadline(now, timeout_ms));
    mpx_session_destroy(&self.session);
    return rc;
}
