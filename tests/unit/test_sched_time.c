/* Delays, deadlines, and when a call is tried again. */
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

static void expect_lapse(mpx_sched_t *sched, uint64_t first, uint32_t count)
{
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ETIMEDOUT);
    ck_assert(end.lapsed);
    ck_assert_uint_eq(end.first, first);
    ck_assert_uint_eq(end.count, count);
}

static mpx_verdict_t fail_with(mpx_sched_t *sched, int64_t now, uint64_t chunk, mp_rc_t rc)
{
    mpx_verdict_t verdict;
    ck_assert_int_eq(mpx_sched_failed(sched, now, chunk, rc, 0, &verdict), MP_OK);
    return verdict;
}

START_TEST(a_delayed_call_is_not_given_out_before)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.delay_ns = 50 * MS, .chunk_calls = 10});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 7);
    mpx_sched_put(sched, 0, 1, 1, 1, 4, 7); /* they travel together all the same */
    mpx_sched_put(sched, 10 * MS, 1, 2, 1, 4, 7);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 3);
    expect_nothing(sched);
    tick_at(sched, 50 * MS);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.first, 0);
    ck_assert_uint_eq(run.count, 2);
    ck_assert_uint_eq(run.attempt, 1);
    mpx_sched_done(sched, 55 * MS, run.chunk, 2, MS);
    tick_at(sched, 60 * MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).first, 2);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_delay_goes_on_for_those_that_are_not_cancelled)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.delay_ns = 50 * MS, .chunk_calls = 10});
    mpx_sched_put(sched, 0, 1, 0, 9, 36, 7);
    ck_assert_int_eq(mpx_sched_cancel(sched, 10 * MS, 1, 4, 2, MP_ECANCELLED), MP_OK);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_uint_eq(end.first, 4);
    ck_assert_uint_eq(end.count, 2);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 7);
    tick_at(sched, 50 * MS);
    uint64_t given[9] = {0};
    for (uint32_t left = 7; left > 0;) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        for (uint32_t i = 0; i < run.count; i++)
            given[run.first + i]++;
        left -= run.count;
        ck_assert_int_eq(mpx_sched_done(sched, 51 * MS, run.chunk, run.count, MS), MP_OK);
    }
    for (uint64_t i = 0; i < 9; i++)
        ck_assert_uint_eq(given[i], i != 4 && i != 5);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_queued_call_ends_at_its_deadline)
{
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){.deadline_ns = 20 * MS});
    mpx_sched_put(sched, 0, 1, 0, 3, 12, 7);
    mpx_sched_put(sched, 5 * MS, 1, 3, 1, 4, 7);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 0, 3);
    expect_nothing(sched);
    tick_at(sched, 25 * MS);
    expect_lapse(sched, 3, 1);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_job_close(sched, 25 * MS, 1), MP_OK);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_delayed_call_may_come_too_late)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){.deadline_ns = 20 * MS, .delay_ns = 30 * MS});
    mpx_sched_put(sched, 0, 1, 0, 3, 12, 7);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 0, 3);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Its worker is told in steps, as for one that is cancelled. */
START_TEST(a_running_call_ends_at_its_deadline_and_is_stopped)
{
    mpx_sched_t *sched =
        with_worker((mpx_policy_t){.deadline_ns = 20 * MS, .chunk_calls = 3, .grace_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 3, 12, 7);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_int_eq(run.deadline, 20 * MS);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_done(sched, MS, run.chunk, 1, MS);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 1, 2);
    mpx_effect_t stop = expect(sched, MPX_STOP);
    ck_assert(stop.stage == MPX_STOP_ASK && stop.chunk == run.chunk);
    expect_nothing(sched);
    mpx_sched_done(sched, 20 * MS, run.chunk, 2, MS); /* too late: it is for nobody */
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(the_nearer_of_limit_and_deadline_counts)
{
    mpx_sched_t *sched = with_worker((mpx_policy_t){
        .deadline_ns = 20 * MS, .call_limit_ns = 15 * MS, .retries = 5, .chunk_calls = 1});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 7);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, MS, run.chunk);
    tick_at(sched, 16 * MS);
    ck_assert_int_eq(expect(sched, MPX_STOP).stage, MPX_STOP_KILL);
    mpx_sched_worker_lost(sched, 16 * MS, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    mpx_worker_spec_t spec = any(1);
    mpx_sched_worker_join(sched, 16 * MS, 2, &spec);
    run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.attempt, 2);
    ck_assert_int_eq(run.deadline, 20 * MS); /* a retry has no more time than is left */
    mpx_sched_started(sched, 16 * MS, run.chunk);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 0, 1);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_retry_that_waits_ends_at_the_deadline)
{
    mpx_sched_t *sched = with_worker(
        (mpx_policy_t){.deadline_ns = 20 * MS, .retries = 5, .retry_delay_ns = 100 * MS});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 7);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert(fail_with(sched, MS, run.chunk, MP_EFAILED).again);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 0, 1);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_job_close(sched, 20 * MS, 1), MP_OK);
    mpx_sched_destroy(&sched);
}
END_TEST

