#include "channel.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "identity.h"
#include "service.h"
#include "thread.h"

#include <errno.h>
#include <mp/version.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char software[] = "libmp " MP_VERSION_STRING;

typedef enum channel_state {
    REACHING, /* the link isn't up */
    GREETING, /* KNOCK, or PROOF, is sent */
    ADMITTED,
    ENDED
} channel_state_t;

struct mpx_channel {
    pthread_mutex_t own_lock;
    pthread_mutex_t *lock;
    pthread_cond_t changed;
    bool driving;          /* a thread has the wheel, or was called to take it */
    bool sleeping;         /* it sleeps on the descriptor, without the lock */
    mpx_waiters_t waiters; /* somebody drives while there are any */
    int poke; /* wakes the sleeper; of a guest's: readable while something is to be looked at */
    bool poked;
    int told;     /* a watcher, that the driver has handed something out; -1: nobody ever watched */
    int watching; /* epoll, of the link's descriptor and that */
    bool watched; /* since something was handed out last */
    bool pumping; /* a thread is there for what the other side had no room for */
    bool closing;
    mpx_link_t *link;   /* NULL: a guest's */
    mpx_guest_t *guest; /* NULL: gone, or not a guest's */
    uint64_t generation;
    channel_state_t state;
    mp_rc_t rc;
    mpx_door_t door;
    uint64_t object;
    uint64_t secret;
    uint64_t tenant, tenant_secret;
    const mpx_key_t *key;
    mpx_identity_t identity;
    mpx_nonces_t nonces;
    bool challenged;
    const mpx_channel_user_t *user;
    void *arg;
    const char *carrier;
    char endpoint[MPX_ENDPOINT_MAX];
    char problem[MPX_ENDPOINT_MAX + 512];
};

/* ---- life --------------------------------------------------------------------------------------
 */

static mp_rc_t make(const mpx_channel_user_t *user, void *arg, mpx_channel_t **out)
{
    mpx_channel_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a channel");
    self->poke = self->told = self->watching = -1;
    pthread_mutex_init(&self->own_lock, NULL);
    mpx_condition_init(&self->changed);
    self->lock = &self->own_lock;
    self->generation = mpx_fork_generation();
    self->user = user;
    self->arg = arg;
    self->carrier = "";
    *out = self;
    return MP_OK;
}

static mp_rc_t open_poke(mpx_channel_t *self)
{
    self->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->poke < 0 ? mpx_fault_errno("a channel") : MP_OK;
}

static mp_rc_t dial(mpx_channel_t *self, const mpx_channel_options_t *options)
{
    mpx_curve_t curve;
    mpx_link_options_t link = {.no_lane = options->no_lane,
                               .max_message_bytes = MPX_VISIT_MESSAGE_MAX};
    mp_rc_t rc = options->has_identity
                     ? mpx_identity_load(options->key_file, &self->identity, &curve)
                     : MP_OK;
    if (rc != MP_OK)
        return rc;
    link.curve = self->identity.has ? &curve : NULL;
    rc = mpx_link_dial(NULL, options->endpoint, &link, &self->link);
    if (link.curve)
        mpx_curve_wipe(&curve);
    return rc;
}

mp_rc_t mpx_channel_open(const mpx_channel_options_t *options, mpx_channel_t **out)
{
    mpx_channel_t *self = NULL;
    mp_rc_t rc = make(options->user, options->arg, &self);
    if (rc != MP_OK)
        return rc;
    snprintf(self->endpoint, sizeof self->endpoint, "%s", options->endpoint);
    self->door = options->door;
    self->object = options->object;
    self->secret = options->secret;
    self->key = options->key;
    self->tenant = options->tenant;
    self->tenant_secret = options->tenant_secret;
    rc = dial(self, options);
    if (rc == MP_OK) {
        self->carrier = mpx_link_carrier(self->link, 0);
        rc = open_poke(self);
    }
    if (rc != MP_OK)
        mpx_channel_close(&self, 0);
    else
        *out = self;
    return rc;
}

