/* test_nested: calls that have calls of their own, on the same workers. Usage: test_nested
 * local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 30000, PROCESSES = 2 };

MP_TASK(square, int, int)
{
    *out = *in * *in;
    return *in < 0;
}

/* The sum of squares below its input, by a map. */
MP_TASK(sum_of_squares, int, int)
{
    enum { MOST = 500 };
    int numbers[MOST], squares[MOST];
    for (int i = 0; i < *in; i++)
        numbers[i] = i;
    mp_rc_t rc = mp_pool_map(mp_call_pool(call), &square, numbers, (size_t)*in, squares, LONG_MS);
    for (int i = 0; i < *in; i++)
        *out += squares[i];
    return rc == MP_OK ? MP_OK : mp_call_fail(call, (int)rc, "%s", mp_errmsg());
}

/* Without memory, and calls of calls of calls. */
MP_TASK(fibonacci, int, int)
{
    if (*in < 2) {
        *out = *in;
        return MP_OK;
    }
    int in_two[2] = {*in - 1, *in - 2}, out_two[2];
    mp_rc_t rc =
        mp_pool_map(mp_call_pool(call), mp_task_find("fibonacci"), in_two, 2, out_two, LONG_MS);
    *out = out_two[0] + out_two[1];
    return rc == MP_OK ? MP_OK : mp_call_fail(call, (int)rc, "%s", mp_errmsg());
}

enum { CRASH = 1, HANG, FAIL };

MP_TASK(moody, int, int)
{
    if (*in == CRASH)
        abort();
    while (*in == HANG)
        usleep(1000);
    return *in == FAIL ? mp_call_fail(call, 5, "in a bad mood") : MP_OK;
}

/* What has become of a call of its own. */
MP_TASK(ask_moody, int, int)
{
    int value;
    mp_call_options_t options = {.call_timeout_ms = *in == HANG ? 50 : 0};
    mp_rc_t rc =
        mp_pool_map_with(mp_call_pool(call), &moody, in, 1, &value, NULL, &options, LONG_MS);
    *out = -(int)rc;
    return MP_OK;
}

/* Results, jobs, a callback: whatever a pool has. */
MP_TASK(use_everything, int, int)
{
    mp_pool_t *pool = mp_call_pool(call);
    mp_result_t *results[8];
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    int value;
    for (int i = 0; i < 8; i++)
        if (mp_pool_apply_async(pool, &square, &i, NULL, &results[i]))
            return 1;
    for (int i = 0; i < 8; i++) {
        if (mp_result_get(results[i], &value, LONG_MS) || value != i * i)
            return 2;
        mp_result_destroy(&results[i]);
    }
    if (mp_job_new(pool, &square, NULL, &job))
        return 3;
    for (int i = 0; i < 20; i++)
        if (mp_job_put(job, (mp_bytes_t){&i, sizeof i}, LONG_MS))
            return 4;
    mp_job_close(job);
    for (int i = 0; i < 20; i++)
        if (mp_job_next(job, &outcome, LONG_MS) || outcome.rc)
            return 5;
    mp_job_destroy(&job);
    mp_pool_close(pool); /* not its to end */
    mp_pool_destroy(&pool);
    return mp_pool_apply(mp_call_pool(call), &square, in, out, LONG_MS) ? 6 : MP_OK;
}

typedef struct big {
    int numbers[200000];
} big_t;

MP_TASK(negate, big_t, big_t)
{
    for (size_t i = 0; i < sizeof in->numbers / sizeof *in->numbers; i++)
        out->numbers[i] = -in->numbers[i];
    return MP_OK;
}

MP_TASK(negate_twice, int, int)
{
    big_t *in_ = calloc(4, sizeof *in_), *out_ = calloc(4, sizeof *out_);
    in_[3].numbers[199999] = *in;
    mp_rc_t rc = mp_pool_map(mp_call_pool(call), &negate, in_, 4, out_, LONG_MS);
    *out = out_[3].numbers[199999];
    free(in_);
    free(out_);
    return rc == MP_OK ? MP_OK : mp_call_fail(call, (int)rc, "%s", mp_errmsg());
}

MP_TASK(orphan_maker, int, int)
{
    int value;
    (void)!mp_pool_apply(mp_call_pool(call), &moody, &(int){HANG}, &value, -1);
    return MP_OK;
}

static mp_pool_t *new_pool(int processes)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(processes);
    OK(mp_pool_new(&(mp_pool_options_t){.processes = processes,
                                        .broker = broker ? broker : "local",
                                        .nested = broker == NULL},
                   &pool));
    return pool;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

