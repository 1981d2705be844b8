/* What the policy of a job does to its calls: limits, steps of stopping, retries, priorities. */
#include "sched_kit.h"

static mpx_sched_t *with_worker(mpx_policy_t policy)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, policy);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 1, &spec), MP_OK);
    return sched;
}

static void tick_at(mpx_sched_t *sched, int64_t at)
{
    ck_assert_int_eq(mpx_sched_deadline(sched), at);
    ck_assert_int_eq(mpx_sched_tick(sched, at - 1), MP_OK);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_tick(sched, at), MP_OK);
}

static void expect_stop(mpx_sched_t *sched, mpx_stop_stage_t stage, mp_rc_t rc)
{
    mpx_effect_t stop = expect(sched, MPX_STOP);
    ck_assert_int_eq(stop.stage, stage);
    ck_assert_int_eq(stop.rc, rc);
    expect_nothing(sched);
}

START_TEST(a_cancelled_call_is_asked_then_terminated_then_killed)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.grace_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_cancel(sched, 1000, 1, 0, 1, MP_ECANCELLED);
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ECANCELLED);
    expect_stop(sched, MPX_STOP_ASK, MP_ECANCELLED);
    tick_at(sched, 1100);
    expect_stop(sched, MPX_STOP_TERMINATE, MP_ECANCELLED);
    tick_at(sched, 1200);
    expect_stop(sched, MPX_STOP_KILL, MP_ECANCELLED);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_worker_lost(sched, 1300, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_call_that_ends_when_it_is_asked_keeps_its_worker)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.grace_ns = 100, .chunk_calls = 2});
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_cancel(sched, 0, 1, 0, 2, MP_ECANCELLED);
    expect(sched, MPX_END);
    expect_stop(sched, MPX_STOP_ASK, MP_ECANCELLED);
    ck_assert_int_eq(mpx_sched_done(sched, 50, run.chunk, 1, 50), MP_OK);
    ck_assert_int_eq(mpx_sched_deadline(sched), 100); /* each call of it has no grace of its own */
    ck_assert_int_eq(mpx_sched_done(sched, 60, run.chunk, 1, 50), MP_OK);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_put(sched, 70, 1, 2, 1, 4, 0);
    expect(sched, MPX_RUN);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

/* The kill comes too late for the cancelled call, and takes the next one's worker. */
START_TEST(a_call_that_our_own_kill_hits_is_not_charged)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){0});
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_cancel(sched, 0, 1, 0, 1, MP_ECANCELLED);
    expect(sched, MPX_END);
    expect_stop(sched, MPX_STOP_ASK, MP_ECANCELLED);
    mpx_sched_tick(sched, 0);
    expect_stop(sched, MPX_STOP_KILL, MP_ECANCELLED);
    mpx_sched_done(sched, 1, run.chunk, 1, 1);
    mpx_effect_t next = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 2, next.chunk);
    mpx_sched_worker_lost(sched, 3, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 1);
    mpx_sched_destroy(&sched);
}
END_TEST

/* It had already begun another one when the signal came. */
START_TEST(a_call_that_our_own_terminate_hits_is_not_charged)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.grace_ns = 10 * MS});
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_cancel(sched, 0, 1, 0, 1, MP_ECANCELLED);
    expect(sched, MPX_END);
    expect_stop(sched, MPX_STOP_ASK, MP_ECANCELLED);
    mpx_sched_tick(sched, 10 * MS);
    expect_stop(sched, MPX_STOP_TERMINATE, MP_ECANCELLED);
    mpx_sched_done(sched, 10 * MS, run.chunk, 1, 1);
    mpx_effect_t next = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 10 * MS, next.chunk);
    mpx_sched_worker_lost(sched, 10 * MS, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 1);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_soft_limit_warns_each_call_once_and_a_hard_one_kills)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.soft_limit_ns = 100, .call_limit_ns = 300});
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.count, 1);
    mpx_sched_started(sched, 1000, run.chunk);
    tick_at(sched, 1100);
    expect_stop(sched, MPX_STOP_ASK, MP_ETIMEDOUT);
    ck_assert_int_eq(mpx_sched_deadline(sched), 1300);
    mpx_sched_done(sched, 1200, run.chunk, 1, 200);
    run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 2000, run.chunk);
    tick_at(sched, 2100);
    expect_stop(sched, MPX_STOP_ASK, MP_ETIMEDOUT);
    tick_at(sched, 2300);
    expect_stop(sched, MPX_STOP_KILL, MP_ETIMEDOUT);
    mpx_sched_worker_lost(sched, 2400, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ETIMEDOUT);
    mpx_sched_destroy(&sched);
}
END_TEST

static mpx_verdict_t fail_with(mpx_sched_t *sched, int64_t now, uint64_t chunk, mp_rc_t rc)
{
    mpx_verdict_t verdict;
    ck_assert_int_eq(mpx_sched_failed(sched, now, chunk, rc, 0, &verdict), MP_OK);
    return verdict;
}

