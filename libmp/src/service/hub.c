#include "hub.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "leave.h"
#include "life.h"
#include "service.h"

#include <mp/version.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

/* A guest that reads is behind by a window of messages at most; one that keeps to its window
 * isn't ahead by more than the window of a queue, and heads. */
enum {
    BURST = 256,
    LINGER_MS = 1000,
    IGNORED_MAX = 10000,
    BEHIND_MAX = 32768,
    FLOOD_BYTES = 2 << 20
};

static const char software[] = "libmp " MP_VERSION_STRING;

/*     (new) --KNOCK--> KNOCKED --PROOF--> IN --BYE, mistake, entry closes--> OUT
 *       |                 |                                                  ^
 *       +------ refused --+--------------------------------------------------+
 *
 * One that is OUT isn't listened to any more. What it sent before it knew must not cost it the
 * message that tells it why, so it is cut off only if it goes on and on. */
typedef enum guest_state { KNOCKED, IN, OUT } guest_state_t;

struct mpx_guest {
    uint64_t peer;
    mpx_hub_t *hub;
    mpx_entry_t *entry;
    guest_state_t state;
    mpx_nonces_t nonces;
    void *user;
    unsigned ignored; /* messages since it is OUT */
    bool left;
    uint64_t tenant, tenant_secret;
    const char *carrier; /* the link has forgotten it when the guest is gone */
    char name[96];
    char address[64];
    bool unlisted;
    UT_hash_handle hh;
};

struct mpx_hub {
    mpx_link_t *link;
    mpx_guest_t *guests;
    mpx_entry_t *entries;
    mpx_served_t served;
    struct mpx_hub *prev, *next;
};

static mpx_hub_t *hubs;
static mpx_hub_t *inherited; /* the parent's, in a forked child: nobody's to touch */
static mpx_hub_t *receptions[2];
static uint64_t generation; /* of what these name */

/* ---- guests ---------------------------------------------------------------------------------- */

void mpx_guest_set(mpx_guest_t *self, void *user)
{
    self->user = user;
}

void *mpx_guest_get(const mpx_guest_t *self)
{
    return self->user;
}

uint64_t mpx_guest_tenant(const mpx_guest_t *self, uint64_t *secret)
{
    *secret = self->tenant_secret;
    return self->tenant;
}

bool mpx_guest_left(const mpx_guest_t *self)
{
    return self->left;
}

const char *mpx_guest_name(const mpx_guest_t *self)
{
    return self->name;
}

const char *mpx_guest_address(const mpx_guest_t *self)
{
    return self->address;
}

const char *mpx_guest_carrier(const mpx_guest_t *self)
{
    return self->carrier;
}

mp_rc_t mpx_guest_send(mpx_guest_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    enum { INLINE_MAX = 4096 };
    uint8_t head[MPX_HEAD_MAX + INLINE_MAX];
    if (self->state == OUT && header->op != MPX_OP_ERROR && header->op != MPX_OP_BYE)
        return MP_ECLOSED;
    bool apart = payload.size > INLINE_MAX;
    size_t size = mpx_head_pack(header, apart, head);
    if (!apart && payload.size) {
        memcpy(head + size, payload.data, payload.size);
        size += payload.size;
        payload = (mp_bytes_t){0};
    }
    return mpx_link_send(self->hub->link, self->peer, (mp_bytes_t){head, size},
                         apart ? payload : (mp_bytes_t){0});
}

