/* item.h: one thing that goes through a queue or a pipe.
 *
 * It is bytes (the fast way), a value tree (tree.h), or a protobuf-c message (protobuf.h); it
 * arrives as what it was sent as.
 */
#ifndef MP_ITEM_H
#define MP_ITEM_H

#include <mp/error.h>
#include <mp/task.h>
#include <mp/tree.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mp_item_kind { MP_ITEM_BYTES, MP_ITEM_TREE, MP_ITEM_MESSAGE } mp_item_kind_t;

/* An item that was received. All zero is none. */
typedef struct mp_item {
    mp_item_kind_t kind;
    void *data; /* yours, 16-aligned; freed by mp_item_clear, or by free */
    size_t size;
    bool redelivered; /* by a queue: somebody had it before, and died or gave it back */
} mp_item_t;

MP_API void mp_item_clear(mp_item_t *self);

/* The name of a kind, such as "value tree". */
MP_API const char *mp_item_kind_name(mp_item_kind_t kind);

/* The tree that it holds, decoded; to be destroyed by the caller.
 * MP_OK; MP_EINVAL it holds another kind; MP_EPROTO; MP_ETOOLARGE; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_item_tree(const mp_item_t *self, mp_tree_t **out);

#ifdef __cplusplus
}
#endif

#endif
