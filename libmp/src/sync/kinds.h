/* kinds.h: what a block of shared memory holds, so that a reference can't be opened as
 * something else. The numbers are part of a reference. */
#ifndef MPX_KINDS_H
#define MPX_KINDS_H

enum mpx_kind {
    MPX_KIND_LOCK = 1,
    MPX_KIND_SEMAPHORE,
    MPX_KIND_CONDITION,
    MPX_KIND_EVENT,
    MPX_KIND_BARRIER,
    MPX_KIND_ARRAY
};

#endif