static mp_rc_t put_timed(mpx_sched_t *sched, uint64_t first, uint32_t count, mpx_times_t times)
{
    return mpx_sched_put_timed(sched, 0, 1, first, count, (uint64_t)count * 4, 7, times);
}

START_TEST(times_may_come_with_the_call)
{
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){.deadline_ns = 20 * MS, .chunk_calls = MPX_CHUNK_WHOLE});
    ck_assert_int_eq(put_timed(sched, 0, 2, (mpx_times_t){.deadline = 5 * MS}), MP_OK);
    ck_assert_int_eq(put_timed(sched, 2, 2, (mpx_times_t){.deadline = MPX_NEVER}), MP_OK);
    ck_assert_int_eq(put_timed(sched, 4, 1, (mpx_times_t){.deadline = 0}), MP_OK);
    expect_lapse(sched, 4, 1); /* at once */
    ck_assert_int_eq(mpx_sched_cancel(sched, 0, 1, 0, 1, MP_ECANCELLED), MP_OK);
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ECANCELLED);
    tick_at(sched, 5 * MS);
    expect_lapse(sched, 1, 1);
    tick_at(sched, 20 * MS);
    expect_lapse(sched, 2, 2);
    mpx_worker_spec_t spec = any(1);
    mpx_times_t later = {.begin = 28 * MS, .deadline = MPX_NEVER};
    ck_assert_int_eq(mpx_sched_put_timed(sched, 20 * MS, 1, 5, 1, 4, 7, later), MP_OK);
    mpx_sched_worker_join(sched, 20 * MS, 1, &spec);
    expect_nothing(sched);
    tick_at(sched, 28 * MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).first, 5);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(losses_use_up_no_retry_and_are_bounded)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.retries = 1});
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    for (uint64_t worker = 1; worker <= MPX_LOSSES_FREE + 2; worker++) {
        mpx_sched_worker_join(sched, 0, worker, &spec);
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_uint_eq(run.attempt, worker);
        mpx_sched_started(sched, 0, run.chunk);
        mpx_sched_worker_lost(sched, 0, worker, MPX_CHARGE_RUNNING, MP_EWORKERLOST);
    }
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_EWORKERLOST);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);

    sched = with_worker((mpx_policy_t){.retries = 1}); /* a drain, then its one failure */
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    ck_assert(fail_with(sched, 0, expect(sched, MPX_RUN).chunk, MP_EDRAINING).again);
    ck_assert(fail_with(sched, 0, expect(sched, MPX_RUN).chunk, MP_EFAILED).again);
    ck_assert(!fail_with(sched, 0, expect(sched, MPX_RUN).chunk, MP_EFAILED).again);
    mpx_sched_destroy(&sched);

    sched = with_worker((mpx_policy_t){0}); /* without retries a loss is the end */
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    ck_assert(!fail_with(sched, 0, expect(sched, MPX_RUN).chunk, MP_EWORKERLOST).again);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(each_cause_has_its_bit)
{
    static const struct {
        mp_rc_t rc;
        uint32_t bit;
    } rows[] = {{MP_EFAILED, MPX_RETRY_FAILED},      {MP_ECRASHED, MPX_RETRY_CRASHED},
                {MP_ETIMEDOUT, MPX_RETRY_TIMED_OUT}, {MP_EWORKERLOST, MPX_RETRY_LOST},
                {MP_EBROKERLOST, MPX_RETRY_LOST},    {MP_ENOMEM, MPX_RETRY_MEMORY},
                {MP_EDRAINING, MPX_RETRY_DRAINED}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint32_t bit = 1; bit <= MPX_RETRY_DRAINED; bit *= 2) {
            mpx_sched_t *sched = with_worker((mpx_policy_t){.retries = 1, .retry_on = bit});
            mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
            mpx_effect_t run = expect(sched, MPX_RUN);
            ck_assert(fail_with(sched, 0, run.chunk, rows[i].rc).again == (bit == rows[i].bit));
            mpx_sched_destroy(&sched);
        }
}
END_TEST

