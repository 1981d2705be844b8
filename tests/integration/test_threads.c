/* Pools whose workers are threads of this process, and those that have none: calls run in the
 * caller. */
#include "ok.h"
#include "suite.h"

#include <mp/mp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 20000, N = 1000 };

static atomic_int ran;
static atomic_bool go_on;

MP_TASK(square, int, int)
{
    ran++; /* seen by all: it is one memory */
    *out = *in * *in;
    return *in == 13 ? mp_call_fail(call, 7, "unlucky") : MP_OK;
}

MP_TASK(who, int, pthread_t)
{
    *out = pthread_self();
    return MP_OK;
}

MP_TASK(polite, int, int)
{
    mp_rc_t why = MP_OK;
    mp_call_progress(call, 1, 2, "begun");
    while ((why = mp_call_stopping(call)) == MP_OK)
        usleep(500);
    *out = (int)why;
    return *in ? (int)why : MP_OK;
}

MP_TASK(deaf, int, int)
{
    mp_call_progress(call, 1, 2, "begun");
    while (!go_on)
        usleep(500);
    return MP_OK;
}

MP_TASK_BYTES(shout)
{
    return mp_call_printf(call, "%.*s!", (int)in.size, (const char *)in.data);
}

typedef struct wide {
    _Alignas(64) double at[40000];
} wide_t;

MP_TASK(widen, wide_t, wide_t)
{
    for (size_t i = 0; i < sizeof in->at / sizeof *in->at; i++)
        out->at[i] = in->at[i] + 1;
    return (uintptr_t)in % 64 || (uintptr_t)out % 64;
}

static const mp_workers_t kinds[] = {MP_THREADS, MP_INLINE};

static mp_pool_t *new_pool(mp_workers_t workers, int processes)
{
    mp_pool_t *pool = NULL;
    OK(mp_pool_new(&(mp_pool_options_t){.workers = workers, .processes = processes}, &pool));
    return pool;
}

START_TEST(maps_jobs_and_results_work_as_with_processes)
{
    static int in[N], out[N];
    static mp_rc_t rcs[N];
    mp_pool_t *pool = new_pool(kinds[_i], 3);
    ran = 0;
    for (int i = 0; i < N; i++)
        in[i] = i;
    IS(mp_pool_map_with(pool, &square, in, N, out, rcs, NULL, LONG_MS), MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "unlucky"));
    for (int i = 0; i < N; i++)
        ck_assert(rcs[i] == (i == 13 ? MP_EFAILED : MP_OK) && out[i] == (i == 13 ? 0 : i * i));
    ck_assert_int_eq(ran, N);
    ck_assert_int_eq(mp_pool_processes(pool), kinds[_i] == MP_INLINE ? 1 : 3);

    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    OK(mp_job_new(pool, &shout, NULL, &job));
    for (int i = 0; i < 10; i++) {
        char text[8];
        int size = snprintf(text, sizeof text, "%d", i);
        OK(mp_job_put(job, (mp_bytes_t){text, (size_t)size}, LONG_MS));
    }
    mp_job_close(job);
    for (int i = 0; i < 10; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d!", i);
        OK(mp_job_next(job, &outcome, LONG_MS));
        ck_assert(outcome.value.size == strlen(text) &&
                  memcmp(outcome.value.data, text, outcome.value.size) == 0);
    }
    IS(mp_job_next(job, &outcome, LONG_MS), MP_EOF);
    mp_job_destroy(&job);

    mp_result_t *result = NULL;
    int value = 0;
    OK(mp_pool_apply_async(pool, &square, &(int){9}, NULL, &result));
    OK(mp_result_get(result, &value, LONG_MS));
    ck_assert_int_eq(value, 81);
    mp_result_destroy(&result);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(large_and_aligned_records_are_as_they_should)
{
    mp_pool_t *pool = new_pool(kinds[_i], 2);
    wide_t *in = mp_alloc(4 * sizeof *in), *out = mp_alloc(4 * sizeof *out);
    in[3].at[39999] = 41;
    OK(mp_pool_map(pool, &widen, in, 4, out, LONG_MS));
    ck_assert(out[3].at[39999] == 42 && out[0].at[0] == 1);
    mp_free(in);
    mp_free(out);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(inline_calls_run_in_the_caller)
{
    mp_pool_t *pool = new_pool(MP_INLINE, 0);
    pthread_t thread;
    OK(mp_pool_apply(pool, &who, &(int){0}, &thread, LONG_MS));
    ck_assert(pthread_equal(thread, pthread_self()));
    mp_pool_destroy(&pool);
    pool = new_pool(MP_THREADS, 1);
    OK(mp_pool_apply(pool, &who, &(int){0}, &thread, LONG_MS));
    ck_assert(!pthread_equal(thread, pthread_self()));
    mp_pool_destroy(&pool);
}
END_TEST

static mp_result_t *begin(mp_pool_t *pool, const mp_task_t *task, int in, mp_call_options_t options)
{
    mp_result_t *result = NULL;
    OK(mp_pool_apply_async(pool, task, &in, &(mp_async_options_t){.calls = options}, &result));
    return result;
}

static void wait_for_report(mp_result_t *result)
{
    mp_report_t report;
    while (mp_result_reported(result, &report) != MP_OK)
        usleep(1000);
    ck_assert_str_eq(report.text, "begun");
}

START_TEST(a_cancelled_call_that_listens_ends)
{
    mp_pool_t *pool = new_pool(MP_THREADS, 1);
    mp_result_t *result = begin(pool, &polite, 0, (mp_call_options_t){.stop_grace_ms = LONG_MS});
    int out;
    wait_for_report(result);
    OK(mp_result_cancel(result));
    IS(mp_result_get(result, &out, 0), MP_ECANCELLED);
    OK(mp_pool_apply(pool, &square, &(int){3}, &out, LONG_MS)); /* by the same thread */
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.started == 1 && stat.stopped == 0);
    mp_result_destroy(&result);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(one_that_does_not_is_left_to_itself)
{
    mp_pool_t *pool = new_pool(MP_THREADS, 1);
    int out;
    go_on = false;
    mp_result_t *cancelled = begin(pool, &deaf, 0, (mp_call_options_t){.stop_grace_ms = 20});
    wait_for_report(cancelled);
    OK(mp_result_cancel(cancelled));
    OK(mp_pool_apply(pool, &square, &(int){3}, &out, LONG_MS)); /* by another thread */
    mp_result_t *late = begin(pool, &deaf, 0, (mp_call_options_t){.call_timeout_ms = 30});
    IS(mp_result_get(late, &out, LONG_MS), MP_ETIMEDOUT);
    OK(mp_pool_apply(pool, &square, &(int){3}, &out, LONG_MS));
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.started == 3 && stat.stopped == 2);
    go_on = true;
    mp_result_destroy(&cancelled);
    mp_result_destroy(&late);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_soft_limit_is_told)
{
    mp_pool_t *pool = new_pool(kinds[_i], 1);
    int out = 0;
    mp_call_options_t options = {.soft_timeout_ms = 20};
    mp_result_t *result = begin(pool, &polite, 0, options);
    OK(mp_result_get(result, &out, LONG_MS));
    ck_assert_int_eq(out, MP_ETIMEDOUT);
    mp_result_destroy(&result);
    result = begin(pool, &polite, 1, options);
    IS(mp_result_get(result, &out, LONG_MS), MP_ETIMEDOUT);
    mp_result_destroy(&result);
    mp_pool_destroy(&pool);
}
END_TEST

