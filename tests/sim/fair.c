/* fair.c: the scheduler alone, with workers that are alike and calls that cost the same. Of two
 * jobs that have had calls to give out all the while, none gets more than LEAD_MAX chunks before
 * the other gets one (it is charged for what it is thought to take, and what that was is known
 * later); and none gets any while one of a higher priority could.
 */
#include "fair.h"

#include "sched.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    JOBS = 6,
    WORKERS = 4,
    TASKS = 2,
    STEPS = 3000,
    CALL_NS = 1000000,
    LEAD_MAX = 8,
    CHUNKS = 256
};

typedef struct job {
    int priority;
    uint64_t task;
    uint64_t puts, queued; /* calls */
    bool held;
    unsigned lead[JOBS]; /* chunks that others had while it waited, since its last one */
} job_t;

typedef struct fair {
    uint64_t random, seed;
    mpx_sched_t *sched;
    int64_t now;
    uint64_t runs;
    job_t jobs[JOBS];
    bool here[WORKERS];
    uint64_t ids[WORKERS], last_id;
    uint64_t tasks[WORKERS]; /* as bits */
    struct {
        uint64_t chunk;
        unsigned worker;
    } given[CHUNKS];
    unsigned given_count;
    const char *wrong;
} fair_t;

static uint64_t pick(fair_t *self, uint64_t n)
{
    self->random = self->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (self->random >> 33) % n;
}

static bool can(const fair_t *self, unsigned worker, const job_t *job)
{
    return self->tasks[worker] >> job->task & 1;
}

static bool is_ready(const job_t *job)
{
    return job->queued > 0 && !job->held;
}

static void note_ready(job_t *job, bool was)
{
    if (is_ready(job) && !was)
        memset(job->lead, 0, sizeof job->lead);
}

static unsigned worker_of(const fair_t *self, uint64_t id)
{
    unsigned worker = 0;
    while (worker < WORKERS && self->ids[worker] != id)
        worker++;
    return worker;
}

static void check_turn(fair_t *self, const job_t *mine, unsigned worker)
{
    for (job_t *other = self->jobs; other < self->jobs + JOBS; other++) {
        if (other == mine || !is_ready(other) || !can(self, worker, other))
            continue;
        if (other->priority > mine->priority)
            self->wrong = "a job got a chunk while one of a higher priority waited";
        if (other->priority == mine->priority && ++other->lead[mine - self->jobs] > LEAD_MAX)
            self->wrong = "a job got chunk after chunk while another one of its priority waited";
    }
}

static void on_run(fair_t *self, const mpx_effect_t *run)
{
    job_t *job = &self->jobs[run->job - 1];
    unsigned worker = worker_of(self, run->worker);
    self->runs++;
    check_turn(self, job, worker);
    memset(job->lead, 0, sizeof job->lead);
    job->queued -= run->count;
    if (self->given_count == CHUNKS)
        self->wrong = "more chunks are given than there are slots";
    if (self->wrong)
        return;
    self->given[self->given_count].worker = worker;
    self->given[self->given_count++].chunk = run->chunk;
}

static void carry_out(fair_t *self)
{
    mpx_effect_t effect;
    while (!self->wrong && mpx_sched_effect(self->sched, &effect))
        if (effect.kind == MPX_RUN)
            on_run(self, &effect);
    if (!self->wrong && pick(self, 16) == 0)
        self->wrong = mpx_sched_check(self->sched);
}

