#include "sched_kit.h"

#include <string.h>

START_TEST(a_call_goes_to_a_worker_and_ends)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){0});
    ck_assert_int_eq(mpx_sched_put(sched, 0, 1, 0, 1, 4, 77), MP_OK);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 9, &spec), MP_OK);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.worker, 9);
    ck_assert_uint_eq(run.job, 1);
    ck_assert_uint_eq(run.tag, 77);
    ck_assert_uint_eq(run.first, 0);
    ck_assert_uint_eq(run.count, 1);
    ck_assert_uint_eq(run.attempt, 1);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_EBUSY);
    ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 1, 100), MP_OK);
    ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 1, 100), MP_EINVAL);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 0);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_OK);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Of calls that take that long, and are so many. The number of calls in the last chunk. */
static uint32_t run_all(int64_t call_ns, uint32_t count)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){0});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, count, count * 4, 0);
    uint32_t largest = 0, last = 0;
    uint64_t done = 0;
    mpx_effect_t run;
    while (done < count) {
        ck_assert(mpx_sched_effect(sched, &run));
        ck_assert_uint_eq(run.first, done);
        ck_assert_uint_le(run.count, 4 * (largest ? largest : 1));
        if (run.count > largest)
            largest = run.count;
        last = run.count;
        done += run.count;
        mpx_sched_done(sched, 0, run.chunk, run.count, run.count * call_ns);
    }
    ck_assert_uint_gt(largest, MS / call_ns / 2);
    mpx_sched_destroy(&sched);
    return last;
}

START_TEST(chunks_adapt_to_run_time_and_leave_no_straggler)
{
    ck_assert_uint_lt(run_all(20000, 5000), 4);
    ck_assert_uint_lt(run_all(100, 100000), 501); /* 50 us of them: to share less isn't worth it */
}
END_TEST

START_TEST(long_calls_are_not_prefetched_and_short_ones_are)
{
    static const struct {
        int64_t busy_ns;
        uint32_t in_flight;
    } rows[] = {{10 * MS, 1}, {MS, 2}, {MS / 10, 20}, {1000, 256}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_sched_t *sched = make();
        mpx_worker_spec_t spec = any(1);
        mpx_effect_t effect;
        uint32_t given = 0;
        open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
        mpx_sched_worker_join(sched, 0, 1, &spec);
        mpx_sched_put(sched, 0, 1, 0, 1000, 4000, 0);
        mpx_effect_t first = expect(sched, MPX_RUN);
        expect_nothing(sched); /* unknown run time: one at a time */
        mpx_sched_done(sched, 0, first.chunk, 1, rows[i].busy_ns);
        while (mpx_sched_effect(sched, &effect))
            given++;
        ck_assert_uint_eq(given, rows[i].in_flight);
        mpx_sched_destroy(&sched);
    }
}
END_TEST

START_TEST(a_lost_worker_costs_the_call_that_it_ran)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 10});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 10, 40, 5);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_done(sched, 0, run.chunk, 3, 300);
    ck_assert_int_eq(mpx_sched_worker_lost(sched, 0, 1, MPX_CHARGE_RUNNING, MP_ECRASHED), MP_OK);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ECRASHED);
    ck_assert_uint_eq(end.first, 3);
    ck_assert_uint_eq(end.count, 1);
    ck_assert_uint_eq(end.worker, 1);
    expect_nothing(sched);
    mpx_sched_worker_join(sched, 0, 2, &spec);
    run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.first, 4);
    ck_assert_uint_eq(run.count, 6);
    ck_assert_uint_eq(run.tag, 5);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(charges_are_as_told)
{
    static const struct {
        mpx_charge_t charge;
        bool started;
        uint64_t ended;
    } rows[] = {{MPX_CHARGE_RUNNING, false, 0},
                {MPX_CHARGE_RUNNING, true, 1},
                {MPX_CHARGE_ALL, false, 8},
                {MPX_CHARGE_NONE, true, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_sched_t *sched = make();
        mpx_worker_spec_t spec = any(1);
        mpx_effect_t effect;
        open_job(sched, 1, (mpx_policy_t){.chunk_calls = 8});
        mpx_sched_worker_join(sched, 0, 1, &spec);
        mpx_sched_put(sched, 0, 1, 0, 8, 32, 0);
        mpx_effect_t run = expect(sched, MPX_RUN);
        if (rows[i].started)
            mpx_sched_started(sched, 0, run.chunk);
        mpx_sched_worker_lost(sched, 0, 1, rows[i].charge, MP_EWORKERLOST);
        uint64_t ended = 0;
        while (mpx_sched_effect(sched, &effect))
            ended += effect.kind == MPX_END ? effect.count : 0;
        ck_assert_uint_eq(ended, rows[i].ended);
        ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 8 - ended);
        mpx_sched_destroy(&sched);
    }
}
END_TEST

