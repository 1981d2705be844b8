/* node.h: encoded trees, looked at and put together as bytes, without building a tree.
 *
 * What keeps many trees (objects/) neither needs nor wants a block of memory for each of their
 * nodes. Bytes come from strangers: a node that claims more than there is, is too deep, or is
 * none of ours is refused.
 */
#ifndef MPX_NODE_H
#define MPX_NODE_H

#include "buf.h"

#include <mp/ref.h>
#include <mp/tree.h>
#include <stdbool.h>

enum { MPX_NODE_HEAD_MAX = 9, MPX_REF_NODE_BYTES = 3 + sizeof(mp_ref_t) };

/* The node at the beginning of `rest`, which moves on behind it. Strings aren't looked at.
 * refs  counts the references in it; may be NULL
 * MP_OK; MP_EOF nothing is left; MP_EPROTO; MP_ETOOLARGE more than 64 deep. */
mp_rc_t mpx_node_next(mp_bytes_t *rest, mp_bytes_t *node, size_t *refs);
/* Whether the bytes are one whole node. MP_OK; MP_EPROTO; MP_ETOOLARGE. */
mp_rc_t mpx_node_check(mp_bytes_t node, size_t *refs);
/* Of a valid node: each reference in it. */
void mpx_node_refs(mp_bytes_t node, void (*each)(void *arg, const mp_ref_t *ref), void *arg);

mp_tree_type_t mpx_node_type(mp_bytes_t node);
/* Null, bool, int, float, str or bytes. */
bool mpx_node_is_scalar(mp_bytes_t node);

/* Of a list (a dict): how many items (pairs), and move behind its head. false: it is none. */
bool mpx_node_enter(mp_bytes_t *node, mp_tree_type_t type, size_t *count);
/* Numbers, and what a str or bytes holds. false: it is none of these. */
bool mpx_node_int(mp_bytes_t node, int64_t *out);
bool mpx_node_float(mp_bytes_t node, double *out);
bool mpx_node_text(mp_bytes_t node, mp_bytes_t *out);

/* Append a node, or the head of one. MP_OK; MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_node_add_null(mpx_buf_t *out);
mp_rc_t mpx_node_add_bool(mpx_buf_t *out, bool truth);
mp_rc_t mpx_node_add_int(mpx_buf_t *out, int64_t integer);
mp_rc_t mpx_node_add_float(mpx_buf_t *out, double real);
mp_rc_t mpx_node_add_str(mpx_buf_t *out, const char *text, size_t size);
mp_rc_t mpx_node_add_bytes(mpx_buf_t *out, const void *data, size_t size);
mp_rc_t mpx_node_add_list(mpx_buf_t *out, size_t count);
mp_rc_t mpx_node_add_dict(mpx_buf_t *out, size_t pairs);
mp_rc_t mpx_node_add_ref(mpx_buf_t *out, const mp_ref_t *ref);

#endif
