/* wanted.h: how a get wants its item: copied into the caller's memory, or in new memory; a get
 * that can't be satisfied leaves the item where it is. */
#ifndef MPX_WANTED_H
#define MPX_WANTED_H

#include <mp/item.h>
#include <stdint.h>

typedef struct mpx_wanted {
    void *buffer; /* to copy into; NULL: `item` */
    size_t room;
    size_t *size;
    mp_item_t *item;
    bool only_tree; /* another kind is MP_EINVAL */
} mpx_wanted_t;

/* Hand an item over. MP_OK; MP_ETOOLARGE, MP_EINVAL, MP_ENOMEM: it isn't. */
mp_rc_t mpx_wanted_fill(const mpx_wanted_t *self, uint32_t kind, mp_bytes_t bytes, bool again);

#endif
