/* The workers of a local pool: how many there are, what they have done, when they are replaced. */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <dirent.h>
#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

enum { GOOD, FAIL, CRASH };

MP_TASK(moody, int, int)
{
    if (*in == CRASH)
        abort();
    usleep(1000);
    return *in == FAIL;
}

MP_TASK(nap_ms, int, int)
{
    usleep((useconds_t)*in * 1000);
    *out = (int)getpid();
    return MP_OK;
}

/* Takes a megabyte and never gives it back. */
MP_TASK(leak, int, int)
{
    enum { BYTES = 1 << 20 };
    volatile char *lost = malloc(BYTES);
    for (size_t i = 0; lost && i < BYTES; i += 512)
        lost[i] = 1;
    *out = (int)getpid();
    return MP_OK;
}

/* How many descriptors it has that are neither file, pipe nor socket: eventfds, epolls, timers. */
MP_TASK(count_wakers, int, int)
{
    static const char waker[] = "anon_inode:";
    char target[64];
    const struct dirent *entry;
    DIR *dir = opendir("/proc/self/fd");
    *out = 0;
    while (dir && (entry = readdir(dir)))
        *out += readlinkat(dirfd(dir), entry->d_name, target, sizeof target) > 0 &&
                strncmp(target, waker, sizeof waker - 1) == 0;
    return dir ? closedir(dir) : mp_call_fail(call, 1, "no /proc/self/fd");
}

static mp_pool_t *new_pool(mp_pool_options_t options)
{
    mp_pool_t *pool = NULL;
    options.broker = "local";
    OK(mp_pool_new(&options, &pool));
    return pool;
}

static mp_pool_stat_t stat_of(mp_pool_t *pool)
{
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    return stat;
}

START_TEST(outcomes_are_counted_by_task_and_by_worker)
{
    enum { N = 40, CRASHES = 3, FAILS = 5 };
    int in[N] = {0}, out[N];
    mp_task_stat_t tasks[4];
    mp_worker_stat_t workers[8];
    size_t count = 0;
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = 2});
    for (int i = 0; i < CRASHES + FAILS; i++)
        in[i] = i < CRASHES ? CRASH : FAIL;
    IS(mp_pool_map(pool, &moody, in, N, out, LONG_MS), MP_ECRASHED);
    OK(mp_pool_apply(pool, &nap_ms, &(int){1}, out, LONG_MS));

    OK(mp_pool_task_stats(pool, tasks, 4, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(tasks[0].name, "moody");
    ck_assert_uint_eq(tasks[0].crashed, CRASHES);
    ck_assert_uint_eq(tasks[0].failed, FAILS);
    ck_assert_uint_eq(tasks[0].ok, N - CRASHES - FAILS);
    ck_assert(tasks[0].busy > 0.001 * (N - CRASHES));
    ck_assert_uint_eq(tasks[1].ok, 1);

    mp_pool_stat_t stat = stat_of(pool);
    ck_assert_uint_eq(stat.crashed, CRASHES);
    ck_assert(stat.queued == 0 && stat.given == 0 && stat.stopped == 0 && stat.retired == 0);
    while ((stat = stat_of(pool)).workers < 2) /* the last replacement is on its way */
        usleep(1000);
    ck_assert_uint_eq(stat.started, 2 + CRASHES);
    OK(mp_pool_worker_stats(pool, workers, 8, &count, -1));
    ck_assert_uint_eq(count, 2);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(kill(workers[i].pid, 0), 0);
        ck_assert(workers[i].start > 0 && workers[i].memory_bytes > 0 && workers[i].given == 0);
        ck_assert(workers[i].waiting >= 0);
    }
    ck_assert_uint_ne(workers[0].id, workers[1].id);
    OK(mp_pool_worker_stats(pool, NULL, 0, &count, -1));
    ck_assert_uint_eq(count, 2);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_worker_that_we_kill_counts_as_stopped)
{
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = 1});
    int out;
    mp_call_options_t options = {.call_timeout_ms = 20};
    IS(mp_pool_map_with(pool, &nap_ms, &(int){LONG_MS}, 1, &out, NULL, &options, LONG_MS),
       MP_ETIMEDOUT);
    OK(mp_pool_apply(pool, &nap_ms, &(int){1}, &out, LONG_MS));
    mp_pool_stat_t stat = stat_of(pool);
    ck_assert(stat.stopped == 1 && stat.crashed == 0 && stat.started == 2);
    mp_pool_destroy(&pool);
}
END_TEST

static size_t count_different(const int *pids, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && pids[k] != pids[i])
            k++;
        count += k == i;
    }
    return count;
}

