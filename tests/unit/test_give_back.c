/* test_give_back: workers that drain give back what they have not begun; workers that learn. */
#include "sched_kit.h"

START_TEST(what_was_not_begun_goes_to_another_and_is_not_charged)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 8});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 8, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.count, 8);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_done(sched, 0, run.chunk, 3, 1);
    ck_assert(!mpx_sched_worker_drains(sched, 1));
    mpx_sched_worker_drain(sched, 0, 1);
    ck_assert(mpx_sched_worker_drains(sched, 1));
    ck_assert_int_eq(mpx_sched_give_back(sched, 0, run.chunk), MP_OK);
    expect_nothing(sched); /* not to whom it came from */
    mpx_sched_worker_join(sched, 0, 2, &spec);
    mpx_effect_t again = expect(sched, MPX_RUN);
    ck_assert_uint_eq(again.worker, 2);
    ck_assert_uint_eq(again.first, 3);
    ck_assert_uint_eq(again.count, 5);
    ck_assert_uint_eq(again.attempt, 1);
    ck_assert_uint_eq(mpx_sched_worker_calls(sched, 1), 0);
    ck_assert_int_eq(mpx_sched_give_back(sched, 0, run.chunk), MP_EINVAL); /* once */
    mpx_sched_done(sched, 0, again.chunk, 5, 1);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 0);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_cancelled_chunk_that_is_given_back_is_nobodys)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 4});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 4, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_job_cancel(sched, 0, 1, MP_ECANCELLED);
    ck_assert_uint_eq(expect(sched, MPX_END).count, 4);
    expect(sched, MPX_STOP);
    ck_assert_int_eq(mpx_sched_give_back(sched, 0, run.chunk), MP_OK);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_OK);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(queued_calls_can_be_ended_and_those_given_go_on)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 3, 8, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_int_eq(mpx_sched_end_queued(sched, 0, 1, MP_EDRAINING), MP_OK);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_uint_eq(end.first, 1);
    ck_assert_uint_eq(end.count, 2);
    ck_assert_int_eq(end.rc, MP_EDRAINING);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 1);
    mpx_sched_done(sched, 0, run.chunk, 1, 1);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_end_queued(sched, 0, 2, MP_EDRAINING), MP_EINVAL);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_worker_that_learns_a_task_is_given_its_calls)
{
    mpx_sched_t *sched = make();
    uint64_t tasks[] = {5, 6};
    mpx_worker_spec_t spec = any(2);
    spec.tasks = tasks;
    spec.tasks_count = 1;
    open_job(sched, 1, (mpx_policy_t){.task = 6, .chunk_calls = 1, .absent_ns = 10 * MS});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 1, 8, 0);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), 10 * MS);
    spec.tasks_count = 2;
    ck_assert_int_eq(mpx_sched_worker_tasks(sched, MS, 1, &spec), MP_OK);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.worker, 1);
    mpx_sched_done(sched, MS, run.chunk, 1, 1);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_worker_tasks(sched, MS, 2, &spec), MP_EINVAL);
    mpx_sched_worker_drain(sched, MS, 1);
    ck_assert_int_eq(mpx_sched_worker_tasks(sched, MS, 1, &spec), MP_OK);
    mpx_sched_put(sched, MS, 1, 1, 1, 8, 0);
    expect_nothing(sched); /* it gets nothing more, whatever it can */
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_not_begun_goes_to_another_and_is_not_charged,
        a_cancelled_chunk_that_is_given_back_is_nobodys,
        queued_calls_can_be_ended_and_those_given_go_on,
        a_worker_that_learns_a_task_is_given_its_calls,
        NULL,
    };
    return suite_run("give_back", tests, 20);
}
