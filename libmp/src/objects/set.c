/* set.c: what is done with sets: maps without values. */
#include "space_private.h"

#include "fault.h"

#include <stdlib.h>

static mp_rc_t add(mpx_act_t *act, mp_bytes_t member, bool *is_new)
{
    *is_new = !mpx_map_find(act->object, member);
    return *is_new ? mpx_map_put(act->space, act->object, member, NULL, NULL) : MP_OK;
}

int mpx_do_SET_ADD(mpx_act_t *act)
{
    mp_bytes_t member;
    bool is_new = false;
    mp_rc_t rc = mpx_act_key(act, &member);
    if (rc == MP_OK)
        rc = add(act, member, &is_new);
    return rc == MP_OK ? mpx_act_add_number(act, is_new) : rc;
}

int mpx_do_SET_DISCARD(mpx_act_t *act)
{
    mp_bytes_t member;
    mp_rc_t rc = mpx_act_key(act, &member);
    if (rc != MP_OK)
        return rc;
    mpx_pair_t *pair = mpx_map_find(act->object, member);
    return pair ? mpx_map_remove(act->space, act->object, pair) : MP_OK;
}

int mpx_do_SET_POP(mpx_act_t *act)
{
    mpx_pair_t *pair = act->object->as.pairs;
    if (!pair)
        return mpx_fault(MP_ENOTFOUND, "it is empty");
    mp_rc_t rc = mpx_act_add_tree(act, mpx_pair_key(pair));
    return rc == MP_OK ? mpx_map_remove(act->space, act->object, pair) : rc;
}

int mpx_do_SET_UPDATE(mpx_act_t *act)
{
    mp_bytes_t tree, member;
    size_t count;
    bool is_new;
    mp_rc_t rc = mpx_act_tree(act, &tree);
    if (rc != MP_OK)
        return rc;
    if (!mpx_node_enter(&tree, MP_TREE_LIST, &count))
        return mpx_fault(MP_EINVAL, "a set is updated with a list");
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        rc = mpx_node_next(&tree, &member, NULL);
        if (rc == MP_OK && (!mpx_node_is_scalar(member) || member.size > MPX_KEY_MAX))
            rc = mpx_fault(MP_EINVAL, "a member is a scalar of at most %d bytes", MPX_KEY_MAX);
        if (rc == MP_OK)
            rc = add(act, member, &is_new);
    }
    return rc;
}

/* ---- two of them
 * ---------------------------------------------------------------------------------------- */

static mp_rc_t read_other(mpx_act_t *act, mpx_object_t **other, uint64_t *how, uint64_t most)
{
    uint64_t id;
    mp_rc_t rc = mpx_act_number(act, &id);
    if (rc == MP_OK)
        rc = mpx_act_number(act, how);
    if (rc != MP_OK)
        return rc;
    *other = mpx_object_find(act->space, id);
    if (!*other || (*other)->type != MP_OBJECT_SET)
        return *other ? mpx_fault(MP_EINVAL, "the other one is a %s",
                                  mp_object_type_name((*other)->type))
                      : mpx_fault(MP_ENOTFOUND, "the other set isn't there any more");
    return *how <= most ? MP_OK : mpx_fault(MP_EINVAL, "no such operation of sets");
}

/* self op= other. With itself it goes along. */
int mpx_do_SET_MERGE(mpx_act_t *act)
{
    mpx_object_t *other;
    uint64_t how;
    bool is_new;
    mp_rc_t rc = read_other(act, &other, &how, MPX_SET_XOR);
    if (rc != MP_OK)
        return rc;
    if (other == act->object)
        return how == MPX_SET_OR || how == MPX_SET_AND ? MP_OK : mpx_do_CLEAR(act);
    mpx_pair_t *pair, *next;
    if (how == MPX_SET_AND || how == MPX_SET_MINUS) {
        HASH_ITER (hh, act->object->as.pairs, pair, next)
            if (rc == MP_OK &&
                (mpx_map_find(other, mpx_pair_key(pair)) != NULL) == (how == MPX_SET_MINUS))
                rc = mpx_map_remove(act->space, act->object, pair);
        return rc;
    }
    for (pair = other->as.pairs; rc == MP_OK && pair; pair = pair->hh.next) {
        mpx_pair_t *mine = mpx_map_find(act->object, mpx_pair_key(pair));
        if (!mine)
            rc = add(act, mpx_pair_key(pair), &is_new);
        else if (how == MPX_SET_XOR)
            rc = mpx_map_remove(act->space, act->object, mine);
    }
    return rc;
}

