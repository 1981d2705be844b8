#include <mp/shared_memory.h>

#include "fault.h"

#include <stdlib.h>

static const uint64_t magic = UINT64_C(0x3174736c68735f70); /* "p_shlst1" */

/* A place in the list. Others may write to it at any time, so that what is read is checked
 * before it is used. */
typedef struct place {
    uint32_t type;
    uint32_t capacity;
    uint64_t offset; /* from the block's data */
    uint64_t length;
} place_t;

typedef struct list_head {
    uint64_t magic;
    uint64_t count;
    place_t places[];
} list_head_t;

struct mp_shareable_list {
    mp_shared_memory_t *block;
    unsigned char *data;
    size_t bytes;
    list_head_t *head;
    size_t count;
};

enum { CAPACITY_MAX = 1 << 30 };

bool mp_scalar_equal(mp_scalar_t a, mp_scalar_t b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case MP_SCALAR_NONE:
        return true;
    case MP_SCALAR_BOOL:
        return a.as.truth == b.as.truth;
    case MP_SCALAR_INT:
        return a.as.integer == b.as.integer;
    case MP_SCALAR_FLOAT:
        return a.as.real == b.as.real;
    case MP_SCALAR_STR:
    case MP_SCALAR_BYTES:
        return a.as.bytes.size == b.as.bytes.size &&
               (a.as.bytes.size == 0 ||
                memcmp(a.as.bytes.data, b.as.bytes.data, a.as.bytes.size) == 0);
    }
    return false;
}

static bool is_long(mp_scalar_type_t type)
{
    return type == MP_SCALAR_STR || type == MP_SCALAR_BYTES;
}

static size_t capacity_of(const mp_scalar_t *item)
{
    size_t bytes = is_long(item->type) ? item->as.bytes.size : sizeof(int64_t);
    return bytes ? (bytes + 7) / 8 * 8 : 8;
}

static mp_rc_t check_items(const mp_scalar_t *items, size_t count, size_t *bytes)
{
    *bytes = sizeof(list_head_t) + count * sizeof(place_t);
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)items[i].type > MP_SCALAR_BYTES)
            return mpx_fault(MP_EINVAL, "item %zu is of no type", i);
        if (is_long(items[i].type) && items[i].as.bytes.size > CAPACITY_MAX)
            return mpx_fault(MP_ETOOLARGE, "item %zu has %zu bytes", i, items[i].as.bytes.size);
        *bytes += capacity_of(&items[i]);
    }
    return MP_OK;
}

static void write_item(unsigned char *data, place_t *place, const mp_scalar_t *item)
{
    unsigned char *at = data + place->offset;
    place->type = item->type;
    place->length = is_long(item->type) ? item->as.bytes.size : sizeof(int64_t);
    switch (item->type) {
    case MP_SCALAR_NONE:
        break;
    case MP_SCALAR_BOOL:
        *at = item->as.truth;
        break;
    case MP_SCALAR_INT:
        memcpy(at, &item->as.integer, sizeof item->as.integer);
        break;
    case MP_SCALAR_FLOAT:
        memcpy(at, &item->as.real, sizeof item->as.real);
        break;
    case MP_SCALAR_STR:
    case MP_SCALAR_BYTES:
        if (place->length)
            memmove(at, item->as.bytes.data, place->length);
        break;
    }
}

