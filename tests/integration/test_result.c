/* test_result: calls that go on while the program does something else, over executors of this
 * host and over a broker. Usage: test_result local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <dirent.h>
#include <mp/mp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000, PROCESSES = 2 };

MP_TASK(twice, int, int)
{
    *out = 2 * *in;
    return MP_OK;
}

enum { CRASH = 13, FAIL = 11, SPIN = 17 };

MP_TASK(moody, int, int)
{
    if (*in == CRASH)
        abort();
    if (*in == FAIL)
        return mp_call_fail(call, 42, "eleven is no good");
    while (*in == SPIN)
        usleep(1000);
    *out = *in;
    return MP_OK;
}

MP_TASK(nap_ms, int, int)
{
    usleep((useconds_t)*in * 1000);
    return MP_OK;
}

MP_TASK_BYTES(echo)
{
    return mp_call_write(call, in.data, in.size);
}

static mp_pool_t *new_pool(void)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(PROCESSES);
    OK(mp_pool_new(
        &(mp_pool_options_t){.processes = PROCESSES, .broker = broker ? broker : "local"}, &pool));
    return pool;
}

static mp_result_t *begin(mp_pool_t *pool, const mp_task_t *task, int in)
{
    mp_result_t *result = NULL;
    OK(mp_pool_apply_async(pool, task, &in, NULL, &result));
    ck_assert_ptr_nonnull(result);
    return result;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

/* ---- one call -----------------------------------------------------------------------------------
 */

START_TEST(a_value_is_got_as_often_as_wanted)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *result = begin(pool, &twice, 10);
    int out = 0;
    for (int i = 0; i < 3; i++) {
        OK(mp_result_get(result, &out, LONG_MS));
        ck_assert_int_eq(out, 20);
    }
    bool good = false;
    OK(mp_result_successful(result, &good));
    ck_assert(good);
    size_t done, total;
    mp_result_progress(result, &done, &total);
    ck_assert(done == 1 && total == 1);
    IS(mp_result_cancel(result), MP_ESTATE);
    mp_result_destroy(&result);
    mp_result_destroy(&result);
    end(&pool);
}
END_TEST

START_TEST(a_call_tells_how_it_ended)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *crash = begin(pool, &moody, CRASH), *fail = begin(pool, &moody, FAIL);
    mp_outcome_t outcome;
    OK(mp_result_outcome(crash, &outcome, LONG_MS));
    ck_assert_int_eq(outcome.rc, MP_ECRASHED);
    ck_assert_int_eq(outcome.signal, SIGABRT);
    int out = 5;
    IS(mp_result_get(fail, &out, LONG_MS), MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "eleven is no good"));
    ck_assert_int_eq(out, 5);
    bool good = true;
    OK(mp_result_successful(fail, &good));
    ck_assert(!good);
    mp_result_destroy(&crash);
    mp_result_destroy(&fail);
    end(&pool);
}
END_TEST

MP_TASK_DECLARE(nobodys);
const mp_task_t nobodys = {.name = "nobodys", .in = MP_RECORD_OF(int), .out = MP_RECORD_OF(int)};

START_TEST(a_call_that_never_ran_was_nowhere)
{
    const struct {
        const mp_task_t *task;
        mp_call_options_t calls;
        mp_rc_t rc;
    } rows[] = {
        {&nobodys, {.label = "a"}, MP_ENOTASK},
        {&twice, {.needs = "gpu=1"}, MP_ENEEDS},
        {&twice, {.delay_ms = LONG_MS, .deadline_ms = 1}, MP_ETIMEDOUT},
        {&twice, {.delay_ms = LONG_MS}, MP_ECANCELLED},
    };
    mp_pool_t *pool = new_pool();
    int in = 1, out;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_result_t *result = NULL;
        mp_outcome_t outcome;
        OK(mp_pool_apply_async(pool, rows[i].task, &in,
                               &(mp_async_options_t){.calls = rows[i].calls}, &result));
        if (rows[i].rc == MP_ECANCELLED)
            OK(mp_result_cancel(result));
        OK(mp_result_outcome(result, &outcome, LONG_MS));
        ck_assert_int_eq(outcome.rc, rows[i].rc);
        ck_assert_str_eq(outcome.host, "");
        ck_assert_int_eq(outcome.pid, 0);
        mp_result_destroy(&result);
    }
    IS(mp_pool_map(pool, &nobodys, &in, 1, &out, LONG_MS), MP_ENOTASK);
    ck_assert_msg(!strstr(mp_errmsg(), ", on "), "%s", mp_errmsg());
    IS(mp_pool_apply(pool, &moody, &(int){FAIL}, &out, LONG_MS), MP_EFAILED);
    ck_assert_msg(strstr(mp_errmsg(), ", on ") != NULL, "%s", mp_errmsg());
    end(&pool);
}
END_TEST

