/* soak: many calls while workers retire and are killed, and what is left behind.
 * Usage: soak PROCESSES CALLS MAX_CALLS_PER_WORKER KILL_EVERY_MS */
#include "bench.h"

#include <dirent.h>
#include <mp/mp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUND = 100000 };

MP_TASK(mix, uint64_t, uint64_t)
{
    uint64_t x = *in * UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < 20; i++)
        x ^= x >> 29, x *= UINT64_C(0xBF58476D1CE4E5B9);
    *out = x + *in;
    return MP_OK;
}

static uint64_t expected(uint64_t in)
{
    uint64_t out;
    mix.run(NULL, (mp_bytes_t){&in, sizeof in}, &out);
    return out;
}

typedef struct killer {
    mp_pool_t *pool;
    int every_ms;
    atomic_bool over;
    unsigned kills;
} killer_t;

static void *kill_some(void *arg)
{
    enum { WORKERS_MAX = 512 };
    static mp_worker_stat_t workers[WORKERS_MAX];
    killer_t *self = arg;
    unsigned seed = 1;
    while (!self->over) {
        size_t count = 0;
        usleep((useconds_t)self->every_ms * 1000);
        if (mp_pool_worker_stats(self->pool, workers, WORKERS_MAX, &count, -1) || !count)
            continue;
        int pid = workers[(size_t)rand_r(&seed) % count].pid;
        self->kills += pid > 0 && kill(pid, SIGKILL) == 0;
    }
    return NULL;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static double resident_mib(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* Wrong results; none is missing, or the map would say so. */
static size_t run_round(mp_pool_t *pool, uint64_t first)
{
    static uint64_t in[ROUND], out[ROUND];
    size_t wrong = 0;
    mp_call_options_t options = {.retries = 1000, .max_crashes = 1000};
    for (size_t i = 0; i < ROUND; i++)
        in[i] = first + i;
    if (mp_pool_map_with(pool, &mix, in, ROUND, out, NULL, &options, 600000)) {
        fprintf(stderr, "soak: %s\n", mp_errmsg());
        exit(1);
    }
    for (size_t i = 0; i < ROUND; i++)
        wrong += out[i] != expected(in[i]);
    return wrong;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return fprintf(stderr, "usage: soak PROCESSES CALLS MAX_CALLS KILL_EVERY_MS\n"), 64;
    uint64_t calls = strtoull(argv[2], NULL, 10), done = 0;
    size_t wrong = 0;
    mp_pool_stat_t stat;
    pthread_t thread;
    size_t descriptors = count_descriptors();
    double began = seconds();
    mp_pool_t *pool = NULL;
    mp_pool_options_t options = {
        .broker = "local", .processes = atoi(argv[1]), .max_calls_per_worker = atoi(argv[3])};
    if (mp_pool_new(&options, &pool))
        return fprintf(stderr, "soak: %s\n", mp_errmsg()), 1;
    killer_t killer = {.pool = pool, .every_ms = atoi(argv[4])};
    if (killer.every_ms)
        pthread_create(&thread, NULL, kill_some, &killer);
    double first_mib = 0;
    for (; done < calls; done += ROUND) {
        wrong += run_round(pool, done);
        if (done == 4 * ROUND)
            first_mib = resident_mib();
    }
    killer.over = true;
    if (killer.every_ms)
        pthread_join(thread, NULL);
    double last_mib = resident_mib();
    if (mp_pool_stat(pool, &stat))
        return 1;
    mp_pool_destroy(&pool);
    double took = seconds() - began;
    printf(
        "%llu calls, %zu wrong, %.0f s, %.0f calls/s; %llu workers: %llu retired, %llu died "
        "(%u kills); memory %.1f MiB after 5 rounds, %.1f at the end; descriptors %zu before, %zu "
        "after\n",
        (unsigned long long)done, wrong, took, (double)done / took, stat.started, stat.retired,
        stat.crashed, killer.kills, first_mib, last_mib, descriptors, count_descriptors());
    return wrong ? 1 : 0;
}
