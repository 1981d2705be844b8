#include "link_private.h"

#include "clock.h"
#include "context.h"
#include "fault.h"
#include "forkguard.h"
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* ---- life -------------------------------------------------------------------------------- */

static void set_int(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

enum { NEVER_MS = 1 << 30 }; /* twelve days */

/* libzmq sends heartbeats, and leaves it to us what follows if none come (pulse.h). */
static void set_options(mpx_link_t *self, bool heartbeats, bool ipv6)
{
    void *socket = self->socket;
    int64_t max = (int64_t)self->options.max_message_bytes;
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_SNDHWM, (int)self->options.max_behind);
    set_int(socket, ZMQ_RCVHWM, 0);
    set_int(socket, ZMQ_IPV6, ipv6);
    set_int(socket, ZMQ_HANDSHAKE_IVL, self->options.handshake_ms);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof max);
    if (heartbeats) {
        set_int(socket, ZMQ_HEARTBEAT_IVL, self->options.heartbeat_ms);
        set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, 0);
        set_int(socket, ZMQ_HEARTBEAT_TTL, 0);
    }
    if (self->is_hub) {
        set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    } else {
        /* One connection, once: nothing is queued into nowhere, and a link is gone long before it
         * would reconnect. Without a time for that libzmq keeps to itself that a name has no
         * address. */
        set_int(socket, ZMQ_IMMEDIATE, 1);
        set_int(socket, ZMQ_RECONNECT_IVL, NEVER_MS);
    }
}

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN /* declared among drafts, and always there */
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* Without a domain that is enforced a context that nobody answers for would let in each key. */
static mp_rc_t set_keys(mpx_link_t *self)
{
    void *socket = self->socket;
    const mpx_curve_t *curve = self->options.curve;
    if (!curve)
        return MP_OK;
    self->has_curve = true;
    self->options.curve = NULL; /* libzmq has a copy, and the caller's may go */
    bool set =
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve->secret_key, MPX_CURVE_TEXT + 1) == 0;
    if (self->is_hub) {
        int on = 1;
        set_int(socket, ZMQ_CURVE_SERVER, on);
        set = set && zmq_setsockopt(socket, ZMQ_ZAP_ENFORCE_DOMAIN, &on, sizeof on) == 0 &&
              zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, MPX_ZAP_DOMAIN, strlen(MPX_ZAP_DOMAIN)) == 0;
        return set ? mpx_zap_open(self->context, &self->zap) : mpx_fault(MP_EINVAL, "not a key");
    }
    set = set &&
          zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, curve->public_key, MPX_CURVE_TEXT + 1) == 0 &&
          zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, curve->server_key, MPX_CURVE_TEXT + 1) == 0;
    return set ? MP_OK : mpx_fault(MP_EINVAL, "not a key");
}

static mp_rc_t watch_fd(const mpx_link_t *self, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fault_errno("watching a descriptor");
    return MP_OK;
}

static mp_rc_t watch(const mpx_link_t *self, void *socket, int *fd)
{
    size_t size = sizeof *fd;
    if (zmq_getsockopt(socket, ZMQ_FD, fd, &size) != 0)
        return mpx_fault_errno("watching a socket");
    return watch_fd(self, *fd);
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
        self->options.heartbeat_ms = 400;
    if (!self->options.patience_ms)
        self->options.patience_ms = 5000;
    if (!self->options.max_ahead_bytes)
        self->options.max_ahead_bytes = 2 * self->options.max_message_bytes + (1 << 20);
    self->is_hub = is_hub;
    self->generation = mpx_fork_generation();
    self->dial_fd = self->monitor_fd = self->zap_fd = self->beat_fd = -1;
    self->epoll = -1;
    self->own_context = !context;
    self->context = context;
    for (size_t i = 0; i < STRAYS; i++)
        self->strays[i] = -1;
    for (size_t i = 0; i < ENDPOINTS_MAX; i++)
        self->ipc[i] = (mpx_ipc_t){.fd = -1, .lock = -1};
    return self;
}

static mp_rc_t open_epoll(mpx_link_t *self)
{
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    return self->epoll < 0 ? mpx_fault_errno("a link") : MP_OK;
}

static mp_rc_t open_socket(mpx_link_t *self, bool heartbeats, bool ipv6)
{
    if (!self->context)
        self->context = mpx_context_get();
    if (!self->context)
        return mpx_fault_errno("a ZeroMQ context");
    self->socket = zmq_socket(self->context, self->is_hub ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!self->socket)
        return mpx_fault_errno("a ZeroMQ socket");
    set_options(self, heartbeats, ipv6);
    mp_rc_t rc = set_keys(self);
    if (rc == MP_OK)
        rc = mpx_monitor_start(self->context, self->socket, &self->monitor);
    if (rc == MP_OK)
        rc = watch(self, self->monitor, &self->monitor_fd);
    if (rc == MP_OK && self->zap)
        rc = watch(self, self->zap, &self->zap_fd);
    return rc == MP_OK ? watch(self, self->socket, &(int){-1}) : rc;
}

