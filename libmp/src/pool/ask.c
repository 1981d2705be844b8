#include "ask.h"

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <poll.h>

static mp_rc_t on_event(const mpx_ask_t *self, mpx_session_t *session,
                        const mpx_session_event_t *event, bool *done)
{
    switch (event->kind) {
    case MPX_SESSION_UP:
        return self->up(self->self, session);
    case MPX_SESSION_MESSAGE:
        return self->message(self->self, session, &event->header, event->payload, done);
    case MPX_SESSION_AWAY:
    case MPX_SESSION_BACK:
    case MPX_SESSION_LOST:
        return MP_OK; /* it tries again until the time is up */
    case MPX_SESSION_FAILED:
        break;
    }
    return mpx_fault(event->rc, "%s", mpx_session_problem(session));
}

static mp_rc_t take_events(const mpx_ask_t *self, mpx_session_t *session, bool *done)
{
    mpx_session_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && !*done) {
        rc = mpx_session_next(session, mpx_now(), &event);
        if (rc == MP_OK)
            rc = on_event(self, session, &event, done);
    }
    return rc == MP_EBUSY ? MP_OK : rc;
}

static mp_rc_t converse(const mpx_ask_t *self, mpx_session_t *session, const char *endpoint,
                        int64_t deadline)
{
    bool done = false;
    for (;;) {
        mp_rc_t rc = take_events(self, session, &done);
        if (rc != MP_OK || done)
            return rc;
        int64_t now = mpx_now();
        if (now >= deadline) {
            const char *problem = mpx_session_problem(session);
            if (*problem)
                return mpx_fault(MP_ECONNECT, "%s", problem);
            return mpx_fault(MP_ECONNECT, "%s: no answer in time; is mp-broker running there?",
                             endpoint);
        }
        int64_t until = mpx_earlier(deadline, mpx_session_deadline(session));
        struct pollfd fd = {.fd = mpx_session_fd(session), .events = POLLIN};
        int wait_ms = mpx_session_ready(session) ? 0 : mpx_poll_ms(now, until);
        if (poll(&fd, 1, wait_ms) < 0 && errno != EINTR)
            return mpx_fault_errno("waiting for %s", endpoint);
    }
}

mp_rc_t mpx_ask(const mpx_ask_t *self, const char *endpoint, int timeout_ms)
{
    if (!endpoint)
        return mpx_fault(MP_EINVAL, "no endpoint");
    mpx_session_t *session = NULL;
    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT, .looks = true};
    mpx_session_options_t options = {
        .endpoint = endpoint, .hello = &hello, .give_up_ms = -1, .by_hand = true};
    int64_t now = mpx_now();
    mp_rc_t rc = mpx_session_new(&options, now, &session);
    if (rc == MP_OK)
        rc = converse(self, session, endpoint, mpx_deadline(now, timeout_ms));
    mpx_session_destroy(&session);
    return rc;
}
