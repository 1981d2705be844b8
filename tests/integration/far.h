/* far.h: one body of tests for every way in which two sides can be apart.
 *
 *     owner   threads of one process
 *     lane    processes of this host, over shared memory
 *     ipc     the same over ZeroMQ
 *     tcp     by address and key, as from another host
 */
#ifndef FAR_H
#define FAR_H

#include "suite.h"

#include <mp/mp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 20000, KEY_BYTES = 6 };

static const char *far = "lane";
static const char far_key[] = "secret";

static inline bool far_is(const char *name)
{
    return strcmp(far, name) == 0;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        mp_rc_t far_rc_ = (call);                                                                  \
        ck_assert_msg(far_rc_ == MP_OK, "%s: %s (%s)", #call, mp_errname(far_rc_), mp_errmsg());   \
    } while (0)
#define IS(call, rc)                                                                               \
    do {                                                                                           \
        mp_rc_t far_rc_ = (call);                                                                  \
        ck_assert_msg(far_rc_ == (rc), "%s: %s (%s)", #call, mp_errname(far_rc_), mp_errmsg());    \
    } while (0)

/* The leak checker wants to stop all threads, and reports what one that it couldn't stop has in
 * its registers; a forked child leaves what was its parent's. What these tests leave behind is
 * counted by them. */
int __lsan_is_turned_off(void); // NOLINT
int __lsan_is_turned_off(void)  // NOLINT
{
    return 1;
}

/* Somebody over there: a thread, or a forked process. */
typedef struct far_one {
    pid_t pid; /* 0: a thread */
    pthread_t thread;
    void (*run)(void *arg);
    void *arg;
} far_one_t;

static inline void *far_thread(void *arg)
{
    far_one_t *one = arg;
    one->run(one->arg);
    return NULL;
}

/* A process ends by exit, as one of a program does: what was put is flushed. */
static inline void far_start(far_one_t *one, void (*run)(void *), void *arg)
{
    *one = (far_one_t){.run = run, .arg = arg};
    if (far_is("owner")) {
        ck_assert_int_eq(pthread_create(&one->thread, NULL, far_thread, one), 0);
        return;
    }
    one->pid = fork();
    ck_assert_int_ge(one->pid, 0);
    if (one->pid == 0) {
        run(arg);
        exit(0);
    }
}

static inline void far_join(far_one_t *one)
{
    int status = -1;
    if (!one->pid) {
        ck_assert_int_eq(pthread_join(one->thread, NULL), 0);
        return;
    }
    ck_assert_int_eq(waitpid(one->pid, &status, 0), one->pid);
    ck_assert_msg(status == 0, "the other side ended with %x", (unsigned)status);
}

static inline void far_kill(far_one_t *one)
{
    ck_assert_int_eq(kill(one->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(one->pid, NULL, 0), one->pid);
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Memory that both sides see. */
static inline void *shared(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    return at;
}

#endif
