/* test_pool: the public calls over executors of this host, and over a broker by tcp and ipc:
 * the same tests, the same outcomes. Usage: test_pool local|tcp|ipc */
#include "harness.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <mp/mp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- tasks ------------------------------------------------------------------------------- */

MP_TASK(square, int, int)
{
    *out = *in * *in;
    return MP_OK;
}

typedef struct point {
    double x, y;
    char tag;
} point_t;

MP_TASK(mirror, point_t, point_t)
{
    *out = (point_t){in->y, in->x, in->tag};
    return MP_OK;
}

/* Ends as its input says; else hands it back. */
enum { SEGV = 7, EXIT = 9, FAIL = 11, KILL = 13, SPIN = 17, ABORT = 19 };

MP_TASK(moody, int, int)
{
    switch (*in) {
    case SEGV:
        raise(SIGSEGV);
        break;
    case EXIT:
        exit(3);
    case FAIL:
        return mp_call_fail(call, 42, "eleven is no good");
    case KILL:
        kill(getpid(), SIGKILL);
        break;
    case ABORT:
        abort();
    case SPIN:
        for (;;)
            usleep(1000);
    default:
        break;
    }
    *out = *in;
    return MP_OK;
}

MP_TASK(who, int, int)
{
    *out = getpid();
    return MP_OK;
}

/* Fails until the attempt that its input names. */
MP_TASK(stubborn, int, int)
{
    *out = mp_call_attempt(call);
    return mp_call_attempt(call) < *in ? 1 : MP_OK;
}

MP_TASK(nap_ms, int, int)
{
    usleep((useconds_t)*in * 1000);
    *out = *in;
    return MP_OK;
}

MP_TASK(closes_everything, int, int)
{
    for (int fd = 3; fd < 1000; fd++)
        close(fd);
    *out = *in;
    return MP_OK;
}

/* In the child it returns as well. */
MP_TASK(forks, int, int)
{
    *out = *in;
    return fork() < 0 ? errno : MP_OK;
}

