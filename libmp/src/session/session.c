#include "session.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "identity.h"
#include "link.h"
#include "notes.h"

#include <mp/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

typedef enum state {
    WAITING, /* for the back-off to pass */
    CONNECTING,
    GREETING,
    READY,
    FAILED
} state_t;

struct mpx_session {
    char endpoint[MPX_ENDPOINT_MAX];
    char *key_file; /* NULL: MP_KEY_FILE's */
    mpx_identity_t identity;
    bool is_worker;
    bool by_hand;
    bool was_ready;
    mpx_buf_t hello;    /* packed */
    mpx_notes_t *notes; /* with `keep`; else NULL */
    uint64_t number;    /* of the session, and its secret */
    uint64_t secret;
    uint64_t had;    /* kept messages of the broker's */
    bool durable;    /* the broker said so */
    bool away;       /* AWAY was told, and neither BACK nor LOST */
    mp_rc_t trouble; /* a message could not be noted: it can't go on */
    int give_up_ms;
    int epoll;
    uint64_t generation;
    mpx_link_t *link; /* NULL in WAITING and FAILED */
    state_t state;
    mp_rc_t failure;
    bool failure_told;
    int64_t attempt_until; /* CONNECTING, GREETING: this attempt */
    int64_t give_up_at;
    int64_t retry_at; /* WAITING */
    int backoff_ms;
    unsigned seed;
    mp_rc_t parting; /* READY: what the broker said before it went */
    mpx_welcome_t welcome;
    void *welcome_arena;
    char problem[MPX_ENDPOINT_MAX + 520];
};

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
    ATTEMPT_MS = 3000,
    LINGER_MS = 1000, /* for BYE, and what was sent before it */
    INLINE_MAX = 4096
};

static const char software[] = "libmp " MP_VERSION_STRING;

/* ---- life ----------------------------------------------------------------------------------- */

static mp_rc_t pack_hello(mpx_session_t *self, const mpx_hello_t *hello)
{
    char host[256] = "localhost";
    mpx_hello_t mine = *hello;
    mpx_buf_clear(&self->hello);
    (void)gethostname(host, sizeof host - 1);
    mine.version_min = MPX_WIRE_VERSION;
    mine.version_max = MPX_WIRE_VERSION;
    mine.software = software;
    mine.host = host;
    mine.pid = (uint32_t)getpid();
    return mpx_hello_pack(&mine, &self->hello);
}

mp_rc_t mpx_session_set_hello(mpx_session_t *self, const mpx_hello_t *hello)
{
    return pack_hello(self, hello);
}

static mp_rc_t random_number(uint64_t *out)
{
    do {
        if (getrandom(out, sizeof *out, 0) != sizeof *out)
            return mpx_fault_errno("random bytes");
    } while (*out == 0);
    return MP_OK;
}

static mp_rc_t name_session(mpx_session_t *self)
{
    mp_rc_t rc = random_number(&self->number);
    return rc == MP_OK ? random_number(&self->secret) : rc;
}

static mp_rc_t prepare(mpx_session_t *self, const mpx_session_options_t *options)
{
    self->is_worker = options->hello->role == MPX_ROLE_WORKER;
    if (options->key_file && !(self->key_file = strdup(options->key_file)))
        return mpx_fault(MP_ENOMEM, "a connection to %s", options->endpoint);
    mp_rc_t rc = mpx_identity_load(self->key_file, &self->identity, NULL);
    if (rc != MP_OK)
        return rc;
    if (!options->keep)
        return pack_hello(self, options->hello);
    rc = mpx_notes_new(&self->notes);
    return rc == MP_OK ? name_session(self) : rc;
}

