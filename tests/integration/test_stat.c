/* test_stat: what workers are at, wherever they are. Usage: test_stat local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <mp/mp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000, PROCESSES = 3, ROOM = 8 };

MP_TASK(nap_ms, int, int)
{
    usleep((useconds_t)*in * 1000);
    *out = (int)getpid();
    return *in == 0;
}

typedef enum manner { CRASH = 1, TARRY } manner_t;

MP_TASK(end_badly, int, int)
{
    if (*in == CRASH)
        abort();
    while (*in == TARRY)
        pause();
    *out = *in;
    return MP_OK;
}

static mp_pool_t *new_pool(void)
{
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {.processes = PROCESSES, .broker = harness_broker(PROCESSES)};
    if (!options.broker)
        options.broker = "local";
    OK(mp_pool_new(&options, &pool));
    return pool;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

static bool is_local(void)
{
    return strcmp(harness_where, "local") == 0;
}

static size_t workers_of(mp_pool_t *pool, mp_worker_stat_t *out)
{
    size_t count = 0;
    OK(mp_pool_worker_stats(pool, out, ROOM, &count, LONG_MS));
    return count;
}

START_TEST(each_worker_tells_what_it_has_done)
{
    enum { N = 60, MS = 2 };
    int in[N], out[N];
    char host[256] = "";
    mp_pool_t *pool = new_pool();
    mp_worker_stat_t workers[ROOM];
    unsigned long long calls = 0;
    double working = 0;
    for (int i = 0; i < N; i++)
        in[i] = MS;
    OK(mp_pool_map(pool, &nap_ms, in, N, out, LONG_MS));
    gethostname(host, sizeof host - 1);
    ck_assert_uint_eq(workers_of(pool, workers), PROCESSES);
    for (int i = 0; i < PROCESSES; i++) {
        const mp_worker_stat_t *worker = &workers[i];
        ck_assert(harness_alive(worker->pid));
        ck_assert_str_eq(worker->host, host);
        ck_assert((*worker->group == '\0') == is_local());
        ck_assert(worker->start > 0 && worker->start < 20 && worker->waiting >= 0);
        ck_assert(worker->given == 0 && worker->memory_bytes > 1 << 16);
        ck_assert(worker->id != workers[(i + 1) % PROCESSES].id);
        calls += worker->calls;
        working += worker->working;
    }
    ck_assert_uint_eq(calls, N);
    ck_assert(working >= N * MS * 0.001 && working < N * MS);
    end(&pool);
}
END_TEST

START_TEST(tasks_are_counted)
{
    int in[5] = {1, 0, 1, 0, 1}, out[5];
    mp_task_stat_t tasks[2];
    size_t count = 0;
    mp_pool_t *pool = new_pool();
    IS(mp_pool_map(pool, &nap_ms, in, 5, out, LONG_MS), MP_EFAILED);
    OK(mp_pool_task_stats(pool, tasks, 2, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(tasks[0].name, "nap_ms");
    ck_assert(tasks[0].ok == 3 && tasks[0].failed == 2 && tasks[0].busy >= 0.003);
    end(&pool);
}
END_TEST

START_TEST(there_may_be_more_than_asked_for)
{
    mp_worker_stat_t workers[2] = {{.pid = 0}, {.pid = 77}};
    size_t count = 0;
    mp_pool_t *pool = new_pool();
    OK(mp_pool_worker_stats(pool, workers, 1, &count, LONG_MS));
    ck_assert(count == PROCESSES && workers[0].pid > 0 && workers[1].pid == 77);
    OK(mp_pool_worker_stats(pool, NULL, 0, &count, -1));
    ck_assert_uint_eq(count, PROCESSES);
    end(&pool);
}
END_TEST

/* Its successor is another one. */
START_TEST(a_killed_worker_is_not_told_any_more)
{
    mp_worker_stat_t before[ROOM], after[ROOM];
    mp_pool_t *pool = new_pool();
    ck_assert_uint_eq(workers_of(pool, before), PROCESSES);
    kill(before[0].pid, SIGKILL);
    size_t count = 0;
    do {
        usleep(1000);
        count = workers_of(pool, after);
        for (size_t i = 0; i < count; i++)
            count = after[i].id == before[0].id ? 0 : count;
    } while (count < PROCESSES);
    for (size_t i = 0; i < count; i++)
        ck_assert(after[i].pid != before[0].pid && harness_alive(after[i].pid));
    end(&pool);
}
END_TEST

