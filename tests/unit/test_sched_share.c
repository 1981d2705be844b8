/* Whose turn it is: clients, then jobs, by weight and by time. */
#include "sched_kit.h"

enum { CLIENTS = 3, JOBS_MAX = 1100 };

static void join(mpx_sched_t *sched, uint64_t worker)
{
    mpx_worker_spec_t spec = any(1);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, worker, &spec), MP_OK);
}

static void open_of(mpx_sched_t *sched, uint64_t job, uint64_t client, uint32_t weight,
                    uint32_t calls)
{
    open_job(sched, job, (mpx_policy_t){.chunk_calls = 1, .client = client, .weight = weight});
    ck_assert_int_eq(mpx_sched_put(sched, 0, job, 0, calls, calls * 4, client), MP_OK);
}

/* Run n calls, each of which takes as long as its job's calls do; counts[job] are the run ones. */
static void run_calls(mpx_sched_t *sched, int n, const int64_t *call_ns, int *counts)
{
    mpx_effect_t run = expect(sched, MPX_RUN);
    for (int i = 0; i < n; i++) {
        counts[run.job]++;
        ck_assert_int_eq(
            mpx_sched_done(sched, 0, run.chunk, 1, call_ns ? call_ns[run.job] : 10 * MS), MP_OK);
        run = expect(sched, MPX_RUN);
    }
    expect_nothing(sched);
}

START_TEST(a_client_with_many_jobs_gets_no_more_than_one_with_one)
{
    static int counts[JOBS_MAX];
    mpx_sched_t *sched = make();
    for (uint64_t job = 1; job <= 1000; job++)
        open_of(sched, job, 1, 0, 100);
    open_of(sched, 1001, 2, 0, 1000);
    join(sched, 1);
    run_calls(sched, 400, NULL, counts);
    ck_assert_int_ge(counts[1001], 199);
    ck_assert_int_le(counts[1001], 201);
    for (int job = 1; job <= 1000; job++) /* and they share the rest, job by job */
        ck_assert_int_le(counts[job], 1);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(jobs_of_a_client_share_by_their_weights)
{
    int counts[4] = {0};
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, 0, 10000); /* 0 is 1 */
    open_of(sched, 2, 1, 3, 10000);
    open_of(sched, 3, 1, 6, 10000);
    join(sched, 1);
    run_calls(sched, 1000, NULL, counts);
    ck_assert_int_le(abs(counts[1] - 100), 3);
    ck_assert_int_le(abs(counts[2] - 300), 3);
    ck_assert_int_le(abs(counts[3] - 600), 3);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_weight_counts_within_its_client_only)
{
    int counts[3] = {0};
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, MPX_WEIGHT_MAX, 10000);
    open_of(sched, 2, 2, 1, 10000);
    join(sched, 1);
    run_calls(sched, 100, NULL, counts);
    ck_assert_int_le(abs(counts[1] - counts[2]), 2);
    mpx_policy_t heavy = {.weight = MPX_WEIGHT_MAX + 1};
    ck_assert_int_eq(mpx_sched_job_open(sched, 0, 9, &heavy), MP_EINVAL);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Shares are of time: who has long calls gets fewer of them. */
START_TEST(long_calls_count_for_what_they_take)
{
    int counts[3] = {0};
    static const int64_t call_ns[] = {0, 100 * MS, 10 * MS};
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, 0, 10000);
    open_of(sched, 2, 2, 0, 10000);
    join(sched, 1);
    run_calls(sched, 1100, call_ns, counts);
    ck_assert_int_le(abs(counts[1] - 100), 5);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Neither does who comes late owe nothing, nor is it owed what it had no use for. */
START_TEST(who_comes_late_begins_with_the_others)
{
    int counts[3] = {0};
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, 0, 10000);
    join(sched, 1);
    run_calls(sched, 500, NULL, counts);
    open_of(sched, 2, 2, 0, 10000);
    counts[1] = 0;
    mpx_chunk_info_t info;
    ck_assert(mpx_sched_chunk(sched, 501, &info));
    ck_assert_int_eq(mpx_sched_done(sched, 0, 501, 1, 10 * MS), MP_OK);
    run_calls(sched, 100, NULL, counts);
    ck_assert_int_le(abs(counts[1] - counts[2]), 2);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Two clients whose workers differ in number: the one with the slow ones isn't punished, when a
 * third comes that can use both, for longer than a second's work. */
