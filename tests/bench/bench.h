/* bench.h: what the benchmarks share. */
#ifndef BENCH_H
#define BENCH_H

#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void report(const char *peer, const char *name, const char *unit, double value)
{
    printf("RES\t%s\t%s\t%s\t%.3f\n", peer, name, unit, value);
    fflush(stdout);
}

static inline void require(mp_rc_t rc)
{
    if (rc == MP_OK)
        return;
    fprintf(stderr, "a benchmark: %s: %s\n", mp_errname(rc), mp_errmsg());
    exit(1);
}

static inline int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one; sorts them. */
static inline double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* Children that wait at a gate until all are there. */
typedef struct gate {
    int ends[2];
    int children;
} gate_t;

static inline gate_t gate_new(void)
{
    gate_t self = {.children = 0};
    if (pipe(self.ends) != 0)
        exit(1);
    return self;
}

/* Whether this is the child, behind the gate. */
static inline int gate_fork(gate_t *self)
{
    char byte;
    self->children++;
    if (fork() != 0)
        return 0;
    close(self->ends[1]);
    if (read(self->ends[0], &byte, 1) < 0)
        _exit(1);
    return 1;
}

/* How long all of them took. */
static inline double gate_time(gate_t *self)
{
    close(self->ends[0]);
    usleep(20000);
    double begin = seconds();
    close(self->ends[1]);
    for (int i = 0; i < self->children; i++) {
        int status = 0;
        if (wait(&status) < 0 || status != 0)
            exit(1);
    }
    return seconds() - begin;
}

#endif
