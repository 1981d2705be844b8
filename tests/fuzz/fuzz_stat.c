/* fuzz_stat: a whole broker that is asked what it is at: STAT with any payload, `why` of any name,
 * SURVEY, and what workers answer to that, while clients and workers with jobs come and go. Each
 * STAT has an answer, of whole dicts that say of what they are, and one end; each SURVEY has one.
 *
 * The link is stood in for here, as in the simulation. */
#include "broker.h"
#include "clock.h"
#include "link.h"
#include "node.h"
#include "script.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 4, CLIENTS = 2, FRAME_MAX = 70000, INBOX = 64, FACTS_MAX = 64 * 1024 };
enum { COME, GO, STAT, WHY, SURVEY, CENSUS, JOB, CALLS, ACK, DRAIN, STEPS };

typedef struct message {
    mpx_link_event_kind_t kind;
    uint64_t peer;
    mpx_buf_t frames[2];
} message_t;

struct mpx_link {
    message_t inbox[INBOX];
    size_t first, count;
    message_t read; /* what was handed out last */
};

typedef struct peer {
    uint64_t id;             /* on the link; 0: it isn't there */
    uint32_t stats, surveys; /* that were asked, and have no end */
    uint64_t jobs, chunks;
    bool dismissed; /* it has made a mistake, and is owed nothing any more */
} peer_t;

static script_t script;
static struct mpx_link hub;
static peer_t peers[PEERS]; /* clients first, then workers */
static uint64_t last_peer, last_survey;

static peer_t *find(uint64_t id)
{
    peer_t *peer = peers;
    while (peer < peers + PEERS && peer->id != id)
        peer++;
    return peer < peers + PEERS ? peer : NULL;
}

static bool is_client(const peer_t *peer)
{
    return peer < peers + CLIENTS;
}

/* ---- what the broker says -------------------------------------------------------------- */

static void check_facts(mp_bytes_t payload)
{
    mp_bytes_t node, key, text;
    size_t pairs;
    require(payload.size <= FACTS_MAX);
    while (payload.size) {
        require(mpx_node_next(&payload, &node, NULL) == MP_OK);
        require(mpx_node_check(node, NULL) == MP_OK && mpx_node_enter(&node, MP_TREE_DICT, &pairs));
        require(pairs > 0 && mpx_node_next(&node, &key, NULL) == MP_OK);
        require(mpx_node_text(key, &text) && text.size == 4 && memcmp(text.data, "fact", 4) == 0);
    }
}

static void hear(peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op == MPX_OP_ERROR && !header->job) {
        *peer = (peer_t){.id = peer->id, .dismissed = true};
    } else if (header->op == MPX_OP_FACTS) {
        require(is_client(peer) && peer->stats > 0 && header->nonce == 1);
        check_facts(payload);
        peer->stats -= !payload.size;
    } else if (header->op == MPX_OP_CENSUS) {
        require(is_client(peer) && peer->surveys > 0 && header->nonce == 2);
        peer->surveys -= !payload.size;
    } else if (header->op == MPX_OP_SURVEY) {
        require(!is_client(peer));
        last_survey = header->nonce;
    }
}

/* ---- link.h ------------------------------------------------------------------------- */

static void push(mpx_link_event_kind_t kind, uint64_t peer, mp_bytes_t head, mp_bytes_t payload)
{
    require(hub.count < INBOX);
    message_t *message = &hub.inbox[(hub.first + hub.count++) % INBOX];
    *message = (message_t){.kind = kind, .peer = peer};
    require(mpx_buf_add(&message->frames[0], head.data, head.size) == MP_OK);
    require(mpx_buf_add(&message->frames[1], payload.data, payload.size) == MP_OK);
}

static void message_free(message_t *message)
{
    mpx_buf_free(&message->frames[0]);
    mpx_buf_free(&message->frames[1]);
}

mp_rc_t mpx_link_listen(void *context, const char *const *endpoints, size_t endpoints_count,
                        const mpx_link_options_t *options, mpx_link_t **out)
{
    (void)context, (void)endpoints, (void)endpoints_count, (void)options;
    hub = (struct mpx_link){0};
    *out = &hub;
    return MP_OK;
}

void mpx_link_destroy(mpx_link_t **self_p, int linger_ms)
{
    mpx_link_t *self = *self_p;
    (void)linger_ms;
    *self_p = NULL;
    if (!self)
        return;
    for (; self->count > 0; self->count--)
        message_free(&self->inbox[self->first++ % INBOX]);
    message_free(&self->read);
}

