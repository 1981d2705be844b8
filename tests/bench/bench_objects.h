/* bench_objects.h: what the benchmarks of shared objects share: the operations, the ways in which
 * they are asked for, and servers that end with the benchmark.
 *
 * A peer gives `begin` (what is needed before the clients start), `call` (one operation, there and
 * back), `batch` (BATCH of them under way at once; false: it can't) and `end`. */
#ifndef BENCH_OBJECTS_H
#define BENCH_OBJECTS_H

#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    KEYS = 1000,
    VALUE_BYTES = 16,
    BATCH = 100,
    CLIENTS = 4,
    WRITERS = 64,
    WRITING_PROCESSES = 4
};

/* LOCK: acquire and release of one that no other client wants; ONE_LOCK: all clients want it. */
typedef enum operation { DICT_SET, DICT_GET, LIST_APPEND, LOCK, ONE_LOCK, OPERATIONS } operation_t;
static const char *const operation_names[] = {"dict set", "dict get", "list append",
                                              "lock + release", "one lock + release"};

static const char value_bytes[VALUE_BYTES + 1] = "sixteen bytes ab";

typedef struct peer {
    const char *name;
    const char *suffix; /* of the cases' names */
    void (*begin)(operation_t operation);
    void (*join)(int client); /* once in each client, a thread of a process that may be forked */
    void (*call)(operation_t operation);
    bool (*batch)(operation_t operation);
    void (*end)(operation_t operation);
} peer_t;

/* The next key among KEYS, in no order. */
static inline const char *next_key(void)
{
    static _Thread_local char keys[KEYS][12];
    static _Thread_local uint32_t state;
    if (!state) {
        state = (uint32_t)gettid() | 1;
        for (int i = 0; i < KEYS; i++)
            snprintf(keys[i], sizeof keys[i], "key-%d", i);
    }
    state = state * 1664525 + 1013904223;
    return keys[(uint64_t)state * KEYS >> 32];
}

static inline const char *nth_key(int i)
{
    static char key[16];
    snprintf(key, sizeof key, "key-%d", i);
    return key;
}

/* How long a sample takes. */
static inline double sample_seconds(void)
{
    const char *text = getenv("BENCH_SECONDS");
    return text ? atof(text) : 1.0;
}

/* Operations per second of one client in this process; < 0: it can't do that. */
static inline double rate_of(const peer_t *peer, operation_t operation, bool batched)
{
    enum { WARM = 20 };
    double limit = sample_seconds(), begin = 0, now = 0;
    long count = 0;
    for (long i = -WARM; i <= 0 || now - begin < limit; i++) {
        if (i == 0)
            begin = seconds();
        if (!batched)
            peer->call(operation);
        else if (!peer->batch(operation))
            return -1;
        now = seconds();
        count = i + 1;
    }
    return (double)count * (batched ? BATCH : 1) / (now - begin);
}

static inline void report_case(const peer_t *peer, operation_t operation, const char *how,
                               double rate)
{
    char name[96];
    snprintf(name, sizeof name, "%s, %s%s", operation_names[operation], how, peer->suffix);
    if (rate < 0)
        printf("# %s: %s: skipped\n", peer->name, name);
    else
        report(peer->name, name, "/s", rate);
}

static inline void bench_one(const peer_t *peer, operation_t operation, const char *how)
{
    peer->begin(operation);
    peer->join(0);
    report_case(peer, operation, how, rate_of(peer, operation, strcmp(how, "x100") == 0));
    peer->end(operation);
}

typedef struct client {
    const peer_t *peer;
    operation_t operation;
    int number;
    double rate;
} client_t;

static inline void *run_client(void *arg)
{
    client_t *self = arg;
    self->peer->join(self->number);
    self->rate = rate_of(self->peer, self->operation, false);
    return NULL;
}

/* Clients that are threads of this process. */
static inline void run_clients(client_t *clients, int count)
{
    pthread_t threads[WRITERS];
    for (int i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, run_client, &clients[i]) != 0)
            exit(1);
    run_client(&clients[0]);
    for (int i = 1; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* Clients that go on at the same time, in so many processes, together. */
static inline double rate_of_many(const peer_t *peer, operation_t operation, int count,
                                  int processes)
{
    double sum = 0;
    int each = count / processes;
    client_t *clients = mmap(NULL, sizeof *clients * (size_t)count, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (clients == MAP_FAILED)
        exit(1);
    for (int i = 0; i < count; i++)
        clients[i] = (client_t){peer, operation, i, 0};
    gate_t gate = gate_new();
    for (int i = 0; i < processes; i++)
        if (gate_fork(&gate)) {
            run_clients(clients + i * each, each);
            _exit(0);
        }
    (void)gate_time(&gate);
    for (int i = 0; i < count; i++)
        sum += clients[i].rate;
    munmap(clients, sizeof *clients * (size_t)count);
    return sum;
}

static inline void bench_many(const peer_t *peer, operation_t operation, int clients, int processes,
                              const char *how)
{
    peer->begin(operation);
    report_case(peer, operation, how, rate_of_many(peer, operation, clients, processes));
    peer->end(operation);
}

static const char *const writers_names[] = {"64 processes, durable", "4 x 16 threads, durable",
                                            "64 threads, durable"};

/* WRITERS whose every write is to last, as processes and as threads of a few: how dear it is to
 * wake a process says much about the first, little about the second. */
static inline void bench_writers(const peer_t *peer)
{
    static const int processes[] = {WRITERS, WRITING_PROCESSES, 1};
    for (int i = 0; i < 3; i++)
        bench_many(peer, DICT_SET, WRITERS, processes[i], writers_names[i]);
}

/* `free`: 1 client, 4 clients, 1 client with BATCH under way; `pinned`: 1 client. */
static inline void bench_objects(const peer_t *peer, const char *where)
{
    for (operation_t operation = DICT_SET; operation < OPERATIONS; operation++) {
        if (strcmp(where, "pinned") == 0) {
            if (operation != ONE_LOCK)
                bench_one(peer, operation, "1 pinned");
            continue;
        }
        if (operation != ONE_LOCK) {
            bench_one(peer, operation, "1 client");
            bench_one(peer, operation, "x100");
        }
        bench_many(peer, operation, CLIENTS, CLIENTS, "4 clients");
    }
}

/* ---- servers ------------------------------------------------------------------------------- */

/* Start a program that ends with this one; its output goes to `log`. argv[0] is what it is
 * called, `program` what it is. */
static inline pid_t server_start(const char *program, char *const *argv, const char *log)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        exit(1);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execvp(program, argv);
    _exit(127);
}

static inline void server_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    for (int i = 0; i < 300; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        usleep(10000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* A port of this host that nobody listens on. */
static inline int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        exit(1);
    close(fd);
    return ntohs(at.sin_port);
}

/* A new directory under the one that is measured: on the same disk for all. */
static inline const char *new_directory(const char *under)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/objects-XXXXXX", under);
    if (!mkdtemp(path)) {
        perror(path);
        exit(1);
    }
    return path;
}

static inline void remove_directory(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

#endif
