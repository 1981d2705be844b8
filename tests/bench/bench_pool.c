/* bench_pool: a pool of two local workers.
 * Usage: bench_pool map | async | bulk | scale | work | start | death | latency WHERE
 *        bench_pool broker ENDPOINT [PEER], whose workers this program is as well
 *        bench_pool idle ENDPOINT WORKERS: the same, beside many who have nothing to do */
#include "bench.h"

#include <signal.h>
#include <string.h>

static const char *us = "libmp";

MP_TASK(square, int, int)
{
    *out = (int)((unsigned)*in * (unsigned)*in);
    return MP_OK;
}

/* Of bench_remote's queued calls. */
typedef struct sixteen {
    int numbers[4];
} sixteen_t;
MP_TASK(take16, sixteen_t, int)
{
    *out = in->numbers[0];
    return MP_OK;
}

static void bench_map(mp_pool_t *pool, int n, int chunksize, const char *name)
{
    int *xs = calloc((size_t)n, sizeof *xs);
    int *ys = calloc((size_t)n, sizeof *ys);
    mp_call_options_t options = {.chunksize = chunksize};
    for (int i = 0; i < n; i++)
        xs[i] = i;
    require(mp_pool_map_with(pool, &square, xs, (size_t)n, ys, NULL, &options, -1));
    double begin = seconds();
    require(mp_pool_map_with(pool, &square, xs, (size_t)n, ys, NULL, &options, -1));
    report(us, name, "k/s", n / (seconds() - begin) / 1000);
    if (ys[n - 1] != (int)((unsigned)(n - 1) * (unsigned)(n - 1)))
        exit(1);
    free(xs);
    free(ys);
}

typedef struct mebibyte {
    unsigned char bytes[1 << 20];
} mebibyte_t;
typedef struct large {
    mebibyte_t parts[64];
} large_t;

/* A negative, in the way that each language has for it. */
static void invert(const unsigned char *in, unsigned char *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(255 - in[i]);
}

MP_TASK_FILLS(invert_mebibyte, mebibyte_t, mebibyte_t)
{
    invert(in->bytes, out->bytes, sizeof *out);
    return MP_OK;
}

MP_TASK_FILLS(invert_large, large_t, large_t)
{
    invert(in->parts[0].bytes, out->parts[0].bytes, sizeof *out);
    return MP_OK;
}

/* Arrays of the caller's own, or of mp_alloc; the median of five maps after a first one, or, when
 * each worker has seen all of the memory, after fifteen. */
static void bench_bulk(mp_pool_t *pool, const mp_task_t *task, size_t n, bool in_place, bool warm,
                       const char *name)
{
    enum { WARM = 15, MAPS = 5 };
    const int first = warm ? WARM : 1;
    size_t bytes = n * task->in.bytes;
    unsigned char *in = in_place ? mp_alloc(bytes) : malloc(bytes);
    unsigned char *out = in_place ? mp_alloc(bytes) : malloc(bytes);
    if (!in || !out)
        exit(1);
    for (size_t i = 0; i < bytes; i++)
        in[i] = (unsigned char)(i * 7 >> 3);
    double times[WARM + MAPS];
    for (int round = 0; round < first + MAPS; round++) {
        memset(out, 1, bytes);
        double begin = seconds();
        require(mp_pool_map(pool, task, in, n, out, -1));
        times[round] = seconds() - begin;
    }
    report(us, name, "MiB/s", (double)bytes / (1 << 20) / median(times + first, MAPS));
    for (size_t i = 0; i < bytes; i += 4093)
        if (out[i] != 255 - in[i])
            exit(1);
    if (in_place) {
        mp_free(in);
        mp_free(out);
    } else {
        free(in);
        free(out);
    }
}

static void bench_latency(mp_pool_t *pool, const char *p50, const char *p99)
{
    enum { N = 2000 };
    static double times[N];
    for (int i = 0; i < N; i++) {
        int y;
        double begin = seconds();
        require(mp_pool_apply(pool, &square, &i, &y, -1));
        times[i] = (seconds() - begin) * 1e6;
    }
    qsort(times, N, sizeof *times, compare_doubles);
    report(us, p50, "us", times[N / 2]);
    if (p99)
        report(us, p99, "us", times[N * 99 / 100]);
}