/* More of them than there are workers wait at once. */
START_TEST(calls_may_wait_for_calls_of_theirs)
{
    enum { N = 30 };
    int in[N], out[N];
    mp_pool_t *pool = new_pool(PROCESSES);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            in[i] = i * 10;
        OK(mp_pool_map(pool, &sum_of_squares, in, N, out, LONG_MS));
        for (int i = 0; i < N; i++) {
            int sum = 0;
            for (int k = 0; k < i * 10; k++)
                sum += k * k;
            ck_assert_int_eq(out[i], sum);
        }
    }
    end(&pool);
}
END_TEST

START_TEST(so_may_those)
{
    int out = 0;
    mp_pool_t *pool = new_pool(PROCESSES);
    OK(mp_pool_apply(pool, &fibonacci, &(int){10}, &out, LONG_MS));
    ck_assert_int_eq(out, 55);
    end(&pool);
}
END_TEST

START_TEST(one_worker_is_enough)
{
    int out = 0;
    mp_pool_t *pool = new_pool(1);
    OK(mp_pool_apply(pool, &fibonacci, &(int){6}, &out, LONG_MS));
    ck_assert_int_eq(out, 8);
    end(&pool);
}
END_TEST

START_TEST(a_nested_call_ends_as_any_other)
{
    static const struct {
        int mood;
        mp_rc_t rc;
    } rows[] = {{0, MP_OK}, {CRASH, MP_ECRASHED}, {HANG, MP_ETIMEDOUT}, {FAIL, MP_EFAILED}};
    mp_pool_t *pool = new_pool(PROCESSES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int out = 1;
        OK(mp_pool_apply(pool, &ask_moody, &rows[i].mood, &out, LONG_MS));
        ck_assert_int_eq(-out, rows[i].rc);
    }
    end(&pool);
}
END_TEST

START_TEST(all_of_a_pool_is_there)
{
    int in[4] = {3, 4, 5, 6}, out[4];
    mp_pool_t *pool = new_pool(PROCESSES);
    OK(mp_pool_map(pool, &use_everything, in, 4, out, LONG_MS));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(out[i], in[i] * in[i]);
    end(&pool);
}
END_TEST

START_TEST(large_records_travel)
{
    int out = 0;
    mp_pool_t *pool = new_pool(PROCESSES);
    OK(mp_pool_apply(pool, &negate_twice, &(int){77}, &out, LONG_MS));
    ck_assert_int_eq(out, -77);
    end(&pool);
}
END_TEST

/* Its calls are cancelled, and the pool has all its workers again. */
START_TEST(a_call_that_is_lost_takes_its_calls_along)
{
    int out = 0;
    mp_pool_t *pool = new_pool(PROCESSES);
    mp_call_options_t options = {.call_timeout_ms = 100, .stop_grace_ms = 10};
    IS(mp_pool_map_with(pool, &orphan_maker, &(int){0}, 1, &out, NULL, &options, LONG_MS),
       MP_ETIMEDOUT);
    int in[40] = {0}, outs[40];
    OK(mp_pool_map(pool, &moody, in, 40, outs, LONG_MS));
    OK(mp_pool_apply(pool, &fibonacci, &(int){7}, &out, LONG_MS));
    ck_assert_int_eq(out, 13);
    end(&pool);
}
END_TEST

MP_TASK(has_pool, int, int)
{
    *out = mp_call_pool(call) != NULL;
    return *out ? MP_OK : mp_call_fail(call, 1, "%s", mp_errmsg());
}

START_TEST(it_has_to_be_asked_for)
{
    static const mp_pool_options_t plain[] = {{.broker = "local", .processes = 1},
                                              {.workers = MP_INLINE}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        mp_pool_t *pool = NULL;
        int out;
        OK(mp_pool_new(&plain[i], &pool));
        IS(mp_pool_apply(pool, &has_pool, &(int){0}, &out, LONG_MS), MP_EFAILED);
        ck_assert_ptr_nonnull(strstr(mp_errmsg(), "nested"));
        mp_pool_destroy(&pool);
    }
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    if (argc == 2)
        harness_where = argv[1];
    Suite *suite = suite_create(harness_where);
    TCase *all = tcase_create(harness_where);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, calls_may_wait_for_calls_of_theirs);
    tcase_add_test(all, so_may_those);
    tcase_add_test(all, one_worker_is_enough);
    tcase_add_test(all, a_nested_call_ends_as_any_other);
    tcase_add_test(all, all_of_a_pool_is_there);
    tcase_add_test(all, large_records_travel);
    tcase_add_test(all, a_call_that_is_lost_takes_its_calls_along);
    if (strcmp(harness_where, "local") == 0)
        tcase_add_test(all, it_has_to_be_asked_for);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
