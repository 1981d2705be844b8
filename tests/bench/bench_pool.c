/* bench_pool: a pool of two local workers. Usage: bench_pool map | async | bulk | latency WHERE */
#include "bench.h"

#include <string.h>

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

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Arrays of the caller's own, or of mp_alloc; the median of five maps after a first one. */
static void bench_bulk(mp_pool_t *pool, const mp_task_t *task, size_t n, bool in_place,
                       const char *name)
{
    size_t bytes = n * task->in.bytes;
    unsigned char *in = in_place ? mp_alloc(bytes) : malloc(bytes);
    unsigned char *out = in_place ? mp_alloc(bytes) : malloc(bytes);
    if (!in || !out)
        exit(1);
    for (size_t i = 0; i < bytes; i++)
        in[i] = (unsigned char)(i * 7 >> 3);
    double times[6];
    for (int round = 0; round < 6; round++) {
        memset(out, 1, bytes);
        double begin = seconds();
        require(mp_pool_map(pool, task, in, n, out, -1));
        times[round] = seconds() - begin;
    }
    qsort(times + 1, 5, sizeof *times, compare);
    report("libmp", name, "MiB/s", (double)bytes / (1 << 20) / times[3]);
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
    } else if (strcmp(argv[1], "bulk") == 0) {
        bench_bulk(pool, &invert_mebibyte, 64, false, "64 x 1 MiB");
        bench_bulk(pool, &invert_mebibyte, 64, true, "64 x 1 MiB, in place");
        bench_bulk(pool, &invert_large, 8, false, "8 x 64 MiB");
        bench_bulk(pool, &invert_large, 8, true, "8 x 64 MiB, in place");
    } else if (strcmp(argv[1], "map") == 0) {
        bench_map(pool, 20000, 1, "map 20k ints, chunk 1");
        bench_map(pool, 1000000, 0, "map 1M ints, automatic");
    } else {
        bench_latency(pool, argc > 2 ? argv[2] : "free");
    }
    mp_pool_destroy(&pool);
    return 0;
}