START_TEST(a_pool_grows_and_shrinks_while_it_runs)
{
    enum { N = 600 };
    static int in[N], out[N];
    static const int sizes[] = {5, 1, 3, 2, 7, 1};
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = 2});
    for (int i = 0; i < N; i++)
        in[i] = 2;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mp_result_t *result = NULL;
        OK(mp_pool_map_async(pool, &nap_ms, in, N, out, NULL, &result));
        OK(mp_pool_resize(pool, sizes[i]));
        ck_assert_int_eq(mp_pool_processes(pool), sizes[i]);
        OK(mp_result_get(result, NULL, LONG_MS)); /* nothing is lost on the way */
        mp_result_destroy(&result);
        while (stat_of(pool).workers != sizes[i])
            usleep(1000);
        OK(mp_pool_map(pool, &nap_ms, in, 40, out, LONG_MS));
        ck_assert_uint_le(count_different(out, 40), (size_t)sizes[i]);
    }
    ck_assert_uint_eq(stat_of(pool).crashed, 0);
    IS(mp_pool_resize(pool, 0), MP_EINVAL);
    IS(mp_pool_resize(pool, -1), MP_EINVAL);
    mp_pool_destroy(&pool);
}
END_TEST

/* More than any list of events that one could think of. */
START_TEST(many_workers_die_at_once)
{
    enum { MANY = 150 };
    static mp_worker_stat_t workers[MANY];
    static int in[MANY], out[MANY];
    size_t count = 0;
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = MANY});
    OK(mp_pool_worker_stats(pool, workers, MANY, &count, -1));
    ck_assert_uint_eq(count, MANY);
    for (size_t i = 0; i < count; i++)
        kill(workers[i].pid, SIGKILL);
    OK(mp_pool_map(pool, &nap_ms, in, MANY, out, LONG_MS));
    while (stat_of(pool).workers < MANY)
        usleep(1000);
    ck_assert_uint_eq(stat_of(pool).crashed, MANY);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(shrinking_waits_for_the_calls_that_run)
{
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = 4});
    int in[4] = {200, 200, 200, 200}, out[4];
    mp_result_t *result = NULL;
    OK(mp_pool_map_async(pool, &nap_ms, in, 4, out, NULL, &result));
    usleep(50000);
    OK(mp_pool_resize(pool, 1));
    OK(mp_result_get(result, NULL, LONG_MS));
    mp_result_destroy(&result);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_worker_that_takes_too_much_memory_is_replaced)
{
    enum { N = 64 };
    int in[N] = {0}, out[N];
    mp_pool_t *pool =
        new_pool((mp_pool_options_t){.processes = 1, .worker_memory_bytes = (size_t)8 << 20});
    mp_call_options_t options = {.chunksize = 1};
    OK(mp_pool_map_with(pool, &leak, in, N, out, NULL, &options, LONG_MS));
    size_t workers = count_different(out, N);
    ck_assert_uint_ge(workers, N / 9);
    ck_assert_uint_lt(workers, N); /* how many more depends on what memory costs here */
    ck_assert_uint_ge(stat_of(pool).retired, workers - 1);
    mp_pool_destroy(&pool);
}
END_TEST

enum { MOST_MIB = 256, CAP_MIB = 48 };

/* Takes so many mebibytes, and gives them back; negative: without a look at what it was given. */
MP_TASK(take_mebibytes, int, int)
{
    static volatile char *taken[MOST_MIB];
    int wanted = *in < 0 ? -*in : *in, n = 0;
    for (; n < wanted; n++) {
        taken[n] = malloc(1 << 20);
        if (!taken[n] && *in > 0)
            break;
        for (size_t i = 0; i < 1 << 20; i += 512)
            taken[n][i] = 1;
    }
    *out = (int)getpid();
    bool enough = n == wanted;
    while (n > 0)
        free((void *)(uintptr_t)taken[--n]);
    return enough ? MP_OK : mp_call_fail(call, 12, "no memory");
}

/* In the call itself, which is what the other limit doesn't do. A sanitizer's malloc takes address
 * space as it likes, and ends the process when there is none. */
