/* effects.c: the queue of what must be done. */
#include "sched_private.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 };

static mp_rc_t grow(effects_t *self)
{
    size_t room = self->room ? self->room * 2 : FIRST_ROOM;
    mpx_effect_t *ring = malloc(room * sizeof *ring);
    if (!ring)
        return MP_ENOMEM;
    for (size_t i = 0; i < self->count; i++)
        ring[i] = self->ring[(self->first + i) & (self->room - 1)];
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
    self->ring[(self->first + self->count++) & (self->room - 1)] = *effect;
    return MP_OK;
}

mp_rc_t mpx_effects_chunk(effects_t *self, mpx_effect_kind_t kind, const chunk_t *chunk, mp_rc_t rc)
{
    mpx_effect_t effect = {
        .kind = kind,
        .rc = rc,
        .worker = chunk->worker->id,
        .chunk = chunk->id,
        .job = chunk->job_id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .attempt = chunk->attempt,
        .started = chunk->started,
    };
    return mpx_effects_add(self, &effect);
}

mp_rc_t mpx_effects_end(effects_t *self, const job_t *job, uint64_t first, uint32_t count,
                        uint32_t attempt, uint64_t tag, uint64_t worker, mp_rc_t rc)
{
    mpx_effect_t effect = {
        .kind = MPX_END,
        .rc = rc,
        .worker = worker,
        .job = job->id,
        .tag = tag,
        .first = first,
        .count = count,
        .attempt = attempt,
    };
    return count ? mpx_effects_add(self, &effect) : MP_OK;
}

bool mpx_sched_effect(mpx_sched_t *self, mpx_effect_t *out)
{
    effects_t *effects = &self->effects;
    if (effects->count == 0)
        return false;
    *out = effects->ring[effects->first];
    effects->first = (effects->first + 1) & (effects->room - 1);
    effects->count--;
    return true;
}
