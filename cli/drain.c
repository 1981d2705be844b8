#include "commands.h"
#include "exits.h"
#include "options.h"

#include <mp/broker.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct drain {
    const char *broker;
    int timeout_ms;
    bool help;
} drain_t;

enum { BROKER, TIMEOUT, HELP };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL",
                "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555; to one\n"
                "                             with keys the one in $MP_KEY_FILE is shown"},
    [TIMEOUT] = {"timeout-ms", 0, "N", "how long to wait for its answer; default: 3000"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
};

enum { SPECS = sizeof specs / sizeof *specs };

void drain_help(void)
{
    printf("Usage: mp drain [--broker URL] [OPTION]... WORKER\n\n"
           "Has a broker tell the workers of that name (mp-worker --name, or HOST:PID) to end, as\n"
           "SIGTERM does: they give back what they have not begun, finish what runs, and exit.\n"
           "Doesn't wait for that. Exit status 0: they were told; 1: there is none, or the broker\n"
           "did not answer.\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    drain_t *self = arg;
    switch (index) {
    case BROKER:
        self->broker = argument;
        return true;
    case TIMEOUT:
        return options_number("drain", "timeout-ms", argument, 0, &self->timeout_ms);
    default:
        self->help = true;
        return true;
    }
}

int drain_main(int argc, char **argv)
{
    const char *broker = getenv("MP_BROKER");
    drain_t self = {.broker = broker && *broker ? broker : "tcp://127.0.0.1:5555",
                    .timeout_ms = 3000};
    int count = 0;
    int rest = options_parse("drain", specs, SPECS, argc, argv, on_option, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        drain_help();
        return EXIT_SUCCESS;
    }
    if (argc - rest != 1 || strcmp(self.broker, "local") == 0) {
        fprintf(stderr, "mp drain: give one worker's name, and its broker; see mp drain --help\n");
        return EXIT_USAGE;
    }
    mp_rc_t rc = mp_broker_dismiss(self.broker, argv[rest], self.timeout_ms, &count);
    if (rc == MP_OK)
        printf("%s: told %d worker%s\n", argv[rest], count, count == 1 ? "" : "s");
    else
        fprintf(stderr, "mp drain: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return rc == MP_OK ? EXIT_SUCCESS : rc == MP_EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
