#include "link_private.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 5 }; /* at most, of a link */

void mpx_link_forget_frames(mpx_link_t *self)
{
    for (size_t i = 0; i < self->frames_count; i++)
        zmq_msg_close(&self->frames[i]);
    self->frames_count = 0;
    mpx_buf_free(&self->joined);
}

static void free_peer(mpx_link_t *self, peer_t *peer)
{
    HASH_DELETE(by_id, self->peers_by_id, peer);
    HASH_DEL(self->peers, peer);
    free(peer);
}

void mpx_link_free_peers(mpx_link_t *self)
{
    peer_t *peer, *next;
    HASH_ITER (hh, self->peers, peer, next)
        free_peer(self, peer);
}

void mpx_link_forget_dial_fd(mpx_link_t *self)
{
    if (self->dial_fd >= 0)
        mpx_forkguard_remove(self->dial_fd);
    self->dial_fd = -1;
}

/* ---- peers -------------------------------------------------------------------------------- */

static void mark_gone(mpx_link_t *self, peer_t *peer)
{
    if (peer->gone)
        return;
    peer->gone = true;
    DL_APPEND(self->down, peer);
}

static ino_t inode_of(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

/* Whether the socket that the peer came by is closed, or will be: its other end is. */
static bool has_ended(const peer_t *peer)
{
    ino_t inode = inode_of(peer->fd);
    if (!inode || inode != peer->inode)
        return true;
    struct pollfd end = {.fd = peer->fd, .events = POLLRDHUP};
    return poll(&end, 1, 0) == 1;
}

/* libzmq reports a connection that it ends by itself some instructions before it closes it. */
static bool ends_now(const peer_t *peer)
{
    enum { TRIES = 10 };
    static const struct timespec step = {.tv_nsec = 20000};
    for (int i = 0; i < TRIES; i++) {
        if (has_ended(peer))
            return true;
        nanosleep(&step, NULL);
    }
    return false;
}

/* Connections are named by numbers that are used again, and this one may have ended before a
 * message of its was read: so the sockets themselves are asked. */
static void on_fd_gone(mpx_link_t *self, int fd)
{
    bool found = false;
    bool silent = mpx_sentry_fell_silent(self->sentry, fd);
    for (peer_t *peer = self->peers; peer; peer = peer->hh.next)
        if (peer->fd == fd && !peer->gone && ends_now(peer)) {
            peer->silent = silent;
            mark_gone(self, peer);
            found = true;
        }
    if (!found)
        self->strays[self->last_stray++ % STRAYS] = fd;
}

static bool is_stray(mpx_link_t *self, const peer_t *peer)
{
    if (has_ended(peer))
        return true;
    for (size_t i = 0; i < STRAYS; i++)
        if (self->strays[i] == peer->fd) {
            self->strays[i] = -1;
            return ends_now(peer);
        }
    return false;
}

static peer_t *find_peer(const mpx_link_t *self, uint64_t id)
{
    peer_t *peer = NULL;
    HASH_FIND(by_id, self->peers_by_id, &id, sizeof id, peer);
    return peer;
}

static peer_t *make_peer(mpx_link_t *self, zmq_msg_t *identity, int fd)
{
    size_t size = zmq_msg_size(identity);
    if (size == 0 || size > IDENTITY_MAX)
        return NULL;
    peer_t *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->id = ++self->last_peer;
    peer->fd = fd;
    peer->inode = inode_of(fd);
    peer->identity_size = size;
    memcpy(peer->identity, zmq_msg_data(identity), size);
    HASH_ADD_KEYPTR(hh, self->peers, peer->identity, size, peer);
    if (peer->unlisted) {
        free(peer);
        return NULL;
    }
    HASH_ADD(by_id, self->peers_by_id, id, sizeof peer->id, peer);
    if (peer->unlisted) {
        HASH_DEL(self->peers, peer);
        free(peer);
        return NULL;
    }
    return peer;
}

static void shut(peer_t *peer)
{
    if (!peer->kicked && peer->fd >= 0)
        shutdown(peer->fd, SHUT_RDWR);
    peer->kicked = true;
}

/* ---- events ------------------------------------------------------------------------------- */

static void lose_dial(mpx_link_t *self, mp_rc_t rc, mpx_link_trouble_t trouble)
{
    mpx_link_forget_dial_fd(self);
    if (self->dial == LOST || self->dial == TOLD)
        return;
    self->down_rc = self->dial == DIALLING ? rc : MP_EOF;
    self->trouble = self->dial == DIALLING ? trouble : MPX_TROUBLE_NONE;
    self->dial = LOST;
}

static void on_dial_event(mpx_link_t *self, const mpx_monitor_event_t *event)
{
    switch (event->kind) {
    case MPX_MONITOR_CONNECTED:
        self->connected = true;
        self->dial_fd = event->fd;
        self->dial_inode = inode_of(event->fd);
        if (mpx_forkguard_add(event->fd) != MP_OK)
            self->dial_fd = -1;
        break;
    case MPX_MONITOR_GREETED:
        if (self->dial == DIALLING)
            self->dial = GREETED;
        break;
    case MPX_MONITOR_GONE:
    case MPX_MONITOR_FOREIGN:
        lose_dial(self, MP_ECONNECT, self->connected ? MPX_TROUBLE_HANDSHAKE : MPX_TROUBLE_NONE);
        break;
    case MPX_MONITOR_PUT_OFF:
        lose_dial(self, MP_ECONNECT, MPX_TROUBLE_NO_HOST);
        break;
    case MPX_MONITOR_MISMATCH:
        lose_dial(self, MP_EAUTH, self->has_curve ? MPX_TROUBLE_UNASKED_KEY : MPX_TROUBLE_NO_KEY);
        break;
    case MPX_MONITOR_REFUSED:
        lose_dial(self, MP_EAUTH, MPX_TROUBLE_REFUSED_KEY);
        break;
    case MPX_MONITOR_ACCEPTED:
    case MPX_MONITOR_OTHER:
        break;
    }
}

/* A handshake that fails is followed by the end of its connection, which has the descriptor. */
static void on_hub_event(mpx_link_t *self, const mpx_monitor_event_t *event)
{
    switch (event->kind) {
    case MPX_MONITOR_ACCEPTED:
        mpx_sentry_arrive(self->sentry, event->fd, mpx_now());
        break;
    case MPX_MONITOR_GONE:
        on_fd_gone(self, event->fd);
        break;
    case MPX_MONITOR_FOREIGN:
    case MPX_MONITOR_MISMATCH:
    case MPX_MONITOR_REFUSED:
        self->failed_handshakes++;
        break;
    case MPX_MONITOR_CONNECTED:
    case MPX_MONITOR_GREETED:
    case MPX_MONITOR_PUT_OFF:
    case MPX_MONITOR_OTHER:
        break;
    }
}

static void take_monitor_events(mpx_link_t *self)
{
    mpx_monitor_event_t event;
    while (mpx_monitor_next(self->monitor, &event)) {
        if (self->is_hub)
            on_hub_event(self, &event);
        else
            on_dial_event(self, &event);
    }
}

/* With the monitor read to its end: a connection that libzmq has closed is known to be gone before
 * its number can be another's. The end that follows is told by the monitor. */
static void feel_pulse(mpx_link_t *self)
{
    mpx_received_t received;
    (void)!read(self->beat_fd, &(uint64_t){0}, sizeof(uint64_t));
    take_monitor_events(self);
    if (self->dial != UP || self->dial_fd < 0 || inode_of(self->dial_fd) != self->dial_inode)
        return;
    if (!mpx_pulse_ask(self->dial_fd, &received) ||
        !mpx_pulse_look(&self->pulse, &received, self->options.heartbeat_ms * MPX_MS, mpx_now()))
        return;
    self->silent = true;
    if (inode_of(self->dial_fd) == self->dial_inode)
        shutdown(self->dial_fd, SHUT_RDWR);
}

/* Asking a socket of ZeroMQ's in vain costs several system calls, asking all descriptors one.
 * Nothing is sent to the monitor, and it is read until it is empty, so its descriptor tells
 * the truth; so does that of the keys. Whether there was any. */
static bool take_news(mpx_link_t *self)
{
    struct epoll_event events[DESCRIPTORS];
    bool any = false;
    int count = epoll_wait(self->epoll, events, DESCRIPTORS, 0);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        any = any || fd == self->monitor_fd || fd == self->zap_fd || fd == self->beat_fd;
        if (fd == self->monitor_fd)
            take_monitor_events(self);
        else if (fd == self->beat_fd)
            feel_pulse(self);
        else if (fd == self->zap_fd)
            mpx_zap_answer(self->zap, self->options.admit, self->options.admit_arg);
    }
    return any;
}

