/* asking.h: a subcommand that asks a broker: the options that all of these have, in the same
 * words, the broker that is meant, and how it ends.
 *
 * The struct of a subcommand's own options begins with an asking_t; its table has the rows below
 * and its own ones, in the order of its --help. */
#ifndef MP_CLI_ASKING_H
#define MP_CLI_ASKING_H

#include "exits.h"
#include "options.h"
#include "output.h"
#include <mp/pool.h>

typedef struct asking {
    /* Set by the subcommand before it parses. */
    const char *command;
    void (*show_help)(void);
    int words_max;
    bool leading; /* options stand before the words only */
    int timeout_ms;
    const char *advice; /* where there is nothing of that name; NULL: none */
    int unreached;      /* the exit status where no broker lets it in; 0: EXIT_FAILED */

    /* Set by asking_parse. */
    const char *broker;
    bool json;
    bool help;
    char **words;
    int word_count;
} asking_t;

#define ASKING_BROKER                                                                              \
    {                                                                                              \
        "broker", 'b', "URL", "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555",        \
            OPTION_TEXT(asking_t, broker)                                                          \
    }
#define ASKING_TIMEOUT(text)                                                                       \
    {                                                                                              \
        "timeout-ms", 0, "N", text, OPTION_NUMBER(asking_t, timeout_ms, 0)                         \
    }
#define ASKING_ANSWER(ms) ASKING_TIMEOUT("how long to wait for its answer; default: " ms)
#define ASKING_JSON(text)                                                                          \
    {                                                                                              \
        "json", 0, NULL, text, OPTION_SWITCH(asking_t, json)                                       \
    }
#define ASKING_HELP                                                                                \
    {                                                                                              \
        "help", 'h', NULL, "print this and exit", OPTION_SWITCH(asking_t, help)                    \
    }

/* false: the subcommand is over, with *status: its help is shown, or it has said what is wrong. */
bool asking_parse(asking_t *self, const option_spec_t *specs, size_t count, int argc, char **argv,
                  int *status);

/* A pool of the broker, for a command about what that keeps. Returns an exit status. */
int asking_connect(const asking_t *self, int timeout_ms, mp_pool_t **out);

/* Say what the last call of the library had to say about its failure. Returns an exit status. */
int asking_complain(const asking_t *self, mp_rc_t rc);

/* Write what there is, or complain. Returns an exit status. */
int asking_end(const asking_t *self, mp_rc_t rc, output_t *out);

#endif
