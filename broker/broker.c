#include "broker.h"

#include "clock.h"
#include "engine.h"
#include "fault.h"
#include "foreman.h"
#include "keeper.h"
#include "ledger.h"
#include "link.h"
#include "peer.h"
#include "survey.h"

#include <errno.h>
#include <mp/version.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum state { SERVING, DRAINING, OVER } state_t;

struct mpx_broker {
    mpx_broker_options_t options;
    mpx_link_t *link;
    mpx_engine_t *engine;
    mpx_keeper_t *keeper;
    mpx_ledger_t *ledger;
    mpx_foreman_t *foreman;
    mpx_peer_t *peers;
    mpx_survey_t *surveys;
    uint64_t last_survey;
    state_t state;
    int64_t started_at;
    int64_t drain_until;
    uint32_t clients;
    uint32_t workers;
    uint32_t executors;
    uint32_t executors_told; /* what clients were last told */
    uint32_t leaving;
    mpx_buf_t scratch; /* packed bodies */
};

enum {
    HORIZON_MS = 5,          /* work that waits at a worker covers the way there and back */
    CREDIT_BYTES = 64 << 20, /* most payload bytes at one worker */
    ABSENT_MS = 2000,        /* workers of a task may be about to join */
    LEAVE_MS = 500,          /* to read why one must go */
    JOBS_MAX = 4096,         /* open jobs of one client */
    SURVEYS_MAX = 64,        /* open questions of one client */
    SURVEY_MS = 2000,        /* for workers to answer them */
    SLOTS_MAX = 65536,       /* executors of one worker */
    LINGER_MS = 500,         /* for last words at the end */
    LINGER_US = 20,          /* a client of objects that was just heard isn't slept for */
    BURST = 1024,            /* messages before what they changed is stored and answered */
    LOOKS = 8,               /* without anything new, before that */
    INLINE_MAX = 4096,       /* payloads up to here travel in the head's frame */
    STOP_READ_BYTES = 128
};

static const char software[] = "libmp " MP_VERSION_STRING;

/* ---- sending ---------------------------------------------------------------------- */

static mp_rc_t send_to(mpx_broker_t *self, uint64_t peer, const mpx_header_t *header,
                       mp_bytes_t payload)
{
    uint8_t message[MPX_HEAD_MAX + INLINE_MAX];
    bool apart = payload.size > INLINE_MAX;
    size_t size = mpx_head_pack(header, apart, message);
    if (apart)
        return mpx_link_send(self->link, peer, (mp_bytes_t){message, size}, payload);
    if (payload.size)
        memcpy(message + size, payload.data, payload.size);
    return mpx_link_send(self->link, peer, (mp_bytes_t){message, size + payload.size},
                         (mp_bytes_t){0});
}

static mp_rc_t to_worker(void *arg, uint64_t worker, const mpx_header_t *header, mp_bytes_t payload)
{
    return send_to(arg, worker, header, payload);
}

/* What follows upon a CANCEL is the worker's business. */
static void stop_worker(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                        mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)why;
    if (stage != MPX_STOP_ASK)
        return;
    mpx_header_t header = {.op = MPX_OP_CANCEL, .job = job, .chunk = chunk};
    (void)send_to(arg, worker, &header, (mp_bytes_t){0});
}

static mp_rc_t to_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    return send_to(peer->broker, peer->id, header, payload);
}

static mp_rc_t send_status(mpx_broker_t *self, int64_t now, const mpx_peer_t *peer, uint64_t nonce)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->engine, &counts);
    mpx_status_t status = {
        .software = software,
        .uptime_ms = (uint64_t)((now - self->started_at) / MPX_MS),
        .workers = self->workers,
        .executors = self->executors,
        .clients = self->clients,
        .calls_queued = counts.queued,
        .calls_running = counts.given,
    };
    mpx_header_t header = {.op = MPX_OP_PONG, .nonce = nonce};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_status_pack(&status, &self->scratch);
    if (rc == MP_OK)
        (void)send_to(self, peer->id, &header, mpx_buf_bytes(&self->scratch));
    return rc;
}

/* Clients cut their chunks by how many executors there are. */
static mp_rc_t tell_executors(mpx_broker_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    if (self->executors == self->executors_told)
        return rc;
    self->executors_told = self->executors;
    for (const mpx_peer_t *peer = self->peers; peer && rc == MP_OK; peer = peer->hh.next)
        if (peer->state == MPX_PEER_CLIENT)
            rc = send_status(self, now, peer, 0);
    return rc;
}

