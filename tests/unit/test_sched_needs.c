/* What workers have and calls need. */
#include "sched_kit.h"
#include <string.h>

static mpx_traits_t traits(const char *text)
{
    mpx_traits_t parsed;
    ck_assert_int_eq(mpx_traits_parse(text, &parsed), MP_OK);
    return parsed;
}

START_TEST(traits_are_read)
{
    mpx_traits_t some = traits(" zone=a , gpu=2,memory=8G,ssd,cpu=x86-64.v3");
    ck_assert_uint_eq(some.count, 5);
    ck_assert_str_eq(some.items[0].name, "cpu");
    ck_assert_str_eq(some.items[0].label, "x86-64.v3");
    ck_assert(!some.items[0].counted);
    ck_assert(some.items[1].counted && some.items[1].amount == 2);
    ck_assert_uint_eq(some.items[2].amount, UINT64_C(8) << 30);
    ck_assert_str_eq(some.items[3].label, "");
    ck_assert_uint_eq(traits("a=18446744073709551615").items[0].amount, UINT64_MAX);
    ck_assert_uint_eq(traits("").count, 0);
    ck_assert_uint_eq(traits(NULL).count, 0);
    mpx_traits_t same = traits("cpu=x86-64.v3,ssd,memory=8192M,zone=a,gpu=2");
    ck_assert(mpx_traits_equal(&some, &same));
}
END_TEST

START_TEST(mistakes_are_named_with_their_place)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"gpu=", "position 5: a value is missing"},
        {"gpu=1,", "position 7: a name"},
        {",gpu", "position 1: a name"},
        {"gpu=1 zone=a", "position 7: a ','"},
        {"gpu=1,gpu=2", "position 7: it was named before"},
        {"gpu=1,zone=\xc3\xa4", "position 12: a value is missing"},
        {"a=18446744073709551616", "position 3: a number is over"},
        {"a=16777216T", "position 3: a number is over"},
        {"abcdefghijabcdefghijabcdefghijab", "position 1: a name or a value has at most 31"},
        {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "position 33: there are more than 16"},
    };
    mpx_traits_t untouched = {.count = 7};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(mpx_traits_parse(rows[i].text, &untouched), MP_EINVAL);
        ck_assert_msg(strstr(mp_errmsg(), rows[i].says) != NULL, "%s", mp_errmsg());
        ck_assert_uint_eq(untouched.count, 7);
    }
}
END_TEST

START_TEST(what_is_there_meets_what_is_needed)
{
    static const struct {
        const char *have;
        const char *needs;
        bool meets;
    } rows[] = {
        {"gpu=1,zone=a", "", true},
        {"", "gpu=1", false},
        {"gpu=2", "gpu=1", true},
        {"gpu=1", "gpu=2", false},
        {"zone=a", "zone=a", true},
        {"zone=a", "zone=b", false},
        {"ssd", "ssd", true},
        {"gpu=1", "gpu", false}, /* a label isn't a capacity */
        {"ssd", "ssd=1", false},
        {"gpu=0", "gpu=0", true},
        {"memory=8G", "memory=1M,gpu=1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_traits_t have = traits(rows[i].have), needs = traits(rows[i].needs);
        ck_assert_msg(mpx_traits_meet(&have, &needs) == rows[i].meets, "%s for %s", rows[i].have,
                      rows[i].needs);
    }
}
END_TEST

static void join(mpx_sched_t *sched, uint64_t worker, uint32_t slots, const char *have)
{
    mpx_traits_t parsed = traits(have);
    mpx_worker_spec_t spec = any(slots);
    spec.have = &parsed;
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, worker, &spec), MP_OK);
}

static void open_needing(mpx_sched_t *sched, uint64_t job, const char *needs, uint32_t calls)
{
    mpx_traits_t parsed = traits(needs);
    open_job(
        sched, job,
        (mpx_policy_t){.chunk_calls = 1, .needs = &parsed, .absent_ns = 1000, .wait_ns = 5000});
    ck_assert_int_eq(mpx_sched_put(sched, 0, job, 0, calls, calls * 4, 0), MP_OK);
}

START_TEST(calls_go_where_their_needs_are_met)
{
    mpx_sched_t *sched = make();
    join(sched, 1, 4, "zone=a");
    join(sched, 2, 4, "zone=b,ssd");
    open_needing(sched, 1, "zone=b", 1);
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 2);
    open_needing(sched, 2, "zone=a", 1);
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 1);
    open_needing(sched, 3, "ssd,zone=b", 1);
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 2);
    open_needing(sched, 4, "zone=c", 1);
    expect_nothing(sched);
    join(sched, 3, 1, "zone=c");
    ck_assert_uint_eq(expect(sched, MPX_RUN).worker, 3);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(needs_that_nobody_meets_end_in_time)
{
    mpx_sched_t *sched = make();
    join(sched, 1, 4, "gpu=1");
    open_needing(sched, 1, "gpu=2", 3);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), 1000);
    mpx_sched_tick(sched, 1000);
    mpx_effect_t end = expect(sched, MPX_END);
    ck_assert_int_eq(end.rc, MP_ENOTASK);
    ck_assert_uint_eq(end.count, 3);
    open_needing(sched, 2, "gpu=1", 2); /* one that waits for its turn has all the time */
    expect(sched, MPX_RUN);
    expect_nothing(sched);
    ck_assert_int_eq(mpx_sched_deadline(sched), INT64_MAX);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(a_capacity_is_used_up_while_its_calls_run)
{
    mpx_sched_t *sched = make();
    join(sched, 1, 8, "gpu=2,memory=1G");
    open_needing(sched, 1, "gpu=1", 5);
    mpx_effect_t first = expect(sched, MPX_RUN);
    mpx_effect_t second = expect(sched, MPX_RUN);
    expect_nothing(sched);
    open_needing(sched, 2, "", 3); /* what needs nothing goes on beside it */
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(expect(sched, MPX_RUN).job, 2);
    expect_nothing(sched);
    open_needing(sched, 3, "memory=600M", 2);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 3);
    expect_nothing(sched);
    mpx_sched_done(sched, 0, second.chunk, 1, MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 1);
    mpx_verdict_t verdict;
    mpx_sched_failed(sched, 0, first.chunk, MP_EFAILED, 0, &verdict);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 1);
    expect_nothing(sched);
    mpx_sched_worker_lost(sched, 0, 1, MPX_CHARGE_NONE, MP_EWORKERLOST);
    join(sched, 2, 8, "gpu=9,memory=1T");
    for (int i = 0; i < 8; i++)
        expect(sched, MPX_RUN);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

