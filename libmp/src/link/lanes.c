#include "lanes.h"

#include "door.h"

#include "buf.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

enum {
    EVENTS = 32,
    LOOK_ROUNDS = 8, /* of looking at lingering ones only, before all others are asked */
    BURST = 64,      /* messages of one peer before the next one's turn */
    LINGERING_MAX = 1024,
    COLD_NS = 10000000, /* so long a lingering one is looked at, while others are busy */
    KNOCKING_MAX = 256, /* who connected to the door and said nothing yet */
    TRAILER = 4
};

/* A message that the lane had no room for. */
typedef struct waiting {
    struct waiting *prev, *next;
    size_t head_size;
    size_t size;
    unsigned char bytes[];
} waiting_t;

/*     KNOCKING --descriptors come--> SEATED --end, kick, damage--> told, and freed
 *        +----- nothing comes of it: freed
 */
typedef struct seat {
    uint64_t id;
    int door;         /* KNOCKING: the connection; else -1 */
    mpx_lane_t *lane; /* SEATED */
    waiting_t *outbox;
    size_t behind;    /* messages in it */
    bool awake;       /* in the list: to be looked at before anybody sleeps */
    bool lingers;     /* in that list: it need not ring, as nobody sleeps */
    int64_t heard_at; /* at the latest */
    bool ended;       /* the other side is gone; what it had sent is handed out first */
    bool kicked;      /* or it has damaged the lane */
    bool known;       /* a message of its was handed out */
    bool unlisted;
    unsigned burst;
    char address[24];
    struct seat *prev, *next;
    struct seat *prev_lingering, *next_lingering;
    UT_hash_handle hh;
} seat_t;

struct mpx_lanes {
    uint64_t generation;
    int epoll; /* of a hub; else -1 */
    int door;
    mpx_lanes_options_t options;
    uint64_t *last_peer;
    seat_t *seats;
    seat_t *only; /* of a dial */
    seat_t *awake;
    seat_t *lingering;
    size_t lingering_count;
    bool may_linger;
    unsigned rounds; /* in which there were only lingering ones */
    seat_t *held;    /* whose record was handed out */
    size_t knocking;
    size_t seated;
    mpx_lanes_find_t *find;
    void *find_arg;
    mpx_bell_t *bell;    /* of a hub with peers, if it can be had */
    bool napped;         /* of a dial: its lane is awake, and has something */
    unsigned since_look; /* messages since everybody was asked */
    bool looked;         /* everybody was asked since the last time that all slept */
};

/* Held across every fork: a child that is forked between the making of a descriptor and its
 * entry in the fork guard's list would hide the end of somebody's other side. */
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void install(void)
{
    mpx_forkguard_hold(&fork_lock);
}

static void no_forks(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&fork_lock);
}

static void forks_again(void)
{
    pthread_mutex_unlock(&fork_lock);
}

/* ---- life --------------------------------------------------------------------------------- */

mp_rc_t mpx_lanes_new(const mpx_lanes_options_t *options, uint64_t *last_peer, mpx_lanes_t **out)
{
    mpx_lanes_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "lanes");
    self->generation = mpx_fork_generation();
    self->epoll = -1;
    self->door = -1;
    self->options = *options;
    self->last_peer = last_peer;
    self->may_linger = mpx_lane_may_linger();
    if (options->max_peers && (self->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        free(self);
        return mpx_fault_errno("lanes: epoll");
    }
    *out = self;
    return MP_OK;
}

static void to_sleep(mpx_lanes_t *self, seat_t *seat)
{
    if (seat->awake)
        DL_DELETE(self->awake, seat);
    seat->awake = false;
}

static void stop_lingering(mpx_lanes_t *self, seat_t *seat)
{
    if (seat->lingers) {
        self->lingering_count--;
        DL_DELETE2(self->lingering, seat, prev_lingering, next_lingering);
    }
    seat->lingers = false;
}

static void wake(mpx_lanes_t *self, seat_t *seat)
{
    stop_lingering(self, seat);
    if (!seat->awake)
        DL_APPEND(self->awake, seat);
    seat->awake = true;
}

