/* list.h: lists of a manager (manager.h).
 *
 * An item is a value tree, bytes, or a protobuf message. Those that are given as trees are
 * taken over, also when the call fails; what comes back is a copy, and the caller's to destroy.
 * An index counts from the end if it is negative: -1 is the last. Slices have Python's meaning:
 * bounds may be negative or MP_SLICE_OPEN (value.h), and are cut off at the ends.
 *
 * All calls have the codes of object.h. An index that isn't there is MP_ERANGE (Python's
 * IndexError), a value that isn't MP_ENOTFOUND. Values are the same if kind and bytes are: 1 and
 * 1.0 differ.
 */
#ifndef MP_LIST_H
#define MP_LIST_H

#include <mp/object.h>
#include <mp/value.h>

#ifdef __cplusplus
extern "C" {
#endif

MP_API mp_rc_t mp_list_append(mp_object_t *self, mp_tree_t *item, int timeout_ms);
MP_API mp_rc_t mp_list_append_bytes(mp_object_t *self, const void *data, size_t size,
                                    int timeout_ms);
MP_API mp_rc_t mp_list_append_item(mp_object_t *self, mp_item_kind_t kind, const void *data,
                                   size_t size, int timeout_ms);
/* All items of a list tree, as one change. */
MP_API mp_rc_t mp_list_extend(mp_object_t *self, mp_tree_t *list, int timeout_ms);
/* Before the index; one beyond the end is the end, as in Python. */
MP_API mp_rc_t mp_list_insert(mp_object_t *self, int64_t index, mp_tree_t *item, int timeout_ms);

MP_API mp_rc_t mp_list_get(mp_object_t *self, int64_t index, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_list_get_item(mp_object_t *self, int64_t index, mp_item_t *out, int timeout_ms);
MP_API mp_rc_t mp_list_set(mp_object_t *self, int64_t index, mp_tree_t *item, int timeout_ms);
MP_API mp_rc_t mp_list_del(mp_object_t *self, int64_t index, int timeout_ms);
/* Take it out. */
MP_API mp_rc_t mp_list_pop(mp_object_t *self, int64_t index, mp_tree_t **out, int timeout_ms);

/* list[start:stop:step], as a list tree. Setting one with step 1 may change the length; with
 * another step the numbers of items must agree: MP_EINVAL. */
MP_API mp_rc_t mp_list_get_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                                 mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_list_set_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                                 mp_tree_t *list, int timeout_ms);
MP_API mp_rc_t mp_list_del_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                                 int timeout_ms);
/* All of it, as a list tree. */
MP_API mp_rc_t mp_list_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms);
/* Copies of what it would be; the list stays. list + other; list * times, empty for 0 or less; the
 * last one first. MP_ETOOLARGE: more than one answer may be. */
MP_API mp_rc_t mp_list_concat(mp_object_t *self, mp_tree_t *list, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_list_repeated(mp_object_t *self, int64_t times, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_list_reversed(mp_object_t *self, mp_tree_t **out, int timeout_ms);

MP_API mp_rc_t mp_list_len(mp_object_t *self, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_list_clear(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_list_reverse(mp_object_t *self, int timeout_ms);
/* Numbers, or strs and bytes; a stable sort. MP_EINVAL: items that can't be compared. */
MP_API mp_rc_t mp_list_sort(mp_object_t *self, bool reverse, int timeout_ms);
/* The list `times` over: list *= times. */
MP_API mp_rc_t mp_list_repeat(mp_object_t *self, int64_t times, int timeout_ms);

/* The first of that value. */
MP_API mp_rc_t mp_list_index(mp_object_t *self, mp_tree_t *item, size_t *out, int timeout_ms);
/* Of those from `start` on and before `stop`, which are bounds as a slice's. */
MP_API mp_rc_t mp_list_index_in(mp_object_t *self, mp_tree_t *item, int64_t start, int64_t stop,
                                size_t *out, int timeout_ms);
MP_API mp_rc_t mp_list_remove(mp_object_t *self, mp_tree_t *item, int timeout_ms);
MP_API mp_rc_t mp_list_count(mp_object_t *self, mp_tree_t *item, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_list_contains(mp_object_t *self, mp_tree_t *item, bool *out, int timeout_ms);

/* In one step: add to a number; append to a list inside this one. */
MP_API mp_rc_t mp_list_add(mp_object_t *self, int64_t index, int64_t delta, int64_t *result,
                           int timeout_ms);
MP_API mp_rc_t mp_list_append_at(mp_object_t *self, int64_t index, mp_tree_t *item, size_t *len,
                                 int timeout_ms);

/* The item at *index, which is then one further:
 *     for (int64_t i = 0; !mp_list_next(list, &i, &item, -1); mp_tree_destroy(&item)) …
 * A list that changes meanwhile is walked as it is then. MP_EOF at the end. */
MP_API mp_rc_t mp_list_next(mp_object_t *self, int64_t *index, mp_tree_t **out, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