MP_TASK_BYTES(reversed)
{
    const char *bytes = in.data;
    for (size_t i = in.size; i > 0; i--) {
        int rc = mp_call_write(call, bytes + i - 1, 1);
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

MP_TASK_BYTES(swell)
{
    char block[65536];
    memset(block, *(const char *)in.data, sizeof block);
    for (int i = 0; i < 16 * 20; i++)
        if (mp_call_write(call, block, sizeof block) != MP_OK)
            return 1;
    return MP_OK;
}

typedef struct vast {
    int n;
    double fill[50000];
} vast_t;

MP_TASK(vastly, vast_t, vast_t)
{
    out->n = in->n + 1;
    out->fill[49999] = in->fill[49999] * 2;
    return MP_OK;
}

/* ---- helpers ------------------------------------------------------------------------------- */

static const mp_task_t absent = {
    .name = "absent", .in = MP_RECORD_OF(int), .out = MP_RECORD_OF(int)};
static const mp_task_t square_of_longs = {
    .name = "square", .in = MP_RECORD_OF(long), .out = MP_RECORD_OF(long)};

static mp_pool_t *make_pool(int processes)
{
    mp_pool_options_t options = {.processes = processes, .broker = harness_broker(processes)};
    mp_pool_t *pool = NULL;
    if (options.broker)
        options.processes = 0;
    else
        options.broker = "local";
    mp_rc_t rc = mp_pool_new(&options, &pool);
    ck_assert_msg(rc == MP_OK, "%s", mp_errmsg());
    return pool;
}

static void end_pool(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    ck_assert_ptr_null(*pool);
    harness_end();
}

static bool is_local(void)
{
    return strcmp(harness_where, "local") == 0;
}

static bool is_gone(void *arg)
{
    return !harness_alive(*(pid_t *)arg);
}

/* ---- map and apply --------------------------------------------------------------------------- */

START_TEST(a_map_gives_every_result_in_its_place)
{
    enum { N = 50000 };
    static int xs[N], ys[N];
    static const int chunks[] = {0, 1, 7, 1000};
    mp_pool_t *pool = make_pool(3);
    ck_assert_int_eq(mp_pool_processes(pool), 3);
    for (int i = 0; i < N; i++)
        xs[i] = i % 40000;
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        mp_call_options_t options = {.chunksize = chunks[c]};
        memset(ys, 0xff, sizeof ys);
        ck_assert_int_eq(mp_pool_map_with(pool, &square, xs, N, ys, NULL, &options, 30000), MP_OK);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(ys[i], xs[i] * xs[i]);
    }
    ck_assert_int_eq(mp_pool_map(pool, &square, NULL, 0, NULL, 0), MP_OK);
    end_pool(&pool);
}
END_TEST

START_TEST(structs_and_large_records_travel)
{
    mp_pool_t *pool = make_pool(2);
    point_t in = {1.5, -2, 'q'}, out;
    static vast_t vast_in[3], vast_out[3];
    ck_assert_int_eq(mp_pool_apply(pool, &mirror, &in, &out, 10000), MP_OK);
    ck_assert(out.x == -2 && out.y == 1.5 && out.tag == 'q');
    for (int i = 0; i < 3; i++) {
        vast_in[i].n = i;
        vast_in[i].fill[49999] = i + 0.5;
    }
    ck_assert_int_eq(mp_pool_map(pool, &vastly, vast_in, 3, vast_out, 20000), MP_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(vast_out[i].n, i + 1);
        ck_assert(vast_out[i].fill[49999] == 2 * i + 1.0);
    }
    end_pool(&pool);
}
END_TEST

START_TEST(a_crash_costs_its_call_and_nothing_else)
{
    enum { N = 30 };
    int xs[N], ys[N];
    mp_rc_t rcs[N];
    static const int chunks[] = {0, 1, N};
    mp_pool_t *pool = make_pool(2);
    for (int i = 0; i < N; i++)
        xs[i] = i == SPIN ? 0 : i;
    for (size_t c = 0; c < 3; c++) {
        mp_call_options_t options = {.chunksize = chunks[c]};
        mp_rc_t rc = mp_pool_map_with(pool, &moody, xs, N, ys, rcs, &options, 30000);
        ck_assert_int_eq(rc, MP_ECRASHED);
        ck_assert_msg(strstr(mp_errmsg(), "moody: call 7") && strstr(mp_errmsg(), "signal 11"),
                      "%s", mp_errmsg());
        for (int i = 0; i < N; i++) {
            mp_rc_t expected = i == FAIL                                           ? MP_EFAILED
                               : i == SEGV || i == EXIT || i == KILL || i == ABORT ? MP_ECRASHED
                                                                                   : MP_OK;
            ck_assert_msg(rcs[i] == expected, "call %d: %s", i, mp_errname(rcs[i]));
            ck_assert_int_eq(ys[i], expected == MP_OK ? xs[i] : 0);
        }
    }
    end_pool(&pool);
}
END_TEST

START_TEST(a_call_over_its_time_limit_is_killed)
{
    int xs[] = {1, SPIN, 2, 3}, ys[4];
    mp_rc_t rcs[4];
    mp_pool_t *pool = make_pool(2);
    mp_call_options_t options = {.call_timeout_ms = 150};
    ck_assert_int_eq(mp_pool_map_with(pool, &moody, xs, 4, ys, rcs, &options, 20000), MP_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "150 ms"));
    ck_assert_int_eq(rcs[1], MP_ETIMEDOUT);
    ck_assert(rcs[0] == MP_OK && rcs[2] == MP_OK && rcs[3] == MP_OK);
    ck_assert_int_eq(ys[3], 3);
    end_pool(&pool);
}
END_TEST

START_TEST(a_wait_ends_in_time_and_cancels)
{
    int xs[] = {SPIN, SPIN, SPIN}, ys[3], x = 5, y = 0;
    mp_pool_t *pool = make_pool(2);
    ck_assert_int_eq(mp_pool_map(pool, &moody, xs, 3, ys, 200), MP_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "3 of 3"));
    ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK); /* the workers are back */
    ck_assert_int_eq(y, 25);
    ck_assert_int_eq(mp_pool_apply(pool, &moody, &(int){SPIN}, &y, 0), MP_ETIMEDOUT);
    end_pool(&pool);
}
END_TEST

START_TEST(retries_are_made_and_counted)
{
    int xs[] = {1, 2, 3, 4}, ys[4];
    mp_rc_t rcs[4];
    mp_pool_t *pool = make_pool(2);
    mp_call_options_t options = {.retries = 2};
    ck_assert_int_eq(mp_pool_map_with(pool, &stubborn, xs, 4, ys, rcs, &options, 20000),
                     MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "call 3"));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(rcs[i], MP_OK);
        ck_assert_int_eq(ys[i], xs[i]);
    }
    ck_assert_int_eq(rcs[3], MP_EFAILED);
    end_pool(&pool);
}
END_TEST