/* The watching set is shared with forked children: theirs must leave ours alone. */
static void unwatch(const mpx_lanes_t *self, int fd)
{
    if (self->epoll >= 0 && self->generation == mpx_fork_generation())
        (void)epoll_ctl(self->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void close_door_of(mpx_lanes_t *self, seat_t *seat)
{
    if (seat->door < 0)
        return;
    self->knocking--;
    unwatch(self, seat->door);
    if (self->generation == mpx_fork_generation()) {
        mpx_forkguard_remove(seat->door);
        close(seat->door);
    }
    seat->door = -1;
}

static void free_seat(mpx_lanes_t *self, seat_t *seat)
{
    if (self->held == seat)
        self->held = NULL;
    to_sleep(self, seat);
    stop_lingering(self, seat);
    if (self->only == seat)
        self->only = NULL;
    else
        HASH_DEL(self->seats, seat);
    close_door_of(self, seat);
    if (seat->lane) {
        self->seated--;
        unwatch(self, mpx_lane_fd(seat->lane));
    }
    mpx_lane_destroy(&seat->lane);
    waiting_t *message, *next;
    DL_FOREACH_SAFE (seat->outbox, message, next)
        free(message);
    free(seat);
}

void mpx_lanes_destroy(mpx_lanes_t **self_p)
{
    mpx_lanes_t *self = *self_p;
    if (!self)
        return;
    seat_t *seat, *next;
    HASH_ITER (hh, self->seats, seat, next)
        free_seat(self, seat);
    if (self->only)
        free_seat(self, self->only);
    if (self->door >= 0 && self->generation == mpx_fork_generation()) {
        mpx_forkguard_remove(self->door);
        close(self->door);
    }
    if (self->epoll >= 0)
        close(self->epoll);
    mpx_bell_destroy(&self->bell);
    free(self);
    *self_p = NULL;
}

static mp_rc_t watch(const mpx_lanes_t *self, int fd, seat_t *seat)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = seat};
    if (self->epoll >= 0 && epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fault_errno("lanes: watching a descriptor");
    return MP_OK;
}

mp_rc_t mpx_lanes_open_door(mpx_lanes_t *self, const char *endpoint)
{
    int fd = -1;
    mp_rc_t rc = mpx_door_listen(endpoint, &fd);
    if (rc != MP_OK)
        return rc;
    rc = watch(self, fd, NULL);
    if (rc == MP_OK)
        rc = mpx_forkguard_add(fd);
    if (rc != MP_OK)
        close(fd);
    else
        self->door = fd;
    return rc;
}

/* ---- knocking ------------------------------------------------------------------------------ */

static bool knock_at(const char *endpoint, const int fds[2])
{
    mpx_request_t request = {.magic = MPX_DOOR_KNOCK};
    int door = mpx_door_connect(endpoint);
    bool sent = door >= 0 && mpx_door_send(door, &request, fds, 2);
    if (door >= 0)
        close(door);
    return sent;
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

mpx_lane_t *mpx_lanes_knock(const char *endpoint, size_t ring_bytes)
{
    int own[2];
    int theirs[2];
    mpx_lane_t *lane = NULL;
    no_forks();
    if (mpx_lane_pair(ring_bytes, own, theirs) == MP_OK) {
        if (!knock_at(endpoint, theirs) || mpx_lane_join(own, 0, &lane) != MP_OK)
            close_both(own);
        close_both(theirs);
    }
    forks_again();
    return lane;
}

mp_rc_t mpx_lanes_fetch(const char *endpoint, uint64_t ticket, uint64_t secret, int64_t deadline,
                        int *fd)
{
    mpx_request_t request = {.magic = MPX_DOOR_FETCH, .ticket = ticket, .secret = secret};
    int door = mpx_door_connect(endpoint);
    if (door < 0)
        return mpx_fault(MP_ENOTFOUND, "the process that made the reference has ended");
    struct pollfd answer = {.fd = door, .events = POLLIN};
    mp_rc_t rc = MP_OK;
    int n = 0;
    if (!mpx_door_send(door, &request, NULL, 0))
        rc = mpx_fault_errno("asking for a descriptor");
    while (rc == MP_OK && (n = poll(&answer, 1, mpx_poll_ms(mpx_now(), deadline))) <= 0)
        if (n == 0 ? mpx_now() >= deadline : errno != EINTR)
            rc = mpx_fault(MP_ETIMEDOUT, "the process that made the reference doesn't answer");
    if (rc == MP_OK && mpx_door_receive(door, &request, fd, 1) != 1)
        rc = mpx_fault(MP_ENOTFOUND, "what the reference names is gone");
    close(door);
    return rc;
}

void mpx_lanes_lend(mpx_lanes_t *self, mpx_lanes_find_t *find, void *arg)
{
    self->find = find;
    self->find_arg = arg;
}

/* ---- the hub's side of the door ---------------------------------------------------------------
 */

static seat_t *make_seat(mpx_lanes_t *self)
{
    seat_t *seat = calloc(1, sizeof *seat);
    if (!seat)
        return NULL;
    seat->door = -1;
    if (!self->options.max_peers) {
        self->only = seat;
        return seat;
    }
    seat->id = ++*self->last_peer;
    HASH_ADD(hh, self->seats, id, sizeof seat->id, seat);
    if (seat->unlisted) {
        free(seat);
        return NULL;
    }
    return seat;
}

/* Peers of a hub sleep on its bell, if there is one: those who wait for it on a socket can, too. */
static void share_bell(mpx_lanes_t *self, mpx_lane_t *lane)
{
    if (!self->options.max_peers)
        mpx_lane_want_bell(lane);
    else if (self->bell || mpx_bell_new(&self->bell) == MP_OK)
        mpx_lane_lend_bell(lane, self->bell);
}

static mp_rc_t seat_lane(mpx_lanes_t *self, seat_t *seat, mpx_lane_t *lane)
{
    mp_rc_t rc = watch(self, mpx_lane_fd(lane), seat);
    if (rc != MP_OK)
        return rc;
    share_bell(self, lane);
    seat->lane = lane;
    self->seated++;
    wake(self, seat);
    return MP_OK;
}

mp_rc_t mpx_lanes_adopt(mpx_lanes_t *self, mpx_lane_t *lane, uint64_t *id)
{
    seat_t *seat = make_seat(self);
    if (!seat)
        return mpx_fault(MP_ENOMEM, "a peer");
    mp_rc_t rc = seat_lane(self, seat, lane);
    if (rc != MP_OK)
        free_seat(self, seat);
    else if (id)
        *id = seat->id;
    return rc;
}

/* A full house: the connection is closed, and who knocked sees its lane end. */
static void open_door(mpx_lanes_t *self)
{
    pid_t pid = 0;
    seat_t *seat = NULL;
    no_forks();
    int fd = accept4(self->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool guarded = fd >= 0 && mpx_forkguard_add(fd) == MP_OK;
    forks_again();
    if (guarded && self->knocking < KNOCKING_MAX &&
        self->seated + self->knocking < self->options.max_peers && mpx_door_is_us(fd, &pid))
        seat = make_seat(self);
    if (!seat) {
        if (guarded)
            mpx_forkguard_remove(fd);
        if (fd >= 0)
            close(fd);
        return;
    }
    self->knocking++;
    seat->door = fd;
    snprintf(seat->address, sizeof seat->address, "local:%d", (int)pid);
    if (watch(self, fd, seat) != MP_OK)
        free_seat(self, seat);
}

static void lend(const mpx_lanes_t *self, const seat_t *seat, const mpx_request_t *request)
{
    int fd = self->find ? self->find(self->find_arg, request->ticket, request->secret) : -1;
    (void)mpx_door_send(seat->door, request, &fd, fd >= 0 ? 1 : 0);
    if (fd >= 0)
        close(fd);
}

/* What somebody at the door wants. A lane is theirs from here on. */
static void take_knock(mpx_lanes_t *self, seat_t *seat)
{
    int fds[2];
    mpx_request_t request;
    mpx_lane_t *lane = NULL;
    no_forks();
    int got = mpx_door_receive(seat->door, &request, fds, 2);
    if (got == 2 && (request.magic != MPX_DOOR_KNOCK || mpx_lane_join(fds, 1, &lane) != MP_OK))
        close_both(fds);
    forks_again();
    if (got == MPX_DOOR_NOTHING)
        return;
    if (got == 0 && request.magic == MPX_DOOR_FETCH)
        lend(self, seat, &request);
    close_door_of(self, seat);
    if (lane && seat_lane(self, seat, lane) == MP_OK)
        return;
    mpx_lane_destroy(&lane);
    free_seat(self, seat);
}

mpx_lane_t *mpx_lanes_release(mpx_lanes_t *self, uint64_t id)
{
    seat_t *seat = self->only;
    if (self->options.max_peers)
        HASH_FIND(hh, self->seats, &id, sizeof id, seat);
    if (!seat || !seat->lane || seat->outbox || mpx_lane_cut(seat->lane))
        return NULL;
    if (self->held == seat) {
        mpx_lane_pop(seat->lane);
        self->held = NULL;
    }
    mpx_lane_t *lane = seat->lane;
    mpx_lane_lend_bell(lane, NULL);
    unwatch(self, mpx_lane_fd(lane));
    seat->lane = NULL;
    self->seated--;
    free_seat(self, seat);
    return lane;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static mp_rc_t write_message(seat_t *seat, mp_bytes_t head, mp_bytes_t payload, size_t head_size)
{
    unsigned char trailer[TRAILER];
    mpx_store_u32(trailer, (uint32_t)head_size);
    mp_bytes_t parts[3] = {head, payload, {trailer, TRAILER}};
    mp_rc_t rc = mpx_lane_write(seat->lane, parts, 3);
    /* Cut is as good as written: the lane keeps the rest. */
    if (rc == MP_EBUSY && mpx_lane_cut(seat->lane))
        rc = MP_OK;
    if (rc == MP_OK)
        mpx_lane_ring(seat->lane);
    return rc;
}

static mp_rc_t keep(seat_t *seat, mp_bytes_t head, mp_bytes_t payload)
{
    waiting_t *message = malloc(sizeof *message + head.size + payload.size);
    if (!message)
        return mpx_fault(MP_ENOMEM, "a message of %zu bytes", payload.size);
    message->head_size = head.size;
    message->size = head.size + payload.size;
    if (head.size)
        memcpy(message->bytes, head.data, head.size);
    if (payload.size)
        memcpy(message->bytes + head.size, payload.data, payload.size);
    DL_APPEND(seat->outbox, message);
    seat->behind++;
    return MP_OK;
}

static seat_t *find_seat(const mpx_lanes_t *self, uint64_t id)
{
    seat_t *seat = self->only;
    if (self->options.max_peers)
        HASH_FIND(hh, self->seats, &id, sizeof id, seat);
    return seat;
}

bool mpx_lanes_has(const mpx_lanes_t *self, uint64_t id)
{
    return find_seat(self, id) != NULL;
}

mp_rc_t mpx_lanes_send(mpx_lanes_t *self, uint64_t id, mp_bytes_t head, mp_bytes_t payload)
{
    seat_t *seat = find_seat(self, id);
    if (!seat || !seat->lane || seat->ended || seat->kicked)
        return MP_ECLOSED;
    bool busy = seat->outbox || mpx_lane_cut(seat->lane);
    mp_rc_t rc = busy ? MP_EBUSY : write_message(seat, head, payload, head.size);
    if (rc == MP_EBUSY && self->options.max_behind && seat->behind >= self->options.max_behind)
        rc = MP_EPROTO; /* it doesn't read */
    if (rc == MP_EBUSY)
        rc = keep(seat, head, payload);
    if (seat->outbox || mpx_lane_cut(seat->lane))
        wake(self, seat); /* to sleep again, for room */
    if (rc == MP_EPROTO) {
        mpx_lanes_kick(self, id);
        return MP_ECLOSED;
    }
    return rc;
}

/* MP_OK: nothing waits any more; MP_EBUSY; MP_EPROTO. */
static mp_rc_t flush(seat_t *seat)
{
    mp_rc_t rc = MP_OK;
    if (mpx_lane_cut(seat->lane)) {
        rc = mpx_lane_flush(seat->lane);
        mpx_lane_ring(seat->lane);
    }
    while (rc == MP_OK && seat->outbox) {
        waiting_t *message = seat->outbox;
        mp_bytes_t head = {message->bytes, message->head_size};
        mp_bytes_t payload = {message->bytes + message->head_size,
                              message->size - message->head_size};
        rc = write_message(seat, head, payload, message->head_size);
        if (rc == MP_OK) {
            DL_DELETE(seat->outbox, message);
            free(message);
            seat->behind--;
            rc = mpx_lane_cut(seat->lane) ? MP_EBUSY : MP_OK;
        }
    }
    return rc == MP_ENOMEM ? MP_EBUSY : rc;
}

void mpx_lanes_kick(mpx_lanes_t *self, uint64_t id)
{
    seat_t *seat = find_seat(self, id);
    if (!seat || !seat->lane)
        return;
    seat->kicked = true;
    wake(self, seat);
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void forget_record(mpx_lanes_t *self)
{
    if (self->held)
        mpx_lane_pop(self->held->lane);
    self->held = NULL;
}

/* MP_OK; MP_EPROTO it isn't what write_message makes. */
static mp_rc_t split(const mpx_lanes_t *self, mp_bytes_t record, mpx_link_event_t *out)
{
    if (record.size < TRAILER)
        return MP_EPROTO;
    const unsigned char *bytes = record.data;
    size_t size = record.size - TRAILER;
    size_t head_size = mpx_load_u32(bytes + size);
    if (head_size > size || head_size > self->options.max_message_bytes ||
        size - head_size > self->options.max_message_bytes)
        return MP_EPROTO;
    out->frames[0] = (mp_bytes_t){bytes, head_size};
    out->frames[1] = (mp_bytes_t){bytes + head_size, size - head_size};
    out->frames_count = size > head_size ? 2 : 1;
    return MP_OK;
}

static mp_rc_t hand_out(mpx_lanes_t *self, seat_t *seat, mp_bytes_t record, mpx_link_event_t *out)
{
    *out = (mpx_link_event_t){.kind = MPX_LINK_MESSAGE, .peer = seat->id};
    self->held = seat;
    mp_rc_t rc = split(self, record, out);
    if (rc != MP_OK) {
        seat->kicked = true;
        return MP_EPROTO;
    }
    if (!seat->known)
        out->address = seat->address;
    seat->known = true;
    self->since_look++;
    if (++seat->burst >= BURST && seat->next) {
        seat->burst = 0;
        to_sleep(self, seat);
        wake(self, seat);
    }
    return MP_OK;
}

/* It need not ring until mpx_lanes_ready lets it sleep. */
static void linger(mpx_lanes_t *self, seat_t *seat)
{
    to_sleep(self, seat);
    seat->lingers = true;
    seat->heard_at = mpx_now();
    DL_APPEND2(self->lingering, seat, prev_lingering, next_lingering);
    self->lingering_count++;
}

/* Those that have something are to be visited. */
static bool look_at_lingering(mpx_lanes_t *self)
{
    seat_t *seat, *next;
    DL_FOREACH_SAFE2(self->lingering, seat, next, next_lingering)
    {
        if (mpx_lane_readable(seat->lane))
            wake(self, seat);
    }
    return self->awake != NULL;
}

/* From now on they ring; but who has written meanwhile may not have. */
static void let_sleep(mpx_lanes_t *self, int64_t heard_before)
{
    seat_t *seat, *next;
    DL_FOREACH_SAFE2(self->lingering, seat, next, next_lingering)
    {
        if (seat->heard_at > heard_before)
            continue;
        stop_lingering(self, seat);
        if (!mpx_lane_sleep(seat->lane, false))
            wake(self, seat);
    }
}

/* What a seat at the front of the list has: MP_OK an event; MP_EBUSY it sleeps now, or is freed:
 * look at the next one; MP_ENOMEM. */
static mp_rc_t visit(mpx_lanes_t *self, seat_t *seat, mpx_link_event_t *out)
{
    mp_bytes_t record;
    mp_rc_t rc = seat->kicked ? MP_EPROTO : flush(seat);
    bool for_room = rc == MP_EBUSY;
    if (rc != MP_EPROTO)
        rc = mpx_lane_read(seat->lane, &record);
    if (rc == MP_OK)
        rc = hand_out(self, seat, record, out);
    if (rc == MP_OK || rc == MP_ENOMEM)
        return rc;
    if (rc == MP_EBUSY && !seat->ended) {
        seat->burst = 0;
        if (self->epoll >= 0 && !for_room && self->lingering_count < LINGERING_MAX)
            linger(self, seat);
        else if (mpx_lane_sleep(seat->lane, for_room))
            to_sleep(self, seat);
        return MP_EBUSY;
    }
    bool known = seat->known || self->only;
    *out = (mpx_link_event_t){.kind = MPX_LINK_DOWN, .peer = seat->id};
    out->rc = rc == MP_EPROTO ? MP_EPROTO : MP_EOF;
    free_seat(self, seat);
    return known ? MP_OK : MP_EBUSY;
}

static void rouse(mpx_lanes_t *self, seat_t *seat)
{
    if (mpx_lane_awake(seat->lane) == MP_EOF)
        seat->ended = true;
    wake(self, seat);
}

/* Who has rung, and who stands at the door? */
static bool look_around(mpx_lanes_t *self)
{
    if (self->epoll < 0)
        return false;
    struct epoll_event events[EVENTS];
    int count = epoll_wait(self->epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        seat_t *seat = events[i].data.ptr;
        if (!seat)
            open_door(self);
        else if (seat->lane)
            rouse(self, seat);
        else
            take_knock(self, seat);
    }
    return count > 0;
}

/* Those who linger or sleep are asked when everybody is quiet, and every now and then: one who is
 * always busy doesn't keep them waiting for more than a burst. */
mp_rc_t mpx_lanes_next(mpx_lanes_t *self, mpx_link_event_t *out)
{
    forget_record(self);
    if (self->only && self->napped)
        wake(self, self->only);
    else if (self->only && !self->only->awake)
        rouse(self, self->only);
    self->napped = false;
    if (self->bell)
        mpx_bell_toll_if_due(self->bell);
    if (self->since_look >= BURST) {
        self->since_look = 0;
        (void)look_at_lingering(self);
        (void)look_around(self);
    }
    for (;;) {
        while (self->awake) {
            seat_t *seat = self->awake;
            mp_rc_t rc = visit(self, seat, out);
            if (rc != MP_EBUSY)
                return rc;
        }
        if (self->bell)
            mpx_bell_toll(self->bell);
        if (self->lingering) {
            if (look_at_lingering(self))
                continue;
            if (++self->rounds % LOOK_ROUNDS)
                return MP_EBUSY;
        }
        /* Who rings after that is told by the descriptor. */
        self->looked = !self->looked && self->epoll >= 0 && look_around(self);
        if (!self->looked)
            return MP_EBUSY;
    }
}

bool mpx_lanes_asleep(const mpx_lanes_t *self)
{
    return self->only && !self->only->awake;
}

bool mpx_lanes_behind(const mpx_lanes_t *self)
{
    const seat_t *seat = self->only;
    return seat && (seat->outbox || (seat->lane && mpx_lane_cut(seat->lane)));
}

bool mpx_lanes_push(mpx_lanes_t *self)
{
    const seat_t *seat = self->only;
    size_t behind = seat->behind, rest = mpx_lane_rest(seat->lane);
    return flush(self->only) == MP_OK || seat->behind != behind ||
           mpx_lane_rest(seat->lane) != rest;
}

bool mpx_lanes_linger(mpx_lanes_t *self, int64_t until)
{
    if (!self->may_linger || mpx_lanes_behind(self) || !mpx_lane_linger(self->only->lane, until))
        return false;
    wake(self, self->only);
    return true;
}

bool mpx_lanes_nap(mpx_lanes_t *self, int64_t until)
{
    self->napped = mpx_lane_nap(self->only->lane, until);
    return self->napped;
}

void mpx_lanes_disturb(mpx_lanes_t *self)
{
    if (self->only && self->only->lane)
        mpx_lane_disturb(self->only->lane);
}

void mpx_lanes_hush(mpx_lanes_t *self, bool on)
{
    if (self->bell)
        mpx_bell_hush(self->bell, on);
}

/* Who isn't heard for long rings, however busy the others are: to look at it costs them time. */
bool mpx_lanes_ready(mpx_lanes_t *self)
{
    bool is_busy = look_at_lingering(self);
    if (self->lingering)
        let_sleep(self, mpx_now() - (is_busy ? COLD_NS : self->options.linger_ns));
    return self->awake || self->lingering;
}

int mpx_lanes_fd(const mpx_lanes_t *self)
{
    if (self->epoll >= 0)
        return self->epoll;
    return self->only ? mpx_lane_fd(self->only->lane) : -1;
}

size_t mpx_lanes_peers(const mpx_lanes_t *self)
{
    return self->seated;
}
