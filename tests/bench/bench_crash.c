/* bench_crash: whatever becomes of calls and workers, what the caller sees and how soon: for a
 * local pool, or for a broker's whose workers this program is as well. Usage: bench_crash local |
 * ENDPOINT BROKER_PID */
#include "bench.h"

#include <pthread.h>
#include <signal.h>

enum { PROCESSES = 2, LONG_MS = 20000, QUEUED = 10000 };

/* ---- what calls do to their process ------------------------------------------------------------
 */

static void end_by_exit(void)
{
    exit(3);
}

static int recurse(volatile char *above)
{
    volatile char here[512];
    here[0] = above ? above[0] : 1;
    return here[0] ? recurse(here) + here[0] : 0;
}

static void overflow(void)
{
    (void)recurse(NULL);
}

/* What the kernel does for want of memory. */
static void be_killed(void)
{
    raise(SIGKILL);
}

static void block(void)
{
    for (;;)
        pause();
}

static void fork_children(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            block();
}

static void close_all(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

static void write_to_stdout(void)
{
    for (int i = 0; i < 4096; i++)
        printf("%0255d\n", i);
}

static const struct way {
    const char *name;
    void (*run)(void);
    mp_call_options_t calls;
} ways[] = {
    {"a task calls exit(3)", end_by_exit, {0}},
    {"a task aborts", abort, {0}},
    {"a task overflows its 8 MiB stack", overflow, {0}},
    {"a task is killed for memory", be_killed, {0}},
    {"a task blocks, limit 100 ms", block, {.call_timeout_ms = 100}},
    {"a task blocks, deadline 100 ms", block, {.deadline_ms = 100}},
    {"a task forks three children", fork_children, {0}},
    {"a task closes all descriptors", close_all, {.call_timeout_ms = 2000}},
    {"a task writes 1 MiB to stdout", write_to_stdout, {0}},
    {"poison: a call kills each worker", be_killed, {.retries = 100}},
};

MP_TASK(misbehave, int, int)
{
    ways[*in].run();
    return MP_OK;
}

/* Tells who runs it, and stays. */
MP_TASK(stay, int, int)
{
    mp_call_progress(call, (uint64_t)getpid(), 0, NULL);
    block();
    return MP_OK;
}

MP_TASK(own_pid, int, int)
{
    *out = (int)getpid();
    return MP_OK;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static void row(const char *name, const char *outcome, const char *message, double took)
{
    printf("%-34s %8.1f  %-14s %s\n", name, took * 1000, outcome, message);
    fflush(stdout);
}

static mp_result_t *begin(mp_pool_t *pool, const mp_task_t *task, int in,
                          const mp_call_options_t *calls)
{
    mp_result_t *result = NULL;
    mp_async_options_t options = {0};
    if (calls)
        options.calls = *calls;
    require(mp_pool_apply_async(pool, task, &in, &options, &result));
    return result;
}

static void end_row(const char *name, mp_result_t *result, double begin)
{
    mp_outcome_t outcome;
    require(mp_result_outcome(result, &outcome, LONG_MS));
    row(name, mp_errname(outcome.rc), outcome.message, seconds() - begin);
    mp_result_destroy(&result);
}

/* The pid of the worker that stays with a call. */
static int worker_of(mp_result_t *result)
{
    mp_report_t report;
    while (mp_result_reported(result, &report) != MP_OK)
        usleep(500);
    return (int)report.done;
}

static void kill_one(mp_pool_t *pool, int signal_number, const char *name)
{
    mp_result_t *result = begin(pool, &stay, 0, NULL);
    int pid = worker_of(result);
    double begun = seconds();
    kill(pid, signal_number);
    end_row(name, result, begun);
}

static void kill_an_idle_one(mp_pool_t *pool)
{
    int in = 0, pid = 0;
    require(mp_pool_apply(pool, &own_pid, &in, &pid, LONG_MS));
    kill(pid, SIGKILL);
    double begun = seconds();
    end_row("an idle worker killed; then a call", begin(pool, &own_pid, in, NULL), begun);
}

static void kill_all(mp_pool_t *pool)
{
    mp_result_t *results[PROCESSES];
    int pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        results[i] = begin(pool, &stay, i, &(mp_call_options_t){.call_timeout_ms = LONG_MS});
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = worker_of(results[i]);
    double begun = seconds();
    for (int i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < PROCESSES; i++)
        end_row("all workers killed", results[i], begun);
    begun = seconds();
    end_row("all workers killed; then a call", begin(pool, &own_pid, 0, NULL), begun);
}

static void leave_thread(void *arg, mp_result_t *result)
{
    (void)arg;
    (void)result;
    pthread_exit(NULL);
}

static void end_a_callbacks_thread(mp_pool_t *pool)
{
    int in = 0;
    mp_async_options_t options = {.callback = leave_thread};
    require(mp_pool_apply_async(pool, &own_pid, &in, &options, NULL));
    double begun = seconds();
    end_row("a callback ends its thread; a call", begin(pool, &own_pid, 0, NULL), begun);
}

static void cancel_one(mp_pool_t *pool)
{
    mp_result_t *result = begin(pool, &stay, 0, NULL);
    (void)worker_of(result);
    double begun = seconds();
    require(mp_result_cancel(result));
    end_row("a running call cancelled", result, begun);
}

static void terminate(mp_pool_t *pool)
{
    static mp_result_t *results[QUEUED];
    mp_outcome_t outcome;
    for (int i = 0; i < QUEUED; i++)
        results[i] = begin(pool, &stay, i, NULL);
    double begun = seconds();
    mp_pool_terminate(pool);
    int cancelled = 0;
    for (int i = 0; i < QUEUED; i++)
        cancelled += mp_result_outcome(results[i], &outcome, LONG_MS) == MP_OK &&
                     outcome.rc == MP_ECANCELLED;
    double took = seconds() - begun;
    if (cancelled != QUEUED)
        exit(1);
    row("terminate with 10 000 queued: each", mp_errname(outcome.rc), outcome.message, took);
    for (int i = 0; i < QUEUED; i++)
        mp_result_destroy(&results[i]);
}

/* ---- the program, the initializer, the daemons --------------------------------------------------
 */

static int refuse(void *arg)
{
    (void)arg;
    return 5;
}

static void fail_to_initialize(void)
{
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {.broker = "local", .processes = PROCESSES, .initializer = refuse};
    double begun = seconds();
    mp_rc_t rc = mp_pool_new(&options, &pool);
    row("an initializer fails", mp_errname(rc), mp_errmsg(), seconds() - begun);
}

/* A program with a busy worker, whose pid it writes. */
static void be_a_program(const char *broker, int out)
{
    mp_pool_t *pool = NULL;
    require(mp_pool_new(&(mp_pool_options_t){.broker = broker, .processes = 1}, &pool));
    mp_result_t *result = begin(pool, &stay, 0, NULL);
    int pid = worker_of(result);
    if (write(out, &pid, sizeof pid) == sizeof pid)
        block();
    _exit(1);
}

static void end_a_program(const char *broker, int signal_number, const char *name)
{
    int ends[2], worker = 0, status = 0;
    char told[80];
    if (pipe(ends) != 0)
        exit(1);
    pid_t program = fork();
    if (program == 0)
        be_a_program(broker, ends[1]);
    if (read(ends[0], &worker, sizeof worker) != sizeof worker)
        exit(1);
    double begun = seconds();
    kill(program, signal_number);
    while (kill(worker, 0) == 0)
        usleep(200);
    double took = seconds() - begun;
    waitpid(program, &status, 0);
    snprintf(told, sizeof told, "its worker is gone; it ended by signal %d itself",
             WTERMSIG(status));
    row(name, "", told, took);
    close(ends[0]);
    close(ends[1]);
}

/* Of workers whose mp-worker has the name that it is given by default. */
static void kill_the_daemons(const char *endpoint, int broker_pid)
{
    mp_pool_t *pool = NULL;
    mp_worker_stat_t worker;
    size_t count = 0;
    require(mp_pool_new(&(mp_pool_options_t){.broker = endpoint}, &pool));
    require(mp_pool_worker_stats(pool, &worker, 1, &count, -1));
    mp_result_t *result = begin(pool, &stay, 0, NULL);
    (void)worker_of(result);
    const char *pid = strrchr(worker.group, ':');
    double begun = seconds();
    kill(pid ? atoi(pid + 1) : 0, SIGKILL);
    end_row("an mp-worker killed", result, begun);
    result = begin(pool, &stay, 0, NULL);
    begun = seconds();
    kill(broker_pid, SIGKILL);
    end_row("the broker killed", result, begun);
    mp_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    if (argc < 2)
        return 64;
    const char *broker = argv[1];
    FILE *nowhere = fopen("/dev/null", "w");
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {
        .processes = PROCESSES, .broker = broker, .worker_stdout = nowhere ? fileno(nowhere) : 2};
    printf("\n%-34s %8s  %-14s %s\n", argc > 2 ? "over a broker" : "a local pool", "ms", "outcome",
           "message");
    require(mp_pool_new(&options, &pool));
    kill_one(pool, SIGKILL, "a busy worker killed");
    kill_one(pool, SIGTERM, "a busy worker gets a SIGTERM");
    kill_an_idle_one(pool);
    kill_all(pool);
    for (int i = 0; i < (int)(sizeof ways / sizeof *ways); i++) {
        double begun = seconds();
        end_row(ways[i].name, begin(pool, &misbehave, i, &ways[i].calls), begun);
    }
    end_a_callbacks_thread(pool);
    cancel_one(pool);
    terminate(pool);
    mp_pool_destroy(&pool);
    end_a_program(broker, SIGKILL, "the program killed");
    end_a_program(broker, SIGINT, "the program gets a Ctrl-C");
    if (argc > 2)
        kill_the_daemons(broker, atoi(argv[2]));
    else
        fail_to_initialize();
    return 0;
}
