#include "asking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *default_broker(void)
{
    const char *broker = getenv("MP_BROKER");
    return broker && *broker ? broker : "tcp://127.0.0.1:5555";
}

bool asking_parse(asking_t *self, const option_spec_t *specs, size_t count, int argc, char **argv,
                  int *status)
{
    self->broker = default_broker();
    *status = EXIT_USAGE;
    int rest = self->leading ? options_parse_leading(self->command, specs, count, argc, argv, self)
                             : options_parse(self->command, specs, count, argc, argv, self);
    if (rest < 0)
        return false;
    if (self->help) {
        self->show_help();
        *status = EXIT_SUCCESS;
        return false;
    }
    self->words = argv + rest;
    self->word_count = argc - rest;
    if (self->word_count > self->words_max) {
        fprintf(stderr, "mp %s: what is '%s'? See mp %s --help\n", self->command,
                self->words[self->words_max], self->command);
        return false;
    }
    if (strcmp(self->broker, "local") == 0) {
        fprintf(stderr, "mp %s: 'local' is no broker; give --broker URL\n", self->command);
        return false;
    }
    return true;
}

static int status_of(const asking_t *self, mp_rc_t rc)
{
    switch (rc) {
    case MP_EINVAL:
        return EXIT_USAGE;
    case MP_ECONNECT:
    case MP_EAUTH:
    case MP_EVERSION:
    case MP_EPERM:
    case MP_EPROTO:
    case MP_EBROKERLOST:
        return self->unreached ? self->unreached : EXIT_FAILED;
    default:
        return EXIT_FAILED;
    }
}

int asking_complain(const asking_t *self, mp_rc_t rc)
{
    fprintf(stderr, "mp %s: %s\n", self->command, *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return status_of(self, rc);
}

int asking_end(const asking_t *self, mp_rc_t rc, output_t *out)
{
    if (rc != MP_OK)
        return asking_complain(self, rc);
    if (output_flush(out))
        return EXIT_SUCCESS;
    fprintf(stderr, "mp %s: stdout: %s\n", self->command, strerror(out->error));
    return EXIT_OUTPUT;
}
