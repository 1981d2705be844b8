#include "scale.h"

#include "footprint.h"

enum { EXECUTOR_SIDE = 1 };

void mpx_scale_begin(mpx_scale_t *self, int memory)
{
    *self = (mpx_scale_t){.window = mpx_lane_window_open(memory)};
}

void mpx_scale_end(mpx_scale_t *self)
{
    mpx_lane_window_close(&self->window);
}

bool mpx_scale_weigh(mpx_scale_t *self, pid_t pid, const mpx_words_t *words, uint64_t limit_bytes,
                     bool *still)
{
    uint64_t before;
    *still = true;
    if (self->taken_bytes || !mpx_words_is_up(words, &before))
        return false;
    uint64_t footprint = mpx_footprint_of(pid);
    *still = footprint == self->footprint;
    self->footprint = footprint;
    if (footprint <= before || footprint - before <= limit_bytes)
        return false;
    self->taken_bytes = footprint - before;
    return true;
}

bool mpx_scale_rests(const mpx_scale_t *self, const mpx_words_t *words)
{
    uint64_t before;
    return mpx_words_is_up(words, &before) && self->window &&
           mpx_lane_window_sleeps(self->window, EXECUTOR_SIDE);
}