START_TEST(retries_come_first_and_are_counted)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    mpx_verdict_t verdict = {0};
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 2, .retries = 1});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 4, 16, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_int_eq(mpx_sched_failed(sched, 0, run.chunk, MP_EFAILED, 0, &verdict), MP_OK);
    ck_assert(verdict.again);
    mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
    run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.first, 0);
    ck_assert_uint_eq(run.count, 1);
    ck_assert_uint_eq(run.attempt, 2);
    ck_assert_int_eq(mpx_sched_failed(sched, 0, run.chunk, MP_EFAILED, 0, &verdict), MP_OK);
    ck_assert(!verdict.again);
    run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.first, 2);
    ck_assert_uint_eq(run.attempt, 1);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_call_over_its_limit_is_stopped_once)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.call_limit_ns = 100});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 5, 20, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    ck_assert_uint_eq(run.count, 1);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_started(sched, 1000, run.chunk);
    ck_assert_int_eq(mpx_sched_deadline(sched), 1100);
    mpx_sched_tick(sched, 1099);
    expect_nothing(sched);
    mpx_sched_tick(sched, 1100);
    mpx_effect_t stop = expect(sched, MPX_STOP);
    ck_assert_int_eq(stop.rc, MP_ETIMEDOUT);
    ck_assert_int_eq(stop.stage, MPX_STOP_KILL);
    mpx_sched_tick(sched, 5000);
    expect_nothing(sched);
    mpx_sched_worker_lost(sched, 5000, 1, MPX_CHARGE_RUNNING, MP_ECRASHED);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ETIMEDOUT);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(cancelled_calls_end_and_their_chunks_become_orphans)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 4});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 10, 40, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
    ck_assert_int_eq(mpx_sched_job_cancel(sched, 0, 1, MP_ECANCELLED), MP_OK);
    mpx_effect_t queued = expect(sched, MPX_END);
    ck_assert_uint_eq(queued.first, 4);
    ck_assert_uint_eq(queued.count, 6);
    mpx_effect_t given = expect(sched, MPX_END);
    ck_assert_uint_eq(given.first, 1);
    ck_assert_uint_eq(given.count, 3);
    mpx_effect_t stop = expect(sched, MPX_STOP);
    ck_assert_uint_eq(stop.chunk, run.chunk);
    ck_assert_int_eq(stop.stage, MPX_STOP_ASK);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_OK);
    mpx_chunk_info_t info;
    ck_assert(mpx_sched_chunk(sched, run.chunk, &info));
    ck_assert(info.orphan);
    ck_assert_int_eq(mpx_sched_done(sched, 0, run.chunk, 3, 0), MP_OK);
    ck_assert(!mpx_sched_chunk(sched, run.chunk, &info));
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(an_orphan_whose_turn_comes_is_stopped)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    spec.horizon_ns = 1000 * MS;
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 1, 4, 0);
    mpx_effect_t quick = expect(sched, MPX_RUN); /* then more than one is given at once */
    mpx_sched_done(sched, 0, quick.chunk, 1, MS);
    mpx_sched_put(sched, 0, 1, 1, 2, 8, 0);
    mpx_effect_t first = expect(sched, MPX_RUN);
    mpx_effect_t second = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, first.chunk);
    ck_assert_int_eq(mpx_sched_cancel(sched, 0, 1, 2, 1, MP_ECANCELLED), MP_OK);
    expect(sched, MPX_END);
    mpx_effect_t stop = expect(sched, MPX_STOP);
    ck_assert(stop.chunk == second.chunk && stop.stage == MPX_STOP_ASK);
    /* However long the other one runs, it isn't stopped before its turn. */
    for (int64_t now = 0; now < 500 * MS; now += 20 * MS)
        ck_assert_int_eq(mpx_sched_tick(sched, now), MP_OK);
    expect_nothing(sched);
    mpx_sched_done(sched, 500 * MS, first.chunk, 1, 500 * MS);
    mpx_sched_started(sched, 500 * MS, second.chunk);
    stop = expect(sched, MPX_STOP); /* again: the first time may have been too early */
    ck_assert(stop.chunk == second.chunk && stop.stage == MPX_STOP_ASK);
    expect_nothing(sched);
    ck_assert_int_le(mpx_sched_deadline(sched), 600 * MS);
    mpx_sched_tick(sched, mpx_sched_deadline(sched));
    stop = expect(sched, MPX_STOP);
    ck_assert(stop.chunk == second.chunk && stop.stage == MPX_STOP_KILL);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_range_can_be_cancelled)
{
    mpx_sched_t *sched = make();
    open_job(sched, 1, (mpx_policy_t){0});
    mpx_sched_put(sched, 0, 1, 0, 10, 40, 0);
    ck_assert_int_eq(mpx_sched_cancel(sched, 0, 1, 3, 4, MP_ECANCELLED), MP_OK);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_uint_eq(end.first, 3);
    ck_assert_uint_eq(end.count, 4);
    expect_nothing(sched);
    ck_assert_uint_eq(mpx_sched_job_open_calls(sched, 1), 6);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(calls_that_nobody_can_run_are_given_up_in_time)
{
    mpx_sched_t *sched = make();
    const uint64_t other[] = {6};
    mpx_worker_spec_t spec = any(1);
    spec.tasks = other;
    spec.tasks_count = 1;
    open_job(sched, 1, (mpx_policy_t){.task = 5, .wait_ns = 1000, .absent_ns = 100});
    mpx_sched_put(sched, 0, 1, 0, 3, 12, 0);
    ck_assert_int_eq(mpx_sched_deadline(sched), 1000);
    mpx_sched_worker_join(sched, 500, 1, &spec);
    ck_assert_int_eq(mpx_sched_deadline(sched), 600);
    mpx_sched_tick(sched, 600);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ENOTASK);
    ck_assert_uint_eq(end.count, 3);
    mpx_sched_worker_lost(sched, 700, 1, MPX_CHARGE_RUNNING, MP_EWORKERLOST);
    mpx_sched_put(sched, 700, 1, 3, 1, 4, 0);
    mpx_sched_tick(sched, 1699);
    expect_nothing(sched);
    mpx_sched_tick(sched, 1700);
    end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ENOWORKER);
    mpx_sched_destroy(&sched);
}
END_TEST

