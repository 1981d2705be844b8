/* Memory that processes share. */
#include "arena.h"
#include "child_kit.h"
#include "life.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KIND = 7 };

static mpx_block_t *block_of(size_t bytes)
{
    mpx_block_t *block = NULL;
    ck_assert_int_eq(mpx_block_new(KIND, bytes, &block), MP_OK);
    return block;
}

static bool is_filled(const mpx_block_t *block, unsigned char with)
{
    const unsigned char *data = mpx_block_data(block);
    for (size_t i = 0; i < mpx_block_bytes(block); i++)
        if (data[i] != with)
            return false;
    return true;
}

START_TEST(zeroed_aligned_and_apart)
{
    enum { COUNT = 200 };
    mpx_block_t *blocks[COUNT];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = block_of(i * 37);
            ck_assert_uint_eq((uintptr_t)mpx_block_data(blocks[i]) % 64, 0);
            ck_assert(is_filled(blocks[i], 0));
            memset(mpx_block_data(blocks[i]), (int)i + 1, mpx_block_bytes(blocks[i]));
        }
        for (size_t i = 0; i < COUNT; i++)
            ck_assert(is_filled(blocks[i], (unsigned char)(i + 1)));
        for (size_t i = 0; i < COUNT; i++)
            mpx_block_free(blocks[(i * 71) % COUNT]);
    }
}
END_TEST

/* What is given back grows together, is used again, and goes back to the kernel. */
START_TEST(hundred_thousand_operations_leave_nothing)
{
    enum { COUNT = 500 };
    mpx_block_t *blocks[COUNT] = {0};
    unsigned seed = 5;
    long before = 0;
    for (int i = 0; i < 100000; i++) {
        size_t at = (size_t)rand_r(&seed) % COUNT;
        if (blocks[at]) {
            mpx_block_free(blocks[at]);
            blocks[at] = NULL;
        } else {
            blocks[at] = block_of((size_t)rand_r(&seed) % (rand_r(&seed) % 50 ? 300 : 60000));
        }
        if (i == 20000)
            before = resident_kib();
    }
#ifdef MP_SANITIZED /* which keeps what was freed for a while */
    (void)before;
#else
    ck_assert_int_lt(resident_kib(), before + 4096);
#endif
    for (size_t at = 0; at < COUNT; at++)
        mpx_block_free(blocks[at]);
    mpx_arena_counts_t counts;
    mpx_arena_counts(&counts);
    ck_assert_uint_eq(counts.blocks, 0);
    ck_assert_uint_eq(counts.block_bytes, 0);
    ck_assert_uint_le(counts.segments, 1);
    ck_assert_uint_eq(counts.spans, counts.segments);
}
END_TEST

START_TEST(best_fit)
{
    mpx_block_t *large = block_of(5000);
    mpx_block_t *wall = block_of(10);
    mpx_block_t *snug = block_of(1000);
    mpx_block_t *end = block_of(10);
    const void *place = mpx_block_data(snug);
    mpx_block_free(large);
    mpx_block_free(snug);
    mpx_block_t *again = block_of(990);
    ck_assert_ptr_eq(mpx_block_data(again), place);
    mpx_block_free(wall);
    mpx_block_free(end);
    mpx_block_free(again);
}
END_TEST

START_TEST(larger_than_any_segment_and_too_large)
{
    mpx_block_t *none = NULL;
    mpx_block_t *huge = block_of((size_t)300 << 20);
    memset((char *)mpx_block_data(huge) + ((size_t)299 << 20), 1, 1000);
    mpx_block_free(huge);
    ck_assert_int_eq(mpx_block_new(KIND, SIZE_MAX, &none), MP_ETOOLARGE);
    ck_assert_int_eq(mpx_block_new(KIND, MPX_BLOCK_BYTES_MAX + 1, &none), MP_ETOOLARGE);
    ck_assert_ptr_null(none);
}
END_TEST

