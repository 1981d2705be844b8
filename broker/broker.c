#include "broker_private.h"

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HORIZON_MS = 5,          /* work that waits at a worker covers the way there and back */
    CREDIT_BYTES = 64 << 20, /* most payload bytes at one worker */
    LEAVE_MS = 500,          /* to read why one must go */
    SURVEYS_MAX = 64,        /* open questions of one client */
    SURVEY_MS = 2000,        /* for workers to answer them */
    SLOTS_MAX = 65536,       /* executors of one worker */
    STATUSES_MAX = 64,       /* that a client is told while it says nothing */
    BURST = 1024,            /* messages before what they changed is stored and answered */
    INLINE_MAX = 4096,       /* payloads up to here travel in the head's frame */
    STOP_READ_BYTES = 128
};

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

mp_rc_t mpx_broker_to_worker(void *arg, uint64_t worker, const mpx_header_t *header,
                             mp_bytes_t payload)
{
    return send_to(arg, worker, header, payload);
}

/* What follows upon a CANCEL is the worker's business. */
void mpx_broker_stop_worker(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                            mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)why;
    if (stage != MPX_STOP_ASK)
        return;
    mpx_header_t header = {.op = MPX_OP_CANCEL, .job = job, .chunk = chunk};
    (void)send_to(arg, worker, &header, (mp_bytes_t){0});
}

bool mpx_broker_recall(void *broker, uint64_t worker, uint64_t job, uint64_t chunk)
{
    mpx_header_t header = {.op = MPX_OP_RECALL, .job = job, .chunk = chunk};
    (void)send_to(broker, worker, &header, (mp_bytes_t){0});
    return false;
}

mp_rc_t mpx_broker_to_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    return send_to(peer->broker, peer->id, header, payload);
}

bool mpx_broker_to_client_on_credit(mpx_peer_t *peer, const mpx_header_t *header,
                                    mp_bytes_t payload)
{
    return peer->account && mpx_relay_tell(peer->account->relay, header, payload);
}

static mp_rc_t send_status(mpx_broker_t *self, int64_t now, const mpx_peer_t *peer, uint64_t nonce)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->engine, &counts);
    mpx_status_t status = {
        .software = MPX_BROKER_SOFTWARE,
        .uptime_ms = (uint64_t)((now - self->started_at) / MPX_MS),
        .workers = self->workers,
        .executors = self->executors,
        .clients = self->clients,
        .calls_queued = counts.queued,
        .calls_running = counts.given,
        .turnover = self->turnover,
    };
    if (self->state != SERVING) {
        status.draining = true;
        status.open_jobs = mpx_broker_open_jobs(self);
        status.drain_ms = (uint64_t)mpx_broker_drain_left_ms(self, now);
    }
    mpx_header_t header = {.op = MPX_OP_PONG, .nonce = nonce};
    mpx_buf_clear(&self->scratch);
    mp_rc_t rc = mpx_status_pack(&status, &self->scratch);
    if (rc == MP_OK)
        (void)send_to(self, peer->id, &header, mpx_buf_bytes(&self->scratch));
    return rc;
}

/* Clients cut their chunks by how many executors there are, and count how those come and go. Who
 * isn't heard may not read, either, and is told no more than so much. */
