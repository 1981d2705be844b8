/* mp-broker: options, signals, exit status. The work is in broker.c. */
#include "broker.h"
#include "exits.h"
#include "notify.h"
#include "settings.h"
#include "signals.h"

#include <czmq.h>
#include <signal.h>
#include <sys/resource.h>

static const mpx_setting_t settings[] = {
    {"listen", "MP_LISTEN", MPX_LIST, "tcp://127.0.0.1:5555", 0, 0, "URL",
     "listen on tcp://HOST:PORT ('*' picks a port) or\n"
     "                             ipc:///PATH; repeatable, or with commas"},
    {"max-peers", "MP_MAX_PEERS", MPX_NUMBER, "4096", 1, 1000000, "N", "most connections at once"},
    {"max-message", "MP_MAX_MESSAGE", MPX_BYTES, "80M", 65536, 1 << 30, "BYTES",
     "largest payload of one message"},
    {"submit-bytes", "MP_SUBMIT_BYTES", MPX_BYTES, "256M", 65536, INT64_C(1) << 40, "BYTES",
     "most input of one client that waits for its results"},
    {"result-bytes", "MP_RESULT_BYTES", MPX_BYTES, "256M", 65536, INT64_C(1) << 40, "BYTES",
     "results a client may leave unread before it gets no more"},
    {"worker-wait-ms", "MP_WORKER_WAIT_MS", MPX_NUMBER, "30000", 0, INT32_MAX, "MS",
     "how long calls wait for a first worker; 0: for ever"},
    {"drain-ms", "MP_DRAIN_MS", MPX_NUMBER, "30000", 0, INT32_MAX, "MS",
     "after SIGTERM, how long open calls may take"},
    {"data", "MP_DATA", MPX_TEXT, NULL, 0, 0, "DIR",
     "keep objects, and calls and their results, in this\n"
     "                             directory, so that what was acknowledged outlives the\n"
     "                             broker; else all is in memory"},
    {"session-ms", "MP_SESSION_MS", MPX_NUMBER, "60000", 0, INT32_MAX, "MS",
     "with --data, how long jobs wait for a client that is gone"},
    {"lease-ms", "MP_LEASE_MS", MPX_NUMBER, "3000", 50, 3600000, "MS",
     "how long a silent client keeps its locks and other holds"},
    {"object-bytes", "MP_OBJECT_BYTES", MPX_BYTES, "1G", 65536, INT64_C(1) << 40, "BYTES",
     "most that all objects together may take"},
    {"kept-bytes", "MP_KEPT_BYTES", MPX_BYTES, "1G", 65536, INT64_C(1) << 40, "BYTES",
     "most that jobs kept for clients that come back may take;\n"
     "                             more is refused"},
    {"keep-ms", "MP_KEEP_MS", MPX_NUMBER, "3600000", 1, INT32_MAX, "MS",
     "how long such a job waits for somebody, at most"},
    {"kept-wait-ms", "MP_KEPT_WAIT_MS", MPX_NUMBER, "604800000", 0, INT32_MAX, "MS",
     "how long its calls wait for a first worker, at most; 0: for ever"},
    {"dead-bytes", "MP_DEAD_BYTES", MPX_BYTES, "64M", 0, INT64_C(1) << 40, "BYTES",
     "most that dead letters may take; above it the oldest go"},
    {"types", "MP_TYPES", MPX_TEXT, NULL, 0, 0, "FILE",
     "a module with custom types of objects; its code runs in the broker"},
    {"keys", "MP_KEYS", MPX_TEXT, NULL, 0, 0, "DIR",
     "let in only those whose keys DIR/clients lists, encrypted, with\n"
     "                             DIR/server.key; mp keygen makes both. SIGHUP: read the list "
     "again"},
    {"max-operations", "MP_MAX_OPERATIONS", MPX_NUMBER, "5000000", 0, INT64_C(1) << 40, "N",
     "most messages and operations of one peer in a second; 0: no limit"},
    {"http", "MP_HTTP", MPX_TEXT, NULL, 0, 0, "ADDR",
     "serve /healthz, /readyz and /metrics at PORT on\n"
     "                             loopback, or at HOST:PORT"},
    {"log-level", "MP_LOG_LEVEL", MPX_TEXT, "info", 0, 0, "LEVEL", "error, warning, info or debug"},
};

static const mpx_program_t program = {
    .name = "mp-broker",
    .synopsis = "[--listen URL]... [OPTION]...",
    .purpose = "Gives the calls of clients to workers, and keeps objects that they share. Prints "
               "'ready ENDPOINT' for each endpoint\n"
               "that it listens on. SIGTERM: finish open calls, then exit 0; again: exit at once.\n"
               "SIGHUP: read the list of keys again.",
    .settings = settings,
    .settings_count = sizeof settings / sizeof *settings,
};