#ifdef MP_SANITIZED
enum { CAPPED_METHODS = 0 };
#else
enum { CAPPED_METHODS = 2 };
#endif
START_TEST(a_worker_gets_no_memory_beyond_its_cap)
{
    static const mp_method_t methods[] = {MP_FORK, MP_SPAWN};
    int sizes[] = {1, CAP_MIB / 2, MOST_MIB, CAP_MIB / 2, -MOST_MIB, 1}, pids[6];
    mp_rc_t rcs[6];
    mp_call_options_t options = {.chunksize = 6};
    mp_pool_t *pool = new_pool((mp_pool_options_t){
        .processes = 1, .method = methods[_i], .worker_memory_cap_bytes = CAP_MIB << 20});
    mp_rc_t rc = mp_pool_map_with(pool, &take_mebibytes, sizes, 6, pids, rcs, &options, LONG_MS);
    ck_assert(rcs[0] == MP_OK && rcs[1] == MP_OK && rcs[3] == MP_OK && rcs[5] == MP_OK);
    ck_assert(rc == rcs[2] && rcs[4] == MP_ECRASHED);
    ck_assert_int_eq(rcs[2], MP_EFAILED);
    ck_assert_int_eq(pids[0], pids[3]);
    mp_pool_destroy(&pool);
}
END_TEST

enum { LIMIT_MIB = 64 };

/* Takes more than that and stays, in its first attempt. */
MP_TASK(devour, int, int)
{
    *out = *in;
    if (*in == 0 || (*in == 2 && mp_call_attempt(call) > 1))
        return MP_OK;
    size_t size = (size_t)(LIMIT_MIB + 32) << 20;
    volatile char *taken = malloc(size);
    for (size_t i = 0; taken && i < size; i += 512)
        taken[i] = 1;
    for (;;)
        pause();
}

START_TEST(a_worker_is_killed_for_the_memory_that_it_takes)
{
    static const mp_method_t methods[] = {MP_FORK, MP_SPAWN};
    enum { N = 6 };
    int in[N] = {0, 0, 1, 0, 0, 0}, out[N];
    mp_rc_t rcs[N];
    mp_call_options_t options = {.chunksize = 3};
    mp_pool_t *pool = new_pool((mp_pool_options_t){
        .processes = 2, .method = methods[_i], .worker_memory_limit_bytes = LIMIT_MIB << 20});
    IS(mp_pool_map_with(pool, &devour, in, N, out, rcs, &options, LONG_MS), MP_ENOMEM);
    ck_assert_msg(strstr(mp_errmsg(), "over its limit of 64.0 MiB") != NULL, "%s", mp_errmsg());
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(rcs[i], i == 2 ? MP_ENOMEM : MP_OK);
    ck_assert(stat_of(pool).memory == 1 && stat_of(pool).crashed == 0);
    in[2] = 2;
    options.retries = 1;
    options.retry_on = MP_RETRY_CRASHED;
    IS(mp_pool_map_with(pool, &devour, in, N, out, rcs, &options, LONG_MS), MP_ENOMEM);
    options.retry_on = MP_RETRY_MEMORY;
    OK(mp_pool_map_with(pool, &devour, in, N, out, rcs, &options, LONG_MS));
    ck_assert_uint_eq(stat_of(pool).memory, 3);
    mp_pool_destroy(&pool);
}
END_TEST

/* How often a process has gone to sleep, ever. */
static long naps_of(pid_t pid)
{
    char path[64], line[128];
    long naps = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && naps < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &naps) != 1)
            naps = -1;
    if (file)
        fclose(file);
    return naps;
}

/* Until there is a second in which it isn't woken. */
static bool falls_asleep(pid_t pid)
{
    for (int seconds = 0; seconds < LONG_MS / 1000; seconds++) {
        long naps = naps_of(pid);
        sleep(1);
        if (naps >= 0 && naps_of(pid) == naps)
            return true;
    }
    return false;
}

MP_TASK(parent, int, int)
{
    (void)in;
    *out = (int)getppid();
    return MP_OK;
}

/* Longer than those who do nothing are looked at. */
MP_TASK(devour_later, int, int)
{
    usleep(1500 * 1000);
    return devour.run(call, (mp_bytes_t){in, sizeof *in}, out);
}

START_TEST(who_runs_no_call_costs_no_looks_at_its_memory)
{
    static const mp_method_t methods[] = {MP_FORK, MP_SPAWN};
    int nursery = 0;
    int out;
    mp_pool_t *pool = new_pool((mp_pool_options_t){
        .processes = 2, .method = methods[_i], .worker_memory_limit_bytes = LIMIT_MIB << 20});
    OK(mp_pool_apply(pool, &parent, &(int){0}, &nursery, LONG_MS));
    ck_assert(falls_asleep(nursery));
    IS(mp_pool_apply(pool, &devour, &(int){1}, &out, LONG_MS), MP_ENOMEM);
    ck_assert(falls_asleep(nursery));
    IS(mp_pool_apply(pool, &devour_later, &(int){1}, &out, LONG_MS), MP_ENOMEM);
    ck_assert_uint_eq(stat_of(pool).memory, 2);
    mp_pool_destroy(&pool);
}
END_TEST

