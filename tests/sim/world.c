#include "world.h"

#include "clock.h"
#include "keeps.h"
#include "recalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

world_t *world;

enum {
    CHAOS_MS = 4000,      /* at most so long things go wrong */
    CALM_MS = 1200000,    /* then all calls must end within that: those that nobody can do take
                             ten seconds each, if there is credit for one */
    HOLE_MS = 3000,       /* the network's, at most */
    QUIET_MS = 30000,     /* and when all have left, nothing is kept after that */
    EXCUSE_MS = 3000,     /* more than the scheduler has it, and a call takes */
    HEARTBEATS_MS = 2400, /* who was silent for so long is given up */
    EVENTS_MAX = 3000000
};

/* ---- chance, words, and what the product asks the system ---------------------------- */

uint64_t chance(uint64_t n)
{
    uint64_t z = world->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return n ? (z ^ (z >> 31)) % n : 0;
}

bool one_in(uint64_t n)
{
    return chance(n) == 0;
}

bool suffers(unsigned faults)
{
    return (world->faults & faults) != 0;
}

uint64_t chance_between(uint64_t low, uint64_t high)
{
    return low + chance(high - low + 1);
}

void trace(const char *format, ...)
{
    va_list args;
    if (!world->trace)
        return;
    printf("%12.3f ms  ", (double)world->now / 1e6);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(world->why, sizeof world->why, format, args);
    va_end(args);
    trace("!! %s", world->why);
    longjmp(world->failed, 1);
}

const char *name_of(const proc_t *proc)
{
    static char names[4][32];
    static unsigned next;
    static const char *const roles[] = {"client", "worker", "broker"};
    char *name = names[next++ % 4];
    if (!proc)
        return "nobody";
    if (proc->role == BROKER)
        return roles[BROKER];
    snprintf(name, sizeof names[0], "%s %d", roles[proc->role], proc->number);
    return name;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
pid_t __wrap_getpid(void);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);
int __wrap_gethostname(char *out, size_t size);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!world)
        return __real_clock_gettime(clock, out);
    int64_t now = MPX_S + world->now + (world->current ? world->current->ahead_ns : 0);
    out->tv_sec = now / MPX_S;
    out->tv_nsec = now % MPX_S;
    return 0;
}

pid_t __wrap_getpid(void)
{
    return world && world->current ? world->current->pid : 1;
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
    unsigned char *at = out;
    (void)flags;
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)chance(256);
    return (ssize_t)size;
}

int __wrap_gethostname(char *out, size_t size)
{
    snprintf(out, size, "simulated");
    return 0;
}

/* ---- processes ---------------------------------------------------------------------- */

proc_t *broker_proc(void)
{
    return &world->procs[0];
}

void wake(proc_t *proc, int64_t at)
{
    (void)at;
    proc->due = true;
}

bool crashes_are_excused(void)
{
    return world->defied_at && world->now - world->defied_at < EXCUSE_MS * MPX_MS;
}

static void start(proc_t *proc)
{
    proc->alive = true;
    proc->leaves = false;
    proc->due = true;
    proc->pid = ++world->pids;
    proc->paused_until = 0;
    proc->starts_at = MPX_NEVER;
    trace("** %s starts, life %d%s", name_of(proc), proc->pid, proc->local ? ", alone" : "");
    world->lives++;
    world->current = proc;
    actor_start(proc);
    world->current = NULL;
}

static void bury(proc_t *proc, int64_t again_at)
{
    world->current = proc;
    actor_end(proc);
    world->current = NULL;
    proc->alive = false;
    proc->starts_at = again_at;
    if (proc->role == CLIENT)
        calls_forget((uint32_t)proc->pid);
}

static void kill_proc(proc_t *proc)
{
    int64_t pause = (int64_t)(one_in(3) ? chance(3000) : chance(100)) * MPX_MS;
    trace("** %s is killed", name_of(proc));
    net_died(proc);
    bury(proc, world->now + pause);
}

static void check(const proc_t *proc)
{
    if (one_in(4) || world->trace) /* in this order: a trace must change nothing */
        actor_check(proc);
}

static void take_turn(proc_t *proc)
{
    proc->due = false;
    world->current = proc;
    bool goes_on = actor_turn(proc);
    if (world->dying == proc) {
        world->dying = NULL;
        world->current = NULL;
        kill_proc(proc);
        return;
    }
    if (goes_on) {
        if (proc->role == WORKER)
            recalls_check(proc);
        check(proc);
        int64_t deadline = actor_deadline(proc);
        if (deadline != MPX_NEVER)
            deadline -= MPX_S + proc->ahead_ns;
        proc->wake_at = deadline > world->now ? deadline : world->now + 1000;
    }
    world->current = NULL;
    if (goes_on)
        return;
    trace("** %s has ended in order", name_of(proc));
    bool again = proc->role == BROKER || !world->closing;
    bury(proc, again ? world->now + (int64_t)chance(500) * MPX_MS : MPX_NEVER);
}

