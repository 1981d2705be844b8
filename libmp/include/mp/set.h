/* set.h: sets of a manager (manager.h). Members are keys (object.h), in the order in which they
 * came.
 *
 * What is done with another set is done with one of the same manager, in one step. A result is a
 * list tree, and the caller's to destroy; no set of the manager. All calls have the codes of
 * object.h; a member that isn't there is MP_ENOTFOUND.
 */
#ifndef MP_SET_H
#define MP_SET_H

#include <mp/object.h>

#ifdef __cplusplus
extern "C" {
#endif

/* added  whether it is new; may be NULL */
MP_API mp_rc_t mp_set_add(mp_object_t *self, mp_key_t member, bool *added, int timeout_ms);
/* MP_OK also if it isn't there. */
MP_API mp_rc_t mp_set_discard(mp_object_t *self, mp_key_t member, int timeout_ms);
MP_API mp_rc_t mp_set_remove(mp_object_t *self, mp_key_t member, int timeout_ms);
/* Any one: the oldest. MP_ENOTFOUND: it is empty. */
MP_API mp_rc_t mp_set_pop(mp_object_t *self, mp_tree_t **member, int timeout_ms);
MP_API mp_rc_t mp_set_contains(mp_object_t *self, mp_key_t member, bool *out, int timeout_ms);
MP_API mp_rc_t mp_set_len(mp_object_t *self, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_set_clear(mp_object_t *self, int timeout_ms);
MP_API mp_rc_t mp_set_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms);
/* All members of a list tree, as one change; the tree is taken over. */
MP_API mp_rc_t mp_set_update(mp_object_t *self, mp_tree_t *members, int timeout_ms);

/* self |= other, &=, -=, ^=. */
MP_API mp_rc_t mp_set_union_update(mp_object_t *self, mp_object_t *other, int timeout_ms);
MP_API mp_rc_t mp_set_intersection_update(mp_object_t *self, mp_object_t *other, int timeout_ms);
MP_API mp_rc_t mp_set_difference_update(mp_object_t *self, mp_object_t *other, int timeout_ms);
MP_API mp_rc_t mp_set_symmetric_difference_update(mp_object_t *self, mp_object_t *other,
                                                  int timeout_ms);
/* self | other, &, -, ^, as a list tree. */
MP_API mp_rc_t mp_set_union(mp_object_t *self, mp_object_t *other, mp_tree_t **out, int timeout_ms);
MP_API mp_rc_t mp_set_intersection(mp_object_t *self, mp_object_t *other, mp_tree_t **out,
                                   int timeout_ms);
MP_API mp_rc_t mp_set_difference(mp_object_t *self, mp_object_t *other, mp_tree_t **out,
                                 int timeout_ms);
MP_API mp_rc_t mp_set_symmetric_difference(mp_object_t *self, mp_object_t *other, mp_tree_t **out,
                                           int timeout_ms);
MP_API mp_rc_t mp_set_isdisjoint(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms);
/* self <= other, >=; proper: <, >, where the two aren't the same. */
MP_API mp_rc_t mp_set_issubset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms);
MP_API mp_rc_t mp_set_issuperset(mp_object_t *self, mp_object_t *other, bool *out, int timeout_ms);
MP_API mp_rc_t mp_set_is_proper_subset(mp_object_t *self, mp_object_t *other, bool *out,
                                       int timeout_ms);
MP_API mp_rc_t mp_set_is_proper_superset(mp_object_t *self, mp_object_t *other, bool *out,
                                         int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
