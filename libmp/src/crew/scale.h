/* scale.h: what an executor has taken of memory, and whether it can be left alone.
 *
 * Whoever runs a call is weighed again and again. One that waits for a call, and has taken nothing
 * since it was weighed last, takes nothing until the next call begins, of which it tells then: see
 * mpx_words_announce. The nursery's.
 */
#ifndef MPX_SCALE_H
#define MPX_SCALE_H

#include "lane.h"
#include "words.h"
#include <sys/types.h>

typedef struct mpx_scale {
    const mpx_lane_window_t *window; /* NULL: whether it waits isn't known */
    uint64_t footprint;
    uint64_t taken_bytes; /* over the limit: it is to be killed for that; 0: it isn't */
} mpx_scale_t;

/* Of a new executor, at the end of the lane with that memory. */
void mpx_scale_begin(mpx_scale_t *self, int memory);
void mpx_scale_end(mpx_scale_t *self);

/* true: since it was up it has taken more than that, for the first time. */
bool mpx_scale_weigh(mpx_scale_t *self, pid_t pid, const mpx_words_t *words, uint64_t limit_bytes,
                     bool *still);
/* Whether it waits for a call. */
bool mpx_scale_rests(const mpx_scale_t *self, const mpx_words_t *words);

#endif
