/* far.h: one body of tests for every way in which two sides can be apart.
 *
 *     owner   threads of one process
 *     lane    processes of this host, over shared memory
 *     ipc     the same over ZeroMQ
 *     tcp     by address and key, as from another host
 */
#ifndef FAR_H
#define FAR_H

#include "ok.h"
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

enum { LONG_MS = 60000, KEY_BYTES = 6 };

static const char *far = "lane";
static const char far_key[] = "secret";

static inline bool far_is(const char *name)
{
    return strcmp(far, name) == 0;
}

/* The leak checker wants to stop all threads, and reports what one that it couldn't stop has in
 * its registers; a forked child leaves what was its parent's. What these tests leave behind is
 * counted by them. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); // NOLINT
int __lsan_is_turned_off(void)                                         // NOLINT
{
    return 1;
}

#ifdef MP_SANITIZED
#include <poll.h>
/* The sanitizers' allocators aren't made for this: a lock that another thread had at the fork is
 * never free again in the child. So a child shows first that it can allocate and start
 * threads, and one that can't is replaced. */
static inline void *far_allocate(void *arg)
{
    for (size_t size = 1; size <= 1 << 17; size += size < 1024 ? 16 : size / 8)
        free(malloc(size));
    return arg;
}

/* In a new thread, which has nothing in store yet: so each of the locks is taken. */
static inline void far_show_that_it_works(int fd)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, far_allocate, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(write(fd, "", 1), 1);
}

static inline pid_t far_fork(void)
{
    enum { PATIENCE_MS = 2000, TRIES = 10 };
    for (int i = 0; i < TRIES; i++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            far_show_that_it_works(ends[1]);
            close(ends[0]);
            close(ends[1]);
            return 0;
        }
        struct pollfd shown = {.fd = ends[0], .events = POLLIN};
        bool works = poll(&shown, 1, PATIENCE_MS) == 1;
        close(ends[0]);
        close(ends[1]);
        if (works)
            return pid;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return -1;
}
#else
static inline pid_t far_fork(void)
{
    return fork();
}
#endif

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
    one->pid = far_fork();
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