START_TEST(what_cannot_run_is_refused_with_its_reason)
{
    int x = 1, y = 0;
    long l = 1, m = 0;
    mp_pool_t *pool = make_pool(2);
    ck_assert_int_eq(mp_pool_apply(pool, &absent, &x, &y, 20000), MP_ENOTASK);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "absent"));
    ck_assert_int_eq(mp_pool_apply(pool, &square_of_longs, &l, &m, 20000), MP_ESIGNATURE);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "int[4,4]"));
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "long[8,8]"));
    ck_assert_int_eq(mp_pool_apply(pool, &reversed, &x, &y, 0), MP_EINVAL);
    ck_assert_int_eq(mp_pool_apply(pool, NULL, &x, &y, 0), MP_EINVAL);
    ck_assert_int_eq(mp_pool_map(pool, &square, NULL, 3, &y, 0), MP_EINVAL);
    ck_assert_int_eq(mp_pool_map(pool, &square, &x, SIZE_MAX, &y, 0), MP_EINVAL);
    mp_call_options_t negative = {.retries = -1};
    ck_assert_int_eq(mp_pool_map_with(pool, &square, &x, 1, &y, NULL, &negative, 0), MP_EINVAL);
    ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK);
    end_pool(&pool);
}
END_TEST

START_TEST(rude_tasks_hurt_only_themselves)
{
    int xs[40], ys[40];
    mp_pool_t *pool = make_pool(2);
    for (int i = 0; i < 40; i++)
        xs[i] = i;
    ck_assert_int_eq(mp_pool_map(pool, &forks, xs, 40, ys, 20000), MP_OK);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(ys[i], i);
    mp_rc_t rc = mp_pool_apply(pool, &closes_everything, xs, ys, 20000);
    ck_assert(rc == MP_OK || rc == MP_ECRASHED);
    ck_assert_int_eq(mp_pool_map(pool, &square, xs, 40, ys, 20000), MP_OK);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(ys[i], i * i);
    end_pool(&pool);
}
END_TEST

/* ---- jobs -------------------------------------------------------------------------------------
 */

START_TEST(a_job_streams_in_order)
{
    enum { N = 3000 };
    mp_pool_t *pool = make_pool(3);
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    char text[32];
    uint64_t taken = 0;
    ck_assert_int_eq(mp_job_new(pool, &reversed, NULL, &job), MP_OK);
    for (int i = 0; i < N;) {
        int size = snprintf(text, sizeof text, "%d", i);
        mp_rc_t rc = mp_job_put(job, (mp_bytes_t){text, (size_t)size}, 0);
        if (rc == MP_OK) {
            i++;
            continue;
        }
        ck_assert_int_eq(rc, MP_ETIMEDOUT);
        ck_assert_ptr_nonnull(strstr(mp_errmsg(), "the window is full, with 192 calls"));
        ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
        ck_assert_uint_eq(outcome.index, taken++);
    }
    mp_job_close(job);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){"x", 1}, 0), MP_ECLOSED);
    mp_rc_t rc;
    while ((rc = mp_job_next(job, &outcome, 20000)) == MP_OK) {
        ck_assert_uint_eq(outcome.index, taken);
        int size = snprintf(text, sizeof text, "%d", (int)taken++);
        ck_assert_uint_eq(outcome.value.size, size);
        ck_assert_int_eq(((const char *)outcome.value.data)[0], text[size - 1]);
    }
    ck_assert_int_eq(rc, MP_EOF);
    ck_assert_uint_eq(taken, N);
    mp_job_destroy(&job);
    end_pool(&pool);
}
END_TEST

START_TEST(an_unordered_job_overtakes_the_slow)
{
    mp_pool_t *pool = make_pool(2);
    mp_job_t *job = NULL;
    mp_call_options_t options = {.unordered = 1, .chunksize = 1};
    mp_outcome_t outcome;
    int ms = 700, none = 0;
    ck_assert_int_eq(mp_job_new(pool, &nap_ms, &options, &job), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&ms, sizeof ms}, 0), MP_OK);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&none, sizeof none}, 0), MP_OK);
    mp_job_close(job);
    bool seen[21] = {false};
    for (int i = 0; i < 21; i++) {
        ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
        ck_assert(!seen[outcome.index]);
        seen[outcome.index] = true;
        ck_assert(outcome.index != 0 || i > 0);
    }
    ck_assert_int_eq(mp_job_next(job, &outcome, 0), MP_EOF);
    mp_job_destroy(&job);
    end_pool(&pool);
}
END_TEST

