#include "array.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

struct mp_value {
    mp_array_t one;
};

static mp_rc_t keep(const mp_array_t *made, mp_value_t **out)
{
    mp_value_t *self = malloc(sizeof *self);
    if (!self) {
        mp_array_t copy = *made;
        mpx_array_end(&copy);
        return mpx_fault(MP_ENOMEM, "a value");
    }
    self->one = *made;
    *out = self;
    return MP_OK;
}

mp_rc_t mp_value_new_struct(size_t bytes, const void *initial, const mp_shared_options_t *options,
                            mp_value_t **out)
{
    mp_array_t made;
    mp_rc_t rc = mpx_array_make(0, bytes, 1, initial, options, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

mp_rc_t mp_value_new(char typecode, const void *initial, const mp_shared_options_t *options,
                     mp_value_t **out)
{
    mp_array_t made;
    size_t bytes = 0;
    mp_rc_t rc = mpx_typecode_bytes(typecode, &bytes);
    if (rc == MP_OK)
        rc = mpx_array_make(typecode, bytes, 1, initial, options, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

mp_rc_t mp_raw_value_new(char typecode, const void *initial, mp_value_t **out)
{
    return mp_value_new(typecode, initial, &(mp_shared_options_t){.raw = true}, out);
}

mp_rc_t mp_value_open(const mp_ref_t *ref, mp_value_t **out)
{
    mp_array_t made;
    mp_rc_t rc = mpx_array_open(ref, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

void mp_value_ref(const mp_value_t *self, mp_ref_t *out)
{
    mpx_array_ref(&self->one, out);
}

void mp_value_destroy(mp_value_t **self)
{
    if (!*self)
        return;
    mpx_array_end(&(*self)->one);
    free(*self);
    *self = NULL;
}

void *mp_value_get_obj(const mp_value_t *self)
{
    return self->one.items;
}

mp_lock_t *mp_value_get_lock(const mp_value_t *self)
{
    return self->one.lock;
}

size_t mp_value_bytes(const mp_value_t *self)
{
    return self->one.item_bytes;
}

mp_rc_t mp_value_get(const mp_value_t *self, void *out)
{
    return mp_array_get(&self->one, 0, out);
}

mp_rc_t mp_value_set(mp_value_t *self, const void *in)
{
    return mp_array_set(&self->one, 0, in);
}

/* By the processor, so that raw ones and those under a lock are alike; what it comes to is cut
 * to the type's width, as C does. */
static mp_rc_t add(void *item, char typecode, int64_t delta, int64_t *result)
{
#define ADD(code, type)                                                                            \
    case code:                                                                                     \
        *result = (int64_t)__atomic_add_fetch((type *)item, (type)delta, __ATOMIC_SEQ_CST);        \
        return MP_OK
    switch (typecode) {
        ADD('c', char);
        ADD('b', signed char);
        ADD('B', unsigned char);
        ADD('h', short);
        ADD('H', unsigned short);
        ADD('i', int);
        ADD('I', unsigned);
        ADD('l', long);
        ADD('L', unsigned long);
        ADD('q', long long);
        ADD('Q', unsigned long long);
    default:
        return mpx_fault(MP_EINVAL, "only integers are added to");
    }
#undef ADD
}

mp_rc_t mp_value_add(mp_value_t *self, int64_t delta, int64_t *result)
{
    int64_t sum = 0;
    mp_rc_t entered = mpx_array_enter(&self->one);
    if (entered != MP_OK && entered != MP_EOWNERDEAD)
        return entered;
    mp_rc_t rc = add(self->one.items, self->one.typecode, delta, &sum);
    mpx_array_leave(&self->one);
    if (rc == MP_OK && result)
        *result = sum;
    return rc == MP_OK ? entered : rc;
}
