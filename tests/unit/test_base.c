#include "buf.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "heap.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(buf_grows_and_keeps_its_content)
{
    mpx_buf_t buf = {0};
    for (uint32_t i = 0; i < 10000; i++)
        ck_assert_int_eq(mpx_buf_add_u32(&buf, i), MP_OK);
    ck_assert_uint_eq(buf.size, 40000);
    for (uint32_t i = 0; i < 10000; i++)
        ck_assert_uint_eq(mpx_load_u32(buf.data + 4 * i), i);
    mpx_buf_free(&buf);
    ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(buf_refuses_what_passes_its_limit)
{
    mpx_buf_t buf = {.max = 10};
    ck_assert_int_eq(mpx_buf_add(&buf, "0123456789", 10), MP_OK);
    ck_assert_int_eq(mpx_buf_add(&buf, "x", 1), MP_ETOOLARGE);
    ck_assert_ptr_null(mpx_buf_reserve(&buf, 1));
    ck_assert_uint_eq(buf.size, 10);
    ck_assert_int_eq(mpx_buf_add(&buf, NULL, 0), MP_OK);
    mpx_buf_free(&buf);
    mpx_buf_t unlimited = {0};
    ck_assert_int_eq(mpx_buf_add(&unlimited, "x", 1), MP_OK);
    ck_assert_ptr_null(mpx_buf_reserve(&unlimited, SIZE_MAX));
    mpx_buf_free(&unlimited);
}
END_TEST

static mp_rc_t print(mpx_buf_t *buf, const char *format, ...) MP_PRINTF(2, 3);
static mp_rc_t print(mpx_buf_t *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mp_rc_t rc = mpx_buf_vprintf(buf, format, args);
    va_end(args);
    return rc;
}

START_TEST(buf_prints_up_to_its_limit)
{
    mpx_buf_t buf = {.max = 8};
    ck_assert_int_eq(print(&buf, "%d-%s", 42, "abcde"), MP_OK);
    ck_assert_uint_eq(buf.size, 8);
    ck_assert_int_eq(memcmp(buf.data, "42-abcde", 8), 0);
    ck_assert_int_eq(print(&buf, "x"), MP_ETOOLARGE);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(deadlines_clamp_and_round_up)
{
    ck_assert_int_eq(mpx_deadline(1000, -1), MPX_NEVER);
    ck_assert_int_eq(mpx_deadline(1000, 0), 1000);
    ck_assert_int_eq(mpx_deadline(INT64_MAX - 5, 1), MPX_NEVER);
    ck_assert_int_eq(mpx_poll_ms(0, MPX_NEVER), -1);
    ck_assert_int_eq(mpx_poll_ms(10, 10), 0);
    ck_assert_int_eq(mpx_poll_ms(10, 5), 0);
    ck_assert_int_eq(mpx_poll_ms(0, 1), 1);
    ck_assert_int_eq(mpx_poll_ms(0, MPX_MS + 1), 2);
    ck_assert_int_eq(mpx_poll_ms(0, INT64_MAX - 1), INT_MAX);
}
END_TEST

START_TEST(every_code_has_a_name_and_a_sentence)
{
#define CHECK_CODE(name, number, sentence)                                                         \
    ck_assert_str_eq(mp_errname(name), #name);                                                     \
    ck_assert_str_eq(mp_strerror(name), sentence);
    MP_ERROR_MAP(CHECK_CODE)
#undef CHECK_CODE
    ck_assert_ptr_nonnull(mp_strerror((mp_rc_t)-9999));
    ck_assert_ptr_nonnull(mp_errname((mp_rc_t)77));
}
END_TEST

START_TEST(fault_texts_are_cut_and_may_quote_themselves)
{
    char long_text[3000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    ck_assert_int_eq(mpx_fault(MP_EINVAL, "%s", long_text), MP_EINVAL);
    ck_assert_uint_eq(strlen(mp_errmsg()), 1023);
    mpx_fault(MP_EINVAL, "inner");
    mpx_fault(MP_EINVAL, "outer: %s", mp_errmsg());
    ck_assert_str_eq(mp_errmsg(), "outer: inner");
    errno = ENOENT;
    ck_assert_int_eq(mpx_fault_errno("opening %s", "it"), MP_ESYSTEM);
    ck_assert_str_eq(mp_errmsg(), "opening it: No such file or directory");
    errno = ENOMEM;
    ck_assert_int_eq(mpx_fault_errno("x"), MP_ENOMEM);
}
END_TEST

static void *other_thread(void *arg)
{
    (void)arg;
    ck_assert_str_eq(mp_errmsg(), "");
    mpx_fault(MP_EINVAL, "theirs");
    return NULL;
}

START_TEST(fault_texts_belong_to_threads)
{
    pthread_t thread;
    mpx_fault(MP_EINVAL, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(mp_errmsg(), "mine");
}
END_TEST

START_TEST(guarded_descriptors_close_in_a_forked_child_only)
{
    int guarded = open("/dev/null", O_RDONLY);
    int removed = open("/dev/null", O_RDONLY);
    int plain = open("/dev/null", O_RDONLY);
    ck_assert_int_eq(mpx_forkguard_add(guarded), MP_OK);
    ck_assert_int_eq(mpx_forkguard_add(removed), MP_OK);
    mpx_forkguard_remove(removed);
    uint64_t generation = mpx_fork_generation();
    pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(guarded, F_GETFD) == -1 && fcntl(removed, F_GETFD) != -1 &&
                      fcntl(plain, F_GETFD) != -1 && mpx_fork_generation() != generation
                  ? 0
                  : 1);
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_ne(fcntl(guarded, F_GETFD), -1);
    ck_assert_uint_eq(mpx_fork_generation(), generation);
    mpx_forkguard_remove(guarded);
    close(guarded);
    close(removed);
    close(plain);
}
END_TEST

/* Against the plainest model: an array that is searched for its minimum. */
START_TEST(heap_agrees_with_a_model)
{
    enum { NODES = 200, STEPS = 20000 };
    mpx_heap_t heap = {0};
    mpx_heap_node_t nodes[NODES] = {0};
    unsigned seed = 7;
    for (int step = 0; step < STEPS; step++) {
        mpx_heap_node_t *node = &nodes[(unsigned)rand_r(&seed) % NODES];
        if (rand_r(&seed) % 3)
            ck_assert_int_eq(mpx_heap_set(&heap, node, rand_r(&seed) % 1000), MP_OK);
        else
            mpx_heap_remove(&heap, node);
        int64_t least = INT64_MAX;
        size_t count = 0;
        for (int i = 0; i < NODES; i++)
            if (nodes[i].slot) {
                least = mpx_earlier(least, nodes[i].at);
                count++;
            }
        const mpx_heap_node_t *first = mpx_heap_first(&heap);
        ck_assert_uint_eq(heap.count, count);
        ck_assert_int_eq(first ? first->at : INT64_MAX, least);
    }
    mpx_heap_free(&heap);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        buf_grows_and_keeps_its_content,
        buf_refuses_what_passes_its_limit,
        buf_prints_up_to_its_limit,
        deadlines_clamp_and_round_up,
        every_code_has_a_name_and_a_sentence,
        fault_texts_are_cut_and_may_quote_themselves,
        fault_texts_belong_to_threads,
        guarded_descriptors_close_in_a_forked_child_only,
        heap_agrees_with_a_model,
        NULL,
    };
    return suite_run("base", tests, 30);
}
