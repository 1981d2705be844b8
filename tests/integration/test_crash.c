/* test_crash: whatever a call does to its process, its caller is told how it ended, others don't
 * notice, and nothing is left behind. Usage: test_crash local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <mp/mp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 20000, PROCESSES = 2 };

/* ---- what calls do -----------------------------------------------------------------------------
 */

static void do_exit(void)
{
    exit(3);
}

static void do_quick_exit(void)
{
    _exit(0); /* as if all were well */
}

static void do_abort(void)
{
    fprintf(stderr, "about to abort\n");
    abort();
}

static void do_segv(void)
{
    raise(SIGSEGV);
}

static int recurse(volatile char *above)
{
    volatile char here[512];
    here[0] = above ? above[0] : 1;
    return here[0] ? recurse(here) + here[0] : 0;
}

static void do_overflow(void)
{
    (void)recurse(NULL);
}

/* What the kernel does to who takes too much memory. */
static void do_be_killed(void)
{
    raise(SIGKILL);
}

static void do_be_terminated(void)
{
    raise(SIGTERM);
}

static void do_fork(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            pause();
            _exit(0);
        }
}

static void do_fork_and_crash(void)
{
    do_fork();
    abort();
}

/* The child returns into the executor as well. */
static void do_return_twice(void)
{
    (void)!fork();
}

static void do_close_all(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

static void do_close_standard(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
}

static void do_talk(void)
{
    for (int i = 0; i < 4096; i++) {
        printf("%0255d\n", i);
        fprintf(stderr, "%0255d\n", i);
    }
}

static void do_change_directory(void)
{
    (void)!chdir("/");
    setenv("HOME", "/nowhere", 1);
    signal(SIGCHLD, SIG_IGN);
}

static void do_start_a_thread(void)
{
    pthread_t thread;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    if (pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))pause, NULL) == 0)
        pthread_detach(thread);
}

/* How it must end: ok, by a signal, or by an exit status. */
static const struct way {
    const char *name;
    void (*run)(void);
    mp_rc_t rc;
    int signal;
    int exit_status;
    bool any; /* it may as well be ok, or a crash of any kind */
} ways[] = {
    {.name = "exit", .run = do_exit, .rc = MP_ECRASHED, .exit_status = 3},
    {.name = "quick exit", .run = do_quick_exit, .rc = MP_ECRASHED},
    {.name = "abort", .run = do_abort, .rc = MP_ECRASHED, .signal = SIGABRT},
    {.name = "segv", .run = do_segv, .rc = MP_ECRASHED, .signal = SIGSEGV},
    {.name = "overflow", .run = do_overflow, .rc = MP_ECRASHED, .signal = SIGSEGV},
    {.name = "be killed", .run = do_be_killed, .rc = MP_ECRASHED, .signal = SIGKILL},
    {.name = "be terminated", .run = do_be_terminated, .rc = MP_ECRASHED, .signal = SIGTERM},
    {.name = "fork", .run = do_fork},
    {.name = "fork and crash", .run = do_fork_and_crash, .rc = MP_ECRASHED, .signal = SIGABRT},
    {.name = "return twice", .run = do_return_twice},
    {.name = "close all", .run = do_close_all, .rc = MP_ECRASHED, .any = true},
    {.name = "close standard", .run = do_close_standard},
    {.name = "talk", .run = do_talk},
    {.name = "change directory", .run = do_change_directory},
    {.name = "start a thread", .run = do_start_a_thread},
};
enum { WAYS = sizeof ways / sizeof *ways };

MP_TASK(misbehave, int, int)
{
    ways[*in].run();
    *out = *in;
    return MP_OK;
}

MP_TASK(twice, int, int)
{
    *out = 2 * *in;
    return MP_OK;
}

typedef struct where {
    int pid;
    int group;
} where_t;

MP_TASK(own_pid, int, where_t)
{
    out->pid = (int)getpid();
    out->group = (int)getpgrp();
    usleep(2000); /* the other one gets a call as well */
    return MP_OK;
}

MP_TASK(sleep_long, int, int)
{
    mp_call_progress(call, 0, 0, "begun");
    usleep((useconds_t)*in * 1000);
    return MP_OK;
}

/* ---- helpers ----------------------------------------------------------------------------------
 */

static mp_pool_t *new_pool(void)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(PROCESSES);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    mp_pool_options_t options = {
        .processes = PROCESSES, .broker = broker ? broker : "local", .worker_stdout = null};
    if (!getenv("MP_TEST_VERBOSE"))
        dup2(null, STDERR_FILENO);
    OK(mp_pool_new(&options, &pool));
    close(null);
    return pool;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

static void check_that_it_works(mp_pool_t *pool)
{
    enum { N = 50 };
    int in[N], out[N];
    for (int i = 0; i < N; i++)
        in[i] = i;
    OK(mp_pool_map(pool, &twice, in, N, out, LONG_MS));
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(out[i], 2 * i);
}

