/* test_needs: calls need what workers have, wherever they are. Usage: test_needs local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <fcntl.h>
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000, PROCESSES = 3, N = 8 };

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
    if (strcmp(harness_where, "local") == 0) {
        tcase_add_test(all, threads_have_it_too);
        tcase_add_test(all, a_pool_of_which_nothing_is_said_has_nothing);
    }
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
