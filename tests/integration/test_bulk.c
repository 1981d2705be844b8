/* test_bulk: records that are too large for a lane's ring, over executors of this host and over a
 * broker. Usage: test_bulk local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <mp/mp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 60000, PROCESSES = 2 };

/* Sizes around the bounds at which a chunk's way changes, and far beyond them. The first word says
 * what is to be done. */
enum { WORK = 1, FAIL, CRASH, SPIN, DIRTY };

#define SIZE(name, words)                                                                          \
    typedef struct name {                                                                          \
        unsigned word[words];                                                                      \
    } name##_t;                                                                                    \
    MP_TASK(do_##name, name##_t, name##_t)                                                         \
    {                                                                                              \
        return work(call, in->word, out->word, words);                                             \
    }

static int work(mp_call_t *call, const unsigned *in, unsigned *out, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (out[i])
            return mp_call_fail(call, DIRTY, "word %zu of the result isn't zero", i);
    for (size_t i = 0; i < words; i++)
        out[i] = in[i] * 3 + 1;
    if (in[0] == FAIL)
        return mp_call_fail(call, FAIL, "as was asked for");
    if (in[0] == CRASH && mp_call_attempt(call) == 1)
        abort();
    while (in[0] == SPIN)
        usleep(1000);
    return MP_OK;
}

SIZE(k16, 4096)
SIZE(k16_more, 4097)
SIZE(k64, 16384)
SIZE(k64_more, 16385)
SIZE(k300, 300 * 256)
SIZE(m5, 5 * 1024 * 256)

typedef struct small_in {
    unsigned seed;
} small_in_t;
typedef struct wide {
    _Alignas(128) unsigned word[8192];
} wide_t;

MP_TASK(widen, small_in_t, k300_t)
{
    for (size_t i = 0; i < sizeof out->word / sizeof *out->word; i++)
        out->word[i] = in->seed + (unsigned)i;
    return MP_OK;
}

MP_TASK(narrow, k300_t, unsigned)
{
    for (size_t i = 0; i < sizeof in->word / sizeof *in->word; i++)
        *out += in->word[i];
    return MP_OK;
}

MP_TASK(aligned, wide_t, wide_t)
{
    if ((uintptr_t)in % 128 || (uintptr_t)out % 128)
        return mp_call_fail(call, 1, "not aligned");
    for (size_t i = 0; i < 8192; i++)
        out->word[i] = in->word[i] + 1;
    return MP_OK;
}

MP_TASK_FILLS(fill, k300_t, k300_t)
{
    *out = *in;
    return MP_OK;
}

static mp_pool_t *new_pool(void)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(PROCESSES);
    OK(mp_pool_new(
        &(mp_pool_options_t){.processes = PROCESSES, .broker = broker ? broker : "local"}, &pool));
    return pool;
}

static void end(mp_pool_t **pool)
{
    mp_pool_destroy(pool);
    harness_end();
}

/* Arrays that are shared or not; `apart` bytes of them are not the arrays'. */
typedef struct arrays {
    const mp_task_t *task;
    size_t n;
    bool shared;
    unsigned char *in_memory, *out_memory;
    unsigned *in, *out;
} arrays_t;

static unsigned char *get(bool shared, size_t bytes)
{
    unsigned char *memory = shared ? mp_alloc(bytes) : malloc(bytes);
    ck_assert_ptr_nonnull(memory);
    memset(memory, 0xEE, bytes);
    return memory;
}

static arrays_t make(const mp_task_t *task, size_t n, bool shared, size_t apart)
{
    arrays_t self = {.task = task, .n = n, .shared = shared};
    self.in_memory = get(shared, apart + n * task->in.bytes);
    self.out_memory = get(shared, apart + n * task->out.bytes + apart);
    self.in = (unsigned *)(void *)(self.in_memory + apart);
    self.out = (unsigned *)(void *)(self.out_memory + apart);
    for (size_t i = 0; i < n * task->in.bytes / sizeof(unsigned); i++)
        self.in[i] = WORK + (unsigned)(i * 2654435761U >> 8) * 8;
    return self;
}

static void discard(arrays_t *self)
{
    if (self->shared) {
        mp_free(self->in_memory);
        mp_free(self->out_memory);
        return;
    }
    free(self->in_memory);
    free(self->out_memory);
}

static unsigned *first_word(unsigned *array, const mp_task_t *task, size_t i)
{
    return array + i * (task->in.bytes / sizeof(unsigned));
}

