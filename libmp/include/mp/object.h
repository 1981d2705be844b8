/* object.h: a handle on something that a manager keeps: a dict, a lock, a queue …
 *
 * Where Python has a proxy for each type, there is one type of handle here, and functions for
 * each type of object: mp_dict_set, mp_list_append, mp_managed_lock_acquire. One that isn't for
 * the object's type says MP_EINVAL and what it is.
 *
 * An object is anonymous, and ends ten seconds after its last handle (a killed process has none;
 * a handle inside another object is one); or it has a name, and stays until it is deleted or
 * expires.
 *
 * A handle works in a forked child as it is, and goes elsewhere as a reference: as an item, in
 * a task's argument, or inside another object, which then keeps it alive. It is reopened
 * by itself when the manager was lost and is there again.
 *
 * timeout_ms is for what is waited for (a lock, an item, a place, a key): 0 doesn't wait, -1 waits
 * for ever. The manager's answer itself is waited for as long, and for two seconds at least.
 *
 * Any thread may use a handle. Each call is one question and one answer, unless it is made on a
 * pipeline's handle (pipeline.h). Calls of one thread are carried out in their order.
 *
 * The codes of every call on an object, beside its own:
 *     MP_ETIMEDOUT   no answer in time; what was asked for may still be carried out, but
 *                    nothing is acquired or taken by it
 *     MP_EPEERLOST   the manager was lost meanwhile; whether it was carried out is not known
 *     MP_ECONNECT    the manager can't be reached; MP_EAUTH, MP_EVERSION it refuses
 *     MP_ENOTFOUND   the object is not there any more; the key or name isn't
 *     MP_EINVAL      a bad argument, or an object of another type
 *     MP_ELIMIT      a limit of the object, the client or the manager is reached
 *     MP_ETOOLARGE   one item is larger than 64 MiB
 *     MP_ENOSPACE    the manager's disk is full: nothing has changed
 *     MP_ESTALE      the handle is guarded by a lock that isn't held any more
 *     MP_ELEASE      said once by each handle, after this process was silent for so long that its
 *                    holds ended: nothing was carried out
 *     MP_ENOMEM, MP_ESYSTEM, MP_EPROTO, MP_ECLOSED
 */
#ifndef MP_OBJECT_H
#define MP_OBJECT_H

#include <mp/error.h>
#include <mp/item.h>
#include <mp/ref.h>
#include <mp/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_object mp_object_t;

typedef enum mp_object_type {
    MP_OBJECT_DICT = 1,
    MP_OBJECT_LIST,
    MP_OBJECT_SET,
    MP_OBJECT_NAMESPACE,
    MP_OBJECT_VALUE,
    MP_OBJECT_ARRAY,
    MP_OBJECT_QUEUE,
    MP_OBJECT_JOINABLE_QUEUE,
    MP_OBJECT_LOCK,
    MP_OBJECT_RLOCK,
    MP_OBJECT_SEMAPHORE,
    MP_OBJECT_BOUNDED_SEMAPHORE,
    MP_OBJECT_EVENT,
    MP_OBJECT_CONDITION,
    MP_OBJECT_BARRIER,
    MP_OBJECT_CUSTOM, /* of a type that the manager's program has registered */
    MP_OBJECT_TYPES   /* one past the last */
} mp_object_type_t;

/* "dict", "bounded semaphore"; "?" for none. Static. */
MP_API const char *mp_object_type_name(mp_object_type_t type);

/* Give up the handle. NULL-safe; doesn't wait. */
MP_API void mp_object_destroy(mp_object_t **self);

/* A second handle on the same object. MP_OK; MP_ENOMEM. */
MP_API mp_rc_t mp_object_copy(const mp_object_t *self, mp_object_t **out);

/* "" if it has none. As long as the handle. */
MP_API const char *mp_object_name(const mp_object_t *self);
MP_API mp_object_type_t mp_object_type(const mp_object_t *self);
/* The manager's number for it: unique, never used again. */
MP_API uint64_t mp_object_id(const mp_object_t *self);

/* Delete it, whoever has handles: their next calls say MP_ENOTFOUND, and waits end with that. */
MP_API mp_rc_t mp_object_delete(mp_object_t *self, int timeout_ms);

