/* Broker, clients and workers in simulated time, by seeds.
 *
 *     sim SEED [COUNT]     that seed, or so many from there on
 *         --trace          say what happens
 *         --without MASK   leave those faults out (world.h has them)
 *         --clients N --workers N --jobs N --calls N   at most so many
 *     sim --fair SEED COUNT  whether the core lets jobs take turns (fair.c)
 *     sim --scale [CALLS]  what a call costs the broker as the numbers grow (scale.c)
 *
 * What happens in it, by the seed (bits of --without in brackets):
 *     messages   late by their own way each, so reordered between connections; lost with a
 * connection that breaks [1], which a side may hear of late [2]; the network is cut as a whole. One
 * connection neither reorders nor repeats: the link doesn't. A repeated one is what is said anew
 * after a loss: results, deposits and submits with an idempotency key processes  killed and started
 * again: clients [4], workers [8], the broker with its data or without [16]; paused [32]; drained
 * [128]; clocks jump ahead [64]; a disk that is full or dies in a commit [256] executors  end late,
 * fail, crash, hang, crash once, grow too old or too large [512]; what they say lies in a lane for
 * a while; those of a pool on its own host yield, too calls      delayed, with deadlines, retries
 * by cause with back-off and jitter, quarantine after crashes, priorities, weights, needs and
 * capacities, time limits hard and soft; held, and cancelled at every stage, alone, in ranges and
 * by job [1024]; little credit [2048] kept jobs  left, come back to by others, with and without a
 * key, expired, cancelled, dropped; dead letters listed, requeued and dropped What must hold after
 * each step: one outcome per call and none lost, of what was asked for; attempts as promised; no
 * call early, late, or where it can't run; no chunk waits behind a long call for nothing; the state
 * of broker, workers and clients, with their credit, as mpx_*_check count it anew. In the end
 * nothing is left at the broker and on its disk. Fairness has a simulation of its own (fair.c).
 * Not in it: encryption, modules, calls of calls, threads as workers, a clock that goes back.
 *
 * A seed that fails is made smaller first, then run again with its trace; the last lines
 * are shown, and the command that shows all of it. Exit status: 0, 1 a seed failed, 2 usage. */
#include "fair.h"
#include "scale.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child tells: it may die of what it finds. */
typedef struct report {
    uint64_t seed;
    uint64_t events, messages, losses, lives, calls;
    char why[512];
} report_t;

static report_t *report;
static const scope_t whole = {CLIENTS_MAX / 2, WORKERS_MAX / 2, 4, 40, FAULTS};

static bool run_one(uint64_t seed, const scope_t *scope, bool trace)
{
    world_t *self = calloc(1, sizeof *self);
    if (!self)
        return false;
    self->seed = seed;
    self->scope = *scope;
    self->trace = trace;
    report->seed = seed;
    bool well = world_run(self);
    report->events += self->events;
    report->messages += self->messages;
    report->losses += self->losses;
    report->lives += self->lives;
    memcpy(report->why, self->why, sizeof report->why);
    free(self);
    return well;
}

/* In a child; `out` is where a trace goes, or NULL. */
static bool run_apart(uint64_t seed, uint64_t count, const scope_t *scope, const char *out)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool well = true;
        if (out && !freopen(out, "w", stdout))
            _exit(2);
        for (uint64_t i = 0; well && i < count; i++)
            well = run_one(seed + i, scope, out != NULL);
        fflush(NULL);
        exit(well ? 0 : 1); /* in order, for the sanitizers' last look */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status))
        snprintf(report->why, sizeof report->why, "killed by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) > 1)
        snprintf(report->why, sizeof report->why, "exit status %d", WEXITSTATUS(status));
    return status == 0;
}

/* Leave out what isn't needed for it to fail. */
static scope_t shrink(uint64_t seed, const scope_t *scope)
{
    scope_t best = *scope;
    for (unsigned bit = 1; bit <= FAULTS; bit <<= 1) {
        scope_t less = best;
        less.faults &= ~bit;
        if (less.faults != best.faults && !run_apart(seed, 1, &less, NULL))
            best = less;
    }
    unsigned *const numbers[] = {&best.clients, &best.workers, &best.jobs, &best.calls};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (unsigned old = *numbers[i], less = 1; less < old; less *= 2) {
            *numbers[i] = less;
            if (!run_apart(seed, 1, &best, NULL))
                break;
            *numbers[i] = old;
        }
    return best;
}

