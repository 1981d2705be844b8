#include "commands.h"
#include "exits.h"
#include "options.h"
#include "output.h"

#include <mp/broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct ping {
    const char *broker;
    int timeout_ms;
    bool json;
    bool help;
} ping_t;

enum { BROKER, KEY_FILE, TIMEOUT, JSON, HELP };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL", "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555"},
    [KEY_FILE] = {"key-file", 'K', "FILE",
                  "the key to show to a broker with keys; default: $MP_KEY_FILE"},
    [TIMEOUT] = {"timeout-ms", 0, "N", "how long to wait for its answer; default: 3000"},
    [JSON] = {"json", 0, NULL, "answer as a JSON object"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
};

enum { SPECS = sizeof specs / sizeof *specs };

void ping_help(void)
{
    printf("Usage: mp ping [--broker URL] [OPTION]...\n\n"
           "Asks a broker how it is. Exit status 0: it answered; 1: it did not, in time.\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    ping_t *self = arg;
    switch (index) {
    case BROKER:
        self->broker = argument;
        return true;
    case KEY_FILE:
        return options_setenv("ping", "MP_KEY_FILE", argument);
    case TIMEOUT:
        return options_number("ping", "timeout-ms", argument, 0, &self->timeout_ms);
    case JSON:
        self->json = true;
        return true;
    default:
        self->help = true;
        return true;
    }
}

static const char *plural(unsigned long long n)
{
    return n == 1 ? "" : "s";
}

static void print_text(const ping_t *self, const mp_broker_info_t *info)
{
    printf("%s: %s, %u worker%s (%u executor%s), %u client%s, %llu queued, %llu running, up %llu "
           "s, %.1f ms\n",
           self->broker, info->version, info->workers, plural(info->workers), info->executors,
           plural(info->executors), info->clients, plural(info->clients),
           (unsigned long long)info->calls_queued, (unsigned long long)info->calls_running,
           (unsigned long long)info->uptime_ms / 1000, (double)info->round_trip_us / 1000);
}

static int print_json(const ping_t *self, const mp_broker_info_t *info)
{
    output_t out;
    output_init(&out, STDOUT_FILENO, -1);
    output_text(&out, "{\"broker\":");
    output_json(&out, self->broker, strlen(self->broker));
    output_text(&out, ",\"version\":");
    output_json(&out, info->version, strlen(info->version));
    output_printf(&out,
                  ",\"uptime_ms\":%llu,\"workers\":%u,\"executors\":%u,\"clients\":%u,"
                  "\"calls_queued\":%llu,\"calls_running\":%llu,\"round_trip_us\":%llu}\n",
                  (unsigned long long)info->uptime_ms, info->workers, info->executors,
                  info->clients, (unsigned long long)info->calls_queued,
                  (unsigned long long)info->calls_running, (unsigned long long)info->round_trip_us);
    bool ok = output_flush(&out);
    output_free(&out);
    return ok ? EXIT_SUCCESS : EXIT_OUTPUT;
}

int ping_main(int argc, char **argv)
{
    const char *broker = getenv("MP_BROKER");
    ping_t self = {.broker = broker && *broker ? broker : "tcp://127.0.0.1:5555",
                   .timeout_ms = 3000};
    int rest = options_parse("ping", specs, SPECS, argc, argv, on_option, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        ping_help();
        return 0;
    }
    if (rest < argc) {
        fprintf(stderr, "mp ping: what is '%s'? See mp ping --help\n", argv[rest]);
        return EXIT_USAGE;
    }
    if (strcmp(self.broker, "local") == 0) {
        fprintf(stderr, "mp ping: 'local' is no broker; give --broker URL\n");
        return EXIT_USAGE;
    }
    mp_broker_info_t info;
    mp_rc_t rc = mp_broker_ping(self.broker, self.timeout_ms, &info);
    if (rc != MP_OK) {
        fprintf(stderr, "mp ping: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
        return rc == MP_EINVAL ? EXIT_USAGE : EXIT_FAILED;
    }
    if (self.json)
        return print_json(&self, &info);
    print_text(&self, &info);
    return 0;
}
