/* shared_memory.h: blocks of memory that processes find by name.
 *
 *     mp_shared_memory_create("frame", 1000, &block);      here
 *     double (*m)[10] = mp_shared_memory_buf(block);       a 10 x 10 matrix
 *     mp_shared_memory_attach("frame", &block);            there
 *
 * A block is a file /dev/shm/mp-NAME of mode 0600 with a page of its own before the data, so
 * that its size is exact and a stranger's file isn't taken for one. It lives until it is
 * unlinked; who has it mapped keeps it. A block whose creator has died without unlinking it and
 * that nobody has mapped any more is removed by the next process that makes one, by a parent
 * that sees its child die, and by `mp shm reap`.
 *
 * A handle may be used by all threads, but closed by one. A forked child has it too.
 */
#ifndef MP_SHARED_MEMORY_H
#define MP_SHARED_MEMORY_H

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MP_SHARED_MEMORY_NAME_MAX 200

/* ---- SharedMemory ------------------------------------------------------------------------ */

typedef struct mp_shared_memory mp_shared_memory_t;

/* A new block of zeros.
 * name   letters, digits, '_', '.', '-', not first a dot; NULL: one is chosen
 * bytes  1 or more
 * MP_OK; MP_EINVAL; MP_EEXIST; MP_ETOOLARGE more than there is room for; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_shared_memory_create(const char *name, size_t bytes,
                                                     mp_shared_memory_t **out);
/* MP_OK; MP_EINVAL; MP_ENOTFOUND; MP_EPERM another user's; MP_ECORRUPT not one of ours, or
 * damaged; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_shared_memory_attach(const char *name, mp_shared_memory_t **out);
/* Close and free the handle; the block stays. */
MP_API void mp_shared_memory_destroy(mp_shared_memory_t **self);

/* Page-aligned; NULL after close. */
MP_API void *mp_shared_memory_buf(const mp_shared_memory_t *self);
MP_API size_t mp_shared_memory_size(const mp_shared_memory_t *self);
MP_API const char *mp_shared_memory_name(const mp_shared_memory_t *self);

/* Unmap it here. Idempotent. */
MP_API void mp_shared_memory_close(mp_shared_memory_t *self);
/* Remove the name; also after close. MP_OK; MP_ENOTFOUND it was removed before; MP_ESYSTEM. */
MP_API mp_rc_t mp_shared_memory_unlink(mp_shared_memory_t *self);
/* Never reap it: it is meant to outlive its creator. MP_OK; MP_ECLOSED. */
MP_API mp_rc_t mp_shared_memory_keep(mp_shared_memory_t *self);

/* ---- all of them ------------------------------------------------------------------------- */

typedef struct mp_shared_memory_info {
    const char *name; /* valid during the call */
    size_t bytes;
    pid_t creator;
    bool creator_lives;
    bool in_use; /* somebody has it mapped */
    bool kept;
} mp_shared_memory_info_t;

/* Call `each` for every block of this user. MP_OK; MP_ESYSTEM. */
MP_API mp_rc_t mp_shared_memory_each(void (*each)(void *arg, const mp_shared_memory_info_t *info),
                                     void *arg);
/* Remove those that are left behind: not kept, the creator dead, mapped by nobody.
 * blocks, bytes  how much that was; may be NULL
 * MP_OK; MP_ESYSTEM. */
MP_API mp_rc_t mp_shared_memory_reap(size_t *blocks, size_t *bytes);

/* ---- ShareableList -----------------------------------------------------------------------
 *
 * A list of fixed length in a block. An item may be replaced by one of any type that fits: a
 * number's place has 8 bytes, a text's what it had at first, rounded up to 8. Lengths are
 * exact, NULs included. No lock: guard it by one where several write.
 */
typedef struct mp_shareable_list mp_shareable_list_t;

typedef enum mp_scalar_type {
    MP_SCALAR_NONE,
    MP_SCALAR_BOOL,
    MP_SCALAR_INT,
    MP_SCALAR_FLOAT,
    MP_SCALAR_STR,
    MP_SCALAR_BYTES
} mp_scalar_type_t;

typedef struct mp_scalar {
    mp_scalar_type_t type;
    union {
        bool truth;
        int64_t integer;
        double real;
        mp_bytes_t bytes; /* of a str too; without a trailing NUL */
    } as;
} mp_scalar_t;