mp_rc_t mpx_channel_over(mpx_link_t *link, const mpx_channel_user_t *user, void *arg,
                         mpx_channel_t **out)
{
    mpx_channel_t *self = NULL;
    mp_rc_t rc = make(user, arg, &self);
    if (rc == MP_OK)
        rc = open_poke(self);
    if (rc != MP_OK) {
        mpx_channel_close(&self, 0);
        return rc;
    }
    self->link = link;
    self->carrier = mpx_link_carrier(link, 0);
    self->state = ADMITTED;
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_channel_of_guest(mpx_guest_t *guest, const mpx_channel_user_t *user, void *arg,
                             mpx_channel_t **out)
{
    mpx_channel_t *self = NULL;
    mp_rc_t rc = make(user, arg, &self);
    if (rc == MP_OK)
        rc = open_poke(self);
    if (rc != MP_OK) {
        mpx_channel_close(&self, 0);
        return rc;
    }
    self->lock = mpx_service_lock();
    self->guest = guest;
    self->carrier = mpx_guest_carrier(guest);
    self->state = ADMITTED;
    *out = self;
    return MP_OK;
}

void mpx_channel_lock(mpx_channel_t *self)
{
    if (self->lock == &self->own_lock)
        pthread_mutex_lock(self->lock);
    else
        mpx_service_enter();
}

static bool is_behind(const mpx_channel_t *self)
{
    return self->link && self->state != ENDED && !self->closing && mpx_link_behind(self->link);
}

/* Until the other side has had room for all, or somebody closes the channel. It looks again and
 * again, as the descriptor's wake-ups are for who waits for what comes: mp_wait also, without the
 * lock. */
static void *pump(void *arg)
{
    enum { LOOK_LEAST_MS = 1, LOOK_MOST_MS = 256 };
    mpx_channel_t *self = arg;
    int look_ms = LOOK_LEAST_MS;
    pthread_mutex_lock(&self->own_lock);
    while (is_behind(self)) {
        look_ms = mpx_link_push(self->link) ? LOOK_LEAST_MS
                  : look_ms < LOOK_MOST_MS  ? look_ms * 2
                                            : look_ms;
        if (is_behind(self))
            (void)mpx_condition_wait(&self->changed, &self->own_lock,
                                     mpx_deadline(mpx_now(), look_ms));
    }
    self->pumping = false;
    mpx_channel_changed(self);
    pthread_mutex_unlock(&self->own_lock);
    return NULL;
}

/* Its own lock. */
static void release(mpx_channel_t *self)
{
    mpx_waiter_t *called = mpx_waiters_take(&self->waiters);
    pthread_mutex_unlock(&self->own_lock);
    mpx_waiters_wake(called);
}

void mpx_channel_unlock(mpx_channel_t *self)
{
    if (self->lock != &self->own_lock) {
        mpx_service_leave();
        return;
    }
    /* Where no thread can be had, it waits for the next call. */
    if (!self->driving && !self->pumping && is_behind(self))
        self->pumping = mpx_thread_try(pump, self);
    release(self);
}

/* It sleeps only on `changed`, so that this ends at once. */
static void stop_pump(mpx_channel_t *self)
{
    pthread_mutex_lock(&self->own_lock);
    self->closing = true;
    mpx_channel_changed(self);
    while (self->pumping)
        (void)mpx_condition_wait(&self->changed, &self->own_lock, MPX_NEVER);
    pthread_mutex_unlock(&self->own_lock);
}

void mpx_channel_close(mpx_channel_t **self_p, int linger_ms)
{
    mpx_channel_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    if (self->generation == mpx_fork_generation() && self->lock != &self->own_lock) {
        mpx_service_enter();
        if (self->guest)
            mpx_guest_dismiss(self->guest, MP_ECLOSED);
        mpx_service_leave();
    }
    if (self->generation == mpx_fork_generation() && self->lock == &self->own_lock)
        stop_pump(self);
    mpx_link_destroy(&self->link, linger_ms);
    int fds[] = {self->poke, self->told, self->watching};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->own_lock);
    free(self);
}