static void worker_moves(fair_t *self, unsigned i)
{
    if (self->here[i] && pick(self, 8))
        return;
    if (!self->here[i]) {
        uint64_t tasks[TASKS];
        mpx_worker_spec_t spec = {.slots = 1 + (uint32_t)pick(self, 3), .credit_bytes = 1 << 20};
        self->tasks[i] = (1 << TASKS) - 1;
        for (uint64_t task = 0; task < TASKS; task++)
            if (self->tasks[i] >> task & 1)
                tasks[spec.tasks_count++] = task + 1;
        spec.tasks = tasks;
        self->here[i] = true;
        self->ids[i] = ++self->last_id;
        (void)mpx_sched_worker_join(self->sched, self->now, self->ids[i], &spec);
        return;
    }
    for (unsigned at = 0; at < self->given_count;)
        if (self->given[at].worker == i)
            self->given[at] = self->given[--self->given_count];
        else
            at++;
    for (unsigned j = 0; j < JOBS; j++)
        memset(self->jobs[j].lead, 0, sizeof self->jobs[j].lead); /* turns begin anew */
    self->here[i] = false;
    (void)mpx_sched_worker_lost(self->sched, self->now, self->ids[i], MPX_CHARGE_NONE,
                                MP_EWORKERLOST);
}

/* Calls that came back with a lost worker. */
static void count_queued(fair_t *self)
{
    uint64_t given[JOBS] = {0};
    mpx_chunk_info_t info;
    for (unsigned at = 0; at < self->given_count; at++)
        if (mpx_sched_chunk(self->sched, self->given[at].chunk, &info))
            given[info.job - 1] += info.count - info.done;
    for (unsigned j = 0; j < JOBS; j++) {
        bool was = is_ready(&self->jobs[j]);
        self->jobs[j].queued = mpx_sched_job_open_calls(self->sched, j + 1) - given[j];
        note_ready(&self->jobs[j], was);
    }
}

static void job_moves(fair_t *self, unsigned j)
{
    job_t *job = &self->jobs[j];
    bool was = is_ready(job);
    if (pick(self, 8) == 0) {
        job->held = !job->held;
        note_ready(job, was);
        (void)mpx_sched_job_hold(self->sched, self->now, j + 1, job->held);
        return;
    }
    uint32_t count = 1 + (uint32_t)pick(self, 30);
    job->queued += count;
    note_ready(job, was);
    (void)mpx_sched_put(self->sched, self->now, j + 1, job->puts, count, count * 16, 0);
    job->puts += count;
}

static void step(fair_t *self)
{
    self->now += CALL_NS / 4;
    uint64_t what = pick(self, 40);
    if (what == 0) {
        worker_moves(self, (unsigned)pick(self, WORKERS));
        count_queued(self);
    } else if (what < 8) {
        job_moves(self, (unsigned)pick(self, JOBS));
    } else if (self->given_count) {
        unsigned at = (unsigned)pick(self, self->given_count);
        uint64_t chunk = self->given[at].chunk;
        self->given[at] = self->given[--self->given_count];
        (void)mpx_sched_done(self->sched, self->now, chunk, 1, CALL_NS);
    }
    carry_out(self);
}

static const char *run(uint64_t seed, uint64_t *runs)
{
    fair_t self = {.seed = seed, .random = seed * 2 + 1};
    if (mpx_sched_new(&self.sched) != MP_OK)
        return "no memory";
    for (unsigned j = 0; j < JOBS; j++) {
        job_t *job = &self.jobs[j];
        job->priority = (int)pick(&self, 2);
        job->task = pick(&self, TASKS);
        mpx_policy_t policy = {.task = job->task + 1, .priority = job->priority, .chunk_calls = 1};
        (void)mpx_sched_job_open(self.sched, 0, j + 1, &policy);
    }
    for (int i = 0; i < STEPS && !self.wrong; i++)
        step(&self);
    mpx_sched_destroy(&self.sched);
    *runs += self.runs;
    return self.wrong;
}

int fair(uint64_t seed, uint64_t count)
{
    uint64_t runs = 0;
    for (uint64_t i = seed; i < seed + count; i++) {
        const char *wrong = run(i, &runs);
        if (wrong) {
            printf("fairness: seed %llu fails: %s\n", (unsigned long long)i, wrong);
            return 1;
        }
    }
    printf("fairness: %llu seeds, %llu chunks in turns\n", (unsigned long long)count,
           (unsigned long long)runs);
    return 0;
}
