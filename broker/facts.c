#include "facts.h"

#include "clock.h"
#include "explain.h"
#include "node.h"
#include "offers.h"

#include <stdlib.h>
#include <string.h>

enum {
    TELL_BYTES = 16 * 1024, /* gathered before they are told */
    LIST_BYTES = 32 * 1024, /* of one list of names */
    JOBS_MAX = 10000        /* that are listed; all are counted */
};

/* ---- gathering -------------------------------------------------------------------------- */

static mp_rc_t add_text(mpx_buf_t *out, const char *text)
{
    return mpx_node_add_str(out, text ? text : "", text ? strlen(text) : 0);
}

static mp_rc_t add_value(mpx_buf_t *out, const mpx_pair_t *pair)
{
    switch (pair->type) {
    case MPX_PAIR_INT:
        return mpx_node_add_int(out, pair->integer);
    case MPX_PAIR_REAL:
        return mpx_node_add_float(out, pair->real);
    case MPX_PAIR_BOOL:
        return mpx_node_add_bool(out, pair->integer != 0);
    case MPX_PAIR_TEXT:
        return add_text(out, pair->text);
    case MPX_PAIR_NULL:
        break;
    }
    return mpx_node_add_null(out);
}

static mp_rc_t add_list(mpx_buf_t *out, const char *list, const char *const *names)
{
    size_t count = 0, bytes = 0;
    for (; names[count] && bytes < LIST_BYTES; count++)
        bytes += strlen(names[count]) + 1;
    mp_rc_t rc = add_text(out, list);
    if (rc == MP_OK)
        rc = mpx_node_add_list(out, count);
    for (size_t i = 0; i < count && rc == MP_OK; i++)
        rc = add_text(out, names[i]);
    return rc;
}

static void flush(mpx_facts_t *self)
{
    if (self->rc == MP_OK && self->out.size && !self->tell(self->arg, mpx_buf_bytes(&self->out)))
        self->rc = MP_ELIMIT;
    mpx_buf_clear(&self->out);
}

void mpx_facts_add(mpx_facts_t *self, const mpx_pair_t *pairs, size_t count, const char *list,
                   const char *const *names)
{
    if (self->rc != MP_OK)
        return;
    mp_rc_t rc = mpx_node_add_dict(&self->out, count + (names != NULL));
    for (size_t i = 0; i < count && rc == MP_OK; i++) {
        rc = add_text(&self->out, pairs[i].key);
        if (rc == MP_OK)
            rc = add_value(&self->out, &pairs[i]);
    }
    if (rc == MP_OK && names)
        rc = add_list(&self->out, list, names);
    self->rc = rc;
    if (self->out.size > TELL_BYTES)
        flush(self);
}

mp_rc_t mpx_facts_end(mpx_facts_t *self)
{
    flush(self);
    mpx_buf_free(&self->out);
    return self->rc;
}

/* ---- the facts --------------------------------------------------------------------------- */

#define ADD(facts, pairs) mpx_facts_add(facts, pairs, sizeof(pairs) / sizeof *(pairs), NULL, NULL)

#define TURNOVER(turnover)                                                                         \
    MPX_INT("executors_started", (turnover).started),                                              \
        MPX_INT("executors_retired", (turnover).retired),                                          \
        MPX_INT("executors_stopped", (turnover).stopped),                                          \
        MPX_INT("executors_crashed", (turnover).crashed),                                          \
        MPX_INT("executors_memory", (turnover).memory)

static void tell_broker(mpx_facts_t *self, const mpx_scene_t *scene, const mpx_totals_t *totals)
{
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "broker"),
        MPX_TEXT_OF("version", scene->software),
        MPX_TEXT_OF("state", scene->draining ? "draining" : "serving"),
        MPX_INT("drain_jobs", scene->drain_jobs),
        MPX_INT("drain_ms", scene->drain_left_ms),
        MPX_INT("uptime_ms", (scene->now - scene->started_at) / MPX_MS),
        MPX_BOOL("data", scene->durable),
        MPX_INT("workers", scene->workers),
        MPX_INT("executors", scene->executors),
        MPX_INT("clients", scene->clients),
        MPX_INT("sessions", totals->sessions),
        MPX_INT("sessions_away", totals->sessions_away),
        MPX_INT("jobs", totals->jobs),
        MPX_INT("queued", totals->queued),
        MPX_INT("delayed", totals->delayed),
        MPX_INT("given", totals->given),
        MPX_INT("oldest_ms", totals->oldest_ns / MPX_MS),
        MPX_INT("calls_bytes", totals->submitted_bytes),
        MPX_INT("results_bytes", totals->unacked_bytes),
        MPX_INT("objects", totals->objects.objects),
        MPX_INT("object_bytes", totals->objects.bytes),
        MPX_INT("object_clients", totals->objects.tenants),
        MPX_INT("locks_held", totals->objects.locks_held),
        MPX_INT("lock_waits", totals->objects.lock_waits),
        MPX_INT("kept_jobs", totals->kept.jobs),
        MPX_INT("kept_bytes", totals->kept.bytes),
        MPX_INT("kept_oldest_ms", totals->kept.oldest_ms),
        MPX_BOOL("kept_held", totals->kept.held),
        MPX_INT("dead_letters", totals->kept.letters),
        MPX_INT("dead_bytes", totals->kept.letters_bytes),
        MPX_INT("dead_oldest_ms", totals->kept.letters_oldest_ms),
        MPX_INT("memory_bytes", totals->memory_bytes),
        TURNOVER(scene->turnover),
        MPX_INT("executors_lost", scene->turnover.lost),
    };
    ADD(self, pairs);
}