/* ---- coming and going ------------------------------------------------------------- */

/* End what the peer had here; it stays listed.
 * for_good  and it is not expected back */
static mp_rc_t retire(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, const char *why,
                      bool for_good)
{
    mp_rc_t rc = MP_OK;
    mpx_survey_forget(&self->surveys, peer->id);
    mpx_foreman_gone(self->foreman, peer);
    if (peer->state == MPX_PEER_CLIENT) {
        mpx_log(self->options.log, MP_LOG_INFO, "client_left", "client", peer->name, "why", why,
                NULL);
        mpx_ledger_gone(self->ledger, now, peer, for_good);
        self->clients--;
    } else if (peer->state == MPX_PEER_WORKER) {
        mpx_log(self->options.log, MP_LOG_INFO, "worker_left", "worker", peer->name, "why", why,
                NULL);
        char name[160];
        mpx_loss_t loss = {
            .rc = MP_EWORKERLOST, .host = peer->host, .name = name, .pid = peer->pid};
        snprintf(name, sizeof name, "worker %s", peer->name);
        self->workers--;
        self->executors -= peer->slots;
        rc = mpx_engine_worker_lost(self->engine, now, peer->id, MPX_CHARGE_RUNNING, &loss);
    } else if (peer->state == MPX_PEER_TENANT) {
        mpx_log(self->options.log, MP_LOG_INFO, "tenant_left", "client", peer->name, "why", why,
                NULL);
        mpx_keeper_gone(self->keeper, now, peer, peer->said_bye, peer->over_network);
    }
    return rc;
}

/* Tell the peer why, and cut it off a moment later. */
static mp_rc_t dismiss(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, mp_rc_t code,
                       const char *why)
{
    mpx_log(self->options.log, MP_LOG_WARNING, "peer_dismissed", "peer", peer->name, "code",
            mp_errname(code), "why", why, NULL);
    mpx_problem_t problem = {.message = why};
    mpx_header_t header = {.op = MPX_OP_ERROR, .code = code};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_problem_pack(&problem, &self->scratch);
    if (rc == MP_OK)
        (void)send_to(self, peer->id, &header, mpx_buf_bytes(&self->scratch));
    if (rc == MP_OK)
        rc = retire(self, now, peer, why, true);
    peer->state = MPX_PEER_LEAVING;
    peer->leave_at = now + LEAVE_MS * MPX_MS;
    self->leaving++;
    return rc;
}

static mp_rc_t on_down(mpx_broker_t *self, int64_t now, mpx_peer_t *peer)
{
    mp_rc_t rc = retire(self, now, peer, "connection closed", peer->said_bye);
    if (peer->state == MPX_PEER_LEAVING)
        self->leaving--;
    mpx_peer_free(&self->peers, peer);
    return rc;
}

static void cut_off_leaving(mpx_broker_t *self, int64_t now)
{
    if (!self->leaving)
        return;
    for (mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next)
        if (peer->state == MPX_PEER_LEAVING && peer->leave_at <= now) {
            mpx_link_kick(self->link, peer->id);
            peer->leave_at = now + LEAVE_MS * MPX_MS; /* its DOWN is on the way */
        }
}

/* ---- greeting --------------------------------------------------------------------- */

static mp_rc_t welcome(mpx_broker_t *self, const mpx_peer_t *peer, const mpx_welcome_t *session)
{
    mpx_welcome_t answer = *session;
    answer.version = MPX_WIRE_VERSION;
    answer.software = software;
    answer.session = peer->id;
    answer.max_message_bytes = self->options.max_message_bytes;
    answer.submit_bytes = self->options.submit_bytes;
    answer.result_bytes = self->options.result_bytes;
    answer.workers = self->workers;
    answer.executors = self->executors;
    mpx_header_t header = {.op = MPX_OP_WELCOME};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_welcome_pack(&answer, &self->scratch);
    if (rc != MP_OK)
        return rc;
    mpx_link_trust(self->link, peer->id, true);
    (void)send_to(self, peer->id, &header, mpx_buf_bytes(&self->scratch));
    return MP_OK;
}

