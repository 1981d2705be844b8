/* command.h: a command line as an input of mp.exec, and its value taken apart. */
#ifndef MP_CLI_COMMAND_H
#define MP_CLI_COMMAND_H

#include <mp/pool.h>
#include <stdbool.h>
#include <stddef.h>

extern const mp_task_t command_task; /* mp.exec, to be run elsewhere */

typedef struct command {
    char **argv; /* the words as given; argv[argc] is not looked at */
    int argc;
    bool shell;
    bool has_place; /* a word contains {} */
    char *bytes;    /* the input for the last line */
    size_t size;
    size_t room;
} command_t;

void command_init(command_t *self, char **argv, int argc, bool shell);
void command_free(command_t *self);

/* The input for a line: each {} replaced by it, or it as the last word. false: out of
 * memory. The line must not contain NUL. */
bool command_for(command_t *self, const char *line, size_t size, mp_bytes_t *out);

/* A value's two outputs; empty ones if it is malformed. */
void command_outputs(mp_bytes_t value, mp_bytes_t *standard, mp_bytes_t *error);

/* Whether the failed call's program isn't there, for no line: its name has none of it. */
bool command_is_missing(const command_t *self, const mp_outcome_t *outcome);

/* The signal that ended the command of a failed call; 0: none did. Only mp.exec's message
 * tells 128 + a signal from an exit status of that number. */
int command_signal(const mp_outcome_t *outcome);

#endif