/* A map puts its next window when the one before has ended: it doesn't wait through each. */
START_TEST(what_follows_calls_that_were_given_up_waits_no_second_time)
{
    const uint64_t other[] = {6};
    const uint64_t wanted[] = {5};
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    spec.tasks = other;
    spec.tasks_count = 1;
    open_job(sched, 1, (mpx_policy_t){.task = 5, .absent_ns = 100});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 3, 12, 0);
    for (int64_t window = 0; window < 3; window++) {
        mpx_sched_tick(sched, 100 + window);
        ck_assert_int_eq(expect(sched, MPX_END).rc, MP_ENOTASK);
        mpx_sched_put(sched, 100 + window, 1, 3 + (uint64_t)window, 1, 4, 0);
        ck_assert_int_le(mpx_sched_deadline(sched), 100 + window);
    }
    /* There is hope again, once there was a worker for it, or after a while. */
    spec.tasks = wanted;
    mpx_sched_worker_join(sched, 103, 2, &spec);
    (void)expect(sched, MPX_RUN);
    mpx_sched_worker_lost(sched, 103, 2, MPX_CHARGE_RUNNING, MP_EWORKERLOST);
    mpx_sched_put(sched, 104, 1, 6, 1, 4, 0);
    ck_assert_int_gt(mpx_sched_deadline(sched), 104);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_small_job_does_not_wait_behind_a_large_one)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    open_job(sched, 2, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 1000000, 4000000, 0);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_put(sched, 0, 2, 0, 1, 4, 0);
    for (int chunks = 0; run.job != 2; chunks++) {
        ck_assert_int_lt(chunks, 4);
        mpx_sched_done(sched, 0, run.chunk, 1, 10 * MS);
        run = expect(sched, MPX_RUN);
    }
    mpx_sched_destroy(&sched);
}
END_TEST