static mp_rc_t admit_client(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                            const mpx_hello_t *hello)
{
    mpx_welcome_t session = {0};
    mpx_peer_t *replaced;
    mp_rc_t rc = mpx_ledger_let_in(self->ledger, now, peer, hello, &session, &replaced);
    if (rc == MP_EPROTO)
        return dismiss(self, now, peer, rc, mp_errmsg());
    if (rc != MP_OK)
        return rc;
    if (replaced)
        mpx_link_kick(self->link, replaced->id);
    peer->state = MPX_PEER_CLIENT;
    self->clients++;
    mpx_log(self->options.log, MP_LOG_INFO, "client_joined", "client", peer->name, NULL);
    return welcome(self, peer, &session);
}

static mp_rc_t admit_worker(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                            const mpx_hello_t *hello)
{
    mpx_worker_spec_t spec = {
        .slots = hello->slots,
        .horizon_ns = HORIZON_MS * MPX_MS,
        .credit_bytes = CREDIT_BYTES,
    };
    peer->state = MPX_PEER_WORKER;
    peer->slots = hello->slots;
    self->workers++;
    self->executors += hello->slots;
    mpx_log(self->options.log, MP_LOG_INFO, "worker_joined", "worker", peer->name, NULL);
    mp_rc_t rc = welcome(self, peer, &(mpx_welcome_t){0});
    peer->takes_modules = hello->module_bytes > 0;
    if (rc == MP_OK)
        rc = mpx_engine_worker_join(self->engine, now, peer->id, hello, &spec);
    return rc == MP_OK ? mpx_foreman_joined(self->foreman, peer) : rc;
}

static mp_rc_t greet(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, const mpx_hello_t *hello)
{
    if (hello->version_min > MPX_WIRE_VERSION || hello->version_max < MPX_WIRE_VERSION)
        return dismiss(self, now, peer, MP_EVERSION,
                       "this broker speaks protocol version 1 only; update the older side");
    if (self->state != SERVING)
        return dismiss(self, now, peer, MP_EDRAINING, "the broker is shutting down");
    peer->pid = hello->pid;
    snprintf(peer->host, sizeof peer->host, "%s", hello->host);
    if (*hello->name)
        snprintf(peer->name, sizeof peer->name, "%s", hello->name);
    else
        snprintf(peer->name, sizeof peer->name, "%.100s:%u", hello->host, hello->pid);
    if (hello->role == MPX_ROLE_CLIENT)
        return admit_client(self, now, peer, hello);
    if (hello->role == MPX_ROLE_WORKER && hello->slots >= 1 && hello->slots <= SLOTS_MAX)
        return admit_worker(self, now, peer, hello);
    return dismiss(self, now, peer, MP_EPROTO, "a HELLO must be a client's or a worker's");
}

/* Who knocks is a client of objects. */
static mp_rc_t on_knock(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, mp_bytes_t payload)
{
    mpx_knock_t knock;
    void *arena = NULL;
    mpx_admit_t admit = {.version = MPX_WIRE_VERSION, .software = software};
    mp_rc_t rc = mpx_knock_unpack(payload, &knock, &arena);
    if (rc == MP_EPROTO)
        return dismiss(self, now, peer, rc, mp_errmsg());
    if (rc != MP_OK)
        return rc;
    snprintf(peer->name, sizeof peer->name, "%.100s:%u", knock.host, knock.pid);
    peer->over_network = strcmp(mpx_link_carrier(self->link, peer->id), "tcp") == 0;
    if (knock.version_min > MPX_WIRE_VERSION || knock.version_max < MPX_WIRE_VERSION)
        rc = mpx_fault(MP_EVERSION, "this broker speaks protocol version 1 only");
    else if (self->state != SERVING)
        rc = mpx_fault(MP_EDRAINING, "the broker is shutting down");
    else
        rc = mpx_keeper_let_in(self->keeper, now, peer, &knock, &admit);
    free(arena);
    if (rc != MP_OK) {
        char why[512];
        snprintf(why, sizeof why, "%s", mp_errmsg());
        return dismiss(self, now, peer, rc, why);
    }
    peer->state = MPX_PEER_TENANT;
    mpx_log(self->options.log, MP_LOG_INFO, "tenant_joined", "client", peer->name, NULL);
    mpx_buf_clear(&self->scratch);
    rc = mpx_admit_pack(&admit, &self->scratch);
    if (rc != MP_OK)
        return rc;
    mpx_link_trust(self->link, peer->id, true);
    (void)send_to(self, peer->id, &(mpx_header_t){.op = MPX_OP_ADMIT},
                  mpx_buf_bytes(&self->scratch));
    return MP_OK;
}

