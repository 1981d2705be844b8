/* array.h: what Value and Array have in common: a Value is an array of one. */
#ifndef MPX_ARRAY_H
#define MPX_ARRAY_H

#include "arena.h"

#include <mp/value.h>

typedef struct mpx_array_state mpx_array_state_t;

struct mp_array {
    mpx_block_t *block;
    mpx_array_state_t *state;
    unsigned char *items;
    mp_lock_t *lock; /* NULL: raw */
    bool own_lock;
    char typecode; /* 0: a struct */
    size_t item_bytes;
    size_t length;
};

/* MP_EINVAL: it is none. */
mp_rc_t mpx_typecode_bytes(char typecode, size_t *out);

mp_rc_t mpx_array_make(char typecode, size_t item_bytes, size_t length, const void *initial,
                       const mp_shared_options_t *options, mp_array_t *out);
mp_rc_t mpx_array_open(const mp_ref_t *ref, mp_array_t *out);
void mpx_array_ref(const mp_array_t *self, mp_ref_t *out);
void mpx_array_end(mp_array_t *self);

/* MP_OK; MP_EOWNERDEAD: held as well; MP_EDEADLOCK. A raw one needs nothing. */
mp_rc_t mpx_array_enter(const mp_array_t *self);
void mpx_array_leave(const mp_array_t *self);

#endif
