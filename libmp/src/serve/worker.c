/* worker.c: a broker's calls on executors of this host.
 *
 *     broker <- session -> relay -> workshop -> executors
 *
 * The workshop is made before the session: its nursery must know nothing of ZeroMQ. Each
 * connection to the broker has a relay of its own; when it is lost, so are its jobs, and
 * executors that still run one of their calls are replaced: nobody waits for the results.
 *
 *     STARTING -> SERVING --stop--> DRAINING --nothing runs--> OVER
 *                                       | drain_ms
 *                                       +--> STOPPING --all have ended--> OVER
 */
#include <mp/pool.h>

#include "serve.h"

#include "clock.h"
#include "fault.h"
#include "link.h"
#include "modules.h"
#include "relay.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum state {
    STARTING, /* executors come up */
    SERVING,
    DRAINING, /* finish what runs, give back the rest */
    STOPPING, /* what still runs is made to end */
    OVER
} state_t;

struct mpx_serve {
    const mp_worker_options_t *options;
    state_t state;
    uint32_t processes;
    mpx_workshop_t *workshop;
    mpx_engine_t *engine; /* the workshop's */
    mpx_session_t *session;
    mpx_relay_t *relay;     /* NULL: not connected */
    mp_worker_state_t told; /* by the last tick */
    int64_t tick_at;
    mpx_modules_t *modules; /* NULL: none are taken */
    bool gave_back;         /* on this connection */
    mpx_turnover_t before;  /* of executors, when it was made */
    mpx_turnover_t said;    /* to the broker: since then */
    int64_t glance_at;      /* executors are looked at, see glance; MPX_NEVER: they needn't be */
    int64_t glance_ns;
    bool troubled; /* that there is no connection was said */
    int64_t until; /* DRAINING, STOPPING */
    char name[300];
};
typedef struct mpx_serve worker_t;

enum { GLANCE_MS = 4, GLANCE_MAX_MS = 512 };
enum { STOP_READ_BYTES = 128, STOPPING_MS = 5000, MODULE_BYTES = 64 << 20 };

static void say(const worker_t *self, mp_log_level_t level, const char *format, ...)
    MP_PRINTF(3, 4);

static void say(const worker_t *self, mp_log_level_t level, const char *format, ...)
{
    if (!self->options->log)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    self->options->log(self->options->log_arg, level, line);
}

static uint64_t module_bytes(const mp_worker_options_t *options)
{
    return options->module_bytes ? options->module_bytes : MODULE_BYTES;
}

/* ---- towards the executors -------------------------------------------------------- */

/* All executors offer the same; the first one up speaks for them. arena: to be freed. */
static mp_rc_t make_hello(const worker_t *self, mp_bytes_t hello_of_executor, mpx_hello_t *out,
                          void **arena)
{
    mp_rc_t rc = mpx_hello_unpack(hello_of_executor, out, arena);
    if (rc != MP_OK)
        return rc;
    out->role = MPX_ROLE_WORKER;
    out->name = self->name;
    out->slots = self->processes;
    out->have = self->options->have;
    out->returns = true;
    out->module_bytes = self->modules ? module_bytes(self->options) : 0;
    return MP_OK;
}

static mp_rc_t open_session(worker_t *self, mp_bytes_t hello_of_executor)
{
    mpx_hello_t hello;
    void *arena = NULL;
    mp_rc_t rc = make_hello(self, hello_of_executor, &hello, &arena);
    if (rc != MP_OK)
        return rc;
    int give_up_ms = self->options->give_up_ms;
    mpx_session_options_t options = {.endpoint = self->options->broker,
                                     .key_file = self->options->key_file,
                                     .hello = &hello,
                                     .give_up_ms = give_up_ms > 0 ? give_up_ms : -1};
    if (hello.tasks_count == 0 && !self->modules)
        rc = mpx_fault(MP_ENOTASK, "there is no task to offer: load a module, or allow mp.exec");
    else
        rc = mpx_session_new(&options, mpx_now(), &self->session);
    free(arena);
    return rc;
}

static mp_rc_t on_ready(void *arg, mp_bytes_t hello)
{
    worker_t *self = arg;
    mp_rc_t rc = open_session(self, hello);
    if (rc != MP_OK)
        return rc;
    self->state = SERVING;
    say(self, MP_LOG_INFO, "%u executors are up", self->processes);
    return MP_OK;
}

