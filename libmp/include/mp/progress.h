/* progress.h: a bar on a terminal that says how far something is.
 *
 *     mp_bar_t *bar = NULL;
 *     rc = mp_bar_new(&(mp_bar_options_t){.label = "frames"}, &bar);
 *     rc = mp_pool_map_with(pool, &render, in, n, out, NULL,
 *                           &(mp_call_options_t){.progress = mp_bar_show, .progress_arg = bar},
 * -1); mp_bar_destroy(&bar);
 *
 *     frames  412/1000  41%  ########-----------  1.3k/s  ETA 0:00
 *
 * It draws one line, over and over, not more than ten times a second, and only where somebody
 * looks: not if the descriptor is no terminal, and not if TERM is "dumb". Elsewhere it costs
 * nothing and writes nothing.
 *
 * Threads: one at a time for each bar. Nothing here fails in a way that matters to the work.
 */
#ifndef MP_PROGRESS_H
#define MP_PROGRESS_H

#include <mp/pool.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_bar mp_bar_t;

/* All zero is the default. */
typedef struct mp_bar_options {
    const char *label; /* what stands before the numbers; copied; NULL: nothing */
    int fd;            /* where to draw; 0: stderr */
    bool always;       /* also if that is no terminal */
} mp_bar_options_t;

/* MP_OK; MP_ENOMEM. options: NULL for the defaults; not kept. */
MP_API MP_MUST_CHECK mp_rc_t mp_bar_new(const mp_bar_options_t *options, mp_bar_t **out);

/* Draw, if it is time to. total: 0 when it isn't known yet. */
MP_API void mp_bar_update(mp_bar_t *self, const mp_progress_t *progress);
/* The same, as a mp_call_options_t.progress: arg is the bar. */
MP_API void mp_bar_show(void *arg, const mp_progress_t *progress);

/* Make way for other output there; the next update draws it anew. */
MP_API void mp_bar_erase(mp_bar_t *self);

/* Leave the last state on a line of its own, if it was shown, and free it. NULL-safe, idempotent.
 */
MP_API void mp_bar_destroy(mp_bar_t **self);

#ifdef __cplusplus
}
#endif

#endif
