#include "link.h"

#include "context.h"
#include "fault.h"
#include "forkguard.h"
#include "ipc.h"
#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* libzmq makes identities of five bytes; nobody else can set one that we would accept. */
enum { IDENTITY_MAX = 32, ENDPOINTS_MAX = 16, SPARE_DESCRIPTORS = 32, STRAYS = 16 };

/* One connection of a hub, since its first message. */
typedef struct peer {
    uint64_t id;
    unsigned char identity[IDENTITY_MAX];
    size_t identity_size;
    int fd;
    ino_t inode; /* of the socket that had this number then */
    bool kicked;
    bool gone; /* in `down`; what it had sent before is handed out first */
    bool unlisted;
    struct peer *prev, *next; /* in `down`: to be told */
    UT_hash_handle hh;        /* by identity */
    UT_hash_handle by_id;
} peer_t;

typedef enum dial_state { DIALLING, GREETED, UP, LOST, TOLD } dial_state_t;

struct mpx_link {
    void *context;
    bool own_context;
    uint64_t generation;
    void *socket;
    void *monitor;
    int epoll;
    bool is_hub;
    mpx_link_options_t options;
    char endpoints[ENDPOINTS_MAX][MPX_ENDPOINT_MAX];
    mpx_ipc_t ipc[ENDPOINTS_MAX];
    size_t endpoints_count;
    bool listening;
    peer_t *peers; /* hub, by identity */
    peer_t *peers_by_id;
    peer_t *down; /* hub: gone, to be told */
    uint64_t last_peer;
    int strays[STRAYS]; /* connections that went before a message of theirs was read */
    unsigned last_stray;
    dial_state_t dial;
    mp_rc_t down_rc;
    int dial_fd;         /* on the fork guard's list; -1: none */
    zmq_msg_t frames[2]; /* handed out last */
    size_t frames_count;
    char address[128];
};

/* ---- life -------------------------------------------------------------------------------- */

static void set_int(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

/* Heartbeats go only together with unlimited receive queues: a peer that is held back by a
 * limit does not read its heartbeats and is dropped. Our bounds are credits. */
static void set_options(mpx_link_t *self, bool heartbeats, bool ipv6)
{
    void *socket = self->socket;
    int64_t max = (int64_t)self->options.max_message_bytes;
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_SNDHWM, 0);
    set_int(socket, ZMQ_RCVHWM, 0);
    set_int(socket, ZMQ_IPV6, ipv6);
    set_int(socket, ZMQ_HANDSHAKE_IVL, self->options.handshake_ms);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof max);
    if (heartbeats) {
        set_int(socket, ZMQ_HEARTBEAT_IVL, self->options.heartbeat_ms);
        set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, 3 * self->options.heartbeat_ms);
        set_int(socket, ZMQ_HEARTBEAT_TTL, 3 * self->options.heartbeat_ms);
    }
    if (self->is_hub) {
        set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    } else {
        /* One connection, once: nothing is queued into nowhere, nothing reconnects. */
        set_int(socket, ZMQ_IMMEDIATE, 1);
        set_int(socket, ZMQ_RECONNECT_IVL, -1);
    }
}

static mp_rc_t watch(const mpx_link_t *self, void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    struct epoll_event event = {.events = EPOLLIN};
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0 ||
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fault_errno("watching a socket");
    return MP_OK;
}

static mpx_link_t *make(void *context, bool is_hub, const mpx_link_options_t *options)
{
    mpx_link_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    if (options)
        self->options = *options;
    if (!self->options.max_message_bytes)
        self->options.max_message_bytes = (size_t)80 << 20;
    if (!self->options.max_peers)
        self->options.max_peers = 4096;
    if (!self->options.handshake_ms)
        self->options.handshake_ms = 2500;
    if (!self->options.heartbeat_ms)
        self->options.heartbeat_ms = 800;
    self->is_hub = is_hub;
    self->generation = mpx_fork_generation();
    self->dial_fd = -1;
    self->epoll = -1;
    self->own_context = !context;
    self->context = context ? context : mpx_context_get();
    for (size_t i = 0; i < STRAYS; i++)
        self->strays[i] = -1;
    for (size_t i = 0; i < ENDPOINTS_MAX; i++)
        self->ipc[i] = (mpx_ipc_t){.fd = -1, .lock = -1};
    return self;
}

