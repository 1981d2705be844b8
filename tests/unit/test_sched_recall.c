/* Chunks that go back, from workers that don't get on or that leave. */
#include "sched_kit.h"

enum { AHEAD = 4 };

static void join(mpx_sched_t *sched, int64_t now, uint64_t worker, bool returns)
{
    mpx_worker_spec_t spec = any(1);
    spec.returns = returns;
    ck_assert_int_eq(mpx_sched_worker_join(sched, now, worker, &spec), MP_OK);
}

/* Worker 1 has the chunk that it runs, and AHEAD more behind it. */
static mpx_sched_t *stuffed(bool returns, mpx_effect_t out[AHEAD + 1])
{
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    join(sched, 0, 1, returns);
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    mpx_effect_t first = expect(sched, MPX_RUN);
    mpx_sched_done(sched, 0, first.chunk, 1, MS / 2);
    mpx_sched_put(sched, 0, 1, 1, AHEAD, 4 * AHEAD, 0);
    for (int i = 0; i < AHEAD; i++)
        out[i] = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, out[0].chunk);
    expect_nothing(sched);
    return sched;
}

START_TEST(an_idle_worker_gets_what_another_does_not_get_on_with)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX); /* nobody would take it */
    join(sched, MS, 2, true);
    int64_t due = mpx_sched_deadline(sched);
    ck_assert_int_eq(due, 4 * MS); /* twice the time that work ahead should last */
    mpx_sched_tick(sched, due - 1);
    expect_nothing(sched);
    mpx_sched_tick(sched, due);
    mpx_effect_t recall = expect(sched, MPX_RECALL);
    ck_assert_uint_eq(recall.worker, 1);
    ck_assert_uint_eq(recall.chunk, given[AHEAD - 1].chunk); /* the last one */
    expect_nothing(sched); /* there is one idle worker, so one is enough */
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    ck_assert_int_eq(mpx_sched_returned(sched, 10 * MS, recall.chunk), MP_OK);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.worker, 2);
    ck_assert_uint_eq(run.first, recall.first);
    ck_assert_uint_eq(run.attempt, 1);
    ck_assert_uint_ne(run.chunk, recall.chunk);
    expect_nothing(sched);
    /* What the first worker says of it all the same is of no chunk any more. */
    mpx_chunk_info_t info;
    ck_assert(!mpx_sched_chunk(sched, recall.chunk, &info));
    ck_assert_int_eq(mpx_sched_started(sched, 11 * MS, recall.chunk), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_done(sched, 11 * MS, recall.chunk, 1, 1), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_returned(sched, 11 * MS, recall.chunk), MP_EINVAL);
    mpx_sched_destroy(&sched);
}
END_TEST

static mpx_effect_t recall_one(mpx_sched_t *sched)
{
    mpx_effect_t effect;
    for (int i = 0; i < 3 && !mpx_sched_effect(sched, &effect); i++)
        mpx_sched_tick(sched, mpx_sched_deadline(sched));
    ck_assert_int_eq(effect.kind, MPX_RECALL);
    expect_nothing(sched);
    return effect;
}

START_TEST(who_gives_back_is_asked_again_at_once_and_given_nothing)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    int64_t now = 10 * MS;
    join(sched, MS, 2, true);
    mpx_sched_tick(sched, now);
    for (int i = AHEAD - 1; i > 0; i--) {
        mpx_effect_t recall = expect(sched, MPX_RECALL);
        ck_assert_uint_eq(recall.chunk, given[i].chunk);
        ck_assert_int_eq(mpx_sched_returned(sched, now, recall.chunk), MP_OK);
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_uint_eq(run.worker, 2);
        expect_nothing(sched);
        now += MS;
        mpx_sched_done(sched, now, run.chunk, 1, MS / 2);
        if (i > 1)
            ck_assert_int_le(mpx_sched_deadline(sched), now);
        mpx_sched_tick(sched, now);
    }
    mpx_sched_put(sched, now, 1, 100, 100, 400, 0); /* more than the other one takes ahead */
    mpx_effect_t effect;
    while (mpx_sched_effect(sched, &effect))
        ck_assert_uint_eq(effect.worker, 2);
    mpx_sched_done(sched, now, given[0].chunk, 1, 10 * MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 1);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_chunk_that_has_begun_stays_where_it_is)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    join(sched, 0, 2, true);
    mpx_effect_t recall = recall_one(sched);
    mpx_sched_started(sched, 9 * MS, recall.chunk); /* it was on its way */
    ck_assert_int_eq(mpx_sched_returned(sched, 9 * MS, recall.chunk), MP_EINVAL);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_done(sched, 10 * MS, recall.chunk, 1, MS), MP_OK);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_refusal_is_asked_again_later_and_others_meanwhile)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    join(sched, 0, 2, true);
    mpx_effect_t recall = recall_one(sched);
    ck_assert_int_eq(mpx_sched_kept(sched, 9 * MS, recall.chunk), MP_OK);
    expect_nothing(sched);
    ck_assert_int_lt(mpx_sched_deadline(sched), INT64_MAX);
    (void)recall_one(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(nobody_is_asked_who_gets_on_or_can_not)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    join(sched, 0, 2, true);
    for (int i = 0; i < AHEAD - 1; i++) { /* each call takes less than twice the time ahead */
        int64_t now = (i + 1) * 3 * MS;
        mpx_sched_done(sched, now, given[i].chunk, 1, 3 * MS);
        mpx_sched_started(sched, now, given[i + 1].chunk);
        mpx_sched_tick(sched, now + 1);
        expect_nothing(sched);
    }
    mpx_sched_destroy(&sched);
    sched = stuffed(false, given);
    join(sched, 0, 2, true);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_tick(sched, 1000 * MS);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(an_idle_worker_that_could_not_run_it_changes_nothing)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    const uint64_t other[] = {9};
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1, .task = 5});
    join(sched, 0, 1, true);
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    mpx_sched_done(sched, 0, expect(sched, MPX_RUN).chunk, 1, MS / 2);
    mpx_sched_put(sched, 0, 1, 1, 3, 12, 0);
    for (int i = 0; i < 3; i++)
        expect(sched, MPX_RUN);
    spec.tasks = other;
    spec.tasks_count = 1;
    mpx_sched_worker_join(sched, 0, 2, &spec);
    int looks = 0;
    for (int64_t now = 0; now < 1000 * MS; looks++) {
        now = mpx_sched_deadline(sched);
        mpx_sched_tick(sched, now);
        expect_nothing(sched);
    }
    ck_assert_int_lt(looks, 30); /* less and less often */
    mpx_sched_destroy(&sched);
}
END_TEST

