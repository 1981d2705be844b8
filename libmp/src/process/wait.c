#include <mp/wait.h>

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { THINGS_MAX = 65536 };

static mp_rc_t fill(const mp_waitable_t *things, size_t count, struct pollfd *fds)
{
    for (size_t i = 0; i < count; i++) {
        const mp_process_t *process = things[i].process;
        fds[i] = (struct pollfd){.fd = process ? mp_process_sentinel(process) : things[i].fd,
                                 .events = POLLIN};
        if (process && fds[i].fd < 0)
            return mpx_fault(MP_ESTATE, "'%s' was not started", mp_process_name(process));
        if (fds[i].fd < 0)
            return mpx_fault(MP_EINVAL, "descriptor %d", fds[i].fd);
    }
    return MP_OK;
}

/* Signals don't end it. */
static mp_rc_t wait_for_some(struct pollfd *fds, size_t count, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    int n;
    do
        n = poll(fds, count, mpx_poll_ms(mpx_now(), deadline));
    while ((n < 0 && errno == EINTR) || (n == 0 && mpx_now() < deadline));
    if (n < 0)
        return mpx_fault_errno("waiting for %zu things", count);
    return n > 0 ? MP_OK : mpx_fault(MP_ETIMEDOUT, "none of %zu is ready", count);
}

static mp_rc_t mark(mp_waitable_t *things, size_t count, const struct pollfd *fds, size_t *ready)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents & POLLNVAL)
            return mpx_fault(MP_EINVAL, "descriptor %d isn't open", fds[i].fd);
    for (size_t i = 0; i < count; i++) {
        things[i].ready = fds[i].revents != 0;
        found += things[i].ready;
    }
    if (ready)
        *ready = found;
    return MP_OK;
}

mp_rc_t mp_wait(mp_waitable_t *things, size_t count, int timeout_ms, size_t *ready)
{
    if (count > THINGS_MAX)
        return mpx_fault(MP_EINVAL, "%zu things to wait for; at most %d", count, THINGS_MAX);
    struct pollfd *fds = calloc(count + 1, sizeof *fds);
    if (!fds)
        return mpx_fault(MP_ENOMEM, "%zu things to wait for", count);
    mp_rc_t rc = fill(things, count, fds);
    if (rc == MP_OK)
        rc = wait_for_some(fds, count, timeout_ms);
    if (rc == MP_OK)
        rc = mark(things, count, fds, ready);
    free(fds);
    return rc;
}
