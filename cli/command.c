#include "command.h"

#include <stdlib.h>
#include <string.h>

enum { SHELL = 1 }; /* bit 0 of the flags, as the protocol says */

const mp_task_t command_task = {.name = "mp.exec", .in = MP_RECORD_BYTES, .out = MP_RECORD_BYTES};

void command_init(command_t *self, char **argv, int argc, bool shell)
{
    *self = (command_t){.argv = argv, .argc = argc, .shell = shell};
    for (int i = 0; i < argc; i++)
        self->has_place = self->has_place || strstr(argv[i], "{}");
}

void command_free(command_t *self)
{
    free(self->bytes);
    self->bytes = NULL;
}

static bool add(command_t *self, const char *bytes, size_t size)
{
    if (size > self->room - self->size) {
        size_t room = (self->size + size) * 2;
        char *grown = realloc(self->bytes, room);
        if (!grown)
            return false;
        self->bytes = grown;
        self->room = room;
    }
    memcpy(self->bytes + self->size, bytes, size);
    self->size += size;
    return true;
}

/* As one word for a shell: in single quotes, with a quote in it as '\''. */
static bool add_quoted(command_t *self, const char *line, size_t size)
{
    bool ok = add(self, "'", 1);
    for (size_t i = 0; ok && i < size; i++)
        ok = line[i] == '\'' ? add(self, "'\\''", 4) : add(self, line + i, 1);
    return ok && add(self, "'", 1);
}

static bool add_line(command_t *self, const char *line, size_t size)
{
    return self->shell ? add_quoted(self, line, size) : add(self, line, size);
}

static bool add_word(command_t *self, const char *word, const char *line, size_t size)
{
    const char *place;
    while ((place = strstr(word, "{}"))) {
        if (!add(self, word, (size_t)(place - word)) || !add_line(self, line, size))
            return false;
        word = place + 2;
    }
    return add(self, word, strlen(word));
}

bool command_for(command_t *self, const char *line, size_t size, mp_bytes_t *out)
{
    char flags = self->shell ? SHELL : 0;
    const char *between = self->shell ? " " : "";
    self->size = 0;
    bool ok = add(self, &flags, 1);
    for (int i = 0; ok && i < self->argc; i++) {
        if (i > 0)
            ok = add(self, between, 1); /* without a shell: the NUL behind the word before */
        ok = ok && add_word(self, self->argv[i], line, size);
    }
    if (ok && !self->has_place)
        ok = add(self, between, 1) && add_line(self, line, size);
    ok = ok && add(self, "", 1);
    *out = (mp_bytes_t){self->bytes, self->size};
    return ok;
}

void command_outputs(mp_bytes_t value, mp_bytes_t *standard, mp_bytes_t *error)
{
    const unsigned char *bytes = value.data;
    *standard = *error = (mp_bytes_t){0};
    if (value.size < 4)
        return;
    size_t length =
        (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (length > value.size - 4)
        return;
    *standard = (mp_bytes_t){bytes + 4, length};
    *error = (mp_bytes_t){bytes + 4 + length, value.size - 4 - length};
}

bool command_is_missing(const command_t *self, const mp_outcome_t *outcome)
{
    enum { NOT_FOUND = 127 };
    const char *program = self->argc > 0 && !self->shell ? self->argv[0] : "{}";
    size_t length = strlen(program);
    return outcome->rc == MP_EFAILED && outcome->code == NOT_FOUND && !strstr(program, "{}") &&
           strncmp(outcome->message, program, length) == 0 &&
           strncmp(outcome->message + length, ": ", 2) == 0;
}

int command_signal(const mp_outcome_t *outcome)
{
    static const char words[] = "killed by signal ";
    bool was_killed = strncmp(outcome->message, words, sizeof words - 1) == 0;
    return was_killed && outcome->code > 128 ? outcome->code - 128 : 0;
}
