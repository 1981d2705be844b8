/* alloc.h: memory that workers read and write in place.
 *
 *     float *pixels = mp_alloc(n * sizeof *pixels);
 *     …
 *     mp_pool_map(pool, &blur, pixels, rows, pixels_out, -1);
 *     mp_free(pixels);
 *
 * Inputs and results of a pool's calls may lie anywhere. Where they are large and lie in memory
 * from here, workers of this host use them where they are and nothing is copied; otherwise they
 * are copied once in and once out.
 *
 * A call that is cancelled or runs out of time while it works on such memory may write to it until
 * its worker has been stopped, which takes some milliseconds. mp_free may be called all the same:
 * the memory is not used for anything else before that.
 *
 * Threads: any. Fork: a forked child has the same memory, shared, and may write to it; only the
 * process that allocated it frees it.
 */
#ifndef MP_ALLOC_H
#define MP_ALLOC_H

#include <mp/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `bytes` zeros, aligned to 64. From 2 MiB to an eighth of the machine's memory they are there at
 * once, in huge pages where the kernel has them; what is larger comes as it is touched. NULL, with
 * the reason in mp_errmsg(): no memory. */
MP_API void *mp_alloc(size_t bytes);
/* NULL-safe. In another process than the one that allocated it: does nothing. */
MP_API void mp_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
