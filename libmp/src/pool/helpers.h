/* helpers.h: the two threads of a pool that has results.
 *
 * The mover takes the driver's seat whenever results are open and no thread of the program has
 * it. The caller runs callbacks, without the pool's lock. Each is started when it is first needed,
 * with all signals blocked, and neither exists in a forked child.
 *
 * All functions are called with the pool's lock held.
 */
#ifndef MPX_HELPERS_H
#define MPX_HELPERS_H

#include "drive.h"

/* MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_helpers_start(mp_pool_t *pool, bool with_callbacks);
/* There is something to move, or to call. */
void mpx_helpers_wake(mp_pool_t *pool);
/* Both end: the mover at once, the caller when what is due has been called, but it isn't waited
 * for longer than some seconds. The lock is released meanwhile. */
void mpx_helpers_stop(mp_pool_t *pool);

#endif
