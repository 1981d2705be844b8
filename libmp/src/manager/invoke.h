/* invoke.h: a method of an object: arguments in, results out. All public calls are made of it.
 *
 *     return MPX_INVOKE(self, MPX_MAP_SET, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_TREE(value)),
 *                       MPX_NO_TAKES);
 */
#ifndef MPX_INVOKE_H
#define MPX_INVOKE_H

#include "method.h"
#include "object.h"

typedef enum mpx_arg_kind {
    MPX_ARG_NUMBER,
    MPX_ARG_KEY,
    MPX_ARG_TREE,
    MPX_ARG_ITEM
} mpx_arg_kind_t;

typedef struct mpx_arg {
    mpx_arg_kind_t kind;
    uint32_t item_kind;
    uint64_t number;
    mp_key_t key;
    mp_tree_t *tree; /* destroyed by the call, also if it fails; NULL is MP_ENOMEM */
    mp_bytes_t item;
} mpx_arg_t;

#define MPX_NUMBER(n)                                                                              \
    {                                                                                              \
        .kind = MPX_ARG_NUMBER, .number = (uint64_t)(n)                                            \
    }
#define MPX_KEY(k)                                                                                 \
    {                                                                                              \
        .kind = MPX_ARG_KEY, .key = (k)                                                            \
    }
#define MPX_TREE(t)                                                                                \
    {                                                                                              \
        .kind = MPX_ARG_TREE, .tree = (t)                                                          \
    }
#define MPX_ITEM(k, data, size)                                                                    \
    {                                                                                              \
        .kind = MPX_ARG_ITEM, .item_kind = (uint32_t)(k), .item = {(data), (size) }                \
    }
#define MPX_ARGS(...)                                                                              \
    (mpx_arg_t[]){__VA_ARGS__}, sizeof((mpx_arg_t[]){__VA_ARGS__}) / sizeof(mpx_arg_t)
#define MPX_NO_ARGS NULL, 0

/* Where a result goes; `out` may be NULL: it is passed over. */
typedef enum mpx_take_kind {
    MPX_TAKE_TREE,   /* mp_tree_t **: a tree; bytes that are none come as a node of bytes */
    MPX_TAKE_ITEM,   /* mp_item_t * */
    MPX_TAKE_NUMBER, /* uint64_t * */
    MPX_TAKE_SIZE,   /* size_t * */
    MPX_TAKE_BOOL,   /* bool * */
    MPX_TAKE_INT,    /* int64_t *, of a tree that is a number */
    MPX_TAKE_FLOAT,  /* double *, the same */
    MPX_TAKE_BUFFER, /* bytes: `room` of them, and size_t *size */
    MPX_TAKE_AGAIN,  /* bool in the mp_item_t * */
    MPX_TAKE_REST    /* mp_item_t *: what is there, if anything is */
} mpx_take_kind_t;

typedef struct mpx_take {
    mpx_take_kind_t kind;
    void *out;
    size_t room;
    size_t *size;
} mpx_take_t;

enum { MPX_TAKES_MAX = 3 };

#define MPX_TAKES(...)                                                                             \
    (const mpx_take_t[]){__VA_ARGS__},                                                             \
        sizeof((const mpx_take_t[]){__VA_ARGS__}) / sizeof(mpx_take_t)
#define MPX_NO_TAKES NULL, 0

#define MPX_INVOKE(self, method, timeout_ms, args, takes)                                          \
    mpx_invoke(self, method, timeout_ms, args, takes)

mp_rc_t mpx_invoke(mp_object_t *self, mpx_method_t method, int timeout_ms, mpx_arg_t *args,
                   size_t args_count, const mpx_take_t *takes, size_t takes_count);

/* An operation of the manager's that is packed already. */
mp_rc_t mpx_invoke_packed(mpx_server_t *server, mpx_method_t method, int timeout_ms,
                          const mpx_buf_t *operation, const mpx_take_t *takes, size_t takes_count);
/* The same for the manager itself. */
mp_rc_t mpx_invoke_server(mpx_server_t *server, mpx_method_t method, int timeout_ms,
                          mpx_arg_t *args, size_t args_count, const mpx_take_t *takes,
                          size_t takes_count);

/* Parts, for pipelines: append an operation (the trees in args are destroyed); read an answer. */
mp_rc_t mpx_invoke_pack(const mp_object_t *self, mpx_method_t method, int timeout_ms,
                        mpx_arg_t *args, size_t args_count, mpx_buf_t *out);
mp_rc_t mpx_invoke_unpack(const mpx_answer_t *answer, const mpx_take_t *takes, size_t takes_count);

/* Until when an answer is waited for. */
int64_t mpx_invoke_deadline(int timeout_ms);

#endif
