#include <mp/wait.h>

#include "clock.h"
#include "connection.h"
#include "fault.h"
#include "queue.h"
#include "result.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { THINGS_MAX = 65536 };

static mp_rc_t look_at_process(mp_waitable_t *thing, struct pollfd *fd)
{
    fd->fd = mp_process_sentinel(thing->process);
    if (fd->fd < 0)
        return mpx_fault(MP_ESTATE, "'%s' was not started", mp_process_name(thing->process));
    return MP_OK;
}

/* Ready, or a descriptor that tells when to look again. */
static mp_rc_t look_at(mp_waitable_t *thing, struct pollfd *fd)
{
    *fd = (struct pollfd){.fd = thing->fd, .events = POLLIN};
    thing->ready = false;
    if (thing->process)
        return look_at_process(thing, fd);
    if (thing->connection)
        return mpx_connection_watch(thing->connection, &thing->ready, &fd->fd);
    if (thing->queue)
        return mpx_queue_watch(thing->queue, &thing->ready, &fd->fd);
    if (thing->listener)
        return mpx_listener_watch(thing->listener, &thing->ready, &fd->fd);
    if (thing->result)
        return mpx_result_watch(thing->result, &thing->ready, &fd->fd);
    return fd->fd < 0 ? mpx_fault(MP_EINVAL, "descriptor %d", fd->fd) : MP_OK;
}

/* Its descriptor says no more than that it should be looked at. */
static bool must_be_asked(const mp_waitable_t *thing)
{
    return !thing->process &&
           (thing->connection || thing->queue || thing->listener || thing->result);
}

static mp_rc_t look(mp_waitable_t *things, size_t count, struct pollfd *fds, size_t *found)
{
    *found = 0;
    for (size_t i = 0; i < count; i++) {
        mp_rc_t rc = look_at(&things[i], &fds[i]);
        if (rc != MP_OK)
            return rc;
        *found += things[i].ready;
    }
    return MP_OK;
}

static mp_rc_t mark(mp_waitable_t *things, size_t count, const struct pollfd *fds, size_t *found)
{
    for (size_t i = 0; i < count; i++) {
        if ((fds[i].revents & POLLNVAL) && !must_be_asked(&things[i]))
            return mpx_fault(MP_EINVAL, "descriptor %d isn't open", fds[i].fd);
        if (fds[i].revents && !must_be_asked(&things[i])) {
            things[i].ready = true;
            (*found)++;
        }
    }
    return MP_OK;
}

/* Signals don't end it. */
static mp_rc_t wait_for_some(mp_waitable_t *things, size_t count, struct pollfd *fds,
                             int64_t deadline, size_t *found)
{
    for (;;) {
        mp_rc_t rc = look(things, count, fds, found);
        if (rc != MP_OK)
            return rc;
        int n = poll(fds, count, *found ? 0 : mpx_poll_ms(mpx_now(), deadline));
        if (n < 0 && errno != EINTR)
            return mpx_fault_errno("waiting for %zu things", count);
        if (n > 0)
            rc = mark(things, count, fds, found);
        if (rc != MP_OK || *found)
            return rc;
        if (mpx_now() >= deadline)
            return mpx_fault(MP_ETIMEDOUT, "none of %zu is ready", count);
    }
}

mp_rc_t mp_wait(mp_waitable_t *things, size_t count, int timeout_ms, size_t *ready)
{
    size_t found = 0;
    if (count > THINGS_MAX)
        return mpx_fault(MP_EINVAL, "%zu things to wait for; at most %d", count, THINGS_MAX);
    struct pollfd *fds = calloc(count + 1, sizeof *fds);
    if (!fds)
        return mpx_fault(MP_ENOMEM, "%zu things to wait for", count);
    mp_rc_t rc = wait_for_some(things, count, fds, mpx_deadline(mpx_now(), timeout_ms), &found);
    if (rc == MP_OK && ready)
        *ready = found;
    free(fds);
    return rc;
}
