/* script.h: an input read as a script: a byte says what comes, then what that needs. When the bytes
 * are used up, zeros follow for the step that is under way. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct script {
    mp_bytes_t rest;
} script_t;

static inline mp_bytes_t script_bytes(script_t *self, size_t size)
{
    mp_bytes_t taken = {self->rest.data, size < self->rest.size ? size : self->rest.size};
    self->rest.data = (const uint8_t *)self->rest.data + taken.size;
    self->rest.size -= taken.size;
    return taken;
}

static inline uint8_t script_byte(script_t *self)
{
    mp_bytes_t one = script_bytes(self, 1);
    return one.size ? *(const uint8_t *)one.data : 0;
}

static inline uint32_t script_number(script_t *self)
{
    uint32_t high = script_byte(self);
    return high << 8 | script_byte(self);
}

/* As many bytes as the next two say. */
static inline mp_bytes_t script_block(script_t *self)
{
    return script_bytes(self, script_number(self));
}

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

#endif
