/* actors.c: a process of each role: the product's own loops, turned by the world. */
#include "world.h"

#include "broker.h"
#include "clock.h"
#include "serve.h"

#include <stdlib.h>
#include <string.h>

typedef struct broker {
    mpx_broker_t *broker;
    mpx_log_t log;
    bool stopped;
} broker_t;

typedef struct worker {
    mp_worker_options_t options;
    mpx_serve_t *serve;
    bool stopped;
} worker_t;

enum {
    PEERS_MAX = 64,
    FEW_PEERS = 4,
    MESSAGE_BYTES = 1 << 20,
    MANY_BYTES = 64 << 20,
    FEW_BYTES = 96,
    FEW_KEPT_BYTES = 16 << 10,
    SESSION_MS = 20000,
    LEASE_MS = 10000,
    WORKER_WAIT_MS = 10000,
    DRAIN_MS = 3000
};

static void *broker_new(void)
{
    static const char *const listen[] = {"tcp://127.0.0.1:5555"};
    broker_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    mpx_log_init(&self->log, MP_LOG_ERROR, -1);
    bool few = world->faults & LIMITS;
    mpx_broker_options_t options = {.listen = listen,
                                    .listen_count = 1,
                                    .max_peers = few ? FEW_PEERS : PEERS_MAX,
                                    .max_message_bytes = MESSAGE_BYTES,
                                    .submit_bytes = few ? FEW_BYTES : MANY_BYTES,
                                    .result_bytes = few ? FEW_BYTES : MANY_BYTES,
                                    .worker_wait_ms = WORKER_WAIT_MS,
                                    .drain_ms = DRAIN_MS,
                                    .data = world->durable ? "disk" : NULL,
                                    .lease_ms = LEASE_MS,
                                    .session_ms = SESSION_MS,
                                    .object_bytes = MESSAGE_BYTES,
                                    .kept_bytes = few ? FEW_KEPT_BYTES : MANY_BYTES,
                                    .keep_ms = KEEP_MS,
                                    .dead_bytes = MANY_BYTES,
                                    .log = &self->log};
    mp_rc_t rc = mpx_broker_new(&options, &self->broker);
    MUST(rc == MP_OK, "the broker can't start: %s (%s)", mp_errname(rc), mp_errmsg());
    return self;
}

static bool broker_turn(broker_t *self)
{
    mp_rc_t rc = mpx_broker_turn(self->broker);
    MUST(rc == MP_OK || rc == MP_EOF, "the broker has failed: %s (%s)", mp_errname(rc),
         mp_errmsg());
    return rc == MP_OK;
}

static void *worker_new(const proc_t *proc)
{
    worker_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->options = (mp_worker_options_t){.broker = "tcp://127.0.0.1:5555",
                                          .processes = (int)proc->slots,
                                          .name = "simulated",
                                          .have = goods_text(proc->goods)};
    mp_rc_t rc = mpx_serve_new(&self->options, &self->serve);
    MUST(rc == MP_OK, "a worker can't start: %s", mp_errmsg());
    return self;
}

static bool worker_turn(worker_t *self)
{
    mp_rc_t rc = mpx_serve_turn(self->serve);
    MUST(rc == MP_OK || rc == MP_EOF, "a worker has failed: %s (%s)", mp_errname(rc), mp_errmsg());
    return rc == MP_OK;
}

void actor_start(proc_t *proc)
{
    if (proc->role == CLIENT)
        proc->self = client_new(proc);
    else if (proc->role == WORKER)
        proc->self = worker_new(proc);
    else
        proc->self = broker_new();
}

bool actor_turn(proc_t *proc)
{
    if (proc->role == CLIENT)
        return client_turn(proc->self);
    return proc->role == WORKER ? worker_turn(proc->self) : broker_turn(proc->self);
}

int64_t actor_deadline(const proc_t *proc)
{
    int64_t at = proc->hall ? hall_next(proc->hall) : MPX_NEVER;
    if (proc->role == CLIENT)
        return mpx_earlier(at, client_deadline(proc->self));
    if (proc->role == BROKER)
        return mpx_broker_deadline(((const broker_t *)proc->self)->broker, mpx_now());
    return mpx_earlier(at, mpx_serve_deadline(((const worker_t *)proc->self)->serve));
}

void actor_check(const proc_t *proc)
{
    const char *wrong = NULL;
    if (proc->hall) {
        hall_check(proc->hall);
        wrong = mpx_engine_check(mpx_workshop_engine(proc->hall));
    }
    if (proc->role == CLIENT)
        client_check(proc->self);
    else if (proc->role == BROKER)
        wrong = mpx_broker_check_state(((const broker_t *)proc->self)->broker);
    MUST(!wrong, "%s: %s", name_of(proc), wrong);
}

void actor_end(proc_t *proc)
{
    if (proc->role == CLIENT) {
        client_free(proc->self);
    } else if (proc->role == WORKER) {
        mpx_serve_destroy(&((worker_t *)proc->self)->serve);
        free(proc->self);
    } else {
        mpx_broker_destroy(&((broker_t *)proc->self)->broker);
        free(proc->self);
    }
    proc->self = NULL;
}

void actor_stop(proc_t *proc)
{
    proc->leaves = true;
    if (proc->role == WORKER && !((worker_t *)proc->self)->stopped) {
        ((worker_t *)proc->self)->stopped = true;
        mpx_serve_stop(((worker_t *)proc->self)->serve);
    } else if (proc->role == BROKER && !((broker_t *)proc->self)->stopped) {
        ((broker_t *)proc->self)->stopped = true;
        mpx_broker_stop(((broker_t *)proc->self)->broker);
    }
}

uint64_t broker_calls(const proc_t *proc)
{
    return mpx_broker_open_calls(((const broker_t *)proc->self)->broker);
}