static int complain(mp_rc_t rc, int status)
{
    fprintf(stderr, "mp-broker: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return status;
}

/* A connection needs a descriptor, and libzmq aborts where it gets none. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void print_ready(const mpx_broker_t *broker, mpx_log_t *log)
{
    const char *endpoint;
    for (size_t i = 0; (endpoint = mpx_broker_endpoint(broker, i)); i++) {
        printf("ready %s\n", endpoint);
        mpx_log(log, MP_LOG_INFO, "listening", "endpoint", endpoint, NULL);
    }
    fflush(stdout);
}

/* Before what may take long: who asks is told that we are starting. */
static mp_rc_t start_http(const char *address, mpx_broker_options_t *options)
{
    mp_rc_t rc = mpx_http_new(address, &options->watch.http);
    if (rc == MP_OK)
        rc = mpx_http_start(options->watch.http);
    if (rc != MP_OK)
        return rc;
    if (!mpx_http_is_local(address))
        mpx_log(options->log, MP_LOG_WARNING, "http_is_open", "address",
                mpx_http_address(options->watch.http), "what",
                "anybody who can connect there can read this broker's numbers", NULL);
    printf("http %s\n", mpx_http_address(options->watch.http));
    fflush(stdout);
    return rc;
}

static int serve(const mpx_broker_options_t *options, int stop_fd)
{
    mpx_broker_t *broker = NULL;
    mp_rc_t rc = mpx_broker_new(options, &broker);
    if (rc != MP_OK)
        return complain(rc, rc == MP_EPERM || rc == MP_EINVAL || rc == MP_ENOTFOUND
                                ? MPX_EXIT_CONFIG
                                : MPX_EXIT_OSERR);
    if (!options->data)
        mpx_log(options->log, MP_LOG_INFO, "in_memory", "what",
                "objects and calls are gone when the broker ends; --data keeps them", NULL);
    print_ready(broker, options->log);
    mpx_notify_say(options->watch.notify, "READY=1", "listening on %.200s",
                   mpx_broker_endpoint(broker, 0));
    rc = mpx_broker_run(broker, stop_fd);
    mpx_broker_destroy(&broker);
    mpx_log(options->log, MP_LOG_INFO, "stopped", NULL);
    return rc == MP_OK ? MPX_EXIT_OK : complain(rc, MPX_EXIT_OSERR);
}

static int run(const mpx_settings_t *chosen)
{
    mpx_log_t log;
    mpx_notify_t notify;
    mp_log_level_t level = MP_LOG_INFO;
    int stop_fd = -1;
    if (mpx_log_level_of(mpx_settings_text(chosen, "log-level"), &level) != MP_OK) {
        fprintf(stderr, "mp-broker: log-level: '%s' is none of error, warning, info, debug\n",
                mpx_settings_text(chosen, "log-level"));
        return MPX_EXIT_CONFIG;
    }
    mpx_broker_options_t options = {
        .max_peers = (uint32_t)mpx_settings_number(chosen, "max-peers"),
        .max_message_bytes = (uint64_t)mpx_settings_number(chosen, "max-message"),
        .submit_bytes = (uint64_t)mpx_settings_number(chosen, "submit-bytes"),
        .result_bytes = (uint64_t)mpx_settings_number(chosen, "result-bytes"),
        .worker_wait_ms = (int)mpx_settings_number(chosen, "worker-wait-ms"),
        .drain_ms = (int)mpx_settings_number(chosen, "drain-ms"),
        .data = mpx_settings_text(chosen, "data"),
        .types = mpx_settings_text(chosen, "types"),
        .session_ms = (int)mpx_settings_number(chosen, "session-ms"),
        .lease_ms = (int)mpx_settings_number(chosen, "lease-ms"),
        .object_bytes = (uint64_t)mpx_settings_number(chosen, "object-bytes"),
        .keys = mpx_settings_text(chosen, "keys"),
        .max_operations = (uint64_t)mpx_settings_number(chosen, "max-operations"),
        .kept_bytes = (uint64_t)mpx_settings_number(chosen, "kept-bytes"),
        .keep_ms = (int)mpx_settings_number(chosen, "keep-ms"),
        .kept_wait_ms = (int)mpx_settings_number(chosen, "kept-wait-ms"),
        .dead_bytes = (uint64_t)mpx_settings_number(chosen, "dead-bytes"),
        .log = &log,
        .watch.notify = &notify,
    };
    options.listen = mpx_settings_list(chosen, "listen", &options.listen_count);
    mp_rc_t rc = mpx_broker_check(&options);
    const char *http = mpx_settings_text(chosen, "http");
    if (rc == MP_OK && http)
        rc = mpx_http_check(http);
    if (rc != MP_OK)
        return complain(rc, MPX_EXIT_CONFIG);
    if (chosen->want_check) {
        mpx_settings_print(chosen, stdout);
        return MPX_EXIT_OK;
    }
    mpx_log_init(&log, level, STDERR_FILENO);
    if (mpx_notify_init(&notify) != MP_OK)
        mpx_log(&log, MP_LOG_WARNING, "not_notified", "why", mp_errmsg(), NULL);
    rc = mpx_signals_open(&stop_fd);
    if (rc == MP_OK)
        rc = mpx_signals_open_reload(&options.reload_fd);
    if (rc != MP_OK)
        return complain(rc, MPX_EXIT_OSERR);
    raise_descriptor_limit();
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk */
    zsys_handler_set(NULL);         /* signals are ours */
    options.context = zsys_init();
    rc = http ? start_http(http, &options) : MP_OK;
    int status = rc == MP_OK ? serve(&options, stop_fd) : complain(rc, MPX_EXIT_OSERR);
    mpx_http_destroy(&options.watch.http);
    return status;
}

int main(int argc, char **argv)
{
    setenv("ZSYS_SIGHANDLER", "false", 1); /* read by CZMQ before anything else of it runs */
    return mpx_settings_main(&program, argc, argv, run);
}
