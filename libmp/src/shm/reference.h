/* reference.h: the first word of a reference (mp/ref.h): that it is one, and to what. */
#ifndef MPX_REFERENCE_H
#define MPX_REFERENCE_H

#include <mp/ref.h>
#include <stdint.h>

/* What a reference names, so that it can't be opened as something else. Part of its bytes. */
enum mpx_kind {
    MPX_KIND_LOCK = 1,
    MPX_KIND_SEMAPHORE,
    MPX_KIND_CONDITION,
    MPX_KIND_EVENT,
    MPX_KIND_BARRIER,
    MPX_KIND_ARRAY,
    MPX_KIND_QUEUE,
    MPX_KIND_CONNECTION,
    MPX_KIND_BULK,
    MPX_KIND_OBJECT
};

static inline uint64_t mpx_reference_word(uint32_t kind)
{
    return UINT64_C(0x6d70726566310000) | kind; /* "mpref1" */
}

#endif
