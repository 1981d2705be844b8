/* notes.h: messages that were sent, or are to be, and that the other side has not on its disk yet.
 *
 * Numbered from 1 in the order in which they are added; `kept` is cumulative, so that what is left
 * is a row without gaps.
 */
#ifndef MPX_NOTES_H
#define MPX_NOTES_H

#include "wire.h"

typedef struct mpx_note {
    struct mpx_note *next;
    mpx_header_t header;
    size_t size;
    unsigned char payload[];
} mpx_note_t;

typedef struct mpx_notes mpx_notes_t;

/* MP_OK; MP_ENOMEM. */
mp_rc_t mpx_notes_new(mpx_notes_t **out);
void mpx_notes_free(mpx_notes_t **self);

/* Whether such messages are noted at all: OPEN, SUBMIT, CANCEL, CLOSE. */
bool mpx_notes_has(mpx_op_t op);

/* Copy one. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_notes_add(mpx_notes_t *self, const mpx_header_t *header, mp_bytes_t payload);
/* Those up to this number need not be sent again. MP_OK; MP_EPROTO there weren't so many. */
mp_rc_t mpx_notes_keep(mpx_notes_t *self, uint64_t number);
/* The number up to which they are kept. */
uint64_t mpx_notes_kept(const mpx_notes_t *self);
/* The oldest one that isn't kept. */
const mpx_note_t *mpx_notes_first(const mpx_notes_t *self);
/* Forget all, and count from 1 again. */
void mpx_notes_clear(mpx_notes_t *self);

#endif