/* ---- how workers come and go --------------------------------------------------------------------
 */

static bool all_are_up(void *pool)
{
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    unsigned long long ended = stat.retired + stat.stopped + stat.crashed + stat.memory + stat.lost;
    return stat.workers == PROCESSES && stat.started == ended + PROCESSES;
}

static void run_badly(mp_pool_t *pool, manner_t manner, int timeout_ms, mp_rc_t expected)
{
    int in = (int)manner, out;
    mp_call_options_t options = {.call_timeout_ms = timeout_ms};
    IS(mp_pool_map_with(pool, &end_badly, &in, 1, &out, NULL, &options, LONG_MS), expected);
}

/* With the outcome that a call has cost a worker that is counted. */
START_TEST(ends_are_counted_by_cause)
{
    mp_pool_stat_t stat;
    mp_pool_t *pool = new_pool();
    ck_assert(harness_wait(all_are_up, pool));
    OK(mp_pool_stat(pool, &stat));
    ck_assert_uint_eq(stat.started, PROCESSES);
    run_badly(pool, CRASH, 0, MP_ECRASHED);
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.crashed == 1 && stat.stopped == 0);
    run_badly(pool, TARRY, 50, MP_ETIMEDOUT);
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.crashed == 1 && stat.stopped == 1);
    ck_assert(stat.retired == 0 && stat.memory == 0 && stat.lost == 0);
    ck_assert(harness_wait(all_are_up, pool));
    OK(mp_pool_stat(pool, &stat));
    ck_assert_uint_eq(stat.started, PROCESSES + 2);
    end(&pool);
}
END_TEST

static void *ask_often(void *pool)
{
    enum { TIMES = 100 };
    mp_worker_stat_t workers[ROOM];
    for (int i = 0; i < TIMES; i++)
        ck_assert_uint_eq(workers_of(pool, workers), PROCESSES);
    return NULL;
}

START_TEST(several_threads_ask_while_calls_run)
{
    enum { ASKERS = 4, N = 300 };
    int in[N], out[N];
    pthread_t askers[ASKERS];
    mp_pool_t *pool = new_pool();
    mp_call_options_t options = {.chunksize = 1};
    for (int i = 0; i < N; i++)
        in[i] = 1;
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&askers[i], NULL, ask_often, pool);
    OK(mp_pool_map_with(pool, &nap_ms, in, N, out, NULL, &options, LONG_MS));
    for (int i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    end(&pool);
}
END_TEST

/* ---- over a broker ------------------------------------------------------------------------------
 */

/* What came before it is not its own. */
START_TEST(a_pool_counts_from_its_beginning)
{
    mp_pool_stat_t stat;
    mp_pool_t *first = new_pool(), *second = NULL;
    mp_pool_options_t options = {.broker = harness_endpoint()};
    run_badly(first, CRASH, 0, MP_ECRASHED);
    ck_assert(harness_wait(all_are_up, first));
    OK(mp_pool_new(&options, &second));
    OK(mp_pool_stat(second, &stat));
    ck_assert(stat.started == PROCESSES && stat.crashed == 0);
    run_badly(second, CRASH, 0, MP_ECRASHED);
    OK(mp_pool_stat(second, &stat));
    ck_assert_uint_eq(stat.crashed, 1);
    OK(mp_pool_stat(first, &stat));
    while (stat.crashed < 2)
        OK(mp_pool_stat(first, &stat));
    mp_pool_destroy(&second);
    end(&first);
}
END_TEST

static bool nobody_is_up(void *pool)
{
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    return stat.workers == 0 && stat.retired + stat.lost == PROCESSES;
}

START_TEST(those_of_a_lost_worker_are_lost)
{
    mp_pool_stat_t stat;
    mp_pool_t *pool = new_pool();
    kill(harness_worker_pid(), SIGKILL);
    ck_assert(harness_wait(nobody_is_up, pool));
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.lost == PROCESSES && stat.crashed == 0);
    end(&pool);
}
END_TEST