START_TEST(bytes_of_any_length_are_submitted)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *result = NULL, *empty = NULL;
    mp_outcome_t outcome;
    OK(mp_pool_submit(pool, &echo, (mp_bytes_t){"hello", 5}, NULL, &result));
    OK(mp_pool_submit(pool, &echo, (mp_bytes_t){NULL, 0}, NULL, &empty));
    OK(mp_result_outcome(result, &outcome, LONG_MS));
    ck_assert(outcome.value.size == 5 && memcmp(outcome.value.data, "hello", 5) == 0);
    OK(mp_result_outcome(empty, &outcome, LONG_MS));
    ck_assert(outcome.rc == MP_OK && outcome.value.size == 0);
    int number;
    IS(mp_result_get(result, &number, 0), MP_EINVAL);
    mp_result_destroy(&result);
    mp_result_destroy(&empty);
    IS(mp_pool_submit(pool, &twice, (mp_bytes_t){"x", 1}, NULL, &result), MP_EINVAL);
    IS(mp_pool_apply_async(pool, &echo, "x", NULL, &result), MP_EINVAL);
    ck_assert_ptr_null(result);
    end(&pool);
}
END_TEST

START_TEST(waits_end_in_time_and_cancel_ends_calls)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *all[4];
    for (int i = 0; i < 4; i++) /* two run, two are queued */
        all[i] = begin(pool, &moody, SPIN);
    int out;
    bool good;
    IS(mp_result_get(all[0], &out, 30), MP_ETIMEDOUT);
    ck_assert(!mp_result_ready(all[0]));
    IS(mp_result_successful(all[0], &good), MP_ESTATE);
    for (int i = 3; i >= 0; i--) {
        OK(mp_result_cancel(all[i]));
        IS(mp_result_get(all[i], &out, LONG_MS), MP_ECANCELLED);
        mp_result_destroy(&all[i]);
    }
    mp_result_t *next = begin(pool, &twice, 4);
    OK(mp_result_get(next, &out, LONG_MS));
    ck_assert_int_eq(out, 8);
    mp_result_destroy(&next);
    mp_result_t *dropped = begin(pool, &moody, SPIN);
    mp_result_destroy(&dropped); /* cancels it: else the next one might wait for ever */
    dropped = begin(pool, &moody, SPIN);
    mp_result_destroy(&dropped);
    next = begin(pool, &twice, 5);
    OK(mp_result_get(next, &out, LONG_MS));
    mp_result_destroy(&next);
    end(&pool);
}
END_TEST

START_TEST(what_was_cancelled_is_not_left_to_run)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *naps[PROCESSES], *spins[PROCESSES], *next[PROCESSES];
    int out;
    for (int i = 0; i < PROCESSES; i++)
        naps[i] = begin(pool, &nap_ms, 200);
    for (int i = 0; i < PROCESSES; i++) /* behind those, at their workers */
        spins[i] = begin(pool, &moody, SPIN);
    for (int i = 0; i < PROCESSES; i++)
        OK(mp_result_cancel(spins[i]));
    for (int i = 0; i < PROCESSES; i++)
        next[i] = begin(pool, &twice, i);
    for (int i = 0; i < PROCESSES; i++) {
        OK(mp_result_get(naps[i], &out, LONG_MS));
        IS(mp_result_get(spins[i], &out, 0), MP_ECANCELLED);
        OK(mp_result_get(next[i], &out, LONG_MS));
        ck_assert_int_eq(out, 2 * i);
        mp_result_destroy(&naps[i]);
        mp_result_destroy(&spins[i]);
        mp_result_destroy(&next[i]);
    }
    end(&pool);
}
END_TEST