/* ---- ends
 * ---------------------------------------------------------------------------------------- */

void mpx_channel_changed(mpx_channel_t *self)
{
    pthread_cond_broadcast(&self->changed);
}

static void end(mpx_channel_t *self, mp_rc_t rc, const char *problem)
{
    if (self->state == ENDED)
        return;
    self->state = ENDED;
    self->rc = rc;
    snprintf(self->problem, sizeof self->problem, "%s", problem);
    mpx_waiters_call_all(&self->waiters);
    mpx_channel_changed(self);
}

mp_rc_t mpx_channel_rc(const mpx_channel_t *self)
{
    return self->rc;
}

mp_rc_t mpx_channel_fault(const mpx_channel_t *self, mp_rc_t rc, const char *what)
{
    return mpx_fault(rc, "%s%s%s: %s", what, *self->endpoint ? " at " : "", self->endpoint,
                     self->problem);
}

bool mpx_channel_is_admitted(const mpx_channel_t *self)
{
    return self->state == ADMITTED;
}

const char *mpx_channel_carrier(const mpx_channel_t *self)
{
    return self->carrier;
}

/* ---- sending
 * ------------------------------------------------------------------------------------- */

static mp_rc_t send_over_link(mpx_channel_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    enum { INLINE_MAX = 4096 };
    uint8_t head[MPX_HEAD_MAX + INLINE_MAX];
    bool apart = payload.size > INLINE_MAX;
    size_t size = mpx_head_pack(header, apart, head);
    if (!apart && payload.size) {
        memcpy(head + size, payload.data, payload.size);
        size += payload.size;
    }
    mp_rc_t rc =
        mpx_link_send(self->link, 0, (mp_bytes_t){head, size}, apart ? payload : (mp_bytes_t){0});
    /* Sending may take a wake-up that the sleeper at the descriptor waits for, and what a lane has
     * no room for is sent by the sleeper. */
    if (self->sleeping && mpx_link_ready(self->link)) {
        (void)!write(self->poke, &(uint64_t){1}, sizeof(uint64_t));
        mpx_link_disturb(self->link);
    }
    return rc == MP_ECLOSED ? MP_EOF : rc;
}

mp_rc_t mpx_channel_send(mpx_channel_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (self->rc != MP_OK)
        return self->rc;
    if (self->link)
        return send_over_link(self, header, payload);
    return self->guest ? mpx_guest_send(self->guest, header, payload) : MP_EOF;
}

static void send_body(mpx_channel_t *self, mpx_op_t op, mp_rc_t rc, mpx_buf_t *body)
{
    if (rc == MP_OK)
        rc = send_over_link(self, &(mpx_header_t){.op = op}, mpx_buf_bytes(body));
    if (rc != MP_OK)
        end(self, rc, mp_errmsg());
    mpx_buf_free(body);
}

/* ---- greeting
 * ------------------------------------------------------------------------------------ */

static void knock(mpx_channel_t *self)
{
    char host[128] = "";
    mpx_buf_t body = {0};
    (void)gethostname(host, sizeof host - 1);
    mpx_knock_t knock = {
        .version_min = MPX_WIRE_VERSION,
        .version_max = MPX_WIRE_VERSION,
        .software = software,
        .host = host,
        .pid = (uint32_t)getpid(),
        .door = self->door,
        .object = self->object,
        .secret = self->secret,
        .tenant = self->tenant,
        .tenant_secret = self->tenant_secret,
    };
    self->state = GREETING;
    mp_rc_t rc = mpx_greeting_nonce(self->nonces.visitor);
    if (rc == MP_OK) {
        memcpy(knock.nonce, self->nonces.visitor, sizeof knock.nonce);
        rc = mpx_knock_pack(&knock, &body);
    }
    send_body(self, MPX_OP_KNOCK, rc, &body);
}