/* ---- start methods ------------------------------------------------------------------------------
 */

static int seen = 1; /* by workers that have this process's memory */
static int prepared;

MP_TASK(what_is_seen, int, int)
{
    *out = seen * 10 + prepared;
    return MP_OK;
}

static int prepare(void *arg)
{
    (void)arg;
    prepared = 7;
    return 0;
}

static int refuse(void *arg)
{
    (void)arg;
    return 5;
}

static int wakers_of_a_worker(mp_pool_t *pool)
{
    int out = -1;
    OK(mp_pool_apply(pool, &count_wakers, &(int){0}, &out, LONG_MS));
    return out;
}

START_TEST(workers_have_no_descriptor_that_wakes_their_pool)
{
    mp_job_t *job = NULL;
    mp_pool_t *pool = new_pool((mp_pool_options_t){.processes = 1});
    OK(mp_job_new(pool, &moody, NULL, &job));
    ck_assert_int_ge(mp_job_fileno(job), 0);
    mp_pool_t *later = new_pool((mp_pool_options_t){.processes = 1});
    ck_assert_int_eq(wakers_of_a_worker(pool), 0);
    ck_assert_int_eq(wakers_of_a_worker(later), 0);
    mp_pool_destroy(&later);
    mp_job_destroy(&job);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(workers_may_have_none_of_our_memory)
{
    static const struct {
        mp_method_t method;
        int sees;
    } rows[] = {{MP_METHOD_DEFAULT, 27}, {MP_FORK, 27}, {MP_SPAWN, 17}, {MP_FORKSERVER, 17}};
    seen = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int in[50] = {0}, out[50];
        mp_worker_stat_t workers[2];
        size_t count;
        mp_pool_t *pool = new_pool((mp_pool_options_t){
            .processes = 2, .method = rows[i].method, .initializer = prepare, .nested = 1});
        OK(mp_pool_map(pool, &what_is_seen, in, 50, out, LONG_MS));
        for (int k = 0; k < 50; k++)
            ck_assert_int_eq(out[k], rows[i].sees);
        OK(mp_pool_worker_stats(pool, workers, 2, &count, -1));
        kill(workers[0].pid, SIGKILL); /* its replacement is of the same sort */
        OK(mp_pool_map(pool, &what_is_seen, in, 50, out, LONG_MS));
        for (int k = 0; k < 50; k++)
            ck_assert_int_eq(out[k], rows[i].sees);
        OK(mp_pool_resize(pool, 4));
        OK(mp_pool_map(pool, &what_is_seen, in, 50, out, LONG_MS));
        mp_pool_destroy(&pool);
        ck_assert_int_eq(kill(workers[1].pid, 0), -1);
    }
}
END_TEST

START_TEST(what_cannot_reach_such_workers_is_refused)
{
    int some = 0;
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {.processes = 1, .broker = "local", .method = MP_SPAWN};
    options.initializer = refuse;
    IS(mp_pool_new(&options, &pool), MP_EFAILED);
    options.initializer_arg = &some;
    IS(mp_pool_new(&options, &pool), MP_EUNPASSABLE);
    options.initializer_arg = NULL;
    options.initializer = (int (*)(void *))(void (*)(void))mp_cpu_count; /* a library's */
    IS(mp_pool_new(&options, &pool), MP_EUNPASSABLE);
    options.initializer = NULL;
    options.worker_stdout = 1;
    IS(mp_pool_new(&options, &pool), MP_EUNPASSABLE);
    options.worker_stdout = 0;
    options.load = (const char *const[]){"/nowhere.so", NULL};
    IS(mp_pool_new(&options, &pool), MP_EMODULE);
    options.method = (mp_method_t)9;
    IS(mp_pool_new(&options, &pool), MP_EINVAL);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {
        outcomes_are_counted_by_task_and_by_worker,
        a_worker_that_we_kill_counts_as_stopped,
        a_pool_grows_and_shrinks_while_it_runs,
        many_workers_die_at_once,
        shrinking_waits_for_the_calls_that_run,
        a_worker_that_takes_too_much_memory_is_replaced,
        workers_have_no_descriptor_that_wakes_their_pool,
        workers_may_have_none_of_our_memory,
        what_cannot_reach_such_workers_is_refused,
        NULL,
    };
    const TTest *const of_methods[] = {a_worker_gets_no_memory_beyond_its_cap,
                                       a_worker_is_killed_for_the_memory_that_it_takes,
                                       who_runs_no_call_costs_no_looks_at_its_memory, NULL};
    return suite_run_each(NULL, "workers", of_methods, CAPPED_METHODS, tests, 60);
}
