/* test_needs: calls need what workers have, wherever they are. Usage: test_needs local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <fcntl.h>
#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONG_MS = 20000, GRACE_MS = 500, PROCESSES = 3, N = 8 };

typedef struct place {
    char path[64];
} place_t;

/* Fails if another one is there. */
MP_TASK(alone, place_t, int)
{
    int fd = open(in->path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0)
        return mp_call_fail(call, 1, "somebody else uses it");
    usleep(2000);
    close(fd);
    unlink(in->path);
    *out = 1;
    return MP_OK;
}

/* The lock is the process's for as long as it lives. */
static bool locks(const place_t *place, int *fd)
{
    *fd = open(place->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    return *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0;
}

/* Says by a byte in the file that it has begun, and only SIGKILL ends it. */
MP_TASK(stubborn, place_t, int)
{
    int fd;
    signal(SIGTERM, SIG_IGN);
    if (!locks(in, &fd) || write(fd, "!", 1) != 1)
        return mp_call_fail(call, 1, "somebody else has it");
    *out = 0;
    for (;;)
        pause();
}

MP_TASK(lock, place_t, int)
{
    int fd;
    *out = 1;
    return locks(in, &fd) && close(fd) == 0 ? MP_OK : mp_call_fail(call, 1, "somebody else has it");
}

MP_TASK(twice, int, int)
{
    *out = 2 * *in;
    return MP_OK;
}

static mp_pool_t *new_pool(void)
{
    mp_pool_t *pool = NULL;
    harness_have("gpu=1,zone=a");
    mp_pool_options_t options = {
        .processes = PROCESSES, .broker = harness_broker(PROCESSES), .have = "gpu=1,zone=a"};
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

static mp_rc_t map_alone(mp_pool_t *pool, const char *needs)
{
    place_t in[N];
    int out[N];
    mp_call_options_t options = {.chunksize = 1, .needs = needs};
    for (int i = 0; i < N; i++)
        snprintf(in[i].path, sizeof in[i].path, "/tmp/mp-test-needs-%d", (int)getpid());
    return mp_pool_map_with(pool, &alone, in, N, out, NULL, &options, LONG_MS);
}

static mp_rc_t call_twice(mp_pool_t *pool, const char *needs)
{
    int in = 21, out = 0;
    mp_call_options_t options = {.needs = needs};
    mp_rc_t rc = mp_pool_map_with(pool, &twice, &in, 1, &out, NULL, &options, LONG_MS);
    ck_assert(rc != MP_OK || out == 42);
    return rc;
}

/* All workers of the pool together have the one. */
START_TEST(what_is_needed_is_used_up)
{
    mp_pool_t *pool = new_pool();
    OK(map_alone(pool, "gpu=1"));
    OK(map_alone(pool, "zone=a,gpu=1"));
    OK(call_twice(pool, "zone=a"));
    OK(call_twice(pool, ""));
    end(&pool);
}
END_TEST

START_TEST(what_nobody_has_is_named)
{
    mp_pool_t *pool = new_pool();
    IS(call_twice(pool, "zone=b"), MP_ENEEDS);
    ck_assert_msg(strstr(mp_errmsg(), "zone=b") && strstr(mp_errmsg(), "have"), "%s", mp_errmsg());
    IS(call_twice(pool, "gpu=2"), MP_ENEEDS);
    IS(call_twice(pool, "gpu=1,"), MP_EINVAL);
    ck_assert_msg(strstr(mp_errmsg(), "position 7") != NULL, "%s", mp_errmsg());
    OK(call_twice(pool, "gpu=1"));
    end(&pool);
}
END_TEST

static bool has_begun(void *arg)
{
    struct stat stat;
    return lstat(((const place_t *)arg)->path, &stat) == 0 && stat.st_size > 0;
}

static void begin_stubborn(mp_pool_t *pool, place_t *place, int deadline_ms, mp_result_t **result)
{
    mp_async_options_t options = {
        .calls = {.needs = "gpu=1", .stop_grace_ms = GRACE_MS, .deadline_ms = deadline_ms}};
    snprintf(place->path, sizeof place->path, "/tmp/mp-test-needs-%d", (int)getpid());
    OK(mp_pool_apply_async(pool, &stubborn, place, &options, result));
    ck_assert(harness_wait(has_begun, place));
}

static void lock_after_it(mp_pool_t *pool, const place_t *place)
{
    int out = 0;
    mp_call_options_t options = {.needs = "gpu=1"};
    mp_rc_t rc = mp_pool_map_with(pool, &lock, place, 1, &out, NULL, &options, LONG_MS);
    unlink(place->path);
    OK(rc);
    ck_assert_int_eq(out, 1);
}

START_TEST(what_was_cancelled_has_what_it_needs_until_it_has_stopped)
{
    place_t place;
    mp_result_t *result = NULL;
    mp_pool_t *pool = new_pool();
    begin_stubborn(pool, &place, 0, &result);
    OK(mp_result_cancel(result));
    OK(call_twice(pool, "zone=a"));
    lock_after_it(pool, &place);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(so_has_what_is_out_of_time)
{
    place_t place;
    mp_result_t *result = NULL;
    mp_pool_t *pool = new_pool();
    begin_stubborn(pool, &place, LONG_MS / 2, &result);
    IS(mp_result_get(result, NULL, LONG_MS), MP_ETIMEDOUT);
    ck_assert(mp_result_ready(result));
    lock_after_it(pool, &place);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

/* ---- brokers --------------------------------------------------------------------------------- */

/* Its client is gone, and its job is closed. */
START_TEST(so_has_what_nobody_waits_for)
{
    place_t place;
    mp_result_t *result = NULL;
    mp_pool_t *pool = new_pool();
    mp_pool_t *other = NULL;
    OK(mp_pool_new(&(mp_pool_options_t){.broker = harness_endpoint()}, &other));
    begin_stubborn(pool, &place, 0, &result);
    mp_result_destroy(&result);
    mp_pool_destroy(&pool);
    lock_after_it(other, &place);
    end(&other);
}
END_TEST

/* ---- local ----------------------------------------------------------------------------------- */

START_TEST(threads_have_it_too)
{
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {.workers = MP_THREADS, .processes = PROCESSES, .have = "gpu=1"};
    OK(mp_pool_new(&options, &pool));
    OK(map_alone(pool, "gpu=1"));
    IS(call_twice(pool, "zone=a"), MP_ENEEDS);
    mp_pool_destroy(&pool);
    options.workers = MP_INLINE;
    OK(mp_pool_new(&options, &pool));
    OK(map_alone(pool, "gpu=1"));
    IS(call_twice(pool, "zone=a"), MP_ENEEDS);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(a_pool_of_which_nothing_is_said_has_nothing)
{
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {.broker = "local", .processes = 1};
    OK(mp_pool_new(&options, &pool));
    IS(call_twice(pool, "gpu=1"), MP_ENEEDS);
    ck_assert_msg(strstr(mp_errmsg(), "`have`") != NULL, "%s", mp_errmsg());
    mp_pool_destroy(&pool);
    options.have = "gpu=";
    IS(mp_pool_new(&options, &pool), MP_EINVAL);
    ck_assert_msg(strstr(mp_errmsg(), "position 5") != NULL, "%s", mp_errmsg());
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
    tcase_add_test(all, what_is_needed_is_used_up);
    tcase_add_test(all, what_nobody_has_is_named);
    tcase_add_test(all, what_was_cancelled_has_what_it_needs_until_it_has_stopped);
    tcase_add_test(all, so_has_what_is_out_of_time);
    if (strcmp(harness_where, "local") == 0) {
        tcase_add_test(all, threads_have_it_too);
        tcase_add_test(all, a_pool_of_which_nothing_is_said_has_nothing);
    } else {
        tcase_add_test(all, so_has_what_nobody_waits_for);
    }
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