/* Small inputs beside large ones: who counts their mean takes more credit than there is. */
START_TEST(inputs_of_all_sizes_stay_within_the_credit)
{
    enum { CALLS = 60 };
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(CALLS);
    spec.credit_bytes = 40000;
    mpx_sched_worker_join(sched, 0, 1, &spec);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 2});
    mpx_sched_job_hold(sched, 0, 1, true);
    for (uint64_t i = 0; i < CALLS; i++)
        mpx_sched_put(sched, 0, 1, i, 1, i < 10 ? 9000 : 16, 0);
    mpx_sched_job_hold(sched, 0, 1, false);
    uint64_t bytes = 0;
    mpx_effect_t effect;
    while (mpx_sched_effect(sched, &effect))
        for (uint64_t i = effect.first; i < effect.first + effect.count; i++)
            bytes += i < 10 ? 9000 : 16;
    ck_assert_uint_ge(bytes, 9000);
    ck_assert_uint_le(bytes, spec.credit_bytes);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

/* What one may have there does not shrink to a few because one is huge. */
START_TEST(a_huge_input_does_not_count_for_small_ones)
{
    enum { CALLS = 64, HUGE_BYTES = 1000000 };
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(CALLS);
    spec.credit_bytes = HUGE_BYTES + 100000;
    mpx_sched_worker_join(sched, 0, 1, &spec);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_job_hold(sched, 0, 1, true);
    for (uint64_t i = 0; i < CALLS; i++)
        mpx_sched_put(sched, 0, 1, i, 1, i ? 100 : HUGE_BYTES, 0);
    mpx_sched_job_hold(sched, 0, 1, false);
    for (int i = 0; i < CALLS; i++)
        expect(sched, MPX_RUN);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(held_jobs_and_draining_workers_get_nothing)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(1);
    open_job(sched, 1, (mpx_policy_t){.chunk_calls = 1});
    mpx_sched_job_hold(sched, 0, 1, true);
    mpx_sched_worker_join(sched, 0, 1, &spec);
    mpx_sched_put(sched, 0, 1, 0, 2, 8, 0);
    expect_nothing(sched);
    mpx_sched_job_hold(sched, 0, 1, false);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_worker_drain(sched, 0, 1);
    mpx_sched_done(sched, 0, run.chunk, 1, 1);
    expect_nothing(sched);
    mpx_sched_worker_join(sched, 0, 2, &spec);
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 2);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(wrong_events_change_nothing)
{
    mpx_sched_t *sched = make();
    mpx_worker_spec_t spec = any(0);
    mpx_verdict_t verdict = {0};
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 1, &spec), MP_EINVAL);
    spec.slots = 1;
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 0, &spec), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 1, &spec), MP_OK);
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, 1, &spec), MP_EEXIST);
    ck_assert_int_eq(mpx_sched_put(sched, 0, 1, 0, 1, 1, 0), MP_EINVAL);
    open_job(sched, 1, (mpx_policy_t){0});
    ck_assert_int_eq(mpx_sched_job_open(sched, 0, 1, &(mpx_policy_t){0}), MP_EEXIST);
    ck_assert_int_eq(mpx_sched_put(sched, 0, 1, 0, 0, 1, 0), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_put(sched, 0, 1, UINT64_MAX, 2, 1, 0), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_started(sched, 0, 1), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_failed(sched, 0, 1, MP_EFAILED, 0, &verdict), MP_EINVAL);
    ck_assert_int_eq(mpx_sched_worker_lost(sched, 0, 7, MPX_CHARGE_ALL, MP_ECRASHED), MP_EINVAL);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

/* ---- a long random walk against a model ---------------------------------------------------- */

#ifdef MP_SANITIZED
enum { SEEDS = 40 };
#else
enum { SEEDS = 300 };
#endif
enum { CALLS = 400, JOBS = 4, WORKERS = 5, CHUNKS = 100000 };

/* What the outside world knows: which calls have ended, and which chunks are where. */
typedef struct world {
    mpx_sched_t *sched;
    unsigned seed;
    int64_t now;
    uint32_t ends[JOBS][CALLS];
    uint32_t puts[JOBS];
    bool worker_here[WORKERS];
    uint64_t worker_id[WORKERS];
    uint64_t last_worker;
    mpx_effect_t chunks[CHUNKS]; /* by id; kind RUN while it is out */
    uint64_t last_chunk;
} world_t;

static unsigned pick(world_t *world, unsigned n)
{
    return (unsigned)rand_r(&world->seed) % n;
}

static void ended(world_t *world, uint64_t job, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ck_assert_uint_eq(++world->ends[job - 1][first + i], 1);
}

