/* process.h: run a function in a process of its own.
 *
 *     static int work(void *arg) { printf("hello %s\n", (char *)arg); return 0; }
 *
 *     mp_process_options_t options = {.target = work, .arg = "bob"};
 *     mp_process_new(&options, &process);
 *     mp_process_start(process);
 *     mp_process_join(process, -1);
 *
 * Three ways to start one:
 *
 * - fork (default): the child has the parent's memory as it was at the start. Any function
 *   and argument will do. Not for a program whose other threads may hold locks that the
 *   child needs.
 * - spawn: the same program is executed anew, up to its MP_MAIN; only the item arrives.
 * - fork server: a process of one thread, spawned with the first of them, forks a child each
 *   time. As clean as spawn, and faster.
 *
 * What spawn and the fork server can start is a registered target: a function known by name,
 * over a struct that is copied to the child. By fork it works as well, and there sees the
 * struct itself:
 *
 *     typedef struct greeter { char name[16]; } greeter_t;
 *     MP_TARGET(greet, greeter_t) { printf("hello %s\n", self->name); return 0; }
 *
 *     greeter_t bob = {"bob"};
 *     mp_process_options_t options = {.registered = &greet, .item = &bob, .method = MP_SPAWN};
 *
 * In every child: signals have their default actions and none is blocked, standard input is
 * /dev/null, and nothing that the parent had buffered for output is written again. Spawned
 * children and those of the fork server inherit no descriptor but 1 and 2. The value that the
 * function returns is the exit code (its low 8 bits); output is flushed; the parent's atexit
 * handlers don't run in it.
 *
 * Children die with the process that started them, also when it is killed, at once and
 * whatever they do, unless they close descriptors that they didn't open. At its normal exit, a
 * process sends SIGTERM to its daemon children (SIGKILL a second later) and waits for the others.
 *
 * Any thread may use a handle. A handle belongs to the process that made it: in a forked child
 * every call but destroy, name, pid and daemon says MP_EFORKED.
 */
#ifndef MP_PROCESS_H
#define MP_PROCESS_H

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_process mp_process_t;

typedef enum mp_method {
    MP_METHOD_DEFAULT, /* of mp_set_start_method, else MP_FORK */
    MP_FORK,
    MP_SPAWN,
    MP_FORKSERVER
} mp_method_t;

/* A choice of method to be handed around, as Python's get_context() gives. */
typedef struct mp_context {
    mp_method_t method;
} mp_context_t;

/* ---- registered targets ------------------------------------------------------------------ */

typedef struct mp_target {
    const char *name; /* unique in a process; as a task's */
    mp_record_t item;
    int (*run)(void *item, size_t size);
} mp_target_t;