START_TEST(large_values_and_empty_ones_travel)
{
    mp_pool_t *pool = make_pool(2);
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    size_t size = 5000000;
    char *big = malloc(size);
    memset(big, 'b', size);
    big[0] = 'a';
    ck_assert_int_eq(mp_job_new(pool, &reversed, NULL, &job), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){big, size}, 0), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){NULL, 0}, 0), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){big, (size_t)MP_VALUE_BYTES_MAX + 1}, 0),
                     MP_ETOOLARGE);
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_OK);
    ck_assert_uint_eq(outcome.value.size, size);
    ck_assert_int_eq(((const char *)outcome.value.data)[size - 1], 'a');
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_uint_eq(outcome.value.size, 0);
    mp_job_destroy(&job);
    ck_assert_int_eq(mp_job_new(pool, &swell, NULL, &job), MP_OK);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){"z", 1}, 0), MP_OK);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(mp_job_next(job, &outcome, 30000), MP_OK);
        ck_assert_uint_eq(outcome.value.size, 16 * 20 * 65536);
    }
    mp_job_destroy(&job);
    free(big);
    end_pool(&pool);
}
END_TEST

START_TEST(outcomes_say_who_and_why)
{
    mp_pool_t *pool = make_pool(1);
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    static int moods[] = {FAIL, KILL, EXIT, 1};
    ck_assert_int_eq(mp_job_new(pool, &moody, NULL, &job), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){moods, 3}, 0), MP_EINVAL);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&moods[i], sizeof(int)}, 0), MP_OK);
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_EFAILED);
    ck_assert_int_eq(outcome.code, 42);
    ck_assert_str_eq(outcome.message, "eleven is no good");
    ck_assert_int_gt(outcome.pid, 0);
    ck_assert_int_gt(strlen(outcome.host), 0);
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_ECRASHED);
    ck_assert_int_eq(outcome.signal, SIGKILL);
    ck_assert_int_gt(outcome.pid, 0);
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_ECRASHED);
    ck_assert_int_eq(outcome.exit_status, 3);
    ck_assert_int_eq(mp_job_next(job, &outcome, 20000), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_OK);
    mp_job_destroy(&job);
    end_pool(&pool);
}
END_TEST

START_TEST(cancel_ends_queued_and_running_calls)
{
    mp_pool_t *pool = make_pool(2);
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    int mood = SPIN, x = 6, y = 0;
    ck_assert_int_eq(mp_job_new(pool, &moody, NULL, &job), MP_OK);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&mood, sizeof mood}, 0), MP_OK);
    ck_assert_int_eq(mp_job_next(job, &outcome, 50), MP_ETIMEDOUT);
    mp_job_cancel(job);
    mp_job_cancel(job);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(mp_job_next(job, &outcome, 0), MP_OK);
        ck_assert_int_eq(outcome.rc, MP_ECANCELLED);
    }
    ck_assert_int_eq(mp_job_next(job, &outcome, 0), MP_EOF);
    ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK);
    mp_job_destroy(&job);
    end_pool(&pool);
}
END_TEST

START_TEST(a_job_outlives_its_pool)
{
    mp_pool_t *pool = make_pool(2);
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    int mood = SPIN;
    ck_assert_int_eq(mp_job_new(pool, &moody, NULL, &job), MP_OK);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&mood, sizeof mood}, 0), MP_OK);
    end_pool(&pool);
    ck_assert_int_eq(mp_job_put(job, (mp_bytes_t){&mood, sizeof mood}, 0), MP_ECLOSED);
    ck_assert_int_eq(mp_job_next(job, &outcome, 0), MP_OK);
    ck_assert_int_eq(outcome.rc, MP_ECANCELLED);
    ck_assert_int_eq(mp_job_next(job, &outcome, 0), MP_EOF);
    mp_job_destroy(&job);
    mp_job_destroy(&job);
}
END_TEST