/* The owner proves itself first. One that doesn't is told so, and nothing of the key. */
static void on_challenge(mpx_channel_t *self, mp_bytes_t payload)
{
    mpx_challenge_t challenge;
    mpx_proof_t proof;
    mpx_buf_t body = {0};
    void *arena = NULL;
    if (mpx_challenge_unpack(payload, &challenge, &arena) != MP_OK || self->challenged) {
        end(self, MP_EPROTO, "a challenge that is none");
        return;
    }
    self->challenged = true;
    memcpy(self->nonces.owner, challenge.nonce, sizeof challenge.nonce);
    if (self->key->data)
        mpx_greeting_owner_proof(self->key, &self->nonces, proof.proof);
    if (!self->key->data || !mpx_greeting_same(proof.proof, challenge.proof)) {
        (void)send_over_link(self, &(mpx_header_t){.op = MPX_OP_ERROR, .code = MP_EAUTH},
                             (mp_bytes_t){0});
        end(self, MP_EAUTH, self->key->data ? "the keys differ" : "it asks for a key");
        return;
    }
    mpx_greeting_visitor_proof(self->key, &self->nonces, proof.proof);
    send_body(self, MPX_OP_PROOF, mpx_proof_pack(&proof, &body), &body);
}

static void on_admit(mpx_channel_t *self, mp_bytes_t payload)
{
    mpx_admit_t admit;
    void *arena = NULL;
    if (self->key->data && !self->challenged) {
        end(self, MP_EAUTH, "the other side has no key; connect without one");
        return;
    }
    if (mpx_admit_unpack(payload, &admit, &arena) != MP_OK) {
        end(self, MP_EPROTO, mp_errmsg());
        return;
    }
    self->state = ADMITTED;
    if (self->user->admitted)
        self->user->admitted(self->arg, &admit);
    free(arena);
}

static void on_error(mpx_channel_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_problem_t problem = {.message = ""};
    void *arena = NULL;
    mp_rc_t rc = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
    if (payload.size && mpx_problem_unpack(payload, &problem, &arena) != MP_OK)
        problem.message = "";
    end(self, rc, problem.message);
    free(arena);
}

/* ---- receiving
 * ------------------------------------------------------------------------------------ */

static void take_message(mpx_channel_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op == MPX_OP_ERROR) {
        on_error(self, header, payload);
    } else if (header->op == MPX_OP_BYE) {
        end(self, MP_ECLOSED, "the other side has closed it");
    } else if (self->state == ADMITTED) {
        mp_rc_t rc = self->user->message(self->arg, header, payload);
        if (rc != MP_OK)
            end(self, rc, mp_errmsg());
    } else if (header->op == MPX_OP_CHALLENGE) {
        on_challenge(self, payload);
    } else if (header->op == MPX_OP_ADMIT) {
        on_admit(self, payload);
    } else {
        end(self, MP_EPROTO, "a message before the greeting");
    }
}

static void on_message(mpx_channel_t *self, const mpx_link_event_t *event)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(event->frames[0], &header, &payload, &apart);
    if (rc == MP_OK && apart != (event->frames_count == 2))
        rc = mpx_fault(MP_EPROTO, "a message's payload isn't where its head says");
    if (rc != MP_OK)
        end(self, rc, mp_errmsg());
    else
        take_message(self, &header, apart ? event->frames[1] : payload);
}

static void on_down(mpx_channel_t *self, mp_rc_t rc, bool silent)
{
    bool reached = self->state != REACHING;
    end(self, reached && rc == MP_ECONNECT ? MP_EOF : rc,
        silent    ? "the other side has said nothing for longer than 2 s, so it was given up"
        : reached ? "the other side is gone"
                  : "nobody answers there; does its process run?");
}

static void on_trouble(mpx_channel_t *self, const mpx_link_event_t *event)
{
    char what[512];
    mpx_identity_explain(&self->identity, event->trouble, what, sizeof what);
    end(self, event->rc, what);
}

