/* world.h: simulated time, processes and chance.
 *
 *     clients (pool/remote.c) --\                                /-- workers (serve/worker.c)
 *     engine, session            >-- net.c <-> broker/ <-> net.c <   engine, relay, session
 *     ...                      --/             disk.c            \-- hall.c: executors (crewman.c)
 *     clients (pool/local.c) <-> hall.c
 *
 * What runs is the code of the product, but for three modules that are stood in for at link time:
 * the link (net.c), the store (disk.c) and the workshop (hall.c); and the clock, getpid, getrandom
 * and gethostname, which the linker redirects to world.c (--wrap). So a run depends on its seed and
 * on nothing else.
 *
 * Time is that of the world, from 0; each process's own clock is ahead of it by what it has jumped.
 * One event at a time: the oldest message arrives, or the first timer rings; the process that it
 * is for takes a turn; the invariants are looked at; chance breaks something.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "wire.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

/* What may go wrong, as bits: a seed has some of them, and --without takes them away. */
typedef enum fault {
    CUT = 1,          /* connections break; messages under way are lost, or late */
    SILENCE = 2,      /* a side hears of that only by its heartbeats */
    KILL_CLIENT = 4,  /* kill -9, and another one is started */
    KILL_WORKER = 8,  /* the same */
    KILL_BROKER = 16, /* it comes back, with its data if it keeps any */
    PAUSE = 32,       /* kill -STOP for a while */
    JUMP = 64,        /* a clock goes ahead */
    DRAIN = 128,      /* a worker is told to end, or the broker */
    DISK = 256,       /* the broker's is full for a while, or it dies in a commit */
    TASKS = 512,      /* calls fail, crash and hang */
    CANCEL = 1024,    /* clients cancel calls, and hold jobs */
    LIMITS = 2048,    /* credit for a few calls only */
    FAULTS = 4095,
    BREAKS = CUT | SILENCE | KILL_CLIENT | KILL_WORKER | KILL_BROKER | PAUSE | JUMP | DRAIN
} fault_t;

typedef enum role { CLIENT, WORKER, BROKER } role_t;

typedef struct proc {
    role_t role;
    int number;           /* of the role: client 2 */
    int pid;              /* of this life */
    bool alive;           /* else it is started at starts_at */
    bool leaves;          /* told to end in order */
    bool due;             /* something has come for it */
    int64_t starts_at;    /* INT64_MAX: never */
    int64_t paused_until; /* 0: it isn't */
    int64_t ahead_ns;     /* its clock */
    int64_t wake_at;      /* of the world's time */
    unsigned tasks;       /* of a worker: which it offers, as bits */
    unsigned slots;
    unsigned goods;            /* of a worker: what it has, a number for goods_of */
    bool local;                /* of a client: its pool is on its own host */
    struct mpx_workshop *hall; /* its executors; NULL: it has none */
    void *self;                /* of its module */
} proc_t;

enum { CLIENTS_MAX = 6, WORKERS_MAX = 6, PROCS_MAX = CLIENTS_MAX + WORKERS_MAX + 1, TASKS_MAX = 3 };
enum { KEEP_MS = 600000 }; /* the broker keeps jobs for so long */

/* How large a run is; a seed chooses within these. */
typedef struct scope {
    unsigned clients, workers, jobs, calls;
    unsigned faults; /* those that are allowed */
} scope_t;

typedef struct world {
    uint64_t seed, random;
    scope_t scope;
    unsigned faults; /* those of this seed */
    bool trace;
    bool durable; /* the broker keeps data */
    bool strict;  /* and nothing happens that may cost a client its session */
    bool calm;    /* nothing breaks any more, and no new job is opened */
    bool closing; /* who ends now does not come back, but for the broker */
    bool network; /* a hole in it: nobody can connect, and what is there is cut */
    int64_t network_until;
    unsigned pace; /* 1 in so many steps breaks something */
    int64_t now;
    int64_t calm_at;   /* since when */
    int64_t defied_at; /* when an executor went on that was told to end; 0: none did */
    int pids;
    proc_t procs[PROCS_MAX];
    unsigned procs_count;
    proc_t *current; /* whose turn it is; NULL: the world's */
    proc_t *dying;   /* the same, which dies in this turn: what it sends is lost */
    uint64_t events, messages, losses, lives;
    jmp_buf failed;
    char why[512];
} world_t;

extern world_t *world;

/* Numbers below `n`, and whether one in `n` comes up. */
uint64_t chance(uint64_t n);
bool one_in(uint64_t n);
/* What breaks of these in this run. */
bool suffers(unsigned faults);
uint64_t chance_between(uint64_t low, uint64_t high);

/* The run has failed: does not come back. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "client 2", valid for a while. */
const char *name_of(const proc_t *proc);
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail(__VA_ARGS__);                                                                     \
    } while (0)

