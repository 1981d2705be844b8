/* test_turnover: what workers say of their executors adds up. */
#include "ok.h"
#include "suite.h"
#include "turnover.h"

enum { SLOTS = 4 };

static mpx_turnover_t all;
static mpx_peer_t worker;

static void join(void)
{
    all = (mpx_turnover_t){0};
    worker = (mpx_peer_t){.slots = SLOTS};
    mpx_turnover_joined(&all, &worker);
}

static mp_rc_t tell(mpx_turnover_t since)
{
    return mpx_turnover_told(&all, &worker, &since);
}

START_TEST(each_end_is_counted_once)
{
    join();
    ck_assert_uint_eq(all.started, SLOTS);
    OK(tell((mpx_turnover_t){.crashed = 1}));
    OK(tell((mpx_turnover_t){.started = 1, .crashed = 1}));
    OK(tell((mpx_turnover_t){.started = 4, .crashed = 1, .stopped = 1, .memory = 1, .retired = 1}));
    ck_assert_uint_eq(all.started, SLOTS + 4);
    ck_assert(all.crashed == 1 && all.stopped == 1 && all.memory == 1 && all.retired == 1);
    ck_assert_uint_eq(mpx_turnover_casualties(&all), 3);
}
END_TEST

START_TEST(what_a_worker_had_is_gone_with_it)
{
    join();
    OK(tell((mpx_turnover_t){.started = 2, .crashed = 3}));
    mpx_turnover_left(&all, &worker);
    ck_assert_uint_eq(all.lost, 3);
    mpx_turnover_joined(&all, &worker); /* it says that it has as many as it should */
    worker.said_bye = true;
    mpx_turnover_left(&all, &worker);
    ck_assert_uint_eq(all.started, 2 * SLOTS + 2);
    ck_assert(all.lost == 3 && all.retired == SLOTS);
}
END_TEST

START_TEST(what_can_not_be_is_refused_and_changes_nothing)
{
    const mpx_turnover_t wrong[] = {
        {.crashed = SLOTS + 1},
        {.started = 1},
        {.started = 2, .crashed = 1, .lost = 1},
        {.started = UINT64_MAX, .crashed = 1},
        {.started = UINT64_MAX - SLOTS, .crashed = 1},
        {.started = 2, .crashed = 1, .memory = UINT64_MAX, .retired = 1},
    };
    join();
    OK(tell((mpx_turnover_t){.started = 2, .crashed = 1}));
    const mpx_turnover_t before = all;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(tell(wrong[i]), MP_EPROTO);
    ck_assert_mem_eq(&all, &before, sizeof all);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_end_is_counted_once,
        what_a_worker_had_is_gone_with_it,
        what_can_not_be_is_refused_and_changes_nothing,
        NULL,
    };
    return suite_run("turnover", tests, 10);
}
