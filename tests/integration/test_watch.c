/* What a broker says of itself, and why calls don't run: mp_broker_stat and mp_broker_why. */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include "clock.h"
#include "session.h"

#include <mp/mp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000, NAP_MS = 60000 };

MP_TASK(nap_ms, int, int)
{
    usleep((useconds_t)*in * 1000);
    *out = 1;
    return MP_OK;
}

MP_TASK(refuse, int, int)
{
    *out = *in;
    return *in > 0 ? MP_OK : -1;
}

static const char *url;

/* ---- asking ----------------------------------------------------------------------------- */

static mp_tree_t *stat_now(void)
{
    mp_tree_t *stat = NULL;
    OK(mp_broker_stat(url, LONG_MS, &stat));
    return stat;
}

static int64_t number(const mp_tree_t *dict, const char *key)
{
    return mp_tree_int_or(mp_tree_get(dict, key), -1);
}

static const char *text(const mp_tree_t *dict, const char *key)
{
    return mp_tree_str_or(mp_tree_get(dict, key), "?");
}

/* The dict of a list whose key has that text. */
static const mp_tree_t *the(const mp_tree_t *list, const char *key, const char *wanted)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(list); i++)
        if (strcmp(text(mp_tree_at(list, i), key), wanted) == 0)
            return mp_tree_at(list, i);
    return NULL;
}

static mp_tree_t *why_now(const char *what)
{
    mp_tree_t *calls = NULL;
    OK(mp_broker_why(url, what, LONG_MS, &calls));
    return calls;
}

/* Whether the one job of that label has a reason of that kind, with these words in it. */
static bool has_reason(const char *label, const char *kind, const char *words)
{
    mp_tree_t *calls = NULL;
    const mp_tree_t *reason = NULL;
    if (mp_broker_why(url, label, LONG_MS, &calls) == MP_OK)
        reason = the(mp_tree_get(mp_tree_at(calls, 0), "reasons"), "kind", kind);
    bool has = reason && strstr(text(reason, "text"), words);
    mp_tree_destroy(&calls);
    return has;
}

typedef struct wanted {
    const char *label;
    const char *kind;
    const char *words;
} wanted_t;

static bool is_so(void *arg)
{
    const wanted_t *wanted = arg;
    return has_reason(wanted->label, wanted->kind, wanted->words);
}

/* Workers say that a call has begun when they have a reason to wake up. */
static bool a_worker_has_it(void *label)
{
    return has_reason(label, "running", "worker") || has_reason(label, "given", "worker");
}

static bool is_not_delayed(void *label)
{
    return !has_reason(label, "delayed", "");
}

static void wait_for_reason(const char *label, const char *kind, const char *words)
{
    wanted_t wanted = {label, kind, words};
    ck_assert_msg(harness_wait(is_so, &wanted), "%s never has the reason %s (%s)", label, kind,
                  words);
}

/* ---- a call that naps --------------------------------------------------------------------- */

static const int how_long = NAP_MS;
static int slept[16]; /* one each; nobody reads it */
static size_t naps;

typedef struct napper {
    mp_pool_t *pool;
    mp_result_t *result;
} napper_t;

static napper_t nap(const mp_task_t *task, const char *label, int priority)
{
    napper_t self = {.pool = NULL};
    mp_async_options_t options = {.calls = {.label = label, .priority = priority}};
    OK(mp_pool_new(&(mp_pool_options_t){.broker = url}, &self.pool));
    OK(mp_pool_map_async(self.pool, task, &how_long, 1, &slept[naps++ % 16], &options,
                         &self.result));
    return self;
}

static void wake(napper_t *self)
{
    mp_result_destroy(&self->result);
    mp_pool_terminate(self->pool);
    mp_pool_destroy(&self->pool);
}

/* ---- tests -------------------------------------------------------------------------------- */