static void check(const arrays_t *self, size_t i)
{
    size_t words = self->task->in.bytes / sizeof(unsigned);
    size_t k = i * words;
    while (k < (i + 1) * words && self->out[k] == self->in[k] * 3 + 1)
        k++;
    ck_assert_uint_eq(k, (i + 1) * words);
}

static const struct {
    const mp_task_t *task;
    size_t n;
} sizes[] = {{&do_k16, 40},      {&do_k16_more, 40}, {&do_k64, 20},
             {&do_k64_more, 20}, {&do_k300, 12},     {&do_m5, 5}};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(each_size_goes_there_and_back)
{
    mp_pool_t *pool = new_pool();
    for (int chunk = 0; chunk < 4; chunk += chunk + 1) {
        for (int shared = 0; shared < 2; shared++) {
            arrays_t all = make(sizes[_i].task, sizes[_i].n, shared, shared ? 64 : 0);
            mp_call_options_t options = {.chunksize = chunk};
            OK(mp_pool_map_with(pool, all.task, all.in, all.n, all.out, NULL, &options, LONG_MS));
            for (size_t i = 0; i < all.n; i++)
                check(&all, i);
            if (shared) /* beside the array nothing was written */
                ck_assert_uint_eq(all.out_memory[63], 0xEE);
            discard(&all);
        }
    }
    end(&pool);
}
END_TEST

START_TEST(what_fails_or_crashes_costs_itself)
{
    mp_pool_t *pool = new_pool();
    for (int shared = 0; shared < 2; shared++) {
        arrays_t all = make(sizes[_i].task, sizes[_i].n, shared, 0);
        mp_rc_t rcs[64];
        *first_word(all.in, all.task, 1) = FAIL;
        *first_word(all.in, all.task, 3) = CRASH;
        mp_call_options_t options = {.chunksize = 5};
        IS(mp_pool_map_with(pool, all.task, all.in, all.n, all.out, rcs, &options, LONG_MS),
           MP_EFAILED);
        for (size_t i = 0; i < all.n; i++) {
            mp_rc_t expected = i == 1 ? MP_EFAILED : i == 3 ? MP_ECRASHED : MP_OK;
            ck_assert_int_eq(rcs[i], expected);
            if (expected == MP_OK)
                check(&all, i);
            else
                ck_assert_uint_eq(*first_word(all.out, all.task, i), 0);
        }
        *first_word(all.in, all.task, 1) = WORK;
        options.retries = 1; /* what the first attempt wrote must not be seen by the second */
        OK(mp_pool_map_with(pool, all.task, all.in, all.n, all.out, rcs, &options, LONG_MS));
        for (size_t i = 0; i < all.n; i++)
            check(&all, i);
        discard(&all);
    }
    end(&pool);
}
END_TEST

START_TEST(one_side_alone_may_be_large)
{
    enum { N = 30 };
    mp_pool_t *pool = new_pool();
    for (int shared = 0; shared < 2; shared++) {
        unsigned char *large = get(shared, N * sizeof(k300_t));
        small_in_t seeds[N];
        unsigned sums[N];
        for (unsigned i = 0; i < N; i++)
            seeds[i].seed = i;
        k300_t *records = (k300_t *)(void *)large;
        OK(mp_pool_map(pool, &widen, seeds, N, records, LONG_MS));
        OK(mp_pool_map(pool, &narrow, records, N, sums, LONG_MS));
        for (unsigned i = 0; i < N; i++) {
            unsigned sum = 0;
            for (unsigned k = 0; k < 300 * 256; k++)
                sum += i + k;
            ck_assert_uint_eq(sums[i], sum);
        }
        if (shared)
            mp_free(large);
        else
            free(large);
    }
    end(&pool);
}
END_TEST

START_TEST(alignment_is_kept)
{
    enum { N = 9 };
    mp_pool_t *pool = new_pool();
    for (int shared = 0; shared < 2; shared++) {
        size_t bytes = (N + 1) * sizeof(wide_t);
        unsigned char *memory[2] = {get(shared, bytes), get(shared, bytes)};
        wide_t *at[2];
        for (int i = 0; i < 2; i++)
            at[i] = (wide_t *)(((uintptr_t)memory[i] + 127) / 128 * 128);
        OK(mp_pool_map(pool, &aligned, at[0], N, at[1], LONG_MS));
        for (size_t i = 0; i < N; i++)
            ck_assert_uint_eq(at[1][i].word[8191], at[0][i].word[8191] + 1);
        for (int i = 0; i < 2; i++)
            if (shared)
                mp_free(memory[i]);
            else
                free(memory[i]);
    }
    end(&pool);
}
END_TEST

