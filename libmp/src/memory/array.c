#include "array.h"

#include "fault.h"
#include "lock.h"
#include "reference.h"
#include "slice.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct mpx_array_state {
    uint64_t item_bytes;
    uint64_t length;
    uint32_t typecode;
    uint32_t has_lock;
    mpx_lock_name_t lock;
    alignas(64) unsigned char items[];
};

mp_rc_t mpx_typecode_bytes(char typecode, size_t *out)
{
    static const struct {
        char code;
        size_t bytes;
    } codes[] = {{'c', 1},
                 {'b', 1},
                 {'B', 1},
                 {'h', sizeof(short)},
                 {'H', sizeof(short)},
                 {'i', sizeof(int)},
                 {'I', sizeof(int)},
                 {'l', sizeof(long)},
                 {'L', sizeof(long)},
                 {'q', sizeof(long long)},
                 {'Q', sizeof(long long)},
                 {'f', sizeof(float)},
                 {'d', sizeof(double)}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == typecode) {
            *out = codes[i].bytes;
            return MP_OK;
        }
    return mpx_fault(MP_EINVAL, "'%c' is none of the type codes c b B h H i I l L q Q f d",
                     typecode >= ' ' && typecode <= '~' ? typecode : '?');
}

/* ---- life ----------------------------------------------------------------------------------- */

static void attach(mpx_block_t *block, mp_array_t *out)
{
    mpx_array_state_t *state = mpx_block_data(block);
    *out = (mp_array_t){.block = block,
                        .state = state,
                        .items = state->items,
                        .typecode = (char)state->typecode,
                        .item_bytes = state->item_bytes,
                        .length = state->length};
}

static mp_rc_t give_lock(mp_array_t *self, const mp_shared_options_t *options)
{
    if (options && options->raw)
        return MP_OK;
    self->state->has_lock = 1;
    self->lock = options ? options->lock : NULL;
    self->own_lock = !self->lock;
    mp_rc_t rc = self->own_lock ? mp_rlock_new(&self->lock) : MP_OK;
    return rc == MP_OK ? mpx_lock_name_init(&self->state->lock) : rc;
}

