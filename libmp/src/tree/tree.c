#include "tree.h"

#include "fault.h"
#include "unicode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Smaller dicts are searched from end to end. */
enum { INDEX_FROM = 16 };

/* ---- nodes ---------------------------------------------------------------------------------- */

mp_tree_t *mpx_tree_new(mp_tree_type_t type)
{
    mp_tree_t *self = calloc(1, sizeof *self);
    if (self)
        self->type = type;
    return self;
}

mp_tree_t *mp_tree_null(void)
{
    return mpx_tree_new(MP_TREE_NULL);
}

mp_tree_t *mp_tree_bool(bool truth)
{
    mp_tree_t *self = mpx_tree_new(MP_TREE_BOOL);
    if (self)
        self->as.truth = truth;
    return self;
}

mp_tree_t *mp_tree_int(int64_t integer)
{
    mp_tree_t *self = mpx_tree_new(MP_TREE_INT);
    if (self)
        self->as.integer = integer;
    return self;
}

mp_tree_t *mp_tree_float(double real)
{
    mp_tree_t *self = mpx_tree_new(MP_TREE_FLOAT);
    if (self)
        self->as.real = real;
    return self;
}

mp_tree_t *mp_tree_ref(const mp_ref_t *ref)
{
    mp_tree_t *self = ref ? mpx_tree_new(MP_TREE_REF) : NULL;
    if (self)
        self->as.ref = *ref;
    return self;
}