/* libzmq's unbind cuts the connections that were accepted there as well: only for the end. */
static void stop_listening(mpx_link_t *self)
{
    if (!self->listening)
        return;
    self->listening = false;
    for (size_t i = 0; i < self->endpoints_count; i++) {
        if (self->socket)
            zmq_unbind(self->socket, self->endpoints[i]);
        mpx_ipc_end(&self->ipc[i]);
    }
}

static void close_socket(mpx_link_t *self, int linger_ms)
{
    mpx_link_forget_frames(self);
    mpx_link_forget_dial_fd(self);
    if (self->socket) /* before: unbinding ends connections by that rule too */
        set_int(self->socket, ZMQ_LINGER, linger_ms);
    stop_listening(self);
    if (self->socket) {
        mpx_monitor_stop(self->socket, &self->monitor);
        zmq_close(self->socket);
    }
    mpx_zap_close(&self->zap);
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
    if (self->beat_fd >= 0)
        close(self->beat_fd);
    mpx_lanes_destroy(&self->lanes);
    if (self->generation == mpx_fork_generation())
        close_socket(self, linger_ms);
    mpx_link_free_peers(self);
    mpx_sentry_free(&self->sentry);
    free(self);
    *self_p = NULL;
}

/* ---- listening ---------------------------------------------------------------------------- */

/* In the abstract namespace nobody's socket can be taken over, and nothing is left behind. */
static mp_rc_t bind_abstract(mpx_link_t *self, size_t i, const char *endpoint)
{
    uid_t user = geteuid();
    if (self->socket &&
        (zmq_setsockopt(self->socket, ZMQ_IPC_FILTER_UID, &user, sizeof user) != 0 ||
         zmq_bind(self->socket, endpoint) != 0))
        return errno == EADDRINUSE
                   ? mpx_fault(MP_EEXIST, "%s: another process listens there", endpoint)
                   : mpx_fault_errno("%s", endpoint);
    snprintf(self->endpoints[i], MPX_ENDPOINT_MAX, "%s", endpoint);
    return MP_OK;
}

static mp_rc_t bind_ipc(mpx_link_t *self, size_t i, const char *endpoint)
{
    if (endpoint[strlen("ipc://")] == '@')
        return bind_abstract(self, i, endpoint);
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
    char address[MPX_ENDPOINT_MAX];
    mpx_endpoint_address(endpoint, address);
    if (zmq_bind(self->socket, address) != 0) {
        if (errno == EADDRINUSE)
            return mpx_fault(MP_EEXIST, "%s: another process listens there", endpoint);
        if (errno == ENODEV || errno == EADDRNOTAVAIL)
            return mpx_fault(MP_ESYSTEM,
                             "%s: this host has no such address or interface; what is listened on "
                             "is a numeric address of its own, localhost, or '*' for all",
                             endpoint);
        return mpx_fault_errno("%s", endpoint);
    }
    size_t size = MPX_ENDPOINT_MAX;
    if (zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->endpoints[i], &size) != 0)
        return mpx_fault_errno("%s", endpoint);
    return MP_OK;
}

