/* Bells: who may write to one, who is woken by it, and lanes whose peers nap on it. */
#include "clock.h"
#include "lane_kit.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

static mpx_bell_t *make_bell(void)
{
    mpx_bell_t *bell = NULL;
    ck_assert_int_eq(mpx_bell_new(&bell), MP_OK);
    return bell;
}

/* What a peer has of it. */
static mpx_bell_t *open_bell(const mpx_bell_t *bell)
{
    int fd = dup(mpx_bell_fd(bell));
    mpx_bell_t *theirs = mpx_bell_open(fd);
    ck_assert_ptr_nonnull(theirs);
    close(fd);
    return theirs;
}

static int64_t far_from_now(void)
{
    return mpx_now() + 1000 * MPX_S;
}

/* ---- The page ---- */

START_TEST(peers_cannot_change_it)
{
    mpx_bell_t *bell = make_bell();
    int fd = mpx_bell_fd(bell);
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(write(fd, "x", 1), -1);
    ck_assert_int_ne(ftruncate(fd, 0), 0);
    mpx_bell_destroy(&bell);
    mpx_bell_destroy(&bell);
}
END_TEST

START_TEST(what_is_no_bell_is_refused)
{
    int files[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
                    memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                    memfd_create("unsealed", MFD_CLOEXEC)};
    ck_assert_int_eq(fcntl(files[1], F_ADD_SEALS, F_SEAL_SHRINK), 0);
    ck_assert_int_eq(ftruncate(files[2], 4096), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_null(mpx_bell_open(files[i]));
        close(files[i]);
    }
    ck_assert_ptr_null(mpx_bell_open(-1));
}
END_TEST

START_TEST(slots_are_shared_only_when_all_are_taken)
{
    static bool taken[MPX_BELL_SLOTS];
    mpx_bell_t *bell = make_bell();
    for (int i = 0; i < MPX_BELL_SLOTS; i++) {
        int slot = mpx_bell_join(bell);
        ck_assert(slot >= 0 && slot < MPX_BELL_SLOTS && !taken[slot]);
        taken[slot] = true;
    }
    int shared = mpx_bell_join(bell);
    ck_assert(shared >= 0 && shared < MPX_BELL_SLOTS);
    mpx_bell_part(bell, shared);
    mpx_bell_part(bell, 77);
    ck_assert_int_eq(mpx_bell_join(bell), 77);
    mpx_bell_destroy(&bell);
}
END_TEST

START_TEST(while_hushed_it_only_notes)
{
    mpx_bell_t *bell = make_bell();
    mpx_bell_t *theirs = open_bell(bell);
    uint32_t first = mpx_bell_state(theirs, 0);
    mpx_bell_pull(bell, 3);
    ck_assert_uint_ne(mpx_bell_state(theirs, 0), first);
    first = mpx_bell_state(theirs, 0);
    uint32_t second = mpx_bell_state(theirs, 40);
    mpx_bell_hush(bell, true);
    mpx_bell_toll(bell); /* of nobody */
    mpx_bell_pull(bell, 3);
    ck_assert_uint_eq(mpx_bell_state(theirs, 0), first);
    mpx_bell_hush(bell, false);
    ck_assert_uint_ne(mpx_bell_state(theirs, 0), first);
    ck_assert_uint_eq(mpx_bell_state(theirs, 40), second); /* of another word */
    mpx_bell_hush(bell, true);
    for (int i = 0; i < 1000; i++)
        mpx_bell_pull(bell, 40);
    ck_assert_uint_ne(mpx_bell_state(theirs, 40), second); /* they were many */
    mpx_bell_destroy(&theirs);
    mpx_bell_destroy(&bell);
}
END_TEST

START_TEST(nobody_waits_long_while_its_owner_is_busy)
{
    mpx_bell_t *bell = make_bell();
    uint32_t state = mpx_bell_state(bell, 0);
    mpx_bell_hush(bell, true);
    mpx_bell_pull(bell, 0);
    while (mpx_bell_state(bell, 0) == state)
        mpx_bell_toll_if_due(bell);
    mpx_bell_destroy(&bell);
}
END_TEST

