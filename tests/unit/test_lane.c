/* Lanes: exact records through wraps, cuts, sleeps and full memory. */
#include "lane_kit.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int count_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* ---- Making and ending ---- */

START_TEST(new_refuses_bad_sizes)
{
    static const size_t sizes[] = {0,        1,        4096,     RING - 1,
                                   RING + 1, 3 * RING, SIZE_MAX, (size_t)1 << 31};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mpx_lane_t *lane = NULL;
        int fds[2] = {-7, -7};
        ck_assert_int_eq(mpx_lane_new(sizes[i], &lane, fds), MP_EINVAL);
        ck_assert_ptr_null(lane);
        ck_assert_int_eq(fds[0], -7);
    }
}
END_TEST

START_TEST(destroy_closes_everything)
{
    int before = count_fds();
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mpx_lane_destroy(NULL);
    mpx_lane_destroy(&a);
    make_pair(&a, &b);
    ck_assert_int_eq(count_fds(), before + 4);
    drop_pair(&a, &b);
    ck_assert_ptr_null(a);
    drop_pair(&a, &b);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

/* What attach gets as the memory's descriptor. */
static int some_memory(bool sealed, size_t size, uint64_t ring_bytes)
{
    mpx_lane_t *lane = NULL;
    int fds[2];
    uint64_t header[2];
    ck_assert_int_eq(mpx_lane_new(RING, &lane, fds), MP_OK);
    ck_assert_int_eq(pread(fds[0], header, sizeof header, 0), sizeof header);
    close(fds[0]);
    close(fds[1]);
    mpx_lane_destroy(&lane);
    header[1] = ring_bytes;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    if (size)
        ck_assert_int_eq(pwrite(fd, header, sizeof header, 0), sizeof header);
    if (sealed)
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

enum { CONTROL = 8192 }; /* before the rings */

START_TEST(attach_checks_the_memory)
{
    static const struct {
        bool sealed;
        size_t size;
        uint64_t ring_bytes;
        mp_rc_t rc;
    } cases[] = {
        {true, CONTROL + 2 * RING, RING, MP_OK},
        {false, CONTROL + 2 * RING, RING, MP_EINVAL},
        {true, 0, RING, MP_EINVAL},
        {true, CONTROL, RING, MP_EINVAL},
        {true, CONTROL + 2 * RING, 2 * RING, MP_EINVAL},
        {true, CONTROL + 2 * RING, 0, MP_EINVAL},
        {true, CONTROL + 2 * RING, UINT64_MAX, MP_EINVAL},
        {true, CONTROL + 2 * RING + 1, RING, MP_EINVAL},
    };
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[2] = {some_memory(cases[i].sealed, cases[i].size, cases[i].ring_bytes),
                      dup(pair[1])};
        int before = count_fds();
        mpx_lane_t *lane = NULL;
        ck_assert_int_eq(mpx_lane_attach(fds, &lane), cases[i].rc);
        if (cases[i].rc == MP_OK) {
            mpx_lane_destroy(&lane);
            ck_assert_int_eq(count_fds(), before - 2);
            continue;
        }
        ck_assert_ptr_null(lane);
        ck_assert_int_eq(count_fds(), before);
        close(fds[0]);
        close(fds[1]);
    }
    int no_memory[2] = {pair[0], pair[1]};
    mpx_lane_t *lane = NULL;
    ck_assert_int_ne(mpx_lane_attach(no_memory, &lane), MP_OK);
    ck_assert_int_ne(mpx_lane_attach((int[2]){-1, -1}, &lane), MP_OK);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(peer_cannot_shorten_the_memory)
{
    mpx_lane_t *lane = NULL;
    int fds[2];
    ck_assert_int_eq(mpx_lane_new(RING, &lane, fds), MP_OK);
    ck_assert_int_ne(ftruncate(fds[0], 0), 0);
    ck_assert(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
    close(fds[0]);
    close(fds[1]);
    mpx_lane_destroy(&lane);
}
END_TEST

/* A forked child neither keeps side A alive nor closes what it didn't open. */
START_TEST(forked_child_lets_go)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    int hold[2];
    make_pair(&a, &b);
    ck_assert_int_eq(pipe2(hold, O_CLOEXEC), 0);
    int number = mpx_lane_fd(a);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        NEED(fcntl(number, F_GETFD) < 0);
        NEED(dup2(hold[0], number) == number);
        mpx_lane_destroy(&a);
        NEED(fcntl(number, F_GETFD) >= 0);
        close(hold[1]);
        close(mpx_lane_fd(b));
        NEED(read(hold[0], &byte, 1) == 0);
        _exit(0);
    }
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    mpx_lane_destroy(&a);
    /* Not at once: the child may not have come to closing its copy yet. */
    ck_assert_int_eq(poll(&(struct pollfd){mpx_lane_fd(b), POLLIN, 0}, 1, WAIT_MS), 1);
    ck_assert_int_eq(mpx_lane_awake(b), MP_EOF);
    ck_assert_int_eq(mpx_lane_awake(b), MP_EOF);
    close(hold[1]);
    ck_assert_int_eq(join_side(pid), 0);
    close(hold[0]);
    mpx_lane_destroy(&b);
}
END_TEST

/* ---- Records ---- */

START_TEST(every_size_in_turn)
{
    static unsigned char data[4096];
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    for (size_t round = 0; round < 4; round++)
        for (size_t size = 0; size <= sizeof data; size += round ? 1 + round * 6 : 1) {
            fill(data, size + round, size);
            ck_assert_int_eq(write_bytes(a, data, size), MP_OK);
            ck_assert_int_eq(write_bytes(b, data, size), MP_OK);
            check_get(b, size + round, size);
            check_get(a, size + round, size);
        }
    check_empty(a);
    check_empty(b);
    drop_pair(&a, &b);
}
END_TEST

/* Cut data at random places into parts, some of them empty. */
static mp_rc_t write_in_parts(mpx_lane_t *lane, const unsigned char *data, size_t size,
                              uint64_t *random)
{
    mp_bytes_t parts[4] = {{NULL, 0}};
    size_t from = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t take = random_u32(random) % 3 ? random_u32(random) % (size - from + 1) : 0;
        parts[i] = (mp_bytes_t){take ? data + from : NULL, take};
        from += take;
    }
    parts[3] = (mp_bytes_t){data + from, size - from};
    return mpx_lane_write(lane, parts, 4);
}

