/* result.h: what waiting for several things at once needs of a result. */
#ifndef MPX_RESULT_H
#define MPX_RESULT_H

#include <mp/result.h>

/* Whether it is ready; if not, *fd becomes readable when it is. MP_OK; MP_EFORKED; MP_ESYSTEM. */
mp_rc_t mpx_result_watch(mp_result_t *self, bool *ready, int *fd);

#endif
