/* value.c: one item; and what the type codes of values and arrays can hold. */
#include "space_private.h"

#include "fault.h"

#include <float.h>

static const struct {
    char code;
    int64_t least, most; /* 0, 0: a float */
} types[] = {{'b', INT8_MIN, INT8_MAX},
             {'B', 0, UINT8_MAX},
             {'h', INT16_MIN, INT16_MAX},
             {'H', 0, UINT16_MAX},
             {'i', INT32_MIN, INT32_MAX},
             {'I', 0, UINT32_MAX},
             {'l', INT64_MIN, INT64_MAX},
             {'L', 0, INT64_MAX},
             {'q', INT64_MIN, INT64_MAX},
             {'Q', 0, INT64_MAX},
             {'f', 0, 0},
             {'d', 0, 0}};

bool mpx_typecode_is_known(char typecode)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == typecode)
            return true;
    return false;
}

mp_rc_t mpx_typecode_check(char typecode, const mpx_thing_t *thing)
{
    int64_t integer;
    double real;
    if (!typecode)
        return MP_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].code != typecode || thing->kind != MP_ITEM_TREE)
            continue;
        bool is_float = types[i].least == 0 && types[i].most == 0;
        if (is_float ? mpx_node_float(mpx_thing_bytes(thing), &real)
                     : mpx_node_int(mpx_thing_bytes(thing), &integer) &&
                           integer >= types[i].least && integer <= types[i].most)
            return MP_OK;
    }
    return mpx_fault(MP_EINVAL, "it can't be a '%c'", typecode);
}

mp_rc_t mpx_value_put(mpx_space_t *space, mpx_object_t *self, mpx_thing_t *thing)
{
    size_t before = self->as.thing ? MPX_ENTRY_COST + self->as.thing->size : 0;
    size_t after = MPX_ENTRY_COST + thing->size;
    mp_rc_t rc = mpx_typecode_check(self->typecode, thing);
    if (rc == MP_OK)
        rc = mpx_object_room(space, self, before, after, 0);
    if (rc == MP_OK)
        rc = mpx_journal_room(space);
    if (rc != MP_OK) {
        mpx_thing_free(space, thing);
        return rc;
    }
    mpx_undo_t undo = {MPX_UNDO_VALUE, .object = self, .thing = self->as.thing};
    self->as.thing = thing;
    mpx_object_count_bytes(space, self, before, after);
    mpx_journal_note(space, &undo);
    mpx_object_touch(space, self);
    return MP_OK;
}

int mpx_do_VALUE_SET(mpx_act_t *act)
{
    mpx_thing_t *thing = NULL;
    mp_rc_t rc = mpx_act_thing(act, &thing);
    return rc == MP_OK ? mpx_value_put(act->space, act->object, thing) : rc;
}

/* One that was never set is null, or the zero of its type. */
int mpx_do_VALUE_GET(mpx_act_t *act)
{
    static const unsigned char nil[] = {0xc0}, zero[] = {0};
    const mpx_object_t *self = act->object;
    mp_bytes_t unset = {self->typecode ? zero : nil, 1};
    mp_rc_t rc =
        self->as.thing ? mpx_thing_add_to(self->as.thing, act->out) : mpx_act_add_tree(act, unset);
    return rc == MP_OK ? mpx_act_add_number(act, self->version) : rc;
}

int mpx_do_VALUE_ADD(mpx_act_t *act)
{
    mp_bytes_t delta;
    mpx_thing_t *sum = NULL;
    mp_rc_t rc = mpx_act_tree(act, &delta);
    if (rc == MP_OK)
        rc = mpx_thing_sum(act->space, act->object, act->object->as.thing, delta, &sum);
    if (rc == MP_OK)
        rc = mpx_value_put(act->space, act->object, sum);
    return rc == MP_OK ? mpx_thing_add_to(act->object->as.thing, act->out) : rc;
}

int mpx_do_VALUE_CAS(mpx_act_t *act)
{
    uint64_t version;
    mpx_thing_t *thing = NULL;
    mp_rc_t rc = mpx_act_number(act, &version);
    if (rc == MP_OK && version != act->object->version)
        rc = mpx_fault(MP_ECHANGED, "the value has changed since");
    if (rc == MP_OK)
        rc = mpx_act_thing(act, &thing);
    if (rc == MP_OK)
        rc = mpx_value_put(act->space, act->object, thing);
    return rc == MP_OK ? mpx_act_add_number(act, act->object->version) : rc;
}