static void drain_effects(world_t *world)
{
    mpx_effect_t effect;
    while (mpx_sched_effect(world->sched, &effect))
        if (effect.kind == MPX_END) {
            ended(world, effect.job, effect.first, effect.count);
        } else if (effect.kind == MPX_RUN) {
            ck_assert_uint_lt(effect.chunk, CHUNKS);
            world->chunks[effect.chunk] = effect;
            world->last_chunk = effect.chunk;
        } else if (effect.kind == MPX_RECALL) {
            world->chunks[effect.chunk].kind = MPX_RECALL;
        }
    const char *wrong = mpx_sched_check(world->sched);
    ck_assert_msg(!wrong, "%s", wrong ? wrong : "");
}

/* As its worker likes; also when it was asked for long ago, or not at all. */
static void answer_recall(world_t *world, uint64_t id, const mpx_chunk_info_t *info)
{
    if (pick(world, 3) == 0)
        ck_assert_int_eq(mpx_sched_kept(world->sched, world->now, id), MP_OK);
    else
        ck_assert_int_eq(mpx_sched_returned(world->sched, world->now, id),
                         info->started && !info->timed ? MP_EINVAL : MP_OK);
}

static void some_chunk_moves(world_t *world)
{
    if (world->last_chunk == 0)
        return;
    uint64_t id = 1 + pick(world, (unsigned)world->last_chunk);
    mpx_chunk_info_t info;
    mpx_verdict_t verdict = {0};
    if (!mpx_sched_chunk(world->sched, id, &info))
        return;
    uint32_t n = 1 + pick(world, info.count - info.done);
    if (world->chunks[id].kind == MPX_RECALL && pick(world, 2)) {
        answer_recall(world, id, &info);
        return;
    }
    switch (pick(world, 4)) {
    case 0:
        mpx_sched_started(world->sched, world->now, id);
        break;
    case 1:
        ck_assert_int_eq(mpx_sched_failed(world->sched, world->now, id, MP_EFAILED, 0, &verdict),
                         MP_OK);
        if (!verdict.again && !info.orphan)
            ended(world, info.job, info.first + info.done, 1);
        break;
    default:
        if (!info.orphan)
            ended(world, info.job, info.first + info.done, n);
        ck_assert_int_eq(mpx_sched_done(world->sched, world->now, id, n, pick(world, 2000000)),
                         MP_OK);
    }
}

static void some_worker_moves(world_t *world)
{
    unsigned i = pick(world, WORKERS);
    if (!world->worker_here[i]) {
        static const char *const have[] = {"", "gpu=1", "gpu=3,zone=a"};
        mpx_traits_t traits;
        ck_assert_int_eq(mpx_traits_parse(have[pick(world, 3)], &traits), MP_OK);
        mpx_worker_spec_t spec = any(1 + pick(world, 3));
        spec.credit_bytes = 100;
        spec.have = &traits;
        spec.returns = pick(world, 2);
        spec.yields = pick(world, 2);
        world->worker_id[i] = ++world->last_worker;
        world->worker_here[i] = true;
        mpx_sched_worker_join(world->sched, world->now, world->worker_id[i], &spec);
    } else if (pick(world, 4) == 0) {
        mpx_sched_worker_drain(world->sched, world->now, world->worker_id[i]);
    } else {
        world->worker_here[i] = false;
        mpx_sched_worker_lost(world->sched, world->now, world->worker_id[i],
                              (mpx_charge_t)pick(world, 3), MP_ECRASHED);
    }
}

static void some_job_moves(world_t *world)
{
    unsigned job = pick(world, JOBS);
    uint32_t n = 1 + pick(world, 20);
    uint32_t first = world->puts[job];
    switch (pick(world, 8)) {
    case 0:
        mpx_sched_job_hold(world->sched, world->now, job + 1, pick(world, 2));
        break;
    case 1:
        if (first + n > CALLS)
            return;
        world->puts[job] += n;
        mpx_sched_put_timed(world->sched, world->now, job + 1, first, n, n * 4, pick(world, 3),
                            (mpx_times_t){.begin = world->now + pick(world, 2000) - 1000,
                                          .deadline = world->now + pick(world, 5000) - 100});
        break;
    case 2:
        mpx_sched_cancel(world->sched, world->now, job + 1, pick(world, CALLS), n, MP_ECANCELLED);
        break;
    default:
        if (first + n > CALLS)
            return;
        world->puts[job] += n;
        mpx_sched_put(world->sched, world->now, job + 1, first, n, n * 4, pick(world, 3));
    }
}