uint64_t mpx_link_failed_handshakes(const mpx_link_t *self)
{
    return self->failed_handshakes;
}

/* Whether a socket has a message; what its threads have to tell it is heard meanwhile. */
static bool readable(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* On the wire, with what stands before it; encrypted it is a command with a nonce and a seal. */
static size_t wire_size(const mpx_link_t *self, const zmq_msg_t *frame)
{
    enum { CURVE_BYTES = 33 };
    size_t size = zmq_msg_size(frame) + (self->has_curve ? CURVE_BYTES : 0);
    return size + (size > UINT8_MAX ? 9 : 2);
}

/* MP_OK; MP_EBUSY nothing is there. A signal doesn't end it, as half a
 * message would be taken for one; in a forked child libzmq says EINTR for ever. */
static mp_rc_t receive_frame(const mpx_link_t *self, zmq_msg_t *frame)
{
    int n;
    do
        n = zmq_msg_recv(frame, self->socket, ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR && self->generation == mpx_fork_generation());
    return n < 0 ? MP_EBUSY : MP_OK;
}

/* One more piece of a payload; those before it are full. false: it isn't, or it is too much. */
static bool join(mpx_link_t *self, zmq_msg_t *piece)
{
    mpx_buf_t *joined = &self->joined;
    zmq_msg_t *first = &self->frames[1];
    size_t before = joined->size ? joined->size : zmq_msg_size(first);
    if (!self->has_curve || before == 0 || before % PIECE_BYTES)
        return false;
    joined->max = self->options.max_message_bytes;
    return (joined->size ||
            mpx_buf_add(joined, zmq_msg_data(first), zmq_msg_size(first)) == MP_OK) &&
           mpx_buf_add(joined, zmq_msg_data(piece), zmq_msg_size(piece)) == MP_OK;
}

/* Receive one whole message into frames[0..1], the identity into *identity (hub). MP_EBUSY:
 * nothing there; MP_EPROTO: frames that nobody of ours would send, which are dropped. */
static mp_rc_t receive(mpx_link_t *self, zmq_msg_t *identity)
{
    bool more = true, sound = true;
    self->frames_wire_bytes = 0;
    if (self->is_hub) {
        if (receive_frame(self, identity) != MP_OK)
            return MP_EBUSY;
        more = zmq_msg_more(identity);
    }
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (receive_frame(self, &frame) != MP_OK) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame);
        self->frames_wire_bytes += wire_size(self, &frame);
        if (self->frames_count < 2) {
            self->frames[self->frames_count++] = frame;
        } else {
            sound = sound && join(self, &frame);
            zmq_msg_close(&frame);
        }
    }
    if (!self->frames_count)
        return MP_EBUSY;
    return sound ? MP_OK : MP_EPROTO;
}