mp_rc_t mpx_session_new(const mpx_session_options_t *options, int64_t now, mpx_session_t **out)
{
    mp_rc_t rc = mpx_endpoint_check(options->endpoint, false);
    if (rc != MP_OK)
        return rc;
    mpx_session_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a connection to %s", options->endpoint);
    snprintf(self->endpoint, sizeof self->endpoint, "%s", options->endpoint);
    self->give_up_ms = options->give_up_ms;
    self->by_hand = options->by_hand;
    self->give_up_at = mpx_deadline(now, options->give_up_ms);
    self->backoff_ms = BACKOFF_MIN_MS;
    self->retry_at = now;
    self->seed = (unsigned)now ^ (unsigned)getpid();
    self->generation = mpx_fork_generation();
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    rc = self->epoll < 0 ? mpx_fault_errno("a connection to %s", options->endpoint)
                         : prepare(self, options);
    if (rc != MP_OK) {
        mpx_session_destroy(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

static void drop_link(mpx_session_t *self, int linger_ms)
{
    if (!self->link)
        return;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, mpx_link_fd(self->link), NULL);
    mpx_link_destroy(&self->link, linger_ms);
}

void mpx_session_destroy(mpx_session_t **self_p)
{
    mpx_session_t *self = *self_p;
    if (!self)
        return;
    if (self->generation == mpx_fork_generation()) {
        mpx_header_t bye = {.op = MPX_OP_BYE};
        if (self->state == READY)
            (void)mpx_session_send(self, &bye, (mp_bytes_t){0});
        drop_link(self, self->state == READY ? LINGER_MS : 0);
    } else {
        mpx_link_destroy(&self->link, 0);
    }
    if (self->epoll >= 0)
        close(self->epoll);
    mpx_notes_free(&self->notes);
    mpx_buf_free(&self->hello);
    free(self->key_file);
    free(self->welcome_arena);
    free(self);
    *self_p = NULL;
}

/* ---- attempts ------------------------------------------------------------------------------- */

static void explain(mpx_session_t *self, const char *what)
{
    snprintf(self->problem, sizeof self->problem, "%s: %s", self->endpoint, what);
}

static void give_up(mpx_session_t *self, mp_rc_t rc)
{
    drop_link(self, 0);
    self->state = FAILED;
    self->failure = rc;
}

/* Half of the back-off is by chance, so that a crowd doesn't come back as one. */
static void retry_later(mpx_session_t *self, int64_t now)
{
    drop_link(self, 0);
    int half_ms = self->backoff_ms / 2;
    int wait_ms = half_ms + (int)((unsigned)rand_r(&self->seed) % (unsigned)(half_ms + 1));
    self->state = WAITING;
    self->retry_at = mpx_deadline(now, wait_ms);
    self->backoff_ms =
        self->backoff_ms * 2 < BACKOFF_MAX_MS ? self->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static mp_rc_t dial(mpx_session_t *self)
{
    mpx_curve_t curve;
    mp_rc_t rc = mpx_identity_load(self->key_file, &self->identity, &curve);
    if (rc != MP_OK)
        return rc;
    mpx_link_options_t options = {.curve = self->identity.has ? &curve : NULL};
    rc = mpx_link_dial(NULL, self->endpoint, &options, &self->link);
    if (self->identity.has)
        mpx_curve_wipe(&curve);
    return rc;
}

/* A certificate that was there before may just be being replaced. */
static mp_rc_t connect_now(mpx_session_t *self, int64_t now)
{
    mp_rc_t rc = dial(self);
    if (rc == MP_ENOTFOUND || rc == MP_EPERM || (rc == MP_EINVAL && self->was_ready)) {
        explain(self, mp_errmsg());
        retry_later(self, now);
        return MP_OK;
    }
    if (rc != MP_OK)
        return rc;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, mpx_link_fd(self->link), &event) != 0)
        return mpx_fault_errno("a connection to %s", self->endpoint);
    self->state = CONNECTING;
    self->attempt_until = mpx_deadline(now, ATTEMPT_MS);
    return MP_OK;
}

static mp_rc_t greet(mpx_session_t *self)
{
    mpx_header_t header = {.op = MPX_OP_HELLO};
    mp_rc_t rc = MP_OK;
    if (self->notes) {
        mpx_hello_t hello = {.role = MPX_ROLE_CLIENT,
                             .session = self->number,
                             .session_secret = self->secret,
                             .kept = mpx_notes_kept(self->notes),
                             .had = self->had};
        rc = pack_hello(self, &hello);
    }
    self->state = GREETING;
    if (rc == MP_OK)
        (void)mpx_session_send(self, &header, mpx_buf_bytes(&self->hello));
    return rc;
}

static mp_rc_t on_time(mpx_session_t *self, int64_t now)
{
    if (self->state == READY || self->state == FAILED)
        return MP_OK;
    if (now >= self->give_up_at) {
        if (self->state == GREETING)
            explain(self, "something is there, but it does not answer as a broker of libmp; check "
                          "the address");
        else if (!*self->problem)
            explain(self, "no answer; is it the address of a running mp-broker?");
        give_up(self, MP_ECONNECT);
    } else if (self->state == WAITING && now >= self->retry_at) {
        return connect_now(self, now);
    } else if (self->state != WAITING && now >= self->attempt_until) {
        explain(self, "no answer; is it the address of a running mp-broker?");
        retry_later(self, now);
    }
    return MP_OK;
}

/* ---- what the broker says ------------------------------------------------------------------- */

static mp_rc_t send_now(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload);

/* What the broker has not on its disk is sent again. */
static mp_rc_t go_on(mpx_session_t *self)
{
    mp_rc_t rc = mpx_notes_keep(self->notes, self->welcome.kept);
    if (rc == MP_OK && mpx_notes_kept(self->notes) != self->welcome.kept)
        rc = mpx_fault(MP_EPROTO, "it has forgotten what it had kept");
    const mpx_note_t *note = mpx_notes_first(self->notes);
    for (; note && rc == MP_OK; note = note->next)
        rc = send_now(self, &note->header, (mp_bytes_t){note->payload, note->size});
    return rc == MP_ENOMEM || rc == MP_EPROTO ? rc : MP_OK; /* a loss will be told of */
}

/* The number is the broker's from now on, if it keeps it. */
static mp_rc_t begin(mpx_session_t *self)
{
    self->durable = self->welcome.durable;
    self->had = 0;
    if (!self->notes)
        return MP_OK;
    mpx_notes_clear(self->notes);
    if (!self->durable)
        return name_session(self);
    return self->welcome.kept == 0 ? MP_OK : mpx_fault(MP_EPROTO, "it takes us for another client");
}

/* Nothing is left of what was there; but the broker's disk, if it is full, may still have an old
 * state under our number, which the next broker would take for ours. So that number is used up. */
static mp_rc_t come_as_another(mpx_session_t *self, int64_t now, mpx_session_event_t *out)
{
    mpx_header_t bye = {.op = MPX_OP_BYE};
    (void)send_now(self, &bye, (mp_bytes_t){0});
    drop_link(self, LINGER_MS);
    mpx_notes_clear(self->notes);
    self->had = 0;
    self->durable = false;
    self->state = WAITING;
    self->retry_at = now;
    self->give_up_at = mpx_deadline(now, self->give_up_ms);
    *out = (mpx_session_event_t){.kind = MPX_SESSION_LOST, .rc = self->parting};
    return name_session(self);
}

static mp_rc_t settle_in(mpx_session_t *self, int64_t now, mpx_session_event_t *out)
{
    bool away = self->away;
    self->away = false;
    *out = (mpx_session_event_t){.kind = MPX_SESSION_UP, .welcome = &self->welcome};
    if (!away)
        return begin(self);
    out->kind = MPX_SESSION_BACK;
    bool resumed = self->welcome.durable && self->welcome.resumed;
    mp_rc_t rc = resumed ? go_on(self) : MP_EPROTO;
    return rc == MP_EPROTO ? come_as_another(self, now, out) : rc;
}

static mp_rc_t on_welcome(mpx_session_t *self, int64_t now, mp_bytes_t payload,
                          mpx_session_event_t *out)
{
    mpx_welcome_t welcome;
    void *arena = NULL;
    mp_rc_t rc = mpx_welcome_unpack(payload, &welcome, &arena);
    if (rc != MP_OK)
        return rc;
    free(self->welcome_arena);
    self->welcome = welcome;
    self->welcome_arena = arena;
    self->state = READY;
    self->was_ready = true;
    rc = settle_in(self, now, out);
    self->parting = MP_EBROKERLOST;
    self->backoff_ms = BACKOFF_MIN_MS;
    self->problem[0] = '\0';
    return rc;
}

/* A slip in the list of keys is mended sooner or later, and who was let in once waits for that. */
static bool is_final(const mpx_session_t *self, mp_rc_t code)
{
    bool for_its_key = code == MP_EPERM || code == MP_EAUTH;
    return code == MP_EVERSION || (for_its_key && !(self->is_worker && self->was_ready));
}

/* An ERROR about the connection: the broker is going to cut it. */
static mp_rc_t on_refusal(mpx_session_t *self, int64_t now, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    mpx_problem_t problem;
    void *arena = NULL;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    explain(self, problem.message);
    free(arena);
    mp_rc_t code = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
    bool is_new = self->state == GREETING && !self->is_worker && !self->was_ready;
    if (is_final(self, code) || (self->state == GREETING && code == MP_EPROTO) ||
        (is_new && code == MP_EDRAINING))
        give_up(self, code);
    else if (self->state == GREETING)
        retry_later(self, now);
    else
        self->parting = code;
    return MP_EBUSY;
}

static mp_rc_t in_greeting(mpx_session_t *self, int64_t now, const mpx_header_t *header,
                           mp_bytes_t payload, mpx_session_event_t *out)
{
    if (header->op == MPX_OP_WELCOME)
        return on_welcome(self, now, payload, out);
    if (header->op == MPX_OP_ERROR)
        return on_refusal(self, now, header, payload);
    return mpx_fault(MP_EPROTO, "its first message is a %s", mpx_op_name(header->op));
}

static mp_rc_t in_ready(mpx_session_t *self, int64_t now, const mpx_header_t *header,
                        mp_bytes_t payload, mpx_session_event_t *out)
{
    if (header->op == MPX_OP_ERROR && header->job == 0)
        return on_refusal(self, now, header, payload);
    if (header->op == MPX_OP_BYE) {
        self->parting = MP_EDRAINING;
        return MP_EBUSY;
    }
    if (header->op == MPX_OP_KEPT && self->durable) {
        mp_rc_t rc = mpx_notes_keep(self->notes, header->first);
        return rc == MP_OK ? MP_EBUSY : rc;
    }
    if (header->op == MPX_OP_RESULT || header->op == MPX_OP_ERROR)
        self->had++;
    *out =
        (mpx_session_event_t){.kind = MPX_SESSION_MESSAGE, .header = *header, .payload = payload};
    return MP_OK;
}

/* MP_OK: *out is an event; MP_EBUSY: it was dealt with. */
static mp_rc_t on_message(mpx_session_t *self, int64_t now, const mpx_link_event_t *event,
                          mpx_session_event_t *out)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(event->frames[0], &header, &payload, &apart);
    if (rc == MP_OK && apart != (event->frames_count == 2))
        rc = mpx_fault(MP_EPROTO, "the number of its frames is wrong");
    if (rc == MP_OK)
        rc = self->state == GREETING
                 ? in_greeting(self, now, &header, apart ? event->frames[1] : payload, out)
                 : in_ready(self, now, &header, apart ? event->frames[1] : payload, out);
    return rc;
}

