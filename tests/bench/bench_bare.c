/* bench_bare: the same work without a pool: OpenMP's threads; processes forked for it, with results
 * in memory that they share; processes that are woken in turn, and do nothing.
 * Usage: bench_bare work | map | wake */
#include "bench_objects.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static unsigned spin(long spins)
{
    volatile unsigned x = 1;
    for (long i = 0; i < spins; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

/* As bench_pool's. */
static void bench_work(void)
{
    enum { N = 1000 };
    static unsigned out[N];
    double begin = seconds();
    (void)spin(20000000);
    long spins = (long)(20000000 * 0.001 / (seconds() - begin));
    begin = seconds();
    (void)spin(spins * N / 4);
    double quarter = seconds() - begin;
    begin = seconds();
#pragma omp parallel for schedule(dynamic) num_threads(2)
    for (int i = 0; i < N; i++)
        out[i] = spin(spins);
    double took = seconds() - begin;
    begin = seconds();
    (void)spin(spins * N / 4);
    double serial = 2 * (quarter + seconds() - begin);
    report("OpenMP", "1000 x 1 ms, chunk 1", "of ideal", serial / 2 / took);
}

/* Two processes, half of the numbers each. */
static void bench_map(void)
{
    enum { N = 1000000 };
    int *out =
        mmap(NULL, N * sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double begin = seconds();
    for (int half = 0; half < 2; half++)
        if (fork() == 0) {
            for (int i = half * (N / 2); i < (half + 1) * (N / 2); i++)
                out[i] = (int)((unsigned)i * (unsigned)i);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    report("fork + shm", "map 1M ints, automatic", "k/s", N / (seconds() - begin) / 1000);
}

typedef struct floor {
    atomic_int arrived;
    atomic_int rounds[WRITERS]; /* that each has been called to */
} floor_t;

static void sleep_while(atomic_int *word, int value)
{
    while (atomic_load(word) == value)
        (void)syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake_up(atomic_int *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void answer_calls(floor_t *floor, int i)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int round = 0;; round++) {
        sleep_while(&floor->rounds[i], round);
        if (atomic_fetch_add(&floor->arrived, 1) + 1 == WRITERS)
            wake_up(&floor->arrived);
    }
}

static void call_all(floor_t *floor)
{
    int arrived;
    atomic_store(&floor->arrived, 0);
    for (int i = 0; i < WRITERS; i++) {
        atomic_fetch_add(&floor->rounds[i], 1);
        wake_up(&floor->rounds[i]);
    }
    while ((arrived = atomic_load(&floor->arrived)) != WRITERS)
        sleep_while(&floor->arrived, arrived);
}

/* As many as bench_objects has writers, each asleep until its turn: what a server whose clients
 * are processes that wait for each answer can't exceed, if it costs nothing itself. */
static void bench_wake(void)
{
    long rounds = 0;
    pid_t pids[WRITERS];
    floor_t *floor =
        mmap(NULL, sizeof *floor, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (floor == MAP_FAILED)
        exit(1);
    for (int i = 0; i < WRITERS; i++)
        if ((pids[i] = fork()) == 0)
            answer_calls(floor, i);
    double begin = seconds(), now = begin;
    for (; now - begin < sample_seconds(); now = seconds(), rounds++)
        call_all(floor);
    report_case(&(peer_t){.name = "bare wake-ups", .suffix = ""}, DICT_SET, writers_names[0],
                (double)rounds * WRITERS / (now - begin));
    for (int i = 0; i < WRITERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "wake") == 0)
        return bench_wake(), 0;
    if (argc == 2 && strcmp(argv[1], "work") == 0)
        return bench_work(), 0;
    if (argc == 2 && strcmp(argv[1], "map") == 0)
        return bench_map(), 0;
    return 64;
}