START_TEST(retries_wait_twice_as_long_each_time)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.retries = 3, .retry_delay_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    int64_t now = 0;
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_uint_eq(run.attempt, attempt);
        ck_assert(fail_with(sched, now, run.chunk, MP_EFAILED).again);
        expect_nothing(sched);
        ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 1);
        ck_assert_int_eq(mpx_sched_job_close(sched, now, 1), MP_EBUSY);
        now += 100 << (attempt - 1);
        tick_at(sched, now);
    }
    mpx_effect_t last = expect(sched, MPX_RUN);
    ck_assert(!fail_with(sched, now, last.chunk, MP_EFAILED).again);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_delayed_call_can_be_cancelled)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.retries = 3, .retry_delay_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    fail_with(sched, 0, run.chunk, MP_EFAILED);
    mpx_sched_cancel(sched, 50, 1, 0, 1, MP_ECANCELLED);
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ECANCELLED);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    ck_assert_int_eq(mpx_sched_job_close(sched, 50, 1), MP_OK);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(only_the_causes_that_were_named_are_retried)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.retries = 9, .retry_on = MPX_RETRY_CRASHED});
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert(fail_with(sched, 0, run.chunk, MP_ECRASHED).again);
    run = expect(sched, MPX_RUN);
    ck_assert(!fail_with(sched, 0, run.chunk, MP_EFAILED).again);
    run = expect(sched, MPX_RUN);
    ck_assert(!fail_with(sched, 0, run.chunk, MP_EWORKERLOST).again);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_call_that_crashes_each_worker_is_given_up)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.retries = 100, .crashes_max = 3});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    for (uint64_t worker = 1; worker <= 3; worker++) {
        mpx_sched_worker_join(sched, 0, worker, &spec);
        mpx_effect_t run = expect(sched, MPX_RUN);
        mpx_sched_started(sched, 0, run.chunk);
        if (worker == 2) { /* its failures don't count as crashes */
            ck_assert(fail_with(sched, 0, run.chunk, MP_EFAILED).again);
            mpx_sched_started(sched, 0, expect(sched, MPX_RUN).chunk);
        }
        expect_nothing(sched);
        mpx_sched_worker_lost(sched, 0, worker, MPX_CHARGE_RUNNING, MP_ECRASHED);
    }
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ECRASHED);
    ck_assert_uint_eq(end.crashes, 3);
    ck_assert_uint_eq(end.attempt, 4);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(higher_priorities_go_first_and_equal_ones_share)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    static const int priorities[] = {0, 5, -3, 5};
    for (uint64_t job = 1; job <= 4; job++) {
        open_job(sched, job,
                 (mpx_policy_t){.chunk_calls = 1,
                                .priority = priorities[job - 1],
                                .task = job == 4 ? 7 : 0}); /* priorities hold across tasks */
        mpx_sched_put(sched, 0, job, 0, 2, 8, 0);
    }
    mpx_sched_worker_join(sched, 0, 1, &spec);
    static const uint64_t order[] = {2, 4, 2, 4, 1, 1, 3, 3};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_uint_eq(run.job, order[i]);
        mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
    }
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_guess_is_believed_as_far_as_it_does_no_harm)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.guess_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 100000, 400000, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.count, 32);
    expect_nothing(sched); /* one chunk, however short it should be */
    mpx_sched_done(sched, 0, run.chunk, 32, 3200);
    ck_assert_uint_eq(expect(sched, MPX_RUN).count, 128);
    ck_assert_int_eq(mpx_sched_job_service_ns(sched, 1), 100);
    mpx_sched_destroy(&sched);
    sched = with_worker((mpx_policy_t){.guess_ns = 500000});
    mpx_sched_put(sched, 0, 1, 0, 100000, 400000, 0);
    ck_assert_uint_eq(expect(sched, MPX_RUN).count, 2); /* about a millisecond's work */
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_guess_is_believed_where_a_mistake_is_given_back)
{
    enum { CALLS = 100 };
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    spec.yields = true;
    open_job(sched, 1, (mpx_policy_t){.guess_ns = 100});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_worker_join(sched, 0, 2, &spec);
    mpx_sched_put(sched, 0, 1, 0, CALLS, 4 * CALLS, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.count, CALLS); /* 10 us: not worth a second worker */
    ck_assert_int_gt(run.time_ns, 0);
    expect_nothing(sched);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_done(sched, 20 * MS, run.chunk, 1, 20 * MS);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_returned(sched, 20 * MS, run.chunk), MP_OK);
    for (uint64_t i = 0; i < 2; i++) {
        mpx_effect_t next = expect(sched, MPX_RUN);
        ck_assert_uint_eq(next.worker, i ? run.worker : 3 - run.worker);
        ck_assert_uint_eq(next.first, 1 + i);
        ck_assert_uint_eq(next.count, 1);
        ck_assert_uint_eq(next.attempt, 1); /* nothing was held against it */
        ck_assert_int_eq(next.time_ns, 0);  /* one call isn't divided */
    }
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_cancelled_call_is_asked_then_terminated_then_killed,
        a_call_that_ends_when_it_is_asked_keeps_its_worker,
        a_call_that_our_own_kill_hits_is_not_charged,
        a_call_that_our_own_terminate_hits_is_not_charged,
        a_soft_limit_warns_each_call_once_and_a_hard_one_kills,
        retries_wait_twice_as_long_each_time,
        a_delayed_call_can_be_cancelled,
        only_the_causes_that_were_named_are_retried,
        a_call_that_crashes_each_worker_is_given_up,
        higher_priorities_go_first_and_equal_ones_share,
        a_guess_is_believed_as_far_as_it_does_no_harm,
        a_guess_is_believed_where_a_mistake_is_given_back,
        NULL,
    };
    return suite_run("policy", tests, 30);
}
