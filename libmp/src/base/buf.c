#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 64 };

static size_t limit(const mpx_buf_t *self)
{
    return self->max ? self->max : SIZE_MAX;
}

void *mpx_buf_reserve(mpx_buf_t *self, size_t more)
{
    if (more > limit(self) - self->size)
        return NULL;
    size_t need = self->size + more;
    if (need <= self->room && self->data)
        return self->data + self->size;
    size_t room = self->room < SIZE_MAX / 2 ? self->room * 2 : SIZE_MAX;
    if (room < need)
        room = need;
    if (room < ROOM_MIN)
        room = ROOM_MIN;
    unsigned char *data = realloc(self->data, room);
    if (!data)
        return NULL;
    self->data = data;
    self->room = room;
    return data + self->size;
}

mp_rc_t mpx_buf_add(mpx_buf_t *self, const void *data, size_t size)
{
    if (size > limit(self) - self->size)
        return MP_ETOOLARGE;
    void *at = mpx_buf_reserve(self, size);
    if (!at)
        return MP_ENOMEM;
    if (size)
        memcpy(at, data, size);
    self->size += size;
    return MP_OK;
}

mp_rc_t mpx_buf_vprintf(mpx_buf_t *self, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    mp_rc_t rc = MP_OK;
    if (length < 0) {
        rc = MP_EINVAL;
    } else if ((size_t)length > limit(self) - self->size) {
        rc = MP_ETOOLARGE;
    } else {
        /* vsnprintf wants a place for its NUL, which the limit doesn't count. */
        size_t max = self->max;
        self->max = 0;
        char *at = mpx_buf_reserve(self, (size_t)length + 1);
        self->max = max;
        rc = at ? MP_OK : MP_ENOMEM;
        if (at)
            self->size += (size_t)vsnprintf(at, (size_t)length + 1, format, again);
    }
    va_end(again);
    return rc;
}

mp_rc_t mpx_buf_add_u32(mpx_buf_t *self, uint32_t value)
{
    unsigned char bytes[4];
    mpx_store_u32(bytes, value);
    return mpx_buf_add(self, bytes, sizeof bytes);
}

void mpx_buf_free(mpx_buf_t *self)
{
    free(self->data);
    self->data = NULL;
    self->size = 0;
    self->room = 0;
}