START_TEST(who_runs_and_who_waits_for_whom)
{
    char name[64], words[96];
    url = harness_broker(1);
    napper_t alpha = nap(&nap_ms, "alpha", 0);
    ck_assert(harness_wait(a_worker_has_it, (void *)(uintptr_t) "alpha"));
    napper_t beta = nap(&nap_ms, "beta", 0);
    wait_for_reason("beta", "busy", "nap_ms");
    napper_t gamma = nap(&nap_ms, "gamma", 5);
    wait_for_reason("gamma", "busy", "nap_ms");

    mp_tree_t *stat = stat_now();
    const mp_tree_t *broker = mp_tree_get(stat, "broker");
    const mp_tree_t *worker = mp_tree_at(mp_tree_get(stat, "workers"), 0);
    const mp_tree_t *task = the(mp_tree_get(stat, "tasks"), "name", "nap_ms");
    const mp_tree_t *job = the(mp_tree_get(stat, "jobs"), "label", "gamma");
    ck_assert_int_eq(number(broker, "queued"), 2);
    ck_assert_int_eq(number(broker, "given"), 1);
    ck_assert_int_eq(number(broker, "jobs"), 3);
    ck_assert_int_eq(number(broker, "calls_bytes"), 3 * sizeof(int));
    ck_assert_int_gt(number(broker, "oldest_ms"), 0);
    ck_assert_int_gt(number(broker, "memory_bytes"), 1 << 16);
    ck_assert(!mp_tree_bool_or(mp_tree_get(broker, "data"), true));
    ck_assert_uint_eq(mp_tree_len(mp_tree_get(stat, "workers")), 1);
    ck_assert_str_eq(text(worker, "state"), "serving");
    ck_assert_int_eq(number(worker, "slots"), 1);
    ck_assert_int_eq(number(worker, "busy"), 1);
    ck_assert_int_gt(number(worker, "memory_bytes"), 1 << 16);
    ck_assert_int_eq(number(worker, "pid"), harness_worker_pid());
    ck_assert_uint_eq(mp_tree_len(mp_tree_get(worker, "tasks")), 2);
    ck_assert_int_eq(number(task, "queued"), 2);
    ck_assert_int_eq(number(task, "given"), 1);
    ck_assert_int_eq(number(job, "priority"), 5);
    ck_assert_int_eq(number(job, "queued"), 1);
    ck_assert_uint_eq(mp_tree_len(mp_tree_get(stat, "clients")), 4); /* one asks */

    snprintf(words, sizeof words, "job %d/%d has a higher priority", (int)number(job, "client"),
             (int)number(job, "id"));
    ck_assert(has_reason("beta", "priority", words));
    ck_assert(!has_reason("gamma", "priority", ""));
    snprintf(name, sizeof name, "%d/%d/0", (int)number(job, "client"), (int)number(job, "id"));
    ck_assert(has_reason(name, "busy", "nap_ms"));
    snprintf(name, sizeof name, "%d/%d/7", (int)number(job, "client"), (int)number(job, "id"));
    ck_assert(has_reason(name, "over", "not submitted"));
    mp_tree_destroy(&stat);

    mp_tree_t *calls = why_now(NULL);
    ck_assert_uint_eq(mp_tree_len(calls), 2); /* alpha doesn't wait */
    mp_tree_destroy(&calls);
    IS(mp_broker_why(url, "nobody", LONG_MS, &calls), MP_ENOTFOUND);
    IS(mp_broker_why(url, "99/1", LONG_MS, &calls), MP_ENOTFOUND);

    kill(harness_worker_pid(), SIGTERM);
    wait_for_reason("beta", "draining", "nap_ms");
    kill(harness_worker_pid(), SIGKILL);
    wait_for_reason("beta", "no_worker", "no worker is connected");
    ck_assert(has_reason("beta", "no_worker", "the call fails in"));
    wake(&gamma);
    wake(&beta);
    wake(&alpha);
    harness_end();
}
END_TEST

/* ---- calls that wait for their time: they are still with their client ------------------------ */

static napper_t begin(const mp_task_t *task, const int *in, const mp_call_options_t *calls)
{
    napper_t self = {.pool = NULL};
    mp_async_options_t options = {.calls = *calls};
    OK(mp_pool_new(&(mp_pool_options_t){.broker = url}, &self.pool));
    OK(mp_pool_map_async(self.pool, task, in, 1, &slept[naps++ % 16], &options, &self.result));
    return self;
}

START_TEST(retries_and_delays_that_wait_are_known)
{
    static const int bad = -1, good = 1;
    char name[64];
    url = harness_broker(1);
    napper_t retry =
        begin(&refuse, &bad,
              &(mp_call_options_t){.label = "retry", .retries = 2, .retry_delay_ms = 20 * LONG_MS});
    wait_for_reason("retry", "delayed", "s, after MP_EFAILED: attempt 2 of 3");
    napper_t late =
        begin(&nap_ms, &good, &(mp_call_options_t){.label = "late", .delay_ms = 20 * LONG_MS});
    wait_for_reason("late", "delayed", "its delay is over in");
    mp_tree_t *calls = why_now(NULL);
    ck_assert_uint_eq(mp_tree_len(calls), 2);
    ck_assert_str_eq(text(mp_tree_at(calls, 0), "state"), "delayed");
    mp_tree_destroy(&calls);

    mp_tree_t *stat = stat_now();
    const mp_tree_t *job = the(mp_tree_get(stat, "jobs"), "label", "late");
    const mp_tree_t *task = the(mp_tree_get(stat, "tasks"), "name", "nap_ms");
    ck_assert_int_eq(number(job, "delayed"), 1);
    ck_assert_int_eq(number(job, "queued"), 0);
    ck_assert_int_eq(number(task, "delayed"), 1);
    ck_assert_int_eq(number(mp_tree_get(stat, "broker"), "delayed"), 2);
    ck_assert_int_eq(number(mp_tree_get(stat, "broker"), "oldest_ms"), 0);
    snprintf(name, sizeof name, "%d/%d/5", (int)number(job, "client"), (int)number(job, "id"));
    ck_assert(has_reason(name, "delayed", "it may be one of 1 that wait for their time; the next"));
    mp_tree_destroy(&stat);
    wake(&late);
    wake(&retry);
    harness_end();
}
END_TEST

