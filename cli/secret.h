/* secret.h: the key of a queue or of a program's manager, which both sides know: read from a file,
 * so that it stands in no command line. */
#ifndef MP_CLI_SECRET_H
#define MP_CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_ROOM 4096

typedef struct secret {
    const char *file; /* NULL: there is none */
    size_t size;
    char bytes[SECRET_ROOM];
} secret_t;

/* Read the file, if there is one: less than SECRET_ROOM bytes, and not a newline at their end.
 * false: it has said why not. */
bool secret_read(secret_t *self, const char *command);

/* NULL: there is none. */
const void *secret_bytes(const secret_t *self);

#endif