static mp_rc_t wrap(mp_shared_memory_t *block, size_t count, mp_shareable_list_t **out)
{
    mp_shareable_list_t *self = malloc(sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a list");
    *self = (mp_shareable_list_t){.block = block,
                                  .data = mp_shared_memory_buf(block),
                                  .bytes = mp_shared_memory_size(block),
                                  .head = mp_shared_memory_buf(block),
                                  .count = count};
    *out = self;
    return MP_OK;
}

mp_rc_t mp_shareable_list_new(const mp_scalar_t *items, size_t count, const char *name,
                              mp_shareable_list_t **out)
{
    size_t bytes = 0;
    mp_shared_memory_t *block = NULL;
    if (count > CAPACITY_MAX / sizeof(place_t))
        return mpx_fault(MP_ETOOLARGE, "a list of %zu items", count);
    mp_rc_t rc = check_items(items, count, &bytes);
    if (rc == MP_OK)
        rc = mp_shared_memory_create(name, bytes, &block);
    if (rc != MP_OK)
        return rc;
    list_head_t *head = mp_shared_memory_buf(block);
    uint64_t offset = sizeof *head + count * sizeof(place_t);
    head->count = count;
    for (size_t i = 0; i < count; i++) {
        head->places[i].capacity = (uint32_t)capacity_of(&items[i]);
        head->places[i].offset = offset;
        offset += head->places[i].capacity;
        write_item(mp_shared_memory_buf(block), &head->places[i], &items[i]);
    }
    head->magic = magic;
    rc = wrap(block, count, out);
    if (rc != MP_OK) {
        (void)mp_shared_memory_unlink(block);
        mp_shared_memory_destroy(&block);
    }
    return rc;
}

mp_rc_t mp_shareable_list_attach(const char *name, mp_shareable_list_t **out)
{
    mp_shared_memory_t *block = NULL;
    mp_rc_t rc = mp_shared_memory_attach(name, &block);
    if (rc != MP_OK)
        return rc;
    const list_head_t *head = mp_shared_memory_buf(block);
    size_t bytes = mp_shared_memory_size(block);
    if (bytes < sizeof *head || head->magic != magic ||
        head->count > (bytes - sizeof *head) / sizeof(place_t))
        rc = mpx_fault(MP_ECORRUPT, "the block '%s' holds no list", name);
    if (rc == MP_OK)
        rc = wrap(block, head->count, out);
    if (rc != MP_OK)
        mp_shared_memory_destroy(&block);
    return rc;
}

void mp_shareable_list_destroy(mp_shareable_list_t **self)
{
    if (!*self)
        return;
    mp_shared_memory_destroy(&(*self)->block);
    free(*self);
    *self = NULL;
}

size_t mp_shareable_list_len(const mp_shareable_list_t *self)
{
    return self->count;
}

mp_shared_memory_t *mp_shareable_list_shm(const mp_shareable_list_t *self)
{
    return self->block;
}

/* ---- items ---------------------------------------------------------------------------------- */

/* A copy of the place, which can't change under our hands, and lies within the block. */
static mp_rc_t find_place(const mp_shareable_list_t *self, ptrdiff_t index, size_t *at,
                          place_t *out)
{
    ptrdiff_t count = (ptrdiff_t)self->count;
    if (!mp_shared_memory_buf(self->block))
        return mpx_fault(MP_ECLOSED, "the list is closed here");
    if (index < -count || index >= count)
        return mpx_fault(MP_ERANGE, "item %td of %td", index, count);
    *at = (size_t)(index < 0 ? index + count : index);
    *out = self->head->places[*at];
    if (out->offset > self->bytes || out->capacity > self->bytes - out->offset ||
        out->capacity < sizeof(int64_t) || out->length > out->capacity)
        return mpx_fault(MP_ECORRUPT, "item %td of the list is damaged", index);
    return MP_OK;
}

mp_rc_t mp_shareable_list_get(const mp_shareable_list_t *self, ptrdiff_t index, mp_scalar_t *out)
{
    place_t place = {0};
    size_t at = 0;
    mp_scalar_t item = {0};
    mp_rc_t rc = find_place(self, index, &at, &place);
    if (rc != MP_OK)
        return rc;
    const unsigned char *data = self->data + place.offset;
    item.type = (mp_scalar_type_t)place.type;
    switch (item.type) {
    case MP_SCALAR_NONE:
        break;
    case MP_SCALAR_BOOL:
        item.as.truth = *data != 0;
        break;
    case MP_SCALAR_INT:
        memcpy(&item.as.integer, data, sizeof item.as.integer);
        break;
    case MP_SCALAR_FLOAT:
        memcpy(&item.as.real, data, sizeof item.as.real);
        break;
    case MP_SCALAR_STR:
    case MP_SCALAR_BYTES:
        item.as.bytes = (mp_bytes_t){data, place.length};
        break;
    default:
        return mpx_fault(MP_ECORRUPT, "item %td of the list is of no type", index);
    }
    *out = item;
    return MP_OK;
}

mp_rc_t mp_shareable_list_set(mp_shareable_list_t *self, ptrdiff_t index, mp_scalar_t item)
{
    place_t place = {0};
    size_t at = 0;
    mp_rc_t rc = find_place(self, index, &at, &place);
    if (rc != MP_OK)
        return rc;
    if ((unsigned)item.type > MP_SCALAR_BYTES)
        return mpx_fault(MP_EINVAL, "an item of no type");
    if (is_long(item.type) && item.as.bytes.size > place.capacity)
        return mpx_fault(MP_ETOOLARGE, "%zu bytes for a place of %u", item.as.bytes.size,
                         place.capacity);
    write_item(self->data, &self->head->places[at], &item);
    return MP_OK;
}

size_t mp_shareable_list_count(const mp_shareable_list_t *self, mp_scalar_t item)
{
    size_t count = 0;
    mp_scalar_t other;
    for (size_t i = 0; i < self->count; i++)
        if (mp_shareable_list_get(self, (ptrdiff_t)i, &other) == MP_OK &&
            mp_scalar_equal(item, other))
            count++;
    return count;
}

mp_rc_t mp_shareable_list_index(const mp_shareable_list_t *self, mp_scalar_t item, size_t *out)
{
    mp_scalar_t other;
    for (size_t i = 0; i < self->count; i++)
        if (mp_shareable_list_get(self, (ptrdiff_t)i, &other) == MP_OK &&
            mp_scalar_equal(item, other)) {
            *out = i;
            return MP_OK;
        }
    return mpx_fault(MP_ENOTFOUND, "no item of the list equals that");
}