START_TEST(a_delayed_call_that_has_begun_is_none_any_more)
{
    url = harness_broker(1);
    napper_t late =
        begin(&nap_ms, &how_long, &(mp_call_options_t){.label = "late", .delay_ms = 1000});
    wait_for_reason("late", "delayed", "its delay is over in");
    ck_assert(harness_wait(a_worker_has_it, (void *)(uintptr_t) "late"));
    ck_assert(harness_wait(is_not_delayed, (void *)(uintptr_t) "late"));
    wake(&late);
    harness_end();
}
END_TEST

/* Such calls fail after two seconds: on a busy machine more than one may be needed. */
static bool is_told(const mp_task_t *task, const char *label, const char *words)
{
    bool told = false;
    for (int tries = 0; tries < 10 && !told; tries++) {
        napper_t napper = nap(task, label, 0);
        while (!told && !mp_result_ready(napper.result))
            told = has_reason(label, "no_task", words);
        wake(&napper);
    }
    return told;
}

START_TEST(nobody_has_the_task)
{
    const mp_task_t misspelt = {.name = "nap_m", .in = MP_RECORD_OF(int), .out = MP_RECORD_OF(int)};
    const mp_task_t other = {.name = "nap_ms", .in = MP_RECORD_OF(int), .out = MP_RECORD_OF(char)};
    url = harness_broker(1);
    ck_assert(is_told(&misspelt, "misspelt", "did you mean 'nap_ms'?"));
    ck_assert(is_told(&other, "other", "build both from one source"));
    harness_end();
}
END_TEST

/* ---- many workers ---------------------------------------------------------------------------- */

enum { WORKERS = 60, TASKS = 100, NAME_BYTES = 200 };

static mpx_session_t *sessions[WORKERS];

/* So many bytes of names that they don't fit one message by far. */
static void join_all(void)
{
    static char names[TASKS][NAME_BYTES];
    static mpx_offer_t tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        snprintf(names[i], sizeof names[i], "task_%0*d", NAME_BYTES - 10, i);
        tasks[i] = (mpx_offer_t){names[i], "bytes -> bytes little"};
    }
    mpx_hello_t hello = {
        .role = MPX_ROLE_WORKER, .name = "crowd", .slots = 1, .tasks = tasks, .tasks_count = TASKS};
    mpx_session_options_t options = {.endpoint = url, .hello = &hello, .give_up_ms = -1};
    for (int i = 0; i < WORKERS; i++)
        OK(mpx_session_new(&options, mpx_now(), &sessions[i]));
}

static bool all_are_in(void *arg)
{
    size_t *up = arg;
    mpx_session_event_t event;
    for (int i = 0; i < WORKERS; i++)
        while (mpx_session_next(sessions[i], mpx_now(), &event) == MP_OK)
            *up += event.kind == MPX_SESSION_UP;
    return *up == WORKERS;
}

START_TEST(many_workers_with_many_tasks)
{
    size_t up = 0;
    url = harness_broker(1);
    join_all();
    ck_assert(harness_wait(all_are_in, &up));
    mp_tree_t *stat = stat_now(); /* these never answer the question for their memory */
    const mp_tree_t *workers = mp_tree_get(stat, "workers");
    ck_assert_uint_eq(mp_tree_len(workers), WORKERS + 1);
    ck_assert_int_eq(number(mp_tree_get(stat, "broker"), "executors"), WORKERS + 1);
    const mp_tree_t *one = the(workers, "name", "crowd");
    ck_assert_uint_eq(mp_tree_len(mp_tree_get(one, "tasks")), TASKS);
    ck_assert_ptr_null(mp_tree_get(one, "memory_bytes"));
    mp_tree_destroy(&stat);
    for (int i = 0; i < WORKERS; i++)
        mpx_session_destroy(&sessions[i]);
    harness_end();
}
END_TEST

START_TEST(nobody_answers)
{
    mp_tree_t *stat = NULL;
    IS(mp_broker_stat("tcp://127.0.0.1:9", 100, &stat), MP_ECONNECT);
    IS(mp_broker_stat("nonsense", 100, &stat), MP_EINVAL);
    IS(mp_broker_stat(NULL, 100, &stat), MP_EINVAL);
    IS(mp_broker_stat("tcp://127.0.0.1:9", 100, NULL), MP_EINVAL);
    ck_assert_ptr_null(stat);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    harness_where = "tcp";
    const TTest *const tests[] = {who_runs_and_who_waits_for_whom,
                                  retries_and_delays_that_wait_are_known,
                                  a_delayed_call_that_has_begun_is_none_any_more,
                                  nobody_has_the_task,
                                  many_workers_with_many_tasks,
                                  nobody_answers,
                                  NULL};
    return suite_run("watch", tests, 100);
}
