/* slice.h: Python's a[start:stop:step]. */
#ifndef MPX_SLICE_H
#define MPX_SLICE_H

#include <mp/error.h>
#include <stddef.h>

typedef struct mpx_slice {
    size_t first;
    ptrdiff_t step;
    size_t count;
} mpx_slice_t;

/* Which of `length` items are meant; bounds may be MP_SLICE_OPEN.
 * MP_OK; MP_EINVAL: the step is 0. */
mp_rc_t mpx_slice_of(size_t length, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step,
                     mpx_slice_t *out);

#endif