/* Whether there was anything. */
static bool drain(mpx_channel_t *self)
{
    mpx_link_event_t event;
    bool any = false;
    while (self->state != ENDED && mpx_link_next(self->link, &event) == MP_OK) {
        any = true;
        if (event.kind == MPX_LINK_UP && self->state == REACHING)
            knock(self);
        else if (event.kind == MPX_LINK_MESSAGE)
            on_message(self, &event);
        else if (event.kind == MPX_LINK_DOWN && event.trouble &&
                 (self->identity.has || event.trouble != MPX_TROUBLE_HANDSHAKE))
            on_trouble(self, &event);
        else if (event.kind == MPX_LINK_DOWN)
            on_down(self, event.rc, event.silent);
    }
    return any;
}

void mpx_channel_look(mpx_channel_t *self)
{
    if (self->link && !self->sleeping && drain(self))
        mpx_channel_changed(self);
    if (!self->link && self->poked) {
        uint64_t count;
        (void)!read(self->poke, &count, sizeof count);
        self->poked = false;
    }
}

static mp_rc_t wait_for_driver(mpx_channel_t *self, int64_t deadline)
{
    if (self->lock != &self->own_lock)
        return mpx_service_wait(&self->changed, deadline);
    mpx_waiters_wake(mpx_waiters_take(&self->waiters)); /* the next driver, perhaps */
    return mpx_condition_wait(&self->changed, self->lock, deadline);
}

/* Sleep on the link, without the lock. Signals don't end it. Most answers come soon, in a nap; one
 * that doesn't is waited for where the other side's end is told. */
static mp_rc_t sleep_on_link(mpx_channel_t *self, int64_t deadline)
{
    enum { NAP_NS = 10000000 };
    struct pollfd fds[2] = {{mpx_link_fd(self->link), POLLIN, 0}, {self->poke, POLLIN, 0}};
    bool may_nap = mpx_link_asleep(self->link) && !mpx_link_behind(self->link);
    self->sleeping = true;
    release(self);
    int n = may_nap && mpx_link_nap(self->link, mpx_earlier(deadline, mpx_now() + NAP_NS));
    while (n == 0 || (n < 0 && errno == EINTR)) {
        n = poll(fds, 2, mpx_poll_ms(mpx_now(), deadline));
        if (n == 0 && mpx_now() >= deadline)
            break;
    }
    int failed = errno;
    pthread_mutex_lock(self->lock);
    self->sleeping = false;
    if (fds[1].revents)
        (void)!read(self->poke, &(uint64_t){0}, sizeof(uint64_t));
    if (n < 0) {
        errno = failed;
        return mpx_fault_errno("waiting for the other side");
    }
    return n == 0 ? MP_ETIMEDOUT : MP_OK;
}

/* The driver has taken the wake-up that the watcher sleeps for. */
static void tell_watcher(mpx_channel_t *self)
{
    if (self->watched)
        (void)!write(self->told, &(uint64_t){1}, sizeof(uint64_t));
    self->watched = false;
}

/* Who has the wheel: sleep once at most, and hand out what came. */
static mp_rc_t drive(mpx_channel_t *self, int64_t deadline)
{
    bool late = deadline != MPX_NEVER && deadline <= mpx_now();
    if ((late || !mpx_link_asleep(self->link)) && drain(self)) {
        tell_watcher(self);
        mpx_channel_changed(self);
        return MP_OK;
    }
    if (self->state == ENDED || mpx_link_ready(self->link))
        return MP_OK;
    if (late)
        return MP_ETIMEDOUT;
    mp_rc_t rc = sleep_on_link(self, deadline);
    if (drain(self))
        tell_watcher(self);
    mpx_channel_changed(self);
    return rc;
}

/* To one of those who wait for what is theirs, else to whoever comes first. What was sent last is
 * mostly answered last: so the last to come drives for longest. */
static void pass_wheel(mpx_channel_t *self)
{
    mpx_waiter_t *next = mpx_waiters_last(&self->waiters);
    self->driving = next != NULL;
    if (next) {
        next->drives = true;
        mpx_waiters_call(&self->waiters, next);
    } else {
        mpx_channel_changed(self);
    }
}