/* ---- how executors come and go ---------------------------------------------------- */

/* From now on is counted, for a broker to which there are as many as there should be. */
static void begin_turnover(worker_t *self)
{
    mpx_workshop_counts_t counts;
    mpx_workshop_counts(self->workshop, &counts);
    self->before = counts.turnover;
    self->before.started += self->processes;
    self->before.started -= counts.up;
    self->said = (mpx_turnover_t){0};
}

/* Those that come up now may have been missing then. */
static mpx_turnover_t turnover_since(const mpx_turnover_t *now, const mpx_turnover_t *before)
{
    mpx_turnover_t since;
#define TAKE(field) since.field = now->field > before->field ? now->field - before->field : 0;
    MPX_TURNOVER_FIELDS(TAKE)
#undef TAKE
    return since;
}

/* Before what is said of a call for which one has ended. */
static void tell_turnover(worker_t *self)
{
    if (!self->relay)
        return;
    mpx_workshop_counts_t counts;
    mpx_workshop_counts(self->workshop, &counts);
    mpx_status_t status = {.turnover = turnover_since(&counts.turnover, &self->before)};
    if (memcmp(&status.turnover, &self->said, sizeof self->said) == 0)
        return;
    mpx_buf_t body = {0};
    mpx_header_t header = {.op = MPX_OP_PONG};
    if (mpx_status_pack(&status, &body) == MP_OK &&
        mpx_session_send(self->session, &header, mpx_buf_bytes(&body)) == MP_OK)
        self->said = status.turnover;
    mpx_buf_free(&body);
}

static void on_down(void *arg, const mpx_crew_event_t *event)
{
    worker_t *self = arg;
    tell_turnover(self);
    if (event->retired)
        say(self, MP_LOG_DEBUG, "executor %d retired", event->pid);
    else if (event->want == MPX_WANT_LIMIT)
        say(self, MP_LOG_WARNING, "executor %d was killed: it had taken %llu MiB of memory",
            event->pid, (unsigned long long)event->taken_bytes >> 20);
    else if (event->want == MPX_WANT_KERNEL)
        say(self, MP_LOG_WARNING, "executor %d was killed by the kernel, for want of memory",
            event->pid);
    else if (event->signal)
        say(self, MP_LOG_WARNING, "executor %d was killed by signal %d", event->pid, event->signal);
    else
        say(self, MP_LOG_WARNING, "executor %d exited with status %d", event->pid,
            event->exit_status);
}

static mp_rc_t on_failed(void *arg, int64_t now, mp_rc_t rc, const char *problem)
{
    (void)arg;
    (void)now;
    return mpx_fault(rc, "%s", problem);
}

/* ---- towards the broker ----------------------------------------------------------- */

static mp_rc_t to_broker(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    return mpx_session_send(((worker_t *)arg)->session, header, payload);
}

/* What calls need the broker has looked at, and it is looked at here once more: a call that was
 * cancelled is answered at once, so for the broker its capacities are free, and what still runs of
 * it until it is stopped has them here. Another connection's calls have them, too. */
static mp_rc_t on_connected(worker_t *self)
{
    mpx_relay_options_t options = {
        .send_self = self,
        .send = to_broker,
        .meet_here = true,
        .tell_started = true,
        .limit_here = true,
    };
    mp_rc_t rc = mpx_relay_new(self->engine, &options, &self->relay);
    if (rc != MP_OK)
        return rc;
    self->troubled = false;
    say(self, MP_LOG_INFO, "connected to %s", self->options->broker);
    self->gave_back = false;
    begin_turnover(self);
    return MP_OK;
}

static void on_lost(worker_t *self, int64_t now)
{
    self->troubled = true;
    say(self, MP_LOG_WARNING, "lost the broker: %s", mpx_session_problem(self->session));
    if (self->modules)
        mpx_modules_lost(self->modules);
    mpx_relay_destroy(&self->relay, now);
}

/* Once, not for each attempt; not the one that has ended it. */
static void tell_trouble(worker_t *self)
{
    if (self->troubled || self->relay || !self->session || !*mpx_session_problem(self->session))
        return;
    self->troubled = true;
    say(self, MP_LOG_WARNING, "no broker yet, and it goes on trying: %s",
        mpx_session_problem(self->session));
}

