/* Lanes whose other end dies, or goes mad. */
#include "lane_kit.h"
#include "suite.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void *shared_page(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    return page;
}

static void write_and_leave(mpx_lane_t *lane, void *arg)
{
    (void)arg;
    put(lane, "last words", 10);
}

START_TEST(end_of_peer_is_seen_and_its_records_kept)
{
    mpx_lane_t *a = NULL;
    pid_t pid = fork_side(&a, write_and_leave, NULL);
    mp_rc_t rc = MP_OK;
    struct pollfd fd = {mpx_lane_fd(a), POLLIN, 0};
    ck_assert_int_eq(write_bytes(a, "nobody reads this", 17), MP_OK);
    while (rc == MP_OK) {
        ck_assert_int_eq(poll(&fd, 1, WAIT_MS), 1);
        rc = mpx_lane_awake(a);
    }
    ck_assert_int_eq(rc, MP_EOF);
    ck_assert_mem_eq(get(a).data, "last words", 10);
    mpx_lane_pop(a);
    check_empty(a);
    mpx_lane_ring(a); /* no SIGPIPE */
    ck_assert_int_eq(join_side(pid), 0);
    mpx_lane_destroy(&a);
}
END_TEST

/* ---- Open records and salvage ---- */

START_TEST(open_commit_drop)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mp_bytes_t record;
    uint32_t valid = 77;
    static const unsigned char zeros[5000];
    make_pair(&a, &b);
    ck_assert(!mpx_lane_salvage(b, &record, &valid));
    for (uint64_t i = 0; i < 100; i++) {
        unsigned char *at = mpx_lane_open(a, sizeof zeros);
        ck_assert_ptr_nonnull(at);
        ck_assert_uint_eq((uintptr_t)at % 16, 0);
        ck_assert_mem_eq(at, zeros, sizeof zeros);
        ck_assert_uint_eq(mpx_lane_room(a), 0);
        fill(at, i, sizeof zeros);
        mpx_lane_cursor(a, 5);
        check_empty(b);
        ck_assert(mpx_lane_salvage(b, &record, &valid));
        ck_assert_uint_eq(valid, 5);
        ck_assert(is_filled(record, i, sizeof zeros));
        size_t keep = i % 3 ? (size_t)(i * 49) : 0;
        mpx_lane_commit(a, keep);
        ck_assert(!mpx_lane_salvage(b, &record, &valid));
        if (keep)
            check_get(b, i, keep);
        ck_assert(!mpx_lane_salvage(b, &record, &valid));
    }
    drop_pair(&a, &b);
}
END_TEST

START_TEST(open_without_room)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    while (mpx_lane_open(a, QUARTER))
        mpx_lane_commit(a, QUARTER);
    ck_assert(mpx_lane_sleep(a, true));
    get(b);
    mpx_lane_pop(b);
    ck_assert(fd_is_readable(b) || fd_is_readable(a));
    ck_assert_int_eq(mpx_lane_awake(a), MP_OK);
    while (mpx_lane_read(b, &(mp_bytes_t){NULL, 0}) == MP_OK)
        mpx_lane_pop(b);
    ck_assert(!mpx_lane_sleep(a, true));
    ck_assert_ptr_nonnull(mpx_lane_open(a, QUARTER));
    drop_pair(&a, &b);
}
END_TEST

/* Shared with the child: counts units, after the fact. */
typedef struct tally {
    _Atomic uint64_t done;
} tally_t;

/* Units of one byte more than the number of the record, in records of changing length. */
enum { UNITS_MAX = 40 };

static size_t unit_size(uint64_t record)
{
    return 1 + record % 300;
}

static uint32_t unit_count(uint64_t record)
{
    return 1 + (uint32_t)(record * 7 % UNITS_MAX);
}

static uint64_t unit_seed(uint64_t record, uint32_t unit)
{
    return record * UNITS_MAX + unit;
}

/* A unit is worth nothing until it is done. */
static void work(unsigned char *unit, uint64_t seed, size_t size)
{
    for (uint64_t wrong = 8; wrong > 0; wrong--)
        fill(unit, seed + wrong, size);
    fill(unit, seed, size);
}

/* Every fourth record is written whole. */
static void work_until_killed(mpx_lane_t *lane, void *arg)
{
    tally_t *tally = arg;
    static unsigned char whole[UNITS_MAX * 301];
    for (uint64_t i = 0;; i++) {
        size_t size = unit_size(i);
        bool open = i % 4 != 0;
        unsigned char *at = whole;
        while (open && !(at = mpx_lane_open(lane, size * unit_count(i))))
            NEED(wait_lane(lane, true) == MP_OK);
        for (uint32_t unit = 0; unit < unit_count(i); unit++) {
            work(at + unit * size, unit_seed(i, unit), size);
            if (open) {
                mpx_lane_cursor(lane, unit + 1);
                atomic_fetch_add(&tally->done, 1);
            }
        }
        if (open) {
            mpx_lane_commit(lane, size * unit_count(i));
            mpx_lane_ring(lane);
        } else {
            put(lane, whole, size * unit_count(i));
            atomic_fetch_add(&tally->done, unit_count(i));
        }
    }
}

