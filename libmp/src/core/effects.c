#include "state.h"

#include <stdlib.h>
#include <string.h>

static mp_rc_t grow(effects_t *self)
{
    size_t room = self->room ? self->room * 2 : 64;
    mpx_effect_t *ring = malloc(room * sizeof *ring);
    if (!ring)
        return MP_ENOMEM;
    for (size_t i = 0; i < self->count; i++)
        ring[i] = self->ring[(self->first + i) % self->room];
    free(self->ring);
    self->ring = ring;
    self->room = room;
    self->first = 0;
    return MP_OK;
}

mp_rc_t mpx_effects_add(effects_t *self, const mpx_effect_t *effect)
{
    if (self->count == self->room && grow(self) != MP_OK)
        return MP_ENOMEM;
    self->ring[(self->first + self->count++) % self->room] = *effect;
    return MP_OK;
}

bool mpx_sched_effect(mpx_sched_t *self, mpx_effect_t *out)
{
    effects_t *effects = &self->effects;
    if (effects->count == 0)
        return false;
    *out = effects->ring[effects->first];
    effects->first = (effects->first + 1) % effects->room;
    effects->count--;
    return true;
}