static bool is_ready(void *arg)
{
    return mp_result_ready(arg);
}

START_TEST(things_move_while_nobody_waits)
{
    enum { MANY = 1000 };
    static mp_result_t *all[MANY];
    mp_pool_t *pool = new_pool();
    for (int i = 0; i < MANY; i++)
        all[i] = begin(pool, &twice, i);
    for (int i = 0; i < MANY; i++)
        ck_assert(harness_wait(is_ready, all[i]));
    for (int i = 0; i < MANY; i++) {
        int out = 0;
        OK(mp_result_get(all[i], &out, 0));
        ck_assert_int_eq(out, 2 * i);
        mp_result_destroy(&all[i]);
    }
    end(&pool);
}
END_TEST

/* ---- maps ---------------------------------------------------------------------------------------
 */

START_TEST(a_map_goes_on_in_the_background)
{
    enum { MANY = 10000 };
    static int in[MANY], out[MANY];
    static mp_rc_t rcs[MANY];
    mp_pool_t *pool = new_pool();
    for (int i = 0; i < MANY; i++)
        in[i] = i;
    mp_result_t *result = NULL, *none = NULL;
    OK(mp_pool_map_async(pool, &moody, in, 10, out, &(mp_async_options_t){.rcs = rcs}, &result));
    mp_result_destroy(&result); /* whatever it did by now */
    in[SPIN] = 0;
    OK(mp_pool_map_async(pool, &moody, in, MANY, out, &(mp_async_options_t){.rcs = rcs}, &result));
    IS(mp_result_get(result, NULL, LONG_MS), MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "call 11"));
    size_t done, total;
    mp_result_progress(result, &done, &total);
    ck_assert(done == MANY && total == MANY);
    for (int i = 0; i < MANY; i++) {
        mp_rc_t rc = i == FAIL ? MP_EFAILED : i == CRASH ? MP_ECRASHED : MP_OK;
        ck_assert_int_eq(rcs[i], rc);
        ck_assert_int_eq(out[i], rc == MP_OK ? in[i] : 0);
    }
    mp_outcome_t outcome;
    IS(mp_result_outcome(result, &outcome, 0), MP_EINVAL);
    IS(mp_result_get(result, out, 0), MP_EINVAL);
    mp_result_destroy(&result);
    OK(mp_pool_map_async(pool, &twice, NULL, 0, NULL, NULL, &none));
    ck_assert(mp_result_ready(none));
    OK(mp_result_get(none, NULL, 0));
    mp_result_destroy(&none);
    end(&pool);
}
END_TEST

/* ---- callbacks ----------------------------------------------------------------------------------
 */

typedef struct tally {
    atomic_int good, bad, sum, order;
    pthread_t thread;
} tally_t;

static void on_good(void *arg, mp_result_t *result)
{
    tally_t *tally = arg;
    int value = 0;
    tally->thread = pthread_self();
    OK(mp_result_get(result, &value, 0));
    atomic_fetch_add(&tally->sum, value);
    atomic_fetch_add(&tally->good, 1);
}

static void on_bad(void *arg, mp_result_t *result)
{
    tally_t *tally = arg;
    mp_outcome_t outcome;
    OK(mp_result_outcome(result, &outcome, 0));
    ck_assert_int_ne(outcome.rc, MP_OK);
    atomic_fetch_add(&tally->bad, 1);
}

