/* noted.h: how a call on a pipeline's handle is noted there. */
#ifndef MPX_NOTED_H
#define MPX_NOTED_H

#include "invoke.h"

#include <mp/pipeline.h>

/* The trees in args are destroyed. MP_OK; why it can't be noted. */
mp_rc_t mpx_noted_add(mp_pipeline_t *self, const mp_object_t *object, mpx_method_t method,
                      mpx_arg_t *args, size_t args_count, const mpx_take_t *takes,
                      size_t takes_count);

#endif