/* Those of `from` that are, or aren't, in the other. */
static mp_rc_t gather(const mpx_object_t *from, const mpx_object_t *other, bool in, bool all,
                      mpx_buf_t *out, size_t *count)
{
    mp_rc_t rc = MP_OK;
    for (const mpx_pair_t *pair = from->as.pairs; rc == MP_OK && pair; pair = pair->hh.next) {
        if (!all && (mpx_map_find(other, mpx_pair_key(pair)) != NULL) != in)
            continue;
        rc = mpx_buf_add(out, pair->key, pair->key_size);
        ++*count;
    }
    return rc;
}

int mpx_do_SET_COMBINE(mpx_act_t *act)
{
    mpx_object_t *other;
    uint64_t how;
    size_t count = 0;
    mpx_buf_t members = {.max = MP_VALUE_BYTES_MAX}, tree = {0};
    mp_rc_t rc = read_other(act, &other, &how, MPX_SET_XOR);
    if (rc != MP_OK)
        return rc;
    rc = gather(act->object, other, how == MPX_SET_AND, how == MPX_SET_OR, &members, &count);
    if (rc == MP_OK && (how == MPX_SET_OR || how == MPX_SET_XOR))
        rc = gather(other, act->object, false, false, &members, &count);
    if (rc == MP_OK)
        rc = mpx_node_add_list(&tree, count);
    if (rc == MP_OK)
        rc = mpx_buf_add(&tree, members.data, members.size);
    if (rc == MP_OK)
        rc = mpx_act_add_tree(act, mpx_buf_bytes(&tree));
    mpx_buf_free(&members);
    mpx_buf_free(&tree);
    return rc;
}

static bool has_all_of(const mpx_object_t *self, const mpx_object_t *other)
{
    for (const mpx_pair_t *pair = other->as.pairs; pair; pair = pair->hh.next)
        if (!mpx_map_find(self, mpx_pair_key(pair)))
            return false;
    return true;
}

static bool has_any_of(const mpx_object_t *self, const mpx_object_t *other)
{
    for (const mpx_pair_t *pair = other->as.pairs; pair; pair = pair->hh.next)
        if (mpx_map_find(self, mpx_pair_key(pair)))
            return true;
    return false;
}

static bool passes(const mpx_object_t *self, const mpx_object_t *other, mpx_set_test_t test)
{
    size_t ours = mpx_map_len(self), theirs = mpx_map_len(other);
    switch (test) {
    case MPX_SET_DISJOINT:
        return !has_any_of(self, other);
    case MPX_SET_SUBSET:
        return has_all_of(other, self);
    case MPX_SET_SUPERSET:
        return has_all_of(self, other);
    case MPX_SET_PROPER_SUBSET:
        return ours < theirs && has_all_of(other, self);
    case MPX_SET_PROPER_SUPERSET:
        return ours > theirs && has_all_of(self, other);
    }
    return false;
}

int mpx_do_SET_COMPARE(mpx_act_t *act)
{
    mpx_object_t *other;
    uint64_t how;
    mp_rc_t rc = read_other(act, &other, &how, MPX_SET_PROPER_SUPERSET);
    return rc == MP_OK ? mpx_act_add_number(act, passes(act->object, other, (mpx_set_test_t)how))
                       : rc;
}
