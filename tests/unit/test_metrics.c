/* What a broker counts, with a clock of integers, and how it is written down. */
#include "metrics.h"

#include "clock.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

static mpx_metrics_t *metrics;
static mpx_watcher_t watcher;

static void setup(void)
{
    metrics = mpx_metrics_new();
    ck_assert_ptr_nonnull(metrics);
    watcher = mpx_metrics_watcher(metrics);
}

static void given(const char *task, int64_t now, uint32_t count, uint32_t attempt, int64_t since)
{
    mpx_metrics_at(metrics, now);
    watcher.given(watcher.self, watcher.task(watcher.self, task), count, attempt, since);
}

static void ended(const char *task, mp_rc_t rc, uint32_t count, int64_t busy_ns)
{
    watcher.ended(watcher.self, watcher.task(watcher.self, task), rc, count, busy_ns);
}

/* All that is exposed; ends with NUL. */
static const char *exposed(void)
{
    static char text[1 << 20];
    mpx_exposition_t out = {.rc = MP_OK};
    mpx_metrics_expose(metrics, &out);
    ck_assert_int_eq(out.rc, MP_OK);
    ck_assert_uint_lt(out.text.size, sizeof text);
    memcpy(text, out.text.data, out.text.size);
    text[out.text.size] = '\0';
    mpx_buf_free(&out.text);
    return text;
}

static void says(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    ck_assert_msg(strstr(exposed(), whole), "no line '%s'", line);
}