static void check_units(mp_bytes_t record, uint64_t number, uint32_t valid)
{
    size_t size = unit_size(number);
    SURE(record.size == size * unit_count(number));
    SURE(valid <= unit_count(number));
    for (uint32_t unit = 0; unit < valid; unit++) {
        mp_bytes_t bytes = {(const unsigned char *)record.data + unit * size, size};
        SURE(is_filled(bytes, unit_seed(number, unit), size));
    }
}

/* Take all the records there are; returns the number of the next one. */
static uint64_t take_records(mpx_lane_t *lane, uint64_t from, uint64_t *units)
{
    mp_bytes_t record;
    mp_rc_t rc;
    while ((rc = mpx_lane_read(lane, &record)) != MP_EBUSY) {
        SURE(rc == MP_OK);
        check_units(record, from, unit_count(from));
        *units += unit_count(from++);
        mpx_lane_pop(lane);
    }
    return from;
}

START_TEST(killed_writer_leaves_exactly_what_it_did)
{
    tally_t *tally = shared_page();
    uint64_t random = 3;
    int salvaged = 0;
    /* On a busy machine fewer are hit in the middle. */
    for (int round = 0; round < 300 || (round < 2000 && salvaged <= 20); round++) {
        mpx_lane_t *a = NULL;
        atomic_store(&tally->done, 0);
        pid_t pid = fork_side(&a, work_until_killed, tally);
        uint64_t units = 0;
        uint64_t records = 0;
        uint64_t enough = random_u32(&random) % 2000;
        uint64_t before;
        do {
            before = atomic_load(&tally->done);
            records = take_records(a, records, &units);
        } while (before < enough);
        /* Into the middle of its work; a ring that starts over may have room for little of it. */
        before += random_u32(&random) % 100;
        while (atomic_load(&tally->done) < before)
            records = take_records(a, records, &units);
        kill(pid, SIGKILL);
        ck_assert(WIFSIGNALED(join_side(pid)));
        records = take_records(a, records, &units);
        mp_bytes_t record;
        uint32_t valid = 0;
        if (mpx_lane_salvage(a, &record, &valid)) {
            check_units(record, records, valid);
            salvaged++;
        }
        units += valid;
        /* What was done just before the kill may not be counted in the tally yet. */
        uint64_t slack = records % 4 == 1 && !valid ? UNITS_MAX : 1;
        ck_assert_uint_ge(units, atomic_load(&tally->done));
        ck_assert_uint_le(units, atomic_load(&tally->done) + slack);
        mpx_lane_destroy(&a);
    }
    ck_assert_int_gt(salvaged, 20);
    munmap(tally, 4096);
}
END_TEST

/* ---- A peer gone wild ---- */

/* Side B draws over the whole mapping, which its own lane doesn't tell it: it maps the
 * memory once more. */
static void scribble(const int fds[2], uint64_t random)
{
    struct stat status;
    NEED(fstat(fds[0], &status) == 0);
    size_t size = (size_t)status.st_size;
    unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    NEED(map != MAP_FAILED);
    for (;;) {
        size_t at = random_u32(&random) % (random_u32(&random) % 4 ? 4096 : (uint32_t)size);
        uint64_t value = wild_number(&random, 0);
        memcpy(map + (at & ~(size_t)15), &value, sizeof value);
        if (random_u32(&random) % 64 == 0)
            (void)!send(fds[1], map, 1 + random_u32(&random) % 4000, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* Whatever it does, each of our calls returns, and what it returns can be touched. */
static void use_wild_lane(mpx_lane_t *lane, uint64_t *random)
{
    static unsigned char data[2 * RING];
    mp_bytes_t record;
    for (int step = 0; step < 2000; step++) {
        size_t most = random_u32(random) % 16 ? 500 : sizeof data;
        mp_rc_t rc = mpx_lane_cut(lane) ? mpx_lane_flush(lane)
                                        : write_bytes(lane, data, random_u32(random) % most);
        ck_assert(rc == MP_OK || rc == MP_EBUSY || rc == MP_EPROTO);
        mpx_lane_ring(lane);
        rc = mpx_lane_read(lane, &record);
        ck_assert(rc == MP_OK || rc == MP_EBUSY || rc == MP_EPROTO);
        if (rc == MP_OK) {
            touch(record);
            mpx_lane_pop(lane);
        }
        (void)mpx_lane_sleep(lane, step % 2);
        ck_assert_int_eq(mpx_lane_awake(lane), MP_OK);
    }
}

START_TEST(scribbling_peer_does_no_harm)
{
    uint64_t random = 7;
    for (int round = 0; round < 60; round++) {
        mpx_lane_t *a = NULL;
        int fds[2];
        mp_bytes_t record;
        ck_assert_int_eq(mpx_lane_new(RING, &a, fds), MP_OK);
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            scribble(fds, (uint64_t)round);
        }
        close(fds[0]);
        close(fds[1]);
        use_wild_lane(a, &random);
        kill(pid, SIGKILL);
        join_side(pid);
        while (mpx_lane_read(a, &record) == MP_OK)
            mpx_lane_pop(a);
        if (mpx_lane_salvage(a, &record, &(uint32_t){0}))
            touch(record);
        mpx_lane_destroy(&a);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        end_of_peer_is_seen_and_its_records_kept,
        open_commit_drop,
        open_without_room,
        killed_writer_leaves_exactly_what_it_did,
        scribbling_peer_does_no_harm,
    };
    return run_suite("lane_death", tests, sizeof tests / sizeof *tests);
}
