/* alloc.h: which memory came from mp_alloc, so that it can be named to another process. */
#ifndef MPX_ALLOC_H
#define MPX_ALLOC_H

#include "arena.h"

typedef struct mpx_allocated mpx_allocated_t;

/* The allocation that holds all of [at, at+bytes), with a share in it; NULL: none does. Its block
 * lives at least as long as the share. */
mpx_allocated_t *mpx_allocated_find(const void *at, size_t bytes);
/* Give the share up. NULL-safe. */
void mpx_allocated_drop(mpx_allocated_t *self);
const mpx_block_t *mpx_allocated_block(const mpx_allocated_t *self);

#endif