static void describe(mpx_link_t *self, mpx_link_event_t *out)
{
    out->frames_count = self->frames_count;
    for (size_t i = 0; i < self->frames_count; i++)
        out->frames[i] =
            (mp_bytes_t){zmq_msg_data(&self->frames[i]), zmq_msg_size(&self->frames[i])};
    if (self->joined.size)
        out->frames[1] = mpx_buf_bytes(&self->joined);
}

/* ipc: "localhost:UID:GID:PID"; tcp: the IP address. */
static const char *address_of(mpx_link_t *self)
{
    const char *address = zmq_msg_gets(&self->frames[0], "Peer-Address");
    if (!address)
        return "";
    const char *pid = strrchr(address, ':');
    if (strncmp(address, "localhost:", 10) == 0 && pid)
        snprintf(self->address, sizeof self->address, "local%s", pid);
    else
        snprintf(self->address, sizeof self->address, "%s", address);
    return self->address;
}

/* Of a hub with keys: whose connection it is. */
static const char *user_of(mpx_link_t *self)
{
    const char *user = self->has_curve ? zmq_msg_gets(&self->frames[0], "User-Id") : NULL;
    if (!user)
        return NULL;
    snprintf(self->user, sizeof self->user, "%s", user);
    return self->user;
}

static bool has_too_many(const mpx_link_t *self)
{
    struct rlimit limit;
    size_t peers = HASH_COUNT(self->peers);
    if (peers >= self->options.max_peers)
        return true;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           peers + SPARE_DESCRIPTORS >= limit.rlim_cur;
}