START_TEST(those_of_a_worker_that_was_sent_home_have_retired)
{
    mp_pool_stat_t stat;
    mp_pool_t *pool = new_pool();
    kill(harness_worker_pid(), SIGTERM);
    ck_assert(harness_wait(nobody_is_up, pool));
    OK(mp_pool_stat(pool, &stat));
    ck_assert(stat.retired == PROCESSES && stat.lost == 0);
    end(&pool);
}
END_TEST

START_TEST(who_does_not_answer_is_left_out)
{
    mp_worker_stat_t workers[ROOM];
    size_t count = 99;
    int out;
    mp_pool_t *pool = new_pool();
    kill(harness_worker_pid(), SIGSTOP);
    IS(mp_pool_worker_stats(pool, workers, ROOM, &count, 50), MP_ETIMEDOUT);
    ck_assert_uint_eq(count, 99);
    OK(mp_pool_worker_stats(pool, workers, ROOM, &count, LONG_MS));
    ck_assert_uint_eq(count, 0);
    kill(harness_worker_pid(), SIGCONT); /* its answers come too late, and harm nobody */
    OK(mp_pool_apply(pool, &nap_ms, &(int){1}, &out, LONG_MS));
    ck_assert_uint_eq(workers_of(pool, workers), PROCESSES);
    end(&pool);
}
END_TEST

static void *kill_soon(void *pid)
{
    usleep(50000);
    kill(*(pid_t *)pid, SIGKILL);
    return NULL;
}

static mp_rc_t ask_while_dying(mp_pool_t *pool, pid_t dying, size_t *count)
{
    pthread_t killer;
    mp_worker_stat_t workers[ROOM];
    pthread_create(&killer, NULL, kill_soon, &dying);
    mp_rc_t rc = mp_pool_worker_stats(pool, workers, ROOM, count, LONG_MS);
    pthread_join(killer, NULL);
    return rc;
}

START_TEST(nobody_waits_for_the_dead)
{
    size_t count = 99;
    mp_pool_t *pool = new_pool();
    kill(harness_worker_pid(), SIGSTOP);
    OK(ask_while_dying(pool, harness_worker_pid(), &count));
    ck_assert_uint_eq(count, 0);
    kill(harness_broker_pid(), SIGSTOP);
    IS(ask_while_dying(pool, harness_broker_pid(), &count), MP_EBROKERLOST);
    IS(mp_pool_worker_stats(pool, NULL, 0, &count, LONG_MS), MP_EBROKERLOST);
    mp_pool_destroy(&pool);
}
END_TEST

static void *terminate_soon(void *pool)
{
    usleep(50000);
    mp_pool_terminate(pool);
    return NULL;
}

START_TEST(a_pool_is_terminated_under_the_question)
{
    pthread_t other;
    size_t count;
    mp_pool_t *pool = new_pool();
    kill(harness_worker_pid(), SIGSTOP);
    pthread_create(&other, NULL, terminate_soon, pool);
    IS(mp_pool_worker_stats(pool, NULL, 0, &count, LONG_MS), MP_ECLOSED);
    pthread_join(other, NULL);
    kill(harness_worker_pid(), SIGCONT);
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
    tcase_add_test(all, each_worker_tells_what_it_has_done);
    tcase_add_test(all, tasks_are_counted);
    tcase_add_test(all, there_may_be_more_than_asked_for);
    tcase_add_test(all, a_killed_worker_is_not_told_any_more);
    tcase_add_test(all, ends_are_counted_by_cause);
    tcase_add_test(all, several_threads_ask_while_calls_run);
    if (!is_local()) {
        tcase_add_test(all, a_pool_counts_from_its_beginning);
        tcase_add_test(all, those_of_a_lost_worker_are_lost);
        tcase_add_test(all, those_of_a_worker_that_was_sent_home_have_retired);
        tcase_add_test(all, who_does_not_answer_is_left_out);
        tcase_add_test(all, nobody_waits_for_the_dead);
        tcase_add_test(all, a_pool_is_terminated_under_the_question);
    }
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
