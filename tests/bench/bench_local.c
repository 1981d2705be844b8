/* bench_local: what lives on one host, beside the same thing made of nothing but the system.
 * Usage: bench_local sync | process */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void *shared(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        exit(1);
    return at;
}

/* ---- increments under a lock ------------------------------------------------------------------
 */

enum { INCREMENTS = 400000 };

static mp_value_t *value;
static pthread_mutex_t *raw_mutex;
static int *raw_value;

static void increment_ours(int n)
{
    int *at = mp_value_get_obj(value);
    mp_lock_t *lock = mp_value_get_lock(value);
    for (int i = 0; i < n; i++) {
        if (mp_lock_acquire(lock, -1) != MP_OK)
            _exit(1);
        ++*at;
        if (mp_lock_release(lock) != MP_OK)
            _exit(1);
    }
}

static void increment_raw(int n)
{
    for (int i = 0; i < n; i++) {
        if (pthread_mutex_lock(raw_mutex) != 0)
            _exit(1);
        ++*raw_value;
        pthread_mutex_unlock(raw_mutex);
    }
}

static double time_processes(int processes, void (*run)(int))
{
    gate_t gate = gate_new();
    for (int i = 0; i < processes; i++)
        if (gate_fork(&gate)) {
            run(INCREMENTS / processes);
            _exit(0);
        }
    return gate_time(&gate);
}

static void bench_increments(int processes)
{
    char name[64];
    snprintf(name, sizeof name, "Value += under its lock, %d", processes);
    report("libmp", name, "k/s", INCREMENTS / time_processes(processes, increment_ours) / 1000);
    report("raw", name, "k/s", INCREMENTS / time_processes(processes, increment_raw) / 1000);
}

static void make_mutex(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    raw_mutex = shared(sizeof *raw_mutex);
    raw_value = shared(sizeof *raw_value);
    pthread_mutex_init(raw_mutex, &attributes);
}

static void bench_lock(void)
{
    enum { N = 2000000 };
    mp_lock_t *lock = NULL;
    require(mp_lock_new(&lock));
    double begin = seconds();
    for (int i = 0; i < N; i++) {
        (void)mp_lock_acquire(lock, -1);
        (void)mp_lock_release(lock);
    }
    report("libmp", "Lock acquire + release", "ns", (seconds() - begin) / N * 1e9);
    begin = seconds();
    for (int i = 0; i < N; i++) {
        pthread_mutex_lock(raw_mutex);
        pthread_mutex_unlock(raw_mutex);
    }
    report("raw", "Lock acquire + release", "ns", (seconds() - begin) / N * 1e9);
    mp_lock_destroy(&lock);
}

/* ---- wake-ups: there and back ------------------------------------------------------------------
 */

enum { ROUNDS = 5000 };

static mp_event_t *ping, *pong;

static void event_echo(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        (void)mp_event_wait(ping, -1);
        mp_event_clear(ping);
        mp_event_set(pong);
    }
}

static void event_call(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        mp_event_set(ping);
        (void)mp_event_wait(pong, -1);
        mp_event_clear(pong);
    }
}

static _Atomic uint32_t *words;

static void futex_wait(_Atomic uint32_t *word)
{
    while (atomic_load(word) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
    atomic_store(word, 0);
}

static void futex_set(_Atomic uint32_t *word)
{
    atomic_store(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void futex_echo(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        futex_wait(&words[0]);
        futex_set(&words[16]);
    }
}

static void futex_call(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        futex_set(&words[0]);
        futex_wait(&words[16]);
    }
}

static mp_condition_t *condition;
static int *turn;

static void take_turns(int mine)
{
    mp_lock_t *lock = mp_condition_lock(condition);
    (void)mp_lock_acquire(lock, -1);
    for (int i = 0; i < ROUNDS; i++) {
        while (*turn != mine)
            (void)mp_condition_wait(condition, -1);
        *turn = !mine;
        (void)mp_condition_notify(condition, 1);
    }
    (void)mp_lock_release(lock);
}

static void condition_echo(void)
{
    take_turns(1);
}

static void condition_call(void)
{
    take_turns(0);
}

static void bench_round_trip(const char *peer, const char *name, void (*echo)(void),
                             void (*call)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        echo();
        _exit(0);
    }
    double begin = seconds();
    call();
    report(peer, name, "us", (seconds() - begin) / ROUNDS * 1e6);
    waitpid(pid, NULL, 0);
}

static void bench_sync(void)
{
    make_mutex();
    words = shared(4096);
    turn = shared(4096);
    require(mp_value_new('i', NULL, NULL, &value));
    require(mp_event_new(&ping));
    require(mp_event_new(&pong));
    require(mp_condition_new(NULL, &condition));
    bench_increments(1);
    bench_increments(4);
    bench_lock();
    bench_round_trip("libmp", "Event there and back", event_echo, event_call);
    bench_round_trip("raw", "Event there and back", futex_echo, futex_call);
    bench_round_trip("libmp", "Condition there and back", condition_echo, condition_call);
}

/* ---- processes, blocks -------------------------------------------------------------------------
 */

typedef struct nothing {
    char byte;
} nothing_t;

MP_TARGET(does_nothing, nothing_t)
{
    return 0;
}

static void bench_start(mp_method_t method, int n)
{
    char name[64];
    mp_process_options_t options = {.registered = &does_nothing, .method = method};
    double begin = 0;
    for (int i = 0; i <= n; i++) {
        mp_process_t *process = NULL;
        if (i == 1) /* the first brings up what the others share */
            begin = seconds();
        require(mp_process_new(&options, &process));
        require(mp_process_start(process));
        require(mp_process_join(process, -1));
        mp_process_destroy(&process);
    }
    snprintf(name, sizeof name, "Process start + join, %s", mp_method_name(method));
    report("libmp", name, "us", (seconds() - begin) / n * 1e6);
}

static void bench_raw_fork(int n)
{
    double begin = seconds();
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    report("raw", "Process start + join, fork", "us", (seconds() - begin) / n * 1e6);
}

static void bench_blocks(int n)
{
    double begin = 0;
    for (int i = 0; i <= n; i++) {
        mp_shared_memory_t *block = NULL;
        if (i == 1)
            begin = seconds();
        require(mp_shared_memory_create(NULL, 1000, &block));
        mp_shared_memory_close(block);
        require(mp_shared_memory_unlink(block));
        mp_shared_memory_destroy(&block);
    }
    report("libmp", "SharedMemory life", "us", (seconds() - begin) / n * 1e6);
    begin = seconds();
    for (int i = 0; i < n; i++) {
        int fd = shm_open("/bench-raw", O_CREAT | O_EXCL | O_RDWR, 0600);
        if (fd < 0 || ftruncate(fd, 1000) != 0)
            exit(1);
        void *at = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        munmap(at, 1000);
        close(fd);
        shm_unlink("/bench-raw");
    }
    report("raw", "SharedMemory life", "us", (seconds() - begin) / n * 1e6);
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    if (argc < 2)
        return 64;
    if (strcmp(argv[1], "sync") == 0) {
        bench_sync();
        return 0;
    }
    bench_start(MP_FORK, 300);
    bench_raw_fork(300);
    bench_start(MP_SPAWN, 100);
    bench_start(MP_FORKSERVER, 300);
    bench_blocks(5000);
    return 0;
}
