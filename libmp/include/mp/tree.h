/* tree.h: value trees: what Python would pickle.
 *
 *     mp_tree_t *job = MP_DICT({"name", MP_V("frame")}, {"size", MP_LIST(MP_V(640), MP_V(480))});
 *     printf("%lld\n", (long long)mp_tree_int_or(mp_tree_get(job, "number"), -1));
 *     mp_tree_destroy(&job);
 *
 * A node is null, a bool, an int (64 bits), a float (double), a str (UTF-8), bytes, a list, a
 * dict (str keys, in the order in which they were set) or a ref (a handle, see ref.h). A tree
 * owns all its nodes; a node is in one tree at most. Trees are plain data of one thread at a
 * time: no call blocks, none is shared between processes. They travel encoded.
 *
 * Builders return NULL when memory ends, and take ownership of what they are given also then;
 * a NULL inside makes the whole NULL, so that one check at the end is enough.
 */
#ifndef MP_TREE_H
#define MP_TREE_H

#include <mp/error.h>
#include <mp/ref.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_tree mp_tree_t;

typedef enum mp_tree_type {
    MP_TREE_NULL,
    MP_TREE_BOOL,
    MP_TREE_INT,
    MP_TREE_FLOAT,
    MP_TREE_STR,
    MP_TREE_BYTES,
    MP_TREE_LIST,
    MP_TREE_DICT,
    MP_TREE_REF
} mp_tree_type_t;

/* ---- building ---------------------------------------------------------------------------- */

MP_API mp_tree_t *mp_tree_null(void);
MP_API mp_tree_t *mp_tree_bool(bool truth);
MP_API mp_tree_t *mp_tree_int(int64_t integer);
MP_API mp_tree_t *mp_tree_float(double real);
/* Copied. What is not UTF-8 makes NULL, as a NULL text does. */
MP_API mp_tree_t *mp_tree_str(const char *text);
MP_API mp_tree_t *mp_tree_str_n(const char *text, size_t size);
MP_API mp_tree_t *mp_tree_bytes(const void *data, size_t size);
MP_API mp_tree_t *mp_tree_ref(const mp_ref_t *ref);

typedef struct mp_tree_pair {
    const char *key; /* copied */
    mp_tree_t *value;
} mp_tree_pair_t;

/* Of `count` nodes or pairs, 0 for an empty one. Of two pairs with one key the later counts. */
MP_API mp_tree_t *mp_tree_list(mp_tree_t *const *items, size_t count);
MP_API mp_tree_t *mp_tree_dict(const mp_tree_pair_t *pairs, size_t count);

/* Any C number, string or tree as a node. A C11 `true` is an int: use mp_tree_bool. */
#define MP_V(x)                                                                                    \
    _Generic((x),                                                                                  \
        bool: mp_tree_bool,                                                                        \
        float: mp_tree_float,                                                                      \
        double: mp_tree_float,                                                                     \
        char *: mp_tree_str,                                                                       \
        const char *: mp_tree_str,                                                                 \
        mp_tree_t *: mp_tree_same_,                                                                \
        default: mp_tree_int)(x)
MP_UNUSED static inline mp_tree_t *mp_tree_same_(mp_tree_t *self)
{
    return self;
}
/* Not for empty ones: MP_LIST(MP_V(1), MP_V("two")), MP_DICT({"a", MP_V(1)}, {"b", MP_V(2)}). */
#define MP_LIST(...)                                                                               \
    mp_tree_list((mp_tree_t *const[]){__VA_ARGS__},                                                \
                 sizeof((mp_tree_t *const[]){__VA_ARGS__}) / sizeof(mp_tree_t *))
#define MP_DICT(...)                                                                               \
    mp_tree_dict((const mp_tree_pair_t[]){__VA_ARGS__},                                            \
                 sizeof((const mp_tree_pair_t[]){__VA_ARGS__}) / sizeof(mp_tree_pair_t))

/* NULL: no memory, or `self` is NULL. */
MP_API mp_tree_t *mp_tree_copy(const mp_tree_t *self);
MP_API void mp_tree_destroy(mp_tree_t **self);

/* Add to the end; put a key or replace its value. The node is taken over, also on failure.
 * MP_OK; MP_EINVAL not a list (dict), no node, or a key that is not UTF-8; MP_ENOMEM. */
