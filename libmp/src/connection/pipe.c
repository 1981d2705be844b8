/* pipe.c: two ends in their boxes; and how they meet where they go over ZeroMQ.
 *
 * Over ZeroMQ the first end listens, the second one connects, each when it is first used. They
 * learn of each other by a socket that each has from its box: the first one sends its address
 * through it, and its end says that no process is left that could use the other.
 */
#include "connection.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RING_BYTES = 1 << 20 };

static mp_rc_t lane_boxes(int boxes[2])
{
    int a[2];
    int b[2];
    mp_rc_t rc = mpx_lane_pair(RING_BYTES, a, b);
    if (rc != MP_OK)
        return rc;
    mpx_token_t token = {.kind = MPX_TOKEN_LANE, .side = 0, .room = MPX_STREAM_WINDOW};
    rc = mpx_box_new(&token, a, 2, &boxes[0]);
    token.side = 1;
    mp_rc_t other = mpx_box_new(&token, b, 2, &boxes[1]);
    return rc == MP_OK ? other : rc;
}

static mp_rc_t meeting_boxes(int boxes[2])
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return mpx_fault_errno("a pipe");
    mp_rc_t rc = mpx_box_new(&(mpx_token_t){.kind = MPX_TOKEN_FIRST}, &pair[0], 1, &boxes[0]);
    mp_rc_t other = mpx_box_new(&(mpx_token_t){.kind = MPX_TOKEN_SECOND}, &pair[1], 1, &boxes[1]);
    return rc == MP_OK ? other : rc;
}

mp_rc_t mp_pipe(const mp_pipe_options_t *options, mp_connection_t **first, mp_connection_t **second)
{
    static const mp_pipe_options_t defaults;
    if (!options)
        options = &defaults;
    int boxes[2] = {-1, -1};
    mp_connection_t *one = mpx_connection_make(true, !options->one_way);
    mp_connection_t *two = mpx_connection_make(!options->one_way, true);
    mp_rc_t rc = one && two ? MP_OK : mpx_fault(MP_ENOMEM, "a pipe");
    if (rc == MP_OK)
        rc = options->no_lane || !mpx_link_lanes_allowed() ? meeting_boxes(boxes)
                                                           : lane_boxes(boxes);
    if (rc != MP_OK) {
        for (int i = 0; i < 2; i++)
            if (boxes[i] >= 0)
                close(boxes[i]);
        free(one);
        free(two);
        return rc;
    }
    one->box = boxes[0];
    two->box = boxes[1];
    *first = one;
    *second = two;
    return MP_OK;
}

/* ---- meeting
 * ------------------------------------------------------------------------------------------- */

/* What the first end tells the second one. */
typedef struct meeting_place {
    char address[128];
    unsigned char key[32];
} meeting_place_t;

mp_rc_t mpx_pipe_begin_to_meet(mp_connection_t *self, bool first, int socket)
{
    meeting_place_t place = {.address = ""};
    self->meeting = socket;
    mp_rc_t rc = mpx_forkguard_add(socket);
    if (rc != MP_OK || !first)
        return rc;
    rc = mpx_greeting_nonce(place.key);
    mp_listener_options_t options = {
        .no_lane = true, .key = place.key, .key_bytes = sizeof place.key, .backlog = 1};
    if (rc == MP_OK)
        rc = mp_listener_new(NULL, &options, &self->listener);
    if (rc != MP_OK)
        return rc;
    snprintf(place.address, sizeof place.address, "%s", mp_listener_address(self->listener));
    if (send(socket, &place, sizeof place, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return mpx_fault_errno("a pipe");
    return MP_OK;
}

static void end_meeting(mp_connection_t *self)
{
    mpx_forkguard_remove(self->meeting);
    close(self->meeting);
    self->meeting = -1;
    mp_listener_destroy(&self->listener);
}

static void become(mp_connection_t *self, mp_connection_t *other)
{
    mpx_stream_t *stream = NULL;
    mpx_channel_t *channel = mpx_connection_let_go(other, &stream);
    mpx_connection_have(self, stream, channel);
    mp_connection_destroy(&other);
}

/* Whether the other end can't come any more. What it said before is still to be read. */
static bool is_alone(int socket)
{
    struct pollfd fd = {.fd = socket, .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* In steps, since the end of the meeting socket isn't what accept waits for. */
static mp_rc_t meet_as_first(mp_connection_t *self, int64_t deadline)
{
    enum { STEP_MS = 50 };
    mp_connection_t *other = NULL;
    for (;;) {
        bool alone = is_alone(self->meeting);
        int left_ms = mpx_poll_ms(mpx_now(), deadline);
        int step_ms = alone ? 0 : left_ms < 0 || left_ms > STEP_MS ? STEP_MS : left_ms;
        mp_rc_t rc = mp_listener_accept(self->listener, step_ms, &other);
        if (rc == MP_OK)
            break;
        if (rc != MP_ETIMEDOUT)
            return rc;
        if (alone)
            return mpx_fault(MP_EOF, "no process is left that could use the other end");
        if (mpx_now() >= deadline)
            return mpx_fault(MP_ETIMEDOUT, "nobody has used the other end of the pipe yet");
    }
    become(self, other);
    return MP_OK;
}

static mp_rc_t meet_as_second(mp_connection_t *self, int64_t deadline)
{
    meeting_place_t place;
    struct pollfd fd = {.fd = self->meeting, .events = POLLIN};
    int n;
    do
        n = poll(&fd, 1, mpx_poll_ms(mpx_now(), deadline));
    while ((n < 0 && errno == EINTR) || (n == 0 && mpx_now() < deadline));
    if (n <= 0)
        return mpx_fault(MP_ETIMEDOUT, "nobody has used the other end of the pipe yet");
    /* Left there until the connection stands: a timeout must not lose it. */
    if (recv(self->meeting, &place, sizeof place, MSG_DONTWAIT | MSG_PEEK) != sizeof place)
        return mpx_fault(MP_EOF, "no process is left that could use the other end");
    place.address[sizeof place.address - 1] = 0;
    mp_connection_t *other = NULL;
    mp_rc_t rc = mp_client(place.address, place.key, sizeof place.key,
                           mpx_poll_ms(mpx_now(), deadline), &other);
    if (rc == MP_ECONNECT || rc == MP_ENOTFOUND)
        rc = mpx_fault(MP_EOF, "the other end is gone");
    if (rc == MP_OK)
        become(self, other);
    return rc;
}

mp_rc_t mpx_pipe_meet(mp_connection_t *self, int64_t deadline)
{
    mp_rc_t rc = self->listener ? meet_as_first(self, deadline) : meet_as_second(self, deadline);
    if (rc == MP_OK)
        end_meeting(self);
    return rc;
}