/* It could not be made, for a reason that is known. */
static mp_rc_t on_trouble(mpx_session_t *self, int64_t now, const mpx_link_event_t *event)
{
    char what[512];
    mpx_identity_explain(&self->identity, event->trouble, what, sizeof what);
    explain(self, what);
    bool misspelt = self->by_hand && event->trouble == MPX_TROUBLE_NO_HOST;
    if (misspelt || is_final(self, event->rc))
        give_up(self, event->rc);
    else
        retry_later(self, now);
    return MP_EBUSY;
}

/* The connection ended. READY: that is an event. */
static mp_rc_t on_down(mpx_session_t *self, int64_t now, mp_rc_t rc, bool silent,
                       mpx_session_event_t *out)
{
    bool was_ready = self->state == READY;
    if (was_ready && !*self->problem)
        explain(self, self->parting == MP_EDRAINING ? "the broker has shut down"
                      : silent ? "it has said nothing for longer than 2 s, so it was given up"
                               : "the connection was lost");
    else if (self->state == GREETING && !*self->problem)
        explain(self, "something is there, but it hangs up instead of answering as a broker of "
                      "libmp; check the address");
    else if (self->state == CONNECTING)
        explain(self, rc == MP_ECONNECT
                          ? "nobody answers as a broker of libmp there; is mp-broker running?"
                          : "the connection was lost");
    if (was_ready)
        self->give_up_at = mpx_deadline(now, self->give_up_ms);
    retry_later(self, now);
    if (!was_ready)
        return MP_EBUSY;
    self->away = self->durable;
    *out = (mpx_session_event_t){.kind = self->away ? MPX_SESSION_AWAY : MPX_SESSION_LOST,
                                 .rc = self->parting};
    return MP_OK;
}