START_TEST(a_busier_pool_starves_nobody_elsewhere)
{
    mpx_sched_t *sched = make();
    static const uint64_t fast[] = {7}, slow[] = {8};
    mpx_worker_spec_t spec = any(1);
    int counts[4] = {0};
    spec.tasks_count = 1;
    spec.tasks = fast;
    mpx_sched_worker_join(sched, 0, 1, &spec);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1, .client = 1, .task = 7});
    mpx_sched_put(sched, 0, 1, 0, 100000, 400000, 0);
    run_calls(sched, 10000, NULL, counts); /* 100 s of work */
    spec.tasks = slow;
    mpx_sched_worker_join(sched, 0, 2, &spec);
    open_job(sched, 2, (mpx_policy_t){.chunk_calls = 1, .client = 1, .task = 8});
    open_job(sched, 3, (mpx_policy_t){.chunk_calls = 1, .client = 2, .task = 8});
    mpx_sched_put(sched, 0, 2, 0, 10000, 40000, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_put(sched, 0, 3, 0, 10000, 40000, 0);
    for (int i = 0; i < 400; i++) {
        counts[run.job]++;
        mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
        run = expect(sched, MPX_RUN);
    }
    ck_assert_int_ge(counts[2], 150);
    ck_assert_int_ge(counts[3], 150);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(priorities_come_before_shares)
{
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, 1000, 10);
    open_job(sched, 2, (mpx_policy_t){.chunk_calls = 1, .client = 2, .priority = 1});
    mpx_sched_put(sched, 0, 2, 0, 5, 20, 0);
    join(sched, 1);
    for (int i = 0; i < 10; i++) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_uint_eq(run.job, i < 5 ? 2 : 1);
        mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
    }
    mpx_sched_destroy(&sched);
}
END_TEST

/* How many of the next calls are client 1's, when it has put so much and client 2 as well. */
static int next_of_client_1(mpx_sched_t *sched)
{
    int counts[4] = {0};
    run_calls(sched, 100, NULL, counts);
    return counts[2];
}

/* Client 1 has a chunk of a thousand calls, of which nothing is known, and both have more. */
static mpx_effect_t begin_with_a_large_chunk(mpx_sched_t *sched, int64_t deadline_ns)
{
    join(sched, 1);
    open_job(sched, 1,
             (mpx_policy_t){.chunk_calls = 1000, .client = 1, .deadline_ns = deadline_ns});
    ck_assert_int_eq(mpx_sched_put(sched, 0, 1, 0, 1000, 4000, 0), MP_OK);
    mpx_effect_t run = expect(sched, MPX_RUN);
    open_of(sched, 2, 1, 0, 10000);
    open_of(sched, 3, 2, 0, 10000);
    return run;
}

START_TEST(what_lapses_before_it_has_begun_costs_nothing)
{
    mpx_sched_t *sched = make();
    mpx_effect_t run = begin_with_a_large_chunk(sched, 10 * MS);
    ck_assert_int_eq(mpx_sched_tick(sched, 10 * MS), MP_OK);
    ck_assert(expect(sched, MPX_END).lapsed);
    expect(sched, MPX_STOP);
    ck_assert_int_eq(mpx_sched_done(sched, 10 * MS, run.chunk, 1000, 0), MP_OK);
    ck_assert_int_le(abs(next_of_client_1(sched) - 50), 2);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(what_is_cancelled_before_it_has_begun_costs_nothing)
{
    mpx_sched_t *sched = make();
    mpx_effect_t run = begin_with_a_large_chunk(sched, 0);
    ck_assert_int_eq(mpx_sched_job_cancel(sched, 0, 1, MP_ECANCELLED), MP_OK);
    expect(sched, MPX_END);
    expect(sched, MPX_STOP);
    ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 1000, 0), MP_OK);
    ck_assert_int_le(abs(next_of_client_1(sched) - 50), 2);
    mpx_sched_destroy(&sched);
}
END_TEST

