/* Before lines.h, which has uthash's handle. */
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->index = UINT64_MAX)
#include "lines.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static size_t memory_of(const line_t *line)
{
    return sizeof *line + line->size + 1;
}

bool lines_add(lines_t *self, uint64_t number, const char *text, size_t size, mp_rc_t refused)
{
    line_t *line = calloc(1, sizeof *line + size + 1);
    if (!line)
        return false;
    line->number = number;
    line->index = UINT64_MAX;
    line->refused = refused;
    line->size = size;
    if (size)
        memcpy(line->text, text, size);
    DL_APPEND(self->head, line);
    self->bytes += memory_of(line);
    if (!self->next_put)
        self->next_put = line;
    return true;
}

bool lines_put(lines_t *self, uint64_t index)
{
    line_t *line = self->next_put;
    line->index = index;
    HASH_ADD(hh, self->by_index, index, sizeof line->index, line);
    self->next_put = line->next;
    return line->index == index;
}

void lines_pass(lines_t *self)
{
    self->next_put = self->next_put->next;
}

line_t *lines_find(const lines_t *self, uint64_t index)
{
    line_t *line = NULL;
    HASH_FIND(hh, self->by_index, &index, sizeof index, line);
    return line;
}

void lines_remove(lines_t *self, line_t *line)
{
    if (line->index != UINT64_MAX)
        HASH_DEL(self->by_index, line);
    DL_DELETE(self->head, line);
    self->bytes -= memory_of(line);
    free(line);
}

void lines_free(lines_t *self)
{
    while (self->head)
        lines_remove(self, self->head);
    self->next_put = NULL;
}
