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
    fprintf(stderr, "usage: %s --mp-worker ENDPOINT [--mp-procs N]\n", program);
    return EXIT_USAGE;
}

static int serve(const char *program, const char *endpoint, int processes)
{
    sigset_t stops;
    sigset_t before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, &before);
    int stop_fd = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);

    mp_worker_options_t options = {.broker = endpoint, .processes = processes, .stop_fd = stop_fd};
    mp_rc_t rc = mp_worker_run(&options);
    if (rc != MP_OK)
        fprintf(stderr, "%s: %s: %s\n", program, mp_strerror(rc), mp_errmsg());
    close(stop_fd);
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
    long processes = 0;
    if (argc == 5 && strcmp(argv[3], "--mp-procs") == 0) {
        char *end = NULL;
        processes = strtol(argv[4], &end, 10);
        if (*end || processes < 1 || processes > 100000)
            argc = 0;
    }
    *status = argc == 3 || argc == 5 ? serve(argv[0], argv[2], (int)processes) : usage(argv[0]);
    return 1;
}