/* As a broker says it of calls whose time was over there, or that nobody could run. */
START_TEST(what_is_refused_costs_nothing)
{
    static const mp_rc_t codes[] = {MP_ETIMEDOUT, MP_EWORKERLOST, MP_EDRAINING};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        mpx_sched_t *sched = make();
        mpx_effect_t run = begin_with_a_large_chunk(sched, 0);
        mpx_verdict_t verdict;
        for (int call = 0; call < 1000; call++)
            ck_assert_int_eq(mpx_sched_failed(sched, 0, run.chunk, codes[i], 0, &verdict), MP_OK);
        ck_assert_int_le(abs(next_of_client_1(sched) - 50), 2);
        mpx_sched_destroy(&sched);
    }
}
END_TEST

/* No more are put ahead for them, nor into their chunks. */
START_TEST(what_never_ran_teaches_nothing)
{
    mpx_sched_t *sched = make();
    join(sched, 1);
    open_of(sched, 1, 1, 0, 100);
    for (int call = 0; call < 50; call++) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        expect_nothing(sched);
        ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 1, 0), MP_OK);
    }
    ck_assert_int_eq(mpx_sched_job_service_ns(sched, 1), 0);
    mpx_sched_destroy(&sched);
}
END_TEST

/* However it ends: well, badly, or given up by all but its worker. */
START_TEST(what_has_run_is_charged_however_it_ends)
{
    for (int how = 0; how < 4; how++) {
        mpx_sched_t *sched = make();
        mpx_verdict_t verdict;
        join(sched, 1);
        open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1, .client = 1, .grace_ns = 1000 * MS});
        ck_assert_int_eq(mpx_sched_put(sched, 0, 1, 0, 1, 4, 0), MP_OK);
        mpx_effect_t run = expect(sched, MPX_RUN);
        open_of(sched, 2, 1, 0, 10000);
        open_of(sched, 3, 2, 0, 10000);
        ck_assert_int_eq(mpx_sched_started(sched, 0, run.chunk), MP_OK);
        if (how >= 2) {
            ck_assert_int_eq(mpx_sched_job_cancel(sched, 100 * MS, 1, MP_ECANCELLED), MP_OK);
            expect(sched, MPX_END);
            expect(sched, MPX_STOP);
        }
        if (how % 2)
            ck_assert_int_eq(mpx_sched_done(sched, 500 * MS, run.chunk, 1, 500 * MS), MP_OK);
        else if (how)
            ck_assert_int_eq(
                mpx_sched_worker_lost(sched, 500 * MS, 1, MPX_CHARGE_RUNNING, MP_ECRASHED), MP_OK);
        else
            ck_assert_int_eq(
                mpx_sched_failed(sched, 500 * MS, run.chunk, MP_EFAILED, 500 * MS, &verdict),
                MP_OK);
        if (how == 2)
            join(sched, 2);
        ck_assert_msg(abs(next_of_client_1(sched) - 25) <= 2, "however: %d", how);
        mpx_sched_destroy(&sched);
    }
}
END_TEST

/* Whatever run times it is told, nobody's share overflows. */
START_TEST(absurd_run_times_do_no_harm)
{
    mpx_sched_t *sched = make();
    open_of(sched, 1, 1, 0, 1000);
    open_of(sched, 2, 2, 0, 1000);
    join(sched, 1);
    for (int i = 0; i < 200; i++) {
        mpx_effect_t run = expect(sched, MPX_RUN);
        ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 1, run.job == 1 ? INT64_MAX : i % 2),
                         MP_OK);
        ck_assert_ptr_null(mpx_sched_check(sched));
    }
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_client_with_many_jobs_gets_no_more_than_one_with_one,
        jobs_of_a_client_share_by_their_weights,
        a_weight_counts_within_its_client_only,
        long_calls_count_for_what_they_take,
        who_comes_late_begins_with_the_others,
        a_busier_pool_starves_nobody_elsewhere,
        priorities_come_before_shares,
        what_lapses_before_it_has_begun_costs_nothing,
        what_is_cancelled_before_it_has_begun_costs_nothing,
        what_is_refused_costs_nothing,
        what_never_ran_teaches_nothing,
        what_has_run_is_charged_however_it_ends,
        absurd_run_times_do_no_harm,
        NULL,
    };
    return suite_run("sched_share", tests, 30);
}