static peer_t *sender(mpx_link_t *self, zmq_msg_t *identity, mpx_link_event_t *out)
{
    peer_t *peer = NULL;
    HASH_FIND(hh, self->peers, zmq_msg_data(identity), zmq_msg_size(identity), peer);
    if (peer)
        return peer;
    /* Metadata is on the payload's frame: the identity frame of libzmq 4.3.4 has none. */
    int fd = zmq_msg_get(&self->frames[0], ZMQ_SRCFD);
    if (has_too_many(self)) {
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    peer = make_peer(self, identity, fd);
    if (peer && is_stray(self, peer))
        mark_gone(self, peer);
    out->address = address_of(self);
    out->user = user_of(self);
    if (peer)
        peer->local = strncmp(out->address, "local:", 6) == 0;
    return peer;
}

/* Its message may be read before the news that it has come. */
static void account(mpx_link_t *self, const peer_t *peer)
{
    if (mpx_sentry_took(self->sentry, peer->fd, self->frames_wire_bytes))
        return;
    mpx_sentry_arrive(self->sentry, peer->fd, mpx_now());
    (void)mpx_sentry_took(self->sentry, peer->fd, self->frames_wire_bytes);
}

/* MP_OK: a message; MP_EBUSY: none; MP_EOF: one that is not for the caller. */
static mp_rc_t hub_message(mpx_link_t *self, mpx_link_event_t *out)
{
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    mp_rc_t got = receive(self, &identity);
    mp_rc_t rc = got == MP_EBUSY ? MP_EBUSY : MP_EOF;
    if (got != MP_EBUSY) {
        peer_t *peer = sender(self, &identity, out);
        if (peer)
            account(self, peer);
        if (peer && got == MP_EPROTO)
            shut(peer);
        if (peer && !peer->kicked) {
            out->kind = MPX_LINK_MESSAGE;
            out->peer = peer->id;
            describe(self, out);
            rc = MP_OK;
        }
    }
    zmq_msg_close(&identity);
    return rc;
}

static mp_rc_t ask_socket(mpx_link_t *self, mpx_link_event_t *out)
{
    mp_rc_t rc;
    do {
        mpx_link_forget_frames(self);
        *out = (mpx_link_event_t){.kind = MPX_LINK_MESSAGE};
        rc = hub_message(self, out);
    } while (rc == MP_EOF);
    return rc;
}

static mp_rc_t ask(mpx_link_t *self, mpx_link_event_t *out)
{
    self->burst++;
    return self->on_lanes ? mpx_lanes_next(self->lanes, out) : ask_socket(self, out);
}

static mp_rc_t change_turn(mpx_link_t *self, mpx_link_event_t *out)
{
    self->burst = 0;
    self->on_lanes = self->lanes && !self->on_lanes;
    return ask(self, out);
}

/* What it had sent before was handed out. */
static mp_rc_t next_down(mpx_link_t *self, mpx_link_event_t *out)
{
    peer_t *peer = self->down;
    if (!peer)
        return MP_EBUSY;
    DL_DELETE(self->down, peer);
    *out = (mpx_link_event_t){.kind = MPX_LINK_DOWN, .peer = peer->id};
    out->rc = peer->kicked ? MP_EPROTO : MP_EOF;
    out->silent = peer->silent;
    free_peer(self, peer);
    return MP_OK;
}

/* Lanes and ZeroMQ take turns, and between them the news are asked for. Who was empty before these
 * is asked again only if there were any: else the descriptor tells of what has come since. */
static mp_rc_t hub_next(mpx_link_t *self, mpx_link_event_t *out)
{
    if (!self->socket)
        return mpx_lanes_next(self->lanes, out);
    bool is_empty = self->burst < BURST;
    mp_rc_t rc = is_empty ? ask(self, out) : MP_EBUSY;
    if (rc != MP_EBUSY)
        return rc;
    bool again = take_news(self) || !is_empty;
    if (self->lanes)
        rc = change_turn(self, out);
    if (rc == MP_EBUSY && again)
        rc = change_turn(self, out);
    if (rc == MP_EBUSY)
        rc = next_down(self, out);
    self->quiet = rc == MP_EBUSY;
    return rc;
}

static mp_rc_t dial_message(mpx_link_t *self, mpx_link_event_t *out)
{
    mp_rc_t got = receive(self, NULL);
    if (got == MP_EBUSY)
        return MP_EBUSY;
    *out = (mpx_link_event_t){.kind = MPX_LINK_MESSAGE};
    describe(self, out);
    if (got == MP_OK)
        return MP_OK;
    self->dial = LOST;
    self->down_rc = MP_EPROTO;
    return MP_EBUSY;
}

static mp_rc_t come_up(mpx_link_t *self, mpx_link_event_t *out)
{
    self->dial = UP;
    *out = (mpx_link_event_t){.kind = MPX_LINK_UP};
    return MP_OK;
}

static mp_rc_t dial_over_lane(mpx_link_t *self, mpx_link_event_t *out)
{
    if (self->dial == GREETED)
        return come_up(self, out);
    if (self->dial != UP)
        return MP_EBUSY;
    mp_rc_t rc = mpx_lanes_next(self->lanes, out);
    if (rc == MP_OK && out->kind == MPX_LINK_DOWN)
        self->dial = TOLD;
    return rc;
}

/* As hub_next. */
static mp_rc_t dial_next(mpx_link_t *self, mpx_link_event_t *out)
{
    bool is_empty = self->dial == UP && self->burst++ < BURST;
    if (is_empty && dial_message(self, out) == MP_OK)
        return MP_OK;
    self->burst = 0;
    if (self->dial == DIALLING) /* a connection is made only with its help */
        (void)readable(self->socket);
    bool again = take_news(self) || !is_empty;
    if (self->dial == GREETED)
        return come_up(self, out);
    /* What came before the end still counts. */
    if (again && self->dial != DIALLING && self->dial != TOLD && dial_message(self, out) == MP_OK)
        return MP_OK;
    if (self->dial == LOST) {
        self->dial = TOLD;
        *out = (mpx_link_event_t){.kind = MPX_LINK_DOWN,
                                  .rc = self->down_rc,
                                  .trouble = self->trouble,
                                  .silent = self->silent};
        return MP_OK;
    }
    self->quiet = true;
    return MP_EBUSY;
}

/* What is there is told by the descriptors, as long as nothing was sent since. */
static bool is_still_quiet(mpx_link_t *self)
{
    struct epoll_event events[DESCRIPTORS];
    if (!self->quiet || self->down)
        return false;
    int count = epoll_wait(self->epoll, events, DESCRIPTORS, 0);
    for (int i = 0; i < count; i++)
        if (!self->lanes || events[i].data.fd != mpx_lanes_fd(self->lanes))
            return false;
    return count >= 0;
}

mp_rc_t mpx_link_next(mpx_link_t *self, mpx_link_event_t *out)
{
    mpx_link_forget_frames(self);
    if (self->lanes && !self->is_hub)
        return dial_over_lane(self, out);
    if (self->quiet) {
        bool is_due = self->burst++ >= BURST; /* for a look, however busy the lanes are */
        self->burst = is_due ? 0 : self->burst;
        if (!is_due || is_still_quiet(self)) {
            mp_rc_t rc = self->lanes ? mpx_lanes_next(self->lanes, out) : MP_EBUSY;
            if (rc != MP_EBUSY || is_still_quiet(self))
                return rc;
        }
        self->quiet = false;
    }
    return self->is_hub ? hub_next(self, out) : dial_next(self, out);
}

int mpx_link_fd(const mpx_link_t *self)
{
    return self->lanes && !self->is_hub ? mpx_lanes_fd(self->lanes) : self->epoll;
}

bool mpx_link_asleep(const mpx_link_t *self)
{
    return self->lanes && !self->is_hub && mpx_lanes_asleep(self->lanes);
}

bool mpx_link_behind(const mpx_link_t *self)
{
    return self->lanes && !self->is_hub && mpx_lanes_behind(self->lanes);
}

bool mpx_link_push(mpx_link_t *self)
{
    return mpx_lanes_push(self->lanes);
}

bool mpx_link_linger(mpx_link_t *self, int64_t until)
{
    return mpx_link_asleep(self) && mpx_lanes_linger(self->lanes, until);
}

bool mpx_link_nap(mpx_link_t *self, int64_t until)
{
    return mpx_lanes_nap(self->lanes, until);
}

void mpx_link_disturb(mpx_link_t *self)
{
    if (self->lanes && !self->is_hub)
        mpx_lanes_disturb(self->lanes);
}

void mpx_link_hush(mpx_link_t *self, bool on)
{
    if (self->lanes)
        mpx_lanes_hush(self->lanes, on);
}

/* Asking the socket brings its descriptor back to the truth. */
bool mpx_link_ready(mpx_link_t *self)
{
    if (self->down || self->dial == GREETED || self->dial == LOST)
        return true;
    if (self->lanes && mpx_lanes_ready(self->lanes))
        return true;
    if (!self->socket || self->quiet || self->dial == TOLD)
        return false;
    self->quiet = !readable(self->socket);
    return !self->quiet;
}

/* ---- sending ------------------------------------------------------------------------------ */

static mp_rc_t send_frame(mpx_link_t *self, const void *data, size_t size, int flags)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size(&frame, size) != 0)
        return MP_ENOMEM;
    if (size)
        memcpy(zmq_msg_data(&frame), data, size);
    int n;
    do
        n = zmq_msg_send(&frame, self->socket, flags | ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return MP_OK;
    bool full = errno == EAGAIN;
    zmq_msg_close(&frame);
    return full ? MP_EBUSY : MP_ECLOSED;
}

