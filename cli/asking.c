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

/* Not all words of a broker name it. */
static void say(const asking_t *self, mp_rc_t rc, const char *advice)
{
    const char *words = *mp_errmsg() ? mp_errmsg() : mp_strerror(rc);
    bool names_it = strstr(words, self->broker) != NULL;
    fprintf(stderr, "mp %s: %s%s%s%s\n", self->command, names_it ? "" : self->broker,
            names_it ? "" : ": ", words, advice);
}

int asking_complain(const asking_t *self, mp_rc_t rc)
{
    say(self, rc, rc == MP_ENOTFOUND && self->advice ? self->advice : "");
    return status_of(self, rc);
}

int asking_connect(const asking_t *self, int timeout_ms, mp_pool_t **out)
{
    mp_pool_options_t options = {.broker = self->broker, .connect_timeout_ms = timeout_ms};
    mp_rc_t rc = mp_pool_new(&options, out);
    if (rc == MP_OK)
        return EXIT_SUCCESS;
    say(self, rc, "");
    return rc == MP_EINVAL ? EXIT_USAGE : EXIT_UNABLE; /* also where its key isn't there */
}

int asking_end(const asking_t *self, mp_rc_t rc, output_t *out)
{
    return rc == MP_OK ? output_end(out, self->command) : asking_complain(self, rc);
}