/* ---- what goes wrong ---------------------------------------------------------------- */

static proc_t *some_proc(role_t role)
{
    proc_t *found = NULL;
    uint64_t seen = 0;
    for (unsigned i = 0; i < world->procs_count; i++)
        if (world->procs[i].role == role && world->procs[i].alive && one_in(++seen))
            found = &world->procs[i];
    return found;
}

static proc_t *any_proc(void)
{
    proc_t *proc = &world->procs[chance(world->procs_count)];
    return proc->alive ? proc : NULL;
}

static void pause_proc(proc_t *proc)
{
    int64_t pause = (int64_t)(one_in(3) ? chance(5000) : chance(300)) * MPX_MS;
    if (!proc || proc->paused_until > world->now)
        return;
    trace("** %s is paused for %lld ms", name_of(proc), (long long)(pause / MPX_MS));
    proc->paused_until = world->now + pause;
    if (pause > HEARTBEATS_MS * MPX_MS)
        net_silent(proc);
}

static void jump(proc_t *proc)
{
    if (!proc)
        return;
    int64_t ns = (int64_t)(one_in(4) ? chance(20000) : chance(500)) * MPX_MS;
    trace("** the clock of %s jumps by %lld ms", name_of(proc), (long long)(ns / MPX_MS));
    proc->ahead_ns += ns;
    proc->wake_at = world->now;
}

static void cut_network(void)
{
    world->network = true;
    world->network_until = world->now + (int64_t)chance(HOLE_MS) * MPX_MS;
    trace("** the network is cut, until %.3f ms", (double)world->network_until / 1e6);
    net_cut_all(NULL);
}

static void stop(proc_t *proc)
{
    if (!proc || proc->leaves)
        return;
    trace("** %s is told to end", name_of(proc));
    world->current = proc;
    actor_stop(proc);
    world->current = NULL;
    proc->due = true;
}

static void break_something(void)
{
    unsigned one = 1u << chance(12);
    proc_t *victim;
    switch (world->faults & one) {
    case CUT:
        if (one_in(12))
            cut_network();
        else
            net_cut_one();
        break;
    case KILL_CLIENT:
    case KILL_WORKER:
    case KILL_BROKER:
        victim = some_proc(one == KILL_CLIENT ? CLIENT : one == KILL_WORKER ? WORKER : BROKER);
        if (victim && (one != KILL_BROKER || one_in(3)))
            kill_proc(victim);
        break;
    case PAUSE:
        pause_proc(any_proc());
        break;
    case JUMP:
        jump(any_proc());
        break;
    case DRAIN:
        stop(some_proc(one_in(4) ? BROKER : WORKER));
        break;
    case DISK:
        if (one_in(2))
            disk_dies_soon();
        else
            disk_fill(!disk_is_full());
        break;
    default:
        break;
    }
}

/* ---- time --------------------------------------------------------------------------- */

static int64_t turn_at(const proc_t *proc)
{
    if (!proc->alive)
        return proc->starts_at;
    int64_t at = proc->due ? world->now : proc->wake_at;
    return at > proc->paused_until ? at : proc->paused_until;
}

/* Do the next thing that is due by then; false: there is none. */
static bool step(int64_t until)
{
    int64_t at = net_next();
    proc_t *next = NULL;
    for (unsigned i = 0; i < world->procs_count; i++) {
        proc_t *proc = &world->procs[i];
        if (turn_at(proc) < at) {
            at = turn_at(proc);
            next = proc;
        }
    }
    if (at > until)
        return false;
    if (at > world->now)
        world->now = at;
    if (world->network && world->network_until <= world->now)
        world->network = false;
    MUST(++world->events < EVENTS_MAX, "something turns in circles");
    if (!next)
        net_arrive();
    else if (next->alive)
        take_turn(next);
    else
        start(next);
    return true;
}

static void run_until(int64_t until)
{
    while (step(until))
        ;
    world->now = until;
}

static bool jobs_are_done(void)
{
    for (unsigned i = 0; i < world->procs_count; i++) {
        const proc_t *proc = &world->procs[i];
        if (proc->role == CLIENT && (!proc->alive || !client_is_idle(proc->self)))
            return false;
    }
    return calls_open() == 0;
}

