/* dict.h: dicts and namespaces of a manager (manager.h).
 *
 * A dict keeps its keys in the order in which they were first set. A value is an item of any kind:
 * a value tree, bytes, or a protobuf message. Values that are given as trees are taken over, also
 * when the call fails, so that mp_dict_set(dict, MP_K("a"), MP_V(1), -1) leaks nothing; a NULL one
 * is MP_ENOMEM. What comes back is a copy; it is the caller's to destroy.
 *
 * All calls have the codes of object.h. A key that isn't there is MP_ENOTFOUND (Python's KeyError).
 */
#ifndef MP_DICT_H
#define MP_DICT_H

#include <mp/object.h>

#ifdef __cplusplus
extern "C" {
#endif

MP_API mp_rc_t mp_dict_set(mp_object_t *self, mp_key_t key, mp_tree_t *value, int timeout_ms);
MP_API mp_rc_t mp_dict_set_bytes(mp_object_t *self, mp_key_t key, const void *data, size_t size,
                                 int timeout_ms);
MP_API mp_rc_t mp_dict_set_item(mp_object_t *self, mp_key_t key, mp_item_kind_t kind,
                                const void *data, size_t size, int timeout_ms);

/* _get: a value that is no tree comes as bytes. _bytes, of a value of any kind: MP_ERANGE longer
 * than `room`, and *size says how long; size may be NULL. */
MP_API mp_rc_t mp_dict_get(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_dict_get_bytes(mp_object_t *self, mp_key_t key, void *buffer, size_t room,
                                 size_t *size, int timeout_ms);
MP_API mp_rc_t mp_dict_get_item(mp_object_t *self, mp_key_t key, mp_item_t *out, int timeout_ms);
/* With the version of this key's last change, for mp_dict_compare_and_set. */
MP_API mp_rc_t mp_dict_get_version(mp_object_t *self, mp_key_t key, mp_tree_t **out,
                                   uint64_t *version, int timeout_ms);

MP_API mp_rc_t mp_dict_del(mp_object_t *self, mp_key_t key, int timeout_ms);
MP_API mp_rc_t mp_dict_contains(mp_object_t *self, mp_key_t key, bool *out, int timeout_ms);
MP_API mp_rc_t mp_dict_len(mp_object_t *self, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_dict_clear(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_dict_pop(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms);
/* The one whose key came last. MP_ENOTFOUND: it is empty. */
MP_API mp_rc_t mp_dict_popitem(mp_object_t *self, mp_tree_t **key, mp_tree_t **value,
                               int timeout_ms);
/* The value that is there, or else `value`, which is then set. */
MP_API mp_rc_t mp_dict_setdefault(mp_object_t *self, mp_key_t key, mp_tree_t *value,
                                  mp_tree_t **out, int timeout_ms);
/* All keys of a dict tree, as one change. */
MP_API mp_rc_t mp_dict_update(mp_object_t *self, mp_tree_t *dict, int timeout_ms);
/* All keys of a list tree, to the same value, as one change. MP_EINVAL: one is no scalar. */
MP_API mp_rc_t mp_dict_fromkeys(mp_object_t *self, mp_tree_t *keys, mp_tree_t *value,
                                int timeout_ms);

/* Lists: of keys; of values; of lists of key and value. All that is there at one moment. Values
 * that are no trees come as bytes. */
MP_API mp_rc_t mp_dict_keys(mp_object_t *self, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_dict_values(mp_object_t *self, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_dict_items(mp_object_t *self, mp_tree_t **out, int timeout_ms);
/* A dict tree. MP_EINVAL: it has keys that are no str. */
MP_API mp_rc_t mp_dict_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms);
/* self | dict: such a copy with the keys of `dict`, whose values win; the dict itself stays. */
MP_API mp_rc_t mp_dict_union(mp_object_t *self, mp_tree_t *dict, mp_tree_t **out, int timeout_ms);
/* A list of the keys, the last one first. */
MP_API mp_rc_t mp_dict_reversed(mp_object_t *self, mp_tree_t **out, int timeout_ms);

/* One after another, in order; they are fetched some at a time. The dict may change meanwhile:
 * what is there all the time comes once, with the value that it has when it is fetched; what is
 * new or gone may come or not. *cursor is NULL at first, and after MP_EOF, which is the end;
 * mp_cursor_destroy leaves before the end. */
typedef struct mp_cursor mp_cursor_t;
MP_API mp_rc_t mp_dict_next(mp_object_t *self, mp_cursor_t **cursor, mp_tree_t **key,
                            mp_tree_t **value, int timeout_ms);
MP_API void mp_cursor_destroy(mp_cursor_t **self);

/* ---- in one step ---------------------------------------------------------------------------- */

/* Add to a number; a key that isn't there counts as 0.
 * result  what it is then; may be NULL
 * MP_EINVAL: it is no number, or the result is a float, which is there then; MP_ERANGE: beyond 64
 * bits. */
MP_API mp_rc_t mp_dict_add(mp_object_t *self, mp_key_t key, int64_t delta, int64_t *result,
                           int timeout_ms);
MP_API mp_rc_t mp_dict_add_float(mp_object_t *self, mp_key_t key, double delta, double *result,
                                 int timeout_ms);
/* Append to a list inside the dict; a key that isn't there counts as an empty one.
 * len  what it is then; may be NULL. MP_EINVAL: it is no list. */
MP_API mp_rc_t mp_dict_append(mp_object_t *self, mp_key_t key, mp_tree_t *item, size_t *len,
                              int timeout_ms);
/* Set it only if its version is still that; 0: only if it isn't there.
 * now  the new version; may be NULL. MP_ECHANGED: it has changed. */
MP_API mp_rc_t mp_dict_compare_and_set(mp_object_t *self, mp_key_t key, uint64_t version,
                                       mp_tree_t *value, uint64_t *now, int timeout_ms);
/* Take it out only if its version is still that. MP_ECHANGED. */
MP_API mp_rc_t mp_dict_pop_if(mp_object_t *self, mp_key_t key, uint64_t version, mp_tree_t **out,
                              int timeout_ms);
/* Get it, or wait until it is there. */
MP_API mp_rc_t mp_dict_wait(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms);
/* As mp_object_watch, of one key: version 0 is a key that isn't there. */
MP_API mp_rc_t mp_dict_watch(mp_object_t *self, mp_key_t key, uint64_t *version, int timeout_ms);
/* The key goes ttl_ms from now, unless it is changed before; 0: it stays. */
MP_API mp_rc_t mp_dict_expire(mp_object_t *self, mp_key_t key, int64_t ttl_ms, int timeout_ms);

/* ---- Namespace: names instead of keys -------------------------------------------------------- */

MP_API mp_rc_t mp_namespace_set(mp_object_t *self, const char *name, mp_tree_t *value,
                                int timeout_ms);
MP_API mp_rc_t mp_namespace_get(mp_object_t *self, const char *name, mp_tree_t **out,
                                int timeout_ms);
MP_API mp_rc_t mp_namespace_del(mp_object_t *self, const char *name, int timeout_ms);
MP_API mp_rc_t mp_namespace_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
