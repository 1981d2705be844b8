/* parallel_for: every index once, whoever fails, crashes, exits or is killed. */
#include "suite.h"

#include <mp/mp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 20000 };

typedef struct board {
    atomic_int seen[N];
    atomic_int killed;
    int offset;
    pid_t parent;
} board_t;

static board_t *new_board(void)
{
    board_t *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(board, MAP_FAILED);
    board->parent = getpid();
    return board;
}

/* All below n once. */
static void check(const board_t *board, size_t n)
{
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(board->seen[i], i < n);
}

static int mark(size_t index, void *arg)
{
    board_t *board = arg;
    atomic_fetch_add(&board->seen[index], 1);
    return getpid() == board->parent;
}

START_TEST(every_index_runs_once)
{
    static const size_t sizes[] = {0, 1, 2, 7, 1000, N};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int processes = 1; processes < 10; processes += 4) {
            board_t *board = new_board();
            mp_parallel_options_t options = {.processes = processes, .chunksize = i % 2 ? 3 : 0};
            ck_assert_int_eq(mp_parallel_for_with(sizes[i], mark, board, &options), MP_OK);
            check(board, sizes[i]);
            munmap(board, sizeof *board);
        }
    board_t *board = new_board();
    ck_assert_int_eq(mp_parallel_for(N, mark, board), MP_OK);
    check(board, N);
}
END_TEST

static int read_memory(size_t index, void *arg)
{
    const int *numbers = *(int **)arg;
    return numbers[index] == (int)index * 3 ? 0 : 1;
}

START_TEST(the_callers_memory_is_seen)
{
    int *numbers = malloc(1000 * sizeof *numbers);
    for (int i = 0; i < 1000; i++)
        numbers[i] = i * 3;
    ck_assert_int_eq(mp_parallel_for(1000, read_memory, &numbers), MP_OK);
    free(numbers);
}
END_TEST

static int misbehave(size_t index, void *arg)
{
    (void)mark(index, arg);
    if (index == 700)
        abort();
    if (index == 900)
        exit(3);
    if (index == 901)
        exit(0);
    return index >= 600 && index % 100 == 50 ? 7 : 0;
}

START_TEST(failures_and_crashes_cost_their_index)
{
    board_t *board = new_board();
    ck_assert_int_eq(mp_parallel_for(N, misbehave, board), MP_EFAILED);
    ck_assert_str_eq(mp_errmsg(), "parallel_for: index 650 returned 7");
    check(board, N);
    munmap(board, sizeof *board);
}
END_TEST

static int crash_early(size_t index, void *arg)
{
    (void)mark(index, arg);
    if (index == 5)
        raise(SIGSEGV);
    if (index == 6)
        exit(0);
    return 0;
}

START_TEST(a_crash_is_told)
{
    board_t *board = new_board();
    mp_parallel_options_t options = {.processes = 3};
    ck_assert_int_eq(mp_parallel_for_with(100, crash_early, board, &options), MP_ECRASHED);
    ck_assert_str_eq(mp_errmsg(), "parallel_for: index 5: killed by signal 11");
    check(board, 100);
    munmap(board, sizeof *board);
}
END_TEST

static int kill_itself_often(size_t index, void *arg)
{
    (void)mark(index, arg);
    if (index % 97 == 0)
        kill(getpid(), SIGKILL);
    return 0;
}

START_TEST(many_deaths_are_survived)
{
    board_t *board = new_board();
    mp_parallel_options_t options = {.processes = 4};
    ck_assert_int_eq(mp_parallel_for_with(2000, kill_itself_often, board, &options), MP_ECRASHED);
    check(board, 2000);
    munmap(board, sizeof *board);
}
END_TEST

static int hang(size_t index, void *arg)
{
    (void)arg;
    while (index == 3)
        pause();
    return 0;
}

START_TEST(it_ends_in_time)
{
    mp_parallel_options_t options = {.processes = 2, .timeout_ms = 100};
    ck_assert_int_eq(mp_parallel_for_with(10, hang, NULL, &options), MP_ETIMEDOUT);
    mp_process_t *left[4];
    ck_assert_uint_eq(mp_active_children(left, 4), 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    ck_assert_int_eq(mp_parallel_for(10, NULL, NULL), MP_EINVAL);
    mp_parallel_options_t options = {.processes = -1};
    ck_assert_int_eq(mp_parallel_for_with(10, hang, NULL, &options), MP_EINVAL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_index_runs_once,
                                  the_callers_memory_is_seen,
                                  failures_and_crashes_cost_their_index,
                                  a_crash_is_told,
                                  many_deaths_are_survived,
                                  it_ends_in_time,
                                  nonsense_is_refused,
                                  NULL};
    return suite_run_with(NULL, "parallel", tests, 60);
}
