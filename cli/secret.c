#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool secret_read(secret_t *self, const char *command)
{
    if (!self->file)
        return true;
    FILE *file = fopen(self->file, "re");
    if (file)
        self->size = fread(self->bytes, 1, SECRET_ROOM, file);
    bool is_read = file && !ferror(file);
    bool fits = is_read && self->size < SECRET_ROOM;
    if (!fits)
        fprintf(stderr, "mp %s: %s: %s\n", command, self->file,
                is_read ? "longer than a key may be" : strerror(errno));
    if (file)
        fclose(file);
    if (fits && self->size && self->bytes[self->size - 1] == '\n')
        self->size--;
    return fits;
}

const void *secret_bytes(const secret_t *self)
{
    return self->file ? self->bytes : NULL;
}
