/* results.h: what the pool and its threads need of results. With the pool's lock held. */
#ifndef MPX_RESULTS_H
#define MPX_RESULTS_H

#include "drive.h"
#include <mp/result.h>

/* The oldest result whose callback is due; NULL: none. */
mp_result_t *mpx_results_due(mp_pool_t *pool);
/* Call it, without the lock. */
void mpx_results_call(mp_pool_t *pool, mp_result_t *due);
/* Call those who want to know how far their maps are, without the lock. When the next one is due;
 * MPX_NEVER: none is. */
int64_t mpx_results_tell(mp_pool_t *pool, int64_t now);
/* The function that was called has not come back, and never will: its thread is over. */
void mpx_results_abandon(mp_pool_t *pool);
/* Tidy up after those that became ready. */
void mpx_results_sweep(mp_pool_t *pool);

#endif
