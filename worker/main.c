/* mp-worker: options, signals, exit status. The work is in mp_worker_run. */
#include "exits.h"
#include "log.h"
#include "settings.h"
#include "signals.h"

#include <mp/version.h>
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
    {"memory-cap", "MP_MEMORY_CAP", MPX_NUMBER, "0", 0, 1 << 24, "MIB",
     "what an executor can have at most; 0: no limit"},
    {"allow-exec", "MP_ALLOW_EXEC", MPX_SWITCH, NULL, 0, 0, NULL,
     "let any client run any command here (mp.exec)"},
    {"name", "MP_WORKER_NAME", MPX_TEXT, NULL, 0, 0, "NAME",
     "how errors call it; default: HOST:PID"},
    {"drain-ms", "MP_DRAIN_MS", MPX_NUMBER, "0", 0, 1 << 30, "N",
     "how long what runs may go on when it is told to stop; 0: as long as it likes"},
    {"give-up-ms", "MP_GIVE_UP_MS", MPX_NUMBER, "0", 0, 1 << 30, "N",
     "exit when no broker could be reached for so long; 0: never"},
    {"accept-modules", "MP_ACCEPT_MODULES", MPX_TEXT, NULL, 0, 0, "DIR",
     "let clients ship modules here, to be kept in DIR; the broker must be on ipc"},
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
    const char *broker;
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

static int complain(mp_rc_t rc, int status)
{
    fprintf(stderr, "mp-worker: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return status;
}

static int run(const mpx_settings_t *chosen)
{
    teller_t teller = {.broker = mpx_settings_text(chosen, "broker")};
    mp_log_level_t level = MP_LOG_INFO;
    if (mpx_log_level_of(mpx_settings_text(chosen, "log-level"), &level) != MP_OK) {
        fprintf(stderr, "mp-worker: log-level: '%s' is none of error, warning, info, debug\n",
                mpx_settings_text(chosen, "log-level"));
        return MPX_EXIT_CONFIG;
    }
    if (chosen->want_check) {
        mpx_settings_print(chosen, stdout);
        return MPX_EXIT_OK;
    }
    size_t modules = 0;
    mp_worker_options_t options = {
        .broker = teller.broker,
        .processes = (int)mpx_settings_number(chosen, "procs"),
        .load = mpx_settings_list(chosen, "load", &modules),
        .max_calls_per_worker = (int)mpx_settings_number(chosen, "max-calls"),
        .worker_memory_bytes = (size_t)mpx_settings_number(chosen, "max-memory") << 20,
        .worker_memory_cap_bytes = (size_t)mpx_settings_number(chosen, "memory-cap") << 20,
        .allow_exec = mpx_settings_switch(chosen, "allow-exec"),
        .name = mpx_settings_text(chosen, "name"),
        .drain_ms = (int)mpx_settings_number(chosen, "drain-ms"),
        .give_up_ms = (int)mpx_settings_number(chosen, "give-up-ms"),
        .accept_modules = mpx_settings_text(chosen, "accept-modules"),
        .module_bytes = (uint64_t)mpx_settings_number(chosen, "module-bytes"),
        .log = tell,
        .log_arg = &teller,
    };
    mpx_log_init(&teller.log, level, STDERR_FILENO);
    mp_rc_t rc = mpx_signals_open(&options.stop_fd);
    if (rc != MP_OK)
        return complain(rc, MPX_EXIT_OSERR);
    rc = mp_worker_run(&options); /* the log has said what is wrong */
    if (rc == MP_EINVAL)
        return MPX_EXIT_CONFIG;
    return rc == MP_OK ? MPX_EXIT_OK : MPX_EXIT_UNAVAILABLE;
}

int main(int argc, char **argv)
{
    setenv("ZSYS_SIGHANDLER", "false", 1); /* read by CZMQ before anything else of it runs */
    mpx_settings_t chosen;
    bool usage = false;
    mp_rc_t rc = mpx_settings_load(&program, argc, argv, &chosen, &usage);
    if (rc != MP_OK)
        return complain(rc, usage ? MPX_EXIT_USAGE : MPX_EXIT_CONFIG);
    int status = MPX_EXIT_OK;
    if (chosen.want_help)
        mpx_settings_print_help(&program, stdout);
    else if (chosen.want_version)
        printf("mp-worker (libmp) %s\n", MP_VERSION_STRING);
    else
        status = run(&chosen);
    mpx_settings_free(&chosen);
    return status;
}
