#include "notes.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

struct mpx_notes {
    mpx_note_t *first;
    mpx_note_t **end;
    uint64_t kept;
    uint64_t added;
};

mp_rc_t mpx_notes_new(mpx_notes_t **out)
{
    mpx_notes_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->end = &self->first;
    *out = self;
    return MP_OK;
}

void mpx_notes_free(mpx_notes_t **self_p)
{
    mpx_notes_t *self = *self_p;
    if (!self)
        return;
    mpx_notes_clear(self);
    free(self);
    *self_p = NULL;
}

bool mpx_notes_has(mpx_op_t op)
{
    return op == MPX_OP_OPEN || op == MPX_OP_SUBMIT || op == MPX_OP_CANCEL || op == MPX_OP_CLOSE;
}

mp_rc_t mpx_notes_add(mpx_notes_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_note_t *note = malloc(sizeof *note + payload.size);
    if (!note)
        return MP_ENOMEM;
    note->next = NULL;
    note->header = *header;
    note->size = payload.size;
    if (payload.size)
        memcpy(note->payload, payload.data, payload.size);
    *self->end = note;
    self->end = &note->next;
    self->added++;
    return MP_OK;
}

static void drop_first(mpx_notes_t *self)
{
    mpx_note_t *note = self->first;
    self->first = note->next;
    if (!self->first)
        self->end = &self->first;
    free(note);
}

mp_rc_t mpx_notes_keep(mpx_notes_t *self, uint64_t number)
{
    if (number > self->added)
        return mpx_fault(MP_EPROTO, "it has kept messages that were never sent");
    for (; self->kept < number; self->kept++)
        drop_first(self);
    return MP_OK;
}

uint64_t mpx_notes_kept(const mpx_notes_t *self)
{
    return self->kept;
}

const mpx_note_t *mpx_notes_first(const mpx_notes_t *self)
{
    return self->first;
}

void mpx_notes_clear(mpx_notes_t *self)
{
    while (self->first)
        drop_first(self);
    self->kept = 0;
    self->added = 0;
}
