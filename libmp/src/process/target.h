/* target.h: which targets a freshly executed copy of this program knows as well. */
#ifndef MPX_TARGET_H
#define MPX_TARGET_H

#include <mp/process.h>

/* What has been entered by now, before main has done anything, will be in every copy. */
void mpx_targets_seal(void);
bool mpx_target_is_everywhere(const mp_target_t *target);

#endif