static void step(world_t *world)
{
    world->now += pick(world, 1000);
    switch (pick(world, 10)) {
    case 0:
        some_worker_moves(world);
        break;
    case 1:
    case 2:
        some_job_moves(world);
        break;
    case 3:
        mpx_sched_tick(world->sched, world->now);
        break;
    default:
        some_chunk_moves(world);
    }
    drain_effects(world);
}

/* Everybody is well again: all that is open must come to its end. */
static void finish(world_t *world)
{
    mpx_worker_spec_t spec = any(2);
    mpx_traits_t traits;
    ck_assert_int_eq(mpx_traits_parse("gpu=1,zone=a", &traits), MP_OK);
    spec.have = &traits;
    mpx_sched_worker_join(world->sched, world->now, ++world->last_worker, &spec);
    for (uint64_t job = 1; job <= JOBS; job++)
        mpx_sched_job_hold(world->sched, world->now, job, false);
    world->now += 1000000; /* nothing is delayed any more */
    mpx_sched_tick(world->sched, world->now);
    drain_effects(world);
    for (uint64_t id = 1; id <= world->last_chunk; id++) {
        mpx_chunk_info_t info;
        if (!mpx_sched_chunk(world->sched, id, &info))
            continue;
        if (!info.orphan)
            ended(world, info.job, info.first + info.done, info.count - info.done);
        mpx_sched_done(world->sched, world->now, id, info.count - info.done, 1);
        drain_effects(world);
    }
    for (unsigned job = 0; job < JOBS; job++) {
        ck_assert_uint_eq(mpx_sched_job_open_calls(world->sched, job + 1), 0);
        for (uint32_t call = 0; call < world->puts[job]; call++)
            ck_assert_uint_eq(world->ends[job][call], 1);
        ck_assert_int_eq(mpx_sched_job_close(world->sched, world->now, job + 1), MP_OK);
    }
}

START_TEST(every_call_ends_exactly_once_whatever_happens)
{
    static world_t world;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        memset(&world, 0, sizeof world);
        world.seed = seed;
        world.sched = make();
        for (unsigned job = 0; job < JOBS; job++) {
            static const char *const needs[JOBS] = {"", "gpu=1", "", "zone=a,gpu=1"};
            mpx_traits_t traits;
            ck_assert_int_eq(mpx_traits_parse(needs[job], &traits), MP_OK);
            mpx_policy_t policy = {
                .client = job / 2,
                .weight = job,
                .needs = &traits,
                .delay_ns = job == 2 ? 700 : 0,
                .deadline_ns = job == 0 ? 2000000 : 0,
                .chunk_calls = job == 0   ? 0
                               : job == 1 ? 1
                               : job == 2 ? 7
                                          : MPX_CHUNK_WHOLE,
                .priority = job == 3,
                .retries = job,
                .retry_delay_ns = job > 1 ? 3000 : 0,
                .crashes_max = job == 3 ? 2 : 0,
                .call_limit_ns = job == 1 ? 5000 : 0,
                .soft_limit_ns = job < 2 ? 2000 : 0,
                .grace_ns = job ? 1000 : 0,
                .wait_ns = job == 2 ? 20000 : 0,
            };
            open_job(world.sched, job + 1, policy);
        }
        for (int steps = 0; steps < 1500; steps++)
            step(&world);
        finish(&world);
        mpx_sched_destroy(&world.sched);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_call_goes_to_a_worker_and_ends,
        chunks_adapt_to_run_time_and_leave_no_straggler,
        long_calls_are_not_prefetched_and_short_ones_are,
        a_lost_worker_costs_the_call_that_it_ran,
        charges_are_as_told,
        retries_come_first_and_are_counted,
        a_call_over_its_limit_is_stopped_once,
        cancelled_calls_end_and_their_chunks_become_orphans,
        an_orphan_whose_turn_comes_is_stopped,
        a_range_can_be_cancelled,
        calls_that_nobody_can_run_are_given_up_in_time,
        what_follows_calls_that_were_given_up_waits_no_second_time,
        a_small_job_does_not_wait_behind_a_large_one,
        inputs_of_all_sizes_stay_within_the_credit,
        a_huge_input_does_not_count_for_small_ones,
        held_jobs_and_draining_workers_get_nothing,
        wrong_events_change_nothing,
        every_call_ends_exactly_once_whatever_happens,
        NULL,
    };
    return suite_run("sched", tests, 100);
}