static mp_rc_t open_socket(mpx_link_t *self, bool heartbeats, bool ipv6)
{
    if (!self->context)
        return mpx_fault_errno("a ZeroMQ context");
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->socket = zmq_socket(self->context, self->is_hub ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!self->socket || self->epoll < 0)
        return mpx_fault_errno("a ZeroMQ socket");
    set_options(self, heartbeats, ipv6);
    mp_rc_t rc = mpx_monitor_start(self->context, self->socket, &self->monitor);
    if (rc == MP_OK)
        rc = watch(self, self->monitor);
    return rc == MP_OK ? watch(self, self->socket) : rc;
}

static void forget_frames(mpx_link_t *self)
{
    for (size_t i = 0; i < self->frames_count; i++)
        zmq_msg_close(&self->frames[i]);
    self->frames_count = 0;
}

static void free_peer(mpx_link_t *self, peer_t *peer)
{
    HASH_DELETE(by_id, self->peers_by_id, peer);
    HASH_DEL(self->peers, peer);
    free(peer);
}

static void free_peers(mpx_link_t *self)
{
    peer_t *peer, *next;
    HASH_ITER (hh, self->peers, peer, next)
        free_peer(self, peer);
}

static void forget_dial_fd(mpx_link_t *self)
{
    if (self->dial_fd >= 0)
        mpx_forkguard_remove(self->dial_fd);
    self->dial_fd = -1;
}

/* libzmq's unbind cuts the connections that were accepted there as well: only for the end. */
static void stop_listening(mpx_link_t *self)
{
    if (!self->listening)
        return;
    self->listening = false;
    for (size_t i = 0; i < self->endpoints_count; i++) {
        zmq_unbind(self->socket, self->endpoints[i]);
        mpx_ipc_end(&self->ipc[i]);
    }
}

static void close_socket(mpx_link_t *self, int linger_ms)
{
    forget_frames(self);
    forget_dial_fd(self);
    stop_listening(self);
    if (self->socket) {
        mpx_monitor_stop(self->socket, &self->monitor);
        set_int(self->socket, ZMQ_LINGER, linger_ms);
        zmq_close(self->socket);
    }
    if (self->own_context && self->context)
        mpx_context_release();
}

void mpx_link_destroy(mpx_link_t **self_p, int linger_ms)
{
    mpx_link_t *self = *self_p;
    if (!self)
        return;
    if (self->epoll >= 0)
        close(self->epoll);
    if (self->generation == mpx_fork_generation())
        close_socket(self, linger_ms);
    free_peers(self);
    free(self);
    *self_p = NULL;
}

/* ---- listening ---------------------------------------------------------------------------- */

static mp_rc_t bind_ipc(mpx_link_t *self, size_t i, const char *endpoint)
{
    mp_rc_t rc = mpx_ipc_listen(endpoint + strlen("ipc://"), &self->ipc[i]);
    if (rc != MP_OK)
        return rc;
    set_int(self->socket, ZMQ_USE_FD, self->ipc[i].fd);
    int failed = zmq_bind(self->socket, endpoint);
    set_int(self->socket, ZMQ_USE_FD, -1);
    if (failed) {
        rc = mpx_fault_errno("%s", endpoint);
        close(self->ipc[i].fd);
        mpx_ipc_end(&self->ipc[i]);
        return rc;
    }
    snprintf(self->endpoints[i], MPX_ENDPOINT_MAX, "%s", endpoint);
    return MP_OK;
}

static mp_rc_t bind_tcp(mpx_link_t *self, size_t i, const char *endpoint)
{
    if (zmq_bind(self->socket, endpoint) != 0) {
        if (errno == EADDRINUSE)
            return mpx_fault(MP_EEXIST, "%s: another process listens there", endpoint);
        return mpx_fault_errno("%s", endpoint);
    }
    size_t size = MPX_ENDPOINT_MAX;
    if (zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->endpoints[i], &size) != 0)
        return mpx_fault_errno("%s", endpoint);
    return MP_OK;
}

static bool is_ipc(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0;
}

static mp_rc_t bind_all(mpx_link_t *self, const char *const *endpoints, size_t count)
{
    self->listening = true;
    for (size_t i = 0; i < count; i++) {
        mp_rc_t rc = mpx_endpoint_check(endpoints[i], true);
        if (rc == MP_OK)
            rc = is_ipc(endpoints[i]) ? bind_ipc(self, i, endpoints[i])
                                      : bind_tcp(self, i, endpoints[i]);
        if (rc != MP_OK)
            return rc;
        self->endpoints_count++;
    }
    return MP_OK;
}

