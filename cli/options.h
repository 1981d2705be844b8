/* options.h: a subcommand's options: one table for getopt_long and --help. */
#ifndef MP_CLI_OPTIONS_H
#define MP_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct option_spec {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: takes none */
    const char *help;
} option_spec_t;

/* Called for each option that is given; false: its argument is not valid (it has said so). */
typedef bool option_handler_t(void *self, size_t index, const char *argument);

/* Parse up to the first argument that is no option. Returns the index of that argument in
 * argv, or -1 after it has said what is wrong. */
int options_parse(const char *command, const option_spec_t *specs, size_t count, int argc,
                  char **argv, option_handler_t *handler, void *self);

void options_print(const option_spec_t *specs, size_t count);

/* Set a variable of the environment, which the library reads; says so if there is no memory. */
bool options_setenv(const char *command, const char *variable, const char *value);

/* A whole number within bounds; says so if it isn't. */
bool options_number(const char *command, const char *option, const char *text, int min, int *out);

#endif