/* The ring is driven full and empty again and again; what is refused is written later. */
START_TEST(random_sizes_and_depths)
{
    static unsigned char data[QUARTER];
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    uint64_t random = 1;
    make_pair(&a, &b);
    uint64_t written = 0;
    uint64_t taken = 0;
    static size_t sizes[1 << 16];
    for (int step = 0; step < 60000; step++) {
        bool write = random_u32(&random) % 100 < (step / 500 % 2 ? 70u : 30u);
        if (write) {
            size_t most = random_u32(&random) % 8 ? 200 : sizeof data + 1;
            size_t size = random_u32(&random) % most;
            size_t room = mpx_lane_room(a);
            fill(data, written, size);
            mp_rc_t rc = write_in_parts(a, data, size, &random);
            ck_assert_int_eq(rc, size <= room && room ? MP_OK : rc);
            ck_assert(size <= room || rc == MP_EBUSY);
            if (rc == MP_OK)
                sizes[written++ % 65536] = size;
        } else if (taken < written) {
            check_get(b, taken, sizes[taken % 65536]);
            taken++;
        } else {
            check_empty(b);
        }
    }
    ck_assert_uint_gt(taken, 10000);
    drop_pair(&a, &b);
}
END_TEST

START_TEST(a_read_record_stays_until_popped)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mp_bytes_t first;
    mp_bytes_t again;
    make_pair(&a, &b);
    ck_assert_int_eq(write_bytes(a, "one", 3), MP_OK);
    ck_assert_int_eq(write_bytes(a, "two", 3), MP_OK);
    ck_assert_int_eq(mpx_lane_read(b, &first), MP_OK);
    ck_assert_int_eq(mpx_lane_read(b, &again), MP_OK);
    ck_assert_ptr_eq(first.data, again.data);
    while (write_bytes(a, "filler", 6) == MP_OK)
        ;
    ck_assert_mem_eq(first.data, "one", 3);
    mpx_lane_pop(b);
    ck_assert_int_eq(mpx_lane_read(b, &again), MP_OK);
    ck_assert_mem_eq(again.data, "two", 3);
    drop_pair(&a, &b);
}
END_TEST