static mp_rc_t on_event(mpx_session_t *self, int64_t now, const mpx_link_event_t *event,
                        mpx_session_event_t *out)
{
    switch (event->kind) {
    case MPX_LINK_UP: {
        mp_rc_t rc = greet(self);
        return rc == MP_OK ? MP_EBUSY : rc;
    }
    case MPX_LINK_DOWN:
        if (event->trouble)
            return on_trouble(self, now, event);
        return on_down(self, now, event->rc, event->silent, out);
    case MPX_LINK_MESSAGE:
        break;
    }
    mp_rc_t rc = on_message(self, now, event, out);
    if (rc != MP_EPROTO && rc != MP_EVERSION)
        return rc;
    explain(self, mp_errmsg()); /* no broker of ours, or one gone wrong */
    return on_down(self, now, MP_EPROTO, false, out);
}

static mp_rc_t tell_failure(mpx_session_t *self, mpx_session_event_t *out)
{
    if (self->state != FAILED || self->failure_told)
        return MP_EBUSY;
    if (self->away) {
        self->away = false;
        *out = (mpx_session_event_t){.kind = MPX_SESSION_LOST, .rc = self->parting};
        return MP_OK;
    }
    self->failure_told = true;
    *out = (mpx_session_event_t){.kind = MPX_SESSION_FAILED, .rc = self->failure};
    return MP_OK;
}

