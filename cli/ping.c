#include "asking.h"
#include "commands.h"
#include "fields.h"

#include <mp/broker.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const option_spec_t specs[] = {
    ASKING_BROKER, OPTION_KEY_FILE, ASKING_ANSWER("3000"), ASKING_JSON("answer as a JSON object"),
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void ping_help(void)
{
    printf("Usage: mp ping [--broker URL] [OPTION]...\n\n"
           "Asks a broker how it is. Exit status 0: it answered; 1: it did not, in time.\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

static void print_text(output_t *out, const char *broker, const mp_broker_info_t *info)
{
    output_printf(out,
                  "%s: %s, %u worker%s (%u executor%s), %u client%s, %llu queued, %llu running, up "
                  "%llu s, %.1f ms",
                  broker, info->version, info->workers, plural(info->workers), info->executors,
                  plural(info->executors), info->clients, plural(info->clients),
                  (unsigned long long)info->calls_queued, (unsigned long long)info->calls_running,
                  (unsigned long long)info->uptime_ms / 1000, (double)info->round_trip_us / 1000);
    if (info->draining)
        output_printf(out, ", draining: waits for %llu open job%s, %.1f s more at most",
                      (unsigned long long)info->open_jobs, plural(info->open_jobs),
                      (double)info->drain_ms / 1000);
    output_text(out, "\n");
}

static void print_json(output_t *out, const char *broker, const mp_broker_info_t *info)
{
    output_text(out, "{\"broker\":");
    output_json(out, broker, strlen(broker));
    output_text(out, ",\"version\":");
    output_json(out, info->version, strlen(info->version));
    output_printf(out,
                  ",\"uptime_ms\":%llu,\"workers\":%u,\"executors\":%u,\"clients\":%u,"
                  "\"calls_queued\":%llu,\"calls_running\":%llu,\"round_trip_us\":%llu,",
                  (unsigned long long)info->uptime_ms, info->workers, info->executors,
                  info->clients, (unsigned long long)info->calls_queued,
                  (unsigned long long)info->calls_running, (unsigned long long)info->round_trip_us);
    output_printf(out, "\"draining\":%s,\"open_jobs\":%llu,\"drain_ms\":%llu}\n",
                  info->draining ? "true" : "false", (unsigned long long)info->open_jobs,
                  (unsigned long long)info->drain_ms);
}

int ping_main(int argc, char **argv)
{
    asking_t self = {.command = "ping", .show_help = ping_help, .timeout_ms = 3000};
    mp_broker_info_t info;
    output_t out;
    int status;
    if (!asking_parse(&self, specs, SPECS, argc, argv, &status))
        return status;
    mp_rc_t rc = mp_broker_ping(self.broker, self.timeout_ms, &info);
    output_init(&out, STDOUT_FILENO, -1);
    if (rc == MP_OK && self.json)
        print_json(&out, self.broker, &info);
    else if (rc == MP_OK)
        print_text(&out, self.broker, &info);
    status = asking_end(&self, rc, &out);
    output_free(&out);
    return status;
}