START_TEST(callbacks_run_in_a_thread_of_their_own)
{
    mp_pool_t *pool = new_pool();
    tally_t tally = {0};
    mp_async_options_t options = {.callback = on_good, .error_callback = on_bad, .arg = &tally};
    for (int i = 0; i < 500; i++) { /* nobody keeps these */
        int in = i == 100 ? FAIL : 1;
        OK(mp_pool_apply_async(pool, &moody, &in, &options, NULL));
    }
    IS(mp_pool_join(pool, 0), MP_ESTATE);
    mp_pool_close(pool);
    int in = 1;
    mp_result_t *result = NULL;
    IS(mp_pool_apply_async(pool, &moody, &in, NULL, &result), MP_ECLOSED);
    IS(mp_pool_map(pool, &moody, &in, 1, &in, LONG_MS), MP_ECLOSED);
    mp_job_t *job = NULL;
    IS(mp_job_new(pool, &moody, NULL, &job), MP_ECLOSED);
    OK(mp_pool_join(pool, LONG_MS)); /* the callbacks too */
    ck_assert_int_eq(tally.good, 499);
    ck_assert_int_eq(tally.sum, 499);
    ck_assert_int_eq(tally.bad, 1);
    ck_assert(!pthread_equal(tally.thread, pthread_self()));
    end(&pool);
}
END_TEST

static atomic_int begun_another;

static void begin_another(void *arg, mp_result_t *result)
{
    mp_pool_t **pools = arg;
    int value = 0, out;
    mp_result_t *next = NULL;
    OK(mp_result_get(result, &value, 0));
    OK(mp_pool_apply_async(pools[0], &twice, &value, NULL, &next));
    OK(mp_result_get(next, &out, LONG_MS));
    ck_assert_int_eq(out, 4 * 3);
    mp_result_destroy(&next);
    atomic_store(&begun_another, 1);
}

static bool has_begun_another(void *arg)
{
    (void)arg;
    return atomic_load(&begun_another);
}

START_TEST(a_callback_may_use_its_pool)
{
    mp_pool_t *pools[1] = {new_pool()};
    mp_async_options_t options = {.callback = begin_another, .arg = pools};
    int in = 3;
    OK(mp_pool_apply_async(pools[0], &twice, &in, &options, NULL));
    ck_assert(harness_wait(has_begun_another, pools));
    mp_pool_close(pools[0]);
    OK(mp_pool_join(pools[0], LONG_MS));
    end(&pools[0]);
}
END_TEST

/* ---- several ------------------------------------------------------------------------------------
 */

START_TEST(several_are_waited_for)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *all[3] = {begin(pool, &moody, SPIN), begin(pool, &moody, 1),
                           begin(pool, &moody, FAIL)};
    OK(mp_result_wait(all, 3, MP_FIRST_COMPLETED, LONG_MS));
    ck_assert(mp_result_ready(all[1]) || mp_result_ready(all[2]));
    OK(mp_result_wait(all, 3, MP_FIRST_FAILED, LONG_MS));
    ck_assert(mp_result_ready(all[2]));
    IS(mp_result_wait(all, 3, MP_ALL_COMPLETED, 30), MP_ETIMEDOUT);
    bool seen[3] = {false};
    size_t index;
    for (int i = 0; i < 2; i++) {
        OK(mp_as_completed(all, 3, &index, LONG_MS));
        ck_assert(index > 0 && !seen[index]);
        seen[index] = true;
    }
    IS(mp_as_completed(all, 3, &index, 30), MP_ETIMEDOUT);
    OK(mp_result_cancel(all[0]));
    OK(mp_as_completed(all, 3, &index, LONG_MS));
    ck_assert_uint_eq(index, 0);
    IS(mp_as_completed(all, 3, &index, LONG_MS), MP_EOF);
    OK(mp_result_wait(all, 3, MP_ALL_COMPLETED, 0));
    OK(mp_result_wait(NULL, 0, MP_ALL_COMPLETED, 0));
    for (int i = 0; i < 3; i++)
        mp_result_destroy(&all[i]);
    end(&pool);
}
END_TEST

/* ---- imap ---------------------------------------------------------------------------------------
 */

typedef struct source {
    int next, end;
    mp_rc_t at_end;
    int value;
    const char *bytes; /* instead of numbers */
    size_t size;
} source_t;

static mp_rc_t give(void *arg, mp_bytes_t *input)
{
    source_t *source = arg;
    if (source->next == source->end)
        return source->at_end;
    source->value = source->next++;
    *input = source->bytes ? (mp_bytes_t){source->bytes, source->size}
                           : (mp_bytes_t){&source->value, sizeof source->value};
    return MP_OK;
}