static mp_rc_t in_greeting(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                           const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op == MPX_OP_KNOCK)
        return on_knock(self, now, peer, payload);
    if (header->op != MPX_OP_HELLO)
        return dismiss(self, now, peer, MP_EPROTO, "the first message must be a HELLO");
    mpx_hello_t hello;
    void *arena = NULL;
    mp_rc_t rc = mpx_hello_unpack(payload, &hello, &arena);
    if (rc == MP_EPROTO)
        return dismiss(self, now, peer, rc, mp_errmsg());
    if (rc != MP_OK)
        return rc;
    rc = greet(self, now, peer, &hello);
    free(arena);
    return rc;
}

/* ---- surveys ---------------------------------------------------------------------- */

static void end_survey(mpx_broker_t *self, uint64_t client, uint64_t nonce, mp_rc_t rc)
{
    mpx_header_t header = {.op = MPX_OP_CENSUS, .nonce = nonce, .code = rc};
    (void)send_to(self, client, &header, (mp_bytes_t){0});
}

static void end_surveys(mpx_broker_t *self, int64_t now)
{
    mpx_survey_t *survey;
    while ((survey = mpx_survey_over(self->surveys, now))) {
        end_survey(self, survey->client, survey->nonce, survey->cut ? MP_ELIMIT : MP_OK);
        mpx_survey_free(&self->surveys, survey);
    }
}

static mp_rc_t in_survey(mpx_broker_t *self, int64_t now, const mpx_peer_t *client, uint64_t nonce)
{
    if (mpx_survey_count(self->surveys, client->id) >= SURVEYS_MAX) {
        end_survey(self, client->id, nonce, MP_ELIMIT);
        return MP_OK;
    }
    mpx_survey_t *survey = mpx_survey_add(&self->surveys, self->workers);
    if (!survey)
        return MP_ENOMEM;
    survey->number = ++self->last_survey;
    survey->client = client->id;
    survey->nonce = nonce;
    survey->until = now + SURVEY_MS * MPX_MS;
    mpx_header_t header = {.op = MPX_OP_SURVEY, .nonce = survey->number};
    for (const mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next)
        if (peer->state == MPX_PEER_WORKER) {
            survey->owing[survey->owing_count++] = peer->id;
            (void)send_to(self, peer->id, &header, (mp_bytes_t){0});
        }
    return MP_OK;
}

/* Who the worker is, its client is told by us. */
static mp_rc_t pass_on(mpx_broker_t *self, mpx_survey_t *survey, const mpx_peer_t *worker,
                       mp_bytes_t body)
{
    mpx_executor_stat_t stat;
    void *arena = NULL;
    mp_rc_t rc = mpx_executor_stat_unpack(body, &stat, &arena);
    if (rc != MP_OK)
        return rc;
    stat.host = worker->host;
    stat.worker = worker->name;
    stat.session = worker->id;
    mpx_buf_clear(&self->scratch);
    rc = mpx_executor_stat_pack(&stat, &self->scratch);
    free(arena);
    const mpx_peer_t *client = mpx_peer_find(self->peers, survey->client);
    mpx_header_t header = {.op = MPX_OP_CENSUS, .nonce = survey->nonce};
    if (rc == MP_OK && client->account &&
        !mpx_relay_tell(client->account->relay, &header, mpx_buf_bytes(&self->scratch)))
        survey->cut = true;
    return rc;
}

/* An answer that nobody waits for any more is nothing. */
static mp_rc_t in_census(mpx_broker_t *self, const mpx_peer_t *worker, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    mpx_survey_t *survey = mpx_survey_of(self->surveys, header->nonce, worker->id);
    if (!survey)
        return MP_OK;
    if (payload.size)
        return pass_on(self, survey, worker, payload);
    mpx_survey_settle(survey, worker->id);
    return MP_OK;
}

/* ---- messages --------------------------------------------------------------------- */

/* A mistake of the peer's costs its connection, nothing else; only our own lack of
 * memory goes further. */
static mp_rc_t judge(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, mp_rc_t rc)
{
    if (rc == MP_OK || rc == MP_ENOMEM)
        return rc;
    char why[512];
    snprintf(why, sizeof why, "%s", mp_errmsg());
    return dismiss(self, now, peer, rc, why);
}