static void send_problem(mpx_guest_t *self, mp_rc_t why, const char *message)
{
    mpx_buf_t body = {0};
    mpx_problem_t problem = {.message = message};
    if (mpx_problem_pack(&problem, &body) == MP_OK)
        (void)mpx_guest_send(self, &(mpx_header_t){.op = MPX_OP_ERROR, .code = why},
                             mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void free_guest(mpx_guest_t *self)
{
    HASH_DEL(self->hub->guests, self);
    free(self);
}

/* What the guest is told is the code, and the words of the last fault. */
static void put_out(mpx_guest_t *self, mp_rc_t why, bool tell_object)
{
    if (self->state == OUT)
        return;
    bool was_in = self->state == IN;
    self->state = OUT;
    mpx_link_trust(self->hub->link, self->peer, false);
    if (why == MP_ECLOSED)
        (void)mpx_guest_send(self, &(mpx_header_t){.op = MPX_OP_BYE, .code = why}, (mp_bytes_t){0});
    else if (why != MP_OK)
        send_problem(self, why, mp_errmsg());
    if (was_in && tell_object)
        self->entry->class->gone(self->entry->object, self);
}

void mpx_guest_dismiss(mpx_guest_t *self, mp_rc_t why)
{
    put_out(self, why, true);
}

mp_rc_t mpx_guest_detach(mpx_guest_t *self, mpx_link_t **out)
{
    mp_rc_t rc = mpx_link_detach(self->hub->link, self->peer, out);
    if (rc == MP_OK)
        self->state = OUT;
    /* The link forgets the peer without telling, so the guest is freed here. */
    if (rc == MP_OK)
        free_guest(self);
    return rc;
}

/* ---- greeting ---------------------------------------------------------------------------------
 */

static mpx_entry_t *find_entry(const mpx_hub_t *self, const mpx_knock_t *knock)
{
    mpx_entry_t *entry;
    DL_FOREACH (self->entries, entry)
        if (entry->door == knock->door && entry->id == knock->object &&
            entry->secret == knock->secret)
            return entry;
    return NULL;
}

static void let_in(mpx_guest_t *self)
{
    mpx_entry_t *entry = self->entry;
    mpx_admit_t admit = {.version = MPX_WIRE_VERSION, .software = software};
    mpx_buf_t body = {0};
    self->state = IN;
    mp_rc_t rc = entry->class->come(entry->object, self, &admit);
    if (rc != MP_OK) {
        self->state = KNOCKED;
        put_out(self, rc, false);
        return;
    }
    rc = mpx_admit_pack(&admit, &body);
    if (rc == MP_OK)
        rc = mpx_guest_send(self, &(mpx_header_t){.op = MPX_OP_ADMIT}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
    if (rc != MP_OK) {
        put_out(self, rc, true);
        return;
    }
    mpx_link_trust(self->hub->link, self->peer, true);
    if (entry->class->admitted)
        entry->class->admitted(entry->object, self);
}

static void challenge(mpx_guest_t *self)
{
    mpx_challenge_t body;
    mpx_buf_t bytes = {0};
    mp_rc_t rc = mpx_greeting_nonce(self->nonces.owner);
    if (rc == MP_OK) {
        memcpy(body.nonce, self->nonces.owner, sizeof body.nonce);
        mpx_greeting_owner_proof(self->entry->key, &self->nonces, body.proof);
        rc = mpx_challenge_pack(&body, &bytes);
    }
    if (rc == MP_OK)
        rc = mpx_guest_send(self, &(mpx_header_t){.op = MPX_OP_CHALLENGE}, mpx_buf_bytes(&bytes));
    mpx_buf_free(&bytes);
    if (rc != MP_OK)
        put_out(self, rc, false);
}

static mp_rc_t on_knock(mpx_guest_t *self, mp_bytes_t payload)
{
    mpx_knock_t knock;
    void *arena = NULL;
    mp_rc_t rc = mpx_knock_unpack(payload, &knock, &arena);
    if (rc != MP_OK)
        return rc;
    if (knock.version_min > MPX_WIRE_VERSION || knock.version_max < MPX_WIRE_VERSION)
        rc = mpx_fault(MP_EVERSION, "%s speaks version %d of the protocol, and %s only %u to %u",
                       software, MPX_WIRE_VERSION, knock.software, knock.version_min,
                       knock.version_max);
    memcpy(self->nonces.visitor, knock.nonce, sizeof knock.nonce);
    self->tenant = knock.tenant;
    self->tenant_secret = knock.tenant_secret;
    snprintf(self->name, sizeof self->name, "%.80s:%u", knock.host, knock.pid);
    if (rc == MP_OK && !(self->entry = find_entry(self->hub, &knock)))
        rc = mpx_fault(MP_ENOTFOUND, "%s: number %llu isn't there, or not any more",
                       mpx_hub_endpoint(self->hub), (unsigned long long)knock.object);
    free(arena);
    return rc;
}

static mp_rc_t on_proof(mpx_guest_t *self, mp_bytes_t payload)
{
    mpx_proof_t proof;
    void *arena = NULL;
    uint8_t expected[MPX_PROOF_BYTES];
    mp_rc_t rc = mpx_proof_unpack(payload, &proof, &arena);
    if (rc != MP_OK)
        return rc;
    mpx_greeting_visitor_proof(self->entry->key, &self->nonces, expected);
    if (mpx_greeting_same(proof.proof, expected))
        return MP_OK;
    return mpx_fault(MP_EAUTH, "%s: the keys differ", mpx_hub_endpoint(self->hub));
}

static void tell_refused(const mpx_guest_t *self)
{
    if (self->entry && self->entry->class->refused)
        self->entry->class->refused(self->entry->object, self->address);
}

/* A visitor before it is let in. */
static void greet(mpx_guest_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mp_rc_t rc = MP_EPROTO;
    if (!self->entry && header->op == MPX_OP_KNOCK) {
        rc = on_knock(self, payload);
        if (rc == MP_OK && self->entry->key->data) {
            challenge(self);
            return;
        }
    } else if (self->entry && header->op == MPX_OP_PROOF) {
        rc = on_proof(self, payload);
    } else if (self->entry && header->op == MPX_OP_ERROR) {
        rc = MP_EAUTH; /* our proof didn't convince it */
    } else {
        (void)mpx_fault(MP_EPROTO, "a %s instead of a greeting", mpx_op_name(header->op));
    }
    if (rc == MP_OK) {
        let_in(self);
        return;
    }
    put_out(self, rc, false);
    if (rc == MP_EAUTH)
        tell_refused(self);
}

/* ---- events ------------------------------------------------------------------------------------
 */

static mpx_guest_t *find_guest(mpx_hub_t *self, uint64_t peer)
{
    mpx_guest_t *guest = NULL;
    HASH_FIND(hh, self->guests, &peer, sizeof peer, guest);
    return guest;
}

static mpx_guest_t *make_guest(mpx_hub_t *self, const mpx_link_event_t *event)
{
    mpx_guest_t *guest = calloc(1, sizeof *guest);
    if (!guest)
        return NULL;
    guest->peer = event->peer;
    guest->hub = self;
    guest->carrier = mpx_link_carrier(self->link, event->peer);
    snprintf(guest->address, sizeof guest->address, "%s", event->address ? event->address : "");
    HASH_ADD(hh, self->guests, peer, sizeof guest->peer, guest);
    if (!guest->unlisted)
        return guest;
    free(guest);
    return NULL;
}

static void on_guest_message(mpx_guest_t *guest, const mpx_header_t *header, mp_bytes_t payload)
{
    if (guest->state == KNOCKED) {
        greet(guest, header, payload);
        return;
    }
    mpx_entry_t *entry = guest->entry;
    entry->touched = true;
    if (header->op == MPX_OP_BYE || header->op == MPX_OP_ERROR) {
        mpx_hub_t *hub = guest->hub;
        uint64_t peer = guest->peer;
        bool hangs_up = entry->class->hangs_up;
        guest->left = header->op == MPX_OP_BYE;
        put_out(guest, MP_OK, true);
        if (hangs_up)
            mpx_link_kick(hub->link, peer);
        return;
    }
    mp_rc_t rc = entry->class->message(entry->object, guest, header, payload);
    if (rc != MP_OK)
        put_out(guest, rc, true);
}

static void on_message(mpx_hub_t *self, const mpx_link_event_t *event)
{
    mpx_guest_t *guest = find_guest(self, event->peer);
    if (!guest)
        guest = make_guest(self, event);
    if (!guest || (guest->state == OUT && guest->ignored++ >= IGNORED_MAX))
        mpx_link_kick(self->link, event->peer);
    if (!guest || guest->state == OUT)
        return;
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(event->frames[0], &header, &payload, &apart);
    if (rc == MP_OK && apart != (event->frames_count == 2))
        rc = mpx_fault(MP_EPROTO, "a message's payload isn't where its head says");
    if (rc != MP_OK) {
        put_out(guest, rc, true);
        return;
    }
    on_guest_message(guest, &header, apart ? event->frames[1] : payload);
}

static void on_down(mpx_hub_t *self, uint64_t peer)
{
    mpx_guest_t *guest = find_guest(self, peer);
    if (!guest)
        return;
    if (guest->entry)
        guest->entry->touched = true;
    put_out(guest, MP_OK, true);
    free_guest(guest);
}

static bool serve(void *arg)
{
    mpx_hub_t *self = arg;
    mpx_link_event_t event;
    mp_rc_t rc = MP_OK;
    mpx_link_hush(self->link, true);
    for (int i = 0; i < BURST && (rc = mpx_link_next(self->link, &event)) == MP_OK; i++)
        if (event.kind == MPX_LINK_MESSAGE)
            on_message(self, &event);
        else if (event.kind == MPX_LINK_DOWN)
            on_down(self, event.peer);
    mpx_entry_t *entry;
    DL_FOREACH (self->entries, entry)
        if (entry->touched) {
            entry->touched = false;
            if (entry->class->quiet)
                entry->class->quiet(entry->object);
        }
    mpx_link_hush(self->link, false);
    return rc == MP_OK;
}

static bool ready(void *arg)
{
    const mpx_hub_t *self = arg;
    return mpx_link_ready(self->link);
}

static int64_t tick(void *arg, int64_t now)
{
    mpx_hub_t *self = arg;
    return mpx_link_patrol(self->link, now);
}

/* ---- hubs ---------------------------------------------------------------------------------------
 */

/* In a forked child the parent's are left alone. */
static void look_where_we_are(void)
{
    if (generation == mpx_fork_generation())
        return;
    DL_CONCAT(inherited, hubs);
    hubs = NULL;
    receptions[0] = receptions[1] = NULL;
    generation = mpx_fork_generation();
}

static void close_all(void)
{
    mpx_service_enter();
    look_where_we_are();
    while (hubs) {
        mpx_hub_t *hub = hubs;
        mpx_hub_destroy(&hub, LINGER_MS);
    }
    mpx_service_leave();
}

mp_rc_t mpx_hub_new(const char *endpoint, const mpx_link_options_t *options, mpx_hub_t **out)
{
    mpx_link_options_t link = *options;
    link.max_behind = BEHIND_MAX;
    link.max_flood_bytes = FLOOD_BYTES;
    look_where_we_are();
    mpx_hub_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "%s: a hub", endpoint);
    mp_rc_t rc = mpx_leave_add(MPX_STAGE_SERVICE, close_all);
    if (rc == MP_OK)
        rc = mpx_link_listen(NULL, &endpoint, 1, &link, &self->link);
    if (rc == MP_OK) {
        self->served = (mpx_served_t){
            .serve = serve,
            .ready = ready,
            .tick = tick,
            .arg = self,
            .fd = mpx_link_fd(self->link),
        };
        rc = mpx_service_add(&self->served);
    }
    if (rc != MP_OK) {
        mpx_link_destroy(&self->link, 0);
        free(self);
        return rc;
    }
    DL_APPEND(hubs, self);
    *out = self;
    return MP_OK;
}

/* A socket that is closed with something unread resets its connection, and what was sent last is
 * lost with it: so what crosses our last words is taken, for a moment. */
static void hear_them_out(mpx_hub_t *self)
{
    enum { QUIET_MS = 5, HEAR_MS = 50 };
    mpx_link_event_t event;
    struct pollfd fd = {.fd = mpx_link_fd(self->link), .events = POLLIN};
    bool more = mpx_link_peers(self->link) > 0;
    int64_t until = mpx_now() + HEAR_MS * MPX_MS;
    while (more && mpx_now() < until) {
        while (mpx_link_next(self->link, &event) == MP_OK)
            ;
        more = mpx_link_ready(self->link) || poll(&fd, 1, QUIET_MS) > 0;
    }
}

void mpx_hub_destroy(mpx_hub_t **self_p, int linger_ms)
{
    mpx_hub_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    while (self->entries)
        mpx_entry_close(self->entries, MP_ECLOSED);
    mpx_service_remove(&self->served);
    DL_DELETE(hubs, self);
    for (int i = 0; i < 2; i++)
        if (receptions[i] == self)
            receptions[i] = NULL;
    if (linger_ms)
        hear_them_out(self);
    mpx_guest_t *guest, *next;
    HASH_ITER (hh, self->guests, guest, next)
        free_guest(guest);
    mpx_link_destroy(&self->link, linger_ms);
    free(self);
}

const char *mpx_hub_endpoint(const mpx_hub_t *self)
{
    return mpx_link_endpoint(self->link, 0);
}

void mpx_hub_lend(mpx_hub_t *self, int (*find)(void *arg, uint64_t ticket, uint64_t secret),
                  void *arg)
{
    mpx_link_lend(self->link, find, arg);
}

mp_rc_t mpx_hub_new_local(const mpx_link_options_t *options, mpx_hub_t **out)
{
    char endpoint[MPX_ENDPOINT_MAX];
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return mpx_fault_errno("random bytes");
    snprintf(endpoint, sizeof endpoint, "ipc://@mp-%llx-%llx", (unsigned long long)mpx_life_self(),
             (unsigned long long)random);
    return mpx_hub_new(endpoint, options, out);
}

mp_rc_t mpx_reception(bool lanes, mpx_hub_t **out)
{
    look_where_we_are();
    mpx_hub_t **place = &receptions[lanes];
    mpx_link_options_t options = {
        .only_lanes = lanes, .no_lane = !lanes, .max_message_bytes = MPX_VISIT_MESSAGE_MAX};
    mp_rc_t rc = *place ? MP_OK : mpx_hub_new_local(&options, place);
    if (rc == MP_OK)
        *out = *place;
    return rc;
}

void mpx_entry_open(mpx_entry_t *self, mpx_hub_t *hub)
{
    self->hub = hub;
    DL_APPEND(hub->entries, self);
}

void mpx_entry_close(mpx_entry_t *self, mp_rc_t why)
{
    if (!self->hub)
        return;
    mpx_guest_t *guest, *next;
    HASH_ITER (hh, self->hub->guests, guest, next)
        if (guest->entry == self) {
            put_out(guest, why, true);
            guest->entry = NULL;
        }
    DL_DELETE(self->hub->entries, self);
    self->hub = NULL;
}