typedef struct sleeper {
    const mpx_bell_t *bell;
    int slot;
    uint32_t state;
} sleeper_t;

static void *sleep_on(void *arg)
{
    const sleeper_t *self = arg;
    while (mpx_bell_state(self->bell, self->slot) == self->state)
        mpx_bell_sleep(self->bell, self->slot, self->state, far_from_now());
    return NULL;
}

START_TEST(sleepers_of_two_words_are_woken)
{
    mpx_bell_t *bell = make_bell();
    mpx_bell_t *theirs = open_bell(bell);
    sleeper_t sleepers[2] = {{theirs, 5, mpx_bell_state(theirs, 5)},
                             {theirs, 2047, mpx_bell_state(theirs, 2047)}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_on, &sleepers[i]), 0);
    mpx_bell_hush(bell, true);
    for (int i = 0; i < 2; i++)
        mpx_bell_pull(bell, sleepers[i].slot);
    mpx_bell_hush(bell, false);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    mpx_bell_sleep(theirs, 5, mpx_bell_state(theirs, 5), mpx_now() - 1); /* its time is over */
    mpx_bell_destroy(&theirs);
    mpx_bell_destroy(&bell);
}
END_TEST

/* ---- Lanes ---- */

/* b may sleep on a's bell. */
static void make_rung_pair(mpx_bell_t *bell, mpx_lane_t **a, mpx_lane_t **b)
{
    make_pair(a, b);
    mpx_lane_want_bell(*b);
    mpx_lane_lend_bell(*a, bell);
    ck_assert(fd_is_readable(*b));
    ck_assert_int_eq(mpx_lane_awake(*b), MP_OK);
    ck_assert(!fd_is_readable(*b));
}

START_TEST(without_a_bell_there_is_no_nap)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mpx_bell_t *bell = make_bell();
    make_pair(&a, &b);
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert(!mpx_lane_nap(b, far_from_now()));
    mpx_lane_lend_bell(a, bell); /* it wants none, and closes what came */
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert(!mpx_lane_nap(b, far_from_now()));
    ck_assert_int_eq(write_bytes(a, "x", 1), MP_OK);
    mpx_lane_ring(a);
    ck_assert(fd_is_readable(b));
    drop_pair(&a, &b);
    mpx_bell_destroy(&bell);
}
END_TEST

START_TEST(a_nap_ends_with_a_record_or_its_time)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    mpx_bell_t *bell = make_bell();
    make_rung_pair(bell, &a, &b);
    ck_assert(mpx_lane_sleep(b, false));
    ck_assert(!mpx_lane_nap(b, mpx_now() + MPX_MS));
    ck_assert_int_eq(write_bytes(a, "x", 1), MP_OK);
    mpx_lane_ring(a); /* it has gone over to its descriptor */
    ck_assert(fd_is_readable(b));
    ck_assert(mpx_lane_nap(b, far_from_now()));
    get(b);
    mpx_lane_pop(b);
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    drop_pair(&a, &b);
    mpx_bell_destroy(&bell);
}
END_TEST

static atomic_bool napping;

static void *nap(void *arg)
{
    mpx_lane_t *lane = arg;
    bool has = mpx_lane_nap(lane, far_from_now());
    atomic_store(&napping, false);
    return has ? lane : NULL;
}

/* Ends a nap of b's by `end`; whether it ended with a record. */
static bool nap_until(mpx_lane_t *b, int memory, void (*end)(mpx_lane_t *), mpx_lane_t *of)
{
    pthread_t thread;
    void *result = NULL;
    const mpx_lane_window_t *window = mpx_lane_window_open(memory);
    ck_assert_ptr_nonnull(window);
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    atomic_store(&napping, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, nap, b), 0);
    while (!mpx_lane_window_sleeps(window, 1))
        (void)sched_yield();
    end(of);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    mpx_lane_window_close(&window);
    return result != NULL;
}

static void write_and_ring(mpx_lane_t *lane)
{
    ck_assert_int_eq(write_bytes(lane, "x", 1), MP_OK);
    mpx_lane_ring(lane);
}

/* Once may be too early. */
static void disturb(mpx_lane_t *lane)
{
    while (atomic_load(&napping)) {
        mpx_lane_disturb(lane);
        (void)sched_yield();
    }
}