static mp_rc_t in_client(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    if (!peer->account)
        return MP_OK; /* it has another connection by now */
    if (payload.size > self->options.max_message_bytes)
        return judge(self, now, peer,
                     mpx_fault(MP_ETOOLARGE, "a payload over this broker's limit"));
    if (header->op == MPX_OP_SURVEY)
        return in_survey(self, now, peer, header->nonce);
    if (mpx_foreman_takes(header->op))
        return judge(self, now, peer, mpx_foreman_client(self->foreman, peer, header, payload));
    return judge(self, now, peer, mpx_account_message(peer->account, now, header, payload));
}

/* It has another module now. */
static mp_rc_t in_offer(mpx_broker_t *self, int64_t now, const mpx_peer_t *worker,
                        mp_bytes_t payload)
{
    mpx_hello_t hello;
    void *arena = NULL;
    mp_rc_t rc = mpx_hello_unpack(payload, &hello, &arena);
    if (rc == MP_OK)
        rc = mpx_engine_worker_offer(self->engine, now, worker->id, &hello);
    free(arena);
    return rc;
}

static mp_rc_t in_worker(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op == MPX_OP_DRAIN) {
        mpx_log(self->options.log, MP_LOG_INFO, "worker_drains", "worker", peer->name, NULL);
        return mpx_engine_worker_drain(self->engine, now, peer->id);
    }
    if (header->op == MPX_OP_CENSUS)
        return judge(self, now, peer, in_census(self, peer, header, payload));
    if (mpx_foreman_takes(header->op))
        return judge(self, now, peer, mpx_foreman_worker(self->foreman, peer, header, payload));
    if (header->op == MPX_OP_OFFER)
        return judge(self, now, peer, in_offer(self, now, peer, payload));
    return judge(self, now, peer, mpx_engine_message(self->engine, now, peer->id, header, payload));
}

static mp_rc_t in_tenant(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload)
{
    return judge(self, now, peer, mpx_keeper_message(self->keeper, now, peer, header, payload));
}

static mp_rc_t in_leaving(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_header_t *header, mp_bytes_t payload)
{
    (void)self, (void)now, (void)peer, (void)header, (void)payload;
    return MP_OK;
}

static mp_rc_t dispatch(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    typedef mp_rc_t handler_t(mpx_broker_t *, int64_t, mpx_peer_t *, const mpx_header_t *,
                              mp_bytes_t);
    static handler_t *const handlers[MPX_PEER_STATES] = {
        [MPX_PEER_GREETING] = in_greeting, [MPX_PEER_CLIENT] = in_client,
        [MPX_PEER_WORKER] = in_worker,     [MPX_PEER_TENANT] = in_tenant,
        [MPX_PEER_LEAVING] = in_leaving,
    };
    bool known = peer->state == MPX_PEER_CLIENT || peer->state == MPX_PEER_WORKER ||
                 peer->state == MPX_PEER_TENANT;
    if (known && header->op == MPX_OP_PING)
        return send_status(self, now, peer, header->nonce);
    if (known && header->op == MPX_OP_BYE) {
        peer->said_bye = true;
        mpx_link_kick(self->link, peer->id);
        return MP_OK;
    }
    return handlers[peer->state](self, now, peer, header, payload);
}

static mp_rc_t on_message(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_link_event_t *event)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    if (peer->state == MPX_PEER_LEAVING)
        return MP_OK;
    mp_rc_t rc = mpx_head_unpack(event->frames[0], &header, &payload, &apart);
    if (rc == MP_OK && apart != (event->frames_count == 2))
        rc = mpx_fault(MP_EPROTO, "the number of frames is not what the head says");
    if (rc != MP_OK)
        return judge(self, now, peer, rc);
    return dispatch(self, now, peer, &header, apart ? event->frames[1] : payload);
}

static mp_rc_t on_event(mpx_broker_t *self, int64_t now, const mpx_link_event_t *event)
{
    if (event->kind == MPX_LINK_DOWN) {
        mpx_peer_t *gone = mpx_peer_find(self->peers, event->peer);
        return gone ? on_down(self, now, gone) : MP_OK;
    }
    mpx_peer_t *peer = mpx_peer_get(&self->peers, event->peer);
    if (!peer)
        return MP_ENOMEM;
    peer->broker = self;
    return on_message(self, now, peer, event);
}

/* ---- draining --------------------------------------------------------------------- */