START_TEST(an_imap_asks_for_what_there_is_room_for)
{
    mp_pool_t *pool = new_pool();
    mp_imap_t *imap = NULL;
    mp_outcome_t outcome;
    source_t source = {.end = -1}; /* endless */
    mp_call_options_t options = {.window = 10};
    OK(mp_pool_imap(pool, &twice, give, &source, &options, &imap));
    ck_assert_int_eq(source.next, 0);
    for (int i = 0; i < 1000; i++) {
        OK(mp_imap_next(imap, &outcome, LONG_MS));
        ck_assert_uint_eq(outcome.index, i);
        ck_assert_int_eq(*(const int *)outcome.value.data, 2 * i);
        ck_assert_int_le(source.next, i + 12); /* the window, and one in the hand */
    }
    mp_imap_destroy(&imap);
    mp_imap_destroy(&imap);
    source = (source_t){.end = 500, .at_end = MP_EOF};
    bool seen[500] = {false};
    OK(mp_pool_imap_unordered(pool, &moody, give, &source, &options, &imap));
    source.next = SPIN + 1;
    for (int i = SPIN + 1; i < 500; i++) {
        OK(mp_imap_next(imap, &outcome, LONG_MS));
        ck_assert(outcome.rc == MP_OK && !seen[*(const int *)outcome.value.data]);
        seen[*(const int *)outcome.value.data] = true;
    }
    IS(mp_imap_next(imap, &outcome, LONG_MS), MP_EOF);
    IS(mp_imap_next(imap, &outcome, 0), MP_EOF);
    mp_imap_destroy(&imap);
    end(&pool);
}
END_TEST

START_TEST(a_failing_input_is_told_in_its_place)
{
    mp_pool_t *pool = new_pool();
    mp_imap_t *imap = NULL;
    mp_outcome_t outcome;
    source_t source = {.end = 30, .at_end = MP_ESYSTEM};
    OK(mp_pool_imap(pool, &moody, give, &source, NULL, &imap));
    source.next = FAIL;
    for (int i = 0; i < 3; i++) { /* 11 fails, 12 is good, 13 crashes: each in its place */
        OK(mp_imap_next(imap, &outcome, LONG_MS));
        static const mp_rc_t wanted[] = {MP_EFAILED, MP_OK, MP_ECRASHED};
        ck_assert_int_eq(outcome.rc, wanted[i]);
        ck_assert_uint_eq(outcome.index, i);
    }
    mp_imap_destroy(&imap); /* one spins */
    source = (source_t){.next = 100, .end = 105, .at_end = MP_ESYSTEM};
    OK(mp_pool_imap(pool, &moody, give, &source,
                    &(mp_call_options_t){.window = 2, .label = "those"}, &imap));
    for (int i = 0; i < 5; i++) {
        OK(mp_imap_next(imap, &outcome, LONG_MS));
        ck_assert_int_eq(outcome.rc, MP_OK);
    }
    OK(mp_imap_next(imap, &outcome, LONG_MS));
    ck_assert_int_eq(outcome.rc, MP_ESYSTEM);
    ck_assert_uint_eq(outcome.index, 5);
    ck_assert_str_eq(outcome.message, "the input ended with MP_ESYSTEM");
    ck_assert_str_eq(outcome.task, "moody");
    ck_assert_str_eq(outcome.label, "those");
    ck_assert(!*outcome.host && !*outcome.error_output && !*outcome.backtrace);
    IS(mp_imap_next(imap, &outcome, LONG_MS), MP_EOF);
    mp_imap_destroy(&imap);
    source = (source_t){.end = 3, .bytes = "wrong size", .size = 10};
    OK(mp_pool_imap(pool, &moody, give, &source, NULL, &imap));
    OK(mp_imap_next(imap, &outcome, LONG_MS));
    ck_assert_int_eq(outcome.rc, MP_EINVAL);
    IS(mp_imap_next(imap, &outcome, LONG_MS), MP_EOF);
    mp_imap_destroy(&imap);
    IS(mp_pool_imap(pool, &moody, NULL, NULL, NULL, &imap), MP_EINVAL);
    end(&pool);
}
END_TEST

