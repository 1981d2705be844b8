/* input.h: lines from a descriptor, read as they come, without ever blocking in a read
 * unless poll said that there is something. */
#ifndef MP_CLI_INPUT_H
#define MP_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_LINE_MAX (1024 * 1024)

typedef struct input {
    int fd;
    char *buffer;
    size_t start; /* of what isn't handed out yet */
    size_t end;
    size_t room;
    size_t searched; /* no newline before here */
    bool skipping;   /* the rest of a line that was too long */
    bool ended;      /* the descriptor is at its end */
    int error;       /* errno of a failed read; the line that it cut off is dropped */
} input_t;

typedef struct input_line {
    const char *text; /* valid until the next call */
    size_t size;
    bool too_long; /* text is its beginning */
} input_line_t;

bool input_init(input_t *self, int fd); /* false: out of memory */
void input_free(input_t *self);

/* Read once. Call when poll says so. */
void input_fill(input_t *self);
/* The next whole line, without its newline; the last one counts without. false: none now. */
bool input_next(input_t *self, input_line_t *out);
/* All lines were handed out and no more will come. */
bool input_done(const input_t *self);

/* How many lines a regular file has from here on; 0: it is none, or too large to be read
 * just for that. Leaves the position alone. */
uint64_t input_count(int fd);

#endif
