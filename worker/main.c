/* mp-worker: options, signals, exit status. The work is in mp_worker_run. */
#include "clock.h"
#include "exits.h"
#include "exposition.h"
#include "http.h"
#include "log.h"
#include "notify.h"
#include "settings.h"
#include "signals.h"

#include <mp/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const mpx_setting_t settings[] = {
    {"broker", "MP_BROKER", MPX_TEXT, "tcp://127.0.0.1:5555", 0, 0, "URL",
     "the broker to work for"},
    {"procs", "MP_PROCS", MPX_NUMBER, "0", 0, 100000, "N",
     "executor processes; 0: one for each processor"},
    {"load", "MP_LOAD", MPX_LIST, NULL, 0, 0, "LIB.so",
     "offer this shared object's tasks; repeatable"},
    {"max-calls", "MP_MAX_CALLS", MPX_NUMBER, "0", 0, 1000000000, "N",
     "replace an executor after so many calls; 0: never"},
    {"max-memory", "MP_MAX_MEMORY", MPX_NUMBER, "0", 0, 1 << 24, "MIB",
     "replace an executor that has taken more than this; 0: never"},
    {"memory-limit", "MP_MEMORY_LIMIT", MPX_NUMBER, "0", 0, 1 << 24, "MIB",
     "kill an executor that has taken more than this; 0: never"},
    {"memory-cap", "MP_MEMORY_CAP", MPX_NUMBER, "0", 0, 1 << 24, "MIB",
     "what an executor can have at most; 0: no limit"},
    {"allow-exec", "MP_ALLOW_EXEC", MPX_SWITCH, NULL, 0, 0, NULL,
     "let any client run any command here (mp.exec)"},
    {"name", "MP_WORKER_NAME", MPX_TEXT, NULL, 0, 0, "NAME",
     "how errors call it; default: HOST:PID"},
    {"key-file", "MP_KEY_FILE", MPX_TEXT, NULL, 0, 0, "FILE",
     "the certificate to show to a broker with keys; mp keygen makes it"},
    {"have", "MP_HAVE", MPX_TEXT, NULL, 0, 0, "LIST",
     "what calls may need of this host: gpu=1,memory=8G,zone=a"},
    {"http", "MP_WORKER_HTTP", MPX_TEXT, NULL, 0, 0, "ADDR",
     "serve /healthz, /readyz and /metrics at PORT on\n"
     "                             loopback, or at HOST:PORT"},
    {"drain-ms", "MP_DRAIN_MS", MPX_NUMBER, "0", 0, 1 << 30, "N",
     "how long what runs may go on when it is told to stop; 0: as long as it likes"},
    {"give-up-ms", "MP_GIVE_UP_MS", MPX_NUMBER, "0", 0, 1 << 30, "N",
     "exit when no broker could be reached for so long; 0: never"},
    {"accept-modules", "MP_ACCEPT_MODULES", MPX_TEXT, NULL, 0, 0, "DIR",
     "let clients ship modules here, to be kept in DIR; the broker must be on ipc,\n"
     "                             or there is a --key-file"},
    {"module-bytes", "MP_MODULE_BYTES", MPX_BYTES, "64M", 1, INT64_C(1) << 40, "BYTES",
     "the largest module that is accepted"},
    {"log-level", "MP_LOG_LEVEL", MPX_TEXT, "info", 0, 0, "LEVEL", "error, warning, info or debug"},
};

static const mpx_program_t program = {
    .name = "mp-worker",
    .synopsis = "[--broker URL] [--load LIB.so]... [OPTION]...",
    .purpose =
        "Runs the calls that a broker gives it, in processes of its own: a crash costs one\n"
        "call. Prints 'ready URL' when it is connected for the first time, and reconnects\n"
        "whenever it loses the broker. SIGTERM: give back what it has not begun,\n"
        "finish what runs, then exit 0; again: exit at once.\n"
        "\nExit status: 0 told to stop; 64 wrong usage; 69 it can't work: a module doesn't load,\n"
        "no task to offer, the broker refuses, or was not reached for --give-up-ms; 71 the\n"
        "system refused; 78 a setting is wrong.",
    .settings = settings,
    .settings_count = sizeof settings / sizeof *settings,
};

typedef struct teller {
    mpx_log_t log;
    mpx_notify_t notify;
    mpx_http_t *http; /* NULL: none */
    bool serving_http;
    const char *broker;
    mp_worker_state_t state; /* that the service manager was told */
    bool ready;
} teller_t;

static void tell(void *arg, mp_log_level_t level, const char *line)
{
    teller_t *self = arg;
    mpx_log(&self->log, level, "worker", "what", line, NULL);
    if (!self->ready && strncmp(line, "connected to ", 13) == 0) {
        self->ready = true;
        printf("ready %s\n", self->broker);
        fflush(stdout);
    }
}

