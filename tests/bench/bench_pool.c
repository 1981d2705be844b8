/* bench_pool: a pool of two local workers. Usage: bench_pool map | latency WHERE */
#include "bench.h"

MP_TASK(square, int, int)
{
    *out = (int)((unsigned)*in * (unsigned)*in);
    return MP_OK;
}

static void bench_map(mp_pool_t *pool, int n, int chunksize, const char *name)
{
    int *xs = calloc((size_t)n, sizeof *xs);
    int *ys = calloc((size_t)n, sizeof *ys);
    mp_call_options_t options = {.chunksize = chunksize};
    for (int i = 0; i < n; i++)
        xs[i] = i;
    require(mp_pool_map(pool, &square, xs, 1000, ys, -1));
    double begin = seconds();
    require(mp_pool_map_with(pool, &square, xs, (size_t)n, ys, NULL, &options, -1));
    report("libmp", name, "k/s", n / (seconds() - begin) / 1000);
    if (ys[n - 1] != (int)((unsigned)(n - 1) * (unsigned)(n - 1)))
        exit(1);
    free(xs);
    free(ys);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void bench_latency(mp_pool_t *pool, const char *where)
{
    enum { N = 2000 };
    static double times[N];
    char name[64];
    for (int i = 0; i < N; i++) {
        int y;
        double begin = seconds();
        require(mp_pool_apply(pool, &square, &i, &y, -1));
        times[i] = (seconds() - begin) * 1e6;
    }
    qsort(times, N, sizeof *times, compare);
    snprintf(name, sizeof name, "apply p50, %s", where);
    report("libmp", name, "us", times[N / 2]);
    snprintf(name, sizeof name, "apply p99, %s", where);
    report("libmp", name, "us", times[N * 99 / 100]);
}

static void bench_async(mp_pool_t *pool)
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
            report("libmp", "apply_async, pipelined", "k/s", N / (seconds() - begin) / 1000);
    }
}

int main(int argc, char **argv)
{
    mp_pool_t *pool = NULL;
    if (argc < 2)
        return 64;
    require(mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = "local"}, &pool));
    if (strcmp(argv[1], "async") == 0) {
        bench_async(pool);
    } else if (strcmp(argv[1], "map") == 0) {
        bench_map(pool, 20000, 1, "map 20k ints, chunk 1");
        bench_map(pool, 1000000, 0, "map 1M ints, automatic");
    } else {
        bench_latency(pool, argc > 2 ? argv[2] : "free");
    }
    mp_pool_destroy(&pool);
    return 0;
}
