/* bench_bare: the same work without a pool: OpenMP's threads; processes forked for it, with results
 * in memory that they share. Usage: bench_bare work | map */
#include "bench.h"

#include <sys/mman.h>

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

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "work") == 0)
        return bench_work(), 0;
    if (argc == 2 && strcmp(argv[1], "map") == 0)
        return bench_map(), 0;
    return 64;
}
