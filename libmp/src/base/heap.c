#include "heap.h"

#include <stdbool.h>
#include <stdlib.h>

/* nodes[1..count]; slot 0 stays unused so that 0 can mean "in no heap". */

static bool precedes(const mpx_heap_node_t *a, const mpx_heap_node_t *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(mpx_heap_t *self, mpx_heap_node_t *node, size_t slot)
{
    self->nodes[slot] = node;
    node->slot = slot;
}

static void rise(mpx_heap_t *self, mpx_heap_node_t *node)
{
    size_t slot = node->slot;
    for (; slot > 1 && precedes(node, self->nodes[slot / 2]); slot /= 2)
        place(self, self->nodes[slot / 2], slot);
    place(self, node, slot);
}

static void sink(mpx_heap_t *self, mpx_heap_node_t *node)
{
    size_t slot = node->slot;
    for (;;) {
        size_t child = slot * 2;
        if (child > self->count)
            break;
        if (child < self->count && precedes(self->nodes[child + 1], self->nodes[child]))
            child++;
        if (!precedes(self->nodes[child], node))
            break;
        place(self, self->nodes[child], slot);
        slot = child;
    }
    place(self, node, slot);
}

mp_rc_t mpx_heap_reserve(mpx_heap_t *self, size_t count)
{
    if (count < self->room)
        return MP_OK;
    size_t room = self->room ? self->room * 2 : 4;
    while (room <= count)
        room *= 2;
    mpx_heap_node_t **nodes = realloc(self->nodes, room * sizeof *nodes);
    if (!nodes)
        return MP_ENOMEM;
    self->nodes = nodes;
    self->room = room;
    return MP_OK;
}

mp_rc_t mpx_heap_set(mpx_heap_t *self, mpx_heap_node_t *node, int64_t at)
{
    if (!node->slot) {
        mp_rc_t rc = mpx_heap_reserve(self, self->count + 1);
        if (rc != MP_OK)
            return rc;
        place(self, node, ++self->count);
    }
    node->at = at;
    rise(self, node);
    sink(self, node);
    return MP_OK;
}

void mpx_heap_remove(mpx_heap_t *self, mpx_heap_node_t *node)
{
    size_t slot = node->slot;
    if (!slot)
        return;
    node->slot = 0;
    mpx_heap_node_t *last = self->nodes[self->count--];
    if (last == node)
        return;
    place(self, last, slot);
    rise(self, last);
    sink(self, last);
}

mpx_heap_node_t *mpx_heap_first(const mpx_heap_t *self)
{
    return self->count ? self->nodes[1] : NULL;
}

void mpx_heap_free(mpx_heap_t *self)
{
    free(self->nodes);
    self->nodes = NULL;
    self->count = 0;
    self->room = 0;
}