static int count_up(void *arg)
{
    atomic_int *count = arg;
    return ++*count > 2 ? 5 : 0;
}

START_TEST(each_thread_is_initialized)
{
    mp_pool_t *pool = NULL;
    atomic_int count = 0;
    mp_pool_options_t options = {
        .workers = kinds[_i], .processes = 2, .initializer = count_up, .initializer_arg = &count};
    OK(mp_pool_new(&options, &pool));
    ck_assert_int_eq(count, kinds[_i] == MP_INLINE ? 1 : 2);
    mp_pool_destroy(&pool);
    count = 2;
    IS(mp_pool_new(&options, &pool), MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "returned 5"));
}
END_TEST

START_TEST(threads_come_and_go)
{
    static int in[N], out[N];
    static const int sizes[] = {4, 1, 2};
    mp_pool_t *pool = new_pool(MP_THREADS, 2);
    mp_pool_stat_t stat;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mp_result_t *result = NULL;
        OK(mp_pool_map_async(pool, &square, in, N, out, NULL, &result));
        OK(mp_pool_resize(pool, sizes[i]));
        OK(mp_result_get(result, NULL, LONG_MS));
        mp_result_destroy(&result);
        do
            OK(mp_pool_stat(pool, &stat));
        while (stat.workers != sizes[i]);
    }
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(what_threads_can_not_is_refused)
{
    mp_pool_t *pool = NULL;
    const mp_pool_options_t wrong[] = {
        {.workers = MP_THREADS, .max_calls_per_worker = 1},
        {.workers = MP_THREADS, .worker_memory_bytes = 1},
        {.workers = MP_INLINE, .worker_stdout = 1},
        {.workers = MP_THREADS, .broker = "tcp://127.0.0.1:1"},
        {.workers = (mp_workers_t)7},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        IS(mp_pool_new(&wrong[i], &pool), MP_EINVAL);
    /* This program has no MP_MAIN. */
    IS(mp_pool_new(&(mp_pool_options_t){.broker = "local", .method = MP_SPAWN}, &pool), MP_ESTATE);
    pool = new_pool(MP_INLINE, 0);
    IS(mp_pool_resize(pool, 2), MP_EINVAL);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_forked_child_only_gives_back_memory)
{
    mp_pool_t *pool = new_pool(MP_THREADS, 2);
    int status = 0, out;
    pid_t pid = fork();
    if (pid == 0) {
        bool told = mp_pool_apply(pool, &square, &(int){1}, &out, LONG_MS) == MP_EFORKED;
        mp_pool_destroy(&pool);
        _exit(told ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
    OK(mp_pool_apply(pool, &square, &(int){3}, &out, LONG_MS));
    mp_pool_destroy(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *all = tcase_create("threads");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, maps_jobs_and_results_work_as_with_processes, 0, 2);
    tcase_add_loop_test(all, large_and_aligned_records_are_as_they_should, 0, 2);
    tcase_add_test(all, inline_calls_run_in_the_caller);
    tcase_add_test(all, a_cancelled_call_that_listens_ends);
    tcase_add_test(all, one_that_does_not_is_left_to_itself);
    tcase_add_loop_test(all, a_soft_limit_is_told, 0, 2);
    tcase_add_loop_test(all, each_thread_is_initialized, 0, 2);
    tcase_add_test(all, threads_come_and_go);
    tcase_add_test(all, what_threads_can_not_is_refused);
    tcase_add_test(all, a_forked_child_only_gives_back_memory);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
