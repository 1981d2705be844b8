/* queue.h: what waiting for several things at once needs of a queue. */
#ifndef MPX_QUEUE_H
#define MPX_QUEUE_H

#include <mp/queue.h>

/* Whether a get would return at once, perhaps; if not, *fd becomes readable when it may. The
 * codes of mp_queue_get. */
mp_rc_t mpx_queue_watch(mp_queue_t *self, bool *ready, int *fd);

#endif
