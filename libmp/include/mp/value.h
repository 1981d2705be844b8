/* value.h: numbers and structs that processes share.
 *
 *     mp_value_new('i', &(int){0}, NULL, &counter);
 *     int *n = mp_value_get_obj(counter);
 *     MP_WITH_LOCK(mp_value_get_lock(counter))
 *         ++*n;
 *
 * They lie in shared memory that has no name and ends with the last process that uses it. Each
 * has a lock, an RLock unless told otherwise, which the calls that copy hold, and which
 * whoever uses the pointer must hold. Raw ones have none. As to forks, other processes and
 * destroying, the same holds as for locks (sync.h).
 *
 * Type codes, as Python's: c char, b B int8, h H short, i I int, l L long, q Q long long,
 * f float, d double; capitals are unsigned. Any struct goes by its size.
 *
 * Calls that hold the lock say MP_EOWNERDEAD once, having done their work, when its last
 * holder died.
 */
#ifndef MP_VALUE_H
#define MP_VALUE_H

#include <mp/error.h>
#include <mp/sync.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_value mp_value_t;
typedef struct mp_array mp_array_t;

typedef struct mp_shared_options {
    mp_lock_t *lock; /* given; must outlive it. NULL: an RLock of its own */
    bool raw;        /* none */
} mp_shared_options_t;

/* ---- Value ------------------------------------------------------------------------------- */

/* initial  copied; NULL: zero
 * MP_OK; MP_EINVAL unknown type code, or no bytes; MP_ETOOLARGE; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_value_new(char typecode, const void *initial,
                                          const mp_shared_options_t *options, mp_value_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_value_new_struct(size_t bytes, const void *initial,
                                                 const mp_shared_options_t *options,
                                                 mp_value_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_raw_value_new(char typecode, const void *initial, mp_value_t **out);
MP_API void mp_value_destroy(mp_value_t **self);

/* The value itself, aligned for any type; never NULL. */
MP_API void *mp_value_get_obj(const mp_value_t *self);
/* NULL: it is raw. Not to be destroyed. */
MP_API mp_lock_t *mp_value_get_lock(const mp_value_t *self);
MP_API size_t mp_value_bytes(const mp_value_t *self);

/* Copy it, holding the lock without a time limit. MP_OK; MP_EOWNERDEAD; MP_EDEADLOCK the
 * thread holds its Lock (an RLock is fine). */
MP_API mp_rc_t mp_value_get(const mp_value_t *self, void *out);
MP_API mp_rc_t mp_value_set(mp_value_t *self, const void *in);
/* Add to an integer, in one step, and tell what it is then (NULL: don't). Raw ones too.
 * MP_EINVAL: it is no integer. */
MP_API mp_rc_t mp_value_add(mp_value_t *self, int64_t delta, int64_t *result);

MP_API void mp_value_ref(const mp_value_t *self, mp_ref_t *out);
MP_API MP_MUST_CHECK mp_rc_t mp_value_open(const mp_ref_t *ref, mp_value_t **out);

/* ---- Array ------------------------------------------------------------------------------- */

/* length   of items, at least 1
 * initial  that many items, copied; NULL: zeros
 * The codes of mp_value_new. */
MP_API MP_MUST_CHECK mp_rc_t mp_array_new(char typecode, size_t length, const void *initial,
                                          const mp_shared_options_t *options, mp_array_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_array_new_struct(size_t item_bytes, size_t length,
                                                 const void *initial,
                                                 const mp_shared_options_t *options,
                                                 mp_array_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_raw_array_new(char typecode, size_t length, const void *initial,
                                              mp_array_t **out);
MP_API void mp_array_destroy(mp_array_t **self);

/* The first item; the others follow it. */
MP_API void *mp_array_get_obj(const mp_array_t *self);
MP_API mp_lock_t *mp_array_get_lock(const mp_array_t *self);
MP_API size_t mp_array_len(const mp_array_t *self);
MP_API size_t mp_array_item_bytes(const mp_array_t *self);

/* One item; -1 is the last one. MP_OK; MP_EOWNERDEAD; MP_ERANGE; MP_EDEADLOCK. */
MP_API mp_rc_t mp_array_get(const mp_array_t *self, ptrdiff_t index, void *out);
MP_API mp_rc_t mp_array_set(mp_array_t *self, ptrdiff_t index, const void *in);

/* A bound that was left out, as in a[:3] or a[::-1]. */
#define MP_SLICE_OPEN PTRDIFF_MIN

/* The items a[start:stop:step] with Python's meaning: negative bounds count from the end, what
 * is out of range is cut off, a negative step goes backwards. All in one hold of the lock.
 * count  in: how many items `out` has room for, or `in` has; out (get): how many there were
 * MP_OK; MP_EOWNERDEAD; MP_EINVAL step 0; MP_ERANGE no room for all (get), or another number
 * of items (set): nothing was copied; MP_EDEADLOCK. */
MP_API mp_rc_t mp_array_get_slice(const mp_array_t *self, ptrdiff_t start, ptrdiff_t stop,
                                  ptrdiff_t step, void *out, size_t *count);
MP_API mp_rc_t mp_array_set_slice(mp_array_t *self, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step,
                                  const void *in, size_t count);

/* An array of characters as a string: up to its first NUL or its end, and one NUL.
 * MP_OK; MP_EOWNERDEAD; MP_ERANGE no room for it; MP_EINVAL items of more than a byte;
 * MP_EDEADLOCK. */
MP_API mp_rc_t mp_array_get_text(const mp_array_t *self, char *buffer, size_t size);
/* The text, and a NUL where there is room for it. */
MP_API mp_rc_t mp_array_set_text(mp_array_t *self, const char *text);

MP_API void mp_array_ref(const mp_array_t *self, mp_ref_t *out);
MP_API MP_MUST_CHECK mp_rc_t mp_array_open(const mp_ref_t *ref, mp_array_t **out);

#ifdef __cplusplus
}
#endif

#endif