mp_rc_t mpx_array_make(char typecode, size_t item_bytes, size_t length, const void *initial,
                       const mp_shared_options_t *options, mp_array_t *out)
{
    mpx_block_t *block = NULL;
    if (item_bytes == 0 || length == 0)
        return mpx_fault(MP_EINVAL, "%zu items of %zu bytes", length, item_bytes);
    if (length > MPX_BLOCK_BYTES_MAX / item_bytes)
        return mpx_fault(MP_ETOOLARGE, "%zu items of %zu bytes", length, item_bytes);
    mp_rc_t rc =
        mpx_block_new(MPX_KIND_ARRAY, sizeof(mpx_array_state_t) + item_bytes * length, &block);
    if (rc != MP_OK)
        return rc;
    mpx_array_state_t *state = mpx_block_data(block);
    state->item_bytes = item_bytes;
    state->length = length;
    state->typecode = (unsigned char)typecode;
    mp_array_t self;
    attach(block, &self);
    rc = give_lock(&self, options);
    if (rc != MP_OK) {
        mpx_array_end(&self);
        return rc;
    }
    if (initial)
        memcpy(self.items, initial, item_bytes * length);
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_array_open(const mp_ref_t *ref, mp_array_t *out)
{
    mpx_block_t *block = NULL;
    mp_array_t self;
    mp_rc_t rc = mpx_block_open(ref, MPX_KIND_ARRAY, &block);
    if (rc != MP_OK)
        return rc;
    attach(block, &self);
    size_t room = mpx_block_bytes(block) - sizeof(mpx_array_state_t);
    if (self.item_bytes == 0 || self.length == 0 || self.length > room / self.item_bytes)
        rc = mpx_fault(MP_ECORRUPT, "a reference to a damaged array");
    if (rc == MP_OK && self.state->has_lock) {
        rc = mpx_lock_name_open(&self.state->lock, &self.lock);
        self.own_lock = rc == MP_OK;
    }
    if (rc != MP_OK) {
        mpx_array_end(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_array_ref(const mp_array_t *self, mp_ref_t *out)
{
    if (self->lock)
        mpx_lock_name_write(&self->state->lock, self->lock);
    mpx_block_ref(self->block, out);
}

void mpx_array_end(mp_array_t *self)
{
    if (self->own_lock)
        mp_lock_destroy(&self->lock);
    mpx_block_free(self->block);
}

mp_rc_t mpx_array_enter(const mp_array_t *self)
{
    return self->lock ? mp_lock_acquire(self->lock, -1) : MP_OK;
}

void mpx_array_leave(const mp_array_t *self)
{
    if (self->lock)
        (void)mp_lock_release(self->lock);
}

static mp_rc_t keep(const mp_array_t *made, mp_array_t **out)
{
    mp_array_t *self = malloc(sizeof *self);
    if (!self) {
        mp_array_t copy = *made;
        mpx_array_end(&copy);
        return mpx_fault(MP_ENOMEM, "an array");
    }
    *self = *made;
    *out = self;
    return MP_OK;
}

mp_rc_t mp_array_new_struct(size_t item_bytes, size_t length, const void *initial,
                            const mp_shared_options_t *options, mp_array_t **out)
{
    mp_array_t made;
    mp_rc_t rc = mpx_array_make(0, item_bytes, length, initial, options, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

mp_rc_t mp_array_new(char typecode, size_t length, const void *initial,
                     const mp_shared_options_t *options, mp_array_t **out)
{
    mp_array_t made;
    size_t bytes = 0;
    mp_rc_t rc = mpx_typecode_bytes(typecode, &bytes);
    if (rc == MP_OK)
        rc = mpx_array_make(typecode, bytes, length, initial, options, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

mp_rc_t mp_raw_array_new(char typecode, size_t length, const void *initial, mp_array_t **out)
{
    return mp_array_new(typecode, length, initial, &(mp_shared_options_t){.raw = true}, out);
}

mp_rc_t mp_array_open(const mp_ref_t *ref, mp_array_t **out)
{
    mp_array_t made;
    mp_rc_t rc = mpx_array_open(ref, &made);
    return rc == MP_OK ? keep(&made, out) : rc;
}

void mp_array_ref(const mp_array_t *self, mp_ref_t *out)
{
    mpx_array_ref(self, out);
}

void mp_array_destroy(mp_array_t **self)
{
    if (!*self)
        return;
    mpx_array_end(*self);
    free(*self);
    *self = NULL;
}

/* ---- items ---------------------------------------------------------------------------------- */

void *mp_array_get_obj(const mp_array_t *self)
{
    return self->items;
}

mp_lock_t *mp_array_get_lock(const mp_array_t *self)
{
    return self->lock;
}

size_t mp_array_len(const mp_array_t *self)
{
    return self->length;
}

size_t mp_array_item_bytes(const mp_array_t *self)
{
    return self->item_bytes;
}

static unsigned char *item_at(const mp_array_t *self, size_t i)
{
    return self->items + i * self->item_bytes;
}

/* NULL: there is no such item. */
static unsigned char *find_item(const mp_array_t *self, ptrdiff_t index)
{
    ptrdiff_t length = (ptrdiff_t)self->length;
    if (index >= -length && index < length)
        return item_at(self, (size_t)(index < 0 ? index + length : index));
    (void)mpx_fault(MP_ERANGE, "item %td of %td", index, length);
    return NULL;
}

static bool entered(mp_rc_t rc)
{
    return rc == MP_OK || rc == MP_EOWNERDEAD;
}

static mp_rc_t copy_locked(const mp_array_t *self, void *to, const void *from, size_t bytes)
{
    mp_rc_t rc = mpx_array_enter(self);
    if (!entered(rc))
        return rc;
    memcpy(to, from, bytes);
    mpx_array_leave(self);
    return rc;
}

mp_rc_t mp_array_get(const mp_array_t *self, ptrdiff_t index, void *out)
{
    const unsigned char *item = find_item(self, index);
    return item ? copy_locked(self, out, item, self->item_bytes) : MP_ERANGE;
}

mp_rc_t mp_array_set(mp_array_t *self, ptrdiff_t index, const void *in)
{
    unsigned char *item = find_item(self, index);
    return item ? copy_locked(self, item, in, self->item_bytes) : MP_ERANGE;
}

/* ---- slices --------------------------------------------------------------------------------- */

static void copy_out(const mp_array_t *self, const mpx_slice_t *slice, unsigned char *out)
{
    if (slice->step == 1) {
        memcpy(out, item_at(self, slice->first), slice->count * self->item_bytes);
        return;
    }
    ptrdiff_t at = (ptrdiff_t)slice->first;
    for (size_t i = 0; i < slice->count; i++, at += slice->step)
        memcpy(out + i * self->item_bytes, item_at(self, (size_t)at), self->item_bytes);
}

static void copy_in(const mp_array_t *self, const mpx_slice_t *slice, const unsigned char *in)
{
    if (slice->step == 1) {
        memcpy(item_at(self, slice->first), in, slice->count * self->item_bytes);
        return;
    }
    ptrdiff_t at = (ptrdiff_t)slice->first;
    for (size_t i = 0; i < slice->count; i++, at += slice->step)
        memcpy(item_at(self, (size_t)at), in + i * self->item_bytes, self->item_bytes);
}

mp_rc_t mp_array_get_slice(const mp_array_t *self, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step,
                           void *out, size_t *count)
{
    mpx_slice_t slice;
    mp_rc_t rc = mpx_slice_of(self->length, start, stop, step, &slice);
    if (rc != MP_OK)
        return rc;
    if (slice.count > *count)
        return mpx_fault(MP_ERANGE, "a slice of %zu items, and room for %zu", slice.count, *count);
    rc = mpx_array_enter(self);
    if (!entered(rc))
        return rc;
    if (slice.count)
        copy_out(self, &slice, out);
    mpx_array_leave(self);
    *count = slice.count;
    return rc;
}

mp_rc_t mp_array_set_slice(mp_array_t *self, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step,
                           const void *in, size_t count)
{
    mpx_slice_t slice;
    mp_rc_t rc = mpx_slice_of(self->length, start, stop, step, &slice);
    if (rc != MP_OK)
        return rc;
    if (slice.count != count)
        return mpx_fault(MP_ERANGE, "a slice of %zu items can't take %zu", slice.count, count);
    rc = mpx_array_enter(self);
    if (!entered(rc))
        return rc;
    if (count)
        copy_in(self, &slice, in);
    mpx_array_leave(self);
    return rc;
}

/* ---- text ----------------------------------------------------------------------------------- */

static mp_rc_t check_text(const mp_array_t *self)
{
    return self->item_bytes == 1
               ? MP_OK
               : mpx_fault(MP_EINVAL, "items of %zu bytes are no text", self->item_bytes);
}

mp_rc_t mp_array_get_text(const mp_array_t *self, char *buffer, size_t size)
{
    mp_rc_t rc = check_text(self);
    if (rc == MP_OK)
        rc = mpx_array_enter(self);
    if (!entered(rc))
        return rc;
    size_t length = strnlen((const char *)self->items, self->length);
    bool fits = length < size;
    if (fits) {
        memcpy(buffer, self->items, length);
        buffer[length] = 0;
    }
    mpx_array_leave(self);
    return fits ? rc : mpx_fault(MP_ERANGE, "a text of %zu bytes, and room for %zu", length, size);
}

mp_rc_t mp_array_set_text(mp_array_t *self, const char *text)
{
    size_t length = strlen(text);
    mp_rc_t rc = check_text(self);
    if (rc != MP_OK)
        return rc;
    if (length > self->length)
        return mpx_fault(MP_ERANGE, "a text of %zu bytes for %zu", length, self->length);
    return copy_locked(self, self->items, text, length + (length < self->length));
}
