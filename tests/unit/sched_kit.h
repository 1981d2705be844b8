/* sched_kit.h: a scheduler, and what is expected of it. */
#ifndef SCHED_KIT_H
#define SCHED_KIT_H

#include "clock.h"
#include "sched.h"
#include "suite.h"

#define MS INT64_C(1000000)

/* A worker that takes any task. */
static inline mpx_worker_spec_t any(uint32_t slots)
{
    return (mpx_worker_spec_t){.slots = slots, .horizon_ns = 2 * MS, .credit_bytes = 1 << 20};
}

static inline mpx_sched_t *make(void)
{
    mpx_sched_t *sched = NULL;
    ck_assert_int_eq(mpx_sched_new(&sched), MP_OK);
    return sched;
}

static inline mpx_effect_t expect(mpx_sched_t *sched, mpx_effect_kind_t kind)
{
    mpx_effect_t effect;
    ck_assert(mpx_sched_effect(sched, &effect));
    ck_assert_int_eq(effect.kind, kind);
    return effect;
}

static inline void expect_nothing(mpx_sched_t *sched)
{
    mpx_effect_t effect;
    ck_assert(!mpx_sched_effect(sched, &effect));
    ck_assert_ptr_null(mpx_sched_check(sched));
}

static inline void open_job(mpx_sched_t *sched, uint64_t job, mpx_policy_t policy)
{
    ck_assert_int_eq(mpx_sched_job_open(sched, 0, job, &policy), MP_OK);
}

#endif