static void start_to_drain(mpx_broker_t *self)
{
    mpx_log(self->options.log, MP_LOG_INFO, "draining", NULL);
    self->state = DRAINING;
    self->drain_until = mpx_now() + self->options.drain_ms * MPX_MS;
    mpx_header_t header = {.op = MPX_OP_DRAIN};
    mpx_ledger_drain(self->ledger);
    for (mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next) {
        if (peer->state == MPX_PEER_CLIENT || peer->state == MPX_PEER_WORKER)
            (void)send_to(self, peer->id, &header, (mp_bytes_t){0});
    }
}

/* A client may not have submitted all calls of an open job yet. */
static bool is_drained(const mpx_broker_t *self, int64_t now)
{
    if (self->state != DRAINING)
        return false;
    if (now >= self->drain_until)
        return true;
    return mpx_ledger_open_jobs(self->ledger) == 0;
}

static void say_bye(mpx_broker_t *self)
{
    mpx_header_t header = {.op = MPX_OP_BYE};
    for (const mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next)
        (void)send_to(self, peer->id, &header, (mp_bytes_t){0});
}

static void on_stop(mpx_broker_t *self, int stop_fd)
{
    char bytes[STOP_READ_BYTES];
    (void)!read(stop_fd, bytes, sizeof bytes);
    if (self->state == SERVING)
        start_to_drain(self);
    else
        self->state = OVER;
}

/* ---- the loop --------------------------------------------------------------------- */

static void send_answers(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)send_to(peer->broker, peer->id, header, payload);
}

/* What a client may do to workers. Over a network nobody may have his code run who hasn't shown who
 * he is; an ipc socket is its user's alone. */
static bool may_command(const mpx_peer_t *client, mpx_wish_t wish)
{
    bool here = strcmp(mpx_link_carrier(client->broker->link, client->id), "tcp") != 0;
    if (wish == MPX_WISH_SHIP && !here)
        (void)mpx_fault(MP_EPERM, "modules are not taken over tcp from a client that has not shown "
                                  "who it is; connect by ipc");
    return here || wish == MPX_WISH_DISMISS;
}

static void end_tenancy(mpx_peer_t *peer, mp_rc_t why)
{
    (void)dismiss(peer->broker, mpx_now(), peer, why,
                  "nothing was heard from this process for a lease");
}

/* All that is there. A commit costs the same for one as for many, so before one also those are
 * asked who sleep, which a link doesn't do each time while others were heard just now. */
static mp_rc_t read_all(mpx_broker_t *self, int64_t now)
{
    mpx_link_event_t event;
    mp_rc_t rc = MP_OK;
    int quiet = 0;
    for (int i = 0; i < BURST && rc == MP_OK; i++) {
        rc = mpx_link_next(self->link, &event);
        if (rc == MP_OK) {
            rc = on_event(self, now, &event);
            quiet = 0;
        } else if (rc == MP_EBUSY && ++quiet < LOOKS && HASH_COUNT(self->peers) > 1 &&
                   mpx_keeper_is_changed(self->keeper)) {
            rc = MP_OK;
        }
    }
    return rc == MP_EBUSY ? MP_OK : rc;
}

static mp_rc_t turn(mpx_broker_t *self)
{
    int64_t now = mpx_now();
    mp_rc_t rc = read_all(self, now);
    if (rc != MP_OK)
        return rc;
    if (mpx_engine_deadline(self->engine) <= now)
        rc = mpx_engine_tick(self->engine, now);
    if (rc == MP_OK)
        rc = mpx_ledger_flush(self->ledger, now);
    mp_rc_t kept = mpx_keeper_settle(self->keeper, now, send_answers, end_tenancy);
    mpx_ledger_settle(self->ledger, now, kept);
    if (rc == MP_OK)
        rc = tell_executors(self, now);
    end_surveys(self, now);
    cut_off_leaving(self, now);
    if (is_drained(self, now))
        self->state = OVER;
    return rc;
}

static mp_rc_t wait(mpx_broker_t *self, int stop_fd)
{
    int64_t now = mpx_now();
    int64_t until = mpx_engine_deadline(self->engine);
    until = mpx_earlier(until, mpx_survey_deadline(self->surveys));
    if (self->leaving)
        until = mpx_earlier(until, now + LEAVE_MS * MPX_MS);
    if (self->state == DRAINING)
        until = mpx_earlier(until, self->drain_until);
    until = mpx_earlier(until, mpx_keeper_deadline(self->keeper));
    until = mpx_earlier(until, mpx_ledger_deadline(self->ledger));
    until = mpx_earlier(until, mpx_link_patrol(self->link, now));
    struct pollfd fds[2] = {{.fd = mpx_link_fd(self->link), .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN}};
    int wait_ms = mpx_link_ready(self->link) ? 0 : mpx_poll_ms(now, until);
    if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
        return mpx_fault_errno("the broker's loop");
    if (fds[1].revents)
        on_stop(self, stop_fd);
    return MP_OK;
}

