/* table.c: chunks by id.
 *
 * Every message of a worker names a chunk, and there may be hundreds of thousands: open
 * addressing keeps a look-up at one or two cache lines. A removal closes its gap, so there
 * are no tombstones and an empty place ends every search.
 */
#include "sched_private.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64, FIRST_SHIFT = 64 - 6 };

static size_t home_of(const table_t *self, uint64_t id)
{
    return mpx_spread(id) >> self->shift;
}

static size_t after(const table_t *self, size_t place)
{
    return (place + 1) & (self->room - 1);
}

/* Where the id is, or else where it would go. */
static size_t seek(const table_t *self, uint64_t id)
{
    size_t place = home_of(self, id);
    while (self->entries[place].chunk && self->entries[place].id != id)
        place = after(self, place);
    return place;
}

static mp_rc_t grow(table_t *self)
{
    table_t old = *self;
    size_t room = old.room ? old.room * 2 : FIRST_ROOM;
    entry_t *entries = calloc(room, sizeof *entries);
    if (!entries)
        return MP_ENOMEM;
    self->entries = entries;
    self->room = room;
    self->shift = old.room ? old.shift - 1 : FIRST_SHIFT;
    for (size_t i = 0; i < old.room; i++)
        if (old.entries[i].chunk)
            entries[seek(self, old.entries[i].id)] = old.entries[i];
    free(old.entries);
    return MP_OK;
}

mp_rc_t mpx_table_add(table_t *self, uint64_t id, chunk_t *chunk)
{
    if (self->count >= self->room / 2 && grow(self) != MP_OK)
        return MP_ENOMEM;
    self->entries[seek(self, id)] = (entry_t){id, chunk};
    self->count++;
    return MP_OK;
}

chunk_t *mpx_table_find(const table_t *self, uint64_t id)
{
    return self->room ? self->entries[seek(self, id)].chunk : NULL;
}

/* Move back each later entry of the run whose way from home leads over the gap. */
void mpx_table_remove(table_t *self, uint64_t id)
{
    size_t mask = self->room - 1;
    size_t gap = seek(self, id);
    for (size_t i = after(self, gap); self->entries[i].chunk; i = after(self, i)) {
        size_t way = (i - home_of(self, self->entries[i].id)) & mask;
        if (way < ((i - gap) & mask))
            continue;
        self->entries[gap] = self->entries[i];
        gap = i;
    }
    self->entries[gap].chunk = NULL;
    self->count--;
}

void mpx_table_free(table_t *self)
{
    free(self->entries);
    *self = (table_t){0};
}
