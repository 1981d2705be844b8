/* body_private.h: what the files of bodies share. Private to wire. */
#ifndef MPX_BODY_PRIVATE_H
#define MPX_BODY_PRIVATE_H

#include "wire.h"
#include <protobuf-c/protobuf-c.h>

/* What protobuf-c may still allocate for one body. */
typedef struct mpx_body_budget {
    size_t left;
    bool no_memory; /* malloc failed, so the body need not be malformed */
} mpx_body_budget_t;

typedef struct mpx_body {
    ProtobufCAllocator allocator;
    mpx_body_budget_t budget;
    void *message;
    mp_rc_t rc;
} mpx_body_t;

/* Append a message. MP_OK; MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_body_pack(const ProtobufCMessage *message, mpx_buf_t *out);

/* The message of a body, within bounds; NULL: self->rc says why, and nothing is to be closed.
 * `self` must stay where it is until it is closed. */
void *mpx_body_open(mpx_body_t *self, const ProtobufCMessageDescriptor *type, mp_bytes_t body,
                    const char *what);
void mpx_body_close(mpx_body_t *self);

/* As protobuf-c's structs want it; NULL is "". */
char *mpx_body_text(const char *string);

/* Replace strings by laundered copies in one new block. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_body_strings(const char **strings, size_t count, void **arena);

#endif
