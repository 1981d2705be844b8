/* A local pool whose nursery can't fork: at first, for a while, for good. */
#include "ok.h"
#include "suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <mp/mp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 20000, FOR_EVER = -1 };

/* What the nursery shares with its test. */
typedef struct want {
    atomic_int allowed; /* forks before the first that fails */
    atomic_int fails_ms;
    _Atomic int64_t first_at; /* when that was */
    atomic_int failed;
} want_t;
static want_t *want;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool must_fail(void)
{
    char name[16] = "";
    int64_t none = 0;
    if (!want || prctl(PR_GET_NAME, name) != 0 || strcmp(name, "mp-nursery") != 0)
        return false;
    if (atomic_fetch_sub(&want->allowed, 1) > 0)
        return false;
    atomic_compare_exchange_strong(&want->first_at, &none, now_ms());
    int ms = want->fails_ms;
    return ms == FOR_EVER || now_ms() - want->first_at < ms;
}

/* In place of libc's, for libmp too. */
__attribute__((visibility("default"))) pid_t fork(void)
{
    pid_t (*real)(void);
    void *found = dlsym(RTLD_NEXT, "fork");
    memcpy(&real, &found, sizeof real);
    if (!must_fail())
        return real();
    atomic_fetch_add(&want->failed, 1);
    errno = EAGAIN;
    return -1;
}

/* After so many more forks they fail, for so long. */
static void let_forks_fail(int after, int ms)
{
    want->failed = 0;
    want->first_at = 0;
    want->fails_ms = ms;
    want->allowed = after;
}

static void setup(void)
{
    want = mmap(NULL, sizeof *want, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(want != MAP_FAILED);
    want->allowed = 1000;
}

MP_TASK(pid_of, int, int)
{
    (void)in;
    *out = (int)getpid();
    return MP_OK;
}

static mp_rc_t make_pool(int processes, size_t memory_bytes, mp_pool_t **out)
{
    mp_pool_options_t options = {
        .broker = "local", .processes = processes, .worker_memory_limit_bytes = memory_bytes};
    return mp_pool_new(&options, out);
}

static int kill_one(mp_pool_t *pool)
{
    int pid = 0;
    OK(mp_pool_apply(pool, &pid_of, &(int){0}, &pid, LONG_MS));
    kill(pid, SIGKILL);
    return pid;
}

START_TEST(a_pool_needs_all_its_first_workers)
{
    mp_pool_t *pool = NULL;
    let_forks_fail(0, FOR_EVER);
    IS(make_pool(2, 0, &pool), MP_ESYSTEM);
    ck_assert_msg(strstr(mp_errmsg(), "can't be forked: Resource temporarily") != NULL, "%s",
                  mp_errmsg());
    let_forks_fail(1, FOR_EVER);
    IS(make_pool(2, 0, &pool), MP_ESYSTEM);
    ck_assert_msg(strstr(mp_errmsg(), "can't be forked: Resource temporarily") != NULL, "%s",
                  mp_errmsg());
}
END_TEST

/* The tries are few, and not used up by looks at the workers' memory. */
START_TEST(what_is_short_for_a_moment_costs_a_moment)
{
    static const size_t limits[] = {0, (size_t)64 << 20};
    mp_pool_t *pool = NULL;
    let_forks_fail(1, 1500);
    OK(make_pool(2, limits[_i], &pool));
    ck_assert_int_ge(want->failed, 1);
    ck_assert_int_lt(want->failed, 12);
    mp_pool_destroy(&pool);
}
END_TEST

static int workers_of(mp_pool_t *pool)
{
    mp_pool_stat_t stat;
    OK(mp_pool_stat(pool, &stat));
    return stat.workers;
}

START_TEST(a_pool_goes_on_with_those_that_live)
{
    mp_pool_t *pool = NULL;
    int pid = 0;
    OK(make_pool(2, 0, &pool));
    let_forks_fail(0, 5000);
    int killed = kill_one(pool);
    for (int64_t end = now_ms() + LONG_MS; workers_of(pool) == 2; usleep(1000))
        ck_assert_int_lt(now_ms(), end);
    for (int64_t end = now_ms() + LONG_MS; workers_of(pool) < 2; usleep(20000)) {
        OK(mp_pool_apply(pool, &pid_of, &(int){0}, &pid, LONG_MS));
        ck_assert_int_ne(pid, killed);
        ck_assert_int_lt(now_ms(), end);
    }
    ck_assert_int_gt(want->failed, 2);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_pool_without_any_ends)
{
    mp_pool_t *pool = NULL;
    int pid = 0;
    OK(make_pool(1, 0, &pool));
    let_forks_fail(0, FOR_EVER);
    kill_one(pool);
    mp_rc_t rc = mp_pool_apply(pool, &pid_of, &(int){0}, &pid, LONG_MS);
    ck_assert_msg(strstr(mp_errmsg(), "can't be forked: Resource temporarily") != NULL, "%s",
                  mp_errmsg());
    ck_assert(rc == MP_EWORKERLOST || rc == MP_ESYSTEM);
    mp_pool_destroy(&pool);
}
END_TEST

/* Those that are gone since it was made smaller are not waited for. */
START_TEST(so_does_one_that_has_shrunk)
{
    mp_pool_t *pool = NULL;
    int pid = 0;
    OK(make_pool(3, 0, &pool));
    OK(mp_pool_resize(pool, 1));
    let_forks_fail(0, FOR_EVER);
    while (mp_pool_apply(pool, &pid_of, &(int){0}, &pid, LONG_MS) == MP_OK)
        kill(pid, SIGKILL);
    ck_assert_msg(strstr(mp_errmsg(), "can't be forked: Resource temporarily") != NULL, "%s",
                  mp_errmsg());
    mp_pool_destroy(&pool);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {a_pool_needs_all_its_first_workers,
                                  a_pool_goes_on_with_those_that_live, a_pool_without_any_ends,
                                  so_does_one_that_has_shrunk, NULL};
    const TTest *const of_limits[] = {what_is_short_for_a_moment_costs_a_moment, NULL};
    return suite_run_each(setup, "unforked", of_limits, 2, tests, 60);
}
