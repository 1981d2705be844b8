/* Why a call isn't running: each reason, and that a call that waits always has one. */
#include "explain.h"

#include "sched_kit.h"

enum { ROOM = 16 };

/* Two jobs of tasks 1 and 2, and of one slot the worker 7, who does both. */
static mpx_sched_t *with_worker(void)
{
    static const uint64_t tasks[] = {1, 2};
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    spec.tasks = tasks;
    spec.tasks_count = 2;
    open_job(sched, 1, (mpx_policy_t){.task = 1});
    open_job(sched, 2, (mpx_policy_t){.task = 2});
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 7, &spec), MP_OK);
    return sched;
}

static void put(mpx_sched_t *sched, int64_t now, uint64_t job, uint32_t count)
{
    ck_assert_int_eq(mpx_sched_put(sched, now, job, 0, count, 4 * count, 0), MP_OK);
}

/* The reason of that kind, which must be among them. */
static mpx_reason_t why(const mpx_sched_t *sched, uint64_t job, uint64_t call,
                        mpx_reason_kind_t kind)
{
    mpx_reason_t reasons[ROOM];
    size_t count = mpx_sched_explain(sched, job, call, reasons, ROOM);
    for (size_t i = 0; i < count; i++)
        if (reasons[i].kind == kind)
            return reasons[i];
    ck_abort_msg("%zu reasons, none of kind %d", count, (int)kind);
}

static void only(const mpx_sched_t *sched, uint64_t job, uint64_t call, mpx_reason_kind_t kind)
{
    mpx_reason_t reasons[ROOM];
    ck_assert_uint_eq(mpx_sched_explain(sched, job, call, reasons, ROOM), 1);
    ck_assert_int_eq(reasons[0].kind, kind);
}

