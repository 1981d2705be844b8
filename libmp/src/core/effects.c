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

static mpx_effect_t of_chunk(mpx_effect_kind_t kind, const chunk_t *chunk)
{
    return (mpx_effect_t){
        .kind = kind,
        .worker = chunk->worker->id,
        .chunk = chunk->id,
        .job = chunk->job_id,
        .tag = chunk->tag,
        .first = chunk->first,
        .count = chunk->count,
        .attempt = chunk->attempt,
        .deadline = chunk->deadline,
    };
}

mp_rc_t mpx_effects_recall(effects_t *self, const chunk_t *chunk)
{
    mpx_effect_t effect = of_chunk(MPX_RECALL, chunk);
    return mpx_effects_add(self, &effect);
}

mp_rc_t mpx_effects_run(effects_t *self, const chunk_t *chunk)
{
    mpx_effect_t effect = of_chunk(MPX_RUN, chunk);
    effect.since = chunk->since;
    effect.time_ns = chunk->time_ns;
    return mpx_effects_add(self, &effect);
}

mp_rc_t mpx_effects_stop(effects_t *self, const chunk_t *chunk, mpx_stop_stage_t stage, mp_rc_t rc)
{
    mpx_effect_t effect = of_chunk(MPX_STOP, chunk);
    effect.stage = stage;
    effect.rc = rc;
    return mpx_effects_add(self, &effect);
}

mp_rc_t mpx_effects_end(effects_t *self, const chunk_t *chunk, uint32_t count, end_t how)
{
    mpx_effect_t effect = of_chunk(MPX_END, chunk);
    effect.rc = how.rc;
    effect.lapsed = how.lapsed;
    effect.first = chunk->first + chunk->done;
    effect.count = count;
    effect.crashes = how.crashes;
    return count ? mpx_effects_add(self, &effect) : MP_OK;
}

mp_rc_t mpx_effects_end_queued(effects_t *self, const span_t *span, uint64_t first, uint32_t count,
                               end_t how)
{
    mpx_effect_t effect = {
        .kind = MPX_END,
        .rc = how.rc,
        .crashes = how.crashes,
        .lapsed = how.lapsed,
        .job = span->job->id,
        .tag = span->tag,
        .first = first,
        .count = count,
        .attempt = span->attempt,
    };
    return mpx_effects_add(self, &effect);
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
