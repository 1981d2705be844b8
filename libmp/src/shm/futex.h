/* futex.h: sleep until a word in shared memory changes. See futex(2). */
#ifndef MPX_FUTEX_H
#define MPX_FUTEX_H

#include <mp/error.h>
#include <stdatomic.h>
#include <stdint.h>

/* How long to sleep at most before looking whether somebody who should have woken us has
 * died: nobody tells that to a futex. */
#define MPX_LOOK_NS INT64_C(50000000)

/* Sleep while *word is `value`, until the deadline (CLOCK_MONOTONIC, ns) at the latest.
 * MP_OK: woken, or *word differs, or for nothing: look again. MP_ETIMEDOUT. */
mp_rc_t mpx_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);

/* Wake up to n sleepers; how many there were. Async-signal-safe. */
int mpx_futex_wake(_Atomic uint32_t *word, int n);

#endif