mp_rc_t mpx_link_next(mpx_link_t *self, mpx_link_event_t *out)
{
    message_free(&self->read);
    self->read = (message_t){0};
    if (!self->count)
        return MP_EBUSY;
    self->read = self->inbox[self->first++ % INBOX];
    self->count--;
    *out = (mpx_link_event_t){.kind = self->read.kind,
                              .peer = self->read.peer,
                              .address = "somewhere",
                              .rc = self->read.kind == MPX_LINK_DOWN ? MP_EOF : MP_OK};
    out->frames[0] = mpx_buf_bytes(&self->read.frames[0]);
    out->frames[1] = mpx_buf_bytes(&self->read.frames[1]);
    out->frames_count = self->read.kind == MPX_LINK_MESSAGE ? 1 + (out->frames[1].size > 0) : 0;
    return MP_OK;
}

mp_rc_t mpx_link_send(mpx_link_t *self, uint64_t id, mp_bytes_t head, mp_bytes_t payload)
{
    mpx_header_t header;
    mp_bytes_t rest;
    bool apart;
    (void)self;
    peer_t *peer = find(id);
    if (!peer)
        return MP_ECLOSED;
    require(mpx_head_unpack(head, &header, &rest, &apart) == MP_OK);
    hear(peer, &header, apart ? payload : rest);
    return MP_OK;
}

void mpx_link_kick(mpx_link_t *self, uint64_t id)
{
    (void)self;
    peer_t *peer = find(id);
    if (!peer)
        return;
    *peer = (peer_t){0};
    push(MPX_LINK_DOWN, id, (mp_bytes_t){0}, (mp_bytes_t){0});
}

void mpx_link_trust(mpx_link_t *self, uint64_t peer, bool trusted)
{
    (void)self, (void)peer, (void)trusted;
}

int64_t mpx_link_patrol(mpx_link_t *self, int64_t now)
{
    (void)self, (void)now;
    return MPX_NEVER;
}

const char *mpx_link_carrier(const mpx_link_t *self, uint64_t peer)
{
    (void)self, (void)peer;
    return "tcp";
}

const char *mpx_link_endpoint(const mpx_link_t *self, size_t i)
{
    (void)self;
    return i == 0 ? "tcp://127.0.0.1:5555" : NULL;
}

int mpx_link_fd(const mpx_link_t *self)
{
    (void)self;
    return STDIN_FILENO;
}

bool mpx_link_ready(mpx_link_t *self)
{
    return self->count > 0;
}

size_t mpx_link_peers(const mpx_link_t *self)
{
    size_t count = 0;
    (void)self;
    for (const peer_t *peer = peers; peer < peers + PEERS; peer++)
        count += peer->id != 0;
    return count;
}

void mpx_link_hush(mpx_link_t *self, bool on)
{
    (void)self;
    (void)on;
}

uint64_t mpx_link_failed_handshakes(const mpx_link_t *self)
{
    (void)self;
    return 0;
}

/* ---- peers -------------------------------------------------------------------------- */

static void say(const peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    uint8_t head[MPX_HEAD_MAX];
    size_t size = mpx_head_pack(header, payload.size > 0, head);
    push(MPX_LINK_MESSAGE, peer->id, (mp_bytes_t){head, size}, payload);
}