/* ---- HTTP --------------------------------------------------------------------------- */

static void expose(const mp_worker_status_t *status, mpx_exposition_t *out)
{
    const struct {
        const char *name;
        const char *type;
        const char *help;
        double number;
    } families[] = {
        {"mp_worker_connected", "gauge", "1 while a broker has let it in.",
         status->state == MP_WORKER_SERVING},
        {"mp_worker_draining", "gauge", "1 while it finishes what it has.",
         status->state == MP_WORKER_DRAINING},
        {"mp_worker_executors_wanted", "gauge", "Executors that there should be.",
         status->processes},
        {"mp_worker_executors", "gauge", "Executors that are up.", status->up},
        {"mp_worker_calls_given", "gauge", "Calls that it has, running or next.",
         (double)status->given},
        {"mp_worker_executors_started_total", "counter", "Executors that were started.",
         (double)status->started},
        {"mp_worker_executors_retired_total", "counter", "Of those, ended by their own will.",
         (double)status->retired},
        {"mp_worker_executors_stopped_total", "counter", "Of those, killed for a call.",
         (double)status->stopped},
        {"mp_worker_executors_memory_total", "counter", "Of those, ended for their memory.",
         (double)status->memory},
        {"mp_worker_executors_crashed_total", "counter", "Of those, died otherwise.",
         (double)status->crashed},
        {"mp_worker_busy_seconds_total", "counter", "Run time of calls that were ok or failed.",
         status->busy},
    };
    const struct {
        const char *fate;
        unsigned long long number;
    } calls[] = {
        {"ok", status->calls_ok},
        {"failed", status->calls_failed},
        {"crashed", status->calls_crashed},
        {"timed_out", status->calls_timed_out},
        {"cancelled", status->calls_cancelled},
        {"other", status->calls_other},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        mpx_expose_one(out, families[i].name, families[i].type, families[i].help,
                       families[i].number);
    mpx_expose_family(out, "mp_worker_calls_total", "counter", "Calls that ended, by how.");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        mpx_expose(out, "mp_worker_calls_total", "fate", calls[i].fate, (double)calls[i].number);
}

static const char *unready(mp_worker_state_t state)
{
    switch (state) {
    case MP_WORKER_STARTING:
        return "executors come up";
    case MP_WORKER_CONNECTING:
        return "no broker has let it in";
    case MP_WORKER_DRAINING:
        return "draining";
    case MP_WORKER_SERVING:
        break;
    }
    return NULL;
}

/* With the first tick all is forked that forks, so threads may be started. */
static void serve_http(teller_t *self, const mp_worker_status_t *status)
{
    if (!self->serving_http && mpx_http_start(self->http) != MP_OK) {
        mpx_log(&self->log, MP_LOG_ERROR, "no_http", "why", mp_errmsg(), NULL);
        mpx_http_destroy(&self->http);
        return;
    }
    self->serving_http = true;
    mpx_http_beat(self->http, mpx_now(), unready(status->state));
    if (!mpx_http_is_wanted(self->http))
        return;
    mpx_exposition_t out = {0};
    expose(status, &out);
    if (out.rc == MP_OK)
        mpx_http_publish(self->http, out.text.data, out.text.size);
    mpx_buf_free(&out.text);
}

/* ---- ticks -------------------------------------------------------------------------- */

/* It is ready when a broker has let it in for the first time. */
static void on_tick(void *arg, const mp_worker_status_t *status)
{
    teller_t *self = arg;
    const mpx_notify_t *notify = &self->notify;
    char text[128];
    if (status->state == MP_WORKER_SERVING)
        snprintf(text, sizeof text, "serving with %d of %d executors, has %llu calls", status->up,
                 status->processes, status->given);
    else if (status->state == MP_WORKER_DRAINING)
        snprintf(text, sizeof text, "finishing %llu calls", status->given);
    else if (status->state == MP_WORKER_STARTING)
        snprintf(text, sizeof text, "%d of %d executors are up", status->up, status->processes);
    else
        snprintf(text, sizeof text, "no broker at %.90s", self->broker);
    bool changed = status->state != self->state;
    self->state = status->state;
    if (changed && status->state == MP_WORKER_SERVING)
        mpx_notify_say(notify, "READY=1", "%s", text);
    else if (changed && status->state == MP_WORKER_DRAINING)
        mpx_notify_say(notify, "STOPPING=1", "%s", text);
    mpx_notify_beat(&self->notify, mpx_now(), text);
    if (self->http)
        serve_http(self, status);
}

/* A beat that is due waits for the next tick, and so does who wants to know; neither may have to
 * wait long. */
static int tick_ms(const mpx_notify_t *notify)
{
    enum { TICK_MS = 500 };
    int64_t ms = notify->every_ns / MPX_MS / 4;
    return ms < 1 ? 1 : ms < TICK_MS ? (int)ms : TICK_MS;
}

static int complain(mp_rc_t rc, int status)
{
    fprintf(stderr, "mp-worker: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return status;
}

static mp_rc_t open_http(teller_t *self, const char *address)
{
    mp_rc_t rc = mpx_http_new(address, &self->http);
    if (rc != MP_OK)
        return rc;
    if (!mpx_http_is_local(address))
        mpx_log(&self->log, MP_LOG_WARNING, "http_is_open", "address", mpx_http_address(self->http),
                "what", "anybody who can connect there can read this worker's numbers", NULL);
    printf("http %s\n", mpx_http_address(self->http));
    fflush(stdout);
    return MP_OK;
}

static int run(const mpx_settings_t *chosen)
{
    teller_t teller = {.broker = mpx_settings_text(chosen, "broker")};
    const char *http = mpx_settings_text(chosen, "http");
    mp_log_level_t level = MP_LOG_INFO;
    if (mpx_log_level_of(mpx_settings_text(chosen, "log-level"), &level) != MP_OK) {
        fprintf(stderr, "mp-worker: log-level: '%s' is none of error, warning, info, debug\n",
                mpx_settings_text(chosen, "log-level"));
        return MPX_EXIT_CONFIG;
    }
    mp_rc_t rc = http ? mpx_http_check(http) : MP_OK;
    if (rc != MP_OK)
        return complain(rc, MPX_EXIT_CONFIG);
    if (chosen->want_check) {
        mpx_settings_print(chosen, stdout);
        return MPX_EXIT_OK;
    }
    size_t modules = 0;
    mp_worker_options_t options = {
        .broker = teller.broker,
        .key_file = mpx_settings_text(chosen, "key-file"),
        .processes = (int)mpx_settings_number(chosen, "procs"),
        .load = mpx_settings_list(chosen, "load", &modules),
        .max_calls_per_worker = (int)mpx_settings_number(chosen, "max-calls"),
        .worker_memory_bytes = (size_t)mpx_settings_number(chosen, "max-memory") << 20,
        .worker_memory_limit_bytes = (size_t)mpx_settings_number(chosen, "memory-limit") << 20,
        .worker_memory_cap_bytes = (size_t)mpx_settings_number(chosen, "memory-cap") << 20,
        .allow_exec = mpx_settings_switch(chosen, "allow-exec"),
        .name = mpx_settings_text(chosen, "name"),
        .drain_ms = (int)mpx_settings_number(chosen, "drain-ms"),
        .give_up_ms = (int)mpx_settings_number(chosen, "give-up-ms"),
        .accept_modules = mpx_settings_text(chosen, "accept-modules"),
        .module_bytes = (uint64_t)mpx_settings_number(chosen, "module-bytes"),
        .log = tell,
        .log_arg = &teller,
        .have = mpx_settings_text(chosen, "have"),
    };
    if (options.key_file) /* for tasks that use the broker's objects */
        setenv("MP_KEY_FILE", options.key_file, 1);
    mpx_log_init(&teller.log, level, STDERR_FILENO);
    if (mpx_notify_init(&teller.notify) != MP_OK)
        mpx_log(&teller.log, MP_LOG_WARNING, "not_notified", "why", mp_errmsg(), NULL);
    if (http && (rc = open_http(&teller, http)) != MP_OK)
        return complain(rc, rc == MP_EEXIST ? MPX_EXIT_OSERR : MPX_EXIT_CONFIG);
    if (http || mpx_notify_deadline(&teller.notify) != MPX_NEVER) {
        options.tick = on_tick;
        options.tick_arg = &teller;
        options.tick_ms = tick_ms(&teller.notify);
    }
    rc = mpx_signals_open(&options.stop_fd);
    if (rc != MP_OK)
        return complain(rc, MPX_EXIT_OSERR);
    rc = mp_worker_run(&options); /* the log has said what is wrong */
    mpx_http_destroy(&teller.http);
    if (rc == MP_EINVAL)
        return MPX_EXIT_CONFIG;
    return rc == MP_OK ? MPX_EXIT_OK : MPX_EXIT_UNAVAILABLE;
}

int main(int argc, char **argv)
{
    setenv("ZSYS_SIGHANDLER", "false", 1); /* read by CZMQ before anything else of it runs */
    return mpx_settings_main(&program, argc, argv, run);
}
