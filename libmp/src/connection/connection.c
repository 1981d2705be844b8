#include "connection.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "leave.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

enum { LINGER_MS = 1000 };

/* Held while an end is taken out of its box, by any thread. */
static pthread_mutex_t claiming = PTHREAD_MUTEX_INITIALIZER;
/* Guards the list below. */
static pthread_mutex_t listing = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mp_connection_t *over_zeromq;
static uint64_t generation; /* whose they are */

static void install(void)
{
    mpx_forkguard_renew(&claiming);
    mpx_forkguard_renew(&listing);
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&listing);
    if (generation != mpx_fork_generation())
        over_zeromq = NULL;
    generation = mpx_fork_generation();
}

static void leave(void)
{
    pthread_mutex_unlock(&listing);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------
 */

mp_connection_t *mpx_connection_make(bool readable, bool writable)
{
    mp_connection_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->readable = readable;
    self->writable = writable;
    self->box = -1;
    self->meeting = -1;
    self->carrier = "";
    atomic_init(&self->closed, false);
    atomic_init(&self->channel, NULL);
    return self;
}

static bool is_on_lane(const mp_connection_t *self)
{
    return self->carrier[0] == 'l';
}

static void unlist(mp_connection_t *self)
{
    enter();
    if (self->listed)
        DL_DELETE(over_zeromq, self);
    self->listed = false;
    leave();
}

/* The process ends: what was sent over ZeroMQ is still to leave. What is in a lane stays there. */
static void close_all(void)
{
    for (;;) {
        enter();
        mp_connection_t *one = over_zeromq;
        leave();
        if (!one)
            return;
        mp_connection_close(one);
        unlist(one);
    }
}

void mpx_connection_have(mp_connection_t *self, mpx_stream_t *stream, mpx_channel_t *channel)
{
    self->stream = stream;
    self->carrier = mpx_channel_carrier(channel);
    self->generation = mpx_fork_generation();
    atomic_store(&self->channel, channel);
    if (is_on_lane(self) || mpx_leave_add(MPX_STAGE_CLOSE, close_all) != MP_OK)
        return;
    enter();
    DL_APPEND(over_zeromq, self);
    self->listed = true;
    leave();
}

mpx_channel_t *mpx_connection_let_go(mp_connection_t *self, mpx_stream_t **stream)
{
    unlist(self);
    *stream = self->stream;
    self->stream = NULL;
    return atomic_exchange(&self->channel, NULL);
}

static bool is_ours(const mp_connection_t *self)
{
    return self->generation == mpx_fork_generation();
}

static void close_channel(mp_connection_t *self)
{
    mpx_channel_t *channel = atomic_exchange(&self->channel, NULL);
    if (!channel)
        return;
    if (is_ours(self)) {
        unlist(self);
        mpx_channel_lock(channel);
        (void)mpx_channel_send(channel, &(mpx_header_t){.op = MPX_OP_BYE}, (mp_bytes_t){0});
        mpx_channel_unlock(channel);
        mpx_channel_close(&channel, LINGER_MS);
        mpx_stream_free(&self->stream);
        if (!is_on_lane(self))
            mpx_listener_sweep();
    }
    /* In a forked child it is the parent's: its memory stays, whatever state it is in. */
}

void mp_connection_close(mp_connection_t *self)
{
    if (!self || atomic_exchange(&self->closed, true))
        return;
    if (self->box >= 0)
        close(self->box);
    self->box = -1;
    if (self->meeting >= 0 && is_ours(self)) {
        mpx_forkguard_remove(self->meeting);
        close(self->meeting);
        mp_listener_destroy(&self->listener);
    }
    self->meeting = -1;
    close_channel(self);
}

void mp_connection_destroy(mp_connection_t **self)
{
    if (!self || !*self)
        return;
    mp_connection_close(*self);
    free(*self);
    *self = NULL;
}

bool mp_connection_closed(const mp_connection_t *self)
{
    return atomic_load(&self->closed);
}

bool mp_connection_readable(const mp_connection_t *self)
{
    return self->readable;
}

bool mp_connection_writable(const mp_connection_t *self)
{
    return self->writable;
}

const char *mp_connection_carrier(const mp_connection_t *self)
{
    return self->carrier;
}

/* ---- claiming
 * ---------------------------------------------------------------------------------------------- */

static mp_rc_t open_lane(mp_connection_t *self, const mpx_token_t *token, const int fds[2])
{
    mpx_lane_t *lane = NULL;
    mpx_link_t *link = NULL;
    mpx_stream_t *stream = NULL;
    mpx_channel_t *channel = NULL;
    mp_rc_t rc = mpx_lane_join(fds, token->side, &lane);
    if (rc != MP_OK) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    rc = mpx_stream_new(&stream);
    if (rc == MP_OK)
        rc = mpx_link_adopt(lane, NULL, &link);
    if (rc == MP_OK)
        rc = mpx_channel_over(link, &mpx_stream_user, stream, &channel);
    if (rc == MP_OK) {
        mpx_stream_on(stream, channel);
        mpx_stream_go_on(stream, token->room, token->uncredited);
        mpx_connection_have(self, stream, channel);
        return MP_OK;
    }
    if (link)
        mpx_link_destroy(&link, 0);
    else
        mpx_lane_destroy(&lane);
    mpx_stream_free(&stream);
    return rc;
}

static mp_rc_t take_from_box(mp_connection_t *self)
{
    mpx_token_t token;
    int fds[2];
    mp_rc_t rc = mpx_box_take(&self->box, &token, fds);
    if (rc != MP_OK)
        return rc;
    self->generation = mpx_fork_generation();
    if (token.kind == MPX_TOKEN_LANE)
        return open_lane(self, &token, fds);
    return mpx_pipe_begin_to_meet(self, token.kind == MPX_TOKEN_FIRST, fds[0]);
}

mp_rc_t mpx_connection_claim(mp_connection_t *self, int64_t deadline)
{
    if (atomic_load(&self->closed))
        return mpx_fault(MP_ECLOSED, "this end is closed");
    if (atomic_load(&self->channel))
        return is_ours(self) ? MP_OK : mpx_fault(MP_EBUSY, "another process has this end");
    pthread_once(&once, install);
    pthread_mutex_lock(&claiming);
    mp_rc_t rc = MP_OK;
    if (!atomic_load(&self->channel) && self->box >= 0)
        rc = take_from_box(self);
    else if (!is_ours(self))
        rc = mpx_fault(MP_EBUSY, "another process has this end");
    if (rc == MP_OK && self->meeting >= 0)
        rc = mpx_pipe_meet(self, deadline);
    if (rc == MP_OK && !atomic_load(&self->channel))
        rc = mpx_fault(MP_EOF, "this end couldn't be opened");
    pthread_mutex_unlock(&claiming);
    return rc;
}

/* ---- sending and receiving
 * ------------------------------------------------------------------------------- */

mp_rc_t mp_connection_send_item(mp_connection_t *self, mp_item_kind_t kind, const void *data,
                                size_t size, int timeout_ms)
{
    if ((!data && size) || (unsigned)kind > MP_ITEM_MESSAGE)
        return mpx_fault(MP_EINVAL, "a message of %zu bytes at NULL, or of no kind", size);
    if (!self->writable)
        return mpx_fault(MP_EPERM, "this end of the pipe only receives");
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    mp_rc_t rc = mpx_connection_claim(self, deadline);
    if (rc != MP_OK)
        return rc;
    mpx_channel_t *channel = atomic_load(&self->channel);
    mpx_channel_lock(channel);
    rc = mpx_stream_send(self->stream, kind, (mp_bytes_t){data, size}, timeout_ms, deadline);
    mpx_channel_unlock(channel);
    return rc;
}

mp_rc_t mp_connection_send_bytes(mp_connection_t *self, const void *data, size_t size,
                                 int timeout_ms)
{
    return mp_connection_send_item(self, MP_ITEM_BYTES, data, size, timeout_ms);
}

mp_rc_t mp_connection_send_tree(mp_connection_t *self, const mp_tree_t *tree, int timeout_ms)
{
    void *data = NULL;
    size_t size = 0;
    mp_rc_t rc = mp_tree_encode(tree, NULL, &data, &size);
    if (rc == MP_OK)
        rc = mp_connection_send_item(self, MP_ITEM_TREE, data, size, timeout_ms);
    free(data);
    return rc;
}

static mp_rc_t receive(mp_connection_t *self, const mpx_sink_t *sink, int timeout_ms)
{
    if (!self->readable)
        return mpx_fault(MP_EPERM, "this end of the pipe only sends");
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    mp_rc_t rc = mpx_connection_claim(self, deadline);
    if (rc != MP_OK)
        return rc;
    mpx_channel_t *channel = atomic_load(&self->channel);
    mpx_channel_lock(channel);
    rc = mpx_stream_receive(self->stream, sink, deadline);
    mpx_channel_unlock(channel);
    return rc;
}

mp_rc_t mp_connection_recv_bytes_into(mp_connection_t *self, void *buffer, size_t room,
                                      size_t *size, int timeout_ms)
{
    if (!buffer && room)
        return mpx_fault(MP_EINVAL, "a buffer of %zu bytes at NULL", room);
    return receive(self, &(mpx_sink_t){.buffer = buffer, .room = room, .size = size}, timeout_ms);
}

mp_rc_t mp_connection_recv_item(mp_connection_t *self, size_t max_length, mp_item_t *out,
                                int timeout_ms)
{
    return receive(self, &(mpx_sink_t){.item = out, .room = max_length ? max_length : SIZE_MAX},
                   timeout_ms);
}

mp_rc_t mp_connection_recv_bytes(mp_connection_t *self, size_t max_length, void **data,
                                 size_t *size, int timeout_ms)
{
    mp_item_t item = {0};
    mp_rc_t rc = mp_connection_recv_item(self, max_length, &item, timeout_ms);
    if (rc == MP_OK) {
        *data = item.data;
        *size = item.size;
    }
    return rc;
}

mp_rc_t mp_connection_recv_tree(mp_connection_t *self, mp_tree_t **out, int timeout_ms)
{
    mp_item_t item = {.data = NULL};
    mp_rc_t rc = receive(self, &(mpx_sink_t){.item = &item, .room = SIZE_MAX, .only_tree = true},
                         timeout_ms);
    if (rc == MP_OK)
        rc = mp_item_tree(&item, out);
    mp_item_clear(&item);
    return rc;
}

/* ---- waiting
 * -----------------------------------------------------------------------------------------------
 */

mp_rc_t mp_connection_poll(mp_connection_t *self, int timeout_ms)
{
    if (!self->readable)
        return mpx_fault(MP_EPERM, "this end of the pipe only sends");
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    mp_rc_t rc = mpx_connection_claim(self, deadline);
    if (rc != MP_OK)
        return rc == MP_EOF ? MP_OK : rc;
    mpx_channel_t *channel = atomic_load(&self->channel);
    mpx_channel_lock(channel);
    mpx_channel_look(channel);
    while (rc == MP_OK && !mpx_stream_has(self->stream))
        rc = mpx_channel_wait(channel, deadline);
    if (rc == MP_ETIMEDOUT)
        rc = mpx_stream_has(self->stream)
                 ? MP_OK
                 : mpx_fault(MP_ETIMEDOUT, "nothing came on the connection");
    mpx_channel_unlock(channel);
    return rc;
}

mp_rc_t mpx_connection_watch(mp_connection_t *self, bool *ready, int *fd)
{
    mp_rc_t rc = mpx_connection_claim(self, 0);
    if (rc == MP_ETIMEDOUT && self->listener)
        return mpx_listener_watch(self->listener, ready, fd);
    if (rc == MP_ETIMEDOUT && self->meeting >= 0) {
        *ready = false;
        *fd = self->meeting;
        return MP_OK;
    }
    *ready = rc == MP_EOF;
    if (rc != MP_OK)
        return rc == MP_EOF ? MP_OK : rc;
    mpx_channel_t *channel = atomic_load(&self->channel);
    mpx_channel_lock(channel);
    mpx_channel_look(channel);
    *ready = mpx_stream_has(self->stream);
    *fd = mpx_channel_watch(channel);
    mpx_channel_unlock(channel);
    return MP_OK;
}

int mp_connection_fileno(mp_connection_t *self)
{
    bool ready = false;
    int fd = -1;
    if (mpx_connection_watch(self, &ready, &fd) != MP_OK)
        return -1;
    const mpx_channel_t *channel = atomic_load(&self->channel);
    return channel ? mpx_channel_fd(channel) : fd;
}

/* ---- handing it on
 * ------------------------------------------------------------------------------------------- */

enum { READABLE_BIT = 1, WRITABLE_BIT = 2 };

/* Back into a box, with what is on the way left in the lane. */
static mp_rc_t put_into_box(mp_connection_t *self)
{
    mpx_channel_t *channel = atomic_load(&self->channel);
    mpx_token_t token = {.kind = MPX_TOKEN_LANE};
    int fds[2];
    mpx_channel_lock(channel);
    bool idle = mpx_stream_is_idle(self->stream, &token.room, &token.uncredited);
    mpx_channel_unlock(channel);
    if (!idle)
        return mpx_fault(MP_EBUSY, "receive what is there before the end is handed on");
    if (!is_on_lane(self))
        return mpx_fault(MP_EUNPASSABLE, "an end in use over ZeroMQ stays in its process");
    if (!mpx_channel_leave(&channel, fds, &token.side))
        return mpx_fault(MP_EBUSY, "a message is on its way");
    atomic_store(&self->channel, NULL);
    mpx_stream_free(&self->stream);
    return mpx_box_new(&token, fds, 2, &self->box);
}

mp_rc_t mp_connection_ref(mp_connection_t *self, mp_ref_t *out)
{
    if (atomic_load(&self->closed))
        return mpx_fault(MP_ECLOSED, "this end is closed");
    pthread_once(&once, install);
    pthread_mutex_lock(&claiming);
    mp_rc_t rc = MP_OK;
    if (self->meeting >= 0)
        rc = mpx_fault(MP_EUNPASSABLE, "an end in use over ZeroMQ stays in its process");
    else if (self->box < 0 && (!atomic_load(&self->channel) || !is_ours(self)))
        rc = mpx_fault(MP_EBUSY, "another process has this end");
    else if (self->box < 0)
        rc = put_into_box(self);
    int copy = rc == MP_OK ? fcntl(self->box, F_DUPFD_CLOEXEC, 0) : -1;
    if (rc == MP_OK && copy < 0)
        rc = mpx_fault_errno("a reference to an end of a pipe");
    pthread_mutex_unlock(&claiming);
    if (rc != MP_OK)
        return rc;
    uint64_t flags = (self->readable ? READABLE_BIT : 0) | (self->writable ? WRITABLE_BIT : 0);
    return mpx_ticket_issue(copy, out, flags);
}

mp_rc_t mp_connection_open(const mp_ref_t *ref, mp_connection_t **out)
{
    int box = -1;
    mp_rc_t rc = mpx_ticket_redeem(ref, &box);
    if (rc != MP_OK)
        return rc;
    mp_connection_t *self =
        mpx_connection_make(ref->word[5] & READABLE_BIT, ref->word[5] & WRITABLE_BIT);
    if (!self) {
        close(box);
        return mpx_fault(MP_ENOMEM, "an end of a pipe");
    }
    self->box = box;
    *out = self;
    return MP_OK;
}