mp_rc_t mpx_broker_run(mpx_broker_t *self, int stop_fd)
{
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && self->state != OVER) {
        rc = turn(self);
        if (rc == MP_OK && self->state != OVER)
            rc = wait(self, stop_fd);
    }
    say_bye(self);
    return rc;
}

/* ---- life ------------------------------------------------------------------------- */

mp_rc_t mpx_broker_check(const mpx_broker_options_t *options)
{
    for (size_t i = 0; i < options->listen_count; i++) {
        mp_rc_t rc = mpx_endpoint_check(options->listen[i], true);
        if (rc != MP_OK)
            return rc;
        if (!mpx_endpoint_is_local(options->listen[i]))
            return mpx_fault(MP_EPERM,
                             "%s can be reached from other hosts, and without keys anybody there "
                             "could use this broker; listen on tcp://127.0.0.1:PORT or ipc:///PATH",
                             options->listen[i]);
    }
    return MP_OK;
}

static mp_rc_t open_ledger(mpx_broker_t *self)
{
    mpx_ledger_options_t options = {
        .engine = self->engine,
        .store = mpx_keeper_store(self->keeper),
        .relay = {.match = true,
                  .wait_ns = self->options.worker_wait_ms * MPX_MS,
                  .absent_ns = ABSENT_MS * MPX_MS,
                  .submit_bytes = self->options.submit_bytes,
                  .result_bytes = self->options.result_bytes,
                  .max_jobs = JOBS_MAX},
        .session_ms = self->options.session_ms,
        .max_sessions = self->options.max_peers,
        .log = self->options.log,
        .send = to_client,
    };
    return mpx_ledger_new(&options, mpx_now(), &self->ledger);
}

mp_rc_t mpx_broker_new(const mpx_broker_options_t *options, mpx_broker_t **out)
{
    mp_rc_t rc = mpx_broker_check(options);
    if (rc != MP_OK)
        return rc;
    mpx_broker_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a broker");
    self->options = *options;
    self->started_at = mpx_now();
    mpx_transport_t transport = {.self = self, .send = to_worker, .stop = stop_worker};
    mpx_link_options_t link = {.max_message_bytes = options->max_message_bytes + MPX_HEAD_MAX,
                               .max_peers = options->max_peers,
                               .linger_us = LINGER_US};
    mpx_keeper_options_t keeper = {.data = options->data,
                                   .types = options->types,
                                   .lease_ms = options->lease_ms,
                                   .max_bytes = options->object_bytes,
                                   .log = options->log};
    mpx_foreman_options_t foreman = {
        .peers = &self->peers, .log = options->log, .send = send_answers, .may = may_command};
    rc = mpx_engine_new(&transport, "broker", &self->engine);
    if (rc == MP_OK)
        rc = mpx_foreman_new(&foreman, &self->foreman);
    if (rc == MP_OK)
        rc = mpx_keeper_new(&keeper, &self->keeper);
    if (rc == MP_OK)
        rc = open_ledger(self);
    if (rc == MP_OK)
        rc = mpx_link_listen(options->context, options->listen, options->listen_count, &link,
                             &self->link);
    if (rc != MP_OK) {
        mpx_broker_destroy(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

const char *mpx_broker_endpoint(const mpx_broker_t *self, size_t i)
{
    return mpx_link_endpoint(self->link, i);
}

void mpx_broker_destroy(mpx_broker_t **self_p)
{
    mpx_broker_t *self = *self_p;
    if (!self)
        return;
    while (self->surveys)
        mpx_survey_free(&self->surveys, self->surveys);
    while (self->peers)
        mpx_peer_free(&self->peers, self->peers);
    mpx_ledger_destroy(&self->ledger);
    mpx_foreman_destroy(&self->foreman);
    mpx_engine_destroy(&self->engine);
    mpx_keeper_destroy(&self->keeper);
    mpx_link_destroy(&self->link, LINGER_MS);
    mpx_buf_free(&self->scratch);
    free(self);
    *self_p = NULL;
}