START_TEST(there_is_no_such_job_or_call)
{
    mpx_sched_t *sched = with_worker();
    mpx_reason_t reasons[ROOM];
    ck_assert_uint_eq(mpx_sched_explain(sched, 3, 0, reasons, ROOM), 0);
    only(sched, 1, 0, MPX_WHY_OVER);
    only(sched, 1, MPX_ANY_CALL, MPX_WHY_OVER);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(no_worker_and_until_when_that_is_borne)
{
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){.task = 1, .wait_ns = 500});
    put(sched, 100, 1, 1);
    only(sched, 1, 0, MPX_WHY_NO_WORKER);
    ck_assert_int_eq(why(sched, 1, 0, MPX_WHY_NO_WORKER).at, 600);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(no_worker_with_that_task)
{
    mpx_sched_t *sched = with_worker();
    open_job(sched, 3, (mpx_policy_t){.task = 3});
    put(sched, 0, 3, 1);
    only(sched, 3, 0, MPX_WHY_NO_TASK);
    ck_assert_uint_eq(why(sched, 3, 0, MPX_WHY_NO_TASK).number, 1);
    ck_assert_int_eq(why(sched, 3, 0, MPX_WHY_NO_TASK).at, INT64_MAX);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(the_only_worker_drains)
{
    mpx_sched_t *sched = with_worker();
    mpx_sched_worker_drain(sched, 0, 7);
    put(sched, 0, 1, 1);
    only(sched, 1, 0, MPX_WHY_DRAINING);
    mpx_worker_view_t view;
    ck_assert(mpx_sched_view_worker(sched, 7, &view));
    ck_assert(view.draining && !view.paused);
    ck_assert(!mpx_sched_view_worker(sched, 8, &view));
    mpx_sched_destroy(&sched);
}
END_TEST

static mpx_traits_t traits(const char *text)
{
    mpx_traits_t traits;
    ck_assert_int_eq(mpx_traits_parse(text, &traits), MP_OK);
    return traits;
}

/* The one that could drains; the other does the task, but will never have what is needed. */
START_TEST(who_drains_and_who_is_unfit_are_told_apart)
{
    mpx_sched_t *sched = with_worker();
    mpx_traits_t gpu = traits("gpu=1");
    mpx_worker_spec_t spec = any(1);
    spec.have = &gpu;
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 8, &spec), MP_OK);
    mpx_sched_worker_drain(sched, 0, 8);
    open_job(sched, 3, (mpx_policy_t){.task = 1, .needs = &gpu});
    put(sched, 0, 3, 1);
    mpx_reason_t reasons[ROOM];
    ck_assert_uint_eq(mpx_sched_explain(sched, 3, 0, reasons, ROOM), 2);
    ck_assert_int_eq(reasons[0].kind, MPX_WHY_DRAINING);
    ck_assert_uint_eq(reasons[0].number, 1);
    ck_assert_int_eq(reasons[1].kind, MPX_WHY_UNFIT);
    ck_assert_uint_eq(reasons[1].number, 1);
    mpx_sched_worker_lost(sched, 0, 8, MPX_CHARGE_NONE, MP_EWORKERLOST);
    only(sched, 3, 0, MPX_WHY_UNFIT); /* not: nobody has the task */
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(given_running_and_over)
{
    mpx_sched_t *sched = with_worker();
    open_job(sched, 3, (mpx_policy_t){.task = 1, .chunk_calls = MPX_CHUNK_WHOLE});
    put(sched, 5, 3, 3);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_int_eq(run.since, 5);
    only(sched, 3, 0, MPX_WHY_GIVEN);
    mpx_sched_started(sched, 10, run.chunk);
    ck_assert_int_eq(why(sched, 3, 0, MPX_WHY_RUNNING).at, 10);
    ck_assert_uint_eq(why(sched, 3, 0, MPX_WHY_RUNNING).worker, 7);
    ck_assert_uint_eq(why(sched, 3, 2, MPX_WHY_GIVEN).number, 2);
    mpx_sched_done(sched, 20, run.chunk, 1, 10);
    only(sched, 3, 0, MPX_WHY_OVER);
    only(sched, 3, MPX_ANY_CALL, MPX_WHY_RUNNING);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(all_workers_are_busy_and_others_come_first)
{
    mpx_sched_t *sched = with_worker();
    put(sched, 0, 1, 5); /* call 0 is given at once; 4 wait */
    put(sched, 0, 2, 3);
    expect(sched, MPX_RUN);
    ck_assert_uint_eq(why(sched, 1, 3, MPX_WHY_BUSY).number, 1);
    ck_assert_uint_eq(why(sched, 1, 3, MPX_WHY_BEHIND).number, 2);
    mpx_reason_t turn = why(sched, 1, 3, MPX_WHY_TURN); /* it has had something already */
    ck_assert_uint_eq(turn.job, 2);
    ck_assert_uint_eq(turn.number, 3);
    mpx_job_view_t view;
    ck_assert(mpx_sched_view_job(sched, 1, &view));
    ck_assert_uint_eq(view.queued, 4);
    ck_assert_uint_eq(view.given, 1);
    ck_assert_int_eq(view.oldest, 0);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_higher_priority_comes_first)
{
    mpx_sched_t *sched = with_worker();
    open_job(sched, 3, (mpx_policy_t){.task = 2, .priority = 5});
    put(sched, 0, 1, 3);
    put(sched, 0, 3, 2);
    expect(sched, MPX_RUN);
    ck_assert_uint_eq(why(sched, 1, 1, MPX_WHY_PRIORITY).job, 3);
    mpx_reason_t reasons[ROOM];
    size_t count = mpx_sched_explain(sched, 3, 0, reasons, ROOM);
    for (size_t i = 0; i < count; i++) /* the lower one is no reason for the higher one */
        ck_assert(reasons[i].kind == MPX_WHY_BUSY);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_job_that_no_worker_shares_is_no_rival)
{
    static const uint64_t tasks[] = {3};
    mpx_sched_t *sched = with_worker();
    mpx_worker_spec_t spec = any(1);
    spec.tasks = tasks;
    spec.tasks_count = 1;
    mpx_sched_worker_join(sched, 0, 8, &spec);
    open_job(sched, 3, (mpx_policy_t){.task = 3, .priority = 5});
    put(sched, 0, 3, 9);
    put(sched, 0, 1, 2);
    mpx_effect_t effect;
    while (mpx_sched_effect(sched, &effect))
        continue;
    only(sched, 1, 1, MPX_WHY_BUSY);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(no_credit_for_so_many_bytes)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(2);
    spec.credit_bytes = 100;
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_worker_join(sched, 0, 7, &spec);
    mpx_sched_put(sched, 0, 1, 0, 1, 80, 1);
    mpx_sched_put(sched, 0, 1, 1, 1, 90, 2);
    expect(sched, MPX_RUN);
    mpx_reason_t credit = why(sched, 1, 1, MPX_WHY_NO_CREDIT);
    ck_assert_uint_eq(credit.number, 1);
    ck_assert_uint_eq(credit.bytes, 90);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_full_window_holds_the_job)
{
    mpx_sched_t *sched = with_worker();
    mpx_sched_job_hold(sched, 0, 1, true);
    put(sched, 0, 1, 1);
    only(sched, 1, 0, MPX_WHY_HELD);
    mpx_sched_job_hold(sched, 0, 1, false);
    expect(sched, MPX_RUN);
    only(sched, 1, 0, MPX_WHY_GIVEN);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_retry_waits_for_its_time)
{
    mpx_sched_t *sched = with_worker();
    mpx_verdict_t verdict;
    open_job(sched, 3, (mpx_policy_t){.task = 1, .retries = 1, .retry_delay_ns = 1000});
    put(sched, 0, 3, 1);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_failed(sched, 50, run.chunk, MP_EFAILED, 0, &verdict);
    ck_assert(verdict.again);
    only(sched, 3, 0, MPX_WHY_DELAYED);
    ck_assert_int_eq(why(sched, 3, 0, MPX_WHY_DELAYED).at, 1050);
    ck_assert_uint_eq(why(sched, 3, 0, MPX_WHY_DELAYED).number, 2);
    ck_assert_uint_eq(why(sched, 3, 0, MPX_WHY_DELAYED).of, 2);
    ck_assert_int_eq(why(sched, 3, 0, MPX_WHY_DELAYED).code, MP_EFAILED);
    mpx_later_view_t later;
    ck_assert(mpx_sched_view_later(sched, 3, &later) && !mpx_sched_view_later(sched, 1, &later));
    ck_assert(later.count == 1 && later.first == 0 && later.attempt == 2 && later.at == 1050);
    mpx_sched_tick(sched, 1050);
    only(sched, 3, 0, MPX_WHY_GIVEN);
    ck_assert_int_eq(expect(sched, MPX_RUN).since, 0); /* it waits since it was put */
    mpx_sched_destroy(&sched);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

/* Anything may have happened: who waits has a reason, and who is given is said to be. */
START_TEST(whoever_waits_has_a_reason)
{
    uint32_t random = (uint32_t)_i + 1;
    mpx_sched_t *sched = make();
    mpx_effect_t effect;
    for (uint64_t job = 1; job <= 4; job++)
        open_job(sched, job, (mpx_policy_t){.task = job % 2 + 1, .priority = job == 4});
    for (int64_t now = 1; now < 200; now++) {
        uint64_t id = next_random(&random) % 4 + 1;
        mpx_worker_spec_t spec = any(next_random(&random) % 3 + 1);
        spec.tasks = (const uint64_t[]){id % 3};
        spec.tasks_count = 1;
        spec.credit_bytes = 64;
        switch (next_random(&random) % 6) {
        case 0:
            (void)mpx_sched_worker_join(sched, now, id, &spec);
            break;
        case 1:
            (void)mpx_sched_worker_lost(sched, now, id, MPX_CHARGE_NONE, MP_EWORKERLOST);
            break;
        case 2:
            (void)mpx_sched_worker_pause(sched, now, id, next_random(&random) % 2);
            break;
        case 3:
            (void)mpx_sched_job_hold(sched, now, id, next_random(&random) % 2);
            break;
        default:
            (void)mpx_sched_put(sched, now, id, (uint64_t)now * 10, 3, next_random(&random) % 100,
                                (uint64_t)now);
        }
        while (mpx_sched_effect(sched, &effect))
            if (effect.kind == MPX_RUN && next_random(&random) % 2)
                mpx_sched_done(sched, now, effect.chunk, effect.count, 5);
        for (uint64_t job = 1; job <= 4; job++) {
            mpx_reason_t reasons[ROOM];
            mpx_job_view_t view;
            size_t count = mpx_sched_explain(sched, job, MPX_ANY_CALL, reasons, ROOM);
            SURE(count > 0 && mpx_sched_view_job(sched, job, &view));
            bool waits = reasons[0].kind > MPX_WHY_GIVEN;
            SURE(waits == (view.queued > 0));
            SURE((reasons[0].kind == MPX_WHY_OVER) == (view.queued + view.given == 0));
        }
    }
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const each[] = {whoever_waits_has_a_reason, NULL};
    const TTest *const once[] = {there_is_no_such_job_or_call,
                                 no_worker_and_until_when_that_is_borne,
                                 no_worker_with_that_task,
                                 the_only_worker_drains,
                                 given_running_and_over,
                                 all_workers_are_busy_and_others_come_first,
                                 a_higher_priority_comes_first,
                                 a_job_that_no_worker_shares_is_no_rival,
                                 no_credit_for_so_many_bytes,
                                 a_full_window_holds_the_job,
                                 a_retry_waits_for_its_time,
                                 who_drains_and_who_is_unfit_are_told_apart,
                                 NULL};
    return suite_run_each(NULL, "explain", each, 50, once, 60);
}
