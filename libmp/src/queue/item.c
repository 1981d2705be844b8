#include <mp/item.h>

#include "fault.h"

#include <stdlib.h>

void mp_item_clear(mp_item_t *self)
{
    free(self->data);
    *self = (mp_item_t){MP_ITEM_BYTES, NULL, 0, false};
}

const char *mp_item_kind_name(mp_item_kind_t kind)
{
    static const char *const names[] = {"bytes", "value tree", "protobuf message"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

mp_rc_t mp_item_tree(const mp_item_t *self, mp_tree_t **out)
{
    if (self->kind != MP_ITEM_TREE)
        return mpx_fault(MP_EINVAL, "the item is a %s, no value tree",
                         mp_item_kind_name(self->kind));
    return mp_tree_decode(self->data, self->size, NULL, out);
}