static mp_rc_t tell_executors(mpx_broker_t *self, int64_t now)
{
    mp_rc_t rc = MP_OK;
    if (self->executors == self->executors_told &&
        memcmp(&self->turnover, &self->turnover_told, sizeof self->turnover) == 0)
        return rc;
    self->executors_told = self->executors;
    self->turnover_told = self->turnover;
    for (mpx_peer_t *peer = self->peers; peer && rc == MP_OK; peer = peer->hh.next) {
        if (peer->state != MPX_PEER_CLIENT)
            continue;
        peer->is_behind = peer->statuses >= STATUSES_MAX;
        peer->statuses += !peer->is_behind;
        rc = peer->is_behind ? MP_OK : send_status(self, now, peer, 0);
    }
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
        mpx_archive_gone(self->archive, peer);
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
        mpx_turnover_left(&self->turnover, peer);
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
    mpx_metrics_dismissed(self->metrics, code);
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

static mp_rc_t on_down(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, bool silent)
{
    if (!peer->said_bye)
        mpx_metrics_lost(self->metrics, mpx_peer_role(peer));
    const char *why = silent ? "silent, without a heartbeat" : "connection closed";
    mp_rc_t rc = retire(self, now, peer, why, peer->said_bye);
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
    answer.software = MPX_BROKER_SOFTWARE;
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
    if (self->state != SERVING)
        mpx_relay_drain(peer->account->relay);
    peer->state = MPX_PEER_CLIENT;
    self->clients++;
    mpx_log(self->options.log, MP_LOG_INFO, "client_joined", "client", peer->name, NULL);
    rc = welcome(self, peer, &session);
    return rc == MP_OK ? send_status(self, now, peer, 0) : rc;
}

static mp_rc_t admit_worker(mpx_broker_t *self, int64_t now, mpx_peer_t *peer,
                            const mpx_hello_t *hello)
{
    mpx_worker_spec_t spec = {
        .slots = hello->slots,
        .horizon_ns = HORIZON_MS * MPX_MS,
        .credit_bytes = CREDIT_BYTES,
    };
    mpx_traits_t have;
    if (mpx_traits_parse(hello->have, &have) != MP_OK) {
        char why[512];
        snprintf(why, sizeof why, "what the worker has: %s", mp_errmsg());
        return dismiss(self, now, peer, MP_EINVAL, why);
    }
    peer->state = MPX_PEER_WORKER;
    peer->slots = hello->slots;
    self->workers++;
    self->executors += hello->slots;
    mpx_turnover_joined(&self->turnover, peer);
    mpx_log(self->options.log, MP_LOG_INFO, "worker_joined", "worker", peer->name, NULL);
    mp_rc_t rc = welcome(self, peer, &(mpx_welcome_t){0});
    peer->takes_modules = hello->module_bytes > 0;
    if (rc == MP_OK)
        rc = mpx_engine_worker_join(self->engine, now, peer->id, hello, &spec);
    return rc == MP_OK ? mpx_foreman_joined(self->foreman, peer) : rc;
}

static mp_rc_t judge(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, mp_rc_t rc);

static mp_rc_t greet(mpx_broker_t *self, int64_t now, mpx_peer_t *peer, const mpx_hello_t *hello)
{
    if (hello->version_min > MPX_WIRE_VERSION || hello->version_max < MPX_WIRE_VERSION)
        return dismiss(self, now, peer, MP_EVERSION,
                       "this broker speaks protocol version 1 only; update the older side");
    bool looks = hello->role == MPX_ROLE_CLIENT && hello->looks;
    if (self->state != SERVING && !looks)
        return dismiss(self, now, peer, MP_EDRAINING, "the broker is shutting down");
    peer->pid = hello->pid;
    snprintf(peer->host, sizeof peer->host, "%s", hello->host);
    mpx_gate_name(peer, hello->name, hello->host, hello->pid);
    bool works = hello->role == MPX_ROLE_WORKER;
    if (mpx_peer_require(peer, works ? MPX_MAY_WORK : MPX_MAY_SUBMIT | MPX_MAY_ADMIN) != MP_OK)
        return judge(self, now, peer, MP_EPERM);
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
    mpx_admit_t admit = {.version = MPX_WIRE_VERSION, .software = MPX_BROKER_SOFTWARE};
    mp_rc_t rc = mpx_knock_unpack(payload, &knock, &arena);
    if (rc == MP_EPROTO)
        return dismiss(self, now, peer, rc, mp_errmsg());
    if (rc != MP_OK)
        return rc;
    mpx_gate_name(peer, "", knock.host, knock.pid);
    peer->over_network = strcmp(mpx_link_carrier(self->link, peer->id), "tcp") == 0;
    if (knock.version_min > MPX_WIRE_VERSION || knock.version_max < MPX_WIRE_VERSION)
        rc = mpx_fault(MP_EVERSION, "this broker speaks protocol version 1 only");
    else if (self->state != SERVING)
        rc = mpx_fault(MP_EDRAINING, "the broker is shutting down");
    else if ((rc = mpx_peer_require(peer, MPX_MAY_READ)) == MP_OK)
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

/* ---- those who look ---------------------------------------------------------------- */

/* Any client may ask, and sees of others' jobs what it may. */
static mp_rc_t in_stat(mpx_broker_t *self, int64_t now, const mpx_peer_t *client, uint64_t nonce,
                       mp_bytes_t question)
{
    mpx_scene_t scene = mpx_broker_scene(self, now);
    scene.viewer = client;
    return mpx_watch_answer(&scene, client, nonce, question);
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
    if (header->op == MPX_OP_STAT)
        return judge(self, now, peer, in_stat(self, now, peer, header->nonce, payload));
    if (header->op == MPX_OP_OPEN && mpx_peer_require(peer, MPX_MAY_SUBMIT) != MP_OK)
        return judge(self, now, peer, MP_EPERM);
    if (mpx_archive_wants(header->op)) {
        mp_rc_t rc = mpx_peer_require(peer, MPX_MAY_SUBMIT | MPX_MAY_ADMIN);
        if (rc == MP_OK)
            rc = mpx_archive_message(self->archive, now, peer, header, payload);
        return judge(self, now, peer, rc);
    }
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

/* Whose call has cost an executor finds that counted when it hears of the call; the rest can wait
 * for the end of the turn. */
static mp_rc_t in_turnover(mpx_broker_t *self, int64_t now, mpx_peer_t *worker, mp_bytes_t payload)
{
    mpx_status_t status;
    void *arena = NULL;
    uint64_t before = mpx_turnover_casualties(&self->turnover);
    mp_rc_t rc = mpx_status_unpack(payload, &status, &arena);
    if (rc == MP_OK)
        rc = mpx_turnover_told(&self->turnover, worker, &status.turnover);
    free(arena);
    bool hurry = rc == MP_OK && mpx_turnover_casualties(&self->turnover) != before;
    return hurry ? tell_executors(self, now) : rc;
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
    if (header->op == MPX_OP_PONG)
        return judge(self, now, peer, in_turnover(self, now, peer, payload));
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
    if (!*peer->name)
        mpx_gate_recognise(self->gate, peer, event->user);
    peer->statuses = 0;
    if (peer->is_behind && peer->state == MPX_PEER_CLIENT)
        (void)send_status(self, now, peer, 0);
    peer->is_behind = false;
    mp_rc_t rc = mpx_head_unpack(event->frames[0], &header, &payload, &apart);
    if (rc == MP_OK && apart != (event->frames_count == 2))
        rc = mpx_fault(MP_EPROTO, "the number of frames is not what the head says");
    if (rc != MP_OK)
        return judge(self, now, peer, rc);
    uint64_t operations = header.op == MPX_OP_CALL && header.count ? header.count : 1;
    if (!mpx_peer_spends(peer, now, operations, self->options.max_operations))
        return judge(self, now, peer,
                     mpx_fault(MP_ELIMIT,
                               "more than %llu operations in a second (--max-operations)",
                               (unsigned long long)self->options.max_operations));
    return dispatch(self, now, peer, &header, apart ? event->frames[1] : payload);
}

static mp_rc_t on_event(mpx_broker_t *self, int64_t now, const mpx_link_event_t *event)
{
    if (event->kind == MPX_LINK_DOWN) {
        mpx_peer_t *gone = mpx_peer_find(self->peers, event->peer);
        return gone ? on_down(self, now, gone, event->silent) : MP_OK;
    }
    mpx_peer_t *peer = mpx_peer_get(&self->peers, event->peer);
    if (!peer)
        return MP_ENOMEM;
    peer->broker = self;
    return on_message(self, now, peer, event);
}

/* ---- keys ------------------------------------------------------------------------- */

/* Whose key is gone, or may no longer do what it is here for, has to go; the others go on with the
 * roles that they have now. */
static mp_rc_t reload_keys(mpx_broker_t *self, int64_t now)
{
    char bytes[STOP_READ_BYTES];
    (void)!read(self->options.reload_fd, bytes, sizeof bytes);
    mp_rc_t rc = MP_OK;
    if (!mpx_gate_reload(self->gate))
        return rc;
    for (mpx_peer_t *peer = self->peers; peer && rc == MP_OK; peer = peer->hh.next) {
        if (peer->state == MPX_PEER_LEAVING)
            continue;
        rc = judge(self, now, peer, mpx_gate_review(self->gate, peer));
        mpx_archive_review(self->archive, peer);
        if (peer->state == MPX_PEER_TENANT)
            mpx_keeper_restrict(self->keeper, peer);
    }
    return rc;
}

/* ---- draining --------------------------------------------------------------------- */

static void start_to_drain(mpx_broker_t *self)
{
    mpx_log(self->options.log, MP_LOG_INFO, "draining", NULL);
    mpx_notify_say(self->options.watch.notify, "STOPPING=1", "finishing what is open");
    self->state = DRAINING;
    self->drain_until = mpx_now() + self->options.drain_ms * MPX_MS;
    mpx_header_t header = {.op = MPX_OP_DRAIN};
    mpx_ledger_drain(self->ledger);
    mpx_archive_drain(self->archive);
    for (mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next) {
        if (peer->state == MPX_PEER_CLIENT || peer->state == MPX_PEER_WORKER)
            (void)send_to(self, peer->id, &header, (mp_bytes_t){0});
    }
}

static bool is_drained(const mpx_broker_t *self, int64_t now)
{
    if (self->state != DRAINING)
        return false;
    return now >= self->drain_until || mpx_broker_open_jobs(self) == 0;
}

static void say_bye(mpx_broker_t *self)
{
    mpx_header_t header = {.op = MPX_OP_BYE};
    for (const mpx_peer_t *peer = self->peers; peer; peer = peer->hh.next)
        (void)send_to(self, peer->id, &header, (mp_bytes_t){0});
}

void mpx_broker_stop(mpx_broker_t *self)
{
    if (self->state == SERVING)
        start_to_drain(self);
    else
        self->state = OVER;
}

static void on_stop(mpx_broker_t *self, int stop_fd)
{
    char bytes[STOP_READ_BYTES];
    (void)!read(stop_fd, bytes, sizeof bytes);
    mpx_broker_stop(self);
}

/* ---- the loop --------------------------------------------------------------------- */

void mpx_broker_answer(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)send_to(peer->broker, peer->id, header, payload);
}

static void end_tenancy(mpx_peer_t *peer, mp_rc_t why)
{
    (void)dismiss(peer->broker, mpx_now(), peer, why,
                  "nothing was heard from this process for a lease");
}

/* All that is there. A commit costs the same for one as for many, so before one those are waited
 * for who are about to ask: they run meanwhile. */
static mp_rc_t read_all(mpx_broker_t *self, int64_t now)
{
    mpx_link_event_t event;
    mp_rc_t rc = MP_OK;
    int count = 0;
    mpx_link_hush(self->link, true);
    while (count < BURST && rc == MP_OK) {
        rc = mpx_link_next(self->link, &event);
        if (rc == MP_OK) {
            rc = on_event(self, now, &event);
            count++;
        } else if (rc == MP_EBUSY && HASH_COUNT(self->peers) > 1 &&
                   mpx_keeper_wants_more(self->keeper)) {
            (void)sched_yield();
            rc = MP_OK;
        }
    }
    mpx_link_hush(self->link, false);
    return rc == MP_EBUSY ? MP_OK : rc;
}

mp_rc_t mpx_broker_turn(mpx_broker_t *self)
{
    int64_t now = mpx_now();
    mpx_metrics_at(self->metrics, now);
    mp_rc_t rc = read_all(self, now);
    if (rc != MP_OK)
        return rc;
    if (mpx_engine_deadline(self->engine) <= now)
        rc = mpx_engine_tick(self->engine, now);
    if (rc == MP_OK)
        rc = mpx_ledger_flush(self->ledger, now);
    if (rc == MP_OK)
        rc = mpx_archive_flush(self->archive, now);
    mpx_link_hush(self->link, true);
    mp_rc_t kept = mpx_keeper_settle(self->keeper, now, mpx_broker_answer, end_tenancy);
    mpx_link_hush(self->link, false);
    mpx_ledger_settle(self->ledger, now, kept);
    if (rc == MP_OK)
        rc = mpx_archive_settle(self->archive, now, kept);
    if (rc == MP_OK)
        rc = tell_executors(self, now);
    mpx_gate_note_failed(self->gate, now, mpx_link_failed_handshakes(self->link));
    end_surveys(self, now);
    cut_off_leaving(self, now);
    if (mpx_watch_is_due(&self->options.watch, now)) {
        mpx_scene_t scene = mpx_broker_scene(self, now);
        mpx_watch_beat(&self->options.watch, &scene);
    }
    if (is_drained(self, now))
        self->state = OVER;
    if (rc != MP_OK || self->state != OVER)
        return rc;
    say_bye(self);
    return MP_EOF;
}

int64_t mpx_broker_deadline(const mpx_broker_t *self, int64_t now)
{
    int64_t until = mpx_engine_deadline(self->engine);
    until = mpx_earlier(until, mpx_survey_deadline(self->surveys));
    if (self->leaving)
        until = mpx_earlier(until, now + LEAVE_MS * MPX_MS);
    if (self->state == DRAINING)
        until = mpx_earlier(until, self->drain_until);
    until = mpx_earlier(until, mpx_keeper_deadline(self->keeper));
    until = mpx_earlier(until, mpx_ledger_deadline(self->ledger));
    until = mpx_earlier(until, mpx_archive_deadline(self->archive));
    until = mpx_earlier(until, mpx_link_patrol(self->link, now));
    return mpx_earlier(until, mpx_watch_deadline(&self->options.watch, now));
}

static mp_rc_t wait(mpx_broker_t *self, int stop_fd)
{
    int64_t now = mpx_now();
    int64_t until = mpx_broker_deadline(self, now);
    int reload_fd = self->options.reload_fd > 0 ? self->options.reload_fd : -1;
    struct pollfd fds[4] = {{.fd = mpx_link_fd(self->link), .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN},
                            {.fd = reload_fd, .events = POLLIN},
                            {.fd = mpx_watch_fd(&self->options.watch), .events = POLLIN}};
    int wait_ms = mpx_link_ready(self->link) ? 0 : mpx_poll_ms(now, until);
    if (poll(fds, 4, wait_ms) < 0 && errno != EINTR)
        return mpx_fault_errno("the broker's loop");
    if (fds[1].revents)
        on_stop(self, stop_fd);
    return fds[2].revents ? reload_keys(self, mpx_now()) : MP_OK;
}

mp_rc_t mpx_broker_run(mpx_broker_t *self, int stop_fd)
{
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && self->state != OVER) {
        rc = mpx_broker_turn(self);
        if (rc == MP_OK)
            rc = wait(self, stop_fd);
    }
    if (rc == MP_EOF)
        return MP_OK;
    say_bye(self);
    return rc;
}