MP_API mp_rc_t mp_tree_append(mp_tree_t *self, mp_tree_t *item);
MP_API mp_rc_t mp_tree_set(mp_tree_t *self, const char *key, mp_tree_t *value);
/* Take one out, to be destroyed by the caller. NULL: there is none. */
MP_API mp_tree_t *mp_tree_pop(mp_tree_t *self, ptrdiff_t index);
MP_API mp_tree_t *mp_tree_remove(mp_tree_t *self, const char *key);

/* ---- reading -----------------------------------------------------------------------------
 *
 * All take NULL as a tree that isn't there, so that they can be nested. What they return lies
 * in the tree.
 */

/* Of NULL: MP_TREE_NULL. */
MP_API mp_tree_type_t mp_tree_type(const mp_tree_t *self);
MP_API const char *mp_tree_type_name(mp_tree_type_t type);

/* Items of a list or dict, bytes of a str or bytes, else 0. */
MP_API size_t mp_tree_len(const mp_tree_t *self);
/* An item of a list, or a value of a dict in its order; -1 is the last. NULL: there is none. */
MP_API mp_tree_t *mp_tree_at(const mp_tree_t *self, ptrdiff_t index);
MP_API const char *mp_tree_key_at(const mp_tree_t *self, ptrdiff_t index);
/* A value of a dict. NULL: there is none, or it is no dict. */
MP_API mp_tree_t *mp_tree_get(const mp_tree_t *self, const char *key);

/* With a default for what isn't there or of another type. An int is a float too, where that is
 * asked for. */
MP_API bool mp_tree_bool_or(const mp_tree_t *self, bool otherwise);
MP_API int64_t mp_tree_int_or(const mp_tree_t *self, int64_t otherwise);
MP_API double mp_tree_float_or(const mp_tree_t *self, double otherwise);
MP_API const char *mp_tree_str_or(const mp_tree_t *self, const char *otherwise);

/* Or with an error that names what was found.
 * MP_OK; MP_ENOTFOUND it is NULL; MP_EINVAL of another type. */
MP_API mp_rc_t mp_tree_as_bool(const mp_tree_t *self, bool *out);
MP_API mp_rc_t mp_tree_as_int(const mp_tree_t *self, int64_t *out);
MP_API mp_rc_t mp_tree_as_float(const mp_tree_t *self, double *out);
/* With a NUL behind it; it may hold NULs of its own. */
MP_API mp_rc_t mp_tree_as_str(const mp_tree_t *self, const char **out);
/* Of a str too. */
MP_API mp_rc_t mp_tree_as_bytes(const mp_tree_t *self, mp_bytes_t *out);
MP_API mp_rc_t mp_tree_as_ref(const mp_tree_t *self, mp_ref_t *out);

/* Same types and values, lists in order, dicts in any; 1 and 1.0 differ, a NaN equals itself. */
MP_API bool mp_tree_equal(const mp_tree_t *a, const mp_tree_t *b);

/* ---- out and in --------------------------------------------------------------------------- */

/* All zero is the default. */
typedef struct mp_tree_limits {
    size_t bytes; /* of the encoding; 0: 64 MiB */
    size_t depth; /* of lists and dicts in each other; 0: 64; at most 256 */
    size_t nodes; /* 0: 4 million */
} mp_tree_limits_t;

/* MessagePack; a ref is an extension of type 1. *data is to be freed.
 * MP_OK; MP_EINVAL it is NULL; MP_ETOOLARGE over a limit; MP_ENOMEM. */
MP_API mp_rc_t mp_tree_encode(const mp_tree_t *self, const mp_tree_limits_t *limits, void **data,
                              size_t *size);
/* Bytes from anywhere: nothing is allocated by what they claim, only by what is there.
 * MP_OK; MP_EPROTO not one whole tree, or a type that trees don't have; MP_ETOOLARGE over a
 * limit; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_tree_decode(const void *data, size_t size,
                                            const mp_tree_limits_t *limits, mp_tree_t **out);

/* As JSON, for people. Bytes become {"$bytes": "base64"}, a ref {"$ref": "hex"}, an infinity or
 * NaN {"$float": "inf"}; they come back as what they were. *text is to be freed.
 * indent  spaces a level; 0: all in one line
 * MP_OK; MP_EINVAL; MP_ETOOLARGE deeper than 256; MP_ENOMEM. */
MP_API mp_rc_t mp_tree_to_json(const mp_tree_t *self, int indent, char **text);
/* MP_OK; MP_EINVAL with the place of the mistake in mp_errmsg(); MP_ETOOLARGE; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_tree_from_json(const char *text, size_t size,
                                               const mp_tree_limits_t *limits, mp_tree_t **out);

#ifdef __cplusplus
}
#endif

#endif