static char *copy_text(const char *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

mp_tree_t *mpx_tree_text(mp_tree_type_t type, const char *data, size_t size)
{
    mp_tree_t *self = mpx_tree_new(type);
    if (!self)
        return NULL;
    self->as.bytes.size = size;
    self->as.bytes.data = copy_text(data, size);
    if (!self->as.bytes.data)
        mp_tree_destroy(&self);
    return self;
}

mp_tree_t *mp_tree_str_n(const char *text, size_t size)
{
    return text && mpx_unicode_valid(text, size) ? mpx_tree_text(MP_TREE_STR, text, size) : NULL;
}

mp_tree_t *mp_tree_str(const char *text)
{
    return text ? mp_tree_str_n(text, strlen(text)) : NULL;
}

mp_tree_t *mp_tree_bytes(const void *data, size_t size)
{
    return mpx_tree_text(MP_TREE_BYTES, data, size);
}

static bool is_many(const mp_tree_t *self)
{
    return self && (self->type == MP_TREE_LIST || self->type == MP_TREE_DICT);
}

/* Without recursion: a tree may be as deep as its builder liked. What is taken apart is hung
 * below the rest of its parent. */
void mp_tree_destroy(mp_tree_t **self_p)
{
    mp_tree_t *self = *self_p;
    *self_p = NULL;
    mpx_tree_slot_t *parents = NULL; /* node: the parent; key: unused link */
    size_t depth = 0;
    size_t room = 0;
    while (self) {
        if (is_many(self) && self->as.many.count > 0) {
            if (depth == room) {
                size_t more = room ? room * 2 : 32;
                mpx_tree_slot_t *grown = realloc(parents, more * sizeof *grown);
                if (!grown) /* rather a leak than a broken tree */
                    break;
                parents = grown;
                room = more;
            }
            mpx_tree_slot_t *last = &self->as.many.slots[--self->as.many.count];
            parents[depth++].node = self;
            free(last->key);
            self = last->node;
            continue;
        }
        if (is_many(self)) {
            free(self->as.many.slots);
            free(self->as.many.index);
        } else if (self->type == MP_TREE_STR || self->type == MP_TREE_BYTES) {
            free(self->as.bytes.data);
        }
        free(self);
        self = depth > 0 ? parents[--depth].node : NULL;
    }
    free(parents);
}

/* ---- the keys of a dict --------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *key, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)key[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static void enter_index(mp_tree_t *self, size_t slot)
{
    const mpx_tree_slot_t *entered = &self->as.many.slots[slot];
    size_t mask = self->as.many.index_room - 1;
    size_t at = hash_of(entered->key, entered->key_size) & mask;
    while (self->as.many.index[at])
        at = (at + 1) & mask;
    self->as.many.index[at] = (uint32_t)slot + 1;
}

/* Anew, with room for twice as many; without memory for it the dict is searched. */
static void build_index(mp_tree_t *self)
{
    size_t room = 64;
    while (room < self->as.many.count * 4)
        room *= 2;
    free(self->as.many.index);
    self->as.many.index = calloc(room, sizeof *self->as.many.index);
    self->as.many.index_room = self->as.many.index ? room : 0;
    for (size_t i = 0; self->as.many.index && i < self->as.many.count; i++)
        enter_index(self, i);
}

static void update_index(mp_tree_t *self)
{
    size_t count = self->as.many.count;
    if (self->type != MP_TREE_DICT || count < INDEX_FROM)
        return;
    if (count * 2 > self->as.many.index_room)
        build_index(self);
    else
        enter_index(self, count - 1);
}

static bool is_key(const mpx_tree_slot_t *slot, const char *key, size_t size)
{
    return slot->key && slot->key_size == size && memcmp(slot->key, key, size) == 0;
}

static mpx_tree_slot_t *find_indexed(const mp_tree_t *self, const char *key, size_t size)
{
    size_t mask = self->as.many.index_room - 1;
    size_t at = hash_of(key, size) & mask;
    for (; self->as.many.index[at]; at = (at + 1) & mask) {
        mpx_tree_slot_t *slot = &self->as.many.slots[self->as.many.index[at] - 1];
        if (is_key(slot, key, size))
            return slot;
    }
    return NULL;
}

static mpx_tree_slot_t *find_slot(const mp_tree_t *self, const char *key, size_t size)
{
    if (!self || self->type != MP_TREE_DICT)
        return NULL;
    if (self->as.many.index)
        return find_indexed(self, key, size);
    for (size_t i = 0; i < self->as.many.count; i++)
        if (is_key(&self->as.many.slots[i], key, size))
            return &self->as.many.slots[i];
    return NULL;
}

/* ---- lists and dicts ------------------------------------------------------------------------ */

static bool make_room(mp_tree_t *self)
{
    if (self->as.many.count < self->as.many.room)
        return true;
    size_t room = self->as.many.room ? self->as.many.room * 2 : 4;
    mpx_tree_slot_t *grown =
        room < UINT32_MAX ? realloc(self->as.many.slots, room * sizeof *grown) : NULL;
    if (!grown)
        return false;
    memset(grown + self->as.many.room, 0, (room - self->as.many.room) * sizeof *grown);
    self->as.many.slots = grown;
    self->as.many.room = room;
    return true;
}

static mp_rc_t refuse(mp_tree_t *node, mp_rc_t rc, const char *why)
{
    mp_tree_destroy(&node);
    return mpx_fault(rc, "%s", why);
}

mp_rc_t mp_tree_append(mp_tree_t *self, mp_tree_t *item)
{
    if (!self || self->type != MP_TREE_LIST || !item)
        return refuse(item, MP_EINVAL, "append needs a list and a node");
    if (!make_room(self))
        return refuse(item, MP_ENOMEM, "an item of a list");
    self->as.many.slots[self->as.many.count++] = (mpx_tree_slot_t){NULL, 0, item};
    return MP_OK;
}

mp_rc_t mpx_tree_set_n(mp_tree_t *self, const char *key, size_t size, mp_tree_t *value)
{
    mpx_tree_slot_t *slot = find_slot(self, key, size);
    if (slot) {
        mp_tree_destroy(&slot->node);
        slot->node = value;
        return MP_OK;
    }
    char *copy = copy_text(key, size);
    if (!copy || !make_room(self)) {
        free(copy);
        return refuse(value, MP_ENOMEM, "a key of a dict");
    }
    self->as.many.slots[self->as.many.count++] = (mpx_tree_slot_t){copy, size, value};
    update_index(self);
    return MP_OK;
}

mp_rc_t mp_tree_set(mp_tree_t *self, const char *key, mp_tree_t *value)
{
    if (!self || self->type != MP_TREE_DICT || !value || !key || value == self ||
        !mpx_unicode_valid(key, strlen(key)))
        return refuse(value == self ? NULL : value, MP_EINVAL,
                      "set needs a dict, a key in UTF-8 and a node");
    return mpx_tree_set_n(self, key, strlen(key), value);
}

mp_tree_t *mp_tree_list(mp_tree_t *const *items, size_t count)
{
    mp_tree_t *self = mpx_tree_new(MP_TREE_LIST);
    bool fine = self != NULL;
    for (size_t i = 0; i < count; i++) {
        mp_tree_t *item = items[i];
        if (fine)
            fine = mp_tree_append(self, item) == MP_OK;
        else
            mp_tree_destroy(&item);
    }
    if (!fine)
        mp_tree_destroy(&self);
    return self;
}

mp_tree_t *mp_tree_dict(const mp_tree_pair_t *pairs, size_t count)
{
    mp_tree_t *self = mpx_tree_new(MP_TREE_DICT);
    bool fine = self != NULL;
    for (size_t i = 0; i < count; i++) {
        mp_tree_t *value = pairs[i].value;
        if (fine)
            fine = mp_tree_set(self, pairs[i].key, value) == MP_OK;
        else
            mp_tree_destroy(&value);
    }
    if (!fine)
        mp_tree_destroy(&self);
    return self;
}

/* The slot is closed up; an index is built anew. */
static mp_tree_t *take_slot(mp_tree_t *self, size_t at)
{
    mpx_tree_slot_t slot = self->as.many.slots[at];
    size_t rest = --self->as.many.count - at;
    memmove(&self->as.many.slots[at], &self->as.many.slots[at + 1],
            rest * sizeof *self->as.many.slots);
    if (self->as.many.index)
        build_index(self);
    free(slot.key);
    return slot.node;
}

static mpx_tree_slot_t *slot_at(const mp_tree_t *self, ptrdiff_t index)
{
    if (!is_many(self))
        return NULL;
    ptrdiff_t count = (ptrdiff_t)self->as.many.count;
    if (index < -count || index >= count)
        return NULL;
    return &self->as.many.slots[index < 0 ? index + count : index];
}

mp_tree_t *mp_tree_pop(mp_tree_t *self, ptrdiff_t index)
{
    const mpx_tree_slot_t *slot = slot_at(self, index);
    return slot ? take_slot(self, (size_t)(slot - self->as.many.slots)) : NULL;
}

mp_tree_t *mp_tree_remove(mp_tree_t *self, const char *key)
{
    const mpx_tree_slot_t *slot = find_slot(self, key, strlen(key));
    return slot ? take_slot(self, (size_t)(slot - self->as.many.slots)) : NULL;
}

/* ---- reading -------------------------------------------------------------------------------- */

mp_tree_type_t mp_tree_type(const mp_tree_t *self)
{
    return self ? self->type : MP_TREE_NULL;
}

const char *mp_tree_type_name(mp_tree_type_t type)
{
    static const char *const names[] = {"null",  "bool", "int",  "float", "str",
                                        "bytes", "list", "dict", "ref"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : "?";
}

size_t mp_tree_len(const mp_tree_t *self)
{
    if (is_many(self))
        return self->as.many.count;
    return self && (self->type == MP_TREE_STR || self->type == MP_TREE_BYTES) ? self->as.bytes.size
                                                                              : 0;
}

mp_tree_t *mp_tree_at(const mp_tree_t *self, ptrdiff_t index)
{
    const mpx_tree_slot_t *slot = slot_at(self, index);
    return slot ? slot->node : NULL;
}

const char *mp_tree_key_at(const mp_tree_t *self, ptrdiff_t index)
{
    const mpx_tree_slot_t *slot = slot_at(self, index);
    return slot ? slot->key : NULL;
}

mp_tree_t *mp_tree_get(const mp_tree_t *self, const char *key)
{
    const mpx_tree_slot_t *slot = find_slot(self, key, strlen(key));
    return slot ? slot->node : NULL;
}

static mp_rc_t check_type(const mp_tree_t *self, mp_tree_type_t wanted)
{
    if (!self)
        return mpx_fault(MP_ENOTFOUND, "there is no such item");
    if (self->type != wanted)
        return mpx_fault(MP_EINVAL, "it is of type %s, not %s", mp_tree_type_name(self->type),
                         mp_tree_type_name(wanted));
    return MP_OK;
}

mp_rc_t mp_tree_as_bool(const mp_tree_t *self, bool *out)
{
    mp_rc_t rc = check_type(self, MP_TREE_BOOL);
    if (rc == MP_OK)
        *out = self->as.truth;
    return rc;
}

mp_rc_t mp_tree_as_int(const mp_tree_t *self, int64_t *out)
{
    mp_rc_t rc = check_type(self, MP_TREE_INT);
    if (rc == MP_OK)
        *out = self->as.integer;
    return rc;
}

mp_rc_t mp_tree_as_float(const mp_tree_t *self, double *out)
{
    if (self && self->type == MP_TREE_INT) {
        *out = (double)self->as.integer;
        return MP_OK;
    }
    mp_rc_t rc = check_type(self, MP_TREE_FLOAT);
    if (rc == MP_OK)
        *out = self->as.real;
    return rc;
}

mp_rc_t mp_tree_as_str(const mp_tree_t *self, const char **out)
{
    mp_rc_t rc = check_type(self, MP_TREE_STR);
    if (rc == MP_OK)
        *out = self->as.bytes.data;
    return rc;
}

mp_rc_t mp_tree_as_bytes(const mp_tree_t *self, mp_bytes_t *out)
{
    mp_rc_t rc = self && self->type == MP_TREE_STR ? MP_OK : check_type(self, MP_TREE_BYTES);
    if (rc == MP_OK)
        *out = (mp_bytes_t){self->as.bytes.data, self->as.bytes.size};
    return rc;
}

mp_rc_t mp_tree_as_ref(const mp_tree_t *self, mp_ref_t *out)
{
    mp_rc_t rc = check_type(self, MP_TREE_REF);
    if (rc == MP_OK)
        *out = self->as.ref;
    return rc;
}

bool mp_tree_bool_or(const mp_tree_t *self, bool otherwise)
{
    return mp_tree_type(self) == MP_TREE_BOOL ? self->as.truth : otherwise;
}

int64_t mp_tree_int_or(const mp_tree_t *self, int64_t otherwise)
{
    return mp_tree_type(self) == MP_TREE_INT ? self->as.integer : otherwise;
}

double mp_tree_float_or(const mp_tree_t *self, double otherwise)
{
    if (mp_tree_type(self) == MP_TREE_INT)
        return (double)self->as.integer;
    return mp_tree_type(self) == MP_TREE_FLOAT ? self->as.real : otherwise;
}

const char *mp_tree_str_or(const mp_tree_t *self, const char *otherwise)
{
    return mp_tree_type(self) == MP_TREE_STR ? self->as.bytes.data : otherwise;
}

/* ---- whole trees ---------------------------------------------------------------------------- */

static bool equal_leaves(const mp_tree_t *a, const mp_tree_t *b)
{
    switch (a->type) {
    case MP_TREE_NULL:
        return true;
    case MP_TREE_BOOL:
        return a->as.truth == b->as.truth;
    case MP_TREE_INT:
        return a->as.integer == b->as.integer;
    case MP_TREE_FLOAT:
        return a->as.real == b->as.real || (isnan(a->as.real) && isnan(b->as.real));
    case MP_TREE_STR:
    case MP_TREE_BYTES:
        return a->as.bytes.size == b->as.bytes.size &&
               memcmp(a->as.bytes.data, b->as.bytes.data, a->as.bytes.size) == 0;
    case MP_TREE_REF:
        return memcmp(&a->as.ref, &b->as.ref, sizeof a->as.ref) == 0;
    case MP_TREE_LIST:
    case MP_TREE_DICT:
        break;
    }
    return false;
}

static bool equal_to(const mp_tree_t *a, const mp_tree_t *b, size_t depth);

static bool equal_slots(const mp_tree_t *a, const mp_tree_t *b, size_t depth)
{
    if (a->as.many.count != b->as.many.count)
        return false;
    for (size_t i = 0; i < a->as.many.count; i++) {
        const mpx_tree_slot_t *slot = &a->as.many.slots[i];
        const mp_tree_t *other = slot->key ? mp_tree_get(b, slot->key) : b->as.many.slots[i].node;
        if (!other || !equal_to(slot->node, other, depth + 1))
            return false;
    }
    return true;
}

static bool equal_to(const mp_tree_t *a, const mp_tree_t *b, size_t depth)
{
    if (a->type != b->type || depth > 100000)
        return false;
    return is_many(a) ? equal_slots(a, b, depth) : equal_leaves(a, b);
}

bool mp_tree_equal(const mp_tree_t *a, const mp_tree_t *b)
{
    return a && b ? equal_to(a, b, 0) : a == b;
}

static mp_tree_t *copy_slots(const mp_tree_t *self)
{
    mp_tree_t *copy = mpx_tree_new(self->type);
    bool fine = copy != NULL;
    for (size_t i = 0; fine && i < self->as.many.count; i++) {
        const mpx_tree_slot_t *slot = &self->as.many.slots[i];
        mp_tree_t *node = mp_tree_copy(slot->node);
        if (!node)
            fine = false;
        else if (slot->key)
            fine = mpx_tree_set_n(copy, slot->key, slot->key_size, node) == MP_OK;
        else
            fine = mp_tree_append(copy, node) == MP_OK;
    }
    if (!fine)
        mp_tree_destroy(&copy);
    return copy;
}

mp_tree_t *mp_tree_copy(const mp_tree_t *self)
{
    if (!self)
        return NULL;
    if (is_many(self))
        return copy_slots(self);
    if (self->type == MP_TREE_STR || self->type == MP_TREE_BYTES)
        return mpx_tree_text(self->type, self->as.bytes.data, self->as.bytes.size);
    mp_tree_t *copy = mpx_tree_new(self->type);
    if (copy)
        *copy = *self;
    return copy;
}