static void pids_of(mp_pool_t *pool, where_t pids[PROCESSES])
{
    enum { CALLS = 40 };
    int in[CALLS] = {0};
    where_t out[CALLS];
    size_t found = 0;
    while (found < PROCESSES) {
        found = 0;
        OK(mp_pool_map(pool, &own_pid, in, CALLS, out, LONG_MS));
        for (size_t i = 0; i < CALLS && found < PROCESSES; i++) {
            size_t k = 0;
            while (k < found && pids[k].pid != out[i].pid)
                k++;
            if (k == found)
                pids[found++] = out[i];
        }
    }
}

static bool is_gone(void *arg)
{
    const where_t *where = arg;
    return kill(-where->group, 0) != 0 && errno == ESRCH;
}

/* ---- tests --------------------------------------------------------------------------------------
 */

START_TEST(a_call_ends_as_it_went)
{
    const struct way *way = &ways[_i];
    mp_pool_t *pool = new_pool();
    mp_result_t *good = NULL, *bad = NULL;
    mp_outcome_t outcome;
    int ms = 50, out = 0;
    where_t workers[PROCESSES];
    pids_of(pool, workers);
    OK(mp_pool_apply_async(pool, &sleep_long, &ms, NULL, &good));
    OK(mp_pool_apply_async(pool, &misbehave, &_i, NULL, &bad));
    OK(mp_result_outcome(bad, &outcome, LONG_MS));
    bool fine = outcome.rc == MP_OK && (way->rc == MP_OK || way->any);
    ck_assert_msg(fine || outcome.rc == way->rc, "%s: %s: %s", way->name, mp_errname(outcome.rc),
                  outcome.message);
    if (outcome.rc == MP_ECRASHED && !way->any) {
        ck_assert_msg(outcome.signal == way->signal, "%s: signal %d", way->name, outcome.signal);
        ck_assert_msg(outcome.exit_status == way->exit_status, "%s: status %d", way->name,
                      outcome.exit_status);
        ck_assert_int_gt(outcome.pid, 0);
        ck_assert_int_gt(strlen(outcome.host), 0);
    }
    OK(mp_result_get(good, &out, LONG_MS)); /* its neighbour's call */
    check_that_it_works(pool);
    mp_result_destroy(&good);
    mp_result_destroy(&bad);
    where_t after[PROCESSES];
    pids_of(pool, after);
    end(&pool);
    for (int i = 0; i < PROCESSES; i++) {
        ck_assert(harness_wait(is_gone, &workers[i]));
        ck_assert(harness_wait(is_gone, &after[i]));
    }
}
END_TEST

START_TEST(a_crash_tells_where_and_what_was_said)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *result = NULL;
    mp_outcome_t outcome;
    int in = 2;
    ck_assert_ptr_eq(ways[in].run, do_abort);
    OK(mp_pool_apply_async(pool, &misbehave, &in, NULL, &result));
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    ck_assert_str_eq(outcome.error_output, "about to abort\n");
    ck_assert_msg(strstr(outcome.backtrace, "abort+0x"), "%s", outcome.backtrace);
    ck_assert_msg(strstr(outcome.backtrace, "in /"), "%s", outcome.backtrace);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

MP_TASK(grumble, int, int)
{
    for (int i = 0; i < *in; i++)
        fprintf(stderr, "call %llu, line %d\n", (unsigned long long)mp_call_index(call), i);
    return *in ? mp_call_fail(call, 5, "no good") : MP_OK;
}

START_TEST(a_failure_has_the_end_of_what_it_said)
{
    static const int lines[] = {0, 3, 1000};
    mp_pool_t *pool = new_pool();
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    OK(mp_job_new(pool, &grumble, NULL, &job));
    for (int i = 0; i < 3; i++)
        OK(mp_job_put(job, (mp_bytes_t){&lines[i], sizeof lines[i]}, LONG_MS));
    mp_job_close(job);
    OK(mp_job_next(job, &outcome, LONG_MS));
    ck_assert_str_eq(outcome.error_output, "");
    OK(mp_job_next(job, &outcome, LONG_MS));
    ck_assert_str_eq(outcome.error_output, "call 1, line 0\ncall 1, line 1\ncall 1, line 2\n");
    ck_assert_str_eq(outcome.backtrace, "");
    OK(mp_job_next(job, &outcome, LONG_MS));
    size_t size = strlen(outcome.error_output);
    ck_assert_uint_ge(size, 4000);
    ck_assert_str_eq(outcome.error_output + size - 17, "call 2, line 999\n");
    mp_job_destroy(&job);
    end(&pool);
}
END_TEST

