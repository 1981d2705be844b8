/* keep_load: how fast a broker with a data directory acknowledges. WRITERS processes, each with a
 * connection of its own, write for SECONDS; prints writes and commits per second.
 * Usage: keep_load WRITERS [SECONDS] */
#include "keep_broker.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { LONG_MS = 20000, WRITERS_MAX = 1024 };

typedef struct board {
    atomic_bool over;
    atomic_int ready;
    atomic_bool go;
    struct {
        _Alignas(64) atomic_ulong done;
        unsigned long slowest_us;
    } writers[WRITERS_MAX];
} board_t;

static board_t *board;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what, mp_rc_t rc)
{
    fprintf(stderr, "%s: %s (%s)\n", what, mp_errname(rc), mp_errmsg());
    _exit(1);
}

static void write_for_long(const char *address, int me)
{
    mp_manager_t *manager = NULL;
    mp_object_t *dict = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    mp_rc_t rc = mp_manager_connect(address, NULL, 0, LONG_MS, &manager);
    if (rc == MP_OK)
        rc = mp_manager_dict(manager, "load", &dict);
    if (rc != MP_OK)
        die("connect", rc);
    atomic_fetch_add(&board->ready, 1);
    while (!atomic_load(&board->go))
        keep_sleep_us(1000);
    for (int i = 0; !atomic_load(&board->over); i++) {
        int64_t before = now_us();
        rc = mp_dict_set(dict, MP_K(me * 100 + i % 100), MP_V(i), LONG_MS);
        if (rc != MP_OK)
            die("set", rc);
        unsigned long took = (unsigned long)(now_us() - before);
        if (took > board->writers[me].slowest_us)
            board->writers[me].slowest_us = took;
        atomic_fetch_add(&board->writers[me].done, 1);
    }
    _exit(0);
}

static unsigned long total(int writers)
{
    unsigned long sum = 0;
    for (int i = 0; i < writers; i++)
        sum += atomic_load(&board->writers[i].done);
    return sum;
}

static double cpu_seconds(pid_t pid)
{
    char path[64];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) != 2)
        user = system = 0;
    if (file)
        fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void report(const keep_t *keep, int writers, int seconds)
{
    unsigned long slowest = 0, before = total(writers);
    uint64_t commits = keep_commits(keep);
    double cpu = cpu_seconds(keep->pid);
    int64_t start = now_us();
    keep_sleep_us(seconds * 1000000L);
    double took = (double)(now_us() - start) / 1e6;
    double done = (double)(total(writers) - before);
    double committed = (double)(keep_commits(keep) - commits);
    for (int i = 0; i < writers; i++)
        if (board->writers[i].slowest_us > slowest)
            slowest = board->writers[i].slowest_us;
    printf("%d writers: %.0f writes/s, %.0f commits/s, %.2f writes per commit, slowest %.1f ms, "
           "broker %.0f %% of a CPU\n",
           writers, done / took, committed / took, committed > 0 ? done / committed : 0,
           (double)slowest / 1000, (cpu_seconds(keep->pid) - cpu) / took * 100);
}

int main(int argc, char **argv)
{
    int writers = argc > 1 ? atoi(argv[1]) : 8, seconds = argc > 2 ? atoi(argv[2]) : 3;
    int status = 0, failed = 0;
    keep_t keep;
    if (writers < 1 || writers > WRITERS_MAX || seconds < 1)
        return 64;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    keep_make(&keep);
    keep_start(&keep);
    for (int i = 0; i < writers; i++)
        if (fork() == 0)
            write_for_long(keep.address, i);
    while (atomic_load(&board->ready) < writers)
        keep_sleep_us(1000);
    atomic_store(&board->go, true);
    keep_sleep_us(300000);
    report(&keep, writers, seconds);
    atomic_store(&board->over, true);
    for (int i = 0; i < writers; i++)
        failed |= wait(&status) < 0 || status != 0;
    keep_end(&keep, SIGTERM);
    keep_clear(&keep);
    return failed;
}