START_TEST(too_large_writes_nothing)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    mp_bytes_t huge[2] = {{"x", 1}, {"x", SIZE_MAX}};
    ck_assert_int_eq(mpx_lane_write(a, huge, 2), MP_ETOOLARGE);
    huge[1].size = MPX_LANE_RECORD_MAX;
    ck_assert_int_eq(mpx_lane_write(a, huge, 2), MP_ETOOLARGE);
    ck_assert(!mpx_lane_cut(a));
    check_empty(b);
    ck_assert_int_eq(write_bytes(a, "x", 0), MP_OK);
    check_get(b, 0, 0);
    drop_pair(&a, &b);
}
END_TEST

/* ---- Long records ---- */

START_TEST(long_record_in_one_process)
{
    static const size_t sizes[] = {QUARTER - 1, QUARTER,  QUARTER + 1, QUARTER + 16, RING / 2,
                                   RING - 16,   RING + 1, 1000000,     LONG};
    unsigned char *data = malloc(LONG);
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i % (sizeof sizes / sizeof *sizes)];
        mp_bytes_t record;
        fill(data, i, size);
        mp_rc_t rc = write_bytes(a, data, size);
        ck_assert_int_eq(mpx_lane_cut(a), rc == MP_EBUSY);
        memset(data, 0, size); /* the lane must have taken what it didn't write */
        while (rc == MP_EBUSY) {
            ck_assert_uint_eq(mpx_lane_room(a), 0);
            ck_assert_int_eq(mpx_lane_flush(a), MP_EBUSY);
            ck_assert_int_eq(mpx_lane_read(b, &record), MP_EBUSY);
            rc = mpx_lane_flush(a);
        }
        ck_assert_int_eq(rc, MP_OK);
        ck_assert_int_eq(mpx_lane_flush(a), MP_OK);
        ck_assert_int_eq(write_bytes(a, "", 0), MP_OK);
        check_get(b, i, size);
        check_get(b, 0, 0);
        check_empty(b);
    }
    free(data);
    drop_pair(&a, &b);
}
END_TEST

enum { EXCHANGES = 12 };

static size_t exchange_size(unsigned side, unsigned i)
{
    return i % 4 == 3 ? LONG - side : (size_t)(i * 7919 + side) % (3 * RING);
}

/* Send and receive at once; go to sleep only with nothing to read and no room. */
static void exchange(mpx_lane_t *lane, unsigned side)
{
    unsigned char *data = malloc(LONG);
    unsigned sent = 0;
    unsigned received = 0;
    mp_bytes_t record;
    NEED(data);
    while (sent < EXCHANGES || received < EXCHANGES || mpx_lane_cut(lane)) {
        if (mpx_lane_cut(lane)) {
            mp_rc_t rc = mpx_lane_flush(lane);
            NEED(rc == MP_OK || rc == MP_EBUSY);
        } else if (sent < EXCHANGES) {
            fill(data, sent * 2 + side, exchange_size(side, sent));
            mp_rc_t rc = write_bytes(lane, data, exchange_size(side, sent));
            NEED(rc == MP_OK || rc == MP_EBUSY);
            sent += rc == MP_OK || mpx_lane_cut(lane);
        }
        mp_rc_t rc = mpx_lane_read(lane, &record);
        NEED(rc == MP_OK || rc == MP_EBUSY);
        if (rc == MP_OK) {
            NEED(is_filled(record, received * 2 + !side, exchange_size(!side, received)));
            received++;
            mpx_lane_pop(lane);
        } else if (sent < EXCHANGES || received < EXCHANGES || mpx_lane_cut(lane)) {
            NEED(wait_lane(lane, sent < EXCHANGES || mpx_lane_cut(lane)) == MP_OK);
        }
    }
    mpx_lane_ring(lane);
    free(data);
}

/* Neither side leaves before the other is done, which would look like its death. */
static void exchange_child(mpx_lane_t *lane, void *arg)
{
    (void)arg;
    exchange(lane, 1);
    NEED(is_filled(get(lane), 99, 4));
}