/* It ends ttl_ms from now, whatever happens to it; 0: it doesn't expire. */
MP_API mp_rc_t mp_object_expire(mp_object_t *self, int64_t ttl_ms, int timeout_ms);

typedef struct mp_object_stat {
    mp_object_type_t type;
    uint64_t version;  /* of its last change */
    uint64_t items;    /* in it; of a semaphore its value, of an event whether it is set */
    uint64_t bytes;    /* of items and keys, with 64 for each */
    uint32_t handles;  /* of clients, and inside objects */
    uint32_t holders;  /* of a lock or semaphore */
    uint32_t waiters;  /* calls that wait for something of it */
    uint64_t token;    /* of a lock's last holder */
    int64_t expire_ms; /* from now; 0: never */
} mp_object_stat_t;
MP_API mp_rc_t mp_object_stat(mp_object_t *self, mp_object_stat_t *out, int timeout_ms);

/* Wait until the object has changed since `*version` (0: ever), and tell its version now. Changes
 * in between are not told one by one: look at the object after each. Deleting it is MP_ENOTFOUND.
 * MP_ETIMEDOUT: it hasn't. */
MP_API mp_rc_t mp_object_watch(mp_object_t *self, uint64_t *version, int timeout_ms);

/* From here on each change by this handle, get from a queue, and method of a custom object is
 * carried out only if `lock`, a Lock, RLock or Condition of the same manager, is then still in the
 * hold that this process has now; else MP_ESTALE, and nothing changes. A condition's wait gives a
 * new hold. So who has lost the lock without noticing can do no harm. NULL: no guard. MP_OK;
 * MP_ENOTOWNER the lock isn't held by this process; MP_EINVAL. */
MP_API mp_rc_t mp_object_guard(mp_object_t *self, mp_object_t *lock);
/* The same by number, as a token was told to another process. */
MP_API mp_rc_t mp_object_guard_token(mp_object_t *self, mp_object_t *lock, uint64_t token);

/* A reference, and a handle from one. The receiver reaches the manager as this process does: one
 * with a key, or with an address of more than 22 characters, only if it has connected to it
 * itself before.
 * MP_OK; open: MP_EINVAL it is no reference to an object; MP_ENOTFOUND; MP_ENOMEM. */
MP_API mp_rc_t mp_object_ref(const mp_object_t *self, mp_ref_t *out);
MP_API mp_rc_t mp_object_open(const mp_ref_t *ref, mp_object_t **out);
/* As a node of a tree: MP_LIST(MP_V(1), mp_object_node(dict)). NULL: no memory. */
MP_API mp_tree_t *mp_object_node(const mp_object_t *self);

/* ---- keys --------------------------------------------------------------------------------
 *
 * A key of a dict or member of a set is a null, bool, int, float, str or bytes, of at most 64 KiB.
 * Two are the same if type and value are: 1 and 1.0 are two keys. MP_K(1), MP_K("name").
 */
typedef struct mp_key {
    mp_tree_type_t type;
    union {
        bool truth;
        int64_t integer;
        double real;
        size_t size; /* of str or bytes */
    } as;
    const void *data; /* of str or bytes: stays the caller's */
} mp_key_t;

MP_UNUSED static inline mp_key_t mp_key_same_(mp_key_t key)
{
    return key;
}

MP_API mp_key_t mp_key_null(void);
MP_API mp_key_t mp_key_bool(bool truth);
MP_API mp_key_t mp_key_int(int64_t integer);
MP_API mp_key_t mp_key_float(double real);
MP_API mp_key_t mp_key_str(const char *text);
MP_API mp_key_t mp_key_bytes(const void *data, size_t size);
/* What a node of a tree is as a key, as long as the tree is. Of a list, dict or ref, or NULL:
 * a key that no call takes. */
MP_API mp_key_t mp_key_of(const mp_tree_t *node);
#define MP_K(x)                                                                                    \
    _Generic((x),                                                                                  \
        bool: mp_key_bool,                                                                         \
        float: mp_key_float,                                                                       \
        double: mp_key_float,                                                                      \
        char *: mp_key_str,                                                                        \
        const char *: mp_key_str,                                                                  \
        mp_tree_t *: mp_key_of,                                                                    \
        mp_key_t: mp_key_same_,                                                                    \
        default: mp_key_int)(x)

#ifdef __cplusplus
}
#endif

#endif