mp_rc_t mpx_session_next(mpx_session_t *self, int64_t now, mpx_session_event_t *out)
{
    if (self->trouble != MP_OK)
        return mpx_fault(self->trouble, "a message to the broker");
    mp_rc_t rc = on_time(self, now);
    if (rc != MP_OK)
        return rc;
    while (self->link) {
        mpx_link_event_t event;
        rc = mpx_link_next(self->link, &event);
        if (rc == MP_EBUSY)
            break;
        if (rc == MP_OK)
            rc = on_event(self, now, &event, out);
        if (rc != MP_EBUSY)
            return rc;
    }
    return tell_failure(self, out);
}

int mpx_session_fd(const mpx_session_t *self)
{
    return self->epoll;
}

bool mpx_session_ready(mpx_session_t *self)
{
    return (self->link && mpx_link_ready(self->link)) ||
           (self->state == FAILED && !self->failure_told);
}

int64_t mpx_session_deadline(const mpx_session_t *self)
{
    switch (self->state) {
    case WAITING:
        return mpx_earlier(self->retry_at, self->give_up_at);
    case CONNECTING:
    case GREETING:
        return mpx_earlier(self->attempt_until, self->give_up_at);
    default:
        return MPX_NEVER;
    }
}

static mp_rc_t send_now(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    uint8_t message[MPX_HEAD_MAX + INLINE_MAX];
    bool apart = payload.size > INLINE_MAX;
    size_t size = mpx_head_pack(header, apart, message);
    if (apart)
        return mpx_link_send(self->link, 0, (mp_bytes_t){message, size}, payload);
    if (payload.size)
        memcpy(message + size, payload.data, payload.size);
    return mpx_link_send(self->link, 0, (mp_bytes_t){message, size + payload.size},
                         (mp_bytes_t){0});
}

/* It counts as sent once it is noted. */
static mp_rc_t note(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mp_rc_t rc = mpx_notes_add(self->notes, header, payload);
    if (rc == MP_OK && self->state == READY)
        rc = send_now(self, header, payload);
    if (rc == MP_ENOMEM)
        self->trouble = rc;
    return rc == MP_ENOMEM || rc == MP_ETOOLARGE ? rc : MP_OK;
}

mp_rc_t mpx_session_send(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (self->durable && (self->state == READY || self->away) && mpx_notes_has(header->op))
        return note(self, header, payload);
    if (self->state != READY && !(self->state == GREETING && header->op == MPX_OP_HELLO))
        return MP_ECLOSED;
    mpx_header_t mine = *header;
    if (header->op == MPX_OP_ACK && self->durable)
        mine.first = self->had;
    return send_now(self, &mine, payload);
}

const char *mpx_session_problem(const mpx_session_t *self)
{
    return self->problem;
}
