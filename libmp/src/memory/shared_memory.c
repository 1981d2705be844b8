#include <mp/shared_memory.h>

#include "dock.h"
#include "fault.h"

#include <stdlib.h>

struct mp_shared_memory {
    mpx_berth_t berth;
};

static mp_rc_t keep(mpx_berth_t *berth, bool is_new, mp_shared_memory_t **out)
{
    mp_shared_memory_t *self = malloc(sizeof *self);
    if (!self) {
        if (is_new)
            (void)mpx_dock_unlink(berth);
        mpx_dock_close(berth);
        return mpx_fault(MP_ENOMEM, "a handle on the block '%s'", berth->name);
    }
    self->berth = *berth;
    *out = self;
    return MP_OK;
}

mp_rc_t mp_shared_memory_create(const char *name, size_t bytes, mp_shared_memory_t **out)
{
    mpx_berth_t berth;
    mp_rc_t rc = mpx_dock_create(name, bytes, &berth);
    return rc == MP_OK ? keep(&berth, true, out) : rc;
}

mp_rc_t mp_shared_memory_attach(const char *name, mp_shared_memory_t **out)
{
    mpx_berth_t berth;
    mp_rc_t rc = mpx_dock_attach(name, &berth);
    return rc == MP_OK ? keep(&berth, false, out) : rc;
}

void mp_shared_memory_destroy(mp_shared_memory_t **self)
{
    if (!*self)
        return;
    mpx_dock_close(&(*self)->berth);
    free(*self);
    *self = NULL;
}

void *mp_shared_memory_buf(const mp_shared_memory_t *self)
{
    return self->berth.base ? self->berth.base + MPX_DOCK_HEAD : NULL;
}

size_t mp_shared_memory_size(const mp_shared_memory_t *self)
{
    return self->berth.bytes;
}

const char *mp_shared_memory_name(const mp_shared_memory_t *self)
{
    return self->berth.name;
}

void mp_shared_memory_close(mp_shared_memory_t *self)
{
    mpx_dock_close(&self->berth);
}

mp_rc_t mp_shared_memory_unlink(mp_shared_memory_t *self)
{
    return mpx_dock_unlink(&self->berth);
}

mp_rc_t mp_shared_memory_keep(mp_shared_memory_t *self)
{
    if (!self->berth.base)
        return mpx_fault(MP_ECLOSED, "the block '%s' is closed here", self->berth.name);
    mpx_dock_keep(&self->berth);
    return MP_OK;
}