static void take_bell_away(mpx_lane_t *lane)
{
    mpx_lane_lend_bell(lane, NULL);
}

START_TEST(a_nap_ends_with_its_bell_too)
{
    mpx_lane_t *a = NULL;
    mpx_lane_t *b = NULL;
    int fds[2];
    mpx_bell_t *bell = make_bell();
    ck_assert_int_eq(mpx_lane_new(RING, &a, fds), MP_OK);
    int memory = dup(fds[0]);
    ck_assert_int_eq(mpx_lane_attach(fds, &b), MP_OK);
    mpx_lane_want_bell(b);
    mpx_lane_lend_bell(a, bell);
    ck_assert_int_eq(mpx_lane_awake(b), MP_OK);
    ck_assert(nap_until(b, memory, write_and_ring, a));
    ck_assert(!fd_is_readable(b)); /* the bell was enough */
    get(b);
    mpx_lane_pop(b);
    ck_assert(!nap_until(b, memory, disturb, b));
    ck_assert(!nap_until(b, memory, take_bell_away, a));
    write_and_ring(a);
    ck_assert(fd_is_readable(b));
    close(memory);
    drop_pair(&a, &b);
    mpx_bell_destroy(&bell);
}
END_TEST

/* ---- Races ---- */

enum { PEERS = 40, ROUNDS = 3000 };

/* Answers each record. A wake-up that is lost stops it for ever. */
static void answer(mpx_lane_t *lane, void *arg)
{
    (void)arg;
    mp_bytes_t record;
    mp_rc_t rc;
    int naps = 0;
    mpx_lane_want_bell(lane);
    for (int i = 0; i < ROUNDS; i++) {
        while ((rc = mpx_lane_read(lane, &record)) == MP_EBUSY)
            if (mpx_lane_nap(lane, far_from_now()))
                naps++;
            else
                NEED(mpx_lane_awake(lane) == MP_OK); /* for the bell, at first */
        NEED(rc == MP_OK);
        mpx_lane_pop(lane);
        NEED(write_bytes(lane, "", 0) == MP_OK);
    }
    NEED(naps > 0);
}

static void ask_all(mpx_lane_t **lanes, mpx_bell_t *bell, int round)
{
    bool some_only = round % 3 == 0;
    mpx_bell_hush(bell, round % 2);
    for (int i = 0; i < PEERS; i++) {
        NEED(write_bytes(lanes[i], "x", 1) == MP_OK);
        mpx_lane_ring(lanes[i]);
        if (some_only)
            mpx_bell_toll_if_due(bell);
    }
    mpx_bell_hush(bell, false);
}

START_TEST(no_wake_up_is_lost_among_many)
{
    mpx_lane_t *lanes[PEERS];
    pid_t pids[PEERS];
    mp_bytes_t record;
    mpx_bell_t *bell = make_bell();
    for (int i = 0; i < PEERS; i++) {
        pids[i] = fork_side(&lanes[i], answer, NULL);
        mpx_lane_lend_bell(lanes[i], bell);
    }
    for (int round = 0; round < ROUNDS; round++) {
        ask_all(lanes, bell, round);
        for (int i = 0; i < PEERS; i++) {
            while (mpx_lane_read(lanes[i], &record) == MP_EBUSY)
                (void)sched_yield();
            mpx_lane_pop(lanes[i]);
        }
    }
    for (int i = 0; i < PEERS; i++) {
        ck_assert_int_eq(join_side(pids[i]), 0);
        mpx_lane_destroy(&lanes[i]);
    }
    mpx_bell_destroy(&bell);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        peers_cannot_change_it,
        what_is_no_bell_is_refused,
        slots_are_shared_only_when_all_are_taken,
        while_hushed_it_only_notes,
        nobody_waits_long_while_its_owner_is_busy,
        sleepers_of_two_words_are_woken,
        without_a_bell_there_is_no_nap,
        a_nap_ends_with_a_record_or_its_time,
        a_nap_ends_with_its_bell_too,
        no_wake_up_is_lost_among_many,
    };
    return run_suite("bell", tests, sizeof tests / sizeof *tests);
}