static void calm_down(void)
{
    trace("** from here on nothing goes wrong");
    world->calm = true;
    world->calm_at = world->now;
    world->network = false;
    disk_fill(false);
    for (unsigned i = 0; i < world->procs_count; i++) {
        world->procs[i].paused_until = 0;
        if (!world->procs[i].alive && world->procs[i].starts_at > world->now)
            world->procs[i].starts_at = world->now;
    }
}

static void chaos(void)
{
    int64_t until = (int64_t)chance_between(200, CHAOS_MS) * MPX_MS;
    while (step(until))
        if (world->faults && one_in(world->pace))
            break_something();
}

static void stop_all(role_t role)
{
    for (unsigned i = 0; i < world->procs_count; i++)
        if (world->procs[i].role == role && world->procs[i].alive)
            stop(&world->procs[i]);
}

static void check_end(void)
{
    MUST(broker_proc()->alive, "the broker is gone");
    MUST(broker_calls(broker_proc()) == 0, "the broker still has %llu calls, of nobody",
         (unsigned long long)broker_calls(broker_proc()));
    for (int bucket = 3; bucket <= 5; bucket++)
        disk_list(bucket);
    for (int bucket = 3; bucket <= 5; bucket++)
        MUST(disk_records(bucket) == 0, "%zu records of bucket %d are left on the disk, of nobody",
             disk_records(bucket), bucket);
}

static void play(void)
{
    chaos();
    calm_down();
    int64_t until = world->now + CALM_MS * MPX_MS;
    while (!jobs_are_done() && step(until))
        ;
    if (!jobs_are_done()) {
        calls_list_open();
        keeps_list_open();
        fail("%llu calls never end, or a kept job doesn't", (unsigned long long)calls_open());
    }
    world->closing = true;
    stop_all(CLIENT);
    run_until(world->now + QUIET_MS * MPX_MS);
    if (disk_records(3)) /* a late message has made a job that nobody knows of */
        run_until(world->now + KEEP_MS * MPX_MS);
    check_end();
    stop_all(WORKER);
    run_until(world->now + QUIET_MS * MPX_MS);
    for (unsigned i = 0; i < world->procs_count; i++)
        MUST(world->procs[i].role == BROKER || !world->procs[i].alive, "%s doesn't end",
             name_of(&world->procs[i]));
    check_end();
}

/* ---- a run -------------------------------------------------------------------------- */

static void add_procs(role_t role, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bool local = role == CLIENT && one_in(4);
        world->procs[world->procs_count++] =
            (proc_t){.role = role,
                     .number = (int)i + 1,
                     .starts_at = (int64_t)chance(role == BROKER ? 1 : 60) * MPX_MS,
                     .local = local,
                     .tasks = local || i == 0 || one_in(2) ? 7 : (unsigned)chance(7) + 1,
                     .slots = (unsigned)chance(4) + 1,
                     .goods = i == 0 ? GOODS - 1 : (unsigned)chance(GOODS - 1)};
    }
}

static unsigned some_faults(void)
{
    if (one_in(8))
        return 0;
    unsigned faults = 0;
    for (unsigned bit = 1; bit <= FAULTS; bit <<= 1)
        faults |= one_in(2) ? bit : 0;
    return one_in(6) ? FAULTS : faults;
}

static void set_up(world_t *self)
{
    self->random = self->seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
    self->now = 0;
    self->pace = 1u << chance_between(4, 8);
    self->faults = some_faults() & self->scope.faults;
    self->durable = !one_in(3);
    self->strict = self->durable && !(self->faults & (DISK | JUMP | PAUSE | DRAIN | LIMITS));
    net_reset();
    disk_reset();
    calls_reset();
    keeps_reset();
    recalls_reset();
    add_procs(BROKER, 1);
    add_procs(CLIENT, 1 + (unsigned)chance(self->scope.clients));
    add_procs(WORKER, 1 + (unsigned)chance(self->scope.workers));
    trace("seed %llu: %u processes, faults %03x, pace %u, the broker keeps %s",
          (unsigned long long)self->seed, self->procs_count, self->faults, self->pace,
          self->durable ? "data" : "nothing");
}

static void take_down(world_t *self)
{
    for (unsigned i = self->procs_count; i-- > 0;) {
        proc_t *proc = &self->procs[i];
        if (proc->alive)
            net_died(proc);
        if (proc->alive)
            bury(proc, MPX_NEVER);
    }
    net_free();
    disk_free();
    calls_free();
    recalls_free();
}

bool world_run(world_t *self)
{
    world = self;
    bool failed = setjmp(self->failed) != 0;
    if (!failed) {
        set_up(self);
        play();
        take_down(self);
    }
    world = NULL;
    return !failed;
}
