/* buf.h: a byte buffer that grows up to a limit. */
#ifndef MPX_BUF_H
#define MPX_BUF_H

#include <mp/error.h>
#include <mp/task.h>
#include <stdarg.h>
#include <stddef.h>

/* All zero is an empty buffer without a limit of its own. */
typedef struct mpx_buf {
    unsigned char *data;
    size_t size;
    size_t room; /* bytes allocated */
    size_t max;  /* never grow beyond; 0: SIZE_MAX */
} mpx_buf_t;

/* Make room for `more` bytes behind the content and return where they go, or NULL:
 * out of memory, or `max` would be passed. Does not change `size`. */
void *mpx_buf_reserve(mpx_buf_t *self, size_t more);

/* Append. MP_OK; MP_ETOOLARGE over `max`; MP_ENOMEM. On failure nothing changes. */
mp_rc_t mpx_buf_add(mpx_buf_t *self, const void *data, size_t size);
mp_rc_t mpx_buf_vprintf(mpx_buf_t *self, const char *format, va_list args) MP_PRINTF(2, 0);

/* Little-endian, whatever the host. */
mp_rc_t mpx_buf_add_u32(mpx_buf_t *self, uint32_t value);

/* Forget the content, keep the memory. */
static inline void mpx_buf_clear(mpx_buf_t *self)
{
    self->size = 0;
}

static inline mp_bytes_t mpx_buf_bytes(const mpx_buf_t *self)
{
    return (mp_bytes_t){self->data, self->size};
}

/* Free the memory; the buffer is empty and may be used again. */
void mpx_buf_free(mpx_buf_t *self);

static inline uint32_t mpx_load_u32(const void *at)
{
    const unsigned char *p = at;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void mpx_store_u32(void *at, uint32_t value)
{
    unsigned char *p = at;
    p[0] = (unsigned char)value;
    p[1] = (unsigned char)(value >> 8);
    p[2] = (unsigned char)(value >> 16);
    p[3] = (unsigned char)(value >> 24);
}

#endif