mp_rc_t mpx_link_listen(void *context, const char *const *endpoints, size_t endpoints_count,
                        const mpx_link_options_t *options, mpx_link_t **out)
{
    if (endpoints_count == 0 || endpoints_count > ENDPOINTS_MAX)
        return mpx_fault(MP_EINVAL, "1 to %d endpoints can be listened on", ENDPOINTS_MAX);
    mpx_link_t *self = make(context, true, options);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a link");
    bool heartbeats = false;
    bool ipv6 = false;
    for (size_t i = 0; i < endpoints_count; i++) {
        heartbeats = heartbeats || !is_ipc(endpoints[i]);
        ipv6 = ipv6 || strchr(endpoints[i], '[');
    }
    mp_rc_t rc = open_socket(self, heartbeats, ipv6);
    if (rc == MP_OK)
        rc = bind_all(self, endpoints, endpoints_count);
    if (rc != MP_OK) {
        mpx_link_destroy(&self, 0);
        return rc;
    }
    *out = self;
    return MP_OK;
}

const char *mpx_link_endpoint(const mpx_link_t *self, size_t i)
{
    return i < self->endpoints_count ? self->endpoints[i] : NULL;
}

mp_rc_t mpx_link_dial(void *context, const char *endpoint, const mpx_link_options_t *options,
                      mpx_link_t **out)
{
    mp_rc_t rc = mpx_endpoint_check(endpoint, false);
    if (rc != MP_OK)
        return rc;
    mpx_link_t *self = make(context, false, options);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a link");
    rc = open_socket(self, !is_ipc(endpoint), strchr(endpoint, '[') != NULL);
    if (rc == MP_OK && zmq_connect(self->socket, endpoint) != 0)
        rc = errno == EINVAL ? mpx_fault(MP_EINVAL, "%s: no such host", endpoint)
                             : mpx_fault_errno("%s", endpoint);
    if (rc != MP_OK) {
        mpx_link_destroy(&self, 0);
        return rc;
    }
    *out = self;
    return MP_OK;
}

/* ---- peers -------------------------------------------------------------------------------- */

static void mark_gone(mpx_link_t *self, peer_t *peer)
{
    if (peer->gone)
        return;
    peer->gone = true;
    DL_APPEND(self->down, peer);
}

/* Whether the socket that the peer came by is closed, or will be: its other end is. */
static bool has_ended(const peer_t *peer)
{
    struct stat info;
    if (fstat(peer->fd, &info) != 0 || info.st_ino != peer->inode)
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
    for (peer_t *peer = self->peers; peer; peer = peer->hh.next)
        if (peer->fd == fd && !peer->gone && ends_now(peer)) {
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
    struct stat info;
    peer->fd = fd;
    peer->inode = fstat(fd, &info) == 0 ? info.st_ino : 0;
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

static void on_dial_event(mpx_link_t *self, const mpx_monitor_event_t *event)
{
    switch (event->kind) {
    case MPX_MONITOR_CONNECTED:
        self->dial_fd = event->fd;
        if (mpx_forkguard_add(event->fd) != MP_OK)
            self->dial_fd = -1;
        break;
    case MPX_MONITOR_GREETED:
        if (self->dial == DIALLING)
            self->dial = GREETED;
        break;
    case MPX_MONITOR_GONE:
    case MPX_MONITOR_FOREIGN:
        forget_dial_fd(self);
        if (self->dial != LOST && self->dial != TOLD) {
            self->down_rc = self->dial == DIALLING ? MP_ECONNECT : MP_EOF;
            self->dial = LOST;
        }
        break;
    case MPX_MONITOR_OTHER:
        break;
    }
}

static void take_monitor_events(mpx_link_t *self)
{
    mpx_monitor_event_t event;
    while (mpx_monitor_next(self->monitor, &event)) {
        if (!self->is_hub)
            on_dial_event(self, &event);
        else if (event.kind == MPX_MONITOR_GONE || event.kind == MPX_MONITOR_FOREIGN)
            on_fd_gone(self, event.fd);
    }
}

/* Receive one whole message into frames[0..1], the identity into *identity (hub). Frames
 * beyond the second are dropped. Returns their number; 0: nothing there; -1: out of memory. */
static int receive(mpx_link_t *self, zmq_msg_t *identity)
{
    int count = 0;
    bool more = true;
    if (self->is_hub) {
        if (zmq_msg_recv(identity, self->socket, ZMQ_DONTWAIT) < 0)
            return 0;
        more = zmq_msg_more(identity);
    }
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame);
        if (count < 2) {
            self->frames[count] = frame;
            self->frames_count = (size_t)count + 1;
        } else {
            zmq_msg_close(&frame);
        }
        count++;
    }
    return count;
}

static void describe(mpx_link_t *self, mpx_link_event_t *out)
{
    out->frames_count = self->frames_count;
    for (size_t i = 0; i < self->frames_count; i++)
        out->frames[i] =
            (mp_bytes_t){zmq_msg_data(&self->frames[i]), zmq_msg_size(&self->frames[i])};
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
    return peer;
}

