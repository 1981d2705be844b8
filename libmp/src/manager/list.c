#include "fault.h"
#include "invoke.h"

#include <mp/list.h>

#define TREE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_TREE, (out), 0, NULL                                                              \
    }
#define SIZE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_SIZE, (out), 0, NULL                                                              \
    }

mp_rc_t mp_list_append(mp_object_t *self, mp_tree_t *item, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_APPEND, timeout_ms, MPX_ARGS(MPX_TREE(item)), MPX_NO_TAKES);
}

mp_rc_t mp_list_append_item(mp_object_t *self, mp_item_kind_t kind, const void *data, size_t size,
                            int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_APPEND, timeout_ms, MPX_ARGS(MPX_ITEM(kind, data, size)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_list_append_bytes(mp_object_t *self, const void *data, size_t size, int timeout_ms)
{
    return mp_list_append_item(self, MP_ITEM_BYTES, data, size, timeout_ms);
}

mp_rc_t mp_list_extend(mp_object_t *self, mp_tree_t *list, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_EXTEND, timeout_ms, MPX_ARGS(MPX_TREE(list)), MPX_NO_TAKES);
}

mp_rc_t mp_list_insert(mp_object_t *self, int64_t index, mp_tree_t *item, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_INSERT, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(index), MPX_TREE(item)), MPX_NO_TAKES);
}

mp_rc_t mp_list_get(mp_object_t *self, int64_t index, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_GET, timeout_ms, MPX_ARGS(MPX_NUMBER(index)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_list_get_item(mp_object_t *self, int64_t index, mp_item_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_GET, timeout_ms, MPX_ARGS(MPX_NUMBER(index)),
                      MPX_TAKES({MPX_TAKE_ITEM, out, 0, NULL}));
}

mp_rc_t mp_list_set(mp_object_t *self, int64_t index, mp_tree_t *item, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_SET, timeout_ms, MPX_ARGS(MPX_NUMBER(index), MPX_TREE(item)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_list_del(mp_object_t *self, int64_t index, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_DEL, timeout_ms, MPX_ARGS(MPX_NUMBER(index)), MPX_NO_TAKES);
}

mp_rc_t mp_list_pop(mp_object_t *self, int64_t index, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_POP, timeout_ms, MPX_ARGS(MPX_NUMBER(index)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_list_get_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                          mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_GET_SLICE, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(start), MPX_NUMBER(stop), MPX_NUMBER(step)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_list_set_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                          mp_tree_t *list, int timeout_ms)
{
    return MPX_INVOKE(
        self, MPX_LIST_SET_SLICE, timeout_ms,
        MPX_ARGS(MPX_NUMBER(start), MPX_NUMBER(stop), MPX_NUMBER(step), MPX_TREE(list)),
        MPX_NO_TAKES);
}

mp_rc_t mp_list_del_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                          int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_DEL_SLICE, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(start), MPX_NUMBER(stop), MPX_NUMBER(step)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_list_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return mp_list_get_slice(self, MP_SLICE_OPEN, MP_SLICE_OPEN, 1, out, timeout_ms);
}

mp_rc_t mp_list_reversed(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return mp_list_get_slice(self, MP_SLICE_OPEN, MP_SLICE_OPEN, -1, out, timeout_ms);
}

mp_rc_t mp_list_concat(mp_object_t *self, mp_tree_t *list, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_CONCAT, timeout_ms, MPX_ARGS(MPX_TREE(list)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_list_repeated(mp_object_t *self, int64_t times, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_REPEATED, timeout_ms, MPX_ARGS(MPX_NUMBER(times)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_list_len(mp_object_t *self, size_t *out, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T_SEQ);
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_LEN, timeout_ms, MPX_NO_ARGS, MPX_TAKES(SIZE(out)));
}

mp_rc_t mp_list_clear(mp_object_t *self, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T_SEQ);
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_CLEAR, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_list_reverse(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_REVERSE, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_list_sort(mp_object_t *self, bool reverse, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_SORT, timeout_ms, MPX_ARGS(MPX_NUMBER(reverse)), MPX_NO_TAKES);
}

mp_rc_t mp_list_repeat(mp_object_t *self, int64_t times, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_REPEAT, timeout_ms, MPX_ARGS(MPX_NUMBER(times)), MPX_NO_TAKES);
}

mp_rc_t mp_list_index(mp_object_t *self, mp_tree_t *item, size_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_INDEX, timeout_ms, MPX_ARGS(MPX_TREE(item)),
                      MPX_TAKES(SIZE(out)));
}

mp_rc_t mp_list_index_in(mp_object_t *self, mp_tree_t *item, int64_t start, int64_t stop,
                         size_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_INDEX_IN, timeout_ms,
                      MPX_ARGS(MPX_TREE(item), MPX_NUMBER(start), MPX_NUMBER(stop)),
                      MPX_TAKES(SIZE(out)));
}

mp_rc_t mp_list_remove(mp_object_t *self, mp_tree_t *item, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_REMOVE, timeout_ms, MPX_ARGS(MPX_TREE(item)), MPX_NO_TAKES);
}

mp_rc_t mp_list_count(mp_object_t *self, mp_tree_t *item, size_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_COUNT, timeout_ms, MPX_ARGS(MPX_TREE(item)),
                      MPX_TAKES(SIZE(out)));
}

/* A count is a truth. */
mp_rc_t mp_list_contains(mp_object_t *self, mp_tree_t *item, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_COUNT, timeout_ms, MPX_ARGS(MPX_TREE(item)),
                      MPX_TAKES({MPX_TAKE_BOOL, out, 0, NULL}));
}

mp_rc_t mp_list_add(mp_object_t *self, int64_t index, int64_t delta, int64_t *result,
                    int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_ADD, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(index), MPX_TREE(mp_tree_int(delta))),
                      MPX_TAKES({MPX_TAKE_INT, result, 0, NULL}));
}

mp_rc_t mp_list_append_at(mp_object_t *self, int64_t index, mp_tree_t *item, size_t *len,
                          int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LIST_APPEND_AT, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(index), MPX_TREE(item)), MPX_TAKES(SIZE(len)));
}

mp_rc_t mp_list_next(mp_object_t *self, int64_t *index, mp_tree_t **out, int timeout_ms)
{
    if (self->pipeline || *index < 0)
        return mpx_fault(MP_EINVAL, "a walk begins at 0, and doesn't go into a pipeline");
    mp_rc_t rc = mp_list_get(self, *index, out, timeout_ms);
    if (rc == MP_OK)
        ++*index;
    return rc == MP_ERANGE ? mpx_fault(MP_EOF, "the end") : rc;
}