/* ---- threads and forks ---------------------------------------------------------------------- */

static void *map_in_thread(void *arg)
{
    enum { N = 3000 };
    mp_pool_t *pool = arg;
    int xs[N], ys[N];
    for (int i = 0; i < N; i++)
        xs[i] = i;
    for (int round = 0; round < 5; round++) {
        if (mp_pool_map(pool, &square, xs, N, ys, 30000) != MP_OK)
            return arg;
        for (int i = 0; i < N; i++)
            if (ys[i] != i * i)
                return arg;
    }
    return NULL;
}

START_TEST(threads_share_a_pool)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    mp_pool_t *pool = make_pool(2);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, map_in_thread, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = pool;
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
    end_pool(&pool);
}
END_TEST

START_TEST(a_forked_child_is_told_that_the_pool_is_not_its_own)
{
    int x = 3, y = 0;
    mp_pool_t *pool = make_pool(2);
    mp_job_t *job = NULL;
    ck_assert_int_eq(mp_job_new(pool, &square, NULL, &job), MP_OK);
    pid_t pid = fork();
    if (pid == 0) {
        mp_outcome_t outcome;
        bool ok = mp_pool_apply(pool, &square, &x, &y, 0) == MP_EFORKED &&
                  mp_job_next(job, &outcome, 0) == MP_EFORKED &&
                  mp_job_put(job, (mp_bytes_t){&x, sizeof x}, 0) == MP_EFORKED;
        mp_job_destroy(&job);
        mp_pool_destroy(&pool);
        ok = ok &&
             mp_pool_new(&(mp_pool_options_t){.processes = 1, .broker = "local"}, &pool) == MP_OK;
        ok = ok && mp_pool_apply(pool, &square, &x, &y, 20000) == MP_OK && y == 9;
        mp_pool_destroy(&pool);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK);
    ck_assert_int_eq(y, 9);
    mp_job_destroy(&job);
    end_pool(&pool);
}
END_TEST

/* ---- kill -9 -----------------------------------------------------------------------------------
 */

START_TEST(an_idle_worker_is_replaced_when_killed)
{
    int zero = 0, pid = 0, next = 0;
    mp_pool_t *pool = make_pool(1);
    ck_assert_int_eq(mp_pool_apply(pool, &who, &zero, &pid, 20000), MP_OK);
    kill(pid, SIGKILL);
    ck_assert(harness_wait(is_gone, &pid));
    /* The call may have reached the dead one's lane: then nothing of it had begun. */
    ck_assert_int_eq(mp_pool_apply(pool, &who, &zero, &next, 20000), MP_OK);
    ck_assert_int_ne(pid, next);
    end_pool(&pool);
}
END_TEST

/* The pids of all processes of ours that bear a name. */
static int find_processes(const char *name, pid_t *pids, int max)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int count = 0;
    while ((entry = readdir(proc)) && count < max) {
        char path[300], comm[32] = "";
        int ppid = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%*d (%31[^)]) %*c %d", comm, &ppid) == 2 && strcmp(comm, name) == 0 &&
            (ppid == getpid() || strcmp(name, "mp-nursery") != 0))
            pids[count++] = atoi(entry->d_name);
        fclose(file);
    }
    closedir(proc);
    return count;
}

START_TEST(a_killed_nursery_is_replaced)
{
    if (!is_local())
        return;
    int x = 4, y = 0, pid = 0;
    pid_t nursery = 0;
    mp_pool_t *pool = make_pool(2);
    ck_assert_int_eq(mp_pool_apply(pool, &who, &x, &pid, 20000), MP_OK);
    ck_assert_int_eq(find_processes("mp-nursery", &nursery, 1), 1);
    kill(nursery, SIGKILL);
    ck_assert(harness_wait(is_gone, &pid)); /* its executors die with it */
    ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK);
    ck_assert_int_eq(y, 16);
    end_pool(&pool);
}
END_TEST

/* In a process of its own: make a pool, start a call that never ends, tell the pid. */
static void be_an_owner(int out)
{
    int mood = SPIN, pid = 0;
    mp_pool_t *pool = NULL;
    mp_job_t *job = NULL;
    mp_outcome_t outcome;
    if (mp_pool_new(&(mp_pool_options_t){.processes = 1, .broker = "local"}, &pool) != MP_OK ||
        mp_pool_apply(pool, &who, &mood, &pid, 20000) != MP_OK ||
        mp_job_new(pool, &moody, NULL, &job) != MP_OK ||
        mp_job_put(job, (mp_bytes_t){&mood, sizeof mood}, 0) != MP_OK)
        _exit(1);
    (void)!write(out, &pid, sizeof pid);
    (void)!mp_job_next(job, &outcome, -1);
    _exit(1);
}