/* Define `const mp_target_t target` over a struct: `self` is a Self *. */
#define MP_TARGET(target, Self)                                                                    \
    extern const mp_target_t target;                                                               \
    static int target##_mp_body(Self *self);                                                       \
    static int target##_mp_run(void *item, MP_UNUSED size_t size)                                  \
    {                                                                                              \
        return target##_mp_body((Self *)item);                                                     \
    }                                                                                              \
    const mp_target_t target = {#target, MP_RECORD_OF(Self), target##_mp_run};                     \
    __attribute__((constructor)) static void target##_mp_enter(void)                               \
    {                                                                                              \
        (void)mp_target_enter(&target);                                                            \
    }                                                                                              \
    static int target##_mp_body(MP_UNUSED Self *self)

/* Add a target to the registry; MP_TARGET does it. It must stay valid.
 * MP_OK; MP_EEXIST; MP_EINVAL; MP_ENOMEM. */
MP_API mp_rc_t mp_target_enter(const mp_target_t *target);
/* The target of that name, or NULL. */
MP_API const mp_target_t *mp_target_find(const char *name);

/* ---- start methods ----------------------------------------------------------------------- */

/* What MP_METHOD_DEFAULT means in this process and, unless they choose, its children.
 * MP_OK; MP_ESTATE it was set or used before, and not `force`; MP_EINVAL. */
MP_API mp_rc_t mp_set_start_method(mp_method_t method, bool force);
MP_API mp_method_t mp_get_start_method(void);
/* "fork", "spawn", "forkserver"; NULL for no method. */
MP_API const char *mp_method_name(mp_method_t method);

/* Have the fork server run this target, with no item, before its first fork: what it loads and
 * computes is there in every child. Takes effect with the next fork server.
 * MP_OK; MP_EINVAL it is over a struct of more than 4096 bytes (it is given zeros). */
MP_API mp_rc_t mp_set_forkserver_preload(const mp_target_t *target);

/* ---- a process --------------------------------------------------------------------------- */

typedef struct mp_process_options {
    int (*target)(void *arg); /* fork only */
    void *arg;
    const mp_target_t *registered; /* instead of target */
    const void *item;              /* its struct; NULL: zeros. By spawn and fork server copied
                                      by mp_process_new, by fork used in place */
    const char *name;              /* copied; NULL: "Process-N" in the tree of processes */
    int daemon;                    /* 1: ended at our exit; -1: waited for; 0: as this process */
    mp_method_t method;
    const mp_context_t *context; /* its method, where `method` is the default */
} mp_process_options_t;

/* MP_OK; MP_EINVAL no target, or two; MP_EUNPASSABLE the method can't pass a function, or a
 * target from a module that was loaded later; MP_ESTATE spawn or fork server, but the program
 * has not run MP_MAIN: its child would be the whole program again; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_process_new(const mp_process_options_t *options,
                                            mp_process_t **out);

/* MP_OK; MP_ESTATE it was started before; MP_EFORKED; MP_ESYSTEM the kernel refused: no more
 * processes, descriptors or memory; nothing was started; MP_ENOMEM. */
MP_API mp_rc_t mp_process_start(mp_process_t *self);

/* Until it has ended. MP_OK, also again later; MP_ETIMEDOUT; MP_ESTATE not started;
 * MP_EFORKED another process's child; MP_EDEADLOCK the caller itself. */
MP_API mp_rc_t mp_process_join(mp_process_t *self, int timeout_ms);

MP_API bool mp_process_is_alive(mp_process_t *self);

/* How it ended: what it returned or gave to exit, -N when killed by signal N. 255 also when
 * that can't be known: the fork server was killed, or the program reaped it by wait().
 * MP_OK; MP_EBUSY it runs, or was not started; MP_EFORKED. */
MP_API mp_rc_t mp_process_exitcode(mp_process_t *self, int *code);

/* 0: not started. */
MP_API pid_t mp_process_pid(const mp_process_t *self);
MP_API const char *mp_process_name(const mp_process_t *self);
MP_API bool mp_process_daemon(const mp_process_t *self);
/* Before the start. MP_OK; MP_ESTATE; MP_ENOMEM. */
MP_API mp_rc_t mp_process_set_name(mp_process_t *self, const char *name);
MP_API mp_rc_t mp_process_set_daemon(mp_process_t *self, bool daemon);

/* A descriptor that is readable once it has ended; for poll and mp_wait, not for read. Valid until
 * the handle is destroyed. -1: not started. */
MP_API int mp_process_sentinel(const mp_process_t *self);

/* SIGTERM, SIGKILL, SIGINT; nothing happens to one that has ended.
 * MP_OK; MP_ESTATE not started; MP_EFORKED; MP_ESYSTEM. */
MP_API mp_rc_t mp_process_terminate(mp_process_t *self);
MP_API mp_rc_t mp_process_kill(mp_process_t *self);
MP_API mp_rc_t mp_process_interrupt(mp_process_t *self);

/* Give up the handle. A process that runs goes on, and is looked after at exit. */
MP_API void mp_process_destroy(mp_process_t **self);

/* ---- around it --------------------------------------------------------------------------- */

/* This process; "MainProcess" in the first one. Not to be destroyed. */
MP_API mp_process_t *mp_process_current(void);
/* The process that started this one: name, pid, is_alive, join and sentinel work. NULL in the
 * first one. Not to be destroyed. */
MP_API mp_process_t *mp_process_parent(void);

/* New handles on the children that run, at most `room` of them, each to be destroyed; and how
 * many there are. Those that have ended are reaped. */
MP_API size_t mp_active_children(mp_process_t **children, size_t room);

/* How long this process waits at its exit for children that aren't daemons: -1 (default): as
 * long as they take; then they get SIGKILL. */
MP_API void mp_set_exit_join_ms(int timeout_ms);

/* Processors that the machine has online, whatever this process may use of them (that is
 * mp_cpu_count). */
MP_API int mp_machine_cpu_count(void);

#ifdef __cplusplus
}
#endif

#endif