/* MP_OK: a message; MP_EBUSY: none; MP_EOF: one that is not for the caller. */
static mp_rc_t hub_message(mpx_link_t *self, mpx_link_event_t *out)
{
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    int count = receive(self, &identity);
    mp_rc_t rc = count ? MP_EOF : MP_EBUSY;
    if (count > 0) {
        peer_t *peer = sender(self, &identity, out);
        if (peer && count > 2)
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

static mp_rc_t hub_next(mpx_link_t *self, mpx_link_event_t *out)
{
    mp_rc_t rc;
    do {
        forget_frames(self);
        *out = (mpx_link_event_t){.kind = MPX_LINK_MESSAGE};
        rc = hub_message(self, out);
    } while (rc == MP_EOF);
    if (rc != MP_EBUSY || !self->down)
        return rc;
    peer_t *peer = self->down;
    DL_DELETE(self->down, peer);
    *out = (mpx_link_event_t){.kind = MPX_LINK_DOWN, .peer = peer->id};
    out->rc = peer->kicked ? MP_EPROTO : MP_EOF;
    free_peer(self, peer);
    return MP_OK;
}

static mp_rc_t dial_message(mpx_link_t *self, mpx_link_event_t *out)
{
    int count = receive(self, NULL);
    if (count == 0)
        return MP_EBUSY;
    *out = (mpx_link_event_t){.kind = MPX_LINK_MESSAGE};
    describe(self, out);
    if (count <= 2)
        return MP_OK;
    self->dial = LOST;
    self->down_rc = MP_EPROTO;
    return MP_EBUSY;
}

static mp_rc_t dial_next(mpx_link_t *self, mpx_link_event_t *out)
{
    if (self->dial == GREETED) {
        self->dial = UP;
        *out = (mpx_link_event_t){.kind = MPX_LINK_UP};
        return MP_OK;
    }
    /* What came before the end still counts. */
    if (self->dial != DIALLING && self->dial != TOLD && dial_message(self, out) == MP_OK)
        return MP_OK;
    if (self->dial == LOST) {
        self->dial = TOLD;
        *out = (mpx_link_event_t){.kind = MPX_LINK_DOWN, .rc = self->down_rc};
        return MP_OK;
    }
    return MP_EBUSY;
}

mp_rc_t mpx_link_next(mpx_link_t *self, mpx_link_event_t *out)
{
    forget_frames(self);
    take_monitor_events(self);
    return self->is_hub ? hub_next(self, out) : dial_next(self, out);
}

int mpx_link_fd(const mpx_link_t *self)
{
    return self->epoll;
}

static bool readable(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

bool mpx_link_ready(mpx_link_t *self)
{
    if (self->down || self->dial == GREETED || self->dial == LOST)
        return true;
    return readable(self->monitor) || (self->dial != TOLD && readable(self->socket));
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
    zmq_msg_close(&frame);
    return MP_ECLOSED;
}

static mp_rc_t address_peer(mpx_link_t *self, uint64_t id)
{
    peer_t *peer = find_peer(self, id);
    if (!peer || peer->kicked || peer->gone)
        return MP_ECLOSED;
    mp_rc_t rc = send_frame(self, peer->identity, peer->identity_size, ZMQ_SNDMORE);
    if (rc == MP_ECLOSED) /* MANDATORY: libzmq knows no such peer any more */
        mark_gone(self, peer);
    return rc;
}

mp_rc_t mpx_link_send(mpx_link_t *self, uint64_t peer, mp_bytes_t head, mp_bytes_t payload)
{
    if (head.size > self->options.max_message_bytes ||
        payload.size > self->options.max_message_bytes)
        return mpx_fault(MP_ETOOLARGE, "a message of %zu bytes", payload.size);
    if (!self->is_hub && self->dial != UP)
        return MP_ECLOSED;
    mp_rc_t rc = self->is_hub ? address_peer(self, peer) : MP_OK;
    bool apart = payload.data != NULL;
    if (rc == MP_OK)
        rc = send_frame(self, head.data, head.size, apart ? ZMQ_SNDMORE : 0);
    if (rc == MP_OK && apart)
        rc = send_frame(self, payload.data, payload.size, 0);
    return rc;
}

void mpx_link_kick(mpx_link_t *self, uint64_t id)
{
    peer_t *peer = find_peer(self, id);
    if (peer)
        shut(peer);
}

size_t mpx_link_peers(const mpx_link_t *self)
{
    return HASH_COUNT(self->peers);
}
