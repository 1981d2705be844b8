#include "space_private.h"

#include "fault.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

/* ---- references --------------------------------------------------------------------------------
 */

typedef struct walk {
    mpx_space_t *space;
    const mpx_object_t *inside;
    int step;           /* what is done with each object: it is counted, or counted out */
    mpx_object_t *next; /* objects that are still to be looked into */
    bool missing, contained;
} walk_t;

static bool is_ours(const mpx_space_t *space, const mp_ref_t *ref)
{
    return ref->word[0] == mpx_reference_word(MPX_KIND_OBJECT) &&
           ref->word[2] == space->options.server;
}

/* Each object once, however many refer to it. */
static void look(void *arg, const mp_ref_t *ref)
{
    walk_t *walk = arg;
    if (!is_ours(walk->space, ref))
        return;
    mpx_object_t *object = mpx_object_find(walk->space, ref->word[1]);
    walk->missing = walk->missing || !object;
    if (!object || object->walked == walk->space->walk)
        return;
    walk->contained = walk->contained || object == walk->inside;
    object->walked = walk->space->walk;
    object->next_walked = walk->next;
    walk->next = object;
}

static void count(void *arg, const mp_ref_t *ref)
{
    const walk_t *walk = arg;
    mpx_object_t *object =
        is_ours(walk->space, ref) ? mpx_object_find_any(walk->space, ref->word[1]) : NULL;
    if (!object)
        return;
    object->inside = (uint32_t)((int)object->inside + walk->step);
    mpx_object_linger(walk->space, object);
}

static void look_at(walk_t *walk, const mpx_thing_t *thing)
{
    if (thing && thing->refers)
        mpx_node_refs(mpx_thing_bytes(thing), look, walk);
}

static void look_into(walk_t *walk, const mpx_object_t *self)
{
    const mpx_given_t *given;
    const mpx_wait_t *wait;
    if (MPX_T(self->type) & MPX_T_MAP) {
        for (const mpx_pair_t *pair = self->as.pairs; pair; pair = pair->hh.next)
            look_at(walk, pair->value);
    } else if (MPX_T(self->type) & (MPX_T_LIST | MPX_T_QUEUE)) {
        for (size_t i = 0; i < self->as.row.row.count; i++)
            look_at(walk, mpx_row_at(&self->as.row.row, i)->thing);
        DL_FOREACH (self->as.row.given, given)
            look_at(walk, given->thing);
        DL_FOREACH (self->waits, wait)
            look_at(walk, wait->thing);
    } else if (self->type == MP_OBJECT_VALUE) {
        look_at(walk, self->as.thing);
    }
}

/* What a tree refers to is there, and nothing of it contains `inside`, however deep. */
static mp_rc_t check_refs(mpx_space_t *space, const mpx_object_t *inside, mp_bytes_t tree)
{
    walk_t walk = {.space = space, .inside = inside};
    space->walk++;
    mpx_node_refs(tree, look, &walk);
    if (walk.missing)
        return mpx_fault(MP_ENOTFOUND, "it refers to an object that isn't there any more");
    while (walk.next && !walk.contained) {
        const mpx_object_t *object = walk.next;
        walk.next = object->next_walked;
        look_into(&walk, object);
    }
    return walk.contained ? mpx_fault(MP_EINVAL, "an object can't contain itself") : MP_OK;
}