/* When each of ten failed calls comes back. */
static void come_back(uint64_t seed, int64_t out[10])
{
    mpx_sched_t *sched =
        with_worker((mpx_policy_t){.retries = 1, .retry_delay_ns = 1000 * MS, .chunk_calls = 1});
    mpx_sched_seed(sched, seed);
    mpx_sched_put(sched, 0, 1, 0, 10, 40, 0);
    for (int i = 0; i < 10; i++)
        ck_assert(fail_with(sched, 0, expect(sched, MPX_RUN).chunk, MP_EFAILED).again);
    int64_t now = 0;
    for (int left = 10; left > 0;) {
        mpx_effect_t run;
        if (!mpx_sched_effect(sched, &run)) {
            now = mpx_sched_deadline(sched);
            mpx_sched_tick(sched, now);
            continue;
        }
        out[run.first] = now;
        mpx_sched_done(sched, now, run.chunk, 1, 1);
        left--;
    }
    mpx_sched_destroy(&sched);
}

START_TEST(retries_are_put_off_by_chance_and_the_same_seed_the_same)
{
    int64_t none[10], one[10], again[10], other[10];
    int differ = 0;
    come_back(0, none);
    come_back(1, one);
    come_back(1, again);
    come_back(2, other);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(none[i], 1000 * MS);
        ck_assert_int_ge(one[i], 1000 * MS);
        ck_assert_int_le(one[i], 1250 * MS);
        ck_assert_int_eq(one[i], again[i]);
        differ += one[i] != other[i] && one[i] != one[(i + 1) % 10];
    }
    ck_assert_int_ge(differ, 8);
}
END_TEST

/* Told to end for a cancelled call that ended first, a worker may die of that in the middle of
 * another one, which can't be blamed. But what it dies of much later is that one's doing. */
START_TEST(a_worker_that_was_to_be_ended_is_excused_for_a_while)
{
    for (int late = 0; late < 2; late++) {
        mpx_sched_t *sched = with_worker((mpx_policy_t){.chunk_calls = 1, .grace_ns = MS});
        mpx_sched_put(sched, 0, 1, 0, 2, 8, 7);
        mpx_effect_t run = expect(sched, MPX_RUN);
        mpx_sched_started(sched, 0, run.chunk);
        mpx_sched_cancel(sched, MS, 1, 0, 1, MP_ECANCELLED);
        expect(sched, MPX_END);
        expect(sched, MPX_STOP);
        tick_at(sched, 2 * MS);
        ck_assert_int_eq(expect(sched, MPX_STOP).stage, MPX_STOP_TERMINATE);
        mpx_sched_done(sched, 2 * MS, run.chunk, 1, MS);
        run = expect(sched, MPX_RUN);
        mpx_sched_started(sched, 3 * MS, run.chunk);
        mpx_sched_worker_lost(sched, late ? 1002 * MS : 4 * MS, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
        if (late)
            ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ECRASHED);
        expect_nothing(sched);
        ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), !late);
        mpx_sched_destroy(&sched);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_delayed_call_is_not_given_out_before,
        a_delay_goes_on_for_those_that_are_not_cancelled,
        a_queued_call_ends_at_its_deadline,
        a_delayed_call_may_come_too_late,
        a_running_call_ends_at_its_deadline_and_is_stopped,
        the_nearer_of_limit_and_deadline_counts,
        a_retry_that_waits_ends_at_the_deadline,
        times_may_come_with_the_call,
        losses_use_up_no_retry_and_are_bounded,
        each_cause_has_its_bit,
        retries_are_put_off_by_chance_and_the_same_seed_the_same,
        a_worker_that_was_to_be_ended_is_excused_for_a_while,
        NULL,
    };
    return suite_run("sched_time", tests, 30);
}