static void show(uint64_t seed, const scope_t *scope)
{
    char path[] = "/tmp/sim-trace-XXXXXX", command[128];
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    scope_t small = *scope;
    printf("seed %llu fails: %s\n", (unsigned long long)seed, report->why);
    if (run_apart(seed, 1, scope, NULL))
        printf("but not when it is run alone\n");
    else
        small = shrink(seed, scope);
    (void)run_apart(seed, 1, &small, path);
    printf("made smaller, it fails: %s\n", report->why);
    fflush(stdout);
    snprintf(command, sizeof command, "tail -n %s %s",
             getenv("SIM_LINES") ? getenv("SIM_LINES") : "60", path);
    (void)!system(command);
    unlink(path);
    printf("all of it: sim %llu --trace --without %u --clients %u --workers %u --jobs %u --calls "
           "%u\n",
           (unsigned long long)seed, FAULTS & ~small.faults, small.clients, small.workers,
           small.jobs, small.calls);
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_many(uint64_t seed, uint64_t count, const scope_t *scope)
{
    enum { BATCH = 100 };
    double began = seconds();
    unsigned failures = 0;
    for (uint64_t at = seed; at < seed + count;) {
        uint64_t batch = seed + count - at < BATCH ? seed + count - at : BATCH;
        if (run_apart(at, batch, scope, NULL)) {
            at += batch;
            continue;
        }
        at = report->seed + 1;
        show(report->seed, scope);
        if (++failures == 10)
            break;
    }
    printf("%llu seeds in %.1f s: %llu events, %llu messages (%llu lost), %llu processes; %u "
           "failed\n",
           (unsigned long long)count, seconds() - began, (unsigned long long)report->events,
           (unsigned long long)report->messages, (unsigned long long)report->losses,
           (unsigned long long)report->lives, failures);
    return failures != 0;
}

static bool read_option(const char *name, const char *value, scope_t *scope)
{
    const struct {
        const char *name;
        unsigned *to;
    } options[] = {{"--clients", &scope->clients},
                   {"--workers", &scope->workers},
                   {"--jobs", &scope->jobs},
                   {"--calls", &scope->calls}};
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    if (strcmp(name, "--without") == 0) {
        scope->faults = FAULTS & ~number;
        return true;
    }
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(name, options[i].name) == 0 && number > 0) {
            *options[i].to = number;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    scope_t scope = whole;
    bool traced = false;
    uint64_t numbers[2] = {0, 1};
    size_t numbers_count = 0;
    if (argc > 1 && strcmp(argv[1], "--scale") == 0)
        return scale(argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000);
    if (argc == 4 && strcmp(argv[1], "--fair") == 0)
        return fair(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            traced = true;
        else if (argv[i][0] == '-' && i + 1 < argc && read_option(argv[i], argv[i + 1], &scope))
            i++;
        else if (argv[i][0] != '-' && numbers_count < 2)
            numbers[numbers_count++] = strtoull(argv[i], NULL, 10);
        else
            numbers_count = 3;
    }
    if (numbers_count == 0 || numbers_count > 2 || scope.clients > CLIENTS_MAX ||
        scope.workers > WORKERS_MAX) {
        fprintf(stderr, "usage: sim SEED [COUNT] [--trace] [--without MASK] [--clients N] "
                        "[--workers N] [--jobs N] [--calls N] | sim --fair SEED COUNT | "
                        "sim --scale [CALLS]\n");
        return 2;
    }
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 2;
    if (!traced)
        return run_many(numbers[0], numbers[1], &scope);
    bool well = true;
    for (uint64_t i = 0; well && i < numbers[1]; i++)
        well = run_one(numbers[0] + i, &scope, true);
    return well ? 0 : 1;
}
