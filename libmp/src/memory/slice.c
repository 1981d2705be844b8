#include "slice.h"

#include "fault.h"

#include <mp/value.h>

/* As PySlice_AdjustIndices: bounds between 0 and length for a step forward, between -1 and
 * length - 1 for one backwards. */
static ptrdiff_t clip(ptrdiff_t bound, ptrdiff_t length, ptrdiff_t low, ptrdiff_t high)
{
    if (bound < 0)
        bound = bound < -length ? low : bound + length;
    return bound < low ? low : bound > high ? high : bound;
}

mp_rc_t mpx_slice_of(size_t length, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step,
                     mpx_slice_t *out)
{
    ptrdiff_t n = (ptrdiff_t)length;
    if (step == 0)
        return mpx_fault(MP_EINVAL, "a slice's step is 0");
    if (step < -PTRDIFF_MAX)
        step = -PTRDIFF_MAX;
    ptrdiff_t low = step > 0 ? 0 : -1;
    ptrdiff_t high = step > 0 ? n : n - 1;
    ptrdiff_t from = start == MP_SLICE_OPEN ? (step > 0 ? low : high) : clip(start, n, low, high);
    ptrdiff_t to = stop == MP_SLICE_OPEN ? (step > 0 ? high : low) : clip(stop, n, low, high);
    size_t count = 0;
    if (step > 0 && from < to)
        count = (size_t)((to - from - 1) / step + 1);
    if (step < 0 && to < from)
        count = (size_t)((from - to - 1) / -step + 1);
    *out = (mpx_slice_t){count ? (size_t)from : 0, step, count};
    return MP_OK;
}