static void come(peer_t *peer)
{
    static const mpx_offer_t offers[] = {{"t0", "i -> i"}, {"t1", "i -> i"}};
    mpx_buf_t body = {0};
    mpx_hello_t hello = {
        .role = MPX_ROLE_CLIENT, .version_min = MPX_WIRE_VERSION, .version_max = MPX_WIRE_VERSION};
    if (!is_client(peer)) {
        hello.role = MPX_ROLE_WORKER;
        hello.slots = 1 + script_byte(&script) % 3;
        hello.tasks = offers;
        hello.tasks_count = script_byte(&script) % 3;
        hello.have = script_byte(&script) % 2 ? "gpu=1,zone=a" : "";
        hello.name = "w";
    }
    *peer = (peer_t){.id = ++last_peer};
    require(mpx_hello_pack(&hello, &body) == MP_OK);
    say(peer, &(mpx_header_t){.op = MPX_OP_HELLO}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void go(peer_t *peer)
{
    uint64_t id = peer->id;
    *peer = (peer_t){0};
    push(MPX_LINK_DOWN, id, (mp_bytes_t){0}, (mp_bytes_t){0});
}

static void ask_why(peer_t *peer)
{
    mpx_buf_t body = {0};
    mp_bytes_t name = script_block(&script);
    require(mpx_node_add_dict(&body, 1) == MP_OK && mpx_node_add_str(&body, "why", 3) == MP_OK &&
            mpx_node_add_str(&body, name.data, name.size) == MP_OK);
    peer->stats++;
    say(peer, &(mpx_header_t){.op = MPX_OP_STAT, .nonce = 1}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void ask(peer_t *peer)
{
    peer->stats++;
    say(peer, &(mpx_header_t){.op = MPX_OP_STAT, .nonce = 1}, script_block(&script));
}

static void survey(peer_t *peer)
{
    peer->surveys++;
    say(peer, &(mpx_header_t){.op = MPX_OP_SURVEY, .nonce = 2}, (mp_bytes_t){0});
}

static void census(const peer_t *peer)
{
    uint8_t nonce = script_byte(&script);
    say(peer, &(mpx_header_t){.op = MPX_OP_CENSUS, .nonce = nonce ? nonce : last_survey},
        script_block(&script));
}

static void open_job(peer_t *peer)
{
    static const char *const tasks[] = {"t0", "t1", "t9", "mp.exec"};
    static const char *const needs[] = {"", "gpu=1", "gpu=9", "zone=b"};
    char label[8];
    mpx_buf_t body = {0};
    mp_bytes_t text = script_bytes(&script, script_byte(&script) % sizeof label);
    snprintf(label, sizeof label, "%.*s", (int)text.size, (const char *)text.data);
    mpx_open_t open = {.task = tasks[script_byte(&script) % 4],
                       .signature = "i -> i",
                       .label = label,
                       .priority = (int8_t)script_byte(&script),
                       .needs = needs[script_byte(&script) % 4]};
    if (mpx_open_pack(&open, &body) == MP_OK)
        say(peer, &(mpx_header_t){.op = MPX_OP_OPEN, .job = ++peer->jobs}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void put_calls(peer_t *peer)
{
    static const uint8_t zeros[16 * 4];
    uint32_t count = 1 + script_byte(&script) % 16;
    mpx_header_t header = {.op = MPX_OP_SUBMIT,
                           .job = script_byte(&script),
                           .chunk = ++peer->chunks,
                           .first = (peer->chunks - 1) * 16,
                           .count = count,
                           .item_bytes = 4};
    say(peer, &header, (mp_bytes_t){zeros, count * sizeof(uint32_t)});
}

static void step_of_client(peer_t *peer, uint8_t what)
{
    if (what == STAT)
        ask(peer);
    else if (what == WHY)
        ask_why(peer);
    else if (what == SURVEY)
        survey(peer);
    else if (what == JOB)
        open_job(peer);
    else if (what == CALLS)
        put_calls(peer);
    else if (what == ACK)
        say(peer, &(mpx_header_t){.op = MPX_OP_ACK, .bytes = script_number(&script)},
            (mp_bytes_t){0});
}

static void step_of_worker(const peer_t *peer, uint8_t what)
{
    if (what == CENSUS)
        census(peer);
    else if (what == DRAIN)
        say(peer, &(mpx_header_t){.op = MPX_OP_DRAIN}, (mp_bytes_t){0});
}

static void step(mpx_broker_t *broker)
{
    uint8_t byte = script_byte(&script);
    peer_t *peer = &peers[byte % PEERS];
    uint8_t what = byte / PEERS % STEPS;
    if (!peer->id)
        come(peer);
    else if (what == GO || peer->dismissed)
        go(peer);
    else if (is_client(peer))
        step_of_client(peer, what);
    else
        step_of_worker(peer, what);
    require(mpx_broker_turn(broker) == MP_OK);
    require(mpx_broker_check_state(broker) == NULL);
    for (peer = peers; peer < peers + CLIENTS; peer++)
        require(peer->stats == 0);
}

/* Nobody to answer them is left, so that surveys are over. */
static void end_surveys(mpx_broker_t *broker)
{
    for (peer_t *peer = peers + CLIENTS; peer < peers + PEERS; peer++)
        if (peer->id)
            go(peer);
    require(mpx_broker_turn(broker) == MP_OK);
    for (const peer_t *peer = peers; peer < peers + CLIENTS; peer++)
        require(peer->surveys == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const listen[] = {"tcp://127.0.0.1:5555"};
    mpx_log_t log;
    mpx_broker_t *broker = NULL;
    mpx_broker_options_t options = {.listen = listen,
                                    .listen_count = 1,
                                    .max_peers = 16,
                                    .max_message_bytes = FRAME_MAX,
                                    .submit_bytes = 1 << 20,
                                    .result_bytes = 1 << 16,
                                    .worker_wait_ms = 10000,
                                    .drain_ms = 1000,
                                    .lease_ms = 10000,
                                    .session_ms = 10000,
                                    .object_bytes = 1 << 20,
                                    .kept_bytes = 1 << 20,
                                    .keep_ms = 1000,
                                    .dead_bytes = 1 << 20,
                                    .log = &log};
    memset(peers, 0, sizeof peers);
    last_peer = last_survey = 0;
    script = (script_t){{data, size}};
    mpx_log_init(&log, MP_LOG_ERROR, -1);
    require(mpx_broker_new(&options, &broker) == MP_OK);
    while (script.rest.size)
        step(broker);
    end_surveys(broker);
    mpx_broker_destroy(&broker);
    return 0;
}
