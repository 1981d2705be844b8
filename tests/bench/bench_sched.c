/* bench_sched: what a call costs the scheduler, which is pure, so nothing else runs.
 * Usage: bench_sched. Chunks of one call; each worker has one slot and takes two calls at once.
 * Times are of the processor. Of many jobs, each has calls queued all the time; of clients, each
 * has as many jobs. */
#include "sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORK_NS = 1000000, HORIZON_NS = 2000000, CALLS_MAX = 1000000 };

typedef struct shape {
    const char *name;
    uint32_t workers;
    uint64_t jobs;
    uint64_t clients;
    uint64_t calls; /* queued at the start, of all jobs */
} shape_t;

static const shape_t shapes[] = {
    {"1 worker, 1 job, 10^3 calls", 1, 1, 1, 1000},
    {"1 worker, 1 job, 10^6 calls", 1, 1, 1, 1000000},
    {"100 workers, 1 job, 10^6 calls", 100, 1, 1, 1000000},
    {"10000 workers, 1 job, 10^6 calls", 10000, 1, 1, 1000000},
    {"1 worker, 1000 jobs, 10^6 calls", 1, 1000, 1, 1000000},
    {"100 workers, 1000 jobs, 10^6 calls", 100, 1000, 1, 1000000},
    {"10000 workers, 1000 jobs, 10^6 calls", 10000, 1000, 1, 1000000},
    {"100 workers, 100 clients of 10 jobs, 10^6 calls", 100, 1000, 100, 1000000},
    {"10000 workers, 1000 clients of 1 job, 10^6 calls", 10000, 1000, 1000, 1000000},
};

static void require(mp_rc_t rc)
{
    if (rc == MP_OK)
        return;
    fprintf(stderr, "bench_sched: %s\n", mp_strerror(rc));
    exit(1);
}

static int64_t clock_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void open_jobs(mpx_sched_t *sched, const shape_t *shape)
{
    for (uint64_t job = 1; job <= shape->jobs; job++) {
        mpx_policy_t policy = {.chunk_calls = 1};
#ifndef BENCH_WITHOUT_CLIENTS
        policy.client = 1 + job % shape->clients;
#endif
        require(mpx_sched_job_open(sched, 0, job, &policy));
    }
}

/* Chunks end in the order in which they were given. */
static uint64_t run_all(mpx_sched_t *sched)
{
    static uint64_t given[1 << 16];
    uint64_t first = 0, last = 0, calls = 0;
    int64_t now = 0;
    mpx_effect_t effect;
    for (;;) {
        while (mpx_sched_effect(sched, &effect))
            given[last++ & 0xffff] = effect.chunk;
        if (first == last)
            return calls;
        uint64_t chunk = given[first++ & 0xffff];
        now += 100;
        require(mpx_sched_started(sched, now, chunk));
        require(mpx_sched_done(sched, now, chunk, 1, WORK_NS));
        calls++;
    }
}

static void measure(const shape_t *shape)
{
    mpx_sched_t *sched = NULL;
    mpx_worker_spec_t spec = {.slots = 1, .horizon_ns = HORIZON_NS, .credit_bytes = 1 << 20};
    require(mpx_sched_new(&sched));
    open_jobs(sched, shape);
    int64_t start = clock_ns();
    for (uint64_t i = 0; i < shape->calls; i++)
        require(mpx_sched_put(sched, 0, 1 + i % shape->jobs, i / shape->jobs, 1, 16, 0));
    int64_t queued = clock_ns();
    for (uint32_t worker = 1; worker <= shape->workers; worker++)
        require(mpx_sched_worker_join(sched, 0, worker, &spec));
    int64_t joined = clock_ns();
    uint64_t calls = run_all(sched);
    int64_t over = clock_ns();
    if (calls != shape->calls)
        exit(1);
    printf("RES\tlibmp\t%s: put\tns\t%.0f\n", shape->name,
           (double)(queued - start) / (double)shape->calls);
    printf("RES\tlibmp\t%s: run\tns\t%.0f\n", shape->name,
           (double)(over - joined) / (double)shape->calls);
    fflush(stdout);
    mpx_sched_destroy(&sched);
}

int main(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        measure(&shapes[i]);
    return 0;
}
