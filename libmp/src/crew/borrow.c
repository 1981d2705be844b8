#include "borrow.h"

#include "fault.h"
#include "reference.h"

#include <string.h>

enum { LARGE_BYTES = 8 << 20, PART_MIN = 64 * 1024, BITS = 64 };

static void give_back(struct mpx_borrowed_block *one)
{
    mpx_block_free(one->block);
    *one = (struct mpx_borrowed_block){0};
}

static struct mpx_borrowed_block *find(mpx_borrowed_t *self, const mp_ref_t *ref)
{
    for (int i = 0; i < MPX_BORROWED_MAX; i++)
        if (self->blocks[i].block && memcmp(&self->blocks[i].ref, ref, sizeof *ref) == 0)
            return &self->blocks[i];
    return NULL;
}

static struct mpx_borrowed_block *oldest(mpx_borrowed_t *self)
{
    struct mpx_borrowed_block *oldest = &self->blocks[0];
    for (int i = 1; i < MPX_BORROWED_MAX; i++)
        if (self->blocks[i].used < oldest->used)
            oldest = &self->blocks[i];
    return oldest;
}

/* Give it pages, in whole parts, where that has not been done. */
static void populate(struct mpx_borrowed_block *one, uint64_t offset, uint64_t bytes)
{
    size_t size = mpx_block_bytes(one->block);
    size_t part = (size + MPX_BORROWED_PARTS - 1) / MPX_BORROWED_PARTS;
    if (part < PART_MIN)
        part = PART_MIN;
    size_t first = offset / part;
    size_t end = (offset + bytes + part - 1) / part;
    while (first < end && one->populated[first / BITS] >> first % BITS & 1)
        first++;
    while (first < end && one->populated[(end - 1) / BITS] >> (end - 1) % BITS & 1)
        end--;
    if (first == end)
        return;
    size_t from = first * part;
    size_t to = end * part < size ? end * part : size;
    mpx_block_populate(one->block, from, to - from);
    for (size_t i = first; i < end; i++)
        one->populated[i / BITS] |= UINT64_C(1) << i % BITS;
}

mp_rc_t mpx_borrow(mpx_borrowed_t *self, const mpx_place_t *place, unsigned char **out)
{
    struct mpx_borrowed_block *one = find(self, &place->ref);
    if (!one) {
        one = oldest(self);
        give_back(one);
        mp_rc_t rc = mpx_block_open(&place->ref, MPX_KIND_BULK, &one->block);
        if (rc != MP_OK)
            return rc;
        one->ref = place->ref;
    }
    one->used = ++self->turn;
    size_t size = mpx_block_bytes(one->block);
    if (place->offset > size || place->bytes > size - place->offset)
        return mpx_fault(MP_EPROTO, "a chunk that doesn't lie in its block");
    *out = (unsigned char *)mpx_block_data(one->block) + place->offset;
    populate(one, place->offset, place->bytes);
    return MP_OK;
}

void mpx_borrow_tidy(mpx_borrowed_t *self)
{
    for (int i = 0; i < MPX_BORROWED_MAX; i++)
        if (self->blocks[i].block && mpx_block_bytes(self->blocks[i].block) >= LARGE_BYTES)
            give_back(&self->blocks[i]);
}
