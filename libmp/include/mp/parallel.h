/* parallel.h: a loop over all processors, whose parts run in processes that may crash.
 *
 *     static int draw_row(size_t row, void *arg)
 *     {
 *         picture_t *picture = arg;
 *         unsigned char *pixels = mp_array_get_obj(picture->pixels);
 *         …
 *         return 0;
 *     }
 *     mp_parallel_for(picture.height, draw_row, &picture);
 *
 * The processes are forked by the call and see the caller's memory as it is then, so the function
 * uses whatever it likes of it. What it writes there is lost with its process; results go to memory
 * that processes share: mp_array_new, mp_value_new, mp_shared_memory_create, or any MAP_SHARED
 * mapping. It has what a child of mp_process_start has (process.h): default signals, no standard
 * input, and it ends with its parent.
 *
 * Indices are taken in order, in chunks that get smaller towards the end. An index is given to one
 * process once. When the function crashes at one, that index has failed, and another process goes
 * on behind it.
 */
#ifndef MP_PARALLEL_H
#define MP_PARALLEL_H

#include <mp/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is the default. */
typedef struct mp_parallel_options {
    int processes;    /* 0: mp_cpu_count() */
    size_t chunksize; /* indices that are taken at once; 0: a share of what is left */
    int timeout_ms;   /* for all of it; 0: none */
} mp_parallel_options_t;

/* Run function(i, arg) for each i below n, and wait for all. Any thread; the fork takes the
 * other threads' locks along as they are.
 * MP_OK; MP_EFAILED it returned something else than 0, MP_ECRASHED it ended its process, at the
 * index in mp_errmsg(): the lowest one, and all others were run; MP_ETIMEDOUT what ran was killed,
 * the rest isn't run; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM no process could be started. */
MP_API mp_rc_t mp_parallel_for(size_t n, int (*function)(size_t index, void *arg), void *arg);
/* options  NULL for the defaults */
MP_API mp_rc_t mp_parallel_for_with(size_t n, int (*function)(size_t index, void *arg), void *arg,
                                    const mp_parallel_options_t *options);

#ifdef __cplusplus
}
#endif

#endif