static void tell_worker(mpx_facts_t *self, const mpx_scene_t *scene, const mpx_peer_t *peer)
{
    mpx_engine_view_t engine = mpx_engine_view(scene->engine, 0);
    mpx_worker_view_t view;
    mpx_tally_t tally;
    uint32_t given = 0;
    if (!mpx_engine_worker_tally(scene->engine, peer->id, &given, &tally) ||
        !mpx_sched_view_worker(engine.sched, peer->id, &view))
        return;
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "worker"),
        MPX_INT("id", peer->id),
        MPX_TEXT_OF("name", peer->name),
        MPX_TEXT_OF("host", peer->host),
        MPX_INT("pid", peer->pid),
        MPX_TEXT_OF("state", mpx_worker_state_name(mpx_scene_worker_state(scene, peer->id))),
        MPX_INT("slots", view.slots),
        MPX_INT("busy", view.chunks < view.slots ? view.chunks : view.slots),
        MPX_INT("given", given),
        MPX_INT("ok", tally.ok),
        MPX_INT("failed", tally.failed),
        MPX_INT("crashed", tally.crashed),
        MPX_INT("timed_out", tally.timed_out),
        MPX_INT("bytes", view.bytes),
        MPX_INT("credit_bytes", view.credit_bytes),
        TURNOVER(peer->turnover),
    };
    const char **names = mpx_offers_of(engine.offers, peer->id);
    mpx_facts_add(self, pairs, sizeof pairs / sizeof *pairs, "tasks", names);
    free(names);
}

static void tell_task(mpx_facts_t *self, const mpx_task_metrics_t *task)
{
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "task"),
        MPX_TEXT_OF("name", task->name),
        MPX_INT("queued", task->queued),
        MPX_INT("delayed", task->delayed),
        MPX_INT("given", task->given),
        MPX_INT("ok", task->ended[MPX_FATE_OK]),
        MPX_INT("failed", task->ended[MPX_FATE_FAILED]),
        MPX_INT("crashed", task->ended[MPX_FATE_CRASHED]),
        MPX_INT("timed_out", task->ended[MPX_FATE_TIMED_OUT]),
        MPX_INT("cancelled", task->ended[MPX_FATE_CANCELLED]),
        MPX_INT("lost", task->ended[MPX_FATE_LOST]),
        MPX_INT("other", task->ended[MPX_FATE_OTHER]),
        MPX_INT("retried", task->retried),
        MPX_REAL("mean_s", mpx_task_metrics_mean_s(task)),
    };
    ADD(self, pairs);
}

static void tell_client(mpx_facts_t *self, const mpx_account_t *account)
{
    mpx_relay_load_t load = mpx_relay_load(account->relay);
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "client"),
        MPX_INT("id", account->serial),
        MPX_TEXT_OF("name", account->name),
        MPX_TEXT_OF("state", account->peer ? "connected" : "away"),
        MPX_BOOL("kept", account->number != 0),
        MPX_INT("jobs", mpx_relay_open_jobs(account->relay)),
        MPX_INT("open", mpx_relay_open_calls(account->relay)),
        MPX_INT("calls_bytes", load.submitted_bytes),
        MPX_INT("results_bytes", load.unacked_bytes),
        MPX_BOOL("held", load.held),
    };
    ADD(self, pairs);
}

typedef struct telling {
    mpx_facts_t *facts;
    const mpx_scene_t *scene;
    size_t jobs;
} telling_t;

static void tell_job(void *arg, const mpx_scene_job_t *job)
{
    telling_t *self = arg;
    mpx_engine_view_t engine = mpx_engine_view(self->scene->engine, job->engine);
    mpx_job_view_t view;
    if (!mpx_scene_job_is_open(job) || !mpx_scene_shows_job(self->scene, job) ||
        self->jobs++ >= JOBS_MAX || !mpx_sched_view_job(engine.sched, job->engine, &view))
        return;
    int64_t waits = view.oldest < self->scene->now ? self->scene->now - view.oldest : 0;
    const mpx_pair_t pairs[] = {
        MPX_TEXT_OF("fact", "job"),
        MPX_OWNER(job),
        MPX_JOB("id", job),
        MPX_BOOL("kept", !job->account),
        MPX_TEXT_OF("task", engine.open->task),
        MPX_TEXT_OF("label", engine.open->label),
        MPX_INT("priority", view.priority),
        MPX_INT("queued", view.queued),
        MPX_INT("delayed", view.delayed + job->later.count),
        MPX_INT("given", view.given),
        MPX_INT("oldest_ms", waits / MPX_MS),
        MPX_BOOL("held", view.held),
    };
    ADD(self->facts, pairs);
}

void mpx_facts_tell_all(mpx_facts_t *self, const mpx_scene_t *scene)
{
    mpx_totals_t totals;
    const mpx_task_metrics_t *task;
    const mpx_account_t *account = mpx_ledger_accounts(scene->ledger);
    telling_t telling = {self, scene, 0};
    mpx_scene_total(scene, &totals);
    tell_broker(self, scene, &totals);
    for (const mpx_peer_t *peer = scene->peers; peer; peer = peer->hh.next)
        if (peer->state == MPX_PEER_WORKER)
            tell_worker(self, scene, peer);
    for (size_t i = 0; (task = mpx_metrics_task_at(scene->metrics, i)); i++)
        tell_task(self, task);
    for (; account; account = account->next)
        if (account->relay && mpx_scene_shows(scene, account))
            tell_client(self, account);
    mpx_scene_each_job(scene, tell_job, &telling);
}