START_TEST(long_records_both_ways)
{
    mpx_lane_t *a = NULL;
    unsigned char last[4];
    pid_t pid = fork_side(&a, exchange_child, NULL);
    exchange(a, 0);
    fill(last, 99, 4);
    put(a, last, 4);
    ck_assert_int_eq(join_side(pid), 0);
    mpx_lane_destroy(&a);
}
END_TEST

/* Leave this process `slack` bytes of address space more than it uses. */
static void limit_memory(size_t slack)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = slack == SIZE_MAX ? limit.rlim_max : pages * 4096 + slack;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

START_TEST(out_of_memory_loses_nothing)
{
    if (SANITIZED)
        return;
    unsigned char *data = malloc(LONG);
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mp_bytes_t record;
    make_pair(&a, &b);
    fill(data, 5, LONG);
    limit_memory(1 << 20);
    ck_assert_int_eq(write_bytes(a, data, LONG), MP_ENOMEM);
    ck_assert(!mpx_lane_cut(a));
    check_empty(b);
    limit_memory(SIZE_MAX);
    ck_assert_int_eq(write_bytes(a, data, LONG), MP_EBUSY);
    limit_memory(1 << 20);
    mp_rc_t rc;
    while ((rc = mpx_lane_read(b, &record)) == MP_EBUSY)
        mpx_lane_flush(a);
    ck_assert_int_eq(rc, MP_ENOMEM);
    ck_assert_int_eq(mpx_lane_read(b, &record), MP_ENOMEM);
    limit_memory(SIZE_MAX);
    while ((rc = mpx_lane_read(b, &record)) == MP_EBUSY)
        mpx_lane_flush(a);
    ck_assert_int_eq(rc, MP_OK);
    ck_assert(is_filled(record, 5, LONG));
    free(data);
    drop_pair(&a, &b);
}
END_TEST

/* ---- Sleeping and waking ---- */

START_TEST(rings_only_a_sleeper)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    mpx_lane_ring(a);
    ck_assert(!fd_is_readable(b));
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert_int_eq(write_bytes(a, "x", 1), MP_OK);
    ck_assert(!fd_is_readable(b));
    mpx_lane_ring(a);
    mpx_lane_ring(a);
    ck_assert(fd_is_readable(b));
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    ck_assert(!fd_is_readable(b));
    ck_assert(!mpx_lane_sleep(b, false));
    mpx_lane_ring(a);
    ck_assert(!fd_is_readable(b));
    get(b);
    mpx_lane_pop(b);
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    mpx_lane_ring(a);
    ck_assert(!fd_is_readable(b));
    drop_pair(&a, &b);
}
END_TEST

/* Fill a's ring; side a then holds a record of b, which must not keep it awake. */
START_TEST(sleeps_for_room)
{
    static unsigned char data[1000];
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    make_pair(&a, &b);
    ck_assert(!mpx_lane_sleep(a, true));
    ck_assert_int_eq(write_bytes(b, "held", 4), MP_OK);
    ck_assert(!mpx_lane_sleep(a, false));
    get(a);
    while (write_bytes(a, data, sizeof data) == MP_OK)
        ;
    ck_assert(mpx_lane_sleep(a, true));
    mpx_lane_ring(b);
    ck_assert(!fd_is_readable(a));
    size_t popped = 0;
    while (!fd_is_readable(a)) {
        get(b);
        mpx_lane_pop(b);
        ck_assert_uint_le(++popped, RING / 2 / sizeof data);
    }
    ck_assert_uint_ge(popped, 2); /* not for each record */
    ck_assert_int_eq(mpx_lane_awake(a), MP_OK);
    ck_assert(!mpx_lane_sleep(a, true));
    ck_assert_int_eq(write_bytes(a, data, sizeof data), MP_OK);
    drop_pair(&a, &b);
}
END_TEST

static void echo(mpx_lane_t *lane, void *arg)
{
    for (int i = *(int *)arg; i > 0; i--) {
        mp_bytes_t record = get(lane);
        put(lane, record.data, record.size);
        mpx_lane_pop(lane);
    }
}