static void count_in(mpx_space_t *space, mpx_thing_t *self)
{
    walk_t walk = {.space = space, .step = 1};
    self->refers = true;
    mpx_node_refs(mpx_thing_bytes(self), count, &walk);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

mp_rc_t mpx_thing_new(mpx_space_t *space, const mpx_object_t *inside, uint32_t kind,
                      mp_bytes_t bytes, mpx_thing_t **out)
{
    size_t refs = 0;
    if (bytes.size > MP_VALUE_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "an item of %zu bytes", bytes.size);
    mp_rc_t rc = kind == MP_ITEM_TREE ? mpx_node_check(bytes, &refs) : MP_OK;
    if (rc == MP_OK && refs && inside)
        rc = check_refs(space, inside, bytes);
    if (rc != MP_OK)
        return rc;
    mpx_thing_t *self = malloc(sizeof *self + bytes.size);
    if (!self)
        return mpx_fault(MP_ENOMEM, "an item");
    *self = (mpx_thing_t){.size = (uint32_t)bytes.size, .kind = (uint8_t)kind};
    if (bytes.size)
        memcpy(self->bytes, bytes.data, bytes.size);
    if (refs)
        count_in(space, self);
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_thing_copy(mpx_space_t *space, const mpx_thing_t *self, mpx_thing_t **out)
{
    return mpx_thing_new(space, NULL, self->kind, mpx_thing_bytes(self), out);
}

void mpx_thing_free(mpx_space_t *space, mpx_thing_t *self)
{
    walk_t walk = {.space = space, .step = -1};
    if (self && self->refers)
        mpx_node_refs(mpx_thing_bytes(self), count, &walk);
    free(self);
}

bool mpx_thing_equal(const mpx_thing_t *a, const mpx_thing_t *b)
{
    return a->kind == b->kind && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

mp_rc_t mpx_thing_add_to(const mpx_thing_t *self, mpx_buf_t *out)
{
    return mpx_parcel_add(out, self->kind, mpx_thing_bytes(self));
}

mp_rc_t mpx_thing_add_node(const mpx_thing_t *self, mpx_buf_t *out)
{
    return self->kind == MP_ITEM_TREE ? mpx_buf_add(out, self->bytes, self->size)
                                      : mpx_node_add_bytes(out, self->bytes, self->size);
}

/* ---- in one step
 * ----------------------------------------------------------------------------------- */

static mp_rc_t add_ints(int64_t a, int64_t b, mpx_buf_t *out)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return mpx_fault(MP_ERANGE, "%lld + %lld is beyond 64 bits", (long long)a, (long long)b);
    return mpx_node_add_int(out, sum);
}

mp_rc_t mpx_thing_sum(mpx_space_t *space, const mpx_object_t *inside, const mpx_thing_t *self,
                      mp_bytes_t delta, mpx_thing_t **out)
{
    static const unsigned char zero[] = {0};
    mp_bytes_t now = self ? mpx_thing_bytes(self) : (mp_bytes_t){zero, sizeof zero};
    int64_t a, b;
    double x, y;
    mpx_buf_t sum = {0};
    mp_rc_t rc;
    bool numbers = (!self || self->kind == MP_ITEM_TREE) && mpx_node_float(now, &x) &&
                   mpx_node_float(delta, &y);
    if (!numbers)
        rc = mpx_fault(MP_EINVAL, "what is there, or what is added, is no number");
    else if (mpx_node_int(now, &a) && mpx_node_int(delta, &b))
        rc = add_ints(a, b, &sum);
    else
        rc = mpx_node_add_float(&sum, x + y);
    if (rc == MP_OK)
        rc = mpx_thing_new(space, inside, MP_ITEM_TREE, mpx_buf_bytes(&sum), out);
    mpx_buf_free(&sum);
    return rc;
}

mp_rc_t mpx_thing_longer(mpx_space_t *space, const mpx_object_t *inside, const mpx_thing_t *self,
                         mp_bytes_t item, size_t *len, mpx_thing_t **out)
{
    mp_bytes_t items = self ? mpx_thing_bytes(self) : (mp_bytes_t){NULL, 0};
    size_t length = 0;
    if (self && (self->kind != MP_ITEM_TREE || !mpx_node_enter(&items, MP_TREE_LIST, &length)))
        return mpx_fault(MP_EINVAL, "what is there is no list");
    mpx_buf_t longer = {0};
    mp_rc_t rc = check_refs(space, inside, item);
    if (rc == MP_OK)
        rc = mpx_node_add_list(&longer, length + 1);
    if (rc == MP_OK)
        rc = mpx_buf_add(&longer, items.data, items.size);
    if (rc == MP_OK)
        rc = mpx_buf_add(&longer, item.data, item.size);
    if (rc == MP_OK) /* what was there may refer to what is gone */
        rc = mpx_thing_new(space, NULL, MP_ITEM_TREE, mpx_buf_bytes(&longer), out);
    if (rc == MP_OK)
        *len = length + 1;
    mpx_buf_free(&longer);
    return rc;
}
