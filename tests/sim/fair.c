/* fair.c: the scheduler alone, with workers that are alike. Clients share their time, and the jobs
 * of a client share that by weight, however long their calls take: of two that have had calls to
 * give out all the while, neither is ahead by more than a few calls of each (what one is charged at
 * first is a guess, and what is under way isn't known). So a long job doesn't starve a short one.
 * And none gets anything while one of a higher priority could.
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
    CLIENTS = 2,
    STEP_NS = 250000,
    GUESS_NS = 1000000, /* a call of which nothing is known is charged so much */
    AHEAD_CALLS = 6,
    CHUNKS = 256
};

typedef struct job {
    int priority;
    unsigned client, weight;
    int64_t call_ns;
    uint64_t task;
    uint64_t puts, queued; /* calls */
    bool held;
} job_t;

typedef struct fair {
    uint64_t random, seed;
    mpx_sched_t *sched;
    int64_t now;
    uint64_t runs;
    job_t jobs[JOBS];
    int64_t ahead[JOBS][JOBS];         /* weighted ns, since both have been ready */
    int64_t clients[CLIENTS][CLIENTS]; /* the same of clients, of the higher priority */
    bool here[WORKERS];
    uint64_t ids[WORKERS], last_id;
    uint64_t tasks[WORKERS]; /* as bits */
    struct {
        uint64_t chunk;
        unsigned worker, job;
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

static bool client_is_ready(const fair_t *self, unsigned client)
{
    for (const job_t *job = self->jobs; job < self->jobs + JOBS; job++)
        if (job->client == client && job->priority == 1 && is_ready(job))
            return true;
    return false;
}

/* From here on it takes part, and nobody owes anybody anything. */
static void begin_anew(fair_t *self, unsigned j)
{
    for (unsigned other = 0; other < JOBS; other++)
        self->ahead[j][other] = self->ahead[other][j] = 0;
}

static void clients_begin_anew(fair_t *self)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (!client_is_ready(self, i))
            for (unsigned other = 0; other < CLIENTS; other++)
                self->clients[i][other] = self->clients[other][i] = 0;
}

static void note_ready(fair_t *self, const job_t *job, bool was)
{
    if (!was || !is_ready(job))
        begin_anew(self, (unsigned)(job - self->jobs));
    clients_begin_anew(self);
}

static unsigned worker_of(const fair_t *self, uint64_t id)
{
    unsigned worker = 0;
    while (worker < WORKERS && self->ids[worker] != id)
        worker++;
    return worker;
}

/* The most that one may be ahead of another by. */
static int64_t most_ahead(const job_t *job)
{
    int64_t call_ns = job->call_ns > GUESS_NS ? job->call_ns : GUESS_NS;
    return AHEAD_CALLS * call_ns / job->weight;
}

static void check_jobs(fair_t *self, const job_t *mine, unsigned worker)
{
    unsigned me = (unsigned)(mine - self->jobs);
    for (unsigned j = 0; j < JOBS; j++) {
        const job_t *other = &self->jobs[j];
        if (j == me || !is_ready(other) || !can(self, worker, other))
            continue;
        if (other->priority > mine->priority)
            self->wrong = "a job got a chunk while one of a higher priority waited";
        if (other->priority != mine->priority || other->client != mine->client)
            continue;
        self->ahead[me][j] += mine->call_ns / mine->weight;
        self->ahead[j][me] = -self->ahead[me][j];
        if (self->ahead[me][j] > most_ahead(mine) + most_ahead(other))
            self->wrong = "a job got more than its weight says, while another one of its client "
                          "waited";
    }
}

static void check_clients(fair_t *self, const job_t *mine)
{
    int64_t most_ns = 0;
    for (const job_t *job = self->jobs; job < self->jobs + JOBS; job++)
        if (most_ahead(job) * job->weight > most_ns)
            most_ns = most_ahead(job) * job->weight;
    for (unsigned other = 0; other < CLIENTS; other++) {
        if (mine->priority != 1 || other == mine->client || !client_is_ready(self, other))
            continue;
        self->clients[mine->client][other] += mine->call_ns;
        self->clients[other][mine->client] = -self->clients[mine->client][other];
        if (self->clients[mine->client][other] > 2 * most_ns)
            self->wrong = "a client got more than another one that waited";
    }
}

static void on_run(fair_t *self, const mpx_effect_t *run)
{
    job_t *job = &self->jobs[run->job - 1];
    unsigned worker = worker_of(self, run->worker);
    self->runs++;
    check_jobs(self, job, worker);
    check_clients(self, job);
    job->queued -= run->count;
    note_ready(self, job, true);
    if (self->given_count == CHUNKS)
        self->wrong = "more chunks are given than there are slots";
    if (self->wrong)
        return;
    self->given[self->given_count].worker = worker;
    self->given[self->given_count].job = (unsigned)run->job - 1;
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
        begin_anew(self, j);
    memset(self->clients, 0, sizeof self->clients);
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
        note_ready(self, &self->jobs[j], was);
    }
}

static void job_moves(fair_t *self, unsigned j)
{
    job_t *job = &self->jobs[j];
    bool was = is_ready(job);
    if (pick(self, 8) == 0) {
        job->held = !job->held;
        note_ready(self, job, was);
        (void)mpx_sched_job_hold(self->sched, self->now, j + 1, job->held);
        return;
    }
    uint32_t count = 1 + (uint32_t)pick(self, 30);
    job->queued += count;
    note_ready(self, job, was);
    (void)mpx_sched_put(self->sched, self->now, j + 1, job->puts, count, count * 16, 0);
    job->puts += count;
}

static void step(fair_t *self)
{
    self->now += STEP_NS;
    uint64_t what = pick(self, 40);
    if (what == 0) {
        worker_moves(self, (unsigned)pick(self, WORKERS));
        count_queued(self);
    } else if (what < 8) {
        job_moves(self, (unsigned)pick(self, JOBS));
    } else if (self->given_count) {
        unsigned at = (unsigned)pick(self, self->given_count);
        uint64_t chunk = self->given[at].chunk;
        int64_t busy_ns = self->jobs[self->given[at].job].call_ns;
        self->given[at] = self->given[--self->given_count];
        (void)mpx_sched_done(self->sched, self->now, chunk, 1, busy_ns);
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
        job->client = (unsigned)pick(&self, CLIENTS);
        job->weight = 1 + (unsigned)pick(&self, 4);
        job->call_ns = (int64_t)(100000 << pick(&self, 7));
        mpx_policy_t policy = {.task = job->task + 1,
                               .priority = job->priority,
                               .client = job->client + 1,
                               .weight = job->weight,
                               .chunk_calls = 1};
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
