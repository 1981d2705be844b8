#include "turnover.h"

#include "fault.h"

/* More than that nobody counts up to, so sums of them fit. */
static const uint64_t number_max = UINT64_C(1) << 48;

uint64_t mpx_turnover_casualties(const mpx_turnover_t *self)
{
    return self->stopped + self->crashed + self->memory;
}

static uint64_t up_of(const mpx_turnover_t *self)
{
    return self->started - self->retired - mpx_turnover_casualties(self) - self->lost;
}

void mpx_turnover_joined(mpx_turnover_t *all, mpx_peer_t *worker)
{
    worker->turnover = (mpx_turnover_t){.started = worker->slots};
    all->started += worker->slots;
}

static bool can_follow(const mpx_turnover_t *before, const mpx_turnover_t *now)
{
    bool fits = now->lost == 0;
#define FIT(field) fits = fits && now->field >= before->field && now->field <= number_max;
    MPX_TURNOVER_FIELDS(FIT)
#undef FIT
    return fits && now->started >= now->retired + mpx_turnover_casualties(now);
}

mp_rc_t mpx_turnover_told(mpx_turnover_t *all, mpx_peer_t *worker, const mpx_turnover_t *since)
{
    const mpx_turnover_t *before = &worker->turnover;
    mpx_turnover_t now = *since;
    now.started += worker->slots;
    if (!can_follow(before, &now))
        return mpx_fault(MP_EPROTO, "what a worker says of its executors can't be");
#define ADD(field) all->field += now.field - before->field;
    MPX_TURNOVER_FIELDS(ADD)
#undef ADD
    worker->turnover = now;
    return MP_OK;
}

void mpx_turnover_left(mpx_turnover_t *all, const mpx_peer_t *worker)
{
    uint64_t *how = worker->said_bye ? &all->retired : &all->lost;
    *how += up_of(&worker->turnover);
}