START_TEST(each_fate_is_counted_by_task)
{
    static const mp_rc_t codes[MPX_FATES] = {
        MP_OK, MP_EFAILED, MP_ECRASHED, MP_ETIMEDOUT, MP_ECANCELLED, MP_EWORKERLOST, MP_ENOTASK};
    for (uint32_t i = 0; i < MPX_FATES; i++)
        ended("square", codes[i], i + 1, 0);
    ended("cube", MP_OK, 9, 0);
    const mpx_task_metrics_t *square = mpx_metrics_task_at(metrics, 0);
    ck_assert_str_eq(square->name, "square");
    for (uint32_t i = 0; i < MPX_FATES; i++)
        ck_assert_uint_eq(square->ended[i], i + 1);
    ck_assert_uint_eq(mpx_task_metrics_ended(square), 28);
    ck_assert_uint_eq(mpx_task_metrics_ended(mpx_metrics_task_at(metrics, 1)), 9);
    ck_assert_ptr_null(mpx_metrics_task_at(metrics, 2));
    says("mp_calls_done_total{task=\"square\"} 1");
    says("mp_calls_crashed_total{task=\"square\"} 3");
    says("mp_calls_refused_total{task=\"square\"} 7");
    says("mp_calls_done_total{task=\"cube\"} 9");
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(waits_and_retries_are_told_when_calls_are_given)
{
    given("square", 5 * MPX_S, 3, 1, 3 * MPX_S);
    given("square", 6 * MPX_S, 1, 2, 6 * MPX_S);
    given("square", 7 * MPX_S, 1, 1, 8 * MPX_S); /* put later in the same turn */
    const mpx_task_metrics_t *square = mpx_metrics_task_at(metrics, 0);
    ck_assert_uint_eq(square->retried, 1);
    ck_assert_uint_eq(mpx_histogram_count(&square->wait), 5);
    ck_assert(square->wait.sum_s > 5.99 && square->wait.sum_s < 6.01);
    says("mp_call_wait_seconds_bucket{task=\"square\",le=\"0.0001\"} 2");
    says("mp_call_wait_seconds_bucket{task=\"square\",le=\"1\"} 2");
    says("mp_call_wait_seconds_bucket{task=\"square\",le=\"5\"} 5");
    says("mp_call_wait_seconds_bucket{task=\"square\",le=\"+Inf\"} 5");
    says("mp_call_wait_seconds_sum{task=\"square\"} 6");
    says("mp_calls_retried_total{task=\"square\"} 1");
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(run_times_are_of_calls_that_ran_to_their_end)
{
    ended("square", MP_OK, 4, 8 * MPX_MS); /* 2 ms each */
    ended("square", MP_EFAILED, 1, 20 * MPX_S);
    ended("square", MP_ECRASHED, 1, 0);
    ended("square", MP_ECANCELLED, 5, 0);
    const mpx_task_metrics_t *square = mpx_metrics_task_at(metrics, 0);
    ck_assert_uint_eq(mpx_histogram_count(&square->run), 5);
    ck_assert(mpx_task_metrics_mean_s(square) > 4.0 && mpx_task_metrics_mean_s(square) < 4.01);
    says("mp_call_run_seconds_bucket{task=\"square\",le=\"0.001\"} 0");
    says("mp_call_run_seconds_bucket{task=\"square\",le=\"0.005\"} 4");
    says("mp_call_run_seconds_bucket{task=\"square\",le=\"60\"} 5");
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(a_bound_is_in_its_own_bucket)
{
    mpx_histogram_t histogram = {.sum_s = 0};
    mpx_histogram_add(&histogram, 0, 1);
    mpx_histogram_add(&histogram, 100000, 1);
    mpx_histogram_add(&histogram, 100001, 1);
    mpx_histogram_add(&histogram, INT64_MAX, 1);
    ck_assert_uint_eq(histogram.counts[0], 2);
    ck_assert_uint_eq(histogram.counts[1], 1);
    ck_assert_uint_eq(histogram.counts[MPX_BOUNDS], 1);
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(strangers_can_make_no_tasks_without_end)
{
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "task%d", i);
        ended(name, MP_ENOTASK, 1, 0);
    }
    size_t count = 0;
    uint64_t calls = 0;
    for (const mpx_task_metrics_t *task; (task = mpx_metrics_task_at(metrics, count)); count++)
        calls += mpx_task_metrics_ended(task);
    ck_assert_uint_eq(count, 257);
    ck_assert_uint_eq(calls, 1000); /* none is forgotten */
    ck_assert_str_eq(mpx_metrics_task_at(metrics, 256)->name, "(other)");
    says("mp_calls_refused_total{task=\"(other)\"} 744");
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(a_name_cannot_break_out_of_its_quotes)
{
    ended("a\"} 1\nmp_evil 2\\", MP_OK, 1, 0);
    says("mp_calls_done_total{task=\"a\\\"} 1\\nmp_evil 2\\\\\"} 1");
    ck_assert_ptr_null(strstr(exposed(), "\nmp_evil"));
    mpx_metrics_free(&metrics);
}
END_TEST

START_TEST(commits_and_peers_are_counted)
{
    mpx_metrics_committed(metrics, MP_OK, 2 * MPX_MS);
    mpx_metrics_committed(metrics, MP_ENOSPACE, 2 * MPX_MS);
    mpx_metrics_dismissed(metrics, MP_EPROTO);
    mpx_metrics_dismissed(metrics, MP_EPROTO);
    mpx_metrics_dismissed(metrics, (mp_rc_t)-1000);
    mpx_metrics_lost(metrics, "worker");
    mpx_metrics_lost(metrics, "");
    says("mp_commit_seconds_count 2");
    says("mp_commits_failed_total 1");
    says("mp_peers_dismissed_total{code=\"MP_EPROTO\"} 2");
    says("mp_peers_dismissed_total{code=\"other\"} 1");
    says("mp_peers_lost_total{role=\"worker\"} 1");
    says("mp_peers_lost_total{role=\"client\"} 0");
    mpx_metrics_free(&metrics);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {each_fate_is_counted_by_task,
                                  waits_and_retries_are_told_when_calls_are_given,
                                  run_times_are_of_calls_that_ran_to_their_end,
                                  a_bound_is_in_its_own_bucket,
                                  strangers_can_make_no_tasks_without_end,
                                  a_name_cannot_break_out_of_its_quotes,
                                  commits_and_peers_are_counted,
                                  NULL};
    return suite_run_with(setup, "metrics", tests, 60);
}
