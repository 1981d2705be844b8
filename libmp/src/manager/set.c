#include "fault.h"
#include "invoke.h"

#include <mp/set.h>

#define TREE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_TREE, (out), 0, NULL                                                              \
    }
#define BOOL(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_BOOL, (out), 0, NULL                                                              \
    }

mp_rc_t mp_set_add(mp_object_t *self, mp_key_t member, bool *added, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_SET_ADD, timeout_ms, MPX_ARGS(MPX_KEY(member)),
                      MPX_TAKES(BOOL(added)));
}

mp_rc_t mp_set_discard(mp_object_t *self, mp_key_t member, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_SET_DISCARD, timeout_ms, MPX_ARGS(MPX_KEY(member)), MPX_NO_TAKES);
}

mp_rc_t mp_set_remove(mp_object_t *self, mp_key_t member, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_DEL, timeout_ms, MPX_ARGS(MPX_KEY(member)), MPX_NO_TAKES);
}

mp_rc_t mp_set_pop(mp_object_t *self, mp_tree_t **member, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_SET_POP, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(member)));
}

mp_rc_t mp_set_contains(mp_object_t *self, mp_key_t member, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_CONTAINS, timeout_ms, MPX_ARGS(MPX_KEY(member)),
                      MPX_TAKES(BOOL(out)));
}

mp_rc_t mp_set_len(mp_object_t *self, size_t *out, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T(MP_OBJECT_SET));
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_LEN, timeout_ms, MPX_NO_ARGS,
                      MPX_TAKES({MPX_TAKE_SIZE, out, 0, NULL}));
}

mp_rc_t mp_set_clear(mp_object_t *self, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T(MP_OBJECT_SET));
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_CLEAR, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_set_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_KEYS, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_set_update(mp_object_t *self, mp_tree_t *members, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_SET_UPDATE, timeout_ms, MPX_ARGS(MPX_TREE(members)), MPX_NO_TAKES);
}

/* ---- with another one
 * -------------------------------------------------------------------------------------------- */

static mp_rc_t check(const mp_object_t *self, const mp_object_t *other)
{
    return self->server == other->server
               ? MP_OK
               : mpx_fault(MP_EINVAL, "the two sets are not of one manager");
}

static mp_rc_t merge(mp_object_t *self, mp_object_t *other, mpx_set_op_t op, int timeout_ms)
{
    mp_rc_t rc = check(self, other);
    return rc == MP_OK ? MPX_INVOKE(self, MPX_SET_MERGE, timeout_ms,
                                    MPX_ARGS(MPX_NUMBER(other->id), MPX_NUMBER(op)), MPX_NO_TAKES)
                       : rc;
}

static mp_rc_t combine(mp_object_t *self, mp_object_t *other, mpx_set_op_t op, mp_tree_t **out,
                       int timeout_ms)
{
    mp_rc_t rc = check(self, other);
    return rc == MP_OK
               ? MPX_INVOKE(self, MPX_SET_COMBINE, timeout_ms,
                            MPX_ARGS(MPX_NUMBER(other->id), MPX_NUMBER(op)), MPX_TAKES(TREE(out)))
               : rc;
}

static mp_rc_t compare(mp_object_t *self, mp_object_t *other, mpx_set_test_t test, bool *out,
                       int timeout_ms)
{
    mp_rc_t rc = check(self, other);
    return rc == MP_OK
               ? MPX_INVOKE(self, MPX_SET_COMPARE, timeout_ms,
                            MPX_ARGS(MPX_NUMBER(other->id), MPX_NUMBER(test)), MPX_TAKES(BOOL(out)))
               : rc;
}

mp_rc_t mp_set_union_update(mp_object_t *self, mp_object_t *other, int timeout_ms)
{
    return merge(self, other, MPX_SET_OR, timeout_ms);
}

mp_rc_t mp_set_intersection_update(mp_object_t *self, mp_object_t *other, int timeout_ms)
{
    return merge(self, other, MPX_SET_AND, timeout_ms);
}

mp_rc_t mp_set_difference_update(mp_object_t *self, mp_object_t *other, int timeout_ms)
{
    return merge(self, other, MPX_SET_MINUS, timeout_ms);
}

mp_rc_t mp_set_symmetric_difference_update(mp_object_t *self, mp_object_t *other, int timeout_ms)
{
    return merge(self, other, MPX_SET_XOR, timeout_ms);
}

mp_rc_t mp_set_union(mp_object_t *self, mp_object_t *other, mp_tree_t **out, int timeout_ms)
{
    return combine(self, other, MPX_SET_OR, out, timeout_ms);
}

mp_rc_t mp_set_intersection(mp_object_t *self, mp_object_t *other, mp_tree_t **out, int timeout_ms)
{
    return combine(self, other, MPX_SET_AND, out, timeout_ms);
}

mp_rc_t mp_set_difference(mp_object_t *self, mp_object_t *other, mp_tree_t **out, int timeout_ms)
{
    return combine(self, other, MPX_SET_MINUS, out, timeout_ms);
}

mp_rc_t mp_set_symmetric_difference(mp_object_t *self, mp_object_t *other, mp_tree_t **out,
                                    int timeout_ms)
{
    return combine(self, other, MPX_SET_XOR, out, timeout_ms);
}

mp_rc_t mp_set_isdisjoint(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms)
{
    return compare(self, other, MPX_SET_DISJOINT, out, timeout_ms);
}

mp_rc_t mp_set_issubset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms)
{
    return compare(self, other, MPX_SET_SUBSET, out, timeout_ms);
}

mp_rc_t mp_set_issuperset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms)
{
    return compare(self, other, MPX_SET_SUPERSET, out, timeout_ms);
}

mp_rc_t mp_set_is_proper_subset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms)
{
    return compare(self, other, MPX_SET_PROPER_SUBSET, out, timeout_ms);
}

mp_rc_t mp_set_is_proper_superset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms)
{
    return compare(self, other, MPX_SET_PROPER_SUPERSET, out, timeout_ms);
}