START_TEST(results_are_waited_for_beside_other_things)
{
    mp_pool_t *pool = new_pool();
    mp_result_t *slow = begin(pool, &moody, SPIN), *quick = begin(pool, &nap_ms, 50);
    mp_queue_t *queue = NULL;
    OK(mp_queue_new(NULL, &queue));
    mp_waitable_t things[] = {{.result = slow}, {.result = quick}, {.queue = queue}};
    OK(mp_wait(things, 3, LONG_MS, NULL));
    ck_assert(!things[0].ready && things[1].ready && !things[2].ready);
    OK(mp_queue_put(queue, "x", 1, 0));
    things[1] = things[0];
    OK(mp_wait(things, 3, LONG_MS, NULL));
    ck_assert(!things[0].ready && things[2].ready);
    OK(mp_result_cancel(slow));
    OK(mp_wait(things, 1, LONG_MS, NULL));
    ck_assert(things[0].ready);
    mp_queue_destroy(&queue);
    mp_result_destroy(&slow);
    mp_result_destroy(&quick);
    end(&pool);
}
END_TEST

/* ---- the end ------------------------------------------------------------------------------------
 */

START_TEST(terminate_ends_all_that_is_queued)
{
    enum { MANY = 10000 };
    static mp_result_t *all[MANY];
    mp_pool_t *pool = new_pool();
    tally_t tally = {0};
    mp_async_options_t options = {.callback = on_good, .error_callback = on_bad, .arg = &tally};
    int in = SPIN, out;
    for (int i = 0; i < MANY; i++)
        OK(mp_pool_apply_async(pool, &moody, &in, &options, &all[i]));
    if (_i)
        mp_pool_terminate(pool);
    else
        end(&pool);
    for (int i = 0; i < MANY; i++)
        IS(mp_result_get(all[i], &out, 0), MP_ECANCELLED);
    if (_i) {
        OK(mp_pool_join(pool, LONG_MS));
        IS(mp_pool_apply_async(pool, &moody, &in, NULL, &all[0]), MP_ECLOSED);
        ck_assert_int_eq(mp_pool_processes(pool), 0);
        end(&pool);
    }
    ck_assert_int_eq(tally.bad, MANY);
    for (int i = 0; i < MANY; i++)
        mp_result_destroy(&all[i]);
}
END_TEST

static void *use_pool(void *arg)
{
    mp_pool_t *pool = arg;
    for (int i = 0; i < 300; i++) {
        mp_result_t *result = begin(pool, &twice, i);
        int out = 0;
        OK(mp_result_get(result, &out, LONG_MS));
        ck_assert_int_eq(out, 2 * i);
        mp_result_destroy(&result);
    }
    return NULL;
}

START_TEST(threads_share_it)
{
    pthread_t threads[4];
    mp_pool_t *pool = new_pool();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_pool, pool), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    end(&pool);
}
END_TEST

