/* offered.h: the tasks that an executor offers. */
#ifndef MPX_OFFERED_H
#define MPX_OFFERED_H

#include "wire.h"

/* A Hello with all of them; exec: mp.exec too. MP_OK; MP_ENOMEM; MP_ETOOLARGE. */
mp_rc_t mpx_offered_hello(const char *host, bool exec, mpx_buf_t *out);

/* The one that a job is of. NULL: rc and the words say why not. */
const mp_task_t *mpx_offered_find(const mpx_open_t *open, bool exec, mp_rc_t *rc, char *why,
                                  size_t why_size);

#endif