mp_rc_t mpx_channel_wait(mpx_channel_t *self, int64_t deadline)
{
    if (!self->link || self->driving)
        return wait_for_driver(self, deadline);
    self->driving = true;
    mp_rc_t rc = drive(self, deadline);
    pass_wheel(self);
    return rc;
}

/* With the wheel. */
static mp_rc_t drive_until(mpx_channel_t *self, const mpx_waiter_t *waiter, int64_t deadline)
{
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && !waiter->over && self->state != ENDED)
        rc = drive(self, deadline);
    pass_wheel(self);
    return rc;
}

mp_rc_t mpx_channel_await(mpx_channel_t *self, mpx_waiter_t *waiter, int64_t deadline)
{
    mp_rc_t rc = MP_OK;
    waiter->drives = !self->driving;
    self->driving = true;
    if (!waiter->drives && !waiter->over && self->state != ENDED) {
        mpx_waiters_add(&self->waiters, waiter);
        release(self);
        if (mpx_waiters_sleep(waiter, deadline))
            return MP_OK;
        pthread_mutex_lock(&self->own_lock);
        rc = mpx_waiters_remove(&self->waiters, waiter) ? MP_OK : MP_ETIMEDOUT;
    }
    if (waiter->drives)
        rc = drive_until(self, waiter, deadline);
    if (waiter->over)
        rc = MP_OK;
    else if (rc == MP_OK)
        rc = self->rc; /* it has ended */
    mpx_channel_unlock(self);
    return rc;
}

void mpx_channel_tell(mpx_channel_t *self, mpx_waiter_t *waiter)
{
    waiter->over = true;
    mpx_waiters_call(&self->waiters, waiter);
}

bool mpx_channel_linger(mpx_channel_t *self, int64_t until)
{
    return self->link && !self->driving && self->state == ADMITTED &&
           mpx_link_linger(self->link, until);
}

int mpx_channel_fd(const mpx_channel_t *self)
{
    return self->link ? mpx_link_fd(self->link) : self->poke;
}

static bool start_watching(mpx_channel_t *self)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (self->told < 0)
        self->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->told >= 0 && fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, self->told, &event) == 0 &&
        epoll_ctl(fd, EPOLL_CTL_ADD, mpx_link_fd(self->link), &event) == 0) {
        self->watching = fd;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}

int mpx_channel_watch(mpx_channel_t *self)
{
    if (!self->link || (self->watching < 0 && !start_watching(self)))
        return mpx_channel_fd(self);
    (void)!read(self->told, &(uint64_t){0}, sizeof(uint64_t));
    self->watched = true;
    return self->watching;
}

bool mpx_channel_leave(mpx_channel_t **self_p, int fds[2], unsigned *side)
{
    mpx_channel_t *self = *self_p;
    pthread_mutex_lock(self->lock);
    bool left = self->link && self->state == ADMITTED && !self->pumping &&
                mpx_link_leave(&self->link, fds, side);
    pthread_mutex_unlock(self->lock);
    if (left)
        mpx_channel_close(self_p, 0);
    return left;
}

/* ---- a guest's
 * ------------------------------------------------------------------------------------ */

static void poke_user(mpx_channel_t *self)
{
    if (!self->poked)
        (void)!write(self->poke, &(uint64_t){1}, sizeof(uint64_t));
    self->poked = true;
    mpx_channel_changed(self);
}

mp_rc_t mpx_channel_guest_message(mpx_channel_t *self, const mpx_header_t *header,
                                  mp_bytes_t payload)
{
    mp_rc_t rc = self->user->message(self->arg, header, payload);
    if (rc != MP_OK)
        end(self, rc, mp_errmsg());
    poke_user(self);
    return rc;
}

void mpx_channel_guest_gone(mpx_channel_t *self)
{
    self->guest = NULL;
    end(self, MP_EOF, "the other side is gone");
    poke_user(self);
}
