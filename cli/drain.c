#include "asking.h"
#include "commands.h"
#include "fields.h"

#include <mp/broker.h>
#include <stdio.h>
#include <unistd.h>

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    ASKING_ANSWER("3000"),
    ASKING_HELP,
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

int drain_main(int argc, char **argv)
{
    asking_t self = {
        .command = "drain", .show_help = drain_help, .words_max = 1, .timeout_ms = 3000};
    int count = 0, status;
    output_t out;
    if (!asking_parse(&self, specs, SPECS, argc, argv, &status))
        return status;
    if (self.word_count == 0) {
        fprintf(stderr, "mp drain: give a worker's name; see mp drain --help\n");
        return EXIT_USAGE;
    }
    const char *worker = self.words[0];
    mp_rc_t rc = mp_broker_dismiss(self.broker, worker, self.timeout_ms, &count);
    output_init(&out, STDOUT_FILENO, -1);
    if (rc == MP_OK)
        output_printf(&out, "%s: told %d worker%s\n", worker, count,
                      plural((unsigned long long)count));
    status = asking_end(&self, rc, &out);
    output_free(&out);
    return status;
}