static int count_entries(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

START_TEST(neither_threads_nor_descriptors_are_left)
{
    int threads = 0, fds = 0;
    for (int i = 0; i < 5; i++) {
        mp_pool_t *pool = NULL;
        const char *broker = i ? NULL : harness_broker(PROCESSES);
        (void)broker;
        OK(mp_pool_new(&(mp_pool_options_t){.processes = 1, .broker = "local"}, &pool));
        tally_t tally = {0};
        mp_async_options_t options = {.callback = on_good, .arg = &tally};
        int in = 1;
        OK(mp_pool_apply_async(pool, &twice, &in, &options, NULL));
        mp_pool_close(pool);
        OK(mp_pool_join(pool, LONG_MS));
        mp_pool_destroy(&pool);
        usleep(10000);
        if (i == 1) {
            threads = count_entries("/proc/self/task");
            fds = count_entries("/proc/self/fd");
        }
    }
    ck_assert_int_le(count_entries("/proc/self/task"), threads);
    ck_assert_int_le(count_entries("/proc/self/fd"), fds);
    harness_end();
}
END_TEST

/* ---- workers: of this host
 * ----------------------------------------------------------------------- */

static int prepared;

static int prepare(void *arg)
{
    prepared = *(int *)arg;
    return prepared == FAIL ? 3 : 0;
}

MP_TASK(read_prepared, int, int)
{
    *out = prepared;
    return MP_OK;
}

MP_TASK(read_pid, int, int)
{
    *out = getpid();
    return MP_OK;
}

static mp_rc_t new_local(mp_pool_options_t options, mp_pool_t **pool)
{
    options.broker = "local";
    return mp_pool_new(&options, pool);
}

START_TEST(an_initializer_prepares_each_worker)
{
    mp_pool_t *pool = NULL;
    int value = 42, in = 0, out = 0;
    mp_pool_options_t options = {.processes = 2, .initializer = prepare, .initializer_arg = &value};
    OK(new_local(options, &pool));
    for (int i = 0; i < 20; i++) {
        OK(mp_pool_apply(pool, &read_prepared, &in, &out, LONG_MS));
        ck_assert_int_eq(out, 42);
        in = CRASH; /* its replacement as well */
        if (i == 10)
            IS(mp_pool_apply(pool, &moody, &in, &out, LONG_MS), MP_ECRASHED);
    }
    mp_pool_destroy(&pool);
    value = FAIL;
    IS(new_local(options, &pool), MP_EFAILED);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "the initializer returned 3"));
    ck_assert_ptr_null(pool);
    options.broker = "tcp://127.0.0.1:1";
    IS(mp_pool_new(&options, &pool), MP_EINVAL);
}
END_TEST

START_TEST(workers_retire_after_their_calls)
{
    enum { MANY = 400 };
    static int in[MANY], out[MANY];
    static const int limits[] = {1, 7, 300};
    mp_pool_t *pool = NULL;
    OK(new_local((mp_pool_options_t){.processes = 2, .max_calls_per_worker = limits[_i]}, &pool));
    for (int chunk = 0; chunk < 20; chunk += 13) {
        mp_call_options_t options = {.chunksize = chunk};
        OK(mp_pool_map_with(pool, &read_pid, in, MANY, out, NULL, &options, 3 * LONG_MS));
        for (int i = 0; i < MANY; i++) { /* none ran more than it may */
            int same = 0;
            for (int k = 0; k < MANY; k++)
                same += out[k] == out[i];
            ck_assert_int_le(same, limits[_i]);
        }
    }
    in[0] = CRASH;
    IS(mp_pool_apply(pool, &moody, &in[0], &out[0], LONG_MS), MP_ECRASHED); /* charged as ever */
    mp_pool_destroy(&pool);
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
    tcase_add_test(all, a_value_is_got_as_often_as_wanted);
    tcase_add_test(all, a_call_tells_how_it_ended);
    tcase_add_test(all, a_call_that_never_ran_was_nowhere);
    tcase_add_test(all, bytes_of_any_length_are_submitted);
    tcase_add_test(all, waits_end_in_time_and_cancel_ends_calls);
    tcase_add_test(all, what_was_cancelled_is_not_left_to_run);
    tcase_add_test(all, things_move_while_nobody_waits);
    tcase_add_test(all, a_map_goes_on_in_the_background);
    tcase_add_test(all, callbacks_run_in_a_thread_of_their_own);
    tcase_add_test(all, a_callback_may_use_its_pool);
    tcase_add_test(all, several_are_waited_for);
    tcase_add_test(all, an_imap_asks_for_what_there_is_room_for);
    tcase_add_test(all, a_failing_input_is_told_in_its_place);
    tcase_add_test(all, results_are_waited_for_beside_other_things);
    tcase_add_loop_test(all, terminate_ends_all_that_is_queued, 0, 2);
    tcase_add_test(all, threads_share_it);
    tcase_add_test(all, neither_threads_nor_descriptors_are_left);
    if (strcmp(harness_where, "local") == 0) {
        tcase_add_test(all, an_initializer_prepares_each_worker);
        tcase_add_loop_test(all, workers_retire_after_their_calls, 0, 3);
    }
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