static void ping(mpx_lane_t *lane, int count)
{
    unsigned char data[64];
    for (int i = 0; i < count; i++) {
        fill(data, (uint64_t)i, (size_t)i % sizeof data);
        put(lane, data, (size_t)i % sizeof data);
        NEED(is_filled(get(lane), (uint64_t)i, (size_t)i % sizeof data));
        mpx_lane_pop(lane);
    }
}

START_TEST(no_wake_up_is_lost_between_processes)
{
    mpx_lane_t *a = NULL;
    int count = 20000;
    pid_t pid = fork_side(&a, echo, &count);
    ping(a, count);
    ck_assert_int_eq(join_side(pid), 0);
    mpx_lane_destroy(&a);
}
END_TEST

/* Shared by the two racers below. */
typedef struct race {
    _Atomic int turn;
} race_t;

enum { RACES = 30000 };

static void spin(uint32_t count)
{
    for (volatile uint32_t i = count; i > 0; i--)
        ;
}

static void *race_to_ring(void *arg)
{
    race_t *race = ((void **)arg)[0];
    mpx_lane_t *lane = ((void **)arg)[1];
    uint64_t random = 11;
    for (int i = 1; i <= RACES; i++) {
        for (uint32_t tries = 0; atomic_load(&race->turn) < i; tries++)
            if (tries % 1024 == 1023)
                sched_yield();
        spin(random_u32(&random) % 64);
        NEED(write_bytes(lane, "", 0) == MP_OK);
        mpx_lane_ring(lane);
    }
    return NULL;
}

/* Announcing sleep and ringing start at the same moment, give or take nanoseconds: one of
 * the two must see the other. */