START_TEST(all_workers_are_killed_at_once)
{
    mp_pool_t *pool = new_pool();
    where_t workers[PROCESSES];
    mp_result_t *results[PROCESSES];
    mp_outcome_t outcome;
    int ms = LONG_MS;
    pids_of(pool, workers);
    mp_call_options_t watched = {.call_timeout_ms = 10 * LONG_MS};
    for (int i = 0; i < PROCESSES; i++)
        OK(mp_pool_apply_async(pool, &sleep_long, &ms, &(mp_async_options_t){.calls = watched},
                               &results[i]));
    mp_report_t report;
    for (int i = 0; i < PROCESSES; i++)
        while (mp_result_reported(results[i], &report) != MP_OK) /* both have begun */
            usleep(1000);
    for (int i = 0; i < PROCESSES; i++)
        kill(workers[i].pid, SIGKILL);
    for (int i = 0; i < PROCESSES; i++) {
        OK(mp_result_outcome(results[i], &outcome, LONG_MS));
        ck_assert(outcome.rc == MP_ECRASHED && outcome.signal == SIGKILL);
    }
    check_that_it_works(pool);
    for (int i = 0; i < PROCESSES; i++)
        mp_result_destroy(&results[i]);
    end(&pool);
}
END_TEST

/* ---- local ones ---------------------------------------------------------------------------------
 */

/* In a child whose stderr is a pipe that nobody reads. */
static int talk_to_nobody(void)
{
    int ends[2];
    mp_pool_t *pool = NULL;
    mp_result_t *talker = NULL;
    int in = 0, out = 0;
    while (ways[in].run != do_talk)
        in++;
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return 1;
    int null = open("/dev/null", O_WRONLY);
    mp_pool_options_t options = {.processes = 2, .broker = "local", .worker_stdout = null};
    if (mp_pool_new(&options, &pool) != MP_OK ||
        mp_pool_apply_async(pool, &misbehave, &in, NULL, &talker) != MP_OK)
        return 2;
    struct pollfd full = {.fd = ends[1], .events = POLLOUT};
    while (poll(&full, 1, 0) == 1)
        usleep(1000);
    for (int i = 0; i < 100; i++) /* the other worker has no such trouble */
        if (mp_pool_apply(pool, &twice, &i, &out, LONG_MS) != MP_OK || out != 2 * i)
            return 3;
    if (mp_result_ready(talker)) /* it waits, as it would if it wrote there itself */
        return 4;
    static char heard[1 << 16];
    while (!mp_result_ready(talker)) /* until somebody listens */
        if (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 1) == 1)
            (void)!read(ends[0], heard, sizeof heard);
    if (mp_result_get(talker, &out, 0) != MP_OK)
        return 5;
    mp_result_destroy(&talker);
    mp_pool_destroy(&pool);
    return 0;
}

START_TEST(who_talks_to_nobody_waits_alone)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(talk_to_nobody());
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* A program that waits for a map, as from a shell: it leads a group and takes no signal. */
static void run_program(int out)
{
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL);
    mp_pool_t *pool = NULL;
    where_t workers[PROCESSES];
    int in[PROCESSES] = {LONG_MS, LONG_MS}, results[PROCESSES];
    if (mp_pool_new(&(mp_pool_options_t){.processes = PROCESSES, .broker = "local"}, &pool))
        _exit(1);
    pids_of(pool, workers);
    (void)!write(out, workers, sizeof workers);
    (void)!mp_pool_map(pool, &sleep_long, in, PROCESSES, results, -1);
    _exit(2);
}

/* Ctrl-C, and the worst that can happen to a program. */
START_TEST(workers_end_with_their_program)
{
    static const int signals[] = {SIGINT, SIGKILL};
    where_t workers[PROCESSES];
    int ends[2], status = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        run_program(ends[1]);
    ck_assert_int_eq(read(ends[0], workers, sizeof workers), sizeof workers);
    kill(-pid, signals[_i]);
    waitpid(pid, &status, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == signals[_i]); /* as a shell expects */
    for (int i = 0; i < PROCESSES; i++)
        ck_assert(harness_wait(is_gone, &workers[i]));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static atomic_int called;

static void leave_thread(void *arg, mp_result_t *result)
{
    (void)arg;
    (void)result;
    called++;
    pthread_exit(NULL);
}

START_TEST(a_callback_that_ends_its_thread_hurts_nobody)
{
    mp_pool_t *pool = new_pool();
    mp_async_options_t options = {.callback = leave_thread};
    for (int i = 0; i < 5; i++)
        OK(mp_pool_apply_async(pool, &twice, &i, &options, NULL));
    mp_pool_close(pool);
    OK(mp_pool_join(pool, LONG_MS));
    ck_assert_int_eq(called, 5);
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
    tcase_add_loop_test(all, a_call_ends_as_it_went, 0, WAYS);
    tcase_add_test(all, a_crash_tells_where_and_what_was_said);
    tcase_add_test(all, a_failure_has_the_end_of_what_it_said);
    tcase_add_test(all, all_workers_are_killed_at_once);
    tcase_add_test(all, a_callback_that_ends_its_thread_hurts_nobody);
    if (strcmp(harness_where, "local") == 0) {
        tcase_add_test(all, who_talks_to_nobody_waits_alone);
        tcase_add_loop_test(all, workers_end_with_their_program, 0, 2);
    }
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
