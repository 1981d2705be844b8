/* options.h: a subcommand's options: one table for getopt_long, --help, and where each of them is
 * put in the struct that holds them. */
#ifndef MP_CLI_OPTIONS_H
#define MP_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum option_kind {
    OPTION_IS_SWITCH, /* sets a bool */
    OPTION_IS_TEXT,   /* a const char *, which stays the command line's */
    OPTION_IS_NUMBER, /* an int of at least `min` */
    OPTION_IS_VARIABLE,
    OPTION_IS_TAKEN
} option_kind_t;

/* Takes an option's argument; false: it isn't valid (it has said so). */
typedef bool option_take_t(void *self, const char *argument);

typedef struct option_spec {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: takes none */
    const char *help;
    option_kind_t kind;
    int min;
    size_t field;
    const char *variable;
    option_take_t *take;
} option_spec_t;

/* The end of a row: which field of the struct the option is for. Another type doesn't compile. */
#define OPTION_SWITCH(type, name) .kind = OPTION_IS_SWITCH, .field = OPTION_FIELD(type, name, bool)
#define OPTION_TEXT(type, name)                                                                    \
    .kind = OPTION_IS_TEXT, .field = OPTION_FIELD(type, name, const char *)
#define OPTION_NUMBER(type, name, least)                                                           \
    .kind = OPTION_IS_NUMBER, .field = OPTION_FIELD(type, name, int), .min = (least)
/* A variable of the environment, which the library reads. */
#define OPTION_VARIABLE(name) .kind = OPTION_IS_VARIABLE, .variable = (name)
#define OPTION_TAKE(function) .kind = OPTION_IS_TAKEN, .take = (function)
#define OPTION_FIELD(type, name, wanted)                                                           \
    (offsetof(type, name) + 0 * _Generic(((type *)0)->name, wanted : 1))

/* The row of all that show a certificate to a broker. */
#define OPTION_KEY_FILE                                                                            \
    {                                                                                              \
        "key-file", 'K', "FILE", "the key to show to a broker with keys; default: $MP_KEY_FILE",   \
            OPTION_VARIABLE("MP_KEY_FILE")                                                         \
    }

/* Parse a command line into `self`: options stand before, between and behind the words, which
 * are moved to its end; what is behind "--" are words. POSIXLY_CORRECT changes nothing. Returns the
 * index of the first word in argv, or -1 after it has said what is wrong. */
int options_parse(const char *command, const option_spec_t *specs, size_t count, int argc,
                  char **argv, void *self);
/* The same, but the first word ends the options: those behind it are another command's. */
int options_parse_leading(const char *command, const option_spec_t *specs, size_t count, int argc,
                          char **argv, void *self);

void options_print(const option_spec_t *specs, size_t count);

#endif
