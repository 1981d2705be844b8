/* task.h: tasks are C functions that workers find by name.
 *
 * A task over fixed-size records:
 *
 *     MP_TASK(square, int, int) { *out = *in * *in; return MP_OK; }
 *
 * `in` is a const int *, `out` an int * (zeroed before each call), `call` the
 * context of this call. The macro makes `const mp_task_t square`, so `&square`
 * is what the pool's calls take; MP_TASK_DECLARE(square) declares it elsewhere.
 *
 * MP_TASK_FILLS is the same for a task that writes all of `out`: it holds whatever
 * it held before, and large records cost a third less.
 *
 * A task over bytes of any length, zero included:
 *
 *     MP_TASK_BYTES(upper) { ...; return mp_call_write(call, text, length); }
 *
 * `in` is an mp_bytes_t; what it writes to the call is its result.
 *
 * A task registers itself when its program or shared object is loaded. It is
 * known by its name and its signature: type names, sizes, alignment and byte
 * order. A worker whose signature differs is never given the call.
 *
 * A task returns MP_OK, or any other number to fail: the call then ends with
 * MP_EFAILED, and the number and the text of mp_call_fail are in its outcome.
 * (With MP_ETIMEDOUT, if it returns that after its soft limit.)
 * It runs in a worker process of its own, so it may crash, leak or exit: that
 * costs this one call. It must not return with threads still using `in` or `out`.
 */
#ifndef MP_TASK_H
#define MP_TASK_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes: `size` of them at `data`, which may be NULL when size is 0. */
typedef struct mp_bytes {
    const void *data;
    size_t size;
} mp_bytes_t;

/* One running call, as its task sees it. Only valid inside the task. */
typedef struct mp_call mp_call_t;

/* One side of a signature. */
typedef struct mp_record {
    const char *type; /* the C type's name; "bytes" for any length */
    uint32_t bytes;   /* sizeof, 0 for bytes of any length */
    uint32_t align;   /* alignof, 1 for bytes of any length */
} mp_record_t;

typedef struct mp_task {
    const char *name; /* unique in a process; letters, digits, '_', '.' and '-', at most 127 */
    mp_record_t in;
    mp_record_t out;
    int (*run)(mp_call_t *call, mp_bytes_t in, void *out); /* NULL: run elsewhere only */
    bool fills; /* it writes all of `out`, which needn't be zeroed before */
} mp_task_t;

#define MP_TASK_NAME_MAX 127
#define MP_RECORD_OF(Type)                                                                         \
    {                                                                                              \
#Type, (uint32_t)sizeof(Type), (uint32_t) __alignof__(Type)                                \
    }
#define MP_RECORD_BYTES                                                                            \
    {                                                                                              \
        "bytes", 0, 1                                                                              \
    }

#define MP_TASK_DECLARE(task) extern const mp_task_t task
#define MP_TASK_ENTER_(task)                                                                       \
    __attribute__((constructor)) static void task##_mp_enter(void)                                 \
    {                                                                                              \
        mp_task_enter(&task);                                                                      \
    }

