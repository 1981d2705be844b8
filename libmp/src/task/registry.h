/* registry.h: all tasks of this process, for whoever advertises them. */
#ifndef MPX_REGISTRY_H
#define MPX_REGISTRY_H

#include <mp/task.h>
#include <stddef.h>

/* The i-th task in the order in which they were entered; NULL past the last. */
const mp_task_t *mpx_registry_at(size_t i);

#endif