MP_UNUSED static inline mp_scalar_t mp_scalar_none(void)
{
    mp_scalar_t scalar = {MP_SCALAR_NONE, {0}};
    return scalar;
}
MP_UNUSED static inline mp_scalar_t mp_scalar_bool(bool truth)
{
    mp_scalar_t scalar = {MP_SCALAR_BOOL, {0}};
    scalar.as.truth = truth;
    return scalar;
}
MP_UNUSED static inline mp_scalar_t mp_scalar_int(int64_t integer)
{
    mp_scalar_t scalar = {MP_SCALAR_INT, {0}};
    scalar.as.integer = integer;
    return scalar;
}
MP_UNUSED static inline mp_scalar_t mp_scalar_float(double real)
{
    mp_scalar_t scalar = {MP_SCALAR_FLOAT, {0}};
    scalar.as.real = real;
    return scalar;
}
MP_UNUSED static inline mp_scalar_t mp_scalar_bytes(const void *data, size_t size)
{
    mp_scalar_t scalar = {MP_SCALAR_BYTES, {0}};
    scalar.as.bytes.data = data;
    scalar.as.bytes.size = size;
    return scalar;
}
MP_UNUSED static inline mp_scalar_t mp_scalar_str(const char *text)
{
    mp_scalar_t scalar = mp_scalar_bytes(text, strlen(text));
    scalar.type = MP_SCALAR_STR;
    return scalar;
}
MP_API bool mp_scalar_equal(mp_scalar_t a, mp_scalar_t b);

/* The codes of mp_shared_memory_create. `name` may be NULL. */
MP_API MP_MUST_CHECK mp_rc_t mp_shareable_list_new(const mp_scalar_t *items, size_t count,
                                                   const char *name, mp_shareable_list_t **out);
/* The codes of mp_shared_memory_attach; MP_ECORRUPT also for a block that holds no list. */
MP_API MP_MUST_CHECK mp_rc_t mp_shareable_list_attach(const char *name, mp_shareable_list_t **out);
MP_API void mp_shareable_list_destroy(mp_shareable_list_t **self);

MP_API size_t mp_shareable_list_len(const mp_shareable_list_t *self);
/* -1 is the last one. Bytes point into the list: until the item is set.
 * MP_OK; MP_ERANGE; MP_ECORRUPT. */
MP_API mp_rc_t mp_shareable_list_get(const mp_shareable_list_t *self, ptrdiff_t index,
                                     mp_scalar_t *out);
/* MP_OK; MP_ERANGE; MP_ETOOLARGE for its place; MP_EINVAL. */
MP_API mp_rc_t mp_shareable_list_set(mp_shareable_list_t *self, ptrdiff_t index, mp_scalar_t item);
/* How many items equal that one. */
MP_API size_t mp_shareable_list_count(const mp_shareable_list_t *self, mp_scalar_t item);
/* The first that does. MP_OK; MP_ENOTFOUND. */
MP_API mp_rc_t mp_shareable_list_index(const mp_shareable_list_t *self, mp_scalar_t item,
                                       size_t *out);
/* Its block: name, close, unlink. Not to be destroyed. */
MP_API mp_shared_memory_t *mp_shareable_list_shm(const mp_shareable_list_t *self);

/* ---- a manager --------------------------------------------------------------------------- */

/* Unlinks, when it is destroyed, all that was made with it. In a forked child it can make
 * nothing, and its destroy unlinks nothing. */
typedef struct mp_shared_memory_manager mp_shared_memory_manager_t;

/* MP_OK; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_shared_memory_manager_new(mp_shared_memory_manager_t **out);
/* Handles of their own, to be destroyed. The codes of create; MP_EFORKED. */
MP_API MP_MUST_CHECK mp_rc_t mp_shared_memory_manager_block(mp_shared_memory_manager_t *self,
                                                            size_t bytes, mp_shared_memory_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_shared_memory_manager_list(mp_shared_memory_manager_t *self,
                                                           const mp_scalar_t *items, size_t count,
                                                           mp_shareable_list_t **out);
MP_API void mp_shared_memory_manager_destroy(mp_shared_memory_manager_t **self);

#ifdef __cplusplus
}
#endif

#endif
