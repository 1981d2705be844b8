/* arena.h: memory that processes share, for many small things.
 *
 * Blocks are cut from segments: unnamed files in memory (memfd), which the kernel takes back
 * with the last process that maps them, however it ends. What is free is written down in
 * private memory of the process that made the segment: no other process ever allocates in it,
 * so none can leave it half changed. A forked child has its parent's blocks, and makes
 * segments of its own for new ones.
 *
 * Placement: best fit by size classes, neighbours that are free grow together; a new segment
 * is twice as large as the last. A block is aligned to 64 bytes: two of them never share a
 * cache line. Any thread. Survives a fork in the middle of another thread's call.
 */
#ifndef MPX_ARENA_H
#define MPX_ARENA_H

#include <mp/error.h>
#include <mp/ref.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_block mpx_block_t;

#define MPX_BLOCK_BYTES_MAX ((size_t)1 << 40)

/* A block of zeros for an object of the given kind.
 * MP_OK; MP_ENOMEM; MP_ETOOLARGE; MP_ESYSTEM. */
mp_rc_t mpx_block_new(uint32_t kind, size_t bytes, mpx_block_t **out);

/* The block that a reference names, made by this or another process.
 * MP_OK; MP_EINVAL it is no reference, or one to something else than `kind`; MP_ENOTFOUND its
 * object was destroyed, or its maker has ended; MP_EPERM another user's; MP_ECORRUPT;
 * MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_block_open(const mp_ref_t *ref, uint32_t kind, mpx_block_t **out);
void mpx_block_ref(const mpx_block_t *self, mp_ref_t *out);

/* Let go of it; in the process that made it, its memory is used again. NULL-safe. */
void mpx_block_free(mpx_block_t *self);

void *mpx_block_data(const mpx_block_t *self);
size_t mpx_block_bytes(const mpx_block_t *self);

/* Have the kernel map its bytes [offset, offset+bytes) into this process at once: a fault for each
 * page costs as much as copying it. Only makes things quicker. */
void mpx_block_populate(const mpx_block_t *self, size_t offset, size_t bytes);

/* Have it lie in huge pages, if it fills some and the kernel (6.1) has them, and thus take all of
 * its memory now. Zeros then cost a tenth of what their first touch does page by page, and every
 * further process that maps them finds them mapped: one whose pages are shadowed by a hypervisor
 * pays 17 us for each, whether it is populated or not. Only makes things quicker. */
void mpx_block_collapse(const mpx_block_t *self);

typedef struct mpx_arena_counts {
    size_t segments;
    size_t segment_bytes;
    size_t blocks;
    size_t block_bytes; /* with heads and rounding */
    size_t spans;       /* blocks and the gaps between them */
} mpx_arena_counts_t;
/* Of what this process made. */
void mpx_arena_counts(mpx_arena_counts_t *out);

#endif
