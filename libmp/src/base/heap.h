/* heap.h: an intrusive binary heap of deadlines. Nodes know their slot, so any of
 * them can be removed or moved in logarithmic time. Of ties the one with the lower
 * `order` is first, which its owner sets before the node is inserted or moved. */
#ifndef MPX_HEAP_H
#define MPX_HEAP_H

#include <mp/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_heap_node {
    int64_t at;     /* ns */
    uint64_t order; /* among those of the same time */
    size_t slot;    /* 1-based position; 0: in no heap */
} mpx_heap_node_t;

typedef struct mpx_heap {
    mpx_heap_node_t **nodes;
    size_t count;
    size_t room;
} mpx_heap_t;

/* Insert, or move when it is in already. MP_OK; MP_ENOMEM (only when inserting). */
mp_rc_t mpx_heap_set(mpx_heap_t *self, mpx_heap_node_t *node, int64_t at);
/* So many nodes can be inserted without MP_ENOMEM. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_heap_reserve(mpx_heap_t *self, size_t count);
void mpx_heap_remove(mpx_heap_t *self, mpx_heap_node_t *node); /* harmless if out */
mpx_heap_node_t *mpx_heap_first(const mpx_heap_t *self);       /* NULL when empty */
void mpx_heap_free(mpx_heap_t *self);

#endif
