/* life.c: a broker is made, looked at, and ended. */
#include "broker_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

enum {
    ABSENT_MS = 2000, /* workers of a task may be about to join */
    JOBS_MAX = 4096,  /* open jobs of one client */
    LINGER_MS = 500,  /* for last words at the end */
    LINGER_US = 20    /* a client of objects that was just heard isn't slept for */
};

mp_rc_t mpx_broker_check(const mpx_broker_options_t *options)
{
    return mpx_gate_check(options->listen, options->listen_count, options->keys, options->log);
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
        .send = mpx_broker_to_client,
    };
    return mpx_ledger_new(&options, mpx_now(), &self->ledger);
}

static mp_rc_t open_archive(mpx_broker_t *self)
{
    mpx_archive_options_t options = {
        .engine = self->engine,
        .store = mpx_keeper_store(self->keeper),
        .kept_bytes = self->options.kept_bytes,
        .keep_ms = self->options.keep_ms,
        .wait_ms = self->options.kept_wait_ms,
        .return_ms = self->options.session_ms,
        .dead_bytes = self->options.dead_bytes,
        .log = self->options.log,
        .send = mpx_broker_to_client,
        .tell = mpx_broker_to_client_on_credit,
    };
    return mpx_archive_new(&options, mpx_now(), &self->archive);
}

/* What a client may do to workers. Who has code of his own run on them must have shown who he is:
 * by a key, or by a lane, which is its user's alone. */
static bool may_command(const mpx_peer_t *client, mpx_wish_t wish)
{
    if (mpx_peer_require(client, MPX_MAY_ADMIN) != MP_OK)
        return false;
    if (wish == MPX_WISH_DISMISS)
        return true;
    bool over_network = strcmp(mpx_link_carrier(client->broker->link, client->id), "tcp") == 0;
    if (over_network && !*client->key)
        return mpx_fault(MP_EPERM,
                         "modules are not taken over tcp from a client that has not shown "
                         "who it is; connect by ipc, or give the broker keys") == MP_OK;
    return mpx_peer_require(client, MPX_MAY_SUBMIT) == MP_OK;
}

static mp_rc_t open_foreman(mpx_broker_t *self)
{
    mpx_foreman_options_t options = {.peers = &self->peers,
                                     .log = self->options.log,
                                     .send = mpx_broker_answer,
                                     .may = may_command};
    return mpx_foreman_new(&options, &self->foreman);
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
    self->metrics = mpx_metrics_new();
    mpx_transport_t transport = {.self = self,
                                 .send = mpx_broker_to_worker,
                                 .stop = mpx_broker_stop_worker,
                                 .recall = mpx_broker_recall};
    mpx_link_options_t link = {.max_message_bytes = options->max_message_bytes + MPX_HEAD_MAX,
                               .max_peers = options->max_peers,
                               .linger_us = LINGER_US};
    mpx_keeper_options_t keeper = {.data = options->data,
                                   .types = options->types,
                                   .lease_ms = options->lease_ms,
                                   .max_bytes = options->object_bytes,
                                   .log = options->log,
                                   .committed = mpx_metrics_committed,
                                   .committed_arg = self->metrics};
    rc = self->metrics ? mpx_gate_new(options->keys, options->log, &self->gate)
                       : mpx_fault(MP_ENOMEM, "a broker's metrics");
    if (rc == MP_OK)
        link.curve = mpx_gate_curve(self->gate);
    link.admit = mpx_gate_admit;
    link.admit_arg = self->gate;
    if (rc == MP_OK)
        rc = mpx_engine_new(&transport, "broker", &self->engine);
    if (rc == MP_OK) {
        mpx_watcher_t watcher = mpx_metrics_watcher(self->metrics);
        mpx_engine_seed(self->engine, (uint64_t)self->started_at);
        mpx_engine_watch(self->engine, &watcher);
    }
    if (rc == MP_OK)
        rc = mpx_keeper_new(&keeper, &self->keeper);
    if (rc == MP_OK)
        rc = open_ledger(self);
    if (rc == MP_OK)
        rc = open_archive(self);
    if (rc == MP_OK)
        rc = open_foreman(self);
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
    mpx_archive_destroy(&self->archive);
    while (self->peers)
        mpx_peer_free(&self->peers, self->peers);
    mpx_ledger_destroy(&self->ledger);
    mpx_foreman_destroy(&self->foreman);
    mpx_engine_destroy(&self->engine);
    mpx_keeper_destroy(&self->keeper);
    mpx_link_destroy(&self->link, LINGER_MS);
    mpx_gate_free(&self->gate);
    mpx_metrics_free(&self->metrics);
    mpx_buf_free(&self->scratch);
    free(self);
    *self_p = NULL;
}

const char *mpx_broker_check_state(const mpx_broker_t *self)
{
    const char *wrong = mpx_engine_check(self->engine);
    return wrong ? wrong : mpx_ledger_check(self->ledger);
}

uint64_t mpx_broker_open_calls(const mpx_broker_t *self)
{
    mpx_sched_counts_t counts;
    mpx_engine_counts(self->engine, &counts);
    return counts.queued + counts.given;
}

/* ---- those who look ---------------------------------------------------------------- */

uint64_t mpx_broker_open_jobs(const mpx_broker_t *self)
{
    return mpx_ledger_open_jobs(self->ledger) + mpx_archive_open_jobs(self->archive);
}

int64_t mpx_broker_drain_left_ms(const mpx_broker_t *self, int64_t now)
{
    return now < self->drain_until ? (self->drain_until - now) / MPX_MS + 1 : 0;
}

mpx_scene_t mpx_broker_scene(const mpx_broker_t *self, int64_t now)
{
    bool draining = self->state != SERVING;
    return (mpx_scene_t){
        .now = now,
        .started_at = self->started_at,
        .software = MPX_BROKER_SOFTWARE,
        .draining = draining,
        .drain_jobs = draining ? mpx_broker_open_jobs(self) : 0,
        .drain_left_ms = draining ? mpx_broker_drain_left_ms(self, now) : 0,
        .durable = self->options.data != NULL,
        .clients = self->clients,
        .workers = self->workers,
        .executors = self->executors,
        .turnover = self->turnover,
        .engine = self->engine,
        .ledger = self->ledger,
        .keeper = self->keeper,
        .archive = self->archive,
        .peers = self->peers,
        .metrics = self->metrics,
    };
}