#define MP_TASK(task, In, Out)       MP_TASK_OF_(task, In, Out, false)
#define MP_TASK_FILLS(task, In, Out) MP_TASK_OF_(task, In, Out, true)
#define MP_TASK_OF_(task, In, Out, Fills)                                                          \
    MP_TASK_DECLARE(task);                                                                         \
    static int task##_mp_body(mp_call_t *call, const In *in, Out *out);                            \
    static int task##_mp_run(mp_call_t *call, mp_bytes_t in, void *out)                            \
    {                                                                                              \
        return task##_mp_body(call, (const In *)in.data, (Out *)out);                              \
    }                                                                                              \
    const mp_task_t task = {#task, MP_RECORD_OF(In), MP_RECORD_OF(Out), task##_mp_run, Fills};     \
    MP_TASK_ENTER_(task)                                                                           \
    static int task##_mp_body(MP_UNUSED mp_call_t *call, MP_UNUSED const In *in, MP_UNUSED Out *out)

#define MP_TASK_BYTES(task)                                                                        \
    MP_TASK_DECLARE(task);                                                                         \
    static int task##_mp_body(mp_call_t *call, mp_bytes_t in);                                     \
    static int task##_mp_run(mp_call_t *call, mp_bytes_t in, MP_UNUSED void *out)                  \
    {                                                                                              \
        return task##_mp_body(call, in);                                                           \
    }                                                                                              \
    const mp_task_t task = {#task, MP_RECORD_BYTES, MP_RECORD_BYTES, task##_mp_run, false};        \
    MP_TASK_ENTER_(task)                                                                           \
    static int task##_mp_body(MP_UNUSED mp_call_t *call, MP_UNUSED mp_bytes_t in)

/* Append bytes to the result of a task over bytes. They are copied.
 * MP_OK; MP_ETOOLARGE past MP_VALUE_BYTES_MAX; MP_ENOMEM; MP_EINVAL in a task
 * over fixed-size records. */
MP_API int mp_call_write(mp_call_t *call, const void *data, size_t size);

/* The same, formatted as by printf (without a trailing NUL). */
MP_API int mp_call_printf(mp_call_t *call, const char *format, ...) MP_PRINTF(2, 3);

/* Set the message of a failing call (cut at 1 KiB) and hand back `code`, so that
 * a task can end with `return mp_call_fail(call, ENOENT, "%s: no such file", path);`. */
MP_API int mp_call_fail(mp_call_t *call, int code, const char *format, ...) MP_PRINTF(3, 4);

/* Whether this call should end: MP_ECANCELLED nobody wants its result any more; MP_ETIMEDOUT its
 * soft limit has passed; else MP_OK. A task that runs for long asks from time to time, which costs
 * a few nanoseconds, and ends early: with what it has, or by `return mp_call_stopping(call);`. One
 * that doesn't is ended with its process when it is cancelled, see mp_call_options_t. */
MP_API mp_rc_t mp_call_stopping(const mp_call_t *call);

/* Say how far this call is, to whoever looks at its result (mp_result_reported). As often as you
 * like: at most some twenty a second are passed on, the newest always in the end.
 * total  0: not known. text  for people, at most 4 KiB; NULL: none. */
MP_API void mp_call_progress(mp_call_t *call, uint64_t done, uint64_t total, const char *text);

/* The position of this call's input in its map, from 0. */
MP_API uint64_t mp_call_index(const mp_call_t *call);

/* 1 for the first attempt at this call, 2 for its first retry, and so on. */
MP_API int mp_call_attempt(const mp_call_t *call);

/* What is left until this call's deadline (mp_call_options_t.deadline_ms), rounded down; 0: it has
 * passed, and the call will be stopped if it isn't over. -1: it has none. */
MP_API int64_t mp_call_deadline_ms(const mp_call_t *call);

/* The most that one input or one result may hold. */
#define MP_VALUE_BYTES_MAX (64u * 1024u * 1024u)

/* Add a task to this process's registry; MP_TASK does it. `task` must stay valid
 * for as long as the object that holds it is loaded. Entering the same pointer
 * twice is harmless. Any thread.
 * MP_OK; MP_EEXIST another task has the name; MP_EINVAL bad name; MP_ENOMEM. */
MP_API mp_rc_t mp_task_enter(const mp_task_t *task);

/* The task of that name, or NULL. Any thread. */
MP_API const mp_task_t *mp_task_find(const char *name);

/* Load a shared object, whose tasks then enter the registry. It stays loaded.
 * Runs the object's constructors in this process; workers do it for themselves
 * when a pool is given `load`.
 * MP_OK; MP_EMODULE, with the loader's words in mp_errmsg(); MP_EEXIST one of
 * its tasks has a name that another task holds; MP_EINVAL. */
MP_API mp_rc_t mp_task_load(const char *path);

/* Write the readable signature, such as "int[4,4] -> int[4,4] little", and return
 * its length without the NUL as snprintf does. */
MP_API int mp_task_signature(const mp_task_t *task, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