proc_t *broker_proc(void);
/* Whether a crash may be taken for the end of an executor that was told to end. */
bool crashes_are_excused(void);
/* Something has come for it: it takes a turn as soon as it can. */
void wake(proc_t *proc, int64_t at);

/* One run; the result is in `why`. */
bool world_run(world_t *self);

/* ---- net.c ---- */
void net_reset(void);
void net_free(void);
int64_t net_next(void); /* when the next message or news arrives */
void net_arrive(void);  /* the one that is due */
void net_cut_one(void);
void net_cut_all(const proc_t *of); /* NULL: everything */
void net_died(proc_t *proc);        /* its connections end, as after a kill -9 */
void net_silent(proc_t *proc);      /* it was paused for longer than heartbeats allow */

/* ---- disk.c ---- */
void disk_reset(void); /* an empty one */
void disk_free(void);
void disk_fill(bool full);
bool disk_is_full(void);
void disk_dies_soon(void);       /* in one of the next commits */
size_t disk_records(int bucket); /* but for dead letters, which nobody need come for */
void disk_list(int bucket);      /* to the trace */

/* ---- hall.c ---- */
int64_t hall_next(const struct mpx_workshop *self);
/* What runs there may run there, and its time isn't over; nothing waits there for nothing. */
void hall_check(const struct mpx_workshop *self);

/* ---- goods.c: what workers have and calls need, as this world counts it ---- */
enum { GOODS = 8 };
typedef struct goods {
    unsigned gpu, memory; /* capacities */
    char zone;            /* a label; 0: none */
} goods_t;
goods_t goods_of(unsigned number);
/* As the product reads it; "" of number 0, which is nothing. */
const char *goods_text(unsigned number);
bool goods_meet(goods_t have, goods_t needs);
/* Whether some worker would do: it offers the task, too. */
bool goods_are_somewhere(unsigned needs, unsigned task);

/* ---- actors.c: a process of each role ---- */
void actor_start(proc_t *proc);
/* false: it has ended. */
bool actor_turn(proc_t *proc);
int64_t actor_deadline(const proc_t *proc); /* by its own clock */
void actor_check(const proc_t *proc);
/* Its memory goes; what it says on the way is lost unless it has ended in order. */
void actor_end(proc_t *proc);
void actor_stop(proc_t *proc); /* tell it to end in order */

uint64_t broker_calls(const proc_t *proc); /* that it has */

/* ---- client.c ---- */
void *client_new(proc_t *proc);
bool client_turn(void *self);
int64_t client_deadline(const void *self);
void client_check(const void *self);
void client_free(void *self);
bool client_is_idle(const void *self); /* all its calls have ended */

/* ---- calls.c: what was asked for and what became of it ---- */
typedef enum deed { WELL, FAILS, CRASHES, CRASHES_ONCE, HANGS, DEEDS } deed_t;

/* An input: the whole truth about a call. */
typedef struct order {
    uint32_t client; /* its life */
    uint16_t job;
    uint16_t index;
    uint32_t run_us;
    uint8_t deed;
    uint8_t task;
    uint16_t mark; /* so that garbage is seen */
    uint8_t needs; /* a number for goods_of */
    uint8_t zeros[3];
} order_t;

/* What its client was promised. Times are of its client's clock. */
typedef struct terms {
    int64_t delay_ns;    /* until it begins */
    int64_t deadline_ns; /* then it has its outcome; 0: none */
    int64_t retry_delay_ns;
    uint32_t retries, retry_on;
    uint32_t crashes_max;
} terms_t;

void calls_reset(void);
void calls_free(void);
/* Enters it, and its mark. */
void calls_asked(order_t *order, const terms_t *terms);
/* An executor begins it; unwanted: it was told that nobody wants it, and may have forgotten. */
void calls_begun(const order_t *order, uint32_t attempt, bool unwanted);
/* Its executor died, and may have done so of what was meant for a call before: it may begin once
 * more, as the same attempt. */
void calls_excused(const order_t *order);
/* How long ago its deadline was, by its client's clock; negative: it is to come, or there is none.
 */
int64_t calls_overdue(const order_t *order);
/* Those of that life have their outcomes, if it is time. */
void calls_check(uint32_t client);
/* Its client is told. */
void calls_ended(const order_t *order, mp_rc_t rc, mp_bytes_t value);
void calls_cancelled(const order_t *order);
/* Its client has no use for it any more, and must hear nothing of it. */
void calls_dropped(const order_t *order);
/* That client's calls are nobody's business any more. */
void calls_forget(uint32_t client);
uint64_t calls_open(void);
uint64_t calls_count(void);
void calls_list_open(void);
bool order_read(mp_bytes_t input, order_t *out);
void order_mark(order_t *order);
/* Whether what was done to it, and what breaks, can have brought that about. */
bool order_may_end(const order_t *order, mp_rc_t rc, bool begun, bool cancelled, bool lapsed);
uint64_t order_value(const order_t *order);

#endif