static mp_rc_t address_peer(mpx_link_t *self, peer_t *peer)
{
    if (!peer || peer->kicked || peer->gone)
        return MP_ECLOSED;
    mp_rc_t rc = send_frame(self, peer->identity, peer->identity_size, ZMQ_SNDMORE);
    if (rc == MP_ECLOSED) /* MANDATORY: libzmq knows no such peer any more */
        mark_gone(self, peer);
    if (rc == MP_EBUSY) /* it doesn't read what we send */
        shut(peer);
    return rc;
}

/* libzmq encrypts a frame in one go, and decrypts it so; no byte leaves meanwhile, and no
 * heartbeat: a large one would take longer than a silent peer is borne with. */
static mp_rc_t send_payload(mpx_link_t *self, mp_bytes_t payload)
{
    const unsigned char *bytes = payload.data;
    mp_rc_t rc = MP_OK;
    for (size_t at = 0, size; at < payload.size && rc == MP_OK; at += size) {
        size = payload.size - at;
        bool more = self->has_curve && size > PIECE_BYTES;
        size = more ? PIECE_BYTES : size;
        rc = send_frame(self, bytes + at, size, more ? ZMQ_SNDMORE : 0);
    }
    return rc;
}

mp_rc_t mpx_link_send(mpx_link_t *self, uint64_t id, mp_bytes_t head, mp_bytes_t payload)
{
    if (head.size > self->options.max_message_bytes ||
        payload.size > self->options.max_message_bytes)
        return mpx_fault(MP_ETOOLARGE, "a message of %zu bytes", payload.size);
    if (!self->is_hub && self->dial != UP)
        return MP_ECLOSED;
    if (self->lanes && (!self->is_hub || mpx_lanes_has(self->lanes, id)))
        return mpx_lanes_send(self->lanes, id, head, payload);
    self->quiet = false;
    peer_t *peer = self->is_hub ? find_peer(self, id) : NULL;
    mp_rc_t rc = self->is_hub ? address_peer(self, peer) : MP_OK;
    if (rc == MP_OK)
        rc = send_frame(self, head.data, head.size, payload.size ? ZMQ_SNDMORE : 0);
    if (rc == MP_OK)
        rc = send_payload(self, payload);
    return rc == MP_EBUSY ? MP_ECLOSED : rc;
}

