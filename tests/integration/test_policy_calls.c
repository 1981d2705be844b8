/* test_policy_calls: how single calls and maps are run: limits, steps of stopping, retries,
 * priorities, progress; over executors of this host and over a broker.
 * Usage: test_policy_calls local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <fcntl.h>
#include <mp/mp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- tasks ------------------------------------------------------------------------------------
 */

MP_TASK(own_pid, int, int)
{
    *out = (int)getpid();
    return MP_OK;
}

/* Goes on until it is told to end, and then does as its input says. */
enum { WITH_VALUE, WITH_CODE };

MP_TASK(polite, int, int)
{
    mp_rc_t why = MP_OK;
    mp_call_progress(call, 0, 0, "begun");
    while ((why = mp_call_stopping(call)) == MP_OK)
        usleep(500);
    *out = -(int)why;
    return *in == WITH_VALUE ? MP_OK : (int)why;
}

MP_TASK(deaf, int, int)
{
    mp_call_progress(call, 0, 0, "begun");
    for (;;)
        usleep(500);
    return MP_OK;
}

static char last_words[256];

static void on_term(int signal)
{
    (void)signal;
    int fd = open(last_words, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
}

/* Hears a SIGTERM, says so by a file of that name, and goes on. */
MP_TASK_BYTES(stubborn)
{
    snprintf(last_words, sizeof last_words, "%.*s", (int)in.size, (const char *)in.data);
    signal(SIGTERM, on_term);
    mp_call_progress(call, 0, 0, "begun");
    for (;;)
        usleep(500);
    return MP_OK;
}

enum { TO_FAIL = 1, TO_CRASH = 2 };

typedef struct trial {
    int how;
    int attempts; /* the last of them is good */
} trial_t;

MP_TASK(try_again, trial_t, int)
{
    *out = mp_call_attempt(call);
    if (*out >= in->attempts)
        return MP_OK;
    if (in->how == TO_CRASH)
        abort();
    return mp_call_fail(call, 9, "attempt %d", *out);
}

MP_TASK(when, int, int64_t)
{
    *out = now_ns();
    usleep((useconds_t)*in * 1000);
    return MP_OK;
}

MP_TASK(counting, int, int)
{
    for (int i = 1; i <= *in; i++) {
        char text[32];
        snprintf(text, sizeof text, "step %d", i);
        mp_call_progress(call, (uint64_t)i, (uint64_t)*in, text);
        usleep(2000);
    }
    while (mp_call_stopping(call) == MP_OK)
        usleep(500);
    return MP_OK;
}

MP_TASK(odd_ones_fail, int, int)
{
    usleep(2000);
    return *in % 2;
}

/* ---- helpers ----------------------------------------------------------------------------------
 */

static mp_pool_t *new_pool(int processes)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(processes);
    OK(mp_pool_new(
        &(mp_pool_options_t){.processes = processes, .broker = broker ? broker : "local"}, &pool));
    return pool;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

static mp_result_t *begin(mp_pool_t *pool, const mp_task_t *task, const void *in,
                          mp_call_options_t calls)
{
    mp_result_t *result = NULL;
    OK(mp_pool_submit(pool, task, (mp_bytes_t){in, task->in.bytes ? task->in.bytes : strlen(in)},
                      &(mp_async_options_t){.calls = calls}, &result));
    return result;
}

static void wait_for_report(mp_result_t *result, uint64_t done, mp_report_t *report)
{
    while (mp_result_reported(result, report) != MP_OK || report->done < done) {
        ck_assert(!mp_result_ready(result));
        usleep(1000);
    }
}

static int pid_of_worker(mp_pool_t *pool)
{
    int in = 0, pid = 0;
    OK(mp_pool_apply(pool, &own_pid, &in, &pid, LONG_MS));
    return pid;
}

/* ---- limits -----------------------------------------------------------------------------------
 */

START_TEST(a_cancelled_call_that_listens_keeps_its_worker)
{
    mp_pool_t *pool = new_pool(1);
    int pid = pid_of_worker(pool);
    mp_report_t report;
    mp_result_t *result =
        begin(pool, &polite, &(int){WITH_CODE}, (mp_call_options_t){.stop_grace_ms = LONG_MS});
    wait_for_report(result, 0, &report);
    OK(mp_result_cancel(result));
    IS(mp_result_get(result, &(int){0}, 0), MP_ECANCELLED); /* at once */
    ck_assert_int_eq(pid_of_worker(pool), pid);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(one_that_does_not_is_killed)
{
    mp_pool_t *pool = new_pool(1);
    int pid = pid_of_worker(pool);
    mp_report_t report;
    mp_result_t *result = begin(pool, &deaf, &(int){0}, (mp_call_options_t){.stop_grace_ms = 20});
    wait_for_report(result, 0, &report);
    OK(mp_result_cancel(result));
    ck_assert_int_ne(pid_of_worker(pool), pid);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(a_sigterm_comes_before_the_kill)
{
    char path[] = "/tmp/mp-policy-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    mp_pool_t *pool = new_pool(1);
    mp_report_t report;
    mp_result_t *result = begin(pool, &stubborn, path, (mp_call_options_t){.stop_grace_ms = 50});
    wait_for_report(result, 0, &report);
    OK(mp_result_cancel(result));
    (void)pid_of_worker(pool); /* the next one */
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    unlink(path);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(a_soft_limit_is_told_and_the_call_decides)
{
    mp_pool_t *pool = new_pool(1);
    int pid = pid_of_worker(pool);
    int out = 0;
    mp_outcome_t outcome;
    mp_call_options_t options = {.soft_timeout_ms = 30, .call_timeout_ms = LONG_MS};
    mp_result_t *result = begin(pool, &polite, &(int){WITH_VALUE}, options);
    OK(mp_result_get(result, &out, LONG_MS));
    ck_assert_int_eq(out, -MP_ETIMEDOUT);
    mp_result_destroy(&result);
    /* The next one has its own time. */
    int64_t began = now_ns();
    result = begin(pool, &polite, &(int){WITH_CODE}, options);
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    ck_assert_int_eq(outcome.rc, MP_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(outcome.message, "soft"));
    ck_assert_int_eq(outcome.pid, pid);
    ck_assert_int_ge(now_ns() - began, 30 * 1000000);
    mp_result_destroy(&result);
    ck_assert_int_eq(pid_of_worker(pool), pid);
    end(&pool);
}
END_TEST

START_TEST(a_hard_limit_ends_who_does_not_listen)
{
    mp_pool_t *pool = new_pool(1);
    mp_outcome_t outcome;
    mp_result_t *result = begin(pool, &deaf, &(int){0},
                                (mp_call_options_t){.soft_timeout_ms = 20, .call_timeout_ms = 60});
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    ck_assert_int_eq(outcome.rc, MP_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(outcome.message, "60 ms"));
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

/* ---- retries ----------------------------------------------------------------------------------
 */

static mp_outcome_t outcome_of(mp_pool_t *pool, trial_t trial, mp_call_options_t options,
                               char *words, size_t size)
{
    mp_outcome_t outcome;
    mp_result_t *result = begin(pool, &try_again, &trial, options);
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    snprintf(words, size, "%s", outcome.message);
    outcome.code = outcome.value.size == sizeof(int) ? *(const int *)outcome.value.data : 0;
    mp_result_destroy(&result);
    return outcome;
}

START_TEST(a_call_is_tried_again_for_the_causes_that_were_named)
{
    static const struct {
        trial_t trial;
        mp_call_options_t options;
        mp_rc_t rc;
        int attempts;
    } rows[] = {
        {{TO_FAIL, 3}, {.retries = 2}, MP_OK, 3},
        {{TO_FAIL, 3}, {.retries = 1}, MP_EFAILED, 2},
        {{TO_CRASH, 3}, {.retries = 2}, MP_OK, 3},
        {{TO_FAIL, 3}, {.retries = 9, .retry_on = MP_RETRY_CRASHED}, MP_EFAILED, 1},
        {{TO_CRASH, 2}, {.retries = 9, .retry_on = MP_RETRY_CRASHED}, MP_OK, 2},
        {{TO_CRASH, 2}, {.retries = 9, .retry_on = MP_RETRY_FAILED}, MP_ECRASHED, 1},
        {{TO_CRASH, 6}, {.retries = 9, .max_crashes = 9}, MP_OK, 6},
    };
    mp_pool_t *pool = new_pool(2);
    char words[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_outcome_t outcome =
            outcome_of(pool, rows[i].trial, rows[i].options, words, sizeof words);
        ck_assert_msg(outcome.rc == rows[i].rc, "row %zu: %s", i, mp_errname(outcome.rc));
        ck_assert_int_eq(outcome.rc == MP_OK ? outcome.code : outcome.attempt, rows[i].attempts);
    }
    end(&pool);
}
END_TEST

START_TEST(a_call_that_crashes_all_who_touch_it_is_given_up)
{
    mp_pool_t *pool = new_pool(2);
    char words[512];
    mp_outcome_t outcome = outcome_of(pool, (trial_t){TO_CRASH, 1000},
                                      (mp_call_options_t){.retries = 500}, words, sizeof words);
    ck_assert_int_eq(outcome.rc, MP_ECRASHED);
    ck_assert_int_eq(outcome.attempt, 3);
    ck_assert_int_eq(outcome.signal, SIGABRT);
    ck_assert_msg(strstr(words, "cost 3 workers"), "%s", words);
    end(&pool);
}
END_TEST

START_TEST(attempts_are_apart)
{
    mp_pool_t *pool = new_pool(1);
    char words[512];
    int64_t began = now_ns();
    mp_outcome_t outcome =
        outcome_of(pool, (trial_t){TO_FAIL, 4},
                   (mp_call_options_t){.retries = 3, .retry_delay_ms = 20}, words, sizeof words);
    ck_assert_int_eq(outcome.rc, MP_OK);
    ck_assert_int_ge(now_ns() - began, (20 + 40 + 80) * 1000000);
    end(&pool);
}
END_TEST

/* ---- priorities -------------------------------------------------------------------------------
 */

START_TEST(what_is_urgent_overtakes_what_waits)
{
    enum { LOW = 60, HIGH = 6, NAP_MS = 5 };
    mp_pool_t *pool = new_pool(1);
    mp_result_t *low[LOW], *high[HIGH];
    int64_t begun[LOW], urgent[HIGH];
    for (int i = 0; i < LOW; i++)
        low[i] = begin(pool, &when, &(int){NAP_MS}, (mp_call_options_t){.priority = -1});
    for (int i = 0; i < HIGH; i++)
        high[i] = begin(pool, &when, &(int){NAP_MS}, (mp_call_options_t){.priority = 10});
    int before = 0;
    for (int i = 0; i < HIGH; i++)
        OK(mp_result_get(high[i], &urgent[i], LONG_MS));
    for (int i = 0; i < LOW; i++) {
        OK(mp_result_get(low[i], &begun[i], LONG_MS));
        before += begun[i] < urgent[HIGH - 1];
        mp_result_destroy(&low[i]);
    }
    ck_assert_int_lt(before, LOW / 2);
    for (int i = 0; i < HIGH; i++)
        mp_result_destroy(&high[i]);
    end(&pool);
}
END_TEST

/* ---- progress ---------------------------------------------------------------------------------
 */

/* ---- behind a long call ------------------------------------------------------------------------
 */

/* A short call, or one that goes on until there is a file. */
typedef struct tarry {
    int number;
    char until[60];
} tarry_t;

MP_TASK(tarry, tarry_t, int)
{
    int64_t began = now_ns();
    while (*in->until ? access(in->until, F_OK) != 0 : now_ns() - began < 50000)
        if (*in->until)
            usleep(1000);
    *out = in->number;
    return MP_OK;
}

/* By then it is known how short they are, so that many lie ready where the long one runs. */
enum { TARRIES = 1200, LONG_ONE = 500 };

static void end_all_but_the_long_one(mp_pool_t *pool, int chunksize)
{
    char gate[] = "/tmp/mp-test-gate-XXXXXX";
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    mp_call_options_t options = {.chunksize = chunksize, .unordered = 1, .window = TARRIES};
    int file = mkstemp(gate);
    ck_assert_int_ge(file, 0);
    unlink(gate);
    OK(mp_job_new(pool, &tarry, &options, &job));
    for (int i = 0; i < TARRIES; i++) {
        tarry_t in = {.number = i};
        if (i == LONG_ONE)
            snprintf(in.until, sizeof in.until, "%s", gate);
        OK(mp_job_put(job, (mp_bytes_t){&in, sizeof in}, LONG_MS));
    }
    mp_job_close(job);
    for (int i = 0; i < TARRIES - 1; i++) {
        mp_rc_t rc = mp_job_next(job, &outcome, LONG_MS);
        ck_assert_msg(rc == MP_OK, "%d calls wait for another one: %s", TARRIES - 1 - i,
                      mp_strerror(rc));
        OK(outcome.rc);
        ck_assert_uint_ne(outcome.index, LONG_ONE);
    }
    close(open(gate, O_CREAT | O_WRONLY, 0600));
    OK(mp_job_next(job, &outcome, LONG_MS));
    ck_assert_uint_eq(outcome.index, LONG_ONE);
    IS(mp_job_next(job, &outcome, LONG_MS), MP_EOF);
    mp_job_destroy(&job);
    unlink(gate);
    close(file);
}

START_TEST(what_waits_behind_a_long_call_goes_to_another_executor)
{
    mp_pool_t *pool = new_pool(2);
    end_all_but_the_long_one(pool, 1);
    end_all_but_the_long_one(pool, 1); /* now they are known from the beginning */
    end(&pool);
}
END_TEST

START_TEST(what_waits_behind_a_long_call_goes_to_another_worker)
{
    mp_pool_t *pool = new_pool(1);
    if (strcmp(harness_where, "local") != 0) {
        harness_worker(1);
        end_all_but_the_long_one(pool, 1);
        end_all_but_the_long_one(pool, 1);
    }
    end(&pool);
}
END_TEST

MP_TASK(pid_after_ms, int, int)
{
    static pid_t pid; /* to ask each time would take longer than anything else here */
    if (!pid)
        pid = getpid();
    if (*in)
        usleep((useconds_t)*in * 1000);
    *out = (int)pid;
    return MP_OK;
}

/* That of earlier calls was short, so all of them fit into one chunk, as far as anybody knows. */
START_TEST(calls_that_take_longer_than_earlier_ones_are_shared)
{
    enum { SHORT_CALLS = 20000, CALLS = 60, SLOW_MS = 15, LEAST = CALLS / 4 };
    static int in[SHORT_CALLS], pids[SHORT_CALLS];
    mp_pool_t *pool = new_pool(2);
    for (int round = 0; round < 5; round++)
        OK(mp_pool_map(pool, &pid_after_ms, in, SHORT_CALLS, pids, LONG_MS));
    for (int i = 0; i < CALLS; i++)
        in[i] = SLOW_MS;
    OK(mp_pool_map(pool, &pid_after_ms, in, CALLS, pids, LONG_MS));
    int same = 0;
    for (int i = 0; i < CALLS; i++)
        same += pids[i] == pids[0];
    ck_assert_int_ge(same, LEAST);
    ck_assert_int_le(same, CALLS - LEAST);
    end(&pool);
}
END_TEST

START_TEST(short_calls_do_not_hide_long_ones)
{
    enum { SHORT_CALLS = 20000, LONG_FROM = 127, CALLS = 227, SLOW_MS = 15, LEAST = 10 };
    static int in[SHORT_CALLS], pids[SHORT_CALLS];
    mp_pool_t *pool = new_pool(2);
    for (int round = 0; round < 5; round++)
        OK(mp_pool_map(pool, &pid_after_ms, in, SHORT_CALLS, pids, LONG_MS));
    for (int i = LONG_FROM; i < CALLS; i++)
        in[i] = SLOW_MS;
    OK(mp_pool_map(pool, &pid_after_ms, in, CALLS, pids, LONG_MS));
    int same = 0;
    for (int i = LONG_FROM; i < CALLS; i++)
        same += pids[i] == pids[CALLS - 1];
    ck_assert_int_ge(same, LEAST);
    ck_assert_int_le(same, CALLS - LONG_FROM - LEAST);
    end(&pool);
}
END_TEST

START_TEST(a_call_says_how_far_it_is)
{
    mp_pool_t *pool = new_pool(1);
    mp_report_t report;
    mp_result_t *result = begin(pool, &counting, &(int){100}, (mp_call_options_t){0});
    wait_for_report(result, 10, &report);
    char text[32];
    snprintf(text, sizeof text, "step %d", (int)report.done);
    ck_assert_str_eq(report.text, text);
    ck_assert_uint_eq(report.total, 100);
    OK(mp_result_cancel(result));
    mp_result_destroy(&result);
    result = begin(pool, &own_pid, &(int){0}, (mp_call_options_t){0});
    OK(mp_result_wait(&result, 1, MP_ALL_COMPLETED, LONG_MS));
    IS(mp_result_reported(result, &report), MP_ESTATE);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

typedef struct told {
    atomic_int times;
    _Atomic size_t done;
    _Atomic size_t failed;
    atomic_bool back; /* it went back */
    atomic_bool over;
} told_t;

static void note_progress(void *arg, const mp_progress_t *progress)
{
    told_t *told = arg;
    told->times++;
    if (progress->done < told->done || progress->total != 200)
        told->back = true;
    told->done = progress->done;
    told->failed = progress->failed;
}

static void note_over(void *arg, mp_result_t *result)
{
    (void)result;
    told_t *told = arg;
    told->over = told->done == 200;
}

START_TEST(a_map_tells_how_far_it_is)
{
    enum { N = 200 };
    static int in[N], out[N];
    for (int i = 0; i < N; i++)
        in[i] = i;
    mp_pool_t *pool = new_pool(2);
    told_t told = {0};
    mp_call_options_t options = {
        .progress = note_progress, .progress_arg = &told, .label = "odd and even"};
    IS(mp_pool_map_with(pool, &odd_ones_fail, in, N, out, NULL, &options, LONG_MS), MP_EFAILED);
    ck_assert_msg(strncmp(mp_errmsg(), "odd and even: odd_ones_fail: call 1: ", 37) == 0, "%s",
                  mp_errmsg());
    ck_assert(told.done == N && told.failed == N / 2 && !told.back && told.times > 1);

    memset(&told, 0, sizeof told);
    mp_result_t *result = NULL;
    mp_async_options_t async = {.calls = options, .error_callback = note_over, .arg = &told};
    OK(mp_pool_map_async(pool, &odd_ones_fail, in, N, out, &async, &result));
    while (!told.over)
        usleep(1000);
    ck_assert(told.done == N && told.failed == N / 2 && !told.back && told.times > 1);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(an_outcome_says_what_it_is_of)
{
    mp_pool_t *pool = new_pool(1);
    mp_outcome_t outcome;
    char label[] = "the third one";
    mp_result_t *result =
        begin(pool, &try_again, &(trial_t){TO_FAIL, 9}, (mp_call_options_t){.label = label});
    memset(label, 'x', sizeof label - 1);
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    ck_assert_str_eq(outcome.label, "the third one");
    ck_assert_str_eq(outcome.task, "try_again");
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const mp_call_options_t wrong[] = {
        {.soft_timeout_ms = -1}, {.stop_grace_ms = -1}, {.retry_on = 64},   {.retry_delay_ms = -1},
        {.max_crashes = -1},     {.priority = 1001},    {.priority = -1001}};
    mp_pool_t *pool = new_pool(1);
    int in = 0, out;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        IS(mp_pool_map_with(pool, &own_pid, &in, 1, &out, NULL, &wrong[i], LONG_MS), MP_EINVAL);
    end(&pool);
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
    tcase_add_test(all, a_cancelled_call_that_listens_keeps_its_worker);
    tcase_add_test(all, one_that_does_not_is_killed);
    tcase_add_test(all, a_sigterm_comes_before_the_kill);
    tcase_add_test(all, a_soft_limit_is_told_and_the_call_decides);
    tcase_add_test(all, a_hard_limit_ends_who_does_not_listen);
    tcase_add_test(all, a_call_is_tried_again_for_the_causes_that_were_named);
    tcase_add_test(all, a_call_that_crashes_all_who_touch_it_is_given_up);
    tcase_add_test(all, attempts_are_apart);
    tcase_add_test(all, what_is_urgent_overtakes_what_waits);
    tcase_add_test(all, what_waits_behind_a_long_call_goes_to_another_executor);
    tcase_add_test(all, what_waits_behind_a_long_call_goes_to_another_worker);
    tcase_add_test(all, calls_that_take_longer_than_earlier_ones_are_shared);
    tcase_add_test(all, short_calls_do_not_hide_long_ones);
    tcase_add_test(all, a_call_says_how_far_it_is);
    tcase_add_test(all, a_map_tells_how_far_it_is);
    tcase_add_test(all, an_outcome_says_what_it_is_of);
    tcase_add_test(all, wrong_options_are_refused);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
