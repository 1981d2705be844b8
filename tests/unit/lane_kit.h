/* lane_kit.h: what the suites about lanes share: patterns, pairs, forked sides, waits. */
#ifndef LANE_KIT_H
#define LANE_KIT_H

#include "lane.h"
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RING = 64 * 1024, QUARTER = RING / 4, LONG = 5 * 1024 * 1024, WAIT_MS = 10000 };

/* Ends the process; in a second thread or process ck_assert would not do. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, mp_errmsg());      \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline uint32_t random_u32(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* Every byte depends on the seed and on its place. */
static inline unsigned char pattern(uint64_t seed, size_t i)
{
    return (unsigned char)((seed * 2654435761u + i * 40503u + (i >> 8)) >> 7);
}

static inline void fill(void *to, uint64_t seed, size_t size)
{
    unsigned char *bytes = to;
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(seed, i);
}

static inline bool is_filled(mp_bytes_t record, uint64_t seed, size_t size)
{
    const unsigned char *bytes = record.data;
    if (record.size != size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern(seed, i))
            return false;
    return true;
}

static inline mp_rc_t write_bytes(mpx_lane_t *lane, const void *data, size_t size)
{
    return mpx_lane_write(lane, &(mp_bytes_t){data, size}, 1);
}

static inline void make_pair(mpx_lane_t **a, mpx_lane_t **b)
{
    int fds[2];
    ck_assert_int_eq(mpx_lane_new(RING, a, fds), MP_OK);
    ck_assert_int_eq(mpx_lane_attach(fds, b), MP_OK);
}

static inline void drop_pair(mpx_lane_t **a, mpx_lane_t **b)
{
    mpx_lane_destroy(a);
    mpx_lane_destroy(b);
}

static inline bool fd_is_readable(const mpx_lane_t *lane)
{
    struct pollfd fd = {mpx_lane_fd(lane), POLLIN, 0};
    return poll(&fd, 1, 0) == 1;
}

/* Sleep until there is a reason not to. */
static inline mp_rc_t wait_lane(mpx_lane_t *lane, bool for_room)
{
    mpx_lane_ring(lane);
    if (!mpx_lane_sleep(lane, for_room))
        return MP_OK;
    struct pollfd fd = {mpx_lane_fd(lane), POLLIN, 0};
    NEED(poll(&fd, 1, WAIT_MS) == 1);
    return mpx_lane_awake(lane);
}

static inline void put(mpx_lane_t *lane, const void *data, size_t size)
{
    mp_rc_t rc = write_bytes(lane, data, size);
    while (rc == MP_EBUSY) {
        NEED(wait_lane(lane, true) == MP_OK);
        rc = mpx_lane_cut(lane) ? mpx_lane_flush(lane) : write_bytes(lane, data, size);
    }
    NEED(rc == MP_OK);
    mpx_lane_ring(lane);
}

static inline mp_bytes_t get(mpx_lane_t *lane)
{
    mp_bytes_t record;
    mp_rc_t rc;
    while ((rc = mpx_lane_read(lane, &record)) == MP_EBUSY)
        NEED(wait_lane(lane, false) == MP_OK);
    NEED(rc == MP_OK);
    return record;
}

static inline void check_get(mpx_lane_t *lane, uint64_t seed, size_t size)
{
    mp_bytes_t record;
    ck_assert_int_eq(mpx_lane_read(lane, &record), MP_OK);
    ck_assert_uint_eq((uintptr_t)record.data % 16, 0);
    ck_assert(is_filled(record, seed, size));
    mpx_lane_pop(lane);
}

static inline void check_empty(mpx_lane_t *lane)
{
    mp_bytes_t record;
    ck_assert_int_eq(mpx_lane_read(lane, &record), MP_EBUSY);
}

typedef void side_fn(mpx_lane_t *lane, void *arg);

/* Run side B in a child that doesn't outlive this process. */
static inline pid_t fork_side(mpx_lane_t **a, side_fn *run, void *arg)
{
    int fds[2];
    ck_assert_int_eq(mpx_lane_new(RING, a, fds), MP_OK);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        mpx_lane_t *b = NULL;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        NEED(mpx_lane_attach(fds, &b) == MP_OK);
        run(b, arg);
        mpx_lane_destroy(&b);
        _exit(0);
    }
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static inline int join_side(pid_t pid)
{
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* Touch everything that a record claims to be. */
static inline unsigned touch(mp_bytes_t record)
{
    unsigned sum = 0;
    const volatile unsigned char *bytes = record.data;
    for (size_t i = 0; i < record.size; i++)
        sum += bytes[i];
    return sum;
}

/* Numbers that almost make sense, near positions that matter. */
static inline uint64_t wild_number(uint64_t *random, uint64_t near)
{
    switch (random_u32(random) % 4) {
    case 0:
        return near + 16 * (random_u32(random) % 64);
    case 1:
        return near - 16 * (random_u32(random) % 64);
    case 2:
        return random_u32(random) % (2 * RING);
    default:
        return (uint64_t)random_u32(random) << (random_u32(random) % 40);
    }
}

static inline int run_suite(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