static mp_rc_t bind_all(mpx_link_t *self, const char *const *endpoints, size_t count)
{
    self->listening = true;
    for (size_t i = 0; i < count; i++) {
        mp_rc_t rc = mpx_endpoint_check(endpoints[i], true);
        if (rc == MP_OK)
            rc = mpx_link_is_ipc(endpoints[i]) ? bind_ipc(self, i, endpoints[i])
                                               : bind_tcp(self, i, endpoints[i]);
        if (rc != MP_OK)
            return rc;
        self->endpoints_count++;
        if (self->lanes && mpx_link_is_ipc(endpoints[i]))
            rc = mpx_lanes_open_door(self->lanes, endpoints[i]);
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

static mp_rc_t post_sentry(mpx_link_t *self)
{
    mpx_sentry_options_t options = {
        .patience_ns = self->options.patience_ms * MPX_MS,
        .strangers = STRANGERS_MAX,
        .ahead_bytes = self->options.max_ahead_bytes,
        .flood_bytes = self->options.max_flood_bytes,
        .beat_ns = self->options.heartbeat_ms * MPX_MS,
    };
    self->sentry = mpx_sentry_new(&options);
    return self->sentry ? MP_OK : mpx_fault(MP_ENOMEM, "a link");
}

/* A dial has no loop of its own that would patrol: its descriptor wakes whoever waits for it. */
static mp_rc_t start_beat(mpx_link_t *self)
{
    struct timespec step = {.tv_sec = self->options.heartbeat_ms / 1000,
                            .tv_nsec = self->options.heartbeat_ms % 1000 * MPX_MS};
    struct itimerspec times = {.it_interval = step, .it_value = step};
    self->beat_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (self->beat_fd < 0 || timerfd_settime(self->beat_fd, 0, &times, NULL) != 0)
        return mpx_fault_errno("a link");
    return watch_fd(self, self->beat_fd);
}

static bool wants_lanes(const mpx_link_t *self)
{
    return self->options.only_lanes || (!self->options.no_lane && mpx_link_lanes_allowed());
}

static mp_rc_t open_lanes(mpx_link_t *self)
{
    mpx_lanes_options_t options = {
        .max_peers = self->is_hub ? self->options.max_peers : 0,
        .max_message_bytes = self->options.max_message_bytes,
        .max_behind = self->options.max_behind,
        .linger_ns =
            self->is_hub && mpx_lane_may_linger() ? self->options.linger_us * INT64_C(1000) : 0,
    };
    mp_rc_t rc = mpx_lanes_new(&options, &self->last_peer, &self->lanes);
    if (rc == MP_OK && self->is_hub)
        rc = watch_fd(self, mpx_lanes_fd(self->lanes));
    return rc;
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
        heartbeats = heartbeats || !mpx_link_is_ipc(endpoints[i]);
        ipv6 = ipv6 || strchr(endpoints[i], '[');
    }
    mp_rc_t rc = open_epoll(self);
    if (rc == MP_OK && !self->options.only_lanes)
        rc = open_socket(self, heartbeats, ipv6);
    if (rc == MP_OK && self->socket)
        rc = post_sentry(self);
    if (rc == MP_OK && wants_lanes(self))
        rc = open_lanes(self);
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
    mpx_lane_t *lane = NULL;
    if (mpx_link_is_ipc(endpoint) && wants_lanes(self))
        lane = mpx_lanes_knock(endpoint, LANE_RING_BYTES);
    if (lane) {
        mpx_link_destroy(&self, 0);
        rc = mpx_link_adopt(lane, options, out);
        if (rc == MP_OK)
            (*out)->dial = GREETED; /* tells that it is up */
        else
            mpx_lane_destroy(&lane);
        return rc;
    }
    snprintf(self->endpoints[0], MPX_ENDPOINT_MAX, "%s", endpoint);
    rc = open_epoll(self);
    bool heartbeats = !mpx_link_is_ipc(endpoint);
    if (rc == MP_OK)
        rc = open_socket(self, heartbeats, strchr(endpoint, '[') != NULL);
    if (rc == MP_OK && heartbeats)
        rc = start_beat(self);
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

mp_rc_t mpx_link_adopt(mpx_lane_t *lane, const mpx_link_options_t *options, mpx_link_t **out)
{
    mpx_link_t *self = make(NULL, false, options);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a link");
    mp_rc_t rc = open_lanes(self);
    if (rc == MP_OK)
        rc = mpx_lanes_adopt(self->lanes, lane, NULL);
    if (rc != MP_OK) {
        mpx_link_destroy(&self, 0);
        return rc;
    }
    self->dial = UP;
    *out = self;
    return MP_OK;
}

bool mpx_link_leave(mpx_link_t **self_p, int fds[2], unsigned *side)
{
    mpx_link_t *self = *self_p;
    mpx_lane_t *lane = self->is_hub || !self->lanes ? NULL : mpx_lanes_release(self->lanes, 0);
    if (!lane)
        return false;
    if (!mpx_lane_leave(&lane, fds, side)) {
        if (mpx_lanes_adopt(self->lanes, lane, NULL) != MP_OK)
            mpx_lane_destroy(&lane);
        return false;
    }
    mpx_link_destroy(self_p, 0);
    return true;
}

void mpx_link_lend(mpx_link_t *self, int (*find)(void *arg, uint64_t ticket, uint64_t secret),
                   void *arg)
{
    if (self->lanes)
        mpx_lanes_lend(self->lanes, find, arg);
}

mp_rc_t mpx_link_fetch(const char *endpoint, uint64_t ticket, uint64_t secret, int64_t deadline,
                       int *fd)
{
    return mpx_lanes_fetch(endpoint, ticket, secret, deadline, fd);
}

mp_rc_t mpx_link_detach(mpx_link_t *self, uint64_t peer, mpx_link_t **out)
{
    mpx_lane_t *lane = self->lanes ? mpx_lanes_release(self->lanes, peer) : NULL;
    if (!lane)
        return mpx_fault(MP_ESTATE, "the peer isn't on a lane, or not free of messages");
    mp_rc_t rc = mpx_link_adopt(lane, &self->options, out);
    if (rc != MP_OK)
        mpx_lane_destroy(&lane);
    return rc;
}