START_TEST(sleeping_races_with_ringing)
{
    race_t race = {0};
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mp_bytes_t record;
    pthread_t thread;
    uint64_t random = 12;
    make_pair(&a, &b);
    void *args[2] = {&race, b};
    ck_assert_int_eq(pthread_create(&thread, NULL, race_to_ring, args), 0);
    for (int i = 1; i <= RACES; i++) {
        atomic_store(&race.turn, i);
        spin(random_u32(&random) % 64);
        while (mpx_lane_read(a, &record) == MP_EBUSY)
            ck_assert_int_eq(wait_lane(a, false), MP_OK);
        mpx_lane_pop(a);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    drop_pair(&a, &b);
}
END_TEST

static void *echo_thread(void *arg)
{
    echo(arg, &(int){2000});
    exchange(arg, 1);
    return NULL;
}

START_TEST(two_threads)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    pthread_t thread;
    make_pair(&a, &b);
    ck_assert_int_eq(pthread_create(&thread, NULL, echo_thread, b), 0);
    ping(a, 2000);
    exchange(a, 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    drop_pair(&a, &b);
}
END_TEST

enum { THINGS = 100000 };

typedef struct taking {
    mpx_lane_t *lane;
    _Atomic uint32_t turn, done;
    bool taken[THINGS + 1];
} taking_t;

static void *take_up_all(void *arg)
{
    taking_t *self = arg;
    for (uint32_t i = 1; i <= THINGS; i++) {
        while (atomic_load(&self->turn) < i)
            sched_yield();
        self->taken[i] = mpx_lane_take_up(self->lane, i);
        atomic_store(&self->done, i);
    }
    return NULL;
}

START_TEST(what_is_called_back_is_not_taken_up)
{
    static taking_t taking;
    static bool back[THINGS + 1];
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    pthread_t thread;
    uint64_t random = 1;
    make_pair(&a, &b);
    ck_assert(mpx_lane_call_back(a, 5));
    ck_assert(mpx_lane_take_up(b, 4));
    ck_assert(!mpx_lane_take_up(b, 5));
    mpx_lane_forget(a, 5);
    ck_assert(mpx_lane_take_up(b, 6));
    ck_assert(!mpx_lane_call_back(a, 6));
    for (uint64_t i = 0; i < MPX_LANE_CALLED_BACK; i++)
        ck_assert(mpx_lane_call_back(a, 10 + i));
    ck_assert(!mpx_lane_call_back(a, 10 + MPX_LANE_CALLED_BACK));
    ck_assert(mpx_lane_take_up(b, 10 + MPX_LANE_CALLED_BACK));
    drop_pair(&a, &b);
    make_pair(&a, &b);
    taking.lane = b;
    ck_assert_int_eq(pthread_create(&thread, NULL, take_up_all, &taking), 0);
    for (uint32_t i = 1; i <= THINGS; i++) {
        atomic_store(&taking.turn, i);
        spin(random_u32(&random) % 64);
        back[i] = mpx_lane_call_back(a, i);
        while (i > MPX_LANE_CALLED_BACK / 2 &&
               atomic_load(&taking.done) < i - MPX_LANE_CALLED_BACK / 2)
            sched_yield();
        if (i > MPX_LANE_CALLED_BACK / 2)
            mpx_lane_forget(a, i - MPX_LANE_CALLED_BACK / 2);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    for (uint32_t i = 1; i <= THINGS; i++)
        ck_assert(!(back[i] && taking.taken[i]));
    drop_pair(&a, &b);
}
END_TEST

/* What was sent before and between is there for the next user, who sleeps and is woken. */
START_TEST(a_side_is_left_and_taken_again)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mp_bytes_t text = {"before", 6};
    mp_bytes_t record;
    int fds[2];
    unsigned side;
    make_pair(&a, &b);
    int before = count_fds();
    ck_assert_int_eq(mpx_lane_write(a, &text, 1), MP_OK);
    ck_assert_int_eq(mpx_lane_read(b, &record), MP_OK);
    ck_assert(!mpx_lane_leave(&b, fds, &side)); /* it holds a record */
    mpx_lane_pop(b);
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert_int_eq(mpx_lane_write(a, &text, 1), MP_OK);
    mpx_lane_ring(a);
    ck_assert(mpx_lane_leave(&b, fds, &side));
    ck_assert_ptr_null(b);
    ck_assert_uint_eq(side, 1);
    ck_assert_int_eq(mpx_lane_write(a, &text, 1), MP_OK);
    ck_assert_int_eq(mpx_lane_join(fds, side, &b), MP_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(mpx_lane_read(b, &record), MP_OK);
        ck_assert_mem_eq(record.data, "before", 6);
        mpx_lane_pop(b);
    }
    ck_assert_int_eq(mpx_lane_write(b, &text, 1), MP_OK);
    ck_assert_int_eq(mpx_lane_read(a, &record), MP_OK);
    ck_assert_int_eq(count_fds(), before);
    drop_pair(&a, &b);
}
END_TEST

/* Who writes no more than a window of half a ring isn't looked after: it must not be refused. */
START_TEST(half_a_ring_is_written_at_once_wherever_it_begins)
{
    enum { PART = RING / 8 };
    static char bytes[PART];
    mpx_lane_t *ends[2] = {NULL, NULL};
    int fds[2][2];
    ck_assert_int_eq(mpx_lane_pair(RING, fds[0], fds[1]), MP_OK);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(mpx_lane_join(fds[i], i, &ends[i]), MP_OK);
    for (int round = 0; round < 100; round++) {
        mp_bytes_t record;
        int parts = 1 + round % 4;
        mp_bytes_t part = {bytes, PART - 16 - 16 * (size_t)round};
        for (int i = 0; i < parts; i++)
            ck_assert_int_eq(mpx_lane_write(ends[0], &part, 1), MP_OK);
        for (int i = 0; i < parts; i++) {
            ck_assert_int_eq(mpx_lane_read(ends[1], &record), MP_OK);
            mpx_lane_pop(ends[1]);
        }
    }
    drop_pair(&ends[0], &ends[1]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        half_a_ring_is_written_at_once_wherever_it_begins,
        a_side_is_left_and_taken_again,
        what_is_called_back_is_not_taken_up,
        new_refuses_bad_sizes,
        destroy_closes_everything,
        attach_checks_the_memory,
        peer_cannot_shorten_the_memory,
        forked_child_lets_go,
        every_size_in_turn,
        random_sizes_and_depths,
        a_read_record_stays_until_popped,
        too_large_writes_nothing,
        long_record_in_one_process,
        long_records_both_ways,
        out_of_memory_loses_nothing,
        rings_only_a_sleeper,
        sleeps_for_room,
        no_wake_up_is_lost_between_processes,
        sleeping_races_with_ringing,
        two_threads,
    };
    return run_suite("lane", tests, sizeof tests / sizeof *tests);
}