/* A message for each executor, and one that ends them. */
static mp_rc_t on_survey(const worker_t *self, int64_t now, uint64_t nonce)
{
    mpx_header_t header = {.op = MPX_OP_CENSUS, .nonce = nonce};
    mpx_buf_t body = {0};
    mp_rc_t rc = MP_OK;
    const mpx_bench_t *bench = mpx_workshop_benches(self->workshop);
    for (; bench && rc == MP_OK; bench = bench->next) {
        mpx_executor_stat_t stat;
        mpx_workshop_describe(self->workshop, bench, now, &stat);
        mpx_buf_clear(&body);
        rc = mpx_executor_stat_pack(&stat, &body);
        if (rc == MP_OK)
            rc = mpx_session_send(self->session, &header, mpx_buf_bytes(&body));
    }
    mpx_buf_free(&body);
    if (rc == MP_OK)
        rc = mpx_session_send(self->session, &header, (mp_bytes_t){0});
    return rc == MP_ENOMEM ? rc : MP_OK; /* a connection that is lost will be reported as that */
}

/* What has not begun is given back with the next turn. */
static void begin_to_drain(worker_t *self)
{
    if (self->state != SERVING)
        return;
    self->state = DRAINING;
    self->until = mpx_deadline(mpx_now(), self->options->drain_ms ? self->options->drain_ms : -1);
    say(self, MP_LOG_INFO, "draining");
}

static mp_rc_t on_module(worker_t *self, int64_t now, const mpx_session_event_t *event)
{
    if (!self->modules)
        return mpx_fault(MP_EPROTO, "a module that was not asked for");
    return mpx_modules_message(self->modules, now, &event->header, event->payload);
}

static mp_rc_t on_broker_message(worker_t *self, int64_t now, const mpx_session_event_t *event)
{
    switch (event->header.op) {
    case MPX_OP_PONG:
    case MPX_OP_DRAIN: /* it is about to end: we'll be told by the connection */
        return MP_OK;
    case MPX_OP_SURVEY:
        return on_survey(self, now, event->header.nonce);
    case MPX_OP_DISMISS:
        begin_to_drain(self);
        return MP_OK;
    case MPX_OP_SHIP:
    case MPX_OP_PIECE:
    case MPX_OP_SHIPPED:
        return on_module(self, now, event);
    case MPX_OP_SUBMIT:
        self->glance_ns = 0;
        return mpx_relay_message(self->relay, now, &event->header, event->payload);
    default:
        return mpx_relay_message(self->relay, now, &event->header, event->payload);
    }
}

static mp_rc_t on_session_event(worker_t *self, int64_t now, const mpx_session_event_t *event)
{
    switch (event->kind) {
    case MPX_SESSION_UP:
        return on_connected(self);
    case MPX_SESSION_MESSAGE:
        return on_broker_message(self, now, event);
    case MPX_SESSION_LOST:
        on_lost(self, now);
        return MP_OK;
    case MPX_SESSION_AWAY: /* a worker's session isn't kept */
    case MPX_SESSION_BACK:
    case MPX_SESSION_FAILED:
        break;
    }
    return mpx_fault(event->rc, "%s", mpx_session_problem(self->session));
}

static mp_rc_t take_session_events(worker_t *self, int64_t now)
{
    if (!self->session)
        return MP_OK;
    mpx_session_event_t event;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (rc = mpx_session_next(self->session, now, &event)) == MP_OK)
        rc = on_session_event(self, now, &event);
    return rc == MP_EBUSY ? MP_OK : rc;
}

/* ---- modules ---------------------------------------------------------------------- */

static mp_rc_t load_module(void *arg, const char *path)
{
    return mpx_workshop_load(((worker_t *)arg)->workshop, path);
}

static void stop_loading(void *arg)
{
    mpx_workshop_stop_loading(((worker_t *)arg)->workshop);
}