/* Freed while a worker still writes to it: nobody else may get that memory before it has ended. */
START_TEST(memory_is_not_given_away_while_a_call_works_on_it)
{
    mp_pool_t *pool = new_pool();
    for (int round = 0; round < 10; round++) {
        arrays_t all = make(&do_k300, 4, true, 0);
        for (size_t i = 0; i < all.n; i++)
            *first_word(all.in, all.task, i) = SPIN;
        IS(mp_pool_map(pool, all.task, all.in, all.n, all.out, 50), MP_ETIMEDOUT);
        discard(&all);
        unsigned *other = mp_alloc(4 * sizeof(k300_t));
        ck_assert_ptr_nonnull(other);
        size_t zeros = 0;
        while (zeros < sizeof(k300_t) && other[zeros] == 0)
            zeros++;
        ck_assert_uint_eq(zeros, sizeof(k300_t));
        mp_free(other);
    }
    arrays_t all = make(&do_k300, 8, true, 0);
    OK(mp_pool_map(pool, all.task, all.in, all.n, all.out, LONG_MS));
    check(&all, 7);
    discard(&all);
    end(&pool);
}
END_TEST

START_TEST(single_calls_and_filling_tasks_too)
{
    mp_pool_t *pool = new_pool();
    arrays_t all = make(&fill, 6, false, 0);
    OK(mp_pool_map(pool, all.task, all.in, all.n, all.out, LONG_MS));
    ck_assert_mem_eq(all.in, all.out, all.n * sizeof(k300_t));
    mp_result_t *results[6];
    for (size_t i = 0; i < 6; i++)
        OK(mp_pool_apply_async(pool, &fill, first_word(all.in, &fill, i), NULL, &results[i]));
    for (size_t i = 0; i < 6; i++) {
        memset(all.out, 0, sizeof(k300_t));
        OK(mp_result_get(results[i], all.out, LONG_MS));
        ck_assert_mem_eq(all.out, first_word(all.in, &fill, i), sizeof(k300_t));
        mp_result_destroy(&results[i]);
    }
    discard(&all);
    end(&pool);
}
END_TEST

/* Its workers can't open the memory of such a process: large records go through the lane. */
START_TEST(a_process_that_hides_its_memory_can_send_all_the_same)
{
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 0), 0);
    mp_pool_t *pool = new_pool();
    arrays_t all = make(&do_k300, 12, true, 0);
    OK(mp_pool_map(pool, all.task, all.in, all.n, all.out, LONG_MS));
    for (size_t i = 0; i < all.n; i++)
        check(&all, i);
    discard(&all);
    end(&pool);
}
END_TEST

START_TEST(a_child_shares_what_was_allocated)
{
    unsigned *memory = mp_alloc(sizeof(k300_t));
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_eq((uintptr_t)memory % 64, 0);
    ck_assert_uint_eq(memory[77], 0);
    pid_t pid = fork();
    if (pid == 0) {
        memory[77] = 5;
        mp_free(memory); /* not its own */
        memory[78] = 6;
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_uint_eq(memory[77], 5);
    ck_assert_uint_eq(memory[78], 6);
    mp_free(memory);
    mp_free(NULL);
    ck_assert_ptr_null(mp_alloc(SIZE_MAX / 2));
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    if (argc == 2)
        harness_where = argv[1];
    Suite *suite = suite_create(harness_where);
    TCase *all = tcase_create(harness_where);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, each_size_goes_there_and_back, 0, SIZES);
    tcase_add_loop_test(all, what_fails_or_crashes_costs_itself, 0, SIZES);
    tcase_add_test(all, one_side_alone_may_be_large);
    tcase_add_test(all, alignment_is_kept);
    tcase_add_test(all, memory_is_not_given_away_while_a_call_works_on_it);
    tcase_add_test(all, single_calls_and_filling_tasks_too);
    if (strcmp(harness_where, "local") == 0)
        tcase_add_test(all, a_process_that_hides_its_memory_can_send_all_the_same);
    tcase_add_test(all, a_child_shares_what_was_allocated);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