void mpx_link_kick(mpx_link_t *self, uint64_t id)
{
    peer_t *peer = find_peer(self, id);
    if (peer)
        shut(peer);
    else if (self->lanes)
        mpx_lanes_kick(self->lanes, id);
}

void mpx_link_trust(mpx_link_t *self, uint64_t id, bool trusted)
{
    const peer_t *peer = find_peer(self, id);
    if (peer && !peer->gone)
        mpx_sentry_trust(self->sentry, peer->fd, trusted, mpx_now());
}

int64_t mpx_link_patrol(mpx_link_t *self, int64_t now)
{
    if (!self->sentry)
        return MPX_NEVER;
    int64_t due = mpx_sentry_due(self->sentry);
    if (now < due)
        return due;
    /* Asking takes the news from the descriptor: what has come since it was quiet must be read. */
    bool has_message = readable(self->socket);
    if (has_message)
        self->quiet = false;
    return mpx_sentry_patrol(self->sentry, !has_message, now);
}

size_t mpx_link_peers(const mpx_link_t *self)
{
    return HASH_COUNT(self->peers) + (self->lanes ? mpx_lanes_peers(self->lanes) : 0);
}

const char *mpx_link_carrier(const mpx_link_t *self, uint64_t id)
{
    if (self->lanes && (!self->is_hub || mpx_lanes_has(self->lanes, id)))
        return "lane";
    const peer_t *peer = self->is_hub ? find_peer(self, id) : NULL;
    bool local = self->is_hub ? peer && peer->local : mpx_link_is_ipc(self->endpoints[0]);
    return local ? "ipc" : "tcp";
}