/* A cancelled call still has the gpu, until it is over. */
START_TEST(an_orphan_keeps_what_it_uses)
{
    mpx_sched_t *sched = make();
    join(sched, 1, 4, "gpu=1");
    open_needing(sched, 1, "gpu=1", 1);
    mpx_effect_t run = expect(sched, MPX_RUN);
    mpx_sched_started(sched, 0, run.chunk);
    mpx_sched_job_cancel(sched, 0, 1, MP_ECANCELLED);
    expect(sched, MPX_END);
    expect(sched, MPX_STOP);
    ck_assert_int_eq(mpx_sched_job_close(sched, 0, 1), MP_OK);
    open_needing(sched, 2, "gpu=1", 1);
    expect_nothing(sched);
    mpx_sched_done(sched, 0, run.chunk, 1, MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 2);
    mpx_sched_destroy(&sched);
}
END_TEST

/* Small calls don't keep a large one's capacity from ever being free. */
START_TEST(a_large_need_is_not_starved_by_small_ones)
{
    mpx_sched_t *sched = make();
    mpx_effect_t small[4];
    join(sched, 1, 8, "cores=4");
    open_needing(sched, 1, "cores=1", 1000);
    for (int i = 0; i < 4; i++)
        small[i] = expect(sched, MPX_RUN);
    open_needing(sched, 2, "cores=4", 1);
    expect_nothing(sched);
    for (int i = 0; i < 3; i++) {
        mpx_sched_done(sched, 0, small[i].chunk, 1, 10 * MS);
        expect_nothing(sched); /* it is kept for the large one */
    }
    mpx_sched_done(sched, 0, small[3].chunk, 1, 10 * MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 2);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

static void join_sharing(mpx_sched_t *sched, uint64_t worker, const char *have)
{
    mpx_traits_t mine = traits(have);
    mpx_worker_spec_t spec = any(1);
    spec.have = &mine;
    spec.shares = true;
    ck_assert_int_eq(mpx_sched_worker_join(sched, 0, worker, &spec), MP_OK);
}

/* Whoever ends what has a capacity, another may be who waits for it. */
START_TEST(workers_share_what_they_have)
{
    mpx_sched_t *sched = make();
    for (uint64_t worker = 1; worker <= 4; worker++)
        join_sharing(sched, worker, "gpu=2");
    open_needing(sched, 1, "gpu=1", 4);
    mpx_effect_t first = expect(sched, MPX_RUN);
    mpx_effect_t second = expect(sched, MPX_RUN);
    ck_assert_uint_ne(first.worker, second.worker);
    expect_nothing(sched);
    open_needing(sched, 2, "", 3);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 2);
    mpx_effect_t other = expect(sched, MPX_RUN);
    ck_assert_uint_eq(other.job, 2);
    expect_nothing(sched);
    mpx_sched_done(sched, 0, other.chunk, 1, MS);
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 2);
    expect_nothing(sched);
    mpx_sched_worker_lost(sched, 0, first.worker, MPX_CHARGE_ALL, MP_ECRASHED);
    ck_assert_uint_eq(expect(sched, MPX_END).job, 1);
    expect_nothing(sched); /* there is a gpu, and nobody is idle */
    join_sharing(sched, 5, "gpu=2");
    ck_assert_uint_eq(expect(sched, MPX_RUN).job, 1);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

START_TEST(an_idle_worker_gets_what_another_has_left)
{
    mpx_sched_t *sched = make();
    join_sharing(sched, 1, "gpu=1");
    join_sharing(sched, 2, "gpu=1");
    open_needing(sched, 1, "gpu=1", 1);
    mpx_effect_t run = expect(sched, MPX_RUN);
    open_needing(sched, 2, "gpu=1", 1);
    expect_nothing(sched);
    mpx_sched_worker_lost(sched, 0, run.worker, MPX_CHARGE_ALL, MP_ECRASHED);
    ck_assert_uint_eq(expect(sched, MPX_END).job, 1);
    mpx_effect_t next = expect(sched, MPX_RUN);
    ck_assert(next.job == 2 && next.worker == 3 - run.worker);
    expect_nothing(sched);
    mpx_sched_destroy(&sched);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        traits_are_read,
        mistakes_are_named_with_their_place,
        what_is_there_meets_what_is_needed,
        calls_go_where_their_needs_are_met,
        needs_that_nobody_meets_end_in_time,
        a_capacity_is_used_up_while_its_calls_run,
        an_orphan_keeps_what_it_uses,
        a_large_need_is_not_starved_by_small_ones,
        workers_share_what_they_have,
        an_idle_worker_gets_what_another_has_left,
        NULL,
    };
    return suite_run("sched_needs", tests, 30);
}
