/* borrow.h: the owner's shared memory, as an executor uses it. Mappings are kept for the next
 * chunk, which is likely to lie in the same block. */
#ifndef MPX_BORROW_H
#define MPX_BORROW_H

#include "arena.h"
#include "post.h"

enum { MPX_BORROWED_MAX = 8, MPX_BORROWED_PARTS = 1024 };

typedef struct mpx_borrowed {
    struct mpx_borrowed_block {
        mp_ref_t ref;
        mpx_block_t *block;
        uint64_t used; /* when, in turns */
        /* A bit for each part that is populated: to ask the kernel again costs a tenth of what is
         * done with the pages. */
        uint64_t populated[MPX_BORROWED_PARTS / 64];
    } blocks[MPX_BORROWED_MAX];
    uint64_t turn;
} mpx_borrowed_t;

/* The address of a place; valid until the MPX_BORROWED_MAX-th next call, or mpx_borrow_tidy.
 * MP_OK; MP_EPROTO it doesn't lie in its block; as mpx_block_open. */
mp_rc_t mpx_borrow(mpx_borrowed_t *self, const mpx_place_t *place, unsigned char **out);

/* Give back large ones: their owner may have no use for them any more. */
void mpx_borrow_tidy(mpx_borrowed_t *self);

#endif
