/* main.c: a program as its own worker. */
#include <mp/worker.h>

#include "nursery.h"
#include "spawn.h"
#include "spawned.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The exit statuses of sysexits.h. */
enum { EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69 };

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s --mp-worker ENDPOINT [--mp-procs N] [--mp-have LIST] [--mp-max-calls N]\n"
            "       [--mp-max-memory MIB] [--mp-memory-limit MIB] [--mp-memory-cap MIB]\n",
            program);
    return EXIT_USAGE;
}

static bool set_number(const char *name, long number, mp_worker_options_t *out)
{
    const struct {
        const char *name;
        int *count;
        size_t *bytes; /* given in MiB */
    } numbers[] = {
        {"--mp-procs", &out->processes, NULL},
        {"--mp-max-calls", &out->max_calls_per_worker, NULL},
        {"--mp-max-memory", NULL, &out->worker_memory_bytes},
        {"--mp-memory-limit", NULL, &out->worker_memory_limit_bytes},
        {"--mp-memory-cap", NULL, &out->worker_memory_cap_bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (numbers[i].count)
            *numbers[i].count = (int)number;
        else
            *numbers[i].bytes = (size_t)number << 20;
        return true;
    }
    return false;
}

/* What is behind the endpoint, in pairs. */
static bool read_options(char **argv, mp_worker_options_t *out)
{
    enum { MOST = 100000000 };
    for (; argv[0] && argv[1]; argv += 2) {
        char *end = NULL;
        long number = strtol(argv[1], &end, 10);
        bool is_number = end != argv[1] && !*end && number >= 1 && number <= MOST;
        if (strcmp(argv[0], "--mp-have") == 0)
            out->have = argv[1];
        else if (!is_number || !set_number(argv[0], number, out))
            return false;
    }
    return !argv[0];
}

/* As mp-worker: what happens on stderr, and on stdout that it is there. */
typedef struct teller {
    const char *program;
    const char *broker;
    bool ready;
} teller_t;

static void tell(void *arg, mp_log_level_t level, const char *line)
{
    const teller_t *self = arg;
    if (level <= MP_LOG_INFO)
        fprintf(stderr, "%s: %s\n", self->program, line);
}

static void on_tick(void *arg, const mp_worker_status_t *status)
{
    teller_t *self = arg;
    if (self->ready || status->state != MP_WORKER_SERVING)
        return;
    self->ready = true;
    printf("ready %s\n", self->broker);
    fflush(stdout);
}

static int serve(const char *program, mp_worker_options_t options)
{
    teller_t teller = {.program = program, .broker = options.broker};
    sigset_t stops;
    sigset_t before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, &before);
    options.stop_fd = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    options.log = tell;
    options.tick = on_tick;
    options.log_arg = options.tick_arg = &teller;
    mp_rc_t rc = mp_worker_run(&options);
    close(options.stop_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc == MP_OK ? EXIT_SUCCESS : EXIT_UNAVAILABLE;
}

int mp_main(int argc, char **argv, int *status)
{
    mpx_spawn_allow(argc > 0 ? argv[0] : NULL);
    if (argc == 2 && strcmp(argv[1], MPX_SPAWN_ARGUMENT) == 0) {
        if (mpx_spawned_main(status, mpx_nursery_main) != MP_OK) {
            fprintf(stderr, "%s: %s\n", argv[0], mp_errmsg());
            *status = EXIT_USAGE;
        }
        return 1;
    }
    if (argc < 2 || strcmp(argv[1], "--mp-worker") != 0)
        return 0;
    mp_worker_options_t options = {.broker = argc > 2 ? argv[2] : NULL};
    bool ok = options.broker && read_options(argv + 3, &options);
    *status = ok ? serve(argv[0], options) : usage(argv[0]);
    return 1;
}