/* What is offered from now on, also to the next broker. */
static mp_rc_t offer(worker_t *self, mp_bytes_t hello_of_executor)
{
    mpx_hello_t hello;
    void *arena = NULL;
    mpx_buf_t body = {0};
    mpx_header_t header = {.op = MPX_OP_OFFER};
    mp_rc_t rc = make_hello(self, hello_of_executor, &hello, &arena);
    if (rc != MP_OK)
        return rc;
    rc = mpx_session_set_hello(self->session, &hello);
    if (rc == MP_OK)
        rc = mpx_hello_pack(&hello, &body);
    if (rc == MP_OK && self->relay)
        (void)to_broker(self, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
    free(arena);
    return rc;
}

static mp_rc_t on_loaded(void *arg, mp_rc_t rc, mp_bytes_t hello, const char *problem)
{
    worker_t *self = arg;
    mp_rc_t offered = rc == MP_OK ? offer(self, hello) : MP_OK;
    if (rc == MP_OK)
        say(self, MP_LOG_INFO, "took a module; executors that don't have it are replaced");
    else
        say(self, MP_LOG_WARNING, "refused a module: %s", problem);
    mpx_modules_loaded(self->modules, mpx_now(), rc, problem);
    return offered;
}

static mp_rc_t take_modules(worker_t *self)
{
    const mp_worker_options_t *options = self->options;
    mpx_modules_options_t modules = {.dir = options->accept_modules,
                                     .max_bytes = module_bytes(options),
                                     .self = self,
                                     .send = to_broker,
                                     .load = load_module,
                                     .stop_loading = stop_loading};
    return options->accept_modules ? mpx_modules_new(&modules, &self->modules) : MP_OK;
}

/* ---- stopping --------------------------------------------------------------------- */

void mpx_serve_stop(worker_t *self)
{
    if (self->state == SERVING)
        begin_to_drain(self);
    else
        self->state = OVER;
}

static void on_stop(worker_t *self)
{
    char bytes[STOP_READ_BYTES];
    (void)!read(self->options->stop_fd, bytes, sizeof bytes);
    mpx_serve_stop(self);
}

/* Time is up for what still runs. */
static mp_rc_t stop_all(worker_t *self, int64_t now)
{
    char words[128];
    self->state = STOPPING;
    self->until = now + STOPPING_MS * MPX_MS;
    say(self, MP_LOG_WARNING, "what still runs is stopped, after %d ms", self->options->drain_ms);
    snprintf(words, sizeof words, "its worker was told to end, and waited %d ms for it",
             self->options->drain_ms);
    return self->relay ? mpx_relay_fail(self->relay, now, MP_EDRAINING, words) : MP_OK;
}

/* What has not begun is somebody else's from now on; once for each connection. */
static mp_rc_t give_back(worker_t *self)
{
    if (!self->relay || self->gave_back)
        return MP_OK;
    mpx_header_t header = {.op = MPX_OP_DRAIN};
    self->gave_back = true;
    (void)to_broker(self, &header, (mp_bytes_t){0});
    mpx_workshop_give_back(self->workshop);
    return mpx_relay_give_back(self->relay, mpx_now());
}

static mp_rc_t look_at_drain(worker_t *self, int64_t now)
{
    mp_rc_t rc = self->state == DRAINING ? give_back(self) : MP_OK;
    bool late = now >= self->until;
    bool drained =
        self->state == DRAINING && (!self->relay || mpx_relay_open_calls(self->relay) == 0);
    bool stopped = self->state == STOPPING && (late || !mpx_workshop_is_busy(self->workshop));
    if (rc != MP_OK)
        return rc;
    if (drained || stopped)
        self->state = OVER;
    else if (self->state == DRAINING && late)
        return stop_all(self, now);
    return rc;
}

/* ---- glances ---------------------------------------------------------------------- */

/* An executor doesn't wake us to say that it has begun a call: that would cost each call more than
 * many of them take. But if this host is lost, the broker must know what had begun on it, or it has
 * the call run once more as if it had not. So while there are calls we wake up by ourselves, less
 * and less often: a call that has run for some time is known to run, and few are ever waited for.
 */
static void glance(worker_t *self, int64_t now)
{
    if (!self->relay || mpx_relay_open_calls(self->relay) == 0) {
        self->glance_at = MPX_NEVER;
        self->glance_ns = 0;
    } else if (self->glance_ns == 0) {
        self->glance_ns = GLANCE_MS * MPX_MS;
        self->glance_at = now + self->glance_ns;
    } else if (now >= self->glance_at) {
        if (self->glance_ns < GLANCE_MAX_MS * MPX_MS)
            self->glance_ns *= 2;
        self->glance_at = now + self->glance_ns;
    }
}

/* ---- ticks ------------------------------------------------------------------------ */

static mp_worker_state_t state_of(const worker_t *self)
{
    if (self->state == STARTING)
        return MP_WORKER_STARTING;
    if (self->state != SERVING)
        return MP_WORKER_DRAINING;
    return self->relay ? MP_WORKER_SERVING : MP_WORKER_CONNECTING;
}

static void describe(const worker_t *self, mp_worker_status_t *out)
{
    mpx_workshop_counts_t counts;
    mpx_tally_t tally;
    const char *task;
    mpx_workshop_counts(self->workshop, &counts);
    *out = (mp_worker_status_t){
        .state = state_of(self),
        .processes = (int)self->processes,
        .up = (int)counts.up,
        .given = self->relay ? mpx_relay_open_calls(self->relay) : 0,
        .started = counts.turnover.started,
        .retired = counts.turnover.retired,
        .stopped = counts.turnover.stopped,
        .crashed = counts.turnover.crashed,
        .memory = counts.turnover.memory,
    };
    for (size_t i = 0; mpx_engine_task_tally(self->engine, i, &task, &tally); i++) {
        out->calls_ok += tally.ok;
        out->calls_failed += tally.failed;
        out->calls_crashed += tally.crashed;
        out->calls_timed_out += tally.timed_out;
        out->calls_cancelled += tally.cancelled;
        out->calls_other += tally.other;
        out->busy += (double)tally.busy_ns / (double)MPX_S;
    }
}

static void tick(worker_t *self, int64_t now)
{
    const mp_worker_options_t *options = self->options;
    if (!options->tick || (now < self->tick_at && state_of(self) == self->told))
        return;
    mp_worker_status_t status;
    describe(self, &status);
    self->told = status.state;
    self->tick_at = options->tick_ms > 0 ? now + options->tick_ms * MPX_MS : MPX_NEVER;
    options->tick(options->tick_arg, &status);
}

/* ---- the loop --------------------------------------------------------------------- */

mp_rc_t mpx_serve_turn(worker_t *self)
{
    int64_t now = mpx_now();
    if (self->state == OVER)
        return MP_EOF;
    mp_rc_t rc = take_session_events(self, now);
    if (rc == MP_OK)
        rc = mpx_workshop_turn(self->workshop, now);
    if (rc == MP_OK && self->relay)
        rc = mpx_relay_flush(self->relay, now);
    tell_turnover(self);
    glance(self, now);
    mpx_workshop_wake(self->workshop);
    if (self->modules)
        mpx_modules_tick(self->modules, now);
    if (rc == MP_OK)
        tell_trouble(self);
    if (rc == MP_OK)
        rc = look_at_drain(self, now);
    if (rc == MP_OK)
        tick(self, now);
    return rc == MP_OK && self->state == OVER ? MP_EOF : rc;
}

int64_t mpx_serve_deadline(const worker_t *self)
{
    int64_t until = mpx_earlier(mpx_engine_deadline(self->engine), self->glance_at);
    if (self->session)
        until = mpx_earlier(until, mpx_session_deadline(self->session));
    if (self->modules)
        until = mpx_earlier(until, mpx_modules_deadline(self->modules));
    if (self->state == DRAINING || self->state == STOPPING)
        until = mpx_earlier(until, self->until);
    return self->options->tick ? mpx_earlier(until, self->tick_at) : until;
}

const mpx_workshop_t *mpx_serve_workshop(const worker_t *self)
{
    return self->workshop;
}

static mp_rc_t wait(worker_t *self)
{
    bool busy =
        !mpx_workshop_sleep(self->workshop) || (self->session && mpx_session_ready(self->session));
    struct pollfd fds[3] = {
        {.fd = mpx_workshop_fd(self->workshop), .events = POLLIN},
        {.fd = self->session ? mpx_session_fd(self->session) : -1, .events = POLLIN},
        {.fd = self->options->stop_fd > 0 ? self->options->stop_fd : -1, .events = POLLIN},
    };
    if (poll(fds, 3, busy ? 0 : mpx_poll_ms(mpx_now(), mpx_serve_deadline(self))) < 0 &&
        errno != EINTR)
        return mpx_fault_errno("a worker's loop");
    if (fds[2].revents)
        on_stop(self);
    return MP_OK;
}

static mp_rc_t start(worker_t *self)
{
    const mp_worker_options_t *options = self->options;
    self->processes =
        options->processes > 0 ? (uint32_t)options->processes : (uint32_t)mp_cpu_count();
    mpx_workshop_options_t workshop = {
        .crew = {.size = self->processes,
                 .load = options->load,
                 .initializer = options->initializer,
                 .initializer_arg = options->initializer_arg,
                 .max_calls = (uint64_t)options->max_calls_per_worker,
                 .max_memory_bytes = options->worker_memory_bytes,
                 .memory_limit_bytes = options->worker_memory_limit_bytes,
                 .memory_cap_bytes = options->worker_memory_cap_bytes,
                 .offer_exec = options->allow_exec,
                 .nested = true},
        .self = self,
        .ready = on_ready,
        .down = on_down,
        .loaded = on_loaded,
        .failed = on_failed,
    };
    mp_rc_t rc = mpx_traits_parse(options->have, &workshop.have);
    if (rc == MP_OK)
        rc = mpx_workshop_new(&workshop, &self->workshop);
    if (rc != MP_OK)
        return rc;
    self->engine = mpx_workshop_engine(self->workshop);
    rc = take_modules(self);
    if (rc != MP_OK)
        return rc;
    if (options->name)
        snprintf(self->name, sizeof self->name, "%s", options->name);
    else
        snprintf(self->name, sizeof self->name, "%s:%d", mpx_workshop_host(self->workshop),
                 (int)getpid());
    return MP_OK;
}

/* Whether the broker, and so all of its clients, may have code run here that they bring. */
static bool may_take_modules(const mp_worker_options_t *options)
{
    return options->key_file || strncmp(options->broker, "ipc://", 6) == 0;
}

static mp_rc_t check(const mp_worker_options_t *options)
{
    if (!options->broker)
        return mpx_fault(MP_EINVAL, "a worker needs a broker's endpoint");
    if (options->processes < 0)
        return mpx_fault(MP_EINVAL, "a worker can't have %d processes", options->processes);
    if (options->tick_ms < 0)
        return mpx_fault(MP_EINVAL, "tick_ms must not be negative");
    if (options->max_calls_per_worker < 0)
        return mpx_fault(MP_EINVAL, "max_calls_per_worker must not be negative");
    if (options->drain_ms < 0 || options->give_up_ms < 0)
        return mpx_fault(MP_EINVAL, "drain_ms and give_up_ms must not be negative");
    if (options->accept_modules && !may_take_modules(options))
        return mpx_fault(MP_EINVAL,
                         "modules are taken only from a broker that this worker knows to "
                         "be its user's: connect by ipc, or with a key file");
    return mpx_endpoint_check(options->broker, false);
}

mp_rc_t mpx_serve_new(const mp_worker_options_t *options, mpx_serve_t **out)
{
    mp_rc_t rc = check(options);
    if (rc != MP_OK)
        return rc;
    worker_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a worker");
    self->options = options;
    self->glance_at = MPX_NEVER;
    rc = start(self);
    if (rc == MP_OK)
        *out = self;
    else
        mpx_serve_destroy(&self);
    return rc;
}

void mpx_serve_destroy(mpx_serve_t **self_p)
{
    worker_t *self = *self_p;
    if (!self)
        return;
    mpx_relay_destroy(&self->relay, mpx_now());
    mpx_session_destroy(&self->session);
    mpx_modules_destroy(&self->modules);
    mpx_workshop_destroy(&self->workshop);
    free(self);
    *self_p = NULL;
}

mp_rc_t mp_worker_run(const mp_worker_options_t *options)
{
    if (!options)
        return mpx_fault(MP_EINVAL, "a worker needs options");
    worker_t nobody = {.options = options};
    worker_t *self = NULL;
    mp_rc_t rc = mpx_serve_new(options, &self);
    while (rc == MP_OK) {
        rc = mpx_serve_turn(self);
        if (rc == MP_OK)
            rc = wait(self);
    }
    if (rc == MP_EOF)
        rc = MP_OK;
    if (rc != MP_OK)
        say(&nobody, MP_LOG_ERROR, "%s", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    mpx_serve_destroy(&self);
    return rc;
}