/* Of the one gpu that both workers share, a chunk that waits behind a long call has all. */
START_TEST(an_idle_worker_that_is_short_of_something_frees_it)
{
    mpx_traits_t gpu;
    ck_assert_int_eq(mpx_traits_parse("gpu=1", &gpu), MP_OK);
    mpx_worker_spec_t spec = any(1);
    spec.returns = spec.shares = true;
    spec.have = &gpu;
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    open_job(sched, 2, (mpx_policy_t){.chunk_calls = 1, .needs = &gpu});
    open_job(sched, 3, (mpx_policy_t){.chunk_calls = 1, .needs = &gpu});
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 1, &spec), MP_OK);
    for (uint64_t job = 1; job <= 2; job++) { /* they are known to be short */
        mpx_sched_put(sched, 0, job, 0, 1, 4, 0);
        mpx_sched_done(sched, 0, expect(sched, MPX_RUN).chunk, 1, MS / 4);
    }
    mpx_sched_put(sched, 0, 1, 1, 1, 4, 0);
    mpx_effect_t begun = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, begun.chunk);
    mpx_sched_put(sched, 0, 2, 1, 1, 4, 0);
    mpx_effect_t behind = expect(sched, MPX_RUN);
    mpx_sched_put(sched, 0, 3, 0, 1, 4, 0);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 2, &spec), MP_OK);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), 4 * MS);
    mpx_sched_tick(sched, 4 * MS);
    ck_assert_uint_eq(expect(sched, MPX_RECALL).chunk, behind.chunk);
    ck_assert_int_eq(mpx_sched_returned(sched, 5 * MS, behind.chunk), MP_OK);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.worker, 2);
    ck_assert_uint_ne(run.job, 1);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(an_orphan_that_comes_back_is_just_gone)
{
    mpx_effect_t given[AHEAD + 1];
    mpx_sched_t *sched = stuffed(true, given);
    join(sched, 0, 2, true);
    mpx_effect_t recall = recall_one(sched);
    mpx_sched_cancel(sched, 9 * MS, 1, recall.first, 1, MP_ECANCELLED);
    ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ECANCELLED);
    expect(sched, MPX_STOP);
    ck_assert_int_eq(mpx_sched_returned(sched, 9 * MS, recall.chunk), MP_OK);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), AHEAD - 1);
    mpx_sched_destroy(&sched);
}
END_TEST

/* The side that is asked: as mp-worker is by its broker. */
START_TEST(what_nobody_has_begun_can_be_withdrawn)
{
    mpx_sched_t *sched = make();
    uint64_t chunk = 0;
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = MPX_CHUNK_WHOLE});
    join(sched, 0, 1, true);
    mpx_sched_put(sched, 0, 1, 0, 4, 16, 1);
    mpx_sched_put(sched, 0, 1, 4, 4, 16, 2);
    mpx_sched_put(sched, 0, 1, 8, 4, 16, 3);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_int_eq(mpx_sched_withdraw(sched, 0, 1, 4, 4, &chunk), MP_OK); /* queued */
    ck_assert_int_eq(mpx_sched_withdraw(sched, 0, 1, 4, 4, &chunk), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_withdraw(sched, 0, 1, 0, 4, &chunk), MP_EBUSY); /* given */
    ck_assert_uint_eq(chunk, run.chunk);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_withdraw_chunk(sched, 0, chunk), MP_OK);
    run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.first, 8);
    mpx_sched_started(sched, 0, run.chunk);
    ck_assert_int_eq(mpx_sched_withdraw(sched, 0, 1, 8, 4, &chunk), MP_EINVAL); /* begun */
    ck_assert_int_eq(mpx_sched_withdraw_chunk(sched, 0, run.chunk), MP_EINVAL);
    mpx_sched_done(sched, 0, run.chunk, 4, 4);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_OK);
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_idle_worker_gets_what_another_does_not_get_on_with,
        who_gives_back_is_asked_again_at_once_and_given_nothing,
        a_chunk_that_has_begun_stays_where_it_is,
        a_refusal_is_asked_again_later_and_others_meanwhile,
        nobody_is_asked_who_gets_on_or_can_not,
        an_idle_worker_that_could_not_run_it_changes_nothing,
        an_idle_worker_that_is_short_of_something_frees_it,
        an_orphan_that_comes_back_is_just_gone,
        what_nobody_has_begun_can_be_withdrawn,
        NULL,
    };
    return suite_run("sched_recall", tests, 30);
}
