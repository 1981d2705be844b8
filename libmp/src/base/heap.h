/* heap.h: an intrusive binary heap of deadlines. Nodes know their slot, so any of
 * them can be removed or moved in logarithmic time. Ties keep no order. */
#ifndef MPX_HEAP_H
#define MPX_HEAP_H

#include <mp/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_heap_node {
    int64_t at;  /* ns */
    size_t slot; /* 1-based position; 0: in no heap */
} mpx_heap_node_t;

typedef struct mpx_heap {
    mpx_heap_node_t **nodes;
    size_t count;
    size_t room;
} mpx_heap_t;

/* Insert, or move when it is in already. MP_OK; MP_ENOMEM (only when inserting). */
mp_rc_t mpx_heap_set(mpx_heap_t *self, mpx_heap_node_t *node, int64_t at);
void mpx_heap_remove(mpx_heap_t *self, mpx_heap_node_t *node); /* harmless if out */
mpx_heap_node_t *mpx_heap_first(const mpx_heap_t *self);       /* NULL when empty */
void mpx_heap_free(mpx_heap_t *self);

#endif