START_TEST(workers_die_with_their_owner)
{
    int pair[2], executor = 0;
    ck_assert_int_eq(pipe(pair), 0);
    pid_t owner = fork();
    if (owner == 0)
        be_an_owner(pair[1]);
    ck_assert_int_eq(read(pair[0], &executor, sizeof executor), sizeof executor);
    ck_assert(harness_alive(executor));
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    ck_assert(harness_wait(is_gone, &executor));
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* ---- making and ending ---------------------------------------------------------------------- */

static int count_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

START_TEST(pools_leave_nothing_behind)
{
    mp_pool_t *pool = make_pool(2);
    int x = 2, y = 0;
    end_pool(&pool);
    int before = count_descriptors();
    for (int i = 0; i < 20; i++) {
        pid_t left = 0;
        ck_assert_int_eq(
            mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = "local"}, &pool), MP_OK);
        ck_assert_int_eq(mp_pool_apply(pool, &square, &x, &y, 20000), MP_OK);
        mp_pool_destroy(&pool);
        ck_assert_int_eq(find_processes("mp-nursery", &left, 1), 0);
    }
    ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(bad_options_and_places_are_refused)
{
    static const char *const missing[] = {"/nowhere/tasks.so", NULL};
    static const char *const broken[] = {"/etc/passwd", NULL};
    const struct {
        mp_pool_options_t options;
        mp_rc_t rc;
        const char *says;
    } rows[] = {
        {{.processes = -1}, MP_EINVAL, "processes"},
        {{.connect_timeout_ms = -1}, MP_EINVAL, "connect_timeout_ms"},
        {{.broker = "http://x"}, MP_EINVAL, "tcp://HOST:PORT"},
        {{.broker = "tcp://127.0.0.1"}, MP_EINVAL, "port"},
        {{.broker = "ipc://relative"}, MP_EINVAL, "absolute"},
        {{.broker = "tcp://127.0.0.1:1", .connect_timeout_ms = 300}, MP_ECONNECT, "mp-broker"},
        {{.broker = "ipc:///tmp/mp-test-nobody", .connect_timeout_ms = 300}, MP_ECONNECT, "nobody"},
        {{.broker = "local", .processes = 1, .load = missing}, MP_EMODULE, "/nowhere/tasks.so"},
        {{.broker = "local", .processes = 1, .load = broken}, MP_EMODULE, "/etc/passwd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_pool_t *pool = NULL;
        mp_rc_t rc = mp_pool_new(&rows[i].options, &pool);
        ck_assert_msg(rc == rows[i].rc, "row %zu: %s (%s)", i, mp_errname(rc), mp_errmsg());
        ck_assert_msg(strstr(mp_errmsg(), rows[i].says), "row %zu: %s", i, mp_errmsg());
        ck_assert_ptr_null(pool);
    }
    mp_pool_t *none = NULL;
    mp_pool_destroy(&none);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    if (argc == 2)
        harness_where = argv[1];
    const TTest *const tests[] = {
        a_map_gives_every_result_in_its_place,
        structs_and_large_records_travel,
        a_crash_costs_its_call_and_nothing_else,
        a_call_over_its_time_limit_is_killed,
        a_wait_ends_in_time_and_cancels,
        retries_are_made_and_counted,
        what_cannot_run_is_refused_with_its_reason,
        rude_tasks_hurt_only_themselves,
        a_job_streams_in_order,
        an_unordered_job_overtakes_the_slow,
        large_values_and_empty_ones_travel,
        outcomes_say_who_and_why,
        cancel_ends_queued_and_running_calls,
        a_job_outlives_its_pool,
        threads_share_a_pool,
        a_forked_child_is_told_that_the_pool_is_not_its_own,
        an_idle_worker_is_replaced_when_killed,
        a_killed_nursery_is_replaced,
        workers_die_with_their_owner,
        pools_leave_nothing_behind,
        bad_options_and_places_are_refused,
        NULL,
    };
    return suite_run(harness_where, tests, 60);
}