static void bench_async(mp_pool_t *pool, const char *name)
{
    enum { N = 50000 };
    static mp_result_t *results[N];
    for (int round = 0; round < 2; round++) { /* the first one warms up */
        double begin = seconds();
        for (int i = 0; i < N; i++)
            require(mp_pool_apply_async(pool, &square, &i, NULL, &results[i]));
        for (int i = 0; i < N; i++) {
            int value = 0;
            require(mp_result_get(results[i], &value, -1));
            mp_result_destroy(&results[i]);
        }
        if (round)
            report(us, name, "k/s", N / (seconds() - begin) / 1000);
    }
}

/* What an item costs, as maps get longer. */
static void bench_scale(mp_pool_t *pool)
{
    static const struct {
        int n, chunksize;
        const char *name;
    } rows[] = {{1000, 0, "map of 10^3"},
                {10000, 1, "chunk 1, 10^4 items"},
                {100000, 1, "chunk 1, 10^5 items"},
                {1000000, 1, "chunk 1, 10^6 items"},
                {10000000, 1, "chunk 1, 10^7 items"},
                {100000, 0, "automatic, 10^5 items"},
                {1000000, 0, "automatic, 10^6 items"},
                {10000000, 0, "automatic, 10^7 items"}};
    enum { MOST = 10000000, SHORTEST = 100 /* rounds of which the best counts */ };
    int *xs = calloc(MOST, sizeof *xs), *ys = calloc(MOST, sizeof *ys), y;
    memset(ys, 1, MOST * sizeof *ys);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_call_options_t options = {.chunksize = rows[i].chunksize};
        double best = 1e9;
        int rounds = rows[i].n == 1000 ? SHORTEST : rows[i].n < 100000 ? 9 : 2;
        for (int round = 0; round < rounds; round++) {
            double begin = seconds();
            require(mp_pool_map_with(pool, &square, xs, (size_t)rows[i].n, ys, NULL, &options, -1));
            double took = seconds() - begin;
            best = took < best ? took : best;
        }
        report(us, rows[i].name, "ns/item", best * 1e9 / rows[i].n);
        if (rows[i].n > 1000)
            continue;
        double apply = 1e9;
        for (int round = 0; round < SHORTEST; round++) {
            double begin = seconds();
            require(mp_pool_apply(pool, &square, &xs[0], &y, -1));
            apply = seconds() - begin < apply ? seconds() - begin : apply;
        }
        report(us, "map of 10^3, in applies", "x", best / apply);
    }
    free(xs);
    free(ys);
}

static long spins_of_1_ms;

static unsigned spin(long spins)
{
    volatile unsigned x = 1;
    for (long i = 0; i < spins; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

MP_TASK(work_1_ms, int, unsigned)
{
    *out = spin(spins_of_1_ms);
    return MP_OK;
}

/* So many calls of a millisecond, on two processors; 1 would be perfect. The serial time is taken
 * before and after, as processors are slower now and then. */
static void bench_work(void)
{
    enum { N = 1000 };
    static int in[N];
    static unsigned out[N];
    mp_pool_t *pool = NULL;
    double begin = seconds();
    (void)spin(20000000);
    spins_of_1_ms = (long)(20000000 * 0.001 / (seconds() - begin));
    require(mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = "local"}, &pool));
    for (int chunksize = 0; chunksize < 2; chunksize++) {
        mp_call_options_t options = {.chunksize = chunksize};
        begin = seconds();
        (void)spin(spins_of_1_ms * N / 4);
        double quarter = seconds() - begin;
        begin = seconds();
        require(mp_pool_map_with(pool, &work_1_ms, in, N, out, NULL, &options, -1));
        double took = seconds() - begin;
        begin = seconds();
        (void)spin(spins_of_1_ms * N / 4);
        double serial = 2 * (quarter + seconds() - begin);
        report(us, chunksize ? "1000 x 1 ms, chunk 1" : "1000 x 1 ms, automatic", "of ideal",
               serial / 2 / took);
    }
    mp_pool_destroy(&pool);
}

/* A pool of four, its first result, and its end. */
static void bench_start(void)
{
    mp_pool_t *pool = NULL;
    int x = 3, y = 0;
    double begin = seconds();
    require(mp_pool_new(&(mp_pool_options_t){.processes = 4, .broker = "local"}, &pool));
    require(mp_pool_apply(pool, &square, &x, &y, -1));
    report(us, "pool of 4, first result", "ms", (seconds() - begin) * 1000);
    mp_pool_destroy(&pool);
}