/* Runs in a child; its exit status is the answer. */
static int in_child(int (*run)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(run(arg));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int writes_and_allocates(void *arg)
{
    mpx_block_t *block = arg;
    mpx_block_t *own = NULL;
    if (mpx_block_new(KIND, 100, &own) != MP_OK)
        return 1;
    memset(mpx_block_data(own), 'x', 100);
    *(int *)mpx_block_data(block) = 42;
    mpx_block_free(own);
    mpx_block_free(block); /* only this process's hold on it */
    return 0;
}

START_TEST(collapsing_changes_no_byte)
{
    enum { HUGE_PAGE = 2 << 20, BYTES = 3 * HUGE_PAGE + 100000 };
    mpx_block_t *before = block_of(5000);
    mpx_block_t *fresh = block_of(BYTES);
    mpx_block_t *after = block_of(5000);
    memset(mpx_block_data(before), 1, 5000);
    memset(mpx_block_data(after), 2, 5000);
    mpx_block_collapse(before); /* far too small */
    mpx_block_collapse(fresh);
    ck_assert(is_filled(fresh, 0));
    memset(mpx_block_data(fresh), 3, BYTES);
    mpx_block_collapse(fresh);
    ck_assert(is_filled(fresh, 3));
    ck_assert(is_filled(before, 1));
    ck_assert(is_filled(after, 2));
    mpx_block_free(before);
    mpx_block_free(fresh);
    mpx_block_free(after);
}
END_TEST

/* Huge pages or not, it is the same memory for who opens it. */
START_TEST(a_large_block_is_shared)
{
    enum { BYTES = 5 << 20 };
    mpx_block_t *block = block_of(BYTES);
    pid_t child = fork();
    if (child == 0) {
        unsigned char *data = mpx_block_data(block);
        memset(data, 4, BYTES);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    mpx_block_collapse(block);
    ck_assert(is_filled(block, 4));
    mpx_block_free(block);
}
END_TEST

START_TEST(a_child_shares_what_was_there_and_takes_nothing_of_ours)
{
    mpx_block_t *block = block_of(sizeof(int));
    mpx_block_t *rest = block_of(100);
    ck_assert_int_eq(in_child(writes_and_allocates, block), 0);
    ck_assert_int_eq(*(int *)mpx_block_data(block), 42);
    mpx_block_t *next = block_of(100);
    ck_assert_ptr_ne(mpx_block_data(next), mpx_block_data(block));
    ck_assert(is_filled(rest, 0));
    ck_assert(is_filled(next, 0));
    mpx_block_free(next);
    mpx_block_free(rest);
    mpx_block_free(block);
}
END_TEST

/* A child makes a block of its own and tells us its name. */
static pid_t fork_maker(mp_ref_t *ref)
{
    int tell[2];
    ck_assert_int_eq(pipe(tell), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        mpx_block_t *block = NULL;
        if (mpx_block_new(KIND, 10, &block) != MP_OK)
            _exit(1);
        memcpy(mpx_block_data(block), "from afar", 10);
        mpx_block_ref(block, ref);
        if (write(tell[1], ref, sizeof *ref) != sizeof *ref)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(tell[0], ref, sizeof *ref), sizeof *ref);
    close(tell[0]);
    close(tell[1]);
    return pid;
}

START_TEST(another_s_block_is_opened_and_outlives_its_maker)
{
    mp_ref_t ref;
    mp_ref_t ours;
    mpx_block_t *block = NULL;
    mpx_block_t *second = NULL;
    pid_t pid = fork_maker(&ref);
    ck_assert_int_eq(mpx_block_open(&ref, KIND, &block), MP_OK);
    ck_assert_uint_eq(mpx_block_bytes(block), 10);
    kill_child(pid);
    ck_assert_str_eq(mpx_block_data(block), "from afar");
    mpx_block_ref(block, &ours);
    ck_assert_int_eq(mpx_block_open(&ours, KIND, &second), MP_OK);
    ck_assert_ptr_eq(mpx_block_data(second), mpx_block_data(block));
    mpx_block_free(second);
    mpx_block_free(block);
    ck_assert_int_eq(mpx_block_open(&ref, KIND, &block), MP_ENOTFOUND);
}
END_TEST

START_TEST(references_to_nothing)
{
    mpx_block_t *none = NULL;
    mpx_block_t *block = block_of(10);
    mp_ref_t ref;
    mpx_block_ref(block, &ref);
    ck_assert_int_eq(mpx_block_open(&ref, KIND + 1, &none), MP_EINVAL);
    ck_assert_int_eq(mpx_block_open(&(mp_ref_t){{0}}, KIND, &none), MP_EINVAL);
    ck_assert_int_eq(mpx_block_open(NULL, KIND, &none), MP_EINVAL);
    unsigned seed = 3;
    for (int i = 0; i < 2000; i++) {
        mp_ref_t bad = ref;
        bad.word[rand_r(&seed) % 6] ^= UINT64_C(1) << (rand_r(&seed) % 64);
        mp_rc_t rc = mpx_block_open(&bad, KIND, &none);
        ck_assert_msg(rc == MP_EINVAL || rc == MP_ENOTFOUND || rc == MP_OK || rc == MP_EPERM, "%s",
                      mp_errname(rc));
        if (rc == MP_OK) { /* where it was found, it is the same */
            ck_assert_ptr_eq(mpx_block_data(none), mpx_block_data(block));
            mpx_block_free(none);
        }
        none = NULL;
    }
    mpx_block_free(block);
    ck_assert_int_eq(mpx_block_open(&ref, KIND, &none), MP_ENOTFOUND);
    mpx_block_t *successor = block_of(10);
    ck_assert_int_eq(mpx_block_open(&ref, KIND, &none), MP_ENOTFOUND);
    mpx_block_free(successor);
}
END_TEST

START_TEST(lives)
{
    mpx_life_t self = mpx_life_self();
    ck_assert_int_eq(mpx_life_pid(self), getpid());
    ck_assert(!mpx_life_gone(self));
    ck_assert(mpx_life_gone(self ^ 1)); /* the same number, another time */
    ck_assert(mpx_life_gone(0));
    pid_t pid = fork();
    if (pid == 0) {
        if (mpx_life_pid(mpx_life_self()) == getpid())
            for (;;)
                pause();
        _exit(1);
    }
    mpx_life_t life = mpx_life_of(pid);
    ck_assert(!mpx_life_gone(life));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert(mpx_life_gone(life)); /* a zombie */
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(mpx_life_gone(life));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {zeroed_aligned_and_apart,
                                  hundred_thousand_operations_leave_nothing,
                                  best_fit,
                                  larger_than_any_segment_and_too_large,
                                  collapsing_changes_no_byte,
                                  a_large_block_is_shared,
                                  a_child_shares_what_was_there_and_takes_nothing_of_ours,
                                  another_s_block_is_opened_and_outlives_its_maker,
                                  references_to_nothing,
                                  lives,
                                  NULL};
    return suite_run("arena", tests, 60);
}