MP_TASK(sleep_long, int, int)
{
    sleep(100);
    return MP_OK;
}

/* From the kill of a worker until its call's outcome is known. */
static void bench_death(mp_pool_t *pool)
{
    mp_worker_stat_t workers[2];
    mp_outcome_t outcome;
    size_t count = 0;
    double worst = 0;
    for (int round = 0; round < 10; round++) {
        mp_result_t *result = NULL;
        require(mp_pool_apply_async(pool, &sleep_long, &round, NULL, &result));
        usleep(20000);
        int pid = 0;
        while (!pid) {
            require(mp_pool_worker_stats(pool, workers, 2, &count, -1));
            for (size_t i = 0; i < count; i++)
                pid = workers[i].given ? workers[i].pid : pid;
        }
        double begin = seconds();
        kill(pid, SIGKILL);
        require(mp_result_outcome(result, &outcome, -1));
        double took = (seconds() - begin) * 1000;
        worst = took > worst ? took : worst;
        mp_result_destroy(&result);
    }
    report(us, "a worker's death is known, worst of 10", "ms", worst);
}

static void bench_broker(const char *endpoint, const char *peer)
{
    mp_pool_t *pool = NULL;
    if (peer)
        us = peer;
    else if (strncmp(endpoint, "ipc:", 4) == 0)
        us = "libmp-ipc";
    require(mp_pool_new(&(mp_pool_options_t){.broker = endpoint}, &pool));
    bench_map(pool, 20000, 1, "broker: map 20k ints, chunk 1");
    bench_async(pool, "broker: apply_async, pipelined");
    bench_latency(pool, "broker: apply p50", NULL);
    mp_pool_destroy(&pool);
}

static void bench_idle(const char *endpoint, const char *workers)
{
    mp_pool_t *pool = NULL;
    char name[64];
    require(mp_pool_new(&(mp_pool_options_t){.broker = endpoint}, &pool));
    snprintf(name, sizeof name, "remote: %s workers, map 20k", workers);
    bench_map(pool, 20000, 1, name);
    snprintf(name, sizeof name, "remote: %s workers, apply p50", workers);
    bench_latency(pool, name, NULL);
    mp_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    mp_pool_t *pool = NULL;
    if (argc < 2)
        return 64;
    if (strcmp(argv[1], "work") == 0)
        return bench_work(), 0;
    if (strcmp(argv[1], "start") == 0)
        return bench_start(), 0;
    if (strcmp(argv[1], "broker") == 0 && argc > 2)
        return bench_broker(argv[2], argc > 3 ? argv[3] : NULL), 0;
    if (strcmp(argv[1], "idle") == 0 && argc > 3)
        return bench_idle(argv[2], argv[3]), 0;
    require(mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = "local"}, &pool));
    if (strcmp(argv[1], "async") == 0) {
        bench_async(pool, "apply_async, pipelined");
    } else if (strcmp(argv[1], "scale") == 0) {
        bench_scale(pool);
    } else if (strcmp(argv[1], "death") == 0) {
        bench_death(pool);
    } else if (strcmp(argv[1], "bulk") == 0) {
        bench_bulk(pool, &invert_mebibyte, 64, false, false, "64 x 1 MiB");
        bench_bulk(pool, &invert_mebibyte, 64, true, false, "64 x 1 MiB, in place");
        bench_bulk(pool, &invert_mebibyte, 64, true, true, "64 x 1 MiB, in place, warm");
        bench_bulk(pool, &invert_large, 8, false, false, "8 x 64 MiB");
        bench_bulk(pool, &invert_large, 8, true, false, "8 x 64 MiB, in place");
    } else if (strcmp(argv[1], "map") == 0) {
        bench_map(pool, 20000, 1, "map 20k ints, chunk 1");
        bench_map(pool, 1000000, 0, "map 1M ints, automatic");
    } else if (argc > 2 && strcmp(argv[2], "pinned") == 0) {
        bench_latency(pool, "apply p50, pinned", "apply p99, pinned");
    } else {
        bench_latency(pool, "apply p50, free", "apply p99, free");
    }
    mp_pool_destroy(&pool);
    return 0;
}
